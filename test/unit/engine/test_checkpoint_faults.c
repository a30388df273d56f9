/*
 * A checkpoint that cannot be written, for another reason than a full disk, ends the process; what
 * the log holds is not touched by it. What a fault leaves behind is not freed, as it would not be
 * by the process that ends.
 */
#include "base/fault.h"
#include "base/memory.h"
#include "support/engine_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static jmp_buf after_fault;

static void on_fault(void)
{
	longjmp(after_fault, 1);
}

static bool checkpoint_is_a_fault(struct engine_rig *rig)
{
	fault_set_hook(on_fault);
	if (setjmp(after_fault))
		return true;
	engine_rig_checkpoint(rig);
	return false;
}

static void a_commit_that_fails_is_a_fault_and_the_log_keeps_everything(void **state)
{
	struct engine_rig *rig = memory_zeroed(sizeof(*rig));
	engine_rig_init(rig, 4);
	engine_rig_start(rig, 1, 1);
	rig_run(rig, 0, "MSET", "a", "1", "b", "2", "c", "3");
	engine_rig_settle(rig);
	rig->commit_error = -EIO;
	assert_true(checkpoint_is_a_fault(rig));
	fault_set_hook(NULL);
	engine_rig_crash(rig);
	rig->commit_error = 0;
	engine_rig_start(rig, 1, 1);
	assert_int_equal(rig->recovery.log.records, 1);
	assert_string_equal(
		rig_run(rig, 0, "MGET", "a", "b", "c"), "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
	engine_rig_fini(rig);
	memory_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_commit_that_fails_is_a_fault_and_the_log_keeps_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
