/*
 * test_cron: cron lines. Known times, what is refused, and random lines against a scan that asks of
 * every minute whether it matches, by sets that are made another way.
 */
#include "base/cron.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define MINUTE_MS  60000ll
#define DAY_MS     86400000ll
#define LINE_BYTES 512

static struct cron parsed(const char *line)
{
	struct cron cron;
	char error[256] = "";
	if (cron_parse(slice_text(line), &cron, error, sizeof(error)) != 0)
		fail_msg("<%s>: %s", line, error);
	return cron;
}

/* `2024-02-29 13:05`, in UTC. */
static int64_t at(const char *text)
{
	struct tm date = { 0 };
	assert_int_equal(sscanf(text, "%d-%d-%d %d:%d", &date.tm_year, &date.tm_mon, &date.tm_mday,
				 &date.tm_hour, &date.tm_min),
		5);
	date.tm_year -= 1900;
	date.tm_mon -= 1;
	return timegm(&date) * 1000ll;
}

static void check_next(const char *line, const char *after, const char *expected)
{
	struct cron cron = parsed(line);
	int64_t found = cron_next(&cron, at(after));
	if (found != at(expected)) {
		char text[64] = "";
		struct tm date;
		time_t seconds = found / 1000;
		strftime(text, sizeof(text), "%F %R", gmtime_r(&seconds, &date));
		fail_msg("<%s> after %s: %s instead of %s", line, after, text, expected);
	}
}

static void known_lines_have_known_times(void **state)
{
	/* 2024-01-01 is a Monday. */
	check_next("* * * * *", "2024-01-01 00:00", "2024-01-01 00:01");
	check_next("*/30 * * * *", "2024-01-01 00:00", "2024-01-01 00:30");
	check_next("*/30 * * * *", "2024-01-01 00:30", "2024-01-01 01:00");
	check_next("5 4 * * *", "2024-01-01 04:05", "2024-01-02 04:05");
	check_next("59 23 31 12 *", "2024-01-01 00:00", "2024-12-31 23:59");
	check_next("0 0 1 1 *", "2024-12-31 23:59", "2025-01-01 00:00");
	check_next("23 0-20/2 * * *", "2024-01-01 20:23", "2024-01-02 00:23");
	check_next("0,15,45 9-17 * * MON-FRI", "2024-01-05 17:45", "2024-01-08 09:00");
	check_next("0 12 * * sun", "2024-01-01 00:00", "2024-01-07 12:00");
	check_next("0 12 * * 7", "2024-01-01 00:00", "2024-01-07 12:00");
	check_next("0 12 * * 5-7", "2024-01-06 12:00", "2024-01-07 12:00");
	check_next("0 12 * * Fri-Sun", "2024-01-06 12:00", "2024-01-07 12:00");
	check_next("0 12 * * Fri-Sun", "2024-01-07 12:00", "2024-01-12 12:00");
	check_next("0 0 31 * *", "2024-01-31 00:00", "2024-03-31 00:00");
	check_next("0 0 30 JAN-MAR *", "2024-01-30 00:00", "2024-03-30 00:00");
	check_next("10-20/5 3 * Dec *", "2024-12-01 03:15", "2024-12-01 03:20");
	check_next("05 09 01 06 *", "2024-01-01 00:00", "2024-06-01 09:05");
}

static void shorthands_are_their_fields(void **state)
{
	check_next("@hourly", "2024-01-01 00:00", "2024-01-01 01:00");
	check_next("@daily", "2024-01-01 00:00", "2024-01-02 00:00");
	check_next("@midnight", "2024-01-01 00:00", "2024-01-02 00:00");
	check_next("@Annually", "2024-01-01 00:00", "2025-01-01 00:00");
	check_next("@weekly", "2024-01-01 00:00", "2024-01-07 00:00");
	check_next("@monthly", "2024-01-01 00:00", "2024-02-01 00:00");
	check_next(" @Yearly\t", "2024-01-01 00:00", "2025-01-01 00:00");
}

static void either_day_field_matches_when_both_are_restricted(void **state)
{
	check_next("30 4 1,15 * 5", "2024-01-01 04:30", "2024-01-05 04:30");
	check_next("30 4 1,15 * 5", "2024-01-12 04:30", "2024-01-15 04:30");
	check_next("30 4 1,15 * 5", "2024-01-15 04:30", "2024-01-19 04:30");
	/* 30 February never comes, Mondays do. */
	check_next("0 0 30 2 MON", "2024-01-01 00:00", "2024-02-05 00:00");
}

static void a_star_with_a_step_does_not_restrict_a_day_field(void **state)
{
	/* Mondays with an odd date; Sundays, Tuesdays, Thursdays and Saturdays of the first week.
	 */
	check_next("0 0 */2 * MON", "2024-01-01 00:00", "2024-01-15 00:00");
	check_next("0 0 1-7 * */2", "2024-01-07 00:00", "2024-02-01 00:00");
	check_next("0 0 1-7 * 1", "2024-01-07 00:00", "2024-01-08 00:00");
}

static void leap_days_are_found(void **state)
{
	check_next("0 0 29 2 *", "2023-01-01 00:00", "2024-02-29 00:00");
	check_next("0 0 29 2 *", "2024-02-29 00:00", "2028-02-29 00:00");
	check_next("0 0 29 2 *", "2096-02-29 00:00", "2104-02-29 00:00");
	check_next("0 0 29 2 *", "1996-02-29 00:00", "2000-02-29 00:00");
	/* A leap day that is a Sunday, across 2100: the longest way there is. */
	check_next("0 0 29 2 */7", "2088-02-29 00:00", "2128-02-29 00:00");
}

static void months_end_with_their_last_day(void **state)
{
	static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	for (int month = 1; month <= 12; month++) {
		struct cron cron;
		char line[32], error[128], expected[32];
		snprintf(line, sizeof(line), "0 0 %d %d *", days[month - 1], month);
		snprintf(expected, sizeof(expected), "2024-%d-%d 00:00", month, days[month - 1]);
		check_next(line, "2023-12-31 23:59", expected);
		snprintf(line, sizeof(line), "0 0 %d %d *", days[month - 1] + 1, month);
		assert_int_equal(
			cron_parse(slice_text(line), &cron, error, sizeof(error)), -EINVAL);
	}
}

static void the_next_minute_is_after_the_time_given(void **state)
{
	struct cron every = parsed("* * * * *");
	assert_int_equal(cron_next(&every, 0), MINUTE_MS);
	assert_int_equal(cron_next(&every, 1), MINUTE_MS);
	assert_int_equal(cron_next(&every, MINUTE_MS - 1), MINUTE_MS);
	assert_int_equal(cron_next(&every, MINUTE_MS), 2 * MINUTE_MS);
	assert_int_equal(cron_next(&every, -1), 0);
	assert_int_equal(cron_next(&every, -MINUTE_MS), 0);
	assert_int_equal(cron_next(&every, -MINUTE_MS - 1), -MINUTE_MS);
	struct cron midnight = parsed("0 0 * * *");
	assert_int_equal(cron_next(&midnight, -1), 0);
	assert_int_equal(cron_next(&midnight, -DAY_MS - 1), -DAY_MS);
}

static void times_beyond_every_clock_end(void **state)
{
	struct cron rare = parsed("59 23 29 2 */7");
	int64_t times[] = { INT64_MAX, INT64_MAX - 1, INT64_MAX - 41 * 366 * DAY_MS,
		INT64_MAX - 41 * 366 * DAY_MS - 1, INT64_MAX / 2 };
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		assert_true(cron_next(&rare, times[i]) >= times[i]);
	assert_true(cron_next(&rare, INT64_MIN) < INT64_MIN + 41 * 366 * DAY_MS);
}

static void check_refused(const char *line, const char *expected)
{
	struct cron cron;
	char error[256] = "";
	if (cron_parse(slice_text(line), &cron, error, sizeof(error)) != -EINVAL)
		fail_msg("<%s> is taken", line);
	assert_string_equal(error, expected);
}

static void says_what_is_wrong_with_which_field(void **state)
{
	const char *days = "no month among these has such a day";
	check_refused("60 * * * *", "minute (0 to 59): '60' is not one");
	check_refused("* 24 * * *", "hour (0 to 23): '24' is not one");
	check_refused("* * 0 * *", "day of month (1 to 31): '0' is not one");
	check_refused("* * 32 * *", "day of month (1 to 31): '32' is not one");
	check_refused("* * * 13 *", "month (1 to 12 or JAN to DEC): '13' is not one");
	check_refused("* * * Juli *", "month (1 to 12 or JAN to DEC): 'Juli' is not one");
	check_refused("* * * * 8", "day of week (0 to 7 or SUN to SAT): '8' is not one");
	check_refused("* * * MON *", "month (1 to 12 or JAN to DEC): 'MON' is not one");
	check_refused("-1 * * * *", "minute (0 to 59): '' is not one");
	check_refused("1- * * * *", "minute (0 to 59): '' is not one");
	check_refused("1,,2 * * * *", "minute (0 to 59): '' is not one");
	check_refused("1, * * * *", "minute (0 to 59): '' is not one");
	check_refused("+1 * * * *", "minute (0 to 59): '+1' is not one");
	check_refused("1-2-3 * * * *", "minute (0 to 59): '2-3' is not one");
	check_refused("** * * * *", "minute (0 to 59): '**' is not one");
	check_refused("001 * * * *", "minute (0 to 59): '001' is not one");
	check_refused("5-1 * * * *", "minute (0 to 59): '5-1' runs backwards");
	check_refused("*/0 * * * *", "minute (0 to 59): '*/0' has a wrong step");
	check_refused("*/60 * * * *", "minute (0 to 59): '*/60' has a wrong step");
	check_refused("*/ * * * *", "minute (0 to 59): '*/' has a wrong step");
	check_refused("*/2/3 * * * *", "minute (0 to 59): '*/2/3' has a wrong step");
	check_refused("5/15 * * * *",
		"minute (0 to 59): '5/15' has a step without a '*' or a range before it");
	check_refused("", "it has 0 of 5 fields: minute, hour, day of month, month, day of week");
	check_refused(
		"* * * *", "it has 4 of 5 fields: minute, hour, day of month, month, day of week");
	check_refused("* * * * * *",
		"it has 6 of 5 fields: minute, hour, day of month, month, day of week");
	static const char *const intervals[] = { "@reboot", "@every 5m", "@every", "@daily 5",
		"@" };
	for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++)
		check_refused(intervals[i],
			"what begins with '@' is @hourly, @daily or @midnight, @weekly, @monthly, "
			"@yearly or @annually, and nothing else; every five minutes is */5 * * * *");
	check_refused("0 0 31 2 *", days);
	check_refused("0 0 30-31 FEB *", days);
	check_refused("0 0 31 2,4,6,9,11 *", days);
	check_refused("0 0 31 2 */2", days);
	check_refused("99999999999999999999999999999999999999999999999999 * * * *",
		"minute (0 to 59): '99999999999999999999999999999999' is not one");
}

/* --- random lines against a scan of minutes --------------------------------------------------- */

/* What a line means, a flag for each value. */
struct meaning {
	bool values[5][64];
	bool starred[5];
};

static const unsigned least[] = { 0, 0, 1, 1, 0 };
static const unsigned most[] = { 59, 23, 31, 12, 7 };
static const char names[][40] = { "", "", "", "janfebmaraprmayjunjulaugsepoctnovdec",
	"sunmontuewedthufrisat" };

static void add_value(struct random *random, int field, unsigned value, char *line)
{
	char text[8];
	size_t place = 3 * (size_t)(value - least[field]);
	if (place < strlen(names[field]) && random_below(random, 2))
		snprintf(text, sizeof(text), "%.3s", names[field] + place);
	else
		snprintf(text, sizeof(text), random_below(random, 4) ? "%u" : "%02u", value);
	strcat(line, text);
}

static void add_item(struct random *random, int field, struct meaning *meaning, char *line)
{
	unsigned span = most[field] - least[field] + 1, step = 1;
	unsigned first = least[field] + (unsigned)random_below(random, span), last = first;
	uint64_t shape = random_below(random, 4);
	if (shape == 0) {
		first = least[field];
		last = most[field];
		strcat(line, "*");
	} else {
		add_value(random, field, first, line);
		if (shape == 1) {
			last = first + (unsigned)random_below(random, most[field] - first + 1);
			strcat(line, "-");
			add_value(random, field, last, line);
		}
	}
	if (shape < 2 && random_below(random, 2)) {
		step = 1 + (unsigned)random_below(random, most[field]);
		sprintf(line + strlen(line), "/%u", step);
	}
	for (unsigned value = first; value <= last; value++) {
		if ((value - first) % step == 0)
			meaning->values[field][value] = true;
	}
}

static void make_line(struct random *random, struct meaning *meaning, char *line)
{
	line[0] = '\0';
	memset(meaning, 0, sizeof(*meaning));
	for (int field = 0; field < 5; field++) {
		strcat(line, field ? " " : "");
		size_t start = strlen(line);
		if (field >= 2 && random_below(random, 2)) {
			strcat(line, "*");
			memset(meaning->values[field], true, sizeof(meaning->values[field]));
		} else {
			uint64_t items = 1 + random_below(random, 3);
			for (uint64_t i = 0; i < items; i++) {
				strcat(line, i ? "," : "");
				add_item(random, field, meaning, line);
			}
		}
		meaning->starred[field] = line[start] == '*';
	}
	meaning->values[4][0] |= meaning->values[4][7];
}

static bool matches(const struct meaning *meaning, const struct tm *date)
{
	bool day = meaning->values[2][date->tm_mday], weekday = meaning->values[4][date->tm_wday];
	bool both = meaning->starred[2] || meaning->starred[4];
	return meaning->values[0][date->tm_min] && meaning->values[1][date->tm_hour] &&
		meaning->values[3][date->tm_mon + 1] && (both ? day && weekday : day || weekday);
}

/* The next match by trying every minute, or INT64_MAX when none comes within `days`. */
static int64_t scan(const struct meaning *meaning, int64_t after_ms, int days)
{
	time_t minute = after_ms / MINUTE_MS * 60;
	struct tm date;
	gmtime_r(&minute, &date);
	for (int64_t i = 0; i < days * 1440ll; i++) {
		if (++date.tm_min == 60) {
			time_t next = timegm(&date);
			gmtime_r(&next, &date);
		}
		if (matches(meaning, &date))
			return timegm(&date) * 1000ll;
	}
	return INT64_MAX;
}

static void random_lines_agree_with_a_scan_of_every_minute(void **state)
{
	struct random random;
	random_seed(&random, 2024);
	int taken = 0, found = 0;
	for (int i = 0; i < 3000; i++) {
		struct meaning meaning;
		struct cron cron;
		char line[LINE_BYTES], error[256];
		make_line(&random, &meaning, line);
		/* 1970 to 2120 */
		int64_t after = (int64_t)random_below(&random, 150ull * 365 * DAY_MS);
		if (i % 2)
			after -= after % MINUTE_MS;
		if (cron_parse(slice_text(line), &cron, error, sizeof(error)) != 0) {
			assert_string_equal(error, "no month among these has such a day");
			assert_true(scan(&meaning, after, 9 * 366) == INT64_MAX);
			continue;
		}
		taken++;
		int64_t next = cron_next(&cron, after);
		int64_t expected = scan(&meaning, after, 400);
		found += expected != INT64_MAX;
		bool agrees = expected == INT64_MAX ? next > after + 400 * DAY_MS - MINUTE_MS
						    : next == expected;
		if (!agrees)
			fail_msg("<%s> after %lld: %lld instead of %lld", line, (long long)after,
				(long long)next, (long long)expected);
	}
	assert_true(taken > 2500);
	assert_true(found > 2500);
}

static void random_bytes_are_taken_or_refused_in_peace(void **state)
{
	static const char alphabet[] = "0123456789 */-,JANFEBSUNMON@\t\0x";
	struct random random;
	random_seed(&random, 7);
	for (int i = 0; i < 200000; i++) {
		char line[40], error[64];
		struct cron cron;
		size_t size = random_below(&random, sizeof(line));
		for (size_t c = 0; c < size; c++) {
			bool blank = random_below(&random, 3) == 0;
			line[c] = blank ? ' ' : alphabet[random_below(&random, sizeof(alphabet))];
		}
		if (cron_parse(slice_of(line, size), &cron, error, sizeof(error)) == 0)
			assert_true(cron_next(&cron, 0) > 0);
		else
			assert_in_range(strlen(error), 1, sizeof(error) - 1);
	}
	assert_int_equal(
		cron_parse(slice_of(NULL, 0), &(struct cron){ 0 }, (char[64]){ 0 }, 64), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_lines_have_known_times),
		cmocka_unit_test(shorthands_are_their_fields),
		cmocka_unit_test(either_day_field_matches_when_both_are_restricted),
		cmocka_unit_test(a_star_with_a_step_does_not_restrict_a_day_field),
		cmocka_unit_test(leap_days_are_found),
		cmocka_unit_test(months_end_with_their_last_day),
		cmocka_unit_test(the_next_minute_is_after_the_time_given),
		cmocka_unit_test(times_beyond_every_clock_end),
		cmocka_unit_test(says_what_is_wrong_with_which_field),
		cmocka_unit_test(random_lines_agree_with_a_scan_of_every_minute),
		cmocka_unit_test(random_bytes_are_taken_or_refused_in_peace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
