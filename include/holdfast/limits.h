/*
 * Every cap of the server, with its unit and its reason. What an operator may change stands in the
 * parameter table instead (src/config/parameters.c), with these as the outer bounds.
 */
#ifndef HOLDFAST_LIMITS_H
#define HOLDFAST_LIMITS_H

/* Bytes of an object's id, a plain key or a storage key: the original's limit for storage keys, and
 * twice what the greediest known middleware uses for keys (1,024). */
#define LIMIT_KEY_BYTES 2048

/* Bytes of a whole store key: two ids' worth and the encoding around them. */
#define LIMIT_STORE_KEY_BYTES 4608

/* Bytes of one value: Redis's proto-max-bulk-len is the outer bound for `max-value-size`. */
#define LIMIT_VALUE_BYTES ((size_t)512 << 20)

/* Arguments of one command: Redis's bound for a multibulk length (1,024 x 1,024). */
#define LIMIT_ARGUMENTS (1024 * 1024)

/* Before authentication, as in Redis: 10 arguments of 16 KiB. */
#define LIMIT_ARGUMENTS_UNAUTHENTICATED 10
#define LIMIT_ARGUMENT_UNAUTHENTICATED  16384

/* Bytes of an inline command or of a length line without its end: Redis's PROTO_INLINE_MAX_SIZE. */
#define LIMIT_INLINE_BYTES (64 * 1024)

/* Bytes fed to the parser at a time: its cost per byte grows with what it holds. */
#define LIMIT_FEED_BYTES (16 * 1024)

/* Databases that SELECT knows: Redis's default. */
#define LIMIT_DATABASES 16

/* Shards of a data directory: each is one LMDB sub-database and one bit range of a SCAN cursor. */
#define LIMIT_SHARDS 1024

/* Worker threads, connection-only loops included. */
#define LIMIT_WORKERS 128

/* Effects of one record; a record is one atomic change. */
#define LIMIT_RECORD_EFFECTS (4 * 1024 * 1024)

#endif
