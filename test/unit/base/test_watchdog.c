/*
 * test_watchdog: what runs is warned, leaves, or is cut off in the midst of a library, and goes on
 * when it is not in there or holds something. The library is the C library, whose memchr looks for
 * what is not there.
 */
#include "base/watchdog.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_NS UINT64_C(1000000000)

struct run {
	struct watchdog watchdog;
	volatile int warned;
	volatile int looked;
	volatile int steps;
	bool holds;
};

static char zeros[1 << 20];

static void on_warning(void *context)
{
	struct run *run = context;
	run->warned++;
}

static enum watchdog_end watch(struct run *run, uint64_t over_at_ns, void (*function)(void *))
{
	return watchdog_run(&run->watchdog, over_at_ns, on_warning, function, run);
}

static uint64_t soon(void)
{
	return clock_monotonic_ns(clock_system()) + SECOND_NS / 100;
}

static void return_at_once(void *context)
{
	struct run *run = context;
	assert_true(watchdog_runs(&run->watchdog));
}

static void leave_when_warned(void *context)
{
	struct run *run = context;
	while (!run->warned)
		run->looked++;
	watchdog_leave(&run->watchdog);
}

static void leave_at_once(void *context)
{
	struct run *run = context;
	watchdog_leave(&run->watchdog);
}

/* Hardly ever anywhere but in the library. */
static void stay_in_library(void *context)
{
	struct run *run = context;
	while (memchr(zeros, 1, sizeof(zeros)) == NULL)
		run->steps++;
}

/* Never in the library; ends long after it would have been cut off. */
static void stay_out_of_library(void *context)
{
	struct run *run = context;
	while (!run->warned)
		run->looked++;
	for (volatile uint64_t i = 0; i < 200000000; i++)
		run->steps = 1;
}

/* In the library, but with something in its hands. */
static void hold_in_library(void *context)
{
	struct run *run = context;
	watchdog_hold(&run->watchdog);
	while (!run->warned)
		run->looked++;
	for (int i = 0; i < 20000; i++)
		run->steps += memchr(zeros, 1, sizeof(zeros)) == NULL;
	watchdog_release(&run->watchdog);
	run->holds = false;
	stay_in_library(run);
}

/* The thread sanitizer delivers signals when the thread next calls something of its own: nothing
 * here does. */
static void needs_signals(void)
{
#ifdef __SANITIZE_THREAD__
	print_message("the thread sanitizer delivers no signals within a loop\n");
	skip();
#endif
}

static void tells_how_a_run_ends(void **state)
{
	struct run run = { .warned = 0 };
	assert_int_equal(watch(&run, UINT64_MAX, return_at_once), WATCHDOG_DONE);
	assert_false(watchdog_runs(&run.watchdog));
	assert_int_equal(watch(&run, UINT64_MAX, leave_at_once), WATCHDOG_LEFT);
	assert_false(watchdog_runs(&run.watchdog));
	assert_int_equal(watch(&run, soon() + 60 * SECOND_NS, return_at_once), WATCHDOG_DONE);
	assert_int_equal(run.warned, 0);
}

static void warns_each_run_whose_time_is_over(void **state)
{
	needs_signals();
	struct run run = { .warned = 0 };
	for (int i = 0; i < 3; i++) {
		run.warned = 0;
		assert_int_equal(watch(&run, soon(), leave_when_warned), WATCHDOG_LEFT);
		assert_int_equal(run.warned, 1);
	}
	/* The timer may still be set for an earlier run: that one's time is not this one's. */
	run.warned = 0;
	assert_int_equal(watch(&run, soon(), return_at_once), WATCHDOG_DONE);
	uint64_t at_ns = soon() + SECOND_NS / 10;
	assert_int_equal(watch(&run, at_ns, leave_when_warned), WATCHDOG_LEFT);
	assert_true(clock_monotonic_ns(clock_system()) >= at_ns);
}

static void cuts_off_what_does_not_leave(void **state)
{
	needs_signals();
	struct run run = { .warned = 0 };
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(watch(&run, soon(), stay_in_library), WATCHDOG_CUT);
		assert_int_equal(run.warned, i);
		assert_true(run.steps > 0);
		assert_false(watchdog_runs(&run.watchdog));
	}
}

static void cuts_nothing_outside_of_the_library(void **state)
{
	needs_signals();
	struct run run = { .warned = 0 };
	assert_int_equal(watch(&run, soon(), stay_out_of_library), WATCHDOG_DONE);
	assert_int_equal(run.warned, 1);
}

static void cuts_nobody_who_holds_something(void **state)
{
	needs_signals();
	struct run run = { .warned = 0, .holds = true };
	assert_int_equal(watch(&run, soon(), hold_in_library), WATCHDOG_CUT);
	assert_false(run.holds);
	assert_true(run.steps >= 20000);
}

static void expire_and_stay(void *context)
{
	struct run *run = context;
	watchdog_expire(&run->watchdog);
	stay_in_library(run);
}

static void can_be_told_that_time_is_over(void **state)
{
	needs_signals();
	struct run run = { .warned = 0 };
	assert_int_equal(watch(&run, UINT64_MAX, expire_and_stay), WATCHDOG_CUT);
	assert_int_equal(run.warned, 1);
}

static void wait_for_something(void *context)
{
	struct run *run = context;
	while (!run->warned)
		usleep(1000);
	watchdog_leave(&run->watchdog);
}

/* It hardly uses the processor, but keeps the thread. */
static void warns_who_waits_too_long(void **state)
{
	needs_signals();
	struct run run = { .warned = 0 };
	uint64_t over_at_ns = soon();
	assert_int_equal(watch(&run, over_at_ns, wait_for_something), WATCHDOG_LEFT);
	assert_true(clock_monotonic_ns(clock_system()) >= over_at_ns + WATCHDOG_GRACE_NS);
}

static void *watch_in_a_thread(void *context)
{
	struct run run = { .warned = 0 };
	int *cut = context;
	*cut = watch(&run, soon(), stay_in_library) == WATCHDOG_CUT && run.warned == 1;
	return NULL;
}

static void watches_each_thread(void **state)
{
	needs_signals();
	pthread_t threads[4];
	int cut[4] = { 0 };
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, watch_in_a_thread, &cut[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_true(cut[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_how_a_run_ends),
		cmocka_unit_test(warns_each_run_whose_time_is_over),
		cmocka_unit_test(cuts_off_what_does_not_leave),
		cmocka_unit_test(cuts_nothing_outside_of_the_library),
		cmocka_unit_test(cuts_nobody_who_holds_something),
		cmocka_unit_test(can_be_told_that_time_is_over),
		cmocka_unit_test(warns_who_waits_too_long),
		cmocka_unit_test(watches_each_thread),
	};
	void *(*volatile function)(const void *, int, size_t) =
		(void *(*)(const void *, int, size_t))memchr;
	watchdog_may_cut((const void *)(uintptr_t)function);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
