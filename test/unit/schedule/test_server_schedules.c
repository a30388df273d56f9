/*
 * Server-wide schedules on an engine whose time is the test's: what stands in the configuration,
 * and in place of DO.WAKE a command of the test's that notes its arguments.
 */
#include "scheduler_fixture.h"

#include <unistd.h>

#define MINUTE_MS 60000ll
#define HOUR_MS   (60 * MINUTE_MS)

/* What stands for DO.WAKE has seen. */
static struct {
	uint32_t count;
	int64_t at_ms;
	char words[5][32];
	uint32_t word_count;
	uint32_t shards; /* walked in all */
	bool fails;
	bool waits; /* for good: in shard 0 */
} woken;

static void on_woken_parked(struct request *request)
{
	struct bench_call *call = memory_zeroed(sizeof(*call));
	struct bench *bench = request->environment;
	request->turn.state = call;
	call->bench = bench;
	call->request = request;
	bench->parked = bench->parked_last = call;
}

static struct bench *the_bench;

static void run_wake(struct turn *turn)
{
	struct request *request = turn->request;
	woken.shards++;
	if (turn->shard == 0 && !request->journey.resumed) {
		woken.count++;
		woken.at_ms = turn->now_ms;
		woken.word_count = request->asked.argument_count;
		for (uint32_t i = 0; i < request->asked.argument_count; i++)
			bench_copy(woken.words[i], sizeof(woken.words[i]),
				request->asked.arguments[i]);
		if (woken.fails) {
			turn_error(turn, "NOCLASS class 'Thing' is not loaded");
			return;
		}
		if (woken.waits) {
			request->environment = the_bench;
			turn_park(turn, on_woken_parked);
			return;
		}
	}
	if (turn->shard + 1 < turn->shard_total)
		turn_continue(turn, (uint16_t)(turn->shard + 1));
}

static const struct command wake_command = {
	.name = "do.wake", .arity = -3, .route = ROUTE_WALK, .run = run_wake
};

static void end_wake(struct bench *bench)
{
	struct bench_call *call = bench->parked;
	struct request *request = call->request;
	bench->parked = NULL;
	memory_free(call);
	engine_tick(bench->rig.engine, 0);
	engine_resume(bench->rig.engine, 0, &request);
}

static void open_bench(struct bench *bench)
{
	bench_open(bench);
	bench_scheduler(bench)->schedules->wake = &wake_command;
	bench_settle(bench);
}

/* At 22:13:20; lines are those of a configuration file. */
static struct bench *bench_with(const char *lines, uint16_t workers)
{
	struct bench *bench = bench_new(4, workers);
	char path[128], error[256] = "";
	snprintf(path, sizeof(path), "%s/lines.conf", bench->rig.directory);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(lines, file);
	fclose(file);
	if (config_parse_file(&bench->rig.config, path, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	unlink(path);
	memset(&woken, 0, sizeof(woken));
	the_bench = bench;
	open_bench(bench);
	return bench;
}

static int64_t next_hour_ms(const struct bench *bench)
{
	return (bench->rig.now_ms / HOUR_MS + 1) * HOUR_MS;
}

static void restart(struct bench *bench, int64_t down_ms)
{
	engine_rig_settle(&bench->rig);
	bench_close(bench, true);
	bench->rig.now_ms += down_ms;
	open_bench(bench);
}

static void without_lines_there_is_nothing_to_do(void **state)
{
	struct bench *bench = bench_with("", 1);
	assert_int_equal(bench_wanted_ms(bench), INT64_MAX);
	assert_int_equal(bench_walk(bench, TABLE_CRON, NULL, NULL), 0);
	bench_free(bench);
}

static void a_line_wakes_its_class_at_its_times(void **state)
{
	struct bench *bench = bench_with("schedule \"0 * * * *\" Thing poll\n", 1);
	int64_t first_ms = next_hour_ms(bench);
	assert_int_equal(bench_wanted_ms(bench), first_ms);
	bench_advance(bench, first_ms - bench->rig.now_ms - 1);
	assert_int_equal(woken.count, 0);
	bench_advance(bench, 1);
	assert_int_equal(woken.count, 1);
	assert_int_equal(woken.at_ms, first_ms);
	assert_int_equal(woken.shards, 4);
	assert_int_equal(woken.word_count, 3);
	assert_string_equal(woken.words[0], "do.wake");
	assert_string_equal(woken.words[1], "Thing");
	assert_string_equal(woken.words[2], "poll");
	bench_advance(bench, 5 * HOUR_MS);
	assert_int_equal(woken.count, 6);
	bench_free(bench);
}

static void a_line_follows_the_clock_forward_and_back(void **state)
{
	struct bench *bench = bench_with("schedule \"0 * * * *\" Thing poll\n", 1);
	for (int i = 0; i < 2; i++) {
		bench->rig.now_ms += (i ? -24 : 24) * HOUR_MS;
		bench->rig.set_ms += (i ? -24 : 24) * HOUR_MS;
		/* The host looks every second. */
		bench->worker[0].wanted_ms = 0;
		bench_settle(bench);
		assert_int_equal(woken.count, 1);
	}
	int64_t next_ms = next_hour_ms(bench);
	bench_advance(bench, next_ms - bench->rig.now_ms);
	assert_int_equal(woken.count, 2);
	assert_int_equal(woken.at_ms, next_ms);
	bench_free(bench);
}

static void a_prefix_is_handed_on(void **state)
{
	struct bench *bench = bench_with("schedule \"0 * * * *\" Thing poll PREFIX user:\n", 1);
	bench_advance(bench, HOUR_MS);
	assert_int_equal(woken.count, 1);
	assert_int_equal(woken.word_count, 5);
	assert_string_equal(woken.words[3], "PREFIX");
	assert_string_equal(woken.words[4], "user:");
	bench_free(bench);
}

static void several_workers_run_a_line_once(void **state)
{
	struct bench *bench = bench_with("schedule \"0 * * * *\" Thing poll\n", 2);
	assert_null(bench->worker[1].objects->scheduler->schedules);
	bench_advance(bench, HOUR_MS);
	assert_int_equal(woken.count, 1);
	assert_int_equal(woken.shards, 4);
	/* It came home: the next one runs too. */
	bench_advance(bench, HOUR_MS);
	assert_int_equal(woken.count, 2);
	bench_free(bench);
}

static void a_new_line_waits_for_its_next_time(void **state)
{
	struct bench *bench = bench_with("schedule \"0 0 * * *\" Thing poll\n", 1);
	assert_int_equal(woken.count, 0);
	/* From then on it is known, though it has not run yet. */
	restart(bench, 24 * HOUR_MS);
	assert_int_equal(woken.count, 1);
	bench_free(bench);
}

static void what_was_missed_while_down_runs_once(void **state)
{
	struct bench *bench = bench_with("schedule \"*/10 * * * *\" Thing poll\n", 1);
	bench_advance(bench, 30 * MINUTE_MS);
	assert_int_equal(woken.count, 3);
	restart(bench, 100 * HOUR_MS);
	assert_int_equal(woken.count, 4);
	bench_advance(bench, 10 * MINUTE_MS);
	assert_int_equal(woken.count, 5);
	/* Nothing was missed: nothing is made up for. */
	restart(bench, 1);
	assert_int_equal(woken.count, 5);
	bench_free(bench);
}

static void a_run_is_written_before_it_is_sent(void **state)
{
	struct bench *bench = bench_with("schedule \"0 * * * *\" Thing poll\n", 1);
	bench_advance(bench, HOUR_MS);
	assert_int_equal(woken.count, 1);
	/* Crashes right after, again and again, do not send it again. */
	for (int i = 0; i < 3; i++)
		restart(bench, 10);
	assert_int_equal(woken.count, 1);
	bench_free(bench);
}

static void a_run_under_way_is_not_started_twice(void **state)
{
	struct bench *bench = bench_with("schedule \"*/10 * * * *\" Thing poll\n", 1);
	woken.waits = true;
	bench_advance(bench, 60 * MINUTE_MS);
	assert_int_equal(woken.count, 1);
	woken.waits = false;
	end_wake(bench);
	assert_int_equal(woken.shards, 5);
	bench_advance(bench, 10 * MINUTE_MS);
	assert_int_equal(woken.count, 2);
	bench_free(bench);
}

static void a_run_that_fails_does_not_end_the_line(void **state)
{
	struct bench *bench = bench_with("schedule \"0 * * * *\" Thing poll\n", 1);
	woken.fails = true;
	bench_advance(bench, 2 * HOUR_MS);
	assert_int_equal(woken.count, 2);
	woken.fails = false;
	bench_advance(bench, HOUR_MS);
	assert_int_equal(woken.count, 3);
	bench_free(bench);
}

static void each_line_runs_by_its_own_times_and_the_same_line_once(void **state)
{
	struct bench *bench = bench_with("schedule \"0 * * * *\" Thing poll\n"
					 "schedule \"30 * * * *\" Thing poll\n"
					 "schedule \"0 * * * *\" Thing poll\n",
		1);
	assert_int_equal(bench_walk(bench, TABLE_CRON, NULL, NULL), 2);
	bench_advance(bench, 2 * HOUR_MS);
	assert_int_equal(woken.count, 4);
	bench_free(bench);
}

static void clear_cron(struct turn *turn)
{
	struct value value = { .type = VALUE_NUMBER, .data = slice_text("12345678") };
	turn_put(turn, 0,
		slice_text("\x08"
			   "12345678"),
		&value);
}

static const struct command other_line = {
	.name = "another line", .arity = -1, .route = ROUTE_WALK, .run = clear_cron
};

static void lines_that_are_configured_no_more_are_forgotten(void **state)
{
	struct bench *bench = bench_with("schedule \"0 * * * *\" Thing poll\n", 1);
	engine_rig_send_command(&bench->rig, 0, &other_line, "other", NULL);
	assert_int_equal(bench_walk(bench, TABLE_CRON, NULL, NULL), 2);
	restart(bench, 10);
	assert_int_equal(bench_walk(bench, TABLE_CRON, NULL, NULL), 1);
	bench_free(bench);
}

static void a_clock_set_back_does_not_silence_a_line(void **state)
{
	struct bench *bench = bench_with("schedule \"0 * * * *\" Thing poll\n", 1);
	bench_advance(bench, HOUR_MS);
	restart(bench, -1000 * HOUR_MS);
	bench_advance(bench, HOUR_MS);
	assert_int_equal(woken.count, 2);
	bench_free(bench);
}

static void nothing_is_sent_when_the_server_is_about_to_stop(void **state)
{
	struct bench *bench = bench_with("schedule \"0 * * * *\" Thing poll\n", 1);
	objects_quiesce(bench->worker[0].objects);
	bench_advance(bench, 5 * HOUR_MS);
	assert_int_equal(woken.count, 0);
	bench_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_lines_there_is_nothing_to_do),
		cmocka_unit_test(a_line_wakes_its_class_at_its_times),
		cmocka_unit_test(a_line_follows_the_clock_forward_and_back),
		cmocka_unit_test(a_prefix_is_handed_on),
		cmocka_unit_test(several_workers_run_a_line_once),
		cmocka_unit_test(a_new_line_waits_for_its_next_time),
		cmocka_unit_test(what_was_missed_while_down_runs_once),
		cmocka_unit_test(a_run_is_written_before_it_is_sent),
		cmocka_unit_test(a_run_under_way_is_not_started_twice),
		cmocka_unit_test(a_run_that_fails_does_not_end_the_line),
		cmocka_unit_test(each_line_runs_by_its_own_times_and_the_same_line_once),
		cmocka_unit_test(lines_that_are_configured_no_more_are_forgotten),
		cmocka_unit_test(a_clock_set_back_does_not_silence_a_line),
		cmocka_unit_test(nothing_is_sent_when_the_server_is_about_to_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
