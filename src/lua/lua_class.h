/*
 * lua_class: a class compiled in a sandbox of one worker: its table, its methods, what `self` of an
 * object is made from; and the call whose turn runs there.
 *
 * Threads: its worker's.
 */
#ifndef LUA_LUA_CLASS_H
#define LUA_LUA_CLASS_H

#include "lua/libraries.h"
#include "lua/sandbox.h"
#include "object/runtime.h"

struct lua_class {
	struct class_state state; /* what objects see of it: the first member */
	struct objects *objects;
	struct sandbox *sandbox;
	struct libraries_host host;
	bool has_init;
	uint64_t serial; /* of the instance that was made last */

	/* the turn that runs in it; NULL between turns */
	struct call *call;
	struct storage *storage;
	bool no_method; /* it was found that the class has none of the call's */
};

static inline struct lua_class *lua_class_of(struct class_state *state)
{
	return (struct lua_class *)state;
}

/* As struct runtime says. Compiles and runs the source with the usual budget: it must parse, raise
 * no error, and return the class it is named after, or `error` says with the line number what it
 * does. */
struct class_state *lua_class_load(
	struct objects *objects, struct class *class, char *error, size_t error_size);
void lua_class_unload(struct class_state **state);
bool lua_class_has_method(struct class_state *state, struct slice name);

/* Pushes the method's function. False, with nothing pushed, when the class of this state has none
 * of that name. No metamethod runs. Within a protected call. */
bool lua_class_push_method(lua_State *L, struct slice name);

/* The class whose state this is, while a call's turn runs in it; raises an error outside of one. */
struct lua_class *lua_class_running(lua_State *L);
static inline struct call *lua_class_call(lua_State *L)
{
	return lua_class_running(L)->call;
}

#endif
