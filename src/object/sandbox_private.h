/*
 * sandbox_private: shared by the files of the sandbox.
 *
 *   sandbox.c        the state: memory, budget, threads, errors
 *   sandbox_base.c   the globals of a class, string, math and utf8
 *   sandbox_table.c  table
 */
#ifndef OBJECT_SANDBOX_PRIVATE_H
#define OBJECT_SANDBOX_PRIVATE_H

#include "object/sandbox.h"

#include <stdbool.h>

/* Bytes copied or compared for what an instruction costs. */
#define SANDBOX_CHARGE_BYTES 32

/* Replaces the globals of a new state by those that a class has. Within a protected call. */
void sandbox_open_base(lua_State *L);
/* Puts table's functions into the table on top of the stack. */
void sandbox_open_table(lua_State *L);

/* Pushes what getmetatable answers. True when setmetatable must not replace it: it is protected, or
 * not from a class. */
bool sandbox_push_metatable(lua_State *L, int index);

/* Raises the error of a used-up budget again, if it is used up: what pcall does when it returns. */
void sandbox_go_on(lua_State *L);

#endif
