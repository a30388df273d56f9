/*
 * expiry: the commands that look at and move the end of a key's life.
 *
 * A moment is kept in milliseconds since 1970; 0 stands for a life without end, which no client can
 * ask for by number, because a moment that has passed deletes the key. Moving the end rewrites the
 * value, for a record carries both.
 *
 * Rules and texts follow Redis 7.2 (expireGenericCommand): the options are judged before the
 * number, the number before the key, and a life without end is longer than any other.
 *
 * Threads: the turn's.
 */
#include "strings/strings.h"

#include "strings/options.h"
#include "strings/place.h"

enum expire_option {
	EXPIRE_OPTION_NX = 1 << 0,
	EXPIRE_OPTION_XX = 1 << 1,
	EXPIRE_OPTION_GT = 1 << 2,
	EXPIRE_OPTION_LT = 1 << 3,
	EXPIRE_OPTION_ALL = (1 << 4) - 1,
};

static void expire(struct turn *turn, uint32_t time, const char *command);
static bool conditions_parse(struct turn *turn, uint32_t first, uint32_t *out);
static bool conditions_hold(uint32_t conditions, int64_t old_ms, int64_t new_ms);
static bool moment_of(struct turn *turn, uint32_t time, int64_t amount, int64_t *out);
static void write_life(struct turn *turn, bool from_now, int64_t unit_ms);

void keys_expire(struct turn *turn)
{
	expire(turn, STRING_OPTION_EX, "expire");
}

void keys_pexpire(struct turn *turn)
{
	expire(turn, STRING_OPTION_PX, "pexpire");
}

void keys_expireat(struct turn *turn)
{
	expire(turn, STRING_OPTION_EXAT, "expireat");
}

void keys_pexpireat(struct turn *turn)
{
	expire(turn, STRING_OPTION_PXAT, "pexpireat");
}

void keys_ttl(struct turn *turn)
{
	write_life(turn, true, 1000);
}

void keys_pttl(struct turn *turn)
{
	write_life(turn, true, 1);
}

void keys_expiretime(struct turn *turn)
{
	write_life(turn, false, 1000);
}

void keys_pexpiretime(struct turn *turn)
{
	write_life(turn, false, 1);
}

void keys_persist(struct turn *turn)
{
	struct place place;
	struct value value;
	if (!place_of_argument(turn, 1, &place))
		return;
	bool mortal = place_get(turn, &place, &value) && value.expire_ms != 0;
	if (mortal)
		place_put_as(turn, &place, value.type, value.data, 0);
	writer_integer(&turn->writer, mortal);
}

static void expire(struct turn *turn, uint32_t time, const char *command)
{
	struct place place;
	struct value value;
	uint32_t conditions;
	int64_t amount, moment_ms;
	if (!place_of_argument(turn, 1, &place) || !conditions_parse(turn, 3, &conditions) ||
		!options_integer(turn, 2, &amount))
		return;
	if (!moment_of(turn, time, amount, &moment_ms)) {
		turn_error(turn, ERROR_INVALID_EXPIRE, command);
		return;
	}
	bool moves = place_get(turn, &place, &value) &&
		conditions_hold(conditions, value.expire_ms, moment_ms);
	if (moves && moment_ms <= turn->now_ms)
		place_delete(turn, &place);
	else if (moves)
		place_put_as(turn, &place, value.type, value.data, moment_ms);
	writer_integer(&turn->writer, moves);
}

static void say_unsupported(struct options *options, bool is_short)
{
	struct slice word = options_value(options);
	turn_error(options->turn, ERROR_EXPIRE_OPTION, (int)word.size, word.data);
}

static const struct option rows[] = {
	{ "nx", EXPIRE_OPTION_NX, 0, 0, NULL },
	{ "xx", EXPIRE_OPTION_XX, 0, 0, NULL },
	{ "gt", EXPIRE_OPTION_GT, 0, 0, NULL },
	{ "lt", EXPIRE_OPTION_LT, 0, 0, NULL },
};

static const struct option_table table = {
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
	.repeats = true,
	.misfit = say_unsupported,
};

/* What contradicts each other has texts of its own, and is judged when all words are known. */
static bool conditions_parse(struct turn *turn, uint32_t first, uint32_t *out)
{
	struct options options = options_from(turn, first, NULL);
	if (!options_read(&options, &table, EXPIRE_OPTION_ALL))
		return false;
	*out = options.given;
	if ((*out & EXPIRE_OPTION_NX) && *out != EXPIRE_OPTION_NX) {
		turn_error(turn, ERROR_EXPIRE_NX);
		return false;
	}
	if ((*out & EXPIRE_OPTION_GT) && (*out & EXPIRE_OPTION_LT)) {
		turn_error(turn, ERROR_EXPIRE_GT_LT);
		return false;
	}
	return true;
}

static bool conditions_hold(uint32_t conditions, int64_t old_ms, int64_t new_ms)
{
	bool endless = old_ms == 0;
	if ((conditions & EXPIRE_OPTION_NX) && !endless)
		return false;
	if ((conditions & EXPIRE_OPTION_XX) && endless)
		return false;
	if ((conditions & EXPIRE_OPTION_GT) && (endless || new_ms <= old_ms))
		return false;
	if ((conditions & EXPIRE_OPTION_LT) && !endless && new_ms >= old_ms)
		return false;
	return true;
}

/* Unlike the options of SET, these amounts may be zero or negative. */
static bool moment_of(struct turn *turn, uint32_t time, int64_t amount, int64_t *out)
{
	bool in_seconds = string_options_in_seconds(time);
	bool from_now = string_options_from_now(time);
	return !(in_seconds && __builtin_mul_overflow(amount, 1000, &amount)) &&
		!__builtin_add_overflow(amount, from_now ? turn->now_ms : 0, out);
}

/* -2 without the key, -1 when it lives for ever. */
static void write_life(struct turn *turn, bool from_now, int64_t unit_ms)
{
	struct place place;
	struct value value;
	if (!place_of_argument(turn, 1, &place))
		return;
	int64_t life;
	if (!place_look(turn, &place, &value))
		life = -2;
	else if (value.expire_ms == 0)
		life = -1;
	else {
		life = value.expire_ms - (from_now ? turn->now_ms : 0);
		life = life / unit_ms + (life % unit_ms * 2 >= unit_ms);
	}
	writer_integer(&turn->writer, life);
}
