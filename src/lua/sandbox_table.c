/*
 * sandbox_table: the library `table`. Lua's own loops as long as a table says it is (__len), and
 * with functions written in C for metamethods no hook ever comes; these charge for each step.
 * Otherwise they do what Lua's do, metamethods included, but that sort is stable, takes any order
 * function without complaint, and leaves the table as it was when that raises an error.
 *
 * Sorting merges runs of doubling width to and fro between two tables that no code of the class
 * sees.
 *
 * Threads: a state belongs to one.
 */
#include "lua/sandbox_private.h"

#include <lauxlib.h>
#include <limits.h>

#define COMPARE_CHARGE 2

static int table_concat(lua_State *L);
static int table_insert(lua_State *L);
static int table_move(lua_State *L);
static int table_pack(lua_State *L);
static int table_remove(lua_State *L);
static int table_sort(lua_State *L);
static int table_unpack(lua_State *L);
static void copy(lua_State *L, lua_Integer from, int to_table, lua_Integer to);
static void merge(lua_State *L, int source, int target, lua_Integer start, lua_Integer middle,
	lua_Integer end);
static bool is_less(lua_State *L, int left, int right);

void sandbox_open_table(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "concat", table_concat },
		{ "insert", table_insert },
		{ "move", table_move },
		{ "pack", table_pack },
		{ "remove", table_remove },
		{ "sort", table_sort },
		{ "unpack", table_unpack },
		{ NULL, NULL },
	};
	luaL_setfuncs(L, functions, 0);
}

static int table_concat(lua_State *L)
{
	size_t separator_size;
	sandbox_charge(L, 1);
	luaL_checktype(L, 1, LUA_TTABLE);
	const char *separator = luaL_optlstring(L, 2, "", &separator_size);
	lua_Integer at = luaL_optinteger(L, 3, 1);
	lua_Integer last = lua_isnoneornil(L, 4) ? luaL_len(L, 1) : luaL_checkinteger(L, 4);
	luaL_Buffer text;
	luaL_buffinit(L, &text);
	for (bool more = at <= last; more; at++) {
		lua_geti(L, 1, at);
		if (!lua_isstring(L, -1))
			return luaL_error(L, "invalid value (%s) at index %I in table for 'concat'",
				luaL_typename(L, -1), (LUAI_UACINT)at);
		sandbox_charge(L, 1 + lua_rawlen(L, -1) / SANDBOX_CHARGE_BYTES);
		luaL_addvalue(&text);
		more = at < last;
		if (more)
			luaL_addlstring(&text, separator, separator_size);
	}
	luaL_pushresult(&text);
	return 1;
}

static int table_insert(lua_State *L)
{
	sandbox_charge(L, 1);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_Integer end = (lua_Integer)((lua_Unsigned)luaL_len(L, 1) + 1);
	lua_Integer position = end;
	int given = lua_gettop(L);
	if (given == 3) {
		position = luaL_checkinteger(L, 2);
		luaL_argcheck(L, (lua_Unsigned)position - 1u < (lua_Unsigned)end, 2,
			"position out of bounds");
	} else if (given != 2) {
		return luaL_error(L, "wrong number of arguments to 'insert'");
	}
	for (lua_Integer i = end; i > position; i--)
		copy(L, i - 1, 1, i);
	lua_seti(L, 1, position);
	return 0;
}

static int table_move(lua_State *L)
{
	sandbox_charge(L, 1);
	lua_Integer first = luaL_checkinteger(L, 2);
	lua_Integer last = luaL_checkinteger(L, 3);
	lua_Integer to = luaL_checkinteger(L, 4);
	int to_table = lua_isnoneornil(L, 5) ? 1 : 5;
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checktype(L, to_table, LUA_TTABLE);
	if (last >= first) {
		luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3,
			"too many elements to move");
		lua_Integer count = last - first + 1;
		luaL_argcheck(L, to <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
		bool upwards = to > last || to <= first || !lua_rawequal(L, 1, to_table);
		for (lua_Integer i = 0; i < count; i++) {
			lua_Integer offset = upwards ? i : count - 1 - i;
			copy(L, first + offset, to_table, to + offset);
		}
	}
	lua_pushvalue(L, to_table);
	return 1;
}

static int table_pack(lua_State *L)
{
	int count = lua_gettop(L);
	sandbox_charge(L, 1 + (uint64_t)count);
	lua_createtable(L, count, 1);
	lua_insert(L, 1);
	for (int i = count; i >= 1; i--)
		lua_seti(L, 1, i);
	lua_pushinteger(L, count);
	lua_setfield(L, 1, "n");
	return 1;
}

static int table_remove(lua_State *L)
{
	sandbox_charge(L, 1);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_Integer size = luaL_len(L, 1);
	lua_Integer position = luaL_optinteger(L, 2, size);
	if (lua_gettop(L) > 1)
		luaL_argcheck(L,
			position == size || (lua_Unsigned)position - 1u <= (lua_Unsigned)size, 2,
			"position out of bounds");
	lua_geti(L, 1, position);
	for (; position < size; position++)
		copy(L, position + 1, 1, position);
	lua_pushnil(L);
	lua_seti(L, 1, position);
	return 1;
}

static int table_unpack(lua_State *L)
{
	sandbox_charge(L, 1);
	lua_Integer first = luaL_optinteger(L, 2, 1);
	lua_Integer last = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3);
	if (first > last)
		return 0;
	lua_Unsigned more = (lua_Unsigned)last - (lua_Unsigned)first;
	if (more >= INT_MAX)
		return luaL_error(L, "too many results to unpack");
	sandbox_charge(L, more / SANDBOX_CHARGE_BYTES);
	if (!lua_checkstack(L, (int)more + 1))
		return luaL_error(L, "too many results to unpack");
	for (lua_Integer i = first; i < last; i++) {
		sandbox_charge(L, 1);
		lua_geti(L, 1, i);
	}
	lua_geti(L, 1, last);
	return (int)more + 1;
}

/* to_table[to] = table[from], of the first argument. */
static void copy(lua_State *L, lua_Integer from, int to_table, lua_Integer to)
{
	sandbox_charge(L, 1);
	lua_geti(L, 1, from);
	lua_seti(L, to_table, to);
}

/* --- sort ------------------------------------------------------------------------------------- */

/* The stack: the table, the order function or nil, the two tables of runs. */
static int table_sort(lua_State *L)
{
	sandbox_charge(L, 1);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_Integer count = luaL_len(L, 1);
	if (count < 2)
		return 0;
	luaL_argcheck(L, count < INT_MAX, 1, "array too big");
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	int slots = (int)lua_rawlen(L, 1) < (int)count ? (int)lua_rawlen(L, 1) : (int)count;
	sandbox_charge(L, (uint64_t)slots);
	lua_createtable(L, slots, 0);
	lua_createtable(L, slots, 0);
	int source = 3, target = 4;
	for (lua_Integer i = 1; i <= count; i++) {
		sandbox_charge(L, 1);
		lua_geti(L, 1, i);
		lua_rawseti(L, source, i);
	}
	for (lua_Integer width = 1; width < count; width *= 2) {
		for (lua_Integer start = 1; start <= count; start += 2 * width) {
			lua_Integer middle = start + width, end = middle + width;
			merge(L, source, target, start, middle, end <= count ? end : count + 1);
		}
		source = target;
		target = 7 - source;
	}
	for (lua_Integer i = 1; i <= count; i++) {
		sandbox_charge(L, 1);
		lua_rawgeti(L, source, i);
		lua_seti(L, 1, i);
	}
	return 0;
}

/* Runs [start, middle) and [middle, end) of `source` become one of `target`. The heads of the runs
 * are on the stack meanwhile. */
static void merge(lua_State *L, int source, int target, lua_Integer start, lua_Integer middle,
	lua_Integer end)
{
	lua_Integer left = start, right = middle, out = start;
	if (right < end) {
		lua_rawgeti(L, source, left);
		lua_rawgeti(L, source, right);
	}
	while (left < middle && right < end) {
		if (is_less(L, 6, 5)) {
			lua_rawseti(L, target, out++);
			if (++right < end)
				lua_rawgeti(L, source, right);
		} else {
			lua_pushvalue(L, 5);
			lua_rawseti(L, target, out++);
			if (++left < middle) {
				lua_rawgeti(L, source, left);
				lua_replace(L, 5);
			}
		}
	}
	lua_settop(L, 4);
	lua_Integer rest = left < middle ? left : right;
	for (; out < end; out++, rest++) {
		sandbox_charge(L, 1);
		lua_rawgeti(L, source, rest);
		lua_rawseti(L, target, out);
	}
}

static bool is_less(lua_State *L, int left, int right)
{
	uint64_t charge = COMPARE_CHARGE;
	if (lua_isnil(L, 2)) {
		if (lua_type(L, left) == LUA_TSTRING)
			charge += lua_rawlen(L, left) / SANDBOX_CHARGE_BYTES;
		sandbox_charge(L, charge);
		return lua_compare(L, left, right, LUA_OPLT);
	}
	sandbox_charge(L, charge);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, left);
	lua_pushvalue(L, right);
	lua_call(L, 2, 1);
	bool less = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return less;
}
