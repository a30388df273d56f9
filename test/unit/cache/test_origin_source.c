/*
 * test_origin_source: which line a key is under, and how many classes are told apart.
 */
#include "cache/origin_source.h"

#include "config/config.h"
#include "config/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct config config;
static struct origin_board *board;
static struct origin_sources *sources;

static void put(const char *prefix, const char *url, const char *header)
{
	char error[256];
	struct slice words[] = { slice_text(prefix), slice_text(url), slice_text(header) };
	size_t count = header[0] ? 3 : 2;
	assert_int_equal(
		config_put(&config, slice_text("cache-origin"), words, count, error, sizeof(error)),
		0);
}

static int set_up(void **state)
{
	config_init(&config);
	put("a:", "http://one.test/", "");
	put("a:long:", "http://two.test/", "Name:  a: b");
	put("b:", "http://one.test/", "");
	board = origin_board_new(&config);
	sources = origin_sources_new(&config, board);
	return 0;
}

static int tear_down(void **state)
{
	origin_sources_free(&sources);
	origin_board_free(&board);
	config_fini(&config);
	return 0;
}

static void a_key_is_under_the_longest_prefix(void **state)
{
	struct origin_source *one = origin_source_of_key(sources, slice_text("a:x"));
	struct origin_source *two = origin_source_of_key(sources, slice_text("a:long:x"));
	assert_int_equal(one->line, 0);
	assert_int_equal(two->line, 1);
	assert_int_equal(origin_source_of_key(sources, slice_text("b:"))->line, 2);
	assert_null(origin_source_of_key(sources, slice_text("c:x")));
	assert_null(origin_source_of_key(sources, slice_text("a")));
	assert_int_equal(two->header_count, 1);
	assert_true(slice_equal(two->headers[0].name, slice_text("Name")));
	assert_true(slice_equal(two->headers[0].value, slice_text("a: b")));
}

static struct origin_source *class_of(int number)
{
	char name[32];
	snprintf(name, sizeof(name), "Class%d", number);
	return origin_source_of_class(sources, slice_text(name));
}

static void the_class_asked_longest_ago_is_forgotten(void **state)
{
	struct origin_source *first = class_of(0);
	first->breaker.pause_ms = 1; /* to know it again */
	for (int i = 1; i < ORIGIN_CLASSES_MAX; i++)
		class_of(i)->breaker.pause_ms = 1;
	assert_ptr_equal(class_of(0), first);
	assert_int_equal(class_of(ORIGIN_CLASSES_MAX)->breaker.pause_ms, 0);
	assert_int_equal(class_of(0)->breaker.pause_ms, 1);
	assert_int_equal(class_of(1)->breaker.pause_ms, 0);
}

static void classes_with_something_under_way_stay_and_others_share_one(void **state)
{
	for (int i = 0; i < ORIGIN_CLASSES_MAX; i++)
		class_of(i)->jobs = 1;
	struct origin_source *other = class_of(ORIGIN_CLASSES_MAX);
	assert_ptr_equal(class_of(ORIGIN_CLASSES_MAX + 1), other);
	for (int i = 0; i < ORIGIN_CLASSES_MAX; i++) {
		assert_ptr_not_equal(class_of(i), other);
		class_of(i)->jobs = 0;
	}
	assert_ptr_not_equal(class_of(ORIGIN_CLASSES_MAX), other);
}

static void count_paused(void *context, const struct origin_notice *notice)
{
	uint32_t *workers = context;
	*workers += notice->workers;
	if (notice->workers)
		assert_string_equal(notice->error, "why");
	else
		assert_string_equal(notice->error, "");
}

static uint32_t paused(void)
{
	uint32_t workers = 0;
	origin_board_each(board, count_paused, &workers);
	return workers;
}

static void what_is_paused_stands_on_the_board_of_all(void **state)
{
	struct origin_sources *others = origin_sources_new(&config, board);
	struct origin_source *here = origin_source_of_key(sources, slice_text("a:x"));
	struct origin_source *there = origin_source_of_key(others, slice_text("a:x"));
	int64_t now_ms = 100000, retry_ms;
	origin_source_note(sources, here, false, BREAKER_UNREACHABLE, -1, "why", now_ms);
	assert_int_equal(paused(), 1);
	origin_source_note(sources, here, false, BREAKER_UNREACHABLE, -1, "why", now_ms);
	assert_int_equal(paused(), 1);
	origin_source_note(others, there, false, BREAKER_UNREACHABLE, -1, "why", now_ms);
	assert_int_equal(paused(), 2);
	now_ms += BREAKER_PAUSE_MS_FIRST;
	assert_int_equal(breaker_admit(&here->breaker, now_ms, &retry_ms), BREAKER_PROBE);
	origin_source_note(sources, here, true, BREAKER_ANSWERED, -1, "", now_ms);
	assert_int_equal(paused(), 1);
	origin_source_note(others, there, true, BREAKER_ANSWERED, -1, "", now_ms);
	assert_int_equal(paused(), 0);
	origin_sources_free(&others);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_is_under_the_longest_prefix),
		TEST(the_class_asked_longest_ago_is_forgotten),
		TEST(classes_with_something_under_way_stay_and_others_share_one),
		TEST(what_is_paused_stands_on_the_board_of_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
