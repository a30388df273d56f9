/*
 * test_json_find: values by their paths.
 */
#include "base/buffer.h"
#include "holdfast/limits.h"
#include "support/count.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* NULL: there must be nothing. */
static void assert_finds(const char *text, const char *path, const char *expected)
{
	struct slice out = slice_text("untouched"), given = slice_text(text);
	assert_true(json_check(given, NULL));
	bool found = json_find(given, slice_text(path), &out);
	if (expected == NULL && !found) {
		assert_true(slice_equal(out, slice_text("untouched")));
		return;
	}
	if (!found || expected == NULL || !slice_equal(out, slice_text(expected)))
		fail_msg("'%s' in '%s' is '%.*s', not '%s'", path, text, found ? (int)out.size : 4,
			found ? out.data : "none", expected ? expected : "none");
	assert_true(out.data >= text && out.data + out.size <= text + strlen(text));
}

static void finds_members_and_elements_by_a_dotted_path(void **state)
{
	static const char text[] = "{\"user\" : {\"id\": 42, \"roles\":[ \"admin\" , \"x\"],"
				   "\"a\":{\"b\":[[1,{\"c\":null}]]}},\"n\":-1.50e2 , \"t\":true}";
	assert_finds(text, "user.id", "42");
	assert_finds(text, "user.roles", "[ \"admin\" , \"x\"]");
	assert_finds(text, "user.roles.0", "\"admin\"");
	assert_finds(text, "user.roles.1", "\"x\"");
	assert_finds(text, "user.a.b.0.0", "1");
	assert_finds(text, "user.a.b.0.1.c", "null");
	assert_finds(text, "n", "-1.50e2");
	assert_finds(text, "t", "true");
	assert_finds(" [1] ", "0", "1");
	assert_finds("[[],{}]", "1", "{}");
}

static void takes_elements_off_the_front(void **state)
{
	static const char text[] = "[ 1 ,\"],[\" , [2, [ ] ],{\"a\":[]}\t]";
	static const char *const elements[] = { "1", "\"],[\"", "[2, [ ] ]", "{\"a\":[]}" };
	struct slice rest = slice_text(text), out;
	for (size_t i = 0; i < COUNT(elements); i++) {
		assert_true(json_element(&rest, &out));
		assert_true(slice_equal(out, slice_text(elements[i])));
	}
	assert_false(json_element(&rest, &out));
	assert_false(json_element(&rest, &out));
	rest = slice_text("[\n ]");
	assert_false(json_element(&rest, &out));
}

static void finds_nothing_where_the_path_leads_nowhere(void **state)
{
	static const char text[] = "{\"a\":{\"b\":[1,2]},\"s\":\"a.b\",\"n\":null,\"0\":5}";
	static const char *const paths[] = { "b", "a.c", "a.b.2", "a.b.-1", "a.b.01", "a.b.00",
		"a.b.+1", "a.b.1e0", "a.b.x", "a.b.", "a.b.0.0", "s.a", "s.0", "n.a", "a.0", "",
		".", "a.", ".a", "a..b", "a.b.18446744073709551616", "A", "a ", "a.b.\\0",
		"a\\.b" };
	for (size_t i = 0; i < COUNT(paths); i++)
		assert_finds(text, paths[i], NULL);
	assert_finds(text, "0", "5");
	assert_finds("{}", "a", NULL);
	assert_finds("[]", "0", NULL);
	assert_finds("1", "0", NULL);
	assert_finds("\"text\"", "", NULL);
	assert_finds("{ }", "", NULL);
}

static void takes_an_empty_step_as_the_empty_name(void **state)
{
	assert_finds("{\"\":1}", "", "1");
	assert_finds("{\"\":{\"\":2}}", ".", "2");
	assert_finds("{\"a\":{\"\":3}}", "a.", "3");
	assert_finds("{\"\":{\"a\":4}}", ".a", "4");
	struct slice out;
	assert_true(json_find(slice_text("{\"\":1}"), slice_of(NULL, 0), &out));
}

static void takes_dots_and_backslashes_literally_behind_a_backslash(void **state)
{
	assert_finds("{\"a.b\":1,\"a\":{\"b\":2}}", "a\\.b", "1");
	assert_finds("{\"a.b\":1,\"a\":{\"b\":2}}", "a.b", "2");
	assert_finds("{\"a\\\\\":{\"b\":1}}", "a\\\\.b", "1");
	assert_finds("{\"a\\\\.b\":1}", "a\\\\\\.b", "1");
	assert_finds("{\".\":{\".\":1}}", "\\..\\.", "1");
	/* Before anything else, and at the end, it is one as it is. */
	assert_finds("{\"a\\\\n\":1}", "a\\n", "1");
	assert_finds("{\"a\\\\\":1}", "a\\", "1");
	assert_finds("{\"a\\n\":1}", "a\\n", NULL);
}

static void compares_names_after_unescaping(void **state)
{
	assert_finds("{\"\\u0061\":1}", "a", "1");
	assert_finds("{\"\\u0061b\":1}", "a", NULL);
	assert_finds("{\"\\u0061\":1}", "ab", NULL);
	assert_finds("{\"\\u00e4\":1}", "\xc3\xa4", "1");
	assert_finds("{\"\\u20AC\":1}", "\xe2\x82\xac", "1");
	assert_finds("{\"\\ud83d\\ude00\":1}", "\xf0\x9f\x98\x80", "1");
	assert_finds("{\"\\udbff\\udfff\":1}", "\xf4\x8f\xbf\xbf", "1");
	assert_finds("{\"\xf0\x9f\x98\x80\":1}", "\xf0\x9f\x98\x80", "1");
	assert_finds("{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\":1}", "\"\\\\/\b\f\n\r\t", "1");
	assert_finds("{\"\\u002e\":1}", "\\.", "1");
	assert_finds("{\"\\u0061\":1}", "\\u0061", NULL);
	struct slice out;
	struct slice zero = slice_text("{\"a\\u0000b\":7}");
	assert_true(json_find(zero, slice_of("a\0b", 3), &out));
	assert_true(slice_equal(out, slice_text("7")));
	assert_false(json_find(zero, slice_of("a", 1), &out));
	assert_false(json_find(zero, slice_of("a\0", 2), &out));
}

static void finds_names_that_are_half_a_surrogate_pair_and_what_stands_behind_a_mark(void **state)
{
	assert_finds("{\"\\ud83d\":1}", "\xed\xa0\xbd", "1");
	assert_finds("{\"\\ud83d\\u0061\":1}", "\xed\xa0\xbd\x61", "1");
	assert_finds("{\"\\ude00\\ud83d\":1}", "\xed\xb8\x80\xed\xa0\xbd", "1");
	assert_finds("{\"a\":\"\\ud83d\",\"b\":1e999}", "a", "\"\\ud83d\"");
	assert_finds("{\"a\":\"\\ud83d\",\"b\":1e999}", "b", "1e999");
	assert_finds("\xef\xbb\xbf {\"a\":1}\f", "a", "1");
}

static void takes_the_last_of_members_of_one_name(void **state)
{
	assert_finds("{\"a\":1,\"a\":2}", "a", "2");
	assert_finds("{\"a\":1,\"\\u0061\":2,\"b\":3}", "a", "2");
	assert_finds("{\"a\":{\"b\":1},\"a\":{\"b\":2}}", "a.b", "2");
	assert_finds("{\"a\":{\"b\":1},\"a\":{\"c\":2}}", "a.b", NULL);
	assert_finds("{\"a\":{\"b\":1},\"a\":2}", "a.b", NULL);
	assert_finds("{\"a\":[{\"b\":1,\"b\":2}],\"a\":[{\"b\":3,\"b\":4},5]}", "a.0.b", "4");
}

static void is_not_led_astray_by_marks_within_strings(void **state)
{
	static const char text[] =
		"{\"x\":\"}],{[\\\"\\\\\",\"y\":[\"]\",\"\\\\\",\"\\\"a\"],\"z\":1,"
		"\"long enough for words of eight: \\\" }\":[\"]\"]}";
	assert_finds(text, "z", "1");
	assert_finds(text, "x", "\"}],{[\\\"\\\\\"");
	assert_finds(text, "y.1", "\"\\\\\"");
	assert_finds(text, "y.2", "\"\\\"a\"");
	assert_finds(text, "long enough for words of eight: \" }.0", "\"]\"");
}

static void finds_at_the_deepest_level_and_no_deeper(void **state)
{
	struct buffer text, path;
	struct slice out;
	buffer_init(&text);
	buffer_init(&path);
	for (size_t i = 0; i < LIMIT_JSON_DEPTH; i++) {
		buffer_append_text(&text, i % 2 ? "[" : "{\"a\":");
		buffer_append_text(&path, i % 2 ? ".0" : i ? ".a" : "a");
	}
	buffer_append_text(&text, "7");
	for (size_t i = LIMIT_JSON_DEPTH; i > 0; i--)
		buffer_append_text(&text, i % 2 ? "}" : "]");
	assert_true(json_check(buffer_slice(&text), NULL));
	assert_true(json_find(buffer_slice(&text), buffer_slice(&path), &out));
	assert_true(slice_equal(out, slice_text("7")));
	for (size_t i = 0; i < 1000; i++) {
		buffer_append_text(&path, ".a");
		assert_false(json_find(buffer_slice(&text), buffer_slice(&path), &out));
	}
	buffer_fini(&text);
	buffer_fini(&path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_members_and_elements_by_a_dotted_path),
		cmocka_unit_test(takes_elements_off_the_front),
		cmocka_unit_test(finds_nothing_where_the_path_leads_nowhere),
		cmocka_unit_test(takes_an_empty_step_as_the_empty_name),
		cmocka_unit_test(takes_dots_and_backslashes_literally_behind_a_backslash),
		cmocka_unit_test(compares_names_after_unescaping),
		cmocka_unit_test(
			finds_names_that_are_half_a_surrogate_pair_and_what_stands_behind_a_mark),
		cmocka_unit_test(takes_the_last_of_members_of_one_name),
		cmocka_unit_test(is_not_led_astray_by_marks_within_strings),
		cmocka_unit_test(finds_at_the_deepest_level_and_no_deeper),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
