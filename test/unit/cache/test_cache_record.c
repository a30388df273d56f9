/*
 * Records of the cache's entries: every byte where include/holdfast/cache_format.h says, and no
 * bytes read that are not there.
 */
#include "cache/cache_record.h"

#include "base/memory.h"
#include "base/random.h"
#include "holdfast/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
	struct arena *arena = memory_zeroed(sizeof(*arena));
	arena_init(arena, 4096);
	*state = arena;
	return 0;
}

static int tear_down(void **state)
{
	struct arena *arena = *state;
	arena_fini(arena);
	memory_free(arena);
	return 0;
}

/* Each number differs in every byte. */
static struct cache_record example(struct arena *arena)
{
	static const struct slice tags[] = { { "red", 3 }, { "g", 1 } };
	return (struct cache_record){
		.flags = CACHE_FORMAT_FLAG_GROUPED | CACHE_FORMAT_FLAG_LASTING,
		.tag_count = 2,
		.filled_ms = 0x0102030405060708,
		.ttl_ms = 0x1112131415161718,
		.stale_ms = 0x2122232425262728,
		.error_ms = 0x3132333435363738,
		.sequence = 0x4142434445464748,
		.delta_ms = 0x5152535455565758,
		.place = 0xe1e2e3e4e5e6e7e8,
		.tags = cache_tags_pack(tags, 2, arena),
		.etag = slice_text("\"abc\""),
		.last_modified = slice_text("Sun"),
		.value = slice_text("the value"),
	};
}

static void same(const struct cache_record *a, const struct cache_record *b)
{
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->tag_count, b->tag_count);
	assert_int_equal(a->filled_ms, b->filled_ms);
	assert_int_equal(a->ttl_ms, b->ttl_ms);
	assert_int_equal(a->stale_ms, b->stale_ms);
	assert_int_equal(a->error_ms, b->error_ms);
	assert_int_equal(a->sequence, b->sequence);
	assert_int_equal(a->delta_ms, b->delta_ms);
	assert_int_equal(a->place, b->place);
	assert_true(slice_equal(a->tags, b->tags));
	assert_true(slice_equal(a->etag, b->etag));
	assert_true(slice_equal(a->last_modified, b->last_modified));
	assert_true(slice_equal(a->value, b->value));
}

static void stands_as_the_format_says(void **state)
{
	static const unsigned char expected[] = {
		0x06, 0x02, 0x05, 0x00, 0x03, 0x00, 0x00, 0x00,             /* 0 */
		0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,             /* 8: filled */
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,             /* 16: ttl */
		0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,             /* 24: stale */
		0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,             /* 32: error */
		0x48, 0x47, 0x46, 0x45, 0x44, 0x43, 0x42, 0x41,             /* 40: sequence */
		0x58, 0x57, 0x56, 0x55, 0x54, 0x53, 0x52, 0x51,             /* 48: delta */
		0xe8, 0xe7, 0xe6, 0xe5, 0xe4, 0xe3, 0xe2, 0xe1,             /* 56: place */
		3, 'r', 'e', 'd', 1, 'g', '"', 'a', 'b', 'c', '"',          /* tags, etag */
		'S', 'u', 'n', 't', 'h', 'e', ' ', 'v', 'a', 'l', 'u', 'e', /* modified, value */
	};
	struct cache_record record = example(*state);
	struct slice bytes = cache_record_encode(&record, *state);
	assert_int_equal(bytes.size, sizeof(expected));
	assert_memory_equal(bytes.data, expected, sizeof(expected));
}

static void comes_back_as_it_was(void **state)
{
	struct random random;
	struct arena *arena = *state;
	random_seed(&random, 1);
	for (int round = 0; round < 2000; round++) {
		struct cache_record record = { 0 }, out;
		struct slice tags[LIMIT_CACHE_TAGS];
		char letters[LIMIT_CACHE_TAG_BYTES];
		arena_fini(arena);
		arena_init(arena, 4096);
		memset(letters, 'a' + round % 26, sizeof(letters));
		record.flags = (uint8_t)random_below(&random, 8);
		record.tag_count = (uint8_t)random_below(&random, LIMIT_CACHE_TAGS + 1);
		for (int i = 0; i < record.tag_count; i++)
			tags[i] = slice_of(letters, 1 + random_below(&random, sizeof(letters)));
		record.tags = cache_tags_pack(tags, record.tag_count, arena);
		record.filled_ms = (int64_t)random_next(&random);
		record.ttl_ms = (int64_t)random_next(&random);
		record.stale_ms = (int64_t)random_next(&random);
		record.error_ms = (int64_t)random_next(&random);
		record.sequence = random_next(&random);
		record.delta_ms = (int64_t)random_next(&random);
		record.place = random_next(&random);
		record.etag = slice_of(letters, random_below(&random, sizeof(letters)));
		record.last_modified = slice_of(letters, random_below(&random, 40));
		record.value = slice_of(letters, random_below(&random, sizeof(letters)));
		assert_true(cache_record_decode(cache_record_encode(&record, arena), &out));
		same(&record, &out);
		struct slice rest = out.tags, tag;
		for (int i = 0; i < record.tag_count; i++) {
			assert_true(cache_tag_next(&rest, &tag));
			assert_true(slice_equal(tag, tags[i]));
		}
		assert_false(cache_tag_next(&rest, &tag));
	}
}

static void keeps_the_longest_validators(void **state)
{
	char *letters = memory_alloc(UINT16_MAX);
	memset(letters, 'e', UINT16_MAX);
	struct cache_record record = { .etag = slice_of(letters, UINT16_MAX),
		.last_modified = slice_of(letters, UINT16_MAX),
		.value = slice_text("v") };
	struct cache_record out;
	assert_true(cache_record_decode(cache_record_encode(&record, *state), &out));
	same(&record, &out);
	memory_free(letters);
}

/* The bytes in memory of their own, so that the address sanitizer sees reading behind them. */
static bool decodes(struct slice bytes, struct cache_record *out)
{
	char *copy = memory_alloc(bytes.size + 1);
	memcpy(copy + 1, bytes.data, bytes.size);
	bool good = cache_record_decode(slice_of(copy + 1, bytes.size), out);
	memory_free(copy);
	return good;
}

static void refuses_every_truncation_of_what_is_not_the_value(void **state)
{
	struct cache_record record = example(*state), out;
	struct slice bytes = cache_record_encode(&record, *state);
	size_t least = bytes.size - record.value.size;
	for (size_t size = 0; size < least; size++)
		assert_false(decodes(slice_of(bytes.data, size), &out));
	for (size_t size = least; size <= bytes.size; size++) {
		assert_true(decodes(slice_of(bytes.data, size), &out));
		assert_int_equal(out.value.size, size - least);
	}
}

static void refuses_lengths_that_go_beyond_the_end(void **state)
{
	struct cache_record record = example(*state), out;
	struct slice bytes = cache_record_encode(&record, *state);
	size_t behind_tags = bytes.size - CACHE_FORMAT_HEADER_BYTES - record.tags.size;
	for (unsigned size = 0; size <= UINT16_MAX; size++) {
		struct slice damaged = arena_copy(*state, slice_of(bytes.data, bytes.size));
		char *at = (char *)(uintptr_t)damaged.data;
		at[2] = (char)size;
		at[3] = (char)(size >> 8);
		assert_int_equal(cache_record_decode(damaged, &out), size + 3 <= behind_tags);
		memcpy(at, bytes.data, bytes.size);
		at[4] = (char)size;
		at[5] = (char)(size >> 8);
		assert_int_equal(cache_record_decode(damaged, &out), size + 5 <= behind_tags);
		if (size % 256 == 0) {
			arena_fini(*state);
			arena_init(*state, 4096);
			record = example(*state);
			bytes = cache_record_encode(&record, *state);
		}
	}
}

static void refuses_damaged_tags(void **state)
{
	struct cache_record record = example(*state), out;
	struct slice bytes = cache_record_encode(&record, *state);
	char *at = (char *)(uintptr_t)bytes.data;
	/* What follows the second tag could be read as more of them, until it runs out. */
	for (int count = 3; count <= UINT8_MAX; count++) {
		at[1] = (char)count;
		assert_false(decodes(bytes, &out));
	}
	at[1] = 2;
	at[CACHE_FORMAT_HEADER_BYTES] = 0; /* no tag is empty */
	assert_false(decodes(bytes, &out));
	at[CACHE_FORMAT_HEADER_BYTES] = (char)255;
	assert_false(decodes(bytes, &out));
}

static void survives_any_bytes(void **state)
{
	struct random random;
	struct cache_record record = example(*state), out;
	random_seed(&random, 7);
	struct slice bytes = cache_record_encode(&record, *state);
	for (int round = 0; round < 100000; round++) {
		char damaged[256];
		size_t size = random_below(&random, bytes.size + 1);
		memcpy(damaged, bytes.data, size);
		for (uint64_t i = random_below(&random, 4); size && i > 0; i--)
			damaged[random_below(&random, size)] = (char)random_next(&random);
		if (!decodes(slice_of(damaged, size), &out))
			continue;
		assert_int_equal(CACHE_FORMAT_HEADER_BYTES + out.tags.size + out.etag.size +
				out.last_modified.size + out.value.size,
			size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stands_as_the_format_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(comes_back_as_it_was, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_the_longest_validators, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			refuses_every_truncation_of_what_is_not_the_value, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			refuses_lengths_that_go_beyond_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_damaged_tags, set_up, tear_down),
		cmocka_unit_test_setup_teardown(survives_any_bytes, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
