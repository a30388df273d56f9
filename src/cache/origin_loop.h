/*
 * origin_loop: a worker's origins on its libuv loop: a timer, and a fetcher of their own.
 *
 * Threads: the loop's; made and freed by the main thread while no loop runs.
 */
#ifndef CACHE_ORIGIN_LOOP_H
#define CACHE_ORIGIN_LOOP_H

#include "engine/engine.h"

struct origin_loop;
struct uv_loop_s;

struct origin_loop *origin_loop_new(struct engine *engine, uint16_t port, struct uv_loop_s *loop);
void origin_loop_free(struct origin_loop **loop);

#endif
