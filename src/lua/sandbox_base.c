/*
 * sandbox_base: what a class finds as globals: Lua's own functions where they are harmless, others
 * of the same name where not, and fail().
 *
 * Every function looks at the budget when it is entered: those written here by sandbox_charge,
 * Lua's own through a closure that stands in front of each. Its frame is the closure's, so its
 * error messages stay as they are. Functions that Lua's own return, such as the iterators of pairs
 * and ipairs, are out of that reach, so those are written here.
 *
 * pcall and xpcall may be waited across (continuations). xpcall calls its handler after the stack
 * has been unwound, not before: Lua would run it with hooks off when the error is the hook's.
 *
 * Threads: a state belongs to one.
 */
#include "lua/pattern.h"
#include "lua/sandbox_private.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#define SETMETATABLE_CHARGE 60
#define WALK_CHARGE_BYTES   1024

/* Of string.format. */
#define CONVERSIONS_AT_ONCE 100
#define CONVERSION_CHARGE   5
#define PIECE_BYTES         65536

static int base_fail(lua_State *L);
static int base_ipairs(lua_State *L);
static int base_next(lua_State *L);
static int base_pairs(lua_State *L);
static int base_pcall(lua_State *L);
static int base_xpcall(lua_State *L);
static int base_getmetatable(lua_State *L);
static int base_setmetatable(lua_State *L);
static void open_math(lua_State *L);
static void open_utf8(lua_State *L);
static void open_string(lua_State *L);
static void keep(lua_State *L, int from, const char *const *names);
static void wrap(lua_State *L, const char *const *names, lua_CFunction wrapper);
static int utf8_codes(lua_State *L);
static int string_format(lua_State *L);
static int string_rep(lua_State *L);
static int charge_results(lua_State *L, int count);
static int call_charging_results(lua_State *L);
static int call_charging_argument(lua_State *L);

void sandbox_open_base(lua_State *L)
{
	static const char *const kept[] = { "assert", "error", "rawequal", "rawget", "rawlen",
		"rawset", "select", "tostring", "type", NULL };
	static const luaL_Reg own[] = {
		{ "fail", base_fail },
		{ "ipairs", base_ipairs },
		{ "next", base_next },
		{ "pairs", base_pairs },
		{ "pcall", base_pcall },
		{ "xpcall", base_xpcall },
		{ "getmetatable", base_getmetatable },
		{ "setmetatable", base_setmetatable },
		{ NULL, NULL },
	};
	static const char *const parsed[] = { "tonumber", NULL };
	luaL_requiref(L, "_G", luaopen_base, 0);
	lua_createtable(L, 0, 32);
	keep(L, -2, kept);
	sandbox_guard(L);
	keep(L, -2, parsed);
	wrap(L, parsed, call_charging_argument);
	luaL_setfuncs(L, own, 0);
	open_math(L);
	open_utf8(L);
	open_string(L);
	lua_createtable(L, 0, 8);
	sandbox_open_table(L);
	lua_setfield(L, -2, "table");
	/* Error messages take the names of functions from here. */
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, "_G");
	lua_getfield(L, -2, "string");
	lua_setfield(L, -2, "string");
	lua_getfield(L, -2, "table");
	lua_setfield(L, -2, "table");
	lua_pop(L, 1);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_pop(L, 1);
}

/* Each sets a global in the table on top of the stack. */

static void open_math(lua_State *L)
{
	luaL_requiref(L, "math", luaopen_math, 0);
	lua_pushnil(L);
	lua_setfield(L, -2, "randomseed");
	sandbox_guard(L);
	lua_setfield(L, -2, "math");
}

static void open_utf8(lua_State *L)
{
	static const char *const sized[] = { "char", "codepoint", NULL };
	static const char *const walked[] = { "len", "offset", NULL };
	static const char *const codes[] = { "codes", NULL };
	luaL_requiref(L, "utf8", luaopen_utf8, 0);
	wrap(L, sized, call_charging_results);
	wrap(L, walked, call_charging_argument);
	wrap(L, codes, utf8_codes);
	lua_setfield(L, -2, "utf8");
}

static void open_string(lua_State *L)
{
	static const char *const kept[] = { "byte", "char", "format", "len", "lower", "pack",
		"packsize", "reverse", "sub", "unpack", "upper", NULL };
	static const char *const formats[] = { "format", NULL };
	static const char *const sized[] = { "byte", "char", "len", "sub", NULL };
	static const char *const walked[] = { "lower", "pack", "packsize", "reverse", "unpack",
		"upper", NULL };
	luaL_requiref(L, "string", luaopen_string, 0);
	lua_createtable(L, 0, 24);
	keep(L, -2, kept);
	wrap(L, sized, call_charging_results);
	wrap(L, walked, call_charging_argument);
	wrap(L, formats, string_format);
	lua_pushcfunction(L, string_rep);
	lua_setfield(L, -2, "rep");
	pattern_open(L);
	/* Methods of strings are those of this table; their metatable is out of reach. */
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 2);
	lua_setfield(L, -3, "string");
	lua_pop(L, 1);
}

/* Copies fields into the table on top of the stack. */
static void keep(lua_State *L, int from, const char *const *names)
{
	from = lua_absindex(L, from);
	for (; *names; names++) {
		lua_getfield(L, from, *names);
		lua_setfield(L, -2, *names);
	}
}

/* Puts `wrapper` in front of functions of the table on top of the stack. */
static void wrap(lua_State *L, const char *const *names, lua_CFunction wrapper)
{
	for (; *names; names++) {
		lua_getfield(L, -1, *names);
		lua_pushcclosure(L, wrapper, 1);
		lua_setfield(L, -2, *names);
	}
}

static int base_fail(lua_State *L)
{
	sandbox_charge(L, 1);
	luaL_checktype(L, 1, LUA_TSTRING);
	luaL_checkstring(L, 2);
	lua_settop(L, 2);
	sandbox_raise(L);
}

/* --- going through tables --------------------------------------------------------------------- */

static int base_next(lua_State *L)
{
	sandbox_charge(L, 1);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	if (lua_next(L, 1))
		return 2;
	lua_pushnil(L);
	return 1;
}

static int finish_pairs(lua_State *L, int status, lua_KContext context)
{
	return 3;
}

static int base_pairs(lua_State *L)
{
	sandbox_charge(L, 1);
	luaL_checkany(L, 1);
	if (luaL_getmetafield(L, 1, "__pairs") == LUA_TNIL) {
		lua_pushcfunction(L, base_next);
		lua_pushvalue(L, 1);
		lua_pushnil(L);
		return 3;
	}
	lua_pushvalue(L, 1);
	lua_callk(L, 1, 3, 0, finish_pairs);
	return 3;
}

static int ipairs_next(lua_State *L)
{
	sandbox_charge(L, 1);
	lua_Integer at = (lua_Integer)((lua_Unsigned)luaL_checkinteger(L, 2) + 1);
	lua_pushinteger(L, at);
	return lua_geti(L, 1, at) == LUA_TNIL ? 1 : 2;
}

static int base_ipairs(lua_State *L)
{
	sandbox_charge(L, 1);
	luaL_checkany(L, 1);
	lua_pushcfunction(L, ipairs_next);
	lua_pushvalue(L, 1);
	lua_pushinteger(L, 0);
	return 3;
}

/* --- protected calls -------------------------------------------------------------------------- */

/* The stack: true, and the results; or with an error at least that. */
static int finish_pcall(lua_State *L, int status, lua_KContext below)
{
	sandbox_go_on(L);
	if (status == LUA_OK || status == LUA_YIELD)
		return lua_gettop(L) - (int)below;
	lua_pushboolean(L, false);
	lua_insert(L, -2);
	return 2;
}

static int base_pcall(lua_State *L)
{
	sandbox_charge(L, 1);
	luaL_checkany(L, 1);
	sandbox_check_depth(L);
	lua_pushboolean(L, true);
	lua_insert(L, 1);
	int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall);
	return finish_pcall(L, status, 0);
}

static int finish_handler(lua_State *L, int status, lua_KContext context)
{
	sandbox_go_on(L);
	lua_pushboolean(L, false);
	lua_insert(L, -2);
	return 2;
}

/* The stack: the function, the handler, true, and the results; or with an error at least the first
 * two and that. */
static int finish_xpcall(lua_State *L, int status, lua_KContext below)
{
	if (status == LUA_OK || status == LUA_YIELD)
		return finish_pcall(L, status, below);
	sandbox_go_on(L);
	lua_pushvalue(L, 2);
	lua_insert(L, -2);
	status = lua_pcallk(L, 1, 1, 0, 0, finish_handler);
	return finish_handler(L, status, 0);
}

static int base_xpcall(lua_State *L)
{
	int arguments = lua_gettop(L) - 2;
	sandbox_charge(L, 1);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	sandbox_check_depth(L);
	lua_pushboolean(L, true);
	lua_pushvalue(L, 1);
	lua_rotate(L, 3, 2);
	int status = lua_pcallk(L, arguments, LUA_MULTRET, 0, 2, finish_xpcall);
	return finish_xpcall(L, status, 2);
}

/* --- metatables ------------------------------------------------------------------------------- */

static int base_getmetatable(lua_State *L)
{
	sandbox_charge(L, 1);
	luaL_checkany(L, 1);
	sandbox_push_metatable(L, 1);
	return 1;
}

static int base_setmetatable(lua_State *L)
{
	int type = lua_type(L, 2);
	sandbox_charge(L, SETMETATABLE_CHARGE);
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
	if (sandbox_push_metatable(L, 1))
		return luaL_error(L, "cannot change a protected metatable");
	lua_settop(L, 2);
	if (type == LUA_TNIL)
		lua_setmetatable(L, 1);
	else
		sandbox_set_metatable(L, 1);
	return 1;
}

/* --- strings ---------------------------------------------------------------------------------- */

/* Lua's own copies piece by piece, `count` times even when there is nothing to copy. */
static int string_rep(lua_State *L)
{
	size_t size, separator_size;
	sandbox_charge(L, 1);
	const char *text = luaL_checklstring(L, 1, &size);
	lua_Integer count = luaL_checkinteger(L, 2);
	const char *separator = luaL_optlstring(L, 3, "", &separator_size);
	size_t piece = size + separator_size;
	if (count <= 0 || piece == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	if (piece > sandbox_memory_max(sandbox_of(L)) / (size_t)count)
		return luaL_error(L, "resulting string too large");
	size_t total = piece * (size_t)count - separator_size;
	sandbox_charge(L, total / SANDBOX_CHARGE_BYTES);
	luaL_Buffer buffer;
	char *out = luaL_buffinitsize(L, &buffer, total);
	memcpy(out, text, size);
	size_t done = size;
	if (done < total) {
		memcpy(out + done, separator, separator_size);
		done = piece;
	}
	while (done < total) {
		size_t more = done < total - done ? done : total - done;
		memcpy(out + done, out, more);
		done += more;
	}
	luaL_pushresultsize(&buffer, total);
	return 1;
}

/* The end of a piece of the format, which has at most so many conversions; their number. */
static const char *take_conversions(const char *at, const char *end, int *conversions)
{
	const char *start = at;
	int count = 0;
	while (at < end && (at = memchr(at, '%', (size_t)(end - at))) != NULL) {
		bool stands_for_itself = at + 1 < end && at[1] == '%';
		if (at - start > PIECE_BYTES ||
			(!stands_for_itself && count == CONVERSIONS_AT_ONCE))
			break;
		at += stands_for_itself ? 2 : 1;
		count += !stands_for_itself;
	}
	*conversions = count;
	return at ? at : end;
}

/* Before the next conversions, whose arguments are on the stack from `first` on. */
static void charge_arguments(lua_State *L, int first, int count)
{
	uint64_t charge = 1 + (uint64_t)count * CONVERSION_CHARGE;
	for (int i = first; i < first + count; i++) {
		if (lua_type(L, i) == LUA_TSTRING)
			charge += lua_rawlen(L, i) / WALK_CHARGE_BYTES;
	}
	sandbox_charge(L, charge);
}

/* Lua's own for a few conversions at a time. One may take microseconds, and that in the C library,
 * where nothing can be cut off. */
static int string_format(lua_State *L)
{
	size_t size;
	int given = lua_gettop(L), done = 1, conversions;
	sandbox_charge(L, 1);
	const char *at = luaL_checklstring(L, 1, &size), *end = at + size;
	const char *next = take_conversions(at, end, &conversions);
	if (next == end) {
		charge_arguments(L, 1, conversions + 1);
		return charge_results(L, lua_tocfunction(L, lua_upvalueindex(1))(L));
	}
	luaL_Buffer text;
	luaL_checkstack(L, CONVERSIONS_AT_ONCE + 4, NULL);
	luaL_buffinit(L, &text);
	while (at < end) {
		next = take_conversions(at, end, &conversions);
		charge_arguments(L, done + 1, conversions);
		lua_pushvalue(L, lua_upvalueindex(1));
		lua_pushlstring(L, at, (size_t)(next - at));
		int count = 0;
		while (count < conversions && done < given) {
			lua_pushvalue(L, ++done);
			count++;
		}
		lua_call(L, 1 + count, 1);
		luaL_addvalue(&text);
		at = next;
	}
	luaL_pushresult(&text);
	return charge_results(L, 1);
}

static int charge_results(lua_State *L, int count)
{
	uint64_t charge = (uint64_t)count;
	for (int i = 1; i <= count; i++) {
		if (lua_type(L, -i) == LUA_TSTRING)
			charge += lua_rawlen(L, -i) / SANDBOX_CHARGE_BYTES;
	}
	sandbox_charge(L, charge);
	return count;
}

static int call_charging_results(lua_State *L)
{
	sandbox_charge(L, 1);
	return charge_results(L, lua_tocfunction(L, lua_upvalueindex(1))(L));
}

/* For those that go through their first argument. How far is not known, so this is little: just
 * that the clock is looked at in time. */
static int call_charging_argument(lua_State *L)
{
	if (lua_type(L, 1) == LUA_TSTRING)
		sandbox_charge(L, lua_rawlen(L, 1) / WALK_CHARGE_BYTES);
	return call_charging_results(L);
}

/* The iterator that it returns gets its look at the budget too. */
static int utf8_codes(lua_State *L)
{
	int count = call_charging_argument(L);
	lua_createtable(L, 1, 0);
	lua_pushvalue(L, -1 - count);
	lua_rawseti(L, -2, 1);
	sandbox_guard(L);
	lua_rawgeti(L, -1, 1);
	lua_replace(L, -2 - count);
	lua_pop(L, 1);
	return count;
}
