/*
 * json_fields: the members of a patch, at every level that can meet an object, in an array.
 *
 * They stand in the order of the text, each with the index behind what lies within it: a tree
 * without pointers, read in one pass.
 *
 *   {"a": {"y": null}, "c": 4}     ->     [0 root, to 4] [1 a, to 3] [2 y, to 3] [3 c, to 4]
 *
 * A field is looked up by its parent and its unescaped name: among a few by comparing, among many
 * in an array sorted once, by hash and then by what was hashed. The hash is there to compare within
 * that array; names chosen to have one hash make it slower, but no product of their numbers.
 *
 * Recursion is bounded by LIMIT_JSON_DEPTH. The merge's thread.
 */
#include "json/json_fields.h"

#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>

struct json_sorted {
	uint64_t hash;
	uint32_t field;
};

static const char *field_value_read(
	struct json_fields *fields, uint32_t field, const char *at, bool deep);
static const char *fields_read(struct json_fields *fields, uint32_t parent, const char *at);
static uint32_t field_add(struct json_fields *fields, struct json_field field);
static void duplicates_mark(struct json_fields *fields);
static void changed_mark(struct json_fields *fields, uint32_t field);
static void fields_sort(struct json_fields *fields);
static int fields_compare(const void *a, const void *b, void *context);
static int hashed_compare(
	struct json_fields *fields, uint32_t field, uint32_t parent, struct slice name);
static uint32_t sorted_find(struct json_fields *fields, uint32_t parent, struct slice name);
static struct slice field_name(const struct json_fields *fields, uint32_t index);

void json_fields_init(struct json_fields *fields, struct slice patch, bool deep)
{
	assert(patch.size <= UINT32_MAX);
	fields->patch = patch;
	fields->deep = deep;
	fields->at = fields->few;
	fields->count = 0;
	fields->capacity = JSON_FEW;
	fields->sorted = NULL;
	buffer_init(&fields->names);
	fields->work = (struct json_work){ 0 };
	const char *at = json_text_begin(patch);
	uint32_t offset = (uint32_t)(at - patch.data);
	field_add(fields, (struct json_field){ .start = offset, .value = offset });
	field_value_read(fields, 0, at, true);
	duplicates_mark(fields);
}

void json_fields_fini(struct json_fields *fields)
{
	if (fields->at != fields->few)
		memory_free(fields->at);
	memory_free(fields->sorted);
	buffer_fini(&fields->names);
}

uint32_t json_fields_find(struct json_fields *fields, uint32_t parent, struct slice name)
{
	if (fields->sorted)
		return sorted_find(fields, parent, name);
	const struct json_field *all = fields->at;
	for (uint32_t i = parent + 1; i < all[parent].end; i = all[i].end) {
		fields->work.names_compared++;
		if (!all[i].dead && slice_equal(field_name(fields, i), name))
			return i;
	}
	return 0;
}

const char *json_name_pass(
	struct json_work *work, const char *at, const char *end, struct slice *name, bool *escaped)
{
	const char *behind = json_name_skip(at, end, name, escaped);
	work->bytes_scanned += (size_t)(behind - at);
	return behind;
}

const char *json_value_pass(struct json_work *work, const char *at, const char *end)
{
	const char *behind = json_value_skip(at, end);
	work->bytes_scanned += (size_t)(behind - at);
	return behind;
}

void json_unescape_all(struct slice string, struct buffer *out)
{
	while (string.size > 0) {
		char bytes[4];
		size_t size = json_unescape(&string, bytes);
		buffer_append(out, bytes, size);
	}
}

void *json_array_grow(void *array, const void *few, uint32_t *capacity, size_t item_bytes)
{
	size_t bytes = *capacity * item_bytes;
	*capacity *= 2;
	if (array != few)
		return memory_resize(array, 2 * bytes);
	void *moved = memory_alloc(2 * bytes);
	memcpy(moved, few, bytes);
	return moved;
}

/* `deep`: an object's members become fields as well. */
static const char *field_value_read(
	struct json_fields *fields, uint32_t field, const char *at, bool deep)
{
	const char *data = fields->patch.data, *end = data + fields->patch.size;
	assert(at < end);
	bool is_object = deep && *at == '{';
	at = is_object ? fields_read(fields, field, at + 1)
		       : json_value_pass(&fields->work, at, end);
	struct json_field *read = &fields->at[field];
	read->is_object = is_object;
	read->stop = (uint32_t)(at - data);
	read->end = fields->count;
	return at;
}

static const char *fields_read(struct json_fields *fields, uint32_t parent, const char *at)
{
	const char *data = fields->patch.data, *end = data + fields->patch.size;
	if (!json_entry_begin(&at, end))
		return at + 1;
	do {
		struct json_field field = { .parent = parent };
		struct slice name;
		at = json_space_skip(at, end);
		field.start = (uint32_t)(at - data);
		at = json_name_pass(&fields->work, at, end, &name, &field.escaped);
		field.value = (uint32_t)(at - data);
		field.name = (uint32_t)(name.data - data);
		field.removes = fields->deep && *at == 'n';
		if (field.escaped) {
			field.name = (uint32_t)fields->names.size;
			json_unescape_all(name, &fields->names);
			name.size = fields->names.size - field.name;
		}
		field.name_size = (uint32_t)name.size;
		if (field.removes)
			changed_mark(fields, parent);
		at = field_value_read(fields, field_add(fields, field), at, fields->deep);
	} while (json_entry_end(&at, end));
	return at;
}

static uint32_t field_add(struct json_fields *fields, struct json_field field)
{
	if (fields->count == fields->capacity)
		fields->at =
			json_array_grow(fields->at, fields->few, &fields->capacity, sizeof(field));
	fields->at[fields->count] = field;
	return fields->count++;
}

static void duplicates_mark(struct json_fields *fields)
{
	if (fields->count > JSON_FEW) {
		fields_sort(fields);
		return;
	}
	struct json_field *all = fields->at;
	for (uint32_t i = 1; i < fields->count; i++) {
		/* The first of its name that is not dead: itself or the one before it. */
		uint32_t first = json_fields_find(fields, all[i].parent, field_name(fields, i));
		if (first != i) {
			all[first].dead = true;
			changed_mark(fields, all[i].parent);
		}
	}
}

static void changed_mark(struct json_fields *fields, uint32_t field)
{
	while (!fields->at[field].changed) {
		fields->at[field].changed = true;
		field = fields->at[field].parent;
	}
}

static void fields_sort(struct json_fields *fields)
{
	uint32_t count = fields->count - 1;
	struct json_sorted *sorted = memory_alloc(count * sizeof(*sorted));
	fields->sorted = sorted;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t parent = fields->at[i + 1].parent;
		sorted[i].field = i + 1;
		sorted[i].hash = hash_bytes_seeded(field_name(fields, i + 1), parent);
	}
	qsort_r(sorted, count, sizeof(*sorted), fields_compare, fields);
	for (uint32_t i = 0; i + 1 < count; i++) {
		uint32_t next = sorted[i + 1].field, parent = fields->at[next].parent;
		if (sorted[i].hash != sorted[i + 1].hash ||
			hashed_compare(fields, sorted[i].field, parent, field_name(fields, next)) !=
				0)
			continue;
		fields->at[sorted[i].field].dead = true;
		changed_mark(fields, parent);
	}
}

/* By what they are looked up by, then by place. */
static int fields_compare(const void *a, const void *b, void *context)
{
	struct json_fields *fields = context;
	struct json_sorted one = *(const struct json_sorted *)a,
			   other = *(const struct json_sorted *)b;
	fields->work.names_compared++;
	if (one.hash != other.hash)
		return one.hash < other.hash ? -1 : 1;
	uint32_t parent = fields->at[other.field].parent;
	int order = hashed_compare(fields, one.field, parent, field_name(fields, other.field));
	return order ? order : (one.field > other.field) - (one.field < other.field);
}

/* What has one hash. */
static int hashed_compare(
	struct json_fields *fields, uint32_t field, uint32_t parent, struct slice name)
{
	if (fields->at[field].parent != parent)
		return fields->at[field].parent < parent ? -1 : 1;
	return slice_compare(field_name(fields, field), name);
}

/* The last of the name, which is the one that is not dead. */
static uint32_t sorted_find(struct json_fields *fields, uint32_t parent, struct slice name)
{
	const struct json_sorted *sorted = fields->sorted;
	uint64_t hash = hash_bytes_seeded(name, parent);
	uint32_t low = 0, high = fields->count - 1;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		fields->work.names_compared++;
		bool before = sorted[middle].hash < hash ||
			(sorted[middle].hash == hash &&
				hashed_compare(fields, sorted[middle].field, parent, name) <= 0);
		if (before)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || sorted[low - 1].hash != hash ||
		hashed_compare(fields, sorted[low - 1].field, parent, name) != 0)
		return 0;
	return sorted[low - 1].field;
}

static struct slice field_name(const struct json_fields *fields, uint32_t index)
{
	const struct json_field *field = &fields->at[index];
	const char *from = field->escaped ? fields->names.data : fields->patch.data;
	return slice_of(field->name_size ? from + field->name : NULL, field->name_size);
}
