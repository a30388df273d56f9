/*
 * The tree against a simple model: a sorted array of keys with their values. Every check reads
 * through the public interface; what must not be left behind (chunks, layers, index entries) is
 * looked for in the raw LMDB file after closing.
 */
#include "tree_fixture.h"

#include <pthread.h>

#define CHUNK STORE_FORMAT_CHUNK_BYTES

/* --- the raw file ----------------------------------------------------------------------------- */

struct raw {
	size_t store, index, chunks, layers; /* entries by table */
	size_t ways;                         /* into layers */
	size_t layer_numbers;                /* different ones */
};

static struct raw raw_counts(struct fixture *f)
{
	struct raw raw = { 0 };
	uint64_t last = 0;
	close_tree(f);
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_cursor *cursor;
	MDB_val key, value;
	char name[32];
	snprintf(name, sizeof name, STORE_FORMAT_SHARD_NAME, f->shard);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 8);
	assert_int_equal(mdb_env_open(env, f->path, MDB_NOSUBDIR | MDB_RDONLY, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, name, 0, &dbi), 0);
	assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		const unsigned char *bytes = key.mv_data;
		bool in_layer = bytes[0] == STORE_FORMAT_TABLE_LAYERS;
		if (key.mv_size == (in_layer ? 500 : 501))
			raw.ways += bytes[key.mv_size - 1] == STORE_FORMAT_KIND_CONTINUES;
		raw.store += bytes[0] < STORE_FORMAT_TABLE_INDEX;
		raw.index += bytes[0] == STORE_FORMAT_TABLE_INDEX;
		raw.chunks += bytes[0] == STORE_FORMAT_TABLE_CHUNKS;
		raw.layers += in_layer;
		uint64_t number;
		memcpy(&number, bytes + (in_layer ? 1 : 0), in_layer ? sizeof number : 0);
		if (in_layer && number != last) {
			raw.layer_numbers++;
			last = number;
		}
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	open_tree(f);
	return raw;
}

/* --- the model -------------------------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
	return slice_compare(
		((const struct model_entry *)a)->key, ((const struct model_entry *)b)->key);
}

static void add_key(struct fixture *f, struct slice bytes)
{
	for (size_t i = 0; i < f->model_count; i++) {
		if (slice_equal(f->model[i].key, bytes))
			return;
	}
	char *copy = memory_alloc(bytes.size);
	memcpy(copy, bytes.data, bytes.size);
	f->model = memory_resize(f->model, (f->model_count + 1) * sizeof *f->model);
	f->model[f->model_count++] = (struct model_entry){ .key = slice_of(copy, bytes.size) };
}

/* Keys of other tables with shared beginnings of 480 to 4,600 bytes, some of short names, and
 * strings of two databases. */
static void make_keys(struct fixture *f, int count)
{
	static const size_t shared[] = { 480, 488, 489, 490, 491, 498, 499, 500, 501, 980, 989, 990,
		991, 1480, 2000, 4590, 4600 };
	static const char extremes[] = { 0x00, 0x01, 'k', (char)0xfe, (char)0xff };
	char bytes[LIMIT_STORE_KEY_BYTES];
	for (int i = 0; i < count; i++) {
		size_t size = random_below(&f->random, 4) == 0
			? 1
			: shared[random_below(&f->random, sizeof shared / sizeof *shared)];
		memset(bytes, 's', size);
		bytes[0] = (char)(0x10 + random_below(&f->random, 2) * 0xdf);
		size_t tail = random_below(&f->random, 9);
		for (size_t j = 0; j < tail; j++)
			bytes[size++] = extremes[random_below(&f->random, sizeof extremes)];
		add_key(f, slice_of(bytes, size));
	}
	for (int i = 0; i < count; i++) {
		struct key key;
		char name[LIMIT_KEY_BYTES];
		size_t size = 1 + random_below(&f->random, i % 8 ? 30 : sizeof name);
		fill(name, size, (uint64_t)i);
		key_of_string(&key, &tree_fixture_secret, (uint8_t)(i % 2 ? 0 : 15), 0,
			slice_of(name, size));
		add_key(f, key_slice(&key));
	}
	qsort(f->model, f->model_count, sizeof *f->model, compare_entries);
}

static void change_at_random(struct fixture *f)
{
	struct model_entry *entry = &f->model[random_below(&f->random, f->model_count)];
	struct key_string string;
	if (key_parse_string(entry->key, &string) && f->generation[string.db] > 0)
		return;
	uint64_t choice = random_below(&f->random, 10);
	if (choice < 3) {
		entry->present = false;
		delete (f, entry->key);
		return;
	}
	entry->present = true;
	entry->expire_ms =
		choice < 5 ? 0 : f->now_ms + (int64_t)random_below(&f->random, 2000) - 500;
	entry->seed = random_next(&f->random);
	entry->size = random_below(&f->random, 300);
	if (random_below(&f->random, 20) == 0)
		entry->size = 1500 + random_below(&f->random, 3000);
	if (random_below(&f->random, 40) == 0)
		entry->size = CHUNK - 30 + random_below(&f->random, 60) +
			random_below(&f->random, 3) * CHUNK;
	put(f, entry->key, entry->expire_ms, entry->size, entry->seed);
}

static void check_walks(struct fixture *f)
{
	struct tree_cursor *cursor = tree_cursor_open(f->view);
	struct slice key;
	struct value value;
	bool found = tree_cursor_seek(cursor, slice_of("", 0), false, &key);
	for (size_t i = 0; i < f->model_count; i++) {
		struct model_entry *entry = &f->model[i];
		if (!entry->present)
			continue;
		assert_true(found);
		assert_true(slice_equal(key, entry->key));
		tree_cursor_value(cursor, &f->arena, &value);
		check_value(f, &value, entry->expire_ms, entry->size, entry->seed);
		found = tree_cursor_next(cursor, &key);
	}
	assert_false(found);
	found = tree_cursor_seek_before(cursor, slice_of("\xff", 1), &key);
	for (size_t i = f->model_count; i-- > 0;) {
		if (!f->model[i].present)
			continue;
		assert_true(found);
		assert_true(slice_equal(key, f->model[i].key));
		found = tree_cursor_previous(cursor, &key);
	}
	assert_false(found);
	tree_cursor_close(&cursor);
}

/* Each key that has an expiry is filed once, no later than it expires, in order of time. */
static void check_index(struct fixture *f)
{
	struct tree_due_walk *walk = memory_zeroed(sizeof *walk);
	struct slice key;
	size_t filed = 0, expiring = 0;
	bool *seen = memory_zeroed(f->model_count);
	int64_t last = INT64_MIN;
	while (tree_next_due(f->view, INT64_MAX, walk, &f->arena, &key)) {
		struct model_entry wanted = { .key = key }, *entry;
		entry = bsearch(&wanted, f->model, f->model_count, sizeof wanted, compare_entries);
		assert_non_null(entry);
		assert_true(entry->present && entry->expire_ms != 0);
		assert_false(seen[entry - f->model]);
		seen[entry - f->model] = true;
		assert_true(walk->filed_ms <= entry->expire_ms && walk->filed_ms >= last);
		/* What is due and lives on has been filed anew. */
		assert_true(walk->filed_ms > f->now_ms || entry->expire_ms <= f->now_ms);
		last = walk->filed_ms;
		filed++;
	}
	for (size_t i = 0; i < f->model_count; i++)
		expiring += f->model[i].present && f->model[i].expire_ms != 0;
	assert_int_equal(filed, expiring);
	memory_free(seen);
	memory_free(walk);
	arena_reset(&f->arena);
}

static void check_counts(struct fixture *f)
{
	uint64_t keys[LIMIT_DATABASES] = { 0 }, expiring[LIMIT_DATABASES] = { 0 };
	for (size_t i = 0; i < f->model_count; i++) {
		struct key_string string;
		if (!f->model[i].present || !key_parse_string(f->model[i].key, &string))
			continue;
		keys[string.db]++;
		expiring[string.db] += f->model[i].expire_ms != 0;
	}
	for (uint8_t db = 0; db < LIMIT_DATABASES; db++)
		check_count(f, db, keys[db], expiring[db]);
}

static void check_raw(struct fixture *f)
{
	size_t chunks = 0;
	for (size_t i = 0; i < f->model_count; i++) {
		/* Between the two bounds it depends on the header's size. */
		if (f->model[i].present && f->model[i].size > CHUNK - 2)
			chunks += (f->model[i].size + CHUNK - 1) / CHUNK;
	}
	struct raw raw = raw_counts(f);
	assert_true(raw.chunks >= chunks);
	assert_int_equal(raw.ways, raw.layer_numbers);
}

static void agrees_with_a_model_under_random_changes(void **state)
{
	struct fixture *f = *state;
	make_keys(f, 150);
	for (int round = 0; round < 80; round++) {
		f->now_ms += 200;
		for (uint64_t i = random_below(&f->random, 150); i > 0; i--)
			change_at_random(f);
		settle(f);
		assert_int_equal(tree_lsn(f->tree, f->shard), f->lsn);
		check_walks(f);
		check_index(f);
		check_counts(f);
		for (int i = 0; i < 40; i++) {
			struct model_entry *entry =
				&f->model[random_below(&f->random, f->model_count)];
			if (entry->present)
				check_stands(
					f, entry->key, entry->expire_ms, entry->size, entry->seed);
			else
				assert_false(stands(f, entry->key));
		}
		if (round % 10 == 9)
			check_raw(f);
	}
	for (size_t i = 0; i < f->model_count; i++)
		delete (f, f->model[i].key);
	settle(f);
	struct raw raw = raw_counts(f);
	assert_int_equal(raw.store + raw.index + raw.chunks + raw.layers, 0);
}

/* --- large values ----------------------------------------------------------------------------- */

static void keeps_large_values_in_chunks_and_gives_them_back(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { CHUNK - 19, CHUNK - 18, CHUNK - 11, CHUNK - 10, CHUNK - 9,
		CHUNK - 3, CHUNK - 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1,
		3000000 };
	const struct slice key = slice_text("\020large");
	for (int expiring = 0; expiring < 3; expiring++) {
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			/* The third time the expiry is extended, so that the header has both. */
			int64_t expire_ms = expiring ? f->now_ms + 5000 + expiring : 0;
			put(f, key, expire_ms, sizes[i], i);
			settle(f);
			check_stands(f, key, expire_ms, sizes[i], i);
			struct value value;
			assert_true(tree_get(f->view, key, NULL, &value));
			assert_int_equal(value.data.size, sizes[i]);
			assert_int_equal(value.expire_ms, expire_ms);
			size_t header = expiring == 0 ? 2 : expiring == 1 ? 10 : 18;
			bool chunked = sizes[i] + header > CHUNK;
			struct raw raw = raw_counts(f);
			assert_int_equal(raw.chunks, chunked ? (sizes[i] + CHUNK - 1) / CHUNK : 0);
		}
	}
	delete (f, key);
	settle(f);
	struct raw raw = raw_counts(f);
	assert_int_equal(raw.store + raw.index + raw.chunks + raw.layers, 0);
}

static void gives_the_extent_of_a_value_that_was_asked_for(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 0, 100, CHUNK, 3 * CHUNK, 3 * CHUNK + 7 };
	static const size_t bounds[] = { 0, 1, 99, 100, 101, CHUNK - 1, CHUNK, CHUNK + 1,
		3 * CHUNK - 1, 3 * CHUNK + 6, 3 * CHUNK + 7, SIZE_MAX };
	const size_t bound_count = sizeof bounds / sizeof *bounds;
	const struct slice key = slice_text("\020part");
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct value whole, part;
		put(f, key, 0, sizes[i], i);
		settle(f);
		assert_true(tree_get(f->view, key, &f->arena, &whole));
		for (size_t from = 0; from < bound_count; from++) {
			for (size_t most = 0; most < bound_count; most++) {
				struct extent extent = { bounds[from], bounds[most] };
				size_t behind = sizes[i] > extent.from ? sizes[i] - extent.from : 0;
				size_t size = behind < extent.most ? behind : extent.most;
				assert_true(
					tree_get_extent(f->view, key, &f->arena, extent, &part));
				assert_int_equal(part.data.size, size);
				if (size)
					assert_memory_equal(part.data.data,
						whole.data.data + extent.from, size);
			}
		}
		arena_reset(&f->arena);
	}
}

/* --- the index -------------------------------------------------------------------------------- */

static void leaves_the_index_alone_while_lives_are_extended(void **state)
{
	struct fixture *f = *state;
	const struct slice key = slice_text("\020session");
	int64_t start = f->now_ms;
	put(f, key, start + 1000, 10, 1);
	settle(f);
	put(f, key, start + 5000, 10, 2);
	settle(f);
	assert_int_equal(count_due(f, start + 999), 0);
	assert_int_equal(count_due(f, start + 1000), 1);
	/* It falls due: filed anew where the life now ends. */
	f->now_ms = start + 1500;
	settle(f);
	assert_int_equal(count_due(f, start + 4999), 0);
	assert_int_equal(count_due(f, start + 5000), 1);
	check_stands(f, key, start + 5000, 10, 2);
	/* A shorter life moves it forward. */
	put(f, key, start + 3000, 10, 3);
	settle(f);
	assert_int_equal(count_due(f, start + 2999), 0);
	assert_int_equal(count_due(f, start + 3000), 1);
	/* Expired, and not yet deleted: it stays due. */
	f->now_ms = start + 9000;
	settle(f);
	assert_int_equal(count_due(f, f->now_ms), 1);
	put(f, key, 0, 10, 4);
	settle(f);
	assert_int_equal(count_due(f, INT64_MAX), 0);
	check_stands(f, key, 0, 10, 4);
}

static void walks_what_is_due_in_order_of_time(void **state)
{
	struct fixture *f = *state;
	char name[64];
	for (int i = 0; i < 100; i++) {
		int size = snprintf(name, sizeof name, "\020key-%02d", i);
		put(f, slice_of(name, (size_t)size), f->now_ms + (i * 37) % 100 + 1, 1, 1);
	}
	put(f, slice_text("\020long ago"), -5, 1, 1);
	settle(f);
	struct tree_due_walk *walk = memory_zeroed(sizeof *walk);
	struct slice key;
	int64_t last = -5;
	int found = 0;
	assert_true(tree_next_due(f->view, 0, walk, &f->arena, &key));
	assert_true(slice_equal(key, slice_text("\020long ago")));
	assert_false(tree_next_due(f->view, f->now_ms, walk, &f->arena, &key));
	/* A walk goes on behind its position when time has passed. */
	for (int64_t now = f->now_ms; now <= f->now_ms + 100; now += 10) {
		while (tree_next_due(f->view, now, walk, &f->arena, &key)) {
			assert_true(walk->filed_ms >= last && walk->filed_ms <= now);
			last = walk->filed_ms;
			found++;
		}
	}
	assert_int_equal(found, 100);
	memory_free(walk);
}

/* --- generations ------------------------------------------------------------------------------ */

static void counts_begin_again_with_a_generation(void **state)
{
	struct fixture *f = *state;
	struct key key, dead;
	for (int i = 0; i < 10; i++) {
		string_key(&key, f, 3, i);
		put(f, key_slice(&key), i % 2 ? f->now_ms + 1000 : 0, 10, 1);
		string_key(&key, f, 4, i);
		put(f, key_slice(&key), 0, 10, 1);
	}
	settle(f);
	check_count(f, 3, 10, 5);
	check_count(f, 4, 10, 0);
	/* In one overlay: a key of the old generation, the new generation, and its first keys. */
	string_key(&dead, f, 3, 100);
	put(f, key_slice(&dead), f->now_ms + 1000, 200000, 1);
	start_generation(f, 3);
	string_key(&key, f, 3, 1);
	put(f, key_slice(&key), f->now_ms + 1000, 10, 2);
	settle(f);
	check_count(f, 3, 1, 1);
	check_count(f, 4, 10, 0);
	assert_false(stands(f, key_slice(&dead)));
	check_stands(f, key_slice(&key), f->now_ms + 1000, 10, 2);
	/* The dead have gone, with their chunks and what the index said of them. */
	assert_int_equal(count_due(f, INT64_MAX), 1);
	struct raw raw = raw_counts(f);
	assert_int_equal(raw.chunks, 0);
	assert_int_equal(raw.index, 1);
	check_count(f, 3, 1, 1);
	/* Deleting a key of a generation gone by changes no count. */
	delete (f, key_slice(&dead));
	settle(f);
	check_count(f, 3, 1, 1);
}

static void clears_dead_generations_bit_by_bit(void **state)
{
	struct fixture *f = *state;
	const int keys = 60000;
	struct key key;
	for (int i = 0; i < keys; i++) {
		string_key(&key, f, 0, i);
		put(f, key_slice(&key), i % 100 ? 0 : f->now_ms + 100000, 8, 1);
	}
	put(f, slice_text("\020other"), 0, 8, 1);
	settle(f);
	check_count(f, 0, (uint64_t)keys, (uint64_t)keys / 100);
	start_generation(f, 0);
	settle(f);
	check_count(f, 0, 0, 0);
	struct raw raw = raw_counts(f);
	assert_true(raw.store > 2 && raw.store < (size_t)keys);
	/* A generation that begins meanwhile does not make the rest forgotten. */
	string_key(&key, f, 0, 1);
	put(f, key_slice(&key), 0, 8, 9);
	start_generation(f, 0);
	string_key(&key, f, 0, 2);
	put(f, key_slice(&key), 0, 8, 9);
	settle(f);
	settle(f);
	raw = raw_counts(f);
	assert_int_equal(raw.store, 3);
	assert_int_equal(raw.index, 0);
	check_count(f, 0, 1, 0);
	check_stands(f, key_slice(&key), 0, 8, 9);
}

/* --- transactions and views ------------------------------------------------------------------- */

static void a_view_stands_still_until_it_is_renewed(void **state)
{
	struct fixture *f = *state;
	const struct slice key = slice_text("\020key");
	put(f, key, 0, 10, 1);
	settle(f);
	put(f, key, 0, 20, 2);
	put(f, slice_text("\020new"), 0, 20, 2);
	assert_int_equal(checkpoint(f), 0);
	check_stands(f, key, 0, 10, 1);
	assert_false(stands(f, slice_text("\020new")));
	tree_view_renew(f->view);
	check_stands(f, key, 0, 20, 2);
	assert_true(stands(f, slice_text("\020new")));
}

/* Reads pairs of keys that are always written together, while checkpoints go on. */
static void *read_pairs(void *context)
{
	struct fixture *f = context;
	struct tree_view *view;
	struct value first, second;
	uint64_t differing = tree_view_open(f->tree, f->shard, &view) != 0;
	while (differing == 0 && !__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE)) {
		tree_view_renew(view);
		for (int i = 0; i < 50; i++) {
			bool found = tree_get(view, slice_text("\020first"), &f->arena, &first);
			found &= tree_get(view, slice_text("\020second"), &f->arena, &second);
			differing += !found || !slice_equal(first.data, second.data);
		}
	}
	tree_view_close(&view);
	return (void *)(uintptr_t)differing;
}

static void views_on_other_threads_see_whole_checkpoints(void **state)
{
	struct fixture *f = *state;
	put(f, slice_text("\020first"), 0, 500, 1);
	put(f, slice_text("\020second"), 0, 500, 1);
	settle(f);
	pthread_t reader;
	assert_int_equal(pthread_create(&reader, NULL, read_pairs, f), 0);
	for (uint64_t i = 0; i < 200; i++) {
		put(f, slice_text("\020first"), 0, 500 + i, i);
		put(f, slice_text("\020second"), 0, 500 + i, i);
		settle(f);
	}
	__atomic_store_n(&f->stop, true, __ATOMIC_RELEASE);
	void *differing;
	assert_int_equal(pthread_join(reader, &differing), 0);
	assert_null(differing);
}

static int fail_with_no_space(void *context)
{
	++*(int *)context;
	return -ENOSPC;
}

static void a_failed_commit_leaves_the_old_state(void **state)
{
	struct fixture *f = *state;
	const struct slice key = slice_text("\020key");
	put(f, key, 0, 10, 1);
	settle(f);
	uint64_t lsn = f->lsn;
	put(f, key, f->now_ms, 200000, 2);
	int calls = 0;
	tree_set_commit_fault(f->tree, fail_with_no_space, &calls);
	assert_int_equal(checkpoint(f), -ENOSPC);
	assert_int_equal(calls, 1);
	tree_view_renew(f->view);
	check_stands(f, key, 0, 10, 1);
	assert_int_equal(tree_lsn(f->tree, f->shard), lsn);
	tree_set_commit_fault(f->tree, NULL, NULL);
	settle(f);
	check_stands(f, key, f->now_ms, 200000, 2);
	assert_int_equal(tree_lsn(f->tree, f->shard), f->lsn);
}

static void a_full_map_is_said_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	close_tree(f);
	char error[256];
	struct tree_options options = {
		.path = f->path, .map_bytes = 8 << 20, .shards_if_new = 1, .now_ms = 1
	};
	assert_int_equal(tree_open(&f->tree, &options, error, sizeof error), 0);
	assert_int_equal(tree_view_open(f->tree, f->shard, &f->view), 0);
	put(f, slice_text("\020small"), 0, 10, 1);
	settle(f);
	put(f, slice_text("\020large"), 0, 120 << 20, 2);
	struct tree_checkpoint *checkpoint;
	assert_int_equal(tree_checkpoint_begin(f->tree, &checkpoint), 0);
	assert_int_equal(
		tree_checkpoint_shard(checkpoint, f->shard, f->overlay, f->lsn, 0), -EDQUOT);
	tree_checkpoint_abort(&checkpoint);
	assert_null(checkpoint);
	tree_view_renew(f->view);
	check_stands(f, slice_text("\020small"), 0, 10, 1);
	assert_false(stands(f, slice_text("\020large")));
}

static void takes_many_entries_and_large_values_in_one_checkpoint(void **state)
{
	struct fixture *f = *state;
	const int keys = 200000, large = 20;
	struct key key;
	for (int i = 0; i < keys; i++) {
		string_key(&key, f, 0, i);
		put(f, key_slice(&key), i % 3 ? 0 : f->now_ms + i, 128, (uint64_t)i);
	}
	for (int i = 0; i < large; i++) {
		string_key(&key, f, 1, i);
		put(f, key_slice(&key), 0, 5 << 20, (uint64_t)i);
	}
	settle(f);
	check_count(f, 0, (uint64_t)keys, (uint64_t)(keys + 2) / 3);
	for (int i = 0; i < keys; i += 17) {
		string_key(&key, f, 0, i);
		check_stands(f, key_slice(&key), i % 3 ? 0 : f->now_ms + i, 128, (uint64_t)i);
	}
	for (int i = 0; i < large; i++) {
		string_key(&key, f, 1, i);
		check_stands(f, key_slice(&key), 0, 5 << 20, (uint64_t)i);
	}
	assert_true(tree_bytes(f->tree) > (uint64_t)large * (5 << 20));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(agrees_with_a_model_under_random_changes),
		TEST(keeps_large_values_in_chunks_and_gives_them_back),
		TEST(gives_the_extent_of_a_value_that_was_asked_for),
		TEST(leaves_the_index_alone_while_lives_are_extended),
		TEST(walks_what_is_due_in_order_of_time),
		TEST(counts_begin_again_with_a_generation),
		TEST(clears_dead_generations_bit_by_bit),
		TEST(a_view_stands_still_until_it_is_renewed),
		TEST(views_on_other_threads_see_whole_checkpoints),
		TEST(a_failed_commit_leaves_the_old_state),
		TEST(a_full_map_is_said_and_changes_nothing),
		TEST(takes_many_entries_and_large_values_in_one_checkpoint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
