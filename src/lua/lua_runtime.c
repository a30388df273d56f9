/*
 * lua_runtime: runs the calls of classes written in Lua. A call is a Lua thread of its class's
 * sandbox, from call_main on, where errors, also those of memory, are caught:
 *
 *   begin: a thread -> run: call_main -> init, method -> result -> end: the thread is put back
 *                       '--(api.c: a wait, the thread yields)--> run: on from there
 *
 * Outside of the thread nothing here may use a Lua function that raises.
 *
 * Threads: the worker's.
 */
#include "lua/lua_runtime.h"

#include "config/config.h"
#include "lua/api.h"
#include "lua/lua_class.h"
#include "lua/lua_value.h"
#include "lua/traceback.h"
#include "object/call.h"
#include "object/job.h"
#include "object/object.h"
#include "object/packed.h"

#include <lauxlib.h>
#include <stdio.h>

#define NS_PER_MS   1000000ull
#define RESULTS_MAX 1000 /* of a method: they stand on a stack */

/* --- within the thread ------------------------------------------------------------------------ */

static size_t value_bytes_max(struct objects *objects)
{
	return (size_t)objects_engine(objects)->config->value_bytes_max;
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
		int count = (int)request->asked.argument_count - CALL_FIRST_ARGUMENT;
		luaL_checkstack(L, count, "too many arguments");
		for (int i = 0; i < count; i++) {
			struct slice argument = request->asked.arguments[CALL_FIRST_ARGUMENT + i];
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
	struct buffer *scratch = objects_scratch(objects);
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
		pack_result(L, scratch, value_bytes_max(objects));
		packed_write_paced(buffer_slice(scratch), writer, &pace);
		sandbox_charge(L, 1);
	}
}

/* As one JSON text. */
static void write_json(lua_State *L, struct objects *objects, struct writer *writer)
{
	struct packed_pace pace = { go_on_writing, L, LIMIT_JSON_BYTES };
	struct buffer *scratch = objects_scratch(objects);
	struct buffer text;
	pack_result(L, scratch, LIMIT_JSON_BYTES);
	buffer_init(&text);
	packed_to_json_paced(buffer_slice(scratch), &text, &pace);
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
	struct call *call = lua_class_call(L);
	struct objects *objects = call->objects;
	struct turn *turn = &call->request->turn;
	if (call->kind == CALL_SERVER)
		pack_results(L, turn->reply, value_bytes_max(objects));
	if (call->kind != CALL_CLIENT)
		return 0;
	if (lua_gettop(L) == 0)
		lua_pushnil(L);
	if (call->as_json)
		write_json(L, objects, &turn->writer);
	else
		write_result(L, objects, &turn->writer);
	return 0;
}

static int after_init(lua_State *L, int status, lua_KContext context)
{
	struct call *call = lua_class_call(L);
	call_initialised(call);
	/* The stack holds the method alone. */
	lua_rawgeti(L, LUA_REGISTRYINDEX, call->object->self);
	int count = push_arguments(L, call);
	lua_callk(L, count + 1, LUA_MULTRET, 0, after_method);
	return after_method(L, LUA_OK, 0);
}

/* The bottom of each call's thread. */
static int call_main(lua_State *L)
{
	struct lua_class *lua = lua_class_running(L);
	struct call *call = lua->call;
	const struct object *object = call->object;
	if (!lua_class_push_method(L, call->method)) {
		lua->no_method = true;
		return 0;
	}
	if (object->state == NULL)
		api_push_self(L, call);
	else
		lua_rawgeti(L, LUA_REGISTRYINDEX, object->self);
	if (object->initialised || !lua->has_init) {
		lua_pop(L, 1);
		return after_init(L, LUA_OK, 0);
	}
	call_begins_init(call);
	lua_class_push_method(L, slice_text("init"));
	lua_insert(L, -2);
	lua_callk(L, 1, 0, 0, after_init);
	return after_init(L, LUA_OK, 0);
}

/* --- what became of a turn -------------------------------------------------------------------- */

/* Which limit, and where; of a state that is lost nobody knows where. */
static void describe_timeout(struct call *call, char *out, size_t size)
{
	const struct config *config = objects_config(call->objects);
	struct slice class_name = call->name.class_name, method = call->method;
	const struct sandbox *sandbox = lua_class_of(call->state)->sandbox;
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
static void describe_error(struct call *call, struct runtime_failure *failure)
{
	const struct lua_class *lua = lua_class_of(call->state);
	char *out = failure->error;
	size_t size = sizeof(failure->error);
	char message[LIMIT_ERROR_BYTES];
	struct slice class_name = call->name.class_name, method = call->method;
	if (sandbox_is_exhausted(lua->sandbox)) {
		describe_timeout(call, out, size);
		return;
	}
	failure->is_soft = sandbox_take_error(call->thread, message, sizeof(message));
	if (failure->is_soft) {
		snprintf(out, size, "%s", message);
		return;
	}
	if (!call->object->initialised && lua->has_init)
		method = slice_text("init");
	snprintf(out, size, ERROR_CLASS, (int)class_name.size, class_name.data, (int)method.size,
		method.data, message);
}

static void describe(struct call *call, struct runtime_failure *failure)
{
	failure->is_soft = false;
	failure->traceback[0] = '\0';
	if (!sandbox_is_lost(lua_class_of(call->state)->sandbox))
		traceback_write(call->thread, failure->traceback, sizeof(failure->traceback));
	describe_error(call, failure);
}

/* --- for objects ------------------------------------------------------------------------------ */

static bool begin(struct call *call)
{
	lua_State *thread = sandbox_take_thread(lua_class_of(call->state)->sandbox);
	call->thread = thread;
	if (thread == NULL)
		return false;
	lua_pushcfunction(thread, call_main);
	return true;
}

static enum runtime_end run(
	struct call *call, struct storage *storage, struct runtime_failure *failure)
{
	struct lua_class *lua = lua_class_of(call->state);
	const struct config *config = objects_engine(call->objects)->config;
	lua->call = call;
	lua->storage = storage;
	lua->no_method = false;
	enum sandbox_end end = sandbox_run(lua->sandbox, call->thread, 0,
		(uint64_t)config->turn_instructions, (uint64_t)config->turn_time_ms * NS_PER_MS);
	lua->call = NULL;
	lua->storage = NULL;
	if (end == SANDBOX_WAITS && call->wait.kind != WAIT_NONE)
		return RUNTIME_WAITS;
	if (lua->no_method)
		return RUNTIME_NO_METHOD;
	if (end == SANDBOX_DONE)
		return RUNTIME_DONE;
	describe(call, failure);
	return RUNTIME_FAILED;
}

static void end(struct call *call)
{
	lua_State *thread = call->thread;
	call->thread = NULL;
	if (thread)
		sandbox_put_thread(lua_class_of(call->state)->sandbox, &thread);
}

/* The reference is there, so this takes no memory and raises nothing. */
static void drop(struct object *object)
{
	struct sandbox *sandbox = lua_class_of(object->state)->sandbox;
	sandbox_give_back(sandbox, object_bytes(object));
	if (!sandbox_is_lost(sandbox))
		luaL_unref(sandbox_lua(sandbox), LUA_REGISTRYINDEX, object->self);
}

static bool is_lost(const struct class_state *state)
{
	return sandbox_is_lost(((const struct lua_class *)state)->sandbox);
}

static void weigh(const struct class_state *state, struct runtime_memory *out)
{
	const struct sandbox *sandbox = ((const struct lua_class *)state)->sandbox;
	*out = (struct runtime_memory){
		.used = sandbox_memory(sandbox),
		.most = sandbox_memory_max(sandbox),
		.room = sandbox_room(sandbox),
	};
}

static bool lend(struct class_state *state, size_t bytes)
{
	return sandbox_try_lend(lua_class_of(state)->sandbox, bytes);
}

static void give_back(struct class_state *state, size_t bytes)
{
	sandbox_give_back(lua_class_of(state)->sandbox, bytes);
}

const struct runtime lua_runtime = {
	.load = lua_class_load,
	.unload = lua_class_unload,
	.has_method = lua_class_has_method,
	.begin = begin,
	.run = run,
	.end = end,
	.drop = drop,
	.is_lost = is_lost,
	.weigh = weigh,
	.lend = lend,
	.give_back = give_back,
};
