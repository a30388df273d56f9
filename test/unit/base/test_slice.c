/*
 * test_slice: comparisons of slices, empty ones and ones with zero bytes included.
 */
#include "base/random.h"
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void equals_by_bytes(void **state)
{
	assert_true(slice_equal(slice_of("a\0b", 3), slice_of("a\0b", 3)));
	assert_false(slice_equal(slice_of("a\0b", 3), slice_of("a\0c", 3)));
	assert_false(slice_equal(slice_text("ab"), slice_text("abc")));
	assert_true(slice_equal(slice_of(NULL, 0), slice_text("")));
}

static void is_ignores_case(void **state)
{
	assert_true(slice_is(slice_text("GeT"), "get"));
	assert_true(slice_is(slice_of(NULL, 0), ""));
	assert_false(slice_is(slice_text("get"), "gets"));
	assert_false(slice_is(slice_text("gets"), "get"));
}

static void starts_with_a_prefix(void **state)
{
	assert_true(slice_starts_with(slice_text("user:1"), slice_text("user:")));
	assert_true(slice_starts_with(slice_text("user"), slice_of(NULL, 0)));
	assert_false(slice_starts_with(slice_text("use"), slice_text("user")));
}

static int sign(int number)
{
	return (number > 0) - (number < 0);
}

static void compares_like_zero_padded_numbers(void **state)
{
	/* Up to 7 bytes and their count, most significant first, order as slices do. */
	struct random random;
	random_seed(&random, 5);
	for (int i = 0; i < 100000; i++) {
		char bytes[2][7];
		struct slice slices[2];
		uint64_t ranks[2];
		for (int s = 0; s < 2; s++) {
			slices[s] = slice_of(bytes[s], random_below(&random, 8));
			ranks[s] = 0;
			for (size_t b = 0; b < 7; b++) {
				bytes[s][b] = (char)(random_below(&random, 3) * 127);
				ranks[s] = ranks[s] << 8 |
					(b < slices[s].size ? (unsigned char)bytes[s][b] : 0);
			}
			ranks[s] = ranks[s] << 8 | slices[s].size;
		}
		int expected = (ranks[0] > ranks[1]) - (ranks[0] < ranks[1]);
		assert_int_equal(sign(slice_compare(slices[0], slices[1])), expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_by_bytes),
		cmocka_unit_test(is_ignores_case),
		cmocka_unit_test(starts_with_a_prefix),
		cmocka_unit_test(compares_like_zero_padded_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
