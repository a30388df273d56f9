/*
 * test_arena: what is allocated stays apart and keeps its bytes until the arena is reset, whatever
 * the mix of small, chunk-sized and larger requests.
 */
#include "base/arena.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CHUNK_BYTES 512
#define PIECES      200

struct piece {
	unsigned char *bytes;
	size_t size;
	unsigned char fill;
};

static void check_pieces(const struct piece *pieces, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t b = 0; b < pieces[i].size; b++)
			assert_int_equal(pieces[i].bytes[b], pieces[i].fill);
	}
}

static void keeps_every_piece_until_reset(void **state)
{
	struct random random;
	struct arena arena;
	struct piece pieces[PIECES];
	random_seed(&random, 1);
	arena_init(&arena, CHUNK_BYTES);
	for (int round = 0; round < 50; round++) {
		size_t largest = round % 2 ? 40 : 3 * CHUNK_BYTES;
		size_t total = 0;
		for (size_t i = 0; i < PIECES; i++) {
			struct piece *piece = &pieces[i];
			piece->size = 1 + random_below(&random, largest);
			piece->fill = (unsigned char)random_next(&random);
			piece->bytes = arena_alloc(&arena, piece->size);
			assert_int_equal((uintptr_t)piece->bytes % 8, 0);
			memset(piece->bytes, piece->fill, piece->size);
			total += piece->size;
		}
		assert_true(arena.bytes >= total);
		check_pieces(pieces, PIECES);
		arena_reset(&arena);
	}
	arena_fini(&arena);
}

static void holds_nothing_before_the_first_use(void **state)
{
	struct arena arena;
	arena_init(&arena, CHUNK_BYTES);
	assert_int_equal(arena.bytes, 0);
	arena_reset(&arena);
	assert_int_equal(arena.bytes, 0);
	arena_fini(&arena);
}

static void keeps_one_usual_chunk_over_a_reset(void **state)
{
	struct arena arena;
	arena_init(&arena, CHUNK_BYTES);
	arena_alloc(&arena, 16);
	for (int i = 0; i < 1000; i++)
		arena_alloc(&arena, 100);
	arena_alloc(&arena, 100 * CHUNK_BYTES);
	arena_reset(&arena);
	assert_int_equal(arena.bytes, CHUNK_BYTES);
	assert_non_null(arena_alloc(&arena, 16));
	assert_int_equal(arena.bytes, CHUNK_BYTES);
	arena_fini(&arena);
}

static void a_large_piece_does_not_waste_the_current_chunk(void **state)
{
	struct arena arena;
	arena_init(&arena, CHUNK_BYTES);
	char *before = arena_alloc(&arena, 8);
	arena_alloc(&arena, 2 * CHUNK_BYTES);
	char *after = arena_alloc(&arena, 8);
	assert_ptr_equal(after, before + 8);
	arena_fini(&arena);
}

static void copies_bytes(void **state)
{
	struct arena arena;
	arena_init(&arena, CHUNK_BYTES);
	char source[] = "a\0b";
	struct slice copy = arena_copy(&arena, slice_of(source, 3));
	source[0] = 'x';
	assert_true(slice_equal(copy, slice_of("a\0b", 3)));
	assert_int_equal(arena_copy(&arena, slice_of(NULL, 0)).size, 0);
	arena_fini(&arena);
}

static void formats_text_of_any_length(void **state)
{
	struct arena arena;
	arena_init(&arena, CHUNK_BYTES);
	struct slice text = arena_format(&arena, "%s-%d", "abc", 42);
	assert_true(slice_equal(text, slice_text("abc-42")));
	assert_int_equal(arena_format(&arena, "%*d", 2000, 7).size, 2000);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_every_piece_until_reset),
		cmocka_unit_test(holds_nothing_before_the_first_use),
		cmocka_unit_test(keeps_one_usual_chunk_over_a_reset),
		cmocka_unit_test(a_large_piece_does_not_waste_the_current_chunk),
		cmocka_unit_test(copies_bytes),
		cmocka_unit_test(formats_text_of_any_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
