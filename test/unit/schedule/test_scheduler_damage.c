/*
 * Damaged bytes of what is due: the scheduler names them and ends the process.
 */
#include "scheduler_fixture.h"
#include "support/damage.h"

static void settle(void *context)
{
	bench_settle(context);
}

static void look_back(void *context)
{
	struct bench *bench = context;
	bench->rig.now_ms -= 3600000;
	bench->rig.set_ms -= 3600000;
	bench->worker[0].wanted_ms = 0;
	bench_settle(bench);
}

static struct bench *open_new(void)
{
	struct bench *bench = bench_new(1, 1);
	bench_open(bench);
	return bench;
}

static void put(struct bench *bench, struct slice key, struct slice bytes)
{
	damage_put(bench->rig.engine->stores[0], 0, key, VALUE_BYTES, 0, bytes);
}

static void the_key_of_a_due_entry(void **state)
{
	struct bench *bench = open_new();
	put(bench, slice_of("\5\0\0\0\0\0\0\0\1\x09", 10), slice_of("", 0));
	assert_fault(settle, bench,
		"the key of a due entry is damaged: shard 0, table 5, key of 10 bytes");
	bench_free(bench);
}

static void the_key_of_one_that_is_looked_at_anew(void **state)
{
	struct bench *bench = open_new();
	struct key key;
	bench_settle(bench);
	key_of_due_time(&key, bench->rig.now_ms + 1000000);
	put(bench, key_slice(&key), slice_of("", 0));
	assert_fault(look_back, bench,
		"the key of a due entry is damaged: shard 0, table 5, key of 9 bytes");
	bench_free(bench);
}

static void what_time_it_was(void **state)
{
	struct bench *bench = open_new();
	put(bench, slice_of("\x08", 1), slice_text("short"));
	assert_fault(settle, bench, "what time it was is damaged: shard 0, table 8");
	bench_free(bench);
}

static void a_wake(void **state)
{
	struct bench *bench = open_new();
	struct due due = { .kind = DUE_WAKE,
		.at_ms = bench->rig.now_ms,
		.object = bench_name(slice_text("a")),
		.name = slice_text("poll") };
	struct key key;
	bench_do(bench, &bench_put, "a", "k", "v");
	key_of_due(&key, &due);
	put(bench, key_slice(&key), slice_text("\5\7short"));
	scheduler_look_at(&bench_scheduler(bench)->shards[0], 0);
	bench->worker[0].wanted_ms = 0;
	assert_fault(settle, bench, "a wake of an object is damaged: shard 0, table 5");
	bench_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_key_of_a_due_entry),
		cmocka_unit_test(the_key_of_one_that_is_looked_at_anew),
		cmocka_unit_test(what_time_it_was),
		cmocka_unit_test(a_wake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
