/*
 * freshness: what the headers of an HTTP answer say about keeping it, for a cache that many share:
 * RFC 9111, and RFC 5861 for the two ways of serving what is stale. The cache that asks is one by
 * key: whoever fetches for a key sends the same request each time, so of Vary only `*` matters, and
 * rules about the request (its method, its Authorization) are the caller's.
 */
#ifndef CACHE_FRESHNESS_H
#define CACHE_FRESHNESS_H

#include "base/slice.h"

#include <stdint.h>

/* Ages count from now, in milliseconds, up to LIMIT_CACHE_AGE_MS; none is below `ttl_ms`. Of an
 * answer that is not storable the rest is zero.
 *
 * Without `stated` the answer gave no lifetime: `ttl_ms` is 0, the caller's default takes its
 * place, and the two others are windows that begin when that default ends. */
struct freshness {
	bool storable;          /* false: hit-for-miss, nobody should wait for the next answer */
	bool stated;            /* the answer itself gave a lifetime */
	int64_t ttl_ms;         /* fresh until this age */
	int64_t stale_ms;       /* may be served until this age while it is refreshed */
	int64_t stale_error_ms; /* may be served until this age when refreshing fails */
	bool has_stale;         /* the answer allowed or forbade it; else the caller's default */
	bool has_stale_error;
	struct slice etag;          /* for If-None-Match; empty: none, or not an entity tag */
	struct slice last_modified; /* for If-Modified-Since; empty: none, or not a date */
};

/* `headers`: as struct fetch has them, lines `name: value\n`; the two slices of `out` point into
 * them. `now_ms`: since 1970, not negative; when the answer came. 304 is read like a whole answer:
 * what it says holds for the stored one. */
void freshness_read(int status, struct slice headers, int64_t now_ms, struct freshness *out);

/* Retry-After (RFC 9110, 10.2.3) in milliseconds from now, up to LIMIT_CACHE_RETRY_MS; -1 when
 * there is none that can be read. Of several the longest. */
int64_t freshness_retry_ms(struct slice headers, int64_t now_ms);

#endif
