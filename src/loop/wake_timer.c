/*
 * wake_timer: see wake_timer.h.
 *
 * Threads: the loop's.
 */
#include "loop/wake_timer.h"

#include <assert.h>

#define WAKE_TIMER_MAGIC 0x77616b65u /* where a pointer has come through libuv */

static void on_timer(uv_timer_t *handle)
{
	struct wake_timer *timer = handle->data;
	assert(timer->magic == WAKE_TIMER_MAGIC);
	engine_tick(timer->engine, timer->port);
	timer->running = true;
	timer->run(timer->context, timer->port);
	timer->running = false;
}

void wake_timer_init(struct wake_timer *timer, struct uv_loop_s *loop, struct engine *engine,
	uint16_t port, void (*run)(void *context, uint16_t port), void *context)
{
	*timer = (struct wake_timer){
		.magic = WAKE_TIMER_MAGIC,
		.engine = engine,
		.port = port,
		.run = run,
		.context = context,
	};
	int result = uv_timer_init(loop, &timer->timer);
	assert(result == 0);
	timer->timer.data = timer;
}

void wake_timer_in(struct wake_timer *timer, int64_t delay_ms)
{
	if (timer->closed)
		return;
	/* The loop's own idea of now is as old as the event it is in. */
	uv_update_time(timer->timer.loop);
	/* One that sets itself anew without a delay would keep the loop from everything else. */
	int64_t least_ms = timer->running ? 1 : 0;
	uv_timer_start(
		&timer->timer, on_timer, (uint64_t)(delay_ms > least_ms ? delay_ms : least_ms), 0);
}

void wake_timer_close(struct wake_timer *timer)
{
	timer->closed = true;
	uv_close((uv_handle_t *)&timer->timer, NULL);
}
