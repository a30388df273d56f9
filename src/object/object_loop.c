/*
 * object_loop: objects on libuv. One timer, set to the next thing that is due; HTTP by the loop's
 * fetcher. The wall clock may be set while the timer runs, so it never runs for long.
 *
 * Threads: the loop's; made and freed by the main thread while no loop runs.
 */
#include "object/object_loop.h"

#include "base/memory.h"
#include "engine/room.h"
#include "loop/wake_timer.h"

#define TIMER_MS_MAX 1000

struct object_loop {
	struct objects *objects;
	struct engine *engine;
	struct wake_timer timer;
	struct fetcher *fetcher;
	uint16_t port;
	bool closed;
};

static void run(void *context, uint16_t port)
{
	struct object_loop *object_loop = context;
	objects_run(object_loop->objects);
}

static void wake_at(void *context, int64_t at_ms)
{
	struct object_loop *object_loop = context;
	int64_t now_ms = clock_wall_ms(object_loop->engine->clock);
	wake_timer_in(
		&object_loop->timer, at_ms < now_ms + TIMER_MS_MAX ? at_ms - now_ms : TIMER_MS_MAX);
}

static void fetch(void *context, struct fetch *wanted)
{
	struct object_loop *object_loop = context;
	if (!object_loop->closed)
		fetcher_start(object_loop->fetcher, wanted);
}

static void cancel(void *context, struct fetch *wanted)
{
	struct object_loop *object_loop = context;
	if (!object_loop->closed)
		fetcher_cancel(object_loop->fetcher, wanted);
}

static bool drain(void *kept, uint16_t port, bool now)
{
	struct object_loop *object_loop = kept;
	objects_quiesce(object_loop->objects);
	if (now)
		objects_stop(object_loop->objects);
	return objects_are_busy(object_loop->objects);
}

static void loop_ends(void *kept, uint16_t port)
{
	struct object_loop *object_loop = kept;
	objects_stop(object_loop->objects);
	object_loop->closed = true;
	wake_timer_close(&object_loop->timer);
	fetcher_close(object_loop->fetcher);
}

static const struct room object_loop_room = {
	.name = "object timers",
	.drain = drain,
	.loop_ends = loop_ends,
};

struct object_loop *object_loop_new(struct uv_loop_s *loop, const struct objects_options *options)
{
	struct object_loop *object_loop = memory_zeroed(sizeof(*object_loop));
	struct objects_options own = *options;
	object_loop->engine = options->engine;
	wake_timer_init(
		&object_loop->timer, loop, options->engine, options->port, run, object_loop);
	object_loop->fetcher = fetcher_new(loop, options->config);
	own.host = (struct objects_host){ object_loop, wake_at, fetch, cancel };
	object_loop->objects = objects_new(&own);
	object_loop->port = options->port;
	engine_open_room_at(options->engine, &object_loop_room, options->port, object_loop);
	return object_loop;
}

struct objects *object_loop_objects(struct object_loop *object_loop)
{
	return object_loop->objects;
}

void object_loop_free(struct object_loop **taken)
{
	struct object_loop *object_loop = *taken;
	*taken = NULL;
	engine_close_room_at(object_loop->engine, &object_loop_room, object_loop->port);
	objects_free(&object_loop->objects);
	fetcher_free(&object_loop->fetcher);
	memory_free(object_loop);
}
