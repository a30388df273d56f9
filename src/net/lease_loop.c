/*
 * lease_loop: see lease_loop.h.
 *
 * Threads: see lease_loop.h.
 */
#include "net/lease_loop.h"

#include "base/memory.h"
#include "net/wake_timer.h"
#include "shard/leases.h"

struct lease_loop {
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

struct lease_loop *lease_loop_new(struct net *net, struct engine *engine)
{
	struct lease_loop *loop =
		memory_zeroed(sizeof(*loop) + engine->worker_count * sizeof(struct wake_timer));
	struct leases_options options = { .engine = engine, .wake_in = wake_in, .context = loop };
	loop->leases = leases_new(&options);
	for (uint16_t i = 0; i < engine->worker_count; i++)
		wake_timer_init(&loop->timers[i], net_uv_loop(net, i), engine, i, run, loop);
	return loop;
}

void lease_loop_closing(struct lease_loop *loop, uint16_t port)
{
	wake_timer_close(&loop->timers[port]);
}

void lease_loop_free(struct lease_loop **taken)
{
	struct lease_loop *loop = *taken;
	*taken = NULL;
	leases_free(&loop->leases);
	memory_free(loop);
}
