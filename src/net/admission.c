/*
 * admission: see admission.h. Three things decide:
 *
 * - The client: what it may say at all.
 * - The order of its connection: requests for one shard keep it in that shard's mailbox, so they
 *   may follow each other at once. A request for several shards waits until nothing of its
 *   connection is under way, and what follows waits for it. Messages come besides the replies, so
 *   what sends or subscribes to them waits as well.
 * - The server: writes wait while the log, the overlays or messages are behind, and are refused
 *   while the disk or the map is full.
 *
 * Nothing is changed here, but that a client turns out to need no password any more.
 *
 * Threads: see admission.h.
 */
#include "net/admission.h"

#include "holdfast/limits.h"
#include "net/net_private.h"
#include "request/command_keys.h"

#include <stdio.h>

/* A password taken away while it waited admits a client too. */
static bool is_authenticated(struct connection *connection)
{
	struct client *client = &connection->client;
	if (!client->authenticated)
		client->authenticated =
			config_text_is_empty(connection->loop->net->config, "requirepass");
	return client->authenticated;
}

/* What runs on the loop holds up all its clients. */
static uint32_t arguments_most(const struct command *command)
{
	if (command->route != ROUTE_LOCAL)
		return LIMIT_ARGUMENTS;
	return command->flags & COMMAND_PUBSUB ? LIMIT_ARGUMENTS_CHANNELS : LIMIT_ARGUMENTS_LOCAL;
}

bool admission_refuses(struct connection *connection, const struct request *request,
	char error[ADMISSION_ERROR_BYTES])
{
	const struct command *command = request->asked.command;
	if (request->asked.argument_count > arguments_most(command)) {
		snprintf(error, ADMISSION_ERROR_BYTES, ERROR_ARGUMENTS, command->name,
			arguments_most(command));
		return true;
	}
	if (!(command->flags & COMMAND_NO_AUTH) && !is_authenticated(connection)) {
		snprintf(error, ADMISSION_ERROR_BYTES, "%s", ERROR_NOAUTH);
		return true;
	}
	if (connection->client.protocol == 2 && !(command->flags & COMMAND_SUBSCRIBED) &&
		subscriptions_count(connection) > 0) {
		snprintf(error, ADMISSION_ERROR_BYTES, ERROR_SUBSCRIBED, command->name);
		return true;
	}
	return false;
}

bool admission_is_for_several(const struct request *request)
{
	const struct command *command = request->asked.command;
	return command->route != ROUTE_KEYS || command_has_many_keys(command);
}

/* What the server as a whole says of a write. */
static enum admission ask_for_write(
	const struct net *net, const struct request *request, const char **error)
{
	enum gate_admission admission = engine_admission_of(net->engine, request->arena.bytes);
	if (admission == GATE_BUSY || subscriptions_are_behind(net))
		return ADMISSION_WAIT;
	bool shrinks = request->asked.command->flags & COMMAND_SHRINKS;
	if (admission == GATE_FULL || (admission == GATE_SHRINK && !shrinks)) {
		*error = admission == GATE_FULL ? ERROR_DISK_FULL : ERROR_MAP_FULL;
		return ADMISSION_REFUSE;
	}
	return ADMISSION_START;
}

enum admission admission_ask(
	const struct connection *connection, const struct request *request, const char **error)
{
	const struct net *net = connection->loop->net;
	const struct connection_flight *flight = &connection->flight;
	uint32_t flags = request->asked.command->flags;
	if (flags & COMMAND_IN_ORDER) {
		bool waits = flight->requests > 0 || subscriptions_are_behind(net) ||
			subscriptions_are_moving(connection->loop);
		return waits ? ADMISSION_WAIT : ADMISSION_START;
	}
	if (flight->requests > 0 && (flight->is_for_several || admission_is_for_several(request)))
		return ADMISSION_WAIT;
	return flags & COMMAND_WRITE ? ask_for_write(net, request, error) : ADMISSION_START;
}
