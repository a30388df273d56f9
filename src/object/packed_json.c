/*
 * packed_json: JSON read into packed bytes. jansson parses, and this file turns its values into
 * packed ones.
 *
 *   text -> json_loadb -> value_add (depth bounded) -> packed bytes
 *
 * jansson's values stand in memory all at once: what that may cost is why LIMIT_JSON_BYTES is what
 * it is. It takes \u0000 in strings, but not in the keys of objects. It overlooks a zero byte
 * behind a number, so those are looked for first: JSON has none.
 *
 * jansson refuses integers beyond 64 bits, which JSON has and services send. When it does, such
 * integers are given a ".0" in a copy of the text, and it is asked again: they become floats, as
 * the same digits would in Lua.
 *
 * No state; any thread.
 */
#include "object/packed.h"

#include "base/number.h"
#include "holdfast/limits.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#define WIDE_DIGITS 19 /* an integer of fewer digits fits into 64 bits */

static json_t *json_parse(struct slice text, json_error_t *error);
static void wide_integers_mark(struct slice text, struct buffer *out);
static size_t string_size(struct slice text);
static size_t number_size(struct slice text);
static bool is_wide_integer(struct slice text);
static bool value_add(json_t *json, unsigned depth, struct buffer *out);
static bool array_add(json_t *array, unsigned depth, struct buffer *out);
static bool object_add(json_t *object, unsigned depth, struct buffer *out);

int packed_from_json(struct slice text, struct buffer *out, char *error, size_t error_size)
{
	if (text.size > LIMIT_JSON_BYTES) {
		snprintf(error, error_size, "longer than %zu bytes", LIMIT_JSON_BYTES);
		return -EINVAL;
	}
	const char *zero = text.size > 0 ? memchr(text.data, '\0', text.size) : NULL;
	if (zero) {
		snprintf(error, error_size, "zero byte at byte %zu", (size_t)(zero - text.data));
		return -EINVAL;
	}
	json_error_t wrong;
	json_t *json = json_parse(text, &wrong);
	if (json == NULL && json_error_code(&wrong) == json_error_numeric_overflow) {
		struct buffer marked;
		buffer_init(&marked);
		wide_integers_mark(text, &marked);
		json = json_parse(buffer_slice(&marked), &wrong);
		buffer_fini(&marked);
	}
	if (json == NULL) {
		snprintf(error, error_size, "%s at byte %d", wrong.text, wrong.position);
		return -EINVAL;
	}
	size_t start = out->size;
	bool added = value_add(json, 0, out);
	json_decref(json);
	if (added)
		return 0;
	out->size = start;
	snprintf(error, error_size, "nested deeper than %d", LIMIT_PACKED_DEPTH);
	return -EINVAL;
}

static json_t *json_parse(struct slice text, json_error_t *error)
{
	const char *data = text.size > 0 ? text.data : "";
	return json_loadb(data, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, error);
}

/* Copies the text with ".0" behind every integer beyond 64 bits. */
static void wide_integers_mark(struct slice text, struct buffer *out)
{
	while (text.size > 0) {
		bool is_number = isdigit((unsigned char)text.data[0]) || text.data[0] == '-';
		size_t size = 1;
		if (text.data[0] == '"')
			size = string_size(text);
		else if (is_number)
			size = number_size(text);
		buffer_append(out, text.data, size);
		if (is_number && is_wide_integer(slice_of(text.data, size)))
			buffer_append(out, ".0", 2);
		text = slice_of(text.data + size, text.size - size);
	}
}

/* Bytes of the string at the front, quotes included; to the end when it is not closed. */
static size_t string_size(struct slice text)
{
	for (size_t i = 1; i < text.size; i++) {
		if (text.data[i] == '"')
			return i + 1;
		if (text.data[i] == '\\')
			i++;
	}
	return text.size;
}

static size_t number_size(struct slice text)
{
	size_t size = 1;
	while (size < text.size && text.data[size] && strchr("0123456789+-.eE", text.data[size]))
		size++;
	return size;
}

static bool is_wide_integer(struct slice text)
{
	int64_t number;
	size_t sign = text.data[0] == '-';
	for (size_t i = sign; i < text.size; i++) {
		if (!isdigit((unsigned char)text.data[i]))
			return false;
	}
	return text.size - sign >= WIDE_DIGITS && !number_parse_i64(text, &number);
}

/* `json` lies within `depth` others. False when it nests too deeply. */
static bool value_add(json_t *json, unsigned depth, struct buffer *out)
{
	switch (json_typeof(json)) {
	case JSON_NULL:
		packed_add_nil(out);
		return true;
	case JSON_FALSE:
	case JSON_TRUE:
		packed_add_boolean(out, json_is_true(json));
		return true;
	case JSON_INTEGER:
		packed_add_integer(out, json_integer_value(json));
		return true;
	case JSON_REAL:
		packed_add_float(out, json_real_value(json));
		return true;
	case JSON_STRING:
		packed_add_string(out, slice_of(json_string_value(json), json_string_length(json)));
		return true;
	case JSON_ARRAY:
		return depth < LIMIT_PACKED_DEPTH && array_add(json, depth + 1, out);
	case JSON_OBJECT:
		return depth < LIMIT_PACKED_DEPTH && object_add(json, depth + 1, out);
	}
	return false;
}

static bool array_add(json_t *array, unsigned depth, struct buffer *out)
{
	size_t count = json_array_size(array);
	packed_add_table(out, count, 0);
	for (size_t i = 0; i < count; i++) {
		if (!value_add(json_array_get(array, i), depth, out))
			return false;
	}
	return true;
}

static bool object_add(json_t *object, unsigned depth, struct buffer *out)
{
	uint64_t pairs = 0;
	void *at;
	for (at = json_object_iter(object); at; at = json_object_iter_next(object, at))
		pairs += !json_is_null(json_object_iter_value(at));
	packed_add_table(out, 0, pairs);
	for (at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
		json_t *value = json_object_iter_value(at);
		if (json_is_null(value))
			continue;
		packed_add_string(
			out, slice_of(json_object_iter_key(at), json_object_iter_key_len(at)));
		if (!value_add(value, depth, out))
			return false;
	}
	return true;
}
