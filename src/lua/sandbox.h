/*
 * sandbox: a Lua state in which code of strangers can do no harm: bounded memory, a budget of
 * instructions and time for each turn that no trick gets around, and only libraries that touch
 * nothing outside. One state a worker and class (object/).
 *
 * Budget. A count hook charges instructions; functions in C look at the budget when they are
 * entered, and those whose work is not bounded by the size of a call charge for it
 * (sandbox_charge). The time is watched from outside (base/watchdog.h). When the budget is used up
 * the turn ends where it is: nothing unwinds, no pcall sees it, no variable is closed. A turn that
 * gets to none of these places, because one instruction takes too long, is cut off a moment later,
 * and the whole state is lost with it.
 *
 * Memory. What Lua takes counts, and what is lent to the class outside of Lua.
 *
 * What is there: assert error fail ipairs next pairs pcall xpcall rawequal rawget rawlen rawset
 * select setmetatable getmetatable tonumber tostring type, math (no randomseed), string (no dump),
 * table, utf8, and what lua/libraries.h adds. Not there: load, require, coroutine,
 * collectgarbage, io, os, debug, package. Where they differ from Lua's: setmetatable takes the
 * metamethods as they are when it is called, and not all (sandbox_set_metatable); xpcall calls its
 * handler after the stack has been unwound; table.sort is stable and accepts any order function.
 *
 * For functions in C that a class can call: the turn may end in each call of sandbox_charge, and be
 * cut off in each call of Lua's interface. Neither comes back, so what is held then is held for
 * ever: arenas that the turn's end rewinds are fine, locks and memory that only the function knows
 * of are not. sandbox_hold is for those that cannot do otherwise.
 *
 * Threads: a state belongs to one.
 */
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include "base/clock.h"
#include "base/slice.h"

#include <lua.h>
#include <stdbool.h>

struct sandbox;

/* Bytes of fail()'s code: upper-case letters and digits. */
#define SANDBOX_CODE_BYTES 32

/* `memory_max` bytes. NULL never: a cap too small for the libraries is a programmer's error (the
 * parameter table's least value is well above). Time is watched when `clock` is the machine's. */
struct sandbox *sandbox_new(size_t memory_max, struct clock *clock);
void sandbox_free(struct sandbox **sandbox);
lua_State *sandbox_lua(struct sandbox *sandbox); /* its main thread; NULL when it is lost */
/* A turn has been cut off in it: there is no state any more, and no thread that was taken of it may
 * be touched; they can still be put back. */
bool sandbox_is_lost(const struct sandbox *sandbox);

size_t sandbox_memory(const struct sandbox *sandbox);
size_t sandbox_memory_max(const struct sandbox *sandbox);
/* Bytes that may still be lent. */
size_t sandbox_room(const struct sandbox *sandbox);
/* Raises the error of memory when there is not so much room, also after all has been collected. */
void sandbox_need(lua_State *L, size_t bytes);
/* The same, and counts it as the class's: memory outside of Lua. */
void sandbox_lend(lua_State *L, size_t bytes);
/* The same outside of a call; false: there is not so much. */
bool sandbox_try_lend(struct sandbox *sandbox, size_t bytes);
void sandbox_give_back(struct sandbox *sandbox, size_t bytes);

/* The sandbox that a thread of it belongs to. */
struct sandbox *sandbox_of(lua_State *L);
/* What this sandbox's owner keeps with it. */
void sandbox_set_context(struct sandbox *sandbox, void *context);
void *sandbox_context(struct sandbox *sandbox);

enum sandbox_end {
	SANDBOX_DONE,
	SANDBOX_WAITS,  /* it has yielded */
	SANDBOX_FAILED, /* the error is on the thread: sandbox_take_error */
	SANDBOX_EXHAUSTED,
	SANDBOX_LOST,
};

/* A turn: resumes what waits on `thread`, or calls the function that was pushed there with
 * `arguments`, on a whole budget. */
enum sandbox_end sandbox_run(struct sandbox *sandbox, lua_State *thread, int arguments,
	uint64_t instructions_max, uint64_t time_max_ns);
/* As a turn begins, for who calls Lua himself: a used-up budget is an error then. */
void sandbox_begin(struct sandbox *sandbox, lua_State *thread, uint64_t instructions_max,
	uint64_t time_max_ns);
/* The budget of the turn that began last was used up; and it was the time that was over. */
bool sandbox_is_exhausted(const struct sandbox *sandbox);
bool sandbox_is_late(const struct sandbox *sandbox);
/* Work that no instruction counted; ends the turn when that was too much. One unit is about what an
 * instruction costs. */
void sandbox_charge(lua_State *L, uint64_t instructions);
/* The same for who cannot leave now: false when the turn is to end. */
bool sandbox_charge_on(lua_State *L, uint64_t instructions);
/* Gives the functions in C of the table on top of the stack, which have one upvalue at the most,
 * their look at the budget. Within a protected call. */
void sandbox_guard(lua_State *L);
/* Between these a used-up budget is an error, and nothing is cut off. The function in C that holds
 * must release however it ends, and run no code of the class meanwhile. */
void sandbox_hold(lua_State *L);
void sandbox_release(lua_State *L);

/* Before each lua_pcallk with a continuation: raises an error when calls are nested too deep for
 * it. Lua bounds the depth of such calls only by memory, and the time for each error grows with it.
 */
void sandbox_check_depth(lua_State *L);

/* Compiles a source on the budget of the turn that began last, a unit a byte: pushes the function,
 * or the message, and returns Lua's status. Within a protected call. */
int sandbox_load(lua_State *L, struct slice source, const char *chunk_name);

/* Threads for turns, drawn from and returned to a pool: anchored, with an empty stack, the hook
 * set. Taking one may fail for lack of memory: NULL. What is still open on a thread that ended in
 * an error or waits is closed when it is put back, on what is left of the budget; not when that is
 * used up. Ask sandbox_is_exhausted and sandbox_take_error before. */
lua_State *sandbox_take_thread(struct sandbox *sandbox);
void sandbox_put_thread(struct sandbox *sandbox, lua_State **thread);

/* lua_setmetatable for any table that code of the class can reach: pops it and gives the value at
 * `index`, a table, a copy of its metamethods as they are at this moment (the values of one table
 * share the copy, and see what a later call finds). The class cannot reach the copy, so it cannot
 * add what is refused with an error: __gc, weak keys only, a __call that is not a function. */
void sandbox_set_metatable(lua_State *L, int index);

/* Runs `function` (a light C function) in protected mode on the main thread with `argument` as a
 * light userdata, on a budget of its own: that of the turn is as before afterwards. Not within a
 * turn. True; or false and in `error` the message. */
bool sandbox_try(struct sandbox *sandbox, lua_CFunction function, void *argument, char *error,
	size_t error_size);
/* Raises what fail() raises, from the code and the message on top of the stack: a table with the
 * fields code and message. A code that is none is an error of its own. */
_Noreturn void sandbox_raise(lua_State *L);
/* The error value on top of `L` as text, cut to `size`: strings as they are, tables of fail()
 * "CODE message", others by their type; pops it. True when it was raised by fail(). */
bool sandbox_take_error(lua_State *L, char *out, size_t size);

#endif
