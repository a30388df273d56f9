/*
 * test_collection_model: random turns on several collections whose names begin alike, with
 * checkpoints and restarts in between, beside plain arrays that know nothing of incarnations. After
 * each turn the head must agree with the model, now and then every member in order.
 */
#include "collection_fixture.h"

#include "base/random.h"

#include <stdio.h>

#define OWNERS  3
#define MEMBERS 2500
#define STEPS   1500

struct model {
	struct slice name;
	uint32_t values[MEMBERS]; /* 0: no such member */
	uint64_t count;
	bool is_swept;
	char mark[LIMIT_STORE_KEY_BYTES]; /* where the last step of the sweep ended */
	size_t mark_size;
};

static struct model models[OWNERS] = {
	{ .name = { "n", 1 } },
	{ .name = { "n\0", 2 } },
	{ .name = { "n\0\0\0\0\0", 6 } },
};
static struct random randomness;
static struct model *model; /* of the turn that runs */
static void (*body)(const struct collection *collection);

static uint64_t below(uint64_t bound)
{
	return random_below(&randomness, bound);
}

/* In the order of the numbers, of several lengths; some begin with another one. */
static struct slice member_of(struct arena *arena, uint32_t number)
{
	char text[32];
	int size = snprintf(text, sizeof(text), "%05u%.*s", number / 2 * 2, (int)(number % 2), "x");
	return arena_copy(arena, slice_of(text, (size_t)size));
}

/* From nothing to a few hundred bytes. */
static struct slice value_of(struct arena *arena, uint32_t value)
{
	char *bytes = arena_alloc(arena, value % 300 + 4);
	memset(bytes, 'v', value % 300 + 4);
	memcpy(bytes, &value, sizeof(value));
	return slice_of(bytes, value % 300 + 4);
}

static uint64_t bytes_of(struct arena *arena)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < MEMBERS; i++)
		if (model->values[i])
			bytes += member_of(arena, i).size + value_of(arena, model->values[i]).size;
	return bytes;
}

static void put(const struct collection *collection, uint32_t number, uint32_t wanted)
{
	struct arena *arena = turn_arena(collection->turn);
	struct value value = { .type = VALUE_BYTES, .data = value_of(arena, wanted) };
	bool changes = collection_put(collection, member_of(arena, number), &value);
	assert_int_equal(changes, model->values[number] != wanted);
	model->count += model->values[number] == 0;
	model->values[number] = wanted;
}

static void put_some(const struct collection *collection)
{
	for (uint64_t left = 1 + below(20); left > 0; left--)
		put(collection, (uint32_t)below(MEMBERS), 1 + (uint32_t)below(5));
}

static void put_most(const struct collection *collection)
{
	for (uint32_t i = 0; i < MEMBERS; i++)
		if (below(10) > 0)
			put(collection, i, 1 + (uint32_t)below(1000));
}

static void delete_some(const struct collection *collection)
{
	struct arena *arena = turn_arena(collection->turn);
	for (uint64_t left = 1 + below(40); left > 0; left--) {
		uint32_t number = (uint32_t)below(MEMBERS);
		bool was = collection_delete(collection, member_of(arena, number));
		assert_int_equal(was, model->values[number] != 0);
		model->count -= was;
		model->values[number] = 0;
	}
}

static void clear(const struct collection *collection)
{
	bool many = model->count > COLLECTION_CLEAR_EACH;
	assert_int_equal(collection_clear(collection), many);
	model->is_swept &= !many;
	memset(model->values, 0, sizeof(model->values));
	model->count = 0;
}

static void sweep(const struct collection *collection)
{
	struct slice last = slice_of(model->mark, model->mark_size);
	bool done = collection_sweep(collection, last, &last);
	model->mark_size = done ? 0 : last.size;
	if (!done)
		memcpy(model->mark, last.data, last.size);
	model->is_swept = done;
	if (done)
		assert_int_equal(members_stored(collection->turn, &model->name), model->count);
}

static void look_up(const struct collection *collection)
{
	struct arena *arena = turn_arena(collection->turn);
	for (int i = 0; i < 50; i++) {
		struct value value;
		uint32_t number = (uint32_t)below(MEMBERS), wanted = model->values[number];
		bool found = collection_get(collection, member_of(arena, number), &value);
		assert_int_equal(found, wanted != 0);
		if (found)
			assert_true(slice_equal(value.data, value_of(arena, wanted)));
	}
}

static bool is_in(const struct collection_range *range, struct slice member)
{
	return (range->start.data == NULL || slice_compare(member, range->start) >= 0) &&
		(range->start_after.data == NULL ||
			slice_compare(member, range->start_after) > 0) &&
		(range->end.data == NULL || slice_compare(member, range->end) < 0) &&
		(range->prefix.data == NULL || slice_starts_with(member, range->prefix));
}

static struct slice random_bound(struct arena *arena)
{
	struct slice bound = member_of(arena, (uint32_t)below(MEMBERS));
	bound.size = below(bound.size + 1);
	return bound;
}

/* A walk of all, or of what lies within random bounds, now and then anew behind the last. */
static void walk(const struct collection *collection)
{
	struct arena *arena = turn_arena(collection->turn);
	struct collection_range range = { .reverse = below(2), .without_data = below(2) };
	if (below(3) == 0)
		range.start = random_bound(arena);
	if (below(3) == 0)
		range.start_after = random_bound(arena);
	if (below(3) == 0)
		range.end = random_bound(arena);
	if (below(3) == 0)
		range.prefix = random_bound(arena);
	struct collection_walk walk;
	struct slice member;
	struct value value;
	collection_walk_open(&walk, collection, &range);
	for (uint32_t i = 0; i < MEMBERS; i++) {
		uint32_t number = range.reverse ? MEMBERS - 1 - i : i;
		struct slice wanted = member_of(arena, number);
		if (model->values[number] == 0 || !is_in(&range, wanted))
			continue;
		assert_true(collection_walk_next(&walk, &member, &value));
		assert_true(slice_equal(member, wanted));
		if (!range.without_data)
			assert_true(
				slice_equal(value.data, value_of(arena, model->values[number])));
	}
	assert_false(collection_walk_next(&walk, &member, &value));
	collection_walk_close(&walk);
}

static void walk_by_steps(const struct collection *collection)
{
	struct collection_range range = { .pauses = true };
	struct slice last = slice_of(NULL, 0), member;
	struct value value;
	uint64_t count = 0;
	bool more = true;
	while (more) {
		struct collection_walk walk;
		range.start_after = last;
		collection_walk_open(&walk, collection, &range);
		for (uint64_t left = 1 + below(800); more && left > 0; left--) {
			more = collection_walk_next(&walk, &member, &value);
			count += more;
		}
		more = collection_walk_pause(&walk, more, &last);
		collection_walk_close(&walk);
	}
	assert_int_equal(count, model->count);
	collection->turn->continue_at = TURN_NOWHERE;
}

static void run_body(struct turn *turn)
{
	struct collection_head head;
	read_head(turn, &model->name, &head);
	const struct collection collection = { .turn = turn,
		.shard = turn->shard,
		.head = &head,
		.place = place_of,
		.owner = &model->name };
	body(&collection);
	assert_int_equal(head.count, model->count);
	assert_int_equal(head.bytes, bytes_of(turn_arena(turn)));
	assert_true(head.oldest == head.incarnation || !model->is_swept);
	write_head(turn, &model->name, &head);
}

static void does_what_the_model_does(void **state)
{
	static void (*const bodies[])(const struct collection *collection) = { put_some, put_some,
		delete_some, delete_some, clear, sweep, sweep, sweep, look_up, walk, walk_by_steps,
		put_most };
	struct turn_rig *rig = *state;
	random_seed(&randomness, 29);
	for (int i = 0; i < OWNERS; i++)
		models[i].is_swept = true;
	for (int step = 0; step < STEPS; step++) {
		model = &models[below(OWNERS)];
		body = bodies[below(sizeof(bodies) / sizeof(bodies[0]))];
		turn_rig_run(rig, run_body, NULL);
		if (below(50) == 0)
			turn_rig_checkpoint(rig);
		if (below(100) == 0)
			turn_rig_restart(rig);
	}
	for (int i = 0; i < OWNERS; i++) {
		model = &models[i];
		body = sweep;
		do
			turn_rig_run(rig, run_body, NULL);
		while (!model->is_swept);
		body = walk;
		turn_rig_run(rig, run_body, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(does_what_the_model_does, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
