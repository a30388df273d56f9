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
 * An import is read and judged whole before the object is entered; its writes are one change.
 *
 * Threads: the turn's; DO.NEWID its connection's loop.
 */
#include "object/commands.h"

#include "base/cron.h"
#include "base/random.h"
#include "config/config.h"
#include "object/objects.h"
#include "object/transfer_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FORMAT_VERSION 1
#define ID_BYTES       16

/* An object on its way out. */
struct export
{
	struct buffer text;
	size_t bytes_max;
	bool first; /* of a list */
};

struct import_value {
	struct slice key;
	struct value value;
};

/* An object on its way in: all of it in the request's arena. */
struct import {
	struct turn *turn;
	char place[64]; /* what is being read, for errors */
	struct import_value *values;
	size_t value_count;
	struct schedule *schedules;
	uint32_t schedule_count;
	int64_t alarm_ms; /* 0: none */
	int64_t alarm_due_ms;
	int64_t alarm_tries;
	int64_t expire_ms; /* 0: never */
	int64_t sliding_ms;
};

static bool write_object(struct export *export, struct storage *storage);
static bool read_object(struct import *import, struct slice text);
static void write_import(struct storage *storage, const struct import *import);

void do_newid(struct connection *connection, struct request *request)
{
	struct writer writer = { .out = &request->reply, .protocol = request->protocol };
	unsigned char bytes[ID_BYTES];
	char text[2 * ID_BYTES + 1];
	random_entropy(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	writer_bulk_text(&writer, text);
}

void do_export(struct turn *turn)
{
	struct storage storage;
	if (!objects_enter(turn, 1, OBJECTS_LOOK, &storage))
		return;
	int64_t value_bytes_max = turn->config->value_bytes_max;
	struct export export = { .bytes_max = LIMIT_JSON_BYTES };
	if (value_bytes_max < (int64_t) export.bytes_max)
		export.bytes_max = (size_t)value_bytes_max;
	if (!record_exists(&storage.record))
		writer_null(&turn->writer);
	else if (write_object(&export, &storage))
		writer_bulk(&turn->writer, buffer_slice(&export.text));
	else
		turn_error(turn, ERROR_EXPORT_SIZE, export.bytes_max);
	buffer_fini(&export.text);
	objects_leave(turn, &storage);
}

void do_import(struct turn *turn)
{
	uint32_t count = turn->request->argument_count;
	bool replace = count > 4 && slice_is(turn_argument(turn, 4), "replace");
	struct import import = { .turn = turn };
	struct storage storage;
	if (count > (replace ? 5 : 4)) {
		turn_syntax_error(turn, replace ? 5 : 4);
		return;
	}
	if (!read_object(&import, turn_argument(turn, 3)) ||
		!objects_enter(turn, 1, OBJECTS_WRITE, &storage))
		return;
	if (record_exists(&storage.record) && !replace) {
		turn_error(turn, ERROR_OBJECT_EXISTS);
	} else {
		write_import(&storage, &import);
		writer_ok(&turn->writer);
	}
	objects_leave(turn, &storage);
}

/* --- out -----------------------------------------------------------------------------------------
 */

static void separate(struct export *export)
{
	if (!export->first)
		buffer_append_text(&export->text, ",");
	export->first = false;
}

static void write_field(struct export *export, const char *name, int64_t number)
{
	separate(export);
	buffer_format(&export->text, "\"%s\":%lld", name, (long long)number);
}

static void write_text_field(struct export *export, const char *name, struct slice text)
{
	separate(export);
	buffer_format(&export->text, "\"%s\":", name);
	transfer_write_string(&export->text, text);
}

static bool write_values(struct export *export, struct storage *storage)
{
	struct storage_list list;
	struct storage_range range = { 0 };
	struct slice key;
	struct value value;
	bool fits = true;
	buffer_append_text(&export->text, ",\"values\":[");
	export->first = true;
	storage_list_open(&list, storage, &range);
	while (fits && storage_list_next(&list, &key, &value)) {
		separate(export);
		buffer_append_text(&export->text, "[");
		transfer_write_string(&export->text, key);
		buffer_append_text(&export->text, ",");
		transfer_write_value(&export->text, &value);
		buffer_append_text(&export->text, "]");
		fits = export->text.size <= export->bytes_max;
	}
	storage_list_close(&list);
	buffer_append_text(&export->text, "]");
	return fits;
}

static void write_alarm(struct export *export, const struct object_record *record)
{
	buffer_append_text(&export->text, ",\"alarm\":{");
	export->first = true;
	write_field(export, "at", record->alarm_ms);
	if (record->alarm_due_ms != record->alarm_ms)
		write_field(export, "due", record->alarm_due_ms);
	if (record->alarm_tries != 0)
		write_field(export, "tries", record->alarm_tries);
	buffer_append_text(&export->text, "}");
}

static bool write_schedule(void *context, const struct schedule *schedule)
{
	struct export *export = context;
	separate(export);
	buffer_append_text(&export->text, "{");
	export->first = true;
	write_text_field(export, "name", schedule->name);
	if (schedule->cron.size > 0)
		write_text_field(export, "cron", schedule->cron);
	else
		write_field(export, "every", schedule->every_ms);
	write_text_field(export, "method", schedule->method);
	if (schedule->argument.size > 0) {
		buffer_append_text(&export->text, ",\"argument\":");
		transfer_write_packed(&export->text, schedule->argument);
	}
	write_field(export, "next", schedule->next_ms);
	if (schedule->due_ms != schedule->next_ms)
		write_field(export, "due", schedule->due_ms);
	if (schedule->tries != 0)
		write_field(export, "tries", schedule->tries);
	buffer_append_text(&export->text, "}");
	return export->text.size <= export->bytes_max;
}

static void write_life(struct export *export, const struct object_record *record)
{
	buffer_append_text(&export->text, ",\"life\":{");
	export->first = true;
	write_field(export, "expires", record->expire_ms);
	if (record->life_ms != 0)
		write_field(export, "sliding", record->life_ms);
	buffer_append_text(&export->text, "}");
}

/* False: it is too large. */
static bool write_object(struct export *export, struct storage *storage)
{
	const struct object_record *record = &storage->record;
	export->first = true;
	buffer_append_text(&export->text, "{");
	write_field(export, "holdfast-object", FORMAT_VERSION);
	write_text_field(export, "class", storage->name.class_name);
	write_text_field(export, "id", storage->name.id);
	if (!write_values(export, storage))
		return false;
	if (record->alarm_ms != 0)
		write_alarm(export, record);
	if (record->schedules > 0) {
		buffer_append_text(&export->text, ",\"schedules\":[");
		export->first = true;
		storage_each_schedule(storage, write_schedule, export);
		buffer_append_text(&export->text, "]");
	}
	if (record->expire_ms != 0)
		write_life(export, record);
	buffer_append_text(&export->text, "}");
	return export->text.size <= export->bytes_max;
}

/* --- in ------------------------------------------------------------------------------------------
 */

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

/* An object with no other fields than these. */
static bool check_fields(struct import *import, json_t *json, const char *const *names)
{
	if (!json_is_object(json))
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

static bool read_pair(struct import *import, json_t *pair, struct import_value *out)
{
	struct arena *arena = turn_arena(import->turn);
	int64_t most = import->turn->config->value_bytes_max;
	const char *why;
	if (!json_is_array(pair) || json_array_size(pair) != 2)
		return wrong(import, "is not [key, value]");
	if (!transfer_read_string(json_array_get(pair, 0), arena, &out->key, &why))
		return wrong(import, "the key %s", why);
	if (out->key.size == 0 || out->key.size > LIMIT_KEY_BYTES)
		return wrong(import, "the key is not 1 to %d bytes long", LIMIT_KEY_BYTES);
	if (!transfer_read_value(json_array_get(pair, 1), arena, &out->value, &why))
		return wrong(import, "the value %s", why);
	if (out->value.data.size > (uint64_t)most)
		return wrong(import, "the value of %zu bytes exceeds max-value-size (%lld)",
			out->value.data.size, (long long)most);
	return true;
}

static int compare_values(const void *a, const void *b)
{
	const struct import_value *first = a, *second = b;
	return slice_compare(first->key, second->key);
}

static bool read_values(struct import *import, json_t *json)
{
	size_t count = json_array_size(json);
	strcpy(import->place, "values");
	if (!check_array(import, json))
		return false;
	import->values = arena_alloc(turn_arena(import->turn), count * sizeof(*import->values));
	import->value_count = count;
	for (size_t i = 0; i < count; i++) {
		snprintf(import->place, sizeof(import->place), "values[%zu]", i);
		if (!read_pair(import, json_array_get(json, i), &import->values[i]))
			return false;
	}
	if (count > 1)
		qsort(import->values, count, sizeof(*import->values), compare_values);
	strcpy(import->place, "values");
	for (size_t i = 1; i < count; i++)
		if (slice_equal(import->values[i].key, import->values[i - 1].key))
			return wrong(import, "a key is there twice");
	return true;
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

static bool read_parts(struct import *import, json_t *json)
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
		read_values(import, json_object_get(json, "values")) &&
		read_alarm(import, json_object_get(json, "alarm")) &&
		read_schedules(import, json_object_get(json, "schedules")) &&
		read_life(import, json_object_get(json, "life"));
}

/* False: answered with an error. */
static bool read_object(struct import *import, struct slice text)
{
	json_error_t error;
	if (text.size > LIMIT_JSON_BYTES)
		return wrong(import, "the text of %zu bytes is longer than %zu", text.size,
			LIMIT_JSON_BYTES);
	json_t *json = transfer_parse(text, &error);
	if (json == NULL)
		return wrong(import, "at byte %d: %s", error.position, error.text);
	bool good = read_parts(import, json);
	json_decref(json);
	return good;
}

/* A life goes on from where it was: storage_expire files its end, then a use makes it longer. */
static void write_import(struct storage *storage, const struct import *import)
{
	storage_delete_all(storage, false);
	for (size_t i = 0; i < import->value_count; i++)
		storage_put(storage, import->values[i].key, &import->values[i].value);
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
