/*
 * The store keys of the cache: their bytes, their order, what they are read back as, and which
 * group a key belongs to.
 */
#include "cache/cache_key.h"

#include "base/random.h"
#include "holdfast/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct hash_secret secret = { 1, 2 };

static void is_bytes(const struct key *key, const char *bytes, size_t size)
{
	assert_int_equal(key->size, size);
	assert_memory_equal(key->bytes, bytes, size);
}

static void stands_as_the_format_says(void **state)
{
	struct key key;
	key_of_cache_place(&key, 0x0102030405060708);
	is_bytes(&key, "\x0d\x01\x02\x03\x04\x05\x06\x07\x08", 9);
	key_of_cache_mark(&key, CACHE_FORMAT_MARK_TAG, slice_text("red"));
	is_bytes(&key, "\x0e\x01red", 5);
	key_of_cache_mark(&key, CACHE_FORMAT_MARK_PREFIX, slice_text("red"));
	is_bytes(&key, "\x0e\x02red", 5);
	key_of_cache_sums(&key, slice_text(""));
	is_bytes(&key, "\x0f", 1);
	key_of_cache_sums(&key, slice_text("user:"));
	is_bytes(&key, "\x0fuser:", 6);
	struct slice name = slice_text("user:1");
	key_of_cache(&key, &secret, name);
	assert_int_equal(key.size, 6 + name.size);
	assert_int_equal(key.bytes[0], 0x0c);
	uint64_t hash = key_hash(&secret, name);
	for (int i = 0; i < 5; i++)
		assert_int_equal((unsigned char)key.bytes[1 + i], hash >> (8 * (4 - i)) & 0xff);
	assert_memory_equal(key.bytes + 6, name.data, name.size);
}

static void is_read_back_as_it_was(void **state)
{
	struct random random;
	random_seed(&random, 3);
	for (int round = 0; round < 20000; round++) {
		char letters[LIMIT_KEY_BYTES];
		struct key key;
		struct slice name = slice_of(letters, 1 + random_below(&random, sizeof(letters))),
			     out;
		uint64_t number = random_next(&random) >> random_below(&random, 64), got;
		uint8_t kind;
		for (size_t i = 0; i < name.size; i++)
			letters[i] = (char)random_next(&random);
		key_of_cache(&key, &secret, name);
		assert_true(key_parse_cache(key_slice(&key), &got, &out));
		assert_true(slice_equal(out, name));
		assert_int_equal(got, key_hash(&secret, name));
		key_of_cache_place(&key, number);
		assert_true(key_parse_cache_place(key_slice(&key), &got));
		assert_int_equal(got, number);
		key_of_cache_mark(&key, CACHE_FORMAT_MARK_PREFIX, name);
		assert_true(key_parse_cache_mark(key_slice(&key), &kind, &out));
		assert_int_equal(kind, CACHE_FORMAT_MARK_PREFIX);
		assert_true(slice_equal(out, name));
		name.size = random_below(&random, LIMIT_CACHE_GROUP_BYTES + 1);
		key_of_cache_sums(&key, name);
		assert_true(key_parse_cache_sums(key_slice(&key), &out));
		assert_true(slice_equal(out, name));
	}
}

static void refuses_keys_of_other_tables_and_sizes(void **state)
{
	struct key keys[4], end;
	struct slice name = slice_text("k"), out;
	uint64_t number;
	uint8_t kind;
	key_of_cache(&keys[0], &secret, name);
	key_of_cache_place(&keys[1], 5);
	key_of_cache_mark(&keys[2], CACHE_FORMAT_MARK_TAG, name);
	key_of_cache_sums(&keys[3], name);
	for (int i = 0; i < 4; i++) {
		struct slice key = key_slice(&keys[i]);
		assert_int_equal(key_parse_cache(key, &number, &out), i == 0);
		assert_int_equal(key_parse_cache_place(key, &number), i == 1);
		assert_int_equal(key_parse_cache_mark(key, &kind, &out), i == 2);
		assert_int_equal(key_parse_cache_sums(key, &out), i == 3);
		/* Every table is a range that its end closes. */
		key_of_table_end(&end, (enum table)(TABLE_CACHE + i));
		assert_true(slice_compare(key, key_slice(&end)) < 0);
		if (i < 3)
			assert_true(slice_compare(key_slice(&end), key_slice(&keys[i + 1])) <= 0);
	}
	for (size_t size = 0; size < keys[0].size; size++)
		assert_false(key_parse_cache(slice_of(keys[0].bytes, size), &number, &out));
	for (size_t size = 0; size < keys[1].size; size++)
		assert_false(key_parse_cache_place(slice_of(keys[1].bytes, size), &number));
	keys[1].size++;
	assert_false(key_parse_cache_place(key_slice(&keys[1]), &number));
	for (size_t size = 0; size < 2; size++)
		assert_false(key_parse_cache_mark(slice_of(keys[2].bytes, size), &kind, &out));
	keys[2].bytes[1] = CACHE_FORMAT_MARK_KINDS;
	assert_false(key_parse_cache_mark(key_slice(&keys[2]), &kind, &out));
}

/* The order of the bytes is that of the numbers: the line is walked oldest first. */
static void are_in_the_order_of_places_and_hashes(void **state)
{
	struct random random;
	random_seed(&random, 4);
	for (int round = 0; round < 20000; round++) {
		struct key a, b;
		uint64_t one = random_next(&random) >> random_below(&random, 64);
		uint64_t two = round % 3 ? one + 1 : random_next(&random);
		key_of_cache_place(&a, one);
		key_of_cache_place(&b, two);
		int order = slice_compare(key_slice(&a), key_slice(&b));
		assert_int_equal(order < 0, one < two);
		assert_int_equal(order > 0, one > two);
	}
}

static void a_group_is_what_stands_before_the_first_colon(void **state)
{
	static const struct {
		const char *key;
		const char *group;
	} cases[] = { { "user:1", "user:" }, { "user:1:2", "user:" }, { "user", "" }, { ":", ":" },
		{ ":x:", ":" }, { "a:", "a:" }, { "::", ":" } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_true(slice_equal(
			cache_group_of(slice_text(cases[i].key)), slice_text(cases[i].group)));
}

static void a_long_group_is_none(void **state)
{
	char letters[2 * LIMIT_CACHE_GROUP_BYTES];
	for (size_t size = 1; size < sizeof(letters); size++) {
		memset(letters, 'g', sizeof(letters));
		letters[size - 1] = ':';
		struct slice group = cache_group_of(slice_of(letters, sizeof(letters)));
		assert_int_equal(group.size, size <= LIMIT_CACHE_GROUP_BYTES ? size : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stands_as_the_format_says),
		cmocka_unit_test(is_read_back_as_it_was),
		cmocka_unit_test(refuses_keys_of_other_tables_and_sizes),
		cmocka_unit_test(are_in_the_order_of_places_and_hashes),
		cmocka_unit_test(a_group_is_what_stands_before_the_first_colon),
		cmocka_unit_test(a_long_group_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
