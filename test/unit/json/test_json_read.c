/*
 * test_json_read: items of texts, written down in a short form: `{2` and `[2` for an object and an
 * array of two, `a:` for a name, other values as they are written.
 */
#include "json/json_read.h"

#include "base/random.h"
#include "holdfast/limits.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void item_show(const struct json_item *item, struct buffer *scratch, struct buffer *out)
{
	struct slice text = json_item_text(item, scratch);
	switch (item->kind) {
	case JSON_ITEM_NULL:
	case JSON_ITEM_FALSE:
	case JSON_ITEM_TRUE:
	case JSON_ITEM_NUMBER:
		buffer_append(out, item->text.data, item->text.size);
		break;
	case JSON_ITEM_STRING:
		buffer_format(out, "'%.*s'", (int)text.size, text.data);
		break;
	case JSON_ITEM_NAME:
		buffer_format(out, "%.*s:", (int)text.size, text.data);
		break;
	case JSON_ITEM_ARRAY:
		buffer_format(out, "[%u", item->count);
		break;
	case JSON_ITEM_OBJECT:
		buffer_format(out, "{%u", item->count);
		break;
	}
}

static void text_show(struct slice text, struct buffer *out)
{
	struct json_reader reader;
	struct json_item item;
	struct buffer scratch;
	assert_true(json_check(text, NULL));
	buffer_init(&scratch);
	json_reader_init(&reader, text);
	while (json_read(&reader, &item)) {
		if (out->size > 0)
			buffer_append_text(out, " ");
		item_show(&item, &scratch, out);
	}
	assert_false(json_read(&reader, &item));
	json_reader_fini(&reader);
	buffer_fini(&scratch);
}

static void assert_reads(const char *text, const char *expected)
{
	struct buffer out;
	buffer_init(&out);
	text_show(slice_text(text), &out);
	if (!slice_equal(buffer_slice(&out), slice_text(expected)))
		fail_msg("'%s' is read as '%.*s', not '%s'", text, (int)out.size, out.data,
			expected);
	buffer_fini(&out);
}

static void reads_the_values_in_their_order(void **state)
{
	assert_reads(" null ", "null");
	assert_reads("-1.50e+2", "-1.50e+2");
	assert_reads("\"a, b: {\"", "'a, b: {'");
	assert_reads("[ ]", "[0");
	assert_reads("{\n}", "{0");
	assert_reads("[1,[true , []],{\"a\" :{\"b\":false}}, \"x\"]",
		"[4 1 [2 true [0 {1 a: {1 b: false 'x'");
	assert_reads("{\"a\":\"b\",\"c\":[\"d\",{}]}", "{2 a: 'b' c: [2 'd' {0");
}

static void unescapes_strings_and_names(void **state)
{
	assert_reads("[\"\\\"\\\\\\/\\n\\u00e4\\ud83d\\ude00\"]",
		"[1 '\"\\/\n\xc3\xa4\xf0\x9f\x98\x80'");
	assert_reads("{\"\\u0061\\t\":1}", "{1 a\t: 1");
}

static void of_members_of_one_name_only_the_last_is_there(void **state)
{
	assert_reads("{\"a\":1,\"b\":2,\"a\":3}", "{2 b: 2 a: 3");
	assert_reads("{\"a\":1,\"\\u0061\":2}", "{1 a: 2");
	assert_reads("{\"a\":[1,{\"x\":[],\"x\":{}}],\"a\":{},\"b\":[[]]}", "{2 a: {0 b: [1 [0");
	assert_reads("{\"a\":{\"a\":1},\"b\":{\"a\":2,\"a\":3}}", "{2 a: {1 a: 1 b: {1 a: 3");
	assert_reads("{\"a\":\"a\",\"a\":\"b\"}", "{1 a: 'b'");
	assert_reads(
		"[{\"a\":1,\"a\":2},{\"a\":3},{\"a\":4,\"a\":5}]", "[3 {1 a: 2 {1 a: 3 {1 a: 5");
}

/* The same objects with their names in a table, of random ones; many, and few. */
static void many_names_are_told_apart_like_few(void **state)
{
	struct random random;
	random_seed(&random, 7);
	for (int round = 0; round < 2000; round++) {
		uint32_t count = (uint32_t)random_below(&random, 40), last[26], left = 0;
		struct buffer text, expected, out;
		buffer_init(&text);
		buffer_init(&expected);
		buffer_init(&out);
		char names[40];
		for (uint32_t i = 0; i < count; i++) {
			names[i] = (char)('a' + random_below(&random, 26));
			last[names[i] - 'a'] = i;
			bool escaped = random_below(&random, 4) == 0;
			buffer_append_text(&text, i ? "," : "{");
			if (escaped)
				buffer_format(&text, "\"\\u%04x\":[%u]", names[i], i);
			else
				buffer_format(&text, "\"%c\":[%u]", names[i], i);
		}
		buffer_append_text(&text, count ? "}" : "{}");
		for (uint32_t i = 0; i < count; i++)
			left += last[names[i] - 'a'] == i;
		buffer_format(&expected, "{%u", left);
		for (uint32_t i = 0; i < count; i++) {
			if (last[names[i] - 'a'] == i)
				buffer_format(&expected, " %c: [1 %u", names[i], i);
		}
		text_show(buffer_slice(&text), &out);
		assert_true(slice_equal(buffer_slice(&out), buffer_slice(&expected)));
		buffer_fini(&text);
		buffer_fini(&expected);
		buffer_fini(&out);
	}
}

static void reads_as_deep_as_the_check_lets_through(void **state)
{
	struct buffer text, out;
	buffer_init(&text);
	buffer_init(&out);
	for (int i = 0; i < LIMIT_JSON_DEPTH; i++)
		buffer_append_text(&text, i % 2 ? "[" : "{\"a\":");
	buffer_append_text(&text, "null");
	for (int i = LIMIT_JSON_DEPTH - 1; i >= 0; i--)
		buffer_append_text(&text, i % 2 ? "]" : "}");
	text_show(buffer_slice(&text), &out);
	assert_memory_equal(out.data, "{1 a: [1 {1 a: [1 ", 18);
	assert_memory_equal(out.data + out.size - 4, "null", 4);
	buffer_fini(&text);
	buffer_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_values_in_their_order),
		cmocka_unit_test(unescapes_strings_and_names),
		cmocka_unit_test(of_members_of_one_name_only_the_last_is_there),
		cmocka_unit_test(many_names_are_told_apart_like_few),
		cmocka_unit_test(reads_as_deep_as_the_check_lets_through),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
