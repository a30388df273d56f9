/*
 * origin: where the server refreshes entries of the cache by itself: keys under a prefix that a
 * `cache-origin` line names, by HTTP, and those for which a caller names an object's method
 * (CACHE.SWR ... CALL).
 *
 *   in SWR's turn:  the lease is granted -> origin_refresh: an order in the worker's line
 *   origins_run:    of the line as many as may run at once: fetch or call -> the answer
 *                   -> a turn of the key's shard fills, fails or finds absent, by the lease's token
 *                      like any holder
 *
 * Answers of HTTP are kept as their headers say (freshness.h), negative ones too. A value is what
 * 200 and 203 bring; 304 makes the entry fresh again, 404 and 410 are negative entries, and so are
 * other refusals (4xx) where there was no value; all else is a failure, after which what is there
 * stays. A key that failed is asked for again after a pause that doubles, up to a minute, or when
 * the origin says; meanwhile who has nothing to serve is told when to retry.
 *
 * Threads: each worker has its own, on its thread.
 */
#ifndef CACHE_ORIGIN_H
#define CACHE_ORIGIN_H

#include "engine/engine.h"
#include "request/turn.h"

#include <stdbool.h>

struct origins;
struct origin_board;
struct fetch;

/* What the world gives a worker's origins: on its thread, all of it. */
struct origins_host {
	void *context;
	/* Calls origins_run in so many milliseconds; replaces what was asked for before. */
	void (*wake_in)(void *context, int64_t ms);
	/* As fetcher_start. */
	void (*fetch)(void *context, struct fetch *fetch);
};

struct origin_order {
	struct slice key;
	struct slice token;
	int64_t ttl_ms; /* the lives that the caller named; -1: none */
	int64_t stale_ms;
	int64_t lease_ms;
	struct slice class_name; /* an object's method; empty: by HTTP */
	struct slice id;
	struct slice method;
};

/* One a worker; origin_loop.h gives it a loop. */
struct origins *origins_new(struct engine *engine, uint16_t port, const struct origins_host *host);
/* Begins what stands in line. The clock of the tick has been read. */
void origins_run(struct origins *origins);
/* Nothing is begun any more; what was fetched is never answered. */
void origins_closing(struct origins *origins);
void origins_free(struct origins **origins);

enum origin_answer {
	ORIGIN_NONE,   /* it is the caller's */
	ORIGIN_TAKEN,  /* the server sees to it */
	ORIGIN_PAUSED, /* it does not for `retry_ms`: it has failed lately, or the key is no path */
};
/* Whether origin_refresh would have anything to ask: its answer is not ORIGIN_NONE. */
bool origin_knows(const struct turn *turn, const struct origin_order *order);
/* In a turn of the key's shard; the order is copied. */
enum origin_answer origin_refresh(
	struct turn *turn, const struct origin_order *order, int64_t *retry_ms);

/* Where a key's origin stands for the worker of the turn; false: it has none of HTTP. */
struct origin_look {
	struct slice prefix;
	const char *error; /* of what failed there last, whichever key; empty: nothing has */
	bool is_paused;    /* the origin is left alone */
	bool has_failed;   /* the key is */
	int64_t retry_ms;  /* for how long; 0: it is not */
};
bool origin_look(struct turn *turn, struct slice key, struct origin_look *out);

/* Those of each port. */
struct origins *cache_origins(const struct turn *turn);
struct origin_board *cache_board(const struct engine *engine);
void cache_set_origins(struct engine *engine, uint16_t port, struct origins *origins);

#endif
