/*
 * test_pattern: the four functions beside those of a stock Lua, on random patterns and subjects and
 * on the corners of the manual: same results or the same error; and that no pattern outlives its
 * budget.
 */
#include "lua/pattern.h"

#include "base/random.h"
#include "lua/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#define MEMORY_BYTES ((size_t)64 << 20)
#define BUDGET       UINT64_C(5000000)
#define TIME_NS      UINT64_C(60000000000)

/* What each call answers as one line: every value with its type, or the error's text. */
static const char harness[] =
	"local function show(...)\n"
	"  local out = {}\n"
	"  for i = 1, select('#', ...) do\n"
	"    local v = (select(i, ...))\n"
	"    out[#out + 1] = math.type(v) or type(v)\n"
	"    out[#out + 1] = tostring(v)\n"
	"  end\n"
	"  return table.concat(out, ' ')\n"
	"end\n"
	"local run = {}\n"
	"function run.find(...) local r = show(string.find(...)) return r end\n"
	"function run.match(...) local r = show(string.match(...)) return r end\n"
	"function run.gmatch(...)\n"
	"  local out = {}\n"
	"  for a, b, c in string.gmatch(...) do\n"
	"    out[#out + 1] = show(a, b, c)\n"
	"  end\n"
	"  return table.concat(out, ';')\n"
	"end\n"
	"function run.gsub(...) local r = show(string.gsub(...)) return r end\n"
	"local replacements = {\n"
	"  { a = 'x', b = 7, [''] = '-', c = false, aa = 'long one', [1] = 'one', [2] = 2.5 },\n"
	"  setmetatable({}, { __index = function(t, k) return '<' .. k .. '>' end }),\n"
	"  { a = {} },\n"
	"  function(...) return show(...) end,\n"
	"  function(a) return a == 'a' and 'y' end,\n"
	"  function(a, b) return b end,\n"
	"  function() return next end,\n"
	"  function() error('from within') end,\n"
	"  function(a) return (string.gsub(tostring(a), '.', '%0%0')) end,\n"
	"}\n"
	"function run.gsub_other(s, p, which, n)\n"
	"  local r = show(string.gsub(s, p, replacements[which], n)) return r end\n"
	"function run.method(s, p, ...) local r = show(s:find(p, ...)) return r end\n"
	"return function(name, ...)\n"
	"  local ok, r = pcall(run[name], ...)\n"
	"  return (ok and 'ok ' or 'error ') .. tostring(r)\n"
	"end\n";

struct rig {
	struct sandbox *sandbox;
	lua_State *ours; /* the sandbox's */
	lua_State *stock;
};

static void load_harness(lua_State *L)
{
	assert_int_equal(luaL_loadbuffer(L, harness, sizeof(harness) - 1, "=harness"), LUA_OK);
	assert_int_equal(lua_pcall(L, 0, 1, 0), LUA_OK);
	lua_setglobal(L, "run");
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	rig->sandbox = sandbox_new(MEMORY_BYTES, clock_system());
	rig->ours = sandbox_lua(rig->sandbox);
	rig->stock = luaL_newstate();
	luaL_openlibs(rig->stock);
	sandbox_begin(rig->sandbox, rig->ours, BUDGET, TIME_NS);
	lua_getglobal(rig->ours, "string");
	pattern_open(rig->ours);
	lua_pop(rig->ours, 1);
	load_harness(rig->ours);
	load_harness(rig->stock);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	sandbox_free(&rig->sandbox);
	lua_close(rig->stock);
	free(rig);
	return 0;
}

/* One argument; a text of NULL is an integer, or left out when that is absent. */
struct argument {
	const char *text;
	size_t size;
	lua_Integer integer;
	bool is_absent;
};

static struct argument text(const char *bytes)
{
	return (struct argument){ .text = bytes, .size = strlen(bytes) };
}

static struct argument integer(lua_Integer value)
{
	return (struct argument){ .integer = value };
}

#define ABSENT ((struct argument){ .is_absent = true })

/* Runs it and leaves what it answered on the stack. */
static const char *answer(
	lua_State *L, const char *function, const struct argument *arguments, size_t *size)
{
	lua_settop(L, 0);
	lua_getglobal(L, "run");
	lua_pushstring(L, function);
	for (int i = 0; i < 4; i++) {
		const struct argument *argument = &arguments[i];
		if (argument->is_absent)
			lua_pushnil(L);
		else if (argument->text)
			lua_pushlstring(L, argument->text, argument->size);
		else
			lua_pushinteger(L, argument->integer);
	}
	assert_int_equal(lua_pcall(L, 5, 1, 0), LUA_OK);
	return lua_tolstring(L, -1, size);
}

/* True when the call did not end in an error. */
static bool agree(struct rig *rig, const char *function, struct argument a, struct argument b,
	struct argument c, struct argument d)
{
	struct argument arguments[4] = { a, b, c, d };
	size_t expected_size, size;
	const char *expected = answer(rig->stock, function, arguments, &expected_size);
	sandbox_begin(rig->sandbox, rig->ours, BUDGET, TIME_NS);
	const char *got = answer(rig->ours, function, arguments, &size);
	if (size != expected_size || memcmp(got, expected, size) != 0)
		fail_msg("%s('%.*s', '%.*s', %s %lld, %lld)\nshould give %s\nbut gives  %s",
			function, (int)a.size, a.text, (int)b.size, b.text, c.text ? c.text : "",
			(long long)c.integer, (long long)d.integer, expected, got);
	return expected[0] == 'o';
}

/* Pieces that patterns are made of, so that most of them mean something. */
static const char *const pieces[] = { "a", "b", "c", ".", "%a", "%d", "%S", "%w", "%%", "%.",
	"[ab]", "[^a]", "[a-c]", "[%a_]", "[]]", "[^]b]", "[a-]", "[%d-c]", "[a-%%]", "(", ")",
	"()", "(a)", "(.-)", "(%a*)", "%1", "%2", "%0", "%b()", "%bab", "%baa", "%f[a]", "%f[%z%A]",
	"%f[^%w]", "*", "+", "-", "?", "*", "+", "-", "?", "^", "$", "[", "]", "%", "%f", "%b",
	"%bx", "%x", "%u", "%p", "%c", "%g", "%l", "%Z", "z", "[^", "[%", "[a", "1", "-", "%-" };

static struct argument random_pattern(struct random *random, char *out, size_t bound)
{
	size_t size = 0, count = random_below(random, 7);
	if (random_below(random, 5) == 0)
		out[size++] = '^';
	for (size_t i = 0; i < count; i++) {
		const char *piece =
			pieces[random_below(random, sizeof(pieces) / sizeof(pieces[0]))];
		assert_true(size + strlen(piece) + 1 < bound);
		memcpy(out + size, piece, strlen(piece));
		size += strlen(piece);
		if (random_below(random, 40) == 0)
			out[size++] = (char)random_below(random, 256);
	}
	if (random_below(random, 6) == 0)
		out[size++] = '$';
	return (struct argument){ .text = out, .size = size };
}

static struct argument random_subject(struct random *random, char *out, size_t size_max)
{
	static const char common[] = "aaabbbcc()1 .-%x_Az]";
	size_t size = random_below(random, size_max + 1);
	for (size_t i = 0; i < size; i++)
		out[i] = random_below(random, 20) ? common[random_below(random, sizeof(common) - 1)]
						  : (char)random_below(random, 256);
	return (struct argument){ .text = out, .size = size };
}

static struct argument random_integer(struct random *random)
{
	if (random_below(random, 2) == 0)
		return ABSENT;
	return integer((lua_Integer)random_below(random, 40) - 20);
}

static struct argument random_replacement(struct random *random, char *out)
{
	static const char *const parts[] = { "x", "%0", "%1", "%2", "%%", "yy", "%9", "%", "%a" };
	size_t size = 0, count = random_below(random, 4);
	for (size_t i = 0; i < count; i++) {
		/* the last two are errors: seldom */
		const char *part = parts[random_below(random, random_below(random, 6) ? 6 : 9)];
		memcpy(out + size, part, strlen(part));
		size += strlen(part);
	}
	return (struct argument){ .text = out, .size = size };
}

static void random_patterns_give_what_stock_lua_gives(void **state)
{
	struct rig *rig = *state;
	struct random random;
	char pattern_bytes[64], subject_bytes[32], replacement_bytes[16];
	int fine = 0, rounds = 40000;
	random_seed(&random, 11);
	for (int i = 0; i < rounds; i++) {
		struct argument pattern =
			random_pattern(&random, pattern_bytes, sizeof(pattern_bytes));
		struct argument subject =
			random_subject(&random, subject_bytes, sizeof(subject_bytes));
		struct argument number = random_integer(&random);
		fine += agree(rig, "find", subject, pattern, number, ABSENT);
		agree(rig, "find", subject, pattern, number, integer(1));
		agree(rig, "match", subject, pattern, number, ABSENT);
		agree(rig, "gmatch", subject, pattern, number, ABSENT);
		agree(rig, "gsub", subject, pattern, random_replacement(&random, replacement_bytes),
			number);
		agree(rig, "gsub_other", subject, pattern,
			integer(1 + (lua_Integer)random_below(&random, 9)), number);
	}
	assert_in_range(fine, rounds / 10, rounds * 9 / 10);
}

static void random_bytes_as_patterns_give_what_stock_lua_gives(void **state)
{
	struct rig *rig = *state;
	struct random random;
	char pattern[12], subject[12];
	random_seed(&random, 12);
	for (int i = 0; i < 100000; i++) {
		static const char special[] = "%[]()^$*+?-.ab\0f1";
		size_t pattern_size = random_below(&random, sizeof(pattern));
		size_t subject_size = random_below(&random, sizeof(subject));
		for (size_t k = 0; k < pattern_size; k++)
			pattern[k] = special[random_below(&random, sizeof(special))];
		for (size_t k = 0; k < subject_size; k++)
			subject[k] = special[random_below(&random, sizeof(special))];
		agree(rig, i % 2 ? "match" : "gmatch",
			(struct argument){ .text = subject, .size = subject_size },
			(struct argument){ .text = pattern, .size = pattern_size }, ABSENT, ABSENT);
	}
}

static void every_class_holds_the_bytes_that_it_holds_in_stock_lua(void **state)
{
	struct rig *rig = *state;
	char bytes[256], pattern[8];
	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	struct argument subject = { .text = bytes, .size = sizeof(bytes) };
	for (int c = 1; c < 256; c++) {
		pattern[0] = '%';
		pattern[1] = (char)c;
		pattern[2] = '\0';
		agree(rig, "gsub", subject, text(pattern), text(""), ABSENT);
		snprintf(pattern, sizeof(pattern), "[^%%%c]", c);
		agree(rig, "gsub", subject, text(pattern), text(""), ABSENT);
		snprintf(pattern, sizeof(pattern), "[%c-~]", c);
		agree(rig, "gsub", subject, text(pattern), text(""), ABSENT);
	}
}

static void corners_of_the_manual_are_those_of_stock_lua(void **state)
{
	static const char *const cases[][2] = {
		{ "hello world", "(o)(.)" },
		{ "key = value", "^(%w+)%s*=%s*(%w+)$" },
		{ "THE (quick) fox", "%((%a+)%)" },
		{ "THE (quick) fox", "%f[%a]%a+%f[%A]" },
		{ "f(a(b)c)d)", "%b()" },
		{ "\"it's\" 'x'", "([\"'])(.-)%1" },
		{ "abc", "()b()" },
		{ "", "" },
		{ "abc", "" },
		{ "a,b,,c", "([^,]*)" },
		{ "a]b", "[]]" },
		{ "a^b", "a^b" },
		{ "a$b", "a$b" },
		{ "aaa", "^a" },
		{ "x", "(((x)))" },
		{ "x", "(()" },
		{ "x", ")" },
		{ "x", "%1" },
		{ "x", "(%1)" },
		{ "x", "%f" },
		{ "x", "%fx" },
		{ "x", "x%" },
		{ "x", "%b" },
		{ "x", "%bx" },
		{ "x", "[a" },
		{ "x", "[]" },
		{ "x", "[^]" },
		{ "x", "y[" },
		{ "a-b", "a)" },
		{ "a-b", "[a-]-" },
	};
	struct rig *rig = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct argument subject = text(cases[i][0]), pattern = text(cases[i][1]);
		for (lua_Integer init = -12; init <= 12; init++) {
			agree(rig, "find", subject, pattern, integer(init), ABSENT);
			agree(rig, "find", subject, pattern, integer(init), integer(1));
			agree(rig, "match", subject, pattern, integer(init), ABSENT);
			agree(rig, "gmatch", subject, pattern, integer(init), ABSENT);
			agree(rig, "gsub", subject, pattern, text("<%0%1>"), integer(init));
		}
		for (lua_Integer which = 1; which <= 9; which++)
			agree(rig, "gsub_other", subject, pattern, integer(which), ABSENT);
	}
	agree(rig, "find", text("abc"), text("b"), integer(LUA_MININTEGER), ABSENT);
	agree(rig, "find", text("abc"), text("b"), integer(LUA_MAXINTEGER), ABSENT);
	agree(rig, "gmatch", text("abc"), text("b"), integer(LUA_MAXINTEGER), ABSENT);
	agree(rig, "gsub", text("abc"), text("%w"), text("%%%0"), integer(LUA_MININTEGER));
}

static void bad_arguments_get_the_texts_of_stock_lua(void **state)
{
	static const char *const functions[] = { "find", "match", "gmatch", "gsub", "method" };
	struct rig *rig = *state;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		agree(rig, functions[i], ABSENT, text("a"), ABSENT, ABSENT);
		agree(rig, functions[i], text("a"), ABSENT, ABSENT, ABSENT);
		agree(rig, functions[i], text("a"), text("a"), text("b"), ABSENT);
		agree(rig, functions[i], text("a"), text("a"), text("1"), text("x"));
		agree(rig, functions[i], integer(1212), integer(2), ABSENT, ABSENT);
		agree(rig, functions[i], integer(1212), integer(2), integer(3), ABSENT);
	}
	agree(rig, "gsub_other", text("a"), text("a"), integer(99), ABSENT);
}

static void captures_and_depth_end_where_they_end_in_stock_lua(void **state)
{
	static const char *const repeated[] = { "()", "(", "a?", "a*", "a-", "b?", "b*", "b-",
		"(a)", "(b?)", ".-b?", "[ab]?" };
	struct rig *rig = *state;
	char subject[301], pattern[1600];
	memset(subject, 'a', sizeof(subject) - 1);
	subject[sizeof(subject) - 1] = '\0';
	for (size_t i = 0; i < sizeof(repeated) / sizeof(repeated[0]); i++) {
		for (int count = 1; count <= 300; count += count < 40 || count > 190 ? 1 : 30) {
			pattern[0] = '\0';
			for (int k = 0; k < count && count <= 210; k++)
				strcat(pattern, repeated[i]);
			agree(rig, "match", text(subject), text(pattern), ABSENT, ABSENT);
			agree(rig, "find", text(""), text(pattern), ABSENT, ABSENT);
		}
	}
}

/* Runs a chunk with the whole budget: its error's text, NULL when there was none. */
static const char *run_chunk(struct rig *rig, const char *chunk)
{
	lua_State *L = rig->ours;
	lua_settop(L, 0);
	assert_int_equal(luaL_loadstring(L, chunk), LUA_OK);
	sandbox_begin(rig->sandbox, L, BUDGET, TIME_NS);
	return lua_pcall(L, 0, 0, 0) == LUA_OK ? NULL : luaL_tolstring(L, -1, NULL);
}

static void assert_is_stopped(struct rig *rig, const char *chunk)
{
	uint64_t begin = clock_monotonic_ns(clock_system());
	run_chunk(rig, chunk);
	uint64_t ns = clock_monotonic_ns(clock_system()) - begin;
	if (!sandbox_is_exhausted(rig->sandbox))
		fail_msg("not stopped: %s", chunk);
	/* Thousands of times what it takes; unstopped they run for years. */
	if (ns > UINT64_C(20000000000))
		fail_msg("stopped after %llu ms: %s", (unsigned long long)(ns / 1000000), chunk);
}

static void patterns_of_endless_work_are_stopped(void **state)
{
	struct rig *rig = *state;
	assert_is_stopped(rig, "string.find(string.rep('a', 1000000), '.-.-.-.-.-b')");
	assert_is_stopped(rig, "string.match(string.rep('a', 1000000), '.*.*.*.*b')");
	assert_is_stopped(rig, "string.gsub(string.rep('a', 1000000), 'a-a-a-a-b', '')");
	assert_is_stopped(rig, "for _ in string.gmatch(string.rep('a', 1000000), 'a*a*b') do end");
	assert_is_stopped(rig, "string.find(string.rep('a', 40), string.rep('a?', 40) .. 'b')");
	assert_is_stopped(rig, "string.find(string.rep('(', 1000000), '%b()')");
	assert_is_stopped(rig, "string.find(string.rep('a', 1000000), '(a*)%1b')");
	assert_is_stopped(
		rig, "string.find(string.rep('a', 10000), '[' .. string.rep('b', 1000000) .. ']')");
	assert_is_stopped(rig,
		"string.match(string.rep('a', 10000), '%f[' .. "
		"string.rep('b', 1000000) .. ']')");
}

static void many_small_calls_are_charged_too(void **state)
{
	struct rig *rig = *state;
	assert_is_stopped(rig,
		"local s = string.rep('a', 900) "
		"for i = 1, 100000 do string.find(s, 'a*c') end");
	assert_is_stopped(rig,
		"local s = string.rep('a', 12000) "
		"for i = 1, 100000 do string.find(s, 'b', 1, true) end");
	assert_is_stopped(rig,
		"local s, p = string.rep('a', 900), string.rep('a', 900) .. '[' "
		"for i = 1, 100000 do pcall(string.find, s, p) end");
	assert_is_stopped(rig,
		"local s = string.rep('a', 900) for i = 1, 100000 do "
		"pcall(string.gsub, s, 'a+', error) end");
}

static void results_are_charged_by_their_bytes(void **state)
{
	struct rig *rig = *state;
	assert_is_stopped(rig,
		"local s = string.rep('a', 16000) "
		"for i = 1, 100000 do string.gsub(s, '^', s) end");
	assert_is_stopped(rig,
		"local s = string.rep('a', 500) .. 'b' for i = 1, 100000 do "
		"string.match(s, '((((((((((((((((.*))))))))))))))))') end");
}

static void ordinary_work_fits_well_within_the_budget(void **state)
{
	struct rig *rig = *state;
	const char *error = run_chunk(rig,
		"local s = string.rep('key=value; ', 20000) local n = 0 "
		"for k, v in string.gmatch(s, '(%w+)=(%w+)') do n = n + #k end "
		"assert(n == 60000) "
		"assert(select(2, string.gsub(s, 'value', 'other')) == 20000) "
		"assert(string.find(s, 'nothing of it', 1, true) == nil)");
	assert_null(error);
	assert_false(sandbox_is_exhausted(rig->sandbox));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_patterns_give_what_stock_lua_gives),
		cmocka_unit_test(random_bytes_as_patterns_give_what_stock_lua_gives),
		cmocka_unit_test(every_class_holds_the_bytes_that_it_holds_in_stock_lua),
		cmocka_unit_test(corners_of_the_manual_are_those_of_stock_lua),
		cmocka_unit_test(bad_arguments_get_the_texts_of_stock_lua),
		cmocka_unit_test(captures_and_depth_end_where_they_end_in_stock_lua),
		cmocka_unit_test(patterns_of_endless_work_are_stopped),
		cmocka_unit_test(many_small_calls_are_charged_too),
		cmocka_unit_test(results_are_charged_by_their_bytes),
		cmocka_unit_test(ordinary_work_fits_well_within_the_budget),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
