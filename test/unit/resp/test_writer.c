/*
 * What the writer makes of values, in both protocols.
 */
#include "resp/writer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the three above first */
#include <cmocka.h>

#include <float.h>

/* Makes `call`, which uses this writer, and compares what has been written. */
#define EXPECT(writer, version, call, wanted)                                                      \
	do {                                                                                       \
		buffer_clear((writer)->out, 0);                                                    \
		(writer)->protocol = (version);                                                    \
		call;                                                                              \
		assert_int_equal((writer)->out->size, sizeof(wanted) - 1);                         \
		assert_memory_equal((writer)->out->data, wanted, sizeof(wanted) - 1);              \
	} while (0)

#define EXPECT_BOTH(writer, call, wanted)                                                          \
	do {                                                                                       \
		EXPECT(writer, 2, call, wanted);                                                   \
		EXPECT(writer, 3, call, wanted);                                                   \
	} while (0)

static int make_writer(void **state)
{
	static struct buffer out;
	static struct writer writer = { .out = &out };
	buffer_init(&out);
	*state = &writer;
	return 0;
}

static int drop_writer(void **state)
{
	struct writer *writer = *state;
	buffer_fini(writer->out);
	return 0;
}

static void writes_simple_strings(void **state)
{
	struct writer *writer = *state;
	EXPECT_BOTH(writer, writer_ok(writer), "+OK\r\n");
	EXPECT_BOTH(writer, writer_simple(writer, "PONG"), "+PONG\r\n");
	EXPECT_BOTH(writer, writer_simple(writer, ""), "+\r\n");
}

static void writes_errors_on_one_line(void **state)
{
	struct writer *writer = *state;
	EXPECT_BOTH(writer, writer_error(writer, "ERR %s %d", "no", 7), "-ERR no 7\r\n");
	EXPECT_BOTH(writer, writer_error(writer, "ERR %s", "a\r\nb\nc\r"), "-ERR a  b c \r\n");
}

static void writes_errors_of_any_length(void **state)
{
	for (int size = 100; size < 1000; size += 13) {
		struct buffer out;
		buffer_init(&out);
		struct writer writer = { .out = &out, .protocol = 2 };
		writer_error(&writer, "ERR %0*d", size, 7);
		assert_int_equal(out.size, size + 7);
		assert_memory_equal(out.data, "-ERR 000", 8);
		assert_memory_equal(out.data + out.size - 4, "07\r\n", 4);
		buffer_fini(&out);
	}
}

static void writes_integers(void **state)
{
	struct writer *writer = *state;
	EXPECT_BOTH(writer, writer_integer(writer, 0), ":0\r\n");
	EXPECT_BOTH(writer, writer_integer(writer, -1), ":-1\r\n");
	EXPECT_BOTH(writer, writer_integer(writer, 1234567890), ":1234567890\r\n");
	EXPECT_BOTH(writer, writer_integer(writer, INT64_MAX), ":9223372036854775807\r\n");
	EXPECT_BOTH(writer, writer_integer(writer, INT64_MIN), ":-9223372036854775808\r\n");
}

static void writes_bulks(void **state)
{
	struct writer *writer = *state;
	EXPECT_BOTH(writer, writer_bulk(writer, slice_of("a\r\n\0b", 5)), "$5\r\na\r\n\0b\r\n");
	EXPECT_BOTH(writer, writer_bulk(writer, slice_of(NULL, 0)), "$0\r\n\r\n");
	EXPECT_BOTH(writer, writer_bulk_text(writer, "hello"), "$5\r\nhello\r\n");
	EXPECT_BOTH(writer, writer_bulk_format(writer, "%s-%d", "a", 12), "$4\r\na-12\r\n");
	EXPECT_BOTH(writer, writer_bulk_format(writer, "%s", ""), "$0\r\n\r\n");
}

static void writes_large_bulks(void **state)
{
	size_t size = 1 << 20;
	char *value = malloc(size);
	memset(value, 'v', size);
	struct buffer out;
	buffer_init(&out);
	struct writer writer = { .out = &out, .protocol = 2 };
	for (int i = 0; i < 3; i++)
		writer_bulk(&writer, slice_of(value, size));
	assert_int_equal(out.size, 3 * (10 + size + 2));
	const char *last = out.data + 2 * (10 + size + 2);
	assert_memory_equal(last, "$1048576\r\n", 10);
	assert_memory_equal(last + 10, value, size);
	assert_memory_equal(last + 10 + size, "\r\n", 2);
	buffer_fini(&out);
	free(value);
}

static void writes_nulls(void **state)
{
	struct writer *writer = *state;
	EXPECT(writer, 2, writer_null(writer), "$-1\r\n");
	EXPECT(writer, 3, writer_null(writer), "_\r\n");
	EXPECT(writer, 2, writer_null_array(writer), "*-1\r\n");
	EXPECT(writer, 3, writer_null_array(writer), "_\r\n");
}

static void writes_containers(void **state)
{
	struct writer *writer = *state;
	EXPECT_BOTH(writer, writer_array(writer, 0), "*0\r\n");
	EXPECT_BOTH(writer, writer_array(writer, 12), "*12\r\n");
	EXPECT(writer, 2, writer_map(writer, 7), "*14\r\n");
	EXPECT(writer, 3, writer_map(writer, 7), "%7\r\n");
	EXPECT(writer, 2, writer_set(writer, 3), "*3\r\n");
	EXPECT(writer, 3, writer_set(writer, 3), "~3\r\n");
	EXPECT(writer, 2, writer_push(writer, 3), "*3\r\n");
	EXPECT(writer, 3, writer_push(writer, 3), ">3\r\n");
}

static void writes_doubles(void **state)
{
	struct writer *writer = *state;
	EXPECT(writer, 2, writer_double(writer, 3.5), "$3\r\n3.5\r\n");
	EXPECT(writer, 3, writer_double(writer, 3.5), ",3.5\r\n");
	EXPECT(writer, 3, writer_double(writer, 0.1), ",0.1\r\n");
	EXPECT(writer, 3, writer_double(writer, 0.1 + 0.2), ",0.30000000000000004\r\n");
	EXPECT(writer, 3, writer_double(writer, 10), ",10\r\n");
	EXPECT(writer, 3, writer_double(writer, -0.0), ",-0\r\n");
	EXPECT(writer, 3, writer_double(writer, 1e300), ",1e+300\r\n");
	EXPECT(writer, 3, writer_double(writer, -DBL_MAX), ",-1.7976931348623157e+308\r\n");
	EXPECT(writer, 2, writer_double(writer, INFINITY), "$3\r\ninf\r\n");
	EXPECT(writer, 3, writer_double(writer, INFINITY), ",inf\r\n");
	EXPECT(writer, 2, writer_double(writer, -INFINITY), "$4\r\n-inf\r\n");
	EXPECT(writer, 3, writer_double(writer, -INFINITY), ",-inf\r\n");
	EXPECT(writer, 2, writer_double(writer, NAN), "$3\r\nnan\r\n");
	EXPECT(writer, 3, writer_double(writer, NAN), ",nan\r\n");
	EXPECT(writer, 3, writer_double(writer, -NAN), ",nan\r\n");
}

static void writes_doubles_that_read_back_the_same(void **state)
{
	uint64_t bits = 1;
	for (int i = 0; i < 20000; i++) {
		bits = bits * 6364136223846793005u + 1442695040888963407u;
		double value;
		memcpy(&value, &bits, sizeof(value));
		if (!isfinite(value))
			continue;
		struct buffer out;
		buffer_init(&out);
		struct writer writer = { .out = &out, .protocol = 3 };
		writer_double(&writer, value);
		assert_int_equal(out.data[0], ',');
		char *end;
		assert_true(strtod(out.data + 1, &end) == value);
		assert_memory_equal(end, "\r\n", 2);
		buffer_fini(&out);
	}
}

static void writes_booleans(void **state)
{
	struct writer *writer = *state;
	EXPECT(writer, 2, writer_boolean(writer, true), ":1\r\n");
	EXPECT(writer, 2, writer_boolean(writer, false), ":0\r\n");
	EXPECT(writer, 3, writer_boolean(writer, true), "#t\r\n");
	EXPECT(writer, 3, writer_boolean(writer, false), "#f\r\n");
}

static void writes_verbatim_text(void **state)
{
	struct writer *writer = *state;
	EXPECT(writer, 2, writer_verbatim(writer, "txt", slice_text("a\r\nb")), "$4\r\na\r\nb\r\n");
	EXPECT(writer, 3, writer_verbatim(writer, "txt", slice_text("a\r\nb")),
		"=8\r\ntxt:a\r\nb\r\n");
	EXPECT(writer, 3, writer_verbatim(writer, "mkd", slice_text("")), "=4\r\nmkd:\r\n");
}

static void appends_to_what_is_there(void **state)
{
	struct writer *writer = *state;
	EXPECT(
		writer, 3,
		{
			writer_map(writer, 1);
			writer_bulk_text(writer, "k");
			writer_integer(writer, 2);
			writer_ok(writer);
		},
		"%1\r\n$1\r\nk\r\n:2\r\n+OK\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_simple_strings),
		cmocka_unit_test(writes_errors_on_one_line),
		cmocka_unit_test(writes_errors_of_any_length),
		cmocka_unit_test(writes_integers),
		cmocka_unit_test(writes_bulks),
		cmocka_unit_test(writes_large_bulks),
		cmocka_unit_test(writes_nulls),
		cmocka_unit_test(writes_containers),
		cmocka_unit_test(writes_doubles),
		cmocka_unit_test(writes_doubles_that_read_back_the_same),
		cmocka_unit_test(writes_booleans),
		cmocka_unit_test(writes_verbatim_text),
		cmocka_unit_test(appends_to_what_is_there),
	};
	return cmocka_run_group_tests(tests, make_writer, drop_writer);
}
