/*
 * test_json: what is a JSON text and what is not, and where it stops being one.
 */
#include "holdfast/limits.h"
#include "support/count.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define EARLY "the text ends too early"

/* Checks a copy that ends where its memory ends, so that a sanitizer sees a step beyond. */
static bool check(const char *bytes, size_t size, struct json_error *error)
{
	char *copy = malloc(size + !size);
	assert_non_null(copy);
	memcpy(copy, bytes, size);
	bool good = json_check(slice_of(copy, size), error);
	free(copy);
	return good;
}

static void assert_good(const char *bytes, size_t size)
{
	struct json_error error = { 0 };
	if (!check(bytes, size, &error))
		fail_msg("%.*s: %s at %zu", (int)size, bytes, error.why, error.position);
}

static void assert_bad(const char *bytes, size_t size, size_t position, const char *why)
{
	struct json_error error = { 0 };
	if (check(bytes, size, &error))
		fail_msg("%.*s: accepted", (int)size, bytes);
	if (error.position != position || strcmp(error.why, why))
		fail_msg("%.*s: '%s' at %zu, not '%s' at %zu", (int)size, bytes, error.why,
			error.position, why, position);
}

struct bad {
	const char *text;
	size_t position;
	const char *why;
};

static void assert_all_bad(const struct bad *bad, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_bad(bad[i].text, strlen(bad[i].text), bad[i].position, bad[i].why);
}

static void accepts_every_kind_of_value_alone(void **state)
{
	static const char *const texts[] = { "null", "true", "false", "0", "-0", "\"\"", "[]", "{}",
		"42", "\"text\"", "[1]", "{\"a\":1}", "[[]]", "{\"\":{}}", "[{}]", "{\"a\":[]}",
		"[{\"a\":1},[2],{\"b\":[3]},[[4]]]", "[1,2,3]", "[null,true,false]",
		"{\"a\":1,\"b\":[2,{\"c\":3}],\"d\":\"e\"}" };
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_good(texts[i], strlen(texts[i]));
}

static void accepts_white_space_between_all_marks(void **state)
{
	static const char text[] = " \t\r\n{ \"a\"\t:\n[ 1 , 2\r, { } ,[ ] ]\n,\"b\" : null } \n";
	assert_good(text, sizeof(text) - 1);
	assert_bad("\v1", 2, 0, "expected a value");
	assert_bad("\f1", 2, 0, "expected a value");
	assert_bad("[\xc2\xa0]", 4, 1, "expected a value");
	assert_bad("[1\f]", 4, 2, "expected ',' or ']'");
}

static void accepts_all_white_space_of_javascript_behind_the_value(void **state)
{
	static const char *const texts[] = { "1\v", "[]\f", "{} \v \f\r\n", "1\xc2\xa0",
		"1\xe1\x9a\x80", "1\xe2\x80\x80", "1\xe2\x80\x8a", "1\xe2\x80\xa8", "1\xe2\x80\xa9",
		"1\xe2\x80\xaf", "1\xe2\x81\x9f", "1\xe3\x80\x80", "1\xef\xbb\xbf",
		"[] \xef\xbb\xbf\xc2\xa0\n\xe3\x80\x80" };
	static const struct bad bad[] = {
		{ "1\xc2", 2, EARLY },
		{ "1\xe2\x80", 3, EARLY },
		{ "1\xc2\x85", 2, "expected the end of the text" },
		{ "1\xe1\x9a\x81", 3, "expected the end of the text" },
		{ "1\xe2\x80\x8b", 3, "expected the end of the text" },
		{ "1\xe2\x81\x9e", 3, "expected the end of the text" },
		{ "1\xe2\x82\xac", 2, "expected the end of the text" },
		{ "1\v2", 2, "expected the end of the text" },
		{ "1\xc3\xa4", 1, "expected the end of the text" },
	};
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_good(texts[i], strlen(texts[i]));
	assert_all_bad(bad, COUNT(bad));
}

static void accepts_one_byte_order_mark_before_everything(void **state)
{
	static const char *const texts[] = { "\xef\xbb\xbf[]", "\xef\xbb\xbf {\"a\":1}\n",
		"\xef\xbb\xbf\"\xef\xbb\xbf\"" };
	static const struct bad bad[] = {
		{ "\xef", 1, EARLY },
		{ "\xef\xbb", 2, EARLY },
		{ "\xef\xbb\xbf", 3, EARLY },
		{ "\xef\xbb[]", 2, "expected a value" },
		{ "\xef[]", 1, "expected a value" },
		{ " \xef\xbb\xbf[]", 1, "expected a value" },
		{ "\xef\xbb\xbf\xef\xbb\xbf[]", 3, "expected a value" },
		{ "[\xef\xbb\xbf]", 1, "expected a value" },
		{ "\xfe\xff", 0, "expected a value" },
	};
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_good(texts[i], strlen(texts[i]));
	assert_all_bad(bad, COUNT(bad));
	assert_true(json_is_object(slice_text(texts[1])));
	assert_false(json_is_object(slice_text(texts[0])));
	assert_false(json_is_object(slice_text("\xef\xbb\xbf")));
}

static void accepts_numbers_of_the_grammar_of_any_size(void **state)
{
	static const char *const texts[] = { "123", "-1", "1.5", "0.0", "-0.1", "1e5", "1E5",
		"1e+5", "1e-5", "0e0", "1.25E-02", "123456789012345678901234567890", "1e400",
		"-1e-400", "0.1234567890123456789012345678901234567890", "[1]", "[-0,0]",
		"{\"a\":1e1}" };
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_good(texts[i], strlen(texts[i]));
}

static void refuses_other_numbers(void **state)
{
	static const struct bad bad[] = {
		{ "-", 1, EARLY },
		{ "1.", 2, EARLY },
		{ "1e", 2, EARLY },
		{ "1e+", 3, EARLY },
		{ "-a", 1, "expected a digit" },
		{ "--1", 1, "expected a digit" },
		{ "-.5", 1, "expected a digit" },
		{ "[-]", 2, "expected a digit" },
		{ "[1.]", 3, "expected a digit" },
		{ "[1.e1]", 3, "expected a digit" },
		{ "[1e]", 3, "expected a digit" },
		{ "[1e+-1]", 4, "expected a digit" },
		{ "[1e.5]", 3, "expected a digit" },
		{ "01", 1, "expected the end of the text" },
		{ "-01", 2, "expected the end of the text" },
		{ "00", 1, "expected the end of the text" },
		{ "1.2.3", 3, "expected the end of the text" },
		{ "1e5.5", 3, "expected the end of the text" },
		{ "0x10", 1, "expected the end of the text" },
		{ "1_000", 1, "expected the end of the text" },
		{ "[012]", 2, "expected ',' or ']'" },
		{ "[1 2]", 3, "expected ',' or ']'" },
		{ "+1", 0, "expected a value" },
		{ ".5", 0, "expected a value" },
		{ "NaN", 0, "expected a value" },
		{ "Infinity", 0, "expected a value" },
		{ "-Infinity", 1, "expected a digit" },
		{ "\xef\xbc\x91", 1, "expected a value" },
	};
	assert_all_bad(bad, COUNT(bad));
	assert_bad("1\0", 2, 1, "expected the end of the text");
}

static void refuses_broken_structure(void **state)
{
	static const struct bad bad[] = {
		{ "", 0, EARLY },
		{ "  ", 2, EARLY },
		{ "[", 1, EARLY },
		{ "{", 1, EARLY },
		{ "[1,", 3, EARLY },
		{ "{\"a\"", 4, EARLY },
		{ "{\"a\":", 5, EARLY },
		{ "{\"a\":1", 6, EARLY },
		{ "{\"a\":1,", 7, EARLY },
		{ "[[[]]", 5, EARLY },
		{ "]", 0, "expected a value" },
		{ "}", 0, "expected a value" },
		{ ",", 0, "expected a value" },
		{ ":", 0, "expected a value" },
		{ "'a'", 0, "expected a value" },
		{ "/* */1", 0, "expected a value" },
		{ "[,1]", 1, "expected a value" },
		{ "[1,]", 3, "expected a value" },
		{ "[1,,2]", 3, "expected a value" },
		{ "[}", 1, "expected a value" },
		{ "{\"a\":}", 5, "expected a value" },
		{ "{\"a\":,", 5, "expected a value" },
		{ "{\"a\"::1}", 5, "expected a value" },
		{ "[a]", 1, "expected a value" },
		{ "[1}", 2, "expected ',' or ']'" },
		{ "[1:2]", 2, "expected ',' or ']'" },
		{ "[\"a\":1]", 4, "expected ',' or ']'" },
		{ "[[]{}]", 3, "expected ',' or ']'" },
		{ "{\"a\":1]", 6, "expected ',' or '}'" },
		{ "{\"a\":1 \"b\":2}", 7, "expected ',' or '}'" },
		{ "{\"a\":[1}}", 7, "expected ',' or ']'" },
		{ "{]", 1, "expected a name in quotes" },
		{ "{,}", 1, "expected a name in quotes" },
		{ "{a:1}", 1, "expected a name in quotes" },
		{ "{1:1}", 1, "expected a name in quotes" },
		{ "{\"a\":1,}", 7, "expected a name in quotes" },
		{ "{\"a\":1,,}", 7, "expected a name in quotes" },
		{ "{\"a\"}", 4, "expected ':'" },
		{ "{\"a\" 1}", 5, "expected ':'" },
		{ "{\"a\",\"b\"}", 4, "expected ':'" },
		{ "1 2", 2, "expected the end of the text" },
		{ "[]]", 2, "expected the end of the text" },
		{ "{}{}", 2, "expected the end of the text" },
		{ "[],", 2, "expected the end of the text" },
		{ "\"a\"b", 3, "expected the end of the text" },
	};
	assert_all_bad(bad, COUNT(bad));
	assert_false(json_check(slice_of(NULL, 0), NULL));
	assert_bad("[\0]", 3, 1, "expected a value");
	assert_bad("[]\0", 3, 2, "expected the end of the text");
}

static void knows_three_words(void **state)
{
	static const char why[] = "expected true, false or null";
	static const struct bad bad[] = {
		{ "t", 1, EARLY },
		{ "nul", 3, EARLY },
		{ "[fals", 5, EARLY },
		{ "[tru]", 4, why },
		{ "[fa1se]", 3, why },
		{ "nil", 1, why },
		{ "tRUE", 1, why },
		{ "True", 0, "expected a value" },
		{ "nulll", 4, "expected the end of the text" },
		{ "[truefalse]", 5, "expected ',' or ']'" },
	};
	assert_all_bad(bad, COUNT(bad));
}

static void accepts_strings_with_all_escapes_and_characters(void **state)
{
	static const char *const texts[] = { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0000\"",
		"\"\\u00e4\\u00E4\\uFFFF\\uabcd\"", "\"\\ud83d\\ude00\"", "\"\\uDBFF\\uDFFF\"",
		"\"\\uD800\\uDC00\\ud7ff\\ue000\"", "\"\\\\u12\"", "\"\x7f\"", "\" /[]{}:,'\"",
		"\"\xc2\x80\xdf\xbf\"", "\"\xe0\xa0\x80\xec\xbf\xbf\xed\x9f\xbf\xee\x80\x80\"",
		"\"\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"", "\"\xe2\x80\xa8\"",
		"\"just long enough for words of eight, \xc3\xa4\xc3\xb6 and then some more\"",
		"{\"\\u0061\":1,\"a\":2,\"a\":3}", "{\"\\ud83d\\ude00\":\"\\n\"}" };
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_good(texts[i], strlen(texts[i]));
}

/* As JSON.parse does; what cuts a text by UTF-16 units leaves such halves. */
static void accepts_a_surrogate_without_its_other_half(void **state)
{
	static const char *const texts[] = { "\"\\udc00\"", "\"\\uDFFF\\uD800\"", "\"\\ud800\"",
		"\"\\ud83dx\"", "\"\\ud800\\n\"", "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"",
		"\"\\ud800\\ue000\"", "{\"\\uD83D\":\"\\udbff\"}",
		"\"\\ud800\\ud800\\udc00\\udc00\"" };
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_good(texts[i], strlen(texts[i]));
}

static void accepts_any_bytes_in_strings_where_that_is_asked_for(void **state)
{
	static const char *const texts[] = { "\"\xff\"", "\"\xc3\"", "\"\xe2\x82\"",
		"{\"\xed\xa0\xbd\":[\"\x80 caf\xe9 \"]}" };
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_false(json_check(slice_text(texts[i]), NULL));
		assert_true(json_check_bytes(slice_text(texts[i]), NULL));
	}
	assert_false(json_check_bytes(slice_text("\xff"), NULL));
	assert_false(json_check_bytes(slice_text("\"\n\xff\""), NULL));
	assert_false(json_check_bytes(slice_text("\"\\\xff\""), NULL));
}

/* Names do not count. */
static void refuses_more_values_than_are_allowed(void **state)
{
	const struct json_bounds bounds = { 5, 6, false };
	static const char six[] = "[{\"a\":1,\"b\":2},[],null]", seven[] = "[1,2,[],{},3,4]";
	struct json_error error;
	assert_true(json_check_within(slice_text(six), &bounds, NULL));
	assert_false(json_check_within(slice_text(seven), &bounds, &error));
	assert_string_equal(error.why, "too many values");
	assert_int_equal(error.position, strlen(seven) - 2);
	/* An array of so many is one too many. */
	size_t size = 2 * (size_t)LIMIT_JSON_VALUES + 1;
	char *text = test_malloc(size);
	for (size_t i = 0; i < size; i++)
		text[i] = i % 2 ? '1' : ',';
	text[0] = '[';
	text[size - 1] = ']';
	assert_false(json_check(slice_of(text, size), &error));
	assert_int_equal(error.position, size - 2);
	text[size - 3] = ']';
	assert_true(json_check(slice_of(text, size - 2), NULL));
	test_free(text);
}

static void nests_as_deeply_as_is_allowed(void **state)
{
	for (unsigned depth = 1; depth <= LIMIT_IMPORT_DEPTH; depth += 51) {
		const struct json_bounds bounds = { depth, SIZE_MAX, false };
		char text[2 * LIMIT_IMPORT_DEPTH + 2];
		memset(text, '[', depth + 1);
		memset(text + depth + 1, ']', depth + 1);
		assert_false(json_check_within(slice_of(text, 2 * depth + 2), &bounds, NULL));
		assert_true(json_check_within(slice_of(text + 1, 2 * depth), &bounds, NULL));
	}
}

static void refuses_control_characters_wherever_they_stand_in_a_string(void **state)
{
	char text[40];
	for (size_t size = 3; size <= sizeof(text); size++) {
		for (size_t at = 1; at < size - 1; at++) {
			for (int c = 0; c < 0x20; c += 1 + (at % 7)) {
				memset(text, 'x', size);
				text[0] = text[size - 1] = '"';
				assert_good(text, size);
				text[at] = (char)c;
				assert_bad(text, size, at, "unescaped control character");
			}
		}
	}
}

static void refuses_broken_escapes_at_their_first_wrong_byte(void **state)
{
	static const struct bad bad[] = {
		{ "\"\\", 2, EARLY },
		{ "\"\\\"", 3, EARLY },
		{ "\"\\u12", 5, EARLY },
		{ "\"\\ud83d\\u", 9, EARLY },
		{ "\"\\ud83d\\u\"", 9, "expected a hexadecimal digit" },
		{ "\"\\x41\"", 2, "unknown escape" },
		{ "\"\\a\"", 2, "unknown escape" },
		{ "\"\\'\"", 2, "unknown escape" },
		{ "\"\\N\"", 2, "unknown escape" },
		{ "\"\\\n\"", 2, "unknown escape" },
		{ "\"\\U0041\"", 2, "unknown escape" },
		{ "\"\\\xc3\xa4\"", 2, "unknown escape" },
		{ "\"\\u\"", 3, "expected a hexadecimal digit" },
		{ "\"\\u12g4\"", 5, "expected a hexadecimal digit" },
		{ "\"\\u00A\"", 6, "expected a hexadecimal digit" },
		{ "\"\\u-123\"", 3, "expected a hexadecimal digit" },
		{ "\"\\ud\"", 4, "expected a hexadecimal digit" },
		{ "\"\\ud8g0\"", 5, "expected a hexadecimal digit" },
		{ "\"\\ud83d\\udcg0\"", 11, "expected a hexadecimal digit" },
	};
	assert_all_bad(bad, COUNT(bad));
	assert_bad("\"\\\0\"", 4, 2, "unknown escape");
}

static void refuses_what_is_not_utf_8_at_its_first_wrong_byte(void **state)
{
	static const char why[] = "invalid UTF-8";
	static const struct bad bad[] = {
		{ "\"\x80\"", 1, why },
		{ "\"\xbf\"", 1, why },
		{ "\"\xc0\x80\"", 1, why },
		{ "\"\xc1\xbf\"", 1, why },
		{ "\"\xc3\"", 2, why },
		{ "\"\xc3(\"", 2, why },
		{ "\"\xc3\xc3\"", 2, why },
		{ "\"\xe0\x9f\xbf\"", 2, why },
		{ "\"\xe2\x82\"", 3, why },
		{ "\"\xed\xa0\x80\"", 2, why },
		{ "\"\xed\xbf\xbf\"", 2, why },
		{ "\"\xf0\x8f\xbf\xbf\"", 2, why },
		{ "\"\xf0\x9f\x98\"", 4, why },
		{ "\"\xf0\x9f\x98z\"", 4, why },
		{ "\"\xf4\x90\x80\x80\"", 2, why },
		{ "\"\xf5\x80\x80\x80\"", 1, why },
		{ "\"\xff\"", 1, why },
		{ "\"\xe4\"", 2, why },
		{ "{\"\xfe\":1}", 2, why },
		{ "\"eight or more before it: \xfe\"", 26, why },
		{ "\"\xf0\x9f\x98", 4, EARLY },
	};
	assert_all_bad(bad, COUNT(bad));
}

static bool is_character(unsigned code, unsigned least)
{
	return code >= least && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

/* By decoding every pair of first bytes, the others being fixed. */
static void accepts_exactly_the_characters_of_utf_8(void **state)
{
	size_t accepted = 0;
	for (unsigned pair = 0; pair < 0x8000; pair++) {
		unsigned first = 0x80 | pair >> 8, second = pair & 0xff, size = 0, code = 0;
		char text[6] = { '"', (char)first, (char)second, '\x95', '\x95' };
		bool good = false;
		if ((second & 0xc0) != 0x80) {
			size = 2;
		} else if ((first & 0xe0) == 0xc0) {
			size = 2;
			code = (first & 0x1f) << 6 | (second & 0x3f);
			good = is_character(code, 0x80);
		} else if ((first & 0xf0) == 0xe0) {
			size = 3;
			code = (first & 0x0f) << 12 | (second & 0x3f) << 6 | 0x15;
			good = is_character(code, 0x800);
		} else {
			size = 4;
			code = (first & 0x07) << 18 | (second & 0x3f) << 12 | 0x555;
			good = (first & 0xf8) == 0xf0 && is_character(code, 0x10000);
		}
		text[size + 1] = '"';
		assert_int_equal(check(text, size + 2, NULL), good);
		accepted += good;
	}
	assert_int_equal(accepted, 30 * 64 + 15 * 64 + 16 * 16);
}

static size_t nest(char *text, size_t depth, bool objects)
{
	size_t size = 0;
	for (size_t i = 0; i < depth; i++) {
		const char *open = objects ? "{\"a\":" : "[";
		memcpy(text + size, open, strlen(open));
		size += strlen(open);
	}
	text[size++] = '1';
	for (size_t i = 0; i < depth; i++)
		text[size++] = objects ? '}' : ']';
	return size;
}

static void accepts_nesting_up_to_the_limit_exactly(void **state)
{
	char text[8 * LIMIT_JSON_DEPTH];
	assert_good(text, nest(text, LIMIT_JSON_DEPTH, false));
	assert_good(text, nest(text, LIMIT_JSON_DEPTH, true));
	assert_bad(text, nest(text, LIMIT_JSON_DEPTH + 1, false), LIMIT_JSON_DEPTH,
		"nested too deeply");
	assert_bad(text, nest(text, LIMIT_JSON_DEPTH + 1, true), 5 * LIMIT_JSON_DEPTH,
		"nested too deeply");
}

static void tells_arrays_from_objects_at_every_level(void **state)
{
	/* Alternating, and mixed by a pattern that fits no word. */
	char text[8 * LIMIT_JSON_DEPTH], kinds[LIMIT_JSON_DEPTH];
	for (size_t wrong = 0; wrong <= LIMIT_JSON_DEPTH; wrong++) {
		size_t size = 0, wrong_at = 0;
		for (size_t i = 0; i < LIMIT_JSON_DEPTH; i++) {
			kinds[i] = i % 5 == 0 || i % 3 == 1;
			memcpy(text + size, kinds[i] ? "{\"\":" : "[", kinds[i] ? 4 : 1);
			size += kinds[i] ? 4 : 1;
		}
		text[size++] = '1';
		for (size_t i = LIMIT_JSON_DEPTH; i > 0; i--) {
			if (i == wrong)
				wrong_at = size;
			text[size++] = (kinds[i - 1] != (i == wrong)) ? '}' : ']';
		}
		if (wrong == 0)
			assert_good(text, size);
		else
			assert_bad(text, size, wrong_at,
				kinds[wrong - 1] ? "expected ',' or '}'" : "expected ',' or ']'");
	}
}

static void refuses_a_text_cut_at_any_byte_as_too_short(void **state)
{
	static const char text[] =
		" {\"name\": \"\\ud83d\\ude00 \xe2\x82\xac\xf0\x9f\x98\x80 \\n\\u00e4\","
		" \"list\": [true, false, null, [], {}, -1.5e+10, 0]}";
	size_t size = sizeof(text) - 1;
	assert_good(text, size);
	for (size_t cut = 0; cut < size; cut++)
		assert_bad(text, cut, cut, EARLY);
}

static void tells_objects_from_other_values(void **state)
{
	assert_true(json_is_object(slice_text("{}")));
	assert_true(json_is_object(slice_text(" \r\n\t{\"a\":1}")));
	assert_false(json_is_object(slice_text("[{}]")));
	assert_false(json_is_object(slice_text(" \"{\"")));
	assert_false(json_is_object(slice_text("1")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_every_kind_of_value_alone),
		cmocka_unit_test(accepts_white_space_between_all_marks),
		cmocka_unit_test(accepts_all_white_space_of_javascript_behind_the_value),
		cmocka_unit_test(accepts_one_byte_order_mark_before_everything),
		cmocka_unit_test(accepts_numbers_of_the_grammar_of_any_size),
		cmocka_unit_test(refuses_other_numbers),
		cmocka_unit_test(refuses_broken_structure),
		cmocka_unit_test(knows_three_words),
		cmocka_unit_test(accepts_strings_with_all_escapes_and_characters),
		cmocka_unit_test(accepts_a_surrogate_without_its_other_half),
		cmocka_unit_test(accepts_any_bytes_in_strings_where_that_is_asked_for),
		cmocka_unit_test(refuses_more_values_than_are_allowed),
		cmocka_unit_test(nests_as_deeply_as_is_allowed),
		cmocka_unit_test(refuses_control_characters_wherever_they_stand_in_a_string),
		cmocka_unit_test(refuses_broken_escapes_at_their_first_wrong_byte),
		cmocka_unit_test(refuses_what_is_not_utf_8_at_its_first_wrong_byte),
		cmocka_unit_test(accepts_exactly_the_characters_of_utf_8),
		cmocka_unit_test(accepts_nesting_up_to_the_limit_exactly),
		cmocka_unit_test(tells_arrays_from_objects_at_every_level),
		cmocka_unit_test(refuses_a_text_cut_at_any_byte_as_too_short),
		cmocka_unit_test(tells_objects_from_other_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
