/*
 * The scheduler on an engine whose time is the test's, with a handler of the test's in place of
 * classes (scheduler_fixture.h). Every number of milliseconds here is exact: the bench runs at the
 * times that were asked for, and never in between.
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

/* --- when and how many ------------------------------------------------------------------------ */

static void an_idle_scheduler_asks_for_nothing(void **state)
{
	struct bench *bench = *state;
	bench_settle(bench);
	assert_true(bench->rounds > 0);
	assert_int_equal(scheduler_next_ms(bench_scheduler(bench)), INT64_MAX);
	uint64_t rounds = bench->rounds;
	bench_advance(bench, 86400000);
	assert_int_equal(bench->rounds, rounds);
}

static void runs_each_alarm_at_its_millisecond_in_the_order_of_time(void **state)
{
	struct bench *bench = *state;
	struct random random;
	random_seed(&random, 7);
	int64_t start_ms = bench->rig.now_ms;
	bench_settle(bench);
	for (uint32_t i = 0; i < 500; i++) {
		char id[ENGINE_RIG_KEY_BYTES];
		snprintf(id, sizeof(id), "object%u", i);
		bench_alarm(bench, id, start_ms + 1 + (int64_t)random_below(&random, 100000));
		if (i == 250)
			engine_rig_checkpoint(&bench->rig);
	}
	bench_advance(bench, 100001);
	assert_int_equal(bench->run_count, 500);
	for (uint32_t i = 0; i < 500; i++) {
		assert_int_equal(bench->runs[i].at_ms, bench->runs[i].scheduled_ms);
		if (i > 0)
			assert_true(bench->runs[i].at_ms >= bench->runs[i - 1].at_ms);
	}
	assert_int_equal(bench_due_entries(bench), 0);
	assert_int_equal(bench_wanted_ms(bench), INT64_MAX);
}

static void an_alarm_of_the_past_runs_now(void **state)
{
	struct bench *bench = *state;
	bench_settle(bench);
	bench_alarm(bench, "a", 5);
	bench_settle(bench);
	assert_int_equal(bench->run_count, 1);
	assert_int_equal(bench->runs[0].at_ms, bench->rig.now_ms);
}

static void is_never_early(void **state)
{
	struct bench *bench = *state;
	int64_t at_ms = bench->rig.now_ms + 1000;
	bench_alarm(bench, "a", at_ms);
	bench_settle(bench);
	bench->rig.now_ms = at_ms - 1;
	engine_tick(bench->rig.engine, 0);
	/* Even when the caller's time is ahead of the turn's. */
	scheduler_run(bench_scheduler(bench), at_ms + 10);
	assert_int_equal(bench->run_count, 0);
	bench->rig.now_ms = at_ms;
	bench_settle(bench);
	assert_int_equal(bench->run_count, 1);
}

static void what_is_filed_earlier_than_all_else_is_not_missed(void **state)
{
	struct bench *bench = *state;
	int64_t now_ms = bench->rig.now_ms;
	bench_alarm(bench, "{x}late", now_ms + 9000);
	bench_settle(bench);
	assert_int_equal(bench_wanted_ms(bench), now_ms + 9000);
	bench_alarm(bench, "{x}early", now_ms + 100);
	assert_int_equal(bench_wanted_ms(bench), now_ms + 100);
	bench_advance(bench, 10000);
	assert_int_equal(bench->run_count, 2);
	assert_string_equal(bench->runs[0].id, "{x}early");
	assert_int_equal(bench->runs[0].at_ms, now_ms + 100);
	assert_int_equal(bench->runs[1].at_ms, now_ms + 9000);
}

static void runs_no_more_at_a_time_than_may(void **state)
{
	struct bench *bench = *state;
	bench->rig.config.alarm_concurrency = 8;
	bench->waiting = true;
	for (uint32_t i = 0; i < 1000; i++) {
		char id[ENGINE_RIG_KEY_BYTES];
		snprintf(id, sizeof(id), "object%u", i);
		bench_alarm(bench, id, bench->rig.now_ms);
	}
	bench_settle(bench);
	for (uint32_t ended = 0; ended < 1000; ended++) {
		assert_int_equal(bench->under_way, 1000 - ended < 8 ? 1000 - ended : 8);
		uint64_t rounds = bench->rounds;
		/* Nothing is free: nothing is asked for, though hundreds are overdue. */
		assert_int_equal(bench_wanted_ms(bench), INT64_MAX);
		bench_go_on(bench);
		bench_settle(bench);
		assert_true(bench->rounds - rounds <= SHARDS + 1);
	}
	assert_int_equal(bench->run_count, 1000);
	assert_int_equal(bench->under_way_max, 8);
	assert_int_equal(bench_due_entries(bench), 0);
}

static void many_overdue_ones_leave_time_for_others_in_between(void **state)
{
	struct bench *bench = *state;
	bench->rig.config.alarm_concurrency = 10;
	for (uint32_t i = 0; i < 1000; i++) {
		char id[ENGINE_RIG_KEY_BYTES];
		snprintf(id, sizeof(id), "{x}%u", i);
		bench_alarm(bench, id, bench->rig.now_ms);
	}
	while (bench->run_count < 1000) {
		uint32_t before = bench->run_count;
		assert_true(bench_round(bench));
		assert_true(bench->run_count - before <= 10);
	}
}

static void a_run_that_lasts_does_not_keep_the_others_waiting(void **state)
{
	struct bench *bench = *state;
	bench->rig.config.alarm_concurrency = 2;
	bench->waiting = true;
	int64_t now_ms = bench->rig.now_ms;
	bench_alarm(bench, "{x}long", now_ms);
	bench_settle(bench);
	bench->waiting = false;
	for (int i = 1; i <= 100; i++) {
		bench_alarm(bench, "{x}short", now_ms + i);
		bench_advance(bench, 1);
		assert_int_equal(bench->run_count, 1 + i);
	}
	assert_int_equal(bench->under_way, 1);
	bench_go_on(bench);
	bench_settle(bench);
	assert_int_equal(bench_due_entries(bench), 0);
}

static void a_shard_with_many_does_not_starve_the_others(void **state)
{
	struct bench *bench = *state;
	bench->rig.config.alarm_concurrency = 1;
	bench->waiting = true;
	char id[ENGINE_RIG_KEY_BYTES];
	for (uint32_t i = 0; i < 200; i++)
		bench_alarm(bench, engine_rig_key(&bench->rig, 1, i, id), bench->rig.now_ms);
	bench_settle(bench);
	bench_alarm(bench, engine_rig_key(&bench->rig, 3, 0, id), bench->rig.now_ms);
	for (uint32_t i = 0; i <= SHARDS; i++) {
		bench_go_on(bench);
		bench_settle(bench);
	}
	bool came = false;
	for (uint32_t i = 0; i < bench->run_count; i++)
		came = came || strcmp(bench->runs[i].id, id) == 0;
	assert_true(came);
}

static void begins_nothing_while_the_log_is_behind(void **state)
{
	struct bench *bench = *state;
	bench_settle(bench);
	bench->rig.config.overlay_bytes_max = 0;
	bench_alarm(bench, "a", bench->rig.now_ms);
	bench_round(bench);
	assert_int_equal(bench->run_count, 0);
	assert_int_equal(bench_wanted_ms(bench), bench->rig.now_ms + 50);
	bench_advance(bench, 1000);
	assert_int_equal(bench->run_count, 0);
	bench->rig.config.overlay_bytes_max = 1 << 30;
	bench_advance(bench, 50);
	assert_int_equal(bench->run_count, 1);
}

static void begins_nothing_when_the_server_is_about_to_stop(void **state)
{
	struct bench *bench = *state;
	bench_alarm(bench, "a", bench->rig.now_ms);
	objects_quiesce(bench->worker[0].objects);
	bench_advance(bench, 10000);
	assert_int_equal(bench->run_count, 0);
	bench_close(bench, false);
	bench_open(bench);
	bench_settle(bench);
	assert_int_equal(bench->run_count, 1);
}

static void each_worker_runs_its_own_shards(void **state)
{
	struct bench *bench = bench_new(5, 2);
	bench_open(bench);
	for (uint32_t i = 0; i < 100; i++) {
		char id[ENGINE_RIG_KEY_BYTES];
		snprintf(id, sizeof(id), "object%u", i);
		bench_alarm(bench, id, bench->rig.now_ms + i % 10);
	}
	bench_advance(bench, 20);
	assert_int_equal(bench->run_count, 100);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(bench->runs[i].at_ms, bench->runs[i].scheduled_ms);
	bench_free(bench);
}

/* --- wakes, lives, sweeps --------------------------------------------------------------------- */

static void send_wake(struct bench *bench, const char *id, const char *argument)
{
	char now[24];
	bench_do(bench, &bench_put, id, "k", "v");
	bench_do(bench, &bench_file, id, "3", bench_text(now, bench->rig.now_ms), "poll", argument);
}

static void a_wake_runs_once_with_its_arguments(void **state)
{
	struct bench *bench = *state;
	struct bench_failed failed;
	send_wake(bench, "a", BENCH_WORDS);
	bench_advance(bench, 1000000);
	assert_int_equal(bench->run_count, 1);
	assert_int_equal(bench->runs[0].kind, DUE_WAKE);
	assert_string_equal(bench->runs[0].method, "poll");
	assert_string_equal(bench->runs[0].argument, BENCH_WORDS);
	assert_int_equal(bench_due_entries(bench), 0);
	assert_int_equal(bench_failed(bench, &failed), 0);
}

static void a_wake_that_fails_is_not_tried_again(void **state)
{
	struct bench *bench = *state;
	struct bench_failed failed;
	bench->handler = bench_fail_always;
	send_wake(bench, "a", BENCH_WORDS);
	bench_advance(bench, 1000000);
	assert_int_equal(bench->run_count, 1);
	assert_int_equal(bench_due_entries(bench), 0);
	assert_int_equal(bench_failed(bench, &failed), 1);
	assert_int_equal(failed.kind, DUE_WAKE);
	assert_int_equal(failed.tries, 1);
}

static void a_wake_waits_for_its_class(void **state)
{
	struct bench *bench = *state;
	bench->class_missing = true;
	send_wake(bench, "a", BENCH_WORDS);
	bench_advance(bench, 150000);
	assert_int_equal(bench->run_count, 3);
	bench->class_missing = false;
	bench_advance(bench, 60000);
	assert_int_equal(bench->run_count, 4);
	assert_string_equal(bench->runs[3].argument, BENCH_WORDS);
	assert_int_equal(bench_due_entries(bench), 0);
}

static void bench_run_live(struct turn *turn)
{
	struct object_name name = bench_name(turn_argument(turn, 1));
	struct storage storage;
	storage_open(&storage, turn, &name);
	storage_expire(&storage, bench_number(turn, 2), false);
	storage_close(&storage);
}

static void bench_run_fill(struct turn *turn)
{
	struct object_name name = bench_name(turn_argument(turn, 1));
	struct storage storage;
	struct value value = { .type = VALUE_BYTES, .data = slice_text("x") };
	storage_open(&storage, turn, &name);
	for (int64_t i = 0; i < bench_number(turn, 2); i++) {
		char key[24];
		storage_put(&storage, slice_text(bench_text(key, i)), &value);
	}
	storage_close(&storage);
}

static void bench_run_clear(struct turn *turn)
{
	struct object_name name = bench_name(turn_argument(turn, 1));
	struct storage storage;
	storage_open(&storage, turn, &name);
	storage_delete_all(&storage, false);
	storage_close(&storage);
}

static const struct command bench_live = BENCH_COMMAND("live", bench_run_live);
static const struct command bench_fill = BENCH_COMMAND("fill", bench_run_fill);
static const struct command bench_clear = BENCH_COMMAND("clear", bench_run_clear);

static void an_object_ends_at_the_end_of_its_life(void **state)
{
	struct bench *bench = *state;
	bench_do(bench, &bench_put, "a", "k", "v");
	bench_alarm(bench, "a", bench->rig.now_ms + 99000);
	bench_schedule(bench, "a", "", 1000000, bench->rig.now_ms + 98000);
	bench_do(bench, &bench_live, "a", "5000");
	bench_advance(bench, 4999);
	assert_int_equal(bench_walk(bench, TABLE_OBJECT, NULL, NULL), 1);
	bench_advance(bench, 1);
	assert_int_equal(bench_walk(bench, TABLE_OBJECT, NULL, NULL), 0);
	assert_int_equal(bench_walk(bench, TABLE_PART, NULL, NULL), 0);
	assert_int_equal(bench_due_entries(bench), 0);
	bench_advance(bench, 1000000);
	assert_int_equal(bench->run_count, 0);
	assert_int_equal(bench_wanted_ms(bench), INT64_MAX);
}

static void a_life_made_longer_is_filed_anew(void **state)
{
	struct bench *bench = *state;
	bench_do(bench, &bench_put, "a", "k", "v");
	bench_do(bench, &bench_live, "a", "5000");
	bench_advance(bench, 1000);
	bench_do(bench, &bench_live, "a", "9000");
	bench_advance(bench, 8999);
	assert_int_equal(bench_walk(bench, TABLE_OBJECT, NULL, NULL), 1);
	assert_int_equal(bench_due_entries(bench), 1);
	bench_advance(bench, 1);
	assert_int_equal(bench_walk(bench, TABLE_OBJECT, NULL, NULL), 0);
	assert_int_equal(bench_due_entries(bench), 0);
}

static void a_sweep_goes_on_turn_by_turn_until_all_is_clear(void **state)
{
	struct bench *bench = *state;
	bench_settle(bench);
	bench_do(bench, &bench_fill, "a", "5000");
	bench_do(bench, &bench_clear, "a");
	bench_do(bench, &bench_put, "a", "new", "kept");
	engine_rig_deliver(&bench->rig);
	uint32_t left = bench_walk(bench, TABLE_PART, NULL, NULL);
	assert_true(left > 5000);
	uint32_t turns = 0;
	while (bench_round(bench)) {
		uint32_t now_left = bench_walk(bench, TABLE_PART, NULL, NULL);
		assert_true(left - now_left <= 1024);
		left = now_left;
		turns++;
	}
	assert_true(turns >= 5);
	assert_int_equal(left, 1);
	assert_int_equal(bench_due_entries(bench), 0);
	assert_string_equal(bench_do(bench, &bench_get, "a", "new")->reply, "kept");
}

static void a_sweep_that_a_crash_interrupts_goes_on(void **state)
{
	struct bench *bench = *state;
	bench_do(bench, &bench_fill, "a", "5000");
	bench_do(bench, &bench_clear, "a");
	bench_round(bench);
	bench_round(bench);
	engine_rig_settle(&bench->rig);
	bench_close(bench, true);
	bench_open(bench);
	uint32_t left = bench_walk(bench, TABLE_PART, NULL, NULL);
	assert_true(left > 0 && left < 5000);
	bench_settle(bench);
	assert_int_equal(bench_walk(bench, TABLE_PART, NULL, NULL), 0);
	assert_int_equal(bench_walk(bench, TABLE_OBJECT, NULL, NULL), 0);
	assert_int_equal(bench_due_entries(bench), 0);
}

/* --- crashes ---------------------------------------------------------------------------------- */

#define OBJECTS 12

/* What the client of one object knows. Its times are all different, so each names a run. */
struct client {
	int64_t times[4096];
	bool acknowledged[4096];
	struct engine_ticket *ticket; /* of the last one set */
	uint32_t count;
};

/* Counts, under the time it was set for, how often the alarm's effects appeared; fails now and
 * then, and its failing turns leave nothing. */
static enum job_outcome count_run(struct bench *bench, struct storage *storage,
	const struct objects_job *job, const char **error)
{
	struct random *random = bench->context;
	char key[24];
	struct value value;
	bench_text(key, job->scheduled_ms);
	char *count = arena_alloc(turn_arena(storage->turn), 2);
	bool had = storage_get(storage, slice_text(key), &value);
	count[0] = had ? (char)(value.data.data[0] + 1) : '1';
	value = (struct value){ .type = VALUE_BYTES, .data = slice_of(count, 1) };
	storage_put(storage, slice_text(key), &value);
	*error = "chance";
	return random_below(random, 8) == 0 && job->tries < 3 ? JOB_FAILED : JOB_DONE;
}

static void note_acknowledged(struct client *clients)
{
	for (int i = 0; i < OBJECTS; i++) {
		struct client *client = &clients[i];
		if (client->ticket && engine_rig_is_released(client->ticket))
			client->acknowledged[client->count - 1] = true;
	}
}

static void set_one(struct bench *bench, struct client *clients, struct random *random)
{
	uint32_t n = (uint32_t)random_below(random, OBJECTS);
	struct client *client = &clients[n];
	char id[24];
	/* Only when the one before is over: replaced ones need not run. */
	if (client->count && client->times[client->count - 1] + 400000 > bench->rig.now_ms)
		return;
	snprintf(id, sizeof(id), "object%u", n);
	int64_t at_ms = bench->rig.now_ms + 1 + (int64_t)random_below(random, 300);
	client->times[client->count++] = at_ms;
	client->ticket = bench_alarm(bench, id, at_ms);
}

/* Steps without letting everything become durable: what the crash then takes varies. */
static void step(struct bench *bench, struct random *random)
{
	bench->rig.now_ms += (int64_t)random_below(random, 60);
	engine_rig_deliver(&bench->rig);
	if (bench_wanted_ms(bench) <= bench->rig.now_ms) {
		bench->worker[0].wanted_ms = INT64_MAX;
		engine_tick(bench->rig.engine, 0);
		objects_run(bench->worker[0].objects);
	}
	if (bench->parked && random_below(random, 3) == 0)
		bench_go_on(bench);
	bench->waiting = random_below(random, 3) == 0;
	gate_keeper_step(bench->rig.engine->gate);
	if (random_below(random, 3) == 0)
		gate_step(bench->rig.engine->gate);
}

static void check_client(struct bench *bench, const struct client *client, uint32_t n)
{
	char id[24], key[24];
	snprintf(id, sizeof(id), "object%u", n);
	for (uint32_t i = 0; i < client->count; i++) {
		const char *count =
			bench_do(bench, &bench_get, id, bench_text(key, client->times[i]))->reply;
		if (client->acknowledged[i])
			assert_string_equal(count, "1");
		else
			assert_true(count[0] == '\0' || strcmp(count, "1") == 0);
	}
}

static void acknowledged_alarms_always_run_and_their_effects_appear_once(void **state)
{
	struct bench *bench = *state;
	struct random random;
	struct client *clients = memory_zeroed(OBJECTS * sizeof(*clients));
	uint32_t acknowledged = 0, crashes = 0;
	random_seed(&random, 42);
	bench->context = &random;
	bench->handler = count_run;
	bench->rig.config.alarm_concurrency = 3;
	for (uint32_t round = 0; round < 60; round++) {
		uint64_t steps = 1 + random_below(&random, 80);
		bench->run_count = 0;
		for (uint64_t i = 0; i < steps; i++) {
			set_one(bench, clients, &random);
			step(bench, &random);
			note_acknowledged(clients);
		}
		if (random_below(&random, 4) == 0)
			engine_rig_checkpoint(&bench->rig);
		if (random_below(&random, 3) == 0) {
			/* Long enough for all retries: the next ones may be set. */
			bench->waiting = false;
			while (bench->parked)
				bench_go_on(bench);
			bench_advance(bench, 400000);
			note_acknowledged(clients);
		}
		for (int i = 0; i < OBJECTS; i++)
			clients[i].ticket = NULL;
		bench_close(bench, true);
		bench_open(bench);
		crashes++;
	}
	bench->waiting = false;
	bench_advance(bench, 1000000);
	for (uint32_t n = 0; n < OBJECTS; n++) {
		check_client(bench, &clients[n], n);
		for (uint32_t i = 0; i < clients[n].count; i++)
			acknowledged += clients[n].acknowledged[i];
	}
	assert_true(acknowledged > 50 && crashes == 60);
	assert_int_equal(bench_due_entries(bench), 0);
	memory_free(clients);
}

static void what_runs_at_a_crash_runs_again(void **state)
{
	struct bench *bench = *state;
	bench->waiting = true;
	bench_alarm(bench, "a", bench->rig.now_ms);
	bench_schedule(bench, "b", "", 60000, bench->rig.now_ms);
	send_wake(bench, "c", BENCH_WORDS);
	bench_settle(bench);
	assert_int_equal(bench->under_way, 3);
	bench_close(bench, true);
	bench->waiting = false;
	bench_open(bench);
	bench_settle(bench);
	assert_int_equal(bench->run_count, 6);
	assert_int_equal(bench_due_entries(bench), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_idle_scheduler_asks_for_nothing),
		TEST(runs_each_alarm_at_its_millisecond_in_the_order_of_time),
		TEST(an_alarm_of_the_past_runs_now),
		TEST(is_never_early),
		TEST(what_is_filed_earlier_than_all_else_is_not_missed),
		TEST(runs_no_more_at_a_time_than_may),
		TEST(many_overdue_ones_leave_time_for_others_in_between),
		TEST(a_run_that_lasts_does_not_keep_the_others_waiting),
		TEST(a_shard_with_many_does_not_starve_the_others),
		TEST(begins_nothing_while_the_log_is_behind),
		TEST(begins_nothing_when_the_server_is_about_to_stop),
		TEST(each_worker_runs_its_own_shards),
		TEST(a_wake_runs_once_with_its_arguments),
		TEST(a_wake_that_fails_is_not_tried_again),
		TEST(a_wake_waits_for_its_class),
		TEST(an_object_ends_at_the_end_of_its_life),
		TEST(a_life_made_longer_is_filed_anew),
		TEST(a_sweep_goes_on_turn_by_turn_until_all_is_clear),
		TEST(a_sweep_that_a_crash_interrupts_goes_on),
		TEST(acknowledged_alarms_always_run_and_their_effects_appear_once),
		TEST(what_runs_at_a_crash_runs_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
