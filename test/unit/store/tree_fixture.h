/*
 * A tree in a directory of its own, an overlay to fill it from, and checks of single values. The
 * data of values follows from a size and a seed.
 */
#ifndef TEST_TREE_FIXTURE_H
#define TEST_TREE_FIXTURE_H

#include "store/tree.h"

#include "holdfast/store_format.h"

#include "base/memory.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

#include <cmocka.h>

/* Any would do: the tree only keeps it. */
static const struct hash_secret tree_fixture_secret = { 1, 2 };

struct model_entry {
	struct slice key;
	bool present;
	uint8_t type;
	int64_t expire_ms;
	size_t size; /* of the data, which its seed determines */
	uint64_t seed;
};

struct fixture {
	char directory[64];
	char path[96];
	struct tree *tree;
	struct tree_view *view;
	struct overlay *overlay;
	struct random random;
	struct arena arena;
	uint64_t lsn;
	uint16_t shard;
	int64_t now_ms;
	struct model_entry *model; /* sorted by key once filled */
	size_t model_count;
	uint32_t generation[LIMIT_DATABASES];
	bool stop; /* for a reader on another thread */
};

static inline void open_tree(struct fixture *f)
{
	char error[256] = "";
	struct tree_options options = { .path = f->path,
		.map_bytes = (uint64_t)4 << 30,
		.shards_if_new = 3,
		.sync = false,
		.now_ms = 1700000000000 };
	int rc = tree_open(&f->tree, &options, error, sizeof error);
	if (rc)
		print_message("%s\n", error);
	assert_int_equal(rc, 0);
	assert_int_equal(tree_view_open(f->tree, f->shard, &f->view), 0);
}

static inline void close_tree(struct fixture *f)
{
	tree_view_close(&f->view);
	tree_close(&f->tree);
}

static inline int try_open(struct fixture *f, char *error, size_t size)
{
	struct tree *tree;
	struct tree_options options = {
		.path = f->path, .map_bytes = (uint64_t)4 << 30, .shards_if_new = 3, .now_ms = 1
	};
	int rc = tree_open(&tree, &options, error, size);
	if (rc == 0)
		tree_close(&tree);
	return rc;
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	const char *root = getenv("TMPDIR");
	snprintf(f->directory, sizeof f->directory, "%.40s/holdfast-XXXXXX", root ? root : "/tmp");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof f->path, "%s/data", f->directory);
	random_seed(&f->random, 77);
	arena_init(&f->arena, 1 << 16);
	f->shard = 1;
	f->now_ms = 1700000000000;
	f->overlay = overlay_new();
	open_tree(f);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	close_tree(f);
	overlay_free(&f->overlay);
	arena_fini(&f->arena);
	unlink(f->path);
	char lock[112];
	snprintf(lock, sizeof lock, "%s-lock", f->path);
	unlink(lock);
	rmdir(f->directory);
	for (size_t i = 0; i < f->model_count; i++)
		memory_free((void *)(uintptr_t)f->model[i].key.data);
	memory_free(f->model);
	free(f);
	return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static inline void fill(char *out, size_t size, uint64_t seed)
{
	struct random random;
	random_seed(&random, seed);
	for (size_t at = 0; at < size; at += 8) {
		uint64_t word = random_next(&random);
		memcpy(out + at, &word, size - at < 8 ? size - at : 8);
	}
}

static inline void put(
	struct fixture *f, struct slice key, int64_t expire_ms, size_t size, uint64_t seed)
{
	char *data = memory_alloc(size);
	fill(data, size, seed);
	struct effect effect = { .kind = EFFECT_PUT,
		.type = VALUE_STRING,
		.shard = f->shard,
		.expire_ms = expire_ms,
		.key = key,
		.value = slice_of(data, size) };
	overlay_apply(f->overlay, &effect, ++f->lsn);
	memory_free(data);
}

static inline void delete (struct fixture *f, struct slice key)
{
	struct effect effect = { .kind = EFFECT_DELETE, .shard = f->shard, .key = key };
	overlay_apply(f->overlay, &effect, ++f->lsn);
}

static inline void start_generation(struct fixture *f, uint8_t db)
{
	struct key key;
	key_of_namespace(&key, db);
	char number[8] = { 0 };
	uint32_t generation = htole32(++f->generation[db]);
	memcpy(number, &generation, sizeof generation);
	struct effect effect = { .kind = EFFECT_PUT,
		.type = VALUE_NUMBER,
		.shard = f->shard,
		.key = key_slice(&key),
		.value = slice_of(number, sizeof number) };
	overlay_apply(f->overlay, &effect, ++f->lsn);
}

static inline int checkpoint(struct fixture *f)
{
	struct tree_checkpoint *checkpoint;
	int rc = tree_checkpoint_begin(f->tree, &checkpoint);
	assert_int_equal(rc, 0);
	rc = tree_checkpoint_shard(checkpoint, f->shard, f->overlay, f->lsn, f->now_ms);
	assert_int_equal(rc, 0);
	rc = tree_checkpoint_commit(&checkpoint);
	assert_null(checkpoint);
	return rc;
}

static inline void settle(struct fixture *f)
{
	assert_int_equal(checkpoint(f), 0);
	overlay_free(&f->overlay);
	f->overlay = overlay_new();
	tree_view_renew(f->view);
}

static inline void string_key(struct key *key, struct fixture *f, uint8_t db, int number)
{
	char name[32];
	int size = snprintf(name, sizeof name, "key-%d", number);
	key_of_string(
		key, &tree_fixture_secret, db, f->generation[db], slice_of(name, (size_t)size));
}

/* --- reading ---------------------------------------------------------------------------------- */

static inline void check_value(
	struct fixture *f, const struct value *value, int64_t expire_ms, size_t size, uint64_t seed)
{
	assert_int_equal(value->type, VALUE_STRING);
	assert_int_equal(value->expire_ms, expire_ms);
	assert_int_equal(value->data.size, size);
	char *data = memory_alloc(size);
	fill(data, size, seed);
	assert_true(size == 0 || memcmp(value->data.data, data, size) == 0);
	memory_free(data);
	arena_reset(&f->arena);
}

static inline void check_stands(
	struct fixture *f, struct slice key, int64_t expire_ms, size_t size, uint64_t seed)
{
	struct value value;
	assert_true(tree_get(f->view, key, &f->arena, &value));
	check_value(f, &value, expire_ms, size, seed);
}

static inline bool stands(struct fixture *f, struct slice key)
{
	struct value value;
	return tree_get(f->view, key, NULL, &value);
}

static inline size_t count_due(struct fixture *f, int64_t now_ms)
{
	struct tree_due_walk *walk = memory_zeroed(sizeof *walk);
	struct slice key;
	size_t count = 0;
	while (tree_next_due(f->view, now_ms, walk, &f->arena, &key))
		count++;
	memory_free(walk);
	arena_reset(&f->arena);
	return count;
}

static inline void check_count(struct fixture *f, uint8_t db, uint64_t keys, uint64_t expiring)
{
	uint64_t found_keys, found_expiring;
	tree_count(f->view, db, &found_keys, &found_expiring);
	assert_int_equal(found_keys, keys);
	assert_int_equal(found_expiring, expiring);
}

#endif
