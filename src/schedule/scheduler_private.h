/*
 * scheduler_private: what scheduler.c, scheduler_conclude.c and server_schedules.c share, and what
 * tests put in place of the world.
 */
#ifndef SCHEDULE_SCHEDULER_PRIVATE_H
#define SCHEDULE_SCHEDULER_PRIVATE_H

#include "base/hash_table.h"
#include "base/list.h"
#include "base/random.h"
#include "schedule/scheduler.h"

/* The longest that a run waits for a retry: the last delay and its jitter. */
#define SCHEDULER_RETRY_MS_MAX 80000

struct server_schedules;

/* One entry of the index that is being dealt with: a call of a class, or a turn or more of the
 * scheduler's own (DUE_EXPIRE, DUE_SWEEP). */
struct scheduled_job {
	struct objects_job job;
	struct scheduler *scheduler;
	struct due_shard *shard;
	struct hash_node by_key;
	struct list_node in_list; /* just taken, or waiting for its next turn */
	bool gone;                /* its entry has left the index */
	bool done;                /* DUE_EXPIRE, DUE_SWEEP: nothing is left to do */
	char *copied;             /* what job.method and job.argument point into */
	struct slice key;         /* of its entry; job.due points into it */
};

/* What is known of one shard's index: nothing that is not running stands before `next_ms`. */
struct due_shard {
	struct scheduler *scheduler;
	uint16_t number;
	bool scanning; /* a scan is under way */
	int64_t next_ms;
	char *from; /* the first key that does not run; NULL: its time alone is known */
	size_t from_size;
	struct list taken; /* jobs, by the scan under way */

	/* scheduler_clock.c's */
	char *look_from; /* the first key to look at again; NULL: there is nothing to look at */
	size_t look_from_size;
	bool looking; /* a turn that looks is under way */
	bool is_marked;
	int64_t mark_ms; /* the latest time that is on disk */
};

struct scheduler {
	struct objects *objects;
	struct engine *engine;
	uint16_t port;
	/* objects_start_job; a test's own */
	void (*start)(struct objects *objects, struct objects_job *job);
	struct random random; /* for jitter */

	struct due_shard *shards;
	uint32_t shard_count;
	uint32_t shard_first; /* is looked at first: all have their turn when slots are short */
	struct hash_table running; /* jobs by their entries' keys */
	struct list unfinished;    /* DUE_EXPIRE, DUE_SWEEP: go on in scheduler_run */
	int64_t clock_ms;          /* the latest time seen */
	int64_t hold_ms;           /* the log was behind: nothing is begun before; 0: it was not */
	const struct due *swept;   /* within a turn of this sweep */
	bool quiesced;
	struct server_schedules *schedules; /* NULL: another worker's */
};

/* engine_ask of one of its shards. */
void scheduler_ask(struct scheduler *scheduler, const struct command *command, uint16_t shard,
	void *state, void (*told)(struct request **request));
/* An entry may stand at this time. */
void scheduler_look_at(struct due_shard *shard, int64_t at_ms);
/* The scheduler's own job; NULL for somebody else's. */
struct scheduled_job *scheduler_own(const struct objects_job *job);

/* Of an entry of the index: what its key says. */
void scheduler_parse_due(const struct due_shard *shard, struct slice key, struct due *out);
bool scheduler_is_running(struct scheduler *scheduler, struct slice key);

/* scheduler_clock.c: in each run, before anything is begun. */
void scheduler_follow_clock(struct scheduler *scheduler, int64_t now_ms);
/* It wants to be called again. */
bool scheduler_has_to_look(const struct scheduler *scheduler);
/* In turns of the shard: what time it was when jobs were begun last; that they are now. */
void scheduler_read_mark(struct turn *turn, struct due_shard *shard);
void scheduler_write_mark(struct turn *turn, struct due_shard *shard);
/* A schedule's first regular time after now; INT64_MAX: its line says none. */
int64_t scheduler_regular_ms(const struct schedule *schedule, int64_t now_ms);

/* Files a wake for another time, at which no other call of the same method stands. */
void scheduler_move_wake(struct storage *storage, const struct due *due, int64_t to_ms);
/* Whether the object has what the entry tells of, due at the entry's time. */
bool scheduler_is_claimed(struct storage *storage, const struct due *due);
/* Takes the entry out of the index, if it is there. */
void scheduler_unfile(struct storage *storage, const struct due *due);

#endif
