/*
 * engine_rig: an engine whose time, disk and threads are the test's: for unit tests of what stands
 * on it. It has as many workers and ports as asked, a clock that the test moves, a simulated disk
 * for its log and a data file in a directory of its own. Nothing moves but by a call: mailboxes by
 * engine_deliver, the log by gate_step, the checkpoint by checkpoint_step.
 *
 * A command is sent from a port like a client's and comes back as a ticket. Checks of the machinery
 * itself are asserts, so that a test fails where its foundation does.
 */
#ifndef TEST_SUPPORT_ENGINE_RIG_H
#define TEST_SUPPORT_ENGINE_RIG_H

#include "config/config.h"
#include "engine/checkpoint.h"
#include "engine/engine.h"
#include "request/command.h"

#include <stdbool.h>

#define ENGINE_RIG_PORTS_MAX 8
#define ENGINE_RIG_KEY_BYTES 32
#define ENGINE_RIG_CLIENTS   64

/* One command that was sent. Valid until engine_rig_fini; touched by its port's thread only. */
struct engine_ticket {
	bool done;
	bool failed;
	uint32_t order;    /* counts the tickets of the rig as they come home, from 1 */
	uint64_t gate_lsn; /* what its reply waits for; 0: nothing */
	char *reply;       /* terminated; NULL until it is done */
	size_t reply_size;

	/* the rig's own */
	struct engine_rig *rig;
	struct engine_ticket *next;
};

struct engine_rig {
	struct clock clock; /* stands first */

	/* set by the test, before the engine is opened or at any time */
	_Atomic int64_t now_ms; /* both clocks */
	_Atomic int64_t
		set_ms; /* of now_ms what the steady clock knows nothing of: add it to both */
	_Atomic uint64_t look_ns; /* by which each look at the steady clock lets it go on */
	struct config config;
	bool system_disk; /* the kernel's: for tests with threads */
	int commit_error; /* what the tree's commits end with; 0: they succeed */
	/* whose commands are: an id below ENGINE_RIG_CLIENTS; 0 is nobody's */
	uint32_t client;
	/* called when a ticket is done, on its port's thread; NULL: nothing is */
	void (*on_done)(struct engine_ticket *ticket);
	/* called for each request that engine_rig_abandon throws away; NULL: nothing is */
	void (*on_abandon)(struct engine_rig *rig, struct request *request);

	/* of the engine that is open */
	struct engine *engine;
	struct engine_recovery recovery;
	char error[512];     /* of the last engine_rig_open */
	uint16_t port_count; /* the checkpoint's not included */
	uint32_t commits;    /* of the tree, failed ones included */
	_Atomic uint32_t wakes[ENGINE_RIG_PORTS_MAX];

	/* the rig's own */
	_Atomic uint64_t looked_ns;
	struct disk *disk;
	char directory[64];
	struct engine_ticket *tickets[ENGINE_RIG_PORTS_MAX]; /* by port */
	_Atomic uint32_t outstanding;
	_Atomic uint32_t order;
};

/* A simulated disk and an empty directory, no engine yet. */
void engine_rig_init(struct engine_rig *rig, uint16_t shards);
/* Closes, and removes the directory. */
void engine_rig_fini(struct engine_rig *rig);
/* An empty disk in place of the rig's, which behaves by this seed. No engine is open. */
void engine_rig_new_disk(struct engine_rig *rig, uint64_t seed);

/* Opens an engine on what the disk holds. `loops` - `workers` of its ports own no shard. The result
 * of engine_open. */
int engine_rig_open(struct engine_rig *rig, uint16_t workers, uint16_t loops);
/* The same, where a test cannot go on without: it ends here when opening fails. */
void engine_rig_start(struct engine_rig *rig, uint16_t workers, uint16_t loops);
/* As engine_rig_open, without the keeper's first step: the log has no segments in store yet. */
int engine_rig_recover(struct engine_rig *rig, uint16_t workers, uint16_t loops);
/* Throws away what is under way, as closing does. The engine stays open for those who stand on it
 * and have to go before it. */
void engine_rig_abandon(struct engine_rig *rig);
/* Closes without a checkpoint; what is under way is thrown away. */
void engine_rig_close(struct engine_rig *rig);
/* The machine loses power: what was not synced may be lost. The engine is closed. */
void engine_rig_crash(struct engine_rig *rig);

/* Sends a command of the table from a port. Words are C strings, NULL ends them. */
struct engine_ticket *engine_rig_send(struct engine_rig *rig, uint16_t port, ...)
	__attribute__((sentinel));
/* The same with a command of the test's own. */
struct engine_ticket *engine_rig_send_command(struct engine_rig *rig, uint16_t port,
	const struct command *command, ...) __attribute__((sentinel));
/* Sends and delivers until it is done; the reply's text. */
const char *engine_rig_run(struct engine_rig *rig, uint16_t port, ...) __attribute__((sentinel));

/* The same, where nothing has to end the words. */
#define rig_send(rig, port, ...) engine_rig_send(rig, port, __VA_ARGS__, NULL)
#define rig_run(rig, port, ...)  engine_rig_run(rig, port, __VA_ARGS__, NULL)

/* Who asks when rig->client is `id`. */
struct asker *engine_rig_asker(uint64_t id);
/* Whether the ticket's reply would have left by now. */
bool engine_rig_is_released(const struct engine_ticket *ticket);
/* Delivers on all ports until nothing moves. */
void engine_rig_deliver(struct engine_rig *rig);
/* Until every ticket is done and all that was written is durable. */
void engine_rig_settle(struct engine_rig *rig);
/* Completes the checkpoint under way, or else makes a whole one. */
void engine_rig_checkpoint(struct engine_rig *rig);

/* The nth of some keys that lie in `shard`. */
const char *engine_rig_key(
	const struct engine_rig *rig, uint16_t shard, uint32_t n, char out[ENGINE_RIG_KEY_BYTES]);

#endif
