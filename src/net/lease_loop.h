/*
 * lease_loop: the engine's leases on libuv: one timer a worker.
 *
 * Threads: made and freed by the main thread while no loop runs; the rest on the port's.
 */
#ifndef NET_LEASE_LOOP_H
#define NET_LEASE_LOOP_H

#include "net/net.h"

struct lease_loop;

/* Makes engine->leases. Before net_run. */
struct lease_loop *lease_loop_new(struct net *net, struct engine *engine);
/* The loop ends. */
void lease_loop_closing(struct lease_loop *loop, uint16_t port);
/* The loops have ended. */
void lease_loop_free(struct lease_loop **loop);

#endif
