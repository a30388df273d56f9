/*
 * connection_commands: the handshake and what belongs to it. Clients send these first, often all in
 * one pipeline, so each must take effect before the next command is looked at: they run on the
 * connection's loop, and every one of them answers, failing ones too.
 *
 * One user exists, "default". Without `requirepass` it needs no password, and any is right.
 *
 * Threads: the connection's loop.
 */
#include "admin/admin.h"
#include "admin/client.h"
#include "admin/reply.h"
#include "base/number.h"
#include "net/connection.h"
#include "request/options.h"

#include <limits.h>

struct hello {
	struct request *request;
	int64_t protocol; /* 0: leave it */
	const struct slice *user;
	const struct slice *password;
	const struct slice *name;
};

static bool read_hello(struct request *request, struct hello *hello);
static void write_hello(struct connection *connection, struct request *request);
static bool password_is_needed(const struct request *request);
static bool authenticate(struct connection *connection, const struct request *request,
	struct slice user, struct slice password);

void admin_hello(struct connection *connection, struct request *request)
{
	struct hello hello = { 0 };
	if (!read_hello(request, &hello))
		return;
	if (hello.user && !authenticate(connection, request, *hello.user, *hello.password)) {
		reply_error(request, ERROR_WRONGPASS);
		return;
	}
	if (password_is_needed(request) && !connection->client.authenticated) {
		reply_error(request, ERROR_HELLO_NOAUTH);
		return;
	}
	if (hello.name)
		client_set_text(&connection->client, connection->client.name, *hello.name);
	if (hello.protocol) {
		client_set_protocol(&connection->client, (uint8_t)hello.protocol);
		request->asked.protocol = (uint8_t)hello.protocol;
	}
	write_hello(connection, request);
}

void admin_auth(struct connection *connection, struct request *request)
{
	const struct slice *arguments = request->asked.arguments;
	if (request->asked.argument_count > 3) {
		reply_error(request, ERROR_SYNTAX);
		return;
	}
	bool named = request->asked.argument_count == 3;
	if (!named && !password_is_needed(request)) {
		reply_error(request, ERROR_NO_PASSWORD);
		return;
	}
	struct slice user = named ? arguments[1] : slice_text("default");
	if (authenticate(connection, request, user, arguments[named ? 2 : 1]))
		reply_ok(request);
	else
		reply_error(request, ERROR_WRONGPASS);
}

void admin_ping(struct connection *connection, struct request *request)
{
	if (request->asked.argument_count > 2) {
		reply_error(request, ERROR_ARITY, request->asked.command->name);
		return;
	}
	struct writer writer = reply_writer(request);
	if (request->asked.protocol == 2 && subscriptions_count(connection) > 0) {
		/* A RESP2 client that listens tells replies from messages by their form. */
		writer_array(&writer, 2);
		writer_bulk_text(&writer, "pong");
		writer_bulk(&writer,
			request->asked.argument_count == 2 ? request->asked.arguments[1]
							   : slice_text(""));
	} else if (request->asked.argument_count == 2)
		writer_bulk(&writer, request->asked.arguments[1]);
	else
		writer_simple(&writer, "PONG");
}

void admin_echo(struct connection *connection, struct request *request)
{
	struct writer writer = reply_writer(request);
	writer_bulk(&writer, request->asked.arguments[1]);
}

void admin_select(struct connection *connection, struct request *request)
{
	int64_t db;
	if (!reply_read_integer(request, 1, &db, NULL))
		return;
	if (db < INT_MIN || db > INT_MAX) {
		reply_error(request, ERROR_NOT_IN_RANGE, INT_MIN, INT_MAX);
		return;
	}
	if (db < 0 || db >= LIMIT_DATABASES) {
		reply_error(request, ERROR_DB_INDEX);
		return;
	}
	client_set_db(&connection->client, (uint8_t)db);
	reply_ok(request);
}

void admin_quit(struct connection *connection, struct request *request)
{
	reply_ok(request);
	connection_close_after_reply(connection);
}

void admin_reset(struct connection *connection, struct request *request)
{
	subscriptions_drop(connection, SIZE_MAX);
	connection_give_up_leases(connection);
	client_set_db(&connection->client, 0);
	client_set_protocol(&connection->client, 2);
	client_set_text(&connection->client, connection->client.name, slice_text(""));
	connection->client.reply_mode = CLIENT_REPLY_ON;
	connection->client.no_evict = false;
	connection->client.no_touch = false;
	connection->client.authenticated = !password_is_needed(request);
	struct writer writer = reply_writer(request);
	writer_simple(&writer, "RESET");
}

static bool read_auth(struct options *options)
{
	struct hello *hello = options->out;
	hello->user = &options->asked->arguments[options->at++];
	hello->password = &options->asked->arguments[options->at++];
	return true;
}

static bool read_name(struct options *options)
{
	struct hello *hello = options->out;
	hello->name = &options->asked->arguments[options->at++];
	return client_accept_text(hello->request, *hello->name, slice_text("Client names"));
}

static void say_option(struct options *options, bool is_short)
{
	struct hello *hello = options->out;
	struct slice word = options_value(options);
	reply_error(hello->request, ERROR_HELLO_OPTION, reply_shown(word), word.data);
}

static const struct option hello_rows[] = {
	{ "auth", OPTION_ANY, 0, 2, read_auth },
	{ "setname", OPTION_ANY, 0, 1, read_name },
};

static const struct option_table hello_table = {
	.rows = hello_rows,
	.count = sizeof(hello_rows) / sizeof(hello_rows[0]),
	.repeats = true,
	.misfit = say_option,
};

/* HELLO [version [AUTH user password] [SETNAME name]]. False: answered with an error. */
static bool read_hello(struct request *request, struct hello *hello)
{
	struct options options = { .asked = &request->asked, .out = hello, .at = 2 };
	uint32_t count = request->asked.argument_count;
	hello->request = request;
	if (count > 1 && !reply_read_integer(request, 1, &hello->protocol, ERROR_HELLO_VERSION))
		return false;
	if (count > 1 && hello->protocol != 2 && hello->protocol != 3) {
		reply_error(request, ERROR_NOPROTO);
		return false;
	}
	return options_read(&options, &hello_table, OPTION_ANY);
}

static void write_hello(struct connection *connection, struct request *request)
{
	struct writer writer = reply_writer(request);
	writer_map(&writer, 7);
	writer_bulk_text(&writer, "server");
	writer_bulk_text(&writer, "redis");
	writer_bulk_text(&writer, "version");
	writer_bulk_text(&writer, REPLY_REDIS_VERSION);
	writer_bulk_text(&writer, "proto");
	writer_integer(&writer, request->asked.protocol);
	writer_bulk_text(&writer, "id");
	writer_integer(&writer, (int64_t)connection->client.asker.id);
	writer_bulk_text(&writer, "mode");
	writer_bulk_text(&writer, "standalone");
	writer_bulk_text(&writer, "role");
	writer_bulk_text(&writer, "master");
	writer_bulk_text(&writer, "modules");
	writer_array(&writer, 0);
}

static bool password_is_needed(const struct request *request)
{
	return !config_text_is_empty(reply_environment(request)->config, "requirepass");
}

static bool authenticate(struct connection *connection, const struct request *request,
	struct slice user, struct slice password)
{
	struct config *config = reply_environment(request)->config;
	if (!slice_equal(user, slice_text("default")))
		return false;
	if (password_is_needed(request) && !config_text_matches(config, "requirepass", password))
		return false;
	connection->client.authenticated = true;
	return true;
}
