/*
 * lease_timers: a binary heap of deadlines whose members bring their own links. Of equal deadlines
 * the one of the lower order comes first, so that what happens in one millisecond has an order too.
 *
 * Threads: whoever holds the shard.
 */
#ifndef LEASE_LEASE_TIMERS_H
#define LEASE_LEASE_TIMERS_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed: not set. */
struct lease_timer {
	int64_t at_ms;
	uint64_t order;
	size_t place; /* in the heap, counting from 1; 0: not set */
};

/* Zeroed: empty, without memory. */
struct lease_timers {
	struct lease_timer **heap;
	size_t count;
	size_t capacity;
};

/* Its members, if any, are left as they are. */
void lease_timers_fini(struct lease_timers *timers);
/* Sets it, or moves it when it is set. */
void lease_timers_set(
	struct lease_timers *timers, struct lease_timer *timer, int64_t at_ms, uint64_t order);
void lease_timers_remove(struct lease_timers *timers, struct lease_timer *timer);
/* The one that is due first; NULL when none is set. */
struct lease_timer *lease_timers_first(const struct lease_timers *timers);

#endif
