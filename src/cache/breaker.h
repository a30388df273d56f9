/*
 * breaker: whether a source that many keys share, an origin or a class, is to be asked at all. One
 * key that fails says little of the others, so a source is judged by what was asked of it lately:
 *
 *   closed --(no connection; or most of what was asked failed)--> open: nobody asks for a while
 *     ^                                                             |
 *     '---- it answers ---- a probe at a time asks <----------------'
 *                             '---- it fails: a pause twice as long, up to a minute
 *
 * A source that says when to come again (Retry-After) is left alone for as long when it opens, up
 * to LIMIT_CACHE_RETRY_MS. One that could not be reached has answered when a probe gets any answer,
 * be it a failure; one that failed when a probe succeeds.
 *
 * Threads: none of its own. Times are of a clock that never goes back, in milliseconds.
 */
#ifndef CACHE_BREAKER_H
#define CACHE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_PAUSE_MS_FIRST 1000
#define BREAKER_PAUSE_MS_MAX   60000
#define BREAKER_PROBE_MS       1000  /* until the next probe, when one has not come back */
#define BREAKER_WINDOW_MS      10000 /* lately: in this one and the one before */
#define BREAKER_ASKED_LEAST    10    /* of so few nothing follows */

struct breaker_tally {
	uint32_t asked;
	uint32_t failed;
};

/* All zero is closed. */
struct breaker {
	bool is_open;
	bool was_unreachable; /* why it is */
	int64_t until_ms;     /* open: no probe before */
	int64_t pause_ms;     /* the last pause */
	int64_t closed_ms;    /* when it was closed last */
	int64_t window_ms;    /* when `now` began */
	struct breaker_tally now, before;
	int64_t retry_until_ms; /* the latest that a failure of these windows named */
};

enum breaker_admission {
	BREAKER_ASK,
	BREAKER_PROBE, /* open, and this one may try */
	BREAKER_WAIT,
};
/* `*retry_ms`: when waiting, for how long. */
enum breaker_admission breaker_admit(struct breaker *breaker, int64_t now_ms, int64_t *retry_ms);

enum breaker_result {
	BREAKER_ANSWERED,
	BREAKER_FAILED,
	BREAKER_UNREACHABLE, /* there was no connection */
};
/* What came of something that was admitted; `retry_ms`: for how long the source wants to be left
 * alone, -1: it did not say. True when the breaker has opened or closed by that. */
bool breaker_note(struct breaker *breaker, bool was_probe, enum breaker_result result,
	int64_t retry_ms, int64_t now_ms);
/* For how long nobody asks; 0: it is closed, or a probe may go. */
int64_t breaker_left_ms(const struct breaker *breaker, int64_t now_ms);

#endif
