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

struct conditions {
	bool nx;
	bool xx;
	bool gt;
	bool lt;
};

static void expire(struct turn *turn, enum option_time time, const char *command);
static bool conditions_parse(struct turn *turn, uint32_t first, struct conditions *out);
static bool conditions_hold(const struct conditions *conditions, int64_t old_ms, int64_t new_ms);
static bool moment_of(struct turn *turn, enum option_time time, int64_t amount, int64_t *out);
static void write_life(struct turn *turn, bool from_now, int64_t unit_ms);

void keys_expire(struct turn *turn)
{
	expire(turn, TIME_EX, "expire");
}

void keys_pexpire(struct turn *turn)
{
	expire(turn, TIME_PX, "pexpire");
}

void keys_expireat(struct turn *turn)
{
	expire(turn, TIME_EXAT, "expireat");
}

void keys_pexpireat(struct turn *turn)
{
	expire(turn, TIME_PXAT, "pexpireat");
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

static void expire(struct turn *turn, enum option_time time, const char *command)
{
	struct place place;
	struct value value;
	struct conditions conditions;
	int64_t amount, moment_ms;
	if (!place_of_argument(turn, 1, &place) || !conditions_parse(turn, 3, &conditions) ||
		!options_integer(turn, 2, &amount))
		return;
	if (!moment_of(turn, time, amount, &moment_ms)) {
		turn_error(turn, ERROR_INVALID_EXPIRE, command);
		return;
	}
	bool moves = place_get(turn, &place, &value) &&
		conditions_hold(&conditions, value.expire_ms, moment_ms);
	if (moves && moment_ms <= turn->now_ms)
		place_delete(turn, &place);
	else if (moves)
		place_put_as(turn, &place, value.type, value.data, moment_ms);
	writer_integer(&turn->writer, moves);
}

static bool conditions_parse(struct turn *turn, uint32_t first, struct conditions *out)
{
	*out = (struct conditions){ 0 };
	for (uint32_t i = first; i < turn->asked->argument_count; i++) {
		struct slice word = turn_argument(turn, i);
		if (slice_is(word, "nx"))
			out->nx = true;
		else if (slice_is(word, "xx"))
			out->xx = true;
		else if (slice_is(word, "gt"))
			out->gt = true;
		else if (slice_is(word, "lt"))
			out->lt = true;
		else {
			turn_error(turn, ERROR_EXPIRE_OPTION, (int)word.size, word.data);
			return false;
		}
	}
	if (out->nx && (out->xx || out->gt || out->lt)) {
		turn_error(turn, ERROR_EXPIRE_NX);
		return false;
	}
	if (out->gt && out->lt) {
		turn_error(turn, ERROR_EXPIRE_GT_LT);
		return false;
	}
	return true;
}

static bool conditions_hold(const struct conditions *conditions, int64_t old_ms, int64_t new_ms)
{
	bool endless = old_ms == 0;
	if (conditions->nx && !endless)
		return false;
	if (conditions->xx && endless)
		return false;
	if (conditions->gt && (endless || new_ms <= old_ms))
		return false;
	if (conditions->lt && !endless && new_ms >= old_ms)
		return false;
	return true;
}

/* Unlike the options of SET, these amounts may be zero or negative. */
static bool moment_of(struct turn *turn, enum option_time time, int64_t amount, int64_t *out)
{
	bool in_seconds = time == TIME_EX || time == TIME_EXAT;
	bool from_now = time == TIME_EX || time == TIME_PX;
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
