/*
 * test_line: redis.conf's words and quotes. What was quoted is split back into itself, whatever the
 * bytes; and random lines never make the splitter leave its bounds.
 */
#include "base/random.h"
#include "config/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#define WORDS_MAX 8

static void check(const char *line, int count, const char *const *expected)
{
	struct arena arena;
	struct slice words[WORDS_MAX];
	arena_init(&arena, 256);
	int found = line_split(slice_text(line), &arena, words, WORDS_MAX);
	if (found != count)
		fail_msg("<%s> gives %d instead of %d", line, found, count);
	for (int i = 0; i < found; i++) {
		if (!slice_equal(words[i], slice_text(expected[i])))
			fail_msg("<%s> has word %d wrong", line, i);
	}
	arena_fini(&arena);
}

/* Into these words, up to NULL. */
__attribute__((sentinel)) static void splits(const char *line, ...)
{
	const char *expected[WORDS_MAX];
	int count = 0;
	va_list list;
	va_start(list, line);
	for (const char *word; (word = va_arg(list, const char *)) != NULL;) {
		assert_true(count < WORDS_MAX);
		expected[count++] = word;
	}
	va_end(list);
	check(line, count, expected);
}

static void splits_at_blanks(void **state)
{
	splits("port 6379", "port", "6379", NULL);
	splits("  bind\t127.0.0.1   -::1\r\n", "bind", "127.0.0.1", "-::1", NULL);
	check("", 0, NULL);
	check(" \t\n", 0, NULL);
}

static void undoes_both_kinds_of_quotes(void **state)
{
	splits("a \"b c\" 'd e'", "a", "b c", "d e", NULL);
	splits("a \"\" ''", "a", "", "", NULL);
	splits("\"\\n\\x41\\\"\\\\\\q\"", "\nA\"\\q", NULL);
	splits("'it\\'s \\n'", "it's \\n", NULL);
	splits("foo\"bar\"", "foobar", NULL);
	splits("back\\slash", "back\\slash", NULL);
	splits("\"\\xzz\"", "xzz", NULL);
}

static void refuses_what_is_not_closed(void **state)
{
	check("a \"b", -EINVAL, NULL);
	check("a 'b", -EINVAL, NULL);
	check("a \"b\"c", -EINVAL, NULL);
	check("a 'b'c", -EINVAL, NULL);
	check("a \"b\\", -EINVAL, NULL);
	check("a \"b\\\"", -EINVAL, NULL);
}

static void counts_words_against_the_limit(void **state)
{
	splits("1 2 3 4 5 6 7 8", "1", "2", "3", "4", "5", "6", "7", "8", NULL);
	check("1 2 3 4 5 6 7 8 9", -E2BIG, NULL);
}

static void quoted_bytes_come_back_whatever_they_are(void **state)
{
	struct random random;
	struct arena arena;
	struct buffer line;
	random_seed(&random, 9);
	arena_init(&arena, 256);
	buffer_init(&line);
	for (int i = 0; i < 20000; i++) {
		char bytes[2][20];
		struct slice given[2], words[WORDS_MAX];
		buffer_clear(&line, SIZE_MAX);
		for (int w = 0; w < 2; w++) {
			given[w] = slice_of(bytes[w], random_below(&random, 20));
			for (size_t b = 0; b < given[w].size; b++) {
				uint64_t choice = random_next(&random);
				bytes[w][b] = i % 2 ? (char)choice : "ab\"'\\# x"[choice % 8];
			}
			line_quote(given[w], &line);
			buffer_append_text(&line, " ");
		}
		assert_null(memchr(line.data, '\n', line.size));
		assert_int_not_equal(line.data[0], '#');
		assert_int_equal(line_split(buffer_slice(&line), &arena, words, WORDS_MAX), 2);
		assert_true(slice_equal(words[0], given[0]));
		assert_true(slice_equal(words[1], given[1]));
		arena_reset(&arena);
	}
	buffer_fini(&line);
	arena_fini(&arena);
}

static void random_lines_stay_within_bounds(void **state)
{
	struct random random;
	random_seed(&random, 10);
	for (int i = 0; i < 100000; i++) {
		/* A fresh arena of exactly the line's size: a byte too many is seen by the
		 * sanitizers. */
		struct arena arena;
		struct slice words[WORDS_MAX];
		char bytes[24];
		size_t size = random_below(&random, sizeof(bytes) + 1), total = 0;
		for (size_t b = 0; b < size; b++)
			bytes[b] = "a\"'\\x4 "[random_below(&random, 7)];
		arena_init(&arena, 8);
		int count = line_split(slice_of(bytes, size), &arena, words, WORDS_MAX);
		assert_in_range(count + E2BIG + EINVAL, 0, WORDS_MAX + E2BIG + EINVAL);
		for (int w = 0; w < count; w++)
			total += words[w].size;
		assert_true(total <= size);
		arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_at_blanks),
		cmocka_unit_test(undoes_both_kinds_of_quotes),
		cmocka_unit_test(refuses_what_is_not_closed),
		cmocka_unit_test(counts_words_against_the_limit),
		cmocka_unit_test(quoted_bytes_come_back_whatever_they_are),
		cmocka_unit_test(random_lines_stay_within_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
