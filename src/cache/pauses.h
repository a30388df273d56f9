/*
 * pauses: keys whose refresh has failed, and until when each is left alone: a second, twice as long
 * with each further failure, up to a minute, or for as long as the origin asks, up to
 * LIMIT_CACHE_RETRY_MS. So a key that fails is not asked for at every call, and others do not
 * notice.
 *
 * A key stands for its hash under the process's secret. LIMIT_CACHE_PAUSES are remembered; one more
 * makes the oldest forgotten.
 *
 * Threads: none of its own. Times are of a clock that never goes back, in milliseconds.
 */
#ifndef CACHE_PAUSES_H
#define CACHE_PAUSES_H

#include "base/slice.h"

#include <stdint.h>

#define PAUSES_MS_FIRST 1000
#define PAUSES_MS_MAX   60000

struct pauses;

struct pauses *pauses_new(void);
void pauses_free(struct pauses **pauses);
/* For how long the key is left alone; 0: it is not. */
int64_t pauses_left_ms(const struct pauses *pauses, struct slice key, int64_t now_ms);
/* It has failed; `retry_ms`: as long the origin wants at least, -1: it did not say. Returns for how
 * long it is left alone. */
int64_t pauses_fail(struct pauses *pauses, struct slice key, int64_t retry_ms, int64_t now_ms);
/* It has not. */
void pauses_end(struct pauses *pauses, struct slice key);
uint32_t pauses_count(const struct pauses *pauses);

#endif
