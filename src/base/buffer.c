/*
 * buffer: see buffer.h. Capacity doubles up to 1 MiB and then grows by a quarter, so that a large
 * reply does not hold twice its size.
 */
#include "base/buffer.h"

#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void buffer_init(struct buffer *buffer)
{
	*buffer = (struct buffer){ 0 };
}

void buffer_fini(struct buffer *buffer)
{
	memory_free(buffer->data);
	*buffer = (struct buffer){ 0 };
}

void buffer_clear(struct buffer *buffer, size_t keep_bytes)
{
	if (buffer->capacity > keep_bytes)
		buffer_fini(buffer);
	buffer->size = 0;
}

void buffer_grow(struct buffer *buffer, size_t more)
{
	size_t wanted = buffer->size + more;
	size_t capacity = buffer->capacity ? buffer->capacity : 256;
	while (capacity < wanted)
		capacity += capacity < (1 << 20) ? capacity : capacity / 4;
	buffer->data = memory_resize(buffer->data, capacity);
	buffer->capacity = capacity;
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
	va_list list, again;
	va_start(list, format);
	va_copy(again, list);
	int size = vsnprintf(NULL, 0, format, list);
	char *out = buffer_reserve(buffer, (size_t)size + 1);
	vsnprintf(out, (size_t)size + 1, format, again);
	buffer->size += (size_t)size;
	va_end(again);
	va_end(list);
}

void buffer_drop_front(struct buffer *buffer, size_t count)
{
	assert(count <= buffer->size);
	if (count == 0)
		return;
	memmove(buffer->data, buffer->data + count, buffer->size - count);
	buffer->size -= count;
}
