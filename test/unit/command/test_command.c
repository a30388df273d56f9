/*
 * Look-up is compared with a walk over the table; what is said of unknown commands, with what
 * Redis 7.0.15 answered to the same arguments.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "command/command.h"

#include <ctype.h>
#include <stdio.h>

#define ROUNDS 200000

/* As look-up should be, by going through the table. */
static const struct command *find_slowly(const struct slice *arguments, uint32_t count)
{
	const struct command_set *set = command_table();
	const struct command *own = NULL;
	bool container = false;
	for (uint32_t i = 0; i < set->count; i++) {
		const char *name = set->commands[i].name, *bar = strchr(name, '|');
		if (bar == NULL && slice_is(arguments[0], name))
			own = &set->commands[i];
		if (bar == NULL || arguments[0].size != (size_t)(bar - name) ||
			strncasecmp(arguments[0].data, name, arguments[0].size) != 0)
			continue;
		container = true;
		if (count > 1 && slice_is(arguments[1], bar + 1))
			return &set->commands[i];
	}
	return container && count > 1 ? NULL : own;
}

static struct slice in_any_case(struct random *random, struct slice text, char *out)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		out[i] = (char)(random_next(random) & 1 ? toupper((unsigned char)c) : c);
	}
	return slice_of(out, text.size);
}

static uint32_t split(const char *name, struct slice parts[2])
{
	const char *bar = strchr(name, '|');
	parts[0] = bar ? slice_of(name, (size_t)(bar - name)) : slice_text(name);
	parts[1] = bar ? slice_text(bar + 1) : slice_text("x");
	return bar ? 2 : 1;
}

static void finds_every_command_in_any_case(void **state)
{
	const struct command_set *set = command_table();
	struct random random;
	random_seed(&random, 1);
	for (uint32_t i = 0; i < set->count; i++) {
		for (int round = 0; round < 20; round++) {
			char memory[2][64];
			struct slice parts[2];
			uint32_t count = split(set->commands[i].name, parts);
			parts[0] = in_any_case(&random, parts[0], memory[0]);
			parts[1] = in_any_case(&random, parts[1], memory[1]);
			assert_ptr_equal(set->find(parts, count), &set->commands[i]);
		}
	}
}

static void agrees_with_a_walk_over_the_table_on_damaged_names(void **state)
{
	const struct command_set *set = command_table();
	struct random random;
	random_seed(&random, 2);
	for (int round = 0; round < ROUNDS; round++) {
		const struct command *command = &set->commands[random_below(&random, set->count)];
		char memory[2][64] = { { 0 } };
		struct slice parts[2];
		uint32_t count = split(command->name, parts) + (uint32_t)random_below(&random, 2);
		if (count > 2)
			count = 2;
		for (int p = 0; p < 2; p++) {
			parts[p] = in_any_case(&random, parts[p], memory[p]);
			if (random_below(&random, 3) && parts[p].size)
				memory[p][random_below(&random, parts[p].size)] =
					(char)random_next(&random);
			if (random_below(&random, 4) == 0)
				parts[p].size = random_below(&random, 30);
		}
		assert_ptr_equal(set->find(parts, count), find_slowly(parts, count));
	}
}

static void finds_no_name_with_a_zero_byte_behind_it(void **state)
{
	struct slice name = slice_of("get\0", 4);
	assert_null(command_table()->find(&name, 1));
	name = slice_of("", 0);
	assert_null(command_table()->find(&name, 1));
}

static void finds_no_byte_beside_the_letters_equal(void **state)
{
	/* 0x20 apart from a letter or sign in both directions. */
	struct slice names[] = { slice_text("client|id"), slice_text("g%t"),
		slice_text("\x07"
			   "et"),
		slice_of("get\xe5", 4), slice_text("PIN'"), slice_text("GE\xd4") };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_null(command_table()->find(&names[i], 1));
}

static void counts_arguments_as_the_arity_says(void **state)
{
	struct command exactly = { .arity = 3 }, at_least = { .arity = -2 };
	assert_false(command_arity_ok(&exactly, 2));
	assert_true(command_arity_ok(&exactly, 3));
	assert_false(command_arity_ok(&exactly, 4));
	assert_false(command_arity_ok(&at_least, 1));
	assert_true(command_arity_ok(&at_least, 2));
	assert_true(command_arity_ok(&at_least, 1000000));
}

static void assert_unknown(const struct slice *arguments, uint32_t count, const char *expected)
{
	struct buffer out;
	buffer_init(&out);
	struct writer writer = { .out = &out, .protocol = 2 };
	command_table()->write_unknown(&writer, arguments, count);
	buffer_append(&out, "", 1);
	assert_string_equal(out.data, expected);
	buffer_fini(&out);
}

static void says_of_an_unknown_command_what_redis_says(void **state)
{
	char x[200], a[100], b[100], d[200];
	memset(x, 'x', sizeof(x));
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	memset(d, 'd', sizeof(d));
	memcpy(x, "foo", 3);
	struct slice one[] = { slice_text("foo") };
	assert_unknown(one, 1, "-ERR unknown command 'foo', with args beginning with: \r\n");
	struct slice few[] = { slice_text("Foo"), slice_text("a"), slice_text("b c") };
	assert_unknown(
		few, 3, "-ERR unknown command 'Foo', with args beginning with: 'a' 'b c' \r\n");
	struct slice zero[] = { slice_text("foo"), slice_of("a\0b", 3), slice_text("c") };
	assert_unknown(
		zero, 3, "-ERR unknown command 'foo', with args beginning with: 'a' 'c' \r\n");

	char expected[512];
	struct slice cut[] = { slice_of(x, 200), slice_of(a, 100), slice_of(b, 100),
		slice_text("c") };
	snprintf(expected, sizeof(expected),
		"-ERR unknown command '%.128s', with args beginning with: '%.100s' '%.25s' \r\n", x,
		a, b);
	assert_unknown(cut, 4, expected);
	struct slice lines[] = { slice_text("foo"), slice_text("a"), slice_text("b\r\nc"),
		slice_of(d, 200) };
	snprintf(expected, sizeof(expected),
		"-ERR unknown command 'foo', with args beginning with: 'a' 'b  c' '%.117s' \r\n",
		d);
	assert_unknown(lines, 4, expected);
}

static void says_of_an_unknown_subcommand_what_redis_says(void **state)
{
	struct slice client[] = { slice_text("cLient"), slice_text("MAINT_notifications"),
		slice_text("ON") };
	assert_unknown(
		client, 3, "-ERR unknown subcommand 'MAINT_notifications'. Try CLIENT HELP.\r\n");
	struct slice command[] = { slice_text("command"), slice_text("foo") };
	assert_unknown(command, 2, "-ERR unknown subcommand 'foo'. Try COMMAND HELP.\r\n");
}

static void says_of_a_wrong_number_of_arguments_what_redis_says(void **state)
{
	struct buffer out;
	buffer_init(&out);
	struct writer writer = { .out = &out, .protocol = 3 };
	struct slice setname[] = { slice_text("CLIENT"), slice_text("SetName") };
	const struct command *command = command_table()->find(setname, 2);
	assert_false(command_arity_ok(command, 2));
	command_table()->write_arity(&writer, command);
	command = command_table()->find(setname, 1);
	assert_false(command_arity_ok(command, 1));
	command_table()->write_arity(&writer, command);
	buffer_append(&out, "", 1);
	assert_string_equal(out.data,
		"-ERR wrong number of arguments for 'client|setname' command\r\n"
		"-ERR wrong number of arguments for 'client' command\r\n");
	buffer_fini(&out);
}

static void lists_every_command_once_in_the_reference(void **state)
{
	const struct command_set *set = command_table();
	struct buffer out;
	buffer_init(&out);
	command_write_reference(&out);
	buffer_append(&out, "", 1);
	uint32_t listed = 0, wanted = 0;
	for (const char *at = strstr(out.data, "\n- `"); at; at = strstr(at + 1, "\n- `"))
		listed++;
	for (uint32_t i = 0; i < set->count; i++) {
		wanted += set->commands[i].route != ROUTE_GROUP;
		if (set->commands[i].route != ROUTE_GROUP)
			assert_non_null(strstr(out.data, set->commands[i].summary));
	}
	assert_int_equal(listed, wanted);
	assert_non_null(strstr(out.data, "\n- `MSET key value [key value ...]`: "));
	assert_non_null(strstr(out.data, "\n- `CLIENT ID`: "));
	assert_non_null(strstr(out.data, "### String\n\n"));
	buffer_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_every_command_in_any_case),
		cmocka_unit_test(agrees_with_a_walk_over_the_table_on_damaged_names),
		cmocka_unit_test(finds_no_name_with_a_zero_byte_behind_it),
		cmocka_unit_test(finds_no_byte_beside_the_letters_equal),
		cmocka_unit_test(counts_arguments_as_the_arity_says),
		cmocka_unit_test(says_of_an_unknown_command_what_redis_says),
		cmocka_unit_test(says_of_an_unknown_subcommand_what_redis_says),
		cmocka_unit_test(says_of_a_wrong_number_of_arguments_what_redis_says),
		cmocka_unit_test(lists_every_command_once_in_the_reference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
