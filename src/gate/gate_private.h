/*
 * The gate's inside, shared by its step (gate.c) and its threads (gate_thread.c).
 */
#ifndef GATE_GATE_PRIVATE_H
#define GATE_GATE_PRIVATE_H

#include "gate/gate_wait.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Batches that have collected and wait for the step, in order. Two suffice in the ordinary run: one
 * being written, one collecting; more when single records are as large as a segment. */
struct gate_batch {
	struct gate_batch *next;
	struct log_batch batch;
};

#define GATE_MAGIC 0x67617465u /* where a pointer has come through a thread */

struct gate {
	uint32_t magic;
	const struct config *config;
	struct clock *clock;
	struct log *log;
	struct gate_waits *waits; /* of all threads */

	/* under `lock` */
	pthread_mutex_t lock;
	struct gate_batch *first; /* oldest waiting */
	struct gate_batch *last;  /* collecting */
	struct gate_batch *spare;
	size_t taken_end; /* log_batch_end of the one that was taken last */
	uint64_t next_lsn;
	size_t pending_bytes;
	uint64_t pending_records;
	struct pace_crowd crowd;
	bool stopping;
	bool log_asleep;
	bool keeper_asleep;
	bool keeper_wanted;
	bool keeper_retries; /* waits for room: recycled segments are */
	uint64_t recycle_lsn;

	pthread_cond_t log_wakes;
	pthread_cond_t keeper_wakes;
	pthread_t log_thread;
	pthread_t keeper_thread;
	bool threads_running;

	/* whoever steps */
	pthread_mutex_t step_lock;
	_Atomic uint64_t written_lsn; /* handed to the disk, perhaps not synced */
	_Atomic uint64_t last_sync_ns;

	/* any */
	_Atomic uint64_t appended_lsn;
	_Atomic uint64_t durable_lsn;
	_Atomic size_t pending_bytes_seen;
	_Atomic int spares_seen; /* empty segments ready, when last looked */
	_Atomic bool log_full;
	_Atomic bool log_tight; /* spares are missing for which the disk has no room */
	_Atomic bool store_full;
	_Atomic uint64_t batches;
	_Atomic uint64_t records;
	_Atomic uint64_t bytes;
	_Atomic uint64_t syncs;
	_Atomic uint64_t sync_ns_total;
	_Atomic uint64_t sync_ns_max;
	_Atomic uint64_t sync_ns_last;
};

/* Written but not yet synced, which `everysec` leaves for up to a second. */
bool gate_sync_is_due(const struct gate *gate);

#endif
