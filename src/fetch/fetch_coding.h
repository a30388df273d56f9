/*
 * fetch_coding: takes a body out of its content coding as it arrives (RFC 9110, 8.4): gzip, and
 * deflate with or without the frame that it should have. Unlike libcurl's own it says whether the
 * body came to its end: a length that fits says nothing of that. Private to fetch.
 *
 * Threads: any; what is kept stands in the struct.
 */
#ifndef FETCH_FETCH_CODING_H
#define FETCH_FETCH_CODING_H

#include "base/buffer.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/* What a request may say that it takes. */
#define FETCH_CODINGS "gzip, deflate"

enum fetch_coding_state {
	FETCH_CODING_GOOD,
	FETCH_CODING_UNKNOWN,   /* it cannot be undone */
	FETCH_CODING_BROKEN,    /* its bytes are not of the coding */
	FETCH_CODING_CUT,       /* its end is missing */
	FETCH_CODING_TOO_LARGE, /* it, or what it unfolds to */
};

struct fetch_coding;

/* From the headers of the answer, as struct fetch has them, once all are there. NULL: there is none
 * to undo, or one that is unknown, as `state` says. */
struct fetch_coding *fetch_coding_new(struct slice headers, enum fetch_coding_state *state);
void fetch_coding_free(struct fetch_coding **coding);
/* Appends to `out`, up to `bytes_max` in it, what more bytes of the body unfold to. Not called
 * again once it is not good. */
enum fetch_coding_state fetch_coding_put(
	struct fetch_coding *coding, struct slice bytes, size_t bytes_max, struct buffer *out);
/* Nothing follows. A body of no bytes at all has no coding, whatever its headers say. */
enum fetch_coding_state fetch_coding_end(const struct fetch_coding *coding);

#endif
