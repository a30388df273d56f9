/*
 * test_arguments: the command line: options, their order against the file, what is asked for
 * instead of running, and what is said about mistakes.
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
#include <unistd.h>

#define ARGUMENTS_MAX 32

static struct config config;
static enum config_action action;
static char error[512];

static int make_config(void **state)
{
	(void)state;
	config_init(&config);
	return 0;
}

static int drop_config(void **state)
{
	(void)state;
	config_fini(&config);
	return 0;
}

/* `line` is split at blanks; '' stands for an empty argument. */
static int parse(const char *line)
{
	char copy[512], *argv[ARGUMENTS_MAX] = { copy };
	int argc = 1;
	snprintf(copy, sizeof(copy), "holdfast-server %s", line);
	strtok(copy, " ");
	for (char *word; (word = strtok(NULL, " ")) != NULL;) {
		assert_in_range(argc, 1, ARGUMENTS_MAX - 1);
		argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
	}
	error[0] = '\0';
	return config_parse_arguments(&config, argc, argv, &action, error, sizeof(error));
}

static void nothing_means_run_with_defaults(void **state)
{
	assert_int_equal(parse(""), 0);
	assert_int_equal(action, CONFIG_RUN);
	assert_int_equal(config.port, 6379);
	assert_null(config.file);
}

static void options_take_values_up_to_the_next_option(void **state)
{
	char text[64];
	assert_int_equal(parse("--bind 10.0.0.1 -::1 --port 7000 --slowlog-log-slower-than -1 "
			       "--unixsocket '' --Save ''"),
		0);
	config_text_copy(&config, "bind", text, sizeof(text));
	assert_string_equal(text, "10.0.0.1 -::1");
	assert_int_equal(config.port, 7000);
	assert_int_equal(config.slowlog_us, -1);
	assert_true(config_text_is_empty(&config, "unixsocket"));
}

static void options_win_over_the_file(void **state)
{
	char path[] = "/tmp/test_arguments.XXXXXX", line[128];
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "port 1\ntimeout 2\n", 17), 17);
	close(fd);
	snprintf(line, sizeof(line), "%s --port 3 --port 4", path);
	int result = parse(line);
	unlink(path);
	assert_int_equal(result, 0);
	assert_int_equal(config.port, 4);
	assert_int_equal(config.idle_timeout_s, 2);
	assert_string_equal(config.file, path);
}

static void actions_are_told(void **state)
{
	static const struct {
		const char *line;
		enum config_action expected;
	} cases[] = {
		{ "--help", CONFIG_HELP },
		{ "-h", CONFIG_HELP },
		{ "--port nonsense --help", CONFIG_HELP },
		{ "--version", CONFIG_VERSION },
		{ "-v", CONFIG_VERSION },
		{ "--sample-config", CONFIG_SAMPLE },
		{ "--commands", CONFIG_COMMANDS },
		{ "--check-config", CONFIG_CHECK },
		{ "--check-config --port 5", CONFIG_CHECK },
		{ "--port 5 --check-config", CONFIG_CHECK },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].line), 0);
		assert_int_equal(action, cases[i].expected);
	}
	assert_int_equal(parse("--check-config --port x"), -EINVAL);
}

/* Appends the words of each line, `|` between words and a line's end behind them. */
static bool append_line(void *context, const struct slice *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buffer_format(context, "%.*s%c", (int)words[i].size, words[i].data,
			i + 1 < count ? '|' : '\n');
	return true;
}

static void check_lines(const char *name, const char *expected)
{
	struct buffer out;
	buffer_init(&out);
	config_each_line(&config, name, append_line, &out);
	buffer_append(&out, "", 1);
	assert_string_equal(out.data, expected);
	buffer_fini(&out);
}

static void lines_of_the_command_line_add_to_those_of_the_file(void **state)
{
	char path[] = "/tmp/test_arguments.XXXXXX",
	     *argv[] = { "holdfast-server", path, "--schedule", "*/30 * * * *", "Feed", "poll",
		     "--env", "*", "KEY", "a b", "--schedule", "@daily", "Feed", "clean", "PREFIX",
		     "u:", "--ENV", "Feed", "KEY", "-1" };
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	const char *text = "env Feed KEY 'from \"file\"'\nschedule '0 0 * * *' Feed a\n";
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	int argc = sizeof(argv) / sizeof(argv[0]);
	int result = config_parse_arguments(&config, argc, argv, &action, error, sizeof(error));
	unlink(path);
	assert_int_equal(result, 0);
	check_lines("env", "Feed|KEY|from \"file\"\n*|KEY|a b\nFeed|KEY|-1\n");
	check_lines("schedule",
		"0 0 * * *|Feed|a\n*/30 * * * *|Feed|poll\n@daily|Feed|clean|PREFIX|u:\n");
}

static void check_refused(const char *line, const char *expected)
{
	assert_int_equal(parse(line), -EINVAL);
	assert_string_equal(error, expected);
}

static void says_which_option_is_wrong(void **state)
{
	check_refused("--prot 1", "command line: unknown parameter 'prot'; did you mean 'port'?");
	check_refused("--port", "command line: port: a value is missing");
	check_refused("--port --timeout 1", "command line: port: a value is missing");
	check_refused("--port --help-me", "command line: port: a value is missing");
	check_refused("--port=7000", "command line: unknown parameter 'port=7000'");
	check_refused("--port 1 2",
		"command line: port: takes one value; quote it if it contains blanks");
	check_refused("--schedule @hourly Feed po-ll",
		"command line: schedule: 'po-ll' is not the name of a public method");
	check_refused("--workers 500",
		"command line: workers: argument must be between 0 and 128 inclusive (threads)");
	check_refused("--", "command line: '--' has no name, or unbalanced quotes");
	check_refused("-p 1",
		"command line: unexpected argument '-p'; parameters are given as --name value");
	check_refused("--check-config /nonexistent/h.conf",
		"cannot read '/nonexistent/h.conf': No such file or directory");
	check_refused("/nonexistent/h.conf",
		"cannot read '/nonexistent/h.conf': No such file or directory");
}

static void a_text_may_look_like_an_option(void **state)
{
	assert_int_equal(parse("--requirepass --s3cret --port 7000"), 0);
	assert_true(config_text_matches(&config, "requirepass", slice_text("--s3cret")));
	assert_int_equal(config.port, 7000);
	assert_int_equal(parse("--requirepass --help"), 0);
	assert_int_equal(action, CONFIG_RUN);
	assert_true(config_text_matches(&config, "requirepass", slice_text("--help")));
	assert_int_equal(parse("--pidfile --x --timeout 7"), 0);
	assert_int_equal(config.idle_timeout_s, 7);
	check_refused("--requirepass", "command line: requirepass: a value is missing");
}

static void a_name_and_its_value_may_be_one_argument(void **state)
{
	char *argv[] = { "holdfast-server", "--maxclients 100", "--save", "--requirepass \"a b\" ",
		"--timeout", "5", "--bind 10.0.0.1", "::1", "--save 60 1" };
	int argc = sizeof(argv) / sizeof(argv[0]);
	char text[64];
	assert_int_equal(
		config_parse_arguments(&config, argc, argv, &action, error, sizeof(error)), 0);
	assert_int_equal(config.clients_max, 100);
	assert_int_equal(config.idle_timeout_s, 5);
	assert_true(config_text_matches(&config, "requirepass", slice_text("a b")));
	config_text_copy(&config, "bind", text, sizeof(text));
	assert_string_equal(text, "10.0.0.1 ::1");
	argv[1] = "--maxclients \"100";
	assert_int_equal(
		config_parse_arguments(&config, 2, argv, &action, error, sizeof(error)), -EINVAL);
	argv[1] = "--maxclients 100 200";
	assert_int_equal(
		config_parse_arguments(&config, 2, argv, &action, error, sizeof(error)), -EINVAL);
	assert_string_equal(
		error, "command line: maxclients: takes one value; quote it if it contains blanks");
}

static void note_names(void *context, const char *names, const char *holds)
{
	assert_true(strlen(holds) > 10);
	buffer_format(context, "%s;", names);
}

static void check_notes(const char *line, const char *expected)
{
	struct buffer notes;
	buffer_init(&notes);
	config_fini(&config);
	config_init(&config);
	if (parse(line) != 0)
		fail_msg("<%s>: %s", line, error);
	config_each_note(&config, note_names, &notes);
	buffer_append(&notes, "", 1);
	assert_string_equal(notes.data, expected);
	buffer_fini(&notes);
}

static void says_what_of_redis_has_no_effect(void **state)
{
	check_notes("--port 7000", "");
	check_notes("--save --appendonly yes --maxmemory 0 --hz 10 --daemonize no", "");
	check_notes("--save 60 1 --appendonly no --maxmemory 1gb --maxmemory-policy allkeys-lru",
		"save, appendonly;maxmemory, maxmemory-policy;");
	check_notes("--save 60 1 --save ''", "");
	check_notes("--hz 20 --rdbcompression no --daemonize yes", "rdbcompression, hz;daemonize;");
	check_notes("--databases 1", "databases;");
	check_notes("--databases 16", "");
	check_notes("--appendfsync no", "appendfsync no;");
	assert_int_equal(config.durability, DURABILITY_EVERYSEC);
	check_notes("--appendfsync no --appendfsync always", "");
}

static void refuses_what_would_be_missed(void **state)
{
	check_refused("--tls-port 7000",
		"command line: tls-port: argument must be '0', which is fixed: there is no TLS here: "
		"put a proxy in front that ends it");
	check_refused("--user ann on",
		"command line: user: is not supported: there is one user, whose "
		"password is `requirepass`");
	check_refused("--replicaof 1.2.3.4 6379",
		"command line: replicaof: argument must be '', which is fixed: this server is one "
		"node, without replicas");
	check_refused("--notify-keyspace-events Ex",
		"command line: notify-keyspace-events: argument must be '', which is fixed: changes of "
		"keys are told to nobody; those of sessions are, on channels like session:expired");
	check_refused("--cluster-enabled yes",
		"command line: cluster-enabled: argument must be 'no', which is fixed: this server is "
		"one node, and clients connect to it without their cluster mode");
	check_refused("--databases 17",
		"command line: databases: argument must be '16' or less, which is fixed: there are "
		"16, from 0 to 15");
	check_refused("--hz x", "command line: hz: argument couldn't be parsed into an integer");
	check_refused("--loadmodule x.so",
		"command line: loadmodule: is not supported: there are no modules");
}

static void help_shows_lines_by_example(void **state)
{
	struct buffer help;
	buffer_init(&help);
	config_write_help(&help);
	buffer_append(&help, "", 1);
	assert_non_null(strstr(help.data, "\n  --schedule \"*/30 * * * *\" "));
	assert_non_null(strstr(help.data, "\n  --env UserSubscriptionManager CLIENT_SECRET "));
	buffer_fini(&help);
}

static void help_says_what_is_allowed(void **state)
{
	struct buffer help;
	buffer_init(&help);
	config_write_help(&help);
	buffer_append(&help, "", 1);
	assert_non_null(strstr(help.data,
		"nothing has been written for ten seconds. [between 1 and 86400 inclusive (seconds)]\n"));
	assert_non_null(strstr(help.data,
		"[auto or between 16mb and 1tb inclusive; auto is 1/4 of the memory that the process "
		"may use, at most 512mb]\n"));
	assert_non_null(strstr(help.data, "['always' or 'everysec']\n"));
	assert_non_null(strstr(help.data, "Path of a unix socket to listen on; empty: none.\n"));
	buffer_fini(&help);
}

static void help_names_every_parameter(void **state)
{
	struct buffer help, sample;
	buffer_init(&help);
	buffer_init(&sample);
	config_write_help(&help);
	config_write_sample(&sample);
	buffer_append(&help, "", 1);
	buffer_append(&sample, "", 1);
	int names = 0;
	for (char *line = strtok(sample.data, "\n"); line; line = strtok(NULL, "\n")) {
		char name[64];
		if (line[0] == '#' || sscanf(line, "%50s", name) != 1)
			continue;
		char option[70];
		snprintf(option, sizeof(option), "\n  --%s ", name);
		assert_non_null(strstr(help.data, option));
		names++;
	}
	assert_true(names > 20);
	buffer_fini(&help);
	buffer_fini(&sample);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_config, drop_config)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_means_run_with_defaults),
		TEST(options_take_values_up_to_the_next_option),
		TEST(options_win_over_the_file),
		TEST(lines_of_the_command_line_add_to_those_of_the_file),
		TEST(actions_are_told),
		TEST(says_which_option_is_wrong),
		TEST(a_text_may_look_like_an_option),
		TEST(a_name_and_its_value_may_be_one_argument),
		TEST(says_what_of_redis_has_no_effect),
		TEST(refuses_what_would_be_missed),
		TEST(help_shows_lines_by_example),
		TEST(help_says_what_is_allowed),
		TEST(help_names_every_parameter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
