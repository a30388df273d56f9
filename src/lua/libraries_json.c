/*
 * libraries_json: json.encode and json.decode, by way of packed bytes: what can be stored can be
 * written as JSON, and what JSON says becomes what a stored value would be (object/packed.h).
 *
 *   encode: Lua value -> packed -> JSON         decode: JSON -> packed -> Lua value
 *
 * null is read as json.null, the light userdata NULL, so that nothing is lost: an array keeps its
 * length, an object its fields. Objects are marked as such (lua_value_mark_object), so that an
 * empty one does not become an array. decode's options: null = "nil" reads null as nil (a field is
 * absent, an item leaves a hole while those behind it keep their places), big_numbers = "text"
 * numbers as strings that a Lua number cannot hold. A text may be as long as LIMIT_JSON_BYTES, read
 * or written.
 *
 * The bytes in between stand in buffers that Lua knows nothing of, so the work is done in a
 * protected call, and they are freed whatever it ended in. An error then gets the place in the
 * class's source that it would have had without that call.
 *
 * Threads: that of the Lua state.
 */
#include "lua/libraries_private.h"

#include "base/buffer.h"
#include "holdfast/limits.h"
#include "lua/lua_keys.h"
#include "lua/lua_options.h"
#include "lua/lua_value.h"
#include "lua/sandbox.h"
#include "object/packed.h"

#include <lauxlib.h>

#define DECODE_CHARGE_BYTES 4 /* parsing allocates, other than copying */

static int json_encode(lua_State *L);
static int json_decode(lua_State *L);
static int json_object(lua_State *L);

/* Made as if by a class, so that a class may give such a table a metatable of its own. */
static void make_object_mark(lua_State *L)
{
	lua_createtable(L, 0, 0);
	lua_createtable(L, 0, 0);
	sandbox_set_metatable(L, -2);
	lua_getmetatable(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, LUA_KEY_JSON_OBJECT);
	lua_pop(L, 1);
}

void libraries_push_json(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "encode", json_encode },
		{ "decode", json_decode },
		{ "object", json_object },
		{ NULL, NULL },
	};
	make_object_mark(L);
	luaL_newlib(L, functions);
	sandbox_guard(L);
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
}

struct conversion {
	struct packed_json_options options;
	struct buffer packed;
	struct buffer text;
};

/* `work` gets argument 1 and a light userdata of a struct conversion. */
static int convert(lua_State *L, lua_CFunction work, struct packed_json_options options)
{
	struct conversion conversion = { .options = options };
	luaL_checkstack(L, 8, "json");
	lua_settop(L, 1);
	buffer_init(&conversion.packed);
	buffer_init(&conversion.text);
	lua_pushcfunction(L, work);
	lua_insert(L, 1);
	lua_pushlightuserdata(L, &conversion);
	sandbox_hold(L);
	int status = lua_pcall(L, 2, 1, 0);
	sandbox_release(L);
	buffer_fini(&conversion.packed);
	buffer_fini(&conversion.text);
	if (status == LUA_OK)
		return 1;
	if (status == LUA_ERRRUN && lua_type(L, -1) == LUA_TSTRING) {
		luaL_where(L, 1);
		lua_insert(L, -2);
		lua_concat(L, 2);
	}
	return lua_error(L);
}

static bool go_on(void *context, uint64_t units)
{
	return sandbox_charge_on(context, units);
}

static int encode(lua_State *L)
{
	struct conversion *conversion = lua_touserdata(L, 2);
	struct packed_pace pace = { go_on, L, LIMIT_JSON_BYTES };
	lua_value_pack(L, 1, &conversion->packed, LIMIT_JSON_BYTES);
	packed_to_json_paced(buffer_slice(&conversion->packed), &conversion->text, &pace);
	sandbox_charge(L, 1);
	if (conversion->text.size > LIMIT_JSON_BYTES)
		return luaL_error(L, "json.encode: longer than %d bytes", (int)LIMIT_JSON_BYTES);
	sandbox_charge(L, conversion->text.size / LIBRARIES_CHARGE_BYTES);
	lua_pushlstring(L, conversion->text.data, conversion->text.size);
	return 1;
}

static int json_encode(lua_State *L)
{
	luaL_checkany(L, 1);
	return convert(L, encode, (struct packed_json_options){ 0 });
}

static int decode(lua_State *L)
{
	struct conversion *conversion = lua_touserdata(L, 2);
	struct slice text;
	char error[256];
	text.data = lua_tolstring(L, 1, &text.size);
	if (text.size <= LIMIT_JSON_BYTES)
		sandbox_charge(L, text.size / DECODE_CHARGE_BYTES);
	if (packed_from_json(
		    text, &conversion->options, &conversion->packed, error, sizeof(error)) < 0)
		return luaL_error(L, "json.decode: %s", error);
	lua_value_push(L, buffer_slice(&conversion->packed));
	return 1;
}

/* An option that has one value: whether it is given. */
static bool has_option(lua_State *L, const char *name, const char *value)
{
	if (lua_getfield(L, 2, name) == LUA_TNIL) {
		lua_pop(L, 1);
		return false;
	}
	if (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), value) != 0)
		luaL_error(L, "json.decode: %s is \"%s\" or left out", name, value);
	lua_pop(L, 1);
	return true;
}

static struct packed_json_options read_options(lua_State *L)
{
	struct packed_json_options options = { 0 };
	if (lua_isnoneornil(L, 2))
		return options;
	static const char *const names[] = { "null", "big_numbers", NULL };
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_options_check(L, 2, "json.decode", names);
	options.null_as_nil = has_option(L, "null", "nil");
	options.big_numbers_as_text = has_option(L, "big_numbers", "text");
	return options;
}

/* json.decode(text, {null = "nil", big_numbers = "text"}) */
static int json_decode(lua_State *L)
{
	luaL_checkstring(L, 1);
	return convert(L, decode, read_options(L));
}

/* json.object([table]): the table, a new one without one, is an object also when it is empty. */
static int json_object(lua_State *L)
{
	lua_settop(L, 1);
	if (lua_isnil(L, 1))
		lua_createtable(L, 0, 0);
	luaL_checktype(L, -1, LUA_TTABLE);
	if (lua_getmetatable(L, -1)) {
		lua_rawgetp(L, LUA_REGISTRYINDEX, LUA_KEY_JSON_OBJECT);
		if (!lua_rawequal(L, -1, -2))
			return luaL_error(L, "json.object: the table has a metatable");
		lua_pop(L, 2);
	}
	lua_value_mark_object(L, -1);
	return 1;
}
