/*
 * tree_value: the bytes of values.
 *
 * LMDB puts a value of more than half a page on pages of its own, which must be contiguous. Finding
 * a long run of free pages in a fragmented file is slow, so large data is cut into chunks that each
 * fill a fixed number of pages exactly. A chunked value gets a fresh number with each write: old
 * chunks are deleted by the descriptor that names them, and a descriptor never meets chunks of
 * another write.
 *
 * Headers and descriptors are read as what they are: bytes from a disk. Each length is checked
 * against what the format allows before anything is read or allocated by it.
 *
 * Threads: none of its own; a cursor's owner calls.
 */
#include "store/tree_value.h"

#include "store/tree_private.h"

#include <assert.h>
#include <errno.h>

static int parse_times(uint8_t flags, const char **bytes, const char *end, struct tree_value *out);
static int parse_descriptor(struct tree_value *out);
static int find_chunk(
	MDB_cursor *cursor, const struct tree_value *value, uint64_t index, MDB_val *chunk);

int tree_value_parse(const MDB_val *entry, struct tree_value *out)
{
	if (entry->mv_size < 2 || entry->mv_size > STORE_FORMAT_INLINE_BYTES_MAX)
		return tree_damaged("a value's entry has %zu bytes", entry->mv_size);
	const char *bytes = entry->mv_data, *end = bytes + entry->mv_size;
	*out = (struct tree_value){ .type = (uint8_t)bytes[0] };
	uint8_t flags = (uint8_t)bytes[1];
	const uint8_t known =
		STORE_FORMAT_FLAG_EXPIRE | STORE_FORMAT_FLAG_FILED | STORE_FORMAT_FLAG_CHUNKED;
	if (out->type == VALUE_NONE || (flags & ~known) != 0)
		return tree_damaged("a value has type %u and flags %02x", out->type, flags);
	bytes += 2;
	int rc = parse_times(flags, &bytes, end, out);
	if (rc < 0)
		return rc;
	out->payload = slice_of(bytes, (size_t)(end - bytes));
	out->size = out->payload.size;
	out->chunked = flags & STORE_FORMAT_FLAG_CHUNKED;
	return out->chunked ? parse_descriptor(out) : 0;
}

bool tree_value_is_large(int64_t expire_ms, int64_t filed_ms, size_t data_size)
{
	return data_size >
		STORE_FORMAT_INLINE_BYTES_MAX - tree_value_header_size(expire_ms, filed_ms);
}

size_t tree_value_header_size(int64_t expire_ms, int64_t filed_ms)
{
	assert((expire_ms == 0) == (filed_ms == 0));
	assert(filed_ms <= expire_ms);
	return 2 + (expire_ms ? sizeof expire_ms : 0) +
		(filed_ms != expire_ms ? sizeof filed_ms : 0);
}

void tree_value_write_header(
	char *out, uint8_t type, bool chunked, int64_t expire_ms, int64_t filed_ms)
{
	assert(type != VALUE_NONE);
	out[0] = (char)type;
	out[1] = (char)((expire_ms ? STORE_FORMAT_FLAG_EXPIRE : 0) |
		(filed_ms != expire_ms ? STORE_FORMAT_FLAG_FILED : 0) |
		(chunked ? STORE_FORMAT_FLAG_CHUNKED : 0));
	if (expire_ms)
		tree_write_u64(out + 2, (uint64_t)expire_ms);
	if (filed_ms != expire_ms)
		tree_write_u64(out + 10, (uint64_t)filed_ms);
}

void tree_value_write_descriptor(char *out, uint64_t data_size, uint64_t number)
{
	assert(data_size <= STORE_FORMAT_VALUE_BYTES_MAX);
	tree_write_u64(out, data_size);
	tree_write_u64(out + 8, number);
}

int tree_value_load(const struct tree_value *value, MDB_cursor *cursor, struct arena *arena,
	struct extent extent, struct value *out)
{
	*out = (struct value){ .type = value->type,
		.expire_ms = value->expire_ms,
		.data = slice_of(NULL, (size_t)value->size),
		.whole = (size_t)value->size };
	if (!arena)
		return 0;
	if (!value->chunked) {
		out->data = slice_extent(value->payload, extent);
		return 0;
	}
	out->data.size = extent_size(extent, out->data.size);
	if (!arena_has_room(arena, out->data.size))
		return 0;
	char *data = arena_alloc(arena, out->data.size);
	for (size_t done = 0; done < out->data.size;) {
		MDB_val chunk;
		size_t at = extent.from + done, within = at % STORE_FORMAT_CHUNK_BYTES;
		int rc = find_chunk(cursor, value, at / STORE_FORMAT_CHUNK_BYTES, &chunk);
		if (rc < 0)
			return rc;
		size_t here = chunk.mv_size - within, left = out->data.size - done;
		size_t taken = here < left ? here : left;
		memcpy(data + done, (const char *)chunk.mv_data + within, taken);
		done += taken;
	}
	out->data.data = data;
	return 0;
}

static void chunk_key(char out[STORE_FORMAT_CHUNK_KEY_BYTES], uint64_t number, uint64_t index)
{
	out[0] = (char)STORE_FORMAT_TABLE_CHUNKS;
	tree_write_ordered(out + 1, number);
	uint32_t ordered = htobe32((uint32_t)index);
	memcpy(out + 9, &ordered, sizeof ordered);
}

static size_t chunk_size(uint64_t data_size, uint64_t index)
{
	uint64_t left = data_size - index * STORE_FORMAT_CHUNK_BYTES;
	return left < STORE_FORMAT_CHUNK_BYTES ? (size_t)left : STORE_FORMAT_CHUNK_BYTES;
}

int tree_value_write_chunks(MDB_cursor *cursor, uint64_t number, struct slice data)
{
	for (uint64_t at = 0; at < data.size; at += STORE_FORMAT_CHUNK_BYTES) {
		char key[STORE_FORMAT_CHUNK_KEY_BYTES];
		chunk_key(key, number, at / STORE_FORMAT_CHUNK_BYTES);
		MDB_val name = { sizeof key, key };
		MDB_val room = { chunk_size(data.size, at / STORE_FORMAT_CHUNK_BYTES), NULL };
		int rc = tree_error(mdb_cursor_put(cursor, &name, &room, MDB_RESERVE));
		if (rc < 0)
			return rc;
		memcpy(room.mv_data, data.data + at, room.mv_size);
	}
	return 0;
}

int tree_value_delete_chunks(MDB_cursor *cursor, const struct tree_value *value)
{
	for (uint64_t i = 0; i * STORE_FORMAT_CHUNK_BYTES < value->size; i++) {
		MDB_val chunk;
		int rc = find_chunk(cursor, value, i, &chunk);
		if (rc == 0)
			rc = tree_error(mdb_cursor_del(cursor, 0));
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int parse_times(uint8_t flags, const char **bytes, const char *end, struct tree_value *out)
{
	size_t times = ((flags & STORE_FORMAT_FLAG_EXPIRE) != 0) +
		((flags & STORE_FORMAT_FLAG_FILED) != 0);
	if ((size_t)(end - *bytes) < times * sizeof(int64_t))
		return tree_damaged("a value ends within its header");
	if (flags & STORE_FORMAT_FLAG_EXPIRE) {
		out->expire_ms = (int64_t)tree_read_u64(*bytes);
		out->filed_ms = out->expire_ms;
		if (out->expire_ms == 0)
			return tree_damaged("a value expires at no time");
	}
	if (flags & STORE_FORMAT_FLAG_FILED) {
		if (!out->expire_ms)
			return tree_damaged("a value is filed and does not expire");
		out->filed_ms = (int64_t)tree_read_u64(*bytes + 8);
		if (out->filed_ms == 0 || out->filed_ms >= out->expire_ms)
			return tree_damaged("a value expires at %lld and is filed at %lld",
				(long long)out->expire_ms, (long long)out->filed_ms);
	}
	*bytes += times * sizeof(int64_t);
	return 0;
}

static int parse_descriptor(struct tree_value *out)
{
	if (out->payload.size != STORE_FORMAT_DESCRIPTOR_BYTES)
		return tree_damaged("a descriptor has %zu bytes", out->payload.size);
	out->size = tree_read_u64(out->payload.data);
	out->number = tree_read_u64(out->payload.data + 8);
	if (out->number == 0 || out->size > STORE_FORMAT_VALUE_BYTES_MAX ||
		out->size <= STORE_FORMAT_INLINE_BYTES_MAX - STORE_FORMAT_HEADER_BYTES_MAX)
		return tree_damaged("a descriptor says %llu bytes of value number %llu",
			(unsigned long long)out->size, (unsigned long long)out->number);
	return 0;
}

static int find_chunk(
	MDB_cursor *cursor, const struct tree_value *value, uint64_t index, MDB_val *chunk)
{
	char key[STORE_FORMAT_CHUNK_KEY_BYTES];
	chunk_key(key, value->number, index);
	MDB_val name = { sizeof key, key };
	int rc = tree_error(mdb_cursor_get(cursor, &name, chunk, MDB_SET));
	if (rc == -ENOENT)
		return tree_damaged("chunk %llu of value number %llu is missing",
			(unsigned long long)index, (unsigned long long)value->number);
	if (rc == 0 && chunk->mv_size != chunk_size(value->size, index))
		return tree_damaged("chunk %llu of value number %llu has %zu bytes",
			(unsigned long long)index, (unsigned long long)value->number,
			chunk->mv_size);
	return rc;
}
