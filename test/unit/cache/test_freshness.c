/*
 * test_freshness: headers of answers and what they mean. Most cases are rows of tables: the lines
 * as an origin would send them, and the seconds that follow. N stands for "not said".
 */
#include "base/buffer.h"
#include "cache/freshness.h"
#include "holdfast/limits.h"
#include "support/count.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#define NOW_MS  INT64_C(1750000000000) /* Sun, 15 Jun 2025 15:06:40 GMT */
#define NOW     "Sun, 15 Jun 2025 15:06:40 GMT"
#define HOUR    "Sun, 15 Jun 2025 16:06:40 GMT" /* an hour later */
#define CAP     (LIMIT_CACHE_AGE_MS / 1000)
#define N       (-1)
#define CONTROL "cache-control: "

/* Seconds. Of `stale` and `stale_error` N is: not said, and the age is that of `ttl`. */
struct row {
	const char *headers;
	int64_t ttl; /* N: not stated */
	int64_t stale;
	int64_t stale_error;
};

static struct freshness read_at(int status, const char *headers)
{
	struct freshness out;
	memset(&out, 0x5a, sizeof(out));
	freshness_read(status, slice_text(headers), NOW_MS, &out);
	return out;
}

static void check_row(int status, const struct row *row)
{
	struct freshness is = read_at(status, row->headers);
	int64_t ttl_ms = row->ttl == N ? 0 : row->ttl * 1000;
	int64_t stale_ms = row->stale == N ? ttl_ms : row->stale * 1000;
	int64_t stale_error_ms = row->stale_error == N ? ttl_ms : row->stale_error * 1000;
	if (!is.storable || is.stated != (row->ttl != N) || is.ttl_ms != ttl_ms ||
		is.has_stale != (row->stale != N) || is.stale_ms != stale_ms ||
		is.has_stale_error != (row->stale_error != N) ||
		is.stale_error_ms != stale_error_ms)
		fail_msg("%s: storable %d, stated %d %lld, stale %d %lld, error %d %lld",
			row->headers, is.storable, is.stated, (long long)is.ttl_ms, is.has_stale,
			(long long)is.stale_ms, is.has_stale_error, (long long)is.stale_error_ms);
}

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_row(200, &rows[i]);
}

static bool is_refused(int status, const char *headers)
{
	static const struct freshness nothing;
	struct freshness is = read_at(status, headers);
	return !is.storable && !is.stated && !is.has_stale && !is.has_stale_error &&
		is.ttl_ms == 0 && is.stale_ms == 0 && is.stale_error_ms == 0 &&
		slice_equal(is.etag, nothing.etag) &&
		slice_equal(is.last_modified, nothing.last_modified);
}

static void a_lifetime_is_s_maxage_over_max_age_over_expires(void **state)
{
	static const struct row rows[] = {
		{ "", N, N, N },
		{ "content-type: text/plain\n", N, N, N },
		{ CONTROL "max-age=60\n", 60, N, N },
		{ CONTROL "max-age=0\n", 0, N, N },
		{ CONTROL "max-age=60, s-maxage=5\n", 5, 5, 5 },
		{ CONTROL "s-maxage=600,max-age=5\n", 600, 600, 600 },
		{ CONTROL "max-age=60\nexpires: " HOUR "\ndate: " NOW "\n", 60, N, N },
		{ "expires: " HOUR "\ndate: " NOW "\n" CONTROL "max-age=7200\n", 7200, N, N },
		{ "expires: " HOUR "\ndate: " NOW "\n", 3600, N, N },
		{ "expires: " HOUR "\n" CONTROL "public\n", 3600, N, N },
		{ CONTROL "public\n", N, N, N },
		{ CONTROL "max-age=60", 60, N, N },
		{ "Cache-Control:max-age=60\n", 60, N, N },
	};
	check_rows(rows, COUNT(rows));
}

static void expires_counts_from_date_or_else_from_now(void **state)
{
	static const struct row rows[] = {
		/* the origin's clock is ten years behind: its difference still holds */
		{ "date: Mon, 15 Jun 2015 15:06:40 GMT\nexpires: Mon, 15 Jun 2015 15:07:40 GMT\n",
			60, N, N },
		{ "expires: " HOUR "\n", 3600, N, N },
		{ "date: rubbish\nexpires: " HOUR "\n", 3600, N, N },
		{ "date: rubbish\ndate: " NOW "\nexpires: " HOUR "\n", 3600, N, N },
		{ "date: " NOW "\ndate: " HOUR "\nexpires: " HOUR "\n", 3600, N, N },
		{ "date: " HOUR "\nexpires: " HOUR "\n", 0, N, N },
		{ "date: " HOUR "\nexpires: " NOW "\n", 0, N, N },
		{ "date: Sunday, 15-Jun-25 15:06:40 GMT\nexpires: Sun Jun 15 15:07:00 2025\n", 20,
			N, N },
		{ "expires: Fri, 31 Dec 9999 23:59:59 GMT\n", CAP, N, N },
		{ "date: Sat, 01 Jan 0000 00:00:00 GMT\nexpires: Fri, 31 Dec 9999 23:59:59 GMT\n",
			CAP, N, N },
	};
	check_rows(rows, COUNT(rows));
}

static void expires_that_is_no_date_has_passed(void **state)
{
	static const struct row rows[] = {
		{ "expires: 0\n", 0, N, N },
		{ "expires: -1\n", 0, N, N },
		{ "expires:\n", 0, N, N },
		{ "expires: 3600\n", 0, N, N },
		{ "expires: Sun, 15 Jun 2025 16:06:40 CET\n", 0, N, N },
		{ "expires: " HOUR "\nexpires: 0\n", 0, N, N },
		{ "expires: 0\nexpires: " HOUR "\n", 0, N, N },
		{ "expires: 0\n" CONTROL "max-age=60\n", 60, N, N },
	};
	check_rows(rows, COUNT(rows));
}

static void age_is_taken_off(void **state)
{
	static const struct row rows[] = {
		{ CONTROL "max-age=60\nage: 10\n", 50, N, N },
		{ "age: 10\n" CONTROL "s-maxage=60\n", 50, 50, 50 },
		{ "age: 10\nexpires: " HOUR "\ndate: " NOW "\n", 3590, N, N },
		{ CONTROL "max-age=60\nage: 60\n", 0, N, N },
		{ CONTROL "max-age=60\nage: 61\n", 0, N, N },
		{ CONTROL "max-age=60\nage: 10, 50\n", 50, N, N },
		{ CONTROL "max-age=60\nage: 10\nage: 50\n", 50, N, N },
		/* what is no age is ignored */
		{ CONTROL "max-age=60\nage: -10\n", 60, N, N },
		{ CONTROL "max-age=60\nage: 1.5\n", 60, N, N },
		{ CONTROL "max-age=60\nage: x, 10\n", 60, N, N },
		{ CONTROL "max-age=60\nage:\n", 60, N, N },
		{ CONTROL "max-age=60\nage: 99999999999999999999999999\n", 0, N, N },
		{ CONTROL "max-age=99999999999\nage: 99999999999\n", 0, N, N },
		{ CONTROL "max-age=0\nage: 2147483648\n", 0, N, N },
		/* beyond the cap the exact difference counts */
		{ CONTROL "max-age=40000000\nage: 10000000\n", 30000000, N, N },
		{ "age: 10\n", N, N, N },
	};
	check_rows(rows, COUNT(rows));
}

static void directives_are_read_in_any_form_that_the_grammar_has(void **state)
{
	static const struct row rows[] = {
		{ CONTROL "MAX-AGE=60\n", 60, N, N },
		{ CONTROL "max-age=\"60\"\n", 60, N, N },
		{ CONTROL "max-age=\"\\6\\0\"\n", 60, N, N },
		{ CONTROL "max-age=00060\n", 60, N, N },
		{ CONTROL ", ,\t,max-age=60,,\n", 60, N, N },
		{ CONTROL "  max-age=60  ,\tpublic\t\n", 60, N, N },
		{ CONTROL "max-age=60\r\n", 60, N, N },
		{ CONTROL "max-age=60;\nCACHE-CONTROL: Max-Age=30\n", 0, N, N },
		{ CONTROL "public\ncache-control: max-age=60\n", 60, N, N },
		{ CONTROL "immutable, x-unknown=5, max-age=60, another=\"a, b\"\n", 60, N, N },
		{ CONTROL "community=\"no-store, max-age=1\", max-age=60\n", 60, N, N },
		{ CONTROL "x=\"\\\", no-store, \\\\\", max-age=60\n", 60, N, N },
		{ CONTROL "no-storefront, max-age=60\n", 60, N, N },
		{ CONTROL "max-ages=5, max-age=60, xmax-age=7\n", 60, N, N },
		{ "pragma: no-cache\n" CONTROL "max-age=60\n", 60, N, N },
		{ "x-cache-control: no-store\n" CONTROL "max-age=60\n", 60, N, N },
	};
	check_rows(rows, COUNT(rows));
}

static void numbers_that_cannot_be_read_are_stale_and_large_ones_the_cap(void **state)
{
	static const struct row rows[] = {
		{ CONTROL "max-age\n", 0, N, N },
		{ CONTROL "max-age=\n", 0, N, N },
		{ CONTROL "max-age=\"\"\n", 0, N, N },
		{ CONTROL "max-age=-5\n", 0, N, N },
		{ CONTROL "max-age=+5\n", 0, N, N },
		{ CONTROL "max-age=1.5\n", 0, N, N },
		{ CONTROL "max-age=1e3\n", 0, N, N },
		{ CONTROL "max-age=0x10\n", 0, N, N },
		{ CONTROL "max-age=60s\n", 0, N, N },
		{ CONTROL "max-age = 60\n", 0, N, N },
		{ CONTROL "max-age= 60\n", 0, N, N },
		{ CONTROL "max-age=60 61\n", 0, N, N },
		{ CONTROL "max-age=60=61\n", 0, N, N },
		{ CONTROL "max-age='60'\n", 0, N, N },
		{ CONTROL "max-age=\"60\n", 0, N, N },
		{ CONTROL "max-age=\"60\"1\n", 0, N, N },
		{ CONTROL "max-age=\"60\\\"\n", 0, N, N },
		{ CONTROL "max-age=\"-60\"\n", 0, N, N },
		{ CONTROL "max-age=31622400\n", CAP, N, N },
		{ CONTROL "max-age=31622399\n", CAP - 1, N, N },
		{ CONTROL "max-age=31622401\n", CAP, N, N },
		{ CONTROL "max-age=2147483648\n", CAP, N, N },
		{ CONTROL "max-age=18446744073709551617\n", CAP, N, N },
		{ CONTROL "max-age=99999999999999999999999999999999999999999999\n", CAP, N, N },
		{ CONTROL "s-maxage=x, max-age=60\n", 0, 0, 0 },
		{ CONTROL "max-age=60, stale-while-revalidate=x\n", 60, 60, N },
		{ CONTROL "max-age=60, stale-if-error=-1\n", 60, N, 60 },
	};
	check_rows(rows, COUNT(rows));
}

static void of_duplicates_the_strictest_holds(void **state)
{
	static const struct row rows[] = {
		{ CONTROL "max-age=60, max-age=30\n", 30, N, N },
		{ CONTROL "max-age=30, max-age=60\n", 30, N, N },
		{ CONTROL "max-age=60\n" CONTROL "max-age=30\n", 30, N, N },
		{ CONTROL "max-age=60, max-age=x\n", 0, N, N },
		{ CONTROL "s-maxage=9\n" CONTROL "s-maxage=60\n", 9, 9, 9 },
		{ CONTROL "max-age=1,stale-while-revalidate=9,stale-while-revalidate=4\n", 1, 5,
			N },
		{ CONTROL "max-age=60, no-cache\n", 0, 0, 0 },
	};
	check_rows(rows, COUNT(rows));
}

static void stale_windows_open_where_the_lifetime_ends(void **state)
{
	static const struct row rows[] = {
		{ CONTROL "max-age=600, stale-while-revalidate=30\n", 600, 630, N },
		{ CONTROL "max-age=600, stale-if-error=1200\n", 600, N, 1800 },
		{ CONTROL "stale-if-error=20, max-age=1, stale-while-revalidate=10\n", 1, 11, 21 },
		{ CONTROL "max-age=0, stale-while-revalidate=10\n", 0, 10, N },
		{ CONTROL "max-age=5, stale-while-revalidate=0\n", 5, 5, N },
		{ CONTROL "max-age=5, stale-while-revalidate\n", 5, 5, N },
		/* no lifetime: they follow the caller's */
		{ CONTROL "stale-while-revalidate=10, stale-if-error=20\n", N, 10, 20 },
		{ "expires: 0\n" CONTROL "stale-while-revalidate=10\n", 0, 10, N },
		/* part of the window has passed, or all of it */
		{ CONTROL "max-age=60, stale-while-revalidate=60\nage: 100\n", 0, 20, N },
		{ CONTROL "max-age=60, stale-while-revalidate=60\nage: 500\n", 0, 0, N },
		{ CONTROL "max-age=60, stale-while-revalidate=60\nage: 10\n", 50, 110, N },
		{ CONTROL "max-age=60, stale-while-revalidate=99999999999\n", 60, CAP, N },
		{ CONTROL "max-age=99999999999, stale-if-error=99999999999\n", CAP, N, CAP },
	};
	check_rows(rows, COUNT(rows));
}

static void what_must_be_revalidated_is_never_served_stale(void **state)
{
	static const struct row rows[] = {
		{ CONTROL "max-age=60, must-revalidate\n", 60, 60, 60 },
		{ CONTROL "max-age=60, proxy-revalidate\n", 60, 60, 60 },
		{ CONTROL "max-age=60, must-revalidate=x\n", 60, 60, 60 },
		{ CONTROL
			"max-age=60, must-revalidate, stale-while-revalidate=9, stale-if-error=9\n",
			60, 60, 60 },
		{ CONTROL "must-revalidate\n", N, 0, 0 },
		{ CONTROL "no-cache\n", 0, 0, 0 },
		{ CONTROL "no-cache=\"set-cookie\", max-age=60\n", 0, 0, 0 },
		{ CONTROL "no-cache, stale-while-revalidate=60, stale-if-error=60\n", 0, 0, 0 },
		{ CONTROL "no-cache\nage: 50\n", 0, 0, 0 },
		{ "expires: " HOUR "\n" CONTROL "no-cache\n", 0, 0, 0 },
		/* s-maxage forbids it too, but not what is allowed beside it */
		{ CONTROL "s-maxage=60\n", 60, 60, 60 },
		{ CONTROL "s-maxage=1, stale-while-revalidate=59\n", 1, 60, 1 },
		{ CONTROL "s-maxage=1, stale-if-error=59\n", 1, 1, 60 },
	};
	check_rows(rows, COUNT(rows));
}

static void what_must_not_be_stored_is_not(void **state)
{
	static const char *const refused[] = {
		CONTROL "no-store\n",
		CONTROL "NO-STORE\n",
		CONTROL "max-age=60, no-store\netag: \"a\"\nlast-modified: " NOW "\n",
		CONTROL "max-age=60\n" CONTROL "no-store\n",
		CONTROL "no-store=yes\n",
		CONTROL "no-store;max-age=60\n",
		CONTROL "no-store max-age=60\n",
		CONTROL "private\n",
		CONTROL "private, max-age=60, public\n",
		CONTROL "private=\"set-cookie\", max-age=60\n",
		CONTROL "private=, max-age=60\n",
		"vary: *\n" CONTROL "max-age=60\n",
		"vary: accept, *\n",
		"vary: accept\nvary: *\n",
		"vary:*",
		/* quoted strings that do not end hide nothing */
		CONTROL "x=\"a, no-store\n",
		CONTROL "max-age=\"60, no-store\n",
		CONTROL "x=\"\\\", y=\"\\\", no-store\n",
		CONTROL "x=\"a\n" CONTROL "no-store, y=\"b\"\n",
		CONTROL "=\"a, no-store\n",
		CONTROL "\"a, no-store, b\"\n",
		CONTROL "@@@, no-store\n",
		CONTROL "x=\"a\\\", no-store\n",
	};
	for (size_t i = 0; i < COUNT(refused); i++) {
		if (!is_refused(200, refused[i]))
			fail_msg("%s would be stored", refused[i]);
	}
}

static void headers_that_vary_may_be_stored_by_key(void **state)
{
	static const struct row rows[] = {
		{ "vary: accept-encoding, x*y\n" CONTROL "max-age=60\n", 60, N, N },
		{ "vary:\n", N, N, N },
	};
	check_rows(rows, COUNT(rows));
}

static void must_understand_lifts_no_store_for_what_is_understood(void **state)
{
	static const struct row row = { CONTROL "no-store, must-understand, max-age=60\n", 60, N,
		N };
	check_row(200, &row);
	check_row(302, &row);
	assert_true(is_refused(206, row.headers));
	assert_true(is_refused(299, row.headers));
	assert_true(is_refused(200, CONTROL "no-store, must-understand=1, max-age=60\n"));
	assert_true(is_refused(200, CONTROL "no-store, must-understand, private\n"));
}

static void statuses_are_kept_by_default_or_when_it_is_said_or_never(void **state)
{
	static const int by_default[] = { 200, 203, 204, 300, 301, 304, 308, 404, 410, 501 };
	static const int when_said[] = { 302, 303, 307, 400, 403, 405, 406, 414, 451 };
	static const int explicit_never[] = { INT32_MIN, -200, 0, 100, 103, 199, 201, 202, 205, 206,
		226, 299, 305, 306, 309, 401, 407, 408, 418, 429, 499, 500, 502, 503, 504, 505, 599,
		600, 999, INT32_MAX };
	static const struct row silent = { "", N, N, N };
	static const struct row said = { CONTROL "max-age=60\n", 60, N, N };
	static const struct row public = { CONTROL "public\n", N, N, N };
	static const struct row expires = { "expires: " HOUR "\n", 3600, N, N };
	for (size_t i = 0; i < COUNT(by_default); i++) {
		check_row(by_default[i], &silent);
		check_row(by_default[i], &said);
	}
	for (size_t i = 0; i < COUNT(when_said); i++) {
		assert_true(is_refused(when_said[i], ""));
		assert_true(is_refused(when_said[i], CONTROL "no-cache, stale-if-error=60\n"));
		assert_true(is_refused(when_said[i], CONTROL "public=yes\n"));
		check_row(when_said[i], &said);
		check_row(when_said[i], &public);
		check_row(when_said[i], &expires);
	}
	for (size_t i = 0; i < COUNT(explicit_never); i++)
		assert_true(is_refused(explicit_never[i], CONTROL "public, max-age=60\n"));
}

static void an_unchanged_answer_gives_the_stored_one_a_new_life(void **state)
{
	static const struct row row = { CONTROL "max-age=60\nage: 5\netag: \"v2\"\n", 55, N, N };
	check_row(304, &row);
	assert_true(is_refused(304, CONTROL "no-store\n"));
}

static void check_etag(const char *headers, const char *expected)
{
	struct freshness is = read_at(200, headers);
	if (!slice_equal(is.etag, slice_text(expected)))
		fail_msg("%s gives '%.*s'", headers, (int)is.etag.size, is.etag.data);
}

static void an_entity_tag_is_given_as_it_came(void **state)
{
	check_etag("etag: \"abc\"\n", "\"abc\"");
	check_etag("ETag:  W/\"a,b\\\xff\" \n", "W/\"a,b\\\xff\"");
	check_etag("etag: \"\"\n", "\"\"");
	check_etag("etag: \"a\"\netag: \"b\"\n", "\"a\"");
	check_etag("etag: *\netag: \"b\"\n", "\"b\"");
}

static void what_is_no_entity_tag_is_not_sent_back(void **state)
{
	static const char *const refused[] = { "", "*", "abc", "\"", "\"abc", "abc\"", "w/\"a\"",
		"W/", "W/\"", "\"a\", \"b\"", "\"a b\"", "\"a\tb\"", "\"a\x7f\"", "\"a\"b\"",
		"\"a\rx-injected: 1\"" };
	for (size_t i = 0; i < COUNT(refused); i++) {
		char headers[64];
		snprintf(headers, sizeof(headers), "etag: %s\n", refused[i]);
		check_etag(headers, "");
	}
}

static void last_modified_is_given_when_it_is_a_date(void **state)
{
	struct freshness is = read_at(200, "last-modified: x\nlast-modified: " NOW " \n");
	assert_true(slice_equal(is.last_modified, slice_text(NOW)));
	assert_int_equal(read_at(200, "last-modified: yesterday\n").last_modified.size, 0);
}

static void hostile_lines_are_passed_over(void **state)
{
	static const struct row rows[] = {
		{ "\n\n:\n: \n::\n" CONTROL "max-age=60\n\n", 60, N, N },
		{ "cache-control\n" CONTROL "max-age=60\n", 60, N, N },
		{ "cache-control : no-store\n" CONTROL "max-age=60\n", 60, N, N },
		{ "\tno-store\n" CONTROL "max-age=60\n", 60, N, N },
		{ CONTROL "\xff\xfe=\x01, max-age=60\n", 60, N, N },
	};
	check_rows(rows, COUNT(rows));
	static const char zero[] = "cache-control: max-age=6\0000, x\0no-store\n";
	struct freshness is;
	freshness_read(200, slice_of(zero, sizeof(zero) - 1), NOW_MS, &is);
	assert_true(is.storable && is.stated);
	assert_int_equal(is.ttl_ms, 0);
	freshness_read(200, slice_of(NULL, 0), 0, &is);
	assert_true(is.storable && !is.stated);
}

/* A reader that searched for the end of each quote, wherever it stands, would take minutes. */
static void time_grows_with_the_bytes_and_no_faster(void **state)
{
	static const char *const pieces[] = { "x=\"\\\",", "x=\"\\", "\"", "\\", ",", "=", "x=\"a,",
		"max-age=\"\\\"," };
	for (size_t i = 0; i < COUNT(pieces); i++) {
		struct buffer headers;
		struct freshness is;
		buffer_init(&headers);
		buffer_append_text(&headers, CONTROL);
		while (headers.size < 4 << 20)
			buffer_append_text(&headers, pieces[i]);
		clock_t start = clock();
		freshness_read(200, buffer_slice(&headers), NOW_MS, &is);
		assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
		buffer_fini(&headers);
	}
}

static void retry_after_is_seconds_or_a_date(void **state)
{
	static const struct {
		const char *headers;
		int64_t ms;
	} rows[] = {
		{ "", -1 },
		{ "retry-after: 120\n", 120000 },
		{ "Retry-After:0\n", 0 },
		{ "retry-after: " HOUR "\n", 3600000 },
		{ "retry-after: Sunday, 15-Jun-25 15:07:40 GMT\n", 60000 },
		{ "retry-after: " NOW "\n", 0 },
		{ "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\n", 0 },
		{ "retry-after: 3601\n", LIMIT_CACHE_RETRY_MS },
		{ "retry-after: 86401\n", LIMIT_CACHE_RETRY_MS },
		{ "retry-after: 99999999999999999999999\n", LIMIT_CACHE_RETRY_MS },
		{ "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\n", LIMIT_CACHE_RETRY_MS },
		{ "retry-after: 5\nretry-after: 60\nretry-after: x\n", 60000 },
		{ "retry-after:\n", -1 },
		{ "retry-after: -5\n", -1 },
		{ "retry-after: 1.5\n", -1 },
		{ "retry-after: 5, 6\n", -1 },
		{ "retry-after: soon\n", -1 },
		{ "x-retry-after: 5\n", -1 },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t ms = freshness_retry_ms(slice_text(rows[i].headers), NOW_MS);
		if (ms != rows[i].ms)
			fail_msg("%s is %lld", rows[i].headers, (long long)ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lifetime_is_s_maxage_over_max_age_over_expires),
		cmocka_unit_test(expires_counts_from_date_or_else_from_now),
		cmocka_unit_test(expires_that_is_no_date_has_passed),
		cmocka_unit_test(age_is_taken_off),
		cmocka_unit_test(directives_are_read_in_any_form_that_the_grammar_has),
		cmocka_unit_test(numbers_that_cannot_be_read_are_stale_and_large_ones_the_cap),
		cmocka_unit_test(of_duplicates_the_strictest_holds),
		cmocka_unit_test(stale_windows_open_where_the_lifetime_ends),
		cmocka_unit_test(what_must_be_revalidated_is_never_served_stale),
		cmocka_unit_test(what_must_not_be_stored_is_not),
		cmocka_unit_test(headers_that_vary_may_be_stored_by_key),
		cmocka_unit_test(must_understand_lifts_no_store_for_what_is_understood),
		cmocka_unit_test(statuses_are_kept_by_default_or_when_it_is_said_or_never),
		cmocka_unit_test(an_unchanged_answer_gives_the_stored_one_a_new_life),
		cmocka_unit_test(an_entity_tag_is_given_as_it_came),
		cmocka_unit_test(what_is_no_entity_tag_is_not_sent_back),
		cmocka_unit_test(last_modified_is_given_when_it_is_a_date),
		cmocka_unit_test(hostile_lines_are_passed_over),
		cmocka_unit_test(time_grows_with_the_bytes_and_no_faster),
		cmocka_unit_test(retry_after_is_seconds_or_a_date),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
