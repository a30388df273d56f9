/*
 * room: what a family keeps in memory beside the store, and what it wants to be told of. The engine
 * and the loops call it without knowing a family; a family finds what it keeps by its own room.
 *
 *   static const struct room sessions_room = { .name = "sessions", .expire = ..., .look = ... };
 *   engine_open_room(engine, &sessions_room, sessions);
 *   sessions = engine_room(engine, &sessions_room);
 *
 * What it keeps belongs to whom the family says: by shard to whoever holds the shard, by port to
 * the port's thread.
 *
 * Threads: rooms are opened and closed while no loop runs.
 */
#ifndef ENGINE_ROOM_H
#define ENGINE_ROOM_H

#include "engine/engine.h"

struct turn;

/* Each function may be NULL. */
struct room {
	const char *name;
	/* In a turn of the key's shard, whose time has come: true if it handled the key, which is
	 * deleted otherwise. */
	bool (*expire)(struct turn *turn, struct slice key);
	/* After that, in every such turn, whatever was due. */
	void (*look)(struct turn *turn);
	/* The slot of a key of commands with COMMAND_HANDLES; one room has it. */
	uint16_t (*handle_slot)(struct slice key);
	/* The rest on the thread of `port`; `kept` is what it keeps there, or else of all. */
	/* A client that was given leases is gone. */
	void (*client_gone)(void *kept, uint16_t port, uint64_t client);
	/* The server is stopping: begin nothing new. True while something still runs; with `now` it
	 * has to end at once. */
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

/* Which of the engine's it is; engine->room_count: it has not been opened. */
static inline uint16_t engine_find_room(const struct engine *engine, const struct room *room)
{
	uint16_t i = 0;
	while (i < engine->room_count && engine->rooms[i] != room)
		i++;
	return i;
}
/* What the room keeps; NULL in an engine without. */
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

/* Tells all rooms, on the port's thread; of an end whoever was opened last first. */
void engine_client_gone(struct engine *engine, uint16_t port, uint64_t client);
bool engine_drain(struct engine *engine, uint16_t port, bool now);
void engine_loop_ends(struct engine *engine, uint16_t port);

#endif
