/*
 * test_histogram: every duration has one bucket whose end lies close behind it, and what is read of
 * a histogram agrees with the sorted samples.
 */
#include "base/histogram.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#define SAMPLES 5000

static size_t bucket_of_one(uint64_t ns)
{
	struct histogram histogram = { 0 };
	histogram_add(&histogram, ns);
	assert_int_equal(histogram_count(&histogram), 1);
	size_t bucket = 0;
	while (histogram.counts[bucket] == 0)
		bucket++;
	return bucket;
}

static void buckets_follow_each_other(void **state)
{
	(void)state;
	for (size_t i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
		uint64_t end_ns = histogram_end_ns(i);
		assert_int_equal(bucket_of_one(end_ns - 1), i);
		assert_int_equal(bucket_of_one(end_ns), i + 1);
	}
	assert_int_equal(bucket_of_one(0), 0);
	assert_int_equal(bucket_of_one(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void a_bucket_is_an_eighth_of_its_duration(void **state)
{
	struct random random;
	(void)state;
	random_seed(&random, 1);
	for (int i = 0; i < 10000; i++) {
		uint64_t ns = random_next(&random) >> (64 - HISTOGRAM_TOP_BIT) >>
			random_below(&random, HISTOGRAM_TOP_BIT);
		uint64_t end_ns = histogram_end_ns(bucket_of_one(ns));
		assert_true(end_ns > ns);
		assert_true(end_ns - ns <= ns / 8 + 1);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
	return first < second ? -1 : first > second;
}

static void percentiles_are_those_of_the_samples(void **state)
{
	static uint64_t samples[SAMPLES];
	static const double percents[] = { 0, 1, 50, 90, 99, 99.9, 100 };
	struct histogram one = { 0 }, other = { 0 }, sum = { 0 };
	struct random random;
	(void)state;
	assert_int_equal(histogram_percentile_ns(&sum, 50), 0);
	random_seed(&random, 2);
	for (size_t i = 0; i < SAMPLES; i++) {
		samples[i] = random_below(&random, (uint64_t)1 << random_below(&random, 34));
		histogram_add(i % 3 ? &one : &other, samples[i]);
	}
	histogram_sum(&sum, &one);
	histogram_sum(&sum, &other);
	assert_int_equal(histogram_count(&sum), SAMPLES);
	qsort(samples, SAMPLES, sizeof(samples[0]), compare);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		size_t rank = (size_t)((double)SAMPLES * percents[i] / 100);
		uint64_t exact = samples[rank ? rank - 1 : 0];
		uint64_t got = histogram_percentile_ns(&sum, percents[i]);
		assert_true(got >= exact && got <= exact + exact / 8 + 1);
	}
	histogram_clear(&sum);
	assert_int_equal(histogram_count(&sum), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_follow_each_other),
		cmocka_unit_test(a_bucket_is_an_eighth_of_its_duration),
		cmocka_unit_test(percentiles_are_those_of_the_samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
