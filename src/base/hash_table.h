/*
 * hash_table: a hash table whose members bring their own links, so that one thing can stand in
 * several tables and leave each in constant time. It knows hashes, not keys: whoever looks
 * something up goes through the members of that hash and compares.
 *
 * When it grows it moves all members at once, which for a million takes some milliseconds. What may
 * be larger needs a table that grows in steps, such as that of the cache's memory (cache/hot.c).
 *
 * Threads: whoever may touch the members.
 */
#ifndef BASE_HASH_TABLE_H
#define BASE_HASH_TABLE_H

#include "base/container.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: in no table. */
struct hash_node {
	struct hash_node *next;
	struct hash_node **place; /* what points to it; NULL: in no table */
	uint64_t hash;
};

/* Zeroed: empty, without memory. */
struct hash_table {
	struct hash_node **buckets;
	size_t bucket_count; /* a power of two, or 0; hash_table_fit alone makes it smaller */
	size_t count;
};

/* Its members, if any, are left as they are. */
void hash_table_fini(struct hash_table *table);
void hash_table_add(struct hash_table *table, struct hash_node *node, uint64_t hash);
/* Nothing happens when it is in no table. */
void hash_table_remove(struct hash_table *table, struct hash_node *node);
/* Gives memory back when the table has become much too large for its members; within no walk. */
void hash_table_fit(struct hash_table *table);
/* Removes the members of this hash that `is_wanted`. They come linked by `next`, the first added
 * first, which is the opposite order of hash_table_first. */
struct hash_node *hash_table_take(struct hash_table *table, uint64_t hash,
	bool (*is_wanted)(const struct hash_node *node, const void *wanted), const void *wanted);

/* Any one member, to empty the table or to begin a walk; NULL when it is empty. */
struct hash_node *hash_table_any(const struct hash_table *table);
/* The one after it in a walk over all, in no order that means anything; NULL after the last. */
struct hash_node *hash_table_after(const struct hash_table *table, const struct hash_node *node);

/* The first from this node on with this hash; for the functions below. */
static inline struct hash_node *hash_table_of_hash(struct hash_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

/* The members of a hash, the last added first; NULL after the last. */
static inline struct hash_node *hash_table_first(const struct hash_table *table, uint64_t hash)
{
	if (table->count == 0)
		return NULL;
	return hash_table_of_hash(table->buckets[hash & (table->bucket_count - 1)], hash);
}

static inline struct hash_node *hash_table_next(const struct hash_node *node)
{
	return hash_table_of_hash(node->next, node->hash);
}

#endif
