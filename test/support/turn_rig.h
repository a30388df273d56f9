/*
 * turn_rig: runs handlers on real stores, without shards, log or net: for unit tests of command
 * families. What a handler wrote is applied as the shard would apply it, with growing LSNs; time
 * stands still until the test moves it.
 */
#ifndef TEST_SUPPORT_TURN_RIG_H
#define TEST_SUPPORT_TURN_RIG_H

#include "config/config.h"
#include "request/request.h"

#define TURN_RIG_SHARDS_MAX 64

struct turn_rig {
	/* set by the test, read at the next turn */
	int64_t now_ms;
	uint8_t db;
	uint8_t protocol;
	struct config config;

	/* what the last turn did */
	uint32_t effects;  /* keys it wrote */
	uint64_t read_lsn; /* highest LSN among what it read */
	uint32_t turns;    /* that a walking handler took */
	bool failed;
	const char *reply; /* terminated; valid until the next turn */
	size_t reply_size;

	/* the rig's own */
	char directory[64];
	uint16_t shards;
	uint64_t last_lsn;
	struct tree *tree;
	struct store *stores[TURN_RIG_SHARDS_MAX];
	struct request_pool pool;
	struct request *request; /* between begin and commit */
	struct buffer last_reply;
};

void turn_rig_init(struct turn_rig *rig, uint16_t shards);
/* Removes its directory. */
void turn_rig_fini(struct turn_rig *rig);

/* The reply to words that do not fit; the rig knows no table of commands. */
#define TURN_RIG_MISFIT(where) "-ERR syntax error at " where ": HANDLER words\r\n"

/* One turn that holds all shards, or several when the handler walks. Arguments are C strings, NULL
 * ends them. Returns the reply's bytes. */
const char *turn_rig_run(struct turn_rig *rig, command_turn_fn run, ...) __attribute__((sentinel));
const char *turn_rig_run_slices(
	struct turn_rig *rig, command_turn_fn run, const struct slice *arguments, uint32_t count);

/* Several handlers as one turn, as a transaction runs them: replies one behind the other. */
void turn_rig_begin(struct turn_rig *rig);
void turn_rig_step(struct turn_rig *rig, command_turn_fn run, ...) __attribute__((sentinel));
const char *turn_rig_commit(struct turn_rig *rig);

/* Moves everything into the tree. */
void turn_rig_checkpoint(struct turn_rig *rig);
/* The same, and opens the tree and the stores anew. */
void turn_rig_restart(struct turn_rig *rig);

#endif
