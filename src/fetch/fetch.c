/*
 * fetch: see fetch.h. An exchange is what is kept of one struct fetch from its start to its end:
 *
 *   fetcher_start -> in line --(fewer than fetch-concurrency)--> a hop -> ... a hop -> done
 *                       |                                          |
 *                       '---- the deadline, fetcher_cancel, an error: wherever it is --> ended
 *
 * A hop is one request to one host: a target that the list lets through, and an easy handle in the
 * multi. Redirects are followed here and not by libcurl, because each of them is checked anew like
 * the first URL. Addresses are checked where the socket is made, after the look-up, so a name that
 * points elsewhere the next time gains nothing; and once more before a request is sent, because a
 * kept connection may have been made when the list said something else.
 *
 * libcurl tells which sockets it waits for (a watch each, closed when it loses interest) and when
 * it wants to be called again (one timer). Neither ends an exchange from within: what libcurl has
 * finished is collected after each call of curl_multi_socket_action, and only there, from the
 * deadline and from the begin timer is `done` called. So `done` may start and cancel fetches.
 *
 * An exchange's memory outlives its end until its timer is closed. Threads: the loop's.
 */
#include "fetch/fetch.h"

#include "base/list.h"
#include "base/memory.h"
#include "config/config.h"
#include "config/fetch_allow.h"
#include "fetch/fetch_coding.h"
#include "fetch/fetch_message.h"
#include "holdfast/errors.h"
#include "holdfast/limits.h"

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <uv.h>

#define IDLE_CONNECTIONS_MAX 32 /* kept open for the next fetch */
/* Where a pointer has come through libuv or libcurl. */
#define FETCHER_MAGIC  0x66746372u
#define EXCHANGE_MAGIC 0x66746578u
#define WATCH_MAGIC    0x66747774u

struct fetcher {
	uint32_t magic;
	uv_loop_t *loop;
	struct config *config;
	CURLM *multi;
	uv_timer_t begin_timer; /* runs when there may be room for what is in line */
	uv_timer_t curl_timer;  /* when libcurl wants to be called */
	struct list waiting;    /* exchanges, in the order of their starts */
	struct list running;
	uint32_t running_count;
	uint32_t open_handles; /* not closed yet by the loop */
	bool is_closed;
	struct buffer allow_list; /* as last read */
};

enum stop {
	STOP_NOTHING,
	STOP_ADDRESS,
	STOP_BODY_SIZE,
	STOP_HEADER_SIZE,
	STOP_CODING,
};

struct fetch_exchange {
	uint32_t magic;
	struct list_node in_list; /* of those that wait, then of those that run */
	struct fetcher *fetcher;
	struct fetch *fetch;
	uv_timer_t deadline;
	bool is_running;
	int64_t body_bytes_max;
	bool is_held; /* to less, by fetch->hold */
	uint32_t redirects;
	struct fetch_message message;
	/* the hop */
	struct fetch_target target;
	bool any_address;
	CURL *easy;
	struct curl_slist *headers;
	size_t header_bytes;
	bool has_headers; /* all of the answer's */
	bool has_body;    /* some of it, and `coding` is known */
	struct fetch_coding *coding;
	enum fetch_coding_state coding_state;
	enum stop stop; /* why a callback has ended it */
	char curl_error[CURL_ERROR_SIZE];
};

/* A socket of libcurl's on the loop. */
struct watch {
	uint32_t magic;
	uv_poll_t poll;
	struct fetcher *fetcher;
	curl_socket_t socket;
};

static struct fetcher *fetcher_of(void *data)
{
	struct fetcher *fetcher = data;
	assert(fetcher->magic == FETCHER_MAGIC);
	return fetcher;
}

static struct fetch_exchange *exchange_of(void *data)
{
	struct fetch_exchange *exchange = data;
	assert(exchange->magic == EXCHANGE_MAGIC);
	return exchange;
}

static struct watch *watch_of(void *data)
{
	struct watch *watch = data;
	assert(watch->magic == WATCH_MAGIC);
	return watch;
}

static void global_init(void);
static void open_timer(struct fetcher *fetcher, uv_timer_t *timer, void *data);
static void on_begin(uv_timer_t *timer);
static bool begin_hop(struct fetch_exchange *exchange, struct slice url);
static void read_allow_list(struct fetcher *fetcher);
static void set_options(struct fetch_exchange *exchange);
static void set_callbacks(struct fetch_exchange *exchange);
static void end_hop(struct fetch_exchange *exchange);
static void on_deadline(uv_timer_t *timer);
static void finish(struct fetch_exchange *exchange);
static void retire(struct fetch_exchange *exchange);
static void on_exchange_closed(uv_handle_t *handle);
static void on_timer_closed(uv_handle_t *handle);
static int on_socket_wish(
	CURL *easy, curl_socket_t socket, int wish, void *context, void *socket_context);
static int on_timer_wish(CURLM *multi, long timeout_ms, void *context);
static void fail(struct fetch *fetch, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

struct fetcher *fetcher_new(struct uv_loop_s *loop, struct config *config)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, global_init);
	struct fetcher *fetcher = memory_zeroed(sizeof(*fetcher));
	fetcher->magic = FETCHER_MAGIC;
	fetcher->loop = loop;
	fetcher->config = config;
	open_timer(fetcher, &fetcher->begin_timer, fetcher);
	open_timer(fetcher, &fetcher->curl_timer, fetcher);
	fetcher->multi = curl_multi_init();
	assert(fetcher->multi != NULL);
	curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wish);
	curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
	curl_multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX);
	return fetcher;
}

void fetcher_start(struct fetcher *fetcher, struct fetch *fetch)
{
	assert(!fetcher->is_closed);
	assert(fetch->done != NULL);
	assert(fetch->timeout_ms >= 1);
	assert(fetch->timeout_ms <= LIMIT_FETCH_TIMEOUT_MS);
	struct fetch_exchange *exchange = memory_zeroed(sizeof(*exchange));
	exchange->magic = EXCHANGE_MAGIC;
	exchange->fetcher = fetcher;
	exchange->fetch = fetch;
	exchange->body_bytes_max = fetcher->config->fetch_bytes_max;
	fetch->exchange = exchange;
	fetch->status = 0;
	fetch->reach = FETCH_WAITED;
	fetch->error[0] = '\0';
	fetch->code[0] = '\0';
	buffer_init(&fetch->headers_in);
	buffer_init(&fetch->body_in);
	/* A long turn may have passed since the loop looked at the clock. */
	uv_update_time(fetcher->loop);
	open_timer(fetcher, &exchange->deadline, exchange);
	uv_timer_start(&exchange->deadline, on_deadline, (uint64_t)fetch->timeout_ms, 0);
	list_append(&fetcher->waiting, &exchange->in_list);
	uv_timer_start(&fetcher->begin_timer, on_begin, 0, 0);
}

void fetcher_cancel(struct fetcher *fetcher, struct fetch *fetch)
{
	if (fetch->exchange) {
		assert(fetch->exchange->fetcher == fetcher);
		retire(fetch->exchange);
	}
	fetch_clear(fetch);
}

void fetcher_close(struct fetcher *fetcher)
{
	assert(!fetcher->is_closed);
	fetcher->is_closed = true;
	const struct list *lists[] = { &fetcher->waiting, &fetcher->running };
	for (size_t i = 0; i < 2; i++) {
		while (lists[i]->first)
			fetcher_cancel(fetcher,
				container_of(lists[i]->first, struct fetch_exchange, in_list)
					->fetch);
	}
	uv_close((uv_handle_t *)&fetcher->begin_timer, on_timer_closed);
	uv_close((uv_handle_t *)&fetcher->curl_timer, on_timer_closed);
}

void fetcher_free(struct fetcher **fetcher)
{
	struct fetcher *freed = *fetcher;
	*fetcher = NULL;
	if (freed == NULL)
		return;
	assert(freed->is_closed);
	assert(freed->open_handles == 0);
	/* Connections that are kept are closed now; the loop is of no use any more. */
	curl_multi_setopt(freed->multi, CURLMOPT_SOCKETFUNCTION, NULL);
	curl_multi_setopt(freed->multi, CURLMOPT_TIMERFUNCTION, NULL);
	curl_multi_cleanup(freed->multi);
	buffer_fini(&freed->allow_list);
	memory_free(freed);
}

void fetch_clear(struct fetch *fetch)
{
	buffer_fini(&fetch->headers_in);
	buffer_fini(&fetch->body_in);
}

static void global_init(void)
{
	CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
	assert(result == CURLE_OK);
}

static void open_timer(struct fetcher *fetcher, uv_timer_t *timer, void *data)
{
	int result = uv_timer_init(fetcher->loop, timer);
	assert(result == 0);
	timer->data = data;
	fetcher->open_handles++;
}

/* --- beginning -------------------------------------------------------------------------------- */

static void on_begin(uv_timer_t *timer)
{
	struct fetcher *fetcher = fetcher_of(timer->data);
	while (fetcher->waiting.first != NULL &&
		fetcher->running_count < fetcher->config->fetch_concurrency) {
		struct fetch_exchange *exchange =
			container_of(list_take(&fetcher->waiting), struct fetch_exchange, in_list);
		list_append(&fetcher->running, &exchange->in_list);
		exchange->is_running = true;
		fetcher->running_count++;
		char error[sizeof(exchange->fetch->error)];
		bool begun = fetch_message_init(
			&exchange->message, exchange->fetch, error, sizeof(error));
		if (!begun)
			fail(exchange->fetch, "%s", error);
		if (!begun || !begin_hop(exchange, exchange->fetch->url))
			finish(exchange);
	}
}

/* False: the fetch has failed. */
static bool begin_hop(struct fetch_exchange *exchange, struct slice url)
{
	struct fetcher *fetcher = exchange->fetcher;
	struct fetch_target target;
	char error[sizeof(exchange->fetch->error)];
	if (!fetch_target_init(&target, url, error, sizeof(error))) {
		fail(exchange->fetch, "%s", error);
		return false;
	}
	bool is_first = exchange->target.url == NULL;
	if (!is_first && !fetch_target_is_same_origin(&target, &exchange->target)) {
		exchange->message.drops_credentials = true;
		exchange->message.drops_headers |= exchange->fetch->headers_bound;
	}
	fetch_target_fini(&exchange->target);
	exchange->target = target;
	read_allow_list(fetcher);
	enum fetch_permission permission =
		fetch_permission(buffer_slice(&fetcher->allow_list), &target, error, sizeof(error));
	if (permission == FETCH_REFUSED) {
		fail(exchange->fetch, "%s", error);
		return false;
	}
	exchange->any_address = permission == FETCH_ANYWHERE;
	exchange->header_bytes = 0;
	exchange->has_headers = exchange->has_body = false;
	exchange->coding_state = FETCH_CODING_GOOD;
	exchange->stop = STOP_NOTHING;
	exchange->curl_error[0] = '\0';
	if (exchange->fetch->reach == FETCH_WAITED)
		exchange->fetch->reach = FETCH_TRIED;
	exchange->easy = curl_easy_init();
	assert(exchange->easy != NULL);
	set_options(exchange);
	set_callbacks(exchange);
	CURLMcode result = curl_multi_add_handle(fetcher->multi, exchange->easy);
	assert(result == CURLM_OK);
	return true;
}

/* Whole: a list cut in the middle of a word would name another host. */
static void read_allow_list(struct fetcher *fetcher)
{
	struct buffer *list = &fetcher->allow_list;
	list->size = 0;
	size_t size = 0;
	do {
		buffer_reserve(list, size + 1);
		size = config_text_copy(fetcher->config, "fetch-allow", list->data, list->capacity);
	} while (size >= list->capacity);
	list->size = size;
}

/* What libcurl may do is said in full, defaults too where safety rests on them. */
static void set_options(struct fetch_exchange *exchange)
{
	CURL *easy = exchange->easy;
	const struct fetch_message *message = &exchange->message;
	const struct slice body = exchange->fetch->body;
	unsigned wrong = 0;
	exchange->headers = fetch_message_headers(message, exchange->fetch);
	wrong |= curl_easy_setopt(easy, CURLOPT_CURLU, exchange->target.url);
	wrong |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	wrong |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0l);
	wrong |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	wrong |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	wrong |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1l);
	wrong |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2l);
	wrong |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1l);
	/* A look-up that is given up goes on in its own thread; nobody waits for it. */
	wrong |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1l);
	/* Sends the header; undoing is ours (fetch_coding.h). */
	wrong |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, FETCH_CODINGS);
	wrong |= curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0l);
	wrong |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "holdfast/" HOLDFAST_VERSION);
	wrong |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
	if (message->sends_body) {
		wrong |= curl_easy_setopt(easy, CURLOPT_POST, 1l);
		wrong |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size);
		wrong |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.size ? body.data : "");
	}
	if (strcmp(message->method, "HEAD") == 0)
		wrong |= curl_easy_setopt(easy, CURLOPT_NOBODY, 1l);
	else
		wrong |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, message->method);
	assert(wrong == CURLE_OK);
}

/* --- what libcurl calls during a hop ---------------------------------------------------------- */

static curl_socket_t on_open_socket(
	void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct fetch_exchange *exchange = exchange_of(context);
	if (!exchange->any_address && !fetch_address_is_public(&address->addr)) {
		exchange->stop = STOP_ADDRESS;
		return CURL_SOCKET_BAD;
	}
	(void)purpose;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int on_connected(void *context, char *address, char *own_address, int port, int own_port)
{
	struct fetch_exchange *exchange = exchange_of(context);
	struct sockaddr_in ipv4 = { .sin_family = AF_INET };
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };
	(void)own_address;
	(void)port;
	(void)own_port;
	bool is_public = false;
	if (inet_pton(AF_INET, address, &ipv4.sin_addr) == 1)
		is_public = fetch_address_is_public((const struct sockaddr *)&ipv4);
	else if (inet_pton(AF_INET6, address, &ipv6.sin6_addr) == 1)
		is_public = fetch_address_is_public((const struct sockaddr *)&ipv6);
	/* Of a host's addresses some may have been refused before this one answered. */
	exchange->stop = exchange->any_address || is_public ? STOP_NOTHING : STOP_ADDRESS;
	if (exchange->stop == STOP_NOTHING)
		exchange->fetch->reach = FETCH_CONNECTED;
	return exchange->stop == STOP_NOTHING ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
	struct fetch_exchange *exchange = exchange_of(context);
	size_t total = size * count;
	exchange->header_bytes += total;
	if (exchange->header_bytes > LIMIT_FETCH_HEADER_BYTES) {
		exchange->stop = STOP_HEADER_SIZE;
		return 0;
	}
	fetch_message_note_header(
		&exchange->fetch->headers_in, slice_of(bytes, total), &exchange->has_headers);
	return total;
}

/* The limit holds for what a small answer unfolds to. */
static enum fetch_coding_state add_to_body(struct fetch_exchange *exchange, struct slice bytes)
{
	struct fetch *fetch = exchange->fetch;
	struct buffer *body = &fetch->body_in;
	enum fetch_coding_state state = FETCH_CODING_GOOD;
	size_t bytes_max = (size_t)exchange->body_bytes_max;
	size_t held_max = fetch->hold
		? fetch->hold(fetch, body->capacity + fetch->headers_in.capacity)
		: bytes_max;
	exchange->is_held = held_max < bytes_max;
	if (exchange->is_held)
		bytes_max = held_max;
	if (!exchange->has_body)
		exchange->coding = fetch_coding_new(buffer_slice(&fetch->headers_in), &state);
	exchange->has_body = true;
	if (body->size > bytes_max)
		return FETCH_CODING_TOO_LARGE;
	if (exchange->coding)
		return fetch_coding_put(exchange->coding, bytes, bytes_max, body);
	if (bytes.size > bytes_max - body->size)
		return FETCH_CODING_TOO_LARGE;
	buffer_append(body, bytes.data, bytes.size);
	return state;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct fetch_exchange *exchange = exchange_of(context);
	size_t total = size * count;
	exchange->coding_state = add_to_body(exchange, slice_of(bytes, total));
	if (exchange->coding_state == FETCH_CODING_GOOD)
		return total;
	exchange->stop =
		exchange->coding_state == FETCH_CODING_TOO_LARGE ? STOP_BODY_SIZE : STOP_CODING;
	return 0;
}

static void set_callbacks(struct fetch_exchange *exchange)
{
	CURL *easy = exchange->easy;
	unsigned wrong = 0;
	wrong |= curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
	wrong |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->curl_error);
	wrong |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	wrong |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, exchange);
	wrong |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
	wrong |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
	wrong |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	wrong |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
	wrong |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	wrong |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
	assert(wrong == CURLE_OK);
}

/* --- the end of a hop ------------------------------------------------------------------------- */

/* What keeps an answer that libcurl is content with from being whole; NULL: nothing. A part that
 * was not asked for is none (RFC 9110, 15.3.7). */
static const char *answer_complaint(struct fetch_exchange *exchange, long status)
{
	enum fetch_coding_state state = exchange->coding_state;
	if (exchange->coding && state == FETCH_CODING_GOOD)
		state = fetch_coding_end(exchange->coding);
	switch (state) {
	case FETCH_CODING_UNKNOWN:
		return "its body is in a coding that was not asked for";
	case FETCH_CODING_BROKEN:
		return "its body is not in the coding that it says";
	case FETCH_CODING_CUT:
		return "its body is cut off";
	case FETCH_CODING_TOO_LARGE:
	case FETCH_CODING_GOOD:
		break;
	}
	if (!exchange->has_headers)
		return "its headers are cut off";
	if (status == 206 && !fetch_message_asks_for_part(exchange->fetch))
		return "it is a part, and the whole was asked for";
	return fetch_message_framing_complaint(buffer_slice(&exchange->fetch->headers_in));
}

static void say_failure(struct fetch_exchange *exchange, CURLcode result)
{
	struct fetch *fetch = exchange->fetch;
	const char *host = exchange->target.host;
	unsigned port = exchange->target.port;
	switch (exchange->stop) {
	case STOP_ADDRESS:
		fail(fetch, ERROR_FETCH_ADDRESS, host, port);
		return;
	case STOP_BODY_SIZE:
		if (exchange->is_held)
			fail(fetch, ERROR_FETCH_MEMORY);
		else
			fail(fetch, ERROR_FETCH_BODY_SIZE, (long long)exchange->body_bytes_max);
		return;
	case STOP_HEADER_SIZE:
		fail(fetch, ERROR_FETCH_ANSWER_HEAD);
		return;
	case STOP_CODING:
		fail(fetch, ERROR_FETCH_ANSWER, host, port, answer_complaint(exchange, 0));
		return;
	case STOP_NOTHING:
		break;
	}
	const char *reason =
		exchange->curl_error[0] ? exchange->curl_error : curl_easy_strerror(result);
	fail(fetch, ERROR_FETCH_NETWORK, host, port, reason);
}

/* False: the fetch has failed. */
static bool follow(struct fetch_exchange *exchange, int status, const char *location)
{
	struct fetch *fetch = exchange->fetch;
	if (exchange->redirects == fetch->redirects_max) {
		fail(fetch, ERROR_FETCH_REDIRECTS, (unsigned)fetch->redirects_max);
		return false;
	}
	exchange->redirects++;
	fetch_message_redirect(&exchange->message, status);
	struct buffer url;
	buffer_init(&url);
	buffer_append_text(&url, location); /* it is the handle's */
	end_hop(exchange);
	fetch_clear(fetch);
	bool begun = begin_hop(exchange, buffer_slice(&url));
	buffer_fini(&url);
	return begun;
}

static void take_answer(struct fetch_exchange *exchange, CURLcode result)
{
	struct fetch *fetch = exchange->fetch;
	long status = 0;
	char *location = NULL;
	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(exchange->easy, CURLINFO_REDIRECT_URL, &location);
	if (result != CURLE_OK || status <= 0) {
		say_failure(exchange, result);
		finish(exchange);
		return;
	}
	const char *complaint = answer_complaint(exchange, status);
	bool redirects = fetch->redirects_max > 0 && location != NULL &&
		fetch_message_is_redirect((int)status);
	if (complaint)
		fail(fetch, ERROR_FETCH_ANSWER, exchange->target.host, exchange->target.port,
			complaint);
	else if (!redirects)
		fetch->status = (int)status;
	else if (follow(exchange, (int)status, location))
		return;
	finish(exchange);
}

static void take_finished(struct fetcher *fetcher)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(fetcher->multi, &left))) {
		void *exchange = NULL;
		assert(message->msg == CURLMSG_DONE);
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
		take_answer(exchange_of(exchange), message->data.result);
	}
}

static void end_hop(struct fetch_exchange *exchange)
{
	if (exchange->easy) {
		curl_multi_remove_handle(exchange->fetcher->multi, exchange->easy);
		curl_easy_cleanup(exchange->easy);
		exchange->easy = NULL;
	}
	fetch_coding_free(&exchange->coding);
	curl_slist_free_all(exchange->headers);
	exchange->headers = NULL;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void on_deadline(uv_timer_t *timer)
{
	struct fetch_exchange *exchange = exchange_of(timer->data);
	struct fetch *fetch = exchange->fetch;
	long long timeout_ms = fetch->timeout_ms;
	if (exchange->is_running)
		fail(fetch, ERROR_FETCH_TIMEOUT, exchange->target.host,
			(unsigned)exchange->target.port, timeout_ms);
	else
		fail(fetch, ERROR_FETCH_IN_LINE, timeout_ms);
	finish(exchange);
}

static void finish(struct fetch_exchange *exchange)
{
	struct fetch *fetch = exchange->fetch;
	retire(exchange);
	if (fetch->status == 0)
		fetch_clear(fetch);
	fetch->done(fetch);
}

static void retire(struct fetch_exchange *exchange)
{
	struct fetcher *fetcher = exchange->fetcher;
	end_hop(exchange);
	fetch_target_fini(&exchange->target);
	list_remove(
		exchange->is_running ? &fetcher->running : &fetcher->waiting, &exchange->in_list);
	fetcher->running_count -= exchange->is_running;
	if (fetcher->waiting.first != NULL && !fetcher->is_closed)
		uv_timer_start(&fetcher->begin_timer, on_begin, 0, 0);
	exchange->fetch->exchange = NULL;
	exchange->fetch = NULL;
	uv_close((uv_handle_t *)&exchange->deadline, on_exchange_closed);
}

static void on_exchange_closed(uv_handle_t *handle)
{
	struct fetch_exchange *exchange = exchange_of(handle->data);
	exchange->fetcher->open_handles--;
	memory_free(exchange);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct fetcher *fetcher = fetcher_of(handle->data);
	fetcher->open_handles--;
}

/* --- libcurl on the loop ---------------------------------------------------------------------- */

static void on_watch_event(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = watch_of(poll->data);
	struct fetcher *fetcher = watch->fetcher;
	int happened = status < 0 ? CURL_CSELECT_ERR : 0;
	int running;
	happened |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
	happened |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
	curl_multi_socket_action(fetcher->multi, watch->socket, happened, &running);
	take_finished(fetcher);
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *watch = watch_of(handle->data);
	watch->fetcher->open_handles--;
	memory_free(watch);
}

static int on_socket_wish(
	CURL *easy, curl_socket_t socket, int wish, void *context, void *socket_context)
{
	struct fetcher *fetcher = fetcher_of(context);
	struct watch *watch = socket_context;
	(void)easy;
	if (wish == CURL_POLL_REMOVE) {
		if (watch)
			uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
		curl_multi_assign(fetcher->multi, socket, NULL);
		return 0;
	}
	if (watch == NULL) {
		watch = memory_zeroed(sizeof(*watch));
		if (uv_poll_init(fetcher->loop, &watch->poll, socket) != 0) {
			/* The kernel has no more watches: the deadline ends the fetch. */
			memory_free(watch);
			return 0;
		}
		watch->magic = WATCH_MAGIC;
		watch->poll.data = watch;
		watch->fetcher = fetcher;
		watch->socket = socket;
		fetcher->open_handles++;
		curl_multi_assign(fetcher->multi, socket, watch);
	}
	int events = wish & CURL_POLL_IN ? UV_READABLE : 0;
	events |= wish & CURL_POLL_OUT ? UV_WRITABLE : 0;
	uv_poll_start(&watch->poll, events, on_watch_event);
	return 0;
}

static void on_curl_due(uv_timer_t *timer)
{
	struct fetcher *fetcher = fetcher_of(timer->data);
	int running;
	curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_finished(fetcher);
}

/* Never calls back at once, since libcurl is not entered twice. */
static int on_timer_wish(CURLM *multi, long timeout_ms, void *context)
{
	struct fetcher *fetcher = fetcher_of(context);
	(void)multi;
	if (timeout_ms < 0)
		uv_timer_stop(&fetcher->curl_timer);
	else
		uv_timer_start(&fetcher->curl_timer, on_curl_due, (uint64_t)timeout_ms, 0);
	return 0;
}

/* --- small things ----------------------------------------------------------------------------- */

/* `format` begins with the code word. Bytes that others sent become printable. */
static void fail(struct fetch *fetch, const char *format, ...)
{
	char text[sizeof(fetch->code) + sizeof(fetch->error)];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (char *at = text; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = ' ';
	}
	char *blank = strchr(text, ' ');
	assert(blank != NULL);
	*blank = '\0';
	assert(strlen(text) < sizeof(fetch->code));
	memcpy(fetch->code, text, strlen(text) + 1);
	snprintf(fetch->error, sizeof(fetch->error), "%s", blank + 1);
}
