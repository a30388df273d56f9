/*
 * api_private: shared by api.c and api_storage.c.
 */
#ifndef LUA_API_PRIVATE_H
#define LUA_API_PRIVATE_H

#include "lua/lua_class.h"
#include "object/call.h"
#include "object/objects.h"

/* Makes what every self.storage shares. */
void api_storage_open(lua_State *L);
/* Pushes the storage of the instance with this number. */
void api_storage_push(lua_State *L, uint64_t serial);
/* What the running turn has taken in its arena since this was called last counts as the class's
 * until the turn's memory is given back. Raises the error of memory when that is too much, and then
 * each time, until there is room. */
void api_count(lua_State *L);
/* Copies into the turn's arena, after a look at the class's room. */
struct slice api_copy(lua_State *L, struct slice bytes);
/* Seconds, fractions allowed, from `least_ms` to ten years, as milliseconds. */
int64_t api_check_seconds(lua_State *L, int index, int64_t least_ms);

#endif
