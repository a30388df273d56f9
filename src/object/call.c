/*
 * call: one call of an object's method, from its first turn to its last.
 *
 *   call_run: gate --(closed)--> queue, and again from the start
 *               | open
 *             first turn: instance, init, method        later turns: on from the wait
 *               |                                          |
 *               '--> runs until it waits, ends or fails <--'
 *                      waits:  storage closed, the turn committed, the request parked
 *                      ends:   the result becomes the reply; a job's bookkeeping joins the turn's
 *                              changes
 *                      fails:  the turn changes nothing; a job's bookkeeping is written in place of
 *                              what it would have changed
 *
 * The code is the class's; what runs it is its runtime (object/runtime.h).
 *
 * Threads: the worker's of the object's shard.
 */
#include "object/objects_private.h"
#include "object/section.h"

#include "base/logline.h"
#include "base/memory.h"
#include "config/config.h"
#include "fetch/fetch.h"
#include "gate/gate.h"
#include "log/record.h"

#include <assert.h>
#include <stdio.h>

#define OVERLOAD_RETRY_MS  100
#define OWN_PART           16
#define SCRATCH_KEEP_BYTES (256 * 1024)

/* --- for the runtime -------------------------------------------------------------------------- */

void call_made_instance(struct call *call)
{
	struct object *object = call->object;
	object->state = call->state;
	object->initialised = false;
	object->gate_lsn = 0;
	call->state->instances++;
	object->slot->figures.instances++;
}

void call_begins_init(struct call *call)
{
	call->object->closed_by = call;
}

void call_initialised(struct call *call)
{
	struct object *object = call->object;
	object->initialised = true;
	if (object->closed_by == call)
		object->closed_by = NULL;
}

void call_close_gate(struct call *call)
{
	call->object->closed_by = call;
	call->object->closed_depth++;
}

void call_open_gate(struct call *call)
{
	struct object *object = call->object;
	if (--object->closed_depth == 0 && object->initialised)
		object->closed_by = NULL;
}

bool call_has_in_chain(const struct call *call, const struct object_name *name)
{
	struct call_link self = { .caller = call->caller, .name = call->name };
	for (const struct call_link *link = &self; link; link = link->caller)
		if (slice_equal(link->name.class_name, name->class_name) &&
			slice_equal(link->name.id, name->id))
			return true;
	return false;
}

uint32_t call_depth(const struct call *call)
{
	return call->caller ? call->caller->depth + 1 : 1;
}

bool call_alarm_runs(const struct call *call, uint32_t serial)
{
	const struct call *alarm = call->object->alarm;
	return alarm && alarm->job->serial == serial;
}

/* --- the end of a call ------------------------------------------------------------------------ */

static void note_error(struct object *object, const char *error, int64_t now_ms)
{
	struct objects_figures *figures = &object->slot->figures;
	object->errors++;
	object->last_error_ms = now_ms;
	memory_free(object->last_error);
	object->last_error = memory_copy_text(error);
	figures->errors++;
	figures->last_error_ms = now_ms;
	snprintf(figures->last_error, sizeof(figures->last_error), "%.*s", LIMIT_ERROR_BYTES - 1,
		error);
}

/* Keeps the object's memory from being shown before it is released. */
static void note_gate(struct object *object, const struct turn *turn)
{
	if (turn->gate_lsn > object->gate_lsn)
		object->gate_lsn = turn->gate_lsn;
}

/* The turn changes nothing: the storage is as it was at its start. */
static void forget_changes(struct turn *turn, struct call *call, struct storage *storage)
{
	changes_init(&turn->changes, turn->arena);
	turn->reply->size = 0;
	storage_open(storage, turn, &call->name);
}

void call_give_back(struct call *call)
{
	call->state->runtime->give_back(call->state, call->lent);
	call->lent = 0;
	call->arena_bytes = call->request->arena.bytes;
}

static void log_cut(const struct call *call)
{
	struct slice class_name = call->name.class_name;
	logline(LOGLINE_WARNING,
		"%.*s.%.*s could not be stopped when its time was over and was cut off: what the "
		"class has in memory on this worker is gone",
		(int)class_name.size, class_name.data, (int)call->method.size, call->method.data);
}

static void leave_object(struct turn *turn, struct call *call, bool failed)
{
	struct object *object = call->object;
	struct objects *objects = call->objects;
	struct class_state *state = call->state;
	note_gate(object, turn);
	if (object->alarm == call) {
		object->alarm = NULL;
		object_resume_alarms(objects, object);
	}
	if (object->closed_by == call) {
		object->closed_by = NULL;
		object->closed_depth = 0;
	}
	section_leave(call);
	wait_forget(call);
	call_give_back(call);
	state->runtime->end(call);
	object->calls_in--;
	call->begun = false;
	/* The state is held by an instance: one that this call made, or shares. */
	if (object->state == NULL || object->state == call->state)
		state_relieve(objects, state);
	/* From here on the state may be gone. */
	if (state->runtime->is_lost(state) && !state->lost) {
		log_cut(call);
		state_lost(objects, object->slot, state);
	}
	if (failed && !(call->failed_softly && object->initialised))
		object_doom(objects, object);
	object_look_again(objects, object);
}

/* `error` NULL: it went well. */
static void end_job(struct turn *turn, struct call *call, struct storage *storage,
	enum job_outcome outcome, const char *error)
{
	struct objects *objects = call->objects;
	if (error)
		forget_changes(turn, call, storage);
	objects->options.schedule->conclude(objects->scheduler, storage, call->job, outcome, error);
	storage_close(storage);
	if (call->kind == CALL_NOW && error)
		writer_error(&turn->writer, "%s", error);
	else if (call->kind == CALL_NOW)
		writer_integer(&turn->writer, 1);
}

static void end_call(struct turn *turn, struct call *call, struct storage *storage,
	enum job_outcome outcome, const char *error);

/* `traceback` may be empty. */
static void end_failed(struct turn *turn, struct call *call, struct storage *storage,
	enum job_outcome outcome, const char *error, const char *traceback)
{
	if (!call->failed_softly)
		report_error(
			call->objects, &call->object->slot->reports, &call->name, error, traceback);
	end_call(turn, call, storage, outcome, error);
}

static void end_call(struct turn *turn, struct call *call, struct storage *storage,
	enum job_outcome outcome, const char *error)
{
	struct object *object = call->object;
	object->calls++;
	object->slot->figures.calls++;
	if (error)
		note_error(object, error, turn->now_ms);
	if (call->job)
		end_job(turn, call, storage, outcome, error);
	else if (error)
		turn_error(turn, "%s", error);
	else
		storage_close(storage);
	leave_object(turn, call, error != NULL);
}

/* --- a turn ----------------------------------------------------------------------------------- */

/* The turn has written more than one record can hold: it is refused here, where the call can still
 * fail for it. Some room is left for what the end of the turn writes itself. */
static bool is_too_large(const struct call *call, const struct turn *turn)
{
	const struct changes *changes = &turn->changes;
	size_t most = gate_record_bytes_max(call->objects->engine->gate);
	/* The end of a schedule's run writes the argument anew. */
	size_t own = most / OWN_PART + (call->job ? call->job->argument.size : 0);
	return changes->bytes + own > most / 2 &&
		record_size(changes->effects, changes->count) + own > most;
}

/* The result does not fit the reply: one that nobody can be told of is none. */
static void end_refused(struct turn *turn, struct call *call, struct storage *storage)
{
	char error[RUNTIME_ERROR_BYTES] = ERROR_OUTPUT_FULL;
	if (turn->writer.limit < turn_reply_bytes_max(turn)) {
		end_call(turn, call, storage, JOB_FAILED, error);
		return;
	}
	snprintf(error, sizeof(error), ERROR_RESULT_SIZE, (int)call->name.class_name.size,
		call->name.class_name.data, (int)call->method.size, call->method.data,
		turn->writer.limit);
	end_failed(turn, call, storage, JOB_FAILED, error, "");
}

static void end_without_method(struct turn *turn, struct call *call, struct storage *storage)
{
	char error[RUNTIME_ERROR_BYTES];
	snprintf(error, sizeof(error), ERROR_NO_METHOD, (int)call->name.class_name.size,
		call->name.class_name.data, (int)call->method.size, call->method.data);
	call->failed_softly = true;
	end_failed(turn, call, storage, JOB_NO_METHOD, error, "");
}

/* Runs the code on until it waits, ends or fails. */
static void go_on(struct turn *turn, struct call *call, struct storage *storage)
{
	struct objects *objects = call->objects;
	struct runtime_failure failure;
	enum runtime_end end = call->state->runtime->run(call, storage, &failure);
	buffer_clear(&objects->scratch, SCRATCH_KEEP_BYTES);
	call->object->last_active_ms = turn->now_ms;
	bool refused = turn->writer.full;
	turn->writer.full = false;
	if (is_too_large(call, turn)) {
		end_failed(turn, call, storage, JOB_FAILED, ERROR_CHANGE_SIZE, "");
	} else if (end == RUNTIME_WAITS) {
		storage_close(storage);
		note_gate(call->object, turn);
		turn_park(turn, wait_parked);
		object_look_again(objects, call->object);
	} else if (end == RUNTIME_NO_METHOD) {
		end_without_method(turn, call, storage);
	} else if (end == RUNTIME_DONE && refused) {
		end_refused(turn, call, storage);
	} else if (end == RUNTIME_DONE) {
		end_call(turn, call, storage, JOB_DONE, NULL);
	} else {
		call->failed_softly = failure.is_soft;
		end_failed(turn, call, storage, JOB_FAILED, failure.error, failure.traceback);
	}
}

/* A job may be over before it has begun: the alarm was replaced, or runs already. */
static bool job_is_due(struct turn *turn, struct call *call, struct storage *storage)
{
	struct object *object = call->object;
	struct objects_job *job = call->job;
	if (job == NULL)
		return true;
	if (call->kind == CALL_NOW) {
		job->due.at_ms = storage->record.alarm_due_ms;
		if (storage->record.alarm_ms == 0 || object->alarm)
			return false;
	}
	if (!call->objects->options.schedule->begin(storage, job))
		return false;
	if (job->due.kind == DUE_ALARM) {
		object->alarm = call;
		/* Out of the way while it runs by hand; the end of the run files it anew. */
		if (call->kind == CALL_NOW)
			storage_retry_alarm(storage, turn->now_ms + LIMIT_CALL_LIFE_MS, job->tries,
				storage_due_error(
					storage, DUE_ALARM, job->due.at_ms, slice_of(NULL, 0)));
	}
	call->method = job->due.kind == DUE_ALARM ? slice_text("alarm") : job->method;
	return true;
}

static void begin(struct turn *turn, struct call *call, struct storage *storage)
{
	struct object *object = call->object;
	struct class_state *state = call->state;
	call->begun_ms = objects_steady_ms(call->objects);
	call->mark = arena_mark(turn_arena(turn));
	call->arena_bytes = turn_arena(turn)->bytes;
	if (state->class->lsn > turn->gate_lsn)
		turn->gate_lsn = state->class->lsn;
	if (!job_is_due(turn, call, storage)) {
		if (call->kind == CALL_NOW)
			writer_integer(&turn->writer, 0);
		storage_close(storage);
		object_look_again(call->objects, object);
		return;
	}
	if (call->job == NULL)
		storage_touch(storage);
	object_enter(object);
	call->begun = true;
	if (!state->runtime->begin(call)) {
		end_failed(turn, call, storage, JOB_FAILED,
			"CLASSERR not enough memory for the call: see class-memory", "");
		return;
	}
	go_on(turn, call, storage);
}

/* The server stops, the call has lasted too long, or its state is no more: it ends where it waits.
 */
static bool break_off(struct turn *turn, struct call *call, struct storage *storage)
{
	const struct objects *objects = call->objects;
	char error[RUNTIME_ERROR_BYTES] = ERROR_SHUTTING_DOWN;
	if (call->state->runtime->is_lost(call->state)) {
		snprintf(error, sizeof(error), ERROR_CLASS_LOST, (int)call->name.class_name.size,
			call->name.class_name.data, (int)call->method.size, call->method.data);
	} else if (!objects->stopped) {
		if (objects_steady_ms(objects) - call->begun_ms <= LIMIT_CALL_LIFE_MS)
			return false;
		snprintf(error, sizeof(error), ERROR_CALL_LIFE, (int)call->name.class_name.size,
			call->name.class_name.data, (int)call->method.size, call->method.data,
			(long long)LIMIT_CALL_LIFE_MS);
	}
	if (objects->stopped)
		end_call(turn, call, storage, JOB_FAILED, error);
	else
		end_failed(turn, call, storage, JOB_FAILED, error, "");
	return true;
}

/* No class, or one that does not compile: there is no gate to pass. */
static void refuse_class(struct turn *turn, struct call *call, const char *error)
{
	struct slice class_name = call->name.class_name;
	char text[RUNTIME_ERROR_BYTES];
	if (error[0])
		snprintf(text, sizeof(text), ERROR_CLASS_SOURCE, error);
	else
		snprintf(text, sizeof(text), ERROR_NO_CLASS, (int)class_name.size, class_name.data);
	if (call->kind != CALL_JOB) {
		turn_error(turn, "%s", text);
		return;
	}
	struct storage storage;
	storage_open(&storage, turn, &call->name);
	const struct objects_schedule *schedule = call->objects->options.schedule;
	if (schedule->begin(&storage, call->job))
		schedule->conclude(
			call->objects->scheduler, &storage, call->job, JOB_NO_CLASS, text);
	storage_close(&storage);
}

/* Brings the class up to date before the object is taken: that drops idle instances of an older
 * version, and with them objects that nothing else goes on with. */
static void find_class(struct call *call, struct class_slot *slot, char *error, size_t error_size)
{
	error[0] = '\0';
	if (!call->begun && !call->objects->stopped)
		call->state = slot_state(call->objects, slot, error, error_size);
}

/* False when the call cannot begin: it has been refused. An instance of an older version goes. */
static bool may_begin(struct turn *turn, struct call *call, const char *error)
{
	struct object *object = call->object;
	if (call->objects->stopped) {
		turn_error(turn, ERROR_SHUTTING_DOWN);
		return false;
	}
	if (call->state == NULL) {
		refuse_class(turn, call, error);
		return false;
	}
	if (object->state && object->state != call->state)
		object_doom(call->objects, object);
	return true;
}

/* One alarm handler of an object at a time; one that was set anew meanwhile comes next. */
static bool is_alarm(const struct call *call)
{
	return call->kind == CALL_JOB && call->job->due.kind == DUE_ALARM;
}

/* As check_links would have if its chain had known. */
static void refuse_circle(struct turn *turn, const struct call *call)
{
	turn_error(turn, ERROR_CYCLE, (int)call->name.class_name.size, call->name.class_name.data,
		(int)call->name.id.size, call->name.id.data);
}

static void queue_or_refuse(struct turn *turn, struct call *call)
{
	if (object_closes_circle(call->object, call))
		refuse_circle(turn, call);
	else
		object_queue(call->object, turn);
}

static void wait_at_gate(struct turn *turn, struct call *call)
{
	struct object *object = call->object;
	const struct config *config = call->objects->engine->config;
	bool bounded = !call->begun && call->kind != CALL_JOB && object->admitted != turn->request;
	if (bounded && object->queued >= (uint64_t)config->object_queue_max) {
		object->slot->figures.overloaded++;
		turn_error(turn, ERROR_OBJECT_QUEUE, (long long)OVERLOAD_RETRY_MS);
		return;
	}
	queue_or_refuse(turn, call);
}

/* What the turn before the wait allocated goes, but for the answer to an exchange. */
static void forget_turn(struct turn *turn, struct call *call)
{
	struct arena *arena = turn_arena(turn);
	struct fetch answered;
	if (call->wait.fetch)
		answered = *call->wait.fetch;
	arena_rewind(arena, call->mark);
	changes_init(&turn->changes, arena);
	if (call->wait.fetch) {
		call->wait.fetch = arena_alloc(arena, sizeof(answered));
		*call->wait.fetch = answered;
	}
	call_give_back(call);
}

void call_run(struct turn *turn)
{
	struct call *call = turn->state;
	struct objects *objects = objects_on(turn);
	assert(objects);
	/* The method may list, within which no turn pauses. */
	if (turn_makes_long_order(turn, turn->shard, TABLE_PART))
		return;
	call->objects = objects;
	call->request = turn->request;
	if (call->in_circle) {
		refuse_circle(turn, call);
		return;
	}
	circle_end(&call->circle);
	struct class_slot *slot = slot_of(objects, call->name.class_name);
	if (slot == NULL) {
		refuse_class(turn, call, "");
		return;
	}
	char error[LIMIT_ERROR_BYTES];
	find_class(call, slot, error, sizeof(error));
	struct object *object = call->object = object_take(objects, slot, &call->name);
	if (!call->begun && !may_begin(turn, call, error)) {
		object_end_admission(object, turn->request);
		object_look_again(objects, object);
		return;
	}
	if (!object_is_open(object, turn->request, call)) {
		wait_at_gate(turn, call);
		return;
	}
	if (call->begun)
		forget_turn(turn, call);
	struct storage storage;
	storage_open(&storage, turn, &call->name);
	/* What is still in memory of it goes, also when the call at hand begins it anew. */
	if (storage.ended && object->state) {
		object_doom(objects, object);
		if (object->doomed && !call->begun) {
			queue_or_refuse(turn, call);
			return;
		}
	}
	if (is_alarm(call) && !call->begun && object->alarm) {
		object_queue_alarm(object, turn);
		object_look_again(objects, object);
		return;
	}
	object_end_admission(object, turn->request);
	if (object->gate_lsn > turn->gate_lsn)
		turn->gate_lsn = object->gate_lsn;
	if (!call->begun)
		begin(turn, call, &storage);
	else if (!break_off(turn, call, &storage))
		go_on(turn, call, &storage);
}

/* --- calls of the server's own ---------------------------------------------------------------- */

struct call *call_new(struct request *request, enum call_kind kind, const struct object_name *name,
	struct slice method)
{
	struct arena *arena = &request->arena;
	struct call *call = arena_alloc(arena, sizeof(*call));
	/* Whoever has its request finds the call by this (call_of). */
	assert(request->asked.command->flags & COMMAND_CALLS);
	*call = (struct call){
		.kind = kind,
		.request = request,
		.name = { arena_copy(arena, name->class_name), arena_copy(arena, name->id) },
		.method = arena_copy(arena, method),
	};
	request->turn.state = call;
	return call;
}

static const struct command job_command = {
	.name = "run what is due",
	.arity = -1,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE | COMMAND_CALLS,
	.key_first = 1,
	.key_last = 1,
	.run = call_run,
};

static void on_job_told(struct request **request)
{
	const struct call *call = (*request)->turn.state;
	struct objects_job *job = call->job;
	struct objects *objects = (*request)->environment;
	job->ended(job);
	objects_act(objects);
	objects_ask(objects);
}

void objects_start_job(struct objects *objects, struct objects_job *job)
{
	const struct slice words[] = { slice_text(job_command.name), job->due.object.id };
	struct request *request = engine_question(objects->engine, objects->options.port,
		&(struct question){ .command = &job_command,
			.words = words,
			.word_count = 2,
			.routed = true,
			.environment = objects,
			.told = on_job_told });
	struct call *call = call_new(request, CALL_JOB, &job->due.object, job->method);
	call->job = job;
	engine_submit(objects->engine, objects->options.port, &request);
}
