/*
 * test_hash: slots are those of Redis Cluster; the table hash is stable and takes a seed.
 */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static unsigned slot(const char *id)
{
	return hash_slot(slice_text(id));
}

static void slots_are_those_of_redis_cluster(void **state)
{
	/* From the cluster specification and CLUSTER KEYSLOT. */
	assert_int_equal(slot("123456789"), 0x31c3);
	assert_int_equal(slot("foo"), 12182);
	assert_int_equal(slot("bar"), 5061);
	assert_int_equal(slot("hello"), 866);
	assert_int_equal(slot("somekey"), 11058);
	assert_int_equal(slot(""), 0);
}

static void only_the_tag_is_hashed(void **state)
{
	assert_int_equal(slot("{user1000}.following"), slot("{user1000}.followers"));
	assert_int_equal(slot("{user1000}.following"), slot("user1000"));
	assert_int_equal(slot("foo{hash_tag}"), 2515);
	assert_int_equal(slot("foo{bar}{zap}"), slot("bar"));
	assert_int_equal(slot("foo{{bar}}zap"), slot("{bar"));
}

static void without_a_whole_tag_the_id_is_hashed(void **state)
{
	assert_int_not_equal(slot("foo{}{bar}"), slot("bar"));
	assert_int_equal(slot("foo{}{bar}"), 8363);
	assert_int_not_equal(slot("{bar"), slot("bar"));
	assert_int_not_equal(slot("}bar{"), slot("bar"));
	assert_int_not_equal(slot("bar{"), slot("bar"));
}

static void slots_stay_below_their_number(void **state)
{
	for (int i = 0; i < 100000; i++)
		assert_in_range(hash_slot(slice_of(&i, sizeof(i))), 0, HASH_SLOTS - 1);
}

static void depends_on_every_byte_and_on_the_seed(void **state)
{
	char bytes[300] = { 0 };
	uint64_t before = hash_bytes(slice_of(bytes, sizeof(bytes)));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = 1;
		assert_true(hash_bytes(slice_of(bytes, sizeof(bytes))) != before);
		bytes[i] = 0;
	}
	assert_true(hash_bytes(slice_of(bytes, sizeof(bytes))) == before);
	assert_true(hash_bytes_seeded(slice_of(bytes, 20), 1) !=
		hash_bytes_seeded(slice_of(bytes, 20), 2));
}

static void hashes_nothing(void **state)
{
	/* XXH3's published value for no bytes and seed 0. */
	assert_true(hash_bytes(slice_of(NULL, 0)) == 0x2d06800538d394c2u);
	assert_true(hash_bytes(slice_of("", 0)) == hash_bytes_seeded(slice_of(NULL, 0), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_those_of_redis_cluster),
		cmocka_unit_test(only_the_tag_is_hashed),
		cmocka_unit_test(without_a_whole_tag_the_id_is_hashed),
		cmocka_unit_test(slots_stay_below_their_number),
		cmocka_unit_test(depends_on_every_byte_and_on_the_seed),
		cmocka_unit_test(hashes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
