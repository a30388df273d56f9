/*
 * class_state: compiles a class. The source is a chunk that makes a table by `class(name)`, puts
 * functions into it and returns it:
 *
 *   local Counter = class("Counter")
 *   function Counter:add(by) ... end
 *   return Counter
 *
 * The table is kept in the state's registry; what it holds of metamethods makes the metatable of
 * each `self`. Behind it stands a second table with what every object has (exclusive, schedule,
 * ...), put there by open_api.
 *
 * Compiling and running the source have the budget of a turn. Everything that may raise an error
 * runs within sandbox_try.
 *
 * Threads: its worker's.
 */
#include "object/class_state.h"

#include "base/memory.h"
#include "config/config.h"
#include "holdfast/errors.h"
#include "object/lua_keys.h"
#include "object/traceback.h"

#include <lauxlib.h>
#include <stdio.h>

const char lua_key_base_class = 0, lua_key_class = 0, lua_key_metatable = 0, lua_key_storage = 0;

#define NS_PER_MS    1000000ull
#define CLASS_CHARGE 100

struct opening {
	const struct class_environment *environment;
	struct class_state *state;
	lua_State *thread;
	const char *complaint;
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

/* What every object's `self` finds behind its class: a table whose fields open_api adds. */
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
	const struct class_environment *environment = opening->environment;
	struct class *class = opening->state->class;
	open_base_class(L);
	libraries_open(L, environment->host, environment->config, slice_text(class->name));
	if (environment->open_api)
		environment->open_api(L);
	opening->thread = sandbox_take_thread(opening->state->sandbox);
	if (opening->thread == NULL)
		return luaL_error(L, "not enough memory");
	return 0;
}

/* On the thread: compiles and runs the source. */
static int run_chunk(lua_State *L)
{
	struct class_state *state = lua_touserdata(L, 1);
	char chunk_name[LIMIT_CLASS_NAME_BYTES + 2];
	snprintf(chunk_name, sizeof(chunk_name), "=%s", state->class->name);
	if (sandbox_load(L, state->class->source, chunk_name) != LUA_OK)
		return lua_error(L);
	lua_call(L, 0, 1);
	if (!lua_istable(L, -1))
		return luaL_error(L, "the source does not return a class");
	lua_pushliteral(L, "__name");
	lua_rawget(L, -2);
	const char *name = lua_tostring(L, -1);
	if (name == NULL)
		return luaL_error(L, "the source does not return a class");
	if (strcmp(name, state->class->name) != 0)
		return luaL_error(
			L, "the source returns class '%s', not '%s'", name, state->class->name);
	lua_pop(L, 1);
	lua_createtable(L, 0, 0);
	lua_pushvalue(L, -2);
	sandbox_set_metatable(L, -2);
	lua_getmetatable(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, LUA_KEY_METATABLE);
	lua_pop(L, 1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, LUA_KEY_CLASS);
	state->has_init = class_state_push_method(state, L, slice_text("init"));
	state->has_alarm = class_state_push_method(state, L, slice_text("alarm"));
	return 0;
}

static void describe_timeout(const struct opening *opening, char *error, size_t error_size)
{
	const struct config *config = opening->environment->config;
	const struct sandbox *sandbox = opening->state->sandbox;
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
	const struct config *config = opening->environment->config;
	struct sandbox *sandbox = opening->state->sandbox;
	lua_State *thread = opening->thread;
	lua_pushcfunction(thread, run_chunk);
	lua_pushlightuserdata(thread, opening->state);
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

struct class_state *class_state_new(const struct class_environment *environment,
	struct class *class, char *error, size_t error_size)
{
	struct class_state *state = memory_zeroed(sizeof(*state));
	struct opening opening = { .environment = environment, .state = state };
	atomic_fetch_add(&class->references, 1);
	state->class = class;
	state->sandbox =
		sandbox_new((size_t)environment->config->class_memory_bytes, environment->clock);
	sandbox_set_context(state->sandbox, environment->context);
	if (!sandbox_try(state->sandbox, compile, &opening, error, error_size) ||
		!run(&opening, error, error_size)) {
		class_state_free(&state);
		return NULL;
	}
	return state;
}

void class_state_free(struct class_state **taken)
{
	struct class_state *state = *taken;
	*taken = NULL;
	sandbox_free(&state->sandbox);
	class_release(&state->class);
	memory_free(state);
}

bool class_state_check(const struct class_environment *environment, struct slice name,
	struct slice source, char *error, size_t error_size)
{
	struct class class = { .references = 1, .source = source };
	if (name.size >= sizeof(class.name))
		return false;
	memcpy(class.name, name.data, name.size);
	struct class_state *state = class_state_new(environment, &class, error, error_size);
	if (state == NULL)
		return false;
	class_state_free(&state);
	return true;
}

bool class_state_push_method(struct class_state *state, lua_State *L, struct slice name)
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
	struct class_state *state;
	struct slice name;
	bool found;
};

static int look_for_method(lua_State *L)
{
	struct looking *looking = lua_touserdata(L, 1);
	looking->found = class_state_push_method(looking->state, L, looking->name);
	return 0;
}

bool class_state_has_method(struct class_state *state, struct slice name)
{
	struct looking looking = { .state = state, .name = name };
	char error[LIMIT_ERROR_BYTES];
	bool looked = sandbox_try(state->sandbox, look_for_method, &looking, error, sizeof(error));
	return !looked || looking.found;
}
