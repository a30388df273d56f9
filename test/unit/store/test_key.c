/*
 * key: the encodings keep the order that their headers promise, and come apart again.
 */
#include "store/key.h"

#include "base/hash.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct hash_secret secret = { 1, 2 };

static void lays_bytes_out_as_documented(void **state)
{
	(void)state;
	struct key key;
	key_of_namespace(&key, 7);
	assert_int_equal(key.size, 2);
	assert_memory_equal(key.bytes, "\x01\x07", 2);

	key_of_string_hash(&key, 3, 0x01020304, 0x0a0b0c0d0e);
	assert_int_equal(key.size, KEY_STRING_PREFIX_BYTES);
	assert_memory_equal(key.bytes, "\x02\x03\x01\x02\x03\x04\x0a\x0b\x0c\x0d\x0e", key.size);

	struct slice name = slice_text("name");
	uint64_t hash = hash_secretly(&secret, name) >> 24;
	assert_true(key_hash(&secret, name) == hash);
	assert_true((hash << 24 | key_hash_rest(&secret, name)) == hash_secretly(&secret, name));
	key_of_string(&key, &secret, 3, 0x01020304, name);
	assert_int_equal(key.size, KEY_STRING_PREFIX_BYTES + name.size);
	assert_memory_equal(key.bytes, "\x02\x03\x01\x02\x03\x04", 6);
	for (int i = 0; i < 5; i++)
		assert_int_equal((uint8_t)key.bytes[6 + i], (uint8_t)(hash >> (32 - 8 * i)));
	assert_memory_equal(key.bytes + KEY_STRING_PREFIX_BYTES, "name", 4);
}

static void takes_apart_what_it_made(void **state)
{
	(void)state;
	struct random random;
	random_seed(&random, 1);
	char name[LIMIT_KEY_BYTES];
	for (int round = 0; round < 2000; round++) {
		size_t size = random_below(&random, round % 10 ? 40 : LIMIT_KEY_BYTES + 1);
		for (size_t i = 0; i < size; i++)
			name[i] = (char)random_next(&random);
		uint8_t db = (uint8_t)random_next(&random);
		uint32_t generation = (uint32_t)random_next(&random);
		struct key key;
		key_of_string(&key, &secret, db, generation, slice_of(name, size));
		struct key_string parsed;
		assert_true(key_parse_string(key_slice(&key), &parsed));
		assert_int_equal(parsed.db, db);
		assert_int_equal(parsed.generation, generation);
		assert_true(parsed.hash == key_hash(&secret, slice_of(name, size)));
		assert_true(slice_equal(parsed.name, slice_of(name, size)));
	}
}

static void refuses_keys_of_other_tables_and_short_ones(void **state)
{
	(void)state;
	struct key key;
	struct key_string parsed;
	key_of_namespace(&key, 1);
	assert_false(key_parse_string(key_slice(&key), &parsed));
	key_of_string(&key, &secret, 0, 0, slice_text("x"));
	for (size_t size = 0; size < KEY_STRING_PREFIX_BYTES; size++)
		assert_false(key_parse_string(slice_of(key.bytes, size), &parsed));
	key.bytes[0] = 3;
	assert_false(key_parse_string(key_slice(&key), &parsed));
}

static void orders_strings_by_database_generation_and_hash(void **state)
{
	(void)state;
	struct random random;
	random_seed(&random, 2);
	for (int round = 0; round < 2000; round++) {
		struct key a, b;
		uint8_t db[2];
		uint32_t generation[2];
		uint64_t hash[2];
		for (int i = 0; i < 2; i++) {
			db[i] = (uint8_t)random_below(&random, 2);
			generation[i] = (uint32_t)random_below(&random, 3) * 0x7fffff;
			hash[i] = random_next(&random) >> (64 - KEY_HASH_BITS);
		}
		key_of_string_hash(&a, db[0], generation[0], hash[0]);
		key_of_string_hash(&b, db[1], generation[1], hash[1]);
		bool less = db[0] != db[1]               ? db[0] < db[1]
			: generation[0] != generation[1] ? generation[0] < generation[1]
							 : hash[0] < hash[1];
		assert_int_equal(slice_compare(key_slice(&a), key_slice(&b)) < 0, less);
	}
}

static void starts_a_hash_before_every_key_of_it(void **state)
{
	(void)state;
	struct key first, key, behind;
	struct slice name = slice_text("");
	key_of_string_hash(&first, 0, 9, key_hash(&secret, name));
	key_of_string(&key, &secret, 0, 9, name);
	key_of_string_hash(&behind, 0, 9, key_hash(&secret, name) + 1);
	assert_true(slice_compare(key_slice(&first), key_slice(&key)) <= 0);
	assert_true(slice_compare(key_slice(&key), key_slice(&behind)) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lays_bytes_out_as_documented),
		cmocka_unit_test(takes_apart_what_it_made),
		cmocka_unit_test(refuses_keys_of_other_tables_and_short_ones),
		cmocka_unit_test(orders_strings_by_database_generation_and_hash),
		cmocka_unit_test(starts_a_hash_before_every_key_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
