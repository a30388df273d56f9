/*
 * test_json_merge: merges of fields and RFC 7396, to the byte, and what large ones cost.
 */
#include "holdfast/limits.h"
#include "support/count.h"
#include "json/json.h"
#include "json/json_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct merged {
	const char *base, *patch, *expected;
};

static void assert_merges(const struct merged *merged, bool deep)
{
	struct buffer out;
	buffer_init(&out);
	buffer_append_text(&out, "before");
	struct slice base = slice_text(merged->base), patch = slice_text(merged->patch);
	assert_true(json_check(base, NULL));
	assert_true(json_check(patch, NULL));
	if (deep)
		json_merge_patch(base, patch, &out);
	else
		json_merge_fields(base, patch, &out);
	struct slice result = slice_of(out.data + 6, out.size - 6);
	if (!slice_equal(result, slice_text(merged->expected)))
		fail_msg("%s with %s is %.*s, not %s", merged->base, merged->patch,
			(int)result.size, result.data, merged->expected);
	assert_true(json_check(result, NULL));
	assert_memory_equal(out.data, "before", 6);
	buffer_fini(&out);
}

static void assert_all_merge(const struct merged *merged, size_t count, bool deep)
{
	for (size_t i = 0; i < count; i++)
		assert_merges(&merged[i], deep);
}

static void replaces_fields_in_place_and_appends_new_ones_in_order(void **state)
{
	static const struct merged merged[] = {
		{ "{}", "{}", "{}" },
		{ "{\"a\":1}", "{}", "{\"a\":1}" },
		{ "{}", "{\"a\":1}", "{\"a\":1}" },
		{ "{\"a\":1,\"b\":2}", "{\"a\":3}", "{\"a\":3,\"b\":2}" },
		{ "{\"a\":1,\"b\":2}", "{\"b\":3,\"a\":4}", "{\"a\":4,\"b\":3}" },
		{ "{\"a\":1}", "{\"z\":2,\"b\":3}", "{\"a\":1,\"z\":2,\"b\":3}" },
		{ "{\"a\":1}", "{\"z\":2,\"a\":3,\"b\":4}", "{\"a\":3,\"z\":2,\"b\":4}" },
		/* Only the first level, and null is a value. */
		{ "{\"a\":{\"x\":1}}", "{\"a\":{\"y\":2}}", "{\"a\":{\"y\":2}}" },
		{ "{\"a\":1}", "{\"a\":null,\"b\":null}", "{\"a\":null,\"b\":null}" },
		{ "{\"a\":{\"b\":1}}", "{\"b\":2}", "{\"a\":{\"b\":1},\"b\":2}" },
		{ "{\"a\":\"b\"}", "{\"b\":{\"c\":null,\"c\":1}}",
			"{\"a\":\"b\",\"b\":{\"c\":null,\"c\":1}}" },
	};
	assert_all_merge(merged, COUNT(merged), false);
}

static void keeps_everything_else_byte_for_byte(void **state)
{
	static const struct merged merged[] = {
		{ " { \"big\" : 123456789012345678901234567890 ,\n \"a\" : 1 , \"f\":1.0e+00 } ",
			"{\"a\":[ 2 ]}",
			" { \"big\" : 123456789012345678901234567890 ,\n \"a\" : [ 2 ] , "
			"\"f\":1.0e+00 } " },
		{ "{\n\t\"a\": 1\n}\n", " {\t\"b\" :\t2.50 } ",
			"{\n\t\"a\": 1,\"b\" :\t2.50\n}\n" },
		{ "{ }", "{\"a\":1}", "{\"a\":1 }" },
		{ "{\"\\u0061\":\"\\u0062\",\"c\":\"\\/\"}", "{\"c\":\"\\u0064\"}",
			"{\"\\u0061\":\"\\u0062\",\"c\":\"\\u0064\"}" },
		{ "{\"x\":1,\"x\":2,\"a\":3}", "{\"a\":4}", "{\"x\":1,\"x\":2,\"a\":4}" },
	};
	assert_all_merge(merged, COUNT(merged), false);
}

static void keeps_marks_and_far_white_space_of_the_base_and_halves_of_pairs(void **state)
{
	static const struct merged merged[] = {
		{ "\xef\xbb\xbf{\"a\":\"\\ud83d\"}\f", "\xef\xbb\xbf{\"b\":\"\\udE00\"}\v",
			"\xef\xbb\xbf{\"a\":\"\\ud83d\",\"b\":\"\\udE00\"}\f" },
		{ "{\"\\ud83d\":1,\"\\ude00\":2}", "{\"\\uD83D\":3}",
			"{\"\\ud83d\":3,\"\\ude00\":2}" },
		{ "{\"\\ud83d\":1,\"\\ud83d\\ude00\":2}", "{\"\xf0\x9f\x98\x80\":3}",
			"{\"\\ud83d\":1,\"\\ud83d\\ude00\":3}" },
	};
	static const struct merged whole[] = {
		{ "1\v", "2", "2\v" },
		{ "\xef\xbb\xbf"
		  "1\xc2\xa0",
			"\xef\xbb\xbf[2]\xe2\x80\xa8", "\xef\xbb\xbf[2]\xc2\xa0" },
		{ "1",
			"\xef\xbb\xbf"
			"2\f",
			"2" },
	};
	assert_all_merge(merged, COUNT(merged), false);
	assert_all_merge(merged, COUNT(merged), true);
	assert_all_merge(whole, COUNT(whole), true);
}

static void compares_names_of_both_after_unescaping(void **state)
{
	static const struct merged merged[] = {
		{ "{\"\\u0061\":1}", "{\"a\":2}", "{\"\\u0061\":2}" },
		{ "{\"a\":1}", "{\"\\u0061\":2}", "{\"a\":2}" },
		{ "{\"\\u00e4\":1}", "{\"\xc3\xa4\":2}", "{\"\\u00e4\":2}" },
		{ "{\"\xf0\x9f\x98\x80\":1}", "{\"\\ud83d\\ude00\":2}",
			"{\"\xf0\x9f\x98\x80\":2}" },
		{ "{\"\\n\":1,\"n\":2}", "{\"\\u000a\":3}", "{\"\\n\":3,\"n\":2}" },
		{ "{\"a\\u0000b\":1}", "{\"a\":2}", "{\"a\\u0000b\":1,\"a\":2}" },
		{ "{\"a\\u0000b\":1}", "{\"a\\u0000b\":2}", "{\"a\\u0000b\":2}" },
		{ "{\"a\":1}", "{\"\\u0062\":2,\"b\":3,\"\\u0063\":4}",
			"{\"a\":1,\"b\":3,\"\\u0063\":4}" },
	};
	assert_all_merge(merged, COUNT(merged), false);
}

static void drops_earlier_members_of_a_replaced_name(void **state)
{
	static const struct merged merged[] = {
		{ "{\"a\":1,\"a\":2}", "{\"a\":3}", "{\"a\":3}" },
		{ "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":4}", "{\"b\":2,\"a\":4}" },
		{ "{\"b\":1,\"a\":2,\"a\":3,\"a\":4,\"c\":5}", "{\"a\":6}",
			"{\"b\":1,\"a\":6,\"c\":5}" },
		{ "{ \"a\":1 , \"a\":2 , \"b\":3 }", "{\"a\":4}", "{ \"a\":4 , \"b\":3 }" },
		{ "{\"a\":1,\"\\u0061\":2}", "{\"a\":3,\"c\":4}", "{\"\\u0061\":3,\"c\":4}" },
		{ "{\"a\":1}", "{\"a\":2,\"a\":3}", "{\"a\":3}" },
		{ "{}", "{\"a\":2,\"b\":4,\"a\":3}", "{\"b\":4,\"a\":3}" },
		{ "{\"a\":{\"a\":1,\"a\":2},\"a\":{\"a\":3,\"a\":4}}", "{\"b\":1}",
			"{\"a\":{\"a\":1,\"a\":2},\"a\":{\"a\":3,\"a\":4},\"b\":1}" },
	};
	assert_all_merge(merged, COUNT(merged), false);
}

static void gives_the_examples_of_rfc_7396(void **state)
{
	static const struct merged merged[] = {
		{ "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
		{ "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
		{ "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
		{ "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
		{ "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
		{ "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
		{ "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
			"{\"a\":{\"b\":\"d\"}}" },
		{ "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
		{ "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
		{ "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
		{ "{\"a\":\"foo\"}", "null", "null" },
		{ "{\"a\":\"foo\"}", "\"bar\"", "\"bar\"" },
		{ "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
		{ "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
		{ "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
		/* That of section 3. */
		{ "{\"title\":\"Goodbye!\",\"author\":{\"givenName\":\"John\",\"familyName\":\"Doe\"},"
		  "\"tags\":[\"example\",\"sample\"],\"content\":\"This will be unchanged\"}",
			"{\"title\":\"Hello!\",\"phoneNumber\":\"+01-123-456-7890\","
			"\"author\":{\"familyName\":null},\"tags\":[\"example\"]}",
			"{\"title\":\"Hello!\",\"author\":{\"givenName\":\"John\"},"
			"\"tags\":[\"example\"],\"content\":\"This will be unchanged\","
			"\"phoneNumber\":\"+01-123-456-7890\"}" },
	};
	assert_all_merge(merged, COUNT(merged), true);
}

static void removes_members_with_one_comma_each(void **state)
{
	static const struct merged merged[] = {
		{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":null}", "{\"b\":2,\"c\":3}" },
		{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"b\":null}", "{\"a\":1,\"c\":3}" },
		{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":null}", "{\"a\":1,\"b\":2}" },
		{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":null,\"b\":null}", "{\"c\":3}" },
		{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":null,\"b\":null}", "{\"a\":1}" },
		{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":null,\"a\":null}", "{\"b\":2}" },
		{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":null,\"a\":null,\"b\":null}", "{}" },
		{ "{\"a\":1,\"b\":2}", "{\"a\":null,\"b\":null,\"d\":4}", "{\"d\":4}" },
		{ "{\"a\":1,\"b\":2}", "{\"b\":null,\"d\":4}", "{\"a\":1,\"d\":4}" },
		{ "{\"a\":1,\"a\":2,\"b\":3,\"a\":4}", "{\"a\":null}", "{\"b\":3}" },
		{ "{\n\t\"a\": 1,\n\t\"b\": 2\n}", "{\"a\":null}", "{\n\t\"b\": 2\n}" },
		{ "{\n\t\"a\": 1,\n\t\"b\": 2\n}", "{\"b\":null}", "{\n\t\"a\": 1\n}" },
		{ "{\n\t\"a\": 1\n}", "{\"a\":null}", "{\n}" },
		{ "{\"a\":1}", "{\"b\":null}", "{\"a\":1}" },
	};
	assert_all_merge(merged, COUNT(merged), true);
}

static void merges_within_objects_and_touches_nothing_else(void **state)
{
	static const struct merged merged[] = {
		{ "{ \"a\" : { \"b\" : 1.0 , \"c\" : [ ] } , \"d\" : 1e2 }", "{\"a\":{\"c\":2}}",
			"{ \"a\" : { \"b\" : 1.0 , \"c\" : 2 } , \"d\" : 1e2 }" },
		{ "{\"a\":{\"b\":{\"c\":{}}}}", "{\"a\":{\"b\":{\"c\":{\"d\":1}},\"e\":2},\"f\":3}",
			"{\"a\":{\"b\":{\"c\":{\"d\":1}},\"e\":2},\"f\":3}" },
		{ "{\"a\":{\"x\":1},\"b\":{\"x\":2}}", "{\"b\":{\"x\":null},\"a\":{\"y\":3}}",
			"{\"a\":{\"x\":1,\"y\":3},\"b\":{}}" },
		{ "{\"a\":1}", "{\"a\":{ \"b\" : 2 }}", "{\"a\":{ \"b\" : 2 }}" },
		{ "{\"a\":1}", "{\"a\":{\"b\":2,\"c\":null,\"d\":{\"e\":null},\"f\" : 3}}",
			"{\"a\":{\"b\":2,\"d\":{},\"f\" : 3}}" },
		{ "{\"a\":{\"b\":1}}", "{\"a\":{}}", "{\"a\":{\"b\":1}}" },
		{ "{\"a\":[1]}", "{\"a\":{}}", "{\"a\":{}}" },
		/* Within arrays null is a value. */
		{ "{}", "{\"a\":[null,{\"b\":null}]}", "{\"a\":[null,{\"b\":null}]}" },
		{ " 1 ", " {\"a\":null} ", " {} " },
		{ " 1 ", " {\"a\" : 1} ", " {\"a\" : 1} " },
		{ " {} ", " [ 1 ] ", " [ 1 ] " },
	};
	assert_all_merge(merged, COUNT(merged), true);
}

static void counts_only_the_last_of_a_name_when_merging_deeply(void **state)
{
	static const struct merged merged[] = {
		{ "{\"a\":{\"x\":1},\"a\":{\"y\":2}}", "{\"a\":{\"x\":3}}",
			"{\"a\":{\"y\":2,\"x\":3}}" },
		{ "{\"a\":{\"x\":1},\"a\":5}", "{\"a\":{\"x\":null,\"z\":1}}",
			"{\"a\":{\"z\":1}}" },
		{ "{\"a\":5,\"a\":{\"x\":1}}", "{\"a\":{\"x\":null,\"z\":1}}",
			"{\"a\":{\"z\":1}}" },
		{ "{\"a\":{\"b\":{\"x\":1},\"b\":{\"x\":2}},\"a\":{\"b\":{\"x\":3},\"b\":{\"y\":4}}}",
			"{\"a\":{\"b\":{\"x\":9}}}", "{\"a\":{\"b\":{\"y\":4,\"x\":9}}}" },
		{ "{\"a\":1}", "{\"a\":null,\"a\":2}", "{\"a\":2}" },
		{ "{\"a\":1}", "{\"a\":2,\"a\":null}", "{}" },
		{ "{\"a\":{\"x\":1}}", "{\"a\":{\"x\":2},\"a\":{\"y\":3}}",
			"{\"a\":{\"x\":1,\"y\":3}}" },
		{ "{}", "{\"a\":{\"x\":2,\"x\":null,\"y\":1}}", "{\"a\":{\"y\":1}}" },
		{ "{}", "{\"a\":{\"x\":null,\"x\":2}}", "{\"a\":{\"x\":2}}" },
	};
	assert_all_merge(merged, COUNT(merged), true);
}

static void merges_at_the_deepest_level(void **state)
{
	struct buffer base, patch, out;
	buffer_init(&base);
	buffer_init(&patch);
	buffer_init(&out);
	for (size_t i = 0; i < LIMIT_JSON_DEPTH; i++) {
		buffer_append_text(&base, i ? "{\"a\":" : "{\"z\":0,\"a\":");
		buffer_append_text(&patch, "{\"a\":");
	}
	buffer_append_text(&base, "1");
	buffer_append_text(&patch, "2");
	for (size_t i = 0; i < LIMIT_JSON_DEPTH; i++) {
		buffer_append_text(&base, "}");
		buffer_append_text(&patch, "}");
	}
	struct json_work work = json_merge(buffer_slice(&base), buffer_slice(&patch), true, &out);
	assert_true(work.bytes_scanned <= base.size + patch.size);
	*(char *)memchr(base.data, '1', base.size) = '2';
	assert_true(slice_equal(buffer_slice(&out), buffer_slice(&base)));
	buffer_fini(&base);
	buffer_fini(&patch);
	buffer_fini(&out);
}

/* {"PREFIXnumber":value,...} */
static void object_make(
	struct buffer *out, const char *prefix, size_t count, size_t step, const char *value)
{
	buffer_append_text(out, "{");
	for (size_t i = 0; i < count; i++)
		buffer_format(out, "%s\"%s%zu\":%s", i ? "," : "", prefix, i * step % count, value);
	buffer_append_text(out, "}");
}

static size_t members_count(struct slice object)
{
	size_t count = 0;
	for (size_t i = 0; i < object.size; i++)
		count += object.data[i] == ':';
	return count;
}

/* Merges and holds the cost against the sizes of the texts. */
static void assert_cheap(
	struct slice base, struct slice patch, bool deep, size_t compares_max, size_t members)
{
	struct buffer out;
	buffer_init(&out);
	assert_true(json_check(base, NULL));
	assert_true(json_check(patch, NULL));
	struct json_work work = json_merge(base, patch, deep, &out);
	assert_true(work.bytes_scanned <= base.size + patch.size);
	assert_true(work.names_compared <= compares_max);
	assert_true(json_check(buffer_slice(&out), NULL));
	assert_int_equal(members_count(buffer_slice(&out)), members);
	buffer_fini(&out);
}

static void costs_no_product_of_the_numbers_of_members(void **state)
{
	enum { MANY = 60000, LEVELS = 17 /* 2^16 > MANY */ };
	struct buffer base, patch;
	buffer_init(&base);
	buffer_init(&patch);
	object_make(&base, "name", MANY, 1, "1");
	object_make(&patch, "name", MANY, 77773, "[2]");
	size_t sorting = 2 * MANY * LEVELS, looking = MANY * (LEVELS + 1);
	assert_cheap(buffer_slice(&base), buffer_slice(&patch), false, sorting + looking, MANY);
	assert_cheap(buffer_slice(&base), buffer_slice(&patch), true, sorting + looking, MANY);
	patch.size = 0;
	object_make(&patch, "other", MANY, 1, "2");
	assert_cheap(buffer_slice(&base), buffer_slice(&patch), false, sorting + looking, 2 * MANY);
	patch.size = 0;
	object_make(&patch, "na\\u006de", MANY, 1, "null");
	assert_cheap(buffer_slice(&base), buffer_slice(&patch), true, sorting + looking, 0);
	buffer_fini(&base);
	buffer_fini(&patch);
}

static void costs_no_more_for_one_name_many_times(void **state)
{
	enum { MANY = 60000, LEVELS = 17 };
	struct buffer base, patch;
	buffer_init(&base);
	buffer_init(&patch);
	object_make(&base, "", MANY, MANY, "{}");
	object_make(&patch, "", MANY, MANY, "{\"a\":1}");
	size_t compares_max = 3 * 2 * MANY * LEVELS;
	assert_cheap(buffer_slice(&base), buffer_slice(&patch), false, compares_max, 2);
	assert_cheap(buffer_slice(&base), buffer_slice(&patch), true, compares_max, 2);
	/* An object met MANY times takes MANY new members once. */
	patch.size = 0;
	buffer_append_text(&patch, "{\"0\":");
	object_make(&patch, "n", MANY, 1, "0");
	buffer_append_text(&patch, "}");
	assert_cheap(buffer_slice(&base), buffer_slice(&patch), true, compares_max, MANY + 1);
	buffer_fini(&base);
	buffer_fini(&patch);
}

/* What a level holds must not be read again for each level above it. */
static void costs_no_more_for_many_levels(void **state)
{
	enum { BYTES = 100000 };
	struct buffer base, patch;
	buffer_init(&base);
	buffer_init(&patch);
	for (size_t i = 1; i < LIMIT_JSON_DEPTH; i++) {
		buffer_append_text(&base, "{\"a\":");
		buffer_append_text(&patch, "{\"a\":");
	}
	object_make(&base, "n", BYTES / 10, 1, "1");
	object_make(&patch, "n", 3, 1, "2");
	for (size_t i = 1; i < LIMIT_JSON_DEPTH; i++) {
		buffer_append_text(&base, "}");
		buffer_append_text(&patch, "}");
	}
	assert_cheap(buffer_slice(&base), buffer_slice(&patch), true, BYTES,
		LIMIT_JSON_DEPTH - 1 + BYTES / 10);
	patch.size = 0;
	for (size_t i = 1; i < LIMIT_JSON_DEPTH; i++)
		buffer_append_text(&patch, "{\"b\":");
	object_make(&patch, "n", BYTES / 10, 1, "null");
	for (size_t i = 1; i < LIMIT_JSON_DEPTH; i++)
		buffer_append_text(&patch, "}");
	assert_cheap(buffer_slice(&base), buffer_slice(&patch), true, BYTES * 4,
		2 * (LIMIT_JSON_DEPTH - 1) + BYTES / 10);
	buffer_fini(&base);
	buffer_fini(&patch);
}

/* On both sides of where fields are sorted. */
static void merges_few_and_many_fields_alike(void **state)
{
	struct buffer base, patch, out, expected;
	buffer_init(&base);
	buffer_init(&patch);
	buffer_init(&out);
	buffer_init(&expected);
	for (size_t count = 1; count < 70; count++) {
		base.size = patch.size = out.size = expected.size = 0;
		object_make(&base, "n", count, 1, "{\"old\":1}");
		object_make(&patch, "n", count, count - 1, "{\"new\":2,\"old\":null}");
		object_make(&expected, "n", count, 1, "{\"new\":2}");
		json_merge_patch(buffer_slice(&base), buffer_slice(&patch), &out);
		assert_true(slice_equal(buffer_slice(&out), buffer_slice(&expected)));
	}
	buffer_fini(&base);
	buffer_fini(&patch);
	buffer_fini(&out);
	buffer_fini(&expected);
}

static void drops_earlier_members_of_a_new_object_among_few_and_many(void **state)
{
	struct buffer patch, out, expected;
	buffer_init(&patch);
	buffer_init(&out);
	buffer_init(&expected);
	for (size_t count = 0; count < 40; count++) {
		patch.size = out.size = expected.size = 0;
		buffer_append_text(&patch, "{\"o\":{\"p\":{\"x\":1,\"y\":2,\"\\u0078\":3}},\"q\":");
		buffer_append_text(&expected, "{\"o\":{\"p\":{\"y\":2,\"\\u0078\":3}},\"q\":");
		object_make(&patch, "n", count, 1, "4");
		object_make(&expected, "n", count, 1, "4");
		buffer_append_text(&patch, "}");
		buffer_append_text(&expected, "}");
		json_merge_patch(slice_text("0"), buffer_slice(&patch), &out);
		assert_true(slice_equal(buffer_slice(&out), buffer_slice(&expected)));
	}
	buffer_fini(&patch);
	buffer_fini(&out);
	buffer_fini(&expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replaces_fields_in_place_and_appends_new_ones_in_order),
		cmocka_unit_test(keeps_everything_else_byte_for_byte),
		cmocka_unit_test(keeps_marks_and_far_white_space_of_the_base_and_halves_of_pairs),
		cmocka_unit_test(compares_names_of_both_after_unescaping),
		cmocka_unit_test(drops_earlier_members_of_a_replaced_name),
		cmocka_unit_test(gives_the_examples_of_rfc_7396),
		cmocka_unit_test(removes_members_with_one_comma_each),
		cmocka_unit_test(merges_within_objects_and_touches_nothing_else),
		cmocka_unit_test(counts_only_the_last_of_a_name_when_merging_deeply),
		cmocka_unit_test(merges_at_the_deepest_level),
		cmocka_unit_test(costs_no_product_of_the_numbers_of_members),
		cmocka_unit_test(costs_no_more_for_one_name_many_times),
		cmocka_unit_test(costs_no_more_for_many_levels),
		cmocka_unit_test(merges_few_and_many_fields_alike),
		cmocka_unit_test(drops_earlier_members_of_a_new_object_among_few_and_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
