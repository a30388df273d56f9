/*
 * test_fetch_coding: bodies out of their codings: whole, in pieces, cut, broken and too large.
 */
#include "base/memory.h"
#include "base/random.h"
#include "fetch/fetch_coding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

#define TEXT_BYTES 5000
#define FUZZ_TRIES 20000

enum form { FORM_GZIP = 15 + 16, FORM_ZLIB = 15, FORM_BARE = -15 };

static char text[TEXT_BYTES];

static int set_up(void **state)
{
	struct random random;
	random_seed(&random, 5);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + random_below(&random, 4));
	return 0;
}

/* Appends `size` bytes of the text in the form. */
static void pack(struct buffer *out, enum form form, size_t size)
{
	z_stream stream = { .next_in = (unsigned char *)text, .avail_in = (unsigned)size };
	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, form, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_out = (unsigned char *)buffer_reserve(out, 2 * TEXT_BYTES);
	stream.avail_out = 2 * TEXT_BYTES;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	out->size += stream.total_out;
	deflateEnd(&stream);
}

/* In pieces of `step` bytes, each in memory of its own. */
static enum fetch_coding_state unpack(
	const char *headers, struct slice bytes, size_t step, size_t bytes_max, struct buffer *out)
{
	enum fetch_coding_state state;
	struct fetch_coding *coding = fetch_coding_new(slice_text(headers), &state);
	assert_non_null(coding);
	assert_int_equal(state, FETCH_CODING_GOOD);
	for (size_t at = 0; at < bytes.size && state == FETCH_CODING_GOOD; at += step) {
		size_t size = bytes.size - at < step ? bytes.size - at : step;
		char *piece = memory_alloc(size);
		memcpy(piece, bytes.data + at, size);
		state = fetch_coding_put(coding, slice_of(piece, size), bytes_max, out);
		memory_free(piece);
	}
	if (state == FETCH_CODING_GOOD)
		state = fetch_coding_end(coding);
	fetch_coding_free(&coding);
	return state;
}

static void unfolds_to(const char *headers, struct slice bytes, size_t size)
{
	static const size_t steps[] = { 1, 2, 7, 100000 };
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct buffer out;
		buffer_init(&out);
		assert_int_equal(unpack(headers, bytes, steps[i], 100000, &out), FETCH_CODING_GOOD);
		assert_true(slice_equal(buffer_slice(&out), slice_of(text, size)));
		buffer_fini(&out);
	}
}

static void fails_with(const char *headers, struct slice bytes, enum fetch_coding_state wanted)
{
	for (size_t step = 1; step <= bytes.size + 1; step += bytes.size) {
		struct buffer out;
		buffer_init(&out);
		assert_int_equal(unpack(headers, bytes, step, 100000, &out), wanted);
		buffer_fini(&out);
	}
}

static void undoes_gzip_and_both_forms_of_deflate(void **state)
{
	static const struct {
		const char *headers;
		enum form form;
	} cases[] = {
		{ "content-encoding: gzip\n", FORM_GZIP },
		{ "content-encoding: X-GZip\n", FORM_GZIP },
		{ "vary: gzip\ncontent-encoding: identity , gzip,\n", FORM_GZIP },
		{ "content-encoding: identity\ncontent-encoding:deflate\n", FORM_ZLIB },
		{ "content-encoding: deflate\n", FORM_BARE },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t size = 0; size <= TEXT_BYTES; size += TEXT_BYTES / 2) {
			struct buffer packed;
			buffer_init(&packed);
			pack(&packed, cases[i].form, size);
			unfolds_to(cases[i].headers, buffer_slice(&packed), size);
			buffer_fini(&packed);
		}
	}
}

static void leaves_alone_what_has_no_coding_and_knows_no_others(void **state)
{
	static const char *const none[] = { "", "content-encoding: \n",
		"content-encoding: identity\n", "content-type: gzip\nx-content-encoding: gzip\n" };
	static const char *const unknown[] = { "content-encoding: br\n",
		"content-encoding: gzip, gzip\n",
		"content-encoding: gzip\ncontent-encoding: zstd\n", "content-encoding: gzipped\n" };
	enum fetch_coding_state result;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_null(fetch_coding_new(slice_text(none[i]), &result));
		assert_int_equal(result, FETCH_CODING_GOOD);
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_null(fetch_coding_new(slice_text(unknown[i]), &result));
		assert_int_equal(result, FETCH_CODING_UNKNOWN);
	}
}

static void a_body_that_ends_before_its_coding_does_is_cut(void **state)
{
	static const enum form forms[] = { FORM_GZIP, FORM_ZLIB, FORM_BARE };
	for (size_t i = 0; i < 3; i++) {
		const char *headers =
			i == 0 ? "content-encoding: gzip\n" : "content-encoding: deflate\n";
		struct buffer packed;
		buffer_init(&packed);
		pack(&packed, forms[i], TEXT_BYTES);
		for (size_t size = 1; size < packed.size; size += 1 + packed.size / 50)
			fails_with(headers, slice_of(packed.data, size), FETCH_CODING_CUT);
		fails_with(headers, slice_of(packed.data, packed.size - 1), FETCH_CODING_CUT);
		buffer_fini(&packed);
	}
}

static void a_body_of_nothing_has_no_coding(void **state)
{
	unfolds_to("content-encoding: gzip\n", slice_of("", 0), 0);
	unfolds_to("content-encoding: deflate\n", slice_of("", 0), 0);
}

static void members_follow_each_other_and_each_has_to_end(void **state)
{
	struct buffer packed;
	buffer_init(&packed);
	pack(&packed, FORM_GZIP, 0);
	size_t first = packed.size;
	pack(&packed, FORM_GZIP, TEXT_BYTES);
	unfolds_to("content-encoding: gzip\n", buffer_slice(&packed), TEXT_BYTES);
	fails_with("content-encoding: gzip\n", slice_of(packed.data, first + 1), FETCH_CODING_CUT);
	fails_with("content-encoding: gzip\n", slice_of(packed.data, packed.size - 1),
		FETCH_CODING_CUT);
	buffer_fini(&packed);
}

static void what_stands_behind_the_coding_is_passed_over(void **state)
{
	struct buffer packed;
	buffer_init(&packed);
	pack(&packed, FORM_GZIP, TEXT_BYTES);
	buffer_append(&packed, "\0\n\x1f rubbish", 11);
	unfolds_to("content-encoding: gzip\n", buffer_slice(&packed), TEXT_BYTES);
	packed.size = 0;
	pack(&packed, FORM_ZLIB, TEXT_BYTES);
	buffer_append(&packed, "\x1f\x8b", 2);
	unfolds_to("content-encoding: deflate\n", buffer_slice(&packed), TEXT_BYTES);
	buffer_fini(&packed);
}

static void bytes_of_another_kind_are_broken(void **state)
{
	struct buffer packed;
	buffer_init(&packed);
	fails_with("content-encoding: gzip\n", slice_text("this is not gzip"), FETCH_CODING_BROKEN);
	fails_with("content-encoding: deflate\n", slice_text("\xff\xff nor this"),
		FETCH_CODING_BROKEN);
	pack(&packed, FORM_GZIP, TEXT_BYTES);
	packed.data[packed.size - 6] ^= 1; /* of the checksum */
	fails_with("content-encoding: gzip\n", buffer_slice(&packed), FETCH_CODING_BROKEN);
	buffer_fini(&packed);
}

static void both_what_comes_and_what_it_unfolds_to_are_bounded(void **state)
{
	const char *headers = "content-encoding: gzip\n";
	struct buffer packed, out;
	buffer_init(&packed);
	buffer_init(&out);
	pack(&packed, FORM_GZIP, TEXT_BYTES);
	assert_int_equal(unpack(headers, buffer_slice(&packed), 100000, TEXT_BYTES, &out),
		FETCH_CODING_GOOD);
	out.size = 0;
	assert_int_equal(unpack(headers, buffer_slice(&packed), 100000, TEXT_BYTES - 1, &out),
		FETCH_CODING_TOO_LARGE);
	/* Members of nothing, one after the other. */
	packed.size = out.size = 0;
	for (int i = 0; i < 10; i++)
		pack(&packed, FORM_GZIP, 0);
	assert_int_equal(
		unpack(headers, buffer_slice(&packed), 1, packed.size, &out), FETCH_CODING_GOOD);
	assert_int_equal(unpack(headers, buffer_slice(&packed), 1, packed.size - 1, &out),
		FETCH_CODING_TOO_LARGE);
	buffer_fini(&packed);
	buffer_fini(&out);
}

/* Whatever comes: no more than is allowed, and what is good is what was packed. */
static void damage_is_never_taken_for_a_whole(void **state)
{
	struct random random;
	struct buffer packed, out;
	size_t whole = 0;
	random_seed(&random, 9);
	buffer_init(&packed);
	buffer_init(&out);
	for (int i = 0; i < FUZZ_TRIES; i++) {
		packed.size = out.size = 0;
		size_t size = (size_t)random_below(&random, 200);
		pack(&packed, FORM_GZIP, size);
		for (uint64_t hurts = random_below(&random, 3); hurts > 0; hurts--)
			packed.data[random_below(&random, packed.size)] ^=
				(char)(1 << random_below(&random, 8));
		if (random_below(&random, 4) == 0)
			packed.size = (size_t)random_below(&random, packed.size + 1);
		size_t step = 1 + (size_t)random_below(&random, 40);
		enum fetch_coding_state result =
			unpack("content-encoding: gzip\n", buffer_slice(&packed), step, 1000, &out);
		assert_true(out.size <= 1000);
		if (result != FETCH_CODING_GOOD || packed.size == 0)
			continue;
		assert_true(slice_equal(buffer_slice(&out), slice_of(text, size)));
		whole++;
	}
	assert_true(whole > FUZZ_TRIES / 5);
	assert_true(whole < FUZZ_TRIES);
	buffer_fini(&packed);
	buffer_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(undoes_gzip_and_both_forms_of_deflate),
		cmocka_unit_test(leaves_alone_what_has_no_coding_and_knows_no_others),
		cmocka_unit_test(a_body_that_ends_before_its_coding_does_is_cut),
		cmocka_unit_test(a_body_of_nothing_has_no_coding),
		cmocka_unit_test(members_follow_each_other_and_each_has_to_end),
		cmocka_unit_test(what_stands_behind_the_coding_is_passed_over),
		cmocka_unit_test(bytes_of_another_kind_are_broken),
		cmocka_unit_test(both_what_comes_and_what_it_unfolds_to_are_bounded),
		cmocka_unit_test(damage_is_never_taken_for_a_whole),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
