/*
 * output: from replies to the bytes that a client gets.
 *
 *   answered --> order, with gate marks --> output_flush --> stream
 *
 * What is to leave, and in which order, is for order.c to say; this is how much of it there is, and
 * how it leaves. What the socket does not take at once is handed to the stream as it is.
 *
 * Replies that a client does not take are counted: while they are many, its requests wait
 * (input.c), so each client holds one long reply and little more. Together they may fill
 * output-memory; then whoever holds most is dropped (net_shed_output). A client that takes nothing
 * for client-output-timeout is dropped too. Nobody asks subscribers whether they want more, so
 * their part is bounded by client-output-limit.
 *
 * Threads: the loop's of the connection.
 */
#include "net/output.h"

#include "base/logline.h"
#include "net/figures.h"
#include "net/input.h"
#include "net/net_private.h"

#include <assert.h>

#define WRITING_KEEP_BYTES (16 * 1024)
/* Of one that nothing is known of: it has one read under way at first. */
#define REPLY_GUESS_FIRST (1024 * 1024)

/* --- what is held ----------------------------------------------------------------------------- */

size_t output_expected(const struct connection *connection)
{
	return connection->order.out.size + stream_unsent(&connection->stream) +
		connection->order.waiting_bytes +
		connection->flight.reads * connection->reply_guess;
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
	size_t held = connection->order.out.size + connection->writing.size +
		connection->order.waiting_bytes;
	atomic_store_explicit(&connection->client.shared_output_bytes, held, memory_order_relaxed);
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

void output_log_unread(const struct connection *connection, enum client_kill why)
{
	static const char *const reasons[] = {
		[CLIENT_OVER_LIMIT] = "over client-output-limit",
		[CLIENT_SHED] = "the most of all, and together over output-memory",
		[CLIENT_STUCK] = "and none taken for client-output-timeout",
	};
	if (reasons[why] == NULL)
		return;
	logline(LOGLINE_WARNING, "Client id=%llu addr=%s dropped: %llu bytes of replies unread, %s",
		(unsigned long long)connection->client.asker.id, connection->client.address,
		(unsigned long long)connection->client.shared_output_bytes, reasons[why]);
	if (why == CLIENT_SHED)
		connection->loop->evictions++;
	else
		connection->loop->output_limit_drops++;
}

void output_look(struct connection *connection, int64_t now_ms)
{
	int64_t timeout_ms = connection->loop->net->config->client_output_timeout_s * 1000;
	size_t left = stream_unsent(&connection->stream);
	if (left == 0 || left != connection->write_left) {
		connection->write_left = left;
		connection->write_moved_ms = now_ms;
	} else if (timeout_ms > 0 && now_ms - connection->write_moved_ms > timeout_ms) {
		output_log_unread(connection, CLIENT_STUCK);
		connection_close(connection);
	}
}

/* --- answers ---------------------------------------------------------------------------------- */

static void flush_order(struct connection *connection)
{
	struct net_loop *loop = connection->loop;
	const struct gate *gate = loop->net->engine->gate;
	uint64_t highest = order_emit(
		&connection->order, &loop->port->pool, gate_released(gate), connection->closing);
	if (highest > gate_durable(gate))
		pace_appended(&loop->port->pace);
	if (connection->closing)
		return;
	count_held(connection);
	if (connection->order.out.size || connection->close_after_reply)
		loop_mark_dirty(loop, connection);
}

void output_answered(struct connection *connection, struct request *request)
{
	if (request->reply.size > 0 && request->reply.data[0] == '-')
		figures_count_error(connection->loop->net, buffer_slice(&request->reply));
	learn(connection, request->reply.size);
	order_answered(&connection->order, request);
	flush_order(connection);
}

void output_answer(struct connection *connection, struct request *request)
{
	request_move(request, REQUEST_DONE);
	order_append(&connection->order, request);
	output_answered(connection, request);
}

void output_push(struct connection *connection, struct slice message, uint64_t lsn)
{
	if (connection->closing || connection->close_after_reply || connection->client.kill)
		return;
	uint64_t most = (uint64_t)connection->loop->net->config->client_output_bytes_max;
	if (count_held(connection) + message.size > most) {
		net_kill(connection, CLIENT_OVER_LIMIT);
		return;
	}
	order_push(&connection->order, message, lsn,
		gate_released(connection->loop->net->engine->gate));
	loop_mark_dirty(connection->loop, connection);
	count_held(connection);
}

/* --- sending ---------------------------------------------------------------------------------- */

static void count_sent(struct connection *connection, size_t bytes)
{
	atomic_fetch_add_explicit(&connection->loop->output_bytes, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&connection->loop->writes, 1, memory_order_relaxed);
}

void output_sent(struct connection *connection, int error)
{
	if (error == 0)
		count_sent(connection, connection->writing.size);
	buffer_clear(&connection->writing, WRITING_KEEP_BYTES);
	if (connection->closing)
		return;
	count_held(connection);
	if (error < 0) {
		connection_close(connection);
		return;
	}
	loop_mark_writable(connection->loop, connection);
	input_go_on_later(connection);
}

/* Hands the released part, of which `sent` bytes are gone, over as it is because the socket took no
 * more. */
static void write_later(struct connection *connection, size_t sent, size_t ready)
{
	struct buffer *out = &connection->order.out;
	assert(connection->writing.size == 0);
	struct slice rest = { .size = ready - sent };
	if (ready == out->size) {
		struct buffer emptied = connection->writing;
		connection->writing = *out;
		*out = emptied;
		rest.data = connection->writing.data + sent;
	} else {
		buffer_append(&connection->writing, out->data + sent, ready - sent);
		buffer_drop_front(out, ready);
		rest.data = connection->writing.data;
	}
	if (stream_send_rest(&connection->stream, rest) < 0)
		connection_close(connection);
}

/* What stands in `out` in front of the first mark. */
static void send_released(struct connection *connection)
{
	struct order *order = &connection->order;
	size_t ready = order->released;
	ssize_t sent = stream_send(&connection->stream, slice_of(order->out.data, ready));
	if (sent < 0) {
		connection_close(connection);
		return;
	}
	if ((size_t)sent == ready) {
		count_sent(connection, ready);
		buffer_drop_front(&order->out, ready);
	} else {
		write_later(connection, (size_t)sent, ready);
	}
	order_taken(order, ready);
}

bool output_flush(struct connection *connection, uint64_t released)
{
	struct order *order = &connection->order;
	order_release(order, released);
	if (order->released && !connection->stream.sends) {
		send_released(connection);
		if (connection->closing)
			return false;
		count_held(connection);
		input_go_on_later(connection);
	}
	if (connection->close_after_reply && connection_is_idle(connection)) {
		connection_close(connection);
		return false;
	}
	return order_is_gated(order);
}
