/*
 * job: a call that the server makes by itself: an alarm, a schedule, a wake. What falls due, and
 * what becomes of its entry in the index when the call has ended, is the business of the room
 * schedule/. What objects ask of it stands here, and it fills it in (schedule/scheduler.h).
 *
 *   the schedule's run -> objects_start_job -> call: begin .. conclude -> ended
 *
 * Threads: the worker's.
 */
#ifndef OBJECT_JOB_H
#define OBJECT_JOB_H

#include "object/objects.h"

struct scheduler;

struct objects_job {
	struct due due; /* DUE_ALARM, DUE_SCHEDULE, DUE_WAKE; its slices must live until `ended` */
	struct slice method;   /* of the schedule or wake */
	struct slice argument; /* packed; empty: none. A wake's is a table whose items are the
				  arguments */
	int64_t scheduled_ms;  /* info.scheduled_time */
	uint32_t tries;        /* info.retry_count */
	uint32_t serial;       /* the alarm's */
	/* On the worker, when its last turn has been committed. */
	void (*ended)(struct objects_job *job);
	void *context;
};

enum job_outcome {
	JOB_DONE,
	JOB_FAILED,    /* counted, `error` says why */
	JOB_NO_CLASS,  /* not loaded: tried again later, uncounted */
	JOB_NO_METHOD, /* given up at once */
};

/* Starts it; from the loop or a job's `ended`, not from within a turn. */
void objects_start_job(struct objects *objects, struct objects_job *job);

/* What a worker's objects ask of its scheduler, which they make and free. */
struct objects_schedule {
	struct scheduler *(*open)(struct objects *objects);
	void (*free)(struct scheduler **scheduler);
	/* Starts what is due. */
	void (*run)(struct scheduler *scheduler, int64_t now_ms);
	/* When `run` has something to do next, wall clock; INT64_MAX: nothing is filed. */
	int64_t (*next_ms)(const struct scheduler *scheduler);
	/* An entry was filed in this shard. */
	void (*note)(struct scheduler *scheduler, uint16_t shard, int64_t at_ms);
	/* Nothing is started any more. */
	void (*quiesce)(struct scheduler *scheduler);
	/* In the job's first turn: whether it is still due as its entry says. An alarm that was
	 * replaced or an object that has ended is not. Fills the job's scheduled_ms, tries, serial,
	 * method and argument from the storage. */
	bool (*begin)(struct storage *storage, struct objects_job *job);
	/* In the job's last turn, with the object's storage open: the entry leaves the index, or is
	 * filed anew, as the outcome and the retry table say. `begin` was true. A turn that is not
	 * committed concludes nothing: another has to. */
	void (*conclude)(struct scheduler *scheduler, struct storage *storage,
		const struct objects_job *job, enum job_outcome outcome, const char *error);
};

#endif
