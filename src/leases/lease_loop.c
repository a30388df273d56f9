/*
 * lease_loop: see lease_loop.h.
 *
 * Threads: see lease_loop.h.
 */
#include "leases/lease_loop.h"

#include "base/memory.h"
#include "engine/room.h"
#include "leases/leases.h"
#include "loop/wake_timer.h"

struct lease_loop {
	struct engine *engine;
	struct leases *leases;
	struct wake_timer timers[]; /* one a worker */
};

static void run(void *context, uint16_t port)
{
	struct lease_loop *loop = context;
	leases_run(loop->leases, port);
}

static void wake_in(void *context, uint16_t port, int64_t ms)
{
	struct lease_loop *loop = context;
	wake_timer_in(&loop->timers[port], ms);
}

static void loop_ends(void *kept, uint16_t port)
{
	struct lease_loop *loop = kept;
	if (port < loop->engine->worker_count)
		wake_timer_close(&loop->timers[port]);
}

static const struct room lease_loop_room = { .name = "lease timers", .loop_ends = loop_ends };

struct lease_loop *lease_loop_new(struct engine *engine)
{
	struct lease_loop *loop =
		memory_zeroed(sizeof(*loop) + engine->worker_count * sizeof(struct wake_timer));
	struct leases_options options = { .engine = engine, .wake_in = wake_in, .context = loop };
	loop->engine = engine;
	loop->leases = leases_new(&options);
	engine_open_room(engine, &lease_loop_room, loop);
	return loop;
}

void lease_loop_open(struct lease_loop *loop, uint16_t port, struct uv_loop_s *uv)
{
	wake_timer_init(&loop->timers[port], uv, loop->engine, port, run, loop);
}

void lease_loop_free(struct lease_loop **taken)
{
	struct lease_loop *loop = *taken;
	*taken = NULL;
	engine_close_room(loop->engine, &lease_loop_room);
	leases_free(&loop->leases);
	memory_free(loop);
}
