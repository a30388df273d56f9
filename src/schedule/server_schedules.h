/*
 * server_schedules: the configuration's `schedule` lines, each a DO.WAKE by the clock. The worker
 * of shard 0 runs them. When a line ran last is written on shard 0 (TABLE_CRON) before its run
 * begins: a run that was missed while the server was down is made up for once, however many there
 * were; a line that is new waits for its next time.
 *
 * Threads: the worker of shard 0.
 */
#ifndef SCHEDULE_SERVER_SCHEDULES_H
#define SCHEDULE_SERVER_SCHEDULES_H

#include "base/cron.h"
#include "schedule/scheduler_private.h"

/* CRON CLASS METHOD [PREFIX p] */
#define SERVER_SCHEDULE_WORDS_MAX 5

struct server_schedule {
	struct server_schedules *schedules;
	struct slice words[SERVER_SCHEDULE_WORDS_MAX]; /* the configuration's */
	uint32_t word_count;
	struct cron cron;
	uint64_t hash; /* of the words: its key */
	int64_t next_ms;
	bool under_way;
};

struct server_schedules {
	struct scheduler *scheduler;
	const struct command *wake; /* DO.WAKE; a test's own */
	struct server_schedule *lines;
	uint32_t count;
	enum { SCHEDULES_UNREAD, SCHEDULES_READING, SCHEDULES_READY } state;
};

/* `config` NULL: no lines. */
struct server_schedules *server_schedules_new(struct scheduler *scheduler, struct config *config);
void server_schedules_free(struct server_schedules **schedules);
/* Begins what is due. The log is not behind. */
void server_schedules_run(struct server_schedules *schedules, int64_t now_ms);
/* The clock went back: no line waits longer than to its next time. */
void server_schedules_follow(struct server_schedules *schedules, int64_t now_ms);
/* When there is something to do next; INT64_MAX: nothing. */
int64_t server_schedules_next_ms(const struct server_schedules *schedules);

#endif
