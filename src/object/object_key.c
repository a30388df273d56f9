/*
 * object_key: the byte layouts that object_key.h draws, written with explicit shifts so that they
 * are the same on every machine: they end up on disk.
 *
 * A class name has no zero byte, so the zero behind it ends it, and no class's keys stand among
 * another's. An id that something follows has its size in front: then no id's keys stand among
 * another's either, whatever bytes they are made of. Where ids are to be listed they stand last.
 *
 * Parsers trust nothing: a key that was not made here is refused. No state, safe from every thread.
 */
#include "object/object_key.h"

#include "holdfast/object_format.h"

#include <assert.h>

static void start(struct key *key, enum table table);
static void add_byte(struct key *key, unsigned byte);
static void add_number(struct key *key, uint64_t number, size_t size);
static void add_bytes(struct key *key, struct slice bytes);
static void add_class(struct key *key, struct slice class_name);
static void add_sized_id(struct key *key, struct slice id);
static bool take_byte(struct slice *rest, uint8_t *out);
static bool take_number(struct slice *rest, size_t size, uint64_t *out);
static bool take_class(struct slice *rest, struct slice *class_name);
static bool take_due_kind(struct slice *rest, enum due_kind *kind);
static bool take_due_time(struct slice *rest, int64_t *at_ms);
static bool take_sized_id(struct slice *rest, struct slice *id);

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool object_class_name_ok(struct slice class_name)
{
	if (class_name.size == 0 || class_name.size > LIMIT_CLASS_NAME_BYTES)
		return false;
	for (size_t i = 0; i < class_name.size; i++) {
		char c = class_name.data[i];
		bool inner = (c >= '0' && c <= '9') || c == '_';
		if (!is_letter(c) && (i == 0 || !inner))
			return false;
	}
	return true;
}

bool object_method_is_public(struct slice method)
{
	return method.size > 0 && method.data[0] != '_' &&
		!slice_equal(method, slice_text("init")) &&
		!slice_equal(method, slice_text("alarm"));
}

void key_of_object(struct key *out, const struct object_name *name)
{
	assert(name->id.size > 0);
	key_of_class_objects(out, name->class_name, name->id);
}

void key_of_class_objects(struct key *out, struct slice class_name, struct slice id)
{
	assert(id.size <= LIMIT_KEY_BYTES);
	start(out, TABLE_OBJECT);
	add_class(out, class_name);
	add_bytes(out, id);
}

static void start_part(struct key *out, const struct object_name *object, unsigned part)
{
	start(out, TABLE_PART);
	add_class(out, object->class_name);
	add_sized_id(out, object->id);
	add_byte(out, part);
}

void key_of_schedule(struct key *out, const struct object_name *object, struct slice name)
{
	assert(name.size <= LIMIT_SCHEDULE_NAME_BYTES);
	start_part(out, object, OBJECT_FORMAT_PART_SCHEDULE);
	add_bytes(out, name);
}

void key_of_values(struct key *out, const struct object_name *object)
{
	start_part(out, object, OBJECT_FORMAT_PART_VALUE);
}

void key_of_class(struct key *out, struct slice class_name)
{
	assert(object_class_name_ok(class_name));
	start(out, TABLE_CLASS);
	add_bytes(out, class_name);
}

void key_of_due(struct key *out, const struct due *due)
{
	key_of_due_time(out, due->at_ms);
	add_byte(out, due->kind);
	add_class(out, due->object.class_name);
	add_sized_id(out, due->object.id);
	add_bytes(out, due->name);
}

void key_of_due_time(struct key *out, int64_t at_ms)
{
	assert(at_ms >= 0);
	start(out, TABLE_DUE);
	add_number(out, (uint64_t)at_ms, 8);
}

bool key_parse_due(struct slice key, struct due *out)
{
	uint8_t table;
	if (!take_byte(&key, &table) || table != TABLE_DUE)
		return false;
	if (!take_due_time(&key, &out->at_ms) || !take_due_kind(&key, &out->kind) ||
		!take_class(&key, &out->object.class_name) || !take_sized_id(&key, &out->object.id))
		return false;
	out->name = key;
	return true;
}

void key_of_failed(struct key *out, const struct due *due)
{
	assert(due->at_ms >= 0);
	key_of_class_failed(out, due->object.class_name);
	add_number(out, (uint64_t)due->at_ms, 8);
	add_byte(out, due->kind);
	add_sized_id(out, due->object.id);
	add_bytes(out, due->name);
}

void key_of_class_failed(struct key *out, struct slice class_name)
{
	start(out, TABLE_FAILED);
	add_class(out, class_name);
}

bool key_parse_failed(struct slice key, struct due *out)
{
	uint8_t table;
	if (!take_byte(&key, &table) || table != TABLE_FAILED)
		return false;
	if (!take_class(&key, &out->object.class_name) || !take_due_time(&key, &out->at_ms) ||
		!take_due_kind(&key, &out->kind) || !take_sized_id(&key, &out->object.id))
		return false;
	out->name = key;
	return true;
}

bool key_parse_object(struct slice key, struct slice class_name, struct slice *id)
{
	uint8_t table;
	struct slice found;
	if (!take_byte(&key, &table) || table != TABLE_OBJECT || !take_class(&key, &found))
		return false;
	if (!slice_equal(found, class_name) || key.size == 0 || key.size > LIMIT_KEY_BYTES)
		return false;
	*id = key;
	return true;
}

static void start(struct key *key, enum table table)
{
	key->size = 0;
	add_byte(key, table);
}

static void add_byte(struct key *key, unsigned byte)
{
	assert(key->size < sizeof(key->bytes));
	key->bytes[key->size++] = (char)(uint8_t)byte;
}

static void add_number(struct key *key, uint64_t number, size_t size)
{
	for (size_t i = size; i > 0; i--)
		add_byte(key, (unsigned)(number >> (8 * (i - 1)) & 0xff));
}

static void add_bytes(struct key *key, struct slice bytes)
{
	assert(bytes.size <= sizeof(key->bytes) - key->size);
	if (bytes.size > 0)
		memcpy(key->bytes + key->size, bytes.data, bytes.size);
	key->size += bytes.size;
}

static void add_class(struct key *key, struct slice class_name)
{
	assert(object_class_name_ok(class_name));
	add_bytes(key, class_name);
	add_byte(key, 0);
}

static void add_sized_id(struct key *key, struct slice id)
{
	assert(id.size > 0);
	assert(id.size <= LIMIT_KEY_BYTES);
	add_number(key, id.size, 2);
	add_bytes(key, id);
}

static bool take_byte(struct slice *rest, uint8_t *out)
{
	if (rest->size == 0)
		return false;
	*out = (uint8_t)rest->data[0];
	*rest = slice_of(rest->data + 1, rest->size - 1);
	return true;
}

static bool take_number(struct slice *rest, size_t size, uint64_t *out)
{
	if (rest->size < size)
		return false;
	*out = 0;
	for (size_t i = 0; i < size; i++)
		*out = *out << 8 | (uint8_t)rest->data[i];
	*rest = slice_of(rest->data + size, rest->size - size);
	return true;
}

static bool take_class(struct slice *rest, struct slice *class_name)
{
	const char *end = rest->size > 0 ? memchr(rest->data, 0, rest->size) : NULL;
	if (end == NULL)
		return false;
	size_t size = (size_t)(end - rest->data);
	*class_name = slice_of(rest->data, size);
	*rest = slice_of(end + 1, rest->size - size - 1);
	return object_class_name_ok(*class_name);
}

static bool take_due_kind(struct slice *rest, enum due_kind *kind)
{
	uint8_t byte;
	if (!take_byte(rest, &byte) || byte < DUE_ALARM || byte > DUE_SWEEP)
		return false;
	*kind = byte;
	return true;
}

static bool take_due_time(struct slice *rest, int64_t *at_ms)
{
	uint64_t number;
	if (!take_number(rest, 8, &number) || number > INT64_MAX)
		return false;
	*at_ms = (int64_t)number;
	return true;
}

static bool take_sized_id(struct slice *rest, struct slice *id)
{
	uint64_t size;
	if (!take_number(rest, 2, &size) || size == 0 || size > LIMIT_KEY_BYTES ||
		size > rest->size)
		return false;
	*id = slice_of(rest->data, size);
	*rest = slice_of(rest->data + size, rest->size - size);
	return true;
}
