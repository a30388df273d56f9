/*
 * lease: see lease.h.
 *
 * A lease exists in memory while it is held; one that nobody holds is nothing. So a waiter always
 * waits for a lease that somebody holds and that has a deadline: nobody is stranded.
 *
 *   lease_ask -> held --------> release, time, holder dropped -> the first in line holds it -> ...
 *                  |                                       '---> nobody in line: freed
 *                  '----------> commit, void -> all in line are promised their outcome, freed
 *
 *   waiter: in no line -> in the lease's line -> in table->promised -> told, in no line
 *                                          '---> in table->deferred, until lease_run
 *
 * A call first changes everything, putting those who are to be told into table->promised, and
 * empties that at its end. A call from within `told` only adds to it; the outermost one goes on
 * telling. So the state is whole whenever foreign code runs, and no cascade uses the stack.
 *
 * One promised LEASE_GRANTED and not told yet holds the lease already. Should the lease end before
 * it is told, the promise changes: who is told LEASE_GRANTED does hold it at that moment.
 *
 * Look-ups: leases stand in an index by name, one by subject (lease_void) and one by holder;
 * waiters in one by holder. The hashes are seeded by the epoch, which clients do not know.
 *
 * Threads: whoever holds the shard.
 */
#include "lease/lease.h"

#include "base/hash.h"
#include "base/memory.h"
#include "holdfast/limits.h"

#include <assert.h>

#define FULL_RETRY_MS 1000 /* when there are too many leases: as if another held it so long */

struct lease_line {
	struct list waiters;
	uint32_t count;
};

struct lease {
	struct hash_node by_name;
	struct hash_node by_subject;
	struct hash_node by_holder; /* when it has one */
	struct deadline deadline;
	struct lease_line line;
	struct lease_waiter *untold; /* who holds it and was not told yet */
	uint64_t holder;
	struct lease_note note;
	char token[LEASE_TOKEN_BYTES + 1];
	uint32_t subject_size;
	uint32_t purpose_size;
	char bytes[]; /* subject, purpose */
};

struct lease_table {
	struct lease_key key;
	uint64_t hash_seed;
	uint32_t leases_max;
	uint32_t waiters_max;
	bool is_telling;
	int64_t now_ms;  /* the latest that was passed */
	uint64_t serial; /* of the last grant */
	uint64_t order;  /* of the last who went into a line */
	struct hash_table by_name;
	struct hash_table by_subject;
	struct hash_table by_holder;
	struct hash_table waiters_by_holder; /* in any line, until told or its holder dropped */
	struct deadlines ends;               /* of leases */
	struct deadlines waits;              /* of those in line */
	struct lease_line promised;
	struct lease_line deferred;
	struct lease_stats stats;
};

static void clock_to(struct lease_table *table, int64_t now_ms);
static struct lease *find(
	const struct lease_table *table, struct slice subject, struct slice purpose);
static struct lease *find_held(const struct lease_table *table, struct slice subject,
	struct slice purpose, struct slice token);
static struct lease *add(struct lease_table *table, struct slice subject, struct slice purpose);
static void drop(struct lease_table *table, struct lease *lease);
static void grant(struct lease_table *table, struct lease *lease, int64_t duration_ms,
	uint64_t holder, struct lease_grant *out);
static void end(struct lease_table *table, struct lease *lease, enum lease_outcome untold);
static void hand_on(struct lease_table *table, struct lease *lease);
static void time_out(struct lease_table *table, struct lease *lease);
static void time_out_wait(struct lease_table *table, struct lease_waiter *waiter);
static void stand_in_line(struct lease_table *table, struct lease *lease,
	const struct lease_terms *terms, struct lease_waiter *waiter);
static void leave_line(struct lease_table *table, struct lease_waiter *waiter);
static void promise(
	struct lease_table *table, struct lease_waiter *waiter, enum lease_outcome outcome);
static void tell(struct lease_table *table);
static struct lease_waiter *line_first(const struct lease_line *line);
static void line_append(struct lease_line *line, struct lease_waiter *waiter);
static void line_remove(struct lease_waiter *waiter);
static bool is_of_subject(const struct hash_node *node, const void *subject);
static bool is_lease_of(const struct hash_node *node, const void *holder);
static bool is_waiter_of(const struct hash_node *node, const void *holder);
static uint64_t hash_of_holder(const struct lease_table *table, uint64_t holder);

struct lease_table *lease_table_new(
	uint64_t epoch_a, uint64_t epoch_b, uint32_t leases_max, uint32_t waiters_max)
{
	struct lease_table *table = memory_zeroed(sizeof(*table));
	table->key = (struct lease_key){ epoch_a, epoch_b };
	table->leases_max = leases_max;
	table->waiters_max = waiters_max;
	/* Grants count from 1, so this token is nobody's. */
	char secret[LEASE_TOKEN_BYTES + 1];
	lease_token_make(table->key, 0, secret);
	table->hash_seed = hash_bytes(slice_text(secret));
	return table;
}

void lease_table_free(struct lease_table **table_pointer)
{
	struct lease_table *table = *table_pointer;
	*table_pointer = NULL;
	if (table == NULL)
		return;
	assert(!table->is_telling);
	assert(table->stats.waiting == 0);
	assert(table->deferred.count == 0);
	assert(table->waits.count == 0);
	struct deadline *first;
	while ((first = deadlines_first(&table->ends)) != NULL)
		drop(table, container_of(first, struct lease, deadline));
	assert(table->by_name.count == 0);
	assert(table->waiters_by_holder.count == 0);
	hash_table_fini(&table->by_name);
	hash_table_fini(&table->by_subject);
	hash_table_fini(&table->by_holder);
	hash_table_fini(&table->waiters_by_holder);
	deadlines_fini(&table->ends);
	deadlines_fini(&table->waits);
	memory_free(table);
}

enum lease_answer lease_ask(struct lease_table *table, struct slice subject, struct slice purpose,
	const struct lease_terms *terms, struct lease_waiter *waiter, int64_t now_ms,
	struct lease_grant *out)
{
	assert(terms->duration_ms > 0);
	assert(terms->duration_ms <= LIMIT_LEASE_MS);
	assert(terms->wait_ms >= 0);
	assert(terms->wait_ms <= LIMIT_LEASE_MS);
	clock_to(table, now_ms);
	/* Those before this caller are told first: what they do may decide its answer. */
	struct lease *lease;
	while ((lease = find(table, subject, purpose)) != NULL &&
		lease->deadline.at_ms <= table->now_ms) {
		time_out(table, lease);
		tell(table);
	}
	if (lease == NULL && table->by_name.count >= table->leases_max) {
		*out = (struct lease_grant){ .ms = FULL_RETRY_MS };
		return LEASE_HELD;
	}
	if (lease == NULL) {
		grant(table, add(table, subject, purpose), terms->duration_ms,
			terms->lasting ? 0 : terms->holder, out);
		return LEASE_NOW;
	}
	*out = (struct lease_grant){ .ms = lease->deadline.at_ms - table->now_ms };
	assert(out->ms > 0);
	if (waiter == NULL || terms->wait_ms == 0 || lease->line.count >= table->waiters_max)
		return LEASE_HELD;
	stand_in_line(table, lease, terms, waiter);
	return LEASE_WAITS;
}

bool lease_holds(const struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, int64_t now_ms)
{
	const struct lease *lease = find_held(table, subject, purpose, token);
	return lease != NULL && lease->deadline.at_ms > now_ms;
}

bool lease_is_held(
	const struct lease_table *table, struct slice subject, struct slice purpose, int64_t now_ms)
{
	const struct lease *lease = find(table, subject, purpose);
	return lease && lease->deadline.at_ms > (now_ms > table->now_ms ? now_ms : table->now_ms);
}

bool lease_renew(struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, int64_t ms, int64_t now_ms)
{
	assert(ms > 0);
	assert(ms <= LIMIT_LEASE_MS);
	clock_to(table, now_ms);
	struct lease *lease = find_held(table, subject, purpose, token);
	if (lease == NULL)
		return false;
	deadlines_set(&table->ends, &lease->deadline, table->now_ms + ms, lease->deadline.order);
	return true;
}

bool lease_release(struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, int64_t now_ms)
{
	clock_to(table, now_ms);
	struct lease *lease = find_held(table, subject, purpose, token);
	if (lease == NULL)
		return false;
	table->stats.released++;
	end(table, lease, LEASE_GONE);
	hand_on(table, lease);
	tell(table);
	return true;
}

bool lease_note_set(struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, const struct lease_note *note)
{
	struct lease *lease = find_held(table, subject, purpose, token);
	if (lease)
		lease->note = *note;
	return lease != NULL;
}

bool lease_note_get(const struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, struct lease_note *out)
{
	const struct lease *lease = find_held(table, subject, purpose, token);
	if (lease)
		*out = lease->note;
	return lease != NULL;
}

bool lease_commit(struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, int64_t now_ms)
{
	clock_to(table, now_ms);
	struct lease *lease = find_held(table, subject, purpose, token);
	if (lease == NULL)
		return false;
	table->stats.committed++;
	end(table, lease, LEASE_GONE);
	struct lease_waiter *waiter;
	while ((waiter = line_first(&lease->line)) != NULL)
		promise(table, waiter, LEASE_FILLED);
	drop(table, lease);
	tell(table);
	return true;
}

void lease_void(struct lease_table *table, struct slice subject, bool deferred)
{
	struct hash_node *taken = hash_table_take(&table->by_subject,
		hash_bytes_seeded(subject, table->hash_seed), is_of_subject, &subject);
	while (taken) {
		struct lease *lease = container_of(taken, struct lease, by_subject);
		taken = taken->next;
		table->stats.voided++;
		end(table, lease, LEASE_GONE);
		struct lease_waiter *waiter;
		while ((waiter = line_first(&lease->line)) != NULL) {
			leave_line(table, waiter);
			waiter->outcome = LEASE_GONE;
			line_append(deferred ? &table->deferred : &table->promised, waiter);
		}
		drop(table, lease);
	}
	if (!deferred)
		tell(table);
}

void lease_drop_holder(struct lease_table *table, uint64_t holder, int64_t now_ms)
{
	uint64_t hash = hash_of_holder(table, holder);
	assert(holder != 0);
	clock_to(table, now_ms);
	/* Its waiters first, lest one be granted what its holder loses. */
	struct hash_node *taken =
		hash_table_take(&table->waiters_by_holder, hash, is_waiter_of, &holder);
	while (taken) {
		struct lease_waiter *waiter = container_of(taken, struct lease_waiter, by_holder);
		taken = taken->next;
		promise(table, waiter, LEASE_DROPPED);
	}
	taken = hash_table_take(&table->by_holder, hash, is_lease_of, &holder);
	while (taken) {
		struct lease *lease = container_of(taken, struct lease, by_holder);
		taken = taken->next;
		if (lease->deadline.at_ms <= table->now_ms)
			table->stats.timed_out++;
		else
			table->stats.lost_holders++;
		end(table, lease, LEASE_DROPPED);
		hand_on(table, lease);
	}
	tell(table);
}

void lease_cancel(struct lease_table *table, struct lease_waiter *waiter)
{
	if (waiter->line == NULL)
		return;
	struct lease *lease = waiter->lease;
	bool holds = lease != NULL && lease->untold == waiter;
	if (lease != NULL && !holds)
		leave_line(table, waiter);
	else
		line_remove(waiter);
	hash_table_remove(&table->waiters_by_holder, &waiter->by_holder);
	if (!holds)
		return;
	table->stats.released++;
	end(table, lease, LEASE_GONE);
	hand_on(table, lease);
	tell(table);
}

void lease_run(struct lease_table *table, int64_t now_ms)
{
	clock_to(table, now_ms);
	struct lease_waiter *waiter;
	while ((waiter = line_first(&table->deferred)) != NULL)
		promise(table, waiter, LEASE_GONE);
	struct deadline *first;
	while ((first = deadlines_first(&table->waits)) != NULL && first->at_ms <= table->now_ms)
		time_out_wait(table, container_of(first, struct lease_waiter, deadline));
	while ((first = deadlines_first(&table->ends)) != NULL && first->at_ms <= table->now_ms)
		time_out(table, container_of(first, struct lease, deadline));
	tell(table);
}

int64_t lease_next_ms(const struct lease_table *table)
{
	const struct deadline *wait = deadlines_first(&table->waits);
	const struct deadline *end = deadlines_first(&table->ends);
	if (table->deferred.count > 0)
		return 0;
	int64_t next_ms = end ? end->at_ms : INT64_MAX;
	return wait && wait->at_ms < next_ms ? wait->at_ms : next_ms;
}

const struct lease_stats *lease_table_stats(const struct lease_table *table)
{
	return &table->stats;
}

static void clock_to(struct lease_table *table, int64_t now_ms)
{
	assert(now_ms >= 0);
	if (now_ms > table->now_ms)
		table->now_ms = now_ms;
}

static struct lease *find(
	const struct lease_table *table, struct slice subject, struct slice purpose)
{
	assert(subject.size <= LIMIT_STORE_KEY_BYTES);
	assert(purpose.size <= LIMIT_LEASE_PURPOSE_BYTES);
	if (table->by_name.count == 0)
		return NULL;
	uint64_t hash = hash_bytes_seeded(purpose, hash_bytes_seeded(subject, table->hash_seed));
	struct hash_node *node = hash_table_first(&table->by_name, hash);
	for (; node; node = hash_table_next(node)) {
		struct lease *lease = container_of(node, struct lease, by_name);
		const char *bytes = lease->bytes;
		if (slice_equal(slice_of(bytes, lease->subject_size), subject) &&
			slice_equal(slice_of(bytes + lease->subject_size, lease->purpose_size),
				purpose))
			return lease;
	}
	return NULL;
}

/* After its deadline a token is dead, although nobody may hold the lease yet. */
static struct lease *find_held(const struct lease_table *table, struct slice subject,
	struct slice purpose, struct slice token)
{
	struct lease *lease = find(table, subject, purpose);
	if (lease == NULL || lease->deadline.at_ms <= table->now_ms)
		return NULL;
	return lease_token_is(lease->token, token) ? lease : NULL;
}

static struct lease *add(struct lease_table *table, struct slice subject, struct slice purpose)
{
	struct lease *lease = memory_zeroed(sizeof(*lease) + subject.size + purpose.size);
	lease->subject_size = (uint32_t)subject.size;
	lease->purpose_size = (uint32_t)purpose.size;
	if (subject.size)
		memcpy(lease->bytes, subject.data, subject.size);
	if (purpose.size)
		memcpy(lease->bytes + subject.size, purpose.data, purpose.size);
	uint64_t hash = hash_bytes_seeded(subject, table->hash_seed);
	hash_table_add(&table->by_subject, &lease->by_subject, hash);
	hash_table_add(&table->by_name, &lease->by_name, hash_bytes_seeded(purpose, hash));
	return lease;
}

static void drop(struct lease_table *table, struct lease *lease)
{
	assert(lease->line.count == 0);
	assert(lease->untold == NULL);
	hash_table_remove(&table->by_name, &lease->by_name);
	hash_table_remove(&table->by_subject, &lease->by_subject);
	hash_table_remove(&table->by_holder, &lease->by_holder);
	deadlines_remove(&table->ends, &lease->deadline);
	memory_free(lease);
}

static void grant(struct lease_table *table, struct lease *lease, int64_t duration_ms,
	uint64_t holder, struct lease_grant *out)
{
	assert(lease->by_holder.place == NULL);
	lease->holder = holder;
	lease->note = (struct lease_note){ 0 };
	if (holder)
		hash_table_add(&table->by_holder, &lease->by_holder, hash_of_holder(table, holder));
	lease_token_make(table->key, ++table->serial, lease->token);
	deadlines_set(&table->ends, &lease->deadline, table->now_ms + duration_ms, table->serial);
	table->stats.held++;
	table->stats.granted++;
	memcpy(out->token, lease->token, sizeof(out->token));
	out->ms = duration_ms;
}

/* It is nobody's until it is granted again or dropped. */
static void end(struct lease_table *table, struct lease *lease, enum lease_outcome untold)
{
	assert(table->stats.held > 0);
	table->stats.held--;
	hash_table_remove(&table->by_holder, &lease->by_holder);
	if (lease->untold) {
		lease->untold->outcome = untold;
		lease->untold->lease = NULL;
		lease->untold = NULL;
	}
}

static void hand_on(struct lease_table *table, struct lease *lease)
{
	struct lease_waiter *first;
	while ((first = line_first(&lease->line)) != NULL && first->deadline.at_ms <= table->now_ms)
		time_out_wait(table, first);
	if (first == NULL) {
		drop(table, lease);
		return;
	}
	table->stats.promoted++;
	promise(table, first, LEASE_GRANTED);
	grant(table, lease, first->duration_ms, first->holder, &first->grant);
	first->lease = lease;
	lease->untold = first;
}

static void time_out(struct lease_table *table, struct lease *lease)
{
	table->stats.timed_out++;
	end(table, lease, LEASE_TIMED_OUT);
	hand_on(table, lease);
}

static void time_out_wait(struct lease_table *table, struct lease_waiter *waiter)
{
	table->stats.waits_timed_out++;
	promise(table, waiter, LEASE_TIMED_OUT);
}

static void stand_in_line(struct lease_table *table, struct lease *lease,
	const struct lease_terms *terms, struct lease_waiter *waiter)
{
	assert(waiter->told != NULL);
	assert(waiter->line == NULL);
	assert(waiter->by_holder.place == NULL);
	waiter->lease = lease;
	waiter->duration_ms = terms->duration_ms;
	waiter->holder = terms->holder;
	waiter->lasting = terms->lasting;
	waiter->grant = (struct lease_grant){ 0 };
	deadlines_set(
		&table->waits, &waiter->deadline, table->now_ms + terms->wait_ms, ++table->order);
	if (waiter->holder)
		hash_table_add(&table->waiters_by_holder, &waiter->by_holder,
			hash_of_holder(table, waiter->holder));
	line_append(&lease->line, waiter);
	table->stats.waiting++;
}

static void leave_line(struct lease_table *table, struct lease_waiter *waiter)
{
	assert(waiter->line == &waiter->lease->line);
	assert(table->stats.waiting > 0);
	line_remove(waiter);
	deadlines_remove(&table->waits, &waiter->deadline);
	waiter->lease = NULL;
	table->stats.waiting--;
}

/* From whatever line it stands in. */
static void promise(
	struct lease_table *table, struct lease_waiter *waiter, enum lease_outcome outcome)
{
	if (waiter->lease != NULL && waiter->lease->untold != waiter)
		leave_line(table, waiter);
	else
		line_remove(waiter);
	waiter->outcome = outcome;
	line_append(&table->promised, waiter);
}

static void tell(struct lease_table *table)
{
	if (table->is_telling)
		return;
	table->is_telling = true;
	struct lease_waiter *waiter;
	while ((waiter = line_first(&table->promised)) != NULL) {
		line_remove(waiter);
		hash_table_remove(&table->waiters_by_holder, &waiter->by_holder);
		if (waiter->lease) {
			assert(waiter->lease->untold == waiter);
			assert(waiter->outcome == LEASE_GRANTED);
			waiter->lease->untold = NULL;
			/* Until now nobody would have done the work. */
			if (waiter->lasting)
				hash_table_remove(&table->by_holder, &waiter->lease->by_holder);
			waiter->lease = NULL;
		}
		waiter->told(waiter, waiter->outcome);
	}
	table->is_telling = false;
}

static struct lease_waiter *line_first(const struct lease_line *line)
{
	struct list_node *first = line->waiters.first;
	return first ? container_of(first, struct lease_waiter, in_line) : NULL;
}

static void line_append(struct lease_line *line, struct lease_waiter *waiter)
{
	waiter->line = line;
	list_append(&line->waiters, &waiter->in_line);
	line->count++;
}

static void line_remove(struct lease_waiter *waiter)
{
	struct lease_line *line = waiter->line;
	assert(line->count > 0);
	list_remove(&line->waiters, &waiter->in_line);
	waiter->line = NULL;
	line->count--;
}

static bool is_of_subject(const struct hash_node *node, const void *subject)
{
	const struct lease *lease = container_of(node, struct lease, by_subject);
	return slice_equal(
		slice_of(lease->bytes, lease->subject_size), *(const struct slice *)subject);
}

static bool is_lease_of(const struct hash_node *node, const void *holder)
{
	const struct lease *lease = container_of(node, struct lease, by_holder);
	return lease->holder == *(const uint64_t *)holder;
}

static bool is_waiter_of(const struct hash_node *node, const void *holder)
{
	const struct lease_waiter *waiter = container_of(node, struct lease_waiter, by_holder);
	return waiter->holder == *(const uint64_t *)holder;
}

static uint64_t hash_of_holder(const struct lease_table *table, uint64_t holder)
{
	return hash_bytes_seeded(slice_of(&holder, sizeof(holder)), table->hash_seed);
}
