/*
 * gate_wait: see gate_wait.h.
 *
 *   gate_wait_begin --> in line by LSN --(gate_waits_run: released, or durable)--> told
 *                            '--(gate_wait_end)--> forgotten
 *
 * LSNs are waited for in about the order in which they are given out, so the line is a list in
 * which a newcomer looks for its place from the end.
 *
 * A thread that sleeps says for which LSN, and then looks once more; whoever makes records durable
 * says so, and then looks who sleeps. Both in this order, sequentially consistent: one of the two
 * sees the other, so no wake-up is lost.
 *
 * Threads: see gate_wait.h.
 */
#include "gate/gate_wait.h"

#include "gate/gate_private.h"

#include <assert.h>

void gate_waits_init(struct gate_waits *waits, struct gate *gate, enum gate_until until)
{
	assert(!gate->threads_running);
	*waits = (struct gate_waits){ .gate = gate, .until = until, .next = gate->waits };
	gate->waits = waits;
}

void gate_waits_set_wake(struct gate_waits *waits, void (*wake)(void *context), void *context)
{
	assert(!waits->gate->threads_running);
	waits->wake = wake;
	waits->context = context;
}

void gate_wait_begin(struct gate_waits *waits, struct gate_wait *wait, uint64_t lsn)
{
	assert(!gate_wait_is_on(wait));
	struct gate_wait *before = waits->last;
	while (before && before->lsn > lsn)
		before = before->previous;
	struct gate_wait *after = before ? before->next : waits->first;
	wait->lsn = lsn;
	wait->waits = waits;
	wait->previous = before;
	wait->next = after;
	*(before ? &before->next : &waits->first) = wait;
	*(after ? &after->previous : &waits->last) = wait;
}

void gate_wait_end(struct gate_wait *wait)
{
	struct gate_waits *waits = wait->waits;
	if (waits == NULL)
		return;
	*(wait->previous ? &wait->previous->next : &waits->first) = wait->next;
	*(wait->next ? &wait->next->previous : &waits->last) = wait->previous;
	wait->waits = NULL;
	wait->previous = wait->next = NULL;
}

static uint64_t reached(const struct gate_waits *waits)
{
	return waits->until == GATE_UNTIL_DURABLE ? gate_durable(waits->gate)
						  : gate_released(waits->gate);
}

bool gate_waits_are_due(const struct gate_waits *waits)
{
	return waits->first && waits->first->lsn <= reached(waits);
}

bool gate_waits_run(struct gate_waits *waits)
{
	bool any = false;
	while (gate_waits_are_due(waits)) {
		struct gate_wait *wait = waits->first;
		gate_wait_end(wait);
		wait->told(wait);
		any = true;
	}
	return any;
}

bool gate_waits_sleep(struct gate_waits *waits, uint64_t lsn)
{
	if (waits->first && (lsn == 0 || waits->first->lsn < lsn))
		lsn = waits->first->lsn;
	atomic_store(&waits->wanted_lsn, lsn);
	return lsn == 0 || reached(waits) < lsn;
}

void gate_waits_wake(struct gate_waits *waits, uint64_t durable)
{
	uint64_t wanted = atomic_load(&waits->wanted_lsn);
	if (wanted != 0 && wanted <= durable && waits->wake &&
		atomic_compare_exchange_strong(&waits->wanted_lsn, &wanted, 0))
		waits->wake(waits->context);
}
