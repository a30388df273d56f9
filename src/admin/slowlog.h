/*
 * slowlog: the commands that took long, newest first, for SLOWLOG. Any thread.
 */
#ifndef ADMIN_SLOWLOG_H
#define ADMIN_SLOWLOG_H

#include "request/request.h"
#include "resp/writer.h"

struct slowlog;

struct slowlog *slowlog_new(void);
void slowlog_free(struct slowlog **slowlog);

/* Notes a request whose arguments are still there, on the thread of its connection; passwords among
 * the arguments are not kept. `time_s`: wall clock. Of more than `entries_max` entries the oldest
 * are dropped. */
void slowlog_add(struct slowlog *slowlog, const struct request *request, uint64_t duration_us,
	int64_t time_s, int64_t entries_max);
size_t slowlog_length(struct slowlog *slowlog);
/* Drops all entries; ids go on. */
void slowlog_reset(struct slowlog *slowlog);
/* The reply of SLOWLOG GET: the newest `count` entries. */
void slowlog_write(struct slowlog *slowlog, struct writer *writer, size_t count);

#endif
