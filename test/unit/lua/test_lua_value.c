/*
 * test_lua_value: Lua values packed and pushed again. The values come from Lua itself, and so does
 * the comparison: deep, with types, raw. The sandbox is stood in for by a counter.
 */
#include "lua/lua_value.h"

#include "base/random.h"
#include "holdfast/limits.h"
#include "lua/sandbox.h"
#include "object/packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <lauxlib.h>
#include <lualib.h>
#include <math.h>

#define BYTES_MAX ((size_t)1 << 20)

static uint64_t charged, charge_max;
static size_t room;

void sandbox_charge(lua_State *L, uint64_t instructions)
{
	charged += instructions;
	if (charged > charge_max)
		luaL_error(L, "out of budget");
}

void sandbox_need(lua_State *L, size_t bytes)
{
	if (bytes > room)
		luaL_error(L, "not enough memory");
}

struct fixture {
	lua_State *L;
	struct buffer scratch;
	size_t bytes_max;
};

static int setup(void **state)
{
	static struct fixture fixture;
	fixture = (struct fixture){ .L = luaL_newstate(), .bytes_max = BYTES_MAX };
	charged = 0;
	charge_max = UINT64_MAX;
	room = SIZE_MAX;
	luaL_openlibs(fixture.L);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	lua_close(fixture->L);
	buffer_fini(&fixture->scratch);
	return 0;
}

/* Pushes what a chunk returns. */
static void evaluate(lua_State *L, const char *chunk)
{
	if (luaL_loadstring(L, chunk) || lua_pcall(L, 0, 1, 0))
		fail_msg("%s: %s", chunk, lua_tostring(L, -1));
}

/* value -> nothing; packs it into the fixture's scratch. */
static int pack_protected(lua_State *L)
{
	struct fixture *fixture = lua_touserdata(L, lua_upvalueindex(1));
	lua_value_pack(L, 1, &fixture->scratch, fixture->bytes_max);
	if (lua_gettop(L) != 1)
		luaL_error(L, "the stack is out of balance");
	return 0;
}

/* Pops the value on top and packs it; the error's text, or NULL. */
static const char *pack(struct fixture *fixture)
{
	lua_State *L = fixture->L;
	fixture->scratch.size = 0;
	lua_pushlightuserdata(L, fixture);
	lua_pushcclosure(L, pack_protected, 1);
	lua_insert(L, -2);
	return lua_pcall(L, 1, 0, 0) ? lua_tostring(L, -1) : NULL;
}

static const char *pack_chunk(struct fixture *fixture, const char *chunk)
{
	evaluate(fixture->L, chunk);
	return pack(fixture);
}

static void check_json(struct fixture *fixture, const char *chunk, const char *wanted)
{
	const char *error = pack_chunk(fixture, chunk);
	if (error)
		fail_msg("%s: %s", chunk, error);
	assert_true(packed_is_whole(buffer_slice(&fixture->scratch)));
	struct buffer out;
	buffer_init(&out);
	packed_to_json(buffer_slice(&fixture->scratch), &out);
	if (!slice_equal(buffer_slice(&out), slice_text(wanted)))
		fail_msg("%.*s instead of %s", (int)out.size, out.data, wanted);
	buffer_fini(&out);
}

static void check_refused(struct fixture *fixture, const char *chunk, const char *says)
{
	const char *error = pack_chunk(fixture, chunk);
	if (error == NULL || strstr(error, says) == NULL)
		fail_msg("%s: %s", chunk, error ? error : "was packed");
	lua_settop(fixture->L, 0);
}

static void values_are_packed_with_their_types(void **state)
{
	check_json(*state, "return nil", "null");
	check_json(*state, "return true", "true");
	check_json(*state, "return 1", "1");
	check_json(*state, "return 1.0", "1.0");
	check_json(*state, "return 2^53", "9007199254740992.0");
	check_json(*state, "return math.mininteger", "-9223372036854775808");
	check_json(*state, "return '10'", "\"10\"");
	check_json(*state, "return 'a\\0b'", "\"a\\u0000b\"");
	check_json(*state, "return {}", "[]");
	check_json(*state, "return {1, 'b', {3.5}}", "[1,\"b\",[3.5]]");
	check_json(*state, "return {a = {b = {}}}", "{\"a\":{\"b\":[]}}");
}

static void a_sequence_ends_at_the_first_nil(void **state)
{
	check_json(*state, "return {1, 2, nil, 4}", "{\"1\":1,\"2\":2,\"4\":4}");
	check_json(*state, "return {nil, 2}", "{\"2\":2}");
	check_json(*state, "return {[0] = 0, 1, [-1] = 2}", "{\"-1\":2,\"0\":0,\"1\":1}");
	check_json(*state, "return {1, 2, x = 3, [2.5] = 4, [false] = 5}",
		"{\"1\":1,\"2\":2,\"2.5\":4,\"false\":5,\"x\":3}");
	check_json(*state, "local t = {} for i = 9, 1, -1 do t[i] = i end return t",
		"[1,2,3,4,5,6,7,8,9]");
	check_json(*state, "return {[1.0] = 'one', [2^53] = 'big'}",
		"{\"1\":\"one\",\"9007199254740992\":\"big\"}");
	check_json(*state, "return {[1] = 1, ['1'] = 2}", "{\"1\":1,\"1\":2}");
}

static void json_null_is_a_value_of_its_own(void **state)
{
	struct fixture *fixture = *state;
	lua_pushlightuserdata(fixture->L, NULL);
	lua_setglobal(fixture->L, "null");
	check_json(fixture, "return null", "null");
	check_json(fixture, "return {1, null, 3}", "[1,null,3]");
	check_json(fixture, "return {a = null}", "{\"a\":null}");
	check_refused(fixture, "return {[null] = 1}", "a key of type userdata cannot be stored");
	assert_null(pack_chunk(fixture, "return {1, null, 3, a = null}"));
	lua_value_push(fixture->L, buffer_slice(&fixture->scratch));
	lua_setglobal(fixture->L, "t");
	evaluate(fixture->L, "return t[2] == null and t[3] == 3 and #t == 3 and t.a == null");
	assert_true(lua_toboolean(fixture->L, -1));
	assert_null(pack_chunk(fixture, "return null"));
	lua_value_push(fixture->L, buffer_slice(&fixture->scratch));
	assert_int_equal(lua_type(fixture->L, -1), LUA_TLIGHTUSERDATA);
	lua_value_push(fixture->L, slice_of("\6\3\1\3\2\0\3\4\5\1a\0", 12));
	lua_setglobal(fixture->L, "t");
	evaluate(fixture->L,
		"return t[1] == 1 and t[2] == nil and t[3] == 2 and t.a == nil and "
		"not next(t, 3)");
	assert_true(lua_toboolean(fixture->L, -1));
}

static int mark_object(lua_State *L)
{
	lua_value_mark_object(L, 1);
	return 1;
}

static void a_table_marked_as_an_object_stays_one(void **state)
{
	struct fixture *fixture = *state;
	lua_pushcfunction(fixture->L, mark_object);
	lua_setglobal(fixture->L, "object");
	check_json(fixture, "return object({})", "{}");
	check_json(fixture, "return {object({}), {}}", "[{},[]]");
	check_json(fixture, "return object({7, a = object({})})", "{\"1\":7,\"a\":{}}");
	assert_null(pack_chunk(fixture, "return {object({}), object({a = 1}), {}}"));
	lua_value_push(fixture->L, buffer_slice(&fixture->scratch));
	lua_setglobal(fixture->L, "t");
	check_json(fixture, "t[2].a = nil return t", "[{},{},[]]");
	check_json(fixture, "return setmetatable(t[1], {})", "[]");
}

static void metatables_are_not_looked_at(void **state)
{
	check_json(*state,
		"return setmetatable({1}, {__index = function() error('ran') end, __pairs = error, "
		"__len = error, __gc = 1})",
		"[1]");
	check_json(*state, "return setmetatable({}, {__index = {1, 2, 3}})", "[]");
}

static void a_table_in_two_places_is_packed_twice(void **state)
{
	check_json(*state, "local t = {1} return {t, {t}, t}", "[[1],[[1]],[1]]");
}

static void what_cannot_be_stored_is_named(void **state)
{
	check_refused(*state, "return print", "a function cannot be stored");
	check_refused(*state, "return {{a = function() end}}", "a function cannot be stored");
	check_refused(*state, "return {coroutine.create(print)}", "a thread cannot be stored");
	check_refused(*state, "return io.stdout", "a userdata cannot be stored");
	check_refused(
		*state, "return {[io.stdout] = 1}", "a key of type userdata cannot be stored");
	check_refused(*state, "return {[{}] = 1}", "a key of type table cannot be stored");
	check_refused(*state, "return {[print] = 1}", "a key of type function cannot be stored");
	struct fixture *fixture = *state;
	lua_pushlightuserdata(fixture->L, fixture);
	assert_non_null(strstr(pack(fixture), "a userdata cannot be stored"));
}

static void a_table_that_contains_itself_is_refused(void **state)
{
	static const char says[] = "a table that contains itself cannot be stored";
	check_refused(*state, "local t = {} t[1] = t return t", says);
	check_refused(*state, "local t = {} t.x = {{t}} return {t}", says);
	check_refused(*state,
		"local first = {} local t = first for i = 2, 64 do t[1] = {} t = t[1] end "
		"t[1] = first return first",
		says);
}

static void tables_nest_up_to_the_limit(void **state)
{
	struct fixture *fixture = *state;
	assert_null(pack_chunk(fixture, "local t = 1 for i = 1, 64 do t = {t} end return t"));
	assert_true(packed_is_whole(buffer_slice(&fixture->scratch)));
	lua_value_push(fixture->L, buffer_slice(&fixture->scratch));
	assert_null(pack(fixture));
	check_refused(fixture, "local t = 1 for i = 1, 65 do t = {t} end return t",
		"tables nest deeper than 64");
	check_refused(fixture, "local t = 1 for i = 1, 1e6 do t = {x = t} end return t",
		"tables nest deeper than 64");
}

static void a_value_is_as_large_as_allowed_and_no_larger(void **state)
{
	struct fixture *fixture = *state;
	fixture->bytes_max = 100;
	assert_null(pack_chunk(fixture, "return ('x'):rep(98)"));
	assert_int_equal(fixture->scratch.size, 100);
	check_refused(
		fixture, "return ('x'):rep(99)", "a value of more than 100 bytes cannot be stored");
	assert_null(pack_chunk(fixture, "local t = {} for i = 1, 97 do t[i] = true end return t"));
	assert_int_equal(fixture->scratch.size, 100);
	check_refused(fixture, "local t = {} for i = 1, 98 do t[i] = true end return t",
		"more than 100 bytes");
}

static void a_large_string_is_refused_before_it_is_copied(void **state)
{
	struct fixture *fixture = *state;
	check_refused(fixture, "return {('x'):rep(2^26)}", "bytes cannot be stored");
	assert_true(fixture->scratch.capacity < BYTES_MAX);
}

static void errors_name_the_line_that_asked(void **state)
{
	struct fixture *fixture = *state;
	lua_pushlightuserdata(fixture->L, fixture);
	lua_pushcclosure(fixture->L, pack_protected, 1);
	lua_setglobal(fixture->L, "pack");
	assert_int_equal(luaL_loadbuffer(fixture->L, "\n\npack(print)", 13, "=Counter"), LUA_OK);
	assert_int_not_equal(lua_pcall(fixture->L, 0, 0, 0), LUA_OK);
	assert_string_equal(lua_tostring(fixture->L, -1), "Counter:3: a function cannot be stored");
}

static int push_protected(lua_State *L)
{
	struct fixture *fixture = lua_touserdata(L, 1);
	lua_value_push(L, buffer_slice(&fixture->scratch));
	return 1;
}

static void the_work_is_charged_and_can_be_cut_short(void **state)
{
	struct fixture *fixture = *state;
	assert_null(pack_chunk(fixture, "local t = {} for i = 1, 1000 do t[i] = i end return t"));
	assert_in_range(charged, 1000, 4000);
	charged = 0;
	lua_value_push(fixture->L, buffer_slice(&fixture->scratch));
	assert_in_range(charged, 1000, 4000);
	charged = 0;
	assert_null(pack_chunk(fixture, "return ('x'):rep(64000)"));
	assert_in_range(charged, 1000, 1100);
	charge_max = charged + 500;
	check_refused(
		fixture, "local t = {} for i = 1, 1000 do t[i] = {} end return t", "out of budget");
	charged = 0;
	charge_max = 500;
	assert_null(pack_chunk(fixture, "return {1, 2, {('x'):rep(1000)}}"));
	charge_max = charged + 3;
	lua_pushcfunction(fixture->L, push_protected);
	lua_pushlightuserdata(fixture->L, fixture);
	assert_int_not_equal(lua_pcall(fixture->L, 1, 1, 0), LUA_OK);
}

/* Before the buffer grows by it. */
static void what_is_packed_needs_room_in_the_class(void **state)
{
	struct fixture *fixture = *state;
	room = 10000;
	assert_null(pack_chunk(fixture, "return ('x'):rep(7000)"));
	buffer_clear(&fixture->scratch, 0);
	check_refused(fixture, "return ('x'):rep(9000)", "not enough memory");
	check_refused(fixture,
		"local s = ('x'):rep(100) local t = {}\n"
		"for i = 1, 100 do t[i] = s end return t",
		"not enough memory");
	assert_true(fixture->scratch.capacity <= 2 * room);
}

static void stored_strings_stand_as_they_are(void **state)
{
	struct fixture *fixture = *state;
	lua_State *L = fixture->L;
	struct value value;
	lua_pushlstring(L, "\0\xff", 2);
	lua_value_to_stored(L, -1, &fixture->scratch, 2, &value);
	assert_int_equal(value.type, VALUE_BYTES);
	assert_int_equal(value.expire_ms, 0);
	assert_true(slice_equal(value.data, slice_of("\0\xff", 2)));
	assert_ptr_equal(value.data.data, lua_tostring(L, -1));
	lua_value_push_stored(L, &value);
	assert_true(lua_rawequal(L, -1, -2));
	value.data = slice_of(NULL, 0);
	lua_value_push_stored(L, &value);
	assert_string_equal(lua_tostring(L, -1), "");
}

static void other_stored_values_are_packed_into_an_emptied_scratch(void **state)
{
	struct fixture *fixture = *state;
	lua_State *L = fixture->L;
	struct value value;
	buffer_append_text(&fixture->scratch, "rest of before");
	lua_pushinteger(L, -1);
	lua_value_to_stored(L, -1, &fixture->scratch, 2, &value);
	assert_int_equal(value.type, VALUE_PACKED);
	assert_true(slice_equal(value.data, slice_of("\3\1", 2)));
	lua_value_push_stored(L, &value);
	assert_true(lua_isinteger(L, -1));
	assert_int_equal(lua_tointeger(L, -1), -1);
}

static int to_stored_protected(lua_State *L)
{
	struct fixture *fixture = lua_touserdata(L, lua_upvalueindex(1));
	struct value value;
	lua_value_to_stored(L, 1, &fixture->scratch, (size_t)luaL_optinteger(L, 2, 3), &value);
	return 0;
}

static void set_store(struct fixture *fixture)
{
	lua_pushlightuserdata(fixture->L, fixture);
	lua_pushcclosure(fixture->L, to_stored_protected, 1);
	lua_setglobal(fixture->L, "store");
}

static void what_is_stored_has_a_bound_on_its_parts(void **state)
{
	struct fixture *fixture = *state;
	set_store(fixture);
	evaluate(fixture->L,
		"t = {{}} for i = 1, 24999 do t[1]['k' .. i] = i end store(t, 1 << 24) "
		"t[2] = true return select(2, pcall(store, t, 1 << 24))");
	assert_string_equal(lua_tostring(fixture->L, -1),
		"a table with more than 50000 keys and values cannot be stored");
}

static void a_stored_string_has_the_same_limit(void **state)
{
	struct fixture *fixture = *state;
	set_store(fixture);
	evaluate(fixture->L, "store('abc') return select(2, pcall(store, 'abcd'))");
	assert_string_equal(
		lua_tostring(fixture->L, -1), "a value of more than 3 bytes cannot be stored");
}

static void push_random_text(lua_State *L, struct random *random)
{
	char text[300];
	uint64_t size = random_below(random, random_below(random, 10) ? 6 : sizeof(text));
	for (uint64_t i = 0; i < size; i++)
		text[i] = (char)random_next(random);
	lua_pushlstring(L, text, (size_t)size);
}

static void push_random_scalar(lua_State *L, struct random *random)
{
	uint64_t bits = random_next(random);
	double number;
	switch (random_below(random, 5)) {
	case 0:
		lua_pushboolean(L, bits & 1);
		break;
	case 1:
		lua_pushinteger(L, (int64_t)bits >> random_below(random, 64));
		break;
	case 2:
		memcpy(&number, &bits, sizeof(number));
		lua_pushnumber(L, isnan(number) ? INFINITY : number);
		break;
	case 3:
		lua_pushnumber(L, (double)random_below(random, 10));
		break;
	default:
		push_random_text(L, random);
	}
}

static void push_random_value(lua_State *L, struct random *random, int depth)
{
	if (depth == 8 || random_below(random, 3) == 0) {
		push_random_scalar(L, random);
		return;
	}
	luaL_checkstack(L, 4, "test");
	lua_newtable(L);
	for (uint64_t i = random_below(random, 6), key = 1; i > 0; i--, key++) {
		key += random_below(random, 8) == 0; /* a hole */
		push_random_value(L, random, depth + 1);
		lua_rawseti(L, -2, (lua_Integer)key);
	}
	for (uint64_t i = random_below(random, 4); i > 0; i--) {
		push_random_scalar(L, random);
		push_random_value(L, random, depth + 1);
		lua_rawset(L, -3);
	}
}

static const char deep_equal[] = "local function equal(a, b)\n"
				 "  if type(a) ~= 'table' or type(b) ~= 'table' then\n"
				 "    return rawequal(a, b) and math.type(a) == math.type(b)\n"
				 "      and (a ~= 0 or 1 / a == 1 / b)\n"
				 "  end\n"
				 "  for key, value in next, a do\n"
				 "    if not equal(value, rawget(b, key)) then return false end\n"
				 "  end\n"
				 "  for key in next, b do\n"
				 "    if rawget(a, key) == nil then return false end\n"
				 "  end\n"
				 "  return true\n"
				 "end\n"
				 "return equal\n";

static void random_values_come_back_deeply_equal(void **state)
{
	struct fixture *fixture = *state;
	lua_State *L = fixture->L;
	struct random random;
	random_seed(&random, 3);
	size_t most = 0;
	evaluate(L, deep_equal);
	for (int i = 0; i < 2000; i++) {
		lua_pushvalue(L, 1);
		push_random_value(L, &random, 0);
		lua_pushvalue(L, -1);
		const char *error = pack(fixture);
		if (error)
			fail_msg("%d: %s", i, error);
		assert_true(packed_is_whole(buffer_slice(&fixture->scratch)));
		lua_value_push(L, buffer_slice(&fixture->scratch));
		assert_int_equal(lua_gettop(L), 4);
		lua_call(L, 2, 1);
		if (!lua_toboolean(L, -1))
			fail_msg("%d came back as another", i);
		lua_pop(L, 1);
		most = fixture->scratch.size > most ? fixture->scratch.size : most;
	}
	assert_true(most > 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_packed_with_their_types),
		cmocka_unit_test(a_sequence_ends_at_the_first_nil),
		cmocka_unit_test(json_null_is_a_value_of_its_own),
		cmocka_unit_test(a_table_marked_as_an_object_stays_one),
		cmocka_unit_test(metatables_are_not_looked_at),
		cmocka_unit_test(a_table_in_two_places_is_packed_twice),
		cmocka_unit_test(what_cannot_be_stored_is_named),
		cmocka_unit_test(a_table_that_contains_itself_is_refused),
		cmocka_unit_test(tables_nest_up_to_the_limit),
		cmocka_unit_test(a_value_is_as_large_as_allowed_and_no_larger),
		cmocka_unit_test(a_large_string_is_refused_before_it_is_copied),
		cmocka_unit_test(errors_name_the_line_that_asked),
		cmocka_unit_test(the_work_is_charged_and_can_be_cut_short),
		cmocka_unit_test(what_is_packed_needs_room_in_the_class),
		cmocka_unit_test(stored_strings_stand_as_they_are),
		cmocka_unit_test(other_stored_values_are_packed_into_an_emptied_scratch),
		cmocka_unit_test(what_is_stored_has_a_bound_on_its_parts),
		cmocka_unit_test(a_stored_string_has_the_same_limit),
		cmocka_unit_test(random_values_come_back_deeply_equal),
	};
	struct CMUnitTest each[sizeof(tests) / sizeof(tests[0])];
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		each[i] = tests[i];
		each[i].setup_func = setup;
		each[i].teardown_func = teardown;
	}
	return cmocka_run_group_tests(each, NULL, NULL);
}
