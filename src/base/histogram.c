/*
 * histogram: see histogram.h. Durations below eight nanoseconds have a bucket each; every doubling
 * above is parted into eight:
 *
 *   0 1 ... 7 | 8 9 ... 15 | 16 18 ... 30 | 32 36 ... 60 | ...
 *
 * Threads: counts are relaxed atomics, since each stands for itself.
 */
#include "base/histogram.h"

#include <assert.h>

#define PARTS (1u << HISTOGRAM_PART_BITS)

static size_t bucket_of(uint64_t ns)
{
	if (ns < PARTS)
		return (size_t)ns;
	unsigned top = 63 - (unsigned)__builtin_clzll(ns);
	if (top > HISTOGRAM_TOP_BIT)
		return HISTOGRAM_BUCKETS - 1;
	unsigned doubling = top - HISTOGRAM_PART_BITS;
	return ((size_t)(doubling + 1) << HISTOGRAM_PART_BITS) + (ns >> doubling & (PARTS - 1));
}

static uint64_t load(const struct histogram *histogram, size_t bucket)
{
	return atomic_load_explicit(&histogram->counts[bucket], memory_order_relaxed);
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
	size_t bucket = bucket_of(ns);
	atomic_store_explicit(
		&histogram->counts[bucket], load(histogram, bucket) + 1, memory_order_relaxed);
}

void histogram_clear(struct histogram *histogram)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		atomic_store_explicit(&histogram->counts[i], 0, memory_order_relaxed);
}

void histogram_sum(struct histogram *sum, const struct histogram *more)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum->counts[i] += load(more, i);
}

uint64_t histogram_count(const struct histogram *histogram)
{
	uint64_t count = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		count += load(histogram, i);
	return count;
}

uint64_t histogram_end_ns(size_t bucket)
{
	assert(bucket < HISTOGRAM_BUCKETS);
	if (bucket < PARTS)
		return bucket + 1;
	size_t doubling = (bucket >> HISTOGRAM_PART_BITS) - 1;
	return ((uint64_t)PARTS + (bucket & (PARTS - 1)) + 1) << doubling;
}

uint64_t histogram_percentile_ns(const struct histogram *histogram, double percent)
{
	double wanted = (double)histogram_count(histogram) * percent / 100;
	uint64_t seen = 0, last_ns = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t count = load(histogram, i);
		if (count == 0)
			continue;
		seen += count;
		last_ns = histogram_end_ns(i) - 1;
		if ((double)seen >= wanted)
			break;
	}
	return last_ns;
}
