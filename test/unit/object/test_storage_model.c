/*
 * An object's storage on real stores: random turns against a model that knows nothing of layers,
 * incarnations or an index. After each turn the model, the record and the index of what is due must
 * agree, in every object.
 */
#include "object/storage.h"

#include "base/random.h"
#include "object/packed.h"
#include "storage_fixture.h"

#define SCHEDULES_MAX 6
#define OBJECTS       5

/* --- the model -------------------------------------------------------------------------------- */

struct entry {
	struct slice key;
	struct slice value;
	uint8_t type;
};

struct model {
	struct object_name name;
	struct entry *entries; /* in order */
	size_t count;
	size_t capacity;
	int64_t alarm_ms;
	int64_t alarm_due_ms;
	uint32_t alarm_tries;
	struct schedule schedules[SCHEDULES_MAX]; /* by number of the name; no name: none */
	int64_t expire_ms;
	int64_t life_ms;
};

struct world {
	struct random random;
	struct turn_rig *rig;
	struct arena arena; /* of keys and values */
	struct model models[OBJECTS];
	struct slice keys[40];
	struct slice names[SCHEDULES_MAX]; /* of schedules, in order */
	char filler[80000];
	struct {
		uint64_t ended, swept, restored, failed, listed, large;
	} seen;
};

static struct world *world;

static uint64_t below(uint64_t bound)
{
	return random_below(&world->random, bound);
}

static struct slice repeated(char byte, size_t size)
{
	char *bytes = arena_alloc(&world->arena, size);
	memset(bytes, byte, size);
	return slice_of(bytes, size);
}

/* Keys of bytes that are hard on orders and prefixes, up to the longest. */
static void make_keys(void)
{
	static const size_t lengths[] = { LIMIT_KEY_BYTES, LIMIT_KEY_BYTES - 1, 500, 490, 255 };
	size_t count = 0;
	for (size_t i = 0; i < 5; i++) {
		world->keys[count++] = repeated(0, lengths[i]);
		world->keys[count++] = repeated((char)0xff, lengths[i]);
	}
	while (count < 40) {
		static const unsigned char alphabet[] = { 0x00, 0x01, 'a', 0xfe, 0xff };
		char key[4];
		size_t size = 1 + below(4);
		for (size_t i = 0; i < size; i++)
			key[i] = (char)alphabet[below(5)];
		world->keys[count++] = arena_copy(&world->arena, slice_of(key, size));
	}
	world->names[0] = slice_of("\0", 1);
	world->names[1] = slice_of("\0a", 2);
	world->names[2] = slice_text("a");
	world->names[3] = slice_text("daily");
	world->names[4] = slice_of("\xff", 1);
	world->names[5] = repeated((char)0xff, LIMIT_SCHEDULE_NAME_BYTES);
}

static void make_world(struct turn_rig *rig, uint64_t seed)
{
	world = calloc(1, sizeof(*world));
	world->rig = rig;
	random_seed(&world->random, seed);
	arena_init(&world->arena, 1 << 16);
	memset(world->filler, 'f', sizeof(world->filler));
	make_keys();
	struct object_name names[OBJECTS] = {
		{ slice_text("A"), slice_text("x") },
		{ slice_text("A"), slice_of("x\0", 2) },
		{ slice_text("AB"), slice_text("x") },
		{ slice_text("A"), repeated((char)0xff, LIMIT_KEY_BYTES) },
		{ slice_text("A"), repeated(0, LIMIT_KEY_BYTES - 1) },
	};
	for (size_t i = 0; i < OBJECTS; i++)
		world->models[i].name = names[i];
}

static void free_world(void)
{
	for (size_t i = 0; i < OBJECTS; i++)
		free(world->models[i].entries);
	arena_fini(&world->arena);
	free(world);
	world = NULL;
}

static void model_empty(struct model *model, bool keep_alarm)
{
	model->count = 0;
	if (keep_alarm)
		return;
	model->alarm_ms = model->alarm_due_ms = model->expire_ms = model->life_ms = 0;
	model->alarm_tries = 0;
	memset(model->schedules, 0, sizeof(model->schedules));
}

static uint32_t model_schedules(const struct model *model)
{
	uint32_t count = 0;
	for (size_t i = 0; i < SCHEDULES_MAX; i++)
		count += model->schedules[i].name.size > 0;
	return count;
}

static bool model_exists(const struct model *model)
{
	return model->count > 0 || model->alarm_ms != 0 || model_schedules(model) > 0;
}

/* Time has moved: what has ended is gone. */
static void model_age(struct model *model, int64_t now_ms)
{
	if (model->expire_ms == 0 || model->expire_ms > now_ms)
		return;
	world->seen.ended++;
	model_empty(model, false);
}

static uint64_t model_bytes(const struct model *model)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < model->count; i++)
		bytes += model->entries[i].key.size + model->entries[i].value.size;
	return bytes;
}

/* Where the key is, or would be. */
static size_t model_find(const struct model *model, struct slice key, bool *found)
{
	size_t low = 0, high = model->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (slice_compare(model->entries[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low < model->count && slice_equal(model->entries[low].key, key);
	return low;
}

static void model_put(struct model *model, struct slice key, struct slice value, uint8_t type)
{
	bool found;
	size_t at = model_find(model, key, &found);
	if (!found) {
		if (model->count == model->capacity) {
			model->capacity = model->capacity ? model->capacity * 2 : 64;
			model->entries =
				realloc(model->entries, model->capacity * sizeof(*model->entries));
		}
		memmove(&model->entries[at + 1], &model->entries[at],
			(model->count - at) * sizeof(*model->entries));
		model->count++;
	}
	model->entries[at] = (struct entry){ key, value, type };
}

static void model_copy(struct model *to, const struct model *from)
{
	*to = *from;
	to->entries = malloc((from->count + 1) * sizeof(*to->entries));
	to->capacity = from->count + 1;
	if (from->count > 0)
		memcpy(to->entries, from->entries, from->count * sizeof(*to->entries));
}

static void model_become(struct model *model, struct model *taken)
{
	free(model->entries);
	*model = *taken;
	taken->entries = NULL;
}

/* --- random operations, on storage and model alike -------------------------------------------- */

static struct slice any_key(void)
{
	return world->keys[below(40)];
}

/* One of the model's own, when it has any. */
static struct slice known_key(const struct model *model)
{
	return model->count > 0 && below(3) ? model->entries[below(model->count)].key : any_key();
}

static struct slice any_value(void)
{
	size_t size = below(30);
	if (below(40) == 0)
		size = 70000 + below(3);
	else if (below(10) == 0)
		size = below(2000);
	return slice_of(world->filler + below(3), size);
}

/* A whole one: a string. */
static struct slice any_packed(void)
{
	struct buffer packed;
	buffer_init(&packed);
	packed_add_string(&packed, any_value());
	struct slice bytes = arena_copy(&world->arena, buffer_slice(&packed));
	buffer_fini(&packed);
	return bytes;
}

static void op_put(struct storage *storage, struct model *model)
{
	struct slice key = known_key(model);
	struct value value = { .type = VALUE_BYTES, .data = any_value() };
	if (below(2))
		value = (struct value){ .type = VALUE_PACKED, .data = any_packed() };
	storage_put(storage, key, &value);
	model_put(model, key, value.data, value.type);
}

static void op_put_again(struct storage *storage, struct model *model)
{
	if (model->count == 0)
		return;
	const struct entry *entry = &model->entries[below(model->count)];
	struct value value = { .type = entry->type, .data = entry->value };
	uint32_t written = storage->turn->changes.count;
	bool changed = storage->changed;
	storage_put(storage, entry->key, &value);
	assert_int_equal(storage->turn->changes.count, written);
	assert_int_equal(storage->changed, changed);
}

static void op_put_many(struct storage *storage, struct model *model)
{
	uint64_t count = 990 + below(20);
	for (uint64_t i = 0; i < count; i++) {
		struct slice key = arena_format(&world->arena, "many%04d", (int)i);
		struct value value = { .type = VALUE_BYTES,
			.data = slice_of(world->filler, below(4)) };
		storage_put(storage, key, &value);
		model_put(model, key, value.data, value.type);
	}
}

static void op_get(struct storage *storage, struct model *model)
{
	struct slice key = known_key(model);
	struct value value;
	bool found;
	size_t at = model_find(model, key, &found);
	assert_int_equal(storage_get(storage, key, &value), found);
	if (!found)
		return;
	assert_int_equal(value.type, model->entries[at].type);
	assert_true(slice_equal(value.data, model->entries[at].value));
}

static void op_delete(struct storage *storage, struct model *model)
{
	struct slice key = known_key(model);
	bool found;
	size_t at = model_find(model, key, &found);
	assert_int_equal(storage_delete(storage, key), found);
	if (!found)
		return;
	model->count--;
	memmove(&model->entries[at], &model->entries[at + 1],
		(model->count - at) * sizeof(*model->entries));
}

static void op_delete_all(struct storage *storage, struct model *model)
{
	bool keep_alarm = below(2);
	world->seen.large += model->count > 1000;
	assert_int_equal(storage_delete_all(storage, keep_alarm), model->count);
	model_empty(model, keep_alarm);
}

static struct slice any_bound(const struct model *model)
{
	switch (below(8)) {
	case 0:
		return slice_of("", 0);
	case 1:
		return repeated(below(2) ? (char)0xff : 0, LIMIT_KEY_BYTES + 1 + below(3));
	case 2: {
		struct slice key = known_key(model);
		return slice_of(key.data, below(key.size) + 1);
	}
	default:
		return known_key(model);
	}
}

static bool is_in(const struct collection_range *range, struct slice key)
{
	return (!range->start.data || slice_compare(key, range->start) >= 0) &&
		(!range->start_after.data || slice_compare(key, range->start_after) > 0) &&
		(!range->end.data || slice_compare(key, range->end) < 0) &&
		(!range->prefix.data || slice_starts_with(key, range->prefix));
}

static void compare_list(
	struct storage *storage, const struct model *model, const struct collection_range *range)
{
	struct collection_walk walk;
	struct slice key;
	struct value value;
	storage_walk(&walk, storage, range);
	for (size_t i = 0; i < model->count; i++) {
		const struct entry *entry =
			&model->entries[range->reverse ? model->count - 1 - i : i];
		if (!is_in(range, entry->key))
			continue;
		world->seen.listed++;
		assert_true(collection_walk_next(&walk, &key, &value));
		assert_true(slice_equal(key, entry->key));
		assert_int_equal(value.type, entry->type);
		assert_int_equal(value.data.size, entry->value.size);
		if (!range->without_data)
			assert_true(slice_equal(value.data, entry->value));
	}
	assert_false(collection_walk_next(&walk, &key, &value));
	collection_walk_close(&walk);
}

static void op_list(struct storage *storage, struct model *model)
{
	struct collection_range range = { .reverse = below(2), .without_data = below(2) };
	if (below(3) == 0)
		range.start = any_bound(model);
	if (below(3) == 0)
		range.start_after = any_bound(model);
	if (below(3) == 0)
		range.end = any_bound(model);
	if (below(3) == 0)
		range.prefix = any_bound(model);
	compare_list(storage, model, &range);
}

static int64_t any_time(void)
{
	int64_t now_ms = world->rig->now_ms;
	return below(4) == 0 ? now_ms - (int64_t)below(100) : now_ms + (int64_t)below(300000);
}

static int64_t not_past(int64_t at_ms)
{
	return at_ms > world->rig->now_ms ? at_ms : world->rig->now_ms;
}

static void op_alarm(struct storage *storage, struct model *model)
{
	int64_t at_ms = any_time();
	switch (below(3)) {
	case 0:
		assert_int_equal(storage_delete_alarm(storage), model->alarm_ms != 0);
		model->alarm_ms = model->alarm_due_ms = 0;
		model->alarm_tries = 0;
		return;
	case 1:
		storage_set_alarm(storage, at_ms);
		model->alarm_ms = model->alarm_due_ms = not_past(at_ms);
		model->alarm_tries = 0;
		return;
	default:
		if (model->alarm_ms == 0)
			return;
		storage_retry_alarm(storage, at_ms, ++model->alarm_tries, slice_of(NULL, 0));
		model->alarm_due_ms = not_past(at_ms);
	}
}

static void op_life(struct storage *storage, struct model *model)
{
	int64_t now_ms = world->rig->now_ms, life_ms = 1 + (int64_t)below(LIFE_MS);
	switch (below(3)) {
	case 0:
		assert_int_equal(storage_persist(storage), model->expire_ms != 0);
		model->expire_ms = model->life_ms = 0;
		return;
	case 1:
		model->life_ms = below(2) ? life_ms : 0;
		model->expire_ms = now_ms + life_ms;
		storage_expire(storage, life_ms, model->life_ms != 0);
		return;
	default:
		storage_touch(storage);
		if (model->life_ms && now_ms + model->life_ms > model->expire_ms)
			model->expire_ms = now_ms + model->life_ms + model->life_ms / 16;
	}
}

static void assert_schedules_equal(const struct schedule *a, const struct schedule *b)
{
	assert_true(slice_equal(a->name, b->name));
	assert_true(slice_equal(a->cron, b->cron));
	assert_int_equal(a->every_ms, b->every_ms);
	assert_true(slice_equal(a->method, b->method));
	assert_true(slice_equal(a->argument, b->argument));
	assert_int_equal(a->next_ms, b->next_ms);
	assert_int_equal(a->due_ms, b->due_ms);
	assert_int_equal(a->tries, b->tries);
}

struct walk {
	const struct model *model;
	size_t next;
	uint32_t met;
};

static bool meet_schedule(void *context, const struct schedule *schedule)
{
	struct walk *walk = context;
	while (walk->model->schedules[walk->next].name.size == 0)
		walk->next++;
	assert_true(walk->next < SCHEDULES_MAX);
	assert_schedules_equal(schedule, &walk->model->schedules[walk->next++]);
	walk->met++;
	return true;
}

static void op_schedule(struct storage *storage, struct model *model)
{
	size_t number = below(SCHEDULES_MAX);
	struct schedule *own = &model->schedules[number], found;
	struct walk walk = { .model = model };
	switch (below(4)) {
	case 0:
		assert_int_equal(
			storage_delete_schedule(storage, world->names[number]), own->name.size > 0);
		*own = (struct schedule){ 0 };
		return;
	case 1:
		assert_int_equal(storage_get_schedule(storage, world->names[number], &found),
			own->name.size > 0);
		if (own->name.size > 0)
			assert_schedules_equal(&found, own);
		return;
	case 2:
		storage_each_schedule(storage, meet_schedule, &walk);
		assert_int_equal(walk.met, model_schedules(model));
		return;
	default:
		*own = (struct schedule){
			.name = world->names[number],
			.cron = below(2) ? slice_text("*/5 * * * *") : slice_of("", 0),
			.every_ms = 1 + (int64_t)below(100000),
			.method = slice_text("poll"),
			.argument = below(2) ? any_packed() : slice_of("", 0),
			.next_ms = any_time(),
			.due_ms = any_time(),
			.tries = (uint32_t)below(7),
		};
		assert_true(storage_set_schedule(storage, own));
		own->due_ms = not_past(own->due_ms);
	}
}

static void some_ops(struct storage *storage, struct model *model)
{
	typedef void (*op)(struct storage *, struct model *);
	static const op ops[] = { op_put, op_put, op_put, op_put, op_put_again, op_get, op_get,
		op_delete, op_delete, op_list, op_list, op_list, op_alarm, op_schedule, op_schedule,
		op_life };
	for (uint64_t n = 1 + below(8); n > 0; n--)
		ops[below(sizeof(ops) / sizeof(ops[0]))](storage, model);
	if (below(25) == 0)
		op_put_many(storage, model);
	if (below(15) == 0)
		op_delete_all(storage, model);
}

/* Transactions within each other; some are taken back. */
static void some_transactions(struct storage *storage, struct model *model, unsigned depth)
{
	some_ops(storage, model);
	while (depth > 0 && below(3) == 0) {
		struct storage_mark mark;
		struct model saved;
		storage_save(storage, &mark);
		model_copy(&saved, model);
		some_transactions(storage, model, depth - 1);
		if (below(2)) {
			storage_restore(storage, &mark);
			model_become(model, &saved);
			world->seen.restored++;
		}
		free(saved.entries);
		some_ops(storage, model);
	}
}

/* --- what must hold after each turn ----------------------------------------------------------- */

static size_t check_entries_due(
	struct turn *turn, const struct model *model, const struct object_record *record)
{
	struct slice nothing = slice_of("", 0);
	size_t entries = 0;
	if (record->alarm_ms) {
		assert_true(is_due(turn, &model->name, DUE_ALARM, record->alarm_due_ms, nothing));
		entries++;
	}
	if (record->expire_ms) {
		assert_true(record->expire_filed_ms <= record->expire_ms);
		assert_true(
			is_due(turn, &model->name, DUE_EXPIRE, record->expire_filed_ms, nothing));
		entries++;
	}
	if (record->sweep_filed_ms) {
		assert_true(is_due(turn, &model->name, DUE_SWEEP, record->sweep_filed_ms, nothing));
		entries++;
	}
	return entries;
}

struct due_walk {
	struct turn *turn;
	const struct model *model;
	size_t entries;
};

static bool check_schedule_due(void *context, const struct schedule *schedule)
{
	struct due_walk *walk = context;
	assert_true(is_due(
		walk->turn, &walk->model->name, DUE_SCHEDULE, schedule->due_ms, schedule->name));
	walk->entries++;
	return true;
}

/* The object as the stores have it, ended or not: returns how many entries of the index are its. */
static size_t check_stored(struct turn *turn, const struct model *model)
{
	struct storage storage;
	storage_open(&storage, turn, &model->name);
	uint16_t shard = turn_shard_of(turn, model->name.id);
	struct key prefix;
	key_of_schedule(&prefix, &model->name, slice_of("", 0));
	prefix.size--;
	size_t parts = count_from(turn, shard, key_slice(&prefix));
	if (!storage.is_stored) {
		assert_int_equal(parts, 0);
		return 0;
	}
	/* Looks behind the end of its life. */
	storage.record = storage.stored;
	storage.ended = false;
	const struct object_record *record = &storage.record;
	assert_true(record_exists(record) || record->sweep_filed_ms != 0);
	struct due_walk walk = { .turn = turn, .model = model };
	storage_each_schedule(&storage, check_schedule_due, &walk);
	assert_int_equal(walk.entries, record->schedules);

	struct collection_walk values;
	struct collection_range all = { 0 };
	struct slice key;
	struct value value;
	uint64_t keys = 0, bytes = 0;
	storage_walk(&values, &storage, &all);
	while (collection_walk_next(&values, &key, &value)) {
		keys++;
		bytes += key.size + value.data.size;
	}
	collection_walk_close(&values);
	assert_int_equal(record->values.count, keys);
	assert_int_equal(record->values.bytes, bytes);
	if (record->sweep_filed_ms == 0)
		assert_int_equal(parts, keys + record->schedules);
	return walk.entries + check_entries_due(turn, model, record);
}

/* The object as a turn sees it. */
static void check_seen(struct turn *turn, const struct model *model)
{
	struct storage storage;
	storage_open(&storage, turn, &model->name);
	const struct object_record *record = &storage.record;
	assert_int_equal(record_exists(record), model_exists(model));
	assert_int_equal(record->values.count, model->count);
	assert_int_equal(record->values.bytes, model_bytes(model));
	assert_int_equal(record->alarm_ms, model->alarm_ms);
	assert_int_equal(record->alarm_due_ms, model->alarm_due_ms);
	assert_int_equal(record->alarm_tries, model->alarm_tries);
	assert_int_equal(record->schedules, model_schedules(model));
	assert_int_equal(record->expire_ms, model->expire_ms);
	assert_int_equal(record->life_ms, model->life_ms);
	compare_list(&storage, model, &(struct collection_range){ .reverse = below(2) });
	struct walk walk = { .model = model };
	storage_each_schedule(&storage, meet_schedule, &walk);
	assert_int_equal(walk.met, record->schedules);
}

static void check_all(struct turn *turn)
{
	size_t entries = 0;
	for (size_t i = 0; i < OBJECTS; i++) {
		check_seen(turn, &world->models[i]);
		entries += check_stored(turn, &world->models[i]);
	}
	assert_int_equal(count_table(turn, TABLE_DUE), entries);
	assert_int_equal(turn->changes.count, 0);
}

/* --- random turns ----------------------------------------------------------------------------- */

static void random_turn(struct turn *turn)
{
	struct model *model = &world->models[below(OBJECTS)], before;
	struct storage storage;
	model_copy(&before, model);
	storage_open(&storage, turn, &model->name);
	some_transactions(&storage, model, 2);
	if (below(10) == 0) {
		turn_error(turn, "ERR the class raised an error");
		model_become(model, &before);
		world->seen.failed++;
	} else {
		storage_close(&storage);
		if (!model_exists(model))
			model->expire_ms = model->life_ms = 0;
	}
	free(before.entries);
}

/* The first lives and sweeps that are due, as the scheduler runs them. */
static void due_turn(struct turn *turn)
{
	struct key start, end;
	key_of_due_time(&start, 0);
	key_of_due_time(&end, turn->now_ms + 1);
	for (uint16_t shard = 0; shard < turn->shard_total; shard++) {
		struct cursor cursor;
		struct slice key;
		struct value value;
		struct due due = { 0 };
		bool found = false;
		cursor_open(&cursor, turn->stores[shard], NULL, turn_arena(turn), key_slice(&start),
			key_slice(&end), false);
		while (!found && cursor_next(&cursor, &key, &value)) {
			assert_true(key_parse_due(arena_copy(turn_arena(turn), key), &due));
			found = due.kind == DUE_EXPIRE || due.kind == DUE_SWEEP;
		}
		cursor_close(&cursor);
		if (!found)
			continue;
		struct storage storage;
		storage_open(&storage, turn, &due.object);
		if (due.kind == DUE_EXPIRE)
			assert_true(storage_end_life(&storage, due.at_ms));
		else
			world->seen.swept += storage_sweep(&storage);
		storage_close(&storage);
	}
}

static void random_turns(struct turn_rig *rig, uint64_t seed, int turns)
{
	make_world(rig, seed);
	for (int i = 0; i < turns; i++) {
		turn_rig_run(rig, below(3) ? random_turn : due_turn, NULL);
		turn_rig_run(rig, check_all, NULL);
		if (below(20) == 0)
			turn_rig_checkpoint(rig);
		if (below(3) == 0)
			rig->now_ms += (int64_t)below(below(10) ? 3000 : LIFE_MS);
		for (size_t n = 0; n < OBJECTS; n++)
			model_age(&world->models[n], rig->now_ms);
	}
	assert_true(world->seen.ended > 0 && world->seen.swept > 0 && world->seen.restored > 0 &&
		world->seen.failed > 0 && world->seen.listed > 0 && world->seen.large > 0);
	free_world();
}

static void storage_index_and_record_agree_with_a_model(void **state)
{
	random_turns(*state, 1, 1500);
}

static void they_agree_with_other_seeds_too(void **state)
{
	random_turns(*state, 2, 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			storage_index_and_record_agree_with_a_model, set_up, tear_down),
		cmocka_unit_test_setup_teardown(they_agree_with_other_seeds_too, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
