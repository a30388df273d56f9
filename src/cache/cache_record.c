/*
 * cache_record: see cache_record.h.
 *
 * Threads: any.
 */
#include "cache/cache_record.h"

#include "base/little.h"
#include "holdfast/limits.h"

#include <assert.h>
#include <string.h>

static char *put_bytes(char *at, struct slice bytes)
{
	if (bytes.size)
		memcpy(at, bytes.data, bytes.size);
	return at + bytes.size;
}

struct slice cache_record_encode(const struct cache_record *record, struct arena *arena)
{
	size_t size = CACHE_FORMAT_HEADER_BYTES + record->tags.size + record->etag.size +
		record->last_modified.size + record->value.size;
	char *bytes = arena_alloc(arena, size);
	assert(record->etag.size <= UINT16_MAX);
	assert(record->last_modified.size <= UINT16_MAX);
	bytes[0] = (char)record->flags;
	bytes[1] = (char)record->tag_count;
	little_put_16(bytes + 2, (uint16_t)record->etag.size);
	little_put_16(bytes + 4, (uint16_t)record->last_modified.size);
	little_put_16(bytes + 6, 0);
	little_put_64(bytes + 8, (uint64_t)record->filled_ms);
	little_put_64(bytes + 16, (uint64_t)record->ttl_ms);
	little_put_64(bytes + 24, (uint64_t)record->stale_ms);
	little_put_64(bytes + 32, (uint64_t)record->error_ms);
	little_put_64(bytes + 40, record->sequence);
	little_put_64(bytes + 48, (uint64_t)record->delta_ms);
	little_put_64(bytes + 56, record->place);
	char *at = put_bytes(bytes + CACHE_FORMAT_HEADER_BYTES, record->tags);
	at = put_bytes(at, record->etag);
	at = put_bytes(at, record->last_modified);
	at = put_bytes(at, record->value);
	assert(at == bytes + size);
	return slice_of(bytes, size);
}

static bool take(struct slice *rest, size_t size, struct slice *out)
{
	if (rest->size < size)
		return false;
	*out = slice_of(rest->data, size);
	*rest = slice_of(rest->data + size, rest->size - size);
	return true;
}

bool cache_record_decode(struct slice bytes, struct cache_record *out)
{
	struct slice rest = bytes, header, tag;
	*out = (struct cache_record){ 0 };
	if (!take(&rest, CACHE_FORMAT_HEADER_BYTES, &header))
		return false;
	const char *at = header.data;
	out->flags = (uint8_t)at[0];
	out->tag_count = (uint8_t)at[1];
	out->filled_ms = (int64_t)little_get_64(at + 8);
	out->ttl_ms = (int64_t)little_get_64(at + 16);
	out->stale_ms = (int64_t)little_get_64(at + 24);
	out->error_ms = (int64_t)little_get_64(at + 32);
	out->sequence = little_get_64(at + 40);
	out->delta_ms = (int64_t)little_get_64(at + 48);
	out->place = little_get_64(at + 56);
	struct slice tags = rest;
	for (uint8_t i = 0; i < out->tag_count; i++)
		if (!cache_tag_next(&rest, &tag))
			return false;
	out->tags = slice_of(tags.data, tags.size - rest.size);
	if (!take(&rest, little_get_16(at + 2), &out->etag) ||
		!take(&rest, little_get_16(at + 4), &out->last_modified))
		return false;
	out->value = rest;
	return true;
}

bool cache_tag_next(struct slice *tags, struct slice *out)
{
	if (tags->size == 0)
		return false;
	size_t size = (unsigned char)tags->data[0];
	struct slice rest = slice_of(tags->data + 1, tags->size - 1);
	if (size == 0 || !take(&rest, size, out))
		return false;
	*tags = rest;
	return true;
}

struct slice cache_tags_pack(const struct slice *tags, uint32_t count, struct arena *arena)
{
	size_t size = 0;
	for (uint32_t i = 0; i < count; i++)
		size += 1 + tags[i].size;
	char *bytes = arena_alloc(arena, size), *at = bytes;
	for (uint32_t i = 0; i < count; i++) {
		assert(tags[i].size > 0);
		assert(tags[i].size <= LIMIT_CACHE_TAG_BYTES);
		*at++ = (char)tags[i].size;
		at = put_bytes(at, tags[i]);
	}
	return slice_of(bytes, size);
}
