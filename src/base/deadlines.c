/*
 * deadlines: a binary heap of pointers. Each member knows its place in it, so that most deadlines
 * can do what they mostly do: be removed long before they are due, in logarithmic time.
 *
 * Life: zeroed, set and removed from, emptied by its user, deadlines_fini.
 *
 * Threads: see deadlines.h.
 */
#include "base/deadlines.h"

#include "base/memory.h"

#include <assert.h>
#include <stdbool.h>

#define CAPACITY_FIRST 16

static bool is_before(const struct deadline *a, const struct deadline *b);
static void put(struct deadlines *deadlines, size_t at, struct deadline *deadline);
static void up(struct deadlines *deadlines, size_t at);
static void down(struct deadlines *deadlines, size_t at);

void deadlines_fini(struct deadlines *deadlines)
{
	memory_free(deadlines->heap);
	*deadlines = (struct deadlines){ 0 };
}

void deadlines_set(
	struct deadlines *deadlines, struct deadline *deadline, int64_t at_ms, uint64_t order)
{
	if (deadline->place == 0) {
		if (deadlines->count == deadlines->capacity) {
			deadlines->capacity =
				deadlines->capacity ? deadlines->capacity * 2 : CAPACITY_FIRST;
			deadlines->heap = memory_resize(
				deadlines->heap, deadlines->capacity * sizeof(struct deadline *));
		}
		put(deadlines, deadlines->count++, deadline);
	}
	assert(deadlines->heap[deadline->place - 1] == deadline);
	deadline->at_ms = at_ms;
	deadline->order = order;
	up(deadlines, deadline->place - 1);
	down(deadlines, deadline->place - 1);
}

void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline)
{
	if (deadline->place == 0)
		return;
	assert(deadline->place <= deadlines->count);
	assert(deadlines->heap[deadline->place - 1] == deadline);
	struct deadline *last = deadlines->heap[--deadlines->count];
	size_t at = deadline->place - 1;
	deadline->place = 0;
	if (last == deadline)
		return;
	put(deadlines, at, last);
	up(deadlines, at);
	down(deadlines, last->place - 1);
}

struct deadline *deadlines_first(const struct deadlines *deadlines)
{
	return deadlines->count ? deadlines->heap[0] : NULL;
}

static bool is_before(const struct deadline *a, const struct deadline *b)
{
	return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static void put(struct deadlines *deadlines, size_t at, struct deadline *deadline)
{
	deadlines->heap[at] = deadline;
	deadline->place = at + 1;
}

static void up(struct deadlines *deadlines, size_t at)
{
	struct deadline *deadline = deadlines->heap[at];
	while (at > 0) {
		size_t parent = (at - 1) / 2;
		if (!is_before(deadline, deadlines->heap[parent]))
			break;
		put(deadlines, at, deadlines->heap[parent]);
		at = parent;
	}
	put(deadlines, at, deadline);
}

static void down(struct deadlines *deadlines, size_t at)
{
	struct deadline *deadline = deadlines->heap[at];
	for (;;) {
		size_t child = at * 2 + 1;
		if (child >= deadlines->count)
			break;
		if (child + 1 < deadlines->count &&
			is_before(deadlines->heap[child + 1], deadlines->heap[child]))
			child++;
		if (!is_before(deadlines->heap[child], deadline))
			break;
		put(deadlines, at, deadlines->heap[child]);
		at = child;
	}
	put(deadlines, at, deadline);
}
