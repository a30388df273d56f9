/*
 * test_http_date: the three forms against the C library's own writing of them, the century of short
 * years, and what is no date.
 */
#include "base/random.h"
#include "cache/http_date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#define NOW_MS INT64_C(1750000000000) /* 2025-06-15 */

static void check(const char *text, int64_t now_ms, int64_t expected_s)
{
	int64_t ms = -1;
	if (!http_date_parse(slice_text(text), now_ms, &ms))
		fail_msg("'%s' is not read", text);
	if (ms != expected_s * 1000)
		fail_msg("'%s' is %lld", text, (long long)ms);
}

static void the_three_forms_of_the_rfc_are_the_same_second(void **state)
{
	check("Sun, 06 Nov 1994 08:49:37 GMT", NOW_MS, 784111777);
	check("Sunday, 06-Nov-94 08:49:37 GMT", NOW_MS, 784111777);
	check("Sun Nov  6 08:49:37 1994", NOW_MS, 784111777);
	check("sUN, 06 nOV 1994 08:49:37 gmt", NOW_MS, 784111777);
	check("SUN NOV 06 08:49:37 1994", NOW_MS, 784111777);
}

static void random_times_are_read_as_strftime_writes_them(void **state)
{
	static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT",
		"%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y" };
	struct random random;
	random_seed(&random, 1);
	for (int i = 0; i < 60000; i++) {
		char text[64];
		struct tm tm;
		/* Years 1000 to 9999; with two digits, 49 years around now. */
		time_t seconds = i % 3 == 1
			? NOW_MS / 1000 - INT64_C(49) * 31557600 +
				(time_t)random_below(&random, UINT64_C(98) * 31557600)
			: INT64_C(-30610224000) + (time_t)random_below(&random, 284012524800);
		gmtime_r(&seconds, &tm);
		strftime(text, sizeof(text), forms[i % 3], &tm);
		check(text, NOW_MS, seconds);
	}
}

static void short_years_are_at_most_fifty_years_ahead(void **state)
{
	check("Sunday, 15-Jun-75 15:06:40 GMT", NOW_MS, 3327836800);
	check("Sunday, 15-Jun-75 15:06:41 GMT", NOW_MS, 172076801);
	check("Sunday, 01-Jan-76 00:00:00 GMT", NOW_MS, 189302400);
	check("Monday, 01-Jan-24 00:00:00 GMT", NOW_MS, 1704067200);
	/* 2090: 05 is 2105 then, and 41 is 2041 */
	check("Sunday, 01-Jan-05 00:00:00 GMT", 3786912000000, 4260211200);
	check("Sunday, 01-Jan-41 00:00:00 GMT", 3786912000000, 2240611200);
	/* the leap day of 2000 exists, that of 2100 does not */
	check("Tuesday, 29-Feb-00 00:00:00 GMT", NOW_MS, 951782400);
}

static void leap_days_and_leap_seconds_are_taken(void **state)
{
	check("Thu, 29 Feb 2024 00:00:00 GMT", NOW_MS, 1709164800);
	check("Sat, 31 Dec 2016 23:59:60 GMT", NOW_MS, 1483228800);
	check("Thu, 01 Jan 1970 00:00:00 GMT", NOW_MS, 0);
	check("Fri, 31 Dec 9999 23:59:59 GMT", NOW_MS, 253402300799);
}

static void what_is_no_date_is_refused_and_leaves_the_result_alone(void **state)
{
	static const char *const refused[] = { "", "0", "-1", "never", "Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 GMT ", " Sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 +0000",
		"Sun, 6 Nov 1994 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
		"Sun, 06 Nom 1994 08:49:37 GMT", "Son, 06 Nov 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
		"Wed, 29 Feb 2023 00:00:00 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, +6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun Nov 6 08:49:37 1994", "Sun Nov   6 08:49:37 1994",
		"Sun, 06 Nov 19940 08:49:37", "784111777", "1994-11-06T08:49:37Z",
		"Sunday, 29-Feb-23 00:00:00 GMT" };
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		int64_t ms = 42;
		if (http_date_parse(slice_text(refused[i]), NOW_MS, &ms) || ms != 42)
			fail_msg("'%s' is read", refused[i]);
	}
	int64_t ms;
	assert_false(http_date_parse(slice_of("Sun\0 06 Nov 1994 08:49:37 GMT", 29), NOW_MS, &ms));
	assert_false(http_date_parse(slice_of(NULL, 0), NOW_MS, &ms));
}

static void every_shorter_piece_of_a_date_is_refused(void **state)
{
	const char *whole = "Sun, 06 Nov 1994 08:49:37 GMT";
	for (size_t size = 0; size < strlen(whole); size++) {
		int64_t ms;
		assert_false(http_date_parse(slice_of(whole, size), NOW_MS, &ms));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_three_forms_of_the_rfc_are_the_same_second),
		cmocka_unit_test(random_times_are_read_as_strftime_writes_them),
		cmocka_unit_test(short_years_are_at_most_fifty_years_ahead),
		cmocka_unit_test(leap_days_and_leap_seconds_are_taken),
		cmocka_unit_test(what_is_no_date_is_refused_and_leaves_the_result_alone),
		cmocka_unit_test(every_shorter_piece_of_a_date_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
