/*
 * test_pace: who syncs, and when, tick by tick: the test says what a tick brought and how many
 * records wait, and looks at what the pace answers. There is no clock and no log.
 */
#include "gate/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A tick that appended something, of a loop whose replies wait for syncs. */
static enum pace_end write_tick(struct pace *pace, uint64_t waiting)
{
	struct pace_tick tick = { .waiting = waiting, .may_step = true };
	pace_appended(pace);
	return pace_end_tick(pace, &tick);
}

static enum pace_end idle_tick(struct pace *pace, uint64_t waiting)
{
	struct pace_tick tick = { .waiting = waiting, .may_step = true };
	return pace_end_tick(pace, &tick);
}

/* A loop that has seen nothing but writes for so long that it syncs by itself. */
static struct pace pace_of_writes(void)
{
	struct pace pace = { 0 };
	for (int i = 0; i < PACE_WRITE_TICKS; i++)
		assert_int_equal(write_tick(&pace, 1), PACE_KICK);
	return pace;
}

/* --- a loop ----------------------------------------------------------------------------------- */

static void a_tick_that_appends_nothing_syncs_nothing(void **state)
{
	struct pace pace = { 0 };
	assert_int_equal(idle_tick(&pace, 0), PACE_NOTHING);
	/* Records of other loops are theirs to see to. */
	assert_int_equal(idle_tick(&pace, 10), PACE_NOTHING);
	assert_false(pace_is_due(&pace));
}

static void the_log_thread_is_kicked_at_first(void **state)
{
	struct pace pace = { 0 };
	assert_int_equal(write_tick(&pace, 1), PACE_KICK);
	assert_false(pace_is_due(&pace));
	assert_int_equal(idle_tick(&pace, 1), PACE_NOTHING);
}

static void a_loop_with_nothing_but_writes_reads_on_and_then_syncs_by_itself(void **state)
{
	struct pace pace = pace_of_writes();
	assert_int_equal(write_tick(&pace, 1), PACE_READ_ON);
	assert_true(pace_is_due(&pace));
	assert_int_equal(write_tick(&pace, 30), PACE_READ_ON);
	/* This poll has brought no more. */
	assert_int_equal(idle_tick(&pace, 30), PACE_STEP);
	assert_false(pace_is_due(&pace));
	assert_int_equal(idle_tick(&pace, 0), PACE_NOTHING);
	assert_int_equal(write_tick(&pace, 5), PACE_READ_ON);
	assert_int_equal(idle_tick(&pace, 5), PACE_STEP);
}

static void it_reads_on_only_until_there_are_many(void **state)
{
	struct pace pace = pace_of_writes();
	assert_int_equal(write_tick(&pace, PACE_RECORDS_MAX - 1), PACE_READ_ON);
	assert_int_equal(write_tick(&pace, PACE_RECORDS_MAX), PACE_STEP);
}

static void the_first_read_ends_it(void **state)
{
	struct pace pace = pace_of_writes();
	pace_met_others(&pace);
	for (int i = 0; i < PACE_WRITE_TICKS; i++)
		assert_int_equal(write_tick(&pace, 1), PACE_KICK);
	assert_int_equal(write_tick(&pace, 1), PACE_READ_ON);
	/* While it reads on for more, too. */
	pace_met_others(&pace);
	assert_int_equal(idle_tick(&pace, 2), PACE_KICK);
	assert_false(pace_is_due(&pace));
}

static void reads_now_and_then_keep_it_with_the_log_thread(void **state)
{
	struct pace pace = { 0 };
	for (int i = 0; i < 20 * PACE_WRITE_TICKS; i++) {
		if (i % PACE_WRITE_TICKS == 0)
			pace_met_others(&pace);
		assert_int_equal(write_tick(&pace, (uint64_t)i), PACE_KICK);
	}
}

static void idle_ticks_are_no_writes(void **state)
{
	struct pace pace = { 0 };
	for (int i = 0; i < 10 * PACE_WRITE_TICKS; i++)
		assert_int_equal(idle_tick(&pace, 0), PACE_NOTHING);
	assert_int_equal(write_tick(&pace, 1), PACE_KICK);
	assert_int_equal(pace.write_ticks, 1);
}

static void nothing_waits_for_a_sync_under_everysec(void **state)
{
	struct pace pace = { 0 };
	struct pace_tick tick = { .waiting = 1, .may_step = false };
	for (int i = 0; i < 3 * PACE_WRITE_TICKS; i++) {
		pace_appended(&pace);
		tick.waiting++;
		assert_int_equal(pace_end_tick(&pace, &tick), PACE_KICK);
	}
}

/* What they wait for may be that the log has room again. */
static void commands_that_are_held_keep_the_log_going(void **state)
{
	struct pace pace = { 0 };
	struct pace_tick tick = { .waiting = 1, .is_held = true, .may_step = true };
	assert_int_equal(pace_end_tick(&pace, &tick), PACE_KICK);
	pace = pace_of_writes();
	assert_int_equal(pace_end_tick(&pace, &tick), PACE_READ_ON);
	assert_int_equal(pace_end_tick(&pace, &tick), PACE_STEP);
}

/* --- the log thread --------------------------------------------------------------------------- */

static void half_of_the_crowd_is_gathered(void **state)
{
	struct pace_crowd crowd = { 0 };
	assert_true(pace_is_enough(&crowd, 0));
	pace_synced(&crowd, 50);
	assert_false(pace_is_enough(&crowd, 24));
	assert_true(pace_is_enough(&crowd, 25));
}

static void a_crowd_that_has_gone_is_forgotten(void **state)
{
	struct pace_crowd crowd = { 0 };
	pace_synced(&crowd, 64);
	uint64_t before = crowd.records;
	for (int i = 0; i < 100 && crowd.records > 0; i++) {
		pace_synced(&crowd, 0);
		assert_true(crowd.records < before);
		before = crowd.records;
	}
	assert_int_equal(crowd.records, 0);
	assert_true(pace_is_enough(&crowd, 0));
}

static void a_larger_crowd_is_noticed_at_once(void **state)
{
	struct pace_crowd crowd = { 0 };
	pace_synced(&crowd, 10);
	pace_synced(&crowd, 100);
	assert_int_equal(crowd.gathered, 50);
}

static void who_has_slept_waits_for_no_crowd(void **state)
{
	struct pace_crowd crowd = { 0 };
	pace_synced(&crowd, 100);
	pace_slept(&crowd);
	assert_true(pace_is_enough(&crowd, 0));
}

static void it_is_woken_for_one_record_unless_it_gathers(void **state)
{
	struct pace_crowd crowd = { 0 };
	pace_synced(&crowd, 20);
	assert_true(pace_wakes_log(&crowd, 1));
	crowd.gathers = true;
	assert_false(pace_wakes_log(&crowd, 9));
	assert_true(pace_wakes_log(&crowd, 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tick_that_appends_nothing_syncs_nothing),
		cmocka_unit_test(the_log_thread_is_kicked_at_first),
		cmocka_unit_test(a_loop_with_nothing_but_writes_reads_on_and_then_syncs_by_itself),
		cmocka_unit_test(it_reads_on_only_until_there_are_many),
		cmocka_unit_test(the_first_read_ends_it),
		cmocka_unit_test(reads_now_and_then_keep_it_with_the_log_thread),
		cmocka_unit_test(idle_ticks_are_no_writes),
		cmocka_unit_test(nothing_waits_for_a_sync_under_everysec),
		cmocka_unit_test(commands_that_are_held_keep_the_log_going),
		cmocka_unit_test(half_of_the_crowd_is_gathered),
		cmocka_unit_test(a_crowd_that_has_gone_is_forgotten),
		cmocka_unit_test(a_larger_crowd_is_noticed_at_once),
		cmocka_unit_test(who_has_slept_waits_for_no_crowd),
		cmocka_unit_test(it_is_woken_for_one_record_unless_it_gathers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
