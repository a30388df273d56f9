/*
 * net: listeners, loops, connections. Each loop is a thread with its connections and, when it is
 * also a worker, its shards; a request for its own shard runs at once on it.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "base/histogram.h"
#include "engine/engine.h"
#include "net/client.h"
#include "request/command.h"

struct connection;
struct net;

/* What a loop counted of one command; written by its loop, read by any. */
struct command_stats {
	_Atomic uint64_t calls;
	_Atomic uint64_t ns;
	_Atomic uint64_t failed;             /* answered with an error by the handler */
	_Atomic uint64_t rejected;           /* answered with an error before it ran */
	struct histogram *_Atomic durations; /* NULL until there is one */
};

struct net_options {
	struct engine *engine;
	struct config *config;
	const struct command_set *commands;
	void *environment; /* handed to handlers as request->environment */
	/* A command took at least `slowlog-log-slower-than`, or a millisecond; its arguments are
	 * still there. */
	void (*slow)(void *environment, const struct request *request);
	/* net_reload was called; on the first loop. NULL: nothing is done. */
	void (*reload)(void *environment);
};

/* Binds and listens. 0, or negative errno and one line in `error` (which names address and port).
 */
int net_open(struct net **out, const struct net_options *options, char *error, size_t error_size);
/* Runs loop 0 on the calling thread and the others on threads of their own, until net_stop. */
void net_run(struct net *net);
/* Any thread, and signal-safe: stops accepting, lets running requests end and their replies leave,
 * then net_run returns. */
void net_stop(struct net *net);
/* Any thread, and signal-safe: options.reload is called soon, once for all who asked meanwhile. */
void net_reload(struct net *net);
void net_close(struct net **net);

/* The libuv loop of a loop: to put handles on it before net_run, or on its thread. */
struct uv_loop_s *net_uv_loop(struct net *net, uint16_t loop);
void *net_environment(const struct net *net);
/* The port that TCP listens on (the chosen one when the parameter was 0 in tests); 0: none. */
int net_port(const struct net *net);

struct net_stats {
	uint64_t connections_received;
	uint64_t connections_rejected; /* maxclients */
	uint64_t clients;
	uint64_t input_bytes;
	uint64_t output_bytes;
	uint64_t reads;
	uint64_t writes;
	uint64_t commands; /* that have run */
	uint64_t errors;   /* replies */
	uint64_t output_limit_drops;
	uint64_t evictions; /* of clients, for what all of them held */
	/* of reads and writes, those by loops that only carry connections */
	uint64_t io_reads;
	uint64_t io_writes;
	uint64_t held_bytes; /* of requests and replies of all clients */
	uint64_t protocol_errors;
};
void net_stats(const struct net *net, struct net_stats *out);
/* Sums of all loops for one command of the set. */
void net_command_stats(const struct net *net, uint32_t command, uint64_t *calls, uint64_t *ns,
	uint64_t *failed, uint64_t *rejected);
/* How long the calls of one command took, over all loops; false: none was noted. */
bool net_command_durations(const struct net *net, uint32_t command, struct histogram *out);
/* How many replies were errors of each code, their first word; `each` is called under a lock. */
typedef void (*net_error_fn)(void *context, const char *code, uint64_t count);
void net_each_error(const struct net *net, net_error_fn each, void *context);
void net_reset_stats(struct net *net);

/* Calls `each` for every connection of every loop under the clients lock; stop by returning false.
 */
typedef bool (*net_client_fn)(void *context, struct connection *connection);
void net_each_client(struct net *net, net_client_fn each, void *context);
/* Under net_each_client: the connection's loop will close it soon. */
void net_kill(struct connection *connection, enum client_kill why);

#endif
