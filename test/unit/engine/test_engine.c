/*
 * The engine as a whole: opening and recovering it, expiry, admission. A crash here is a loss of
 * power of the simulated disk; the sweep over all moments of one is the simulator's.
 */
#include "base/memory.h"
#include "engine/shard.h"
#include "store/tree.h"
#include "support/engine_rig.h"
#include "support/sim_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARDS 4

static int set_up(void **state)
{
	struct engine_rig *rig = memory_zeroed(sizeof(*rig));
	engine_rig_init(rig, SHARDS);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	engine_rig_fini(*state);
	memory_free(*state);
	return 0;
}

/* --- opening and recovering ------------------------------------------------------------------- */

static void a_new_directory_starts_empty(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 2, 3);
	assert_true(rig->recovery.created);
	assert_int_equal(rig->recovery.log.records, 0);
	assert_int_equal(rig->engine->shard_count, SHARDS);
	assert_int_equal(rig->engine->worker_count, 2);
	assert_int_equal(rig->engine->port_count, 4);
	assert_string_equal(rig_run(rig, 2, "DBSIZE"), ":0\r\n");
}

static void what_was_released_survives_a_crash(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 1, 1);
	for (int round = 0; round < 20; round++) {
		char text[16], expected[64];
		snprintf(text, sizeof(text), "%06d", round);
		struct engine_ticket *kept = rig_send(rig, 0, "MSET", "a", text, "b", text);
		engine_rig_settle(rig);
		assert_true(engine_rig_is_released(kept));
		struct engine_ticket *lost = rig_send(rig, 0, "SET", "c", text);
		assert_false(engine_rig_is_released(lost));
		if (round % 5 == 2)
			engine_rig_checkpoint(rig);
		engine_rig_crash(rig);
		engine_rig_start(rig, 1, 1);
		assert_false(rig->recovery.created);
		snprintf(expected, sizeof(expected), "*2\r\n$6\r\n%s\r\n$6\r\n%s\r\n", text, text);
		assert_string_equal(rig_run(rig, 0, "MGET", "a", "b"), expected);
	}
}

static void what_was_recovered_is_durable_and_may_be_read_at_once(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 1, 1);
	rig_run(rig, 0, "SET", "a", "1");
	engine_rig_settle(rig);
	engine_rig_crash(rig);
	engine_rig_start(rig, 1, 1);
	assert_int_equal(rig->recovery.log.records, 1);
	struct engine_ticket *read = rig_send(rig, 0, "GET", "a");
	assert_true(engine_rig_is_released(read));
	assert_string_equal(read->reply, "$1\r\n1\r\n");
}

static void only_what_came_after_the_checkpoint_is_replayed(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 1, 1);
	for (int i = 0; i < 10; i++)
		rig_run(rig, 0, "APPEND", "a", "x");
	engine_rig_checkpoint(rig);
	for (int i = 0; i < 3; i++)
		rig_run(rig, 0, "APPEND", "a", "y");
	engine_rig_settle(rig);
	engine_rig_crash(rig);
	engine_rig_start(rig, 1, 1);
	assert_int_equal(rig->recovery.log.records, 3);
	assert_string_equal(rig_run(rig, 0, "GET", "a"), "$13\r\nxxxxxxxxxxyyy\r\n");
	assert_int_equal(gate_appended(rig->engine->gate), 13);
}

static void another_number_of_workers_serves_the_same_data(void **state)
{
	static const uint16_t workers[] = { 1, 3, 2, 5, 1 };
	struct engine_rig *rig = *state;
	char key[ENGINE_RIG_KEY_BYTES];
	for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++) {
		engine_rig_start(rig, workers[i], workers[i]);
		for (uint16_t shard = 0; shard < SHARDS; shard++) {
			char expected[16];
			engine_rig_key(rig, shard, 0, key);
			snprintf(expected, sizeof(expected), ":%zu\r\n", i + 1);
			assert_string_equal(rig_run(rig, workers[i] - 1, "INCR", key), expected);
		}
		if (i % 2)
			engine_rig_checkpoint(rig);
		engine_rig_settle(rig);
		engine_rig_crash(rig);
	}
}

static void the_number_of_shards_is_the_datas(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 1, 1);
	rig_run(rig, 0, "SET", "a", "1");
	engine_rig_settle(rig);
	engine_rig_close(rig);
	rig->config.shards = 2 * SHARDS;
	engine_rig_start(rig, 1, 1);
	assert_int_equal(rig->engine->shard_count, SHARDS);
	assert_string_equal(rig_run(rig, 0, "GET", "a"), "$1\r\n1\r\n");
}

static void a_directory_that_is_not_there_is_named(void **state)
{
	struct engine_rig *rig = *state;
	char good[sizeof(rig->directory)];
	memcpy(good, rig->directory, sizeof(good));
	snprintf(rig->directory, sizeof(rig->directory), "/tmp/no-such-directory-of-holdfast");
	assert_true(engine_rig_open(rig, 1, 1) < 0);
	assert_non_null(strstr(rig->error, "no-such-directory-of-holdfast"));
	memcpy(rig->directory, good, sizeof(good));
}

static void a_data_file_that_is_none_is_refused_and_left_alone(void **state)
{
	struct engine_rig *rig = *state;
	char path[128], bytes[16384];
	memset(bytes, 'z', sizeof(bytes));
	snprintf(path, sizeof(path), "%s/data.mdb", rig->directory);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	assert_true(engine_rig_open(rig, 1, 1) < 0);
	assert_true(rig->error[0] != '\0');
	assert_null(strchr(rig->error, '\n'));
	fd = open(path, O_RDONLY);
	char now[sizeof(bytes)];
	assert_int_equal(read(fd, now, sizeof(now)), sizeof(now));
	close(fd);
	assert_memory_equal(now, bytes, sizeof(bytes));
}

static void a_disk_that_cannot_be_read_is_an_error_and_not_a_loss(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 1, 1);
	rig_run(rig, 0, "SET", "a", "1");
	engine_rig_settle(rig);
	engine_rig_close(rig);
	for (uint64_t n = 1; n < 12; n++) {
		sim_disk_fail_at(rig->disk, n, EIO);
		if (engine_rig_open(rig, 1, 1) < 0) {
			assert_true(rig->error[0] != '\0');
			engine_rig_crash(rig);
			engine_rig_start(rig, 1, 1);
		}
		assert_string_equal(rig_run(rig, 0, "GET", "a"), "$1\r\n1\r\n");
		engine_rig_crash(rig);
	}
}

/* Freezes shards of worker 0, lets a record go into both workers' shards, then freezes the rest:
 * the tree has only one half of the record. */
static void commit_half_a_record(struct engine_rig *rig, const char *one, const char *two)
{
	struct checkpoint *checkpoint = rig->engine->checkpoint;
	checkpoint_request(checkpoint);
	checkpoint_step(checkpoint);
	engine_deliver(rig->engine, 0); /* frozen */
	struct engine_ticket *both = rig_send(rig, 0, "MSET", one, "new", two, "new");
	/* The checkpoint's thread may be slow to ask worker 1: its freezes come after the command.
	 */
	struct request *list = mailbox_take_all(&rig->engine->ports[1].mailbox);
	struct request *freezes = NULL, *next;
	for (; list; list = next) {
		next = list->next;
		if (list->environment == NULL) {
			list->next = freezes;
			freezes = list;
		} else {
			mailbox_put(&rig->engine->ports[1].mailbox, &list);
		}
	}
	engine_deliver(rig->engine, 1);
	for (; freezes; freezes = next) {
		next = freezes->next;
		mailbox_put(&rig->engine->ports[1].mailbox, &freezes);
	}
	engine_rig_settle(rig);
	assert_true(engine_rig_is_released(both));
	for (int i = 0; i < 10 && rig->commits == 0; i++)
		checkpoint_step(checkpoint);
	assert_int_equal(rig->commits, 1);
}

static void a_record_of_which_the_tree_has_one_half_is_completed(void **state)
{
	struct engine_rig *rig = *state;
	char one[ENGINE_RIG_KEY_BYTES], two[ENGINE_RIG_KEY_BYTES];
	engine_rig_start(rig, 2, 2);
	engine_rig_key(rig, 0, 0, one);
	engine_rig_key(rig, 1, 0, two);
	rig_run(rig, 0, "MSET", one, "old", two, "old");
	engine_rig_settle(rig);
	commit_half_a_record(rig, one, two);
	engine_rig_crash(rig);
	engine_rig_start(rig, 1, 1);
	assert_int_equal(tree_lsn(rig->engine->tree, 0), 1);
	assert_int_equal(tree_lsn(rig->engine->tree, 1), 2);
	assert_string_equal(rig_run(rig, 0, "MGET", one, two), "*2\r\n$3\r\nnew\r\n$3\r\nnew\r\n");
	assert_int_equal(gate_appended(rig->engine->gate), 2);
}

/* A shard does not apply records up to its LSN in the tree again. If a log that lost its end were
 * taken for good, new records would get such numbers, and a crash would lose them. */
static void a_log_that_ends_before_what_the_tree_has_is_refused(void **state)
{
	struct engine_rig *rig = *state;
	char one[ENGINE_RIG_KEY_BYTES], two[ENGINE_RIG_KEY_BYTES];
	engine_rig_start(rig, 2, 2);
	engine_rig_key(rig, 0, 0, one);
	engine_rig_key(rig, 1, 0, two);
	rig_run(rig, 0, "MSET", one, "old", two, "old");
	engine_rig_settle(rig);
	commit_half_a_record(rig, one, two);
	engine_rig_close(rig);
	sim_disk_free(&rig->disk); /* the folder log is gone */
	rig->disk = sim_disk_new(2);
	if (engine_rig_open(rig, 1, 1) < 0) {
		assert_non_null(strstr(rig->error, "log"));
		return;
	}
	/* Otherwise what is acknowledged from now on must stay. */
	struct engine_ticket *write = rig_send(rig, 0, "SET", two, "newest");
	engine_rig_settle(rig);
	assert_true(engine_rig_is_released(write));
	engine_rig_crash(rig);
	engine_rig_start(rig, 1, 1);
	assert_string_equal(rig_run(rig, 0, "GET", two), "$6\r\nnewest\r\n");
}

/* All shards at one LSN, as after an orderly stop: only the empty folder tells. */
static void a_log_that_is_gone_is_refused_though_the_tree_is_even(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 2, 2);
	rig_run(rig, 0, "SET", "a", "1");
	engine_rig_settle(rig);
	checkpoint_finish(rig->engine->checkpoint);
	engine_rig_close(rig);
	engine_rig_start(rig, 2, 2); /* with its log it opens */
	engine_rig_close(rig);
	sim_disk_free(&rig->disk);
	rig->disk = sim_disk_new(2);
	assert_int_equal(engine_rig_open(rig, 1, 1), -EBADMSG);
	assert_non_null(strstr(rig->error, "the log is lost"));
}

static void closing_leaves_all_to_the_log(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 2, 2);
	rig_run(rig, 0, "SET", "a", "1");
	engine_rig_settle(rig);
	rig_send(rig, 0, "SET", "b", "1");
	checkpoint_request(rig->engine->checkpoint);
	checkpoint_step(rig->engine->checkpoint);
	engine_rig_close(rig); /* in the middle of things */
	engine_rig_start(rig, 2, 2);
	assert_string_equal(rig_run(rig, 0, "GET", "a"), "$1\r\n1\r\n");
}

/* --- expiry ----------------------------------------------------------------------------------- */

static void set_expiring(struct engine_rig *rig, int keys)
{
	char key[32];
	for (int i = 0; i < keys; i++) {
		snprintf(key, sizeof(key), "expiring:%d", i);
		rig_run(rig, 0, "SET", key, "v", "PX", i % 2 ? "100" : "200");
	}
	rig_run(rig, 0, "SET", "stays", "v");
	engine_rig_settle(rig);
}

static void expire_everywhere(struct engine_rig *rig)
{
	for (uint16_t port = 0; port < rig->port_count; port++)
		engine_expire(rig->engine, port);
	engine_rig_settle(rig);
}

static void deletes_what_has_fallen_due_and_nothing_else(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 2, 3);
	set_expiring(rig, 200);
	expire_everywhere(rig);
	assert_int_equal(rig->engine->expired_keys, 0);
	assert_string_equal(rig_run(rig, 0, "DBSIZE"), ":201\r\n");
	rig->now_ms += 100;
	expire_everywhere(rig);
	assert_int_equal(rig->engine->expired_keys, 100);
	assert_string_equal(rig_run(rig, 0, "DBSIZE"), ":101\r\n");
	rig->now_ms += 100;
	expire_everywhere(rig);
	assert_int_equal(rig->engine->expired_keys, 200);
	assert_string_equal(rig_run(rig, 0, "DBSIZE"), ":1\r\n");
	assert_string_equal(rig_run(rig, 0, "GET", "stays"), "$1\r\nv\r\n");
}

static void deletes_what_has_fallen_due_in_the_tree_too(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 2, 2);
	set_expiring(rig, 50);
	engine_rig_checkpoint(rig);
	engine_rig_crash(rig);
	rig->now_ms += 1000;
	engine_rig_start(rig, 1, 1);
	expire_everywhere(rig);
	assert_int_equal(rig->engine->expired_keys, 50);
	assert_string_equal(rig_run(rig, 0, "DBSIZE"), ":1\r\n");
	uint64_t appended = gate_appended(rig->engine->gate);
	expire_everywhere(rig);
	assert_int_equal(gate_appended(rig->engine->gate), appended);
}

static void one_step_of_expiry_is_bounded(void **state)
{
	struct engine_rig *rig = *state;
	rig->config.shards = 1;
	engine_rig_start(rig, 1, 1);
	set_expiring(rig, 2000);
	rig->now_ms += 1000;
	engine_expire(rig->engine, 0);
	uint64_t first = rig->engine->expired_keys;
	assert_in_range(first, 1, 1000);
	int steps = 1;
	for (; rig->engine->expired_keys < 2000 && steps < 100; steps++) {
		gate_step(rig->engine->gate); /* else its records would be held back */
		engine_expire(rig->engine, 0);
	}
	assert_int_equal(rig->engine->expired_keys, 2000);
}

static void an_expired_key_is_absent_before_it_is_deleted(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 1, 1);
	rig_run(rig, 0, "SET", "a", "v", "PX", "100");
	rig->now_ms += 99;
	assert_string_equal(rig_run(rig, 0, "GET", "a"), "$1\r\nv\r\n");
	rig->now_ms += 1;
	assert_string_equal(rig_run(rig, 0, "GET", "a"), "$-1\r\n");
	uint64_t before = gate_appended(rig->engine->gate);
	assert_string_equal(rig_run(rig, 0, "EXISTS", "a"), ":0\r\n");
	assert_int_equal(gate_appended(rig->engine->gate), before); /* a read never writes */
}

static void expiry_leaves_a_held_shard_for_the_next_time(void **state)
{
	struct engine_rig *rig = *state;
	char zero[ENGINE_RIG_KEY_BYTES], one[ENGINE_RIG_KEY_BYTES];
	engine_rig_start(rig, 2, 2);
	engine_rig_key(rig, 0, 0, zero);
	engine_rig_key(rig, 1, 0, one);
	rig_run(rig, 0, "SET", zero, "v", "PX", "100");
	rig->now_ms += 200;
	struct engine_ticket *both = rig_send(rig, 0, "MGET", zero, one);
	assert_non_null(rig->engine->shards[0].held_by);
	engine_expire(rig->engine, 0);
	assert_int_equal(rig->engine->expired_keys, 0);
	engine_rig_deliver(rig);
	assert_string_equal(both->reply, "*2\r\n$-1\r\n$-1\r\n");
	engine_expire(rig->engine, 0);
	assert_int_equal(rig->engine->expired_keys, 1);
}

static void expiry_writes_nothing_while_writes_are_refused(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 1, 1);
	rig_run(rig, 0, "SET", "a", "v", "PX", "100");
	engine_rig_settle(rig);
	rig->now_ms += 200;
	gate_set_store_full(rig->engine->gate, true);
	engine_expire(rig->engine, 0);
	assert_int_equal(gate_appended(rig->engine->gate), 1);
	gate_set_store_full(rig->engine->gate, false);
	engine_expire(rig->engine, 0);
	assert_int_equal(gate_appended(rig->engine->gate), 2);
}

/* --- admission -------------------------------------------------------------------------------- */

static uint64_t overlay_bytes_of_all(const struct engine_rig *rig)
{
	uint64_t bytes = 0;
	for (uint16_t i = 0; i < SHARDS; i++)
		bytes += store_active_bytes(rig->engine->stores[i]) +
			store_frozen_bytes(rig->engine->stores[i]);
	return bytes;
}

static void fill(struct engine_rig *rig, int keys)
{
	char key[32], value[2001];
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < keys; i++) {
		snprintf(key, sizeof(key), "fill:%d", i);
		rig_run(rig, 0, "SET", key, value);
		if (i % 20 == 0)
			engine_rig_settle(rig);
	}
	engine_rig_settle(rig);
}

static void the_overlays_bytes_are_counted_at_every_turn(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 2, 2);
	assert_int_equal(rig->engine->overlay_bytes, overlay_bytes_of_all(rig));
	fill(rig, 200);
	uint64_t full = rig->engine->overlay_bytes;
	assert_true(full >= 200 * 2000);
	assert_int_equal(full, overlay_bytes_of_all(rig));
	engine_rig_checkpoint(rig);
	assert_int_equal(rig->engine->overlay_bytes, overlay_bytes_of_all(rig));
	assert_true(rig->engine->overlay_bytes < full / 10);
	fill(rig, 50);
	engine_rig_close(rig);
	engine_rig_start(rig, 1, 1);
	assert_int_equal(rig->engine->overlay_bytes, overlay_bytes_of_all(rig));
	assert_true(rig->engine->overlay_bytes >= 50 * 2000);
}

static void full_overlays_hold_writes_back_until_the_checkpoint(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 1, 1);
	rig->config.overlay_bytes_max = 100000;
	assert_int_equal(engine_admission(rig->engine), GATE_OPEN);
	fill(rig, 60);
	assert_int_equal(engine_admission(rig->engine), GATE_BUSY);
	engine_rig_checkpoint(rig);
	assert_int_equal(engine_admission(rig->engine), GATE_OPEN);
}

static void a_full_disk_counts_for_more_than_full_overlays(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_start(rig, 1, 1);
	rig->config.overlay_bytes_max = 1000;
	fill(rig, 10);
	gate_set_store_full(rig->engine->gate, true);
	assert_int_equal(engine_admission(rig->engine), GATE_FULL);
}

/* Whatever wrote the log, and wherever a checkpoint of it was cut off. */
static void a_replay_takes_no_more_memory_than_it_may(void **state)
{
	struct engine_rig *rig = *state;
	char key[32], text[16], expected[64];
	engine_rig_start(rig, 1, 1);
	for (int round = 0; round < 4; round++) {
		const int keys = 3000;
		for (int i = 0; i < keys; i++) {
			snprintf(key, sizeof(key), "key:%d", i);
			snprintf(text, sizeof(text), "%d", i + round);
			rig_run(rig, 0, "SET", key, text);
			if (i % 20 == 0)
				engine_rig_settle(rig);
			if (round == 1 && i == keys / 2)
				checkpoint_request(rig->engine->checkpoint);
			if (round == 1 && i > keys / 2)
				checkpoint_step(rig->engine->checkpoint);
		}
		engine_rig_settle(rig);
		uint64_t bytes = rig->engine->overlay_bytes;
		engine_rig_crash(rig);
		rig->config.overlay_bytes_max = 200000;
		engine_rig_start(rig, 1, 1);
		assert_true(rig->engine->overlay_bytes < 100000);
		assert_true(round > 0 || bytes > 400000);
		snprintf(expected, sizeof(expected), ":%d\r\n", keys);
		assert_string_equal(rig_run(rig, 0, "DBSIZE"), expected);
		for (int i = 0; i < keys; i += 7) {
			snprintf(key, sizeof(key), "key:%d", i);
			int size = snprintf(text, sizeof(text), "%d", i + round);
			snprintf(expected, sizeof(expected), "$%d\r\n%s\r\n", size, text);
			assert_string_equal(rig_run(rig, 0, "GET", key), expected);
		}
		rig->config.overlay_bytes_max = (int64_t)1 << 30;
	}
}

/* Values of 60 KB until no more are let in, with a checkpoint whenever writes are held back;
 * how many there are. */
static int fill_the_map(struct engine_rig *rig, const char *life)
{
	static char value[60001];
	char key[32];
	int keys = 0;
	memset(value, 'v', sizeof(value) - 1);
	for (; engine_admission(rig->engine) != GATE_SHRINK; keys++) {
		assert_true(keys < 10000);
		snprintf(key, sizeof(key), "big:%d", keys);
		rig_run(rig, 0, "SET", key, value, "PX", life);
		engine_rig_settle(rig);
		if (engine_admission(rig->engine) == GATE_BUSY)
			engine_rig_checkpoint(rig);
	}
	return keys;
}

static void open_small(struct engine_rig *rig)
{
	rig->config.map_bytes = (int64_t)64 << 20;
	engine_rig_start(rig, 1, 1);
}

static void checkpoint_till_open(struct engine_rig *rig)
{
	for (int i = 0; i < 10 && engine_admission(rig->engine) != GATE_OPEN; i++)
		engine_rig_checkpoint(rig);
	assert_int_equal(engine_admission(rig->engine), GATE_OPEN);
}

static void data_as_large_as_the_map_can_be_deleted_also_after_a_restart(void **state)
{
	struct engine_rig *rig = *state;
	char key[32];
	open_small(rig);
	int keys = fill_the_map(rig, "1000000");
	assert_in_range(keys, 500, 1200);
	engine_rig_close(rig);
	open_small(rig);
	assert_int_equal(engine_admission(rig->engine), GATE_SHRINK);
	rig_run(rig, 0, "EXPIRE", "big:0", "100000");
	for (int i = 1; i < keys / 4; i++) {
		snprintf(key, sizeof(key), "big:%d", i);
		assert_string_equal(rig_run(rig, 0, "DEL", key), ":1\r\n");
		engine_rig_settle(rig);
	}
	checkpoint_till_open(rig);
	/* What has become free is used again: the file does not grow for ever. */
	for (int round = 0; round < 5; round++) {
		fill_the_map(rig, "1000000");
		rig_run(rig, 0, "FLUSHALL");
		engine_rig_settle(rig);
		checkpoint_till_open(rig);
		assert_true(tree_bytes(rig->engine->tree) < (uint64_t)128 << 20);
	}
}

static void data_as_large_as_the_map_goes_when_its_time_comes(void **state)
{
	struct engine_rig *rig = *state;
	open_small(rig);
	fill_the_map(rig, "1000");
	rig->now_ms += 2000;
	for (int i = 0; i < 50; i++) {
		engine_expire(rig->engine, 0);
		engine_rig_settle(rig);
	}
	checkpoint_till_open(rig);
	assert_string_equal(rig_run(rig, 0, "DBSIZE"), ":0\r\n");
}

/* The sum of a batch says that it was written so, not that a turn could have made it. */
static void a_log_with_an_effect_that_no_turn_writes_is_refused(void **state)
{
	static const char generation[] = "\x01";
	const struct effect effects[] = {
		{ .kind = EFFECT_PUT, .type = VALUE_STRING }, /* no key */
		{ .kind = EFFECT_PUT, .type = VALUE_NONE, .key = slice_text("\x03o") },
		{ .kind = EFFECT_PUT, .type = VALUE_STRING, .key = slice_text("\xf1tree's") },
		{ .kind = EFFECT_PUT, .type = VALUE_NUMBER, .key = slice_text("\x01\x02more") },
		{ .kind = EFFECT_PUT,
			.type = VALUE_NUMBER,
			.key = slice_text("\x01\x02"),
			.value = slice_text(generation) },
		{ .kind = EFFECT_DELETE, .key = slice_text("\x01\x02") },
	};
	struct engine_rig *rig = *state;
	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		engine_rig_new_disk(rig, i + 1);
		engine_rig_start(rig, 1, 1);
		gate_append(rig->engine->gate, &effects[i], 1);
		gate_keeper_step(rig->engine->gate);
		gate_make_durable(rig->engine->gate);
		engine_rig_crash(rig);
		assert_int_equal(engine_rig_open(rig, 1, 1), -EBADMSG);
		assert_true(rig->error[0] != '\0');
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_new_directory_starts_empty),
		TEST(what_was_released_survives_a_crash),
		TEST(what_was_recovered_is_durable_and_may_be_read_at_once),
		TEST(only_what_came_after_the_checkpoint_is_replayed),
		TEST(another_number_of_workers_serves_the_same_data),
		TEST(the_number_of_shards_is_the_datas),
		TEST(a_directory_that_is_not_there_is_named),
		TEST(a_data_file_that_is_none_is_refused_and_left_alone),
		TEST(a_disk_that_cannot_be_read_is_an_error_and_not_a_loss),
		TEST(a_record_of_which_the_tree_has_one_half_is_completed),
		TEST(a_log_that_ends_before_what_the_tree_has_is_refused),
		TEST(a_log_that_is_gone_is_refused_though_the_tree_is_even),
		TEST(closing_leaves_all_to_the_log),
		TEST(deletes_what_has_fallen_due_and_nothing_else),
		TEST(deletes_what_has_fallen_due_in_the_tree_too),
		TEST(one_step_of_expiry_is_bounded),
		TEST(an_expired_key_is_absent_before_it_is_deleted),
		TEST(expiry_leaves_a_held_shard_for_the_next_time),
		TEST(expiry_writes_nothing_while_writes_are_refused),
		TEST(the_overlays_bytes_are_counted_at_every_turn),
		TEST(full_overlays_hold_writes_back_until_the_checkpoint),
		TEST(a_full_disk_counts_for_more_than_full_overlays),
		TEST(a_replay_takes_no_more_memory_than_it_may),
		TEST(data_as_large_as_the_map_can_be_deleted_also_after_a_restart),
		TEST(data_as_large_as_the_map_goes_when_its_time_comes),
		TEST(a_log_with_an_effect_that_no_turn_writes_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
