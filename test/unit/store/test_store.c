/*
 * store: a real store over a real tree against a plain list of keys, under random writes, flushes,
 * freezes, commits, thaws and restarts.
 */
#include "store_model.h"

static void check_get(struct world *world, const struct model_key *key)
{
	uint64_t lsn = 0;
	struct value value;
	bool found = store_get(world->store, key_slice(&key->key), &world->arena, &value, &lsn);
	/* Keys of dead generations may have been cleared away. */
	if (key->generation != world->generations[key->db])
		return;
	assert_int_equal(found, key->present);
	assert_true(lsn == (key->lsn > world->settled_lsn ? key->lsn : 0));
	if (!found)
		return;
	world_check_value(world, key, &value);
	assert_true(store_get(world->store, key_slice(&key->key), NULL, &value, &lsn));
	assert_int_equal(value.data.size, key->size);
	assert_true(value.expire_ms == key->expire_ms);
}

static void check_all(struct world *world)
{
	for (size_t i = 0; i < world->key_count; i++)
		check_get(world, &world->keys[i]);
	assert_true(store_last_lsn(world->store) == world->lsn);
	for (uint8_t db = 0; db < WORLD_DBS; db++) {
		uint64_t lsn = 0;
		assert_int_equal(store_generation(world->store, db, &lsn), world->generations[db]);
		if (world->generation_lsns[db] > world->settled_lsn)
			assert_true(lsn == world->generation_lsns[db]);
		else
			assert_true(lsn <= world->settled_lsn);
	}
	arena_reset(&world->arena);
}

static void check_count(struct world *world)
{
	for (uint8_t db = 0; db < WORLD_DBS; db++) {
		uint64_t keys, expiring, expected = 0, expected_expiring = 0;
		for (size_t i = 0; i < world->key_count; i++) {
			const struct model_key *key = &world->keys[i];
			if (key->db != db || key->generation != world->generations[db])
				continue;
			expected += key->present;
			expected_expiring += key->present && key->expire_ms != 0;
		}
		store_count(world->store, db, &keys, &expiring);
		assert_int_equal(keys, expected);
		assert_int_equal(expiring, expected_expiring);
	}
}

static struct model_key *find_key(struct world *world, struct slice key)
{
	for (size_t i = 0; i < world->key_count; i++)
		if (slice_equal(key_slice(&world->keys[i].key), key))
			return &world->keys[i];
	fail_msg("a key that was never written");
	return NULL;
}

/* Every key whose value has expired is handed out, none twice, and no other; some are deleted, as a
 * server would. */
static void check_due(struct world *world)
{
	struct slice keys[7];
	size_t count;
	do {
		count = store_due(world->store, world->now_ms, &world->arena, keys, 7);
		for (size_t i = 0; i < count; i++) {
			struct model_key *key = find_key(world, keys[i]);
			assert_true(key->present && key->expire_ms != 0);
			assert_true(key->expire_ms <= world->now_ms);
			assert_int_equal(key->generation, world->generations[key->db]);
			assert_int_not_equal(key->handed_out, HANDED_OUT_YES);
			key->handed_out = HANDED_OUT_YES;
			if (world_below(world, 3) == 0)
				world_delete(world, key);
		}
	} while (count > 0);
	for (size_t i = 0; i < world->key_count; i++) {
		const struct model_key *key = &world->keys[i];
		if (key->present && key->expire_ms != 0 && key->expire_ms <= world->now_ms &&
			key->generation == world->generations[key->db])
			assert_int_not_equal(key->handed_out, HANDED_OUT_NO);
	}
	arena_reset(&world->arena);
}

static void restart(struct world *world)
{
	world_checkpoint(world);
	store_close(&world->store);
	tree_close(&world->tree);
	world_open(world);
}

static void agrees_with_a_plain_list_under_random_operations(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct world *world = world_new(seed);
		/* Some runs count all the time, some seldom, one almost never. */
		uint64_t count_every = seed % 3 == 0 ? 500 : seed % 3 == 1 ? 3 : 30;
		bool committed = false;
		for (int step = 0; step < 3000; step++) {
			world_write_something(world);
			if (world_below(world, 150) == 0)
				world_flush(world, (uint8_t)world_below(world, WORLD_DBS));
			if (world_below(world, count_every) == 0)
				check_count(world);
			if (world_below(world, 25) == 0) {
				world->now_ms += (int64_t)world_below(world, 120);
				check_due(world);
			}
			if (world_below(world, 30) == 0) {
				if (!world_is_frozen(world)) {
					store_freeze(world->store, world->lsn);
					committed = false;
				} else if (!committed) {
					world_commit(world);
					committed = true;
				} else {
					world_thaw(world);
				}
			}
			if (world_below(world, 60) == 0)
				check_all(world);
			if (world_below(world, 400) == 0 && !world_is_frozen(world))
				restart(world);
		}
		check_count(world);
		check_all(world);
		world_free(world);
	}
}

static void says_the_lsn_of_a_tombstone(void **state)
{
	(void)state;
	struct world *world = world_new(1);
	struct model_key *key = world_key(world, 0, 1);
	world_put(world, key, 10, 0);
	world_checkpoint(world);
	uint64_t lsn = 0;
	struct value value;
	assert_true(store_get(world->store, key_slice(&key->key), NULL, &value, &lsn));
	assert_int_equal(lsn, 0);
	world_delete(world, key);
	assert_false(store_get(world->store, key_slice(&key->key), NULL, &value, &lsn));
	assert_int_equal(lsn, 2);
	lsn = 100;
	assert_false(store_get(world->store, key_slice(&key->key), NULL, &value, &lsn));
	assert_int_equal(lsn, 100);
	world_free(world);
}

static void counts_a_key_that_changes_after_it_was_counted(void **state)
{
	(void)state;
	struct world *world = world_new(1);
	struct model_key *key = world_key(world, 0, 1);
	world_put(world, key, 10, 0);
	check_count(world);
	world_put(world, key, 10, world->now_ms + 5);
	check_count(world);
	store_freeze(world->store, world->lsn);
	world_delete(world, key);
	check_count(world);
	world_put(world, key, 10, 0);
	check_count(world);
	world_commit(world);
	check_count(world);
	world_thaw(world);
	check_count(world);
	world_delete(world, key);
	check_count(world);
	world_free(world);
}

static void counts_nothing_of_a_flushed_database(void **state)
{
	(void)state;
	struct world *world = world_new(1);
	for (unsigned i = 0; i < 20; i++)
		world_put(world, world_key(world, 0, i), 10, 0);
	world_checkpoint(world);
	for (unsigned i = 10; i < 30; i++)
		world_put(world, world_key(world, 0, i), 10, 0);
	check_count(world);
	world_flush(world, 0);
	uint64_t keys, expiring;
	store_count(world->store, 0, &keys, &expiring);
	assert_int_equal(keys, 0);
	world_put(world, world_key(world, 0, 1), 10, 0);
	store_count(world->store, 0, &keys, &expiring);
	assert_int_equal(keys, 1);
	world_checkpoint(world);
	store_count(world->store, 0, &keys, &expiring);
	assert_int_equal(keys, 1);
	world_free(world);
}

static void finds_a_key_due_that_the_tree_has_filed_too_early(void **state)
{
	(void)state;
	struct world *world = world_new(1);
	struct model_key *key = world_key(world, 0, 1);
	world_put(world, key, 10, world->now_ms + 100);
	world_checkpoint(world);
	world_put(world, key, 10, world->now_ms + 300);
	world_checkpoint(world);
	struct slice due[4];
	world->now_ms += 200;
	assert_int_equal(store_due(world->store, world->now_ms, &world->arena, due, 4), 0);
	world->now_ms += 99;
	assert_int_equal(store_due(world->store, world->now_ms, &world->arena, due, 4), 0);
	world->now_ms += 1;
	assert_int_equal(store_due(world->store, world->now_ms, &world->arena, due, 4), 1);
	assert_true(slice_equal(due[0], key_slice(&key->key)));
	assert_int_equal(store_due(world->store, world->now_ms, &world->arena, due, 4), 0);
	world_free(world);
}

static void hands_a_key_that_nobody_deleted_out_again_after_a_thaw(void **state)
{
	(void)state;
	struct world *world = world_new(1);
	struct slice due[4];
	world_put(world, world_key(world, 0, 1), 10, world->now_ms + 50);
	world_put(world, world_key(world, 0, 2), 10, world->now_ms + 60);
	world_checkpoint(world);
	world->now_ms += 100;
	for (int round = 0; round < 3; round++) {
		assert_int_equal(store_due(world->store, world->now_ms, &world->arena, due, 4), 2);
		assert_int_equal(store_due(world->store, world->now_ms, &world->arena, due, 4), 0);
		world_checkpoint(world);
	}
	world_free(world);
}

static void hands_out_no_more_due_keys_than_asked(void **state)
{
	(void)state;
	struct world *world = world_new(1);
	for (unsigned i = 0; i < 30; i++) {
		world_put(world, world_key(world, 0, i), 10, world->now_ms + 1);
		if (i == 9)
			world_checkpoint(world);
		if (i == 19)
			store_freeze(world->store, world->lsn);
	}
	world->now_ms += 10;
	struct slice due[8];
	size_t total = 0, count;
	while ((count = store_due(world->store, world->now_ms, &world->arena, due, 8))) {
		assert_true(count <= 8);
		total += count;
	}
	assert_int_equal(total, 30);
	world_free(world);
}

static void tells_the_bytes_of_its_overlays(void **state)
{
	(void)state;
	struct world *world = world_new(1);
	assert_true(store_active_bytes(world->store) < 200);
	assert_int_equal(store_frozen_bytes(world->store), 0);
	world_put(world, world_key(world, 0, 1), 5000, 0);
	size_t bytes = store_active_bytes(world->store);
	assert_true(bytes > 5000);
	store_freeze(world->store, world->lsn);
	assert_int_equal(store_frozen_bytes(world->store), bytes);
	assert_true(store_active_bytes(world->store) < 200);
	world_commit(world);
	world_thaw(world);
	assert_int_equal(store_frozen_bytes(world->store), 0);
	world_free(world);
}

static void starts_again_with_what_was_checkpointed(void **state)
{
	(void)state;
	struct world *world = world_new(1);
	world_flush(world, 2);
	for (unsigned i = 0; i < 10; i++)
		world_put(world, world_key(world, 2, i), 10, 0);
	restart(world);
	check_all(world);
	check_count(world);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_the_lsn_of_a_tombstone),
		cmocka_unit_test(counts_a_key_that_changes_after_it_was_counted),
		cmocka_unit_test(counts_nothing_of_a_flushed_database),
		cmocka_unit_test(finds_a_key_due_that_the_tree_has_filed_too_early),
		cmocka_unit_test(hands_a_key_that_nobody_deleted_out_again_after_a_thaw),
		cmocka_unit_test(hands_out_no_more_due_keys_than_asked),
		cmocka_unit_test(tells_the_bytes_of_its_overlays),
		cmocka_unit_test(starts_again_with_what_was_checkpointed),
		cmocka_unit_test(agrees_with_a_plain_list_under_random_operations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
