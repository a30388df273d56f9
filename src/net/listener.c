/*
 * listener: the sockets that accept. They are polled by the first loop that serves connections, and
 * each accepted socket goes to the loop with the fewest clients: with few long-lived connections
 * that is far more even than letting the kernel hash them.
 *
 * Protected mode, as in Redis: without a password, and listening only where the defaults say or
 * not, a client from another machine is told what to do and turned away.
 */
#include "net/listener.h"

#include "base/logline.h"
#include "base/memory.h"
#include "holdfast/errors.h"
#include "net/net_private.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTENER_MAGIC   0x6c736e72u /* where a pointer has come through libuv */
#define ACCEPTS_PER_TICK 256

/* --- accepting -------------------------------------------------------------------------------- */

static struct net_loop *least_loaded(struct net *net)
{
	struct net_loop *best = &net->loops[net->first_serving];
	for (uint16_t i = net->first_serving; i < net->loop_count; i++) {
		if (net->loops[i].client_count < best->client_count)
			best = &net->loops[i];
	}
	return best;
}

static void describe(const struct sockaddr_storage *address, char *out, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *four = (const void *)address;
		inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text));
		snprintf(out, size, "%s:%d", text, ntohs(four->sin_port));
	} else {
		const struct sockaddr_in6 *six = (const void *)address;
		inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof(text));
		snprintf(out, size, "[%s]:%d", text, ntohs(six->sin6_port));
	}
}

static bool is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *four = (const void *)address;
		return (ntohl(four->sin_addr.s_addr) >> 24) == 127;
	}
	const struct sockaddr_in6 *six = (const void *)address;
	return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) != 0;
}

static void turn_away(int fd, const char *text)
{
	ssize_t sent = send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)sent; /* it is going away either way */
	close(fd);
}

static void welcome(struct net *net, const struct listener *listener, int fd,
	const struct sockaddr_storage *peer)
{
	net->connections_received++;
	uint32_t clients = 0;
	for (uint16_t i = 0; i < net->loop_count; i++)
		clients += net->loops[i].client_count;
	if (clients >= (uint64_t)net->config->clients_max) {
		net->connections_rejected++;
		turn_away(fd, "-" ERROR_MAX_CLIENTS "\r\n");
		return;
	}
	if (listener->kind == STREAM_TCP && net->config->protected_mode && !is_loopback(peer) &&
		config_text_is_empty(net->config, "requirepass")) {
		net->connections_rejected++;
		turn_away(fd, "-" ERROR_PROTECTED_MODE "\r\n");
		return;
	}
	struct arrival *arrival = memory_zeroed(sizeof(*arrival));
	arrival->fd = fd;
	arrival->kind = listener->kind;
	arrival->protocol = listener->protocol;
	if (listener->kind == STREAM_UNIX) {
		snprintf(arrival->address, sizeof(arrival->address), "%.77s:0", net->unix_path);
		snprintf(arrival->local_address, sizeof(arrival->local_address), "%.77s:0",
			net->unix_path);
	} else {
		struct sockaddr_storage local;
		socklen_t size = sizeof(local);
		describe(peer, arrival->address, sizeof(arrival->address));
		if (getsockname(fd, (struct sockaddr *)&local, &size) == 0)
			describe(&local, arrival->local_address, sizeof(arrival->local_address));
	}
	struct net_loop *loop = least_loaded(net);
	loop->client_count++;
	loop_give_arrival(loop, arrival);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;
	assert(listener->magic == LISTENER_MAGIC);
	for (int i = 0; status == 0 && i < ACCEPTS_PER_TICK; i++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t size = sizeof(peer);
		int fd = accept4(listener->fd, (struct sockaddr *)&peer, &size,
			SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			welcome(listener->net, listener, fd, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE) {
			logline(LOGLINE_WARNING, "Cannot accept a client: %s", strerror(errno));
			uv_poll_stop(&listener->poll); /* until the next listener_resume_all */
		}
		return;
	}
}

/* --- binding ---------------------------------------------------------------------------------- */

static int add_listener(struct net *net, int fd, enum stream_kind kind)
{
	if (listen(fd, (int)net->config->tcp_backlog) != 0)
		return -errno;
	net->listeners[net->listener_count++] = (struct listener){ .magic = LISTENER_MAGIC,
		.net = net,
		.fd = fd,
		.kind = kind,
		.protocol = PROTOCOL_RESP };
	return 0;
}

static int bind_address(struct net *net, const struct addrinfo *address)
{
	int on = 1;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	int result = bind(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : -errno;
	if (result == 0)
		result = add_listener(net, fd, STREAM_TCP);
	if (result < 0)
		close(fd);
	return result;
}

static int bind_name(struct net *net, const char *name, char *error, size_t error_size)
{
	bool optional = name[0] == '-';
	char port[16];
	const char *host = name + optional;
	snprintf(port, sizeof(port), "%d", net->port);
	if (strcmp(host, "*") == 0)
		host = "0.0.0.0";
	else if (strcmp(host, "::*") == 0)
		host = "::";
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *found = NULL;
	int lookup = getaddrinfo(host, port, &hints, &found);
	if (lookup != 0) {
		snprintf(error, error_size, "cannot listen on %s: %s", host, gai_strerror(lookup));
		return optional ? 0 : -EINVAL;
	}
	int result = bind_address(net, found);
	freeaddrinfo(found);
	if (result < 0) {
		snprintf(error, error_size, "cannot listen on %s port %d: %s", host, net->port,
			strerror(-result));
		if (optional && (result == -EADDRNOTAVAIL || result == -EAFNOSUPPORT))
			return 0;
	}
	return result;
}

static int open_tcp(struct net *net, char *error, size_t error_size)
{
	char names[1024];
	char *next = names;
	net->port = (int)net->config->port;
	config_text_copy(net->config, "bind", names, sizeof(names));
	int result = 0;
	for (char *name; result == 0 && net->port && (name = strsep(&next, " ")) != NULL;) {
		if (name[0] == '\0')
			continue;
		if (net->listener_count == LISTENERS_MAX - 1) {
			snprintf(error, error_size, "bind names more than %d addresses",
				LISTENERS_MAX - 1);
			return -EINVAL;
		}
		result = bind_name(net, name, error, error_size);
	}
	if (result == 0 && net->port && net->listener_count == 0 && error[0] == '\0')
		snprintf(error, error_size, "bind names no address");
	return result < 0 || (net->port && net->listener_count == 0) ? -EADDRNOTAVAIL : 0;
}

/* A socket file that nobody listens on is left over from a crash and may go. */
static bool is_abandoned(const struct sockaddr_un *address)
{
	struct stat status;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool refused = lstat(address->sun_path, &status) == 0 && S_ISSOCK(status.st_mode) &&
		connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
		errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static int open_unix(struct net *net, char *error, size_t error_size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t size = config_text_copy(
		net->config, "unixsocket", address.sun_path, sizeof(address.sun_path));
	if (size == 0)
		return 0;
	if (size >= sizeof(address.sun_path)) {
		snprintf(error, error_size, "unixsocket: the path is longer than %zu bytes",
			sizeof(address.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (is_abandoned(&address))
		unlink(address.sun_path);
	int result = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
	if (result == 0 && net->config->unixsocketperm)
		result = chmod(address.sun_path, (mode_t)net->config->unixsocketperm) == 0 ? 0
											   : -errno;
	if (result == 0)
		result = add_listener(net, fd, STREAM_UNIX);
	if (result < 0) {
		snprintf(error, error_size, "cannot listen on unix socket %s: %s", address.sun_path,
			strerror(-result));
		close(fd);
		return result;
	}
	memcpy(net->unix_path, address.sun_path, sizeof(net->unix_path));
	return 0;
}

int listener_open_all(struct net *net, char *error, size_t error_size)
{
	error[0] = '\0';
	int result = open_tcp(net, error, error_size);
	if (result == 0)
		result = open_unix(net, error, error_size);
	if (result == 0 && net->listener_count == 0) {
		snprintf(error, error_size,
			"port is 0 and unixsocket is not set: nothing to "
			"listen on");
		return -EINVAL;
	}
	return result;
}

int listener_start_all(struct net *net)
{
	struct net_loop *loop = &net->loops[net->first_serving];
	for (int i = 0; i < net->listener_count; i++) {
		struct listener *listener = &net->listeners[i];
		int result = uv_poll_init(&loop->uv, &listener->poll, listener->fd);
		if (result < 0)
			return result;
		listener->poll.data = listener;
		result = uv_poll_start(&listener->poll, UV_READABLE, on_readable);
		if (result < 0)
			return result;
	}
	return 0;
}

void listener_resume_all(struct net *net)
{
	for (int i = 0; i < net->listener_count; i++) {
		if (!uv_is_active((uv_handle_t *)&net->listeners[i].poll))
			uv_poll_start(&net->listeners[i].poll, UV_READABLE, on_readable);
	}
}

void listener_stop_all(struct net *net)
{
	for (int i = 0; i < net->listener_count; i++)
		uv_close((uv_handle_t *)&net->listeners[i].poll, NULL);
	listener_close_sockets(net);
}

void listener_close_sockets(struct net *net)
{
	for (int i = 0; i < net->listener_count; i++) {
		if (net->listeners[i].fd >= 0)
			close(net->listeners[i].fd);
		net->listeners[i].fd = -1;
	}
	if (net->unix_path[0])
		unlink(net->unix_path);
	net->unix_path[0] = '\0';
}
