/*
 * What the reader makes of streams. Most tests compare a transcript: each command as its arguments
 * in brackets, then the error if there was one. Every stream is read whole, cut in two at every
 * place, and byte by byte, and the transcript must be the same.
 */
#include "resp/reader.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "holdfast/errors.h"
#include "holdfast/limits.h"
#include "resp/foreign.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the three above first */
#include <cmocka.h>

#define PROTOCOL "!ERR Protocol error: "

static const struct reader_limits usual = {
	.bulk_bytes_max = (int64_t)LIMIT_VALUE_BYTES,
	.arguments_max = LIMIT_ARGUMENTS,
	.authenticated = true,
};
static const struct reader_limits stranger = {
	.bulk_bytes_max = (int64_t)LIMIT_VALUE_BYTES,
	.arguments_max = LIMIT_ARGUMENTS,
	.authenticated = false,
};
static const struct reader_limits small = {
	.bulk_bytes_max = 5,
	.arguments_max = 3,
	.authenticated = true,
};

/* Feeds a copy of the bytes, freed before this returns; adds to the transcript. */
static void read_piece(struct reader *reader, const struct reader_limits *limits,
	struct arena *arena, struct slice bytes, struct buffer *transcript)
{
	char *copy = memory_alloc(bytes.size);
	memcpy(copy, bytes.data, bytes.size);
	reader_feed(reader, slice_of(copy, bytes.size));
	for (;;) {
		struct slice *arguments;
		uint32_t count;
		enum reader_result result = reader_next(reader, limits, arena, &arguments, &count);
		if (result == READER_ERROR || result == READER_FOREIGN) {
			buffer_append_text(transcript, result == READER_ERROR ? "!" : "?");
			buffer_append_text(transcript, reader_error(reader));
		}
		if (result != READER_COMMAND)
			break;
		buffer_append_text(transcript, "[");
		for (uint32_t i = 0; i < count; i++) {
			if (i > 0)
				buffer_append_text(transcript, "|");
			buffer_append(transcript, arguments[i].data, arguments[i].size);
		}
		buffer_append_text(transcript, "]");
		arena_fini(arena);
	}
	memory_free(copy);
}

/* Reads the stream in pieces of at most `step` bytes, the first of at most `first`. */
static void expect_cut(const struct reader_limits *limits, struct slice stream, size_t first,
	size_t step, struct slice wanted)
{
	struct reader *reader = reader_new();
	struct arena arena;
	arena_init(&arena, 512);
	struct buffer transcript;
	buffer_init(&transcript);
	size_t size = first;
	for (size_t at = 0; at < stream.size && reader_error(reader)[0] == '\0';) {
		if (size > stream.size - at)
			size = stream.size - at;
		read_piece(reader, limits, &arena, slice_of(stream.data + at, size), &transcript);
		at += size;
		size = step;
	}
	if (!slice_equal(buffer_slice(&transcript), wanted))
		fail_msg("cut at %zu, then every %zu: \"%.*s\" instead of \"%.*s\"", first, step,
			(int)transcript.size, transcript.data, (int)wanted.size, wanted.data);
	buffer_fini(&transcript);
	arena_fini(&arena);
	reader_free(&reader);
}

static void expect_bytes(
	const struct reader_limits *limits, struct slice stream, struct slice wanted)
{
	for (size_t cut = 1; cut <= stream.size; cut++)
		expect_cut(limits, stream, cut, stream.size, wanted);
	expect_cut(limits, stream, 1, 1, wanted);
}

static void expect(const struct reader_limits *limits, const char *stream, const char *wanted)
{
	expect_bytes(limits, slice_text(stream), slice_text(wanted));
}

static void reads_a_command(void **state)
{
	expect(&usual, "*1\r\n$4\r\nPING\r\n", "[PING]");
	expect(&usual, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "[SET|k|]");
}

static void reads_commands_behind_each_other(void **state)
{
	expect(&usual, "*1\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n$1\r\nc\r\nd\r\n*1\r\n$1\r\ne\r\n",
		"[a][b|c][d][e]");
}

static void keeps_every_byte_of_an_argument(void **state)
{
	static const char stream[] = "*2\r\n$3\r\n\0\r\n\r\n$4\r\n*1\r\n\r\n";
	static const char wanted[] = "[\0\r\n|*1\r\n]";
	expect_bytes(
		&usual, slice_of(stream, sizeof(stream) - 1), slice_of(wanted, sizeof(wanted) - 1));
}

static void waits_for_the_rest(void **state)
{
	expect(&usual, "*1\r\n$4\r\nPING", "");
	expect(&usual, "*1\r\n$4\r\nPING\r", "");
	expect(&usual, "*1\r\n$4", "");
	expect(&usual, "*1\r", "");
	expect(&usual, "PING", "");
}

static void skips_empty_commands(void **state)
{
	expect(&usual, "*0\r\n*-10\r\n*-1\r\n\r\n\n \t\r\n*1\r\n$1\r\na\r\n", "[a]");
	expect(&usual, "*-9223372036854775808\r\na\n", "[a]");
}

static void asks_for_dollar(void **state)
{
	expect(&usual, "*1\r\nfoo\r\n", PROTOCOL "expected '$', got 'f'");
	expect(&usual, "*1\r\n*1\r\n$1\r\na\r\n", PROTOCOL "expected '$', got '*'");
	expect(&usual, "*1\r\n:1\r\n", PROTOCOL "expected '$', got ':'");
	expect(&usual, "*2\r\n$1\r\na\r\n+b\r\n", PROTOCOL "expected '$', got '+'");
	expect(&usual, "*1\r\n\r\n", PROTOCOL "expected '$', got ' '");
	expect(&usual, "*1\r\n\nx\r\n", PROTOCOL "expected '$', got ' '");
}

static void waits_for_the_whole_line_before_it_complains(void **state)
{
	expect(&usual, "*1\r\nfoo", "");
	expect(&usual, "*x", "");
}

static void takes_only_strict_multibulk_lengths(void **state)
{
	static const char *const streams[] = { "*\r\n", "*x\r\n", "*1x\r\n", "* 1\r\n", "*1 \r\n",
		"*01\r\n", "*+1\r\n", "*-0\r\n", "*--1\r\n", "*1.0\r\n", "*1048577\r\n",
		"*2147483648\r\n", "*4294967297\r\n", "*9223372036854775808\r\n",
		"*18446744073709551617\r\n", "*00000000000000000000000000000000001\r\n" };
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
		expect(&usual, streams[i], PROTOCOL "invalid multibulk length");
}

static void takes_only_strict_bulk_lengths(void **state)
{
	static const char *const lengths[] = { "", "x", "1x", " 1", "01", "+1", "-0", "-1", "-10",
		"536870913", "4294967297", "9223372036854775807", "9223372036854775808",
		"18446744073709551617", "00000000000000000000000000000000001" };
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char stream[80];
		snprintf(stream, sizeof(stream), "*2\r\n$1\r\na\r\n$%s\r\nb\r\n", lengths[i]);
		expect(&usual, stream, PROTOCOL "invalid bulk length");
	}
}

static void reaches_the_configured_limits_and_not_beyond(void **state)
{
	expect(&small, "*3\r\n$1\r\na\r\n$1\r\nb\r\n$5\r\n12345\r\n", "[a|b|12345]");
	expect(&small, "*4\r\n", PROTOCOL "invalid multibulk length");
	expect(&small, "*1\r\n$6\r\n", PROTOCOL "invalid bulk length");
}

static void gives_strangers_ten_arguments(void **state)
{
	expect(&stranger, "*11\r\n", PROTOCOL "unauthenticated multibulk length");
	expect(&stranger, "*1048577\r\n", PROTOCOL "invalid multibulk length");
	struct buffer stream;
	buffer_init(&stream);
	buffer_append_text(&stream, "*10\r\n");
	for (int i = 0; i < 10; i++)
		buffer_append_text(&stream, "$1\r\na\r\n");
	expect_bytes(&stranger, buffer_slice(&stream), slice_text("[a|a|a|a|a|a|a|a|a|a]"));
	buffer_fini(&stream);
}

static void gives_strangers_16_kib_an_argument(void **state)
{
	expect(&stranger, "*1\r\n$16385\r\n", PROTOCOL "unauthenticated bulk length");
	expect(&stranger, "*1\r\n$536870913\r\n", PROTOCOL "invalid bulk length");
	expect(&stranger, "*1\r\n$16384\r\n", "");
}

static void lifts_the_limits_between_two_commands_of_one_read(void **state)
{
	struct reader *reader = reader_new();
	struct arena arena;
	arena_init(&arena, 512);
	struct slice *arguments;
	uint32_t count;
	reader_feed(reader,
		slice_text(
			"auth x\r\n*11\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n"
			"$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n"));
	assert_int_equal(
		reader_next(reader, &stranger, &arena, &arguments, &count), READER_COMMAND);
	assert_int_equal(count, 2);
	assert_int_equal(reader_next(reader, &usual, &arena, &arguments, &count), READER_COMMAND);
	assert_int_equal(count, 11);
	assert_int_equal(reader_next(reader, &usual, &arena, &arguments, &count), READER_MORE);
	arena_fini(&arena);
	reader_free(&reader);
}

static void skips_whatever_follows_a_cr(void **state)
{
	expect(&usual, "*1\rX$1\rYaZZ*1\r\r$1\r$bZZ", "[a][b]");
	expect(&usual, "*0\rXa\n", "[a]");
	expect(&usual, "*x\rX", PROTOCOL "invalid multibulk length");
	static const char nul[] = "*1\r\0$1\r\0aZZ*0\r\0*1\r\0$1\r\0bZZ";
	expect_bytes(&usual, slice_of(nul, sizeof(nul) - 1), slice_text("[a][b]"));
}

static void reads_inline_commands(void **state)
{
	expect(&usual, "PING\r\nget  key\t\n \v\fa b \r\n", "[PING][get|key][a|b]");
	expect(&usual, "a\rb\r\n", "[a|b]");
	expect(&usual, "$1\r\n", "[$1]");
	expect(&usual, "a\vb\n", "[a\vb]");
}

static void unquotes_inline_arguments(void **state)
{
	expect(&usual, "set \"a b\" 'c d' \"\" ''\n", "[set|a b|c d||]");
	expect(&usual, "\"\\x41\\x7a\\xg1\\x4\" \"\\n\\r\\t\\b\\a\\\\\\\"\\q\"\n",
		"[Azxg1x4|\n\r\t\b\a\\\"q]");
	expect(&usual, "'\\n\\'\\x41' a\\nb\n", "[\\n'\\x41|a\\nb]");
	expect(&usual, "na\"me \"\n", "[name ]");
}

static void wants_quotes_closed(void **state)
{
	static const char *const lines[] = { "\"a\n", "'a\r\n", "a \"b\\\"\n", "\"a\"b\n", "'a'b\n",
		"\"a\\\n", "'a\\'\n", "a\"\n", "\"a\"\"b\"\n" };
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect(&usual, lines[i], PROTOCOL "unbalanced quotes in request");
}

/* `head`, then `filling` until the line has `size` bytes, then `tail`. */
static void knows_http_by_its_first_line(void **state)
{
	static const char *const lines[] = { "POST / HTTP/1.1", "GET /x?y=1 HTTP/1.0",
		"PUT /a HTTP/1.1", "OPTIONS * HTTP/1.1", "DELETE /a HTTP/1.1", "PRI * HTTP/2.0",
		"CONNECT localhost:6379 HTTP/1.1", "GET http://a/ HTTP/1.1", "set /pwned HTTP/1.1",
		"\t post  /a\tHTTP/1.1 ", "POST", "post anything", "OPTIONS rtsp://a RTSP/1.0",
		"OPTIONS sip:nm SIP/2.0" };
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char stream[256];
		snprintf(stream, sizeof(stream), "PING\r\n%s\r\nHost: a\r\n\r\nSET pwned 1\r\n",
			lines[i]);
		expect(&usual, stream, "[PING]?an HTTP request");
		expect(&stranger, stream, "[PING]?an HTTP request");
	}
}

static void knows_http_by_a_header(void **state)
{
	expect(&usual, "get a\r\nHost: localhost:6379\r\n\r\nSET pwned 1\r\n",
		"[get|a]?an HTTP request");
	expect(&usual, "host:\nSET pwned 1\r\n", "?an HTTP request");
	expect(&usual, "Content-Type: text/plain\r\n", "?an HTTP request");
	expect(&usual, "X-\"quoted: \"a\r\n", PROTOCOL "unbalanced quotes in request");
	expect(&usual, "Accept: \"\r\n", "?an HTTP request");
}

static void knows_smtp_ssh_and_tls(void **state)
{
	expect(&usual, "EHLO mail.example.com\r\nSET pwned 1\r\n", "?SMTP");
	expect(&usual, "helo me\r\n", "?SMTP");
	expect(&usual, "LHLO me\r\n", "?SMTP");
	expect(&usual, "SSH-2.0-OpenSSH_9.6\r\n", "?an SSH banner");
	/* It has neither a line end nor three bytes without a NUL behind them. */
	static const char tls[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	expect_bytes(&usual, slice_of(tls, sizeof(tls)), slice_text("?a TLS handshake"));
	expect_bytes(&stranger, slice_of(tls, FOREIGN_START_BYTES), slice_text("?a TLS handshake"));
	expect(&usual, "\x16\x03", "");
	expect(&usual, "PING\n\x16\x03\x04\nPING\n", "[PING]?a TLS handshake");
}

/* What is near to another protocol and may be meant. */
static void takes_commands_for_commands(void **state)
{
	expect(&usual, "SET proto HTTP/1.1\r\n", "[SET|proto|HTTP/1.1]");
	expect(&usual, "SET /a HTTP/1.1 NX\r\n", "[SET|/a|HTTP/1.1|NX]");
	expect(&usual, "SET /a HTTP/11\r\nGET /\r\n", "[SET|/a|HTTP/11][GET|/]");
	expect(&usual, "GET POST\r\nGET Host:\r\nGET user:1\r\n",
		"[GET|POST][GET|Host:][GET|user:1]");
	expect(&usual, "EHLO\r\nHELLO 3\r\nkey:\r\n: x\r\n", "[EHLO][HELLO|3][key:][:|x]");
	expect(&usual, "SSH\r\nssh-2.0\r\n\x16\x03\r\n\x16\x03\x05\r\n",
		"[SSH][ssh-2.0][\x16\x03][\x16\x03\x05]");
	/* An array holds whatever it holds. */
	expect(&usual, "*3\r\n$4\r\nPOST\r\n$1\r\n/\r\n$8\r\nHTTP/1.1\r\n", "[POST|/|HTTP/1.1]");
	expect(&usual, "*2\r\n$3\r\nGET\r\n$17\r\nHost: a\r\nEHLO b\r\n\r\n",
		"[GET|Host: a\r\nEHLO b\r\n]");
}

static void stays_dead_after_another_protocol(void **state)
{
	struct reader *reader = reader_new();
	struct arena arena;
	struct buffer transcript;
	arena_init(&arena, 512);
	buffer_init(&transcript);
	read_piece(reader, &usual, &arena, slice_text("POST / HTTP/1.1\r\nPING\r\n"), &transcript);
	read_piece(reader, &usual, &arena, slice_text("PING\r\n"), &transcript);
	read_piece(reader, &usual, &arena, slice_text("*1\r\n$4\r\nPING\r\n"), &transcript);
	assert_true(slice_equal(buffer_slice(&transcript),
		slice_text("?an HTTP request?an HTTP request?an HTTP request")));
	assert_int_equal(reader_bytes(reader), 0);
	buffer_fini(&transcript);
	arena_fini(&arena);
	reader_free(&reader);
}

static void expect_long_line(const char *head, const char *line, char filling, size_t size,
	const char *tail, const char *wanted)
{
	struct buffer stream;
	buffer_init(&stream);
	buffer_append_text(&stream, head);
	buffer_append_text(&stream, line);
	size_t more = size - strlen(line);
	memset(buffer_reserve(&stream, more), filling, more);
	stream.size += more;
	buffer_append_text(&stream, tail);
	expect_cut(&usual, buffer_slice(&stream), stream.size, 1, slice_text(wanted));
	expect_cut(&usual, buffer_slice(&stream), stream.size - 1, 1, slice_text(wanted));
	expect_cut(&usual, buffer_slice(&stream), stream.size - 2, 1, slice_text(wanted));
	expect_cut(&usual, buffer_slice(&stream), 1, 1000, slice_text(wanted));
	expect_cut(&usual, buffer_slice(&stream), 1, 1, slice_text(wanted));
	buffer_fini(&stream);
}

static void bounds_a_line_without_end(void **state)
{
	size_t most = LIMIT_INLINE_BYTES;
	expect_long_line("", "*", '1', most, "", "");
	expect_long_line("", "*", '1', most, "\r\n", PROTOCOL "invalid multibulk length");
	expect_long_line("", "*", '1', most + 1, "", PROTOCOL "too big mbulk count string");
	expect_long_line("", "*", '1', most + 1, "\r\n", PROTOCOL "too big mbulk count string");
	expect_long_line("*1\r\n", "$", '1', most, "", "");
	expect_long_line("*1\r\n", "$", '1', most, "\r\n", PROTOCOL "invalid bulk length");
	expect_long_line("*1\r\n", "$", '1', most + 1, "", PROTOCOL "too big bulk count string");
	expect_long_line(
		"*1\r\n", "$", '1', most + 1, "\r\n", PROTOCOL "too big bulk count string");
	expect_long_line("", "a", ' ', most, "", "");
	expect_long_line("", "a", ' ', most, "\n", "[a]");
	expect_long_line("", "a", ' ', most + 1, "", PROTOCOL "too big inline request");
	expect_long_line("", "a", ' ', most + 1, "\n", PROTOCOL "too big inline request");
}

static void finds_no_line_end_behind_a_nul(void **state)
{
	static const char line[] = "*1\0\r\n$1\r\na\r\n";
	expect_bytes(&usual, slice_of(line, sizeof(line) - 1), slice_text(""));
	expect_long_line(
		"", "*", '\0', LIMIT_INLINE_BYTES, "\r", PROTOCOL "too big mbulk count string");
	expect_long_line("*1\r\n", "$", '\0', LIMIT_INLINE_BYTES, "\r\n",
		PROTOCOL "too big bulk count string");
	expect_long_line(
		"", "", '\0', LIMIT_INLINE_BYTES, "\r\n", PROTOCOL "too big inline request");
}

static void survives_a_million_nested_arrays(void **state)
{
	struct buffer stream;
	buffer_init(&stream);
	for (int i = 0; i < 1000000; i++)
		buffer_append(&stream, "*1\r\n", 4);
	expect_cut(&usual, buffer_slice(&stream), stream.size, 1,
		slice_text(PROTOCOL "expected '$', got '*'"));
	buffer_fini(&stream);
}

static void stays_dead_after_an_error(void **state)
{
	struct reader *reader = reader_new();
	struct arena arena;
	arena_init(&arena, 512);
	struct slice *arguments;
	uint32_t count;
	reader_feed(reader, slice_text("*1\r\n$1\r\na\r\n*x\r\n*1\r\n$1\r\nb\r\n"));
	assert_int_equal(reader_next(reader, &usual, &arena, &arguments, &count), READER_COMMAND);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			reader_next(reader, &usual, &arena, &arguments, &count), READER_ERROR);
		assert_string_equal(reader_error(reader), ERROR_PROTOCOL_MULTIBULK_LENGTH);
		assert_int_equal(reader_bytes(reader), 0);
		reader_feed(reader, slice_text("PING\r\n"));
	}
	arena_fini(&arena);
	reader_free(&reader);
}

static void reads_pipelines_of_any_depth_in_one_feed(void **state)
{
	struct buffer stream, wanted;
	buffer_init(&stream);
	buffer_init(&wanted);
	for (int i = 0; i < 5000; i++) {
		if (i % 10 == 9)
			buffer_format(&stream, "get %d\r\n", i);
		else
			buffer_format(&stream, "*2\r\n$3\r\nget\r\n$%d\r\n%d\r\n",
				snprintf(NULL, 0, "%d", i), i);
		buffer_format(&wanted, "[get|%d]", i);
	}
	expect_cut(&usual, buffer_slice(&stream), stream.size, 1, buffer_slice(&wanted));
	for (size_t step = 1; step < 5000; step = step * 3 + 1)
		expect_cut(&usual, buffer_slice(&stream), step, step, buffer_slice(&wanted));
	buffer_fini(&stream);
	buffer_fini(&wanted);
}

static void reads_a_command_of_very_many_arguments(void **state)
{
	struct buffer stream, wanted;
	buffer_init(&stream);
	buffer_init(&wanted);
	buffer_format(&stream, "*%d\r\n", LIMIT_ARGUMENTS);
	buffer_append_text(&wanted, "[a");
	for (int i = 0; i < LIMIT_ARGUMENTS; i++) {
		buffer_append_text(&stream, "$1\r\na\r\n");
		if (i > 0)
			buffer_append_text(&wanted, "|a");
	}
	buffer_append_text(&wanted, "]");
	expect_cut(&usual, buffer_slice(&stream), stream.size, 1, buffer_slice(&wanted));
	expect_cut(&usual, buffer_slice(&stream), 1, 4093, buffer_slice(&wanted));
	buffer_fini(&stream);
	buffer_fini(&wanted);
}

static void reads_large_values(void **state)
{
	for (size_t size = (size_t)512 << 10; size <= (size_t)64 << 20; size *= 128) {
		struct buffer stream, wanted;
		buffer_init(&stream);
		buffer_init(&wanted);
		buffer_format(&stream, "*2\r\n$3\r\nput\r\n$%zu\r\n", size);
		size_t start = stream.size;
		char *value = buffer_reserve(&stream, size);
		for (size_t i = 0; i < size; i++)
			value[i] = (char)(i * 31 + i / 251);
		stream.size += size;
		buffer_append_text(&stream, "\r\nPING\r\n");
		buffer_append_text(&wanted, "[put|");
		buffer_append(&wanted, stream.data + start, size);
		buffer_append_text(&wanted, "][PING]");
		expect_cut(&usual, buffer_slice(&stream), stream.size, 1, buffer_slice(&wanted));
		expect_cut(&usual, buffer_slice(&stream), 7, 65536, buffer_slice(&wanted));
		buffer_fini(&stream);
		buffer_fini(&wanted);
	}
}

static void counts_the_bytes_of_an_unfinished_command(void **state)
{
	static const char stream[] = "*2\r\n$3\r\nget\r\n$10\r\n0123456789\r\n";
	struct reader *reader = reader_new();
	struct arena arena;
	arena_init(&arena, 512);
	struct slice *arguments;
	uint32_t count;
	for (size_t i = 1; i < sizeof(stream); i++) {
		reader_feed(reader, slice_of(stream + i - 1, 1));
		enum reader_result result = reader_next(reader, &usual, &arena, &arguments, &count);
		bool whole = i + 1 == sizeof(stream);
		assert_int_equal(result, whole ? READER_COMMAND : READER_MORE);
		assert_int_equal(reader_bytes(reader), whole ? 0 : i);
	}
	arena_fini(&arena);
	reader_free(&reader);
}

static void allocates_for_what_came_not_for_what_was_announced(void **state)
{
	static const char *const streams[] = { "*1048576\r\n", "*1048576\r\n$1\r\na\r\n",
		"*1\r\n$536870912\r\n", "*1\r\n$536870912\r\nabc" };
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		struct reader *reader = reader_new();
		struct arena arena;
		arena_init(&arena, 512);
		struct slice *arguments;
		uint32_t count;
		reader_feed(reader, slice_text(streams[i]));
		assert_int_equal(
			reader_next(reader, &usual, &arena, &arguments, &count), READER_MORE);
		assert_in_range(arena.bytes, 0, 512);
		assert_int_equal(reader_bytes(reader), strlen(streams[i]));
		arena_fini(&arena);
		reader_free(&reader);
	}
}

static void holds_what_is_left_of_a_read(void **state)
{
	static const char stream[] =
		"*1\r\n$1\r\na\r\nb\r\n*1\r\n$1\r\nc\r\n*1\r\n$1\r\nd\r\n*1\r\n$4\r\nla";
	static const char *const names[] = { "a", "b", "c", "d", "last" };
	struct reader *reader = reader_new();
	struct arena arena;
	arena_init(&arena, 512);
	struct slice *arguments;
	uint32_t count;
	char *lent = memory_copy_text(stream);
	reader_feed(reader, slice_text(lent));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(
			reader_next(reader, &usual, &arena, &arguments, &count), READER_COMMAND);
		assert_int_equal(count, 1);
		assert_true(slice_is(arguments[0], names[i]));
		reader_hold(reader);
		memset(lent, '!', strlen(stream));
	}
	memory_free(lent);
	assert_int_equal(reader_next(reader, &usual, &arena, &arguments, &count), READER_MORE);
	reader_feed(reader, slice_text("st\r\n"));
	assert_int_equal(reader_next(reader, &usual, &arena, &arguments, &count), READER_COMMAND);
	assert_true(slice_is(arguments[0], names[4]));
	reader_hold(reader);
	assert_int_equal(reader_next(reader, &usual, &arena, &arguments, &count), READER_MORE);
	arena_fini(&arena);
	reader_free(&reader);
}

static void can_be_freed_amid_a_command(void **state)
{
	static const char stream[] = "*2\r\n$1\r\na\r\n$10\r\n01234";
	for (size_t i = 0; i < sizeof(stream); i++) {
		struct reader *reader = reader_new();
		struct arena arena;
		arena_init(&arena, 512);
		struct slice *arguments;
		uint32_t count;
		reader_feed(reader, slice_of(stream, i));
		assert_int_equal(
			reader_next(reader, &usual, &arena, &arguments, &count), READER_MORE);
		arena_fini(&arena);
		reader_free(&reader);
		assert_null(reader);
	}
}

static void keeps_the_commands_of_interleaved_connections_apart(void **state)
{
	struct reader *readers[20];
	struct buffer transcripts[20], stream;
	struct arena arenas[20];
	buffer_init(&stream);
	for (int i = 0; i < 20; i++) {
		readers[i] = reader_new();
		buffer_init(&transcripts[i]);
		arena_init(&arenas[i], 512);
	}
	/* Each reader gets its own three commands, three bytes a turn. */
	for (size_t at = 0; at < (size_t)3 * 28; at += 3) {
		for (int i = 0; i < 20; i++) {
			stream.size = 0;
			for (int k = 0; k < 3; k++)
				buffer_format(&stream, "*2\r\n$3\r\nget\r\n$9\r\n%09d\r\n", i);
			read_piece(readers[i], &usual, &arenas[i], slice_of(stream.data + at, 3),
				&transcripts[i]);
		}
	}
	for (int i = 0; i < 20; i++) {
		char wanted[80];
		int size =
			snprintf(wanted, sizeof(wanted), "[get|%09d][get|%09d][get|%09d]", i, i, i);
		assert_int_equal(transcripts[i].size, size);
		assert_memory_equal(transcripts[i].data, wanted, (size_t)size);
		buffer_fini(&transcripts[i]);
		arena_fini(&arenas[i]);
		reader_free(&readers[i]);
	}
	buffer_fini(&stream);
}

static void *read_in_thread(void *unused)
{
	for (int i = 0; i < 200; i++)
		expect_cut(&usual, slice_text("*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n"), 9, 9,
			slice_text("[PING][PING]"));
	return unused;
}

static void serves_several_threads(void **state)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_in_thread, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_command),
		cmocka_unit_test(reads_commands_behind_each_other),
		cmocka_unit_test(keeps_every_byte_of_an_argument),
		cmocka_unit_test(waits_for_the_rest),
		cmocka_unit_test(skips_empty_commands),
		cmocka_unit_test(asks_for_dollar),
		cmocka_unit_test(waits_for_the_whole_line_before_it_complains),
		cmocka_unit_test(takes_only_strict_multibulk_lengths),
		cmocka_unit_test(takes_only_strict_bulk_lengths),
		cmocka_unit_test(reaches_the_configured_limits_and_not_beyond),
		cmocka_unit_test(gives_strangers_ten_arguments),
		cmocka_unit_test(gives_strangers_16_kib_an_argument),
		cmocka_unit_test(lifts_the_limits_between_two_commands_of_one_read),
		cmocka_unit_test(skips_whatever_follows_a_cr),
		cmocka_unit_test(reads_inline_commands),
		cmocka_unit_test(unquotes_inline_arguments),
		cmocka_unit_test(wants_quotes_closed),
		cmocka_unit_test(knows_http_by_its_first_line),
		cmocka_unit_test(knows_http_by_a_header),
		cmocka_unit_test(knows_smtp_ssh_and_tls),
		cmocka_unit_test(takes_commands_for_commands),
		cmocka_unit_test(stays_dead_after_another_protocol),
		cmocka_unit_test(bounds_a_line_without_end),
		cmocka_unit_test(finds_no_line_end_behind_a_nul),
		cmocka_unit_test(survives_a_million_nested_arrays),
		cmocka_unit_test(stays_dead_after_an_error),
		cmocka_unit_test(reads_pipelines_of_any_depth_in_one_feed),
		cmocka_unit_test(reads_a_command_of_very_many_arguments),
		cmocka_unit_test(reads_large_values),
		cmocka_unit_test(counts_the_bytes_of_an_unfinished_command),
		cmocka_unit_test(allocates_for_what_came_not_for_what_was_announced),
		cmocka_unit_test(holds_what_is_left_of_a_read),
		cmocka_unit_test(can_be_freed_amid_a_command),
		cmocka_unit_test(keeps_the_commands_of_interleaved_connections_apart),
		cmocka_unit_test(serves_several_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
