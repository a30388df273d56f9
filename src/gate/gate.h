/*
 * gate: the output gate. Turns append their records and get LSNs; one step writes what has
 * collected and syncs it once; replies leave when what they depend on is durable.
 *
 * Threads: gate_append, gate_durable and the like: any. gate_step: one at a time, by whoever gets
 * hold of it (the log thread, or a loop that has nothing else to do). gate_keeper_step: the keeper
 * thread.
 */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include "base/clock.h"
#include "config/config.h"
#include "gate/pace.h"
#include "log/log.h"

struct gate;

/* Empty log segments kept ready: two take whatever may be collecting or being written, the others
 * give the keeper time. */
#define GATE_LOG_SPARES 3

struct gate *gate_new(struct log *log, const struct config *config, struct clock *clock);
void gate_free(struct gate **gate);

/* Starts and stops the log thread and the keeper. Stopping first makes everything durable. */
void gate_start(struct gate *gate);
void gate_stop(struct gate *gate);

/* Appends one record to the batch being collected and returns its LSN. Effects must encode to at
 * most gate_record_bytes_max. */
uint64_t gate_append(struct gate *gate, const struct effect *effects, size_t count);
size_t gate_record_bytes_max(const struct gate *gate);
/* Whether the log has, or can make, room for a record of so many bytes: else the disk is full for
 * it. */
bool gate_can_hold(const struct gate *gate, size_t bytes);
/* What has been appended may go to disk: the log thread is woken, unless it gathers. */
void gate_kick(struct gate *gate);
/* Records appended and not yet durable. */
uint64_t gate_waiting(const struct gate *gate);
/* The calling loop does the step itself, when nobody else is at it (else as gate_kick). */
void gate_step_here(struct gate *gate);
/* A loop's tick ends: what it appended goes on its way, as the loop's pace says. `is_held`:
 * commands wait to be admitted. True: the loop's next poll must not wait. */
bool gate_end_tick(struct gate *gate, struct pace *pace, bool is_held);

/* LSN of the last record appended; of the last one that a crash cannot take back. */
uint64_t gate_appended(const struct gate *gate);
uint64_t gate_durable(const struct gate *gate);
/* Replies that depend on nothing above this may leave: the durable LSN, or any under `durability
 * everysec`. */
uint64_t gate_released(const struct gate *gate);

enum gate_admission {
	GATE_OPEN,
	GATE_BUSY,   /* the log is behind: hold writes back */
	GATE_SHRINK, /* the data is as large as it may be: refuse writes but those that shrink it */
	GATE_FULL,   /* the disk is full: refuse writes */
};
enum gate_admission gate_admission(const struct gate *gate);
/* Another part met a full disk (or no longer does): writes are refused meanwhile. True when that is
 * news. */
bool gate_set_store_full(struct gate *gate, bool full);

/* One round: 1 when something was made durable, 0 when there was nothing to do, -EAGAIN when no log
 * segment was ready (gate_keeper_step first). Other failures of the disk end the process. */
int gate_step(struct gate *gate);
/* Makes what has been appended durable now, also under `everysec`. 0; -EAGAIN when no log segment
 * is ready. */
int gate_make_durable(struct gate *gate);
/* Makes log segments ready; 0, or -ENOSPC. */
int gate_keeper_step(struct gate *gate);
/* Everything up to `lsn` is in the tree: its log segments may be used again. */
void gate_recycle(struct gate *gate, uint64_t lsn);

struct gate_stats {
	uint64_t appended_lsn;
	uint64_t durable_lsn;
	uint64_t batches; /* written */
	uint64_t records; /* in them */
	uint64_t bytes;   /* in them */
	uint64_t syncs;
	uint64_t sync_ns_total;
	uint64_t sync_ns_max;
	uint64_t sync_ns_last;
	uint64_t pending_bytes; /* collected, not yet written */
	bool full;
	bool tight; /* the log lacks segments that the disk has no room for */
	struct log_usage log;
};
void gate_stats(const struct gate *gate, struct gate_stats *out);

#endif
