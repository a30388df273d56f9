/*
 * test_object_call: calls of objects that the server makes itself: which words they take, and what
 * a class's results are for the one who asked.
 */
#include "object/object_call.h"
#include "quiet_objects.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SHARDS  2
#define WORKERS 2

static const char giver[] = "local G = class('Giver')\n"
			    "function G:none() end\n"
			    "function G:null() return json.null end\n"
			    "function G:text(word) return word .. '!' end\n"
			    "function G:integer() return 42 end\n"
			    "function G:float() return 0.5 end\n"
			    "function G:yes() return true end\n"
			    "function G:list() return {1, 2} end\n"
			    "function G:two() return 1, 2 end\n"
			    "function G:fails() fail('TEAPOT', 'short') end\n"
			    "return G";

struct fixture {
	struct engine_rig rig;
	struct quiet_objects objects;
	struct buffer reply; /* of the call that was told last: what its result points into */
	bool told;
	bool has_result;
	struct packed_item result;
	char error[LIMIT_ERROR_BYTES];
};

static int set_up(void **state)
{
	struct fixture *fixture = memory_zeroed(sizeof(*fixture));
	engine_rig_init(&fixture->rig, SHARDS);
	engine_rig_start(&fixture->rig, WORKERS, WORKERS);
	quiet_objects_open(&fixture->objects, &fixture->rig);
	buffer_init(&fixture->reply);
	rig_run(&fixture->rig, 0, "DO.CLASS", "LOAD", "Giver", giver);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	quiet_objects_close(&fixture->objects);
	engine_rig_fini(&fixture->rig);
	buffer_fini(&fixture->reply);
	memory_free(fixture);
	return 0;
}

static void on_told(struct request **request)
{
	struct fixture *fixture = (*request)->told_context;
	struct slice error = request_error(*request);
	fixture->told = true;
	fixture->has_result = object_call_result(*request, &fixture->result);
	fixture->reply.size = 0;
	if (fixture->has_result && fixture->result.kind == PACKED_STRING) {
		struct slice bytes = fixture->result.bytes;
		buffer_append(&fixture->reply, bytes.data, bytes.size);
		fixture->result.bytes = buffer_slice(&fixture->reply);
	}
	snprintf(fixture->error, sizeof(fixture->error), "%.*s", (int)error.size, error.data);
}

/* Calls the method of an object with one word. */
static enum packed_kind give(struct fixture *fixture, const char *id, const char *method)
{
	struct buffer arguments;
	buffer_init(&arguments);
	packed_add_table(&arguments, 1, 0);
	packed_add_string(&arguments, slice_text("word"));
	struct request *request = object_call_new(fixture->rig.engine, 0,
		&(struct object_call){ .name = { slice_text("Giver"), slice_text(id) },
			.method = slice_text(method),
			.arguments = buffer_slice(&arguments),
			.context = fixture,
			.told = on_told });
	buffer_fini(&arguments);
	fixture->told = false;
	engine_submit(fixture->rig.engine, 0, &request);
	engine_rig_deliver(&fixture->rig);
	assert_true(fixture->told);
	return fixture->result.kind;
}

static void a_method_is_given_its_argument_and_its_result_is_told(void **state)
{
	struct fixture *fixture = *state;
	/* One of them lies on the other worker. */
	for (int i = 0; i < 8; i++) {
		char id[8];
		snprintf(id, sizeof(id), "%d", i);
		assert_int_equal(give(fixture, id, "text"), PACKED_STRING);
		assert_true(fixture->has_result);
		assert_true(slice_equal(fixture->result.bytes, slice_text("word!")));
	}
}

static void results_have_their_types(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(give(fixture, "a", "integer"), PACKED_INTEGER);
	assert_int_equal(fixture->result.integer, 42);
	assert_int_equal(give(fixture, "a", "float"), PACKED_FLOAT);
	assert_true(fixture->result.number == 0.5);
	assert_int_equal(give(fixture, "a", "yes"), PACKED_TRUE);
	assert_int_equal(give(fixture, "a", "null"), PACKED_NULL);
	assert_int_equal(give(fixture, "a", "list"), PACKED_TABLE);
}

static void no_result_is_nil_and_several_are_a_table(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(give(fixture, "a", "none"), PACKED_NIL);
	assert_true(fixture->has_result);
	assert_int_equal(give(fixture, "a", "two"), PACKED_TABLE);
	assert_int_equal(fixture->result.items, 2);
}

static void a_call_that_fails_has_an_error_in_place_of_a_result(void **state)
{
	struct fixture *fixture = *state;
	give(fixture, "a", "fails");
	assert_false(fixture->has_result);
	assert_string_equal(fixture->error, "TEAPOT short");
	give(fixture, "a", "nothing");
	assert_false(fixture->has_result);
	assert_string_equal(fixture->error, "NOMETHOD Giver has no method 'nothing'");
}

static void check_words(const char *class_name, const char *id, const char *method, const char *why)
{
	char error[LIMIT_ERROR_BYTES] = "";
	struct object_name name = { slice_text(class_name), slice_text(id) };
	assert_int_equal(
		object_call_check(&name, slice_text(method), error, sizeof(error)), why == NULL);
	assert_string_equal(error, why ? why : "");
}

static void words_that_nobody_outside_may_use_are_refused(void **state)
{
	char long_method[LIMIT_CLASS_NAME_BYTES + 2], long_id[LIMIT_KEY_BYTES + 2];
	memset(long_method, 'm', sizeof(long_method) - 1);
	long_method[sizeof(long_method) - 1] = '\0';
	memset(long_id, 'i', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	check_words("Giver", "a", "text", NULL);
	check_words("Giver", long_id + 1, long_method + 1, NULL);
	check_words("Giver", "a", "Init", NULL);
	check_words("1Giver", "a", "text", ERROR_CLASS_NAME);
	check_words("Giver", "", "text", ERROR_ID);
	check_words("Giver", long_id, "text", ERROR_ID);
	check_words("Giver", "a", long_method, ERROR_METHOD_NAME);
	check_words("Giver", "a", "", "NOMETHOD Giver. is private");
	check_words("Giver", "a", "_text", "NOMETHOD Giver._text is private");
	check_words("Giver", "a", "init", "NOMETHOD Giver.init is private");
	check_words("Giver", "a", "alarm", "NOMETHOD Giver.alarm is private");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_method_is_given_its_argument_and_its_result_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(results_have_their_types, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			no_result_is_nil_and_several_are_a_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_call_that_fails_has_an_error_in_place_of_a_result, set_up, tear_down),
		cmocka_unit_test(words_that_nobody_outside_may_use_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
