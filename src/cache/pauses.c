/*
 * pauses: a ring of LIMIT_CACHE_PAUSES places, each taken in its turn, and a table that finds
 * them by hash. The memory is there from the first failure on.
 *
 * Threads: see pauses.h.
 */
#include "cache/pauses.h"

#include "base/hash.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "holdfast/limits.h"

#include <stdbool.h>

struct pause {
	struct hash_node by_key;
	int64_t until_ms;
	int64_t pause_ms;
};

struct pauses {
	struct pause *places; /* NULL: nothing has failed yet */
	struct hash_table by_key;
	uint32_t at; /* the place to take next */
};

struct pauses *pauses_new(void)
{
	return memory_zeroed(sizeof(struct pauses));
}

void pauses_free(struct pauses **taken)
{
	struct pauses *pauses = *taken;
	*taken = NULL;
	hash_table_fini(&pauses->by_key);
	memory_free(pauses->places);
	memory_free(pauses);
}

static struct pause *find(const struct pauses *pauses, uint64_t hash)
{
	struct hash_node *node = hash_table_first(&pauses->by_key, hash);
	return node ? container_of(node, struct pause, by_key) : NULL;
}

int64_t pauses_left_ms(const struct pauses *pauses, struct slice key, int64_t now_ms)
{
	const struct pause *pause = pauses->by_key.count ? find(pauses, hash_bytes(key)) : NULL;
	return pause && pause->until_ms > now_ms ? pause->until_ms - now_ms : 0;
}

static struct pause *take(struct pauses *pauses, uint64_t hash)
{
	if (pauses->places == NULL)
		pauses->places = memory_zeroed(LIMIT_CACHE_PAUSES * sizeof(*pauses->places));
	struct pause *pause = &pauses->places[pauses->at];
	pauses->at = (pauses->at + 1) % LIMIT_CACHE_PAUSES;
	hash_table_remove(&pauses->by_key, &pause->by_key);
	*pause = (struct pause){ 0 };
	hash_table_add(&pauses->by_key, &pause->by_key, hash);
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
	struct pause *pause = pauses->by_key.count ? find(pauses, hash_bytes(key)) : NULL;
	if (pause)
		hash_table_remove(&pauses->by_key, &pause->by_key);
}

uint32_t pauses_count(const struct pauses *pauses)
{
	return (uint32_t)pauses->by_key.count;
}
