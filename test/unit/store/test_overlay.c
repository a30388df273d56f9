/*
 * overlay: against a plain array of keys under random operations: look-ups, order, due times; and
 * the promises on memory.
 */
#include "store/overlay.h"

#include "base/memory.h"
#include "base/random.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEYS       600
#define VALUE_SIZE 3000

struct model_key {
	char key[24];
	bool known, deleted;
	uint64_t lsn;
	int64_t expire_ms;
	bool handed_out; /* as due, since its last write */
	size_t size;
	char value[VALUE_SIZE];
};

struct model {
	struct random random;
	struct model_key keys[KEYS];
	size_t known;
	uint64_t lsn;
};

static struct overlay_entry *put(
	struct overlay *overlay, const char *key, struct slice value, int64_t expire_ms)
{
	struct effect effect = { .kind = EFFECT_PUT,
		.type = VALUE_STRING,
		.expire_ms = expire_ms,
		.key = slice_text(key),
		.value = value };
	return overlay_apply(overlay, &effect, 1);
}

static void delete (struct overlay *overlay, const char *key)
{
	struct effect effect = { .kind = EFFECT_DELETE, .key = slice_text(key) };
	overlay_apply(overlay, &effect, 2);
}

static void costs_little_while_it_holds_nothing(void **state)
{
	(void)state;
	struct overlay *overlay = overlay_new();
	assert_true(overlay_bytes(overlay) < 200);
	assert_int_equal(overlay_count(overlay), 0);
	assert_null(overlay_find(overlay, slice_text("k")));
	assert_null(overlay_seek(overlay, slice_text(""), false, slice_of(NULL, 0)));
	assert_null(overlay_seek_before(overlay, slice_text("z"), slice_text("")));
	assert_null(overlay_next_due(overlay, INT64_MAX));
	size_t count = 1;
	memory_free(overlay_sorted(overlay, &count));
	assert_int_equal(count, 0);
	assert_true(overlay_bytes(overlay) < 200);
	put(overlay, "k", slice_text("v"), 0);
	assert_true(overlay_bytes(overlay) < 8192);
	overlay_free(&overlay);
	assert_null(overlay);
	overlay_free(&overlay);
}

static void overwrites_in_place_what_fits(void **state)
{
	(void)state;
	struct overlay *overlay = overlay_new();
	struct overlay_entry *entry = put(overlay, "k", slice_text("first value"), 0);
	const char *memory = entry->data.data;
	size_t bytes = overlay_bytes(overlay);
	for (int i = 0; i < 1000; i++) {
		assert_ptr_equal(put(overlay, "k", slice_text("other value"), 0), entry);
		delete (overlay, "k");
		assert_true(entry->deleted);
		assert_int_equal(entry->lsn, 2);
	}
	put(overlay, "k", slice_text("last"), 0);
	assert_false(entry->deleted);
	assert_ptr_equal(entry->data.data, memory);
	assert_true(slice_equal(entry->data, slice_text("last")));
	assert_int_equal(overlay_bytes(overlay), bytes);
	overlay_free(&overlay);
}

static void grows_a_value_byte_by_byte_without_eating_memory(void **state)
{
	(void)state;
	enum { SIZE = 200000 };
	char *text = memory_zeroed(SIZE);
	struct overlay *overlay = overlay_new();
	for (size_t size = 0; size <= SIZE; size += 7)
		put(overlay, "k", slice_of(text, size), 0);
	assert_true(overlay_bytes(overlay) < 8 * SIZE);
	overlay_free(&overlay);
	memory_free(text);
}

static void takes_a_value_from_its_own_memory(void **state)
{
	(void)state;
	struct overlay *overlay = overlay_new();
	struct overlay_entry *entry = put(overlay, "k", slice_text("0123456789"), 0);
	put(overlay, "k", entry->data, 0);
	assert_true(slice_equal(entry->data, slice_text("0123456789")));
	put(overlay, "k", slice_of(entry->data.data + 3, 6), 0);
	assert_true(slice_equal(entry->data, slice_text("345678")));
	struct overlay_entry *copy = put(overlay, "copy", entry->data, 0);
	delete (overlay, "k");
	assert_true(slice_equal(copy->data, slice_text("345678")));
	overlay_free(&overlay);
}

static void hands_a_key_out_once_for_each_time_it_falls_due(void **state)
{
	(void)state;
	struct overlay *overlay = overlay_new();
	struct overlay_entry *entry = put(overlay, "k", slice_text("v"), 100);
	put(overlay, "forever", slice_text("v"), 0);
	assert_null(overlay_next_due(overlay, 99));
	put(overlay, "k", slice_text("v"), 50);
	put(overlay, "k", slice_text("v"), 100);
	assert_null(overlay_next_due(overlay, 99));
	assert_ptr_equal(overlay_next_due(overlay, 100), entry);
	assert_null(overlay_next_due(overlay, 1000));
	put(overlay, "k", slice_text("v"), 100);
	assert_ptr_equal(overlay_next_due(overlay, 1000), entry);
	assert_null(overlay_next_due(overlay, 1000));
	put(overlay, "k", slice_text("v"), 1001);
	delete (overlay, "k");
	assert_null(overlay_next_due(overlay, 2000));
	put(overlay, "k", slice_text("v"), 2001);
	put(overlay, "k", slice_text("v"), 0);
	assert_null(overlay_next_due(overlay, 3000));
	overlay_free(&overlay);
}

static void sliding_a_life_costs_no_memory(void **state)
{
	(void)state;
	struct overlay *overlay = overlay_new();
	put(overlay, "k", slice_text("v"), 1);
	size_t bytes = overlay_bytes(overlay);
	for (int64_t expire_ms = 2; expire_ms < 5000; expire_ms++)
		put(overlay, "k", slice_text("v"), expire_ms);
	assert_int_equal(overlay_bytes(overlay), bytes);
	overlay_free(&overlay);
}

static struct model *model_new(uint64_t seed)
{
	struct model *model = memory_zeroed(sizeof(*model));
	random_seed(&model->random, seed);
	for (int i = 0; i < KEYS; i++) {
		uint64_t tail = random_below(&model->random, 1u << 20);
		static const char *const starts[] = { "p", "prefix", "\001", "\002", "\002x",
			"\017", "\020", "\xff" };
		snprintf(model->keys[i].key, sizeof(model->keys[i].key), "%s%d-%x",
			starts[i % (sizeof(starts) / sizeof(starts[0]))], i, (unsigned)tail);
	}
	return model;
}

static int compare_model_keys(const void *a_void, const void *b_void)
{
	const struct model_key *const *a = a_void, *const *b = b_void;
	return strcmp((*a)->key, (*b)->key);
}

static size_t model_sorted(struct model *model, const struct model_key **out)
{
	size_t count = 0;
	for (int i = 0; i < KEYS; i++)
		if (model->keys[i].known)
			out[count++] = &model->keys[i];
	qsort(out, count, sizeof(*out), compare_model_keys);
	return count;
}

static void write_something(struct overlay *overlay, struct model *model, int64_t now_ms)
{
	struct model_key *key = &model->keys[random_below(&model->random, KEYS)];
	struct effect effect = { .key = slice_text(key->key) };
	effect.kind = random_below(&model->random, 4) ? EFFECT_PUT : EFFECT_DELETE;
	model->known += !key->known;
	key->known = true;
	key->deleted = effect.kind == EFFECT_DELETE;
	key->lsn = ++model->lsn;
	key->expire_ms = 0;
	key->size = 0;
	key->handed_out = false;
	if (!key->deleted) {
		effect.type = VALUE_STRING;
		if (random_below(&model->random, 2))
			key->expire_ms = now_ms + 1 + (int64_t)random_below(&model->random, 900);
		uint64_t bound = random_below(&model->random, 50) ? 60 : VALUE_SIZE;
		key->size = random_below(&model->random, bound);
		memset(key->value, (int)random_next(&model->random), key->size);
		effect.expire_ms = key->expire_ms;
		effect.value = slice_of(key->value, key->size);
	}
	overlay_apply(overlay, &effect, key->lsn);
}

static void check_entry(const struct overlay_entry *entry, const struct model_key *key)
{
	assert_true(slice_equal(entry->key, slice_text(key->key)));
	assert_int_equal(entry->deleted, key->deleted);
	assert_true(entry->lsn == key->lsn);
	assert_true(entry->expire_ms == key->expire_ms);
	assert_int_equal(entry->type, key->deleted ? VALUE_NONE : VALUE_STRING);
	assert_true(slice_equal(entry->data, slice_of(key->value, key->size)));
	assert_true(entry->capacity >= key->size);
}

static void check_finds(struct overlay *overlay, struct model *model)
{
	assert_int_equal(overlay_count(overlay), model->known);
	for (int i = 0; i < KEYS; i++) {
		const struct model_key *key = &model->keys[i];
		struct overlay_entry *entry = overlay_find(overlay, slice_text(key->key));
		assert_int_equal(entry != NULL, key->known);
		if (entry)
			check_entry(entry, key);
	}
}

static void check_seeks(struct overlay *overlay, struct model *model)
{
	const struct model_key *sorted[KEYS];
	size_t count = model_sorted(model, sorted);
	overlay_order(overlay, (uint8_t)random_below(&model->random, 20),
		random_below(&model->random, 4));
	for (int i = 0; i < 5; i++) {
		const char *probe = model->keys[random_below(&model->random, KEYS)].key;
		size_t at = 0;
		while (at < count && strcmp(sorted[at]->key, probe) < 0)
			at++;
		bool exact = at < count && strcmp(sorted[at]->key, probe) == 0;
		struct overlay_entry *entry =
			overlay_seek(overlay, slice_text(probe), false, slice_of(NULL, 0));
		assert_int_equal(entry != NULL, at < count);
		if (entry)
			check_entry(entry, sorted[at]);
		entry = overlay_seek(overlay, slice_text(probe), true, slice_of(NULL, 0));
		assert_int_equal(entry != NULL, at + exact < count);
		if (entry)
			check_entry(entry, sorted[at + exact]);
		entry = overlay_seek_before(overlay, slice_text(probe), slice_text(""));
		assert_int_equal(entry != NULL, at > 0);
		if (entry)
			check_entry(entry, sorted[at - 1]);
	}
}

static void check_sorted(struct overlay *overlay, struct model *model)
{
	const struct model_key *sorted[KEYS];
	size_t expected = model_sorted(model, sorted), count;
	struct overlay_entry **entries = overlay_sorted(overlay, &count);
	assert_int_equal(count, expected);
	for (size_t i = 0; i < count; i++)
		check_entry(entries[i], sorted[i]);
	memory_free(entries);
}

static void check_due(struct overlay *overlay, struct model *model, int64_t now_ms)
{
	struct overlay_entry *entry;
	while ((entry = overlay_next_due(overlay, now_ms))) {
		struct model_key *found = NULL;
		for (int i = 0; i < KEYS && found == NULL; i++)
			if (slice_equal(entry->key, slice_text(model->keys[i].key)))
				found = &model->keys[i];
		assert_non_null(found);
		assert_false(found->deleted || found->handed_out);
		assert_true(found->expire_ms != 0 && found->expire_ms <= now_ms);
		found->handed_out = true;
	}
	for (int i = 0; i < KEYS; i++) {
		const struct model_key *key = &model->keys[i];
		bool due = key->expire_ms != 0 && key->expire_ms <= now_ms;
		assert_int_equal(key->handed_out, due);
	}
}

static void agrees_with_a_plain_array_under_random_operations(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct model *model = model_new(seed);
		struct overlay *overlay = overlay_new();
		int64_t now_ms = 1000;
		for (int step = 0; step < 4000; step++) {
			write_something(overlay, model, now_ms);
			if (random_below(&model->random, 20) == 0)
				check_seeks(overlay, model);
			if (random_below(&model->random, 100) == 0) {
				now_ms += (int64_t)random_below(&model->random, 300);
				check_due(overlay, model, now_ms);
			}
			if (random_below(&model->random, 400) == 0) {
				check_finds(overlay, model);
				check_sorted(overlay, model);
			}
		}
		check_finds(overlay, model);
		overlay_free(&overlay);
		memory_free(model);
	}
}

static void gives_entries_in_order_of_creation(void **state)
{
	(void)state;
	struct overlay *overlay = overlay_new();
	char key[16];
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "%d", (i * 7919) % 5000);
		put(overlay, key, slice_text("v"), 0);
		put(overlay, "0", slice_text("w"), 0);
	}
	assert_int_equal(overlay_count(overlay), 5000);
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "%d", (i * 7919) % 5000);
		struct overlay_entry *entry = overlay_at(overlay, (size_t)i);
		assert_true(slice_equal(entry->key, slice_text(key)));
	}
	overlay_free(&overlay);
}

/* What the checkpoint thread does with a frozen overlay: each entry's bytes, in order. */
static void *sort_and_read(void *context)
{
	const struct overlay *overlay = context;
	size_t count, *bytes = memory_zeroed(sizeof(*bytes));
	for (int round = 0; round < 5; round++) {
		struct overlay_entry **entries = overlay_sorted(overlay, &count);
		for (size_t i = 0; i < count; i++) {
			const struct overlay_entry *entry = entries[i];
			if (!entry->deleted && entry->expire_ms != 0 && entry->lsn != 0)
				*bytes += entry->key.size + entry->data.size + entry->type;
		}
		memory_free(entries);
	}
	return bytes;
}

/* Honest under the thread sanitizer, which sees what the two threads touch. */
static void lets_a_checkpoint_read_while_turns_look_things_up(void **state)
{
	(void)state;
	enum { COUNT = 3000 };
	struct overlay *overlay = overlay_new();
	char key[16];
	for (int i = 0; i < COUNT; i++) {
		snprintf(key, sizeof(key), "%04d", i);
		put(overlay, key, slice_text("v"), 1 + i);
		if (i % 2)
			put(overlay, key, slice_text("v"), 2 * COUNT);
	}
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, sort_and_read, overlay), 0);
	int due = 0;
	for (int i = 0; i < COUNT; i++) {
		snprintf(key, sizeof(key), "%04d", i);
		struct overlay_entry *entry = overlay_find(overlay, slice_text(key));
		assert_ptr_equal(
			overlay_seek(overlay, slice_text(key), false, slice_of(NULL, 0)), entry);
		entry->below = OVERLAY_BELOW_ABSENT;
		while (overlay_next_due(overlay, i + 1))
			due++;
	}
	void *bytes;
	assert_int_equal(pthread_join(thread, &bytes), 0);
	assert_int_equal(due, COUNT / 2);
	assert_int_equal(*(size_t *)bytes, 5 * COUNT * (4 + 1 + VALUE_STRING));
	memory_free(bytes);
	overlay_free(&overlay);
}

static void the_order_is_made_in_parts(void **state)
{
	(void)state;
	enum { COUNT = 1000 };
	struct overlay *overlay = overlay_new();
	char key[16];
	assert_true(overlay_order(overlay, 'k', 0));
	for (int i = 0; i < COUNT; i++) {
		snprintf(key, sizeof(key), "%05d", (i * 7919) % COUNT);
		put(overlay, key, slice_text("v"), 0);
	}
	int parts = 1;
	for (; !overlay_order(overlay, 'k', 300); parts++)
		;
	assert_int_equal(parts, 4);
	assert_true(overlay_order(overlay, 'k', 1));
	size_t bytes = overlay_bytes(overlay);
	struct overlay_entry *entry =
		overlay_seek(overlay, slice_text(""), false, slice_of(NULL, 0));
	for (int i = 0; i < COUNT; i++) {
		snprintf(key, sizeof(key), "%05d", i);
		assert_true(slice_equal(entry->key, slice_text(key)));
		entry = overlay_seek(overlay, entry->key, true, slice_of(NULL, 0));
	}
	assert_null(entry);
	/* Nothing was left for the seeks. */
	assert_int_equal(overlay_bytes(overlay), bytes);
	overlay_free(&overlay);
}

static void who_seeks_in_a_table_puts_no_other_in_order(void **state)
{
	(void)state;
	struct overlay *overlay = overlay_new();
	const struct slice none = { 0 };
	for (int i = 0; i < 100; i++) {
		char key[16];
		snprintf(key, sizeof(key), "%c%02d", 1 + i % 3, i);
		put(overlay, key, slice_text("v"), 0);
	}
	struct overlay_entry *entry =
		overlay_seek(overlay, slice_text("\002"), false, slice_text("\003"));
	assert_true(slice_equal(entry->key, slice_text("\00201")));
	entry = overlay_seek(overlay, slice_text("\00297"), false, slice_text("\003"));
	assert_null(overlay_seek(overlay, entry->key, true, slice_text("\003")));
	entry = overlay_seek_before(overlay, slice_text("\003"), slice_text("\002"));
	assert_true(slice_equal(entry->key, slice_text("\00297")));
	assert_null(overlay_seek_before(overlay, slice_text("\00201"), slice_text("\002")));
	assert_int_equal(overlay_unordered(overlay, 1), 34);
	assert_int_equal(overlay_unordered(overlay, 2), 0);
	assert_int_equal(overlay_unordered(overlay, 3), 33);
	/* Without such a bound it goes on into the next. */
	entry = overlay_seek(overlay, slice_text("\00297"), true, none);
	assert_true(slice_equal(entry->key, slice_text("\00302")));
	entry = overlay_seek_before(overlay, slice_text("\00201"), none);
	assert_true(slice_equal(entry->key, slice_text("\00199")));
	assert_int_equal(overlay_unordered(overlay, 1), 0);
	overlay_free(&overlay);
}

static void walks_in_order_while_keys_arrive(void **state)
{
	(void)state;
	enum { COUNT = 20000 };
	struct overlay *overlay = overlay_new();
	char key[16];
	for (int i = 0; i < COUNT; i++) {
		snprintf(key, sizeof(key), "%05d", (i * 7919) % COUNT);
		struct overlay_entry *entry = put(overlay, key, slice_text("v"), 0);
		assert_ptr_equal(
			overlay_seek(overlay, slice_text(key), false, slice_of(NULL, 0)), entry);
	}
	int walked = 0;
	struct overlay_entry *entry =
		overlay_seek(overlay, slice_text(""), false, slice_of(NULL, 0));
	for (; entry; entry = overlay_seek(overlay, entry->key, true, slice_of(NULL, 0))) {
		snprintf(key, sizeof(key), "%05d", walked++);
		assert_true(slice_equal(entry->key, slice_text(key)));
	}
	assert_int_equal(walked, COUNT);
	overlay_free(&overlay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs_little_while_it_holds_nothing),
		cmocka_unit_test(overwrites_in_place_what_fits),
		cmocka_unit_test(grows_a_value_byte_by_byte_without_eating_memory),
		cmocka_unit_test(takes_a_value_from_its_own_memory),
		cmocka_unit_test(hands_a_key_out_once_for_each_time_it_falls_due),
		cmocka_unit_test(sliding_a_life_costs_no_memory),
		cmocka_unit_test(agrees_with_a_plain_array_under_random_operations),
		cmocka_unit_test(gives_entries_in_order_of_creation),
		cmocka_unit_test(lets_a_checkpoint_read_while_turns_look_things_up),
		cmocka_unit_test(the_order_is_made_in_parts),
		cmocka_unit_test(who_seeks_in_a_table_puts_no_other_in_order),
		cmocka_unit_test(walks_in_order_while_keys_arrive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
