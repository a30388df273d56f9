/*
 * object_watch: see object_watch.h.
 *
 *   a call's life:  init inited | enter -> [what it does] -> pause ... resume -> leave | fail
 *
 * A segment is what stands between a wait and the next; while one is open nobody else may say
 * anything. `fail` is said before the error is raised: the turn's states are taken back from the
 * model.
 */
#include "sim/object_watch_private.h"

#include "base/logline.h"
#include "base/memory.h"
#include "base/number.h"
#include "sim/object_script.h"
#include "support/count.h"

#include <stdio.h>
#include <stdlib.h>

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
static void follow_fetched(struct line *line);
static void follow_joined(struct line *line);
static void follow_closed(struct line *line);
static void follow_opened(struct line *line);
static void follow_in(struct line *line);
static void follow_out(struct line *line);

static const struct verb verbs[] = {
	{ "init", follow_init },
	{ "inited", follow_inited },
	{ "enter", follow_enter },
	{ "pause", follow_pause },
	{ "asks", follow_asks },
	{ "resume", follow_resume },
	{ "leave", follow_leave },
	{ "fail", follow_fail },
	{ "wrote", effect_wrote },
	{ "read", effect_read },
	{ "fetched", follow_fetched },
	{ "joined", follow_joined },
	{ "closed", follow_closed },
	{ "opened", follow_opened },
	{ "in", follow_in },
	{ "out", follow_out },
	{ "alarm", effect_alarm },
	{ "noalarm", effect_noalarm },
	{ "hasalarm", effect_hasalarm },
	{ "schedule", effect_schedule },
	{ "unschedule", effect_unschedule },
	{ "bulk", effect_bulk },
	{ "clear", effect_clear },
	{ "expire", effect_expire },
	{ "persist", effect_persist },
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

/* --- lines ------------------------------------------------------------------------------------ */

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
void line_see(struct line *line)
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

int64_t line_number(const struct line *line, uint32_t index)
{
	int64_t number;
	if (index >= line->count || !number_parse_i64(slice_text(line->words[index]), &number))
		wrong("no number in a line of %s", line->words[0]);
	return number;
}

bool line_truth(const struct line *line, uint32_t index)
{
	return strcmp(line->words[index], "true") == 0;
}

struct model_state line_state(const struct line *line)
{
	return model_now(line->watch->model, line->object, line->lsn, line->now_ms);
}

struct model_state *line_change(const struct line *line)
{
	return model_change(line->watch->model, line->object, line->lsn, line->now_ms);
}

/* Class 'id': verb object instance ... */
static void split(char *text, struct line *line)
{
	char *rest = NULL;
	char *word = strtok_r(text, " ", &rest);
	strtok_r(NULL, " ", &rest);
	while ((word = strtok_r(NULL, " ", &rest)) != NULL && line->count < WORDS_MAX)
		line->words[line->count++] = word;
	if (line->count < 3)
		wrong("a line that says nothing: %s", text);
}

static struct record *begin_record(struct line *line, const struct call *call);

void watch_say(void *context, const struct call *call, int level, const char *text)
{
	const struct watch_worker *worker = context;
	struct watch *watch = worker->watch;
	char copy[1300];
	/* What the server reports of failures is not what objects say. */
	if (level != LOGLINE_NOTICE)
		return;
	snprintf(copy, sizeof(copy), "%s", text);
	if (call == NULL)
		wrong("said outside of a turn: %s", text);
	struct line line = {
		.watch = watch, .lsn = watch_lsn(watch), .now_ms = call->request->turn.now_ms
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
	for (size_t i = 0; i < COUNT(verbs); i++) {
		if (strcmp(verbs[i].name, line.words[0]) != 0)
			continue;
		verbs[i].follow(&line);
		return;
	}
	wrong("nobody knows what this is: %s", text);
}

/* --- the beginning of a call ------------------------------------------------------------------ */

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
		job_begin(line, record, call);
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
	line_see(line);
}

static void follow_inited(struct line *line)
{
	line->watch->presence[line->object].closed_by = NULL;
	line_see(line);
}

void line_check_version(const struct line *line, int64_t version)
{
	struct model_state state = line_state(line);
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
	if (line_number(line, 4) != line_number(line, 5))
		wrong("o%u: the memory has version %s, the storage %s", line->object,
			line->words[4], line->words[5]);
	line_check_version(line, line_number(line, 5));
	const struct objects_job *job = record->job;
	if (job && job->due.kind != DUE_WAKE &&
		(line_number(line, 6) != job->scheduled_ms || line_number(line, 7) != job->tries))
		wrong("o%u: a handler was told another time than its job's", line->object);
	know_of_caller(line);
	line_see(line);
}

/* --- waits ------------------------------------------------------------------------------------ */

static void follow_pause(struct line *line)
{
	line_see(line);
	line->watch->segment = NULL;
}

/* The pause follows in the same turn. */
static void follow_asks(struct line *line)
{
	struct record *record = line->record;
	line_see(line);
	snprintf(record->asks, sizeof(record->asks), "%s", line->words[3]);
	record->depends_asking =
		record->pending > record->depends ? record->pending : record->depends;
}

static void follow_resume(struct line *line)
{
	line->watch->segment = line->record;
	line_see(line);
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

static const struct record **section_of(const struct line *line)
{
	return &line->watch->presence[line->object].sections[line_number(line, 3) % SECTIONS];
}

static void follow_in(struct line *line)
{
	const struct record **section = section_of(line);
	if (*section)
		wrong("o%u: call %s is in a section that call %s is in", line->object,
			line->record->id, (*section)->id);
	*section = line->record;
}

static void follow_out(struct line *line)
{
	const struct record **section = section_of(line);
	if (*section != line->record)
		wrong("call %s leaves a section that it is not in", line->record->id);
	*section = NULL;
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

/* --- the end of a call ------------------------------------------------------------------------ */

static void end_record(struct line *line)
{
	struct watch *watch = line->watch;
	struct record *record = line->record;
	struct presence *presence = &watch->presence[line->object];
	if (record->job)
		job_settle(line);
	if (presence->alarm == record)
		presence->alarm = NULL;
	line_see(line);
	depend(record, record->pending);
	if (presence->closed_by == record)
		presence->closed_by = NULL;
	for (uint32_t i = 0; i < SECTIONS; i++)
		if (presence->sections[i] == record)
			presence->sections[i] = NULL;
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
	line->record->result = line_number(line, 3);
	line_check_version(line, line->record->result);
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
