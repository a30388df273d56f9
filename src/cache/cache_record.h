/*
 * cache_record: what is stored of an entry of the cache. The bytes are on disk:
 * include/holdfast/cache_format.h.
 */
#ifndef CACHE_CACHE_RECORD_H
#define CACHE_CACHE_RECORD_H

#include "base/arena.h"
#include "holdfast/cache_format.h"

#include <stdbool.h>
#include <stdint.h>

struct cache_record {
	uint8_t flags; /* CACHE_FORMAT_FLAG_... */
	uint8_t tag_count;
	int64_t filled_ms;
	int64_t ttl_ms;
	int64_t stale_ms;
	int64_t error_ms;
	uint64_t sequence;
	int64_t delta_ms;
	uint64_t place;
	struct slice tags; /* packed: see cache_tag_next */
	struct slice etag;
	struct slice last_modified;
	struct slice value;
};

/* The bytes lie in the arena. */
struct slice cache_record_encode(const struct cache_record *record, struct arena *arena);
/* False when the bytes are no record. Slices point into them. */
bool cache_record_decode(struct slice bytes, struct cache_record *out);

/* Takes the first tag off packed ones; false at the end. */
bool cache_tag_next(struct slice *tags, struct slice *out);
/* Packs tags of 1 to LIMIT_CACHE_TAG_BYTES. */
struct slice cache_tags_pack(const struct slice *tags, uint32_t count, struct arena *arena);

#endif
