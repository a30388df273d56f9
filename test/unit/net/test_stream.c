/*
 * test_stream: bytes go both ways between a stream and the other end of a socket pair, and its user
 * is told of each end once. The loop runs when the test says so and never waits.
 */
#include "base/memory.h"
#include "net/stream.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ROOM_BYTES  16
#define LARGE_BYTES (8u << 20)

struct stream_test {
	struct stream stream; /* stands first */
	uv_loop_t loop;
	int peer;
	char room[ROOM_BYTES];
	char got[256];
	size_t got_size;
	int ended; /* times */
	int error; /* of the end */
	int sent;
	int sent_error;
	int closed;
};

static void give_room(struct stream *stream, char **out, size_t *size)
{
	struct stream_test *test = (struct stream_test *)stream;
	*out = test->room;
	*size = sizeof(test->room);
}

static void on_got(struct stream *stream, struct slice bytes)
{
	struct stream_test *test = (struct stream_test *)stream;
	assert_ptr_equal(bytes.data, test->room);
	assert_true(test->got_size + bytes.size < sizeof(test->got));
	memcpy(test->got + test->got_size, bytes.data, bytes.size);
	test->got_size += bytes.size;
}

static void on_ended(struct stream *stream, int error)
{
	struct stream_test *test = (struct stream_test *)stream;
	test->ended++;
	test->error = error;
	stream_pause(stream);
}

static void on_sent(struct stream *stream, int error)
{
	struct stream_test *test = (struct stream_test *)stream;
	test->sent++;
	test->sent_error = error;
}

static void on_closed(struct stream *stream)
{
	struct stream_test *test = (struct stream_test *)stream;
	test->closed++;
}

static const struct stream_user user = { give_room, on_got, on_ended, on_sent, on_closed };

static void run(struct stream_test *test)
{
	for (int i = 0; i < 20; i++)
		uv_run(&test->loop, UV_RUN_NOWAIT);
}

static int set_up(void **state)
{
	struct stream_test *test = memory_zeroed(sizeof(*test));
	int ends[2];
	signal(SIGPIPE, SIG_IGN); /* as the server does */
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(uv_loop_init(&test->loop), 0);
	test->peer = ends[1];
	assert_int_equal(
		stream_open(&test->stream, &test->loop, ends[0], STREAM_UNIX, 0, &user), 0);
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	struct stream_test *test = *state;
	if (test->stream.is_open && test->closed == 0)
		stream_close(&test->stream);
	run(test);
	assert_int_equal(test->closed, 1);
	assert_int_equal(uv_loop_close(&test->loop), 0);
	if (test->peer >= 0)
		close(test->peer);
	memory_free(test);
	return 0;
}

static void say(struct stream_test *test, const char *text)
{
	assert_int_equal(send(test->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	run(test);
}

static void close_peer(struct stream_test *test)
{
	close(test->peer);
	test->peer = -1;
	run(test);
}

/* How many bytes the other end finds. */
static size_t drain_peer(struct stream_test *test)
{
	static char bytes[65536];
	size_t count = 0;
	ssize_t got;
	while ((got = recv(test->peer, bytes, sizeof(bytes), 0)) > 0)
		count += (size_t)got;
	return count;
}

static void bytes_come_in_order_and_only_while_it_is_read(void **state)
{
	struct stream_test *test = *state;
	say(test, "before");
	assert_int_equal(test->got_size, 0);
	assert_int_equal(stream_read(&test->stream), 0);
	run(test);
	say(test, ", and more than there is room for at once");
	assert_string_equal(test->got, "before, and more than there is room for at once");
	stream_pause(&test->stream);
	size_t before = test->got_size;
	say(test, "later");
	assert_int_equal(test->got_size, before);
	assert_int_equal(stream_read(&test->stream), 0);
	run(test);
	assert_int_equal(test->got_size, before + 5);
}

static void the_end_of_what_the_peer_sends_is_told_behind_it(void **state)
{
	struct stream_test *test = *state;
	assert_int_equal(stream_read(&test->stream), 0);
	say(test, "last");
	close_peer(test);
	assert_string_equal(test->got, "last");
	assert_int_equal(test->ended, 1);
	assert_int_equal(test->error, 0);
}

static void what_the_socket_takes_is_sent_at_once(void **state)
{
	struct stream_test *test = *state;
	assert_int_equal(stream_send(&test->stream, slice_text("hello")), 5);
	assert_int_equal(drain_peer(test), 5);
	assert_int_equal(stream_unsent(&test->stream), 0);
	assert_int_equal(test->sent, 0);
}

static void the_rest_goes_when_the_peer_takes_it(void **state)
{
	struct stream_test *test = *state;
	char *bytes = memory_zeroed(LARGE_BYTES);
	ssize_t sent = stream_send(&test->stream, slice_of(bytes, LARGE_BYTES));
	assert_true(sent > 0);
	assert_true((size_t)sent < LARGE_BYTES);
	assert_int_equal(stream_send(&test->stream, slice_of(bytes, 1)), 0);
	size_t rest = LARGE_BYTES - (size_t)sent, taken = 0;
	assert_int_equal(stream_send_rest(&test->stream, slice_of(bytes + sent, rest)), 0);
	assert_int_equal(stream_unsent(&test->stream), rest);
	for (int i = 0; i < 10000 && test->sent == 0; i++) {
		taken += drain_peer(test);
		run(test);
	}
	taken += drain_peer(test);
	assert_int_equal(taken, LARGE_BYTES);
	assert_int_equal(test->sent, 1);
	assert_int_equal(test->sent_error, 0);
	assert_int_equal(stream_unsent(&test->stream), 0);
	memory_free(bytes);
}

static void a_peer_that_has_gone_is_an_error(void **state)
{
	struct stream_test *test = *state;
	close_peer(test);
	assert_true(stream_send(&test->stream, slice_text("hello")) < 0);
}

static void closing_gives_up_what_was_to_be_sent(void **state)
{
	struct stream_test *test = *state;
	char *bytes = memory_zeroed(LARGE_BYTES);
	ssize_t sent = stream_send(&test->stream, slice_of(bytes, LARGE_BYTES));
	assert_int_equal(
		stream_send_rest(&test->stream, slice_of(bytes + sent, LARGE_BYTES - (size_t)sent)),
		0);
	stream_close(&test->stream);
	assert_int_equal(test->closed, 0);
	run(test);
	assert_int_equal(test->sent, 1);
	assert_true(test->sent_error < 0);
	assert_int_equal(test->closed, 1);
	assert_false(test->stream.is_open);
	memory_free(bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(bytes_come_in_order_and_only_while_it_is_read),
		TEST(the_end_of_what_the_peer_sends_is_told_behind_it),
		TEST(what_the_socket_takes_is_sent_at_once),
		TEST(the_rest_goes_when_the_peer_takes_it),
		TEST(a_peer_that_has_gone_is_an_error),
		TEST(closing_gives_up_what_was_to_be_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
