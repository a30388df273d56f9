/*
 * scheduler_fixture: a bench for the scheduler: an engine_rig whose workers have objects, and in
 * place of calls of classes a handler of the test's that runs in turns of its own: begin, handler,
 * settle, as a call does. While `waiting` is set a run stops after its first turn until
 * bench_go_on. The host's timer is the bench's: bench_advance goes from one time asked for to the
 * next, so each run happens at the very millisecond that was asked for.
 */
#ifndef TEST_SCHEDULER_FIXTURE_H
#define TEST_SCHEDULER_FIXTURE_H

#include "base/hash.h"
#include "base/memory.h"
#include "lua/lua_runtime.h"
#include "object/objects_private.h"
#include "object/packed.h"
#include "schedule/scheduler_private.h"
#include "schedule/server_schedules.h"
#include "support/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BENCH_WORKERS_MAX 2
#define BENCH_RUNS_MAX    8192
#define BENCH_CLASS       "Thing"
#define BENCH_WORDS       "\5\5words" /* a packed string */
#define ROUNDS_AT_ONCE    100000

/* What was seen of a run when it began. */
struct bench_run {
	char id[ENGINE_RIG_KEY_BYTES];
	enum due_kind kind;
	int64_t at_ms;  /* when it ran */
	int64_t due_ms; /* its entry's */
	int64_t scheduled_ms;
	uint32_t tries;
	char method[32];
	char argument[64];
};

struct bench;

struct bench_call {
	struct bench *bench;
	struct objects_job *job;
	struct request *request;
	bool begun;
	struct bench_call *next;
};

typedef enum job_outcome (*bench_handler)(struct bench *bench, struct storage *storage,
	const struct objects_job *job, const char **error);

struct bench_worker {
	struct bench *bench;
	struct objects *objects;
	int64_t wanted_ms; /* what its objects asked the host for */
};

struct bench {
	struct engine_rig rig;
	uint16_t workers;
	struct bench_worker worker[BENCH_WORKERS_MAX];
	struct class_registry *registry;
	bench_handler handler; /* NULL: JOB_DONE */
	bool waiting;          /* runs stop after their first turn */
	bool class_missing;
	uint64_t rounds; /* calls of objects_run */
	void *context;   /* the test's */

	/* what happened */
	struct bench_run runs[BENCH_RUNS_MAX];
	uint32_t run_count;
	uint32_t stale;     /* jobs that were no longer due */
	uint32_t under_way; /* begun and not ended */
	uint32_t under_way_max;
	struct bench_call *parked, *parked_last;
};

/* --- calls ------------------------------------------------------------------------------------ */

static void bench_end_turn(struct bench_call *call, struct turn *turn, struct storage *storage)
{
	struct bench *bench = call->bench;
	const char *error = NULL;
	enum job_outcome outcome = JOB_DONE;
	if (bench->class_missing)
		outcome = JOB_NO_CLASS;
	else if (bench->handler)
		outcome = bench->handler(bench, storage, call->job, &error);
	if (outcome != JOB_DONE) {
		changes_init(&turn->changes, turn_arena(turn));
		struct object_name name = storage->name;
		storage_open(storage, turn, &name);
	}
	scheduler_conclude(objects_on(turn)->scheduler, storage, call->job, outcome, error);
	storage_close(storage);
	bench->under_way--;
}

static void bench_copy(char *out, size_t size, struct slice bytes)
{
	size_t most = bytes.size < size - 1 ? bytes.size : size - 1;
	if (most)
		memcpy(out, bytes.data, most);
	out[most] = '\0';
}

static void bench_note_run(struct bench *bench, const struct objects_job *job, int64_t now_ms)
{
	assert_true(bench->run_count < BENCH_RUNS_MAX);
	struct bench_run *run = &bench->runs[bench->run_count++];
	bench_copy(run->id, sizeof(run->id), job->due.object.id);
	bench_copy(run->method, sizeof(run->method), job->method);
	bench_copy(run->argument, sizeof(run->argument), job->argument);
	run->kind = job->due.kind;
	run->at_ms = now_ms;
	run->due_ms = job->due.at_ms;
	run->scheduled_ms = job->scheduled_ms;
	run->tries = job->tries;
	if (++bench->under_way > bench->under_way_max)
		bench->under_way_max = bench->under_way;
}

static void bench_on_parked(struct request *request)
{
	struct bench_call *call = request->turn.state;
	struct bench *bench = call->bench;
	call->request = request;
	call->next = NULL;
	*(bench->parked ? &bench->parked_last->next : &bench->parked) = call;
	bench->parked_last = call;
}

static void bench_run_call(struct turn *turn)
{
	struct bench_call *call = turn->state;
	struct bench *bench = call->bench;
	struct storage storage;
	storage_open(&storage, turn, &call->job->due.object);
	if (!call->begun) {
		if (!scheduler_begin(&storage, call->job)) {
			bench->stale++;
			storage_close(&storage);
			return;
		}
		call->begun = true;
		bench_note_run(bench, call->job, turn->now_ms);
		if (bench->waiting) {
			storage_close(&storage);
			turn_park(turn, bench_on_parked);
			return;
		}
	}
	bench_end_turn(call, turn, &storage);
}

static const struct command bench_call_command = {
	.name = "a call", .route = ROUTE_KEYS, .run = bench_run_call
};

static void bench_on_told(struct request **request)
{
	struct bench_call *call = (*request)->turn.state;
	struct objects_job *job = call->job;
	memory_free(call);
	job->ended(job);
}

static void bench_start(struct objects *objects, struct objects_job *job)
{
	struct bench_worker *worker = objects->options.host.context;
	struct bench_call *call = memory_zeroed(sizeof(*call));
	call->bench = worker->bench;
	call->job = job;
	engine_ask(objects->engine, objects->options.port,
		&(struct question){ .command = &bench_call_command,
			.shard = hash_shard_of(
				hash_slot(job->due.object.id), objects->engine->shard_count),
			.state = call,
			.told = bench_on_told });
}

/* The run that has waited longest goes on to its end. */
static inline void bench_go_on(struct bench *bench)
{
	struct bench_call *call = bench->parked;
	assert_non_null(call);
	bench->parked = call->next;
	struct request *request = call->request;
	engine_tick(bench->rig.engine, request->home);
	engine_resume(bench->rig.engine, request->home, &request);
}

/* --- the bench -------------------------------------------------------------------------------- */

static void bench_wake_at(void *context, int64_t at_ms)
{
	struct bench_worker *worker = context;
	worker->wanted_ms = at_ms;
}

static inline void bench_open(struct bench *bench)
{
	engine_rig_start(&bench->rig, bench->workers, bench->workers);
	bench->registry = class_registry_new();
	for (uint16_t i = 0; i < bench->workers; i++) {
		struct bench_worker *worker = &bench->worker[i];
		*worker = (struct bench_worker){ .bench = bench, .wanted_ms = INT64_MAX };
		engine_tick(bench->rig.engine, i);
		struct objects_options options = {
			.engine = bench->rig.engine,
			.config = &bench->rig.config,
			.port = i,
			.registry = bench->registry,
			.runtime = &lua_runtime,
			.schedule = &scheduler_of_objects,
			.host = { .context = worker, .wake_at = bench_wake_at },
		};
		worker->objects = objects_new(&options);
		worker->objects->scheduler->start = bench_start;
		random_seed(&worker->objects->scheduler->random, i + 1u);
	}
}

/* Everything that is only in memory goes; `crash`: what is not durable, too. */
static inline void bench_close(struct bench *bench, bool crash)
{
	while (bench->parked) {
		struct bench_call *call = bench->parked;
		struct port *port = &bench->rig.engine->ports[call->request->home];
		bench->parked = call->next;
		request_move(call->request, REQUEST_DONE);
		request_put(&port->pool, &call->request);
		memory_free(call);
	}
	bench->under_way = 0;
	for (uint16_t i = 0; i < bench->workers; i++)
		objects_free(&bench->worker[i].objects);
	class_registry_free(&bench->registry);
	if (crash)
		engine_rig_crash(&bench->rig);
	else
		engine_rig_close(&bench->rig);
}

static inline struct bench *bench_new(uint16_t shards, uint16_t workers)
{
	struct bench *bench = memory_zeroed(sizeof(*bench));
	engine_rig_init(&bench->rig, shards);
	bench->rig.config.log_segment_bytes = 4 << 20;
	bench->workers = workers;
	return bench;
}

static inline void bench_free(struct bench *bench)
{
	if (bench->rig.engine)
		bench_close(bench, false);
	engine_rig_fini(&bench->rig);
	memory_free(bench);
}

static inline struct scheduler *bench_scheduler(struct bench *bench)
{
	return bench->worker[0].objects->scheduler;
}

/* Runs what the host was asked for up to now. False: nothing was. */
static inline bool bench_round(struct bench *bench)
{
	bool ran = false;
	engine_rig_deliver(&bench->rig);
	for (uint16_t i = 0; i < bench->workers; i++) {
		struct bench_worker *worker = &bench->worker[i];
		if (worker->wanted_ms > bench->rig.now_ms)
			continue;
		worker->wanted_ms = INT64_MAX;
		engine_tick(bench->rig.engine, i);
		objects_run(worker->objects);
		bench->rounds++;
		ran = true;
	}
	gate_keeper_step(bench->rig.engine->gate);
	gate_step(bench->rig.engine->gate);
	return ran;
}

/* Until nothing more is asked for now. */
static inline void bench_settle(struct bench *bench)
{
	for (int round = 0; bench_round(bench); round++)
		assert_true(round < ROUNDS_AT_ONCE);
}

static inline int64_t bench_wanted_ms(const struct bench *bench)
{
	int64_t wanted_ms = INT64_MAX;
	for (uint16_t i = 0; i < bench->workers; i++)
		if (bench->worker[i].wanted_ms < wanted_ms)
			wanted_ms = bench->worker[i].wanted_ms;
	return wanted_ms;
}

/* From one time asked for to the next, to `ms` from now. */
static inline void bench_advance(struct bench *bench, int64_t ms)
{
	int64_t end_ms = bench->rig.now_ms + ms;
	bench_settle(bench);
	while (bench_wanted_ms(bench) <= end_ms) {
		bench->rig.now_ms = bench_wanted_ms(bench);
		bench_settle(bench);
	}
	bench->rig.now_ms = end_ms;
	bench_settle(bench);
}

/* --- objects ---------------------------------------------------------------------------------- */

static struct object_name bench_name(struct slice id)
{
	return (struct object_name){ slice_text(BENCH_CLASS), id };
}

static int64_t bench_number(const struct turn *turn, uint32_t index)
{
	struct slice text = turn_argument(turn, index);
	char copy[32];
	bench_copy(copy, sizeof(copy), text);
	return strtoll(copy, NULL, 10);
}

static void bench_run_set_alarm(struct turn *turn)
{
	struct object_name name = bench_name(turn_argument(turn, 1));
	struct storage storage;
	storage_open(&storage, turn, &name);
	storage_set_alarm(&storage, bench_number(turn, 2));
	storage_close(&storage);
}

static void bench_run_delete_alarm(struct turn *turn)
{
	struct object_name name = bench_name(turn_argument(turn, 1));
	struct storage storage;
	storage_open(&storage, turn, &name);
	storage_delete_alarm(&storage);
	storage_close(&storage);
}

/* A value, so that the object exists. */
static void bench_run_put(struct turn *turn)
{
	struct object_name name = bench_name(turn_argument(turn, 1));
	struct storage storage;
	struct value value = { .type = VALUE_BYTES, .data = turn_argument(turn, 3) };
	storage_open(&storage, turn, &name);
	storage_put(&storage, turn_argument(turn, 2), &value);
	storage_close(&storage);
}

static void bench_run_get(struct turn *turn)
{
	struct object_name name = bench_name(turn_argument(turn, 1));
	struct storage storage;
	struct value value;
	storage_open(&storage, turn, &name);
	if (storage_get(&storage, turn_argument(turn, 2), &value))
		buffer_append(&turn->request->reply, value.data.data, value.data.size);
}

/* name, cron or "", every ms, next ms, method */
static void bench_run_set_schedule(struct turn *turn)
{
	struct object_name name = bench_name(turn_argument(turn, 1));
	struct storage storage;
	struct schedule schedule = {
		.name = turn_argument(turn, 2),
		.cron = turn_argument(turn, 3),
		.every_ms = bench_number(turn, 4),
		.next_ms = bench_number(turn, 5),
		.due_ms = bench_number(turn, 5),
		.method = turn_argument(turn, 6),
		.argument = slice_text(BENCH_WORDS),
	};
	storage_open(&storage, turn, &name);
	storage_set_schedule(&storage, &schedule);
	storage_close(&storage);
}

static void bench_run_delete_schedule(struct turn *turn)
{
	struct object_name name = bench_name(turn_argument(turn, 1));
	struct storage storage;
	storage_open(&storage, turn, &name);
	storage_delete_schedule(&storage, turn_argument(turn, 2));
	storage_close(&storage);
}

/* kind, time, name, value: an entry of the index, whatever the object says */
static void bench_run_file(struct turn *turn)
{
	struct due due = {
		.object = bench_name(turn_argument(turn, 1)),
		.kind = (enum due_kind)bench_number(turn, 2),
		.at_ms = bench_number(turn, 3),
		.name = turn_argument(turn, 4),
	};
	struct value value = { .type = VALUE_PACKED, .data = turn_argument(turn, 5) };
	struct key key;
	key_of_due(&key, &due);
	turn_put(turn, turn->shard, key_slice(&key), &value);
	objects_note_due(objects_on(turn), turn->shard, due.at_ms);
}

#define BENCH_COMMAND(text, turn)                                                                  \
	{                                                                                          \
		.name = (text), .arity = -2, .route = ROUTE_KEYS, .key_first = 1, .key_last = 1,   \
		.run = (turn)                                                                      \
	}
static const struct command bench_set_alarm = BENCH_COMMAND("set_alarm", bench_run_set_alarm);
static const struct command bench_delete_alarm =
	BENCH_COMMAND("delete_alarm", bench_run_delete_alarm);
static const struct command bench_put = BENCH_COMMAND("put", bench_run_put);
static const struct command bench_get = BENCH_COMMAND("get", bench_run_get);
static const struct command bench_set_schedule =
	BENCH_COMMAND("set_schedule", bench_run_set_schedule);
static const struct command bench_delete_schedule =
	BENCH_COMMAND("delete_schedule", bench_run_delete_schedule);
static const struct command bench_file = BENCH_COMMAND("file", bench_run_file);

/* One of these commands, by words. */
#define bench_do(bench, command, ...)                                                              \
	engine_rig_send_command(&(bench)->rig, 0, command, (command)->name, __VA_ARGS__, NULL)

static inline const char *bench_text(char out[24], int64_t number)
{
	snprintf(out, 24, "%lld", (long long)number);
	return out;
}

static inline struct engine_ticket *bench_alarm(struct bench *bench, const char *id, int64_t at_ms)
{
	char text[24];
	return bench_do(bench, &bench_set_alarm, id, bench_text(text, at_ms));
}

static inline struct engine_ticket *bench_schedule(
	struct bench *bench, const char *id, const char *cron, int64_t every_ms, int64_t next_ms)
{
	char every[24], next[24];
	return bench_do(bench, &bench_set_schedule, id, "poll", cron, bench_text(every, every_ms),
		bench_text(next, next_ms), "tick");
}

/* --- what the store holds --------------------------------------------------------------------- */

typedef void (*bench_each)(void *context, struct slice key, const struct value *value);

static inline uint32_t bench_walk(
	struct bench *bench, enum table table, bench_each each, void *context)
{
	struct engine *engine = bench->rig.engine;
	char start = (char)table, end = (char)(table + 1);
	uint32_t count = 0;
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		struct arena arena;
		struct cursor cursor;
		struct slice key;
		struct value value;
		arena_init(&arena, 4096);
		cursor_open(&cursor, engine->stores[i], NULL, &arena, slice_of(&start, 1),
			slice_of(&end, 1), false);
		while (cursor_next(&cursor, &key, &value)) {
			if (!value_is_live(&value, bench->rig.now_ms))
				continue;
			if (each)
				each(context, key, &value);
			count++;
		}
		cursor_close(&cursor);
		arena_fini(&arena);
	}
	return count;
}

/* What a given-up run is remembered by. */
struct bench_failed {
	enum due_kind kind;
	char error[64];
	int64_t tries, scheduled_ms, given_up_ms;
	int64_t expire_ms;
};

static void bench_read_failed(void *context, struct slice key, const struct value *value)
{
	struct bench_failed *out = context;
	struct due due;
	struct packed_item item;
	struct slice rest = value->data;
	assert_true(key_parse_failed(key, &due));
	assert_int_equal(value->type, VALUE_PACKED);
	assert_true(packed_is_whole(rest));
	assert_true(packed_take(&rest, &item));
	assert_int_equal(item.kind, PACKED_TABLE);
	assert_int_equal(item.items, 4);
	assert_true(packed_take(&rest, &item));
	bench_copy(out->error, sizeof(out->error), item.bytes);
	assert_true(packed_take(&rest, &item));
	out->tries = item.integer;
	assert_true(packed_take(&rest, &item));
	out->scheduled_ms = item.integer;
	assert_true(packed_take(&rest, &item));
	out->given_up_ms = item.integer;
	out->kind = due.kind;
	out->expire_ms = value->expire_ms;
}

/* How many are remembered; the last is read. */
static inline uint32_t bench_failed(struct bench *bench, struct bench_failed *out)
{
	memset(out, 0, sizeof(*out));
	return bench_walk(bench, TABLE_FAILED, bench_read_failed, out);
}

/* A handler: what it writes is never seen. */
static inline enum job_outcome bench_fail_always(struct bench *bench, struct storage *storage,
	const struct objects_job *job, const char **error)
{
	struct value value = { .type = VALUE_BYTES, .data = slice_text("x") };
	storage_put(storage, slice_text("trace"), &value);
	*error = "CLASSERR Thing.alarm: no";
	return JOB_FAILED;
}

static inline uint32_t bench_due_entries(struct bench *bench)
{
	return bench_walk(bench, TABLE_DUE, NULL, NULL);
}

#endif
