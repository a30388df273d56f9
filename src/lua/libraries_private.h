/*
 * libraries_private: the parts that libraries_open puts together. Nobody else includes this.
 */
#ifndef LUA_LIBRARIES_PRIVATE_H
#define LUA_LIBRARIES_PRIVATE_H

#include "lua/libraries.h"

/* Bytes that a library reads or writes for about what an instruction costs. */
#define LIBRARIES_CHARGE_BYTES 16

/* Each pushes its library's table; within a protected call. */
void libraries_push_json(lua_State *L);
void libraries_push_crypto(lua_State *L);
void libraries_push_time(lua_State *L, const struct libraries_host *host);
void libraries_push_log(lua_State *L, const struct libraries_host *host);

#endif
