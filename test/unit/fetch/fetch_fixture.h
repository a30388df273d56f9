/*
 * fetch_fixture: a fetcher and the servers it fetches from, on one loop and one thread, so that a
 * test decides what happens when. A server answers by the path of the request:
 *
 *   /echo            the request, byte for byte
 *   /hold            nothing, until release_held
 *   /go/STATUS/URL   a redirect
 *   /loop            a redirect to itself
 *   /bytes/N         a body of N bytes that is as long as the connection lasts
 *   /raw             the bytes in server.raw, and the connection ends
 *
 * Names are looked up here: `getaddrinfo` is the test's own, which libcurl finds before libc's.
 */
#ifndef FETCH_FIXTURE_H
#define FETCH_FIXTURE_H

#include "base/memory.h"
#include "config/config.h"
#include "fetch/fetch.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define FETCHES_MAX    16
#define TEXT_BYTES     512
#define SLOW_LOOKUP_US 600000

struct peer {
	uv_tcp_t tcp;
	struct server *server;
	struct buffer in;
	struct buffer out;
	uv_write_t write;
	bool ends; /* after what is being written */
	bool is_held;
	struct peer *next;
};

struct server {
	uv_tcp_t tcp;
	int port;
	struct peer *peers;
	int connections;
	int requests;
	int held;
	int held_most;
	struct buffer request; /* the last one */
	struct buffer raw;
};

struct fixture {
	uv_loop_t loop;
	struct config config;
	struct fetcher *fetcher;
	struct server servers[2];
	struct fetch fetches[FETCHES_MAX];
	char urls[FETCHES_MAX][TEXT_BYTES + 64];
	int done;
};

/* --- names ------------------------------------------------------------------------------------ */

static _Atomic int lookups_under_way;
static _Atomic int lookups;

static const struct {
	const char *name;
	const char *address;
} hosts[] = {
	{ "one.test", "127.0.0.1" },
	{ "two.test", "127.0.0.1" },
	{ "mapped.test", "::ffff:127.0.0.1" },
	{ "nat64.test", "64:ff9b::7f00:1" },
	{ "ula.test", "fd00::1" },
	{ "link.test", "169.254.169.254" },
	{ "private.test", "10.0.0.1" },
	{ "slow.test", "127.0.0.1" },
};

int getaddrinfo(
	const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	union {
		void *object;
		int (*function)(
			const char *, const char *, const struct addrinfo *, struct addrinfo **);
	} real = { .object = dlsym(RTLD_NEXT, "getaddrinfo") };
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		if (name == NULL || strcmp(name, hosts[i].name) != 0)
			continue;
		lookups++;
		lookups_under_way++;
		if (strcmp(name, "slow.test") == 0)
			usleep(SLOW_LOOKUP_US);
		struct addrinfo numeric = *hints;
		numeric.ai_flags = AI_NUMERICHOST;
		numeric.ai_family = strchr(hosts[i].address, ':') ? AF_INET6 : AF_INET;
		int result = real.function(hosts[i].address, service, &numeric, out);
		lookups_under_way--;
		return result;
	}
	return real.function(name, service, hints, out);
}

/* --- servers ---------------------------------------------------------------------------------- */

static inline void on_peer_closed(uv_handle_t *handle)
{
	struct peer *peer = handle->data;
	struct peer **at = &peer->server->peers;
	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	peer->server->held -= peer->is_held;
	buffer_fini(&peer->in);
	buffer_fini(&peer->out);
	memory_free(peer);
}

static inline void close_peer(struct peer *peer)
{
	if (!uv_is_closing((uv_handle_t *)&peer->tcp))
		uv_close((uv_handle_t *)&peer->tcp, on_peer_closed);
}

static inline void on_written(uv_write_t *write, int status)
{
	struct peer *peer = write->data;
	peer->out.size = 0;
	if (status < 0 || peer->ends)
		close_peer(peer);
}

static inline void flush_peer(struct peer *peer)
{
	uv_buf_t bytes = uv_buf_init(peer->out.data, (unsigned)peer->out.size);
	peer->write.data = peer;
	uv_write(&peer->write, (uv_stream_t *)&peer->tcp, &bytes, 1, on_written);
}

static inline void answer(struct peer *peer, const char *head, struct slice body)
{
	buffer_format(&peer->out, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, body.size);
	buffer_append(&peer->out, body.data, body.size);
	flush_peer(peer);
}

static inline void release_held(struct server *server)
{
	for (struct peer *peer = server->peers; peer; peer = peer->next) {
		if (!peer->is_held)
			continue;
		peer->is_held = false;
		server->held--;
		answer(peer, "200 OK", slice_text("released"));
	}
}

static inline void serve(struct peer *peer, const char *path)
{
	struct server *server = peer->server;
	char head[TEXT_BYTES * 2];
	if (strcmp(path, "/echo") == 0) {
		answer(peer, "200 OK", buffer_slice(&server->request));
	} else if (strcmp(path, "/hold") == 0) {
		peer->is_held = true;
		server->held++;
		if (server->held > server->held_most)
			server->held_most = server->held;
	} else if (strncmp(path, "/go/", 4) == 0) {
		snprintf(head, sizeof(head), "%.3s Elsewhere\r\nLocation: %s", path + 4, path + 8);
		answer(peer, head, slice_text("elsewhere"));
	} else if (strcmp(path, "/loop") == 0) {
		answer(peer, "302 Found\r\nLocation: /loop", slice_text(""));
	} else if (strncmp(path, "/bytes/", 7) == 0) {
		size_t size = strtoul(path + 7, NULL, 10);
		buffer_append_text(&peer->out, "HTTP/1.1 200 OK\r\n\r\n");
		memset(buffer_reserve(&peer->out, size), 'x', size);
		peer->out.size += size;
		peer->ends = true;
		flush_peer(peer);
	} else {
		buffer_append(&peer->out, server->raw.data, server->raw.size);
		peer->ends = true;
		flush_peer(peer);
	}
}

/* A request is taken when it is there whole; the client sends the next after the answer. */
static inline void take_request(struct peer *peer)
{
	struct server *server = peer->server;
	const char *end = memmem(peer->in.data, peer->in.size, "\r\n\r\n", 4);
	if (end == NULL)
		return;
	size_t head = (size_t)(end + 4 - peer->in.data);
	const char *length = memmem(peer->in.data, head, "Content-Length: ", 16);
	size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
	if (peer->in.size < head + body)
		return;
	server->requests++;
	server->request.size = 0;
	buffer_append(&server->request, peer->in.data, head + body);
	buffer_drop_front(&peer->in, head + body);
	char path[TEXT_BYTES] = "";
	buffer_append(&server->request, "", 1);
	server->request.size--;
	assert_int_equal(sscanf(server->request.data, "%*s %511s", path), 1);
	serve(peer, path);
}

static inline void on_room(uv_handle_t *handle, size_t wish, uv_buf_t *out)
{
	struct peer *peer = handle->data;
	*out = uv_buf_init(buffer_reserve(&peer->in, wish), (unsigned)wish);
}

static inline void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *bytes)
{
	struct peer *peer = stream->data;
	(void)bytes;
	if (size < 0) {
		close_peer(peer);
	} else {
		peer->in.size += (size_t)size;
		take_request(peer);
	}
}

static inline void on_connection(uv_stream_t *listener, int status)
{
	struct server *server = listener->data;
	struct peer *peer = memory_zeroed(sizeof(*peer));
	assert_int_equal(status, 0);
	peer->server = server;
	peer->next = server->peers;
	server->peers = peer;
	server->connections++;
	uv_tcp_init(listener->loop, &peer->tcp);
	peer->tcp.data = peer;
	assert_int_equal(uv_accept(listener, (uv_stream_t *)&peer->tcp), 0);
	uv_read_start((uv_stream_t *)&peer->tcp, on_room, on_read);
}

static inline void server_open(struct server *server, uv_loop_t *loop)
{
	struct sockaddr_in address;
	int size = sizeof(address);
	uv_ip4_addr("127.0.0.1", 0, &address);
	uv_tcp_init(loop, &server->tcp);
	server->tcp.data = server;
	assert_int_equal(uv_tcp_bind(&server->tcp, (const struct sockaddr *)&address, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&server->tcp, 64, on_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&server->tcp, (struct sockaddr *)&address, &size), 0);
	server->port = ntohs(address.sin_port);
}

static inline void server_close(struct server *server)
{
	uv_close((uv_handle_t *)&server->tcp, NULL);
	for (struct peer *peer = server->peers; peer; peer = peer->next)
		close_peer(peer);
}

/* --- the fixture ------------------------------------------------------------------------------ */

static inline struct fixture *fixture_new(void)
{
	struct fixture *f = memory_zeroed(sizeof(*f));
	config_init(&f->config);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	for (int i = 0; i < 2; i++)
		server_open(&f->servers[i], &f->loop);
	f->fetcher = fetcher_new(&f->loop, &f->config);
	return f;
}

/* Also with fetches under way. */
static inline void close_fetcher(struct fixture *f)
{
	fetcher_close(f->fetcher);
	for (int i = 0; i < 2; i++)
		server_close(&f->servers[i]);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	fetcher_free(&f->fetcher);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

static inline void fixture_free(struct fixture *f)
{
	if (f->fetcher)
		close_fetcher(f);
	for (int i = 0; i < FETCHES_MAX; i++)
		fetch_clear(&f->fetches[i]);
	for (int i = 0; i < 2; i++) {
		buffer_fini(&f->servers[i].request);
		buffer_fini(&f->servers[i].raw);
	}
	while (lookups_under_way > 0)
		usleep(1000);
	config_fini(&f->config);
	memory_free(f);
}

/* `%d` in the list are the ports of the servers. */
static inline void allow(struct fixture *f, const char *list)
{
	char text[TEXT_BYTES], error[256];
	size_t size = 0;
	int server = 0;
	for (const char *at = list; *at; at++) {
		if (strncmp(at, "%d", 2) == 0) {
			size += (size_t)snprintf(text + size, sizeof(text) - size, "%d",
				f->servers[server++ % 2].port);
			at++;
		} else {
			text[size++] = *at;
		}
	}
	assert_int_equal(config_set(&f->config, slice_text("fetch-allow"), slice_of(text, size),
				 error, sizeof(error)),
		0);
}

static void on_done(struct fetch *fetch)
{
	struct fixture *f = fetch->context;
	assert_null(fetch->exchange);
	assert_true((fetch->status == 0) == (fetch->code[0] != '\0'));
	assert_true(fetch->status > 0 || (fetch->body_in.size == 0 && fetch->headers_in.size == 0));
	f->done++;
}

/* `http://HOST:PORT/PATH`, PORT being that of a server; made, not yet started. */
static inline struct fetch *prepare(
	struct fixture *f, int index, const char *host, int server, const char *path)
{
	struct fetch *fetch = &f->fetches[index];
	fetch_clear(fetch);
	snprintf(f->urls[index], sizeof(f->urls[index]), "http://%s:%d%s", host,
		f->servers[server].port, path);
	*fetch = (struct fetch){
		.url = slice_text(f->urls[index]),
		.timeout_ms = 5000,
		.done = on_done,
		.context = f,
	};
	return fetch;
}

static inline void run_until_done(struct fixture *f, int count)
{
	while (f->done < count)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->done, count);
}

/* Starts it and runs the loop to its end. */
static inline void run(struct fixture *f, struct fetch *fetch)
{
	int done = f->done;
	fetcher_start(f->fetcher, fetch);
	assert_int_equal(f->done, done);
	run_until_done(f, done + 1);
}

static inline void run_until_held(struct fixture *f, int count)
{
	while (f->servers[0].held < count)
		uv_run(&f->loop, UV_RUN_ONCE);
}

static inline bool holds(const struct buffer *buffer, const char *text)
{
	return memmem(buffer->data, buffer->size, text, strlen(text)) != NULL;
}

#define assert_answer(fetch, expected)                                                             \
	do {                                                                                       \
		assert_string_equal((fetch)->error, "");                                           \
		assert_int_equal((fetch)->status, (expected));                                     \
	} while (0)

#define assert_failure(fetch, expected, text)                                                      \
	do {                                                                                       \
		assert_int_equal((fetch)->status, 0);                                              \
		assert_string_equal((fetch)->code, (expected));                                    \
		if (strstr((fetch)->error, (text)) == NULL)                                        \
			fail_msg("'%s' lacks '%s'", (fetch)->error, (text));                       \
	} while (0)

#endif
