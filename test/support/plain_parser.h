/*
 * plain_parser: a second parser of commands, to compare the reader with. It wants the whole stream
 * in memory, starts from its first byte each time, and follows Redis's rules line by line; it is
 * written for being right, and shares no code with src/resp.
 */
#ifndef SUPPORT_PLAIN_PARSER_H
#define SUPPORT_PLAIN_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#define PLAIN_ERROR_MAX 128

struct plain_limits {
	long long bulk_bytes_max;
	long long arguments_max;
	bool authenticated;
};

struct plain_argument {
	char *bytes;
	size_t size;
};

struct plain_command {
	struct plain_argument *arguments;
	size_t count;
	size_t end; /* offset in the stream behind this command */
};

/* What a stream holds: its commands, then an error, or "" when it only wants more bytes. Of another
 * protocol the error is what it looks like. */
struct plain_stream {
	struct plain_command *commands;
	size_t count;
	char error[PLAIN_ERROR_MAX];
};

struct plain_stream *plain_parse(const char *bytes, size_t size, const struct plain_limits *limits);
void plain_free(struct plain_stream *stream);

#endif
