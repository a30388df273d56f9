/*
 * connection: one client: its socket, its reader, the order of its replies, what it has told us of
 * itself. Belongs to one loop; other threads see only the block marked shared.
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

/* Which of its loop's lists a connection with unsent replies is in. */
enum connection_place { CONNECTION_QUIET, CONNECTION_DIRTY, CONNECTION_GATED };

enum connection_reply { CONNECTION_REPLY_ON, CONNECTION_REPLY_OFF, CONNECTION_REPLY_SKIP_NEXT };

struct connection {
	/* its loop's */
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	uv_write_t write;
	struct net_loop *loop;
	struct reader *reader;
	struct request *reading; /* the request whose command is being read */
	struct request *blocked; /* a whole command that may not start now */
	struct request *order_first;
	struct request *order_last;
	uint32_t in_flight;
	size_t in_flight_bytes;
	struct buffer out;       /* replies in order, not yet handed to the kernel */
	size_t out_released;     /* prefix of `out` that the gate lets go */
	struct gate_mark *marks; /* where in `out` the gate holds what back */
	uint32_t marks_count;
	uint32_t marks_capacity;
	uint64_t gate_lsn;            /* the highest that its replies have waited for */
	struct buffer writing;        /* handed to uv_write */
	struct connection *list_next; /* in the loop's list of `place` */
	enum connection_place place;
	bool is_blocked; /* in the loop's list of blocked ones */
	struct connection *blocked_next;
	bool is_pipe;
	bool processing;
	bool several_in_flight; /* a command for several shards */
	bool reading_stopped;
	bool leases; /* it was given some: whoever did is told when it closes */
	bool write_busy;
	bool closing;
	bool close_after_reply;
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
	uint64_t id;
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
	_Atomic bool kill;
	struct connection *previous;
	struct connection *next;
};

/* For ROUTE_LOCAL handlers; the loop's thread only. */
struct net *connection_net(const struct connection *connection);
void connection_set_db(struct connection *connection, uint8_t db);
void connection_set_protocol(struct connection *connection, uint8_t protocol);
/* Reads no more; closes when the replies so far have been sent. */
void connection_close_after_reply(struct connection *connection);
/* Sets one of the texts above under the clients lock; longer texts are cut. */
void connection_set_text(struct connection *connection, char *field, struct slice text);

#endif
