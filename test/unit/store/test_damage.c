/*
 * What is said of damaged bytes: what they are and where they lie, and no id of a session.
 */
#include "store/damage.h"

#include "store/key.h"
#include "support/fault_text.h"

struct found {
	const char *what;
	struct slice key;
};

static void say(void *context)
{
	const struct found *found = context;
	damaged(found->what, 3, found->key);
}

static void says(struct slice key, const char *where)
{
	struct found found = { "the record of an object", key };
	char words[512];
	snprintf(words, sizeof(words), "the record of an object is damaged: shard 3, %s. ", where);
	assert_fault(say, &found, words);
}

static void it_names_the_shard_the_table_and_the_key(void **state)
{
	says(slice_of("\x03Shop\0a\"b\\c", 11),
		"table 3, key of 11 bytes \"\\x03Shop\\x00a\\x22b\\x5cc\"");
	says(slice_of("\x05\n\xff~ ", 5), "table 5, key of 5 bytes \"\\x05\\x0a\\xff~ \"");
	says(slice_of("", 0), "table 0, key of 0 bytes \"\"");
}

static void a_long_key_is_cut(void **state)
{
	char key[LIMIT_STORE_KEY_BYTES], shown[65] = "", where[128];
	memset(key, 'k', sizeof(key));
	memset(shown, 'k', 64);
	snprintf(where, sizeof(where), "table 107, key of 4608 bytes \"%s...\"", shown);
	says(slice_of(key, sizeof(key)), where);
}

static void it_shows_no_id_of_a_session(void **state)
{
	says(slice_of("\x09hash!\0secret", 13), "table 9, key of 13 bytes \"\\x09hash!...\"");
	says(slice_of("\x0a\0\3ann\0secret", 13), "table 10, key of 13 bytes \"\\x0a...\"");
	/* What keeps sessions in plain strings has their ids in its keys. */
	says(slice_of("\2\0\0\0\0\0hash!sess:secret", 22),
		"table 2, key of 22 bytes \"\\x02\\x00\\x00\\x00\\x00\\x00hash!...\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_names_the_shard_the_table_and_the_key),
		cmocka_unit_test(a_long_key_is_cut),
		cmocka_unit_test(it_shows_no_id_of_a_session),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
