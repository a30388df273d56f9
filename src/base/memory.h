/*
 * memory: allocation that does not fail. Running out of memory is a durability fault (style: errors
 * of the fourth kind): it is said and the process aborts, and recovery replays the log.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Uninitialised bytes, aligned for any type. `size` 0 gives a unique pointer. */
void *memory_alloc(size_t size);
/* Zeroed bytes. */
void *memory_zeroed(size_t size);
void *memory_resize(void *memory, size_t size);
/* Uninitialised bytes at a multiple of `alignment`, a power of two; freed as all others, and not
 * resized. */
void *memory_aligned(size_t alignment, size_t size);
char *memory_copy_text(const char *text);
void memory_free(void *memory);

/* Bytes now handed out by the allocator, for INFO. Walks the allocator's own counters: not for a
 * hot path. */
size_t memory_used(void);
/* Gives free memory back to the system when the allocator keeps more than so much. Takes some 100
 * ms a gigabyte, in which other threads may wait for memory. */
void memory_give_back(size_t kept_bytes_max);
/* Resident set of this process in bytes, from /proc/self/statm; 0 when unreadable. */
/* What the allocator has of the system's memory, used or not. */
size_t memory_active(void);
size_t memory_resident(void);
/* Physical memory of the machine in bytes. */
size_t memory_total(void);

#endif
