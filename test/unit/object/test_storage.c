/*
 * An object's storage, case by case: what is written and what is not, what a reply waits for, what
 * stands in the index, what a large delete_all leaves behind. Random turns are
 * test_storage_model.c.
 */
#include "object/storage.h"

#include "storage_fixture.h"

/* The test's body of the turn that runs. */
static void (*body)(struct turn *turn, struct storage *storage);
static struct object_name object = { { "Class", 5 }, { "id", 2 } };

static void run_body(struct turn *turn)
{
	struct storage storage;
	storage_open(&storage, turn, &object);
	body(turn, &storage);
	storage_close(&storage);
}

static void in_a_turn(
	struct turn_rig *rig, void (*wanted)(struct turn *turn, struct storage *storage))
{
	body = wanted;
	turn_rig_run(rig, run_body, NULL);
}

static void put_text(struct storage *storage, const char *key, const char *text)
{
	struct value value = { .type = VALUE_BYTES, .data = slice_text(text) };
	storage_put(storage, slice_text(key), &value);
}

static void assert_text(struct storage *storage, const char *key, const char *text)
{
	struct value value;
	assert_int_equal(storage_get(storage, slice_text(key), &value), text != NULL);
	if (text)
		assert_true(slice_equal(value.data, slice_text(text)));
}

static void put_two(struct turn *turn, struct storage *storage)
{
	put_text(storage, "a", "1");
	put_text(storage, "b", "2");
}

static void put_a(struct turn *turn, struct storage *storage)
{
	put_text(storage, "a", "1");
}

static void delete_both(struct turn *turn, struct storage *storage)
{
	assert_true(storage_delete(storage, slice_text("a")));
	assert_true(storage_delete(storage, slice_text("b")));
}

static void look(struct turn *turn, struct storage *storage)
{
}

static void assert_no_trace(struct turn *turn, struct storage *storage)
{
	assert_false(storage->is_stored);
	assert_int_equal(count_table(turn, TABLE_OBJECT), 0);
	assert_int_equal(count_table(turn, TABLE_PART), 0);
	assert_int_equal(count_table(turn, TABLE_DUE), 0);
}

static void putting_what_is_there_already_writes_nothing(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, put_two);
	assert_int_equal(rig->effects, 3);
	in_a_turn(rig, put_two);
	assert_int_equal(rig->effects, 0);
	turn_rig_checkpoint(rig);
	in_a_turn(rig, put_two);
	assert_int_equal(rig->effects, 0);
}

static void an_object_leaves_nothing_behind(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, put_two);
	in_a_turn(rig, delete_both);
	in_a_turn(rig, assert_no_trace);
}

static void put_and_delete(struct turn *turn, struct storage *storage)
{
	put_two(turn, storage);
	storage_set_alarm(storage, 1);
	storage_expire(storage, LIFE_MS, true);
	storage_delete_alarm(storage);
	delete_both(turn, storage);
}

static void close_twice(struct turn *turn, struct storage *storage)
{
	put_two(turn, storage);
	storage_close(storage);
	delete_both(turn, storage);
}

static void a_storage_may_go_on_after_it_was_closed(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, close_twice);
	in_a_turn(rig, assert_no_trace);
}

static void a_life_ends_with_the_last_that_the_object_held(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, put_and_delete);
	in_a_turn(rig, assert_no_trace);
	in_a_turn(rig, put_two);
	in_a_turn(rig, put_and_delete);
	in_a_turn(rig, assert_no_trace);
}

/* Reading the record is reading the object's last change, whichever that was. */
static void whoever_opens_an_object_waits_for_its_last_change(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, put_two);
	in_a_turn(rig, look);
	assert_int_equal(rig->read_lsn, 1);
	in_a_turn(rig, delete_both);
	in_a_turn(rig, look);
	assert_int_equal(rig->read_lsn, 2);
	turn_rig_checkpoint(rig);
	in_a_turn(rig, look);
	assert_int_equal(rig->read_lsn, 0);
}

static void check_times(struct turn *turn, struct storage *storage)
{
	assert_int_equal(storage->record.created_ms, 1700000000000);
	assert_int_equal(storage->record.changed_ms, 1700000000500);
}

static void put_anew(struct turn *turn, struct storage *storage)
{
	storage_delete_all(storage, false);
	put_text(storage, "a", "new");
}

static void check_created_now(struct turn *turn, struct storage *storage)
{
	assert_int_equal(storage->record.created_ms, turn->now_ms);
	assert_int_equal(storage->record.values.count, 1);
}

static void a_record_knows_when_the_object_began_and_changed(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, put_a);
	rig->now_ms += 500;
	in_a_turn(rig, put_two);
	rig->now_ms += 500;
	in_a_turn(rig, put_two);
	in_a_turn(rig, check_times);
	in_a_turn(rig, put_anew);
	in_a_turn(rig, check_created_now);
}

/* --- alarms --- */

static int64_t alarm_ms;
static uint32_t serial;

static void set_alarm(struct turn *turn, struct storage *storage)
{
	storage_set_alarm(storage, alarm_ms);
}

static void check_alarm(struct turn *turn, struct storage *storage)
{
	assert_int_equal(storage->record.alarm_ms, alarm_ms);
	assert_int_equal(storage->record.alarm_due_ms, alarm_ms);
	assert_true(is_due(turn, &object, DUE_ALARM, alarm_ms, slice_of("", 0)));
	assert_int_equal(count_table(turn, TABLE_DUE), 1);
	assert_int_not_equal(storage->record.alarm_serial, serial);
	serial = storage->record.alarm_serial;
}

static void retry_alarm(struct turn *turn, struct storage *storage)
{
	storage_retry_alarm(storage, alarm_ms + 2000, 1, slice_of(NULL, 0));
}

static void check_retry(struct turn *turn, struct storage *storage)
{
	assert_int_equal(storage->record.alarm_ms, alarm_ms);
	assert_int_equal(storage->record.alarm_due_ms, alarm_ms + 2000);
	assert_int_equal(storage->record.alarm_tries, 1);
	assert_int_equal(storage->record.alarm_serial, serial);
	assert_true(is_due(turn, &object, DUE_ALARM, alarm_ms + 2000, slice_of("", 0)));
	assert_int_equal(count_table(turn, TABLE_DUE), 1);
}

static void an_alarm_has_one_entry_and_each_setting_is_told_from_the_last(void **state)
{
	struct turn_rig *rig = *state;
	serial = 0;
	alarm_ms = rig->now_ms + 5000;
	in_a_turn(rig, set_alarm);
	in_a_turn(rig, check_alarm);
	in_a_turn(rig, set_alarm);
	in_a_turn(rig, check_alarm);
	in_a_turn(rig, retry_alarm);
	in_a_turn(rig, check_retry);
	alarm_ms = 1;
	in_a_turn(rig, set_alarm);
	alarm_ms = rig->now_ms;
	in_a_turn(rig, check_alarm);
}

/* --- lives --- */

static int64_t filed_ms;

static void live(struct turn *turn, struct storage *storage)
{
	put_two(turn, storage);
	storage_set_alarm(storage, turn->now_ms + 10 * LIFE_MS);
	struct schedule schedule = {
		.name = slice_text("s"),
		.every_ms = 1,
		.method = slice_text("m"),
		.due_ms = turn->now_ms + 10 * LIFE_MS,
	};
	assert_true(storage_set_schedule(storage, &schedule));
	storage_expire(storage, LIFE_MS, true);
	filed_ms = turn->now_ms + LIFE_MS;
}

static void touch(struct turn *turn, struct storage *storage)
{
	storage_touch(storage);
}

static void check_filed(struct turn *turn, struct storage *storage)
{
	assert_true(is_due(turn, &object, DUE_EXPIRE, filed_ms, slice_of("", 0)));
	assert_int_equal(storage->record.expire_filed_ms, filed_ms);
}

static void check_lives_on(struct turn *turn, struct storage *storage)
{
	assert_true(storage->record.expire_ms >= turn->now_ms + LIFE_MS);
}

static void end_life(struct turn *turn, struct storage *storage)
{
	assert_true(storage_end_life(storage, filed_ms));
}

static void a_touched_life_is_never_shorter_and_few_touches_are_written(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, live);
	in_a_turn(rig, touch);
	assert_int_equal(rig->effects, 0);
	rig->now_ms += 1;
	in_a_turn(rig, touch);
	assert_int_equal(rig->effects, 1);
	rig->now_ms += LIFE_MS / 16;
	in_a_turn(rig, touch);
	assert_int_equal(rig->effects, 0);
	in_a_turn(rig, check_lives_on);
	rig->now_ms += 1;
	in_a_turn(rig, touch);
	assert_int_equal(rig->effects, 1);
	in_a_turn(rig, check_lives_on);
	in_a_turn(rig, check_filed);
}

static void a_life_that_went_on_is_filed_anew(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, live);
	rig->now_ms += LIFE_MS / 2;
	in_a_turn(rig, touch);
	rig->now_ms = filed_ms;
	in_a_turn(rig, end_life);
	filed_ms += LIFE_MS / 2 + LIFE_MS / 16;
	in_a_turn(rig, check_filed);
	rig->now_ms = filed_ms;
	in_a_turn(rig, end_life);
	in_a_turn(rig, assert_no_trace);
}

static void see_nothing(struct turn *turn, struct storage *storage)
{
	struct schedule schedule;
	assert_text(storage, "a", NULL);
	assert_false(record_exists(&storage->record));
	assert_false(storage_delete(storage, slice_text("a")));
	assert_false(storage_delete_alarm(storage));
	assert_false(storage_delete_schedule(storage, slice_text("s")));
	assert_false(storage_get_schedule(storage, slice_text("s"), &schedule));
	assert_false(storage_persist(storage));
	storage_touch(storage);
}

static void begin_anew(struct turn *turn, struct storage *storage)
{
	put_text(storage, "c", "3");
	assert_text(storage, "a", NULL);
}

static void check_anew(struct turn *turn, struct storage *storage)
{
	assert_text(storage, "a", NULL);
	assert_text(storage, "c", "3");
	assert_int_equal(storage->record.values.count, 1);
	assert_int_equal(storage->record.values.bytes, 2);
	assert_int_equal(storage->record.created_ms, turn->now_ms);
	assert_int_equal(storage->record.expire_ms, 0);
	assert_int_equal(count_table(turn, TABLE_DUE), 0);
	assert_int_equal(count_table(turn, TABLE_PART), 1);
}

static void an_ended_object_is_absent_and_the_first_write_clears_it_away(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, live);
	rig->now_ms = filed_ms - 1;
	in_a_turn(rig, look);
	rig->now_ms = filed_ms;
	in_a_turn(rig, see_nothing);
	assert_int_equal(rig->effects, 0);
	in_a_turn(rig, begin_anew);
	in_a_turn(rig, check_anew);
}

static void shorten(struct turn *turn, struct storage *storage)
{
	storage_expire(storage, LIFE_MS / 2, false);
	filed_ms = turn->now_ms + LIFE_MS / 2;
}

static void a_shorter_life_moves_the_entry_forward(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, live);
	in_a_turn(rig, shorten);
	in_a_turn(rig, check_filed);
}

#define STRAY_MS 5

static void file_stray(struct turn *turn, struct storage *storage)
{
	struct due due = { .kind = DUE_EXPIRE, .at_ms = STRAY_MS, .object = object };
	struct value value = { .type = VALUE_BYTES };
	struct key key;
	key_of_due(&key, &due);
	turn_put(turn, storage->shard, key_slice(&key), &value);
}

static void end_stray(struct turn *turn, struct storage *storage)
{
	assert_true(is_due(turn, &object, DUE_EXPIRE, STRAY_MS, slice_of("", 0)));
	assert_true(storage_end_life(storage, STRAY_MS));
	assert_false(is_due(turn, &object, DUE_EXPIRE, STRAY_MS, slice_of("", 0)));
}

static void an_entry_of_no_life_is_cleared_away_and_ends_none(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, put_two);
	in_a_turn(rig, file_stray);
	in_a_turn(rig, end_stray);
	in_a_turn(rig, live);
	rig->now_ms = filed_ms;
	in_a_turn(rig, file_stray);
	in_a_turn(rig, end_stray);
	assert_int_equal(rig->effects, 1);
	in_a_turn(rig, see_nothing);
	in_a_turn(rig, end_life);
	in_a_turn(rig, assert_no_trace);
}

static void give_life_delete_all_and_put(struct turn *turn, struct storage *storage)
{
	storage_expire(storage, LIFE_MS, false);
	storage_delete_all(storage, false);
	put_text(storage, "a", "1");
}

static void check_no_life(struct turn *turn, struct storage *storage)
{
	assert_true(record_exists(&storage->record));
	assert_int_equal(storage->record.expire_ms, 0);
	assert_int_equal(count_table(turn, TABLE_DUE), 0);
}

static void delete_all_takes_a_life_that_nothing_had_yet(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, give_life_delete_all_and_put);
	in_a_turn(rig, check_no_life);
}

/* --- large objects --- */

static int many;

static void put_many(struct turn *turn, struct storage *storage)
{
	for (int i = 0; i < many; i++) {
		struct slice key = arena_format(turn_arena(turn), "%05d", i);
		struct value value = { .type = VALUE_BYTES, .data = slice_text("v") };
		storage_put(storage, key, &value);
	}
}

static void delete_all(struct turn *turn, struct storage *storage)
{
	assert_int_equal(storage_delete_all(storage, false), many);
	assert_false(record_exists(&storage->record));
}

static bool swept;

static void sweep(struct turn *turn, struct storage *storage)
{
	swept = storage_sweep(storage);
}

static void check_deleted(struct turn *turn, struct storage *storage)
{
	assert_false(record_exists(&storage->record));
	assert_text(storage, "00000", NULL);
	assert_int_equal(count_table(turn, TABLE_DUE), 1);
	assert_true(
		is_due(turn, &object, DUE_SWEEP, storage->record.sweep_filed_ms, slice_of("", 0)));
	assert_int_equal(count_table(turn, TABLE_PART), many);
}

static void a_thousand_values_are_deleted_one_by_one(void **state)
{
	struct turn_rig *rig = *state;
	many = 1000;
	in_a_turn(rig, put_many);
	in_a_turn(rig, delete_all);
	in_a_turn(rig, assert_no_trace);
}

static void more_are_left_to_the_sweep_at_the_cost_of_two_writes(void **state)
{
	struct turn_rig *rig = *state;
	many = 1537;
	in_a_turn(rig, put_many);
	in_a_turn(rig, delete_all);
	assert_int_equal(rig->effects, 2);
	in_a_turn(rig, check_deleted);
	for (int left = many; left > 0; left -= 512) {
		in_a_turn(rig, sweep);
		assert_int_equal(swept, left < 512);
		if (left == 1025)
			turn_rig_checkpoint(rig);
	}
	in_a_turn(rig, assert_no_trace);
}

/* A dead value in front of where the sweep stands: one that it never comes by again. */
static void put_behind_the_sweep(struct turn *turn, struct storage *storage)
{
	struct key key;
	struct value value = { .type = VALUE_BYTES, .data = slice_text("v") };
	key_of_values(&key, &object);
	collection_key(&key, 0, slice_text("00001"));
	turn_put(turn, storage->shard, key_slice(&key), &value);
}

static void check_only_that_is_left(struct turn *turn, struct storage *storage)
{
	assert_false(storage->is_stored);
	assert_int_equal(count_table(turn, TABLE_PART), 1);
}

static void a_sweep_goes_on_where_it_stood(void **state)
{
	struct turn_rig *rig = *state;
	many = 1100;
	in_a_turn(rig, put_many);
	in_a_turn(rig, delete_all);
	in_a_turn(rig, sweep);
	in_a_turn(rig, put_behind_the_sweep);
	in_a_turn(rig, sweep);
	in_a_turn(rig, sweep);
	assert_true(swept);
	in_a_turn(rig, check_only_that_is_left);
}

static void put_during_the_sweep(struct turn *turn, struct storage *storage)
{
	put_text(storage, "00007", "new");
	storage_expire(storage, LIFE_MS, false);
}

static void check_survivor(struct turn *turn, struct storage *storage)
{
	assert_text(storage, "00007", "new");
	assert_int_equal(storage->record.values.count, 1);
	assert_int_equal(storage->record.created_ms, turn->now_ms);
	assert_int_equal(count_table(turn, TABLE_PART), 1);
	assert_int_equal(count_table(turn, TABLE_DUE), 1);
}

static void what_is_put_while_the_old_is_swept_stays(void **state)
{
	struct turn_rig *rig = *state;
	many = 1100;
	in_a_turn(rig, put_many);
	in_a_turn(rig, delete_all);
	in_a_turn(rig, sweep);
	in_a_turn(rig, put_during_the_sweep);
	in_a_turn(rig, sweep);
	in_a_turn(rig, sweep);
	assert_true(swept);
	in_a_turn(rig, check_survivor);
}

static void a_second_large_delete_all_shares_the_sweep_of_the_first(void **state)
{
	struct turn_rig *rig = *state;
	many = 1100;
	in_a_turn(rig, put_many);
	in_a_turn(rig, delete_all);
	in_a_turn(rig, sweep);
	rig->now_ms += 10;
	in_a_turn(rig, put_many);
	in_a_turn(rig, delete_all);
	int sweeps = 0;
	for (swept = false; !swept; sweeps++)
		in_a_turn(rig, sweep);
	assert_int_equal(sweeps, (2200 - 512) / 512 + 1);
	in_a_turn(rig, assert_no_trace);
}

static void keep_alarm_only(struct turn *turn, struct storage *storage)
{
	assert_int_equal(storage_delete_all(storage, true), 2);
}

static void check_kept(struct turn *turn, struct storage *storage)
{
	struct schedule schedule;
	assert_text(storage, "a", NULL);
	assert_int_not_equal(storage->record.alarm_ms, 0);
	assert_true(storage_get_schedule(storage, slice_text("s"), &schedule));
	assert_int_not_equal(storage->record.expire_ms, 0);
	assert_int_equal(count_table(turn, TABLE_DUE), 3);
}

static void delete_all_may_keep_what_is_due(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, live);
	in_a_turn(rig, keep_alarm_only);
	in_a_turn(rig, check_kept);
}

/* --- schedules --- */

static void set_too_many(struct turn *turn, struct storage *storage)
{
	struct schedule schedule = { .every_ms = 1, .method = slice_text("m") };
	for (int i = 0; i <= LIMIT_SCHEDULES; i++) {
		schedule.name = arena_format(turn_arena(turn), "s%d", i);
		assert_int_equal(storage_set_schedule(storage, &schedule), i < LIMIT_SCHEDULES);
	}
	schedule.name = slice_text("s7");
	assert_true(storage_set_schedule(storage, &schedule));
	assert_int_equal(storage->record.schedules, LIMIT_SCHEDULES);
}

static bool stop_at_third(void *context, const struct schedule *schedule)
{
	return ++*(int *)context < 3;
}

static void stop_early(struct turn *turn, struct storage *storage)
{
	int met = 0;
	storage_each_schedule(storage, stop_at_third, &met);
	assert_int_equal(met, 3);
}

static void delete_everything(struct turn *turn, struct storage *storage)
{
	storage_delete_all(storage, false);
}

static void schedules_have_a_limit_that_replacing_does_not_touch(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, set_too_many);
	in_a_turn(rig, stop_early);
	in_a_turn(rig, delete_everything);
	in_a_turn(rig, assert_no_trace);
}

/* --- transactions --- */

static void take_back_the_first_write(struct turn *turn, struct storage *storage)
{
	struct storage_mark mark;
	storage_save(storage, &mark);
	put_two(turn, storage);
	storage_set_alarm(storage, 1);
	storage_restore(storage, &mark);
	assert_text(storage, "a", NULL);
	assert_int_equal(storage->record.alarm_ms, 0);
}

static void a_transaction_taken_back_leaves_nothing(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, take_back_the_first_write);
	assert_int_equal(rig->effects, 0);
	in_a_turn(rig, assert_no_trace);
}

static void take_back_one_more(struct turn *turn, struct storage *storage)
{
	struct storage_mark mark;
	storage_save(storage, &mark);
	put_text(storage, "c", "3");
	storage_restore(storage, &mark);
}

static void take_back_and_begin_anew(struct turn *turn, struct storage *storage)
{
	take_back_one_more(turn, storage);
	see_nothing(turn, storage);
	begin_anew(turn, storage);
}

static void a_transaction_taken_back_leaves_an_object_as_it_was_alive_or_ended(void **state)
{
	struct turn_rig *rig = *state;
	in_a_turn(rig, live);
	in_a_turn(rig, take_back_one_more);
	assert_int_equal(rig->effects, 0);
	rig->now_ms = filed_ms;
	in_a_turn(rig, take_back_one_more);
	assert_int_equal(rig->effects, 0);
	in_a_turn(rig, take_back_and_begin_anew);
	in_a_turn(rig, check_anew);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(putting_what_is_there_already_writes_nothing),
		TEST(an_object_leaves_nothing_behind),
		TEST(a_storage_may_go_on_after_it_was_closed),
		TEST(a_life_ends_with_the_last_that_the_object_held),
		TEST(whoever_opens_an_object_waits_for_its_last_change),
		TEST(a_record_knows_when_the_object_began_and_changed),
		TEST(an_alarm_has_one_entry_and_each_setting_is_told_from_the_last),
		TEST(a_touched_life_is_never_shorter_and_few_touches_are_written),
		TEST(a_life_that_went_on_is_filed_anew),
		TEST(an_ended_object_is_absent_and_the_first_write_clears_it_away),
		TEST(a_shorter_life_moves_the_entry_forward),
		TEST(an_entry_of_no_life_is_cleared_away_and_ends_none),
		TEST(delete_all_takes_a_life_that_nothing_had_yet),
		TEST(a_thousand_values_are_deleted_one_by_one),
		TEST(more_are_left_to_the_sweep_at_the_cost_of_two_writes),
		TEST(a_sweep_goes_on_where_it_stood),
		TEST(what_is_put_while_the_old_is_swept_stays),
		TEST(a_second_large_delete_all_shares_the_sweep_of_the_first),
		TEST(delete_all_may_keep_what_is_due),
		TEST(schedules_have_a_limit_that_replacing_does_not_touch),
		TEST(a_transaction_taken_back_leaves_nothing),
		TEST(a_transaction_taken_back_leaves_an_object_as_it_was_alive_or_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
