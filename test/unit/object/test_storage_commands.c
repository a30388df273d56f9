/*
 * The DO.* commands on values, alarm and life of one object: replies, options, and that a command
 * that is refused has changed nothing. There are no classes here: every object's gate is open.
 */
#include "object/commands.h"

#include "object/packed.h"
#include "object/storage.h"
#include "support/turn_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int set_up(void **state)
{
	struct turn_rig *rig = calloc(1, sizeof(*rig));
	turn_rig_init(rig, 4);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	turn_rig_fini(*state);
	free(*state);
	return 0;
}

#define SAYS(rig, reply, ...)  assert_string_equal(turn_rig_run(rig, __VA_ARGS__, NULL), reply)
#define LISTS(rig, reply, ...) SAYS(rig, reply, do_list, "DO.LIST", "C", "id", "KEYS", __VA_ARGS__)

static void put(struct turn_rig *rig, const char *key, const char *value)
{
	SAYS(rig, "+OK\r\n", do_put, "DO.PUT", "C", "id", key, value);
}

static void assert_absent(struct turn_rig *rig, const char *key)
{
	SAYS(rig, "$-1\r\n", do_get, "DO.GET", "C", "id", key);
}

static void values_are_put_read_and_deleted(void **state)
{
	struct turn_rig *rig = *state;
	assert_absent(rig, "a");
	SAYS(rig, "+OK\r\n", do_put, "DO.PUT", "C", "id", "a", "1", "b", "", "a", "2");
	SAYS(rig, "$1\r\n2\r\n", do_get, "DO.GET", "C", "id", "a");
	SAYS(rig, "$0\r\n\r\n", do_get, "DO.GET", "C", "id", "b");
	SAYS(rig, "*3\r\n$1\r\n2\r\n$-1\r\n$1\r\n2\r\n", do_get, "DO.GET", "C", "id", "a", "x",
		"a");
	SAYS(rig, "$-1\r\n", do_get, "DO.GET", "C", "other", "a");
	SAYS(rig, "$-1\r\n", do_get, "DO.GET", "D", "id", "a");
	SAYS(rig, ":1\r\n", do_del, "DO.DEL", "C", "id", "a", "a", "x");
	SAYS(rig, ":0\r\n", do_del, "DO.DEL", "C", "id", "a");
	rig->protocol = 3;
	SAYS(rig, "*2\r\n_\r\n$0\r\n\r\n", do_get, "DO.GET", "C", "id", "a", "b");
}

static void put_packed(struct turn *turn)
{
	struct object_name name = { slice_text("C"), slice_text("id") };
	struct storage storage;
	struct buffer packed;
	buffer_init(&packed);
	packed_add_integer(&packed, -42);
	struct value value = {
		.type = VALUE_PACKED,
		.data = arena_copy(turn_arena(turn), buffer_slice(&packed)),
	};
	buffer_fini(&packed);
	storage_open(&storage, turn, &name);
	storage_put(&storage, slice_text("n"), &value);
	storage_close(&storage);
}

static void typed_values_are_shown_as_text(void **state)
{
	struct turn_rig *rig = *state;
	turn_rig_run(rig, put_packed, NULL);
	SAYS(rig, "$3\r\n-42\r\n", do_get, "DO.GET", "C", "id", "n");
	SAYS(rig, "*2\r\n$1\r\nn\r\n$3\r\n-42\r\n", do_list, "DO.LIST", "C", "id");
}

static void a_pair_that_is_wrong_spoils_the_whole_put(void **state)
{
	struct turn_rig *rig = *state;
	char long_key[LIMIT_KEY_BYTES + 2];
	memset(long_key, 'k', sizeof(long_key) - 1);
	long_key[sizeof(long_key) - 1] = '\0';
	rig->config.value_bytes_max = 4;
	put(rig, "a", "old");
	SAYS(rig, "-ERR value of 5 bytes exceeds max-value-size (4)\r\n", do_put, "DO.PUT", "C",
		"id", "a", "1", "b", "2", "c", "12345");
	SAYS(rig, "-ERR a storage key is 1 to 2048 bytes long\r\n", do_put, "DO.PUT", "C", "id",
		"a", "1", "", "2");
	SAYS(rig, "-ERR a storage key is 1 to 2048 bytes long\r\n", do_put, "DO.PUT", "C", "id",
		"a", "1", long_key, "2");
	SAYS(rig, "-ERR wrong number of arguments for 'handler' command: HANDLER words\r\n", do_put,
		"DO.PUT", "C", "id", "a", "1", "b");
	assert_int_equal(rig->effects, 0);
	SAYS(rig, "$3\r\nold\r\n", do_get, "DO.GET", "C", "id", "a");
	assert_absent(rig, "b");
	long_key[LIMIT_KEY_BYTES] = '\0';
	put(rig, long_key, "1234");
	SAYS(rig, "$4\r\n1234\r\n", do_get, "DO.GET", "C", "id", long_key);
}

static void keys_have_bounds_in_reads_and_deletes_too(void **state)
{
	struct turn_rig *rig = *state;
	const char *error = "-ERR a storage key is 1 to 2048 bytes long\r\n";
	SAYS(rig, error, do_get, "DO.GET", "C", "id", "a", "");
	SAYS(rig, error, do_del, "DO.DEL", "C", "id", "");
}

/* The conformance list's keys. */
static void put_four(struct turn_rig *rig)
{
	SAYS(rig, "+OK\r\n", do_put, "DO.PUT", "C", "id", "foo", "1", "bar", "2", "baz", "3", "qux",
		"4");
}

static void lists_are_sorted_and_show_keys_and_values(void **state)
{
	struct turn_rig *rig = *state;
	SAYS(rig, "*0\r\n", do_list, "DO.LIST", "C", "id");
	put_four(rig);
	SAYS(rig,
		"*8\r\n$3\r\nbar\r\n$1\r\n2\r\n$3\r\nbaz\r\n$1\r\n3\r\n$3\r\nfoo\r\n$1\r\n1\r\n"
		"$3\r\nqux\r\n$1\r\n4\r\n",
		do_list, "DO.LIST", "C", "id");
	SAYS(rig, "*4\r\n$3\r\nbar\r\n$3\r\nbaz\r\n$3\r\nfoo\r\n$3\r\nqux\r\n", do_list, "DO.LIST",
		"C", "id", "keys");
}

static void lists_have_bounds(void **state)
{
	struct turn_rig *rig = *state;
	put_four(rig);
	const char *foo_qux = "*2\r\n$3\r\nfoo\r\n$3\r\nqux\r\n";
	const char *bar_baz = "*2\r\n$3\r\nbar\r\n$3\r\nbaz\r\n";
	const char *qux = "*1\r\n$3\r\nqux\r\n", *baz = "*1\r\n$3\r\nbaz\r\n";
	LISTS(rig, foo_qux, "START", "foo");
	LISTS(rig, qux, "start", "foo ");
	LISTS(rig, qux, "STARTAFTER", "foo");
	LISTS(rig, bar_baz, "END", "foo");
	LISTS(rig, bar_baz, "PREFIX", "ba");
	LISTS(rig, bar_baz, "Limit", "2");
	LISTS(rig, "*2\r\n$3\r\nqux\r\n$3\r\nfoo\r\n", "REVERSE", "LIMIT", "2");
	LISTS(rig, baz, "LIMIT", "1", "END", "foo", "REVERSE");
	LISTS(rig, baz, "PREFIX", "ba", "STARTAFTER", "bar");
	LISTS(rig, "*0\r\n", "END", "");
	LISTS(rig, "*0\r\n", "START", "foo", "END", "foo");
	LISTS(rig, "*0\r\n", "START", "foo", "PREFIX", "ba");
	LISTS(rig, "*4\r\n$3\r\nbar\r\n$3\r\nbaz\r\n$3\r\nfoo\r\n$3\r\nqux\r\n", "START", "",
		"PREFIX", "", "LIMIT", "9223372036854775807");
}

static void options_of_a_list_that_make_no_sense_are_refused(void **state)
{
	struct turn_rig *rig = *state;
	const char *limit = "-ERR LIMIT must be an integer above 0\r\n";
	LISTS(rig, TURN_RIG_MISFIT("'KEYS'"), "KEYS");
	LISTS(rig, TURN_RIG_MISFIT("'REVERSE'"), "REVERSE", "REVERSE");
	LISTS(rig, TURN_RIG_MISFIT("'START'"), "START", "a", "START", "b");
	LISTS(rig, TURN_RIG_MISFIT("'PREFIX'"), "PREFIX", "", "PREFIX", "");
	LISTS(rig, TURN_RIG_MISFIT("'LIMIT'"), "LIMIT", "1", "LIMIT", "2");
	LISTS(rig, TURN_RIG_MISFIT("the end"), "END");
	LISTS(rig, TURN_RIG_MISFIT("the end"), "LIMIT");
	LISTS(rig, TURN_RIG_MISFIT("'BOGUS'"), "BOGUS");
	LISTS(rig, limit, "LIMIT", "0");
	LISTS(rig, limit, "LIMIT", "-1");
	LISTS(rig, limit, "LIMIT", "x");
	LISTS(rig, "-ERR START and STARTAFTER at the same time are not compatible\r\n",
		"STARTAFTER", "a", "START", "b");
}

static void delete_all_counts_and_takes_the_alarm_unless_it_is_kept(void **state)
{
	struct turn_rig *rig = *state;
	SAYS(rig, ":0\r\n", do_deleteall, "DO.DELETEALL", "C", "id");
	put_four(rig);
	SAYS(rig, "+OK\r\n", do_setalarm, "DO.SETALARM", "C", "id", "1800000000000");
	SAYS(rig, TURN_RIG_MISFIT("'ALARM'"), do_deleteall, "DO.DELETEALL", "C", "id", "ALARM");
	SAYS(rig, TURN_RIG_MISFIT("'x'"), do_deleteall, "DO.DELETEALL", "C", "id", "KEEPALARM",
		"x");
	SAYS(rig, ":4\r\n", do_deleteall, "DO.DELETEALL", "C", "id", "keepalarm");
	SAYS(rig, ":1800000000000\r\n", do_getalarm, "DO.GETALARM", "C", "id");
	put(rig, "again", "1");
	SAYS(rig, ":1\r\n", do_deleteall, "DO.DELETEALL", "C", "id");
	SAYS(rig, "$-1\r\n", do_getalarm, "DO.GETALARM", "C", "id");
	SAYS(rig, "*0\r\n", do_list, "DO.LIST", "C", "id");
	put(rig, "after", "1");
	SAYS(rig, "*1\r\n$5\r\nafter\r\n", do_list, "DO.LIST", "C", "id", "KEYS");
}

static void an_alarm_is_set_read_and_deleted(void **state)
{
	struct turn_rig *rig = *state;
	SAYS(rig, "$-1\r\n", do_getalarm, "DO.GETALARM", "C", "id");
	SAYS(rig, ":0\r\n", do_delalarm, "DO.DELALARM", "C", "id");
	SAYS(rig, "+OK\r\n", do_setalarm, "DO.SETALARM", "C", "id", "1800000000000");
	SAYS(rig, ":1800000000000\r\n", do_getalarm, "DO.GETALARM", "C", "id");
	SAYS(rig, "+OK\r\n", do_setalarm, "DO.SETALARM", "C", "id", "1");
	SAYS(rig, ":1700000000000\r\n", do_getalarm, "DO.GETALARM", "C", "id");
	SAYS(rig, ":1\r\n", do_delalarm, "DO.DELALARM", "C", "id");
	SAYS(rig, "$-1\r\n", do_getalarm, "DO.GETALARM", "C", "id");
	rig->protocol = 3;
	SAYS(rig, "_\r\n", do_getalarm, "DO.GETALARM", "C", "id");
}

static void an_alarm_needs_a_time(void **state)
{
	struct turn_rig *rig = *state;
	static const char *const bad[] = { "0", "-1", "NaN", "1.5", "", "1e12",
		"9223372036854775808" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		SAYS(rig,
			"-ERR time is not an integer of milliseconds above 0, or out of range\r\n",
			do_setalarm, "DO.SETALARM", "C", "id", bad[i]);
	SAYS(rig, "$-1\r\n", do_getalarm, "DO.GETALARM", "C", "id");
}

static void a_life_is_given_looked_at_and_taken_off(void **state)
{
	struct turn_rig *rig = *state;
	SAYS(rig, ":0\r\n", do_expire, "DO.EXPIRE", "C", "id", "10");
	SAYS(rig, ":-2\r\n", do_ttl, "DO.TTL", "C", "id");
	put(rig, "a", "1");
	SAYS(rig, ":-1\r\n", do_ttl, "DO.TTL", "C", "id");
	SAYS(rig, ":0\r\n", do_persist, "DO.PERSIST", "C", "id");
	SAYS(rig, ":1\r\n", do_expire, "DO.EXPIRE", "C", "id", "10");
	SAYS(rig, ":10\r\n", do_ttl, "DO.TTL", "C", "id");
	rig->now_ms += 9001;
	SAYS(rig, ":1\r\n", do_ttl, "DO.TTL", "C", "id");
	SAYS(rig, ":1\r\n", do_persist, "DO.PERSIST", "C", "id");
	SAYS(rig, ":-1\r\n", do_ttl, "DO.TTL", "C", "id");
	SAYS(rig, ":1\r\n", do_expire, "DO.EXPIRE", "C", "id", "1");
	rig->now_ms += 999;
	SAYS(rig, "$1\r\n1\r\n", do_get, "DO.GET", "C", "id", "a");
	rig->now_ms += 1;
	assert_absent(rig, "a");
	SAYS(rig, "*0\r\n", do_list, "DO.LIST", "C", "id");
	SAYS(rig, ":-2\r\n", do_ttl, "DO.TTL", "C", "id");
	SAYS(rig, ":0\r\n", do_persist, "DO.PERSIST", "C", "id");
	SAYS(rig, ":0\r\n", do_expire, "DO.EXPIRE", "C", "id", "10");
	SAYS(rig, ":0\r\n", do_deleteall, "DO.DELETEALL", "C", "id");
}

static void a_sliding_life_begins_anew_with_each_use_but_not_with_a_look(void **state)
{
	struct turn_rig *rig = *state;
	put(rig, "a", "1");
	SAYS(rig, ":1\r\n", do_expire, "DO.EXPIRE", "C", "id", "10", "touch");
	rig->now_ms += 6000;
	SAYS(rig, ":4\r\n", do_ttl, "DO.TTL", "C", "id");
	SAYS(rig, ":4\r\n", do_ttl, "DO.TTL", "C", "id");
	SAYS(rig, "$1\r\n1\r\n", do_get, "DO.GET", "C", "id", "a");
	SAYS(rig, ":10\r\n", do_ttl, "DO.TTL", "C", "id");
	rig->now_ms += 6000;
	put(rig, "b", "1");
	SAYS(rig, ":10\r\n", do_ttl, "DO.TTL", "C", "id");
}

static void a_life_has_bounds(void **state)
{
	struct turn_rig *rig = *state;
	static const char *const bad[] = { "0", "-1", "x", "1.5", "315360001",
		"9223372036854775807" };
	put(rig, "a", "1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		SAYS(rig, "-ERR life is not an integer of seconds from 1 to 315360000\r\n",
			do_expire, "DO.EXPIRE", "C", "id", bad[i]);
	SAYS(rig, TURN_RIG_MISFIT("'SLIDE'"), do_expire, "DO.EXPIRE", "C", "id", "10", "SLIDE");
	SAYS(rig, TURN_RIG_MISFIT("'TOUCH'"), do_expire, "DO.EXPIRE", "C", "id", "10", "TOUCH",
		"TOUCH");
	SAYS(rig, ":1\r\n", do_expire, "DO.EXPIRE", "C", "id", "315360000");
	SAYS(rig, ":315360000\r\n", do_ttl, "DO.TTL", "C", "id");
}

static void every_command_judges_class_and_id(void **state)
{
	struct turn_rig *rig = *state;
	const char *bad_class = "-ERR a class name is 1 to 64 letters, digits and underscores, and "
				"starts with a letter\r\n";
	const char *bad_id = "-ERR an id is 1 to 2048 bytes long\r\n";
	char long_class[LIMIT_CLASS_NAME_BYTES + 2];
	memset(long_class, 'c', sizeof(long_class) - 1);
	long_class[sizeof(long_class) - 1] = '\0';
	SAYS(rig, bad_class, do_get, "DO.GET", "1", "id", "k");
	SAYS(rig, bad_class, do_put, "DO.PUT", "a b", "id", "k", "v");
	SAYS(rig, bad_class, do_del, "DO.DEL", "", "id", "k");
	SAYS(rig, bad_class, do_list, "DO.LIST", "_", "id");
	SAYS(rig, bad_class, do_deleteall, "DO.DELETEALL", long_class, "id");
	SAYS(rig, bad_class, do_setalarm, "DO.SETALARM", long_class, "id", "1");
	SAYS(rig, bad_class, do_getalarm, "DO.GETALARM", "-", "id");
	SAYS(rig, bad_class, do_delalarm, "DO.DELALARM", "-", "id");
	SAYS(rig, bad_class, do_expire, "DO.EXPIRE", "-", "id", "1");
	SAYS(rig, bad_class, do_ttl, "DO.TTL", "-", "id");
	SAYS(rig, bad_class, do_persist, "DO.PERSIST", "-", "id");
	SAYS(rig, bad_id, do_get, "DO.GET", "C", "", "k");
	SAYS(rig, bad_id, do_setalarm, "DO.SETALARM", "C", "", "1");
	SAYS(rig, bad_id, do_list, "DO.LIST", "C", "");
}

static void a_reply_waits_for_the_last_change_of_the_object(void **state)
{
	struct turn_rig *rig = *state;
	put(rig, "a", "1");
	put(rig, "b", "1");
	uint64_t written = rig->last_lsn;
	SAYS(rig, "*0\r\n", do_list, "DO.LIST", "C", "id", "PREFIX", "zzz");
	assert_int_equal(rig->read_lsn, written);
	turn_rig_run(rig, do_get, "DO.GET", "C", "id", "a", NULL);
	assert_int_equal(rig->read_lsn, written);
	turn_rig_checkpoint(rig);
	turn_rig_run(rig, do_list, "DO.LIST", "C", "id", NULL);
	assert_int_equal(rig->read_lsn, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(values_are_put_read_and_deleted),
		TEST(typed_values_are_shown_as_text),
		TEST(a_pair_that_is_wrong_spoils_the_whole_put),
		TEST(keys_have_bounds_in_reads_and_deletes_too),
		TEST(lists_are_sorted_and_show_keys_and_values),
		TEST(lists_have_bounds),
		TEST(options_of_a_list_that_make_no_sense_are_refused),
		TEST(delete_all_counts_and_takes_the_alarm_unless_it_is_kept),
		TEST(an_alarm_is_set_read_and_deleted),
		TEST(an_alarm_needs_a_time),
		TEST(a_life_is_given_looked_at_and_taken_off),
		TEST(a_sliding_life_begins_anew_with_each_use_but_not_with_a_look),
		TEST(a_life_has_bounds),
		TEST(every_command_judges_class_and_id),
		TEST(a_reply_waits_for_the_last_change_of_the_object),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
