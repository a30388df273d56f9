/*
 * test_breaker: when a source is left alone, how long, and who tries it meanwhile.
 */
#include "base/random.h"
#include "cache/breaker.h"
#include "holdfast/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TRIES 200000

static struct breaker breaker;
static int64_t now_ms;

static int set_up(void **state)
{
	breaker = (struct breaker){ 0 };
	now_ms = 1000000;
	return 0;
}

static bool note(enum breaker_result result)
{
	return breaker_note(&breaker, false, result, -1, now_ms);
}

static void is_admitted(enum breaker_admission wanted, int64_t wanted_retry_ms)
{
	int64_t retry_ms = -1;
	assert_int_equal(breaker_admit(&breaker, now_ms, &retry_ms), wanted);
	if (wanted == BREAKER_WAIT)
		assert_int_equal(retry_ms, wanted_retry_ms);
}

/* So many of each, by turns as far as they go. */
static void note_all(int answered, int failed)
{
	while (answered + failed > 0) {
		if (answered-- > 0)
			note(BREAKER_ANSWERED);
		else
			answered = 0;
		if (failed-- > 0)
			note(BREAKER_FAILED);
		else
			failed = 0;
	}
}

static void one_that_fails_among_many_opens_nothing(void **state)
{
	for (int i = 0; i < 1000; i++) {
		assert_false(note(i % 2 ? BREAKER_FAILED : BREAKER_ANSWERED));
		is_admitted(BREAKER_ASK, 0);
		now_ms += 10;
	}
}

static void it_opens_when_more_than_half_has_failed(void **state)
{
	note_all(5, 5);
	is_admitted(BREAKER_ASK, 0);
	assert_true(note(BREAKER_FAILED));
	is_admitted(BREAKER_WAIT, BREAKER_PAUSE_MS_FIRST);
	now_ms += BREAKER_PAUSE_MS_FIRST - 1;
	is_admitted(BREAKER_WAIT, 1);
}

static void a_few_failures_alone_open_nothing(void **state)
{
	for (int i = 1; i < BREAKER_ASKED_LEAST; i++)
		assert_false(note(BREAKER_FAILED));
	is_admitted(BREAKER_ASK, 0);
	assert_true(note(BREAKER_FAILED));
}

static void what_is_long_ago_does_not_count(void **state)
{
	for (int i = 1; i < BREAKER_ASKED_LEAST; i++)
		note(BREAKER_FAILED);
	now_ms += 2 * BREAKER_WINDOW_MS;
	assert_false(note(BREAKER_FAILED));
	/* The window before still counts. */
	for (int i = 2; i < BREAKER_ASKED_LEAST; i++)
		note(BREAKER_FAILED);
	now_ms += BREAKER_WINDOW_MS;
	assert_true(note(BREAKER_FAILED));
}

static void no_connection_opens_at_once_and_any_answer_closes(void **state)
{
	note_all(100, 0);
	assert_true(note(BREAKER_UNREACHABLE));
	is_admitted(BREAKER_WAIT, BREAKER_PAUSE_MS_FIRST);
	now_ms += BREAKER_PAUSE_MS_FIRST;
	is_admitted(BREAKER_PROBE, 0);
	assert_true(breaker_note(&breaker, true, BREAKER_FAILED, -1, now_ms));
	is_admitted(BREAKER_ASK, 0);
}

static void one_probe_at_a_time_goes_through(void **state)
{
	note(BREAKER_UNREACHABLE);
	now_ms += BREAKER_PAUSE_MS_FIRST;
	is_admitted(BREAKER_PROBE, 0);
	is_admitted(BREAKER_WAIT, BREAKER_PROBE_MS);
	now_ms += 10;
	is_admitted(BREAKER_WAIT, BREAKER_PROBE_MS - 10);
	/* One that does not come back keeps nobody for long. */
	now_ms += BREAKER_PROBE_MS - 10;
	is_admitted(BREAKER_PROBE, 0);
	assert_true(breaker_note(&breaker, true, BREAKER_ANSWERED, -1, now_ms));
	is_admitted(BREAKER_ASK, 0);
}

static void pauses_double_up_to_a_minute_while_probes_fail(void **state)
{
	int64_t pause_ms = BREAKER_PAUSE_MS_FIRST;
	note_all(0, BREAKER_ASKED_LEAST);
	for (int i = 0; i < 10; i++) {
		is_admitted(BREAKER_WAIT, pause_ms);
		now_ms += pause_ms;
		is_admitted(BREAKER_PROBE, 0);
		assert_false(breaker_note(&breaker, true, BREAKER_FAILED, -1, now_ms));
		pause_ms =
			2 * pause_ms < BREAKER_PAUSE_MS_MAX ? 2 * pause_ms : BREAKER_PAUSE_MS_MAX;
	}
	assert_int_equal(breaker_left_ms(&breaker, now_ms), BREAKER_PAUSE_MS_MAX);
}

static void who_was_asked_before_it_opened_neither_opens_nor_closes_it(void **state)
{
	note_all(0, BREAKER_ASKED_LEAST);
	for (int i = 0; i < 100; i++) {
		assert_false(note(BREAKER_ANSWERED));
		assert_false(note(BREAKER_FAILED));
	}
	is_admitted(BREAKER_WAIT, BREAKER_PAUSE_MS_FIRST);
}

static void what_fails_again_soon_is_left_alone_for_longer(void **state)
{
	for (int64_t pause_ms = BREAKER_PAUSE_MS_FIRST; pause_ms <= 8000; pause_ms *= 2) {
		note_all(0, BREAKER_ASKED_LEAST);
		is_admitted(BREAKER_WAIT, pause_ms);
		now_ms += pause_ms;
		is_admitted(BREAKER_PROBE, 0);
		breaker_note(&breaker, true, BREAKER_ANSWERED, -1, now_ms);
	}
	now_ms += BREAKER_PAUSE_MS_MAX;
	note_all(0, BREAKER_ASKED_LEAST);
	is_admitted(BREAKER_WAIT, BREAKER_PAUSE_MS_FIRST);
}

static void a_source_that_says_when_is_left_alone_as_long_up_to_an_hour(void **state)
{
	for (int i = 1; i < BREAKER_ASKED_LEAST; i++)
		breaker_note(&breaker, false, BREAKER_FAILED, i == 3 ? 120000 : -1, now_ms);
	is_admitted(BREAKER_ASK, 0);
	now_ms += 5000;
	note(BREAKER_FAILED);
	is_admitted(BREAKER_WAIT, 115000);
	now_ms += 115000;
	is_admitted(BREAKER_PROBE, 0);
	breaker_note(&breaker, true, BREAKER_FAILED, 86400000, now_ms);
	is_admitted(BREAKER_WAIT, LIMIT_CACHE_RETRY_MS);
}

/* Whatever comes in whatever order: while it is open nobody but a probe asks, a probe goes at least
 * once in the longest pause, and what answers always is never open for longer than that. */
static void any_order_of_results_keeps_to_the_rules(void **state)
{
	struct random random;
	bool probing = false;
	int64_t retry_ms, probed_ms = now_ms;
	random_seed(&random, 11);
	for (int i = 0; i < TRIES; i++) {
		now_ms += (int64_t)random_below(&random, 300);
		enum breaker_admission admission = breaker_admit(&breaker, now_ms, &retry_ms);
		assert_int_equal(admission == BREAKER_ASK, !breaker.is_open);
		if (admission == BREAKER_WAIT)
			assert_in_range(retry_ms, 1, BREAKER_PAUSE_MS_MAX);
		if (admission != BREAKER_WAIT)
			probed_ms = now_ms;
		assert_true(now_ms - probed_ms <= BREAKER_PAUSE_MS_MAX + 300);
		probing |= admission == BREAKER_PROBE;
		bool probe = probing && random_below(&random, 2);
		enum breaker_result result = (enum breaker_result)random_below(&random, 3);
		if (random_below(&random, 3) && result == BREAKER_UNREACHABLE)
			result = BREAKER_ANSWERED;
		bool was_open = breaker.is_open;
		bool changed = breaker_note(&breaker, probe, result, -1, now_ms);
		assert_int_equal(changed, was_open != breaker.is_open);
		if (was_open && !breaker.is_open)
			assert_true(probe && result != BREAKER_UNREACHABLE);
		probing &= !probe;
		if (probe)
			probed_ms = now_ms;
	}
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_fails_among_many_opens_nothing),
		TEST(it_opens_when_more_than_half_has_failed),
		TEST(a_few_failures_alone_open_nothing),
		TEST(what_is_long_ago_does_not_count),
		TEST(no_connection_opens_at_once_and_any_answer_closes),
		TEST(one_probe_at_a_time_goes_through),
		TEST(pauses_double_up_to_a_minute_while_probes_fail),
		TEST(who_was_asked_before_it_opened_neither_opens_nor_closes_it),
		TEST(what_fails_again_soon_is_left_alone_for_longer),
		TEST(a_source_that_says_when_is_left_alone_as_long_up_to_an_hour),
		TEST(any_order_of_results_keeps_to_the_rules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
