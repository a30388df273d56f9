/*
 * packed: the bytes themselves: adding items, taking them, checking a whole value. The format is in
 * include/holdfast/object_format.h; how values look from outside is packed_text.c (JSON, replies)
 * and packed_json.c (JSON read).
 *
 * Taking trusts nothing: a size must lie within the rest, and so must a table's parts at one byte
 * each, so that no count leads to more memory than the bytes warrant. Everything has exactly one
 * spelling; a varint that could be shorter is damage.
 *
 * No state; a buffer's owner's thread.
 */
#include "object/packed.h"

#include "holdfast/limits.h"
#include "holdfast/object_format.h"

#include <assert.h>
#include <math.h>

static_assert(PACKED_NIL == OBJECT_FORMAT_NIL, "a kind is its tag");
static_assert(PACKED_FALSE == OBJECT_FORMAT_FALSE, "a kind is its tag");
static_assert(PACKED_TRUE == OBJECT_FORMAT_TRUE, "a kind is its tag");
static_assert(PACKED_INTEGER == OBJECT_FORMAT_INTEGER, "a kind is its tag");
static_assert(PACKED_FLOAT == OBJECT_FORMAT_FLOAT, "a kind is its tag");
static_assert(PACKED_STRING == OBJECT_FORMAT_STRING, "a kind is its tag");
static_assert(PACKED_TABLE == OBJECT_FORMAT_TABLE, "a kind is its tag");
static_assert(PACKED_OBJECT == OBJECT_FORMAT_OBJECT, "a kind is its tag");
static_assert(PACKED_NULL == OBJECT_FORMAT_NULL, "a kind is its tag");
static_assert(sizeof(double) == OBJECT_FORMAT_FLOAT_BYTES, "binary64");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are copied as they are");

static void tag_add(struct buffer *out, enum packed_kind kind);
static void varint_add(struct buffer *out, uint64_t value);
static bool varint_take(struct slice *rest, uint64_t *out);
static bool bytes_take(struct slice *rest, uint64_t size, struct slice *out);
static bool body_take(struct slice *rest, struct packed_item *out);
static bool is_table(const struct packed_item *item);
static bool value_is_whole(struct slice *rest, unsigned depth);
static bool key_is_whole(struct slice *rest);

void packed_add_nil(struct buffer *out)
{
	tag_add(out, PACKED_NIL);
}

void packed_add_null(struct buffer *out)
{
	tag_add(out, PACKED_NULL);
}

void packed_add_boolean(struct buffer *out, bool value)
{
	tag_add(out, value ? PACKED_TRUE : PACKED_FALSE);
}

void packed_add_integer(struct buffer *out, int64_t value)
{
	tag_add(out, PACKED_INTEGER);
	varint_add(out, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

void packed_add_float(struct buffer *out, double value)
{
	tag_add(out, PACKED_FLOAT);
	buffer_append(out, &value, sizeof(value));
}

void packed_add_string(struct buffer *out, struct slice bytes)
{
	tag_add(out, PACKED_STRING);
	varint_add(out, bytes.size);
	buffer_append(out, bytes.data, bytes.size);
}

void packed_add_table(struct buffer *out, uint64_t items, uint64_t pairs)
{
	tag_add(out, PACKED_TABLE);
	varint_add(out, items);
	varint_add(out, pairs);
}

void packed_add_object(struct buffer *out, uint64_t items, uint64_t pairs)
{
	tag_add(out, PACKED_OBJECT);
	varint_add(out, items);
	varint_add(out, pairs);
}

bool packed_take(struct slice *rest, struct packed_item *out)
{
	struct slice left = *rest, tag;
	*out = (struct packed_item){ 0 };
	if (!bytes_take(&left, 1, &tag) || (uint8_t)tag.data[0] > PACKED_NULL)
		return false;
	out->kind = (enum packed_kind)tag.data[0];
	if (!body_take(&left, out))
		return false;
	*rest = left;
	return true;
}

bool packed_is_whole(struct slice packed)
{
	return value_is_whole(&packed, 0) && packed.size == 0;
}

static void tag_add(struct buffer *out, enum packed_kind kind)
{
	char tag = (char)kind;
	buffer_append(out, &tag, 1);
}

static void varint_add(struct buffer *out, uint64_t value)
{
	char *at = buffer_reserve(out, OBJECT_FORMAT_VARINT_BYTES_MAX);
	size_t size = 0;
	for (; value >= 0x80; value >>= 7)
		at[size++] = (char)(value | 0x80);
	at[size++] = (char)value;
	out->size += size;
}

static bool varint_take(struct slice *rest, uint64_t *out)
{
	uint64_t value = 0;
	for (size_t i = 0; i < rest->size && i < OBJECT_FORMAT_VARINT_BYTES_MAX; i++) {
		uint8_t byte = (uint8_t)rest->data[i];
		bool overflows = i == OBJECT_FORMAT_VARINT_BYTES_MAX - 1 && byte > 1;
		bool too_long = i > 0 && byte == 0;
		if (overflows || too_long)
			return false;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*out = value;
			*rest = slice_of(rest->data + i + 1, rest->size - i - 1);
			return true;
		}
	}
	return false;
}

static bool bytes_take(struct slice *rest, uint64_t size, struct slice *out)
{
	if (size > rest->size)
		return false;
	*out = slice_of(rest->data, (size_t)size);
	*rest = slice_of(rest->data + size, rest->size - (size_t)size);
	return true;
}

/* What follows the tag. */
static bool body_take(struct slice *rest, struct packed_item *out)
{
	uint64_t number;
	struct slice bytes;
	switch (out->kind) {
	case PACKED_NIL:
	case PACKED_FALSE:
	case PACKED_TRUE:
	case PACKED_NULL:
		return true;
	case PACKED_INTEGER:
		if (!varint_take(rest, &number))
			return false;
		out->integer = (int64_t)((number >> 1) ^ (0 - (number & 1)));
		return true;
	case PACKED_FLOAT:
		if (!bytes_take(rest, OBJECT_FORMAT_FLOAT_BYTES, &bytes))
			return false;
		memcpy(&out->number, bytes.data, sizeof(out->number));
		return true;
	case PACKED_STRING:
		return varint_take(rest, &number) && bytes_take(rest, number, &out->bytes);
	case PACKED_TABLE:
	case PACKED_OBJECT:
		return varint_take(rest, &out->items) && varint_take(rest, &out->pairs) &&
			out->items <= rest->size && out->pairs <= (rest->size - out->items) / 2;
	}
	return false;
}

static bool is_table(const struct packed_item *item)
{
	return item->kind == PACKED_TABLE || item->kind == PACKED_OBJECT;
}

/* Takes one value that lies within `depth` tables. */
static bool value_is_whole(struct slice *rest, unsigned depth)
{
	struct packed_item item;
	if (!packed_take(rest, &item))
		return false;
	if (!is_table(&item))
		return true;
	if (depth == LIMIT_PACKED_DEPTH)
		return false;
	for (uint64_t i = 0; i < item.items; i++) {
		if (!value_is_whole(rest, depth + 1))
			return false;
	}
	for (uint64_t i = 0; i < item.pairs; i++) {
		if (!key_is_whole(rest) || !value_is_whole(rest, depth + 1))
			return false;
	}
	return true;
}

static bool key_is_whole(struct slice *rest)
{
	struct packed_item key;
	if (!packed_take(rest, &key) || key.kind == PACKED_NIL || key.kind == PACKED_NULL ||
		is_table(&key))
		return false;
	return key.kind != PACKED_FLOAT || !isnan(key.number);
}
