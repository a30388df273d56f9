/*
 * connection: the life of one client.
 *
 *   opened with a socket by its loop --> read (input.c) and answered (output.c) --> closed
 *
 * A connection ends by connection_close: the socket goes at once, and whoever gave it leases is
 * told, but the memory stays until the last of its requests has come home. A client may also send
 * no more and still wait for replies (half closed): it cannot use a lease any more, so it gives up
 * those it has and waits for none.
 *
 * A socket that is not being read tells of neither end, so the loop asks those now and then
 * (connection_look).
 *
 * Threads: its loop's, but for what client.h marks as shared.
 */
#include "net/connection.h"

#include "base/memory.h"
#include "engine/room.h"
#include "net/figures.h"
#include "net/input.h"
#include "net/net_private.h"
#include "net/output.h"

#include <poll.h>

#define DROPPED_AT_ONCE 1024 /* subscriptions of who closes: about a millisecond */

static void finish_close(struct connection *connection);

/* --- opening ---------------------------------------------------------------------------------- */

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

/* --- the stream ------------------------------------------------------------------------------- */

static void give_room(struct stream *stream, char **out, size_t *size)
{
	struct net_loop *loop = connection_of(stream)->loop;
	*out = loop->input;
	*size = sizeof(loop->input);
}

static void on_got(struct stream *stream, struct slice bytes)
{
	struct connection *connection = connection_of(stream);
	struct net_loop *loop = connection->loop;
	atomic_fetch_add_explicit(&loop->input_bytes, bytes.size, memory_order_relaxed);
	atomic_fetch_add_explicit(&loop->reads, 1, memory_order_relaxed);
	engine_tick(loop->net->engine, loop->number);
	input_feed(connection, bytes);
}

static void on_ended(struct stream *stream, int error)
{
	struct connection *connection = connection_of(stream);
	if (error == 0)
		connection_half_close(connection);
	if (error < 0 || connection_is_idle(connection))
		connection_close(connection);
	else
		input_stop(connection);
}

static void on_sent(struct stream *stream, int error)
{
	output_sent(connection_of(stream), error);
}

static void on_closed(struct stream *stream)
{
	struct connection *connection = connection_of(stream);
	connection->client.fd = -1;
	finish_close(connection);
}

static const struct stream_user stream_user = {
	.room = give_room,
	.got = on_got,
	.ended = on_ended,
	.sent = on_sent,
	.closed = on_closed,
};

void connection_open(struct net_loop *loop, const struct arrival *arrival)
{
	struct net *net = loop->net;
	struct connection *connection = memory_zeroed(sizeof(*connection));
	struct client *client = &connection->client;
	connection->loop = loop;
	client_init(client, atomic_fetch_add(&net->next_client_id, 1), &net->clients_lock,
		clock_wall_ms(net->engine->clock));
	client_set_addresses(client, arrival->address, arrival->local_address);
	client->fd = arrival->fd;
	client->authenticated = config_text_is_empty(net->config, "requirepass");
	protocol_init(&connection->protocol, arrival->protocol);
	output_init(connection);
	link_client(loop, connection);
	int result = stream_open(&connection->stream, &loop->uv, arrival->fd, arrival->kind,
		net->config->tcp_keepalive_s, &stream_user);
	if (result == 0)
		result = input_start(connection);
	if (result < 0)
		connection_close(connection);
}

/* --- ending ----------------------------------------------------------------------------------- */

/* Whether a request of it that is under way may be given a lease, or waits for one. */
static bool may_get_leases(const struct connection *connection)
{
	const struct request *request = connection->order.first;
	while (request && !(!request->answered && (request->asked.command->flags & COMMAND_LEASES)))
		request = request->order_next;
	return request != NULL;
}

void connection_give_up_leases(struct connection *connection)
{
	struct net_loop *loop = connection->loop;
	/* When the server stops leases end anyway. */
	if (loop->net->stopping || !(connection->may_hold_leases || may_get_leases(connection)))
		return;
	connection->may_hold_leases = false;
	engine_client_gone(loop->net->engine, loop->number, connection->client.asker.id);
}

void connection_half_close(struct connection *connection)
{
	if (connection->closing || connection->half_closed)
		return;
	connection->half_closed = true;
	connection->client.asker.gone = true;
	connection_give_up_leases(connection);
}

/* The peer's end of a socket that is not being read. What it sent before stays to be read. */
static void look_at_peer(struct connection *connection, short events)
{
	if (events & (POLLHUP | POLLERR | POLLNVAL))
		connection_close(connection);
	else if (events & POLLRDHUP)
		connection_half_close(connection);
}

void connection_look(struct net_loop *loop)
{
	enum { SOCKETS_AT_ONCE = 256 };
	struct connection *connection = loop->clients;
	while (connection) {
		struct pollfd sockets[SOCKETS_AT_ONCE];
		struct connection *looked_at[SOCKETS_AT_ONCE];
		nfds_t count = 0;
		for (; connection && count < SOCKETS_AT_ONCE; connection = connection->next) {
			if (!connection->reading_stopped || connection->half_closed)
				continue;
			looked_at[count] = connection;
			sockets[count++] =
				(struct pollfd){ .fd = connection->client.fd, .events = POLLRDHUP };
		}
		if (count == 0 || poll(sockets, count, 0) <= 0)
			continue;
		/* Closing one frees none: its memory is freed by an event of its own. */
		for (nfds_t i = 0; i < count; i++)
			look_at_peer(looked_at[i], sockets[i].revents);
	}
}

void connection_close(struct connection *connection)
{
	if (connection->closing)
		return;
	struct net_loop *loop = connection->loop;
	connection->closing = true;
	loop_forget(loop, connection);
	unlink_client(loop, connection);
	if (!subscriptions_drop(connection, loop->net->stopping ? SIZE_MAX : DROPPED_AT_ONCE)) {
		connection->next = loop->leaving;
		loop->leaving = connection;
	}
	input_uncount(connection);
	output_uncount(connection);
	atomic_fetch_sub(&loop->client_count, 1);
	stream_close(&connection->stream);
	connection->client.asker.gone = connection->client.asker.closed = true;
	connection_give_up_leases(connection);
}

bool connection_leave(struct net_loop *loop)
{
	bool stopping = loop->net->stopping;
	do {
		struct connection *connection = loop->leaving;
		if (connection == NULL)
			return false;
		if (subscriptions_drop(connection, stopping ? SIZE_MAX : DROPPED_AT_ONCE)) {
			loop->leaving = connection->next;
			finish_close(connection);
		}
	} while (stopping);
	return loop->leaving != NULL;
}

/* Frees the memory once the socket is closed, every request is home and no subscription is left. */
static void finish_close(struct connection *connection)
{
	if (connection->stream.is_open || connection->flight.requests ||
		connection->subscription_bytes > 0)
		return;
	struct request_pool *pool = &connection->loop->port->pool;
	protocol_fini(&connection->protocol, pool);
	if (connection->blocked)
		request_put(pool, &connection->blocked);
	order_fini(&connection->order, pool);
	buffer_fini(&connection->writing);
	memory_free(connection);
}

/* --- a request is home ------------------------------------------------------------------------ */

void connection_done(struct connection *connection, struct request *request)
{
	struct engine *engine = connection->loop->net->engine;
	if (request->reply_counted)
		atomic_fetch_sub_explicit(
			&engine->output_bytes, request->reply_counted, memory_order_relaxed);
	input_done(connection, request);
	figures_count_command(connection->loop, request);
	bool gave_lease = request->turn.gave_lease;
	connection->may_hold_leases |= gave_lease;
	output_answered(connection, request);
	if (gave_lease && connection->client.asker.gone)
		connection_give_up_leases(connection);
	if (connection->closing)
		finish_close(connection);
	else
		input_go_on_later(connection);
}

bool connection_is_idle(const struct connection *connection)
{
	return order_is_empty(&connection->order) && !connection->stream.sends &&
		connection->blocked == NULL;
}

/* --- for handlers ----------------------------------------------------------------------------- */

struct net *connection_net(const struct connection *connection)
{
	return connection->loop->net;
}

void connection_close_after_reply(struct connection *connection)
{
	connection->close_after_reply = true;
}
