/*
 * memory: see memory.h. The C library's allocator serves; this file only turns failure into an
 * abort, so that no caller carries an error path that nothing can exercise.
 */
#include "base/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *check(void *memory, size_t size)
{
	if (memory == NULL) {
		fprintf(stderr, "holdfast: out of memory allocating %zu bytes\n", size);
		abort();
	}
	return memory;
}

void *memory_alloc(size_t size)
{
	return check(malloc(size ? size : 1), size);
}

void *memory_zeroed(size_t size)
{
	return check(calloc(1, size ? size : 1), size);
}

void *memory_resize(void *memory, size_t size)
{
	return check(realloc(memory, size ? size : 1), size);
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
