/*
 * object_jobs: the calls that the server makes by itself: alarms, schedules, wakes. None may begin
 * that is not set, or before its time; none may be settled but once.
 */
#include "sim/object_watch_private.h"

#define RETRIES_MAX 6

static void begin_alarm(struct line *line, struct record *record, const struct call *call);
static void begin_schedule(struct line *line, struct record *record);
static void begin_wake(struct line *line, const struct record *record);
static void settle_alarm(struct line *line);
static void settle_schedule(struct line *line);
static void settle_wake(struct line *line);

void job_begin(struct line *line, struct record *record, const struct call *call)
{
	switch (call->job->due.kind) {
	case DUE_ALARM:
		begin_alarm(line, record, call);
		break;
	case DUE_SCHEDULE:
		begin_schedule(line, record);
		break;
	case DUE_WAKE:
		begin_wake(line, record);
		break;
	case DUE_EXPIRE:
	case DUE_SWEEP:
		wrong("a job that calls nobody");
	}
}

void job_settle(struct line *line)
{
	switch (line->record->job->due.kind) {
	case DUE_ALARM:
		settle_alarm(line);
		break;
	case DUE_SCHEDULE:
		settle_schedule(line);
		break;
	case DUE_WAKE:
		settle_wake(line);
		break;
	case DUE_EXPIRE:
	case DUE_SWEEP:
		wrong("a job that called nobody ends");
	}
}

static void begin_alarm(struct line *line, struct record *record, const struct call *call)
{
	const struct objects_job *job = call->job;
	struct presence *presence = &line->watch->presence[line->object];
	struct model_alarm alarm = line_state(line).alarm;
	if (!alarm.set || alarm.at_ms != job->scheduled_ms || alarm.tries != job->tries)
		wrong("o%u: an alarm for %lld, tried %u times, runs; the model has %d %lld %u",
			line->object, (long long)job->scheduled_ms, job->tries, alarm.set,
			(long long)alarm.at_ms, alarm.tries);
	if (presence->alarm)
		wrong("o%u: two alarm handlers at a time", line->object);
	presence->alarm = record;
	record->serial = alarm.serial;
	if (call->kind == CALL_JOB && line->now_ms < alarm.due_from_ms)
		wrong("o%u: an alarm runs %lld ms early", line->object,
			(long long)(alarm.due_from_ms - line->now_ms));
	if (call->kind != CALL_NOW)
		return;
	struct model_alarm *moved = &line_change(line)->alarm;
	moved->due_from_ms = moved->due_to_ms = line->now_ms + LIMIT_CALL_LIFE_MS;
}

/* Jitter has decided. */
static void decide_schedule(struct model_schedule *schedule, int64_t next_ms, uint32_t tries)
{
	if (schedule->or_next_ms == 0)
		return;
	if (schedule->or_next_ms == next_ms && tries == 0) {
		schedule->next_ms = next_ms;
		schedule->tries = 0;
		schedule->due_from_ms = schedule->due_to_ms = next_ms;
	}
	schedule->or_next_ms = 0;
}

static void begin_schedule(struct line *line, struct record *record)
{
	const struct objects_job *job = record->job;
	struct slice name = job->due.name;
	if (name.size != 2 || name.data[0] != 'k')
		wrong("o%u: a schedule of another name runs", line->object);
	record->schedule = (uint32_t)(name.data[1] - '0') % MODEL_SCHEDULES;
	struct model_schedule schedule = line_state(line).schedules[record->schedule];
	decide_schedule(&schedule, job->scheduled_ms, job->tries);
	if (!schedule.set || schedule.next_ms != job->scheduled_ms || schedule.tries != job->tries)
		wrong("o%u: a schedule for %lld, tried %u times, runs; the model has %d %lld %u",
			line->object, (long long)job->scheduled_ms, job->tries, schedule.set,
			(long long)schedule.next_ms, schedule.tries);
	if (line->now_ms < schedule.due_from_ms)
		wrong("o%u: a schedule runs %lld ms early", line->object,
			(long long)(schedule.due_from_ms - line->now_ms));
	record->serial = schedule.serial;
}

static int find_wake(const struct model_state *state, int64_t at_ms)
{
	for (uint32_t i = 0; i < state->wake_count; i++)
		if (state->wakes[i].at_ms == at_ms)
			return (int)i;
	return -1;
}

static void begin_wake(struct line *line, const struct record *record)
{
	struct model_state state = line_state(line);
	if (find_wake(&state, record->job->due.at_ms) < 0)
		wrong("o%u: a wake that nobody sent, or that has run already", line->object);
	if (line->now_ms < record->job->due.at_ms)
		wrong("o%u: a wake runs early", line->object);
}

static void settle_alarm(struct line *line)
{
	struct model_alarm alarm = line_state(line).alarm;
	if (!alarm.set || alarm.serial != line->record->serial)
		return;
	struct model_alarm *settled = &line_change(line)->alarm;
	if (!line->record->failed || alarm.tries >= RETRIES_MAX) {
		*settled = (struct model_alarm){ 0 };
		return;
	}
	int64_t delay_ms = 2000ll << alarm.tries;
	settled->tries++;
	settled->due_from_ms = line->now_ms + delay_ms;
	settled->due_to_ms = line->now_ms + delay_ms + delay_ms / 4;
}

static void settle_schedule(struct line *line)
{
	uint32_t number = line->record->schedule;
	struct model_schedule schedule = line_state(line).schedules[number];
	const struct objects_job *job = line->record->job;
	if (!schedule.set || schedule.serial != line->record->serial)
		return;
	decide_schedule(&schedule, job->scheduled_ms, job->tries);
	int64_t times = line->now_ms < schedule.next_ms
		? 1
		: (line->now_ms - schedule.next_ms) / schedule.every_ms + 1;
	int64_t next_ms = schedule.next_ms + times * schedule.every_ms;
	int64_t delay_ms = 2000ll << schedule.tries;
	int64_t from_ms = line->now_ms + delay_ms, to_ms = from_ms + delay_ms / 4;
	if (line->record->failed && schedule.tries < RETRIES_MAX && from_ms < next_ms) {
		schedule.tries++;
		schedule.due_from_ms = from_ms;
		schedule.due_to_ms = to_ms;
		schedule.or_next_ms = to_ms >= next_ms ? next_ms : 0;
	} else {
		schedule.next_ms = schedule.due_from_ms = schedule.due_to_ms = next_ms;
		schedule.tries = 0;
	}
	line_change(line)->schedules[number] = schedule;
}

static void settle_wake(struct line *line)
{
	struct model_state *state =
		model_change_wakes(line->watch->model, line->object, line->lsn, line->now_ms);
	int at = find_wake(state, line->record->job->due.at_ms);
	if (at < 0)
		wrong("o%u: a wake ends twice", line->object);
	state->wakes[at] = state->wakes[--state->wake_count];
}
