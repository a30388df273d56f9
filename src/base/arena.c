/*
 * arena: chunks in a list, allocation by moving a pointer. A reset keeps the oldest chunk when it
 * has the usual size, so that an arena reused for small work touches the allocator once in its
 * life.
 */
#include "base/arena.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

struct arena_chunk {
	struct arena_chunk *older;
	size_t size;
	char bytes[];
};

void arena_init(struct arena *arena, size_t chunk_bytes)
{
	*arena = (struct arena){ .chunk_bytes = chunk_bytes, .bytes_max = SIZE_MAX };
}

void arena_fini(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *chunk = arena->chunks;
		arena->chunks = chunk->older;
		memory_free(chunk);
	}
	arena->next = arena->end = NULL;
	arena->bytes = 0;
}

void arena_reset(struct arena *arena)
{
	struct arena_chunk *kept = NULL;
	while (arena->chunks) {
		struct arena_chunk *chunk = arena->chunks;
		arena->chunks = chunk->older;
		if (kept == NULL && chunk->size == arena->chunk_bytes)
			kept = chunk;
		else
			memory_free(chunk);
	}
	arena->chunks = kept;
	arena->next = arena->end = NULL;
	arena->bytes = 0;
	arena->bytes_max = SIZE_MAX;
	if (kept) {
		kept->older = NULL;
		arena->next = kept->bytes;
		arena->end = kept->bytes + kept->size;
		arena->bytes = kept->size;
	}
}

void *arena_alloc_slow(struct arena *arena, size_t size)
{
	bool own = size > arena->chunk_bytes / 4;
	size_t chunk_size = own ? size : arena->chunk_bytes;
	struct arena_chunk *chunk = memory_alloc(sizeof(*chunk) + chunk_size);
	chunk->size = chunk_size;
	arena->bytes += chunk_size;
	if (own && arena->chunks) {
		/* Behind the current chunk, whose free rest stays in use. */
		chunk->older = arena->chunks->older;
		arena->chunks->older = chunk;
		return chunk->bytes;
	}
	chunk->older = arena->chunks;
	arena->chunks = chunk;
	arena->next = chunk->bytes + size;
	arena->end = chunk->bytes + chunk_size;
	return chunk->bytes;
}

struct arena_mark arena_mark(struct arena *arena)
{
	return (struct arena_mark){
		.chunk = arena->chunks,
		.older = arena->chunks ? arena->chunks->older : NULL,
		.next = arena->next,
	};
}

static void free_until(struct arena *arena, struct arena_chunk **list, struct arena_chunk *end)
{
	while (*list != end) {
		struct arena_chunk *chunk = *list;
		*list = chunk->older;
		arena->bytes -= chunk->size;
		memory_free(chunk);
	}
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
	free_until(arena, &arena->chunks, mark.chunk);
	arena->next = mark.next;
	arena->end = NULL;
	if (mark.chunk) {
		/* Large allocations stand behind the chunk that was the current one. */
		free_until(arena, &mark.chunk->older, mark.older);
		arena->end = mark.chunk->bytes + mark.chunk->size;
	}
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
	char *copy = arena_alloc(arena, bytes.size);
	if (bytes.size)
		memcpy(copy, bytes.data, bytes.size);
	return slice_of(copy, bytes.size);
}

struct slice arena_format(struct arena *arena, const char *format, ...)
{
	va_list list, again;
	va_start(list, format);
	va_copy(again, list);
	int size = vsnprintf(NULL, 0, format, list);
	char *text = arena_alloc(arena, (size_t)size + 1);
	vsnprintf(text, (size_t)size + 1, format, again);
	va_end(again);
	va_end(list);
	return slice_of(text, (size_t)size);
}
