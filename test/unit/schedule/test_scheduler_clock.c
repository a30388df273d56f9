/*
 * test_scheduler_clock: what recurs when the wall clock is set, forward and back, while the server
 * runs and while it is down.
 */
#include "scheduler_fixture.h"

#define MINUTE_MS 60000ll
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

/* The host looks at the clock at least every second. */
static void set_clock(struct bench *bench, int64_t by_ms)
{
	bench->rig.now_ms += by_ms;
	bench->rig.set_ms += by_ms;
	for (uint16_t i = 0; i < bench->workers; i++)
		bench->worker[i].wanted_ms = 0;
	bench_settle(bench);
}

static struct bench *open_new(uint16_t workers)
{
	struct bench *bench = bench_new(4, workers);
	bench_open(bench);
	bench_settle(bench);
	return bench;
}

static uint32_t runs_within(struct bench *bench, int64_t ms)
{
	uint32_t before = bench->run_count;
	bench_advance(bench, ms);
	return bench->run_count - before;
}

static void an_interval_follows_the_clock_forward_and_back(void **state)
{
	struct bench *bench = open_new(2);
	int64_t start_ms = bench->rig.now_ms;
	bench_schedule(bench, "a", "", 30 * MINUTE_MS, start_ms + 30 * MINUTE_MS);
	bench_settle(bench);
	set_clock(bench, DAY_MS);
	assert_int_equal(bench->run_count, 1);
	set_clock(bench, -DAY_MS);
	assert_int_equal(bench->run_count, 1);
	/* At the times that it had before. */
	assert_int_equal(runs_within(bench, 30 * MINUTE_MS), 1);
	assert_int_equal(bench->runs[1].at_ms, start_ms + 30 * MINUTE_MS);
	assert_int_equal(runs_within(bench, 2 * HOUR_MS), 4);
	assert_int_equal(bench_due_entries(bench), 1);
	bench_free(bench);
}

static void a_cron_line_follows_the_clock_forward_and_back(void **state)
{
	struct bench *bench = open_new(1);
	int64_t hour_ms = (bench->rig.now_ms / HOUR_MS + 1) * HOUR_MS;
	bench_schedule(bench, "a", "0 * * * *", 0, hour_ms);
	bench_settle(bench);
	set_clock(bench, DAY_MS);
	set_clock(bench, -DAY_MS);
	assert_int_equal(bench->run_count, 1);
	bench_advance(bench, hour_ms - bench->rig.now_ms);
	assert_int_equal(bench->run_count, 2);
	assert_int_equal(bench->runs[1].at_ms, hour_ms);
	bench_free(bench);
}

static void a_clock_that_is_set_a_little_changes_nothing(void **state)
{
	struct bench *bench = open_new(1);
	bench_schedule(bench, "a", "", MINUTE_MS, bench->rig.now_ms + MINUTE_MS);
	assert_int_equal(runs_within(bench, MINUTE_MS), 1);
	for (int i = 0; i < 100; i++) {
		set_clock(bench, -900);
		set_clock(bench, 900);
	}
	assert_int_equal(bench->run_count, 1);
	assert_int_equal(runs_within(bench, MINUTE_MS), 1);
	bench_free(bench);
}

static void a_run_that_the_clock_goes_back_under_ends_by_the_new_one(void **state)
{
	struct bench *bench = open_new(1);
	bench_schedule(bench, "a", "", HOUR_MS, bench->rig.now_ms + HOUR_MS);
	bench->waiting = true;
	set_clock(bench, DAY_MS);
	assert_int_equal(bench->run_count, 1);
	set_clock(bench, -DAY_MS);
	bench->waiting = false;
	bench_go_on(bench);
	bench_settle(bench);
	assert_int_equal(runs_within(bench, HOUR_MS), 1);
	bench_free(bench);
}

static void a_retry_does_not_wait_for_another_day(void **state)
{
	struct bench *bench = open_new(1);
	bench->handler = bench_fail_always;
	set_clock(bench, DAY_MS);
	bench_alarm(bench, "a", bench->rig.now_ms + 1000);
	bench_schedule(bench, "b", "0 0 1 1 *", 0, bench->rig.now_ms + 1000);
	bench_advance(bench, 1000);
	assert_int_equal(bench->run_count, 2);
	bench->handler = NULL;
	set_clock(bench, -DAY_MS);
	bench_advance(bench, 5000);
	assert_int_equal(bench->run_count, 4);
	assert_int_equal(bench->runs[2].tries, 1);
	bench_free(bench);
}

static void an_alarm_keeps_the_time_that_was_set(void **state)
{
	struct bench *bench = open_new(1);
	int64_t at_ms = bench->rig.now_ms + 3 * DAY_MS;
	bench_alarm(bench, "a", at_ms);
	bench_settle(bench);
	set_clock(bench, DAY_MS);
	set_clock(bench, -DAY_MS);
	assert_int_equal(runs_within(bench, at_ms - bench->rig.now_ms - 1), 0);
	assert_int_equal(runs_within(bench, 1), 1);
	bench_free(bench);
}

static void a_wake_that_waits_for_its_class_does_not_wait_for_another_day(void **state)
{
	struct bench *bench = open_new(1);
	bench_do(bench, &bench_put, "a", "k", "v");
	bench->class_missing = true;
	set_clock(bench, DAY_MS);
	char kind[24], at[24];
	struct buffer packed;
	buffer_init(&packed);
	packed_add_table(&packed, 0, 0);
	buffer_append(&packed, "", 1);
	bench_do(bench, &bench_file, "a", bench_text(kind, DUE_WAKE),
		bench_text(at, bench->rig.now_ms), "tick", BENCH_WORDS);
	buffer_fini(&packed);
	bench_settle(bench);
	assert_int_equal(bench->run_count, 1);
	set_clock(bench, -DAY_MS);
	bench->class_missing = false;
	assert_int_equal(runs_within(bench, MINUTE_MS), 1);
	assert_int_equal(bench_due_entries(bench), 0);
	bench_free(bench);
}

static void a_clock_that_went_back_while_the_server_was_down_is_noticed(void **state)
{
	struct bench *bench = open_new(1);
	int64_t start_ms = bench->rig.now_ms;
	bench_schedule(bench, "a", "", HOUR_MS, start_ms + HOUR_MS);
	bench_settle(bench);
	set_clock(bench, DAY_MS);
	assert_int_equal(bench->run_count, 1);
	engine_rig_settle(&bench->rig);
	bench_close(bench, true);
	bench->rig.now_ms -= DAY_MS;
	bench->rig.set_ms -= DAY_MS;
	bench_open(bench);
	bench_settle(bench);
	assert_int_equal(runs_within(bench, HOUR_MS), 1);
	assert_int_equal(bench->runs[1].at_ms, start_ms + HOUR_MS);
	bench_free(bench);
}

static void many_are_looked_at_some_at_a_time(void **state)
{
	struct bench *bench = open_new(2);
	char id[ENGINE_RIG_KEY_BYTES];
	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "object %d", i);
		bench_schedule(bench, id, "", HOUR_MS, bench->rig.now_ms + HOUR_MS - i);
		if (i % 3 == 0)
			bench_alarm(bench, id, bench->rig.now_ms + 40 * DAY_MS);
	}
	bench_settle(bench);
	set_clock(bench, DAY_MS);
	assert_int_equal(bench->run_count, 1000);
	set_clock(bench, -DAY_MS);
	assert_int_equal(runs_within(bench, HOUR_MS), 1000);
	assert_int_equal(bench_due_entries(bench), 1334);
	bench_free(bench);
}

/* The clock goes wherever it likes; there is always exactly one entry, and never too far away. */
static void wherever_the_clock_goes_a_schedule_is_never_further_than_its_interval(void **state)
{
	struct bench *bench = open_new(1);
	struct random random;
	random_seed(&random, 21);
	bench_schedule(bench, "a", "", HOUR_MS, bench->rig.now_ms + HOUR_MS);
	bench_schedule(bench, "b", "30 * * * *", 0, bench->rig.now_ms + HOUR_MS);
	for (int i = 0; i < 300; i++) {
		int64_t by_ms = (int64_t)random_below(&random, (uint64_t)(4 * DAY_MS));
		set_clock(bench, random_below(&random, 2) ? by_ms : -by_ms);
		if (random_below(&random, 2))
			bench_advance(bench, (int64_t)random_below(&random, (uint64_t)HOUR_MS));
		assert_int_equal(bench_due_entries(bench), 2);
		int64_t wanted_ms = bench_wanted_ms(bench);
		assert_true(wanted_ms <= bench->rig.now_ms + HOUR_MS);
	}
	bench->run_count = 0;
	assert_int_equal(runs_within(bench, 2 * HOUR_MS), 4);
	bench_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_interval_follows_the_clock_forward_and_back),
		cmocka_unit_test(a_cron_line_follows_the_clock_forward_and_back),
		cmocka_unit_test(a_clock_that_is_set_a_little_changes_nothing),
		cmocka_unit_test(a_run_that_the_clock_goes_back_under_ends_by_the_new_one),
		cmocka_unit_test(a_retry_does_not_wait_for_another_day),
		cmocka_unit_test(an_alarm_keeps_the_time_that_was_set),
		cmocka_unit_test(a_wake_that_waits_for_its_class_does_not_wait_for_another_day),
		cmocka_unit_test(a_clock_that_went_back_while_the_server_was_down_is_noticed),
		cmocka_unit_test(many_are_looked_at_some_at_a_time),
		cmocka_unit_test(
			wherever_the_clock_goes_a_schedule_is_never_further_than_its_interval),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
