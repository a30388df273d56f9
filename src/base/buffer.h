/*
 * buffer: a growing run of bytes with an owner. Not thread-safe.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/slice.h"

struct buffer {
	char *data;
	size_t size;
	size_t capacity;
};

/* Holds nothing, allocates nothing. */
void buffer_init(struct buffer *buffer);
void buffer_fini(struct buffer *buffer);
/* Empties it and gives memory back when it holds more than `keep_bytes`. */
void buffer_clear(struct buffer *buffer, size_t keep_bytes);
void buffer_grow(struct buffer *buffer, size_t more);
void buffer_format(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Drops the first `count` bytes, moving the rest down. */
void buffer_drop_front(struct buffer *buffer, size_t count);

/* Room for `more` bytes behind `size`; the caller fills them and raises `size`. */
static inline char *buffer_reserve(struct buffer *buffer, size_t more)
{
	if (more > buffer->capacity - buffer->size)
		buffer_grow(buffer, more);
	return buffer->data + buffer->size;
}

static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
	if (size == 0)
		return;
	memcpy(buffer_reserve(buffer, size), bytes, size);
	buffer->size += size;
}

/* In front of what it holds. */
static inline void buffer_prepend(struct buffer *buffer, const void *bytes, size_t size)
{
	buffer_reserve(buffer, size);
	memmove(buffer->data + size, buffer->data, buffer->size);
	memcpy(buffer->data, bytes, size);
	buffer->size += size;
}

static inline void buffer_append_text(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

static inline struct slice buffer_slice(const struct buffer *buffer)
{
	return slice_of(buffer->data, buffer->size);
}

#endif
