/*
 * stats: see stats.h. Groups stand in a list of buckets; there are LIMIT_CACHE_GROUPS at the most,
 * keys of others count in all only.
 *
 * Threads: see stats.h.
 */
#include "cache/stats.h"

#include "base/hash.h"
#include "base/memory.h"
#include "cache/cache_key.h"

#define BUCKETS 256

const char *const stat_names[STAT_COUNT] = {
	[STAT_GETS] = "gets",
	[STAT_SWRS] = "swrs",
	[STAT_FRESH] = "fresh",
	[STAT_STALE] = "stale",
	[STAT_EARLY] = "early",
	[STAT_REFRESH] = "refresh",
	[STAT_LEAD] = "lead",
	[STAT_MISS] = "miss",
	[STAT_COALESCED] = "coalesced",
	[STAT_BUSY] = "busy",
	[STAT_FAILED] = "failed",
	[STAT_ABSENT] = "absent",
	[STAT_REFRESHES] = "refreshes",
	[STAT_FAILURES] = "failures",
	[STAT_LEASES_LOST] = "leases-lost",
	[STAT_SETS] = "sets",
	[STAT_FILLS] = "fills",
	[STAT_DELETES] = "deletes",
	[STAT_INVALIDATIONS] = "invalidations",
	[STAT_SCANS] = "scans",
	[STAT_EVICTIONS_MEMORY] = "evictions-memory",
	[STAT_EVICTIONS_DISK] = "evictions-disk",
	[STAT_HITS_MEMORY] = "hits-memory",
	[STAT_HITS_DISK] = "hits-disk",
	[STAT_ORIGIN_FETCHES] = "origin-fetches",
	[STAT_ORIGIN_MS] = "origin-ms",
};

struct group {
	struct group *next;
	uint32_t size;
	char name[LIMIT_CACHE_GROUP_BYTES];
	uint64_t counts[STAT_COUNT];
};

struct stats {
	uint64_t all[STAT_COUNT];
	struct group *buckets[BUCKETS];
	struct group *last; /* counted in: one request counts several times */
	uint32_t groups;
};

struct stats *stats_new(void)
{
	return memory_zeroed(sizeof(struct stats));
}

void stats_free(struct stats **taken)
{
	struct stats *stats = *taken;
	*taken = NULL;
	for (int i = 0; i < BUCKETS; i++) {
		while (stats->buckets[i]) {
			struct group *group = stats->buckets[i];
			stats->buckets[i] = group->next;
			memory_free(group);
		}
	}
	memory_free(stats);
}

static struct slice name_of(const struct group *group)
{
	return slice_of(group->name, group->size);
}

static struct group *find_group(struct stats *stats, struct slice key)
{
	struct slice name = cache_group_of(key);
	if (name.size == 0)
		return NULL;
	struct group **bucket = &stats->buckets[hash_bytes(name) % BUCKETS];
	for (struct group *group = *bucket; group; group = group->next)
		if (slice_equal(name_of(group), name))
			return group;
	if (stats->groups == LIMIT_CACHE_GROUPS)
		return NULL;
	struct group *group = memory_zeroed(sizeof(*group));
	group->size = (uint32_t)name.size;
	memcpy(group->name, name.data, name.size);
	group->next = *bucket;
	*bucket = group;
	stats->groups++;
	return group;
}

/* A name ends with its only colon, so what starts with it belongs to it. */
static struct group *group_of(struct stats *stats, struct slice key)
{
	if (stats->last && slice_starts_with(key, name_of(stats->last)))
		return stats->last;
	struct group *group = find_group(stats, key);
	if (group)
		stats->last = group;
	return group;
}

void stats_add(struct stats *stats, struct slice key, enum cache_stat stat, uint64_t more)
{
	struct group *group = key.size ? group_of(stats, key) : NULL;
	stats->all[stat] += more;
	if (group)
		group->counts[stat] += more;
}

static void sum(const uint64_t counts[STAT_COUNT], uint64_t out[STAT_COUNT])
{
	for (int i = 0; i < STAT_COUNT; i++)
		out[i] += counts[i];
}

void stats_sum(const struct stats *stats, struct slice prefix, uint64_t out[STAT_COUNT])
{
	if (prefix.size == 0) {
		sum(stats->all, out);
		return;
	}
	for (int i = 0; i < BUCKETS; i++)
		for (const struct group *group = stats->buckets[i]; group; group = group->next)
			if (slice_starts_with(name_of(group), prefix))
				sum(group->counts, out);
}

void stats_each_group(const struct stats *stats, stats_group_fn each, void *context)
{
	for (int i = 0; i < BUCKETS; i++)
		for (const struct group *group = stats->buckets[i]; group; group = group->next)
			each(context, name_of(group));
}
