/*
 * Rates from readings at given times.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/meter.h"

#define SECOND 1000000000u

static struct meter *meter;

static int set_up(void **state)
{
	meter = meter_new();
	return 0;
}

static int tear_down(void **state)
{
	meter_free(&meter);
	return 0;
}

static int commands_a_second(uint64_t now_ns, uint64_t commands)
{
	uint64_t counters[METER_COUNTERS] = { [METER_COMMANDS] = commands };
	double per_second[METER_COUNTERS];
	meter_read(meter, now_ns, counters, per_second);
	return (int)per_second[METER_COMMANDS];
}

static void gives_the_growth_in_a_second(void **state)
{
	assert_int_equal(commands_a_second(5 * SECOND, 1000), 0);
	assert_int_equal(commands_a_second(7 * SECOND, 1500), 250);
	assert_int_equal(commands_a_second(8 * SECOND, 1600), 100);
}

static void repeats_the_rate_until_a_second_has_gone(void **state)
{
	commands_a_second(5 * SECOND, 1000);
	assert_int_equal(commands_a_second(6 * SECOND, 2000), 1000);
	assert_int_equal(commands_a_second(6 * SECOND + SECOND / 2, 9000), 1000);
	assert_int_equal(commands_a_second(8 * SECOND, 10000), 4000);
}

static void gives_none_after_the_counters_were_reset(void **state)
{
	commands_a_second(5 * SECOND, 1000);
	assert_int_equal(commands_a_second(7 * SECOND, 10), 0);
	assert_int_equal(commands_a_second(8 * SECOND, 60), 50);
}

static void remembers_the_peak(void **state)
{
	assert_int_equal(meter_peak(meter, 5), 5);
	assert_int_equal(meter_peak(meter, 9), 9);
	assert_int_equal(meter_peak(meter, 7), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gives_the_growth_in_a_second, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			repeats_the_rate_until_a_second_has_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			gives_none_after_the_counters_were_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(remembers_the_peak, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
