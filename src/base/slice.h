/*
 * slice: a borrowed run of bytes. It owns nothing; whoever hands it out says how long it lives.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *data;
	size_t size;
};

static inline struct slice slice_of(const void *data, size_t size)
{
	return (struct slice){ .data = data, .size = size };
}

static inline struct slice slice_text(const char *text)
{
	return slice_of(text, strlen(text));
}

/* Which bytes of something longer are wanted: no more than `most` of those that begin at `from`. */
struct extent {
	size_t from;
	size_t most;
};
#define EXTENT_WHOLE ((struct extent){ 0, SIZE_MAX })

/* How many of `size` bytes are in the extent. */
static inline size_t extent_size(struct extent extent, size_t size)
{
	size_t left = extent.from < size ? size - extent.from : 0;
	return left < extent.most ? left : extent.most;
}

static inline struct slice slice_extent(struct slice whole, struct extent extent)
{
	size_t size = extent_size(extent, whole.size);
	return size ? slice_of(whole.data + extent.from, size) : slice_of(whole.data, 0);
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* ASCII case does not matter; `text` is a C string. */
static inline bool slice_is(struct slice a, const char *text)
{
	return a.size == strlen(text) && (a.size == 0 || strncasecmp(a.data, text, a.size) == 0);
}

/* Byte order, a proper prefix before the longer one: <0, 0, >0. */
static inline int slice_compare(struct slice a, struct slice b)
{
	size_t shared = a.size < b.size ? a.size : b.size;
	int order = shared ? memcmp(a.data, b.data, shared) : 0;
	return order ? order : (a.size > b.size) - (a.size < b.size);
}

static inline bool slice_starts_with(struct slice a, struct slice prefix)
{
	return a.size >= prefix.size &&
		(prefix.size == 0 || memcmp(a.data, prefix.data, prefix.size) == 0);
}

#endif
