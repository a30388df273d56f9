/*
 * test_random: the generator repeats itself from a seed, keeps its bounds and is even.
 */
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void gives_splitmix64s_published_numbers(void **state)
{
	/* The first outputs of the reference implementation for seed 1234567. */
	struct random random;
	random_seed(&random, 1234567);
	assert_true(random_next(&random) == 6457827717110365317u);
	assert_true(random_next(&random) == 3203168211198807973u);
	assert_true(random_next(&random) == 9817491932198370423u);
}

static void repeats_itself_from_a_seed(void **state)
{
	struct random a, b;
	random_seed(&a, 77);
	random_seed(&b, 77);
	for (int i = 0; i < 1000; i++)
		assert_true(random_next(&a) == random_next(&b));
}

static void stays_below_its_bound_and_is_even(void **state)
{
	struct random random;
	int counts[10] = { 0 };
	random_seed(&random, 4);
	for (int i = 0; i < 100000; i++)
		counts[random_below(&random, 10)]++;
	for (int i = 0; i < 10; i++)
		assert_in_range(counts[i], 9500, 10500);
	for (int i = 0; i < 100; i++)
		assert_int_equal(random_below(&random, 1), 0);
}

static void entropy_fills_all_bytes(void **state)
{
	/* A byte that stayed zero in 64 tries was not written. */
	unsigned char seen[1000] = { 0 }, bytes[1000];
	for (int i = 0; i < 64; i++) {
		memset(bytes, 0, sizeof(bytes));
		random_entropy(bytes, sizeof(bytes));
		for (size_t b = 0; b < sizeof(bytes); b++)
			seen[b] |= bytes[b];
	}
	for (size_t b = 0; b < sizeof(seen); b++)
		assert_int_not_equal(seen[b], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_splitmix64s_published_numbers),
		cmocka_unit_test(repeats_itself_from_a_seed),
		cmocka_unit_test(stays_below_its_bound_and_is_even),
		cmocka_unit_test(entropy_fills_all_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
