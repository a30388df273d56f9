/*
 * room: see room.h. Rooms keep their number while another stands behind them: they are closed in
 * the opposite order. One that is kept by port is open while any port has it.
 *
 * Threads: see room.h.
 */
#include "engine/room.h"

#include <assert.h>

static uint16_t take_number(struct engine *engine, const struct room *room)
{
	uint16_t number = engine_find_room(engine, room);
	if (number < engine->room_count)
		return number;
	assert(engine->room_count < ENGINE_ROOMS_MAX);
	engine->rooms[engine->room_count++] = room;
	if (room->handle_slot)
		engine->handle_slot = room->handle_slot;
	return number;
}

void engine_open_room(struct engine *engine, const struct room *room, void *kept)
{
	uint16_t number = take_number(engine, room);
	assert(kept);
	assert(engine->kept[number] == NULL);
	engine->kept[number] = kept;
}

void engine_open_room_at(struct engine *engine, const struct room *room, uint16_t port, void *kept)
{
	uint16_t number = take_number(engine, room);
	assert(kept);
	assert(engine->ports[port].kept[number] == NULL);
	engine->ports[port].kept[number] = kept;
}

static bool is_empty(const struct engine *engine, uint16_t number)
{
	for (uint16_t port = 0; port < engine->port_count; port++)
		if (engine->ports[port].kept[number])
			return false;
	return engine->kept[number] == NULL;
}

static void give_numbers_back(struct engine *engine)
{
	while (engine->room_count > 0 && is_empty(engine, engine->room_count - 1)) {
		const struct room *room = engine->rooms[--engine->room_count];
		engine->rooms[engine->room_count] = NULL;
		if (room->handle_slot)
			engine->handle_slot = NULL;
	}
}

void engine_close_room(struct engine *engine, const struct room *room)
{
	uint16_t number = engine_find_room(engine, room);
	assert(number < engine->room_count);
	engine->kept[number] = NULL;
	give_numbers_back(engine);
}

void engine_close_room_at(struct engine *engine, const struct room *room, uint16_t port)
{
	uint16_t number = engine_find_room(engine, room);
	assert(number < engine->room_count);
	engine->ports[port].kept[number] = NULL;
	give_numbers_back(engine);
}

/* What the room of this number keeps for the port, or else for all; NULL: neither. */
static void *kept_for(const struct engine *engine, uint16_t number, uint16_t port)
{
	void *kept = engine->ports[port].kept[number];
	return kept ? kept : engine->kept[number];
}

void engine_client_gone(struct engine *engine, uint16_t port, uint64_t client)
{
	for (uint16_t i = 0; i < engine->room_count; i++) {
		void *kept = kept_for(engine, i, port);
		if (kept && engine->rooms[i]->client_gone)
			engine->rooms[i]->client_gone(kept, port, client);
	}
}

bool engine_drain(struct engine *engine, uint16_t port, bool now)
{
	bool runs = false;
	for (uint16_t i = engine->room_count; i-- > 0;) {
		void *kept = kept_for(engine, i, port);
		if (kept && engine->rooms[i]->drain)
			runs |= engine->rooms[i]->drain(kept, port, now);
	}
	return runs;
}

void engine_loop_ends(struct engine *engine, uint16_t port)
{
	for (uint16_t i = engine->room_count; i-- > 0;) {
		void *kept = kept_for(engine, i, port);
		if (kept && engine->rooms[i]->loop_ends)
			engine->rooms[i]->loop_ends(kept, port);
	}
}
