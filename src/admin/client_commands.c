/*
 * client_commands: what a client tells or asks about its own connection. Texts go through
 * client_set_text, because CLIENT LIST on other threads reads them.
 *
 * Invalidation messages are not offered: CLIENT TRACKING ON is an error, which client libraries
 * take for a server without the feature, and the rest of that family says "off".
 *
 * Threads: the connection's loop.
 */
#include "admin/admin.h"
#include "admin/client.h"
#include "admin/reply.h"
#include "net/connection.h"

static bool read_switch(struct request *request, bool *on);

void admin_client_id(struct connection *connection, struct request *request)
{
	reply_integer(request, (int64_t)connection->client.asker.id);
}

void admin_client_setname(struct connection *connection, struct request *request)
{
	if (!client_accept_text(request, request->asked.arguments[2], slice_text("Client names")))
		return;
	client_set_text(&connection->client, connection->client.name, request->asked.arguments[2]);
	reply_ok(request);
}

void admin_client_getname(struct connection *connection, struct request *request)
{
	struct writer writer = reply_writer(request);
	if (connection->client.name[0])
		writer_bulk_text(&writer, connection->client.name);
	else
		writer_null(&writer);
}

void admin_client_setinfo(struct connection *connection, struct request *request)
{
	struct slice attribute = request->asked.arguments[2];
	char *field;
	if (slice_is(attribute, "lib-name")) {
		field = connection->client.library_name;
	} else if (slice_is(attribute, "lib-ver")) {
		field = connection->client.library_version;
	} else {
		reply_error(
			request, ERROR_CLIENT_ATTRIBUTE, reply_shown(attribute), attribute.data);
		return;
	}
	if (!client_accept_text(request, request->asked.arguments[3], attribute))
		return;
	client_set_text(&connection->client, field, request->asked.arguments[3]);
	reply_ok(request);
}

/* OFF and SKIP are not answered; net drops what they say. */
void admin_client_reply(struct connection *connection, struct request *request)
{
	struct slice mode = request->asked.arguments[2];
	if (slice_is(mode, "ON")) {
		connection->client.reply_mode = CLIENT_REPLY_ON;
		request->silent = false;
		reply_ok(request);
	} else if (slice_is(mode, "OFF")) {
		connection->client.reply_mode = CLIENT_REPLY_OFF;
	} else if (slice_is(mode, "SKIP")) {
		if (connection->client.reply_mode != CLIENT_REPLY_OFF)
			connection->client.reply_mode = CLIENT_REPLY_SKIP_NEXT;
	} else {
		reply_error(request, ERROR_SYNTAX);
	}
}

void admin_client_no_evict(struct connection *connection, struct request *request)
{
	if (read_switch(request, &connection->client.no_evict))
		reply_ok(request);
}

void admin_client_no_touch(struct connection *connection, struct request *request)
{
	if (read_switch(request, &connection->client.no_touch))
		reply_ok(request);
}

void admin_client_pause(struct connection *connection, struct request *request)
{
	reply_error(request, ERROR_UNSUPPORTED, "CLIENT PAUSE");
}

void admin_client_tracking(struct connection *connection, struct request *request)
{
	bool on = false;
	if (!read_switch(request, &on))
		return;
	if (on)
		reply_error(request, ERROR_UNSUPPORTED, "CLIENT TRACKING");
	else
		reply_ok(request);
}

void admin_client_trackinginfo(struct connection *connection, struct request *request)
{
	struct writer writer = reply_writer(request);
	writer_map(&writer, 3);
	writer_bulk_text(&writer, "flags");
	writer_set(&writer, 1);
	writer_bulk_text(&writer, "off");
	writer_bulk_text(&writer, "redirect");
	writer_integer(&writer, -1);
	writer_bulk_text(&writer, "prefixes");
	writer_array(&writer, 0);
}

void admin_client_getredir(struct connection *connection, struct request *request)
{
	reply_integer(request, -1);
}

bool client_accept_text(struct request *request, struct slice text, struct slice what)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '!' || text.data[i] > '~') {
			reply_error(request, ERROR_CLIENT_TEXT, reply_shown(what), what.data);
			return false;
		}
	}
	return true;
}

/* ON or OFF as argument 2; false: answered with an error. */
static bool read_switch(struct request *request, bool *on)
{
	bool wanted = slice_is(request->asked.arguments[2], "ON");
	if (!wanted && !slice_is(request->asked.arguments[2], "OFF")) {
		reply_error(request, ERROR_SYNTAX);
		return false;
	}
	*on = wanted;
	return true;
}
