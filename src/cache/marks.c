/*
 * marks: a hash of names, tags and prefixes apart. Of prefixes it is known which lengths there are,
 * so a key is looked up once for each, by hashes that are made in one pass over the key. And a line
 * of all, by when each was invalidated last: the oldest is folded first, so a cover never has a
 * higher number than what is still remembered.
 *
 * Threads: any; see marks.h.
 */
#include "cache/marks.h"

#include "base/hash.h"
#include "base/memory.h"
#include "cache/cache_record.h"
#include "holdfast/limits.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BUCKETS_FIRST 64

/* What the allocator and the buckets take for each, about. */
#define OVERHEAD_BYTES 24

struct named_mark {
	struct named_mark *next; /* of its bucket */
	struct named_mark *older;
	struct named_mark *newer;
	uint64_t hash;
	struct mark mark;
	uint8_t kind;
	uint32_t size;
	char name[];
};

struct marks {
	pthread_rwlock_t lock;
	_Atomic uint64_t latest;
	struct named_mark **buckets;
	uint64_t bucket_count;
	uint64_t count;
	uint64_t bytes;
	struct named_mark *oldest;
	struct named_mark *newest;
	struct mark covers[CACHE_FORMAT_MARK_KINDS];
	uint32_t prefixes;    /* how many */
	uint32_t odd_lengths; /* see is_odd_length */
	uint32_t by_length[LIMIT_KEY_BYTES + 1];
};

struct marks *marks_new(void)
{
	struct marks *marks = memory_zeroed(sizeof(*marks));
	pthread_rwlock_init(&marks->lock, NULL);
	marks->bucket_count = BUCKETS_FIRST;
	marks->buckets = memory_zeroed(marks->bucket_count * sizeof(*marks->buckets));
	return marks;
}

void marks_free(struct marks **taken)
{
	struct marks *marks = *taken;
	*taken = NULL;
	for (uint64_t i = 0; i < marks->bucket_count; i++) {
		while (marks->buckets[i]) {
			struct named_mark *named = marks->buckets[i];
			marks->buckets[i] = named->next;
			memory_free(named);
		}
	}
	pthread_rwlock_destroy(&marks->lock);
	memory_free(marks->buckets);
	memory_free(marks);
}

uint64_t marks_latest(const struct marks *marks)
{
	return atomic_load_explicit(&marks->latest, memory_order_acquire);
}

uint64_t marks_count(struct marks *marks)
{
	pthread_rwlock_rdlock(&marks->lock);
	uint64_t count = marks->count;
	pthread_rwlock_unlock(&marks->lock);
	return count;
}

uint64_t marks_bytes(struct marks *marks)
{
	pthread_rwlock_rdlock(&marks->lock);
	uint64_t bytes = marks->bytes;
	pthread_rwlock_unlock(&marks->lock);
	return bytes;
}

static uint64_t hash_of(uint8_t kind, struct slice name)
{
	return hash_bytes_seeded(name, kind);
}

/* The place of the pointer to it, or to where it would be. */
static struct named_mark **place_of(
	const struct marks *marks, uint64_t hash, uint8_t kind, struct slice name)
{
	struct named_mark **place = &marks->buckets[hash & (marks->bucket_count - 1)];
	while (*place &&
		((*place)->hash != hash || (*place)->kind != kind ||
			!slice_equal(slice_of((*place)->name, (*place)->size), name)))
		place = &(*place)->next;
	return place;
}

static void grow(struct marks *marks)
{
	uint64_t count = marks->bucket_count;
	struct named_mark **before = marks->buckets;
	marks->bucket_count = 2 * count;
	marks->buckets = memory_zeroed(marks->bucket_count * sizeof(*marks->buckets));
	for (uint64_t i = 0; i < count; i++) {
		for (struct named_mark *named = before[i], *next; named; named = next) {
			next = named->next;
			struct named_mark **bucket =
				&marks->buckets[named->hash & (marks->bucket_count - 1)];
			named->next = *bucket;
			*bucket = named;
		}
	}
	memory_free(before);
}

static uint64_t bytes_of(const struct named_mark *named)
{
	return sizeof(*named) + named->size + OVERHEAD_BYTES;
}

static void leave_line(struct marks *marks, struct named_mark *named)
{
	*(named->older ? &named->older->newer : &marks->oldest) = named->newer;
	*(named->newer ? &named->newer->older : &marks->newest) = named->older;
	named->older = named->newer = NULL;
}

static void stand_last(struct marks *marks, struct named_mark *named)
{
	named->older = marks->newest;
	*(marks->newest ? &marks->newest->newer : &marks->oldest) = named;
	marks->newest = named;
}

/* Multiples are what others are cut to: there are few. */
static bool is_odd_length(size_t size)
{
	return size > LIMIT_CACHE_PREFIX_LENGTHS && size % LIMIT_CACHE_PREFIX_LENGTHS != 0;
}

static void count_prefix(struct marks *marks, size_t size)
{
	marks->prefixes++;
	if (marks->by_length[size]++ == 0)
		marks->odd_lengths += is_odd_length(size);
}

static void uncount_prefix(struct marks *marks, size_t size)
{
	assert(marks->by_length[size] > 0);
	marks->prefixes--;
	if (--marks->by_length[size] == 0)
		marks->odd_lengths -= is_odd_length(size);
}

/* Made when it is not there; the last of the line. */
static struct named_mark *take(struct marks *marks, uint8_t kind, struct slice name)
{
	uint64_t hash = hash_of(kind, name);
	struct named_mark **place = place_of(marks, hash, kind, name);
	if (*place) {
		leave_line(marks, *place);
		stand_last(marks, *place);
		return *place;
	}
	if (marks->count >= marks->bucket_count) {
		grow(marks);
		place = place_of(marks, hash, kind, name);
	}
	struct named_mark *named = memory_zeroed(sizeof(*named) + name.size);
	named->hash = hash;
	named->kind = kind;
	named->size = (uint32_t)name.size;
	memcpy(named->name, name.data, name.size);
	*place = named;
	stand_last(marks, named);
	marks->count++;
	marks->bytes += bytes_of(named);
	if (kind == CACHE_FORMAT_MARK_PREFIX)
		count_prefix(marks, name.size);
	return named;
}

static void drop(struct marks *marks, struct named_mark **place)
{
	struct named_mark *named = *place;
	*place = named->next;
	leave_line(marks, named);
	marks->count--;
	marks->bytes -= bytes_of(named);
	if (named->kind == CACHE_FORMAT_MARK_PREFIX)
		uncount_prefix(marks, named->size);
	memory_free(named);
}

struct slice marks_prefix(struct marks *marks, struct slice name)
{
	assert(name.size <= LIMIT_KEY_BYTES);
	pthread_rwlock_rdlock(&marks->lock);
	if (is_odd_length(name.size) && marks->by_length[name.size] == 0 &&
		marks->odd_lengths >= LIMIT_CACHE_PREFIX_LENGTHS)
		name.size -= name.size % LIMIT_CACHE_PREFIX_LENGTHS;
	pthread_rwlock_unlock(&marks->lock);
	return name;
}

struct mark marks_add(struct marks *marks, uint8_t kind, struct slice name, bool soft)
{
	assert(name.size > 0 && name.size <= LIMIT_KEY_BYTES);
	pthread_rwlock_wrlock(&marks->lock);
	struct named_mark *named = take(marks, kind, name);
	uint64_t number = marks->latest + 1;
	*(soft ? &named->mark.soft : &named->mark.hard) = number;
	struct mark mark = named->mark;
	/* Who sees the number finds the mark: it waits for the lock. */
	atomic_store_explicit(&marks->latest, number, memory_order_release);
	pthread_rwlock_unlock(&marks->lock);
	return mark;
}

static void raise_mark(struct mark *highest, const struct mark *mark)
{
	if (mark->hard > highest->hard)
		highest->hard = mark->hard;
	if (mark->soft > highest->soft)
		highest->soft = mark->soft;
}

bool marks_fold(struct marks *marks, uint64_t bytes_max, struct marks_folded *out)
{
	pthread_rwlock_wrlock(&marks->lock);
	struct named_mark *named = marks->oldest;
	/* The newest stays, however little there may be. */
	bool folds = marks->bytes > bytes_max && named != marks->newest;
	if (folds) {
		struct slice name = slice_of(named->name, named->size);
		raise_mark(&marks->covers[named->kind], &named->mark);
		out->kind = named->kind;
		out->size = name.size;
		out->cover = marks->covers[named->kind];
		memcpy(out->name, name.data, name.size);
		drop(marks, place_of(marks, named->hash, named->kind, name));
	}
	pthread_rwlock_unlock(&marks->lock);
	return folds;
}

static uint64_t number_of(const struct mark *mark)
{
	return mark->hard > mark->soft ? mark->hard : mark->soft;
}

void marks_restore(struct marks *marks, uint8_t kind, struct slice name, const struct mark *mark)
{
	pthread_rwlock_wrlock(&marks->lock);
	if (kind != CACHE_FORMAT_MARK_LATEST && name.size)
		take(marks, kind, name)->mark = *mark;
	else if (name.size == 0)
		marks->covers[kind] = *mark;
	uint64_t number = number_of(mark);
	if (number > marks->latest)
		marks->latest = number;
	pthread_rwlock_unlock(&marks->lock);
}

static int by_number(const void *a, const void *b)
{
	uint64_t first = number_of(&(*(struct named_mark *const *)a)->mark);
	uint64_t second = number_of(&(*(struct named_mark *const *)b)->mark);
	return (first > second) - (first < second);
}

void marks_restored(struct marks *marks)
{
	pthread_rwlock_wrlock(&marks->lock);
	struct named_mark **all = memory_alloc((marks->count + 1) * sizeof(struct named_mark *));
	uint64_t count = 0;
	for (struct named_mark *named = marks->oldest; named; named = named->newer)
		all[count++] = named;
	assert(count == marks->count);
	qsort(all, count, sizeof(struct named_mark *), by_number);
	marks->oldest = marks->newest = NULL;
	for (uint64_t i = 0; i < count; i++) {
		all[i]->older = all[i]->newer = NULL;
		stand_last(marks, all[i]);
	}
	memory_free(all);
	pthread_rwlock_unlock(&marks->lock);
}

void marks_forget(struct marks *marks, uint8_t kind, struct slice name)
{
	pthread_rwlock_wrlock(&marks->lock);
	if (name.size == 0) {
		marks->covers[kind] = (struct mark){ 0 };
	} else {
		struct named_mark **place = place_of(marks, hash_of(kind, name), kind, name);
		if (*place)
			drop(marks, place);
	}
	pthread_rwlock_unlock(&marks->lock);
}

static void raise_to(const struct marks *marks, uint64_t hash, uint8_t kind, struct slice name,
	struct mark *highest)
{
	const struct named_mark *named = *place_of(marks, hash, kind, name);
	if (named)
		raise_mark(highest, &named->mark);
}

static void raise_to_prefixes(const struct marks *marks, struct slice key, struct mark *highest)
{
	struct hash_beginnings beginnings;
	uint32_t left = marks->prefixes;
	raise_mark(highest, &marks->covers[CACHE_FORMAT_MARK_PREFIX]);
	hash_beginnings_init(&beginnings, key.data, CACHE_FORMAT_MARK_PREFIX);
	for (size_t size = 1; left > 0 && size <= key.size; size++) {
		if (marks->by_length[size] == 0)
			continue;
		left -= marks->by_length[size];
		raise_to(marks, hash_beginnings_at(&beginnings, size), CACHE_FORMAT_MARK_PREFIX,
			slice_of(key.data, size), highest);
	}
}

struct mark marks_of(struct marks *marks, struct slice key, struct slice tags)
{
	struct mark highest = { 0 };
	struct slice tag;
	pthread_rwlock_rdlock(&marks->lock);
	if (tags.size)
		raise_mark(&highest, &marks->covers[CACHE_FORMAT_MARK_TAG]);
	while (cache_tag_next(&tags, &tag))
		raise_to(marks, hash_of(CACHE_FORMAT_MARK_TAG, tag), CACHE_FORMAT_MARK_TAG, tag,
			&highest);
	raise_to_prefixes(marks, key, &highest);
	pthread_rwlock_unlock(&marks->lock);
	return highest;
}
