/*
 * json_merge: one text's members put into another, in three passes that each go forward only.
 *
 *   patch  -> fields: its members, at every level that can meet an object of the base
 *   base   -> edits: where a member of it meets a field, and where each object met ends
 *   edits  -> out: the base's bytes between edits, and fields' bytes in their place
 *
 * Fields and edits stand in the order of their texts, each with the index behind what lies within
 * it, so both are trees without pointers and a part is left out by stepping over it. That is what
 * duplicates need: only at the end of an object is it known which member of a name was the last,
 * and by then an edit of an earlier one has become one that drops it.
 *
 *   base   { "a": {"x": 1, "y": 2}, "b": 3 }        patch  {"a": {"y": null}, "c": 4}
 *   fields [0 root, to 4] [1 a, to 3] [2 y] [3 c]                              (json_fields.c)
 *   edits  [0 root, to 5] [1 merge a, to 4] [2 drop y] [3 append to a] [4 append to root]
 *
 * Recursion is bounded by LIMIT_JSON_DEPTH. No state; any thread.
 */
#include "json/json.h"

#include "base/memory.h"
#include "json/json_fields.h"
#include "json/json_private.h"

enum edit_kind { EDIT_DROP, EDIT_REPLACE, EDIT_MERGE, EDIT_APPEND };

/* Offsets are into the base. The first edit is that of the whole value. */
struct edit {
	enum edit_kind kind;
	uint32_t field;
	uint32_t start, value, stop; /* behind the mark before the member, its value, behind that */
	uint32_t ordinal;            /* members before it in its object */
	uint32_t end;                /* behind the last edit within it */
};

struct merge {
	struct slice base;
	struct buffer *out;
	uint32_t copied; /* of the base, into `out` or left out */
	struct json_fields fields;
	struct buffer name; /* unescaped, of the member at hand */
	struct edit *edits;
	uint32_t edits_count, edits_capacity;
	struct edit edits_few[JSON_FEW];
};

static void base_read(struct merge *merge);
static const char *value_edit(struct merge *merge, uint32_t edit, const char *at);
static const char *object_edit(struct merge *merge, uint32_t edit, const char *at);
static const char *member_edit(struct merge *merge, struct edit edit, const char *at);
static uint32_t edit_add(struct merge *merge, struct edit edit);
static void edit_write(struct merge *merge, uint32_t edit, bool first);
static void object_write(struct merge *merge, uint32_t object);
static void member_drop(struct merge *merge, const struct edit *edit, bool first);
static void fields_append(struct merge *merge, uint32_t parent, uint32_t object, bool first);
static void field_value_write(struct merge *merge, uint32_t index);
static void base_copy(struct merge *merge, uint32_t to);

void json_merge_fields(struct slice base, struct slice patch, struct buffer *out)
{
	assert(json_is_object(base));
	assert(json_is_object(patch));
	json_merge(base, patch, false, out);
}

void json_merge_patch(struct slice base, struct slice patch, struct buffer *out)
{
	json_merge(base, patch, true, out);
}

struct json_work json_merge(struct slice base, struct slice patch, bool deep, struct buffer *out)
{
	assert(base.size <= UINT32_MAX);
	struct merge merge; /* large; arrays are set as they are counted */
	merge.base = base;
	merge.out = out;
	merge.copied = 0;
	buffer_init(&merge.name);
	merge.edits = merge.edits_few;
	merge.edits_count = 0;
	merge.edits_capacity = JSON_FEW;

	json_fields_init(&merge.fields, patch, deep);
	base_read(&merge);
	/* One comma more than both hold, at most. */
	buffer_reserve(out, base.size + patch.size + 1);
	edit_write(&merge, 0, true);
	base_copy(&merge, (uint32_t)base.size);

	struct json_work work = merge.fields.work;
	json_fields_fini(&merge.fields);
	if (merge.edits != merge.edits_few)
		memory_free(merge.edits);
	buffer_fini(&merge.name);
	return work;
}

static void base_read(struct merge *merge)
{
	const char *data = merge->base.data;
	const char *at = json_text_begin(merge->base);
	edit_add(merge, (struct edit){ .value = (uint32_t)(at - data) });
	value_edit(merge, 0, at);
}

/* To behind the value that the edit's field meets. */
static const char *value_edit(struct merge *merge, uint32_t edit, const char *at)
{
	const char *data = merge->base.data, *end = data + merge->base.size;
	const struct json_field *field = &merge->fields.at[merge->edits[edit].field];
	enum edit_kind kind = field->removes ? EDIT_DROP : EDIT_REPLACE;
	assert(at < end);
	if (field->is_object && *at == '{') {
		kind = EDIT_MERGE;
		at = object_edit(merge, edit, at + 1);
	} else {
		at = json_value_pass(&merge->fields.work, at, end);
	}
	struct edit *made = &merge->edits[edit];
	made->kind = kind;
	made->stop = (uint32_t)(at - data);
	made->end = merge->edits_count;
	return at;
}

/* `object` is the edit of the object, behind whose `{` it begins. */
static const char *object_edit(struct merge *merge, uint32_t object, const char *at)
{
	const char *data = merge->base.data, *end = data + merge->base.size;
	uint32_t parent = merge->edits[object].field;
	struct edit edit = { .start = (uint32_t)(at - data) };
	uint32_t stop = edit.start;
	bool more = json_entry_begin(&at, end);
	if (!more)
		at++;
	while (more) {
		struct slice name;
		bool escaped;
		at = json_name_pass(
			&merge->fields.work, json_space_skip(at, end), end, &name, &escaped);
		if (escaped) {
			merge->name.size = 0;
			json_unescape_all(name, &merge->name);
			name = buffer_slice(&merge->name);
		}
		edit.field = json_fields_find(&merge->fields, parent, name);
		edit.value = (uint32_t)(at - data);
		at = edit.field ? member_edit(merge, edit, at)
				: json_value_pass(&merge->fields.work, at, end);
		stop = (uint32_t)(at - data);
		more = json_entry_end(&at, end);
		edit.start = (uint32_t)(at - data);
		edit.ordinal++;
	}
	edit.kind = EDIT_APPEND;
	edit.field = parent;
	edit.start = stop;
	edit.end = merge->edits_count + 1;
	edit_add(merge, edit);
	return at;
}

/* What met the field earlier is dropped; it may be within what was dropped before. */
static const char *member_edit(struct merge *merge, struct edit edit, const char *at)
{
	struct json_field *field = &merge->fields.at[edit.field];
	if (field->edit > 0)
		merge->edits[field->edit].kind = EDIT_DROP;
	field->edit = merge->edits_count;
	return value_edit(merge, edit_add(merge, edit), at);
}

static uint32_t edit_add(struct merge *merge, struct edit edit)
{
	if (merge->edits_count == merge->edits_capacity)
		merge->edits = json_array_grow(
			merge->edits, merge->edits_few, &merge->edits_capacity, sizeof(edit));
	merge->edits[merge->edits_count] = edit;
	return merge->edits_count++;
}

/* `first`: nothing before the member remains in its object. */
static void edit_write(struct merge *merge, uint32_t index, bool first)
{
	const struct edit *edit = &merge->edits[index];
	switch (edit->kind) {
	case EDIT_DROP:
		member_drop(merge, edit, first);
		break;
	case EDIT_REPLACE:
		base_copy(merge, edit->value);
		field_value_write(merge, edit->field);
		merge->copied = edit->stop;
		break;
	case EDIT_MERGE:
		object_write(merge, index);
		break;
	case EDIT_APPEND:
		assert(!"an object's own");
	}
}

static void object_write(struct merge *merge, uint32_t object)
{
	uint32_t dropped = 0;
	for (uint32_t i = object + 1; i < merge->edits[object].end; i = merge->edits[i].end) {
		const struct edit *edit = &merge->edits[i];
		bool first = edit->ordinal == dropped;
		if (edit->kind == EDIT_APPEND) {
			base_copy(merge, edit->start);
			fields_append(merge, edit->field, object, first);
			continue;
		}
		edit_write(merge, i, first);
		dropped += edit->kind == EDIT_DROP;
	}
}

/* With the comma before it; the first, with the one behind it. */
static void member_drop(struct merge *merge, const struct edit *edit, bool first)
{
	const char *data = merge->base.data, *end = data + merge->base.size;
	base_copy(merge, first ? edit->start : edit->start - 1);
	merge->copied = edit->stop;
	const char *at = data + edit->stop;
	if (first && json_entry_end(&at, end))
		merge->copied = (uint32_t)(at - data);
}

/* The members of the patch's object that no edit within `object` met. */
static void fields_append(struct merge *merge, uint32_t parent, uint32_t object, bool first)
{
	const struct json_field *fields = merge->fields.at;
	for (uint32_t i = parent + 1; i < fields[parent].end; i = fields[i].end) {
		if (fields[i].dead || fields[i].removes || fields[i].edit > object)
			continue;
		if (!first)
			buffer_append(merge->out, ",", 1);
		first = false;
		buffer_append(merge->out, merge->fields.patch.data + fields[i].start,
			fields[i].value - fields[i].start);
		field_value_write(merge, i);
	}
}

static void field_value_write(struct merge *merge, uint32_t index)
{
	const struct json_field *field = &merge->fields.at[index];
	if (!field->changed || !field->is_object) {
		buffer_append(merge->out, merge->fields.patch.data + field->value,
			field->stop - field->value);
		return;
	}
	buffer_append(merge->out, "{", 1);
	fields_append(merge, index, UINT32_MAX, true);
	buffer_append(merge->out, "}", 1);
}

/* What of the base has not been copied or left out, up to `to`. */
static void base_copy(struct merge *merge, uint32_t to)
{
	assert(to >= merge->copied);
	buffer_append(merge->out, merge->base.data + merge->copied, to - merge->copied);
	merge->copied = to;
}
