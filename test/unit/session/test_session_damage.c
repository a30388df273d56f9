/*
 * Damaged bytes of sessions: whoever reads them names them and ends the process.
 */
#include "session_fixture.h"
#include "support/damage.h"

/* What is asked in the child: a command, or the engine's expiry when there is none. */
struct attempt {
	struct world *world;
	const char *words[4];
};

static void ask(void *context)
{
	const struct attempt *attempt = context;
	const char *const *words = attempt->words;
	if (words[0])
		run(attempt->world, words[0], words[1], words[2], words[3]);
	else
		expire(attempt->world);
}

static void faults(struct world *world, const char *words, const char *command, const char *first,
	const char *second, const char *third)
{
	assert_fault(ask, &(struct attempt){ world, { command, first, second, third } }, words);
}

static void put(
	struct world *world, struct slice key, uint8_t type, int64_t expire_ms, struct slice bytes)
{
	damage_put(world->rig.engine->stores[0], 0, key, type, expire_ms, bytes);
}

static void the_record_of_a_session(void **state)
{
	static const char kinds[][80] = {
		"\1",                   /* a session that ends within its header */
		"\1\0\1\1",             /* and one whose user is longer than there are bytes */
		"\2\0\0\0\0\0\0\0\0\0", /* a changed id without a name */
		"\5",                   /* a kind that there is not */
	};
	static const size_t sizes[] = { 1, 80, 10, 1 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct world here, *world = &here;
		struct key key;
		struct session_name name = { SESSION_FORMAT_PLAIN, slice_text("a") };
		make_world(world, 1, 1);
		key_of_session(&key, tree_secret(world->rig.engine->tree), &name);
		put(world, key_slice(&key), VALUE_SESSION, INT64_MAX, slice_of(kinds[i], sizes[i]));
		faults(world,
			"the record of a session is damaged: shard 0, table 9, key of 8 bytes",
			"session.get", "a", NULL, NULL);
		end_world(world);
	}
}

static void a_changed_id_whose_name_is_longer_than_an_id(void **state)
{
	struct world here, *world = &here;
	struct key key;
	char bytes[SESSION_FORMAT_ROTATED_BYTES + LIMIT_STORE_KEY_BYTES] = { 2 };
	struct session_name name = { SESSION_FORMAT_PLAIN, slice_text("a") };
	make_world(world, 1, 1);
	memset(bytes + 8, 0x7f, 8);
	key_of_session(&key, tree_secret(world->rig.engine->tree), &name);
	put(world, key_slice(&key), VALUE_SESSION, INT64_MAX, slice_of(bytes, sizeof(bytes)));
	faults(world, "the record of a session is damaged: shard 0", "session.get", "a", NULL,
		NULL);
	end_world(world);
}

static void the_key_of_a_session(void **state)
{
	static const char keys[][8] = {
		"\x09hash!\0",  /* no name */
		"\x09hash!\1s", /* a digest of one byte */
		"\x09hash!\2s", /* a form that there is not */
	};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct world here, *world = &here;
		make_world(world, 1, 1);
		put(world, slice_of(keys[i], i == 0 ? 7 : 8), VALUE_SESSION,
			world->rig.now_ms + 1000, slice_of("\3", 1));
		faults(world, "the key of a session is damaged: shard 0, table 9", "session.scan",
			"0", NULL, NULL);
		pass(world, 2000);
		faults(world, "the key of a session is damaged: shard 0, table 9", NULL, NULL, NULL,
			NULL);
		end_world(world);
	}
}

static void the_key_of_a_users_session(void **state)
{
	struct world here, *world = &here;
	make_world(world, 1, 1);
	put(world, slice_of("\x0a\0\3ann\0", 7), VALUE_BYTES, 0, slice_of("", 0));
	faults(world, "the key of a user's session is damaged: shard 0, table 10", "session.list",
		"user", "ann", NULL);
	end_world(world);
}

static void the_count_of_sessions(void **state)
{
	const char *words = "the count of sessions is damaged: shard 0, table 11";
	static const char minus[8] = { 0, 0, 0, 0, 0, 0, 0, (char)0x80 };
	struct world here, *world = &here;
	make_world(world, 1, 1);
	run(world, "session.set", "a", "{}");
	settle(world);
	/* Fewer than there are. */
	put(world, slice_of("\x0b", 1), VALUE_NUMBER, 0, slice_of("\0\0\0\0\0\0\0\0", 8));
	faults(world, words, "session.del", "a", NULL, NULL);
	put(world, slice_of("\x0b", 1), VALUE_NUMBER, 0, slice_of(minus, 8));
	faults(world, words, "session.count", NULL, NULL, NULL);
	put(world, slice_of("\x0b", 1), VALUE_NUMBER, 0, slice_of("1", 1));
	faults(world, words, "session.count", NULL, NULL, NULL);
	faults(world, words, "session.set", "b", "{}", NULL);
	end_world(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_record_of_a_session),
		cmocka_unit_test(a_changed_id_whose_name_is_longer_than_an_id),
		cmocka_unit_test(the_key_of_a_session),
		cmocka_unit_test(the_key_of_a_users_session),
		cmocka_unit_test(the_count_of_sessions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
