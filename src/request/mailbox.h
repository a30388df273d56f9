/*
 * mailbox: where threads meet. Any thread puts requests in; one thread takes them all out at once.
 * The first put into an empty mailbox wakes the owner, later ones cost one atomic exchange each.
 */
#ifndef REQUEST_MAILBOX_H
#define REQUEST_MAILBOX_H

#include "request/request.h"

#include <stdatomic.h>

struct mailbox {
	_Atomic(struct request *) newest;
	void (*wake)(void *context); /* must be safe to call from any thread */
	void *context;
};

void mailbox_init(struct mailbox *mailbox, void (*wake)(void *context), void *context);
/* Takes the request (and nulls the giver's pointer); its stage must not be REQUEST_FREE. */
void mailbox_put(struct mailbox *mailbox, struct request **request);
/* All that is there, oldest first, linked by `next`; NULL when empty. The owner's thread only. */
struct request *mailbox_take_all(struct mailbox *mailbox);

#endif
