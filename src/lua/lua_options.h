/*
 * lua_options: tables of options that functions for classes take: a field that none of them is
 * called by is a slip, and an error.
 */
#ifndef LUA_LUA_OPTIONS_H
#define LUA_LUA_OPTIONS_H

#include <lua.h>

/* Raises an error unless each key of the table at `index` is one of `names`, which NULL ends. What
 * it says begins with `function`, and names the key and what there is. */
void lua_options_check(lua_State *L, int index, const char *function, const char *const *names);

#endif
