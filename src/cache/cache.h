/*
 * cache: entries of the cache within turns, in two tiers: all of them in the store, those used most
 * in memory (hot.h). What an entry is worth at a moment is judged here; what a caller is told is
 * the commands' (swr_commands.c).
 *
 *   cache_find --(in memory)--> checked against invalidations once each --> usable, or not
 *        '-----(in the store)--> into memory, and so on
 *
 * Replies of the cache wait for no disk (COMMAND_RELAXED): a crash may lose the last moments. Those
 * of CACHE.DEL and CACHE.INVALIDATE wait: what was ended must not come back.
 *
 * Bounds. Memory by hot.h. On disk entries stand in a line (TABLE_CACHE_LINE), the oldest first;
 * when the shard's part of `cache-disk` is full, each write looks at some of the first: those used
 * since they went into the line go to its end, the others go.
 *
 * Threads: whoever holds the shard; marks are everybody's (marks.h).
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "cache/cache_record.h"
#include "cache/marks.h"
#include "cache/stats.h"
#include "engine/engine.h"
#include "request/turn.h"

struct cache;

/* Opens the room; that of the leases is open. Reads what was invalidated. */
struct cache *cache_new(struct engine *engine);
void cache_free(struct cache **cache);
/* NULL in an engine without. */
struct cache *cache_in(const struct engine *engine);

/* An entry as it is now. Its slices are valid until the turn writes to the cache. */
struct cache_entry {
	bool found; /* it is there and may be served, be it stale; else the rest is zero */
	bool absent;
	bool soft; /* invalidated, and to be served as stale */
	bool from_memory;
	int64_t age_ms;
	int64_t ttl_ms;
	int64_t stale_ms;
	int64_t error_ms;
	int64_t delta_ms;
	int64_t filled_ms;
	int64_t failed_until_ms; /* 0: its last refresh did not fail */
	uint8_t flags;
	struct slice tags;
	struct slice value;
};

/* False when there is none. Counts as a use. */
bool cache_find(struct turn *turn, struct slice key, struct cache_entry *out);
/* A read found an entry, or none, that it could serve at once. */
void cache_count_read(
	struct turn *turn, struct slice key, const struct cache_entry *entry, bool served);
/* The entry that a fill has just made, however short its life: for who waited for it. */
bool cache_find_filled(struct turn *turn, struct slice key, struct cache_entry *out);
/* As the store has it, for who refreshes it; false when it does not, or it was invalidated for
 * good. No use. */
bool cache_read(struct turn *turn, struct slice key, struct cache_record *out);
/* Those of the entry that the store has, be it invalidated. */
struct slice cache_tags(struct turn *turn, struct slice key);
/* Makes or replaces an entry; `place` and the flag for groups are set here. One without a life, or
 * larger than the shard's part of `cache-disk`, is kept for cache_find_filled alone. */
void cache_put(struct turn *turn, struct slice key, struct cache_record *record);
/* Whether there was one that might be served. */
bool cache_remove(struct turn *turn, struct slice key);
/* Callers' failures come by the thousand when what is behind them is down: of the keys of a group
 * one line a minute is written. `*withheld`: how many were not since the last. Groups may share. */
bool cache_failure_may_be_logged(struct turn *turn, struct slice key, uint64_t *withheld);
/* A refresh has failed: until then the stale value is what there is. */
void cache_note_failure(struct turn *turn, struct slice key, int64_t until_ms);

/* What has the tag or prefix (CACHE_FORMAT_MARK_...) is gone, or stale. In a turn of shard 0. */
void cache_invalidate(struct turn *turn, uint8_t kind, struct slice name, bool soft);
struct marks *cache_marks(const struct turn *turn);
struct stats *cache_stats(const struct turn *turn);
/* Lengthens the lives by up to so much, at random, so that entries made together do not end
 * together. */
void cache_jitter(const struct turn *turn, int64_t jitter_ms, struct cache_record *record);
/* Uniform in (0, 1]. */
double cache_random(const struct turn *turn);
/* The name of a key's lease, in the arena. */
struct slice cache_subject(struct turn *turn, struct slice key);

struct cache_sums {
	uint64_t entries;
	uint64_t bytes;
	uint64_t lasting; /* entries set without a life */
	uint64_t next_place;
	uint64_t sequence; /* the highest that an entry was written with */
};
/* Of a held shard's group; of all for the empty one. */
void cache_sums(struct turn *turn, uint16_t shard, struct slice group, struct cache_sums *out);
uint64_t cache_memory_bytes(const struct turn *turn, uint16_t shard);

#endif
