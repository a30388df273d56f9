/*
 * http_date: see http_date.h.
 *
 * Each form is a pattern, read from the left byte by byte; strptime(3) takes blanks and short
 * numbers where HTTP has none, and reads names in the locale's language. The day of the week must
 * be one of the seven, but not the date's: it tells nothing that the rest does not.
 *
 * Threads: any.
 */
#include "cache/http_date.h"

#include <time.h>

#define YEARS_AHEAD_MAX 50
#define NAME_BYTES_MAX  9 /* Wednesday */

/* In a pattern `w` and `W` are a weekday short and long, `m` is a month, `d` a day, `e` one that a
 * blank may lead, `Y` and `y` a year of four digits and of two, `h`, `i`, `s` the time. Others
 * stand for themselves. */
static const char *const patterns[] = {
	"w, d m Y h:i:s GMT", /* IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT */
	"W, d-m-y h:i:s GMT", /* RFC 850: Sunday, 06-Nov-94 08:49:37 GMT */
	"w m e h:i:s Y",      /* asctime(3): Sun Nov  6 08:49:37 1994 */
};

static const char *const weekdays[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday",
	"Friday", "Saturday", NULL };
static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
	"Oct", "Nov", "Dec", NULL };

static bool match(const char *pattern, struct slice text, struct tm *tm, bool *is_short_year);
static bool take_part(char part, struct slice *text, struct tm *tm);
static bool take_name(
	struct slice *text, const char *const *names, size_t shortened_to, int *index);
static bool take_number(struct slice *text, size_t digits, int *out);
static bool is_calendar_time(const struct tm *tm);
static void choose_century(struct tm *tm, int64_t now_ms);

bool http_date_parse(struct slice text, int64_t now_ms, int64_t *out)
{
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct tm tm = { .tm_isdst = 0 };
		bool is_short_year = false;
		if (!match(patterns[i], text, &tm, &is_short_year))
			continue;
		if (is_short_year)
			choose_century(&tm, now_ms);
		if (!is_calendar_time(&tm))
			return false;
		*out = (int64_t)timegm(&tm) * 1000;
		return true;
	}
	return false;
}

static bool match(const char *pattern, struct slice text, struct tm *tm, bool *is_short_year)
{
	for (; *pattern != '\0'; pattern++) {
		*is_short_year |= *pattern == 'y';
		if (!take_part(*pattern, &text, tm))
			return false;
	}
	return text.size == 0;
}

static bool take_part(char part, struct slice *text, struct tm *tm)
{
	switch (part) {
	case 'w':
		return take_name(text, weekdays, 3, &tm->tm_wday);
	case 'W':
		return take_name(text, weekdays, NAME_BYTES_MAX, &tm->tm_wday);
	case 'm':
		return take_name(text, months, 3, &tm->tm_mon);
	case 'e':
		if (text->size > 0 && text->data[0] == ' ') {
			*text = slice_of(text->data + 1, text->size - 1);
			return take_number(text, 1, &tm->tm_mday);
		}
		return take_number(text, 2, &tm->tm_mday);
	case 'd':
		return take_number(text, 2, &tm->tm_mday);
	case 'y':
		return take_number(text, 2, &tm->tm_year);
	case 'Y':
		if (!take_number(text, 4, &tm->tm_year))
			return false;
		tm->tm_year -= 1900;
		return true;
	case 'h':
		return take_number(text, 2, &tm->tm_hour);
	case 'i':
		return take_number(text, 2, &tm->tm_min);
	case 's':
		return take_number(text, 2, &tm->tm_sec);
	default:
		if (text->size == 0 || strncasecmp(text->data, &part, 1) != 0)
			return false;
		*text = slice_of(text->data + 1, text->size - 1);
		return true;
	}
}

static bool take_name(struct slice *text, const char *const *names, size_t shortened_to, int *index)
{
	for (int i = 0; names[i] != NULL; i++) {
		size_t size = strnlen(names[i], shortened_to);
		if (text->size < size || strncasecmp(text->data, names[i], size) != 0)
			continue;
		*text = slice_of(text->data + size, text->size - size);
		*index = i;
		return true;
	}
	return false;
}

static bool take_number(struct slice *text, size_t digits, int *out)
{
	if (text->size < digits)
		return false;
	*out = 0;
	for (size_t i = 0; i < digits; i++) {
		unsigned digit = (unsigned char)text->data[i] - (unsigned)'0';
		if (digit > 9)
			return false;
		*out = *out * 10 + (int)digit;
	}
	*text = slice_of(text->data + digits, text->size - digits);
	return true;
}

/* A leap second is the next minute's first. */
static bool is_calendar_time(const struct tm *tm)
{
	struct tm day = { .tm_year = tm->tm_year, .tm_mon = tm->tm_mon, .tm_mday = tm->tm_mday };
	timegm(&day); /* moves a day that the month lacks */
	return day.tm_mon == tm->tm_mon && day.tm_mday == tm->tm_mday && tm->tm_hour <= 23 &&
		tm->tm_min <= 59 && tm->tm_sec <= 60;
}

static void choose_century(struct tm *tm, int64_t now_ms)
{
	struct tm latest, candidate;
	time_t now = now_ms / 1000;
	gmtime_r(&now, &latest);
	latest.tm_year += YEARS_AHEAD_MAX;
	int two_digits = tm->tm_year;
	tm->tm_year = latest.tm_year - latest.tm_year % 100 + two_digits;
	candidate = *tm; /* timegm changes what it is given */
	time_t last_time = timegm(&latest);
	if (timegm(&candidate) > last_time)
		tm->tm_year -= 100;
}
