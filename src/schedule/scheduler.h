/*
 * scheduler: runs what is due in a worker's shards: alarms, schedules, wakes, ends of lives,
 * sweeps. The index of what is due is in the store (TABLE_DUE), in the order of time, and never
 * held in memory: of each shard only the time of its first entry is known. When that has come, a
 * turn of the shard takes as many entries as may run at once (alarm-concurrency) and starts a job
 * for each; an entry stays in the index until the job's last turn takes it out, in one change with
 * the job's effects. So a job runs at least once, and what it did appears exactly once.
 *
 * Retries (the original's table): after 2, 4, 8, 16, 32, 64 seconds plus up to a quarter of jitter;
 * then the run is given up and noted (TABLE_FAILED, kept LIMIT_FAILED_LIFE_MS). A schedule goes on
 * with its next time. A wake is not tried again. A class that is not loaded is not an error of its
 * own: its entries are tried again every minute, uncounted.
 *
 * Threads: its worker's.
 */
#ifndef SCHEDULE_SCHEDULER_H
#define SCHEDULE_SCHEDULER_H

#include "object/job.h"

/* What objects_options.schedule is. */
extern const struct objects_schedule scheduler_of_objects;

/* As struct objects_schedule says. */
struct scheduler *scheduler_new(struct objects *objects);
void scheduler_free(struct scheduler **scheduler);
void scheduler_run(struct scheduler *scheduler, int64_t now_ms);
int64_t scheduler_next_ms(const struct scheduler *scheduler);
void scheduler_note(struct scheduler *scheduler, uint16_t shard, int64_t at_ms);
void scheduler_quiesce(struct scheduler *scheduler);
bool scheduler_begin(struct storage *storage, struct objects_job *job);
void scheduler_conclude(struct scheduler *scheduler, struct storage *storage,
	const struct objects_job *job, enum job_outcome outcome, const char *error);

#endif
