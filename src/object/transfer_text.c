/*
 * transfer_text: see transfer_text.h. Writing goes straight from the packed bytes into the text;
 * reading goes over jansson's tree. What JSON has is written as JSON has it; the rest (bytes that
 * are not UTF-8, numbers that are no numbers, tables that are no arrays) stands in an object with
 * one of a few fixed names, which therefore never stands for data of its own.
 *
 * What is UTF-8 is RFC 3629's to say, as with jansson, so that whatever was written can be read.
 * What others have written and jansson does not hold is rewritten first, by what src/json takes.
 *
 * No state; depth is bounded: a packed value's by LIMIT_PACKED_DEPTH, a text's by jansson (2,048).
 */
#include "object/transfer_text.h"

#include "object/packed.h"
#include "json/json_read.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* jansson's macro; src/json has a function of the name. */
#undef json_is_object
#include "json/json.h"

static struct packed_item take(struct slice *rest);
static void rewrite(struct buffer *out, struct slice text);
static bool write_item(struct buffer *out, struct slice *rest, size_t most);
static void write_float(struct buffer *out, double value);
static bool write_table(
	struct buffer *out, const struct packed_item *table, struct slice *rest, size_t most);
static void write_base64(struct buffer *out, struct slice bytes);
static bool read_item(
	const json_t *json, struct arena *arena, struct buffer *out, const char **why);
static bool read_object(
	const json_t *json, struct arena *arena, struct buffer *out, const char **why);
static bool read_base64(
	const json_t *json, struct arena *arena, struct slice *out, const char **why);

static const struct special_float {
	const char *name;
	double value;
} special_floats[] = { { "inf", INFINITY }, { "-inf", -INFINITY }, { "nan", NAN },
	{ "-nan", -NAN } };

#define SPECIAL_FLOATS (sizeof(special_floats) / sizeof(special_floats[0]))

static double number_of(struct slice text, struct buffer *scratch)
{
	scratch->size = 0;
	buffer_append(scratch, text.data, text.size);
	buffer_append(scratch, "", 1);
	return strtod(scratch->data, NULL);
}

bool transfer_write_string(struct buffer *out, struct slice bytes, size_t most)
{
	if (bytes.size > most)
		return false;
	if (packed_is_utf8(bytes))
		packed_string_to_json(bytes, out, most);
	else
		write_base64(out, bytes);
	return out->size <= most;
}

bool transfer_write_packed(struct buffer *out, struct slice packed, size_t most)
{
	return write_item(out, &packed, most);
}

bool transfer_write_value(struct buffer *out, const struct value *value, size_t most)
{
	if (value->type == VALUE_BYTES)
		return transfer_write_string(out, value->data, most);
	return transfer_write_packed(out, value->data, most);
}

json_t *transfer_parse(struct slice text, json_error_t *error)
{
	const size_t flags = JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
	json_t *json = json_loadb(text.data, text.size, flags, error);
	if (json || !json_check(text, NULL))
		return json;
	struct buffer rewritten;
	buffer_init(&rewritten);
	rewrite(&rewritten, text);
	json = json_loadb(rewritten.data, rewritten.size, flags, error);
	buffer_fini(&rewritten);
	return json;
}

/* The same text without mark and white space around it, with strings that have half a surrogate
 * pair and numbers beyond floats as objects of this format. What stands as it is, is copied up to
 * the next item that does not. */
static void rewrite(struct buffer *out, struct slice text)
{
	struct json_reader reader;
	struct json_item item;
	struct buffer scratch;
	const char *copied = NULL, *behind = NULL, *end = text.data + text.size;
	buffer_init(&scratch);
	json_reader_init(&reader, text);
	while (json_read(&reader, &item)) {
		const char *start = reader.at - 1;
		bool is_string = item.kind == JSON_ITEM_STRING;
		if (item.text.data)
			start = item.text.data - is_string - (item.kind == JSON_ITEM_NAME);
		if (copied == NULL)
			copied = start;
		behind = item.text.data ? item.text.data + item.text.size + is_string : reader.at;
		bool changes = is_string
			? item.escaped
			: item.kind == JSON_ITEM_NUMBER && isinf(number_of(item.text, &scratch));
		if (!changes)
			continue;
		buffer_append(out, copied, (size_t)(start - copied));
		copied = behind;
		if (is_string)
			transfer_write_string(out, json_item_text(&item, &scratch), SIZE_MAX);
		else
			write_float(out, number_of(item.text, &scratch));
	}
	/* Behind the last item something may close; white space of all kinds may follow. */
	while (end > behind && end[-1] != '}' && end[-1] != ']')
		end--;
	if (copied)
		buffer_append(out, copied, (size_t)(end - copied));
	json_reader_fini(&reader);
	buffer_fini(&scratch);
}

bool transfer_read_string(
	const json_t *json, struct arena *arena, struct slice *out, const char **why)
{
	if (json_is_string(json)) {
		struct slice text = slice_of(json_string_value(json), json_string_length(json));
		*out = arena_copy(arena, text);
		return true;
	}
	const json_t *base64 = json_object_get(json, "base64");
	if (base64 && json_object_size(json) == 1)
		return read_base64(base64, arena, out, why);
	*why = "is neither a string nor {\"base64\": ...}";
	return false;
}

bool transfer_read_packed(
	const json_t *json, struct arena *arena, struct slice *out, const char **why)
{
	struct buffer packed;
	buffer_init(&packed);
	bool good = read_item(json, arena, &packed, why);
	if (good && !packed_is_whole(buffer_slice(&packed))) {
		*why = "has a key that no table can have, or tables more than 64 deep";
		good = false;
	}
	if (good)
		*out = arena_copy(arena, buffer_slice(&packed));
	buffer_fini(&packed);
	return good;
}

bool transfer_read_value(
	const json_t *json, struct arena *arena, struct value *out, const char **why)
{
	*out = (struct value){ .type = VALUE_PACKED };
	if (json_is_string(json) || json_object_get(json, "base64")) {
		out->type = VALUE_BYTES;
		return transfer_read_string(json, arena, &out->data, why);
	}
	return transfer_read_packed(json, arena, &out->data, why);
}

/* Stored values are whole: storage.c has looked. */
static struct packed_item take(struct slice *rest)
{
	struct packed_item item;
	bool taken = packed_take(rest, &item);
	assert(taken);
	return item;
}

static void write_float(struct buffer *out, double value)
{
	for (size_t i = 0; i < SPECIAL_FLOATS; i++) {
		const struct special_float *special = &special_floats[i];
		bool same = isnan(special->value) ? isnan(value) : special->value == value;
		if (!same || signbit(special->value) != signbit(value))
			continue;
		buffer_format(out, "{\"float\":\"%s\"}", special->name);
		return;
	}
	assert(isfinite(value));
	struct buffer packed;
	buffer_init(&packed);
	packed_add_float(&packed, value);
	packed_to_json(buffer_slice(&packed), out);
	buffer_fini(&packed);
}

static bool write_item(struct buffer *out, struct slice *rest, size_t most)
{
	struct packed_item item = take(rest);
	switch (item.kind) {
	case PACKED_NIL:
	case PACKED_NULL:
		buffer_append_text(out, "null");
		break;
	case PACKED_FALSE:
		buffer_append_text(out, "false");
		break;
	case PACKED_TRUE:
		buffer_append_text(out, "true");
		break;
	case PACKED_INTEGER:
		buffer_format(out, "%lld", (long long)item.integer);
		break;
	case PACKED_FLOAT:
		write_float(out, item.number);
		break;
	case PACKED_STRING:
		return transfer_write_string(out, item.bytes, most);
	case PACKED_TABLE:
	case PACKED_OBJECT:
		return write_table(out, &item, rest, most);
	}
	return out->size <= most;
}

static bool write_items(struct buffer *out, uint64_t count, struct slice *rest, size_t most)
{
	buffer_append_text(out, "[");
	for (uint64_t i = 0; i < count; i++) {
		if (i > 0)
			buffer_append_text(out, ",");
		if (!write_item(out, rest, most))
			return false;
	}
	buffer_append_text(out, "]");
	return true;
}

static bool write_table(
	struct buffer *out, const struct packed_item *table, struct slice *rest, size_t most)
{
	bool is_object = table->kind == PACKED_OBJECT;
	if (table->pairs == 0 && !is_object)
		return write_items(out, table->items, rest, most);
	buffer_append_text(out, "{");
	if (table->items > 0) {
		buffer_append_text(out, "\"items\":");
		if (!write_items(out, table->items, rest, most))
			return false;
		buffer_append_text(out, ",");
	}
	buffer_append_text(out, is_object ? "\"object\":[" : "\"pairs\":[");
	for (uint64_t i = 0; i < table->pairs; i++) {
		if (i > 0)
			buffer_append_text(out, ",");
		if (!write_items(out, 2, rest, most))
			return false;
	}
	buffer_append_text(out, "]}");
	return true;
}

static void write_base64(struct buffer *out, struct slice bytes)
{
	buffer_append_text(out, "{\"base64\":\"");
	assert(bytes.size <= INT_MAX / 2);
	/* 4 characters for 3 bytes, and a terminator. */
	char *at = buffer_reserve(out, (bytes.size + 2) / 3 * 4 + 1);
	out->size += (size_t)EVP_EncodeBlock(
		(unsigned char *)at, (const unsigned char *)bytes.data, (int)bytes.size);
	buffer_append_text(out, "\"}");
}

static bool read_items(
	const json_t *array, struct arena *arena, struct buffer *out, const char **why)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		if (!read_item(json_array_get(array, i), arena, out, why))
			return false;
	return true;
}

static bool read_item(const json_t *json, struct arena *arena, struct buffer *out, const char **why)
{
	switch (json_typeof(json)) {
	case JSON_NULL:
		packed_add_null(out);
		return true;
	case JSON_TRUE:
	case JSON_FALSE:
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
		packed_add_table(out, json_array_size(json), 0);
		return read_items(json, arena, out, why);
	case JSON_OBJECT:
		break;
	}
	return read_object(json, arena, out, why);
}

static bool read_float(const json_t *json, struct buffer *out, const char **why)
{
	const char *name = json_string_value(json);
	for (size_t i = 0; name && i < SPECIAL_FLOATS; i++)
		if (strcmp(name, special_floats[i].name) == 0) {
			packed_add_float(out, special_floats[i].value);
			return true;
		}
	*why = "has a \"float\" that is not \"inf\", \"-inf\", \"nan\" or \"-nan\"";
	return false;
}

static bool read_table(
	const json_t *json, struct arena *arena, struct buffer *out, const char **why)
{
	const json_t *items = json_object_get(json, "items");
	const json_t *object = json_object_get(json, "object");
	const json_t *pairs = object ? object : json_object_get(json, "pairs");
	size_t fields = (items != NULL) + (pairs != NULL);
	if (json_object_size(json) != fields || !json_is_array(pairs) ||
		(items && !json_is_array(items))) {
		*why = "has an object that is not {\"base64\": ...}, {\"float\": ...} or "
		       "{\"items\": [...], \"pairs\" or \"object\": [...]}";
		return false;
	}
	if (object)
		packed_add_object(out, json_array_size(items), json_array_size(pairs));
	else
		packed_add_table(out, json_array_size(items), json_array_size(pairs));
	if (!read_items(items, arena, out, why))
		return false;
	for (size_t i = 0; i < json_array_size(pairs); i++) {
		const json_t *pair = json_array_get(pairs, i);
		if (!json_is_array(pair) || json_array_size(pair) != 2) {
			*why = object ? "has an \"object\" of what is not [key, value]"
				      : "has \"pairs\" that are not [key, value]";
			return false;
		}
		if (!read_items(pair, arena, out, why))
			return false;
	}
	return true;
}

static bool read_object(
	const json_t *json, struct arena *arena, struct buffer *out, const char **why)
{
	if (json_object_size(json) == 1 && json_object_get(json, "base64")) {
		struct slice bytes;
		if (!transfer_read_string(json, arena, &bytes, why))
			return false;
		packed_add_string(out, bytes);
		return true;
	}
	if (json_object_size(json) == 1 && json_object_get(json, "float"))
		return read_float(json_object_get(json, "float"), out, why);
	return read_table(json, arena, out, why);
}

/* OpenSSL's decoder overlooks blanks and stray bits: only text that encodes to itself is taken. */
static bool read_base64(
	const json_t *json, struct arena *arena, struct slice *out, const char **why)
{
	struct slice text = slice_of(json_string_value(json), json_string_length(json));
	*why = "has \"base64\" that is not base64 with padding";
	if (!json_is_string(json) || text.size % 4 != 0 || text.size > INT_MAX / 2)
		return false;
	size_t padding = 0;
	while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
		padding++;
	unsigned char *bytes = arena_alloc(arena, text.size / 4 * 3 + 1);
	int size = EVP_DecodeBlock(bytes, (const unsigned char *)text.data, (int)text.size);
	if (size < (int)padding)
		return false;
	*out = slice_of(bytes, (size_t)size - padding);
	struct buffer again;
	buffer_init(&again);
	write_base64(&again, *out);
	struct slice encoded = buffer_slice(&again);
	size_t front = strlen("{\"base64\":\"");
	bool same = encoded.size == front + text.size + 2 &&
		memcmp(encoded.data + front, text.data, text.size) == 0;
	buffer_fini(&again);
	return same;
}
