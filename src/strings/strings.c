/*
 * strings: the commands that read and replace whole values: GET, SET and their kin.
 *
 * Speed decides the shape of two of them. GET looks once and writes the value from where it lies
 * into the reply. SET that needs nothing of the old value (no NX, XX, GET or KEEPTTL) does not look
 * for it: its turn reads nothing, and one put is all.
 *
 * A value that is read stays where it is (overlay, tree or arena) until the turn ends; one that is
 * put is borrowed from the request's arguments, from that place or from the request's arena.
 *
 * Threads: the turn's.
 */
#include "strings/strings.h"

#include "strings/options.h"
#include "strings/place.h"

#define SET_OPTIONS                                                                                \
	(STRING_OPTION_NX | STRING_OPTION_XX | STRING_OPTION_GET | STRING_OPTION_KEEPTTL |         \
		STRING_OPTION_TIMES)

static void set_for(struct turn *turn, uint32_t time, const char *command);
static void set_with_options(
	struct turn *turn, const struct place *place, uint32_t given, int64_t expire_ms);
static void write_value_or_null(struct turn *turn, bool found, const struct value *value);
static bool put_pairs(struct turn *turn, struct progress *put);

/* What MGET keeps from turn to turn. */
struct mget {
	uint32_t next;    /* argument to be written */
	uint32_t weighed; /* those before it have been; 0: it has not begun */
	uint64_t bytes;   /* of what has been weighed */
};
static bool weigh_rest(struct turn *turn, struct mget *mget);

/* What MSETNX keeps from turn to turn. */
struct msetnx {
	struct progress looked;
	struct progress put;
};

void strings_get(struct turn *turn)
{
	struct place place;
	struct value value;
	if (place_of_argument(turn, 1, &place))
		write_value_or_null(turn, place_get(turn, &place, &value), &value);
}

void strings_set(struct turn *turn)
{
	struct place place;
	struct string_options options;
	int64_t expire_ms;
	if (!place_of_argument(turn, 1, &place))
		return;
	if (turn->asked->argument_count == 3) {
		place_put(turn, &place, turn_argument(turn, 2), 0);
		writer_ok(&turn->writer);
		return;
	}
	if (string_options_parse(turn, 3, SET_OPTIONS, &options) &&
		string_options_expire_ms(turn, options.given, options.amount, "set", &expire_ms))
		set_with_options(turn, &place, options.given, expire_ms);
}

void strings_setex(struct turn *turn)
{
	set_for(turn, STRING_OPTION_EX, "setex");
}

void strings_psetex(struct turn *turn)
{
	set_for(turn, STRING_OPTION_PX, "psetex");
}

void strings_setnx(struct turn *turn)
{
	struct place place;
	struct value old;
	if (!place_of_argument(turn, 1, &place))
		return;
	bool found = place_look(turn, &place, &old);
	if (!found)
		place_put(turn, &place, turn_argument(turn, 2), 0);
	writer_integer(&turn->writer, !found);
}

void strings_getset(struct turn *turn)
{
	struct place place;
	struct value old;
	if (!place_of_argument(turn, 1, &place))
		return;
	write_value_or_null(turn, place_get(turn, &place, &old), &old);
	place_put(turn, &place, turn_argument(turn, 2), 0);
}

void strings_getdel(struct turn *turn)
{
	struct place place;
	struct value old;
	if (!place_of_argument(turn, 1, &place))
		return;
	bool found = place_get(turn, &place, &old);
	write_value_or_null(turn, found, &old);
	if (found)
		place_delete(turn, &place);
}

void strings_getex(struct turn *turn)
{
	struct place place;
	struct string_options options;
	struct value value;
	int64_t expire_ms;
	if (!place_of_argument(turn, 1, &place) ||
		!string_options_parse(
			turn, 2, STRING_OPTION_TIMES | STRING_OPTION_PERSIST, &options))
		return;
	if (!place_get(turn, &place, &value)) {
		writer_null(&turn->writer);
		return;
	}
	if (!string_options_expire_ms(turn, options.given, options.amount, "getex", &expire_ms))
		return;
	writer_bulk(&turn->writer, value.data);
	if (options.given && expire_ms != value.expire_ms)
		place_put_as(turn, &place, value.type, value.data, expire_ms);
}

/* A reply that grows long is weighed before it is made, and made in turns that hold the shards: all
 * values are of one moment. */
void strings_mget(struct turn *turn)
{
	struct mget *mget = turn_state(turn, sizeof(*mget));
	uint32_t count = turn->asked->argument_count;
	struct turn_mark mark = turn_mark(turn);
	if (mget->next == 0) {
		writer_array(&turn->writer, count - 1);
		mget->next = 1;
	} else if (mget->weighed < count && !weigh_rest(turn, mget)) {
		return;
	}
	for (; mget->next < count && !turn_pauses(turn); mget->next++) {
		struct place place;
		struct value value;
		if (!place_of_argument(turn, mget->next, &place))
			return;
		write_value_or_null(turn, place_get(turn, &place, &value), &value);
		turn_rewind(turn, &mark);
	}
}

void strings_mset(struct turn *turn)
{
	if (turn->asked->argument_count % 2 == 0)
		turn_error(turn, ERROR_ARITY, "mset");
	else if (put_pairs(turn, turn_progress(turn, 1)))
		writer_ok(&turn->writer);
}

void strings_msetnx(struct turn *turn)
{
	uint32_t count = turn->asked->argument_count;
	if (count % 2 == 0) {
		turn_error(turn, ERROR_ARITY, "msetnx");
		return;
	}
	struct msetnx *msetnx = turn_state(turn, sizeof(*msetnx));
	struct progress *looked = progress_from(&msetnx->looked, 1);
	for (; looked->next < count; looked->next += 2) {
		struct place place;
		struct value old;
		if (turn_pauses(turn) || !place_of_argument(turn, looked->next, &place))
			return;
		if (place_look(turn, &place, &old)) {
			writer_integer(&turn->writer, 0);
			return;
		}
	}
	if (put_pairs(turn, progress_from(&msetnx->put, 1)))
		writer_integer(&turn->writer, 1);
}

/* SETEX and PSETEX: key, amount of time, value. */
static void set_for(struct turn *turn, uint32_t time, const char *command)
{
	struct place place;
	int64_t expire_ms;
	if (!place_of_argument(turn, 1, &place) ||
		!string_options_expire_ms(turn, time, turn_argument(turn, 2), command, &expire_ms))
		return;
	place_put(turn, &place, turn_argument(turn, 3), expire_ms);
	writer_ok(&turn->writer);
}

static void set_with_options(
	struct turn *turn, const struct place *place, uint32_t given, int64_t expire_ms)
{
	struct value old;
	bool found = false;
	if (given & STRING_OPTION_GET)
		found = place_get(turn, place, &old);
	else if (given & (STRING_OPTION_NX | STRING_OPTION_XX | STRING_OPTION_KEEPTTL))
		found = place_look(turn, place, &old);

	bool refused = given & (found ? STRING_OPTION_NX : STRING_OPTION_XX);
	if (given & STRING_OPTION_GET)
		write_value_or_null(turn, found, &old);
	else if (refused)
		writer_null(&turn->writer);
	else
		writer_ok(&turn->writer);
	if (refused)
		return;
	if ((given & STRING_OPTION_KEEPTTL) && found)
		expire_ms = old.expire_ms;
	place_put(turn, place, turn_argument(turn, 2), expire_ms);
}

/* True when all that is left to be written has been weighed, and fits into the reply. */
static bool weigh_rest(struct turn *turn, struct mget *mget)
{
	uint32_t hits = turn->hits, misses = turn->misses;
	uint32_t count = turn->asked->argument_count;
	if (mget->weighed == 0)
		mget->weighed = mget->next;
	for (; mget->weighed < count && !turn_pauses(turn); mget->weighed++) {
		struct place place;
		struct value value;
		if (!place_of_argument(turn, mget->weighed, &place))
			return false;
		if (place_look(turn, &place, &value))
			mget->bytes += value.data.size;
	}
	turn->hits = hits;
	turn->misses = misses;
	return mget->weighed == count && turn_reply_fits(turn, mget->bytes);
}

static void write_value_or_null(struct turn *turn, bool found, const struct value *value)
{
	if (found)
		writer_bulk(&turn->writer, value->data);
	else
		writer_null(&turn->writer);
}

/* True when all have been put. */
static bool put_pairs(struct turn *turn, struct progress *put)
{
	for (; put->next < turn->asked->argument_count; put->next += 2) {
		struct place place;
		if (turn_pauses(turn) || !place_of_argument(turn, put->next, &place))
			return false;
		place_put(turn, &place, turn_argument(turn, put->next + 1), 0);
	}
	return true;
}
