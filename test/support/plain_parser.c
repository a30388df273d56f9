/*
 * plain_parser: see plain_parser.h. Each function looks at the stream from an offset and either has
 * everything it needs or says so; nothing is remembered between attempts. Error texts are spelled
 * out here, so that a slip in errors.h shows.
 */
#include "support/plain_parser.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 65536

/* NONE: something without arguments, to be skipped. */
enum step { STEP_COMMAND, STEP_NONE, STEP_MORE, STEP_ERROR };

struct input {
	const char *bytes;
	size_t size;
	size_t at;
	const struct plain_limits *limits;
	char *error;
};

static enum step multibulk(struct input *input, struct plain_command *command);
static enum step bulk(struct input *input, struct plain_command *command);
static enum step inline_line(struct input *input, struct plain_command *command);
static const char *looks_like(const char *line);
static bool split(char *line, struct plain_command *command);
static bool is_hex_escape(const char *text);
static const char *find(const struct input *input, char wanted);
static bool strict_number(const char *text, size_t size, long long *value);
static enum step refuse(struct input *input, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void add(struct plain_command *command, const char *bytes, size_t size);
static void command_free(struct plain_command *command);
static void *check(void *memory);

struct plain_stream *plain_parse(const char *bytes, size_t size, const struct plain_limits *limits)
{
	struct plain_stream *stream = check(calloc(1, sizeof(*stream)));
	struct input input = {
		.bytes = bytes, .size = size, .limits = limits, .error = stream->error
	};
	while (input.at < size) {
		struct plain_command command = { 0 };
		enum step step = bytes[input.at] == '*' ? multibulk(&input, &command)
							: inline_line(&input, &command);
		if (step == STEP_COMMAND) {
			command.end = input.at;
			stream->commands = check(realloc(
				stream->commands, (stream->count + 1) * sizeof(*stream->commands)));
			stream->commands[stream->count++] = command;
			continue;
		}
		command_free(&command);
		if (step != STEP_NONE)
			break;
	}
	return stream;
}

void plain_free(struct plain_stream *stream)
{
	for (size_t i = 0; i < stream->count; i++)
		command_free(&stream->commands[i]);
	free(stream->commands);
	free(stream);
}

static enum step multibulk(struct input *input, struct plain_command *command)
{
	const char *start = input->bytes + input->at;
	const char *cr = find(input, '\r');
	if (cr == NULL || cr - start > LINE_MAX_BYTES) {
		if (input->size - input->at > LINE_MAX_BYTES)
			return refuse(input, "too big mbulk count string");
		return STEP_MORE;
	}
	if (cr + 1 == input->bytes + input->size)
		return STEP_MORE;
	long long count;
	if (!strict_number(start + 1, (size_t)(cr - start) - 1, &count) ||
		count > input->limits->arguments_max)
		return refuse(input, "invalid multibulk length");
	if (count > 10 && !input->limits->authenticated)
		return refuse(input, "unauthenticated multibulk length");
	input->at = (size_t)(cr - input->bytes) + 2;
	if (count <= 0)
		return STEP_NONE;
	for (long long i = 0; i < count; i++) {
		enum step step = bulk(input, command);
		if (step != STEP_COMMAND)
			return step;
	}
	return STEP_COMMAND;
}

static enum step bulk(struct input *input, struct plain_command *command)
{
	const char *start = input->bytes + input->at;
	const char *cr = find(input, '\r');
	if (cr == NULL || cr - start > LINE_MAX_BYTES) {
		if (input->size - input->at > LINE_MAX_BYTES)
			return refuse(input, "too big bulk count string");
		return STEP_MORE;
	}
	if (cr + 1 == input->bytes + input->size)
		return STEP_MORE;
	if (*start != '$')
		return refuse(input, "expected '$', got '%c'",
			*start == '\r' || *start == '\n' ? ' ' : *start);
	long long size;
	if (!strict_number(start + 1, (size_t)(cr - start) - 1, &size) || size < 0 ||
		size > input->limits->bulk_bytes_max)
		return refuse(input, "invalid bulk length");
	if (size > 16384 && !input->limits->authenticated)
		return refuse(input, "unauthenticated bulk length");
	input->at = (size_t)(cr - input->bytes) + 2;
	if (input->size - input->at < (size_t)size + 2)
		return STEP_MORE;
	add(command, input->bytes + input->at, (size_t)size);
	input->at += (size_t)size + 2;
	return STEP_COMMAND;
}

static enum step inline_line(struct input *input, struct plain_command *command)
{
	const char *start = input->bytes + input->at;
	const char *newline = find(input, '\n');
	bool tls = input->size - input->at >= 3 && memcmp(start, "\x16\x03", 2) == 0 &&
		start[2] >= 0 && start[2] <= 4;
	if (tls) {
		strcpy(input->error, "a TLS handshake");
		return STEP_ERROR;
	}
	if (newline == NULL || newline - start > LINE_MAX_BYTES) {
		if (input->size - input->at > LINE_MAX_BYTES)
			return refuse(input, "too big inline request");
		return STEP_MORE;
	}
	size_t size = (size_t)(newline - start);
	if (size > 0 && start[size - 1] == '\r')
		size--;
	char *line = check(strndup(start, size));
	const char *like = looks_like(line);
	if (like) {
		strcpy(input->error, like);
		free(line);
		return STEP_ERROR;
	}
	bool balanced = split(line, command);
	free(line);
	if (!balanced)
		return refuse(input, "unbalanced quotes in request");
	input->at = (size_t)(newline - input->bytes) + 1;
	return command->count > 0 ? STEP_COMMAND : STEP_NONE;
}

/* NULL: like a command. */
static const char *looks_like(const char *line)
{
	static const struct {
		const char *expression;
		int flags;
		const char *like;
	} forms[] = {
		{ "^[[:space:]]*(post|host:)([[:space:]]|$)", REG_ICASE, "an HTTP request" },
		{ "^[[:space:]]*[a-z0-9-]+:[[:space:]]+[^[:space:]]", REG_ICASE,
			"an HTTP request" },
		{ "^[[:space:]]*([^[:space:]]+[[:space:]]+"
		  "(/[^[:space:]]*|\\*|sip:[^[:space:]]*|[^[:space:]]*://[^[:space:]]*)|"
		  "[cC][oO][nN][nN][eE][cC][tT][[:space:]]+[^[:space:]]+)[[:space:]]+"
		  "([hH][tT][tT][pP]|[rR][tT][sS][pP]|[sS][iI][pP])/[0-9]\\.[0-9][[:space:]]*$",
			0, "an HTTP request" },
		{ "^[[:space:]]*(ehlo|helo|lhlo)[[:space:]]+[^[:space:]]", REG_ICASE, "SMTP" },
		{ "^[[:space:]]*SSH-", 0, "an SSH banner" },
	};
	static regex_t compiled[sizeof(forms) / sizeof(forms[0])];
	static bool ready;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (!ready &&
			regcomp(&compiled[i], forms[i].expression,
				forms[i].flags | REG_EXTENDED | REG_NOSUB) != 0)
			abort();
	}
	ready = true;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (regexec(&compiled[i], line, 0, NULL, 0) == 0)
			return forms[i].like;
	}
	return NULL;
}

/* Words of a line, after Redis's description of quoting. `line` is overwritten. */
static bool split(char *line, struct plain_command *command)
{
	char *read = line;
	for (;;) {
		while (isspace((unsigned char)*read))
			read++;
		if (*read == '\0')
			return true;
		char *word = check(malloc(strlen(read) + 1));
		size_t size = 0;
		char quote = '\0';
		bool done = false, failed = false;
		while (!done && !failed) {
			if (quote == '\0' && (*read == '\0' || strchr(" \n\r\t", *read) != NULL)) {
				done = true;
			} else if (quote == '\0' && (*read == '"' || *read == '\'')) {
				quote = *read++;
			} else if (quote != '\0' && *read == quote) {
				read++;
				done = true;
				failed = *read != '\0' && !isspace((unsigned char)*read);
			} else if (*read == '\0') {
				failed = true;
			} else if (quote == '"' && is_hex_escape(read)) {
				char digits[] = { read[2], read[3], '\0' };
				word[size++] = (char)strtol(digits, NULL, 16);
				read += 4;
			} else if (quote == '"' && *read == '\\' && read[1] != '\0') {
				static const char letters[] = "nrtba", bytes[] = "\n\r\t\b\a";
				const char *letter = strchr(letters, read[1]);
				word[size++] = letter ? bytes[letter - letters] : read[1];
				read += 2;
			} else if (quote == '\'' && read[0] == '\\' && read[1] == '\'') {
				word[size++] = '\'';
				read += 2;
			} else {
				word[size++] = *read++;
			}
		}
		if (!failed)
			add(command, word, size);
		free(word);
		if (failed)
			return false;
	}
}

static bool is_hex_escape(const char *text)
{
	return text[0] == '\\' && text[1] == 'x' && isxdigit((unsigned char)text[2]) &&
		isxdigit((unsigned char)text[3]);
}

/* As strchr on the stream: what is behind a NUL is not seen. */
static const char *find(const struct input *input, char wanted)
{
	const char *start = input->bytes + input->at;
	size_t size = input->size - input->at;
	const char *nul = memchr(start, '\0', size);
	return memchr(start, wanted, nul ? (size_t)(nul - start) : size);
}

/* A number is strict when it is written as printf would write it. */
static bool strict_number(const char *text, size_t size, long long *value)
{
	char copy[32], again[32];
	if (size == 0 || size >= sizeof(copy))
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	errno = 0;
	*value = strtoll(copy, NULL, 10);
	snprintf(again, sizeof(again), "%lld", *value);
	return errno == 0 && strcmp(copy, again) == 0;
}

static enum step refuse(struct input *input, const char *format, ...)
{
	int size = snprintf(input->error, PLAIN_ERROR_MAX, "ERR Protocol error: ");
	va_list list;
	va_start(list, format);
	vsnprintf(input->error + size, PLAIN_ERROR_MAX - (size_t)size, format, list);
	va_end(list);
	return STEP_ERROR;
}

static void add(struct plain_command *command, const char *bytes, size_t size)
{
	command->arguments = check(
		realloc(command->arguments, (command->count + 1) * sizeof(*command->arguments)));
	char *copy = check(malloc(size ? size : 1));
	memcpy(copy, bytes, size);
	command->arguments[command->count++] =
		(struct plain_argument){ .bytes = copy, .size = size };
}

static void command_free(struct plain_command *command)
{
	for (size_t i = 0; i < command->count; i++)
		free(command->arguments[i].bytes);
	free(command->arguments);
}

static void *check(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}
