/*
 * mailbox: a lock-free stack that the owner detaches whole and turns round (Treiber 1986).
 * Detaching whole means no element is ever popped singly, so the ABA problem cannot arise.
 */
#include "request/mailbox.h"

#include <assert.h>

void mailbox_init(struct mailbox *mailbox, void (*wake)(void *context), void *context)
{
	atomic_init(&mailbox->newest, NULL);
	mailbox->wake = wake;
	mailbox->context = context;
}

void mailbox_put(struct mailbox *mailbox, struct request **request)
{
	struct request *given = *request;
	*request = NULL;
	assert(given->stage == REQUEST_TRAVEL || given->stage == REQUEST_DONE);
	struct request *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
	do {
		given->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(
		&mailbox->newest, &newest, given, memory_order_acq_rel, memory_order_relaxed));
	/* `given` may already be running elsewhere: only the old head is ours to look at. */
	if (newest == NULL)
		mailbox->wake(mailbox->context);
}

struct request *mailbox_take_all(struct mailbox *mailbox)
{
	struct request *newest =
		atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acq_rel);
	struct request *oldest = NULL;
	while (newest) {
		struct request *older = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = older;
	}
	return oldest;
}
