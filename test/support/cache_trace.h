/*
 * cache_trace: made-up requests for a cache, the same from the same seed: keys are numbers, and
 * each key has a size of its own. For comparing replacement policies.
 */
#ifndef TEST_SUPPORT_CACHE_TRACE_H
#define TEST_SUPPORT_CACHE_TRACE_H

#include "base/random.h"

#include <stddef.h>
#include <stdint.h>

struct cache_trace_plan {
	uint32_t keys;         /* popular ones, numbered from 0 */
	double alpha;          /* of Zipf's law; 0: each key in turn, in a loop */
	uint32_t scan_percent; /* requests for keys that come once, numbered from `keys` on */
	uint32_t shift_every;  /* requests after which a tenth of the keys change roles; 0: never */
	uint64_t seed;
};

struct cache_trace {
	struct cache_trace_plan plan;
	struct random random;
	double *sums; /* of the keys' shares, by rank */
	uint32_t scanned;
	uint64_t count;
	uint64_t popular;
};

void cache_trace_init(struct cache_trace *trace, const struct cache_trace_plan *plan);
void cache_trace_fini(struct cache_trace *trace);
/* The next request's key. */
uint32_t cache_trace_next(struct cache_trace *trace);

/* Bytes of a key's value: most some hundred, a fifth some thousand, one in fifty some ten
 * thousand. */
size_t cache_trace_bytes(uint32_t key);

#endif
