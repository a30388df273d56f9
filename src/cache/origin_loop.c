/*
 * origin_loop: see origin_loop.h.
 *
 * Threads: the loop's.
 */
#include "cache/origin_loop.h"

#include "base/memory.h"
#include "cache/origin.h"
#include "fetch/fetch.h"
#include "loop/wake_timer.h"

struct origin_loop {
	struct origins *origins;
	struct wake_timer timer;
	struct fetcher *fetcher;
};

static void run(void *context, uint16_t port)
{
	struct origin_loop *loop = context;
	origins_run(loop->origins);
}

static void wake_in(void *context, int64_t ms)
{
	struct origin_loop *loop = context;
	wake_timer_in(&loop->timer, ms);
}

static void fetch(void *context, struct fetch *wanted)
{
	struct origin_loop *loop = context;
	fetcher_start(loop->fetcher, wanted);
}

struct origin_loop *origin_loop_new(struct engine *engine, uint16_t port, struct uv_loop_s *uv_loop)
{
	struct origin_loop *loop = memory_zeroed(sizeof(*loop));
	struct origins_host host = { loop, wake_in, fetch };
	wake_timer_init(&loop->timer, uv_loop, engine, port, run, loop);
	loop->fetcher = fetcher_new(uv_loop, (struct config *)(uintptr_t)engine->config);
	loop->origins = origins_new(engine, port, &host);
	return loop;
}

void origin_loop_closing(struct origin_loop *loop)
{
	origins_closing(loop->origins);
	wake_timer_close(&loop->timer);
	fetcher_close(loop->fetcher);
}

void origin_loop_free(struct origin_loop **taken)
{
	struct origin_loop *loop = *taken;
	*taken = NULL;
	origins_free(&loop->origins);
	fetcher_free(&loop->fetcher);
	memory_free(loop);
}
