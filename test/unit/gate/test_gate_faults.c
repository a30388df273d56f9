/*
 * A failing disk under the gate: a write or a sync of the log that fails ends the process, and
 * nothing that depended on it has been released. What a fault leaves behind is not freed, as it
 * would not be by the process that ends.
 */
#include "gate_fixture.h"

/* What the sanitizers ask: nothing is freed, and a lock that was held is thrown away. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "report_destroy_locked=0";
}

static int set_up(void **state)
{
	*state = fixture_new(true);
	return 0;
}

static void count_wake(void *context)
{
	++*(int *)context;
}

static jmp_buf after_fault;

static void on_fault(void)
{
	longjmp(after_fault, 1);
}

/* Whether the next step ends the process. */
static bool step_is_a_fault(struct fixture *f, int (*step)(struct gate *gate))
{
	fault_set_hook(on_fault);
	if (setjmp(after_fault))
		return true;
	step(f->gate);
	return false;
}

static void a_failing_sync_is_a_fault_and_releases_nothing(void **state)
{
	struct fixture *f = *state;
	int wakes = 0;
	struct gate_waits waits;
	gate_waits_init(&waits, f->gate, GATE_UNTIL_RELEASED);
	gate_waits_set_wake(&waits, count_wake, &wakes);
	append(f, 1);
	gate_step(f->gate);
	append(f, 2);
	assert_true(gate_waits_sleep(&waits, 2));
	sim_disk_fail_at(f->disk, 2, EIO); /* the write goes well */
	assert_true(step_is_a_fault(f, gate_step));
	assert_int_equal(gate_durable(f->gate), 1);
	assert_int_equal(gate_released(f->gate), 1);
	assert_int_equal(wakes, 0);
	assert_survives(f, 1);
}

static void a_failing_write_is_a_fault_even_for_want_of_room(void **state)
{
	struct fixture *f = *state;
	append(f, 1);
	gate_step(f->gate);
	append(f, 2);
	sim_disk_fail_at(f->disk, 1, ENOSPC);
	assert_true(step_is_a_fault(f, gate_step));
	assert_int_equal(gate_durable(f->gate), 1);
	assert_survives(f, 1);
}

static void a_segment_that_cannot_be_made_for_another_reason_is_a_fault(void **state)
{
	struct fixture *f = *state;
	append_sized(f, 1, RECORD_BYTES);
	gate_step(f->gate);
	sim_disk_fail_at(f->disk, 2, EIO);
	assert_true(step_is_a_fault(f, gate_keeper_step));
	assert_survives(f, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_free)
	const struct CMUnitTest tests[] = {
		TEST(a_failing_sync_is_a_fault_and_releases_nothing),
		TEST(a_failing_write_is_a_fault_even_for_want_of_room),
		TEST(a_segment_that_cannot_be_made_for_another_reason_is_a_fault),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
