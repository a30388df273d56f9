/*
 * input: from the bytes of a client to requests under way.
 *
 *   read --> reader --> dispatch --> run here (ROUTE_LOCAL) or engine_submit
 *                          |
 *                          '--> blocked: not admitted now; nothing after it is read
 *
 * A connection reads on until the client has sent no more, or until it must stop: for its requests
 * in flight, for replies that the client has not taken, for memory, or because it has had its slice
 * of the tick. Then its socket is not read, and it stands in the loop's list of those that go on at
 * the end of a tick as soon as what stopped it is over. So a pipeline of any length holds up
 * nobody, and a client that does not read its replies waits for itself.
 *
 * Threads: the loop's of the connection.
 */
#include "net/input.h"

#include "base/logline.h"
#include "holdfast/limits.h"
#include "net/admission.h"
#include "net/figures.h"
#include "net/net_private.h"
#include "net/output.h"
#include "resp/writer.h"

#include <assert.h>

#define UNFINISHED_BIG_BYTES (64 * 1024)
#define IN_FLIGHT_BYTES_MAX  (64u << 20) /* of one connection's requests; then it is not read */
#define UNSENT_BYTES_MAX     (1u << 20)  /* of its replies, expected ones too; then it waits */
#define SLICE_NS_MAX         1000000     /* of one connection's commands in a tick */
#define SLICE_COMMANDS_MAX   1000        /* in it, for those whose time nobody takes */
#define FOREIGN_LINE_MS      10000       /* between two log lines about other protocols */

int input_start(struct connection *connection)
{
	return stream_read(&connection->stream);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void count_unfinished(struct connection *connection, size_t bytes)
{
	uint64_t before = connection->client.shared_input_bytes;
	if (bytes != before) {
		atomic_fetch_add_explicit(
			&connection->loop->net->input_bytes, bytes - before, memory_order_relaxed);
		connection->client.shared_input_bytes = bytes;
	}
}

void input_uncount(struct connection *connection)
{
	count_unfinished(connection, 0);
}

static bool is_read(const struct request *request)
{
	uint32_t flags = request->asked.command->flags;
	return (flags & COMMAND_READONLY) && !(flags & COMMAND_LEASES);
}

static void count_in_flight(struct connection *connection, struct request *request)
{
	request->counted_bytes = sizeof(*request) + request->arena.bytes;
	connection->flight.requests++;
	connection->flight.reads += is_read(request);
	connection->flight.bytes += request->counted_bytes;
	atomic_fetch_add_explicit(
		&connection->loop->net->input_bytes, request->counted_bytes, memory_order_relaxed);
}

void input_done(struct connection *connection, const struct request *request)
{
	assert(connection->flight.requests > 0);
	assert(request->stage == REQUEST_DONE);
	connection->flight.requests--;
	connection->flight.reads -= is_read(request);
	connection->flight.bytes -= request->counted_bytes;
	struct net *net = connection->loop->net;
	atomic_fetch_sub_explicit(&net->input_bytes, request->counted_bytes, memory_order_relaxed);
}

static bool input_memory_is_full(const struct net *net)
{
	return atomic_load_explicit(&net->input_bytes, memory_order_relaxed) >
		(uint64_t)net->config->input_bytes_max;
}

/* Bounds what all clients together have sent and nobody has worked off. */
static bool over_input_limit(struct connection *connection)
{
	size_t held = protocol_bytes(&connection->protocol);
	if (connection->blocked)
		held += connection->blocked->arena.bytes;
	count_unfinished(connection, held);
	return held > UNFINISHED_BIG_BYTES && input_memory_is_full(connection->loop->net);
}

/* --- dispatch --------------------------------------------------------------------------------- */

static void reject(struct connection *connection, struct request *request, const char *error)
{
	struct writer writer = request_writer(request);
	writer_error(&writer, "%s", error);
	if (request->asked.command)
		figures_count_rejected(connection->loop, request->asked.command);
	output_answer(connection, request);
}

static void run_local(struct connection *connection, struct request *request)
{
	struct engine *engine = connection->loop->net->engine;
	struct port *port = connection->loop->port;
	request->asked.command->local(connection, request);
	uint64_t ended_ns = clock_monotonic_ns(engine->clock);
	request->elapsed_ns = ended_ns - port->stamp_ns;
	port->burst_ns += request->elapsed_ns;
	port->stamp_ns = ended_ns;
	figures_count_command(connection->loop, request);
	output_answer(connection, request);
}

static void submit(struct connection *connection, struct request *request)
{
	struct net_loop *loop = connection->loop;
	connection->flight.is_for_several = admission_is_for_several(request);
	order_append(&connection->order, request);
	count_in_flight(connection, request);
	engine_submit(loop->net->engine, loop->number, &request);
}

/* It may start. */
static void start(struct connection *connection, struct request *request)
{
	uint32_t flags = request->asked.command->flags;
	if (flags & COMMAND_IN_ORDER) {
		run_local(connection, request);
		return;
	}
	/* Who waits for no sync must not wait for one that the loop makes itself. */
	if (!(flags & COMMAND_WRITE) || (flags & COMMAND_RELAXED))
		pace_met_others(&connection->loop->port->pace);
	submit(connection, request);
}

/* True when it was run, refused or submitted; false when it must wait for admission. */
static bool admit(struct connection *connection, struct request *request)
{
	const char *error = NULL;
	switch (admission_ask(connection, request, &error)) {
	case ADMISSION_WAIT:
		return false;
	case ADMISSION_REFUSE:
		reject(connection, request, error);
		return true;
	case ADMISSION_START:
		start(connection, request);
		return true;
	}
	return true;
}

static void fill_request(struct connection *connection, struct request *request)
{
	struct net *net = connection->loop->net;
	request->asked.db = connection->client.db;
	request->asked.protocol = connection->client.protocol;
	request->home = connection->loop->number;
	request->asked.started_ns = connection->loop->port->stamp_ns;
	request->connection = connection;
	request->asked.asker = &connection->client.asker;
	request->environment = net->options.environment;
	request->silent = connection->client.reply_mode != CLIENT_REPLY_ON;
	if (connection->client.reply_mode == CLIENT_REPLY_SKIP_NEXT)
		connection->client.reply_mode = CLIENT_REPLY_ON;
}

static void dispatch(struct connection *connection, struct request *request)
{
	const struct command_set *set = connection->loop->net->options.commands;
	char error[ADMISSION_ERROR_BYTES];
	fill_request(connection, request);
	request->asked.command = set->find(request->asked.arguments, request->asked.argument_count);
	struct writer writer = request_writer(request);
	const struct command *command = request->asked.command;
	if (command == NULL) {
		set->write_unknown(
			&writer, request->asked.arguments, request->asked.argument_count);
		output_answer(connection, request);
		return;
	}
	atomic_store_explicit(&connection->client.last_command, command, memory_order_relaxed);
	if (!command_arity_ok(command, request->asked.argument_count)) {
		set->write_arity(&writer, command);
		figures_count_rejected(connection->loop, command);
		output_answer(connection, request);
	} else if (admission_refuses(connection, request, error)) {
		reject(connection, request, error);
	} else if (command->route == ROUTE_LOCAL && !(command->flags & COMMAND_IN_ORDER)) {
		run_local(connection, request);
	} else if (!admit(connection, request)) {
		connection->blocked = request;
		loop_mark_waiting(connection->loop, connection);
	}
}

/* Nothing can be read behind it. */
static void end_broken(struct connection *connection, struct request *request)
{
	const char *error = protocol_error(&connection->protocol);
	fill_request(connection, request);
	logline(LOGLINE_VERBOSE, "Client id=%llu addr=%s closed: %s",
		(unsigned long long)connection->client.asker.id, connection->client.address, error);
	connection->loop->protocol_errors++;
	connection->close_after_reply = true;
	reject(connection, request, error);
}

/* Nobody is there who would understand an answer. */
static void close_foreign(struct connection *connection)
{
	struct net_loop *loop = connection->loop;
	uint64_t withheld;
	loop->protocol_errors++;
	if (logline_may(&loop->net->foreign_lines, loop->port->now_ms, FOREIGN_LINE_MS, &withheld))
		logline(LOGLINE_WARNING,
			"Client id=%llu addr=%s closed: what it sends looks like %s, and is not run. "
			"If that is a web page's doing, somebody tries to reach this server through a "
			"browser (%llu more since the last such line)",
			(unsigned long long)connection->client.asker.id, connection->client.address,
			protocol_error(&connection->protocol), (unsigned long long)withheld);
	connection_close(connection);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* What makes it stop ends by an event that calls input_go_on_later. */
static bool may_read_on(const struct connection *connection)
{
	const struct net *net = connection->loop->net;
	return !connection->closing && !connection->close_after_reply &&
		connection->blocked == NULL && connection->flight.bytes < IN_FLIGHT_BYTES_MAX &&
		connection->flight.requests < (uint64_t)net->config->client_requests_max &&
		output_expected(connection) < UNSENT_BYTES_MAX &&
		(connection->flight.requests == 0 || !input_memory_is_full(net));
}

static void resume_or_stop_reading(struct connection *connection)
{
	bool wanted = may_read_on(connection) && !loop_is_waiting(connection->loop, connection);
	if (connection->closing || wanted == !connection->reading_stopped)
		return;
	connection->reading_stopped = !wanted;
	if (wanted)
		input_start(connection);
	else
		stream_pause(&connection->stream);
}

/* Reads and dispatches as long as it may and its slice lasts. */
static enum protocol_result read_commands(struct connection *connection)
{
	struct net *net = connection->loop->net;
	const struct port *port = connection->loop->port;
	uint64_t begun_ns = port->stamp_ns;
	enum protocol_result result = PROTOCOL_REQUEST;
	for (int left = SLICE_COMMANDS_MAX; result == PROTOCOL_REQUEST && left > 0 &&
		may_read_on(connection) && port->stamp_ns - begun_ns < SLICE_NS_MAX;
		left--) {
		struct reader_limits limits = {
			.bulk_bytes_max = net->config->value_bytes_max,
			.arguments_max = LIMIT_ARGUMENTS,
			.authenticated = connection->client.authenticated,
		};
		struct request *request;
		result = protocol_next(
			&connection->protocol, &limits, &connection->loop->port->pool, &request);
		if (result == PROTOCOL_REQUEST)
			dispatch(connection, request);
		else if (result == PROTOCOL_BROKEN)
			end_broken(connection, request);
		else if (result == PROTOCOL_FOREIGN)
			close_foreign(connection);
	}
	return result;
}

static void process(struct connection *connection)
{
	connection->client.active_ms = connection->loop->port->now_ms;
	enum protocol_result result = read_commands(connection);
	if (connection->closing)
		return;
	bool more = result == PROTOCOL_REQUEST; /* what is left lies in the loop's input */
	protocol_rest(&connection->protocol, &connection->loop->port->pool, more);
	if (over_input_limit(connection)) {
		logline(LOGLINE_WARNING,
			"Client id=%llu addr=%s dropped: unfinished requests over input-memory",
			(unsigned long long)connection->client.asker.id,
			connection->client.address);
		connection->loop->evictions++;
		connection_close(connection);
		return;
	}
	if (more && may_read_on(connection))
		loop_mark_waiting(connection->loop, connection); /* its slice is over */
	resume_or_stop_reading(connection);
}

void input_feed(struct connection *connection, struct slice bytes)
{
	protocol_feed(&connection->protocol, bytes);
	process(connection);
}

void input_go_on_later(struct connection *connection)
{
	if (connection->reading_stopped && may_read_on(connection))
		loop_mark_waiting(connection->loop, connection);
}

void input_go_on(struct connection *connection)
{
	struct request *request = connection->blocked;
	connection->blocked = NULL;
	if (request && !admit(connection, request)) {
		connection->blocked = request;
		loop_mark_waiting(connection->loop, connection);
		return;
	}
	if (!connection->closing)
		process(connection);
}

void input_stop(struct connection *connection)
{
	connection->close_after_reply = true;
	resume_or_stop_reading(connection);
	loop_mark_dirty(connection->loop, connection);
}
