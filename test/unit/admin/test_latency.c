/*
 * Latency events against the replies of LATENCY, with a clock turned by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/latency.h"

#define MS 1000000u

struct hand_clock {
	struct clock clock;
	int64_t now_ms;
};

static int64_t read_hands(struct clock *clock)
{
	return ((struct hand_clock *)clock)->now_ms;
}

struct fixture {
	struct hand_clock clock;
	struct config config;
	struct latency *latency;
	struct buffer out;
};

static struct fixture fixture;

static int set_up(void **state)
{
	fixture = (struct fixture){ .clock.clock.wall_ms = read_hands, .clock.now_ms = 5000 };
	atomic_store(&fixture.config.latency_threshold_ms, 10);
	fixture.latency = latency_new(&fixture.config, &fixture.clock.clock);
	buffer_init(&fixture.out);
	return 0;
}

static int tear_down(void **state)
{
	latency_free(&fixture.latency);
	buffer_fini(&fixture.out);
	return 0;
}

static const char *latest(void)
{
	struct writer writer = { .out = &fixture.out, .protocol = 2 };
	fixture.out.size = 0;
	latency_write_latest(fixture.latency, &writer);
	buffer_append(&fixture.out, "", 1);
	return fixture.out.data;
}

static const char *history(const char *event)
{
	struct writer writer = { .out = &fixture.out, .protocol = 2 };
	fixture.out.size = 0;
	latency_write_history(fixture.latency, &writer, slice_text(event));
	buffer_append(&fixture.out, "", 1);
	return fixture.out.data;
}

static void notes_nothing_below_the_threshold(void **state)
{
	latency_add(fixture.latency, "fsync", 10 * MS - 1);
	assert_string_equal(latest(), "*0\r\n");
	atomic_store(&fixture.config.latency_threshold_ms, 0);
	latency_add(fixture.latency, "fsync", 1000 * MS);
	assert_string_equal(latest(), "*0\r\n");
}

static void keeps_the_latest_and_the_largest(void **state)
{
	latency_add(fixture.latency, "fsync", 30 * MS);
	fixture.clock.now_ms += 1000;
	latency_add(fixture.latency, "fsync", 20 * MS);
	assert_string_equal(latest(), "*1\r\n*4\r\n$5\r\nfsync\r\n:6\r\n:20\r\n:30\r\n");
	assert_string_equal(history("FSYNC"), "*2\r\n*2\r\n:5\r\n:30\r\n*2\r\n:6\r\n:20\r\n");
	assert_string_equal(history("command"), "*0\r\n");
}

static void keeps_the_largest_of_one_second(void **state)
{
	latency_add(fixture.latency, "fsync", 30 * MS);
	latency_add(fixture.latency, "fsync", 50 * MS);
	latency_add(fixture.latency, "fsync", 40 * MS);
	assert_string_equal(history("fsync"), "*1\r\n*2\r\n:5\r\n:50\r\n");
}

static void keeps_the_latest_160_samples(void **state)
{
	for (int i = 0; i < 400; i++) {
		fixture.clock.now_ms = i * 1000;
		latency_add(fixture.latency, "command", (100u + (unsigned)i) * MS);
	}
	const char *text = history("command");
	assert_memory_equal(text, "*160\r\n*2\r\n:240\r\n:340\r\n", 21);
	assert_non_null(strstr(text, ":399\r\n:499\r\n"));
}

static void forgets_one_event_or_all(void **state)
{
	latency_add(fixture.latency, "fsync", 30 * MS);
	latency_add(fixture.latency, "command", 31 * MS);
	latency_add(fixture.latency, "checkpoint", 32 * MS);
	assert_false(latency_forget(fixture.latency, slice_text("nothing")));
	assert_true(latency_forget(fixture.latency, slice_text("Fsync")));
	assert_string_equal(history("fsync"), "*0\r\n");
	assert_string_equal(history("checkpoint"), "*1\r\n*2\r\n:5\r\n:32\r\n");
	assert_int_equal(latency_forget_all(fixture.latency), 2);
	assert_string_equal(latest(), "*0\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			notes_nothing_below_the_threshold, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			keeps_the_latest_and_the_largest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_the_largest_of_one_second, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_the_latest_160_samples, set_up, tear_down),
		cmocka_unit_test_setup_teardown(forgets_one_event_or_all, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
