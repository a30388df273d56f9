/*
 * What a shard counts of the cache, in all and by group, also when there are more groups than are
 * kept apart.
 */
#include "cache/stats.h"

#include "holdfast/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t sum_of(const struct stats *stats, const char *prefix, enum cache_stat stat)
{
	uint64_t sums[STAT_COUNT] = { 0 };
	stats_sum(stats, slice_text(prefix), sums);
	return sums[stat];
}

static void count_group(void *context, struct slice group)
{
	(*(int *)context)++;
}

static void each_has_a_name_of_its_own(void **state)
{
	for (int i = 0; i < STAT_COUNT; i++) {
		assert_non_null(stat_names[i]);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(stat_names[i], stat_names[j]);
	}
}

static void count_in_all_and_by_group(void **state)
{
	struct stats *stats = stats_new();
	stats_add(stats, slice_text("user:1"), STAT_GETS, 1);
	stats_add(stats, slice_text("user:2"), STAT_GETS, 2);
	stats_add(stats, slice_text("users:2"), STAT_GETS, 4);
	stats_add(stats, slice_text("alone"), STAT_GETS, 8);
	stats_add(stats, slice_text(""), STAT_GETS, 16);
	stats_add(stats, slice_text("user:1"), STAT_SETS, 32);
	assert_int_equal(sum_of(stats, "", STAT_GETS), 31);
	assert_int_equal(sum_of(stats, "user:", STAT_GETS), 3);
	assert_int_equal(sum_of(stats, "user", STAT_GETS), 7);
	assert_int_equal(sum_of(stats, "users:", STAT_GETS), 4);
	assert_int_equal(sum_of(stats, "user:1", STAT_GETS), 0);
	assert_int_equal(sum_of(stats, "user:", STAT_SETS), 32);
	assert_int_equal(sum_of(stats, "", STAT_FILLS), 0);
	int groups = 0;
	stats_each_group(stats, count_group, &groups);
	assert_int_equal(groups, 2);
	stats_free(&stats);
	assert_null(stats);
}

static void count_in_all_what_has_no_place_by_group(void **state)
{
	char key[32];
	struct stats *stats = stats_new();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < LIMIT_CACHE_GROUPS + 100; i++) {
			snprintf(key, sizeof(key), "group%d:x", i);
			stats_add(stats, slice_text(key), STAT_GETS, 1);
		}
	}
	int groups = 0;
	stats_each_group(stats, count_group, &groups);
	assert_int_equal(groups, LIMIT_CACHE_GROUPS);
	assert_int_equal(sum_of(stats, "", STAT_GETS), 2 * (LIMIT_CACHE_GROUPS + 100));
	assert_int_equal(sum_of(stats, "group", STAT_GETS), 2 * LIMIT_CACHE_GROUPS);
	stats_free(&stats);
}

static void the_longest_group_has_room(void **state)
{
	char key[LIMIT_CACHE_GROUP_BYTES + 1];
	memset(key, 'g', sizeof(key));
	key[LIMIT_CACHE_GROUP_BYTES - 1] = ':';
	struct stats *stats = stats_new();
	stats_add(stats, slice_of(key, sizeof(key)), STAT_GETS, 1);
	uint64_t sums[STAT_COUNT] = { 0 };
	stats_sum(stats, slice_of(key, LIMIT_CACHE_GROUP_BYTES), sums);
	assert_int_equal(sums[STAT_GETS], 1);
	stats_free(&stats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_a_name_of_its_own),
		cmocka_unit_test(count_in_all_and_by_group),
		cmocka_unit_test(count_in_all_what_has_no_place_by_group),
		cmocka_unit_test(the_longest_group_has_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
