/*
 * arena: bump allocation, thrown away whole. One owner at a time; not thread-safe.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

#include <stdint.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first; the one allocated from */
	char *next;
	char *end;
	size_t chunk_bytes;
	size_t bytes;     /* held in chunks */
	size_t bytes_max; /* for those who ask (arena_has_room); SIZE_MAX unless somebody says less
			   */
};

/* Nothing is allocated until the first use. `chunk_bytes`: what one chunk holds; a larger request
 * gets a chunk of its own. */
void arena_init(struct arena *arena, size_t chunk_bytes);
void arena_fini(struct arena *arena);
/* Forgets everything allocated; keeps one chunk of the usual size for the next use. */
void arena_reset(struct arena *arena);

void *arena_alloc_slow(struct arena *arena, size_t size);

/* 8-byte aligned, uninitialised, valid until reset or fini. */
static inline void *arena_alloc(struct arena *arena, size_t size)
{
	size = (size + 7) & ~(size_t)7;
	if (size > (size_t)(arena->end - arena->next))
		return arena_alloc_slow(arena, size);
	char *memory = arena->next;
	arena->next += size;
	return memory;
}

/* Whether so much more stays within the bound: for what is read into it and may be large. */
static inline bool arena_has_room(const struct arena *arena, size_t more)
{
	return arena->bytes <= arena->bytes_max && more <= arena->bytes_max - arena->bytes;
}

/* A place to go back to: arena_rewind frees what was allocated since. */
struct arena_mark {
	struct arena_chunk *chunk;
	struct arena_chunk *older;
	char *next;
};
struct arena_mark arena_mark(struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);

struct slice arena_copy(struct arena *arena, struct slice bytes);
/* printf into the arena. */
struct slice arena_format(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
