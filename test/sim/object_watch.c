/*
 * object_watch: see object_watch.h.
 *
 *   a call's life:  init inited | enter -> [what it does] -> pause ... resume -> leave | fail
 *
 * A segment is what stands between a wait and the next; while one is open nobody else may say
 * anything. `fail` is said before the error is raised: the turn's states are taken back from the
 * model.
 */
#include "sim/object_watch.h"

#include "base/memory.h"
#include "base/number.h"
#include "object/runtime.h"
#include "sim/object_script.h"

#include <stdio.h>
#include <stdlib.h>

#define WORDS_MAX     10
#define VERSIONS_MAX  256
#define RETRIES_MAX   6
#define CLASSES       2
#define ID_BYTES      64
#define INSTANCE_SIZE 24

struct record {
	struct record *next;
	const struct call *call; /* NULL: it has ended */
	struct client *client;   /* NULL: the server's own, or another object's */
	char id[ID_BYTES];
	uint32_t object;
	char instance[INSTANCE_SIZE];
	int64_t begun_ms;
	uint64_t depends;
	uint64_t pending; /* the record of this turn, if it is committed */
	uint32_t closed_depth;
	bool failed;
	int64_t result;
	char asks[ID_BYTES]; /* the call it waits for */
	uint64_t depends_asking;
	char fetched[16];
	/* a job's */
	const struct objects_job *job;
	uint64_t serial;
	uint32_t schedule;
};

struct presence {
	uint32_t calls_in;
	char instance[INSTANCE_SIZE]; /* that they are in */
	uint64_t heard;               /* what it was told by others: it may be in its memory */
	const struct record *closed_by;
	const struct record *alarm;
};

struct watch_worker {
	struct watch *watch;
	struct objects *objects;
};

struct watch {
	struct model *model;
	struct engine *engine;
	struct watch_worker workers[WATCH_WORKERS_MAX];
	struct record *records; /* of this life */
	uint32_t calls;
	struct record *segment;
	struct presence presence[MODEL_OBJECTS];
	uint64_t version_lsns[CLASSES][VERSIONS_MAX];
	uint64_t versions[CLASSES];
};

/* What one line says. */
struct line {
	struct watch *watch;
	const char *words[WORDS_MAX]; /* verb, object, instance, ... */
	uint32_t count;
	uint32_t object;
	uint64_t lsn;
	int64_t now_ms;
	struct record *record;
};

struct verb {
	const char *name;
	void (*follow)(struct line *line);
};

static void follow_init(struct line *line);
static void follow_inited(struct line *line);
static void follow_enter(struct line *line);
static void follow_pause(struct line *line);
static void follow_asks(struct line *line);
static void follow_resume(struct line *line);
static void follow_leave(struct line *line);
static void follow_fail(struct line *line);
static void follow_wrote(struct line *line);
static void follow_read(struct line *line);
static void follow_fetched(struct line *line);
static void follow_joined(struct line *line);
static void follow_closed(struct line *line);
static void follow_opened(struct line *line);
static void follow_alarm(struct line *line);
static void follow_noalarm(struct line *line);
static void follow_hasalarm(struct line *line);
static void follow_schedule(struct line *line);
static void follow_unschedule(struct line *line);
static void follow_bulk(struct line *line);
static void follow_clear(struct line *line);
static void follow_expire(struct line *line);
static void follow_persist(struct line *line);

static const struct verb verbs[] = {
	{ "init", follow_init },
	{ "inited", follow_inited },
	{ "enter", follow_enter },
	{ "pause", follow_pause },
	{ "asks", follow_asks },
	{ "resume", follow_resume },
	{ "leave", follow_leave },
	{ "fail", follow_fail },
	{ "wrote", follow_wrote },
	{ "read", follow_read },
	{ "fetched", follow_fetched },
	{ "joined", follow_joined },
	{ "closed", follow_closed },
	{ "opened", follow_opened },
	{ "alarm", follow_alarm },
	{ "noalarm", follow_noalarm },
	{ "hasalarm", follow_hasalarm },
	{ "schedule", follow_schedule },
	{ "unschedule", follow_unschedule },
	{ "bulk", follow_bulk },
	{ "clear", follow_clear },
	{ "expire", follow_expire },
	{ "persist", follow_persist },
};

static void drop_records(struct watch *watch)
{
	while (watch->records) {
		struct record *record = watch->records;
		watch->records = record->next;
		memory_free(record);
	}
}

struct watch *watch_new(struct model *model)
{
	struct watch *watch = memory_zeroed(sizeof(*watch));
	watch->model = model;
	return watch;
}

void watch_free(struct watch *watch)
{
	drop_records(watch);
	memory_free(watch);
}

void watch_begin(struct watch *watch, struct engine *engine)
{
	drop_records(watch);
	watch->engine = engine;
	watch->calls = 0;
	watch->segment = NULL;
	memset(watch->presence, 0, sizeof(watch->presence));
}

void watch_set_objects(struct watch *watch, uint16_t worker, struct objects *objects)
{
	watch->workers[worker] = (struct watch_worker){ watch, objects };
}

void *watch_say_context(struct watch *watch, uint16_t worker)
{
	return &watch->workers[worker];
}

uint64_t watch_lsn(const struct watch *watch)
{
	return gate_appended(watch->engine->gate) + 1;
}

void watch_between_turns(const struct watch *watch)
{
	if (watch->segment)
		wrong("call %s of o%u is in no turn, and has neither waited nor ended",
			watch->segment->id, watch->segment->object);
	if (model_highest(watch->model) > gate_appended(watch->engine->gate))
		wrong("a turn that wrote and did not fail has left no record");
}

void watch_open(const struct watch *watch, uint32_t object)
{
	const struct record *closed_by = watch->presence[object].closed_by;
	if (closed_by)
		wrong("a command entered o%u, which call %s has closed", object, closed_by->id);
}

uint32_t watch_calls(const struct watch *watch)
{
	return watch->calls;
}

bool watch_is_busy(const struct watch *watch, uint32_t object)
{
	return watch->presence[object].calls_in > 0;
}

int64_t watch_oldest_ms(const struct watch *watch)
{
	int64_t oldest_ms = INT64_MAX;
	for (const struct record *record = watch->records; record; record = record->next)
		if (record->call && record->begun_ms < oldest_ms)
			oldest_ms = record->begun_ms;
	return oldest_ms;
}

bool watch_alarm_runs(const struct watch *watch, uint32_t object, const struct model_alarm *alarm)
{
	const struct record *runs = watch->presence[object].alarm;
	return runs && alarm->set && alarm->serial == runs->serial;
}

void watch_class_loaded(struct watch *watch, uint32_t class, uint64_t version, uint64_t lsn)
{
	if (version != watch->versions[class] + 1 || version >= VERSIONS_MAX)
		wrong("class %s was loaded as version %llu", script_classes[class],
			(unsigned long long)version);
	watch->version_lsns[class][version] = lsn;
	watch->versions[class] = version;
}

uint64_t watch_class_version(const struct watch *watch, uint32_t class)
{
	return watch->versions[class];
}

uint64_t watch_class_lsn(const struct watch *watch, uint32_t class)
{
	return watch->version_lsns[class][watch->versions[class]];
}

void watch_rewind(struct watch *watch, uint64_t lsn)
{
	for (uint32_t class = 0; class < CLASSES; class ++)
		while (watch->versions[class] && watch_class_lsn(watch, class) > lsn)
			watch->versions[class]--;
}

uint32_t watch_object(struct slice id)
{
	uint64_t number;
	if (id.size < 2 || id.data[0] != 'o' ||
		!number_parse_u64(slice_of(id.data + 1, id.size - 1), &number) ||
		number >= MODEL_OBJECTS)
		wrong("there is no object %.*s", (int)id.size, id.data);
	return (uint32_t)number;
}

void watch_touch(struct watch *watch, uint32_t object, int64_t now_ms)
{
	struct model_state state = model_now(watch->model, object, watch_lsn(watch), now_ms);
	int64_t end_ms = now_ms + state.life_ms;
	if (state.life_ms == 0 || end_ms <= state.expire_ms)
		return;
	/* A part more, so that not each touch has to be written. */
	model_change(watch->model, object, watch_lsn(watch), now_ms)->expire_ms =
		end_ms + state.life_ms / 16;
}

/* --- lines ---------------------------------------------------------------------------------------
 */

static struct record *find_call(struct watch *watch, const struct call *call)
{
	struct record *record = watch->records;
	while (record && record->call != call)
		record = record->next;
	return record;
}

static struct record *find_id(struct watch *watch, const char *id)
{
	struct record *record = watch->records;
	while (record && strcmp(record->id, id) != 0)
		record = record->next;
	return record;
}

static void depend(struct record *record, uint64_t lsn)
{
	if (lsn > record->depends)
		record->depends = lsn;
}

/* The record of an earlier turn is there by now. */
static void settle_pending(const struct watch *watch, struct record *record)
{
	if (record->pending == 0 || record->pending > gate_appended(watch->engine->gate))
		return;
	depend(record, record->pending);
	record->pending = 0;
}

/* Whoever is in the object has seen all of it. */
static void see(struct line *line)
{
	struct record *record = line->record;
	uint64_t seen = model_lsn(line->watch->model, line->object);
	settle_pending(line->watch, record);
	depend(record, line->watch->presence[line->object].heard);
	record->pending = seen >= line->lsn ? seen : 0;
	if (seen < line->lsn)
		depend(record, seen);
}

static void check_alone(const struct line *line)
{
	const struct watch *watch = line->watch;
	const struct record *record = line->record, *closed_by;
	closed_by = watch->presence[line->object].closed_by;
	if (closed_by && closed_by != record)
		wrong("o%u: call %s runs while call %s has closed the object", line->object,
			record->id, closed_by->id);
	if (watch->segment && watch->segment != record)
		wrong("call %s runs within a turn of call %s", record->id, watch->segment->id);
	if (strcmp(record->instance, line->words[2]) != 0)
		wrong("o%u: call %s moved from instance %s to %s", line->object, record->id,
			record->instance, line->words[2]);
}

static int64_t number_of(const struct line *line, uint32_t index)
{
	int64_t number;
	if (index >= line->count || !number_parse_i64(slice_text(line->words[index]), &number))
		wrong("no number in a line of %s", line->words[0]);
	return number;
}

static bool truth_of(const struct line *line, uint32_t index)
{
	return strcmp(line->words[index], "true") == 0;
}

static struct model_state state_now(const struct line *line)
{
	return model_now(line->watch->model, line->object, line->lsn, line->now_ms);
}

static struct model_state *change(const struct line *line)
{
	return model_change(line->watch->model, line->object, line->lsn, line->now_ms);
}

/* Even: verb object instance ... */
static void split(char *text, struct line *line)
{
	char *rest = NULL;
	char *word = strtok_r(text, " ", &rest);
	while ((word = strtok_r(NULL, " ", &rest)) != NULL && line->count < WORDS_MAX)
		line->words[line->count++] = word;
	if (line->count < 3)
		wrong("a line that says nothing: %s", text);
}

static struct record *begin_record(struct line *line, const struct call *call);

void watch_say(void *context, int level, const char *text)
{
	const struct watch_worker *worker = context;
	struct watch *watch = worker->watch;
	const struct call *call = worker->objects->running;
	char copy[1300];
	snprintf(copy, sizeof(copy), "%s", text);
	if (call == NULL)
		wrong("said outside of a turn: %s", text);
	struct line line = {
		.watch = watch, .lsn = watch_lsn(watch), .now_ms = worker->objects->turn->now_ms
	};
	split(copy, &line);
	line.object = watch_object(slice_text(line.words[1]));
	if (!slice_equal(call->name.id, slice_text(line.words[1])))
		wrong("a call of %.*s says it is of %s", (int)call->name.id.size,
			call->name.id.data, line.words[1]);
	line.record = find_call(watch, call);
	if (line.record == NULL)
		line.record = begin_record(&line, call);
	check_alone(&line);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, line.words[0]) != 0)
			continue;
		verbs[i].follow(&line);
		return;
	}
	wrong("nobody knows what this is: %s", text);
}

/* --- the beginning of a call ---------------------------------------------------------------------
 */

static void begin_alarm(struct line *line, struct record *record, const struct call *call)
{
	const struct objects_job *job = call->job;
	struct presence *presence = &line->watch->presence[line->object];
	struct model_alarm alarm = state_now(line).alarm;
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
	struct model_alarm *moved = &change(line)->alarm;
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
	struct model_schedule schedule = state_now(line).schedules[record->schedule];
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
	struct model_state state = state_now(line);
	if (find_wake(&state, record->job->due.at_ms) < 0)
		wrong("o%u: a wake that nobody sent, or that has run already", line->object);
	if (line->now_ms < record->job->due.at_ms)
		wrong("o%u: a wake runs early", line->object);
}

static void begin_job(struct line *line, struct record *record, const struct call *call)
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

static struct record *begin_record(struct line *line, const struct call *call)
{
	struct watch *watch = line->watch;
	struct presence *presence = &watch->presence[line->object];
	uint32_t class = line->object % CLASSES;
	struct record *record = memory_zeroed(sizeof(*record));
	record->call = call;
	record->object = line->object;
	record->begun_ms = line->now_ms;
	record->job = call->job;
	snprintf(record->id, sizeof(record->id), "?");
	snprintf(record->instance, sizeof(record->instance), "%s", line->words[2]);
	if (call->kind == CALL_CLIENT || call->kind == CALL_NOW)
		record->client = call->request->environment;
	record->next = watch->records;
	watch->records = record;
	watch->calls++;
	if (presence->calls_in > 0 && strcmp(presence->instance, record->instance) != 0)
		wrong("o%u has two instances, %s and %s", line->object, presence->instance,
			record->instance);
	snprintf(presence->instance, sizeof(presence->instance), "%s", record->instance);
	presence->calls_in++;
	if (strtoull(record->instance, NULL, 10) != watch->versions[class])
		wrong("o%u: version %s of the class runs, the last is %llu", line->object,
			record->instance, (unsigned long long)watch->versions[class]);
	depend(record, watch_class_lsn(watch, class));
	if (record->client)
		record->client->begun = true;
	if (record->job)
		begin_job(line, record, call);
	else
		watch_touch(watch, line->object, line->now_ms);
	return record;
}

static void follow_init(struct line *line)
{
	struct presence *presence = &line->watch->presence[line->object];
	if (presence->calls_in != 1)
		wrong("o%u: init while calls are in the object", line->object);
	presence->heard = 0;
	presence->closed_by = line->record;
	line->watch->segment = line->record;
	see(line);
}

static void follow_inited(struct line *line)
{
	line->watch->presence[line->object].closed_by = NULL;
	see(line);
}

static void check_version(const struct line *line, int64_t version)
{
	struct model_state state = state_now(line);
	if (state.version != version)
		wrong("o%u: call %s sees version %lld, the model has %lld", line->object,
			line->record->id, (long long)version, (long long)state.version);
}

/* Call 7.2.1 knows what call 7.2 knew when it made it. */
static void know_of_caller(struct line *line)
{
	char id[ID_BYTES];
	snprintf(id, sizeof(id), "%s", line->record->id);
	char *last = strrchr(id, '.');
	if (last == NULL)
		return;
	*last = '\0';
	struct record *caller = find_id(line->watch, id);
	if (caller == NULL)
		wrong("call %s was made by nobody", line->record->id);
	if (caller->call && strcmp(caller->asks, line->record->id) == 0)
		depend(line->record, caller->depends_asking);
}

static void follow_enter(struct line *line)
{
	struct record *record = line->record;
	if (find_id(line->watch, line->words[3]))
		wrong("call %s runs twice", line->words[3]);
	snprintf(record->id, sizeof(record->id), "%s", line->words[3]);
	line->watch->segment = record;
	if (number_of(line, 4) != number_of(line, 5))
		wrong("o%u: the memory has version %s, the storage %s", line->object,
			line->words[4], line->words[5]);
	check_version(line, number_of(line, 5));
	const struct objects_job *job = record->job;
	if (job && job->due.kind != DUE_WAKE &&
		(number_of(line, 6) != job->scheduled_ms || number_of(line, 7) != job->tries))
		wrong("o%u: a handler was told another time than its job's", line->object);
	know_of_caller(line);
	see(line);
}

/* --- waits ---------------------------------------------------------------------------------------
 */

static void follow_pause(struct line *line)
{
	see(line);
	line->watch->segment = NULL;
}

/* The pause follows in the same turn. */
static void follow_asks(struct line *line)
{
	struct record *record = line->record;
	see(line);
	snprintf(record->asks, sizeof(record->asks), "%s", line->words[3]);
	record->depends_asking =
		record->pending > record->depends ? record->pending : record->depends;
}

static void follow_resume(struct line *line)
{
	line->watch->segment = line->record;
	see(line);
}

static void follow_fetched(struct line *line)
{
	if (strcmp(line->record->fetched, line->words[3]) != 0)
		wrong("call %s was told %s of a fetch that ended with %s", line->record->id,
			line->words[3], line->record->fetched);
}

static void follow_joined(struct line *line)
{
	const struct record *other = find_id(line->watch, line->words[3]);
	const char *answer = line->words[4];
	int64_t result;
	line->record->asks[0] = '\0';
	if (strcmp(answer, "TIMEOUT") == 0)
		return;
	bool failed = !number_parse_i64(slice_text(answer), &result);
	if (other == NULL && failed)
		return;
	if (other == NULL || other->call || other->failed != failed ||
		(!failed && result != other->result))
		wrong("call %s was answered with %s, which is not what happened", line->words[3],
			answer);
	depend(line->record, other->depends);
	struct presence *presence = &line->watch->presence[line->object];
	if (other->depends > presence->heard)
		presence->heard = other->depends;
}

static void follow_closed(struct line *line)
{
	line->record->closed_depth++;
	line->watch->presence[line->object].closed_by = line->record;
}

static void follow_opened(struct line *line)
{
	if (line->record->closed_depth == 0)
		wrong("call %s has opened more than it closed", line->record->id);
	if (--line->record->closed_depth == 0)
		line->watch->presence[line->object].closed_by = NULL;
}

void watch_fetch(struct watch *watch, const struct fetch *fetch)
{
	struct record *record = find_call(watch, fetch->context);
	if (record == NULL)
		wrong("a fetch of no call");
	settle_pending(watch, record);
	if (record->depends > gate_released(watch->engine->gate))
		wrong("a fetch of call %s leaves before record %llu is released", record->id,
			(unsigned long long)record->depends);
}

void watch_fetched(struct watch *watch, const struct fetch *fetch, const char *outcome)
{
	struct record *record = find_call(watch, fetch->context);
	if (record == NULL)
		wrong("a fetch of no call ends");
	snprintf(record->fetched, sizeof(record->fetched), "%s", outcome);
}

/* --- the end of a call ---------------------------------------------------------------------------
 */

static void settle_alarm(struct line *line)
{
	struct model_alarm alarm = state_now(line).alarm;
	if (!alarm.set || alarm.serial != line->record->serial)
		return;
	struct model_alarm *settled = &change(line)->alarm;
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
	struct model_schedule schedule = state_now(line).schedules[number];
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
	change(line)->schedules[number] = schedule;
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

static void end_record(struct line *line)
{
	struct watch *watch = line->watch;
	struct record *record = line->record;
	struct presence *presence = &watch->presence[line->object];
	if (record->job && record->job->due.kind == DUE_ALARM) {
		settle_alarm(line);
		presence->alarm = NULL;
	} else if (record->job && record->job->due.kind == DUE_SCHEDULE) {
		settle_schedule(line);
	} else if (record->job) {
		settle_wake(line);
	}
	see(line);
	depend(record, record->pending);
	if (presence->closed_by == record)
		presence->closed_by = NULL;
	if (record->client) {
		record->client->ended = true;
		record->client->depends = record->depends;
		record->client->failed = record->failed;
		record->client->result = record->result;
	}
	record->call = NULL;
	record->job = NULL;
	presence->calls_in--;
	watch->calls--;
	watch->segment = NULL;
}

static void follow_leave(struct line *line)
{
	if (line->record->closed_depth > 0)
		wrong("call %s ends with the object closed", line->record->id);
	line->record->result = number_of(line, 3);
	check_version(line, line->record->result);
	end_record(line);
}

static void follow_fail(struct line *line)
{
	model_void(line->watch->model, line->lsn);
	settle_pending(line->watch, line->record);
	line->record->pending = 0;
	line->record->failed = true;
	end_record(line);
}

/* --- what a call does ----------------------------------------------------------------------------
 */

static void follow_wrote(struct line *line)
{
	struct model_state *state = change(line);
	if (state->version + 1 != number_of(line, 3))
		wrong("o%u: call %s wrote version %s, the model has %lld", line->object,
			line->record->id, line->words[3], (long long)state->version);
	state->version++;
	state->chain = model_chain(state->chain, slice_text(line->words[4]));
	see(line);
}

static void follow_read(struct line *line)
{
	check_version(line, number_of(line, 3));
	check_version(line, number_of(line, 4));
	see(line);
}

static void follow_alarm(struct line *line)
{
	struct model_state *state = change(line);
	int64_t at_ms = number_of(line, 3);
	if (at_ms < line->now_ms)
		at_ms = line->now_ms;
	state->script = true;
	state->alarm = (struct model_alarm){
		.set = true,
		.serial = model_next_serial(line->watch->model),
		.at_ms = at_ms,
		.due_from_ms = at_ms,
		.due_to_ms = at_ms,
	};
	see(line);
}

static bool alarm_shows(const struct line *line, const struct model_alarm *alarm)
{
	return alarm->set && !watch_alarm_runs(line->watch, line->object, alarm);
}

static void follow_noalarm(struct line *line)
{
	struct model_alarm alarm = state_now(line).alarm;
	bool shows = alarm_shows(line, &alarm);
	if (truth_of(line, 3) != shows)
		wrong("o%u: delete_alarm returns %s", line->object, line->words[3]);
	if (shows)
		change(line)->alarm = (struct model_alarm){ 0 };
	see(line);
}

static void follow_hasalarm(struct line *line)
{
	struct model_alarm alarm = state_now(line).alarm;
	int64_t expected_ms = alarm_shows(line, &alarm) ? alarm.at_ms : 0;
	if (number_of(line, 3) != expected_ms)
		wrong("o%u: get_alarm returns %s, not %lld", line->object, line->words[3],
			(long long)expected_ms);
}

static void follow_schedule(struct line *line)
{
	struct model_schedule *schedule = &change(line)->schedules[number_of(line, 3)];
	int64_t every_ms = number_of(line, 4), next_ms = line->now_ms + every_ms;
	*schedule = (struct model_schedule){
		.set = true,
		.serial = model_next_serial(line->watch->model),
		.every_ms = every_ms,
		.next_ms = next_ms,
		.due_from_ms = next_ms,
		.due_to_ms = next_ms,
	};
	see(line);
}

static void follow_unschedule(struct line *line)
{
	int64_t number = number_of(line, 3);
	bool set = state_now(line).schedules[number].set;
	if (truth_of(line, 4) != set)
		wrong("o%u: unschedule returns %s", line->object, line->words[4]);
	if (set)
		change(line)->schedules[number] = (struct model_schedule){ 0 };
	see(line);
}

/* Putting what is there writes nothing. */
static void follow_bulk(struct line *line)
{
	if (state_now(line).bulk == 0)
		change(line)->bulk = MODEL_BULK;
	see(line);
}

static void follow_clear(struct line *line)
{
	struct model_state state = state_now(line);
	bool keep_alarm = number_of(line, 3);
	if (number_of(line, 4) != (int64_t)model_keys(&state))
		wrong("o%u: delete_all says %s, the model has %llu keys", line->object,
			line->words[4], (unsigned long long)model_keys(&state));
	if (model_clear(&state, keep_alarm))
		model_clear(change(line), keep_alarm);
	see(line);
}

static void follow_expire(struct line *line)
{
	struct model_state *state = change(line);
	state->expire_ms = line->now_ms + number_of(line, 3);
	state->life_ms = number_of(line, 4);
	see(line);
}

static void follow_persist(struct line *line)
{
	bool had_end = state_now(line).expire_ms != 0;
	if (truth_of(line, 3) != had_end)
		wrong("o%u: persist returns %s", line->object, line->words[3]);
	if (had_end) {
		struct model_state *state = change(line);
		state->expire_ms = state->life_ms = 0;
	}
	see(line);
}
