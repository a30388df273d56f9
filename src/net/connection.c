/*
 * connection: one client, from bytes to requests and from replies to bytes.
 *
 *   read --> reader --> dispatch --> run here (ROUTE_LOCAL) or engine_submit --> ... -->
 * connection_done
 *                          |
 *                          '--> blocked: not admitted now; nothing after it is read
 *   connection_done --> order of requests --> `out` with gate marks --> connection_flush --> socket
 *
 * Every request stands in the connection's order from its dispatch on; replies go to `out` from the
 * front of the order only; messages of subscriptions come in between. What waits for the log stands
 * in `out` behind a gate mark.
 *
 * Life: opened with a socket by its loop; connection_close closes the socket at once, but the
 * memory stays until the last request has come home.
 *
 * Threads: its loop's, except for the block of the structure marked shared.
 */
#include "net/net_private.h"

#include "base/logline.h"
#include "base/memory.h"
#include "holdfast/errors.h"
#include "holdfast/limits.h"
#include "resp/writer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OUT_KEEP_BYTES       (16 * 1024)
#define SWAP_REPLY_BYTES     (64 * 1024)
#define UNFINISHED_BIG_BYTES (64 * 1024)
#define IN_FLIGHT_BYTES_MAX  (64u << 20) /* of one connection's requests; then it is not read */
#define SLOW_ALWAYS_NS       1000000

static void process(struct connection *connection);
static void finish_close(struct connection *connection);

static struct port *port_of(struct connection *connection)
{
	return &connection->loop->net->engine->ports[connection->loop->number];
}

static struct request_pool *pool_of(struct connection *connection)
{
	return &port_of(connection)->pool;
}

/* --- opening and closing -------------------------------------------------------------------------
 */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct connection *connection = handle->data;
	*buf = uv_buf_init(connection->loop->input, NET_INPUT_BYTES);
}

/* Whoever gave it a lease hands that on. When the server stops leases end anyway. */
static void say_gone(struct connection *connection)
{
	struct net_loop *loop = connection->loop;
	if (!connection->leases || loop->net->stopping)
		return;
	connection->leases = false;
	loop->net->options.gone(loop->net->options.environment, loop->number, connection->id);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
	struct connection *connection = stream->data;
	if (size == UV_EOF) {
		/* It will send no more, but may still wait for its replies. What it holds by
		 * leases it cannot bring any more: others need not wait as long as it does. */
		if (connection_is_idle(connection)) {
			connection_close(connection);
		} else {
			say_gone(connection);
			connection_stop_reading(connection);
		}
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
	engine_tick(connection->loop->net->engine, connection->loop->number);
	reader_feed(connection->reader, slice_of(buf->base, (size_t)size));
	process(connection);
}

static void link_client(struct net_loop *loop, struct connection *connection)
{
	pthread_mutex_lock(&loop->net->clients_lock);
	connection->next = loop->clients;
	if (loop->clients)
		loop->clients->previous = connection;
	loop->clients = connection;
	pthread_mutex_unlock(&loop->net->clients_lock);
}

static void unlink_client(struct net_loop *loop, struct connection *connection)
{
	pthread_mutex_lock(&loop->net->clients_lock);
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		loop->clients = connection->next;
	if (connection->next)
		connection->next->previous = connection->previous;
	pthread_mutex_unlock(&loop->net->clients_lock);
}

static int open_socket(
	struct net_loop *loop, struct connection *connection, const struct arrival *arrival)
{
	if (arrival->is_pipe) {
		uv_pipe_init(&loop->uv, &connection->uv.pipe, 0);
		return uv_pipe_open(&connection->uv.pipe, arrival->fd);
	}
	uv_tcp_init(&loop->uv, &connection->uv.tcp);
	int result = uv_tcp_open(&connection->uv.tcp, arrival->fd);
	int64_t keepalive_s = loop->net->config->tcp_keepalive_s;
	if (result == 0)
		uv_tcp_nodelay(&connection->uv.tcp, 1);
	if (result == 0 && keepalive_s > 0)
		uv_tcp_keepalive(&connection->uv.tcp, 1, (unsigned)keepalive_s);
	return result;
}

void connection_open(struct net_loop *loop, const struct arrival *arrival)
{
	struct net *net = loop->net;
	struct connection *connection = memory_zeroed(sizeof(*connection));
	connection->loop = loop;
	connection->is_pipe = arrival->is_pipe;
	connection->fd = arrival->fd;
	connection->protocol = 2;
	connection->shared_protocol = 2;
	connection->authenticated = config_text_is_empty(net->config, "requirepass");
	connection->created_ms = clock_wall_ms(net->engine->clock);
	connection->active_ms = connection->created_ms;
	connection->id = atomic_fetch_add(&net->next_client_id, 1);
	memcpy(connection->address, arrival->address, sizeof(connection->address));
	memcpy(connection->local_address, arrival->local_address,
		sizeof(connection->local_address));
	connection->reader = reader_new();
	link_client(loop, connection);
	int result = open_socket(loop, connection, arrival);
	connection->uv.handle.data = connection;
	if (result < 0)
		close(arrival->fd);
	else
		result = uv_read_start(&connection->uv.stream, on_alloc, on_read);
	if (result < 0)
		connection_close(connection);
}

static void count_unfinished(struct connection *connection, size_t bytes)
{
	uint64_t before = connection->shared_input_bytes;
	if (bytes != before) {
		atomic_fetch_add_explicit(&connection->loop->net->unfinished_bytes, bytes - before,
			memory_order_relaxed);
		connection->shared_input_bytes = bytes;
	}
}

static void on_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;
	connection->uv.handle.data = NULL;
	connection->fd = -1;
	finish_close(connection);
}

void connection_close(struct connection *connection)
{
	if (connection->closing)
		return;
	struct net_loop *loop = connection->loop;
	connection->closing = true;
	loop_forget(loop, connection);
	subscriptions_drop(connection);
	unlink_client(loop, connection);
	count_unfinished(connection, 0);
	atomic_fetch_sub(&loop->client_count, 1);
	uv_close(&connection->uv.handle, on_closed);
	say_gone(connection);
}

/* Frees the memory once the socket is closed and every request is home. */
static void finish_close(struct connection *connection)
{
	if (connection->uv.handle.data != NULL || connection->in_flight)
		return;
	struct request_pool *pool = pool_of(connection);
	if (connection->reading)
		request_put(pool, &connection->reading);
	if (connection->blocked)
		request_put(pool, &connection->blocked);
	while (connection->order_first) {
		struct request *request = connection->order_first;
		connection->order_first = request->order_next;
		request_put(pool, &request);
	}
	reader_free(&connection->reader);
	buffer_fini(&connection->out);
	buffer_fini(&connection->writing);
	memory_free(connection->marks);
	memory_free(connection);
}

/* --- replies -------------------------------------------------------------------------------------
 */

static void add_mark(struct connection *connection, uint64_t lsn)
{
	struct gate_mark *last =
		connection->marks_count ? &connection->marks[connection->marks_count - 1] : NULL;
	/* Replies leave in order, so this one waits at least as long as the one before. */
	if (last && last->lsn >= lsn) {
		last->end = connection->out.size;
		return;
	}
	if (connection->marks_count == connection->marks_capacity) {
		connection->marks_capacity = connection->marks_capacity * 2 + 4;
		connection->marks = memory_resize(
			connection->marks, connection->marks_capacity * sizeof(struct gate_mark));
	}
	connection->marks[connection->marks_count++] =
		(struct gate_mark){ .end = connection->out.size, .lsn = lsn };
}

static bool over_output_limit(struct connection *connection)
{
	size_t unsent = connection->out.size + connection->writing.size;
	atomic_store_explicit(&connection->shared_output_bytes, unsent, memory_order_relaxed);
	return unsent > (uint64_t)connection->loop->net->config->client_output_bytes_max;
}

static void log_unread(struct connection *connection)
{
	logline(LOGLINE_WARNING,
		"Client id=%llu addr=%s dropped: %zu bytes of replies unread, over "
		"client-output-limit",
		(unsigned long long)connection->id, connection->address,
		connection->out.size + connection->writing.size);
	connection->loop->output_limit_drops++;
}

/* What was appended to `out` last leaves when `lsn` is released. */
static void hold_back(struct connection *connection, uint64_t lsn, uint64_t released)
{
	if (connection->marks_count == 0 && lsn <= released)
		connection->out_released = connection->out.size;
	else
		add_mark(connection, lsn);
}

void connection_push(struct connection *connection, struct slice message, uint64_t lsn)
{
	if (connection->closing || connection->close_after_reply || connection->kill)
		return;
	buffer_append(&connection->out, message.data, message.size);
	hold_back(connection, lsn, gate_released(connection->loop->net->engine->gate));
	loop_mark_dirty(connection->loop, connection);
	if (over_output_limit(connection)) {
		log_unread(connection);
		net_kill(connection);
	}
}

/* Moves the reply of the order's first request behind the others in `out`. */
static void emit(struct connection *connection, struct request *request, uint64_t released)
{
	if (request->silent || request->reply.size == 0)
		return;
	if (connection->out.size == 0 && request->reply.size >= SWAP_REPLY_BYTES) {
		struct buffer emptied = connection->out;
		connection->out = request->reply;
		request->reply = emptied;
	} else {
		buffer_append(&connection->out, request->reply.data, request->reply.size);
	}
	hold_back(connection, request->gate_lsn, released);
}

static void flush_order(struct connection *connection)
{
	struct net_loop *loop = connection->loop;
	struct request_pool *pool = pool_of(connection);
	uint64_t released = gate_released(loop->net->engine->gate);
	while (connection->order_first && connection->order_first->answered) {
		struct request *request = connection->order_first;
		connection->order_first = request->order_next;
		if (connection->order_first == NULL)
			connection->order_last = NULL;
		if (!connection->closing)
			emit(connection, request, released);
		if (request->gate_lsn > gate_durable(loop->net->engine->gate))
			loop->appended = true;
		if (request->gate_lsn > connection->gate_lsn)
			connection->gate_lsn = request->gate_lsn;
		request_put(pool, &request);
	}
	if (connection->closing)
		return;
	if (over_output_limit(connection)) {
		log_unread(connection);
		connection_close(connection);
		return;
	}
	if (connection->out.size || connection->close_after_reply)
		loop_mark_dirty(loop, connection);
}

static void count_command(struct connection *connection, const struct request *request)
{
	struct net_loop *loop = connection->loop;
	const struct net_options *options = &loop->net->options;
	struct command_stats *stats = &loop->stats[request->command - options->commands->commands];
	/* One writer each: no need for read-modify-write instructions. */
	atomic_store_explicit(&stats->calls, stats->calls + 1, memory_order_relaxed);
	atomic_store_explicit(&stats->ns, stats->ns + request->elapsed_ns, memory_order_relaxed);
	if (request->failed)
		stats->failed++;
	int64_t threshold_us =
		atomic_load_explicit(&loop->net->config->slowlog_us, memory_order_relaxed);
	if ((threshold_us >= 0 && request->elapsed_ns >= (uint64_t)threshold_us * 1000) ||
		request->elapsed_ns >= SLOW_ALWAYS_NS)
		options->slow(options->environment, request);
}

void connection_done(struct connection *connection, struct request *request)
{
	assert(connection->in_flight > 0 && request->stage == REQUEST_DONE);
	connection->in_flight--;
	connection->in_flight_bytes -= request->counted_bytes;
	request->answered = true;
	connection->leases |= request->leases;
	count_command(connection, request);
	flush_order(connection);
	if (connection->closing) {
		say_gone(connection);
		finish_close(connection);
		return;
	}
	if (connection->reading_stopped && !connection->processing)
		process(connection);
}

/* --- sending -------------------------------------------------------------------------------------
 */

static void on_written(uv_write_t *write, int status)
{
	struct connection *connection = write->data;
	connection->write_busy = false;
	if (status == 0)
		atomic_fetch_add_explicit(&connection->loop->output_bytes, connection->writing.size,
			memory_order_relaxed);
	buffer_clear(&connection->writing, OUT_KEEP_BYTES);
	if (connection->closing)
		return;
	if (status < 0)
		connection_close(connection);
	else
		loop_mark_writable(connection->loop, connection);
}

/* Hands the released part to the kernel's queue because the socket took no more. */
static void write_later(struct connection *connection, size_t sent, size_t ready)
{
	assert(connection->writing.size == 0);
	if (ready == connection->out.size && sent == 0) {
		struct buffer emptied = connection->writing;
		connection->writing = connection->out;
		connection->out = emptied;
	} else {
		buffer_append(&connection->writing, connection->out.data + sent, ready - sent);
		buffer_drop_front(&connection->out, ready);
	}
	uv_buf_t buf = { .base = connection->writing.data, .len = connection->writing.size };
	connection->write.data = connection;
	connection->write_busy = true;
	int result = uv_write(&connection->write, &connection->uv.stream, &buf, 1, on_written);
	if (result < 0) {
		connection->write_busy = false;
		connection_close(connection);
	}
}

static void release_marks(struct connection *connection, uint64_t released)
{
	uint32_t passed = 0;
	while (passed < connection->marks_count && connection->marks[passed].lsn <= released)
		connection->out_released = connection->marks[passed++].end;
	if (passed) {
		connection->marks_count -= passed;
		memmove(connection->marks, connection->marks + passed,
			connection->marks_count * sizeof(struct gate_mark));
	}
}

bool connection_flush(struct connection *connection, uint64_t released)
{
	release_marks(connection, released);
	size_t ready = connection->out_released;
	if (ready && !connection->write_busy) {
		uv_buf_t buf = { .base = connection->out.data, .len = ready };
		int sent = uv_try_write(&connection->uv.stream, &buf, 1);
		if (sent < 0 && sent != UV_EAGAIN) {
			connection_close(connection);
			return false;
		}
		if (sent > 0)
			atomic_fetch_add_explicit(&connection->loop->output_bytes, (uint64_t)sent,
				memory_order_relaxed);
		size_t taken = sent > 0 ? (size_t)sent : 0;
		if (taken == ready)
			buffer_drop_front(&connection->out, ready);
		else
			write_later(connection, taken, ready);
		if (connection->closing)
			return false;
		connection->out_released = 0;
		for (uint32_t i = 0; i < connection->marks_count; i++)
			connection->marks[i].end -= ready;
		if (connection->out.size == 0)
			buffer_clear(&connection->out, OUT_KEEP_BYTES);
		connection->shared_output_bytes = connection->out.size + connection->writing.size;
	}
	if (connection->close_after_reply && connection->out.size == 0 && !connection->write_busy &&
		connection->order_first == NULL && connection->blocked == NULL) {
		connection_close(connection);
		return false;
	}
	return connection->marks_count > 0;
}

/* --- reading -------------------------------------------------------------------------------------
 */

static void append_to_order(struct connection *connection, struct request *request)
{
	request->order_next = NULL;
	if (connection->order_last)
		connection->order_last->order_next = request;
	else
		connection->order_first = request;
	connection->order_last = request;
}

static struct writer writer_of(struct request *request)
{
	return (struct writer){ .out = &request->reply, .protocol = request->protocol };
}

/* Answers without running: the request takes its place in the order at once. */
static void answer(struct connection *connection, struct request *request)
{
	request->stage = REQUEST_DONE;
	request->answered = true;
	append_to_order(connection, request);
	flush_order(connection);
}

static void reject(struct connection *connection, struct request *request, const char *error)
{
	struct writer writer = writer_of(request);
	writer_error(&writer, "%s", error);
	if (request->command) {
		const struct command_set *set = connection->loop->net->options.commands;
		connection->loop->stats[request->command - set->commands].rejected++;
	}
	answer(connection, request);
}

static void run_local(struct connection *connection, struct request *request)
{
	struct engine *engine = connection->loop->net->engine;
	struct port *port = port_of(connection);
	request->command->local(connection, request);
	uint64_t ended_ns = clock_monotonic_ns(engine->clock);
	request->elapsed_ns = ended_ns - port->stamp_ns;
	port->stamp_ns = ended_ns;
	count_command(connection, request);
	answer(connection, request);
}

static bool is_for_several(const struct request *request)
{
	const struct command *command = request->command;
	return command->route != ROUTE_KEYS || command->key_last != command->key_first;
}

static void submit(struct connection *connection, struct request *request)
{
	connection->several_in_flight = is_for_several(request);
	struct net_loop *loop = connection->loop;
	append_to_order(connection, request);
	connection->in_flight++;
	request->counted_bytes = request->arena.bytes;
	connection->in_flight_bytes += request->counted_bytes;
	engine_submit(loop->net->engine, loop->number, &request);
}

/* True when it was run, refused or submitted; false when it must wait for admission. */
static bool admit(struct connection *connection, struct request *request)
{
	struct net *net = connection->loop->net;
	if (request->command->flags & COMMAND_IN_ORDER) {
		/* Messages come besides the replies: only waiting keeps them behind earlier ones.
		 */
		if (connection->in_flight > 0 || subscriptions_are_behind(net))
			return false;
		run_local(connection, request);
		return true;
	}
	/* Shards keep the order of what they are sent; over several only waiting keeps it. */
	if (connection->in_flight > 0 && (connection->several_in_flight || is_for_several(request)))
		return false;
	if (request->command->flags & COMMAND_WRITE) {
		enum gate_admission admission = engine_admission(net->engine);
		if (admission == GATE_BUSY || subscriptions_are_behind(net))
			return false;
		if (admission == GATE_FULL) {
			reject(connection, request, ERROR_DISK_FULL);
			return true;
		}
	}
	/* Who waits for no sync must not wait for one that the loop makes itself. */
	if (!(request->command->flags & COMMAND_WRITE) ||
		(request->command->flags & COMMAND_RELAXED))
		connection->loop->write_ticks = 0;
	submit(connection, request);
	return true;
}

static void fill_request(struct connection *connection, struct request *request)
{
	struct net *net = connection->loop->net;
	request->db = connection->db;
	request->protocol = connection->protocol;
	request->home = connection->loop->number;
	request->started_ns = port_of(connection)->stamp_ns;
	request->connection = connection;
	request->environment = net->options.environment;
	request->silent = connection->reply_mode != CONNECTION_REPLY_ON;
	if (connection->reply_mode == CONNECTION_REPLY_SKIP_NEXT)
		connection->reply_mode = CONNECTION_REPLY_ON;
	connection->loop->commands++;
}

/* A password taken away while it waited admits a client too. */
static bool is_admitted(struct connection *connection)
{
	if (!connection->authenticated)
		connection->authenticated =
			config_text_is_empty(connection->loop->net->config, "requirepass");
	return connection->authenticated;
}

static void dispatch(struct connection *connection)
{
	struct request *request = connection->reading;
	const struct command_set *set = connection->loop->net->options.commands;
	connection->reading = NULL;
	fill_request(connection, request);
	request->command = set->find(request->arguments, request->argument_count);
	struct writer writer = writer_of(request);
	if (request->command == NULL) {
		set->write_unknown(&writer, request->arguments, request->argument_count);
		answer(connection, request);
		return;
	}
	const struct command *command = request->command;
	atomic_store_explicit(&connection->last_command, command, memory_order_relaxed);
	if (!command_arity_ok(command, request->argument_count)) {
		set->write_arity(&writer, command);
		connection->loop->stats[command - set->commands].rejected++;
		answer(connection, request);
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
		loop_mark_blocked(connection->loop, connection);
	}
}

bool connection_unblock(struct connection *connection)
{
	struct request *request = connection->blocked;
	connection->blocked = NULL;
	if (!admit(connection, request)) {
		connection->blocked = request;
		return false;
	}
	if (!connection->closing)
		process(connection);
	return true;
}

static void protocol_error(struct connection *connection)
{
	struct request *request = connection->reading;
	connection->reading = NULL;
	fill_request(connection, request);
	logline(LOGLINE_VERBOSE, "Client id=%llu addr=%s closed: %s",
		(unsigned long long)connection->id, connection->address,
		reader_error(connection->reader));
	connection->loop->protocol_errors++;
	connection->close_after_reply = true;
	reject(connection, request, reader_error(connection->reader));
}

static bool may_read_on(const struct connection *connection)
{
	const struct config *config = connection->loop->net->config;
	return !connection->closing && !connection->close_after_reply &&
		connection->blocked == NULL && connection->in_flight_bytes < IN_FLIGHT_BYTES_MAX &&
		connection->in_flight < (uint64_t)config->client_requests_max;
}

/* Bounds what all clients together have begun to send. */
static bool over_input_limit(struct connection *connection)
{
	struct net *net = connection->loop->net;
	size_t held = reader_bytes(connection->reader);
	if (connection->blocked)
		held += connection->blocked->arena.bytes;
	count_unfinished(connection, held);
	return held > UNFINISHED_BIG_BYTES &&
		net->unfinished_bytes > (uint64_t)net->config->input_bytes_max;
}

static void resume_or_stop_reading(struct connection *connection)
{
	bool wanted = may_read_on(connection);
	if (connection->closing || wanted == !connection->reading_stopped)
		return;
	connection->reading_stopped = !wanted;
	if (wanted)
		uv_read_start(&connection->uv.stream, on_alloc, on_read);
	else
		uv_read_stop(&connection->uv.stream);
}

/* Reads and dispatches as long as it may. */
static enum reader_result read_commands(struct connection *connection)
{
	struct net *net = connection->loop->net;
	enum reader_result result = READER_COMMAND;
	while (result == READER_COMMAND && may_read_on(connection)) {
		struct reader_limits limits = {
			.bulk_bytes_max = net->config->value_bytes_max,
			.arguments_max = LIMIT_ARGUMENTS,
			.authenticated = connection->authenticated,
		};
		if (connection->reading == NULL)
			connection->reading = request_take(pool_of(connection));
		struct request *request = connection->reading;
		result = reader_next(connection->reader, &limits, &request->arena,
			&request->arguments, &request->argument_count);
		if (result == READER_COMMAND)
			dispatch(connection);
		else if (result == READER_ERROR)
			protocol_error(connection);
	}
	return result;
}

static void process(struct connection *connection)
{
	connection->active_ms = port_of(connection)->now_ms;
	connection->processing = true;
	enum reader_result result = read_commands(connection);
	connection->processing = false;
	if (connection->closing)
		return;
	if (result == READER_COMMAND)
		reader_hold(connection->reader); /* what is left lies in the loop's input */
	if (connection->reading && reader_bytes(connection->reader) == 0)
		request_put(pool_of(connection), &connection->reading);
	if (over_input_limit(connection)) {
		logline(LOGLINE_WARNING,
			"Client id=%llu addr=%s dropped: unfinished requests over input-memory",
			(unsigned long long)connection->id, connection->address);
		connection_close(connection);
		return;
	}
	resume_or_stop_reading(connection);
}

void connection_stop_reading(struct connection *connection)
{
	connection->close_after_reply = true;
	resume_or_stop_reading(connection);
	loop_mark_dirty(connection->loop, connection);
}

bool connection_is_idle(const struct connection *connection)
{
	return connection->order_first == NULL && connection->out.size == 0 &&
		!connection->write_busy && connection->blocked == NULL;
}

/* --- for handlers --------------------------------------------------------------------------------
 */

struct net *connection_net(const struct connection *connection)
{
	return connection->loop->net;
}

void connection_set_db(struct connection *connection, uint8_t db)
{
	connection->db = db;
	connection->shared_db = db;
}

void connection_set_protocol(struct connection *connection, uint8_t protocol)
{
	connection->protocol = protocol;
	connection->shared_protocol = protocol;
}

void connection_close_after_reply(struct connection *connection)
{
	connection->close_after_reply = true;
}

void connection_set_text(struct connection *connection, char *field, struct slice text)
{
	size_t size = text.size < CONNECTION_NAME_BYTES_MAX ? text.size : CONNECTION_NAME_BYTES_MAX;
	pthread_mutex_lock(&connection->loop->net->clients_lock);
	memcpy(field, text.data, size);
	field[size] = '\0';
	pthread_mutex_unlock(&connection->loop->net->clients_lock);
}
