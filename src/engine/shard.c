/*
 * shard: how a request takes shards, runs its turn and goes home; see shard.h for the order of
 * locks.
 *
 *   advance:  take the next shard --(other worker's)--> its mailbox, and advance goes on there
 *                 |            '--(held, or others wait)--> its queue, until it is given back
 *                 v all taken
 *             turn: handler -> changes -> one log record -> overlays
 *                 |   (a long one pauses: it holds its shards, and goes on through the mailbox)
 *                 v
 *             give the shards back, last taken first --(other worker's)--> its mailbox
 *                 v all given back
 *             home: done, or home's mailbox
 *
 * A port has three lists of what it is to do: requests that came home, requests to be advanced,
 * and shards that are free and waited for. shard_run works until all are empty. Turns and those who
 * are told only add to them, so nothing that the engine calls is ever called within itself: whoever
 * frees something when told of an end, frees what nobody on the stack looks at.
 *
 * With one worker every shard is free whenever a request arrives, so all of this happens within
 * engine_submit, without a wake-up.
 */
#include "engine/shard.h"

#include "holdfast/limits.h"
#include "request/turn.h"

#include <assert.h>

/* A walk that has taken so long goes through the mailbox: the loop reads its sockets in between. */
#define WALK_NS_MAX 1000000
/* What one turn tells subscribers: each event is compared with every pattern. */
#define PUBLISH_NS_MAX 1000000

/* --- the turn --------------------------------------------------------------------------------- */

static void count_overlay(struct engine *engine, struct shard *shard)
{
	struct store *store = engine->stores[shard->number];
	size_t bytes = store_active_bytes(store) + store_frozen_bytes(store);
	if (bytes != shard->overlay_bytes_counted) {
		atomic_fetch_add_explicit(&engine->overlay_bytes,
			bytes - shard->overlay_bytes_counted, memory_order_relaxed);
		shard->overlay_bytes_counted = bytes;
	}
}

/* Writes the turn's changes as one record of the log, or none. apply puts them into the
 * overlays. */
static void commit(struct engine *engine, uint16_t self, struct turn *turn)
{
	struct changes *changes = &turn->changes;
	if (turn->failed)
		changes_init(changes, changes->arena);
	if (changes->count == 0)
		return;
	if (record_size(changes->effects, changes->count) > gate_record_bytes_max(engine->gate)) {
		turn_error(turn, ERROR_CHANGE_SIZE);
		changes_init(changes, changes->arena);
		return;
	}
	uint64_t lsn = gate_append(engine->gate, changes->effects, changes->count);
	turn->request->journey.record_lsn = lsn;
	turn->request->journey.wrote = true;
	pace_appended(&engine->ports[self].pace);
	if (lsn > turn->gate_lsn)
		turn->gate_lsn = lsn;
}

/* Some of what was committed. The shards are held: nobody sees a part of it. */
static void apply(struct engine *engine, struct request *request)
{
	const struct changes *changes = &request->turn.changes;
	uint32_t left = changes->count - request->journey.applied;
	uint32_t end =
		request->journey.applied + (left < LIMIT_TURN_STEPS ? left : LIMIT_TURN_STEPS);
	for (; request->journey.applied < end; request->journey.applied++) {
		const struct effect *effect = &changes->effects[request->journey.applied];
		store_apply(engine->stores[effect->shard], effect, request->journey.record_lsn);
	}
	if (request->journey.applied < changes->count)
		return;
	request->journey.record_lsn = 0;
	request->journey.applied = 0;
}

/* What the commit brings with it in memory. */
static void follow(struct turn *turn)
{
	struct consequence *consequence;
	while ((consequence = turn->changes.consequences) != NULL) {
		turn->changes.consequences = consequence->next;
		consequence->run(turn, consequence->context);
	}
}

/* Some of its events. They are held back like a reply: what a message tells of may have been read,
 * and in an earlier turn. True when none is left. */
static bool publish(struct engine *engine, uint16_t self, struct request *request)
{
	const struct engine_events *events = &engine->events;
	struct changes *changes = &request->turn.changes;
	uint64_t begun_ns = changes->events ? clock_monotonic_ns(engine->clock) : 0;
	while (changes->events) {
		struct event *event = changes->events;
		changes->events = event->next;
		events->publish(
			events->context, self, event->channel, event->message, request->gate_lsn);
		if (clock_monotonic_ns(engine->clock) - begun_ns > PUBLISH_NS_MAX)
			break;
	}
	return changes->events == NULL;
}

/* Only whoever holds the shard writes these, so plain additions do. */
static void count_turn(struct shard *shard, const struct turn *turn)
{
	atomic_store_explicit(&shard->turns, shard->turns + 1, memory_order_relaxed);
	if (turn->asked->command->flags & COMMAND_READONLY) {
		atomic_store_explicit(&shard->hits, shard->hits + turn->hits, memory_order_relaxed);
		atomic_store_explicit(
			&shard->misses, shard->misses + turn->misses, memory_order_relaxed);
	}
}

/* Until it is home: its connection counts from then on. */
static void count_reply(struct engine *engine, struct request *request)
{
	size_t bytes = request->reply.size;
	if (request->asked.asker == NULL || bytes < ENGINE_REPLY_COUNTED_BYTES)
		return;
	atomic_fetch_add_explicit(
		&engine->output_bytes, bytes - request->reply_counted, memory_order_relaxed);
	request->reply_counted = bytes;
}

/* What the writer may take: the bound of a reply, and no more than there is room for beside the
 * replies of others. A quarter more than output-memory, so that whoever holds most can be dropped
 * first. */
static size_t reply_room(const struct turn *turn)
{
	const struct engine *engine = turn->engine;
	const struct request *request = turn->request;
	if (request->asked.asker == NULL)
		return 0;
	size_t most = turn_reply_bytes_max(turn);
	uint64_t of_all = (uint64_t)engine->config->output_bytes_max;
	uint64_t taken = engine->output_bytes - request->reply_counted;
	of_all += of_all / 4;
	uint64_t left = taken < of_all ? of_all - taken : 0;
	if (left < ENGINE_REPLY_COUNTED_BYTES)
		left = ENGINE_REPLY_COUNTED_BYTES;
	return most < left ? most : left;
}

static void refuse_reply(struct turn *turn)
{
	size_t most = turn_reply_bytes_max(turn);
	if (turn->writer.limit == most)
		turn_error(turn, ERROR_REPLY_SIZE, most);
	else
		turn_error(turn, ERROR_OUTPUT_FULL);
	turn->continue_at = TURN_NOWHERE;
}

static void set_gathered(struct engine *engine, struct request *request, size_t bytes)
{
	atomic_fetch_add_explicit(
		&engine->gathered_bytes, bytes - request->gathered_counted, memory_order_relaxed);
	request->gathered_counted = bytes;
}

/* What the request keeps for its next turn; when all clients' requests together would keep more
 * than input-memory it is over. */
static void count_gathered(struct turn *turn)
{
	struct engine *engine = turn->engine;
	struct request *request = turn->request;
	size_t whole = sizeof(*request) + request->arena.bytes;
	size_t bytes = whole > request->counted_bytes ? whole - request->counted_bytes : 0;
	set_gathered(engine, request, bytes);
	if (bytes < ENGINE_GATHERED_LEAST_BYTES ||
		engine->gathered_bytes <= (uint64_t)engine->config->input_bytes_max)
		return;
	turn_error(turn, ERROR_GATHERED_FULL);
	turn->continue_at = TURN_NOWHERE;
}

/* What turns take, by the clock. */
static void count_time(struct engine *engine, struct port *port, struct request *request)
{
	uint64_t ended_ns = clock_monotonic_ns(engine->clock);
	request->elapsed_ns += ended_ns - port->stamp_ns;
	port->burst_ns += ended_ns - port->stamp_ns;
	port->stamp_ns = ended_ns;
}

/* Nobody is there to read the reply, and it is all that there would be. What has waited and runs
 * again is left to its handler, which has something to put away. */
static bool is_in_vain(const struct request *request)
{
	return (request->asked.command->flags & COMMAND_READONLY) && !request->journey.resumed &&
		request->asked.asker && request->asked.asker->closed;
}

/* Whether its last turn has paused: it goes on as if no time had passed. */
static bool is_paused(const struct request *request)
{
	return request->turn.continue_at == TURN_HERE;
}

static void begin_turn(struct engine *engine, uint16_t self, struct request *request)
{
	const struct port *port = &engine->ports[self];
	struct turn *turn = &request->turn;
	if (!is_paused(request)) {
		changes_init(&turn->changes, turn->arena);
		turn->now_ms = port->now_ms;
	}
	turn->writer = request_writer(request);
	turn->stores = engine->stores;
	turn->shard_total = engine->shard_count;
	turn->shard_count = request->journey.shard_count;
	turn->shard = request->journey.shards[0];
	turn->port = self;
	turn->hits = turn->misses = turn->steps = 0;
	turn->reply_before = request->reply.size;
	turn->bytes_read = 0;
	turn->config = engine->config;
	turn->engine = engine;
	turn->may_write = engine_admission(engine) < GATE_SHRINK;
	turn->heard = atomic_load_explicit(&engine->events.subscriptions, memory_order_relaxed) > 0;
	turn->continue_at = TURN_NOWHERE;
	turn->writer.limit = reply_room(turn);
}

static void run_handler(struct engine *engine, uint16_t self, struct request *request)
{
	struct port *port = &engine->ports[self];
	struct turn *turn = &request->turn;
	begin_turn(engine, self, request);
	port->in_turn = true;
	if (!is_in_vain(request))
		request->asked.command->run(turn);
	if (turn->writer.full)
		refuse_reply(turn);
	if (turn->continue_at != TURN_NOWHERE && request->asked.asker)
		count_gathered(turn);
	if (turn->turned) {
		void (*turned)(struct turn *) = turn->turned;
		turn->turned = NULL;
		turned(turn);
	}
	port->in_turn = false;
	request->journey.wrote = false;
	if (!is_paused(request))
		commit(engine, self, turn);
	bool relaxed = request->asked.command->flags & COMMAND_RELAXED;
	if (!relaxed)
		request->gate_lsn = turn->gate_lsn;
	count_reply(engine, request);
	count_turn(&engine->shards[turn->shard], turn);
	assert(turn->continue_at < 0 || request->journey.shard_count == 1);
}

/* False: it pauses. */
static bool run_turn(struct engine *engine, uint16_t self, struct request *request)
{
	if (request->journey.record_lsn == 0 && !request->journey.publishes)
		run_handler(engine, self, request);
	if (request->journey.record_lsn != 0)
		apply(engine, request);
	bool over = !is_paused(request) && request->journey.record_lsn == 0;
	if (over)
		follow(&request->turn);
	request->journey.publishes = over && !publish(engine, self, request);
	count_time(engine, &engine->ports[self], request);
	if (!over || request->journey.publishes)
		return false;
	for (uint16_t i = 0; i < request->journey.shard_count; i++)
		count_overlay(engine, &engine->shards[request->journey.shards[i]]);
	return true;
}

/* --- taking and giving back ------------------------------------------------------------------- */

static void make_ready(struct engine *engine, struct shard *shard)
{
	struct port *port = &engine->ports[shard->worker];
	if (shard->ready || shard->waiting.first == NULL)
		return;
	shard->ready = true;
	shard->ready_next = NULL;
	if (port->ready_last)
		port->ready_last->ready_next = shard;
	else
		port->ready_first = shard;
	port->ready_last = shard;
}

static void enqueue(struct shard *shard, struct request *request)
{
	request_move(request, REQUEST_SHARD);
	request_list_put(&shard->waiting, request);
	atomic_fetch_add_explicit(&shard->queue, 1, memory_order_relaxed);
}

static struct request *dequeue(struct shard *shard)
{
	struct request *request = request_list_take(&shard->waiting);
	atomic_fetch_sub_explicit(&shard->queue, 1, memory_order_relaxed);
	return request;
}

static void travel(
	struct engine *engine, uint16_t port, struct request *request, enum request_stage stage)
{
	request_move(request, stage);
	mailbox_put(&engine->ports[port].mailbox, &request);
}

/* A client's request that holds nothing yet can be turned away; the server's own cannot. */
static bool is_overloaded(
	const struct engine *engine, const struct shard *shard, const struct request *request)
{
	return request->asked.asker && !request->journey.resumed &&
		request->journey.shards_held == 0 &&
		shard->queue >= (uint64_t)engine->config->queue_requests_max;
}

/* Answers in place of a turn: the request holds nothing and goes home. */
static void refuse(struct request *request)
{
	struct writer writer = request_writer(request);
	request->reply.size = 0;
	request->turn.failed = true;
	request->journey.releasing = true;
	request->turn.continue_at = TURN_NOWHERE;
	writer_error(&writer, ERROR_OVERLOADED);
}

/* False when the request has left this thread or waits. */
static bool take_shards(struct engine *engine, uint16_t self, struct request *request)
{
	while (request->journey.shards_held < request->journey.shard_count) {
		struct shard *shard =
			&engine->shards[request->journey.shards[request->journey.shards_held]];
		if (shard->worker != self) {
			travel(engine, shard->worker, request, REQUEST_TRAVEL);
			return false;
		}
		if (shard->held_by || shard->waiting.first) {
			if (is_overloaded(engine, shard, request)) {
				refuse(request);
				return true;
			}
			enqueue(shard, request);
			if (shard->held_by == NULL)
				make_ready(engine, shard);
			return false;
		}
		shard->held_by = request;
		request->journey.shards_held++;
	}
	return true;
}

static bool give_back_shards(struct engine *engine, uint16_t self, struct request *request)
{
	while (request->journey.shards_held > 0) {
		struct shard *shard =
			&engine->shards[request->journey.shards[request->journey.shards_held - 1]];
		if (shard->worker != self) {
			travel(engine, shard->worker, request, REQUEST_TRAVEL);
			return false;
		}
		assert(shard->held_by == request);
		shard->held_by = NULL;
		request->journey.shards_held--;
		make_ready(engine, shard);
	}
	return true;
}

static void go_home(struct engine *engine, uint16_t self, struct request *request)
{
	if (request->gathered_counted > 0)
		set_gathered(engine, request, 0);
	if (request->home != self) {
		travel(engine, request->home, request, REQUEST_DONE);
		return;
	}
	shard_arrive(engine, self, request);
}

/* It belongs to whoever parked it from here on. */
static void park(struct request *request)
{
	void (*parked)(struct request *) = request->turn.parked;
	request->turn.parked = NULL;
	request->journey.resumed = true;
	request_move(request, REQUEST_PARKED);
	parked(request);
}

/* The shards of the next turn. */
static void go_on_at(const struct engine *engine, struct request *request)
{
	request->journey.releasing = false;
	if (request->turn.continue_at != TURN_EVERYWHERE) {
		request->journey.shards[0] = (uint16_t)request->turn.continue_at;
		return;
	}
	if (request->journey.shard_count == engine->shard_count)
		return;
	request->journey.shards =
		arena_alloc(&request->arena, engine->shard_count * sizeof(uint16_t));
	for (uint16_t i = 0; i < engine->shard_count; i++)
		request->journey.shards[i] = i;
	request->journey.shard_count = engine->shard_count;
}

/* A walk that has written asks for admission before its next turn, as a client's next command does.
 */
static bool is_held_back(const struct engine *engine, const struct request *request)
{
	return request->journey.wrote && engine_admission(engine) == GATE_BUSY;
}

/* As far as it goes on this thread. */
static void advance(struct engine *engine, uint16_t self, struct request *request)
{
	for (;;) {
		request_move(request, REQUEST_SHARD);
		if (!request->journey.releasing) {
			if (!take_shards(engine, self, request))
				return;
			if (!request->journey.releasing && !run_turn(engine, self, request)) {
				travel(engine, self, request, REQUEST_TRAVEL);
				return;
			}
			request->journey.releasing = true;
		}
		if (!give_back_shards(engine, self, request))
			return;
		if (request->turn.parked) {
			park(request);
			return;
		}
		if (request->turn.continue_at == TURN_NOWHERE)
			break;
		go_on_at(engine, request);
		if (is_held_back(engine, request)) {
			request_list_put(&engine->ports[self].held_back, request);
			return;
		}
		if (request->elapsed_ns - request->journey.walk_ns > WALK_NS_MAX) {
			request->journey.walk_ns = request->elapsed_ns;
			travel(engine, engine->shards[request->journey.shards[0]].worker, request,
				REQUEST_TRAVEL);
			return;
		}
	}
	go_home(engine, self, request);
}

/* --- running ---------------------------------------------------------------------------------- */

static struct shard *take_ready(struct port *port)
{
	struct shard *shard = port->ready_first;
	port->ready_first = shard->ready_next;
	if (port->ready_first == NULL)
		port->ready_last = NULL;
	shard->ready = false;
	return shard;
}

/* The next that waits for this shard; the others are looked at when it is given back. */
static void let_next_in(struct engine *engine, uint16_t self, struct shard *shard)
{
	if (shard->held_by || shard->waiting.first == NULL)
		return;
	struct request *request = dequeue(shard);
	shard->held_by = request;
	request->journey.shards_held++;
	advance(engine, self, request);
}

static void tell(struct port *port, struct request *request)
{
	if (!request->own) {
		port->done(port->context, request);
		return;
	}
	if (request->told)
		request->told(&request);
	if (request)
		request_put(&port->pool, &request);
}

void shard_run(struct engine *engine, uint16_t self)
{
	struct port *port = &engine->ports[self];
	if (port->running)
		return;
	port->running = true;
	for (;;) {
		struct request *request;
		if ((request = request_list_take(&port->home)) != NULL)
			tell(port, request);
		else if (port->burst_ns_max && port->burst_ns >= port->burst_ns_max)
			break; /* engine_deliver goes on */
		else if ((request = request_list_take(&port->moving)) != NULL)
			advance(engine, self, request);
		else if (port->ready_first)
			let_next_in(engine, self, take_ready(port));
		else
			break;
	}
	port->running = false;
}

void shard_let_on(struct engine *engine, uint16_t self)
{
	struct port *port = &engine->ports[self];
	struct request *request;
	if (port->held_back.first == NULL || engine_admission(engine) == GATE_BUSY)
		return;
	while ((request = request_list_take(&port->held_back)) != NULL)
		shard_enter(engine, self, request);
}

void shard_enter(struct engine *engine, uint16_t self, struct request *request)
{
	request_move(request, REQUEST_SHARD);
	request_list_put(&engine->ports[self].moving, request);
}

void shard_arrive(struct engine *engine, uint16_t self, struct request *request)
{
	request_move(request, REQUEST_DONE);
	request_list_put(&engine->ports[self].home, request);
}
