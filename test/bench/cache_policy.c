/*
 * cache_policy: prints how often the hot tier of the cache, and plain caches of other policies, hit
 * on made-up requests, in objects and in bytes; then the time of a look-up and of a put. Takes no
 * arguments; about a minute.
 *
 * Each cache may have the same bytes, a part of what all popular keys would take. The plain caches
 * are charged what an entry of the hot tier takes, yet neither table nor ghosts: the comparison is
 * a little unfair to the hot tier.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "cache/hot.h"
#include "support/cache_model.h"
#include "support/cache_trace.h"

#include <stdio.h>
#include <time.h>

#define REQUESTS     1000000u
#define KEYS         100000u
#define VALUE_MAX    65536
#define ENTRY_CHARGE (sizeof(struct hot_entry) + sizeof(uint32_t) + 16)

struct result {
	uint64_t hits;
	uint64_t hit_bytes;
	uint64_t bytes;
};

static char value_bytes[VALUE_MAX];

static bool hot_access(struct hot *hot, uint32_t key, size_t bytes)
{
	struct slice name = slice_of(&key, sizeof(key));
	uint64_t hash = hash_checksum(name, 0);
	if (hot_find(hot, name, hash))
		return true;
	hot_put(hot, name, hash, slice_of(value_bytes, bytes), slice_of(NULL, 0));
	return false;
}

/* `model` NULL: the hot tier. */
static struct result replay(
	const struct cache_trace_plan *plan, struct cache_model *model, struct hot *hot)
{
	struct cache_trace trace;
	struct result result = { 0 };
	cache_trace_init(&trace, plan);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		uint32_t key = cache_trace_next(&trace);
		size_t bytes = cache_trace_bytes(key);
		bool hit = model ? cache_model_access(model, key, bytes + ENTRY_CHARGE)
				 : hot_access(hot, key, bytes);
		result.bytes += bytes;
		result.hits += hit;
		result.hit_bytes += hit ? bytes : 0;
	}
	cache_trace_fini(&trace);
	return result;
}

static void compare(const char *name, const struct cache_trace_plan *plan, unsigned percent)
{
	size_t total = 0;
	for (uint32_t key = 0; key < plan->keys; key++)
		total += cache_trace_bytes(key) + ENTRY_CHARGE;
	size_t limit = total / 100 * percent;
	printf("%-28s %3u %%", name, percent);
	for (int kind = -1; kind <= (int)CACHE_MODEL_TINYLFU; kind++) {
		struct hot *hot = hot_new(limit);
		struct cache_model *model = kind < 0 ? NULL
						     : cache_model_new((enum cache_model_kind)kind,
							       limit, plan->keys + REQUESTS);
		struct result result = replay(plan, model, hot);
		printf("  %5.1f %5.1f", 100.0 * (double)result.hits / REQUESTS,
			100.0 * (double)result.hit_bytes / (double)result.bytes);
		fflush(stdout);
		hot_free(&hot);
		if (model)
			cache_model_free(&model);
	}
	printf("\n");
}

static void compare_zipf(double alpha)
{
	static const uint32_t scans[] = { 0, 10, 50 };
	for (size_t i = 0; i < sizeof(scans) / sizeof(scans[0]); i++) {
		struct cache_trace_plan plan = {
			.keys = KEYS, .alpha = alpha, .scan_percent = scans[i], .seed = 1
		};
		char name[64];
		snprintf(name, sizeof(name), "zipf %.2f, scan %u %%", alpha, scans[i]);
		compare(name, &plan, 1);
		compare(name, &plan, 10);
	}
}

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Look-ups of present keys and of absent ones, puts in place and puts that evict; keys of 16 bytes,
 * values of 100, their hashes computed beforehand. Keys come in order, entries lie in another: what
 * is not in the processor's caches is the tier's, not the caller's. */
static void measure(uint32_t count)
{
	enum { ROUNDS = 2000000 };
	struct hot *hot = hot_new(SIZE_MAX);
	struct random random;
	struct name {
		uint64_t bytes[2];
	} *names = memory_alloc(2 * (size_t)count * sizeof(*names));
	uint64_t *hashes = memory_alloc(2 * (size_t)count * sizeof(*hashes));
	struct slice value = slice_of(value_bytes, 100), none = slice_of(NULL, 0);
	random_seed(&random, 3);
	for (uint32_t i = 0; i < 2 * count; i++) {
		names[i] = (struct name){ { random_next(&random), i } };
		hashes[i] = hash_checksum(slice_of(&names[i], sizeof(names[i])), 0);
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = (uint32_t)((uint64_t)i * 7919 % count);
		hot_put(hot, slice_of(&names[at], 16), hashes[at], value, none);
	}
	double start = now_ns(), taken[4];
	uint64_t found = 0;
	for (int kind = 0; kind < 4; kind++) {
		if (kind == 3)
			hot_limit(hot, hot_bytes(hot));
		for (uint32_t i = 0; i < ROUNDS; i++) {
			uint32_t at = kind == 3 ? (i + count) % (2 * count) : i % count;
			at += kind == 1 ? count : 0;
			struct slice name = slice_of(&names[at], 16);
			if (kind < 2)
				found += hot_find(hot, name, hashes[at]) != NULL;
			else
				hot_put(hot, name, hashes[at], value, none);
		}
		taken[kind] = (now_ns() - start) / ROUNDS;
		start = now_ns();
	}
	printf("%9u  %8.0f  %8.0f  %12.0f  %12.0f  %12.0f\n", count, taken[0], taken[1], taken[2],
		taken[3], (double)hot_bytes(hot) / (double)hot_count(hot));
	if (found != ROUNDS)
		printf("found %llu of %u\n", (unsigned long long)found, ROUNDS);
	hot_free(&hot);
	memory_free(names);
	memory_free(hashes);
}

int main(void)
{
	printf("hit ratios in %%: objects, bytes%13s  hot tier     LRU          SIEVE        "
	       "W-TinyLFU\n",
		"");
	compare_zipf(0.8);
	compare_zipf(0.99);
	compare_zipf(1.2);
	struct cache_trace_plan loop = { .keys = KEYS / 10, .seed = 2 };
	compare("loop of the keys", &loop, 50);
	compare("loop of the keys", &loop, 80);
	loop.scan_percent = 10;
	compare("loop, scan 10 %", &loop, 80);
	struct cache_trace_plan shift = {
		.keys = KEYS, .alpha = 0.99, .shift_every = 100000, .seed = 3
	};
	compare("zipf 0.99, shifting", &shift, 1);
	compare("zipf 0.99, shifting", &shift, 10);
	shift.shift_every = 20000;
	compare("zipf 0.99, shifting fast", &shift, 10);

	printf("\nns          find hit  find miss   put replaces   put evicts   bytes an entry\n");
	measure(1000);
	measure(100000);
	measure(1000000);
	return 0;
}
