/*
 * scheduler_clock: recurring times follow the clock both ways. A clock that goes forward makes
 * entries fall due, and each runs once. One that goes back leaves entries that were filed when it
 * was ahead: a schedule whose next time is tomorrow's, a retry that is a day away. They are looked
 * for and filed anew.
 *
 *   the clock went back -> each shard's entries from now on, some a turn -> those that no clock of
 *   now would have filed -> filed anew
 *
 * What tells them is that they are further away than they can be: a schedule further than its next
 * regular time, a retry further than the longest wait. Times that a class has set, of alarms and of
 * ends of lives, are its own and stay.
 *
 * The clock may be set back while the server is down. So each shard notes now and then, before it
 * begins jobs, what time it is (TABLE_CRON, [08] alone), and compares at the start.
 *
 * Threads: the worker's, turns included: they hold one shard, the worker's own.
 */

#include "base/cron.h"
#include "base/logline.h"
#include "base/memory.h"
#include "schedule/scheduler_private.h"
#include "schedule/server_schedules.h"
#include "store/damage.h"

#include <assert.h>
#include <endian.h>

/* A clock is set by less than that all the time. */
#define TOLERANCE_MS  1000
#define MARK_EVERY_MS 60000
/* Entries looked at in one turn: each may have to read and write an object's record. A schedule may
 * have an argument of any size. */
#define ENTRIES_AT_ONCE 100
#define CHANGED_BYTES   (1u << 20)

static void run_look(struct turn *turn);
static void on_looked(struct request **request);

static const struct command look_command = {
	.name = "look at what was filed by another clock", .route = ROUTE_KEYS, .run = run_look
};

static void look_from(struct due_shard *shard, struct slice key)
{
	memory_free(shard->look_from);
	shard->look_from = memory_alloc(key.size);
	shard->look_from_size = key.size;
	memcpy(shard->look_from, key.data, key.size);
}

static void look_from_now(struct due_shard *shard, int64_t now_ms)
{
	struct key start;
	key_of_due_time(&start, now_ms);
	look_from(shard, key_slice(&start));
}

void scheduler_follow_clock(struct scheduler *scheduler, int64_t now_ms)
{
	int64_t back_ms = scheduler->clock_ms - now_ms;
	if (back_ms > TOLERANCE_MS) {
		if (scheduler->port == 0)
			logline(LOGLINE_NOTICE,
				"The clock went back by %lld s; what recurs follows it",
				(long long)(back_ms / 1000));
		for (uint32_t i = 0; i < scheduler->shard_count; i++)
			look_from_now(&scheduler->shards[i], now_ms);
		if (scheduler->schedules)
			server_schedules_follow(scheduler->schedules, now_ms);
	}
	if (back_ms > TOLERANCE_MS || back_ms < 0)
		scheduler->clock_ms = now_ms;
	for (uint32_t i = 0; i < scheduler->shard_count; i++) {
		struct due_shard *shard = &scheduler->shards[i];
		if (shard->look_from == NULL || shard->looking)
			continue;
		shard->looking = true;
		scheduler_ask(scheduler, &look_command, shard->number, shard, on_looked);
	}
}

bool scheduler_has_to_look(const struct scheduler *scheduler)
{
	for (uint32_t i = 0; i < scheduler->shard_count; i++) {
		const struct due_shard *shard = &scheduler->shards[i];
		if (shard->look_from && !shard->looking)
			return true;
	}
	return false;
}

/* --- the mark --------------------------------------------------------------------------------- */

static struct slice mark_key(void)
{
	static const char key[] = { TABLE_CRON };
	return slice_of(key, sizeof(key));
}

void scheduler_read_mark(struct turn *turn, struct due_shard *shard)
{
	struct value value;
	uint64_t mark = 0;
	if (shard->is_marked)
		return;
	shard->is_marked = true;
	if (turn_get(turn, shard->number, mark_key(), &value)) {
		if (value.data.size != sizeof(mark))
			damaged("what time it was", shard->number, mark_key());
		memcpy(&mark, value.data.data, sizeof(mark));
	}
	shard->mark_ms = (int64_t)le64toh(mark);
	if (shard->mark_ms > turn->now_ms + TOLERANCE_MS)
		look_from_now(shard, turn->now_ms);
}

void scheduler_write_mark(struct turn *turn, struct due_shard *shard)
{
	int64_t behind_ms = turn->now_ms - shard->mark_ms;
	if (behind_ms >= 0 && behind_ms < MARK_EVERY_MS)
		return;
	shard->mark_ms = turn->now_ms;
	uint64_t mark = htole64((uint64_t)turn->now_ms);
	struct value value = {
		.type = VALUE_NUMBER,
		.data = arena_copy(turn_arena(turn), slice_of(&mark, sizeof(mark))),
	};
	turn_put(turn, shard->number, mark_key(), &value);
}

/* --- an entry --------------------------------------------------------------------------------- */

int64_t scheduler_regular_ms(const struct schedule *schedule, int64_t now_ms)
{
	int64_t next_ms = schedule->next_ms;
	/* The clock went back while it ran, or since it was filed. */
	bool ahead = next_ms > now_ms + TOLERANCE_MS;
	if (schedule->cron.size == 0) {
		assert(schedule->every_ms > 0);
		if (ahead)
			return next_ms -
				(next_ms - now_ms - 1) / schedule->every_ms * schedule->every_ms;
		int64_t times = now_ms < next_ms ? 1 : (now_ms - next_ms) / schedule->every_ms + 1;
		return next_ms + times * schedule->every_ms;
	}
	struct cron cron;
	char error[128];
	if (cron_parse(schedule->cron, &cron, error, sizeof(error)) < 0)
		return INT64_MAX;
	return cron_next(&cron, ahead || now_ms > next_ms ? now_ms : next_ms);
}

/* True: it has to be filed anew, as it is now. */
static bool follow(struct schedule *schedule, int64_t now_ms)
{
	int64_t next_ms = scheduler_regular_ms(schedule, now_ms);
	if (schedule->next_ms > next_ms + TOLERANCE_MS) {
		schedule->next_ms = schedule->due_ms = next_ms;
		schedule->tries = 0;
		return true;
	}
	if (schedule->due_ms == schedule->next_ms ||
		schedule->due_ms <= now_ms + SCHEDULER_RETRY_MS_MAX + TOLERANCE_MS)
		return false;
	schedule->due_ms = now_ms;
	return true;
}

static void follow_alarm(struct storage *storage, int64_t now_ms)
{
	const struct object_record *record = &storage->record;
	bool waits = record->alarm_tries > 0 || record->alarm_due_ms != record->alarm_ms;
	if (record->alarm_ms != 0 && waits &&
		record->alarm_due_ms > now_ms + SCHEDULER_RETRY_MS_MAX + TOLERANCE_MS)
		storage_retry_alarm(storage, now_ms, record->alarm_tries,
			storage_due_error(
				storage, DUE_ALARM, record->alarm_due_ms, slice_of(NULL, 0)));
}

static void look_at(struct turn *turn, const struct due_shard *shard, struct slice key)
{
	struct storage storage;
	struct schedule schedule;
	struct due due;
	int64_t now_ms = turn->now_ms;
	scheduler_parse_due(shard, key, &due);
	storage_open(&storage, turn, &due.object);
	switch (due.kind) {
	case DUE_ALARM:
		if (storage.record.alarm_due_ms == due.at_ms)
			follow_alarm(&storage, now_ms);
		break;
	case DUE_SCHEDULE:
		if (storage_get_schedule(&storage, due.name, &schedule) &&
			schedule.due_ms == due.at_ms && follow(&schedule, now_ms)) {
			schedule.error =
				storage_due_error(&storage, DUE_SCHEDULE, due.at_ms, due.name);
			storage_set_schedule(&storage, &schedule);
		}
		break;
	case DUE_WAKE:
		if (due.at_ms > now_ms + SCHEDULER_RETRY_MS_MAX + TOLERANCE_MS)
			scheduler_move_wake(&storage, &due, now_ms);
		break;
	case DUE_SWEEP:
		if (due.at_ms > now_ms + TOLERANCE_MS)
			storage_sweep_now(&storage, due.at_ms);
		break;
	case DUE_EXPIRE:
		break;
	}
	storage_close(&storage);
}

static struct slice first_behind(struct arena *arena, struct slice key)
{
	char *behind = arena_alloc(arena, key.size + 1);
	memcpy(behind, key.data, key.size);
	behind[key.size] = '\0';
	return slice_of(behind, key.size + 1);
}

/* Those that run see to their entries themselves, by the clock as it then is. */
static void run_look(struct turn *turn)
{
	static const char end[] = { TABLE_DUE + 1 };
	struct due_shard *shard = turn->state;
	struct arena *arena = turn_arena(turn);
	struct slice keys[ENTRIES_AT_ONCE], key;
	struct value value;
	struct cursor cursor;
	uint32_t count = 0;
	if (turn_makes_order(turn, shard->number, TABLE_DUE))
		return;
	struct slice from = arena_copy(arena, slice_of(shard->look_from, shard->look_from_size));
	cursor_open(&cursor, turn->stores[shard->number], &turn->changes, arena, from,
		slice_of(end, sizeof(end)), false);
	cursor.without_data = true;
	while (count < ENTRIES_AT_ONCE && cursor_next(&cursor, &key, &value))
		keys[count++] = arena_copy(arena, key);
	cursor_close(&cursor);
	uint32_t done = 0;
	for (; done < count && turn->changes.bytes < CHANGED_BYTES; done++) {
		if (!scheduler_is_running(shard->scheduler, keys[done]))
			look_at(turn, shard, keys[done]);
	}
	memory_free(shard->look_from);
	shard->look_from = NULL;
	if (done < count)
		look_from(shard, keys[done]);
	else if (count == ENTRIES_AT_ONCE)
		look_from(shard, first_behind(arena, keys[count - 1]));
}

static void on_looked(struct request **request)
{
	struct due_shard *shard = (*request)->turn.state;
	struct scheduler *scheduler = shard->scheduler;
	shard->looking = false;
	objects_ask(scheduler->objects);
}
