/*
 * api_storage: self.storage. It is a small userdata with the number of its instance: with another
 * object's, or one of an instance that is gone, its methods refuse.
 *
 * Whatever can raise an error is done before anything is changed, and never while a cursor is open:
 * an error leaves by a jump.
 *
 * Threads: the worker's; every function runs within a Lua thread.
 */
#include "lua/api_private.h"
#include "lua/lua_keys.h"
#include "lua/lua_options.h"
#include "lua/lua_value.h"

#include "config/config.h"
#include "object/object.h"
#include "object/storage.h"

#include <lauxlib.h>

#define CHARGE_KEY   20  /* instructions that reading or writing a key is worth */
#define CHANGE_BYTES 128 /* of a change: the class's name and what finds it by key */

struct storage_handle {
	uint64_t serial;
};
/* --- arguments -------------------------------------------------------------------------------- */

/* The storage that `self.storage` at `index` stands for. */
static struct storage *check_storage(lua_State *L, int index)
{
	const struct lua_class *lua = lua_class_running(L);
	api_count(L);
	const struct storage_handle *handle = lua_touserdata(L, index);
	if (handle == NULL || !lua_getmetatable(L, index))
		luaL_argerror(L, index, "self.storage expected: call it with a colon");
	lua_rawgetp(L, LUA_REGISTRYINDEX, LUA_KEY_STORAGE);
	if (!lua_rawequal(L, -1, -2))
		luaL_argerror(L, index, "self.storage expected: call it with a colon");
	lua_pop(L, 2);
	if (handle->serial != lua->call->object->serial)
		luaL_error(L, "this is the storage of another object, or of one that is gone");
	return lua->storage;
}

static struct slice check_key(lua_State *L, int index)
{
	if (lua_type(L, index) != LUA_TSTRING)
		luaL_error(L, "a storage key is a string, not a %s", luaL_typename(L, index));
	size_t size;
	const char *data = lua_tolstring(L, index, &size);
	if (size == 0 || size > LIMIT_KEY_BYTES)
		luaL_error(L, "a storage key is 1 to %d bytes long, not %d", LIMIT_KEY_BYTES,
			(int)size);
	return slice_of(data, size);
}

/* A copy that lasts until the turn has been committed. */
static struct value check_value(lua_State *L, int index)
{
	struct objects *objects = lua_class_call(L)->objects;
	struct buffer *scratch = objects_scratch(objects);
	size_t most = (size_t)objects_engine(objects)->config->value_bytes_max;
	struct value value = { 0 };
	if (lua_isnoneornil(L, index))
		luaL_error(L, "nil cannot be stored; delete removes a key");
	scratch->size = 0;
	lua_value_to_stored(L, index, scratch, most, &value);
	if (value.data.size > most)
		luaL_error(L, "a value of %d bytes exceeds max-value-size (%d)",
			(int)value.data.size, (int)most);
	value.data = api_copy(L, value.data);
	return value;
}

static int64_t check_time(lua_State *L, int index)
{
	int is_integer;
	lua_Integer ms = lua_tointegerx(L, index, &is_integer);
	if (!is_integer || ms <= 0)
		luaL_error(L, "a time is a whole number of milliseconds above 0");
	return ms;
}
/* --- storage: values -------------------------------------------------------------------------- */

/* What is assembled in the turn's arena from now on must fit into the class's memory. */
static void bound_arena(lua_State *L, struct arena *arena)
{
	arena->bytes_max = arena->bytes + sandbox_room(sandbox_of(L));
}

static bool was_too_large(const struct value *value)
{
	return value->data.data == NULL && value->data.size > 0;
}

static void push_stored(lua_State *L, struct storage *storage, struct slice key)
{
	struct arena *arena = turn_arena(storage->turn);
	struct value value;
	sandbox_charge(L, CHARGE_KEY);
	bound_arena(L, arena);
	bool found = storage_get(storage, key, &value);
	if (found && was_too_large(&value)) {
		sandbox_need(L, value.data.size);
		bound_arena(L, arena);
		found = storage_get(storage, key, &value);
	}
	arena->bytes_max = SIZE_MAX;
	api_count(L);
	if (found)
		lua_value_push_stored(L, &value);
	else
		lua_pushnil(L);
}

static int storage_lua_get(lua_State *L)
{
	struct storage *storage = check_storage(L, 1);
	if (lua_type(L, 2) != LUA_TTABLE) {
		push_stored(L, storage, check_key(L, 2));
		return 1;
	}
	lua_settop(L, 2);
	lua_newtable(L);
	for (lua_Integer i = 1; lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
		struct slice key = check_key(L, -1);
		push_stored(L, storage, key);
		lua_rawset(L, 3);
	}
	lua_pop(L, 1);
	return 1;
}

struct pair {
	struct slice key;
	struct value value;
};

/* What a change takes in the turn's arena, besides the value. */
static size_t change_bytes(const struct storage *storage, struct slice key)
{
	return sizeof(struct effect) + 2 * key.size + storage->name.id.size + CHANGE_BYTES;
}

/* All pairs are read before the first is written: an error leaves no half of them. */
static int put_table(lua_State *L, struct storage *storage)
{
	struct arena *arena = turn_arena(storage->turn);
	size_t count = 0, capacity = 16, bytes = 0;
	sandbox_charge(L, CHARGE_KEY);
	struct pair *pairs = arena_alloc(arena, capacity * sizeof(*pairs));
	for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
		api_count(L);
		if (count == capacity) {
			sandbox_need(L, 2 * capacity * sizeof(*pairs));
			struct pair *grown = arena_alloc(arena, 2 * capacity * sizeof(*pairs));
			memcpy(grown, pairs, count * sizeof(*pairs));
			pairs = grown;
			capacity *= 2;
		}
		struct slice key = check_key(L, -2);
		struct value value = check_value(L, -1);
		pairs[count++] = (struct pair){ arena_copy(arena, key), value };
		bytes += change_bytes(storage, key);
		sandbox_charge(L, CHARGE_KEY + value.data.size / 64);
	}
	sandbox_need(L, bytes);
	for (size_t i = 0; i < count; i++) {
		sandbox_charge(L, 1);
		storage_put(storage, pairs[i].key, &pairs[i].value);
	}
	return 0;
}

static int storage_lua_put(lua_State *L)
{
	struct storage *storage = check_storage(L, 1);
	if (lua_type(L, 2) == LUA_TTABLE && lua_isnone(L, 3))
		return put_table(L, storage);
	struct slice key = check_key(L, 2);
	struct value value = check_value(L, 3);
	sandbox_charge(L, CHARGE_KEY + value.data.size / 64);
	storage_put(storage, key, &value);
	return 0;
}

static int storage_lua_delete(lua_State *L)
{
	struct storage *storage = check_storage(L, 1);
	lua_Integer deleted = 0;
	if (lua_type(L, 2) != LUA_TTABLE) {
		lua_pushboolean(L, storage_delete(storage, check_key(L, 2)));
		return 1;
	}
	size_t bytes = 0;
	for (lua_Integer i = 1; lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
		bytes += change_bytes(storage, check_key(L, -1));
		sandbox_charge(L, CHARGE_KEY);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	sandbox_need(L, bytes);
	for (lua_Integer i = 1; lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
		sandbox_charge(L, 1);
		deleted += storage_delete(storage, check_key(L, -1));
		lua_pop(L, 1);
	}
	lua_pushinteger(L, deleted);
	return 1;
}

static int storage_lua_delete_all(lua_State *L)
{
	struct storage *storage = check_storage(L, 1);
	bool keep_alarm = false;
	if (!lua_isnoneornil(L, 2)) {
		static const char *const options[] = { "keep_alarm", NULL };
		luaL_checktype(L, 2, LUA_TTABLE);
		lua_options_check(L, 2, "delete_all", options);
		lua_getfield(L, 2, "keep_alarm");
		keep_alarm = lua_toboolean(L, -1);
	}
	if (lua_class_call(L)->transactions > 0)
		return luaL_error(L, "delete_all cannot be a part of a transaction");
	lua_pushinteger(L, (lua_Integer)storage_delete_all(storage, keep_alarm));
	return 1;
}

/* --- storage: lists --------------------------------------------------------------------------- */

static struct slice bound(lua_State *L, const char *name)
{
	size_t size;
	if (lua_getfield(L, 2, name) == LUA_TNIL)
		return (struct slice){ 0 };
	if (lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "list: %s is a string, not a %s", name, luaL_typename(L, -1));
	const char *data = lua_tolstring(L, -1, &size); /* stays on the stack, so it stays alive */
	return slice_of(data, size);
}

static lua_Integer read_range(lua_State *L, struct collection_range *range)
{
	lua_Integer limit = LIMIT_LIST_KEYS;
	*range = (struct collection_range){ 0 };
	if (lua_isnoneornil(L, 2))
		return limit;
	static const char *const options[] = { "start", "start_after", "end_before", "prefix",
		"reverse", "limit", NULL };
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_options_check(L, 2, "list", options);
	range->start = bound(L, "start");
	range->start_after = bound(L, "start_after");
	range->end = bound(L, "end_before");
	range->prefix = bound(L, "prefix");
	if (range->start.data && range->start_after.data)
		luaL_error(L, "list: start and start_after exclude each other");
	lua_getfield(L, 2, "reverse");
	range->reverse = lua_toboolean(L, -1);
	if (lua_getfield(L, 2, "limit") != LUA_TNIL) {
		int is_integer;
		limit = lua_tointegerx(L, -1, &is_integer);
		if (!is_integer || limit <= 0)
			luaL_error(L, "list: limit is a whole number above 0");
	}
	return limit;
}

struct listed {
	struct listed *next;
	struct slice key;
	struct value value;
};

struct collected {
	struct listed *first;
	lua_Integer count;
	size_t bytes_missing; /* the class has no room for the next one */
};

/* The cursor is closed before anything is made of what it found: that may raise an error. */
static struct collected collect(lua_State *L, struct storage *storage,
	const struct collection_range *range, lua_Integer limit)
{
	struct arena *arena = turn_arena(storage->turn);
	struct collected found = { 0 };
	struct listed **last = &found.first;
	struct collection_walk walk;
	struct slice key;
	struct value value;
	bound_arena(L, arena);
	storage_walk(&walk, storage, range);
	while (found.count < limit && found.count <= LIMIT_LIST_KEYS &&
		sandbox_charge_on(L, CHARGE_KEY) &&
		storage_walk_next(storage, &walk, &key, &value)) {
		size_t more = sizeof(struct listed) + key.size;
		if (was_too_large(&value) || !arena_has_room(arena, more)) {
			found.bytes_missing = more + value.data.size;
			break;
		}
		struct listed *entry = arena_alloc(arena, sizeof(*entry));
		*entry = (struct listed){ NULL, arena_copy(arena, key), value };
		*last = entry;
		last = &entry->next;
		found.count++;
	}
	collection_walk_close(&walk);
	arena->bytes_max = SIZE_MAX;
	return found;
}

static int storage_lua_list(lua_State *L)
{
	struct storage *storage = check_storage(L, 1);
	struct arena *arena = turn_arena(storage->turn);
	struct collection_range range;
	lua_Integer limit = read_range(L, &range);
	struct arena_mark mark = arena_mark(arena);
	struct collected found = collect(L, storage, &range, limit);
	if (found.bytes_missing) {
		/* Once more, if there is more room when all has been collected. */
		arena_rewind(arena, mark);
		sandbox_need(L, sandbox_room(sandbox_of(L)) + 1);
		found = collect(L, storage, &range, limit);
	}
	api_count(L);
	sandbox_charge(L, 1);
	if (found.bytes_missing)
		return luaL_error(L, "not enough memory");
	if (found.count > LIMIT_LIST_KEYS)
		return luaL_error(L, "more than %d keys; give a limit and go on with start_after",
			LIMIT_LIST_KEYS);
	lua_createtable(L, (int)found.count, 0);
	for (lua_Integer i = 1; found.first; i++, found.first = found.first->next) {
		lua_createtable(L, 0, 2);
		lua_pushlstring(L, found.first->key.data, found.first->key.size);
		lua_setfield(L, -2, "key");
		lua_value_push_stored(L, &found.first->value);
		lua_setfield(L, -2, "value");
		lua_rawseti(L, -2, i);
	}
	return 1;
}

/* --- storage: transactions, alarm, life ------------------------------------------------------- */

static int rollback(lua_State *L)
{
	bool *asked = lua_touserdata(L, lua_upvalueindex(1));
	*asked = true;
	return 0;
}

/* transaction(function(rollback) ... end): what it wrote stays unless it raises an error or calls
 * rollback. */
static int storage_lua_transaction(lua_State *L)
{
	struct storage *storage = check_storage(L, 1);
	struct call *call = lua_class_call(L);
	struct storage_mark mark;
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	bool *asked = lua_newuserdatauv(L, sizeof(*asked), 0);
	*asked = false;
	lua_insert(L, 2);
	lua_pushvalue(L, 2);
	lua_pushcclosure(L, rollback, 1);
	storage_save(storage, &mark);
	call->transactions++;
	int status = lua_pcall(L, 1, LUA_MULTRET, 0);
	call->transactions--;
	if (status != LUA_OK || *asked)
		storage_restore(storage, &mark);
	if (status != LUA_OK)
		return lua_error(L);
	return lua_gettop(L) - 2;
}

static int storage_lua_set_alarm(lua_State *L)
{
	struct storage *storage = check_storage(L, 1);
	int64_t at_ms = check_time(L, 2);
	if (!lua_class_call(L)->state->has_alarm)
		return luaL_error(L, "the class has no alarm method");
	storage_set_alarm(storage, at_ms);
	return 0;
}

/* While the handler runs there is no alarm, unless it has been set anew. */
static int storage_lua_get_alarm(lua_State *L)
{
	struct storage *storage = check_storage(L, 1);
	const struct object_record *record = &storage->record;
	if (record->alarm_ms == 0 || call_alarm_runs(lua_class_call(L), record->alarm_serial))
		lua_pushnil(L);
	else
		lua_pushinteger(L, record->alarm_ms);
	return 1;
}

static int storage_lua_delete_alarm(lua_State *L)
{
	struct storage *storage = check_storage(L, 1);
	/* The one that runs goes on, and is tried again when it fails. */
	bool runs = call_alarm_runs(lua_class_call(L), storage->record.alarm_serial);
	lua_pushboolean(L, !runs && storage_delete_alarm(storage));
	return 1;
}

static int storage_lua_expire(lua_State *L)
{
	struct storage *storage = check_storage(L, 1);
	int64_t life_ms = api_check_seconds(L, 2, 1);
	storage_expire(storage, life_ms, lua_toboolean(L, 3));
	return 0;
}

static int storage_lua_persist(lua_State *L)
{
	lua_pushboolean(L, storage_persist(check_storage(L, 1)));
	return 1;
}
/* --- opening ---------------------------------------------------------------------------------- */

static const luaL_Reg storage_functions[] = {
	{ "get", storage_lua_get },
	{ "put", storage_lua_put },
	{ "delete", storage_lua_delete },
	{ "delete_all", storage_lua_delete_all },
	{ "list", storage_lua_list },
	{ "transaction", storage_lua_transaction },
	{ "set_alarm", storage_lua_set_alarm },
	{ "get_alarm", storage_lua_get_alarm },
	{ "delete_alarm", storage_lua_delete_alarm },
	{ "expire", storage_lua_expire },
	{ "persist", storage_lua_persist },
	{ NULL, NULL },
};
void api_storage_open(lua_State *L)
{
	lua_createtable(L, 0, 2);
	luaL_newlib(L, storage_functions);
	sandbox_guard(L);
	lua_setfield(L, -2, "__index");
	lua_pushliteral(L, "storage");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_rawsetp(L, LUA_REGISTRYINDEX, LUA_KEY_STORAGE);
}

void api_storage_push(lua_State *L, uint64_t serial)
{
	struct storage_handle *handle = lua_newuserdatauv(L, sizeof(*handle), 0);
	handle->serial = serial;
	lua_rawgetp(L, LUA_REGISTRYINDEX, LUA_KEY_STORAGE);
	lua_setmetatable(L, -2);
}
