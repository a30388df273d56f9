/*
 * lease_loop: the engine's leases on libuv: one timer a worker.
 *
 * Threads: made and freed by the main thread while no loop runs; the rest on the port's.
 */
#ifndef LEASES_LEASE_LOOP_H
#define LEASES_LEASE_LOOP_H

#include "engine/engine.h"

struct lease_loop;
struct uv_loop_s;

/* Makes the leases. */
struct lease_loop *lease_loop_new(struct engine *engine);
/* For each worker's port. */
void lease_loop_open(struct lease_loop *loop, uint16_t port, struct uv_loop_s *uv);
/* The loops have ended. */
void lease_loop_free(struct lease_loop **loop);

#endif
