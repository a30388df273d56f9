/*
 * api: what the code of a class can call besides Lua's libraries, and how values of calls come onto
 * its stack.
 *
 * Threads: the worker's; within a Lua thread.
 */
#ifndef LUA_API_H
#define LUA_API_H

#include "base/slice.h"

#include <lua.h>

struct call;

void api_open(lua_State *L);
/* Pushes a new self of the running call's object. */
void api_push_self(lua_State *L, struct call *call);
/* Pushes the items of a packed table, arguments or results; returns how many. */
int api_push_items(lua_State *L, struct slice packed);

#endif
