/*
 * libraries_json: json.encode and json.decode, by way of packed bytes: what can be stored can be
 * written as JSON, and what JSON says becomes what a stored value would be (object/packed.h).
 *
 *   encode: Lua value -> packed -> JSON         decode: JSON -> packed -> Lua value
 *
 * nil and json.null, the light userdata NULL, are written as null. null is read as nil: such a
 * field of an object is absent, and an item of an array leaves a hole, while the items behind it
 * keep their places. A text may be as long as LIMIT_JSON_BYTES, read or written.
 *
 * The bytes in between stand in buffers that Lua knows nothing of, so the work is done in a
 * protected call, and they are freed whatever it ended in. An error then gets the place in the
 * class's source that it would have had without that call.
 *
 * Threads: that of the Lua state.
 */
#include "object/libraries_private.h"

#include "base/buffer.h"
#include "holdfast/limits.h"
#include "object/lua_value.h"
#include "object/packed.h"
#include "object/sandbox.h"

#include <lauxlib.h>

#define DECODE_CHARGE_BYTES 4 /* parsing allocates, other than copying */

static int json_encode(lua_State *L);
static int json_decode(lua_State *L);

void libraries_push_json(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "encode", json_encode },
		{ "decode", json_decode },
		{ NULL, NULL },
	};
	luaL_newlib(L, functions);
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
}

struct conversion {
	struct buffer packed;
	struct buffer text;
};

/* `work` gets argument 1 and a light userdata of a struct conversion. */
static int convert(lua_State *L, lua_CFunction work)
{
	struct conversion conversion;
	luaL_checkstack(L, 8, "json");
	lua_settop(L, 1);
	buffer_init(&conversion.packed);
	buffer_init(&conversion.text);
	lua_pushcfunction(L, work);
	lua_insert(L, 1);
	lua_pushlightuserdata(L, &conversion);
	int status = lua_pcall(L, 2, 1, 0);
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

static int encode(lua_State *L)
{
	struct conversion *conversion = lua_touserdata(L, 2);
	lua_value_pack(L, 1, &conversion->packed, LIMIT_JSON_BYTES);
	sandbox_charge(L, conversion->packed.size / LIBRARIES_CHARGE_BYTES);
	packed_to_json(buffer_slice(&conversion->packed), &conversion->text);
	sandbox_charge(L, conversion->text.size / LIBRARIES_CHARGE_BYTES);
	if (conversion->text.size > LIMIT_JSON_BYTES)
		return luaL_error(L, "json.encode: longer than %d bytes", (int)LIMIT_JSON_BYTES);
	lua_pushlstring(L, conversion->text.data, conversion->text.size);
	return 1;
}

static int json_encode(lua_State *L)
{
	luaL_checkany(L, 1);
	return convert(L, encode);
}

static int decode(lua_State *L)
{
	struct conversion *conversion = lua_touserdata(L, 2);
	struct slice text;
	char error[256];
	text.data = lua_tolstring(L, 1, &text.size);
	if (text.size <= LIMIT_JSON_BYTES)
		sandbox_charge(L, text.size / DECODE_CHARGE_BYTES);
	if (packed_from_json(text, &conversion->packed, error, sizeof(error)) < 0)
		return luaL_error(L, "json.decode: %s", error);
	lua_value_push(L, buffer_slice(&conversion->packed));
	return 1;
}

static int json_decode(lua_State *L)
{
	luaL_checkstring(L, 1);
	return convert(L, decode);
}
