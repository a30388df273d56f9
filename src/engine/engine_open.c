/*
 * engine_open: builds the engine from a data directory and recovers it.
 *
 *   DIR/lock      held by flock(2) while a process uses the directory
 *   DIR/data.mdb  the tree: everything up to each shard's LSN
 *   DIR/log/      the log: everything since, replayed into the overlays
 *
 * A record is applied to a shard only when its LSN is above what the tree has of that shard, so a
 * record of several shards is completed even when a checkpoint took some of them with it and others
 * not.
 */
#include "engine/engine.h"

#include "base/logline.h"
#include "base/memory.h"
#include "engine/checkpoint.h"
#include "engine/shard.h"
#include "holdfast/log_format.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Room in a segment beside the largest value: its key, record and batch headers, the segment
 * header. */
#define SEGMENT_OVERHEAD_BYTES (64u << 10)

/* Smaller first segments would hold up writes that come in quick succession. */
#define FIRST_SEGMENT_BYTES_LEAST ((uint64_t)1 << 20)

/* Of overlays, about: as in a checkpoint. */
#define TRANSACTION_BYTES ((size_t)4 << 20)

/* Records between two looks at the overlays. */
#define LOOK_RECORDS 64

/* What has been replayed is checkpointed when the overlays hold one of so many parts of their
 * memory, as while the server runs. */
#define OVERLAY_SHARE 4

struct replay {
	struct engine *engine;
	uint64_t *tree_lsns; /* by shard */
	uint64_t checked_lsn;
	bool is_full; /* the disk is: the overlays keep all */
};

static int replay_record(void *context, uint64_t lsn, struct record_reader *record)
{
	struct replay *replay = context;
	struct effect effect;
	int more;
	while ((more = record_next_effect(record, &effect)) > 0) {
		if (effect.shard >= replay->engine->shard_count || !store_may_apply(&effect))
			return -EBADMSG;
		if (lsn > replay->tree_lsns[effect.shard])
			store_apply(replay->engine->stores[effect.shard], &effect, lsn);
	}
	return more;
}

/* One transaction, of the shards from `first` on; `*end` is the one behind the last. */
static int write_replayed(struct replay *replay, uint64_t lsn, uint16_t first, uint16_t *end)
{
	struct engine *engine = replay->engine;
	struct tree_checkpoint *transaction;
	int64_t now_ms = clock_wall_ms(engine->clock);
	size_t bytes = 0;
	int result = tree_checkpoint_begin(engine->tree, &transaction);
	if (result < 0)
		return result;
	for (*end = first; *end < engine->shard_count && bytes < TRANSACTION_BYTES; (*end)++) {
		/* A checkpoint that was cut off has more of this one: nothing was replayed. */
		if (replay->tree_lsns[*end] >= lsn)
			continue;
		bytes += store_active_bytes(engine->stores[*end]);
		result = tree_checkpoint_shard(
			transaction, *end, store_active(engine->stores[*end]), lsn, now_ms);
		if (result < 0) {
			tree_checkpoint_abort(&transaction);
			return result;
		}
	}
	return tree_checkpoint_commit(&transaction);
}

/* What has been replayed so far goes into the tree. What the disk has no room for stays in memory,
 * as it does while the server runs. */
static int checkpoint_replayed(struct replay *replay, uint64_t lsn)
{
	struct engine *engine = replay->engine;
	uint16_t end = 0;
	for (uint16_t first = 0; first < engine->shard_count; first = end) {
		int result = write_replayed(replay, lsn, first, &end);
		replay->is_full = result == -ENOSPC || result == -EDQUOT;
		if (result < 0)
			return replay->is_full ? 0 : result;
		for (uint16_t i = first; i < end; i++) {
			if (replay->tree_lsns[i] >= lsn)
				continue;
			store_freeze(engine->stores[i], lsn);
			struct overlay *overlay = store_thaw(engine->stores[i]);
			overlay_free(&overlay);
		}
	}
	return 0;
}

/* A start must not need more memory than writing the log took. */
static int bound_overlays(void *context, uint64_t lsn)
{
	struct replay *replay = context;
	struct engine *engine = replay->engine;
	uint64_t bytes = 0;
	if (replay->is_full || lsn - replay->checked_lsn < LOOK_RECORDS)
		return 0;
	replay->checked_lsn = lsn;
	for (uint16_t i = 0; i < engine->shard_count; i++)
		bytes += store_active_bytes(engine->stores[i]);
	if (bytes <= (uint64_t)engine->config->overlay_bytes_max / OVERLAY_SHARE)
		return 0;
	return checkpoint_replayed(replay, lsn);
}

static uint64_t segment_bytes(const struct config *config)
{
	uint64_t wanted = (uint64_t)config->log_segment_bytes;
	uint64_t least = (uint64_t)config->value_bytes_max + SEGMENT_OVERHEAD_BYTES;
	uint64_t bytes = wanted > least ? wanted : least;
	return (bytes + LOG_BLOCK_BYTES - 1) / LOG_BLOCK_BYTES * LOG_BLOCK_BYTES;
}

/* A server that keeps little takes little; it grows by doubling. */
static uint64_t first_segment_bytes(uint64_t largest)
{
	uint64_t bytes = largest / 16 / LOG_BLOCK_BYTES * LOG_BLOCK_BYTES;
	uint64_t least = FIRST_SEGMENT_BYTES_LEAST;
	bytes = bytes > least ? bytes : least;
	return bytes < largest ? bytes : largest;
}

static int open_tree(struct engine *engine, const struct engine_options *options,
	struct engine_recovery *recovery, char *error, size_t error_size)
{
	char path[4096];
	struct stat status;
	snprintf(path, sizeof(path), "%s/data.mdb", options->directory);
	recovery->created = stat(path, &status) != 0;
	struct tree_options tree_options = {
		.path = path,
		.map_bytes = (uint64_t)options->config->map_bytes,
		.shards_if_new = (uint16_t)options->config->shards,
		.sync = options->sync,
		.now_ms = clock_wall_ms(options->clock),
		.secret_if_new = options->secret_if_new,
	};
	return tree_open(&engine->tree, &tree_options, error, error_size);
}

static int open_stores(struct engine *engine, char *error, size_t error_size)
{
	engine->shard_count = tree_shards(engine->tree);
	engine->stores = memory_zeroed(engine->shard_count * sizeof(*engine->stores));
	engine->shards = memory_zeroed(engine->shard_count * sizeof(*engine->shards));
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		engine->shards[i].number = i;
		engine->shards[i].worker = i % engine->worker_count;
		int result = store_open(&engine->stores[i], engine->tree, i);
		if (result < 0) {
			snprintf(error, error_size, "cannot open shard %u: %s", i,
				strerror(-result));
			return result;
		}
	}
	return 0;
}

static bool has_no_segments(struct log *log)
{
	struct log_usage usage;
	log_usage(log, &usage);
	return usage.spares + usage.segments == 0;
}

static int open_log(struct engine *engine, const struct engine_options *options,
	struct engine_recovery *recovery, char *error, size_t error_size)
{
	char directory[4096];
	snprintf(directory, sizeof(directory), "%s/log", options->directory);
	struct log_options log_options = {
		.disk = options->disk,
		.directory = directory,
		.segment_bytes = segment_bytes(options->config),
		.first_bytes = first_segment_bytes(segment_bytes(options->config)),
		.spares_wanted = GATE_LOG_SPARES,
		.spares_later = true, /* the keeper makes them while the server starts */
		.replayed = bound_overlays,
	};
	struct replay replay = { .engine = engine,
		.tree_lsns = memory_alloc(engine->shard_count * sizeof(uint64_t)) };
	uint64_t lowest = UINT64_MAX, highest = 0;
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		uint64_t lsn = replay.tree_lsns[i] = tree_lsn(engine->tree, i);
		lowest = lsn < lowest ? lsn : lowest;
		highest = lsn > highest ? lsn : highest;
	}
	int result = log_open(&engine->log, &log_options, lowest, replay_record, &replay,
		&recovery->log, error, error_size);
	memory_free(replay.tree_lsns);
	if (result == 0 && highest > 0 && has_no_segments(engine->log)) {
		snprintf(error, error_size,
			"%s has no segments, but the data file has records up to %llu: the log is "
			"lost; restore it, or a backup",
			directory, (unsigned long long)highest);
		return -EBADMSG;
	}
	if (result == 0 && log_next_lsn(engine->log) <= highest) {
		snprintf(error, error_size,
			"the log ends at record %llu but the data file has records up to %llu",
			(unsigned long long)log_next_lsn(engine->log) - 1,
			(unsigned long long)highest);
		return -EBADMSG;
	}
	return result;
}

static void count_overlays(struct engine *engine)
{
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		size_t bytes = store_active_bytes(engine->stores[i]);
		engine->shards[i].overlay_bytes_counted = bytes;
		engine->overlay_bytes += bytes;
	}
}

int engine_open(struct engine **out, const struct engine_options *options,
	struct engine_recovery *recovery, char *error, size_t error_size)
{
	uint64_t started = clock_monotonic_ns(options->clock);
	struct engine *engine = memory_zeroed(sizeof(*engine));
	assert(options->workers >= 1);
	assert(options->loops >= options->workers);
	*recovery = (struct engine_recovery){ 0 };
	engine->config = options->config;
	engine->clock = options->clock;
	engine->worker_count = options->workers;
	engine->port_count = options->loops + 1;
	engine->ports = memory_zeroed(engine->port_count * sizeof(*engine->ports));
	int result = open_tree(engine, options, recovery, error, error_size);
	if (result == 0)
		result = open_stores(engine, error, error_size);
	if (result == 0)
		result = open_log(engine, options, recovery, error, error_size);
	if (result < 0) {
		engine_close(&engine);
		return result;
	}
	count_overlays(engine);
	engine_see_tree(engine);
	engine->gate = gate_new(engine->log, options->config, options->clock);
	/* The tree must not know of more than the log has, whatever `durability` says. */
	for (uint16_t i = 0; i < engine->port_count; i++)
		gate_waits_init(&engine->ports[i].waits, engine->gate,
			i < options->loops ? GATE_UNTIL_RELEASED : GATE_UNTIL_DURABLE);
	engine->checkpoint = checkpoint_new(engine, engine->port_count - 1);
	recovery->elapsed_ms = (clock_monotonic_ns(options->clock) - started) / 1000000;
	*out = engine;
	return 0;
}

/* The server's own requests that were on their way when the threads ended. */
static void empty(struct port *port)
{
	struct request *request = mailbox_take_all(&port->mailbox);
	while (request) {
		struct request *next = request->next;
		request_move(request, REQUEST_DONE);
		request_put(&port->pool, &request);
		request = next;
	}
	while ((request = request_list_take(&port->held_back)) != NULL) {
		request_move(request, REQUEST_DONE);
		request_put(&port->pool, &request);
	}
}

void engine_close(struct engine **taken)
{
	struct engine *engine = *taken;
	*taken = NULL;
	if (engine == NULL)
		return;
	checkpoint_free(&engine->checkpoint);
	gate_free(&engine->gate);
	if (engine->log)
		log_close(&engine->log);
	for (uint16_t i = 0; engine->stores && i < engine->shard_count; i++) {
		if (engine->stores[i])
			store_close(&engine->stores[i]);
	}
	if (engine->tree)
		tree_close(&engine->tree);
	for (uint16_t i = 0; i < engine->port_count; i++) {
		empty(&engine->ports[i]);
		request_pool_fini(&engine->ports[i].pool);
	}
	memory_free(engine->ports);
	memory_free(engine->stores);
	memory_free(engine->shards);
	memory_free(engine);
}
