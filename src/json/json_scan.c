/*
 * json_scan: steps over accepted text. What stands in the grammar is known to be there, so stepping
 * over a string looks for quotes and backslashes only, and stepping over an array or object for
 * strings and brackets.
 *
 * Strings go by words of eight bytes: most of a text is strings, and most of those have no escape.
 *
 * No state; any thread.
 */
#include "json/json_private.h"

enum mark { MARK_NONE, MARK_QUOTE, MARK_OPEN, MARK_CLOSE };

static const uint8_t marks[256] = {
	['"'] = MARK_QUOTE,
	['['] = MARK_OPEN,
	['{'] = MARK_OPEN,
	[']'] = MARK_CLOSE,
	['}'] = MARK_CLOSE,
};

static const char *nested_skip(const char *at, const char *end);
static bool is_scalar(char c);
static uint32_t code_take(struct slice *string);
static uint32_t hex_take(struct slice *string);
static size_t utf8_write(uint32_t code, char out[4]);
static void front_drop(struct slice *string, size_t count);

const char *json_string_skip(const char *at, const char *end, bool *escaped)
{
	*escaped = false;
	at++;
	for (;;) {
		while (end - at >= 8) {
			uint64_t word;
			memcpy(&word, at, sizeof(word));
			uint64_t found = json_word_has(word, '"') | json_word_has(word, '\\');
			if (found) {
				at += __builtin_ctzll(found) / 8;
				break;
			}
			at += 8;
		}
		while (at < end && *at != '"' && *at != '\\')
			at++;
		assert(at < end);
		if (*at == '"')
			return at + 1;
		*escaped = true;
		assert(end - at >= 2);
		at += 2;
	}
}

const char *json_value_skip(const char *at, const char *end)
{
	bool escaped;
	assert(at < end);
	if (*at == '"')
		return json_string_skip(at, end, &escaped);
	if (marks[(uint8_t)*at] == MARK_OPEN)
		return nested_skip(at, end);
	while (at < end && is_scalar(*at))
		at++;
	return at;
}

const char *json_name_skip(const char *at, const char *end, struct slice *name, bool *escaped)
{
	assert(at < end);
	assert(*at == '"');
	const char *behind = json_string_skip(at, end, escaped);
	*name = slice_of(at + 1, (size_t)(behind - at) - 2);
	at = json_space_skip(behind, end);
	assert(at < end);
	assert(*at == ':');
	at = json_space_skip(at + 1, end);
	assert(at < end);
	return at;
}

size_t json_unescape(struct slice *string, char out[4])
{
	assert(string->size > 0);
	out[0] = string->data[0];
	front_drop(string, 1);
	if (out[0] != '\\')
		return 1;
	assert(string->size > 0);
	char escape = string->data[0];
	front_drop(string, 1);
	if (escape == 'u')
		return utf8_write(code_take(string), out);
	static const char stands_for[] = "b\bf\fn\nr\rt\t";
	const char *found = strchr(stands_for, escape);
	out[0] = found ? found[1] : escape;
	return 1;
}

static const char *nested_skip(const char *at, const char *end)
{
	size_t depth = 0;
	bool escaped;
	do {
		assert(at < end);
		switch ((enum mark)marks[(uint8_t)*at]) {
		case MARK_QUOTE:
			at = json_string_skip(at, end, &escaped);
			break;
		case MARK_OPEN:
			depth++;
			at++;
			break;
		case MARK_CLOSE:
			depth--;
			at++;
			break;
		case MARK_NONE:
			at++;
		}
	} while (depth > 0);
	return at;
}

/* Of a number or word. */
static bool is_scalar(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' || c == '-' ||
		c == '+' || c == '.';
}

/* From behind the `u`. */
static uint32_t code_take(struct slice *string)
{
	uint32_t code = hex_take(string);
	if (code < 0xd800 || code > 0xdbff || string->size < 6 || string->data[0] != '\\' ||
		string->data[1] != 'u')
		return code;
	struct slice behind = *string;
	front_drop(&behind, 2);
	uint32_t low = hex_take(&behind);
	if (low < 0xdc00 || low > 0xdfff)
		return code;
	*string = behind;
	return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

static uint32_t hex_take(struct slice *string)
{
	uint32_t code = 0;
	assert(string->size >= 4);
	for (size_t i = 0; i < 4; i++) {
		uint32_t c = (uint8_t)string->data[i];
		code = code << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	front_drop(string, 4);
	return code;
}

static size_t utf8_write(uint32_t code, char out[4])
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const uint8_t first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (size_t i = size - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)(first[size] | code);
	return size;
}

static void front_drop(struct slice *string, size_t count)
{
	assert(count <= string->size);
	*string = slice_of(string->data + count, string->size - count);
}
