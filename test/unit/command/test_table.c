/*
 * The table's rows are data that people write: each rule that a row must keep is checked on all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/syntax.h"
#include "command/command.h"

#include <ctype.h>

static const struct command *row(uint32_t index)
{
	return &command_table()->commands[index];
}

static const struct command *parent_of(const struct command *command)
{
	const char *bar = strchr(command->name, '|');
	if (bar == NULL)
		return NULL;
	struct slice name = slice_of(command->name, (size_t)(bar - command->name));
	return command_find(&name, 1);
}

static void names_are_lower_case_and_unique(void **state)
{
	for (uint32_t i = 0; i < command_table()->count; i++) {
		for (const char *c = row(i)->name; *c; c++)
			assert_true(islower((unsigned char)*c) || strchr("|-.", *c));
		for (uint32_t j = 0; j < i; j++)
			assert_string_not_equal(row(i)->name, row(j)->name);
	}
}

static void a_handler_belongs_to_its_route(void **state)
{
	for (uint32_t i = 0; i < command_table()->count; i++) {
		const struct command *command = row(i);
		assert_int_equal(command->local != NULL, command->route == ROUTE_LOCAL);
		assert_int_equal(command->run != NULL,
			command->route != ROUTE_LOCAL && command->route != ROUTE_GROUP);
	}
}

static void keys_lie_within_the_arguments(void **state)
{
	for (uint32_t i = 0; i < command_table()->count; i++) {
		const struct command *command = row(i);
		int least = command->arity < 0 ? -command->arity : command->arity;
		assert_int_equal(command->key_first != 0, command->route == ROUTE_KEYS);
		if (command->route != ROUTE_KEYS)
			continue;
		int last = command->key_last < 0 ? least + command->key_last : command->key_last;
		assert_in_range(command->key_first, strchr(command->name, '|') ? 2 : 1, last);
		assert_true(last < least);
		assert_true(command->key_step > 0);
		assert_true(command->key_last > 0 || command->arity < 0);
	}
}

static void what_looks_at_keys_says_whether_it_writes(void **state)
{
	for (uint32_t i = 0; i < command_table()->count; i++) {
		bool reads = row(i)->flags & COMMAND_READONLY,
		     writes = row(i)->flags & COMMAND_WRITE;
		assert_false(reads && writes);
		if (row(i)->route == ROUTE_KEYS || row(i)->route == ROUTE_ALL)
			assert_true(reads || writes);
		if (row(i)->flags & COMMAND_DENYOOM)
			assert_true(writes);
	}
}

static void a_container_stands_before_its_subcommands_and_has_help(void **state)
{
	for (uint32_t i = 0; i < command_table()->count; i++) {
		const struct command *parent = parent_of(row(i));
		if (parent) {
			assert_true(parent < row(i));
			assert_string_equal(parent->group, row(i)->group);
			assert_true(row(i)->arity >= 2 || row(i)->arity <= -2);
		}
		if (row(i)->route == ROUTE_GROUP) {
			struct slice help[] = { slice_text(row(i)->name), slice_text("help") };
			assert_non_null(command_find(help, 2));
			assert_int_equal(row(i)->arity, -2);
			assert_int_equal(row(i)->flags, 0);
		}
	}
}

static void groups_are_contiguous_and_sorted_within(void **state)
{
	for (uint32_t i = 1; i < command_table()->count; i++) {
		if (strcmp(row(i)->group, row(i - 1)->group) == 0) {
			assert_true(strcmp(row(i - 1)->name, row(i)->name) < 0);
			continue;
		}
		for (uint32_t j = 0; j < i - 1; j++)
			assert_string_not_equal(row(i)->group, row(j)->group);
	}
}

static void a_summary_is_one_phrase(void **state)
{
	for (uint32_t i = 0; i < command_table()->count; i++) {
		const char *summary = row(i)->summary;
		size_t size = strlen(summary);
		assert_in_range(size, 1, 120);
		assert_true(isupper((unsigned char)summary[0]));
		assert_true(summary[size - 1] != '.');
		assert_true(isdigit((unsigned char)row(i)->since[0]));
	}
}

static uint32_t count_required(const struct syntax *argument)
{
	uint32_t count = 0;
	for (; argument; argument = argument->next) {
		uint32_t own = argument->token.size > 0 && argument->type == SYNTAX_VALUE ? 2 : 1;
		if (argument->type == SYNTAX_BLOCK)
			own = count_required(argument->children);
		if (argument->type == SYNTAX_ONE_OF) {
			own = UINT32_MAX;
			for (struct syntax *one = argument->children; one; one = one->next) {
				struct syntax alone = *one;
				alone.next = NULL;
				uint32_t needed = count_required(&alone);
				own = needed < own ? needed : own;
			}
		}
		count += argument->optional ? 0 : own;
	}
	return count;
}

static bool may_grow(const struct syntax *argument)
{
	for (; argument; argument = argument->next) {
		if (argument->optional || argument->multiple || may_grow(argument->children))
			return true;
	}
	return false;
}

static void the_arity_agrees_with_the_syntax(void **state)
{
	/* Redis accepts more, or leaves the check to the command. */
	static const char *const looser[] = { "client|tracking", "quit", NULL };
	for (uint32_t i = 0; i < command_table()->count; i++) {
		const struct command *command = row(i);
		bool exempt =
			command->route == ROUTE_GROUP || strcmp(command->name, "command") == 0;
		for (size_t l = 0; looser[l]; l++)
			exempt = exempt || strcmp(command->name, looser[l]) == 0;
		struct arena arena;
		arena_init(&arena, 4096);
		struct syntax *first;
		assert_true(syntax_parse(&arena, command->syntax, &first) >= 0);
		uint32_t needed = 1 + (parent_of(command) != NULL) + count_required(first);
		bool open = may_grow(first);
		arena_fini(&arena);
		if (exempt)
			continue;
		if (command->arity != (open ? -(int)needed : (int)needed))
			fail_msg("%s: arity %d, syntax wants %s%u", command->name, command->arity,
				open ? "-" : "", needed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_lower_case_and_unique),
		cmocka_unit_test(a_handler_belongs_to_its_route),
		cmocka_unit_test(keys_lie_within_the_arguments),
		cmocka_unit_test(what_looks_at_keys_says_whether_it_writes),
		cmocka_unit_test(a_container_stands_before_its_subcommands_and_has_help),
		cmocka_unit_test(groups_are_contiguous_and_sorted_within),
		cmocka_unit_test(a_summary_is_one_phrase),
		cmocka_unit_test(the_arity_agrees_with_the_syntax),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
