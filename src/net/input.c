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
#include "net/net_private.h"

#include "base/logline.h"
#include "holdfast/errors.h"
#include "holdfast/limits.h"
#include "resp/writer.h"

#include <assert.h>
#include <stdio.h>

#define UNFINISHED_BIG_BYTES (64 * 1024)
#define IN_FLIGHT_BYTES_MAX  (64u << 20) /* of one connection's requests; then it is not read */
#define UNSENT_BYTES_MAX     (1u << 20)  /* of its replies, expected ones too; then it waits */
#define SLICE_NS_MAX         1000000     /* of one connection's commands in a tick */
#define SLICE_COMMANDS_MAX   1000        /* in it, for those whose time nobody takes */
#define FOREIGN_LINE_MS      10000       /* between two log lines about other protocols */

static void process(struct connection *connection);

/* --- the socket ------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct connection *connection = handle->data;
	*buf = uv_buf_init(connection->loop->input, NET_INPUT_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
	struct connection *connection = stream->data;
	if (size == UV_EOF) {
		connection_half_close(connection);
		if (connection_is_idle(connection))
			connection_close(connection);
		else
			input_stop(connection);
		return;
	}
	if (size < 0) {
		connection_close(connection);
		return;
	}
	if (size == 0)
		return;
	atomic_fetch_add_explicit(
		&connection->loop->input_bytes, (uint64_t)size, memory_order_relaxed);
	atomic_fetch_add_explicit(&connection->loop->reads, 1, memory_order_relaxed);
	engine_tick(connection->loop->net->engine, connection->loop->number);
	reader_feed(connection->reader, slice_of(buf->base, (size_t)size));
	process(connection);
}

int input_start(struct connection *connection)
{
	return uv_read_start(&connection->uv.stream, on_alloc, on_read);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void count_unfinished(struct connection *connection, size_t bytes)
{
	uint64_t before = connection->shared_input_bytes;
	if (bytes != before) {
		atomic_fetch_add_explicit(
			&connection->loop->net->input_bytes, bytes - before, memory_order_relaxed);
		connection->shared_input_bytes = bytes;
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
	connection->in_flight++;
	connection->reads_in_flight += is_read(request);
	connection->in_flight_bytes += request->counted_bytes;
	atomic_fetch_add_explicit(
		&connection->loop->net->input_bytes, request->counted_bytes, memory_order_relaxed);
}

void input_done(struct connection *connection, const struct request *request)
{
	assert(connection->in_flight > 0 && request->stage == REQUEST_DONE);
	connection->in_flight--;
	connection->reads_in_flight -= is_read(request);
	connection->in_flight_bytes -= request->counted_bytes;
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
	size_t held = reader_bytes(connection->reader);
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
	if (request->asked.command) {
		const struct command_set *set = connection->loop->net->options.commands;
		connection->loop->stats[request->asked.command - set->commands].rejected++;
	}
	output_answer(connection, request);
}

static void run_local(struct connection *connection, struct request *request)
{
	struct engine *engine = connection->loop->net->engine;
	struct port *port = connection_port(connection);
	request->asked.command->local(connection, request);
	uint64_t ended_ns = clock_monotonic_ns(engine->clock);
	request->elapsed_ns = ended_ns - port->stamp_ns;
	port->burst_ns += request->elapsed_ns;
	port->stamp_ns = ended_ns;
	figures_count_command(connection, request);
	output_answer(connection, request);
}

static bool is_for_several(const struct request *request)
{
	const struct command *command = request->asked.command;
	return command->route != ROUTE_KEYS || command->key_last != command->key_first;
}

static void submit(struct connection *connection, struct request *request)
{
	connection->several_in_flight = is_for_several(request);
	struct net_loop *loop = connection->loop;
	output_append(connection, request);
	count_in_flight(connection, request);
	engine_submit(loop->net->engine, loop->number, &request);
}

/* True when it was run, refused or submitted; false when it must wait for admission. */
static bool admit(struct connection *connection, struct request *request)
{
	struct net *net = connection->loop->net;
	if (request->asked.command->flags & COMMAND_IN_ORDER) {
		/* Messages come besides the replies: only waiting keeps them behind earlier ones.
		 */
		if (connection->in_flight > 0 || subscriptions_are_behind(net) ||
			subscriptions_are_moving(connection->loop))
			return false;
		run_local(connection, request);
		return true;
	}
	/* Shards keep the order of what they are sent; over several only waiting keeps it. */
	if (connection->in_flight > 0 && (connection->several_in_flight || is_for_several(request)))
		return false;
	if (request->asked.command->flags & COMMAND_WRITE) {
		enum gate_admission admission =
			engine_admission_of(net->engine, request->arena.bytes);
		if (admission == GATE_BUSY || subscriptions_are_behind(net))
			return false;
		bool shrinks = request->asked.command->flags & COMMAND_SHRINKS;
		if (admission == GATE_FULL || (admission == GATE_SHRINK && !shrinks)) {
			reject(connection, request,
				admission == GATE_FULL ? ERROR_DISK_FULL : ERROR_MAP_FULL);
			return true;
		}
	}
	/* Who waits for no sync must not wait for one that the loop makes itself. */
	if (!(request->asked.command->flags & COMMAND_WRITE) ||
		(request->asked.command->flags & COMMAND_RELAXED))
		pace_met_others(&connection_port(connection)->pace);
	submit(connection, request);
	return true;
}

static void fill_request(struct connection *connection, struct request *request)
{
	struct net *net = connection->loop->net;
	request->asked.db = connection->db;
	request->asked.protocol = connection->protocol;
	request->home = connection->loop->number;
	request->asked.started_ns = connection_port(connection)->stamp_ns;
	request->connection = connection;
	request->asked.asker = &connection->asker;
	request->environment = net->options.environment;
	request->silent = connection->reply_mode != CONNECTION_REPLY_ON;
	if (connection->reply_mode == CONNECTION_REPLY_SKIP_NEXT)
		connection->reply_mode = CONNECTION_REPLY_ON;
}

/* A password taken away while it waited admits a client too. */
static bool is_admitted(struct connection *connection)
{
	if (!connection->authenticated)
		connection->authenticated =
			config_text_is_empty(connection->loop->net->config, "requirepass");
	return connection->authenticated;
}

/* What runs on the loop holds up all its clients. */
static uint32_t arguments_most(const struct command *command)
{
	if (command->route != ROUTE_LOCAL)
		return LIMIT_ARGUMENTS;
	return command->flags & COMMAND_PUBSUB ? LIMIT_ARGUMENTS_CHANNELS : LIMIT_ARGUMENTS_LOCAL;
}

static void dispatch(struct connection *connection)
{
	struct request *request = connection->reading;
	const struct command_set *set = connection->loop->net->options.commands;
	connection->reading = NULL;
	fill_request(connection, request);
	request->asked.command = set->find(request->asked.arguments, request->asked.argument_count);
	struct writer writer = request_writer(request);
	if (request->asked.command == NULL) {
		set->write_unknown(
			&writer, request->asked.arguments, request->asked.argument_count);
		output_answer(connection, request);
		return;
	}
	const struct command *command = request->asked.command;
	atomic_store_explicit(&connection->last_command, command, memory_order_relaxed);
	if (!command_arity_ok(command, request->asked.argument_count)) {
		set->write_arity(&writer, command);
		connection->loop->stats[command - set->commands].rejected++;
		output_answer(connection, request);
	} else if (request->asked.argument_count > arguments_most(command)) {
		char error[sizeof(ERROR_ARGUMENTS) + 64];
		snprintf(error, sizeof(error), ERROR_ARGUMENTS, command->name,
			arguments_most(command));
		reject(connection, request, error);
	} else if (!(command->flags & COMMAND_NO_AUTH) && !is_admitted(connection)) {
		reject(connection, request, ERROR_NOAUTH);
	} else if (connection->protocol == 2 && !(command->flags & COMMAND_SUBSCRIBED) &&
		subscriptions_count(connection) > 0) {
		char error[sizeof(ERROR_SUBSCRIBED) + 64];
		snprintf(error, sizeof(error), ERROR_SUBSCRIBED, command->name);
		reject(connection, request, error);
	} else if (command->route == ROUTE_LOCAL && !(command->flags & COMMAND_IN_ORDER)) {
		run_local(connection, request);
	} else if (!admit(connection, request)) {
		connection->blocked = request;
		loop_mark_waiting(connection->loop, connection);
	}
}

static void protocol_error(struct connection *connection)
{
	struct request *request = connection->reading;
	connection->reading = NULL;
	fill_request(connection, request);
	logline(LOGLINE_VERBOSE, "Client id=%llu addr=%s closed: %s",
		(unsigned long long)connection->asker.id, connection->address,
		reader_error(connection->reader));
	connection->loop->protocol_errors++;
	connection->close_after_reply = true;
	reject(connection, request, reader_error(connection->reader));
}

/* Nobody is there who would understand an answer. */
static void close_foreign(struct connection *connection)
{
	struct net_loop *loop = connection->loop;
	uint64_t withheld;
	loop->protocol_errors++;
	if (logline_may(&loop->net->foreign_lines, connection_port(connection)->now_ms,
		    FOREIGN_LINE_MS, &withheld))
		logline(LOGLINE_WARNING,
			"Client id=%llu addr=%s closed: what it sends looks like %s, and is not run. "
			"If that is a web page's doing, somebody tries to reach this server through a "
			"browser (%llu more since the last such line)",
			(unsigned long long)connection->asker.id, connection->address,
			reader_error(connection->reader), (unsigned long long)withheld);
	connection_close(connection);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* What makes it stop ends by an event that calls input_go_on_later. */
static bool may_read_on(const struct connection *connection)
{
	const struct net *net = connection->loop->net;
	return !connection->closing && !connection->close_after_reply &&
		connection->blocked == NULL && connection->in_flight_bytes < IN_FLIGHT_BYTES_MAX &&
		connection->in_flight < (uint64_t)net->config->client_requests_max &&
		output_expected(connection) < UNSENT_BYTES_MAX &&
		(connection->in_flight == 0 || !input_memory_is_full(net));
}

static void resume_or_stop_reading(struct connection *connection)
{
	bool wanted = may_read_on(connection) && connection->input_link.place == NULL;
	if (connection->closing || wanted == !connection->reading_stopped)
		return;
	connection->reading_stopped = !wanted;
	if (wanted)
		input_start(connection);
	else
		uv_read_stop(&connection->uv.stream);
}

/* Reads and dispatches as long as it may and its slice lasts. */
static enum reader_result read_commands(struct connection *connection)
{
	struct net *net = connection->loop->net;
	const struct port *port = connection_port(connection);
	uint64_t begun_ns = port->stamp_ns;
	enum reader_result result = READER_COMMAND;
	for (int left = SLICE_COMMANDS_MAX; result == READER_COMMAND && left > 0 &&
		may_read_on(connection) && port->stamp_ns - begun_ns < SLICE_NS_MAX;
		left--) {
		struct reader_limits limits = {
			.bulk_bytes_max = net->config->value_bytes_max,
			.arguments_max = LIMIT_ARGUMENTS,
			.authenticated = connection->authenticated,
		};
		if (connection->reading == NULL)
			connection->reading = request_take(connection_pool(connection));
		struct request *request = connection->reading;
		result = reader_next(connection->reader, &limits, &request->arena,
			&request->asked.arguments, &request->asked.argument_count);
		if (result == READER_COMMAND)
			dispatch(connection);
		else if (result == READER_ERROR)
			protocol_error(connection);
		else if (result == READER_FOREIGN)
			close_foreign(connection);
	}
	return result;
}

static void process(struct connection *connection)
{
	connection->active_ms = connection_port(connection)->now_ms;
	enum reader_result result = read_commands(connection);
	if (connection->closing)
		return;
	if (result == READER_COMMAND)
		reader_hold(connection->reader); /* what is left lies in the loop's input */
	if (connection->reading && reader_bytes(connection->reader) == 0)
		request_put(connection_pool(connection), &connection->reading);
	if (over_input_limit(connection)) {
		logline(LOGLINE_WARNING,
			"Client id=%llu addr=%s dropped: unfinished requests over input-memory",
			(unsigned long long)connection->asker.id, connection->address);
		connection->loop->evictions++;
		connection_close(connection);
		return;
	}
	if (result == READER_COMMAND && may_read_on(connection))
		loop_mark_waiting(connection->loop, connection); /* its slice is over */
	resume_or_stop_reading(connection);
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
