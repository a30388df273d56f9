/*
 * One client and some: what leaves when, in which order, and what makes the server hang up.
 */
#include "net_fixture.h"

#include <signal.h>

#define COMMAND_LINES_MAX 512

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

static int a_loop_apart(void **state)
{
	*state = fixture_new(1, 2);
	return 0;
}

static int tear_down(void **state)
{
	fixture_free(*state);
	return 0;
}

static const char *line(struct fixture *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Valid until the next call. */
static const char *line(struct fixture *f, const char *format, ...)
{
	static char text[1024];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	return text;
}

/* --- the gate --------------------------------------------------------------------------------- */

static void holds_a_reply_until_its_record_is_durable(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	say(f, client, "SET a 1\r\n");
	assert_string_equal(hear(f, client), "");
	make_durable(f);
	assert_string_equal(hear(f, client), "+OK\r\n");
	close(client);
}

static void holds_a_read_behind_an_unsynced_write_of_another_client(void **state)
{
	struct fixture *f = *state;
	int writer = connect_client(f, 0), reader = connect_client(f, 0);
	say(f, writer, "SET settled x\r\n");
	make_durable(f);
	assert_string_equal(hear(f, writer), "+OK\r\n");
	say(f, writer, "SET a 1\r\n");
	say(f, reader, "GET settled\r\n");
	assert_string_equal(hear(f, reader), "$1\r\nx\r\n");
	say(f, reader, "GET a\r\n");
	assert_string_equal(hear(f, reader), "");
	make_durable(f);
	assert_string_equal(hear(f, reader), "$1\r\n1\r\n");
	assert_string_equal(hear(f, writer), "+OK\r\n");
	close(writer);
	close(reader);
}

static void replies_in_front_of_a_held_one_leave_and_those_behind_it_wait(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	say(f, client, "PING\r\nSET a 1\r\nPING\r\nGET none\r\n");
	assert_string_equal(hear(f, client), "+PONG\r\n");
	say(f, client, "PING\r\n");
	assert_string_equal(hear(f, client), "");
	make_durable(f);
	assert_string_equal(hear(f, client), "+OK\r\n+PONG\r\n$-1\r\n+PONG\r\n");
	close(client);
}

static void each_held_reply_leaves_with_its_own_record(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	struct gate *gate = f->rig.engine->gate;
	char value[64001];
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	/* Two records that need two batches. */
	for (int i = 0; i < 2; i++) {
		char header[64];
		snprintf(header, sizeof(header), "*3\r\n$3\r\nSET\r\n$2\r\nk%d\r\n$64000\r\n", i);
		say(f, client, header);
		say(f, client, value);
		say(f, client, "\r\n");
	}
	assert_string_equal(hear(f, client), "");
	gate_step(gate);
	run_loops(f);
	assert_string_equal(hear(f, client), "+OK\r\n");
	gate_step(gate);
	run_loops(f);
	assert_string_equal(hear(f, client), "+OK\r\n");
	close(client);
}

static void everysec_holds_nothing_back(void **state)
{
	struct fixture *f = *state;
	f->rig.config.durability = DURABILITY_EVERYSEC;
	int client = connect_client(f, 0);
	say(f, client, "SET a 1\r\nGET a\r\n");
	assert_string_equal(hear(f, client), "+OK\r\n$1\r\n1\r\n");
	assert_int_equal(gate_durable(f->rig.engine->gate), 0);
	close(client);
}

/* --- order ------------------------------------------------------------------------------------ */

static void replies_come_in_the_order_of_the_requests_whoever_is_faster(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	/* The first travels to worker 1, the others are answered at once. */
	say(f, client,
		line(f, "GET %s\r\nPING\r\nGET %s\r\nECHO last\r\n", f->keys[1], f->keys[0]));
	assert_string_equal(hear(f, client), "$-1\r\n+PONG\r\n$-1\r\n$4\r\nlast\r\n");
	close(client);
}

static void a_read_sent_after_a_write_of_several_shards_sees_it(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	say(f, client, line(f, "MSET %s v %s v\r\nGET %s\r\n", f->keys[1], f->keys[2], f->keys[2]));
	make_durable(f);
	assert_string_equal(hear(f, client), "+OK\r\n$1\r\nv\r\n");
	close(client);
}

static void a_write_sent_after_emptying_everything_stays(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	say(f, client,
		line(f, "FLUSHALL\r\nSET %s v\r\nDBSIZE\r\nGET %s\r\n", f->keys[2], f->keys[2]));
	make_durable(f);
	assert_string_equal(hear(f, client), "+OK\r\n+OK\r\n:1\r\n$1\r\nv\r\n");
	close(client);
}

static void a_long_pipeline_over_all_shards_runs_in_its_order(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	char commands[16384] = "", expected[16384] = "";
	size_t said = 0, awaited = 0;
	for (int i = 0; i < 60; i++) {
		const char *one = f->keys[i % SHARDS], *two = f->keys[(i * 7 + 1) % SHARDS];
		said += (size_t)snprintf(commands + said, sizeof(commands) - said,
			"MSET %s %03d %s %03d\r\nGET %s\r\nSET %s %03d\r\nMGET %s %s\r\n", one, i,
			two, i, two, one, i + 500, one, two);
		int second = one == two ? i + 500 : i;
		awaited += (size_t)snprintf(expected + awaited, sizeof(expected) - awaited,
			"+OK\r\n$3\r\n%03d\r\n+OK\r\n*2\r\n$3\r\n%03d\r\n$3\r\n%03d\r\n", i,
			i + 500, second);
	}
	say(f, client, commands);
	char answers[16384] = "";
	for (int i = 0; i < 2000 && strlen(answers) < awaited; i++) {
		make_durable(f);
		strcat(answers, hear(f, client));
	}
	assert_string_equal(answers, expected);
	close(client);
}

/* --- admission -------------------------------------------------------------------------------- */

static void a_full_disk_refuses_writes_and_serves_reads(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	gate_set_store_full(f->rig.engine->gate, true);
	say(f, client, "SET a 1\r\nGET a\r\n");
	assert_string_equal(hear(f, client), "-" ERROR_DISK_FULL "\r\n$-1\r\n");
	gate_set_store_full(f->rig.engine->gate, false);
	say(f, client, "SET a 1\r\n");
	make_durable(f);
	assert_string_equal(hear(f, client), "+OK\r\n");
	close(client);
}

static void a_write_that_must_wait_holds_up_its_connection_alone(void **state)
{
	struct fixture *f = *state;
	int writer = connect_client(f, 0), other = connect_client(f, 0);
	say(f, writer, "SET a 1\r\n");
	make_durable(f);
	hear(f, writer);
	f->rig.config.overlay_bytes_max = 1;
	say(f, writer, "SET a 2\r\nGET a\r\nPING\r\n");
	make_durable(f);
	assert_string_equal(hear(f, writer), "");
	say(f, other, "GET a\r\n");
	assert_string_equal(hear(f, other), "$1\r\n1\r\n");
	f->rig.config.overlay_bytes_max = 1 << 20;
	for (int i = 0; i < 10 && strlen(hear(f, writer)) == 0; i++)
		make_durable(f);
	assert_string_equal(f->received, "+OK\r\n$1\r\n2\r\n+PONG\r\n");
	close(writer);
	close(other);
}

static void a_client_with_many_requests_under_way_is_read_no_further(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	f->rig.config.client_requests_max = 3;
	char commands[2048] = "";
	for (int i = 0; i < 20; i++)
		strcat(commands, line(f, "INCR %s\r\n", f->keys[1]));
	assert_int_equal(send(client, commands, strlen(commands), MSG_NOSIGNAL), strlen(commands));
	uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	assert_int_equal(f->net->loops[0].clients->flight.requests, 3);
	for (int i = 0; i < 30; i++)
		make_durable(f);
	const char *answers = hear(f, client);
	assert_int_equal(strncmp(answers, ":1\r\n:2\r\n:3\r\n:4\r\n", 16), 0);
	assert_non_null(strstr(answers, ":20\r\n"));
	close(client);
}

/* --- errors and hanging up -------------------------------------------------------------------- */

static void unknown_commands_and_wrong_numbers_of_arguments_are_answered(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	say(f, client, "NOSUCH x\r\nGET\r\nPING\r\n");
	const char *answers = hear(f, client);
	assert_int_equal(strncmp(answers, "-ERR unknown command 'NOSUCH'", 29), 0);
	assert_non_null(strstr(answers, "-ERR wrong number of arguments for 'get' command\r\n"));
	assert_non_null(strstr(answers, "+PONG\r\n"));
	close(client);
}

static void a_protocol_error_is_told_after_the_replies_before_it_and_ends_it(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	say(f, client, "PING\r\nSET a 1\r\n*1\r\n+x\r\nPING\r\n");
	make_durable(f);
	assert_string_equal(
		hear(f, client), "+PONG\r\n+OK\r\n-ERR Protocol error: expected '$', got '+'\r\n");
	assert_null(hear(f, client));
	close(client);
}

static void nothing_but_auth_is_let_in_before_the_password(void **state)
{
	struct fixture *f = *state;
	configure(f, "requirepass", "secret");
	int client = connect_client(f, 0);
	say(f, client, "GET a\r\nAUTH wrong\r\nGET a\r\nAUTH secret\r\nGET a\r\n");
	assert_string_equal(hear(f, client),
		"-" ERROR_NOAUTH "\r\n-" ERROR_WRONGPASS "\r\n-" ERROR_NOAUTH "\r\n+OK\r\n$-1\r\n");
	close(client);
}

static void a_client_that_goes_away_leaves_its_writes_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	int leaver = connect_client(f, 0), stayer = connect_client(f, 0);
	struct net_stats stats;
	assert_true(send(leaver, line(f, "SET %s v\r\nGET %s\r\n", f->keys[1], f->keys[1]), 40,
			    MSG_NOSIGNAL) > 0);
	uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	close(leaver); /* with both on their way */
	run_loops(f);
	make_durable(f);
	run_loops(f); /* its replies find nobody */
	net_stats(f->net, &stats);
	assert_int_equal(stats.clients, 1);
	say(f, stayer, line(f, "GET %s\r\n", f->keys[1]));
	assert_string_equal(hear(f, stayer), "$1\r\nv\r\n");
	close(stayer);
}

static void a_client_that_sends_no_more_still_gets_its_replies(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	say(f, client, line(f, "SET %s v\r\n", f->keys[1]));
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	run_loops(f);
	make_durable(f);
	run_loops(f);
	assert_string_equal(hear(f, client), "+OK\r\n");
	assert_null(hear(f, client)); /* and is closed then */
	close(client);
}

static void a_quiet_client_is_closed_after_the_timeout_on_every_kind_of_loop(void **state)
{
	struct fixture *f = *state;
	f->rig.config.idle_timeout_s = 10;
	uint16_t loop = f->net->loop_count - 1;
	int quiet = connect_client(f, loop), waiting = connect_client(f, loop);
	say(f, quiet, "PING\r\n");
	assert_string_equal(hear(f, quiet), "+PONG\r\n");
	f->rig.now_ms += 9000;
	say(f, waiting, "SET a 1\r\n"); /* its reply is held back */
	for (int i = 0; i < 20; i++)
		tick_timers(f);
	assert_string_equal(hear(f, quiet), "");
	f->rig.now_ms += 2000;
	for (int i = 0; i < 20; i++)
		tick_timers(f);
	assert_null(hear(f, quiet));
	assert_non_null(hear(f, waiting));
	close(quiet);
	close(waiting);
}

static bool kill_first(void *context, struct connection *connection)
{
	net_kill(connection, CLIENT_KILLED);
	++*(int *)context;
	return false;
}

static void a_killed_client_is_closed_by_its_loop(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0), visited = 0;
	net_each_client(f->net, kill_first, &visited);
	assert_int_equal(visited, 1);
	assert_null(hear(f, client));
	close(client);
}

static void stopping_lets_held_replies_leave_first(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	say(f, client, "SET a 1\r\n");
	net_stop(f->net);
	run_loops(f);
	assert_string_equal(hear(f, client), "");
	stop_net(f);
	ssize_t got = recv(client, f->received, REPLY_BYTES, 0);
	assert_int_equal(got, 5);
	assert_memory_equal(f->received, "+OK\r\n", 5);
	assert_int_equal(recv(client, f->received, REPLY_BYTES, 0), 0);
	close(client);
}

/* --- figures ---------------------------------------------------------------------------------- */

static void commands_are_counted_with_their_failures(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	uint64_t calls, ns, failed, rejected;
	say(f, client, "SET a x\r\nINCR a\r\nINCR b\r\nINCR\r\nINCR c\r\n");
	make_durable(f);
	hear(f, client);
	struct slice name = slice_text("incr");
	const struct command_set *set = command_table();
	uint32_t index = (uint32_t)(command_find(&name, 1) - set->commands);
	net_command_stats(f->net, index, &calls, &ns, &failed, &rejected);
	assert_int_equal(calls, 3);
	assert_int_equal(failed, 1);
	assert_int_equal(rejected, 1);
	net_reset_stats(f->net);
	net_command_stats(f->net, index, &calls, &ns, &failed, &rejected);
	assert_int_equal(calls + failed + rejected, 0);
	close(client);
}

static void slow_commands_are_handed_on_with_their_arguments(void **state)
{
	struct fixture *f = *state;
	int client = connect_client(f, 0);
	f->rig.config.slowlog_us = -1;
	say(f, client, "GET a\r\n");
	assert_int_equal(f->slow, 0);
	f->rig.config.slowlog_us = 0;
	say(f, client, "GET a\r\nPING\r\n");
	assert_int_equal(f->slow, 2);
	close(client);
}

/* A command without a shard that takes 20 ms by the rig's clock. */
static struct {
	struct fixture *fixture;
	int runs;
} slow;

static void run_slow(struct connection *connection, struct request *request)
{
	struct writer writer = request_writer(request);
	slow.fixture->rig.now_ms += 20;
	slow.runs++;
	writer_ok(&writer);
}

static struct command commands[COMMAND_LINES_MAX];
static struct command_set with_slow;

static const struct command *find_with_slow(const struct slice *arguments, uint32_t count)
{
	if (slice_is(arguments[0], "slow"))
		return &commands[with_slow.count - 1];
	const struct command *found = command_find(arguments, count);
	return found ? &commands[found - command_table()->commands] : NULL;
}

static int one_loop_with_slow(void **state)
{
	with_slow = *command_table();
	assert_true(with_slow.count < COMMAND_LINES_MAX);
	memcpy(commands, with_slow.commands, with_slow.count * sizeof(*commands));
	commands[with_slow.count++] = (struct command){
		.name = "slow", .arity = 1, .route = ROUTE_LOCAL, .local = run_slow
	};
	with_slow.commands = commands;
	with_slow.find = find_with_slow;
	*state = slow.fixture = fixture_with_commands(&with_slow, 1, 1);
	slow.runs = 0;
	return 0;
}

static void pipelines_of_long_commands_let_others_in(void **state)
{
	enum { CLIENTS = 8, COMMANDS = 10 };
	struct fixture *f = *state;
	int clients[CLIENTS], other = connect_client(f, 0);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_client(f, 0);
	for (int i = 0; i < CLIENTS; i++) {
		for (int sent = 0; sent < COMMANDS; sent++)
			assert_int_equal(send(clients[i], "SLOW\r\n", 6, 0), 6);
	}
	uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	assert_int_equal(slow.runs, CLIENTS);
	int before = slow.runs;
	char reply[16];
	assert_int_equal(send(other, "PING\r\n", 6, 0), 6);
	while (recv(other, reply, sizeof(reply), 0) < 0)
		uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	assert_in_range(slow.runs - before, 0, 3);
	while (slow.runs < CLIENTS * COMMANDS)
		uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	run_loops(f);
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(strlen(hear(f, clients[i])), 5 * COMMANDS);
		close(clients[i]);
	}
	close(other);
}

int main(void)
{
#define TEST(set_up, name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_loop, holds_a_reply_until_its_record_is_durable),
		TEST(one_loop, holds_a_read_behind_an_unsynced_write_of_another_client),
		TEST(one_loop, replies_in_front_of_a_held_one_leave_and_those_behind_it_wait),
		TEST(one_loop, each_held_reply_leaves_with_its_own_record),
		TEST(one_loop, everysec_holds_nothing_back),
		TEST(two_workers, replies_come_in_the_order_of_the_requests_whoever_is_faster),
		TEST(two_workers, a_read_sent_after_a_write_of_several_shards_sees_it),
		TEST(two_workers, a_write_sent_after_emptying_everything_stays),
		TEST(two_workers, a_long_pipeline_over_all_shards_runs_in_its_order),
		TEST(one_loop_with_slow, pipelines_of_long_commands_let_others_in),
		TEST(one_loop, a_full_disk_refuses_writes_and_serves_reads),
		TEST(one_loop, a_write_that_must_wait_holds_up_its_connection_alone),
		TEST(two_workers, a_client_with_many_requests_under_way_is_read_no_further),
		TEST(one_loop, unknown_commands_and_wrong_numbers_of_arguments_are_answered),
		TEST(one_loop, a_protocol_error_is_told_after_the_replies_before_it_and_ends_it),
		TEST(one_loop, nothing_but_auth_is_let_in_before_the_password),
		TEST(two_workers, a_client_that_goes_away_leaves_its_writes_and_nothing_else),
		TEST(one_loop, a_client_that_sends_no_more_still_gets_its_replies),
		TEST(one_loop, a_quiet_client_is_closed_after_the_timeout_on_every_kind_of_loop),
		TEST(a_loop_apart,
			a_quiet_client_is_closed_after_the_timeout_on_every_kind_of_loop),
		TEST(one_loop, a_killed_client_is_closed_by_its_loop),
		TEST(one_loop, stopping_lets_held_replies_leave_first),
		TEST(one_loop, commands_are_counted_with_their_failures),
		TEST(one_loop, slow_commands_are_handed_on_with_their_arguments),
	};
	signal(SIGPIPE, SIG_IGN); /* as the server does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
