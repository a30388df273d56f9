/*
 * marks: a table of names, tags and prefixes apart. Of prefixes it is known which lengths there
 * are, so a key is looked up once for each, by hashes that are made in one pass over the key. And a
 * line of all, by when each was invalidated last: the oldest is folded first, so a cover never has
 * a higher number than what is still remembered.
 *
 * Threads: any; see marks.h.
 */
#include "cache/marks.h"

#include "base/hash.h"
#include "base/hash_table.h"
#include "base/list.h"
#include "base/memory.h"
#include "cache/cache_record.h"
#include "holdfast/limits.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* What the allocator and the table take for each, about. */
#define OVERHEAD_BYTES 16

struct named_mark {
	struct hash_node by_name;
	struct list_node in_line;
	struct mark mark;
	uint8_t kind;
	uint32_t size;
	char name[];
};

struct marks {
	pthread_rwlock_t lock;
	_Atomic uint64_t latest;
	struct hash_table by_name;
	uint64_t bytes;
	struct list line; /* the oldest first */
	struct mark covers[CACHE_FORMAT_MARK_KINDS];
	uint32_t prefixes;    /* how many */
	uint32_t odd_lengths; /* see is_odd_length */
	uint32_t by_length[LIMIT_KEY_BYTES + 1];
};

struct marks *marks_new(void)
{
	struct marks *marks = memory_zeroed(sizeof(*marks));
	pthread_rwlock_init(&marks->lock, NULL);
	return marks;
}

void marks_free(struct marks **taken)
{
	struct marks *marks = *taken;
	*taken = NULL;
	struct list_node *node;
	while ((node = list_take(&marks->line)) != NULL)
		memory_free(container_of(node, struct named_mark, in_line));
	hash_table_fini(&marks->by_name);
	pthread_rwlock_destroy(&marks->lock);
	memory_free(marks);
}

uint64_t marks_latest(const struct marks *marks)
{
	return atomic_load_explicit(&marks->latest, memory_order_acquire);
}

uint64_t marks_count(struct marks *marks)
{
	pthread_rwlock_rdlock(&marks->lock);
	uint64_t count = marks->by_name.count;
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

static struct named_mark *find(
	const struct marks *marks, uint64_t hash, uint8_t kind, struct slice name)
{
	const struct hash_node *node = hash_table_first(&marks->by_name, hash);
	for (; node; node = hash_table_next(node)) {
		struct named_mark *named = container_of(node, struct named_mark, by_name);
		if (named->kind == kind && slice_equal(slice_of(named->name, named->size), name))
			return named;
	}
	return NULL;
}

static uint64_t bytes_of(const struct named_mark *named)
{
	return sizeof(*named) + named->size + OVERHEAD_BYTES;
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
	struct named_mark *named = find(marks, hash, kind, name);
	if (named) {
		list_remove(&marks->line, &named->in_line);
		list_append(&marks->line, &named->in_line);
		return named;
	}
	named = memory_zeroed(sizeof(*named) + name.size);
	named->kind = kind;
	named->size = (uint32_t)name.size;
	memcpy(named->name, name.data, name.size);
	hash_table_add(&marks->by_name, &named->by_name, hash);
	list_append(&marks->line, &named->in_line);
	marks->bytes += bytes_of(named);
	if (kind == CACHE_FORMAT_MARK_PREFIX)
		count_prefix(marks, name.size);
	return named;
}

static void drop(struct marks *marks, struct named_mark *named)
{
	hash_table_remove(&marks->by_name, &named->by_name);
	list_remove(&marks->line, &named->in_line);
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
	assert(name.size > 0);
	assert(name.size <= LIMIT_KEY_BYTES);
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
	struct list_node *oldest = marks->line.first;
	/* The newest stays, however little there may be. */
	bool folds = marks->bytes > bytes_max && oldest != marks->line.last;
	if (folds) {
		struct named_mark *named = container_of(oldest, struct named_mark, in_line);
		struct slice name = slice_of(named->name, named->size);
		raise_mark(&marks->covers[named->kind], &named->mark);
		out->kind = named->kind;
		out->size = name.size;
		out->cover = marks->covers[named->kind];
		memcpy(out->name, name.data, name.size);
		drop(marks, named);
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
	uint64_t count = 0, most = marks->by_name.count;
	struct named_mark **all = memory_alloc((most + 1) * sizeof(struct named_mark *));
	struct list_node *node;
	while ((node = list_take(&marks->line)) != NULL)
		all[count++] = container_of(node, struct named_mark, in_line);
	assert(count == most);
	qsort(all, count, sizeof(struct named_mark *), by_number);
	for (uint64_t i = 0; i < count; i++)
		list_append(&marks->line, &all[i]->in_line);
	memory_free(all);
	pthread_rwlock_unlock(&marks->lock);
}

void marks_forget(struct marks *marks, uint8_t kind, struct slice name)
{
	pthread_rwlock_wrlock(&marks->lock);
	if (name.size == 0) {
		marks->covers[kind] = (struct mark){ 0 };
	} else {
		struct named_mark *named = find(marks, hash_of(kind, name), kind, name);
		if (named)
			drop(marks, named);
	}
	pthread_rwlock_unlock(&marks->lock);
}

static void raise_to(const struct marks *marks, uint64_t hash, uint8_t kind, struct slice name,
	struct mark *highest)
{
	const struct named_mark *named = find(marks, hash, kind, name);
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
