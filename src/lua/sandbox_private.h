/*
 * sandbox_private: shared by the files of the sandbox.
 *
 *   sandbox.c         the state: memory, threads
 *   sandbox_budget.c  what a turn may spend, and its end
 *   sandbox_value.c   errors and metatables
 *   sandbox_base.c    the globals of a class, string, math and utf8
 *   sandbox_table.c   table
 */
#ifndef LUA_SANDBOX_PRIVATE_H
#define LUA_SANDBOX_PRIVATE_H

#include "lua/sandbox.h"

#include "base/heap.h"
#include "base/watchdog.h"

/* Bytes copied or compared for what an instruction costs. */
#define SANDBOX_CHARGE_BYTES 32

/* Idle threads kept. */
#define SANDBOX_THREADS_IDLE 64

struct budget {
	lua_State *thread; /* that spends it; NULL: it is gone */
	uint64_t used;
	uint64_t instructions_max;
	uint64_t look_at;                   /* `used` at which the clock is looked at next */
	uint64_t over_at_ns;                /* for the watchdog */
	uint64_t deadline_ns;               /* for the looks at the clock */
	volatile sig_atomic_t time_is_over; /* set by the watchdog, in a signal handler */
	bool exhausted;
};

struct sandbox {
	lua_State *main; /* NULL: lost */
	struct clock *clock;
	void *context;
	struct heap heap;
	size_t memory_max;
	size_t lent; /* of memory_max: not in the heap, but taken for this class */
	struct budget budget;
	struct watchdog watchdog;
	lua_State *idle[SANDBOX_THREADS_IDLE];
	unsigned idle_count;
};

/* --- the budget ------------------------------------------------------------------------------- */

/* The error of a used-up budget: its address, so that raising it takes no memory. */
extern const char sandbox_exhausted_error;

/* Runs run(argument) on what is left of the budget, under the watchdog. False: it did not return;
 * its thread is spent, or the state is lost. */
bool sandbox_watch(struct sandbox *sandbox, void (*run)(void *), void *argument);
/* A budget for the server's own work on the main thread. */
void sandbox_begin_own(struct sandbox *sandbox);
/* Gives `thread` the hook that goes with the budget. */
void sandbox_aim(struct sandbox *sandbox, lua_State *thread);
/* A budget was used up on it. It stands where it was then, and can only be left to the collector.
 */
bool sandbox_is_spent(lua_State *thread);
/* The allocator has refused a block: all is collected before Lua asks again. */
void sandbox_charge_refusal(struct sandbox *sandbox);
/* Ends the turn if the budget is used up: what pcall does when it returns. */
void sandbox_go_on(lua_State *L);
/* Everything that Lua has is gone. */
void sandbox_lose(struct sandbox *sandbox);

/* --- the libraries ---------------------------------------------------------------------------- */

/* Replaces the globals of a new state by those that a class has. Within a protected call. */
void sandbox_open_base(lua_State *L);
/* Puts table's functions into the table on top of the stack. */
void sandbox_open_table(lua_State *L);

/* --- metatables ------------------------------------------------------------------------------- */

/* What metatables and errors keep in the registry. Within a protected call. */
void sandbox_open_values(lua_State *L);
/* Pushes what getmetatable answers. True when setmetatable must not replace it: it is protected, or
 * not from a class. */
bool sandbox_push_metatable(lua_State *L, int index);

#endif
