/*
 * Damaged bytes of the cache: whoever reads them names them and ends the process.
 */
#include "cache/commands.h"
#include "cache_fixture.h"
#include "support/damage.h"

/* A command's words, or what else is done. */
struct attempt {
	struct world *world;
	const char *text;
	void (*run)(struct world *world);
};

static void answer(void *context)
{
	const struct attempt *attempt = context;
	if (attempt->run)
		attempt->run(attempt->world);
	else
		ask(attempt->world, "%s", attempt->text);
}

static void faults(struct world *world, const char *words, const char *text)
{
	assert_fault(answer, &(struct attempt){ .world = world, .text = text }, words);
}

static void faults_in(struct world *world, const char *words, void (*run)(struct world *world))
{
	assert_fault(answer, &(struct attempt){ .world = world, .run = run }, words);
}

static int set_up(void **state)
{
	*state = world_new(1, 1);
	return 0;
}

static int tear_down(void **state)
{
	world_free(*state);
	return 0;
}

/* A key of the first shard, which has the invalidations too. */
static const char *key_of(int first, char out[ENGINE_RIG_KEY_BYTES])
{
	for (int i = first;; i++) {
		snprintf(out, ENGINE_RIG_KEY_BYTES, "group:%d", i);
		if (hash_shard_of(hash_slot(slice_text(out)), SHARDS) == 0)
			return out;
	}
}

static void put(struct world *world, struct slice key, int64_t expire_ms, struct slice bytes)
{
	damage_put(world->rig.engine->stores[0], 0, key, VALUE_BYTES, expire_ms, bytes);
}

/* From the tree, because the log knows nothing of it. */
static void start_again(struct world *world)
{
	engine_rig_checkpoint(&world->rig);
	restart(world, false);
}

static void an_entry(void **state)
{
	struct world *world = *state;
	const char *words = "an entry of the cache is damaged: shard 0, table 12, key of";
	char name[ENGINE_RIG_KEY_BYTES], text[64];
	struct key key;
	key_of_cache(&key, tree_secret(world->rig.engine->tree), slice_text(key_of(0, name)));
	put(world, key_slice(&key), INT64_MAX, slice_text("short"));
	snprintf(text, sizeof(text), "cache.get %s", name);
	faults(world, words, text);
	snprintf(text, sizeof(text), "cache.set %s v", name);
	faults(world, words, text);
	faults(world, words, "cache.scan 0");
}

static void the_key_of_an_entry(void **state)
{
	struct world *world = *state;
	put(world, slice_of("\x0chash!", 6), world->rig.now_ms + 1, slice_text("short"));
	world->rig.now_ms += 10;
	faults_in(world, "the key of an entry of the cache is damaged: shard 0, table 12", expire);
}

static void a_sum(void **state)
{
	struct world *world = *state;
	const char *words = "a sum of the cache is damaged: shard 0, table 15, key of 1 bytes";
	static const char zeros[CACHE_FORMAT_SUMS_BYTES];
	char name[ENGINE_RIG_KEY_BYTES], text[64];
	snprintf(text, sizeof(text), "cache.set %s v", key_of(0, name));
	assert_string_equal(ask(world, "%s", text), "+OK\r\n");
	/* Less than there is. */
	put(world, slice_of("\x0f", 1), 0, slice_of(zeros, sizeof(zeros)));
	faults(world, words, text);
	put(world, slice_of("\x0f", 1), 0, slice_text("short"));
	faults(world, words, text);
	faults(world, words, "cache.stats");
	faults_in(world, words, start_again);
}

static void the_key_of_a_sum(void **state)
{
	struct world *world = *state;
	char key[2 + LIMIT_CACHE_GROUP_BYTES];
	memset(key, 'g', sizeof(key));
	key[0] = TABLE_CACHE_SUMS;
	put(world, slice_of(key, sizeof(key)), 0, slice_text("short"));
	faults(world, "the key of a sum of the cache is damaged: shard 0, table 15", "cache.stats");
}

/* It is met when room is made. */
static void a_place_in_the_line(void **state)
{
	struct world *world = *state;
	const char *words = "a place in the line of the cache is damaged: shard 0, table 13";
	static const char no_key[8], first[9] = { TABLE_CACHE_LINE };
	char name[ENGINE_RIG_KEY_BYTES], text[64];
	/* Room for one entry. */
	world->rig.config.cache_disk_bytes = SHARDS * (CACHE_FORMAT_HEADER_BYTES + 20);
	snprintf(text, sizeof(text), "cache.set %s v", key_of(0, name));
	assert_string_equal(ask(world, "%s", text), "+OK\r\n");
	snprintf(text, sizeof(text), "cache.set %s v", key_of(1000, name));
	put(world, slice_of(first, sizeof(first)), 0, slice_of(no_key, sizeof(no_key)));
	faults(world, words, text);
	put(world, slice_of(first, 4), 0, slice_text("12345678key"));
	faults(world, words, text);
}

static void an_invalidation(void **state)
{
	struct world *world = *state;
	put(world, slice_of("\x0e\1tag", 5), 0, slice_text("short"));
	faults_in(world, "an invalidation of the cache is damaged: shard 0, table 14", start_again);
}

static void the_key_of_an_invalidation(void **state)
{
	struct world *world = *state;
	put(world, slice_of("\x0e\x77tag", 5), world->rig.now_ms + 1,
		slice_of("12345678"
			 "12345678",
			16));
	world->rig.now_ms += 10;
	faults_in(world, "the key of an invalidation of the cache is damaged: shard 0, table 14",
		expire);
	faults_in(world, "an invalidation of the cache is damaged: shard 0, table 14", start_again);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(an_entry),
		WITH(the_key_of_an_entry),
		WITH(a_sum),
		WITH(the_key_of_a_sum),
		WITH(a_place_in_the_line),
		WITH(an_invalidation),
		WITH(the_key_of_an_invalidation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
