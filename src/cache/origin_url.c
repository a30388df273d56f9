/*
 * origin_url: see origin_url.h.
 *
 * Threads: any.
 */
#include "cache/origin_url.h"

#include <stdint.h>
#include <stdio.h>

#define ESCAPE_BYTES 3

/* What has been seen of a segment. */
struct segment {
	size_t dots;
	bool has_others;
	bool is_over; /* what follows are its parameters */
};

static bool is_plain(char letter)
{
	return letter > ' ' && letter < 0x7f && !strchr("%#\"<>\\^`{|}", letter);
}

static int digit_of(char letter)
{
	if (letter >= '0' && letter <= '9')
		return letter - '0';
	char low = (char)(letter | 0x20);
	return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* The byte that an escape at the front stands for; -1: there is none. */
static int escaped_at(struct slice text)
{
	if (text.size < ESCAPE_BYTES || text.data[0] != '%')
		return -1;
	int high = digit_of(text.data[1]), low = digit_of(text.data[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static struct slice skip(struct slice text, size_t count)
{
	return slice_of(text.data + count, text.size - count);
}

struct slice origin_url(struct slice base, struct slice rest, struct arena *arena)
{
	/* sprintf ends with a NUL. */
	char *url = arena_alloc(arena, base.size + ESCAPE_BYTES * rest.size + 1);
	size_t size = base.size;
	memcpy(url, base.data, size);
	for (; rest.size > 0; rest = skip(rest, 1)) {
		if (is_plain(rest.data[0]) || escaped_at(rest) >= 0)
			url[size++] = rest.data[0];
		else
			size += (size_t)sprintf(url + size, "%%%02X", (unsigned char)rest.data[0]);
	}
	return slice_of(url, size);
}

static bool goes_up(const struct segment *segment)
{
	return segment->dots == 2 && !segment->has_others;
}

/* False: the path is over, or has gone up. */
static bool segment_add(struct segment *segment, int byte, bool is_escaped)
{
	if (byte == '?' && !is_escaped)
		return false;
	if (byte == '/' || byte == '\\') {
		bool up = goes_up(segment);
		if (!up)
			*segment = (struct segment){ 0 };
		return !up;
	}
	segment->is_over |= byte == ';';
	segment->dots += byte == '.' && !segment->is_over;
	segment->has_others |= byte != '.' && !segment->is_over;
	return true;
}

bool origin_url_climbs(struct slice base, struct slice rest)
{
	struct segment segment = { 0 };
	/* The segment that the line has begun. */
	const char *slash = memrchr(base.data, '/', base.size);
	size_t from = slash ? (size_t)(slash + 1 - base.data) : base.size;
	if (memchr(base.data, '?', base.size))
		return false;
	struct slice parts[] = { skip(base, from), rest };
	bool goes_on = true;
	for (size_t i = 0; i < 2; i++) {
		while (goes_on && parts[i].size > 0) {
			int escaped = escaped_at(parts[i]);
			goes_on = segment_add(&segment,
				escaped >= 0 ? escaped : (unsigned char)parts[i].data[0],
				escaped >= 0);
			parts[i] = skip(parts[i], escaped >= 0 ? ESCAPE_BYTES : 1);
		}
	}
	return goes_up(&segment);
}
