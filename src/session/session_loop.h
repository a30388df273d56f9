/*
 * session_loop: sessions on libuv: one timer a worker for the leases of its shards.
 */
#ifndef SESSION_SESSION_LOOP_H
#define SESSION_SESSION_LOOP_H

#include "net/net.h"

struct session_loop;

/* Before net_run. */
struct session_loop *session_loop_new(struct net *net, struct engine *engine);
/* A connection that was given leases is gone; on its loop's thread. */
void session_loop_forget(struct session_loop *loop, uint16_t port, uint64_t client);
/* As struct net_options has them. */
bool session_loop_drain(struct session_loop *loop, uint16_t port);
void session_loop_closing(struct session_loop *loop, uint16_t port);
/* The loops have ended. */
void session_loop_free(struct session_loop **loop);

#endif
