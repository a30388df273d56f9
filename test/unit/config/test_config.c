/*
 * test_config: the values of a running server: defaults, CONFIG GET and SET, texts under several
 * threads.
 */
#include "config/config.h"
#include "config/internal.h"
#include "holdfast/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

static int make_config(void **state)
{
	struct config *config = calloc(1, sizeof(*config));
	config_init(config);
	*state = config;
	return 0;
}

static int drop_config(void **state)
{
	config_fini(*state);
	free(*state);
	return 0;
}

static int set(struct config *config, const char *name, const char *value)
{
	char error[256];
	return config_set(config, slice_text(name), slice_text(value), error, sizeof(error));
}

static void append_pair(void *context, const char *name, struct slice value)
{
	buffer_format(context, "%s=%.*s ", name, (int)value.size, value.data);
}

static void append_value(void *context, const char *name, struct slice value)
{
	(void)name;
	buffer_append(context, value.data, value.size);
}

static void check_get(struct config *config, const char *pattern, const char *expected)
{
	struct buffer out;
	buffer_init(&out);
	config_get(config, slice_text(pattern), append_pair, &out);
	if (!slice_equal(buffer_slice(&out), slice_text(expected)))
		fail_msg("%s: <%.*s> instead of <%s>", pattern, (int)out.size, out.data, expected);
	buffer_fini(&out);
}

static void starts_with_the_defaults(void **state)
{
	struct config *config = *state;
	char text[64];
	assert_int_equal(config->port, 6379);
	assert_int_equal(config->durability, DURABILITY_ALWAYS);
	assert_int_equal(config->value_bytes_max, 64 << 20);
	assert_int_equal(config->map_bytes, (int64_t)1 << 40);
	assert_int_equal(config->protected_mode, 1);
	assert_int_equal(config_text_copy(config, "bind", text, sizeof(text)), 14);
	assert_string_equal(text, "127.0.0.1 -::1");
	assert_true(config_text_is_empty(config, "requirepass"));
	assert_null(config->file);
}

static void get_takes_a_glob_and_shows_both_names(void **state)
{
	struct config *config = *state;
	check_get(config, "port", "port=6379 ");
	check_get(config, "PORT", "port=6379 ");
	check_get(config, "none", "");
	check_get(config, "max-v*", "max-value-size=67108864 ");
	check_get(config, "proto-max-bulk-len", "proto-max-bulk-len=67108864 ");
	check_get(config, "*-read-only", "replica-read-only=yes slave-read-only=yes ");
	check_get(config, "unixsocket*", "unixsocket= unixsocketperm=0 ");
	check_get(config, "save", "save= ");
	check_get(config, "databases", "databases=16 ");
}

static void set_changes_what_may_change(void **state)
{
	struct config *config = *state;
	assert_int_equal(set(config, "Timeout", "30"), 0);
	assert_int_equal(config->idle_timeout_s, 30);
	assert_int_equal(set(config, "proto-max-bulk-len", "2mb"), 0);
	check_get(config, "max-value-size", "max-value-size=2097152 ");
	assert_int_equal(set(config, "appendfsync", "EVERYSEC"), 0);
	check_get(config, "durability", "durability=everysec ");
	assert_int_equal(set(config, "appendfsync", "always"), 0);
	assert_int_equal(set(config, "appendfsync", "no"), 0);
	check_get(config, "appendfsync", "appendfsync=everysec ");
	assert_int_equal(set(config, "requirepass", "secret"), 0);
	check_get(config, "requirepass", "requirepass=secret ");
	assert_int_equal(set(config, "requirepass", ""), 0);
	assert_true(config_text_is_empty(config, "requirepass"));
}

static void set_refuses_the_rest_and_changes_nothing(void **state)
{
	struct config *config = *state;
	assert_int_equal(set(config, "port", "1"), -EPERM);
	assert_int_equal(config->port, 6379);
	assert_int_equal(set(config, "dir", "/tmp"), -EPERM);
	assert_int_equal(set(config, "nonsense", "1"), -ENOENT);
	assert_int_equal(set(config, "timeout", "-5"), -EINVAL);
	assert_int_equal(set(config, "timeout", ""), -EINVAL);
	assert_int_equal(config->idle_timeout_s, 0);
}

static void what_is_auto_follows_from_the_memory_that_may_be_used(void **state)
{
	struct config *config = *state;
	check_get(config, "overlay-memory", "overlay-memory=536870912 ");
	config_derive(config, 512 << 20);
	check_get(config, "overlay-memory", "overlay-memory=134217728 ");
	check_get(config, "cache-memory", "cache-memory=67108864 ");
	config_derive(config, 0);
	check_get(config, "overlay-memory", "overlay-memory=16777216 ");
	config_derive(config, UINT64_MAX);
	check_get(config, "overlay-memory", "overlay-memory=536870912 ");
}

static void what_somebody_chose_stays_until_it_is_auto_again(void **state)
{
	struct config *config = *state;
	config_derive(config, 512 << 20);
	assert_int_equal(set(config, "overlay-memory", "300mb"), 0);
	config_derive(config, 256 << 20);
	check_get(config, "overlay-memory", "overlay-memory=314572800 ");
	assert_int_equal(set(config, "overlay-memory", "AUTO"), 0);
	check_get(config, "overlay-memory", "overlay-memory=67108864 ");
	assert_int_equal(set(config, "max-value-size", "auto"), -EINVAL);
	assert_int_equal(set(config, "timeout", "auto"), -EINVAL);
}

static void tells_what_is_derived_and_what_all_of_it_comes_to(void **state)
{
	struct config *config = *state;
	struct buffer out;
	buffer_init(&out);
	config_derive(config, 512 << 20);
	uint64_t sum = config_show_derived(config, &out);
	buffer_append(&out, "", 1);
	assert_non_null(strstr(out.data, "overlay-memory 128mb, "));
	assert_non_null(strstr(out.data, "cache-memory 64mb"));
	buffer_clear(&out, SIZE_MAX);
	assert_int_equal(set(config, "overlay-memory", "1gb"), 0);
	assert_true(config_show_derived(config, &out) == sum + (1024 - 128) * ((uint64_t)1 << 20));
	buffer_append(&out, "", 1);
	assert_null(strstr(out.data, "overlay-memory"));
	buffer_fini(&out);
}

static int put(struct config *config, const char *name, const char *const *texts, size_t count)
{
	struct slice words[8];
	char error[256];
	for (size_t i = 0; i < count; i++)
		words[i] = slice_text(texts[i]);
	return config_put(config, slice_text(name), words, count, error, sizeof(error));
}

static bool count_up_to_three(void *context, const struct slice *words, size_t count)
{
	assert_int_equal(count, 3);
	assert_true(words[0].size > 0);
	return ++*(int *)context < 3;
}

static void lines_add_up_and_hide_their_secrets(void **state)
{
	struct config *config = *state;
	int seen = 0;
	config_each_line(config, "env", count_up_to_three, &seen);
	assert_int_equal(seen, 0);
	check_get(config, "env", "env= ");
	assert_int_equal(put(config, "env", (const char *[]){ "Feed", "KEY", "secret" }, 3), 0);
	assert_int_equal(put(config, "Env", (const char *[]){ "*", "EMPTY", "" }, 3), 0);
	assert_int_equal(
		put(config, "schedule", (const char *[]){ "*/30 * * * *", "Feed", "poll" }, 3), 0);
	check_get(config, "env", "env=Feed KEY (hidden)\n* EMPTY (hidden) ");
	check_get(config, "schedule", "schedule=\"*/30 * * * *\" Feed poll ");
	assert_int_equal(put(config, "env", (const char *[]){ "Feed", "KEY" }, 2), -EINVAL);
	config_each_line(config, "env", count_up_to_three, &seen);
	assert_int_equal(seen, 2);
	for (int i = 0; i < 5; i++)
		assert_int_equal(put(config, "env", (const char *[]){ "A", "B", "c" }, 3), 0);
	config_each_line(config, "env", count_up_to_three, &seen);
	assert_int_equal(seen, 3);
}

static void lines_do_not_change_at_run_time(void **state)
{
	struct config *config = *state;
	assert_int_equal(set(config, "env", "A B c"), -EPERM);
	assert_int_equal(set(config, "schedule", "@hourly A b"), -EPERM);
	assert_int_equal(set(config, "schedule", ""), -EPERM);
	check_get(config, "schedule", "schedule= ");
}

static void lines_have_a_limit(void **state)
{
	struct config *config = *state;
	const char *line[] = { "A", "B", "c" };
	for (int i = 0; i < LIMIT_CONFIG_LINES; i++)
		assert_int_equal(put(config, "env", line, 3), 0);
	assert_int_equal(put(config, "env", line, 3), -EINVAL);
	line[0] = "@hourly";
	assert_int_equal(put(config, "schedule", line, 3), -EINVAL);
}

static void fetch_allow_is_a_list_of_hosts(void **state)
{
	static const char *const good[] = { "", "a", "a b", " a  b ", "api.example.com:443",
		"*.example.com", "*.example.com:1", "[::1]:65535", "[fe80::1]", "10.0.0.1:80",
		"my_host-1", "*.a" };
	static const char *const bad[] = { " ", "a:0", "a:65536", "a:", "a:b", ":80", "*", "*:80",
		"*.", "a.*", "a*.b", "*.*.b", "a..b", ".a", "a.", "::1", "fe80::1:80", "[::1",
		"[]:1", "[::1]x", "[::1]:0", "[1.2.3.4]", "[::g]", "http://a", "a/b", "a?b", "a@b",
		"a\tb", "a\nb", "10.0.0.0/8", "a:+1", "a:000080", "[:::1]", "a b http://c" };
	struct config *config = *state;
	char text[64];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (set(config, "fetch-allow", good[i]) != 0)
			fail_msg("<%s> is refused", good[i]);
		config_text_copy(config, "fetch-allow", text, sizeof(text));
		assert_string_equal(text, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (set(config, "fetch-allow", bad[i]) != -EINVAL)
			fail_msg("<%s> is taken", bad[i]);
	}
	config_text_copy(config, "fetch-allow", text, sizeof(text));
	assert_string_equal(text, "*.a");
}

static void constants_can_be_set_to_what_they_are(void **state)
{
	struct config *config = *state;
	assert_int_equal(set(config, "save", ""), 0);
	assert_int_equal(set(config, "appendonly", "YES"), 0);
	assert_int_equal(set(config, "save", "60 1"), -EINVAL);
	assert_int_equal(set(config, "maxmemory", "1gb"), -EINVAL);
	check_get(config, "maxmemory", "maxmemory=0 ");
	assert_int_equal(set(config, "daemonize", "yes"), -EINVAL);
	assert_int_equal(set(config, "replicaof", "1.2.3.4 5"), -EINVAL);
	assert_int_equal(set(config, "replicaof", "no one"), 0);
	assert_int_equal(set(config, "rename-command", "a b"), -ENOENT);
}

static void what_is_redis_s_only_is_taken_and_shown(void **state)
{
	struct config *config = *state;
	check_get(config, "hz", "hz=10 ");
	assert_int_equal(set(config, "HZ", "20"), 0);
	check_get(config, "hz", "hz=20 ");
	assert_int_equal(set(config, "hz", "often"), -EINVAL);
	assert_int_equal(set(config, "hash-max-ziplist-entries", "64"), 0);
	check_get(config, "hash-max-*-entries",
		"hash-max-listpack-entries=64 hash-max-ziplist-entries=64 ");
	assert_int_equal(set(config, "zset-max-listpack-value", "1kb"), 0);
	check_get(config, "zset-max-listpack-value", "zset-max-listpack-value=1024 ");
	assert_int_equal(set(config, "dynamic-hz", "maybe"), -EINVAL);
	check_get(config, "client-output-buffer-limit",
		"client-output-buffer-limit=normal 0 0 0 slave 268435456 67108864 60 "
		"pubsub 33554432 8388608 60 ");
	assert_int_equal(
		set(config, "client-output-buffer-limit", "pubsub 1mb 512kb 5 replica 0 0 0"), 0);
	check_get(config, "client-output-buffer-limit",
		"client-output-buffer-limit=normal 0 0 0 slave 0 0 0 pubsub 1048576 524288 5 ");
	static const char *const wrong[] = { "", "normal", "normal 0 0", "master 0 0 0",
		"normal a 0 0", "normal 0 0 0 pubsub" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(set(config, "client-output-buffer-limit", wrong[i]), -EINVAL);
}

static void a_password_may_hold_zero_bytes(void **state)
{
	struct config *config = *state;
	char error[256];
	struct slice password = slice_of("a\0b", 3);
	assert_int_equal(
		config_set(config, slice_text("requirepass"), password, error, sizeof(error)), 0);
	assert_false(config_text_is_empty(config, "requirepass"));
	assert_true(config_text_matches(config, "requirepass", password));
	assert_false(config_text_matches(config, "requirepass", slice_text("a")));
	assert_false(config_text_matches(config, "requirepass", slice_of("a\0b\0", 4)));
	assert_false(config_text_matches(config, "requirepass", slice_of("a\0c", 3)));
	struct buffer out;
	buffer_init(&out);
	config_get(config, slice_text("requirepass"), append_value, &out);
	assert_true(slice_equal(buffer_slice(&out), password));
	buffer_fini(&out);
	password = slice_of("\0", 1);
	assert_int_equal(
		config_set(config, slice_text("requirepass"), password, error, sizeof(error)), 0);
	assert_false(config_text_is_empty(config, "requirepass"));
	assert_false(config_text_matches(config, "requirepass", slice_of("", 0)));
	assert_true(config_text_matches(config, "requirepass", password));
}

static void check_answers_like_set_and_changes_nothing(void **state)
{
	static const char *const cases[][2] = { { "timeout", "5" }, { "timeout", "x" },
		{ "port", "5" }, { "nonsense", "5" }, { "save", "" }, { "save", "1 1" } };
	struct config *config = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char checked[256] = "", error[256] = "";
		struct slice name = slice_text(cases[i][0]), value = slice_text(cases[i][1]);
		int answer = config_check(config, name, value, checked, sizeof(checked));
		assert_int_equal(config->idle_timeout_s, 0);
		assert_int_equal(config_set(config, name, value, error, sizeof(error)), answer);
		assert_string_equal(checked, error);
		assert_int_equal(set(config, "timeout", "0"), 0);
	}
}

static void texts_are_copied_up_to_the_room_there_is(void **state)
{
	struct config *config = *state;
	char text[5];
	assert_int_equal(set(config, "requirepass", "longer"), 0);
	assert_int_equal(config_text_copy(config, "requirepass", text, sizeof(text)), 6);
	assert_string_equal(text, "long");
}

static void only_the_whole_text_matches(void **state)
{
	struct config *config = *state;
	assert_true(config_text_matches(config, "requirepass", slice_of(NULL, 0)));
	assert_int_equal(set(config, "requirepass", "secret"), 0);
	assert_true(config_text_matches(config, "requirepass", slice_text("secret")));
	assert_false(config_text_matches(config, "requirepass", slice_text("secre")));
	assert_false(config_text_matches(config, "requirepass", slice_text("secretsecret")));
	assert_false(config_text_matches(config, "requirepass", slice_of("secret\0secret", 13)));
	assert_false(config_text_matches(config, "requirepass", slice_of("secret\0", 7)));
	assert_false(config_text_matches(config, "requirepass", slice_text("Secret")));
	assert_false(config_text_matches(config, "requirepass", slice_text("")));
}

static void *set_by_turns(void *config)
{
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(set(config, "requirepass", i % 2 ? "aaaaaaaa" : "b"), 0);
		assert_int_equal(set(config, "timeout", i % 2 ? "1" : "2"), 0);
	}
	return NULL;
}

static void readers_see_whole_values_while_writers_change_them(void **state)
{
	struct config *config = *state;
	pthread_t writers[2];
	assert_int_equal(set(config, "requirepass", "b"), 0);
	assert_int_equal(set(config, "timeout", "1"), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, set_by_turns, config), 0);
	for (int i = 0; i < 2000; i++) {
		char text[16];
		config_text_copy(config, "requirepass", text, sizeof(text));
		assert_true(strcmp(text, "aaaaaaaa") == 0 || strcmp(text, "b") == 0);
		int64_t timeout = config->idle_timeout_s;
		assert_in_range(timeout, 1, 2);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_config, drop_config)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(starts_with_the_defaults),
		TEST(get_takes_a_glob_and_shows_both_names),
		TEST(set_changes_what_may_change),
		TEST(set_refuses_the_rest_and_changes_nothing),
		TEST(what_is_auto_follows_from_the_memory_that_may_be_used),
		TEST(what_somebody_chose_stays_until_it_is_auto_again),
		TEST(tells_what_is_derived_and_what_all_of_it_comes_to),
		TEST(lines_add_up_and_hide_their_secrets),
		TEST(lines_do_not_change_at_run_time),
		TEST(lines_have_a_limit),
		TEST(fetch_allow_is_a_list_of_hosts),
		TEST(constants_can_be_set_to_what_they_are),
		TEST(what_is_redis_s_only_is_taken_and_shown),
		TEST(a_password_may_hold_zero_bytes),
		TEST(check_answers_like_set_and_changes_nothing),
		TEST(texts_are_copied_up_to_the_room_there_is),
		TEST(only_the_whole_text_matches),
		TEST(readers_see_whole_values_while_writers_change_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
