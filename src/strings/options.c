/*
 * options: see options.h, and request/options.h for the rows.
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

/* Against each other: these, and a time in each of its kinds. */
#define LIVES (STRING_OPTION_TIMES | STRING_OPTION_KEEPTTL | STRING_OPTION_PERSIST)

static bool read_amount(struct options *options)
{
	struct string_options *out = options->out;
	out->amount = options_value(options);
	return true;
}

static const struct option rows[] = {
	{ "ex", STRING_OPTION_EX, LIVES & ~STRING_OPTION_EX, 1, read_amount },
	{ "px", STRING_OPTION_PX, LIVES & ~STRING_OPTION_PX, 1, read_amount },
	{ "nx", STRING_OPTION_NX, STRING_OPTION_XX, 0, NULL },
	{ "xx", STRING_OPTION_XX, STRING_OPTION_NX, 0, NULL },
	{ "get", STRING_OPTION_GET, 0, 0, NULL },
	{ "keepttl", STRING_OPTION_KEEPTTL, LIVES & ~STRING_OPTION_KEEPTTL, 0, NULL },
	{ "persist", STRING_OPTION_PERSIST, LIVES & ~STRING_OPTION_PERSIST, 0, NULL },
	{ "exat", STRING_OPTION_EXAT, LIVES & ~STRING_OPTION_EXAT, 1, read_amount },
	{ "pxat", STRING_OPTION_PXAT, LIVES & ~STRING_OPTION_PXAT, 1, read_amount },
};

static const struct option_table table = {
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
	.repeats = true,
	.misfit = options_say_syntax,
};

bool string_options_parse(
	struct turn *turn, uint32_t first, uint32_t allowed, struct string_options *out)
{
	struct options options = options_from(turn, first, out);
	*out = (struct string_options){ 0 };
	bool good = options_read(&options, &table, allowed);
	out->given = options.given;
	return good;
}

bool string_options_expire_ms(
	struct turn *turn, uint32_t given, struct slice amount, const char *command, int64_t *out)
{
	*out = 0;
	if (!(given & STRING_OPTION_TIMES))
		return true;
	int64_t moment;
	if (!number_parse_i64(amount, &moment)) {
		turn_error(turn, ERROR_NOT_INTEGER);
		return false;
	}
	bool in_seconds = string_options_in_seconds(given);
	bool from_now = string_options_from_now(given);
	if (moment <= 0 || (in_seconds && __builtin_mul_overflow(moment, 1000, &moment)) ||
		(from_now && __builtin_add_overflow(moment, turn->now_ms, &moment))) {
		turn_error(turn, ERROR_INVALID_EXPIRE, command);
		return false;
	}
	*out = moment;
	return true;
}

bool string_options_database(struct turn *turn, uint32_t index, uint8_t *out)
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
