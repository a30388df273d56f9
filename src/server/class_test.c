/*
 * class_test: the functions that a test of classes is written with, on a class_bench:
 *
 *   test(name, function)              each begins with an empty engine
 *   call(class, id, method, ...)      the result; time passes until it is there
 *   begin(class, id, method, ...)     a handle with done() and result(); no time passes
 *   command(word, ...)                the reply of any command, but those about connections and
 *                                     the server
 *   begin_command(word, ...)          the same, as a handle
 *   advance(ms) now()                 time
 *   evict(class, id)                  drops the instance
 *   run_alarm(class, id)              as DO.RUNALARM
 *   restart()                         as after kill -9
 *   logged()                          the lines that classes logged or failed with
 *   fetch(function(request))          answers http.fetch: {status, headers, body, delay},
 *                                     or nil, message
 *   env(class, name, value)           a setting, from the next test on
 *   equal(actual, expected[, what])   deep
 *   raises(function, pattern)
 *
 * An error reply is raised as its text. The tests are their author's own code, with all of Lua's
 * libraries; the classes run in their sandbox as on a server.
 *
 * Threads: one.
 */
#include "server/class_test.h"

#include "base/memory.h"
#include "holdfast/limits.h"
#include "lua/lua_options.h"
#include "server/class_bench.h"

#include <ctype.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#define HANDLE         "holdfast call"
#define WORDS_MAX      64
#define WAIT_MS_MAX    (24ll * 3600 * 1000)
#define SOURCE_BYTES   (16u << 20)
#define USAGE_CODE     2
#define SAID_BYTES_MAX 65536 /* about: kept of what classes log in a test */

struct run {
	struct config *config;
	struct class_bench *bench;
	lua_State *L;
	int answerer; /* reference of the function given to fetch(); LUA_NOREF */
	bool in_test;
	bool answering; /* within that function: the engine is in the middle of something */
	uint64_t test;  /* counts them: the bench frees the calls of one before the next */
	int passed;
	int failed;
	const char *file;
	struct buffer said; /* lines that classes logged or failed with, in this test */
};

static struct run *run_of(lua_State *L)
{
	return *(struct run **)lua_getextraspace(L);
}

/* What begins calls or lets time pass asks for it by this. */
static struct run *free_run(lua_State *L)
{
	if (run_of(L)->answering)
		luaL_error(L, "not within the function given to fetch()");
	return run_of(L);
}

struct handle {
	struct bench_call *call;
	uint64_t test;
};

/* --- replies ---------------------------------------------------------------------------------- */

static long long take_line(struct slice *rest, struct slice *line)
{
	const char *end = memchr(rest->data, '\n', rest->size);
	size_t size = (size_t)(end - rest->data);
	*line = slice_of(rest->data + 1, size - 2);
	*rest = slice_of(rest->data + size + 1, rest->size - size - 1);
	return strtoll(line->data, NULL, 10);
}

static bool push_reply(lua_State *L, struct slice *rest);

static void push_elements(lua_State *L, struct slice *rest, long long count, bool pairs)
{
	lua_newtable(L);
	for (long long i = 1; i <= count; i++) {
		push_reply(L, rest);
		if (!pairs) {
			lua_rawseti(L, -2, i);
			continue;
		}
		push_reply(L, rest);
		lua_rawset(L, -3);
	}
}

/* Pushes one RESP3 value; false: it was an error, as text. */
static bool push_reply(lua_State *L, struct slice *rest)
{
	struct slice line;
	char kind = rest->data[0];
	luaL_checkstack(L, 8, "a reply is nested too deep");
	long long number = take_line(rest, &line);
	switch (kind) {
	case ':':
		lua_pushinteger(L, number);
		break;
	case ',':
		lua_pushnumber(L, strtod(line.data, NULL));
		break;
	case '#':
		lua_pushboolean(L, line.data[0] == 't');
		break;
	case '$':
		lua_pushlstring(L, rest->data, (size_t)number);
		*rest = slice_of(rest->data + number + 2, rest->size - (size_t)number - 2);
		break;
	case '*':
		push_elements(L, rest, number, false);
		break;
	case '%':
		push_elements(L, rest, number, true);
		break;
	case '_':
		lua_pushnil(L);
		break;
	default:
		lua_pushlstring(L, line.data, line.size);
		return kind != '-';
	}
	return true;
}

static int give_reply(lua_State *L, const struct bench_call *call)
{
	struct slice rest = buffer_slice(&call->reply);
	if (push_reply(L, &rest))
		return 1;
	/* Level 0: the text is the error's own. */
	return lua_error(L);
}

/* --- calls ------------------------------------------------------------------------------------ */

static uint32_t take_words(lua_State *L, struct slice *words, const char *first)
{
	uint32_t count = 0;
	int given = lua_gettop(L);
	if (given >= WORDS_MAX)
		luaL_error(L, "more than %d arguments", WORDS_MAX - 1);
	luaL_checkstack(L, given + 4, NULL);
	if (first)
		words[count++] = slice_text(first);
	for (int i = 1; i <= given; i++) {
		struct slice word;
		word.data = luaL_tolstring(L, i, &word.size); /* stays on the stack */
		words[count++] = word;
	}
	return count;
}

static struct bench_call *send(lua_State *L, const char *first)
{
	struct run *run = free_run(L);
	struct slice words[WORDS_MAX];
	uint32_t count = take_words(L, words, first);
	if (count == 0)
		luaL_error(L, "a command is missing");
	return class_bench_send(run->bench, words, count);
}

static int finish(lua_State *L, struct bench_call *call)
{
	if (!class_bench_wait(free_run(L)->bench, call, WAIT_MS_MAX))
		return luaL_error(L, "not answered: nothing is left that could happen");
	return give_reply(L, call);
}

static int test_call(lua_State *L)
{
	return finish(L, send(L, "DO.CALL"));
}

static int test_command(lua_State *L)
{
	return finish(L, send(L, NULL));
}

static int test_run_alarm(lua_State *L)
{
	return finish(L, send(L, "DO.RUNALARM"));
}

static int test_evict(lua_State *L)
{
	return finish(L, send(L, "DO.EVICT"));
}

static int push_handle(lua_State *L, struct bench_call *call)
{
	struct handle *handle = lua_newuserdatauv(L, sizeof(*handle), 0);
	*handle = (struct handle){ call, run_of(L)->test };
	luaL_setmetatable(L, HANDLE);
	return 1;
}

static int test_begin(lua_State *L)
{
	return push_handle(L, send(L, "DO.CALL"));
}

static int test_begin_command(lua_State *L)
{
	return push_handle(L, send(L, NULL));
}

static struct bench_call *check_handle(lua_State *L)
{
	const struct handle *handle = luaL_checkudata(L, 1, HANDLE);
	if (handle->test != run_of(L)->test)
		luaL_error(L, "a call of an earlier test");
	return handle->call;
}

static int handle_done(lua_State *L)
{
	lua_pushboolean(L, check_handle(L)->done);
	return 1;
}

static int handle_result(lua_State *L)
{
	return finish(L, check_handle(L));
}

/* --- time and the world ----------------------------------------------------------------------- */

static int test_advance(lua_State *L)
{
	lua_Number ms = luaL_checknumber(L, 1);
	luaL_argcheck(L, ms >= 0 && ms < 1e14, 1, "milliseconds from 0 expected");
	class_bench_advance(free_run(L)->bench, (int64_t)ms);
	return 0;
}

static int test_now(lua_State *L)
{
	lua_pushinteger(L, class_bench_now(run_of(L)->bench));
	return 1;
}

static int test_restart(lua_State *L)
{
	class_bench_restart(free_run(L)->bench);
	return 0;
}

/* env(class, name, value): from the next test on. */
static int test_env(lua_State *L)
{
	enum config_action action;
	char error[512], server[] = "test", option[] = "--env";
	char *words[5] = { server, option };
	for (int i = 0; i < 3; i++)
		luaL_checkstring(L, i + 1);
	for (int i = 0; i < 3; i++)
		words[2 + i] = memory_copy_text(lua_tostring(L, i + 1));
	int result =
		config_parse_arguments(run_of(L)->config, 5, words, &action, error, sizeof(error));
	for (int i = 0; i < 3; i++)
		memory_free(words[2 + i]);
	return result < 0 ? luaL_error(L, "%s", error) : 0;
}

static int test_fetch(lua_State *L)
{
	struct run *run = run_of(L);
	luaL_checktype(L, 1, LUA_TFUNCTION);
	luaL_unref(L, LUA_REGISTRYINDEX, run->answerer);
	lua_pushvalue(L, 1);
	run->answerer = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

static void set_text(lua_State *L, const char *field, struct slice text)
{
	lua_pushlstring(L, text.data ? text.data : "", text.size);
	lua_setfield(L, -2, field);
}

static void push_request(lua_State *L, const struct fetch *fetch)
{
	lua_newtable(L);
	set_text(L, "url", fetch->url);
	struct slice usual = slice_text(fetch->has_body ? "POST" : "GET");
	set_text(L, "method", fetch->method.size ? fetch->method : usual);
	set_text(L, "body", fetch->body);
	lua_newtable(L);
	for (uint32_t i = 0; i < fetch->header_count; i++) {
		const struct fetch_header *header = &fetch->headers[i];
		lua_pushlstring(L, header->name.data, header->name.size);
		lua_pushlstring(L, header->value.data, header->value.size);
		lua_rawset(L, -3);
	}
	lua_setfield(L, -2, "headers");
}

/* Names in lower case, as those of a real answer. */
static void read_headers(lua_State *L, struct fetch *fetch)
{
	if (lua_getfield(L, -1, "headers") == LUA_TTABLE) {
		for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 3)) {
			const char *value = luaL_tolstring(L, -1, NULL);
			const char *name = luaL_tolstring(L, -3, NULL);
			for (; *name; name++) {
				char letter = (char)tolower((unsigned char)*name);
				buffer_append(&fetch->headers_in, &letter, 1);
			}
			buffer_format(&fetch->headers_in, ": %s\n", value);
		}
	}
	lua_pop(L, 1);
}

/* In protected mode: the light userdata is the fetch; returns the delay. */
static int answer_fetch(lua_State *L)
{
	struct fetch *fetch = lua_touserdata(L, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, run_of(L)->answerer);
	push_request(L, fetch);
	lua_call(L, 1, 2);
	if (!lua_istable(L, -2)) {
		snprintf(fetch->error, sizeof(fetch->error), "%s",
			lua_isstring(L, -1) ? lua_tostring(L, -1) : "no answer");
		snprintf(fetch->code, sizeof(fetch->code), "NETWORK");
		lua_pushinteger(L, 0);
		return 1;
	}
	lua_pop(L, 1);
	static const char *const fields[] = { "status", "headers", "body", "delay", NULL };
	lua_options_check(L, -1, "fetch", fields);
	lua_getfield(L, -1, "status");
	fetch->status = (int)luaL_optinteger(L, -1, 200);
	lua_pop(L, 1);
	lua_getfield(L, -1, "body");
	size_t size;
	const char *body = luaL_optlstring(L, -1, "", &size);
	buffer_append(&fetch->body_in, body, size);
	lua_pop(L, 1);
	read_headers(L, fetch);
	lua_getfield(L, -1, "delay");
	lua_pushinteger(L, luaL_optinteger(L, -1, 0));
	return 1;
}

static int64_t on_fetch(void *context, struct fetch *fetch)
{
	struct run *run = context;
	lua_State *L = run->L;
	int64_t delay_ms = 0;
	snprintf(fetch->code, sizeof(fetch->code), "FORBIDDEN");
	if (run->answerer == LUA_NOREF) {
		snprintf(fetch->error, sizeof(fetch->error),
			"the test answers no requests: fetch(function(request) ... end)");
		return 0;
	}
	lua_pushcfunction(L, answer_fetch);
	lua_pushlightuserdata(L, fetch);
	run->answering = true;
	int status = lua_pcall(L, 1, 1, 0);
	run->answering = false;
	if (status == LUA_OK) {
		delay_ms = lua_tointeger(L, -1);
	} else {
		fetch->status = 0;
		snprintf(fetch->error, sizeof(fetch->error), "the test's fetch function: %s",
			lua_tostring(L, -1));
	}
	lua_pop(L, 1);
	return delay_ms < 0 ? 0 : delay_ms;
}

/* What a class logs is shown with a test that fails; a test may look at it. */
static void on_say(void *context, int level, const char *text)
{
	struct run *run = context;
	if (run->said.size < SAID_BYTES_MAX)
		buffer_format(&run->said, "%s\n", text);
}

/* logged(): the lines so far. */
static int test_logged(lua_State *L)
{
	const struct run *run = run_of(L);
	struct slice rest = buffer_slice(&run->said);
	lua_newtable(L);
	for (lua_Integer i = 1; rest.size > 0; i++) {
		const char *end = memchr(rest.data, '\n', rest.size);
		size_t size = (size_t)(end - rest.data);
		lua_pushlstring(L, rest.data, size);
		lua_rawseti(L, -2, i);
		rest = slice_of(rest.data + size + 1, rest.size - size - 1);
	}
	return 1;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void tell(struct run *run, bool ok, const char *name, const char *message)
{
	printf("%s %s%s%s\n", ok ? "ok  " : "FAIL", name, message ? ": " : "",
		message ? message : "");
	fflush(stdout);
	if (ok)
		run->passed++;
	else
		run->failed++;
}

static void tell_said(const struct run *run)
{
	const char *at = run->said.data, *end = at + run->said.size;
	while (at < end) {
		const char *next = memchr(at, '\n', (size_t)(end - at));
		printf("     | %.*s\n", (int)(next - at), at);
		at = next + 1;
	}
}

static int with_traceback(lua_State *L)
{
	const char *text = luaL_tolstring(L, 1, NULL);
	luaL_traceback(L, L, text, 1);
	return 1;
}

static int test_test(lua_State *L)
{
	struct run *run = run_of(L);
	const char *name = luaL_checkstring(L, 1);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	if (run->in_test)
		return luaL_error(L, "a test within a test");
	class_bench_reset(run->bench);
	run->said.size = 0;
	run->test++;
	luaL_unref(L, LUA_REGISTRYINDEX, run->answerer);
	run->answerer = LUA_NOREF;
	lua_pushcfunction(L, with_traceback);
	lua_pushvalue(L, 2);
	run->in_test = true;
	bool ok = lua_pcall(L, 0, 0, -2) == LUA_OK;
	run->in_test = false;
	tell(run, ok, name, ok ? NULL : lua_tostring(L, -1));
	if (!ok)
		tell_said(run);
	return 0;
}

/* Written in Lua: they are about Lua values. */
static const char helpers[] =
	"local function show(v, depth)\n"
	"  if type(v) == 'string' then return string.format('%q', v) end\n"
	"  if type(v) ~= 'table' or depth > 4 then return tostring(v) end\n"
	"  local parts = {}\n"
	"  for k, x in pairs(v) do\n"
	"    parts[#parts + 1] = '[' .. show(k, depth + 1) .. '] = ' .. show(x, depth + 1)\n"
	"  end\n"
	"  table.sort(parts)\n"
	"  return '{' .. table.concat(parts, ', ') .. '}'\n"
	"end\n"
	"local function same(a, b)\n"
	"  if type(a) ~= 'table' or type(b) ~= 'table' then\n"
	"    return a == b and math.type(a) == math.type(b)\n"
	"  end\n"
	"  for k, v in pairs(a) do if not same(v, b[k]) then return false end end\n"
	"  for k in pairs(b) do if a[k] == nil then return false end end\n"
	"  return true\n"
	"end\n"
	"function equal(actual, expected, what)\n"
	"  if not same(actual, expected) then\n"
	"    error((what and what .. ': ' or '') .. 'got ' .. show(actual, 0) .. ', expected '\n"
	"      .. show(expected, 0), 2)\n"
	"  end\n"
	"end\n"
	"function raises(f, pattern)\n"
	"  local ok, problem = pcall(f)\n"
	"  if ok then error('no error, expected ' .. pattern, 2) end\n"
	"  if not tostring(problem):find(pattern) then\n"
	"    error('the error ' .. show(tostring(problem), 0) .. ' does not match '\n"
	"      .. show(pattern, 0), 2)\n"
	"  end\n"
	"end\n";

static const luaL_Reg functions[] = {
	{ "test", test_test },
	{ "call", test_call },
	{ "begin", test_begin },
	{ "begin_command", test_begin_command },
	{ "command", test_command },
	{ "advance", test_advance },
	{ "now", test_now },
	{ "evict", test_evict },
	{ "run_alarm", test_run_alarm },
	{ "restart", test_restart },
	{ "env", test_env },
	{ "fetch", test_fetch },
	{ "logged", test_logged },
	{ NULL, NULL },
};

static const luaL_Reg handle_functions[] = {
	{ "done", handle_done },
	{ "result", handle_result },
	{ NULL, NULL },
};

static lua_State *new_state(struct run *run)
{
	lua_State *L = luaL_newstate();
	*(struct run **)lua_getextraspace(L) = run;
	luaL_openlibs(L);
	lua_pushglobaltable(L);
	luaL_setfuncs(L, functions, 0);
	lua_pop(L, 1);
	luaL_newmetatable(L, HANDLE);
	luaL_newlib(L, handle_functions);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	if (luaL_dostring(L, helpers) != LUA_OK)
		fprintf(stderr, "holdfast-server: %s\n", lua_tostring(L, -1));
	run->answerer = LUA_NOREF;
	return L;
}

/* --- files ------------------------------------------------------------------------------------ */

static bool is_test(const char *file)
{
	static const char ending[] = "_test.lua";
	size_t size = strlen(file);
	return size >= sizeof(ending) - 1 &&
		strcmp(file + size - (sizeof(ending) - 1), ending) == 0;
}

static struct slice class_name_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	const char *name = slash ? slash + 1 : file;
	const char *dot = strrchr(name, '.');
	return slice_of(name, dot ? (size_t)(dot - name) : strlen(name));
}

static bool read_file(const char *file, struct buffer *out)
{
	FILE *stream = fopen(file, "rb");
	if (stream == NULL)
		return false;
	char block[8192];
	size_t size;
	while ((size = fread(block, 1, sizeof(block), stream)) > 0 && out->size < SOURCE_BYTES)
		buffer_append(out, block, size);
	bool ok = !ferror(stream);
	fclose(stream);
	return ok;
}

static bool load_class(struct run *run, const char *file)
{
	struct buffer source;
	char error[LIMIT_ERROR_BYTES] = "cannot be read";
	buffer_init(&source);
	bool ok = read_file(file, &source) &&
		class_bench_load(run->bench, class_name_of(file), buffer_slice(&source), error,
			sizeof(error));
	if (!ok)
		tell(run, false, file, error);
	buffer_fini(&source);
	return ok;
}

static void run_test_file(struct run *run, const char *file)
{
	run->file = file;
	run->L = new_state(run);
	lua_pushcfunction(run->L, with_traceback);
	if (luaL_loadfile(run->L, file) != LUA_OK || lua_pcall(run->L, 0, 0, -2) != LUA_OK)
		tell(run, false, file, lua_tostring(run->L, -1));
	lua_close(run->L);
	run->L = NULL;
}

static bool has_tests(char **files, int count)
{
	int tests = 0;
	for (int i = 0; i < count; i++)
		tests += is_test(files[i]);
	if (tests == 0)
		fprintf(stderr,
			"holdfast-server: --test takes files: X.lua is class X, X_test.lua holds "
			"tests, of which there must be one\n"
			"usage: holdfast-server --test Visits.lua Visits_test.lua\n");
	return tests > 0;
}

int class_test_run(struct config *config, char **files, int count)
{
	struct run run = { .config = config };
	char error[512];
	if (!has_tests(files, count))
		return USAGE_CODE;
	run.bench = class_bench_new(config, on_fetch, on_say, &run, error, sizeof(error));
	if (run.bench == NULL) {
		fprintf(stderr, "holdfast-server: %s\n", error);
		return 1;
	}
	bool loaded = true;
	for (int i = 0; i < count; i++)
		loaded &= is_test(files[i]) || load_class(&run, files[i]);
	for (int i = 0; loaded && i < count; i++) {
		if (is_test(files[i]))
			run_test_file(&run, files[i]);
	}
	class_bench_free(&run.bench);
	buffer_fini(&run.said);
	if (run.passed + run.failed == 0)
		printf("FAIL there is no test in these files\n");
	printf("%d passed, %d failed\n", run.passed, run.failed);
	return run.failed || run.passed == 0 ? 1 : 0;
}
