/*
 * test_heap: blocks of all sizes come, grow, shrink and go at random, beside a plain list of what
 * they must hold; the bound; that all of it can be dropped at once.
 */
#include "base/heap.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BLOCKS    2000
#define BYTES_MAX ((size_t)4 << 20)

struct block {
	unsigned char *bytes;
	size_t size;
	unsigned char fill;
};

static void check(const struct block *block)
{
	for (size_t i = 0; i < block->size; i++)
		assert_int_equal(block->bytes[i], block->fill);
}

static size_t random_size(struct random *random)
{
	static const size_t largest[] = { 16, 64, 700, 5000, 20000 };
	if (random_below(random, 5000) == 0)
		return 1 + random_below(random, (size_t)3 << 20);
	return 1 + random_below(random, largest[random_below(random, 5)]);
}

/* Resizes it, or leaves it as it is when the heap has no room; checks what it held. */
static void change(struct heap *heap, struct block *block, size_t size, unsigned char fill)
{
	unsigned char *bytes = heap_resize(heap, block->bytes, block->size, size);
	if (bytes == NULL && size > 0) {
		assert_true(size > block->size);
		check(block);
		return;
	}
	size_t kept = size < block->size ? size : block->size;
	*block = (struct block){ bytes, kept, block->fill };
	check(block);
	assert_int_equal((uintptr_t)bytes % 16, 0);
	block->size = size;
	block->fill = fill;
	if (size > 0)
		memset(bytes, fill, size);
}

static void keeps_what_blocks_hold(void **state)
{
	struct random random;
	struct heap heap;
	static struct block blocks[BLOCKS];
	bool was_full = false;
	random_seed(&random, 7);
	heap_init(&heap, BYTES_MAX);
	memset(blocks, 0, sizeof(blocks));
	for (int step = 0; step < 100000; step++) {
		struct block *block = &blocks[random_below(&random, BLOCKS)];
		bool goes = block->bytes && random_below(&random, 3) == 0;
		size_t size = goes ? 0 : random_size(&random);
		size_t before = heap.bytes;
		change(&heap, block, size, (unsigned char)random_next(&random));
		assert_true(heap.bytes <= BYTES_MAX || heap.bytes <= before + HEAP_CHUNK_BYTES);
		was_full |= heap.bytes > BYTES_MAX / 10 * 9;
	}
	assert_true(was_full);
	size_t held = 0;
	for (size_t i = 0; i < BLOCKS; i++) {
		check(&blocks[i]);
		held += blocks[i].size;
	}
	assert_true(heap.bytes >= held);
	for (size_t i = 0; i < BLOCKS; i++)
		heap_resize(&heap, blocks[i].bytes, blocks[i].size, 0);
	/* One empty chunk may stay. */
	assert_true(heap.bytes <= HEAP_CHUNK_BYTES);
	heap_fini(&heap);
	assert_int_equal(heap.bytes, 0);
}

static void takes_no_more_than_it_may(void **state)
{
	struct heap heap;
	heap_init(&heap, HEAP_CHUNK_BYTES * 3);
	assert_null(heap_resize(&heap, NULL, 0, HEAP_CHUNK_BYTES * 3));
	size_t count = 0;
	while (heap_resize(&heap, NULL, 0, 100))
		count++;
	assert_true(heap.bytes <= HEAP_CHUNK_BYTES * 3);
	assert_true(count > 1400 && count <= HEAP_CHUNK_BYTES * 3 / 100);
	/* A bound set lower takes nothing away. */
	heap.bytes_max = 0;
	assert_null(heap_resize(&heap, NULL, 0, 16));
	assert_null(heap_resize(&heap, NULL, 0, 100000));
	heap_fini(&heap);
}

static void what_becomes_smaller_always_fits(void **state)
{
	struct heap heap;
	heap_init(&heap, HEAP_CHUNK_BYTES * 2);
	char *large = heap_resize(&heap, NULL, 0, HEAP_CHUNK_BYTES);
	assert_non_null(large);
	memcpy(large, "kept", 5);
	heap.bytes_max = 0;
	char *small = heap_resize(&heap, large, HEAP_CHUNK_BYTES, 5);
	assert_non_null(small);
	assert_string_equal(small, "kept");
	assert_null(heap_resize(&heap, small, 5, 0));
	heap_fini(&heap);
}

static void drops_everything_at_once(void **state)
{
	struct heap heap;
	heap_init(&heap, BYTES_MAX);
	for (int round = 0; round < 3; round++) {
		for (size_t size = 1; size < 3000; size += 7)
			memset(heap_resize(&heap, NULL, 0, size), 1, size);
		assert_true(heap.bytes > 0);
		heap_fini(&heap);
		assert_int_equal(heap.bytes, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_blocks_hold),
		cmocka_unit_test(takes_no_more_than_it_may),
		cmocka_unit_test(what_becomes_smaller_always_fits),
		cmocka_unit_test(drops_everything_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
