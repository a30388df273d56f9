/*
 * deadlines: a binary heap of times, the earliest first. A member remembers its place in the heap,
 * so that it can be moved and removed; the array of pointers is the heap's own. Of equal times the
 * one of the lower order comes first, so that what happens in one millisecond has an order too.
 *
 * Threads: whoever may touch the members.
 */
#ifndef BASE_DEADLINES_H
#define BASE_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed: not set. */
struct deadline {
	int64_t at_ms;
	uint64_t order;
	size_t place; /* in the heap, counting from 1; 0: not set */
};

/* Zeroed: empty, without memory. */
struct deadlines {
	struct deadline **heap;
	size_t count;
	size_t capacity;
};

/* Frees the array. Members are not touched, and must not be removed afterwards. */
void deadlines_fini(struct deadlines *deadlines);
/* Sets it, or moves it when it is set. */
void deadlines_set(
	struct deadlines *deadlines, struct deadline *deadline, int64_t at_ms, uint64_t order);
/* Nothing happens when it is not set. */
void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline);
/* The one that is due first; NULL when none is set. */
struct deadline *deadlines_first(const struct deadlines *deadlines);

#endif
