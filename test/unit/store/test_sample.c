/*
 * test_sample: lives of keys by chance, wherever the keys are: in overlays, in the tree, in both;
 * and of no keys but those of the database as it is.
 */
#include "store_model.h"

#define KEYS     2000
#define LIFE_MS  1000000
#define TRIES    400
#define AVERAGE  (LIFE_MS / 2)
#define NEAR_BY  (AVERAGE / 5)
#define OTHER_MS 90000000

/* Lives spread evenly from 0 to LIFE_MS, and as many keys without an end. */
static void put_keys(struct world *world, uint8_t db, unsigned first)
{
	for (unsigned i = 0; i < KEYS / 2; i++) {
		int64_t life_ms = 1 + (int64_t)world_below(world, LIFE_MS);
		world_put(world, world_key(world, db, first + i), 10, world->now_ms + life_ms);
		world_put(world, world_key(world, db, first + KEYS + i), 10, 0);
	}
}

static int64_t average(struct world *world, uint8_t db, uint32_t least, uint32_t most)
{
	double sum_ms = 0;
	uint32_t count =
		store_sample_lives(world->store, db, world->now_ms, &world->random, TRIES, &sum_ms);
	assert_in_range(count, least, most);
	return count ? (int64_t)(sum_ms / count) : 0;
}

static void is_near(int64_t ms)
{
	assert_in_range(ms, AVERAGE - NEAR_BY, AVERAGE + NEAR_BY);
}

static void of_keys_in_any_layer(void **state)
{
	struct world *world = world_new(1);
	(void)state;
	average(world, 0, 0, 0);
	put_keys(world, 0, 0);
	is_near(average(world, 0, TRIES / 3, TRIES * 2 / 3));
	store_freeze(world->store, world->lsn);
	is_near(average(world, 0, TRIES / 3, TRIES * 2 / 3));
	world_commit(world);
	world_thaw(world);
	is_near(average(world, 0, TRIES / 3, TRIES * 2 / 3));
	/* What was written anew is judged by what it is now. */
	for (unsigned i = 0; i < KEYS / 2; i++)
		world_put(world, world_key(world, 0, i), 10, world->now_ms + OTHER_MS);
	assert_int_equal(average(world, 0, TRIES / 3, TRIES), OTHER_MS);
	world_free(world);
}

static void of_the_longest_lives(void **state)
{
	const int64_t longest_ms = INT64_MAX / 1024 * 1023;
	struct world *world = world_new(3);
	(void)state;
	for (unsigned i = 0; i < KEYS; i++)
		world_put(world, world_key(world, 0, i), 10, world->now_ms + longest_ms);
	assert_in_range(average(world, 0, TRIES, TRIES), longest_ms / 1000 * 999, INT64_MAX);
	world_free(world);
}

static void of_no_key_that_is_gone(void **state)
{
	struct world *world = world_new(2);
	(void)state;
	put_keys(world, 0, 0);
	world_checkpoint(world);
	average(world, 1, 0, 0);
	world->now_ms += LIFE_MS;
	average(world, 0, 0, 0);
	world->now_ms -= LIFE_MS;
	for (size_t i = 0; i < world->key_count; i++)
		if (world->keys[i].expire_ms)
			world_delete(world, &world->keys[i]);
	average(world, 0, 0, 0);
	world_put(world, world_key(world, 0, 1), 10, world->now_ms + OTHER_MS);
	world_flush(world, 0);
	average(world, 0, 0, 0);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_keys_in_any_layer),
		cmocka_unit_test(of_the_longest_lives),
		cmocka_unit_test(of_no_key_that_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
