/*
 * info: the INFO command. It walks the shards only to sum their key counts; without the keyspace
 * section its first turn is its last. The text is written in the last turn, from counters that any
 * thread may read. The reply waits for no disk: it is what an operator asks when the disk is slow.
 *
 * Threads: a shard's turn, whichever worker's.
 */
#include "admin/info.h"

#include "admin/admin.h"

#include <assert.h>

#define SECTIONS_MAX 64
/* Keys whose lives are looked at for avg_ttl: some hundred of a database, as many turns. */
#define LIVES_PER_SHARD 8

struct walk {
	uint64_t wanted; /* bit i: info_sections[i] */
	struct info info;
};

static uint64_t sections_wanted(const struct request *request);
static bool walks(uint64_t wanted);
static void write_sections(const struct walk *walk, struct buffer *out);

/* What the shard has of sessions, leases and the cache, in an engine with them. */
static void add_families(struct turn *turn, struct info *info)
{
	const struct engine *engine = turn->engine;
	uint16_t shard = turn->shard;
	if (sessions_in(engine)) {
		info->sessions += session_count(turn, shard);
		sessions_add_figures(turn, shard, &info->session_figures);
	}
	if (leases_in(engine)) {
		const struct lease_stats *leases = lease_table_stats(leases_of(turn, shard));
		info->leases.held += leases->held;
		info->leases.waiting += leases->waiting;
		info->leases.granted += leases->granted;
		info->leases.promoted += leases->promoted;
		info->leases.committed += leases->committed;
		info->leases.timed_out += leases->timed_out;
		info->leases.lost_holders += leases->lost_holders;
		info->leases.waits_timed_out += leases->waits_timed_out;
	}
	if (cache_in(engine)) {
		struct cache_sums sums;
		cache_sums(turn, shard, slice_of(NULL, 0), &sums);
		info->cache_sums.entries += sums.entries;
		info->cache_sums.bytes += sums.bytes;
		stats_sum(cache_stats(turn), slice_of(NULL, 0), info->cache_counts);
		info->cache_memory += cache_memory_bytes(turn, shard);
		info->cache_marks = marks_count(cache_marks(turn));
	}
}

/* What the shard has of keys. */
static void add_keys(struct turn *turn, struct info *info)
{
	struct store *store = turn->stores[turn->shard];
	struct random random;
	random_seed(&random, turn->asked->started_ns + turn->shard);
	for (uint8_t db = 0; db < LIMIT_DATABASES; db++) {
		uint64_t keys, expiring;
		store_count(store, db, &keys, &expiring);
		info->keys[db] += keys;
		info->expiring[db] += expiring;
		if (expiring)
			info->lives[db] += store_sample_lives(store, db, turn->now_ms, &random,
				LIVES_PER_SHARD, &info->lives_ms[db]);
	}
}

void admin_info(struct turn *turn)
{
	struct request *request = turn->request;
	struct walk *walk = turn->state;
	if (walk == NULL) {
		walk = arena_alloc(turn_arena(turn), sizeof(*walk));
		*walk = (struct walk){ .wanted = sections_wanted(request),
			.info.environment = request->environment,
			.info.now_ms = turn->now_ms };
		turn->state = walk;
	}
	if (walks(walk->wanted)) {
		if (!store_resolve(turn->stores[turn->shard], LIMIT_TURN_STEPS)) {
			turn_walks(turn, true);
			return;
		}
		add_families(turn, &walk->info);
		add_keys(turn, &walk->info);
		/* A worker's first shard bears its number. */
		const struct environment *environment = request->environment;
		if (turn->shard < environment->engine->worker_count && objects_on(turn))
			objects_add_totals(objects_on(turn), &walk->info.objects);
		if (turn_walks(turn, false))
			return;
	}
	struct buffer text;
	buffer_init(&text);
	write_sections(walk, &text);
	writer_verbatim(&turn->writer, "txt", buffer_slice(&text));
	buffer_fini(&text);
}

/* INFO [section ...]; unknown sections are ignored, as Redis does. */
static uint64_t sections_wanted(const struct request *request)
{
	assert(info_sections_count <= SECTIONS_MAX);
	uint64_t wanted = 0;
	bool none_named = request->asked.argument_count == 1;
	for (size_t s = 0; s < info_sections_count; s++) {
		const struct info_section *section = &info_sections[s];
		bool want = none_named && section->by_default;
		for (uint32_t i = 1; i < request->asked.argument_count; i++) {
			struct slice named = request->asked.arguments[i];
			want = want || slice_is(named, section->name) || slice_is(named, "all") ||
				slice_is(named, "everything") ||
				(slice_is(named, "default") && section->by_default);
		}
		wanted |= (uint64_t)want << s;
	}
	return wanted;
}

static bool walks(uint64_t wanted)
{
	for (size_t s = 0; s < info_sections_count; s++) {
		if ((wanted >> s & 1) && info_sections[s].walks)
			return true;
	}
	return false;
}

static void write_sections(const struct walk *walk, struct buffer *out)
{
	for (size_t s = 0; s < info_sections_count; s++) {
		const struct info_section *section = &info_sections[s];
		if ((walk->wanted >> s & 1) == 0)
			continue;
		buffer_format(out, "%s# %s\r\n", out->size ? "\r\n" : "", section->name);
		section->write(&walk->info, out);
	}
}
