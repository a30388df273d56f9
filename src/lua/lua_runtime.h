/*
 * lua_runtime: the runtime of classes written in Lua.
 */
#ifndef LUA_LUA_RUNTIME_H
#define LUA_LUA_RUNTIME_H

#include "object/runtime.h"

/* What objects_options.runtime is. */
extern const struct runtime lua_runtime;

#endif
