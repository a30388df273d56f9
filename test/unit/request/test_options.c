/*
 * test_options: the words behind a command's arguments, read by a table of the test's own. Its
 * handlers say what was given and the values that were taken.
 */
#include "request/options.h"

#include "support/turn_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum test_option {
	TEST_OPTION_NX = 1 << 0,
	TEST_OPTION_XX = 1 << 1,
	TEST_OPTION_EX = 1 << 2,
	TEST_OPTION_LIMIT = 1 << 3, /* offset and count */
	TEST_OPTION_TAGS = 1 << 4,  /* a number, and so many */
	TEST_OPTION_MARK = 1 << 5,  /* one word without a value */
	TEST_OPTION_MARKS = 1 << 6, /* and with one, for another command */
};

struct taken {
	struct slice values[8];
	uint32_t count;
};

static bool take(struct options *options)
{
	struct taken *taken = options->out;
	taken->values[taken->count++] = options_value(options);
	return true;
}

static bool take_two(struct options *options)
{
	return take(options) && take(options);
}

static bool take_tags(struct options *options)
{
	int64_t count;
	if (!options_integer(options->turn, options->at++, &count))
		return false;
	if (count > options_left(options)) {
		turn_error(options->turn, "ERR %u tags", options_left(options));
		return false;
	}
	for (int64_t i = 0; i < count; i++)
		take(options);
	return true;
}

static const struct option rows[] = {
	{ "nx", TEST_OPTION_NX, TEST_OPTION_XX, 0, NULL },
	{ "xx", TEST_OPTION_XX, TEST_OPTION_NX, 0, NULL },
	{ "ex", TEST_OPTION_EX, 0, 1, take },
	{ "limit", TEST_OPTION_LIMIT, 0, 2, take_two },
	{ "tags", TEST_OPTION_TAGS, 0, 1, take_tags },
	{ "mark", TEST_OPTION_MARK, 0, 0, NULL },
	{ "mark", TEST_OPTION_MARKS, 0, 1, take },
};
#define COUNT (sizeof(rows) / sizeof(rows[0]))

static const struct option_table once = {
	.rows = rows, .count = COUNT, .misfit = options_say_where
};
static const struct option_table redis = {
	.rows = rows, .count = COUNT, .repeats = true, .misfit = options_say_syntax
};
static const struct option_table leading = {
	.rows = rows, .count = COUNT, .leads = true, .misfit = options_say_where
};

/* The bits, the values, and the argument that is next. */
static void answer(struct turn *turn, const struct option_table *table, uint32_t allowed)
{
	struct taken taken = { .count = 0 };
	struct options options = options_from(turn, 1, &taken);
	if (!options_read(&options, table, allowed))
		return;
	writer_integer(&turn->writer, options.given);
	for (uint32_t i = 0; i < taken.count; i++)
		writer_bulk(&turn->writer, taken.values[i]);
	writer_integer(&turn->writer, options.at);
}

#define ALL ((uint32_t)~TEST_OPTION_MARKS)

static void read_once(struct turn *turn)
{
	answer(turn, &once, ALL);
}

static void read_as_redis(struct turn *turn)
{
	answer(turn, &redis, ALL);
}

static void read_leading(struct turn *turn)
{
	answer(turn, &leading, ALL);
}

static void read_few(struct turn *turn)
{
	answer(turn, &once, TEST_OPTION_NX | TEST_OPTION_MARKS);
}

static void read_flag(struct turn *turn)
{
	bool given;
	if (options_flag(turn, 1, "mark", &given))
		writer_integer(&turn->writer, given);
}

static int set_up(void **state)
{
	struct turn_rig *rig = calloc(1, sizeof(*rig));
	turn_rig_init(rig, 1);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	turn_rig_fini(*state);
	free(*state);
	return 0;
}

#define assert_reply(reply, ...) assert_string_equal(turn_rig_run(__VA_ARGS__, NULL), reply)

static void reads_them_in_any_order_and_case(void **state)
{
	struct turn_rig *rig = *state;
	assert_reply(":0\r\n:1\r\n", rig, read_once, "C");
	assert_reply(":5\r\n$1\r\n9\r\n:4\r\n", rig, read_once, "C", "Nx", "EX", "9");
	assert_reply(":5\r\n$1\r\n9\r\n:4\r\n", rig, read_once, "C", "ex", "9", "nx");
	assert_reply(":12\r\n$1\r\n0\r\n$2\r\n10\r\n$1\r\n9\r\n:6\r\n", rig, read_once, "C",
		"LIMIT", "0", "10", "EX", "9");
}

static void a_value_may_look_like_an_option(void **state)
{
	assert_reply(":5\r\n$2\r\nnx\r\n:4\r\n", *state, read_once, "C", "EX", "nx", "NX");
}

static void a_reader_takes_as_many_values_as_it_wants(void **state)
{
	struct turn_rig *rig = *state;
	assert_reply(":17\r\n$1\r\na\r\n$1\r\nb\r\n:6\r\n", rig, read_once, "C", "TAGS", "2", "a",
		"b", "NX");
	assert_reply("-ERR 1 tags\r\n", rig, read_once, "C", "TAGS", "2", "a");
}

static void a_reader_that_fails_ends_the_reading(void **state)
{
	assert_reply("-" ERROR_NOT_INTEGER "\r\n", *state, read_once, "C", "TAGS", "x", "what");
}

static void says_which_word_does_not_fit(void **state)
{
	struct turn_rig *rig = *state;
	assert_reply(TURN_RIG_MISFIT("'what'"), rig, read_once, "C", "NX", "what");
	assert_reply(TURN_RIG_MISFIT("argument 2"), rig, read_once, "C", "NX", "1");
	assert_reply(TURN_RIG_MISFIT("argument 1"), rig, read_once, "C", "");
	assert_reply(TURN_RIG_MISFIT("'N'"), rig, read_once, "C", "N");
	assert_reply(TURN_RIG_MISFIT("'NXX'"), rig, read_once, "C", "NXX");
}

static void says_that_the_end_lacks_values(void **state)
{
	struct turn_rig *rig = *state;
	assert_reply(TURN_RIG_MISFIT("the end"), rig, read_once, "C", "EX");
	assert_reply(TURN_RIG_MISFIT("the end"), rig, read_once, "C", "NX", "LIMIT", "1");
}

static void each_once_where_the_table_wants_that(void **state)
{
	struct turn_rig *rig = *state;
	assert_reply(TURN_RIG_MISFIT("'NX'"), rig, read_once, "C", "NX", "NX");
	assert_reply(TURN_RIG_MISFIT("'ex'"), rig, read_once, "C", "EX", "1", "ex", "2");
	assert_reply(TURN_RIG_MISFIT("the end"), rig, read_once, "C", "EX", "1", "EX");
}

static void else_the_last_one_holds(void **state)
{
	assert_reply(":5\r\n$1\r\n1\r\n$1\r\n2\r\n:7\r\n", *state, read_as_redis, "C", "NX", "EX",
		"1", "EX", "2", "NX");
}

static void what_excludes_each_other_does_so_in_both_orders(void **state)
{
	struct turn_rig *rig = *state;
	assert_reply(TURN_RIG_MISFIT("'XX'"), rig, read_once, "C", "NX", "XX");
	assert_reply("-" ERROR_SYNTAX "\r\n", rig, read_as_redis, "C", "XX", "NX");
}

static void a_command_has_only_those_that_it_allows(void **state)
{
	struct turn_rig *rig = *state;
	assert_reply(TURN_RIG_MISFIT("'EX'"), rig, read_few, "C", "EX", "1");
	assert_reply(":32\r\n:2\r\n", rig, read_once, "C", "MARK");
	assert_reply(":64\r\n$1\r\nv\r\n:3\r\n", rig, read_few, "C", "MARK", "v");
}

static void in_front_of_arguments_they_end_at_the_first_that_is_none(void **state)
{
	struct turn_rig *rig = *state;
	assert_reply(":5\r\n$1\r\n9\r\n:4\r\n", rig, read_leading, "C", "NX", "EX", "9", "1", "XX");
	assert_reply(":1\r\n:2\r\n", rig, read_leading, "C", "NX", "XX", "1");
	assert_reply(":1\r\n:2\r\n", rig, read_leading, "C", "NX", "NX");
	assert_reply(TURN_RIG_MISFIT("the end"), rig, read_leading, "C", "NX", "EX");
}

static void a_flag_is_all_or_nothing(void **state)
{
	struct turn_rig *rig = *state;
	assert_reply(":0\r\n", rig, read_flag, "C");
	assert_reply(":1\r\n", rig, read_flag, "C", "Mark");
	assert_reply(TURN_RIG_MISFIT("'marks'"), rig, read_flag, "C", "marks");
	assert_reply(TURN_RIG_MISFIT("'mark'"), rig, read_flag, "C", "mark", "mark");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_them_in_any_order_and_case),
		TEST(a_value_may_look_like_an_option),
		TEST(a_reader_takes_as_many_values_as_it_wants),
		TEST(a_reader_that_fails_ends_the_reading),
		TEST(says_which_word_does_not_fit),
		TEST(says_that_the_end_lacks_values),
		TEST(each_once_where_the_table_wants_that),
		TEST(else_the_last_one_holds),
		TEST(what_excludes_each_other_does_so_in_both_orders),
		TEST(a_command_has_only_those_that_it_allows),
		TEST(in_front_of_arguments_they_end_at_the_first_that_is_none),
		TEST(a_flag_is_all_or_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
