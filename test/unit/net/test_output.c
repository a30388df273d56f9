/*
 * Clients that do not read, or read slowly: whose requests wait, who is dropped, and what it holds
 * up for others.
 */
#include "net_fixture.h"

#include <signal.h>

#define VALUE_BYTES    (64 * 1024)
#define REQUESTS       200 /* of such values: more than a socket and a connection hold */
#define LOOKS_A_SECOND 10  /* of the loops' timers */

static int one_loop(void **state)
{
	*state = fixture_new(1, 1);
	return 0;
}

static int two_workers(void **state)
{
	*state = fixture_new(2, 2);
	return 0;
}

static int tear_down(void **state)
{
	fixture_free(*state);
	return 0;
}

/* Under every key of the fixture. */
static void set_large_values(struct fixture *f)
{
	int client = connect_client(f, 0);
	char *value = memory_zeroed(VALUE_BYTES + 1);
	memset(value, 'v', VALUE_BYTES);
	for (int i = 0; i < SHARDS; i++) {
		char head[128];
		snprintf(head, sizeof(head), "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%d\r\n",
			strlen(f->keys[i]), f->keys[i], VALUE_BYTES);
		say(f, client, head);
		say(f, client, value);
		say(f, client, "\r\n");
		make_durable(f);
		assert_string_equal(hear(f, client), "+OK\r\n");
	}
	memory_free(value);
	close(client);
	run_loops(f);
}

static void ask_for_all(struct fixture *f, int client)
{
	char text[64];
	for (int i = 0; i < REQUESTS; i++) {
		snprintf(text, sizeof(text), "GET %s\r\n", f->keys[i % SHARDS]);
		assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	}
	for (int i = 0; i < REQUESTS; i++)
		run_loops(f);
}

/* Bytes that come until none do. */
static size_t read_all(struct fixture *f, int client)
{
	size_t bytes = 0;
	for (int quiet = 0; quiet < 10; quiet++) {
		ssize_t got;
		while ((got = recv(client, f->received, REPLY_BYTES, 0)) > 0) {
			bytes += (size_t)got;
			quiet = 0;
			run_loops(f);
		}
		run_loops(f);
	}
	return bytes;
}

static void pass_seconds(struct fixture *f, int seconds)
{
	for (int i = 0; i < seconds * LOOKS_A_SECOND; i++) {
		f->rig.now_ms += 1000 / LOOKS_A_SECOND;
		tick_timers(f);
	}
}

static uint64_t clients_of(struct fixture *f)
{
	struct net_stats stats;
	net_stats(f->net, &stats);
	return stats.clients;
}

static void who_reads_gets_everything_however_much_it_asked_for_at_once(void **state)
{
	struct fixture *f = *state;
	const size_t reply = sizeof("$65536\r\n\r\n") - 1 + VALUE_BYTES;
	f->rig.config.client_output_bytes_max = 1 << 20;
	set_large_values(f);
	int client = connect_client(f, 0);
	ask_for_all(f, client);
	assert_int_equal(read_all(f, client), REQUESTS * reply);
	assert_int_equal(f->rig.engine->output_bytes, 0);
	close(client);
}

static void the_requests_of_who_does_not_read_wait(void **state)
{
	struct fixture *f = *state;
	set_large_values(f);
	int idle = connect_client(f, 0), other = connect_client(f, 0);
	ask_for_all(f, idle);
	/* A megabyte, and what was under way when that was reached. */
	size_t held = f->rig.engine->output_bytes;
	assert_in_range(held, 1, (1u << 20) + 8 * (size_t)VALUE_BYTES);
	say(f, other, "SET b 1\r\n");
	make_durable(f);
	assert_string_equal(hear(f, other), "+OK\r\n");
	assert_int_equal(f->rig.engine->output_bytes, held);
	close(idle);
	close(other);
	run_loops(f);
	assert_int_equal(f->rig.engine->output_bytes, 0);
}

static void who_takes_nothing_for_the_timeout_is_dropped(void **state)
{
	struct fixture *f = *state;
	f->rig.config.client_output_timeout_s = 5;
	set_large_values(f);
	int idle = connect_client(f, 0), slow = connect_client(f, 0);
	ask_for_all(f, idle);
	ask_for_all(f, slow);
	for (int i = 0; i < 4; i++) {
		pass_seconds(f, 2);
		/* A socket takes no more before some of what it holds has been read. */
		for (int part = 0; part < 4; part++) {
			assert_true(recv(slow, f->received, REPLY_BYTES, 0) > 0);
			run_loops(f);
		}
		if (i < 2)
			assert_int_equal(clients_of(f), 2);
	}
	assert_int_equal(clients_of(f), 1);
	assert_true(read_all(f, slow) > 0);
	close(idle);
	close(slow);
}

static void a_timeout_of_zero_drops_nobody(void **state)
{
	struct fixture *f = *state;
	f->rig.config.client_output_timeout_s = 0;
	set_large_values(f);
	int idle = connect_client(f, 0);
	ask_for_all(f, idle);
	pass_seconds(f, 100);
	assert_int_equal(clients_of(f), 1);
	close(idle);
}

static void who_waits_for_the_log_is_not_blamed(void **state)
{
	struct fixture *f = *state;
	f->rig.config.client_output_timeout_s = 5;
	int client = connect_client(f, 0);
	say(f, client, "SET a 1\r\n");
	pass_seconds(f, 20);
	make_durable(f);
	assert_string_equal(hear(f, client), "+OK\r\n");
	close(client);
}

/* There is room for two or three of them, whatever each had under way before its first reply. */
static void when_all_hold_too_much_the_one_that_holds_most_goes(void **state)
{
	struct fixture *f = *state;
	enum { IDLE = 12 };
	int idle[IDLE];
	set_large_values(f);
	f->rig.config.output_bytes_max = 9 << 20;
	int modest = connect_client(f, 0);
	for (int i = 0; i < IDLE; i++) {
		idle[i] = connect_client(f, 0);
		ask_for_all(f, idle[i]);
	}
	run_loops(f);
	assert_true(f->rig.engine->output_bytes <= 9 << 20);
	assert_in_range(clients_of(f), 3, IDLE);
	say(f, modest, "PING\r\n");
	assert_string_equal(hear(f, modest), "+PONG\r\n");
	for (int i = 0; i < IDLE; i++)
		close(idle[i]);
	close(modest);
	run_loops(f);
	assert_int_equal(f->rig.engine->output_bytes, 0);
}

static void a_subscriber_that_does_not_read_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct net_stats stats;
	f->rig.config.client_output_bytes_max = 1 << 20;
	int idle = connect_client(f, 0), teller = connect_client(f, 0);
	say(f, idle, "SUBSCRIBE c\r\n");
	char *message = memory_zeroed(VALUE_BYTES + 64);
	int size = snprintf(message, 64, "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$%d\r\n", VALUE_BYTES);
	memset(message + size, 'm', VALUE_BYTES);
	memcpy(message + size + VALUE_BYTES, "\r\n", 3);
	for (int i = 0; i < 40; i++) {
		say(f, teller, message);
		assert_non_null(hear(f, teller));
	}
	net_stats(f->net, &stats);
	assert_int_equal(stats.output_limit_drops, 1);
	assert_int_equal(stats.clients, 1);
	memory_free(message);
	close(idle);
	close(teller);
}

int main(void)
{
#define TEST(set_up, name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_loop, who_reads_gets_everything_however_much_it_asked_for_at_once),
		TEST(two_workers, who_reads_gets_everything_however_much_it_asked_for_at_once),
		TEST(one_loop, the_requests_of_who_does_not_read_wait),
		TEST(two_workers, the_requests_of_who_does_not_read_wait),
		TEST(one_loop, who_takes_nothing_for_the_timeout_is_dropped),
		TEST(one_loop, a_timeout_of_zero_drops_nobody),
		TEST(one_loop, who_waits_for_the_log_is_not_blamed),
		TEST(one_loop, when_all_hold_too_much_the_one_that_holds_most_goes),
		TEST(two_workers, when_all_hold_too_much_the_one_that_holds_most_goes),
		TEST(one_loop, a_subscriber_that_does_not_read_is_dropped),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
