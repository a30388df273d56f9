/*
 * sandbox_budget: what a turn may spend.
 *
 * Four things look at the budget: the count hook, every INTERVAL instructions; sandbox_charge,
 * which each function in C calls when it is entered; pcall, when it returns; and the watchdog, when
 * the time is over, by setting the hook of the running thread, which Lua allows at any moment, so
 * that it comes at the next instruction. The clock is looked at besides, each INTERVAL units:
 * a test's clock has no watchdog, and a system may have no timer left.
 *
 *   used up, found by the hook or a function --> watchdog_leave: the thread is left as it stands
 *   nothing finds it for a while             --> the watchdog cuts: the state is lost
 *
 * A thread that is left stands between two instructions or in a function's call of sandbox_charge:
 * at these places an error may leave too, so its state is whole, and the collector takes the thread
 * like one that waits. What it was in the midst of never goes on: no pcall, no variable that would
 * be closed, none of what an adversary could arrange to run while an error goes up.
 *
 * A cut comes between any two instructions of Lua's own, when all that it has may be half done. One
 * single instruction can take seconds: a table of integer keys that collide is rehashed, strings of
 * megabytes are compared. Nothing of a state is looked at again after a cut.
 *
 * Where nobody watches (sandbox_begin), and while a function holds, a used-up budget is an error,
 * raised again by each look.
 */
#include "lua/sandbox_private.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>

/* Instructions between two calls of the hook. */
#define INTERVAL      1000
#define INTERVAL_OVER 1

/* What the server's own work may spend: it ends even when it meets something of a class. */
#define OWN_INSTRUCTIONS 200000000

/* A time that does not come, with room for what is added to it. */
#define NEVER_NS (UINT64_MAX / 2)

/* Bytes of a source compiled between two looks at the clock: for some sources the compiler takes
 * time with the square of their size. */
#define LOAD_BYTES 64

/* Calls within calls in which a protected one may stand. */
#define PROTECTED_DEPTH_MAX 4000

const char sandbox_exhausted_error = 0;

static void on_count(lua_State *L, lua_Debug *activation);
static void on_time_over(void *context);
static void spend(struct sandbox *sandbox, lua_State *L, uint64_t instructions);
static void count(struct sandbox *sandbox, uint64_t instructions);
_Noreturn static void end_turn(struct sandbox *sandbox, lua_State *L);

/* --- turns ------------------------------------------------------------------------------------ */

void sandbox_begin(
	struct sandbox *sandbox, lua_State *thread, uint64_t instructions_max, uint64_t time_max_ns)
{
	uint64_t now_ns = clock_monotonic_ns(sandbox->clock);
	uint64_t over_at_ns = time_max_ns < NEVER_NS - now_ns ? now_ns + time_max_ns : NEVER_NS;
	bool is_watched = sandbox->clock == clock_system();
	sandbox->budget = (struct budget){
		.thread = thread,
		.instructions_max = instructions_max,
		.look_at = INTERVAL,
		.over_at_ns = is_watched ? over_at_ns : UINT64_MAX,
		.deadline_ns = is_watched ? over_at_ns + WATCHDOG_GRACE_NS_MAX : over_at_ns,
	};
	lua_sethook(thread, on_count, LUA_MASKCOUNT, INTERVAL);
}

void sandbox_begin_own(struct sandbox *sandbox)
{
	sandbox->budget = (struct budget){
		.thread = sandbox->main,
		.instructions_max = OWN_INSTRUCTIONS,
		.look_at = INTERVAL,
		.over_at_ns = UINT64_MAX,
		.deadline_ns = UINT64_MAX,
	};
	sandbox_aim(sandbox, sandbox->main);
}

struct watched {
	struct sandbox *sandbox;
	void (*run)(void *argument);
	void *argument;
};

static void run_watched(void *context)
{
	const struct watched *watched = context;
	watched->run(watched->argument);
}

bool sandbox_watch(struct sandbox *sandbox, void (*run)(void *), void *argument)
{
	struct watched watched = { sandbox, run, argument };
	enum watchdog_end end = watchdog_run(&sandbox->watchdog, sandbox->budget.over_at_ns,
		on_time_over, run_watched, &watched);
	if (end == WATCHDOG_CUT) {
		sandbox->budget.exhausted = true;
		sandbox_lose(sandbox);
	} else if (sandbox->budget.exhausted) {
		sandbox_aim(sandbox, sandbox->budget.thread);
	}
	return end == WATCHDOG_DONE;
}

struct turn_of_thread {
	lua_State *thread;
	int arguments;
	int status;
};

static void resume(void *context)
{
	struct turn_of_thread *turn = context;
	int results;
	turn->status = lua_resume(turn->thread, NULL, turn->arguments, &results);
}

enum sandbox_end sandbox_run(struct sandbox *sandbox, lua_State *thread, int arguments,
	uint64_t instructions_max, uint64_t time_max_ns)
{
	struct turn_of_thread turn = { thread, arguments, LUA_OK };
	sandbox_begin(sandbox, thread, instructions_max, time_max_ns);
	sandbox_watch(sandbox, resume, &turn);
	if (sandbox_is_lost(sandbox))
		return SANDBOX_LOST;
	if (sandbox->budget.exhausted)
		return SANDBOX_EXHAUSTED;
	if (turn.status == LUA_YIELD)
		return SANDBOX_WAITS;
	return turn.status == LUA_OK ? SANDBOX_DONE : SANDBOX_FAILED;
}

bool sandbox_is_exhausted(const struct sandbox *sandbox)
{
	return sandbox->budget.exhausted;
}

bool sandbox_is_late(const struct sandbox *sandbox)
{
	return sandbox->budget.exhausted &&
		sandbox->budget.used <= sandbox->budget.instructions_max;
}

bool sandbox_is_spent(lua_State *thread)
{
	return lua_gethookcount(thread) == INTERVAL_OVER;
}

/* --- spending --------------------------------------------------------------------------------- */

void sandbox_charge(lua_State *L, uint64_t instructions)
{
	struct budget *budget = &sandbox_of(L)->budget;
	if (instructions < INTERVAL && budget->used + instructions < budget->look_at &&
		!budget->time_is_over)
		budget->used += instructions;
	else
		spend(sandbox_of(L), L, instructions);
}

bool sandbox_charge_on(lua_State *L, uint64_t instructions)
{
	struct sandbox *sandbox = sandbox_of(L);
	struct budget *budget = &sandbox->budget;
	budget->used += instructions;
	if (budget->used >= budget->look_at || budget->time_is_over)
		count(sandbox, 0);
	return !budget->exhausted;
}

void sandbox_charge_refusal(struct sandbox *sandbox)
{
	sandbox->budget.used += sandbox_memory(sandbox) / 1024;
	sandbox->budget.look_at = 0;
}

void sandbox_go_on(lua_State *L)
{
	sandbox_charge(L, 1);
}

static int call_guarded(lua_State *L)
{
	sandbox_charge(L, 1);
	return lua_tocfunction(L, lua_upvalueindex(2))(L);
}

void sandbox_guard(lua_State *L)
{
	int table = lua_gettop(L);
	luaL_checkstack(L, 5, NULL);
	for (lua_pushnil(L); lua_next(L, table); lua_settop(L, table + 1)) {
		if (!lua_iscfunction(L, -1))
			continue;
		/* The function finds its own upvalue where it stood. */
		if (lua_getupvalue(L, -1, 1) == NULL)
			lua_pushnil(L);
		lua_insert(L, -2);
		lua_pushcclosure(L, call_guarded, 2);
		lua_pushvalue(L, table + 1);
		lua_insert(L, -2);
		lua_rawset(L, table);
	}
}

void sandbox_hold(lua_State *L)
{
	watchdog_hold(&sandbox_of(L)->watchdog);
}

void sandbox_release(lua_State *L)
{
	watchdog_release(&sandbox_of(L)->watchdog);
}

void sandbox_check_depth(lua_State *L)
{
	lua_Debug activation;
	if (lua_getstack(L, PROTECTED_DEPTH_MAX, &activation))
		luaL_error(L, "stack overflow");
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

/* --- the inside ------------------------------------------------------------------------------- */

void sandbox_aim(struct sandbox *sandbox, lua_State *thread)
{
	/* Setting a hook begins its interval anew, so it is only done when that changes. */
	int interval = sandbox->budget.exhausted ? INTERVAL_OVER : INTERVAL;
	if (lua_gethookcount(thread) != interval)
		lua_sethook(thread, on_count, LUA_MASKCOUNT, interval);
}

static void on_count(lua_State *L, lua_Debug *activation)
{
	spend(sandbox_of(L), L, (uint64_t)lua_gethookcount(L));
}

/* A signal handler's. */
static void on_time_over(void *context)
{
	const struct watched *watched = context;
	struct budget *budget = &watched->sandbox->budget;
	budget->time_is_over = 1;
	if (budget->thread)
		lua_sethook(budget->thread, on_count, LUA_MASKCOUNT, INTERVAL_OVER);
}

/* Notes what is spent, and whether that was too much. */
static void count(struct sandbox *sandbox, uint64_t instructions)
{
	struct budget *budget = &sandbox->budget;
	uint64_t room = UINT64_MAX - budget->used;
	budget->used += instructions < room ? instructions : room;
	if (budget->used > budget->instructions_max || budget->time_is_over)
		budget->exhausted = true;
	else if (budget->deadline_ns != UINT64_MAX)
		budget->exhausted |= clock_monotonic_ns(sandbox->clock) >= budget->deadline_ns;
	budget->look_at = budget->exhausted ? 0 : budget->used + INTERVAL;
}

static void spend(struct sandbox *sandbox, lua_State *L, uint64_t instructions)
{
	count(sandbox, instructions);
	if (sandbox->budget.exhausted)
		end_turn(sandbox, L);
}

static void end_turn(struct sandbox *sandbox, lua_State *L)
{
	if (watchdog_runs(&sandbox->watchdog) && !sandbox->watchdog.held)
		watchdog_leave(&sandbox->watchdog);
	sandbox_aim(sandbox, L);
	lua_pushlightuserdata(L, (void *)(uintptr_t)&sandbox_exhausted_error);
	lua_error(L);
	abort();
}
