/*
 * scheduler: finding what is due, and seeing to it that each entry is begun once and no more run
 * at a time than may. What becomes of an entry is scheduler_conclude.c's.
 *
 *   scheduler_run --> scan: a turn of the shard --> objects_start_job ... begin, conclude --> ended
 *                        | takes due entries   '--> upkeep: a turn, and another in the next run,
 *                        v while slots are free            until nothing is left
 *                     next_ms
 *
 * An entry stands in the index until it is concluded, so the scan passes over those that run. It
 * begins at the first key that did not run when the last one ended, not at the beginning of the
 * index: there the deleted entries lie, as tombstones, until the next checkpoint. Whatever may
 * stand before that key is noted: an entry that is filed, and a job that has ended while its entry
 * is still there.
 *
 * Nothing here goes round in a loop until the work is done: a job's end frees a slot and asks the
 * host to call again, so clients have their turns in between, however much is overdue. Without a
 * free slot there is nothing to ask for.
 *
 * Threads: the worker's, turns included: a scan holds one shard, the worker's own.
 */
#include "schedule/scheduler.h"

#include "base/hash.h"
#include "base/memory.h"
#include "schedule/scheduler_private.h"
#include "schedule/server_schedules.h"
#include "store/damage.h"

#include <assert.h>

#define ADMISSION_WAIT_MS 50 /* how soon to look again whether the log is still behind */

static void run_scan(struct turn *turn);
static void on_scanned(struct request **request);
static void run_upkeep(struct turn *turn);
static void on_kept_up(struct request **request);
static void begin_all(struct list *jobs);
static bool has_slot(const struct scheduler *scheduler);
static void release_job(struct scheduled_job *job);

static const struct command scan_command = {
	.name = "scan what is due", .route = ROUTE_KEYS, .run = run_scan
};

static const struct command upkeep_command = {
	.name = "end lives and sweep", .route = ROUTE_KEYS, .run = run_upkeep
};

const struct objects_schedule scheduler_of_objects = {
	.open = scheduler_new,
	.free = scheduler_free,
	.run = scheduler_run,
	.next_ms = scheduler_next_ms,
	.note = scheduler_note,
	.quiesce = scheduler_quiesce,
	.begin = scheduler_begin,
	.conclude = scheduler_conclude,
};

struct scheduler *scheduler_new(struct objects *objects)
{
	struct engine *engine = objects_engine(objects);
	uint16_t port = objects_port(objects);
	struct scheduler *scheduler = memory_zeroed(sizeof(*scheduler));
	scheduler->objects = objects;
	scheduler->engine = engine;
	scheduler->port = port;
	scheduler->start = objects_start_job;
	uint64_t seed;
	random_entropy(&seed, sizeof(seed));
	random_seed(&scheduler->random, seed);
	scheduler->shards = memory_zeroed(engine->shard_count * sizeof(*scheduler->shards));
	if (port < engine->worker_count) {
		for (uint32_t i = port; i < engine->shard_count; i += engine->worker_count)
			scheduler->shards[scheduler->shard_count++] = (struct due_shard){
				.scheduler = scheduler,
				.number = (uint16_t)i,
			};
	}
	if (port == 0)
		scheduler->schedules = server_schedules_new(scheduler, objects_config(objects));
	return scheduler;
}

void scheduler_free(struct scheduler **taken)
{
	struct scheduler *scheduler = *taken;
	*taken = NULL;
	struct hash_node *node;
	while ((node = hash_table_any(&scheduler->running)) != NULL)
		release_job(container_of(node, struct scheduled_job, by_key));
	hash_table_fini(&scheduler->running);
	for (uint32_t i = 0; i < scheduler->shard_count; i++) {
		memory_free(scheduler->shards[i].from);
		memory_free(scheduler->shards[i].look_from);
	}
	if (scheduler->schedules)
		server_schedules_free(&scheduler->schedules);
	memory_free(scheduler->shards);
	memory_free(scheduler);
}

void scheduler_run(struct scheduler *scheduler, int64_t now_ms)
{
	if (scheduler->quiesced)
		return;
	if (engine_admission(scheduler->engine) != GATE_OPEN) {
		scheduler->hold_ms = now_ms + ADMISSION_WAIT_MS;
		return;
	}
	scheduler->hold_ms = 0;
	scheduler_follow_clock(scheduler, now_ms);
	if (scheduler->schedules)
		server_schedules_run(scheduler->schedules, now_ms);
	/* One turn each; what is not done then waits for the next run. */
	begin_all(&scheduler->unfinished);
	uint32_t first = scheduler->shard_first;
	for (uint32_t i = 0; i < scheduler->shard_count; i++) {
		uint32_t at = (first + i) % scheduler->shard_count;
		struct due_shard *shard = &scheduler->shards[at];
		if (!has_slot(scheduler)) {
			scheduler->shard_first = at;
			return;
		}
		if (shard->scanning || shard->next_ms > now_ms)
			continue;
		shard->scanning = true;
		scheduler_ask(scheduler, &scan_command, shard->number, shard, on_scanned);
	}
}

int64_t scheduler_next_ms(const struct scheduler *scheduler)
{
	int64_t next_ms = INT64_MAX;
	if (scheduler->quiesced)
		return next_ms;
	if (scheduler->schedules)
		next_ms = server_schedules_next_ms(scheduler->schedules);
	if (scheduler->unfinished.first || scheduler_has_to_look(scheduler))
		next_ms = 0;
	for (uint32_t i = 0; has_slot(scheduler) && i < scheduler->shard_count; i++) {
		const struct due_shard *shard = &scheduler->shards[i];
		if (!shard->scanning && shard->next_ms < next_ms)
			next_ms = shard->next_ms;
	}
	return next_ms < scheduler->hold_ms ? scheduler->hold_ms : next_ms;
}

void scheduler_note(struct scheduler *scheduler, uint16_t number, int64_t at_ms)
{
	uint16_t workers = scheduler->engine->worker_count;
	assert(number % workers == scheduler->port);
	/* A sweep files how far it has come under its own entry, which runs. */
	if (scheduler->swept && scheduler->swept->at_ms == at_ms)
		return;
	scheduler_look_at(&scheduler->shards[number / workers], at_ms);
}

void scheduler_quiesce(struct scheduler *scheduler)
{
	scheduler->quiesced = true;
}

void scheduler_ask(struct scheduler *scheduler, const struct command *command, uint16_t shard,
	void *state, void (*told)(struct request **request))
{
	engine_ask(scheduler->engine, scheduler->port,
		&(struct question){
			.command = command, .shard = shard, .state = state, .told = told });
}

/* --- the jobs --------------------------------------------------------------------------------- */

static bool has_slot(const struct scheduler *scheduler)
{
	int64_t most = atomic_load_explicit(
		&scheduler->engine->config->alarm_concurrency, memory_order_relaxed);
	return (int64_t)scheduler->running.count < most;
}

bool scheduler_is_running(struct scheduler *scheduler, struct slice key)
{
	const struct hash_node *node = hash_table_first(&scheduler->running, hash_bytes(key));
	while (node && !slice_equal(container_of(node, struct scheduled_job, by_key)->key, key))
		node = hash_table_next(node);
	return node != NULL;
}

static void finish(struct scheduled_job *job)
{
	struct scheduler *scheduler = job->scheduler;
	if (!job->gone)
		scheduler_look_at(job->shard, job->job.due.at_ms);
	release_job(job);
	objects_ask(scheduler->objects);
}

static void on_ended(struct objects_job *job)
{
	finish(job->context);
}

struct scheduled_job *scheduler_own(const struct objects_job *job)
{
	return job->ended == on_ended ? job->context : NULL;
}

static void take_job(struct due_shard *shard, struct slice key)
{
	struct scheduler *scheduler = shard->scheduler;
	struct scheduled_job *job = memory_zeroed(sizeof(*job) + key.size);
	memcpy(job + 1, key.data, key.size);
	job->key = slice_of(job + 1, key.size);
	scheduler_parse_due(shard, job->key, &job->job.due);
	job->job.ended = on_ended;
	job->job.context = job;
	job->scheduler = scheduler;
	job->shard = shard;
	hash_table_add(&scheduler->running, &job->by_key, hash_bytes(key));
	list_append(&shard->taken, &job->in_list);
}

static void release_job(struct scheduled_job *job)
{
	hash_table_remove(&job->scheduler->running, &job->by_key);
	memory_free(job->copied);
	memory_free(job);
}

static bool is_upkeep(const struct scheduled_job *job)
{
	return job->job.due.kind == DUE_EXPIRE || job->job.due.kind == DUE_SWEEP;
}

static void begin_job(struct scheduled_job *job)
{
	struct scheduler *scheduler = job->scheduler;
	if (scheduler->quiesced)
		release_job(job);
	else if (is_upkeep(job))
		scheduler_ask(scheduler, &upkeep_command, job->shard->number, job, on_kept_up);
	else
		scheduler->start(scheduler->objects, &job->job);
}

/* Those that are put into the list meanwhile stay there. */
static void begin_all(struct list *jobs)
{
	struct list begun = *jobs;
	struct list_node *node;
	*jobs = (struct list){ 0 };
	while ((node = list_take(&begun)) != NULL)
		begin_job(container_of(node, struct scheduled_job, in_list));
}

/* --- the scan --------------------------------------------------------------------------------- */

/* Nothing that does not run stands before this time, and this key when there is one. */
static void stand_at(struct due_shard *shard, int64_t at_ms, struct slice key)
{
	memory_free(shard->from);
	shard->next_ms = at_ms;
	shard->from = NULL;
	shard->from_size = key.size;
	if (key.size) {
		shard->from = memory_alloc(key.size);
		memcpy(shard->from, key.data, key.size);
	}
}

void scheduler_look_at(struct due_shard *shard, int64_t at_ms)
{
	if (at_ms <= shard->next_ms)
		stand_at(shard, at_ms < 0 ? 0 : at_ms, slice_of(NULL, 0));
}

void scheduler_parse_due(const struct due_shard *shard, struct slice key, struct due *out)
{
	if (!key_parse_due(key, out))
		damaged("the key of a due entry", shard->number, key);
}

static void run_scan(struct turn *turn)
{
	static const char end[] = { TABLE_DUE + 1 };
	struct due_shard *shard = turn->state;
	struct scheduler *scheduler = shard->scheduler;
	struct key start;
	if (turn_makes_order(turn, shard->number, TABLE_DUE))
		return;
	key_of_due_time(&start, shard->next_ms);
	struct slice from =
		shard->from ? slice_of(shard->from, shard->from_size) : key_slice(&start);
	struct cursor cursor;
	cursor_open(&cursor, turn->stores[shard->number], &turn->changes, turn_arena(turn),
		arena_copy(turn_arena(turn), from), slice_of(end, sizeof(end)), false);
	cursor.without_data = true;
	struct slice key;
	struct value value;
	struct due due;
	stand_at(shard, INT64_MAX, slice_of(NULL, 0));
	scheduler_read_mark(turn, shard);
	while (cursor_next(&cursor, &key, &value)) {
		scheduler_parse_due(shard, key, &due);
		if (scheduler_is_running(scheduler, key))
			continue;
		if (due.at_ms > turn->now_ms || !has_slot(scheduler)) {
			stand_at(shard, due.at_ms, key);
			break;
		}
		take_job(shard, key);
	}
	cursor_close(&cursor);
	if (shard->taken.first)
		scheduler_write_mark(turn, shard);
}

static void on_scanned(struct request **request)
{
	struct due_shard *shard = (*request)->turn.state;
	struct scheduler *scheduler = shard->scheduler;
	shard->scanning = false;
	begin_all(&shard->taken);
	objects_ask(scheduler->objects);
}

/* --- ends of lives, sweeps -------------------------------------------------------------------- */

static void run_upkeep(struct turn *turn)
{
	struct scheduled_job *job = turn->state;
	const struct due *due = &job->job.due;
	struct storage storage;
	storage_open(&storage, turn, &due->object);
	bool existed = storage.is_stored;
	job->scheduler->swept = due->kind == DUE_SWEEP ? due : NULL;
	job->done = due->kind == DUE_SWEEP ? storage_sweep(&storage)
					   : storage_end_life(&storage, due->at_ms);
	storage_close(&storage);
	job->scheduler->swept = NULL;
	if (existed && !record_exists(&storage.record))
		objects_evict(turn, &due->object);
	if (!job->done)
		return;
	job->gone = !scheduler_is_claimed(&storage, due);
	if (job->gone)
		scheduler_unfile(&storage, due);
}

static void on_kept_up(struct request **request)
{
	struct scheduled_job *job = (*request)->turn.state;
	struct scheduler *scheduler = job->scheduler;
	if (job->done) {
		finish(job);
		return;
	}
	list_prepend(&scheduler->unfinished, &job->in_list);
	objects_ask(scheduler->objects);
}
