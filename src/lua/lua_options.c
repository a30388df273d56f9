/*
 * lua_options: see lua_options.h. A look at the first wrong key ends it, so a table of any size
 * takes no longer than there are names.
 *
 * Threads: that of the Lua state.
 */
#include "lua/lua_options.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

static bool is_named(const char *key, const char *const *names)
{
	while (*names && strcmp(*names, key) != 0)
		names++;
	return *names != NULL;
}

/* The key is on the top of the stack; one that is no string is shown by its type. */
static void raise_unknown(lua_State *L, const char *function, const char *const *names)
{
	const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
	if (key)
		lua_pushfstring(L, "%s: unknown option '%s'; there is", function, key);
	else
		lua_pushfstring(L, "%s: options stand by name, not by a %s; there is", function,
			luaL_typename(L, -1));
	for (; *names; names++) {
		lua_pushfstring(L, names[1] ? " %s," : " %s", *names);
		lua_concat(L, 2);
	}
	luaL_error(L, "%s", lua_tostring(L, -1));
}

void lua_options_check(lua_State *L, int index, const char *function, const char *const *names)
{
	index = lua_absindex(L, index);
	luaL_checkstack(L, 5, function);
	for (lua_pushnil(L); lua_next(L, index);) {
		lua_pop(L, 1);
		if (lua_type(L, -1) != LUA_TSTRING || !is_named(lua_tostring(L, -1), names))
			raise_unknown(L, function, names);
	}
}
