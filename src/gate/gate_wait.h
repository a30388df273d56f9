/*
 * gate_wait: whoever waits at the gate: until all that it depends on is released, or durable. What
 * it waits for is an LSN. Replies of connections stand behind marks of their own (net/), in the
 * order in which they leave; all else begins a gate_wait and is told.
 *
 * Threads: a struct gate_waits belongs to one thread, but for `wanted_lsn`, by which whoever makes
 * records durable knows that the thread sleeps for one of them.
 */
#ifndef GATE_GATE_WAIT_H
#define GATE_GATE_WAIT_H

#include "gate/gate.h"

#include <stdatomic.h>

/* One that waits; in the structure of whoever does. */
struct gate_wait {
	uint64_t lsn;
	/* It waits no more. On its thread, not within a turn; it may begin anew. */
	void (*told)(struct gate_wait *wait);
	struct gate_waits *waits; /* NULL: it does not wait */
	struct gate_wait *previous;
	struct gate_wait *next;
};

enum gate_until {
	GATE_UNTIL_RELEASED, /* replies that depend on it may leave (gate_released) */
	GATE_UNTIL_DURABLE,  /* a crash cannot take it back, whatever `durability` says */
};

/* All that wait on one thread, lowest LSN first. */
struct gate_waits {
	struct gate *gate;
	enum gate_until until;
	struct gate_wait *first;
	struct gate_wait *last;

	void (*wake)(void *context); /* safe from any thread; NULL: the thread does not sleep */
	void *context;
	_Atomic uint64_t wanted_lsn; /* wake when this is durable; 0: do not */
	struct gate_waits *next;     /* of the gate's */
};

/* Before the gate's threads start. The gate borrows it for its life. */
void gate_waits_init(struct gate_waits *waits, struct gate *gate, enum gate_until until);
/* Who is to be woken when the thread sleeps. */
void gate_waits_set_wake(struct gate_waits *waits, void (*wake)(void *context), void *context);

/* It is told by a gate_waits_run, also when its time has come already. It must not wait. */
void gate_wait_begin(struct gate_waits *waits, struct gate_wait *wait, uint64_t lsn);
/* It is not told any more. Nothing happens when it does not wait. */
void gate_wait_end(struct gate_wait *wait);
static inline bool gate_wait_is_on(const struct gate_wait *wait)
{
	return wait->waits != NULL;
}

/* Some may be told. */
bool gate_waits_are_due(const struct gate_waits *waits);
/* Tells all whose time has come. True when there were any. */
bool gate_waits_run(struct gate_waits *waits);
/* The thread is about to sleep, until one of these may be told or `lsn` too is durable (0: there is
 * nothing else). False: that has come meanwhile, and nobody might wake it. */
bool gate_waits_sleep(struct gate_waits *waits, uint64_t lsn);
/* By whoever has made everything up to `durable` so: wakes the thread if it sleeps for that. */
void gate_waits_wake(struct gate_waits *waits, uint64_t durable);

#endif
