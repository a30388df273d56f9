/*
 * wake_timer: one uv timer of a loop that is set to the next thing due, for what runs beside
 * connections (objects, leases). The tick's clocks are read before it calls.
 *
 * Threads: the loop's; made by the main thread while no loop runs.
 */
#ifndef LOOP_WAKE_TIMER_H
#define LOOP_WAKE_TIMER_H

#include "engine/engine.h"

#include <uv.h>

struct wake_timer {
	uint32_t magic;
	uv_timer_t timer;
	struct engine *engine;
	uint16_t port;
	void (*run)(void *context, uint16_t port);
	void *context;
	bool running; /* within `run` */
	bool closed;
};

void wake_timer_init(struct wake_timer *timer, struct uv_loop_s *loop, struct engine *engine,
	uint16_t port, void (*run)(void *context, uint16_t port), void *context);
/* Replaces what was asked for before. Nothing happens once it is closed. */
void wake_timer_in(struct wake_timer *timer, int64_t delay_ms);
void wake_timer_close(struct wake_timer *timer);

#endif
