/*
 * container: from a member to the struct it lies in, for what brings its own links (list.h,
 * hash_table.h, deadlines.h).
 */
#ifndef BASE_CONTAINER_H
#define BASE_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

/* The `type` whose `member` this points to; not for NULL. It drops a `const`: whoever has only that
 * keeps it by the type of the variable. */
#define container_of(pointer, type, member) ((type *)((uintptr_t)(pointer)-offsetof(type, member)))

#endif
