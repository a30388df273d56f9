/*
 * test_collection: the store keys of members, what counts, how a collection is emptied, what a
 * sweep takes and leaves. Random turns are test_collection_model.c.
 */
#include "collection_fixture.h"

#include <stdio.h>

#define MANY (COLLECTION_CLEAR_EACH + 100)

/* The test's body of the turn that runs. */
static void (*body)(const struct collection *collection);
static const struct slice name = { "one", 3 };

static void run_body(struct turn *turn)
{
	struct collection_head head;
	read_head(turn, &name, &head);
	const struct collection collection = {
		.turn = turn, .shard = turn->shard, .head = &head, .place = place_of, .owner = &name
	};
	body(&collection);
	write_head(turn, &name, &head);
}

static void in_a_turn(struct turn_rig *rig, void (*wanted)(const struct collection *collection))
{
	body = wanted;
	turn_rig_run(rig, run_body, NULL);
}

static bool put(const struct collection *collection, const char *member, const char *text)
{
	struct value value = { .type = VALUE_BYTES, .data = slice_text(text) };
	return collection_put(collection, slice_text(member), &value);
}

static void a_key_is_place_incarnation_and_member(void **state)
{
	struct key key;
	place_of(&key, &name);
	collection_key(&key, 0x01020304, slice_text("member"));
	assert_int_equal(key.size, 15);
	assert_memory_equal(key.bytes, "\x04\x03one\x01\x02\x03\x04member", 15);
}

static void count_puts_and_deletes(const struct collection *collection)
{
	const struct collection_head *head = collection->head;
	assert_true(put(collection, "a", "12345"));
	assert_true(put(collection, "bb", "1"));
	assert_int_equal(head->count, 2);
	assert_int_equal(head->bytes, 1 + 5 + 2 + 1);
	assert_false(put(collection, "bb", "1"));
	assert_true(put(collection, "bb", "123"));
	assert_int_equal(head->count, 2);
	assert_int_equal(head->bytes, 1 + 5 + 2 + 3);
	assert_false(collection_delete(collection, slice_text("c")));
	assert_true(collection_delete(collection, slice_text("a")));
	assert_int_equal(head->count, 1);
	assert_int_equal(head->bytes, 2 + 3);
}

static void find_what_was_put(const struct collection *collection)
{
	struct value value;
	assert_true(collection_get(collection, slice_text("bb"), &value));
	assert_true(slice_equal(value.data, slice_text("123")));
	assert_false(collection_get(collection, slice_text("a"), &value));
	assert_false(collection_get(collection, slice_text("b"), &value));
}

static void counts_its_members_and_their_bytes(void **state)
{
	in_a_turn(*state, count_puts_and_deletes);
	in_a_turn(*state, find_what_was_put);
}

static void put_many(const struct collection *collection)
{
	for (int i = 0; i < MANY; i++) {
		char *member = arena_alloc(turn_arena(collection->turn), 16);
		snprintf(member, 16, "m%05d", i);
		put(collection, member, "v");
	}
	assert_int_equal(collection->head->count, MANY);
}

static void clear_few(const struct collection *collection)
{
	put(collection, "a", "1");
	put(collection, "b", "2");
	assert_false(collection_clear(collection));
	assert_int_equal(collection->head->count, 0);
	assert_int_equal(collection->head->bytes, 0);
	assert_int_equal(collection->head->incarnation, 0);
	assert_int_equal(members_stored(collection->turn, &name), 0);
}

static void few_members_are_deleted_one_by_one(void **state)
{
	in_a_turn(*state, clear_few);
}

static void clear_many(const struct collection *collection)
{
	uint32_t effects = collection->turn->changes.count;
	assert_true(collection_clear(collection));
	assert_int_equal(collection->turn->changes.count, effects);
	assert_int_equal(collection->head->count, 0);
	assert_int_equal(collection->head->incarnation, collection->head->oldest + 1);
	assert_int_equal(members_stored(collection->turn, &name), MANY);
}

static void put_one_anew(const struct collection *collection)
{
	struct value value;
	assert_false(collection_get(collection, slice_text("m00000"), &value));
	assert_true(put(collection, "m00000", "new"));
}

static void many_members_go_by_one_number(void **state)
{
	in_a_turn(*state, put_many);
	in_a_turn(*state, clear_many);
	in_a_turn(*state, put_one_anew);
}

static void sweep_to_the_end(const struct collection *collection)
{
	struct slice last = slice_of("", 0);
	size_t before = members_stored(collection->turn, &name);
	while (!collection_sweep(collection, last, &last)) {
		size_t left = members_stored(collection->turn, &name);
		assert_int_equal(before - left, COLLECTION_SWEEP_STEP);
		before = left;
	}
	assert_int_equal(collection->head->oldest, collection->head->incarnation);
	assert_int_equal(members_stored(collection->turn, &name), 1);
	struct value value;
	assert_true(collection_get(collection, slice_text("m00000"), &value));
	assert_true(slice_equal(value.data, slice_text("new")));
}

static void a_sweep_takes_what_is_left_in_steps_and_nothing_else(void **state)
{
	in_a_turn(*state, put_many);
	in_a_turn(*state, clear_many);
	in_a_turn(*state, put_one_anew);
	turn_rig_checkpoint(*state);
	in_a_turn(*state, sweep_to_the_end);
}

/* Members of others stand in front of these and behind them. */
static void sweep_from_a_damaged_mark(const struct collection *collection)
{
	const struct slice others[] = { { "on", 2 }, { "onf", 3 } };
	const struct slice marks[] = { { "", 0 }, { "\x04", 1 }, { "\x04\x02", 2 }, { "\xff", 1 } };
	struct collection_head heads[2] = { 0 };
	struct slice last;
	for (size_t i = 0; i < 2; i++) {
		struct collection other = *collection;
		other.head = &heads[i];
		other.owner = &others[i];
		put(&other, "kept", "1");
	}
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		collection->head->oldest = 0;
		while (!collection_sweep(collection, marks[i], &last))
			;
		assert_int_equal(members_stored(collection->turn, &name), 1);
		assert_int_equal(members_stored(collection->turn, &others[0]), 1);
		assert_int_equal(members_stored(collection->turn, &others[1]), 1);
	}
}

static void a_mark_that_is_damaged_costs_nobody_else_a_member(void **state)
{
	in_a_turn(*state, put_many);
	in_a_turn(*state, clear_many);
	in_a_turn(*state, put_one_anew);
	in_a_turn(*state, sweep_from_a_damaged_mark);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_key_is_place_incarnation_and_member),
		TEST(counts_its_members_and_their_bytes),
		TEST(few_members_are_deleted_one_by_one),
		TEST(many_members_go_by_one_number),
		TEST(a_sweep_takes_what_is_left_in_steps_and_nothing_else),
		TEST(a_mark_that_is_damaged_costs_nobody_else_a_member),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
