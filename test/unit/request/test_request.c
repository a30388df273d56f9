/*
 * The pool of requests: what comes out of it is as new, and it never keeps more than a bounded
 * amount of memory, whatever a request was used for.
 */
#include "request/request.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MANY           5000
#define POOL_BYTES_MAX (32u << 20)
#define LARGE_BYTES    (4u << 20)
#define KEPT_BYTES_MAX (32u << 10)

static void gives_a_request_out_again_after_it_was_put_back(void **state)
{
	struct request_pool pool = { 0 };
	struct request *first = request_take(&pool);
	struct request *given = first;
	assert_int_equal(first->stage, REQUEST_NET);
	request_put(&pool, &given);
	assert_null(given);
	assert_int_equal(pool.count, 1);
	struct request *again = request_take(&pool);
	assert_ptr_equal(again, first);
	assert_int_equal(pool.count, 0);
	request_put(&pool, &again);
	request_pool_fini(&pool);
	assert_null(pool.free);
	assert_int_equal(pool.count, 0);
}

static void never_gives_one_request_to_two(void **state)
{
	struct request_pool pool = { 0 };
	struct request *one = request_take(&pool), *two = request_take(&pool);
	assert_ptr_not_equal(one, two);
	request_put(&pool, &one);
	request_put(&pool, &two);
	one = request_take(&pool);
	two = request_take(&pool);
	assert_ptr_not_equal(one, two);
	request_put(&pool, &one);
	request_put(&pool, &two);
	request_pool_fini(&pool);
}

/* Everything but its memory is zero. */
static void assert_as_new(const struct request *request)
{
	struct request bare = *request, zero;
	assert_int_equal(bare.stage, REQUEST_NET);
	assert_int_equal(bare.reply.size, 0);
	memset(&zero, 0, sizeof(zero));
	assert_null(bare.next);
	assert_null(bare.asked.command);
	assert_null(bare.asked.arguments);
	assert_int_equal(bare.asked.argument_count, 0);
	assert_int_equal(bare.asked.db, 0);
	assert_null(bare.connection);
	assert_null(bare.environment);
	assert_null(bare.journey.shards);
	assert_int_equal(bare.journey.shard_count, 0);
	assert_int_equal(bare.journey.shards_held, 0);
	assert_false(bare.journey.releasing);
	assert_null(bare.turn.state);
	assert_memory_equal(&bare.turn.changes, &zero.turn.changes, sizeof(zero.turn.changes));
	assert_int_equal(bare.gate_lsn, 0);
	assert_int_equal(bare.elapsed_ns, 0);
	assert_false(bare.turn.failed);
	assert_false(bare.silent);
	assert_null(bare.order_next);
}

static void what_comes_from_the_pool_is_as_new(void **state)
{
	static const struct command command = { .name = "any" };
	struct request_pool pool = { 0 };
	struct request *request = request_take(&pool);
	assert_as_new(request);
	request->asked.command = &command;
	request->asked.arguments = arena_alloc(&request->arena, 64);
	request->asked.argument_count = 4;
	request->asked.db = 3;
	request->connection = (struct connection *)&pool;
	request->environment = &pool;
	request->journey.shards = arena_alloc(&request->arena, 8);
	request->journey.shard_count = 2;
	request->turn.state = &pool;
	request->gate_lsn = 9;
	request->elapsed_ns = 5;
	request->turn.failed = request->silent = true;
	request->order_next = request;
	changes_init(&request->turn.changes, &request->arena);
	changes_delete(&request->turn.changes, 1, slice_text("key"));
	buffer_append_text(&request->reply, "+OK\r\n");
	request_move(request, REQUEST_DONE);
	request_put(&pool, &request);
	request = request_take(&pool);
	assert_as_new(request);
	request_put(&pool, &request);
	request_pool_fini(&pool);
}

static void a_small_command_reuses_the_memory_of_the_one_before(void **state)
{
	struct request_pool pool = { 0 };
	struct request *request = request_take(&pool);
	void *first = arena_alloc(&request->arena, 100);
	buffer_append_text(&request->reply, "$3\r\nabc\r\n");
	const char *reply = request->reply.data;
	for (int i = 0; i < 3; i++) {
		request_put(&pool, &request);
		request = request_take(&pool);
		assert_ptr_equal(arena_alloc(&request->arena, 100), first);
		buffer_append_text(&request->reply, "+OK\r\n");
		assert_ptr_equal(request->reply.data, reply);
	}
	request_put(&pool, &request);
	request_pool_fini(&pool);
}

static void gives_the_memory_of_a_large_command_back(void **state)
{
	struct request_pool pool = { 0 };
	struct request *request = request_take(&pool);
	memset(arena_alloc(&request->arena, LARGE_BYTES), 1, LARGE_BYTES);
	for (int i = 0; i < 100; i++)
		arena_alloc(&request->arena, 1000);
	memset(buffer_reserve(&request->reply, LARGE_BYTES), 1, LARGE_BYTES);
	request->reply.size = LARGE_BYTES;
	request_put(&pool, &request);
	request = request_take(&pool);
	assert_true(request->reply.capacity <= KEPT_BYTES_MAX);
	assert_true(request->arena.bytes <= KEPT_BYTES_MAX);
	request_put(&pool, &request);
	request_pool_fini(&pool);
}

static void keeps_a_bounded_number_of_requests(void **state)
{
	static struct request *taken[MANY];
	struct request_pool pool = { 0 };
	for (size_t i = 0; i < MANY; i++) {
		taken[i] = request_take(&pool);
		arena_alloc(&taken[i]->arena, 1);
		buffer_reserve(&taken[i]->reply, KEPT_BYTES_MAX / 2);
	}
	for (size_t i = 0; i < MANY; i++)
		request_put(&pool, &taken[i]);
	size_t count = 0, bytes = 0;
	for (const struct request *request = pool.free; request; request = request->next) {
		assert_int_equal(request->stage, REQUEST_FREE);
		count++;
		bytes += sizeof(*request) + request->arena.bytes + request->reply.capacity;
	}
	assert_int_equal(count, pool.count);
	assert_true(count > 0 && count < MANY);
	assert_true(bytes <= POOL_BYTES_MAX);
	request_pool_fini(&pool);
}

static void a_failed_request_tells_its_error_without_marks(void **state)
{
	(void)state;
	struct request_pool pool = { 0 };
	struct request *request = request_take(&pool);
	struct writer writer = request_writer(request);
	writer_ok(&writer);
	assert_int_equal(request_error(request).size, 0);
	request->reply.size = 0;
	request->turn.failed = true;
	assert_int_equal(request_error(request).size, 0);
	writer_error(&writer, "%s", "LEASELOST it has ended");
	assert_true(slice_is(request_error(request), "LEASELOST it has ended"));
	request_put(&pool, &request);
	request_pool_fini(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_a_request_out_again_after_it_was_put_back),
		cmocka_unit_test(never_gives_one_request_to_two),
		cmocka_unit_test(what_comes_from_the_pool_is_as_new),
		cmocka_unit_test(a_small_command_reuses_the_memory_of_the_one_before),
		cmocka_unit_test(gives_the_memory_of_a_large_command_back),
		cmocka_unit_test(keeps_a_bounded_number_of_requests),
		cmocka_unit_test(a_failed_request_tells_its_error_without_marks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
