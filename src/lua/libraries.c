/*
 * libraries: sets the globals of a class's state, and holds env itself; json, crypto, time and log
 * have files of their own.
 *
 * What these functions need of the server they have as upvalues: the host as a light userdata,
 * env's values as a table. Nothing of it can be reached from Lua.
 *
 * env is an empty table: assignments meet its metatable, which refuses them, and reads go to the
 * values behind it. Its iterator hands out names and values, never that table. (rawset does write
 * into env, as it does into any global; that reaches no further than the class's own state.)
 *
 * Errors leave by longjmp, so nothing here holds memory that Lua does not know, and configuration
 * is walked with protected calls only.
 *
 * Threads: that of the Lua state.
 */
#include "lua/libraries.h"

#include "config/config.h"
#include "lua/libraries_private.h"
#include "lua/sandbox.h"

#include <assert.h>
#include <lauxlib.h>

static void push_env(lua_State *L, struct config *config, struct slice class_name);

void libraries_open(lua_State *L, const struct libraries_host *host, struct config *config,
	struct slice class_name)
{
	libraries_push_json(L);
	lua_setglobal(L, "json");
	libraries_push_crypto(L);
	lua_setglobal(L, "crypto");
	libraries_push_time(L, host);
	lua_setglobal(L, "time");
	libraries_push_log(L, host);
	lua_setglobal(L, "log");
	push_env(L, config, class_name);
	lua_setglobal(L, "env");
}

/* env */

static int env_refuse(lua_State *L)
{
	sandbox_charge(L, 1);
	return luaL_error(L, "env is read-only");
}

/* Name and value after the name given; nothing behind the last. */
static int env_next(lua_State *L)
{
	sandbox_charge(L, 1);
	lua_settop(L, 2);
	return lua_next(L, lua_upvalueindex(1)) ? 2 : 0;
}

static int env_pairs(lua_State *L)
{
	sandbox_charge(L, 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushcclosure(L, env_next, 1);
	lua_pushvalue(L, 1);
	return 2;
}

struct env_walk {
	lua_State *L; /* the values' table is on top */
	struct slice class_name;
	int status;
};

/* Arguments: the table, a light userdata of the line's words. */
static int env_set(lua_State *L)
{
	const struct slice *words = lua_touserdata(L, 2);
	lua_pushlstring(L, words[1].data, words[1].size);
	lua_pushlstring(L, words[2].data, words[2].size);
	lua_rawset(L, 1);
	return 0;
}

/* A line `env class name value`. An error must not jump over config_each_line: it ends the walk. */
static bool env_line(void *context, const struct slice *words, size_t count)
{
	struct env_walk *walk = context;
	assert(count == 3); /* config/rules.c lets no other line in */
	if (!slice_equal(words[0], walk->class_name))
		return true;
	lua_pushcfunction(walk->L, env_set);
	lua_pushvalue(walk->L, -2);
	lua_pushlightuserdata(walk->L, (void *)(uintptr_t)words);
	walk->status = lua_pcall(walk->L, 2, 0, 0);
	return walk->status == LUA_OK;
}

static void env_add(lua_State *L, struct config *config, struct slice class_name)
{
	struct env_walk walk = { .L = L, .class_name = class_name, .status = LUA_OK };
	luaL_checkstack(L, 4, "env");
	config_each_line(config, "env", env_line, &walk);
	if (walk.status != LUA_OK)
		lua_error(L);
}

/* A class's own lines beat those for all; of equals the last one counts. */
static void push_env(lua_State *L, struct config *config, struct slice class_name)
{
	lua_createtable(L, 0, 0);
	lua_createtable(L, 0, 4);
	lua_createtable(L, 0, 8);
	env_add(L, config, slice_text("*"));
	env_add(L, config, class_name);
	lua_pushvalue(L, -1);
	lua_pushcclosure(L, env_pairs, 1);
	lua_setfield(L, -3, "__pairs");
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, env_refuse);
	lua_setfield(L, -2, "__newindex");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
}
