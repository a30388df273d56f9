/*
 * libraries: sets the globals of a class's state, and holds log and env themselves; json, crypto
 * and time have files of their own.
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
#include "object/libraries.h"

#include "base/logline.h"
#include "config/config.h"
#include "holdfast/limits.h"
#include "object/libraries_private.h"
#include "object/sandbox.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>

#define LOG_CHARGE 500 /* a line is written, and may be, to a disk: a loop of them must end */

static void push_log(lua_State *L, const struct libraries_host *host);
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
	push_log(L, host);
	lua_setglobal(L, "log");
	push_env(L, config, class_name);
	lua_setglobal(L, "env");
}

/* log */

struct line {
	char bytes[LIMIT_LOG_LINE_BYTES];
	size_t size;
	bool is_full;
};

/* Control bytes become \xHH, so that a line stays one line and a terminal is safe. */
static void line_add(struct line *line, struct slice text)
{
	for (size_t i = 0; i < text.size && !line->is_full; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		bool is_control = byte < 0x20 || byte == 0x7f;
		char escaped[8] = { (char)byte };
		size_t size = is_control
			? (size_t)snprintf(escaped, sizeof(escaped), "\\x%02x", (unsigned)byte)
			: 1;
		line->is_full = size > sizeof(line->bytes) - line->size;
		if (line->is_full)
			break;
		memcpy(line->bytes + line->size, escaped, size);
		line->size += size;
	}
}

static int say(lua_State *L, int first, enum logline_level level)
{
	sandbox_charge(L, 1);
	const struct libraries_host *host = lua_touserdata(L, lua_upvalueindex(1));
	struct line line = { .size = 0 };
	int last = lua_gettop(L);
	for (int i = first; i <= last; i++) {
		struct slice text;
		text.data = luaL_tolstring(L, i, &text.size);
		if (i > first)
			line_add(&line, slice_text(" "));
		line_add(&line, text);
		lua_pop(L, 1);
	}
	sandbox_charge(L, LOG_CHARGE + line.size);
	host->say(host->context, level, slice_of(line.bytes, line.size));
	return 0;
}

/* log(...) itself: the table is its first argument. */
static int log_call(lua_State *L)
{
	return say(L, 2, LOGLINE_NOTICE);
}

static int log_warning(lua_State *L)
{
	return say(L, 1, LOGLINE_WARNING);
}

static int log_debug(lua_State *L)
{
	return say(L, 1, LOGLINE_DEBUG);
}

static void push_log(lua_State *L, const struct libraries_host *host)
{
	static const luaL_Reg functions[] = {
		{ "warning", log_warning },
		{ "debug", log_debug },
		{ NULL, NULL },
	};
	void *upvalue = (void *)(uintptr_t)host;
	lua_createtable(L, 0, 2);
	lua_pushlightuserdata(L, upvalue);
	luaL_setfuncs(L, functions, 1);
	sandbox_guard(L);
	lua_createtable(L, 0, 2);
	lua_pushlightuserdata(L, upvalue);
	lua_pushcclosure(L, log_call, 1);
	lua_setfield(L, -2, "__call");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
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
