/*
 * The life of sessions, with an injected clock: when each ends to the millisecond, which uses are
 * written, what a crash makes of it, and that all of it goes by itself.
 */
#include "session_fixture.h"

#include "base/random.h"
#include "session/touches.h"

#define S 1000 /* ms in a second */

static const char over[] = "-SESSIONGONE the session of this id has ended\r\n";

static int set_up(void **state)
{
	struct world *world = memory_zeroed(sizeof(*world));
	make_world(world, 1, 1);
	*state = world;
	return 0;
}

static int set_up_several(void **state)
{
	struct world *world = memory_zeroed(sizeof(*world));
	make_world(world, 4, 2);
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

static void lives(struct world *world, const char *id)
{
	answers(world, ":1", "session.exists", id);
}

static void is_over(struct world *world, const char *id)
{
	answers(world, ":0", "session.exists", id);
	answers(world, "$-1", "session.get", id);
	answers(world, ":-2", "session.ttl", id);
	answers(world, ":0", "session.touch", id);
	answers(world, "$-1", "session.field", id, "a");
	assert_string_equal(run(world, "session.update", id, "{}"), over);
	assert_string_equal(run(world, "session.set", id, "{}"), over);
}

/* --- ends ------------------------------------------------------------------------------------- */

static void ends_at_its_end_and_not_before(void **state)
{
	struct world *world = *state;
	run(world, "session.create", "id", "a", "ttl", "10");
	pass(world, 10 * S - 1);
	lives(world, "a");
	answers(world, ":1", "session.ttl", "a");
	pass(world, 1);
	is_over(world, "a");
}

static void a_use_moves_the_end(void **state)
{
	static const char *const uses[] = { "session.get", "session.touch" };
	struct world *world = *state;
	for (int i = 0; i < 2; i++) {
		const char *id = i ? "b" : "a";
		run(world, "session.create", "id", id, "ttl", "100");
		for (int again = 0; again < 5; again++) {
			pass(world, 100 * S - 1);
			run(world, uses[i], id);
		}
		pass(world, 100 * S - 1);
		lives(world, id);
		pass(world, 1);
		is_over(world, id);
	}
}

static void what_only_looks_moves_nothing(void **state)
{
	struct world *world = *state;
	run(world, "session.create", "id", "a", "ttl", "100", "user", "ann");
	pass(world, 50 * S);
	run(world, "session.get", "a", "notouch");
	run(world, "session.ttl", "a");
	run(world, "session.exists", "a");
	run(world, "session.list", "user", "ann");
	run(world, "session.scan", "0");
	run(world, "session.count");
	pass(world, 50 * S - 1);
	lives(world, "a");
	pass(world, 1);
	is_over(world, "a");
}

static void no_use_moves_the_absolute_end(void **state)
{
	struct world *world = *state;
	run(world, "session.create", "id", "a", "ttl", "50", "absolute", "60");
	pass(world, 40 * S);
	answers(world, ":1", "session.touch", "a");
	answers(world, ":20", "session.ttl", "a");
	answers(world, ":2", "session.update", "a", "{}", "ttl", "500");
	answers(world, ":20", "session.ttl", "a");
	pass(world, 20 * S - 1);
	run(world, "session.get", "a");
	lives(world, "a");
	pass(world, 1);
	is_over(world, "a");
	run(world, "session.create", "id", "b", "ttl", "50", "absolute", "60");
	pass(world, 30 * S);
	answers(world, "-ERR ABSOLUTE counts from the session's creation and is over already",
		"session.set", "b", "{}", "absolute", "30");
	answers(world, ":2", "session.set", "b", "{}", "absolute", "31");
	pass(world, 1 * S - 1);
	lives(world, "b");
	pass(world, 1);
	is_over(world, "b");
}

/* --- which uses are written ------------------------------------------------------------------- */

static void a_use_is_written_when_it_moves_the_end_by_the_granularity(void **state)
{
	struct world *world = *state;
	static const int64_t percents[] = { 1, 5, 50 };
	for (int i = 0; i < 3; i++) {
		world->rig.config.touch_percent = percents[i];
		run(world, "session.set", "a", "{}", "ttl", "100");
		for (int again = 0; again < 4; again++) {
			uint64_t before = written(world);
			pass(world, percents[i] * S); /* to the bound and not beyond */
			run(world, "session.get", "a");
			assert_int_equal(written(world), before);
			pass(world, 1);
			run(world, "session.get", "a");
			assert_int_equal(written(world), before + 1);
			run(world, "session.get", "a");
			assert_int_equal(written(world), before + 1);
		}
	}
}

static void uses_are_written_when_their_memory_is_full(void **state)
{
	struct world *world = *state;
	enum { ROOM = 48, ALL = 60 }; /* three quarters of 64 places */
	world->rig.config.session_tombstone_s = 0;
	world->rig.config.touch_bytes_max = 64 * sizeof(struct touch);
	char id[16];
	for (int i = 0; i < ALL; i++) {
		snprintf(id, sizeof(id), "id%d", i);
		run(world, "session.create", "id", id, "ttl", "100");
	}
	for (int again = 1; again <= 3; again++) {
		pass(world, 1 * S);
		for (int i = 0; i < ALL; i++) {
			uint64_t before = written(world);
			snprintf(id, sizeof(id), "id%d", i);
			run(world, "session.get", id);
			assert_int_equal(written(world), before + (i >= ROOM));
		}
	}
	pass(world, 100 * S - 1);
	answers(world, ":2", "session.exists", "id0", "id59");
	pass(world, 1);
	answers(world, ":0", "session.exists", "id0", "id59");
	expire(world);
	stands(world, 0, 0, 0);
}

static void uses_are_kept_in_memory_while_the_disk_is_full(void **state)
{
	struct world *world = *state;
	run(world, "session.create", "id", "a", "ttl", "100", "data", "{\"n\":1}");
	settle(world);
	gate_set_store_full(world->rig.engine->gate, true);
	uint64_t before = written(world);
	for (int again = 0; again < 5; again++) {
		pass(world, 90 * S);
		answers(world, "$7\r\n{\"n\":1}", "session.get", "a", "data");
		expire(world);
	}
	assert_int_equal(written(world), before);
	pass(world, 100 * S - 1);
	lives(world, "a");
	gate_set_store_full(world->rig.engine->gate, false);
	expire(world);
	lives(world, "a");
	run(world, "session.get", "a");
	assert_int_equal(written(world), before + 1);
	settle(world);
	crash(world);
	pass(world, 100 * S - 1);
	lives(world, "a");
	pass(world, 1 + 5 * S);
	is_over(world, "a");
}

/* --- crashes ---------------------------------------------------------------------------------- */

static void a_crash_never_shortens_and_lengthens_by_the_granularity(void **state)
{
	struct world *world = *state;
	struct random random;
	random_seed(&random, 1);
	world->rig.config.session_tombstone_s = 0;
	for (int round = 0; round < 300; round++) {
		int64_t ttl_ms = S * (1 + (int64_t)random_below(&random, 200));
		int64_t percent = 1 + (int64_t)random_below(&random, 50);
		char ttl[16];
		world->rig.config.touch_percent = percent;
		world->rig.config.touch_bytes_max = random_below(&random, 4) ? 1 << 20 : 0;
		snprintf(ttl, sizeof(ttl), "%d", (int)(ttl_ms / S));
		run(world, "session.set", "a", "{}", "ttl", ttl);
		uint64_t uses = random_below(&random, 12);
		for (uint64_t i = 0; i < uses; i++) {
			pass(world, (int64_t)random_below(&random, (uint64_t)ttl_ms));
			answers(world, ":1", "session.touch", "a");
			settle(world);
			if (random_below(&random, 6) == 0)
				engine_rig_checkpoint(&world->rig);
			if (random_below(&random, 3) == 0)
				expire(world);
			if (random_below(&random, 6) == 0)
				crash(world);
		}
		int64_t end_ms = world->rig.now_ms + ttl_ms;
		if (uses == 0)
			settle(world);
		crash(world);
		world->rig.now_ms = end_ms - 1;
		expire(world);
		lives(world, "a");
		world->rig.now_ms = end_ms + ttl_ms * percent / 100;
		answers(world, ":0", "session.exists", "a");
		expire(world);
		stands(world, 0, 0, 0);
	}
}

static void a_use_after_a_crash_is_exact_again(void **state)
{
	struct world *world = *state;
	run(world, "session.create", "id", "a", "ttl", "100");
	settle(world);
	crash(world);
	answers(world, ":105", "session.ttl", "a");
	uint64_t before = written(world);
	pass(world, 2 * S);
	run(world, "session.get", "a");
	assert_int_equal(written(world), before);
	answers(world, ":100", "session.ttl", "a");
	pass(world, 100 * S - 1);
	lives(world, "a");
	pass(world, 1);
	is_over(world, "a");
}

/* --- all goes by itself ----------------------------------------------------------------------- */

static void nothing_is_left_of_what_has_ended(void **state)
{
	struct world *world = *state;
	world->rig.config.touch_percent = 50;
	world->rig.config.session_tombstone_s = 60;
	run(world, "session.create", "id", "a", "ttl", "100", "user", "ann");
	pass(world, 40 * S);
	run(world, "session.get", "a"); /* to 140 s; the index says 100 */
	pass(world, 60 * S);
	expire(world);
	stands(world, 1, 1, 0);
	pass(world, 39 * S);
	run(world, "session.get", "a", "notouch");
	pass(world, 1 * S - 1);
	expire(world);
	stands(world, 1, 1, 0);
	pass(world, 1);
	expire(world);
	stands(world, 0, 0, 1);
	answers(world, ":0", "session.count");
	pass(world, 60 * S - 1);
	expire(world);
	stands(world, 0, 0, 1);
	pass(world, 1);
	expire(world);
	stands(world, 0, 0, 0);
	/* The server was down for longer. */
	run(world, "session.create", "id", "a", "ttl", "100", "user", "ann");
	settle(world);
	pass(world, 150 * S + 60 * S);
	crash(world);
	answers(world, "$-1", "session.update", "a", "{}");
	expire(world);
	stands(world, 0, 0, 0);
}

static void what_was_looked_for_too_early_is_looked_for_again(void **state)
{
	struct world *world = *state;
	world->rig.config.touch_percent = 50;
	world->rig.config.session_tombstone_s = 0;
	run(world, "session.create", "id", "a", "ttl", "100", "user", "ann");
	pass(world, 40 * S);
	run(world, "session.get", "a"); /* to 140 s, in memory */
	pass(world, 60 * S);
	expire(world); /* the index says now; it is put off to 140 s */
	pass(world, 20 * S);
	run(world, "session.get", "a"); /* to 220 s, written */
	pass(world, 20 * S);
	expire(world);
	pass(world, 20 * S);
	run(world, "session.get", "a"); /* to 260 s, in memory */
	pass(world, 60 * S);
	expire(world); /* the index says now; it is put off to 260 s */
	stands(world, 1, 1, 0);
	pass(world, 40 * S);
	expire(world);
	stands(world, 0, 0, 0);
}

static void uses_that_move_the_end_often_leave_nothing_behind(void **state)
{
	struct world *world = *state;
	struct random random;
	random_seed(&random, 2);
	world->rig.config.session_tombstone_s = 10;
	for (int round = 0; round < 12; round++) {
		char id[16];
		world->rig.config.touch_percent = round % 2 ? 50 : 5;
		for (int i = 0; i < 20; i++) {
			snprintf(id, sizeof(id), "r%d.%d", round, i);
			run(world, "session.create", "id", id, "ttl", "100", "user",
				i % 3 ? "ann" : "");
		}
		/* The last ten are not used and end first. */
		for (int again = 0; again < 40; again++) {
			pass(world, (int64_t)random_below(&random, 40 * S));
			for (int i = 0; i < 10; i++) {
				snprintf(id, sizeof(id), "r%d.%d", round, i);
				if (random_below(&random, 8))
					run(world, "session.touch", id);
			}
			expire(world);
			if (random_below(&random, 4) == 0)
				engine_rig_checkpoint(&world->rig);
			if (random_below(&random, 12) == 0)
				crash(world);
			struct tally found = tally(world);
			assert_int_equal(found.counted, found.sessions);
			assert_true(found.entries <= found.sessions);
		}
		pass(world, 151 * S);
		expire(world);
		stands(world, 0, 0, 0);
		if (round % 3 == 0)
			engine_rig_checkpoint(&world->rig);
	}
}

static void many_ends_at_once_are_seen_to_in_steps(void **state)
{
	struct world *world = *state;
	char id[16];
	world->rig.config.touch_percent = 50;
	world->rig.config.session_tombstone_s = 600;
	for (int i = 0; i < 3000; i++) {
		snprintf(id, sizeof(id), "id%d", i);
		run(world, "session.create", "id", id, "ttl", "100", "user", "ann");
	}
	pass(world, 30 * S);
	for (int i = 0; i < 2000; i++) {
		snprintf(id, sizeof(id), "id%d", i);
		run(world, "session.touch", id);
	}
	settle(world);
	pass(world, 75 * S);
	for (int i = 0; i < 20; i++)
		expire(world);
	stands(world, 2000, 2000, 1000);
	pass(world, 25 * S);
	for (int i = 0; i < 20; i++)
		expire(world);
	stands(world, 0, 0, 3000);
	pass(world, 600 * S);
	for (int i = 0; i < 20; i++)
		expire(world);
	stands(world, 0, 0, 0);
}

static void a_session_made_anew_over_an_ended_one_is_one(void **state)
{
	struct world *world = *state;
	run(world, "session.create", "id", "a", "ttl", "10", "user", "ann", "data", "{\"n\":1}");
	pass(world, 10 * S);
	answers(world, ":1", "session.set", "a", "{\"n\":2}", "ttl", "100", "user", "bob", "nx");
	stands(world, 1, 1, 0);
	answers(world, "*0", "session.list", "user", "ann");
	expire(world);
	stands(world, 1, 1, 0);
	answers(world, "$7\r\n{\"n\":2}", "session.get", "a", "data");
	answers(world, "-VERSION 1 is the session's version", "session.set", "a", "{}", "ifversion",
		"0");
}

/* --- ids that are no more --------------------------------------------------------------------- */

static void a_tombstone_stands_for_its_time(void **state)
{
	struct world *world = *state;
	static const char gone[] = "-SESSIONGONE the session of this id was deleted\r\n";
	world->rig.config.session_tombstone_s = 60;
	run(world, "session.create", "id", "a", "user", "ann");
	answers(world, ":1", "session.del", "a");
	settle(world);
	stands(world, 0, 0, 1);
	for (int i = 0; i < 3; i++) {
		assert_string_equal(run(world, "session.set", "a", "{}"), gone);
		assert_string_equal(run(world, "session.update", "a", "{}"), gone);
		assert_string_equal(run(world, "session.create", "id", "a"), gone);
		answers(world, ":0", "session.del", "a");
		answers(world, "$-1", "session.get", "a");
		answers(world, "$-1", "session.rotate", "a");
		if (i == 0)
			crash(world);
		if (i == 1)
			pass(world, 60 * S - 1);
		expire(world);
	}
	pass(world, 1);
	answers(world, ":1", "session.set", "a", "{}");
	answers(world, ":1", "session.del", "a");
	pass(world, 60 * S);
	expire(world);
	stands(world, 0, 0, 0);
	world->rig.config.session_tombstone_s = 0;
	run(world, "session.create", "id", "a", "user", "ann");
	answers(world, ":1", "session.del", "a");
	stands(world, 0, 0, 0);
	answers(world, ":1", "session.set", "a", "{}");
}

/* What happens before each of three looks at an end: nothing, the engine sees to it, a crash. */
static bool look_again(struct world *world, int looks)
{
	if (looks == 1)
		expire(world);
	else if (looks == 2)
		crash(world);
	return looks < 3;
}

static void an_absolute_end_is_as_final_as_a_deletion(void **state)
{
	struct world *world = *state;
	world->rig.config.session_tombstone_s = 60;
	run(world, "session.create", "id", "a", "user", "ann", "ttl", "50", "absolute", "10");
	pass(world, 10 * S);
	for (int looks = 0; look_again(world, looks); looks++) {
		assert_string_equal(run(world, "session.set", "a", "{}"), over);
		assert_string_equal(run(world, "session.set", "a", "{}", "nx"), over);
		assert_string_equal(run(world, "session.set", "a", "{}", "xx"), over);
		assert_string_equal(run(world, "session.set", "a", "{}", "ifversion", "0"), over);
		assert_string_equal(run(world, "session.set", "a", "{}", "ifversion", "1"), over);
		assert_string_equal(run(world, "session.update", "a", "{}"), over);
		assert_string_equal(run(world, "session.create", "id", "a"), over);
		assert_string_equal(run(world, "session.commit", "a", "p", "t", "{}"), over);
		assert_string_equal(run(world, "session.release", "a", "p", "t"), over);
		answers(world, "$-1", "session.get", "a");
		answers(world, ":0", "session.touch", "a");
		answers(world, ":0", "session.del", "a");
		answers(world, "$-1", "session.rotate", "a");
		answers(world, "*-1", "session.lease", "a", "p");
		settle(world);
	}
	stands(world, 0, 0, 1);
	/* Its time counts from the end, not from when that was seen to. */
	pass(world, 60 * S - 1);
	assert_string_equal(run(world, "session.set", "a", "{}", "nx"), over);
	pass(world, 1);
	answers(world, ":1", "session.set", "a", "{}");
}

static void who_saves_at_each_request_is_logged_out_at_the_absolute_end(void **state)
{
	struct world *world = *state;
	int saved = 0;
	run(world, "session.create", "id", "a", "ttl", "30", "absolute", "100");
	for (int s = 0; s < 300; s++) {
		pass(world, 1 * S);
		saved += run(world, "session.set", "a", "{}", "ttl", "30")[0] == ':';
		if (s % 7 == 0)
			expire(world);
	}
	assert_int_equal(saved, 99);
}

static void a_sliding_end_leaves_the_id_to_who_means_a_new_one(void **state)
{
	struct world *world = *state;
	world->rig.config.session_tombstone_s = 60;
	world->rig.config.touch_percent = 1;
	run(world, "session.create", "id", "a", "user", "ann", "ttl", "10", "absolute", "1000");
	settle(world);
	pass(world, 11 * S); /* after a crash it ends at its bound, which has passed too */
	for (int looks = 0; look_again(world, looks); looks++) {
		assert_string_equal(run(world, "session.set", "a", "{}"), over);
		assert_string_equal(run(world, "session.set", "a", "{}", "xx"), over);
		assert_string_equal(run(world, "session.set", "a", "{}", "ifversion", "0"), over);
		assert_string_equal(
			run(world, "session.update", "a", "{}", "ifversion", "1"), over);
		assert_string_equal(run(world, "session.commit", "a", "p", "t", "{}"), over);
		answers(world, "$-1", "session.get", "a");
		settle(world);
	}
	stands(world, 0, 0, 1);
	answers(world, ":1", "session.set", "a", "{}", "nx", "ttl", "10");
	stands(world, 1, 0, 0);
	answers(world, "$-1", "session.set", "a", "{}", "nx");
	pass(world, 10 * S);
	answers(world, "$1\r\na", "session.create", "id", "a", "ttl", "10");
	stands(world, 1, 0, 0);
	pass(world, 10 * S);
	expire(world);
	answers(world, "$1\r\na", "session.create", "id", "a", "ttl", "10");
	stands(world, 1, 0, 0);
	expire(world);
	answers(world, ":1", "session.exists", "a");
}

static void without_tombstones_an_ended_id_is_free(void **state)
{
	struct world *world = *state;
	world->rig.config.session_tombstone_s = 0;
	run(world, "session.create", "id", "a", "ttl", "50", "absolute", "10");
	pass(world, 10 * S);
	answers(world, "$-1", "session.update", "a", "{}");
	answers(world, ":1", "session.set", "a", "{}");
	pass(world, 86400 * S);
	expire(world);
	stands(world, 0, 0, 0);
}

static void an_end_is_known_whatever_form_ids_are_stored_in(void **state)
{
	struct world *world = *state;
	for (int hashing = 0; hashing < 2; hashing++) {
		world->rig.config.session_hashing = hashing;
		run(world, "session.create", "id", "a", "ttl", "10");
		run(world, "session.create", "id", "b", "ttl", "10", "absolute", "10");
		pass(world, 10 * S);
		if (hashing)
			expire(world);
		world->rig.config.session_hashing = !hashing;
		assert_string_equal(run(world, "session.set", "a", "{}"), over);
		assert_string_equal(run(world, "session.set", "b", "{}", "nx"), over);
		answers(world, ":1", "session.set", "a", "{}", "nx");
		expire(world);
		stands(world, 1, 0, 1);
		assert_int_equal(tally(world).hashed, !hashing);
		world->rig.config.session_tombstone_s = 1;
		answers(world, ":1", "session.del", "a");
		world->rig.config.session_tombstone_s = 86400;
		pass(world, 86400 * S);
		expire(world);
		stands(world, 0, 0, 0);
	}
}

static void an_id_that_was_changed_is_not_free_when_the_session_has_ended(void **state)
{
	struct world *world = *state;
	world->rig.config.session_tombstone_s = 60;
	run(world, "session.create", "id", "a", "ttl", "10");
	const char *id = bulk(run(world, "session.rotate", "a", "grace", "30"));
	pass(world, 10 * S);
	answers(world, "$-1", "session.get", "a");
	answers(world, "-SESSIONGONE the session of this id was deleted", "session.set", "a", "{}",
		"nx");
	assert_string_equal(run(world, "session.set", id, "{}"), over);
	expire(world);
	answers(world, "-SESSIONGONE the session of this id was deleted", "session.set", "a", "{}",
		"nx");
	answers(world, ":1", "session.set", id, "{}", "nx");
	answers(world, ":1", "session.exists", id);
	answers(world, ":0", "session.exists",
		"a"); /* another session, though the name is the same */
}

static void a_changed_id_works_for_the_grace(void **state)
{
	struct world *world = *state;
	for (int hashing = 0; hashing < 2; hashing++) {
		world->rig.config.session_hashing = hashing;
		world->rig.config.session_tombstone_s = 60;
		run(world, "session.create", "id", "a", "user", "ann", "data", "{\"n\":1}");
		const char *id = bulk(run(world, "session.rotate", "a", "grace", "10"));
		stands(world, 1, 1, 1);
		pass(world, 5 * S);
		assert_string_equal(bulk(run(world, "session.rotate", "a")), id);
		answers(world, ":2", "session.update", "a", "{\"n\":2}");
		pass(world, 5 * S - 1);
		answers(world, "$7\r\n{\"n\":2}", "session.get", "a", "data");
		pass(world, 1);
		answers(world, "$-1", "session.get", "a");
		answers(world, "-SESSIONGONE the session of this id was deleted", "session.set",
			"a", "{}");
		answers(world, "$7\r\n{\"n\":2}", "session.get", id, "data");
		pass(world, 50 * S - 1);
		expire(world);
		answers(world, "-SESSIONGONE the session of this id was deleted", "session.set",
			"a", "{}");
		pass(world, 1);
		expire(world);
		stands(world, 1, 1, 0);
		answers(world, ":1", "session.del", id);
		pass(world, 60 * S);
		expire(world);
		stands(world, 0, 0, 0);
	}
}

static void the_id_before_the_one_before_means_nothing(void **state)
{
	struct world *world = *state;
	run(world, "session.create", "id", "a");
	const char *second = bulk(run(world, "session.rotate", "a", "grace", "10"));
	const char *third = bulk(run(world, "session.rotate", second, "grace", "10"));
	answers(world, ":0", "session.exists", "a");
	answers(world, ":2", "session.exists", second, third);
	answers(world, ":1", "session.del", second);
	answers(world, ":0", "session.exists", third);
	stands(world, 0, 0, 3);
}

#define test(name)    cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define several(name) cmocka_unit_test_setup_teardown(name, set_up_several, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(ends_at_its_end_and_not_before),
		test(a_use_moves_the_end),
		test(what_only_looks_moves_nothing),
		test(no_use_moves_the_absolute_end),
		test(a_use_is_written_when_it_moves_the_end_by_the_granularity),
		test(uses_are_written_when_their_memory_is_full),
		test(uses_are_kept_in_memory_while_the_disk_is_full),
		test(a_crash_never_shortens_and_lengthens_by_the_granularity),
		test(a_use_after_a_crash_is_exact_again),
		test(nothing_is_left_of_what_has_ended),
		test(what_was_looked_for_too_early_is_looked_for_again),
		several(uses_that_move_the_end_often_leave_nothing_behind),
		several(many_ends_at_once_are_seen_to_in_steps),
		test(a_session_made_anew_over_an_ended_one_is_one),
		several(a_tombstone_stands_for_its_time),
		test(an_absolute_end_is_as_final_as_a_deletion),
		test(who_saves_at_each_request_is_logged_out_at_the_absolute_end),
		test(a_sliding_end_leaves_the_id_to_who_means_a_new_one),
		test(without_tombstones_an_ended_id_is_free),
		test(an_end_is_known_whatever_form_ids_are_stored_in),
		several(an_id_that_was_changed_is_not_free_when_the_session_has_ended),
		several(a_changed_id_works_for_the_grace),
		several(the_id_before_the_one_before_means_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
