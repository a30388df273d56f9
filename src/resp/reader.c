/*
 * reader: the guard in front of hiredis.
 *
 * What hiredis takes for a reply is not what Redis takes for a command: it knows no inline commands
 * and no limits, and accepts nested arrays, integers and nulls. So the guard goes first over every
 * byte. It knows where in a command it is, reads each length line as Redis does, and passes on
 * what it approves of:
 *
 *      *2\r\n $3\r\n GET\r\n $5\r\n hello\r\n
 *      line   line   payload line   payload          line: checked    payload: counted
 *
 * What was passed is a run of the borrowed bytes that goes to the parser as a whole: at the end of
 * a command, or when the bytes are used up. A length line cut in two, or ended by a CR and
 * something else than LF (Redis skips whatever follows the CR), is gathered in a small buffer,
 * checked, and passed with a proper end. Inline commands never reach the parser.
 *
 * The rules, and where in a line they strike, are those of processInlineBuffer and
 * processMultibulkBuffer of Redis 7.2. A line counts as too big by its own length, not by how much
 * of it a read happened to bring. A NUL in a line hides its end, so such a line becomes too big.
 * An inline line is first asked whether it is of another protocol (foreign.h).
 *
 * Life cycle: a reader that has used up its bytes between two commands holds no more than its
 * struct; a parser is taken for the time of an array and kept while there is more to read. Who
 * stops in the middle of a pipeline has the rest copied (reader_hold). After an error nothing is
 * kept.
 */
#include "resp/reader.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "base/number.h"
#include "holdfast/errors.h"
#include "holdfast/limits.h"
#include "resp/arguments.h"
#include "resp/foreign.h"
#include "resp/parser.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* A parser that has held a command longer than this is freed behind it, with its buffer. */
#define PARSER_KEEP_BYTES (4 * LIMIT_FEED_BYTES)

enum line_result { LINE_WHOLE, LINE_MORE, LINE_TOO_BIG };

struct reader {
	struct slice input; /* borrowed, or in `held`; what the guard has not seen */
	struct buffer held; /* what reader_hold took over, until it is used up */
	const char *passed; /* from here to `input`: passed, not given to the parser */

	int64_t elements_left; /* of the array: bulks whose length line has not been read */
	int64_t payload_left;  /* of the bulk: bytes to come, with the line end */

	struct buffer line; /* a line that did not come in one piece */
	bool line_endless;  /* it has a NUL */
	struct redisReader *parser;
	struct arguments arguments;
	size_t bytes; /* of this command, given to the parser */

	char error[64];
	bool foreign; /* the error is what the bytes look like */
};

static enum reader_result array_begin(struct reader *reader, const struct reader_limits *limits);
static enum reader_result array_continue(struct reader *reader, const struct reader_limits *limits);
static bool bulk_begin(
	struct reader *reader, const struct reader_limits *limits, struct slice line);
static void payload_pass(struct reader *reader);
static enum reader_result inline_read(struct reader *reader);
static enum line_result length_line_take(struct reader *reader, struct slice *line);
static void length_line_pass(struct reader *reader);
static enum line_result line_gather(struct reader *reader, char end);
static bool line_has_end(const struct reader *reader, char end);
static void line_clear(struct reader *reader);
static size_t line_find_end(struct slice bytes, char end);
static void input_skip(struct reader *reader, size_t count);
static bool passed_parse(struct reader *reader);
static bool parse(struct reader *reader, struct slice bytes);
static enum reader_result refuse(struct reader *reader, const char *foreign);
static enum reader_result fail(struct reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

struct reader *reader_new(void)
{
	return memory_zeroed(sizeof(struct reader));
}

void reader_free(struct reader **taken)
{
	struct reader *reader = *taken;
	*taken = NULL;
	if (reader == NULL)
		return;
	if (reader->parser)
		parser_free(&reader->parser);
	buffer_fini(&reader->line);
	buffer_fini(&reader->held);
	memory_free(reader);
}

void reader_feed(struct reader *reader, struct slice bytes)
{
	assert(reader->input.size == 0);
	if (reader->error[0])
		return;
	reader->input = bytes;
	reader->passed = bytes.data;
}

void reader_hold(struct reader *reader)
{
	if (reader->input.size == 0)
		return;
	assert(reader->passed == reader->input.data);
	if (reader->held.data && reader->input.data >= reader->held.data &&
		reader->input.data < reader->held.data + reader->held.size)
		return;
	buffer_append(&reader->held, reader->input.data, reader->input.size);
	reader->input = buffer_slice(&reader->held);
	reader->passed = reader->input.data;
}

enum reader_result reader_next(struct reader *reader, const struct reader_limits *limits,
	struct arena *arena, struct slice **arguments, uint32_t *count)
{
	assert(limits->arguments_max <= LIMIT_ARGUMENTS);
	assert(reader->arguments.count == 0 || reader->arguments.arena == arena);
	if (reader->error[0])
		return reader->foreign ? READER_FOREIGN : READER_ERROR;

	reader->arguments.arena = arena;
	enum reader_result result = READER_MORE;
	while (result == READER_MORE && reader->input.size > 0) {
		char first = reader->line.size ? reader->line.data[0] : reader->input.data[0];
		if (reader->elements_left > 0 || reader->payload_left > 0)
			result = array_continue(reader, limits);
		else if (first == '*')
			result = array_begin(reader, limits);
		else
			result = inline_read(reader);
	}

	if (reader->input.size == 0 && reader->held.data)
		buffer_clear(&reader->held, 0);
	if (result == READER_COMMAND) {
		assert(reader->arguments.count > 0);
		*arguments = reader->arguments.items;
		*count = reader->arguments.count;
		arguments_clear(&reader->arguments);
		if (reader->bytes > PARSER_KEEP_BYTES)
			parser_free(&reader->parser);
		reader->bytes = 0;
	} else if (result == READER_MORE && reader->parser && reader->bytes == 0) {
		parser_put(&reader->parser);
	}
	return result;
}

const char *reader_error(const struct reader *reader)
{
	return reader->error;
}

size_t reader_bytes(const struct reader *reader)
{
	return reader->bytes + reader->line.size;
}

static enum reader_result array_begin(struct reader *reader, const struct reader_limits *limits)
{
	struct slice line;
	switch (length_line_take(reader, &line)) {
	case LINE_MORE:
		return READER_MORE;
	case LINE_TOO_BIG:
		return fail(reader, ERROR_PROTOCOL_MULTIBULK_STRING);
	case LINE_WHOLE:
		break;
	}

	int64_t count;
	struct slice digits = slice_of(line.data + 1, line.size - 1);
	if (!number_parse_i64(digits, &count) || count > limits->arguments_max)
		return fail(reader, ERROR_PROTOCOL_MULTIBULK_LENGTH);
	if (count > LIMIT_ARGUMENTS_UNAUTHENTICATED && !limits->authenticated)
		return fail(reader, ERROR_PROTOCOL_NOAUTH_MULTIBULK);
	if (count <= 0) {
		line_clear(reader);
		reader->passed = reader->input.data;
		return READER_MORE;
	}
	length_line_pass(reader);
	reader->elements_left = count;
	return array_continue(reader, limits);
}

static enum reader_result array_continue(struct reader *reader, const struct reader_limits *limits)
{
	for (;;) {
		payload_pass(reader);
		if (reader->payload_left > 0 || reader->elements_left == 0)
			break;
		struct slice line;
		enum line_result result = length_line_take(reader, &line);
		if (result == LINE_TOO_BIG)
			return fail(reader, ERROR_PROTOCOL_BULK_STRING);
		if (result == LINE_MORE)
			break;
		if (!bulk_begin(reader, limits, line))
			return READER_ERROR;
	}
	bool whole = reader->payload_left == 0 && reader->elements_left == 0;
	bool parsed = passed_parse(reader);
	assert(parsed == whole);
	return whole ? READER_COMMAND : READER_MORE;
}

static bool bulk_begin(struct reader *reader, const struct reader_limits *limits, struct slice line)
{
	char type = line.size ? line.data[0] : '\r';
	if (type != '$') {
		/* The error is one line, whatever the byte was. */
		bool breaks = type == '\r' || type == '\n';
		fail(reader, ERROR_PROTOCOL_EXPECTED_DOLLAR, breaks ? ' ' : type);
		return false;
	}
	int64_t size;
	struct slice digits = slice_of(line.data + 1, line.size - 1);
	if (!number_parse_i64(digits, &size) || size < 0 || size > limits->bulk_bytes_max) {
		fail(reader, ERROR_PROTOCOL_BULK_LENGTH);
		return false;
	}
	if (size > LIMIT_ARGUMENT_UNAUTHENTICATED && !limits->authenticated) {
		fail(reader, ERROR_PROTOCOL_NOAUTH_BULK);
		return false;
	}
	length_line_pass(reader);
	reader->payload_left = size + 2;
	reader->elements_left--;
	return true;
}

static void payload_pass(struct reader *reader)
{
	size_t size = reader->input.size;
	if ((int64_t)size > reader->payload_left)
		size = (size_t)reader->payload_left;
	input_skip(reader, size);
	reader->payload_left -= (int64_t)size;
}

static enum reader_result inline_read(struct reader *reader)
{
	struct slice line;
	size_t size = line_find_end(reader->input, '\n');
	bool gathered = reader->line.size > 0 || size > LIMIT_INLINE_BYTES;
	if (!gathered) {
		line = slice_of(reader->input.data, size);
		input_skip(reader, size + 1);
	} else {
		enum line_result result = line_gather(reader, '\n');
		const char *foreign = foreign_of_start(buffer_slice(&reader->line));
		if (foreign)
			return refuse(reader, foreign);
		if (result == LINE_TOO_BIG)
			return fail(reader, ERROR_PROTOCOL_INLINE);
		if (result == LINE_MORE)
			return READER_MORE;
		line = slice_of(reader->line.data, reader->line.size - 1);
	}
	reader->passed = reader->input.data;

	if (line.size > 0 && line.data[line.size - 1] == '\r')
		line.size--;
	const char *foreign = foreign_of_line(line);
	if (foreign)
		return refuse(reader, foreign);
	bool balanced = arguments_add_line(&reader->arguments, line);
	line_clear(reader);
	if (!balanced)
		return fail(reader, ERROR_PROTOCOL_QUOTES);
	return reader->arguments.count > 0 ? READER_COMMAND : READER_MORE;
}

/* The next length line, without its end, valid until it was passed. */
static enum line_result length_line_take(struct reader *reader, struct slice *line)
{
	struct slice input = reader->input;
	if (reader->line.size == 0) {
		size_t size = line_find_end(input, '\r');
		if (size <= LIMIT_INLINE_BYTES && size + 1 < input.size &&
			input.data[size + 1] == '\n') {
			*line = slice_of(input.data, size);
			input_skip(reader, size + 2);
			return LINE_WHOLE;
		}
		passed_parse(reader);
	}
	enum line_result result = line_gather(reader, '\r');
	if (result == LINE_WHOLE)
		*line = slice_of(reader->line.data, reader->line.size - 2);
	return result;
}

/* A line in `input` is part of the passed run already; a gathered one goes to the parser here. */
static void length_line_pass(struct reader *reader)
{
	if (reader->line.size == 0)
		return;
	reader->line.data[reader->line.size - 1] = '\n';
	bool complete = parse(reader, buffer_slice(&reader->line));
	assert(!complete);
	line_clear(reader);
}

/* Moves the rest of a line, with its end, from `input` to `line`. Behind a CR stands one byte more,
 * which may be any. */
static enum line_result line_gather(struct reader *reader, char end)
{
	enum line_result result = LINE_MORE;
	while (result == LINE_MORE && reader->input.size > 0) {
		bool last = end == '\r' && line_has_end(reader, end);
		buffer_append(&reader->line, reader->input.data, 1);
		reader->line_endless |= reader->input.data[0] == '\0';
		input_skip(reader, 1);
		if (last || (end == '\n' && line_has_end(reader, end)))
			result = LINE_WHOLE;
		else if (reader->line.size > LIMIT_INLINE_BYTES && !line_has_end(reader, end))
			result = LINE_TOO_BIG;
	}
	reader->passed = reader->input.data;
	return result;
}

static bool line_has_end(const struct reader *reader, char end)
{
	const struct buffer *line = &reader->line;
	return line->size > 0 && line->data[line->size - 1] == end && !reader->line_endless;
}

static void line_clear(struct reader *reader)
{
	buffer_fini(&reader->line);
	/* A line that ended may have set it, by a NUL behind its CR. */
	reader->line_endless = false;
}

/* Bytes in front of the first `end`; SIZE_MAX when there is none, or a NUL in front of it. */
static size_t line_find_end(struct slice bytes, char end)
{
	for (size_t i = 0; i < bytes.size && bytes.data[i] != '\0'; i++) {
		if (bytes.data[i] == end)
			return i;
	}
	return SIZE_MAX;
}

static void input_skip(struct reader *reader, size_t count)
{
	assert(count <= reader->input.size);
	reader->input.data += count;
	reader->input.size -= count;
}

/* Gives the passed run to the parser; true when it ends a command. */
static bool passed_parse(struct reader *reader)
{
	struct slice run = slice_of(reader->passed, (size_t)(reader->input.data - reader->passed));
	reader->passed = reader->input.data;
	return run.size > 0 && parse(reader, run);
}

static bool parse(struct reader *reader, struct slice bytes)
{
	if (reader->parser == NULL)
		reader->parser = parser_take(&reader->arguments);
	reader->bytes += bytes.size;
	return parser_feed(reader->parser, bytes);
}

static enum reader_result refuse(struct reader *reader, const char *foreign)
{
	fail(reader, "%s", foreign);
	reader->foreign = true;
	return READER_FOREIGN;
}

static enum reader_result fail(struct reader *reader, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	int size = vsnprintf(reader->error, sizeof(reader->error), format, list);
	va_end(list);
	assert(size > 0);
	assert((size_t)size < sizeof(reader->error));

	if (reader->parser)
		parser_free(&reader->parser);
	line_clear(reader);
	arguments_clear(&reader->arguments);
	reader->input = slice_of(NULL, 0);
	reader->bytes = 0;
	return READER_ERROR;
}
