/*
 * cache_trace: see cache_trace.h. A rank is drawn by looking a uniform number up in the sums of the
 * shares; ranks are keys, but for the roles that have shifted.
 */
#include "support/cache_trace.h"

#include "base/memory.h"

#include <math.h>

void cache_trace_init(struct cache_trace *trace, const struct cache_trace_plan *plan)
{
	*trace = (struct cache_trace){ .plan = *plan };
	random_seed(&trace->random, plan->seed);
	if (plan->alpha <= 0)
		return;
	trace->sums = memory_alloc(plan->keys * sizeof(*trace->sums));
	double sum = 0;
	for (uint32_t rank = 0; rank < plan->keys; rank++) {
		sum += pow(rank + 1, -plan->alpha);
		trace->sums[rank] = sum;
	}
}

void cache_trace_fini(struct cache_trace *trace)
{
	memory_free(trace->sums);
	trace->sums = NULL;
}

static uint32_t draw_rank(struct cache_trace *trace)
{
	double uniform = (double)(random_next(&trace->random) >> 11) / (double)(1ull << 53);
	double wanted = uniform * trace->sums[trace->plan.keys - 1];
	uint32_t low = 0, high = trace->plan.keys - 1;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (trace->sums[middle] <= wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t cache_trace_next(struct cache_trace *trace)
{
	const struct cache_trace_plan *plan = &trace->plan;
	trace->count++;
	if (plan->scan_percent && random_below(&trace->random, 100) < plan->scan_percent)
		return plan->keys + trace->scanned++;
	uint64_t key = plan->alpha > 0 ? draw_rank(trace) : trace->popular;
	trace->popular++;
	if (plan->shift_every)
		key += trace->count / plan->shift_every * (plan->keys / 10);
	return (uint32_t)(key % plan->keys);
}

size_t cache_trace_bytes(uint32_t key)
{
	struct random random;
	random_seed(&random, key);
	uint64_t kind = random_below(&random, 100);
	if (kind < 80)
		return 100 + random_below(&random, 400);
	if (kind < 98)
		return 1000 + random_below(&random, 7000);
	return 20000 + random_below(&random, 40000);
}
