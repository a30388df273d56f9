/*
 * key: how store keys are made. The first byte names the table; what follows orders its entries.
 *
 *   TABLE_NAMESPACE  [01][db]                              -> generation of that database (number)
 *   TABLE_STRING     [02][db][generation 4][hash 5][key]   -> a plain Redis string
 *
 * Numbers are big endian, so that byte order is number order. The generation makes emptying a
 * database one small write: keys of older generations are dead and are cleared away at leisure. The
 * hash (the upper 40 bits of SipHash-1-3 of the key under the store's secret) gives SCAN an order
 * that a numeric cursor can name and that nobody can crowd.
 */
#ifndef STORE_KEY_H
#define STORE_KEY_H

#include "holdfast/limits.h"

#include "base/hash.h"
#include "base/slice.h"

#include <stdint.h>

enum table {
	TABLE_NAMESPACE = 0x01,
	TABLE_STRING = 0x02,
	/* Of objects: object/object_key.h */
	TABLE_OBJECT = 0x03,
	TABLE_PART = 0x04,
	TABLE_DUE = 0x05,
	TABLE_FAILED = 0x06,
	TABLE_CLASS = 0x07,
	TABLE_CRON = 0x08,
	/* Of sessions: session/session_key.h */
	TABLE_SESSION = 0x09,
	TABLE_SESSION_USER = 0x0a,
	TABLE_SESSION_COUNT = 0x0b,
	/* Of the cache: cache/cache_key.h */
	TABLE_CACHE = 0x0c,
	TABLE_CACHE_LINE = 0x0d,
	TABLE_CACHE_MARK = 0x0e,
	TABLE_CACHE_SUMS = 0x0f,
};

/* Tables that only the tree (LMDB) knows; a store key never starts with them. */
#define TABLE_TREE_FIRST 0xf0

#define KEY_STRING_PREFIX_BYTES 11
#define KEY_HASH_BITS           40
#define KEY_HASH_REST_BITS      24

/* A store key with its own memory, for building one on the stack. */
struct key {
	size_t size;
	char bytes[LIMIT_STORE_KEY_BYTES];
};

static inline struct slice key_slice(const struct key *key)
{
	return slice_of(key->bytes, key->size);
}

/* Turns a key into the first one behind all that start with it: the exclusive end of a prefix. */
void key_prefix_end(struct key *key);

void key_of_namespace(struct key *out, uint8_t db);
/* `name` at most LIMIT_KEY_BYTES; `secret` is store_secret's. */
void key_of_string(struct key *out, const struct hash_secret *secret, uint8_t db,
	uint32_t generation, struct slice name);
/* The first possible key of strings with a hash of at least `hash` (40 bits). */
void key_of_string_hash(struct key *out, uint8_t db, uint32_t generation, uint64_t hash);
/* The upper 40 bits of a name's hash, which stand in its key; the 24 below them, which do not. */
uint64_t key_hash(const struct hash_secret *secret, struct slice name);
uint32_t key_hash_rest(const struct hash_secret *secret, struct slice name);

/* Takes a TABLE_STRING key apart; false for any other. */
struct key_string {
	uint8_t db;
	uint32_t generation;
	uint64_t hash;
	struct slice name; /* points into the key */
};
bool key_parse_string(struct slice key, struct key_string *out);

#endif
