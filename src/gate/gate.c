/*
 * gate: turns append, one step makes durable, loops release.
 *
 *   gate_append (any thread)        gate_step (one at a time)            loops
 *   number, encode into the   -->   take the oldest batch, write it, --> compare each reply's LSN
 *   collecting batch                sync once, advance durable LSN       with gate_released
 *
 * While one batch is written and synced, the next collects: that is the group commit.
 *
 * Locks: `lock` covers the waiting batches and is held for the time of encoding one record, never
 * over a disk call. `step_lock` makes steps exclusive; `lock` may be taken inside it, not the other
 * way.
 *
 * Failures: a failed write or sync is a durability fault. Nothing that depended on it was released;
 * the process says so and aborts, and recovery replays what did reach the disk. A full disk is met
 * earlier, by the keeper, which makes segments ahead of need: while it cannot, writes are refused,
 * and the segments already there take what had been let in. A record that is larger than those, and
 * that the disk has no room for, is to be refused before it is made (gate_can_hold): others would
 * wait behind it.
 */
#include "gate/gate_private.h"

#include "base/fault.h"
#include "base/logline.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Bytes collected and not yet written at which writes are held back: some syncs' worth of the
 * fastest disks, so the log is never short of work and memory stays small. */
#define PENDING_BYTES_MAX (32u << 20)
#define BATCH_KEEP_BYTES  (4u << 20)
#define EVERYSEC_NS       1000000000u

static void see_spares(struct gate *gate, struct log_usage *usage)
{
	log_usage(gate->log, usage);
	atomic_store_explicit(&gate->spares_seen, usage->spares, memory_order_relaxed);
}

struct gate *gate_new(struct log *log, const struct config *config, struct clock *clock)
{
	struct gate *gate = memory_zeroed(sizeof(*gate));
	gate->magic = GATE_MAGIC;
	gate->log = log;
	gate->config = config;
	gate->clock = clock;
	gate->next_lsn = log_next_lsn(log);
	gate->written_lsn = gate->next_lsn - 1;
	atomic_init(&gate->appended_lsn, gate->next_lsn - 1);
	atomic_init(&gate->durable_lsn, gate->next_lsn - 1);
	pthread_mutex_init(&gate->lock, NULL);
	pthread_mutex_init(&gate->step_lock, NULL);
	struct log_usage usage;
	see_spares(gate, &usage);
	return gate;
}

static void batch_free(struct gate_batch *batch)
{
	if (batch == NULL)
		return;
	log_batch_fini(&batch->batch);
	memory_free(batch);
}

void gate_free(struct gate **gate)
{
	struct gate *freed = *gate;
	*gate = NULL;
	if (freed == NULL)
		return;
	assert(!freed->threads_running);
	while (freed->first) {
		struct gate_batch *batch = freed->first;
		freed->first = batch->next;
		batch_free(batch);
	}
	batch_free(freed->spare);
	pthread_mutex_destroy(&freed->lock);
	pthread_mutex_destroy(&freed->step_lock);
	memory_free(freed);
}

/* Under `lock`. */
static void want_keeper(struct gate *gate)
{
	gate->keeper_wanted = true;
	if (gate->keeper_asleep)
		pthread_cond_signal(&gate->keeper_wakes);
}

/* Under `lock`: an empty batch behind the others. */
static void start_batch(struct gate *gate)
{
	struct gate_batch *batch = gate->spare;
	gate->spare = NULL;
	if (batch == NULL) {
		batch = memory_zeroed(sizeof(*batch));
		log_batch_init(&batch->batch);
	}
	batch->next = NULL;
	batch->batch.first_lsn = gate->next_lsn;
	log_batch_place(
		&batch->batch, gate->last ? log_batch_end(&gate->last->batch) : gate->taken_end);
	if (gate->last)
		gate->last->next = batch;
	else
		gate->first = batch;
	gate->last = batch;
}

uint64_t gate_append(struct gate *gate, const struct effect *effects, size_t count)
{
	size_t size = record_size(effects, count);
	assert(size <= gate_record_bytes_max(gate));
	pthread_mutex_lock(&gate->lock);
	size_t room = log_room(gate->log);
	if (size > room) {
		log_need(gate->log, size);
		want_keeper(gate);
	}
	if (gate->last == NULL || gate->last->batch.size + size > room)
		start_batch(gate);
	log_batch_add(&gate->last->batch, effects, count);
	uint64_t lsn = gate->next_lsn++;
	gate->pending_bytes += size;
	gate->pending_records++;
	atomic_store_explicit(&gate->pending_bytes_seen, gate->pending_bytes, memory_order_relaxed);
	atomic_store_explicit(&gate->appended_lsn, lsn, memory_order_release);
	pthread_mutex_unlock(&gate->lock);
	return lsn;
}

size_t gate_record_bytes_max(const struct gate *gate)
{
	return log_batch_bytes_max(gate->log);
}

bool gate_can_hold(const struct gate *gate, size_t bytes)
{
	return log_can_hold(gate->log, bytes);
}

uint64_t gate_appended(const struct gate *gate)
{
	return atomic_load_explicit(&gate->appended_lsn, memory_order_acquire);
}

uint64_t gate_durable(const struct gate *gate)
{
	return atomic_load(&gate->durable_lsn);
}

uint64_t gate_waiting(const struct gate *gate)
{
	return gate_appended(gate) - gate_durable(gate);
}

uint64_t gate_released(const struct gate *gate)
{
	return gate->config->durability == DURABILITY_ALWAYS ? gate_durable(gate) : UINT64_MAX;
}

enum gate_admission gate_admission(const struct gate *gate)
{
	if (atomic_load_explicit(&gate->log_full, memory_order_relaxed) ||
		atomic_load_explicit(&gate->store_full, memory_order_relaxed))
		return GATE_FULL;
	size_t pending = atomic_load_explicit(&gate->pending_bytes_seen, memory_order_relaxed);
	/* What is let in must find a segment: without one it waits, or is refused when full. */
	if (atomic_load_explicit(&gate->spares_seen, memory_order_relaxed) == 0)
		return GATE_BUSY;
	size_t half_segment = log_room(gate->log) / 2;
	size_t most = half_segment < PENDING_BYTES_MAX ? half_segment : PENDING_BYTES_MAX;
	return pending > most ? GATE_BUSY : GATE_OPEN;
}

bool gate_set_store_full(struct gate *gate, bool full)
{
	bool changes = atomic_exchange(&gate->store_full, full) != full;
	if (changes)
		logline(LOGLINE_WARNING,
			full ? "The disk is full: writes are refused, reads go on"
			     : "There is room on the disk again: writes go on");
	return changes;
}

bool gate_sync_is_due(const struct gate *gate)
{
	if (gate->written_lsn == gate_durable(gate))
		return false;
	return gate->config->durability == DURABILITY_ALWAYS ||
		clock_monotonic_ns(gate->clock) - gate->last_sync_ns >= EVERYSEC_NS;
}

__attribute__((noreturn)) static void durability_fault(const char *what, int error)
{
	fault("%s of the log failed: %s", what, strerror(-error));
}

static struct gate_batch *take_batch(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	struct gate_batch *batch = gate->first;
	if (batch) {
		gate->first = batch->next;
		if (gate->first == NULL)
			gate->last = NULL;
		gate->taken_end = log_batch_end(&batch->batch);
	}
	pthread_mutex_unlock(&gate->lock);
	return batch;
}

static void put_back(struct gate *gate, struct gate_batch *batch)
{
	pthread_mutex_lock(&gate->lock);
	batch->next = gate->first;
	gate->first = batch;
	if (gate->last == NULL)
		gate->last = batch;
	want_keeper(gate);
	pthread_mutex_unlock(&gate->lock);
}

/* 1: wrote a batch; 0: nothing waits; -EAGAIN: no segment is ready. */
static int write_one(struct gate *gate)
{
	struct gate_batch *batch = take_batch(gate);
	if (batch == NULL)
		return 0;
	log_set_direct(gate->log, gate->config->durability == DURABILITY_ALWAYS);
	int result = log_write(gate->log, &batch->batch);
	if (result == -EAGAIN) {
		put_back(gate, batch);
		return -EAGAIN;
	}
	if (result < 0)
		durability_fault("writing", result);
	gate->written_lsn = batch->batch.first_lsn + batch->batch.count - 1;
	atomic_fetch_add_explicit(&gate->batches, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&gate->records, batch->batch.count, memory_order_relaxed);
	atomic_fetch_add_explicit(&gate->bytes, batch->batch.size, memory_order_relaxed);

	struct log_usage usage;
	see_spares(gate, &usage);
	size_t size = batch->batch.size;
	uint32_t records = batch->batch.count;
	log_batch_clear(&batch->batch, BATCH_KEEP_BYTES);
	struct gate_batch *surplus = batch;
	pthread_mutex_lock(&gate->lock);
	gate->pending_bytes -= size;
	gate->pending_records -= records;
	atomic_store_explicit(&gate->pending_bytes_seen, gate->pending_bytes, memory_order_relaxed);
	if (gate->spare == NULL) {
		gate->spare = batch;
		surplus = NULL;
	}
	if (usage.spares < GATE_LOG_SPARES)
		want_keeper(gate);
	pthread_mutex_unlock(&gate->lock);
	batch_free(surplus);
	return 1;
}

static void count_crowd(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	pace_synced(&gate->crowd, gate_waiting(gate));
	pthread_mutex_unlock(&gate->lock);
}

static void sync_written(struct gate *gate)
{
	uint64_t started = clock_monotonic_ns(gate->clock);
	int result = log_sync(gate->log);
	if (result < 0)
		durability_fault("syncing", result);
	uint64_t ended = clock_monotonic_ns(gate->clock);
	uint64_t took = ended - started;
	gate->last_sync_ns = ended;
	atomic_fetch_add_explicit(&gate->syncs, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&gate->sync_ns_total, took, memory_order_relaxed);
	atomic_store_explicit(&gate->sync_ns_last, took, memory_order_relaxed);
	if (took > atomic_load_explicit(&gate->sync_ns_max, memory_order_relaxed))
		atomic_store_explicit(&gate->sync_ns_max, took, memory_order_relaxed);
	count_crowd(gate);
	/* In this order: see gate_wait.c. */
	atomic_store(&gate->durable_lsn, gate->written_lsn);
	for (struct gate_waits *waits = gate->waits; waits; waits = waits->next)
		gate_waits_wake(waits, gate->written_lsn);
}

int gate_step(struct gate *gate)
{
	pthread_mutex_lock(&gate->step_lock);
	int result = write_one(gate);
	if (gate_sync_is_due(gate)) {
		sync_written(gate);
		if (result == 0)
			result = 1;
	}
	pthread_mutex_unlock(&gate->step_lock);
	return result;
}

int gate_make_durable(struct gate *gate)
{
	int result = 0;
	while (result >= 0 && gate_waiting(gate) > 0) {
		gate->last_sync_ns = 0;
		result = gate_step(gate);
	}
	return result < 0 ? result : 0;
}

void gate_step_here(struct gate *gate)
{
	if (pthread_mutex_trylock(&gate->step_lock) != 0) {
		gate_kick(gate);
		return;
	}
	int result = write_one(gate);
	if (gate_sync_is_due(gate))
		sync_written(gate);
	pthread_mutex_unlock(&gate->step_lock);
	/* No segment was ready, or there was more than one batch: the log thread goes on. */
	if (result == -EAGAIN || gate_waiting(gate) > 0)
		gate_kick(gate);
}

bool gate_end_tick(struct gate *gate, struct pace *pace, bool is_held)
{
	struct pace_tick tick = {
		.waiting = gate_waiting(gate),
		.is_held = is_held,
		.may_step = gate->config->durability == DURABILITY_ALWAYS,
	};
	switch (pace_end_tick(pace, &tick)) {
	case PACE_NOTHING:
		return false;
	case PACE_READ_ON:
		return true;
	case PACE_KICK:
		gate_kick(gate);
		return false;
	case PACE_STEP:
		gate_step_here(gate);
		return false;
	}
	return false;
}

int gate_keeper_step(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	uint64_t recycle_lsn = gate->recycle_lsn;
	gate->keeper_wanted = false;
	pthread_mutex_unlock(&gate->lock);

	int result = log_recycle(gate->log, recycle_lsn);
	if (result == 0)
		result = log_prepare(gate->log);
	/* Descriptors run out and come back as room does. */
	bool no_room = result == -ENOSPC || result == -EMFILE || result == -ENFILE;
	if (result < 0 && !no_room)
		durability_fault("making a segment", result);

	struct log_usage usage;
	see_spares(gate, &usage);
	gate->log_tight = no_room;
	/* Two segments take whatever may still be collecting or being written. */
	bool full = no_room && usage.spares < 2;
	if (atomic_exchange(&gate->log_full, full) != full)
		logline(LOGLINE_WARNING,
			full ? "The disk has no room for the log: writes are refused, reads go on"
			     : "There is room for the log again: writes go on");
	return result;
}

void gate_recycle(struct gate *gate, uint64_t lsn)
{
	pthread_mutex_lock(&gate->lock);
	assert(lsn <= gate_durable(gate));
	if (lsn > gate->recycle_lsn)
		gate->recycle_lsn = lsn;
	want_keeper(gate);
	if (gate->keeper_retries)
		pthread_cond_signal(&gate->keeper_wakes);
	pthread_mutex_unlock(&gate->lock);
}

void gate_stats(const struct gate *gate, struct gate_stats *out)
{
	*out = (struct gate_stats){
		.appended_lsn = gate_appended(gate),
		.durable_lsn = gate_durable(gate),
		.batches = gate->batches,
		.records = gate->records,
		.bytes = gate->bytes,
		.syncs = gate->syncs,
		.sync_ns_total = gate->sync_ns_total,
		.sync_ns_max = gate->sync_ns_max,
		.sync_ns_last = gate->sync_ns_last,
		.pending_bytes = gate->pending_bytes_seen,
		.full = gate->log_full || gate->store_full,
		.tight = gate->log_tight,
	};
	log_usage(gate->log, &out->log);
}
