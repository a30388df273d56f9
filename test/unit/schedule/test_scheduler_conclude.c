/*
 * What becomes of alarms and schedules when their runs have ended, on an engine whose time is the
 * test's, with a handler of the test's in place of classes (scheduler_fixture.h). Every number of
 * milliseconds here is exact: the bench runs at the times that were asked for, and never in
 * between.
 */
#include "scheduler_fixture.h"

#define SHARDS 4

static int set_up(void **state)
{
	*state = bench_new(SHARDS, 1);
	bench_open(*state);
	return 0;
}

static int tear_down(void **state)
{
	bench_free(*state);
	return 0;
}

/* --- alarms ----------------------------------------------------------------------------------- */

static void a_failing_alarm_is_tried_again_by_the_table_and_given_up(void **state)
{
	struct bench *bench = *state;
	bench->handler = bench_fail_always;
	int64_t set_ms = bench->rig.now_ms + 10;
	bench_alarm(bench, "a", set_ms);
	bench_advance(bench, 1000000);
	assert_int_equal(bench->run_count, 7);
	int64_t jitter_ms = 0;
	for (uint32_t i = 0; i < 7; i++) {
		assert_int_equal(bench->runs[i].tries, i);
		assert_int_equal(bench->runs[i].scheduled_ms, set_ms);
		if (i == 0)
			continue;
		int64_t delay_ms = bench->runs[i].at_ms - bench->runs[i - 1].at_ms;
		int64_t least_ms = 1000ll << i;
		assert_in_range(delay_ms, least_ms, least_ms + least_ms / 4);
		jitter_ms += delay_ms - least_ms;
	}
	assert_true(jitter_ms > 0);
	struct bench_failed failed;
	assert_int_equal(bench_failed(bench, &failed), 1);
	assert_int_equal(failed.kind, DUE_ALARM);
	assert_string_equal(failed.error, "CLASSERR Thing.alarm: no");
	assert_int_equal(failed.tries, 7);
	assert_int_equal(failed.scheduled_ms, set_ms);
	assert_int_equal(failed.given_up_ms, bench->runs[6].at_ms);
	assert_int_equal(failed.expire_ms, failed.given_up_ms + LIMIT_FAILED_LIFE_MS);
	assert_int_equal(bench_due_entries(bench), 0);
	/* Failed turns leave nothing, so the object is no more. */
	assert_int_equal(bench_walk(bench, TABLE_OBJECT, NULL, NULL), 0);
	assert_int_equal(bench_walk(bench, TABLE_PART, NULL, NULL), 0);
}

static enum job_outcome fail_three_times(struct bench *bench, struct storage *storage,
	const struct objects_job *job, const char **error)
{
	*error = "no";
	return job->tries < 3 ? JOB_FAILED : JOB_DONE;
}

static void an_alarm_that_succeeds_at_last_is_done(void **state)
{
	struct bench *bench = *state;
	struct bench_failed failed;
	bench->handler = fail_three_times;
	bench_alarm(bench, "a", bench->rig.now_ms);
	bench_advance(bench, 1000000);
	assert_int_equal(bench->run_count, 4);
	assert_int_equal(bench_failed(bench, &failed), 0);
	assert_int_equal(bench_due_entries(bench), 0);
	/* The next one counts anew. */
	bench_alarm(bench, "a", bench->rig.now_ms);
	bench_settle(bench);
	assert_int_equal(bench->runs[4].tries, 0);
}

static enum job_outcome set_again(struct bench *bench, struct storage *storage,
	const struct objects_job *job, const char **error)
{
	if (bench->run_count == 1)
		storage_set_alarm(storage, *(int64_t *)bench->context);
	return JOB_DONE;
}

static void an_alarm_set_in_the_handler_stays(void **state)
{
	struct bench *bench = *state;
	int64_t at_ms = bench->rig.now_ms + 100, again_ms = at_ms + 50;
	bench->context = &again_ms;
	bench->handler = set_again;
	bench_alarm(bench, "a", at_ms);
	bench_advance(bench, 1000);
	assert_int_equal(bench->run_count, 2);
	assert_int_equal(bench->runs[1].at_ms, again_ms);
	assert_int_equal(bench_due_entries(bench), 0);
}

static void an_alarm_set_in_the_handler_to_the_same_time_stays(void **state)
{
	struct bench *bench = *state;
	int64_t at_ms = bench->rig.now_ms + 100;
	bench->context = &at_ms;
	bench->handler = set_again;
	bench_alarm(bench, "a", at_ms);
	bench_advance(bench, 1000);
	assert_int_equal(bench->run_count, 2);
	assert_int_equal(bench->runs[1].at_ms, at_ms);
	assert_int_equal(bench_due_entries(bench), 0);
}

static void an_alarm_set_while_the_handler_waits_wins_over_its_retry(void **state)
{
	struct bench *bench = *state;
	static const int64_t after_ms[] = { 0, 5000 };
	for (int same = 0; same < 2; same++) {
		int64_t now_ms = bench->rig.now_ms;
		bench->run_count = 0;
		bench->waiting = true;
		bench_alarm(bench, "a", now_ms);
		bench_settle(bench);
		assert_int_equal(bench->under_way, 1);
		bench->waiting = false;
		/* At the same millisecond its entry has the very key of the one that runs. */
		bench_alarm(bench, "a", now_ms + after_ms[same]);
		bench_settle(bench);
		assert_int_equal(bench->run_count, 1);
		bench->handler = bench_fail_always;
		bench_go_on(bench);
		bench->handler = NULL;
		bench_advance(bench, 100000);
		assert_int_equal(bench->run_count, 2);
		assert_int_equal(bench->runs[1].at_ms, now_ms + after_ms[same]);
		assert_int_equal(bench->runs[1].tries, 0);
		assert_int_equal(bench_due_entries(bench), 0);
	}
}

static void an_alarm_deleted_while_the_handler_waits_is_gone(void **state)
{
	struct bench *bench = *state;
	bench->waiting = true;
	bench->handler = bench_fail_always;
	bench_alarm(bench, "a", bench->rig.now_ms);
	bench_settle(bench);
	bench_do(bench, &bench_delete_alarm, "a");
	bench_go_on(bench);
	bench_advance(bench, 1000000);
	assert_int_equal(bench->run_count, 1);
	assert_int_equal(bench_due_entries(bench), 0);
}

static void an_alarm_that_runs_by_hand_is_settled_wherever_its_entry_stands(void **state)
{
	struct bench *bench = *state;
	struct request *request = request_take(&bench->rig.engine->ports[0].pool);
	struct changes *changes = &request->turn.changes;
	struct turn *turn = &request->turn;
	turn->now_ms = bench->rig.now_ms;
	turn->stores = bench->rig.engine->stores;
	turn->shard_total = SHARDS;
	turn->engine = bench->rig.engine;
	struct object_name name = bench_name(slice_text("a"));
	struct storage storage;
	changes_init(changes, &request->arena);
	storage_open(&storage, turn, &name);
	storage_set_alarm(&storage, turn->now_ms + 5000);
	struct objects_job job = { .due = { DUE_ALARM, turn->now_ms + 5000, name, { "", 0 } } };
	assert_true(scheduler_begin(&storage, &job));
	assert_int_equal(job.scheduled_ms, turn->now_ms + 5000);
	storage_retry_alarm(&storage, turn->now_ms + 900000, 0, slice_of(NULL, 0));
	scheduler_conclude(bench_scheduler(bench), &storage, &job, JOB_DONE, NULL);
	assert_int_equal(storage.record.alarm_ms, 0);
	storage_close(&storage);
	for (uint32_t i = 0; i < changes->count; i++)
		assert_int_equal(changes->effects[i].kind, EFFECT_DELETE);
	request_put(&bench->rig.engine->ports[0].pool, &request);
}

static void without_its_class_an_alarm_waits_uncounted(void **state)
{
	struct bench *bench = *state;
	struct bench_failed failed;
	int64_t at_ms = bench->rig.now_ms;
	bench->class_missing = true;
	bench_alarm(bench, "a", at_ms);
	bench_advance(bench, 600000 - 1);
	assert_int_equal(bench->run_count, 10);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(bench->runs[i].at_ms, at_ms + 60000 * i);
		assert_int_equal(bench->runs[i].tries, 0);
		assert_int_equal(bench->runs[i].scheduled_ms, at_ms);
	}
	bench->class_missing = false;
	bench_advance(bench, 60000);
	assert_int_equal(bench->run_count, 11);
	assert_int_equal(bench_due_entries(bench), 0);
	assert_int_equal(bench_failed(bench, &failed), 0);
}

static enum job_outcome no_method(struct bench *bench, struct storage *storage,
	const struct objects_job *job, const char **error)
{
	*error = "NOMETHOD Thing has no method";
	return JOB_NO_METHOD;
}

static void without_its_method_an_alarm_is_given_up_at_once(void **state)
{
	struct bench *bench = *state;
	struct bench_failed failed;
	bench->handler = no_method;
	bench_alarm(bench, "a", bench->rig.now_ms);
	bench_advance(bench, 1000000);
	assert_int_equal(bench->run_count, 1);
	assert_int_equal(bench_failed(bench, &failed), 1);
	assert_string_equal(failed.error, "NOMETHOD Thing has no method");
	assert_int_equal(failed.tries, 1);
	assert_int_equal(bench_due_entries(bench), 0);
	/* It is not remembered for ever. */
	bench_advance(bench, LIMIT_FAILED_LIFE_MS);
	assert_int_equal(bench_failed(bench, &failed), 0);
}

static void entries_that_no_longer_hold_are_cleared_away(void **state)
{
	struct bench *bench = *state;
	char past[24], now[24];
	bench_text(past, bench->rig.now_ms - 70);
	bench_text(now, bench->rig.now_ms);
	bench_settle(bench);
	bench_do(bench, &bench_file, "a", "1", past, "", "");     /* an alarm that nobody has set */
	bench_do(bench, &bench_file, "b", "2", past, "poll", ""); /* a schedule that is not there */
	bench_do(bench, &bench_file, "c", "3", past, "tick", ""); /* a call of what is no more */
	bench_do(bench, &bench_file, "d", "4", past, "", "");
	bench_do(bench, &bench_file, "e", "5", past, "", "");
	bench_alarm(bench, "f", bench->rig.now_ms + 500); /* another time than the entry says */
	bench_do(bench, &bench_file, "f", "1", now, "", "");
	bench_settle(bench);
	assert_int_equal(bench->run_count, 0);
	assert_int_equal(bench->stale, 4);
	assert_int_equal(bench_due_entries(bench), 1);
	bench_advance(bench, 500);
	assert_int_equal(bench->run_count, 1);
	assert_int_equal(bench_due_entries(bench), 0);
}

/* --- schedules -------------------------------------------------------------------------------- */

static void a_schedule_keeps_its_beat(void **state)
{
	struct bench *bench = *state;
	int64_t start_ms = bench->rig.now_ms;
	bench_schedule(bench, "a", "", 1000, start_ms + 1000);
	bench_advance(bench, 10000);
	assert_int_equal(bench->run_count, 10);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(bench->runs[i].at_ms, start_ms + 1000 * (i + 1));
		assert_int_equal(bench->runs[i].scheduled_ms, bench->runs[i].at_ms);
		assert_string_equal(bench->runs[i].method, "tick");
		assert_string_equal(bench->runs[i].argument, BENCH_WORDS);
	}
	assert_int_equal(bench_due_entries(bench), 1);
}

static void a_run_that_takes_longer_than_the_beat_leaves_beats_out(void **state)
{
	struct bench *bench = *state;
	int64_t start_ms = bench->rig.now_ms;
	bench->waiting = true;
	bench_schedule(bench, "a", "", 1000, start_ms);
	bench_settle(bench);
	bench_advance(bench, 3500);
	assert_int_equal(bench->run_count, 1);
	bench->waiting = false;
	bench_go_on(bench);
	bench_advance(bench, 500);
	assert_int_equal(bench->run_count, 2);
	assert_int_equal(bench->runs[1].at_ms, start_ms + 4000);
}

static void a_schedule_makes_up_for_a_long_downtime_once(void **state)
{
	struct bench *bench = *state;
	int64_t start_ms = bench->rig.now_ms;
	bench_schedule(bench, "a", "", 1000, start_ms + 1000);
	bench_settle(bench);
	bench_close(bench, true);
	bench->rig.now_ms = start_ms + 100500;
	bench_open(bench);
	bench_settle(bench);
	assert_int_equal(bench->run_count, 1);
	assert_int_equal(bench->runs[0].scheduled_ms, start_ms + 1000);
	bench_advance(bench, 500);
	assert_int_equal(bench->run_count, 2);
	assert_int_equal(bench->runs[1].at_ms, start_ms + 101000);
}

static void a_schedule_by_cron_runs_at_the_times_of_its_line(void **state)
{
	struct bench *bench = *state;
	int64_t minute_ms = 60000, start_ms = bench->rig.now_ms;
	int64_t first_ms = (start_ms / (15 * minute_ms) + 1) * 15 * minute_ms;
	bench_schedule(bench, "a", "*/15 * * * *", 0, first_ms);
	bench_advance(bench, 120 * minute_ms);
	assert_int_equal(bench->run_count, 8);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(bench->runs[i].at_ms, first_ms + 15 * minute_ms * i);
}

static void a_failing_schedule_is_tried_again_and_goes_on(void **state)
{
	struct bench *bench = *state;
	struct bench_failed failed;
	int64_t start_ms = bench->rig.now_ms;
	bench->handler = bench_fail_always;
	bench_schedule(bench, "a", "", 10000, start_ms);
	bench_advance(bench, 9999);
	/* At 0, after 2 s, after 4 s more; the next retry would be beyond the beat. */
	assert_int_equal(bench->run_count, 3);
	assert_in_range(bench->runs[1].at_ms - start_ms, 2000, 2500);
	assert_in_range(bench->runs[2].at_ms - bench->runs[1].at_ms, 4000, 5000);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(bench->runs[i].tries, i);
		assert_int_equal(bench->runs[i].scheduled_ms, start_ms);
	}
	assert_int_equal(bench_failed(bench, &failed), 1);
	assert_int_equal(failed.kind, DUE_SCHEDULE);
	assert_int_equal(failed.tries, 3);
	assert_int_equal(failed.scheduled_ms, start_ms);
	bench->handler = NULL;
	bench_advance(bench, 10001);
	assert_int_equal(bench->run_count, 5);
	assert_int_equal(bench->runs[3].at_ms, start_ms + 10000);
	assert_int_equal(bench->runs[3].tries, 0);
	assert_int_equal(bench->runs[4].at_ms, start_ms + 20000);
}

static void a_schedule_with_a_long_beat_has_all_its_retries(void **state)
{
	struct bench *bench = *state;
	struct bench_failed failed;
	int64_t start_ms = bench->rig.now_ms, day_ms = 86400000;
	bench->handler = bench_fail_always;
	bench_schedule(bench, "a", "", day_ms, start_ms);
	bench_advance(bench, day_ms - 1);
	assert_int_equal(bench->run_count, 7);
	assert_int_equal(bench_failed(bench, &failed), 1);
	assert_int_equal(failed.tries, 7);
	bench_advance(bench, 1);
	assert_int_equal(bench->run_count, 8);
	assert_int_equal(bench->runs[7].at_ms, start_ms + day_ms);
}

static void a_schedule_without_class_or_method_goes_on(void **state)
{
	struct bench *bench = *state;
	struct bench_failed failed;
	int64_t start_ms = bench->rig.now_ms;
	bench->class_missing = true;
	bench_schedule(bench, "a", "", 600000, start_ms);
	bench_advance(bench, 100000);
	assert_int_equal(bench->run_count, 2);
	assert_int_equal(bench_failed(bench, &failed), 0);
	bench->class_missing = false;
	bench->handler = no_method;
	bench_advance(bench, 400000);
	assert_int_equal(bench->run_count, 3);
	assert_int_equal(bench->runs[2].scheduled_ms, start_ms);
	assert_int_equal(bench_failed(bench, &failed), 1);
	bench->handler = NULL;
	bench_advance(bench, 100000);
	assert_int_equal(bench->run_count, 4);
	assert_int_equal(bench->runs[3].at_ms, start_ms + 600000);
}

static void a_schedule_changed_during_its_run_stays_as_changed(void **state)
{
	struct bench *bench = *state;
	int64_t start_ms = bench->rig.now_ms;
	bench->waiting = true;
	bench_schedule(bench, "a", "", 1000, start_ms);
	bench_settle(bench);
	bench->waiting = false;
	bench_schedule(bench, "a", "", 7000, start_ms + 7000);
	bench_go_on(bench);
	bench_advance(bench, 14000);
	assert_int_equal(bench->run_count, 3);
	assert_int_equal(bench->runs[1].at_ms, start_ms + 7000);
	assert_int_equal(bench->runs[2].at_ms, start_ms + 14000);
	assert_int_equal(bench_due_entries(bench), 1);
}

static void a_schedule_set_anew_for_the_time_of_its_retry_runs_then(void **state)
{
	struct bench *bench = *state;
	int64_t start_ms = bench->rig.now_ms;
	bench->handler = bench_fail_always;
	bench_schedule(bench, "a", "", 60000, start_ms);
	bench_settle(bench);
	bench->handler = NULL;
	bench->waiting = true;
	bench_advance(bench, 2500);
	assert_int_equal(bench->run_count, 2);
	int64_t retry_ms = bench->rig.now_ms = bench->runs[1].at_ms;
	bench_schedule(bench, "a", "", 60000, retry_ms);
	bench->waiting = false;
	bench_go_on(bench);
	bench_settle(bench);
	assert_int_equal(bench->run_count, 3);
	assert_int_equal(bench->runs[2].scheduled_ms, retry_ms);
	assert_int_equal(bench->runs[2].tries, 0);
}

static void a_schedule_deleted_during_its_run_is_gone(void **state)
{
	struct bench *bench = *state;
	bench->waiting = true;
	bench->handler = bench_fail_always;
	bench_schedule(bench, "a", "", 1000, bench->rig.now_ms);
	bench_settle(bench);
	bench_do(bench, &bench_delete_schedule, "a", "poll");
	bench_go_on(bench);
	bench_advance(bench, 10000);
	assert_int_equal(bench->run_count, 1);
	assert_int_equal(bench_due_entries(bench), 0);
	assert_int_equal(bench_walk(bench, TABLE_PART, NULL, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_failing_alarm_is_tried_again_by_the_table_and_given_up),
		TEST(an_alarm_that_succeeds_at_last_is_done),
		TEST(an_alarm_set_in_the_handler_stays),
		TEST(an_alarm_set_in_the_handler_to_the_same_time_stays),
		TEST(an_alarm_set_while_the_handler_waits_wins_over_its_retry),
		TEST(an_alarm_deleted_while_the_handler_waits_is_gone),
		TEST(an_alarm_that_runs_by_hand_is_settled_wherever_its_entry_stands),
		TEST(without_its_class_an_alarm_waits_uncounted),
		TEST(without_its_method_an_alarm_is_given_up_at_once),
		TEST(entries_that_no_longer_hold_are_cleared_away),
		TEST(a_schedule_keeps_its_beat),
		TEST(a_run_that_takes_longer_than_the_beat_leaves_beats_out),
		TEST(a_schedule_makes_up_for_a_long_downtime_once),
		TEST(a_schedule_by_cron_runs_at_the_times_of_its_line),
		TEST(a_failing_schedule_is_tried_again_and_goes_on),
		TEST(a_schedule_with_a_long_beat_has_all_its_retries),
		TEST(a_schedule_without_class_or_method_goes_on),
		TEST(a_schedule_changed_during_its_run_stays_as_changed),
		TEST(a_schedule_set_anew_for_the_time_of_its_retry_runs_then),
		TEST(a_schedule_deleted_during_its_run_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
