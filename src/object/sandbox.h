/*
 * sandbox: a Lua state in which code of strangers can do no harm: bounded memory, a budget of
 * instructions and time for each turn that no trick gets around, and only libraries that touch
 * nothing outside. One state a worker and class (object/).
 *
 * Budget. A count hook charges instructions; functions in C whose work is not bounded by the size
 * of a call charge themselves through sandbox_charge. When the budget is used up an error is raised
 * that pcall does not catch, again and again until the turn has ended. While large blocks are alive
 * the hook looks more often, since one instruction can then take long. The clock is looked at as
 * well.
 *
 * What is there: assert error fail ipairs next pairs pcall xpcall rawequal rawget rawlen rawset
 * select setmetatable getmetatable tonumber tostring type, math (no randomseed), string (no dump),
 * table, utf8, and what object/libraries.h adds. Not there: load, require, coroutine,
 * collectgarbage, io, os, debug, package. Where they differ from Lua's: setmetatable takes the
 * metamethods as they are when it is called, and not all (sandbox_set_metatable); xpcall calls its
 * handler after the stack has been unwound; table.sort is stable and accepts any order function.
 *
 * Host code never gives lua_pcall a message handler: with an error of the hook it would run with
 * hooks off. Whatever calls sandbox_charge may be left by its error.
 *
 * Threads: a state belongs to one.
 */
#ifndef OBJECT_SANDBOX_H
#define OBJECT_SANDBOX_H

#include "base/clock.h"
#include "base/slice.h"

#include <lua.h>
#include <stdbool.h>

struct sandbox;

/* Bytes of fail()'s code: upper-case letters and digits. */
#define SANDBOX_CODE_BYTES 32

/* `memory_max` bytes. NULL never: a cap too small for the libraries is a programmer's error (the
 * parameter table's least value is well above). */
struct sandbox *sandbox_new(size_t memory_max, struct clock *clock);
void sandbox_free(struct sandbox **sandbox);
lua_State *sandbox_lua(struct sandbox *sandbox); /* its main thread */
size_t sandbox_memory(const struct sandbox *sandbox);
size_t sandbox_memory_max(const struct sandbox *sandbox);

/* The sandbox that a thread of it belongs to. */
struct sandbox *sandbox_of(lua_State *L);
/* What this sandbox's owner keeps with it. */
void sandbox_set_context(struct sandbox *sandbox, void *context);
void *sandbox_context(struct sandbox *sandbox);

/* A turn begins on `thread`: the whole budget is there. */
void sandbox_begin(struct sandbox *sandbox, lua_State *thread, uint64_t instructions_max,
	uint64_t time_max_ns);
/* The budget of the turn that began last was used up. */
bool sandbox_is_exhausted(const struct sandbox *sandbox);
/* Work that no instruction counted; raises the error when that was too much. One unit is about what
 * an instruction costs. */
void sandbox_charge(lua_State *L, uint64_t instructions);

/* Before each lua_pcallk with a continuation: raises an error when calls are nested too deep for
 * it. Lua bounds the depth of such calls only by memory, and the time for each error grows with it.
 */
void sandbox_check_depth(lua_State *L);

/* Compiles a source on the budget of the turn that began last, a unit a byte: pushes the function,
 * or the message, and returns Lua's status; raises the error when the budget is used up. Within a
 * protected call. */
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
 * light userdata, on a budget of its own: that of the turn is as before afterwards. True; or false
 * and in `error` the message. */
bool sandbox_try(struct sandbox *sandbox, lua_CFunction function, void *argument, char *error,
	size_t error_size);
/* Raises what fail() raises, from the code and the message on top of the stack: a table with the
 * fields code and message. A code that is none is an error of its own. */
_Noreturn void sandbox_raise(lua_State *L);
/* The error value on top of `L` as text, cut to `size`: strings as they are, tables of fail()
 * "CODE message", others by their type; pops it. True when it was raised by fail(). */
bool sandbox_take_error(lua_State *L, char *out, size_t size);

#endif
