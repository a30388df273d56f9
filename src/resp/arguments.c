/*
 * arguments: a list of slices that doubles in the arena. The lists left behind by doubling stay in
 * the arena until it is reset; together they are smaller than the list in use.
 *
 * An inline line is decoded straight into one block of the arena: no word, nor all of them
 * together, can be longer than the line that spells them.
 *
 * Life cycle: filled for one command, cleared when the command was handed over. Used by the reader
 * on its connection's loop.
 */
#include "resp/arguments.h"

#define ARGUMENTS_FIRST 8 /* room for most commands without growing */

/* What is left of a line, and where its words are put. */
struct line {
	const char *next;
	const char *end;
	char *out;
};

static struct slice *item_add(struct arguments *arguments);
static bool word_decode(struct line *line);
static bool double_quoted_decode(struct line *line);
static bool single_quoted_decode(struct line *line);
static bool quote_close(struct line *line);
static char escaped_decode(struct line *line);
static bool is_blank(char c);
static int hex_value(char c);

void arguments_clear(struct arguments *arguments)
{
	*arguments = (struct arguments){ 0 };
}

char *arguments_add(struct arguments *arguments, size_t size)
{
	struct slice *item = item_add(arguments);
	char *bytes = arena_alloc(arguments->arena, size);
	*item = slice_of(bytes, size);
	return bytes;
}

bool arguments_add_line(struct arguments *arguments, struct slice text)
{
	struct line line = {
		.next = text.data,
		.end = text.data + text.size,
		.out = arena_alloc(arguments->arena, text.size),
	};
	for (;;) {
		while (line.next < line.end && is_blank(*line.next))
			line.next++;
		if (line.next == line.end)
			return true;
		char *word = line.out;
		if (!word_decode(&line))
			return false;
		*item_add(arguments) = slice_of(word, (size_t)(line.out - word));
	}
}

static struct slice *item_add(struct arguments *arguments)
{
	if (arguments->count == arguments->capacity) {
		uint32_t capacity = arguments->capacity ? 2 * arguments->capacity : ARGUMENTS_FIRST;
		struct slice *items = arena_alloc(arguments->arena, capacity * sizeof(*items));
		if (arguments->count)
			memcpy(items, arguments->items, arguments->count * sizeof(*items));
		arguments->items = items;
		arguments->capacity = capacity;
	}
	return &arguments->items[arguments->count++];
}

/* One word. A quote may open in its middle, as in `na"me"`. */
static bool word_decode(struct line *line)
{
	while (line->next < line->end) {
		char c = *line->next++;
		switch (c) {
		case ' ':
		case '\n':
		case '\r':
		case '\t':
			return true;
		case '"':
			return double_quoted_decode(line);
		case '\'':
			return single_quoted_decode(line);
		default:
			*line->out++ = c;
		}
	}
	return true;
}

static bool double_quoted_decode(struct line *line)
{
	while (line->next < line->end) {
		char c = *line->next++;
		if (c == '"')
			return quote_close(line);
		if (c == '\\' && line->next < line->end)
			c = escaped_decode(line);
		*line->out++ = c;
	}
	return false;
}

static bool single_quoted_decode(struct line *line)
{
	while (line->next < line->end) {
		char c = *line->next++;
		if (c == '\'')
			return quote_close(line);
		if (c == '\\' && line->next < line->end && *line->next == '\'')
			c = *line->next++;
		*line->out++ = c;
	}
	return false;
}

/* A closing quote is followed by a blank or by nothing. */
static bool quote_close(struct line *line)
{
	return line->next == line->end || is_blank(*line->next);
}

static char escaped_decode(struct line *line)
{
	char c = *line->next++;
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'b':
		return '\b';
	case 'a':
		return '\a';
	case 'x':
		if (line->end - line->next >= 2) {
			int high = hex_value(line->next[0]);
			int low = hex_value(line->next[1]);
			if (high >= 0 && low >= 0) {
				line->next += 2;
				return (char)(high * 16 + low);
			}
		}
		return c;
	default:
		return c;
	}
}

/* isspace of the C locale. */
static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}
