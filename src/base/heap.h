/*
 * heap: memory for somebody who is not to be trusted with giving it back: bounded, counted as what
 * it really takes, and freed all at once whatever of it is in use. One owner; not thread-safe.
 *
 * A block's user names its size when it resizes or frees it, as Lua does; no header is kept for the
 * small ones.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Blocks of up to so many bytes share pages, by size, in steps of 16. */
#define HEAP_SMALL_BYTES   512
#define HEAP_SMALL_CLASSES (HEAP_SMALL_BYTES / 16)

/* What `bytes` grows by for small blocks. */
#define HEAP_CHUNK_BYTES 65536

struct heap_page;
struct heap_chunk;
struct heap_block;

struct heap {
	size_t bytes;     /* taken from the system */
	size_t bytes_max; /* may be changed at any time, also to less than `bytes` */
	struct heap_page *pages[HEAP_SMALL_CLASSES]; /* with room, of each size */
	struct heap_chunk *open_chunks;              /* with free pages */
	struct heap_chunk *full_chunks;
	struct heap_block *blocks; /* the large ones */
};

/* For tests: after so many blocks were made or made larger by this thread, so many are refused. */
struct heap_fault {
	uint64_t after;
	uint64_t count; /* 0: none are refused */
};
extern __thread struct heap_fault heap_fault;

/* Takes nothing until the first block. */
void heap_init(struct heap *heap, size_t bytes_max);
/* Frees every block. The heap can be used again. */
void heap_fini(struct heap *heap);

/* A block of `size` bytes, 16-byte aligned, with what `old` held; `old` is gone. `old` NULL: a new
 * one; `size` 0: NULL, and `old` is freed. NULL when that would take more than `bytes_max`, or the
 * system has none: `old` is as before. Making a block smaller always succeeds. */
void *heap_resize(struct heap *heap, void *old, size_t old_size, size_t size);

#endif
