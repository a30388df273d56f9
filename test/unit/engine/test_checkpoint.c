/*
 * The checkpoint step by step: its states, the write-ahead rule, what can be read and what a crash
 * leaves at each of them, full disks, what starts it, and the last one. Two workers, so that its
 * questions travel.
 */
#include "base/memory.h"
#include "engine/shard.h"
#include "support/engine_rig.h"
#include "support/sim_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 4

static int set_up(void **state)
{
	struct engine_rig *rig = memory_zeroed(sizeof(*rig));
	engine_rig_init(rig, SHARDS);
	*state = rig;
	return engine_rig_open(rig, 2, 2);
}

static int tear_down(void **state)
{
	engine_rig_fini(*state);
	memory_free(*state);
	return 0;
}

static bool step(struct engine_rig *rig)
{
	return checkpoint_step(rig->engine->checkpoint);
}

static struct checkpoint_stats stats_of(const struct engine_rig *rig)
{
	struct checkpoint_stats stats;
	checkpoint_stats(rig->engine->checkpoint, &stats);
	return stats;
}

/* Each shard's key holds `value`. */
static void write_everywhere(struct engine_rig *rig, const char *value)
{
	char key[ENGINE_RIG_KEY_BYTES];
	for (uint16_t i = 0; i < SHARDS; i++)
		assert_string_equal(
			rig_run(rig, 0, "SET", engine_rig_key(rig, i, 0, key), value), "+OK\r\n");
}

static void assert_everywhere(struct engine_rig *rig, const char *value)
{
	char key[ENGINE_RIG_KEY_BYTES], expected[64];
	snprintf(expected, sizeof(expected), "$%zu\r\n%s\r\n", strlen(value), value);
	for (uint16_t i = 0; i < SHARDS; i++)
		assert_string_equal(
			rig_run(rig, rig->port_count - 1, "GET", engine_rig_key(rig, i, 0, key)),
			expected);
}

/* From IDLE to the moment at which all is frozen and nothing durable yet. */
static void freeze(struct engine_rig *rig)
{
	checkpoint_request(rig->engine->checkpoint);
	assert_true(step(rig)); /* asks */
	assert_false(step(rig));
	engine_rig_deliver(rig);
	assert_true(step(rig)); /* all have answered */
}

/* Steps until it has tried to commit, which must be its next work; what the last step said. */
static bool commit(struct engine_rig *rig)
{
	uint32_t before = rig->commits;
	for (int i = 0; i < 5; i++) {
		bool done = step(rig);
		if (rig->commits > before)
			return done;
	}
	fail_msg("no transaction was begun");
	return false;
}

/* --- the way round ---------------------------------------------------------------------------- */

static void goes_from_idle_to_idle_one_state_a_step(void **state)
{
	struct engine_rig *rig = *state;
	struct checkpoint *checkpoint = rig->engine->checkpoint;
	write_everywhere(rig, "v");
	engine_rig_settle(rig);
	assert_true(checkpoint_is_idle(checkpoint));
	assert_false(step(rig));
	freeze(rig);
	assert_false(checkpoint_is_idle(checkpoint));
	assert_true(stats_of(rig).running);
	for (uint16_t i = 0; i < SHARDS; i++) {
		assert_true(store_frozen_bytes(rig->engine->stores[i]) > 0);
		assert_int_equal(
			overlay_count(store_frozen(rig->engine->stores[i], &(uint64_t){ 0 })), 1);
	}
	assert_int_equal(rig->commits, 0);
	assert_true(commit(rig)); /* asks for the thaw as well */
	assert_int_equal(rig->commits, 1);
	assert_false(step(rig));
	engine_rig_deliver(rig);
	assert_true(step(rig));
	assert_true(checkpoint_is_idle(checkpoint));
	for (uint16_t i = 0; i < SHARDS; i++) {
		assert_int_equal(store_frozen_bytes(rig->engine->stores[i]), 0);
		assert_int_equal(tree_lsn(rig->engine->tree, i), SHARDS);
	}
	assert_false(step(rig));
}

static void its_figures_tell_what_it_did(void **state)
{
	struct engine_rig *rig = *state;
	write_everywhere(rig, "a");
	write_everywhere(rig, "b");
	rig->now_ms += 500;
	freeze(rig);
	rig->now_ms += 30;
	engine_rig_checkpoint(rig);
	struct checkpoint_stats stats = stats_of(rig);
	assert_int_equal(stats.completed, 1);
	assert_int_equal(stats.failed, 0);
	assert_int_equal(stats.last_keys, SHARDS);
	assert_int_equal(stats.last_duration_ms, 30);
	assert_int_equal(stats.last_finished_ms, rig->now_ms);
	assert_int_equal(stats.tree_lsn, 2 * SHARDS);
	assert_false(stats.running);
}

static void commits_nothing_before_the_log_is_durable(void **state)
{
	struct engine_rig *rig = *state;
	write_everywhere(rig, "v");
	freeze(rig);
	for (int i = 0; i < 20; i++) {
		assert_false(step(rig));
		engine_rig_deliver(rig);
	}
	assert_int_equal(rig->commits, 0);
	assert_int_equal(gate_durable(rig->engine->gate), 0);
	gate_step(rig->engine->gate);
	assert_true(commit(rig));
}

static void waits_for_the_record_of_the_shard_that_froze_last(void **state)
{
	struct engine_rig *rig = *state;
	char key[ENGINE_RIG_KEY_BYTES];
	write_everywhere(rig, "v");
	engine_rig_settle(rig);
	checkpoint_request(rig->engine->checkpoint);
	step(rig);
	engine_deliver(rig->engine, 0); /* shards 0 and 2 are frozen at LSN 4 */
	rig_run(rig, 1, "SET", engine_rig_key(rig, 1, 0, key), "late");
	assert_true(step(rig)); /* all have answered; 1 froze before or after its write */
	uint64_t frozen_lsn = 0;
	store_frozen(rig->engine->stores[1], &frozen_lsn);
	if (frozen_lsn > gate_durable(rig->engine->gate)) {
		assert_false(step(rig));
		assert_int_equal(rig->commits, 0);
	}
	engine_rig_settle(rig);
	assert_true(commit(rig));
	engine_rig_checkpoint(rig);
	assert_string_equal(rig_run(rig, 0, "GET", key), "$4\r\nlate\r\n");
}

static void waits_for_a_shard_that_is_held(void **state)
{
	struct engine_rig *rig = *state;
	char zero[ENGINE_RIG_KEY_BYTES], one[ENGINE_RIG_KEY_BYTES];
	engine_rig_key(rig, 0, 0, zero);
	engine_rig_key(rig, 1, 0, one);
	struct engine_ticket *both = rig_send(rig, 0, "MSET", zero, "v", one, "v");
	checkpoint_request(rig->engine->checkpoint);
	step(rig);
	engine_deliver(rig->engine, 0);
	assert_false(both->done);
	step(rig);
	assert_false(step(rig));
	assert_int_equal(store_frozen_bytes(rig->engine->stores[0]), 0);
	engine_rig_checkpoint(rig);
	assert_true(both->done);
	assert_string_equal(rig_run(rig, 0, "MGET", zero, one), "*2\r\n$1\r\nv\r\n$1\r\nv\r\n");
}

static void a_second_wish_during_a_checkpoint_starts_another(void **state)
{
	struct engine_rig *rig = *state;
	write_everywhere(rig, "a");
	freeze(rig);
	write_everywhere(rig, "b");
	checkpoint_request(rig->engine->checkpoint);
	engine_rig_checkpoint(rig);
	assert_int_equal(stats_of(rig).completed, 2);
	assert_int_equal(stats_of(rig).tree_lsn, 2 * SHARDS);
	assert_everywhere(rig, "b");
}

/* --- what is read and written meanwhile ------------------------------------------------------- */

static void values_are_right_at_every_state(void **state)
{
	struct engine_rig *rig = *state;
	char key[ENGINE_RIG_KEY_BYTES];
	write_everywhere(rig, "in the tree");
	engine_rig_checkpoint(rig);
	assert_everywhere(rig, "in the tree");
	write_everywhere(rig, "frozen");
	rig_run(rig, 0, "SET", "deleted later", "v");
	engine_rig_key(rig, 2, 7, key);
	rig_run(rig, 0, "SET", key, "only frozen");
	freeze(rig);
	assert_everywhere(rig, "frozen");
	rig_run(rig, 0, "DEL", "deleted later");
	write_everywhere(rig, "written during it");
	assert_everywhere(rig, "written during it");
	engine_rig_settle(rig);
	assert_true(commit(rig)); /* and nothing is thawed */
	assert_everywhere(rig, "written during it");
	assert_string_equal(rig_run(rig, 0, "GET", key), "$11\r\nonly frozen\r\n");
	assert_string_equal(rig_run(rig, 0, "GET", "deleted later"), "$-1\r\n");
	assert_string_equal(rig_run(rig, 0, "DBSIZE"), ":5\r\n");
	engine_rig_deliver(rig);
	step(rig);
	assert_everywhere(rig, "written during it");
	assert_string_equal(rig_run(rig, 0, "GET", key), "$11\r\nonly frozen\r\n");
	assert_string_equal(rig_run(rig, 0, "GET", "deleted later"), "$-1\r\n");
	assert_string_equal(rig_run(rig, 0, "DBSIZE"), ":5\r\n");
}

static void a_read_waits_for_what_is_frozen_until_it_is_durable_and_for_nothing_after(void **state)
{
	struct engine_rig *rig = *state;
	char key[ENGINE_RIG_KEY_BYTES];
	engine_rig_key(rig, 0, 0, key);
	rig_run(rig, 0, "SET", key, "v");
	freeze(rig);
	struct engine_ticket *read = rig_send(rig, 0, "GET", key);
	assert_int_equal(read->gate_lsn, 1);
	assert_false(engine_rig_is_released(read));
	engine_rig_settle(rig);
	assert_true(engine_rig_is_released(read));
	engine_rig_checkpoint(rig);
	rig_run(rig, 0, "SET", "other", "v");
	assert_int_equal(rig_send(rig, 0, "GET", key)->gate_lsn, 0);
}

static void the_thaw_gives_the_memory_back(void **state)
{
	struct engine_rig *rig = *state;
	char key[32], value[1001];
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 300; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		rig_run(rig, 0, "SET", key, value);
	}
	uint64_t before = rig->engine->overlay_bytes;
	freeze(rig);
	assert_true(rig->engine->overlay_bytes >= before);
	engine_rig_checkpoint(rig);
	assert_true(rig->engine->overlay_bytes < before / 10);
}

static void the_log_is_recycled_afterwards(void **state)
{
	struct engine_rig *rig = *state;
	struct gate_stats before, after;
	char key[32], value[2001];
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 400; i++) {
		snprintf(key, sizeof(key), "k%d", i % 10);
		rig_run(rig, 0, "SET", key, value);
		engine_rig_settle(rig);
	}
	gate_stats(rig->engine->gate, &before);
	assert_true(before.log.segments > 5);
	engine_rig_checkpoint(rig);
	gate_keeper_step(rig->engine->gate);
	gate_stats(rig->engine->gate, &after);
	assert_int_equal(after.log.segments, 1);
	engine_rig_crash(rig);
	engine_rig_start(rig, 2, 2);
	assert_string_equal(rig_run(rig, 0, "STRLEN", "k3"), ":2000\r\n");
	assert_string_equal(rig_run(rig, 0, "DBSIZE"), ":10\r\n");
}

/* Shards of some megabytes each: the disk is not to get everything at once. */
static void fill_shards(struct engine_rig *rig, char mark)
{
	static char value[60001];
	char key[ENGINE_RIG_KEY_BYTES];
	memset(value, mark, sizeof(value) - 1);
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		for (uint32_t i = 0; i < 80; i++) {
			rig_run(rig, 0, "SET", engine_rig_key(rig, shard, i, key), value);
			if (i % 2)
				engine_rig_settle(rig);
		}
	}
}

static void assert_shards_filled(struct engine_rig *rig, char mark)
{
	char key[ENGINE_RIG_KEY_BYTES], expected[16];
	snprintf(expected, sizeof(expected), "$1\r\n%c\r\n", mark);
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		for (uint32_t i = 0; i < 80; i += 7) {
			engine_rig_key(rig, shard, i, key);
			assert_string_equal(rig_run(rig, 1, "STRLEN", key), ":60000\r\n");
			assert_string_equal(
				rig_run(rig, 1, "GETRANGE", key, "59999", "59999"), expected);
		}
	}
	assert_string_equal(rig_run(rig, 0, "DBSIZE"), ":320\r\n");
}

static void a_large_checkpoint_is_several_transactions_and_right_between_them(void **state)
{
	struct engine_rig *rig = *state;
	rig->config.overlay_bytes_max = 1 << 30;
	fill_shards(rig, 'a');
	engine_rig_checkpoint(rig);
	fill_shards(rig, 'b');
	freeze(rig);
	rig->commits = 0;
	for (int i = 0; rig->commits < 2 && i < 20; i++) {
		step(rig);
		engine_rig_deliver(rig);
	}
	assert_int_equal(rig->commits, 2);
	assert_true(tree_lsn(rig->engine->tree, 0) > tree_lsn(rig->engine->tree, SHARDS - 1));
	assert_shards_filled(rig, 'b');
	engine_rig_crash(rig);
	engine_rig_start(rig, 2, 2);
	assert_shards_filled(rig, 'b');
	engine_rig_checkpoint(rig);
	assert_shards_filled(rig, 'b');
}

static void a_transaction_begins_when_all_shards_look_at_the_one_before(void **state)
{
	struct engine_rig *rig = *state;
	rig->config.overlay_bytes_max = 1 << 30;
	fill_shards(rig, 'a');
	freeze(rig);
	rig->commits = 0;
	assert_true(commit(rig));
	for (int i = 0; i < 5; i++)
		step(rig);
	assert_int_equal(rig->commits, 1);
	engine_rig_deliver(rig);
	assert_true(commit(rig));
	assert_int_equal(rig->commits, 2);
}

/* Pages that one transaction frees serve the next but one. */
static void the_file_does_not_grow_by_each_checkpoint(void **state)
{
	struct engine_rig *rig = *state;
	rig->config.overlay_bytes_max = 1 << 30;
	uint64_t once = 0;
	for (int round = 0; round < 8; round++) {
		fill_shards(rig, (char)('a' + round));
		engine_rig_checkpoint(rig);
		if (round == 0)
			once = tree_bytes(rig->engine->tree);
	}
	assert_shards_filled(rig, 'h');
	/* Beside the data: what one transaction writes, and what the last two have freed. */
	assert_true(tree_bytes(rig->engine->tree) < once * 9 / 4);
}

static void a_disk_that_is_full_between_two_transactions_is_waited_for(void **state)
{
	struct engine_rig *rig = *state;
	rig->config.overlay_bytes_max = 1 << 30;
	fill_shards(rig, 'a');
	freeze(rig);
	assert_true(commit(rig));
	engine_rig_deliver(rig);
	rig->commit_error = -ENOSPC;
	commit(rig);
	assert_false(step(rig));
	assert_int_equal(engine_admission(rig->engine), GATE_FULL);
	assert_shards_filled(rig, 'a');
	rig->commit_error = 0;
	rig->now_ms += 1000;
	engine_rig_checkpoint(rig);
	assert_int_equal(stats_of(rig).completed, 1);
	assert_int_equal(stats_of(rig).last_keys, 320);
	assert_int_equal(engine_admission(rig->engine), GATE_OPEN);
	assert_shards_filled(rig, 'a');
}

/* --- crashes ---------------------------------------------------------------------------------- */

/* Steps as far as `steps` says, loses power there, and looks. */
static void crash_after(struct engine_rig *rig, int steps)
{
	char value[32];
	snprintf(value, sizeof(value), "life %d", steps);
	write_everywhere(rig, value);
	engine_rig_settle(rig);
	checkpoint_request(rig->engine->checkpoint);
	for (int i = 0; i < steps; i++) {
		if (i % 2)
			engine_rig_deliver(rig);
		else
			step(rig);
	}
	engine_rig_crash(rig);
	engine_rig_start(rig, 2, 2);
	assert_everywhere(rig, value);
	assert_string_equal(rig_run(rig, 0, "DBSIZE"), ":4\r\n");
}

static void a_crash_at_any_state_loses_nothing(void **state)
{
	for (int steps = 0; steps < 10; steps++)
		crash_after(*state, steps);
}

/* --- a full disk ------------------------------------------------------------------------------ */

static void a_commit_without_room_is_tried_again_and_writes_are_refused_meanwhile(void **state)
{
	struct engine_rig *rig = *state;
	write_everywhere(rig, "v");
	engine_rig_settle(rig);
	freeze(rig);
	rig->commit_error = -ENOSPC;
	assert_false(commit(rig));
	assert_int_equal(stats_of(rig).failed, 1);
	assert_int_equal(stats_of(rig).completed, 0);
	assert_int_equal(engine_admission(rig->engine), GATE_FULL);
	assert_everywhere(rig, "v"); /* reads go on */
	for (int i = 0; i < 10; i++) /* not at once: the disk has better to do */
		assert_false(step(rig));
	assert_int_equal(rig->commits, 1);
	rig->now_ms += 1000;
	assert_false(step(rig));
	assert_int_equal(rig->commits, 2);
	assert_int_equal(stats_of(rig).failed, 2);

	rig->commit_error = 0;
	rig->now_ms += 1000;
	assert_true(step(rig));
	assert_int_equal(rig->commits, 3);
	assert_int_equal(engine_admission(rig->engine), GATE_OPEN);
	engine_rig_checkpoint(rig);
	assert_everywhere(rig, "v");
	engine_rig_crash(rig);
	engine_rig_start(rig, 1, 1);
	assert_int_equal(rig->recovery.log.records, 0);
	assert_int_equal(tree_lsn(rig->engine->tree, 0), SHARDS);
}

static void a_crash_while_the_disk_is_full_loses_nothing(void **state)
{
	struct engine_rig *rig = *state;
	write_everywhere(rig, "v");
	engine_rig_settle(rig);
	freeze(rig);
	rig->commit_error = -ENOSPC;
	assert_false(commit(rig));
	engine_rig_crash(rig);
	engine_rig_start(rig, 2, 2);
	assert_everywhere(rig, "v");
}

/* --- what starts one -------------------------------------------------------------------------- */

static void age_starts_one_when_something_was_written(void **state)
{
	struct engine_rig *rig = *state;
	rig->config.checkpoint_interval_s = 60;
	rig->now_ms += 1000000;
	assert_false(step(rig)); /* nothing to do */
	write_everywhere(rig, "v");
	engine_rig_settle(rig);
	engine_rig_checkpoint(rig);
	write_everywhere(rig, "w");
	engine_rig_settle(rig);
	rig->now_ms += 59000;
	assert_false(step(rig));
	rig->now_ms += 1000;
	assert_true(step(rig));
	assert_true(stats_of(rig).running);
}

static void quiet_starts_one_after_a_minute(void **state)
{
	struct engine_rig *rig = *state;
	rig->config.checkpoint_interval_s = 600;
	engine_rig_checkpoint(rig);
	for (int second = 0; second < 120; second++) {
		write_everywhere(rig, "v");
		engine_rig_settle(rig);
		assert_false(step(rig));
		rig->now_ms += 1000;
	}
	rig->now_ms += 8000;
	assert_false(step(rig));
	rig->now_ms += 1000;
	assert_true(step(rig));
	assert_true(stats_of(rig).running);
}

static void what_is_written_now_and_then_waits_for_the_interval(void **state)
{
	struct engine_rig *rig = *state;
	rig->config.checkpoint_interval_s = 600;
	engine_rig_checkpoint(rig);
	for (int second = 0; second < 600; second += 5) {
		write_everywhere(rig, "v");
		engine_rig_settle(rig);
		assert_false(step(rig));
		rig->now_ms += 5000;
	}
	assert_true(step(rig));
	assert_true(stats_of(rig).running);
}

static void full_overlays_start_one(void **state)
{
	struct engine_rig *rig = *state;
	rig->config.overlay_bytes_max = 1 << 20;
	char key[32], value[1001];
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	int written = 0;
	while (rig->engine->overlay_bytes < (1 << 20) / 5) {
		snprintf(key, sizeof(key), "k%d", written++);
		rig_run(rig, 0, "SET", key, value);
		engine_rig_settle(rig);
	}
	assert_false(step(rig));
	while (rig->engine->overlay_bytes < (1 << 20) / 2) {
		snprintf(key, sizeof(key), "k%d", written++);
		rig_run(rig, 0, "SET", key, value);
		engine_rig_settle(rig);
	}
	assert_int_equal(engine_admission(rig->engine), GATE_OPEN); /* well before they are full */
	assert_true(step(rig));
}

static void a_long_log_starts_one(void **state)
{
	struct engine_rig *rig = *state;
	rig->config.checkpoint_log_bytes = 100000;
	int written = 0;
	while (!step(rig)) {
		assert_true(++written < 10000);
		rig_run(rig, 0, "INCR", "counter");
		engine_rig_settle(rig);
	}
	assert_in_range(written, 500, 3000);
	engine_rig_checkpoint(rig);
	rig_run(rig, 0, "INCR", "counter");
	engine_rig_settle(rig);
	assert_false(step(rig)); /* counted from the last one */
}

static void a_disk_without_room_for_more_log_starts_one(void **state)
{
	struct engine_rig *rig = *state;
	char value[60001] = "";
	memset(value, 'v', sizeof(value) - 1);
	sim_disk_set_capacity(rig->disk, 0);
	rig_run(rig, 0, "SET", "a", value);
	engine_rig_settle(rig);
	assert_int_equal(gate_keeper_step(rig->engine->gate), -ENOSPC);
	assert_false(step(rig)); /* it would give nothing back */
	rig_run(rig, 0, "SET", "b", value);
	rig_run(rig, 0, "SET", "c", value);
	engine_rig_settle(rig);
	assert_int_equal(gate_keeper_step(rig->engine->gate), -ENOSPC);
	assert_int_equal(engine_admission(rig->engine), GATE_FULL);
	assert_true(step(rig));
	engine_rig_checkpoint(rig);
	gate_keeper_step(rig->engine->gate);
	assert_int_equal(engine_admission(rig->engine), GATE_OPEN);
}

/* --- the last one ----------------------------------------------------------------------------- */

static void assert_settled_after_finish(struct engine_rig *rig, const char *value)
{
	checkpoint_finish(rig->engine->checkpoint);
	assert_true(checkpoint_is_idle(rig->engine->checkpoint));
	engine_rig_crash(rig);
	engine_rig_start(rig, 1, 1);
	assert_int_equal(rig->recovery.log.records, 0);
	assert_everywhere(rig, value);
}

static void the_last_one_leaves_nothing_to_replay(void **state)
{
	struct engine_rig *rig = *state;
	write_everywhere(rig, "v"); /* and not durable yet */
	assert_settled_after_finish(rig, "v");
}

static void the_last_one_goes_on_from_any_state(void **state)
{
	struct engine_rig *rig = *state;
	for (int steps = 0; steps < 8; steps++) {
		char value[32];
		snprintf(value, sizeof(value), "stop %d", steps);
		write_everywhere(rig, "before");
		engine_rig_settle(rig);
		checkpoint_request(rig->engine->checkpoint);
		for (int i = 0; i < steps; i++) {
			if (i % 2)
				engine_rig_deliver(rig);
			else
				step(rig);
		}
		write_everywhere(rig, value);
		assert_settled_after_finish(rig, value);
		engine_rig_close(rig);
		engine_rig_start(rig, 2, 2);
	}
}

static void the_last_one_gives_up_when_the_disk_is_full(void **state)
{
	struct engine_rig *rig = *state;
	write_everywhere(rig, "v");
	engine_rig_settle(rig);
	rig->commit_error = -ENOSPC;
	checkpoint_finish(rig->engine->checkpoint);
	assert_int_equal(stats_of(rig).failed, 1);
	checkpoint_finish(rig->engine->checkpoint);
	engine_rig_crash(rig);
	engine_rig_start(rig, 1, 1);
	assert_int_equal(rig->recovery.log.records, SHARDS);
	assert_everywhere(rig, "v");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(goes_from_idle_to_idle_one_state_a_step),
		TEST(its_figures_tell_what_it_did),
		TEST(commits_nothing_before_the_log_is_durable),
		TEST(waits_for_the_record_of_the_shard_that_froze_last),
		TEST(waits_for_a_shard_that_is_held),
		TEST(a_second_wish_during_a_checkpoint_starts_another),
		TEST(values_are_right_at_every_state),
		TEST(a_read_waits_for_what_is_frozen_until_it_is_durable_and_for_nothing_after),
		TEST(the_thaw_gives_the_memory_back),
		TEST(the_log_is_recycled_afterwards),
		TEST(a_large_checkpoint_is_several_transactions_and_right_between_them),
		TEST(a_transaction_begins_when_all_shards_look_at_the_one_before),
		TEST(the_file_does_not_grow_by_each_checkpoint),
		TEST(a_disk_that_is_full_between_two_transactions_is_waited_for),
		TEST(a_crash_at_any_state_loses_nothing),
		TEST(a_commit_without_room_is_tried_again_and_writes_are_refused_meanwhile),
		TEST(a_crash_while_the_disk_is_full_loses_nothing),
		TEST(age_starts_one_when_something_was_written),
		TEST(quiet_starts_one_after_a_minute),
		TEST(what_is_written_now_and_then_waits_for_the_interval),
		TEST(full_overlays_start_one),
		TEST(a_long_log_starts_one),
		TEST(a_disk_without_room_for_more_log_starts_one),
		TEST(the_last_one_leaves_nothing_to_replay),
		TEST(the_last_one_goes_on_from_any_state),
		TEST(the_last_one_gives_up_when_the_disk_is_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
