/*
 * api: what the code of a class can call besides Lua's libraries and self.storage (api_storage.c):
 * self's own methods, objects.call, http.fetch, sleep. All of it works within a call only, on the
 * object of that call.
 *
 * A function that waits notes what for in call->wait and yields; the server ends the turn there and
 * resumes the thread when the wait is over, in the function's continuation. Whatever can raise an
 * error is done before anything is changed.
 *
 * Threads: the worker's; every function runs within a Lua thread.
 */
#include "lua/api.h"
#include "lua/lua_keys.h"
#include "lua/lua_options.h"
#include "lua/lua_value.h"
#include "object/packed.h"

#include "base/cron.h"
#include "config/config.h"
#include "fetch/fetch.h"
#include "lua/api_private.h"
#include "object/object.h"
#include "object/section.h"

#include <lauxlib.h>
#include <stdio.h>

#define EXCLUSIVE_DEPTH_MAX 64
#define FETCH_TIMEOUT_MS    10000
#define FETCH_REDIRECTS     5
#define FETCH_HEADERS_MAX   100
#define NUMBER_BYTES_MAX    64 /* as text */

static struct turn *turn_of(lua_State *L)
{
	return &lua_class_call(L)->request->turn;
}

static size_t value_bytes_max(const struct call *call)
{
	return (size_t)objects_engine(call->objects)->config->value_bytes_max;
}

void api_count(lua_State *L)
{
	struct call *call = lua_class_call(L);
	const struct arena *arena = turn_arena(&call->request->turn);
	if (arena->bytes <= call->arena_bytes)
		return;
	size_t more = arena->bytes - call->arena_bytes;
	sandbox_lend(L, more);
	call->arena_bytes += more;
	call->lent += more;
}

struct slice api_copy(lua_State *L, struct slice bytes)
{
	struct arena *arena = turn_arena(turn_of(L));
	sandbox_need(L, bytes.size);
	struct slice copy = arena_copy(arena, bytes);
	api_count(L);
	return copy;
}

int64_t api_check_seconds(lua_State *L, int index, int64_t least_ms)
{
	lua_Number seconds = luaL_checknumber(L, index);
	if (!(seconds * 1000 >= (lua_Number)least_ms && seconds <= (lua_Number)LIMIT_LIFE_S))
		luaL_error(L, "a duration is a number of seconds from %f to %f",
			(lua_Number)least_ms / 1000, (lua_Number)LIMIT_LIFE_S);
	return (int64_t)(seconds * 1000);
}

int api_push_items(lua_State *L, struct slice packed)
{
	struct slice rest = packed;
	struct packed_item item;
	if (packed.size == 0 || !packed_take(&rest, &item))
		return 0;
	if (item.items > LIMIT_LIST_KEYS)
		return luaL_error(L, "more than %d arguments", LIMIT_LIST_KEYS);
	lua_value_push(L, packed);
	luaL_checkstack(L, (int)item.items + 1, "too many arguments");
	int table = lua_gettop(L);
	for (uint64_t i = 1; i <= item.items; i++)
		lua_rawgeti(L, table, (lua_Integer)i);
	lua_remove(L, table);
	return (int)item.items;
}
/* The call, when it may wait now. */
static struct call *check_wait(lua_State *L)
{
	struct call *call = lua_class_call(L);
	sandbox_charge(L, 1);
	if (call->transactions > 0)
		luaL_error(L, "nothing can be waited for within a transaction");
	if (!lua_isyieldable(L))
		luaL_error(L, "nothing can be waited for here: within a sort, gsub or metamethod");
	wait_forget(call); /* of one whose end ran out of memory */
	return call;
}

/* --- self's own methods ----------------------------------------------------------------------- */

static int after_exclusive(lua_State *L, int status, lua_KContext context)
{
	call_open_gate(lua_class_call(L));
	if (status != LUA_OK && status != LUA_YIELD)
		return lua_error(L);
	return lua_gettop(L) - 1;
}

static struct slice check_name(lua_State *L, int index, const char *what)
{
	size_t size;
	const char *data = luaL_checklstring(L, index, &size);
	if (size == 0 || size > LIMIT_SCHEDULE_NAME_BYTES)
		luaL_error(L, "%s is 1 to %d bytes long", what, LIMIT_SCHEDULE_NAME_BYTES);
	return slice_of(data, size);
}

static int after_section(lua_State *L, int status, lua_KContext context)
{
	section_leave(lua_class_call(L));
	if (status != LUA_OK && status != LUA_YIELD)
		return lua_error(L);
	return lua_gettop(L) - 2;
}

/* The call is in the section: the stack holds self, the name, the function. */
static int in_section(lua_State *L, int status, lua_KContext context)
{
	wait_forget(lua_class_call(L));
	return after_section(L, lua_pcallk(L, 0, LUA_MULTRET, 0, 0, after_section), 0);
}

/* self:exclusive(name, fn): no other call of the object is in a function of that name meanwhile;
 * those that want to be wait in line. */
static int exclusive_by_name(lua_State *L)
{
	struct call *call = check_wait(L);
	struct slice name = check_name(L, 2, "the name of what is exclusive");
	luaL_checktype(L, 3, LUA_TFUNCTION);
	lua_settop(L, 3);
	if (call->section)
		return luaL_error(L, "exclusive by name within exclusive by name");
	/* Who is in the section could not come back through the closed gate to leave it. */
	if (call->object->closed_depth > 0)
		return luaL_error(L, "exclusive by name within exclusive");
	if (section_enter(call, name))
		return in_section(L, LUA_OK, 0);
	return lua_yieldk(L, 0, 0, in_section);
}

/* self:exclusive(fn): no other call enters the object until fn has returned, whatever it waits for.
 */
static int self_exclusive(lua_State *L)
{
	struct call *call = lua_class_call(L);
	if (lua_type(L, 2) == LUA_TSTRING)
		return exclusive_by_name(L);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	if (call->object->closed_depth >= EXCLUSIVE_DEPTH_MAX)
		return luaL_error(
			L, "exclusive within exclusive more than %d deep", EXCLUSIVE_DEPTH_MAX);
	call_close_gate(call);
	int status = lua_pcallk(L, 0, LUA_MULTRET, 0, 0, after_exclusive);
	return after_exclusive(L, status, 0);
}

static void read_times(lua_State *L, struct schedule *schedule, int64_t now_ms)
{
	struct arena *arena = turn_arena(turn_of(L));
	char error[160];
	struct cron cron;
	if (lua_getfield(L, 3, "every") != LUA_TNIL) {
		schedule->every_ms = api_check_seconds(L, -1, LIMIT_SCHEDULE_EVERY_LEAST_MS);
		schedule->next_ms = now_ms + schedule->every_ms;
		if (lua_getfield(L, 3, "cron") != LUA_TNIL)
			luaL_error(L, "a schedule's `every` and `cron` exclude each other");
		lua_pop(L, 2);
		return;
	}
	lua_pop(L, 1);
	if (lua_getfield(L, 3, "cron") != LUA_TSTRING)
		luaL_error(L, "a schedule needs `every` (seconds) or `cron` (a line)");
	struct slice line = { 0 };
	line.data = lua_tolstring(L, -1, &line.size);
	if (cron_parse(line, &cron, error, sizeof(error)) < 0)
		luaL_error(L, "cron: %s", error);
	schedule->cron = arena_copy(arena, line);
	schedule->next_ms = cron_next(&cron, now_ms);
	lua_pop(L, 1);
}

/* self:schedule(name, {every = seconds | cron = line, method = name, argument = value}) */
static int self_schedule(lua_State *L)
{
	const struct lua_class *lua = lua_class_running(L);
	api_count(L);
	struct schedule schedule = { 0 };
	static const char *const options[] = { "every", "cron", "method", "argument", NULL };
	luaL_checktype(L, 3, LUA_TTABLE);
	lua_options_check(L, 3, "schedule", options);
	schedule.name = api_copy(L, check_name(L, 2, "a schedule's name"));
	read_times(L, &schedule, turn_of(L)->now_ms);
	schedule.due_ms = schedule.next_ms;
	lua_getfield(L, 3, "method");
	schedule.method = check_name(L, -1, "a schedule's method");
	if (!lua_class_push_method(L, schedule.method))
		return luaL_error(L, "the class has no method '%s'", lua_tostring(L, -1));
	schedule.method = api_copy(L, schedule.method);
	if (lua_getfield(L, 3, "argument") != LUA_TNIL) {
		struct buffer *scratch = objects_scratch(lua->objects);
		scratch->size = 0;
		lua_value_pack(L, -1, scratch, value_bytes_max(lua->call));
		schedule.argument = api_copy(L, buffer_slice(scratch));
	}
	if (!storage_set_schedule(lua->storage, &schedule))
		return luaL_error(L, "an object has %d schedules at the most", LIMIT_SCHEDULES);
	return 0;
}

static int self_unschedule(lua_State *L)
{
	api_count(L);
	struct slice name = check_name(L, 2, "a schedule's name");
	lua_pushboolean(L, storage_delete_schedule(lua_class_running(L)->storage, name));
	return 1;
}

struct schedule_names {
	struct arena *arena;
	struct schedule *found;
	size_t count;
};

static bool note_schedule(void *context, const struct schedule *schedule)
{
	struct schedule_names *names = context;
	names->found[names->count++] = *schedule;
	return names->count < LIMIT_SCHEDULES;
}

static void set_text(lua_State *L, const char *field, struct slice text)
{
	lua_pushlstring(L, text.data, text.size);
	lua_setfield(L, -2, field);
}

static int self_schedules(lua_State *L)
{
	struct arena *arena = turn_arena(turn_of(L));
	api_count(L);
	struct schedule_names names = { .arena = arena };
	names.found = arena_alloc(arena, LIMIT_SCHEDULES * sizeof(*names.found));
	storage_each_schedule(lua_class_running(L)->storage, note_schedule, &names);
	lua_createtable(L, (int)names.count, 0);
	for (size_t i = 0; i < names.count; i++) {
		const struct schedule *schedule = &names.found[i];
		lua_createtable(L, 0, 5);
		set_text(L, "name", schedule->name);
		set_text(L, "method", schedule->method);
		if (schedule->cron.size) {
			set_text(L, "cron", schedule->cron);
		} else {
			lua_pushnumber(L, (lua_Number)schedule->every_ms / 1000);
			lua_setfield(L, -2, "every");
		}
		lua_pushinteger(L, schedule->next_ms);
		lua_setfield(L, -2, "next");
		lua_pushinteger(L, schedule->tries);
		lua_setfield(L, -2, "retry_count");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/* --- waits ------------------------------------------------------------------------------------ */

static int after_sleep(lua_State *L, int status, lua_KContext context)
{
	wait_forget(lua_class_call(L));
	return 0;
}

static int lua_sleep(lua_State *L)
{
	struct call *call = check_wait(L);
	lua_Number ms = luaL_checknumber(L, 1);
	if (!(ms >= 0 && ms <= LIMIT_SLEEP_MS))
		return luaL_error(L, "sleep takes 0 to %d milliseconds", LIMIT_SLEEP_MS);
	wait_for_time(call, (int64_t)ms);
	return lua_yieldk(L, 0, 0, after_sleep);
}

/* Its code word and its message. */
static void push_error(lua_State *L, struct slice error)
{
	const char *blank = error.size ? memchr(error.data, ' ', error.size) : NULL;
	size_t code = blank ? (size_t)(blank - error.data) : error.size;
	lua_pushlstring(L, error.data, code);
	lua_pushlstring(L, blank ? blank + 1 : "", blank ? error.size - code - 1 : 0);
}

static int after_object(lua_State *L, int status, lua_KContext context)
{
	struct call *call = lua_class_call(L);
	const struct request *request = call->wait.request;
	if (call->wait.end == WAIT_TIMED_OUT) {
		lua_pushliteral(L, "TIMEOUT");
		lua_pushfstring(L, "the call to %s.%s took longer than %d ms", lua_tostring(L, 1),
			lua_tostring(L, 3), (int)LIMIT_CALL_TIMEOUT_MS);
	} else if (request->turn.failed) {
		push_error(L, request_error(request));
	} else {
		int results = api_push_items(L, buffer_slice(&request->reply));
		wait_forget(call);
		return results;
	}
	wait_forget(call);
	sandbox_raise(L);
}

static void check_links(lua_State *L, const struct call *call, const struct object_name *name)
{
	if (call_has_in_chain(call, name)) {
		lua_pushliteral(L, "CYCLE");
		lua_pushfstring(
			L, "%s '%s' waits for this call", lua_tostring(L, 1), lua_tostring(L, 2));
		sandbox_raise(L);
	}
	if (call_depth(call) >= LIMIT_CALL_DEPTH) {
		lua_pushliteral(L, "DEPTH");
		lua_pushfstring(L, "objects call each other more than %d deep", LIMIT_CALL_DEPTH);
		sandbox_raise(L);
	}
}

/* objects.call(class, id, method, ...) */
static int lua_objects_call(lua_State *L)
{
	struct call *call = check_wait(L);
	size_t most = value_bytes_max(call);
	struct object_name name;
	struct slice method;
	name.class_name.data = luaL_checklstring(L, 1, &name.class_name.size);
	name.id.data = luaL_checklstring(L, 2, &name.id.size);
	method.data = luaL_checklstring(L, 3, &method.size);
	if (!object_class_name_ok(name.class_name))
		luaL_argerror(L, 1, "not a class name");
	if (name.id.size == 0 || name.id.size > LIMIT_KEY_BYTES)
		luaL_argerror(L, 2, "an id is 1 to 2048 bytes long");
	if (method.size > LIMIT_CLASS_NAME_BYTES || !object_method_is_public(method))
		luaL_argerror(L, 3, "not a public method");
	check_links(L, call, &name);
	int last = lua_gettop(L);
	struct buffer *scratch = objects_scratch(call->objects);
	scratch->size = 0;
	packed_add_table(scratch, (uint64_t)(last - 3), 0);
	for (int i = 4; i <= last; i++) {
		lua_value_pack(L, i, scratch, most);
		if (scratch->size > most)
			luaL_error(L, "arguments of more than %I bytes", (LUAI_UACINT)most);
		sandbox_need(L, scratch->size + scratch->size / 4);
	}
	/* Twice while it is copied. */
	sandbox_need(L, 2 * scratch->size);
	sandbox_lend(L, scratch->size);
	wait_for_object(call, &name, method, buffer_slice(scratch));
	return lua_yieldk(L, 0, 0, after_object);
}

/* What a fetch asks for. Its bytes are Lua's, kept on the stack, until all of it is known to be
 * right and to fit. */
struct fetch_request {
	struct slice url;
	struct slice method;
	struct slice body;
	int headers; /* on the stack; 0: none */
	uint32_t header_count;
	size_t bytes;
};

static struct slice read_text(lua_State *L, struct fetch_request *asked, const char *field)
{
	struct slice text = { 0 };
	int type = lua_getfield(L, 1, field);
	if (type == LUA_TNIL)
		return text;
	if (type != LUA_TSTRING)
		luaL_error(L, "http.fetch: %s is a string, not a %s", field, luaL_typename(L, -1));
	text.data = lua_tolstring(L, -1, &text.size);
	asked->bytes += text.size;
	return text;
}

static void read_headers(lua_State *L, struct fetch_request *asked)
{
	if (lua_getfield(L, 1, "headers") == LUA_TNIL)
		return;
	luaL_checktype(L, -1, LUA_TTABLE);
	asked->headers = lua_gettop(L);
	asked->bytes += FETCH_HEADERS_MAX * sizeof(struct fetch_header);
	for (lua_pushnil(L); lua_next(L, asked->headers); lua_pop(L, 1)) {
		int type = lua_type(L, -1);
		sandbox_charge(L, 1);
		if (lua_type(L, -2) != LUA_TSTRING || (type != LUA_TSTRING && type != LUA_TNUMBER))
			luaL_error(L, "http.fetch: headers are texts by name");
		if (asked->header_count++ == FETCH_HEADERS_MAX)
			luaL_error(L, "http.fetch: more than %d headers", FETCH_HEADERS_MAX);
		size_t size = type == LUA_TSTRING ? lua_rawlen(L, -1) : NUMBER_BYTES_MAX;
		asked->bytes += lua_rawlen(L, -2) + size;
	}
}

static void copy_headers(
	lua_State *L, const struct fetch_request *asked, struct arena *arena, struct fetch *fetch)
{
	if (asked->headers == 0)
		return;
	struct fetch_header *headers =
		arena_alloc(arena, FETCH_HEADERS_MAX * sizeof(struct fetch_header));
	for (lua_pushnil(L); lua_next(L, asked->headers); lua_pop(L, 1)) {
		struct slice name, value;
		name.data = lua_tolstring(L, -2, &name.size);
		value.data = lua_tolstring(L, -1, &value.size);
		headers[fetch->header_count++] =
			(struct fetch_header){ arena_copy(arena, name), arena_copy(arena, value) };
	}
	fetch->headers = headers;
}

static int64_t read_number(lua_State *L, const char *field, int64_t usual, int64_t most)
{
	int is_integer = 1;
	lua_Integer number = usual;
	if (lua_getfield(L, 1, field) != LUA_TNIL)
		number = lua_tointegerx(L, -1, &is_integer);
	if (!is_integer || number < 0 || number > most)
		luaL_error(L, "http.fetch: %s is a whole number from 0 to %d", field, (int)most);
	lua_pop(L, 1);
	return number;
}

static void push_headers(lua_State *L, struct slice lines)
{
	lua_newtable(L);
	while (lines.size > 0) {
		const char *end = memchr(lines.data, '\n', lines.size);
		size_t size = end ? (size_t)(end - lines.data) : lines.size;
		const char *colon = memchr(lines.data, ':', size);
		if (colon) {
			size_t name = (size_t)(colon - lines.data);
			size_t skip = name + 1 < size && colon[1] == ' ' ? name + 2 : name + 1;
			lua_pushlstring(L, lines.data, name);
			lua_pushlstring(L, lines.data + skip, size - skip);
			lua_rawset(L, -3);
		}
		size += end != NULL;
		lines = slice_of(lines.data + size, lines.size - size);
	}
}

/* {status, headers, body}; or nil, message, code. */
static int after_fetch(lua_State *L, int status, lua_KContext context)
{
	struct call *call = lua_class_call(L);
	const struct fetch *fetch = call->wait.fetch;
	if (fetch->status == 0) {
		lua_pushnil(L);
		lua_pushstring(L, fetch->error);
		lua_pushstring(L, fetch->code);
		wait_forget(call);
		return 3;
	}
	lua_createtable(L, 0, 3);
	lua_pushinteger(L, fetch->status);
	lua_setfield(L, -2, "status");
	push_headers(L, buffer_slice(&fetch->headers_in));
	lua_setfield(L, -2, "headers");
	lua_pushlstring(L, fetch->body_in.data ? fetch->body_in.data : "", fetch->body_in.size);
	lua_setfield(L, -2, "body");
	wait_forget(call);
	return 1;
}

/* http.fetch{url, method, headers, body, timeout (ms), redirects} */
static int lua_http_fetch(lua_State *L)
{
	struct call *call = check_wait(L);
	struct arena *arena = turn_arena(&call->request->turn);
	struct fetch_request asked = { .bytes = sizeof(struct fetch) };
	static const char *const options[] = { "url", "method", "headers", "body", "timeout",
		"redirects", NULL };
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_options_check(L, 1, "http.fetch", options);
	asked.url = read_text(L, &asked, "url");
	if (asked.url.data == NULL)
		return luaL_error(L, "http.fetch: url is missing");
	asked.method = read_text(L, &asked, "method");
	asked.body = read_text(L, &asked, "body");
	read_headers(L, &asked);
	int64_t timeout_ms = read_number(L, "timeout", FETCH_TIMEOUT_MS, LIMIT_FETCH_TIMEOUT_MS);
	int64_t redirects = read_number(L, "redirects", FETCH_REDIRECTS, 20);
	sandbox_need(L, asked.bytes);
	struct fetch *fetch = arena_alloc(arena, sizeof(*fetch));
	*fetch = (struct fetch){
		.url = arena_copy(arena, asked.url),
		.method = arena_copy(arena, asked.method),
		.body = arena_copy(arena, asked.body),
		.has_body = asked.body.data != NULL,
		.timeout_ms = timeout_ms ? timeout_ms : 1,
		.redirects_max = (uint32_t)redirects,
	};
	copy_headers(L, &asked, arena, fetch);
	api_count(L);
	wait_for_fetch(call, fetch);
	return lua_yieldk(L, 0, 0, after_fetch);
}

/* --- opening ---------------------------------------------------------------------------------- */
static const luaL_Reg self_functions[] = {
	{ "exclusive", self_exclusive },
	{ "schedule", self_schedule },
	{ "unschedule", self_unschedule },
	{ "schedules", self_schedules },
	{ NULL, NULL },
};
void api_open(lua_State *L)
{
	api_storage_open(L);
	lua_rawgetp(L, LUA_REGISTRYINDEX, LUA_KEY_BASE_CLASS);
	luaL_setfuncs(L, self_functions, 0);
	sandbox_guard(L);
	lua_pop(L, 1);

	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, lua_objects_call);
	lua_setfield(L, -2, "call");
	lua_setglobal(L, "objects");
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, lua_http_fetch);
	lua_setfield(L, -2, "fetch");
	lua_setglobal(L, "http");
	lua_pushcfunction(L, lua_sleep);
	lua_setglobal(L, "sleep");
}

void api_push_self(lua_State *L, struct call *call)
{
	struct lua_class *lua = lua_class_of(call->state);
	struct object *object = call->object;
	/* What is kept of the object outside of Lua; lua_runtime's drop gives it back. */
	sandbox_need(L, object_bytes(object));
	lua_createtable(L, 0, 6);
	set_text(L, "id", call->name.id);
	set_text(L, "class", call->name.class_name);
	api_storage_push(L, lua->serial + 1);
	lua_setfield(L, -2, "storage");
	lua_rawgetp(L, LUA_REGISTRYINDEX, LUA_KEY_METATABLE);
	lua_setmetatable(L, -2);
	lua_pushvalue(L, -1);
	object->self = luaL_ref(L, LUA_REGISTRYINDEX);
	if (!sandbox_try_lend(lua->sandbox, object_bytes(object))) {
		luaL_unref(L, LUA_REGISTRYINDEX, object->self);
		luaL_error(L, "not enough memory");
	}
	/* Nothing below raises an error: the instance is there. */
	object->serial = ++lua->serial;
	call_made_instance(call);
}
