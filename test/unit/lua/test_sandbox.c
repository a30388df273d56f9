/*
 * test_sandbox: attacks on the worker from within a class, each followed by an ordinary turn, of
 * the same state when it is still there; what a class finds and what it does not; the table
 * functions beside those of a stock Lua. Each attack's time is printed.
 */
#include "lua/sandbox_private.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#define MEMORY_BYTES ((size_t)64 << 20)
#define INSTRUCTIONS UINT64_C(5000000)
#define TIME_NS      UINT64_C(1000000000)

struct rig {
	struct clock clock; /* the fake one, first */
	struct clock *used;
	size_t memory;
	uint64_t now_ns;
	uint64_t step_ns; /* by which each look moves it on */
	struct sandbox *sandbox;
	uint64_t time_ns; /* of a turn */
	char error[300];
	bool exhausted;
	bool failed_softly;
};

static uint64_t fake_monotonic_ns(struct clock *clock)
{
	struct rig *rig = (struct rig *)clock;
	return rig->now_ns += rig->step_ns;
}

static int set_up_with(void **state, struct clock *clock, size_t memory)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	rig->clock.monotonic_ns = fake_monotonic_ns;
	rig->used = clock ? clock : &rig->clock;
	rig->memory = memory;
	rig->sandbox = sandbox_new(memory, rig->used);
	rig->time_ns = TIME_NS;
	*state = rig;
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, clock_system(), MEMORY_BYTES);
}

static int set_up_fake_clock(void **state)
{
	return set_up_with(state, NULL, MEMORY_BYTES);
}

static int set_up_small(void **state)
{
	return set_up_with(state, clock_system(), (size_t)1 << 20);
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	sandbox_free(&rig->sandbox);
	free(rig);
	return 0;
}

static int lua_wait(lua_State *L)
{
	return lua_yield(L, lua_gettop(L));
}

static int finish_source(lua_State *L, int status, lua_KContext context)
{
	return 1;
}

static int finish_try(lua_State *L)
{
	return 0;
}

/* On a thread: compiles the source, which stands as a light userdata, and calls it. */
static int run_source(lua_State *L)
{
	const char *source = lua_touserdata(L, 1);
	lua_pushcfunction(L, lua_wait);
	lua_setglobal(L, "wait");
	if (sandbox_load(L, slice_text(source), "=test") != LUA_OK)
		return lua_error(L);
	lua_callk(L, 0, 1, 0, finish_source);
	return finish_source(L, LUA_OK, 0);
}

static enum sandbox_end resume(struct rig *rig, lua_State *thread, int arguments)
{
	enum sandbox_end end =
		sandbox_run(rig->sandbox, thread, arguments, INSTRUCTIONS, rig->time_ns);
	rig->exhausted = sandbox_is_exhausted(rig->sandbox);
	rig->error[0] = '\0';
	rig->failed_softly = false;
	if (end == SANDBOX_FAILED)
		rig->failed_softly = sandbox_take_error(thread, rig->error, sizeof(rig->error));
	return end;
}

/* One turn; its result, if it is a string, goes to `error`. */
static enum sandbox_end run(struct rig *rig, const char *source)
{
	lua_State *thread = sandbox_take_thread(rig->sandbox);
	assert_non_null(thread);
	assert_int_equal(lua_gettop(thread), 0);
	lua_pushcfunction(thread, run_source);
	lua_pushlightuserdata(thread, (void *)(uintptr_t)source);
	enum sandbox_end end = resume(rig, thread, 1);
	if (end == SANDBOX_DONE && lua_type(thread, -1) == LUA_TSTRING)
		snprintf(rig->error, sizeof(rig->error), "%s", lua_tostring(thread, -1));
	sandbox_put_thread(rig->sandbox, &thread);
	assert_null(thread);
	return end;
}

static void expect_fine(struct rig *rig, const char *source)
{
	if (run(rig, source) != SANDBOX_DONE)
		fail_msg("%s: %s", source, rig->error);
	assert_false(rig->exhausted);
}

static void expect_text(struct rig *rig, const char *source, const char *text)
{
	expect_fine(rig, source);
	assert_string_equal(rig->error, text);
}

static void expect_ordinary_turn(struct rig *rig)
{
	expect_text(rig,
		"local t = {} for i = 1, 100 do t[i] = 'x' .. i end table.sort(t)\n"
		"local ok, e = pcall(error, {}) assert(not ok and type(e) == 'table')\n"
		"return table.concat(t, ','):sub(1, 9)",
		"x1,x10,x1");
}

/* Of the processor: the machine may have other things to do. */
static double own_seconds(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void renew(struct rig *rig)
{
	sandbox_free(&rig->sandbox);
	rig->sandbox = sandbox_new(rig->memory, rig->used);
}

/* The attack ends with a used-up budget or is cut off, and nothing is left of it. */
static enum sandbox_end attack(struct rig *rig, const char *source)
{
	double start = own_seconds();
	enum sandbox_end end = run(rig, source);
	print_message("          %.3f s  %.70s\n", own_seconds() - start, source);
	if (end != SANDBOX_EXHAUSTED && end != SANDBOX_LOST)
		fail_msg("%s: ended with %d: %s", source, (int)end, rig->error);
	assert_int_equal(sandbox_is_lost(rig->sandbox), end == SANDBOX_LOST);
	if (end == SANDBOX_LOST)
		renew(rig);
	expect_ordinary_turn(rig);
	return end;
}

/* The attack ends with this in its error, or its result. */
static void attack_with(struct rig *rig, const char *source, const char *part)
{
	double start = own_seconds();
	run(rig, source);
	print_message("          %.3f s  %.70s\n", own_seconds() - start, source);
	if (sandbox_is_lost(rig->sandbox))
		fail_msg("%s: was cut off", source);
	if (strstr(rig->error, part) == NULL)
		fail_msg("%s: %s", source, rig->error);
	expect_ordinary_turn(rig);
}

/* --- loops ------------------------------------------------------------------------------------ */

static void ends_endless_loops(void **state)
{
	struct rig *rig = *state;
	attack(rig, "while true do end");
	attack(rig, "for i = 1, math.huge do end");
	attack(rig, "local function f() return f() end f()");
	attack(rig, "::again:: goto again");
	attack(rig, "for _ in next, {1}, nil do while true do end end");
}

static void ends_loops_that_pcall_protects(void **state)
{
	struct rig *rig = *state;
	attack(rig, "while true do pcall(function() while true do end end) end");
	attack(rig,
		"local function f(n) while true do if n > 0 then pcall(f, n - 1) end end end\n"
		"f(100)");
	attack(rig, "local function f() pcall(f) while true do pcall(f) end end f()");
	attack(rig, "while true do pcall(pcall, pcall, pcall, error) end");
	attack(rig,
		"while true do xpcall(function() while true do end end,\n"
		"function() while true do end end) end");
	attack(rig, "while true do xpcall(error, function() while true do end end) end");
	attack(rig,
		"xpcall(error, function() pcall(function() while true do end end)\n"
		"while true do end end) while true do end");
	attack(rig, "while true do select(2, pcall(error)) end");
	attack(rig,
		"local m = {__close = function() while true do end end}\n"
		"local function f(n) local x <close> = setmetatable({}, m)\n"
		"if n > 0 then f(n - 1) end while true do end end pcall(f, 15000)");
	attack(rig,
		"local function g(n) if n == 0 then while true do pcall(error) end end\n"
		"g(n - 1) return 1 end g(3000)");
}

static void ends_loops_in_metamethods(void **state)
{
	struct rig *rig = *state;
	static const char *const uses[][2] = {
		{ "__index", "t = t.x" },
		{ "__newindex", "t.x = 1" },
		{ "__call", "t()" },
		{ "__concat", "t = t .. t" },
		{ "__tostring", "tostring(t)" },
		{ "__len", "t = #t" },
		{ "__lt", "table.sort({t, t, t})" },
		{ "__eq", "t = t == setmetatable({}, m)" },
		{ "__pairs", "for _ in pairs(t) do end" },
		{ "__add", "t = t + 1" },
		{ "__unm", "t = -t" },
		{ "__le", "t = t <= t" },
		{ "__index", "table.concat(t, '', 1, 2)" },
	};
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		char source[400];
		snprintf(source, sizeof(source),
			"local m = {%s = function() while true do end end}\n"
			"local t = setmetatable({}, m) while true do pcall(function() %s end) end",
			uses[i][0], uses[i][1]);
		attack(rig, source);
	}
	attack(rig,
		"local m = {__close = function() while true do end end}\n"
		"while true do pcall(function() local x <close> = setmetatable({}, m)\n"
		"error('x') end) end");
	attack(rig,
		"local x <close> = setmetatable({}, {__close = function() while true do end\n"
		"end}) while true do end");
	attack(rig, "('x'):gsub('.', function() while true do end end)");
}

/* Functions in C that call each other: no instruction is ever counted. */
static void ends_loops_without_instructions(void **state)
{
	struct rig *rig = *state;
	attack(rig,
		"table.concat(setmetatable({}, {__index = table.concat}), '', 1,\n"
		"math.maxinteger)");
	attack(rig,
		"table.insert(setmetatable({}, {__len = function() return 1 << 62 end}), 1, 0)");
	attack(rig, "table.remove(setmetatable({}, {__len = function() return 1 << 62 end}), 1)");
	attack(rig, "table.move({}, 1, 1 << 62, 2)");
	attack(rig,
		"table.sort(setmetatable({}, {__len = function() return (1 << 31) - 2 end}),\n"
		"math.type)");
	attack(rig,
		"local t = {} for i = 1, 1e5 do t[i] = pcall end\n"
		"while true do table.sort(t, pcall) end");
	attack(rig,
		"local t = {} for i = 1, 1990 do t = setmetatable({}, {__index = t}) end\n"
		"while true do table.unpack(t, 1, 900000) end");
	attack(rig,
		"local t = {} for i = 1, 1990 do t = setmetatable({}, {__index = t}) end\n"
		"while true do local x = t.x end");
}

static void ends_a_loop_by_the_clock_alone(void **state)
{
	struct rig *rig = *state;
	lua_State *thread = sandbox_take_thread(rig->sandbox);
	rig->step_ns = 1000000;
	lua_pushcfunction(thread, run_source);
	lua_pushlightuserdata(thread, (void *)(uintptr_t) "while true do end");
	assert_int_equal(sandbox_run(rig->sandbox, thread, 1, UINT64_MAX, 50 * rig->step_ns),
		SANDBOX_EXHAUSTED);
	assert_true(sandbox_is_late(rig->sandbox));
	assert_true(rig->now_ns <= 60 * rig->step_ns);
	sandbox_put_thread(rig->sandbox, &thread);
	rig->step_ns = 0;
	expect_ordinary_turn(rig);
}

static void counts_instructions_also_when_no_time_passes(void **state)
{
	struct rig *rig = *state;
	attack(rig, "while true do end");
	/* A tenth of the budget is fine, whatever the hook's interval. */
	expect_fine(rig, "for i = 1, 400000 do end");
	expect_fine(rig, "local s = ('x'):rep(70000) for i = 1, 400000 do end");
	attack(rig, "local s = ('x'):rep(70000) while true do end");
	/* Large blocks that come and go do not set the count back. */
	attack(rig, "while true do ('x'):rep(70000) for i = 1, 900 do end end");
}

static void each_turn_has_the_whole_budget(void **state)
{
	struct rig *rig = *state;
	for (int i = 0; i < 10; i++)
		expect_fine(rig, "for i = 1, 3000000 do end");
	attack(rig, "for i = 1, 6000000 do end");
}

/* --- memory ----------------------------------------------------------------------------------- */

static void bounds_memory(void **state)
{
	struct rig *rig = *state;
	/* Memory is what ends these, however long that takes. */
	rig->time_ns = 60 * TIME_NS;
	attack_with(rig, "local s = 'x' while true do s = s .. s end", "not enough memory");
	attack_with(rig, "local t = {} while true do t = {t} end", "");
	attack_with(rig, "local t = {} for i = 1, 1e9 do t[i] = i end", "");
	attack_with(rig, "return ('x'):rep(1e12)", "too large");
	attack_with(rig, "return ('x'):rep(1 << 62, 'y')", "too large");
	attack_with(rig, "return (''):rep(math.maxinteger)", "");
	attack_with(rig, "local t = {} for i = 1, 2000 do t[i] = ('x'):rep(60000) end",
		"not enough memory");
	attack_with(rig,
		"local t, s = {}, ('x'):rep(10000) for i = 1, 10000 do t[i] = s end\n"
		"return table.concat(t)",
		"not enough memory");
	attack_with(rig, "return string.pack('c2000000000', '')", "not enough memory");
	assert_true(sandbox_memory(rig->sandbox) <= sandbox_memory_max(rig->sandbox));
}

static void ends_loops_at_the_end_of_memory(void **state)
{
	struct rig *rig = *state;
	attack(rig,
		"while true do pcall(function() local s = 'x' while true do s = s .. s end\n"
		"end) end");
	attack(rig,
		"local t = {} pcall(function() while true do t = {t} end end)\n"
		"while true do pcall(string.rep, 'x', 60000) end");
	attack(rig,
		"local t = {} pcall(function() while true do t = {t} end end)\n"
		"while true do pcall(function() t = {{{{{{t}}}}}} end) end");
	attack(rig, "while true do pcall(string.rep, 'x', 3e7) end");
	attack(rig, "while true do pcall(string.pack, 'c60000000', '') end");
}

static void works_in_the_least_memory_a_class_may_have(void **state)
{
	struct rig *rig = *state;
	expect_ordinary_turn(rig);
	attack_with(rig, "local t = {} while true do t = {t} end", "not enough memory");
}

static void gives_no_thread_when_memory_is_used_up(void **state)
{
	struct rig *rig = *state;
	lua_State *threads[4000];
	size_t count = 0;
	while (count < 4000 && (threads[count] = sandbox_take_thread(rig->sandbox)) != NULL)
		count++;
	assert_true(count > 100 && count < 4000);
	while (count)
		sandbox_put_thread(rig->sandbox, &threads[--count]);
	expect_ordinary_turn(rig);
}

/* --- long single steps ------------------------------------------------------------------------ */

static void ends_turns_whose_single_steps_are_long(void **state)
{
	struct rig *rig = *state;
	rig->time_ns = TIME_NS / 20;
	attack(rig,
		"local a, b = ('x'):rep(1e7) .. 1, ('x'):rep(1e7) .. 2\n"
		"while true do local x = a < b end");
	attack(rig,
		"local a, b = ('x'):rep(1e7) .. 1, ('x'):rep(1e7) .. 2\n"
		"while true do local x = a == b end");
	attack(rig, "local a, t = ('x'):rep(1e7), {} while true do local x = t[a .. 1] end");
	attack(rig, "local s = ('x'):rep(2e7) while true do local x = s:sub(2) end");
	attack(rig, "local s = ('x'):rep(2e7) while true do s:upper() end");
	attack(rig, "local s = ('\\x80'):rep(2e7) while true do pcall(utf8.offset, s, 1, 1) end");
	attack(rig, "local s = ('1'):rep(2e7) while true do local x = s + 1 end");
	attack(rig, "local s = ('x'):rep(2e6) while true do s:format(s) end");
	attack(rig, "local s = (' '):rep(3e7) while true do s:unpack('') end");
	attack(rig, "local s = ('c0'):rep(1e7) while true do s:packsize() end");
	attack(rig, "local s = ('z'):rep(2e7) while true do tonumber(s, 36) end");
	attack(rig, "local s = ('\\u{20ac}'):rep(6e6) while true do utf8.offset(s, 6000000) end");
	attack(rig, "local t = {} for i = 1, 1e9 do table.insert(t, 1, i) end");
	attack(rig,
		"local t = {} for i = 1, 2e5 do t['k' .. i] = 1 end\n"
		"for k in next, t do t[k] = nil end while true do next(t) end");
	attack(rig,
		"local t = {} for i = 1, 1 << 18 do t[i + 0.5] = 1 end local i, j = 1, 1 << 18\n"
		"while true do j = j + 1 t[i + 0.5] = nil t[j + 0.5] = 1 i = i + 1 end");
	attack(rig,
		"local t = {} for i = 1, 2e5 do t[i] = i end\n"
		"local function f(...) while true do local a = {...} end end\n"
		"f(table.unpack(t))");
	attack(rig,
		"local t = {} for i = 1, 400 do t[i] = ('x'):rep(30000) end\n"
		"while true do table.concat(t) end");
	attack(rig,
		"local t = {} for i = 1, 40 do t[i] = ('x'):rep(1e6) .. i end\n"
		"while true do table.sort(t) end");
}

/* Lua's own function does all conversions of a format at once, in the C library. */
static void formats_a_few_conversions_at_a_time(void **state)
{
	struct rig *rig = *state;
	/* Shorter than it takes to use the memory up. */
	rig->time_ns = TIME_NS / 20;
	assert_int_equal(attack(rig,
				 "local a = {} for i = 1, 1e5 do a[i] = 1e300 end\n"
				 "local f = ('%99.99f'):rep(1e5)\n"
				 "while true do f:format(table.unpack(a)) end"),
		SANDBOX_EXHAUSTED);
	assert_int_equal(attack(rig,
				 "local a, s = {}, ('x'):rep(1e7) for i = 1, 200 do a[i] = s end\n"
				 "local f = ('%.1s'):rep(200)\n"
				 "while true do pcall(string.format, f, table.unpack(a)) end"),
		SANDBOX_EXHAUSTED);
	attack(rig, "local f = ('%%'):rep(1e7) while true do f:format() end");
	rig->time_ns = TIME_NS;
	expect_text(rig,
		"local a, b = {}, {} for i = 1, 350 do a[i] = i b[i] = i .. '%x' end\n"
		"local text = ('%d%%x'):rep(350):format(table.unpack(a))\n"
		"return tostring(text == table.concat(b))",
		"true");
	expect_text(
		rig, "return ('%s'):rep(101):format(table.unpack({}, 1, 101)):sub(-6)", "nilnil");
	expect_text(rig,
		"return tostring((pcall(string.format, ('%d'):rep(101), table.unpack({}, 1, 50))))",
		"false");
	expect_text(
		rig, "return tostring((pcall(string.format, ('%%'):rep(70000) .. '%')))", "false");
	expect_text(rig, "return tostring(#('%%'):rep(70001):format())", "70001");
}

/* Integer keys that collide in a table of the next size: it takes their number squared to move them
 * there. All of it is one instruction. */
static void cuts_off_a_step_that_does_not_end(void **state)
{
	struct rig *rig = *state;
	rig->time_ns = TIME_NS / 20;
	assert_int_equal(attack(rig, "local t = {} for i = 1, 65537 do t[i * 131071] = true end"),
		SANDBOX_LOST);
	/* The same key is looked up behind each of 2,000 metatables. */
	assert_int_equal(attack(rig,
				 "local t = {} for i = 1, 2048 do t[i * 4095] = true end\n"
				 "t.__index = t setmetatable(t, t)\n"
				 "while true do pcall(function() return t[4095 * 5000] end) end"),
		SANDBOX_EXHAUSTED);
	char *source = malloc(1 << 20);
	size_t used = (size_t)sprintf(source, "local t = {");
	for (int64_t i = 1; used < (1 << 20) - 100; i++)
		used += (size_t)sprintf(source + used, "[%lld]=1,", (long long)i * 131071);
	strcpy(source + used, "}");
	attack(rig, source);
	free(source);
	/* What was taken of the state is put back into none. */
	lua_State *waiting = sandbox_take_thread(rig->sandbox);
	lua_pushcfunction(waiting, run_source);
	lua_pushlightuserdata(waiting,
		(void *)(uintptr_t) "local x <close> = setmetatable({},\n"
				    "{__close = error}) wait()");
	assert_int_equal(resume(rig, waiting, 1), SANDBOX_WAITS);
	assert_int_equal(run(rig, "local t = {} for i = 1, 65537 do t[i * 131071] = true end"),
		SANDBOX_LOST);
	assert_true(sandbox_is_lost(rig->sandbox));
	assert_null(sandbox_lua(rig->sandbox));
	assert_int_equal(sandbox_memory(rig->sandbox), 0);
	assert_null(sandbox_take_thread(rig->sandbox));
	sandbox_put_thread(rig->sandbox, &waiting);
	char error[100];
	assert_false(sandbox_try(rig->sandbox, finish_try, NULL, error, sizeof(error)));
	assert_string_equal(error, "not enough memory");
}

/* Variables to be closed by the hundred thousand, each by a function in C that takes long. */
static void nothing_of_a_class_runs_when_the_budget_is_used_up(void **state)
{
	struct rig *rig = *state;
	static const char *const closers[] = { "tostring", "function() ran = ran + 1 end",
		"table.sort", "next", "error", "(pairs({}))", "(ipairs({}))", "(utf8.codes(''))" };
	for (size_t i = 0; i < sizeof(closers) / sizeof(closers[0]); i++) {
		char source[600];
		snprintf(source, sizeof(source),
			"ran = 0 local t = {} for i = 1, 400000 do t[i] = 0 end\n"
			"setmetatable(t, {__close = %s, __tostring = table.sort})\n"
			"local function f(n) local a <close> = t local b <close> = t\n"
			"local c <close> = t local d <close> = t\n"
			"if n == 0 then while true do end end return f(n - 1), 1 end pcall(f, 2000)",
			closers[i]);
		assert_int_equal(attack(rig, source), SANDBOX_EXHAUSTED);
		expect_fine(rig, "assert(ran == 0)");
	}
	/* And while an error goes up that the class raised itself. */
	attack(rig,
		"local t = {} for i = 1, 400000 do t[i] = 400000 - i end\n"
		"setmetatable(t, {__close = tostring, __tostring = table.sort})\n"
		"local function f(n) local a <close> = t local b <close> = t\n"
		"local c <close> = t local d <close> = t\n"
		"if n == 0 then error('x') end return f(n - 1), 1 end pcall(f, 2000)");
	attack(rig,
		"local t = setmetatable({}, {__close = function() error('y') end})\n"
		"local function f(n) local a <close> = t local b <close> = t\n"
		"local c <close> = t local d <close> = t\n"
		"if n == 0 then error('x') end return f(n - 1), 1 end\n"
		"while true do pcall(f, 15000) end");
}

static int use_up_budget(lua_State *L)
{
	struct budget *budget = &sandbox_of(L)->budget;
	budget->used = budget->instructions_max;
	budget->look_at = 0;
	return 0;
}

/* Each of them ends the turn, without a glance at its arguments, when the budget is used up. */
static void every_function_looks_at_the_budget(void **state)
{
	struct rig *rig = *state;
	expect_fine(rig,
		"names = {} local function add(at, t) for k, f in pairs(t) do\n"
		"if type(f) == 'function' and f ~= wait then names[#names + 1] = {at .. k, f} end\n"
		"if type(f) == 'table' and #at == 0 and f ~= names then add(k .. '.', f) end\n"
		"end end add('', _ENV) add('iterator.', {(pairs({})), (ipairs({})),\n"
		"(utf8.codes('')), (('').gmatch('', ''))})");
	expect_fine(rig, "assert(#names > 70)");
	lua_pushcfunction(sandbox_lua(rig->sandbox), use_up_budget);
	lua_setglobal(sandbox_lua(rig->sandbox), "late");
	for (int i = 1;; i++) {
		char source[200];
		snprintf(source, sizeof(source), "return names[%d] and names[%d][1] or ''", i, i);
		expect_fine(rig, source);
		if (rig->error[0] == '\0')
			break;
		char name[sizeof(rig->error)];
		snprintf(name, sizeof(name), "%s", rig->error);
		/* The hook would come much later. */
		snprintf(source, sizeof(source), "local f = names[%d][2] late() f() ran = 1", i);
		expect_fine(rig, "ran = 0");
		if (run(rig, source) != SANDBOX_EXHAUSTED)
			fail_msg("%s does not look", name);
		expect_fine(rig, "assert(ran == 0)");
	}
}

static int expire(lua_State *L)
{
	watchdog_expire(&sandbox_of(L)->watchdog);
	while (!sandbox_of(L)->budget.time_is_over)
		;
	return 0;
}

static void time_that_is_over_ends_the_turn_at_the_next_instruction(void **state)
{
	struct rig *rig = *state;
	lua_State *L = sandbox_lua(rig->sandbox);
	lua_pushcfunction(L, expire);
	lua_setglobal(L, "expire");
	static const char *const sources[] = { "expire() done = done + 1",
		"pcall(expire) done = done + 1",
		"local x <close> = setmetatable({}, {__close = function() done = 2 end}) expire()",
		"table.sort({3, 2, 1}, function() expire() done = done + 1 end)",
		"('x'):gsub('x', function() expire() end) done = done + 1",
		"local x = setmetatable({}, {__index = expire})[1] done = done + 1" };
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		expect_fine(rig, "done = 1");
		assert_int_equal(run(rig, sources[i]), SANDBOX_EXHAUSTED);
		assert_true(sandbox_is_late(rig->sandbox));
		expect_fine(rig, "assert(done == 1)");
	}
}

static void bounds_the_time_of_compiling(void **state)
{
	struct rig *rig = *state;
	rig->time_ns = TIME_NS / 20;
	static const char *const parts[][2] = { { "local a = b", " or a" }, { "a = b", " and a" },
		{ "if a then ", "elseif a then " } };
	char *source = malloc(1 << 20);
	for (size_t i = 0; i < 3; i++) {
		size_t used = (size_t)sprintf(source, "%s", parts[i][0]);
		while (used < (1 << 20) - 100)
			used += (size_t)sprintf(source + used, "%s", parts[i][1]);
		if (i == 2)
			strcpy(source + used, " end");
		attack(rig, source);
	}
	free(source);
	attack_with(rig, "return 1 +", "test:1:");
	attack_with(rig, "\x1bLua", "binary");
}

/* --- recursion -------------------------------------------------------------------------------- */

static void bounds_recursion(void **state)
{
	struct rig *rig = *state;
	attack_with(rig, "local function f(a, b, c, d, e) return 1 + f(a, b, c, d, e) end f()",
		"stack overflow");
	attack_with(rig, "local function f() return select(-1, pcall(f)) end return f()",
		"stack overflow");
	attack_with(rig,
		"local m = {} m.__index = function(t, k) return t[k + 1] end\n"
		"return setmetatable({}, m)[1]",
		"stack overflow");
	attack_with(
		rig, "local function f(s) return (s:gsub('.', f)) end f('a')", "stack overflow");
	attack_with(rig,
		"local m = {__tostring = function(t) return tostring(t) end}\n"
		"return tostring(setmetatable({}, m))",
		"stack overflow");
	attack_with(
		rig, "local function f() assert(pcall(f)) end return select(2, xpcall(f, f))", "");
	attack_with(rig, "local function f() return select(2, xpcall(f, f)) end return f()", "");
	attack_with(rig, "local function f() table.sort({1, 2}, f) end f()", "stack overflow");
	attack_with(rig,
		"local m = {} m.__close = function() local x <close> = setmetatable({}, m)\n"
		"end local x <close> = setmetatable({}, m)",
		"");
	attack_with(rig, "return ('('):rep(100000)", "((((");
	attack_with(rig, "local t = {} t.__index = t setmetatable(t, t) return t.x", "");
	attack(rig, "local function f() return 1 + f() end while true do pcall(f) end");
}

/* --- metatables ------------------------------------------------------------------------------- */

static void refuses_finalizers(void **state)
{
	struct rig *rig = *state;
	attack_with(rig, "setmetatable({}, {__gc = function() while true do end end})", "__gc");
	/* A metatable that is given one later still has none. */
	expect_fine(rig,
		"local m = {} setmetatable({}, m) m.__gc = function() while true do end end\n"
		"assert(not pcall(setmetatable, {}, m))\n"
		"for i = 1, 10000 do local t = {i} end");
	expect_fine(rig,
		"local m = {} local t = setmetatable({}, m)\n"
		"getmetatable(t).__gc = function() while true do end end\n"
		"t = nil for i = 1, 10000 do local x = {i} end");
	expect_ordinary_turn(rig);
}

/* One instruction, in which Lua puts one callee in the place of another for ever. */
static void refuses_callees_that_call_themselves(void **state)
{
	struct rig *rig = *state;
	attack_with(rig, "local t = {} t.__call = t setmetatable(t, t) t()", "__call");
	attack_with(rig, "local m = {} local t = setmetatable({}, m) m.__call = t t()",
		"attempt to call");
	expect_fine(rig,
		"local m = {} local t = setmetatable({}, m)\n"
		"m.__call = function(self, x) return x + 1 end setmetatable({}, m)\n"
		"assert(t(1) == 2)");
}

static void refuses_weak_keys_alone(void **state)
{
	struct rig *rig = *state;
	attack_with(rig, "setmetatable({}, {__mode = 'k'})", "weak keys");
	expect_fine(rig,
		"local m = {} local t = setmetatable({}, m) m.__mode = 'k'\n"
		"t[{}] = 1 for i = 1, 20000 do local x = {i} end assert(next(t))");
	expect_fine(rig,
		"local t = setmetatable({}, {__mode = 'kv'}) t[{}] = {} t[1] = {}\n"
		"for i = 1, 200000 do local x = {i} end assert(not next(t))");
}

static void metatables_are_taken_as_they_are(void **state)
{
	struct rig *rig = *state;
	expect_fine(rig,
		"local C = {} C.__index = C function C.f() return 1 end\n"
		"local a = setmetatable({}, C) assert(a.f() == 1)\n"
		"assert(getmetatable(a) == C and getmetatable('') == nil)\n"
		"function C.g() return 2 end assert(a.g() == 2)\n"
		"C.__add = function() return 3 end assert(not pcall(function()\n"
		"return a + a end))\n"
		"local b = setmetatable({}, C) assert(a + b == 3)\n"
		"C.__add = nil setmetatable(b, C) assert(not pcall(function()\n"
		"return a + a end))\n"
		"assert(setmetatable(a, nil) == a and getmetatable(a) == nil)\n"
		"assert(a.f == nil)");
	expect_fine(rig,
		"local t = setmetatable({}, {__metatable = 'mine'})\n"
		"assert(getmetatable(t) == 'mine')\n"
		"local ok, e = pcall(setmetatable, t, {})\n"
		"assert(not ok and e:find('protected'))");
	expect_fine(rig,
		"assert(not pcall(setmetatable, 1, {}))\n"
		"assert(not pcall(setmetatable, {}, 1))\n"
		"assert(not pcall(setmetatable, {}))");
	expect_fine(rig,
		"local n = 0 local m = {__close = function() n = n + 1 end}\n"
		"do local x <close> = setmetatable({}, m) end assert(n == 1)\n"
		"local t = setmetatable({}, {__pairs = function() return next, {7}, nil end})\n"
		"for k, v in pairs(t) do assert(v == 7) end");
	/* Copies go with the values that have them. */
	for (int i = 0; i < 20; i++)
		expect_fine(rig, "for i = 1, 20000 do setmetatable({}, {__index = {i}}) end");
	assert_true(sandbox_memory(rig->sandbox) < MEMORY_BYTES / 2);
}

/* --- what is there ---------------------------------------------------------------------------- */

static void holds_exactly_what_it_says(void **state)
{
	struct rig *rig = *state;
	expect_text(rig,
		"local names = {} local G = {'assert', 'collectgarbage', 'coroutine', 'debug',\n"
		"'dofile', 'error', 'fail', 'getmetatable', 'io', 'ipairs', 'load', 'loadfile',\n"
		"'loadstring', 'math', 'module', 'next', 'os', 'package', 'pairs', 'pcall', 'print',\n"
		"'rawequal', 'rawget', 'rawlen', 'rawset', 'require', 'select', 'setmetatable',\n"
		"'string', 'table', 'tonumber', 'tostring', 'type', 'utf8', 'warn', 'xpcall', '_G',\n"
		"'_VERSION'}\n"
		"for _, name in ipairs(G) do if not _ENV[name] then names[#names + 1] = name end end\n"
		"return table.concat(names, ' ')",
		"collectgarbage coroutine debug dofile io load loadfile loadstring module os package "
		"print require warn _G _VERSION");
	expect_text(rig,
		"local n = 0 for k in pairs(_ENV) do n = n + 1 end\n"
		"assert(string.dump == nil and math.randomseed == nil and math.random())\n"
		"return n .. ''",
		"23"); /* and wait */
}

static void fail_is_caught_and_recognised(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(run(rig, "fail('NOTFOUND', 'no such thing')"), SANDBOX_FAILED);
	assert_true(rig->failed_softly);
	assert_string_equal(rig->error, "NOTFOUND no such thing");
	expect_text(rig,
		"local ok, e = pcall(fail, 'A1', 'text') assert(not ok)\n"
		"return e.code .. '|' .. e.message .. '|' .. tostring(e)",
		"A1|text|A1 text");
	assert_int_equal(run(rig, "local ok, e = pcall(fail, 'A', 'b') error(e)"), SANDBOX_FAILED);
	assert_string_equal(rig->error, "A b");
	expect_fine(rig,
		"local ok, e = pcall(fail, 'A', 'b')\n"
		"assert(getmetatable(e) == false and not pcall(setmetatable, e, {}))\n"
		"for _, code in ipairs{'', 'a', 'A B', 'A-B', ('A'):rep(33), 1} do\n"
		"local ok, e = pcall(fail, code, 'x') assert(type(e) == 'string') end\n"
		"assert(not pcall(fail, 'A')) assert(not pcall(fail))");
	/* A class may spoil it: then it is an error like others. */
	run(rig, "local ok, e = pcall(fail, 'A', 'b') e.code = 'X\\r\\n+OK' error(e)");
	assert_false(rig->failed_softly);
	assert_string_equal(rig->error, "error of type table");
	run(rig, "local ok, e = pcall(fail, 'A', 'b') e.message = nil error(e)");
	assert_false(rig->failed_softly);
}

static void shows_errors_of_every_type(void **state)
{
	struct rig *rig = *state;
	static const char *const errors[][2] = { { "error('x', 0)", "x" },
		{ "error('x')", "test:1: x" }, { "error(12)", "12" }, { "error(1.5)", "1.5" },
		{ "error()", "error of type nil" }, { "error({})", "error of type table" },
		{ "error(true)", "error of type boolean" },
		{ "local x = nil + 1", "test:1: attempt to perform arithmetic on a nil value" },
		{ "error(setmetatable({}, {__tostring = function() while true do end end}))",
			"error of type table" } };
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		assert_int_equal(run(rig, errors[i][0]), SANDBOX_FAILED);
		assert_false(rig->failed_softly);
		assert_string_equal(rig->error, errors[i][1]);
	}
	run(rig, "error(('x'):rep(1000), 0)");
	assert_int_equal(strlen(rig->error), sizeof(rig->error) - 1);
}

static void xpcall_gives_its_handler_the_error(void **state)
{
	struct rig *rig = *state;
	expect_text(rig,
		"local out = {xpcall(function(...) error(select('#', ...) .. '', 0) end,\n"
		"function(m) return 'h' .. m, 2 end, 1, 2, 3)}\n"
		"return #out .. tostring(out[1]) .. out[2]",
		"2falseh3");
	expect_text(rig,
		"local out = {xpcall(function(...) return ... end, error, 1, 2)}\n"
		"return #out .. tostring(out[1]) .. out[2] .. out[3]",
		"3true12");
	expect_text(rig,
		"local ok, e = xpcall(error, function(m) error('in ' .. m, 0) end, 'x')\n"
		"return tostring(ok) .. e",
		"falsein x");
	expect_fine(rig,
		"assert(not pcall(xpcall, error)) assert(not pcall(pcall))\n"
		"assert(select('#', pcall(function() end)) == 1)\n"
		"assert(select('#', pcall(error)) == 2)\n"
		"assert(not pcall(nil)) assert(not xpcall(nil, function() end))");
}

/* --- waits ------------------------------------------------------------------------------------ */

static void waits_within_protected_calls(void **state)
{
	struct rig *rig = *state;
	lua_State *thread = sandbox_take_thread(rig->sandbox);
	lua_pushcfunction(thread, run_source);
	lua_pushlightuserdata(thread,
		(void *)(uintptr_t) "local ok, a = pcall(function() return wait() end)\n"
				    "local ok2, b = xpcall(function() local x = wait() error(x, 0) end,\n"
				    "function(m) return m .. wait() end)\n"
				    "local ok3, c = pcall(pcall, function() wait() error('c', 0) end)\n"
				    "return tostring(ok) .. a .. tostring(ok2) .. b .. tostring(ok3) ..\n"
				    "tostring(c)");
	assert_int_equal(resume(rig, thread, 1), SANDBOX_WAITS);
	for (const char *answer = "pqrs"; *answer; answer++) {
		lua_settop(thread, 0);
		lua_pushlstring(thread, answer, 1);
		expect_ordinary_turn(rig);
		assert_int_equal(resume(rig, thread, 1), answer[1] ? SANDBOX_WAITS : SANDBOX_DONE);
	}
	assert_string_equal(lua_tostring(thread, -1), "truepfalseqrtruefalse");
	sandbox_put_thread(rig->sandbox, &thread);
}

static void budgets_hold_after_a_wait(void **state)
{
	struct rig *rig = *state;
	static const char *const loops[] = {
		"wait() while true do end",
		"pcall(function() wait() while true do end end) while true do end",
		"while true do pcall(function() wait() while true do end end) end",
		"xpcall(function() wait() error() end, function() while true do end end)",
		"local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
		"wait() error('x')",
	};
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		lua_State *thread = sandbox_take_thread(rig->sandbox);
		lua_pushcfunction(thread, run_source);
		lua_pushlightuserdata(thread, (void *)(uintptr_t)loops[i]);
		assert_int_equal(resume(rig, thread, 1), SANDBOX_WAITS);
		attack(rig, "while true do end");
		assert_int_equal(
			resume(rig, thread, 0), i < 4 ? SANDBOX_EXHAUSTED : SANDBOX_FAILED);
		sandbox_put_thread(rig->sandbox, &thread);
		expect_ordinary_turn(rig);
	}
}

/* What is open on a thread that is given back gets closed, but not for ever. */
static void closes_what_a_thread_leaves_open(void **state)
{
	struct rig *rig = *state;
	static const char *const sources[] = {
		"local x <close> = setmetatable({}, {__close = function() closed = true %s end}) wait()",
		"local x <close> = setmetatable({}, {__close = function() closed = true %s end})\n"
		"error('x')",
		"local x <close> = setmetatable({}, {__close = function() closed = true %s end})\n"
		"return select(2, pcall(function() wait() end))",
	};
	static const char *const acts[] = {
		"", "while true do end", "error('y')", "wait()",
		"pcall(function() while true do end end) while true do end",
		"local y <close> = setmetatable({}, {__close = function() while true do end end})"
	};
	for (size_t i = 0; i < 18; i++) {
		char source[400];
		const char *format = sources[i % 3], *place = strstr(format, "%s");
		snprintf(source, sizeof(source), "%.*s%s%s", (int)(place - format), format,
			acts[i / 3], place + 2);
		expect_fine(rig, "closed = false");
		lua_State *thread = sandbox_take_thread(rig->sandbox);
		lua_pushcfunction(thread, run_source);
		lua_pushlightuserdata(thread, source);
		resume(rig, thread, 1);
		sandbox_put_thread(rig->sandbox, &thread);
		expect_fine(rig, "assert(closed)");
		expect_ordinary_turn(rig);
	}
}

static void a_thread_whose_hook_is_lost_is_not_used_again(void **state)
{
	struct rig *rig = *state;
	lua_State *thread = sandbox_take_thread(rig->sandbox);
	lua_pushcfunction(thread, run_source);
	lua_pushlightuserdata(thread,
		(void *)(uintptr_t) "local x <close> = setmetatable({}, {__close = function()\n"
				    "while true do end end}) while true do end");
	resume(rig, thread, 1);
	assert_true(rig->exhausted);
	/* Other turns come before it is given back. */
	expect_ordinary_turn(rig);
	sandbox_put_thread(rig->sandbox, &thread);
	for (int i = 0; i < 100; i++) {
		run(rig, "local t = {} for i = 1, 100 do pcall(error) end while true do end");
		assert_true(rig->exhausted);
	}
}

static void charges_reach_protected_calls(void **state)
{
	struct rig *rig = *state;
	attack(rig, "while true do pcall(string.rep, 'x', 100000) end");
	lua_State *thread = sandbox_take_thread(rig->sandbox);
	sandbox_begin(rig->sandbox, thread, 5000, TIME_NS);
	for (int i = 0; i < 5; i++)
		sandbox_charge(thread, 1000);
	assert_false(sandbox_is_exhausted(rig->sandbox));
	sandbox_put_thread(rig->sandbox, &thread);
}

static int charge_all(lua_State *L)
{
	sandbox_charge(L, UINT64_MAX);
	return 0;
}

static int charge_some(lua_State *L)
{
	sandbox_charge(L, 1000000);
	return 0;
}

static void a_try_has_its_own_budget(void **state)
{
	struct rig *rig = *state;
	char error[100];
	lua_State *thread = sandbox_take_thread(rig->sandbox);
	sandbox_begin(rig->sandbox, thread, 1000, TIME_NS);
	assert_true(sandbox_try(rig->sandbox, charge_some, NULL, error, sizeof(error)));
	assert_false(sandbox_try(rig->sandbox, charge_all, NULL, error, sizeof(error)));
	assert_string_equal(error, "ran too long");
	assert_false(sandbox_is_exhausted(rig->sandbox));
	sandbox_put_thread(rig->sandbox, &thread);
	attack(rig, "while true do end");
	assert_true(sandbox_try(rig->sandbox, charge_some, NULL, error, sizeof(error)));
}

/* --- the table functions ---------------------------------------------------------------------- */

static const char model[] =
	"local function show(t) local out = {} for i = 1, 14 do out[i] = tostring(t[i]) end\n"
	"return table.concat(out, ' ') end\n"
	"return function(seed)\n"
	"  local function random(n) seed = (seed * 1103515245 + 12345) % 2147483648\n"
	"    return seed // 65536 % n end\n"
	"  local t, out = {}, {}\n"
	"  for i = 1, random(10) do t[i] = random(20) end\n"
	"  local m = random(4) == 0 and setmetatable({}, {__index = t,\n"
	"    __newindex = function(_, k, v) t[k] = v end, __len = function() return #t end}) or t\n"
	"  for step = 1, 12 do\n"
	"    local kind, a, b, c = random(8), random(14) - 1, random(14) - 1, random(14) - 1\n"
	"    local r\n"
	"    if kind == 0 then r = {pcall(table.insert, m, a)}\n"
	"    elseif kind == 1 then r = {pcall(table.insert, m, a, b)}\n"
	"    elseif kind == 2 then r = {pcall(table.remove, m, random(2) == 0 and a or nil)}\n"
	"    elseif kind == 3 then r = {pcall(table.concat, m, ',', a, b)}\n"
	"    elseif kind == 4 then r = {pcall(table.unpack, m, a, b)}\n"
	"    elseif kind == 5 then local ok, e = pcall(table.move, m, a, b, c)\n"
	"      r = {ok, not ok and e or nil}\n"
	"    elseif kind == 6 then local before = show(t) r = {pcall(table.sort, m)}\n"
	"      if not r[1] then break end\n"
	"    else local p = table.pack(a, nil, b) r = {p.n, p[1], p[2], p[3]}\n"
	"      if pcall(table.sort, m, function(x, y) return x > y end) == false then break end end\n"
	"    for i = 1, 14 do out[#out + 1] = tostring(r[i]):gsub('#%d', '') end\n"
	"    out[#out + 1] = show(t)\n"
	"    local holes = 0\n"
	"    for i = 2, 60 do if t[i] and not t[i - 1] then holes = holes + 1 end end\n"
	"    if holes > 0 then break end\n"
	"  end\n"
	"  return table.concat(out, ' ')\n"
	"end\n";

static void table_functions_are_those_of_lua(void **state)
{
	struct rig *rig = *state;
	lua_State *stock = luaL_newstate();
	lua_State *ours = sandbox_lua(rig->sandbox);
	luaL_openlibs(stock);
	lua_State *both[] = { stock, ours };
	for (int i = 0; i < 2; i++) {
		assert_int_equal(luaL_loadstring(both[i], model), LUA_OK);
		assert_int_equal(lua_pcall(both[i], 0, 1, 0), LUA_OK);
	}
	for (int seed = 1; seed < 20000; seed++) {
		sandbox_begin(rig->sandbox, ours, INSTRUCTIONS, 60 * TIME_NS);
		for (int i = 0; i < 2; i++) {
			lua_pushvalue(both[i], -1);
			lua_pushinteger(both[i], seed);
			if (lua_pcall(both[i], 1, 1, 0) != LUA_OK)
				fail_msg("%d: %s", seed, lua_tostring(both[i], -1));
		}
		if (strcmp(lua_tostring(stock, -1), lua_tostring(ours, -1)) != 0)
			fail_msg("%d\n%s\n%s", seed, lua_tostring(stock, -1),
				lua_tostring(ours, -1));
		lua_pop(stock, 1);
		lua_pop(ours, 1);
	}
	lua_close(stock);
}

static void sorting_is_stable_and_takes_any_order(void **state)
{
	struct rig *rig = *state;
	expect_fine(rig,
		"for n = 0, 300 do local t = {} for i = 1, n do\n"
		"t[i] = {k = math.random(10), i = i} end\n"
		"table.sort(t, function(a, b) return a.k < b.k end)\n"
		"assert(#t == n) for i = 2, n do local a, b = t[i - 1], t[i]\n"
		"assert(a.k < b.k or a.k == b.k and a.i < b.i) end end");
	expect_fine(rig,
		"for _, order in ipairs{function() return true end, function() return\n"
		"math.random(2) == 1 end, function() end, rawequal} do\n"
		"local t, sum = {}, 0 for i = 1, 1000 do t[i] = i end table.sort(t, order)\n"
		"for i = 1, 1000 do sum = sum + t[i] end assert(sum == 500500 and #t == 1000)\n"
		"end");
	expect_fine(rig,
		"local t = {3, 1, 2} assert(not pcall(table.sort, t, error))\n"
		"assert(table.concat(t) == '312') assert(not pcall(table.sort, {1, 'x'}))\n"
		"assert(not pcall(table.sort, {1, 2}, 3))\n"
		"local u = {5, 4, 3, 2, 1} table.sort(u, function(a, b)\n"
		"for k in pairs(u) do u[k] = nil end return a < b end)\n"
		"assert(table.concat(u) == '12345')");
}

static void rep_is_that_of_lua(void **state)
{
	struct rig *rig = *state;
	expect_fine(rig,
		"for size = 0, 5 do for gap = 0, 3 do for n = -1, 40 do\n"
		"local s, sep, out = ('abcde'):sub(1, size), ('-+*'):sub(1, gap), {}\n"
		"for i = 1, n do out[i] = s end\n"
		"assert(s:rep(n, sep) == table.concat(out, sep)) end end end");
}

static void the_state_cannot_be_hurt_through_its_libraries(void **state)
{
	struct rig *rig = *state;
	expect_fine(rig, "string.rep = nil table.concat = nil pcall = nil error = nil type = nil");
	expect_fine(rig, "assert(not table.concat and not string.rep)");
	char error[100];
	assert_true(sandbox_try(rig->sandbox, charge_some, NULL, error, sizeof(error)));
	assert_int_equal(run(rig, "fail('A', 'b')"), SANDBOX_FAILED);
	assert_string_equal(rig->error, "A b");
}

#define TEST(name)       cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_CLOCK(name) cmocka_unit_test_setup_teardown(name, set_up_fake_clock, tear_down)
#define TEST_SMALL(name) cmocka_unit_test_setup_teardown(name, set_up_small, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_CLOCK(ends_endless_loops),
		TEST(ends_loops_that_pcall_protects),
		TEST_CLOCK(ends_loops_in_metamethods),
		TEST(ends_loops_without_instructions),
		TEST_CLOCK(ends_a_loop_by_the_clock_alone),
		TEST_CLOCK(counts_instructions_also_when_no_time_passes),
		TEST_CLOCK(each_turn_has_the_whole_budget),
		TEST(bounds_memory),
		TEST(ends_loops_at_the_end_of_memory),
		TEST_SMALL(works_in_the_least_memory_a_class_may_have),
		TEST_SMALL(gives_no_thread_when_memory_is_used_up),
		TEST(ends_turns_whose_single_steps_are_long),
		TEST(formats_a_few_conversions_at_a_time),
		TEST(cuts_off_a_step_that_does_not_end),
		TEST(nothing_of_a_class_runs_when_the_budget_is_used_up),
		TEST(every_function_looks_at_the_budget),
		TEST_CLOCK(time_that_is_over_ends_the_turn_at_the_next_instruction),
		TEST(bounds_the_time_of_compiling),
		TEST(bounds_recursion),
		TEST(refuses_finalizers),
		TEST(refuses_callees_that_call_themselves),
		TEST(refuses_weak_keys_alone),
		TEST(metatables_are_taken_as_they_are),
		TEST(holds_exactly_what_it_says),
		TEST(fail_is_caught_and_recognised),
		TEST(shows_errors_of_every_type),
		TEST(xpcall_gives_its_handler_the_error),
		TEST(waits_within_protected_calls),
		TEST(budgets_hold_after_a_wait),
		TEST(closes_what_a_thread_leaves_open),
		TEST(a_thread_whose_hook_is_lost_is_not_used_again),
		TEST(charges_reach_protected_calls),
		TEST(a_try_has_its_own_budget),
		TEST(table_functions_are_those_of_lua),
		TEST(sorting_is_stable_and_takes_any_order),
		TEST(rep_is_that_of_lua),
		TEST(the_state_cannot_be_hurt_through_its_libraries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
