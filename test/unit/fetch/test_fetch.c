/*
 * The fetcher against servers on the same loop: what is sent and what comes back, redirects hop by
 * hop, addresses that names lead to, limits, the line before fetch-concurrency, and every way an
 * exchange can end early.
 */
#include "fetch_fixture.h"

#include "base/random.h"
#include "fetch/fetch_message.h"
#include "holdfast/limits.h"

#include <ctype.h>

#define FUZZ_ROUNDS 20000

static int set_up(void **state)
{
	*state = fixture_new();
	allow(*state, "127.0.0.1:%d 127.0.0.1:%d");
	return 0;
}

static int tear_down(void **state)
{
	fixture_free(*state);
	return 0;
}

static void set_raw(struct fixture *f, const char *text)
{
	f->servers[0].raw.size = 0;
	buffer_append_text(&f->servers[0].raw, text);
}

static void set_number(struct fixture *f, const char *name, const char *value)
{
	char error[256];
	assert_int_equal(
		config_set(&f->config, slice_text(name), slice_text(value), error, sizeof(error)),
		0);
}

static int64_t elapsed_ms(uint64_t since_ns)
{
	return (int64_t)((uv_hrtime() - since_ns) / 1000000);
}

/* --- messages --------------------------------------------------------------------------------- */

static void gets_a_page_with_its_status_and_body(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
	run(f, fetch);
	assert_answer(fetch, 200);
	assert_true(holds(&fetch->body_in, "GET /echo HTTP/1.1\r\n"));
	assert_true(holds(&fetch->body_in, "\r\nUser-Agent: holdfast/"));
	assert_false(holds(&fetch->body_in, "Content-Length"));
	assert_true(holds(&fetch->headers_in, "content-length: "));
}

static void posts_a_body_as_it_is(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
	fetch->body = slice_of("a\0b\r\n", 5);
	fetch->has_body = true;
	run(f, fetch);
	assert_answer(fetch, 200);
	assert_true(holds(&fetch->body_in, "POST /echo HTTP/1.1\r\n"));
	assert_true(holds(&fetch->body_in, "Content-Length: 5\r\n"));
	assert_false(holds(&fetch->body_in, "Content-Type"));
	assert_memory_equal(fetch->body_in.data + fetch->body_in.size - 5, "a\0b\r\n", 5);
}

static void posts_a_large_body_without_waiting_for_leave(void **state)
{
	struct fixture *f = *state;
	struct buffer body = { 0 };
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
	memset(buffer_reserve(&body, 3 << 20), 'b', 3 << 20);
	body.size = 3 << 20;
	fetch->body = buffer_slice(&body);
	fetch->has_body = true;
	run(f, fetch);
	assert_answer(fetch, 200);
	assert_true(fetch->body_in.size > body.size);
	assert_false(holds(&fetch->body_in, "Expect"));
	buffer_fini(&body);
}

static void sends_any_method_in_capitals(void **state)
{
	static const struct {
		const char *method;
		const char *line;
		bool has_length;
	} cases[] = {
		{ "delete", "DELETE /echo", false },
		{ "PATCH", "PATCH /echo", true },
		{ "Put", "PUT /echo", true },
		{ "PROPFIND", "PROPFIND /echo", false },
		{ "post", "POST /echo", true },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
		fetch->method = slice_text(cases[i].method);
		run(f, fetch);
		assert_answer(fetch, 200);
		assert_true(holds(&fetch->body_in, cases[i].line));
		assert_int_equal(
			holds(&fetch->body_in, "Content-Length: 0\r\n"), cases[i].has_length);
	}
	struct fetch *head = prepare(f, 0, "127.0.0.1", 0, "/echo");
	head->method = slice_text("head");
	run(f, head);
	assert_answer(head, 200);
	assert_int_equal(head->body_in.size, 0);
	assert_true(holds(&f->servers[0].request, "HEAD /echo"));
}

static void sends_the_headers_it_is_given(void **state)
{
	struct fixture *f = *state;
	const struct fetch_header headers[] = {
		{ slice_text("X-One"), slice_text(" a b\t") },
		{ slice_text("X-Two"), slice_text("caf\xc3\xa9") },
		{ slice_text("X-Empty"), slice_text("  ") },
		{ slice_text("user-agent"), slice_text("mine") },
		{ slice_text("Content-Type"), slice_text("text/x") },
	};
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
	fetch->headers = headers;
	fetch->header_count = sizeof(headers) / sizeof(headers[0]);
	fetch->has_body = true;
	run(f, fetch);
	assert_answer(fetch, 200);
	assert_true(holds(&fetch->body_in, "\r\nX-One: a b\r\n"));
	assert_true(holds(&fetch->body_in, "\r\nX-Two: caf\xc3\xa9\r\n"));
	assert_true(holds(&fetch->body_in, "\r\nX-Empty:\r\n"));
	assert_true(holds(&fetch->body_in, "\r\nuser-agent: mine\r\n"));
	assert_true(holds(&fetch->body_in, "\r\nContent-Type: text/x\r\n"));
	assert_false(holds(&fetch->body_in, "holdfast/"));
}

static void refuses_headers_and_methods_that_would_break_the_message(void **state)
{
	static const struct {
		struct slice name;
		struct slice value;
	} cases[] = {
		{ { "X", 1 }, { "a\r\nY: b", 7 } },
		{ { "X", 1 }, { "a\nb", 3 } },
		{ { "X", 1 }, { "a\0b", 3 } },
		{ { "X\r\nY", 4 }, { "a", 1 } },
		{ { "X:", 2 }, { "a", 1 } },
		{ { "X Y", 3 }, { "a", 1 } },
		{ { "X\0", 2 }, { "a", 1 } },
		{ { "", 0 }, { "a", 1 } },
		{ { "host", 4 }, { "a", 1 } },
		{ { "Content-Length", 14 }, { "1", 1 } },
		{ { "Transfer-Encoding", 17 }, { "chunked", 7 } },
		{ { "CONNECTION", 10 }, { "close", 5 } },
		{ { "Upgrade", 7 }, { "h2c", 3 } },
	};
	static const char *const methods[] = { "G T", "GET\r\n", "CONNECT", "trace", "A\x80",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF" };
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetch_header header = { cases[i].name, cases[i].value };
		struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
		fetch->headers = &header;
		fetch->header_count = 1;
		run(f, fetch);
		assert_failure(fetch, "BADREQUEST", "header '");
	}
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
		fetch->method = slice_text(methods[i]);
		run(f, fetch);
		assert_failure(fetch, "BADREQUEST", "method");
	}
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
	fetch->method = slice_text("HEAD");
	fetch->has_body = true;
	run(f, fetch);
	assert_failure(fetch, "BADREQUEST", "HEAD");
	assert_int_equal(f->servers[0].connections, 0);
}

static void headers_to_send_are_bounded(void **state)
{
	struct fixture *f = *state;
	char *value = memory_alloc(LIMIT_FETCH_HEADER_BYTES);
	memset(value, 'v', LIMIT_FETCH_HEADER_BYTES);
	struct fetch_header header = { slice_text("X"),
		slice_of(value, LIMIT_FETCH_HEADER_BYTES - 5) };
	for (size_t more = 0; more < 2; more++) {
		struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
		header.value.size += more;
		fetch->headers = &header;
		fetch->header_count = 1;
		run(f, fetch);
		if (more == 0)
			assert_answer(fetch, 200);
		else
			assert_failure(fetch, "BADREQUEST", "65536");
	}
	memory_free(value);
}

static void notes_headers_in_lower_case_line_by_line(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/raw");
	set_raw(f,
		"HTTP/1.1 103 Early Hints\r\nLink: early\r\n\r\n"
		"HTTP/1.1 404 Not Found\r\nX-Name:  Value: Two \r\nSet-Cookie: a=1\r\n"
		"Set-Cookie: b=2\r\nX-Empty:\r\nBad Name: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: End\r\n\r\n");
	run(f, fetch);
	assert_answer(fetch, 404);
	buffer_append(&fetch->headers_in, "", 1);
	assert_string_equal(fetch->headers_in.data,
		"x-name: Value: Two\nset-cookie: a=1\nset-cookie: b=2\nx-empty: \n"
		"transfer-encoding: chunked\n");
	assert_int_equal(fetch->body_in.size, 11);
	assert_memory_equal(fetch->body_in.data, "hello world", 11);
}

/* Whatever arrives, what is noted are lines of a name in lower case, a colon, a blank, a value. */
static void no_header_line_breaks_the_notes(void **state)
{
	static const char bytes[] = "aZ-:: \t\r\x01\x80HTTP/";
	struct buffer headers = { 0 };
	struct random source;
	uint64_t noted = 0;
	(void)state;
	random_seed(&source, 7);
	for (int round = 0; round < FUZZ_ROUNDS; round++) {
		struct buffer line = { 0 };
		for (uint64_t left = random_below(&source, 12); left > 0; left--)
			buffer_append(&line, bytes + random_below(&source, sizeof(bytes)), 1);
		buffer_append_text(&line, random_below(&source, 2) ? "\r\n" : "\n");
		bool whole = false;
		fetch_message_note_header(&headers, buffer_slice(&line), &whole);
		buffer_fini(&line);
		if (round % 16 != 0)
			continue;
		for (size_t at = 0; at < headers.size;) {
			size_t start = at;
			while (at < headers.size && headers.data[at] != ':') {
				assert_false(isupper((unsigned char)headers.data[at]));
				assert_true(isgraph((unsigned char)headers.data[at++]));
			}
			assert_true(at > start);
			assert_true(at + 2 < headers.size);
			assert_memory_equal(headers.data + at, ": ", 2);
			const char *end = memchr(headers.data + at, '\n', headers.size - at);
			assert_non_null(end);
			at = (size_t)(end + 1 - headers.data);
			noted++;
		}
		headers.size = 0;
	}
	buffer_fini(&headers);
	assert_true(noted > FUZZ_ROUNDS / 100);
}

/* --- sizes ------------------------------------------------------------------------------------ */

static void a_body_up_to_the_limit_is_taken_and_one_byte_more_is_not(void **state)
{
	struct fixture *f = *state;
	set_number(f, "fetch-size-limit", "100000");
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/bytes/100000");
	run(f, fetch);
	assert_answer(fetch, 200);
	assert_int_equal(fetch->body_in.size, 100000);
	fetch = prepare(f, 0, "127.0.0.1", 0, "/bytes/100001");
	run(f, fetch);
	assert_failure(fetch, "TOOLARGE", "fetch-size-limit (100000 bytes)");
}

static void put_bits(struct buffer *out, unsigned *used, unsigned bits, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (*used % 8 == 0)
			buffer_append(out, "", 1);
		out->data[out->size - 1] |= (char)((bits >> i & 1) << (*used % 8));
		++*used;
	}
}

/* A gzip answer of 1 + 258 x `copies` zeros, 13 bits each 258 of them (RFC 1951, 3.2.6). */
static void set_gzip(struct fixture *f, unsigned copies)
{
	struct buffer *raw = &f->servers[0].raw;
	unsigned used = 0;
	set_raw(f, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
	buffer_append(raw, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
	put_bits(raw, &used, 3, 3);    /* the last block, fixed codes */
	put_bits(raw, &used, 0x0c, 8); /* the byte 0 */
	for (unsigned i = 0; i < copies; i++) {
		put_bits(raw, &used, 0xa3, 8); /* 258 bytes */
		put_bits(raw, &used, 0, 5);    /* from one byte back */
	}
	put_bits(raw, &used, 0, 7); /* the end */
}

static void what_a_compressed_body_unfolds_to_counts(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/raw");
	set_number(f, "fetch-size-limit", "100000");
	set_gzip(f, 40000);
	assert_true(f->servers[0].raw.size < 100000);
	run(f, fetch);
	assert_failure(fetch, "TOOLARGE", "fetch-size-limit");
}

static size_t held_most;

static size_t hold_up_to_100000(struct fetch *fetch, size_t bytes)
{
	if (bytes > held_most)
		held_most = bytes;
	return 100000;
}

/* Who asked for it may have less room than the limit; told as it grows, and not after. */
static void a_body_is_no_larger_than_its_owner_can_hold(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/bytes/100000");
	fetch->hold = hold_up_to_100000;
	held_most = 0;
	run(f, fetch);
	assert_answer(fetch, 200);
	assert_true(held_most > 0 && held_most < 300000);
	fetch = prepare(f, 0, "127.0.0.1", 0, "/bytes/100001");
	fetch->hold = hold_up_to_100000;
	run(f, fetch);
	assert_failure(fetch, "TOOLARGE", "class-memory");
	fetch = prepare(f, 0, "127.0.0.1", 0, "/raw");
	fetch->hold = hold_up_to_100000;
	set_gzip(f, 40000);
	held_most = 0;
	run(f, fetch);
	assert_failure(fetch, "TOOLARGE", "class-memory");
	assert_true(held_most < 300000);
}

static void a_compressed_body_arrives_unfolded(void **state)
{
	/* "hello hello hello hello" */
	static const char gzip[] =
		"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x27\x01"
		"\xe3\x51\x3d\x8d\x17\x00\x00\x00";
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/raw");
	set_raw(f, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
	buffer_append(&f->servers[0].raw, gzip, sizeof(gzip) - 1);
	run(f, fetch);
	assert_answer(fetch, 200);
	assert_true(
		slice_equal(buffer_slice(&fetch->body_in), slice_text("hello hello hello hello")));
	assert_true(holds(&f->servers[0].request, "Accept-Encoding: "));
}

static void headers_that_arrive_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/raw");
	set_raw(f, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < LIMIT_FETCH_HEADER_BYTES / 16 + 1; i++)
		buffer_append_text(&f->servers[0].raw, "X-Long: 123456\r\n");
	buffer_append_text(&f->servers[0].raw, "\r\n");
	run(f, fetch);
	assert_failure(fetch, "TOOLARGE", "headers");
}

static void interim_answers_without_end_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/raw");
	set_raw(f, "");
	for (int i = 0; i < LIMIT_FETCH_HEADER_BYTES / 22 + 1; i++)
		buffer_append_text(&f->servers[0].raw, "HTTP/1.1 100 Go on\r\n\r\n");
	run(f, fetch);
	assert_failure(fetch, "TOOLARGE", "headers");
}

/* --- redirects -------------------------------------------------------------------------------- */

static struct fetch *prepare_redirect(struct fixture *f, int status, const char *host, int server)
{
	char path[TEXT_BYTES];
	snprintf(path, sizeof(path), "/go/%d/http://%s:%d/echo", status, host,
		f->servers[server].port);
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, path);
	fetch->redirects_max = 5;
	return fetch;
}

static void a_redirect_is_an_answer_when_none_are_wanted(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare_redirect(f, 302, "127.0.0.1", 1);
	fetch->redirects_max = 0;
	run(f, fetch);
	assert_answer(fetch, 302);
	assert_true(holds(&fetch->headers_in, "location: http://127.0.0.1"));
	assert_true(slice_equal(buffer_slice(&fetch->body_in), slice_text("elsewhere")));
}

static void follows_a_redirect_and_answers_with_the_last_hop(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare_redirect(f, 302, "127.0.0.1", 1);
	run(f, fetch);
	assert_answer(fetch, 200);
	assert_int_equal(f->servers[1].requests, 1);
	assert_false(holds(&fetch->headers_in, "location"));
	assert_false(holds(&fetch->body_in, "elsewhere"));
}

static void other_statuses_with_a_location_are_answers(void **state)
{
	struct fixture *f = *state;
	static const int statuses[] = { 201, 300, 304, 305 };
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/raw");
		char raw[TEXT_BYTES];
		snprintf(raw, sizeof(raw), "HTTP/1.1 %d X\r\nLocation: /echo\r\n\r\n", statuses[i]);
		set_raw(f, raw);
		fetch->redirects_max = 5;
		run(f, fetch);
		assert_answer(fetch, statuses[i]);
	}
}

static void redirects_keep_or_drop_the_method_and_body_by_their_status(void **state)
{
	static const struct {
		int status;
		const char *method;
		const char *then;
		bool keeps_body;
	} cases[] = {
		{ 301, "POST", "GET /echo", false },
		{ 302, "POST", "GET /echo", false },
		{ 303, "POST", "GET /echo", false },
		{ 303, "PUT", "GET /echo", false },
		{ 302, "PUT", "PUT /echo", true },
		{ 307, "POST", "POST /echo", true },
		{ 308, "POST", "POST /echo", true },
	};
	const struct fetch_header header = { slice_text("Content-Type"), slice_text("text/x") };
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetch *fetch = prepare_redirect(f, cases[i].status, "127.0.0.1", 1);
		fetch->method = slice_text(cases[i].method);
		fetch->body = slice_text("the body");
		fetch->has_body = true;
		fetch->headers = &header;
		fetch->header_count = 1;
		run(f, fetch);
		assert_answer(fetch, 200);
		assert_true(holds(&fetch->body_in, cases[i].then));
		assert_int_equal(holds(&fetch->body_in, "the body"), cases[i].keeps_body);
		assert_int_equal(holds(&fetch->body_in, "text/x"), cases[i].keeps_body);
		assert_int_equal(holds(&fetch->body_in, "Content-Length"), cases[i].keeps_body);
	}
}

static void a_head_stays_a_head(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare_redirect(f, 303, "127.0.0.1", 1);
	fetch->method = slice_text("HEAD");
	run(f, fetch);
	assert_answer(fetch, 200);
	assert_true(holds(&f->servers[1].request, "HEAD /echo"));
}

static void credentials_stay_with_their_host_and_port(void **state)
{
	const struct fetch_header headers[] = {
		{ slice_text("authorization"), slice_text("Bearer secret") },
		{ slice_text("Cookie"), slice_text("a=secret") },
		{ slice_text("X-Other"), slice_text("kept") },
	};
	static const struct {
		const char *host;
		int server;
		bool keeps;
	} cases[] = {
		{ "127.0.0.1", 0, true },
		{ "127.0.0.1", 1, false },
		{ "one.test", 0, false },
		{ "localhost", 0, false },
	};
	struct fixture *f = *state;
	allow(f, "127.0.0.1:%d 127.0.0.1:%d one.test:%d one.test:%d localhost:%d");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetch *fetch = prepare_redirect(f, 307, cases[i].host, cases[i].server);
		fetch->headers = headers;
		fetch->header_count = 3;
		run(f, fetch);
		assert_answer(fetch, 200);
		assert_int_equal(holds(&fetch->body_in, "secret"), cases[i].keeps);
		assert_true(holds(&fetch->body_in, "X-Other: kept"));
	}
}

static void credentials_do_not_come_back_with_the_first_host(void **state)
{
	const struct fetch_header header = { slice_text("Authorization"), slice_text("secret") };
	struct fixture *f = *state;
	char path[TEXT_BYTES];
	snprintf(path, sizeof(path), "/go/302/http://127.0.0.1:%d/go/302/http://127.0.0.1:%d/echo",
		f->servers[1].port, f->servers[0].port);
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, path);
	fetch->redirects_max = 2;
	fetch->headers = &header;
	fetch->header_count = 1;
	run(f, fetch);
	assert_answer(fetch, 200);
	assert_false(holds(&fetch->body_in, "secret"));
}

static void each_hop_is_checked_against_the_list(void **state)
{
	struct fixture *f = *state;
	allow(f, "127.0.0.1:%d");
	struct fetch *fetch = prepare_redirect(f, 302, "127.0.0.1", 1);
	run(f, fetch);
	assert_failure(fetch, "FORBIDDEN", "fetch-allow does not list '127.0.0.1:");
	fetch = prepare_redirect(f, 302, "localhost", 0);
	run(f, fetch);
	assert_failure(fetch, "FORBIDDEN", "'localhost:");
	assert_int_equal(f->servers[1].connections, 0);
}

static void a_redirect_to_no_web_page_is_refused(void **state)
{
	static const struct {
		const char *path;
		const char *code;
	} cases[] = {
		{ "/go/302/file:///etc/passwd", "BADURL" },
		{ "/go/302/gopher://127.0.0.1/", "BADURL" },
		{ "/go/302/http://user:word@127.0.0.1/", "BADURL" },
		{ "/go/302/http://[bad/", "BADURL" },
		{ "/go/302///other.test/", "FORBIDDEN" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, cases[i].path);
		fetch->redirects_max = 1;
		run(f, fetch);
		assert_failure(fetch, cases[i].code, "");
	}
}

static void a_loop_of_redirects_ends(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/loop");
	fetch->redirects_max = 3;
	run(f, fetch);
	assert_failure(fetch, "NETWORK", "more redirects than 3");
	assert_int_equal(f->servers[0].requests, 4);
}

/* --- addresses -------------------------------------------------------------------------------- */

static void names_that_lead_to_private_addresses_are_refused(void **state)
{
	static const char *const names[] = { "one.test", "mapped.test", "nat64.test", "ula.test",
		"link.test", "private.test" };
	struct fixture *f = *state;
	allow(f, "*.test:%d *.test");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct fetch *fetch = prepare(f, 0, names[i], 0, "/echo");
		run(f, fetch);
		assert_failure(fetch, "FORBIDDEN", "not at a public address");
		assert_non_null(strstr(fetch->error, names[i]));
	}
	assert_int_equal(f->servers[0].connections, 0);
}

static void a_name_without_a_wildcard_opens_private_addresses_of_its_port_alone(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "one.test", 0, "/echo");
	allow(f, "*.test:%d one.test:%d"); /* the name has the other server's port */
	run(f, fetch);
	assert_failure(fetch, "FORBIDDEN", "not at a public address");
	allow(f, "one.test:%d");
	fetch = prepare(f, 0, "one.test", 0, "/echo");
	run(f, fetch);
	assert_answer(fetch, 200);
	fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
	run(f, fetch);
	assert_failure(fetch, "FORBIDDEN", "does not list");
}

static void a_kept_connection_is_of_no_use_when_the_list_has_changed(void **state)
{
	struct fixture *f = *state;
	allow(f, "one.test:%d");
	for (int i = 0; i < 2; i++) {
		struct fetch *fetch = prepare(f, 0, "one.test", 0, "/echo");
		run(f, fetch);
		assert_answer(fetch, 200);
	}
	assert_int_equal(f->servers[0].connections, 1);
	allow(f, "*.test:%d");
	struct fetch *fetch = prepare(f, 0, "one.test", 0, "/echo");
	run(f, fetch);
	assert_failure(fetch, "FORBIDDEN", "not at a public address");
	assert_int_equal(f->servers[0].requests, 2);
}

static void an_empty_list_refuses_all_and_says_so(void **state)
{
	struct fixture *f = *state;
	allow(f, "");
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
	run(f, fetch);
	assert_failure(fetch, "FORBIDDEN", "fetch-allow is empty: '127.0.0.1:");
}

static void proxies_of_the_environment_are_not_asked(void **state)
{
	struct fixture *f = *state;
	char proxy[64];
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", f->servers[1].port);
	setenv("http_proxy", proxy, 1);
	setenv("ALL_PROXY", proxy, 1);
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
	run(f, fetch);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	assert_answer(fetch, 200);
	assert_int_equal(f->servers[1].connections, 0);
}

/* --- the network ------------------------------------------------------------------------------ */

static void a_refused_connection_is_an_error_of_the_network(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/echo");
	uv_close((uv_handle_t *)&f->servers[0].tcp, NULL);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	run(f, fetch);
	assert_failure(fetch, "NETWORK", "127.0.0.1:");
	server_open(&f->servers[0], &f->loop);
}

static void an_answer_that_breaks_off_is_an_error_of_the_network(void **state)
{
	static const char *const answers[] = {
		"",
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nthis is not gzip",
		"hello",
		"220 mail.test ESMTP\r\n",
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/raw");
		set_raw(f, answers[i]);
		run(f, fetch);
		assert_failure(fetch, "NETWORK", "");
	}
}

/* libcurl is content with all of these. */
static void an_answer_that_is_not_whole_is_an_error(void **state)
{
	static const struct {
		const char *answer;
		const char *why;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Le",
			"headers are cut off" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "headers are cut off" },
		{ "HTTP/1.1 404 Not Found\r\nX: y", "headers are cut off" },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", "headers are cut off" },
		{ "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n"
		  "\x1f\x8b\x08XXXXXXX\x4b\x4c",
			"body is cut off" },
		{ "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nhi",
			"a coding that was not asked for" },
		{ "HTTP/1.1 200 OK\r\nContent-Encoding: aes128gcm\r\n\r\nhi",
			"a coding that was not asked for" },
		{ "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nthis is not gzip",
			"not in the coding" },
		{ "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\n"
		  "Content-Length: 2\r\n\r\nhi",
			"it is a part" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\nhi",
			"" /* libcurl may mind */ },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nhello", "" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/raw");
		struct buffer *raw = &f->servers[0].raw;
		set_raw(f, cases[i].answer);
		for (size_t at = 0; at < raw->size; at++) {
			if (raw->data[at] == 'X' && strstr(cases[i].why, "body is cut"))
				raw->data[at] = '\0';
		}
		run(f, fetch);
		assert_failure(fetch, "NETWORK", cases[i].why);
	}
}

static void a_part_is_an_answer_for_who_has_asked_for_one(void **state)
{
	static const struct fetch_header header = { { "Range", 5 }, { "bytes=0-1", 9 } };
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/raw");
	set_raw(f, "HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\nhi");
	fetch->headers = &header;
	fetch->header_count = 1;
	run(f, fetch);
	assert_answer(fetch, 206);
	assert_true(slice_equal(buffer_slice(&fetch->body_in), slice_text("hi")));
}

static void an_answer_without_a_body_needs_no_coding(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 204 No Content\r\nContent-Encoding: br\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/raw");
		set_raw(f, answers[i]);
		run(f, fetch);
		assert_answer(fetch, 204);
		assert_int_equal(fetch->body_in.size, 0);
	}
}

/* --- time ------------------------------------------------------------------------------------- */

static void a_slow_answer_times_out(void **state)
{
	struct fixture *f = *state;
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 0, "/hold");
	fetch->timeout_ms = 50;
	uint64_t start = uv_hrtime();
	run(f, fetch);
	assert_failure(fetch, "TIMEOUT", "within 50 ms");
	assert_true(elapsed_ms(start) >= 49);
	assert_int_equal(f->servers[0].requests, 1);
}

static void a_slow_look_up_holds_nothing_up(void **state)
{
	struct fixture *f = *state;
	allow(f, "slow.test:%d");
	struct fetch *fetch = prepare(f, 0, "slow.test", 0, "/echo");
	fetch->timeout_ms = 50;
	uint64_t start = uv_hrtime();
	run(f, fetch);
	assert_failure(fetch, "TIMEOUT", "slow.test");
	assert_true(elapsed_ms(start) < SLOW_LOOKUP_US / 1000 / 2);
}

static void the_deadline_is_one_for_all_hops(void **state)
{
	struct fixture *f = *state;
	char path[TEXT_BYTES];
	snprintf(path, sizeof(path), "/go/302/http://127.0.0.1:%d/hold", f->servers[0].port);
	struct fetch *fetch = prepare(f, 0, "127.0.0.1", 1, path);
	fetch->redirects_max = 1;
	fetch->timeout_ms = 60;
	uint64_t start = uv_hrtime();
	fetcher_start(f->fetcher, fetch);
	run_until_held(f, 1);
	run_until_done(f, 1);
	assert_failure(fetch, "TIMEOUT", "within 60 ms");
	assert_true(elapsed_ms(start) < 1000);
}

/* --- the line --------------------------------------------------------------------------------- */

static void no_more_than_the_allowed_number_are_under_way(void **state)
{
	struct fixture *f = *state;
	set_number(f, "fetch-concurrency", "3");
	for (int i = 0; i < 10; i++)
		fetcher_start(f->fetcher, prepare(f, i, "127.0.0.1", 0, "/hold"));
	while (f->done < 10) {
		int left = 10 - f->done;
		run_until_held(f, left < 3 ? left : 3);
		for (int i = 0; i < 20; i++)
			uv_run(&f->loop, UV_RUN_NOWAIT);
		release_held(&f->servers[0]);
		uv_run(&f->loop, UV_RUN_ONCE);
	}
	assert_int_equal(f->servers[0].held_most, 3);
	assert_int_equal(f->servers[0].requests, 10);
	for (int i = 0; i < 10; i++)
		assert_answer(&f->fetches[i], 200);
}

static void waiting_in_line_counts_for_the_time_out(void **state)
{
	struct fixture *f = *state;
	set_number(f, "fetch-concurrency", "1");
	struct fetch *first = prepare(f, 0, "127.0.0.1", 0, "/hold");
	struct fetch *second = prepare(f, 1, "127.0.0.1", 0, "/echo");
	struct fetch *third = prepare(f, 2, "127.0.0.1", 0, "/echo");
	second->timeout_ms = 40;
	fetcher_start(f->fetcher, first);
	fetcher_start(f->fetcher, second);
	fetcher_start(f->fetcher, third);
	run_until_done(f, 1);
	assert_failure(second, "TIMEOUT", "fetch-concurrency");
	release_held(&f->servers[0]);
	run_until_done(f, 3);
	assert_answer(first, 200);
	assert_answer(third, 200);
	assert_int_equal(f->servers[0].requests, 2);
}

static void many_at_once_are_answered_each_with_its_own(void **state)
{
	struct fixture *f = *state;
	char mark[FETCHES_MAX][32];
	for (int i = 0; i < FETCHES_MAX; i++) {
		struct fetch *fetch = prepare(f, i, "127.0.0.1", i % 2, "/echo");
		snprintf(mark[i], sizeof(mark[i]), "the mark <%d>", i);
		fetch->body = slice_text(mark[i]);
		fetch->has_body = true;
		fetcher_start(f->fetcher, fetch);
	}
	run_until_done(f, FETCHES_MAX);
	for (int i = 0; i < FETCHES_MAX; i++) {
		assert_answer(&f->fetches[i], 200);
		assert_true(holds(&f->fetches[i].body_in, mark[i]));
	}
}

/* --- ends ------------------------------------------------------------------------------------- */

static void a_cancelled_fetch_is_forgotten_and_makes_room(void **state)
{
	struct fixture *f = *state;
	set_number(f, "fetch-concurrency", "1");
	struct fetch *running = prepare(f, 0, "127.0.0.1", 0, "/hold");
	struct fetch *waiting = prepare(f, 1, "127.0.0.1", 0, "/hold");
	struct fetch *last = prepare(f, 2, "127.0.0.1", 0, "/echo");
	fetcher_start(f->fetcher, running);
	fetcher_start(f->fetcher, waiting);
	fetcher_start(f->fetcher, last);
	run_until_held(f, 1);
	fetcher_cancel(f->fetcher, waiting);
	fetcher_cancel(f->fetcher, running);
	fetcher_cancel(f->fetcher, running); /* once more does nothing */
	run_until_done(f, 1);
	assert_answer(last, 200);
	assert_int_equal(running->status, 0);
	assert_int_equal(f->servers[0].requests, 2);
}

static void a_look_up_is_cancelled_without_waiting_for_it(void **state)
{
	struct fixture *f = *state;
	allow(f, "slow.test:%d");
	struct fetch *fetch = prepare(f, 0, "slow.test", 0, "/echo");
	int before = lookups;
	fetcher_start(f->fetcher, fetch);
	while (lookups == before)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	uint64_t start = uv_hrtime();
	fetcher_cancel(f->fetcher, fetch);
	assert_true(elapsed_ms(start) < SLOW_LOOKUP_US / 1000 / 2);
}

static void on_done_start_and_cancel(struct fetch *fetch)
{
	struct fixture *f = fetch->context;
	on_done(fetch);
	fetcher_cancel(f->fetcher, &f->fetches[1]);
	fetcher_start(f->fetcher, prepare(f, 2, "127.0.0.1", 0, "/echo"));
	fetcher_start(f->fetcher, prepare(f, 3, "127.0.0.1", 0, "/echo"));
	fetcher_cancel(f->fetcher, &f->fetches[3]);
}

static void the_end_of_one_may_start_and_cancel_others(void **state)
{
	struct fixture *f = *state;
	struct fetch *first = prepare(f, 0, "127.0.0.1", 1, "/echo");
	first->done = on_done_start_and_cancel;
	fetcher_start(f->fetcher, prepare(f, 1, "127.0.0.1", 0, "/hold"));
	fetcher_start(f->fetcher, first);
	run_until_done(f, 2);
	assert_answer(first, 200);
	assert_answer(&f->fetches[2], 200);
	assert_int_equal(f->fetches[3].status, 0);
}

static void closing_ends_what_is_under_way_and_what_waits(void **state)
{
	struct fixture *f = *state;
	set_number(f, "fetch-concurrency", "4");
	allow(f, "127.0.0.1:%d 127.0.0.1:%d slow.test:%d");
	int before = lookups;
	fetcher_start(f->fetcher, prepare(f, 0, "slow.test", 0, "/echo"));
	for (int i = 1; i < 8; i++)
		fetcher_start(f->fetcher, prepare(f, i, "127.0.0.1", 0, "/hold"));
	run_until_held(f, 3);
	while (lookups == before)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	close_fetcher(f);
	assert_int_equal(f->done, 0);
}

static void closing_at_once_after_starting_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 3; i++)
		fetcher_start(f->fetcher, prepare(f, i, "127.0.0.1", 0, "/hold"));
	close_fetcher(f);
	assert_int_equal(f->done, 0);
}

static void an_idle_fetcher_does_not_keep_the_loop_alive(void **state)
{
	struct fixture *f = *state;
	run(f, prepare(f, 0, "127.0.0.1", 0, "/echo"));
	for (int i = 0; i < 2; i++)
		server_close(&f->servers[i]);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	fetcher_close(f->fetcher);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	fetcher_free(&f->fetcher);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(gets_a_page_with_its_status_and_body),
		TEST(posts_a_body_as_it_is),
		TEST(posts_a_large_body_without_waiting_for_leave),
		TEST(sends_any_method_in_capitals),
		TEST(sends_the_headers_it_is_given),
		TEST(refuses_headers_and_methods_that_would_break_the_message),
		TEST(headers_to_send_are_bounded),
		TEST(notes_headers_in_lower_case_line_by_line),
		TEST(no_header_line_breaks_the_notes),
		TEST(a_body_up_to_the_limit_is_taken_and_one_byte_more_is_not),
		TEST(what_a_compressed_body_unfolds_to_counts),
		TEST(a_body_is_no_larger_than_its_owner_can_hold),
		TEST(a_compressed_body_arrives_unfolded),
		TEST(headers_that_arrive_are_bounded),
		TEST(interim_answers_without_end_are_bounded),
		TEST(a_redirect_is_an_answer_when_none_are_wanted),
		TEST(follows_a_redirect_and_answers_with_the_last_hop),
		TEST(other_statuses_with_a_location_are_answers),
		TEST(redirects_keep_or_drop_the_method_and_body_by_their_status),
		TEST(a_head_stays_a_head),
		TEST(credentials_stay_with_their_host_and_port),
		TEST(credentials_do_not_come_back_with_the_first_host),
		TEST(each_hop_is_checked_against_the_list),
		TEST(a_redirect_to_no_web_page_is_refused),
		TEST(a_loop_of_redirects_ends),
		TEST(names_that_lead_to_private_addresses_are_refused),
		TEST(a_name_without_a_wildcard_opens_private_addresses_of_its_port_alone),
		TEST(a_kept_connection_is_of_no_use_when_the_list_has_changed),
		TEST(an_empty_list_refuses_all_and_says_so),
		TEST(proxies_of_the_environment_are_not_asked),
		TEST(a_refused_connection_is_an_error_of_the_network),
		TEST(an_answer_that_breaks_off_is_an_error_of_the_network),
		TEST(an_answer_that_is_not_whole_is_an_error),
		TEST(a_part_is_an_answer_for_who_has_asked_for_one),
		TEST(an_answer_without_a_body_needs_no_coding),
		TEST(a_slow_answer_times_out),
		TEST(a_slow_look_up_holds_nothing_up),
		TEST(the_deadline_is_one_for_all_hops),
		TEST(no_more_than_the_allowed_number_are_under_way),
		TEST(waiting_in_line_counts_for_the_time_out),
		TEST(many_at_once_are_answered_each_with_its_own),
		TEST(a_cancelled_fetch_is_forgotten_and_makes_room),
		TEST(a_look_up_is_cancelled_without_waiting_for_it),
		TEST(the_end_of_one_may_start_and_cancel_others),
		TEST(closing_ends_what_is_under_way_and_what_waits),
		TEST(closing_at_once_after_starting_leaves_nothing),
		TEST(an_idle_fetcher_does_not_keep_the_loop_alive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
