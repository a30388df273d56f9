/*
 * store_model: what a store should say, kept as a plain list of keys, beside a real store over a
 * real tree in a directory of its own. Used by test_store.c and test_cursor.c, one world each.
 */
#ifndef TEST_UNIT_STORE_STORE_MODEL_H
#define TEST_UNIT_STORE_STORE_MODEL_H

#include "base/memory.h"
#include "base/random.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define WORLD_SHARD  1
#define WORLD_DBS    3
#define WORLD_NAMES  40
#define WORLD_KEYS   4000
#define WORLD_BYTES  150000 /* some values are stored in chunks */
#define WORLD_NOW_MS 1000000

enum handed_out { HANDED_OUT_NO, HANDED_OUT_YES, HANDED_OUT_MAYBE_AGAIN };

/* Any would do: the tree only keeps it. */
static const struct hash_secret store_model_secret = { 1, 2 };

struct model_key {
	struct key key;
	uint8_t db;
	uint32_t generation;
	bool present;
	int64_t expire_ms;
	uint64_t lsn;
	enum handed_out handed_out; /* by store_due since the last write */
	size_t offset, size;        /* of the value, in the world's bytes */
};

struct world {
	char directory[64];
	char path[80];
	struct tree *tree;
	struct store *store;
	struct arena arena;
	struct random random;
	char *bytes;
	uint64_t lsn;
	uint64_t settled_lsn; /* all up to it is in the tree and the view shows it */
	int64_t now_ms;
	uint32_t generations[WORLD_DBS];
	uint64_t generation_lsns[WORLD_DBS];
	struct model_key *keys;
	size_t key_count;
};

static inline void world_open(struct world *world)
{
	char error[200] = "";
	struct tree_options options = {
		.path = world->path,
		.map_bytes = (uint64_t)1 << 30,
		.shards_if_new = 4,
		.now_ms = world->now_ms,
	};
	if (tree_open(&world->tree, &options, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_int_equal(store_open(&world->store, world->tree, WORLD_SHARD), 0);
}

static inline struct world *world_new(uint64_t seed)
{
	struct world *world = memory_zeroed(sizeof(*world));
	const char *temporary = getenv("TMPDIR");
	snprintf(world->directory, sizeof(world->directory), "%s/holdfast-store-XXXXXX",
		temporary && strlen(temporary) < 30 ? temporary : "/tmp");
	assert_non_null(mkdtemp(world->directory));
	snprintf(world->path, sizeof(world->path), "%s/data", world->directory);
	random_seed(&world->random, seed);
	arena_init(&world->arena, 65536);
	world->now_ms = WORLD_NOW_MS;
	world->keys = memory_alloc(WORLD_KEYS * sizeof(*world->keys));
	world->bytes = memory_alloc(WORLD_BYTES);
	for (size_t i = 0; i < WORLD_BYTES; i++)
		world->bytes[i] = (char)random_next(&world->random);
	world_open(world);
	return world;
}

static inline void world_free(struct world *world)
{
	store_close(&world->store);
	tree_close(&world->tree);
	arena_fini(&world->arena);
	char path[100];
	snprintf(path, sizeof(path), "%s-lock", world->path);
	unlink(path);
	unlink(world->path);
	assert_int_equal(rmdir(world->directory), 0);
	memory_free(world->bytes);
	memory_free(world->keys);
	memory_free(world);
}

static inline uint64_t world_below(struct world *world, uint64_t bound)
{
	return random_below(&world->random, bound);
}

/* The key of that number in the database's current generation; made when it is new. */
static inline struct model_key *world_key(struct world *world, uint8_t db, unsigned number)
{
	char name[80];
	int size = snprintf(name, sizeof(name), "name-%u", number);
	if (number % 7 == 0)
		size += snprintf(name + size, sizeof(name) - (size_t)size, "-%060u", number);
	struct key key;
	key_of_string(&key, &store_model_secret, db, world->generations[db],
		slice_of(name, (size_t)size));
	for (size_t i = 0; i < world->key_count; i++)
		if (slice_equal(key_slice(&world->keys[i].key), key_slice(&key)))
			return &world->keys[i];
	assert_true(world->key_count < WORLD_KEYS);
	struct model_key *made = &world->keys[world->key_count++];
	*made = (struct model_key){ .key = key, .db = db, .generation = world->generations[db] };
	return made;
}

static inline struct model_key *world_some_key(struct world *world)
{
	uint8_t db = (uint8_t)world_below(world, WORLD_DBS);
	return world_key(world, db, (unsigned)world_below(world, WORLD_NAMES));
}

static inline void world_put(
	struct world *world, struct model_key *key, size_t size, int64_t expire_ms)
{
	key->present = true;
	key->size = size;
	key->offset = world_below(world, WORLD_BYTES - size + 1);
	key->expire_ms = expire_ms;
	key->lsn = ++world->lsn;
	key->handed_out = HANDED_OUT_NO;
	struct effect effect = {
		.kind = EFFECT_PUT,
		.type = VALUE_STRING,
		.shard = WORLD_SHARD,
		.expire_ms = expire_ms,
		.key = key_slice(&key->key),
		.value = slice_of(world->bytes + key->offset, size),
	};
	store_apply(world->store, &effect, key->lsn);
}

static inline void world_delete(struct world *world, struct model_key *key)
{
	key->present = false;
	key->size = 0;
	key->expire_ms = 0;
	key->lsn = ++world->lsn;
	struct effect effect = {
		.kind = EFFECT_DELETE, .shard = WORLD_SHARD, .key = key_slice(&key->key)
	};
	store_apply(world->store, &effect, key->lsn);
}

/* Empties a database as FLUSHDB does. */
static inline void world_flush(struct world *world, uint8_t db)
{
	world->generations[db]++;
	world->generation_lsns[db] = ++world->lsn;
	struct key key;
	key_of_namespace(&key, db);
	char number[8] = { (char)world->generations[db], (char)(world->generations[db] >> 8) };
	struct effect effect = {
		.kind = EFFECT_PUT,
		.type = VALUE_NUMBER,
		.shard = WORLD_SHARD,
		.key = key_slice(&key),
		.value = slice_of(number, sizeof(number)),
	};
	store_apply(world->store, &effect, world->lsn);
}

static inline bool world_is_frozen(const struct world *world)
{
	uint64_t lsn;
	return store_frozen(world->store, &lsn) != NULL;
}

/* Writes the frozen overlay into the tree; the store's view does not show it yet. */
static inline void world_commit(struct world *world)
{
	uint64_t lsn = 0;
	const struct overlay *frozen = store_frozen(world->store, &lsn);
	struct tree_checkpoint *checkpoint;
	assert_int_equal(tree_checkpoint_begin(world->tree, &checkpoint), 0);
	assert_int_equal(
		tree_checkpoint_shard(checkpoint, WORLD_SHARD, frozen, lsn, world->now_ms), 0);
	assert_int_equal(tree_checkpoint_commit(&checkpoint), 0);
}

static inline void world_thaw(struct world *world)
{
	store_frozen(world->store, &world->settled_lsn);
	struct overlay *frozen = store_thaw(world->store);
	overlay_free(&frozen);
	for (size_t i = 0; i < world->key_count; i++)
		if (world->keys[i].handed_out == HANDED_OUT_YES)
			world->keys[i].handed_out = HANDED_OUT_MAYBE_AGAIN;
}

static inline void world_checkpoint(struct world *world)
{
	store_freeze(world->store, world->lsn);
	world_commit(world);
	world_thaw(world);
}

static inline void world_write_something(struct world *world)
{
	struct model_key *key = world_some_key(world);
	if (world_below(world, 4) == 0) {
		world_delete(world, key);
		return;
	}
	uint64_t bound = world_below(world, 60) ? 200 : WORLD_BYTES;
	int64_t expire_ms = 0;
	if (world_below(world, 2))
		expire_ms = world->now_ms + 1 + (int64_t)world_below(world, 500);
	world_put(world, key, world_below(world, bound), expire_ms);
}

static inline void world_check_value(
	const struct world *world, const struct model_key *key, const struct value *value)
{
	assert_int_equal(value->type, VALUE_STRING);
	assert_true(value->expire_ms == key->expire_ms);
	assert_int_equal(value->data.size, key->size);
	assert_true(slice_equal(value->data, slice_of(world->bytes + key->offset, key->size)));
}

#endif
