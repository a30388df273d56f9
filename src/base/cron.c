/*
 * cron: the five fields as sets of bits, and the next minute that is in all of them.
 *
 *   minute  hour  day-of-month  month  day-of-week         0,30 8-18/2 * JAN-MAR,12 MON-FRI
 *
 * A field is a list of stars, numbers and ranges, where stars and ranges may have a step. When both
 * day fields are restricted a day need only be in one of them; a field that begins with a star does
 * not count as restricted even with a step, so that "every second day" and MON together mean the
 * Mondays among those days, while 1 and MON mean the first and all Mondays.
 *
 * The search goes by days and leaps over months. A date that exists comes round within 40 years (29
 * February on one day of the week, across a year like 2100, is the rarest), and cron_parse refuses
 * dates that do not exist, so the search ends.
 *
 * Any thread; nothing is kept between calls. gmtime_r and timegm know neither time zones nor leap
 * seconds, as the wall clock does.
 */
#include "base/cron.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#define FIELDS          5
#define MINUTE_MS       60000
#define DAY_MINUTES     1440
#define DAY_S           86400
#define SEARCH_DAYS_MAX (41 * 366)
/* The search needs room behind its start; no clock counts so far. */
#define AFTER_MS_MAX (INT64_MAX - (int64_t)SEARCH_DAYS_MAX * DAY_S * 1000)

#define SHOWN_BYTES_MAX 32 /* of a wrong word, in an error */

static const char *const month_names[] = { "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG",
	"SEP", "OCT", "NOV", "DEC", NULL };
static const char *const weekday_names[] = { "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT",
	NULL };

static const struct field {
	const char *name;
	unsigned least, most;
	const char *const *names; /* the first stands for `least` */
} fields[FIELDS] = {
	{ "minute", 0, 59, NULL },
	{ "hour", 0, 23, NULL },
	{ "day of month", 1, 31, NULL },
	{ "month", 1, 12, month_names },
	{ "day of week", 0, 7, weekday_names },
};

/* What is being parsed, for errors. */
struct parsing {
	const struct field *field;
	char *error;
	size_t error_size;
};

static int expand(struct slice *text, char *error, size_t error_size);
static struct slice take_word(struct slice *text);
static int parse_field(const struct parsing *parsing, struct slice word, uint64_t *bits);
static int parse_item(const struct parsing *parsing, struct slice item, uint64_t *bits);
static int parse_range(
	const struct parsing *parsing, struct slice range, unsigned *first, unsigned *last);
static int parse_value(const struct parsing *parsing, struct slice word, unsigned *value);
static bool parse_digits(struct slice word, unsigned *value);
static int complain(const struct parsing *parsing, struct slice word, const char *complaint);
static bool has_dates(const struct cron *cron);
static bool is_day(const struct cron *cron, const struct tm *date);
static int64_t next_in_day(const struct cron *cron, int64_t from);

int cron_parse(struct slice text, struct cron *out, char *error, size_t error_size)
{
	uint64_t bits[FIELDS] = { 0 };
	bool any[FIELDS] = { false };
	int result = expand(&text, error, error_size);
	for (size_t i = 0; result == 0 && i < FIELDS; i++) {
		struct parsing parsing = { &fields[i], error, error_size };
		struct slice word = take_word(&text);
		any[i] = word.size && word.data[0] == '*';
		result = parse_field(&parsing, word, &bits[i]);
	}
	if (result < 0)
		return result;
	*out = (struct cron){
		.minutes = bits[0],
		.hours = (uint32_t)bits[1],
		.days = (uint32_t)bits[2],
		.months = (uint16_t)bits[3],
		.weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f),
		.any_day = any[2],
		.any_weekday = any[4],
	};
	if (!has_dates(out)) {
		snprintf(error, error_size, "no month among these has such a day");
		return -EINVAL;
	}
	return 0;
}

int64_t cron_next(const struct cron *cron, int64_t after_ms)
{
	if (after_ms > AFTER_MS_MAX)
		return INT64_MAX;
	int64_t minute = after_ms / MINUTE_MS - (after_ms % MINUTE_MS < 0) + 1;
	int64_t day = minute / DAY_MINUTES - (minute % DAY_MINUTES < 0);
	int64_t in_day = minute - day * DAY_MINUTES;
	for (int64_t last = day + SEARCH_DAYS_MAX; day <= last; in_day = 0) {
		struct tm date;
		time_t midnight = day * DAY_S;
		gmtime_r(&midnight, &date);
		if (!(cron->months >> (date.tm_mon + 1) & 1)) {
			struct tm next = { .tm_year = date.tm_year, .tm_mon = date.tm_mon + 1 };
			next.tm_mday = 1;
			day = timegm(&next) / DAY_S;
			continue;
		}
		int64_t found = is_day(cron, &date) ? next_in_day(cron, in_day) : -1;
		if (found >= 0)
			return (day * DAY_MINUTES + found) * MINUTE_MS;
		day++;
	}
	assert(!"a cron that cron_parse made has dates");
	return INT64_MAX;
}

/* Shorthands become their fields; the number of fields is right afterwards. */
static int expand(struct slice *text, char *error, size_t error_size)
{
	static const char *const shorthands[][2] = {
		{ "@hourly", "0 * * * *" },
		{ "@daily", "0 0 * * *" },
		{ "@midnight", "0 0 * * *" },
		{ "@weekly", "0 0 * * 0" },
		{ "@monthly", "0 0 1 * *" },
		{ "@yearly", "0 0 1 1 *" },
		{ "@annually", "0 0 1 1 *" },
	};
	struct slice rest = *text, word = take_word(&rest);
	size_t count = 0;
	if (word.size && word.data[0] == '@') {
		bool alone = take_word(&rest).size == 0;
		for (size_t i = 0; i < sizeof(shorthands) / sizeof(shorthands[0]); i++) {
			if (alone && slice_is(word, shorthands[i][0])) {
				*text = slice_text(shorthands[i][1]);
				return 0;
			}
		}
		snprintf(error, error_size,
			"what begins with '@' is @hourly, @daily or @midnight, @weekly, @monthly, "
			"@yearly or @annually, and nothing else; every five minutes is */5 * * * *");
		return -EINVAL;
	}
	for (rest = *text; take_word(&rest).size;)
		count++;
	if (count == FIELDS)
		return 0;
	snprintf(error, error_size,
		"it has %zu of 5 fields: minute, hour, day of month, month, day of week", count);
	return -EINVAL;
}

/* The next word between blanks, cut off the front; empty: none. */
static struct slice take_word(struct slice *text)
{
	size_t start = 0;
	while (start < text->size && (text->data[start] == ' ' || text->data[start] == '\t'))
		start++;
	size_t end = start;
	while (end < text->size && text->data[end] != ' ' && text->data[end] != '\t')
		end++;
	struct slice word = slice_of(text->data + start, end - start);
	*text = slice_of(text->data + end, text->size - end);
	return word;
}

static int parse_field(const struct parsing *parsing, struct slice word, uint64_t *bits)
{
	for (;;) {
		const char *comma = memchr(word.data, ',', word.size);
		size_t size = comma ? (size_t)(comma - word.data) : word.size;
		int result = parse_item(parsing, slice_of(word.data, size), bits);
		if (result < 0 || comma == NULL)
			return result;
		word = slice_of(comma + 1, word.size - size - 1);
	}
}

/* Adds the bits of one member of the list. */
static int parse_item(const struct parsing *parsing, struct slice item, uint64_t *bits)
{
	const struct field *field = parsing->field;
	const char *slash = item.size ? memchr(item.data, '/', item.size) : NULL;
	struct slice range = item;
	unsigned first, last, step = 1;
	if (slash) {
		range.size = (size_t)(slash - item.data);
		struct slice digits = slice_of(slash + 1, item.size - range.size - 1);
		/* A larger step is one that its author takes for something else. */
		if (!parse_digits(digits, &step) || step < 1 || step > field->most)
			return complain(parsing, item, "has a wrong step");
		if (!slice_is(range, "*") && !memchr(range.data, '-', range.size))
			return complain(
				parsing, item, "has a step without a '*' or a range before it");
	}
	int result = parse_range(parsing, range, &first, &last);
	for (unsigned value = first; result == 0 && value <= last; value += step)
		*bits |= (uint64_t)1 << value;
	return result;
}

/* `*`, `a` or `a-b`. */
static int parse_range(
	const struct parsing *parsing, struct slice range, unsigned *first, unsigned *last)
{
	const struct field *field = parsing->field;
	*first = field->least;
	*last = field->most;
	if (slice_is(range, "*"))
		return 0;
	const char *dash = range.size ? memchr(range.data, '-', range.size) : NULL;
	size_t size = dash ? (size_t)(dash - range.data) : range.size;
	int result = parse_value(parsing, slice_of(range.data, size), first);
	*last = *first;
	if (result == 0 && dash)
		result = parse_value(parsing, slice_of(dash + 1, range.size - size - 1), last);
	/* FRI-SUN: the Sunday at the week's other end. */
	if (result == 0 && field->names == weekday_names && *last == 0 && *first > 0)
		*last = 7;
	if (result == 0 && *first > *last)
		return complain(parsing, range, "runs backwards");
	return result;
}

static int parse_value(const struct parsing *parsing, struct slice word, unsigned *value)
{
	const struct field *field = parsing->field;
	for (unsigned i = 0; field->names && field->names[i]; i++) {
		if (slice_is(word, field->names[i])) {
			*value = field->least + i;
			return 0;
		}
	}
	if (parse_digits(word, value) && *value >= field->least && *value <= field->most)
		return 0;
	return complain(parsing, word, "is not one");
}

/* One or two digits: no field has more. */
static bool parse_digits(struct slice word, unsigned *value)
{
	*value = 0;
	if (word.size < 1 || word.size > 2)
		return false;
	for (size_t i = 0; i < word.size; i++) {
		if (!isdigit((unsigned char)word.data[i]))
			return false;
		*value = *value * 10 + (unsigned)(word.data[i] - '0');
	}
	return true;
}

static int complain(const struct parsing *parsing, struct slice word, const char *complaint)
{
	const struct field *field = parsing->field;
	int shown = (int)(word.size < SHOWN_BYTES_MAX ? word.size : SHOWN_BYTES_MAX);
	snprintf(parsing->error, parsing->error_size, "%s (%u to %u%s): '%.*s' %s", field->name,
		field->least, field->most,
		field->names == month_names             ? " or JAN to DEC"
			: field->names == weekday_names ? " or SUN to SAT"
							: "",
		shown, word.size ? word.data : "", complaint);
	return -EINVAL;
}

/* Is there a day, in some year, that matches? */
static bool has_dates(const struct cron *cron)
{
	static const uint8_t longest[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	if (!cron->any_day && !cron->any_weekday)
		return true;
	for (unsigned month = 1; month <= 12; month++) {
		uint32_t days = (uint32_t)(((uint64_t)2 << longest[month - 1]) - 2);
		if (cron->months >> month & 1 && cron->days & days)
			return true;
	}
	return false;
}

static bool is_day(const struct cron *cron, const struct tm *date)
{
	bool day = cron->days >> date->tm_mday & 1;
	bool weekday = cron->weekdays >> date->tm_wday & 1;
	return cron->any_day || cron->any_weekday ? day && weekday : day || weekday;
}

/* The first matching minute of a day at or after `from`, or -1. */
static int64_t next_in_day(const struct cron *cron, int64_t from)
{
	int64_t minute = from % 60;
	for (int64_t hour = from / 60; hour < 24; hour++, minute = 0) {
		if (!(cron->hours >> hour & 1))
			continue;
		uint64_t left = cron->minutes >> minute;
		if (left)
			return hour * 60 + minute + __builtin_ctzll(left);
	}
	return -1;
}
