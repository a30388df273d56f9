/*
 * The tree is shown again as text, in one canonical form, and compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/syntax.h"
#include "base/buffer.h"
#include "base/random.h"

#include <stdio.h>

static void show(const struct syntax *first, struct buffer *out)
{
	static const char *const names[] = { "value", "token", "block", "one" };
	for (const struct syntax *at = first; at; at = at->next) {
		buffer_format(out, "%s%s", at == first ? "" : " ", names[at->type]);
		if (at->optional)
			buffer_append_text(out, "?");
		if (at->multiple)
			buffer_append_text(out, "*");
		buffer_append_text(out, "(");
		if (at->token.size && at->type == SYNTAX_VALUE)
			buffer_format(out, "%.*s ", (int)at->token.size, at->token.data);
		buffer_append(out, at->name.data, at->name.size);
		show(at->children, out);
		buffer_append_text(out, ")");
	}
}

static void assert_tree(const char *text, const char *expected)
{
	struct arena arena;
	struct buffer out;
	struct syntax *first;
	arena_init(&arena, 4096);
	buffer_init(&out);
	if (syntax_parse(&arena, text, &first) < 0)
		buffer_append_text(&out, "failed");
	else
		show(first, &out);
	buffer_append(&out, "", 1);
	assert_string_equal(out.data, expected);
	buffer_fini(&out);
	arena_fini(&arena);
}

static void takes_words_as_values(void **state)
{
	assert_tree("", "");
	assert_tree("key value", "value(key) value(value)");
	assert_tree("unix-time-seconds", "value(unix-time-seconds)");
}

static void takes_upper_case_as_tokens_with_their_value(void **state)
{
	assert_tree("[MATCH pattern]", "value?(MATCH pattern)");
	assert_tree("[GET]", "token?(GET)");
	assert_tree("<ON | OFF>", "one(token(ON) token(OFF))");
	assert_tree("[AUTH username password]", "block?(value(AUTH username) value(password))");
}

static void takes_a_choice_in_a_bracket(void **state)
{
	assert_tree(
		"key [EX seconds | KEEPTTL]", "value(key) one?(value(EX seconds) token(KEEPTTL))");
}

static void takes_what_is_said_again_as_one_that_repeats(void **state)
{
	assert_tree("key [key ...]", "value*(key)");
	assert_tree("key value [key value ...]", "block*(value(key) value(value))");
	assert_tree("[section [section ...]]", "value?*(section)");
	assert_tree("a key [key ...]", "value(a) value*(key)");
	assert_tree("key [other ...]", "value(key) value?*(other)");
	assert_tree("[ID id [id ...]]", "value?*(ID id)");
}

static void refuses_brackets_that_do_not_match(void **state)
{
	static const char *const wrong[] = { "[key", "key]", "<a | b]", "a | ", "[]", "...", "<>",
		"[a | ]" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_tree(wrong[i], "failed");
}

static void survives_any_text(void **state)
{
	static const char letters[] = "[]<>| ..ABab-";
	struct random random;
	random_seed(&random, 3);
	for (int round = 0; round < 100000; round++) {
		char text[24];
		size_t size = random_below(&random, sizeof(text));
		for (size_t i = 0; i < size; i++)
			text[i] = letters[random_below(&random, sizeof(letters) - 1)];
		text[size] = '\0';
		struct arena arena;
		struct buffer out;
		struct syntax *first;
		arena_init(&arena, 4096);
		buffer_init(&out);
		int32_t count = syntax_parse(&arena, text, &first);
		if (count >= 0) {
			show(first, &out);
			for (; first; first = first->next)
				count--;
			assert_int_equal(count, 0);
		}
		buffer_fini(&out);
		arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_words_as_values),
		cmocka_unit_test(takes_upper_case_as_tokens_with_their_value),
		cmocka_unit_test(takes_a_choice_in_a_bracket),
		cmocka_unit_test(takes_what_is_said_again_as_one_that_repeats),
		cmocka_unit_test(refuses_brackets_that_do_not_match),
		cmocka_unit_test(survives_any_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
