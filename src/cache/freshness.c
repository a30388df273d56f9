/*
 * freshness: see freshness.h.
 *
 * Where the RFC leaves a choice, and where headers contradict themselves or are broken, the answer
 * is kept for less time rather than more:
 *
 *   - a directive or Expires given twice: the least; a number or a date that cannot be read is 0
 *     (RFC 9111, 4.2.1), and what stands behind a directive spoils its number, never the directive;
 *   - `private` and `no-cache` that name fields count as if they named none (5.2.2.4, 5.2.2.7);
 *   - s-maxage forbids what is stale, as proxy-revalidate does (5.2.2.10), unless the answer allows
 *     it in so many words: origins that write both directives mean both.
 *
 * The age is what Age says. That Date lies further back is ignored, as 4.2.3 permits: clocks that
 * differ would otherwise make short lives end at once. Pragma and Warning have no meaning here.
 *
 * A quoted string that does not end hides nothing: it ends at the next comma, so that the directive
 * behind it counts.
 *
 * Threads: any.
 */
#include "cache/freshness.h"

#include "cache/http_date.h"
#include "holdfast/limits.h"

#include <assert.h>
#include <ctype.h>
#include <stddef.h>

#define UNSAID      INT64_C(-1)
#define SECONDS_MAX INT64_C(2147483648) /* what larger numbers count as: RFC 9111, 1.2.2 */

enum status_kind {
	STATUS_REFUSED,  /* failures, parts, and what this cache does not understand */
	STATUS_EXPLICIT, /* kept when the answer says so */
	STATUS_DEFAULT,  /* kept also when it says nothing: the caller's default */
};

struct directives {
	bool no_store;
	bool is_private;
	bool no_cache;
	bool must_revalidate; /* proxy-revalidate too */
	bool must_understand;
	bool is_public;
	/* seconds, or UNSAID */
	int64_t s_maxage_s;
	int64_t max_age_s;
	int64_t while_revalidate_s;
	int64_t if_error_s;
};

struct answer {
	struct directives control;
	bool varies_by_all;
	bool has_expires;
	int64_t expires_ms;
	int64_t date_ms;
	bool has_date;
	bool has_age;
	int64_t age_s;
};

/* One `name[=argument]`; anything else behind the name makes it unsound. */
struct directive {
	struct slice name;
	struct slice argument;
	bool is_sound;
};

static bool next_header(struct slice *headers, struct slice *name, struct slice *value);
static void answer_note(struct answer *answer, struct slice name, struct slice value,
	int64_t now_ms, struct freshness *out);
static void note_control(struct directives *control, struct slice value);
static void note_flag(struct directives *control, const struct directive *directive);
static void note_number(struct directives *control, const struct directive *directive);
static void note_expires(struct answer *answer, struct slice value, int64_t now_ms);
static void note_age(struct answer *answer, struct slice value);
static bool names_all(struct slice value);
static enum status_kind status_kind(int status);
static bool is_storable(const struct answer *answer, int status);
static bool read_lifetime(const struct answer *answer, int64_t now_ms, int64_t *left_ms);
static int64_t stale_until_ms(
	const struct freshness *out, int64_t left_ms, int64_t window_s, bool is_forbidden);
static bool take_directive(struct slice *list, struct directive *out);
static size_t quoted_size(struct slice text);
static size_t token_size(struct slice text);
static bool read_seconds(struct slice text, int64_t *out);
static bool is_entity_tag(struct slice text);
static bool is_blank(char byte);
static struct slice skip(struct slice text, size_t count);
static struct slice trim(struct slice text);

void freshness_read(int status, struct slice headers, int64_t now_ms, struct freshness *out)
{
	struct answer answer = { .control = { .s_maxage_s = UNSAID,
					 .max_age_s = UNSAID,
					 .while_revalidate_s = UNSAID,
					 .if_error_s = UNSAID } };
	const struct directives *control = &answer.control;
	struct slice name, value;
	assert(now_ms >= 0);
	*out = (struct freshness){ 0 };
	while (next_header(&headers, &name, &value))
		answer_note(&answer, name, value, now_ms, out);
	if (!is_storable(&answer, status)) {
		*out = (struct freshness){ 0 };
		return;
	}
	int64_t left_ms = 0;
	bool is_forbidden = control->no_cache || control->must_revalidate;
	bool has_shared_life = control->s_maxage_s != UNSAID;
	out->storable = true;
	out->stated = read_lifetime(&answer, now_ms, &left_ms);
	out->ttl_ms = left_ms < 0 ? 0 : left_ms > LIMIT_CACHE_AGE_MS ? LIMIT_CACHE_AGE_MS : left_ms;
	out->has_stale = is_forbidden || has_shared_life || control->while_revalidate_s != UNSAID;
	out->stale_ms = stale_until_ms(out, left_ms, control->while_revalidate_s, is_forbidden);
	out->has_stale_error = is_forbidden || has_shared_life || control->if_error_s != UNSAID;
	out->stale_error_ms = stale_until_ms(out, left_ms, control->if_error_s, is_forbidden);
}

int64_t freshness_retry_ms(struct slice headers, int64_t now_ms)
{
	struct slice name, value;
	int64_t longest_ms = -1;
	assert(now_ms >= 0);
	while (next_header(&headers, &name, &value)) {
		int64_t seconds, ms;
		if (!slice_is(name, "retry-after"))
			continue;
		if (read_seconds(value, &seconds))
			ms = seconds * 1000;
		else if (http_date_parse(value, now_ms, &ms))
			ms = ms > now_ms ? ms - now_ms : 0;
		else
			continue;
		if (ms > LIMIT_CACHE_RETRY_MS)
			ms = LIMIT_CACHE_RETRY_MS;
		longest_ms = ms > longest_ms ? ms : longest_ms;
	}
	return longest_ms;
}

/* Lines without a colon are passed over. */
static bool next_header(struct slice *headers, struct slice *name, struct slice *value)
{
	while (headers->size > 0) {
		const char *end = memchr(headers->data, '\n', headers->size);
		size_t size = end ? (size_t)(end - headers->data) : headers->size;
		struct slice line = slice_of(headers->data, size);
		*headers = skip(*headers, end ? size + 1 : size);
		const char *colon = size ? memchr(line.data, ':', size) : NULL;
		if (colon == NULL)
			continue;
		*name = slice_of(line.data, (size_t)(colon - line.data));
		*value = trim(skip(line, name->size + 1));
		return true;
	}
	return false;
}

/* Of fields that HTTP has once, the first counts. */
static void answer_note(struct answer *answer, struct slice name, struct slice value,
	int64_t now_ms, struct freshness *out)
{
	int64_t unused;
	if (slice_is(name, "cache-control"))
		note_control(&answer->control, value);
	else if (slice_is(name, "vary"))
		answer->varies_by_all |= names_all(value);
	else if (slice_is(name, "expires"))
		note_expires(answer, value, now_ms);
	else if (slice_is(name, "age"))
		note_age(answer, value);
	else if (slice_is(name, "date") && !answer->has_date)
		answer->has_date = http_date_parse(value, now_ms, &answer->date_ms);
	else if (slice_is(name, "etag") && out->etag.size == 0 && is_entity_tag(value))
		out->etag = value;
	else if (slice_is(name, "last-modified") && out->last_modified.size == 0 &&
		http_date_parse(value, now_ms, &unused))
		out->last_modified = value;
}

static void note_control(struct directives *control, struct slice value)
{
	struct directive directive;
	while (take_directive(&value, &directive)) {
		note_flag(control, &directive);
		note_number(control, &directive);
	}
}

/* What forbids counts however it is written, what allows must be written as the RFC has it. */
static void note_flag(struct directives *control, const struct directive *directive)
{
	struct slice name = directive->name;
	bool is_bare = directive->is_sound && directive->argument.size == 0;
	control->no_store |= slice_is(name, "no-store");
	control->is_private |= slice_is(name, "private");
	control->no_cache |= slice_is(name, "no-cache");
	control->must_revalidate |=
		slice_is(name, "must-revalidate") || slice_is(name, "proxy-revalidate");
	control->must_understand |= is_bare && slice_is(name, "must-understand");
	control->is_public |= is_bare && slice_is(name, "public");
}

static void note_number(struct directives *control, const struct directive *directive)
{
	const struct {
		const char *name;
		int64_t *seconds;
	} numbers[] = {
		{ "s-maxage", &control->s_maxage_s },
		{ "max-age", &control->max_age_s },
		{ "stale-while-revalidate", &control->while_revalidate_s },
		{ "stale-if-error", &control->if_error_s },
	};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		int64_t seconds, *least = numbers[i].seconds;
		if (!slice_is(directive->name, numbers[i].name))
			continue;
		if (!directive->is_sound || !read_seconds(directive->argument, &seconds))
			seconds = 0;
		if (*least == UNSAID || seconds < *least)
			*least = seconds;
	}
}

static void note_expires(struct answer *answer, struct slice value, int64_t now_ms)
{
	int64_t expires_ms;
	if (!http_date_parse(value, now_ms, &expires_ms))
		expires_ms = INT64_MIN;
	if (!answer->has_expires || expires_ms < answer->expires_ms)
		answer->expires_ms = expires_ms;
	answer->has_expires = true;
}

/* Of a list the first member counts, and if that is no number, none (RFC 9111, 5.1). */
static void note_age(struct answer *answer, struct slice value)
{
	const char *comma = value.size ? memchr(value.data, ',', value.size) : NULL;
	if (answer->has_age)
		return;
	answer->has_age = true;
	if (comma != NULL)
		value = trim(slice_of(value.data, (size_t)(comma - value.data)));
	if (!read_seconds(value, &answer->age_s))
		answer->age_s = 0;
}

/* Vary's list has the form of Cache-Control's, and `*` is a token. */
static bool names_all(struct slice value)
{
	struct directive field;
	while (take_directive(&value, &field)) {
		if (slice_is(field.name, "*"))
			return true;
	}
	return false;
}

/* RFC 9110, 15.1, without parts (206) and without errors of this one request (405, 414). Failures
 * are what RFC 5861 keeps an older answer for, and 429 (RFC 6585, 4) must not be stored. */
static enum status_kind status_kind(int status)
{
	switch (status) {
	case 200:
	case 203:
	case 204:
	case 300:
	case 301:
	case 304:
	case 308:
	case 404:
	case 410:
	case 501:
		return STATUS_DEFAULT;
	case 302:
	case 303:
	case 307:
	case 400:
	case 403:
	case 405:
	case 406:
	case 414:
	case 451:
		return STATUS_EXPLICIT;
	default:
		return STATUS_REFUSED;
	}
}

/* RFC 9111, 3. A must-understand that is understood lifts the no-store beside it (5.2.2.3). */
static bool is_storable(const struct answer *answer, int status)
{
	const struct directives *control = &answer->control;
	enum status_kind kind = status_kind(status);
	if (kind == STATUS_REFUSED || control->is_private || answer->varies_by_all)
		return false;
	if (control->no_store && !control->must_understand)
		return false;
	return kind == STATUS_DEFAULT || control->is_public || answer->has_expires ||
		control->s_maxage_s != UNSAID || control->max_age_s != UNSAID;
}

/* What is left of the lifetime that the answer states (RFC 9111, 4.2.1), negative when it ended
 * before now; false when it states none. */
static bool read_lifetime(const struct answer *answer, int64_t now_ms, int64_t *left_ms)
{
	const struct directives *control = &answer->control;
	int64_t whole_ms = 0;
	if (control->s_maxage_s != UNSAID) {
		whole_ms = control->s_maxage_s * 1000;
	} else if (control->max_age_s != UNSAID) {
		whole_ms = control->max_age_s * 1000;
	} else if (answer->has_expires) {
		int64_t date_ms = answer->has_date ? answer->date_ms : now_ms;
		whole_ms = answer->expires_ms > date_ms ? answer->expires_ms - date_ms : 0;
	} else if (!control->no_cache) {
		return false;
	}
	*left_ms = control->no_cache ? 0 : whole_ms - answer->age_s * 1000;
	return true;
}

/* A window opens where the lifetime ended, which for an old answer was before now. */
static int64_t stale_until_ms(
	const struct freshness *out, int64_t left_ms, int64_t window_s, bool is_forbidden)
{
	if (is_forbidden || window_s == UNSAID)
		return out->ttl_ms;
	int64_t until_ms = left_ms + window_s * 1000;
	if (until_ms < out->ttl_ms)
		return out->ttl_ms;
	return until_ms < LIMIT_CACHE_AGE_MS ? until_ms : LIMIT_CACHE_AGE_MS;
}

/* The list's next element (RFC 9110, 5.6.1: empty ones do not count); false at the end. The name is
 * empty when the element begins with something else. */
static bool take_directive(struct slice *list, struct directive *out)
{
	struct slice rest = *list;
	while (rest.size > 0 && (rest.data[0] == ',' || is_blank(rest.data[0])))
		rest = skip(rest, 1);
	if (rest.size == 0)
		return false;
	*out = (struct directive){ .name = slice_of(rest.data, token_size(rest)) };
	rest = skip(rest, out->name.size);
	out->is_sound = true;
	if (rest.size > 0 && rest.data[0] == '=') {
		rest = skip(rest, 1);
		/* One without an end is searched for it once: any later quote that could begin
		 * another stands behind `=`, so it would have been the end. */
		size_t size = quoted_size(rest);
		out->argument = slice_of(rest.data, size ? size : token_size(rest));
		out->is_sound = out->argument.size > 0;
		rest = skip(rest, out->argument.size);
	}
	while (rest.size > 0 && is_blank(rest.data[0]))
		rest = skip(rest, 1);
	if (rest.size > 0 && rest.data[0] != ',') {
		const char *comma = memchr(rest.data, ',', rest.size);
		out->is_sound = false;
		rest = skip(rest, comma ? (size_t)(comma - rest.data) : rest.size);
	}
	*list = rest;
	return true;
}

/* Bytes of the quoted string at the front, quotes included; 0 when there is none or it has no end.
 */
static size_t quoted_size(struct slice text)
{
	if (text.size == 0 || text.data[0] != '"')
		return 0;
	for (size_t i = 1; i < text.size; i++) {
		if (text.data[i] == '"')
			return i + 1;
		if (text.data[i] == '\\')
			i++;
	}
	return 0;
}

static size_t token_size(struct slice text)
{
	size_t size = 0;
	while (size < text.size) {
		unsigned char byte = (unsigned char)text.data[size];
		bool is_mark = byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
		if (!is_mark && (byte >= 0x80 || !isalnum(byte)))
			break;
		size++;
	}
	return size;
}

/* Digits only, as a token or as a quoted string; numbers beyond SECONDS_MAX count as that. */
static bool read_seconds(struct slice text, int64_t *out)
{
	bool is_quoted = text.size >= 2 && text.data[0] == '"' && quoted_size(text) == text.size;
	if (is_quoted)
		text = slice_of(text.data + 1, text.size - 2);
	int64_t seconds = 0;
	bool has_digit = false;
	for (size_t i = 0; i < text.size; i++) {
		if (is_quoted && text.data[i] == '\\')
			i++; /* there is a byte behind it, or the string would not have ended */
		unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';
		if (digit > 9)
			return false;
		has_digit = true;
		seconds = seconds * 10 + digit;
		if (seconds > SECONDS_MAX)
			seconds = SECONDS_MAX;
	}
	*out = seconds;
	return has_digit;
}

/* RFC 9110, 8.8.3. Anything else might mean something in the header it is sent back in: `*` is
 * every tag there, and a comma begins another. */
static bool is_entity_tag(struct slice text)
{
	if (slice_starts_with(text, slice_text("W/")))
		text = skip(text, 2);
	if (text.size < 2 || text.data[0] != '"' || text.data[text.size - 1] != '"')
		return false;
	for (size_t i = 1; i < text.size - 1; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		if (byte <= ' ' || byte == '"' || byte == 0x7f)
			return false;
	}
	return true;
}

/* A stray CR ends no line but is as meaningless. */
static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct slice skip(struct slice text, size_t count)
{
	return slice_of(text.data + count, text.size - count);
}

static struct slice trim(struct slice text)
{
	while (text.size > 0 && is_blank(text.data[0]))
		text = skip(text, 1);
	while (text.size > 0 && is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}
