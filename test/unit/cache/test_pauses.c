/*
 * test_pauses: how long a key that fails is left alone, and how many are remembered.
 */
#include "cache/pauses.h"

#include "holdfast/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct pauses *pauses;
static int64_t now_ms;

static int set_up(void **state)
{
	pauses = pauses_new();
	now_ms = 5000000;
	return 0;
}

static int tear_down(void **state)
{
	pauses_free(&pauses);
	return 0;
}

static int64_t left(const char *key)
{
	return pauses_left_ms(pauses, slice_text(key), now_ms);
}

static int64_t fail_key(const char *key, int64_t retry_ms)
{
	return pauses_fail(pauses, slice_text(key), retry_ms, now_ms);
}

static void a_key_that_fails_is_left_alone_and_no_other(void **state)
{
	assert_int_equal(left("a"), 0);
	assert_int_equal(fail_key("a", -1), PAUSES_MS_FIRST);
	assert_int_equal(left("a"), PAUSES_MS_FIRST);
	assert_int_equal(left("b"), 0);
	now_ms += PAUSES_MS_FIRST - 1;
	assert_int_equal(left("a"), 1);
	now_ms++;
	assert_int_equal(left("a"), 0);
}

static void each_further_failure_doubles_it_up_to_a_minute(void **state)
{
	int64_t wanted_ms = PAUSES_MS_FIRST;
	for (int i = 0; i < 12; i++) {
		assert_int_equal(fail_key("a", -1), wanted_ms);
		now_ms += wanted_ms + 10;
		wanted_ms = 2 * wanted_ms < PAUSES_MS_MAX ? 2 * wanted_ms : PAUSES_MS_MAX;
	}
	pauses_end(pauses, slice_text("a"));
	assert_int_equal(left("a"), 0);
	assert_int_equal(fail_key("a", -1), PAUSES_MS_FIRST);
}

static void one_that_was_well_for_long_begins_anew(void **state)
{
	fail_key("a", -1);
	now_ms += PAUSES_MS_FIRST + PAUSES_MS_MAX;
	assert_int_equal(fail_key("a", -1), 2 * PAUSES_MS_FIRST);
	now_ms += 2 * PAUSES_MS_FIRST + PAUSES_MS_MAX + 1;
	assert_int_equal(fail_key("a", -1), PAUSES_MS_FIRST);
}

static void what_the_origin_asks_for_holds_up_to_an_hour(void **state)
{
	assert_int_equal(fail_key("a", 120000), 120000);
	assert_int_equal(fail_key("b", 10), PAUSES_MS_FIRST);
	assert_int_equal(fail_key("c", LIMIT_CACHE_RETRY_MS), LIMIT_CACHE_RETRY_MS);
	assert_int_equal(fail_key("d", LIMIT_CACHE_RETRY_MS + 1), LIMIT_CACHE_RETRY_MS);
	assert_int_equal(LIMIT_CACHE_RETRY_MS, 3600000);
}

static void the_oldest_is_forgotten_when_there_are_too_many(void **state)
{
	char key[32];
	for (int i = 0; i < 3 * LIMIT_CACHE_PAUSES; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		fail_key(key, -1);
		assert_int_equal(
			pauses_count(pauses), i < LIMIT_CACHE_PAUSES ? i + 1 : LIMIT_CACHE_PAUSES);
	}
	for (int i = 0; i < 3 * LIMIT_CACHE_PAUSES; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		assert_int_equal(left(key) > 0, i >= 2 * LIMIT_CACHE_PAUSES);
		pauses_end(pauses, slice_text(key));
	}
	assert_int_equal(pauses_count(pauses), 0);
	fail_key("again", -1);
	assert_int_equal(pauses_count(pauses), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_that_fails_is_left_alone_and_no_other),
		TEST(each_further_failure_doubles_it_up_to_a_minute),
		TEST(one_that_was_well_for_long_begins_anew),
		TEST(what_the_origin_asks_for_holds_up_to_an_hour),
		TEST(the_oldest_is_forgotten_when_there_are_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
