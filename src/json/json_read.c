/*
 * json_read: a text is gone through twice. The first pass counts what is in each array and object
 * and finds the names that occur again; the second hands out the items.
 *
 * In the first pass the names of the objects that are open stand in one array, those of the
 * innermost last. When an object closes its names are compared, pairwise when they are few, else
 * sorted, and leave the array. A name that occurs again later is dead; its number, counted through
 * the text, is kept.
 *
 *   {"a": {"x": 1, "x": 2}, "a": 3}     names 0 a, 1 x, 2 x, 3 a     dead 0 1     counts 1 1
 *
 * The second pass needs no stack: brackets and commas are passed over, and a string with a colon
 * behind it is a name. The value of a dead name is gone through like others, unseen.
 *
 * No state; any thread.
 */
#include "json/json_read.h"

#include "base/memory.h"
#include "holdfast/limits.h"
#include "json/json_fields.h"
#include "json/json_private.h"

#include <stdlib.h>

#define FEW 8 /* names that are compared pairwise */

/* A name of an object that is open. */
struct open_name {
	struct slice text; /* unescaped; of an escaped one the data is set when its object closes */
	size_t offset;     /* of an escaped one, in `unescaped` */
	uint32_t number;
	bool escaped;
};

/* An array or object that is open. */
struct level {
	uint32_t container; /* its number */
	uint32_t names;     /* that were open before it */
	size_t unescaped;   /* bytes before it */
	bool object;
};

struct scan {
	struct json_reader *reader;
	const char *at, *end;
	struct level levels[LIMIT_JSON_DEPTH];
	uint32_t depth;
	struct open_name *names;
	uint32_t names_count, names_capacity;
	uint32_t names_passed;
	struct buffer unescaped;
	struct open_name few[JSON_FEW];
};

static void scan_text(struct scan *scan);
static void container_open(struct scan *scan, bool object);
static void container_close(struct scan *scan);
static void name_scan(struct scan *scan);
static void duplicates_find(struct scan *scan, struct level *level);
static bool is_item_start(char c);
static void item_take(struct json_reader *reader, struct json_item *out);
static bool is_dead(struct json_reader *reader, uint32_t name);

static uint32_t *counts_of(struct json_reader *reader)
{
	return (uint32_t *)(void *)reader->counts.data;
}

static int numbers_compare(const void *a, const void *b)
{
	uint32_t left, right;
	memcpy(&left, a, sizeof(left));
	memcpy(&right, b, sizeof(right));
	return (left > right) - (left < right);
}

void json_reader_init(struct json_reader *reader, struct slice text)
{
	assert(text.size <= UINT32_MAX);
	*reader = (struct json_reader){ .at = text.data, .end = text.data + text.size };
	struct scan scan; /* large, and only what is open is read */
	scan.reader = reader;
	scan.at = reader->at;
	scan.end = reader->end;
	scan.depth = 0;
	scan.names = scan.few;
	scan.names_count = scan.names_passed = 0;
	scan.names_capacity = JSON_FEW;
	buffer_init(&scan.unescaped);
	scan_text(&scan);
	assert(scan.depth == 0);
	if (scan.names != scan.few)
		memory_free(scan.names);
	buffer_fini(&scan.unescaped);
	if (reader->dead.size > 0)
		qsort(reader->dead.data, reader->dead.size / sizeof(uint32_t), sizeof(uint32_t),
			numbers_compare);
}

void json_reader_fini(struct json_reader *reader)
{
	buffer_fini(&reader->counts);
	buffer_fini(&reader->dead);
}

bool json_read(struct json_reader *reader, struct json_item *out)
{
	for (;;) {
		while (reader->at < reader->end && !is_item_start(*reader->at))
			reader->at++;
		if (reader->at == reader->end)
			return false;
		item_take(reader, out);
		if (out->kind != JSON_ITEM_NAME || !is_dead(reader, reader->names_passed - 1))
			return true;
		const char *value = json_space_skip(reader->at, reader->end);
		const char *behind = json_value_skip(value, reader->end);
		for (;;) {
			while (reader->at < behind && !is_item_start(*reader->at))
				reader->at++;
			if (reader->at == behind)
				break;
			item_take(reader, out);
			if (out->kind == JSON_ITEM_NAME)
				is_dead(reader, reader->names_passed - 1);
		}
	}
}

struct slice json_item_text(const struct json_item *item, struct buffer *scratch)
{
	if (!item->escaped)
		return item->text;
	scratch->size = 0;
	json_unescape_all(item->text, scratch);
	return buffer_slice(scratch);
}

/* --- the first pass --------------------------------------------------------------------------- */

static void scan_text(struct scan *scan)
{
	bool escaped;
	while (scan->at < scan->end) {
		char c = *scan->at;
		bool closes = c == ']' || c == '}';
		if (!closes && !is_item_start(c)) {
			scan->at++;
			continue;
		}
		struct level *level = scan->depth ? &scan->levels[scan->depth - 1] : NULL;
		if (closes) {
			container_close(scan);
			continue;
		}
		/* Behind a name its value is taken at once: so a string here is a name. */
		if (level)
			counts_of(scan->reader)[level->container]++;
		if (level && level->object)
			name_scan(scan);
		c = *scan->at;
		if (c == '{' || c == '[')
			container_open(scan, c == '{');
		else if (c == '"')
			scan->at = json_string_skip(scan->at, scan->end, &escaped);
		else
			scan->at = json_value_skip(scan->at, scan->end);
	}
}

static void container_open(struct scan *scan, bool object)
{
	struct buffer *counts = &scan->reader->counts;
	uint32_t count = 0;
	assert(scan->depth < LIMIT_JSON_DEPTH);
	scan->levels[scan->depth++] = (struct level){
		.container = (uint32_t)(counts->size / sizeof(count)),
		.names = scan->names_count,
		.unescaped = scan->unescaped.size,
		.object = object,
	};
	buffer_append(counts, &count, sizeof(count));
	scan->at++;
}

static void container_close(struct scan *scan)
{
	assert(scan->depth > 0);
	struct level *level = &scan->levels[--scan->depth];
	if (level->object)
		duplicates_find(scan, level);
	scan->names_count = level->names;
	scan->unescaped.size = level->unescaped;
	scan->at++;
}

/* From a name to its value. */
static void name_scan(struct scan *scan)
{
	struct open_name name = { .number = scan->names_passed++ };
	scan->at = json_name_skip(scan->at, scan->end, &name.text, &name.escaped);
	if (name.escaped) {
		name.offset = scan->unescaped.size;
		json_unescape_all(name.text, &scan->unescaped);
		name.text.size = scan->unescaped.size - name.offset;
	}
	if (scan->names_count == scan->names_capacity)
		scan->names = json_array_grow(
			scan->names, scan->few, &scan->names_capacity, sizeof(*scan->names));
	scan->names[scan->names_count++] = name;
}

static int names_compare(const void *a, const void *b)
{
	const struct open_name *left = a, *right = b;
	int order = slice_compare(left->text, right->text);
	return order ? order : (left->number > right->number) - (left->number < right->number);
}

static void die(struct scan *scan, const struct level *level, const struct open_name *name)
{
	counts_of(scan->reader)[level->container]--;
	buffer_append(&scan->reader->dead, &name->number, sizeof(name->number));
}

static void duplicates_find(struct scan *scan, struct level *level)
{
	struct open_name *names = scan->names + level->names;
	uint32_t count = scan->names_count - level->names;
	for (uint32_t i = 0; i < count; i++) {
		if (names[i].escaped)
			names[i].text.data = scan->unescaped.data + names[i].offset;
	}
	if (count > FEW) {
		qsort(names, count, sizeof(*names), names_compare);
		for (uint32_t i = 0; i + 1 < count; i++) {
			if (slice_equal(names[i].text, names[i + 1].text))
				die(scan, level, &names[i]);
		}
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t later = i + 1;
		while (later < count && !slice_equal(names[i].text, names[later].text))
			later++;
		if (later < count)
			die(scan, level, &names[i]);
	}
}

/* --- the second pass -------------------------------------------------------------------------- */

/* What stands between items is passed over, whatever json_check lets stand there. */
static bool is_item_start(char c)
{
	return c == '"' || c == '{' || c == '[' || c == '-' || (c >= '0' && c <= '9') || c == 't' ||
		c == 'f' || c == 'n';
}

static enum json_kind kind_of(char c)
{
	switch (c) {
	case '"':
		return JSON_ITEM_STRING;
	case '{':
		return JSON_ITEM_OBJECT;
	case '[':
		return JSON_ITEM_ARRAY;
	case 't':
		return JSON_ITEM_TRUE;
	case 'f':
		return JSON_ITEM_FALSE;
	case 'n':
		return JSON_ITEM_NULL;
	default:
		return JSON_ITEM_NUMBER;
	}
}

static void item_take(struct json_reader *reader, struct json_item *out)
{
	const char *start = reader->at, *end = reader->end;
	*out = (struct json_item){ .kind = kind_of(*start) };
	if (out->kind == JSON_ITEM_OBJECT || out->kind == JSON_ITEM_ARRAY) {
		assert(reader->counts_passed < reader->counts.size / sizeof(uint32_t));
		out->count = counts_of(reader)[reader->counts_passed++];
		reader->at++;
		return;
	}
	if (out->kind != JSON_ITEM_STRING) {
		reader->at = json_value_skip(start, end);
		out->text = slice_of(start, (size_t)(reader->at - start));
		return;
	}
	reader->at = json_string_skip(start, end, &out->escaped);
	out->text = slice_of(start + 1, (size_t)(reader->at - start) - 2);
	const char *behind = json_space_skip(reader->at, end);
	if (behind < end && *behind == ':') {
		out->kind = JSON_ITEM_NAME;
		reader->names_passed++;
		reader->at = behind + 1;
	}
}

/* Names are asked for in their order, each once. */
static bool is_dead(struct json_reader *reader, uint32_t name)
{
	uint32_t dead;
	if (reader->dead_passed == reader->dead.size / sizeof(dead))
		return false;
	memcpy(&dead, reader->dead.data + reader->dead_passed * sizeof(dead), sizeof(dead));
	if (dead != name)
		return false;
	reader->dead_passed++;
	return true;
}
