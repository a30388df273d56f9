/*
 * options: see options.h.
 *
 * What excludes what follows Redis 7.2 (parseExtendedStringArgumentsOrReply): an option may be said
 * twice, and then the last one holds; NX excludes XX; KEEPTTL, PERSIST and the four kinds of time
 * exclude each other. Whatever is left over is a syntax error, and so is a kind of time without its
 * amount.
 *
 * Threads: the turn's.
 */
#include "strings/options.h"

#include "base/number.h"

#include <limits.h>

static bool option_flag(struct options *options, enum option_family family, struct slice word);
static enum option_time option_time_named(struct slice word);

bool options_parse(
	struct turn *turn, uint32_t first, enum option_family family, struct options *out)
{
	*out = (struct options){ .time = TIME_NONE };
	uint32_t count = turn->asked->argument_count;
	for (uint32_t i = first; i < count; i++) {
		struct slice word = turn_argument(turn, i);
		if (option_flag(out, family, word))
			continue;
		enum option_time time = option_time_named(word);
		bool free = !out->keep_ttl && !out->persist &&
			(out->time == TIME_NONE || out->time == time);
		if (time == TIME_NONE || !free || i + 1 == count) {
			turn_error(turn, ERROR_SYNTAX);
			return false;
		}
		out->time = time;
		out->amount = turn_argument(turn, ++i);
	}
	return true;
}

bool options_expire_ms(struct turn *turn, enum option_time time, struct slice amount,
	const char *command, int64_t *out)
{
	*out = 0;
	if (time == TIME_NONE)
		return true;
	int64_t moment;
	if (!number_parse_i64(amount, &moment)) {
		turn_error(turn, ERROR_NOT_INTEGER);
		return false;
	}
	bool in_seconds = time == TIME_EX || time == TIME_EXAT;
	bool from_now = time == TIME_EX || time == TIME_PX;
	if (moment <= 0 || (in_seconds && __builtin_mul_overflow(moment, 1000, &moment)) ||
		(from_now && __builtin_add_overflow(moment, turn->now_ms, &moment))) {
		turn_error(turn, ERROR_INVALID_EXPIRE, command);
		return false;
	}
	*out = moment;
	return true;
}

bool options_integer(struct turn *turn, uint32_t index, int64_t *out)
{
	if (number_parse_i64(turn_argument(turn, index), out))
		return true;
	turn_error(turn, ERROR_NOT_INTEGER);
	return false;
}

bool options_database(struct turn *turn, uint32_t index, uint8_t *out)
{
	int64_t number;
	if (!options_integer(turn, index, &number))
		return false;
	if (number < INT_MIN || number > INT_MAX) {
		turn_error(turn, ERROR_NOT_IN_RANGE, INT_MIN, INT_MAX);
		return false;
	}
	if (number < 0 || number >= LIMIT_DATABASES) {
		turn_error(turn, ERROR_DB_INDEX);
		return false;
	}
	*out = (uint8_t)number;
	return true;
}

static bool option_flag(struct options *options, enum option_family family, struct slice word)
{
	bool set = family == OPTIONS_SET;
	if (set && slice_is(word, "nx") && !options->xx)
		return options->nx = true;
	if (set && slice_is(word, "xx") && !options->nx)
		return options->xx = true;
	if (set && slice_is(word, "get"))
		return options->get = true;
	if (set && slice_is(word, "keepttl") && options->time == TIME_NONE)
		return options->keep_ttl = true;
	if (!set && slice_is(word, "persist") && options->time == TIME_NONE)
		return options->persist = true;
	return false;
}

static enum option_time option_time_named(struct slice word)
{
	if (slice_is(word, "ex"))
		return TIME_EX;
	if (slice_is(word, "px"))
		return TIME_PX;
	if (slice_is(word, "exat"))
		return TIME_EXAT;
	if (slice_is(word, "pxat"))
		return TIME_PXAT;
	return TIME_NONE;
}
