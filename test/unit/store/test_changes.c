/*
 * changes: against a plain array that is searched from its front, at sizes with and without the
 * index.
 */
#include "store/changes.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SHARD 4

static struct value string_of(const char *text)
{
	return (struct value){ .type = VALUE_STRING, .data = slice_text(text) };
}

static void finds_nothing_when_empty(void **state)
{
	(void)state;
	struct arena arena;
	struct changes changes;
	arena_init(&arena, 1024);
	changes_init(&changes, &arena);
	assert_null(changes_find(&changes, SHARD, slice_text("k")));
	assert_int_equal(changes.count, 0);
	assert_int_equal(arena.bytes, 0);
	arena_fini(&arena);
}

static void keeps_only_the_latest_write_of_a_key(void **state)
{
	(void)state;
	struct arena arena;
	struct changes changes;
	arena_init(&arena, 1024);
	changes_init(&changes, &arena);
	struct value one = string_of("one"), three = string_of("three");
	three.expire_ms = 77;
	changes_put(&changes, SHARD, slice_text("k"), &one);
	changes_put(&changes, SHARD, slice_text("other"), &one);
	changes_put(&changes, SHARD, slice_text("k"), &three);
	assert_int_equal(changes.count, 2);
	assert_int_equal(changes.bytes, 1 + 5 + 5 + 3);
	const struct effect *effect = changes_find(&changes, SHARD, slice_text("k"));
	assert_ptr_equal(effect, &changes.effects[0]);
	assert_int_equal(effect->kind, EFFECT_PUT);
	assert_int_equal(effect->type, VALUE_STRING);
	assert_int_equal(effect->shard, SHARD);
	assert_int_equal(effect->expire_ms, 77);
	assert_true(slice_equal(effect->value, slice_text("three")));

	changes_delete(&changes, SHARD, slice_text("k"));
	effect = changes_find(&changes, SHARD, slice_text("k"));
	assert_int_equal(effect->kind, EFFECT_DELETE);
	assert_int_equal(effect->type, 0);
	assert_int_equal(effect->expire_ms, 0);
	assert_int_equal(effect->value.size, 0);
	assert_int_equal(changes.count, 2);
	assert_int_equal(changes.bytes, 1 + 5 + 3);
	arena_fini(&arena);
}

static void copies_keys_and_borrows_values(void **state)
{
	(void)state;
	struct arena arena;
	struct changes changes;
	arena_init(&arena, 1024);
	changes_init(&changes, &arena);
	char key[] = "key";
	struct value value = string_of("value");
	changes_put(&changes, SHARD, slice_text(key), &value);
	key[0] = 'X';
	const struct effect *effect = changes_find(&changes, SHARD, slice_text("key"));
	assert_non_null(effect);
	assert_ptr_equal(effect->value.data, value.data.data);
	assert_null(changes_find(&changes, SHARD, slice_text("Xey")));
	arena_fini(&arena);
}

static void tells_the_same_key_of_two_shards_apart(void **state)
{
	(void)state;
	struct arena arena;
	struct changes changes;
	arena_init(&arena, 1024);
	changes_init(&changes, &arena);
	char bytes[64];
	for (uint16_t shard = 0; shard < 50; shard++) {
		struct value value = { .type = VALUE_STRING, .data = slice_of(bytes, shard) };
		changes_put(&changes, shard, slice_text("k"), &value);
		changes_put(&changes, shard, slice_text("k"), &value);
	}
	assert_int_equal(changes.count, 50);
	for (uint16_t shard = 0; shard < 50; shard++) {
		const struct effect *effect = changes_find(&changes, shard, slice_text("k"));
		assert_int_equal(effect->shard, shard);
		assert_int_equal(effect->value.size, shard);
	}
	assert_null(changes_find(&changes, 50, slice_text("k")));
	arena_fini(&arena);
}

#define KEYS 3000

static void agrees_with_a_plain_array_under_random_writes(void **state)
{
	(void)state;
	static int model[KEYS]; /* -1: never written, 0: deleted, else the value's size */
	static char bytes[64];
	struct random random;
	random_seed(&random, 3);
	for (int universe = 1; universe <= KEYS; universe = universe * 3 + 1) {
		struct arena arena;
		struct changes changes;
		arena_init(&arena, 4096);
		changes_init(&changes, &arena);
		uint32_t distinct = 0;
		for (int i = 0; i < universe; i++)
			model[i] = -1;
		for (int step = 0; step < universe * 3; step++) {
			int which = (int)random_below(&random, (uint64_t)universe);
			char key[16];
			struct slice name =
				slice_of(key, (size_t)snprintf(key, sizeof(key), "k%d", which));
			distinct += model[which] < 0;
			model[which] = (int)random_below(&random, sizeof(bytes));
			struct value value = { .type = VALUE_STRING,
				.data = slice_of(bytes, (size_t)model[which]) };
			if (model[which])
				changes_put(&changes, SHARD, name, &value);
			else
				changes_delete(&changes, SHARD, name);
		}
		assert_int_equal(changes.count, distinct);
		size_t total = 0;
		for (int i = 0; i < universe; i++) {
			char key[16];
			struct slice name =
				slice_of(key, (size_t)snprintf(key, sizeof(key), "k%d", i));
			const struct effect *effect = changes_find(&changes, SHARD, name);
			assert_int_equal(effect != NULL, model[i] >= 0);
			if (effect == NULL)
				continue;
			assert_int_equal(effect->kind, model[i] ? EFFECT_PUT : EFFECT_DELETE);
			assert_int_equal(effect->value.size, model[i]);
			assert_true(slice_equal(effect->key, name));
			total += name.size + effect->value.size;
		}
		assert_int_equal(changes.bytes, total);
		arena_fini(&arena);
	}
}

/* The events, joined: channel, colon, message, blank. */
static const char *events_of(const struct changes *changes)
{
	static char text[256];
	size_t size = 0;
	text[0] = '\0';
	for (const struct event *event = changes->events; event; event = event->next)
		size += (size_t)snprintf(text + size, sizeof(text) - size, "%.*s:%.*s ",
			(int)event->channel.size, event->channel.data, (int)event->message.size,
			event->message.data);
	return text;
}

static void restoring_forgets_the_events_told_since(void **state)
{
	(void)state;
	struct arena arena;
	struct changes changes;
	arena_init(&arena, 1024);
	changes_init(&changes, &arena);
	struct changes_mark start = changes_save(&changes);
	char message[] = "one";
	changes_tell(&changes, slice_text("a"), slice_text(message));
	memset(message, '?', sizeof(message));
	struct changes_mark saved = changes_save(&changes);
	for (int i = 0; i < 2; i++) {
		changes_tell(&changes, slice_text("b"), slice_text("two"));
		changes_tell(&changes, slice_text(""), slice_text(""));
		assert_string_equal(events_of(&changes), "a:one b:two : ");
		assert_int_equal(changes.event_bytes, 8);
		changes_restore(&changes, &saved);
		assert_string_equal(events_of(&changes), "a:one ");
		assert_int_equal(changes.event_bytes, 4);
	}
	changes_restore(&changes, &start);
	assert_string_equal(events_of(&changes), "");
	changes_tell(&changes, slice_text("c"), slice_text("3"));
	assert_string_equal(events_of(&changes), "c:3 ");
	arena_fini(&arena);
}

#define UNIVERSE  60
#define MARKS_MAX 5

/* What a plain array says of each key: -1 nothing, 0 deleted, else the size of its value. */
struct plain {
	int sizes[UNIVERSE];
	struct changes_mark mark;
};

static struct slice key_name(char *out, size_t out_size, int which)
{
	return slice_of(out, (size_t)snprintf(out, out_size, "k%d", which));
}

static void write_one(struct changes *changes, struct random *random, struct plain *plain)
{
	static char bytes[100];
	char key[16];
	int which = (int)random_below(random, UNIVERSE);
	int size = (int)random_below(random, sizeof(bytes));
	struct value value = { .type = VALUE_STRING, .data = slice_of(bytes, (size_t)size) };
	plain->sizes[which] = size;
	if (size)
		changes_put(changes, SHARD, key_name(key, sizeof(key), which), &value);
	else
		changes_delete(changes, SHARD, key_name(key, sizeof(key), which));
}

static void check_against(const struct changes *changes, const struct plain *plain)
{
	uint32_t distinct = 0;
	size_t total = 0;
	for (int i = 0; i < UNIVERSE; i++) {
		char key[16];
		struct slice name = key_name(key, sizeof(key), i);
		const struct effect *effect = changes_find(changes, SHARD, name);
		assert_int_equal(effect != NULL, plain->sizes[i] >= 0);
		if (effect == NULL)
			continue;
		assert_int_equal(effect->kind, plain->sizes[i] ? EFFECT_PUT : EFFECT_DELETE);
		assert_int_equal(effect->value.size, plain->sizes[i]);
		assert_true(slice_equal(effect->key, name));
		total += name.size + effect->value.size;
		distinct++;
	}
	assert_int_equal(changes->count, distinct);
	assert_int_equal(changes->bytes, total);
}

static void goes_back_to_any_mark_as_a_plain_array_does(void **state)
{
	(void)state;
	struct random random;
	random_seed(&random, 77);
	for (int round = 0; round < 300; round++) {
		struct arena arena;
		struct changes changes;
		struct plain plains[MARKS_MAX + 1] = { 0 };
		int depth = 0;
		arena_init(&arena, 1024);
		changes_init(&changes, &arena);
		memset(plains[0].sizes, -1, sizeof(plains[0].sizes));
		for (int step = 0; step < 200; step++) {
			uint64_t what = random_below(&random, 12);
			if (what == 0 && depth < MARKS_MAX) {
				plains[depth].mark = changes_save(&changes);
				plains[depth + 1] = plains[depth];
				depth++;
			} else if (what == 1 && depth > 0) {
				/* The mark goes on standing half of the time. */
				depth--;
				changes_restore(&changes, &plains[depth].mark);
				check_against(&changes, &plains[depth]);
				if (random_below(&random, 2)) {
					plains[depth + 1] = plains[depth];
					depth++;
				}
			} else if (what == 2 && depth > 0) {
				/* What was written since is kept, and the mark is forgotten. */
				depth--;
				memcpy(plains[depth].sizes, plains[depth + 1].sizes,
					sizeof(plains[depth].sizes));
			} else {
				write_one(&changes, &random, &plains[depth]);
			}
		}
		check_against(&changes, &plains[depth]);
		arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_nothing_when_empty),
		cmocka_unit_test(keeps_only_the_latest_write_of_a_key),
		cmocka_unit_test(copies_keys_and_borrows_values),
		cmocka_unit_test(tells_the_same_key_of_two_shards_apart),
		cmocka_unit_test(restoring_forgets_the_events_told_since),
		cmocka_unit_test(agrees_with_a_plain_array_under_random_writes),
		cmocka_unit_test(goes_back_to_any_mark_as_a_plain_array_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
