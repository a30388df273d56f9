/*
 * value: what a store key maps to.
 */
#ifndef STORE_VALUE_H
#define STORE_VALUE_H

#include "base/slice.h"

#include <stdint.h>

/* Written to disk: numbers are never reused (include/holdfast/store_format.h). */
enum value_type {
	VALUE_NONE = 0,
	VALUE_NUMBER = 1,  /* 8 bytes, little endian: the server's own bookkeeping */
	VALUE_STRING = 2,  /* a plain Redis string */
	VALUE_BYTES = 3,   /* an object's storage value that is a string */
	VALUE_PACKED = 4,  /* one of any other type, and other packed facts (object/packed.h) */
	VALUE_OBJECT = 5,  /* an object's record (object/record.h) */
	VALUE_CACHE = 7,   /* an entry of the cache (cache/cache_record.h) */
	VALUE_SESSION = 6, /* what is known of a session's id (session/session_record.h) */
	VALUE_EDITED =
		8, /* a plain Redis string that was written in part: OBJECT ENCODING says raw */
};

struct value {
	uint8_t type;
	int64_t expire_ms; /* wall clock; 0: lives for ever */
	struct slice data; /* valid until the turn ends */
	size_t whole;      /* when it was read by an extent: bytes of all the data */
};

/* Life is checked at every read: an expired value is as good as absent, deleted or not. */
static inline bool value_is_live(const struct value *value, int64_t now_ms)
{
	return value->expire_ms == 0 || value->expire_ms > now_ms;
}

#endif
