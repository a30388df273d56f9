/*
 * circle: finds calls of objects that wait for each other at gates which open only when one of them
 * has ended. A call that waits at an object that is about to be dropped waits for every call in it,
 * and each of these may wait, by way of calls that it has made, at another such object.
 *
 *   A, to be dropped <--waits at-- call from B's chain          edge: who waits at A waits for all
 *   call in A's chain --waits at--> B, to be dropped            chains that are in A
 *
 * One list for the process: objects that call each other may be on different workers.
 */
#ifndef OBJECT_CIRCLE_H
#define OBJECT_CIRCLE_H

#include "base/list.h"

#include <stdbool.h>

struct call_link;
struct object_name;

/* Of one search, which holds up the others: it follows so many waits, looking at the list so many
 * times. A circle that is not found ends by the time-out of calls. */
#define CIRCLE_WIDTH_MAX 256
#define CIRCLE_STEPS_MAX 100000

struct circle_wait {
	struct list_node node;
	const void *owner;
	const struct object_name *at;  /* the object */
	const struct call_link *chain; /* those that the chain of calls is in */
	bool listed;
	unsigned long seen; /* by the search of this number */
};

/* The wait begins; its fields are borrowed until it ends. False: it would close a circle, and is
 * not listed. */
bool circle_begin(struct circle_wait *wait, const void *owner, const struct object_name *at,
	const struct call_link *chain);
/* It ends, if it has begun. */
void circle_end(struct circle_wait *wait);
/* All of an owner's waits end. */
void circle_end_all(const void *owner);

#endif
