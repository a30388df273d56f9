/*
 * marks: a hash of names, tags and prefixes apart. Of prefixes it is known which lengths there are,
 * so a key is looked up once for each.
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

#define BUCKETS_FIRST 64

struct named_mark {
	struct named_mark *next;
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
	uint32_t prefixes; /* how many */
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

static struct named_mark *take(struct marks *marks, uint8_t kind, struct slice name)
{
	uint64_t hash = hash_of(kind, name);
	struct named_mark **place = place_of(marks, hash, kind, name);
	if (*place)
		return *place;
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
	marks->count++;
	if (kind == CACHE_FORMAT_MARK_PREFIX) {
		marks->prefixes++;
		marks->by_length[name.size]++;
	}
	return named;
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

void marks_restore(struct marks *marks, uint8_t kind, struct slice name, const struct mark *mark)
{
	pthread_rwlock_wrlock(&marks->lock);
	take(marks, kind, name)->mark = *mark;
	uint64_t number = mark->hard > mark->soft ? mark->hard : mark->soft;
	if (number > marks->latest)
		marks->latest = number;
	pthread_rwlock_unlock(&marks->lock);
}

void marks_forget(struct marks *marks, uint8_t kind, struct slice name)
{
	pthread_rwlock_wrlock(&marks->lock);
	struct named_mark **place = place_of(marks, hash_of(kind, name), kind, name);
	struct named_mark *named = *place;
	if (named) {
		*place = named->next;
		marks->count--;
		if (kind == CACHE_FORMAT_MARK_PREFIX) {
			marks->prefixes--;
			marks->by_length[name.size]--;
		}
		memory_free(named);
	}
	pthread_rwlock_unlock(&marks->lock);
}

static void raise_to(
	const struct marks *marks, uint8_t kind, struct slice name, struct mark *highest)
{
	const struct named_mark *named = *place_of(marks, hash_of(kind, name), kind, name);
	if (named == NULL)
		return;
	if (named->mark.hard > highest->hard)
		highest->hard = named->mark.hard;
	if (named->mark.soft > highest->soft)
		highest->soft = named->mark.soft;
}

struct mark marks_of(struct marks *marks, struct slice key, struct slice tags)
{
	struct mark highest = { 0 };
	struct slice tag;
	pthread_rwlock_rdlock(&marks->lock);
	while (cache_tag_next(&tags, &tag))
		raise_to(marks, CACHE_FORMAT_MARK_TAG, tag, &highest);
	uint32_t left = marks->prefixes;
	for (size_t size = 1; left > 0 && size <= key.size; size++) {
		if (marks->by_length[size] == 0)
			continue;
		left -= marks->by_length[size];
		raise_to(marks, CACHE_FORMAT_MARK_PREFIX, slice_of(key.data, size), &highest);
	}
	pthread_rwlock_unlock(&marks->lock);
	return highest;
}
