/*
 * A cache on an engine whose time, disk and threads are the test's. Time passes only in `pass`,
 * which stops at each moment at which a lease or a wait ends. A command is written as one text, its
 * words apart by blanks. `audit` compares what the store has with itself: entries, the line and the
 * sums.
 *
 * What the cache draws at random comes from getrandom, which is the test's own here (see
 * CACHE_FIXTURE_SEED): so nothing is random, the tokens of leases included.
 */
#ifndef TEST_UNIT_CACHE_CACHE_FIXTURE_H
#define TEST_UNIT_CACHE_CACHE_FIXTURE_H

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "cache/cache.h"
#include "cache/cache_key.h"
#include "leases/leases.h"
#include "support/engine_rig.h"

#include <assert.h>
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

#define SHARDS      2
#define PORTS_MAX   2
#define WORDS       48
#define MEMORY_FULL ((int64_t)64 << 20)
#define MEMORY_NONE 0

struct world {
	struct engine_rig rig;
	struct leases *leases;
	struct cache *cache;
	uint16_t workers;
	int64_t wake_ms[PORTS_MAX]; /* when the leases want to be looked at */
};

/* --- chance ----------------------------------------------------------------------------------- */

static struct random entropy = { 1 };

ssize_t getrandom(void *out, size_t size, unsigned flags)
{
	char *at = out;
	for (size_t i = 0; i < size; i++)
		at[i] = (char)random_next(&entropy);
	return (ssize_t)size;
}

/* --- the world -------------------------------------------------------------------------------- */

static void wake_in(void *context, uint16_t port, int64_t ms)
{
	struct world *world = context;
	world->wake_ms[port] = world->rig.now_ms + ms;
}

static void open_cache(struct world *world)
{
	engine_rig_start(&world->rig, world->workers, world->workers);
	for (uint16_t port = 0; port < world->workers; port++) {
		world->wake_ms[port] = INT64_MAX;
		engine_tick(world->rig.engine, port);
	}
	struct leases_options options = {
		.engine = world->rig.engine, .wake_in = wake_in, .context = world
	};
	world->leases = leases_new(&options);
	world->cache = cache_new(world->rig.engine);
}

static void close_cache(struct world *world)
{
	cache_free(&world->cache);
	leases_free(&world->leases);
}

static inline struct world *world_new(uint16_t workers, uint64_t seed)
{
	struct world *world = memory_zeroed(sizeof(*world));
	random_seed(&entropy, seed);
	world->workers = workers;
	engine_rig_init(&world->rig, SHARDS);
	world->rig.config.cache_memory_bytes = MEMORY_FULL;
	world->rig.config.cache_invalidation_bytes = (int64_t)32 << 20;
	world->rig.config.cache_disk_bytes = (int64_t)1 << 30;
	open_cache(world);
	return world;
}

static void world_free(struct world *world)
{
	close_cache(world);
	engine_rig_fini(&world->rig);
	memory_free(world);
}

static void run_due(struct world *world)
{
	for (uint16_t port = 0; port < world->workers; port++) {
		if (world->wake_ms[port] > world->rig.now_ms)
			continue;
		world->wake_ms[port] = INT64_MAX;
		engine_tick(world->rig.engine, port);
		leases_run(world->leases, port);
	}
	engine_rig_deliver(&world->rig);
}

/* Moment by moment where something is due. */
static inline void pass(struct world *world, int64_t ms)
{
	int64_t end_ms = world->rig.now_ms + ms;
	for (;;) {
		int64_t next_ms = end_ms;
		run_due(world);
		for (uint16_t port = 0; port < world->workers; port++)
			if (world->wake_ms[port] < next_ms)
				next_ms = world->wake_ms[port];
		if (world->rig.now_ms >= end_ms)
			return;
		world->rig.now_ms = next_ms > world->rig.now_ms ? next_ms : world->rig.now_ms + 1;
	}
}

/* As the server's timer does. */
static inline void expire(struct world *world)
{
	for (uint16_t port = 0; port < world->workers; port++)
		engine_expire(world->rig.engine, port);
	engine_rig_deliver(&world->rig);
}

/* The process ends and starts again; `crash`: the machine loses power. */
static inline void restart(struct world *world, bool crash)
{
	if (!crash)
		engine_rig_settle(&world->rig);
	close_cache(world);
	if (crash)
		engine_rig_crash(&world->rig);
	else
		engine_rig_close(&world->rig);
	open_cache(world);
}

/* --- commands --------------------------------------------------------------------------------- */

static inline struct engine_ticket *send_text(struct world *world, uint16_t port, char *text)
{
	const char *w[WORDS] = { NULL };
	size_t count = 0;
	for (char *rest = text, *word; (word = strsep(&rest, " ")) != NULL;) {
		assert_true(count < WORDS - 1);
		w[count++] = word;
	}
	return engine_rig_send(&world->rig, port, w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7],
		w[8], w[9], w[10], w[11], w[12], w[13], w[14], w[15], w[16], w[17], w[18], w[19],
		w[20], w[21], w[22], w[23], w[24], w[25], w[26], w[27], w[28], w[29], w[30], w[31],
		w[32], w[33], w[34], w[35], w[36], w[37], w[38], w[39], w[40], w[41], w[42], w[43],
		w[44], w[45], w[46], w[47], NULL);
}

static inline struct engine_ticket *send(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static inline struct engine_ticket *send(struct world *world, const char *format, ...)
{
	char text[4096];
	va_list list;
	va_start(list, format);
	int size = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	assert_true(size >= 0 && (size_t)size < sizeof(text));
	return send_text(world, 0, text);
}

/* Without delivering the tests could do nothing in between; this delivers, and has the reply. */
static inline const char *ask(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static inline const char *ask(struct world *world, const char *format, ...)
{
	char text[4096];
	va_list list;
	va_start(list, format);
	int size = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	assert_true(size >= 0 && (size_t)size < sizeof(text));
	struct engine_ticket *ticket = send_text(world, 0, text);
	engine_rig_deliver(&world->rig);
	assert_true(ticket->done);
	return ticket->reply;
}

#define NOTHING -1 /* null where a number could be */

struct answer {
	char state[16];
	char value[256]; /* empty: null */
	int64_t age_ms;
	char token[64]; /* empty: null */
	int64_t retry_ms;
};

static inline const char *take_line(const char *at, char *out, size_t size)
{
	const char *end = strstr(at, "\r\n");
	assert_non_null(end);
	assert_true((size_t)(end - at) < size);
	memcpy(out, at, (size_t)(end - at));
	out[end - at] = '\0';
	return end + 2;
}

static inline const char *take_bulk(const char *at, char *out, size_t size)
{
	char line[64];
	out[0] = '\0';
	at = take_line(at, line, sizeof(line));
	assert_int_equal(line[0], '$');
	return strcmp(line, "$-1") == 0 ? at : take_line(at, out, size);
}

static inline const char *take_number(const char *at, int64_t *out)
{
	char line[64];
	at = take_line(at, line, sizeof(line));
	*out = strcmp(line, "$-1") == 0 ? NOTHING : strtoll(line + 1, NULL, 10);
	assert_true(*out == NOTHING || line[0] == ':');
	return at;
}

static inline struct answer answer_of(const struct engine_ticket *ticket)
{
	struct answer answer;
	assert_true(ticket->done);
	const char *at = ticket->reply;
	if (strncmp(at, "*5\r\n", 4) != 0)
		fail_msg("no answer of CACHE.SWR: %s", at);
	at = take_bulk(at + 4, answer.state, sizeof(answer.state));
	at = take_bulk(at, answer.value, sizeof(answer.value));
	at = take_number(at, &answer.age_ms);
	at = take_bulk(at, answer.token, sizeof(answer.token));
	at = take_number(at, &answer.retry_ms);
	assert_int_equal(*at, '\0');
	return answer;
}

/* CACHE.SWR with these arguments, which must not wait. */
static inline struct answer swr(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static inline struct answer swr(struct world *world, const char *format, ...)
{
	char text[1024] = "cache.swr ";
	va_list list;
	va_start(list, format);
	vsnprintf(text + strlen(text), sizeof(text) - strlen(text), format, list);
	va_end(list);
	struct engine_ticket *ticket = send_text(world, 0, text);
	engine_rig_deliver(&world->rig);
	return answer_of(ticket);
}

static inline void is_answer(
	struct answer got, const char *state, const char *value, int64_t age_ms)
{
	assert_string_equal(got.state, state);
	assert_string_equal(got.value, value);
	assert_int_equal(got.age_ms, age_ms);
	bool granted = strcmp(state, "lead") == 0 || strcmp(state, "refresh") == 0;
	bool later = strcmp(state, "busy") == 0 || strcmp(state, "failed") == 0;
	assert_int_equal(got.token[0] != '\0', granted);
	assert_int_equal(got.retry_ms >= 0, later);
}

static inline int64_t stat_of(struct world *world, const char *name)
{
	char wanted[64];
	const char *reply = ask(world, "cache.stats");
	snprintf(wanted, sizeof(wanted), "\r\n%s\r\n:", name);
	const char *at = strstr(reply, wanted);
	assert_non_null(at);
	return strtoll(at + strlen(wanted), NULL, 10);
}

/* --- the store, read past the cache ----------------------------------------------------------- */

#define GROUPS_SEEN 4096

struct seen_group {
	char name[LIMIT_CACHE_GROUP_BYTES + 1];
	uint64_t sums[3]; /* entries, bytes, lasting */
};

struct audit {
	uint64_t entries, bytes, places, valid_places, next_place, group_records;
	struct seen_group groups[GROUPS_SEEN];
	size_t group_count;
};

static inline uint64_t number_at(struct slice bytes, size_t index)
{
	uint64_t number;
	memcpy(&number, bytes.data + 8 * index, sizeof(number));
	return le64toh(number);
}

static inline struct seen_group *group_named(struct audit *audit, struct slice name)
{
	for (size_t i = 0; i < audit->group_count; i++)
		if (slice_equal(slice_text(audit->groups[i].name), name))
			return &audit->groups[i];
	assert_true(audit->group_count < GROUPS_SEEN);
	struct seen_group *group = &audit->groups[audit->group_count++];
	memcpy(group->name, name.data, name.size);
	return group;
}

static inline void open_table(struct cursor *cursor, struct world *world, uint16_t shard,
	struct arena *arena, enum table table)
{
	static struct key start, end; /* one at a time */
	start = (struct key){ .size = 1, .bytes = { (char)table } };
	key_of_table_end(&end, table);
	cursor_open(cursor, world->rig.engine->stores[shard], NULL, arena, key_slice(&start),
		key_slice(&end), false);
}

/* The entry's own record, as stored; false when there is none. */
static inline bool stored_record(struct world *world, uint16_t shard, struct slice key,
	struct arena *arena, struct cache_record *out, int64_t *expire_ms)
{
	struct key store_key;
	struct value value;
	uint64_t lsn = 0;
	key_of_cache(&store_key, store_secret(world->rig.engine->stores[shard]), key);
	if (!store_get(
		    world->rig.engine->stores[shard], key_slice(&store_key), arena, &value, &lsn))
		return false;
	assert_int_equal(value.type, VALUE_CACHE);
	assert_true(cache_record_decode(value.data, out));
	*expire_ms = value.expire_ms;
	return true;
}

static inline void add_up(struct seen_group *group, const struct cache_record *record, size_t size)
{
	group->sums[0]++;
	group->sums[1] += size;
	group->sums[2] += (record->flags & CACHE_FORMAT_FLAG_LASTING) != 0;
}

static inline void audit_entries(struct world *world, uint16_t shard, struct audit *audit)
{
	struct arena arena;
	struct cursor cursor;
	struct slice store_key, key;
	struct value value;
	struct cache_record record;
	uint64_t hash;
	arena_init(&arena, 4096);
	open_table(&cursor, world, shard, &arena, TABLE_CACHE);
	while (cursor_next(&cursor, &store_key, &value)) {
		assert_true(key_parse_cache(store_key, &hash, &key));
		assert_true(cache_record_decode(value.data, &record));
		assert_int_equal(hash_shard_of(hash_slot(key), SHARDS), shard);
		assert_true(value.expire_ms > record.filled_ms);
		assert_true(value.expire_ms <= record.filled_ms + LIMIT_CACHE_AGE_MS);
		size_t size = key.size + value.data.size;
		add_up(group_named(audit, slice_text("")), &record, size);
		if (record.flags & CACHE_FORMAT_FLAG_GROUPED)
			add_up(group_named(audit, cache_group_of(key)), &record, size);
		audit->entries++;
		audit->bytes += size;
		assert_true(record.place > 0);
	}
	cursor_close(&cursor);
	arena_fini(&arena);
}

/* A place is valid when the entry that it names has the first place that it names. */
static inline void audit_line(struct world *world, uint16_t shard, struct audit *audit)
{
	struct arena arena, one;
	struct cursor cursor;
	struct slice store_key;
	struct value value;
	struct cache_record record;
	uint64_t place, seen[4096];
	size_t seen_count = 0;
	int64_t expire_ms;
	arena_init(&arena, 4096);
	open_table(&cursor, world, shard, &arena, TABLE_CACHE_LINE);
	while (cursor_next(&cursor, &store_key, &value)) {
		assert_true(key_parse_cache_place(store_key, &place));
		assert_true(value.data.size > 8);
		audit->places++;
		struct slice key = slice_of(value.data.data + 8, value.data.size - 8);
		arena_init(&one, 1024);
		if (stored_record(world, shard, key, &one, &record, &expire_ms) &&
			record.place == number_at(value.data, 0)) {
			audit->valid_places++;
			for (size_t i = 0; i < seen_count; i++)
				assert_true(seen[i] != record.place);
			if (seen_count < 4096)
				seen[seen_count++] = record.place;
		}
		assert_true(place < audit->next_place);
		arena_fini(&one);
	}
	cursor_close(&cursor);
	arena_fini(&arena);
	assert_int_equal(audit->valid_places, audit->entries);
}

static inline void audit_sums(struct world *world, uint16_t shard, struct audit *audit)
{
	struct arena arena;
	struct cursor cursor;
	struct slice store_key, name;
	struct value value;
	size_t compared = 0;
	arena_init(&arena, 4096);
	open_table(&cursor, world, shard, &arena, TABLE_CACHE_SUMS);
	while (cursor_next(&cursor, &store_key, &value)) {
		assert_true(key_parse_cache_sums(store_key, &name));
		assert_int_equal(value.data.size, CACHE_FORMAT_SUMS_BYTES);
		if (name.size == 0)
			audit->next_place = number_at(value.data, 3);
		else
			audit->group_records++;
		const struct seen_group *group = group_named(audit, name);
		for (size_t i = 0; i < 3; i++)
			assert_int_equal(number_at(value.data, i), group->sums[i]);
		compared++;
	}
	cursor_close(&cursor);
	arena_fini(&arena);
	assert_int_equal(compared, audit->group_count);
}

/* Returns the entries of the shard. */
static inline uint64_t audit_shard(struct world *world, uint16_t shard, struct audit *out)
{
	struct audit *audit = memory_zeroed(sizeof(*audit));
	audit_entries(world, shard, audit);
	audit_sums(world, shard, audit);
	audit_line(world, shard, audit);
	uint64_t entries = audit->entries;
	if (out)
		*out = *audit;
	memory_free(audit);
	return entries;
}

static inline uint64_t audit(struct world *world)
{
	uint64_t entries = 0;
	for (uint16_t shard = 0; shard < SHARDS; shard++)
		entries += audit_shard(world, shard, NULL);
	return entries;
}

#endif
