/*
 * The key commands on real stores, several handlers in one turn included, and all of them against a
 * plain table under random operations, checkpoints and the passing of time.
 */
#include "strings/strings.h"

#include "base/random.h"
#include "support/turn_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHARDS 4

static int set_up(void **state)
{
	struct turn_rig *rig = calloc(1, sizeof(*rig));
	turn_rig_init(rig, SHARDS);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	turn_rig_fini(*state);
	free(*state);
	return 0;
}

static void set(struct turn_rig *rig, const char *key, const char *value)
{
	assert_string_equal(turn_rig_run(rig, strings_set, "SET", key, value, NULL), "+OK\r\n");
}

static const char *get(struct turn_rig *rig, const char *key)
{
	return turn_rig_run(rig, strings_get, "GET", key, NULL);
}

static void two_keys_can_change_places_within_one_turn(void **state)
{
	struct turn_rig *rig = *state;
	set(rig, "{t}a", "value of a");
	set(rig, "{t}b", "value of b");
	turn_rig_begin(rig);
	turn_rig_step(rig, keys_rename, "RENAME", "{t}a", "{t}c", NULL);
	turn_rig_step(rig, keys_rename, "RENAME", "{t}b", "{t}a", NULL);
	turn_rig_step(rig, keys_rename, "RENAME", "{t}c", "{t}b", NULL);
	assert_string_equal(turn_rig_commit(rig), "+OK\r\n+OK\r\n+OK\r\n");
	assert_string_equal(get(rig, "{t}a"), "$10\r\nvalue of b\r\n");
	assert_string_equal(get(rig, "{t}b"), "$10\r\nvalue of a\r\n");
	assert_string_equal(get(rig, "{t}c"), "$-1\r\n");
}

static void a_turn_that_empties_and_then_writes_keeps_what_it_wrote(void **state)
{
	struct turn_rig *rig = *state;
	for (int settled = 0; settled < 2; settled++) {
		set(rig, "old", "1");
		set(rig, "k", "1");
		if (settled)
			turn_rig_checkpoint(rig);
		turn_rig_begin(rig);
		turn_rig_step(rig, strings_set, "SET", "before", "1", NULL);
		turn_rig_step(rig, keys_flushall, "FLUSHALL", NULL);
		turn_rig_step(rig, strings_get, "GET", "k", NULL);
		turn_rig_step(rig, strings_set, "SET", "k", "2", NULL);
		turn_rig_step(rig, keys_flushdb, "FLUSHDB", NULL);
		turn_rig_step(rig, strings_get, "GET", "k", NULL);
		turn_rig_step(rig, strings_set, "SET", "k", "3", NULL);
		turn_rig_step(rig, strings_get, "GET", "k", NULL);
		assert_string_equal(turn_rig_commit(rig),
			"+OK\r\n+OK\r\n$-1\r\n+OK\r\n+OK\r\n$-1\r\n+OK\r\n$1\r\n3\r\n");
		assert_string_equal(get(rig, "k"), "$1\r\n3\r\n");
		assert_string_equal(get(rig, "old"), "$-1\r\n");
		assert_string_equal(get(rig, "before"), "$-1\r\n");
		assert_string_equal(turn_rig_run(rig, keys_dbsize, "DBSIZE", NULL), ":1\r\n");
	}
}

static void emptying_one_database_leaves_the_others(void **state)
{
	struct turn_rig *rig = *state;
	for (rig->db = 0; rig->db < LIMIT_DATABASES; rig->db++)
		set(rig, "k", "v");
	rig->db = 7;
	turn_rig_run(rig, keys_flushdb, "FLUSHDB", NULL);
	assert_int_equal(rig->effects, SHARDS);
	for (rig->db = 0; rig->db < LIMIT_DATABASES; rig->db++)
		assert_string_equal(get(rig, "k"), rig->db == 7 ? "$-1\r\n" : "$1\r\nv\r\n");
	rig->db = 3;
	turn_rig_run(rig, keys_flushall, "FLUSHALL", "ASYNC", NULL);
	turn_rig_checkpoint(rig);
	for (rig->db = 0; rig->db < LIMIT_DATABASES; rig->db++)
		assert_string_equal(turn_rig_run(rig, keys_dbsize, "DBSIZE", NULL), ":0\r\n");
}

static void a_reply_after_an_emptying_waits_for_it(void **state)
{
	struct turn_rig *rig = *state;
	set(rig, "k", "v");
	turn_rig_run(rig, keys_flushdb, "FLUSHDB", NULL);
	assert_string_equal(get(rig, "k"), "$-1\r\n");
	assert_int_equal(rig->read_lsn, 2);
}

static void moving_to_another_database_takes_the_life_along(void **state)
{
	struct turn_rig *rig = *state;
	turn_rig_run(rig, strings_set, "SET", "k", "v", "PX", "5000", NULL);
	assert_string_equal(turn_rig_run(rig, keys_move, "MOVE", "k", "3", NULL), ":1\r\n");
	assert_string_equal(get(rig, "k"), "$-1\r\n");
	rig->db = 3;
	assert_string_equal(turn_rig_run(rig, keys_pttl, "PTTL", "k", NULL), ":5000\r\n");
	assert_string_equal(
		turn_rig_run(rig, keys_copy, "COPY", "k", "k", "DB", "0", NULL), ":1\r\n");
	rig->db = 0;
	assert_string_equal(turn_rig_run(rig, keys_pttl, "PTTL", "k", NULL), ":5000\r\n");
}

/* The comparison: a few keys, each with what it holds and until when. */
#define MODEL_KEYS  9
#define MODEL_STEPS 20000

struct model_key {
	bool present;
	char value[24];
	int64_t expire_ms;
};

static const char *const names[MODEL_KEYS] = { "a", "b", "c", "d", "{x}1", "{x}2", "", "key",
	"a rather longer key than the others" };

static void model_end_lives(struct model_key *model, int64_t now_ms)
{
	for (int i = 0; i < MODEL_KEYS; i++)
		if (model[i].expire_ms && model[i].expire_ms <= now_ms)
			model[i] = (struct model_key){ 0 };
}

static void check_key(struct turn_rig *rig, const struct model_key *model, int i)
{
	char right[64];
	if (model[i].present)
		snprintf(right, sizeof(right), "$%zu\r\n%s\r\n", strlen(model[i].value),
			model[i].value);
	else
		strcpy(right, "$-1\r\n");
	assert_string_equal(get(rig, names[i]), right);
	int64_t moment = !model[i].present ? -2 : model[i].expire_ms ? model[i].expire_ms : -1;
	snprintf(right, sizeof(right), ":%lld\r\n", (long long)moment);
	assert_string_equal(
		turn_rig_run(rig, keys_pexpiretime, "PEXPIRETIME", names[i], NULL), right);
}

static void set_one(struct turn_rig *rig, struct model_key *key, const char *name,
	const char *value, int64_t expire_ms)
{
	char moment[32];
	snprintf(moment, sizeof(moment), "%lld", (long long)expire_ms);
	if (expire_ms)
		turn_rig_run(rig, strings_set, "SET", name, value, "PXAT", moment, NULL);
	else
		turn_rig_run(rig, strings_set, "SET", name, value, NULL);
	*key = (struct model_key){ .present = true, .expire_ms = expire_ms };
	strcpy(key->value, value);
}

static void expire_one(
	struct turn_rig *rig, struct model_key *key, const char *name, int64_t expire_ms)
{
	char moment[32];
	snprintf(moment, sizeof(moment), "%lld", (long long)expire_ms);
	turn_rig_run(rig, keys_pexpireat, "PEXPIREAT", name, moment, NULL);
	assert_string_equal(rig->reply, key->present ? ":1\r\n" : ":0\r\n");
	if (key->present)
		key->expire_ms = expire_ms;
}

static void model_step(struct turn_rig *rig, struct model_key *model, struct random *random)
{
	int i = (int)random_below(random, MODEL_KEYS), j = (int)random_below(random, MODEL_KEYS);
	int64_t moment = rig->now_ms + 1 + (int64_t)random_below(random, 300);
	char value[24];
	snprintf(value, sizeof(value), "%llu", (unsigned long long)random_next(random) >> 1);
	value[random_below(random, 18)] = '\0';
	switch (random_below(random, 9)) {
	case 0:
	case 1:
		set_one(rig, &model[i], names[i], value, 0);
		break;
	case 2:
		set_one(rig, &model[i], names[i], value, moment);
		break;
	case 3:
		turn_rig_run(rig, keys_del, "DEL", names[i], names[j], NULL);
		model[i] = model[j] = (struct model_key){ 0 };
		break;
	case 4:
		expire_one(rig, &model[i], names[i], moment);
		break;
	case 5:
		turn_rig_run(rig, keys_persist, "PERSIST", names[i], NULL);
		model[i].expire_ms = 0;
		break;
	case 6:
		turn_rig_run(rig, keys_rename, "RENAME", names[i], names[j], NULL);
		if (i != j && model[i].present) {
			model[j] = model[i];
			model[i] = (struct model_key){ 0 };
		}
		break;
	case 7:
		turn_rig_run(rig, keys_copy, "COPY", names[i], names[j], "REPLACE", NULL);
		if (model[i].present)
			model[j] = model[i];
		break;
	default:
		turn_rig_run(rig, strings_getdel, "GETDEL", names[i], NULL);
		model[i] = (struct model_key){ 0 };
		break;
	}
}

static void behaves_like_a_plain_table_under_random_commands(void **state)
{
	struct turn_rig *rig = *state;
	struct model_key model[MODEL_KEYS] = { 0 };
	struct random random;
	random_seed(&random, 20);
	for (int step = 0; step < MODEL_STEPS; step++) {
		model_step(rig, model, &random);
		rig->now_ms += (int64_t)random_below(&random, 20);
		model_end_lives(model, rig->now_ms);
		for (int i = 0; i < MODEL_KEYS; i++)
			check_key(rig, model, i);
		if (random_below(&random, 300) == 0)
			turn_rig_checkpoint(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			two_keys_can_change_places_within_one_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_turn_that_empties_and_then_writes_keeps_what_it_wrote, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			emptying_one_database_leaves_the_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_reply_after_an_emptying_waits_for_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			moving_to_another_database_takes_the_life_along, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			behaves_like_a_plain_table_under_random_commands, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
