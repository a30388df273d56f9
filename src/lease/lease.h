/*
 * lease: the right to be the only one who does something, for a limited time, and the line of those
 * who wait for it. Of the callers who find an access token about to expire, or a cache entry stale,
 * exactly one is granted the lease and does the work; the others wait until it has.
 *
 * A lease is named by a subject (a session, a cache key) and a purpose (empty, where one subject
 * has one lease). Who holds it is known by a token. It ends
 *
 *   by                     and the first who waits      and the others who wait
 *   lease_release          is granted it                go on waiting
 *   its time               is granted it                go on waiting
 *   lease_drop_holder      is granted it                go on waiting
 *   lease_commit           is told LEASE_FILLED         are told LEASE_FILLED
 *   lease_void             is told LEASE_GONE           are told LEASE_GONE
 *
 * and from then on its token is dead for ever. It always has an end: a holder that dies or hangs
 * delays the others by the lease's duration at the most.
 *
 * Times are milliseconds of one monotonic clock, not negative. A time that lies before one that was
 * passed earlier counts as that one: workers read their clocks apart.
 *
 * Threads: a table belongs to a shard; whoever holds the shard may call. lease_void with `deferred`
 * is for turns that run on another worker's thread than the shard's: it tells nobody.
 */
#ifndef LEASE_LEASE_H
#define LEASE_LEASE_H

#include "base/deadlines.h"
#include "base/hash_table.h"
#include "base/list.h"
#include "base/slice.h"
#include "lease/lease_token.h"

#include <stdbool.h>
#include <stdint.h>

struct lease;
struct lease_table;
struct lease_waiter;

enum lease_answer {
	LEASE_NOW,   /* the caller holds it */
	LEASE_HELD,  /* somebody else does, and the caller does not wait for it */
	LEASE_WAITS, /* the waiter stands in line and will be told */
};

enum lease_outcome {
	LEASE_GRANTED,   /* it holds the lease: see waiter->grant */
	LEASE_FILLED,    /* the holder did the work and committed it */
	LEASE_GONE,      /* the subject was voided */
	LEASE_TIMED_OUT, /* nothing of the kind within wait_ms */
	LEASE_DROPPED,   /* its own holder was dropped */
};

struct lease_terms {
	int64_t duration_ms; /* of the lease from when it is granted: 1 to LIMIT_LEASE_MS */
	int64_t wait_ms;     /* 0 to LIMIT_LEASE_MS; 0: does not wait */
	uint64_t holder;     /* for lease_drop_holder, such as a connection's id; 0: none */
	bool lasting;        /* once told of, the lease does not end with its holder; a wait does */
};

struct lease_grant {
	char token[LEASE_TOKEN_BYTES + 1]; /* a C string; empty: not granted */
	int64_t ms;                        /* until the lease ends, whoever holds it */
};

/*
 * One who may wait; the caller's memory, zeroed before its first use and kept from LEASE_WAITS
 * until it has been told or cancelled. It may wait again as soon as it is told.
 */
struct lease_waiter {
	/* the caller's */
	void (*told)(struct lease_waiter *waiter, enum lease_outcome outcome);

	/* to read, when told LEASE_GRANTED */
	struct lease_grant grant;

	/* lease.c's */
	struct lease_line *line; /* it stands in; NULL: in none */
	struct list_node in_line;
	struct lease *lease; /* that it waits for; or was granted and has not been told of */
	struct deadline deadline;
	struct hash_node by_holder;
	int64_t duration_ms;
	uint64_t holder;
	bool lasting;
	enum lease_outcome outcome;
};

struct lease_stats {
	/* as it is */
	uint64_t held;
	uint64_t waiting;
	/* since the table was made; granted = held + committed + released + timed_out + voided +
	 * lost_holders */
	uint64_t granted;
	uint64_t promoted; /* those of `granted` that went to one who waited */
	uint64_t committed;
	uint64_t released; /* by the holder, or cancelled before it was told */
	uint64_t timed_out;
	uint64_t voided;
	uint64_t lost_holders;
	uint64_t waits_timed_out;
};

/*
 * The epoch is 128 secret random bits, of no other table: tokens of another boot or table never
 * match. `leases_max`: there are no more at a time. `waiters_max`: more do not wait for one lease.
 */
struct lease_table *lease_table_new(
	uint64_t epoch_a, uint64_t epoch_b, uint32_t leases_max, uint32_t waiters_max);
/*
 * Leases may be held; nobody may wait, and all must have been told: one left behind would be a
 * request that never ends.
 */
void lease_table_free(struct lease_table **table);

/*
 * In `told`, everything may be called but lease_table_free, also for the same lease and with the
 * same waiter, whose memory may be freed as well. It is called when the change that it tells of is
 * complete. What comes about by calls within it is told after it returns, before the outermost call
 * of this table does: telling nests never, however many hand on a lease to each other.
 */

/*
 * Who finds nobody holding it holds it: LEASE_NOW, `out` is the grant. Otherwise the waiter, when
 * there is one and wait_ms is not 0, goes to the end of the line; nobody is let in before those in
 * line. In both other cases out->ms is what is left of the holder's lease, 1 at least. A holder who
 * asks again is like others. One in line whose time is over counts for `waiters_max` until told.
 */
enum lease_answer lease_ask(struct lease_table *table, struct slice subject, struct slice purpose,
	const struct lease_terms *terms, struct lease_waiter *waiter, int64_t now_ms,
	struct lease_grant *out);
/*
 * Whether the token is the holder's: from its grant until its duration is over, that moment
 * excluded, and never again after it ended otherwise. Changes nothing and tells nobody.
 */
bool lease_holds(const struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, int64_t now_ms);
/* Whether anybody holds it. */
bool lease_is_held(const struct lease_table *table, struct slice subject, struct slice purpose,
	int64_t now_ms);
/* The lease ends `ms` (1 to LIMIT_LEASE_MS) from now, be that sooner or later than it would have.
 * False, as in the next two: the token is not the holder's, and nothing happens. */
bool lease_renew(struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, int64_t ms, int64_t now_ms);
/* What the caller keeps with a lease as long as this token holds it; a new grant's is zero. By the
 * time that was passed last. */
struct lease_note {
	uint64_t words[4];
};
bool lease_note_set(struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, const struct lease_note *note);
bool lease_note_get(const struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, struct lease_note *out);
/* The work was not done: the first in line is granted it. */
bool lease_release(struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, int64_t now_ms);
/* The work was done: all in line are told, first come first; also one whose time is just over. */
bool lease_commit(struct lease_table *table, struct slice subject, struct slice purpose,
	struct slice token, int64_t now_ms);
/*
 * What the leases of a subject would protect is gone or new: all end, whatever their purpose,
 * in the order in which they came to be held (a lease that is handed on stays the same).
 * `deferred`: those in line leave it, and are told by the next lease_run.
 */
void lease_void(struct lease_table *table, struct slice subject, bool deferred);
/*
 * Its waiters, those too that a deferred lease_void left untold, are told LEASE_DROPPED in the
 * order in which they asked; then its leases end in the order in which they were granted, each as
 * by lease_release. `holder` is not 0.
 */
void lease_drop_holder(struct lease_table *table, uint64_t holder, int64_t now_ms);
/*
 * It will not be told. Nothing happens when it is in no line. If it has just been granted the lease
 * (within `told` of another), that is handed on as by lease_release.
 */
void lease_cancel(struct lease_table *table, struct lease_waiter *waiter);

/*
 * Tells those whom a deferred lease_void left untold, then those whose wait is over, then hands on
 * the leases whose duration is over; each in order of time.
 */
void lease_run(struct lease_table *table, int64_t now_ms);
/* When lease_run has something to do: INT64_MAX never, 0 at once. Any call may change it. */
int64_t lease_next_ms(const struct lease_table *table);
const struct lease_stats *lease_table_stats(const struct lease_table *table);

#endif
