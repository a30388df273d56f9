/*
 * gaps: a few ranges of keys of which none has a value, as walks have found them. Where much was
 * deleted tombstones stand in the overlays until the next checkpoint; with these each is stepped
 * over once and not by every walk that comes by: a queue whose front is taken away stays cheap.
 *
 * Whoever puts a key says so. Deleting makes no gap wrong.
 *
 * Threads: the store's.
 */
#ifndef STORE_GAPS_H
#define STORE_GAPS_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

#define GAPS_MAX 4

/* From `start` on, up to `end`; both owned, one piece of memory. start.data NULL: unused. */
struct gap {
	struct slice start;
	struct slice end;
};

struct gaps {
	struct gap gaps[GAPS_MAX];
	unsigned count;
	unsigned next; /* whose place the next one takes */
};

void gaps_fini(struct gaps *gaps);

/* No key k with start <= k < end has a value. Takes the place of the oldest unless it goes on where
 * one ends or starts. Copies both. */
void gaps_learn(struct gaps *gaps, struct slice start, struct slice end);
/* The gap in which the key stands; NULL when there is none. Until the next call of another. */
const struct gap *gaps_around(const struct gaps *gaps, struct slice key);
/* The key gets a value. */
void gaps_put(struct gaps *gaps, struct slice key);

#endif
