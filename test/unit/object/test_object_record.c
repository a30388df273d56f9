/*
 * An object's record as bytes: it comes back as it was, is small, and damage is noticed.
 */
#include "object/record.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct random randomness;

/* Zero, small, anything or the highest. */
static uint64_t number(uint64_t most)
{
	switch (random_below(&randomness, 4)) {
	case 0:
		return 0;
	case 1:
		return random_below(&randomness, 200) % most;
	case 2:
		return random_next(&randomness) % most;
	default:
		return most;
	}
}

static struct object_record random_record(void)
{
	struct object_record record = {
		.values.count = number(UINT64_MAX),
		.values.bytes = number(UINT64_MAX),
		.created_ms = (int64_t)number(INT64_MAX),
		.changed_ms = (int64_t)number(INT64_MAX),
		.values.incarnation = (uint32_t)number(UINT32_MAX),
		.sweep_filed_ms = (int64_t)number(INT64_MAX),
		.schedules = (uint32_t)number(UINT32_MAX),
		.alarm_ms = (int64_t)number(INT64_MAX),
		.alarm_serial = (uint32_t)number(UINT32_MAX),
		.expire_ms = (int64_t)number(INT64_MAX),
	};
	record.values.oldest = record.values.incarnation;
	if (record.sweep_filed_ms && record.values.incarnation)
		record.values.oldest = (uint32_t)number(record.values.incarnation);
	if (record.alarm_ms) {
		record.alarm_due_ms = (int64_t)number(INT64_MAX);
		record.alarm_tries = (uint32_t)number(UINT32_MAX);
	}
	if (record.expire_ms) {
		record.expire_filed_ms = (int64_t)number((uint64_t)record.expire_ms);
		record.life_ms = (int64_t)number(INT64_MAX);
	}
	return record;
}

static void assert_records_equal(const struct object_record *a, const struct object_record *b)
{
	assert_int_equal(a->values.count, b->values.count);
	assert_int_equal(a->values.bytes, b->values.bytes);
	assert_int_equal(a->created_ms, b->created_ms);
	assert_int_equal(a->changed_ms, b->changed_ms);
	assert_int_equal(a->values.incarnation, b->values.incarnation);
	assert_int_equal(a->values.oldest, b->values.oldest);
	assert_int_equal(a->sweep_filed_ms, b->sweep_filed_ms);
	assert_int_equal(a->schedules, b->schedules);
	assert_int_equal(a->alarm_ms, b->alarm_ms);
	assert_int_equal(a->alarm_due_ms, b->alarm_due_ms);
	assert_int_equal(a->alarm_tries, b->alarm_tries);
	assert_int_equal(a->alarm_serial, b->alarm_serial);
	assert_int_equal(a->expire_ms, b->expire_ms);
	assert_int_equal(a->expire_filed_ms, b->expire_filed_ms);
	assert_int_equal(a->life_ms, b->life_ms);
}

/* From an exact copy, so that a read behind the end is noticed. */
static bool decode(const char *bytes, size_t size, struct object_record *out)
{
	char *copy = malloc(size ? size : 1);
	memcpy(copy, bytes, size);
	bool decoded = record_decode(slice_of(copy, size), out);
	free(copy);
	return decoded;
}

static void every_record_comes_back_as_it_was(void **state)
{
	(void)state;
	random_seed(&randomness, 1);
	for (int i = 0; i < 50000; i++) {
		struct object_record record = random_record(), decoded;
		char bytes[RECORD_BYTES_MAX];
		size_t size = record_encode(&record, bytes);
		assert_true(decode(bytes, size, &decoded));
		assert_records_equal(&decoded, &record);
	}
}

static void an_object_of_few_values_costs_few_bytes(void **state)
{
	(void)state;
	struct object_record record = {
		.values.count = 3,
		.values.bytes = 90,
		.created_ms = 1700000000000,
		.changed_ms = 1700000001000,
	};
	char bytes[RECORD_BYTES_MAX];
	assert_true(record_encode(&record, bytes) <= 16);
}

static void the_bytes_are_those_of_the_format(void **state)
{
	(void)state;
	struct object_record record = {
		.values.count = 1,
		.values.bytes = 300,
		.created_ms = 5,
		.changed_ms = 6,
		.values.incarnation = 2,
		.values.oldest = 1,
		.sweep_filed_ms = 7,
		.schedules = 3,
		.alarm_ms = 8,
		.alarm_due_ms = 9,
		.alarm_tries = 4,
		.alarm_serial = 10,
		.expire_ms = 12,
		.expire_filed_ms = 11,
		.life_ms = 13,
	};
	static const char expected[] = "\x3f\x01\xac\x02\x05\x06\x02\x01\x07\x03\x0a\x08\x09\x04"
				       "\x0c\x0b\x0d";
	char bytes[RECORD_BYTES_MAX];
	assert_int_equal(record_encode(&record, bytes), sizeof(expected) - 1);
	assert_memory_equal(bytes, expected, sizeof(expected) - 1);
}

static void the_largest_record_fits(void **state)
{
	(void)state;
	struct object_record record = {
		.values.count = UINT64_MAX,
		.values.bytes = UINT64_MAX,
		.created_ms = INT64_MAX,
		.changed_ms = INT64_MAX,
		.values.incarnation = UINT32_MAX,
		.values.oldest = UINT32_MAX,
		.sweep_filed_ms = INT64_MAX,
		.schedules = UINT32_MAX,
		.alarm_ms = INT64_MAX,
		.alarm_due_ms = INT64_MAX,
		.alarm_tries = UINT32_MAX,
		.alarm_serial = UINT32_MAX,
		.expire_ms = INT64_MAX,
		.expire_filed_ms = INT64_MAX,
		.life_ms = INT64_MAX,
	};
	struct object_record decoded;
	char bytes[RECORD_BYTES_MAX];
	size_t size = record_encode(&record, bytes);
	assert_true(size <= RECORD_BYTES_MAX);
	assert_true(decode(bytes, size, &decoded));
	assert_records_equal(&decoded, &record);
}

static void a_cut_or_longer_record_is_damaged(void **state)
{
	(void)state;
	random_seed(&randomness, 2);
	for (int i = 0; i < 5000; i++) {
		struct object_record record = random_record(), decoded;
		char bytes[RECORD_BYTES_MAX + 1];
		size_t size = record_encode(&record, bytes);
		for (size_t cut = 0; cut < size; cut++)
			assert_false(decode(bytes, cut, &decoded));
		bytes[size] = 0;
		assert_false(decode(bytes, size + 1, &decoded));
	}
}

static void no_bytes_are_read_as_what_would_be_written_otherwise(void **state)
{
	(void)state;
	random_seed(&randomness, 3);
	size_t refused = 0, accepted = 0;
	for (int i = 0; i < 200000; i++) {
		struct object_record record = random_record(), decoded;
		char bytes[RECORD_BYTES_MAX], again[RECORD_BYTES_MAX];
		size_t size = record_encode(&record, bytes);
		for (uint64_t n = 1 + random_below(&randomness, 3); n > 0; n--)
			bytes[random_below(&randomness, size)] =
				(char)random_below(&randomness, 256);
		if (!decode(bytes, size, &decoded)) {
			refused++;
			continue;
		}
		accepted++;
		assert_int_equal(record_encode(&decoded, again), size);
		assert_memory_equal(again, bytes, size);
	}
	assert_true(refused > 1000);
	assert_true(accepted > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_record_comes_back_as_it_was),
		cmocka_unit_test(an_object_of_few_values_costs_few_bytes),
		cmocka_unit_test(the_bytes_are_those_of_the_format),
		cmocka_unit_test(the_largest_record_fits),
		cmocka_unit_test(a_cut_or_longer_record_is_damaged),
		cmocka_unit_test(no_bytes_are_read_as_what_would_be_written_otherwise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
