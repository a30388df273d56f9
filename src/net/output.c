/*
 * output: from replies to the bytes that a client gets.
 *
 *   answered --> order of requests --> `out` with gate marks --> output_flush --> socket
 *
 * Every request stands in the connection's order from its dispatch on; replies go to `out` from the
 * front of the order only; messages of subscriptions come in between. What waits for the log stands
 * in `out` behind a gate mark. What the socket does not take at once is handed to libuv as it is.
 *
 * Replies that a client does not take are counted: while they are many, its requests wait
 * (input.c), so each client holds one long reply and little more. Together they may fill
 * output-memory; then whoever holds most is dropped (net_shed_output). A client that takes nothing
 * for client-output-timeout is dropped too. Nobody asks subscribers whether they want more, so
 * their part is bounded by client-output-limit.
 *
 * Threads: the loop's of the connection.
 */
#include "net/net_private.h"

#include "base/logline.h"
#include "base/memory.h"

#include <assert.h>
#include <string.h>

#define OUT_KEEP_BYTES   (16 * 1024)
#define SWAP_REPLY_BYTES (64 * 1024)
/* Of one that nothing is known of: it has one read under way at first. */
#define REPLY_GUESS_FIRST (1024 * 1024)

/* --- what is held ----------------------------------------------------------------------------- */

/* Of what libuv has. */
static size_t queued(const struct connection *connection)
{
	return connection->write_busy ? uv_stream_get_write_queue_size(&connection->uv.stream) : 0;
}

size_t output_expected(const struct connection *connection)
{
	return connection->out.size + queued(connection) + connection->order_bytes +
		connection->reads_in_flight * connection->reply_guess;
}

/* What its next replies will be like: at least as the largest of the last few. */
static void learn(struct connection *connection, size_t reply_bytes)
{
	connection->reply_guess -= connection->reply_guess / 8;
	if (connection->reply_guess < reply_bytes)
		connection->reply_guess = reply_bytes;
}

/* Small amounts are left out, so that small replies cost no atomic operation. */
static void count(struct connection *connection, size_t held)
{
	size_t counted = held < ENGINE_REPLY_COUNTED_BYTES ? 0 : held;
	if (counted == connection->output_counted)
		return;
	struct net *net = connection->loop->net;
	atomic_fetch_add_explicit(&net->engine->output_bytes, counted - connection->output_counted,
		memory_order_relaxed);
	bool more = counted > connection->output_counted;
	connection->output_counted = counted;
	if (more && net->engine->output_bytes > (uint64_t)net->config->output_bytes_max)
		net_shed_output(net);
}

static size_t count_held(struct connection *connection)
{
	size_t held = connection->out.size + connection->writing.size + connection->order_bytes;
	atomic_store_explicit(&connection->shared_output_bytes, held, memory_order_relaxed);
	count(connection, held);
	return held;
}

void output_init(struct connection *connection)
{
	connection->reply_guess = REPLY_GUESS_FIRST;
}

void output_uncount(struct connection *connection)
{
	count(connection, 0);
}

void output_log_unread(const struct connection *connection, enum connection_kill why)
{
	static const char *const reasons[] = {
		[CONNECTION_OVER_LIMIT] = "over client-output-limit",
		[CONNECTION_SHED] = "the most of all, and together over output-memory",
		[CONNECTION_STUCK] = "and none taken for client-output-timeout",
	};
	if (reasons[why] == NULL)
		return;
	logline(LOGLINE_WARNING, "Client id=%llu addr=%s dropped: %llu bytes of replies unread, %s",
		(unsigned long long)connection->asker.id, connection->address,
		(unsigned long long)connection->shared_output_bytes, reasons[why]);
	if (why == CONNECTION_SHED)
		connection->loop->evictions++;
	else
		connection->loop->output_limit_drops++;
}

void output_look(struct connection *connection, int64_t now_ms)
{
	int64_t timeout_ms = connection->loop->net->config->client_output_timeout_s * 1000;
	size_t left = queued(connection);
	if (left == 0 || left != connection->write_left) {
		connection->write_left = left;
		connection->write_moved_ms = now_ms;
	} else if (timeout_ms > 0 && now_ms - connection->write_moved_ms > timeout_ms) {
		output_log_unread(connection, CONNECTION_STUCK);
		connection_close(connection);
	}
}

/* --- the gate --------------------------------------------------------------------------------- */

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

/* What was appended to `out` last leaves when `lsn` is released. */
static void hold_back(struct connection *connection, uint64_t lsn, uint64_t released)
{
	if (connection->marks_count == 0 && lsn <= released)
		connection->out_released = connection->out.size;
	else
		add_mark(connection, lsn);
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

/* --- the order -------------------------------------------------------------------------------- */

void output_append(struct connection *connection, struct request *request)
{
	request->order_next = NULL;
	if (connection->order_last)
		connection->order_last->order_next = request;
	else
		connection->order_first = request;
	connection->order_last = request;
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
	struct request_pool *pool = connection_pool(connection);
	uint64_t released = gate_released(loop->net->engine->gate);
	while (connection->order_first && connection->order_first->answered) {
		struct request *request = connection->order_first;
		connection->order_first = request->order_next;
		if (connection->order_first == NULL)
			connection->order_last = NULL;
		connection->order_bytes -= request->reply.size;
		if (!connection->closing)
			emit(connection, request, released);
		if (request->gate_lsn > gate_durable(loop->net->engine->gate))
			pace_appended(&connection_port(connection)->pace);
		if (request->gate_lsn > connection->gate_lsn)
			connection->gate_lsn = request->gate_lsn;
		request_put(pool, &request);
	}
	if (connection->closing)
		return;
	count_held(connection);
	if (connection->out.size || connection->close_after_reply)
		loop_mark_dirty(loop, connection);
}

/* --- answers ---------------------------------------------------------------------------------- */

void output_answered(struct connection *connection, struct request *request)
{
	request->answered = true;
	if (request->reply.size > 0 && request->reply.data[0] == '-')
		figures_count_error(connection->loop->net, buffer_slice(&request->reply));
	learn(connection, request->reply.size);
	connection->order_bytes += request->reply.size;
	flush_order(connection);
}

void output_answer(struct connection *connection, struct request *request)
{
	request_move(request, REQUEST_DONE);
	output_append(connection, request);
	output_answered(connection, request);
}

void output_push(struct connection *connection, struct slice message, uint64_t lsn)
{
	if (connection->closing || connection->close_after_reply || connection->kill)
		return;
	uint64_t most = (uint64_t)connection->loop->net->config->client_output_bytes_max;
	if (count_held(connection) + message.size > most) {
		net_kill(connection, CONNECTION_OVER_LIMIT);
		return;
	}
	buffer_append(&connection->out, message.data, message.size);
	hold_back(connection, lsn, gate_released(connection->loop->net->engine->gate));
	loop_mark_dirty(connection->loop, connection);
	count_held(connection);
}

/* --- sending ---------------------------------------------------------------------------------- */

static void count_sent(struct connection *connection, size_t bytes)
{
	atomic_fetch_add_explicit(&connection->loop->output_bytes, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&connection->loop->writes, 1, memory_order_relaxed);
}

static void on_written(uv_write_t *write, int status)
{
	struct connection *connection = write->data;
	connection->write_busy = false;
	if (status == 0)
		count_sent(connection, connection->writing.size);
	buffer_clear(&connection->writing, OUT_KEEP_BYTES);
	if (connection->closing)
		return;
	count_held(connection);
	if (status < 0) {
		connection_close(connection);
		return;
	}
	loop_mark_writable(connection->loop, connection);
	input_go_on_later(connection);
}

/* Hands the released part, of which `sent` bytes are gone, to libuv because the socket took no
 * more. */
static void write_later(struct connection *connection, size_t sent, size_t ready)
{
	assert(connection->writing.size == 0);
	uv_buf_t rest = { .len = ready - sent };
	if (ready == connection->out.size) {
		struct buffer emptied = connection->writing;
		connection->writing = connection->out;
		connection->out = emptied;
		rest.base = connection->writing.data + sent;
	} else {
		buffer_append(&connection->writing, connection->out.data + sent, ready - sent);
		buffer_drop_front(&connection->out, ready);
		rest.base = connection->writing.data;
	}
	connection->write.data = connection;
	connection->write_busy = true;
	int result = uv_write(&connection->write, &connection->uv.stream, &rest, 1, on_written);
	if (result < 0) {
		connection->write_busy = false;
		connection_close(connection);
	}
}

/* What stands in `out` in front of the first mark. */
static void send_released(struct connection *connection)
{
	size_t ready = connection->out_released;
	uv_buf_t buf = { .base = connection->out.data, .len = ready };
	int sent = uv_try_write(&connection->uv.stream, &buf, 1);
	if (sent < 0 && sent != UV_EAGAIN) {
		connection_close(connection);
		return;
	}
	size_t taken = sent > 0 ? (size_t)sent : 0;
	if (taken == ready) {
		count_sent(connection, taken);
		buffer_drop_front(&connection->out, ready);
	} else {
		write_later(connection, taken, ready);
	}
	connection->out_released = 0;
	for (uint32_t i = 0; i < connection->marks_count; i++)
		connection->marks[i].end -= ready;
	if (connection->out.size == 0)
		buffer_clear(&connection->out, OUT_KEEP_BYTES);
}

bool output_flush(struct connection *connection, uint64_t released)
{
	release_marks(connection, released);
	if (connection->out_released && !connection->write_busy) {
		send_released(connection);
		if (connection->closing)
			return false;
		count_held(connection);
		input_go_on_later(connection);
	}
	if (connection->close_after_reply && connection->out.size == 0 && !connection->write_busy &&
		connection->order_first == NULL && connection->blocked == NULL) {
		connection_close(connection);
		return false;
	}
	return connection->marks_count > 0;
}
