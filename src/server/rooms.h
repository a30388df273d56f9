/*
 * rooms: which families an engine has, in the order in which they need each other: leases,
 * sessions, the cache with its origins, objects. The server opens them on its loops (server.c), a
 * bench of tests with a clock and answers of its own (class_bench.c). Each says how it makes the
 * three that need timers and HTTP; which there are is said here alone.
 *
 * Threads: while no loop runs.
 */
#ifndef SERVER_ROOMS_H
#define SERVER_ROOMS_H

#include "object/objects.h"

struct cache;
struct sessions;

/* How the rooms come to their timers and their HTTP. */
struct rooms_world {
	void (*open_leases)(void *context);
	void (*open_origins)(void *context, uint16_t worker);
	/* The host in `options` is still missing. */
	void (*open_objects)(void *context, const struct objects_options *options);
	void (*close_objects)(void *context, uint16_t worker);
	void (*close_origins)(void *context, uint16_t worker);
	void (*close_leases)(void *context);
};

/* Zero at first. */
struct rooms {
	const struct rooms_world *world;
	void *context;
	struct engine *engine; /* NULL: nothing is open */
	struct sessions *sessions;
	struct cache *cache;
};

/* `registry` has the classes already. `config` is the objects'. */
void rooms_open(struct rooms *rooms, const struct rooms_world *world, void *context,
	struct engine *engine, struct config *config, struct class_registry *registry);
/* In reverse; nothing when nothing is open. */
void rooms_close(struct rooms *rooms);

#endif
