/*
 * report: what objects tell the server's log: lines of classes, and what went wrong. An error can
 * come a thousand times a second, so of each class and worker only some lines a while are written,
 * and the next one says how many were not.
 *
 * Threads: the worker's.
 */
#ifndef OBJECT_REPORT_H
#define OBJECT_REPORT_H

#include "base/slice.h"
#include "object/object_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct fetch;
struct objects;

/* Of what stands for a class on a worker; zero at first. */
struct report_limit {
	int64_t until_ms; /* steady: when the while that runs is over */
	uint32_t written; /* in it */
	uint64_t unwritten;
};

/* Hosts that a worker remembers having refused. */
#define REPORT_HOSTS_MAX 256

struct report_hosts {
	uint64_t seen[REPORT_HOSTS_MAX];
	uint32_t count;
};

/* A name as it is shown, with the terminator. */
#define REPORT_NAME_BYTES 400

/* `Shop 'corner'`: of a long id the beginning, with \xHH for what is no plain text. */
void report_name(const struct object_name *name, char out[REPORT_NAME_BYTES]);
/* One line, at a level of logline.h. `call` says it; NULL: the server. */
void report_say(struct objects *objects, const struct call *call, int level, const char *format,
	...) __attribute__((format(printf, 4, 5)));
/* A failure of an object's code; `traceback` may be empty. */
void report_error(struct objects *objects, struct report_limit *limit,
	const struct object_name *name, const char *error, const char *traceback);
/* A run that the server began has failed. `tries` of its runs have, and `again_ms` from now is the
 * next; negative: there is none. */
void report_job(struct objects *objects, struct report_limit *limit, const struct due *due,
	const char *error, uint32_t tries, int64_t again_ms);
/* http.fetch was not let through: once for each host. */
void report_refused(
	struct objects *objects, const struct object_name *name, const struct fetch *fetch);

#endif
