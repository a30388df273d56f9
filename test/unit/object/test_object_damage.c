/*
 * Damaged bytes of objects: whoever reads them names them and ends the process.
 */
#include "object/commands.h"

#include "object/objects.h"
#include "storage_fixture.h"
#include "support/damage.h"

#define CLASS "Box"

static const struct object_name box = { { CLASS, 3 }, { "a", 1 } };

struct attempt {
	struct turn_rig *rig;
	command_turn_fn handler;
	const char *words[4];
};

static void ask(void *context)
{
	const struct attempt *attempt = context;
	const char *const *words = attempt->words;
	turn_rig_run(attempt->rig, attempt->handler, words[0], words[1], words[2], words[3], NULL);
}

#define FAULTS(rig, said, handler, ...)                                                            \
	assert_fault(ask, &(struct attempt){ rig, handler, { __VA_ARGS__ } }, said)

static void put(struct turn_rig *rig, struct slice key, uint8_t type, struct slice bytes)
{
	for (uint16_t shard = 0; shard < rig->shards; shard++)
		damage_put(rig->stores[shard], shard, key, type, 0, bytes);
}

static void make(struct turn_rig *rig)
{
	turn_rig_run(rig, do_put, "DO.PUT", CLASS, "a", "k", "v", NULL);
	assert_string_equal(rig->reply, "+OK\r\n");
}

static void the_record(void **state)
{
	struct key key;
	key_of_object(&key, &box);
	put(*state, key_slice(&key), VALUE_OBJECT, slice_of("\0\1", 2));
	FAULTS(*state, "the record of an object is damaged: shard", do_get, "DO.GET", CLASS, "a",
		"k");
	FAULTS(*state, "the record of an object is damaged: shard", do_objects, "DO.OBJECTS",
		CLASS);
}

static void the_key_of_one(void **state)
{
	put(*state, slice_of("\3" CLASS "\0", 5), VALUE_OBJECT, slice_of("\0\1\1\0\0", 5));
	FAULTS(*state, "the key of an object is damaged: shard 0, table 3, key of 5 bytes",
		do_objects, "DO.OBJECTS", CLASS);
}

static void a_value(void **state)
{
	static const struct {
		uint8_t type;
		struct slice bytes;
	} damages[] = {
		{ VALUE_PACKED, { "\5\7short", 7 } },
		{ VALUE_PACKED, { "\6\2\0\0", 4 } },
		{ VALUE_PACKED, { "\3\2more", 6 } },
		{ VALUE_NUMBER, { "12345678", 8 } },
	};
	make(*state);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct key key;
		key_of_values(&key, &box);
		collection_key(&key, 0, slice_text("k"));
		put(*state, key_slice(&key), damages[i].type, damages[i].bytes);
		const char *said = "a value of an object is damaged: shard";
		FAULTS(*state, said, do_get, "DO.GET", CLASS, "a", "k");
		FAULTS(*state, said, do_list, "DO.LIST", CLASS, "a");
		FAULTS(*state, said, do_export, "DO.EXPORT", CLASS, "a");
	}
}

static void the_head_of_its_values(void **state)
{
	const char *said = "the head of a collection is damaged: shard";
	struct object_record record = { .values = { .count = 2, .bytes = 1 }, .created_ms = 1 };
	char bytes[RECORD_BYTES_MAX];
	struct key key;
	make(*state);
	key_of_object(&key, &box);
	put(*state, key_slice(&key), VALUE_OBJECT, slice_of(bytes, record_encode(&record, bytes)));
	/* More members than there are, and fewer bytes. */
	FAULTS(*state, said, do_deleteall, "DO.DELETEALL", CLASS, "a");
	FAULTS(*state, said, do_del, "DO.DEL", CLASS, "a", "k");
	turn_rig_run(*state, do_put, "DO.PUT", CLASS, "a", "l", "v", NULL);
	record.values = (struct collection_head){ .count = 1, .bytes = 100 };
	put(*state, key_slice(&key), VALUE_OBJECT, slice_of(bytes, record_encode(&record, bytes)));
	FAULTS(*state, said, do_deleteall, "DO.DELETEALL", CLASS, "a");
}

static void make_schedule(struct turn *turn)
{
	struct storage storage;
	struct schedule schedule = {
		.name = slice_text("poll"),
		.every_ms = 60000,
		.method = slice_text("poll"),
		.next_ms = turn->now_ms + 60000,
		.due_ms = turn->now_ms + 60000,
	};
	storage_open(&storage, turn, &box);
	storage_set_schedule(&storage, &schedule);
	storage_close(&storage);
}

static void look_at_schedule(struct turn *turn)
{
	struct storage storage;
	struct schedule schedule;
	storage_open(&storage, turn, &box);
	storage_get_schedule(&storage, slice_text("poll"), &schedule);
}

static void a_schedule(void **state)
{
	static const struct slice damages[] = {
		{ "\6\7\0", 3 },
		/* neither a cron line nor a time between two runs */
		{ "\6\7\0\5\0\3\0\5\1m\5\0\3\2\3\2\3\0", 18 },
		/* an argument that is no packed value */
		{ "\6\7\0\5\0\3\2\5\1m\5\1x\3\2\3\2\3\0", 19 },
	};
	turn_rig_run(*state, make_schedule, "MAKE", CLASS, "a", NULL);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct key key;
		const char *said = "a schedule of an object is damaged: shard";
		key_of_schedule(&key, &box, slice_text("poll"));
		put(*state, key_slice(&key), VALUE_PACKED, damages[i]);
		FAULTS(*state, said, look_at_schedule, "LOOK", CLASS, "a");
		FAULTS(*state, said, do_export, "DO.EXPORT", CLASS, "a");
	}
}

static void how_many_schedules_there_are(void **state)
{
	struct object_record record = { .schedules = 2, .created_ms = 1 };
	char bytes[RECORD_BYTES_MAX];
	struct key key;
	turn_rig_run(*state, make_schedule, "MAKE", CLASS, "a", NULL);
	key_of_object(&key, &box);
	put(*state, key_slice(&key), VALUE_OBJECT, slice_of(bytes, record_encode(&record, bytes)));
	FAULTS(*state, "the record of an object is damaged: shard", do_export, "DO.EXPORT", CLASS,
		"a");
}

static void the_key_of_a_due_entry(void **state)
{
	put(*state, slice_of("\5\0\0\0\0\0\0\0\1\x09" CLASS "\0\0\1a", 17), VALUE_BYTES,
		slice_of("", 0));
	FAULTS(*state, "the key of a due entry is damaged: shard 0, table 5, key of 17 bytes",
		do_alarms, "DO.ALARMS", CLASS);
}

static void a_run_given_up(void **state)
{
	struct due due = { .kind = DUE_ALARM, .at_ms = 1, .object = box };
	struct key key;
	struct slice cut = slice_of("\6\4\0\5\0", 5);
	key_of_failed(&key, &due);
	put(*state, slice_of(key.bytes, key.size - 2), VALUE_PACKED, cut);
	FAULTS(*state, "the key of a run given up is damaged: shard 0, table 6", do_alarms,
		"DO.ALARMS", CLASS, "FAILED");
	/* The latest comes first. */
	put(*state, key_slice(&key), VALUE_PACKED, cut);
	FAULTS(*state, "a run given up is damaged: shard 0, table 6", do_alarms, "DO.ALARMS", CLASS,
		"FAILED");
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(the_record),
		WITH(the_key_of_one),
		WITH(a_value),
		WITH(the_head_of_its_values),
		WITH(a_schedule),
		WITH(how_many_schedules_there_are),
		WITH(the_key_of_a_due_entry),
		WITH(a_run_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
