/*
 * test_order: replies leave in the order of their requests and behind the gate, whatever comes home
 * first and whatever is released when. There are no sockets and no engine.
 */
#include "base/memory.h"
#include "net/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LARGE_BYTES (256 * 1024)

struct order_test {
	struct order order;
	struct request_pool pool;
};

static int set_up(void **state)
{
	*state = memory_zeroed(sizeof(struct order_test));
	return 0;
}

static int tear_down(void **state)
{
	struct order_test *test = *state;
	order_fini(&test->order, &test->pool);
	request_pool_fini(&test->pool);
	memory_free(test);
	return 0;
}

static struct request *append(struct order_test *test)
{
	struct request *request = request_take(&test->pool);
	order_append(&test->order, request);
	return request;
}

static void answer(
	struct order_test *test, struct request *request, const char *reply, uint64_t lsn)
{
	request_move(request, REQUEST_DONE);
	buffer_append_text(&request->reply, reply);
	request->gate_lsn = lsn;
	order_answered(&test->order, request);
}

static uint64_t emit(struct order_test *test, uint64_t released)
{
	return order_emit(&test->order, &test->pool, released, false);
}

/* What may be sent now, taken as a socket that takes all of it would. */
static const char *sent(struct order_test *test)
{
	static char text[256];
	struct order *order = &test->order;
	size_t size = order->released;
	assert_true(size < sizeof(text));
	if (size)
		memcpy(text, order->out.data, size);
	text[size] = '\0';
	if (size) {
		buffer_drop_front(&order->out, size);
		order_taken(order, size);
	}
	return text;
}

static void replies_leave_in_the_order_of_their_requests(void **state)
{
	struct order_test *test = *state;
	struct request *first = append(test), *second = append(test), *third = append(test);
	answer(test, third, "3", 0);
	emit(test, 0);
	assert_string_equal(sent(test), "");
	assert_int_equal(test->order.waiting_bytes, 1);
	answer(test, first, "1", 0);
	emit(test, 0);
	assert_string_equal(sent(test), "1");
	answer(test, second, "2", 0);
	emit(test, 0);
	assert_string_equal(sent(test), "23");
	assert_int_equal(test->order.waiting_bytes, 0);
	assert_true(order_is_empty(&test->order));
}

static void a_reply_waits_until_its_lsn_is_released(void **state)
{
	struct order_test *test = *state;
	answer(test, append(test), "w", 7);
	assert_int_equal(emit(test, 6), 7);
	assert_string_equal(sent(test), "");
	assert_true(order_is_gated(&test->order));
	order_release(&test->order, 6);
	assert_string_equal(sent(test), "");
	order_release(&test->order, 7);
	assert_false(order_is_gated(&test->order));
	assert_string_equal(sent(test), "w");
}

static void what_stands_behind_a_reply_that_waits_waits_too(void **state)
{
	struct order_test *test = *state;
	answer(test, append(test), "a", 5);
	answer(test, append(test), "b", 0);
	answer(test, append(test), "c", 9);
	answer(test, append(test), "d", 8);
	assert_int_equal(emit(test, 0), 9);
	order_release(&test->order, 4);
	assert_string_equal(sent(test), "");
	order_release(&test->order, 8);
	assert_string_equal(sent(test), "ab");
	answer(test, append(test), "e", 1);
	emit(test, 8);
	order_release(&test->order, 8);
	assert_string_equal(sent(test), "");
	order_release(&test->order, 9);
	assert_string_equal(sent(test), "cde");
}

static void a_message_comes_between_replies_and_waits_for_its_own_lsn(void **state)
{
	struct order_test *test = *state;
	answer(test, append(test), "a", 0);
	emit(test, 0);
	order_push(&test->order, slice_text("m"), 3, 0);
	answer(test, append(test), "b", 0);
	emit(test, 0);
	assert_string_equal(sent(test), "a");
	order_release(&test->order, 3);
	assert_string_equal(sent(test), "mb");
}

static void marks_move_with_what_has_been_sent(void **state)
{
	struct order_test *test = *state;
	char expected[64] = "";
	for (int i = 0; i < 20; i++) {
		char reply[2] = { (char)('a' + i), 0 };
		answer(test, append(test), reply, (uint64_t)i + 1);
	}
	emit(test, 0);
	for (uint64_t lsn = 1; lsn <= 20; lsn += 3) {
		uint64_t released = lsn + 2 < 20 ? lsn + 2 : 20;
		size_t size = 0;
		for (uint64_t i = lsn; i <= released; i++)
			expected[size++] = (char)('a' + i - 1);
		expected[size] = '\0';
		order_release(&test->order, released);
		assert_string_equal(sent(test), expected);
	}
	assert_true(order_is_empty(&test->order));
}

static void a_silent_request_only_keeps_its_place(void **state)
{
	struct order_test *test = *state;
	struct request *silent = append(test);
	silent->silent = true;
	answer(test, append(test), "b", 0);
	emit(test, 0);
	assert_string_equal(sent(test), "");
	answer(test, silent, "a", 0);
	emit(test, 0);
	assert_string_equal(sent(test), "b");
}

static void it_remembers_the_highest_lsn_that_replies_have_waited_for(void **state)
{
	struct order_test *test = *state;
	answer(test, append(test), "a", 5);
	answer(test, append(test), "b", 2);
	emit(test, 9);
	assert_int_equal(test->order.gate_lsn, 5);
	answer(test, append(test), "c", 3);
	assert_int_equal(emit(test, 9), 3);
	assert_int_equal(test->order.gate_lsn, 5);
}

static void a_large_reply_is_not_copied(void **state)
{
	struct order_test *test = *state;
	struct request *request = append(test);
	memset(buffer_reserve(&request->reply, LARGE_BYTES), 'x', LARGE_BYTES);
	request->reply.size = LARGE_BYTES;
	const char *bytes = request->reply.data;
	answer(test, request, "", 0);
	emit(test, 0);
	assert_ptr_equal(test->order.out.data, bytes);
	assert_int_equal(test->order.released, LARGE_BYTES);
}

static void replies_that_nobody_reads_go_nowhere(void **state)
{
	struct order_test *test = *state;
	answer(test, append(test), "a", 4);
	struct request *open = append(test);
	assert_int_equal(order_emit(&test->order, &test->pool, 0, true), 4);
	assert_int_equal(test->order.out.size, 0);
	assert_int_equal(test->order.waiting_bytes, 0);
	assert_ptr_equal(test->order.first, open);
	request_move(open, REQUEST_DONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(replies_leave_in_the_order_of_their_requests),
		TEST(a_reply_waits_until_its_lsn_is_released),
		TEST(what_stands_behind_a_reply_that_waits_waits_too),
		TEST(a_message_comes_between_replies_and_waits_for_its_own_lsn),
		TEST(marks_move_with_what_has_been_sent),
		TEST(a_silent_request_only_keeps_its_place),
		TEST(it_remembers_the_highest_lsn_that_replies_have_waited_for),
		TEST(a_large_reply_is_not_copied),
		TEST(replies_that_nobody_reads_go_nowhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
