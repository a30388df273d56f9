/*
 * scheduler_conclude: what an entry of the index means when its time has come, and what becomes of
 * it when its run has ended. Both happen in turns of the object itself, with its storage open: the
 * entry leaves the index in one change with the run's last effects.
 *
 * An entry says only when and for whom. Whether it still holds is the object's to say: an alarm
 * that was set anew is known by its number, a schedule that was changed by its next time. Whatever
 * the handler has set anew stays as it was set.
 *
 *   retry n:      1  2  3   4   5   6   then given up
 *   seconds:      2  4  8  16  32  64   plus up to a quarter of each
 *
 * Threads: the shard's worker, in a turn.
 */
#include "base/logline.h"
#include "base/memory.h"
#include "object/packed.h"
#include "object/report.h"
#include "schedule/scheduler.h"
#include "schedule/scheduler_private.h"
#include "store/damage.h"

#include <assert.h>

#define RETRIES_MAX     6
#define RETRY_FIRST_MS  2000
#define CLASS_RETRY_MS  60000 /* when the class is not loaded */
#define JITTER_FRACTION 4

static bool begin_alarm(struct storage *storage, struct objects_job *job);
static bool begin_schedule(struct storage *storage, struct objects_job *job);
static bool begin_wake(struct storage *storage, struct objects_job *job);

struct conclusion {
	struct scheduler *scheduler;
	struct storage *storage;
	const struct objects_job *job;
	enum job_outcome outcome;
	const char *error;
	int64_t now_ms;
};

static void conclude_alarm(const struct conclusion *conclusion);
static void conclude_schedule(const struct conclusion *conclusion);
static void conclude_wake(const struct conclusion *conclusion);

bool scheduler_begin(struct storage *storage, struct objects_job *job)
{
	bool due = false;
	switch (job->due.kind) {
	case DUE_ALARM:
		due = begin_alarm(storage, job);
		break;
	case DUE_SCHEDULE:
		due = begin_schedule(storage, job);
		break;
	case DUE_WAKE:
		due = begin_wake(storage, job);
		break;
	case DUE_EXPIRE:
	case DUE_SWEEP:
		assert(!"a job without a call");
	}
	if (due)
		return true;
	struct scheduled_job *own = scheduler_own(job);
	scheduler_unfile(storage, &job->due);
	if (own)
		own->gone = true;
	return false;
}

void scheduler_conclude(struct scheduler *scheduler, struct storage *storage,
	const struct objects_job *job, enum job_outcome outcome, const char *error)
{
	struct conclusion conclusion = {
		.scheduler = scheduler,
		.storage = storage,
		.job = job,
		.outcome = outcome,
		.error = error ? error : "",
		.now_ms = storage->turn->now_ms,
	};
	switch (job->due.kind) {
	case DUE_ALARM:
		conclude_alarm(&conclusion);
		break;
	case DUE_SCHEDULE:
		conclude_schedule(&conclusion);
		break;
	case DUE_WAKE:
		conclude_wake(&conclusion);
		break;
	case DUE_EXPIRE:
	case DUE_SWEEP:
		assert(!"a job without a call");
	}
	bool claimed = scheduler_is_claimed(storage, &job->due);
	if (!claimed)
		scheduler_unfile(storage, &job->due);
	struct scheduled_job *own = scheduler_own(job);
	if (own)
		own->gone = !claimed;
}

bool scheduler_is_claimed(struct storage *storage, const struct due *due)
{
	const struct object_record *record = &storage->record;
	struct schedule schedule;
	switch (due->kind) {
	case DUE_ALARM:
		return record->alarm_ms != 0 && record->alarm_due_ms == due->at_ms;
	case DUE_SCHEDULE:
		return storage_get_schedule(storage, due->name, &schedule) &&
			schedule.due_ms == due->at_ms;
	case DUE_WAKE:
		return false;
	case DUE_EXPIRE:
		return record->expire_ms != 0 && record->expire_filed_ms == due->at_ms;
	case DUE_SWEEP:
		return record->sweep_filed_ms == due->at_ms;
	}
	return false;
}

void scheduler_unfile(struct storage *storage, const struct due *due)
{
	struct key key;
	struct value value;
	key_of_due(&key, due);
	if (turn_look(storage->turn, storage->shard, key_slice(&key), &value))
		turn_delete(storage->turn, storage->shard, key_slice(&key));
}

/* --- the beginning ---------------------------------------------------------------------------- */

/* The job outlives the turn, and so do its words. */
static void own_words(struct objects_job *job, struct slice method, struct slice argument)
{
	struct scheduled_job *own = scheduler_own(job);
	assert(own);
	char *copied = memory_alloc(method.size + argument.size);
	if (method.size)
		memcpy(copied, method.data, method.size);
	if (argument.size)
		memcpy(copied + method.size, argument.data, argument.size);
	memory_free(own->copied);
	own->copied = copied;
	job->method = slice_of(copied, method.size);
	job->argument = slice_of(copied + method.size, argument.size);
}

static bool begin_alarm(struct storage *storage, struct objects_job *job)
{
	const struct object_record *record = &storage->record;
	if (!scheduler_is_claimed(storage, &job->due))
		return false;
	job->scheduled_ms = record->alarm_ms;
	job->tries = record->alarm_tries;
	job->serial = record->alarm_serial;
	return true;
}

static bool begin_schedule(struct storage *storage, struct objects_job *job)
{
	struct schedule schedule;
	if (!storage_get_schedule(storage, job->due.name, &schedule) ||
		schedule.due_ms != job->due.at_ms)
		return false;
	own_words(job, schedule.method, schedule.argument);
	job->scheduled_ms = schedule.next_ms;
	job->tries = schedule.tries;
	return true;
}

/* What has ended in the meantime is not brought back by a call that was meant for what it was. */
static bool begin_wake(struct storage *storage, struct objects_job *job)
{
	struct key key;
	struct value value;
	key_of_due(&key, &job->due);
	if (!record_exists(&storage->record) ||
		!turn_get(storage->turn, storage->shard, key_slice(&key), &value))
		return false;
	if (value.data.size > 0 && !packed_is_whole(value.data))
		damaged("a wake of an object", storage->shard, key_slice(&key));
	own_words(job, job->due.name, value.data);
	job->scheduled_ms = job->due.at_ms;
	job->tries = 0;
	return true;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* How long after its `failed`th failure, from 0, a run is tried again. */
static int64_t retry_delay_ms(struct scheduler *scheduler, uint32_t failed)
{
	int64_t delay_ms = (int64_t)RETRY_FIRST_MS << failed;
	uint64_t jitter =
		random_below(&scheduler->random, (uint64_t)(delay_ms / JITTER_FRACTION) + 1);
	return delay_ms + (int64_t)jitter;
}

static void report(const struct conclusion *conclusion, uint32_t tries, int64_t again_ms)
{
	struct objects *objects = conclusion->scheduler->objects;
	const struct due *due = &conclusion->job->due;
	report_job(objects, objects_report_limit(objects, due->object.class_name), due,
		conclusion->error, tries, again_ms);
}

/* Remembers a run that was given up: {error, tries, scheduled_ms, given_up_ms}. */
static void note_failed(const struct conclusion *conclusion, uint32_t tries, int64_t scheduled_ms)
{
	struct turn *turn = conclusion->storage->turn;
	struct slice error = slice_text(conclusion->error);
	if (error.size > LIMIT_ERROR_BYTES)
		error.size = LIMIT_ERROR_BYTES;
	struct buffer packed;
	buffer_init(&packed);
	packed_add_table(&packed, 4, 0);
	packed_add_string(&packed, error);
	packed_add_integer(&packed, tries);
	packed_add_integer(&packed, scheduled_ms);
	packed_add_integer(&packed, conclusion->now_ms);
	struct value value = {
		.type = VALUE_PACKED,
		.expire_ms = conclusion->now_ms + LIMIT_FAILED_LIFE_MS,
		.data = arena_copy(turn_arena(turn), buffer_slice(&packed)),
	};
	buffer_fini(&packed);
	struct key key;
	key_of_failed(&key, &conclusion->job->due);
	turn_put(turn, conclusion->storage->shard, key_slice(&key), &value);
}

/* An alarm that runs by hand may stand in the index under another time by now: its number tells. */
static bool is_same_alarm(const struct conclusion *conclusion)
{
	const struct object_record *record = &conclusion->storage->record;
	return record->alarm_ms != 0 && record->alarm_serial == conclusion->job->serial;
}

static void conclude_alarm(const struct conclusion *conclusion)
{
	struct storage *storage = conclusion->storage;
	uint32_t tries = storage->record.alarm_tries;
	if (!is_same_alarm(conclusion))
		return;
	struct slice error = slice_text(conclusion->error);
	if (conclusion->outcome == JOB_NO_CLASS) {
		report(conclusion, tries + 1, CLASS_RETRY_MS);
		storage_retry_alarm(storage, conclusion->now_ms + CLASS_RETRY_MS, tries, error);
		return;
	}
	if (conclusion->outcome == JOB_FAILED && tries < RETRIES_MAX) {
		int64_t delay_ms = retry_delay_ms(conclusion->scheduler, tries);
		report(conclusion, tries + 1, delay_ms);
		storage_retry_alarm(storage, conclusion->now_ms + delay_ms, tries + 1, error);
		return;
	}
	if (conclusion->outcome != JOB_DONE) {
		report(conclusion, tries + 1, -1);
		note_failed(conclusion, tries + 1, storage->record.alarm_ms);
	}
	storage_delete_alarm(storage);
}

/* False when this time's run is over, one way or the other. */
static bool retry_schedule(
	const struct conclusion *conclusion, struct schedule *schedule, int64_t next_ms)
{
	if (conclusion->outcome == JOB_NO_CLASS) {
		schedule->due_ms = conclusion->now_ms + CLASS_RETRY_MS;
		return true;
	}
	if (conclusion->outcome != JOB_FAILED || schedule->tries >= RETRIES_MAX)
		return false;
	int64_t retry_ms =
		conclusion->now_ms + retry_delay_ms(conclusion->scheduler, schedule->tries);
	if (retry_ms >= next_ms)
		return false;
	schedule->due_ms = retry_ms;
	schedule->tries++;
	return true;
}

static void conclude_schedule(const struct conclusion *conclusion)
{
	struct storage *storage = conclusion->storage;
	const struct due *due = &conclusion->job->due;
	struct schedule schedule;
	if (!storage_get_schedule(storage, due->name, &schedule) || schedule.due_ms != due->at_ms)
		return;
	if (conclusion->outcome != JOB_NO_CLASS &&
		schedule.next_ms != conclusion->job->scheduled_ms)
		return;
	int64_t next_ms = scheduler_regular_ms(&schedule, conclusion->now_ms);
	uint32_t tries = schedule.tries + 1;
	if (!retry_schedule(conclusion, &schedule, next_ms)) {
		if (conclusion->outcome != JOB_DONE)
			note_failed(conclusion, tries, schedule.next_ms);
		schedule.next_ms = schedule.due_ms = next_ms;
		schedule.tries = 0;
	}
	/* It stands with the next run, a retry or a regular one, until one has gone well. */
	schedule.error = slice_text(conclusion->error);
	if (conclusion->outcome != JOB_DONE && next_ms != INT64_MAX)
		report(conclusion, tries, schedule.due_ms - conclusion->now_ms);
	if (next_ms == INT64_MAX) {
		logline(LOGLINE_WARNING,
			"A schedule of an object of %.*s is dropped: '%.*s' is no time",
			(int)due->object.class_name.size, due->object.class_name.data,
			(int)schedule.cron.size, schedule.cron.data);
		storage_delete_schedule(storage, due->name);
		return;
	}
	storage_set_schedule(storage, &schedule);
}

void scheduler_move_wake(struct storage *storage, const struct due *due, int64_t to_ms)
{
	struct due later = *due;
	struct key from, key;
	struct value value, other;
	key_of_due(&from, due);
	if (!turn_get(storage->turn, storage->shard, key_slice(&from), &value))
		return;
	value.data = arena_copy(turn_arena(storage->turn), value.data);
	turn_delete(storage->turn, storage->shard, key_slice(&from));
	for (later.at_ms = to_ms;; later.at_ms++) {
		key_of_due(&key, &later);
		if (!turn_look(storage->turn, storage->shard, key_slice(&key), &other))
			break;
	}
	turn_put(storage->turn, storage->shard, key_slice(&key), &value);
	objects_note_due(objects_on(storage->turn), storage->shard, later.at_ms);
}

static void conclude_wake(const struct conclusion *conclusion)
{
	if (conclusion->outcome == JOB_FAILED || conclusion->outcome == JOB_NO_METHOD) {
		report(conclusion, 1, -1);
		note_failed(conclusion, 1, conclusion->job->due.at_ms);
	}
	if (conclusion->outcome == JOB_NO_CLASS) {
		report(conclusion, 1, CLASS_RETRY_MS);
		scheduler_move_wake(conclusion->storage, &conclusion->job->due,
			conclusion->now_ms + CLASS_RETRY_MS);
	}
}
