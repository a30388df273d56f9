/*
 * gaps: what is learnt, what is forgotten when a key is put.
 */
#include "store/gaps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void learn(struct gaps *gaps, const char *start, const char *end)
{
	gaps_learn(gaps, slice_text(start), slice_text(end));
}

/* Whether a gap from `start` to `end` is around the key; NULL: none is. */
static void check(const struct gaps *gaps, const char *key, const char *start, const char *end)
{
	const struct gap *gap = gaps_around(gaps, slice_text(key));
	assert_int_equal(gap != NULL, start != NULL);
	if (start == NULL)
		return;
	assert_true(slice_equal(gap->start, slice_text(start)));
	assert_true(slice_equal(gap->end, slice_text(end)));
}

static void a_gap_holds_its_start_and_not_its_end(void **state)
{
	struct gaps gaps = { 0 };
	check(&gaps, "b", NULL, NULL);
	learn(&gaps, "b", "d");
	check(&gaps, "b", "b", "d");
	check(&gaps, "czzz", "b", "d");
	check(&gaps, "a", NULL, NULL);
	check(&gaps, "d", NULL, NULL);
	gaps_fini(&gaps);
}

static void what_touches_a_gap_makes_it_longer(void **state)
{
	struct gaps gaps = { 0 };
	learn(&gaps, "d", "f");
	learn(&gaps, "f", "h");
	learn(&gaps, "b", "e");
	check(&gaps, "d", "b", "h");
	learn(&gaps, "c", "d");
	check(&gaps, "d", "b", "h");
	learn(&gaps, "a", "z");
	check(&gaps, "d", "a", "z");
	assert_int_equal(gaps.count, 1);
	gaps_fini(&gaps);
}

static void the_oldest_goes_when_there_are_many(void **state)
{
	struct gaps gaps = { 0 };
	char start[2] = "b", end[3] = "bm";
	for (int i = 0; i <= GAPS_MAX; i++, start[0]++, end[0]++)
		learn(&gaps, start, end);
	check(&gaps, "b", NULL, NULL);
	check(&gaps, "c", "c", "cm");
	check(&gaps, "f", "f", "fm");
	learn(&gaps, "x", "y");
	check(&gaps, "c", NULL, NULL);
	check(&gaps, "f", "f", "fm");
	gaps_fini(&gaps);
}

static void a_key_that_is_put_ends_the_gap_in_front_of_it(void **state)
{
	struct gaps gaps = { 0 };
	learn(&gaps, "b", "f");
	gaps_put(&gaps, slice_text("a"));
	gaps_put(&gaps, slice_text("f"));
	check(&gaps, "d", "b", "f");
	gaps_put(&gaps, slice_text("d"));
	check(&gaps, "c", "b", "d");
	check(&gaps, "d", NULL, NULL);
	check(&gaps, "e", NULL, NULL);
	gaps_put(&gaps, slice_text("b"));
	check(&gaps, "c", NULL, NULL);
	assert_int_equal(gaps.count, 0);
	gaps_fini(&gaps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gap_holds_its_start_and_not_its_end),
		cmocka_unit_test(what_touches_a_gap_makes_it_longer),
		cmocka_unit_test(the_oldest_goes_when_there_are_many),
		cmocka_unit_test(a_key_that_is_put_ends_the_gap_in_front_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
