/*
 * fuzz_freshness: headers of answers, made up.
 *
 *      fuzz_freshness [seeds] [first seed]
 *
 * Each seed is two tries, each in memory of exactly its size, so that the address sanitizer sees a
 * step beyond. Noise: bytes that the grammar likes, and others; what is read must be within its
 * bounds, its slices within the headers, and a line that forbids more must never allow more. Known:
 * directives are drawn first and written down in any of the forms that mean the same, in any
 * order, over several lines, and what is read must be what a plain computation makes of the draw.
 *
 * Aborts at the first failure, naming the seed.
 */
#include "base/buffer.h"
#include "base/memory.h"
#include "base/random.h"
#include "cache/freshness.h"
#include "holdfast/limits.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REQUIRE(fuzz, condition, what)                                                             \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "fuzz_freshness: seed %llu: %s\n%.*s\n", (fuzz)->seed,     \
				what, (int)(fuzz)->headers.size, (fuzz)->headers.data);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#define NOW_MS INT64_C(1750000000000)
#define UNSAID INT64_C(-1)

enum { S_MAXAGE, MAX_AGE, WHILE_REVALIDATE, IF_ERROR, NUMBERS };
enum { NO_STORE, PRIVATE, NO_CACHE, MUST_REVALIDATE, PROXY_REVALIDATE, PUBLIC, UNKNOWN, FLAGS };

static const char *const number_names[NUMBERS] = { "s-maxage", "max-age", "stale-while-revalidate",
	"stale-if-error" };
static const char *const flag_names[FLAGS] = { "no-store", "private", "no-cache", "must-revalidate",
	"proxy-revalidate", "public", "x-no-store" };

struct fuzz {
	unsigned long long seed;
	struct random random;
	struct slice headers;
};

/* What was drawn; seconds, or UNSAID. */
struct draw {
	int64_t numbers[NUMBERS];
	bool flags[FLAGS];
	int64_t age_s;
	int64_t life_by_expires_s; /* from its Date */
};

static struct {
	unsigned long long stored, stated, refused;
} seen;

static void fuzz_noise(struct fuzz *fuzz);
static void fuzz_known(struct fuzz *fuzz);
static void check_bounds(struct fuzz *fuzz, const struct freshness *is);
static void check_stricter(struct fuzz *fuzz, int status, const struct freshness *is);
static struct freshness read_with(struct fuzz *fuzz, int status, const char *more);
static void draw_directives(struct random *random, struct draw *draw);
static void write_directives(struct random *random, struct draw *draw, struct buffer *out);
static void write_number(struct random *random, int64_t seconds, struct buffer *out);
static void write_any_case(struct random *random, const char *text, struct buffer *out);
static void write_date(struct random *random, int64_t seconds, struct buffer *out);
static int64_t age_of(int64_t left_s, int64_t window_s, int64_t least_ms);
static char *own_copy(struct slice *bytes);

int main(int count, char **values)
{
	unsigned long long seeds = count > 1 ? strtoull(values[1], NULL, 10) : 50000;
	unsigned long long first = count > 2 ? strtoull(values[2], NULL, 10) : 0;
	struct fuzz fuzz = { 0 };
	for (fuzz.seed = first; fuzz.seed < first + seeds; fuzz.seed++) {
		random_seed(&fuzz.random, fuzz.seed);
		fuzz_noise(&fuzz);
		fuzz_known(&fuzz);
	}
	printf("fuzz_freshness: %llu seeds: stored %llu, of these stated %llu; refused %llu\n",
		seeds, seen.stored, seen.stated, seen.refused);
	return 0;
}

static void fuzz_noise(struct fuzz *fuzz)
{
	static const char *const pieces[] = { "cache-control:", "expires:", "date:", "age:",
		"vary:", "etag:", "last-modified:", "retry-after:", "max-age", "s-maxage",
		"no-store", "must-understand", "stale-while-revalidate", "stale-if-error",
		"no-cache", "private", "=", "=\"", "\"", "\\", ",", " ", "\n", "\n", ":", "*", "60",
		"9999999999999999999", "0", "Sun, 15 Jun 2025 16:06:40 GMT",
		"Sunday, 15-Jun-25 16:06:40 GMT", "GMT", "W/\"a\"" };
	static const int statuses[] = { 200, 200, 200, 304, 302, 404, 503, 206 };
	struct buffer text;
	buffer_init(&text);
	for (uint64_t i = random_below(&fuzz->random, 40); i > 0; i--) {
		uint64_t which =
			random_below(&fuzz->random, sizeof(pieces) / sizeof(pieces[0]) + 4);
		char byte = (char)random_next(&fuzz->random);
		if (which < sizeof(pieces) / sizeof(pieces[0]))
			buffer_append_text(&text, pieces[which]);
		else
			buffer_append(&text, &byte, 1);
	}
	fuzz->headers = buffer_slice(&text);
	char *copy = own_copy(&fuzz->headers);
	buffer_fini(&text);
	int status = statuses[random_below(&fuzz->random, 8)];
	struct freshness is;
	memset(&is, (int)random_next(&fuzz->random), sizeof(is));
	freshness_read(status, fuzz->headers, NOW_MS, &is);
	check_bounds(fuzz, &is);
	check_stricter(fuzz, status, &is);
	int64_t retry_ms = freshness_retry_ms(fuzz->headers, NOW_MS);
	REQUIRE(fuzz, retry_ms >= -1 && retry_ms <= LIMIT_CACHE_RETRY_MS, "retry is out of bounds");
	memory_free(copy);
}

static void fuzz_known(struct fuzz *fuzz)
{
	struct draw draw;
	struct buffer text;
	struct freshness is;
	buffer_init(&text);
	draw_directives(&fuzz->random, &draw);
	write_directives(&fuzz->random, &draw, &text);
	fuzz->headers = buffer_slice(&text);
	char *copy = own_copy(&fuzz->headers);
	buffer_fini(&text);
	freshness_read(200, fuzz->headers, NOW_MS, &is);
	check_bounds(fuzz, &is);

	REQUIRE(fuzz, is.storable == !(draw.flags[NO_STORE] || draw.flags[PRIVATE]),
		"storable is wrong");
	if (is.storable) {
		const int64_t *numbers = draw.numbers;
		bool forbids = draw.flags[NO_CACHE] || draw.flags[MUST_REVALIDATE] ||
			draw.flags[PROXY_REVALIDATE];
		int64_t whole_s = numbers[S_MAXAGE] != UNSAID ? numbers[S_MAXAGE]
			: numbers[MAX_AGE] != UNSAID          ? numbers[MAX_AGE]
							      : draw.life_by_expires_s;
		bool is_stated = whole_s != UNSAID || draw.flags[NO_CACHE];
		int64_t left_s = draw.flags[NO_CACHE] || !is_stated ? 0
			: draw.age_s == UNSAID                      ? whole_s
								    : whole_s - draw.age_s;
		int64_t ttl_ms = age_of(left_s, 0, 0);
		REQUIRE(fuzz, is.stated == is_stated, "stated is wrong");
		REQUIRE(fuzz, is.ttl_ms == ttl_ms, "the life is wrong");
		for (int i = WHILE_REVALIDATE; i <= IF_ERROR; i++) {
			bool is_said = numbers[i] != UNSAID && !forbids;
			bool has = i == IF_ERROR ? is.has_stale_error : is.has_stale;
			int64_t until_ms = i == IF_ERROR ? is.stale_error_ms : is.stale_ms;
			REQUIRE(fuzz, has == (is_said || forbids || numbers[S_MAXAGE] != UNSAID),
				"a stale window is there or not, wrongly");
			REQUIRE(fuzz,
				until_ms == (is_said ? age_of(left_s, numbers[i], ttl_ms) : ttl_ms),
				"a stale age is wrong");
		}
	}
	memory_free(copy);
}

static void check_bounds(struct fuzz *fuzz, const struct freshness *is)
{
	const char *end = fuzz->headers.data + fuzz->headers.size;
	const struct slice *slices[] = { &is->etag, &is->last_modified };
	seen.stored += is->storable;
	seen.stated += is->stated;
	seen.refused += !is->storable;
	REQUIRE(fuzz, is->ttl_ms >= 0, "a negative life");
	REQUIRE(fuzz, is->ttl_ms <= is->stale_ms && is->ttl_ms <= is->stale_error_ms, "ages cross");
	REQUIRE(fuzz, is->stale_ms <= LIMIT_CACHE_AGE_MS, "stale is above the cap");
	REQUIRE(fuzz, is->stale_error_ms <= LIMIT_CACHE_AGE_MS,
		"stale with errors is above the cap");
	REQUIRE(fuzz, is->stated || is->ttl_ms == 0, "a life that is not stated");
	REQUIRE(fuzz, is->has_stale || is->stale_ms == is->ttl_ms, "a window that is not stated");
	REQUIRE(fuzz, is->has_stale_error || is->stale_error_ms == is->ttl_ms,
		"the same, with errors");
	REQUIRE(fuzz,
		is->storable ||
			(!is->stated && is->stale_ms == 0 && is->stale_error_ms == 0 &&
				is->etag.size == 0 && is->last_modified.size == 0),
		"what is not stored says something");
	for (int i = 0; i < 2; i++) {
		if (slices[i]->size == 0)
			continue;
		REQUIRE(fuzz,
			slices[i]->data >= fuzz->headers.data &&
				slices[i]->data + slices[i]->size <= end,
			"a slice is not of the headers");
		REQUIRE(fuzz, memchr(slices[i]->data, '\n', slices[i]->size) == NULL,
			"a slice of two lines");
	}
}

/* One more line, in front. */
static void check_stricter(struct fuzz *fuzz, int status, const struct freshness *is)
{
	struct freshness other = read_with(fuzz, status, "cache-control: private\n");
	REQUIRE(fuzz, !other.storable, "private is stored");
	other = read_with(fuzz, status, "vary: *\n");
	REQUIRE(fuzz, !other.storable, "what varies by all is stored");
	other = read_with(fuzz, status, "cache-control: no-cache\n");
	REQUIRE(fuzz, other.storable == is->storable, "no-cache has changed what may be stored");
	REQUIRE(fuzz, other.stale_ms == 0 && other.stale_error_ms == 0, "no-cache is used again");
	other = read_with(fuzz, status, "cache-control: s-maxage=0\n");
	REQUIRE(fuzz, other.ttl_ms == 0, "a life after s-maxage=0");
	other = read_with(fuzz, status, "cache-control: must-revalidate\n");
	REQUIRE(fuzz, other.storable == is->storable && other.ttl_ms == is->ttl_ms, "another life");
	REQUIRE(fuzz, other.stale_ms == other.ttl_ms && other.stale_error_ms == other.ttl_ms,
		"must-revalidate is served stale");
	if (is->stated) {
		other = read_with(fuzz, status, "cache-control: max-age=0\n");
		REQUIRE(fuzz, other.storable && other.ttl_ms <= is->ttl_ms,
			"max-age=0 lengthens a life");
	}
}

static struct freshness read_with(struct fuzz *fuzz, int status, const char *more)
{
	struct buffer text;
	struct freshness out;
	buffer_init(&text);
	buffer_append_text(&text, more);
	buffer_append(&text, fuzz->headers.data, fuzz->headers.size);
	freshness_read(status, buffer_slice(&text), NOW_MS, &out);
	out.etag = out.last_modified = slice_of(NULL, 0);
	buffer_fini(&text);
	return out;
}

static void draw_directives(struct random *random, struct draw *draw)
{
	static const uint64_t scales[] = { 2, 100, 4000000, 100000000 };
	for (int i = 0; i < NUMBERS; i++)
		draw->numbers[i] = random_below(random, 3)
			? UNSAID
			: (int64_t)random_below(random, scales[random_below(random, 4)]);
	for (int i = 0; i < FLAGS; i++)
		draw->flags[i] = random_below(random, 8) == 0;
	draw->age_s = random_below(random, 2)
		? UNSAID
		: (int64_t)random_below(random, scales[random_below(random, 4)]);
	draw->life_by_expires_s = random_below(random, 2)
		? UNSAID
		: (int64_t)random_below(random, scales[random_below(random, 3)]);
}

/* Each directive with a chance of a second, laxer one; numbers shrink in `draw` to none smaller. */
static void write_directives(struct random *random, struct draw *draw, struct buffer *out)
{
	bool is_open = false;
	int order = (int)random_below(random, NUMBERS + FLAGS);
	for (int i = 0; i < NUMBERS + FLAGS; i++) {
		int which = (i + order) % (NUMBERS + FLAGS);
		bool is_number = which < NUMBERS;
		if (is_number ? draw->numbers[which] == UNSAID : !draw->flags[which - NUMBERS])
			continue;
		for (uint64_t copies = 1 + random_below(random, 2); copies > 0; copies--) {
			if (is_open && random_below(random, 3) == 0) {
				buffer_append_text(out, "\n");
				is_open = false;
			}
			if (!is_open)
				write_any_case(random, "cache-control:", out);
			else
				buffer_append_text(out, random_below(random, 2) ? ", " : ",,\t");
			is_open = true;
			write_any_case(random,
				is_number ? number_names[which] : flag_names[which - NUMBERS], out);
			if (!is_number)
				continue;
			int64_t laxer = copies > 1 ? (int64_t)random_below(random, 1000) : 0;
			buffer_append_text(out, "=");
			write_number(random, draw->numbers[which] + laxer, out);
		}
	}
	if (is_open)
		buffer_append_text(out, "\n");
	if (draw->age_s != UNSAID) {
		buffer_append_text(out, "age: ");
		write_number(random, draw->age_s, out);
		buffer_append_text(out, random_below(random, 2) ? "\n" : ", 5\n");
	}
	if (draw->life_by_expires_s != UNSAID) {
		bool has_date = random_below(random, 2);
		int64_t date_s =
			has_date ? (int64_t)random_below(random, NOW_MS / 1000) : NOW_MS / 1000;
		buffer_append_text(out, has_date ? "date: " : "x-date: ");
		write_date(random, date_s, out);
		buffer_append_text(out, "\nexpires:");
		write_date(random, date_s + draw->life_by_expires_s, out);
	}
}

static void write_number(struct random *random, int64_t seconds, struct buffer *out)
{
	static const char *const forms[] = { "%lld", "%012lld", "\"%lld\"", "\"\\%lld\"" };
	char text[40];
	snprintf(text, sizeof(text), forms[random_below(random, 4)], (long long)seconds);
	buffer_append_text(out, text);
}

static void write_any_case(struct random *random, const char *text, struct buffer *out)
{
	for (; *text; text++) {
		char byte = *text;
		if (random_below(random, 4) == 0)
			byte = (char)toupper((unsigned char)byte);
		buffer_append(out, &byte, 1);
	}
}

/* A year of two digits means the right century only from 1976 on. */
static void write_date(struct random *random, int64_t seconds, struct buffer *out)
{
	static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y",
		"%A, %d-%b-%y %H:%M:%S GMT" };
	char text[64];
	struct tm tm;
	time_t time = seconds;
	gmtime_r(&time, &tm);
	strftime(text, sizeof(text), forms[random_below(random, tm.tm_year < 76 ? 2 : 3)], &tm);
	write_any_case(random, text, out);
}

static int64_t age_of(int64_t left_s, int64_t window_s, int64_t least_ms)
{
	int64_t ms = (left_s + window_s) * 1000;
	ms = ms < least_ms ? least_ms : ms;
	return ms > LIMIT_CACHE_AGE_MS ? LIMIT_CACHE_AGE_MS : ms;
}

/* Moves the slice into a block of exactly its size, which the caller frees. */
static char *own_copy(struct slice *bytes)
{
	char *copy = memory_alloc(bytes->size);
	if (bytes->size)
		memcpy(copy, bytes->data, bytes->size);
	*bytes = slice_of(copy, bytes->size);
	return copy;
}
