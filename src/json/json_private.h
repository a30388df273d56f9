/*
 * json_private: steps over JSON text that json_check has accepted, and the merge with its counts.
 *
 * A step takes where it stands and the text's end, and gives what is behind. Text that was not
 * accepted ends in an assert, not beyond its end.
 */
#ifndef JSON_PRIVATE_H
#define JSON_PRIVATE_H

#include "base/buffer.h"
#include "base/slice.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a word's lowest byte comes first");

#define JSON_WORD_OF(byte) (UINT64_MAX / 255 * (byte))
#define JSON_WORD_TOPS     JSON_WORD_OF(0x80)

/* The top bit of each byte of `word` that is `byte`; above the lowest such, perhaps of others. */
static inline uint64_t json_word_has(uint64_t word, uint8_t byte)
{
	word ^= JSON_WORD_OF(byte);
	return (word - JSON_WORD_OF(1)) & ~word & JSON_WORD_TOPS;
}

static inline bool json_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *json_space_skip(const char *at, const char *end)
{
	while (at < end && json_is_space(*at))
		at++;
	return at;
}

#define JSON_BYTE_ORDER_MARK "\xef\xbb\xbf"

/* The value's first byte, behind what may stand before it. */
static inline const char *json_text_begin(struct slice text)
{
	size_t mark = sizeof(JSON_BYTE_ORDER_MARK) - 1;
	bool marked = text.size >= mark && memcmp(text.data, JSON_BYTE_ORDER_MARK, mark) == 0;
	return json_space_skip(text.data + (marked ? mark : 0), text.data + text.size);
}

/* From the opening quote to behind the closing one. `escaped`: whether there is an escape in it. */
const char *json_string_skip(const char *at, const char *end, bool *escaped);

/* From a value's first byte. */
const char *json_value_skip(const char *at, const char *end);

/* From a name's opening quote to its value's first byte; `name` is what the quotes hold. */
const char *json_name_skip(const char *at, const char *end, struct slice *name, bool *escaped);

/* From behind `{`, `[` or `,` to the first byte of the next member or element; false, at the
 * closing bracket, when there is none. */
static inline bool json_entry_begin(const char **at, const char *end)
{
	*at = json_space_skip(*at, end);
	assert(*at < end);
	return **at != '}' && **at != ']';
}

/* From behind a member or element to behind the comma; false, behind the closing bracket, when it
 * was the last. */
static inline bool json_entry_end(const char **at, const char *end)
{
	*at = json_space_skip(*at, end);
	assert(*at < end);
	return *(*at)++ == ',';
}

/* The bytes that the character or escape at the front of `string` stands for, which it takes; for a
 * character of several bytes written as it is, the first. Two escapes that are a surrogate pair are
 * one character; one alone is three bytes, as if UTF-8 had surrogates. */
size_t json_unescape(struct slice *string, char out[4]);

/* What a merge cost. Both are bounded by the sizes of its texts (the second, times the logarithm of
 * the patch's members), however they are made. */
struct json_work {
	uint64_t bytes_scanned;
	uint64_t names_compared;
};

/* `deep`: by RFC 7396, else json_merge_fields. */
struct json_work json_merge(struct slice base, struct slice patch, bool deep, struct buffer *out);

#endif
