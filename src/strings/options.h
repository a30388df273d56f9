/*
 * options: the words behind key and value in SET and GETEX, and times of expiry as clients write
 * them.
 */
#ifndef STRINGS_OPTIONS_H
#define STRINGS_OPTIONS_H

#include "request/turn.h"

enum option_family { OPTIONS_SET, OPTIONS_GETEX };

/* How a time is given: a span from now or a moment since 1970, in seconds or milliseconds. */
enum option_time { TIME_NONE, TIME_EX, TIME_PX, TIME_EXAT, TIME_PXAT };

struct options {
	bool nx;
	bool xx;
	bool get;
	bool keep_ttl;
	bool persist;
	enum option_time time;
	struct slice amount; /* of time, as the client wrote it */
};

/* Reads the options from argument `first` on. False when they contradict each other or are unknown:
 * the reply then is the error. */
bool options_parse(
	struct turn *turn, uint32_t first, enum option_family family, struct options *out);

/* The moment in milliseconds since 1970 that `amount` names. False when it is no integer, not
 * positive or beyond 63 bits: the reply then is the error, which names `command`. TIME_NONE: 0. */
bool options_expire_ms(struct turn *turn, enum option_time time, struct slice amount,
	const char *command, int64_t *out);

/* Argument `index` as a 64-bit integer. False otherwise: the reply then is the error. */
bool options_integer(struct turn *turn, uint32_t index, int64_t *out);
/* Argument `index` as the number of a database. Likewise. */
bool options_database(struct turn *turn, uint32_t index, uint8_t *out);

#endif
