/*
 * gate_wait: lets its user wait until an LSN is released, or durable, and then calls it back.
 * Replies of connections stand behind marks of their own (net/order.h), in the order in which they
 * leave; everything else that waits for an LSN uses a gate_wait.
 *
 * Threads: a struct gate_waits belongs to one thread, but for `wanted_lsn`: whoever makes records
 * durable reads there whether to wake that thread.
 */
#ifndef GATE_GATE_WAIT_H
#define GATE_GATE_WAIT_H

#include "gate/gate.h"

#include <stdatomic.h>

/* One that waits; in the structure of whoever does. */
struct gate_wait {
	uint64_t lsn;
	/* The wait is over. Called on its thread, not within a turn; it may begin a new wait. */
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
	struct gate_waits *next;     /* in the gate's list */
};

/* To be called before the gate's threads start. The gate keeps the pointer for all its life. */
void gate_waits_init(struct gate_waits *waits, struct gate *gate, enum gate_until until);
/* Who is to be woken when the thread sleeps. */
void gate_waits_set_wake(struct gate_waits *waits, void (*wake)(void *context), void *context);

/* It must not wait already. It is told by a gate_waits_run, never from within this call. */
void gate_wait_begin(struct gate_waits *waits, struct gate_wait *wait, uint64_t lsn);
/* It is not told any more. Nothing happens when it does not wait. */
void gate_wait_end(struct gate_wait *wait);
static inline bool gate_wait_is_on(const struct gate_wait *wait)
{
	return wait->waits != NULL;
}

/* True if gate_waits_run would tell somebody. */
bool gate_waits_are_due(const struct gate_waits *waits);
/* Tells all whose time has come. True when there were any. */
bool gate_waits_run(struct gate_waits *waits);
/* To be called before the thread sleeps, which is until one of these may be told or `lsn` too is
 * durable (0: there is nothing else). False: that has come already, and it must not sleep. */
bool gate_waits_sleep(struct gate_waits *waits, uint64_t lsn);
/* By whoever has made everything up to `durable` so: wakes the thread if it sleeps for that. */
void gate_waits_wake(struct gate_waits *waits, uint64_t durable);

#endif
