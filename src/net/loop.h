/*
 * loop: a thread's tick: what its connections have sent, the turns of its shards, and at the end
 * one write for everything that a connection may send.
 *
 * Threads: struct net_loop is its own thread's, but for what is marked.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "net/connection.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#define LOOP_INPUT_BYTES (64 * 1024)

struct command_stats;
struct port;
struct subscribers;

/* A socket on its way from the listener to its loop. */
struct arrival {
	struct arrival *next;
	int fd;
	enum stream_kind kind;
	enum protocol_kind protocol;
	char address[CLIENT_ADDRESS_BYTES_MAX + 1];
	char local_address[CLIENT_ADDRESS_BYTES_MAX + 1];
};

struct net_loop {
	uint32_t magic;
	struct net *net;
	uint16_t number;   /* of its port at the engine */
	struct port *port; /* that one */
	uv_loop_t uv;
	uv_async_t async;
	uv_prepare_t prepare;
	uv_idle_t idle;
	uv_timer_t timer;
	uv_timer_t blocked_timer;
	uv_thread_t thread;
	struct command_stats *stats;           /* by command */
	struct subscribers *subscribers;       /* see subscriptions.c */
	struct connection *clients;            /* under the net's clients lock for others */
	struct connection *leaving;            /* closed, and with subscriptions left */
	struct list output[CONNECTION_PLACES]; /* connections with replies to send, by place */
	struct list waiting; /* connections that go on with their input at the end of a tick */
	uint32_t waiting_count;
	bool rests;    /* a poll without turns comes first: they have taken long */
	bool has_more; /* some of those that wait do not wait to be admitted */
	uint64_t released_seen;
	bool drained;
	bool closed;
	uint64_t ticks;
	uint64_t drain_until_ns;

	/* under the lock */
	pthread_mutex_t arrivals_lock;
	struct arrival *arrivals;

	/* read by any thread */
	_Atomic uint32_t client_count; /* arrivals on their way included */
	_Atomic uint64_t input_bytes;
	_Atomic uint64_t output_bytes;
	_Atomic uint64_t reads;  /* of sockets, that brought something */
	_Atomic uint64_t writes; /* to sockets */
	_Atomic uint64_t commands;
	_Atomic uint64_t output_limit_drops;
	_Atomic uint64_t evictions; /* for what all clients together held */
	_Atomic uint64_t protocol_errors;
	_Atomic bool look_for_kills;

	char input[LOOP_INPUT_BYTES]; /* what a socket has sent, until it has been looked at */
};

/* 0 or negative errno. */
int loop_open(struct net_loop *loop, struct net *net, uint16_t number);
void loop_run(struct net_loop *loop);
void loop_close(struct net_loop *loop);
/* Any thread. */
void loop_wake(struct net_loop *loop);
/* Takes over an accepted socket; any thread. */
void loop_give_arrival(struct net_loop *loop, struct arrival *arrival);
void loop_mark_dirty(struct net_loop *loop, struct connection *connection);
/* The socket takes more: what is released goes now, even while other replies wait for the gate. */
void loop_mark_writable(struct net_loop *loop, struct connection *connection);
/* Goes on with its input at the end of a tick, behind those that wait already. */
void loop_mark_waiting(struct net_loop *loop, struct connection *connection);
bool loop_is_waiting(const struct net_loop *loop, const struct connection *connection);
/* The connection is about to be freed. */
void loop_forget(struct net_loop *loop, struct connection *connection);

#endif
