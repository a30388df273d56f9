/*
 * DO.CLASS on an engine with real logs and real Lua: what is stored, when it is published, what is
 * refused, what a crash leaves.
 */
#include "quiet_objects.h"

#include "base/logline.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARDS  4
#define WORKERS 2

#define COUNTER_1 "local C = class(\"Counter\") function C:one() return 1 end return C"
#define COUNTER_2 "local C = class(\"Counter\") function C:one() return 2 end return C"
#define OTHER     "local O = class(\"Other\") return O"

struct fixture {
	struct engine_rig rig;
	struct quiet_objects objects;
};

static void start(struct fixture *fixture)
{
	engine_rig_start(&fixture->rig, WORKERS, WORKERS);
	quiet_objects_open(&fixture->objects, &fixture->rig);
}

static int set_up(void **state)
{
	struct fixture *fixture = memory_zeroed(sizeof(*fixture));
	engine_rig_init(&fixture->rig, SHARDS);
	start(fixture);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	quiet_objects_close(&fixture->objects);
	engine_rig_fini(&fixture->rig);
	memory_free(fixture);
	return 0;
}

static void crash_and_start(struct fixture *fixture)
{
	quiet_objects_close(&fixture->objects);
	engine_rig_crash(&fixture->rig);
	start(fixture);
}

static void starts_with(const char *reply, const char *start)
{
	if (strncmp(reply, start, strlen(start)) != 0)
		fail_msg("%s does not start with %s", reply, start);
}

static uint64_t version_of(struct fixture *fixture, const char *name)
{
	struct class *class = class_find(fixture->objects.registry, slice_text(name));
	uint64_t version = class ? class->version : 0;
	class_release(&class);
	return version;
}

/* --- loading ---------------------------------------------------------------------------------- */

static void a_class_is_published_with_the_record_that_holds_it(void **state)
{
	struct fixture *fixture = *state;
	rig_run(&fixture->rig, 0, "SET", "something", "before");
	struct engine_ticket *ticket =
		rig_send(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_1);
	engine_rig_deliver(&fixture->rig);
	assert_string_equal(ticket->reply, ":1\r\n");
	assert_false(engine_rig_is_released(ticket));
	struct class *class = class_find(fixture->objects.registry, slice_text("Counter"));
	assert_int_equal(class->lsn, gate_appended(fixture->rig.engine->gate));
	assert_int_equal(ticket->gate_lsn, class->lsn);
	assert_int_equal(class->loaded_ms, fixture->rig.now_ms);
	assert_false(class->from_file);
	assert_true(slice_equal(class->source, slice_text(COUNTER_1)));
	/* Whoever is told of it waits as well. */
	assert_int_equal(rig_send(&fixture->rig, 0, "DO.CLASS", "LIST")->gate_lsn, class->lsn);
	assert_int_equal(
		rig_send(&fixture->rig, 0, "DO.CLASS", "SOURCE", "Counter")->gate_lsn, class->lsn);
	class_release(&class);
	engine_rig_settle(&fixture->rig);
	assert_true(engine_rig_is_released(ticket));
}

static void loads_are_counted_and_need_replace(void **state)
{
	struct fixture *fixture = *state;
	assert_string_equal(
		rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_1, "REPLACE"),
		":1\r\n");
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_2),
		"-CLASSEXISTS class 'Counter' is loaded; REPLACE replaces it\r\n");
	assert_string_equal(
		rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_2, "replace"),
		":2\r\n");
	/* redis-cli -x puts the source behind everything else. */
	assert_string_equal(
		rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", "replace", COUNTER_2),
		":3\r\n");
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CALL", "Counter", "a", "one"), ":2\r\n");
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "DROP", "Counter"), "+OK\r\n");
	assert_string_equal(
		rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_1), ":1\r\n");
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CALL", "Counter", "a", "one"), ":1\r\n");
}

static void what_is_wrong_with_a_load_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_1);
	uint64_t revision = class_registry_revision(fixture->objects.registry);
	uint64_t appended = gate_appended(fixture->rig.engine->gate);
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "2nd", OTHER),
		"-" ERROR_CLASS_NAME "\r\n");
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "", OTHER),
		"-" ERROR_CLASS_NAME "\r\n");
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Other", OTHER, "KEEP"),
		"-ERR syntax error at 'KEEP': DO.CLASS LOAD name source [REPLACE]\r\n");
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Other", "KEEP", OTHER),
		"-ERR syntax error at 'KEEP': DO.CLASS LOAD name source [REPLACE]\r\n");
	assert_string_equal(
		rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Other", OTHER, "REPLACE", "REPLACE"),
		"-ERR syntax error at 'REPLACE': DO.CLASS LOAD name source [REPLACE]\r\n");
	static const char *const wrong[] = { "", "return (", "error('no')", "return 5", COUNTER_2,
		"while true do end" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		starts_with(rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Other", wrong[i]),
			"-BADCLASS ");
	starts_with(rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", "return (", "REPLACE"),
		"-BADCLASS ");
	char *large = memory_alloc(LIMIT_CLASS_SOURCE_BYTES + 2);
	memset(large, ' ', LIMIT_CLASS_SOURCE_BYTES + 1);
	large[LIMIT_CLASS_SOURCE_BYTES + 1] = '\0';
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Other", large),
		"-BADCLASS the source of 1048577 bytes is longer than 1048576\r\n");
	memory_free(large);
	assert_int_equal(class_registry_revision(fixture->objects.registry), revision);
	assert_int_equal(gate_appended(fixture->rig.engine->gate), appended);
}

static void a_load_that_the_log_cannot_hold_is_not_published(void **state)
{
	struct fixture *fixture = *state;
	size_t size = LIMIT_CLASS_SOURCE_BYTES; /* far more than a segment of the rig */
	char *source = memory_alloc(size + 1);
	memset(source, ' ', size);
	memcpy(source, OTHER, strlen(OTHER));
	source[size] = '\0';
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Other", source),
		"-" ERROR_CHANGE_SIZE "\r\n");
	memory_free(source);
	assert_int_equal(version_of(fixture, "Other"), 0);
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "SOURCE", "Other"),
		"-NOCLASS class 'Other' is not loaded\r\n");
	assert_string_equal(
		rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Other", OTHER), ":1\r\n");
}

static void classes_survive_a_crash_when_their_load_was_acknowledged(void **state)
{
	struct fixture *fixture = *state;
	rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_1);
	rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_2, "REPLACE");
	rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Other", OTHER);
	rig_run(&fixture->rig, 0, "DO.CLASS", "DROP", "Other");
	engine_rig_settle(&fixture->rig);
	rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Late", "local L = class('Late') return L");
	crash_and_start(fixture);
	assert_int_equal(version_of(fixture, "Counter"), 2);
	assert_int_equal(version_of(fixture, "Other"), 0);
	assert_int_equal(version_of(fixture, "Late"), 0);
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CALL", "Counter", "a", "one"), ":2\r\n");
	assert_string_equal(
		rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_1, "REPLACE"),
		":3\r\n");
	engine_rig_settle(&fixture->rig);
	engine_rig_checkpoint(&fixture->rig);
	crash_and_start(fixture);
	assert_int_equal(version_of(fixture, "Counter"), 3);
}

/* --- showing ---------------------------------------------------------------------------------- */

static void lists_classes_by_name(void **state)
{
	struct fixture *fixture = *state;
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "LIST"), "*0\r\n");
	rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Other", OTHER);
	struct class_given given = {
		.name = slice_text("Filed"),
		.source = slice_text("abc"),
		.loaded_ms = 99,
		.from_file = true,
		.file = slice_text("/c/Filed.lua"),
	};
	class_publish(fixture->objects.registry, &given);
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "LIST"),
		"*2\r\n"
		"*14\r\n$4\r\nname\r\n$5\r\nFiled\r\n$7\r\nversion\r\n:0\r\n$5\r\nbytes\r\n:3\r\n"
		"$4\r\nfrom\r\n$4\r\nfile\r\n$9\r\nloaded-at\r\n:99\r\n$6\r\nsha256\r\n$64\r\n"
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\r\n"
		"$4\r\nfile\r\n$12\r\n/c/Filed.lua\r\n"
		"*14\r\n$4\r\nname\r\n$5\r\nOther\r\n$7\r\nversion\r\n:1\r\n$5\r\nbytes\r\n:33\r\n"
		"$4\r\nfrom\r\n$7\r\ncommand\r\n$9\r\nloaded-at\r\n:1700000000000\r\n"
		"$6\r\nsha256\r\n$64\r\n"
		"e8bd847cd7439d46cbc71a8c6463d8216f06d7c88c25409450b16c167dc4d66e\r\n"
		"$4\r\nfile\r\n$-1\r\n");
	assert_string_equal(
		rig_run(&fixture->rig, 0, "DO.CLASS", "SOURCE", "Filed"), "$3\r\nabc\r\n");
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "SOURCE", "Filing"),
		"-NOCLASS class 'Filing' is not loaded\r\n");
	assert_string_equal(
		rig_run(&fixture->rig, 0, "DO.CLASS", "SOURCE", "-"), "-" ERROR_CLASS_NAME "\r\n");
}

/* --- dropping --------------------------------------------------------------------------------- */

static void a_class_with_an_object_anywhere_is_not_dropped(void **state)
{
	struct fixture *fixture = *state;
	char id[ENGINE_RIG_KEY_BYTES];
	rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_1);
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		engine_rig_key(&fixture->rig, shard, 0, id);
		rig_run(&fixture->rig, 0, "DO.PUT", "Counter", id, "k", "v");
		rig_run(&fixture->rig, 0, "DO.PUT", "Counter2", id, "k", "v");
		assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "DROP", "Counter"),
			"-CLASSINUSE class 'Counter' has objects; delete them first\r\n");
		rig_run(&fixture->rig, 0, "DO.DEL", "Counter", id, "k");
	}
	rig_run(&fixture->rig, 0, "DO.SETALARM", "Counter", "a", "1800000000000");
	assert_int_equal(version_of(fixture, "Counter"), 1);
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "DROP", "Counter"), "+OK\r\n");
	assert_int_equal(version_of(fixture, "Counter"), 0);
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CALL", "Counter", "a", "one"),
		"-NOCLASS class 'Counter' is not loaded\r\n");
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "DROP", "Counter"),
		"-NOCLASS class 'Counter' is not loaded\r\n");
}

static void lives_that_have_ended_do_not_keep_a_class(void **state)
{
	struct fixture *fixture = *state;
	rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_1);
	rig_run(&fixture->rig, 0, "DO.PUT", "Counter", "a", "k", "v");
	rig_run(&fixture->rig, 0, "DO.EXPIRE", "Counter", "a", "10");
	starts_with(rig_run(&fixture->rig, 0, "DO.CLASS", "DROP", "Counter"), "-CLASSINUSE");
	fixture->rig.now_ms += 10000;
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "DROP", "Counter"), "+OK\r\n");
}

static void a_class_of_a_file_is_dropped_with_the_file(void **state)
{
	struct fixture *fixture = *state;
	char path[] = "/tmp/holdfast-class-XXXXXX";
	close(mkstemp(path));
	struct class_given given = {
		.name = slice_text("Counter"),
		.source = slice_text(COUNTER_1),
		.from_file = true,
		.file = slice_text(path),
	};
	class_publish(fixture->objects.registry, &given);
	starts_with(rig_run(&fixture->rig, 0, "DO.CLASS", "DROP", "Counter"),
		"-CLASSFILE class 'Counter' is from the file /tmp/holdfast-class-");
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CALL", "Counter", "a", "one"), ":1\r\n");
	/* Loading over it begins to count, and what was loaded may be dropped. */
	starts_with(rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_2),
		"-CLASSEXISTS");
	assert_string_equal(
		rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Counter", COUNTER_2, "REPLACE"),
		":1\r\n");
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "DROP", "Counter"), "+OK\r\n");
	class_publish(fixture->objects.registry, &given);
	assert_int_equal(unlink(path), 0);
	assert_string_equal(rig_run(&fixture->rig, 0, "DO.CLASS", "DROP", "Counter"), "+OK\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_class_is_published_with_the_record_that_holds_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			loads_are_counted_and_need_replace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_wrong_with_a_load_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_load_that_the_log_cannot_hold_is_not_published, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			classes_survive_a_crash_when_their_load_was_acknowledged, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(lists_classes_by_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_class_with_an_object_anywhere_is_not_dropped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			lives_that_have_ended_do_not_keep_a_class, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_class_of_a_file_is_dropped_with_the_file, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
