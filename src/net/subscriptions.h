/*
 * subscriptions: who listens to which channels and patterns, and the way of a message to them.
 */
#ifndef NET_SUBSCRIPTIONS_H
#define NET_SUBSCRIPTIONS_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct net;
struct net_loop;

enum subscription_kind {
	SUBSCRIPTION_CHANNEL,
	SUBSCRIPTION_PATTERN, /* of channels' names, as in base/glob.h */
	SUBSCRIPTION_KINDS,
};

/* --- for handlers, on the connection's loop --- */

/* NULL when the connection may have these too, within LIMIT_SUBSCRIPTIONS_BYTES and
 * LIMIT_PATTERNS_BYTES; else the error to reply. */
const char *subscriptions_refuse(const struct connection *connection, enum subscription_kind kind,
	const struct slice *names, uint32_t count);
/* Nothing changes when the connection has it already, or does not have it. */
void subscriptions_add(
	struct connection *connection, enum subscription_kind kind, struct slice name);
void subscriptions_remove(
	struct connection *connection, enum subscription_kind kind, struct slice name);
/* The name of the connection's oldest of the kind, valid until it is removed; false: none. */
bool subscriptions_oldest(
	const struct connection *connection, enum subscription_kind kind, struct slice *name);
/* Of both kinds. */
uint32_t subscriptions_count(const struct connection *connection);
/* So many of the connection's go. True when it has none any more. */
bool subscriptions_drop(struct connection *connection, size_t most);
/* Sends the message to everybody who subscribes to the channel, behind what the connection's own
 * replies have waited for. Returns how many get it: a client counts once for its channel and once
 * for each pattern of its that matches. */
uint64_t subscriptions_publish(
	struct connection *connection, struct slice channel, struct slice message);

/* --- any thread --- */

/* Channels or patterns that somebody subscribes to. */
uint64_t subscriptions_names(struct net *net, enum subscription_kind kind);
/* Clients that subscribe to the channel itself. */
uint64_t subscriptions_to_channel(struct net *net, struct slice channel);
/* Calls `each` for every channel that has subscribers, in no order, under the lock, until it
 * returns false. */
void subscriptions_each_channel(
	struct net *net, bool (*each)(void *context, struct slice channel), void *context);
/* Loops have not yet handed on so much that who publishes or writes has to wait. */
bool subscriptions_are_behind(const struct net *net);
/* The loop is in the midst of handing messages on: who subscribes or leaves would have to do the
 * rest at once. */
bool subscriptions_are_moving(const struct net_loop *loop);

/* --- for net.c and loop.c --- */

void subscriptions_open(struct net *net);
void subscriptions_close(struct net *net);
void subscriptions_open_loop(struct net_loop *loop);
void subscriptions_close_loop(struct net_loop *loop);
/* Hands messages in the loop's inbox to its connections, for about a millisecond. True while more
 * are left. */
bool subscriptions_deliver(struct net_loop *loop);

#endif
