/*
 * The bytes of the data file, so that one could read it without this program. Compiles alone.
 *
 * The file is one LMDB environment (data format 1, MDB_NOSUBDIR; the lock file beside it ends in
 * "-lock" and holds nothing that lasts). It has these named sub-databases, with LMDB's default
 * byte order and without duplicates:
 *
 *   "meta"        what is known of the whole and of each shard
 *   "shard-0000"  the entries of shard 0; four decimal digits; one per shard
 *
 * Numbers inside LMDB keys are big endian, so that byte order is number order; numbers inside
 * values are little endian. All times are milliseconds since 1970-01-01 UTC, signed.
 *
 * The shard of a key, id or object id is slot * shards / 16,384, rounded down; its slot is CRC16 of
 * it, or of its hash tag, modulo 16,384 (Redis Cluster's specification).
 *
 *
 * META
 *
 *   "format" ->       0        8          12       14         16           24         32         40
 *                     +--------+----------+--------+----------+------------+----------+----------+
 *                     | magic  | version  | shards | 0        | created ms | secret a | secret b |
 *                     +--------+----------+--------+----------+------------+----------+----------+
 *
 *     secret: 128 random bits, chosen when the file is made: SipHash's key for the hashes in store
 *     keys. A hash is the upper 40 bits of SipHash-1-3 of the bytes that follow it in the key.
 *
 *   "shard-0000" ->   0     8            16           24
 *                     +-----+------------+------------+--------+-- ... --+---------+
 *                     | LSN | next value | next layer | db 0   |         | db 15   |
 *                     +-----+------------+------------+--------+-- ... --+---------+
 *     db:  generation 4 | oldest generation not yet cleared 4 | keys 8 | keys with an expiry 8
 *
 * LSN: records of the log up to it are in the shard's entries. `next value` and `next layer` are
 * greater than every value number and layer number in the shard; both start at 1.
 *
 *
 * A SHARD'S ENTRIES are told apart by the first byte of the LMDB key:
 *
 *   00 - EF  store keys (src/store/key.h), see LONG KEYS        -> a value, see VALUES
 *   F0       the expiry index: [F0][filed 8][store key], see LONG KEYS  -> nothing (0 bytes)
 *   F1       chunks of large values: [F1][value number 8][chunk index 4] -> the chunk's bytes
 *   F2       layers, see LONG KEYS
 *
 *
 * LONG KEYS. LMDB keys have at most 511 bytes; store keys and index keys may be longer. They are
 * kept in exact byte order by a trie of B-trees. In the root layer a key of fewer than 500 bytes
 * stands as itself. A longer one is cut: its first 500 bytes and a kind byte form the LMDB key.
 *
 *   kind 00: the key ends here                         -> its value
 *   kind 01: all keys that go on after these 500 bytes -> layer number 8
 *
 * Layer L holds, for each such key, its remaining bytes (never none) under LMDB keys that start
 * with [F2][L 8]. There the same rule holds with 490 in place of 500: fewer than 490 bytes stand as
 * themselves with no kind byte, 490 or more are cut and get one. No layer is empty: whoever removes
 * the last key of a layer removes the kind 01 entry that leads there. Layer numbers are per shard,
 * start at 1 and are not used twice.
 *
 *
 * VALUES
 *
 *   0      1       2
 *   +------+-------+-------------+------------+---------
 *   | type | flags | [expire 8]  | [filed 8]  | payload
 *   +------+-------+-------------+------------+---------
 *
 *   type    enum value_type (src/store/value.h), never 0; numbers are never reused
 *   flags   01: expire is there, and is not 0: the value has expired when the time is >= expire
 *           02: filed is there (only together with 01), and is less than expire
 *           04: the payload is a descriptor
 *
 * Without flag 04 the payload is the value's data, and the whole entry has at most 65,520 bytes:
 * with LMDB's page header 16 pages of 4 KiB (8 of 8 KiB, ...). Larger data is cut into chunks of
 * 65,520 bytes (the last may be shorter, not empty) with indexes from 0, and the payload is
 *
 *   0      8              16
 *   +------+--------------+
 *   | size | value number |        size: bytes of data, at most STORE_FORMAT_VALUE_BYTES_MAX
 *   +------+--------------+
 *
 *
 * THE EXPIRY INDEX has exactly one entry for each store key whose value has flag 01, and no others.
 * It is filed under `filed` of the value, or under `expire` when the value has no flag 02. A
 * value's life may thus be extended without moving the entry; when the entry falls due it is filed
 * anew. In the index key the time has its sign bit flipped, so that byte order is time order.
 *
 *
 * COUNTS. `keys` and `keys with an expiry` of a database count its TABLE_STRING keys of the current
 * generation, expired ones that still stand included. Keys of older generations are dead; those of
 * generations >= `oldest` may still stand in the shard and are cleared away bit by bit.
 */
#ifndef HOLDFAST_STORE_FORMAT_H
#define HOLDFAST_STORE_FORMAT_H

#define STORE_FORMAT_MAGIC   "holdfast" /* 8 bytes, no terminator */
#define STORE_FORMAT_VERSION 3          /* raised when an older program would misread */

#define STORE_FORMAT_META_NAME    "meta"
#define STORE_FORMAT_META_KEY     "format"
#define STORE_FORMAT_META_BYTES   40
#define STORE_FORMAT_SHARD_NAME   "shard-%04u"
#define STORE_FORMAT_DATABASES    16
#define STORE_FORMAT_RECORD_BYTES (24 + 24 * STORE_FORMAT_DATABASES)

#define STORE_FORMAT_TABLE_INDEX  0xf0
#define STORE_FORMAT_TABLE_CHUNKS 0xf1
#define STORE_FORMAT_TABLE_LAYERS 0xf2

/* Bytes of keys; 4,608 is the store's own limit, an index key has 9 more. */
#define STORE_FORMAT_KEY_BYTES_MAX      4608
#define STORE_FORMAT_INDEX_PREFIX_BYTES 9
#define STORE_FORMAT_CHUNK_KEY_BYTES    13
#define STORE_FORMAT_ROOT_SLICE_BYTES   500
#define STORE_FORMAT_LAYER_SLICE_BYTES  490
#define STORE_FORMAT_LAYER_PREFIX_BYTES 9
#define STORE_FORMAT_KIND_ENDS          0x00
#define STORE_FORMAT_KIND_CONTINUES     0x01
#define STORE_FORMAT_LAYER_NUMBER_BYTES 8

#define STORE_FORMAT_FLAG_EXPIRE  0x01
#define STORE_FORMAT_FLAG_FILED   0x02
#define STORE_FORMAT_FLAG_CHUNKED 0x04

#define STORE_FORMAT_HEADER_BYTES_MAX 18
#define STORE_FORMAT_DESCRIPTOR_BYTES 16
#define STORE_FORMAT_INLINE_BYTES_MAX 65520 /* header included */
#define STORE_FORMAT_CHUNK_BYTES      65520
#define STORE_FORMAT_VALUE_BYTES_MAX  (512ull << 20)

#endif
