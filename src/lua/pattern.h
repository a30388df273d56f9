/*
 * pattern: Lua's patterns (reference manual 6.4.1) with a budget: find, match, gmatch and gsub that
 * charge sandbox_charge for every step of matching, so that no pattern runs for ever. Results and
 * errors are those of Lua 5.4's own.
 */
#ifndef LUA_PATTERN_H
#define LUA_PATTERN_H

#include <lua.h>

/* Puts the four functions into the table on top of the stack. */
void pattern_open(lua_State *L);

#endif
