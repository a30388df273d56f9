/*
 * packed_text: packed values as others see them: JSON, replies, plain text.
 *
 * An object, or a table with pairs, becomes an object or a map, its keys as text in byte order. For
 * that the places of its parts are gathered in an arena and sorted; the arena is rewound when the
 * table is written, so what is held is one list for each table on the way down. Where tables end is
 * noted when they are passed for the first time, or each level would pass all that lies below it.
 * Keys that differ only in type (1 and "1") have the same text: both are written, nothing is
 * dropped.
 *
 * The bytes are packed_is_whole: they were checked or made by this program, and damage on disk is
 * nothing to go on with. Recursion is bounded by LIMIT_PACKED_DEPTH.
 *
 * No state; the thread of the buffer's owner.
 */
#include "object/packed.h"

#include "base/arena.h"
#include "base/number.h"
#include "holdfast/limits.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_CHUNK_BYTES 16384
#define FLOAT_TEXT_MAX    40 /* sign, 17 digits, point, exponent, ".0"; terminator */

#define PACE_UNITS   256
#define FLOAT_UNITS  50 /* to find its shortest digits */
#define PART_UNITS   8  /* to find it and to sort it */
#define UNIT_BYTES   16 /* of a string in JSON */
#define COPIED_BYTES 64 /* of one in a reply */

/* A table that is shorter is passed again each time: as often as tables nest within that. */
#define SPAN_BYTES 64

/* Where one part of a table is; the key as text. */
struct part {
	struct slice key;
	struct slice value;
};

/* A table in the packed bytes. */
struct span {
	const char *start;
	const char *end;
};

/* What is kept while a value is written. */
struct writing {
	struct arena arena;
	struct buffer spans;  /* struct span, by start: what has been passed once is not again */
	const char *noted_to; /* all that are long enough have been noted up to here */
	const struct packed_pace *pace; /* NULL: it is written to its end, whatever that takes */
	uint64_t units;                 /* done since the pace was told */
	bool ended;                     /* before the end */
};

static void writing_init(struct writing *writing, const struct packed_pace *pace);
static bool writing_fini(struct writing *writing);
static void pay(struct writing *writing, uint64_t units);
static struct packed_item item_take(struct slice *rest);
static bool is_table(const struct packed_item *item);
static bool is_array(const struct packed_item *table);
static struct slice value_take(struct slice *rest, struct writing *writing);
static struct part *parts_take(
	struct slice *rest, const struct packed_item *table, struct writing *writing);
static struct slice key_text(const struct packed_item *key, struct arena *arena);
static int part_compare(const void *a, const void *b);
static void json_value(struct slice *rest, struct buffer *out, struct writing *writing);
static void json_array(struct slice *rest, const struct packed_item *table, struct buffer *out,
	struct writing *writing);
static void json_object(struct slice *rest, const struct packed_item *table, struct buffer *out,
	struct writing *writing);
static void json_string(struct slice bytes, struct buffer *out, struct writing *writing);
static void json_escape(uint8_t byte, struct buffer *out);
static size_t utf8_take(const char *at, size_t size, bool *whole);
static uint16_t surrogate(const char *at, size_t size);
static void json_unicode_escape(uint16_t unit, struct buffer *out);
static void reply_value(struct slice *rest, struct writer *writer, struct writing *writing);
static void reply_table(struct slice *rest, const struct packed_item *table, struct writer *writer,
	struct writing *writing);
static void integer_add(struct buffer *out, int64_t value);
static size_t float_format(char out[FLOAT_TEXT_MAX], double value);

void packed_to_json(struct slice packed, struct buffer *out)
{
	bool whole = packed_to_json_paced(packed, out, NULL);
	assert(whole);
}

bool packed_to_json_paced(struct slice packed, struct buffer *out, const struct packed_pace *pace)
{
	struct writing writing;
	writing_init(&writing, pace);
	json_value(&packed, out, &writing);
	assert(packed.size == 0 || writing.ended);
	writing.ended |= pace && out->size > pace->bytes_max;
	return writing_fini(&writing);
}

void packed_write(struct slice packed, struct writer *writer)
{
	packed_write_paced(packed, writer, NULL);
}

bool packed_write_paced(struct slice packed, struct writer *writer, const struct packed_pace *pace)
{
	struct writing writing;
	writing_init(&writing, pace);
	reply_value(&packed, writer, &writing);
	assert(packed.size == 0 || writing.ended);
	writing.ended |= writer->full;
	return writing_fini(&writing);
}

void packed_show_value(const struct value *value, struct buffer *out)
{
	assert(value->type == VALUE_BYTES || value->type == VALUE_PACKED);
	if (value->type == VALUE_BYTES) {
		buffer_append(out, value->data.data, value->data.size);
		return;
	}
	struct slice rest = value->data;
	struct packed_item item = item_take(&rest);
	if (item.kind == PACKED_STRING) {
		buffer_append(out, item.bytes.data, item.bytes.size);
	} else if (item.kind == PACKED_FLOAT) {
		char text[FLOAT_TEXT_MAX];
		buffer_append(out, text, float_format(text, item.number));
	} else {
		packed_to_json(value->data, out);
	}
}

static void writing_init(struct writing *writing, const struct packed_pace *pace)
{
	*writing = (struct writing){ .pace = pace };
	arena_init(&writing->arena, ARENA_CHUNK_BYTES);
}

static bool writing_fini(struct writing *writing)
{
	arena_fini(&writing->arena);
	buffer_fini(&writing->spans);
	return !writing->ended;
}

/* Asks whether to go on, before work of so many units. */
static void pay(struct writing *writing, uint64_t units)
{
	const struct packed_pace *pace = writing->pace;
	writing->units += units;
	if (pace == NULL || writing->units < PACE_UNITS || writing->ended)
		return;
	writing->ended = !pace->go_on(pace->context, writing->units);
	writing->units = 0;
}

static struct packed_item item_take(struct slice *rest)
{
	struct packed_item item;
	bool taken = packed_take(rest, &item);
	assert(taken);
	return item;
}

static bool is_table(const struct packed_item *item)
{
	return item->kind == PACKED_TABLE || item->kind == PACKED_OBJECT;
}

static bool is_array(const struct packed_item *table)
{
	return table->kind == PACKED_TABLE && table->pairs == 0;
}

static size_t span_count(const struct writing *writing)
{
	return writing->spans.size / sizeof(struct span);
}

/* Where the table that begins there ends; NULL when that is not noted, or it is none. */
static const char *span_end(const struct writing *writing, const char *start)
{
	if (*start != PACKED_TABLE && *start != PACKED_OBJECT)
		return NULL;
	const struct span *spans = (const struct span *)(const void *)writing->spans.data;
	size_t first = 0, count = span_count(writing);
	while (count > 0) {
		size_t half = count / 2;
		if (spans[first + half].start == start)
			return spans[first + half].end;
		if (spans[first + half].start < start) {
			first += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return NULL;
}

/* The table is through: it keeps its place in the list if it is long enough. Those that lie in it
 * and stayed are behind it; when it is short there are none. */
static void note_span(struct writing *writing, size_t place, const char *end)
{
	struct span *span = (struct span *)(void *)writing->spans.data + place;
	if (end - span->start >= SPAN_BYTES)
		span->end = end;
	else
		writing->spans.size = place * sizeof(struct span);
}

/* Past a value, table by table, noting where those end that are not noted yet. */
static void pass_value(struct slice *rest, struct writing *writing)
{
	struct {
		uint64_t left;
		size_t place;
	} within[LIMIT_PACKED_DEPTH + 1];
	unsigned depth = 0;
	bool notes = rest->data >= writing->noted_to;
	do {
		struct span span = { .start = rest->data };
		struct packed_item item = item_take(rest);
		pay(writing, 1);
		if (depth)
			within[depth - 1].left--;
		if (is_table(&item)) {
			within[depth].left = item.items + 2 * item.pairs;
			within[depth++].place = span_count(writing);
			if (notes)
				buffer_append(&writing->spans, &span, sizeof(span));
		}
		while (depth && within[depth - 1].left == 0) {
			depth--;
			if (notes)
				note_span(writing, within[depth].place, rest->data);
		}
	} while (depth && !writing->ended);
	if (notes)
		writing->noted_to = rest->data;
}

/* A value with all of its parts. */
static struct slice value_take(struct slice *rest, struct writing *writing)
{
	const char *start = rest->data, *end = span_end(writing, start);
	if (end)
		*rest = slice_of(end, rest->size - (size_t)(end - start));
	else
		pass_value(rest, writing);
	return slice_of(start, (size_t)(rest->data - start));
}

/* The table's items and pairs in the order of their keys; NULL when the writing ends. */
static struct part *parts_take(
	struct slice *rest, const struct packed_item *table, struct writing *writing)
{
	size_t count = (size_t)(table->items + table->pairs);
	struct arena *arena = &writing->arena;
	pay(writing, count * PART_UNITS);
	if (writing->ended)
		return NULL;
	struct part *parts = arena_alloc(arena, count * sizeof(*parts));
	for (size_t i = 0; i < count; i++) {
		struct packed_item key = { .kind = PACKED_INTEGER, .integer = (int64_t)i + 1 };
		if (i >= table->items)
			key = item_take(rest);
		parts[i].key = key_text(&key, arena);
		parts[i].value = value_take(rest, writing);
		if (writing->ended)
			return NULL;
	}
	if (count > 1)
		qsort(parts, count, sizeof(*parts), part_compare);
	return parts;
}

static struct slice key_text(const struct packed_item *key, struct arena *arena)
{
	char text[FLOAT_TEXT_MAX];
	switch (key->kind) {
	case PACKED_FALSE:
		return slice_text("false");
	case PACKED_TRUE:
		return slice_text("true");
	case PACKED_STRING:
		return key->bytes;
	case PACKED_INTEGER:
		return arena_copy(arena, slice_of(text, number_format_i64(text, key->integer)));
	case PACKED_FLOAT:
		return arena_copy(arena, slice_of(text, float_format(text, key->number)));
	case PACKED_NIL:
	case PACKED_NULL:
	case PACKED_TABLE:
	case PACKED_OBJECT:
		break;
	}
	assert(!"a key of a whole value");
	return slice_of(NULL, 0);
}

static int part_compare(const void *a, const void *b)
{
	const struct part *left = a, *right = b;
	int order = slice_compare(left->key, right->key);
	if (order)
		return order;
	return (left->value.data > right->value.data) - (left->value.data < right->value.data);
}

static void json_value(struct slice *rest, struct buffer *out, struct writing *writing)
{
	struct packed_item item = item_take(rest);
	char text[FLOAT_TEXT_MAX];
	pay(writing, item.kind == PACKED_FLOAT ? FLOAT_UNITS : 1);
	writing->ended |= writing->pace && out->size > writing->pace->bytes_max;
	if (writing->ended)
		return;
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
		integer_add(out, item.integer);
		break;
	case PACKED_FLOAT:
		if (isfinite(item.number))
			buffer_append(out, text, float_format(text, item.number));
		else if (isnan(item.number))
			buffer_append_text(out, "null");
		else
			buffer_append_text(out, item.number > 0 ? "1e999" : "-1e999");
		break;
	case PACKED_STRING:
		json_string(item.bytes, out, writing);
		break;
	case PACKED_TABLE:
	case PACKED_OBJECT:
		if (is_array(&item))
			json_array(rest, &item, out, writing);
		else
			json_object(rest, &item, out, writing);
		break;
	}
}

static void json_array(struct slice *rest, const struct packed_item *table, struct buffer *out,
	struct writing *writing)
{
	buffer_append(out, "[", 1);
	for (uint64_t i = 0; i < table->items && !writing->ended; i++) {
		if (i > 0)
			buffer_append(out, ",", 1);
		json_value(rest, out, writing);
	}
	buffer_append(out, "]", 1);
}

static void json_object(struct slice *rest, const struct packed_item *table, struct buffer *out,
	struct writing *writing)
{
	struct arena_mark mark = arena_mark(&writing->arena);
	struct part *parts = parts_take(rest, table, writing);
	buffer_append(out, "{", 1);
	for (uint64_t i = 0; i < table->items + table->pairs && !writing->ended; i++) {
		if (i > 0)
			buffer_append(out, ",", 1);
		json_string(parts[i].key, out, writing);
		buffer_append(out, ":", 1);
		json_value(&parts[i].value, out, writing);
	}
	buffer_append(out, "}", 1);
	arena_rewind(&writing->arena, mark);
}

static void json_string(struct slice bytes, struct buffer *out, struct writing *writing)
{
	pay(writing, bytes.size / UNIT_BYTES);
	if (!writing->ended)
		packed_string_to_json(
			bytes, out, writing->pace ? writing->pace->bytes_max : SIZE_MAX);
}

bool packed_is_utf8(struct slice bytes)
{
	bool whole = true;
	for (size_t i = 0; whole && i < bytes.size;)
		i += utf8_take(bytes.data + i, bytes.size - i, &whole);
	return whole;
}

void packed_string_to_json(struct slice bytes, struct buffer *out, size_t most)
{
	size_t i = 0, plain = 0; /* where the run of bytes that stand for themselves begins */
	buffer_append(out, "\"", 1);
	while (i < bytes.size && out->size <= most) {
		uint8_t byte = (uint8_t)bytes.data[i];
		bool whole;
		size_t size = utf8_take(bytes.data + i, bytes.size - i, &whole);
		if (whole && byte >= 0x20 && byte != '"' && byte != '\\') {
			i += size;
			continue;
		}
		buffer_append(out, bytes.data + plain, i - plain);
		uint16_t half = surrogate(bytes.data + i, bytes.size - i);
		if (whole)
			json_escape(byte, out);
		else if (half)
			json_unicode_escape(half, out);
		else
			buffer_append_text(out, "\xef\xbf\xbd");
		i += half ? 3 : size;
		plain = i;
	}
	if (plain < i)
		buffer_append(out, bytes.data + plain, i - plain);
	buffer_append(out, "\"", 1);
}

static void json_escape(uint8_t byte, struct buffer *out)
{
	static const char escaped[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *found = byte ? strchr(escaped, byte) : NULL;
	char text[2] = { '\\', found ? letters[found - escaped] : 0 };
	if (found)
		buffer_append(out, text, sizeof(text));
	else
		json_unicode_escape(byte, out);
}

static void json_unicode_escape(uint16_t unit, struct buffer *out)
{
	static const char digits[] = "0123456789abcdef";
	char text[6] = { '\\', 'u' };
	for (unsigned i = 0; i < 4; i++)
		text[2 + i] = digits[unit >> (12 - 4 * i) & 0xf];
	buffer_append(out, text, sizeof(text));
}

/* Bytes of the character at the front, as RFC 3629 has them; or, and then it is not `whole`, of
 * what is the start of none or the start of one that breaks off. That stands for one U+FFFD, as in
 * the Encoding standard. */
static size_t utf8_take(const char *at, size_t size, bool *whole)
{
	uint8_t first = (uint8_t)at[0];
	uint8_t least = 0x80, most = 0xbf; /* of the second byte: no longer forms, no surrogates */
	size_t wanted = 1, taken = 1;
	if (first >= 0xc2 && first <= 0xdf)
		wanted = 2;
	else if (first >= 0xe0 && first <= 0xef)
		wanted = 3;
	else if (first >= 0xf0 && first <= 0xf4)
		wanted = 4;
	if (first == 0xe0)
		least = 0xa0;
	if (first == 0xed)
		most = 0x9f;
	if (first == 0xf0)
		least = 0x90;
	if (first == 0xf4)
		most = 0x8f;
	while (taken < wanted && taken < size && (uint8_t)at[taken] >= least &&
		(uint8_t)at[taken] <= most) {
		taken++;
		least = 0x80;
		most = 0xbf;
	}
	*whole = taken == wanted && (first < 0x80 || wanted > 1);
	return taken;
}

/* Half a surrogate pair as UTF-8 would write it if it had such, which is how an escape is read that
 * stands alone; 0 when there is none at the front. */
static uint16_t surrogate(const char *at, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)at;
	if (size < 3 || bytes[0] != 0xed || bytes[1] < 0xa0 || bytes[1] > 0xbf ||
		(bytes[2] & 0xc0) != 0x80)
		return 0;
	return (uint16_t)(0xd000 | (bytes[1] & 0x3f) << 6 | (bytes[2] & 0x3f));
}

static uint64_t reply_units(const struct packed_item *item)
{
	if (item->kind == PACKED_STRING)
		return 1 + item->bytes.size / COPIED_BYTES;
	return item->kind == PACKED_FLOAT ? FLOAT_UNITS : 1;
}

static void reply_value(struct slice *rest, struct writer *writer, struct writing *writing)
{
	struct packed_item item = item_take(rest);
	pay(writing, reply_units(&item));
	writer->full |= writer->limit && writer->out->size > writer->limit;
	writing->ended |= writer->full;
	if (writing->ended)
		return;
	switch (item.kind) {
	case PACKED_NIL:
	case PACKED_NULL:
		writer_null(writer);
		break;
	case PACKED_FALSE:
	case PACKED_TRUE:
		writer_boolean(writer, item.kind == PACKED_TRUE);
		break;
	case PACKED_INTEGER:
		writer_integer(writer, item.integer);
		break;
	case PACKED_FLOAT:
		writer_double(writer, item.number);
		break;
	case PACKED_STRING:
		writer_bulk(writer, item.bytes);
		break;
	case PACKED_TABLE:
	case PACKED_OBJECT:
		reply_table(rest, &item, writer, writing);
		break;
	}
}

static void reply_table(struct slice *rest, const struct packed_item *table, struct writer *writer,
	struct writing *writing)
{
	if (is_array(table)) {
		writer_array(writer, (size_t)table->items);
		for (uint64_t i = 0; i < table->items && !writing->ended; i++)
			reply_value(rest, writer, writing);
		return;
	}
	struct arena_mark mark = arena_mark(&writing->arena);
	struct part *parts = parts_take(rest, table, writing);
	size_t count = (size_t)(table->items + table->pairs);
	writer_map(writer, count);
	for (size_t i = 0; i < count && !writing->ended; i++) {
		writer_bulk(writer, parts[i].key);
		reply_value(&parts[i].value, writer, writing);
	}
	arena_rewind(&writing->arena, mark);
}

static void integer_add(struct buffer *out, int64_t value)
{
	char *at = buffer_reserve(out, NUMBER_I64_TEXT_MAX);
	out->size += number_format_i64(at, value);
}

/* The shortest of the precisions that name every double, and reads back as the same; never like an
 * integer. */
static size_t float_format(char out[FLOAT_TEXT_MAX], double value)
{
	if (isnan(value))
		return (size_t)snprintf(out, FLOAT_TEXT_MAX, "nan");
	if (isinf(value))
		return (size_t)snprintf(out, FLOAT_TEXT_MAX, value > 0 ? "inf" : "-inf");
	size_t size = 0;
	for (int digits = 15; digits <= 17; digits++) {
		size = (size_t)snprintf(out, FLOAT_TEXT_MAX, "%.*g", digits, value);
		if (strtod(out, NULL) == value)
			break;
	}
	if (strpbrk(out, ".e") == NULL) {
		memcpy(out + size, ".0", 3);
		size += 2;
	}
	return size;
}
