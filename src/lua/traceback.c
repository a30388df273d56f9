/*
 * traceback: see traceback.h. luaL_traceback builds a Lua string, which may run out of memory; this
 * one writes into the caller's.
 *
 * Threads: that of the Lua state.
 */
#include "lua/traceback.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FIRST_SHOWN 10
#define LAST_SHOWN  5
#define PLACES_MAX  100000 /* looked at to find the last ones */

static bool look(lua_State *thread, int level, lua_Debug *out)
{
	return lua_getstack(thread, level, out) && lua_getinfo(thread, "Sln", out);
}

void traceback_place(lua_State *thread, char *out, size_t size)
{
	lua_Debug function;
	out[0] = '\0';
	for (int level = 0; look(thread, level, &function); level++) {
		if (function.currentline <= 0)
			continue;
		snprintf(out, size, "%s:%d", function.short_src, function.currentline);
		return;
	}
}

/* Appends as much as there is room for. */
static void add(char *out, size_t size, const char *text)
{
	size_t used = strlen(out);
	snprintf(out + used, size - used, "%s", text);
}

static void add_function(const lua_Debug *function, char *out, size_t size)
{
	char text[LUA_IDSIZE + 160], name[96] = "";
	if (*function->what == 'm')
		snprintf(name, sizeof(name), " in the source's main part");
	else if (function->name)
		snprintf(name, sizeof(name), " in %s '%.60s'",
			*function->namewhat ? function->namewhat : "function", function->name);
	else if (*function->what != 'C')
		snprintf(name, sizeof(name), " in the function of line %d", function->linedefined);
	if (function->currentline > 0)
		snprintf(text, sizeof(text), "%s:%d%s", function->short_src, function->currentline,
			name);
	else
		snprintf(text, sizeof(text), "[C]%s", name);
	if (out[0])
		add(out, size, ", ");
	add(out, size, text);
}

/* The bottom of each thread is the server's own. */
static int count_levels(lua_State *thread)
{
	lua_Debug function;
	int low = 0, high = PLACES_MAX;
	while (low < high) {
		int middle = low + (high - low) / 2;
		if (lua_getstack(thread, middle, &function))
			low = middle + 1;
		else
			high = middle;
	}
	while (low > 0 && look(thread, low - 1, &function) && *function.what == 'C')
		low--;
	return low;
}

void traceback_write(lua_State *thread, char *out, size_t size)
{
	lua_Debug function;
	int levels = count_levels(thread);
	out[0] = '\0';
	for (int level = 0; level < levels && look(thread, level, &function); level++) {
		if (level == FIRST_SHOWN && levels > FIRST_SHOWN + LAST_SHOWN) {
			add(out, size, ", ...");
			level = levels - LAST_SHOWN - 1;
			continue;
		}
		add_function(&function, out, size);
	}
}
