/*
 * How requests take shards, wait and go home, with every delivery chosen by the test. Workers own
 * shards in turn: with two, shards 0 and 2 are worker 0's, 1 and 3 worker 1's.
 */
#include "base/memory.h"
#include "base/random.h"
#include "engine/shard.h"
#include "holdfast/limits.h"
#include "request/turn.h"
#include "support/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 4

struct fixture {
	struct engine_rig rig;                   /* stands first */
	char keys[SHARDS][ENGINE_RIG_KEY_BYTES]; /* one a shard */
};

static struct fixture *open_fixture(void **state, uint16_t workers, uint16_t loops)
{
	struct fixture *f = memory_zeroed(sizeof(*f));
	*state = f;
	engine_rig_init(&f->rig, SHARDS);
	engine_rig_start(&f->rig, workers, loops);
	for (uint16_t i = 0; i < SHARDS; i++)
		engine_rig_key(&f->rig, i, 0, f->keys[i]);
	return f;
}

static int one_worker(void **state)
{
	open_fixture(state, 1, 1);
	return 0;
}

static int two_workers(void **state)
{
	open_fixture(state, 2, 2);
	return 0;
}

static int two_workers_and_a_loop(void **state)
{
	open_fixture(state, 2, 3);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	engine_rig_fini(&f->rig);
	memory_free(f);
	return 0;
}

static uint32_t queue_of(struct fixture *f, uint16_t shard)
{
	struct shard_stats stats;
	engine_shard_stats(f->rig.engine, shard, &stats);
	return stats.queue;
}

static size_t deliver(struct fixture *f, uint16_t port)
{
	return engine_deliver(f->rig.engine, port);
}

static void assert_answered(const struct engine_ticket *ticket, const char *text)
{
	assert_true(ticket->done);
	assert_string_equal(ticket->reply, text);
}

/* --- the way there and back ------------------------------------------------------------------- */

static void with_one_worker_a_command_is_done_when_it_was_sent(void **state)
{
	struct fixture *f = *state;
	assert_answered(rig_send(&f->rig, 0, "MSET", f->keys[0], "a", f->keys[3], "b"), "+OK\r\n");
	assert_answered(rig_send(&f->rig, 0, "GET", f->keys[3]), "$1\r\nb\r\n");
	assert_answered(rig_send(&f->rig, 0, "DBSIZE"), ":2\r\n");
	assert_answered(rig_send(&f->rig, 0, "FLUSHALL"), "+OK\r\n");
	assert_answered(rig_send(&f->rig, 0, "DBSIZE"), ":0\r\n");
	assert_int_equal(f->rig.wakes[0], 0);
}

static void a_command_for_an_own_shard_is_done_when_it_was_sent(void **state)
{
	struct fixture *f = *state;
	assert_answered(rig_send(&f->rig, 1, "SET", f->keys[1], "x"), "+OK\r\n");
	assert_int_equal(f->rig.wakes[0] + f->rig.wakes[1], 0);
}

static void a_command_for_another_worker_travels_there_and_home(void **state)
{
	struct fixture *f = *state;
	struct engine_ticket *ticket = rig_send(&f->rig, 2, "SET", f->keys[1], "x");
	assert_false(ticket->done);
	assert_int_equal(f->rig.wakes[1], 1);
	assert_int_equal(deliver(f, 0), 0);
	assert_int_equal(deliver(f, 1), 1);
	assert_false(ticket->done); /* only its home hands it out */
	assert_int_equal(f->rig.wakes[2], 1);
	assert_int_equal(deliver(f, 2), 1);
	assert_answered(ticket, "+OK\r\n");
}

static void a_worker_is_woken_once_for_many(void **state)
{
	struct fixture *f = *state;
	struct engine_ticket *last = NULL;
	for (int i = 0; i < 10; i++)
		last = rig_send(&f->rig, 2, "APPEND", f->keys[1], "x");
	assert_int_equal(f->rig.wakes[1], 1);
	assert_int_equal(deliver(f, 1), 10);
	assert_int_equal(f->rig.wakes[2], 1);
	assert_int_equal(deliver(f, 2), 10);
	assert_answered(last, ":10\r\n");
}

static void a_command_for_several_shards_visits_their_workers_in_ascending_order(void **state)
{
	struct fixture *f = *state;
	struct engine_ticket *ticket =
		rig_send(&f->rig, 2, "MSET", f->keys[3], "d", f->keys[2], "c", f->keys[1], "b");
	assert_null(f->rig.engine->shards[1].held_by);
	deliver(f, 1);
	assert_non_null(f->rig.engine->shards[1].held_by);
	deliver(f, 0);
	assert_non_null(f->rig.engine->shards[2].held_by);
	assert_null(f->rig.engine->shards[3].held_by);
	deliver(f, 1); /* has all, runs, gives 3 back */
	assert_null(f->rig.engine->shards[3].held_by);
	assert_non_null(f->rig.engine->shards[1].held_by);
	deliver(f, 0);
	assert_null(f->rig.engine->shards[2].held_by);
	deliver(f, 1);
	assert_null(f->rig.engine->shards[1].held_by);
	deliver(f, 2);
	assert_answered(ticket, "+OK\r\n");
	assert_string_equal(rig_run(&f->rig, 2, "GET", f->keys[2]), "$1\r\nc\r\n");
}

static void a_key_named_twice_is_held_once(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(
		rig_run(&f->rig, 0, "MSET", f->keys[1], "a", f->keys[1], "b", f->keys[0], "c"),
		"+OK\r\n");
	assert_string_equal(rig_run(&f->rig, 0, "GET", f->keys[1]), "$1\r\nb\r\n");
	assert_string_equal(
		rig_run(&f->rig, 1, "DEL", f->keys[0], f->keys[1], f->keys[0]), ":2\r\n");
}

/* --- order and waiting ------------------------------------------------------------------------ */

static void commands_on_one_key_run_in_the_order_they_were_sent(void **state)
{
	struct fixture *f = *state;
	char digit[2] = "0", expected[64] = "$40\r\n";
	for (int i = 0; i < 40; i++) {
		digit[0] = (char)('0' + i % 10);
		rig_send(&f->rig, 2, "APPEND", f->keys[0], digit);
		strcat(expected, digit);
	}
	strcat(expected, "\r\n");
	struct engine_ticket *read = rig_send(&f->rig, 2, "GET", f->keys[0]);
	engine_rig_deliver(&f->rig);
	assert_answered(read, expected);
}

/* A command for shards 0 and 1 that holds 0 and is on its way to 1. */
static struct engine_ticket *hold_shard_0(struct fixture *f, const char *value)
{
	struct engine_ticket *ticket =
		rig_send(&f->rig, 0, "MSET", f->keys[0], value, f->keys[1], value);
	assert_false(ticket->done);
	assert_non_null(f->rig.engine->shards[0].held_by);
	return ticket;
}

static void a_held_shard_parks_what_comes_after_and_they_go_on_afterwards(void **state)
{
	struct fixture *f = *state;
	struct engine_ticket *both = hold_shard_0(f, "new");
	struct engine_ticket *parked[3];
	parked[0] = rig_send(&f->rig, 0, "GET", f->keys[0]);
	parked[1] = rig_send(&f->rig, 0, "SET", f->keys[0], "newer");
	parked[2] = rig_send(&f->rig, 1, "GET", f->keys[0]);
	deliver(f, 0);
	assert_int_equal(queue_of(f, 0), 3);
	assert_answered(
		rig_send(&f->rig, 0, "SET", f->keys[2], "x"), "+OK\r\n"); /* the worker goes on */
	deliver(f, 1);
	deliver(f, 0);
	assert_answered(both, "+OK\r\n");
	assert_answered(parked[0], "$3\r\nnew\r\n");
	assert_answered(parked[1], "+OK\r\n");
	assert_int_equal(queue_of(f, 0), 0);
	deliver(f, 1);
	assert_answered(parked[2], "$5\r\nnewer\r\n");
	assert_true(both->order < parked[0]->order || parked[0]->order < parked[1]->order);
}

/* The shard is free and has not been looked at yet: whoever comes in that moment queues up. */
static void nobody_overtakes_those_who_wait_for_a_shard_given_back(void **state)
{
	struct fixture *f = *state;
	hold_shard_0(f, "x");
	rig_send(&f->rig, 0, "APPEND", f->keys[0], "1");
	deliver(f, 1); /* gives back 1; 0 is given back by the next delivery */
	rig_send(&f->rig, 1, "APPEND", f->keys[0], "2");
	engine_rig_deliver(&f->rig);
	assert_string_equal(rig_run(&f->rig, 0, "GET", f->keys[0]), "$3\r\nx12\r\n");
}

static void commands_for_several_shards_wait_for_each_other_and_all_get_through(void **state)
{
	struct fixture *f = *state;
	struct engine_ticket *tickets[6];
	for (int i = 0; i < 6; i++) {
		const char *value[] = { "a", "b", "c", "d", "e", "f" };
		if (i % 2)
			tickets[i] = rig_send(
				&f->rig, 1, "MSET", f->keys[0], value[i], f->keys[1], value[i]);
		else
			tickets[i] = rig_send(
				&f->rig, 0, "MSET", f->keys[1], value[i], f->keys[0], value[i]);
	}
	engine_rig_deliver(&f->rig);
	for (int i = 0; i < 6; i++)
		assert_answered(tickets[i], "+OK\r\n");
	char first[32];
	snprintf(first, sizeof(first), "%s", rig_run(&f->rig, 0, "GET", f->keys[0]));
	assert_string_equal(rig_run(&f->rig, 0, "GET", f->keys[1]), first);
}

static void a_checkpoints_question_waits_its_turn_like_any_other(void **state)
{
	struct fixture *f = *state;
	struct engine_ticket *both = hold_shard_0(f, "x");
	checkpoint_request(f->rig.engine->checkpoint);
	checkpoint_step(f->rig.engine->checkpoint);
	deliver(f, 0);
	assert_int_equal(queue_of(f, 0), 1); /* the freeze */
	engine_rig_deliver(&f->rig);
	assert_answered(both, "+OK\r\n");
	assert_int_equal(queue_of(f, 0), 0);
	engine_rig_checkpoint(&f->rig);
	assert_string_equal(rig_run(&f->rig, 0, "GET", f->keys[0]), "$1\r\nx\r\n");
}

/* --- limits ----------------------------------------------------------------------------------- */

static void a_long_queue_answers_overloaded(void **state)
{
	struct fixture *f = *state;
	struct engine_ticket *parked[5];
	f->rig.config.queue_requests_max = 3;
	struct engine_ticket *both = hold_shard_0(f, "x");
	for (int i = 0; i < 5; i++)
		parked[i] = rig_send(&f->rig, 0, "GET", f->keys[0]);
	assert_answered(parked[3],
		"-"
		"OVERLOADED too many requests are waiting; try again later"
		"\r\n");
	assert_true(parked[3]->failed && parked[4]->done);
	assert_int_equal(queue_of(f, 0), 3);
	engine_rig_deliver(&f->rig);
	assert_answered(both, "+OK\r\n");
	for (int i = 0; i < 3; i++)
		assert_answered(parked[i], "$1\r\nx\r\n");
	assert_string_equal(rig_run(&f->rig, 0, "GET", f->keys[0]), "$1\r\nx\r\n");
}

static void whoever_holds_a_shard_already_is_not_turned_away(void **state)
{
	struct fixture *f = *state;
	f->rig.config.queue_requests_max = 1;
	/* Holds 1 and is on its way to 2. */
	struct engine_ticket *first =
		rig_send(&f->rig, 1, "MSET", f->keys[1], "a", f->keys[2], "a");
	struct engine_ticket *parked = rig_send(&f->rig, 1, "GET", f->keys[1]);
	assert_int_equal(queue_of(f, 1), 1);
	struct engine_ticket *second = hold_shard_0(f, "b");
	deliver(f, 1); /* the second finds the queue full, and waits in it */
	assert_int_equal(queue_of(f, 1), 2);
	engine_rig_deliver(&f->rig);
	assert_answered(first, "+OK\r\n");
	assert_answered(parked, "$1\r\na\r\n");
	assert_answered(second, "+OK\r\n");
	assert_string_equal(rig_run(&f->rig, 0, "GET", f->keys[1]), "$1\r\nb\r\n");
}

static void a_full_queue_does_not_keep_the_checkpoint_out(void **state)
{
	struct fixture *f = *state;
	f->rig.config.queue_requests_max = 1;
	hold_shard_0(f, "x");
	rig_send(&f->rig, 0, "GET", f->keys[0]);
	checkpoint_request(f->rig.engine->checkpoint);
	checkpoint_step(f->rig.engine->checkpoint);
	deliver(f, 0);
	assert_int_equal(queue_of(f, 0), 2);
	engine_rig_checkpoint(&f->rig);
	struct checkpoint_stats stats;
	checkpoint_stats(f->rig.engine->checkpoint, &stats);
	assert_true(stats.completed >= 1);
}

static void an_overloaded_walk_answers_once_with_the_error_alone(void **state)
{
	struct fixture *f = *state;
	f->rig.config.queue_requests_max = 1;
	struct engine_ticket *walk = rig_send(&f->rig, 1, "KEYS", "*");
	/* Worker 1 is asked to hold shard 1 before the walk gets there. */
	struct engine_ticket *both = rig_send(&f->rig, 1, "MSET", f->keys[1], "x", f->keys[2], "x");
	struct engine_ticket *parked = rig_send(&f->rig, 1, "GET", f->keys[1]);
	deliver(f, 0); /* the walk visits 0; the pair takes 2 and runs */
	deliver(f, 1);
	engine_rig_deliver(&f->rig);
	assert_answered(both, "+OK\r\n");
	assert_true(parked->done);
	assert_true(walk->done);
	if (walk->failed)
		assert_int_equal(strncmp(walk->reply, "-OVERLOADED ", 12), 0);
}

static uint32_t nested, nested_most;

static void send_another(struct engine_ticket *ticket)
{
	struct fixture *f = (struct fixture *)ticket->rig;
	if (ticket->order > 1000)
		return;
	nested++;
	if (nested > nested_most)
		nested_most = nested;
	rig_send(&f->rig, 0, "GET", f->keys[0]);
	nested--;
}

/* A connection that was not read sends its next command when one comes home. With many of them
 * waiting for one shard, that must not go one stack frame deeper for each. */
static void commands_sent_from_home_coming_ones_do_not_nest(void **state)
{
	struct fixture *f = *state;
	nested = nested_most = 0;
	hold_shard_0(f, "x");
	for (int i = 0; i < 500; i++)
		rig_send(&f->rig, 0, "GET", f->keys[0]);
	f->rig.on_done = send_another;
	engine_rig_deliver(&f->rig);
	assert_in_range(nested_most, 1, 8);
}

static void a_long_queue_is_worked_off(void **state)
{
	struct fixture *f = *state;
	struct engine_ticket *last = NULL;
	f->rig.config.queue_requests_max = 100000;
	hold_shard_0(f, "");
	for (int i = 0; i < 5000; i++)
		last = rig_send(&f->rig, 0, "APPEND", f->keys[0], "x");
	assert_int_equal(queue_of(f, 0), 5000);
	engine_rig_deliver(&f->rig);
	assert_answered(last, ":5000\r\n");
	assert_int_equal(queue_of(f, 0), 0);
}

/* --- walks ------------------------------------------------------------------------------------ */

static void fill(struct fixture *f, uint32_t keys_each)
{
	char key[ENGINE_RIG_KEY_BYTES];
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		for (uint32_t i = 0; i < keys_each; i++)
			rig_run(&f->rig, shard % f->rig.port_count, "SET",
				engine_rig_key(&f->rig, shard, i, key), "v");
	}
}

static void walks_visit_every_shard(void **state)
{
	struct fixture *f = *state;
	uint64_t turns[SHARDS];
	struct shard_stats stats;
	fill(f, 5);
	for (uint16_t i = 0; i < SHARDS; i++) {
		engine_shard_stats(f->rig.engine, i, &stats);
		turns[i] = stats.turns;
	}
	assert_string_equal(rig_run(&f->rig, 0, "DBSIZE"), ":20\r\n");
	assert_int_equal(strncmp(rig_run(&f->rig, 2, "KEYS", "*"), "*20\r\n", 5), 0);
	for (uint16_t i = 0; i < SHARDS; i++) {
		engine_shard_stats(f->rig.engine, i, &stats);
		assert_int_equal(stats.turns - turns[i], 2);
	}
}

static void a_scan_in_small_steps_finds_every_key_once(void **state)
{
	struct fixture *f = *state;
	char cursor[32] = "0";
	int found = 0, calls = 0;
	fill(f, 10);
	do {
		char *at,
			*reply =
				memory_copy_text(rig_run(&f->rig, 1, "SCAN", cursor, "COUNT", "3"));
		assert_int_equal(strncmp(reply, "*2\r\n$", 5), 0);
		at = strchr(reply + 5, '\n') + 1;
		snprintf(cursor, sizeof(cursor), "%.*s", (int)strcspn(at, "\r"), at);
		at = strchr(at, '*');
		found += atoi(at + 1);
		memory_free(reply);
		assert_true(++calls < 1000);
	} while (strcmp(cursor, "0") != 0);
	assert_int_equal(found, 40);
}

static void emptying_everything_is_one_change(void **state)
{
	struct fixture *f = *state;
	fill(f, 5);
	uint64_t before = gate_appended(f->rig.engine->gate);
	rig_run(&f->rig, 2, "FLUSHALL");
	assert_int_equal(gate_appended(f->rig.engine->gate), before + 1);
	assert_string_equal(rig_run(&f->rig, 0, "DBSIZE"), ":0\r\n");
	assert_string_equal(rig_run(&f->rig, 0, "RANDOMKEY"), "$-1\r\n");
}

/* Writes a key of each shard. */
static void write_everywhere(struct turn *turn)
{
	struct value value = { .type = VALUE_STRING, .data = slice_text("walked") };
	turn_put(turn, turn->shard, turn_argument(turn, 1), &value);
	if (turn->shard + 1 < turn->shard_total)
		turn_continue(turn, turn->shard + 1);
	else
		writer_ok(&turn->writer);
}

static const struct command write_everywhere_command = {
	.name = "write everywhere",
	.arity = 2,
	.route = ROUTE_WALK,
	.flags = COMMAND_WRITE,
	.run = write_everywhere,
};

static void a_walk_that_writes_waits_between_its_turns_while_the_overlays_are_full(void **state)
{
	struct fixture *f = *state;
	int64_t most = f->rig.config.overlay_bytes_max;
	f->rig.config.overlay_bytes_max = 0;
	struct engine_ticket *walk = engine_rig_send_command(
		&f->rig, 0, &write_everywhere_command, "write everywhere", "k", NULL);
	for (int tries = 0; tries < 3; tries++) {
		engine_rig_deliver(&f->rig);
		engine_expire(f->rig.engine, 0);
		assert_false(walk->done);
		assert_int_equal(gate_appended(f->rig.engine->gate), 1);
	}
	/* What it does not hold is free. */
	assert_answered(rig_send(&f->rig, 0, "EXISTS", "k"), ":0\r\n");
	f->rig.config.overlay_bytes_max = most;
	engine_expire(f->rig.engine, 0);
	engine_rig_deliver(&f->rig);
	assert_answered(walk, "+OK\r\n");
	assert_int_equal(gate_appended(f->rig.engine->gate), SHARDS);
}

/* --- random interleavings --------------------------------------------------------------------- */

#define PORTS    4
#define WORKERS  3
#define COMMANDS 60

/* Writers give a pair of keys one value at once, so a reader of both must find them equal. */
static void send_random(struct fixture *f, struct random *random, struct engine_ticket **read)
{
	uint16_t port = (uint16_t)random_below(random, PORTS);
	uint64_t a = random_below(random, SHARDS), b = a ^ 1; /* pairs 0-1 and 2-3 */
	char value[24];
	snprintf(value, sizeof(value), "%llu", (unsigned long long)random_below(random, 1000000));
	*read = NULL;
	switch (random_below(random, 5)) {
	case 0:
	case 1:
		rig_send(&f->rig, port, "MSET", f->keys[a], value, f->keys[b], value);
		break;
	case 2:
		rig_send(&f->rig, port, "DEL", f->keys[a], f->keys[b]);
		break;
	case 3:
		if (random_below(random, 4) == 0)
			rig_send(&f->rig, port, "FLUSHALL");
		else
			rig_send(&f->rig, port, "MSET", f->keys[0], value, f->keys[3], value,
				f->keys[1], value, f->keys[2], value);
		break;
	default:
		*read = rig_send(&f->rig, port, "MGET", f->keys[a], f->keys[b]);
	}
}

static void assert_halves_equal(const struct engine_ticket *read)
{
	assert_true(read->done);
	assert_int_equal(strncmp(read->reply, "*2\r\n", 4), 0);
	size_t half = (read->reply_size - 4) / 2;
	assert_int_equal(read->reply_size, 4 + 2 * half);
	assert_memory_equal(read->reply + 4, read->reply + 4 + half, half);
}

static void run_random(uint64_t seed)
{
	void *state;
	struct fixture *f = open_fixture(&state, WORKERS, PORTS);
	struct engine_ticket *reads[COMMANDS];
	struct random random;
	random_seed(&random, seed);
	for (int sent = 0; sent < COMMANDS;) {
		if (random_below(&random, 3) == 0)
			send_random(f, &random, &reads[sent++]);
		else
			deliver(f, (uint16_t)random_below(&random, PORTS));
	}
	/* Whatever the order, all come home. */
	for (int round = 0; f->rig.outstanding && round < 10000; round++)
		deliver(f, (uint16_t)random_below(&random, PORTS));
	if (f->rig.outstanding)
		fail_msg("seed %llu: %u commands never came home", (unsigned long long)seed,
			(unsigned)f->rig.outstanding);
	for (int i = 0; i < COMMANDS; i++) {
		if (reads[i])
			assert_halves_equal(reads[i]);
	}
	for (uint16_t i = 0; i < SHARDS; i++) {
		assert_null(f->rig.engine->shards[i].held_by);
		assert_int_equal(queue_of(f, i), 0);
	}
	tear_down(&state);
}

static void no_order_of_deliveries_makes_a_deadlock_or_shows_half_a_change(void **state)
{
	for (uint64_t seed = 1; seed <= 300; seed++)
		run_random(seed);
}

/* One reader asks for one key at a time, each after the answer to the one before. Once it has seen
 * a writer's value in one key it must not see an older one in the other. */
static void reads_one_after_the_other_never_go_back_in_time(void **state)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		void *inner;
		struct fixture *f = open_fixture(&inner, WORKERS, PORTS);
		struct random random;
		int written = 0, seen = 0;
		struct engine_ticket *read = NULL, *write = NULL;
		random_seed(&random, seed);
		for (int step = 0; step < 600; step++) {
			char value[16];
			if (write == NULL || write->done) {
				snprintf(value, sizeof(value), "%06d", ++written);
				write = rig_send(&f->rig, 0, "MSET", f->keys[0], value, f->keys[1],
					value, f->keys[2], value);
			}
			if (read && read->done && read->reply[1] == '6') {
				int value_seen = atoi(read->reply + 4);
				assert_true(value_seen >= seen);
				seen = value_seen;
			}
			if (read == NULL || read->done)
				read = rig_send(
					&f->rig, 3, "GET", f->keys[random_below(&random, 3)]);
			deliver(f, (uint16_t)random_below(&random, PORTS));
		}
		assert_true(seen > 0);
		tear_down(&inner);
	}
}

/* --- turns that pause ------------------------------------------------------------------------- */

/* Adds "x" to its key three times, a turn each, and answers with what it has read in between. */
static void thrice(struct turn *turn)
{
	uint32_t *runs = turn_state(turn, sizeof(*runs));
	struct slice key = turn_argument(turn, 1);
	struct value value;
	bool found = turn_get(turn, turn->shard, key, &value);
	writer_bulk(&turn->writer, found ? value.data : slice_text(""));
	char *longer = arena_alloc(turn_arena(turn), value.data.size + 1);
	if (found)
		memcpy(longer, value.data.data, value.data.size);
	longer[value.data.size] = 'x';
	struct value next = { .type = VALUE_STRING, .data = slice_of(longer, value.data.size + 1) };
	turn_put(turn, turn->shard, key, &next);
	if (++*runs < 3)
		turn_continue_here(turn);
}

static const struct command thrice_command = {
	.name = "thrice",
	.arity = 2,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE,
	.key_first = 1,
	.key_last = 1,
	.key_step = 1,
	.run = thrice,
};

static void look(struct turn *turn)
{
	struct value value;
	bool found = turn_get(turn, turn->shard, turn_argument(turn, 1), &value);
	writer_bulk(&turn->writer, found ? value.data : slice_text("none"));
}

static const struct command look_command = {
	.name = "look",
	.arity = 2,
	.route = ROUTE_KEYS,
	.flags = COMMAND_READONLY,
	.key_first = 1,
	.key_last = 1,
	.key_step = 1,
	.run = look,
};

static void a_turn_that_pauses_keeps_its_shards_and_commits_at_its_end(void **state)
{
	struct fixture *f = *state;
	struct engine_ticket *slow =
		engine_rig_send_command(&f->rig, 0, &thrice_command, "thrice", "k", NULL);
	struct engine_ticket *other =
		engine_rig_send_command(&f->rig, 0, &look_command, "look", "k", NULL);
	assert_false(slow->done);
	assert_false(other->done);
	deliver(f, 0);
	assert_false(slow->done);
	assert_false(other->done);
	while (!slow->done)
		assert_true(deliver(f, 0) > 0);
	assert_answered(slow, "$0\r\n\r\n$1\r\nx\r\n$2\r\nxx\r\n");
	assert_answered(other, "$3\r\nxxx\r\n");
	assert_int_equal(slow->gate_lsn, 1); /* one record */
}

static void other_shards_are_served_while_a_turn_pauses(void **state)
{
	struct fixture *f = *state;
	struct engine_ticket *slow =
		engine_rig_send_command(&f->rig, 0, &thrice_command, "thrice", f->keys[0], NULL);
	assert_false(slow->done);
	assert_answered(rig_send(&f->rig, 0, "SET", f->keys[1], "b"), "+OK\r\n");
	while (!slow->done)
		assert_true(deliver(f, 0) > 0);
}

static void what_reads_for_a_closed_connection_is_not_run(void **state)
{
	struct fixture *f = *state;
	uint64_t before = f->rig.client;
	assert_answered(rig_send(&f->rig, 0, "SET", "k", "v"), "+OK\r\n");
	struct engine_ticket *slow =
		engine_rig_send_command(&f->rig, 0, &thrice_command, "thrice", "k", NULL);
	f->rig.client = 2;
	struct engine_ticket *read = rig_send(&f->rig, 0, "GET", "k"),
			     *write = rig_send(&f->rig, 0, "SET", "k", "w");
	f->rig.client = before;
	struct engine_ticket *other = rig_send(&f->rig, 0, "GET", "k");
	engine_rig_asker(2)->closed = true;
	while (!other->done)
		assert_true(deliver(f, 0) > 0);
	engine_rig_asker(2)->closed = false;
	assert_true(slow->done && read->done && write->done);
	assert_string_equal(read->reply, "");
	assert_answered(write, "+OK\r\n");
	assert_answered(other, "$1\r\nw\r\n");
}

#define GATHERED_BYTES ((size_t)2 << 20)

/* Takes memory and writes in each of four turns. */
static void gather(struct turn *turn)
{
	uint32_t *runs = turn_state(turn, sizeof(*runs));
	struct value value = { .type = VALUE_STRING, .data = slice_text("gathered") };
	memset(arena_alloc(turn_arena(turn), GATHERED_BYTES), 0, GATHERED_BYTES);
	turn_put(turn, turn->shard, turn_argument(turn, 1), &value);
	if (++*runs < 4)
		turn_continue_here(turn);
	else
		writer_ok(&turn->writer);
}

static const struct command gather_command = {
	.name = "gather",
	.arity = 2,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE,
	.key_first = 1,
	.key_last = 1,
	.key_step = 1,
	.run = gather,
};

static void what_pausing_commands_gather_is_bounded(void **state)
{
	struct fixture *f = *state;
	f->rig.config.input_bytes_max = 4 * (int64_t)GATHERED_BYTES;
	struct engine_ticket *requests[2];
	for (int i = 0; i < 2; i++)
		requests[i] = engine_rig_send_command(
			&f->rig, 0, &gather_command, "gather", f->keys[i], NULL);
	assert_true(f->rig.engine->gathered_bytes > 2 * GATHERED_BYTES);
	while (!requests[0]->done || !requests[1]->done)
		assert_true(deliver(f, 0) > 0);
	/* Each by itself has the room, both have not. */
	int refused = strcmp(requests[0]->reply, "+OK\r\n") == 0;
	assert_answered(requests[refused], "-" ERROR_GATHERED_FULL "\r\n");
	assert_answered(requests[!refused], "+OK\r\n");
	assert_int_equal(f->rig.engine->gathered_bytes, 0);
	assert_answered(rig_send(&f->rig, 0, "GET", f->keys[refused]), "$-1\r\n");
	struct engine_ticket *alone = engine_rig_send_command(
		&f->rig, 0, &gather_command, "gather", f->keys[refused], NULL);
	while (!alone->done)
		assert_true(deliver(f, 0) > 0);
	assert_answered(alone, "+OK\r\n");
}

#define MANY (LIMIT_TURN_STEPS + LIMIT_TURN_STEPS / 2)

static struct slice nth_key(char text[16], uint32_t number)
{
	return slice_of(text, (size_t)snprintf(text, 16, "many-%u", (unsigned)number));
}

/* Puts so many keys into the shard that it runs on that they are applied in stretches. */
static void put_many(struct turn *turn)
{
	char text[16];
	struct value value = { .type = VALUE_STRING, .data = turn_argument(turn, 2) };
	for (uint32_t i = 0; i < MANY; i++)
		turn_put(turn, turn->shard, nth_key(text, i), &value);
	writer_ok(&turn->writer);
}

static const struct command put_many_command = {
	.name = "put many",
	.arity = 3,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE,
	.key_first = 1,
	.key_last = 1,
	.key_step = 1,
	.run = put_many,
};

static void look_at_many(struct turn *turn)
{
	char text[16];
	uint32_t found = 0;
	struct value value;
	for (uint32_t i = 0; i < MANY; i++)
		found += turn_look(turn, turn->shard, nth_key(text, i), &value);
	writer_integer(&turn->writer, found);
}

static const struct command look_at_many_command = {
	.name = "look at many",
	.arity = 2,
	.route = ROUTE_KEYS,
	.flags = COMMAND_READONLY,
	.key_first = 1,
	.key_last = 1,
	.key_step = 1,
	.run = look_at_many,
};

static void a_large_change_is_applied_in_stretches_and_seen_whole(void **state)
{
	struct fixture *f = *state;
	engine_rig_close(&f->rig);
	f->rig.config.log_segment_bytes = 4 << 20;
	engine_rig_start(&f->rig, 1, 1);
	struct engine_ticket *slow = engine_rig_send_command(
		&f->rig, 0, &put_many_command, "put many", f->keys[0], "v", NULL);
	assert_false(slow->done);
	struct engine_ticket *other = engine_rig_send_command(
		&f->rig, 0, &look_at_many_command, "look at many", f->keys[0], NULL);
	assert_answered(rig_send(&f->rig, 0, "SET", f->keys[1], "b"), "+OK\r\n");
	assert_false(slow->done);
	while (!other->done)
		assert_true(deliver(f, 0) > 0);
	assert_answered(slow, "+OK\r\n");
	char all[16];
	snprintf(all, sizeof(all), ":%d\r\n", MANY);
	assert_answered(other, all);
	assert_int_equal(slow->gate_lsn, 1); /* one record */
}

/* What the consequences of the turns below have left. */
static struct {
	char told[32];
	uint16_t shard;
	bool held;
	bool applied;
} after;

static void note_after(struct turn *turn, void *context)
{
	struct value value;
	strcat(after.told, context);
	after.held = turn->engine->shards[turn->shard].held_by == turn->request;
	after.applied = store_get(turn->stores[turn->shard], turn_argument(turn, 1), turn->arena,
		&value, &(uint64_t){ 0 });
}

/* Two consequences in two turns, and one that is taken back; FAIL as its argument fails it. */
static void follow(struct turn *turn)
{
	uint32_t *runs = turn_state(turn, sizeof(*runs));
	struct value value = { .type = VALUE_STRING, .data = slice_text("v") };
	assert_string_equal(after.told, "");
	turn_put(turn, turn->shard, turn_argument(turn, 1), &value);
	turn_on_commit(turn, note_after, *runs == 0 ? "first " : "second ");
	struct changes_mark mark = changes_save(&turn->changes);
	turn_on_commit(turn, note_after, "forgotten ");
	changes_restore(&turn->changes, &mark);
	if (++*runs < 2)
		turn_continue_here(turn);
	else if (slice_is(turn_argument(turn, 2), "fail"))
		turn_error(turn, "ERR no");
	else
		writer_ok(&turn->writer);
}

static const struct command follow_command = {
	.name = "follow",
	.arity = 3,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE,
	.key_first = 1,
	.key_last = 1,
	.key_step = 1,
	.run = follow,
};

static void what_follows_from_a_commit_happens_behind_it_while_the_shard_is_held(void **state)
{
	struct fixture *f = *state;
	memset(&after, 0, sizeof(after));
	struct engine_ticket *ticket = engine_rig_send_command(
		&f->rig, 0, &follow_command, "follow", f->keys[0], "well", NULL);
	while (!ticket->done)
		assert_true(deliver(f, 0) > 0);
	assert_answered(ticket, "+OK\r\n");
	assert_string_equal(after.told, "first second ");
	assert_true(after.held);
	assert_true(after.applied);
}

static void nothing_follows_from_a_turn_that_fails(void **state)
{
	struct fixture *f = *state;
	memset(&after, 0, sizeof(after));
	struct engine_ticket *ticket = engine_rig_send_command(
		&f->rig, 0, &follow_command, "follow", f->keys[0], "fail", NULL);
	while (!ticket->done)
		assert_true(deliver(f, 0) > 0);
	assert_answered(ticket, "-ERR no\r\n");
	assert_string_equal(after.told, "");
}

static void a_reply_beyond_its_bound_is_an_error_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	f->rig.config.client_output_bytes_max = 100;
	assert_answered(rig_send(&f->rig, 0, "SET", "a", "0123456789"), "+OK\r\n");
	assert_answered(rig_send(&f->rig, 0, "GET", "a"), "$10\r\n0123456789\r\n");
	char value[200];
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	assert_answered(rig_send(&f->rig, 0, "SET", "b", value), "+OK\r\n");
	struct engine_ticket *ticket = rig_send(&f->rig, 0, "SET", "b", "new", "GET");
	assert_true(ticket->failed);
	assert_non_null(strstr(ticket->reply, "client-output-limit"));
	assert_answered(rig_send(&f->rig, 0, "STRLEN", "b"), ":199\r\n");
	assert_true(rig_send(&f->rig, 0, "MGET", "a", "b")->failed);
	assert_true(rig_send(&f->rig, 0, "KEYS", "*")->done);
}

int main(void)
{
#define TEST(set_up, name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_worker, with_one_worker_a_command_is_done_when_it_was_sent),
		TEST(two_workers, a_command_for_an_own_shard_is_done_when_it_was_sent),
		TEST(two_workers_and_a_loop, a_command_for_another_worker_travels_there_and_home),
		TEST(two_workers_and_a_loop, a_worker_is_woken_once_for_many),
		TEST(two_workers_and_a_loop,
			a_command_for_several_shards_visits_their_workers_in_ascending_order),
		TEST(two_workers, a_key_named_twice_is_held_once),
		TEST(two_workers_and_a_loop, commands_on_one_key_run_in_the_order_they_were_sent),
		TEST(two_workers, a_held_shard_parks_what_comes_after_and_they_go_on_afterwards),
		TEST(two_workers, nobody_overtakes_those_who_wait_for_a_shard_given_back),
		TEST(two_workers,
			commands_for_several_shards_wait_for_each_other_and_all_get_through),
		TEST(two_workers, a_checkpoints_question_waits_its_turn_like_any_other),
		TEST(two_workers, a_long_queue_answers_overloaded),
		TEST(two_workers, whoever_holds_a_shard_already_is_not_turned_away),
		TEST(two_workers, a_full_queue_does_not_keep_the_checkpoint_out),
		TEST(two_workers, an_overloaded_walk_answers_once_with_the_error_alone),
		TEST(two_workers, commands_sent_from_home_coming_ones_do_not_nest),
		TEST(two_workers, a_long_queue_is_worked_off),
		TEST(two_workers_and_a_loop, walks_visit_every_shard),
		TEST(two_workers_and_a_loop, a_scan_in_small_steps_finds_every_key_once),
		TEST(two_workers_and_a_loop, emptying_everything_is_one_change),
		TEST(one_worker,
			a_walk_that_writes_waits_between_its_turns_while_the_overlays_are_full),
		TEST(one_worker, a_turn_that_pauses_keeps_its_shards_and_commits_at_its_end),
		TEST(one_worker, other_shards_are_served_while_a_turn_pauses),
		TEST(one_worker, what_reads_for_a_closed_connection_is_not_run),
		TEST(one_worker, what_pausing_commands_gather_is_bounded),
		TEST(one_worker, a_large_change_is_applied_in_stretches_and_seen_whole),
		TEST(one_worker,
			what_follows_from_a_commit_happens_behind_it_while_the_shard_is_held),
		TEST(one_worker, nothing_follows_from_a_turn_that_fails),
		TEST(one_worker, a_reply_beyond_its_bound_is_an_error_and_changes_nothing),
		cmocka_unit_test(no_order_of_deliveries_makes_a_deadlock_or_shows_half_a_change),
		cmocka_unit_test(reads_one_after_the_other_never_go_back_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
