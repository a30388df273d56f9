/*
 * memory: see memory.h. The C library's allocator serves; this file only turns failure into an
 * abort, so that no caller carries an error path that nothing can exercise.
 */
#include "base/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the first touch of memory costs shows where a block is filled once and given back, as those
 * of large values are. Blocks of so many bytes are worth pages of LARGE_PAGE_BYTES, where the
 * system gives any to who asks. */
#define LARGE_BLOCK_BYTES ((size_t)4 << 20)
#define LARGE_PAGE_BYTES  ((uintptr_t)2 << 20)

static void *check(void *memory, size_t size)
{
	if (memory == NULL) {
		fprintf(stderr, "holdfast: out of memory allocating %zu bytes\n", size);
		abort();
	}
	return memory;
}

static void *with_large_pages(void *memory, size_t size)
{
	if (size < LARGE_BLOCK_BYTES)
		return memory;
	uintptr_t from = ((uintptr_t)memory + LARGE_PAGE_BYTES - 1) & ~(LARGE_PAGE_BYTES - 1);
	uintptr_t to = ((uintptr_t)memory + size) & ~(LARGE_PAGE_BYTES - 1);
	/* A wish: without it everything works as well, only slower. */
	(void)madvise((void *)from, to - from, MADV_HUGEPAGE);
	return memory;
}

void *memory_alloc(size_t size)
{
	return with_large_pages(check(malloc(size ? size : 1), size), size);
}

void *memory_zeroed(size_t size)
{
	return check(calloc(1, size ? size : 1), size);
}

void *memory_resize(void *memory, size_t size)
{
	return with_large_pages(check(realloc(memory, size ? size : 1), size), size);
}

void *memory_aligned(size_t alignment, size_t size)
{
	void *memory = NULL;
	if (posix_memalign(&memory, alignment, size) != 0)
		memory = NULL;
	return with_large_pages(check(memory, size), size);
}

char *memory_copy_text(const char *text)
{
	size_t size = strlen(text) + 1;
	return memcpy(memory_alloc(size), text, size);
}

void memory_free(void *memory)
{
	free(memory);
}

size_t memory_used(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

size_t memory_active(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.arena + info.hblkhd;
}

void memory_give_back(size_t kept_bytes_max)
{
	if (mallinfo2().fordblks > kept_bytes_max)
		malloc_trim(0);
}

size_t memory_resident(void)
{
	unsigned long total = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

size_t memory_total(void)
{
	return (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
}
