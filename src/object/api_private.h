/*
 * api_private: shared by api.c and api_storage.c.
 */
#ifndef OBJECT_API_PRIVATE_H
#define OBJECT_API_PRIVATE_H

#include "object/runtime.h"

/* Makes what every self.storage shares. */
void api_storage_open(lua_State *L);
/* Pushes the storage of the instance with this number. */
void api_storage_push(lua_State *L, uint64_t serial);
/* Seconds, fractions allowed, from `least_ms` to ten years, as milliseconds. */
int64_t api_check_seconds(lua_State *L, int index, int64_t least_ms);

#endif
