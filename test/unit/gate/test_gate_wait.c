/*
 * test_gate_wait: who waits at the gate is told when its record is durable or released, in the
 * order of LSNs, and a thread that sleeps for it is woken. On one thread; test_gate_threads has
 * many.
 */
#include "gate_fixture.h"

#define WAITERS 8

struct waiter {
	struct gate_wait wait; /* stands first */
	int told;
	int order;          /* among all, from 1 on */
	uint64_t again_lsn; /* when told it waits for this; 0: for nothing */
};

struct wait_test {
	struct fixture *f;
	struct gate_waits waits;
	struct waiter waiters[WAITERS];
	int wakes;
};

static int told_count;

static int set_up(void **state)
{
	*state = fixture_new(true);
	told_count = 0;
	return 0;
}

static void count_wake(void *context)
{
	++*(int *)context;
}

static void on_told(struct gate_wait *wait)
{
	struct waiter *waiter = (struct waiter *)wait;
	assert_null(wait->waits);
	waiter->told++;
	waiter->order = ++told_count;
}

static void open_waits(struct wait_test *test, struct fixture *f, enum gate_until until)
{
	*test = (struct wait_test){ .f = f };
	gate_waits_init(&test->waits, f->gate, until);
	gate_waits_set_wake(&test->waits, count_wake, &test->wakes);
	for (int i = 0; i < WAITERS; i++)
		test->waiters[i].wait.told = on_told;
}

static void begin(struct wait_test *test, int waiter, uint64_t lsn)
{
	gate_wait_begin(&test->waits, &test->waiters[waiter].wait, lsn);
}

/* --- being told ------------------------------------------------------------------------------- */

static void is_told_when_its_record_is_durable_and_not_before(void **state)
{
	struct wait_test test;
	open_waits(&test, *state, GATE_UNTIL_RELEASED);
	uint64_t lsn = append(test.f, 1);
	begin(&test, 0, lsn);
	assert_false(gate_waits_are_due(&test.waits));
	assert_false(gate_waits_run(&test.waits));
	assert_int_equal(test.waiters[0].told, 0);
	assert_true(gate_wait_is_on(&test.waiters[0].wait));
	gate_step(test.f->gate);
	assert_true(gate_waits_are_due(&test.waits));
	assert_int_equal(test.waiters[0].told, 0);
	assert_true(gate_waits_run(&test.waits));
	assert_int_equal(test.waiters[0].told, 1);
	assert_false(gate_wait_is_on(&test.waiters[0].wait));
	assert_false(gate_waits_run(&test.waits));
}

static void those_of_a_later_record_wait_on(void **state)
{
	struct wait_test test;
	open_waits(&test, *state, GATE_UNTIL_RELEASED);
	begin(&test, 0, append(test.f, 1));
	gate_step(test.f->gate);
	begin(&test, 1, append(test.f, 2));
	assert_true(gate_waits_run(&test.waits));
	assert_int_equal(test.waiters[0].told, 1);
	assert_int_equal(test.waiters[1].told, 0);
	gate_step(test.f->gate);
	assert_true(gate_waits_run(&test.waits));
	assert_int_equal(test.waiters[1].told, 1);
}

static void they_are_told_in_the_order_of_lsns_and_then_of_coming(void **state)
{
	static const uint64_t lsns[WAITERS] = { 5, 3, 3, 8, 1, 7, 5, 2 };
	static const int order[WAITERS] = { 5, 3, 4, 8, 1, 7, 6, 2 };
	struct wait_test test;
	open_waits(&test, *state, GATE_UNTIL_RELEASED);
	for (uint64_t i = 1; i <= WAITERS; i++)
		append(test.f, i);
	for (int i = 0; i < WAITERS; i++)
		begin(&test, i, lsns[i]);
	gate_step(test.f->gate);
	assert_true(gate_waits_run(&test.waits));
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(test.waiters[i].order, order[i]);
}

static void what_is_durable_already_is_told_by_the_next_run(void **state)
{
	struct wait_test test;
	open_waits(&test, *state, GATE_UNTIL_RELEASED);
	uint64_t lsn = append(test.f, 1);
	gate_step(test.f->gate);
	begin(&test, 0, lsn);
	begin(&test, 1, 0);
	assert_int_equal(test.waiters[0].told, 0);
	assert_true(gate_waits_run(&test.waits));
	assert_int_equal(test.waiters[0].told, 1);
	assert_int_equal(test.waiters[1].told, 1);
}

static void who_ends_its_wait_is_not_told(void **state)
{
	struct wait_test test;
	open_waits(&test, *state, GATE_UNTIL_RELEASED);
	for (int i = 0; i < 4; i++)
		begin(&test, i, append(test.f, (uint64_t)i + 1));
	gate_wait_end(&test.waiters[0].wait);
	gate_wait_end(&test.waiters[2].wait);
	gate_wait_end(&test.waiters[3].wait);
	gate_wait_end(&test.waiters[3].wait); /* a second time changes nothing */
	gate_step(test.f->gate);
	assert_true(gate_waits_run(&test.waits));
	assert_int_equal(told_count, 1);
	assert_int_equal(test.waiters[1].told, 1);
	assert_null(test.waits.first);
	assert_null(test.waits.last);
}

/* Of the only one there is. */
static struct gate_waits *waits_again;

static void on_told_again(struct gate_wait *wait)
{
	struct waiter *waiter = (struct waiter *)wait;
	if (waiter->told++ == 0)
		gate_wait_begin(waits_again, wait, waiter->again_lsn);
}

static void who_is_told_may_wait_anew(void **state)
{
	struct wait_test test;
	open_waits(&test, *state, GATE_UNTIL_RELEASED);
	struct waiter *waiter = &test.waiters[0];
	waits_again = &test.waits;
	waiter->wait.told = on_told_again;
	begin(&test, 0, append(test.f, 1));
	waiter->again_lsn = append(test.f, 2) + 1;
	gate_step(test.f->gate);
	assert_true(gate_waits_run(&test.waits));
	assert_int_equal(waiter->told, 1);
	assert_true(gate_wait_is_on(&waiter->wait));
	append(test.f, 3);
	gate_step(test.f->gate);
	assert_true(gate_waits_run(&test.waits));
	assert_int_equal(waiter->told, 2);
}

static void under_everysec_what_is_released_is_not_durable(void **state)
{
	struct wait_test released, durable;
	struct fixture *f = *state;
	f->config.durability = DURABILITY_EVERYSEC;
	open_waits(&released, f, GATE_UNTIL_RELEASED);
	open_waits(&durable, f, GATE_UNTIL_DURABLE);
	uint64_t lsn = append(f, 1);
	begin(&released, 0, lsn);
	begin(&durable, 0, lsn);
	assert_true(gate_waits_run(&released.waits));
	assert_int_equal(released.waiters[0].told, 1);
	gate_step(f->gate); /* the first one syncs */
	assert_true(gate_waits_run(&durable.waits));
	begin(&durable, 0, append(f, 2));
	gate_step(f->gate); /* written, and not synced */
	assert_false(gate_waits_run(&durable.waits));
	f->now_ms += 1000;
	gate_step(f->gate);
	assert_true(gate_waits_run(&durable.waits));
}

/* --- sleeping --------------------------------------------------------------------------------- */

static void a_sleeper_is_woken_when_its_record_is_durable_and_not_before(void **state)
{
	struct wait_test test;
	open_waits(&test, *state, GATE_UNTIL_RELEASED);
	append(test.f, 1);
	append(test.f, 2);
	assert_true(gate_waits_sleep(&test.waits, 3));
	gate_step(test.f->gate);
	assert_int_equal(test.wakes, 0);
	append(test.f, 3);
	assert_int_equal(test.wakes, 0);
	gate_step(test.f->gate);
	assert_int_equal(test.wakes, 1);
	assert_int_equal(test.waits.wanted_lsn, 0);
	append(test.f, 4);
	gate_step(test.f->gate);
	assert_int_equal(test.wakes, 1);
}

static void each_sleeper_is_woken_for_its_own_record(void **state)
{
	struct wait_test tests[3];
	for (int i = 0; i < 3; i++)
		open_waits(&tests[i], *state, GATE_UNTIL_RELEASED);
	struct fixture *f = *state;
	append(f, 1);
	assert_true(gate_waits_sleep(&tests[0].waits, 1));
	assert_true(gate_waits_sleep(&tests[1].waits, 0));
	assert_true(gate_waits_sleep(&tests[2].waits, 2));
	gate_step(f->gate);
	assert_int_equal(tests[0].wakes, 1);
	assert_int_equal(tests[1].wakes + tests[2].wakes, 0);
	append(f, 2);
	gate_step(f->gate);
	assert_int_equal(tests[0].wakes + tests[1].wakes, 1);
	assert_int_equal(tests[2].wakes, 1);
}

static void a_sleeper_is_woken_for_the_first_of_those_that_wait(void **state)
{
	struct wait_test test;
	open_waits(&test, *state, GATE_UNTIL_RELEASED);
	uint64_t lsn = append(test.f, 1);
	begin(&test, 0, lsn + 2);
	begin(&test, 1, lsn);
	assert_true(gate_waits_sleep(&test.waits, lsn + 1));
	assert_int_equal(test.waits.wanted_lsn, lsn);
	gate_step(test.f->gate);
	assert_int_equal(test.wakes, 1);
	gate_waits_run(&test.waits);
	assert_true(gate_waits_sleep(&test.waits, 0));
	assert_int_equal(test.waits.wanted_lsn, lsn + 2);
}

static void nobody_sleeps_for_what_has_come_meanwhile(void **state)
{
	struct wait_test test;
	open_waits(&test, *state, GATE_UNTIL_RELEASED);
	uint64_t lsn = append(test.f, 1);
	begin(&test, 0, lsn);
	gate_step(test.f->gate);
	assert_false(gate_waits_sleep(&test.waits, 0));
	assert_true(gate_waits_run(&test.waits));
	assert_true(gate_waits_sleep(&test.waits, 0));
	assert_false(gate_waits_sleep(&test.waits, lsn));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_free)
	const struct CMUnitTest tests[] = {
		TEST(is_told_when_its_record_is_durable_and_not_before),
		TEST(those_of_a_later_record_wait_on),
		TEST(they_are_told_in_the_order_of_lsns_and_then_of_coming),
		TEST(what_is_durable_already_is_told_by_the_next_run),
		TEST(who_ends_its_wait_is_not_told),
		TEST(who_is_told_may_wait_anew),
		TEST(under_everysec_what_is_released_is_not_durable),
		TEST(a_sleeper_is_woken_when_its_record_is_durable_and_not_before),
		TEST(each_sleeper_is_woken_for_its_own_record),
		TEST(a_sleeper_is_woken_for_the_first_of_those_that_wait),
		TEST(nobody_sleeps_for_what_has_come_meanwhile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
