/*
 * The table of uses against one that looks at every entry: random finds, takes and removals over
 * few and many keys, with hashes that collide by their low bits at every width of the table.
 */
#include "session/touches.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEYS_MAX 4000

struct entry {
	uint64_t hash;
	int64_t end_ms; /* 0: not in the table */
	bool waits;
};

struct world {
	struct random random;
	struct touches touches;
	struct entry entries[KEYS_MAX];
	size_t keys;
	size_t count;
};

static uint64_t below(struct world *world, uint64_t bound)
{
	return random_below(&world->random, bound);
}

static void compare(const struct world *world, const struct entry *entry)
{
	const struct touch *touch = touches_find(&world->touches, entry->hash);
	if (entry->end_ms == 0) {
		assert_null(touch);
		return;
	}
	assert_non_null(touch);
	assert_int_equal(touch->hash, entry->hash);
	assert_int_equal(touch->end_ms, entry->end_ms);
	assert_int_equal(touch->waits, entry->waits);
}

static void compare_all(const struct world *world)
{
	size_t taken = 0;
	for (size_t i = 0; i < world->keys; i++)
		compare(world, &world->entries[i]);
	for (size_t i = 0; i < world->touches.capacity; i++)
		taken += world->touches.places[i].end_ms != 0;
	assert_int_equal(taken, world->count);
	assert_int_equal(world->touches.count, world->count);
}

static void take(struct world *world, struct entry *entry)
{
	struct touch *touch = touches_take(&world->touches, entry->hash);
	assert_int_equal(touch->end_ms, entry->end_ms ? entry->end_ms : 1);
	assert_int_equal(touch->waits, entry->waits);
	world->count += entry->end_ms == 0;
	entry->end_ms = touch->end_ms = 1 + (int64_t)below(world, 1000000);
	entry->waits = touch->waits = below(world, 2);
}

static void drop(struct world *world, struct entry *entry)
{
	touches_remove(&world->touches, entry->hash);
	world->count -= entry->end_ms != 0;
	entry->end_ms = 0;
	entry->waits = false;
}

static void one_step(struct world *world, uint64_t takes_in_8)
{
	struct entry *entry = &world->entries[below(world, world->keys)];
	size_t foretold = touches_bytes(&world->touches, true);
	compare(world, entry);
	if (below(world, 8) < takes_in_8) {
		bool is_new = entry->end_ms == 0;
		take(world, entry);
		if (is_new)
			assert_int_equal(touches_bytes(&world->touches, false), foretold);
	} else {
		drop(world, entry);
	}
	compare(world, entry);
	/* A look-up of what is not there ends, so there must be free places. */
	assert_true(world->touches.count <= world->touches.capacity / 4 * 3);
}

/* The hashes have `low_values` different low parts. */
static void run(uint64_t seed, size_t keys, uint64_t low_values, uint64_t base)
{
	struct world *world = calloc(1, sizeof(*world));
	random_seed(&world->random, seed);
	world->keys = keys;
	for (size_t i = 0; i < keys; i++)
		world->entries[i].hash =
			((uint64_t)i << 32) | ((base + below(world, low_values)) & 0xffffffff);
	for (uint64_t phase = 0; phase < 6; phase++) {
		for (size_t i = 0; i < 3 * keys; i++)
			one_step(world, phase % 2 ? 2 : 6);
		compare_all(world);
	}
	for (size_t i = 0; i < keys; i++)
		drop(world, &world->entries[i]);
	compare_all(world);
	touches_fini(&world->touches);
	free(world);
}

static void agrees_with_a_plain_table(void **state)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		run(seed, 40, UINT32_MAX, 0);
		run(seed, 200, UINT32_MAX, 0);
	}
	run(31, KEYS_MAX, UINT32_MAX, 0);
}

static void agrees_when_hashes_collide(void **state)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		run(seed, 40, 1, 7);
		run(seed, 60, 3, 62);
		run(seed, 120, 20, 100);
	}
}

static void agrees_when_runs_go_over_the_end(void **state)
{
	/* Homes are the last places of the table, whatever its width. */
	for (uint64_t seed = 1; seed <= 30; seed++) {
		run(seed, 44, 2, 0xfffffffe);
		run(seed, 44, 6, 0xfffffffd);
		run(seed, 500, 4, 0xfffffffc);
	}
}

static void an_empty_one_knows_nothing(void **state)
{
	struct touches touches = { 0 };
	assert_null(touches_find(&touches, 0));
	touches_remove(&touches, 0);
	assert_int_equal(touches_bytes(&touches, false), 0);
	assert_true(touches_bytes(&touches, true) > 0);
	assert_int_equal(touches_take(&touches, 0)->end_ms, 1);
	assert_non_null(touches_find(&touches, 0));
	assert_null(touches_find(&touches, 64));
	touches_fini(&touches);
	assert_null(touches_find(&touches, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_plain_table),
		cmocka_unit_test(agrees_when_hashes_collide),
		cmocka_unit_test(agrees_when_runs_go_over_the_end),
		cmocka_unit_test(an_empty_one_knows_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
