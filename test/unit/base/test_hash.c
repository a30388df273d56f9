/*
 * test_hash: slots are those of Redis Cluster; the hash of tables is SipHash-1-3 under a secret,
 * and names made to meet in XXH3 do not meet in it.
 */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

static void a_shard_is_a_range_of_slots(void **state)
{
	static const uint16_t counts[] = { 1, 2, 3, 16, 100, 1000, HASH_SLOTS };
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint16_t shards = counts[i], last = 0;
		assert_int_equal(hash_first_slot(0, shards), 0);
		assert_int_equal(hash_first_slot(shards, shards), HASH_SLOTS);
		for (uint16_t at = 0; at < HASH_SLOTS; at++) {
			uint16_t shard = hash_shard_of(at, shards);
			assert_true(shard < shards);
			assert_true(at >= hash_first_slot(shard, shards));
			assert_true(at < hash_first_slot((uint16_t)(shard + 1), shards));
			assert_true(shard == last || shard == last + 1);
			last = shard;
		}
		assert_int_equal(last, shards - 1);
	}
	/* None has more than one slot more than another. */
	assert_int_equal(hash_first_slot(1, 16), 1024);
	assert_int_equal(hash_first_slot(1, 3), 5462);
	assert_int_equal(hash_first_slot(2, 3), 10923);
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

static const struct hash_secret papers_secret = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
static const struct hash_secret no_secret = { 0, 0 };

/* Of the bytes 0, 1, 2, ...; from the reference implementation's authors and from Python, whose
 * hash of bytes this is when PYTHONHASHSEED is 0. */
static void is_siphash_1_3(void **state)
{
	static const struct {
		size_t size;
		uint64_t hash;
	} known[] = {
		{ 0, 0xd1fba762150c532c },
		{ 1, 0x68a914128e01e473 },
		{ 2, 0x010bac45c41e3669 },
		{ 3, 0x4d4c9a4a8ef6e0ad },
		{ 4, 0x7cc43f98813e4dbd },
		{ 5, 0x5abe2169dff36275 },
		{ 6, 0xe3c25f87624f1cdb },
		{ 7, 0x2f098ab0c751325a },
		{ 8, 0xead411e67ebe2eea },
		{ 9, 0x75927f9d95124362 },
		{ 15, 0xf30eb725bb91c9ea },
		{ 16, 0x8972188433a5c5b7 },
		{ 17, 0x4883c49a2c009c1d },
		{ 31, 0x169739443111d49b },
		{ 32, 0x31ef8061c910629b },
		{ 33, 0x7fb71d24dfa4c9f6 },
		{ 63, 0x385d3e39e5f37359 },
	};
	char bytes[64];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_true(
			hash_secretly(&no_secret, slice_of(bytes, known[i].size)) == known[i].hash);
	assert_true(hash_secretly(&papers_secret, slice_of(bytes, 0)) == 0xabac0158050fc4dc);
}

static void depends_on_every_byte_and_on_the_seed(void **state)
{
	char bytes[300] = { 0 };
	uint64_t before = hash_bytes(slice_of(bytes, sizeof(bytes)));
	uint64_t sum = hash_checksum(slice_of(bytes, sizeof(bytes)), 0);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = 1;
		assert_true(hash_bytes(slice_of(bytes, sizeof(bytes))) != before);
		assert_true(hash_checksum(slice_of(bytes, sizeof(bytes)), 0) != sum);
		bytes[i] = 0;
	}
	assert_true(hash_bytes(slice_of(bytes, sizeof(bytes))) == before);
	assert_true(hash_bytes_seeded(slice_of(bytes, 20), 1) !=
		hash_bytes_seeded(slice_of(bytes, 20), 2));
	assert_true(hash_checksum(slice_of(bytes, 20), 1) != hash_checksum(slice_of(bytes, 20), 2));
}

static void a_seed_is_one_more_word(void **state)
{
	char bytes[30] = "\1\2\3\4\5\6\7\x08 and some more";
	for (size_t size = 8; size <= sizeof(bytes); size++)
		assert_true(hash_bytes_seeded(slice_of(bytes + 8, size - 8), 0x0807060504030201) ==
			hash_bytes(slice_of(bytes, size)));
}

static void hashes_beginnings_as_it_hashes_each(void **state)
{
	char bytes[300];
	struct hash_beginnings one, other;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	hash_beginnings_init(&one, bytes, 9);
	hash_beginnings_init(&other, bytes, 9);
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		uint64_t expected = hash_bytes_seeded(slice_of(bytes, size), 9);
		assert_true(hash_beginnings_at(&one, size) == expected);
		if (size % 13 == 0)
			assert_true(hash_beginnings_at(&other, size) == expected);
	}
}

static void hashes_nothing(void **state)
{
	/* XXH3's published value for no bytes and seed 0. */
	assert_true(hash_checksum(slice_of(NULL, 0), 0) == 0x2d06800538d394c2u);
	assert_true(hash_bytes(slice_of("", 0)) == hash_bytes(slice_of(NULL, 0)));
}

/* XXH3 multiplies two words of such a name, after taking a known number from one of them: where
 * that gives 0 the other word may be anything. So all of these have one checksum. */
static struct slice crafted(char out[21], uint32_t number)
{
	memcpy(out, "evil-\xde\xd4\x6d\xe9\x83\x90\x97\xdb...", 16);
	memcpy(out + 16, "x", 1);
	memcpy(out + 17, &number, 4);
	return slice_of(out, 21);
}

static int compare_hashes(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
	return first < second ? -1 : first > second;
}

static void names_that_met_in_the_former_hash_are_spread(void **state)
{
	enum { NAMES = 40000 };
	static uint64_t hashes[NAMES];
	char name[21];
	uint64_t same = hash_checksum(crafted(name, 0), 0);
	for (uint32_t i = 0; i < NAMES; i++) {
		assert_true(hash_checksum(crafted(name, i), 0) == same);
		hashes[i] = hash_bytes(crafted(name, i));
	}
	qsort(hashes, NAMES, sizeof(hashes[0]), compare_hashes);
	for (int i = 1; i < NAMES; i++)
		assert_true(hashes[i] != hashes[i - 1]);
}

/* What this program says when it is run with a word. */
static uint64_t asked_of_another_process(void)
{
	unsigned long long hash = 0;
	char path[512], command[600];
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
	assert_true(size > 0);
	path[size] = '\0';
	snprintf(command, sizeof(command), "'%s' hash", path);
	FILE *other = popen(command, "r");
	assert_non_null(other);
	assert_int_equal(fscanf(other, "%llx", &hash), 1);
	pclose(other);
	return hash;
}

static void each_process_has_a_secret_of_its_own(void **state)
{
	uint64_t here = hash_bytes(slice_text("key"));
	assert_true(hash_bytes(slice_text("key")) == here);
	uint64_t there = asked_of_another_process();
	assert_true(there != here);
	assert_true(asked_of_another_process() != there);
	hash_set_process_secret(no_secret);
	assert_true(hash_bytes(slice_text("key")) == hash_secretly(&no_secret, slice_text("key")));
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		printf("%llx\n", (unsigned long long)hash_bytes(slice_text("key")));
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_those_of_redis_cluster),
		cmocka_unit_test(only_the_tag_is_hashed),
		cmocka_unit_test(without_a_whole_tag_the_id_is_hashed),
		cmocka_unit_test(a_shard_is_a_range_of_slots),
		cmocka_unit_test(slots_stay_below_their_number),
		cmocka_unit_test(is_siphash_1_3),
		cmocka_unit_test(depends_on_every_byte_and_on_the_seed),
		cmocka_unit_test(a_seed_is_one_more_word),
		cmocka_unit_test(hashes_beginnings_as_it_hashes_each),
		cmocka_unit_test(hashes_nothing),
		cmocka_unit_test(names_that_met_in_the_former_hash_are_spread),
		cmocka_unit_test(each_process_has_a_secret_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
