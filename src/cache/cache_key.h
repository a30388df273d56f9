/*
 * cache_key: the store keys of the cache. The bytes are on disk: include/holdfast/cache_format.h.
 */
#ifndef CACHE_CACHE_KEY_H
#define CACHE_CACHE_KEY_H

#include "holdfast/cache_format.h"
#include "store/key.h"

#include <stdint.h>

/* `key` has 1 to LIMIT_KEY_BYTES; `secret` is store_secret's. */
void key_of_cache(struct key *out, const struct hash_secret *secret, struct slice key);
bool key_parse_cache(struct slice store_key, uint64_t *hash, struct slice *key);
void key_of_cache_place(struct key *out, uint64_t place);
bool key_parse_cache_place(struct slice store_key, uint64_t *place);
/* `kind` is a CACHE_FORMAT_MARK_...; the empty name is that of what older ones were folded into. */
void key_of_cache_mark(struct key *out, uint8_t kind, struct slice name);
bool key_parse_cache_mark(struct slice store_key, uint8_t *kind, struct slice *name);
void key_of_cache_sums(struct key *out, struct slice group);
bool key_parse_cache_sums(struct slice store_key, struct slice *group);
/* Behind all keys of the table. */
void key_of_table_end(struct key *out, enum table table);

/* The group of a key: up to its first colon, that included; empty when it has none or it is long.
 */
struct slice cache_group_of(struct slice key);

#endif
