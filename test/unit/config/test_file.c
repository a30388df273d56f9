/*
 * test_file: configuration files: what is read, what is said about mistakes, the sample, and what
 * CONFIG REWRITE leaves of a file. Each test has a fresh directory with one file in it.
 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	struct config config;
	char directory[64];
	char path[80];
	char error[512];
};

static int make_fixture(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	config_init(&fixture->config);
	strcpy(fixture->directory, "/tmp/test_file.XXXXXX");
	if (mkdtemp(fixture->directory) == NULL)
		return -1;
	snprintf(fixture->path, sizeof(fixture->path), "%s/h.conf", fixture->directory);
	*state = fixture;
	return 0;
}

static int drop_fixture(void **state)
{
	struct fixture *fixture = *state;
	config_fini(&fixture->config);
	unlink(fixture->path);
	int result = rmdir(fixture->directory); /* fails when a rewrite left its file behind */
	free(fixture);
	return result;
}

static void write_file(struct fixture *fixture, const char *text)
{
	FILE *file = fopen(fixture->path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	fclose(file);
}

static int parse(struct fixture *fixture, const char *text)
{
	write_file(fixture, text);
	fixture->error[0] = '\0';
	return config_parse_file(
		&fixture->config, fixture->path, fixture->error, sizeof(fixture->error));
}

static void check_refused(struct fixture *fixture, const char *text, const char *expected)
{
	assert_int_equal(parse(fixture, text), -EINVAL);
	assert_memory_equal(fixture->error, fixture->path, strlen(fixture->path));
	assert_string_equal(fixture->error + strlen(fixture->path), expected);
}

/* More words than any parameter takes. */
static void check_too_many(struct fixture *fixture)
{
	char text[2048] = "fetch-allow";
	for (int i = 0; i < 257; i++)
		strcat(text, " h");
	check_refused(fixture, text, ":1: fetch-allow: too many values");
	strcat(text, " h");
	check_refused(fixture, text, ":1: too many values");
}

static void check_text(struct fixture *fixture, const char *name, const char *expected)
{
	char text[256];
	config_text_copy(&fixture->config, name, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void reads_the_syntax_of_redis_conf(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(parse(fixture,
				 "# a comment\n"
				 "\n"
				 "   # another\n"
				 "PORT 7000\r\n"
				 "  bind 10.0.0.1\t::1 \n"
				 "requirepass \"a \\x62 'c'\"\n"
				 "max-value-size 2mb\n"
				 "save \"\"\n"
				 "unixsocketperm 700\n"
				 "loglevel warning"),
		0);
	assert_int_equal(fixture->config.port, 7000);
	assert_int_equal(fixture->config.value_bytes_max, 2 << 20);
	assert_int_equal(fixture->config.unixsocketperm, 0700);
	assert_int_equal(fixture->config.loglevel, 3);
	check_text(fixture, "bind", "10.0.0.1 ::1");
	check_text(fixture, "requirepass", "a b 'c'");
}

static void passes_over_a_byte_order_mark(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(parse(fixture, "\xef\xbb\xbfport 7000\r\ntimeout 5\r\n"), 0);
	assert_int_equal(fixture->config.port, 7000);
	assert_int_equal(parse(fixture, "\xef\xbb\xbf# a comment\nport 7001"), 0);
	assert_int_equal(fixture->config.port, 7001);
	assert_int_equal(parse(fixture, "\xef\xbb\xbf"), 0);
	check_refused(fixture, "timeout 5\n\xef\xbb\xbfport 7000\n",
		":2: unknown parameter '\xef\xbb\xbfport'; did you mean 'port'?");
}

static void the_last_of_repeated_names_wins(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(
		parse(fixture, "port 1\nappendfsync everysec\nport 2\ndurability always\n"), 0);
	assert_int_equal(fixture->config.port, 2);
	assert_int_equal(fixture->config.durability, DURABILITY_ALWAYS);
}

static void says_where_and_what_is_wrong(void **state)
{
	struct fixture *fixture = *state;
	check_refused(fixture, "port 1\n\nprot 2\n",
		":3: unknown parameter 'prot'; did you mean 'port'?");
	check_refused(fixture, "vm-enabled yes\n", ":1: unknown parameter 'vm-enabled'");
	check_refused(fixture, "port 70000\n",
		":1: port: argument must be between 0 and 65535 inclusive");
	check_refused(fixture, "port\n", ":1: port: a value is missing");
	check_refused(
		fixture, "port 1 2\n", ":1: port: takes one value; quote it if it contains blanks");
	check_refused(fixture, "#\nrequirepass \"a\n", ":2: unbalanced quotes");
	check_refused(fixture, "bind 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
		":1: bind: too many values");
	check_refused(fixture, "bind 1 '2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17'\n",
		":1: bind: too many values");
	check_too_many(fixture);
	check_refused(
		fixture, "include other.conf\n", ":1: include is not supported; write one file");
	check_refused(fixture, "save 60\n", ":1: save: Invalid save parameters");
	check_refused(fixture, "databases 0\n",
		":1: databases: argument must be '16' or less, which is fixed: there are 16, from 0 to 15");
	check_refused(fixture, "dir \"a\\x00b\"\n", ":1: dir: argument contains a zero byte");
}

static void says_what_is_wrong_with_a_line(void **state)
{
	struct fixture *fixture = *state;
	const char *form = "the form is \"CRON\" CLASS METHOD [PREFIX p], with quotes around CRON";
	char expected[256];
	snprintf(expected, sizeof(expected), ":2: schedule: %s", form);
	check_refused(fixture, "#\nschedule */30 * * * * Feed poll\n", expected);
	check_refused(fixture, "#\nschedule @hourly Feed\n", expected);
	check_refused(fixture, "schedule\n", ":1: schedule: a value is missing");
	check_refused(fixture, "schedule \"61 * * * *\" Feed poll\n",
		":1: schedule: minute (0 to 59): '61' is not one");
	check_refused(fixture, "schedule \"0 0 31 2 *\" Feed poll\n",
		":1: schedule: no month among these has such a day");
	check_refused(fixture, "schedule @hourly 2Feed poll\n",
		":1: schedule: '2Feed' is not a class name");
	check_refused(
		fixture, "schedule @hourly * poll\n", ":1: schedule: '*' is not a class name");
	check_refused(fixture, "schedule @hourly Feed _poll\n",
		":1: schedule: '_poll' is not the name of a public method");
	check_refused(fixture, "schedule @hourly Feed poll START p\n",
		":1: schedule: 'START' stands where PREFIX is expected");
	form = "the form is CLASS NAME VALUE; quote a value that contains blanks";
	snprintf(expected, sizeof(expected), ":1: env: %s", form);
	check_refused(fixture, "env Feed TOKEN\n", expected);
	check_refused(fixture, "env Feed TOKEN two words\n", expected);
	check_refused(fixture, "env Fe-ed TOKEN x\n",
		":1: env: CLASS must be '*' or the name of a class");
	check_refused(fixture, "env * 'my token' x\n",
		":1: env: NAME must be 1 to 64 letters, digits and underscores");
	check_refused(fixture, "env * A \"x\\x00\"\n", ":1: env: argument contains a zero byte");
	check_refused(fixture, "fetch-allow ok http://example.com/x\n",
		":1: fetch-allow: 'http://example.com/x' is a URL; name the host alone, or host:port");
}

static void errors_never_show_what_may_be_secret(void **state)
{
	static const char *const lines[] = { "env hunter.2\n", "env * hunter.2\n",
		"env hunter.2 B c\n", "env * hunter.2 c\n", "env A B c hunter.2\n",
		"env A B \"hunter.2\n", "env A B \"hunter.2\\x00\"\n" };
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(parse(fixture, lines[i]), -EINVAL);
		assert_null(strstr(fixture->error, "hunter"));
	}
}

static void says_when_a_file_cannot_be_read(void **state)
{
	struct fixture *fixture = *state;
	char *error = fixture->error;
	assert_int_equal(
		config_parse_file(&fixture->config, fixture->path, error, sizeof(fixture->error)),
		-EINVAL);
	assert_non_null(strstr(error, "cannot read '"));
	assert_non_null(strstr(error, "No such file or directory"));
	assert_int_equal(config_parse_file(&fixture->config, fixture->directory, error,
				 sizeof(fixture->error)),
		-EINVAL);
	assert_non_null(strstr(error, "Is a directory"));
}

static void append_pair(void *context, const char *name, struct slice value)
{
	struct buffer *out = context;
	buffer_format(out, "%s=%.*s\n", name, (int)value.size, value.data);
}

static void the_sample_gives_the_defaults(void **state)
{
	struct fixture *fixture = *state;
	struct buffer sample, before, after;
	buffer_init(&sample);
	buffer_init(&before);
	buffer_init(&after);
	config_write_sample(&sample);
	buffer_append(&sample, "", 1);
	config_get(&fixture->config, slice_text("*"), append_pair, &before);
	assert_int_equal(parse(fixture, sample.data), 0);
	config_get(&fixture->config, slice_text("*"), append_pair, &after);
	assert_true(slice_equal(buffer_slice(&before), buffer_slice(&after)));
	buffer_fini(&sample);
	buffer_fini(&before);
	buffer_fini(&after);
}

static void the_examples_of_the_sample_are_valid(void **state)
{
	struct fixture *fixture = *state;
	struct buffer sample;
	buffer_init(&sample);
	config_write_sample(&sample);
	buffer_append(&sample, "", 1);
	static const char *const names[] = { "\n# env ", "\n# schedule ", "\n# fetch-allow " };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *example = strstr(sample.data, names[i]);
		assert_non_null(example);
		char line[256];
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(example + 3, "\n"), example + 3);
		if (parse(fixture, line) != 0)
			fail_msg("<%s>: %s", line, fixture->error);
	}
	buffer_fini(&sample);
}

static void check_rewrite(struct fixture *fixture, const char *expected)
{
	char text[4096];
	fixture->config.file = strdup(fixture->path);
	assert_int_equal(config_rewrite(&fixture->config), 0);
	FILE *file = fopen(fixture->path, "r");
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(text, expected);
}

static void set(struct fixture *fixture, const char *name, const char *value)
{
	assert_int_equal(config_set(&fixture->config, slice_text(name), slice_text(value),
				 fixture->error, sizeof(fixture->error)),
		0);
}

static void a_rewrite_without_changes_keeps_the_file(void **state)
{
	struct fixture *fixture = *state;
	const char *text = "# mine\n\n  port   7000\nmax-value-size 2048kb\nTIMEOUT 0\n"
			   "requirepass \"x\"\nsave ''\n# end\n";
	assert_int_equal(parse(fixture, text), 0);
	check_rewrite(fixture, text);
}

static void a_rewrite_changes_adds_and_drops(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(parse(fixture,
				 "# mine\n"
				 "timeout 5\n"
				 "proto-max-bulk-len 2mb\n"
				 "timeout 6\n"
				 "bind 10.0.0.1 ::1"),
		0);
	set(fixture, "timeout", "7");
	set(fixture, "max-value-size", "3mb");
	set(fixture, "requirepass", "a \"b\"\n");
	set(fixture, "durability", "everysec");
	check_rewrite(fixture,
		"# mine\n"
		"timeout 7\n"
		"proto-max-bulk-len 3mb\n"
		"bind 10.0.0.1 ::1\n"
		"# Added by CONFIG REWRITE\n"
		"requirepass \"a \\\"b\\\"\\x0a\"\n"
		"durability everysec\n");
}

static void a_rewrite_keeps_lines_that_add_up(void **state)
{
	struct fixture *fixture = *state;
	const char *text = "env  Feed TOKEN \"a secret\"\n"
			   "schedule '*/30 * * * *' Feed poll\n"
			   "ENV Feed TOKEN other\n"
			   "timeout 5\n"
			   "schedule \"*/30 * * * *\" Feed poll\n"
			   "schedule @daily Feed clean PREFIX \"a b\"\n";
	assert_int_equal(parse(fixture, text), 0);
	char *command_line[] = { "holdfast-server", "--env", "Feed", "MORE", "x" };
	enum config_action action;
	assert_int_equal(config_parse_arguments(&fixture->config, 5, command_line, &action,
				 fixture->error, sizeof(fixture->error)),
		0);
	check_rewrite(fixture, text);
}

/* A number that happens to be what "auto" gives here is not "auto" elsewhere. */
static void a_rewrite_tells_auto_from_the_number_that_it_gives(void **state)
{
	struct fixture *fixture = *state;
	config_derive(&fixture->config, 64 << 20);
	assert_int_equal(parse(fixture, "overlay-memory 20mb\ncache-memory auto\n"), 0);
	set(fixture, "overlay-memory", "auto");
	set(fixture, "input-memory", "8mb");
	check_rewrite(fixture,
		"overlay-memory auto\ncache-memory auto\n# Added by CONFIG REWRITE\n"
		"input-memory 8mb\n");
}

static void a_rewrite_can_be_read_after_words_were_emptied(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(parse(fixture, "fetch-allow a.example *.b.example:81\n"), 0);
	check_text(fixture, "fetch-allow", "a.example *.b.example:81");
	set(fixture, "fetch-allow", "");
	check_rewrite(fixture, "fetch-allow \"\"\n");
	assert_int_equal(parse(fixture, "fetch-allow \"\"\n"), 0);
	set(fixture, "fetch-allow", "[::1]:8080 localhost");
	free(fixture->config.file);
	check_rewrite(fixture, "fetch-allow [::1]:8080 localhost\n");
}

static void a_rewritten_file_gives_the_same_values(void **state)
{
	struct fixture *fixture = *state;
	struct buffer before, after;
	struct config again;
	buffer_init(&before);
	buffer_init(&after);
	assert_int_equal(parse(fixture, "port 1\nport 2\nloglevel debug\nunixsocketperm 750\n"), 0);
	set(fixture, "requirepass", "\x01 \xff'\"#");
	set(fixture, "slowlog-log-slower-than", "-1");
	set(fixture, "input-memory", "1500000001");
	fixture->config.file = strdup(fixture->path);
	assert_int_equal(config_rewrite(&fixture->config), 0);
	config_init(&again);
	assert_int_equal(
		config_parse_file(&again, fixture->path, fixture->error, sizeof(fixture->error)),
		0);
	config_get(&fixture->config, slice_text("*"), append_pair, &before);
	config_get(&again, slice_text("*"), append_pair, &after);
	assert_true(slice_equal(buffer_slice(&before), buffer_slice(&after)));
	config_fini(&again);
	buffer_fini(&before);
	buffer_fini(&after);
}

static void a_rewrite_keeps_the_permissions(void **state)
{
	struct fixture *fixture = *state;
	struct stat status;
	write_file(fixture, "port 1\n");
	assert_int_equal(chmod(fixture->path, 0640), 0);
	set(fixture, "timeout", "7");
	fixture->config.file = strdup(fixture->path);
	assert_int_equal(config_rewrite(&fixture->config), 0);
	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
}

static void a_rewrite_needs_a_file(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(config_rewrite(&fixture->config), -ENOENT);
	fixture->config.file = strdup(fixture->path);
	assert_int_equal(config_rewrite(&fixture->config), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, drop_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_the_syntax_of_redis_conf),
		TEST(passes_over_a_byte_order_mark),
		TEST(the_last_of_repeated_names_wins),
		TEST(says_where_and_what_is_wrong),
		TEST(says_what_is_wrong_with_a_line),
		TEST(errors_never_show_what_may_be_secret),
		TEST(says_when_a_file_cannot_be_read),
		TEST(the_sample_gives_the_defaults),
		TEST(the_examples_of_the_sample_are_valid),
		TEST(a_rewrite_without_changes_keeps_the_file),
		TEST(a_rewrite_changes_adds_and_drops),
		TEST(a_rewrite_keeps_lines_that_add_up),
		TEST(a_rewrite_tells_auto_from_the_number_that_it_gives),
		TEST(a_rewrite_can_be_read_after_words_were_emptied),
		TEST(a_rewritten_file_gives_the_same_values),
		TEST(a_rewrite_keeps_the_permissions),
		TEST(a_rewrite_needs_a_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
