/*
 * reader: bytes -> commands. A guard walks the stream's headers, takes inline commands, enforces
 * Redis's limits with Redis's error texts and lets through only arrays of bulk strings; hiredis'
 * redisReader, fed at most LIMIT_FEED_BYTES at a time, turns those into arguments in the arena of
 * whoever asked.
 *
 * One reader a connection, used by the connection's loop only.
 */
#ifndef RESP_READER_H
#define RESP_READER_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct reader;

struct reader_limits {
	int64_t bulk_bytes_max; /* of one argument; beyond: invalid bulk length */
	int64_t arguments_max;  /* of one command; beyond: invalid multibulk length */
	bool authenticated;     /* false: Redis's small limits for strangers */
};

struct reader *reader_new(void);
void reader_free(struct reader **reader);

/* Gives the reader bytes as they came from the socket, any number, split anywhere. They are
 * borrowed until reader_next returns READER_MORE, which says that all have been taken in. */
void reader_feed(struct reader *reader, struct slice bytes);

/* Takes what is left of the fed bytes into memory of its own, so that the lender may use his again
 * before READER_MORE: for whoever stops in the middle of a pipeline. */
void reader_hold(struct reader *reader);

enum reader_result {
	READER_COMMAND, /* one whole command */
	READER_MORE,    /* needs more bytes */
	READER_ERROR,   /* protocol error: reader_error says which; nothing more can be read */
	/* the bytes are another protocol's: reader_error says which they look like, and nobody is
	 * there who would understand an answer; nothing more can be read */
	READER_FOREIGN,
};

/* The next command. `*arguments` (count >= 1) and their bytes are allocated in `arena`, which must
 * be the same until READER_COMMAND was returned. Empty lines, `*0` and negative counts are skipped.
 */
enum reader_result reader_next(struct reader *reader, const struct reader_limits *limits,
	struct arena *arena, struct slice **arguments, uint32_t *count);

/* The error line for the client, without the leading '-' and the line end; or "an HTTP request" and
 * the like. */
const char *reader_error(const struct reader *reader);
/* Bytes held for a command that is not whole yet. */
size_t reader_bytes(const struct reader *reader);

#endif
