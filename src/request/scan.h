/*
 * scan: what SCAN, SESSION.SCAN and CACHE.SCAN share: their cursor, and the walk over entries in
 * the order of the hash in their keys. Stateless: a cursor means the same after a restart.
 *
 * Threads: the turn's; the state travels with the request.
 */
#ifndef REQUEST_SCAN_H
#define REQUEST_SCAN_H

#include "request/turn.h"

/* Entries of one hash that are given together. Keys that nobody could choose meet by chance only,
 * so this is never reached; beyond it they are given in parts. */
#define SCAN_CROWD_MAX 64

#define SCAN_COUNT_DEFAULT 10

/* An entry that was met; `key` is its store key, `rest` what the hash in it is of. They are valid
 * during the call, the value's data until the turn ends. Returns what it counts for, at least 1. */
typedef int64_t (*scan_each_fn)(void *context, struct turn *turn, struct slice key,
	struct slice rest, const struct value *value);

struct scan {
	int64_t left; /* set from COUNT: entries that may still be looked at */
	scan_each_fn each;
	void *context;
	bool without_data; /* the values' data are not wanted */

	/* the rest is scan.c's */
	uint32_t shards_left;
	uint32_t shard;
	uint64_t hash; /* of the first entry not yet given, */
	uint32_t part; /* and the part of those with it */
	bool crowded;
	struct slice after; /* in a crowd: the last key looked at in this part; no data: none */
	int64_t looked;     /* in crowds */
};

/* `cursor` as the client gave it, 0 for the start. What names no position is behind the end. */
void scan_init(struct scan *scan, const struct turn *turn, uint64_t cursor);
/* One turn, over entries whose store keys are `prefix`, 5 bytes of hash and what that is of. True
 * when another turn is to follow, which has been asked for; false when the reply is due. */
bool scan_step(struct scan *scan, struct turn *turn, struct slice prefix);
/* The scan is over whatever is left. */
void scan_end(struct scan *scan, const struct turn *turn);
/* For a walk that goes on by itself: whether nothing is left; and the turn that goes on behind a
 * step that said that the reply is due, with `left` as it is by then. */
bool scan_is_over(const struct scan *scan, const struct turn *turn);
void scan_go_on(struct scan *scan, struct turn *turn);
/* What the client gives to go on; 0 at the end. */
uint64_t scan_cursor(const struct scan *scan, const struct turn *turn);

#endif
