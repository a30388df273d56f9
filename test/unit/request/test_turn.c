/*
 * The turn, as handlers see it and as the engine ends it. Handlers of the tests' own run on an
 * engine with one worker, so that a turn has run when it was sent; each notes what it saw in
 * `seen`. Store keys are plain bytes that stand in no table of the server's.
 */
#include "request/turn.h"

#include "base/hash.h"
#include "base/memory.h"
#include "support/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 4
#define LARGE  (200 * 1024)

/* What the handler that ran last saw. */
static struct {
	bool found;
	struct value value;
	char data[64];
	uint64_t gate_lsn; /* behind its reads */
	uint16_t shard;
} seen;

static const struct slice key = { .data = "\x7fkey", .size = 4 };

static void note(struct turn *turn, bool found, const struct value *value)
{
	seen.found = found;
	seen.value = *value;
	seen.gate_lsn = turn->gate_lsn;
	seen.shard = turn->shard;
	snprintf(seen.data, sizeof(seen.data), "%.*s", (int)value->data.size,
		value->data.data ? value->data.data : "");
}

static void put_text(struct turn *turn, const char *text, int64_t expire_ms)
{
	struct value value = {
		.type = VALUE_STRING, .expire_ms = expire_ms, .data = slice_text(text)
	};
	turn_put(turn, turn->shard, key, &value);
}

static void get(struct turn *turn)
{
	struct value value;
	note(turn, turn_get(turn, turn->shard, key, &value), &value);
	writer_ok(&turn->writer);
}

static void put_one(struct turn *turn)
{
	put_text(turn, "one", 0);
	writer_ok(&turn->writer);
}

static void put_one_for_a_second(struct turn *turn)
{
	put_text(turn, "one", turn->now_ms + 1000);
	writer_ok(&turn->writer);
}

static void put_two_then_get(struct turn *turn)
{
	put_text(turn, "two", 0);
	get(turn);
}

static void delete_then_get(struct turn *turn)
{
	turn_delete(turn, turn->shard, key);
	get(turn);
}

static void put_expired_then_get(struct turn *turn)
{
	put_text(turn, "gone", turn->now_ms);
	get(turn);
}

static void put_twice_delete_and_put(struct turn *turn)
{
	put_text(turn, "a", 0);
	put_text(turn, "b", 0);
	turn_delete(turn, turn->shard, key);
	put_text(turn, "c", 0);
	writer_ok(&turn->writer);
}

static void put_then_fail(struct turn *turn)
{
	put_text(turn, "never", 0);
	writer_array(&turn->writer, 2);
	writer_ok(&turn->writer);
	turn_error(turn, "ERR %s", "no");
}

static char large[LARGE];

static void put_large(struct turn *turn)
{
	struct value value = { .type = VALUE_STRING, .data = slice_of(large, sizeof(large)) };
	turn_put(turn, turn->shard, key, &value);
	writer_ok(&turn->writer);
}

static void look(struct turn *turn)
{
	struct value value;
	note(turn, turn_look(turn, turn->shard, key, &value), &value);
	writer_ok(&turn->writer);
}

static void get_large(struct turn *turn)
{
	struct value value;
	seen.found = turn_get(turn, turn->shard, key, &value);
	assert_int_equal(value.data.size, sizeof(large));
	assert_memory_equal(value.data.data, large, sizeof(large));
	writer_ok(&turn->writer);
}

static void wait_for_shard(struct turn *turn)
{
	turn_wait_for_shard(turn, turn->shard);
	writer_ok(&turn->writer);
}

static void write_on_every_shard(struct turn *turn)
{
	struct value value = { .type = VALUE_STRING, .data = slice_text("all") };
	for (uint16_t i = 0; i < turn->shard_total; i++)
		turn_put(turn, i, key, &value);
	writer_ok(&turn->writer);
}

static void walk_all(struct turn *turn)
{
	struct value value;
	note(turn, turn_get(turn, turn->shard, key, &value), &value);
	writer_integer(&turn->writer, turn->shard);
	if (turn->shard + 1 < turn->shard_total)
		turn_continue(turn, turn->shard + 1);
}

static void compare_shard_of(struct turn *turn)
{
	static const char *const ids[] = { "a", "user:1", "{user}:2", "{user}:3", "", "{}x" };
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		assert_int_equal(turn_shard_of(turn, slice_text(ids[i])),
			hash_shard_of(hash_slot(slice_text(ids[i])), SHARDS));
	assert_int_equal(turn_shard_of(turn, slice_text("{user}:2")),
		turn_shard_of(turn, slice_text("user")));
	writer_ok(&turn->writer);
}

/* --- the rig ---------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	struct engine_rig *rig = memory_zeroed(sizeof(*rig));
	engine_rig_init(rig, SHARDS);
	rig->config.value_bytes_max = 2 * LARGE;
	*state = rig;
	return engine_rig_open(rig, 1, 1);
}

static int tear_down(void **state)
{
	struct engine_rig *rig = *state;
	engine_rig_fini(rig);
	memory_free(rig);
	return 0;
}

static struct engine_ticket *run_routed(
	struct engine_rig *rig, command_turn_fn handler, enum command_route route)
{
	struct command command = { .name = "test",
		.arity = 2,
		.route = (uint8_t)route,
		.key_first = 1,
		.key_last = 1,
		.key_step = 1,
		.run = handler };
	struct engine_ticket *ticket =
		engine_rig_send_command(rig, 0, &command, "test", "id", NULL);
	engine_rig_deliver(rig);
	assert_true(ticket->done);
	return ticket;
}

static struct engine_ticket *run(struct engine_rig *rig, command_turn_fn handler)
{
	return run_routed(rig, handler, ROUTE_KEYS);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void reads_its_own_changes(void **state)
{
	struct engine_rig *rig = *state;
	run(rig, put_one);
	run(rig, put_two_then_get);
	assert_true(seen.found);
	assert_string_equal(seen.data, "two");
	run(rig, get);
	assert_string_equal(seen.data, "two");
	run(rig, delete_then_get);
	assert_false(seen.found);
	run(rig, get);
	assert_false(seen.found);
}

static void the_last_change_of_a_key_counts(void **state)
{
	struct engine_rig *rig = *state;
	run(rig, put_twice_delete_and_put);
	run(rig, get);
	assert_string_equal(seen.data, "c");
}

static void an_expired_value_is_absent(void **state)
{
	struct engine_rig *rig = *state;
	run(rig, put_one_for_a_second);
	rig->now_ms += 999;
	run(rig, get);
	assert_true(seen.found);
	assert_int_equal(seen.value.expire_ms, rig->now_ms + 1);
	rig->now_ms += 1;
	run(rig, get);
	assert_false(seen.found);
	assert_int_equal(seen.value.type, VALUE_NONE);
	assert_null(seen.value.data.data);
	assert_int_equal(seen.value.data.size, 0);
	run(rig, look);
	assert_false(seen.found);
	engine_rig_settle(rig);
	engine_rig_checkpoint(rig);
	run(rig, get);
	assert_false(seen.found);
}

static void a_change_that_has_expired_already_is_absent_in_its_own_turn(void **state)
{
	struct engine_rig *rig = *state;
	run(rig, put_one);
	run(rig, put_expired_then_get);
	assert_false(seen.found);
	run(rig, get);
	assert_false(seen.found);
}

static void looks_at_a_large_value_without_its_data(void **state)
{
	struct engine_rig *rig = *state;
	memset(large, 'x', sizeof(large));
	run(rig, put_large);
	engine_rig_settle(rig);
	run(rig, get_large);
	engine_rig_checkpoint(rig);
	run(rig, look);
	assert_true(seen.found);
	assert_int_equal(seen.value.type, VALUE_STRING);
	assert_int_equal(seen.value.data.size, sizeof(large));
	seen.found = false;
	run(rig, get_large);
	assert_true(seen.found);
}

/* --- what the reply waits for ----------------------------------------------------------------- */

static void waits_for_what_it_read(void **state)
{
	struct engine_rig *rig = *state;
	struct engine_ticket *put = run(rig, put_one);
	struct engine_ticket *read = run(rig, get);
	assert_int_equal(put->gate_lsn, 1);
	assert_int_equal(read->gate_lsn, 1);
	assert_int_equal(run(rig, look)->gate_lsn, 1);
	assert_false(engine_rig_is_released(read));
	gate_step(rig->engine->gate);
	assert_true(engine_rig_is_released(put));
	assert_true(engine_rig_is_released(read));
}

static void waits_for_the_deletion_that_it_found(void **state)
{
	struct engine_rig *rig = *state;
	run(rig, put_one);
	run(rig, delete_then_get);
	struct engine_ticket *read = run(rig, get);
	assert_false(seen.found);
	assert_int_equal(read->gate_lsn, 2);
	gate_step(rig->engine->gate);
	assert_true(engine_rig_is_released(read));
}

static void waits_for_nothing_when_it_found_nothing_or_settled_data(void **state)
{
	struct engine_rig *rig = *state;
	assert_int_equal(run(rig, get)->gate_lsn, 0);
	run(rig, put_one);
	engine_rig_settle(rig);
	engine_rig_checkpoint(rig);
	assert_int_equal(run(rig, get)->gate_lsn, 0);
	assert_string_equal(seen.data, "one");
}

static void what_it_wrote_itself_is_no_reason_to_wait_while_it_runs(void **state)
{
	struct engine_rig *rig = *state;
	struct engine_ticket *ticket = run(rig, put_two_then_get);
	assert_int_equal(seen.gate_lsn, 0);
	assert_int_equal(ticket->gate_lsn, 1);
}

static void a_listing_waits_for_all_that_its_shard_has_written(void **state)
{
	struct engine_rig *rig = *state;
	assert_int_equal(run(rig, wait_for_shard)->gate_lsn, 0);
	run(rig, put_one);
	run(rig, delete_then_get);
	assert_int_equal(run(rig, wait_for_shard)->gate_lsn, 2);
}

static void a_walk_waits_for_the_most_that_any_of_its_turns_read(void **state)
{
	struct engine_rig *rig = *state;
	run_routed(rig, write_on_every_shard, ROUTE_ALL);
	run(rig, put_one);
	struct engine_ticket *ticket = run_routed(rig, walk_all, ROUTE_WALK);
	assert_int_equal(ticket->gate_lsn, 2);
}

/* --- how it ends ------------------------------------------------------------------------------ */

static void an_error_drops_the_changes_and_the_reply_so_far(void **state)
{
	struct engine_rig *rig = *state;
	run(rig, put_one);
	struct engine_ticket *ticket = run(rig, put_then_fail);
	assert_true(ticket->failed);
	assert_string_equal(ticket->reply, "-ERR no\r\n");
	assert_int_equal(gate_appended(rig->engine->gate), 1);
	run(rig, get);
	assert_string_equal(seen.data, "one");
}

static void one_turn_is_one_record(void **state)
{
	struct engine_rig *rig = *state;
	run_routed(rig, write_on_every_shard, ROUTE_ALL);
	assert_int_equal(gate_appended(rig->engine->gate), 1);
	run(rig, put_twice_delete_and_put);
	assert_int_equal(gate_appended(rig->engine->gate), 2);
}

static void a_turn_without_changes_writes_nothing(void **state)
{
	struct engine_rig *rig = *state;
	run(rig, get);
	run_routed(rig, walk_all, ROUTE_WALK);
	assert_int_equal(gate_appended(rig->engine->gate), 0);
}

static size_t huge_size;

static void put_one_and_huge(struct turn *turn)
{
	put_text(turn, "never", 0);
	char *data = arena_alloc(turn_arena(turn), huge_size);
	memset(data, 'h', huge_size);
	struct value value = { .type = VALUE_STRING, .data = slice_of(data, huge_size) };
	turn_put(turn, turn->shard, slice_text("\x7fhuge"), &value);
	writer_ok(&turn->writer);
}

static void a_change_larger_than_a_segment_is_refused_whole(void **state)
{
	struct engine_rig *rig = *state;
	huge_size = gate_record_bytes_max(rig->engine->gate);
	struct engine_ticket *ticket = run(rig, put_one_and_huge);
	assert_true(ticket->failed);
	assert_string_equal(ticket->reply, "-" ERROR_CHANGE_SIZE "\r\n");
	assert_int_equal(gate_appended(rig->engine->gate), 0);
	run(rig, get);
	assert_false(seen.found);
	huge_size -= 256;
	assert_false(run(rig, put_one_and_huge)->failed);
	engine_rig_settle(rig);
}

static void a_walk_goes_from_shard_to_shard_with_one_reply(void **state)
{
	struct engine_rig *rig = *state;
	struct engine_ticket *ticket = run_routed(rig, walk_all, ROUTE_WALK);
	assert_string_equal(ticket->reply, ":0\r\n:1\r\n:2\r\n:3\r\n");
	assert_int_equal(seen.shard, SHARDS - 1);
}

/* Goes to shard 2 and walks from there, in three turns on each shard. */
static void walk_round(struct turn *turn)
{
	int *rounds = turn->state;
	if (rounds == NULL) {
		rounds = turn_state(turn, sizeof(*rounds));
		if (turn_goes_to(turn, 2))
			return;
	}
	assert_false(turn_goes_to(turn, turn->shard));
	if (turn_arrives(turn)) {
		writer_integer(&turn->writer, turn->shard);
		*rounds = 0;
	}
	if (!turn_walks(turn, ++*rounds < 3))
		writer_ok(&turn->writer);
}

static void a_walk_goes_round_from_where_it_begins_and_stays_while_there_is_more(void **state)
{
	struct engine_ticket *ticket = run_routed(*state, walk_round, ROUTE_WALK);
	assert_string_equal(ticket->reply, ":2\r\n:3\r\n:0\r\n:1\r\n+OK\r\n");
}

/* Pauses once on each shard before it has done anything there. */
static void pause_then_walk(struct turn *turn)
{
	uint16_t *behind = turn_state(turn, sizeof(*behind));
	assert_true(turn_arrives(turn));
	if (*behind == turn->shard) {
		++*behind;
		turn_continue_here(turn);
	} else if (!turn_walks(turn, false)) {
		writer_integer(&turn->writer, *behind);
	}
}

static void a_pause_is_no_step_of_a_walk(void **state)
{
	struct engine_ticket *ticket = run_routed(*state, pause_then_walk, ROUTE_WALK);
	assert_string_equal(ticket->reply, ":4\r\n");
}

/* Reads something long again and again, and writes in between: what is read goes, what was written
 * stays. */
static void read_and_write_by_turns(struct turn *turn)
{
	struct turn_mark mark = turn_mark(turn);
	size_t most = 0;
	for (int i = 0; i < 100; i++) {
		char name[8];
		char *read = arena_alloc(turn_arena(turn), LARGE);
		memset(read, 'r', LARGE);
		struct value value = { .type = VALUE_STRING,
			.data = arena_format(turn_arena(turn), "value %d", i) };
		int size = snprintf(name, sizeof(name), "\x7f%d", i);
		if (i % 10 == 0)
			turn_put(turn, turn->shard, slice_of(name, (size_t)size), &value);
		turn_rewind(turn, &mark);
		if (turn_arena(turn)->bytes > most)
			most = turn_arena(turn)->bytes;
	}
	assert_true(most < 20 * LARGE);
	for (int i = 0; i < 100; i += 10) {
		char name[8];
		struct value value;
		int size = snprintf(name, sizeof(name), "\x7f%d", i);
		assert_true(turn_get(turn, turn->shard, slice_of(name, (size_t)size), &value));
		assert_true(slice_equal(value.data, arena_format(turn_arena(turn), "value %d", i)));
	}
	writer_ok(&turn->writer);
}

static void going_back_keeps_what_was_written_since(void **state)
{
	assert_string_equal(run(*state, read_and_write_by_turns)->reply, "+OK\r\n");
}

/* Reads the key again and again until the turn would pause; replies how often. */
static void read_until_it_pauses(struct turn *turn)
{
	uint32_t *reads = turn_state(turn, sizeof(*reads));
	if (*reads > 0) {
		writer_integer(&turn->writer, *reads);
		return;
	}
	while (!turn_pauses(turn)) {
		struct value value;
		assert_true(turn_get(turn, turn->shard, key, &value));
		++*reads;
	}
}

static void pauses_when_it_has_read_much(void **state)
{
	struct engine_rig *rig = *state;
	char reads[32];
	run(rig, put_large);
	snprintf(reads, sizeof(reads), ":%zu\r\n", 1 + LIMIT_TURN_BYTES / LARGE);
	assert_string_equal(run(rig, read_until_it_pauses)->reply, reads);
	run(rig, put_one);
	snprintf(reads, sizeof(reads), ":%d\r\n", LIMIT_TURN_STEPS);
	assert_string_equal(run(rig, read_until_it_pauses)->reply, reads);
}

static void finds_the_shard_by_the_slot_of_the_id(void **state)
{
	run(*state, compare_shard_of);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(reads_its_own_changes),
		TEST(the_last_change_of_a_key_counts),
		TEST(an_expired_value_is_absent),
		TEST(a_change_that_has_expired_already_is_absent_in_its_own_turn),
		TEST(looks_at_a_large_value_without_its_data),
		TEST(waits_for_what_it_read),
		TEST(waits_for_the_deletion_that_it_found),
		TEST(waits_for_nothing_when_it_found_nothing_or_settled_data),
		TEST(what_it_wrote_itself_is_no_reason_to_wait_while_it_runs),
		TEST(a_listing_waits_for_all_that_its_shard_has_written),
		TEST(a_walk_waits_for_the_most_that_any_of_its_turns_read),
		TEST(an_error_drops_the_changes_and_the_reply_so_far),
		TEST(one_turn_is_one_record),
		TEST(a_turn_without_changes_writes_nothing),
		TEST(a_change_larger_than_a_segment_is_refused_whole),
		TEST(a_walk_goes_from_shard_to_shard_with_one_reply),
		TEST(a_walk_goes_round_from_where_it_begins_and_stays_while_there_is_more),
		TEST(a_pause_is_no_step_of_a_walk),
		TEST(going_back_keeps_what_was_written_since),
		TEST(pauses_when_it_has_read_much),
		TEST(finds_the_shard_by_the_slot_of_the_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
