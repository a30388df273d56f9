/*
 * sandbox_value: errors and metatables.
 *
 * A value never gets the table that a class hands to setmetatable but a copy of its metamethods,
 * which no class can reach: see sandbox_set_metatable. So what a class adds to its table
 * afterwards, such as a finalizer, is never there for Lua.
 *
 * An error of fail() is a table with a metatable of its own, by which it is known. What it says is
 * read without calling anything of the class.
 */
#include "lua/sandbox_private.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a metatable may hold. */
static const char *const metamethods[] = { "__index", "__newindex", "__call", "__tostring",
	"__name", "__metatable", "__mode", "__close", "__pairs", "__len", "__eq", "__lt", "__le",
	"__concat", "__unm", "__add", "__sub", "__mul", "__div", "__mod", "__pow", "__idiv",
	"__band", "__bor", "__bxor", "__bnot", "__shl", "__shr" };

#define METAMETHOD_COUNT ((int)(sizeof(metamethods) / sizeof(metamethods[0])))

/* Keys of the registry. */
static const char failure_key, code_key, message_key, names_key, views_key;
/* Keys of a metatable: the class's own that it was copied from, and which metamethods it has. */
static const char origin_key, held_key;

static int failure_to_string(lua_State *L);
static void push_view(lua_State *L, int origin);
static void check_metamethods(lua_State *L, int metatable);
static bool is_code(struct slice text);
static struct slice raw_text(lua_State *L, int index, const void *name_key);
static void put_text(char *out, size_t size, struct slice text);

void sandbox_open_values(lua_State *L)
{
	lua_pushliteral(L, "code");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &code_key);
	lua_pushliteral(L, "message");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &message_key);
	lua_createtable(L, 0, 2);
	lua_pushcfunction(L, failure_to_string);
	lua_setfield(L, -2, "__tostring");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &failure_key);
	lua_createtable(L, 0, 0);
	lua_createtable(L, 0, 1);
	lua_pushliteral(L, "kv");
	lua_setfield(L, -2, "__mode");
	lua_setmetatable(L, -2);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &views_key);
	lua_createtable(L, METAMETHOD_COUNT, 0);
	for (int i = 0; i < METAMETHOD_COUNT; i++) {
		lua_pushstring(L, metamethods[i]);
		lua_rawseti(L, -2, i + 1);
	}
	lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
}

/* --- errors ----------------------------------------------------------------------------------- */

void sandbox_raise(lua_State *L)
{
	size_t size;
	const char *code = lua_tolstring(L, -2, &size);
	if (code == NULL || !is_code(slice_of(code, size)))
		luaL_error(
			L, "a code is 1 to %d upper-case letters and digits", SANDBOX_CODE_BYTES);
	lua_createtable(L, 0, 2);
	lua_insert(L, -3);
	lua_setfield(L, -3, "message");
	lua_setfield(L, -2, "code");
	lua_rawgetp(L, LUA_REGISTRYINDEX, &failure_key);
	lua_setmetatable(L, -2);
	lua_error(L);
	abort();
}

bool sandbox_take_error(lua_State *from, char *out, size_t size)
{
	/* A thread that ended for lack of stack has none left, so the value goes to the main one.
	 */
	lua_State *L = sandbox_of(from)->main;
	bool is_failure = false;
	if (!lua_checkstack(L, 6)) {
		lua_pop(from, 1);
		put_text(out, size, slice_text("not enough memory"));
		return false;
	}
	if (from != L)
		lua_xmove(from, L, 1);
	int value = lua_gettop(L);
	if (lua_type(L, value) == LUA_TSTRING) {
		struct slice text;
		text.data = lua_tolstring(L, value, &text.size);
		put_text(out, size, text);
	} else if (lua_isinteger(L, value)) {
		snprintf(out, size, LUA_INTEGER_FMT, lua_tointeger(L, value));
	} else if (lua_type(L, value) == LUA_TNUMBER) {
		snprintf(out, size, LUA_NUMBER_FMT, lua_tonumber(L, value));
	} else if (lua_touserdata(L, value) == &sandbox_exhausted_error) {
		put_text(out, size, slice_text("ran too long"));
	} else {
		snprintf(out, size, "error of type %s", luaL_typename(L, value));
		lua_rawgetp(L, LUA_REGISTRYINDEX, &failure_key);
		if (lua_getmetatable(L, value) && lua_rawequal(L, -1, -2)) {
			struct slice code = raw_text(L, value, &code_key);
			struct slice message = raw_text(L, value, &message_key);
			is_failure = is_code(code) && message.data;
			if (is_failure && size) {
				int used = snprintf(out, size, "%.*s ", (int)code.size, code.data);
				if ((size_t)used < size)
					put_text(out + used, size - (size_t)used, message);
			}
		}
	}
	lua_settop(L, value - 1);
	return is_failure;
}

static int failure_to_string(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	struct slice code = raw_text(L, 1, &code_key);
	struct slice message = raw_text(L, 1, &message_key);
	luaL_Buffer text;
	luaL_buffinit(L, &text);
	luaL_addlstring(&text, code.data, code.size);
	luaL_addchar(&text, ' ');
	luaL_addlstring(&text, message.data, message.size);
	luaL_pushresult(&text);
	return 1;
}

static bool is_code(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
			return false;
	}
	return text.size >= 1 && text.size <= SANDBOX_CODE_BYTES;
}

/* A field that is a string, whose name is kept in the registry so that nothing is allocated;
 * otherwise empty, with data NULL. The table keeps it alive. */
static struct slice raw_text(lua_State *L, int index, const void *name_key)
{
	struct slice text = { NULL, 0 };
	lua_rawgetp(L, LUA_REGISTRYINDEX, name_key);
	if (lua_rawget(L, index) == LUA_TSTRING)
		text.data = lua_tolstring(L, -1, &text.size);
	lua_pop(L, 1);
	return text;
}

/* As much as there is room for, as a C string. */
static void put_text(char *out, size_t size, struct slice text)
{
	if (size == 0)
		return;
	size_t used = text.size < size ? text.size : size - 1;
	memcpy(out, text.data, used);
	out[used] = '\0';
}

/* --- metatables ------------------------------------------------------------------------------- */

void sandbox_set_metatable(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	int origin = lua_gettop(L), names = origin + 1, view = origin + 2;
	luaL_checkstack(L, 6, NULL);
	check_metamethods(L, origin);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
	push_view(L, origin);
	lua_rawgetp(L, view, &held_key);
	lua_Integer held_before = lua_tointeger(L, -1), held = 0;
	lua_pop(L, 1);
	for (int i = 0; i < METAMETHOD_COUNT; i++) {
		lua_rawgeti(L, names, i + 1);
		lua_pushvalue(L, -1);
		lua_Integer bit = (lua_Integer)1 << i;
		if (lua_rawget(L, origin) != LUA_TNIL)
			held |= bit;
		if ((held | held_before) & bit)
			lua_rawset(L, view);
		else
			lua_pop(L, 2);
	}
	if (held != held_before) {
		lua_pushinteger(L, held);
		lua_rawsetp(L, view, &held_key);
	}
	lua_setmetatable(L, index);
	lua_settop(L, origin - 1);
}

bool sandbox_push_metatable(lua_State *L, int index)
{
	if (!lua_getmetatable(L, index)) {
		lua_pushnil(L);
		return false;
	}
	lua_pushliteral(L, "__metatable");
	if (lua_rawget(L, -2) != LUA_TNIL) {
		lua_remove(L, -2);
		return true;
	}
	bool is_own = lua_rawgetp(L, -2, &origin_key) == LUA_TTABLE;
	lua_replace(L, -3);
	lua_pop(L, 1);
	return !is_own;
}

/* The copy of a metatable that values get; a new one is empty. */
static void push_view(lua_State *L, int origin)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &views_key);
	lua_pushvalue(L, origin);
	if (lua_rawget(L, -2) != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_createtable(L, 0, 4);
		lua_pushvalue(L, origin);
		lua_rawsetp(L, -2, &origin_key);
		lua_pushvalue(L, origin);
		lua_pushvalue(L, -2);
		lua_rawset(L, -4);
	}
	lua_remove(L, -2);
}

/* What would run with hooks off, or take long where no hook reaches: finalizers; tables with weak
 * keys, which the collector goes through again and again; a value called in place of another, in
 * turn called in place of another, endlessly within one instruction. */
static void check_metamethods(lua_State *L, int metatable)
{
	lua_pushliteral(L, "__gc");
	if (lua_rawget(L, metatable) != LUA_TNIL)
		luaL_error(L, "a metatable with __gc is not allowed");
	lua_pushliteral(L, "__mode");
	if (lua_rawget(L, metatable) == LUA_TSTRING) {
		const char *mode = lua_tostring(L, -1);
		if (strchr(mode, 'k') && !strchr(mode, 'v'))
			luaL_error(L, "a table with weak keys only is not allowed");
	}
	lua_pushliteral(L, "__call");
	int type = lua_rawget(L, metatable);
	if (type != LUA_TNIL && type != LUA_TFUNCTION)
		luaL_error(L, "__call must be a function");
	lua_pop(L, 3);
}
