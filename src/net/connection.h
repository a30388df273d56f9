/*
 * connection: one client's connection, from the socket that was accepted until the last of its
 * requests is home. Belongs to one loop; of other threads' interest is its client (client.h).
 *
 *   stream  --bytes-->  protocol --request--> admission --> shards, or a handler of the loop
 *      ^                                                              |
 *      '------ output <---------------- order <------- reply ---------'
 *
 * Its parts: stream.h (the socket), protocol.h (bytes to requests), admission.h (may this command
 * start now), order.h (replies in order and behind the gate), client.h (what it has told us);
 * input.c moves it from bytes to requests, output.c from replies to bytes.
 */
#ifndef NET_CONNECTION_H
#define NET_CONNECTION_H

#include "base/list.h"
#include "net/client.h"
#include "net/order.h"
#include "net/protocol.h"
#include "net/stream.h"

struct arrival;
struct net;
struct net_loop;

/* Where a connection stands with its replies. */
enum connection_place {
	CONNECTION_QUIET, /* in no list: it has none to send */
	CONNECTION_DIRTY, /* some are to be flushed this tick */
	CONNECTION_GATED, /* all wait for the gate */
	CONNECTION_PLACES,
};

/* Requests that the shards have. */
struct connection_flight {
	uint32_t requests;
	uint32_t reads; /* of them, those whose replies may be long */
	size_t bytes;
	bool is_for_several; /* the last one takes several shards */
};

struct connection {
	struct client client;
	struct stream stream;
	struct protocol protocol;
	struct order order;

	/* the life */
	struct net_loop *loop;
	struct connection *previous; /* under the net's clients lock */
	struct connection *next;
	bool closing;
	bool half_closed;       /* it sends no more, but may still wait for replies */
	bool close_after_reply; /* it is not read any more */
	bool may_hold_leases;   /* it was given some: whoever did is told when it closes */

	/* input */
	struct request *blocked; /* a whole command that may not start now */
	struct connection_flight flight;
	bool reading_stopped;
	struct list_node in_waiting; /* of its loop */

	/* output */
	size_t reply_guess;         /* bytes that a reply is likely to have */
	struct buffer writing;      /* what the stream has of `order.out` to send */
	size_t write_left;          /* of it, when the timer looked last */
	int64_t write_moved_ms;     /* wall clock, when that had become less */
	size_t output_counted;      /* what the engine's output_bytes has of it */
	struct list_node in_output; /* in the loop's list of `place` */
	enum connection_place place;

	/* subscriptions */
	struct list subscriptions[SUBSCRIPTION_KINDS]; /* the oldest first */
	size_t subscription_bytes;
};

/* --- for ROUTE_LOCAL handlers; the loop's thread only --- */

struct net *connection_net(const struct connection *connection);
/* It gives up the leases it holds and the waits for one that it has begun. */
void connection_give_up_leases(struct connection *connection);
/* Reads no more; closes when the replies so far have been sent. */
void connection_close_after_reply(struct connection *connection);

/* --- for net --- */

void connection_open(struct net_loop *loop, const struct arrival *arrival);
/* Begins to close; frees itself when nothing of it is under way any more. */
void connection_close(struct connection *connection);
/* Ends some subscriptions of those that have closed, all when the server stops. True while there
 * are more. */
bool connection_leave(struct net_loop *loop);
/* The client sends no more. */
void connection_half_close(struct connection *connection);
/* Whether clients are gone whose sockets nobody reads. */
void connection_look(struct net_loop *loop);
void connection_done(struct connection *connection, struct request *request);
bool connection_is_idle(const struct connection *connection);

static inline struct connection *connection_of(struct stream *stream)
{
	return (struct connection *)((char *)stream - offsetof(struct connection, stream));
}

#endif
