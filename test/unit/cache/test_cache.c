/*
 * What CACHE.SWR answers in every state, to the millisecond and from both tiers; who gets a lease
 * when, and what ends it; what is left of an entry after a restart.
 */
#include "cache_fixture.h"

#include <inttypes.h>

static int set_up(void **state)
{
	*state = world_new(1, 1);
	return 0;
}

/* Two workers: key `a` is on worker 1 and `b` on worker 0, or the other way round. */
static int set_up_two(void **state)
{
	*state = world_new(2, 1);
	return 0;
}

static int tear_down(void **state)
{
	world_free(*state);
	return 0;
}

/* Runs a test's body in each tier; on disk, nothing is in memory at all. */
static void in_both_tiers(struct world *world, void (*body)(struct world *world))
{
	static const int64_t tiers[] = { MEMORY_FULL, MEMORY_NONE };
	for (size_t i = 0; i < 2; i++) {
		world->rig.config.cache_memory_bytes = tiers[i];
		ask(world, "cache.del k l m");
		body(world);
	}
	world->rig.config.cache_memory_bytes = MEMORY_FULL;
}

/* --- the states ------------------------------------------------------------------------------- */

static void ages_to_the_millisecond(struct world *world)
{
	char token[64];
	ask(world, "cache.set k v TTL 2 STALE 5");
	is_answer(swr(world, "k WAIT 0"), "fresh", "v", 0);
	pass(world, 1999);
	is_answer(swr(world, "k WAIT 0"), "fresh", "v", 1999);
	assert_string_equal(ask(world, "cache.get k"), "$1\r\nv\r\n");
	pass(world, 1);
	assert_string_equal(ask(world, "cache.get k"), "$-1\r\n");
	struct answer answer = swr(world, "k WAIT 0 LEASE 3000");
	is_answer(answer, "refresh", "v", 2000);
	strcpy(token, answer.token);
	is_answer(swr(world, "k WAIT 0"), "stale", "v", 2000);
	pass(world, 2999);
	is_answer(swr(world, "k WAIT 1000"), "stale", "v", 4999);
	pass(world, 1); /* the lease is over as well */
	is_answer(swr(world, "k WAIT 0"), "lead", "", NOTHING);
	answer = swr(world, "k WAIT 0");
	is_answer(answer, "busy", "", NOTHING);
	assert_int_equal(answer.retry_ms, 10000);
	assert_true(ask(world, "cache.fill k %s late", token)[0] == '-');
}

static void says_fresh_before_ttl_and_stale_before_stale(void **state)
{
	in_both_tiers(*state, ages_to_the_millisecond);
}

static void overrides(struct world *world)
{
	ask(world, "cache.set k v TTL 10 STALE 20");
	pass(world, 5000);
	is_answer(swr(world, "k 6 6 WAIT 0"), "fresh", "v", 5000);
	is_answer(swr(world, "k 5 5 WAIT 0 LEASE 1"), "lead", "", NOTHING);
	pass(world, 1);
	is_answer(swr(world, "k 5 6 WAIT 0 LEASE 1"), "refresh", "v", 5001);
	is_answer(swr(world, "k 0 6 WAIT 0 LEASE 1"), "stale", "v", 5001);
	pass(world, 4999);
	is_answer(swr(world, "k 15 20 WAIT 0"), "fresh", "v", 10000);
	is_answer(swr(world, "k 0 0 WAIT 0 LEASE 1"), "lead", "", NOTHING);
	is_answer(swr(world, "k 20 20 WAIT 0"), "fresh", "v", 10000);
	pass(world, 9999);
	is_answer(swr(world, "k 20 20 WAIT 0"), "fresh", "v", 19999);
	pass(world, 1); /* nothing is kept longer than the entry's own lives */
	is_answer(swr(world, "k 30 40 WAIT 0 LEASE 1"), "lead", "", NOTHING);
	assert_true(ask(world, "cache.swr k 5 4")[0] == '-');
	assert_true(ask(world, "cache.swr k 5")[0] == '-');
}

static void a_caller_may_name_other_lives(void **state)
{
	in_both_tiers(*state, overrides);
}

static void without_lives(struct world *world)
{
	ask(world, "cache.set k v");
	pass(world, LIMIT_CACHE_AGE_MS - 1);
	is_answer(swr(world, "k WAIT 0"), "fresh", "v", LIMIT_CACHE_AGE_MS - 1);
	pass(world, 1);
	is_answer(swr(world, "k WAIT 0 LEASE 1"), "lead", "", NOTHING);
}

static void an_entry_without_a_life_lasts_for_366_days(void **state)
{
	in_both_tiers(*state, without_lives);
}

static void negative(struct world *world)
{
	struct answer answer = swr(world, "k WAIT 0");
	assert_string_equal(ask(world, "cache.absent k %s TTL 3", answer.token), "+OK\r\n");
	is_answer(swr(world, "k WAIT 0"), "absent", "", 0);
	assert_string_equal(ask(world, "cache.get k"), "$-1\r\n");
	pass(world, 2999);
	is_answer(swr(world, "k WAIT 0"), "absent", "", 2999);
	pass(world, 1);
	answer = swr(world, "k WAIT 0"); /* it is never served stale */
	is_answer(answer, "lead", "", NOTHING);
	assert_string_equal(ask(world, "cache.absent k %s", answer.token), "+OK\r\n");
	pass(world, 59999);
	is_answer(swr(world, "k WAIT 0"), "absent", "", 59999);
	ask(world, "cache.invalidate key k soft");
	is_answer(swr(world, "k WAIT 0 LEASE 1"), "lead", "", NOTHING);
	pass(world, 1);
	ask(world, "cache.set k TTL");
	is_answer(swr(world, "k WAIT 0"), "fresh", "TTL", 0);
}

static void a_negative_entry_is_absent_for_its_time(void **state)
{
	in_both_tiers(*state, negative);
}

/* Failures are remembered in memory alone. */
static void serves_what_is_stale_as_failed_until_the_retry(void **state)
{
	struct world *world = *state;
	ask(world, "cache.set k v TTL 2 STALE 100");
	pass(world, 2000);
	struct answer answer = swr(world, "k WAIT 0");
	assert_string_equal(
		ask(world, "cache.fail k %s RETRY 5000 MESSAGE why", answer.token), "+OK\r\n");
	for (int i = 0; i < 3; i++) {
		answer = swr(world, "k WAIT 100");
		is_answer(answer, "failed", "v", 2000);
		assert_int_equal(answer.retry_ms, 5000);
	}
	pass(world, 4999);
	answer = swr(world, "k WAIT 0");
	is_answer(answer, "failed", "v", 6999);
	assert_int_equal(answer.retry_ms, 1);
	pass(world, 1);
	answer = swr(world, "k WAIT 0");
	is_answer(answer, "refresh", "v", 7000);
	assert_string_equal(ask(world, "cache.fail k %s", answer.token), "+OK\r\n");
	answer = swr(world, "k WAIT 0");
	is_answer(answer, "failed", "v", 7000);
	assert_int_equal(answer.retry_ms, 10000);
	ask(world, "cache.set k w TTL 2"); /* a value ends it */
	is_answer(swr(world, "k WAIT 0"), "fresh", "w", 0);
	pass(world, 2000); /* and what is too old is nobody's */
	is_answer(swr(world, "k WAIT 0"), "lead", "", NOTHING);
}

static void a_failure_without_a_value_lets_the_next_try(void **state)
{
	struct world *world = *state;
	struct answer answer = swr(world, "k WAIT 0");
	ask(world, "cache.fail k %s RETRY 5000", answer.token);
	is_answer(swr(world, "k WAIT 0"), "lead", "", NOTHING);
}

/* Whose refresh came early has still a fresh value, and is told by RETRY when to try again. */
static void a_failed_early_refresh_is_not_tried_again_before_its_time(void **state)
{
	struct world *world = *state;
	struct answer answer = swr(world, "k WAIT 0");
	pass(world, 1000);
	ask(world, "cache.fill k %s v TTL 60 STALE 100", answer.token);
	pass(world, 59000);
	answer = swr(world, "k WAIT 0 EARLY 1000");
	is_answer(answer, "refresh", "v", 59000);
	ask(world, "cache.fail k %s RETRY 500", answer.token);
	is_answer(swr(world, "k WAIT 0 EARLY 1000"), "fresh", "v", 59000);
	pass(world, 499);
	is_answer(swr(world, "k WAIT 0 EARLY 1000"), "fresh", "v", 59499);
	pass(world, 1);
	is_answer(swr(world, "k WAIT 0 EARLY 1000"), "refresh", "v", 59500);
}

/* --- leases ----------------------------------------------------------------------------------- */

static void those_who_wait_get_what_is_filled(void **state)
{
	struct world *world = *state;
	struct engine_ticket *waits[3];
	struct answer answer = swr(world, "k WAIT 0");
	for (int i = 0; i < 3; i++)
		waits[i] = send(world, "cache.swr k WAIT 1000");
	pass(world, 999);
	assert_string_equal(ask(world, "cache.fill k %s v TTL 0", answer.token), "+OK\r\n");
	for (int i = 0; i < 3; i++)
		is_answer(answer_of(waits[i]), "fresh", "v", 0); /* although its life is over */
	is_answer(swr(world, "k WAIT 0 LEASE 1"), "lead", "", NOTHING);
	pass(world, 1);
	answer = swr(world, "k WAIT 0");
	waits[0] = send(world, "cache.swr k");
	ask(world, "cache.absent k %s", answer.token);
	is_answer(answer_of(waits[0]), "absent", "", 0);
}

static void who_waits_too_long_is_told_busy_at_that_moment(void **state)
{
	struct world *world = *state;
	swr(world, "k WAIT 0 LEASE 20000");
	struct engine_ticket *usual = send(world, "cache.swr k");
	struct engine_ticket *shorter = send(world, "cache.swr k WAIT 700");
	pass(world, 699);
	assert_false(shorter->done);
	pass(world, 1);
	is_answer(answer_of(shorter), "busy", "", NOTHING);
	assert_int_equal(answer_of(shorter).retry_ms, 19300);
	pass(world, 4299);
	assert_false(usual->done);
	pass(world, 1);
	is_answer(answer_of(usual), "busy", "", NOTHING);
}

/* Each way in which a lease ends hands it to exactly one. */
static void a_lease_is_handed_to_the_first_who_waits(void **state)
{
	struct world *world = *state;
	struct engine_ticket *waits[4];
	world->rig.client = 1;
	struct answer answer = swr(world, "k WAIT 0 LEASE 1000");
	for (int i = 0; i < 4; i++) {
		world->rig.client = (uint32_t)i + 2;
		waits[i] = send(world, "cache.swr k WAIT 20000 LEASE 1000");
	}
	ask(world, "cache.fail k %s", answer.token);
	is_answer(answer_of(waits[0]), "lead", "", NOTHING);
	assert_false(waits[1]->done);
	leases_forget_client(world->leases, 0, 2); /* whose lease it is now */
	is_answer(answer_of(waits[1]), "lead", "", NOTHING);
	assert_false(waits[2]->done);
	pass(world, 999);
	assert_false(waits[2]->done);
	pass(world, 1); /* its time is over */
	is_answer(answer_of(waits[2]), "lead", "", NOTHING);
	assert_false(waits[3]->done);
	ask(world, "cache.renew k %s 5000", answer_of(waits[2]).token);
	pass(world, 4999);
	assert_false(waits[3]->done);
	pass(world, 1);
	is_answer(answer_of(waits[3]), "lead", "", NOTHING);
	assert_string_equal(ask(world, "cache.fill k %s v", answer_of(waits[3]).token), "+OK\r\n");
}

static void an_ended_token_stores_nothing(void **state)
{
	static const char *const ends[] = { "cache.set k new", "cache.del k",
		"cache.invalidate key k", "cache.invalidate key k soft",
		"cache.invalidate prefix k", "cache.invalidate tag t soft",
		"cache.invalidate tag t", "cache.invalidate prefix k soft", "cache.fail k %s",
		"cache.absent k %s", "cache.fill k %s mine" };
	struct world *world = *state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		char command[128];
		ask(world, "cache.del k");
		char *token = swr(world, "k WAIT 0").token, kept[64];
		strcpy(kept, token);
		snprintf(command, sizeof(command), ends[i], kept);
		assert_true(ask(world, "%s", command)[0] != '-');
		const char *reply = ask(world, "cache.fill k %s late TAGS 1 t", kept);
		assert_memory_equal(reply, "-LEASELOST", 10);
		assert_memory_equal(ask(world, "cache.fail k %s", kept), "-LEASELOST", 10);
		assert_memory_equal(ask(world, "cache.renew k %s 1000", kept), "-LEASELOST", 10);
		assert_memory_equal(ask(world, "cache.absent k %s", kept), "-LEASELOST", 10);
		struct answer answer = swr(world, "k WAIT 0 LEASE 1");
		assert_string_not_equal(answer.value, "late");
		pass(world, 1);
	}
}

/* Another tag or prefix does a lease no harm. */
static void what_does_not_concern_a_key_leaves_its_lease(void **state)
{
	struct world *world = *state;
	struct answer answer = swr(world, "k WAIT 0");
	ask(world, "cache.invalidate tag other");
	ask(world, "cache.invalidate prefix kk");
	ask(world, "cache.invalidate key j");
	ask(world, "cache.del j l");
	assert_string_equal(ask(world, "cache.fill k %s v TAGS 1 t", answer.token), "+OK\r\n");
	is_answer(swr(world, "k WAIT 0"), "fresh", "v", 0);
}

/* When the fill is refused, the next who waits has to fetch. */
static void a_refused_fill_hands_the_lease_on(void **state)
{
	struct world *world = *state;
	struct answer answer = swr(world, "k WAIT 0");
	struct engine_ticket *waits = send(world, "cache.swr k");
	ask(world, "cache.invalidate prefix k");
	assert_false(waits->done);
	assert_memory_equal(ask(world, "cache.fill k %s v", answer.token), "-LEASELOST", 10);
	is_answer(answer_of(waits), "lead", "", NOTHING);
	ask(world, "cache.fill k %s w", answer_of(waits).token);
	is_answer(swr(world, "k WAIT 0"), "fresh", "w", 0);
}

static void those_who_wait_are_told_of_a_value_that_was_set(void **state)
{
	struct world *world = *state;
	swr(world, "k WAIT 0");
	struct engine_ticket *one = send(world, "cache.swr k");
	struct engine_ticket *two = send(world, "cache.swr k");
	ask(world, "cache.set k v");
	is_answer(answer_of(one), "fresh", "v", 0);
	is_answer(answer_of(two), "fresh", "v", 0);
	ask(world, "cache.del k");
	swr(world, "k WAIT 0");
	one = send(world, "cache.swr k");
	two = send(world, "cache.swr k WAIT 100");
	ask(world, "cache.del k"); /* one of them leads, the other goes on waiting */
	is_answer(answer_of(one), "lead", "", NOTHING);
	assert_false(two->done);
	pass(world, 100);
	is_answer(answer_of(two), "busy", "", NOTHING);
}

/* Only the first LIMIT_LEASE_WAITERS may wait. */
static void too_many_are_told_busy_at_once(void **state)
{
	struct world *world = *state;
	swr(world, "k WAIT 0");
	for (int i = 0; i < LIMIT_LEASE_WAITERS; i++)
		assert_false(send(world, "cache.swr k")->done);
	struct engine_ticket *ticket = send(world, "cache.swr k");
	is_answer(answer_of(ticket), "busy", "", NOTHING);
	ask(world, "cache.set k v");
}

/* A command for several shards holds the key's shard, and what is sent meanwhile piles up: the one
 * who was promoted comes after what was sent before the promotion. */
static void who_was_promoted_and_lost_the_lease_again_asks_anew(void **state)
{
	struct world *world = *state;
	char key[ENGINE_RIG_KEY_BYTES], other[ENGINE_RIG_KEY_BYTES];
	engine_rig_key(&world->rig, 0, 0, key);
	engine_rig_key(&world->rig, 1, 0, other);
	struct answer answer = swr(world, "%s WAIT 0", key);
	struct engine_ticket *waits = send(world, "cache.swr %s", key);
	engine_rig_deliver(&world->rig);
	assert_false(waits->done);
	struct engine_ticket *holds = send(world, "mset %s 1 %s 2", key, other);
	struct engine_ticket *fails = send(world, "cache.fail %s %s", key, answer.token);
	struct engine_ticket *deletes = send(world, "cache.del %s", key);
	assert_false(holds->done || fails->done || deletes->done);
	engine_rig_deliver(&world->rig);
	assert_true(fails->order < deletes->order && deletes->order < waits->order);
	is_answer(answer_of(waits), "lead", "", NOTHING);
	is_answer(swr(world, "%s WAIT 0", key), "busy", "", NOTHING); /* it does hold the lease */
	assert_string_equal(
		ask(world, "cache.fill %s %s v", key, answer_of(waits).token), "+OK\r\n");
}

/* What was filled is gone again before those who waited have their turn. */
static void those_who_missed_a_fill_go_on_waiting(void **state)
{
	struct world *world = *state;
	char key[ENGINE_RIG_KEY_BYTES], other[ENGINE_RIG_KEY_BYTES];
	engine_rig_key(&world->rig, 0, 0, key);
	engine_rig_key(&world->rig, 1, 0, other);
	struct answer answer = swr(world, "%s WAIT 0", key);
	struct engine_ticket *one = send(world, "cache.swr %s", key);
	struct engine_ticket *two = send(world, "cache.swr %s WAIT 500", key);
	send(world, "mset %s 1 %s 2", key, other);
	send(world, "cache.fill %s %s v", key, answer.token);
	send(world, "cache.del %s", key);
	engine_rig_deliver(&world->rig);
	is_answer(answer_of(one), "lead", "", NOTHING);
	assert_false(two->done);
	ask(world, "cache.fill %s %s w", key, answer_of(one).token);
	is_answer(answer_of(two), "fresh", "w", 0);
}

/* The waiters of the other worker's shard are told by its own thread, at its next look. */
static void a_deletion_of_several_shards_ends_their_leases(void **state)
{
	struct world *world = *state;
	char keys[2][ENGINE_RIG_KEY_BYTES];
	struct engine_ticket *waits[2];
	struct answer answers[2];
	for (uint16_t i = 0; i < 2; i++) {
		engine_rig_key(&world->rig, i, 0, keys[i]);
		answers[i] = swr(world, "%s WAIT 0", keys[i]);
		waits[i] = send(world, "cache.swr %s", keys[i]);
	}
	engine_rig_deliver(&world->rig);
	ask(world, "cache.del %s %s", keys[0], keys[1]);
	for (uint16_t i = 0; i < 2; i++)
		assert_memory_equal(ask(world, "cache.fill %s %s v", keys[i], answers[i].token),
			"-LEASELOST", 10);
	expire(world);
	for (uint16_t i = 0; i < 2; i++)
		is_answer(answer_of(waits[i]), "lead", "", NOTHING);
}

/* --- invalidation ----------------------------------------------------------------------------- */

static void softly(struct world *world)
{
	static const char *const ways[] = { "tag t", "prefix k", "key k" };
	for (size_t i = 0; i < 3; i++) {
		ask(world, "cache.set k v TTL 10 STALE 20 TAGS 2 s t");
		pass(world, 1000);
		assert_string_equal(ask(world, "cache.invalidate %s soft", ways[i]), "+OK\r\n");
		assert_string_equal(ask(world, "cache.get k"), "$-1\r\n");
		struct answer answer = swr(world, "k WAIT 0");
		is_answer(answer, "refresh", "v", 1000);
		pass(world, 1000);
		is_answer(swr(world, "k WAIT 0"), "stale", "v", 2000);
		/* The refreshed value has the lives that the entry was given. */
		assert_string_equal(
			ask(world, "cache.fill k %s w TAGS 1 t", answer.token), "+OK\r\n");
		pass(world, 9999);
		is_answer(swr(world, "k WAIT 0"), "fresh", "w", 9999);
		pass(world, 1);
		is_answer(swr(world, "k WAIT 0 LEASE 1"), "refresh", "w", 10000);
		ask(world, "cache.invalidate %s soft", ways[i]);
		pass(world, 9999); /* no longer than it would have been served */
		is_answer(swr(world, "k WAIT 0 LEASE 1"), "refresh", "w", 19999);
		pass(world, 1);
		is_answer(swr(world, "k WAIT 0 LEASE 1"), "lead", "", NOTHING);
		pass(world, 1);
	}
}

static void soft_invalidation_makes_stale(void **state)
{
	in_both_tiers(*state, softly);
}

static void hard(struct world *world)
{
	static const char *const ways[] = { "tag t", "prefix k", "key k" };
	for (size_t i = 0; i < 3; i++) {
		ask(world, "cache.set k v TAGS 2 s t");
		ask(world, "cache.set l v TAGS 1 s");
		assert_string_equal(ask(world, "cache.invalidate %s", ways[i]), "+OK\r\n");
		assert_string_equal(ask(world, "cache.get k"), "$-1\r\n");
		is_answer(swr(world, "k WAIT 0 LEASE 1"), "lead", "", NOTHING);
		is_answer(swr(world, "l WAIT 0"), "fresh", "v", 0);
		pass(world, 1);
		ask(world, "cache.set k w TAGS 1 t"); /* what comes later is not concerned */
		is_answer(swr(world, "k WAIT 0"), "fresh", "w", 0);
	}
}

static void hard_invalidation_makes_gone(void **state)
{
	in_both_tiers(*state, hard);
}

static void hard_then_soft(struct world *world)
{
	ask(world, "cache.set k v TAGS 1 t");
	ask(world, "cache.invalidate tag t");
	ask(world, "cache.invalidate key k soft");
	is_answer(swr(world, "k WAIT 0 LEASE 1"), "lead", "", NOTHING);
	pass(world, 1);
	ask(world, "cache.set k v TAGS 1 t");
	ask(world, "cache.invalidate tag t soft");
	ask(world, "cache.invalidate key k soft");
	is_answer(swr(world, "k WAIT 0 LEASE 1"), "refresh", "v", 0);
	pass(world, 1);
	ask(world, "cache.invalidate tag t");
	is_answer(swr(world, "k WAIT 0 LEASE 1"), "lead", "", NOTHING);
	pass(world, 1);
}

static void what_is_gone_does_not_come_back_as_stale(void **state)
{
	in_both_tiers(*state, hard_then_soft);
}

/* --- lives that a fill leaves out ------------------------------------------------------------- */

static void a_fill_without_lives_has_those_of_before(void **state)
{
	struct world *world = *state;
	ask(world, "cache.set k v TTL 10 STALE 20");
	for (int i = 0; i < 5; i++) {
		pass(world, 10000);
		struct answer answer = swr(world, "k WAIT 0");
		is_answer(answer, "refresh", "v", 10000);
		assert_string_equal(ask(world, "cache.fill k %s v", answer.token), "+OK\r\n");
		is_answer(swr(world, "k WAIT 0"), "fresh", "v", 0);
	}
	ask(world, "cache.set k v");
	ask(world, "cache.invalidate key k soft");
	struct answer answer = swr(world, "k WAIT 0");
	ask(world, "cache.fill k %s w", answer.token);
	assert_non_null(strstr(ask(world, "cache.info k"), "ttl-ms\r\n:-1\r\n"));
}

static void has_lives(struct world *world, int64_t ttl_ms, int64_t stale_ms)
{
	char wanted[96];
	snprintf(wanted, sizeof(wanted),
		"ttl-ms\r\n:%" PRId64 "\r\n$8\r\nstale-ms\r\n:%" PRId64 "\r\n", ttl_ms, stale_ms);
	assert_non_null(strstr(ask(world, "cache.info k"), wanted));
}

static void a_fill_without_lives_has_those_that_its_call_was_granted_with(void **state)
{
	struct world *world = *state;
	struct answer answer = swr(world, "k 9 36 WAIT 0");
	is_answer(answer, "lead", "", NOTHING);
	/* Those of who did not get the lease say nothing. */
	is_answer(swr(world, "k 1 1 WAIT 0"), "busy", "", NOTHING);
	assert_string_equal(ask(world, "cache.fill k %s v", answer.token), "+OK\r\n");
	has_lives(world, 9000, 36000);
	pass(world, 9000);
	answer = swr(world, "k 5 20 WAIT 0");
	is_answer(answer, "refresh", "v", 9000);
	ask(world, "cache.fill k %s w STALE 30", answer.token);
	has_lives(world, 5000, 30000);
	pass(world, 5000);
	answer = swr(world, "k 6 6 EARLY 1000 WAIT 0");
	answer = answer.token[0] ? answer : swr(world, "k 5 5 WAIT 0");
	ask(world, "cache.fill k %s w TTL 7", answer.token);
	has_lives(world, 7000, 7000);
	/* A lease without lives leaves those of the entry. */
	pass(world, 7000);
	answer = swr(world, "k WAIT 0");
	is_answer(answer, "lead", "", NOTHING);
	assert_string_equal(ask(world, "cache.fill k %s w", answer.token), "+OK\r\n");
	has_lives(world, -1, LIMIT_CACHE_AGE_MS);
}

static void who_waited_and_leads_gives_its_own_lives(void **state)
{
	struct world *world = *state;
	struct answer first = swr(world, "k 9 36 WAIT 0");
	char text[] = "cache.swr k 4 8 WAIT 1000";
	struct engine_ticket *waiting = send_text(world, 0, text);
	engine_rig_deliver(&world->rig);
	ask(world, "cache.fail k %s", first.token);
	struct answer second = answer_of(waiting);
	assert_string_equal(second.state, "lead");
	assert_string_equal(ask(world, "cache.fill k %s v", second.token), "+OK\r\n");
	has_lives(world, 4000, 8000);
}

static void a_fill_without_tags_is_judged_by_those_that_the_entry_had(void **state)
{
	struct world *world = *state;
	ask(world, "cache.set k v TTL 1 STALE 100 TAGS 1 t");
	pass(world, 1000);
	struct answer answer = swr(world, "k WAIT 0");
	is_answer(answer, "refresh", "v", 1000);
	ask(world, "cache.invalidate tag t");
	assert_string_equal(swr(world, "k WAIT 0").state, "busy");
	const char *reply = ask(world, "cache.fill k %s late", answer.token);
	assert_memory_equal(reply, "-LEASELOST", 10);
	answer = swr(world, "k WAIT 0");
	assert_string_equal(answer.state, "lead");
	assert_string_equal(ask(world, "cache.fill k %s new", answer.token), "+OK\r\n");
}

static void jitter_of_inherited_lives_does_not_add_up(void **state)
{
	struct world *world = *state;
	ask(world, "cache.set k v TTL 10 STALE 20 JITTER 5");
	for (int i = 0; i < 50; i++) {
		pass(world, 15000);
		struct answer answer = swr(world, "k WAIT 0");
		is_answer(answer, "refresh", "v", 15000);
		ask(world, "cache.fill k %s v JITTER 5", answer.token);
	}
}

static void jitter_never_keeps_longer_than_invalidations_are_remembered(void **state)
{
	struct world *world = *state;
	const long long most_s = LIMIT_CACHE_AGE_MS / 1000;
	for (int i = 0; i < 20; i++) {
		ask(world, "cache.set k%d v TTL %lld JITTER %lld TAGS 1 t", i, most_s - i, most_s);
		ask(world, "cache.set l%d v TTL 1 STALE %lld JITTER %lld", i, most_s, most_s);
	}
	ask(world, "cache.invalidate tag t");
	audit(world);
	pass(world, LIMIT_CACHE_AGE_MS);
	expire(world); /* the mark as well */
	for (int i = 0; i < 20; i++)
		is_answer(swr(world, "k%d WAIT 0", i), "lead", "", NOTHING);
}

/* --- over restarts ---------------------------------------------------------------------------- */

static void comes_back_after_a_restart(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 3; i++) {
		bool crash = i > 0;
		ask(world, "cache.set k v TTL 10 STALE 20 TAGS 1 t");
		ask(world, "cache.set l v TAGS 1 u");
		ask(world, "cache.set m v TAGS 1 w");
		struct answer answer = swr(world, "none%d WAIT 0", i);
		ask(world, "cache.absent none%d %s TTL 10", i, answer.token);
		answer = swr(world, "lost WAIT 0");
		ask(world, "cache.invalidate tag u");
		ask(world, "cache.invalidate tag w soft");
		engine_rig_settle(&world->rig);
		if (i == 2)
			engine_rig_checkpoint(&world->rig);
		restart(world, crash);
		pass(world, 1);
		is_answer(swr(world, "k WAIT 0"), "fresh", "v", 1);
		is_answer(swr(world, "l WAIT 0 LEASE 1"), "lead", "", NOTHING);
		is_answer(swr(world, "m WAIT 0 LEASE 1"), "refresh", "v", 1);
		is_answer(swr(world, "none%d WAIT 0", i), "absent", "", 1);
		/* Tokens do not survive. */
		assert_memory_equal(
			ask(world, "cache.fill lost %s v", answer.token), "-LEASELOST", 10);
		pass(world, 9999);
		is_answer(swr(world, "k WAIT 0 LEASE 1"), "refresh", "v", 10000);
		pass(world, 10000);
		is_answer(swr(world, "k WAIT 0 LEASE 1"), "lead", "", NOTHING);
		audit(world);
	}
}

/* A write that has seen an invalidation may be durable, and the invalidation not: another worker's
 * turn has numbered it and has not appended it yet. */
static void put_as_if_after_one_more(struct turn *turn)
{
	static const struct slice tag = { "t", 1 };
	struct cache_record record = {
		.filled_ms = turn->now_ms,
		.ttl_ms = 1000000,
		.stale_ms = 1000000,
		.sequence = marks_latest(cache_marks(turn)) + 1,
		.tag_count = 1,
		.tags = cache_tags_pack(&tag, 1, turn_arena(turn)),
		.value = slice_text("v"),
	};
	cache_put(turn, turn_argument(turn, 1), &record);
	writer_ok(&turn->writer);
}

static const struct command put_ahead = {
	.name = "put ahead",
	.arity = 2,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE,
	.key_first = 1,
	.key_last = 1,
	.key_step = 1,
	.run = put_as_if_after_one_more,
};

static void a_lost_invalidation_does_not_make_later_ones_fail(void **state)
{
	struct world *world = *state;
	ask(world, "cache.invalidate tag t");
	engine_rig_settle(&world->rig);
	for (int boot = 0; boot < 5; boot++) {
		char key[8];
		snprintf(key, sizeof(key), "k%d", boot);
		engine_rig_send_command(&world->rig, 0, &put_ahead, "put", key, NULL);
		engine_rig_settle(&world->rig);
		restart(world, true);
		is_answer(swr(world, "%s WAIT 0", key), "fresh", "v", 0);
		if (boot % 2)
			continue;
		ask(world, "cache.invalidate tag t");
		is_answer(swr(world, "%s WAIT 0 LEASE 1", key), "lead", "", NOTHING);
		pass(world, 1);
	}
	ask(world, "cache.invalidate tag t");
	for (int boot = 0; boot < 5; boot++)
		is_answer(swr(world, "k%d WAIT 0", boot), "lead", "", NOTHING);
}

static int stored_marks(struct world *world)
{
	struct arena arena;
	struct cursor cursor;
	struct slice store_key;
	struct value value;
	int count = 0;
	arena_init(&arena, 1024);
	open_table(&cursor, world, 0, &arena, TABLE_CACHE_MARK);
	while (cursor_next(&cursor, &store_key, &value))
		count++;
	cursor_close(&cursor);
	arena_fini(&arena);
	return count;
}

/* Within memory and on disk, whatever is invalidated; what was invalidated stays so, and what came
 * later than all that was folded is served. */
static void invalidations_have_a_bound(void **state)
{
	enum { TAGS = 3000, BYTES = 100000, MOST = BYTES / 64 };
	struct world *world = *state;
	world->rig.config.cache_invalidation_bytes = BYTES;
	ask(world, "cache.set first v TAGS 1 t0");
	ask(world, "cache.set second v TAGS 1 s0");
	ask(world, "cache.set bare v");
	ask(world, "cache.set api:1 v");
	ask(world, "cache.invalidate tag t0");
	for (int i = 1; i < TAGS; i++)
		ask(world, "cache.invalidate tag t%d", i);
	ask(world, "cache.set late v TAGS 1 t%d", TAGS);
	for (int boot = 0; boot < 2; boot++) {
		int stored = stored_marks(world);
		assert_in_range(stored, 100, MOST);
		is_answer(swr(world, "first WAIT 0 LEASE 1"), "lead", "", NOTHING);
		is_answer(swr(world, "bare WAIT 0"), "fresh", "v", 0);
		is_answer(swr(world, "late WAIT 0"), "fresh", "v", 0);
		restart(world, boot);
		assert_int_equal(stored_marks(world), stored);
	}
	/* Its tag was never invalidated, but others were that are folded. */
	is_answer(swr(world, "second WAIT 0 LEASE 1"), "lead", "", NOTHING);
	for (int i = 0; i < TAGS; i++)
		ask(world, "cache.invalidate prefix none:%d soft", i);
	is_answer(swr(world, "api:1 WAIT 0 LEASE 1"), "refresh", "v", 0);
	ask(world, "cache.set api:2 v");
	is_answer(swr(world, "api:2 WAIT 0"), "fresh", "v", 0);
	/* A bound that was lowered is reached as others come. */
	world->rig.config.cache_invalidation_bytes = BYTES / 10;
	for (int i = 0; i < 100; i++)
		ask(world, "cache.invalidate tag x");
	assert_in_range(stored_marks(world), 10, MOST / 10);
}

static void invalidations_are_remembered_for_366_days(void **state)
{
	struct world *world = *state;
	const int64_t half = LIMIT_CACHE_AGE_MS / 2;
	ask(world, "cache.set l v TAGS 1 u"); /* to the last millisecond of the longest life */
	ask(world, "cache.invalidate tag u");
	pass(world, LIMIT_CACHE_AGE_MS - 1);
	expire(world);
	is_answer(swr(world, "l WAIT 0 LEASE 1"), "lead", "", NOTHING);
	ask(world, "cache.invalidate tag t");
	pass(world, half);
	expire(world);
	ask(world, "cache.set k v TAGS 1 t");
	ask(world, "cache.invalidate tag t"); /* it is remembered anew from now on */
	pass(world, half);
	expire(world);
	restart(world, false);
	is_answer(swr(world, "k WAIT 0 LEASE 1"), "lead", "", NOTHING);
	pass(world, half);
	expire(world);
	assert_int_equal(stored_marks(world), 1); /* how many there were */
}

int main(void)
{
#define WITH(test)     cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define WITH_TWO(test) cmocka_unit_test_setup_teardown(test, set_up_two, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(says_fresh_before_ttl_and_stale_before_stale),
		WITH(a_caller_may_name_other_lives),
		WITH(an_entry_without_a_life_lasts_for_366_days),
		WITH(a_negative_entry_is_absent_for_its_time),
		WITH(serves_what_is_stale_as_failed_until_the_retry),
		WITH(a_failure_without_a_value_lets_the_next_try),
		WITH(a_failed_early_refresh_is_not_tried_again_before_its_time),
		WITH(those_who_wait_get_what_is_filled),
		WITH(who_waits_too_long_is_told_busy_at_that_moment),
		WITH(a_lease_is_handed_to_the_first_who_waits),
		WITH(an_ended_token_stores_nothing),
		WITH(what_does_not_concern_a_key_leaves_its_lease),
		WITH(a_refused_fill_hands_the_lease_on),
		WITH(those_who_wait_are_told_of_a_value_that_was_set),
		WITH(too_many_are_told_busy_at_once),
		WITH_TWO(who_was_promoted_and_lost_the_lease_again_asks_anew),
		WITH_TWO(those_who_missed_a_fill_go_on_waiting),
		WITH_TWO(a_deletion_of_several_shards_ends_their_leases),
		WITH(soft_invalidation_makes_stale),
		WITH(hard_invalidation_makes_gone),
		WITH(what_is_gone_does_not_come_back_as_stale),
		WITH(a_fill_without_lives_has_those_of_before),
		WITH(a_fill_without_lives_has_those_that_its_call_was_granted_with),
		WITH(who_waited_and_leads_gives_its_own_lives),
		WITH(a_fill_without_tags_is_judged_by_those_that_the_entry_had),
		WITH(jitter_of_inherited_lives_does_not_add_up),
		WITH(jitter_never_keeps_longer_than_invalidations_are_remembered),
		WITH(comes_back_after_a_restart),
		WITH(a_lost_invalidation_does_not_make_later_ones_fail),
		WITH(invalidations_have_a_bound),
		WITH(invalidations_are_remembered_for_366_days),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
