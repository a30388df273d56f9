/*
 * test_packed: packed bytes, and what they look like as JSON and as replies. Random values are
 * compared with the bytes that they came back as; the format's own examples are spelt out.
 */
#include "object/packed.h"

#include "base/memory.h"
#include "base/random.h"
#include "holdfast/limits.h"
#include "holdfast/object_format.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants some of the above first */
#include <cmocka.h>

#define BYTES(text) slice_of(text, sizeof(text) - 1)

static void check_bytes(struct buffer *out, struct slice wanted)
{
	assert_int_equal(out->size, wanted.size);
	assert_memory_equal(out->data, wanted.data, wanted.size);
	assert_true(packed_is_whole(buffer_slice(out)));
	buffer_fini(out);
}

static void items_have_the_bytes_of_the_format(void **state)
{
	struct buffer out;
	buffer_init(&out);
	packed_add_table(&out, 1, 1);
	packed_add_string(&out, slice_text("a"));
	packed_add_string(&out, slice_text("x"));
	packed_add_float(&out, -1.5);
	check_bytes(&out, BYTES("\6\1\1\5\1a\5\1x\4\0\0\0\0\0\0\xf8\xbf"));
	packed_add_table(&out, 6, 0);
	packed_add_nil(&out);
	packed_add_boolean(&out, false);
	packed_add_boolean(&out, true);
	packed_add_integer(&out, -2);
	packed_add_integer(&out, 64);
	packed_add_string(&out, slice_of(NULL, 0));
	check_bytes(&out, BYTES("\6\6\0\0\1\2\3\3\3\x80\1\5\0"));
	packed_add_object(&out, 0, 1);
	packed_add_string(&out, slice_text("x"));
	packed_add_null(&out);
	check_bytes(&out, BYTES("\7\0\1\5\1x\10"));
	packed_add_integer(&out, INT64_MIN);
	check_bytes(&out, BYTES("\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"));
	packed_add_integer(&out, INT64_MAX);
	check_bytes(&out, BYTES("\3\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1"));
}

static void integers_and_floats_come_back_bit_by_bit(void **state)
{
	struct random random;
	random_seed(&random, 1);
	for (int i = 0; i < 100000; i++) {
		uint64_t bits = random_next(&random);
		int64_t integer = (int64_t)bits >> random_below(&random, 64);
		double number;
		memcpy(&number, &bits, sizeof(number));
		struct buffer out;
		buffer_init(&out);
		packed_add_integer(&out, integer);
		packed_add_float(&out, number);
		struct slice rest = buffer_slice(&out);
		struct packed_item item;
		assert_true(packed_take(&rest, &item));
		assert_int_equal(item.kind, PACKED_INTEGER);
		assert_true(item.integer == integer);
		assert_true(packed_take(&rest, &item));
		assert_int_equal(item.kind, PACKED_FLOAT);
		assert_memory_equal(&item.number, &number, sizeof(number));
		assert_int_equal(rest.size, 0);
		buffer_fini(&out);
	}
}

static void damaged_items_are_not_taken(void **state)
{
	static const struct slice damaged[] = {
		{ "", 0 },
		{ "\11", 1 },
		{ "\xff", 1 },
		{ "\3", 1 },
		{ "\3\x80", 2 },
		{ "\3\x80\0", 3 },                                  /* could be shorter */
		{ "\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\2", 11 }, /* 65 bits */
		{ "\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\0", 12 },
		{ "\4\0\0\0\0\0\0\0", 8 },
		{ "\5", 1 },
		{ "\5\2a", 3 },
		{ "\5\xff\xff\xff\xff\xff\xff\xff\xff\xff\1a", 12 },
		{ "\6\1", 2 },
		{ "\6\1\0", 3 },
		{ "\6\0\1\2", 4 },
		{ "\6\1\1\0\2", 5 },
		{ "\6\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1\2\2", 14 },
		{ "\6\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\2\2", 14 },
		{ "\6\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\1\2\2", 14 },
	};
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		/* A copy of its own, so that a sanitizer sees a step beyond the end. */
		char *copy = memory_alloc(damaged[i].size);
		memcpy(copy, damaged[i].data, damaged[i].size);
		struct slice rest = slice_of(copy, damaged[i].size);
		struct packed_item item;
		if (packed_take(&rest, &item))
			fail_msg("damage %zu was taken", i);
		assert_ptr_equal(rest.data, copy);
		assert_int_equal(rest.size, damaged[i].size);
		memory_free(copy);
	}
}

static void only_one_sound_value_is_whole(void **state)
{
	assert_true(packed_is_whole(BYTES("\0")));
	assert_true(packed_is_whole(BYTES("\6\0\1\2\0")));
	assert_false(packed_is_whole(BYTES("")));
	assert_false(packed_is_whole(BYTES("\0\0")));
	assert_false(packed_is_whole(BYTES("\6\2\0\6\1")));
	assert_false(packed_is_whole(BYTES("\6\0\1\0\2")));
	assert_false(packed_is_whole(BYTES("\6\0\1\6\0\0\2")));
	assert_false(packed_is_whole(BYTES("\6\0\1\7\0\0\2")));
	assert_false(packed_is_whole(BYTES("\6\0\1\10\2")));
	assert_true(packed_is_whole(BYTES("\7\1\1\10\2\7\0\0")));
	assert_false(packed_is_whole(BYTES("\6\0\1\4\0\0\0\0\0\0\xf8\x7f\2")));
	assert_true(packed_is_whole(BYTES("\6\0\1\4\0\0\0\0\0\0\xf0\x7f\2")));
}

static void tables_nest_up_to_the_limit(void **state)
{
	for (int by_pairs = 0; by_pairs < 2; by_pairs++) {
		struct buffer out;
		buffer_init(&out);
		for (int depth = 1; depth <= LIMIT_PACKED_DEPTH + 1; depth++) {
			struct slice part = by_pairs ? BYTES("\7\0\1\2") : BYTES("\6\1\0");
			buffer_append(&out, part.data, part.size);
			packed_add_nil(&out);
			assert_true(packed_is_whole(buffer_slice(&out)) ==
				(depth <= LIMIT_PACKED_DEPTH));
			out.size--;
		}
		buffer_fini(&out);
	}
}

static void check_json(struct buffer *packed, const char *wanted)
{
	struct buffer out;
	buffer_init(&out);
	assert_true(packed_is_whole(buffer_slice(packed)));
	packed_to_json(buffer_slice(packed), &out);
	if (!slice_equal(buffer_slice(&out), slice_text(wanted)))
		fail_msg("%.*s instead of %s", (int)out.size, out.data, wanted);
	buffer_fini(&out);
	buffer_fini(packed);
}

static void check_string_json(struct slice bytes, const char *wanted)
{
	struct buffer packed;
	buffer_init(&packed);
	packed_add_string(&packed, bytes);
	check_json(&packed, wanted);
}

static void strings_are_escaped_and_keep_their_utf8(void **state)
{
	check_string_json(BYTES(""), "\"\"");
	check_string_json(BYTES("a/\"\\\b\f\n\r\t\0\x01\x1f\x7f z"),
		"\"a/\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u0001\\u001f\x7f z\"");
	check_string_json(BYTES("\xc3\xa4\xe2\x82\xac\xed\x9f\xbf\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"),
		"\"\xc3\xa4\xe2\x82\xac\xed\x9f\xbf\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"");
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
	check_string_json(BYTES("a\xff"
				"b"),
		"\"a\xef\xbf\xbd"
		"b\"");
	static const struct slice wrong[] = { { "\x80", 1 }, { "\xc3", 1 }, { "\xc0\x80", 2 },
		{ "\xc1\xbf", 2 }, { "\xe0\x9f\xbf", 3 }, { "\xed\xa0", 2 }, { "\xc3\xc3", 2 },
		{ "\xf0\x8f\xbf\xbf", 4 }, { "\xf4\x90\x80\x80", 4 }, { "\xf5\x80\x80\x80", 4 },
		{ "\xff\xbf", 2 } };
	/* A character that breaks off is one. */
	check_string_json(BYTES("\xe2\x82"), "\"\xef\xbf\xbd\"");
	check_string_json(BYTES("\xf0\x9f\x98!"), "\"\xef\xbf\xbd!\"");
	check_string_json(BYTES("\xf0\x9f\xf0\x9f\x98\x80"), "\"\xef\xbf\xbd\xf0\x9f\x98\x80\"");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char wanted[32] = "\"";
		for (size_t byte = 0; byte < wrong[i].size; byte++)
			strcat(wanted, "\xef\xbf\xbd");
		strcat(wanted, "\"");
		check_string_json(wrong[i], wanted);
	}
}

/* What an escape of a surrogate is read as when its other half is not there. */
static void halves_of_surrogate_pairs_are_their_escapes(void **state)
{
	check_string_json(BYTES("\xed\xa0\x80"), "\"\\ud800\"");
	check_string_json(BYTES("\xed\xbf\xbf-\xed\xa0\xbd"), "\"\\udfff-\\ud83d\"");
	check_string_json(BYTES("\xed\xa0\xbd\xed\xb8\x80"), "\"\\ud83d\\ude00\"");
}

static void check_float_json(double number, const char *wanted)
{
	struct buffer packed;
	buffer_init(&packed);
	packed_add_float(&packed, number);
	check_json(&packed, wanted);
}

static void floats_show_that_they_are_floats(void **state)
{
	check_float_json(1, "1.0");
	check_float_json(-0.0, "-0.0");
	check_float_json(0.1, "0.1");
	check_float_json(0.1 + 0.2, "0.30000000000000004");
	check_float_json(100000, "100000.0");
	check_float_json(9007199254740993.0, "9007199254740992.0");
	check_float_json(1e300, "1e+300");
	check_float_json(5e-324, "4.94065645841247e-324");
	check_float_json(-123456789012345.0, "-123456789012345.0");
	check_float_json(NAN, "null");
	check_float_json(INFINITY, "1e999");
	check_float_json(-INFINITY, "-1e999");
}

/* { 7, 8, ..., b = {}, [true] = nil, [1.5] = { false }, [-3] = 1.0, [inf] = "" } */
static void add_mixed_table(struct buffer *out, int items)
{
	packed_add_table(out, (uint64_t)items, 5);
	for (int i = 0; i < items; i++)
		packed_add_integer(out, 7 + i);
	packed_add_string(out, slice_text("b"));
	packed_add_table(out, 0, 0);
	packed_add_boolean(out, true);
	packed_add_nil(out);
	packed_add_float(out, 1.5);
	packed_add_table(out, 1, 0);
	packed_add_boolean(out, false);
	packed_add_integer(out, -3);
	packed_add_float(out, 1);
	packed_add_float(out, INFINITY);
	packed_add_string(out, slice_text(""));
}

static void tables_are_arrays_or_objects_in_byte_order(void **state)
{
	struct buffer packed;
	buffer_init(&packed);
	packed_add_table(&packed, 0, 0);
	check_json(&packed, "[]");
	packed_add_table(&packed, 3, 0);
	packed_add_nil(&packed);
	packed_add_table(&packed, 0, 1);
	packed_add_string(&packed, slice_text("k"));
	packed_add_boolean(&packed, true);
	packed_add_integer(&packed, INT64_MIN);
	check_json(&packed, "[null,{\"k\":true},-9223372036854775808]");
	add_mixed_table(&packed, 11);
	check_json(&packed,
		"{\"-3\":1.0,\"1\":7,\"1.5\":[false],\"10\":16,\"11\":17,\"2\":8,\"3\":9,\"4\":10,"
		"\"5\":11,\"6\":12,\"7\":13,\"8\":14,\"9\":15,\"b\":[],\"inf\":\"\",\"true\":null}");
}

static void objects_are_objects_when_they_are_empty(void **state)
{
	struct buffer packed;
	buffer_init(&packed);
	packed_add_object(&packed, 0, 0);
	check_json(&packed, "{}");
	packed_add_object(&packed, 2, 0);
	packed_add_null(&packed);
	packed_add_object(&packed, 0, 1);
	packed_add_string(&packed, slice_text("k"));
	packed_add_table(&packed, 0, 0);
	check_json(&packed, "{\"1\":null,\"2\":{\"k\":[]}}");
}

static void keys_of_the_same_text_are_both_shown(void **state)
{
	struct buffer packed;
	buffer_init(&packed);
	packed_add_table(&packed, 1, 1);
	packed_add_string(&packed, slice_text("first"));
	packed_add_string(&packed, slice_text("1"));
	packed_add_string(&packed, slice_text("second"));
	check_json(&packed, "{\"1\":\"first\",\"1\":\"second\"}");
}

static void check_read(const char *text, const char *wanted)
{
	struct buffer packed;
	buffer_init(&packed);
	char error[LIMIT_ERROR_BYTES] = "";
	if (packed_from_json(slice_text(text), NULL, &packed, error, sizeof(error)))
		fail_msg("%s: %s", text, error);
	check_json(&packed, wanted);
}

static void json_is_read(void **state)
{
	check_read(" null ", "null");
	check_read("\"\\u0000\\u00e4\\ud83d\\ude00\\/\"", "\"\\u0000\xc3\xa4\xf0\x9f\x98\x80/\"");
	check_read("[1, -0, 1.0, 1E2, -9223372036854775808, 9223372036854775807, true, null]",
		"[1,0,1.0,100.0,-9223372036854775808,9223372036854775807,true,null]");
	check_read("{\"b\":{}, \"a\":[], \"\":{\"x\":null}, \"n\":null, \"f\":false}",
		"{\"\":{\"x\":null},\"a\":[],\"b\":{},\"f\":false,\"n\":null}");
	check_read("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}");
	check_read("{\"a\":1,\"\\u0061\":null}", "{\"a\":null}");
	check_read("{\"a\\u0000\":1}", "{\"a\\u0000\":1}");
	check_read("[1,null,3]", "[1,null,3]");
	check_read("[1e999,-1e999]", "[1e999,-1e999]");
}

static void integers_beyond_64_bits_become_floats(void **state)
{
	check_read("9223372036854775808", "9.223372036854776e+18");
	check_read("-9223372036854775809", "-9.223372036854776e+18");
	check_read("[1,{\"18446744073709551616\":18446744073709551616},-1]",
		"[1,{\"18446744073709551616\":1.8446744073709552e+19},-1]");
	check_read("[\"a\\\"99999999999999999999\", 99999999999999999999 ,2]",
		"[\"a\\\"99999999999999999999\",1e+20,2]");
	check_read("[99999999999999999999.5,99999999999999999999e1,99999999999999999999]",
		"[1e+20,1e+21,1e+20]");
}

static void check_read_with(
	struct packed_json_options options, const char *text, const char *wanted)
{
	struct buffer packed;
	buffer_init(&packed);
	char error[LIMIT_ERROR_BYTES] = "";
	if (packed_from_json(slice_text(text), &options, &packed, error, sizeof(error)))
		fail_msg("%s: %s", text, error);
	check_json(&packed, wanted);
}

static void numbers_that_do_not_fit_become_text_on_request(void **state)
{
	struct packed_json_options options = { .big_numbers_as_text = true };
	check_read_with(options,
		"[9223372036854775807,9223372036854775808,-9223372036854775808,"
		"-9223372036854775809,-0]",
		"[9223372036854775807,\"9223372036854775808\",-9223372036854775808,"
		"\"-9223372036854775809\",0]");
	check_read_with(options,
		"[0.1,12345678901234567.0,123456789012345678.5e-3,0.10000000000000000000,"
		"0.30000000000000004,0.3000000000000000444,4.35,9007199254740992.0]",
		"[0.1,\"12345678901234567.0\",\"123456789012345678.5e-3\",0.1,"
		"0.30000000000000004,0.30000000000000004,4.35,9007199254740992.0]");
	check_read_with(options, "[1e999,1e300]", "[\"1e999\",1e+300]");
}

static void null_becomes_nil_on_request(void **state)
{
	struct packed_json_options options = { .null_as_nil = true };
	struct buffer packed;
	buffer_init(&packed);
	char error[LIMIT_ERROR_BYTES] = "";
	assert_int_equal(packed_from_json(slice_text("[null,{\"a\":null}]"), &options, &packed,
				 error, sizeof(error)),
		0);
	check_bytes(&packed, BYTES("\6\2\0\0\7\0\1\5\1a\0"));
}

static void wrong_json_is_refused_with_its_place(void **state)
{
	static const struct {
		struct slice text;
		const char *says;
	} wrong[] = {
		{ { NULL, 0 }, "at byte 0" },
		{ { "[1, ", 4 }, "at byte 4" },
		{ { "[1 2]", 5 }, "expected ',' or ']' at byte 3" },
		{ { "1 2", 3 }, "at byte 2" },
		{ { "01", 2 }, "at byte 1" },
		{ { "nul", 3 }, "too early at byte 3" },
		{ { "NaN", 3 }, "expected a value at byte 0" },
		{ { "{\"a\":1,}", 8 }, "expected a name in quotes at byte 7" },
		{ { "[\xff]", 3 }, "at byte 1" },
		{ { "\"a\nb\"", 5 }, "unescaped control character at byte 2" },
		{ { "1\0", 2 }, "at byte 1" },
		{ { "\"\0\"", 3 }, "at byte 1" },
		{ { "[99999999999999999999", 21 }, "too early" },
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct buffer packed;
		buffer_init(&packed);
		packed_add_nil(&packed);
		char error[LIMIT_ERROR_BYTES] = "";
		int result = packed_from_json(wrong[i].text, NULL, &packed, error, sizeof(error));
		if (result != -EINVAL || strstr(error, wrong[i].says) == NULL)
			fail_msg("%zu: %d %s", i, result, error);
		assert_int_equal(packed.size, 1);
		buffer_fini(&packed);
	}
}

static void json_nests_up_to_the_limit(void **state)
{
	struct buffer packed;
	buffer_init(&packed);
	char error[LIMIT_ERROR_BYTES], text[2 * (LIMIT_PACKED_DEPTH + 1)];
	memset(text, '[', LIMIT_PACKED_DEPTH + 1);
	memset(text + LIMIT_PACKED_DEPTH + 1, ']', LIMIT_PACKED_DEPTH + 1);
	struct slice deepest = slice_of(text + 1, 2 * LIMIT_PACKED_DEPTH);
	assert_int_equal(packed_from_json(deepest, NULL, &packed, error, sizeof(error)), 0);
	assert_true(packed_is_whole(buffer_slice(&packed)));
	size_t size = packed.size;
	struct slice beyond = slice_of(text, sizeof(text));
	assert_int_equal(packed_from_json(beyond, NULL, &packed, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "nested deeper than 64");
	assert_int_equal(packed.size, size);
	buffer_fini(&packed);
}

static void json_is_taken_up_to_its_limit(void **state)
{
	struct buffer packed;
	buffer_init(&packed);
	size_t size = LIMIT_JSON_BYTES;
	char error[LIMIT_ERROR_BYTES], *text = memory_alloc(size + 1);
	memset(text, 'x', size + 1);
	text[0] = text[size - 1] = '"';
	assert_int_equal(
		packed_from_json(slice_of(text, size), NULL, &packed, error, sizeof(error)), 0);
	text[size - 1] = 'x';
	text[size] = '"';
	assert_int_equal(
		packed_from_json(slice_of(text, size + 1), NULL, &packed, error, sizeof(error)),
		-EINVAL);
	assert_non_null(strstr(error, "longer than"));
	memory_free(text);
	buffer_fini(&packed);
}

static void add_random_text(struct random *random, struct buffer *out)
{
	static const char *const parts[] = { "a", "\xc3\xa4", "\"", "\\", "\n", "\x01",
		"\xf0\x9f\x98\x80", "z", "0", "\x7f" };
	char text[64] = "";
	for (uint64_t i = random_below(random, 12); i > 0; i--)
		strcat(text, parts[random_below(random, sizeof(parts) / sizeof(parts[0]))]);
	packed_add_string(out, slice_text(text));
}

/* A value that JSON has: objects by rising keys of text. */
static void add_random_json(struct random *random, unsigned depth, struct buffer *out)
{
	uint64_t bits = random_next(random), parts = random_below(random, 6);
	static const char *const keys[] = { "", "\"", "1", "a\n", "~", "\xc3\xa4" };
	double number;
	memcpy(&number, &bits, sizeof(number));
	switch (random_below(random, depth < 6 ? 9 : 5)) {
	case 0:
		packed_add_null(out);
		break;
	case 1:
		packed_add_boolean(out, bits & 1);
		break;
	case 2:
		packed_add_integer(out, (int64_t)bits >> random_below(random, 64));
		break;
	case 3:
		packed_add_float(out, isfinite(number) ? number : 0.5);
		break;
	case 4:
		add_random_text(random, out);
		break;
	case 5:
	case 6:
		packed_add_table(out, parts, 0);
		for (uint64_t i = 0; i < parts; i++)
			add_random_json(random, depth + 1, out);
		break;
	default:
		packed_add_object(out, 0, parts);
		for (uint64_t i = 0; i < parts; i++) {
			packed_add_string(out, slice_text(keys[i]));
			add_random_json(random, depth + 1, out);
		}
	}
}

static void values_survive_being_json(void **state)
{
	struct random random;
	random_seed(&random, 2);
	size_t most = 0;
	for (int i = 0; i < 20000; i++) {
		struct buffer packed, json, again;
		buffer_init(&packed);
		buffer_init(&json);
		buffer_init(&again);
		add_random_json(&random, 0, &packed);
		assert_true(packed_is_whole(buffer_slice(&packed)));
		packed_to_json(buffer_slice(&packed), &json);
		char error[LIMIT_ERROR_BYTES] = "";
		if (packed_from_json(buffer_slice(&json), NULL, &again, error, sizeof(error)))
			fail_msg("%.*s: %s", (int)json.size, json.data, error);
		if (!slice_equal(buffer_slice(&packed), buffer_slice(&again)))
			fail_msg("%.*s", (int)json.size, json.data);
		most = packed.size > most ? packed.size : most;
		buffer_fini(&packed);
		buffer_fini(&json);
		buffer_fini(&again);
	}
	assert_true(most > 1000);
}

static void check_reply(struct buffer *packed, int protocol, const char *wanted)
{
	struct buffer out;
	buffer_init(&out);
	struct writer writer = { .out = &out, .protocol = protocol };
	packed_write(buffer_slice(packed), &writer);
	if (!slice_equal(buffer_slice(&out), slice_text(wanted)))
		fail_msg("%.*s instead of %s", (int)out.size, out.data, wanted);
	buffer_fini(&out);
}

static void replies_have_the_types_of_the_protocol(void **state)
{
	struct buffer packed;
	buffer_init(&packed);
	packed_add_table(&packed, 6, 0);
	packed_add_nil(&packed);
	packed_add_boolean(&packed, true);
	packed_add_integer(&packed, -5);
	packed_add_float(&packed, 2.5);
	packed_add_string(&packed, slice_text("\r\n"));
	packed_add_table(&packed, 0, 0);
	check_reply(&packed, 3, "*6\r\n_\r\n#t\r\n:-5\r\n,2.5\r\n$2\r\n\r\n\r\n*0\r\n");
	check_reply(&packed, 2, "*6\r\n$-1\r\n:1\r\n:-5\r\n$3\r\n2.5\r\n$2\r\n\r\n\r\n*0\r\n");
	buffer_fini(&packed);
	packed_add_object(&packed, 1, 1);
	packed_add_null(&packed);
	packed_add_string(&packed, slice_text("x"));
	packed_add_object(&packed, 0, 0);
	check_reply(&packed, 3, "%2\r\n$1\r\n1\r\n_\r\n$1\r\nx\r\n%0\r\n");
	check_reply(&packed, 2, "*4\r\n$1\r\n1\r\n$-1\r\n$1\r\nx\r\n*0\r\n");
	buffer_fini(&packed);
	add_mixed_table(&packed, 1);
	check_reply(&packed, 3,
		"%6\r\n$2\r\n-3\r\n,1\r\n$1\r\n1\r\n:7\r\n$3\r\n1.5\r\n*1\r\n#f\r\n$1\r\nb\r\n"
		"*0\r\n$3\r\ninf\r\n$0\r\n\r\n$4\r\ntrue\r\n_\r\n");
	check_reply(&packed, 2,
		"*12\r\n$2\r\n-3\r\n$1\r\n1\r\n$1\r\n1\r\n:7\r\n$3\r\n1.5\r\n*1\r\n:0\r\n$1\r\nb\r\n"
		"*0\r\n$3\r\ninf\r\n$0\r\n\r\n$4\r\ntrue\r\n$-1\r\n");
	buffer_fini(&packed);
}

static void check_shown(struct buffer *packed, const char *wanted)
{
	struct buffer out;
	buffer_init(&out);
	struct value value = { .type = VALUE_PACKED, .data = buffer_slice(packed) };
	packed_show_value(&value, &out);
	if (!slice_equal(buffer_slice(&out), slice_text(wanted)))
		fail_msg("%.*s instead of %s", (int)out.size, out.data, wanted);
	buffer_fini(&out);
	buffer_fini(packed);
}

static void stored_values_are_shown_as_text(void **state)
{
	struct buffer out;
	buffer_init(&out);
	struct value value = { .type = VALUE_BYTES, .data = BYTES("\xff\0\"") };
	packed_show_value(&value, &out);
	assert_true(slice_equal(buffer_slice(&out), value.data));
	buffer_fini(&out);
	packed_add_string(&out, slice_text("a\"b"));
	check_shown(&out, "a\"b");
	packed_add_integer(&out, -12);
	check_shown(&out, "-12");
	packed_add_float(&out, 3);
	check_shown(&out, "3.0");
	packed_add_float(&out, -INFINITY);
	check_shown(&out, "-inf");
	packed_add_boolean(&out, false);
	check_shown(&out, "false");
	packed_add_table(&out, 1, 0);
	packed_add_string(&out, slice_text("x"));
	check_shown(&out, "[\"x\"]");
}

/* --- the pace --------------------------------------------------------------------------------- */

struct patience {
	uint64_t units;
	uint64_t units_max;
};

static bool has_patience(void *context, uint64_t units)
{
	struct patience *patience = context;
	patience->units += units;
	return patience->units <= patience->units_max;
}

/* {"a": {"a": ... [true, true, ...]}} */
static void add_nest(struct buffer *out, int depth, uint64_t items)
{
	for (int i = 0; i < depth; i++) {
		packed_add_object(out, 0, 2);
		packed_add_string(out, slice_text("b"));
		packed_add_null(out);
		packed_add_string(out, slice_text("a"));
	}
	packed_add_table(out, items, 0);
	for (uint64_t i = 0; i < items; i++)
		packed_add_boolean(out, true);
}

static void writing_ends_when_it_has_been_told_to(void **state)
{
	struct patience patience = { .units_max = 10000 };
	struct packed_pace pace = { has_patience, &patience, SIZE_MAX };
	struct buffer packed, out;
	buffer_init(&packed);
	buffer_init(&out);
	packed_add_table(&packed, 100000, 0);
	for (int i = 0; i < 100000; i++)
		packed_add_float(&packed, i / 3.0);
	assert_false(packed_to_json_paced(buffer_slice(&packed), &out, &pace));
	assert_in_range(patience.units, 10001, 10500);
	buffer_clear(&out, 0);
	patience.units = 0;
	struct writer writer = { .out = &out, .protocol = 3 };
	assert_false(packed_write_paced(buffer_slice(&packed), &writer, &pace));
	assert_in_range(patience.units, 10001, 10500);
	buffer_clear(&packed, 0);
	buffer_clear(&out, 0);
	/* What lies deep is not gone through once for each level. */
	patience.units = 0;
	add_nest(&packed, 60, 4000);
	assert_true(packed_to_json_paced(buffer_slice(&packed), &out, &pace));
	assert_in_range(patience.units, 8000, 10000);
	buffer_fini(&packed);
	buffer_fini(&out);
}

static void writing_ends_when_it_has_become_too_long(void **state)
{
	struct patience patience = { .units_max = UINT64_MAX };
	struct packed_pace pace = { has_patience, &patience, 1000 };
	struct buffer packed, out;
	buffer_init(&packed);
	buffer_init(&out);
	char *zeros = memory_zeroed(100000);
	packed_add_string(&packed, slice_of(zeros, 100000));
	memory_free(zeros);
	assert_false(packed_to_json_paced(buffer_slice(&packed), &out, &pace));
	assert_in_range(out.size, 1001, 1100);
	buffer_clear(&out, 0);
	struct writer writer = { .out = &out, .protocol = 2, .limit = 1000 };
	assert_false(packed_write_paced(buffer_slice(&packed), &writer, &pace));
	assert_true(writer.full);
	buffer_clear(&packed, 0);
	buffer_clear(&out, 0);
	/* Also of what is none of the strings that a writer refuses itself. */
	packed_add_table(&packed, 100000, 0);
	for (int i = 0; i < 100000; i++)
		packed_add_integer(&packed, i);
	writer.full = false;
	packed_write(buffer_slice(&packed), &writer);
	assert_true(writer.full);
	assert_in_range(out.size, 1001, 1100);
	assert_false(packed_to_json_paced(buffer_slice(&packed), &out, &pace));
	buffer_fini(&packed);
	buffer_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_have_the_bytes_of_the_format),
		cmocka_unit_test(integers_and_floats_come_back_bit_by_bit),
		cmocka_unit_test(damaged_items_are_not_taken),
		cmocka_unit_test(only_one_sound_value_is_whole),
		cmocka_unit_test(tables_nest_up_to_the_limit),
		cmocka_unit_test(strings_are_escaped_and_keep_their_utf8),
		cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
		cmocka_unit_test(halves_of_surrogate_pairs_are_their_escapes),
		cmocka_unit_test(floats_show_that_they_are_floats),
		cmocka_unit_test(tables_are_arrays_or_objects_in_byte_order),
		cmocka_unit_test(objects_are_objects_when_they_are_empty),
		cmocka_unit_test(keys_of_the_same_text_are_both_shown),
		cmocka_unit_test(json_is_read),
		cmocka_unit_test(integers_beyond_64_bits_become_floats),
		cmocka_unit_test(numbers_that_do_not_fit_become_text_on_request),
		cmocka_unit_test(null_becomes_nil_on_request),
		cmocka_unit_test(wrong_json_is_refused_with_its_place),
		cmocka_unit_test(json_nests_up_to_the_limit),
		cmocka_unit_test(json_is_taken_up_to_its_limit),
		cmocka_unit_test(values_survive_being_json),
		cmocka_unit_test(replies_have_the_types_of_the_protocol),
		cmocka_unit_test(stored_values_are_shown_as_text),
		cmocka_unit_test(writing_ends_when_it_has_been_told_to),
		cmocka_unit_test(writing_ends_when_it_has_become_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
