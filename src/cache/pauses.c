/*
 * pauses: a ring of LIMIT_CACHE_PAUSES places, each taken in its turn, and buckets that find them
 * by hash. The memory is there from the first failure on.
 *
 * Threads: see pauses.h.
 */
#include "cache/pauses.h"

#include "base/hash.h"
#include "base/memory.h"
#include "holdfast/limits.h"

#include <assert.h>
#include <stdbool.h>

#define BUCKETS 16384 /* a power of two above the places */
#define NOWHERE UINT32_MAX

static_assert(BUCKETS > LIMIT_CACHE_PAUSES, "chains stay short");

struct pause {
	uint64_t hash;
	int64_t until_ms;
	int64_t pause_ms; /* 0: the place is free */
	uint32_t next;    /* of the bucket */
};

struct pauses {
	struct pause *places; /* NULL: nothing has failed yet */
	uint32_t *buckets;
	uint32_t at; /* the place to take next */
	uint32_t count;
};

struct pauses *pauses_new(void)
{
	return memory_zeroed(sizeof(struct pauses));
}

void pauses_free(struct pauses **taken)
{
	struct pauses *pauses = *taken;
	*taken = NULL;
	memory_free(pauses->places);
	memory_free(pauses->buckets);
	memory_free(pauses);
}

/* Where the number of the place is, or NOWHERE would be replaced by it. */
static uint32_t *link_to(const struct pauses *pauses, uint64_t hash)
{
	uint32_t *link = &pauses->buckets[hash & (BUCKETS - 1)];
	while (*link != NOWHERE && pauses->places[*link].hash != hash)
		link = &pauses->places[*link].next;
	return link;
}

static struct pause *find(const struct pauses *pauses, uint64_t hash)
{
	if (pauses->places == NULL)
		return NULL;
	uint32_t place = *link_to(pauses, hash);
	return place == NOWHERE ? NULL : &pauses->places[place];
}

int64_t pauses_left_ms(const struct pauses *pauses, struct slice key, int64_t now_ms)
{
	const struct pause *pause = pauses->count ? find(pauses, hash_bytes(key)) : NULL;
	return pause && pause->until_ms > now_ms ? pause->until_ms - now_ms : 0;
}

static void drop(struct pauses *pauses, uint64_t hash)
{
	uint32_t *link = link_to(pauses, hash);
	struct pause *pause = &pauses->places[*link];
	*link = pause->next;
	pause->pause_ms = 0;
	pauses->count--;
}

static struct pause *take(struct pauses *pauses, uint64_t hash)
{
	if (pauses->places == NULL) {
		pauses->places = memory_zeroed(LIMIT_CACHE_PAUSES * sizeof(*pauses->places));
		pauses->buckets = memory_alloc(BUCKETS * sizeof(*pauses->buckets));
		for (uint32_t i = 0; i < BUCKETS; i++)
			pauses->buckets[i] = NOWHERE;
	}
	uint32_t place = pauses->at;
	pauses->at = (place + 1) % LIMIT_CACHE_PAUSES;
	struct pause *pause = &pauses->places[place];
	if (pause->pause_ms > 0)
		drop(pauses, pause->hash);
	*pause = (struct pause){ .hash = hash, .next = NOWHERE };
	*link_to(pauses, hash) = place;
	pauses->count++;
	return pause;
}

int64_t pauses_fail(struct pauses *pauses, struct slice key, int64_t retry_ms, int64_t now_ms)
{
	uint64_t hash = hash_bytes(key);
	struct pause *pause = find(pauses, hash);
	/* It has been well for longer than it ever waits. */
	bool is_old = pause && pause->until_ms + PAUSES_MS_MAX < now_ms;
	if (pause == NULL)
		pause = take(pauses, hash);
	pause->pause_ms = pause->pause_ms && !is_old ? 2 * pause->pause_ms : PAUSES_MS_FIRST;
	if (pause->pause_ms > PAUSES_MS_MAX)
		pause->pause_ms = PAUSES_MS_MAX;
	if (retry_ms > LIMIT_CACHE_RETRY_MS)
		retry_ms = LIMIT_CACHE_RETRY_MS;
	int64_t left_ms = retry_ms > pause->pause_ms ? retry_ms : pause->pause_ms;
	pause->until_ms = now_ms + left_ms;
	return left_ms;
}

void pauses_end(struct pauses *pauses, struct slice key)
{
	uint64_t hash = pauses->count ? hash_bytes(key) : 0;
	if (pauses->count && find(pauses, hash))
		drop(pauses, hash);
}

uint32_t pauses_count(const struct pauses *pauses)
{
	return pauses->count;
}
