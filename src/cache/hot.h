/*
 * hot: the hot tier of one shard's cache: entries in memory, bounded in bytes, dropped by the
 * S3-FIFO policy when the bound is reached. It knows nothing of time, tags or staleness: what the
 * cache writes into an entry's facts is the cache's own, and no function here reads it.
 *
 * Whoever holds the shard may call; nothing here locks, reads a clock or calls back. An entry and
 * its slices live until the next hot_put of any key or hot_trim, which may drop any entry, or the
 * hot_remove of its own.
 *
 * Every function but hot_free and hot_check does a bounded amount of work, hot_put one that is
 * proportional to the bytes it is given (it copies them, and drops about as many).
 */
#ifndef CACHE_HOT_H
#define CACHE_HOT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct hot;

/* Bits of hot_facts.flags; the cache may define more. */
#define HOT_ABSENT 0x01 /* what is cached is that there is no value */
#define HOT_SOFT   0x02 /* invalidated, yet fit to be served as stale */

/* What the cache keeps with an entry; hot_put gives it zeroed, for a replaced entry too. */
struct hot_facts {
	int64_t filled_ms;
	int64_t ttl_ms;
	int64_t stale_ms;
	int64_t error_ms;
	int64_t failed_until_ms;
	int64_t delta_ms;
	uint64_t sequence;
	uint64_t checked;
	uint64_t queued;
	uint8_t flags;
};

enum hot_queue {
	HOT_SMALL, /* newcomers: about a tenth of the bytes */
	HOT_MAIN,  /* what was used again */
};

/* What a look-up touches stands first: a line of the processor's cache. */
struct hot_entry {
	/* hot's copies, not to be changed */
	struct slice key;
	struct slice value;

	/* hot.c's own; tests read them */
	struct hot_entry *chain;
	uint64_t hash;
	uint32_t charge;
	uint8_t queue; /* enum hot_queue */
	uint8_t uses;  /* 0 to 3 */
	struct hot_entry *newer;
	struct hot_entry *older;

	/* the cache's; but for the tags, hot's copy like the value */
	struct slice tags;
	struct hot_facts facts;
};

struct hot_figures {
	uint64_t hits;       /* hot_find found */
	uint64_t misses;     /* hot_find did not */
	uint64_t evictions;  /* entries dropped to keep the bound */
	uint64_t ghost_hits; /* puts of a key that was dropped unused not long ago */
};

/* An empty tier takes a few hundred bytes until its first put. */
struct hot *hot_new(size_t limit_bytes);
void hot_free(struct hot **hot);

/* The entry of `key`, 1 to LIMIT_KEY_BYTES bytes of any kind, or NULL. `hash` is hash_bytes(key) or
 * another good hash, seeded or not, always the same for a key. hot_find counts a use, and a hit or
 * a miss; hot_peek counts nothing. */
struct hot_entry *hot_find(struct hot *hot, struct slice key, uint64_t hash);
struct hot_entry *hot_peek(const struct hot *hot, struct slice key, uint64_t hash);

/* Keeps copies of key, value and tags in place of what the key had; value and tags may be empty, at
 * most LIMIT_VALUE_BYTES each, and may point into the replaced entry, but into no other. A replaced
 * entry keeps its place in the policy: a put is no use.
 * NULL when the entry is not kept, the old one then being gone too: it alone would take more than
 * an eighth of the limit, or the limit is too low for anything. Afterwards hot_bytes is within the
 * limit; when it was not before (the limit was lowered), it is lower than before. */
struct hot_entry *hot_put(
	struct hot *hot, struct slice key, uint64_t hash, struct slice value, struct slice tags);

/* Whether there was one. */
bool hot_remove(struct hot *hot, struct slice key, uint64_t hash);

/* Sets the bound of hot_bytes and drops nothing yet: puts, and hot_trim, then work towards it. */
void hot_limit(struct hot *hot, size_t bytes);

/* Drops at most `steps` entries; true when hot_bytes is within the limit. Each step takes about as
 * long as a few dozen look-ups at most. */
bool hot_trim(struct hot *hot, size_t steps);

/* All memory held, in bytes, as the allocator hands it out: entries with key, value and tags, the
 * table with its ghosts, and the struct itself, which no limit can take away. */
size_t hot_bytes(const struct hot *hot);
size_t hot_count(const struct hot *hot);
struct hot_figures hot_figures(const struct hot *hot);

/* Walks everything and asserts that links, sums and places agree. For tests. */
void hot_check(const struct hot *hot);

#endif
