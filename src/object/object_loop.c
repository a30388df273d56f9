/*
 * object_loop: objects on libuv. One timer, set to the next thing that is due; HTTP by the loop's
 * fetcher. The wall clock may be set while the timer runs, so it never runs for long.
 *
 * Threads: the loop's; made and freed by the main thread while no loop runs.
 */
#include "object/object_loop.h"

#include "base/memory.h"

#include <assert.h>
#include <uv.h>

#define TIMER_MS_MAX 1000

struct object_loop {
	struct objects *objects;
	struct engine *engine;
	uint16_t port;
	uv_timer_t timer;
	struct fetcher *fetcher;
	bool closed;
};

static void on_timer(uv_timer_t *timer)
{
	struct object_loop *object_loop = timer->data;
	engine_tick(object_loop->engine, object_loop->port);
	objects_run(object_loop->objects);
}

static void wake_at(void *context, int64_t at_ms)
{
	struct object_loop *object_loop = context;
	if (object_loop->closed)
		return;
	int64_t delay_ms = TIMER_MS_MAX;
	int64_t now_ms = clock_wall_ms(object_loop->engine->clock);
	if (at_ms < now_ms + TIMER_MS_MAX)
		delay_ms = at_ms > now_ms ? at_ms - now_ms : 0;
	/* The loop's own idea of now is as old as the event it is in. */
	uv_update_time(object_loop->timer.loop);
	uv_timer_start(&object_loop->timer, on_timer, (uint64_t)delay_ms, 0);
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

struct object_loop *object_loop_new(struct uv_loop_s *loop, const struct objects_options *options)
{
	struct object_loop *object_loop = memory_zeroed(sizeof(*object_loop));
	struct objects_options own = *options;
	object_loop->engine = options->engine;
	object_loop->port = options->port;
	uv_timer_init(loop, &object_loop->timer);
	object_loop->timer.data = object_loop;
	object_loop->fetcher = fetcher_new(loop, options->config);
	own.host = (struct objects_host){ object_loop, wake_at, fetch, cancel };
	object_loop->objects = objects_new(&own);
	return object_loop;
}

struct objects *object_loop_objects(struct object_loop *object_loop)
{
	return object_loop->objects;
}

void object_loop_released(struct object_loop *object_loop)
{
	objects_released(object_loop->objects);
}

bool object_loop_drain(struct object_loop *object_loop, bool now)
{
	objects_quiesce(object_loop->objects);
	if (now)
		objects_stop(object_loop->objects);
	return objects_are_busy(object_loop->objects);
}

void object_loop_closing(struct object_loop *object_loop)
{
	objects_stop(object_loop->objects);
	object_loop->closed = true;
	uv_close((uv_handle_t *)&object_loop->timer, NULL);
	fetcher_close(object_loop->fetcher);
}

void object_loop_free(struct object_loop **taken)
{
	struct object_loop *object_loop = *taken;
	*taken = NULL;
	objects_free(&object_loop->objects);
	fetcher_free(&object_loop->fetcher);
	memory_free(object_loop);
}
