/*
 * The commands that go over whole databases: SCAN's guarantee while keys come and go and
 * checkpoints pass, how much work one call does, and listings against what was written.
 */
#include "strings/strings.h"

#include "base/random.h"
#include "store/key.h"
#include "support/damage.h"
#include "support/turn_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEYS 600

struct page {
	unsigned long long cursor;
	size_t count;
	int keys[KEYS]; /* of names k0, k1, ...; others are not noted */
};

static int set_up_shards(void **state, uint16_t shards)
{
	struct turn_rig *rig = calloc(1, sizeof(*rig));
	turn_rig_init(rig, shards);
	*state = rig;
	return 0;
}

static int set_up(void **state)
{
	return set_up_shards(state, 5);
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

static void set_number(struct turn_rig *rig, int i, const char *expire_ms)
{
	char name[16];
	snprintf(name, sizeof(name), "k%d", i);
	if (expire_ms)
		turn_rig_run(rig, strings_set, "SET", name, "v", "PX", expire_ms, NULL);
	else
		turn_rig_run(rig, strings_set, "SET", name, "v", NULL);
}

static void delete_number(struct turn_rig *rig, int i)
{
	char name[16];
	snprintf(name, sizeof(name), "k%d", i);
	turn_rig_run(rig, keys_del, "DEL", name, NULL);
}

/* Reads `*2 $n cursor *count (bulk)*`. */
static void read_page(const struct turn_rig *rig, struct page *page)
{
	const char *at = strstr(rig->reply, "\r\n");
	at = strstr(at + 2, "\r\n") + 2;
	char *end;
	page->cursor = strtoull(at, &end, 10);
	assert_memory_equal(end, "\r\n*", 3);
	unsigned long count = strtoul(end + 3, &end, 10);
	page->count = 0;
	for (unsigned long i = 0; i < count; i++) {
		at = strstr(end + 2, "\r\n") + 2;
		end = strstr(at, "\r\n");
		int number;
		if (sscanf(at, "k%d", &number) == 1 && page->count < KEYS)
			page->keys[page->count++] = number;
	}
	assert_string_equal(end, "\r\n");
}

static void scan(
	struct turn_rig *rig, unsigned long long cursor, const char *count, struct page *page)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", cursor);
	turn_rig_run(rig, keys_scan, "SCAN", text, "COUNT", count, NULL);
	read_page(rig, page);
	assert_true(page->cursor < 1ull << 53);
}

static void a_scan_gives_each_key_of_a_still_database_once(void **state)
{
	struct turn_rig *rig = *state;
	static const char *const counts[] = { "1", "3", "10", "599", "600", "601", "1000000000" };
	for (int i = 0; i < KEYS; i++) {
		set_number(rig, i, NULL);
		if (i == KEYS / 2)
			turn_rig_checkpoint(rig);
	}
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		int given[KEYS] = { 0 };
		struct page page = { 0 };
		do {
			scan(rig, page.cursor, counts[c], &page);
			for (size_t i = 0; i < page.count; i++)
				given[page.keys[i]]++;
		} while (page.cursor != 0);
		for (int i = 0; i < KEYS; i++)
			assert_int_equal(given[i], 1);
	}
}

static void what_stays_is_given_while_others_come_and_go(void **state)
{
	struct turn_rig *rig = *state;
	struct random random;
	random_seed(&random, 7);
	/* Even numbers stay, odd ones come and go. */
	for (int i = 0; i < KEYS; i += 2)
		set_number(rig, i, NULL);
	for (int round = 0; round < 30; round++) {
		bool given[KEYS] = { 0 };
		struct page page = { 0 };
		do {
			scan(rig, page.cursor, "7", &page);
			for (size_t i = 0; i < page.count; i++)
				given[page.keys[i]] = true;
			for (int change = 0; change < 10; change++) {
				int i = (int)random_below(&random, KEYS / 2) * 2;
				if (random_below(&random, 2))
					set_number(rig, i + 1, NULL);
				else
					delete_number(rig, i + 1);
				set_number(rig, i, NULL);
			}
			if (random_below(&random, 15) == 0)
				turn_rig_checkpoint(rig);
		} while (page.cursor != 0);
		for (int i = 0; i < KEYS; i += 2)
			assert_true(given[i]);
	}
}

static void one_call_does_a_bounded_amount_of_work(void **state)
{
	struct turn_rig *rig = *state;
	struct page page;
	for (int i = 0; i < KEYS; i++)
		set_number(rig, i, NULL);
	/* No key matches: the call ends all the same. */
	turn_rig_run(rig, keys_scan, "SCAN", "0", "MATCH", "nothing", "COUNT", "5", NULL);
	read_page(rig, &page);
	assert_int_equal(page.count, 0);
	assert_true(page.cursor != 0);
	assert_true(rig->turns <= 2);
	turn_rig_run(rig, keys_scan, "SCAN", "0", "TYPE", "zset", NULL);
	assert_string_equal(rig->reply, "*2\r\n$1\r\n0\r\n*0\r\n");
	assert_int_equal(rig->turns, 1);
}

static void a_small_database_of_many_shards_takes_few_calls(void **state)
{
	struct turn_rig *rig = *state;
	struct page page = { 0 };
	for (int i = 0; i < 9; i++)
		set_number(rig, i, NULL);
	size_t found = 0, calls = 0;
	do {
		scan(rig, page.cursor, "10", &page);
		found += page.count;
		calls++;
	} while (page.cursor != 0);
	assert_int_equal(found, 9);
	assert_true(calls <= 2);
}

static void cursors_that_name_no_position_end_the_scan(void **state)
{
	struct turn_rig *rig = *state;
	static const char *const cursors[] = { "18446744073709551615", "-1", "9007199254740991",
		"5497558138880" };
	for (int i = 0; i < 50; i++)
		set_number(rig, i, NULL);
	for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
		turn_rig_run(rig, keys_scan, "SCAN", cursors[i], NULL);
		assert_string_equal(rig->reply, "*2\r\n$1\r\n0\r\n*0\r\n");
	}
	turn_rig_run(rig, keys_scan, "SCAN", "12a", NULL);
	assert_string_equal(rig->reply, "-" ERROR_INVALID_CURSOR "\r\n");
}

static void ended_lives_are_not_listed(void **state)
{
	struct turn_rig *rig = *state;
	struct page page;
	for (int i = 0; i < 20; i++)
		set_number(rig, i, i % 2 ? "100" : NULL);
	rig->now_ms += 100;
	scan(rig, 0, "1000", &page);
	assert_int_equal(page.count, 10);
	assert_int_equal(strtol(turn_rig_run(rig, keys_keys, "KEYS", "*", NULL) + 1, NULL, 10), 10);
	for (int i = 0; i < 100; i++) {
		int number;
		turn_rig_run(rig, keys_randomkey, "RANDOMKEY", NULL);
		assert_int_equal(sscanf(strstr(rig->reply, "\r\n") + 2, "k%d", &number), 1);
		assert_int_equal(number % 2, 0);
	}
}

static void a_listing_waits_for_every_write_of_the_shards_it_saw(void **state)
{
	struct turn_rig *rig = *state;
	for (int i = 0; i < 20; i++)
		set_number(rig, i, NULL);
	turn_rig_run(rig, keys_keys, "KEYS", "nothing", NULL);
	assert_int_equal(rig->read_lsn, 20);
	turn_rig_run(rig, keys_dbsize, "DBSIZE", NULL);
	assert_int_equal(rig->read_lsn, 20);
	turn_rig_run(rig, keys_scan, "SCAN", "0", "COUNT", "1000", NULL);
	assert_int_equal(rig->read_lsn, 20);
}

static void listings_leave_out_other_databases_and_generations(void **state)
{
	struct turn_rig *rig = *state;
	struct page page;
	set_number(rig, 1, NULL);
	turn_rig_run(rig, keys_flushdb, "FLUSHDB", NULL);
	set_number(rig, 2, NULL);
	rig->db = 1;
	set_number(rig, 3, NULL);
	turn_rig_checkpoint(rig);
	scan(rig, 0, "1000", &page);
	assert_int_equal(page.count, 1);
	assert_int_equal(page.keys[0], 3);
	rig->db = 0;
	assert_string_equal(turn_rig_run(rig, keys_keys, "KEYS", "*", NULL), "*1\r\n$2\r\nk2\r\n");
	assert_string_equal(turn_rig_run(rig, keys_randomkey, "RANDOMKEY", NULL), "$2\r\nk2\r\n");
	assert_string_equal(turn_rig_run(rig, keys_dbsize, "DBSIZE", NULL), ":1\r\n");
}

static void random_keys_come_from_everywhere(void **state)
{
	struct turn_rig *rig = *state;
	int given[8] = { 0 };
	for (int i = 0; i < 8; i++)
		set_number(rig, i, NULL);
	for (int i = 0; i < 2000; i++) {
		int number;
		turn_rig_run(rig, keys_randomkey, "RANDOMKEY", NULL);
		assert_int_equal(sscanf(strstr(rig->reply, "\r\n") + 2, "k%d", &number), 1);
		given[number]++;
	}
	for (int i = 0; i < 8; i++)
		assert_true(given[i] > 0);
}

static void pick_key(void *context)
{
	turn_rig_run(context, keys_randomkey, "RANDOMKEY", NULL);
}

static void a_damaged_key_is_a_fault(void **state)
{
	struct turn_rig *rig = *state;
	const char *said = "the key of a string is damaged: shard 0, table 2, key of 8 bytes";
	damage_put(rig->stores[0], 0, slice_of("\2\0\0\0\0\0\0\1", 8), VALUE_STRING, 0,
		slice_text("v"));
	assert_fault(pick_key, rig, said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_scan_gives_each_key_of_a_still_database_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_stays_is_given_while_others_come_and_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_call_does_a_bounded_amount_of_work, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_small_database_of_many_shards_takes_few_calls,
			set_up_many_shards, tear_down),
		cmocka_unit_test_setup_teardown(
			cursors_that_name_no_position_end_the_scan, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ended_lives_are_not_listed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_listing_waits_for_every_write_of_the_shards_it_saw, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			listings_leave_out_other_databases_and_generations, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			random_keys_come_from_everywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_damaged_key_is_a_fault, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
