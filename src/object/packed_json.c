/*
 * packed_json: JSON read into packed bytes.
 *
 *   text -> json_check_bytes -> json_read, an item at a time -> packed bytes
 *
 * What is JSON is json_check_bytes' to say: strings keep bytes that are not UTF-8, where a browser
 * would put U+FFFD, which is what they become when they are written again. json_read tells of each
 * array and object how much is in it, which is what a packed table begins with, so nothing is moved
 * or held but what it counted.
 *
 * An integer beyond 64 bits is a float, as the same digits would be in Lua, and a number beyond
 * floats is an infinity, as in JavaScript; who wants neither asks for text.
 *
 * Recursion is bounded by LIMIT_PACKED_DEPTH. No state; any thread.
 */
#include "object/packed.h"

#include "base/number.h"
#include "holdfast/limits.h"
#include "json/json.h"
#include "json/json_read.h"

#include <assert.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGITS_MAX 40 /* of a number that is compared with its float; a longer one loses some */

struct reading {
	struct json_reader reader;
	const struct packed_json_options *options;
	struct buffer *out;
	struct buffer scratch;
};

static bool value_add(struct reading *reading, const struct json_item *item, unsigned depth);
static bool array_add(struct reading *reading, const struct json_item *array, unsigned depth);
static bool object_add(struct reading *reading, const struct json_item *object, unsigned depth);
static void number_add(struct reading *reading, struct slice text);
static bool is_integer(struct slice text);
static bool keeps_digits(double number, struct slice text);
static size_t digits_take(struct slice text, char out[DIGITS_MAX]);

int packed_from_json(struct slice text, const struct packed_json_options *options,
	struct buffer *out, char *error, size_t error_size)
{
	static const struct packed_json_options none;
	struct json_error wrong;
	if (text.size > LIMIT_JSON_BYTES) {
		snprintf(error, error_size, "longer than %zu bytes", LIMIT_JSON_BYTES);
		return -EINVAL;
	}
	if (!json_check_bytes(text, &wrong)) {
		snprintf(error, error_size, "%s at byte %zu", wrong.why, wrong.position);
		return -EINVAL;
	}
	struct reading reading = { .options = options ? options : &none, .out = out };
	struct json_item item;
	size_t start = out->size;
	json_reader_init(&reading.reader, text);
	bool read = json_read(&reading.reader, &item);
	assert(read);
	bool added = value_add(&reading, &item, 0);
	json_reader_fini(&reading.reader);
	buffer_fini(&reading.scratch);
	if (added)
		return 0;
	out->size = start;
	snprintf(error, error_size, "nested deeper than %d", LIMIT_PACKED_DEPTH);
	return -EINVAL;
}

/* The item lies within `depth` others. False when it nests too deeply. */
static bool value_add(struct reading *reading, const struct json_item *item, unsigned depth)
{
	struct buffer *out = reading->out;
	switch (item->kind) {
	case JSON_ITEM_NULL:
		if (reading->options->null_as_nil)
			packed_add_nil(out);
		else
			packed_add_null(out);
		return true;
	case JSON_ITEM_FALSE:
	case JSON_ITEM_TRUE:
		packed_add_boolean(out, item->kind == JSON_ITEM_TRUE);
		return true;
	case JSON_ITEM_NUMBER:
		number_add(reading, item->text);
		return true;
	case JSON_ITEM_STRING:
	case JSON_ITEM_NAME:
		packed_add_string(out, json_item_text(item, &reading->scratch));
		return true;
	case JSON_ITEM_ARRAY:
		return depth < LIMIT_PACKED_DEPTH && array_add(reading, item, depth + 1);
	case JSON_ITEM_OBJECT:
		return depth < LIMIT_PACKED_DEPTH && object_add(reading, item, depth + 1);
	}
	return false;
}

static bool next_add(struct reading *reading, unsigned depth)
{
	struct json_item item;
	bool read = json_read(&reading->reader, &item);
	assert(read);
	return value_add(reading, &item, depth);
}

static bool array_add(struct reading *reading, const struct json_item *array, unsigned depth)
{
	packed_add_table(reading->out, array->count, 0);
	for (uint32_t i = 0; i < array->count; i++) {
		if (!next_add(reading, depth))
			return false;
	}
	return true;
}

static bool object_add(struct reading *reading, const struct json_item *object, unsigned depth)
{
	packed_add_object(reading->out, 0, object->count);
	/* Names and values by turns. */
	for (uint64_t i = 0; i < 2 * (uint64_t)object->count; i++) {
		if (!next_add(reading, depth))
			return false;
	}
	return true;
}

static void number_add(struct reading *reading, struct slice text)
{
	struct buffer *scratch = &reading->scratch;
	bool whole = is_integer(text);
	int64_t integer;
	if (whole && slice_equal(text, slice_text("-0")))
		text = slice_of("0", 1);
	if (whole && number_parse_i64(text, &integer)) {
		packed_add_integer(reading->out, integer);
		return;
	}
	scratch->size = 0;
	buffer_append(scratch, text.data, text.size);
	buffer_append(scratch, "", 1);
	double number = strtod(scratch->data, NULL);
	bool loses = whole || isinf(number) || !keeps_digits(number, text);
	if (loses && reading->options->big_numbers_as_text)
		packed_add_string(reading->out, text);
	else
		packed_add_float(reading->out, number);
}

static bool is_integer(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '.' || text.data[i] == 'e' || text.data[i] == 'E')
			return false;
	}
	return true;
}

/* Whether a float of this value, written with as many digits, has those of the text. */
static bool keeps_digits(double number, struct slice text)
{
	char given[DIGITS_MAX], kept[DIGITS_MAX + 16], kept_digits[DIGITS_MAX];
	size_t count = digits_take(text, given);
	if (count <= DBL_DIG)
		return true;
	if (count > DIGITS_MAX)
		return false;
	int size = snprintf(kept, sizeof(kept), "%.*e", (int)count - 1, number);
	size_t kept_count = digits_take(slice_of(kept, (size_t)size), kept_digits);
	return kept_count == count && memcmp(kept_digits, given, count) == 0;
}

/* The digits before the exponent from the first to the last that is not 0; their count, which may
 * be more than there is room for. */
static size_t digits_take(struct slice text, char out[DIGITS_MAX])
{
	size_t count = 0, taken = 0;
	for (size_t i = 0; i < text.size && text.data[i] != 'e' && text.data[i] != 'E'; i++) {
		char digit = text.data[i];
		if (digit < '0' || digit > '9' || (digit == '0' && taken == 0))
			continue;
		if (taken < DIGITS_MAX)
			out[taken] = digit;
		taken++;
		if (digit != '0')
			count = taken;
	}
	return count;
}
