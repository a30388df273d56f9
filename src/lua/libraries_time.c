/*
 * libraries_time: the turn's time, and times as text: RFC 3339, written in UTC with milliseconds,
 * read with any offset and any number of decimals (what is below a millisecond is cut). Years 0000
 * to 9999, as the RFC has them.
 *
 * Threads: that of the Lua state.
 */
#include "lua/libraries_private.h"

#include "lua/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <time.h>

#define MS_MIN INT64_C(-62167219200000) /* 0000-01-01T00:00:00.000Z */
#define MS_MAX INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

static int time_now(lua_State *L);
static int time_iso(lua_State *L);
static int time_parse(lua_State *L);

void libraries_push_time(lua_State *L, const struct libraries_host *host)
{
	static const luaL_Reg functions[] = {
		{ "now", time_now },
		{ "iso", time_iso },
		{ "parse", time_parse },
		{ NULL, NULL },
	};
	luaL_newlibtable(L, functions);
	lua_pushlightuserdata(L, (void *)(uintptr_t)host);
	luaL_setfuncs(L, functions, 1);
	sandbox_guard(L);
}

static int64_t now_ms(lua_State *L)
{
	const struct libraries_host *host = lua_touserdata(L, lua_upvalueindex(1));
	return host->now_ms(host->context);
}

static int time_now(lua_State *L)
{
	lua_pushinteger(L, now_ms(L));
	return 1;
}

static int time_iso(lua_State *L)
{
	int64_t ms = lua_isnoneornil(L, 1) ? now_ms(L) : luaL_checkinteger(L, 1);
	struct tm tm;
	char text[64];
	luaL_argcheck(L, ms >= MS_MIN && ms <= MS_MAX, 1, "not in the years 0000 to 9999");
	int fraction = (int)((ms % 1000 + 1000) % 1000);
	time_t seconds = (ms - fraction) / 1000;
	gmtime_r(&seconds, &tm);
	int size = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		fraction);
	lua_pushlstring(L, text, (size_t)size);
	return 1;
}

/* Takes exactly `count` digits off the front. */
static bool take_digits(struct slice *text, size_t count, int *out)
{
	*out = 0;
	if (text->size < count)
		return false;
	for (size_t i = 0; i < count; i++) {
		unsigned digit = (unsigned char)text->data[i] - (unsigned)'0';
		if (digit > 9)
			return false;
		*out = *out * 10 + (int)digit;
	}
	*text = slice_of(text->data + count, text->size - count);
	return true;
}

/* Takes one of the bytes of `accepted`. */
static bool take_one_of(struct slice *text, const char *accepted)
{
	if (text->size == 0 || text->data[0] == '\0' || !strchr(accepted, text->data[0]))
		return false;
	*text = slice_of(text->data + 1, text->size - 1);
	return true;
}

/* A blank instead of the T is what RFC 3339 (5.6) lets people write. */
static bool take_date_and_time(struct slice *text, int64_t *seconds)
{
	struct tm tm = { .tm_isdst = 0 };
	if (!take_digits(text, 4, &tm.tm_year) || !take_one_of(text, "-") ||
		!take_digits(text, 2, &tm.tm_mon) || !take_one_of(text, "-") ||
		!take_digits(text, 2, &tm.tm_mday) || !take_one_of(text, "Tt ") ||
		!take_digits(text, 2, &tm.tm_hour) || !take_one_of(text, ":") ||
		!take_digits(text, 2, &tm.tm_min) || !take_one_of(text, ":") ||
		!take_digits(text, 2, &tm.tm_sec))
		return false;
	/* A leap second is the next minute's first. */
	if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	struct tm day = { .tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = tm.tm_mday };
	timegm(&day); /* moves days that the month lacks */
	if (day.tm_mon != tm.tm_mon || day.tm_mday != tm.tm_mday)
		return false;
	*seconds = timegm(&tm);
	return true;
}

/* `.123` as milliseconds; none is 0. */
static bool take_fraction(struct slice *text, int *ms)
{
	int digit, scale = 100;
	*ms = 0;
	if (!take_one_of(text, "."))
		return true;
	if (!take_digits(text, 1, &digit))
		return false;
	do {
		*ms += digit * scale;
		scale /= 10;
	} while (take_digits(text, 1, &digit));
	return true;
}

static bool take_offset(struct slice *text, int *minutes)
{
	int hours, sign = text->size && text->data[0] == '-' ? -1 : 1;
	*minutes = 0;
	if (take_one_of(text, "Zz"))
		return true;
	if (!take_one_of(text, "+-") || !take_digits(text, 2, &hours) || !take_one_of(text, ":") ||
		!take_digits(text, 2, minutes) || hours > 23 || *minutes > 59)
		return false;
	*minutes = sign * (hours * 60 + *minutes);
	return true;
}

static int time_parse(lua_State *L)
{
	struct slice text;
	int64_t seconds;
	int fraction, offset;
	text.data = luaL_checklstring(L, 1, &text.size);
	bool is_fine = take_date_and_time(&text, &seconds) && take_fraction(&text, &fraction) &&
		take_offset(&text, &offset) && text.size == 0;
	if (is_fine)
		lua_pushinteger(L, (seconds - offset * 60) * 1000 + fraction);
	else
		luaL_pushfail(L);
	return 1;
}
