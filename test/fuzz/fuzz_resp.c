/*
 * fuzz_resp: random streams through the reader and through the plain parser, which must agree on
 * every command, on the moment when it is complete, and on the error.
 *
 *      fuzz_resp [seeds] [first seed]
 *
 * The streams are mixtures of good commands, inline lines, odd headers, nested arrays, lines around
 * the length limit and noise, and some are damaged afterwards. They arrive in random pieces, each
 * in memory of its own that is freed as soon as the reader lets go of it, and each command is read
 * into an arena of its own, so that the address sanitizer sees every borrowed byte. A few fixed
 * streams are tried with every way to cut them in two.
 */
#include "base/buffer.h"
#include "base/random.h"
#include "holdfast/limits.h"
#include "resp/reader.h"
#include "support/count.h"
#include "support/plain_parser.h"

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(condition, ...)                                                                    \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "fuzz_resp: %s: ", where);                                 \
			fprintf(stderr, __VA_ARGS__);                                              \
			fprintf(stderr, "\n");                                                     \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* A stream being read, and what has to come out of it. */
struct trial {
	struct reader *reader;
	struct reader_limits limits;
	struct arena arena;
	struct plain_stream *expected;
	struct random holds; /* when to have the reader hold what is left of a piece */
	size_t fed;
	size_t seen;
	bool failed;
};

static char where[64];

static void fuzz_seed(uint64_t seed);
static void cut_everywhere(const char *bytes, size_t size);
static void trial_open(struct trial *trial, struct slice stream, const struct plain_limits *limits);
static void trial_feed(struct trial *trial, struct slice piece);
static void trial_compare(struct trial *trial, const struct slice *arguments, uint32_t count);
static void trial_close(struct trial *trial);
static void stream_make(struct random *random, struct buffer *out);
static void command_make(struct random *random, struct buffer *out);
static void inline_make(struct random *random, struct buffer *out);
static void header_make(struct random *random, struct buffer *out);
static void long_line_make(struct random *random, struct buffer *out);
static void noise_make(struct random *random, struct buffer *out, size_t size);
static void stream_damage(struct random *random, struct buffer *out);
static size_t size_make(struct random *random);

int main(int count, char **values)
{
	static const char *const streams[] = {
		"*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n",
		"PING\r\n\r\n\n*0\r\n*-10\r\n*-1\r\nset \"a\\x41\\n\" 'it\\'s' b\"c\"\n*1\r\n$0\r\n\r\n",
		"*2\rX$3\rYGET$$$1\r\nk\n\n*1\r$$1\r\nk\r\nx\r\n",
		"*2\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n",
		"*1\r\n\r\n",
		"*1\r\n$-1\r\n",
		"*11\r\n$1\r\na\r\n",
		"*x\r\n",
		"get \"unbalanced\r\n",
		"get \"a\"b\r\n",
		"PING\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\nSET pwned 1\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a\r\nx http://a HTTP/1.1\r\n",
		"OPTIONS * RTSP/1.0\r\n",
		"connect a:1 HTTP/1.1\r\n",
		"SET a HTTP/1.1\r\nEHLO\r\nEHLO me\r\n",
		"X-Header:\r\nX-Header: value\r\n",
		"SSH-2.0-x\r\n",
		"\x16\x03\r\n\x16\x03\x01\x02\x03\r\n",
	};
	uint64_t seeds = count > 1 ? strtoull(values[1], NULL, 10) : 20000;
	uint64_t first = count > 2 ? strtoull(values[2], NULL, 10) : 0;
	for (size_t i = 0; i < COUNT(streams); i++) {
		snprintf(where, sizeof(where), "stream %zu", i);
		cut_everywhere(streams[i], strlen(streams[i]));
	}
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		snprintf(where, sizeof(where), "seed %llu", (unsigned long long)seed);
		fuzz_seed(seed);
	}
	printf("fuzz_resp: %llu seeds\n", (unsigned long long)seeds);
	return 0;
}

static void fuzz_seed(uint64_t seed)
{
	static const long long bulk_maxima[] = { (long long)LIMIT_VALUE_BYTES, 20000, 30 };
	static const long long argument_maxima[] = { LIMIT_ARGUMENTS, 12 };
	struct random random;
	random_seed(&random, seed);
	struct plain_limits limits = {
		.bulk_bytes_max = bulk_maxima[random_below(&random, COUNT(bulk_maxima))],
		.arguments_max = argument_maxima[random_below(&random, COUNT(argument_maxima))],
		.authenticated = random_below(&random, 4) > 0,
	};
	struct buffer stream;
	buffer_init(&stream);
	stream_make(&random, &stream);

	struct trial trial;
	trial_open(&trial, buffer_slice(&stream), &limits);
	uint64_t piece_max = (uint64_t)1 << random_below(&random, 24);
	for (size_t at = 0; at < stream.size;) {
		size_t size = 1 + (size_t)random_below(&random, piece_max);
		if (size > stream.size - at)
			size = stream.size - at;
		trial_feed(&trial, slice_of(stream.data + at, size));
		at += size;
	}
	trial_close(&trial);
	buffer_fini(&stream);
}

static void cut_everywhere(const char *bytes, size_t size)
{
	for (size_t cut = 0; cut <= size; cut++) {
		for (int authenticated = 0; authenticated <= 1; authenticated++) {
			struct plain_limits limits = {
				.bulk_bytes_max = 100,
				.arguments_max = 100,
				.authenticated = authenticated,
			};
			struct trial trial;
			trial_open(&trial, slice_of(bytes, size), &limits);
			trial_feed(&trial, slice_of(bytes, cut));
			trial_feed(&trial, slice_of(bytes + cut, size - cut));
			trial_close(&trial);
		}
	}
}

static void trial_open(struct trial *trial, struct slice stream, const struct plain_limits *limits)
{
	*trial = (struct trial){
		.reader = reader_new(),
		.limits = {
			.bulk_bytes_max = limits->bulk_bytes_max,
			.arguments_max = limits->arguments_max,
			.authenticated = limits->authenticated,
		},
		.expected = plain_parse(stream.data, stream.size, limits),
	};
	random_seed(&trial->holds, stream.size);
	arena_init(&trial->arena, 256);
}

static void trial_feed(struct trial *trial, struct slice piece)
{
	if (trial->failed)
		return;
	char *copy = malloc(piece.size ? piece.size : 1);
	memcpy(copy, piece.data, piece.size);
	reader_feed(trial->reader, slice_of(copy, piece.size));
	trial->fed += piece.size;

	enum reader_result result;
	struct slice *arguments;
	uint32_t count;
	while ((result = reader_next(trial->reader, &trial->limits, &trial->arena, &arguments,
			&count)) == READER_COMMAND) {
		trial_compare(trial, arguments, count);
		if (random_below(&trial->holds, 4) == 0) {
			reader_hold(trial->reader);
			free(copy);
			copy = NULL;
		}
	}
	free(copy);

	const struct plain_stream *expected = trial->expected;
	size_t whole = 0;
	while (whole < expected->count && expected->commands[whole].end <= trial->fed)
		whole++;
	REQUIRE(trial->seen == whole, "%zu commands of %zu in %zu bytes", trial->seen, whole,
		trial->fed);
	if (whole > 0 && expected->commands[whole - 1].end == trial->fed)
		REQUIRE(reader_bytes(trial->reader) == 0, "bytes held between two commands");
	if (result == READER_ERROR || result == READER_FOREIGN) {
		trial->failed = true;
		REQUIRE((strncmp(reader_error(trial->reader), "ERR ", 4) == 0) ==
				(result == READER_ERROR),
			"an error of the wrong kind");
		REQUIRE(whole == expected->count, "an early error: %s",
			reader_error(trial->reader));
		REQUIRE(strcmp(reader_error(trial->reader), expected->error) == 0,
			"\"%s\" for \"%s\"", reader_error(trial->reader), expected->error);
	}
}

static void trial_compare(struct trial *trial, const struct slice *arguments, uint32_t count)
{
	REQUIRE(trial->seen < trial->expected->count, "one command too many");
	const struct plain_command *command = &trial->expected->commands[trial->seen++];
	REQUIRE(count == command->count, "%u arguments for %zu", count, command->count);
	for (uint32_t i = 0; i < count; i++) {
		struct slice wanted =
			slice_of(command->arguments[i].bytes, command->arguments[i].size);
		REQUIRE(slice_equal(arguments[i], wanted), "argument %u: \"%.*s\" for \"%.*s\"", i,
			(int)arguments[i].size, arguments[i].data, (int)wanted.size, wanted.data);
	}
	arena_fini(&trial->arena);
	arena_init(&trial->arena, 256);
}

static void trial_close(struct trial *trial)
{
	REQUIRE(trial->failed == (trial->expected->error[0] != '\0'), "no error for \"%s\"",
		trial->expected->error);
	reader_free(&trial->reader);
	arena_fini(&trial->arena);
	plain_free(trial->expected);
}

static void stream_make(struct random *random, struct buffer *out)
{
	static const char *const odd[] = {
		"*2\r\n*1\r\n$1\r\na\r\n$1\r\nb\r\n",
		"*1\r\n*1\r\n*1\r\n*1\r\n",
		"*1\r\n:1\r\n",
		"*1\r\n+OK\r\n",
		"*2\r\n$1\r\na\r\n$-1\r\n",
		"\r\n",
		"\n",
		" \t\r\n",
		"*0\r\n",
		"*-10\r\n",
		"*1\r\n$3\rXabcde",
		"*1\rX$1\r\naZZ",
		"$5\r\nhello\r\n",
		"*1\r\n\r\n",
		"*1\r\n\n$1\r\na\r\n",
		"%1\r\n",
		"~1\r\n",
		"*?\r\n",
		"*1\r\n$?\r\n",
		"\0\r\n",
		"POST / HTTP/1.1\r\n",
		"get /x HTTP/1.1\r\n",
		" PUT\t/x  HTTP/1.0 \r\n",
		"DESCRIBE rtsp://x RTSP/1.0\n",
		"OPTIONS sip:nm SIP/2.0\r\n",
		"CONNECT x:1 HTTP/1.1\r\n",
		"SET x HTTP/1.1\r\n",
		"SET /x HTTP/1.1 y\r\n",
		"a * HTTP/11\r\n",
		"host:\r\n",
		"Content-Length: 7\r\n",
		"a_b: 7\r\n",
		"ehlo x\r\n",
		"HELO\r\n",
		"SSH-2.0-a b\r\n",
		"\x16\x03\x01\x02\x00\x01",
		"\x16\x03\x05 x\r\n",
	};
	uint64_t pieces = 1 + random_below(random, 12);
	for (uint64_t i = 0; i < pieces; i++) {
		uint64_t kind = random_below(random, 100);
		if (kind < 60)
			command_make(random, out);
		else if (kind < 80)
			inline_make(random, out);
		else if (kind < 86)
			header_make(random, out);
		else if (kind < 95)
			buffer_append_text(out, odd[random_below(random, COUNT(odd))]);
		else if (kind < 97)
			long_line_make(random, out);
		else
			noise_make(random, out, (size_t)random_below(random, 100));
	}
	if (random_below(random, 3) == 0)
		stream_damage(random, out);
}

static void command_make(struct random *random, struct buffer *out)
{
	uint64_t count = 1 + random_below(random, random_below(random, 8) ? 4 : 40);
	buffer_format(out, "*%d\r\n", (int)count);
	for (uint64_t i = 0; i < count; i++) {
		size_t size = size_make(random);
		buffer_format(out, "$%zu\r\n", size);
		noise_make(random, out, size);
		buffer_append(out, "\r\n", 2);
	}
}

static void inline_make(struct random *random, struct buffer *out)
{
	static const char *const parts[] = { "get", "a", "\"", "'", "\\", "\\x4", "\\x41", "\\n",
		"\\t", "\\\"", "\\'", " ", " ", " ", "\t", "\v", "\r", "\" ", "' ", "\\xgg", "b",
		"\f", "\"a b\"", "'c d'", "\"\\a\\b\\r\\q\"", "''" };
	bool quoted = random_below(random, 2);
	uint64_t count = random_below(random, 12);
	for (uint64_t i = 0; i < count; i++) {
		const char *part = parts[random_below(random, COUNT(parts))];
		/* Most random quotes are unbalanced and end the stream; leave them out of half. */
		if (quoted || strpbrk(part, "\"'\\") == NULL)
			buffer_append_text(out, part);
	}
	buffer_append_text(out, random_below(random, 4) ? "\r\n" : "\n");
}

static void header_make(struct random *random, struct buffer *out)
{
	static const char *const numbers[] = { "-10", "-1", "-0", "0", "00", "01", "1", "+1", "2",
		"10", "11", "12", "13", "30", "31", "16384", "16385", "20000", "20001", "1048576",
		"1048577", "2147483647", "2147483648", "4294967297", "536870912", "536870913",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"-9223372036854775809", "18446744073709551617", "99999999999999999999999999", "",
		" 1", "1 ", "1x", "0x1", "-", "1.0", "1e1" };
	if (random_below(random, 2))
		buffer_append_text(out, "*1\r\n$");
	else
		buffer_append_text(out, "*");
	buffer_append_text(out, numbers[random_below(random, COUNT(numbers))]);
	buffer_append_text(out, "\r\n");
}

/* A line of about the greatest length, with and without an end. */
static void long_line_make(struct random *random, struct buffer *out)
{
	static const char *const starts[] = { "*", "*1\r\n$", "*1\r\nx", "", "* ", "a " };
	static const char *const ends[] = { "\r\n", "\n", "\r", "\rx", "" };
	size_t start = out->size;
	buffer_append_text(out, starts[random_below(random, COUNT(starts))]);
	size_t size = LIMIT_INLINE_BYTES - 6 + (size_t)random_below(random, 12);
	memset(buffer_reserve(out, size), '1', size);
	out->size += size;
	if (random_below(random, 4) == 0)
		out->data[start + random_below(random, out->size - start)] = '\0';
	buffer_append_text(out, ends[random_below(random, COUNT(ends))]);
}

static void noise_make(struct random *random, struct buffer *out, size_t size)
{
	static const char likely[] = "*$\r\n0123456789\"'\\ :-";
	bool any = random_below(random, 2);
	char *at = buffer_reserve(out, size);
	for (size_t i = 0; i < size; i++)
		at[i] = any ? (char)random_next(random)
			    : likely[random_below(random, sizeof(likely))];
	out->size += size;
}

static void stream_damage(struct random *random, struct buffer *out)
{
	uint64_t count = 1 + random_below(random, 3);
	for (uint64_t i = 0; i < count && out->size > 0; i++) {
		size_t at = (size_t)random_below(random, out->size);
		size_t rest = out->size - at - 1;
		switch (random_below(random, 4)) {
		case 0:
			out->data[at] = (char)random_next(random);
			break;
		case 1:
			out->data[at] = "*$\r\n19-"[random_below(random, 8)];
			break;
		case 2:
			memmove(out->data + at, out->data + at + 1, rest);
			out->size--;
			break;
		default:
			out->size = at;
		}
	}
}

static size_t size_make(struct random *random)
{
	uint64_t kind = random_below(random, 200);
	if (kind == 0)
		return (size_t)random_below(random, 100000);
	if (kind < 10)
		return (size_t)random_below(random, 3000);
	return (size_t)random_below(random, 20);
}
