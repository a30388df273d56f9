/*
 * lua_class: compiles a class. The source is a chunk that makes a table by `class(name)`, puts
 * functions into it and returns it:
 *
 *   local Counter = class("Counter")
 *   function Counter:add(by) ... end
 *   return Counter
 *
 * The table is kept in the state's registry; what it holds of metamethods makes the metatable of
 * each `self`. Behind it stands a second table with what every object has (exclusive, schedule,
 * ...), put there by api_open.
 *
 * Compiling and running the source have the budget of a turn. Everything that may raise an error
 * runs within sandbox_try.
 *
 * Threads: its worker's.
 */
#include "lua/lua_class.h"

#include "base/memory.h"
#include "config/config.h"
#include "lua/api.h"
#include "lua/lua_keys.h"
#include "lua/lua_runtime.h"
#include "lua/traceback.h"
#include "object/call.h"
#include "object/objects.h"
#include "object/report.h"

#include <lauxlib.h>
#include <stdio.h>

const char lua_key_base_class = 0, lua_key_class = 0, lua_key_metatable = 0, lua_key_storage = 0;

#define NS_PER_MS    1000000ull
#define CLASS_CHARGE 100

struct opening {
	struct lua_class *lua;
	lua_State *thread;
};

/* class(name): a new class's table. */
static int lua_class(lua_State *L)
{
	sandbox_charge(L, CLASS_CHARGE);
	luaL_checkstring(L, 1);
	lua_createtable(L, 0, 8);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "__name");
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, LUA_KEY_BASE_CLASS) == LUA_TTABLE)
		sandbox_set_metatable(L, -2);
	else
		lua_pop(L, 1);
	return 1;
}

/* What every object's `self` finds behind its class: a table whose fields api_open adds. */
static void open_base_class(lua_State *L)
{
	lua_createtable(L, 0, 8);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	lua_rawsetp(L, LUA_REGISTRYINDEX, LUA_KEY_BASE_CLASS);
	lua_pushcfunction(L, lua_class);
	lua_setglobal(L, "class");
}

static int compile(lua_State *L)
{
	struct opening *opening = lua_touserdata(L, 1);
	struct lua_class *lua = opening->lua;
	open_base_class(L);
	libraries_open(
		L, &lua->host, objects_config(lua->objects), slice_text(lua->state.class->name));
	api_open(L);
	opening->thread = sandbox_take_thread(lua->sandbox);
	if (opening->thread == NULL)
		return luaL_error(L, "not enough memory");
	return 0;
}

/* On the thread: compiles and runs the source. */
static int run_chunk(lua_State *L)
{
	struct lua_class *lua = lua_touserdata(L, 1);
	const struct class *class = lua->state.class;
	char chunk_name[LIMIT_CLASS_NAME_BYTES + 2];
	snprintf(chunk_name, sizeof(chunk_name), "=%s", class->name);
	if (sandbox_load(L, class->source, chunk_name) != LUA_OK)
		return lua_error(L);
	lua_call(L, 0, 1);
	if (!lua_istable(L, -1))
		return luaL_error(L, "the source does not return a class");
	lua_pushliteral(L, "__name");
	lua_rawget(L, -2);
	const char *name = lua_tostring(L, -1);
	if (name == NULL)
		return luaL_error(L, "the source does not return a class");
	if (strcmp(name, class->name) != 0)
		return luaL_error(L, "the source returns class '%s', not '%s'", name, class->name);
	lua_pop(L, 1);
	lua_createtable(L, 0, 0);
	lua_pushvalue(L, -2);
	sandbox_set_metatable(L, -2);
	lua_getmetatable(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, LUA_KEY_METATABLE);
	lua_pop(L, 1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, LUA_KEY_CLASS);
	lua->has_init = lua_class_push_method(L, slice_text("init"));
	lua->state.has_alarm = lua_class_push_method(L, slice_text("alarm"));
	return 0;
}

static void describe_timeout(const struct opening *opening, char *error, size_t error_size)
{
	const struct config *config = objects_config(opening->lua->objects);
	const struct sandbox *sandbox = opening->lua->sandbox;
	bool late = sandbox_is_late(sandbox);
	char place[128] = "";
	if (!sandbox_is_lost(sandbox))
		traceback_place(opening->thread, place, sizeof(place));
	snprintf(error, error_size, "the source ran too long while it was loaded%s%s: %s is %lld%s",
		place[0] ? ", at " : "", place, late ? "turn-time-limit" : "turn-instructions",
		(long long)(late ? config->turn_time_ms : config->turn_instructions),
		late ? " ms" : "");
}

static bool run(struct opening *opening, char *error, size_t error_size)
{
	const struct config *config = objects_config(opening->lua->objects);
	struct sandbox *sandbox = opening->lua->sandbox;
	lua_State *thread = opening->thread;
	lua_pushcfunction(thread, run_chunk);
	lua_pushlightuserdata(thread, opening->lua);
	enum sandbox_end end = sandbox_run(sandbox, thread, 1, (uint64_t)config->turn_instructions,
		(uint64_t)config->turn_time_ms * NS_PER_MS);
	if (end == SANDBOX_WAITS)
		snprintf(error, error_size, "the source waits while it is loaded");
	else if (end == SANDBOX_EXHAUSTED || end == SANDBOX_LOST)
		describe_timeout(opening, error, error_size);
	else if (end == SANDBOX_FAILED)
		sandbox_take_error(thread, error, error_size);
	sandbox_put_thread(sandbox, &opening->thread);
	return end == SANDBOX_DONE && !sandbox_is_lost(sandbox);
}

static int64_t now_ms(void *context)
{
	const struct lua_class *lua = context;
	if (lua->call)
		return lua->call->request->turn.now_ms;
	return objects_engine(lua->objects)->ports[objects_port(lua->objects)].now_ms;
}

static void say(void *context, int level, struct slice text)
{
	const struct lua_class *lua = context;
	char name[REPORT_NAME_BYTES] = "";
	if (lua->call)
		report_name(&lua->call->name, name);
	report_say(lua->objects, lua->call, level, "%s%s%.*s", name, lua->call ? ": " : "",
		(int)text.size, text.data);
}

struct class_state *lua_class_load(
	struct objects *objects, struct class *class, char *error, size_t error_size)
{
	const struct config *config = objects_config(objects);
	struct lua_class *lua = memory_zeroed(sizeof(*lua));
	struct class_state *state = &lua->state;
	struct opening opening = { .lua = lua };
	atomic_fetch_add(&class->references, 1);
	state->runtime = &lua_runtime;
	state->class = class;
	lua->objects = objects;
	lua->host = (struct libraries_host){ lua, now_ms, say };
	lua->sandbox =
		sandbox_new((size_t)config->class_memory_bytes, objects_engine(objects)->clock);
	sandbox_set_context(lua->sandbox, lua);
	if (!sandbox_try(lua->sandbox, compile, &opening, error, error_size) ||
		!run(&opening, error, error_size)) {
		lua_class_unload(&state);
		return NULL;
	}
	return state;
}

void lua_class_unload(struct class_state **taken)
{
	struct lua_class *lua = lua_class_of(*taken);
	*taken = NULL;
	sandbox_free(&lua->sandbox);
	class_release(&lua->state.class);
	memory_free(lua);
}

struct lua_class *lua_class_running(lua_State *L)
{
	struct lua_class *lua = sandbox_context(sandbox_of(L));
	if (lua == NULL || lua->call == NULL)
		luaL_error(L, "this works within a call of an object only");
	return lua;
}

bool lua_class_push_method(lua_State *L, struct slice name)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, LUA_KEY_CLASS) != LUA_TTABLE) {
		lua_pop(L, 1);
		return false;
	}
	lua_pushlstring(L, name.data, name.size);
	bool found = lua_rawget(L, -2) == LUA_TFUNCTION;
	lua_remove(L, -2);
	if (!found)
		lua_pop(L, 1);
	return found;
}

struct looking {
	struct slice name;
	bool found;
};

static int look_for_method(lua_State *L)
{
	struct looking *looking = lua_touserdata(L, 1);
	looking->found = lua_class_push_method(L, looking->name);
	return 0;
}

bool lua_class_has_method(struct class_state *state, struct slice name)
{
	struct looking looking = { .name = name };
	char error[LIMIT_ERROR_BYTES];
	bool looked = sandbox_try(
		lua_class_of(state)->sandbox, look_for_method, &looking, error, sizeof(error));
	return !looked || looking.found;
}
