/*
 * fetch: HTTP from a worker's loop, by libcurl's multi interface on libuv. It goes only where
 * `fetch-allow` lets it: each hop's host and port must be on the list (`api.example.com`,
 * `*.example.com`, `localhost:8080`; without a port 80 and 443), and a private, loopback or
 * link-local address (RFC 1918, 4193, 5735, 6598, 6890) is refused unless the host is named on the
 * list without a wildcard, whatever name it was resolved from. TLS is verified. No proxies, no
 * cookies, no user names in URLs, http and https only.
 *
 * Threads: the loop's.
 */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include "base/buffer.h"
#include "base/slice.h"

#include <stdint.h>

struct config;
struct fetcher;
struct fetch_exchange;
struct uv_loop_s;

/* The code of an exchange that fetch-allow does not let through. */
#define FETCH_FORBIDDEN "FORBIDDEN"

struct fetch_header {
	struct slice name;
	struct slice value;
};

/* How far it came: what goes wrong before there is a connection is the origin's, or the way's. */
enum fetch_reach {
	FETCH_WAITED,    /* in line, or refused before a connection was tried */
	FETCH_TRIED,     /* to connect, looking up the name included */
	FETCH_CONNECTED, /* on the first hop at least */
};

/* One exchange; the caller's memory until `done` has been called. */
struct fetch {
	/* asked; the bytes are borrowed until it ends */
	struct slice url;
	struct slice method; /* empty: GET, or POST with a body */
	struct slice body;
	bool has_body;
	const struct fetch_header *headers;
	uint32_t header_count;
	int64_t timeout_ms;     /* 1 to LIMIT_FETCH_TIMEOUT_MS, over all hops */
	uint32_t redirects_max; /* 0: a redirect is an answer like others */
	bool headers_bound;     /* none of the headers goes to another origin than the first */
	void (*done)(struct fetch *fetch); /* from the loop, never from within fetcher_start */
	void *context;
	/* Told, as the answer comes, how many bytes it takes; says how many its body may have.
	 * NULL: fetch-size-limit alone. */
	size_t (*hold)(struct fetch *fetch, size_t bytes);

	/* answered */
	int status; /* 0: no answer, `error` says why */
	enum fetch_reach reach;
	struct buffer headers_in; /* lines `name: value\n`, names lower case, of the last hop */
	struct buffer body_in;
	char error[256];
	/* with an error: FORBIDDEN, TIMEOUT, TOOLARGE, BADURL, BADREQUEST or NETWORK */
	char code[16];

	struct fetch_exchange *exchange; /* fetch.c's; NULL: not under way */
};

/* `config` gives fetch-allow, fetch-size-limit, fetch-concurrency, read at each start. */
struct fetcher *fetcher_new(struct uv_loop_s *loop, struct config *config);
/* More than fetch-concurrency at a time wait in line; their time-out runs meanwhile. */
void fetcher_start(struct fetcher *fetcher, struct fetch *fetch);
/* It ends at once, `done` is not called, its buffers are freed. */
void fetcher_cancel(struct fetcher *fetcher, struct fetch *fetch);
/* Cancels all, closes its handles; the loop must run on until they are closed, then call
 * fetcher_free. */
void fetcher_close(struct fetcher *fetcher);
void fetcher_free(struct fetcher **fetcher);
/* Frees what the answer holds. */
void fetch_clear(struct fetch *fetch);

#endif
