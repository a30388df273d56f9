/*
 * logline: the lines that the server writes about itself, one event a line. (The write-ahead log is
 * another thing: src/log.)
 */
#ifndef BASE_LOGLINE_H
#define BASE_LOGLINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum logline_level { LOGLINE_DEBUG, LOGLINE_VERBOSE, LOGLINE_NOTICE, LOGLINE_WARNING };

/* `path` "" is standard output. 0, or negative errno when the file cannot be opened. Before there
 * are threads. */
int logline_open(const char *path);
/* Opens the file of that path anew, for whoever has moved it. 0; or negative errno, and lines go on
 * to the old one. */
int logline_reopen(void);
/* Lines below `level` are not written; safe from every thread at any time. */
void logline_set_level(enum logline_level level);
/* One line; safe from every thread. `format` has no newline. */
void logline(enum logline_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Keeps lines from flooding the log that others can cause at will. */
struct logline_rate {
	_Atomic int64_t next_ms;
	_Atomic uint64_t withheld;
};
/* Whether a line may be written now, which is true once every `every_ms`; `*withheld` is how many
 * were not since the last. Safe from every thread. */
bool logline_may(struct logline_rate *rate, int64_t now_ms, int64_t every_ms, uint64_t *withheld);

#endif
