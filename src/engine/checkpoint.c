/*
 * checkpoint: the state machine of checkpoint.h. It speaks to the shards by requests of its own,
 * one a shard, which run as turns like any other: the freeze and the thaw can therefore never come
 * in the middle of a turn, and need no lock.
 *
 * A transaction takes shards until it has some megabytes, then the next one begins: one for all
 * would hand the disk everything at once, and each sync of the log would have to wait behind it.
 * Between two, all shards look at the new tree: LMDB uses a freed page again when no view is left
 * that is as old, so otherwise each checkpoint would add its size to the file.
 * Each shard's LSN is in the transaction of its data, so a crash in between leaves every shard
 * right.
 *
 * The write-ahead rule: a transaction is begun only when the log has made durable everything that
 * was frozen. A commit that fails because the disk is full is tried again later, the frozen
 * overlays stay as they are, and writes are refused meanwhile; any other failure ends the process.
 */
#include "engine/checkpoint.h"

#include "base/container.h"
#include "base/fault.h"
#include "base/logline.h"
#include "base/memory.h"
#include "request/turn.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CHECKPOINT_MAGIC    0x63686b70u /* where a pointer has come through a thread */
#define QUIET_OVERLAY_BYTES (16u << 20)
#define KEPT_FREE_BYTES     (128u << 20)
#define RETRY_NS            500000000u /* after a full disk */
#define NS_PER_S            UINT64_C(1000000000)
#define QUIET_NS            (10 * NS_PER_S)
#define QUIET_AGE_NS        (60 * NS_PER_S)
#define LOOK_MS             20         /* how often the thread looks at the limits */
#define NICENESS            10         /* of the thread: workers come first */
#define TRANSACTION_BYTES   (4u << 20) /* of overlays, about */
#define OVERLAY_SHARE       4          /* starts when overlays hold a quarter of their memory */

enum state { IDLE, FREEZING, SYNCING, WRITING, THAWING };

struct frozen {
	uint64_t lsn;
	size_t bytes;            /* of the overlay when it was frozen */
	struct overlay *overlay; /* handed back by the thaw, freed at once */
	struct checkpoint *checkpoint;
};

struct checkpoint {
	uint32_t magic;
	struct engine *engine;
	uint16_t port;
	enum state state;
	uint16_t waiting; /* shards that have not answered */
	uint16_t written; /* shards whose frozen overlay is in the tree */
	struct frozen *frozen;
	struct gate_wait durable; /* of what was frozen, before the transaction begins */
	uint64_t begun_ns;
	uint64_t begun_bytes; /* the log's, when the last checkpoint began */
	uint64_t seen_lsn;    /* the last record, */
	uint64_t seen_ns;     /* and since when there has been no other */
	uint64_t retry_at_ns;
	uint64_t keys;

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wakes;
	_Atomic bool asked;
	_Atomic bool stopping;
	_Atomic bool running;
	_Atomic uint64_t completed;
	_Atomic uint64_t failed;
	_Atomic int64_t last_finished_ms;
	_Atomic uint64_t last_duration_ms;
	_Atomic uint64_t last_keys;
	_Atomic uint64_t tree_lsn;
};

static void wake(void *context)
{
	struct checkpoint *checkpoint = context;
	assert(checkpoint->magic == CHECKPOINT_MAGIC);
	pthread_mutex_lock(&checkpoint->lock);
	pthread_cond_signal(&checkpoint->wakes);
	pthread_mutex_unlock(&checkpoint->lock);
}

static struct gate_waits *waits_of(const struct checkpoint *checkpoint)
{
	return &checkpoint->engine->ports[checkpoint->port].waits;
}

struct checkpoint *checkpoint_new(struct engine *engine, uint16_t port)
{
	struct checkpoint *checkpoint = memory_zeroed(sizeof(*checkpoint));
	checkpoint->magic = CHECKPOINT_MAGIC;
	checkpoint->engine = engine;
	checkpoint->port = port;
	checkpoint->frozen = memory_zeroed(engine->shard_count * sizeof(struct frozen));
	checkpoint->begun_ns = clock_monotonic_ns(engine->clock);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&checkpoint->lock, NULL);
	pthread_cond_init(&checkpoint->wakes, &attributes);
	pthread_condattr_destroy(&attributes);
	uint64_t lowest = UINT64_MAX;
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		uint64_t lsn = tree_lsn(engine->tree, i);
		lowest = lsn < lowest ? lsn : lowest;
	}
	checkpoint->tree_lsn = lowest;
	struct port *door = &engine->ports[port];
	mailbox_init(&door->mailbox, wake, checkpoint);
	gate_waits_set_wake(&door->waits, wake, checkpoint);
	return checkpoint;
}

void checkpoint_free(struct checkpoint **taken)
{
	struct checkpoint *checkpoint = *taken;
	*taken = NULL;
	if (checkpoint == NULL)
		return;
	for (uint16_t i = 0; i < checkpoint->engine->shard_count; i++)
		overlay_free(&checkpoint->frozen[i].overlay);
	pthread_mutex_destroy(&checkpoint->lock);
	pthread_cond_destroy(&checkpoint->wakes);
	memory_free(checkpoint->frozen);
	memory_free(checkpoint);
}

/* --- what the shards are asked ---------------------------------------------------------------- */

static void run_freeze(struct turn *turn)
{
	struct frozen *frozen = turn->state;
	/* Whatever this shard has written has an LSN up to the last one given out. */
	frozen->lsn = gate_appended(frozen->checkpoint->engine->gate);
	frozen->bytes = store_active_bytes(turn->stores[turn->shard]);
	store_freeze(turn->stores[turn->shard], frozen->lsn);
}

static void run_thaw(struct turn *turn)
{
	struct frozen *frozen = turn->state;
	frozen->overlay = store_thaw(turn->stores[turn->shard]);
}

static void run_renew(struct turn *turn)
{
	store_renew(turn->stores[turn->shard]);
}

static const struct command freeze_command = {
	.name = "freeze", .route = ROUTE_KEYS, .run = run_freeze
};
static const struct command thaw_command = { .name = "thaw", .route = ROUTE_KEYS, .run = run_thaw };
static const struct command renew_command = {
	.name = "renew", .route = ROUTE_KEYS, .run = run_renew
};

static void on_asked(struct request **request)
{
	struct frozen *frozen = (*request)->turn.state;
	struct checkpoint *checkpoint = frozen->checkpoint;
	assert(checkpoint->waiting > 0);
	checkpoint->waiting--;
	overlay_free(&frozen->overlay);
}

static void ask_shard(struct checkpoint *checkpoint, uint16_t shard, const struct command *command)
{
	struct frozen *frozen = &checkpoint->frozen[shard];
	frozen->checkpoint = checkpoint;
	checkpoint->waiting++;
	engine_ask(checkpoint->engine, checkpoint->port,
		&(struct question){
			.command = command, .shard = shard, .state = frozen, .told = on_asked });
}

/* --- the states ------------------------------------------------------------------------------- */

/* Of keys that are spread over the tree, a checkpoint writes a page for each few: the fewer
 * checkpoints, the less is written for the same. So age is a reason late, or when nothing has been
 * written for a while: then there is time for it, and what it frees is memory. */
static bool is_old(struct checkpoint *checkpoint)
{
	const struct engine *engine = checkpoint->engine;
	uint64_t appended = gate_appended(engine->gate), now = clock_monotonic_ns(engine->clock);
	if (appended != checkpoint->seen_lsn) {
		checkpoint->seen_lsn = appended;
		checkpoint->seen_ns = now;
	}
	uint64_t age = now - checkpoint->begun_ns;
	return age >= (uint64_t)engine->config->checkpoint_interval_s * NS_PER_S ||
		(age >= QUIET_AGE_NS && now - checkpoint->seen_ns >= QUIET_NS);
}

static bool is_due(struct checkpoint *checkpoint)
{
	const struct engine *engine = checkpoint->engine;
	const struct config *config = engine->config;
	if (checkpoint->asked)
		return true;
	bool is_tight = engine->tree_full || engine_tree_is_near(engine);
	if (gate_appended(engine->gate) == checkpoint->tree_lsn)
		return is_tight && tree_has_dead(engine->tree);
	if (is_tight)
		return true;
	uint64_t overlay = engine->overlay_bytes;
	if (overlay > (uint64_t)config->overlay_bytes_max / OVERLAY_SHARE)
		return true;
	struct gate_stats stats;
	gate_stats(engine->gate, &stats);
	/* All segments but the last come back. */
	if (stats.tight && stats.log.segments > 1)
		return true;
	if (stats.bytes - checkpoint->begun_bytes > (uint64_t)config->checkpoint_log_bytes)
		return true;
	return is_old(checkpoint);
}

static bool begin(struct checkpoint *checkpoint)
{
	if (!is_due(checkpoint))
		return false;
	struct gate_stats stats;
	gate_stats(checkpoint->engine->gate, &stats);
	checkpoint->running = true;
	checkpoint->asked = false;
	checkpoint->begun_ns = clock_monotonic_ns(checkpoint->engine->clock);
	checkpoint->begun_bytes = stats.bytes;
	checkpoint->state = FREEZING;
	for (uint16_t i = 0; i < checkpoint->engine->shard_count; i++)
		ask_shard(checkpoint, i, &freeze_command);
	return true;
}

static void on_durable(struct gate_wait *wait)
{
	struct checkpoint *checkpoint = container_of(wait, struct checkpoint, durable);
	assert(checkpoint->state == SYNCING);
	checkpoint->state = WRITING;
	checkpoint->written = 0;
	checkpoint->keys = 0;
}

static bool await_log(struct checkpoint *checkpoint)
{
	if (checkpoint->waiting)
		return false;
	uint64_t highest = 0;
	for (uint16_t i = 0; i < checkpoint->engine->shard_count; i++) {
		uint64_t lsn = checkpoint->frozen[i].lsn;
		if (lsn > highest)
			highest = lsn;
	}
	checkpoint->state = SYNCING;
	checkpoint->durable.told = on_durable;
	gate_wait_begin(waits_of(checkpoint), &checkpoint->durable, highest);
	return true;
}

/* One transaction, of the shards from `first` on; `*end` is the one behind the last. */
static int write_some(struct checkpoint *checkpoint, uint16_t first, uint16_t *end)
{
	struct engine *engine = checkpoint->engine;
	struct tree_checkpoint *transaction;
	int64_t now_ms = clock_wall_ms(engine->clock);
	int result = tree_checkpoint_begin(engine->tree, &transaction);
	if (result < 0)
		return result;
	size_t bytes = 0;
	*end = first;
	while (*end < engine->shard_count && bytes < TRANSACTION_BYTES && result == 0) {
		uint64_t lsn;
		const struct overlay *overlay = store_frozen(engine->stores[*end], &lsn);
		bytes += checkpoint->frozen[*end].bytes;
		result = tree_checkpoint_shard(transaction, *end, overlay, lsn, now_ms);
		(*end)++;
	}
	if (result == 0)
		return tree_checkpoint_commit(&transaction);
	tree_checkpoint_abort(&transaction);
	return result;
}

static bool write_next(struct checkpoint *checkpoint)
{
	struct engine *engine = checkpoint->engine;
	uint16_t end;
	if (checkpoint->waiting || clock_monotonic_ns(engine->clock) < checkpoint->retry_at_ns)
		return false;
	int result = write_some(checkpoint, checkpoint->written, &end);
	if (result == -ENOSPC || result == -EDQUOT) {
		checkpoint->failed++;
		checkpoint->retry_at_ns = clock_monotonic_ns(engine->clock) + RETRY_NS;
		if (gate_set_store_full(engine->gate, true) && result == -EDQUOT)
			logline(LOGLINE_WARNING,
				"What is full is map-size: start the server with a larger one");
		return false;
	}
	if (result < 0) {
		if (result == -EBADMSG)
			fault_of_data("the data file is damaged: it takes no checkpoint");
		fault("writing the checkpoint failed: %s", strerror(-result));
	}
	gate_set_store_full(engine->gate, false);
	checkpoint->retry_at_ns = 0;
	for (uint16_t i = checkpoint->written; i < end; i++)
		checkpoint->keys +=
			overlay_count(store_frozen(engine->stores[i], &(uint64_t){ 0 }));
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		bool is_written = i >= checkpoint->written && i < end;
		ask_shard(checkpoint, i, is_written ? &thaw_command : &renew_command);
	}
	checkpoint->written = end;
	if (end == engine->shard_count)
		checkpoint->state = THAWING;
	return true;
}

static bool finish(struct checkpoint *checkpoint)
{
	struct engine *engine = checkpoint->engine;
	if (checkpoint->waiting)
		return false;
	uint64_t lowest = UINT64_MAX;
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		const struct frozen *frozen = &checkpoint->frozen[i];
		lowest = frozen->lsn < lowest ? frozen->lsn : lowest;
	}
	gate_recycle(engine->gate, lowest);
	engine_see_tree(engine);
	/* What large overlays have left behind, once there is not much to do. */
	if (engine->overlay_bytes < QUIET_OVERLAY_BYTES)
		memory_give_back(KEPT_FREE_BYTES);
	uint64_t took_ns = clock_monotonic_ns(engine->clock) - checkpoint->begun_ns;
	checkpoint->tree_lsn = lowest;
	checkpoint->last_keys = checkpoint->keys;
	checkpoint->last_duration_ms = took_ns / 1000000;
	checkpoint->last_finished_ms = clock_wall_ms(engine->clock);
	checkpoint->completed++;
	checkpoint->state = IDLE;
	checkpoint->running = false;
	logline(LOGLINE_VERBOSE, "Checkpoint: %llu keys in %llu ms",
		(unsigned long long)checkpoint->keys, (unsigned long long)took_ns / 1000000);
	return true;
}

bool checkpoint_step(struct checkpoint *checkpoint)
{
	bool delivered = engine_deliver(checkpoint->engine, checkpoint->port) > 0;
	switch (checkpoint->state) {
	case IDLE:
		return begin(checkpoint);
	case FREEZING:
		return await_log(checkpoint) || delivered;
	case SYNCING:
		return gate_waits_run(waits_of(checkpoint)) || delivered;
	case WRITING:
		return write_next(checkpoint) || delivered;
	case THAWING:
		return finish(checkpoint) || delivered;
	}
	return false;
}

void checkpoint_request(struct checkpoint *checkpoint)
{
	checkpoint->asked = true;
	wake(checkpoint);
}

bool checkpoint_is_idle(const struct checkpoint *checkpoint)
{
	return !checkpoint->asked && !checkpoint->running;
}

void checkpoint_stats(const struct checkpoint *checkpoint, struct checkpoint_stats *out)
{
	*out = (struct checkpoint_stats){
		.completed = checkpoint->completed,
		.failed = checkpoint->failed,
		.last_finished_ms = checkpoint->last_finished_ms,
		.last_duration_ms = checkpoint->last_duration_ms,
		.last_keys = checkpoint->last_keys,
		.tree_lsn = checkpoint->tree_lsn,
		.running = checkpoint->running,
	};
}

/* --- the thread ------------------------------------------------------------------------------- */

static void *checkpoint_main(void *context)
{
	struct checkpoint *checkpoint = context;
	assert(checkpoint->magic == CHECKPOINT_MAGIC);
	pthread_setname_np(pthread_self(), "holdfast-ckpt");
	/* Of this thread alone on Linux; a refusal only costs smoothness. */
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
	while (!checkpoint->stopping) {
		if (checkpoint_step(checkpoint) || !gate_waits_sleep(waits_of(checkpoint), 0))
			continue;
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += LOOK_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_mutex_lock(&checkpoint->lock);
		pthread_cond_timedwait(&checkpoint->wakes, &checkpoint->lock, &until);
		pthread_mutex_unlock(&checkpoint->lock);
	}
	return NULL;
}

void checkpoint_start(struct checkpoint *checkpoint)
{
	int failed = pthread_create(&checkpoint->thread, NULL, checkpoint_main, checkpoint);
	assert(!failed);
}

void checkpoint_stop(struct checkpoint *checkpoint)
{
	checkpoint->stopping = true;
	wake(checkpoint);
	pthread_join(checkpoint->thread, NULL);
}

void checkpoint_finish(struct checkpoint *checkpoint)
{
	struct engine *engine = checkpoint->engine;
	checkpoint->asked = true;
	checkpoint->retry_at_ns = 0;
	while (!checkpoint_is_idle(checkpoint) && checkpoint->retry_at_ns == 0) {
		bool busy = checkpoint_step(checkpoint);
		for (uint16_t port = 0; port < engine->worker_count; port++)
			busy = engine_deliver(engine, port) > 0 || busy;
		if (!busy && gate_make_durable(engine->gate) < 0 &&
			gate_admission(engine->gate) == GATE_FULL)
			break;
	}
	if (!checkpoint_is_idle(checkpoint))
		logline(LOGLINE_WARNING,
			"The last checkpoint found the disk full; the log keeps everything");
}
