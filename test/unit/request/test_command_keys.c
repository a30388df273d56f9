/*
 * Which arguments of a command are keys.
 */
#include "request/command_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The keys' places, as text. */
static const char *places(int8_t first, int8_t last, int8_t step, uint32_t arguments)
{
	static char text[128];
	struct command command = { .key_first = first, .key_last = last, .key_step = step };
	struct command_keys keys = command_keys(&command, arguments);
	size_t size = (size_t)snprintf(text, sizeof(text), "%u:", (unsigned)keys.count);
	for (uint32_t i = keys.first; i < keys.end; i += keys.step)
		size += (size_t)snprintf(text + size, sizeof(text) - size, " %u", (unsigned)i);
	return text;
}

static void a_command_without_keys_has_none(void **state)
{
	(void)state;
	assert_string_equal(places(0, 0, 0, 1), "0:");
	assert_string_equal(places(0, 0, 0, 9), "0:");
}

static void one_key_stands_where_the_command_says(void **state)
{
	(void)state;
	assert_string_equal(places(1, 1, 1, 3), "1: 1");
	assert_string_equal(places(2, 2, 1, 5), "1: 2");
	assert_string_equal(places(1, 1, 0, 2), "1: 1");
}

static void many_go_to_an_end_that_may_be_counted_from_behind(void **state)
{
	(void)state;
	assert_string_equal(places(1, 2, 1, 3), "2: 1 2");
	assert_string_equal(places(1, -1, 1, 5), "4: 1 2 3 4");
	assert_string_equal(places(1, -1, 1, 2), "1: 1");
	assert_string_equal(places(1, -2, 1, 5), "3: 1 2 3");
	assert_string_equal(places(1, -1, 2, 7), "3: 1 3 5");
}

static void a_command_says_whether_it_may_have_several(void **state)
{
	(void)state;
	assert_false(command_has_many_keys(&(struct command){ .key_first = 1, .key_last = 1 }));
	assert_true(command_has_many_keys(&(struct command){ .key_first = 1, .key_last = -1 }));
	assert_true(command_has_many_keys(&(struct command){ .key_first = 1, .key_last = 2 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_without_keys_has_none),
		cmocka_unit_test(one_key_stands_where_the_command_says),
		cmocka_unit_test(many_go_to_an_end_that_may_be_counted_from_behind),
		cmocka_unit_test(a_command_says_whether_it_may_have_several),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
