/*
 * libraries_log: log(...), log.warning(...), log.debug(...): a line of the server's log. Tables are
 * written with what is in them, as far as there is room in the line; a value with a __tostring of
 * its own is what that says.
 *
 *   log("sold", {name = "pear", prices = {1, 2}})  ->  sold {name = "pear", prices = {1, 2}}
 *
 * Errors leave by longjmp; the line is on the C stack.
 *
 * Threads: that of the Lua state.
 */
#include "lua/libraries_private.h"

#include "base/logline.h"
#include "holdfast/limits.h"
#include "lua/sandbox.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>

#define LOG_CHARGE 500 /* a line is written, and may be, to a disk: a loop of them must end */
#define DEPTH_MAX  8   /* tables within tables */

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

/* As Lua would write it. */
static void show_quoted(struct line *line, struct slice text)
{
	line_add(line, slice_text("\""));
	while (text.size > 0 && !line->is_full) {
		size_t plain = 0;
		while (plain < text.size && text.data[plain] != '"' && text.data[plain] != '\\')
			plain++;
		line_add(line, slice_of(text.data, plain));
		if (plain < text.size) {
			line_add(line, slice_text("\\"));
			line_add(line, slice_of(text.data + plain, 1));
			plain++;
		}
		text = slice_of(text.data + plain, text.size - plain);
	}
	line_add(line, slice_text("\""));
}

static void show(lua_State *L, int index, struct line *line, unsigned depth);

/* `name = `, or `[key] = ` for what is no plain word. */
static void show_key(lua_State *L, int index, struct line *line)
{
	struct slice text = { NULL, 0 };
	bool is_word = lua_type(L, index) == LUA_TSTRING;
	if (is_word)
		text.data = lua_tolstring(L, index, &text.size);
	is_word = is_word && text.size > 0 && !isdigit((unsigned char)text.data[0]);
	for (size_t i = 0; is_word && i < text.size; i++)
		is_word = isalnum((unsigned char)text.data[i]) || text.data[i] == '_';
	if (is_word) {
		line_add(line, text);
	} else {
		line_add(line, slice_text("["));
		show(L, index, line, 1);
		line_add(line, slice_text("]"));
	}
	line_add(line, slice_text(" = "));
}

/* What lies before the first nil, then the rest in no order. It ends when the line is full, so a
 * table may be of any size, and contain itself. */
static void show_table(lua_State *L, int index, struct line *line, unsigned depth)
{
	const char *between = "";
	lua_Integer items = 0;
	luaL_checkstack(L, 6, "a table is nested too deep for the log");
	line_add(line, slice_text("{"));
	while (!line->is_full && lua_rawgeti(L, index, items + 1) != LUA_TNIL) {
		line_add(line, slice_text(between));
		show(L, lua_gettop(L), line, depth + 1);
		lua_pop(L, 1);
		between = ", ";
		items++;
	}
	if (!line->is_full)
		lua_pop(L, 1);
	lua_pushnil(L);
	while (!line->is_full && lua_next(L, index)) {
		int key = lua_gettop(L) - 1;
		bool is_item = lua_isinteger(L, key) && lua_tointeger(L, key) >= 1 &&
			lua_tointeger(L, key) <= items;
		sandbox_charge(L, 1);
		if (!is_item) {
			line_add(line, slice_text(between));
			show_key(L, key, line);
			show(L, key + 1, line, depth + 1);
			between = ", ";
		}
		lua_settop(L, key);
	}
	line_add(line, slice_text("}"));
}

/* The stack is as before, but for what is left of a table when the line is full. */
static void show(lua_State *L, int index, struct line *line, unsigned depth)
{
	int type = lua_type(L, index);
	bool has_text = luaL_getmetafield(L, index, "__tostring") != LUA_TNIL;
	if (has_text)
		lua_pop(L, 1);
	sandbox_charge(L, 1);
	if (type == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL) {
		line_add(line, slice_text("null"));
	} else if (type == LUA_TTABLE && !has_text) {
		if (depth < DEPTH_MAX)
			show_table(L, index, line, depth);
		else
			line_add(line, slice_text("{...}"));
	} else {
		struct slice text;
		text.data = luaL_tolstring(L, index, &text.size);
		if (type == LUA_TSTRING && depth > 0)
			show_quoted(line, text);
		else
			line_add(line, text);
		lua_pop(L, 1);
	}
}

static int say(lua_State *L, int first, enum logline_level level)
{
	sandbox_charge(L, 1);
	const struct libraries_host *host = lua_touserdata(L, lua_upvalueindex(1));
	struct line line = { .size = 0 };
	int last = lua_gettop(L);
	for (int i = first; i <= last; i++) {
		if (i > first)
			line_add(&line, slice_text(" "));
		show(L, i, &line, 0);
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

void libraries_push_log(lua_State *L, const struct libraries_host *host)
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
