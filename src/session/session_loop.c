/*
 * session_loop: see session_loop.h.
 *
 * Threads: made and freed by the main thread while no loop runs; the rest on the port's.
 */
#include "session/session_loop.h"

#include "base/memory.h"
#include "net/wake_timer.h"
#include "session/sessions.h"

struct session_loop {
	struct sessions *sessions;
	struct wake_timer timers[]; /* one a worker */
};

static void run(void *context, uint16_t port)
{
	struct session_loop *loop = context;
	sessions_run(loop->sessions, port);
}

static void wake_in(void *context, uint16_t port, int64_t ms)
{
	struct session_loop *loop = context;
	wake_timer_in(&loop->timers[port], ms);
}

struct session_loop *session_loop_new(struct net *net, struct engine *engine)
{
	struct session_loop *loop =
		memory_zeroed(sizeof(*loop) + engine->worker_count * sizeof(struct wake_timer));
	struct sessions_options options = { .engine = engine, .wake_in = wake_in, .context = loop };
	loop->sessions = sessions_new(&options);
	for (uint16_t i = 0; i < engine->worker_count; i++)
		wake_timer_init(&loop->timers[i], net_uv_loop(net, i), engine, i, run, loop);
	return loop;
}

void session_loop_forget(struct session_loop *loop, uint16_t port, uint64_t client)
{
	sessions_forget_client(loop->sessions, port, client);
}

bool session_loop_drain(struct session_loop *loop, uint16_t port)
{
	return sessions_drain(loop->sessions, port);
}

void session_loop_closing(struct session_loop *loop, uint16_t port)
{
	wake_timer_close(&loop->timers[port]);
}

void session_loop_free(struct session_loop **taken)
{
	struct session_loop *loop = *taken;
	*taken = NULL;
	sessions_free(&loop->sessions);
	memory_free(loop);
}
