/*
 * circle: see circle.h.
 *
 * A search goes from the new wait along its edges, and has found a circle when it comes to a wait
 * at an object that the new one's chain is in. It goes through the list once for each wait that it
 * comes to. There are few: only calls of other objects at objects that are about to be dropped are
 * listed.
 *
 * Threads: any, under the list's lock. What a wait borrows is its worker's; it changes only when
 * the wait is not listed.
 */
#include "object/circle.h"

#include "object/call.h"

#include <assert.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list waits;
static unsigned long searches;

static bool same(const struct object_name *a, const struct object_name *b)
{
	return slice_equal(a->id, b->id) && slice_equal(a->class_name, b->class_name);
}

static bool is_in(const struct call_link *chain, const struct object_name *name)
{
	while (chain && !same(&chain->name, name))
		chain = chain->caller;
	return chain != NULL;
}

static bool closes_circle(const struct circle_wait *wait)
{
	struct circle_wait *path[CIRCLE_WIDTH_MAX];
	unsigned count = 0, done = 0, steps = 0;
	const struct circle_wait *from = wait;
	unsigned long search = ++searches;
	for (;;) {
		for (struct list_node *node = waits.first; node; node = node->next) {
			struct circle_wait *to = container_of(node, struct circle_wait, node);
			if (++steps == CIRCLE_STEPS_MAX)
				return false;
			if (to->seen == search || !is_in(to->chain, from->at))
				continue;
			if (is_in(wait->chain, to->at))
				return true;
			to->seen = search;
			if (count < CIRCLE_WIDTH_MAX)
				path[count++] = to;
		}
		if (done == count)
			return false;
		from = path[done++];
	}
}

bool circle_begin(struct circle_wait *wait, const void *owner, const struct object_name *at,
	const struct call_link *chain)
{
	assert(!wait->listed);
	*wait = (struct circle_wait){ .owner = owner, .at = at, .chain = chain };
	pthread_mutex_lock(&lock);
	wait->listed = !closes_circle(wait);
	if (wait->listed)
		list_prepend(&waits, &wait->node);
	pthread_mutex_unlock(&lock);
	return wait->listed;
}

static void unlist(struct circle_wait *wait)
{
	list_remove(&waits, &wait->node);
	wait->listed = false;
}

void circle_end(struct circle_wait *wait)
{
	if (!wait->listed)
		return;
	pthread_mutex_lock(&lock);
	unlist(wait);
	pthread_mutex_unlock(&lock);
}

void circle_end_all(const void *owner)
{
	pthread_mutex_lock(&lock);
	for (struct list_node *node = waits.first, *next; node; node = next) {
		struct circle_wait *wait = container_of(node, struct circle_wait, node);
		next = node->next;
		if (wait->owner == owner)
			unlist(wait);
	}
	pthread_mutex_unlock(&lock);
}
