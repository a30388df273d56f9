/*
 * shard: the unit of ownership. At any time at most one request holds it; the others wait in its
 * queue in the order they came. A request for several shards takes them in ascending order,
 * travelling to their workers, runs once it has all, and gives them back on its way home: so no two
 * requests can wait for each other in a circle.
 *
 * Threads: a free shard belongs to its worker; a held one's store to whoever runs the request that
 * holds it. The queue is always the worker's.
 */
#ifndef ENGINE_SHARD_H
#define ENGINE_SHARD_H

#include "engine/engine.h"

struct shard {
	uint16_t number;
	uint16_t worker;
	bool ready; /* in its port's list of shards to look at */
	struct request *held_by;
	struct request_list waiting;
	struct shard *ready_next;
	size_t overlay_bytes_counted; /* what engine->overlay_bytes has of it */
	_Atomic uint32_t queue;
	_Atomic uint64_t turns;
	_Atomic uint64_t hits; /* of reading commands, as INFO's keyspace_hits */
	_Atomic uint64_t misses;
};

/* A request is to be moved on, on this port's thread: it takes shards, runs its turn, gives shards
 * back, and is handed to another port or home. */
void shard_enter(struct engine *engine, uint16_t self, struct request *request);
/* Walks that had to wait for the log go on, if they may: asked at least at every timer's tick. */
void shard_let_on(struct engine *engine, uint16_t self);
/* A request is home, on its own port: whoever is to be told will be. */
void shard_arrive(struct engine *engine, uint16_t self, struct request *request);
/* Moves everything on that can move on this port's thread, unless its turns have taken long
 * (burst_ns). Called from within itself (by a turn, or
 * by whoever is told) it does nothing: the outermost call sees to what has been added. */
void shard_run(struct engine *engine, uint16_t self);

#endif
