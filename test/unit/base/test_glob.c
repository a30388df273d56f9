/*
 * test_glob: matching against a recursive reference that tries everything, on short random patterns
 * and texts, and the cases that Redis's documentation names.
 */
#include "base/glob.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool reference_element(struct slice *pattern, char byte);

/* One byte of the text at a time, stars by trying every length. */
static bool reference_match(struct slice pattern, struct slice text)
{
	if (pattern.size == 0)
		return text.size == 0;
	if (pattern.data[0] == '*') {
		struct slice rest = slice_of(pattern.data + 1, pattern.size - 1);
		for (size_t skipped = 0; skipped <= text.size; skipped++) {
			if (reference_match(
				    rest, slice_of(text.data + skipped, text.size - skipped)))
				return true;
		}
		return false;
	}
	if (text.size == 0)
		return false;
	return reference_element(&pattern, text.data[0]) &&
		reference_match(pattern, slice_of(text.data + 1, text.size - 1));
}

static char take(struct slice *pattern)
{
	char c = pattern->data[0];
	*pattern = slice_of(pattern->data + 1, pattern->size - 1);
	return c;
}

/* Spells out which bytes the element stands for. */
static bool reference_element(struct slice *pattern, char byte)
{
	bool allowed[256] = { false };
	char c = take(pattern);
	if (c == '?')
		return true;
	if (c == '\\' && pattern->size)
		return take(pattern) == byte;
	if (c != '[')
		return c == byte;
	bool negated = pattern->size && pattern->data[0] == '^';
	if (negated)
		take(pattern);
	while (pattern->size && pattern->data[0] != ']') {
		if (pattern->data[0] == '\\' && pattern->size > 1)
			take(pattern);
		unsigned char low = (unsigned char)take(pattern), high = low;
		if (pattern->size > 1 && pattern->data[0] == '-' && pattern->data[1] != ']') {
			take(pattern);
			high = (unsigned char)take(pattern);
		}
		for (int b = 0; b < 256; b++)
			allowed[b] |= (b >= low && b <= high) || (b <= low && b >= high);
	}
	if (pattern->size)
		take(pattern);
	return allowed[(unsigned char)byte] != negated;
}

static bool glob_match(struct slice pattern, struct slice text, bool ignore_case)
{
	struct glob glob;
	glob_init(&glob, pattern, ignore_case);
	bool matched = glob_matches(&glob, text);
	assert_int_equal(glob.table != NULL, glob_bytes(pattern, ignore_case) > 0);
	glob_fini(&glob);
	return matched;
}

static struct slice random_bytes(
	struct random *random, char *out, size_t size_max, const char *from)
{
	size_t size = random_below(random, size_max + 1);
	for (size_t i = 0; i < size; i++)
		out[i] = from[random_below(random, strlen(from))];
	return slice_of(out, size);
}

static void agrees_with_a_reference_that_tries_everything(void **state)
{
	struct random random;
	int matched = 0;
	random_seed(&random, 3);
	for (int i = 0; i < 300000; i++) {
		char pattern_bytes[10], text_bytes[8];
		struct slice pattern =
			random_bytes(&random, pattern_bytes, 10, i % 2 ? "ab**?" : "abc*?[]^-\\");
		struct slice text =
			random_bytes(&random, text_bytes, 8, i % 3 ? "ab" : "abc[]-^\\");
		bool expected = reference_match(pattern, text);
		if (glob_match(pattern, text, false) != expected)
			fail_msg("pattern '%.*s' text '%.*s' should%s match", (int)pattern.size,
				pattern.data, (int)text.size, text.data, expected ? "" : " not");
		matched += expected;
	}
	assert_true(matched > 10000);
}

static bool matches(const char *pattern, const char *text)
{
	return glob_match(slice_text(pattern), slice_text(text), false);
}

static void knows_the_patterns_of_redis(void **state)
{
	assert_true(matches("h?llo", "hello"));
	assert_false(matches("h?llo", "hllo"));
	assert_true(matches("h*llo", "heeeello"));
	assert_true(matches("h[ae]llo", "hallo"));
	assert_false(matches("h[ae]llo", "hillo"));
	assert_true(matches("h[^e]llo", "hallo"));
	assert_false(matches("h[^e]llo", "hello"));
	assert_true(matches("h[a-b]llo", "hbllo"));
	assert_true(matches("h[b-a]llo", "hbllo"));
	assert_true(matches("h\\*llo", "h*llo"));
	assert_false(matches("h\\*llo", "hxllo"));
	assert_true(matches("", ""));
	assert_true(matches("***", ""));
	assert_false(matches("?", ""));
}

static void ignores_case_only_when_asked(void **state)
{
	assert_false(matches("MAX*", "maxclients"));
	assert_true(glob_match(slice_text("MAX*"), slice_text("maxclients"), true));
	assert_true(glob_match(slice_text("[A-C]x"), slice_text("bX"), true));
}

static void treats_zero_bytes_like_others(void **state)
{
	assert_true(glob_match(slice_of("a\0*", 3), slice_of("a\0b", 3), false));
	assert_false(glob_match(slice_of("a\0c", 3), slice_of("a\0b", 3), false));
}

/* As above, with so many elements that the set of places takes several words. */
static void long_patterns_agree_too(void **state)
{
	struct random random;
	int matched = 0;
	random_seed(&random, 5);
	for (int i = 0; i < 3000; i++) {
		char pattern_bytes[300], text_bytes[310];
		size_t size = 60 + random_below(&random, 90);
		size_t texts = 0;
		for (size_t at = 0; at < size; at++) {
			bool any = random_below(&random, 3) == 0;
			pattern_bytes[at] = any ? '?' : 'a' + (char)random_below(&random, 2);
			text_bytes[texts++] = any ? 'x' : pattern_bytes[at];
		}
		/* One star: the reference tries every length of it. */
		if (i % 2) {
			pattern_bytes[random_below(&random, size)] = '*';
			text_bytes[texts++] = pattern_bytes[size - 1];
		}
		if (i % 5 == 0)
			text_bytes[random_below(&random, texts)] = 'c';
		struct slice pattern = slice_of(pattern_bytes, size);
		struct slice text = slice_of(text_bytes, texts);
		bool expected = reference_match(pattern, text);
		if (glob_match(pattern, text, false) != expected)
			fail_msg("pattern '%.*s' text '%.*s' should%s match", (int)pattern.size,
				pattern.data, (int)text.size, text.data, expected ? "" : " not");
		matched += expected;
	}
	assert_in_range(matched, 500, 2900);
}

/* The runner's time limit is the assertion: none takes the time of pattern times text. */
static void no_pattern_takes_long(void **state)
{
	static char pattern[4096], text[1 << 20];
	static const char *const parts[] = { "a*", "?a*", "*a?", "[a-z]", "*a", "aaa*" };
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t size = strlen(parts[i]);
		for (size_t at = 0; at + size < sizeof(pattern); at += size)
			memcpy(pattern + at, parts[i], size);
		pattern[sizeof(pattern) - 1] = 'b';
		assert_false(glob_match(
			slice_of(pattern, sizeof(pattern)), slice_of(text, sizeof(text)), false));
	}
}

/* Exponential in a naive matcher; the runner's time limit is the assertion. */
static void many_stars_take_no_exponential_time(void **state)
{
	char pattern[201], text[2000];
	for (size_t i = 0; i < 200; i += 2)
		memcpy(pattern + i, "a*", 2);
	pattern[200] = 'b';
	memset(text, 'a', sizeof(text));
	assert_false(glob_match(
		slice_of(pattern, sizeof(pattern)), slice_of(text, sizeof(text)), false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_reference_that_tries_everything),
		cmocka_unit_test(knows_the_patterns_of_redis),
		cmocka_unit_test(ignores_case_only_when_asked),
		cmocka_unit_test(treats_zero_bytes_like_others),
		cmocka_unit_test(long_patterns_agree_too),
		cmocka_unit_test(no_pattern_takes_long),
		cmocka_unit_test(many_stars_take_no_exponential_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
