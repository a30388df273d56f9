/*
 * Leases against a model that is slow and plain: arrays that are searched from one end to the
 * other, no hashes, no heaps. Random callers ask, wait, renew, commit, release, hang, void, leave,
 * some of them from within `told`; the clock stands, crawls, jumps and at times is a little behind.
 *
 * After every step: everybody who was to be told has been told once, what the model says, in its
 * order; so many hold and wait as in the model; lease_next_ms is the model's; tokens of ended
 * leases are dead. Waiters are freed when they are told, so that a sanitizer sees who is touched
 * later.
 *
 * HOLDFAST_SEED=n runs one world again; HOLDFAST_LONG=1 takes many more steps.
 */
#include "lease/lease.h"

#include "base/memory.h"
#include "base/random.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define STEPS_USUAL   2000000
#define STEPS_LONG    30000000
#define STEPS_A_WORLD 5000
#define SUBJECTS_MAX  40
#define PURPOSES_MAX  4
#define LEASES_MAX    (SUBJECTS_MAX * PURPOSES_MAX)
#define WAITERS_MAX   48
#define DEAD_TOKENS   64
#define NOBODY        (-1)

enum state {
	IDLE,
	RESERVED, /* by a lease_ask that has not returned */
	IN_LINE,
	DEFERRED,
	PROMISED,
};

struct model_waiter {
	enum state state;
	int lease;
	int64_t until_ms;
	int64_t duration_ms;
	uint64_t order;
	uint64_t holder;
	bool lasting;
	struct real_waiter *real;
};

struct model_lease {
	bool held;
	bool is_known; /* its holder has been told */
	char token[LEASE_TOKEN_BYTES + 1];
	int64_t until_ms;
	uint64_t made;  /* order of the grant that found nobody holding it */
	uint64_t order; /* of the last grant */
	uint64_t holder;
	int untold;
	int line[WAITERS_MAX];
	int line_count;
};

struct promise {
	int waiter;
	enum lease_outcome outcome;
};

struct promises {
	struct promise list[WAITERS_MAX];
	int count;
};

struct dead_token {
	int lease;
	char token[LEASE_TOKEN_BYTES + 1];
};

struct real_waiter {
	struct lease_waiter waiter;
	int number;
};

struct world {
	struct random random;
	uint64_t seed;
	uint64_t step;
	struct lease_table *table;
	int subjects, purposes, holders, waiters_count, depth;
	int64_t durations_ms, waits_ms, pace_ms; /* bounds of what is chosen */
	uint32_t waiters_max;
	int64_t clock_ms;

	/* the model */
	int64_t now_ms;
	uint64_t grants, waits;
	int asked; /* by the outermost call, if that is lease_ask */
	struct model_lease leases[LEASES_MAX];
	struct model_waiter waiters[WAITERS_MAX];
	struct promises promised, deferred;
	struct dead_token dead[DEAD_TOKENS];
	uint64_t dead_count;
	struct lease_stats stats;
};

static struct world *world;

static struct {
	uint64_t outcomes[5], answers[3], nested, full, expired_at_ask, changed_promises, back,
		cancelled_grants, deferred, renewed, refused, late_waits;
} seen;

#define check(condition) ((condition) ? (void)0 : failed(#condition, __LINE__))

static void failed(const char *what, int line)
{
	fail_msg("line %d: %s; seed %" PRIu64 ", step %" PRIu64, line, what, world->seed,
		world->step);
}

static uint64_t below(uint64_t bound)
{
	return random_below(&world->random, bound);
}

static bool one_in(uint64_t count)
{
	return below(count) == 0;
}

/* --- names ------------------------------------------------------------------------------------ */

/* Subjects and purposes that are easily mistaken for each other when they are put together. */
static struct slice subject_of(int lease)
{
	static const char bytes[SUBJECTS_MAX + 1] = "aaaaaaaaaaaaaaaaaaaa\0aaaaaaaaaaaaaaaaaaa";
	return slice_of(bytes, (size_t)(lease % world->subjects));
}

static struct slice purpose_of(int lease)
{
	static const char *const purposes[PURPOSES_MAX] = { "", "a", "aa", "b" };
	return slice_text(purposes[lease / world->subjects]);
}

static int any_lease(void)
{
	return (int)below((uint64_t)(world->subjects * world->purposes));
}

/* --- the model -------------------------------------------------------------------------------- */

static void model_clock(int64_t now_ms)
{
	if (now_ms < world->now_ms)
		seen.back++;
	else
		world->now_ms = now_ms;
}

static void model_leave_line(int number)
{
	struct model_lease *lease = &world->leases[world->waiters[number].lease];
	int at = 0;
	while (lease->line[at] != number)
		at++;
	for (lease->line_count--; at < lease->line_count; at++)
		lease->line[at] = lease->line[at + 1];
	world->stats.waiting--;
}

static void model_strike(struct promises *promises, int number)
{
	int at = 0;
	while (promises->list[at].waiter != number)
		at++;
	for (promises->count--; at < promises->count; at++)
		promises->list[at] = promises->list[at + 1];
}

/* Out of wherever it is. */
static void model_take(int number)
{
	struct model_waiter *waiter = &world->waiters[number];
	if (waiter->state == IN_LINE)
		model_leave_line(number);
	else if (waiter->state == DEFERRED)
		model_strike(&world->deferred, number);
	else if (waiter->state == PROMISED)
		model_strike(&world->promised, number);
}

static void model_promise(int number, enum lease_outcome outcome)
{
	struct model_waiter *waiter = &world->waiters[number];
	model_take(number);
	waiter->state = PROMISED;
	world->promised.list[world->promised.count++] = (struct promise){ number, outcome };
}

static void model_defer(int number)
{
	model_take(number);
	world->waiters[number].state = DEFERRED;
	world->deferred.list[world->deferred.count++] = (struct promise){ number, LEASE_GONE };
}

static void model_end(int number, enum lease_outcome untold)
{
	struct model_lease *lease = &world->leases[number];
	lease->held = false;
	world->stats.held--;
	for (int i = 0; lease->untold != NOBODY && i < world->promised.count; i++) {
		if (world->promised.list[i].waiter == lease->untold) {
			world->promised.list[i].outcome = untold;
			seen.changed_promises++;
		}
	}
	lease->untold = NOBODY;
	if (lease->is_known) {
		struct dead_token *dead = &world->dead[world->dead_count++ % DEAD_TOKENS];
		dead->lease = number;
		memcpy(dead->token, lease->token, sizeof(dead->token));
	}
}

static void model_grant(int number, int64_t duration_ms, uint64_t holder)
{
	struct model_lease *lease = &world->leases[number];
	check(!lease->held);
	lease->held = true;
	lease->is_known = false;
	lease->until_ms = world->now_ms + duration_ms;
	lease->order = ++world->grants;
	lease->holder = holder;
	world->stats.held++;
	world->stats.granted++;
}

static void model_hand_on(int number)
{
	struct model_lease *lease = &world->leases[number];
	while (lease->line_count > 0) {
		int first = lease->line[0];
		struct model_waiter *waiter = &world->waiters[first];
		if (waiter->until_ms <= world->now_ms) {
			world->stats.waits_timed_out++;
			seen.late_waits++;
			model_promise(first, LEASE_TIMED_OUT);
			continue;
		}
		model_promise(first, LEASE_GRANTED);
		model_grant(number, waiter->duration_ms, waiter->holder);
		world->stats.promoted++;
		lease->untold = first;
		return;
	}
}

static void model_time_out(int number)
{
	world->stats.timed_out++;
	model_end(number, LEASE_TIMED_OUT);
	model_hand_on(number);
}

static bool is_over(const struct model_lease *lease)
{
	return lease->held && lease->until_ms <= world->now_ms;
}

/* The lease, or who stands in line, that is due first of all. */
static int first_lease(void)
{
	int first = NOBODY;
	for (int i = 0; i < world->subjects * world->purposes; i++) {
		const struct model_lease *lease = &world->leases[i];
		const struct model_lease *best = &world->leases[first == NOBODY ? i : first];
		if (lease->held &&
			(first == NOBODY || lease->until_ms < best->until_ms ||
				(lease->until_ms == best->until_ms && lease->order < best->order)))
			first = i;
	}
	return first;
}

static int first_wait(void)
{
	int first = NOBODY;
	for (int i = 0; i < world->waiters_count; i++) {
		const struct model_waiter *waiter = &world->waiters[i];
		const struct model_waiter *best = &world->waiters[first == NOBODY ? i : first];
		if (waiter->state == IN_LINE &&
			(first == NOBODY || waiter->until_ms < best->until_ms ||
				(waiter->until_ms == best->until_ms &&
					waiter->order < best->order)))
			first = i;
	}
	return first;
}

static int64_t model_next_ms(void)
{
	int lease = first_lease(), wait = first_wait();
	int64_t next_ms = INT64_MAX;
	if (world->deferred.count)
		return 0;
	if (lease != NOBODY)
		next_ms = world->leases[lease].until_ms;
	if (wait != NOBODY && world->waiters[wait].until_ms < next_ms)
		next_ms = world->waiters[wait].until_ms;
	return next_ms;
}

static void model_run(void)
{
	int first;
	while (world->deferred.count)
		model_promise(world->deferred.list[0].waiter, LEASE_GONE);
	while ((first = first_wait()) != NOBODY &&
		world->waiters[first].until_ms <= world->now_ms) {
		world->stats.waits_timed_out++;
		model_promise(first, LEASE_TIMED_OUT);
	}
	while ((first = first_lease()) != NOBODY && is_over(&world->leases[first]))
		model_time_out(first);
}

/* --- telling ---------------------------------------------------------------------------------- */

static void act(void);
static void disturb(void);

static void forget(int number)
{
	world->waiters[number].state = IDLE;
	memory_free(world->waiters[number].real);
	world->waiters[number].real = NULL;
}

/* The outermost lease_ask looks again at the lease, now that all have been told. */
static void settle_asked(void)
{
	while (world->promised.count == 0 && world->asked != NOBODY &&
		is_over(&world->leases[world->asked])) {
		seen.expired_at_ask++;
		model_time_out(world->asked);
	}
}

static void check_grant(const struct lease_waiter *real, int number)
{
	struct model_waiter *waiter = &world->waiters[number];
	struct model_lease *lease = &world->leases[waiter->lease];
	struct slice token = slice_text(real->grant.token);
	check(lease->held);
	check(lease->untold == number);
	check(!lease->is_known);
	check(token.size == LEASE_TOKEN_BYTES);
	check(real->grant.ms == waiter->duration_ms);
	check(lease_holds(world->table, subject_of(waiter->lease), purpose_of(waiter->lease), token,
		      world->now_ms) == !is_over(lease));
	memcpy(lease->token, real->grant.token, sizeof(lease->token));
	lease->is_known = true;
	lease->untold = NOBODY;
	if (waiter->lasting)
		lease->holder = 0;
}

static void told(struct lease_waiter *real, enum lease_outcome outcome)
{
	int number = ((struct real_waiter *)real)->number;
	settle_asked();
	check(world->waiters[number].state == PROMISED);
	check(world->promised.count > 0);
	check(world->promised.list[0].waiter == number);
	check(world->promised.list[0].outcome == outcome);
	if (outcome == LEASE_GRANTED)
		check_grant(real, number);
	seen.outcomes[outcome]++;
	model_take(number);
	forget(number);
	if (world->depth < 3 && one_in(4)) {
		seen.nested++;
		world->depth++;
		if (world->promised.count && one_in(2))
			disturb();
		else
			act();
		world->depth--;
	}
}

/* --- what callers do, first to the model and then to the table -------------------------------- */

static int64_t pass_time(void)
{
	int64_t now_ms = world->clock_ms;
	if (one_in(16) && now_ms > 3)
		now_ms -= (int64_t)below(4);
	model_clock(now_ms);
	return now_ms;
}

static int idle_waiter(void)
{
	int from = (int)below((uint64_t)world->waiters_count);
	for (int i = 0; i < world->waiters_count; i++) {
		int number = (from + i) % world->waiters_count;
		if (world->waiters[number].state == IDLE)
			return number;
	}
	return NOBODY;
}

static struct lease_waiter *reserve(int number)
{
	struct real_waiter *real = memory_zeroed(sizeof(*real));
	real->waiter.told = told;
	real->number = number;
	world->waiters[number].real = real;
	world->waiters[number].state = RESERVED;
	return &real->waiter;
}

static void check_answer(int number, const struct lease_terms *terms, int waiter_number,
	enum lease_answer answer, const struct lease_grant *out)
{
	struct model_lease *lease = &world->leases[number];
	seen.answers[answer]++;
	if (!lease->held) {
		check(answer == LEASE_NOW);
		check(strlen(out->token) == LEASE_TOKEN_BYTES);
		check(out->ms == terms->duration_ms);
		model_grant(number, terms->duration_ms, terms->lasting ? 0 : terms->holder);
		lease->made = lease->order;
		memcpy(lease->token, out->token, sizeof(lease->token));
		lease->is_known = true;
		return;
	}
	check(out->token[0] == '\0');
	check(out->ms == lease->until_ms - world->now_ms);
	bool is_full = lease->line_count >= (int)world->waiters_max;
	if (waiter_number == NOBODY || terms->wait_ms == 0 || is_full) {
		seen.full += is_full;
		check(answer == LEASE_HELD);
		return;
	}
	check(answer == LEASE_WAITS);
	struct model_waiter *waiter = &world->waiters[waiter_number];
	waiter->state = IN_LINE;
	waiter->lease = number;
	waiter->until_ms = world->now_ms + terms->wait_ms;
	waiter->duration_ms = terms->duration_ms;
	waiter->order = ++world->waits;
	waiter->holder = terms->holder;
	waiter->lasting = terms->lasting;
	lease->line[lease->line_count++] = waiter_number;
	world->stats.waiting++;
}

static void ask(void)
{
	int number = any_lease();
	int waiter_number = one_in(5) ? NOBODY : idle_waiter();
	struct lease_waiter *waiter = waiter_number == NOBODY ? NULL : reserve(waiter_number);
	struct lease_terms terms = {
		.duration_ms = 1 + (int64_t)below((uint64_t)world->durations_ms),
		.wait_ms = (int64_t)below((uint64_t)world->waits_ms),
		.holder = below((uint64_t)world->holders + 1),
		.lasting = below(4) == 0,
	};
	struct lease_grant out;
	int64_t now_ms = pass_time();
	bool is_outermost = world->depth == 0;
	if (is_outermost) {
		world->asked = number;
		settle_asked();
	} else if (is_over(&world->leases[number])) {
		model_time_out(number);
	}
	enum lease_answer answer = lease_ask(
		world->table, subject_of(number), purpose_of(number), &terms, waiter, now_ms, &out);
	if (is_outermost) {
		settle_asked();
		world->asked = NOBODY;
	}
	check_answer(number, &terms, waiter_number, answer, &out);
	if (waiter_number != NOBODY && answer != LEASE_WAITS)
		forget(waiter_number);
}

/* Mostly the holder's, else a dead one or another lease's. */
static struct slice any_token(int number)
{
	if (!one_in(4) && world->leases[number].is_known)
		return slice_text(world->leases[number].token);
	if (world->dead_count && one_in(2)) {
		uint64_t known = world->dead_count < DEAD_TOKENS ? world->dead_count : DEAD_TOKENS;
		return slice_text(world->dead[below(known)].token);
	}
	return slice_text(world->leases[any_lease()].token);
}

static bool model_holds(int number, struct slice token)
{
	const struct model_lease *lease = &world->leases[number];
	return lease->held && lease->is_known && lease->until_ms > world->now_ms &&
		slice_equal(slice_text(lease->token), token);
}

static void use_token(void)
{
	char token_text[LEASE_TOKEN_BYTES + 1] = { 0 };
	int number = any_lease();
	/* Copied: what is told within changes the model. */
	struct slice borrowed = any_token(number), subject = subject_of(number),
		     purpose = purpose_of(number);
	struct slice token = slice_of(token_text, borrowed.size);
	memcpy(token_text, borrowed.data, borrowed.size);
	struct model_lease *lease = &world->leases[number];
	int64_t now_ms = pass_time(), ms = 1 + (int64_t)below((uint64_t)world->durations_ms);
	bool holds = model_holds(number, token);
	seen.refused += !holds;
	switch (below(4)) {
	case 0:
		if (holds) {
			lease->until_ms = world->now_ms + ms;
			seen.renewed++;
		}
		check(lease_renew(world->table, subject, purpose, token, ms, now_ms) == holds);
		break;
	case 1:
		if (holds) {
			world->stats.released++;
			model_end(number, LEASE_GONE);
			model_hand_on(number);
		}
		check(lease_release(world->table, subject, purpose, token, now_ms) == holds);
		break;
	default:
		if (holds) {
			world->stats.committed++;
			model_end(number, LEASE_GONE);
			while (lease->line_count)
				model_promise(lease->line[0], LEASE_FILLED);
		}
		check(lease_commit(world->table, subject, purpose, token, now_ms) == holds);
	}
}

static int first_of_subject(int subject)
{
	int first = NOBODY;
	for (int i = subject; i < world->subjects * world->purposes; i += world->subjects) {
		if (world->leases[i].held &&
			(first == NOBODY || world->leases[i].made < world->leases[first].made))
			first = i;
	}
	return first;
}

static int first_waiter_of(uint64_t holder)
{
	int first = NOBODY;
	for (int i = 0; i < world->waiters_count; i++) {
		const struct model_waiter *waiter = &world->waiters[i];
		if (waiter->state >= IN_LINE && waiter->holder == holder &&
			(first == NOBODY || waiter->order < world->waiters[first].order))
			first = i;
	}
	return first;
}

static int first_lease_of(uint64_t holder)
{
	int first = NOBODY;
	for (int i = 0; i < world->subjects * world->purposes; i++) {
		const struct model_lease *lease = &world->leases[i];
		if (lease->held && lease->holder == holder &&
			(first == NOBODY || lease->order < world->leases[first].order))
			first = i;
	}
	return first;
}

static void void_subject(int any)
{
	bool deferred = one_in(2);
	int number;
	while ((number = first_of_subject(any % world->subjects)) != NOBODY) {
		struct model_lease *lease = &world->leases[number];
		world->stats.voided++;
		model_end(number, LEASE_GONE);
		while (lease->line_count && deferred) {
			model_defer(lease->line[0]);
			seen.deferred++;
		}
		while (lease->line_count)
			model_promise(lease->line[0], LEASE_GONE);
	}
	lease_void(world->table, subject_of(any), deferred);
}

static void drop_holder(uint64_t holder)
{
	int64_t now_ms = pass_time();
	int number;
	while ((number = first_waiter_of(holder)) != NOBODY) {
		model_promise(number, LEASE_DROPPED);
		world->waiters[number].holder = 0;
	}
	while ((number = first_lease_of(holder)) != NOBODY) {
		struct model_lease *lease = &world->leases[number];
		*(is_over(lease) ? &world->stats.timed_out : &world->stats.lost_holders) += 1;
		model_end(number, LEASE_DROPPED);
		model_hand_on(number);
	}
	lease_drop_holder(world->table, holder, now_ms);
}

static void cancel(int number)
{
	struct model_waiter *waiter = &world->waiters[number];
	struct lease_waiter *real = waiter->real ? &waiter->real->waiter : NULL;
	if (waiter->state < IN_LINE)
		return;
	bool holds = waiter->state == PROMISED && world->leases[waiter->lease].untold == number;
	int lease = waiter->lease;
	model_take(number);
	waiter->state = RESERVED;
	if (holds) {
		seen.cancelled_grants++;
		world->leases[lease].untold = NOBODY;
		world->stats.released++;
		model_end(lease, LEASE_GONE);
		model_hand_on(lease);
	}
	lease_cancel(world->table, real);
	lease_cancel(world->table, real); /* nothing happens */
	forget(number);
}

static void run(void)
{
	int64_t now_ms = pass_time();
	model_run();
	lease_run(world->table, now_ms);
}

static void pass(void)
{
	if (one_in(50))
		world->clock_ms += (int64_t)below((uint64_t)(world->durations_ms * 3));
	else
		world->clock_ms += (int64_t)below((uint64_t)world->pace_ms);
	int64_t next_ms = model_next_ms();
	if (one_in(3) && next_ms > world->clock_ms && next_ms != INT64_MAX)
		world->clock_ms = next_ms - (int64_t)below(2);
}

/* Comes between a promise and its telling. */
static void disturb(void)
{
	int number = world->promised.list[below((uint64_t)world->promised.count)].waiter;
	const struct model_waiter *waiter = &world->waiters[number];
	uint64_t choice = below(3);
	if (choice == 0)
		cancel(number);
	else if (choice == 1)
		void_subject(waiter->lease);
	else if (waiter->holder)
		drop_holder(waiter->holder);
}

static void act(void)
{
	uint64_t choice = below(100);
	if (choice < 40)
		ask();
	else if (choice < 65)
		use_token();
	else if (choice < 68)
		void_subject(any_lease());
	else if (choice < 71)
		drop_holder(1 + below((uint64_t)world->holders));
	else if (choice < 76)
		cancel((int)below((uint64_t)world->waiters_count));
	else if (choice < 88)
		run();
	else
		pass();
}

/* --- what must hold between steps ------------------------------------------------------------- */

static void check_lease(int number)
{
	const struct model_lease *lease = &world->leases[number];
	struct slice subject = subject_of(number), purpose = purpose_of(number);
	struct slice token = slice_text(lease->token);
	check(lease->held || lease->line_count == 0);
	check(lease->untold == NOBODY);
	bool holds = model_holds(number, token);
	check(lease_holds(world->table, subject, purpose, token, world->now_ms) == holds);
	if (!holds)
		return;
	check(lease_holds(world->table, subject, purpose, token, lease->until_ms - 1));
	check(!lease_holds(world->table, subject, purpose, token, lease->until_ms));
}

static void check_dead(void)
{
	if (world->dead_count == 0)
		return;
	uint64_t known = world->dead_count < DEAD_TOKENS ? world->dead_count : DEAD_TOKENS;
	const struct dead_token *dead = &world->dead[below(known)];
	check(!lease_holds(world->table, subject_of(dead->lease), purpose_of(dead->lease),
		slice_text(dead->token), world->now_ms));
}

static void check_step(void)
{
	check(world->promised.count == 0);
	check(lease_next_ms(world->table) == model_next_ms());
	check(memcmp(lease_table_stats(world->table), &world->stats, sizeof(world->stats)) == 0);
	const struct lease_stats *stats = &world->stats;
	check(stats->granted ==
		stats->held + stats->committed + stats->released + stats->timed_out +
			stats->voided + stats->lost_holders);
	check_lease(any_lease());
	check_dead();
	if (world->step % 64 == 0) {
		for (int i = 0; i < world->subjects * world->purposes; i++)
			check_lease(i);
	}
}

/* --- worlds ----------------------------------------------------------------------------------- */

static void make_world(uint64_t seed)
{
	static const int64_t spans_ms[] = { 2, 8, 60, 1000, 3600000 };
	world = memory_zeroed(sizeof(*world));
	world->seed = seed;
	random_seed(&world->random, seed);
	bool is_wide = one_in(16);
	world->subjects = is_wide ? SUBJECTS_MAX : 1 + (int)below(4);
	world->purposes = 1 + (int)below(PURPOSES_MAX);
	world->holders = 1 + (int)below(8);
	world->waiters_count = is_wide ? WAITERS_MAX : 2 + (int)below(20);
	world->waiters_max = one_in(4) ? (uint32_t)below(4) : 1 + (uint32_t)below(WAITERS_MAX);
	world->durations_ms = spans_ms[below(5)];
	world->waits_ms = one_in(3) ? spans_ms[below(5)] : world->durations_ms;
	world->pace_ms = 1 + world->durations_ms / (int64_t)(1 + below(20));
	world->asked = NOBODY;
	for (int i = 0; i < LEASES_MAX; i++)
		world->leases[i].untold = NOBODY;
	world->table = lease_table_new(seed, ~seed, UINT32_MAX, world->waiters_max);
}

static void end_world(void)
{
	world->depth = 9; /* nobody acts any more */
	for (int i = 0; i < world->waiters_count; i++)
		cancel(i);
	check_step();
	lease_table_free(&world->table);
	check(world->table == NULL);
	memory_free(world);
	world = NULL;
}

static void run_world(uint64_t seed)
{
	make_world(seed);
	for (world->step = 1; world->step <= STEPS_A_WORLD; world->step++) {
		act();
		check_step();
	}
	end_world();
}

static void does_what_the_model_does(void **state)
{
	const char *seed = getenv("HOLDFAST_SEED");
	if (seed) {
		run_world(strtoull(seed, NULL, 10));
		return;
	}
	uint64_t steps = getenv("HOLDFAST_LONG") ? STEPS_LONG : STEPS_USUAL;
	for (uint64_t i = 0; i < steps / STEPS_A_WORLD; i++)
		run_world(i + 1);
	/* A driver that never gets somewhere proves nothing of it. */
	for (size_t i = 0; i < 5; i++)
		assert_in_range(seen.outcomes[i], 1000, UINT64_MAX);
	for (size_t i = 0; i < 3; i++)
		assert_in_range(seen.answers[i], 1000, UINT64_MAX);
	const uint64_t others[] = { seen.nested, seen.full, seen.expired_at_ask,
		seen.changed_promises, seen.back, seen.cancelled_grants, seen.deferred,
		seen.renewed, seen.refused, seen.late_waits };
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_in_range(others[i], 100, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_what_the_model_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
