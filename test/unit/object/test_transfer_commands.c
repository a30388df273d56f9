/*
 * DO.EXPORT and DO.IMPORT: what goes out comes in again byte by byte, whatever it is; what is wrong
 * is said with its place and changes nothing; texts that were tampered with are refused or become
 * an object that exports the same again.
 */
#include "object/commands.h"

#include "base/memory.h"
#include "base/random.h"
#include "object/objects.h"
#include "object/packed.h"
#include "support/turn_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHARDS 4

static int set_up(void **state)
{
	struct turn_rig *rig = calloc(1, sizeof(*rig));
	turn_rig_init(rig, SHARDS);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	turn_rig_fini(*state);
	free(*state);
	return 0;
}

/* --- asking ----------------------------------------------------------------------------------- */

static const char *export(struct turn_rig *rig, const char *id)
{
	return turn_rig_run(rig, do_export, "DO.EXPORT", "Box", id, NULL);
}

/* The text of a bulk reply. */
static struct slice bulk(const struct turn_rig *rig)
{
	assert_int_equal(rig->reply[0], '$');
	const char *start = strstr(rig->reply, "\r\n") + 2;
	return slice_of(start, rig->reply_size - (size_t)(start - rig->reply) - 2);
}

static const char *import_slice(
	struct turn_rig *rig, const char *id, struct slice text, const char *option)
{
	struct slice arguments[] = { slice_text("DO.IMPORT"), slice_text("Box"), slice_text(id),
		text, slice_text(option ? option : "") };
	return turn_rig_run_slices(rig, do_import, arguments, option ? 5 : 4);
}

static const char *import(struct turn_rig *rig, const char *id, const char *text)
{
	return import_slice(rig, id, slice_text(text), NULL);
}

static bool dump_schedule(void *context, const struct schedule *schedule)
{
	struct writer *writer = context;
	writer_bulk(writer, schedule->name);
	writer_bulk(writer, schedule->cron);
	writer_integer(writer, schedule->every_ms);
	writer_bulk(writer, schedule->method);
	writer_bulk(writer, schedule->argument);
	writer_integer(writer, schedule->next_ms);
	writer_integer(writer, schedule->due_ms);
	writer_integer(writer, schedule->tries);
	return true;
}

/* All of an object as it is stored. */
static void dump(struct turn *turn)
{
	struct storage storage;
	struct collection_walk walk;
	struct slice key;
	struct value value;
	struct writer *writer = &turn->writer;
	assert_true(objects_enter(turn, 1, OBJECTS_LOOK, &storage));
	const struct object_record *record = &storage.record;
	writer_integer(writer, (int64_t)record->values.count);
	writer_integer(writer, (int64_t)record->values.bytes);
	writer_integer(writer, record->alarm_ms);
	writer_integer(writer, record->alarm_due_ms);
	writer_integer(writer, record->alarm_tries);
	writer_integer(writer, record->expire_ms);
	writer_integer(writer, record->life_ms);
	storage_walk(&walk, &storage, &(struct collection_range){ 0 });
	while (collection_walk_next(&walk, &key, &value)) {
		writer_bulk(writer, key);
		writer_integer(writer, value.type);
		writer_bulk(writer, value.data);
	}
	collection_walk_close(&walk);
	storage_each_schedule(&storage, dump_schedule, writer);
	objects_leave(turn, &storage);
}

static struct slice keep(struct slice bytes)
{
	char *copy = memory_alloc(bytes.size + 1);
	if (bytes.size > 0)
		memcpy(copy, bytes.data, bytes.size);
	copy[bytes.size] = '\0';
	return slice_of(copy, bytes.size);
}

static void drop(struct slice *bytes)
{
	free((void *)(uintptr_t)bytes->data);
	*bytes = slice_of(NULL, 0);
}

static struct slice dumped(struct turn_rig *rig, const char *id)
{
	turn_rig_run(rig, dump, "DUMP", "Box", id, NULL);
	return keep(slice_of(rig->reply, rig->reply_size));
}

static void put(struct turn_rig *rig, const char *id, const char *key, const char *value)
{
	assert_string_equal(
		turn_rig_run(rig, do_put, "DO.PUT", "Box", id, key, value, NULL), "+OK\r\n");
}

/* --- random objects --------------------------------------------------------------------------- */

static struct random *dice;

static struct slice random_bytes(char *out, size_t most)
{
	static const char *const pieces[] = { "a", "key", "\"", "\\", "\n", "/", "\xc3\xa9",
		"\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xff", "\xc0\x80", "\xed\xa0\x80", "" };
	size_t size = 0, wanted = random_below(dice, most + 1);
	bool plain = random_below(dice, 2);
	while (size + 4 <= wanted) {
		const char *piece = pieces[random_below(dice, plain ? 9 : 13)];
		size_t piece_size = *piece ? strlen(piece) : 1; /* the empty one is a zero byte */
		memcpy(out + size, piece, piece_size);
		size += piece_size;
	}
	return slice_of(out, size);
}

static double random_float(void)
{
	static const double special[] = { 0.0, -0.0, 1.0, -1.0, 0.1, 1e300, 5e-324, 1e15, 1e16,
		123456789012345678.0, INFINITY, -INFINITY, NAN, -NAN };
	if (random_below(dice, 2))
		return special[random_below(dice, sizeof(special) / sizeof(special[0]))];
	double value;
	uint64_t bits = random_next(dice);
	memcpy(&value, &bits, sizeof(value));
	return isnan(value) ? 0.5 : value;
}

static void random_key(struct buffer *out)
{
	char bytes[32];
	double value = random_float();
	switch (random_below(dice, 5)) {
	case 0:
		packed_add_integer(out, (int64_t)random_next(dice));
		break;
	case 1:
		packed_add_float(out, isnan(value) ? 2.5 : value);
		break;
	case 2:
		packed_add_boolean(out, random_below(dice, 2));
		break;
	default:
		packed_add_string(out, random_bytes(bytes, sizeof(bytes)));
		break;
	}
}

static void random_value(struct buffer *out, unsigned depth)
{
	static const int64_t integers[] = { 0, 1, -1, INT64_MAX, INT64_MIN, 1ll << 53 };
	char bytes[64];
	uint64_t items = random_below(dice, 4), pairs = random_below(dice, 4);
	switch (random_below(dice, depth < 5 ? 8 : 5)) {
	case 0:
		packed_add_boolean(out, random_below(dice, 2));
		break;
	case 1:
		packed_add_integer(out, integers[random_below(dice, 6)]);
		break;
	case 2:
		packed_add_float(out, random_float());
		break;
	case 3:
		packed_add_string(out, random_bytes(bytes, sizeof(bytes)));
		break;
	case 4:
		packed_add_null(out);
		break;
	default:
		if (random_below(dice, 2))
			packed_add_object(out, items, pairs);
		else
			packed_add_table(out, items, pairs);
		while (items-- > 0)
			random_value(out, depth + 1);
		while (pairs-- > 0) {
			random_key(out);
			random_value(out, depth + 1);
		}
		break;
	}
}

static struct slice random_packed(struct turn *turn)
{
	struct buffer packed;
	buffer_init(&packed);
	random_value(&packed, 0);
	assert_true(packed_is_whole(buffer_slice(&packed)));
	struct slice copy = arena_copy(turn_arena(turn), buffer_slice(&packed));
	buffer_fini(&packed);
	return copy;
}

static void random_schedule(struct storage *storage, int number)
{
	static const char *const lines[] = { "*/30 * * * *", "0 3 * * mon" };
	char name[32];
	snprintf(name, sizeof(name), "schedule %d", number);
	struct slice kept_name = arena_copy(turn_arena(storage->turn), slice_text(name));
	int64_t next_ms = storage->turn->now_ms + 1 + (int64_t)random_below(dice, 1000000);
	struct schedule schedule = {
		.name = kept_name,
		.method = slice_text(number % 2 ? "poll" : "_tidy2"),
		.next_ms = next_ms,
		.due_ms = next_ms,
	};
	if (random_below(dice, 2))
		schedule.cron = slice_text(lines[random_below(dice, 2)]);
	else
		schedule.every_ms = 100 + (int64_t)random_below(dice, 1000000);
	if (random_below(dice, 2))
		schedule.argument = random_packed(storage->turn);
	if (random_below(dice, 3) == 0) {
		schedule.tries = (uint32_t)random_below(dice, 7);
		schedule.due_ms += 2000;
	}
	assert_true(storage_set_schedule(storage, &schedule));
}

static void random_life(struct storage *storage)
{
	storage_expire(
		storage, 100000 + (int64_t)random_below(dice, 1000000), random_below(dice, 2));
	/* Used a while ago. */
	if (storage->record.life_ms && random_below(dice, 2))
		storage->record.life_ms += 5000;
}

static void make_random(struct turn *turn)
{
	struct storage storage;
	assert_true(objects_enter(turn, 1, OBJECTS_WRITE, &storage));
	storage_delete_all(&storage, false);
	char bytes[64] = "k";
	for (uint64_t left = random_below(dice, 12); left > 0; left--) {
		struct slice key = random_bytes(bytes + 1, sizeof(bytes) - 1);
		key = slice_of(bytes, key.size + 1);
		struct value value = { .type = VALUE_PACKED, .data = random_packed(turn) };
		if (random_below(dice, 2) || value.data.data[0] == PACKED_STRING) {
			char text[64];
			value.type = VALUE_BYTES;
			value.data = arena_copy(turn_arena(turn), random_bytes(text, sizeof(text)));
		}
		storage_put(&storage, key, &value);
	}
	int64_t at_ms = turn->now_ms + 1 + (int64_t)random_below(dice, 100000);
	if (random_below(dice, 2))
		storage_set_alarm(&storage, at_ms);
	if (storage.record.alarm_ms && random_below(dice, 2))
		storage_retry_alarm(&storage, at_ms + 2000, 1 + (uint32_t)random_below(dice, 6),
			slice_of(NULL, 0));
	for (int left = (int)random_below(dice, 4); left > 0; left--)
		random_schedule(&storage, left);
	if (random_below(dice, 2) && record_exists(&storage.record))
		random_life(&storage);
	objects_leave(turn, &storage);
}

static void what_goes_out_comes_in_again_byte_by_byte(void **state)
{
	struct turn_rig *rig = *state;
	static struct random random;
	random_seed(&random, 11);
	dice = &random;
	for (int round = 0; round < 800; round++) {
		turn_rig_run(rig, make_random, "MAKE", "Box", "a", NULL);
		struct slice before = dumped(rig, "a");
		if (export(rig, "a")[1] == '-') {
			drop(&before);
			continue;
		}
		struct slice text = keep(bulk(rig));
		assert_string_equal(import_slice(rig, "a", text, NULL),
			"-OBJECTEXISTS the object holds data; REPLACE replaces it\r\n");
		if (round % 2)
			turn_rig_run(rig, do_deleteall, "DO.DELETEALL", "Box", "a", NULL);
		else
			turn_rig_run(rig, make_random, "MAKE", "Box", "a", NULL);
		assert_string_equal(import_slice(rig, "a", text, "replace"), "+OK\r\n");
		struct slice after = dumped(rig, "a");
		assert_int_equal(before.size, after.size);
		assert_memory_equal(before.data, after.data, before.size);
		export(rig, "a");
		assert_true(slice_equal(bulk(rig), text));
		drop(&before);
		drop(&after);
		drop(&text);
		if (round % 20 == 0) /* what was deleted stands in the way until then */
			turn_rig_checkpoint(rig);
	}
}

static void a_text_that_was_tampered_with_is_refused_or_becomes_an_object(void **state)
{
	struct turn_rig *rig = *state;
	static struct random random;
	int taken = 0;
	random_seed(&random, 12);
	dice = &random;
	for (int round = 0; round < 3000; round++) {
		static const char bytes[] = "[]{}\",:\\0123456789-.eE+truefalsn\xff\xc3 =";
		turn_rig_run(rig, make_random, "MAKE", "Box", "a", NULL);
		if (export(rig, "a")[1] == '-')
			continue;
		struct slice text = keep(bulk(rig));
		char *changed = (char *)(uintptr_t)text.data;
		for (uint64_t left = 1 + random_below(dice, 3); left > 0; left--)
			changed[random_below(dice, text.size)] =
				bytes[random_below(dice, sizeof(bytes) - 1)];
		if (random_below(dice, 8) == 0)
			text.size = random_below(dice, text.size);
		struct slice before = dumped(rig, "a");
		import_slice(rig, "a", text, "REPLACE");
		if (rig->failed) {
			assert_true(strncmp(rig->reply, "-BADIMPORT ", 11) == 0);
			assert_int_equal(rig->effects, 0);
			struct slice after = dumped(rig, "a");
			assert_true(slice_equal(before, after));
			drop(&after);
		} else if (export(rig, "a")[1] != '-') {
			taken++;
			struct slice again = keep(bulk(rig));
			assert_string_equal(import_slice(rig, "a", again, "REPLACE"), "+OK\r\n");
			export(rig, "a");
			assert_true(slice_equal(bulk(rig), again));
			drop(&again);
		}
		drop(&before);
		drop(&text);
		if (round % 20 == 0)
			turn_rig_checkpoint(rig);
	}
	assert_true(taken > 100);
}

/* --- the format ------------------------------------------------------------------------------- */

static void make_known(struct turn *turn)
{
	struct storage storage;
	assert_true(objects_enter(turn, 1, OBJECTS_WRITE, &storage));
	struct buffer packed;
	buffer_init(&packed);
	packed_add_table(&packed, 4, 2);
	packed_add_integer(&packed, -7);
	packed_add_float(&packed, 1);
	packed_add_null(&packed);
	packed_add_object(&packed, 0, 0);
	packed_add_string(&packed, slice_text("x"));
	packed_add_boolean(&packed, true);
	packed_add_boolean(&packed, false);
	packed_add_float(&packed, -INFINITY);
	struct value bytes = { .type = VALUE_BYTES, .data = slice_of("\xff\0", 2) };
	struct value text = { .type = VALUE_BYTES, .data = slice_of("h\xc3\xa9\0", 4) };
	struct value table = { .type = VALUE_PACKED, .data = buffer_slice(&packed) };
	table.data = arena_copy(turn_arena(turn), table.data);
	buffer_fini(&packed);
	storage_put(&storage, slice_text("a"), &bytes);
	storage_put(&storage, slice_text("b"), &text);
	storage_put(&storage, slice_text("\xfe"), &table);
	storage_set_alarm(&storage, 1800000000000);
	storage_retry_alarm(&storage, 1800000002000, 1, slice_of(NULL, 0));
	struct schedule schedule = {
		.name = slice_text("poll"),
		.every_ms = 1800000,
		.method = slice_text("poll"),
		.next_ms = 1800000000000,
		.due_ms = 1800000000000,
	};
	storage_set_schedule(&storage, &schedule);
	storage_expire(&storage, 60000, true);
	objects_leave(turn, &storage);
}

static void an_export_looks_as_documented(void **state)
{
	struct turn_rig *rig = *state;
	turn_rig_run(rig, make_known, "MAKE", "Box", "id 1", NULL);
	export(rig, "id 1");
	struct slice text = bulk(rig);
	static const char right[] =
		"{\"holdfast-object\":1,\"class\":\"Box\",\"id\":\"id 1\",\"values\":["
		"[\"a\",{\"base64\":\"/wA=\"}],[\"b\",\"h\xc3\xa9\\u0000\"],"
		"[{\"base64\":\"/g==\"},{\"items\":[-7,1.0,null,{\"object\":[]}],\"pairs\":"
		"[[\"x\",true],[false,{\"float\":\"-inf\"}]]}]],"
		"\"alarm\":{\"at\":1800000000000,\"due\":1800000002000,\"tries\":1},"
		"\"schedules\":[{\"name\":\"poll\",\"every\":1800000,\"method\":\"poll\","
		"\"next\":1800000000000}],"
		"\"life\":{\"expires\":1700000060000,\"sliding\":60000}}";
	assert_int_equal(text.size, sizeof(right) - 1);
	assert_memory_equal(text.data, right, text.size);
}

static void an_object_without_data_has_no_export(void **state)
{
	struct turn_rig *rig = *state;
	assert_string_equal(export(rig, "none"), "$-1\r\n");
	put(rig, "a", "k", "v");
	turn_rig_run(rig, do_expire, "DO.EXPIRE", "Box", "a", "10", NULL);
	assert_int_equal(export(rig, "a")[0], '$');
	rig->now_ms += 10000;
	assert_string_equal(export(rig, "a"), "$-1\r\n");
	/* What has ended is not in the way either. */
	assert_string_equal(
		import(rig, "a", "{\"holdfast-object\":1,\"values\":[[\"n\",1]]}"), "+OK\r\n");
	assert_string_equal(turn_rig_run(rig, do_get, "DO.GET", "Box", "a", "k", "n", NULL),
		"*2\r\n$-1\r\n$1\r\n1\r\n");
}

static void an_export_that_no_import_would_take_is_an_error(void **state)
{
	struct turn_rig *rig = *state;
	rig->config.value_bytes_max = 1000;
	char value[600];
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	put(rig, "a", "1", value);
	assert_int_equal(export(rig, "a")[0], '$');
	put(rig, "a", "2", value);
	assert_string_equal(export(rig, "a"),
		"-ERR the export is longer than 1000 bytes, more than DO.IMPORT takes\r\n");
}

static void an_import_replaces_all_of_an_object(void **state)
{
	struct turn_rig *rig = *state;
	turn_rig_run(rig, make_known, "MAKE", "Box", "a", NULL);
	assert_string_equal(
		import_slice(rig, "a", slice_text("{\"holdfast-object\":1}"), "REPLACE"),
		"+OK\r\n");
	assert_string_equal(export(rig, "a"), "$-1\r\n");
	turn_rig_run(rig, make_known, "MAKE", "Box", "a", NULL);
	import_slice(rig, "a", slice_text("{\"values\":[[\"k\",\"v\"]],\"holdfast-object\":1}"),
		"replace");
	export(rig, "a");
	assert_true(slice_equal(bulk(rig),
		slice_text("{\"holdfast-object\":1,\"class\":\"Box\",\"id\":\"a\","
			   "\"values\":[[\"k\",\"v\"]]}")));
}

static void times_that_have_passed_are_now_and_a_life_that_has_is_refused(void **state)
{
	struct turn_rig *rig = *state;
	import(rig, "a", "{\"holdfast-object\":1,\"alarm\":{\"at\":5}}");
	assert_string_equal(turn_rig_run(rig, do_getalarm, "DO.GETALARM", "Box", "a", NULL),
		":1700000000000\r\n");
	assert_string_equal(import(rig, "b",
				    "{\"holdfast-object\":1,\"values\":[[\"a\",1]],"
				    "\"life\":{\"expires\":1700000000000}}"),
		"-BADIMPORT life: it has ended\r\n");
	assert_string_equal(import(rig, "b",
				    "{\"holdfast-object\":1,\"values\":[[\"a\",1]],"
				    "\"life\":{\"expires\":1700000000001}}"),
		"+OK\r\n");
}

/* --- what is wrong ---------------------------------------------------------------------------- */

#define HEAD "{\"holdfast-object\":1,"

static const struct wrong_text {
	const char *text;
	const char *reply;
} wrong_texts[] = {
	{ "", "-BADIMPORT at byte 0: the text ends too early" },
	{ "{\"holdfast-object\":1", "-BADIMPORT at byte 20: the text ends too early" },
	{ "[]", "-BADIMPORT is not an object" },
	{ "{}", "-BADIMPORT field \"holdfast-object\" is not an integer from 1 to 1" },
	{ "{\"holdfast-object\":2}",
		"-BADIMPORT field \"holdfast-object\" is not an integer from 1 to 1" },
	{ HEAD "\"holdfast-object\":1}",
		"-BADIMPORT duplicate object key near '\"holdfast-object\"'" },
	{ HEAD "\"value\":[]}", "-BADIMPORT field \"value\" is unknown" },
	{ HEAD "\"id\":5}", "-BADIMPORT field \"id\" is neither a string nor {\"base64\": ...}" },
	{ HEAD "\"values\":{}}", "-BADIMPORT values: is not an array" },
	{ HEAD "\"values\":[[\"a\",1],[\"b\"]]}", "-BADIMPORT values[1]: is not [key, value]" },
	{ HEAD "\"values\":[[1,1]]}",
		"-BADIMPORT values[0]: the key is neither a string nor {\"base64\": ...}" },
	{ HEAD "\"values\":[[\"\",1]]}",
		"-BADIMPORT values[0]: the key is not 1 to 2048 bytes long" },
	{ HEAD "\"values\":[[\"a\",1],[\"b\",2],[\"a\",3]]}",
		"-BADIMPORT values: a key is there twice" },
	{ HEAD "\"values\":[[\"a\",{}]]}",
		"-BADIMPORT values[0]: the value has an object that is not {\"base64\": ...}, "
		"{\"float\": ...} or {\"items\": [...], \"pairs\" or \"object\": [...]}" },
	{ HEAD "\"values\":[[\"a\",{\"pairs\":[],\"item\":[]}]]}",
		"-BADIMPORT values[0]: the value has an object that is not {\"base64\": ...}, "
		"{\"float\": ...} or {\"items\": [...], \"pairs\" or \"object\": [...]}" },
	{ HEAD "\"values\":[[\"a\",{\"pairs\":[[1]]}]]}",
		"-BADIMPORT values[0]: the value has \"pairs\" that are not [key, value]" },
	{ HEAD "\"values\":[[\"a\",{\"object\":[1]}]]}",
		"-BADIMPORT values[0]: the value has an \"object\" of what is not [key, value]" },
	{ HEAD "\"values\":[[\"a\",{\"object\":[],\"pairs\":[]}]]}",
		"-BADIMPORT values[0]: the value has an object that is not {\"base64\": ...}, "
		"{\"float\": ...} or {\"items\": [...], \"pairs\" or \"object\": [...]}" },
	{ HEAD "\"values\":[[\"a\",{\"pairs\":[[null,1]]}]]}",
		"-BADIMPORT values[0]: the value has a key that no table can have, or tables more "
		"than 64 deep" },
	{ HEAD "\"values\":[[\"a\",{\"pairs\":[[{\"float\":\"nan\"},1]]}]]}",
		"-BADIMPORT values[0]: the value has a key that no table can have, or tables more "
		"than 64 deep" },
	{ HEAD "\"values\":[[\"a\",{\"pairs\":[[[],1]]}]]}",
		"-BADIMPORT values[0]: the value has a key that no table can have, or tables more "
		"than 64 deep" },
	{ HEAD "\"values\":[[\"a\",[{\"float\":\"NaN\"}]]]}",
		"-BADIMPORT values[0]: the value has a \"float\" that is not \"inf\", \"-inf\", "
		"\"nan\" or \"-nan\"" },
	{ HEAD "\"values\":[[\"a\",{\"base64\":\"YQ\"}]]}",
		"-BADIMPORT values[0]: the value has \"base64\" that is not base64 with padding" },
	{ HEAD "\"values\":[[\"a\",{\"base64\":\"YR==\"}]]}",
		"-BADIMPORT values[0]: the value has \"base64\" that is not base64 with padding" },
	{ HEAD "\"values\":[[\"a\",{\"base64\":\" YQ=\"}]]}",
		"-BADIMPORT values[0]: the value has \"base64\" that is not base64 with padding" },
	{ HEAD "\"values\":[[\"a\",{\"base64\":1}]]}",
		"-BADIMPORT values[0]: the value has \"base64\" that is not base64 with padding" },
	{ HEAD "\"values\":[[\"a\",99999999999999999999]]}",
		"-BADIMPORT values[0]: too big integer near '99999999999999999999'" },
	{ HEAD "\"alarm\":5}", "-BADIMPORT alarm: is not an object" },
	{ HEAD "\"alarm\":{}}",
		"-BADIMPORT alarm: field \"at\" is not an integer from 1 to 9223372036854775807" },
	{ HEAD "\"alarm\":{\"at\":0}}",
		"-BADIMPORT alarm: field \"at\" is not an integer from 1 to 9223372036854775807" },
	{ HEAD "\"alarm\":{\"at\":1.5}}",
		"-BADIMPORT alarm: field \"at\" is not an integer from 1 to 9223372036854775807" },
	{ HEAD "\"alarm\":{\"at\":5,\"tries\":-1}}",
		"-BADIMPORT alarm: field \"tries\" is not an integer from 0 to 4294967295" },
	{ HEAD "\"alarm\":{\"at\":5,\"in\":1}}", "-BADIMPORT alarm: field \"in\" is unknown" },
	{ HEAD "\"schedules\":[{}]}",
		"-BADIMPORT schedules[0]: field \"name\" is not 1 to 64 bytes long" },
	{ HEAD "\"schedules\":[{\"name\":\"a\",\"method\":\"m\",\"next\":1}]}",
		"-BADIMPORT schedules[0]: has not one of \"cron\" and \"every\"" },
	{ HEAD "\"schedules\":[{\"name\":\"a\",\"method\":\"m\",\"every\":99,\"next\":1}]}",
		"-BADIMPORT schedules[0]: field \"every\" is not an integer from 100 to 315360000000" },
	{ HEAD "\"schedules\":[{\"name\":\"a\",\"method\":\"m\",\"every\":100}]}",
		"-BADIMPORT schedules[0]: field \"next\" is not an integer from 1 to "
		"9223372036854775807" },
	{ HEAD "\"schedules\":[{\"name\":\"a\",\"method\":\"m\",\"every\":100,\"next\":1},"
	       "{\"name\":\"a\",\"method\":\"m\",\"every\":100,\"next\":1}]}",
		"-BADIMPORT schedules[1]: the name is there twice" },
	{ HEAD "\"schedules\":[{\"name\":\"a\",\"method\":\"m\",\"every\":100,\"next\":1,"
	       "\"argument\":{\"x\":1}}]}",
		"-BADIMPORT schedules[0]: field \"argument\" has an object that is not {\"base64\": "
		"...}, {\"float\": ...} or {\"items\": [...], \"pairs\" or \"object\": [...]}" },
	{ HEAD "\"life\":{\"expires\":99999999999999}}",
		"-BADIMPORT life: field \"expires\" is not an integer from 1 to 2015360000000" },
	{ HEAD "\"life\":{\"expires\":1700000000005,\"sliding\":0}}",
		"-BADIMPORT life: field \"sliding\" is not an integer from 1 to 315360000000" },
};

static void what_is_wrong_is_said_with_its_place_and_changes_nothing(void **state)
{
	struct turn_rig *rig = *state;
	put(rig, "a", "k", "v");
	struct slice before = dumped(rig, "a");
	for (size_t i = 0; i < sizeof(wrong_texts) / sizeof(wrong_texts[0]); i++) {
		char right[512];
		snprintf(right, sizeof(right), "%s\r\n", wrong_texts[i].reply);
		assert_string_equal(
			import_slice(rig, "a", slice_text(wrong_texts[i].text), "REPLACE"), right);
		assert_int_equal(rig->effects, 0);
	}
	struct slice after = dumped(rig, "a");
	assert_true(slice_equal(before, after));
	drop(&before);
	drop(&after);
}

static void a_cron_line_that_is_wrong_is_refused(void **state)
{
	struct turn_rig *rig = *state;
	import(rig, "a",
		HEAD "\"schedules\":[{\"name\":\"a\",\"method\":\"m\",\"cron\":\"61 * * * *\","
		     "\"next\":1}]}");
	assert_non_null(strstr(rig->reply, "-BADIMPORT schedules[0]: field \"cron\": "));
	assert_int_equal(rig->effects, 0);
}

static void add_repeated(struct buffer *out, const char *text, int times)
{
	while (times-- > 0)
		buffer_append_text(out, text);
}

static void limits_are_those_of_other_writes(void **state)
{
	struct turn_rig *rig = *state;
	struct buffer text;
	for (int over = 0; over < 2; over++) {
		buffer_init(&text);
		buffer_append_text(&text, HEAD "\"values\":[[\"");
		add_repeated(&text, "k", LIMIT_KEY_BYTES + over);
		buffer_append_text(&text, "\",");
		add_repeated(&text, "[", LIMIT_PACKED_DEPTH);
		add_repeated(&text, "]", LIMIT_PACKED_DEPTH);
		buffer_append_text(&text, "]]}");
		import_slice(rig, "a", buffer_slice(&text), "REPLACE");
		assert_int_equal(rig->failed, over);
		buffer_fini(&text);

		buffer_init(&text);
		buffer_append_text(&text, HEAD "\"values\":[[\"k\",");
		add_repeated(&text, "[", LIMIT_PACKED_DEPTH + over);
		add_repeated(&text, "]", LIMIT_PACKED_DEPTH + over);
		buffer_append_text(&text, "]]}");
		import_slice(rig, "a", buffer_slice(&text), "REPLACE");
		assert_int_equal(rig->failed, over);
		buffer_fini(&text);

		rig->config.value_bytes_max = 1000;
		buffer_init(&text);
		buffer_append_text(&text, HEAD "\"values\":[[\"k\",\"");
		add_repeated(&text, "v", 1000 + over);
		buffer_append_text(&text, "\"]]}");
		import_slice(rig, "a", buffer_slice(&text), "REPLACE");
		assert_int_equal(rig->failed, over);
		buffer_fini(&text);

		buffer_init(&text);
		buffer_append_text(&text, HEAD "\"schedules\":[");
		for (int i = 0; i < LIMIT_SCHEDULES + over; i++)
			buffer_format(&text,
				"%s{\"name\":\"%d\",\"method\":\"m\",\"every\":100,\"next\":1}",
				i ? "," : "", i);
		buffer_append_text(&text, "]}");
		import_slice(rig, "a", buffer_slice(&text), "REPLACE");
		assert_int_equal(rig->failed, over);
		buffer_fini(&text);
	}
	buffer_init(&text);
	add_repeated(&text, "                                ", (int)(LIMIT_JSON_BYTES / 32) + 1);
	import_slice(rig, "a", buffer_slice(&text), NULL);
	assert_non_null(strstr(rig->reply, "-BADIMPORT the text of "));
	buffer_fini(&text);
}

/* Many values take many turns, on both ways and with others behind them. */
static void a_large_object_goes_out_and_in_with_pauses(void **state)
{
	struct turn_rig *rig = *state;
	enum { VALUES = 3 * LIMIT_TURN_STEPS };
	struct buffer text;
	buffer_init(&text);
	buffer_append_text(&text, "{\"values\" : [ ");
	for (int i = VALUES; i-- > 0;)
		buffer_format(&text, "[\"%07d\" ,[%d]]%s", i, i, i ? " , " : "");
	buffer_append_text(&text, "],\"alarm\":{\"at\":1800000000000},\"holdfast-object\":1}");
	assert_string_equal(import_slice(rig, "a", buffer_slice(&text), NULL), "+OK\r\n");
	assert_in_range(rig->turns, 6, 8);
	export(rig, "a");
	assert_in_range(rig->turns, 4, 5);
	struct slice out = bulk(rig);
	assert_non_null(strstr(out.data, "[\"0000000\",[0]],[\"0000001\",[1]],"));
	assert_non_null(
		strstr(out.data, "[\"0012287\",[12287]]],\"alarm\":{\"at\":1800000000000}}"));
	struct slice first = keep(out);
	assert_string_equal(import_slice(rig, "b", first, NULL), "+OK\r\n");
	struct slice a = dumped(rig, "a"), b = dumped(rig, "b");
	assert_true(slice_equal(a, b));
	drop(&a);
	drop(&b);
	drop(&first);
	buffer_fini(&text);
}

/* In the last of many turns. */
static void what_is_wrong_behind_a_pause_changes_nothing(void **state)
{
	struct turn_rig *rig = *state;
	struct buffer text;
	put(rig, "a", "k", "v");
	struct slice before = dumped(rig, "a");
	buffer_init(&text);
	buffer_append_text(&text, HEAD "\"values\":[");
	for (int i = 0; i < LIMIT_TURN_STEPS + 5; i++)
		buffer_format(&text, "[\"%d\",1],", i);
	buffer_append_text(&text, "[\"k\"]]}");
	assert_string_equal(import_slice(rig, "a", buffer_slice(&text), "REPLACE"),
		"-BADIMPORT values[4101]: is not [key, value]\r\n");
	assert_int_equal(rig->effects, 0);
	struct slice after = dumped(rig, "a");
	assert_true(slice_equal(before, after));
	drop(&before);
	drop(&after);
	buffer_fini(&text);
}

/* However large the value is and whatever it is made of, no more than the bound is written. */
static void an_export_ends_where_it_is_too_long(void **state)
{
	struct turn_rig *rig = *state;
	static const char *const parts[] = { "\x01", "x", "\xff", "\xc3\xa4" };
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct buffer value;
		buffer_init(&value);
		add_repeated(&value, parts[i], 16 << 20);
		struct slice arguments[] = { slice_text("DO.PUT"), slice_text("Box"),
			slice_text("a"), slice_text("k"), buffer_slice(&value) };
		assert_string_equal(turn_rig_run_slices(rig, do_put, arguments, 5), "+OK\r\n");
		assert_string_equal(export(rig, "a"),
			"-ERR the export is longer than 8388608 bytes, more than DO.IMPORT takes\r\n");
		buffer_fini(&value);
	}
}

static void the_values_within_one_are_bounded(void **state)
{
	struct turn_rig *rig = *state;
	static const char *const parts[][2] = {
		{ HEAD "\"values\":[[\"k\",[", "]]]}" },
		{ HEAD "\"values\":[],\"alarm\":[", "]}" },
	};
	static const char *const replies[] = {
		"-BADIMPORT values[0]: there are more than 131072 values in it\r\n",
		"-BADIMPORT there are more than 131072 values in it\r\n",
	};
	for (int i = 0; i < 2; i++) {
		struct buffer text;
		buffer_init(&text);
		buffer_append_text(&text, parts[i][0]);
		add_repeated(&text, "1,", LIMIT_JSON_VALUES);
		buffer_append_text(&text, "1");
		buffer_append_text(&text, parts[i][1]);
		assert_string_equal(
			import_slice(rig, "a", buffer_slice(&text), "REPLACE"), replies[i]);
		buffer_fini(&text);
	}
}

static void arguments_are_checked(void **state)
{
	struct turn_rig *rig = *state;
	assert_string_equal(import_slice(rig, "a", slice_text("{}"), "REPLACED"),
		TURN_RIG_MISFIT("'REPLACED'"));
	assert_string_equal(turn_rig_run(rig, do_export, "DO.EXPORT", "9", "a", NULL),
		"-" ERROR_CLASS_NAME "\r\n");
	assert_string_equal(
		turn_rig_run(rig, do_export, "DO.EXPORT", "Box", "", NULL), "-" ERROR_ID "\r\n");
	assert_string_equal(turn_rig_run(rig, do_import, "DO.IMPORT", "Box", "",
				    "{\"holdfast-object\":1}", NULL),
		"-" ERROR_ID "\r\n");
}

static void new_ids_are_32_hex_digits_and_differ(void **state)
{
	struct turn_rig *rig = *state;
	char first[64] = "";
	for (int i = 0; i < 2; i++) {
		struct request *request = request_take(&rig->pool);
		request->asked.protocol = 2;
		do_newid(NULL, request);
		assert_int_equal(request->reply.size, 5 + 32 + 2);
		assert_memory_equal(request->reply.data, "$32\r\n", 5);
		for (int digit = 0; digit < 32; digit++)
			assert_non_null(strchr("0123456789abcdef", request->reply.data[5 + digit]));
		assert_memory_not_equal(first, request->reply.data, request->reply.size);
		memcpy(first, request->reply.data, request->reply.size);
		request_put(&rig->pool, &request);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_goes_out_comes_in_again_byte_by_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_text_that_was_tampered_with_is_refused_or_becomes_an_object, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(an_export_looks_as_documented, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_object_without_data_has_no_export, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_export_that_no_import_would_take_is_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_import_replaces_all_of_an_object, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			times_that_have_passed_are_now_and_a_life_that_has_is_refused, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_wrong_is_said_with_its_place_and_changes_nothing, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_cron_line_that_is_wrong_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			limits_are_those_of_other_writes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_large_object_goes_out_and_in_with_pauses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_wrong_behind_a_pause_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_export_ends_where_it_is_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_values_within_one_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(arguments_are_checked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			new_ids_are_32_hex_digits_and_differ, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
