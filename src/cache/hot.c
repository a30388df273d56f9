/*
 * hot: see hot.h. The policy is S3-FIFO (Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you
 * need for cache eviction", SOSP 2023), counted in bytes:
 *
 *              put            used when old        used when old: a use less, young again
 *   newcomer ------> SMALL ----------------> MAIN <---------------.
 *                      |                      |  \________________/
 *                      | not                  | not
 *                      v                      v
 *                    ghost                  dropped        put of a ghost: straight into MAIN
 *
 * A scan passes through SMALL and never reaches MAIN. A use is one write of a counter: no list is
 * touched on the way of a hit. Where this leaves the paper (one use lets a newcomer stay, ghosts
 * count longer, a full MAIN gives way in bounded steps), test/bench/cache_policy.c measured it.
 *
 * The table is a linear hash (Litwin 1980): buckets are added and taken away one at a time, in
 * segments that never move, so that neither time nor memory ever jumps with the table's size. Only
 * the directory of segments is copied when it doubles: 8 bytes for SEGMENT_BUCKETS entries.
 *
 *   bucket   first entry of a chain | GHOSTS times (low half of a hash, when it was dropped)
 *
 * Ghosts stand in the bucket of their hash, where a put looks anyway. There is no queue of them: a
 * ghost is as old as the bytes that were dropped after it, counts while these are few enough, and
 * makes room for a newer one when its bucket is full.
 *
 * Life: hot_new, used under its shard's hold by one thread at a time, hot_free.
 */
#include "cache/hot.h"

#include "base/memory.h"
#include "holdfast/limits.h"

#include <assert.h>

#define USES_MAX 3
/* SMALL's part of the limit, and the largest entry's: one that were larger than SMALL by far would
 * sweep out all other newcomers. */
#define SMALL_PART 10
#define ENTRY_PART 8
/* Moves before an entry is dropped whatever its uses: bounds a step when all of MAIN was used. It
 * is then a newcomer's turn, if there is one. */
#define MOVES_MAX 16
/* A ghost counts until so many times the limit was dropped after it. The paper has one MAIN's
 * worth; twice that finds what a scan of half of the requests separates, and a loop of twice the
 * limit. */
#define GHOST_LIMITS 2
/* Entries that a put drops beyond what it brings, while a lowered limit is exceeded. */
#define PUT_STEPS 16

#define SEGMENT_BUCKETS 64
#define DIRECTORY_FIRST 4
#define GHOSTS          3
/* Ghosts count dropped bytes in units that let 32 bits hold 256 GiB of them. */
#define GHOST_UNIT_BITS 6

struct ghost {
	uint32_t hash;
	uint32_t when; /* 0: none */
};

struct bucket {
	struct hot_entry *first;
	struct ghost ghosts[GHOSTS];
};

struct queue {
	struct hot_entry *newest;
	struct hot_entry *oldest;
	size_t count;
	size_t bytes;
};

struct hot {
	size_t limit;
	size_t bytes;
	struct queue queues[2]; /* by enum hot_queue */
	struct bucket **segments;
	uint32_t segment_capacity;
	uint32_t bucket_count; /* 0 or at least SEGMENT_BUCKETS */
	uint32_t mask;         /* the next power of two, less 1 */
	uint64_t ghost_bytes;  /* dropped from SMALL since the start */
	struct hot_figures figures;
};

static struct hot_entry *entry_new(
	struct slice key, uint64_t hash, struct slice value, struct slice tags, size_t charge);
static void entry_insert(struct hot *hot, struct hot_entry *entry);
static void entry_replace(struct hot *hot, struct hot_entry *old, struct hot_entry *entry);
static void entry_drop(struct hot *hot, struct hot_entry *entry);
static bool make_room(struct hot *hot, size_t before, const struct hot_entry *keep);
static bool evict(struct hot *hot, const struct hot_entry *keep);
static void table_release(struct hot *hot);

/* What the allocator of memory.c takes for a block: a header of 8 bytes, in units of 16. */
static inline size_t block_bytes(size_t size)
{
	return (size + 8 + 15) & ~(size_t)15;
}

static inline struct bucket *bucket_at(const struct hot *hot, uint32_t at)
{
	return &hot->segments[at / SEGMENT_BUCKETS][at % SEGMENT_BUCKETS];
}

static inline struct bucket *bucket_of(const struct hot *hot, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & hot->mask;
	if (at >= hot->bucket_count)
		at &= hot->mask >> 1;
	return bucket_at(hot, at);
}

struct hot *hot_new(size_t limit_bytes)
{
	struct hot *hot = memory_zeroed(sizeof(*hot));
	hot->limit = limit_bytes;
	hot->bytes = block_bytes(sizeof(*hot));
	return hot;
}

void hot_free(struct hot **hot_pointer)
{
	struct hot *hot = *hot_pointer;
	*hot_pointer = NULL;
	if (hot == NULL)
		return;
	for (size_t i = 0; i < 2; i++) {
		struct hot_entry *entry = hot->queues[i].newest;
		while (entry) {
			struct hot_entry *older = entry->older;
			memory_free(entry);
			entry = older;
		}
	}
	for (uint32_t at = 0; at < hot->bucket_count; at += SEGMENT_BUCKETS)
		memory_free(hot->segments[at / SEGMENT_BUCKETS]);
	memory_free(hot->segments);
	memory_free(hot);
}

struct hot_entry *hot_peek(const struct hot *hot, struct slice key, uint64_t hash)
{
	if (hot->bucket_count == 0)
		return NULL;
	struct hot_entry *entry = bucket_of(hot, hash)->first;
	while (entry && !(entry->hash == hash && slice_equal(entry->key, key)))
		entry = entry->chain;
	return entry;
}

struct hot_entry *hot_find(struct hot *hot, struct slice key, uint64_t hash)
{
	struct hot_entry *entry = hot_peek(hot, key, hash);
	if (entry == NULL) {
		hot->figures.misses++;
		return NULL;
	}
	hot->figures.hits++;
	if (entry->uses < USES_MAX)
		entry->uses++;
	return entry;
}

struct hot_entry *hot_put(
	struct hot *hot, struct slice key, uint64_t hash, struct slice value, struct slice tags)
{
	assert(key.size >= 1);
	assert(key.size <= LIMIT_KEY_BYTES);
	assert(value.size <= LIMIT_VALUE_BYTES);
	assert(tags.size <= LIMIT_VALUE_BYTES);
	size_t before = hot->bytes;
	size_t charge = block_bytes(sizeof(struct hot_entry) + key.size + value.size + tags.size);
	struct hot_entry *old = hot_peek(hot, key, hash);
	struct hot_entry *entry = NULL;
	if (charge <= hot->limit / ENTRY_PART) {
		entry = entry_new(key, hash, value, tags, charge);
		if (old)
			entry_replace(hot, old, entry);
		else
			entry_insert(hot, entry);
	} else if (old) {
		entry_drop(hot, old);
	}
	return make_room(hot, before, entry) ? entry : NULL;
}

bool hot_remove(struct hot *hot, struct slice key, uint64_t hash)
{
	struct hot_entry *entry = hot_peek(hot, key, hash);
	if (entry == NULL)
		return false;
	entry_drop(hot, entry);
	return true;
}

void hot_limit(struct hot *hot, size_t bytes)
{
	hot->limit = bytes;
}

bool hot_trim(struct hot *hot, size_t steps)
{
	while (hot->bytes > hot->limit && steps-- > 0 && evict(hot, NULL))
		;
	if (hot->bytes > hot->limit && hot_count(hot) == 0)
		table_release(hot);
	return hot->bytes <= hot->limit;
}

size_t hot_bytes(const struct hot *hot)
{
	return hot->bytes;
}

size_t hot_count(const struct hot *hot)
{
	return hot->queues[HOT_SMALL].count + hot->queues[HOT_MAIN].count;
}

struct hot_figures hot_figures(const struct hot *hot)
{
	return hot->figures;
}

/* --- entries and queues --- */

static char *append(char *end, struct slice bytes, struct slice *copy)
{
	if (bytes.size > 0)
		memcpy(end, bytes.data, bytes.size);
	*copy = slice_of(end, bytes.size);
	return end + bytes.size;
}

/* One block: the entry, its key beside it (a look-up compares it), tags, value. */
static struct hot_entry *entry_new(
	struct slice key, uint64_t hash, struct slice value, struct slice tags, size_t charge)
{
	assert(charge <= UINT32_MAX);
	struct hot_entry *entry = memory_alloc(sizeof(*entry) + key.size + value.size + tags.size);
	*entry = (struct hot_entry){ .hash = hash, .charge = (uint32_t)charge };
	char *end = append((char *)(entry + 1), key, &entry->key);
	end = append(end, tags, &entry->tags);
	append(end, value, &entry->value);
	return entry;
}

static void queue_add(struct hot *hot, enum hot_queue which, struct hot_entry *entry)
{
	struct queue *queue = &hot->queues[which];
	entry->queue = (uint8_t)which;
	entry->newer = NULL;
	entry->older = queue->newest;
	if (queue->newest)
		queue->newest->newer = entry;
	else
		queue->oldest = entry;
	queue->newest = entry;
	queue->count++;
	queue->bytes += entry->charge;
}

static void queue_take(struct hot *hot, struct hot_entry *entry)
{
	struct queue *queue = &hot->queues[entry->queue];
	assert(queue->count > 0);
	assert(queue->bytes >= entry->charge);
	*(entry->newer ? &entry->newer->older : &queue->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &queue->oldest) = entry->newer;
	queue->count--;
	queue->bytes -= entry->charge;
}

/* The link of the chain that points to the entry. */
static struct hot_entry **chain_link(const struct hot *hot, const struct hot_entry *entry)
{
	struct hot_entry **link = &bucket_of(hot, entry->hash)->first;
	while (*link != entry)
		link = &(*link)->chain;
	return link;
}

static bool ghost_take(struct hot *hot, uint64_t hash);
static void table_grow(struct hot *hot);
static void table_shrink(struct hot *hot);

static void entry_insert(struct hot *hot, struct hot_entry *entry)
{
	if (hot_count(hot) >= hot->bucket_count)
		table_grow(hot);
	bool known = ghost_take(hot, entry->hash);
	hot->figures.ghost_hits += known;
	struct bucket *bucket = bucket_of(hot, entry->hash);
	entry->chain = bucket->first;
	bucket->first = entry;
	queue_add(hot, known ? HOT_MAIN : HOT_SMALL, entry);
	hot->bytes += entry->charge;
}

/* Puts the entry where the old one stood, in its chain and in its queue. */
static void entry_replace(struct hot *hot, struct hot_entry *old, struct hot_entry *entry)
{
	struct queue *queue = &hot->queues[old->queue];
	entry->queue = old->queue;
	entry->uses = old->uses;
	entry->newer = old->newer;
	entry->older = old->older;
	entry->chain = old->chain;
	*(entry->newer ? &entry->newer->older : &queue->newest) = entry;
	*(entry->older ? &entry->older->newer : &queue->oldest) = entry;
	*chain_link(hot, old) = entry;
	queue->bytes = queue->bytes - old->charge + entry->charge;
	hot->bytes = hot->bytes - old->charge + entry->charge;
	memory_free(old);
}

static void entry_drop(struct hot *hot, struct hot_entry *entry)
{
	*chain_link(hot, entry) = entry->chain;
	queue_take(hot, entry);
	hot->bytes -= entry->charge;
	memory_free(entry);
	table_shrink(hot);
}

/* --- the policy --- */

/* Brings the bytes back to where they were before the put, or to the limit, whatever that takes
 * (what the put brought bounds it), then a few steps further when the limit is still exceeded.
 * False when `keep` had to go as well. */
static bool make_room(struct hot *hot, size_t before, const struct hot_entry *keep)
{
	size_t least = before > hot->limit ? before : hot->limit;
	while (hot->bytes > least && evict(hot, keep))
		;
	for (int i = 0; i < PUT_STEPS && hot->bytes > hot->limit && evict(hot, keep); i++)
		;
	if (hot->bytes <= hot->limit || hot_count(hot) > (keep != NULL))
		return true;
	hot_trim(hot, 1);
	return false;
}

/* The queue that has to give: SMALL when it exceeds its part or the step is long enough, or else
 * MAIN; the other one when there is nothing in it but `keep`. */
static struct queue *queue_to_cut(struct hot *hot, const struct hot_entry *keep, bool forced)
{
	struct queue *newcomers = &hot->queues[HOT_SMALL], *stayers = &hot->queues[HOT_MAIN];
	size_t keep_small = keep && keep->queue == HOT_SMALL;
	size_t keep_main = keep && keep->queue == HOT_MAIN;
	if (stayers->count == keep_main)
		return newcomers->count == keep_small ? NULL : newcomers;
	if (newcomers->count == keep_small)
		return stayers;
	return forced || newcomers->bytes > hot->limit / SMALL_PART ? newcomers : stayers;
}

static void ghost_leave(struct hot *hot, const struct hot_entry *entry);

/* One step: moves entries on until one is dropped, never `keep`. False when there is none. */
static bool evict(struct hot *hot, const struct hot_entry *keep)
{
	for (int moves = 0;; moves++) {
		bool forced = moves >= MOVES_MAX;
		struct queue *queue = queue_to_cut(hot, keep, forced);
		if (queue == NULL)
			return false;
		struct hot_entry *entry = queue->oldest;
		bool small = queue == &hot->queues[HOT_SMALL];
		if (entry == keep) {
			queue_take(hot, entry);
			queue_add(hot, small ? HOT_SMALL : HOT_MAIN, entry);
			continue;
		}
		if (entry->uses > 0 && !forced) {
			queue_take(hot, entry);
			entry->uses = small ? 0 : entry->uses - 1;
			queue_add(hot, HOT_MAIN, entry);
			continue;
		}
		if (small)
			ghost_leave(hot, entry);
		hot->figures.evictions++;
		entry_drop(hot, entry);
		return true;
	}
}

static uint32_t ghost_now(const struct hot *hot)
{
	return (uint32_t)(hot->ghost_bytes >> GHOST_UNIT_BITS);
}

static uint32_t ghost_age(const struct hot *hot, struct ghost ghost)
{
	return ghost.when ? ghost_now(hot) - ghost.when : UINT32_MAX;
}

/* Puts a ghost into its bucket, in place of the oldest there. */
static void ghost_add(struct hot *hot, struct ghost ghost)
{
	struct ghost *ghosts = bucket_of(hot, ghost.hash)->ghosts, *oldest = &ghosts[0];
	for (size_t i = 1; i < GHOSTS; i++) {
		if (ghost_age(hot, ghosts[i]) > ghost_age(hot, *oldest))
			oldest = &ghosts[i];
	}
	if (ghost_age(hot, ghost) <= ghost_age(hot, *oldest))
		*oldest = ghost;
}

static void ghost_leave(struct hot *hot, const struct hot_entry *entry)
{
	hot->ghost_bytes += entry->charge;
	uint32_t now = ghost_now(hot);
	ghost_add(hot, (struct ghost){ .hash = (uint32_t)entry->hash, .when = now ? now : 1 });
}

/* Whether the hash has a ghost that counts; takes it away. Another key's ghost may pass for it:
 * that key then goes to MAIN too early, and nothing else. */
static bool ghost_take(struct hot *hot, uint64_t hash)
{
	uint64_t age_max = (uint64_t)(hot->limit >> GHOST_UNIT_BITS) * GHOST_LIMITS;
	struct ghost *ghosts = bucket_of(hot, hash)->ghosts;
	for (size_t i = 0; i < GHOSTS; i++) {
		if (ghosts[i].when == 0 || ghosts[i].hash != (uint32_t)hash)
			continue;
		if (ghost_age(hot, ghosts[i]) > age_max)
			continue;
		ghosts[i] = (struct ghost){ 0 };
		return true;
	}
	return false;
}

/* --- the table --- */

static void directory_resize(struct hot *hot, uint32_t capacity)
{
	size_t old = hot->segment_capacity * sizeof(*hot->segments);
	size_t size = capacity * sizeof(*hot->segments);
	hot->segments = memory_resize(hot->segments, size);
	hot->segment_capacity = capacity;
	hot->bytes = hot->bytes - (old ? block_bytes(old) : 0) + block_bytes(size);
}

static void segment_add(struct hot *hot)
{
	uint32_t at = hot->bucket_count / SEGMENT_BUCKETS;
	size_t size = SEGMENT_BUCKETS * sizeof(struct bucket);
	if (at == hot->segment_capacity)
		directory_resize(hot, at ? at * 2 : DIRECTORY_FIRST);
	hot->segments[at] = memory_zeroed(size);
	hot->bytes += block_bytes(size);
}

/* The last segment's buckets are gone. */
static void segment_take(struct hot *hot)
{
	uint32_t at = hot->bucket_count / SEGMENT_BUCKETS;
	memory_free(hot->segments[at]);
	hot->bytes -= block_bytes(SEGMENT_BUCKETS * sizeof(struct bucket));
	if (hot->segment_capacity > DIRECTORY_FIRST && at <= hot->segment_capacity / 4)
		directory_resize(hot, hot->segment_capacity / 2);
}

/* Gives the last bucket, new and empty, what is its own of the bucket that stood in for it. */
static void bucket_split(struct hot *hot)
{
	uint32_t at = hot->bucket_count - 1;
	struct bucket *bucket = bucket_at(hot, at);
	struct bucket *from = bucket_at(hot, at & (hot->mask >> 1));
	*bucket = (struct bucket){ 0 };
	struct hot_entry **link = &from->first;
	while (*link) {
		struct hot_entry *entry = *link;
		if (((uint32_t)entry->hash & hot->mask) != at) {
			link = &entry->chain;
			continue;
		}
		*link = entry->chain;
		entry->chain = bucket->first;
		bucket->first = entry;
	}
	for (size_t i = 0; i < GHOSTS; i++) {
		if ((from->ghosts[i].hash & hot->mask) != at)
			continue;
		bucket->ghosts[i] = from->ghosts[i];
		from->ghosts[i] = (struct ghost){ 0 };
	}
}

/* One bucket more, or the first segment. */
static void table_grow(struct hot *hot)
{
	if (hot->bucket_count == 0) {
		segment_add(hot);
		hot->bucket_count = SEGMENT_BUCKETS;
		hot->mask = SEGMENT_BUCKETS - 1;
		return;
	}
	assert(hot->bucket_count < UINT32_MAX / 2);
	if (hot->bucket_count % SEGMENT_BUCKETS == 0)
		segment_add(hot);
	if (hot->bucket_count > hot->mask)
		hot->mask = hot->mask * 2 + 1;
	hot->bucket_count++;
	bucket_split(hot);
}

/* The last bucket back into the one that stands in for it. */
static void bucket_merge(struct hot *hot)
{
	uint32_t last = --hot->bucket_count;
	struct bucket gone = *bucket_at(hot, last);
	struct hot_entry **link = &bucket_at(hot, last & (hot->mask >> 1))->first;
	if (last == (hot->mask >> 1) + 1)
		hot->mask >>= 1;
	while (*link)
		link = &(*link)->chain;
	*link = gone.first;
	for (size_t i = 0; i < GHOSTS; i++) {
		if (gone.ghosts[i].when)
			ghost_add(hot, gone.ghosts[i]);
	}
}

/* Called for each entry that goes: two buckets for one entry keep a sinking count company, and half
 * full is far enough from full that the table does not swing. */
static void table_shrink(struct hot *hot)
{
	for (int i = 0; i < 2; i++) {
		if (hot->bucket_count <= SEGMENT_BUCKETS || hot_count(hot) >= hot->bucket_count / 2)
			return;
		bucket_merge(hot);
		if (hot->bucket_count % SEGMENT_BUCKETS == 0)
			segment_take(hot);
	}
}

/* Of an empty tier whose limit is below what the table takes. Forgets the ghosts. */
static void table_release(struct hot *hot)
{
	assert(hot_count(hot) == 0);
	for (uint32_t at = 0; at < hot->bucket_count; at += SEGMENT_BUCKETS)
		memory_free(hot->segments[at / SEGMENT_BUCKETS]);
	memory_free(hot->segments);
	hot->segments = NULL;
	hot->segment_capacity = hot->bucket_count = hot->mask = 0;
	hot->bytes = block_bytes(sizeof(*hot));
}

/* --- the check --- */

static void check_entry(const struct hot *hot, const struct hot_entry *entry, enum hot_queue which)
{
	assert(entry->queue == which);
	assert(entry->uses <= USES_MAX);
	assert(entry->key.size >= 1);
	assert(entry->charge ==
		block_bytes(
			sizeof(*entry) + entry->key.size + entry->value.size + entry->tags.size));
	assert(hot_peek(hot, entry->key, entry->hash) == entry);
}

static void check_queue(const struct hot *hot, enum hot_queue which)
{
	const struct queue *queue = &hot->queues[which];
	const struct hot_entry *newer = NULL;
	size_t count = 0, bytes = 0;
	for (const struct hot_entry *entry = queue->newest; entry; entry = entry->older) {
		assert(entry->newer == newer);
		check_entry(hot, entry, which);
		count++;
		bytes += entry->charge;
		newer = entry;
	}
	assert(queue->oldest == newer);
	assert(queue->count == count);
	assert(queue->bytes == bytes);
}

void hot_check(const struct hot *hot)
{
	check_queue(hot, HOT_SMALL);
	check_queue(hot, HOT_MAIN);
	size_t chained = 0;
	for (uint32_t at = 0; at < hot->bucket_count; at++) {
		const struct bucket *bucket = bucket_at(hot, at);
		const struct hot_entry *entry = bucket->first;
		for (; entry; entry = entry->chain) {
			assert(bucket_of(hot, entry->hash) == bucket);
			chained++;
		}
		for (size_t i = 0; i < GHOSTS; i++) {
			struct ghost ghost = bucket->ghosts[i];
			assert(ghost.when == 0 || bucket_of(hot, ghost.hash) == bucket);
		}
	}
	assert(chained == hot_count(hot));
	assert(chained <= hot->bucket_count);
	assert(hot->bucket_count <= SEGMENT_BUCKETS || chained >= hot->bucket_count / 2);

	size_t segments = (hot->bucket_count + SEGMENT_BUCKETS - 1) / SEGMENT_BUCKETS;
	size_t bytes = block_bytes(sizeof(*hot));
	bytes += segments * block_bytes(SEGMENT_BUCKETS * sizeof(struct bucket));
	if (hot->segment_capacity)
		bytes += block_bytes(hot->segment_capacity * sizeof(*hot->segments));
	bytes += hot->queues[HOT_SMALL].bytes + hot->queues[HOT_MAIN].bytes;
	assert(segments <= hot->segment_capacity);
	assert(hot->bytes == bytes);
}
