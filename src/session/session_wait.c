/*
 * session_wait: requests that wait for a lease, clients that are gone, the server's stop.
 *
 *   SESSION.LEASE --(held)--> parked --(told)--> engine_resume: the handler runs again
 *
 * A lease table belongs to its shard, so all that happens to it happens in turns of the shard:
 * those of commands, those of the engine's expiry, and those that are submitted here when a lease's
 * time is over (sessions_run) or a client is gone. Who is told in such a turn is resumed in it, and
 * then stands in the queue of the same shard.
 *
 * Threads: see sessions.h; sessions_run and sessions_drain on their port's.
 */
#include "session/sessions_private.h"

#include "base/clock.h"

#include <assert.h>

#define NS_PER_MS 1000000

/* --- one that waits
 * -------------------------------------------------------------------------------
 */

static void unlink_wait(struct session_wait *wait)
{
	struct shard_sessions *shard = &wait->sessions->shards[wait->shard];
	*(wait->previous ? &wait->previous->next : &shard->waits) = wait->next;
	if (wait->next)
		wait->next->previous = wait->previous;
	atomic_fetch_sub(&wait->sessions->waiting[wait->port], 1);
}

static void on_told(struct lease_waiter *waiter, enum lease_outcome outcome)
{
	struct session_wait *wait = (struct session_wait *)waiter;
	struct request *request = wait->request;
	wait->told = true;
	wait->outcome = outcome;
	unlink_wait(wait);
	engine_resume(wait->sessions->engine, wait->port, &request);
}

static void on_parked(struct request *request)
{
	(void)request; /* on_told finds it through its waiter */
}

void session_wait_init(struct session_wait *wait, struct turn *turn)
{
	*wait = (struct session_wait){
		.waiter.told = on_told,
		.sessions = turn->sessions,
		.request = turn->request,
		.shard = turn->shard,
		.port = turn->port,
	};
}

void session_wait_begin(struct turn *turn, struct session_wait *wait)
{
	struct shard_sessions *shard = shard_sessions_of(turn, wait->shard);
	wait->told = false;
	wait->previous = NULL;
	wait->next = shard->waits;
	if (shard->waits)
		shard->waits->previous = wait;
	shard->waits = wait;
	atomic_fetch_add(&turn->sessions->waiting[wait->port], 1);
	turn_park(turn, on_parked);
}

/* --- a shard's leases
 * -----------------------------------------------------------------------------
 */

struct lease_table *sessions_leases(struct sessions *sessions, uint16_t shard)
{
	return sessions->shards[shard].leases;
}

int64_t sessions_lease_ms(const struct sessions *sessions)
{
	return (int64_t)(clock_monotonic_ns(sessions->engine->clock) / NS_PER_MS);
}

/* The earliest of the port's shards is what the host is asked for. */
static void ask(struct sessions *sessions, uint16_t port)
{
	const struct engine *engine = sessions->engine;
	int64_t first_ms = INT64_MAX;
	if (sessions->options.wake_in == NULL)
		return;
	for (uint16_t i = port; i < engine->shard_count; i += engine->worker_count) {
		int64_t look_ms = sessions->shards[i].look_ms;
		if (look_ms < first_ms)
			first_ms = look_ms;
	}
	if (first_ms == INT64_MAX)
		return;
	int64_t now_ms = sessions_lease_ms(sessions);
	sessions->options.wake_in(
		sessions->options.context, port, first_ms > now_ms ? first_ms - now_ms : 0);
}

void sessions_leases_used(struct turn *turn)
{
	struct shard_sessions *shard = shard_sessions_of(turn, turn->shard);
	int64_t next_ms = lease_next_ms(shard->leases);
	bool sooner = next_ms < shard->look_ms;
	shard->look_ms = next_ms;
	if (sooner)
		ask(turn->sessions, turn->port);
}

void session_waits_look(struct turn *turn)
{
	struct sessions *sessions = turn->sessions;
	struct shard_sessions *shard = shard_sessions_of(turn, turn->shard);
	while (sessions->stopping && shard->waits) {
		struct session_wait *wait = shard->waits;
		lease_cancel(shard->leases, &wait->waiter);
		wait->stopped = true;
		on_told(&wait->waiter, LEASE_TIMED_OUT);
	}
	lease_run(shard->leases, sessions_lease_ms(sessions));
	shard->look_ms = lease_next_ms(shard->leases);
}

static const struct command look_command = {
	.name = "look at leases", .arity = -1, .route = ROUTE_KEYS, .run = session_waits_look
};

void sessions_run(struct sessions *sessions, uint16_t port)
{
	struct engine *engine = sessions->engine;
	int64_t now_ms = sessions_lease_ms(sessions);
	for (uint16_t i = port; i < engine->shard_count; i += engine->worker_count)
		if (sessions->shards[i].look_ms <= now_ms)
			engine_submit_own(engine, port, i, &look_command, NULL, NULL);
	ask(sessions, port);
}

/* --- clients that are gone, and the end
 * -----------------------------------------------------------
 */

static void run_forget(struct turn *turn)
{
	struct shard_sessions *shard = shard_sessions_of(turn, turn->shard);
	lease_drop_holder(shard->leases, (uint64_t)(uintptr_t)turn->request->state,
		sessions_lease_ms(turn->sessions));
	sessions_leases_used(turn);
}

static const struct command forget_command = {
	.name = "end a client's leases", .arity = -1, .route = ROUTE_KEYS, .run = run_forget
};

void sessions_forget_client(struct sessions *sessions, uint16_t port, uint64_t client)
{
	assert(client != 0);
	for (uint16_t i = 0; i < sessions->engine->shard_count; i++)
		engine_submit_own(sessions->engine, port, i, &forget_command,
			(void *)(uintptr_t)client, NULL);
}

bool sessions_drain(struct sessions *sessions, uint16_t port)
{
	struct engine *engine = sessions->engine;
	sessions->stopping = true;
	if (sessions->waiting[port] == 0)
		return false;
	for (uint16_t i = port; i < engine->shard_count; i += engine->worker_count)
		engine_submit_own(engine, port, i, &look_command, NULL, NULL);
	return sessions->waiting[port] > 0;
}
