/*
 * options: what stands behind the fixed arguments of CACHE.*, and the checks that they share. Each
 * answers the turn with an error and returns false when something is wrong.
 */
#ifndef CACHE_OPTIONS_H
#define CACHE_OPTIONS_H

#include "request/turn.h"

enum cache_option {
	CACHE_OPTION_TTL = 1 << 0,
	CACHE_OPTION_STALE = 1 << 1,
	CACHE_OPTION_JITTER = 1 << 2,
	CACHE_OPTION_TAGS = 1 << 3,
	CACHE_OPTION_NX = 1 << 4,
	CACHE_OPTION_WAIT = 1 << 5,
	CACHE_OPTION_LEASE = 1 << 6,
	CACHE_OPTION_EARLY = 1 << 7,
	CACHE_OPTION_CALL = 1 << 8,
	CACHE_OPTION_RETRY = 1 << 9,
	CACHE_OPTION_MESSAGE = 1 << 10,
	CACHE_OPTION_ABSENT_TTL = 1 << 11, /* TTL of a negative entry: 1 s at least */
};

struct cache_options {
	uint32_t given; /* of enum cache_option */
	int64_t ttl_ms;
	int64_t stale_ms;
	int64_t jitter_ms;
	int64_t wait_ms;
	int64_t lease_ms;
	int64_t retry_ms;
	double beta;
	uint32_t tag_count;
	struct slice tags;    /* packed */
	struct slice call[3]; /* class, id, method */
	struct slice message;
};

/* The arguments from `first` on, in any order, each once; `allowed` of enum cache_option. */
bool cache_options_parse(
	struct turn *turn, uint32_t first, uint32_t allowed, struct cache_options *out);
/* An age in seconds, 0 to LIMIT_CACHE_AGE_MS. */
bool cache_age_parse(struct turn *turn, const char *what, struct slice text, int64_t *out_ms);
bool cache_stale_check(struct turn *turn, int64_t ttl_ms, int64_t stale_ms);
/* A record in the log has room for the value; the latter answers with an error. */
bool cache_value_fits(const struct turn *turn, struct slice value);
bool cache_value_check(struct turn *turn, struct slice value);
bool cache_key_check(struct turn *turn, struct slice key);

#endif
