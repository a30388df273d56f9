/*
 * leases: see leases.h.
 *
 * Threads: see leases.h. Of what a shard has here other threads read only `look_ms`.
 */
#include "leases/leases.h"

#include "base/memory.h"
#include "base/random.h"
#include "engine/room.h"

#include <assert.h>

#define NS_PER_MS 1000000

struct shard_leases {
	struct lease_table *table;
	struct list waits;       /* requests parked */
	_Atomic int64_t look_ms; /* when the table is to be looked at */
};

struct leases {
	struct leases_options options;
	struct engine *engine;
	struct shard_leases *shards;
	_Atomic uint32_t waiting[LIMIT_WORKERS]; /* requests parked, by port */
	_Atomic bool stopping;
};

/* --- one that waits --------------------------------------------------------------------------- */

static void unlink_wait(struct lease_wait *wait)
{
	struct shard_leases *shard = &wait->leases->shards[wait->shard];
	list_remove(&shard->waits, &wait->in_shard);
	atomic_fetch_sub(&wait->leases->waiting[wait->port], 1);
}

static void on_told(struct lease_waiter *waiter, enum lease_outcome outcome)
{
	struct lease_wait *wait = (struct lease_wait *)waiter;
	struct request *request = wait->request;
	wait->told = true;
	wait->outcome = outcome;
	unlink_wait(wait);
	engine_resume(wait->leases->engine, wait->port, &request);
}

static void on_parked(struct request *request)
{
	(void)request; /* on_told finds it through its waiter */
}

struct lease_terms leases_terms(const struct turn *turn, int64_t duration_ms, int64_t wait_ms)
{
	const struct asker *asker = turn->asked->asker;
	return (struct lease_terms){
		.duration_ms = duration_ms,
		.wait_ms = asker && asker->gone ? 0 : wait_ms,
		.holder = asker ? asker->id : 0,
	};
}

void lease_wait_init(struct lease_wait *wait, struct turn *turn)
{
	*wait = (struct lease_wait){
		.waiter.told = on_told,
		.leases = leases_in(turn->engine),
		.request = turn->request,
		.shard = turn->shard,
		.port = turn->port,
	};
}

void lease_wait_begin(struct turn *turn, struct lease_wait *wait)
{
	struct shard_leases *shard = &wait->leases->shards[wait->shard];
	assert(turn->shard == wait->shard);
	assert(turn->port == wait->port);
	wait->told = false;
	list_prepend(&shard->waits, &wait->in_shard);
	atomic_fetch_add(&wait->leases->waiting[wait->port], 1);
	turn_park(turn, on_parked);
}

/* --- a shard's table -------------------------------------------------------------------------- */

uint32_t leases_waiting(const struct leases *leases)
{
	uint32_t waiting = 0;
	for (uint16_t i = 0; i < LIMIT_WORKERS; i++)
		waiting += atomic_load_explicit(&leases->waiting[i], memory_order_relaxed);
	return waiting;
}

struct lease_table *leases_table(struct leases *leases, uint16_t shard)
{
	return leases->shards[shard].table;
}

struct lease_table *leases_of(const struct turn *turn, uint16_t shard)
{
	assert(leases_in(turn->engine));
	return leases_table(leases_in(turn->engine), shard);
}

bool leases_are_near(const struct turn *turn)
{
	return turn->shard_count == 1;
}

static int64_t now_of(const struct engine *engine)
{
	return (int64_t)(clock_monotonic_ns(engine->clock) / NS_PER_MS);
}

int64_t leases_clock_ms(const struct leases *leases)
{
	return now_of(leases->engine);
}

int64_t leases_now_ms(const struct turn *turn)
{
	return now_of(turn->engine);
}

/* The earliest of the port's shards is what the host is asked for. */
static void ask(struct leases *leases, uint16_t port)
{
	const struct engine *engine = leases->engine;
	int64_t first_ms = INT64_MAX;
	if (leases->options.wake_in == NULL)
		return;
	for (uint16_t i = port; i < engine->shard_count; i += engine->worker_count) {
		int64_t look_ms = leases->shards[i].look_ms;
		if (look_ms < first_ms)
			first_ms = look_ms;
	}
	if (first_ms == INT64_MAX)
		return;
	int64_t now_ms = now_of(engine);
	leases->options.wake_in(
		leases->options.context, port, first_ms > now_ms ? first_ms - now_ms : 0);
}

void leases_used(struct turn *turn)
{
	struct leases *leases = leases_in(turn->engine);
	struct shard_leases *shard = &leases->shards[turn->shard];
	int64_t next_ms = lease_next_ms(shard->table);
	bool sooner = next_ms < shard->look_ms;
	shard->look_ms = next_ms;
	if (sooner && leases_are_near(turn))
		ask(leases, turn->port);
}

/* --- what follows from a turn ----------------------------------------------------------------- */

/* A lease that ends with the commit. */
struct ending {
	uint16_t shard;
	struct slice subject;
	struct slice purpose;
	struct slice token;
	int64_t now_ms;
};

static struct ending *ending_of(struct turn *turn, uint16_t shard, struct slice subject)
{
	struct ending *ending = arena_alloc(turn_arena(turn), sizeof(*ending));
	*ending = (struct ending){
		.shard = shard,
		.subject = arena_copy(turn_arena(turn), subject),
		.now_ms = leases_now_ms(turn),
	};
	return ending;
}

static void on_void(struct turn *turn, void *context)
{
	const struct ending *ending = context;
	/* Who waits is woken on the shard's own thread. */
	bool near = leases_are_near(turn);
	lease_void(leases_of(turn, ending->shard), ending->subject, !near);
	if (near)
		leases_used(turn);
}

void leases_void(struct turn *turn, uint16_t shard, struct slice subject)
{
	turn_on_commit(turn, on_void, ending_of(turn, shard, subject));
}

static void on_committed(struct turn *turn, void *context)
{
	const struct ending *ending = context;
	lease_commit(leases_of(turn, ending->shard), ending->subject, ending->purpose,
		ending->token, ending->now_ms);
	leases_used(turn);
}

void leases_commit(
	struct turn *turn, struct slice subject, struct slice purpose, struct slice token)
{
	struct ending *ending = ending_of(turn, turn->shard, subject);
	ending->purpose = arena_copy(turn_arena(turn), purpose);
	ending->token = arena_copy(turn_arena(turn), token);
	turn_on_commit(turn, on_committed, ending);
}

static void look(struct turn *turn)
{
	struct leases *leases = leases_in(turn->engine);
	struct shard_leases *shard = &leases->shards[turn->shard];
	while (leases->stopping && shard->waits.first) {
		struct lease_wait *wait =
			container_of(shard->waits.first, struct lease_wait, in_shard);
		lease_cancel(shard->table, &wait->waiter);
		wait->stopped = true;
		on_told(&wait->waiter, LEASE_TIMED_OUT);
	}
	lease_run(shard->table, now_of(leases->engine));
	leases_used(turn);
}

static const struct command look_command = {
	.name = "look at leases", .arity = -1, .route = ROUTE_KEYS, .run = look
};

void leases_run(struct leases *leases, uint16_t port)
{
	struct engine *engine = leases->engine;
	int64_t now_ms = now_of(engine);
	for (uint16_t i = port; i < engine->shard_count; i += engine->worker_count) {
		if (leases->shards[i].look_ms > now_ms)
			continue;
		/* The look asks again. A shard that is held makes it wait, and to be woken for it
		 * over and over would keep the loop from what gives the shard back. */
		leases->shards[i].look_ms = INT64_MAX;
		engine_ask(
			engine, port, &(struct question){ .command = &look_command, .shard = i });
	}
	ask(leases, port);
}

/* --- clients that are gone, and the end ------------------------------------------------------- */

static void forget(struct turn *turn)
{
	uint64_t client = (uint64_t)(uintptr_t)turn->state;
	lease_drop_holder(leases_of(turn, turn->shard), client, leases_now_ms(turn));
	leases_used(turn);
}

static const struct command forget_command = {
	.name = "end a client's leases", .arity = -1, .route = ROUTE_KEYS, .run = forget
};

void leases_forget_client(struct leases *leases, uint16_t port, uint64_t client)
{
	assert(client != 0);
	for (uint16_t i = 0; i < leases->engine->shard_count; i++)
		engine_ask(leases->engine, port,
			&(struct question){ .command = &forget_command,
				.shard = i,
				.state = (void *)(uintptr_t)client });
}

bool leases_drain(struct leases *leases, uint16_t port)
{
	struct engine *engine = leases->engine;
	leases->stopping = true;
	if (port >= engine->worker_count || leases->waiting[port] == 0)
		return false;
	for (uint16_t i = port; i < engine->shard_count; i += engine->worker_count)
		engine_ask(
			engine, port, &(struct question){ .command = &look_command, .shard = i });
	return leases->waiting[port] > 0;
}

/* --- the whole -------------------------------------------------------------------------------- */

static void client_gone(void *kept, uint16_t port, uint64_t client)
{
	leases_forget_client(kept, port, client);
}

static bool drain(void *kept, uint16_t port, bool now)
{
	return leases_drain(kept, port);
}

static const struct room leases_room = {
	.name = "leases",
	.look = look,
	.client_gone = client_gone,
	.drain = drain,
};

struct leases *leases_in(const struct engine *engine)
{
	return engine_room(engine, &leases_room);
}

struct leases *leases_new(const struct leases_options *options)
{
	struct engine *engine = options->engine;
	struct leases *leases = memory_zeroed(sizeof(*leases));
	leases->options = *options;
	leases->engine = engine;
	leases->shards = memory_zeroed(engine->shard_count * sizeof(*leases->shards));
	uint32_t most = LIMIT_LEASES / engine->shard_count;
	if (most < LIMIT_LEASES_SHARD)
		most = LIMIT_LEASES_SHARD;
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		uint64_t epoch[2];
		random_entropy(epoch, sizeof(epoch));
		leases->shards[i].table =
			lease_table_new(epoch[0], epoch[1], most, LIMIT_LEASE_WAITERS);
		leases->shards[i].look_ms = INT64_MAX;
	}
	engine_open_room(engine, &leases_room, leases);
	return leases;
}

/* Requests that will not run on go back to the pool. */
static void abandon_waits(struct leases *leases, struct shard_leases *shard)
{
	struct list_node *node;
	while ((node = list_take(&shard->waits)) != NULL) {
		struct lease_wait *wait = container_of(node, struct lease_wait, in_shard);
		struct request *request = wait->request;
		uint16_t port = wait->port;
		lease_cancel(shard->table, &wait->waiter);
		request_move(request, REQUEST_DONE);
		request_put(&leases->engine->ports[port].pool, &request);
	}
}

void leases_free(struct leases **taken)
{
	struct leases *leases = *taken;
	*taken = NULL;
	if (leases == NULL)
		return;
	for (uint16_t i = 0; i < leases->engine->shard_count; i++) {
		abandon_waits(leases, &leases->shards[i]);
		lease_table_free(&leases->shards[i].table);
	}
	engine_close_room(leases->engine, &leases_room);
	memory_free(leases->shards);
	memory_free(leases);
}
