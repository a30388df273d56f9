/*
 * lua_keys: where the server keeps its own things in a state's registry. The addresses are the
 * keys.
 */
#ifndef LUA_LUA_KEYS_H
#define LUA_LUA_KEYS_H

extern const char lua_key_base_class, lua_key_class, lua_key_metatable, lua_key_storage,
	lua_key_json_object;

/* The table that every class has behind it. */
#define LUA_KEY_BASE_CLASS (&lua_key_base_class)
/* The class's table. */
#define LUA_KEY_CLASS (&lua_key_class)
/* The metatable of each self: what the class's table had when it was loaded
 * (sandbox_set_metatable). */
#define LUA_KEY_METATABLE (&lua_key_metatable)
/* The metatable of self.storage. */
#define LUA_KEY_STORAGE (&lua_key_storage)
/* The metatable of tables that are JSON objects (lua_value.h). */
#define LUA_KEY_JSON_OBJECT (&lua_key_json_object)

#endif
