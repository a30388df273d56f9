/*
 * test_parameters: the table keeps its own rules, names are found and guessed, and values at,
 * inside and outside every row's bounds are told apart.
 */
#include "config/parameters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

static int read_number(const struct parameter *parameter, int64_t number, int64_t *out)
{
	char text[32], error[256];
	snprintf(text, sizeof(text), parameter->kind == PARAMETER_OCTAL ? "%llo" : "%lld",
		(long long)number);
	return parameter_read(parameter, slice_text(text), out, error, sizeof(error));
}

static void each_row_is_whole(void **state)
{
	for (size_t i = 0; i < parameters_count; i++) {
		const struct parameter *parameter = &parameters[i];
		char error[256];
		int64_t number;
		assert_non_null(parameter->initial);
		assert_int_equal(parameter_read(parameter, slice_text(parameter->initial), &number,
					 error, sizeof(error)),
			0);
		assert_ptr_equal(parameter_find(slice_text(parameter->name)), parameter);
		if (parameter->alias)
			assert_ptr_equal(parameter_find(slice_text(parameter->alias)), parameter);
		for (const char *c = parameter->name; *c; c++)
			assert_true(islower((unsigned char)*c) || *c == '-');
		size_t length = strlen(parameter->text);
		assert_int_equal(parameter->text[length - 1], '.');
		assert_true(parameter->least <= parameter->most);
		assert_in_range(parameter_words_max(parameter), 1, PARAMETER_WORDS_MAX);
		if (parameter->kind == PARAMETER_LINES) {
			assert_non_null(parameter->rule);
			assert_non_null(parameter->example);
			assert_string_equal(parameter->initial, "");
			assert_false(parameter->at_run_time);
		}
	}
}

static void no_name_stands_for_two(void **state)
{
	for (size_t i = 0; i < 2 * parameters_count; i++) {
		const char *name = i % 2 ? parameters[i / 2].alias : parameters[i / 2].name;
		int found = 0;
		for (size_t other = 0; name && other < parameters_count; other++) {
			const char *alias = parameters[other].alias;
			found += strcmp(parameters[other].name, name) == 0;
			found += alias && strcmp(alias, name) == 0;
		}
		assert_true(name == NULL || found == 1);
	}
}

static void numbers_end_at_their_bounds(void **state)
{
	for (size_t i = 0; i < parameters_count; i++) {
		const struct parameter *parameter = &parameters[i];
		int64_t number;
		if (!parameter_is_number(parameter) || parameter->kind == PARAMETER_CHOICE)
			continue;
		assert_int_equal(read_number(parameter, parameter->least, &number), 0);
		assert_true(number == parameter->least);
		assert_int_equal(read_number(parameter, parameter->most, &number), 0);
		assert_true(number == parameter->most);
		if (parameter->kind != PARAMETER_OCTAL)
			assert_int_equal(
				read_number(parameter, parameter->least - 1, &number), -EINVAL);
		if (parameter->most != INT64_MAX)
			assert_int_equal(
				read_number(parameter, parameter->most + 1, &number), -EINVAL);
	}
}

static void check_error(const char *name, struct slice value, const char *expected)
{
	char error[256];
	int64_t number;
	const struct parameter *parameter = parameter_find(slice_text(name));
	assert_int_equal(parameter_read(parameter, value, &number, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, expected);
}

static void errors_name_range_and_unit(void **state)
{
	check_error("port", slice_text("65536"), "argument must be between 0 and 65535 inclusive");
	check_error("port", slice_text("-1"), "argument must be between 0 and 65535 inclusive");
	check_error("port", slice_text("99999999999999999999"),
		"argument couldn't be parsed into an integer; it must be between 0 and 65535 inclusive");
	check_error("checkpoint-interval", slice_text("0"),
		"argument must be between 1 and 86400 inclusive (seconds)");
	check_error("max-value-size", slice_text("1gb"),
		"argument must be between 1mb and 512mb inclusive");
	check_error("max-value-size", slice_text("9223372036854775807gb"),
		"argument must be a memory value; it must be between 1mb and 512mb inclusive");
	check_error("protected-mode", slice_text("maybe"), "argument must be 'no' or 'yes'");
	check_error("unixsocketperm", slice_text("778"),
		"argument couldn't be parsed into an octal number; it must be between 0 and 777 "
		"inclusive");
	check_error("dir", slice_text(""), "argument must be between 1 and 4095 bytes long");
	check_error("dir", slice_of("a\0b", 3), "argument contains a zero byte");
}

/* What has no parameter needs memory too, and so do pages of the data file. */
static void the_shares_of_memory_leave_some(void **state)
{
	const uint64_t memory_bytes = (uint64_t)4 << 30;
	uint64_t sum = 0;
	for (size_t i = 0; i < parameters_count; i++) {
		const struct parameter *parameter = &parameters[i];
		if (parameter->share == 0) {
			assert_string_not_equal(parameter->initial, "auto");
			continue;
		}
		assert_int_equal(parameter->kind, PARAMETER_SIZE);
		assert_true(parameter->auto_most >= parameter->least);
		sum += memory_bytes / (uint64_t)parameter->share;
	}
	assert_in_range(sum, memory_bytes / 2, memory_bytes / 10 * 7);
}

static void what_may_be_auto_says_so(void **state)
{
	struct buffer out;
	buffer_init(&out);
	const struct parameter *parameter = parameter_find(slice_text("overlay-memory"));
	parameter_show_auto(parameter, &out);
	buffer_append_text(&out, "; ");
	parameter_show_range(parameter, &out);
	assert_true(slice_equal(buffer_slice(&out),
		slice_text("auto is 1/4 of the memory that the process may use, at most 512mb; "
			   "auto or between 16mb and 1tb inclusive")));
	buffer_fini(&out);
}

static void names_are_found_in_any_case_and_by_alias(void **state)
{
	assert_non_null(parameter_find(slice_text("PORT")));
	assert_ptr_equal(parameter_find(slice_text("proto-max-bulk-len")),
		parameter_find(slice_text("max-value-size")));
	assert_null(parameter_find(slice_text("por")));
	assert_null(parameter_find(slice_text("")));
}

static void a_mistyped_name_is_guessed(void **state)
{
	assert_string_equal(parameter_nearest(slice_text("prot")), "port");
	assert_string_equal(parameter_nearest(slice_text("Max-Clients")), "maxclients");
	assert_string_equal(parameter_nearest(slice_text("durabilty")), "durability");
	assert_string_equal(parameter_nearest(slice_text("appendfsynch")), "appendfsync");
	assert_null(parameter_nearest(slice_text("x")));
	assert_null(parameter_nearest(slice_text("")));
	assert_null(parameter_nearest(slice_text("completely-different")));
	char endless[1000];
	memset(endless, 'a', sizeof(endless));
	assert_null(parameter_nearest(slice_of(endless, sizeof(endless))));
}

static void sizes_are_shown_in_bytes_or_shortly(void **state)
{
	const struct parameter *size = parameter_find(slice_text("max-value-size"));
	struct buffer out;
	buffer_init(&out);
	parameter_show(size, 64 << 20, PARAMETER_PLAIN, &out);
	buffer_append_text(&out, " ");
	parameter_show(size, 64 << 20, PARAMETER_SHORT, &out);
	buffer_append_text(&out, " ");
	parameter_show(size, (64 << 20) + 1, PARAMETER_SHORT, &out);
	assert_true(slice_equal(buffer_slice(&out), slice_text("67108864 64mb 67108865")));
	buffer_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_is_whole),
		cmocka_unit_test(no_name_stands_for_two),
		cmocka_unit_test(numbers_end_at_their_bounds),
		cmocka_unit_test(errors_name_range_and_unit),
		cmocka_unit_test(the_shares_of_memory_leave_some),
		cmocka_unit_test(what_may_be_auto_says_so),
		cmocka_unit_test(names_are_found_in_any_case_and_by_alias),
		cmocka_unit_test(a_mistyped_name_is_guessed),
		cmocka_unit_test(sizes_are_shown_in_bytes_or_shortly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
