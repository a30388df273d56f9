/*
 * The slowlog against a model: an array of what SLOWLOG GET should write for each entry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/slowlog.h"
#include "base/random.h"
#include "net/connection.h"

#include <stdio.h>
#include <stdlib.h>

#define ENTRIES   300
#define ARGUMENTS 40

struct fixture {
	struct slowlog *slowlog;
	struct connection *connection;
	struct command command;
	struct request request;
	struct slice arguments[ARGUMENTS];
	struct buffer out;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	fixture->slowlog = slowlog_new();
	fixture->connection = calloc(1, sizeof(*fixture->connection));
	strcpy(fixture->connection->client.address, "127.0.0.1:5");
	strcpy(fixture->connection->client.name, "me");
	fixture->command.name = "get";
	fixture->request.asked.command = &fixture->command;
	fixture->request.connection = fixture->connection;
	fixture->request.asked.arguments = fixture->arguments;
	buffer_init(&fixture->out);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	slowlog_free(&fixture->slowlog);
	buffer_fini(&fixture->out);
	free(fixture->connection);
	free(fixture);
	return 0;
}

static void ask(struct fixture *fixture, const char *name, uint32_t count, ...)
{
	va_list list;
	va_start(list, count);
	for (uint32_t i = 0; i < count; i++)
		fixture->arguments[i] = slice_text(va_arg(list, const char *));
	va_end(list);
	fixture->command.name = name;
	fixture->request.asked.argument_count = count;
	slowlog_add(fixture->slowlog, &fixture->request, 7, 1000, 128);
}

static const char *written(struct fixture *fixture, size_t count)
{
	struct writer writer = { .out = &fixture->out, .protocol = 2 };
	fixture->out.size = 0;
	slowlog_write(fixture->slowlog, &writer, count);
	buffer_append(&fixture->out, "", 1);
	return fixture->out.data;
}

static void shows_the_newest_first_in_redis_s_shape(void **state)
{
	struct fixture *fixture = *state;
	assert_string_equal(written(fixture, 10), "*0\r\n");
	ask(fixture, "get", 2, "GET", "a");
	ask(fixture, "set", 3, "SET", "b", "c");
	assert_string_equal(written(fixture, 10),
		"*2\r\n"
		"*6\r\n:1\r\n:1000\r\n:7\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\nc\r\n"
		"$11\r\n127.0.0.1:5\r\n$2\r\nme\r\n"
		"*6\r\n:0\r\n:1000\r\n:7\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n"
		"$11\r\n127.0.0.1:5\r\n$2\r\nme\r\n");
}

static void keeps_no_passwords(void **state)
{
	struct fixture *fixture = *state;
	ask(fixture, "auth", 3, "AUTH", "default", "secret");
	ask(fixture, "hello", 5, "HELLO", "3", "AUTH", "default", "secret");
	ask(fixture, "config|set", 6, "CONFIG", "SET", "timeout", "5", "RequirePass", "secret");
	const char *text = written(fixture, 10);
	assert_null(strstr(text, "secret"));
	assert_non_null(strstr(text, "(redacted)"));
	assert_non_null(strstr(text, "$1\r\n5\r\n"));
}

static void goes_on_counting_after_a_reset(void **state)
{
	struct fixture *fixture = *state;
	ask(fixture, "get", 1, "GET");
	slowlog_reset(fixture->slowlog);
	assert_int_equal(slowlog_length(fixture->slowlog), 0);
	ask(fixture, "get", 1, "GET");
	assert_int_equal(slowlog_length(fixture->slowlog), 1);
	assert_non_null(strstr(written(fixture, 1), "*6\r\n:1\r\n"));
}

/* What one entry should look like, by Redis's rules for long ones. */
static void write_model(
	const struct fixture *fixture, uint64_t id, uint64_t duration_us, struct buffer *out)
{
	struct writer writer = { .out = out, .protocol = 2 };
	uint32_t count = fixture->request.asked.argument_count;
	uint32_t shown = count > 32 ? 32 : count;
	writer_array(&writer, 6);
	writer_integer(&writer, (int64_t)id);
	writer_integer(&writer, 1000);
	writer_integer(&writer, (int64_t)duration_us);
	writer_array(&writer, shown);
	for (uint32_t i = 0; i < shown; i++) {
		struct slice argument = fixture->arguments[i];
		if (count > 32 && i == 31)
			writer_bulk_format(&writer, "... (%u more arguments)", count - 31);
		else if (argument.size > 128)
			writer_bulk_format(&writer, "%.128s... (%zu more bytes)", argument.data,
				argument.size - 128);
		else
			writer_bulk(&writer, argument);
	}
	writer_bulk_text(&writer, fixture->connection->client.address);
	writer_bulk_text(&writer, fixture->connection->client.name);
}

static void agrees_with_a_model_under_random_operations(void **state)
{
	struct fixture *fixture = *state;
	struct buffer entries[ENTRIES];
	size_t first = 0, count = 0;
	char text[400];
	struct random random;
	random_seed(&random, 4);
	memset(text, 'z', sizeof(text));
	for (uint64_t id = 0; id < ENTRIES; id++) {
		fixture->request.asked.argument_count =
			1 + (uint32_t)random_below(&random, ARGUMENTS);
		for (uint32_t i = 0; i < fixture->request.asked.argument_count; i++)
			fixture->arguments[i] = slice_of(text, random_below(&random, sizeof(text)));
		size_t most = random_below(&random, 12);
		slowlog_add(fixture->slowlog, &fixture->request, id * 3, 1000, (int64_t)most);
		buffer_init(&entries[id]);
		write_model(fixture, id, id * 3, &entries[id]);
		count++;
		while (count > most) {
			first++;
			count--;
		}

		size_t asked = random_below(&random, 14), given = asked < count ? asked : count;
		struct buffer expected;
		buffer_init(&expected);
		buffer_format(&expected, "*%zu\r\n", given);
		for (size_t i = 0; i < given; i++) {
			struct buffer *entry = &entries[first + count - 1 - i];
			buffer_append(&expected, entry->data, entry->size);
		}
		buffer_append(&expected, "", 1);
		assert_string_equal(written(fixture, asked), expected.data);
		assert_int_equal(slowlog_length(fixture->slowlog), count);
		buffer_fini(&expected);
	}
	for (size_t i = 0; i < ENTRIES; i++)
		buffer_fini(&entries[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			shows_the_newest_first_in_redis_s_shape, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_no_passwords, set_up, tear_down),
		cmocka_unit_test_setup_teardown(goes_on_counting_after_a_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			agrees_with_a_model_under_random_operations, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
