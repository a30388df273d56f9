/*
 * The inside of net, shared by its files: net.c (open, run, stop, figures), listener.c (sockets
 * that accept), loop.c (a thread's tick), connection.c (one client), input.c and output.c (what it
 * sends and gets), subscriptions.c (messages) and figures.c (counts).
 */
#ifndef NET_NET_PRIVATE_H
#define NET_NET_PRIVATE_H

#include "base/logline.h"
#include "net/net.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#define NET_INPUT_BYTES   (64 * 1024)
#define NET_LISTENERS_MAX 17

/* A socket on its way from the listener to its loop. */
struct arrival {
	struct arrival *next;
	int fd;
	bool is_pipe;
	char address[80];
	char local_address[80];
};

struct listener {
	struct net *net;
	uv_poll_t poll;
	int fd;
	bool is_pipe;
};

struct net_loop {
	struct net *net;
	uint16_t number; /* its port at the engine */
	uv_loop_t uv;
	uv_async_t async;
	uv_prepare_t prepare;
	uv_idle_t idle;
	uv_timer_t timer;
	uv_timer_t blocked_timer;
	uv_thread_t thread;
	struct command_stats *stats;     /* by command */
	struct listeners *listeners;     /* subscriptions.c's */
	struct connection *clients;      /* under net->clients_lock for others */
	struct connection *leaving;      /* closed, and with subscriptions left */
	struct connection_link *dirty;   /* have replies to be flushed this tick */
	struct connection_link *gated;   /* have replies that all wait for the gate */
	struct connection_link *waiting; /* go on with their input at the end of a tick */
	struct connection_link **waiting_end;
	bool rests;    /* a poll without turns comes first: they have taken long */
	bool has_more; /* some of these do not wait to be admitted */
	uint64_t released_seen;
	bool drained;
	bool closed;
	uint64_t ticks;
	uint64_t drain_until_ns;

	pthread_mutex_t arrivals_lock;
	struct arrival *arrivals;

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
	char input[NET_INPUT_BYTES];
};

struct net {
	struct net_options options;
	struct engine *engine;
	struct config *config;
	struct net_loop *loops;
	uint16_t loop_count;
	uint16_t first_serving; /* loops from here on have connections */
	struct listener listeners[NET_LISTENERS_MAX];
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

/* listener.c */
int listener_open_all(struct net *net, char *error, size_t error_size);
int listener_start_all(struct net *net);
/* Accepts again after descriptors had run out; by the first loop that serves. */
void listener_resume_all(struct net *net);
void listener_stop_all(struct net *net);
void listener_close_sockets(struct net *net);

/* loop.c */
int loop_open(struct net_loop *loop, struct net *net, uint16_t number);
void loop_run(struct net_loop *loop);
void loop_close(struct net_loop *loop);
void loop_wake(struct net_loop *loop);
/* Takes over an accepted socket; any thread. */
void loop_give_arrival(struct net_loop *loop, struct arrival *arrival);
void loop_mark_dirty(struct net_loop *loop, struct connection *connection);
/* The socket takes more: what is released goes now, even while other replies wait for the gate. */
void loop_mark_writable(struct net_loop *loop, struct connection *connection);
/* Goes on with its input at the end of a tick, behind those that wait already. */
void loop_mark_waiting(struct net_loop *loop, struct connection *connection);
/* The connection is about to be freed. */
void loop_forget(struct net_loop *loop, struct connection *connection);

/* connection.c */
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

static inline struct port *connection_port(const struct connection *connection)
{
	return &connection->loop->net->engine->ports[connection->loop->number];
}

static inline struct request_pool *connection_pool(const struct connection *connection)
{
	return &connection_port(connection)->pool;
}

/* input.c */
int input_start(struct connection *connection);
/* Reads no more; closes when all that was read has been answered. */
void input_stop(struct connection *connection);
/* One of its requests has come home. */
void input_done(struct connection *connection, const struct request *request);
/* Something that may have stopped it is over: the loop lets it go on at the end of the tick. */
void input_go_on_later(struct connection *connection);
/* The loop does: the command that was not admitted, and what stands behind it. */
void input_go_on(struct connection *connection);
/* What it had sent and was not run is no longer counted. */
void input_uncount(struct connection *connection);

/* output.c */
void output_init(struct connection *connection);
/* The request takes its place in the order of replies. */
void output_append(struct connection *connection, struct request *request);
/* Its reply may leave when those in front of it have. */
void output_answered(struct connection *connection, struct request *request);
/* Both, for one that does not run. */
void output_answer(struct connection *connection, struct request *request);
/* Appends a message that nobody may see before `lsn` is released. A connection that would have too
 * much unread is noted as killed: it is closed later, not within the call. */
void output_push(struct connection *connection, struct slice message, uint64_t lsn);
/* Sends what the gate has released. True when the gate still holds some back. */
bool output_flush(struct connection *connection, uint64_t released);
/* Bytes that the client has not taken yet, and what its requests under way are likely to add. */
size_t output_expected(const struct connection *connection);
/* Once a second: drops a client that takes nothing. */
void output_look(struct connection *connection, int64_t now_ms);
void output_log_unread(const struct connection *connection, enum connection_kill why);
void output_uncount(struct connection *connection);

/* figures.c */
void figures_open(struct net *net);
void figures_close(struct net *net);
void figures_open_loop(struct net_loop *loop);
void figures_close_loop(struct net_loop *loop);
/* The request has run. */
void figures_count_command(struct connection *connection, const struct request *request);
/* A reply that is an error. */
void figures_count_error(struct net *net, struct slice reply);

/* net.c */
/* Replies of all clients take more than output-memory: notes whoever holds most as killed. */
void net_shed_output(struct net *net);

#endif
