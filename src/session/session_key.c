/*
 * session_key: see session_key.h. Digests are OpenSSL's SHA-256, random bytes the kernel's.
 *
 * An id that the server makes has to lie in a given shard, so that making a session, changing its
 * id and the index of its user are one shard's business. Its last three random bytes count on from
 * where they started until the id's slot is one of the shard's: as many tries as there are shards,
 * and nothing that an outsider could use, since the shard is not secret.
 *
 * Threads: any.
 */
#include "session/session_key.h"

#include "base/hash.h"
#include "base/random.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#define HANDLE_PREFIX       "handle:"
#define HANDLE_PREFIX_BYTES 7
#define HANDLE_DIGITS_AT    12 /* behind the slot and its colon */

static const char mask_prefix[] = "holdfast successor";

static bool take_name(struct slice bytes, struct session_name *out);

bool session_name_ok(const struct session_name *name)
{
	if (name->form == SESSION_FORMAT_HASHED)
		return name->bytes.size == SESSION_DIGEST_BYTES;
	return name->form == SESSION_FORMAT_PLAIN && name->bytes.size > 0 &&
		name->bytes.size <= LIMIT_KEY_BYTES;
}

static size_t key_add_name(struct key *out, size_t at, const struct session_name *name)
{
	out->bytes[at] = (char)name->form;
	memcpy(out->bytes + at + 1, name->bytes.data, name->bytes.size);
	return at + 1 + name->bytes.size;
}

static void key_put_hash(struct key *out, uint64_t hash)
{
	for (int i = 0; i < SESSION_FORMAT_HASH_BYTES; i++)
		out->bytes[1 + i] = (char)(hash >> (8 * (SESSION_FORMAT_HASH_BYTES - 1 - i)));
}

struct session_name session_name_of(struct slice id, uint8_t form, struct arena *arena)
{
	if (form == SESSION_FORMAT_PLAIN)
		return (struct session_name){ form, id };
	unsigned char *digest = arena_alloc(arena, SESSION_DIGEST_BYTES);
	SHA256((const unsigned char *)id.data, id.size, digest);
	return (struct session_name){ form, slice_of(digest, SESSION_DIGEST_BYTES) };
}

static int digit_of(char letter)
{
	if (letter >= '0' && letter <= '9')
		return letter - '0';
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* The slot in a handle; -1: it is none. */
static int handle_slot(struct slice text)
{
	int slot = 0;
	if (text.size != SESSION_HANDLE_BYTES || text.data[HANDLE_DIGITS_AT - 1] != ':' ||
		memcmp(text.data, HANDLE_PREFIX, HANDLE_PREFIX_BYTES) != 0)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = digit_of(text.data[HANDLE_PREFIX_BYTES + i]);
		if (digit < 0)
			return -1;
		slot = slot * 16 + digit;
	}
	return slot < HASH_SLOTS ? slot : -1;
}

bool session_is_handle(struct slice text)
{
	return handle_slot(text) >= 0;
}

bool session_name_of_handle(struct slice text, struct arena *arena, struct session_name *out)
{
	if (handle_slot(text) < 0)
		return false;
	char *digest = arena_alloc(arena, SESSION_DIGEST_BYTES);
	for (int i = 0; i < SESSION_DIGEST_BYTES; i++) {
		int high = digit_of(text.data[HANDLE_DIGITS_AT + 2 * i]);
		int low = digit_of(text.data[HANDLE_DIGITS_AT + 2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		digest[i] = (char)(high * 16 + low);
	}
	*out = (struct session_name){ SESSION_FORMAT_HASHED,
		slice_of(digest, SESSION_DIGEST_BYTES) };
	return true;
}

struct slice session_name_shown(const struct session_name *name, uint16_t slot, struct arena *arena)
{
	if (name->form == SESSION_FORMAT_PLAIN)
		return name->bytes;
	assert(name->bytes.size == SESSION_DIGEST_BYTES);
	char *text = arena_alloc(arena, SESSION_HANDLE_BYTES + 1);
	snprintf(text, SESSION_HANDLE_BYTES + 1, HANDLE_PREFIX "%04x:", slot);
	for (int i = 0; i < SESSION_DIGEST_BYTES; i++)
		snprintf(text + HANDLE_DIGITS_AT + 2 * i, 3, "%02x",
			(unsigned char)name->bytes.data[i]);
	return slice_of(text, SESSION_HANDLE_BYTES);
}

uint16_t session_slot(struct slice id_or_handle)
{
	int slot = handle_slot(id_or_handle);
	return slot >= 0 ? (uint16_t)slot : hash_slot(id_or_handle);
}

static void encode_id(const unsigned char *random, char *out)
{
	unsigned char encoded[SESSION_ID_BYTES + 1];
	EVP_EncodeBlock(encoded, random, SESSION_ID_RANDOM);
	for (int i = 0; i < SESSION_ID_BYTES; i++) {
		char letter = (char)encoded[i];
		out[i] = letter == '+' ? '-' : letter == '/' ? '_' : letter;
	}
}

struct slice session_id_new(uint16_t shard, uint16_t shard_total, struct arena *arena)
{
	unsigned char random[SESSION_ID_RANDOM];
	char *text = arena_alloc(arena, SESSION_ID_BYTES);
	struct slice id = slice_of(text, SESSION_ID_BYTES);
	random_entropy(random, sizeof(random));
	for (;;) {
		encode_id(random, text);
		if (hash_shard_of(hash_slot(id), shard_total) == shard)
			return id;
		for (int i = SESSION_ID_RANDOM - 1; ++random[i] == 0;)
			i--;
	}
}

bool session_id_is_made(struct slice id)
{
	if (id.size != SESSION_ID_BYTES)
		return false;
	for (size_t i = 0; i < id.size; i++) {
		char letter = id.data[i];
		bool is_letter =
			(letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
		if (!is_letter && !(letter >= '0' && letter <= '9') && letter != '-' &&
			letter != '_')
			return false;
	}
	return true;
}

void session_mask(struct slice old_id, struct slice id, char *out)
{
	unsigned char digest[SESSION_DIGEST_BYTES];
	assert(id.size == SESSION_DIGEST_BYTES);
	assert(old_id.size <= LIMIT_KEY_BYTES);
	unsigned char text[sizeof(mask_prefix) - 1 + LIMIT_KEY_BYTES];
	memcpy(text, mask_prefix, sizeof(mask_prefix) - 1);
	memcpy(text + sizeof(mask_prefix) - 1, old_id.data, old_id.size);
	SHA256(text, sizeof(mask_prefix) - 1 + old_id.size, digest);
	for (int i = 0; i < SESSION_DIGEST_BYTES; i++)
		out[i] = (char)(id.data[i] ^ (char)digest[i]);
}

void key_of_session(
	struct key *out, const struct hash_secret *secret, const struct session_name *name)
{
	size_t at = 1 + SESSION_FORMAT_HASH_BYTES;
	out->bytes[0] = TABLE_SESSION;
	out->size = key_add_name(out, at, name);
	key_put_hash(out, key_hash(secret, slice_of(out->bytes + at, out->size - at)));
}

bool key_parse_session(struct slice key, uint64_t *hash, struct session_name *out)
{
	const size_t at = 1 + SESSION_FORMAT_HASH_BYTES;
	if (key.size < at + 2 || key.data[0] != TABLE_SESSION)
		return false;
	*hash = 0;
	for (int i = 0; i < SESSION_FORMAT_HASH_BYTES; i++)
		*hash = *hash << 8 | (unsigned char)key.data[1 + i];
	return take_name(slice_of(key.data + at, key.size - at), out);
}

void key_of_user(struct key *out, struct slice user)
{
	assert(user.size > 0);
	assert(user.size <= LIMIT_USER_BYTES);
	out->bytes[0] = TABLE_SESSION_USER;
	out->bytes[1] = (char)(user.size >> 8);
	out->bytes[2] = (char)user.size;
	memcpy(out->bytes + 3, user.data, user.size);
	out->size = 3 + user.size;
}

void key_of_user_session(struct key *out, struct slice user, const struct session_name *name)
{
	key_of_user(out, user);
	out->size = key_add_name(out, out->size, name);
}

bool key_parse_user_session(struct slice key, size_t size, struct session_name *out)
{
	return key.size > size && take_name(slice_of(key.data + size, key.size - size), out);
}

void key_of_session_count(struct key *out)
{
	out->bytes[0] = TABLE_SESSION_COUNT;
	out->size = 1;
}

/* A name stands at the end of keys, behind its form. */
static bool take_name(struct slice bytes, struct session_name *out)
{
	if (bytes.size < 2)
		return false;
	out->form = (uint8_t)bytes.data[0];
	out->bytes = slice_of(bytes.data + 1, bytes.size - 1);
	return session_name_ok(out);
}
