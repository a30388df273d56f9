/*
 * Long keys against a sorted array: random puts, deletes and seeks over keys whose lengths and
 * shared beginnings lie around the widths of slices.
 */
#include "store/tree_layers.h"

#include "base/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define KEYS 400

struct model_key {
	struct slice bytes;
	bool present;
	uint32_t value;
};

struct fixture {
	char path[64];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	struct tree_layers layers;
	uint64_t next_layer;
	struct random random;
	struct model_key keys[KEYS]; /* sorted, all different */
	int count;
};

static int compare_keys(const void *a, const void *b)
{
	return slice_compare(
		((const struct model_key *)a)->bytes, ((const struct model_key *)b)->bytes);
}

/* Bytes from a tiny alphabet with both extremes, so that keys share long beginnings. */
static struct slice random_key(struct random *random)
{
	static const size_t lengths[] = { 1, 2, 10, 498, 499, 500, 501, 502, 989, 990, 991, 992,
		1479, 1480, 1481, 1970, 2460, 4419, 4420, 4421, 4606, 4607,
		STORE_FORMAT_KEY_BYTES_MAX };
	static const char alphabet[] = { 0x00, 0x01, 0x02, (char)0xff };
	size_t size = lengths[random_below(random, sizeof lengths / sizeof *lengths)];
	char *bytes = malloc(size);
	memset(bytes, random_below(random, 8) ? 'm' : (char)0xff, size);
	bytes[0] = 'k';
	for (int i = (int)random_below(random, 3); i > 0; i--)
		bytes[size - 1 - random_below(random, size < 4 ? size : 4)] =
			alphabet[random_below(random, sizeof alphabet)];
	if (size > 1 && random_below(random, 4) == 0)
		bytes[random_below(random, size - 1) + 1] =
			alphabet[random_below(random, sizeof alphabet)];
	if ((unsigned char)bytes[0] >= STORE_FORMAT_TABLE_INDEX)
		bytes[0] = (char)0xef;
	return slice_of(bytes, size);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	snprintf(f->path, sizeof f->path, "/tmp/holdfast-layers-%d", getpid());
	random_seed(&f->random, 20240611);
	f->next_layer = 1;
	assert_int_equal(mdb_env_create(&f->env), 0);
	mdb_env_set_mapsize(f->env, 256 << 20);
	assert_int_equal(mdb_env_open(f->env, f->path, MDB_NOSUBDIR | MDB_NOSYNC, 0600), 0);
	assert_int_equal(mdb_txn_begin(f->env, NULL, 0, &f->txn), 0);
	assert_int_equal(mdb_dbi_open(f->txn, NULL, 0, &f->dbi), 0);
	MDB_cursor *cursor;
	assert_int_equal(mdb_cursor_open(f->txn, f->dbi, &cursor), 0);
	tree_layers_init(&f->layers, cursor);
	while (f->count < KEYS) {
		struct model_key key = { .bytes = random_key(&f->random) };
		bool known = false;
		for (int i = 0; i < f->count; i++)
			known |= slice_equal(f->keys[i].bytes, key.bytes);
		if (known)
			free((void *)(uintptr_t)key.bytes.data);
		else
			f->keys[f->count++] = key;
	}
	qsort(f->keys, (size_t)f->count, sizeof *f->keys, compare_keys);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	mdb_cursor_close(f->layers.cursor);
	mdb_txn_abort(f->txn);
	mdb_env_close(f->env);
	unlink(f->path);
	char lock[80];
	snprintf(lock, sizeof lock, "%s-lock", f->path);
	unlink(lock);
	for (int i = 0; i < f->count; i++)
		free((void *)(uintptr_t)f->keys[i].bytes.data);
	free(f);
	return 0;
}

static void put(struct fixture *f, struct model_key *key, uint32_t value)
{
	char *room;
	assert_int_equal(
		tree_layers_put(&f->layers, key->bytes, sizeof value, &f->next_layer, &room), 0);
	memcpy(room, &value, sizeof value);
	key->present = true;
	key->value = value;
}

static void delete (struct fixture *f, struct model_key *key)
{
	assert_int_equal(tree_layers_delete(&f->layers, key->bytes), key->present ? 0 : -ENOENT);
	key->present = false;
}

/* `rc` and the position are those of key `index` of the model; -1 or `count`: of none. */
static void check_position(struct fixture *f, int rc, int index)
{
	if (index < 0 || index >= f->count) {
		assert_int_equal(rc, -ENOENT);
		return;
	}
	assert_int_equal(rc, 0);
	assert_true(slice_equal(f->layers.key, f->keys[index].bytes));
	assert_int_equal(f->layers.value.mv_size, sizeof(uint32_t));
	assert_memory_equal(f->layers.value.mv_data, &f->keys[index].value, sizeof(uint32_t));
}

static int present_from(const struct fixture *f, int index, int step)
{
	while (index >= 0 && index < f->count && !f->keys[index].present)
		index += step;
	return index;
}

static void check_all(struct fixture *f)
{
	int at = present_from(f, 0, 1);
	int rc = tree_layers_seek(&f->layers, TREE_LAYERS_STORE, slice_of("", 0), false);
	for (; at < f->count; at = present_from(f, at + 1, 1)) {
		check_position(f, rc, at);
		rc = tree_layers_next(&f->layers);
	}
	assert_int_equal(rc, -ENOENT);
	static const char end[] = { (char)0xff };
	at = present_from(f, f->count - 1, -1);
	rc = tree_layers_seek_before(&f->layers, TREE_LAYERS_STORE, slice_of(end, 1));
	for (; at >= 0; at = present_from(f, at - 1, -1)) {
		check_position(f, rc, at);
		rc = tree_layers_previous(&f->layers);
	}
	assert_int_equal(rc, -ENOENT);
}

static void check_seeks(struct fixture *f, int index)
{
	struct slice key = f->keys[index].bytes;
	struct tree_layers *layers = &f->layers;
	int rc = tree_layers_seek(layers, TREE_LAYERS_STORE, key, false);
	check_position(f, rc, present_from(f, index, 1));
	rc = tree_layers_seek(layers, TREE_LAYERS_STORE, key, true);
	int after = present_from(f, index + 1, 1);
	check_position(f, rc, after);
	if (after < f->count) {
		/* Back and forth from a position reached by a seek. */
		check_position(f, tree_layers_previous(layers), present_from(f, after - 1, -1));
		rc = tree_layers_seek(layers, TREE_LAYERS_STORE, f->keys[after].bytes, false);
		check_position(f, tree_layers_next(layers), present_from(f, after + 1, 1));
	}
	rc = tree_layers_seek_before(layers, TREE_LAYERS_STORE, key);
	int before = present_from(f, index - 1, -1);
	check_position(f, rc, before);
	if (before >= 0) {
		/* A bound may be the key at the position itself. */
		rc = tree_layers_seek(layers, TREE_LAYERS_STORE, layers->key, true);
		check_position(f, rc, present_from(f, before + 1, 1));
	}
	MDB_val value;
	rc = tree_layers_find(layers, key, &value);
	assert_int_equal(rc, f->keys[index].present ? 0 : -ENOENT);
	if (rc == 0)
		assert_memory_equal(value.mv_data, &f->keys[index].value, sizeof(uint32_t));
}

static void agrees_with_a_sorted_array_under_random_operations(void **state)
{
	struct fixture *f = *state;
	for (int round = 0; round < 60; round++) {
		/* Rounds alternate between mostly filling and mostly emptying. */
		unsigned puts_in_10 = round % 2 ? 2 : 8;
		for (int i = 0; i < 200; i++) {
			struct model_key *key = &f->keys[random_below(&f->random, KEYS)];
			if (random_below(&f->random, 10) < puts_in_10)
				put(f, key, (uint32_t)random_next(&f->random));
			else
				delete (f, key);
			check_seeks(f, (int)random_below(&f->random, KEYS));
		}
		check_all(f);
	}
}

static void leaves_nothing_behind_when_the_last_key_goes(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < f->count; i++)
		put(f, &f->keys[i], (uint32_t)i);
	assert_true(f->next_layer > 10);
	check_all(f);
	for (int i = 0; i < f->count; i++) {
		int other = (int)random_below(&f->random, KEYS);
		delete (f, &f->keys[other]);
		delete (f, &f->keys[i]);
	}
	MDB_stat stat;
	assert_int_equal(mdb_stat(f->txn, f->dbi, &stat), 0);
	assert_int_equal(stat.ms_entries, 0);
}

static void keeps_the_index_apart_from_the_stores_keys(void **state)
{
	struct fixture *f = *state;
	char index[TREE_LAYERS_KEY_BYTES_MAX], *room;
	memset(index, 'm', sizeof index);
	index[0] = (char)STORE_FORMAT_TABLE_INDEX;
	for (size_t size = 9; size <= sizeof index; size += 64) {
		assert_int_equal(tree_layers_put(&f->layers, slice_of(index, size), 0,
					 &f->next_layer, &room),
			0);
	}
	for (int i = 0; i < f->count; i += 2)
		put(f, &f->keys[i], (uint32_t)i);
	check_all(f);
	size_t found = 0;
	int rc = tree_layers_seek(&f->layers, TREE_LAYERS_INDEX, slice_of(index, 1), false);
	for (size_t size = 9; rc == 0; size += 64) {
		assert_true(slice_equal(f->layers.key, slice_of(index, size)));
		rc = tree_layers_next(&f->layers);
		found++;
	}
	assert_int_equal(rc, -ENOENT);
	assert_int_equal(found, (sizeof index - 9) / 64 + 1);
	static const char end[] = { (char)STORE_FORMAT_TABLE_CHUNKS };
	rc = tree_layers_seek_before(&f->layers, TREE_LAYERS_INDEX, slice_of(end, 1));
	assert_int_equal(rc, 0);
	assert_int_equal(f->layers.key.size, 9 + (found - 1) * 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			agrees_with_a_sorted_array_under_random_operations, setup, teardown),
		cmocka_unit_test_setup_teardown(
			leaves_nothing_behind_when_the_last_key_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			keeps_the_index_apart_from_the_stores_keys, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
