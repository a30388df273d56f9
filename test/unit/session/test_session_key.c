/*
 * Names of sessions and their store keys: ids that the server makes, handles, masks, the bytes of
 * include/holdfast/session_format.h and their order.
 */
#include "session/session_key.h"

#include "base/hash.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IDS 20000

static struct arena arena;
static const struct hash_secret secret = { 1, 2 };

static int set_up(void **state)
{
	arena_init(&arena, 1 << 16);
	return 0;
}

static int tear_down(void **state)
{
	arena_fini(&arena);
	return 0;
}

static void equals(struct slice a, struct slice b)
{
	assert_int_equal(a.size, b.size);
	assert_memory_equal(a.data, b.data, a.size);
}

static struct session_name hashed(const char *id)
{
	return session_name_of(slice_text(id), SESSION_FORMAT_HASHED, &arena);
}

static void new_ids_lie_in_their_shard(void **state)
{
	static const uint16_t totals[] = { 1, 3, 16, 1024 };
	for (size_t i = 0; i < 4; i++) {
		for (uint32_t n = 0; n < 2000; n++) {
			uint16_t shard = (uint16_t)(n % totals[i]);
			struct slice id = session_id_new(shard, totals[i], &arena);
			assert_int_equal(id.size, SESSION_ID_BYTES);
			assert_int_equal(hash_shard_of(hash_slot(id), totals[i]), shard);
			assert_int_equal(hash_shard_of(session_slot(id), totals[i]), shard);
			for (size_t at = 0; at < id.size; at++)
				assert_non_null(memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
						       "qrstuvwxyz0123456789-_",
					id.data[at], 64));
		}
	}
}

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, SESSION_ID_BYTES);
}

static void new_ids_are_distinct_and_every_letter_varies(void **state)
{
	char(*ids)[SESSION_ID_BYTES] = malloc(IDS * sizeof(*ids));
	for (size_t i = 0; i < IDS; i++)
		memcpy(ids[i], session_id_new(i % 16, 16, &arena).data, SESSION_ID_BYTES);
	for (size_t at = 0; at < SESSION_ID_BYTES; at++) {
		uint32_t seen[256] = { 0 };
		for (size_t i = 0; i < IDS; i++)
			seen[(unsigned char)ids[i][at]]++;
		uint32_t letters = 0;
		for (int letter = 0; letter < 256; letter++)
			letters += seen[letter] > 0;
		assert_int_equal(letters, 64);
		/* Each comes IDS/64 times, within six standard deviations; but where the search for
		 * the shard counts on some are rarer. */
		for (int letter = 0; letter < 256 && at < SESSION_ID_BYTES - 4; letter++)
			if (seen[letter])
				assert_in_range(seen[letter], IDS / 64 - 108, IDS / 64 + 108);
	}
	qsort(ids, IDS, sizeof(*ids), compare_ids);
	for (size_t i = 1; i < IDS; i++)
		assert_true(compare_ids(ids[i - 1], ids[i]) < 0);
	free(ids);
}

static void a_handle_shows_a_hashed_name_and_its_slot(void **state)
{
	/* SHA-256 of "abc", from FIPS 180. */
	struct session_name name = hashed("abc"), back;
	struct slice shown = session_name_shown(&name, 0x3ab, &arena);
	equals(shown,
		slice_text("handle:03ab:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f"
			   "20015ad"));
	assert_int_equal(session_slot(shown), 0x3ab);
	assert_true(session_name_of_handle(shown, &arena, &back));
	assert_int_equal(back.form, SESSION_FORMAT_HASHED);
	equals(back.bytes, name.bytes);
	struct session_name plain =
		session_name_of(slice_text("abc"), SESSION_FORMAT_PLAIN, &arena);
	equals(session_name_shown(&plain, 7, &arena), slice_text("abc"));
}

static void what_is_no_handle_is_an_id(void **state)
{
	struct session_name name = hashed("abc"), back;
	struct slice shown = session_name_shown(&name, 0x3ab, &arena);
	for (size_t at = 0; at < shown.size; at++) {
		char text[SESSION_HANDLE_BYTES];
		memcpy(text, shown.data, sizeof(text));
		text[at] = text[at] == ':' ? ';' : 'G';
		struct slice other = slice_of(text, sizeof(text));
		assert_false(session_name_of_handle(other, &arena, &back));
		if (at < 12) /* the slot cannot be read */
			assert_int_equal(session_slot(other), hash_slot(other));
	}
	for (size_t size = 0; size < shown.size; size++)
		assert_false(session_name_of_handle(slice_of(shown.data, size), &arena, &back));
	shown = session_name_shown(&name, HASH_SLOTS - 1, &arena);
	assert_true(session_name_of_handle(shown, &arena, &back));
	shown = session_name_shown(&name, HASH_SLOTS, &arena);
	assert_false(session_name_of_handle(shown, &arena, &back));
}

static void a_mask_undoes_itself(void **state)
{
	struct slice id = session_id_new(0, 1, &arena);
	char masked[SESSION_DIGEST_BYTES], back[SESSION_DIGEST_BYTES], other[SESSION_DIGEST_BYTES];
	session_mask(slice_text("old"), id, masked);
	session_mask(slice_text("old"), slice_of(masked, sizeof(masked)), back);
	assert_memory_equal(back, id.data, sizeof(back));
	assert_memory_not_equal(masked, id.data, sizeof(masked));
	session_mask(slice_text("olD"), slice_of(masked, sizeof(masked)), other);
	assert_memory_not_equal(other, id.data, sizeof(other));
	char *longest = arena_alloc(&arena, LIMIT_KEY_BYTES);
	memset(longest, 'o', LIMIT_KEY_BYTES);
	session_mask(slice_of(longest, LIMIT_KEY_BYTES), id, masked);
	session_mask(slice_of(longest, LIMIT_KEY_BYTES), slice_of(masked, sizeof(masked)), back);
	assert_memory_equal(back, id.data, sizeof(back));
}

static void keys_are_as_documented(void **state)
{
	struct key key;
	struct session_name name = { SESSION_FORMAT_PLAIN, slice_text("id") }, back;
	uint64_t hash, expected = hash_secretly(&secret, slice_of("\0id", 3)) >> 24;
	key_of_session(&key, &secret, &name);
	assert_int_equal(key.size, 1 + 5 + 1 + 2);
	assert_int_equal(key.bytes[0], 9);
	for (int i = 0; i < 5; i++)
		assert_int_equal((unsigned char)key.bytes[1 + i], expected >> (32 - 8 * i) & 0xff);
	assert_memory_equal(key.bytes + 6, "\0id", 3);
	assert_true(key_parse_session(key_slice(&key), &hash, &back));
	assert_true(hash == expected);
	assert_int_equal(back.form, SESSION_FORMAT_PLAIN);
	equals(back.bytes, name.bytes);
	for (size_t size = 0; size < 8; size++)
		assert_false(key_parse_session(slice_of(key.bytes, size), &hash, &back));

	key_of_user_session(&key, slice_text("ann"), &name);
	equals(key_slice(&key), slice_of("\x0a\0\3ann\0id", 9));
	assert_true(key_parse_user_session(key_slice(&key), 6, &back));
	assert_int_equal(back.form, SESSION_FORMAT_PLAIN);
	equals(back.bytes, name.bytes);
	key_of_user(&key, slice_text("ann"));
	equals(key_slice(&key), slice_of("\x0a\0\3ann", 6));
	key_of_session_count(&key);
	equals(key_slice(&key), slice_of("\x0b", 1));
}

static void sessions_stand_in_the_order_of_their_hashes(void **state)
{
	struct key key, other;
	struct session_name first = { SESSION_FORMAT_PLAIN, slice_text("first") };
	uint64_t first_hash;
	key_of_session(&other, &secret, &first);
	assert_true(key_parse_session(key_slice(&other), &first_hash, &first));
	for (int i = 0; i < 3000; i++) {
		char text[16];
		uint64_t hash;
		snprintf(text, sizeof(text), "id%d", i);
		struct session_name name = i % 2
			? hashed(text)
			: (struct session_name){ SESSION_FORMAT_PLAIN, slice_text(text) };
		struct session_name back;
		key_of_session(&key, &secret, &name);
		assert_true(key_parse_session(key_slice(&key), &hash, &back));
		if (hash != first_hash)
			assert_int_equal(slice_compare(key_slice(&other), key_slice(&key)) < 0,
				first_hash < hash);
	}
	key_of_user(&other, slice_text("a"));
	assert_true(slice_compare(key_slice(&key), key_slice(&other)) < 0);
}

static void the_longest_names_fit_into_a_key(void **state)
{
	struct key key;
	char *longest = arena_alloc(&arena, LIMIT_KEY_BYTES);
	memset(longest, 0xff, LIMIT_KEY_BYTES);
	struct session_name name = { SESSION_FORMAT_PLAIN, slice_of(longest, LIMIT_KEY_BYTES) };
	key_of_session(&key, &secret, &name);
	assert_true(key.size <= LIMIT_STORE_KEY_BYTES);
	key_of_user_session(&key, slice_of(longest, LIMIT_USER_BYTES), &name);
	assert_true(key.size <= LIMIT_STORE_KEY_BYTES);
	struct session_name back;
	assert_true(key_parse_user_session(key_slice(&key), 3 + LIMIT_USER_BYTES, &back));
	equals(back.bytes, name.bytes);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(new_ids_lie_in_their_shard),
		test(new_ids_are_distinct_and_every_letter_varies),
		test(a_handle_shows_a_hashed_name_and_its_slot),
		test(what_is_no_handle_is_an_id),
		test(a_mask_undoes_itself),
		test(keys_are_as_documented),
		test(sessions_stand_in_the_order_of_their_hashes),
		test(the_longest_names_fit_into_a_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
