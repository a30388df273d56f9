/*
 * session_record: see session_record.h.
 *
 * Threads: any.
 */
#include "session/session_record.h"

#include "base/little.h"

#include <assert.h>
#include <string.h>

static char *put_bytes(char *at, struct slice bytes)
{
	if (bytes.size)
		memcpy(at, bytes.data, bytes.size);
	return at + bytes.size;
}

static struct slice encode_session(const struct session_record *record, struct arena *arena)
{
	size_t size = SESSION_FORMAT_HEADER_BYTES + record->user.size + record->data.size;
	char *bytes = arena_alloc(arena, size), *at = bytes;
	*at++ = SESSION_FORMAT_KIND_SESSION;
	*at++ = 0;
	at = little_put_16(at, (uint16_t)record->user.size);
	at = little_put_32(at, record->boot);
	at = little_put_64(at, record->serial);
	at = little_put_64(at, record->version);
	at = little_put_64(at, (uint64_t)record->created_ms);
	at = little_put_64(at, (uint64_t)record->updated_ms);
	at = little_put_64(at, (uint64_t)record->ttl_ms);
	at = little_put_64(at, (uint64_t)record->absolute_ms);
	at = little_put_64(at, (uint64_t)record->bound_ms);
	assert(at == bytes + SESSION_FORMAT_HEADER_BYTES);
	at = put_bytes(at, record->user);
	put_bytes(at, record->data);
	return slice_of(bytes, size);
}

static struct slice encode_ended(const struct session_record *record, struct arena *arena)
{
	char *bytes = arena_alloc(arena, SESSION_FORMAT_ENDED_BYTES);
	bytes[0] = SESSION_FORMAT_KIND_ENDED;
	bytes[1] = record->by_absolute;
	return slice_of(bytes, SESSION_FORMAT_ENDED_BYTES);
}

static struct slice encode_rotated(const struct session_record *record, struct arena *arena)
{
	const struct session_name *name = &record->successor;
	size_t size = SESSION_FORMAT_ROTATED_BYTES + name->bytes.size + record->masked_id.size;
	char *bytes = arena_alloc(arena, size), *at = bytes;
	assert(record->masked_id.size ==
		(name->form == SESSION_FORMAT_HASHED ? SESSION_DIGEST_BYTES : 0));
	assert(record->successor_serial >> SESSION_FORMAT_SERIAL_BITS == 0);
	little_put_64(at, record->successor_serial << 8 | SESSION_FORMAT_KIND_ROTATED);
	at = little_put_64(at + 8, (uint64_t)record->grace_end_ms);
	*at++ = (char)name->form;
	at = put_bytes(at, name->bytes);
	put_bytes(at, record->masked_id);
	return slice_of(bytes, size);
}

struct slice session_record_encode(const struct session_record *record, struct arena *arena)
{
	static const char deleted[] = { SESSION_FORMAT_KIND_DELETED };
	switch (record->kind) {
	case SESSION_FORMAT_KIND_SESSION:
		return encode_session(record, arena);
	case SESSION_FORMAT_KIND_ROTATED:
		return encode_rotated(record, arena);
	case SESSION_FORMAT_KIND_ENDED:
		return encode_ended(record, arena);
	}
	assert(record->kind == SESSION_FORMAT_KIND_DELETED);
	return slice_of(deleted, sizeof(deleted));
}

static bool decode_session(struct slice bytes, struct session_record *out)
{
	if (bytes.size < SESSION_FORMAT_HEADER_BYTES)
		return false;
	const char *at = bytes.data;
	size_t user_size = little_get_16(at + 2);
	if (user_size > LIMIT_USER_BYTES || bytes.size < SESSION_FORMAT_HEADER_BYTES + user_size)
		return false;
	out->boot = little_get_32(at + 4);
	out->serial = little_get_64(at + 8);
	out->version = little_get_64(at + 16);
	out->created_ms = (int64_t)little_get_64(at + 24);
	out->updated_ms = (int64_t)little_get_64(at + 32);
	out->ttl_ms = (int64_t)little_get_64(at + 40);
	out->absolute_ms = (int64_t)little_get_64(at + 48);
	out->bound_ms = (int64_t)little_get_64(at + 56);
	at += SESSION_FORMAT_HEADER_BYTES;
	out->user = slice_of(at, user_size);
	out->data = slice_of(at + user_size, bytes.size - SESSION_FORMAT_HEADER_BYTES - user_size);
	return out->ttl_ms > 0;
}

static bool decode_rotated(struct slice bytes, struct session_record *out)
{
	if (bytes.size <= SESSION_FORMAT_ROTATED_BYTES)
		return false;
	struct slice rest = slice_of(bytes.data + SESSION_FORMAT_ROTATED_BYTES,
		bytes.size - SESSION_FORMAT_ROTATED_BYTES);
	out->successor_serial = little_get_64(bytes.data) >> 8;
	out->grace_end_ms = (int64_t)little_get_64(bytes.data + 8);
	out->successor.form = (uint8_t)bytes.data[16];
	out->successor.bytes = rest;
	if (out->successor.form == SESSION_FORMAT_HASHED) {
		if (rest.size != 2 * SESSION_DIGEST_BYTES)
			return false;
		out->successor.bytes.size = SESSION_DIGEST_BYTES;
		out->masked_id = slice_of(rest.data + SESSION_DIGEST_BYTES, SESSION_DIGEST_BYTES);
	}
	return session_name_ok(&out->successor);
}

static bool decode_ended(struct slice bytes, struct session_record *out)
{
	if (bytes.size != SESSION_FORMAT_ENDED_BYTES)
		return false;
	out->by_absolute = bytes.data[1] == 1;
	return bytes.data[1] == 0 || bytes.data[1] == 1;
}

bool session_record_decode(struct slice bytes, struct session_record *out)
{
	*out = (struct session_record){ 0 };
	if (bytes.size == 0)
		return false;
	out->kind = (uint8_t)bytes.data[0];
	switch (out->kind) {
	case SESSION_FORMAT_KIND_SESSION:
		return decode_session(bytes, out);
	case SESSION_FORMAT_KIND_ROTATED:
		return decode_rotated(bytes, out);
	case SESSION_FORMAT_KIND_DELETED:
		return bytes.size == 1;
	case SESSION_FORMAT_KIND_ENDED:
		return decode_ended(bytes, out);
	}
	return false;
}
