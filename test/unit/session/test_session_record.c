/*
 * The bytes of what is stored of a session's id: as include/holdfast/session_format.h has them,
 * there and back, and refused when something is missing.
 */
#include "session/session_record.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;

static int set_up(void **state)
{
	arena_init(&arena, 4096);
	return 0;
}

static int tear_down(void **state)
{
	arena_fini(&arena);
	return 0;
}

static void equals(struct slice a, struct slice b)
{
	assert_int_equal(a.size, b.size);
	assert_memory_equal(a.data, b.data, a.size);
}

/* Decodes a copy that ends where its memory ends, for the sanitizers. */
static bool decodes(struct slice bytes, size_t size)
{
	struct session_record record;
	char *copy = malloc(size + (size == 0));
	memcpy(copy, bytes.data, size);
	bool decoded = session_record_decode(slice_of(copy, size), &record);
	free(copy);
	return decoded;
}

static void a_session_stands_at_the_documented_offsets(void **state)
{
	static const unsigned char bytes[] = { 1, 0, 3, 0, 0x04, 0x03, 0x02, 0x01, /* boot */
		8, 7, 6, 5, 4, 3, 2, 1,                                            /* serial */
		9, 0, 0, 0, 0, 0, 0, 0,                                            /* version */
		0x0a, 1, 0, 0, 0, 0, 0, 0,                                         /* created */
		0x0b, 1, 0, 0, 0, 0, 0, 0,                                         /* updated */
		0x0c, 1, 0, 0, 0, 0, 0, 0,                                         /* ttl */
		0x0d, 1, 0, 0, 0, 0, 0, 0,                                         /* absolute */
		0x0e, 1, 0, 0, 0, 0, 0, 0x80,                                      /* bound */
		'a', 'n', 'n', '{', '}' };
	struct session_record record = { .kind = SESSION_FORMAT_KIND_SESSION,
		.boot = 0x01020304,
		.serial = 0x0102030405060708,
		.version = 9,
		.created_ms = 0x10a,
		.updated_ms = 0x10b,
		.ttl_ms = 0x10c,
		.absolute_ms = 0x10d,
		.bound_ms = INT64_MIN + 0x10e,
		.user = slice_text("ann"),
		.data = slice_text("{}") };
	equals(session_record_encode(&record, &arena), slice_of(bytes, sizeof(bytes)));
}

static void a_changed_id_stands_at_the_documented_offsets(void **state)
{
	static const unsigned char plain[] = { 2, 7, 6, 5, 4, 3, 2, 1, /* kind, serial */
		8, 7, 6, 5, 4, 3, 2, 1,                                /* grace end */
		0, 'n', 'e', 'w' };
	struct session_record record = { .kind = SESSION_FORMAT_KIND_ROTATED,
		.grace_end_ms = 0x0102030405060708,
		.successor_serial = 0x01020304050607,
		.successor = { SESSION_FORMAT_PLAIN, slice_text("new") } };
	equals(session_record_encode(&record, &arena), slice_of(plain, sizeof(plain)));

	char hashed[81] = { 2, 7, 6, 5, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1, 1 };
	memset(hashed + 17, 'd', 32);
	memset(hashed + 49, 'm', 32);
	record.successor =
		(struct session_name){ SESSION_FORMAT_HASHED, slice_of(hashed + 17, 32) };
	record.masked_id = slice_of(hashed + 49, 32);
	equals(session_record_encode(&record, &arena), slice_of(hashed, sizeof(hashed)));
}

static void a_deleted_id_is_its_kind_alone(void **state)
{
	struct session_record record = { .kind = SESSION_FORMAT_KIND_DELETED };
	equals(session_record_encode(&record, &arena), slice_of("\3", 1));
	assert_true(session_record_decode(slice_of("\3", 1), &record));
	assert_int_equal(record.kind, SESSION_FORMAT_KIND_DELETED);
	assert_false(decodes(slice_of("\3\0", 2), 2));
}

static void an_ended_id_is_its_kind_and_how(void **state)
{
	struct session_record record = { .kind = SESSION_FORMAT_KIND_ENDED };
	equals(session_record_encode(&record, &arena), slice_of("\4\0", 2));
	record.by_absolute = true;
	equals(session_record_encode(&record, &arena), slice_of("\4\1", 2));
	assert_true(session_record_decode(slice_of("\4\1", 2), &record));
	assert_true(record.kind == SESSION_FORMAT_KIND_ENDED && record.by_absolute);
	assert_true(session_record_decode(slice_of("\4\0", 2), &record));
	assert_false(record.by_absolute);
	assert_false(decodes(slice_of("\4", 1), 1));
	assert_false(decodes(slice_of("\4\2", 2), 2));
	assert_false(decodes(slice_of("\4\0\0", 3), 3));
}

static struct slice random_bytes(struct random *random, size_t most)
{
	size_t size = random_below(random, most + 1);
	char *bytes = arena_alloc(&arena, size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)random_next(random);
	return slice_of(bytes, size);
}

static struct session_record random_session(struct random *random)
{
	return (struct session_record){
		.kind = SESSION_FORMAT_KIND_SESSION,
		.boot = (uint32_t)random_next(random),
		.serial = random_next(random),
		.version = random_next(random),
		.created_ms = (int64_t)random_next(random),
		.updated_ms = (int64_t)random_next(random),
		.ttl_ms = 1 + (int64_t)random_below(random, INT64_MAX),
		.absolute_ms = (int64_t)random_next(random),
		.bound_ms = (int64_t)random_next(random),
		.user = random_bytes(random, random_below(random, 2) ? 4 : LIMIT_USER_BYTES),
		.data = random_bytes(random, 300),
	};
}

static void comes_back_as_it_was(void **state)
{
	struct random random;
	random_seed(&random, 1);
	for (int i = 0; i < 2000; i++) {
		struct session_record record = random_session(&random), back;
		struct slice bytes = session_record_encode(&record, &arena);
		assert_true(session_record_decode(bytes, &back));
		equals(record.user, back.user);
		equals(record.data, back.data);
		back.user = record.user;
		back.data = record.data;
		equals(session_record_encode(&back, &arena), bytes);

		bool hashed = random_below(&random, 2);
		record = (struct session_record){ .kind = SESSION_FORMAT_KIND_ROTATED,
			.grace_end_ms = (int64_t)random_next(&random),
			.successor = { hashed, random_bytes(&random, LIMIT_KEY_BYTES - 1) } };
		if (record.successor.bytes.size == 0 || hashed)
			record.successor.bytes = slice_text("12345678901234567890123456789012");
		if (hashed)
			record.masked_id = slice_text("abcdefghabcdefghabcdefghabcdefgh");
		assert_true(session_record_decode(session_record_encode(&record, &arena), &back));
		assert_int_equal(back.kind, SESSION_FORMAT_KIND_ROTATED);
		assert_int_equal(back.grace_end_ms, record.grace_end_ms);
		assert_int_equal(back.successor.form, record.successor.form);
		equals(back.successor.bytes, record.successor.bytes);
		equals(back.masked_id, record.masked_id);
	}
}

/* What is cut off behind the user's name is JSON, of which the record does not know the length. */
static void refuses_what_is_cut_off(void **state)
{
	struct random random;
	random_seed(&random, 2);
	for (int i = 0; i < 60; i++) {
		struct session_record record = random_session(&random);
		struct slice bytes = session_record_encode(&record, &arena);
		for (size_t size = 0; size < SESSION_FORMAT_HEADER_BYTES + record.user.size; size++)
			assert_false(decodes(bytes, size));
		assert_true(decodes(bytes, bytes.size));
	}
	char rotated[81] = { 2, [16] = SESSION_FORMAT_HASHED };
	for (size_t size = 0; size < sizeof(rotated); size++)
		assert_false(decodes(slice_of(rotated, sizeof(rotated)), size));
	assert_true(decodes(slice_of(rotated, sizeof(rotated)), sizeof(rotated)));
	rotated[16] = SESSION_FORMAT_PLAIN;
	for (size_t size = 0; size <= SESSION_FORMAT_ROTATED_BYTES; size++)
		assert_false(decodes(slice_of(rotated, sizeof(rotated)), size));
	assert_true(decodes(slice_of(rotated, sizeof(rotated)), SESSION_FORMAT_ROTATED_BYTES + 1));
}

static void refuses_what_it_does_not_know(void **state)
{
	char bytes[100] = { 0 };
	for (int kind = 0; kind < 256; kind++) {
		bytes[0] = (char)kind;
		/* A session's life is above 0; a successor has a form that is known. */
		assert_int_equal(decodes(slice_of(bytes, 64), 64), kind == 2);
	}
	bytes[0] = SESSION_FORMAT_KIND_ROTATED;
	for (int form = 2; form < 256; form++) {
		bytes[16] = (char)form;
		assert_false(decodes(slice_of(bytes, 81), 81));
	}
	bytes[16] = SESSION_FORMAT_HASHED;
	assert_false(decodes(slice_of(bytes, 82), 82));
	char session[64] = { 1, [40] = 1 };
	assert_true(decodes(slice_of(session, 64), 64));
	session[47] = (char)0x80;
	assert_false(decodes(slice_of(session, 64), 64));
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_session_stands_at_the_documented_offsets),
		test(a_changed_id_stands_at_the_documented_offsets),
		test(a_deleted_id_is_its_kind_alone),
		test(an_ended_id_is_its_kind_and_how),
		test(comes_back_as_it_was),
		test(refuses_what_is_cut_off),
		test(refuses_what_it_does_not_know),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
