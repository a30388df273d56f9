/*
 * cursor: the merged walk against a sorted list of what the layers and the turn's changes should
 * show, over random bounds and both directions.
 */
#include "store_model.h"

struct shown {
	struct slice key;
	int64_t expire_ms;
	struct slice data;
};

static int compare_shown(const void *a_void, const void *b_void)
{
	const struct shown *a = a_void, *b = b_void;
	return slice_compare(a->key, b->key);
}

/* What a walk should show of the current generations; bounds and direction are the caller's. */
static size_t expect(
	struct world *world, const struct changes *changes, struct shown *out, struct arena *arena)
{
	size_t count = 0;
	for (size_t i = 0; i < world->key_count; i++) {
		const struct model_key *key = &world->keys[i];
		if (key->generation != world->generations[key->db])
			continue;
		struct shown shown = { arena_copy(arena, key_slice(&key->key)), key->expire_ms,
			slice_of(world->bytes + key->offset, key->size) };
		bool present = key->present;
		const struct effect *effect = NULL;
		for (uint32_t c = 0; changes && c < changes->count; c++)
			if (changes->effects[c].shard == WORLD_SHARD &&
				slice_equal(changes->effects[c].key, shown.key))
				effect = &changes->effects[c];
		if (effect) {
			present = effect->kind == EFFECT_PUT;
			shown.expire_ms = effect->expire_ms;
			shown.data = effect->value;
		}
		if (present)
			out[count++] = shown;
	}
	qsort(out, count, sizeof(*out), compare_shown);
	return count;
}

static bool is_within(struct slice key, struct slice start, struct slice end)
{
	return slice_compare(key, start) >= 0 && (end.data == NULL || slice_compare(key, end) < 0);
}

/* Namespace keys and keys of dead generations are the store's own: neither is compared. */
static bool is_compared(const struct world *world, struct slice key)
{
	struct key_string parsed;
	return key_parse_string(key, &parsed) && parsed.generation == world->generations[parsed.db];
}

static void compare_walk(struct world *world, const struct changes *changes, struct slice start,
	struct slice end, bool reverse)
{
	static struct shown expected[WORLD_KEYS];
	struct arena arena;
	arena_init(&arena, 65536);
	size_t count = expect(world, changes, expected, &arena), at = 0;
	struct cursor cursor;
	struct slice key, previous = slice_of(NULL, 0);
	struct value value;
	cursor_open(&cursor, world->store, changes, &arena, start, end, reverse);
	cursor.without_data = world_below(world, 4) == 0;
	while (cursor_next(&cursor, &key, &value)) {
		assert_true(is_within(key, start, end));
		if (previous.data) {
			int order = slice_compare(previous, key);
			assert_true(reverse ? order > 0 : order < 0);
		}
		previous = arena_copy(&arena, key);
		if (!is_compared(world, key))
			continue;
		while (at < count &&
			!is_within(expected[reverse ? count - 1 - at : at].key, start, end))
			at++;
		assert_true(at < count);
		const struct shown *shown = &expected[reverse ? count - 1 - at : at];
		at++;
		assert_true(slice_equal(key, shown->key));
		assert_true(value.expire_ms == shown->expire_ms);
		assert_int_equal(value.type, VALUE_STRING);
		assert_int_equal(value.data.size, shown->data.size);
		if (!cursor.without_data)
			assert_true(slice_equal(value.data, shown->data));
	}
	assert_false(cursor_next(&cursor, &key, &value));
	cursor_close(&cursor);
	for (; at < count; at++)
		assert_false(is_within(expected[reverse ? count - 1 - at : at].key, start, end));
	arena_fini(&arena);
}

static void write_changes(struct world *world, struct changes *changes)
{
	uint64_t writes = world_below(world, 20);
	for (uint64_t i = 0; i < writes; i++) {
		struct model_key *key = world_some_key(world);
		struct value value = { .type = VALUE_STRING,
			.expire_ms = (int64_t)world_below(world, 3),
			.data = slice_of(world->bytes, world_below(world, 50)) };
		uint16_t shard = world_below(world, 4) ? WORLD_SHARD : WORLD_SHARD + 1;
		if (world_below(world, 2))
			changes_put(changes, shard, key_slice(&key->key), &value);
		else
			changes_delete(changes, shard, key_slice(&key->key));
	}
}

/* All that is there between two keys: walks find gaps, which later writes fill. */
static void delete_a_stretch(struct world *world)
{
	struct slice start = key_slice(&world_some_key(world)->key);
	struct slice end = key_slice(&world_some_key(world)->key);
	for (size_t i = 0; i < world->key_count; i++) {
		struct model_key *key = &world->keys[i];
		if (key->present && is_within(key_slice(&key->key), start, end))
			world_delete(world, key);
	}
}

/* A whole key, a part of one, or a key with one byte more. */
static struct slice some_bound(struct world *world, struct key *out)
{
	*out = world_some_key(world)->key;
	uint64_t kind = world_below(world, 4);
	if (kind == 0)
		out->size = world_below(world, out->size + 1);
	if (kind == 1)
		out->bytes[out->size++] = '\0';
	return key_slice(out);
}

static void agrees_with_a_sorted_list_over_all_layers(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct world *world = world_new(seed);
		for (int step = 0; step < 600; step++) {
			world_write_something(world);
			if (world_below(world, 30) == 0)
				delete_a_stretch(world);
			if (world_below(world, 100) == 0)
				world_flush(world, (uint8_t)world_below(world, WORLD_DBS));
			if (world_below(world, 40) == 0) {
				if (world_is_frozen(world)) {
					world_commit(world);
					world_thaw(world);
				} else {
					store_freeze(world->store, world->lsn);
				}
			}
			struct changes changes;
			changes_init(&changes, &world->arena);
			write_changes(world, &changes);
			struct key start_key, end_key;
			struct slice start = some_bound(world, &start_key);
			struct slice end = some_bound(world, &end_key);
			if (world_below(world, 4) == 0)
				start.size = 0;
			if (world_below(world, 4) == 0)
				end = slice_of(NULL, 0);
			compare_walk(world, world_below(world, 3) ? &changes : NULL, start, end,
				world_below(world, 2));
			arena_reset(&world->arena);
		}
		world_free(world);
	}
}

static void shows_nothing_of_an_empty_store(void **state)
{
	(void)state;
	struct world *world = world_new(1);
	compare_walk(world, NULL, slice_of(NULL, 0), slice_of(NULL, 0), false);
	compare_walk(world, NULL, slice_of(NULL, 0), slice_of(NULL, 0), true);
	compare_walk(world, NULL, slice_text("b"), slice_text("a"), true);
	world_free(world);
}

static void shows_the_newest_layer_and_hides_deleted_keys(void **state)
{
	(void)state;
	struct world *world = world_new(1);
	struct model_key *keys[4];
	for (unsigned i = 0; i < 4; i++)
		world_put(world, keys[i] = world_key(world, 0, i), 10, 0);
	world_checkpoint(world);
	world_put(world, keys[1], 20, 0);
	world_put(world, keys[2], 20, 0);
	world_delete(world, keys[3]);
	store_freeze(world->store, world->lsn);
	world_put(world, keys[2], 30, 0);
	world_put(world, keys[3], 30, 0);
	compare_walk(world, NULL, slice_of(NULL, 0), slice_of(NULL, 0), false);
	compare_walk(world, NULL, slice_of(NULL, 0), slice_of(NULL, 0), true);

	struct changes changes;
	changes_init(&changes, &world->arena);
	changes_delete(&changes, WORLD_SHARD, key_slice(&keys[0]->key));
	changes_delete(&changes, WORLD_SHARD, key_slice(&keys[1]->key));
	changes_delete(&changes, WORLD_SHARD, key_slice(&keys[2]->key));
	changes_delete(&changes, WORLD_SHARD, key_slice(&keys[3]->key));
	compare_walk(world, &changes, slice_of(NULL, 0), slice_of(NULL, 0), false);
	compare_walk(world, &changes, slice_of(NULL, 0), slice_of(NULL, 0), true);
	world_free(world);
}

static struct slice numbered_key(char *memory, size_t size, unsigned number)
{
	return slice_of(memory, (size_t)snprintf(memory, size, "n%08u", number));
}

static void put_or_delete(struct world *world, enum effect_kind kind, unsigned number)
{
	char name[16];
	struct effect effect = { .kind = kind,
		.type = VALUE_STRING,
		.shard = WORLD_SHARD,
		.key = numbered_key(name, sizeof(name), number) };
	store_apply(world->store, &effect, ++world->lsn);
}

/* How often walks take a rest before one finds the first key of its direction, each begun anew as
 * a turn does that pauses. */
static unsigned rests_until(struct world *world, bool reverse, unsigned number)
{
	char name[16];
	struct slice expected = numbered_key(name, sizeof(name), number), key;
	struct value value;
	unsigned rests = 0;
	for (;; rests++) {
		struct cursor cursor;
		cursor_open(&cursor, world->store, NULL, &world->arena, slice_text("n"),
			slice_text("o"), reverse);
		cursor.may_rest = true;
		bool found = cursor_next(&cursor, &key, &value), rested = cursor.rests;
		cursor_close(&cursor);
		assert_int_not_equal(found, rested);
		if (found) {
			assert_true(slice_equal(key, expected));
			return rests;
		}
	}
}

static void many_deleted_keys_are_stepped_over_once(void **state)
{
	(void)state;
	enum { LAST = 2 * CURSOR_REST + 100 };
	for (int reverse = 0; reverse < 2; reverse++) {
		unsigned left = reverse ? 0 : LAST;
		struct world *world = world_new(1);
		for (unsigned i = 0; i <= LAST; i++)
			put_or_delete(world, EFFECT_PUT, i);
		for (unsigned i = 0; i <= LAST; i++)
			if (i != left)
				put_or_delete(world, EFFECT_DELETE, i);
		assert_int_equal(rests_until(world, reverse, left), 2);
		assert_int_equal(rests_until(world, reverse, left), 0);
		/* From the other side what is found first is right in front of them. */
		assert_int_equal(rests_until(world, !reverse, left), 0);
		put_or_delete(world, EFFECT_PUT, 20000);
		assert_int_equal(rests_until(world, false, reverse ? 0 : 20000), 0);
		world_free(world);
	}
}

/* A queue: what is put behind is taken away in front. */
static void the_front_of_a_queue_is_found_without_a_rest(void **state)
{
	(void)state;
	struct world *world = world_new(1);
	put_or_delete(world, EFFECT_PUT, 0);
	for (unsigned i = 1; i < 3 * CURSOR_REST; i++) {
		put_or_delete(world, EFFECT_PUT, i);
		put_or_delete(world, EFFECT_DELETE, i - 1);
		if (i % 100 == 0)
			assert_int_equal(rests_until(world, false, i), 0);
		arena_reset(&world->arena);
	}
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_nothing_of_an_empty_store),
		cmocka_unit_test(shows_the_newest_layer_and_hides_deleted_keys),
		cmocka_unit_test(many_deleted_keys_are_stepped_over_once),
		cmocka_unit_test(the_front_of_a_queue_is_found_without_a_rest),
		cmocka_unit_test(agrees_with_a_sorted_list_over_all_layers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
