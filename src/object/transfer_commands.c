/*
 * transfer_commands: DO.NEWID, DO.EXPORT, DO.IMPORT.
 *
 * An export is one JSON text (RFC 8259, UTF-8) from which DO.IMPORT makes the same object, here or
 * on another server. Only the first field must be there, the order of fields does not matter, a
 * field that is not listed is refused. Times are milliseconds since 1970-01-01 UTC.
 *
 *   { "holdfast-object": 1,                              the version of the format
 *     "class": "Counter", "id": "a",                     what it was; DO.IMPORT's arguments count
 *     "values": [ [key, value], ... ],                   in byte order of the keys
 *     "alarm": { "at": ms, "due": ms, "tries": n },      due: when it runs next, if that is a
 *                                                        retry; tries: how many have failed
 *     "schedules": [ { "name": text, "every": ms or "cron": line, "method": text,
 *                      "argument": value, "next": ms, "due": ms, "tries": n }, ... ],
 *     "life": { "expires": ms, "sliding": ms } }         sliding: how long each use makes it again
 *
 * Keys, ids and strings are JSON strings when they are UTF-8, else {"base64": text}. A value is
 *
 *   a string, true, false
 *   12         an integer of 64 bits           1.5, 1.0, 1e300   a float: with a point or exponent
 *   {"float": "inf"}                           or "-inf", "nan", "-nan"
 *   [ ... ]    a table of the keys 1 to n      null in it, and alone: json.null
 *   {"items": [ ... ], "pairs": [ [key, value], ... ]}   any other table: its keys 1 to n, if it
 *                                              has such, and the rest; "object" in place of
 *                                              "pairs": one that is a JSON object
 *
 * An import is read and judged whole before the object is entered; its writes are one change. Both
 * go value by value and pause on the way: a value by itself is bounded by LIMIT_JSON_VALUES.
 *
 * Threads: the turn's; DO.NEWID its connection's loop.
 */
#include "object/commands.h"

#include "base/cron.h"
#include "base/random.h"
#include "config/config.h"
#include "object/objects.h"
#include "object/transfer_text.h"
#include "request/options.h"

/* jansson's macro; src/json has a function of the name. */
#undef json_is_object
#include "json/json.h"
#include "json/json_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FORMAT_VERSION 1
#define ID_BYTES       16

/* An object on its way out: the reply is the text, and gets its length in front at the end. */
struct export
{
	struct buffer *text;
	size_t bytes_max;
	bool first; /* of a list */
	bool fits;
	bool entered;
	struct slice last; /* key that has been written; data NULL: none */
};

struct import_value {
	struct slice key;
	struct value value;
};

/* An object on its way in: all of it in the request's arena, from turn to turn. */
struct import {
	struct turn *turn;
	char place[64]; /* what is being read, for errors */
	struct slice text;
	struct slice rest; /* of the array of values; data NULL: nothing has been read */
	bool is_read;
	bool entered;
	struct import_value *values;
	size_t value_count;
	size_t written; /* values */
	struct schedule *schedules;
	uint32_t schedule_count;
	int64_t alarm_ms; /* 0: none */
	int64_t alarm_due_ms;
	int64_t alarm_tries;
	int64_t expire_ms; /* 0: never */
	int64_t sliding_ms;
};

static void write_begin(struct export *export, const struct storage *storage);
static bool write_values(struct export *export, struct turn *turn, struct storage *storage);
static void write_end(struct export *export, struct storage *storage);
static bool read_object(struct import *import);
static bool write_import(struct storage *storage, struct import *import);

void do_newid(struct connection *connection, struct request *request)
{
	struct writer writer = { .out = &request->reply, .protocol = request->asked.protocol };
	unsigned char bytes[ID_BYTES];
	char text[2 * ID_BYTES + 1];
	random_entropy(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	writer_bulk_text(&writer, text);
}

static size_t export_bytes_max(const struct turn *turn)
{
	uint64_t value_bytes_max = (uint64_t)turn->config->value_bytes_max;
	return value_bytes_max < LIMIT_JSON_BYTES ? value_bytes_max : LIMIT_JSON_BYTES;
}

/* The reply so far becomes a bulk string. */
static void head_bulk(struct turn *turn)
{
	char head[32];
	int size = snprintf(head, sizeof(head), "$%zu\r\n", turn->writer.out->size);
	buffer_prepend(turn->writer.out, head, (size_t)size);
	buffer_append_text(turn->writer.out, "\r\n");
}

void do_export(struct turn *turn)
{
	struct storage storage;
	struct export *export = turn_state(turn, sizeof(*export));
	bool begins = !export->entered;
	if (!objects_enter_or_go_on(turn, &export->entered, OBJECTS_LOOK, &storage))
		return;
	export->text = turn->writer.out;
	export->bytes_max = export_bytes_max(turn);
	if (!record_exists(&storage.record)) {
		writer_null(&turn->writer);
	} else {
		if (begins)
			write_begin(export, &storage);
		if (!write_values(export, turn, &storage)) {
			write_end(export, &storage);
			if (!export->fits || export->text->size > export->bytes_max)
				turn_error(turn, ERROR_EXPORT_SIZE, export->bytes_max);
			else
				head_bulk(turn);
		}
	}
	objects_leave(turn, &storage);
}

void do_import(struct turn *turn)
{
	bool replace;
	struct import *import = turn_state(turn, sizeof(*import));
	struct storage storage;
	if (!options_flag(turn, 4, "replace", &replace))
		return;
	import->turn = turn;
	import->text = turn_argument(turn, 3);
	bool begins = !import->entered;
	if (!read_object(import) ||
		!objects_enter_or_go_on(turn, &import->entered, OBJECTS_WRITE, &storage))
		return;
	if (begins && record_exists(&storage.record) && !replace)
		turn_error(turn, ERROR_OBJECT_EXISTS);
	else if (write_import(&storage, import))
		writer_ok(&turn->writer);
	objects_leave(turn, &storage);
}

/* --- out -------------------------------------------------------------------------------------- */

static void separate(struct export *export)
{
	if (!export->first)
		buffer_append_text(export->text, ",");
	export->first = false;
}

static void write_field(struct export *export, const char *name, int64_t number)
{
	separate(export);
	buffer_format(export->text, "\"%s\":%lld", name, (long long)number);
}

static void write_text_field(struct export *export, const char *name, struct slice text)
{
	separate(export);
	buffer_format(export->text, "\"%s\":", name);
	transfer_write_string(export->text, text, SIZE_MAX);
}

static void write_begin(struct export *export, const struct storage *storage)
{
	export->fits = true;
	export->first = true;
	buffer_append_text(export->text, "{");
	write_field(export, "holdfast-object", FORMAT_VERSION);
	write_text_field(export, "class", storage->name.class_name);
	write_text_field(export, "id", storage->name.id);
	buffer_append_text(export->text, ",\"values\":[");
	export->first = true;
}

/* From where the last turn ended. True: the turn pauses, and there may be more. */
static bool write_values(struct export *export, struct turn *turn, struct storage *storage)
{
	struct collection_walk walk;
	struct collection_range range = { .start_after = export->last, .pauses = true };
	struct slice key;
	struct value value;
	bool more = true;
	if (turn_makes_order(turn, storage->shard, TABLE_PART))
		return true;
	storage_walk(&walk, storage, &range);
	struct turn_mark mark = turn_mark(turn);
	while (export->fits && !turn_pauses(turn)) {
		more = storage_walk_next(storage, &walk, &key, &value);
		if (!more)
			break;
		separate(export);
		buffer_append_text(export->text, "[");
		transfer_write_string(export->text, key, export->bytes_max);
		buffer_append_text(export->text, ",");
		export->fits = transfer_write_value(export->text, &value, export->bytes_max);
		buffer_append_text(export->text, "]");
		turn_rewind(turn, &mark);
	}
	more = export->fits && collection_walk_pause(&walk, more, &export->last);
	collection_walk_close(&walk);
	return more;
}

static void write_alarm(struct export *export, const struct object_record *record)
{
	buffer_append_text(export->text, ",\"alarm\":{");
	export->first = true;
	write_field(export, "at", record->alarm_ms);
	if (record->alarm_due_ms != record->alarm_ms)
		write_field(export, "due", record->alarm_due_ms);
	if (record->alarm_tries != 0)
		write_field(export, "tries", record->alarm_tries);
	buffer_append_text(export->text, "}");
}

static bool write_schedule(void *context, const struct schedule *schedule)
{
	struct export *export = context;
	separate(export);
	buffer_append_text(export->text, "{");
	export->first = true;
	write_text_field(export, "name", schedule->name);
	if (schedule->cron.size > 0)
		write_text_field(export, "cron", schedule->cron);
	else
		write_field(export, "every", schedule->every_ms);
	write_text_field(export, "method", schedule->method);
	if (schedule->argument.size > 0) {
		buffer_append_text(export->text, ",\"argument\":");
		export->fits =
			transfer_write_packed(export->text, schedule->argument, export->bytes_max);
	}
	write_field(export, "next", schedule->next_ms);
	if (schedule->due_ms != schedule->next_ms)
		write_field(export, "due", schedule->due_ms);
	if (schedule->tries != 0)
		write_field(export, "tries", schedule->tries);
	buffer_append_text(export->text, "}");
	return export->fits;
}

static void write_life(struct export *export, const struct object_record *record)
{
	buffer_append_text(export->text, ",\"life\":{");
	export->first = true;
	write_field(export, "expires", record->expire_ms);
	if (record->life_ms != 0)
		write_field(export, "sliding", record->life_ms);
	buffer_append_text(export->text, "}");
}

static void write_end(struct export *export, struct storage *storage)
{
	const struct object_record *record = &storage->record;
	if (!export->fits)
		return;
	buffer_append_text(export->text, "]");
	export->first = false;
	if (record->alarm_ms != 0)
		write_alarm(export, record);
	if (record->schedules > 0) {
		buffer_append_text(export->text, ",\"schedules\":[");
		export->first = true;
		storage_each_schedule(storage, write_schedule, export);
		buffer_append_text(export->text, "]");
	}
	if (record->expire_ms != 0)
		write_life(export, record);
	buffer_append_text(export->text, "}");
}

/* --- in --------------------------------------------------------------------------------------- */

/* Answers with an error that names what was being read. Returns false. */
__attribute__((format(printf, 2, 3))) static bool wrong(
	struct import *import, const char *format, ...)
{
	char why[384], text[LIMIT_ERROR_BYTES];
	va_list list;
	va_start(list, format);
	vsnprintf(why, sizeof(why), format, list);
	va_end(list);
	snprintf(text, sizeof(text), "%s%s%s", import->place, import->place[0] ? ": " : "", why);
	turn_error(import->turn, ERROR_IMPORT, text);
	return false;
}

/* Of what has been found to be JSON. NULL: answered with an error. */
static json_t *parse(struct import *import, struct slice text)
{
	static const struct json_bounds bounds = { LIMIT_IMPORT_DEPTH, LIMIT_JSON_VALUES, false };
	json_error_t error;
	if (!json_check_within(text, &bounds, NULL)) {
		wrong(import, "there are more than %d values in it", LIMIT_JSON_VALUES);
		return NULL;
	}
	json_t *json = transfer_parse(text, &error);
	if (json == NULL)
		wrong(import, "%s", error.text);
	return json;
}

/* An object with no other fields than these. */
static bool check_fields(struct import *import, json_t *json, const char *const *names)
{
	if (json_typeof(json) != JSON_OBJECT)
		return wrong(import, "is not an object");
	const char *name;
	json_t *value;
	json_object_foreach(json, name, value)
	{
		const char *const *known = names;
		while (*known && strcmp(*known, name) != 0)
			known++;
		if (*known == NULL)
			return wrong(import, "field \"%.64s\" is unknown", name);
	}
	return true;
}

/* A field from `least` to `most`; `fallback` when it is left out, unless that is negative. */
static bool read_integer(struct import *import, json_t *json, const char *name, int64_t least,
	int64_t most, int64_t fallback, int64_t *out)
{
	json_t *field = json_object_get(json, name);
	*out = field ? json_integer_value(field) : fallback;
	if (field == NULL && fallback >= 0)
		return true;
	if (json_is_integer(field) && *out >= least && *out <= most)
		return true;
	return wrong(import, "field \"%s\" is not an integer from %lld to %lld", name,
		(long long)least, (long long)most);
}

/* A field that is a string of `least` to `most` bytes; left out it is empty. */
static bool read_text(struct import *import, json_t *json, const char *name, size_t least,
	size_t most, struct slice *out)
{
	json_t *field = json_object_get(json, name);
	const char *why;
	*out = slice_of("", 0);
	if (field && !transfer_read_string(field, turn_arena(import->turn), out, &why))
		return wrong(import, "field \"%s\" %s", name, why);
	if (out->size >= least && out->size <= most)
		return true;
	return wrong(import, "field \"%s\" is not %zu to %zu bytes long", name, least, most);
}

/* An array, or nothing. */
static bool check_array(struct import *import, json_t *json)
{
	return json == NULL || json_is_array(json) || wrong(import, "is not an array");
}

/* What most keys and values are. */
static bool read_plain(struct import *import, struct slice text, struct slice *out)
{
	if (*text.data != '"')
		return false;
	struct slice inside = slice_of(text.data + 1, text.size - 2);
	if (inside.size == 0 || !memchr(inside.data, '\\', inside.size)) {
		*out = inside;
		return true;
	}
	struct json_item item = { .kind = JSON_ITEM_STRING, .text = inside, .escaped = true };
	struct buffer scratch;
	buffer_init(&scratch);
	*out = arena_copy(turn_arena(import->turn), json_item_text(&item, &scratch));
	buffer_fini(&scratch);
	return true;
}

static bool read_key(struct import *import, struct slice text, struct slice *out)
{
	const char *why = NULL;
	if (!read_plain(import, text, out)) {
		json_t *json = parse(import, text);
		bool good = json && transfer_read_string(json, turn_arena(import->turn), out, &why);
		json_decref(json);
		if (!good)
			return why && wrong(import, "the key %s", why);
	}
	if (out->size == 0 || out->size > LIMIT_KEY_BYTES)
		return wrong(import, "the key is not 1 to %d bytes long", LIMIT_KEY_BYTES);
	return true;
}

static bool read_value(struct import *import, struct slice text, struct value *out)
{
	int64_t most = import->turn->config->value_bytes_max;
	const char *why = NULL;
	*out = (struct value){ .type = VALUE_BYTES };
	if (!read_plain(import, text, &out->data)) {
		json_t *json = parse(import, text);
		bool good = json && transfer_read_value(json, turn_arena(import->turn), out, &why);
		json_decref(json);
		if (!good)
			return why && wrong(import, "the value %s", why);
	}
	if (out->data.size > (uint64_t)most)
		return wrong(import, "the value of %zu bytes exceeds max-value-size (%lld)",
			out->data.size, (long long)most);
	return true;
}

static bool read_pair(struct import *import, struct slice pair, struct import_value *out)
{
	struct slice key, value, more;
	if (*pair.data != '[' || !json_element(&pair, &key) || !json_element(&pair, &value) ||
		json_element(&pair, &more))
		return wrong(import, "is not [key, value]");
	return read_key(import, key, &out->key) && read_value(import, value, &out->value);
}

static int compare_values(const void *a, const void *b)
{
	const struct import_value *first = a, *second = b;
	return slice_compare(first->key, second->key);
}

static bool check_values(struct import *import, json_t *json)
{
	strcpy(import->place, "values");
	return check_array(import, json);
}

/* For the elements of the array. */
static void make_room(struct import *import, struct slice array)
{
	struct slice rest = array, element;
	size_t count = 0;
	while (json_element(&rest, &element))
		count++;
	import->values = arena_alloc(turn_arena(import->turn), count * sizeof(*import->values));
	import->rest = array;
}

static bool read_element(struct import *import, struct slice element)
{
	snprintf(import->place, sizeof(import->place), "values[%zu]", import->value_count);
	bool good = read_pair(import, element, &import->values[import->value_count]);
	import->value_count += good;
	return good;
}

static bool check_keys(struct import *import)
{
	size_t count = import->value_count;
	if (count > 1)
		qsort(import->values, count, sizeof(*import->values), compare_values);
	strcpy(import->place, "values");
	for (size_t i = 1; i < count; i++)
		if (slice_equal(import->values[i].key, import->values[i - 1].key))
			return wrong(import, "a key is there twice");
	return true;
}

/* From where the last turn ended; false: it is wrong, or the turn pauses. */
static bool read_values(struct import *import)
{
	struct slice element, rest = import->rest;
	while (json_element(&rest, &element)) {
		if (turn_pauses(import->turn) || !read_element(import, element))
			return false;
		import->rest = rest;
	}
	return check_keys(import);
}

static bool read_alarm(struct import *import, json_t *json)
{
	static const char *const names[] = { "at", "due", "tries", NULL };
	strcpy(import->place, "alarm");
	if (json == NULL)
		return true;
	return check_fields(import, json, names) &&
		read_integer(import, json, "at", 1, INT64_MAX, -1, &import->alarm_ms) &&
		read_integer(import, json, "due", 1, INT64_MAX, import->alarm_ms,
			&import->alarm_due_ms) &&
		read_integer(import, json, "tries", 0, UINT32_MAX, 0, &import->alarm_tries);
}

/* Either a cron line or an interval. */
static bool read_times(struct import *import, json_t *json, struct schedule *out)
{
	struct cron cron;
	char error[128];
	bool has_cron = json_object_get(json, "cron") != NULL;
	bool has_every = json_object_get(json, "every") != NULL;
	if (has_cron == has_every)
		return wrong(import, "has not one of \"cron\" and \"every\"");
	if (has_every)
		return read_integer(import, json, "every", LIMIT_SCHEDULE_EVERY_LEAST_MS,
			LIMIT_LIFE_S * 1000, -1, &out->every_ms);
	if (!read_text(import, json, "cron", 1, LIMIT_INLINE_BYTES, &out->cron))
		return false;
	if (cron_parse(out->cron, &cron, error, sizeof(error)) < 0)
		return wrong(import, "field \"cron\": %s", error);
	return true;
}

static bool read_argument(struct import *import, json_t *json, struct schedule *out)
{
	json_t *field = json_object_get(json, "argument");
	const char *why;
	if (field == NULL)
		return true;
	if (!transfer_read_packed(field, turn_arena(import->turn), &out->argument, &why))
		return wrong(import, "field \"argument\" %s", why);
	if (out->argument.size > (uint64_t)import->turn->config->value_bytes_max)
		return wrong(import, "field \"argument\" exceeds max-value-size");
	return true;
}

static bool read_schedule(struct import *import, json_t *json, struct schedule *out)
{
	static const char *const names[] = { "name", "cron", "every", "method", "argument", "next",
		"due", "tries", NULL };
	int64_t tries;
	*out = (struct schedule){ 0 };
	if (!check_fields(import, json, names) ||
		!read_text(import, json, "name", 1, LIMIT_SCHEDULE_NAME_BYTES, &out->name) ||
		!read_text(import, json, "method", 1, LIMIT_CLASS_NAME_BYTES, &out->method) ||
		!read_times(import, json, out) || !read_argument(import, json, out) ||
		!read_integer(import, json, "next", 1, INT64_MAX, -1, &out->next_ms) ||
		!read_integer(import, json, "due", 1, INT64_MAX, out->next_ms, &out->due_ms) ||
		!read_integer(import, json, "tries", 0, UINT32_MAX, 0, &tries))
		return false;
	out->tries = (uint32_t)tries;
	for (uint32_t i = 0; i < import->schedule_count; i++)
		if (slice_equal(import->schedules[i].name, out->name))
			return wrong(import, "the name is there twice");
	return true;
}

static bool read_schedules(struct import *import, json_t *json)
{
	size_t count = json_array_size(json);
	strcpy(import->place, "schedules");
	if (!check_array(import, json))
		return false;
	if (count > LIMIT_SCHEDULES)
		return wrong(import, "there are more than %d", LIMIT_SCHEDULES);
	import->schedules =
		arena_alloc(turn_arena(import->turn), count * sizeof(*import->schedules));
	for (size_t i = 0; i < count; i++) {
		snprintf(import->place, sizeof(import->place), "schedules[%zu]", i);
		if (!read_schedule(import, json_array_get(json, i), &import->schedules[i]))
			return false;
		import->schedule_count++;
	}
	return true;
}

static bool read_life(struct import *import, json_t *json)
{
	static const char *const names[] = { "expires", "sliding", NULL };
	int64_t now_ms = import->turn->now_ms, most_ms = LIMIT_LIFE_S * 1000;
	strcpy(import->place, "life");
	if (json == NULL)
		return true;
	if (!check_fields(import, json, names) ||
		!read_integer(
			import, json, "expires", 1, now_ms + most_ms, -1, &import->expire_ms) ||
		!read_integer(import, json, "sliding", 1, most_ms, 0, &import->sliding_ms))
		return false;
	return import->expire_ms > now_ms || wrong(import, "it has ended");
}

static bool read_fields(struct import *import, json_t *json)
{
	static const char *const names[] = { "holdfast-object", "class", "id", "values", "alarm",
		"schedules", "life", NULL };
	int64_t version;
	struct slice unused;
	return check_fields(import, json, names) &&
		read_integer(import, json, "holdfast-object", FORMAT_VERSION, FORMAT_VERSION, -1,
			&version) &&
		read_text(import, json, "class", 0, LIMIT_CLASS_NAME_BYTES, &unused) &&
		read_text(import, json, "id", 0, LIMIT_KEY_BYTES, &unused) &&
		check_values(import, json_object_get(json, "values")) &&
		read_alarm(import, json_object_get(json, "alarm")) &&
		read_schedules(import, json_object_get(json, "schedules")) &&
		read_life(import, json_object_get(json, "life"));
}

/* The text with an empty array in place of the values. */
static struct slice text_without(struct import *import, struct slice values)
{
	struct slice text = import->text;
	size_t before = (size_t)(values.data - text.data), after = before + values.size;
	char *memory = arena_alloc(turn_arena(import->turn), text.size - values.size + 2);
	memcpy(memory, text.data, before);
	memcpy(memory + before, "[]", 2);
	memcpy(memory + before + 2, text.data + after, text.size - after);
	return slice_of(memory, text.size - values.size + 2);
}

/* All but the values, of which it is known then where they stand. */
static bool read_parts(struct import *import)
{
	static const struct json_bounds any = { LIMIT_IMPORT_DEPTH, SIZE_MAX, false };
	struct json_error error;
	struct slice text = import->text, values = slice_text("[]");
	if (text.size > LIMIT_JSON_BYTES)
		return wrong(import, "the text of %zu bytes is longer than %zu", text.size,
			LIMIT_JSON_BYTES);
	if (!json_check_within(text, &any, &error))
		return wrong(import, "at byte %zu: %s", error.position, error.why);
	if (!json_find(text, slice_text("values"), &values) || *values.data != '[')
		values = slice_text("[]");
	else
		text = text_without(import, values);
	json_t *json = parse(import, text);
	bool good = json && read_fields(import, json);
	json_decref(json);
	if (good)
		make_room(import, values);
	return good;
}

/* False: answered with an error, or the turn pauses. */
static bool read_object(struct import *import)
{
	if (import->is_read)
		return true;
	if (import->rest.data == NULL && !read_parts(import))
		return false;
	import->is_read = read_values(import);
	return import->is_read;
}

/* A life goes on from where it was: storage_expire files its end, then a use makes it longer. */
static void write_times(struct storage *storage, const struct import *import)
{
	if (import->alarm_ms != 0) {
		storage_set_alarm(storage, import->alarm_ms);
		if (import->alarm_tries > 0 || import->alarm_due_ms != import->alarm_ms)
			storage_retry_alarm(storage, import->alarm_due_ms,
				(uint32_t)import->alarm_tries, slice_of(NULL, 0));
	}
	for (uint32_t i = 0; i < import->schedule_count; i++)
		storage_set_schedule(storage, &import->schedules[i]);
	if (import->expire_ms != 0) {
		storage_expire(storage, import->expire_ms - import->turn->now_ms, false);
		storage->record.life_ms = import->sliding_ms;
	}
}

/* False: the turn pauses. */
static bool write_import(struct storage *storage, struct import *import)
{
	if (import->written == 0)
		storage_delete_all(storage, false);
	for (; import->written < import->value_count; import->written++) {
		if (turn_pauses(import->turn))
			return false;
		struct import_value *value = &import->values[import->written];
		storage_put(storage, value->key, &value->value);
	}
	write_times(storage, import);
	return true;
}
