/*
 * json: whether a text is JSON as browsers take it, and where it stops being so. The grammar is
 * that of RFC 8259 and of JSON.parse, which are one: an escape may be half of a surrogate pair, a
 * number may be larger than any float. Before the value may stand a byte order mark, as in what a
 * browser's response.json() reads, and behind it any white space that JavaScript's trimEnd() takes
 * away.
 *
 *   text   = value, then closings and commas until nothing is open
 *   value  = brackets that open, up to the first scalar or empty container
 *   after  = brackets that close; a comma; within an object the next name
 *
 * No recursion: what is open stands in a bit for each level, set for an object.
 *
 * The position of an error is exact: what stands before it could still have become JSON. That holds
 * within characters and escapes as well. It makes errors easy to test: the same text, cut at the
 * position, just ends too early.
 *
 * UTF-8 is that of RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF.
 *
 * No state, no allocation; any thread.
 */
#include "json/json.h"

#include "holdfast/limits.h"
#include "json/json_private.h"

#define LEVEL_BITS 64

struct check {
	const char *at, *end;
	const char *why;
	struct json_bounds bounds;
	size_t values;
	unsigned depth;
	uint64_t objects[(LIMIT_IMPORT_DEPTH + LEVEL_BITS - 1) / LEVEL_BITS];
};

/* Bytes of a string that stand for themselves. */
static const bool plain[256] = {
	[0x20 ... '"' - 1] = true,
	['"' + 1 ... '\\' - 1] = true,
	['\\' + 1 ... 0x7f] = true,
};

static bool text_check(struct check *check);
static bool mark_check(struct check *check);
static bool end_check(struct check *check);
static bool far_space_take(struct check *check);
static bool value_check(struct check *check);
static bool after_check(struct check *check);
static bool member_check(struct check *check);
static bool open_check(struct check *check, bool object);
static bool scalar_check(struct check *check);
static bool string_check(struct check *check);
static const char *plain_skip(const char *at, const char *end);
static bool escape_check(struct check *check);
static bool hex_check(struct check *check);
static bool utf8_check(struct check *check);
static bool number_check(struct check *check);
static bool digits_check(struct check *check);
static bool word_check(struct check *check, const char *word);
static bool take(struct check *check, char c);
static bool sees(const struct check *check, uint8_t low, uint8_t high);
static bool wrong(struct check *check, const char *why);

bool json_check(struct slice text, struct json_error *error)
{
	static const struct json_bounds bounds = { LIMIT_JSON_DEPTH, LIMIT_JSON_VALUES, false };
	return json_check_within(text, &bounds, error);
}

bool json_check_bytes(struct slice text, struct json_error *error)
{
	static const struct json_bounds bounds = { LIMIT_JSON_DEPTH, LIMIT_JSON_VALUES, true };
	return json_check_within(text, &bounds, error);
}

bool json_is_object(struct slice text)
{
	const char *end = text.data + text.size, *at = json_text_begin(text);
	return at < end && *at == '{';
}

bool json_check_within(
	struct slice text, const struct json_bounds *bounds, struct json_error *error)
{
	const char *data = text.size > 0 ? text.data : "";
	struct check check = { .at = data, .end = data + text.size, .bounds = *bounds };
	if (text_check(&check))
		return true;
	if (error)
		*error = (struct json_error){ (size_t)(check.at - data), check.why };
	return false;
}

static bool text_check(struct check *check)
{
	if (!mark_check(check))
		return false;
	do {
		if (!value_check(check) || !after_check(check))
			return false;
	} while (check->depth > 0);
	return end_check(check);
}

static bool mark_check(struct check *check)
{
	if (!take(check, JSON_BYTE_ORDER_MARK[0]))
		return true;
	return (take(check, JSON_BYTE_ORDER_MARK[1]) && take(check, JSON_BYTE_ORDER_MARK[2])) ||
		wrong(check, "expected a value");
}

static bool end_check(struct check *check)
{
	for (;;) {
		check->at = json_space_skip(check->at, check->end);
		if (check->at == check->end)
			return true;
		if (!far_space_take(check))
			return wrong(check, "expected the end of the text");
	}
}

/* A character of white space that JavaScript has and JSON has not. When there is none, those of its
 * bytes that one could begin with are passed. */
static bool far_space_take(struct check *check)
{
	static const struct {
		uint8_t low[3], high[3];
		size_t size;
	} spaces[] = {
		{ { '\v' }, { '\f' }, 1 },
		{ { 0xc2, 0xa0 }, { 0xc2, 0xa0 }, 2 },
		{ { 0xe1, 0x9a, 0x80 }, { 0xe1, 0x9a, 0x80 }, 3 },
		{ { 0xe2, 0x80, 0x80 }, { 0xe2, 0x80, 0x8a }, 3 },
		{ { 0xe2, 0x80, 0xa8 }, { 0xe2, 0x80, 0xa9 }, 3 },
		{ { 0xe2, 0x80, 0xaf }, { 0xe2, 0x80, 0xaf }, 3 },
		{ { 0xe2, 0x81, 0x9f }, { 0xe2, 0x81, 0x9f }, 3 },
		{ { 0xe3, 0x80, 0x80 }, { 0xe3, 0x80, 0x80 }, 3 },
		{ { 0xef, 0xbb, 0xbf }, { 0xef, 0xbb, 0xbf }, 3 },
	};
	const uint8_t *bytes = (const uint8_t *)check->at;
	size_t left = (size_t)(check->end - check->at), passed = 0;
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		size_t same = 0, size = spaces[i].size;
		while (same < size && same < left && bytes[same] >= spaces[i].low[same] &&
			bytes[same] <= spaces[i].high[same])
			same++;
		if (same == size) {
			check->at += size;
			return true;
		}
		if (same > passed)
			passed = same;
	}
	check->at += passed;
	return false;
}

/* Up to the first scalar, leaving open what it stands in, or empty array or object. */
static bool value_check(struct check *check)
{
	for (;;) {
		check->at = json_space_skip(check->at, check->end);
		char c = check->at < check->end ? *check->at : '\0';
		if (check->values++ == check->bounds.values)
			return wrong(check, "too many values");
		if (c != '{' && c != '[')
			return scalar_check(check);
		if (!open_check(check, c == '{'))
			return false;
		check->at = json_space_skip(check->at, check->end);
		if (take(check, c == '{' ? '}' : ']')) {
			check->depth--;
			return true;
		}
		if (c == '{' && !member_check(check))
			return false;
	}
}

/* From behind a value to the next one, or to where nothing is open. */
static bool after_check(struct check *check)
{
	while (check->depth > 0) {
		unsigned level = check->depth - 1;
		bool object = check->objects[level / LEVEL_BITS] >> level % LEVEL_BITS & 1;
		check->at = json_space_skip(check->at, check->end);
		if (take(check, ','))
			return !object || member_check(check);
		if (!take(check, object ? '}' : ']'))
			return wrong(check, object ? "expected ',' or '}'" : "expected ',' or ']'");
		check->depth--;
	}
	return true;
}

static bool member_check(struct check *check)
{
	check->at = json_space_skip(check->at, check->end);
	if (!take(check, '"'))
		return wrong(check, "expected a name in quotes");
	if (!string_check(check))
		return false;
	check->at = json_space_skip(check->at, check->end);
	return take(check, ':') || wrong(check, "expected ':'");
}

static bool open_check(struct check *check, bool object)
{
	unsigned level = check->depth;
	if (level == check->bounds.depth)
		return wrong(check, "nested too deeply");
	uint64_t bit = (uint64_t)1 << level % LEVEL_BITS;
	uint64_t *bits = &check->objects[level / LEVEL_BITS];
	*bits = object ? *bits | bit : *bits & ~bit;
	check->depth++;
	check->at++;
	return true;
}

static bool scalar_check(struct check *check)
{
	switch (check->at < check->end ? *check->at : '\0') {
	case '"':
		check->at++;
		return string_check(check);
	case 't':
		return word_check(check, "true");
	case 'f':
		return word_check(check, "false");
	case 'n':
		return word_check(check, "null");
	case '-':
	case '0' ... '9':
		return number_check(check);
	default:
		return wrong(check, "expected a value");
	}
}

/* From behind the opening quote. */
static bool string_check(struct check *check)
{
	for (;;) {
		check->at = plain_skip(check->at, check->end);
		if (take(check, '"'))
			return true;
		if (take(check, '\\')) {
			if (!escape_check(check))
				return false;
		} else if (check->bounds.any_bytes && sees(check, 0x80, 0xff)) {
			check->at++;
		} else if (sees(check, 0x80, 0xff)) {
			if (!utf8_check(check))
				return false;
		} else {
			return wrong(check, "unescaped control character");
		}
	}
}

static const char *plain_skip(const char *at, const char *end)
{
	for (; end - at >= 8; at += 8) {
		uint64_t word;
		memcpy(&word, at, sizeof(word));
		uint64_t below_space = (word - JSON_WORD_OF(0x20)) & ~word;
		uint64_t found = ((below_space | word) & JSON_WORD_TOPS) |
			json_word_has(word, '"') | json_word_has(word, '\\');
		if (found)
			return at + __builtin_ctzll(found) / 8;
	}
	while (at < end && plain[(uint8_t)*at])
		at++;
	return at;
}

/* From behind the backslash. */
static bool escape_check(struct check *check)
{
	if (take(check, 'u'))
		return hex_check(check);
	if (check->at == check->end || *check->at == '\0' || !strchr("\"\\/bfnrt", *check->at))
		return wrong(check, "unknown escape");
	check->at++;
	return true;
}

static bool hex_check(struct check *check)
{
	for (unsigned count = 4; count > 0; count--) {
		if (!sees(check, '0', '9') && !sees(check, 'a', 'f') && !sees(check, 'A', 'F'))
			return wrong(check, "expected a hexadecimal digit");
		check->at++;
	}
	return true;
}

/* One character of several bytes; what the second byte may be depends on the first. */
static bool utf8_check(struct check *check)
{
	static const struct {
		uint8_t first_low, first_high, second_low, second_high, more;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 0 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 1 },
		{ 0xe1, 0xec, 0x80, 0xbf, 1 },
		{ 0xed, 0xed, 0x80, 0x9f, 1 },
		{ 0xee, 0xef, 0x80, 0xbf, 1 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 2 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 2 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 2 },
	};
	size_t i = 0, count = sizeof(forms) / sizeof(forms[0]);
	while (i < count && !sees(check, forms[i].first_low, forms[i].first_high))
		i++;
	if (i == count)
		return wrong(check, "invalid UTF-8");
	check->at++;
	if (!sees(check, forms[i].second_low, forms[i].second_high))
		return wrong(check, "invalid UTF-8");
	check->at++;
	for (unsigned more = forms[i].more; more > 0; more--) {
		if (!sees(check, 0x80, 0xbf))
			return wrong(check, "invalid UTF-8");
		check->at++;
	}
	return true;
}

static bool number_check(struct check *check)
{
	take(check, '-');
	if (!take(check, '0') && !digits_check(check))
		return false;
	if (take(check, '.') && !digits_check(check))
		return false;
	if (!take(check, 'e') && !take(check, 'E'))
		return true;
	if (!take(check, '+'))
		take(check, '-');
	return digits_check(check);
}

static bool digits_check(struct check *check)
{
	if (!sees(check, '0', '9'))
		return wrong(check, "expected a digit");
	while (sees(check, '0', '9'))
		check->at++;
	return true;
}

static bool word_check(struct check *check, const char *word)
{
	for (; *word; word++) {
		if (!take(check, *word))
			return wrong(check, "expected true, false or null");
	}
	return true;
}

static bool take(struct check *check, char c)
{
	if (check->at == check->end || *check->at != c)
		return false;
	check->at++;
	return true;
}

static bool sees(const struct check *check, uint8_t low, uint8_t high)
{
	return check->at < check->end && (uint8_t)*check->at >= low && (uint8_t)*check->at <= high;
}

static bool wrong(struct check *check, const char *why)
{
	check->why = check->at < check->end ? why : "the text ends too early";
	return false;
}
