/*
 * leases: the leases of each shard, and the requests that wait for one.
 *
 *   a command asks for a lease --(held)--> parked --(told)--> engine_resume: its handler runs again
 *
 * A table of leases belongs to its shard, so all that happens to it happens in turns of the shard:
 * those of commands, those of the engine's expiry, and those that are submitted here when a lease's
 * time is over (leases_run) or a client is gone. Who is told in such a turn is resumed in it, and
 * then stands in the queue of the same shard.
 *
 * Threads: a table is whoever's holds the shard; leases_run and leases_drain on their port's.
 */
#ifndef LEASES_LEASES_H
#define LEASES_LEASES_H

#include "engine/engine.h"
#include "lease/lease.h"
#include "request/turn.h"

struct leases;

struct leases_options {
	struct engine *engine;
	/* Calls leases_run on this port's thread in so many milliseconds; replaces what was asked
	 * for before. Called on that thread. NULL: the engine's expiry is all that looks. */
	void (*wake_in)(void *context, uint16_t port, int64_t ms);
	void *context;
};

/* Opens the room. */
struct leases *leases_new(const struct leases_options *options);
/* Before the engine is closed; requests that still wait go back to their pools. */
void leases_free(struct leases **leases);
/* NULL in an engine without. */
struct leases *leases_in(const struct engine *engine);
/* On the port's thread: hands on leases whose time is over. */
void leases_run(struct leases *leases, uint16_t port);
/* Every lease that this connection holds ends. On any port's thread. */
void leases_forget_client(struct leases *leases, uint16_t port, uint64_t client);
/* The server stops: who waits on this worker is told so. True while somebody does. */
bool leases_drain(struct leases *leases, uint16_t port);

/* Requests that wait for a lease; any thread. */
uint32_t leases_waiting(const struct leases *leases);

/* A shard's table, and now as leases count. */
struct lease_table *leases_table(struct leases *leases, uint16_t shard);
int64_t leases_clock_ms(const struct leases *leases);

/* --- within a turn ---------------------------------------------------------------------------- */

/* Those of a held shard. On another thread than the shard's worker only lease_holds and lease_void
 * with `deferred` may be called: see leases_are_near. */
struct lease_table *leases_of(const struct turn *turn, uint16_t shard);
/* Whether this is the shard's own thread for sure. */
bool leases_are_near(const struct turn *turn);
/* Now, as leases count: monotonic milliseconds. */
int64_t leases_now_ms(const struct turn *turn);
/* After the turn has used its shard's leases: asks to be woken. */
void leases_used(struct turn *turn);

/* When the turn has been committed: the lease of the subject ends, whoever holds it, and those who
 * wait are told. The subject is copied. */
void leases_void(struct turn *turn, uint16_t shard, struct slice subject);
/* The same of one that the turn has found to be held by this token: it is over because what it was
 * for is done. On a shard that is near. */
void leases_commit(
	struct turn *turn, struct slice subject, struct slice purpose, struct slice token);

/* For whoever asks in this turn. A client that is gone waits for none: its connection has been, or
 * will be, forgotten by this shard (leases_forget_client). */
struct lease_terms leases_terms(const struct turn *turn, int64_t duration_ms, int64_t wait_ms);

struct lease_wait {
	struct lease_waiter waiter;
	struct list_node in_shard;
	struct leases *leases;
	struct request *request;
	uint16_t shard;
	uint16_t port;
	bool told;
	bool stopped; /* the server stops: told, and not by the lease */
	enum lease_outcome outcome;
};
/* Zeroed memory that lives as long as the request, and the turn that will wait. */
void lease_wait_init(struct lease_wait *wait, struct turn *turn);
/* lease_ask has answered LEASE_WAITS: parks the turn's request until it is told. */
void lease_wait_begin(struct turn *turn, struct lease_wait *wait);

#endif
