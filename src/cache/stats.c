/*
 * stats: see stats.h. Groups stand in a table; there are LIMIT_CACHE_GROUPS at the most,
 * keys of others count in all only.
 *
 * Threads: see stats.h.
 */
#include "cache/stats.h"

#include "base/hash.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "cache/cache_key.h"

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
	struct hash_node by_name;
	uint32_t size;
	char name[LIMIT_CACHE_GROUP_BYTES];
	uint64_t counts[STAT_COUNT];
};

struct stats {
	uint64_t all[STAT_COUNT];
	struct hash_table groups;
	struct group *last; /* counted in: one request counts several times */
};

static struct group *group_at(const struct hash_node *node)
{
	return container_of(node, struct group, by_name);
}

struct stats *stats_new(void)
{
	return memory_zeroed(sizeof(struct stats));
}

void stats_free(struct stats **taken)
{
	struct stats *stats = *taken;
	*taken = NULL;
	struct hash_node *node;
	while ((node = hash_table_any(&stats->groups)) != NULL) {
		hash_table_remove(&stats->groups, node);
		memory_free(group_at(node));
	}
	hash_table_fini(&stats->groups);
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
	uint64_t hash = hash_bytes(name);
	const struct hash_node *node = hash_table_first(&stats->groups, hash);
	for (; node; node = hash_table_next(node))
		if (slice_equal(name_of(group_at(node)), name))
			return group_at(node);
	if (stats->groups.count == LIMIT_CACHE_GROUPS)
		return NULL;
	struct group *group = memory_zeroed(sizeof(*group));
	group->size = (uint32_t)name.size;
	memcpy(group->name, name.data, name.size);
	hash_table_add(&stats->groups, &group->by_name, hash);
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
	const struct hash_node *node = hash_table_any(&stats->groups);
	for (; node; node = hash_table_after(&stats->groups, node))
		if (slice_starts_with(name_of(group_at(node)), prefix))
			sum(group_at(node)->counts, out);
}

void stats_each_group(const struct stats *stats, stats_group_fn each, void *context)
{
	const struct hash_node *node = hash_table_any(&stats->groups);
	for (; node; node = hash_table_after(&stats->groups, node))
		each(context, name_of(group_at(node)));
}
