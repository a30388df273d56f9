/*
 * session_key: names of sessions, and the store keys of what belongs to them. The bytes are on
 * disk: include/holdfast/session_format.h.
 *
 * A name is what is stored of an id: the id itself, or its SHA-256 (session-id-hashing). What lists
 * show of a hashed one is a handle, "handle:SSSS:" and 64 hexadecimal digits, where SSSS is the
 * first slot of its shard: it cannot be used as an id, but names the session to who may end it.
 */
#ifndef SESSION_SESSION_KEY_H
#define SESSION_SESSION_KEY_H

#include "base/arena.h"
#include "holdfast/session_format.h"
#include "store/key.h"

#include <stdint.h>

#define SESSION_ID_BYTES     32 /* of the ids that the server makes: 192 bits in base64url */
#define SESSION_ID_RANDOM    24
#define SESSION_HANDLE_BYTES 76
#define SESSION_DIGEST_BYTES SESSION_FORMAT_DIGEST_BYTES

struct session_name {
	uint8_t form; /* SESSION_FORMAT_PLAIN, SESSION_FORMAT_HASHED */
	struct slice bytes;
};

/* The name of an id in this form; a digest lies in the arena. */
struct session_name session_name_of(struct slice id, uint8_t form, struct arena *arena);
/* Whether the text has a handle's form: no id may. */
bool session_is_handle(struct slice text);
/* False: the text is no handle. */
bool session_name_of_handle(struct slice text, struct arena *arena, struct session_name *out);
/* What lists show: the id, or the handle with a slot of the session's shard, in the arena. */
struct slice session_name_shown(
	const struct session_name *name, uint16_t slot, struct arena *arena);

/* The slot of an id, or the one in a handle; for engine->handle_slot. */
uint16_t session_slot(struct slice id_or_handle);

/* A new id that lies in this shard, in the arena: 192 random bits less those that name the shard.
 */
struct slice session_id_new(uint16_t shard, uint16_t shard_total, struct arena *arena);
/* Whether the text could be one of them. */
bool session_id_is_made(struct slice id);
/* Whether a name that was read is one: of a known form, and of its size. */
bool session_name_ok(const struct session_name *name);
/* `id` XORed with SHA-256 of the old id: only who has one of them can tell the other. Both of
 * SESSION_DIGEST_BYTES; works in both directions. */
void session_mask(struct slice old_id, struct slice id, char *out);

/* `secret` is store_secret's. */
void key_of_session(
	struct key *out, const struct hash_secret *secret, const struct session_name *name);
/* Those that parse are false for what is no key of a session. */
bool key_parse_session(struct slice key, uint64_t *hash, struct session_name *out);
void key_of_user_session(struct key *out, struct slice user, const struct session_name *name);
/* All sessions of a user stand behind this one. */
void key_of_user(struct key *out, struct slice user);
/* The name in a key that starts with the `size` bytes of key_of_user. */
bool key_parse_user_session(struct slice key, size_t size, struct session_name *out);
void key_of_session_count(struct key *out);

#endif
