/*
 * test_agreement: values that do not go together.
 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#define ARGUMENTS_MAX 16

static struct config config;
static char error[512];

static int make_config(void **state)
{
	config_init(&config);
	return 0;
}

static int drop_config(void **state)
{
	config_fini(&config);
	return 0;
}

/* `line` is split at blanks. */
static int parse(const char *line)
{
	char copy[512], *argv[ARGUMENTS_MAX] = { copy };
	enum config_action action;
	int argc = 1;
	snprintf(copy, sizeof(copy), "holdfast-server %s", line);
	strtok(copy, " ");
	for (char *word; (word = strtok(NULL, " ")) != NULL;) {
		assert_in_range(argc, 1, ARGUMENTS_MAX - 1);
		argv[argc++] = word;
	}
	error[0] = '\0';
	return config_parse_arguments(&config, argc, argv, &action, error, sizeof(error));
}

static int set_allow(const char *list)
{
	struct slice name = slice_text("fetch-allow"), value = slice_text(list);
	int checked = config_check(&config, name, value, error, sizeof(error));
	int result = config_set(&config, name, value, error, sizeof(error));
	assert_int_equal(checked, result);
	return result;
}

static void an_origin_that_may_not_be_fetched_is_refused(void **state)
{
	static const char *const lines[] = {
		"--cache-origin api: https://api.test/",
		"--fetch-allow other.test --cache-origin api: https://api.test/",
		"--cache-origin api: https://api.test/ --check-config",
		"--cache-origin api: https://api.test:8443/ --fetch-allow api.test",
		"--cache-origin api: https://api.test/ --fetch-allow *.api.test",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		make_config(NULL);
		assert_int_equal(parse(lines[i]), -EINVAL);
		assert_ptr_equal(strstr(error, "cache-origin api: https://api.test"), error);
		assert_non_null(strstr(error, ": fetch-allow "));
		drop_config(NULL);
	}
}

static void an_origin_whose_url_cannot_be_fetched_is_refused(void **state)
{
	assert_int_equal(
		parse("--fetch-allow api.test --cache-origin api: https://me@api.test/"), -EINVAL);
	assert_string_equal(error,
		"cache-origin api: https://me@api.test/: the URL holds a user name or a password");
}

static void origins_that_are_named_are_fine_in_any_order(void **state)
{
	assert_int_equal(parse("--cache-origin api: https://api.test/v1/ "
			       "--fetch-allow *.test localhost:8080 "
			       "--cache-origin b: http://localhost:8080/x?y="),
		0);
}

static void the_list_cannot_lose_an_origin_while_it_runs(void **state)
{
	assert_int_equal(parse("--fetch-allow api.test --cache-origin api: https://api.test/"), 0);
	assert_int_equal(set_allow("other.test"), -EINVAL);
	assert_string_equal(error,
		"cache-origin api: https://api.test/: fetch-allow does not list 'api.test:443'");
	assert_int_equal(set_allow(""), -EINVAL);
	assert_int_equal(set_allow("other.test *.test"), 0);
}

static void lists_without_origins_are_free(void **state)
{
	assert_int_equal(set_allow("a.test"), 0);
	assert_int_equal(set_allow(""), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_config, drop_config)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_origin_that_may_not_be_fetched_is_refused),
		TEST(an_origin_whose_url_cannot_be_fetched_is_refused),
		TEST(origins_that_are_named_are_fine_in_any_order),
		TEST(the_list_cannot_lose_an_origin_while_it_runs),
		TEST(lists_without_origins_are_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
