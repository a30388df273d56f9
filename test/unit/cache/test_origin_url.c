/*
 * test_origin_url: the URL of a key, and keys that go up.
 */
#include "cache/origin_url.h"
#include "support/count.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void url_is(struct slice rest, const char *wanted)
{
	struct arena arena;
	arena_init(&arena, 1024);
	/* In memory that ends where it ends. */
	char *copy = malloc(rest.size + 1);
	memcpy(copy, rest.data, rest.size);
	struct slice url =
		origin_url(slice_text("http://host/base/"), slice_of(copy, rest.size), &arena);
	assert_true(slice_starts_with(url, slice_text("http://host/base/")));
	struct slice given = slice_of(url.data + 17, url.size - 17);
	if (!slice_equal(given, slice_text(wanted)))
		fail_msg("%.*s, not %s", (int)given.size, given.data, wanted);
	free(copy);
	arena_fini(&arena);
}

static void what_can_stand_in_a_url_stays_as_it_is(void **state)
{
	static const char *const same[] = { "", "a/b?c=d&e=f", "a%20b", "q?x=R%26D",
		"q?x=R%26d&y=%3D", "%41%2f%2F%00%ff", "~-._!$&'()*+,;=:@/?[]", "notes..md",
		"compare/v1...v2", "?range=1..5" };
	for (size_t i = 0; i < COUNT(same); i++)
		url_is(slice_text(same[i]), same[i]);
}

static void everything_else_is_written_as_an_escape(void **state)
{
	static const struct {
		struct slice rest;
		const char *url;
	} cases[] = {
		{ { "a b", 3 }, "a%20b" },
		{ { "a#b", 3 }, "a%23b" },
		{ { "\"<>\\^`{|}", 9 }, "%22%3C%3E%5C%5E%60%7B%7C%7D" },
		{ { "\0\xff\r\n\x7f", 5 }, "%00%FF%0D%0A%7F" },
		{ { "\xc3\xa9", 2 }, "%C3%A9" },
		{ { "100%", 4 }, "100%25" },
		{ { "%", 1 }, "%25" },
		{ { "%4", 2 }, "%254" },
		{ { "%zz%4g%%41", 10 }, "%25zz%254g%25%41" },
		{ { "%25", 3 }, "%25" },
		{ { "%2541", 5 }, "%2541" },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		url_is(cases[i].rest, cases[i].url);
}

/* Any URL below the line's has a key: that which is written like it. */
static void every_url_has_a_key(void **state)
{
	static const char plain[] = "ABCXYZabcxyz0189-._~!$&'()*+,;=:@/?[]";
	for (int byte = 0; byte < 256; byte++) {
		char escape[4];
		snprintf(escape, sizeof(escape), "%%%02X", byte);
		url_is(slice_text(escape), escape);
	}
	url_is(slice_text(plain), plain);
}

static bool climbs(const char *base, const char *rest)
{
	return origin_url_climbs(slice_text(base), slice_text(rest));
}

static void a_segment_that_goes_up_is_found_however_it_is_written(void **state)
{
	static const char *const up[] = { "..", "../a", "a/..", "a/../b", "a/b/../../..", "%2e%2e",
		"%2E.", ".%2e/x", "a/%2e%2E/b", "..%2fsecret", "a%2F..%2fb", "..\\a", "a\\..",
		"%5c..%5C", "..;/a", "..;x=1", "a/..;/b", "%2e%2e%3bx", "..?x", "a/..?b", "//.." };
	for (size_t i = 0; i < COUNT(up); i++) {
		if (!climbs("http://host/base/", up[i]))
			fail_msg("%s does not go up", up[i]);
	}
}

static void names_with_dots_do_not_go_up(void **state)
{
	static const char *const names[] = { "", ".", "...", "notes..md", "..notes", "notes..",
		"a..b/c", "compare/v1...v2", "a/...", "?range=1..5", "?../..", "a?x=/../", "a?/..",
		"./a", "a/./b", ". .", "..%00", "%2e%2e%2e", "%252e%252e", "a;..", "a;/..a",
		"x%3f/a..", "..%20/a" };
	for (size_t i = 0; i < COUNT(names); i++) {
		if (climbs("http://host/base/", names[i]))
			fail_msg("%s goes up", names[i]);
	}
}

static void an_escaped_question_mark_ends_no_path(void **state)
{
	assert_true(climbs("http://host/", "a%3f/../b"));
	assert_true(climbs("http://host/", "a#/../b"));
}

static void the_segment_that_the_line_begins_counts(void **state)
{
	assert_true(climbs("http://host/a/.", "./b"));
	assert_true(climbs("http://host/a/.", "."));
	assert_false(climbs("http://host/a/v", ".."));
	assert_false(climbs("http://host/a/..", ".md"));
	assert_false(climbs("http://host/a/?path=", "../b"));
	assert_true(climbs("http://host", "/../b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_can_stand_in_a_url_stays_as_it_is),
		cmocka_unit_test(everything_else_is_written_as_an_escape),
		cmocka_unit_test(every_url_has_a_key),
		cmocka_unit_test(a_segment_that_goes_up_is_found_however_it_is_written),
		cmocka_unit_test(names_with_dots_do_not_go_up),
		cmocka_unit_test(an_escaped_question_mark_ends_no_path),
		cmocka_unit_test(the_segment_that_the_line_begins_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
