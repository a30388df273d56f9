/*
 * traceback: where a Lua thread stands that has ended in an error or was stopped. Nothing in here
 * raises an error or takes memory of Lua.
 *
 * Threads: that of the Lua state, which must not be lost.
 */
#ifndef LUA_TRACEBACK_H
#define LUA_TRACEBACK_H

#include <lua.h>
#include <stddef.h>

/* The innermost line of Lua, as in `Shop:12`; empty when there is none. */
void traceback_place(lua_State *thread, char *out, size_t size);
/* The functions it is in, innermost first: `Shop:12 in function 'price', Shop:30 in method 'buy'`;
 * of many those in the middle are left out. */
void traceback_write(lua_State *thread, char *out, size_t size);

#endif
