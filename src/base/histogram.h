/*
 * histogram: how often what took how long, to an eighth of each duration, in a fixed amount of
 * memory and one increment a sample.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_PART_BITS 3  /* parts of each doubling: 8 */
#define HISTOGRAM_TOP_BIT   40 /* of the longest that is told apart: 18 minutes in nanoseconds */
#define HISTOGRAM_BUCKETS   ((HISTOGRAM_TOP_BIT - HISTOGRAM_PART_BITS + 2) << HISTOGRAM_PART_BITS)

struct histogram {
	_Atomic uint64_t counts[HISTOGRAM_BUCKETS];
};

/* One writer; any thread may read meanwhile. */
void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_clear(struct histogram *histogram);
/* Adds all of `more`. `sum` is the caller's own. */
void histogram_sum(struct histogram *sum, const struct histogram *more);

uint64_t histogram_count(const struct histogram *histogram);
/* The shortest duration that lies beyond a bucket. */
uint64_t histogram_end_ns(size_t bucket);
/* What `percent` (0 to 100) of the samples do not exceed; 0 when there are none. */
uint64_t histogram_percentile_ns(const struct histogram *histogram, double percent);

#endif
