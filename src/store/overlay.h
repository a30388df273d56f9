/*
 * overlay: one generation of a shard's writes since the last checkpoint: a hash for point look-ups,
 * an order made when somebody asks for it, a heap of expiry times. Entries are bump-allocated and
 * thrown away whole. Deletions are entries too (tombstones): they hide what lies below.
 *
 * Threads: while active, its shard's turn only. Once frozen nothing changes an entry any more: the
 * shard's turns and the checkpoint thread may read it at once, each using only what its functions
 * say.
 */
#ifndef STORE_OVERLAY_H
#define STORE_OVERLAY_H

#include "log/record.h"
#include "store/value.h"

#include <stdbool.h>
#include <stdint.h>

struct overlay;

struct overlay_entry {
	uint64_t lsn;
	int64_t expire_ms;
	struct slice key;
	struct slice data;
	uint32_t capacity; /* of the memory behind data */
	uint8_t type;      /* enum value_type */
	bool deleted;
	/* Memos of the shard's turns, in a frozen overlay too: the checkpoint thread reads neither.
	 */
	uint8_t below;     /* what the layers below hold for the key: enum overlay_below */
	int64_t heaped_ms; /* the time that counts in the expiry heap; 0: none */
	struct overlay_entry *unordered_next;
};

enum overlay_below {
	OVERLAY_BELOW_UNKNOWN,
	OVERLAY_BELOW_ABSENT,
	OVERLAY_BELOW_PRESENT,  /* without an expiry */
	OVERLAY_BELOW_EXPIRING, /* with one */
};

struct overlay *overlay_new(void);
void overlay_free(struct overlay **overlay);

/* NULL when this generation says nothing of the key. */
struct overlay_entry *overlay_find(struct overlay *overlay, struct slice key);
/* Copies key and value; overwrites in place what fits. Returns the entry. The effect's value may
 * point into this overlay's memory, the key's own old value included; but what an effect borrows
 * from another key's value must not have been overwritten by an earlier effect of its record. */
struct overlay_entry *overlay_apply(
	struct overlay *overlay, const struct effect *effect, uint64_t lsn);
/* The same for callers that have hash_bytes(key) already. */
struct overlay_entry *overlay_find_hashed(struct overlay *overlay, struct slice key, uint64_t hash);
struct overlay_entry *overlay_apply_hashed(
	struct overlay *overlay, const struct effect *effect, uint64_t hash, uint64_t lsn);

/* Memory held, in bytes; entries, tombstones included. */
size_t overlay_bytes(const struct overlay *overlay);
size_t overlay_count(const struct overlay *overlay);
/* In order of creation, 0 <= i < overlay_count. */
struct overlay_entry *overlay_at(struct overlay *overlay, size_t i);

/* Makes the order of so many of a table's entries that have none yet (a table: the keys that begin
 * with this byte). True when all have one. For the shard's turns. */
bool overlay_order(struct overlay *overlay, uint8_t table, size_t most);
/* How many have none. */
size_t overlay_unordered(const struct overlay *overlay, uint8_t table);

/* Ordered access for the shard's turns (makes the order of the tables it looks at; amortised
 * O(log n) an insert). The entry with the smallest key >= `key`, or > `key` when `after`; NULL at
 * the end. Those of tables wholly behind `end` (data NULL: none is) are not looked for. */
struct overlay_entry *overlay_seek(
	struct overlay *overlay, struct slice key, bool after, struct slice end);
/* The entry with the largest key < `key`; NULL at the start. Those of tables wholly before `start`
 * are not looked for. */
struct overlay_entry *overlay_seek_before(
	struct overlay *overlay, struct slice key, struct slice start);

/* A new array of all entries sorted by key, for the checkpoint thread: reads a frozen overlay
 * without touching what turns use. Freed with memory_free. */
struct overlay_entry **overlay_sorted(const struct overlay *overlay, size_t *count);

/* The next entry that was given an expiry time <= `now_ms` and still has one, each once for each
 * time it falls due; NULL when none is left. Turns only. */
struct overlay_entry *overlay_next_due(struct overlay *overlay, int64_t now_ms);

#endif
