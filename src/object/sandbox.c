/*
 * sandbox: the state, its memory, its budget, its threads.
 *
 * Memory. The allocator counts bytes and refuses what would go beyond the cap; Lua then collects
 * everything, asks once more, and raises "not enough memory". Lua's interface may raise that error
 * in nearly every function, so each use here is either within lua_pcall or of functions that
 * allocate nothing. The panic function is out of reach.
 *
 * Budget. Three things spend it: the count hook, sandbox_charge, and the allocator (for a refusal,
 * since each costs a whole collection). One instruction can take long while large blocks are alive
 * (a string of megabytes is compared, copied, hashed; a table is walked), so the hook comes more
 * often then: when the allocator hands out the first it sets the hook of the running thread, which
 * Lua allows at any time. Instructions begun under the long interval are charged for in full then.
 *
 * When the budget is used up the hook raises an error, and from then on at every instruction of
 * this thread; pcall and xpcall raise it again. Nothing of a class runs with hooks off: Lua turns
 * them off in finalizers, of which there are none (sandbox_set_metatable), and in a message handler
 * that answers an error of the hook, so none is ever given to lua_pcall. A thread whose last error
 * came from the hook keeps its hooks off for ever, so it is not used again, nor are its variables
 * closed: it is left to the collector.
 *
 * Metatables. A value never gets the table that a class hands to setmetatable but a copy of its
 * metamethods, which no class can reach: see sandbox_set_metatable.
 *
 * Threads: a state belongs to one.
 */
#include "object/sandbox.h"

#include "base/logline.h"
#include "base/memory.h"
#include "object/sandbox_private.h"

#include <assert.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE_BLOCK 65536

/* Instructions between two calls of the hook. */
#define INTERVAL       1000
#define INTERVAL_LARGE 20
#define INTERVAL_SOON  2
#define INTERVAL_OVER  1

/* What a try of the server's own may spend: it ends even when it meets something of a class. */
#define TRY_INSTRUCTIONS 200000000

/* Bytes of a source compiled between two looks at the clock: for some sources the compiler takes
 * time with the square of their size. */
#define LOAD_BYTES 64

/* Calls within calls in which a protected one may stand. */
#define PROTECTED_DEPTH_MAX 4000

/* Idle threads kept. */
#define THREADS_IDLE 64

/* What a metatable may hold. */
static const char *const metamethods[] = { "__index", "__newindex", "__call", "__tostring",
	"__name", "__metatable", "__mode", "__close", "__pairs", "__len", "__eq", "__lt", "__le",
	"__concat", "__unm", "__add", "__sub", "__mul", "__div", "__mod", "__pow", "__idiv",
	"__band", "__bor", "__bxor", "__bnot", "__shl", "__shr" };

#define METAMETHOD_COUNT ((int)(sizeof(metamethods) / sizeof(metamethods[0])))

struct budget {
	lua_State *thread; /* that spends it; NULL: it is gone */
	uint64_t used;
	uint64_t instructions_max;
	uint64_t look_at; /* `used` at which the clock is looked at next */
	uint64_t deadline_ns;
	bool exhausted;
};

struct sandbox {
	lua_State *main;
	struct clock *clock;
	void *context;
	size_t memory;
	size_t memory_max;
	size_t large_blocks; /* alive */
	bool refused;        /* a block, since the hook looked */
	struct budget budget;
	lua_State *idle[THREADS_IDLE];
	unsigned idle_count;
};

/* Keys of the registry. */
static const char failure_key, code_key, message_key, names_key, views_key;
/* Keys of a metatable: the class's own that it was copied from, and which metamethods it has. */
static const char origin_key, held_key;
/* The error of a used-up budget: an address, so that raising it takes no memory. */
static const char exhausted_error;

static void *allocate(void *context, void *old, size_t old_size, size_t size);
static void account(struct sandbox *sandbox, size_t old_size, size_t size);
static void hurry(struct sandbox *sandbox, int interval);
static int panic(lua_State *L);
static int open_state(lua_State *L);
static int failure_to_string(lua_State *L);
static void push_view(lua_State *L, int origin);
static void check_metamethods(lua_State *L, int metatable);
static void on_count(lua_State *L, lua_Debug *activation);
static int interval_of(const struct sandbox *sandbox);
static void aim(struct sandbox *sandbox, lua_State *thread);
static void spend(struct sandbox *sandbox, lua_State *L, uint64_t instructions);
_Noreturn static void raise_exhausted(struct sandbox *sandbox, lua_State *L);
static int new_thread(lua_State *L);
static void drop_thread(struct sandbox *sandbox, lua_State *thread);
static bool is_code(struct slice text);
static struct slice raw_text(lua_State *L, int index, const void *name_key);
static void put_text(char *out, size_t size, struct slice text);

struct sandbox *sandbox_new(size_t memory_max, struct clock *clock)
{
	struct sandbox *sandbox = memory_zeroed(sizeof(*sandbox));
	sandbox->memory_max = memory_max;
	sandbox->clock = clock;
	sandbox->main = lua_newstate(allocate, sandbox);
	assert(sandbox->main != NULL);
	lua_atpanic(sandbox->main, panic);
	memcpy(lua_getextraspace(sandbox->main), &sandbox, sizeof(struct sandbox *));
	/* Not by generations: their major collections are pauses several times as long. */
	lua_gc(sandbox->main, LUA_GCINC, 0, 0, 0);
	char error[256];
	bool opened = sandbox_try(sandbox, open_state, NULL, error, sizeof(error));
	assert(opened);
	return sandbox;
}

void sandbox_free(struct sandbox **taken)
{
	struct sandbox *sandbox = *taken;
	*taken = NULL;
	sandbox->budget.thread = NULL;
	lua_close(sandbox->main);
	assert(sandbox->memory == 0);
	memory_free(sandbox);
}

lua_State *sandbox_lua(struct sandbox *sandbox)
{
	return sandbox->main;
}

size_t sandbox_memory(const struct sandbox *sandbox)
{
	return sandbox->memory;
}

size_t sandbox_memory_max(const struct sandbox *sandbox)
{
	return sandbox->memory_max;
}

struct sandbox *sandbox_of(lua_State *L)
{
	struct sandbox *sandbox;
	memcpy(&sandbox, lua_getextraspace(L), sizeof(struct sandbox *));
	return sandbox;
}

void sandbox_set_context(struct sandbox *sandbox, void *context)
{
	sandbox->context = context;
}

void *sandbox_context(struct sandbox *sandbox)
{
	return sandbox->context;
}

/* --- budget --------------------------------------------------------------------------------------
 */

void sandbox_begin(
	struct sandbox *sandbox, lua_State *thread, uint64_t instructions_max, uint64_t time_max_ns)
{
	uint64_t now_ns = clock_monotonic_ns(sandbox->clock);
	sandbox->budget = (struct budget){
		.thread = thread,
		.instructions_max = instructions_max,
		.look_at = INTERVAL,
		.deadline_ns =
			time_max_ns < UINT64_MAX - now_ns ? now_ns + time_max_ns : UINT64_MAX,
	};
	lua_sethook(thread, on_count, LUA_MASKCOUNT, interval_of(sandbox));
}

bool sandbox_is_exhausted(const struct sandbox *sandbox)
{
	return sandbox->budget.exhausted;
}

void sandbox_charge(lua_State *L, uint64_t instructions)
{
	struct sandbox *sandbox = sandbox_of(L);
	if (instructions < INTERVAL &&
		sandbox->budget.used + instructions < sandbox->budget.look_at)
		sandbox->budget.used += instructions;
	else
		spend(sandbox, L, instructions);
}

void sandbox_check_depth(lua_State *L)
{
	lua_Debug activation;
	if (lua_getstack(L, PROTECTED_DEPTH_MAX, &activation))
		luaL_error(L, "stack overflow");
}

void sandbox_go_on(lua_State *L)
{
	struct sandbox *sandbox = sandbox_of(L);
	if (sandbox->budget.exhausted)
		raise_exhausted(sandbox, L);
}

/* Takes the next bytes of the source off its front. */
static const char *read_source(lua_State *L, void *context, size_t *size)
{
	struct slice *source = context;
	const char *data = source->data;
	*size = source->size < LOAD_BYTES ? source->size : LOAD_BYTES;
	source->data += *size;
	source->size -= *size;
	spend(sandbox_of(L), L, *size);
	return data;
}

int sandbox_load(lua_State *L, struct slice source, const char *chunk_name)
{
	int status = lua_load(L, read_source, &source, chunk_name, "t");
	sandbox_go_on(L);
	return status;
}

/* --- threads -------------------------------------------------------------------------------------
 */

lua_State *sandbox_take_thread(struct sandbox *sandbox)
{
	lua_State *thread = NULL;
	if (sandbox->idle_count)
		thread = sandbox->idle[--sandbox->idle_count];
	else
		sandbox_try(sandbox, new_thread, &thread, NULL, 0);
	if (thread)
		aim(sandbox, thread);
	return thread;
}

void sandbox_put_thread(struct sandbox *sandbox, lua_State **taken)
{
	lua_State *thread = *taken;
	*taken = NULL;
	lua_State *spender = sandbox->budget.thread;
	bool over = lua_gethookcount(thread) == INTERVAL_OVER;
	if (!over && lua_status(thread) != LUA_OK) {
		/* Closing variables runs code of the class, on what is left of the budget. */
		sandbox->budget.thread = thread;
		aim(sandbox, thread);
		lua_resetthread(thread);
		over = lua_gethookcount(thread) == INTERVAL_OVER;
	}
	sandbox->budget.thread = spender == thread ? NULL : spender;
	if (over || sandbox->idle_count == THREADS_IDLE) {
		drop_thread(sandbox, thread);
		return;
	}
	lua_settop(thread, 0);
	sandbox->idle[sandbox->idle_count++] = thread;
}

bool sandbox_try(struct sandbox *sandbox, lua_CFunction function, void *argument, char *error,
	size_t error_size)
{
	lua_State *L = sandbox->main;
	struct budget saved = sandbox->budget;
	sandbox->budget = (struct budget){
		.thread = L,
		.instructions_max = TRY_INSTRUCTIONS,
		.look_at = INTERVAL,
		.deadline_ns = UINT64_MAX,
	};
	aim(sandbox, L);
	int status = LUA_ERRMEM;
	if (lua_checkstack(L, 2)) {
		lua_pushcfunction(L, function);
		lua_pushlightuserdata(L, argument);
		status = lua_pcall(L, 1, 0, 0);
		if (status != LUA_OK)
			sandbox_take_error(L, error, error_size);
	} else {
		put_text(error, error_size, slice_text("not enough memory"));
	}
	sandbox->budget = saved;
	if (saved.thread)
		aim(sandbox, saved.thread);
	return status == LUA_OK;
}

/* --- errors --------------------------------------------------------------------------------------
 */

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
	} else if (lua_touserdata(L, value) == &exhausted_error) {
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

/* --- metatables ----------------------------------------------------------------------------------
 */

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

/* --- the inside ----------------------------------------------------------------------------------
 */

/* Not base/memory.h: here the lack of memory is an error of the class. */
static void *allocate(void *context, void *old, size_t old_size, size_t size)
{
	struct sandbox *sandbox = context;
	if (old == NULL)
		old_size = 0; /* Lua hands over a type there */
	if (size > old_size && size - old_size > sandbox->memory_max - sandbox->memory) {
		/* All is collected before Lua asks again. */
		sandbox->refused = true;
		sandbox->budget.used += sandbox->memory / 1024;
		sandbox->budget.look_at = 0;
		hurry(sandbox, INTERVAL_SOON);
		return NULL;
	}
	if (size == 0) {
		free(old);
		account(sandbox, old_size, 0);
		return NULL;
	}
	void *block = realloc(old, size);
	if (block == NULL && size > old_size)
		return NULL;
	account(sandbox, old_size, size);
	return block ? block : old; /* Lua relies on it that a block can be made smaller */
}

static void account(struct sandbox *sandbox, size_t old_size, size_t size)
{
	sandbox->memory += size - old_size;
	if (old_size >= LARGE_BLOCK)
		sandbox->large_blocks--;
	if (size < LARGE_BLOCK)
		return;
	sandbox->large_blocks++;
	hurry(sandbox, INTERVAL_LARGE);
}

/* The running thread's hook comes within so many instructions. */
static void hurry(struct sandbox *sandbox, int interval)
{
	lua_State *thread = sandbox->budget.thread;
	int before = thread ? lua_gethookcount(thread) : 0;
	if (before <= interval)
		return;
	sandbox->budget.used += (uint64_t)before;
	lua_sethook(thread, on_count, LUA_MASKCOUNT, interval);
}

static int panic(lua_State *L)
{
	logline(LOGLINE_WARNING, "a Lua error outside of a protected call: %s",
		lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : luaL_typename(L, -1));
	abort();
}

static int open_state(lua_State *L)
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
	sandbox_open_base(L);
	return 0;
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

static void on_count(lua_State *L, lua_Debug *activation)
{
	struct sandbox *sandbox = sandbox_of(L);
	sandbox->refused = false;
	spend(sandbox, L, (uint64_t)lua_gethookcount(L));
	aim(sandbox, L);
}

static int interval_of(const struct sandbox *sandbox)
{
	if (sandbox->budget.exhausted)
		return INTERVAL_OVER;
	if (sandbox->refused)
		return INTERVAL_SOON;
	return sandbox->large_blocks ? INTERVAL_LARGE : INTERVAL;
}

/* Setting a hook begins its interval anew, so it is only done when that changes. */
static void aim(struct sandbox *sandbox, lua_State *thread)
{
	int interval = interval_of(sandbox);
	if (lua_gethookcount(thread) != interval)
		lua_sethook(thread, on_count, LUA_MASKCOUNT, interval);
}

static void spend(struct sandbox *sandbox, lua_State *L, uint64_t instructions)
{
	struct budget *budget = &sandbox->budget;
	uint64_t room = UINT64_MAX - budget->used;
	budget->used += instructions < room ? instructions : room;
	if (budget->used > budget->instructions_max)
		budget->exhausted = true;
	else if (budget->deadline_ns != UINT64_MAX)
		budget->exhausted |= clock_monotonic_ns(sandbox->clock) >= budget->deadline_ns;
	if (budget->exhausted)
		raise_exhausted(sandbox, L);
	budget->look_at = budget->used + INTERVAL;
}

static void raise_exhausted(struct sandbox *sandbox, lua_State *L)
{
	sandbox->budget.look_at = 0;
	aim(sandbox, L);
	lua_pushlightuserdata(L, (void *)(uintptr_t)&exhausted_error);
	lua_error(L);
	abort();
}

static int new_thread(lua_State *L)
{
	lua_State **out = lua_touserdata(L, 1);
	lua_State *thread = lua_newthread(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, thread);
	*out = thread;
	return 0;
}

/* Nothing is allocated: the key is there. */
static void drop_thread(struct sandbox *sandbox, lua_State *thread)
{
	lua_pushnil(sandbox->main);
	lua_rawsetp(sandbox->main, LUA_REGISTRYINDEX, thread);
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
