/*
 * holder: what whoever holds the lease of a cache key may do with it, a client by its commands or
 * the server itself (origin.h). Each begins by asking whether the token still holds, and answers
 * false when it does not; nothing is changed then.
 *
 * Threads: a turn of the key's shard.
 */
#ifndef CACHE_HOLDER_H
#define CACHE_HOLDER_H

#include "cache/cache.h"

#define HOLDER_RETRY_MS_DEFAULT 10000

/* What the later FILL will be judged by, how many invalidations there have been and when it began,
 * and the lives that it takes when it names none: `ttl_ms` -1 for the entry's own. */
void holder_begin(
	struct turn *turn, struct slice key, struct slice token, int64_t ttl_ms, int64_t stale_ms);
/* Those lives; false when there are none, or the token does not hold. */
bool holder_lives(struct turn *turn, struct slice key, struct slice token, int64_t *ttl_ms,
	int64_t *stale_ms);
/* Stores what was fetched, ends the lease, wakes who waits. Lives and value are given; when and how
 * long it took is set here. Also false when what it holds was invalidated since: the next who waits
 * then fetches anew. */
bool holder_put(
	struct turn *turn, struct slice key, struct slice token, struct cache_record *record);
/* The refresh has failed: for so long a stale value is served as `failed`; the next who waits
 * tries. */
bool holder_fail(struct turn *turn, struct slice key, struct slice token, int64_t retry_ms);
/* Hands the lease on without a word. */
bool holder_release(struct turn *turn, struct slice key, struct slice token);
bool holder_renew(struct turn *turn, struct slice key, struct slice token, int64_t ms);

#endif
