/*
 * checkpoint: moves the shards' overlays into the tree:
 *
 *   IDLE
 *    -> FREEZING   each shard swaps its overlay in a turn of its own
 *    -> SYNCING    until the log has made durable what was frozen
 *    -> WRITING    some shards a transaction; each shard that is written drops its frozen overlay
 *                  and renews its view
 *    -> THAWING    until all have
 *    -> IDLE       log segments below the lowest LSN are recycled
 *
 * Threads: its own, through checkpoint_step; statistics from any.
 */
#ifndef ENGINE_CHECKPOINT_H
#define ENGINE_CHECKPOINT_H

#include "engine/engine.h"

struct checkpoint *checkpoint_new(struct engine *engine, uint16_t port);
void checkpoint_free(struct checkpoint **checkpoint);

/* One state at the most. True when it got something done, so that calling again makes sense. */
bool checkpoint_step(struct checkpoint *checkpoint);
/* The next step starts a checkpoint whatever the limits say. Any thread. */
void checkpoint_request(struct checkpoint *checkpoint);
/* Nothing is frozen and nothing is asked for. Any thread. */
bool checkpoint_is_idle(const struct checkpoint *checkpoint);

/* The thread that steps it. Stopping ends the thread between two steps, whatever the state. */
void checkpoint_start(struct checkpoint *checkpoint);
void checkpoint_stop(struct checkpoint *checkpoint);
/* Makes a last checkpoint on the calling thread, which steps the workers' ports as well: their
 * threads and the checkpoint's have ended. Leaves it when the disk is full. */
void checkpoint_finish(struct checkpoint *checkpoint);

struct checkpoint_stats {
	uint64_t completed;
	uint64_t failed;
	int64_t last_finished_ms; /* wall clock; 0: none since the start */
	uint64_t last_duration_ms;
	uint64_t last_keys; /* written by the last one */
	uint64_t tree_lsn;  /* everything up to it is in the tree */
	bool running;
};
void checkpoint_stats(const struct checkpoint *checkpoint, struct checkpoint_stats *out);

#endif
