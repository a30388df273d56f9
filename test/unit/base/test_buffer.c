/*
 * test_buffer: a buffer against a plain array that does the same.
 */
#include "base/buffer.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MODEL_BYTES (4 << 20)

static char model[MODEL_BYTES];

static void equals_a_plain_array_under_random_operations(void **state)
{
	struct random random;
	struct buffer buffer;
	size_t size = 0;
	char piece[5000];
	random_seed(&random, 2);
	buffer_init(&buffer);
	for (int i = 0; i < 20000; i++) {
		size_t amount = random_below(&random, i % 50 ? 100 : sizeof(piece));
		uint64_t choice = random_below(&random, 10);
		if (choice < 7 && size + amount < MODEL_BYTES) {
			memset(piece, (int)random_below(&random, 256), amount);
			buffer_append(&buffer, piece, amount);
			memcpy(model + size, piece, amount);
			size += amount;
		} else if (choice < 9) {
			amount = amount < size ? amount : size;
			buffer_drop_front(&buffer, amount);
			memmove(model, model + amount, size - amount);
			size -= amount;
		} else if (random_below(&random, 100) == 0) {
			buffer_clear(&buffer, 1000);
			size = 0;
		}
		assert_int_equal(buffer.size, size);
		assert_true(buffer.size <= buffer.capacity);
		if (i % 100 == 0)
			assert_true(slice_equal(buffer_slice(&buffer), slice_of(model, size)));
	}
	assert_true(slice_equal(buffer_slice(&buffer), slice_of(model, size)));
	buffer_fini(&buffer);
}

static void allocates_nothing_while_empty(void **state)
{
	struct buffer buffer;
	buffer_init(&buffer);
	buffer_append(&buffer, NULL, 0);
	buffer_drop_front(&buffer, 0);
	buffer_clear(&buffer, 0);
	assert_int_equal(buffer.capacity, 0);
	buffer_fini(&buffer);
}

static void clearing_gives_back_more_than_is_kept(void **state)
{
	struct buffer buffer;
	buffer_init(&buffer);
	buffer_reserve(&buffer, 10000);
	buffer_clear(&buffer, 1 << 20);
	assert_true(buffer.capacity >= 10000);
	buffer_clear(&buffer, 9999);
	assert_int_equal(buffer.capacity, 0);
	buffer_fini(&buffer);
}

static void large_buffers_grow_by_a_quarter(void **state)
{
	struct buffer buffer;
	buffer_init(&buffer);
	buffer_reserve(&buffer, 8 << 20);
	buffer.size = buffer.capacity;
	size_t before = buffer.capacity;
	buffer_reserve(&buffer, 1);
	assert_true(buffer.capacity > before);
	assert_true(buffer.capacity <= before + before / 4);
	buffer_fini(&buffer);
}

static void formats_behind_what_it_holds(void **state)
{
	struct buffer buffer;
	buffer_init(&buffer);
	buffer_append_text(&buffer, "a=");
	buffer_format(&buffer, "%d", 5);
	buffer_format(&buffer, "%s", "");
	assert_true(slice_equal(buffer_slice(&buffer), slice_text("a=5")));
	buffer_format(&buffer, "%*d", 3000, 1);
	assert_int_equal(buffer.size, 3003);
	buffer_fini(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_a_plain_array_under_random_operations),
		cmocka_unit_test(allocates_nothing_while_empty),
		cmocka_unit_test(clearing_gives_back_more_than_is_kept),
		cmocka_unit_test(large_buffers_grow_by_a_quarter),
		cmocka_unit_test(formats_behind_what_it_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
