/*
 * ranges: the commands that take a value as a run of bytes: APPEND, STRLEN, GETRANGE, SETRANGE.
 *
 * A longer value is made whole in the request's arena: a record carries values, not edits, so that
 * replaying it does not depend on what was there. The life of a key that is there stays as it is.
 *
 * Threads: the turn's.
 */
#include "strings/strings.h"

#include "config/config.h"
#include "request/options.h"
#include "strings/place.h"

static bool length_allowed(struct turn *turn, uint64_t offset, uint64_t size);

void strings_append(struct turn *turn)
{
	struct place place;
	if (!place_of_argument(turn, 1, &place))
		return;
	struct slice more = turn_argument(turn, 2);
	struct value value;
	bool found = place_get(turn, &place, &value);
	size_t size = value.data.size + more.size;
	if (found && !length_allowed(turn, value.data.size, more.size))
		return;
	if (!found) {
		place_put(turn, &place, more, 0);
	} else if (more.size > 0) {
		char *whole = arena_alloc(turn_arena(turn), size);
		memcpy(whole, value.data.data, value.data.size);
		memcpy(whole + value.data.size, more.data, more.size);
		place_put_as(turn, &place, VALUE_EDITED, slice_of(whole, size), value.expire_ms);
	}
	writer_integer(&turn->writer, (int64_t)size);
}

void strings_strlen(struct turn *turn)
{
	struct place place;
	struct value value;
	if (!place_of_argument(turn, 1, &place))
		return;
	place_look(turn, &place, &value);
	writer_integer(&turn->writer, (int64_t)value.data.size);
}

void strings_getrange(struct turn *turn)
{
	struct place place;
	struct value value;
	int64_t start, end;
	if (!place_of_argument(turn, 1, &place) || !options_integer(turn, 2, &start) ||
		!options_integer(turn, 3, &end))
		return;
	place_look(turn, &place, &value);
	int64_t size = (int64_t)value.data.size;
	/* Both counted from the end and the wrong way round: empty, even where cutting both at the
	 * front would make them meet. */
	bool empty = size == 0 || (start < 0 && end < 0 && start > end);
	if (start < 0)
		start = start + size < 0 ? 0 : start + size;
	if (end < 0)
		end = end + size < 0 ? 0 : end + size;
	if (end >= size)
		end = size - 1;
	struct extent extent = { .from = (size_t)start, .most = (size_t)(end - start + 1) };
	if (empty || start > end)
		value.data = slice_of("", 0);
	else
		place_get_extent(turn, &place, extent, &value);
	writer_bulk(&turn->writer, value.data);
}

void strings_setrange(struct turn *turn)
{
	struct place place;
	struct value value;
	int64_t offset;
	if (!place_of_argument(turn, 1, &place) || !options_integer(turn, 2, &offset))
		return;
	if (offset < 0) {
		turn_error(turn, ERROR_OFFSET);
		return;
	}
	struct slice patch = turn_argument(turn, 3);
	place_get(turn, &place, &value);
	struct slice old = value.data;
	if (patch.size == 0) {
		writer_integer(&turn->writer, (int64_t)old.size);
		return;
	}
	if (!length_allowed(turn, (uint64_t)offset, patch.size))
		return;
	size_t start = (size_t)offset, end = start + patch.size;
	size_t size = end > old.size ? end : old.size;
	char *whole = arena_alloc(turn_arena(turn), size);
	if (old.size > 0)
		memcpy(whole, old.data, old.size);
	if (start > old.size)
		memset(whole + old.size, 0, start - old.size);
	memcpy(whole + start, patch.data, patch.size);
	place_put_as(turn, &place, VALUE_EDITED, slice_of(whole, size), value.expire_ms);
	writer_integer(&turn->writer, (int64_t)size);
}

static bool length_allowed(struct turn *turn, uint64_t offset, uint64_t size)
{
	uint64_t limit = (uint64_t)turn->config->value_bytes_max;
	if (offset <= limit && size <= limit - offset)
		return true;
	turn_error(turn, ERROR_STRING_TOO_LONG);
	return false;
}
