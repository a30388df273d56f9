/*
 * stats: what one shard has counted of the cache, in all and by group of keys (up to the first
 * colon).
 *
 * Threads: whoever holds the shard.
 */
#ifndef CACHE_STATS_H
#define CACHE_STATS_H

#include "base/slice.h"

#include <stdint.h>

enum cache_stat {
	STAT_GETS,
	STAT_SWRS,
	STAT_FRESH,
	STAT_STALE,
	STAT_EARLY, /* refreshes before their time */
	STAT_REFRESH,
	STAT_LEAD,
	STAT_MISS, /* nothing usable was there */
	STAT_COALESCED,
	STAT_BUSY,
	STAT_FAILED,
	STAT_ABSENT,
	STAT_REFRESHES, /* fills, negative ones included */
	STAT_FAILURES,
	STAT_LEASES_LOST,
	STAT_SETS,
	STAT_FILLS,
	STAT_DELETES,
	STAT_INVALIDATIONS,
	STAT_SCANS,
	STAT_EVICTIONS_MEMORY,
	STAT_EVICTIONS_DISK,
	STAT_HITS_MEMORY,
	STAT_HITS_DISK,
	STAT_ORIGIN_FETCHES,
	STAT_ORIGIN_MS,
	STAT_COUNT,
};
extern const char *const stat_names[STAT_COUNT];

struct stats;

struct stats *stats_new(void);
void stats_free(struct stats **stats);
void stats_add(struct stats *stats, struct slice key, enum cache_stat stat, uint64_t more);
/* Adds to `out` what was counted of groups that start with the prefix; of all when it is empty. */
void stats_sum(const struct stats *stats, struct slice prefix, uint64_t out[STAT_COUNT]);
/* Calls for each group. */
typedef void (*stats_group_fn)(void *context, struct slice group);
void stats_each_group(const struct stats *stats, stats_group_fn each, void *context);

#endif
