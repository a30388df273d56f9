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
 * The code runs in a thread of the class's Lua state, from call_main on, where errors, also those
 * of memory, are caught. Outside of it nothing here may use a Lua function that raises.
 *
 * Threads: the worker's of the object's shard.
 */
#include "object/lua_value.h"
#include "object/packed.h"
#include "object/runtime.h"
#include "object/traceback.h"

#include "base/logline.h"
#include "base/memory.h"
#include "config/config.h"
#include "gate/gate.h"
#include "log/record.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>

#define NS_PER_MS          1000000ull
#define OVERLOAD_RETRY_MS  100
#define RESULTS_MAX        1000 /* of a method: they stand on a stack */
#define OWN_PART           16
#define SCRATCH_KEEP_BYTES (256 * 1024)
#define FIRST_ARGUMENT     4 /* of DO.CALL class id method ... */
#define TRACEBACK_BYTES    2048
#define REPLY_BYTES        (LIMIT_ERROR_BYTES + 2 * LIMIT_CLASS_NAME_BYTES + 128)

/* --- within the Lua thread -------------------------------------------------------------------- */

struct call *call_running(lua_State *L)
{
	struct objects *objects = sandbox_context(sandbox_of(L));
	if (objects == NULL || objects->running == NULL)
		luaL_error(L, "this works within a call of an object only");
	return objects->running;
}

static void push_info(lua_State *L, const struct objects_job *job)
{
	lua_createtable(L, 0, 4);
	lua_pushinteger(L, job->tries);
	lua_setfield(L, -2, "retry_count");
	lua_pushboolean(L, job->tries > 0);
	lua_setfield(L, -2, "is_retry");
	lua_pushinteger(L, job->scheduled_ms);
	lua_setfield(L, -2, "scheduled_time");
	if (job->due.kind == DUE_SCHEDULE) {
		lua_pushlstring(L, job->due.name.data, job->due.name.size);
		lua_setfield(L, -2, "name");
	}
}

static int push_arguments(lua_State *L, const struct call *call)
{
	const struct request *request = call->request;
	const struct objects_job *job = call->job;
	if (call->kind == CALL_CLIENT) {
		int count = (int)request->asked.argument_count - FIRST_ARGUMENT;
		luaL_checkstack(L, count, "too many arguments");
		for (int i = 0; i < count; i++) {
			struct slice argument = request->asked.arguments[FIRST_ARGUMENT + i];
			lua_pushlstring(L, argument.data, argument.size);
		}
		return count;
	}
	if (job == NULL)
		return api_push_items(L, call->packed);
	if (job->due.kind == DUE_WAKE)
		return api_push_items(L, job->argument);
	if (job->due.kind == DUE_SCHEDULE) {
		if (job->argument.size)
			lua_value_push(L, job->argument);
		else
			lua_pushnil(L);
	}
	push_info(L, job);
	return job->due.kind == DUE_SCHEDULE ? 2 : 1;
}

/* All that is on the stack, as a table of so many items. */
static void pack_results(lua_State *L, struct buffer *out, size_t bytes_max)
{
	int count = lua_gettop(L);
	if (count > RESULTS_MAX)
		luaL_error(L, "a method returns at most %d values", RESULTS_MAX);
	size_t start = out->size;
	packed_add_table(out, (uint64_t)count, 0);
	for (int i = 1; i <= count; i++) {
		lua_value_pack(L, i, out, bytes_max);
		if (out->size - start > bytes_max)
			luaL_error(L, "results of more than %I bytes", (LUAI_UACINT)bytes_max);
	}
}

/* One value is itself, several are a table. */
static void pack_result(lua_State *L, struct buffer *out, size_t bytes_max)
{
	out->size = 0;
	if (lua_gettop(L) == 1)
		lua_value_pack(L, 1, out, bytes_max);
	else
		pack_results(L, out, bytes_max);
}

static bool go_on_writing(void *context, uint64_t units)
{
	return sandbox_charge_on(context, units);
}

/* What does not fit the reply is found by go_on. */
static void write_result(lua_State *L, struct objects *objects, struct writer *writer)
{
	struct packed_pace pace = { go_on_writing, L, SIZE_MAX };
	size_t size;
	const char *text;
	switch (lua_gettop(L) == 1 ? lua_type(L, 1) : LUA_TTABLE) {
	case LUA_TNIL:
		writer_null(writer);
		return;
	case LUA_TSTRING:
		text = lua_tolstring(L, 1, &size);
		writer_bulk(writer, slice_of(text, size));
		return;
	case LUA_TNUMBER:
		if (lua_isinteger(L, 1))
			writer_integer(writer, lua_tointeger(L, 1));
		else
			writer_double(writer, lua_tonumber(L, 1));
		return;
	case LUA_TBOOLEAN:
		writer_boolean(writer, lua_toboolean(L, 1));
		return;
	default:
		pack_result(L, &objects->scratch, (size_t)objects->engine->config->value_bytes_max);
		packed_write_paced(buffer_slice(&objects->scratch), writer, &pace);
		sandbox_charge(L, 1);
	}
}

/* As one JSON text. */
static void write_json(lua_State *L, struct objects *objects, struct writer *writer)
{
	struct packed_pace pace = { go_on_writing, L, LIMIT_JSON_BYTES };
	struct buffer text;
	pack_result(L, &objects->scratch, LIMIT_JSON_BYTES);
	buffer_init(&text);
	packed_to_json_paced(buffer_slice(&objects->scratch), &text, &pace);
	bool fits = text.size <= LIMIT_JSON_BYTES;
	if (fits)
		writer_bulk(writer, buffer_slice(&text));
	buffer_fini(&text);
	sandbox_charge(L, 1);
	if (!fits)
		luaL_error(L, "the result as JSON is longer than %d bytes", (int)LIMIT_JSON_BYTES);
}

/* The method has returned: what is on the stack is the call's result. */
static int after_method(lua_State *L, int status, lua_KContext context)
{
	struct call *call = call_running(L);
	struct objects *objects = call->objects;
	if (call->kind == CALL_OBJECT)
		pack_results(
			L, &call->request->reply, (size_t)objects->engine->config->value_bytes_max);
	if (call->kind != CALL_CLIENT)
		return 0;
	if (lua_gettop(L) == 0)
		lua_pushnil(L);
	if (call->as_json)
		write_json(L, objects, &objects->turn->writer);
	else
		write_result(L, objects, &objects->turn->writer);
	return 0;
}

static int after_init(lua_State *L, int status, lua_KContext context)
{
	struct call *call = call_running(L);
	struct object *object = call->object;
	object->initialised = true;
	if (object->closed_by == call)
		object->closed_by = NULL;
	/* The stack holds the method alone. */
	lua_rawgeti(L, LUA_REGISTRYINDEX, object->self);
	int count = push_arguments(L, call);
	lua_callk(L, count + 1, LUA_MULTRET, 0, after_method);
	return after_method(L, LUA_OK, 0);
}

/* The bottom of each call's thread. */
static int call_main(lua_State *L)
{
	struct call *call = call_running(L);
	struct object *object = call->object;
	if (!class_state_push_method(call->state, L, call->method)) {
		call->no_method = true;
		return 0;
	}
	if (object->state == NULL)
		api_push_self(L, call);
	else
		lua_rawgeti(L, LUA_REGISTRYINDEX, object->self);
	if (object->initialised || !call->state->has_init) {
		lua_pop(L, 1);
		return after_init(L, LUA_OK, 0);
	}
	object->closed_by = call;
	class_state_push_method(call->state, L, slice_text("init"));
	lua_insert(L, -2);
	lua_callk(L, 1, 0, 0, after_init);
	return after_init(L, LUA_OK, 0);
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

/* What keeps the object's memory from being shown before it is on disk. */
static void note_gate(struct object *object, const struct turn *turn)
{
	if (turn->gate_lsn > object->gate_lsn)
		object->gate_lsn = turn->gate_lsn;
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
	sandbox_give_back(call->state->sandbox, call->lent);
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
	if (call->thread)
		sandbox_put_thread(state->sandbox, &call->thread);
	object->calls_in--;
	call->begun = false;
	/* The state is held by an instance: one that this call made, or shares. */
	if (object->state == NULL || object->state == call->state)
		state_relieve(objects, state);
	/* From here on the state may be gone. */
	if (sandbox_is_lost(state->sandbox) && !state->lost) {
		log_cut(call);
		state_lost(objects, object->slot, state);
	}
	if (failed && !(call->failed_softly && object->initialised))
		object_doom(objects, object);
	object_settle(objects, object);
}

/* `error` NULL: it went well. */
static void end_job(struct turn *turn, struct call *call, struct storage *storage,
	enum job_outcome outcome, const char *error)
{
	struct objects *objects = call->objects;
	if (error)
		forget_changes(turn, call, storage);
	objects->options.schedule->settle(objects->scheduler, storage, call->job, outcome, error);
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

/* Which limit, and where; of a state that is lost nobody knows where. */
static void describe_timeout(struct call *call, char *out, size_t size)
{
	const struct config *config = call->objects->engine->config;
	struct slice class_name = call->name.class_name, method = call->method;
	const struct sandbox *sandbox = call->state->sandbox;
	bool late = sandbox_is_late(sandbox);
	char place[128] = "";
	if (!sandbox_is_lost(sandbox))
		traceback_place(call->thread, place, sizeof(place));
	snprintf(out, size, late ? ERROR_TURN_TIME : ERROR_TURN_INSTRUCTIONS, (int)class_name.size,
		class_name.data, (int)method.size, method.data,
		(long long)(late ? config->turn_time_ms : config->turn_instructions),
		place[0] ? " at " : "", place);
}

/* The error in one line, with its code word. */
static void describe_error(struct call *call, char *out, size_t size)
{
	char message[LIMIT_ERROR_BYTES];
	struct slice class_name = call->name.class_name, method = call->method;
	if (sandbox_is_exhausted(call->state->sandbox)) {
		describe_timeout(call, out, size);
		return;
	}
	call->failed_softly = sandbox_take_error(call->thread, message, sizeof(message));
	if (call->failed_softly) {
		snprintf(out, size, "%s", message);
		return;
	}
	if (!call->object->initialised && call->state->has_init)
		method = slice_text("init");
	snprintf(out, size, ERROR_CLASS, (int)class_name.size, class_name.data, (int)method.size,
		method.data, message);
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
	char error[REPLY_BYTES] = ERROR_OUTPUT_FULL;
	if (turn->writer.limit < turn_reply_bytes_max(turn)) {
		end_call(turn, call, storage, JOB_FAILED, error);
		return;
	}
	snprintf(error, sizeof(error), ERROR_RESULT_SIZE, (int)call->name.class_name.size,
		call->name.class_name.data, (int)call->method.size, call->method.data,
		turn->writer.limit);
	end_failed(turn, call, storage, JOB_FAILED, error, "");
}

/* Runs the code on until it waits, ends or fails. */
static void go_on(struct turn *turn, struct call *call, struct storage *storage)
{
	struct objects *objects = call->objects;
	const struct config *config = objects->engine->config;
	struct sandbox *sandbox = call->state->sandbox;
	char error[REPLY_BYTES], traceback[TRACEBACK_BYTES] = "";
	objects->running = call;
	objects->turn = turn;
	objects->storage = storage;
	enum sandbox_end end = sandbox_run(sandbox, call->thread, 0,
		(uint64_t)config->turn_instructions, (uint64_t)config->turn_time_ms * NS_PER_MS);
	objects->running = NULL;
	objects->turn = NULL;
	objects->storage = NULL;
	buffer_clear(&objects->scratch, SCRATCH_KEEP_BYTES);
	call->object->last_active_ms = turn->now_ms;
	bool refused = turn->writer.full;
	turn->writer.full = false;
	if (is_too_large(call, turn)) {
		end_failed(turn, call, storage, JOB_FAILED, ERROR_CHANGE_SIZE, "");
	} else if (end == SANDBOX_WAITS && call->wait.kind != WAIT_NONE) {
		storage_close(storage);
		note_gate(call->object, turn);
		turn_park(turn, wait_parked);
		object_settle(objects, call->object);
	} else if (call->no_method) {
		snprintf(error, sizeof(error), ERROR_NO_METHOD, (int)call->name.class_name.size,
			call->name.class_name.data, (int)call->method.size, call->method.data);
		call->failed_softly = true;
		end_failed(turn, call, storage, JOB_NO_METHOD, error, "");
	} else if (end == SANDBOX_DONE && refused) {
		end_refused(turn, call, storage);
	} else if (end == SANDBOX_DONE) {
		end_call(turn, call, storage, JOB_DONE, NULL);
	} else {
		if (!sandbox_is_lost(sandbox))
			traceback_write(call->thread, traceback, sizeof(traceback));
		describe_error(call, error, sizeof(error));
		end_failed(turn, call, storage, JOB_FAILED, error, traceback);
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
		object_settle(call->objects, object);
		return;
	}
	if (call->job == NULL)
		storage_touch(storage);
	object_enter(object);
	call->begun = true;
	call->thread = sandbox_take_thread(state->sandbox);
	if (call->thread == NULL) {
		end_failed(turn, call, storage, JOB_FAILED,
			"CLASSERR not enough memory for the call: see class-memory", "");
		return;
	}
	lua_pushcfunction(call->thread, call_main);
	go_on(turn, call, storage);
}

/* The server stops, the call has lasted too long, or its state is no more: it ends where it waits.
 */
static bool break_off(struct turn *turn, struct call *call, struct storage *storage)
{
	const struct objects *objects = call->objects;
	char error[REPLY_BYTES] = ERROR_SHUTTING_DOWN;
	if (sandbox_is_lost(call->state->sandbox)) {
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
	char text[REPLY_BYTES];
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
		schedule->settle(call->objects->scheduler, &storage, call->job, JOB_NO_CLASS, text);
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
		object_settle(objects, object);
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
		object_settle(objects, object);
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
	.flags = COMMAND_WRITE,
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
