/*
 * test_hash_table: members of few and of many hashes come and go, beside a plain array.
 */
#include "base/hash_table.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 500

struct member {
	uint64_t added; /* 0: not in the table; else later is higher */
	bool seen;
	struct hash_node node;
};

static struct member *member_of(const struct hash_node *node)
{
	return container_of(node, struct member, node);
}

/* All of the hash, and the last added first. */
static void check_hash(const struct hash_table *table, const struct member *members, uint64_t hash)
{
	size_t wanted = 0, found = 0;
	uint64_t before = UINT64_MAX;
	for (size_t i = 0; i < MEMBERS; i++)
		wanted += members[i].added && members[i].node.hash == hash;
	const struct hash_node *node = hash_table_first(table, hash);
	for (; node; node = hash_table_next(node)) {
		assert_int_equal(node->hash, hash);
		assert_true(member_of(node)->added > 0);
		assert_true(member_of(node)->added < before);
		before = member_of(node)->added;
		found++;
	}
	assert_int_equal(found, wanted);
}

static void check_walk(const struct hash_table *table, struct member *members)
{
	size_t count = 0;
	for (struct hash_node *node = hash_table_any(table); node;
		node = hash_table_after(table, node)) {
		assert_false(member_of(node)->seen);
		member_of(node)->seen = true;
		count++;
	}
	assert_int_equal(count, table->count);
	for (size_t i = 0; i < MEMBERS; i++) {
		assert_int_equal(members[i].seen, members[i].added > 0);
		members[i].seen = false;
	}
}

/* Hashes that share buckets of a small table and not of a large one, and equal ones. */
static uint64_t random_hash(struct random *random)
{
	return random_below(random, 40) * 64 + random_below(random, 3);
}

static void finds_what_is_in_it_and_nothing_else(void **state)
{
	static struct member members[MEMBERS];
	struct hash_table table = { 0 };
	struct random random;
	random_seed(&random, 5);
	assert_null(hash_table_any(&table));
	assert_null(hash_table_first(&table, 1));
	for (uint64_t step = 1; step < 30000; step++) {
		struct member *member = &members[random_below(&random, MEMBERS)];
		bool adds = random_below(&random, 10) < (step / 3000 % 2 ? 3 : 7);
		if (adds && member->added == 0) {
			hash_table_add(&table, &member->node, random_hash(&random));
			member->added = step;
		} else if (!adds) {
			hash_table_remove(&table, &member->node);
			member->added = 0;
		}
		if (random_below(&random, 20) == 0)
			hash_table_fit(&table);
		check_hash(&table, members, random_hash(&random));
		if (step % 100 == 0)
			check_walk(&table, members);
	}
	struct hash_node *node;
	while ((node = hash_table_any(&table)) != NULL) {
		hash_table_remove(&table, node);
		member_of(node)->added = 0;
		check_walk(&table, members);
	}
	hash_table_fini(&table);
}

static void gives_memory_back_that_it_does_not_need(void **state)
{
	static struct member members[MEMBERS];
	struct hash_table table = { 0 };
	for (uint64_t i = 0; i < MEMBERS; i++)
		hash_table_add(&table, &members[i].node, i);
	size_t most = table.bucket_count;
	for (uint64_t i = 1; i < MEMBERS; i++) {
		hash_table_remove(&table, &members[i].node);
		hash_table_fit(&table);
	}
	assert_true(most >= MEMBERS);
	assert_true(table.bucket_count < MEMBERS / 8);
	assert_ptr_equal(hash_table_first(&table, 0), &members[0].node);
	hash_table_remove(&table, &members[0].node);
	hash_table_fit(&table);
	assert_null(table.buckets);
}

static bool is_even(const struct hash_node *node, const void *wanted)
{
	assert_string_equal(wanted, "even");
	return member_of(node)->added % 2 == 0;
}

static void takes_those_that_are_wanted_in_their_order(void **state)
{
	struct member members[20] = { 0 };
	struct hash_table table = { 0 };
	for (uint64_t i = 0; i < 20; i++) {
		members[i].added = i + 1;
		hash_table_add(&table, &members[i].node, i < 16 ? 9 : 9 + 16);
	}
	struct hash_node *taken = hash_table_take(&table, 9, is_even, "even");
	for (uint64_t added = 2; added <= 16; added += 2) {
		assert_int_equal(member_of(taken)->added, added);
		assert_null(taken->place);
		taken = taken->next;
	}
	assert_null(taken);
	assert_int_equal(table.count, 12);
	hash_table_fini(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_in_it_and_nothing_else),
		cmocka_unit_test(gives_memory_back_that_it_does_not_need),
		cmocka_unit_test(takes_those_that_are_wanted_in_their_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
