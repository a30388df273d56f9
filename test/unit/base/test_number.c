/*
 * test_number: numbers from text with Redis's strictness, and back. The C library is the model
 * where it has the same function; what it is laxer about is listed.
 */
#include "base/number.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool parse_i64(const char *text, int64_t *out)
{
	return number_parse_i64(slice_text(text), out);
}

static void integers_survive_a_round_trip(void **state)
{
	struct random random;
	random_seed(&random, 6);
	for (int i = 0; i < 200000; i++) {
		int64_t number = (int64_t)random_next(&random) >> random_below(&random, 64);
		char text[NUMBER_I64_TEXT_MAX], model[32];
		size_t size = number_format_i64(text, number);
		int model_size = snprintf(model, sizeof(model), "%" PRId64, number);
		assert_true(slice_equal(slice_of(text, size), slice_of(model, (size_t)model_size)));
		int64_t back;
		assert_true(number_parse_i64(slice_of(text, size), &back));
		assert_true(back == number);
	}
}

static void integers_reach_their_ends_and_no_further(void **state)
{
	int64_t number;
	uint64_t unsigned_number;
	assert_true(parse_i64("9223372036854775807", &number) && number == INT64_MAX);
	assert_true(parse_i64("-9223372036854775808", &number) && number == INT64_MIN);
	assert_false(parse_i64("9223372036854775808", &number));
	assert_false(parse_i64("-9223372036854775809", &number));
	assert_true(number_parse_u64(slice_text("18446744073709551615"), &unsigned_number) &&
		unsigned_number == UINT64_MAX);
	assert_false(number_parse_u64(slice_text("18446744073709551616"), &unsigned_number));
	assert_false(number_parse_u64(slice_text("99999999999999999999"), &unsigned_number));
	char text[NUMBER_I64_TEXT_MAX];
	assert_int_equal(number_format_i64(text, INT64_MIN), 20);
}

static void integers_are_read_strictly(void **state)
{
	static const char *const refused[] = { "", "-", "+1", " 1", "1 ", "01", "-0", "-01", "1.0",
		"0x1", "1e3", "--1", "99999999999999999999999" };
	int64_t number;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (parse_i64(refused[i], &number))
			fail_msg("'%s' was read", refused[i]);
	}
	assert_true(parse_i64("0", &number) && number == 0);
	assert_false(number_parse_i64(slice_of("1\0", 2), &number));
	uint64_t unsigned_number;
	assert_false(number_parse_u64(slice_text("-1"), &unsigned_number));
}

/* What is a canonical decimal integer: strtoll reads it, and printing it gives it back. */
static bool model_parse_i64(const char *text, int64_t *out)
{
	char *end, again[32];
	errno = 0;
	*out = strtoll(text, &end, 10);
	snprintf(again, sizeof(again), "%" PRId64, *out);
	return errno == 0 && *end == '\0' && strcmp(again, text) == 0;
}

static void random_texts_are_read_like_the_model(void **state)
{
	struct random random;
	random_seed(&random, 7);
	int read = 0;
	for (int i = 0; i < 300000; i++) {
		char text[24];
		size_t size = random_below(&random, i % 2 ? 5 : 22);
		for (size_t c = 0; c < size; c++)
			text[c] = "0123456789999-+ "[random_below(&random, i % 4 ? 16 : 13)];
		text[size] = '\0';
		int64_t number, expected;
		bool can = model_parse_i64(text, &expected);
		if (parse_i64(text, &number) != can || (can && number != expected))
			fail_msg("'%s' is read wrongly", text);
		read += can;
	}
	assert_true(read > 10000);
}

static bool float_is(const char *text, long double expected)
{
	long double number;
	return number_parse_float(slice_text(text), &number) && number == expected;
}

static void floats_are_read_as_redis_does(void **state)
{
	static const char *const refused[] = { "", " 1", "1 ", "abc", "1.5x", "nan", "inf", "-inf",
		"1e5000", "1e-5000" };
	long double number;
	assert_true(float_is("1.5", 1.5L));
	assert_true(float_is("-3.0e2", -300.0L));
	assert_true(float_is("0", 0));
	assert_true(float_is("5.0e3", 5000.0L));
	assert_true(number_parse_float(slice_text("1e-4940"), &number) && number > 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (number_parse_float(slice_text(refused[i]), &number))
			fail_msg("'%s' was read", refused[i]);
	}
	assert_false(number_parse_float(slice_of("1\0", 2), &number));
	char longest[NUMBER_FLOAT_TEXT_MAX];
	memset(longest, '1', sizeof(longest));
	assert_false(number_parse_float(slice_of(longest, sizeof(longest)), &number));
}

static void check_float(long double number, const char *expected)
{
	char text[NUMBER_FLOAT_TEXT_MAX];
	size_t size = number_format_float(text, number);
	if (!slice_equal(slice_of(text, size), slice_text(expected)))
		fail_msg("'%.*s' instead of '%s'", (int)size, text, expected);
}

static void floats_are_written_without_exponent_or_tail(void **state)
{
	check_float(10.6L, "10.6");
	check_float(5200.0L, "5200");
	check_float(0.1L + 0.2L, "0.3");
	check_float(-0.0L, "0");
	check_float(100, "100");
	check_float(-1.25L, "-1.25");
	check_float(1e-18L, "0");
	char text[NUMBER_FLOAT_TEXT_MAX];
	assert_true(number_format_float(text, 1.1e4932L) > 4000);
}

static bool size_is(const char *text, int64_t expected)
{
	int64_t size;
	return number_parse_size(slice_text(text), &size) && size == expected;
}

static void sizes_have_redis_units(void **state)
{
	assert_true(size_is("100", 100));
	assert_true(size_is("100b", 100));
	assert_true(size_is("64k", 64000));
	assert_true(size_is("64kb", 65536));
	assert_true(size_is("1M", 1000000));
	assert_true(size_is("1MB", 1 << 20));
	assert_true(size_is("2g", 2000000000));
	assert_true(size_is("2gb", (int64_t)2 << 30));
	assert_true(size_is("1tb", (int64_t)1 << 40));
	assert_true(size_is("-1", -1));
}

static void sizes_refuse_what_they_cannot_mean(void **state)
{
	static const char *const refused[] = { "", "mb", "1 mb", "1.5gb", "1pb", "1kbb",
		"9223372036854775807kb", "8388608tb", "-", "--1", "1-", "0x10" };
	int64_t size;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (number_parse_size(slice_text(refused[i]), &size))
			fail_msg("'%s' was read", refused[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_survive_a_round_trip),
		cmocka_unit_test(integers_reach_their_ends_and_no_further),
		cmocka_unit_test(integers_are_read_strictly),
		cmocka_unit_test(random_texts_are_read_like_the_model),
		cmocka_unit_test(floats_are_read_as_redis_does),
		cmocka_unit_test(floats_are_written_without_exponent_or_tail),
		cmocka_unit_test(sizes_have_redis_units),
		cmocka_unit_test(sizes_refuse_what_they_cannot_mean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
