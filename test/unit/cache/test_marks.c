/*
 * Invalidations of tags and prefixes against a list that is walked each time; and with threads,
 * for the thread sanitizer: readers beside the one who invalidates see no number without its mark.
 */
#include "cache/marks.h"

#include "base/arena.h"
#include "base/memory.h"
#include "base/random.h"
#include "cache/cache_record.h"
#include "holdfast/limits.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NAMES     400
#define STEPS     300000
#define READERS   3
#define ADDITIONS 20000

struct plain_mark {
	char name[LIMIT_KEY_BYTES];
	size_t size;
	uint8_t kind;
	struct mark mark;
};

static struct plain_mark plain[NAMES];
static uint64_t plain_latest;

static struct slice name_of(const struct plain_mark *mark)
{
	return slice_of(mark->name, mark->size);
}

static void raise_to(struct mark *highest, const struct mark *mark)
{
	if (mark->hard > highest->hard)
		highest->hard = mark->hard;
	if (mark->soft > highest->soft)
		highest->soft = mark->soft;
}

static struct mark plain_marks_of(struct slice key, const struct slice *tags, uint32_t count)
{
	struct mark highest = { 0 };
	for (int i = 0; i < NAMES; i++) {
		bool matches = plain[i].kind == CACHE_FORMAT_MARK_PREFIX &&
			slice_starts_with(key, name_of(&plain[i]));
		for (uint32_t j = 0; j < count; j++)
			matches |= plain[i].kind == CACHE_FORMAT_MARK_TAG &&
				slice_equal(tags[j], name_of(&plain[i]));
		if (matches)
			raise_to(&highest, &plain[i].mark);
	}
	return highest;
}

/* Few letters, so that names are prefixes of each other; tags and prefixes of one name. */
static void make_names(struct random *random)
{
	for (int i = 0; i < NAMES; i++) {
		struct plain_mark *mark = &plain[i];
		bool again = i > 0 && i % 8 == 7;
		mark->kind = i % 2 ? CACHE_FORMAT_MARK_TAG : CACHE_FORMAT_MARK_PREFIX;
		mark->mark = (struct mark){ 0 };
		size_t most = i % 16 == 0 ? LIMIT_KEY_BYTES : 6;
		if (mark->kind == CACHE_FORMAT_MARK_TAG && most > LIMIT_CACHE_TAG_BYTES)
			most = LIMIT_CACHE_TAG_BYTES;
		do {
			mark->size = 1 + random_below(random, most);
			for (size_t j = 0; j < mark->size; j++)
				mark->name[j] =
					most > 6 ? 'a' : (char)('a' + random_below(random, 3));
			if (again) {
				mark->size = plain[i - 1].size;
				memcpy(mark->name, plain[i - 1].name, mark->size);
				again = false;
			}
			for (int j = 0; j < i && mark->size; j++)
				if (plain[j].kind == mark->kind &&
					slice_equal(name_of(&plain[j]), name_of(mark)))
					mark->size = 0;
		} while (mark->size == 0);
	}
}

static void compare(struct marks *marks, struct random *random, struct arena *arena)
{
	char key[LIMIT_KEY_BYTES];
	struct slice tags[4];
	uint32_t count = (uint32_t)random_below(random, 4);
	size_t size = 1 + random_below(random, random_below(random, 4) ? 8 : sizeof(key));
	for (size_t i = 0; i < size; i++)
		key[i] = size > 8 ? 'a' : (char)('a' + random_below(random, 3));
	for (uint32_t i = 0; i < count; i++) {
		const struct plain_mark *mark = &plain[random_below(random, NAMES)];
		tags[i] = mark->size <= LIMIT_CACHE_TAG_BYTES ? name_of(mark) : slice_text("x");
	}
	struct mark got = marks_of(marks, slice_of(key, size), cache_tags_pack(tags, count, arena));
	struct mark expected = plain_marks_of(slice_of(key, size), tags, count);
	assert_int_equal(got.hard, expected.hard);
	assert_int_equal(got.soft, expected.soft);
	assert_int_equal(marks_latest(marks), plain_latest);
}

static void restore_all(struct marks **marks)
{
	marks_free(marks);
	assert_null(*marks);
	*marks = marks_new();
	assert_int_equal(marks_latest(*marks), 0);
	struct mark latest = { .hard = plain_latest };
	marks_restore(*marks, CACHE_FORMAT_MARK_LATEST, slice_text("latest"), &latest);
	for (int i = NAMES - 1; i >= 0; i--)
		if (plain[i].mark.hard || plain[i].mark.soft)
			marks_restore(*marks, plain[i].kind, name_of(&plain[i]), &plain[i].mark);
	marks_restored(*marks);
}

static void say_what_a_list_says(void **state)
{
	struct random random;
	struct arena arena;
	struct marks *marks = marks_new();
	random_seed(&random, 11);
	make_names(&random);
	arena_init(&arena, 4096);
	for (int step = 0; step < STEPS; step++) {
		struct plain_mark *chosen = &plain[random_below(&random, NAMES)];
		uint64_t choice = random_below(&random, 1000);
		if (choice < 150) {
			bool soft = random_below(&random, 2);
			struct mark stored = marks_add(marks, chosen->kind, name_of(chosen), soft);
			*(soft ? &chosen->mark.soft : &chosen->mark.hard) = ++plain_latest;
			assert_int_equal(stored.hard, chosen->mark.hard);
			assert_int_equal(stored.soft, chosen->mark.soft);
		} else if (choice < 280) {
			marks_forget(marks, chosen->kind, name_of(chosen));
			chosen->mark = (struct mark){ 0 };
		} else if (choice < 281) {
			restore_all(&marks);
		} else {
			compare(marks, &random, &arena);
		}
		if (step % 256 == 0) {
			arena_fini(&arena);
			arena_init(&arena, 4096);
		}
	}
	marks_free(&marks);
	arena_fini(&arena);
}

static void restoring_never_takes_numbers_back(void **state)
{
	struct marks *marks = marks_new();
	struct mark high = { .hard = 3, .soft = 90 }, low = { .hard = 7, .soft = 2 };
	marks_restore(marks, CACHE_FORMAT_MARK_TAG, slice_text("a"), &high);
	marks_restore(marks, CACHE_FORMAT_MARK_TAG, slice_text("b"), &low);
	assert_int_equal(marks_latest(marks), 90);
	assert_int_equal(marks_add(marks, CACHE_FORMAT_MARK_TAG, slice_text("b"), false).hard, 91);
	marks_free(&marks);
}

/* A prefix applies from its own length on, whatever other lengths there are. */
static void prefixes_of_every_length_apply(void **state)
{
	char letters[LIMIT_KEY_BYTES];
	struct marks *marks = marks_new();
	memset(letters, 'p', sizeof(letters));
	for (size_t size = 1; size <= sizeof(letters); size++)
		marks_add(marks, CACHE_FORMAT_MARK_PREFIX, slice_of(letters, size), size % 2);
	for (size_t size = 1; size <= sizeof(letters); size++) {
		struct mark mark = marks_of(marks, slice_of(letters, size), slice_of(NULL, 0));
		assert_int_equal(size % 2 ? mark.soft : mark.hard, size);
	}
	for (size_t size = 1; size <= sizeof(letters); size++)
		if (size != 100)
			marks_forget(marks, CACHE_FORMAT_MARK_PREFIX, slice_of(letters, size));
	assert_int_equal(marks_of(marks, slice_of(letters, 99), slice_of(NULL, 0)).hard, 0);
	assert_int_equal(marks_of(marks, slice_of(letters, 100), slice_of(NULL, 0)).hard, 100);
	marks_free(&marks);
}

/* Long ones of many lengths are cut, to what covers them; a key is looked up for few lengths. */
static void lengths_of_prefixes_are_bounded(void **state)
{
	char letters[LIMIT_KEY_BYTES];
	bool seen[LIMIT_KEY_BYTES + 1] = { false };
	int lengths = 0;
	struct marks *marks = marks_new();
	memset(letters, 'p', sizeof(letters));
	for (size_t size = sizeof(letters); size > 0; size--) {
		struct slice name = marks_prefix(marks, slice_of(letters, size));
		assert_true(name.size > 0 && name.size <= size);
		assert_true(size - name.size < LIMIT_CACHE_PREFIX_LENGTHS);
		if (size <= LIMIT_CACHE_PREFIX_LENGTHS)
			assert_int_equal(name.size, size);
		struct mark mark = marks_add(marks, CACHE_FORMAT_MARK_PREFIX, name, false);
		struct mark found = marks_of(marks, slice_of(letters, size), slice_of(NULL, 0));
		assert_int_equal(found.hard, mark.hard);
		lengths += !seen[name.size];
		seen[name.size] = true;
	}
	assert_true(lengths <= 3 * LIMIT_CACHE_PREFIX_LENGTHS);
	/* A length that is forgotten makes room for another one. */
	struct slice odd = slice_of(letters, 777);
	assert_int_equal(marks_prefix(marks, odd).size, 768);
	marks_forget(marks, CACHE_FORMAT_MARK_PREFIX, slice_of(letters, 2047));
	assert_int_equal(marks_prefix(marks, odd).size, 777);
	marks_free(&marks);
}

/* What is folded is never taken for valid, and what came later never for invalidated. */
static void old_ones_fold_into_what_covers_them(void **state)
{
	enum { TAGS = 5000, BYTES = 100000 };
	struct arena arena;
	struct marks_folded folded;
	struct mark covers[CACHE_FORMAT_MARK_KINDS] = { 0 };
	struct marks *marks = marks_new();
	int gone = 0;
	arena_init(&arena, 4096);
	for (int i = 0; i < TAGS; i++) {
		char name[32];
		snprintf(name, sizeof(name), "tag%d", i);
		marks_add(marks, CACHE_FORMAT_MARK_TAG, slice_text(name), i % 2);
		/* The first is invalidated again and again: it is not old. */
		marks_add(marks, CACHE_FORMAT_MARK_TAG, slice_text("tag0"), false);
		while (marks_fold(marks, BYTES, &folded)) {
			assert_int_equal(folded.kind, CACHE_FORMAT_MARK_TAG);
			snprintf(name, sizeof(name), "tag%d", ++gone);
			assert_true(slice_is(slice_of(folded.name, folded.size), name));
			covers[folded.kind] = folded.cover;
		}
		assert_true(marks_bytes(marks) <= BYTES);
	}
	assert_true(gone > 0 && gone < TAGS);
	assert_int_equal(marks_count(marks), TAGS - gone);
	/* Tag i > 0 has the number 2 i + 1. */
	uint64_t last = 2 * (uint64_t)gone + 1;
	assert_int_equal(gone % 2 ? covers[1].soft : covers[1].hard, last);
	assert_int_equal(gone % 2 ? covers[1].hard : covers[1].soft, last - 2);
	struct slice key = slice_text("key"), other = slice_text("other");
	struct mark mark = marks_of(marks, key, cache_tags_pack(&other, 1, &arena));
	assert_int_equal(mark.hard, covers[1].hard);
	assert_int_equal(mark.soft, covers[1].soft);
	assert_int_equal(marks_of(marks, key, slice_of(NULL, 0)).hard, 0);
	marks_forget(marks, CACHE_FORMAT_MARK_TAG, MARKS_COVER);
	assert_int_equal(marks_of(marks, key, cache_tags_pack(&other, 1, &arena)).hard, 0);
	marks_free(&marks);
	arena_fini(&arena);
}

static void what_is_restored_folds_in_the_order_of_its_numbers(void **state)
{
	struct marks_folded folded;
	struct marks *marks = marks_new();
	struct mark cover = { .hard = 5 };
	marks_restore(marks, CACHE_FORMAT_MARK_PREFIX, MARKS_COVER, &cover);
	assert_int_equal(marks_of(marks, slice_text("k"), slice_of(NULL, 0)).hard, 5);
	assert_int_equal(marks_latest(marks), 5);
	for (uint64_t i = 0; i < 100; i++) {
		char name[32];
		struct mark mark = { .soft = 10 + i * 37 % 100 };
		snprintf(name, sizeof(name), "p%d", (int)i);
		marks_restore(marks, CACHE_FORMAT_MARK_PREFIX, slice_text(name), &mark);
	}
	marks_restored(marks);
	for (uint64_t i = 0; i < 99; i++) {
		assert_true(marks_fold(marks, 0, &folded));
		assert_int_equal(folded.cover.soft, 10 + i);
		assert_int_equal(folded.cover.hard, 5);
	}
	assert_false(marks_fold(marks, 0, &folded));
	assert_int_equal(marks_count(marks), 1);
	marks_free(&marks);
}

static void a_tag_is_no_prefix(void **state)
{
	struct arena arena;
	struct slice name = slice_text("name");
	struct marks *marks = marks_new();
	arena_init(&arena, 1024);
	marks_add(marks, CACHE_FORMAT_MARK_TAG, name, false);
	assert_int_equal(marks_of(marks, name, slice_of(NULL, 0)).hard, 0);
	marks_add(marks, CACHE_FORMAT_MARK_PREFIX, slice_text("other"), false);
	struct slice tags[] = { slice_text("other") };
	assert_int_equal(marks_of(marks, name, cache_tags_pack(tags, 1, &arena)).hard, 0);
	marks_free(&marks);
	arena_fini(&arena);
}

struct reader {
	struct marks *marks;
	_Atomic bool *stop;
	pthread_t thread;
	uint64_t wrong;
};

/* Tag `t` is invalidated each other time: who sees number n sees at least n - 1 in its mark. */
static void *read_on(void *context)
{
	struct reader *reader = context;
	struct arena arena;
	struct slice tag[] = { slice_text("t") };
	uint64_t before = 0;
	arena_init(&arena, 1024);
	struct slice packed = cache_tags_pack(tag, 1, &arena);
	while (!*reader->stop) {
		uint64_t latest = marks_latest(reader->marks);
		struct mark mark = marks_of(reader->marks, slice_text("key"), packed);
		reader->wrong += latest < before || mark.hard + 1 < latest;
		before = latest;
	}
	arena_fini(&arena);
	return NULL;
}

static void readers_see_no_number_without_its_mark(void **state)
{
	_Atomic bool stop = false;
	struct marks *marks = marks_new();
	struct reader readers[READERS];
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .marks = marks, .stop = &stop };
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
	}
	for (int i = 0; i < ADDITIONS; i++) {
		char name[32];
		snprintf(name, sizeof(name), "other%d", i);
		marks_add(marks, CACHE_FORMAT_MARK_TAG, slice_text("t"), false);
		marks_add(marks, i % 2 ? CACHE_FORMAT_MARK_TAG : CACHE_FORMAT_MARK_PREFIX,
			slice_text(name), i % 3);
		if (i % 4 == 0)
			marks_forget(marks, CACHE_FORMAT_MARK_PREFIX, slice_text(name));
	}
	stop = true;
	for (int i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].wrong, 0);
	}
	assert_int_equal(marks_latest(marks), 2 * ADDITIONS);
	marks_free(&marks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(say_what_a_list_says),
		cmocka_unit_test(restoring_never_takes_numbers_back),
		cmocka_unit_test(prefixes_of_every_length_apply),
		cmocka_unit_test(lengths_of_prefixes_are_bounded),
		cmocka_unit_test(old_ones_fold_into_what_covers_them),
		cmocka_unit_test(what_is_restored_folds_in_the_order_of_its_numbers),
		cmocka_unit_test(a_tag_is_no_prefix),
		cmocka_unit_test(readers_see_no_number_without_its_mark),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
