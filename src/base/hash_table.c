/*
 * hash_table: see hash_table.h. Chains from an array of buckets that doubles when there are more
 * members than buckets, and is halved by hash_table_fit. Each member knows what points to it, so
 * that leaving needs no search: one who holds thousands of leases fills one chain, and gives each
 * of them back at no more cost than the first. Growing and shrinking keep the order of equal
 * hashes: what a look-up meets first depends on what was added when, not on the seed of the hashes,
 * and a simulated run can be repeated.
 *
 * Life: zeroed, added to, emptied by its user, hash_table_fini.
 *
 * Threads: see hash_table.h.
 */
#include "base/hash_table.h"

#include "base/memory.h"

#include <assert.h>

#define BUCKETS_FIRST 16

static void resize(struct hash_table *table, size_t bucket_count);
static struct hash_node *reversed(struct hash_node *node);
static void link_in(struct hash_table *table, struct hash_node *node);
static struct hash_node *first_from(const struct hash_table *table, size_t bucket);

void hash_table_fini(struct hash_table *table)
{
	memory_free(table->buckets);
	*table = (struct hash_table){ 0 };
}

void hash_table_add(struct hash_table *table, struct hash_node *node, uint64_t hash)
{
	assert(node->place == NULL);
	if (table->count == table->bucket_count)
		resize(table, table->bucket_count ? table->bucket_count * 2 : BUCKETS_FIRST);
	node->hash = hash;
	link_in(table, node);
	table->count++;
}

void hash_table_remove(struct hash_table *table, struct hash_node *node)
{
	if (node->place == NULL)
		return;
	assert(table->count > 0);
	assert(*node->place == node);
	*node->place = node->next;
	if (node->next)
		node->next->place = node->place;
	node->next = NULL;
	node->place = NULL;
	table->count--;
}

void hash_table_fit(struct hash_table *table)
{
	if (table->count == 0) {
		memory_free(table->buckets);
		*table = (struct hash_table){ 0 };
	} else if (table->bucket_count > BUCKETS_FIRST && table->count < table->bucket_count / 4) {
		resize(table, table->bucket_count / 2);
	}
}

struct hash_node *hash_table_take(struct hash_table *table, uint64_t hash,
	bool (*is_wanted)(const struct hash_node *node, const void *wanted), const void *wanted)
{
	struct hash_node *taken = NULL;
	struct hash_node *node = hash_table_first(table, hash);
	while (node) {
		struct hash_node *next = hash_table_next(node);
		if (is_wanted(node, wanted)) {
			hash_table_remove(table, node);
			node->next = taken;
			taken = node;
		}
		node = next;
	}
	return taken;
}

struct hash_node *hash_table_any(const struct hash_table *table)
{
	return first_from(table, 0);
}

struct hash_node *hash_table_after(const struct hash_table *table, const struct hash_node *node)
{
	if (node->next)
		return node->next;
	return first_from(table, (node->hash & (table->bucket_count - 1)) + 1);
}

static struct hash_node *first_from(const struct hash_table *table, size_t bucket)
{
	while (bucket < table->bucket_count && table->buckets[bucket] == NULL)
		bucket++;
	return bucket < table->bucket_count ? table->buckets[bucket] : NULL;
}

static void resize(struct hash_table *table, size_t bucket_count)
{
	struct hash_table old = *table;
	table->bucket_count = bucket_count;
	table->buckets = memory_zeroed(table->bucket_count * sizeof(struct hash_node *));
	for (size_t i = 0; i < old.bucket_count; i++) {
		struct hash_node *node = reversed(old.buckets[i]); /* link_in turns it back */
		while (node) {
			struct hash_node *next = node->next;
			link_in(table, node);
			node = next;
		}
	}
	memory_free(old.buckets);
}

static struct hash_node *reversed(struct hash_node *node)
{
	struct hash_node *turned = NULL;
	while (node) {
		struct hash_node *next = node->next;
		node->next = turned;
		turned = node;
		node = next;
	}
	return turned;
}

static void link_in(struct hash_table *table, struct hash_node *node)
{
	struct hash_node **bucket = &table->buckets[node->hash & (table->bucket_count - 1)];
	node->next = *bucket;
	node->place = bucket;
	if (node->next)
		node->next->place = &node->next;
	*bucket = node;
}
