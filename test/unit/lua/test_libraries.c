/*
 * test_libraries: what a class finds: run from Lua in a sandbox with a captured log and a fixed
 * time. Encodings and digests are held against published vectors, OpenSSL and the C library, and
 * what reads foreign text is fed rubbish.
 */
#include "lua/libraries.h"

#include "base/logline.h"
#include "base/random.h"
#include "config/config.h"
#include "holdfast/limits.h"
#include "lua/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <lauxlib.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MEMORY_BYTES ((size_t)64 << 20)
#define BUDGET       UINT64_C(200000000)
#define TIME_NS      UINT64_C(60000000000)
#define NOW_MS       INT64_C(1700000000123)

struct rig {
	struct sandbox *sandbox;
	lua_State *L;
	struct config config;
	struct libraries_host host;
	int said_count;
	int said_level;
	char said[2 * LIMIT_LOG_LINE_BYTES];
	const char *class_name;
};

static int64_t fixed_now(void *context)
{
	return NOW_MS;
}

static void capture(void *context, int level, struct slice text)
{
	struct rig *rig = context;
	assert_true(text.size < sizeof(rig->said));
	rig->said_count++;
	rig->said_level = level;
	memcpy(rig->said, text.data, text.size);
	rig->said[text.size] = '\0';
}

static int open_all(lua_State *L)
{
	struct rig *rig = lua_touserdata(L, 1);
	libraries_open(L, &rig->host, &rig->config, slice_text(rig->class_name));
	return 0;
}

static void configure(struct rig *rig, const char *lines)
{
	char path[] = "/tmp/test_libraries.XXXXXX", error[256];
	int descriptor = mkstemp(path);
	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, lines, strlen(lines)), strlen(lines));
	close(descriptor);
	config_init(&rig->config);
	if (config_parse_file(&rig->config, path, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	unlink(path);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	configure(rig,
		"env Counter URL http://own\n"
		"env * URL http://all\n"
		"env * REGION eu\n"
		"env Counter LIMIT 5\n"
		"env Counter LIMIT 7\n"
		"env Other SECRET hidden\n");
	rig->class_name = "Counter";
	rig->host = (struct libraries_host){ rig, fixed_now, capture };
	rig->sandbox = sandbox_new(MEMORY_BYTES, clock_system());
	rig->L = sandbox_lua(rig->sandbox);
	lua_pushcfunction(rig->L, open_all);
	lua_pushlightuserdata(rig->L, rig);
	assert_int_equal(lua_pcall(rig->L, 1, 0, 0), LUA_OK);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	sandbox_free(&rig->sandbox);
	config_fini(&rig->config);
	free(rig);
	return 0;
}

/* Runs a chunk within a budget; what it returned or raised is on top of the stack. */
static int run_within(struct rig *rig, const char *chunk, uint64_t budget)
{
	lua_settop(rig->L, 0);
	assert_int_equal(luaL_loadbuffer(rig->L, chunk, strlen(chunk), "=chunk"), LUA_OK);
	sandbox_begin(rig->sandbox, rig->L, budget, TIME_NS);
	return lua_pcall(rig->L, 0, 1, 0);
}

/* The chunk's own asserts must hold. */
static void run(struct rig *rig, const char *chunk)
{
	if (run_within(rig, chunk, BUDGET) != LUA_OK)
		fail_msg("%s\n%s", luaL_tolstring(rig->L, -1, NULL), chunk);
}

static void raises(struct rig *rig, const char *chunk, const char *expected)
{
	assert_int_not_equal(run_within(rig, chunk, BUDGET), LUA_OK);
	if (strcmp(luaL_tolstring(rig->L, -1, NULL), expected) != 0)
		fail_msg("%s\nshould raise %s\nbut raises   %s", chunk, expected,
			lua_tostring(rig->L, -1));
}

/* Calls library.function with the bytes: its result on top of the stack. */
static void call(
	struct rig *rig, const char *library, const char *function, const char *bytes, size_t size)
{
	lua_settop(rig->L, 0);
	lua_getglobal(rig->L, library);
	lua_getfield(rig->L, -1, function);
	lua_pushlstring(rig->L, bytes, size);
	sandbox_begin(rig->sandbox, rig->L, BUDGET, TIME_NS);
	if (lua_pcall(rig->L, 1, 1, 0) != LUA_OK)
		fail_msg("%s.%s: %s", library, function, lua_tostring(rig->L, -1));
}

static void json_goes_there_and_back(void **state)
{
	struct rig *rig = *state;
	run(rig,
		"assert(json.encode('a\"\\n\\1') == [[\"a\\\"\\n\\u0001\"]])\n"
		"assert(json.encode(1) == '1' and json.encode(1.0) == '1.0')\n"
		"assert(json.encode({ 1, 'x', true }) == '[1,\"x\",true]')\n"
		"assert(json.encode({ b = { 2 }, a = false }) == '{\"a\":false,\"b\":[2]}')\n"
		"local t = json.decode('{\"a\":[1,2.5,\"\\\\u00e9\"],\"b\":{\"c\":false}}')\n"
		"assert(t.a[1] == 1 and math.type(t.a[1]) == 'integer' and t.a[2] == 2.5)\n"
		"assert(t.a[3] == '\\xc3\\xa9' and t.b.c == false)\n"
		"assert(json.decode('9007199254740993') == 9007199254740993)");
}

static void null_is_read_as_json_null_and_written_for_it_and_for_nil(void **state)
{
	struct rig *rig = *state;
	run(rig,
		"assert(json.null ~= nil and json.null == json.null)\n"
		"assert(json.encode(nil) == 'null' and json.encode(json.null) == 'null')\n"
		"assert(json.encode({ a = json.null }) == '{\"a\":null}')\n"
		"assert(json.encode({ 1, json.null, 3 }) == '[1,null,3]')\n"
		"assert(json.decode('null') == json.null)\n"
		"local list = json.decode('[1,null,3]')\n"
		"assert(#list == 3 and list[2] == json.null)\n"
		"assert(json.decode('{\"a\":null}').a == json.null)");
}

static void what_json_says_comes_back(void **state)
{
	struct rig *rig = *state;
	run(rig,
		"for _, text in ipairs({ '[1,null,3]', '{}', '[]', '{\"x\":null}', 'null',\n"
		"	'[{},[],[{}]]', '{\"a\":{},\"b\":[]}' }) do\n"
		"	assert(json.encode(json.decode(text)) == text, text)\n"
		"end\n"
		"local t = json.decode('{\"a\":{\"b\":1}}')\n"
		"t.a.b = nil\n"
		"assert(json.encode(t) == '{\"a\":{}}')");
}

static void null_is_nil_on_request(void **state)
{
	struct rig *rig = *state;
	run(rig,
		"local t = json.decode('{\"a\":null,\"b\":[1,null,3]}', { null = 'nil' })\n"
		"assert(t.a == nil and t.b[1] == 1 and t.b[2] == nil and t.b[3] == 3)\n"
		"assert(json.decode('null', { null = 'nil' }) == nil)");
}

static void numbers_that_do_not_fit_are_text_on_request(void **state)
{
	struct rig *rig = *state;
	run(rig,
		"local text = '[18446744073709551617,18446744073709551618,0.1]'\n"
		"local t = json.decode(text, { big_numbers = 'text' })\n"
		"assert(t[1] == '18446744073709551617' and t[2] == '18446744073709551618')\n"
		"assert(t[3] == 0.1)\n"
		"t = json.decode(text)\n"
		"assert(math.type(t[1]) == 'float')\n"
		"assert(json.decode('1e999') == math.huge)");
	raises(rig, "json.decode('1', { big_numbers = 'number' })",
		"chunk:1: json.decode: big_numbers is \"text\" or left out");
	raises(rig, "json.decode('1', { nulls = 'nil' })",
		"chunk:1: json.decode: unknown option 'nulls'; there is null, big_numbers");
	raises(rig, "json.decode('1', { 'nil' })",
		"chunk:1: json.decode: options stand by name, not by a number; there is null, "
		"big_numbers");
	raises(rig, "json.decode('1', 'text')",
		"chunk:1: bad argument #2 to 'decode' (table expected, got string)");
}

static void an_object_is_one_when_it_is_empty(void **state)
{
	struct rig *rig = *state;
	run(rig,
		"assert(json.encode(json.object()) == '{}' and json.encode({}) == '[]')\n"
		"local t = { a = 1 }\n"
		"assert(json.object(t) == t)\n"
		"t.a = nil\n"
		"assert(json.encode({ t, json.object(t) }) == '[{},{}]')\n"
		"local other = setmetatable(json.decode('{}'), { __index = { b = 2 } })\n"
		"assert(other.b == 2)");
	raises(rig, "json.object(setmetatable({}, {}))",
		"chunk:1: json.object: the table has a metatable");
	raises(rig, "json.object(env)", "chunk:1: json.object: the table has a metatable");
}

static void json_errors_say_where_in_the_class_they_were_made(void **state)
{
	struct rig *rig = *state;
	raises(rig, "\njson.encode({ a = next })", "chunk:2: a function cannot be stored");
	raises(rig, "json.encode()", "chunk:1: bad argument #1 to 'encode' (value expected)");
	raises(rig, "json.decode({})",
		"chunk:1: bad argument #1 to 'decode' (string expected, got table)");
	assert_int_not_equal(run_within(rig, "json.decode('[1,')", BUDGET), LUA_OK);
	const char *error = lua_tostring(rig->L, -1);
	if (strncmp(error, "chunk:1: json.decode: ", 22) != 0)
		fail_msg("%s", error);
	assert_int_not_equal(
		run_within(rig, "local t = {} t.t = t json.encode(t)", BUDGET), LUA_OK);
	assert_int_not_equal(
		run_within(
			rig, "json.decode(string.rep('[', 1000) .. string.rep(']', 1000))", BUDGET),
		LUA_OK);
}

/* What the buffers in between hold when it happens is looked for by the leak checker. */
static void json_of_any_size_ends_in_an_error_that_leaks_nothing(void **state)
{
	struct rig *rig = *state;
	assert_int_not_equal(run_within(rig,
				     "local s = string.rep('x', 1 << 20) "
				     "json.encode({ s, s, s, s, s, s, s, s, s })",
				     BUDGET),
		LUA_OK);
	assert_int_not_equal(
		run_within(rig, "json.encode(string.rep('\\1', 2 << 20))", BUDGET), LUA_OK);
	assert_non_null(strstr(lua_tostring(rig->L, -1), "json.encode: longer than 8388608 bytes"));
	assert_int_not_equal(
		run_within(rig, "json.decode(string.rep(' ', 9 << 20))", BUDGET), LUA_OK);
	assert_int_not_equal(run_within(rig,
				     "local s = string.rep('x', 1 << 20) "
				     "for i = 1, 1000 do json.encode(s) end",
				     3000000),
		LUA_OK);
	assert_true(sandbox_is_exhausted(rig->sandbox));
	assert_int_not_equal(run_within(rig,
				     "local s = '\"' .. string.rep('x', 1 << 20) .. '\"' "
				     "for i = 1, 1000 do json.decode(s) end",
				     3000000),
		LUA_OK);
	assert_true(sandbox_is_exhausted(rig->sandbox));
}

static void json_that_the_state_has_no_room_for_leaks_nothing(void **state)
{
	struct rig *rig = *state;
	int status = run_within(rig,
		"local s, list, keep = string.rep('x', 60), {}, {} "
		"for i = 1, 100000 do list[i] = s end "
		"for i = 1, 58 do keep[i] = string.rep(string.char(i), 1 << 20) end "
		"json.encode(list)",
		BUDGET);
	assert_int_equal(status, LUA_ERRMEM);
	assert_string_equal(lua_tostring(rig->L, -1), "not enough memory");
	run(rig, "assert(json.encode({ 1 }) == '[1]')");
}

static void rubbish_as_json_is_an_error_or_a_value(void **state)
{
	struct rig *rig = *state;
	struct random random;
	int fine = 0;
	random_seed(&random, 21);
	for (int i = 0; i < 20000; i++) {
		static const char bytes[] = "[]{}\"\",:0123e.-+ntrue\\u \xc3\xa9";
		char text[24];
		size_t size = random_below(&random, sizeof(text));
		for (size_t k = 0; k < size; k++)
			text[k] = bytes[random_below(&random, sizeof(bytes))];
		lua_settop(rig->L, 0);
		lua_getglobal(rig->L, "json");
		lua_getfield(rig->L, -1, "decode");
		lua_pushlstring(rig->L, text, size);
		sandbox_begin(rig->sandbox, rig->L, BUDGET, TIME_NS);
		fine += lua_pcall(rig->L, 1, 1, 0) == LUA_OK;
	}
	assert_true(fine > 100);
}

static void digests_are_those_of_the_published_vectors(void **state)
{
	struct rig *rig = *state;
	/* FIPS 180-2, B.1 and the empty message; RFC 4231, cases 1 and 2; HMAC of nothing */
	run(rig,
		"local hex, sha, hmac = crypto.hex, crypto.sha256, crypto.hmac_sha256\n"
		"local function is(bytes, expected) assert(hex(bytes) == expected, hex(bytes)) end\n"
		"is(sha('abc'),"
		"'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')\n"
		"is(sha(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')\n"
		"is(hmac(string.rep('\\x0b', 20), 'Hi There'),"
		"'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7')\n"
		"is(hmac('Jefe', 'what do ya want for nothing?'),"
		"'5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')\n"
		"is(hmac('', ''),"
		"'b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad')\n"
		"assert(#sha(string.rep('x', 1000000)) == 32 and #hmac(string.rep('k', 200), '') == 32)\n"
		"is('\\0\\xff\\x10', '00ff10')");
}

static void base64_is_that_of_the_rfc(void **state)
{
	struct rig *rig = *state;
	run(rig,
		"local vectors = { [''] = '', f = 'Zg==', fo = 'Zm8=', foo = 'Zm9v',\n"
		"  foob = 'Zm9vYg==', fooba = 'Zm9vYmE=', foobar = 'Zm9vYmFy' }\n"
		"for text, encoded in pairs(vectors) do\n"
		"  local bare = string.gsub(encoded, '=', '')\n"
		"  assert(crypto.base64(text) == encoded)\n"
		"  assert(crypto.base64url(text) == bare)\n"
		"  assert(crypto.from_base64(encoded) == text and crypto.from_base64(bare) == text)\n"
		"end\n"
		"assert(crypto.base64('\\xfb\\xff\\xfe') == '+//+')\n"
		"assert(crypto.base64url('\\xfb\\xff\\xfe') == '-__-')\n"
		"assert(crypto.from_base64('+//+') == crypto.from_base64('-__-'))\n"
		"for _, bad in ipairs { 'Z', 'Zg=', 'Zg===', '=', '==', '====', 'Zh==', 'Zm9=', 'Zm 9v',\n"
		"    'Zg==Zg==', 'Zm9v\\n', 'Zm9v\\0', 'Zm9v====', 'A===', 'Zm8=x', '\\xc3\\xa9==' } do\n"
		"  assert(crypto.from_base64(bad) == nil, bad)\n"
		"end");
}

static void base64_of_random_bytes_is_what_openssl_writes(void **state)
{
	struct rig *rig = *state;
	struct random random;
	random_seed(&random, 22);
	for (int i = 0; i < 2000; i++) {
		unsigned char bytes[100], expected[140];
		size_t size = random_below(&random, sizeof(bytes)), text_size, back_size;
		for (size_t k = 0; k < size; k++)
			bytes[k] = (unsigned char)random_next(&random);
		int expected_size = EVP_EncodeBlock(expected, bytes, (int)size);
		call(rig, "crypto", "base64", (const char *)bytes, size);
		const char *text = lua_tolstring(rig->L, -1, &text_size);
		assert_int_equal(text_size, expected_size);
		assert_memory_equal(text, expected, text_size);
		call(rig, "crypto", "from_base64", (const char *)expected, text_size);
		const char *back = lua_tolstring(rig->L, -1, &back_size);
		assert_int_equal(back_size, size);
		assert_memory_equal(back, bytes, size);
	}
}

/* Whatever is accepted is the only unpadded text of its bytes. */
static void rubbish_as_base64_is_nil_or_the_one_text_of_its_bytes(void **state)
{
	struct rig *rig = *state;
	struct random random;
	int fine = 0;
	random_seed(&random, 23);
	for (int i = 0; i < 50000; i++) {
		static const char bytes[] = "ABCQgw019-_-_===/+ \n";
		char text[13];
		size_t size = random_below(&random, sizeof(text)), again_size;
		for (size_t k = 0; k < size; k++)
			text[k] = bytes[random_below(&random, sizeof(bytes) - (i % 2 ? 7 : 1))];
		call(rig, "crypto", "from_base64", text, size);
		if (lua_isnil(rig->L, -1))
			continue;
		size_t bytes_size;
		const char *decoded = lua_tolstring(rig->L, -1, &bytes_size);
		char copy[16];
		memcpy(copy, decoded, bytes_size);
		call(rig, "crypto", "base64url", copy, bytes_size);
		const char *again = lua_tolstring(rig->L, -1, &again_size);
		assert_in_range(size, again_size, again_size + 2);
		for (size_t k = 0; k < again_size; k++) {
			char digit = text[k] == '+' ? '-' : text[k] == '/' ? '_' : text[k];
			assert_int_equal(digit, again[k]);
		}
		fine++;
	}
	assert_true(fine > 1000);
}

static void random_bytes_differ_and_have_the_size_asked_for(void **state)
{
	struct rig *rig = *state;
	run(rig,
		"assert(#crypto.random(0) == 0 and #crypto.random(4096) == 4096)\n"
		"assert(crypto.random(16) ~= crypto.random(16))\n"
		"assert(string.find(crypto.random_hex(20), '^' .. string.rep('[0-9a-f]', 40) .. '$'))\n"
		"local seen = {}\n"
		"for i = 1, 1000 do\n"
		"  local id = crypto.uuid()\n"
		"  assert(#id == 36 and not seen[id])\n"
		"  assert(string.find(id, '^%x+%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x+$'), id)\n"
		"  seen[id] = true\n"
		"end");
	raises(rig, "crypto.random(4097)",
		"chunk:1: bad argument #1 to 'random' (not from 0 to 4096 bytes)");
	raises(rig, "crypto.random_hex(-1)",
		"chunk:1: bad argument #1 to 'random_hex' (not from 0 to 4096 bytes)");
	raises(rig, "crypto.random(1.5)",
		"chunk:1: bad argument #1 to 'random' (number has no integer representation)");
}

static void equal_compares_all_bytes(void **state)
{
	struct rig *rig = *state;
	run(rig,
		"assert(crypto.equal('', '') and crypto.equal('a\\0b', 'a\\0b'))\n"
		"assert(not crypto.equal('a\\0b', 'a\\0c') and not crypto.equal('a', 'ab'))");
	raises(rig, "crypto.equal('a')",
		"chunk:1: bad argument #2 to 'equal' (string expected, got no value)");
}

static void large_inputs_are_charged(void **state)
{
	static const char *const calls[] = { "crypto.sha256(s)", "crypto.hmac_sha256('k', s)",
		"crypto.hex(s)", "crypto.base64(s)", "crypto.from_base64(s)",
		"crypto.equal(s, s)" };
	struct rig *rig = *state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		char chunk[128];
		snprintf(chunk, sizeof(chunk),
			"local s = string.rep('abcd', 1 << 18) for i = 1, 100 do %s end", calls[i]);
		assert_int_not_equal(run_within(rig, chunk, 2000000), LUA_OK);
		assert_true(sandbox_is_exhausted(rig->sandbox));
	}
}

static void time_is_that_of_the_turn(void **state)
{
	struct rig *rig = *state;
	run(rig,
		"assert(time.now() == 1700000000123)\n"
		"assert(time.iso() == '2023-11-14T22:13:20.123Z')\n"
		"assert(time.iso(0) == '1970-01-01T00:00:00.000Z')\n"
		"assert(time.iso(-1) == '1969-12-31T23:59:59.999Z')\n"
		"assert(time.iso(253402300799999) == '9999-12-31T23:59:59.999Z')\n"
		"assert(time.iso(-62167219200000) == '0000-01-01T00:00:00.000Z')");
	raises(rig, "time.iso(253402300800000)",
		"chunk:1: bad argument #1 to 'iso' (not in the years 0000 to 9999)");
	raises(rig, "time.iso(-62167219200001)",
		"chunk:1: bad argument #1 to 'iso' (not in the years 0000 to 9999)");
	raises(rig, "time.iso('soon')",
		"chunk:1: bad argument #1 to 'iso' (number expected, got string)");
}

static void times_are_read_as_the_rfc_writes_them(void **state)
{
	struct rig *rig = *state;
	/* the first ones are RFC 3339's own examples */
	run(rig,
		"local function is(text, ms) assert(time.parse(text) == ms, text) end\n"
		"is('1985-04-12T23:20:50.52Z', 482196050520)\n"
		"is('1996-12-19T16:39:57-08:00', 851042397000)\n"
		"is('1990-12-31T23:59:60Z', 662688000000)\n"
		"is('1990-12-31T15:59:60-08:00', 662688000000)\n"
		"is('1937-01-01T12:00:27.87+00:20', -1041337172130)\n"
		"is('2023-11-14t22:13:20.123456789z', 1700000000123)\n"
		"is('2023-11-14 22:13:20Z', 1700000000000)\n"
		"is('2024-02-29T00:00:00Z', 1709164800000)\n"
		"is('0000-01-01T00:00:00Z', -62167219200000)\n"
		"is('1969-12-31T23:59:59.999Z', -1)\n"
		"for _, bad in ipairs { '', '2023', '2023-11-14', '2023-11-14T22:13:20', 'x',\n"
		"    '2023-02-29T00:00:00Z', '2023-13-01T00:00:00Z', '2023-00-01T00:00:00Z',\n"
		"    '2023-01-00T00:00:00Z', '2023-01-32T00:00:00Z', '2023-04-31T00:00:00Z',\n"
		"    '2023-01-01T24:00:00Z', '2023-01-01T00:60:00Z', '2023-01-01T00:00:61Z',\n"
		"    '2023-01-01T00:00:00.Z', '2023-01-01T00:00:00Z ', ' 2023-01-01T00:00:00Z',\n"
		"    '2023-01-01T00:00:00+24:00', '2023-01-01T00:00:00+0100', '2023-1-1T00:00:00Z',\n"
		"    '2023-01-01T00:00:00Z\\0', '2023-01-01\\0' .. '00:00:00Z', '+023-01-01T00:00:00Z',\n"
		"    '2023-01-01T00:00:00\\0' } do\n"
		"  assert(time.parse(bad) == nil, bad)\n"
		"end");
}

static void random_times_survive_being_written_and_read(void **state)
{
	struct rig *rig = *state;
	struct random random;
	random_seed(&random, 24);
	for (int i = 0; i < 5000; i++) {
		int64_t ms = (int64_t)random_below(&random, UINT64_C(315569520000000)) -
			INT64_C(62167219200000);
		char expected[64];
		int fraction = (int)(((ms % 1000) + 1000) % 1000);
		time_t seconds = (ms - fraction) / 1000;
		struct tm tm;
		gmtime_r(&seconds, &tm);
		size_t size = strftime(expected, sizeof(expected), "%4Y-%m-%dT%H:%M:%S", &tm);
		snprintf(expected + size, sizeof(expected) - size, ".%03dZ", fraction);
		lua_settop(rig->L, 0);
		lua_getglobal(rig->L, "time");
		lua_getfield(rig->L, -1, "iso");
		lua_pushinteger(rig->L, ms);
		sandbox_begin(rig->sandbox, rig->L, BUDGET, TIME_NS);
		assert_int_equal(lua_pcall(rig->L, 1, 1, 0), LUA_OK);
		assert_string_equal(lua_tostring(rig->L, -1), expected);
		call(rig, "time", "parse", expected, strlen(expected));
		assert_int_equal(lua_tointeger(rig->L, -1), ms);
		/* a byte changed: still a time, or nil; never out of bounds */
		expected[random_below(&random, strlen(expected))] = (char)random_next(&random);
		call(rig, "time", "parse", expected, random_below(&random, 25));
	}
}

static void a_line_of_the_log_is_its_arguments_with_blanks(void **state)
{
	struct rig *rig = *state;
	run(rig, "log('a', 1, 2.5, nil, true)");
	assert_string_equal(rig->said, "a 1 2.5 nil true");
	assert_int_equal(rig->said_level, LOGLINE_NOTICE);
	run(rig,
		"log.warning('w', setmetatable({}, { __tostring = function() return 'own' end }))");
	assert_string_equal(rig->said, "w own");
	assert_int_equal(rig->said_level, LOGLINE_WARNING);
	run(rig, "log.debug()");
	assert_string_equal(rig->said, "");
	assert_int_equal(rig->said_level, LOGLINE_DEBUG);
	assert_int_equal(rig->said_count, 3);
}

static void a_line_of_the_log_shows_what_is_in_tables(void **state)
{
	struct rig *rig = *state;
	run(rig, "log('sold', { 1, 'two', true }, {})");
	assert_string_equal(rig->said, "sold {1, \"two\", true} {}");
	run(rig, "log({ a = { ['b c'] = { json.null } } })");
	assert_string_equal(rig->said, "{a = {[\"b c\"] = {null}}}");
	run(rig, "log({ 1, nil, 3, [2.5] = 'a\"\\\\\\n' }, json.null)");
	assert_non_null(strstr(rig->said, "{1, ["));
	assert_non_null(strstr(rig->said, "[3] = 3"));
	assert_non_null(strstr(rig->said, "[2.5] = \"a\\\"\\\\\\x0a\""));
	run(rig, "local t = {} t[1] = t log(t)");
	assert_string_equal(rig->said, "{{{{{{{{{...}}}}}}}}}");
	run(rig, "log({ setmetatable({ 1 }, { __tostring = function() return 'own' end }) })");
	assert_string_equal(rig->said, "{own}");
	/* However much is in it. */
	run(rig, "local t = {} for i = 1, 10000 do t[i] = i end log(t, t)");
	assert_in_range(strlen(rig->said), LIMIT_LOG_LINE_BYTES - 10, LIMIT_LOG_LINE_BYTES);
	run(rig, "local t = {} for i = 1, 10000 do t['k' .. i] = { t } end log(t)");
	assert_in_range(strlen(rig->said), LIMIT_LOG_LINE_BYTES - 20, LIMIT_LOG_LINE_BYTES);
}

static void a_line_of_the_log_stays_one_line_of_bounded_size(void **state)
{
	struct rig *rig = *state;
	run(rig, "log('a\\nb\\0c\\x1b[31m\\x7f\\xc3\\xa9')");
	assert_string_equal(rig->said, "a\\x0ab\\x00c\\x1b[31m\\x7f\xc3\xa9");
	run(rig, "log(string.rep('x', 1000000), 'more')");
	assert_int_equal(strlen(rig->said), LIMIT_LOG_LINE_BYTES);
	/* an escape is not cut in two, and nothing comes after what did not fit */
	run(rig, "log(string.rep('x', 1022) .. '\\n', 'y')");
	assert_int_equal(strlen(rig->said), 1022);
	rig->said_count = 0;
	assert_int_not_equal(run_within(rig, "while true do log('again') end", 1000000), LUA_OK);
	assert_true(sandbox_is_exhausted(rig->sandbox));
	assert_in_range(rig->said_count, 100, 2000);
}

static void env_holds_the_settings_of_the_class_and_those_for_all(void **state)
{
	struct rig *rig = *state;
	run(rig,
		"assert(env.URL == 'http://own' and env.REGION == 'eu' and env.LIMIT == '7')\n"
		"assert(env.SECRET == nil and env[1] == nil)\n"
		"local seen = {}\n"
		"for name, value in pairs(env) do seen[#seen + 1] = name .. '=' .. value end\n"
		"table.sort(seen)\n"
		"assert(table.concat(seen, ' ') == 'LIMIT=7 REGION=eu URL=http://own')");
}

static void env_cannot_be_assigned_to(void **state)
{
	struct rig *rig = *state;
	raises(rig, "env.URL = 'x'", "chunk:1: env is read-only");
	raises(rig, "env.NEW = 'x'", "chunk:1: env is read-only");
	raises(rig, "setmetatable(env, nil)", "chunk:1: cannot change a protected metatable");
	run(rig,
		"assert(getmetatable(env) == false and env.URL == 'http://own')\n"
		"local next_of, of = pairs(env)\n"
		"assert(rawequal(of, env) and next(of) == nil)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(json_goes_there_and_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			null_is_read_as_json_null_and_written_for_it_and_for_nil, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(what_json_says_comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(null_is_nil_on_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			numbers_that_do_not_fit_are_text_on_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_object_is_one_when_it_is_empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			json_errors_say_where_in_the_class_they_were_made, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			json_of_any_size_ends_in_an_error_that_leaks_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			json_that_the_state_has_no_room_for_leaks_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			rubbish_as_json_is_an_error_or_a_value, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			digests_are_those_of_the_published_vectors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(base64_is_that_of_the_rfc, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			base64_of_random_bytes_is_what_openssl_writes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			rubbish_as_base64_is_nil_or_the_one_text_of_its_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			random_bytes_differ_and_have_the_size_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(equal_compares_all_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(large_inputs_are_charged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(time_is_that_of_the_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			times_are_read_as_the_rfc_writes_them, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			random_times_survive_being_written_and_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_line_of_the_log_is_its_arguments_with_blanks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_line_of_the_log_shows_what_is_in_tables, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_line_of_the_log_stays_one_line_of_bounded_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			env_holds_the_settings_of_the_class_and_those_for_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(env_cannot_be_assigned_to, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
