/*
 * sandbox: the state, its memory, its threads.
 *
 * Memory. The allocator counts what a heap of the state's own takes from the system and refuses
 * what would go beyond the cap; Lua then collects everything, asks once more, and raises "not
 * enough memory". Lua's interface may raise that error in nearly every function, so each use here
 * is either within lua_pcall or of functions that allocate nothing. The panic function is out of
 * reach.
 *
 * A state is never closed but thrown away with its heap: there are no finalizers that would have
 * something to do. For the same reason it can be lost at any moment (sandbox_budget.c).
 *
 * Threads: a state belongs to one.
 */
#include "lua/sandbox_private.h"

#include "base/logline.h"
#include "base/memory.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *allocate(void *context, void *old, size_t old_size, size_t size);
static int panic(lua_State *L);
static int open_state(lua_State *L);
static void set_room(struct sandbox *sandbox);
static int new_thread(lua_State *L);
static void drop_thread(struct sandbox *sandbox, lua_State *thread);

struct sandbox *sandbox_new(size_t memory_max, struct clock *clock)
{
	struct sandbox *sandbox = memory_zeroed(sizeof(*sandbox));
	sandbox->memory_max = memory_max;
	heap_init(&sandbox->heap, memory_max);
	sandbox->clock = clock;
	sandbox->main = lua_newstate(allocate, sandbox);
	assert(sandbox->main != NULL);
	watchdog_may_cut((const void *)(uintptr_t)lua_resume);
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
	heap_fini(&sandbox->heap);
	memory_free(sandbox);
}

void sandbox_lose(struct sandbox *sandbox)
{
	heap_fini(&sandbox->heap);
	sandbox->main = NULL;
	sandbox->idle_count = 0;
	sandbox->budget.thread = NULL;
}

bool sandbox_is_lost(const struct sandbox *sandbox)
{
	return sandbox->main == NULL;
}

lua_State *sandbox_lua(struct sandbox *sandbox)
{
	return sandbox->main;
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

/* --- memory ----------------------------------------------------------------------------------- */

size_t sandbox_memory(const struct sandbox *sandbox)
{
	return sandbox->heap.bytes + sandbox->lent;
}

size_t sandbox_memory_max(const struct sandbox *sandbox)
{
	return sandbox->memory_max;
}

size_t sandbox_room(const struct sandbox *sandbox)
{
	size_t taken = sandbox_memory(sandbox);
	return taken < sandbox->memory_max ? sandbox->memory_max - taken : 0;
}

bool sandbox_try_lend(struct sandbox *sandbox, size_t bytes)
{
	if (bytes > sandbox_room(sandbox))
		return false;
	sandbox->lent += bytes;
	set_room(sandbox);
	return true;
}

void sandbox_need(lua_State *L, size_t bytes)
{
	struct sandbox *sandbox = sandbox_of(L);
	if (bytes <= sandbox_room(sandbox))
		return;
	sandbox_charge_refusal(sandbox);
	lua_gc(L, LUA_GCCOLLECT, 0);
	if (bytes > sandbox_room(sandbox))
		luaL_error(L, "not enough memory");
}

void sandbox_lend(lua_State *L, size_t bytes)
{
	sandbox_need(L, bytes);
	bool lent = sandbox_try_lend(sandbox_of(L), bytes);
	assert(lent);
}

void sandbox_give_back(struct sandbox *sandbox, size_t bytes)
{
	assert(bytes <= sandbox->lent);
	sandbox->lent -= bytes;
	set_room(sandbox);
}

static void set_room(struct sandbox *sandbox)
{
	sandbox->heap.bytes_max = sandbox->memory_max - sandbox->lent;
}

/* Not base/memory.h: here the lack of memory is an error of the class. */
static void *allocate(void *context, void *old, size_t old_size, size_t size)
{
	struct sandbox *sandbox = context;
	if (old == NULL)
		old_size = 0; /* Lua hands over a type there */
	void *block = heap_resize(&sandbox->heap, old, old_size, size);
	if (block == NULL && size > 0)
		sandbox_charge_refusal(sandbox);
	return block;
}

static int panic(lua_State *L)
{
	logline(LOGLINE_WARNING, "a Lua error outside of a protected call: %s",
		lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : luaL_typename(L, -1));
	abort();
}

/* --- work of the server's own ----------------------------------------------------------------- */

bool sandbox_try(struct sandbox *sandbox, lua_CFunction function, void *argument, char *error,
	size_t error_size)
{
	lua_State *L = sandbox->main;
	struct budget saved = sandbox->budget;
	assert(!watchdog_runs(&sandbox->watchdog));
	if (L == NULL || !lua_checkstack(L, 2)) {
		if (error_size)
			snprintf(error, error_size, "not enough memory");
		return false;
	}
	sandbox_begin_own(sandbox);
	lua_pushcfunction(L, function);
	lua_pushlightuserdata(L, argument);
	int status = lua_pcall(L, 1, 0, 0);
	if (status != LUA_OK)
		sandbox_take_error(L, error, error_size);
	sandbox->budget = saved;
	if (saved.thread)
		sandbox_aim(sandbox, saved.thread);
	return status == LUA_OK;
}

static int open_state(lua_State *L)
{
	sandbox_open_values(L);
	sandbox_open_base(L);
	return 0;
}

/* --- threads ---------------------------------------------------------------------------------- */

lua_State *sandbox_take_thread(struct sandbox *sandbox)
{
	lua_State *thread = NULL;
	if (sandbox->idle_count)
		thread = sandbox->idle[--sandbox->idle_count];
	else
		sandbox_try(sandbox, new_thread, &thread, NULL, 0);
	if (thread)
		sandbox_aim(sandbox, thread);
	return thread;
}

static int new_thread(lua_State *L)
{
	lua_State **out = lua_touserdata(L, 1);
	lua_State *thread = lua_newthread(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, thread);
	*out = thread;
	return 0;
}

static void reset_thread(void *thread)
{
	lua_resetthread(thread);
}

void sandbox_put_thread(struct sandbox *sandbox, lua_State **taken)
{
	lua_State *thread = *taken;
	*taken = NULL;
	if (sandbox_is_lost(sandbox))
		return;
	lua_State *spender = sandbox->budget.thread;
	bool spent = sandbox_is_spent(thread);
	if (!spent && lua_status(thread) != LUA_OK) {
		/* Closing variables runs code of the class, on what is left of the budget. */
		sandbox->budget.thread = thread;
		sandbox_aim(sandbox, thread);
		sandbox_watch(sandbox, reset_thread, thread);
		if (sandbox_is_lost(sandbox))
			return;
		spent = sandbox_is_spent(thread);
	}
	sandbox->budget.thread = spender == thread ? NULL : spender;
	if (spent || sandbox->idle_count == SANDBOX_THREADS_IDLE) {
		drop_thread(sandbox, thread);
		/* A spent one may hold buffers, whose finalizers no collection runs that is for
		 * lack of memory. */
		if (spent)
			lua_gc(sandbox->main, LUA_GCCOLLECT, 0);
		return;
	}
	lua_settop(thread, 0);
	sandbox->idle[sandbox->idle_count++] = thread;
}

/* Nothing is allocated: the key is there. */
static void drop_thread(struct sandbox *sandbox, lua_State *thread)
{
	lua_pushnil(sandbox->main);
	lua_rawsetp(sandbox->main, LUA_REGISTRYINDEX, thread);
}
