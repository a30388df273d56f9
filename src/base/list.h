/*
 * list: a doubly linked list whose nodes are part of its members. Joining at either end and leaving
 * from anywhere take constant time. A member that may stand in several lists has a node for each.
 *
 * A queue that is only joined behind and left in front needs one link: requests have one of that
 * kind (request/request.h).
 *
 * Threads: whoever may touch the members.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/container.h"

#include <assert.h>
#include <stdbool.h>

/* Zeroed before its first list. A lone member is all zeros too: list_has tells. */
struct list_node {
	struct list_node *next;
	struct list_node *previous;
};

/* Zeroed: empty. */
struct list {
	struct list_node *first;
	struct list_node *last;
};

static inline void list_append(struct list *list, struct list_node *node)
{
	assert(node != list->last);
	node->next = NULL;
	node->previous = list->last;
	*(list->last ? &list->last->next : &list->first) = node;
	list->last = node;
}

static inline void list_prepend(struct list *list, struct list_node *node)
{
	assert(node != list->first);
	node->previous = NULL;
	node->next = list->first;
	*(list->first ? &list->first->previous : &list->last) = node;
	list->first = node;
}

/* The node must be in this list. */
static inline void list_remove(struct list *list, struct list_node *node)
{
	*(node->previous ? &node->previous->next : &list->first) = node->next;
	*(node->next ? &node->next->previous : &list->last) = node->previous;
	*node = (struct list_node){ NULL, NULL };
}

/* Whether it is in this list, for a node that can be in no other. */
static inline bool list_has(const struct list *list, const struct list_node *node)
{
	return node->previous || list->first == node;
}

/* The first leaves the list; NULL when it is empty. */
static inline struct list_node *list_take(struct list *list)
{
	struct list_node *node = list->first;
	if (node)
		list_remove(list, node);
	return node;
}

#endif
