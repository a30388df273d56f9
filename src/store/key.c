/*
 * key: the byte layouts that key.h draws. Everything is written with explicit shifts, so that the
 * bytes are the same on every machine: they end up on disk. No state, safe from every thread.
 */
#include "store/key.h"

#include <assert.h>

static void put_big_endian(char *out, uint64_t number, size_t size)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (char)(uint8_t)(number >> (8 * (size - 1 - i)));
}

static uint64_t get_big_endian(const char *bytes, size_t size)
{
	uint64_t number = 0;
	for (size_t i = 0; i < size; i++)
		number = number << 8 | (uint8_t)bytes[i];
	return number;
}

void key_prefix_end(struct key *key)
{
	while (key->size > 0 && (uint8_t)key->bytes[key->size - 1] == 0xff)
		key->size--;
	assert(key->size > 0);
	key->bytes[key->size - 1] = (char)((uint8_t)key->bytes[key->size - 1] + 1);
}

void key_of_namespace(struct key *out, uint8_t db)
{
	out->bytes[0] = TABLE_NAMESPACE;
	out->bytes[1] = (char)db;
	out->size = 2;
}

void key_of_string_hash(struct key *out, uint8_t db, uint32_t generation, uint64_t hash)
{
	assert(hash >> KEY_HASH_BITS == 0);
	out->bytes[0] = TABLE_STRING;
	out->bytes[1] = (char)db;
	put_big_endian(out->bytes + 2, generation, 4);
	put_big_endian(out->bytes + 6, hash, 5);
	out->size = KEY_STRING_PREFIX_BYTES;
}

void key_of_string(struct key *out, const struct hash_secret *secret, uint8_t db,
	uint32_t generation, struct slice name)
{
	assert(name.size <= LIMIT_KEY_BYTES);
	key_of_string_hash(out, db, generation, key_hash(secret, name));
	if (name.size > 0)
		memcpy(out->bytes + KEY_STRING_PREFIX_BYTES, name.data, name.size);
	out->size += name.size;
}

uint64_t key_hash(const struct hash_secret *secret, struct slice name)
{
	return hash_secretly(secret, name) >> KEY_HASH_REST_BITS;
}

uint32_t key_hash_rest(const struct hash_secret *secret, struct slice name)
{
	return (uint32_t)hash_secretly(secret, name) & (((uint32_t)1 << KEY_HASH_REST_BITS) - 1);
}

bool key_parse_string(struct slice key, struct key_string *out)
{
	if (key.size < KEY_STRING_PREFIX_BYTES || key.data[0] != TABLE_STRING)
		return false;
	out->db = (uint8_t)key.data[1];
	out->generation = (uint32_t)get_big_endian(key.data + 2, 4);
	out->hash = get_big_endian(key.data + 6, 5);
	out->name =
		slice_of(key.data + KEY_STRING_PREFIX_BYTES, key.size - KEY_STRING_PREFIX_BYTES);
	return true;
}
