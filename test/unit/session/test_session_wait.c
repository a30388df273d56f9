/*
 * Requests that wait for a lease of a session: who is told when, and when the host is asked to
 * look. What the lease machine itself does is test_lease's.
 */
#include "session_fixture.h"

static int64_t wanted_ms; /* the latest that was asked for */

static void wake_in(void *context, uint16_t port, int64_t ms)
{
	struct world *world = context;
	wanted_ms = world->rig.now_ms + ms;
}

static int set_up(void **state)
{
	struct world *world = memory_zeroed(sizeof(*world));
	make_world(world, 2, 1);
	world->rig.client = 1;
	sessions_free(&world->sessions);
	leases_free(&world->leases);
	struct leases_options options = {
		.engine = world->rig.engine, .wake_in = wake_in, .context = world
	};
	world->leases = leases_new(&options);
	world->sessions = sessions_new(world->rig.engine);
	wanted_ms = INT64_MAX;
	run(world, "session.create", "id", "{a}1", "data", "{\"n\":1}");
	run(world, "session.create", "id", "{a}2");
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	end_world(world);
	memory_free(world);
	return 0;
}

static void wake(struct world *world)
{
	assert_true(wanted_ms <= world->rig.now_ms);
	wanted_ms = INT64_MAX;
	engine_tick(world->rig.engine, 0);
	leases_run(world->leases, 0);
	engine_rig_deliver(&world->rig);
}

/* The shards' expiry, with somebody waiting. */
static void tick(struct world *world)
{
	engine_expire(world->rig.engine, 0);
	engine_rig_deliver(&world->rig);
}

/* A first one holds it; this one waits. */
static struct engine_ticket *wait_for(struct world *world, const char *ms, const char *wait_ms)
{
	run(world, "session.lease", "{a}1", "p", "ms", ms);
	struct engine_ticket *ticket =
		rig_send(&world->rig, 0, "session.lease", "{a}1", "p", "ms", ms, "wait", wait_ms);
	assert_false(ticket->done);
	return ticket;
}

static void the_host_is_asked_for_the_earliest(void **state)
{
	struct world *world = *state;
	int64_t now_ms = world->rig.now_ms;
	run(world, "session.lease", "{a}1", "p", "ms", "5000");
	assert_int_equal(wanted_ms, now_ms + 5000);
	run(world, "session.lease", "{a}2", "p", "ms", "9000");
	assert_int_equal(wanted_ms, now_ms + 5000);
	run(world, "session.lease", "{a}2", "q", "ms", "100");
	assert_int_equal(wanted_ms, now_ms + 100);
	rig_send(&world->rig, 0, "session.lease", "{a}1", "p", "wait", "40");
	assert_int_equal(wanted_ms, now_ms + 40);
	pass(world, 40);
	wake(world);
	assert_int_equal(wanted_ms, now_ms + 100);
	pass(world, 60);
	wake(world);
	assert_int_equal(wanted_ms, now_ms + 5000);
}

static void who_waits_is_next_when_the_time_is_over(void **state)
{
	struct world *world = *state;
	struct engine_ticket *ticket = wait_for(world, "1000", "5000");
	pass(world, 999);
	tick(world);
	assert_false(ticket->done);
	pass(world, 1);
	wake(world);
	assert_true(ticket->done);
	assert_int_equal(strncmp(ticket->reply, "*2\r\n$32\r\n", 9), 0);
}

static void who_waits_in_vain_is_told_who_holds_it(void **state)
{
	struct world *world = *state;
	struct engine_ticket *ticket = wait_for(world, "1000", "400");
	pass(world, 400);
	wake(world);
	assert_true(ticket->done);
	assert_string_equal(ticket->reply, "*2\r\n$-1\r\n:600\r\n");
}

static void who_has_read_another_version_is_told_the_data(void **state)
{
	struct world *world = *state;
	answers(world, "*3\r\n$-1\r\n:0\r\n$7\r\n{\"n\":1}", "session.lease", "{a}1", "p",
		"ifversion", "0");
	answers(world, "*3\r\n$-1\r\n:0\r\n$7\r\n{\"n\":1}", "session.lease", "{a}1", "p",
		"ifversion", "2", "wait", "1000");
	answers(world, "*-1", "session.lease", "{a}9", "p", "ifversion", "0");
	answers(world, "-ERR IFVERSION is a version, 0 for none", "session.lease", "{a}1", "p",
		"ifversion", "new");
	/* None of them holds it. */
	assert_int_equal(strncmp(run(world, "session.lease", "{a}1", "p", "ifversion", "1"),
				 "*2\r\n$32\r\n", 9),
		0);
	answers(world, "*3\r\n$-1\r\n:0\r\n$7\r\n{\"n\":1}", "session.lease", "{a}1", "p",
		"ifversion", "2");
}

/* The holder lost its lease, and saved what it had brought in another way. */
static void who_waits_with_outdated_data_is_told_and_not_granted(void **state)
{
	struct world *world = *state;
	run(world, "session.lease", "{a}1", "p", "ms", "1000");
	struct engine_ticket *tickets[] = {
		rig_send(&world->rig, 0, "session.lease", "{a}1", "p", "wait", "9000", "ifversion",
			"1"),
		rig_send(&world->rig, 0, "session.lease", "{a}1", "p", "wait", "9000"),
		rig_send(&world->rig, 0, "session.lease", "{a}1", "p", "wait", "9000", "ifversion",
			"1"),
	};
	answers(world, ":2", "session.update", "{a}1", "{\"n\":2}");
	assert_false(tickets[0]->done || tickets[1]->done || tickets[2]->done);
	pass(world, 1000);
	wake(world);
	engine_rig_deliver(&world->rig);
	assert_true(tickets[0]->done && tickets[1]->done);
	assert_string_equal(tickets[0]->reply, "*3\r\n$-1\r\n:0\r\n$7\r\n{\"n\":2}\r\n");
	/* Who asked for no version is next, and the last waits for it. */
	assert_int_equal(strncmp(tickets[1]->reply, "*2\r\n$32\r\n", 9), 0);
	assert_false(tickets[2]->done);
	pass(world, 8000);
	wake(world);
	assert_string_equal(tickets[2]->reply, "*3\r\n$-1\r\n:0\r\n$7\r\n{\"n\":2}\r\n");
}

static void the_end_of_the_session_ends_the_wait(void **state)
{
	struct world *world = *state;
	struct engine_ticket *ticket = wait_for(world, "60000", "60000");
	answers(world, ":1", "session.del", "{a}1");
	assert_true(ticket->done);
	assert_string_equal(ticket->reply, "*-1\r\n");
}

static void the_end_of_many_sessions_ends_their_waits_at_the_next_tick(void **state)
{
	struct world *world = *state;
	char here[ENGINE_RIG_KEY_BYTES], there[ENGINE_RIG_KEY_BYTES];
	engine_rig_key(&world->rig, 0, 1, here);
	engine_rig_key(&world->rig, 1, 1, there);
	struct engine_ticket *ticket = wait_for(world, "60000", "60000");
	answers(world, ":1", "session.del", here, there, "{a}1");
	tick(world);
	assert_true(ticket->done);
	assert_string_equal(ticket->reply, "*-1\r\n");
}

static void the_time_of_the_session_ends_the_wait(void **state)
{
	struct world *world = *state;
	answers(world, ":1", "session.touch", "{a}1", "ttl", "10");
	struct engine_ticket *ticket = wait_for(world, "60000", "60000");
	pass(world, 10000);
	tick(world);
	assert_true(ticket->done);
	assert_string_equal(ticket->reply, "*-1\r\n");
}

static void a_changed_id_keeps_its_lease(void **state)
{
	struct world *world = *state;
	const char *granted = run(world, "session.lease", "{a}1", "p");
	char token[40];
	snprintf(token, sizeof(token), "%.32s", granted + strlen("*2\r\n$32\r\n"));
	const char *id = bulk(run(world, "session.rotate", "{a}1", "grace", "10"));
	struct engine_ticket *ticket =
		rig_send(&world->rig, 0, "session.lease", "{a}1", "p", "wait", "1000");
	assert_false(ticket->done);
	answers(world, ":2", "session.commit", id, "p", token, "{\"n\":2}");
	assert_true(ticket->done);
	assert_string_equal(ticket->reply, "*3\r\n$-1\r\n:0\r\n$7\r\n{\"n\":2}\r\n");
}

static void a_connection_that_goes_leaves_its_leases_to_others(void **state)
{
	struct world *world = *state;
	run(world, "session.lease", "{a}1", "p", "ms", "60000");
	world->rig.client = 2;
	struct engine_ticket *ticket =
		rig_send(&world->rig, 0, "session.lease", "{a}1", "p", "wait", "60000");
	leases_forget_client(world->leases, 0, 3);
	engine_rig_deliver(&world->rig);
	assert_false(ticket->done);
	leases_forget_client(world->leases, 0, 1);
	engine_rig_deliver(&world->rig);
	assert_true(ticket->done);
	assert_int_equal(strncmp(ticket->reply, "*2\r\n$32\r\n", 9), 0);
}

static void who_waits_is_answered_when_the_server_stops(void **state)
{
	struct world *world = *state;
	struct engine_ticket *ticket = wait_for(world, "60000", "60000");
	assert_false(leases_drain(world->leases, 0));
	engine_rig_deliver(&world->rig);
	assert_true(ticket->done);
	assert_string_equal(ticket->reply, "-ERR the server is shutting down\r\n");
}

static void who_waits_when_the_engine_is_thrown_away_goes_with_it(void **state)
{
	struct world *world = *state;
	struct engine_ticket *first = wait_for(world, "60000", "60000");
	struct engine_ticket *second =
		rig_send(&world->rig, 0, "session.lease", "{a}1", "p", "wait", "60000");
	sessions_free(&world->sessions);
	leases_free(&world->leases);
	assert_false(first->done);
	assert_false(second->done);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_host_is_asked_for_the_earliest),
		test(who_waits_is_next_when_the_time_is_over),
		test(who_waits_in_vain_is_told_who_holds_it),
		test(who_has_read_another_version_is_told_the_data),
		test(who_waits_with_outdated_data_is_told_and_not_granted),
		test(the_end_of_the_session_ends_the_wait),
		test(the_end_of_many_sessions_ends_their_waits_at_the_next_tick),
		test(the_time_of_the_session_ends_the_wait),
		test(a_changed_id_keeps_its_lease),
		test(a_connection_that_goes_leaves_its_leases_to_others),
		test(who_waits_is_answered_when_the_server_stops),
		test(who_waits_when_the_engine_is_thrown_away_goes_with_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
