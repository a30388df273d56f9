/*
 * lease_timers: see lease_timers.h. Each member knows its place in the heap, so that most timers
 * can do what they mostly do: be removed long before they are due, in logarithmic time.
 *
 * Life: zeroed, set and removed from, emptied by its user, lease_timers_fini.
 */
#include "lease/lease_timers.h"

#include "base/memory.h"

#include <assert.h>
#include <stdbool.h>

#define HEAP_FIRST 16

static bool is_before(const struct lease_timer *a, const struct lease_timer *b);
static void put(struct lease_timers *timers, size_t at, struct lease_timer *timer);
static void up(struct lease_timers *timers, size_t at);
static void down(struct lease_timers *timers, size_t at);

void lease_timers_fini(struct lease_timers *timers)
{
	memory_free(timers->heap);
	*timers = (struct lease_timers){ 0 };
}

void lease_timers_set(
	struct lease_timers *timers, struct lease_timer *timer, int64_t at_ms, uint64_t order)
{
	if (timer->place == 0) {
		if (timers->count == timers->capacity) {
			timers->capacity = timers->capacity ? timers->capacity * 2 : HEAP_FIRST;
			timers->heap = memory_resize(
				timers->heap, timers->capacity * sizeof(struct lease_timer *));
		}
		put(timers, timers->count++, timer);
	}
	assert(timers->heap[timer->place - 1] == timer);
	timer->at_ms = at_ms;
	timer->order = order;
	up(timers, timer->place - 1);
	down(timers, timer->place - 1);
}

void lease_timers_remove(struct lease_timers *timers, struct lease_timer *timer)
{
	assert(timer->place > 0);
	assert(timers->heap[timer->place - 1] == timer);
	struct lease_timer *last = timers->heap[--timers->count];
	size_t at = timer->place - 1;
	timer->place = 0;
	if (last == timer)
		return;
	put(timers, at, last);
	up(timers, at);
	down(timers, last->place - 1);
}

struct lease_timer *lease_timers_first(const struct lease_timers *timers)
{
	return timers->count ? timers->heap[0] : NULL;
}

static bool is_before(const struct lease_timer *a, const struct lease_timer *b)
{
	return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static void put(struct lease_timers *timers, size_t at, struct lease_timer *timer)
{
	timers->heap[at] = timer;
	timer->place = at + 1;
}

static void up(struct lease_timers *timers, size_t at)
{
	struct lease_timer *timer = timers->heap[at];
	while (at > 0) {
		size_t parent = (at - 1) / 2;
		if (!is_before(timer, timers->heap[parent]))
			break;
		put(timers, at, timers->heap[parent]);
		at = parent;
	}
	put(timers, at, timer);
}

static void down(struct lease_timers *timers, size_t at)
{
	struct lease_timer *timer = timers->heap[at];
	for (;;) {
		size_t child = at * 2 + 1;
		if (child >= timers->count)
			break;
		if (child + 1 < timers->count &&
			is_before(timers->heap[child + 1], timers->heap[child]))
			child++;
		if (!is_before(timers->heap[child], timer))
			break;
		put(timers, at, timers->heap[child]);
		at = child;
	}
	put(timers, at, timer);
}
