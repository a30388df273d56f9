/*
 * lua_value: Lua values to packed bytes and back. Like every function that uses a Lua state these
 * may raise a Lua error (memory, stack): only call them from within a protected call.
 */
#ifndef LUA_LUA_VALUE_H
#define LUA_LUA_VALUE_H

#include "base/buffer.h"
#include "base/slice.h"
#include "store/value.h"

#include <lua.h>

/* Appends the value at `index` packed. Raises an error for what cannot be stored: functions,
 * threads, userdata (json.null is none), tables that contain themselves or nest deeper than
 * LIMIT_PACKED_DEPTH, keys that are not strings, numbers or booleans, more than `bytes_max` bytes
 * in all, or more than the class has room for. `out` then holds rubbish, nothing is leaked. Of
 * metatables only the mark of a JSON object is looked at. Charges the turn by item and by size
 * (sandbox_charge), as pushing does. json.null is the light userdata NULL. */
void lua_value_pack(lua_State *L, int index, struct buffer *out, size_t bytes_max);
/* Pushes one value; the bytes must be packed_is_whole. */
void lua_value_push(lua_State *L, struct slice packed);
/* The same for storage values: strings stand as VALUE_BYTES, and a table has at most
 * LIMIT_STORED_PARTS. lua_value_to_stored empties `scratch` and leaves out->data pointing into the
 * Lua string or into it. */
void lua_value_to_stored(
	lua_State *L, int index, struct buffer *scratch, size_t bytes_max, struct value *out);
void lua_value_push_stored(lua_State *L, const struct value *value);
/* Marks the table at `index` as a JSON object: by a metatable that has no metamethods. */
void lua_value_mark_object(lua_State *L, int index);

#endif
