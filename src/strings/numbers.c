/*
 * numbers: the commands that take a value as a number: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT.
 *
 * A key that is absent counts as 0. The life of a key that is there stays as it is. Floats are
 * long doubles, as in Redis, and are stored as they are answered: fixed notation, so that a crash
 * and a replay can never give other digits than the client saw.
 *
 * Threads: the turn's.
 */
#include "strings/strings.h"

#include "base/number.h"
#include "request/options.h"
#include "strings/place.h"

#include <math.h>

static void increment(struct turn *turn, int64_t by);
static bool parse_float_argument(struct turn *turn, struct slice text, long double *out);

void strings_incr(struct turn *turn)
{
	increment(turn, 1);
}

void strings_decr(struct turn *turn)
{
	increment(turn, -1);
}

void strings_incrby(struct turn *turn)
{
	int64_t by;
	if (options_integer(turn, 2, &by))
		increment(turn, by);
}

void strings_decrby(struct turn *turn)
{
	int64_t by;
	if (!options_integer(turn, 2, &by))
		return;
	if (by == INT64_MIN)
		turn_error(turn, ERROR_DECREMENT_OVERFLOW);
	else
		increment(turn, -by);
}

void strings_incrbyfloat(struct turn *turn)
{
	struct place place;
	if (!place_of_argument(turn, 1, &place))
		return;
	struct value value;
	long double number = 0, by;
	bool found = place_get(turn, &place, &value);
	if (found && !parse_float_argument(turn, value.data, &number))
		return;
	if (!parse_float_argument(turn, turn_argument(turn, 2), &by))
		return;
	number += by;
	if (!isfinite(number)) {
		turn_error(turn, ERROR_NAN_OR_INFINITY);
		return;
	}
	char *text = arena_alloc(turn_arena(turn), NUMBER_FLOAT_TEXT_MAX);
	struct slice data = slice_of(text, number_format_float(text, number));
	place_put(turn, &place, data, value.expire_ms);
	writer_bulk(&turn->writer, data);
}

static void increment(struct turn *turn, int64_t by)
{
	struct place place;
	if (!place_of_argument(turn, 1, &place))
		return;
	struct value value;
	int64_t number = 0;
	if (place_get(turn, &place, &value) && !number_parse_i64(value.data, &number)) {
		turn_error(turn, ERROR_NOT_INTEGER);
		return;
	}
	if (__builtin_add_overflow(number, by, &number)) {
		turn_error(turn, ERROR_OVERFLOW);
		return;
	}
	char *text = arena_alloc(turn_arena(turn), NUMBER_I64_TEXT_MAX);
	struct slice data = slice_of(text, number_format_i64(text, number));
	place_put(turn, &place, data, value.expire_ms);
	writer_integer(&turn->writer, number);
}

/* Infinities are numbers to Redis until they are added. */
static bool parse_float_argument(struct turn *turn, struct slice text, long double *out)
{
	if (number_parse_float(text, out))
		return true;
	if (slice_is(text, "inf") || slice_is(text, "+inf") || slice_is(text, "infinity") ||
		slice_is(text, "+infinity"))
		*out = INFINITY;
	else if (slice_is(text, "-inf") || slice_is(text, "-infinity"))
		*out = -INFINITY;
	else {
		turn_error(turn, ERROR_NOT_FLOAT);
		return false;
	}
	return true;
}
