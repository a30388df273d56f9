/*
 * shard: the unit of ownership. At any time at most one request holds it; the others wait in its
 * queue in the order they came. A request for several shards takes them in ascending order,
 * travelling to their workers, runs once it has all, and gives them back on its way home: so no two
 * requests can wait for each other in a circle.
 *
 * Threads: a free shard belongs to its worker; a held one's store to whoever runs the request that
 * holds it. The queue is always the worker's.
 */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include "shard/engine.h"

struct shard {
	uint16_t number;
	uint16_t worker;
	bool ready; /* in its port's list of shards to look at */
	struct request *held_by;
	struct request *first; /* waiting */
	struct request *last;
	struct shard *ready_next;
	size_t overlay_bytes_counted; /* what engine->overlay_bytes has of it */
	_Atomic uint32_t queue;
	_Atomic uint64_t turns;
	_Atomic uint64_t hits; /* of reading commands, as INFO's keyspace_hits */
	_Atomic uint64_t misses;
};

/* Moves a request on as far as it goes on this port's thread: takes shards, runs the turn, gives
 * shards back, hands it to another port or to `done`. */
void shard_advance(struct engine *engine, uint16_t self, struct request *request);
/* A request is home, on its own port: tells whoever is to be told. */
void shard_arrive(struct engine *engine, uint16_t self, struct request *request);
/* Runs what waits for shards that have become free, until nothing can run. */
void shard_run_ready(struct engine *engine, uint16_t self);

#endif
