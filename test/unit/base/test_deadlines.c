/*
 * test_deadlines: random deadlines are set, moved and removed, beside a plain array of what is set.
 */
#include "base/container.h"
#include "base/deadlines.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MEMBERS 200

struct member {
	int number;
	struct deadline deadline;
};

static bool is_before(const struct deadline *a, const struct deadline *b)
{
	return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static void check(
	const struct deadlines *deadlines, const struct member *members, const bool *is_set)
{
	const struct deadline *first = deadlines_first(deadlines);
	size_t count = 0;
	for (int i = 0; i < MEMBERS; i++) {
		const struct deadline *deadline = &members[i].deadline;
		assert_int_equal(deadline->place != 0, is_set[i]);
		count += is_set[i];
		if (is_set[i])
			assert_false(is_before(deadline, first));
	}
	assert_int_equal(deadlines->count, count);
	assert_int_equal(first != NULL, count > 0);
}

static void the_first_is_the_earliest_of_all_that_are_set(void **state)
{
	static struct member members[MEMBERS];
	static bool is_set[MEMBERS];
	struct deadlines deadlines = { 0 };
	struct random random;
	random_seed(&random, 11);
	for (int step = 0; step < 20000; step++) {
		uint64_t which = random_below(&random, MEMBERS);
		/* It fills and empties by turns. */
		bool sets = random_below(&random, 10) < (step / 2000 % 2 ? 3 : 7);
		if (sets)
			deadlines_set(&deadlines, &members[which].deadline,
				(int64_t)random_below(&random, 50), random_below(&random, 5));
		else
			deadlines_remove(&deadlines, &members[which].deadline);
		is_set[which] = sets;
		check(&deadlines, members, is_set);
	}
	while (deadlines.count > 0) {
		struct member *first =
			container_of(deadlines_first(&deadlines), struct member, deadline);
		deadlines_remove(&deadlines, &first->deadline);
		is_set[first - members] = false;
		check(&deadlines, members, is_set);
	}
	deadlines_fini(&deadlines);
}

static void equal_times_go_by_their_order(void **state)
{
	struct member members[MEMBERS] = { 0 };
	struct deadlines deadlines = { 0 };
	for (int i = 0; i < MEMBERS; i++) {
		members[i].number = i * 77 % MEMBERS;
		deadlines_set(&deadlines, &members[i].deadline, 5, (uint64_t)members[i].number);
	}
	for (int i = 0; i < MEMBERS; i++) {
		struct deadline *first = deadlines_first(&deadlines);
		assert_int_equal(container_of(first, struct member, deadline)->number, i);
		deadlines_remove(&deadlines, first);
	}
	deadlines_fini(&deadlines);
}

static void nothing_is_due_when_nothing_is_set(void **state)
{
	struct deadlines deadlines = { 0 };
	struct deadline deadline = { 0 };
	assert_null(deadlines_first(&deadlines));
	deadlines_remove(&deadlines, &deadline);
	deadlines_fini(&deadlines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_the_earliest_of_all_that_are_set),
		cmocka_unit_test(equal_times_go_by_their_order),
		cmocka_unit_test(nothing_is_due_when_nothing_is_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
