/*
 * The value commands on real stores: what they read and write, and what their replies wait for.
 * Replies and errors in all their combinations are compared with Redis's by the wire tests.
 */
#include "strings/strings.h"

#include "support/turn_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHARDS 4

static int set_up(void **state)
{
	struct turn_rig *rig = calloc(1, sizeof(*rig));
	turn_rig_init(rig, SHARDS);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	turn_rig_fini(*state);
	free(*state);
	return 0;
}

static void set(struct turn_rig *rig, const char *key, const char *value)
{
	assert_string_equal(turn_rig_run(rig, strings_set, "SET", key, value, NULL), "+OK\r\n");
}

static const char *get(struct turn_rig *rig, const char *key)
{
	return turn_rig_run(rig, strings_get, "GET", key, NULL);
}

static void set_answers_ok_and_get_gives_it_back(void **state)
{
	struct turn_rig *rig = *state;
	assert_string_equal(get(rig, "k"), "$-1\r\n");
	set(rig, "k", "value");
	assert_string_equal(get(rig, "k"), "$5\r\nvalue\r\n");
	turn_rig_checkpoint(rig);
	assert_string_equal(get(rig, "k"), "$5\r\nvalue\r\n");
	rig->protocol = 3;
	assert_string_equal(get(rig, "none"), "_\r\n");
}

static void a_plain_set_depends_on_nothing_it_replaces(void **state)
{
	struct turn_rig *rig = *state;
	set(rig, "k", "1");
	set(rig, "k", "2");
	assert_int_equal(rig->read_lsn, 0);
	turn_rig_run(rig, strings_setex, "SETEX", "k", "10", "3", NULL);
	assert_int_equal(rig->read_lsn, 0);
	turn_rig_run(rig, strings_mset, "MSET", "k", "4", "l", "5", NULL);
	assert_int_equal(rig->read_lsn, 0);
	assert_int_equal(rig->effects, 2);
	turn_rig_run(rig, strings_set, "SET", "k", "6", "KEEPTTL", NULL);
	assert_int_equal(rig->read_lsn, 4);
}

static void a_read_waits_for_the_write_it_saw_until_that_is_settled(void **state)
{
	struct turn_rig *rig = *state;
	set(rig, "k", "1");
	set(rig, "other", "1");
	get(rig, "k");
	assert_int_equal(rig->read_lsn, 1);
	turn_rig_run(rig, strings_mget, "MGET", "k", "other", NULL);
	assert_int_equal(rig->read_lsn, 2);
	turn_rig_run(rig, keys_del, "DEL", "k", NULL);
	get(rig, "k");
	assert_int_equal(rig->read_lsn, 3);
	turn_rig_checkpoint(rig);
	get(rig, "other");
	assert_int_equal(rig->read_lsn, 0);
}

static void reading_writes_nothing(void **state)
{
	struct turn_rig *rig = *state;
	turn_rig_run(rig, strings_set, "SET", "k", "12", "PX", "5", NULL);
	for (int i = 0; i < 2; i++) {
		turn_rig_run(rig, strings_get, "GET", "k", NULL);
		assert_int_equal(rig->effects, 0);
		turn_rig_run(rig, strings_getex, "GETEX", "k", NULL);
		assert_int_equal(rig->effects, 0);
		turn_rig_run(rig, strings_append, "APPEND", i ? "none" : "k", i ? "x" : "", NULL);
		assert_int_equal(rig->effects, i);
		turn_rig_run(rig, strings_setrange, "SETRANGE", "k", "9", "", NULL);
		assert_int_equal(rig->effects, 0);
		turn_rig_run(rig, strings_getdel, "GETDEL", "missing", NULL);
		assert_int_equal(rig->effects, 0);
		turn_rig_run(rig, keys_del, "DEL", "missing", NULL);
		assert_int_equal(rig->effects, 0);
		turn_rig_run(rig, keys_persist, "PERSIST", "other", NULL);
		assert_int_equal(rig->effects, 0);
		rig->now_ms += 10;
	}
	turn_rig_run(rig, strings_set, "SET", "k", "13", "NX", NULL);
	assert_int_equal(rig->effects, 1);
	turn_rig_run(rig, strings_set, "SET", "k", "14", "NX", NULL);
	assert_int_equal(rig->effects, 0);
}

static void an_error_leaves_no_change(void **state)
{
	struct turn_rig *rig = *state;
	char key[LIMIT_KEY_BYTES + 2];
	memset(key, 'k', LIMIT_KEY_BYTES + 1);
	key[LIMIT_KEY_BYTES + 1] = '\0';
	turn_rig_run(rig, strings_mset, "MSET", "a", "1", key, "2", NULL);
	assert_string_equal(rig->reply, "-" ERROR_KEY_TOO_LONG "\r\n");
	assert_int_equal(rig->effects, 0);
	turn_rig_run(rig, strings_mget, "MGET", "a", key, NULL);
	assert_string_equal(rig->reply, "-" ERROR_KEY_TOO_LONG "\r\n");
	set(rig, "a", "1");
	turn_rig_run(rig, keys_del, "DEL", "a", key, NULL);
	assert_true(rig->failed);
	assert_string_equal(get(rig, "a"), "$1\r\n1\r\n");
	key[LIMIT_KEY_BYTES] = '\0';
	set(rig, key, "longest");
	turn_rig_checkpoint(rig);
	assert_string_equal(get(rig, key), "$7\r\nlongest\r\n");
}

static void a_past_moment_deletes_instead_of_being_stored(void **state)
{
	struct turn_rig *rig = *state;
	set(rig, "k", "1");
	turn_rig_run(rig, strings_set, "SET", "k", "2", "PXAT", "1000", NULL);
	assert_string_equal(get(rig, "k"), "$-1\r\n");
	assert_string_equal(turn_rig_run(rig, keys_dbsize, "DBSIZE", NULL), ":0\r\n");
}

static void values_do_not_grow_beyond_the_limit(void **state)
{
	struct turn_rig *rig = *state;
	rig->config.value_bytes_max = 10;
	set(rig, "k", "12345678");
	assert_string_equal(
		turn_rig_run(rig, strings_append, "APPEND", "k", "90", NULL), ":10\r\n");
	turn_rig_run(rig, strings_append, "APPEND", "k", "x", NULL);
	assert_string_equal(rig->reply, "-" ERROR_STRING_TOO_LONG "\r\n");
	turn_rig_run(rig, strings_setrange, "SETRANGE", "k", "9", "xy", NULL);
	assert_string_equal(rig->reply, "-" ERROR_STRING_TOO_LONG "\r\n");
	turn_rig_run(rig, strings_setrange, "SETRANGE", "k", "9223372036854775807", "x", NULL);
	assert_string_equal(rig->reply, "-" ERROR_STRING_TOO_LONG "\r\n");
	turn_rig_run(rig, strings_setrange, "SETRANGE", "k", "9", "x", NULL);
	assert_string_equal(rig->reply, ":10\r\n");
	assert_string_equal(get(rig, "k"), "$10\r\n123456789x\r\n");
}

static void increments_keep_the_end_of_life(void **state)
{
	struct turn_rig *rig = *state;
	turn_rig_run(rig, strings_set, "SET", "k", "5", "PX", "1000", NULL);
	assert_string_equal(turn_rig_run(rig, strings_incr, "INCR", "k", NULL), ":6\r\n");
	turn_rig_run(rig, strings_incrbyfloat, "INCRBYFLOAT", "k", "0.25", NULL);
	assert_string_equal(rig->reply, "$4\r\n6.25\r\n");
	assert_string_equal(turn_rig_run(rig, keys_pttl, "PTTL", "k", NULL), ":1000\r\n");
	rig->now_ms += 1000;
	assert_string_equal(turn_rig_run(rig, strings_incr, "INCR", "k", NULL), ":1\r\n");
	assert_string_equal(turn_rig_run(rig, keys_pttl, "PTTL", "k", NULL), ":-1\r\n");
}

static void a_value_that_has_ended_is_as_good_as_absent(void **state)
{
	struct turn_rig *rig = *state;
	for (int settled = 0; settled < 2; settled++) {
		turn_rig_run(rig, strings_set, "SET", "k", "v", "PX", "100", NULL);
		if (settled)
			turn_rig_checkpoint(rig);
		rig->now_ms += 99;
		assert_string_equal(get(rig, "k"), "$1\r\nv\r\n");
		rig->now_ms += 1;
		assert_string_equal(get(rig, "k"), "$-1\r\n");
		assert_string_equal(turn_rig_run(rig, keys_exists, "EXISTS", "k", NULL), ":0\r\n");
		assert_string_equal(
			turn_rig_run(rig, strings_strlen, "STRLEN", "k", NULL), ":0\r\n");
		turn_rig_run(rig, strings_set, "SET", "k", "w", "XX", NULL);
		assert_string_equal(rig->reply, "$-1\r\n");
		turn_rig_run(rig, strings_set, "SET", "k", "w", "KEEPTTL", NULL);
		assert_string_equal(turn_rig_run(rig, keys_ttl, "TTL", "k", NULL), ":-1\r\n");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			set_answers_ok_and_get_gives_it_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_plain_set_depends_on_nothing_it_replaces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_read_waits_for_the_write_it_saw_until_that_is_settled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reading_writes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_error_leaves_no_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_past_moment_deletes_instead_of_being_stored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			values_do_not_grow_beyond_the_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(increments_keep_the_end_of_life, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_value_that_has_ended_is_as_good_as_absent, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
