/*
 * session_fixture: sessions on an engine rig whose clock and disk are the test's, and what stands
 * of them in the stores.
 */
#ifndef TEST_UNIT_SESSION_FIXTURE_H
#define TEST_UNIT_SESSION_FIXTURE_H

#include "session/sessions.h"
#include "support/engine_rig.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
	struct engine_rig rig;
	struct leases *leases;
	struct sessions *sessions;
	uint16_t workers;
};

/* What stands in all stores. */
struct tally {
	uint64_t sessions;
	uint64_t hashed; /* of the sessions */
	uint64_t traces; /* of changed and deleted ids */
	uint64_t entries;
	uint64_t counted;
};

#define run(world, ...)           rig_run(&(world)->rig, 0, __VA_ARGS__)
#define answers(world, text, ...) assert_string_equal(run(world, __VA_ARGS__), text "\r\n")

static inline void open_world(struct world *world)
{
	engine_rig_start(&world->rig, world->workers, world->workers);
	struct leases_options options = { .engine = world->rig.engine };
	world->leases = leases_new(&options);
	world->sessions = sessions_new(world->rig.engine);
}

static inline void make_world(struct world *world, uint16_t shards, uint16_t workers)
{
	memset(world, 0, sizeof(*world));
	engine_rig_init(&world->rig, shards);
	world->workers = workers;
	open_world(world);
}

static inline void end_world(struct world *world)
{
	sessions_free(&world->sessions);
	leases_free(&world->leases);
	engine_rig_fini(&world->rig);
}

static inline void settle(struct world *world)
{
	engine_rig_settle(&world->rig);
}

static inline void expire(struct world *world)
{
	settle(world);
	for (uint16_t port = 0; port < world->workers; port++)
		engine_expire(world->rig.engine, port);
	settle(world);
}

/* What was not synced is lost, and memory. */
static inline void crash(struct world *world)
{
	sessions_free(&world->sessions);
	leases_free(&world->leases);
	engine_rig_crash(&world->rig);
	open_world(world);
}

static inline void pass(struct world *world, int64_t ms)
{
	world->rig.now_ms += ms;
}

static inline uint64_t written(const struct world *world)
{
	return gate_appended(world->rig.engine->gate);
}

static inline struct tally tally(struct world *world)
{
	static const char first[] = { TABLE_SESSION }, last[] = { TABLE_SESSION_COUNT + 1 };
	struct tally tally = { 0 };
	struct arena arena;
	arena_init(&arena, 1 << 16);
	for (uint16_t i = 0; i < world->rig.engine->shard_count; i++) {
		struct cursor cursor;
		struct slice key;
		struct value value;
		cursor_open(&cursor, world->rig.engine->stores[i], NULL, &arena, slice_of(first, 1),
			slice_of(last, 1), false);
		while (cursor_next(&cursor, &key, &value)) {
			bool is_record = key.data[0] == TABLE_SESSION;
			bool is_session =
				is_record && value.data.data[0] == SESSION_FORMAT_KIND_SESSION;
			uint64_t count = 0;
			if (key.data[0] == TABLE_SESSION_COUNT)
				memcpy(&count, value.data.data, sizeof(count));
			tally.sessions += is_session;
			tally.hashed += is_session &&
				key.data[1 + SESSION_FORMAT_HASH_BYTES] == SESSION_FORMAT_HASHED;
			tally.traces += is_record && !is_session;
			tally.entries += key.data[0] == TABLE_SESSION_USER;
			tally.counted += count;
		}
		cursor_close(&cursor);
	}
	arena_fini(&arena);
	return tally;
}

static inline void stands(struct world *world, uint64_t sessions, uint64_t entries, uint64_t traces)
{
	struct tally found = tally(world);
	assert_int_equal(found.sessions, sessions);
	assert_int_equal(found.counted, sessions);
	assert_int_equal(found.entries, entries);
	assert_int_equal(found.traces, traces);
}

/* The bulk string in a reply; in static memory. */
static inline const char *bulk(const char *reply)
{
	static char texts[4][128];
	static int next;
	char *text = texts[next++ % 4];
	if (reply[0] != '$')
		fail_msg("%s is no bulk string", reply);
	snprintf(text, sizeof(texts[0]), "%.*s", atoi(reply + 1), strchr(reply, '\n') + 1);
	return text;
}

#endif
