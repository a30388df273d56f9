/*
 * The bytes of what the cache stores, so that one could read them without this program. Compiles
 * alone. Where they stand is said in store_format.h and log_format.h.
 *
 *
 * STORE KEYS of the cache. An entry and what belongs to it lie in the shard of its key. Numbers in
 * keys are big endian.
 *
 *   0c | hash 5 | key      an entry: type 7. hash: the upper 40 bits of SipHash-1-3 of the
 *                            key under the store's secret (store_format.h)
 *   0d | place 8           the line in which entries are evicted: type 3, the key
 *   0e | kind 1 | name     on shard 0: a tag (kind 1) or a prefix (kind 2) was invalidated: type 3
 *                          (kind 0: how many invalidations there were; an empty name: what old
 *                          ones were folded into, for all entries with a tag or all keys)
 *   0f | group             the sums of a group of entries, of all for the empty group: type 3
 *
 *
 * AN ENTRY (type 7). Numbers are little endian, times and ages milliseconds, signed.
 *
 *   0       1      2           4               6   8        16    24      32      40
 *   +-------+------+-----------+---------------+---+--------+-----+-------+-------+
 *   | flags | tags | etag size | modified size | 0 | filled | ttl | stale | error |
 *   +-------+------+-----------+---------------+---+--------+-----+-------+-------+
 *   40         48      56      64
 *   +----------+-------+-------+------+------+---------------+-------+
 *   | sequence | delta | place | tags | etag | last-modified | value |
 *   +----------+-------+-------+------+------+---------------+-------+
 *
 *   flags     01: a negative entry (CACHE.ABSENT)  02: counted under its group  04: it was set
 *             without a life  08: invalidated, and to be served as stale
 *   ttl, stale, error   ages since `filled`: fresh before ttl, then stale before `stale`, and
 * usable before `error` while refreshing it fails sequence  how many invalidations there had been
 * when what it holds was fetched delta     how long that took place     where it stands in the line
 *   tags      each: size 1, bytes
 *
 *
 * INVALIDATIONS: hard 8 | soft 8: the numbers of the last of each kind; entries with a lower
 * sequence that have the tag, or whose keys start with the prefix, are gone, or stale.
 *
 * SUMS: entries 8 | bytes 8 | entries without a life 8 | next place 8 | highest sequence 8 (the
 * last two of all only)
 */
#ifndef HOLDFAST_CACHE_FORMAT_H
#define HOLDFAST_CACHE_FORMAT_H

#define CACHE_FORMAT_FLAG_ABSENT  0x01
#define CACHE_FORMAT_FLAG_GROUPED 0x02
#define CACHE_FORMAT_FLAG_LASTING 0x04
#define CACHE_FORMAT_FLAG_SOFT    0x08

#define CACHE_FORMAT_HEADER_BYTES 64
#define CACHE_FORMAT_HASH_BYTES   5
#define CACHE_FORMAT_MARK_BYTES   16
#define CACHE_FORMAT_SUMS_BYTES   40
#define CACHE_FORMAT_MARK_LATEST  0 /* one, `latest`: how many there were */
#define CACHE_FORMAT_MARK_TAG     1
#define CACHE_FORMAT_MARK_PREFIX  2
#define CACHE_FORMAT_MARK_KINDS   3

#endif
