/*
 * lua_value: walks a Lua value and packs it, or builds one from packed bytes. Tables are read and
 * written raw: no metamethod of a class runs in here, so nothing changes under the walk.
 *
 * A table on the way down is remembered by its address, which is how one that contains itself is
 * told from one that is merely in two places: the latter is packed twice. A table is walked twice,
 * since the counts stand in front: its sequence is what lies before the first nil from 1 on.
 *
 * What tells a JSON object from an array when it is empty is its metatable, one for all of a state.
 * It says nothing else, so code that gives the table another changes no more than that.
 *
 * Errors leave by longjmp. Nothing is held that this would leak: what is packed grows in the
 * caller's buffer, what is built lies on the Lua stack. The work is charged to the turn by item and
 * by size, because no instruction is counted here.
 *
 * Threads: that of the Lua state.
 */
#include "lua/lua_value.h"

#include "holdfast/limits.h"
#include "lua/lua_keys.h"
#include "lua/sandbox.h"
#include "object/packed.h"

#include <assert.h>
#include <lauxlib.h>
#include <limits.h>

const char lua_key_json_object = 0;

#define CHARGE_BYTES 64 /* copied for about the cost of one instruction */

struct packing {
	struct buffer *out;
	size_t start; /* of the value in `out` */
	size_t bytes_max;
	size_t parts;
	size_t parts_max;
	unsigned depth;
	const void *path[LIMIT_PACKED_DEPTH]; /* the tables that we are in */
};

static void pack_value(lua_State *L, int index, struct packing *packing);
static void pack_string(lua_State *L, int index, struct packing *packing);
static void pack_table(lua_State *L, int index, struct packing *packing);
static bool is_object(lua_State *L, int index);
static void path_enter(lua_State *L, int index, struct packing *packing);
static lua_Integer sequence_count(lua_State *L, int index);
static uint64_t pairs_count(lua_State *L, int index, lua_Integer items);
static bool is_in_sequence(lua_State *L, int key, lua_Integer items);
static void size_check(lua_State *L, size_t size, size_t bytes_max);
static void push_value(lua_State *L, struct slice *rest);
static void push_table(lua_State *L, const struct packed_item *table, struct slice *rest);
static void push_string(lua_State *L, struct slice bytes);
static int table_room(uint64_t count);

void lua_value_pack(lua_State *L, int index, struct buffer *out, size_t bytes_max)
{
	struct packing packing = {
		.out = out, .start = out->size, .bytes_max = bytes_max, .parts_max = SIZE_MAX
	};
	pack_value(L, lua_absindex(L, index), &packing);
}

void lua_value_push(lua_State *L, struct slice packed)
{
	push_value(L, &packed);
	assert(packed.size == 0);
}

void lua_value_to_stored(
	lua_State *L, int index, struct buffer *scratch, size_t bytes_max, struct value *out)
{
	*out = (struct value){ .type = VALUE_PACKED };
	if (lua_type(L, index) == LUA_TSTRING) {
		out->type = VALUE_BYTES;
		out->data.data = lua_tolstring(L, index, &out->data.size);
		size_check(L, out->data.size, bytes_max);
		return;
	}
	scratch->size = 0;
	struct packing packing = {
		.out = scratch, .bytes_max = bytes_max, .parts_max = LIMIT_STORED_PARTS
	};
	pack_value(L, lua_absindex(L, index), &packing);
	out->data = buffer_slice(scratch);
}

void lua_value_push_stored(lua_State *L, const struct value *value)
{
	assert(value->type == VALUE_BYTES || value->type == VALUE_PACKED);
	if (value->type == VALUE_BYTES)
		push_string(L, value->data);
	else
		lua_value_push(L, value->data);
}

void lua_value_mark_object(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	luaL_checkstack(L, 3, "a table cannot be marked");
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, LUA_KEY_JSON_OBJECT) != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_createtable(L, 0, 0);
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, LUA_KEY_JSON_OBJECT);
	}
	lua_setmetatable(L, index);
}

static void pack_value(lua_State *L, int index, struct packing *packing)
{
	struct buffer *out = packing->out;
	int type = lua_type(L, index);
	bool is_null = type == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL;
	sandbox_charge(L, 1);
	if (packing->parts++ == packing->parts_max)
		luaL_error(L, "a table with more than %d keys and values cannot be stored",
			LIMIT_STORED_PARTS);
	if (type == LUA_TNIL)
		packed_add_nil(out);
	else if (is_null)
		packed_add_null(out);
	else if (type == LUA_TBOOLEAN)
		packed_add_boolean(out, lua_toboolean(L, index));
	else if (type == LUA_TNUMBER && lua_isinteger(L, index))
		packed_add_integer(out, lua_tointeger(L, index));
	else if (type == LUA_TNUMBER)
		packed_add_float(out, lua_tonumber(L, index));
	else if (type == LUA_TSTRING)
		pack_string(L, index, packing);
	else if (type == LUA_TTABLE)
		pack_table(L, index, packing);
	else
		luaL_error(L, "a %s cannot be stored", lua_typename(L, type));
	size_check(L, out->size - packing->start, packing->bytes_max);
}

static void pack_string(lua_State *L, int index, struct packing *packing)
{
	struct slice bytes;
	bytes.data = lua_tolstring(L, index, &bytes.size);
	/* Before the buffer grows by it. */
	size_check(L, packing->out->size - packing->start + bytes.size, packing->bytes_max);
	sandbox_charge(L, bytes.size / CHARGE_BYTES);
	packed_add_string(packing->out, bytes);
}

static void pack_table(lua_State *L, int index, struct packing *packing)
{
	path_enter(L, index, packing);
	luaL_checkstack(L, 4, "a table cannot be stored");
	lua_Integer items = sequence_count(L, index);
	uint64_t pairs = pairs_count(L, index, items);
	if (is_object(L, index))
		packed_add_object(packing->out, (uint64_t)items, pairs);
	else
		packed_add_table(packing->out, (uint64_t)items, pairs);
	for (lua_Integer i = 1; i <= items; i++) {
		lua_rawgeti(L, index, i);
		pack_value(L, lua_gettop(L), packing);
		lua_pop(L, 1);
	}
	lua_pushnil(L);
	while (lua_next(L, index)) {
		int key = lua_gettop(L) - 1;
		if (!is_in_sequence(L, key, items)) {
			pack_value(L, key, packing);
			pack_value(L, key + 1, packing);
		}
		lua_pop(L, 1);
	}
	packing->depth--;
}

static bool is_object(lua_State *L, int index)
{
	if (!lua_getmetatable(L, index))
		return false;
	lua_rawgetp(L, LUA_REGISTRYINDEX, LUA_KEY_JSON_OBJECT);
	bool is_marked = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return is_marked;
}

static void path_enter(lua_State *L, int index, struct packing *packing)
{
	const void *table = lua_topointer(L, index);
	for (unsigned i = 0; i < packing->depth; i++) {
		if (packing->path[i] == table)
			luaL_error(L, "a table that contains itself cannot be stored");
	}
	if (packing->depth == LIMIT_PACKED_DEPTH)
		luaL_error(L, "tables nest deeper than %d", LIMIT_PACKED_DEPTH);
	packing->path[packing->depth++] = table;
}

static lua_Integer sequence_count(lua_State *L, int index)
{
	lua_Integer count = 0;
	while (lua_rawgeti(L, index, count + 1) != LUA_TNIL) {
		sandbox_charge(L, 1);
		count++;
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return count;
}

/* The others' number; raises an error for a key that cannot be stored. */
static uint64_t pairs_count(lua_State *L, int index, lua_Integer items)
{
	uint64_t count = 0;
	lua_pushnil(L);
	while (lua_next(L, index)) {
		int key = lua_gettop(L) - 1, type = lua_type(L, key);
		sandbox_charge(L, 1);
		if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
			luaL_error(L, "a key of type %s cannot be stored", lua_typename(L, type));
		count += !is_in_sequence(L, key, items);
		lua_pop(L, 1);
	}
	return count;
}

static bool is_in_sequence(lua_State *L, int key, lua_Integer items)
{
	if (!lua_isinteger(L, key))
		return false;
	lua_Integer number = lua_tointeger(L, key);
	return number >= 1 && number <= items;
}

/* `size` bytes in a buffer that grows by a quarter. */
static void size_check(lua_State *L, size_t size, size_t bytes_max)
{
	if (size > bytes_max)
		luaL_error(L, "a value of more than %I bytes cannot be stored",
			(LUAI_UACINT)bytes_max);
	sandbox_need(L, size + size / 4);
}

static void push_value(lua_State *L, struct slice *rest)
{
	struct packed_item item;
	bool taken = packed_take(rest, &item);
	assert(taken);
	sandbox_charge(L, 1);
	switch (item.kind) {
	case PACKED_NIL:
		lua_pushnil(L);
		break;
	case PACKED_FALSE:
	case PACKED_TRUE:
		lua_pushboolean(L, item.kind == PACKED_TRUE);
		break;
	case PACKED_INTEGER:
		lua_pushinteger(L, item.integer);
		break;
	case PACKED_FLOAT:
		lua_pushnumber(L, item.number);
		break;
	case PACKED_STRING:
		push_string(L, item.bytes);
		break;
	case PACKED_TABLE:
	case PACKED_OBJECT:
		push_table(L, &item, rest);
		break;
	case PACKED_NULL:
		lua_pushlightuserdata(L, NULL);
		break;
	}
}

static void push_table(lua_State *L, const struct packed_item *table, struct slice *rest)
{
	luaL_checkstack(L, 4, "a value cannot be built");
	lua_createtable(L, table_room(table->items), table_room(table->pairs));
	for (uint64_t i = 1; i <= table->items; i++) {
		push_value(L, rest);
		lua_rawseti(L, -2, (lua_Integer)i);
	}
	for (uint64_t i = 0; i < table->pairs; i++) {
		push_value(L, rest);
		push_value(L, rest);
		lua_rawset(L, -3);
	}
	if (table->kind == PACKED_OBJECT)
		lua_value_mark_object(L, -1);
}

static void push_string(lua_State *L, struct slice bytes)
{
	sandbox_charge(L, bytes.size / CHARGE_BYTES);
	lua_pushlstring(L, bytes.data, bytes.size);
}

/* What a table is made with at once; beyond that it grows by itself. */
static int table_room(uint64_t count)
{
	return count < INT_MAX ? (int)count : INT_MAX;
}
