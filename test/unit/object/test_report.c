/*
 * test_report: names in the log, floods that are summed up, hosts that are told of once.
 */
#include "object/report.h"

#include "base/logline.h"
#include "base/memory.h"
#include "lua/lua_runtime.h"
#include "object/objects_private.h"
#include "schedule/scheduler.h"
#include "support/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
	struct engine_rig rig;
	struct class_registry *registry;
	struct objects *objects;
	uint32_t lines;
	int level;
	char last[4096];
};

static void wake_at(void *context, int64_t at_ms)
{
}

static void say(void *context, const struct call *call, int level, const char *text)
{
	struct fixture *fixture = context;
	fixture->lines++;
	fixture->level = level;
	snprintf(fixture->last, sizeof(fixture->last), "%s", text);
}

static int set_up(void **state)
{
	struct fixture *fixture = memory_zeroed(sizeof(*fixture));
	engine_rig_init(&fixture->rig, 1);
	engine_rig_start(&fixture->rig, 1, 1);
	fixture->registry = class_registry_new();
	struct objects_options options = {
		.engine = fixture->rig.engine,
		.config = &fixture->rig.config,
		.registry = fixture->registry,
		.runtime = &lua_runtime,
		.schedule = &scheduler_of_objects,
		.host = { .wake_at = wake_at },
		.say = say,
		.say_context = fixture,
	};
	fixture->objects = objects_new(&options);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	objects_free(&fixture->objects);
	class_registry_free(&fixture->registry);
	engine_rig_fini(&fixture->rig);
	memory_free(fixture);
	return 0;
}

static struct object_name name_of(struct slice id)
{
	return (struct object_name){ slice_text("Shop"), id };
}

static void assert_name(struct slice id, const char *expected)
{
	char shown[REPORT_NAME_BYTES];
	struct object_name name = name_of(id);
	report_name(&name, shown);
	assert_string_equal(shown, expected);
}

static void a_name_is_plain_text_of_bounded_length(void **state)
{
	assert_name(slice_text("corner"), "Shop 'corner'");
	assert_name(slice_text("page:/h\xc3\xa9"), "Shop 'page:/h\xc3\xa9'");
	assert_name(slice_of("a\n\0'\\\x7f", 6), "Shop 'a\\x0a\\x00\\x27\\x5c\\x7f'");
	char id[LIMIT_KEY_BYTES], shown[REPORT_NAME_BYTES];
	memset(id, '\1', sizeof(id));
	char class_name[LIMIT_CLASS_NAME_BYTES];
	memset(class_name, 'C', sizeof(class_name));
	struct object_name longest = { slice_of(class_name, sizeof(class_name)),
		slice_of(id, sizeof(id)) };
	report_name(&longest, shown);
	assert_int_equal(strlen(shown), 64 + 2 + 64 * 4 + 3 + 1);
	assert_string_equal(shown + strlen(shown) - 8, "\\x01...'");
}

static void a_flood_is_cut_and_summed_up(void **state)
{
	struct fixture *fixture = *state;
	struct report_limit limit = { 0 }, other = { 0 };
	struct object_name name = name_of(slice_text("corner"));
	for (int i = 0; i < 1000; i++)
		report_error(fixture->objects, &limit, &name, "CLASSERR no", "Shop:1");
	assert_int_equal(fixture->lines, 20);
	assert_int_equal(fixture->level, LOGLINE_WARNING);
	assert_string_equal(fixture->last, "Shop 'corner': CLASSERR no; traceback: Shop:1");
	/* Another class has its own. */
	report_error(fixture->objects, &other, &name, "CLASSERR no", "");
	assert_int_equal(fixture->lines, 21);
	assert_string_equal(fixture->last, "Shop 'corner': CLASSERR no");
	fixture->rig.now_ms += 9999;
	report_error(fixture->objects, &limit, &name, "CLASSERR no", "");
	assert_int_equal(fixture->lines, 21);
	fixture->rig.now_ms += 1;
	report_error(fixture->objects, &limit, &name, "CLASSERR no", "");
	assert_int_equal(fixture->lines, 22);
	assert_string_equal(fixture->last,
		"Shop 'corner': CLASSERR no (and 981 errors of the class before it)");
	report_error(fixture->objects, &limit, &name, "CLASSERR no", "");
	assert_string_equal(fixture->last, "Shop 'corner': CLASSERR no");
}

static void a_run_says_when_it_is_tried_again(void **state)
{
	struct fixture *fixture = *state;
	struct report_limit limit = { 0 };
	struct due due = { .kind = DUE_ALARM, .object = name_of(slice_text("corner")) };
	report_job(fixture->objects, &limit, &due, "CLASSERR Shop.alarm: Shop:3: no", 2, 4001);
	assert_string_equal(fixture->last,
		"alarm of Shop 'corner' failed, try 2: CLASSERR Shop.alarm: Shop:3: no; it runs "
		"again in 5 s");
	due.kind = DUE_SCHEDULE;
	due.name = slice_text("poll");
	report_job(fixture->objects, &limit, &due, "BUSY", 7, -1);
	assert_string_equal(fixture->last,
		"schedule poll of Shop 'corner' failed, try 7: BUSY; it is given up");
}

static void a_host_is_told_of_once(void **state)
{
	struct fixture *fixture = *state;
	struct object_name name = name_of(slice_text("corner"));
	struct fetch fetch = { .code = FETCH_FORBIDDEN };
	for (int i = 0; i < 1000; i++) {
		snprintf(fetch.error, sizeof(fetch.error), "fetch-allow does not list 'h%d:80'",
			i % 300);
		report_refused(fixture->objects, &name, &fetch);
		if (i == 0)
			assert_string_equal(fixture->last,
				"http.fetch of Shop 'corner' is refused: fetch-allow does not list "
				"'h0:80'");
	}
	assert_int_equal(fixture->lines, REPORT_HOSTS_MAX);
	assert_non_null(strstr(fixture->last, "(further hosts are not told of)"));
}

static void a_line_stays_one_line(void **state)
{
	struct fixture *fixture = *state;
	report_say(fixture->objects, NULL, LOGLINE_NOTICE, "a%sb", "\r\n\x1b");
	assert_string_equal(fixture->last, "a   b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_name_is_plain_text_of_bounded_length, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_flood_is_cut_and_summed_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_run_says_when_it_is_tried_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_host_is_told_of_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_line_stays_one_line, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
