/*
 * turn_rig: see turn_rig.h. The tree is a real one in a directory of its own under /tmp, opened
 * without syncing. There is no log: a commit is the applying of its effects. Checks of the
 * machinery itself are asserts, so that a test fails where its foundation does.
 *
 * Threads: the test's.
 */
#include "support/turn_rig.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64

static uint32_t gather(struct slice *arguments, va_list list);
/* What errors name: the handlers are run without the table of commands. */
static const struct command handler = { .name = "handler", .syntax = "words" };

static void run_turns(struct turn_rig *rig, command_turn_fn run);
static void one_turn(struct turn_rig *rig, command_turn_fn run, uint16_t shard, int32_t *next);

static void open_stores(struct turn_rig *rig)
{
	char path[96], error[256];
	snprintf(path, sizeof(path), "%s/data.mdb", rig->directory);
	struct tree_options options = {
		.path = path,
		.map_bytes = (uint64_t)1 << 30,
		.shards_if_new = rig->shards,
		.sync = false,
		.now_ms = rig->now_ms,
		.secret_if_new = &(struct hash_secret){ 1, 2 },
	};
	int failed = tree_open(&rig->tree, &options, error, sizeof(error));
	assert(!failed);
	for (uint16_t i = 0; i < rig->shards; i++) {
		failed = store_open(&rig->stores[i], rig->tree, i);
		assert(!failed);
	}
}

static void close_stores(struct turn_rig *rig)
{
	for (uint16_t i = 0; i < rig->shards; i++)
		store_close(&rig->stores[i]);
	tree_close(&rig->tree);
}

void turn_rig_init(struct turn_rig *rig, uint16_t shards)
{
	assert(shards > 0 && shards <= TURN_RIG_SHARDS_MAX);
	*rig = (struct turn_rig){ .now_ms = 1700000000000, .protocol = 2, .shards = shards };
	config_init(&rig->config);
	buffer_init(&rig->last_reply);
	strcpy(rig->directory, "/tmp/holdfast-rig-XXXXXX");
	char *made = mkdtemp(rig->directory);
	assert(made);
	open_stores(rig);
}

void turn_rig_fini(struct turn_rig *rig)
{
	close_stores(rig);
	request_pool_fini(&rig->pool);
	buffer_fini(&rig->last_reply);
	config_fini(&rig->config);
	static const char *const files[] = { "data.mdb", "data.mdb-lock", "lock.mdb" };
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[96];
		snprintf(path, sizeof(path), "%s/%s", rig->directory, files[i]);
		unlink(path);
	}
	rmdir(rig->directory);
}

const char *turn_rig_run(struct turn_rig *rig, command_turn_fn run, ...)
{
	struct slice arguments[ARGUMENTS_MAX];
	va_list list;
	va_start(list, run);
	uint32_t count = gather(arguments, list);
	va_end(list);
	return turn_rig_run_slices(rig, run, arguments, count);
}

const char *turn_rig_run_slices(
	struct turn_rig *rig, command_turn_fn run, const struct slice *arguments, uint32_t count)
{
	turn_rig_begin(rig);
	rig->request->asked.arguments =
		arena_alloc(&rig->request->arena, count * sizeof(*arguments));
	for (uint32_t i = 0; i < count; i++)
		rig->request->asked.arguments[i] = arena_copy(&rig->request->arena, arguments[i]);
	rig->request->asked.argument_count = count;
	run_turns(rig, run);
	return turn_rig_commit(rig);
}

void turn_rig_begin(struct turn_rig *rig)
{
	assert(rig->request == NULL);
	rig->request = request_take(&rig->pool);
	rig->request->asked.command = &handler;
	rig->request->asked.db = rig->db;
	rig->request->asked.protocol = rig->protocol;
	changes_init(&rig->request->turn.changes, &rig->request->arena);
	rig->read_lsn = 0;
	rig->turns = 0;
}

void turn_rig_step(struct turn_rig *rig, command_turn_fn run, ...)
{
	struct slice arguments[ARGUMENTS_MAX];
	va_list list;
	va_start(list, run);
	uint32_t count = gather(arguments, list);
	va_end(list);
	struct request *request = rig->request;
	request->asked.arguments = arena_alloc(&request->arena, count * sizeof(*arguments));
	memcpy(request->asked.arguments, arguments, count * sizeof(*arguments));
	request->asked.argument_count = count;
	request->turn.state = NULL;
	run_turns(rig, run);
}

const char *turn_rig_commit(struct turn_rig *rig)
{
	struct request *request = rig->request;
	rig->request = NULL;
	rig->failed = request->turn.failed;
	rig->effects = request->turn.failed ? 0 : request->turn.changes.count;
	if (rig->effects > 0)
		rig->last_lsn++;
	struct consequence *consequence =
		request->turn.failed ? NULL : request->turn.changes.consequences;
	for (; consequence; consequence = consequence->next)
		consequence->run(&request->turn, consequence->context);
	for (uint32_t i = 0; i < rig->effects; i++) {
		const struct effect *effect = &request->turn.changes.effects[i];
		store_apply(rig->stores[effect->shard], effect, rig->last_lsn);
	}
	buffer_clear(&rig->last_reply, 1 << 20);
	buffer_append(&rig->last_reply, request->reply.data, request->reply.size);
	rig->reply_size = request->reply.size;
	buffer_append(&rig->last_reply, "", 1);
	rig->reply = rig->last_reply.data;
	request_put(&rig->pool, &request);
	return rig->reply;
}

void turn_rig_checkpoint(struct turn_rig *rig)
{
	struct tree_checkpoint *checkpoint;
	for (uint16_t i = 0; i < rig->shards; i++)
		store_freeze(rig->stores[i], rig->last_lsn);
	int failed = tree_checkpoint_begin(rig->tree, &checkpoint);
	assert(!failed);
	for (uint16_t i = 0; i < rig->shards; i++) {
		uint64_t lsn;
		const struct overlay *frozen = store_frozen(rig->stores[i], &lsn);
		failed = tree_checkpoint_shard(checkpoint, i, frozen, lsn, rig->now_ms);
		assert(!failed);
	}
	failed = tree_checkpoint_commit(&checkpoint);
	assert(!failed);
	for (uint16_t i = 0; i < rig->shards; i++) {
		struct overlay *frozen = store_thaw(rig->stores[i]);
		overlay_free(&frozen);
	}
}

void turn_rig_restart(struct turn_rig *rig)
{
	assert(rig->request == NULL);
	turn_rig_checkpoint(rig);
	close_stores(rig);
	open_stores(rig);
}

static uint32_t gather(struct slice *arguments, va_list list)
{
	uint32_t count = 0;
	const char *text;
	while ((text = va_arg(list, const char *)) != NULL) {
		assert(count < ARGUMENTS_MAX);
		arguments[count++] = slice_text(text);
	}
	return count;
}

static void run_turns(struct turn_rig *rig, command_turn_fn run)
{
	int32_t shard = 0, next = 0;
	for (; next != TURN_NOWHERE; shard = next == TURN_HERE ? shard : next)
		one_turn(rig, run, (uint16_t)shard, &next);
}

static void one_turn(struct turn_rig *rig, command_turn_fn run, uint16_t shard, int32_t *next)
{
	struct request *request = rig->request;
	struct turn *turn = &request->turn;
	turn->writer = request_writer(request);
	turn->now_ms = rig->now_ms;
	turn->stores = rig->stores;
	turn->shard_total = turn->shard_count = rig->shards;
	turn->shard = shard;
	turn->config = &rig->config;
	turn->steps = 0;
	turn->bytes_read = 0;
	turn->reply_before = request->reply.size;
	turn->gate_lsn = 0;
	turn->continue_at = TURN_NOWHERE;
	run(turn);
	rig->turns++;
	if (turn->gate_lsn > rig->read_lsn)
		rig->read_lsn = turn->gate_lsn;
	*next = turn->continue_at;
}
