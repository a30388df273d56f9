/*
 * connection: one client: its socket, its reader, the order of its replies, what it has told us of
 * itself. Belongs to one loop; other threads see only the block marked shared.
 *
 * Three files work on it: connection.c its life, input.c from bytes to requests, output.c from
 * replies to bytes.
 */
#ifndef NET_CONNECTION_H
#define NET_CONNECTION_H

#include "base/buffer.h"
#include "net/subscriptions.h"
#include "request/request.h"
#include "resp/reader.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define CONNECTION_NAME_BYTES_MAX 255

struct net;
struct net_loop;

/* Bytes of `out` up to `end` wait until `lsn` is released. */
struct gate_mark {
	size_t end;
	uint64_t lsn;
};

/* In one of its loop's lists. */
struct connection_link {
	struct connection_link *next;
	struct connection_link **place; /* what points to it; NULL: it is in none */
};

/* Which of its loop's lists a connection with unsent replies is in. */
enum connection_place { CONNECTION_QUIET, CONNECTION_DIRTY, CONNECTION_GATED };

/* Why a connection is closed by the server, apart from errors of its socket. */
enum connection_kill {
	CONNECTION_STAYS,
	CONNECTION_KILLED,     /* somebody wished it */
	CONNECTION_OVER_LIMIT, /* messages unread, over client-output-limit */
	CONNECTION_SHED,       /* it holds most, and all together more than output-memory */
	CONNECTION_STUCK,      /* it has taken nothing for client-output-timeout */
};

enum connection_reply { CONNECTION_REPLY_ON, CONNECTION_REPLY_OFF, CONNECTION_REPLY_SKIP_NEXT };

struct connection {
	/* its loop's: the socket and the life */
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	struct net_loop *loop;
	bool is_pipe;
	bool closing;
	bool half_closed; /* it sends no more, but may still wait for replies */
	bool leases;      /* it was given some: whoever did is told when it closes */

	/* input */
	struct reader *reader;
	struct request *reading; /* the request whose command is being read */
	struct request *blocked; /* a whole command that may not start now */
	uint32_t in_flight;
	uint32_t reads_in_flight; /* of them, those whose replies may be long */
	size_t in_flight_bytes;
	bool several_in_flight; /* a command for several shards */
	bool reading_stopped;
	struct connection_link input_link; /* of those that go on at the end of a tick */
	bool close_after_reply;

	/* output */
	struct request *order_first; /* whose replies are to leave in this order */
	struct request *order_last;
	size_t reply_guess;      /* bytes that a reply is likely to have */
	size_t order_bytes;      /* of replies in the order that wait for one in front of them */
	struct buffer out;       /* replies in order, not yet handed to the kernel */
	size_t out_released;     /* prefix of `out` that the gate lets go */
	struct gate_mark *marks; /* where in `out` the gate holds what back */
	uint32_t marks_count;
	uint32_t marks_capacity;
	uint64_t gate_lsn; /* the highest that its replies have waited for */
	uv_write_t write;
	struct buffer writing; /* handed to uv_write */
	bool write_busy;
	size_t write_left;                  /* of it, when the timer looked last */
	int64_t write_moved_ms;             /* wall clock, when that had become less */
	size_t output_counted;              /* what the engine's output_bytes has of it */
	struct connection_link output_link; /* in the loop's list of `place` */
	enum connection_place place;

	/* what it has told us */
	bool authenticated;
	uint8_t db;
	uint8_t protocol;
	enum connection_reply reply_mode;
	bool no_evict;
	bool no_touch;
	struct subscription *subscriptions_oldest[SUBSCRIPTION_KINDS];
	struct subscription *subscriptions_newest[SUBSCRIPTION_KINDS];
	size_t subscription_bytes;

	/* shared: read by any thread under the net's clients lock; texts are written under it */
	struct asker asker;
	int fd;
	char address[80];
	char local_address[80];
	int64_t created_ms;
	char name[CONNECTION_NAME_BYTES_MAX + 1];
	char library_name[CONNECTION_NAME_BYTES_MAX + 1];
	char library_version[CONNECTION_NAME_BYTES_MAX + 1];
	_Atomic int64_t active_ms; /* wall clock of the last command */
	_Atomic(const struct command *) last_command;
	_Atomic uint64_t shared_output_bytes;
	_Atomic uint64_t shared_input_bytes;
	_Atomic uint8_t shared_db;
	_Atomic uint8_t shared_protocol;
	_Atomic uint32_t shared_subscriptions[SUBSCRIPTION_KINDS]; /* how many it has */
	_Atomic uint8_t kill; /* enum connection_kill: its loop will close it */
	struct connection *previous;
	struct connection *next;
};

/* For ROUTE_LOCAL handlers; the loop's thread only. */
struct net *connection_net(const struct connection *connection);
void connection_set_db(struct connection *connection, uint8_t db);
void connection_set_protocol(struct connection *connection, uint8_t protocol);
/* It gives up the leases it holds and the waits for one that it has begun. */
void connection_give_up_leases(struct connection *connection);
/* Reads no more; closes when the replies so far have been sent. */
void connection_close_after_reply(struct connection *connection);
/* Sets one of the texts above under the clients lock; longer texts are cut. */
void connection_set_text(struct connection *connection, char *field, struct slice text);

#endif
