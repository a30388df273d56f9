/*
 * lease_index: a hash table whose members bring their own links, so that one thing can stand in
 * several tables and leave each in constant time. It knows hashes only; whoever looks something up
 * goes through the members of that hash and compares.
 *
 * Threads: whoever holds the shard.
 */
#ifndef LEASE_LEASE_INDEX_H
#define LEASE_LEASE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: in no table. */
struct lease_node {
	struct lease_node *next;
	struct lease_node **place; /* what points to it; NULL: in no table */
	uint64_t hash;
};

/* Zeroed: empty, without memory. */
struct lease_index {
	struct lease_node **buckets;
	size_t bucket_count; /* a power of two, or 0; it grows and never shrinks */
	size_t count;
};

/* Its members, if any, are left as they are. */
void lease_index_fini(struct lease_index *index);
void lease_index_add(struct lease_index *index, struct lease_node *node, uint64_t hash);
/* Nothing happens when it is in no table. */
void lease_index_remove(struct lease_index *index, struct lease_node *node);
/* The members of a hash, the last added first; NULL after the last. */
struct lease_node *lease_index_first(const struct lease_index *index, uint64_t hash);
struct lease_node *lease_index_next(const struct lease_node *node);
/* Removes the members of this hash that `is_wanted`; they come linked by `next`, the first added
 * first. */
struct lease_node *lease_index_take(struct lease_index *index, uint64_t hash,
	bool (*is_wanted)(const struct lease_node *node, const void *wanted), const void *wanted);

#endif
