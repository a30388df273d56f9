/*
 * Records: what is written is read, and nothing malformed is read outside its bounds.
 */
#include "base/memory.h"
#include "base/random.h"
#include "holdfast/log_format.h"
#include "log/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define EFFECTS_MAX 9

static const struct effect two_effects[] = {
	{ .kind = EFFECT_PUT,
		.type = 2,
		.shard = 513,
		.expire_ms = INT64_C(1234567890123),
		.key = { "key", 3 },
		.value = { "value\0with zero", 15 } },
	{ .kind = EFFECT_DELETE, .shard = 7, .key = { "gone", 4 } },
};

static void assert_effect_equal(const struct effect *a, const struct effect *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->shard, b->shard);
	assert_int_equal(a->expire_ms, b->expire_ms);
	assert_true(slice_equal(a->key, b->key));
	assert_true(slice_equal(a->value, b->value));
}

static void has_the_documented_bytes(void **state)
{
	(void)state;
	static const unsigned char expected[] = {
		72, 0, 0, 0, 2, 0, 0, 0,                     /* size, effects */
		1, 2, 1, 2, 3, 0, 0, 0, 15, 0, 0, 0,         /* put, type, shard, sizes */
		0xcb, 0x04, 0xfb, 0x71, 0x1f, 0x01, 0, 0,    /* expiry */
		'k', 'e', 'y', 'v', 'a', 'l', 'u', 'e', 0,   /* key, value */
		'w', 'i', 't', 'h', ' ', 'z', 'e', 'r', 'o', /* value */
		2, 0, 7, 0, 4, 0, 0, 0, 0, 0, 0, 0,          /* delete */
		0, 0, 0, 0, 0, 0, 0, 0, 'g', 'o', 'n', 'e',  /* no expiry, key */
		0, 0,                                        /* padding */
	};
	assert_int_equal(record_size(two_effects, 2), sizeof(expected));
	char bytes[sizeof(expected)];
	memset(bytes, 0xff, sizeof(bytes));
	record_write(bytes, two_effects, 2);
	assert_memory_equal(bytes, expected, sizeof(expected));
}

static void reads_random_records_as_they_were_written(void **state)
{
	(void)state;
	struct random random;
	random_seed(&random, 1);
	char pool[600];
	for (size_t i = 0; i < sizeof(pool); i++)
		pool[i] = (char)random_next(&random);
	for (int round = 0; round < 20000; round++) {
		struct effect effects[EFFECTS_MAX];
		size_t count = (size_t)random_below(&random, EFFECTS_MAX + 1);
		for (size_t i = 0; i < count; i++) {
			effects[i] = (struct effect){
				.kind = random_below(&random, 2) ? EFFECT_PUT : EFFECT_DELETE,
				.type = (uint8_t)random_next(&random),
				.shard = (uint16_t)random_next(&random),
				.expire_ms = (int64_t)random_next(&random),
				.key = { pool, (size_t)random_below(&random, 200) },
				.value = { pool + 100, (size_t)random_below(&random, 500) },
			};
		}
		size_t size = record_size(effects, count);
		assert_int_equal(size % 8, 0);
		char *bytes = memory_alloc(size);
		record_write(bytes, effects, count);
		struct slice left = slice_of(bytes, size);
		struct record_reader reader;
		assert_true(record_next(&left, &reader));
		assert_int_equal(left.size, 0);
		for (size_t i = 0; i < count; i++) {
			struct effect effect;
			assert_int_equal(record_next_effect(&reader, &effect), 1);
			assert_effect_equal(&effect, &effects[i]);
		}
		struct effect none;
		assert_int_equal(record_next_effect(&reader, &none), 0);
		memory_free(bytes);
	}
}

static void walks_records_that_follow_each_other(void **state)
{
	(void)state;
	char bytes[4096];
	size_t used = 0;
	for (size_t count = 0; count <= 2; count++) {
		record_write(bytes + used, two_effects, count);
		used += record_size(two_effects, count);
	}
	struct slice left = slice_of(bytes, used);
	struct record_reader reader;
	for (size_t count = 0; count <= 2; count++) {
		assert_true(record_next(&left, &reader));
		assert_int_equal(reader.effects_left, count);
	}
	assert_false(record_next(&left, &reader));
}

static void refuses_a_record_cut_short(void **state)
{
	(void)state;
	size_t size = record_size(two_effects, 2);
	for (size_t cut = 0; cut < size; cut++) {
		/* On the heap, so that a read beyond the cut is caught. */
		char *whole = memory_alloc(size);
		char *bytes = memory_alloc(cut);
		record_write(whole, two_effects, 2);
		memcpy(bytes, whole, cut);
		struct slice left = slice_of(bytes, cut);
		struct record_reader reader;
		assert_false(record_next(&left, &reader));
		assert_int_equal(left.size, cut);
		memory_free(bytes);
		memory_free(whole);
	}
}

static void never_reads_outside_a_mutated_record(void **state)
{
	(void)state;
	struct random random;
	random_seed(&random, 2);
	size_t size = record_size(two_effects, 2);
	int refused = 0;
	for (int round = 0; round < 50000; round++) {
		char *bytes = memory_alloc(size);
		record_write(bytes, two_effects, 2);
		for (uint64_t i = random_below(&random, 4) + 1; i > 0; i--)
			bytes[random_below(&random, size)] = (char)random_next(&random);
		struct slice left = slice_of(bytes, size);
		struct record_reader reader;
		int outcome = record_next(&left, &reader) ? 1 : -EBADMSG;
		while (outcome == 1) {
			struct effect effect;
			outcome = record_next_effect(&reader, &effect);
			if (outcome == 1) {
				assert_true(effect.key.data >= bytes);
				assert_true(effect.value.data + effect.value.size <= bytes + size);
			}
		}
		assert_true(outcome == 0 || outcome == -EBADMSG);
		refused += outcome != 0;
		memory_free(bytes);
	}
	assert_true(refused > 1000);
}

static void refuses_an_unknown_kind(void **state)
{
	(void)state;
	char bytes[256];
	record_write(bytes, two_effects, 2);
	bytes[LOG_RECORD_HEADER_BYTES] = 3;
	struct slice left = slice_of(bytes, record_size(two_effects, 2));
	struct record_reader reader;
	struct effect effect;
	assert_true(record_next(&left, &reader));
	assert_int_equal(record_next_effect(&reader, &effect), -EBADMSG);
}

static void refuses_bytes_behind_the_last_effect(void **state)
{
	(void)state;
	char bytes[256];
	record_write(bytes, two_effects, 2);
	struct log_record_header header;
	memcpy(&header, bytes, sizeof(header));
	header.effects = 1;
	memcpy(bytes, &header, sizeof(header));
	struct slice left = slice_of(bytes, record_size(two_effects, 2));
	struct record_reader reader;
	struct effect effect;
	assert_true(record_next(&left, &reader));
	assert_int_equal(record_next_effect(&reader, &effect), 1);
	assert_int_equal(record_next_effect(&reader, &effect), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_the_documented_bytes),
		cmocka_unit_test(reads_random_records_as_they_were_written),
		cmocka_unit_test(walks_records_that_follow_each_other),
		cmocka_unit_test(refuses_a_record_cut_short),
		cmocka_unit_test(never_reads_outside_a_mutated_record),
		cmocka_unit_test(refuses_an_unknown_kind),
		cmocka_unit_test(refuses_bytes_behind_the_last_effect),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
