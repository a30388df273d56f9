/*
 * test_hot: the hot tier against a plain array of keys under random operations, its bound under
 * random sizes and limits, and what the policy promises: on single entries, and by counting hits on
 * made-up requests beside a plain LRU.
 */
#include "cache/hot.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "holdfast/limits.h"
#include "support/cache_model.h"
#include "support/cache_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define KEYS      1500
#define VALUE_MAX 4000
/* Above what a test of single entries puts, and low enough for entries to be evicted one by one. */
#define ENTRY_VALUE 1000
#define LIMIT       ((size_t)100 << 10)

static char bytes_of_values[1 << 20];

static struct slice none(void)
{
	return slice_of(NULL, 0);
}

static struct hot_entry *put_sized(struct hot *hot, const char *key, size_t size)
{
	struct slice name = slice_text(key);
	return hot_put(hot, name, hash_bytes(name), slice_of(bytes_of_values, size), none());
}

static struct hot_entry *put(struct hot *hot, const char *key)
{
	return put_sized(hot, key, ENTRY_VALUE);
}

static struct hot_entry *find(struct hot *hot, const char *key)
{
	return hot_find(hot, slice_text(key), hash_bytes(slice_text(key)));
}

static struct hot_entry *peek(const struct hot *hot, const char *key)
{
	return hot_peek(hot, slice_text(key), hash_bytes(slice_text(key)));
}

static bool removes(struct hot *hot, const char *key)
{
	return hot_remove(hot, slice_text(key), hash_bytes(slice_text(key)));
}

/* Puts `count` keys that nobody uses. */
static void scan(struct hot *hot, const char *prefix, int count)
{
	for (int i = 0; i < count; i++) {
		char key[32];
		snprintf(key, sizeof(key), "%s%d", prefix, i);
		assert_non_null(put(hot, key));
	}
}

static size_t bytes_when_empty(void)
{
	struct hot *hot = hot_new(0);
	size_t bytes = hot_bytes(hot);
	hot_free(&hot);
	return bytes;
}

static void costs_little_while_it_holds_nothing(void **state)
{
	struct hot *hot = hot_new(LIMIT);
	assert_true(hot_bytes(hot) < 300);
	assert_int_equal(hot_count(hot), 0);
	assert_null(find(hot, "k"));
	assert_null(peek(hot, "k"));
	assert_false(removes(hot, "k"));
	assert_true(hot_trim(hot, 10));
	assert_int_equal(hot_figures(hot).misses, 1);
	hot_check(hot);
	hot_free(&hot);
	assert_null(hot);
	hot_free(&hot);
}

static void gives_back_copies_of_what_was_put(void **state)
{
	char key[] = "k\0y", value[] = "value", tags[] = "\1\2\0";
	struct slice name = slice_of("k\0y", 3);
	struct hot *hot = hot_new(LIMIT);
	struct hot_entry *entry = hot_put(
		hot, slice_of(key, 3), hash_bytes(name), slice_of(value, 5), slice_of(tags, 3));
	memset(key, 'x', 3);
	memset(value, 'x', 5);
	memset(tags, 'x', 3);
	assert_ptr_equal(hot_find(hot, name, hash_bytes(name)), entry);
	assert_true(slice_equal(entry->key, name));
	assert_true(slice_equal(entry->value, slice_text("value")));
	assert_true(slice_equal(entry->tags, slice_of("\1\2\0", 3)));
	assert_null(hot_peek(hot, slice_of("k\0z", 3), hash_bytes(name)));
	assert_null(hot_peek(hot, slice_of("k", 1), hash_bytes(name)));
	hot_free(&hot);
}

static void takes_keys_of_all_lengths_and_empty_values(void **state)
{
	struct hot *hot = hot_new((size_t)64 << 20);
	for (size_t size = 1; size <= LIMIT_KEY_BYTES; size++) {
		struct slice key = slice_of(bytes_of_values, size);
		struct hot_entry *entry = hot_put(hot, key, hash_bytes(key), none(), none());
		assert_int_equal(entry->key.size, size);
		assert_int_equal(entry->value.size, 0);
		assert_int_equal(entry->tags.size, 0);
	}
	assert_int_equal(hot_count(hot), LIMIT_KEY_BYTES);
	hot_check(hot);
	hot_free(&hot);
}

static void keeps_keys_apart_that_share_a_hash(void **state)
{
	struct hot *hot = hot_new((size_t)1 << 20);
	char key[2] = "a";
	for (int round = 0; round < 2; round++) {
		for (key[0] = 'a'; key[0] <= 'z'; key[0]++)
			hot_put(hot, slice_text(key), 7, slice_text(key), none());
	}
	assert_int_equal(hot_count(hot), 26);
	for (key[0] = 'b'; key[0] <= 'z'; key[0] += 2)
		assert_true(hot_remove(hot, slice_text(key), 7));
	hot_check(hot);
	for (key[0] = 'a'; key[0] <= 'z'; key[0]++) {
		struct hot_entry *entry = hot_find(hot, slice_text(key), 7);
		assert_int_equal(entry != NULL, (key[0] - 'a') % 2 == 0);
		assert_true(entry == NULL || slice_equal(entry->value, slice_text(key)));
	}
	hot_free(&hot);
}

static void replaces_values_by_other_sizes_and_forgets_the_facts(void **state)
{
	struct hot *hot = hot_new((size_t)10 << 20);
	put(hot, "before");
	struct hot_entry *entry = put(hot, "k");
	put(hot, "after");
	size_t bytes = hot_bytes(hot);
	static const size_t sizes[] = { 0, 1, 999, 1000, 1001, 50000, 3, 1000 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		entry->facts = (struct hot_facts){ .ttl_ms = 1, .sequence = 2, .flags = HOT_SOFT };
		entry = put_sized(hot, "k", sizes[i]);
		assert_ptr_equal(peek(hot, "k"), entry);
		assert_int_equal(entry->value.size, sizes[i]);
		assert_int_equal(entry->facts.ttl_ms, 0);
		assert_int_equal(entry->facts.sequence, 0);
		assert_int_equal(entry->facts.flags, 0);
		assert_int_equal(hot_count(hot), 3);
		hot_check(hot);
	}
	assert_int_equal(hot_bytes(hot), bytes);
	hot_free(&hot);
}

static void takes_value_and_tags_from_the_entry_it_replaces(void **state)
{
	struct hot *hot = hot_new(LIMIT);
	struct slice key = slice_text("k");
	struct hot_entry *entry =
		hot_put(hot, key, hash_bytes(key), slice_text("0123456789"), slice_text("tags"));
	entry = hot_put(
		hot, entry->key, entry->hash, slice_of(entry->value.data + 3, 6), entry->tags);
	assert_true(slice_equal(entry->value, slice_text("345678")));
	assert_true(slice_equal(entry->tags, slice_text("tags")));
	hot_free(&hot);
}

static void keeps_no_entry_above_an_eighth_of_the_limit(void **state)
{
	struct hot *hot = hot_new(LIMIT);
	struct hot_entry *entry = put_sized(hot, "k", LIMIT / 8 - 1000);
	assert_non_null(entry);
	put(hot, "other");
	assert_null(put_sized(hot, "k", LIMIT / 8));
	assert_null(peek(hot, "k"));
	assert_non_null(peek(hot, "other"));
	assert_null(put_sized(hot, "new", LIMIT / 8));
	assert_int_equal(hot_count(hot), 1);
	assert_int_equal(hot_figures(hot).evictions, 0);
	hot_check(hot);
	hot_free(&hot);
}

static void keeps_nothing_under_a_limit_too_low_for_the_table(void **state)
{
	struct hot *hot = hot_new(0);
	for (size_t limit = 0; limit < 20000; limit += 100) {
		hot_limit(hot, limit);
		struct hot_entry *entry = put_sized(hot, "k", 10);
		assert_ptr_equal(peek(hot, "k"), entry);
		assert_true(hot_bytes(hot) <= limit || hot_bytes(hot) == bytes_when_empty());
		assert_true(entry || limit < 5000);
		hot_check(hot);
	}
	hot_limit(hot, 0);
	assert_false(hot_trim(hot, 1000));
	assert_int_equal(hot_bytes(hot), bytes_when_empty());
	hot_check(hot);
	hot_free(&hot);
}

struct model_key {
	bool present;
	size_t value_size;
	char value_first;
	uint64_t sequence;
};

/* Finds must give what was put last, or nothing when the tier has dropped it: what it has dropped
 * it must have counted. */
static void agrees_with_a_plain_array_under_random_operations(void **state)
{
	static struct model_key model[KEYS];
	struct random random;
	random_seed(&random, 11);
	struct hot *hot = hot_new((size_t)1 << 20);
	uint64_t present = 0, gone = 0;
	for (uint64_t i = 1; i <= 300000; i++) {
		uint32_t at = (uint32_t)random_below(&random, KEYS);
		/* Most operations are on few keys. */
		at = random_below(&random, 3) ? at % 100 : at;
		struct slice key = slice_of(&at, sizeof(at) - (at % 2 ? 1 : 2));
		uint64_t hash = hash_bytes(key), operation = random_below(&random, 10);
		struct model_key *known = &model[at];
		struct hot_entry *entry =
			operation < 6 ? hot_find(hot, key, hash) : hot_peek(hot, key, hash);
		assert_true(known->present || entry == NULL);
		if (entry) {
			assert_true(slice_equal(entry->key, key));
			assert_int_equal(entry->value.size, known->value_size);
			assert_true(known->value_size == 0 ||
				entry->value.data[known->value_size - 1] == known->value_first);
			assert_int_equal(entry->facts.sequence, known->sequence);
		} else if (known->present) {
			known->present = false;
			gone++;
			present--;
		}
		if (operation >= 8) {
			assert_int_equal(hot_remove(hot, key, hash), known->present);
			present -= known->present;
			known->present = false;
		} else if (operation >= 4) {
			present += !known->present;
			*known = (struct model_key){ .present = true,
				.value_size = random_below(&random, VALUE_MAX),
				.value_first = (char)i,
				.sequence = i };
			char value[VALUE_MAX];
			memset(value, (char)i, known->value_size);
			entry = hot_put(hot, key, hash, slice_of(value, known->value_size), key);
			entry->facts.sequence = i;
		}
		assert_true(hot_count(hot) <= present);
		if (i % 1000 == 0)
			hot_check(hot);
		/* Both empty and full, and all that lies between. */
		if (i % 20000 == 0)
			hot_limit(hot, (size_t)(1 + i / 20000 % 3) << 19);
	}
	for (uint32_t at = 0; at < KEYS; at++) {
		struct slice key = slice_of(&at, sizeof(at) - (at % 2 ? 1 : 2));
		gone += model[at].present && hot_peek(hot, key, hash_bytes(key)) == NULL;
	}
	assert_int_equal(gone, hot_figures(hot).evictions);
	assert_true(gone > 1000);
	hot_free(&hot);
}

static void holds_its_bound_after_each_put(void **state)
{
	struct random random;
	random_seed(&random, 12);
	size_t limit = (size_t)1 << 20, kept = 0;
	struct hot *hot = hot_new(limit);
	for (int i = 0; i < 100000; i++) {
		uint64_t number = random_below(&random, 5000);
		struct slice key = slice_of(&number, sizeof(number));
		if (random_below(&random, 3) == 0)
			hot_find(hot, key, hash_bytes(key));
		if (random_below(&random, 2000) == 0) {
			limit = random_below(&random, (size_t)2 << (20 - random_below(&random, 8)));
			hot_limit(hot, limit);
		}
		size_t before = hot_bytes(hot);
		size_t size = random_below(&random, (size_t)1 << random_below(&random, 20));
		kept += hot_put(hot, key, hash_bytes(key), slice_of(bytes_of_values, size),
				none()) != NULL;
		if (before <= limit)
			assert_true(hot_bytes(hot) <= limit);
		else
			assert_true(hot_bytes(hot) <= limit || hot_bytes(hot) < before);
		if (i % 500 == 0)
			hot_check(hot);
	}
	assert_true(kept > 50000);
	hot_free(&hot);
}

/* A put drops as much as it brings and a few entries more, not all that a lowered limit asks for.
 */
static void works_towards_a_lowered_limit_in_bounded_steps(void **state)
{
	struct hot *hot = hot_new((size_t)64 << 20);
	scan(hot, "k", 20000);
	hot_limit(hot, (size_t)1 << 20);
	assert_int_equal(hot_count(hot), 20000);
	assert_false(hot_trim(hot, 0));
	assert_int_equal(hot_count(hot), 20000);
	assert_false(hot_trim(hot, 100));
	assert_int_equal(hot_count(hot), 19900);
	size_t puts = 0;
	while (hot_bytes(hot) > (size_t)1 << 20) {
		size_t count = hot_count(hot), bytes = hot_bytes(hot);
		assert_non_null(put_sized(hot, "new", 10));
		assert_true(hot_bytes(hot) < bytes);
		assert_true(hot_count(hot) >= count - 20);
		puts++;
	}
	assert_true(puts > 900);
	hot_check(hot);
	assert_non_null(peek(hot, "new"));
	assert_true(hot_trim(hot, 0));
	hot_free(&hot);
}

static void gives_the_tables_memory_back_as_entries_go(void **state)
{
	struct hot *hot = hot_new(SIZE_MAX);
	for (int count = 50; count <= 50000; count *= 10) {
		size_t charges = 0;
		for (uint32_t i = 0; i < (uint32_t)count; i++) {
			struct slice key = slice_of(&i, sizeof(i));
			charges += hot_put(hot, key, hash_bytes(key), none(), none())->charge;
		}
		hot_check(hot);
		assert_true(hot_bytes(hot) - charges < (size_t)count * 34 + 3000);
		for (uint32_t i = 0; i < (uint32_t)count; i++) {
			struct slice key = slice_of(&i, sizeof(i));
			assert_true(hot_remove(hot, key, hash_bytes(key)));
			if (i % 997 == 0)
				hot_check(hot);
		}
		assert_int_equal(hot_count(hot), 0);
		assert_true(hot_bytes(hot) < 3000);
	}
	hot_free(&hot);
}

/* Over many sizes, what the tier says it has is what the allocator handed out. */
static void counts_the_bytes_that_the_allocator_hands_out(void **state)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	struct random random;
	random_seed(&random, 13);
	size_t before = memory_used();
	struct hot *hot = hot_new(SIZE_MAX);
	for (uint32_t i = 0; i < 20000; i++) {
		struct slice key = slice_of(&i, sizeof(i));
		struct slice value = slice_of(bytes_of_values, random_below(&random, 100));
		hot_put(hot, key, hash_bytes(key), value, slice_of(bytes_of_values, i % 50));
	}
	size_t used = memory_used() - before, said = hot_bytes(hot);
	assert_true(said <= used + used / 50);
	assert_true(said >= used - used / 50);
	hot_free(&hot);
#endif
}

/* SMALL is cut first: newcomers that nobody used go in order of arrival. */
static void drops_unused_newcomers_oldest_first(void **state)
{
	struct hot *hot = hot_new(LIMIT);
	int oldest = 0;
	for (int i = 0; i < 1000; i++) {
		char key[16];
		snprintf(key, sizeof(key), "n%d", i);
		put(hot, key);
		while (snprintf(key, sizeof(key), "n%d", oldest), peek(hot, key) == NULL)
			oldest++;
		assert_int_equal(hot_count(hot), i - oldest + 1);
	}
	assert_true(oldest > 900);
	hot_free(&hot);
}

static void keeps_through_a_scan_what_was_used(void **state)
{
	struct hot *hot = hot_new(LIMIT);
	put(hot, "used");
	put(hot, "peeked");
	put(hot, "replaced");
	find(hot, "used");
	for (int i = 0; i < 10; i++) {
		peek(hot, "peeked");
		put(hot, "replaced");
	}
	assert_int_equal(peek(hot, "used")->queue, HOT_SMALL);
	scan(hot, "scan", 5000);
	assert_int_equal(peek(hot, "used")->queue, HOT_MAIN);
	assert_int_equal(peek(hot, "used")->uses, 0);
	assert_null(peek(hot, "peeked"));
	assert_null(peek(hot, "replaced"));
	hot_check(hot);
	hot_free(&hot);
}

/* Keys "m0" to "m59" in MAIN, oldest first, and about twenty that nobody used in SMALL, "fill59"
 * the newest. What comes between the keys is what eviction drops on the way. */
static struct hot *hot_with_main(void)
{
	struct hot *hot = hot_new(LIMIT);
	char key[16];
	for (int i = 0; i < 60; i++) {
		snprintf(key, sizeof(key), "m%d", i);
		put(hot, key);
		find(hot, key);
		snprintf(key, sizeof(key), "between%d-", i);
		scan(hot, key, 2);
	}
	scan(hot, "fill", 60);
	for (int i = 0; i < 60; i++) {
		snprintf(key, sizeof(key), "m%d", i);
		assert_int_equal(peek(hot, key)->queue, HOT_MAIN);
		assert_int_equal(peek(hot, key)->uses, 0);
	}
	return hot;
}

/* Puts new keys, each used at once, so that MAIN grows and has to give. */
static void press_on_main(struct hot *hot, const char *prefix, int count)
{
	for (int i = 0; i < count; i++) {
		char key[32];
		snprintf(key, sizeof(key), "%s%d", prefix, i);
		put(hot, key);
		find(hot, key);
	}
}

static void main_gives_what_was_not_used_again_first(void **state)
{
	struct hot *hot = hot_with_main();
	find(hot, "m0");
	find(hot, "m20");
	press_on_main(hot, "new", 40);
	assert_null(peek(hot, "m1"));
	assert_non_null(peek(hot, "m0"));
	assert_non_null(peek(hot, "m20"));
	assert_int_equal(peek(hot, "m0")->uses, 0);
	hot_check(hot);
	press_on_main(hot, "newer", 150);
	assert_null(peek(hot, "m0"));
	hot_free(&hot);
}

static void more_uses_last_more_rounds_and_four_count_as_three(void **state)
{
	struct hot *hot = hot_with_main();
	find(hot, "m0");
	for (int i = 0; i < 50; i++)
		find(hot, "m1");
	assert_int_equal(peek(hot, "m1")->uses, 3);
	int gone_m0 = 0, gone_m1 = 0;
	for (int i = 0; gone_m1 == 0 && i < 2000; i++) {
		char key[16];
		snprintf(key, sizeof(key), "new%d", i);
		put(hot, key);
		find(hot, key);
		gone_m0 = gone_m0 == 0 && peek(hot, "m0") == NULL ? i : gone_m0;
		gone_m1 = gone_m1 == 0 && peek(hot, "m1") == NULL ? i : gone_m1;
	}
	assert_true(gone_m0 > 0);
	assert_true(gone_m1 > gone_m0 + 80);
	hot_free(&hot);
}

static void a_newcomer_that_comes_back_goes_to_main(void **state)
{
	struct hot *hot = hot_new(LIMIT);
	put(hot, "back");
	scan(hot, "scan", 120);
	assert_null(find(hot, "back"));
	assert_int_equal(put(hot, "back")->queue, HOT_MAIN);
	assert_int_equal(hot_figures(hot).ghost_hits, 1);
	/* The ghost is used up. */
	removes(hot, "back");
	assert_int_equal(put(hot, "back")->queue, HOT_SMALL);
	assert_int_equal(hot_figures(hot).ghost_hits, 1);
	hot_free(&hot);
}

/* A ghost may have to make room for a newer one in its bucket: most are still there. */
static void ghosts_count_until_twice_the_limit_was_dropped(void **state)
{
	for (int passed = 20; passed <= 400; passed += 380) {
		struct hot *hot = hot_new(LIMIT);
		scan(hot, "back", 20);
		scan(hot, "scan", 80 + passed);
		assert_null(peek(hot, "back19"));
		scan(hot, "back", 20);
		uint64_t ghost_hits = hot_figures(hot).ghost_hits;
		assert_true(passed == 20 ? ghost_hits >= 16 : ghost_hits == 0);
		hot_check(hot);
		hot_free(&hot);
	}
}

static void ghosts_follow_a_table_that_grows_and_shrinks(void **state)
{
	struct hot *hot = hot_new((size_t)1 << 20);
	scan(hot, "ghost", 1500);
	hot_limit(hot, (size_t)16 << 20);
	scan(hot, "grow", 5000);
	for (int i = 0; i < 5000; i++) {
		char key[16];
		snprintf(key, sizeof(key), "grow%d", i);
		assert_true(removes(hot, key));
	}
	hot_check(hot);
	scan(hot, "ghost", 400);
	assert_true(hot_figures(hot).ghost_hits > 300);
	hot_free(&hot);
}

static void what_main_drops_leaves_no_ghost(void **state)
{
	struct hot *hot = hot_with_main();
	press_on_main(hot, "new", 40);
	assert_null(peek(hot, "m1"));
	uint64_t ghost_hits = hot_figures(hot).ghost_hits;
	assert_int_equal(put(hot, "m1")->queue, HOT_SMALL);
	assert_int_equal(hot_figures(hot).ghost_hits, ghost_hits);
	hot_free(&hot);
}

static void removes_first_last_and_middle_of_each_queue(void **state)
{
	static const char *keys[] = { "m0", "m59", "m30", "m1", "fill59", "fill50", "fill58" };
	struct hot *hot = hot_with_main();
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct hot_entry *entry = peek(hot, keys[i]);
		assert_int_equal(entry->queue, i < 4 ? HOT_MAIN : HOT_SMALL);
		size_t count = hot_count(hot), bytes = hot_bytes(hot), charge = entry->charge;
		assert_true(removes(hot, keys[i]));
		assert_false(removes(hot, keys[i]));
		assert_null(find(hot, keys[i]));
		assert_int_equal(hot_count(hot), count - 1);
		assert_true(hot_bytes(hot) <= bytes - charge);
		hot_check(hot);
	}
	press_on_main(hot, "new", 300);
	hot_check(hot);
	hot_free(&hot);
}

static void replaces_in_each_queue_without_changing_the_order(void **state)
{
	struct hot *hot = hot_with_main();
	find(hot, "m5");
	assert_int_equal(put_sized(hot, "m5", 1)->queue, HOT_MAIN);
	assert_int_equal(peek(hot, "m5")->uses, 1);
	assert_int_equal(put(hot, "m0")->queue, HOT_MAIN);
	hot_check(hot);
	/* The oldest of MAIN still goes first. */
	for (int i = 0; peek(hot, "m0") && i < 100; i++) {
		assert_non_null(peek(hot, "m1"));
		char key[16];
		snprintf(key, sizeof(key), "new%d", i);
		put(hot, key);
		find(hot, key);
	}
	assert_null(peek(hot, "m0"));
	assert_non_null(peek(hot, "m6"));
	hot_free(&hot);
}

/* A step does not walk all of MAIN when all of it was used: a newcomer goes instead. */
static void a_step_is_short_when_everything_was_used(void **state)
{
	struct hot *hot = hot_with_main();
	char key[16];
	for (int i = 0; i < 60; i++) {
		snprintf(key, sizeof(key), "fill%d", i);
		removes(hot, key);
		snprintf(key, sizeof(key), "m%d", i);
		for (int uses = 0; uses < 3; uses++)
			find(hot, key);
	}
	put(hot, "late");
	put(hot, "later");
	assert_int_equal(hot_count(hot), 62);
	hot_limit(hot, hot_bytes(hot) - 1);
	assert_true(hot_trim(hot, 1));
	assert_null(peek(hot, "late"));
	assert_non_null(peek(hot, "later"));
	size_t touched = 0;
	for (int i = 0; i < 60; i++) {
		snprintf(key, sizeof(key), "m%d", i);
		touched += peek(hot, key)->uses < 3;
	}
	assert_int_equal(touched, 16);
	hot_check(hot);
	hot_free(&hot);
}

static void counts_hits_misses_and_evictions(void **state)
{
	struct hot *hot = hot_new(LIMIT);
	scan(hot, "k", 200);
	assert_int_equal(hot_figures(hot).evictions, 200 - hot_count(hot));
	find(hot, "k199");
	find(hot, "k199");
	find(hot, "k0");
	peek(hot, "k199");
	peek(hot, "k0");
	removes(hot, "k199");
	struct hot_figures figures = hot_figures(hot);
	assert_int_equal(figures.hits, 2);
	assert_int_equal(figures.misses, 1);
	assert_int_equal(figures.evictions, 199 - hot_count(hot));
	assert_int_equal(figures.ghost_hits, 0);
	hot_free(&hot);
}

struct contest {
	uint64_t hot, hot_bytes;
	uint64_t lru, lru_bytes;
};

/* Hits of the tier and of an LRU that pays for entries only, with a part of all keys' bytes. */
static struct contest contest(const struct cache_trace_plan *plan, unsigned percent)
{
	enum { REQUESTS = 200000 };
	size_t total = 0, extra = sizeof(struct hot_entry) + 16;
	for (uint32_t key = 0; key < plan->keys; key++)
		total += cache_trace_bytes(key) + extra;
	size_t limit = total / 100 * percent;
	struct contest result = { 0 };
	struct hot *hot = hot_new(limit);
	struct cache_model *lru = cache_model_new(CACHE_MODEL_LRU, limit, plan->keys + REQUESTS);
	struct cache_trace trace;
	cache_trace_init(&trace, plan);
	for (int i = 0; i < REQUESTS; i++) {
		uint32_t key = cache_trace_next(&trace);
		size_t bytes = cache_trace_bytes(key);
		struct slice name = slice_of(&key, sizeof(key));
		if (cache_model_access(lru, key, bytes + extra)) {
			result.lru++;
			result.lru_bytes += bytes;
		}
		if (hot_find(hot, name, hash_bytes(name))) {
			result.hot++;
			result.hot_bytes += bytes;
		} else {
			hot_put(hot, name, hash_bytes(name), slice_of(bytes_of_values, bytes),
				none());
		}
	}
	assert_int_equal(hot_figures(hot).hits, result.hot);
	hot_check(hot);
	hot_free(&hot);
	cache_model_free(&lru);
	cache_trace_fini(&trace);
	return result;
}

static void hits_more_often_than_an_lru_on_popular_keys(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct cache_trace_plan plan = { .keys = 20000,
			.alpha = i == 0  ? 0.8
				: i == 1 ? 0.99
					 : 1.2,
			.seed = 1 };
		struct contest small = contest(&plan, 2), large = contest(&plan, 10);
		assert_true(small.hot > small.lru);
		assert_true(small.hot_bytes > small.lru_bytes);
		assert_true(large.hot > large.lru);
		assert_true(large.hot_bytes > large.lru_bytes);
	}
}

static void hits_far_more_often_than_an_lru_beside_a_scan(void **state)
{
	struct cache_trace_plan plan = {
		.keys = 20000, .alpha = 0.8, .scan_percent = 50, .seed = 2
	};
	struct contest small = contest(&plan, 2), large = contest(&plan, 10);
	assert_true(small.hot * 10 > small.lru * 15);
	assert_true(large.hot * 10 > large.lru * 12);
	plan.alpha = 0.99;
	small = contest(&plan, 2);
	assert_true(small.hot * 10 > small.lru * 12);
}

static void hits_in_a_loop_larger_than_its_limit(void **state)
{
	struct cache_trace_plan plan = { .keys = 5000, .seed = 3 };
	struct contest result = contest(&plan, 80);
	assert_int_equal(result.lru, 0);
	assert_true(result.hot > 60000);
}

int main(void)
{
	/* Which ghosts share a bucket follows from it. */
	hash_set_process_secret((struct hash_secret){ 0x5eed, 0xfeed });
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs_little_while_it_holds_nothing),
		cmocka_unit_test(gives_back_copies_of_what_was_put),
		cmocka_unit_test(takes_keys_of_all_lengths_and_empty_values),
		cmocka_unit_test(keeps_keys_apart_that_share_a_hash),
		cmocka_unit_test(replaces_values_by_other_sizes_and_forgets_the_facts),
		cmocka_unit_test(takes_value_and_tags_from_the_entry_it_replaces),
		cmocka_unit_test(keeps_no_entry_above_an_eighth_of_the_limit),
		cmocka_unit_test(keeps_nothing_under_a_limit_too_low_for_the_table),
		cmocka_unit_test(agrees_with_a_plain_array_under_random_operations),
		cmocka_unit_test(holds_its_bound_after_each_put),
		cmocka_unit_test(works_towards_a_lowered_limit_in_bounded_steps),
		cmocka_unit_test(gives_the_tables_memory_back_as_entries_go),
		cmocka_unit_test(counts_the_bytes_that_the_allocator_hands_out),
		cmocka_unit_test(drops_unused_newcomers_oldest_first),
		cmocka_unit_test(keeps_through_a_scan_what_was_used),
		cmocka_unit_test(main_gives_what_was_not_used_again_first),
		cmocka_unit_test(more_uses_last_more_rounds_and_four_count_as_three),
		cmocka_unit_test(a_newcomer_that_comes_back_goes_to_main),
		cmocka_unit_test(ghosts_count_until_twice_the_limit_was_dropped),
		cmocka_unit_test(ghosts_follow_a_table_that_grows_and_shrinks),
		cmocka_unit_test(what_main_drops_leaves_no_ghost),
		cmocka_unit_test(removes_first_last_and_middle_of_each_queue),
		cmocka_unit_test(replaces_in_each_queue_without_changing_the_order),
		cmocka_unit_test(a_step_is_short_when_everything_was_used),
		cmocka_unit_test(counts_hits_misses_and_evictions),
		cmocka_unit_test(hits_more_often_than_an_lru_on_popular_keys),
		cmocka_unit_test(hits_far_more_often_than_an_lru_beside_a_scan),
		cmocka_unit_test(hits_in_a_loop_larger_than_its_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
