/*
 * Leases, rule by rule. Time is what the test passes in; what waiters were told is written down as
 * a text: each waiter's letter and the outcome's, in the order in which they were told.
 */
#include "lease/lease.h"

#include "base/memory.h"
#include "holdfast/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WAITERS_MAX 4
#define LEASES_MAX  100000
#define DURATION_MS 100
#define WAIT_MS     1000

static struct lease_table *table;
static char story[256];

struct waiter {
	struct lease_waiter lease;
	char letter;
	void (*then)(struct waiter *waiter); /* done when it is told; NULL: nothing */
	enum lease_outcome outcome;
};

static void told(struct lease_waiter *lease, enum lease_outcome outcome)
{
	struct waiter *waiter = (struct waiter *)lease;
	const char *letters = "GFVTD"; /* granted, filled, void, timed out, dropped */
	size_t size = strlen(story);
	assert_true(size + 4 < sizeof(story));
	snprintf(story + size, sizeof(story) - size, "%s%c%c", size ? " " : "", waiter->letter,
		letters[outcome]);
	waiter->outcome = outcome;
	assert_null(lease->line);
	if (waiter->then)
		waiter->then(waiter);
}

static struct waiter new_waiter(char letter)
{
	return (struct waiter){ .lease.told = told, .letter = letter };
}

static void assert_story(const char *expected)
{
	assert_string_equal(story, expected);
	story[0] = '\0';
}

static int set_up(void **state)
{
	table = lease_table_new(1, 2, LEASES_MAX, WAITERS_MAX);
	story[0] = '\0';
	return 0;
}

static int tear_down(void **state)
{
	lease_table_free(&table);
	assert_null(table);
	return 0;
}

static enum lease_answer ask(const char *subject, struct waiter *waiter, uint64_t holder,
	int64_t now_ms, struct lease_grant *out)
{
	struct lease_terms terms = { DURATION_MS, WAIT_MS, holder, false };
	return lease_ask(table, slice_text(subject), slice_text(""), &terms,
		waiter ? &waiter->lease : NULL, now_ms, out);
}

/* Asks for what nobody holds. */
static struct lease_grant take(const char *subject, uint64_t holder, int64_t now_ms)
{
	struct lease_grant grant;
	assert_int_equal(ask(subject, NULL, holder, now_ms, &grant), LEASE_NOW);
	assert_int_equal(strlen(grant.token), LEASE_TOKEN_BYTES);
	assert_int_equal(grant.ms, DURATION_MS);
	return grant;
}

static void wait_for(const char *subject, struct waiter *waiter, uint64_t holder, int64_t now_ms)
{
	struct lease_grant grant;
	assert_int_equal(ask(subject, waiter, holder, now_ms, &grant), LEASE_WAITS);
	assert_string_equal(grant.token, "");
}

static bool holds(const char *subject, const struct lease_grant *grant, int64_t now_ms)
{
	return lease_holds(
		table, slice_text(subject), slice_text(""), slice_text(grant->token), now_ms);
}

static bool renew(const char *subject, const struct lease_grant *grant, int64_t ms, int64_t now_ms)
{
	return lease_renew(
		table, slice_text(subject), slice_text(""), slice_text(grant->token), ms, now_ms);
}

static bool give_back(const char *subject, const struct lease_grant *grant, int64_t now_ms)
{
	return lease_release(
		table, slice_text(subject), slice_text(""), slice_text(grant->token), now_ms);
}

static bool commit(const char *subject, const struct lease_grant *grant, int64_t now_ms)
{
	return lease_commit(
		table, slice_text(subject), slice_text(""), slice_text(grant->token), now_ms);
}

/* --- who is granted it ------------------------------------------------------------------------ */

static void grants_to_the_first_and_to_nobody_else_while_it_is_held(void **state)
{
	struct lease_grant grant = take("s", 0, 0), other;
	for (int64_t now_ms = 0; now_ms < DURATION_MS; now_ms++) {
		assert_int_equal(ask("s", NULL, 0, now_ms, &other), LEASE_HELD);
		assert_int_equal(other.ms, DURATION_MS - now_ms);
		assert_string_equal(other.token, "");
		assert_true(holds("s", &grant, now_ms));
	}
}

static void does_not_let_a_caller_wait_that_brings_no_time(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	struct waiter waiter = new_waiter('a');
	struct lease_terms terms = { DURATION_MS, 0, 0, false };
	assert_int_equal(
		lease_ask(table, slice_text("s"), slice_text(""), &terms, &waiter.lease, 0, &grant),
		LEASE_HELD);
	assert_null(waiter.lease.line);
}

static void treats_the_holder_who_asks_again_like_others(void **state)
{
	struct lease_grant grant = take("s", 7, 0), again;
	assert_int_equal(ask("s", NULL, 7, 0, &again), LEASE_HELD);
	assert_true(holds("s", &grant, 0));
}

static void keeps_subjects_and_purposes_apart(void **state)
{
	static const char *const names[][2] = { { "ab", "c" }, { "a", "bc" }, { "abc", "" },
		{ "", "abc" }, { "", "" }, { "ab", "" } };
	const size_t count = sizeof(names) / sizeof(*names);
	struct lease_terms terms = { DURATION_MS, 0, 0, false };
	struct lease_grant grants[sizeof(names) / sizeof(*names)];
	for (size_t i = 0; i < count; i++)
		assert_int_equal(lease_ask(table, slice_text(names[i][0]), slice_text(names[i][1]),
					 &terms, NULL, 0, &grants[i]),
			LEASE_NOW);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++)
			assert_int_equal(
				lease_holds(table, slice_text(names[i][0]), slice_text(names[i][1]),
					slice_text(grants[j].token), 0),
				i == j);
	}
}

static void takes_the_longest_names_with_any_bytes(void **state)
{
	static char subject[LIMIT_STORE_KEY_BYTES], purpose[LIMIT_LEASE_PURPOSE_BYTES];
	struct lease_terms terms = { LIMIT_LEASE_MS, LIMIT_LEASE_MS, UINT64_MAX, false };
	struct slice whole = slice_of(subject, sizeof(subject));
	struct slice all = slice_of(purpose, sizeof(purpose));
	struct slice shorter = slice_of(subject, sizeof(subject) - 1);
	struct lease_grant grant, other;
	assert_int_equal(lease_ask(table, whole, all, &terms, NULL, 0, &grant), LEASE_NOW);
	assert_int_equal(lease_ask(table, shorter, all, &terms, NULL, 0, &other), LEASE_NOW);
	assert_int_equal(lease_ask(table, whole, all, &terms, NULL, 0, &other), LEASE_HELD);
	assert_int_equal(other.ms, LIMIT_LEASE_MS);
	assert_true(lease_commit(
		table, whole, all, slice_text(grant.token), (int64_t)LIMIT_LEASE_MS - 1));
}

static void another_table_knows_none_of_its_tokens(void **state)
{
	struct lease_grant grant = take("s", 0, 0), other;
	struct lease_table *second = lease_table_new(1, 3, LEASES_MAX, WAITERS_MAX);
	struct lease_terms terms = { DURATION_MS, 0, 0, false };
	assert_int_equal(
		lease_ask(second, slice_text("s"), slice_text(""), &terms, NULL, 0, &other),
		LEASE_NOW);
	assert_string_not_equal(grant.token, other.token);
	assert_false(
		lease_holds(second, slice_text("s"), slice_text(""), slice_text(grant.token), 0));
	lease_table_free(&second);
}

/* --- how it ends ------------------------------------------------------------------------------ */

static void a_commit_ends_it_and_tells_all_in_line(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	struct waiter a = new_waiter('a'), b = new_waiter('b'), c = new_waiter('c');
	wait_for("s", &a, 0, 1);
	wait_for("s", &b, 0, 2);
	wait_for("s", &c, 0, 3);
	assert_true(commit("s", &grant, 4));
	assert_story("aF bF cF");
	assert_false(holds("s", &grant, 4));
	assert_false(commit("s", &grant, 4));
	take("s", 0, 4);
}

static void a_release_grants_it_to_the_first_in_line_alone(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	struct waiter a = new_waiter('a'), b = new_waiter('b');
	wait_for("s", &a, 0, 1);
	wait_for("s", &b, 0, 1);
	assert_true(give_back("s", &grant, 50));
	assert_story("aG");
	assert_false(holds("s", &grant, 50));
	assert_true(holds("s", &a.lease.grant, 50 + DURATION_MS - 1));
	assert_int_equal(a.lease.grant.ms, DURATION_MS);
	assert_false(give_back("s", &grant, 50));
	assert_true(give_back("s", &a.lease.grant, 60));
	assert_story("bG");
	assert_true(commit("s", &b.lease.grant, 70));
	assert_story("");
}

static void lets_nobody_in_before_those_in_line(void **state)
{
	struct lease_grant grant = take("s", 0, 0), other;
	struct waiter a = new_waiter('a'), b = new_waiter('b');
	wait_for("s", &a, 0, 1);
	/* Its time is over, and no lease_run came: the one in line has it all the same. */
	assert_int_equal(ask("s", NULL, 0, DURATION_MS, &other), LEASE_HELD);
	assert_story("aG");
	assert_int_equal(other.ms, DURATION_MS);
	wait_for("s", &b, 0, DURATION_MS);
	assert_true(give_back("s", &a.lease.grant, DURATION_MS));
	assert_int_equal(ask("s", NULL, 0, DURATION_MS, &other), LEASE_HELD);
	assert_story("bG");
	assert_false(commit("s", &grant, DURATION_MS));
}

static void its_time_ends_it_and_grants_it_to_the_first_in_line(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	struct waiter a = new_waiter('a'), b = new_waiter('b');
	wait_for("s", &a, 0, 1);
	wait_for("s", &b, 0, 1);
	assert_int_equal(lease_next_ms(table), DURATION_MS);
	lease_run(table, DURATION_MS - 1);
	assert_story("");
	lease_run(table, DURATION_MS);
	assert_story("aG");
	assert_int_equal(lease_next_ms(table), 2 * DURATION_MS);
	assert_false(commit("s", &grant, DURATION_MS));
	lease_run(table, 2 * DURATION_MS);
	assert_story("bG");
	lease_run(table, 3 * DURATION_MS);
	assert_int_equal(lease_next_ms(table), INT64_MAX);
	assert_int_equal(lease_table_stats(table)->timed_out, 3);
}

static void a_token_is_good_until_its_deadline_and_never_after(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	assert_true(holds("s", &grant, DURATION_MS - 1));
	assert_false(holds("s", &grant, DURATION_MS));
	/* Nobody took it meanwhile, and still it is dead. */
	assert_false(renew("s", &grant, 10, DURATION_MS));
	assert_false(commit("s", &grant, DURATION_MS));
	assert_false(give_back("s", &grant, DURATION_MS));
	/* A clock that was read earlier does not bring it back. */
	assert_false(commit("s", &grant, DURATION_MS - 1));
	assert_false(holds("s", &grant, DURATION_MS - 1));
}

static void a_note_stays_with_its_token_alone(void **state)
{
	struct lease_note note = { { 1, 2 } }, found;
	struct lease_grant grant = take("s", 0, 0), refused;
	struct slice subject = slice_text("s"), none = slice_text("");
	struct slice token = slice_text(grant.token);
	assert_true(lease_note_get(table, subject, none, token, &found));
	assert_int_equal(found.words[0], 0);
	assert_true(lease_note_set(table, subject, none, token, &note));
	assert_true(lease_note_get(table, subject, none, token, &found));
	assert_memory_equal(&found, &note, sizeof(note));
	assert_false(lease_note_get(table, subject, none, slice_text("x"), &found));
	assert_false(lease_note_set(table, slice_text("t"), none, token, &note));
	struct waiter waiter = new_waiter('a');
	assert_int_equal(ask("s", &waiter, 0, 1, &refused), LEASE_WAITS);
	assert_true(lease_release(table, subject, none, token, 2));
	assert_story("aG");
	assert_false(lease_note_get(table, subject, none, token, &found));
	token = slice_text(waiter.lease.grant.token);
	assert_true(lease_note_get(table, subject, none, token, &found));
	assert_int_equal(found.words[1], 0);
}

static void a_renewal_counts_from_now_be_it_longer_or_shorter(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	assert_true(renew("s", &grant, 500, 50));
	assert_int_equal(lease_next_ms(table), 550);
	assert_true(holds("s", &grant, 549));
	assert_true(renew("s", &grant, 10, 60));
	assert_int_equal(lease_next_ms(table), 70);
	assert_false(holds("s", &grant, 70));
	lease_run(table, 70);
	take("s", 0, 70);
}

static void only_its_own_token_does_anything(void **state)
{
	struct lease_grant grant = take("s", 0, 0), other = take("t", 0, 0);
	struct lease_grant bad[] = { other, grant, grant, grant };
	bad[1].token[LEASE_TOKEN_BYTES - 1] = '\0';
	bad[2].token[0] ^= 1;
	bad[3].token[0] = '\0';
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_false(holds("s", &bad[i], 0));
		assert_false(renew("s", &bad[i], 1, 0));
		assert_false(give_back("s", &bad[i], 0));
		assert_false(commit("s", &bad[i], 0));
		assert_false(commit("nobody's", &bad[i], 0));
	}
	assert_true(commit("s", &grant, 0));
}

static void a_void_ends_every_lease_of_the_subject_whatever_its_purpose(void **state)
{
	struct lease_terms terms = { DURATION_MS, WAIT_MS, 0, false };
	struct waiter a = new_waiter('a'), b = new_waiter('b');
	struct lease_grant grants[3], kept = take("t", 0, 0), waits;
	static const char *const purposes[] = { "", "google", "apple" };
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(lease_ask(table, slice_text("s"), slice_text(purposes[i]), &terms,
					 NULL, 0, &grants[i]),
			LEASE_NOW);
	lease_ask(table, slice_text("s"), slice_text("apple"), &terms, &a.lease, 0, &waits);
	lease_ask(table, slice_text("s"), slice_text("apple"), &terms, &b.lease, 0, &waits);
	lease_void(table, slice_text("s"), false);
	assert_story("aV bV");
	for (size_t i = 0; i < 3; i++)
		assert_false(lease_commit(table, slice_text("s"), slice_text(purposes[i]),
			slice_text(grants[i].token), 0));
	assert_true(holds("t", &kept, 0));
	assert_int_equal(lease_table_stats(table)->voided, 3);
	take("s", 0, 0);
}

static void a_deferred_void_tells_nobody_before_the_next_run(void **state)
{
	struct lease_grant grant = take("s", 0, 5), other;
	struct waiter a = new_waiter('a'), b = new_waiter('b'), c = new_waiter('c');
	wait_for("s", &a, 0, 5);
	wait_for("s", &b, 0, 5);
	lease_void(table, slice_text("s"), true);
	assert_story("");
	assert_false(commit("s", &grant, 5));
	assert_int_equal(lease_next_ms(table), 0);
	/* It is free, and those who were in line are in it no more. */
	other = take("s", 0, 6);
	wait_for("s", &c, 0, 6);
	assert_int_equal(lease_table_stats(table)->waiting, 1);
	lease_cancel(table, &b.lease);
	lease_run(table, WAIT_MS + 5); /* the wait of `a` would be over, but it has its outcome */
	assert_story("aV cG");
	assert_false(holds("s", &other, WAIT_MS + 5));
	assert_int_equal(lease_next_ms(table), WAIT_MS + 5 + DURATION_MS);
}

/* --- those in line ---------------------------------------------------------------------------- */

static void a_wait_that_is_over_is_told_and_leaves_the_line(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	struct waiter a = new_waiter('a'), b = new_waiter('b');
	assert_true(renew("s", &grant, 10 * WAIT_MS, 0));
	wait_for("s", &a, 0, 1);
	wait_for("s", &b, 0, 2);
	assert_int_equal(lease_next_ms(table), WAIT_MS + 1);
	lease_run(table, WAIT_MS);
	assert_story("");
	lease_run(table, WAIT_MS + 1);
	assert_story("aT");
	assert_true(give_back("s", &grant, WAIT_MS + 1));
	assert_story("bG");
}

static void grants_to_nobody_whose_wait_is_over(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	struct waiter a = new_waiter('a'), b = new_waiter('b'), c = new_waiter('c');
	assert_true(renew("s", &grant, 10 * WAIT_MS, 0));
	wait_for("s", &a, 0, 1);
	wait_for("s", &b, 0, 2);
	wait_for("s", &c, 0, 3);
	assert_true(give_back("s", &grant, WAIT_MS + 2));
	assert_story("aT bT cG");
	assert_int_equal(lease_table_stats(table)->waits_timed_out, 2);
	assert_int_equal(lease_table_stats(table)->promoted, 1);
}

static void a_commit_tells_those_too_whose_wait_is_just_over(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	struct waiter a = new_waiter('a');
	assert_true(renew("s", &grant, 10 * WAIT_MS, 0));
	wait_for("s", &a, 0, 0);
	assert_true(commit("s", &grant, WAIT_MS));
	assert_story("aF");
}

static void bounds_the_line(void **state)
{
	struct lease_grant grant = take("s", 0, 0), other;
	struct waiter waiters[WAITERS_MAX + 1];
	for (int i = 0; i <= WAITERS_MAX; i++)
		waiters[i] = new_waiter((char)('a' + i));
	for (int i = 0; i < WAITERS_MAX; i++)
		wait_for("s", &waiters[i], 0, 0);
	assert_int_equal(ask("s", &waiters[WAITERS_MAX], 0, 0, &other), LEASE_HELD);
	assert_null(waiters[WAITERS_MAX].lease.line);
	lease_cancel(table, &waiters[1].lease);
	wait_for("s", &waiters[WAITERS_MAX], 0, 0);
	assert_true(commit("s", &grant, 0));
	assert_story("aF cF dF eF");
}

static void who_cancels_is_not_told_and_may_wait_again(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	struct waiter a = new_waiter('a'), b = new_waiter('b');
	wait_for("s", &a, 5, 0);
	wait_for("s", &b, 5, 0);
	lease_cancel(table, &a.lease);
	lease_cancel(table, &a.lease);
	wait_for("s", &a, 5, 0);
	assert_true(give_back("s", &grant, 1));
	assert_story("bG");
	assert_true(give_back("s", &b.lease.grant, 1));
	assert_story("aG");
}

/* --- holders ---------------------------------------------------------------------------------- */

static void a_dropped_holder_loses_all_and_each_goes_to_the_first_in_line(void **state)
{
	struct waiter a = new_waiter('a'), b = new_waiter('b'), c = new_waiter('c');
	struct lease_grant s = take("s", 7, 0), t = take("t", 7, 0), u = take("u", 8, 0);
	struct lease_grant unowned = take("v", 0, 0);
	wait_for("s", &a, 8, 0);
	wait_for("s", &b, 8, 0);
	wait_for("u", &c, 9, 0);
	lease_drop_holder(table, 7, 1);
	assert_story("aG");
	assert_false(holds("s", &s, 1));
	assert_false(holds("t", &t, 1));
	assert_true(holds("u", &u, 1));
	assert_true(holds("v", &unowned, 1));
	assert_int_equal(lease_table_stats(table)->lost_holders, 2);
	lease_drop_holder(table, 8, 2); /* holds s and u, and waits for s */
	assert_story("bD cG");
	assert_int_equal(lease_table_stats(table)->held, 2);
	take("s", 0, 2);
}

static void a_dropped_holder_is_not_granted_what_it_loses(void **state)
{
	struct waiter a = new_waiter('a'), b = new_waiter('b');
	take("s", 7, 0);
	wait_for("s", &a, 7, 0);
	wait_for("s", &b, 8, 0);
	lease_drop_holder(table, 7, 1);
	assert_story("aD bG");
}

static void a_lasting_lease_stays_when_its_holder_goes_and_a_wait_for_one_ends(void **state)
{
	struct lease_terms terms = { DURATION_MS, WAIT_MS, 7, true };
	struct waiter a = new_waiter('a');
	struct lease_grant first = take("s", 0, 0), grant;
	assert_int_equal(lease_ask(table, slice_text("t"), slice_text(""), &terms, NULL, 0, &grant),
		LEASE_NOW);
	assert_int_equal(
		lease_ask(table, slice_text("s"), slice_text(""), &terms, &a.lease, 0, &first),
		LEASE_WAITS);
	lease_drop_holder(table, 7, 1);
	assert_story("aD");
	assert_true(
		lease_holds(table, slice_text("t"), slice_text(""), slice_text(grant.token), 1));
	assert_int_equal(lease_table_stats(table)->lost_holders, 0);
}

static void a_dropped_holder_is_not_left_waiting_for_the_run(void **state)
{
	struct waiter a = new_waiter('a');
	take("s", 0, 0);
	wait_for("s", &a, 7, 0);
	lease_void(table, slice_text("s"), true);
	lease_drop_holder(table, 7, 0);
	assert_story("aD");
	assert_int_equal(lease_next_ms(table), INT64_MAX);
}

/* --- from within told ------------------------------------------------------------------------- */

static void give_back_at_once(struct waiter *waiter)
{
	if (waiter->outcome == LEASE_GRANTED)
		assert_true(give_back("s", &waiter->lease.grant, 1));
}

static void ask_again(struct waiter *waiter)
{
	struct lease_grant grant;
	waiter->then = NULL;
	ask("s", waiter, 0, 1, &grant);
}

static struct waiter *victim;

static void cancel_victim(struct waiter *waiter)
{
	lease_cancel(table, &victim->lease);
}

static void void_subject(struct waiter *waiter)
{
	lease_void(table, slice_text("s"), false);
}

static void may_hand_on_what_it_was_just_granted(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	struct waiter a = new_waiter('a'), b = new_waiter('b'), c = new_waiter('c');
	a.then = b.then = give_back_at_once;
	wait_for("s", &a, 0, 0);
	wait_for("s", &b, 0, 0);
	wait_for("s", &c, 0, 0);
	assert_true(give_back("s", &grant, 1));
	assert_story("aG bG cG");
}

static void may_ask_for_the_same_lease_again(void **state)
{
	struct lease_grant grant = take("s", 0, 0);
	struct waiter a = new_waiter('a'), b = new_waiter('b');
	a.then = b.then = ask_again;
	wait_for("s", &a, 0, 0);
	wait_for("s", &b, 0, 0);
	assert_true(commit("s", &grant, 1));
	assert_story("aF bF"); /* `a` holds it now, `b` waits */
	lease_run(table, 1 + DURATION_MS);
	assert_story("bG");
}

static void hands_on_what_was_granted_to_one_who_is_cancelled_before_it_is_told(void **state)
{
	struct waiter a = new_waiter('a'), b = new_waiter('b'), c = new_waiter('c');
	take("s", 0, 0);
	take("t", 0, 0);
	a.then = cancel_victim;
	victim = &b;
	wait_for("s", &a, 0, 0);
	wait_for("t", &b, 0, 0);
	wait_for("t", &c, 0, 0);
	lease_run(table, DURATION_MS);
	assert_story("aG cG");
	assert_int_equal(lease_table_stats(table)->held, 2);
}

static void tells_nobody_of_a_grant_that_is_lost_already(void **state)
{
	struct waiter a = new_waiter('a'), b = new_waiter('b');
	take("t", 0, 0);
	take("s", 0, 0);
	a.then = void_subject;
	wait_for("t", &a, 0, 0);
	wait_for("s", &b, 0, 0);
	lease_run(table, DURATION_MS);
	assert_story("aG bV");
}

static void tells_those_in_line_before_it_answers_who_asks(void **state)
{
	struct waiter a = new_waiter('a');
	take("s", 0, 0);
	a.then = give_back_at_once;
	wait_for("s", &a, 0, 0);
	take("s", 0, DURATION_MS); /* `a` was granted it and gave it back */
	assert_story("aG");
}

/* --- many ------------------------------------------------------------------------------------- */

#define CROWD 100000

struct crowd {
	struct lease_waiter *waiters;
	struct lease_table *table;
	uint64_t told[5];
	bool gives_back;
};

static struct crowd crowd;

static void crowd_told(struct lease_waiter *waiter, enum lease_outcome outcome)
{
	crowd.told[outcome]++;
	if (outcome == LEASE_GRANTED && crowd.gives_back)
		assert_true(lease_release(crowd.table, slice_text("s"), slice_text(""),
			slice_text(waiter->grant.token), 1));
}

static void crowd_make(void)
{
	crowd = (struct crowd){ 0 };
	crowd.table = lease_table_new(3, 4, LEASES_MAX, CROWD);
	crowd.waiters = memory_zeroed(2 * CROWD * sizeof(struct lease_waiter));
	for (size_t i = 0; i < 2 * (size_t)CROWD; i++)
		crowd.waiters[i].told = crowd_told;
}

static void crowd_free(void)
{
	lease_table_free(&crowd.table);
	memory_free(crowd.waiters);
}

static void a_crowd_hands_one_lease_on_without_using_the_stack(void **state)
{
	struct lease_terms terms = { DURATION_MS, WAIT_MS, 1, false };
	struct lease_grant grant, other;
	crowd_make();
	crowd.gives_back = true;
	assert_int_equal(
		lease_ask(crowd.table, slice_text("s"), slice_text(""), &terms, NULL, 0, &grant),
		LEASE_NOW);
	for (size_t i = 0; i < CROWD; i++)
		assert_int_equal(lease_ask(crowd.table, slice_text("s"), slice_text(""), &terms,
					 &crowd.waiters[i], 0, &other),
			LEASE_WAITS);
	assert_true(lease_release(
		crowd.table, slice_text("s"), slice_text(""), slice_text(grant.token), 1));
	assert_int_equal(crowd.told[LEASE_GRANTED], CROWD);
	assert_int_equal(lease_table_stats(crowd.table)->held, 0);
	crowd_free();
}

/* Each of 100,000 leases has two in line; they time out, are dropped and end one after the other.
 */
static void a_hundred_thousand_leases_with_their_lines_are_fine(void **state)
{
	crowd_make();
	for (size_t i = 0; i < 3 * (size_t)CROWD; i++) {
		size_t number = i % CROWD, round = i / CROWD;
		struct lease_terms terms = { DURATION_MS, WAIT_MS, 1 + round, false };
		struct lease_grant out;
		assert_int_equal(
			lease_ask(crowd.table, slice_of(&number, sizeof(number)), slice_text("p"),
				&terms, round ? &crowd.waiters[i - CROWD] : NULL, 0, &out),
			round ? LEASE_WAITS : LEASE_NOW);
	}
	assert_int_equal(lease_table_stats(crowd.table)->held, CROWD);
	assert_int_equal(lease_table_stats(crowd.table)->waiting, 2 * CROWD);
	lease_drop_holder(crowd.table, 1, 1);
	assert_int_equal(crowd.told[LEASE_GRANTED], CROWD);
	lease_run(crowd.table, 1 + DURATION_MS);
	assert_int_equal(crowd.told[LEASE_GRANTED], 2 * CROWD);
	for (size_t i = 0; i < CROWD; i++)
		lease_void(crowd.table, slice_of(&i, sizeof(i)), false);
	assert_int_equal(lease_table_stats(crowd.table)->held, 0);
	assert_int_equal(lease_next_ms(crowd.table), INT64_MAX);
	crowd_free();
}

static void a_table_may_be_freed_while_leases_are_held(void **state)
{
	take("s", 1, 0);
	take("t", 0, 0);
	assert_int_equal(lease_table_stats(table)->held, 2);
}

static void beyond_so_many_leases_nobody_is_granted_one(void **state)
{
	lease_table_free(&table);
	table = lease_table_new(1, 2, 3, WAITERS_MAX);
	struct lease_grant first = take("a", 1, 0), refused;
	take("b", 1, 0);
	take("c", 2, 0);
	struct waiter waiter = new_waiter('w');
	assert_int_equal(ask("d", &waiter, 3, 0, &refused), LEASE_HELD);
	assert_string_equal(refused.token, "");
	assert_int_equal(refused.ms, 1000);
	/* Those that are held may be waited for. */
	wait_for("a", &waiter, 3, 0);
	assert_true(give_back("a", &first, 1));
	assert_story("wG");
	/* The first that ends makes room. */
	lease_drop_holder(table, 1, 2);
	take("d", 3, 2);
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(grants_to_the_first_and_to_nobody_else_while_it_is_held),
		RULE(does_not_let_a_caller_wait_that_brings_no_time),
		RULE(treats_the_holder_who_asks_again_like_others),
		RULE(keeps_subjects_and_purposes_apart),
		RULE(takes_the_longest_names_with_any_bytes),
		RULE(another_table_knows_none_of_its_tokens),
		RULE(a_commit_ends_it_and_tells_all_in_line),
		RULE(a_release_grants_it_to_the_first_in_line_alone),
		RULE(lets_nobody_in_before_those_in_line),
		RULE(its_time_ends_it_and_grants_it_to_the_first_in_line),
		RULE(a_token_is_good_until_its_deadline_and_never_after),
		RULE(a_note_stays_with_its_token_alone),
		RULE(a_renewal_counts_from_now_be_it_longer_or_shorter),
		RULE(only_its_own_token_does_anything),
		RULE(a_void_ends_every_lease_of_the_subject_whatever_its_purpose),
		RULE(a_deferred_void_tells_nobody_before_the_next_run),
		RULE(a_wait_that_is_over_is_told_and_leaves_the_line),
		RULE(grants_to_nobody_whose_wait_is_over),
		RULE(a_commit_tells_those_too_whose_wait_is_just_over),
		RULE(bounds_the_line),
		RULE(beyond_so_many_leases_nobody_is_granted_one),
		RULE(who_cancels_is_not_told_and_may_wait_again),
		RULE(a_dropped_holder_loses_all_and_each_goes_to_the_first_in_line),
		RULE(a_dropped_holder_is_not_granted_what_it_loses),
		RULE(a_dropped_holder_is_not_left_waiting_for_the_run),
		RULE(a_lasting_lease_stays_when_its_holder_goes_and_a_wait_for_one_ends),
		RULE(may_hand_on_what_it_was_just_granted),
		RULE(may_ask_for_the_same_lease_again),
		RULE(hands_on_what_was_granted_to_one_who_is_cancelled_before_it_is_told),
		RULE(tells_nobody_of_a_grant_that_is_lost_already),
		RULE(tells_those_in_line_before_it_answers_who_asks),
		RULE(a_crowd_hands_one_lease_on_without_using_the_stack),
		RULE(a_hundred_thousand_leases_with_their_lines_are_fine),
		RULE(a_table_may_be_freed_while_leases_are_held),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
