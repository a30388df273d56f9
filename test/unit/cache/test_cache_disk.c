/*
 * What the cache keeps in the store: entries, their line and their sums agree after every step, the
 * bound holds, who was not used for longest leaves first, a write does a bounded amount of work,
 * what falls due goes with all that belongs to it.
 */
#include "cache/commands.h"
#include "cache_fixture.h"

#define STEPS       6000
#define STEPS_LONG  400000
#define ENTRY_BYTES 200 /* of all in the tests of the bound */

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

static bool is_stored(struct world *world, const char *key)
{
	struct arena arena;
	struct cache_record record;
	int64_t expire_ms;
	struct slice name = slice_text(key);
	arena_init(&arena, 1024);
	bool stored = stored_record(
		world, hash_shard_of(hash_slot(name), SHARDS), name, &arena, &record, &expire_ms);
	arena_fini(&arena);
	return stored;
}

/* Keys of one shard and one length, and values that make entries ENTRY_BYTES. */
static const char *key_of(struct world *world, int number)
{
	static char keys[8][ENGINE_RIG_KEY_BYTES];
	static int next;
	char *out = keys[next++ % 8];
	for (int i = 0;; i++) {
		snprintf(out, ENGINE_RIG_KEY_BYTES, "k%06d.%03d", number, i);
		if (hash_shard_of(hash_slot(slice_text(out)), SHARDS) == 0)
			return out;
	}
}

static void put(struct world *world, int number)
{
	char value[ENTRY_BYTES] = "";
	const char *key = key_of(world, number);
	memset(value, 'v', ENTRY_BYTES - CACHE_FORMAT_HEADER_BYTES - strlen(key));
	assert_string_equal(ask(world, "cache.set %s %s", key, value), "+OK\r\n");
}

/* The part of one shard. */
static void bound_to(struct world *world, int entries)
{
	world->rig.config.cache_disk_bytes = (int64_t)SHARDS * ENTRY_BYTES * entries;
}

static void use(struct world *world, int number)
{
	assert_string_equal(swr(world, "%s WAIT 0", key_of(world, number)).state, "fresh");
}

/* --- the bound -------------------------------------------------------------------------------- */

static void what_nobody_uses_leaves_in_the_order_of_coming(void **state)
{
	struct world *world = *state;
	for (int tier = 0; tier < 2; tier++) {
		int base = 1000 * tier;
		world->rig.config.cache_memory_bytes = tier ? MEMORY_NONE : MEMORY_FULL;
		bound_to(world, 20);
		for (int i = 0; i < 60; i++) {
			put(world, base + i);
			assert_true(is_stored(world, key_of(world, base + i)));
			if (i >= 20) {
				assert_false(is_stored(world, key_of(world, base + i - 20)));
				assert_true(is_stored(world, key_of(world, base + i - 19)));
			}
			audit(world);
		}
	}
}

static void what_is_used_stays(void **state)
{
	struct world *world = *state;
	bound_to(world, 20);
	for (int i = 0; i < 20; i++)
		put(world, i);
	for (int round = 0; round < 30; round++) {
		for (int i = 0; i < 20; i += 5)
			use(world, i);
		for (int i = 0; i < 4; i++)
			put(world, 100 + 4 * round + i);
		for (int i = 0; i < 20; i += 5)
			assert_true(is_stored(world, key_of(world, i)));
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(is_stored(world, key_of(world, i)), i % 5 == 0);
	for (int i = 0; i < 20; i++)
		put(world, 1000 + i); /* nobody uses them any more */
	for (int i = 0; i < 20; i++)
		put(world, 2000 + i);
	for (int i = 0; i < 20; i += 5)
		assert_false(is_stored(world, key_of(world, i)));
}

static void a_use_counts_from_the_first_after_a_restart(void **state)
{
	struct world *world = *state;
	bound_to(world, 20);
	for (int i = 0; i < 20; i++)
		put(world, i);
	restart(world, false);
	use(world, 0);
	put(world, 100);
	assert_true(is_stored(world, key_of(world, 0)));
	assert_false(is_stored(world, key_of(world, 1)));
}

static void setting_an_entry_again_is_a_use(void **state)
{
	struct world *world = *state;
	bound_to(world, 20);
	for (int i = 0; i < 20; i++)
		put(world, i);
	put(world, 0);
	put(world, 100);
	assert_true(is_stored(world, key_of(world, 0)));
	assert_false(is_stored(world, key_of(world, 1)));
	audit(world);
}

/* However much is used: something has to leave. */
static void the_bound_holds_when_everything_is_used(void **state)
{
	struct world *world = *state;
	bound_to(world, 50);
	for (int i = 0; i < 50; i++)
		put(world, i);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++)
			swr(world, "%s WAIT 0 LEASE 1", key_of(world, i));
		put(world, 100 + round);
		struct audit found;
		assert_true(audit_shard(world, 0, &found) <= 50);
		assert_true(found.bytes <= (uint64_t)50 * ENTRY_BYTES);
		pass(world, 1);
	}
}

static uint32_t changes_seen;

static void counting_set(struct turn *turn)
{
	cache_set_command(turn);
	changes_seen = turn->changes.count;
}

static const struct command count_set = {
	.name = "set and count",
	.arity = -3,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE,
	.key_first = 1,
	.key_last = 1,
	.key_step = 1,
	.run = counting_set,
};

/* Sixteen entries a write at the most: 5 changes each, and 4 of the write's own. */
static void a_lowered_bound_is_reached_in_steps(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 300; i++)
		put(world, i);
	for (int i = 0; i < 300; i += 2)
		use(world, i);
	bound_to(world, 20);
	uint64_t before = 300;
	int writes = 0;
	for (; before > 20; writes++) {
		assert_true(writes < 200);
		char value[ENTRY_BYTES] = "";
		const char *key = key_of(world, 1000 + writes);
		memset(value, 'v', ENTRY_BYTES - CACHE_FORMAT_HEADER_BYTES - strlen(key));
		engine_rig_send_command(&world->rig, 0, &count_set, "cache.set", key, value, NULL);
		engine_rig_deliver(&world->rig);
		assert_in_range(changes_seen, 1, 16 * 3 + 4);
		uint64_t now = audit_shard(world, 0, NULL);
		assert_true(now <= before && before - now <= 16);
		before = now;
	}
	assert_in_range(writes, 18, 60);
}

static void an_entry_beyond_the_whole_part_is_not_kept(void **state)
{
	struct world *world = *state;
	char value[2000] = "";
	memset(value, 'v', sizeof(value) - 1);
	bound_to(world, 4);
	for (int i = 0; i < 4; i++)
		put(world, i);
	ask(world, "cache.set %s %s", key_of(world, 9), value);
	assert_int_equal(audit_shard(world, 0, NULL), 4);
}

/* --- expiry ----------------------------------------------------------------------------------- */

static void what_falls_due_goes_with_its_place_and_sums(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 500; i++)
		ask(world, "cache.set group%d:%d v TTL %d STALE %d", i % 7, i, 1 + i % 3, 4);
	for (int i = 0; i < 100; i++)
		ask(world, "cache.set group%d:%d v TTL 9", i % 7, i); /* longer than at first */
	ask(world, "cache.set lasting v");
	if (world->rig.now_ms % 2 == 0)
		engine_rig_checkpoint(&world->rig);
	pass(world, 3999);
	expire(world);
	assert_int_equal(audit(world), 501);
	pass(world, 1);
	for (int i = 0; i < 10; i++)
		expire(world);
	assert_int_equal(audit(world), 101);
	pass(world, 5000);
	for (int i = 0; i < 10; i++)
		expire(world);
	struct audit found;
	assert_int_equal(audit(world), 1);
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		audit_shard(world, shard, &found);
		assert_int_equal(found.places, found.entries);
	}
}

/* --- groups ----------------------------------------------------------------------------------- */

static void groups_beyond_the_limit_count_in_all_only(void **state)
{
	struct world *world = *state;
	struct audit found;
	int made = 0;
	for (int i = 0; made < LIMIT_CACHE_GROUPS + 50; i++) {
		char key[32];
		snprintf(key, sizeof(key), "g%d:x", i);
		if (hash_shard_of(hash_slot(slice_text(key)), SHARDS) != 0)
			continue;
		made++;
		ask(world, "cache.set %s v", key);
	}
	audit_shard(world, 0, &found);
	assert_int_equal(found.entries, made);
	assert_int_equal(found.group_records, LIMIT_CACHE_GROUPS);
	restart(world, false);
	int64_t in_all = stat_of(world, "entries");
	assert_int_equal(in_all, made);
	for (int i = 0; i < 3000; i++)
		ask(world, "cache.del g%d:x", i);
	audit_shard(world, 0, &found);
	assert_int_equal(found.entries, 0);
}

/* Tenants come and go: what has no entry any more takes no place. */
static void a_group_without_entries_leaves_room_for_another(void **state)
{
	struct world *world = *state;
	struct audit found;
	for (int i = 0; i < 3 * LIMIT_CACHE_GROUPS; i++) {
		ask(world, "cache.set g%d:x v TTL 5", i);
		ask(world, "cache.set g%d:x w TTL 5", i);
		if (i % 3 == 0)
			ask(world, "cache.invalidate key g%d:x", i);
		else if (i % 3 == 1)
			ask(world, "cache.del g%d:x", i);
		else
			pass(world, 5000);
		if (i % 64 == 0) {
			for (int turn = 0; turn < 4; turn++)
				expire(world);
		}
	}
	ask(world, "cache.set last:x v");
	audit_shard(world, hash_shard_of(hash_slot(slice_text("last:x")), SHARDS), &found);
	bool seen = false;
	for (size_t i = 0; i < found.group_count; i++)
		seen |= strcmp(found.groups[i].name, "last:") == 0;
	assert_true(seen);
}

/* --- everything at random --------------------------------------------------------------------- */

static struct random dice;

static uint64_t below(uint64_t bound)
{
	return random_below(&dice, bound);
}

static void random_write(struct world *world)
{
	char value[256] = "", tags[32] = "";
	uint64_t key = below(60);
	memset(value, 'v', 1 + below(200));
	if (below(3) == 0)
		snprintf(tags, sizeof(tags), " TAGS 1 t%d", (int)below(3));
	if (below(4) == 0)
		ask(world, "cache.set g%d:%d %s%s", (int)(key % 5), (int)key, value, tags);
	else
		ask(world, "cache.set g%d:%d %s TTL %d STALE %d%s", (int)(key % 5), (int)key, value,
			(int)below(3), 2 + (int)below(9), tags);
}

static void random_lease(struct world *world)
{
	uint64_t key = below(60);
	struct answer answer = swr(world, "g%d:%d WAIT 0 LEASE 5%s", (int)(key % 5), (int)key,
		below(4) ? "" : " EARLY 5");
	if (answer.token[0] == '\0')
		return;
	pass(world, (int64_t)below(5));
	uint64_t choice = below(4);
	const char *format = choice == 0 ? "cache.absent g%d:%d %s TTL 1"
		: choice == 1            ? "cache.fail g%d:%d %s RETRY 10"
		: choice == 2            ? "cache.fill g%d:%d %s filled TTL 0"
					 : "cache.fill g%d:%d %s filled TTL 1 STALE 3";
	char command[256];
	snprintf(command, sizeof(command), format, (int)(key % 5), (int)key, answer.token);
	assert_string_equal(ask(world, "%s", command), "+OK\r\n");
}

static void random_invalidation(struct world *world)
{
	static const char *const soft[] = { "", " soft" };
	const char *how = soft[below(2)];
	uint64_t key = below(60), choice = below(3);
	if (choice == 0)
		ask(world, "cache.invalidate tag t%d%s", (int)below(3), how);
	else if (choice == 1)
		ask(world, "cache.invalidate prefix g%d:%s", (int)below(5), how);
	else
		ask(world, "cache.invalidate key g%d:%d%s", (int)(key % 5), (int)key, how);
}

static void random_change_of_all(struct world *world)
{
	uint64_t choice = below(8);
	if (choice == 0)
		restart(world, below(2));
	else if (choice == 1)
		engine_rig_checkpoint(&world->rig);
	else if (choice == 2)
		world->rig.config.cache_disk_bytes = (int64_t)(2000 + below(20000));
	else if (choice == 3)
		world->rig.config.cache_memory_bytes = (int64_t)(below(3) * 20000);
	else if (choice == 4)
		pass(world, (int64_t)below(9000));
	else
		engine_rig_settle(&world->rig);
}

/* Tickets are kept until the rig ends, so there are several. */
static void run_random(uint64_t seed, int steps)
{
	struct world *world = world_new(1 + (uint16_t)(seed % 2), seed);
	random_seed(&dice, seed);
	world->rig.config.cache_disk_bytes = 20000;
	for (int step = 0; step < steps; step++) {
		uint64_t choice = below(100);
		if (choice < 45)
			random_write(world);
		else if (choice < 65)
			random_lease(world);
		else if (choice < 72)
			random_invalidation(world);
		else if (choice < 78)
			ask(world, "cache.del g%d:%d g%d:%d", (int)below(5), (int)below(60),
				(int)below(5), (int)below(60));
		else if (choice < 90)
			pass(world, (int64_t)below(400));
		else if (choice < 97)
			expire(world);
		else
			random_change_of_all(world);
		audit(world);
	}
	world_free(world);
}

/* --- large entries ---------------------------------------------------------------------------- */

#define LARGE_BYTES 65500 /* its entry is more than the tree keeps in one piece */

static size_t bytes_read;

static void run_and_count(struct turn *turn)
{
	slice_is(turn_argument(turn, 0), "cache.del") ? cache_del_command(turn)
						      : cache_set_command(turn);
	bytes_read = turn->bytes_read;
}

static void who_deletes_or_replaces_a_large_entry_does_not_read_it(void **state)
{
	static const struct command command = { .name = "counted",
		.arity = -2,
		.route = ROUTE_KEYS,
		.flags = COMMAND_WRITE,
		.key_first = 1,
		.key_last = 1,
		.key_step = 1,
		.run = run_and_count };
	static char value[LARGE_BYTES + 1];
	struct world *world = *state;
	world->rig.config.cache_memory_bytes = MEMORY_NONE;
	memset(value, 'v', LARGE_BYTES);
	const char *words[] = { "cache.set", "cache.del" };
	for (int i = 0; i < 2; i++) {
		engine_rig_run(&world->rig, 0, "cache.set", "k", value, NULL);
		engine_rig_settle(&world->rig);
		engine_rig_checkpoint(&world->rig);
		struct engine_ticket *ticket = engine_rig_send_command(
			&world->rig, 0, &command, words[i], "k", i ? NULL : "short", NULL);
		engine_rig_settle(&world->rig);
		assert_string_equal(ticket->reply, i ? ":1\r\n" : "+OK\r\n");
		assert_true(bytes_read < LARGE_BYTES);
		audit(world);
	}
	assert_false(is_stored(world, "k"));
}

static void sums_and_line_agree_with_the_entries_after_every_step(void **state)
{
	const char *seed = getenv("HOLDFAST_SEED");
	int steps = getenv("HOLDFAST_LONG") ? STEPS_LONG : STEPS;
	if (seed)
		run_random(strtoull(seed, NULL, 10), 2000);
	else
		for (int i = 0; i < steps / 2000; i++)
			run_random((uint64_t)i + 1, 2000);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(what_nobody_uses_leaves_in_the_order_of_coming),
		WITH(what_is_used_stays),
		WITH(a_use_counts_from_the_first_after_a_restart),
		WITH(setting_an_entry_again_is_a_use),
		WITH(the_bound_holds_when_everything_is_used),
		WITH(a_lowered_bound_is_reached_in_steps),
		WITH(an_entry_beyond_the_whole_part_is_not_kept),
		WITH(what_falls_due_goes_with_its_place_and_sums),
		WITH(groups_beyond_the_limit_count_in_all_only),
		WITH(a_group_without_entries_leaves_room_for_another),
		WITH(who_deletes_or_replaces_a_large_entry_does_not_read_it),
		cmocka_unit_test(sums_and_line_agree_with_the_entries_after_every_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
