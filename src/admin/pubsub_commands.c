/*
 * pubsub_commands: subscribing, publishing, and what can be asked of both. Each channel or pattern
 * of a command is confirmed by a message of its own, with the number of the connection's
 * subscriptions after it; in RESP3 these are pushes and the command has no other reply. As in
 * Redis they come whatever CLIENT REPLY says.
 *
 * SUBSCRIBE and its relatives, and PUBLISH, run when everything before them has been answered
 * (COMMAND_IN_ORDER): a message must not come before the confirmation that announces it, and a
 * message published behind a write must not be seen before that write.
 *
 * Threads: the connection's loop; net/subscriptions.h knows those of the others.
 */
#include "admin/admin.h"
#include "admin/reply.h"
#include "base/glob.h"
#include "holdfast/limits.h"

static void subscribe(
	struct connection *connection, struct request *request, enum subscription_kind kind);
static void unsubscribe(
	struct connection *connection, struct request *request, enum subscription_kind kind);

void admin_subscribe(struct connection *connection, struct request *request)
{
	subscribe(connection, request, SUBSCRIPTION_CHANNEL);
}

void admin_psubscribe(struct connection *connection, struct request *request)
{
	subscribe(connection, request, SUBSCRIPTION_PATTERN);
}

void admin_unsubscribe(struct connection *connection, struct request *request)
{
	unsubscribe(connection, request, SUBSCRIPTION_CHANNEL);
}

void admin_punsubscribe(struct connection *connection, struct request *request)
{
	unsubscribe(connection, request, SUBSCRIPTION_PATTERN);
}

/* False: answered with an error. */
static bool name_ok(struct request *request, enum subscription_kind kind, struct slice name)
{
	bool pattern = kind == SUBSCRIPTION_PATTERN;
	if (name.size <= (size_t)(pattern ? LIMIT_PATTERN_BYTES : LIMIT_CHANNEL_BYTES))
		return true;
	if (pattern)
		reply_error(request, ERROR_PATTERN_SIZE, LIMIT_PATTERN_BYTES);
	else
		reply_error(request, ERROR_CHANNEL_SIZE, LIMIT_CHANNEL_BYTES);
	return false;
}

/* No command names more than a client's subscriptions may be. False: answered with an error. */
static bool names_fit(struct request *request, uint32_t first)
{
	size_t bytes = 0;
	for (uint32_t i = first; i < request->asked.argument_count; i++)
		bytes += request->asked.arguments[i].size;
	if (bytes <= LIMIT_SUBSCRIPTIONS_BYTES)
		return true;
	reply_error(request, ERROR_NAMES_SIZE, LIMIT_SUBSCRIPTIONS_BYTES);
	return false;
}

void admin_publish(struct connection *connection, struct request *request)
{
	if (!name_ok(request, SUBSCRIPTION_CHANNEL, request->asked.arguments[1]))
		return;
	uint64_t receivers = subscriptions_publish(
		connection, request->asked.arguments[1], request->asked.arguments[2]);
	reply_integer(request, (int64_t)receivers);
}

struct listing {
	const struct glob *pattern; /* NULL: all */
	struct buffer names;        /* as they stand in the reply */
	size_t count;
	uint64_t work; /* as LIMIT_CHANNELS_WORK counts it */
	int protocol;
};

/* False: that was too much. */
static bool list_channel(void *context, struct slice channel)
{
	struct listing *listing = context;
	struct writer writer = { .out = &listing->names, .protocol = listing->protocol };
	uint64_t words = listing->pattern ? 1 + listing->pattern->pattern.size / 64 : 1;
	listing->work += (channel.size + 1) * words;
	if (listing->work > LIMIT_CHANNELS_WORK)
		return false;
	if (listing->pattern && !glob_matches(listing->pattern, channel))
		return true;
	writer_bulk(&writer, channel);
	listing->count++;
	return true;
}

void admin_pubsub_channels(struct connection *connection, struct request *request)
{
	struct slice *arguments = request->asked.arguments;
	if (request->asked.argument_count > 3) {
		reply_error(request, ERROR_SUBCOMMAND_ARITY, reply_shown(arguments[1]),
			arguments[1].data, "PUBSUB");
		return;
	}
	bool all = request->asked.argument_count == 2;
	if (!all && !name_ok(request, SUBSCRIPTION_PATTERN, arguments[2]))
		return;
	struct glob glob;
	glob_init(&glob, all ? slice_text("*") : arguments[2], false);
	struct listing listing = {
		.pattern = all ? NULL : &glob,
		.protocol = request->asked.protocol,
	};
	buffer_init(&listing.names);
	subscriptions_each_channel(reply_environment(request)->net, list_channel, &listing);
	struct writer writer = reply_writer(request);
	if (listing.work > LIMIT_CHANNELS_WORK) {
		reply_error(request, ERROR_CHANNELS_WORK);
	} else {
		writer_array(&writer, listing.count);
		buffer_append(&request->reply, listing.names.data, listing.names.size);
	}
	buffer_fini(&listing.names);
	glob_fini(&glob);
}

/* Pairs in a flat array, in RESP3 too. */
void admin_pubsub_numsub(struct connection *connection, struct request *request)
{
	struct net *net = reply_environment(request)->net;
	struct writer writer = reply_writer(request);
	if (!names_fit(request, 2))
		return;
	writer_array(&writer, 2 * (size_t)(request->asked.argument_count - 2));
	for (uint32_t i = 2; i < request->asked.argument_count; i++) {
		struct slice channel = request->asked.arguments[i];
		writer_bulk(&writer, channel);
		writer_integer(&writer, (int64_t)subscriptions_to_channel(net, channel));
	}
}

void admin_pubsub_numpat(struct connection *connection, struct request *request)
{
	struct net *net = reply_environment(request)->net;
	reply_integer(request, (int64_t)subscriptions_names(net, SUBSCRIPTION_PATTERN));
}

/* `name` NULL: there was nothing to end. */
static void confirm(struct connection *connection, struct request *request, const char *what,
	const struct slice *name)
{
	struct writer writer = reply_writer(request);
	request->silent = false;
	writer_push(&writer, 3);
	writer_bulk_text(&writer, what);
	if (name)
		writer_bulk(&writer, *name);
	else
		writer_null(&writer);
	writer_integer(&writer, subscriptions_count(connection));
}

static void subscribe(
	struct connection *connection, struct request *request, enum subscription_kind kind)
{
	const char *what = kind == SUBSCRIPTION_PATTERN ? "psubscribe" : "subscribe";
	struct slice *names = request->asked.arguments + 1;
	uint32_t count = request->asked.argument_count - 1;
	for (uint32_t i = 0; i < count; i++) {
		if (!name_ok(request, kind, names[i]))
			return;
	}
	const char *refused = subscriptions_refuse(connection, kind, names, count);
	if (refused) {
		reply_error(request, refused);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		subscriptions_add(connection, kind, names[i]);
		confirm(connection, request, what, &names[i]);
	}
}

static void unsubscribe(
	struct connection *connection, struct request *request, enum subscription_kind kind)
{
	const char *what = kind == SUBSCRIPTION_PATTERN ? "punsubscribe" : "unsubscribe";
	struct slice name;
	if (!names_fit(request, 1))
		return;
	for (uint32_t i = 1; i < request->asked.argument_count; i++) {
		subscriptions_remove(connection, kind, request->asked.arguments[i]);
		confirm(connection, request, what, &request->asked.arguments[i]);
	}
	if (request->asked.argument_count > 1)
		return;
	if (!subscriptions_oldest(connection, kind, &name))
		confirm(connection, request, what, NULL);
	while (subscriptions_oldest(connection, kind, &name)) {
		name = arena_copy(&request->arena, name);
		subscriptions_remove(connection, kind, name);
		confirm(connection, request, what, &name);
	}
}
