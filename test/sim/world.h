/*
 * world: what all simulators stand on. A world is an engine of one to three workers on one thread,
 * with a simulated disk and clock, and every choice in it follows from one seed: which command
 * comes, which step is taken next, where the disk fails. The ids, tokens and salts that the server
 * asks the kernel for follow from the seed too.
 *
 * A seed is a few lives. A life begins with recovery from what the disk holds, which may crash as
 * well; then faults are armed and random steps are taken, until a fault or their number ends it in
 * a crash. Now and then everything is let run to its end before that. The last life has no faults.
 *
 * The world itself checks what is true of any engine: a reply leaves only when the record is
 * released that it tells of; what was acknowledged is there after any crash; no fault comes within
 * a turn; everybody who asks is answered.
 *
 * A simulator (struct simulator) gives the world its clients, what it expects of them, and its
 * checks: a table of functions and sizes. Its own struct begins with the world.
 */
#ifndef TEST_SIM_WORLD_H
#define TEST_SIM_WORLD_H

#include "base/random.h"
#include "support/engine_rig.h"

#include <stdbool.h>

#define WORLD_WORKERS_MAX     3
#define WORLD_VALUE_BYTES_MAX (80 * 1024)

struct simulator;

struct world {
	struct engine_rig rig; /* stands first; clock, configuration, disk, engine */
	const struct simulator *simulator;
	uint64_t seed;
	struct random random;
	struct random entropy; /* what the server takes for the kernel's */
	uint16_t workers;      /* the first of the ports: those that own shards */
	uint16_t loops;        /* all ports that requests come from */
	uint32_t in_flight;
	struct request *unreleased; /* done, behind the gate */
	uint64_t acknowledged;      /* the highest record that a released reply told of */
	bool moved;                 /* by the last round */
	bool commit_fails;          /* for want of room, a few times */
	bool commit_dies;           /* once */
	uint64_t commands;
	uint64_t crashes;
	uint64_t checkpoints; /* steps of them */
};

/* One of `count` numbers, from `first`. */
struct world_range {
	uint64_t first;
	uint64_t count;
};

/* What a life consists of: one of these at a time, as often as its weight says. */
struct world_step {
	uint32_t weight;
	void (*run)(struct world *world);
};

/* Where a function may be NULL, its comment says what that means. A request without an environment
 * is the engine's own: of the functions only `abandoned` sees it. */
struct simulator {
	size_t size; /* of its own struct */
	uint64_t first_seed;
	uint64_t seeds_usual;
	uint64_t seeds_long; /* for tests that may take long */

	const struct world_step *steps;
	size_t step_count;
	uint64_t life_steps; /* a life has fewer */
	uint32_t in_flight_max;
	int64_t log_segment_bytes;
	struct world_range overlay_bits; /* of the bound of overlays, as a power of two */
	uint64_t fault_operations;       /* a fault comes within so many of the disk */
	struct world_range room;         /* of a disk that fills up, in pieces of: */
	uint64_t room_piece_bytes;
	uint64_t down_ms; /* the machine may stay down for less; 0: it never does */
	uint64_t rest_ms; /* all is let run for less before a life ends; 0: that is not done */
	int64_t settle_ms_max;

	/* A seed begins: settings and what is expected are made. `end` frees that. */
	void (*begin)(struct world *world);
	void (*end)(struct world *world);
	/* The engine is about to be opened, perhaps with other settings. NULL: with the same. */
	void (*change_settings)(struct world *world);
	/* The engine has recovered up to record `last`: what is expected goes back to that, what
	 * stands on the engine is made, and compared. */
	void (*recovered)(struct world *world, uint64_t last);
	/* The engine is about to be closed: what stands on it goes. NULL: there is nothing. May be
	 * called though `recovered` was not. */
	void (*close)(struct world *world);

	/* Fills in a client's request: arguments, command, environment. False: none is sent. */
	bool (*choose)(struct world *world, struct request *request);
	/* It has come home. NULL: nothing is done. */
	void (*answered)(struct world *world, const struct request *request);
	/* The highest record that its reply tells of, by the simulator's own account. */
	uint64_t (*depends)(const struct request *request);
	/* Its reply has left, or it was not sent for want of room. NULL: nothing is done. */
	void (*left)(struct world *world, struct request *request);
	/* It was under way, or its reply was, when the machine stopped. NULL: nothing is done. */
	void (*abandoned)(struct world *world, struct request *request);

	/* What runs besides the engine; whether anything moved. NULL: nothing does. */
	bool (*run)(struct world *world);
	/* Nothing moves any more: time goes on. NULL: `run` sees to that. */
	void (*wait)(struct world *world);
	/* All that is under way has come to its end. NULL: when all requests have. */
	bool (*is_settled)(const struct world *world);
	/* No turn is running: after each step and each round. NULL: nothing is checked. */
	void (*check)(struct world *world);
	/* There are no faults any more: all runs for `ms`, and then comes to rest. */
	void (*rest)(struct world *world, int64_t ms);
	/* The end of the last life. NULL: nothing is done. */
	void (*finish)(struct world *world);

	/* The rest of the line that says what a seed did, and of the last line. NULL: none. */
	void (*say_seed)(const struct world *world);
	void (*say_total)(void);
};

/* What main does: runs seeds as the arguments say. The exit code. */
int world_main(const struct simulator *simulator, int argc, char **argv);

/* Something is not as it must be: says what, and how to see it again. */
__attribute__((noreturn, format(printf, 1, 2))) void wrong(const char *format, ...);

uint64_t world_below(struct world *world, uint64_t bound);
/* Once in so many times. */
bool world_chance(struct world *world, uint64_t one_in);
uint16_t world_any_worker(struct world *world);

/* Sends a request from a port; counts it until it is answered. */
void world_submit(struct world *world, struct request **request, uint16_t port);

/* Steps. */
void world_send(struct world *world);
void world_deliver(struct world *world);
void world_run_gate(struct world *world);
void world_run_keeper(struct world *world);
void world_run_checkpoint(struct world *world);
void world_run_expiry(struct world *world);

/* A round lets each part of the world run once; whether anything moved. */
bool world_round(struct world *world);
/* Rounds until everything under way has come to its end. */
void world_settle(struct world *world);
/* Nothing of the clients' is under way. */
bool world_is_home(const struct world *world);
/* Ends the faults, and calls the simulator's `rest`. */
void world_rest(struct world *world, int64_t ms);

#endif
