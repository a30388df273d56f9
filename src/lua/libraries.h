/*
 * libraries: what a class finds beyond Lua's own: json, crypto, time, log, env. See README's
 * chapter on classes for their functions.
 *
 *   json.encode(value) json.decode(text, {null = "nil", big_numbers = "text"}) json.null
 *   json.object([table]) a table that is an object also when it is empty
 *   crypto.random(n) crypto.random_hex(n) crypto.uuid() crypto.sha256(s) crypto.hmac_sha256(key, s)
 *     (raw bytes) crypto.hex(s) crypto.base64(s) crypto.base64url(s) crypto.from_base64(s) (both
 *     alphabets) crypto.equal(a, b) (constant time)
 *   time.now() ms, the same for the whole turn   time.iso([ms])   time.parse(iso) -> ms or nil
 *   log(...) a line at level notice, log.warning(...), log.debug(...)
 *   env: a read-only table of the class's settings
 */
#ifndef LUA_LIBRARIES_H
#define LUA_LIBRARIES_H

#include "base/slice.h"

#include <lua.h>
#include <stdint.h>

struct config;

struct libraries_host {
	void *context;
	int64_t (*now_ms)(void *context); /* wall clock of the running turn */
	void (*say)(void *context, int level, struct slice text); /* enum logline_level */
};

/* Sets the globals. `host` is kept by reference and must outlive the state; env's values are those
 * of the parameter `env` for `class_name`. Within a protected call. */
void libraries_open(lua_State *L, const struct libraries_host *host, struct config *config,
	struct slice class_name);

#endif
