/*
 * test_protocol: bytes become requests of the pool, however they are cut, and an idle protocol
 * holds none. What RESP is in detail, test_reader has.
 */
#include "base/memory.h"
#include "net/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct protocol_test {
	struct protocol protocol;
	struct request_pool pool;
	struct request *request; /* the last */
};

static const struct reader_limits limits = {
	.bulk_bytes_max = 1 << 20, .arguments_max = 1024, .authenticated = true
};

static int set_up(void **state)
{
	struct protocol_test *test = memory_zeroed(sizeof(*test));
	protocol_init(&test->protocol, PROTOCOL_RESP);
	*state = test;
	return 0;
}

static void drop_request(struct protocol_test *test)
{
	if (test->request)
		request_put(&test->pool, &test->request);
}

static int tear_down(void **state)
{
	struct protocol_test *test = *state;
	drop_request(test);
	protocol_fini(&test->protocol, &test->pool);
	request_pool_fini(&test->pool);
	memory_free(test);
	return 0;
}

static enum protocol_result next(struct protocol_test *test)
{
	drop_request(test);
	return protocol_next(&test->protocol, &limits, &test->pool, &test->request);
}

static void feed(struct protocol_test *test, const char *text)
{
	protocol_feed(&test->protocol, slice_text(text));
}

static void assert_word(const struct protocol_test *test, uint32_t index, const char *word)
{
	assert_true(index < test->request->asked.argument_count);
	assert_true(slice_equal(test->request->asked.arguments[index], slice_text(word)));
}

static void a_pipeline_is_one_request_after_the_other(void **state)
{
	struct protocol_test *test = *state;
	feed(test, "*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n");
	assert_int_equal(next(test), PROTOCOL_REQUEST);
	assert_word(test, 0, "GET");
	assert_word(test, 1, "a");
	assert_int_equal(next(test), PROTOCOL_REQUEST);
	assert_word(test, 0, "PING");
	assert_int_equal(next(test), PROTOCOL_MORE);
}

static void a_request_may_come_in_pieces(void **state)
{
	struct protocol_test *test = *state;
	feed(test, "*2\r\n$4\r\nEC");
	assert_int_equal(next(test), PROTOCOL_MORE);
	protocol_rest(&test->protocol, &test->pool, false);
	assert_true(protocol_bytes(&test->protocol) > 0);
	assert_non_null(test->protocol.reading);
	feed(test, "HO\r\n$2\r\nhi\r\n");
	assert_int_equal(next(test), PROTOCOL_REQUEST);
	assert_word(test, 1, "hi");
}

static void who_rests_in_a_pipeline_keeps_what_was_not_looked_at(void **state)
{
	struct protocol_test *test = *state;
	char bytes[] = "SET a 1\r\nGET a\r\n";
	protocol_feed(&test->protocol, slice_text(bytes));
	assert_int_equal(next(test), PROTOCOL_REQUEST);
	protocol_rest(&test->protocol, &test->pool, true);
	memset(bytes, 'x', sizeof(bytes)); /* the lender uses his memory again */
	assert_int_equal(next(test), PROTOCOL_REQUEST);
	assert_word(test, 0, "GET");
	assert_word(test, 1, "a");
}

static void who_rests_between_requests_holds_none(void **state)
{
	struct protocol_test *test = *state;
	feed(test, "PING\r\n");
	assert_int_equal(next(test), PROTOCOL_REQUEST);
	assert_int_equal(next(test), PROTOCOL_MORE);
	assert_non_null(test->protocol.reading);
	protocol_rest(&test->protocol, &test->pool, false);
	assert_null(test->protocol.reading);
	assert_int_equal(protocol_bytes(&test->protocol), 0);
}

static void a_broken_request_says_what_is_wrong(void **state)
{
	struct protocol_test *test = *state;
	feed(test, "*x\r\n");
	assert_int_equal(next(test), PROTOCOL_BROKEN);
	assert_non_null(test->request);
	assert_non_null(strstr(protocol_error(&test->protocol), "Protocol error"));
}

static void another_protocol_is_told_apart(void **state)
{
	struct protocol_test *test = *state;
	feed(test, "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_int_equal(next(test), PROTOCOL_FOREIGN);
	assert_non_null(strstr(protocol_error(&test->protocol), "HTTP"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_pipeline_is_one_request_after_the_other),
		TEST(a_request_may_come_in_pieces),
		TEST(who_rests_in_a_pipeline_keeps_what_was_not_looked_at),
		TEST(who_rests_between_requests_holds_none),
		TEST(a_broken_request_says_what_is_wrong),
		TEST(another_protocol_is_told_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
