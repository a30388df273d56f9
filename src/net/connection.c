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
 * Threads: its loop's, except for the block of the structure marked shared.
 */
#include "net/net_private.h"

#include "base/logline.h"
#include "base/memory.h"
#include "engine/room.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

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
	connection->asker.id = atomic_fetch_add(&net->next_client_id, 1);
	memcpy(connection->address, arrival->address, sizeof(connection->address));
	memcpy(connection->local_address, arrival->local_address,
		sizeof(connection->local_address));
	connection->reader = reader_new();
	output_init(connection);
	link_client(loop, connection);
	int result = open_socket(loop, connection, arrival);
	connection->uv.handle.data = connection;
	if (result < 0)
		close(arrival->fd);
	else
		result = input_start(connection);
	if (result < 0)
		connection_close(connection);
}

/* --- ending ----------------------------------------------------------------------------------- */

/* Whether a request of it that is under way may be given a lease, or waits for one. */
static bool may_get_leases(const struct connection *connection)
{
	const struct request *request = connection->order_first;
	while (request && !(!request->answered && (request->asked.command->flags & COMMAND_LEASES)))
		request = request->order_next;
	return request != NULL;
}

void connection_give_up_leases(struct connection *connection)
{
	struct net_loop *loop = connection->loop;
	/* When the server stops leases end anyway. */
	if (loop->net->stopping || !(connection->leases || may_get_leases(connection)))
		return;
	connection->leases = false;
	engine_client_gone(loop->net->engine, loop->number, connection->asker.id);
}

void connection_half_close(struct connection *connection)
{
	if (connection->closing || connection->half_closed)
		return;
	connection->half_closed = true;
	connection->asker.gone = true;
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
				(struct pollfd){ .fd = connection->fd, .events = POLLRDHUP };
		}
		if (count == 0 || poll(sockets, count, 0) <= 0)
			continue;
		/* Closing one frees none: its memory is freed by an event of its own. */
		for (nfds_t i = 0; i < count; i++)
			look_at_peer(looked_at[i], sockets[i].revents);
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
	unlink_client(loop, connection);
	if (!subscriptions_drop(connection, loop->net->stopping ? SIZE_MAX : DROPPED_AT_ONCE)) {
		connection->next = loop->leaving;
		loop->leaving = connection;
	}
	input_uncount(connection);
	output_uncount(connection);
	atomic_fetch_sub(&loop->client_count, 1);
	uv_close(&connection->uv.handle, on_closed);
	connection->asker.gone = connection->asker.closed = true;
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
	if (connection->uv.handle.data != NULL || connection->in_flight ||
		connection->subscription_bytes > 0)
		return;
	struct request_pool *pool = connection_pool(connection);
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

/* --- a request is home ------------------------------------------------------------------------ */

void connection_done(struct connection *connection, struct request *request)
{
	struct engine *engine = connection->loop->net->engine;
	if (request->reply_counted)
		atomic_fetch_sub_explicit(
			&engine->output_bytes, request->reply_counted, memory_order_relaxed);
	input_done(connection, request);
	figures_count_command(connection, request);
	bool gave_leases = request->turn.gave_lease;
	connection->leases |= gave_leases;
	output_answered(connection, request);
	if (gave_leases && connection->asker.gone)
		connection_give_up_leases(connection);
	if (connection->closing)
		finish_close(connection);
	else
		input_go_on_later(connection);
}

bool connection_is_idle(const struct connection *connection)
{
	return connection->order_first == NULL && connection->out.size == 0 &&
		!connection->write_busy && connection->blocked == NULL;
}

/* --- for handlers ----------------------------------------------------------------------------- */

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
