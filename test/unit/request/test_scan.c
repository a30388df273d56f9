/*
 * test_scan: the walk that the SCANs share, over crowds: entries that have the same 40 bits of hash
 * in their keys, as nobody could make them who does not know the secret. The test puts their store
 * keys itself.
 */
#include "request/scan.h"

#include "support/turn_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HASH_LAST (((uint64_t)1 << KEY_HASH_BITS) - 1)
#define ENTRIES   65005
#define CROWD     6000 /* an iteration over it takes 512 times as many looks */

/* What the handlers of this test are to do, and did. */
static uint16_t home;     /* the shard of the entries */
static uint64_t hash;     /* that they have */
static int first, behind; /* the numbers of those to be put or deleted */
static int given[ENTRIES + 1000];
static int page_size;
static uint64_t cursor;
static int64_t count;

static const char prefix_bytes[] = { TABLE_STRING, 0, 0, 0, 0, 0 };

static int set_up_shards(void **state, uint16_t shards)
{
	struct turn_rig *rig = calloc(1, sizeof(*rig));
	turn_rig_init(rig, shards);
	memset(given, 0, sizeof(given));
	*state = rig;
	home = shards / 2;
	hash = 12345;
	return 0;
}

static int set_up(void **state)
{
	return set_up_shards(state, 16);
}

static int set_up_one_shard(void **state)
{
	return set_up_shards(state, 1);
}

static int set_up_many_shards(void **state)
{
	return set_up_shards(state, TURN_RIG_SHARDS_MAX);
}

static int tear_down(void **state)
{
	turn_rig_fini(*state);
	free(*state);
	return 0;
}

static void key_of_number(struct key *out, int number)
{
	char name[16];
	int size = snprintf(name, sizeof(name), "n%05d", number);
	key_of_string_hash(out, 0, 0, hash);
	memcpy(out->bytes + out->size, name, (size_t)size);
	out->size += (size_t)size;
}

static void put_handler(struct turn *turn)
{
	for (int i = first; i < behind; i++) {
		struct key key;
		struct value value = { .type = VALUE_STRING, .data = slice_text("v") };
		key_of_number(&key, i);
		turn_put(turn, home, key_slice(&key), &value);
	}
	writer_ok(&turn->writer);
}

static void delete_handler(struct turn *turn)
{
	for (int i = first; i < behind; i++) {
		struct key key;
		key_of_number(&key, i);
		turn_delete(turn, home, key_slice(&key));
	}
	writer_ok(&turn->writer);
}

static void change(struct turn_rig *rig, command_turn_fn handler, int from, int to)
{
	first = from;
	behind = to;
	turn_rig_run(rig, handler, "CHANGE", NULL);
}

static int64_t give_one(void *context, struct turn *turn, struct slice key, struct slice rest,
	const struct value *value)
{
	assert_true(slice_starts_with(key, slice_of(prefix_bytes, sizeof(prefix_bytes))));
	assert_int_equal(rest.data[0], 'n');
	assert_int_equal(value->data.size, 1);
	assert_int_equal(turn->shard, home);
	char text[16] = { 0 };
	memcpy(text, rest.data + 1, rest.size - 1);
	given[atoi(text)]++;
	page_size++;
	return 1;
}

static void scan_handler(struct turn *turn)
{
	struct scan *scan = turn->state;
	if (scan == NULL) {
		scan = arena_alloc(turn_arena(turn), sizeof(*scan));
		scan_init(scan, turn, cursor);
		scan->left = count;
		scan->each = give_one;
		scan->without_data = true;
		turn->state = scan;
	}
	if (scan_step(scan, turn, slice_of(prefix_bytes, sizeof(prefix_bytes))))
		return;
	cursor = scan_cursor(scan, turn);
	writer_ok(&turn->writer);
}

/* One call; the number of entries it gave. */
static int scan_once(struct turn_rig *rig, int64_t wanted)
{
	page_size = 0;
	count = wanted;
	turn_rig_run(rig, scan_handler, "SCAN", NULL);
	assert_true(cursor >> 53 == 0);
	return page_size;
}

/* A whole iteration: the largest page. */
static int scan_all(struct turn_rig *rig, int64_t wanted)
{
	int largest = 0;
	cursor = 0;
	memset(given, 0, sizeof(given));
	do {
		int size = scan_once(rig, wanted);
		largest = size > largest ? size : largest;
	} while (cursor != 0);
	return largest;
}

static void each_once(int from, int to)
{
	for (int i = from; i < to; i++)
		assert_int_equal(given[i], 1);
}

static void a_crowd_is_given_in_parts(void **state)
{
	struct turn_rig *rig = *state;
	change(rig, put_handler, 0, CROWD);
	/* 512 parts with 16 shards. */
	int largest = scan_all(rig, 10);
	each_once(0, CROWD);
	assert_in_range(largest, 10, 50);
	turn_rig_checkpoint(rig);
	/* Who asks for more gets it, while the work of a call is bounded. */
	largest = scan_all(rig, 1000);
	each_once(0, CROWD);
	assert_in_range(largest, 65536 / CROWD * 10, 1000 + 50);
}

static void other_numbers_of_shards_have_other_parts(void **state)
{
	struct turn_rig *rig = *state;
	int parts = 8192 / rig->shards;
	change(rig, put_handler, 0, 1000);
	int largest = scan_all(rig, 5);
	each_once(0, 1000);
	assert_in_range(largest, 5, 2 * 1000 / parts + 20);
}

static void a_large_crowd_takes_many_turns_and_few_of_it_are_given(void **state)
{
	struct turn_rig *rig = *state;
	change(rig, put_handler, 0, ENTRIES);
	cursor = 0;
	assert_in_range(scan_once(rig, 10), 64, 256);
	assert_true(cursor != 0);
	assert_true(rig->turns >= ENTRIES / 5000);
}

static void a_crowd_has_neighbours(void **state)
{
	struct turn_rig *rig = *state;
	change(rig, put_handler, 0, 1000);
	hash--;
	change(rig, put_handler, 1000, 1001);
	hash += 2;
	change(rig, put_handler, 1001, 1040);
	hash = 0;
	change(rig, put_handler, 1040, 1050);
	hash = HASH_LAST;
	change(rig, put_handler, 1050, 1200);
	turn_rig_checkpoint(rig);
	for (int64_t wanted = 1; wanted < 5000; wanted *= 7) {
		scan_all(rig, wanted);
		each_once(0, 1200);
	}
}

static void few_of_one_hash_are_given_together(void **state)
{
	struct turn_rig *rig = *state;
	change(rig, put_handler, 0, SCAN_CROWD_MAX);
	assert_int_equal(scan_all(rig, 1), SCAN_CROWD_MAX);
	change(rig, put_handler, SCAN_CROWD_MAX, SCAN_CROWD_MAX + 1);
	assert_in_range(scan_all(rig, 1), 1, 10);
	each_once(0, SCAN_CROWD_MAX + 1);
}

/* Those with even numbers are there all the time. */
static void what_stays_is_given_while_others_come_and_go(void **state)
{
	struct turn_rig *rig = *state;
	change(rig, put_handler, 0, 3000);
	cursor = 0;
	for (int round = 0; round == 0 || cursor; round++) {
		scan_once(rig, 10);
		int odd = (round * 37 % 1500) * 2 + 1;
		change(rig, round % 3 ? delete_handler : put_handler, odd, odd + 1);
		if (round % 50 == 49)
			turn_rig_checkpoint(rig);
	}
	for (int i = 0; i < 3000; i++)
		assert_in_range(given[i], i % 2 ? 0 : 1, i % 2 ? 2 : 1);
}

static void a_crowd_may_be_gone_before_its_last_part(void **state)
{
	struct turn_rig *rig = *state;
	change(rig, put_handler, 0, 3000);
	cursor = 0;
	for (int calls = 0; calls < 20; calls++)
		scan_once(rig, 10);
	assert_true(cursor != 0);
	change(rig, delete_handler, 0, 2990);
	while (cursor)
		scan_once(rig, 1);
	each_once(2990, 3000);
}

static void a_crowd_may_come_before_a_scan_is_over(void **state)
{
	struct turn_rig *rig = *state;
	change(rig, put_handler, 0, 3);
	cursor = 0;
	hash++;
	change(rig, put_handler, 3, 6);
	scan_once(rig, 1);
	change(rig, put_handler, 10, 3000);
	while (cursor)
		scan_once(rig, 1);
	each_once(0, 6);
	each_once(10, 3000);
}

/* The entries from `from` on, before `to`, are deleted and no walk has come by. */
static void delete_unseen(struct turn_rig *rig, int from, int to)
{
	turn_rig_checkpoint(rig);
	change(rig, delete_handler, from, to);
	cursor = hash + 1; /* makes the order, which takes turns of its own */
	while (cursor)
		scan_once(rig, 10);
}

/* One call from the start on: the turns that it took. */
static int turns_of_scan(struct turn_rig *rig, int64_t wanted)
{
	cursor = 0;
	scan_once(rig, wanted);
	return (int)rig->turns;
}

static void many_deleted_entries_are_passed_with_pauses(void **state)
{
	struct turn_rig *rig = *state;
	enum { LAST = 3 * CURSOR_REST + 100 };
	change(rig, put_handler, 0, LAST + 1);
	hash++;
	change(rig, put_handler, LAST + 1, LAST + 3);
	hash--;
	delete_unseen(rig, 1, LAST);
	memset(given, 0, sizeof(given));
	assert_int_equal(turns_of_scan(rig, 100), 1 + 3);
	assert_true(cursor == 0);
	each_once(0, 1);
	each_once(LAST, LAST + 3);
	assert_int_equal(page_size, 4);
	assert_int_equal(turns_of_scan(rig, 100), 1);
	assert_int_equal(page_size, 4);
}

static void a_crowd_with_many_deleted_entries_is_given_with_pauses(void **state)
{
	struct turn_rig *rig = *state;
	enum { LAST = 3 * CURSOR_REST + 200 };
	change(rig, put_handler, 0, LAST);
	delete_unseen(rig, 100, LAST - 100);
	int first_turns = turns_of_scan(rig, 1);
	assert_true(cursor != 0);
	assert_int_equal(first_turns - turns_of_scan(rig, 1), 3);
	scan_all(rig, 10);
	each_once(0, 100);
	each_once(LAST - 100, LAST);
	for (int i = 100; i < LAST - 100; i++)
		assert_int_equal(given[i], 0);
}

static void a_cursor_that_names_nothing_is_behind_the_end(void **state)
{
	struct turn_rig *rig = *state;
	static const uint64_t beyond[] = { (uint64_t)1 << 53, UINT64_MAX };
	change(rig, put_handler, 0, 10);
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		cursor = beyond[i];
		assert_int_equal(scan_once(rig, 10), 0);
		assert_true(cursor == 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_crowd_is_given_in_parts),
		cmocka_unit_test_setup_teardown(
			other_numbers_of_shards_have_other_parts, set_up_one_shard, tear_down),
		cmocka_unit_test_setup_teardown(
			other_numbers_of_shards_have_other_parts, set_up_many_shards, tear_down),
		TEST(a_large_crowd_takes_many_turns_and_few_of_it_are_given),
		TEST(a_crowd_has_neighbours),
		TEST(few_of_one_hash_are_given_together),
		TEST(what_stays_is_given_while_others_come_and_go),
		TEST(a_crowd_may_be_gone_before_its_last_part),
		TEST(a_crowd_may_come_before_a_scan_is_over),
		cmocka_unit_test_setup_teardown(
			many_deleted_entries_are_passed_with_pauses, set_up_one_shard, tear_down),
		cmocka_unit_test_setup_teardown(
			a_crowd_with_many_deleted_entries_is_given_with_pauses, set_up_one_shard,
			tear_down),
		TEST(a_cursor_that_names_nothing_is_behind_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
