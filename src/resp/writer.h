/*
 * writer: values -> RESP bytes, typed by the connection's protocol (2 or 3). What RESP2 lacks is
 * written as RESP2 clients know it: a map as a flat array, null as a null bulk, a double as a bulk,
 * a boolean as 1 or 0. Source: the RESP3 specification and Redis 7.2's replies.
 */
#ifndef RESP_WRITER_H
#define RESP_WRITER_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct writer {
	struct buffer *out;
	int protocol; /* 2 or 3 */
	/* `out` gets no bulk that would make it longer; 0: no limit. What did not fit is left out
	 * and `full` set: whoever set the limit then answers something else. */
	size_t limit;
	bool full;
};

void writer_ok(struct writer *writer);
void writer_simple(struct writer *writer, const char *text);
/* `format` starts with the code word (errors.h). CR and LF in the text become blanks. */
void writer_error(struct writer *writer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void writer_integer(struct writer *writer, int64_t value);
void writer_bulk(struct writer *writer, struct slice bytes);
void writer_bulk_text(struct writer *writer, const char *text);
void writer_bulk_format(struct writer *writer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* `_` or `$-1`; the array form is `_` or `*-1`. */
void writer_null(struct writer *writer);
void writer_null_array(struct writer *writer);
void writer_array(struct writer *writer, size_t count);
/* `pairs` keys with their values follow. */
void writer_map(struct writer *writer, size_t pairs);
void writer_set(struct writer *writer, size_t count);
/* What comes besides the replies; RESP2: an array. */
void writer_push(struct writer *writer, size_t count);
void writer_double(struct writer *writer, double value);
void writer_boolean(struct writer *writer, bool value);
/* `format` is three letters, txt or mkd; RESP2: a bulk. */
void writer_verbatim(struct writer *writer, const char *format, struct slice text);

#endif
