/*
 * origin_loop: see origin_loop.h.
 *
 * Threads: the loop's.
 */
#include "cache/origin_loop.h"

#include "base/memory.h"
#include "cache/origin.h"
#include "engine/room.h"
#include "fetch/fetch.h"
#include "loop/wake_timer.h"

struct origin_loop {
	struct engine *engine;
	uint16_t port;
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

/* Nothing is begun any more, what runs is dropped. */
static void loop_ends(void *kept, uint16_t port)
{
	struct origin_loop *loop = kept;
	origins_closing(loop->origins);
	wake_timer_close(&loop->timer);
	fetcher_close(loop->fetcher);
}

static const struct room origin_loop_room = { .name = "origins", .loop_ends = loop_ends };

struct origin_loop *origin_loop_new(struct engine *engine, uint16_t port, struct uv_loop_s *uv_loop)
{
	struct origin_loop *loop = memory_zeroed(sizeof(*loop));
	struct origins_host host = { loop, wake_in, fetch };
	wake_timer_init(&loop->timer, uv_loop, engine, port, run, loop);
	loop->fetcher = fetcher_new(uv_loop, (struct config *)(uintptr_t)engine->config);
	loop->origins = origins_new(engine, port, &host);
	loop->engine = engine;
	loop->port = port;
	engine_open_room_at(engine, &origin_loop_room, port, loop);
	return loop;
}

void origin_loop_free(struct origin_loop **taken)
{
	struct origin_loop *loop = *taken;
	*taken = NULL;
	engine_close_room_at(loop->engine, &origin_loop_room, loop->port);
	origins_free(&loop->origins);
	fetcher_free(&loop->fetcher);
	memory_free(loop);
}
