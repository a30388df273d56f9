/*
 * cache_key: see cache_key.h.
 *
 * Threads: any.
 */
#include "cache/cache_key.h"

#include <assert.h>
#include <string.h>

#define ENTRY_AT (1 + CACHE_FORMAT_HASH_BYTES)

static void put_number(struct key *out, size_t at, uint64_t number, int bytes)
{
	for (int i = 0; i < bytes; i++)
		out->bytes[at + (size_t)i] = (char)(number >> (8 * (bytes - 1 - i)));
}

static uint64_t get_number(struct slice key, size_t at, int bytes)
{
	uint64_t number = 0;
	for (int i = 0; i < bytes; i++)
		number = number << 8 | (unsigned char)key.data[at + (size_t)i];
	return number;
}

static void put_rest(struct key *out, size_t at, struct slice rest)
{
	if (rest.size)
		memcpy(out->bytes + at, rest.data, rest.size);
	out->size = at + rest.size;
}

void key_of_cache(struct key *out, const struct hash_secret *secret, struct slice key)
{
	assert(key.size > 0);
	assert(key.size <= LIMIT_KEY_BYTES);
	out->bytes[0] = TABLE_CACHE;
	put_number(out, 1, key_hash(secret, key), CACHE_FORMAT_HASH_BYTES);
	put_rest(out, ENTRY_AT, key);
}

bool key_parse_cache(struct slice store_key, uint64_t *hash, struct slice *key)
{
	if (store_key.size <= ENTRY_AT || store_key.size > ENTRY_AT + LIMIT_KEY_BYTES ||
		store_key.data[0] != TABLE_CACHE)
		return false;
	*hash = get_number(store_key, 1, CACHE_FORMAT_HASH_BYTES);
	*key = slice_of(store_key.data + ENTRY_AT, store_key.size - ENTRY_AT);
	return true;
}

void key_of_cache_place(struct key *out, uint64_t place)
{
	out->bytes[0] = TABLE_CACHE_LINE;
	put_number(out, 1, place, sizeof(place));
	out->size = 1 + sizeof(place);
}

bool key_parse_cache_place(struct slice store_key, uint64_t *place)
{
	if (store_key.size != 1 + sizeof(*place) || store_key.data[0] != TABLE_CACHE_LINE)
		return false;
	*place = get_number(store_key, 1, sizeof(*place));
	return true;
}

void key_of_cache_mark(struct key *out, uint8_t kind, struct slice name)
{
	assert(name.size <= LIMIT_KEY_BYTES);
	out->bytes[0] = TABLE_CACHE_MARK;
	out->bytes[1] = (char)kind;
	put_rest(out, 2, name);
}

bool key_parse_cache_mark(struct slice store_key, uint8_t *kind, struct slice *name)
{
	if (store_key.size < 2 || store_key.size > 2 + LIMIT_KEY_BYTES ||
		store_key.data[0] != TABLE_CACHE_MARK ||
		(uint8_t)store_key.data[1] >= CACHE_FORMAT_MARK_KINDS)
		return false;
	*kind = (uint8_t)store_key.data[1];
	*name = slice_of(store_key.data + 2, store_key.size - 2);
	return true;
}

void key_of_cache_sums(struct key *out, struct slice group)
{
	out->bytes[0] = TABLE_CACHE_SUMS;
	put_rest(out, 1, group);
}

bool key_parse_cache_sums(struct slice store_key, struct slice *group)
{
	if (store_key.size < 1 || store_key.size > 1 + LIMIT_CACHE_GROUP_BYTES ||
		store_key.data[0] != TABLE_CACHE_SUMS)
		return false;
	*group = slice_of(store_key.data + 1, store_key.size - 1);
	return true;
}

void key_of_table_end(struct key *out, enum table table)
{
	out->bytes[0] = (char)(table + 1);
	out->size = 1;
}

struct slice cache_group_of(struct slice key)
{
	const char *colon = memchr(key.data, ':', key.size);
	size_t size = colon ? (size_t)(colon - key.data) + 1 : 0;
	return slice_of(key.data, size <= LIMIT_CACHE_GROUP_BYTES ? size : 0);
}
