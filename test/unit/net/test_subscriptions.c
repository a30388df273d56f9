/*
 * Messages and what they wait for. TELL is a command of this test: a turn that may write, read and
 * fail, and that publishes an event.
 *
 *   TELL key channel message mode      mode: put, get, fail, rollback, none, much
 */
#include "net_fixture.h"

#include "holdfast/limits.h"
#include "request/turn.h"

#include <signal.h>

#define COMMAND_LINES_MAX 512
#define OTHER_LOOP_BEHIND 3 /* messages of half of what may wait */

static struct {
	bool heard;
	bool taken; /* what turn_publish said last */
	uint64_t gate_lsn;
} seen;

static void put(struct turn *turn, const char *text)
{
	struct value value = { .type = VALUE_STRING, .data = slice_text(text) };
	turn_put(turn, turn->shard, turn_argument(turn, 1), &value);
}

/* Fills what a turn's events may take, and asks for one byte more. */
static void tell_much(struct turn *turn)
{
	char *text = memory_zeroed(LIMIT_EVENT_BYTES);
	assert_true(turn_publish(turn, slice_text("a"), slice_of(text, LIMIT_EVENT_BYTES - 2)));
	assert_false(turn_publish(turn, slice_text("a"), slice_text("b")));
	assert_true(turn_publish(turn, slice_text("b"), slice_text("")));
	assert_false(turn_publish(turn, slice_text(""), slice_of(text, LIMIT_EVENT_BYTES)));
	assert_false(turn_publish(turn, slice_of(text, SIZE_MAX), slice_of(text, 2)));
	memory_free(text);
}

static void run_tell(struct turn *turn)
{
	struct slice mode = turn_argument(turn, 4);
	struct value value;
	seen.heard = turn->heard;
	if (slice_is(mode, "put"))
		put(turn, "told");
	if (slice_is(mode, "get"))
		turn_get(turn, turn->shard, turn_argument(turn, 1), &value);
	if (slice_is(mode, "much")) {
		tell_much(turn);
		writer_ok(&turn->writer);
		return;
	}
	struct changes_mark saved = changes_save(&turn->changes);
	char channel[64], text[64]; /* gone when the message is sent */
	struct slice name = turn_argument(turn, 2), message = turn_argument(turn, 3);
	memcpy(channel, name.data, name.size);
	memcpy(text, message.data, message.size);
	seen.taken = turn_publish(turn, slice_of(channel, name.size), slice_of(text, message.size));
	for (int more = 0; more < 3 && slice_is(mode, "often"); more++)
		turn_publish(turn, slice_of(channel, name.size), slice_of(text, message.size));
	memset(channel, '?', sizeof(channel));
	memset(text, '?', sizeof(text));
	if (slice_is(mode, "rollback"))
		changes_restore(&turn->changes, &saved);
	if (slice_is(mode, "fail")) {
		put(turn, "never");
		turn_error(turn, ERROR_SYNTAX);
		return;
	}
	seen.gate_lsn = turn->gate_lsn;
	writer_ok(&turn->writer);
}

static struct command commands[COMMAND_LINES_MAX];
static struct command_set command_set;

static const struct command *find_command(const struct slice *arguments, uint32_t count)
{
	if (slice_is(arguments[0], "tell"))
		return &commands[command_set.count - 1];
	const struct command *found = command_find(arguments, count);
	return found ? &commands[found - command_table()->commands] : NULL;
}

static struct fixture *open_with_tell(uint16_t workers, uint16_t loops)
{
	command_set = *command_table();
	assert_true(command_set.count < COMMAND_LINES_MAX);
	memcpy(commands, command_set.commands, command_set.count * sizeof(*commands));
	commands[command_set.count++] = (struct command){ .name = "tell",
		.arity = 5,
		.route = ROUTE_KEYS,
		.key_first = 1,
		.key_last = 1,
		.key_step = 1,
		.run = run_tell };
	command_set.commands = commands;
	command_set.find = find_command;
	return fixture_with_commands(&command_set, workers, loops);
}

static int one_loop(void **state)
{
	*state = open_with_tell(1, 1);
	return 0;
}

static int two_workers(void **state)
{
	*state = open_with_tell(2, 2);
	return 0;
}

static int a_loop_apart(void **state)
{
	*state = open_with_tell(1, 2);
	return 0;
}

static int tear_down(void **state)
{
	fixture_free(*state);
	return 0;
}

/* A client of the last loop that listens to channel c. */
static int listen_to_c(struct fixture *f)
{
	int client = connect_client(f, f->net->loop_count - 1);
	say(f, client, "SUBSCRIBE c\r\n");
	assert_string_equal(hear(f, client), "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	return client;
}

#define MESSAGE_X "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"
#define MESSAGE_Y "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\ny\r\n"

static void say_key(struct fixture *f, int client, const char *format, int key)
{
	char text[256];
	snprintf(text, sizeof(text), format, f->keys[key]);
	say(f, client, text);
}

/* --- events of turns -------------------------------------------------------------------------- */

static void an_event_is_held_until_its_record_is_durable(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), teller = connect_client(f, 0);
	say_key(f, teller, "TELL %s c x put\r\n", 0);
	assert_true(seen.heard && seen.taken);
	assert_string_equal(hear(f, listener), "");
	assert_string_equal(hear(f, teller), "");
	make_durable(f);
	assert_string_equal(hear(f, listener), MESSAGE_X);
	assert_string_equal(hear(f, teller), "+OK\r\n");
	close(listener);
	close(teller);
}

static void an_event_of_another_workers_turn_is_held_too(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), teller = connect_client(f, 0);
	for (int i = 0; i < SHARDS; i++) {
		say_key(f, teller, "TELL %s c x put\r\n", i);
		assert_string_equal(hear(f, listener), "");
		make_durable(f);
		assert_string_equal(hear(f, listener), MESSAGE_X);
	}
	close(listener);
	close(teller);
}

static void an_event_of_a_reading_turn_waits_for_what_was_read(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), teller = connect_client(f, 0);
	say_key(f, teller, "TELL %s c x get\r\n", 0);
	assert_string_equal(hear(f, listener), MESSAGE_X);
	assert_string_equal(hear(f, teller), "+OK\r\n");
	say_key(f, teller, "TELL %s other x put\r\n", 0);
	say_key(f, teller, "TELL %s c y get\r\n", 0);
	assert_true(seen.gate_lsn > 0);
	assert_string_equal(hear(f, listener), "");
	make_durable(f);
	assert_string_equal(hear(f, listener), MESSAGE_Y);
	close(listener);
	close(teller);
}

static void many_events_go_out_in_steps_each_once(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), teller = connect_client(f, 0);
	f->rig.look_ns = 2000000; /* each takes longer than a step may */
	say_key(f, teller, "TELL %s c x often\r\n", 0);
	make_durable(f);
	assert_string_equal(hear(f, listener), MESSAGE_X MESSAGE_X MESSAGE_X MESSAGE_X);
	assert_string_equal(hear(f, teller), "+OK\r\n");
	f->rig.look_ns = 0;
	close(listener);
	close(teller);
}

static void everysec_holds_no_event_back(void **state)
{
	struct fixture *f = *state;
	f->rig.config.durability = DURABILITY_EVERYSEC;
	int listener = listen_to_c(f), teller = connect_client(f, 0);
	say_key(f, teller, "TELL %s c x put\r\n", 0);
	assert_string_equal(hear(f, listener), MESSAGE_X);
	assert_int_equal(gate_durable(f->rig.engine->gate), 0);
	close(listener);
	close(teller);
}

static void a_turn_that_fails_tells_nobody(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), teller = connect_client(f, 0);
	say_key(f, teller, "TELL %s c x fail\r\n", 0);
	make_durable(f);
	assert_true(seen.heard && seen.taken);
	assert_string_equal(hear(f, teller), "-" ERROR_SYNTAX "\r\n");
	assert_string_equal(hear(f, listener), "");
	assert_int_equal(gate_appended(f->rig.engine->gate), 0);
	/* Nothing of it is left for the next turn. */
	say_key(f, teller, "TELL %s c y put\r\n", 0);
	make_durable(f);
	assert_string_equal(hear(f, listener), MESSAGE_Y);
	close(listener);
	close(teller);
}

static void what_is_rolled_back_within_a_turn_tells_nobody(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), teller = connect_client(f, 0);
	say_key(f, teller, "TELL %s c x rollback\r\n", 0);
	make_durable(f);
	assert_string_equal(hear(f, teller), "+OK\r\n");
	assert_string_equal(hear(f, listener), "");
	close(listener);
	close(teller);
}

static void the_servers_own_turns_tell_too(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f);
	struct slice arguments[] = { slice_text("tell"), slice_text(f->keys[0]), slice_text("c"),
		slice_text("x"), slice_text("put") };
	engine_ask(f->rig.engine, 0,
		&(struct question){ .command = &commands[command_set.count - 1],
			.words = arguments,
			.word_count = 5,
			.routed = true });
	assert_string_equal(hear(f, listener), "");
	make_durable(f);
	assert_string_equal(hear(f, listener), MESSAGE_X);
	close(listener);
}

static void without_subscribers_no_event_is_kept(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), teller = connect_client(f, 0);
	say(f, listener, "UNSUBSCRIBE c\r\n");
	say_key(f, teller, "TELL %s c x put\r\n", 0);
	assert_true(!seen.heard && seen.taken);
	make_durable(f);
	assert_string_equal(hear(f, listener), "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n");
	close(listener);
	close(teller);
}

static void the_events_of_a_turn_are_bounded(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), teller = connect_client(f, 0);
	say_key(f, teller, "TELL %s c x much\r\n", 0);
	assert_string_equal(hear(f, teller), "+OK\r\n");
	close(listener);
	close(teller);
}

/* --- PUBLISH ---------------------------------------------------------------------------------- */

static void a_message_behind_a_write_is_held_with_it(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), publisher = connect_client(f, 0);
	say(f, publisher, "PUBLISH c x\r\n");
	assert_string_equal(hear(f, listener), MESSAGE_X);
	assert_string_equal(hear(f, publisher), ":1\r\n");
	for (int i = 0; i < 2; i++) {
		if (i == 1)
			say(f, publisher, "CLIENT REPLY OFF\r\n");
		say_key(f, publisher, "SET %s v\r\nPUBLISH c y\r\n", SHARDS - 1);
		assert_string_equal(hear(f, listener), "");
		make_durable(f);
		assert_string_equal(hear(f, listener), MESSAGE_Y);
		assert_string_equal(hear(f, publisher), i == 0 ? "+OK\r\n:1\r\n" : "");
	}
	close(listener);
	close(publisher);
}

static void a_held_message_holds_back_what_comes_behind_it(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), teller = connect_client(f, 0), other = connect_client(f, 0);
	say_key(f, teller, "TELL %s c x put\r\n", 0);
	say(f, other, "PUBLISH c y\r\n");
	say(f, listener, "PING\r\n");
	assert_string_equal(hear(f, other), ":1\r\n");
	assert_string_equal(hear(f, listener), "");
	make_durable(f);
	assert_string_equal(
		hear(f, listener), MESSAGE_X MESSAGE_Y "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	close(listener);
	close(teller);
	close(other);
}

static void who_subscribes_later_does_not_get_what_was_published_before(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), late = connect_client(f, 1),
	    publisher = connect_client(f, 0);
	/* Loop 1 finds the command of `late` first, and only then its inbox. */
	assert_int_equal(send(late, "SUBSCRIBE c\r\n", 13, 0), 13);
	assert_int_equal(send(publisher, "PUBLISH c x\r\n", 13, 0), 13);
	uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	uv_run(&f->net->loops[1].uv, UV_RUN_NOWAIT);
	assert_string_equal(hear(f, publisher), ":1\r\n");
	assert_string_equal(hear(f, listener), MESSAGE_X);
	assert_string_equal(hear(f, late), "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	close(listener);
	close(late);
	close(publisher);
}

static void who_leaves_gets_what_was_published_before(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), publisher = connect_client(f, 0);
	assert_int_equal(send(listener, "UNSUBSCRIBE c\r\n", 15, 0), 15);
	assert_int_equal(send(publisher, "PUBLISH c x\r\n", 13, 0), 13);
	uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	uv_run(&f->net->loops[1].uv, UV_RUN_NOWAIT);
	assert_string_equal(hear(f, publisher), ":1\r\n");
	assert_string_equal(
		hear(f, listener), MESSAGE_X "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n");
	close(listener);
	close(publisher);
}

static void a_message_goes_to_many_in_steps_and_not_to_who_left_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct net_loop *loop = &f->net->loops[0];
	int first = listen_to_c(f), second = listen_to_c(f), third = listen_to_c(f);
	int publisher = connect_client(f, 0), steps = 0;
	say(f, publisher, "PING\r\n");
	struct connection *connection = loop->clients; /* the newest */
	f->rig.look_ns = 2000000;
	assert_int_equal(subscriptions_publish(connection, slice_text("c"), slice_text("x")), 3);
	/* The one that came last has got it. */
	connection_close(connection->next->next);
	while (subscriptions_deliver(loop))
		assert_true(++steps < 10);
	f->rig.look_ns = 0;
	assert_true(steps >= 2);
	assert_string_equal(hear(f, third), MESSAGE_X);
	assert_string_equal(hear(f, first), MESSAGE_X);
	assert_string_equal(hear(f, publisher), "+PONG\r\n");
	close(first);
	close(second);
	close(third);
	close(publisher);
}

/* Publishes on loop 0 while loop 1, where the listener is, stands still. */
static void publishers_and_writers_wait_for_a_loop_that_is_behind(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), publisher = connect_client(f, 0), writer;
	struct connection *connection = f->net->loops[0].clients;
	size_t size = LIMIT_MESSAGES_WAITING_BYTES / 2;
	char *text = memory_zeroed(size);
	writer = connect_client(f, 0);
	f->rig.config.client_output_bytes_max = (int64_t)size;
	for (int i = 0; i < OTHER_LOOP_BEHIND; i++)
		assert_int_equal(
			subscriptions_publish(connection, slice_text("c"), slice_of(text, size)),
			1);
	assert_true(subscriptions_are_behind(f->net));
	assert_int_equal(send(publisher, "PUBLISH c x\r\n", 13, 0), 13);
	snprintf(text, size, "SET %s v\r\n", f->keys[0]); /* a shard of loop 0 */
	assert_int_equal(send(writer, text, strlen(text), 0), strlen(text));
	for (int i = 0; i < ROUNDS_QUIET; i++)
		uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	assert_int_equal(gate_appended(f->rig.engine->gate), 0);
	assert_int_equal(recv(publisher, text, size, 0), -1);
	/* Loop 1 goes on; the listener has more unread than it may, and goes. */
	run_loops(f);
	assert_false(subscriptions_are_behind(f->net));
	make_durable(f);
	assert_string_equal(hear(f, writer), "+OK\r\n");
	assert_int_equal(hear(f, publisher)[0], ':');
	assert_int_equal(subscriptions_names(f->net, SUBSCRIPTION_CHANNEL), 0);
	memory_free(text);
	close(listener);
	close(publisher);
	close(writer);
}

static void a_subscriber_that_does_not_read_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct net_stats stats;
	int lazy = listen_to_c(f), eager = listen_to_c(f), publisher = connect_client(f, 0);
	f->rig.config.client_output_bytes_max = 1000;
	/* Held back by the log, so that nobody can read. */
	say_key(f, publisher, "TELL %s c x put\r\n", 0);
	char text[1024] = "PUBLISH c ";
	memset(text + 10, 'x', 900);
	strcpy(text + 910, "\r\n");
	say(f, eager, "UNSUBSCRIBE\r\n");
	for (int i = 0; i < 3; i++)
		say(f, publisher, text);
	make_durable(f);
	net_stats(f->net, &stats);
	assert_int_equal(stats.output_limit_drops, 1);
	assert_string_equal(hear(f, publisher), "+OK\r\n:1\r\n:1\r\n:0\r\n");
	assert_int_equal(subscriptions_names(f->net, SUBSCRIPTION_CHANNEL), 0);
	while (hear(f, lazy) != NULL)
		;
	assert_non_null(hear(f, eager));
	close(lazy);
	close(eager);
	close(publisher);
}

static void stopping_lets_held_messages_leave_first(void **state)
{
	struct fixture *f = *state;
	int listener = listen_to_c(f), teller = connect_client(f, 0);
	say_key(f, teller, "TELL %s c x put\r\n", 0);
	net_stop(f->net);
	run_loops(f);
	assert_string_equal(hear(f, listener), "");
	make_durable(f);
	assert_string_equal(hear(f, listener), MESSAGE_X);
	assert_null(hear(f, listener));
	close(listener);
	close(teller);
}

int main(void)
{
#define TEST(set_up, name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_loop, an_event_is_held_until_its_record_is_durable),
		TEST(two_workers, an_event_is_held_until_its_record_is_durable),
		TEST(a_loop_apart, an_event_is_held_until_its_record_is_durable),
		TEST(two_workers, an_event_of_another_workers_turn_is_held_too),
		TEST(two_workers, an_event_of_a_reading_turn_waits_for_what_was_read),
		TEST(two_workers, everysec_holds_no_event_back),
		TEST(one_loop, many_events_go_out_in_steps_each_once),
		TEST(two_workers, a_turn_that_fails_tells_nobody),
		TEST(one_loop, what_is_rolled_back_within_a_turn_tells_nobody),
		TEST(two_workers, the_servers_own_turns_tell_too),
		TEST(one_loop, without_subscribers_no_event_is_kept),
		TEST(one_loop, the_events_of_a_turn_are_bounded),
		TEST(one_loop, a_message_behind_a_write_is_held_with_it),
		TEST(two_workers, a_message_behind_a_write_is_held_with_it),
		TEST(two_workers, a_held_message_holds_back_what_comes_behind_it),
		TEST(two_workers, who_subscribes_later_does_not_get_what_was_published_before),
		TEST(two_workers, who_leaves_gets_what_was_published_before),
		TEST(one_loop, a_message_goes_to_many_in_steps_and_not_to_who_left_meanwhile),
		TEST(two_workers, publishers_and_writers_wait_for_a_loop_that_is_behind),
		TEST(one_loop, a_subscriber_that_does_not_read_is_dropped),
		TEST(two_workers, stopping_lets_held_messages_leave_first),
	};
	signal(SIGPIPE, SIG_IGN); /* as the server does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
