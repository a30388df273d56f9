/*
 * lease_index: see lease_index.h. Chains from an array of buckets that doubles when there are more
 * members than buckets. Each member knows what points to it, so that leaving needs no search: one
 * who holds thousands of leases fills one chain, and gives each of them back at no more cost than
 * the first. Growth keeps the order within a chain: what a look-up meets first depends on what was
 * added when, not on the seed of the hashes, and a simulated run can be repeated.
 *
 * Life: zeroed, added to, emptied by its user, lease_index_fini.
 */
#include "lease/lease_index.h"

#include "base/memory.h"

#include <assert.h>

#define BUCKETS_FIRST 16

static void grow(struct lease_index *index);
static struct lease_node *reversed(struct lease_node *node);
static void link_in(struct lease_index *index, struct lease_node *node);
static struct lease_node *same_hash(struct lease_node *node, uint64_t hash);

void lease_index_fini(struct lease_index *index)
{
	memory_free(index->buckets);
	*index = (struct lease_index){ 0 };
}

void lease_index_add(struct lease_index *index, struct lease_node *node, uint64_t hash)
{
	assert(node->place == NULL);
	if (index->count == index->bucket_count)
		grow(index);
	node->hash = hash;
	link_in(index, node);
	index->count++;
}

void lease_index_remove(struct lease_index *index, struct lease_node *node)
{
	if (node->place == NULL)
		return;
	assert(index->count > 0);
	assert(*node->place == node);
	*node->place = node->next;
	if (node->next)
		node->next->place = node->place;
	node->next = NULL;
	node->place = NULL;
	index->count--;
}

struct lease_node *lease_index_first(const struct lease_index *index, uint64_t hash)
{
	if (index->count == 0)
		return NULL;
	return same_hash(index->buckets[hash & (index->bucket_count - 1)], hash);
}

struct lease_node *lease_index_next(const struct lease_node *node)
{
	return same_hash(node->next, node->hash);
}

struct lease_node *lease_index_take(struct lease_index *index, uint64_t hash,
	bool (*is_wanted)(const struct lease_node *node, const void *wanted), const void *wanted)
{
	struct lease_node *taken = NULL;
	struct lease_node *node = lease_index_first(index, hash);
	while (node) {
		struct lease_node *next = lease_index_next(node);
		if (is_wanted(node, wanted)) {
			lease_index_remove(index, node);
			node->next = taken;
			taken = node;
		}
		node = next;
	}
	return taken;
}

static void grow(struct lease_index *index)
{
	struct lease_index old = *index;
	index->bucket_count = old.bucket_count ? old.bucket_count * 2 : BUCKETS_FIRST;
	index->buckets = memory_zeroed(index->bucket_count * sizeof(struct lease_node *));
	for (size_t i = 0; i < old.bucket_count; i++) {
		struct lease_node *node = reversed(old.buckets[i]); /* link_in turns it back */
		while (node) {
			struct lease_node *next = node->next;
			link_in(index, node);
			node = next;
		}
	}
	memory_free(old.buckets);
}

static struct lease_node *reversed(struct lease_node *node)
{
	struct lease_node *turned = NULL;
	while (node) {
		struct lease_node *next = node->next;
		node->next = turned;
		turned = node;
		node = next;
	}
	return turned;
}

static void link_in(struct lease_index *index, struct lease_node *node)
{
	struct lease_node **bucket = &index->buckets[node->hash & (index->bucket_count - 1)];
	node->next = *bucket;
	node->place = bucket;
	if (node->next)
		node->next->place = &node->next;
	*bucket = node;
}

static struct lease_node *same_hash(struct lease_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}
