/*
 * net_private: what all loops share: the loops themselves, the sockets that accept, and who is
 * connected. Its parts have headers of their own.
 *
 * Threads: set before the loops run, but for what is atomic or stands under a lock.
 */
#ifndef NET_NET_PRIVATE_H
#define NET_NET_PRIVATE_H

#include "base/logline.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/net.h"

#include <pthread.h>
#include <stdatomic.h>

struct subscriptions;
struct error_figures;

struct net {
	struct net_options options;
	struct engine *engine;
	struct config *config;
	struct net_loop *loops;
	uint16_t loop_count;
	uint16_t first_serving; /* loops from here on have connections */
	struct listener listeners[LISTENERS_MAX];
	int listener_count;
	int port;
	char unix_path[108];
	pthread_mutex_t clients_lock;
	struct subscriptions *subscriptions;
	struct error_figures *errors;
	_Atomic uint64_t next_client_id;
	_Atomic uint64_t connections_received;
	_Atomic uint64_t connections_rejected;
	_Atomic uint64_t input_bytes;   /* that clients have sent and nobody has worked off */
	_Atomic uint32_t loops_serving; /* not yet drained */
	_Atomic bool stopping;
	struct logline_rate foreign_lines;
	_Atomic bool reloading; /* asked for, and not begun */
};

/* Replies of all clients take more than output-memory: notes whoever holds most as killed. */
void net_shed_output(struct net *net);

#endif
