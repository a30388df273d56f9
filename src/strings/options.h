/*
 * options: the words behind key and value in SET and GETEX, and times of expiry as clients write
 * them.
 */
#ifndef STRINGS_OPTIONS_H
#define STRINGS_OPTIONS_H

#include "request/options.h"

enum string_option {
	STRING_OPTION_NX = 1 << 0,
	STRING_OPTION_XX = 1 << 1,
	STRING_OPTION_GET = 1 << 2,
	STRING_OPTION_KEEPTTL = 1 << 3,
	STRING_OPTION_PERSIST = 1 << 4,
	/* How a time is given: a span from now or a moment since 1970, in seconds or
	   milliseconds. */
	STRING_OPTION_EX = 1 << 5,
	STRING_OPTION_PX = 1 << 6,
	STRING_OPTION_EXAT = 1 << 7,
	STRING_OPTION_PXAT = 1 << 8,
	STRING_OPTION_TIMES =
		STRING_OPTION_EX | STRING_OPTION_PX | STRING_OPTION_EXAT | STRING_OPTION_PXAT,
};

struct string_options {
	uint32_t given;      /* of enum string_option */
	struct slice amount; /* of the time that is given, as the client wrote it */
};

/* Reads the options from argument `first` on; `allowed` of enum string_option. False when they
 * contradict each other or are unknown: the reply then is the error. */
bool string_options_parse(
	struct turn *turn, uint32_t first, uint32_t allowed, struct string_options *out);

/* The moment in milliseconds since 1970 that `amount` names; 0 without one of STRING_OPTION_TIMES
 * in `given`. False when it is no integer, not positive or beyond 63 bits: the reply then is the
 * error, which names `command`. */
bool string_options_expire_ms(
	struct turn *turn, uint32_t given, struct slice amount, const char *command, int64_t *out);
/* The time is in seconds; and from now on. */
static inline bool string_options_in_seconds(uint32_t given)
{
	return given & (STRING_OPTION_EX | STRING_OPTION_EXAT);
}
static inline bool string_options_from_now(uint32_t given)
{
	return given & (STRING_OPTION_EX | STRING_OPTION_PX);
}

/* Argument `index` as the number of a database. False: answered with the error. */
bool string_options_database(struct turn *turn, uint32_t index, uint8_t *out);

#endif
