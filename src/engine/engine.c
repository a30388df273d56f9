/*
 * engine: the doors of the engine: submitting, delivering, expiry, admission. The way of a request
 * from here is in shard.c; opening and recovery in engine_open.c.
 */
#include "engine/engine.h"

#include "base/hash.h"
#include "base/logline.h"
#include "base/memory.h"
#include "engine/room.h"
#include "engine/shard.h"
#include "holdfast/limits.h"
#include "request/command_keys.h"
#include "request/turn.h"

#include <assert.h>
#include <stdlib.h>

#define EXPIRE_KEYS_PER_TURN  64
#define EXPIRE_TURNS_PER_STEP 8

#define SHARD_WORDS (LIMIT_SHARDS / 64)

/* What an overlay's byte takes in the tree, at the most: a value of half a page takes a page. */
#define TREE_GROWTH 2
/* The tree is full when less than one of so many parts is left, and no more when there are two. */
#define TREE_FULL_SHARE  16
#define TREE_OPENS_SHARE 8

/* --- routing ---------------------------------------------------------------------------------- */

/* Ascending, each once. */
static void route_to(struct request *request, const uint64_t *wanted, uint16_t shard_count)
{
	uint16_t count = 0;
	for (uint32_t i = 0; i < SHARD_WORDS; i++)
		count += (uint16_t)__builtin_popcountll(wanted[i]);
	request->journey.shards = arena_alloc(&request->arena, count * sizeof(uint16_t));
	request->journey.shard_count = 0;
	for (uint16_t shard = 0; shard < shard_count; shard++)
		if (wanted[shard / 64] >> shard % 64 & 1)
			request->journey.shards[request->journey.shard_count++] = shard;
}

static void route_by_keys(struct engine *engine, struct request *request)
{
	const struct command *command = request->asked.command;
	struct command_keys keys = command_keys(command, request->asked.argument_count);
	assert(keys.count > 0);
	bool handles = (command->flags & COMMAND_HANDLES) && engine->handle_slot;
	uint16_t (*slot)(struct slice) = handles ? engine->handle_slot : hash_slot;
	if (keys.count == 1) {
		request->journey.shards = arena_alloc(&request->arena, sizeof(uint16_t));
		request->journey.shards[0] = hash_shard_of(
			slot(request->asked.arguments[keys.first]), engine->shard_count);
		request->journey.shard_count = 1;
		return;
	}
	uint64_t wanted[SHARD_WORDS] = { 0 };
	for (uint32_t i = keys.first; i < keys.end; i += keys.step) {
		uint16_t shard =
			hash_shard_of(slot(request->asked.arguments[i]), engine->shard_count);
		wanted[shard / 64] |= UINT64_C(1) << shard % 64;
	}
	route_to(request, wanted, engine->shard_count);
}

/* A shard of the port's own if it has any, so that nothing crosses threads; one after the other. */
static uint16_t any_shard(struct engine *engine, uint16_t self)
{
	struct port *port = &engine->ports[self];
	uint16_t step = self < engine->worker_count ? engine->worker_count : 1;
	uint16_t first = self < engine->worker_count ? self : 0;
	uint16_t shard = port->any_next;
	if (shard < first || shard >= engine->shard_count)
		shard = first < engine->shard_count ? first : 0;
	port->any_next = shard + step;
	return shard;
}

static void route(struct engine *engine, uint16_t self, struct request *request)
{
	switch ((enum command_route)request->asked.command->route) {
	case ROUTE_KEYS:
		route_by_keys(engine, request);
		return;
	case ROUTE_WALK:
	case ROUTE_ANY:
		request->journey.shards = arena_alloc(&request->arena, sizeof(uint16_t));
		request->journey.shards[0] =
			request->asked.command->route == ROUTE_ANY ? any_shard(engine, self) : 0;
		request->journey.shard_count = 1;
		return;
	case ROUTE_ALL:
		request->journey.shards =
			arena_alloc(&request->arena, engine->shard_count * sizeof(uint16_t));
		for (uint16_t i = 0; i < engine->shard_count; i++)
			request->journey.shards[i] = i;
		request->journey.shard_count = engine->shard_count;
		return;
	case ROUTE_LOCAL:
	case ROUTE_GROUP:
		break;
	}
	assert(!"a command that does not run on shards");
}

void engine_tick(struct engine *engine, uint16_t self)
{
	struct port *port = &engine->ports[self];
	port->now_ms = clock_wall_ms(engine->clock);
	port->stamp_ns = clock_monotonic_ns(engine->clock);
}

void engine_submit(struct engine *engine, uint16_t self, struct request **taken)
{
	struct request *request = *taken;
	*taken = NULL;
	assert(request->stage == REQUEST_NET);
	if (request->journey.shards == NULL)
		route(engine, self, request);
	request->journey.shards_held = 0;
	request->journey.releasing = false;
	shard_enter(engine, self, request);
	shard_run(engine, self);
}

struct request *engine_question(
	struct engine *engine, uint16_t self, const struct question *question)
{
	struct request *request = request_take(&engine->ports[self].pool);
	struct arena *arena = &request->arena;
	assert(question->command->run);
	assert(question->routed || question->shard < engine->shard_count);
	request->asked.command = question->command;
	request->home = self;
	request->asked.protocol = 2;
	request->turn.state = question->state;
	request->environment = question->environment;
	request->own = true;
	request->told = question->told;
	request->told_context = question->context;
	request->asked.argument_count = question->word_count;
	request->asked.arguments = arena_alloc(arena, question->word_count * sizeof(struct slice));
	for (uint32_t i = 0; i < question->word_count; i++)
		request->asked.arguments[i] = arena_copy(arena, question->words[i]);
	if (!question->routed) {
		request->journey.shards = arena_alloc(arena, sizeof(uint16_t));
		request->journey.shards[0] = question->shard;
		request->journey.shard_count = 1;
	}
	return request;
}

void engine_ask(struct engine *engine, uint16_t self, const struct question *question)
{
	struct request *request = engine_question(engine, self, question);
	engine_submit(engine, self, &request);
}

void engine_resume(struct engine *engine, uint16_t self, struct request **taken)
{
	struct request *request = *taken;
	*taken = NULL;
	assert(request->stage == REQUEST_PARKED);
	request->journey.releasing = false;
	shard_enter(engine, self, request);
	shard_run(engine, self);
}

size_t engine_deliver(struct engine *engine, uint16_t self)
{
	struct port *port = &engine->ports[self];
	size_t handled = 0;
	engine_tick(engine, self);
	struct request *request = mailbox_take_all(&port->mailbox);
	while (request) {
		struct request *next = request->next;
		request->next = NULL;
		if (request->stage == REQUEST_DONE)
			shard_arrive(engine, self, request);
		else
			shard_enter(engine, self, request);
		handled++;
		request = next;
	}
	shard_let_on(engine, self);
	shard_run(engine, self);
	return handled;
}

/* --- expiry ----------------------------------------------------------------------------------- */

/* True if a room handled it. */
static bool expire_in_rooms(const struct engine *engine, struct turn *turn, struct slice key)
{
	for (uint16_t i = 0; i < engine->room_count; i++) {
		const struct room *room = engine->rooms[i];
		if (engine->kept[i] && room->expire && room->expire(turn, key))
			return true;
	}
	return false;
}

static void run_expire(struct turn *turn)
{
	struct slice keys[EXPIRE_KEYS_PER_TURN];
	size_t count = store_due(turn->stores[turn->shard], turn->now_ms, turn_arena(turn), keys,
		EXPIRE_KEYS_PER_TURN);
	struct engine *engine = turn->state;
	for (size_t i = 0; i < count; i++)
		if (!expire_in_rooms(engine, turn, keys[i]))
			turn_delete(turn, turn->shard, keys[i]);
	for (uint16_t i = 0; i < engine->room_count; i++)
		if (engine->kept[i] && engine->rooms[i]->look)
			engine->rooms[i]->look(turn);
	if (count) {
		atomic_fetch_add_explicit(&engine->expired_keys, count, memory_order_relaxed);
	}
}

static const struct command expire_command = {
	.name = "expire due keys", .route = ROUTE_KEYS, .run = run_expire
};

void engine_expire(struct engine *engine, uint16_t self)
{
	engine_tick(engine, self);
	shard_let_on(engine, self);
	shard_run(engine, self);
	enum gate_admission admission = engine_admission(engine);
	if (self >= engine->worker_count || (admission != GATE_OPEN && admission != GATE_SHRINK))
		return;
	for (uint16_t i = self; i < engine->shard_count; i += engine->worker_count) {
		for (int turns = 0; turns < EXPIRE_TURNS_PER_STEP; turns++) {
			/* A held shard is looked at next time. */
			if (engine->shards[i].held_by || engine->shards[i].waiting.first)
				break;
			uint64_t before = engine->expired_keys;
			engine_ask(engine, self,
				&(struct question){
					.command = &expire_command, .shard = i, .state = engine });
			if (engine->expired_keys - before < EXPIRE_KEYS_PER_TURN)
				break;
		}
	}
}

/* --- limits and figures ----------------------------------------------------------------------- */

enum gate_admission engine_admission(const struct engine *engine)
{
	enum gate_admission admission = gate_admission(engine->gate);
	if (admission != GATE_OPEN)
		return admission;
	uint64_t bytes = atomic_load_explicit(&engine->overlay_bytes, memory_order_relaxed);
	int64_t limit =
		atomic_load_explicit(&engine->config->overlay_bytes_max, memory_order_relaxed);
	if (bytes > (uint64_t)limit)
		return GATE_BUSY;
	if (atomic_load_explicit(&engine->tree_full, memory_order_relaxed))
		return GATE_SHRINK;
	return engine_tree_is_near(engine) ? GATE_BUSY : GATE_OPEN;
}

enum gate_admission engine_admission_of(const struct engine *engine, size_t bytes)
{
	enum gate_admission admission = engine_admission(engine);
	if (admission == GATE_OPEN && !gate_can_hold(engine->gate, bytes))
		return GATE_FULL;
	return admission;
}

bool engine_tree_is_near(const struct engine *engine)
{
	return engine->overlay_bytes * TREE_GROWTH >
		atomic_load_explicit(&engine->tree_room, memory_order_relaxed);
}

void engine_see_tree(struct engine *engine)
{
	uint64_t most = tree_bytes_max(engine->tree), used = tree_used_bytes(engine->tree);
	bool was_full = engine->tree_full;
	bool full = used > most - most / (was_full ? TREE_OPENS_SHARE : TREE_FULL_SHARE);
	engine->tree_room = used < most ? most - used : 0;
	engine->tree_full = full;
	if (full && !was_full)
		logline(LOGLINE_WARNING,
			"The data takes %llu MB of the %llu MB that map-size allows: writes are "
			"refused but for those that delete",
			(unsigned long long)used >> 20, (unsigned long long)most >> 20);
	else if (was_full && !full)
		logline(LOGLINE_NOTICE, "The data is smaller than map-size again: writes go on");
}

void engine_shard_stats(const struct engine *engine, uint16_t number, struct shard_stats *out)
{
	const struct shard *shard = &engine->shards[number];
	out->queue = atomic_load_explicit(&shard->queue, memory_order_relaxed);
	out->turns = atomic_load_explicit(&shard->turns, memory_order_relaxed);
	out->hits = atomic_load_explicit(&shard->hits, memory_order_relaxed);
	out->misses = atomic_load_explicit(&shard->misses, memory_order_relaxed);
}
