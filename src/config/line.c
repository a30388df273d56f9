/*
 * line: see line.h. A word never grows when its quotes are undone, so all words of a line fit into
 * one piece of the arena as long as the line.
 *
 * Any thread; nothing is kept between calls.
 */
#include "config/line.h"

#include <ctype.h>
#include <errno.h>
#include <sys/types.h>

static bool is_blank(char c);
static ssize_t unquote(struct slice line, size_t *at, char *out);
static char unescape(struct slice line, size_t *at);
static int hex_digit(char c);

int line_split(struct slice line, struct arena *arena, struct slice *words, size_t words_max)
{
	char *out = arena_alloc(arena, line.size);
	size_t count = 0;
	for (size_t at = 0;;) {
		while (at < line.size && is_blank(line.data[at]))
			at++;
		if (at == line.size)
			return (int)count;
		if (count == words_max)
			return -E2BIG;
		ssize_t size = unquote(line, &at, out);
		if (size < 0)
			return (int)size;
		words[count++] = slice_of(out, (size_t)size);
		out += size;
	}
}

void line_quote(struct slice word, struct buffer *out)
{
	bool bare = word.size > 0 && word.data[0] != '#';
	for (size_t i = 0; i < word.size && bare; i++) {
		char c = word.data[i];
		bare = isgraph((unsigned char)c) && c != '"' && c != '\'' && c != '\\';
	}
	if (bare) {
		buffer_append(out, word.data, word.size);
		return;
	}
	buffer_append(out, "\"", 1);
	for (size_t i = 0; i < word.size; i++) {
		char c = word.data[i];
		if (c == '"' || c == '\\')
			buffer_format(out, "\\%c", c);
		else if (isprint((unsigned char)c))
			buffer_append(out, &c, 1);
		else
			buffer_format(out, "\\x%02x", (unsigned char)c);
	}
	buffer_append(out, "\"", 1);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One word from `*at`, which is moved behind it. Its size in `out`, or -EINVAL. */
static ssize_t unquote(struct slice line, size_t *at, char *out)
{
	char *next = out;
	char quote = '\0';
	for (; *at < line.size; (*at)++) {
		char c = line.data[*at];
		if (quote == '\0' && is_blank(c))
			break;
		if (quote == '\0' && (c == '"' || c == '\'')) {
			quote = c;
		} else if (quote && c == quote) {
			(*at)++;
			bool ends = *at == line.size || is_blank(line.data[*at]);
			return ends ? next - out : -EINVAL;
		} else if (c == '\\' && *at + 1 < line.size &&
			(quote == '"' || (quote == '\'' && line.data[*at + 1] == '\''))) {
			*next++ = unescape(line, at);
		} else {
			*next++ = c;
		}
	}
	return quote ? -EINVAL : next - out;
}

/* The byte meant by the escape at `*at`, which is moved to the escape's last byte. */
static char unescape(struct slice line, size_t *at)
{
	static const char letters[] = "nrtba", meant[] = "\n\r\t\b\a";
	char c = line.data[++*at];
	if (c == 'x' && *at + 2 < line.size) {
		int high = hex_digit(line.data[*at + 1]), low = hex_digit(line.data[*at + 2]);
		if (high >= 0 && low >= 0) {
			*at += 2;
			return (char)(high * 16 + low);
		}
	}
	const char *letter = memchr(letters, c, sizeof(letters) - 1);
	return letter ? meant[letter - letters] : c;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
