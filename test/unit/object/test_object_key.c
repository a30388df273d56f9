/*
 * The store keys of objects: what order they stand in, whose range they stand in, and that parsing
 * gives back what was put in and nothing else.
 */
#include "collection/collection.h"
#include "object/object_key.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* As the values' collection makes it. */
static void key_of_storage(
	struct key *out, const struct object_name *object, uint32_t incarnation, struct slice key)
{
	key_of_values(out, object);
	collection_key(out, incarnation, key);
}

static struct random randomness;

static struct slice text_of(char *out, size_t most)
{
	static const unsigned char alphabet[] = { 0x00, 0x01, 'a', 'b', 0xfe, 0xff };
	size_t size = 1 + random_below(&randomness, random_below(&randomness, 20) ? 4 : most);
	if (size > most)
		size = most;
	for (size_t i = 0; i < size; i++)
		out[i] = (char)alphabet[random_below(&randomness, sizeof(alphabet))];
	return slice_of(out, size);
}

static struct object_name name_of(char *id)
{
	static const char *const classes[] = { "A", "AB", "B", "a_1", "Zz9" };
	return (struct object_name){
		.class_name = slice_text(classes[random_below(&randomness, 5)]),
		.id = text_of(id, LIMIT_KEY_BYTES),
	};
}

static struct due due_of(char *id, char *name)
{
	static const int64_t times[] = { 0, 1, 255, 256, 1700000000000, INT64_MAX };
	return (struct due){
		.kind = (enum due_kind)(1 + random_below(&randomness, 5)),
		.at_ms = times[random_below(&randomness, 6)],
		.object = name_of(id),
		.name = random_below(&randomness, 2) ? text_of(name, LIMIT_SCHEDULE_NAME_BYTES)
						     : slice_of("", 0),
	};
}

static void assert_due_equal(const struct due *a, const struct due *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->at_ms, b->at_ms);
	assert_true(slice_equal(a->object.class_name, b->object.class_name));
	assert_true(slice_equal(a->object.id, b->object.id));
	assert_true(slice_equal(a->name, b->name));
}

static void a_class_name_is_letters_digits_and_underscores(void **state)
{
	static const char *const good[] = { "A", "z", "Counter", "a_b", "A9_", "x1" };
	static const char *const bad[] = { "", "1a", "_a", "a-b", "a b", "a.b", "\xc3\xa9" };
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(object_class_name_ok(slice_text(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(object_class_name_ok(slice_text(bad[i])));
	assert_false(object_class_name_ok(slice_of("a\0b", 3)));
	char longest[LIMIT_CLASS_NAME_BYTES + 1];
	memset(longest, 'a', sizeof(longest));
	assert_true(object_class_name_ok(slice_of(longest, LIMIT_CLASS_NAME_BYTES)));
	assert_false(object_class_name_ok(slice_of(longest, sizeof(longest))));
}

static void assert_key(const struct key *key, const char *bytes, size_t size)
{
	assert_int_equal(key->size, size);
	assert_memory_equal(key->bytes, bytes, size);
}

static void the_bytes_are_those_of_the_format(void **state)
{
	struct key key;
	struct object_name name = { slice_text("Gx"), slice_text("id") };
	struct due due = {
		.kind = DUE_SCHEDULE,
		.at_ms = 0x0102030405060708,
		.object = name,
		.name = slice_text("n"),
	};
	(void)state;
	key_of_object(&key, &name);
	assert_key(&key, "\x03Gx\0id", 6);
	key_of_schedule(&key, &name, slice_text("n"));
	assert_key(&key, "\x04Gx\0\0\x02id\x01n", 10);
	key_of_storage(&key, &name, 0x01020304, slice_text("k"));
	assert_key(&key, "\x04Gx\0\0\x02id\x02\x01\x02\x03\x04k", 14);
	key_of_due(&key, &due);
	assert_key(&key, "\x05\x01\x02\x03\x04\x05\x06\x07\x08\x02Gx\0\0\x02idn", 18);
	key_of_failed(&key, &due);
	assert_key(&key, "\x06Gx\0\x01\x02\x03\x04\x05\x06\x07\x08\x02\0\x02idn", 18);
	key_of_class(&key, slice_text("Gx"));
	assert_key(&key, "\x07Gx", 3);
}

static void the_longest_of_everything_fits(void **state)
{
	static char bytes[LIMIT_KEY_BYTES], class_name[LIMIT_CLASS_NAME_BYTES];
	memset(bytes, 0xff, sizeof(bytes));
	memset(class_name, 'z', sizeof(class_name));
	struct object_name name = { slice_of(class_name, sizeof(class_name)),
		slice_of(bytes, sizeof(bytes)) };
	struct due due = { .kind = DUE_WAKE,
		.at_ms = INT64_MAX,
		.object = name,
		.name = slice_of(bytes, LIMIT_SCHEDULE_NAME_BYTES) },
		   parsed;
	struct key key;
	(void)state;
	key_of_storage(&key, &name, UINT32_MAX, slice_of(bytes, sizeof(bytes)));
	assert_true(key.size <= LIMIT_STORE_KEY_BYTES);
	key_of_schedule(&key, &name, due.name);
	key_of_due(&key, &due);
	assert_true(key_parse_due(key_slice(&key), &parsed));
	assert_due_equal(&parsed, &due);
	key_of_failed(&key, &due);
	assert_true(key_parse_failed(key_slice(&key), &parsed));
	assert_due_equal(&parsed, &due);
}

static void what_was_put_in_comes_out(void **state)
{
	static char id[LIMIT_KEY_BYTES], part[LIMIT_KEY_BYTES];
	(void)state;
	random_seed(&randomness, 1);
	for (int i = 0; i < 20000; i++) {
		struct due due = due_of(id, part), parsed;
		struct key key;
		struct slice found;
		key_of_due(&key, &due);
		assert_true(key_parse_due(key_slice(&key), &parsed));
		assert_due_equal(&parsed, &due);
		assert_false(key_parse_failed(key_slice(&key), &parsed));
		key_of_failed(&key, &due);
		assert_true(key_parse_failed(key_slice(&key), &parsed));
		assert_due_equal(&parsed, &due);
		assert_false(key_parse_due(key_slice(&key), &parsed));
		key_of_object(&key, &due.object);
		assert_true(key_parse_object(key_slice(&key), due.object.class_name, &found));
		assert_true(slice_equal(found, due.object.id));
		assert_false(key_parse_object(key_slice(&key), slice_text("Other"), &found));
	}
}

static void damaged_keys_are_refused_or_mean_what_they_say(void **state)
{
	static char id[LIMIT_KEY_BYTES], part[LIMIT_KEY_BYTES];
	(void)state;
	random_seed(&randomness, 2);
	size_t refused = 0;
	for (int i = 0; i < 50000; i++) {
		struct due due = due_of(id, part), parsed;
		struct key key, again;
		bool failed = i % 2;
		if (failed)
			key_of_failed(&key, &due);
		else
			key_of_due(&key, &due);
		for (uint64_t n = random_below(&randomness, 3); n > 0; n--)
			key.bytes[random_below(&randomness, key.size < 40 ? key.size : 40)] =
				(char)random_below(&randomness, 256);
		if (random_below(&randomness, 2))
			key.size = random_below(&randomness, key.size + 1);
		/* An exact copy, so that a read behind the end is noticed. */
		char *bytes = malloc(key.size ? key.size : 1);
		memcpy(bytes, key.bytes, key.size);
		struct slice slice = slice_of(bytes, key.size);
		bool parses =
			failed ? key_parse_failed(slice, &parsed) : key_parse_due(slice, &parsed);
		refused += !parses;
		if (parses && parsed.name.size <= LIMIT_KEY_BYTES) {
			if (failed)
				key_of_failed(&again, &parsed);
			else
				key_of_due(&again, &parsed);
			assert_true(slice_equal(key_slice(&again), slice));
		}
		key_parse_object(slice, slice_text("A"), &parsed.name);
		free(bytes);
	}
	assert_true(refused > 1000);
}

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

static void keys_stand_in_the_order_of_what_they_name(void **state)
{
	static char ids[2][LIMIT_KEY_BYTES], parts[2][LIMIT_KEY_BYTES];
	struct key a, b;
	(void)state;
	random_seed(&randomness, 3);
	for (int i = 0; i < 20000; i++) {
		struct due first = due_of(ids[0], parts[0]), second = due_of(ids[1], parts[1]);
		key_of_due(&a, &first);
		key_of_due(&b, &second);
		int order = slice_compare(key_slice(&a), key_slice(&b));
		if (first.at_ms != second.at_ms)
			assert_int_equal(sign(order), first.at_ms < second.at_ms ? -1 : 1);
		key_of_due_time(&b, first.at_ms);
		assert_true(slice_compare(key_slice(&b), key_slice(&a)) < 0);

		second.object.class_name = first.object.class_name;
		key_of_object(&a, &first.object);
		key_of_class_objects(&b, second.object.class_name, second.object.id);
		assert_int_equal(sign(slice_compare(key_slice(&a), key_slice(&b))),
			sign(slice_compare(first.object.id, second.object.id)));

		struct slice one = text_of(parts[0], LIMIT_KEY_BYTES);
		struct slice two = text_of(parts[1], LIMIT_KEY_BYTES);
		key_of_storage(&a, &first.object, 7, one);
		key_of_storage(&b, &first.object, 7, two);
		assert_int_equal(sign(slice_compare(key_slice(&a), key_slice(&b))),
			sign(slice_compare(one, two)));
		key_of_storage(&b, &first.object, 8, two);
		assert_true(slice_compare(key_slice(&a), key_slice(&b)) < 0);
	}
}

static void no_key_stands_in_the_range_of_another_object(void **state)
{
	static char ids[2][LIMIT_KEY_BYTES], part[LIMIT_KEY_BYTES];
	struct key start, end, key;
	(void)state;
	random_seed(&randomness, 4);
	for (int i = 0; i < 20000; i++) {
		struct object_name first = name_of(ids[0]), second = name_of(ids[1]);
		bool same = slice_equal(first.class_name, second.class_name) &&
			slice_equal(first.id, second.id);
		uint32_t incarnation = (uint32_t)random_below(&randomness, 3) + 254;
		key_of_storage(&start, &first, incarnation, slice_of("", 0));
		end = start;
		key_prefix_end(&end);
		key_of_storage(&key, &second, incarnation, text_of(part, LIMIT_KEY_BYTES));
		bool within = slice_compare(key_slice(&key), key_slice(&start)) >= 0 &&
			slice_compare(key_slice(&key), key_slice(&end)) < 0;
		assert_int_equal(within, same);
		key_of_schedule(&key, &second, text_of(part, LIMIT_SCHEDULE_NAME_BYTES));
		within = slice_compare(key_slice(&key), key_slice(&start)) >= 0 &&
			slice_compare(key_slice(&key), key_slice(&end)) < 0;
		assert_false(within);
	}
}

static void a_prefix_ends_behind_all_that_start_with_it(void **state)
{
	(void)state;
	struct key key = { .size = 2, .bytes = { 'a', 'b' } };
	key_prefix_end(&key);
	assert_true(slice_equal(key_slice(&key), slice_text("ac")));
	key = (struct key){ .size = 3, .bytes = { 'a', (char)0xff, (char)0xff } };
	key_prefix_end(&key);
	assert_true(slice_equal(key_slice(&key), slice_text("b")));
	key = (struct key){ .size = 2, .bytes = { 'a', 0x7f } };
	key_prefix_end(&key);
	assert_true(slice_equal(key_slice(&key), slice_of("a\x80", 2)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_class_name_is_letters_digits_and_underscores),
		cmocka_unit_test(the_bytes_are_those_of_the_format),
		cmocka_unit_test(the_longest_of_everything_fits),
		cmocka_unit_test(what_was_put_in_comes_out),
		cmocka_unit_test(damaged_keys_are_refused_or_mean_what_they_say),
		cmocka_unit_test(keys_stand_in_the_order_of_what_they_name),
		cmocka_unit_test(no_key_stands_in_the_range_of_another_object),
		cmocka_unit_test(a_prefix_ends_behind_all_that_start_with_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
