/*
 * test_class_bench: what tests of classes may ask for: every command is answered, and the server's
 * own refreshing of the cache goes to the test's answers. What tests see of it is in test/classes.
 */
#include "server/class_bench.h"

#include "base/memory.h"
#include "command/command.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define WORDS_MAX 12
#define DAY_MS    (24ll * 3600 * 1000)

struct fixture {
	struct config config;
	struct class_bench *bench;
	char asked[256]; /* URLs, a blank behind each */
};

static int64_t answer(void *context, struct fetch *fetch)
{
	struct fixture *fixture = context;
	size_t used = strlen(fixture->asked);
	snprintf(fixture->asked + used, sizeof(fixture->asked) - used, "%.*s ",
		(int)fetch->url.size, fetch->url.data);
	fetch->status = 200;
	buffer_append_text(&fetch->headers_in, "cache-control: max-age=10\n");
	buffer_append_text(&fetch->body_in, "from afar");
	return 20;
}

static void say_nothing(void *context, int level, const char *text)
{
}

static int set_up(void **state)
{
	struct fixture *fixture = memory_zeroed(sizeof(*fixture));
	char error[512], server[] = "test", option[] = "--cache-origin",
			 prefix[] = "page:", url[] = "http://origin.test/",
			 allow[] = "--fetch-allow", host[] = "origin.test";
	char *words[] = { server, option, prefix, url, allow, host };
	enum config_action action;
	config_init(&fixture->config);
	assert_int_equal(
		config_parse_arguments(&fixture->config, 6, words, &action, error, sizeof(error)),
		0);
	fixture->bench = class_bench_new(
		&fixture->config, answer, say_nothing, fixture, error, sizeof(error));
	assert_non_null(fixture->bench);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	class_bench_free(&fixture->bench);
	config_fini(&fixture->config);
	memory_free(fixture);
	return 0;
}

static struct bench_call *send(struct fixture *fixture, const char *text)
{
	struct slice words[WORDS_MAX];
	uint32_t count = 0;
	while (*text) {
		size_t size = strcspn(text, " ");
		words[count++] = slice_of(text, size);
		text += size + (text[size] == ' ');
	}
	return class_bench_send(fixture->bench, words, count);
}

static bool contains(const struct bench_call *call, const char *text)
{
	return memmem(call->reply.data, call->reply.size, text, strlen(text)) != NULL;
}

/* With as many words as it takes, two and three more, which is more than most want. */
static void every_command_is_answered(void **state)
{
	struct fixture *fixture = *state;
	const struct command_set *set = command_table();
	uint32_t served = 0, refused = 0;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct command *command = &set->commands[i];
		const char *bar = strchr(command->name, '|');
		int least = command->arity < 0 ? -command->arity : command->arity;
		for (int more = 0; more < 4; more++) {
			struct slice words[WORDS_MAX];
			int count = 0;
			size_t front = bar ? (size_t)(bar - command->name) : strlen(command->name);
			words[count++] = slice_of(command->name, front);
			if (bar)
				words[count++] = slice_text(bar + 1);
			while (count < least + more)
				words[count++] = slice_text("1");
			const struct bench_call *call =
				class_bench_send(fixture->bench, words, (uint32_t)count);
			if (!class_bench_wait(fixture->bench, call, DAY_MS) || call->reply.size < 3)
				fail_msg("%s with %d words is not answered", command->name, count);
			if (contains(call, "holdfast-server --test has not"))
				refused++;
			else
				served++;
		}
	}
	assert_true(served > refused);
	assert_true(refused > 0);
	assert_true(contains(send(fixture, "DO.PUT Box a k v"), "+OK"));
}

static void origins_are_answered_by_the_test(void **state)
{
	struct fixture *fixture = *state;
	const struct bench_call *call = send(fixture, "CACHE.SWR page:one");
	assert_true(class_bench_wait(fixture->bench, call, 1000));
	assert_true(contains(call, "from afar"));
	assert_string_equal(fixture->asked, "http://origin.test/one ");
	assert_true(contains(send(fixture, "CACHE.GET page:one"), "from afar"));
	/* It is fresh for as long as its headers say. */
	class_bench_advance(fixture->bench, 9000);
	assert_true(contains(send(fixture, "CACHE.SWR page:one"), "fresh"));
	class_bench_advance(fixture->bench, 2000);
	send(fixture, "CACHE.SWR page:one");
	class_bench_advance(fixture->bench, 100);
	assert_string_equal(fixture->asked, "http://origin.test/one http://origin.test/one ");
}

/* Whatever is under way: waits for leases, exchanges that are not answered yet. */
static void ends_and_begins_anew_in_the_middle_of_things(void **state)
{
	struct fixture *fixture = *state;
	for (int round = 0; round < 3; round++) {
		struct bench_call *created = send(fixture, "SESSION.CREATE ID s USER ada");
		assert_true(created->done);
		const struct bench_call *first = send(fixture, "SESSION.LEASE s x");
		const struct bench_call *second = send(fixture, "SESSION.LEASE s x WAIT 10000");
		const struct bench_call *third = send(fixture, "CACHE.SWR page:two");
		assert_true(first->done && !second->done && !third->done);
		if (round == 0)
			class_bench_restart(fixture->bench);
		else
			class_bench_reset(fixture->bench);
		if (round == 0)
			assert_true(contains(send(fixture, "SESSION.DEL s"), ":1"));
		if (round == 0)
			class_bench_reset(fixture->bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_command_is_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			origins_are_answered_by_the_test, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			ends_and_begins_anew_in_the_middle_of_things, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
