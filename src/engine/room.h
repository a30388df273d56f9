/*
 * room: what a family keeps in memory beside the store, and what it wants to be told of. The engine
 * and the loops call it without knowing a family; a family finds what it keeps by its own room.
 *
 *   static const struct room sessions_room = { .name = "sessions", .expire = ..., .look = ... };
 *   engine_open_room(engine, &sessions_room, sessions);
 *   sessions = engine_room(engine, &sessions_room);
 *
 * What is kept by shard belongs to whoever holds the shard, what is kept by port to the port's
 * thread: the family chooses.
 *
 * Threads: rooms are opened and closed while no loop runs. expire and look run in turns, the others
 * on the thread of their port.
 */
#ifndef ENGINE_ROOM_H
#define ENGINE_ROOM_H

#include "engine/engine.h"

struct turn;

/* Each function may be NULL. */
struct room {
	const char *name;
	/* The key's time has come, in a turn of its shard: true if the room handled it; otherwise
	 * it is deleted. Only rooms that are open for all ports are asked. */
	bool (*expire)(struct turn *turn, struct slice key);
	/* At the end of every such turn, even if no key was due. The same rooms. */
	void (*look)(struct turn *turn);
	/* The slot of a key of a command with COMMAND_HANDLES. One room at the most has this. */
	uint16_t (*handle_slot)(struct slice key);
	/* `kept` is what the room keeps for the port, or if nothing, what it keeps for all. */
	/* A client is gone, or sends no more, that holds leases or may still be given some. */
	void (*client_gone)(void *kept, uint16_t port, uint64_t client);
	/* The server is stopping: begin nothing new. True while something still runs; if `now`, all
	 * of it has to end at once. */
	bool (*drain)(void *kept, uint16_t port, bool now);
	/* The loop ends: close its handles. */
	void (*loop_ends)(void *kept, uint16_t port);
};

/* `kept` is not NULL. */
void engine_open_room(struct engine *engine, const struct room *room, void *kept);
/* The same of what is kept for one port. */
void engine_open_room_at(struct engine *engine, const struct room *room, uint16_t port, void *kept);
void engine_close_room(struct engine *engine, const struct room *room);
void engine_close_room_at(struct engine *engine, const struct room *room, uint16_t port);

/* The room's number; engine->room_count if it is not open. */
static inline uint16_t engine_find_room(const struct engine *engine, const struct room *room)
{
	uint16_t i = 0;
	while (i < engine->room_count && engine->rooms[i] != room)
		i++;
	return i;
}
/* What the room keeps; NULL if it is not open. */
static inline void *engine_room(const struct engine *engine, const struct room *room)
{
	uint16_t i = engine_find_room(engine, room);
	return i < engine->room_count ? engine->kept[i] : NULL;
}
static inline void *engine_room_at(
	const struct engine *engine, const struct room *room, uint16_t port)
{
	uint16_t i = engine_find_room(engine, room);
	return i < engine->room_count ? engine->ports[port].kept[i] : NULL;
}

/* Each tells all rooms, on the port's thread. engine_drain and engine_loop_ends go in the opposite
 * order of opening. */
void engine_client_gone(struct engine *engine, uint16_t port, uint64_t client);
bool engine_drain(struct engine *engine, uint16_t port, bool now);
void engine_loop_ends(struct engine *engine, uint16_t port);

#endif
