/*
 * touches: open addressing with linear probing over a power of two of places, at most three
 * quarters of them taken. Removing moves later entries of the run back, so there are no tombstones
 * and a look-up ends at the first free place.
 *
 * Threads: see touches.h.
 */
#include "session/touches.h"

#include "base/memory.h"

#include <assert.h>

#define CAPACITY_LEAST 64

static bool is_full(const struct touches *touches)
{
	return touches->count + 1 > touches->capacity / 4 * 3;
}

static size_t home_of(const struct touches *touches, uint64_t hash)
{
	return hash & (touches->capacity - 1);
}

/* The entry's place, or the free one where it would go. */
static struct touch *place_of(const struct touches *touches, uint64_t hash)
{
	size_t place = home_of(touches, hash);
	while (touches->places[place].end_ms != 0 && touches->places[place].hash != hash)
		place = (place + 1) & (touches->capacity - 1);
	return &touches->places[place];
}

void touches_fini(struct touches *touches)
{
	memory_free(touches->places);
	*touches = (struct touches){ 0 };
}

struct touch *touches_find(const struct touches *touches, uint64_t hash)
{
	if (touches->count == 0)
		return NULL;
	struct touch *place = place_of(touches, hash);
	return place->end_ms != 0 ? place : NULL;
}

static void grow(struct touches *touches)
{
	struct touches before = *touches;
	touches->capacity = before.capacity ? before.capacity * 2 : CAPACITY_LEAST;
	touches->places = memory_zeroed(touches->capacity * sizeof(struct touch));
	for (size_t i = 0; i < before.capacity; i++)
		if (before.places[i].end_ms != 0)
			*place_of(touches, before.places[i].hash) = before.places[i];
	memory_free(before.places);
}

struct touch *touches_take(struct touches *touches, uint64_t hash)
{
	if (is_full(touches)) {
		struct touch *found = touches_find(touches, hash);
		if (found)
			return found;
		grow(touches);
	}
	struct touch *place = place_of(touches, hash);
	if (place->end_ms == 0) {
		*place = (struct touch){ .hash = hash, .end_ms = 1 };
		touches->count++;
	}
	return place;
}

void touches_remove(struct touches *touches, uint64_t hash)
{
	struct touch *gone = touches_find(touches, hash);
	if (gone == NULL)
		return;
	size_t mask = touches->capacity - 1, hole = (size_t)(gone - touches->places);
	for (size_t next = (hole + 1) & mask; touches->places[next].end_ms != 0;
		next = (next + 1) & mask) {
		/* It may go into the hole when that lies between its home and where it is. */
		size_t home = home_of(touches, touches->places[next].hash);
		if (((next - home) & mask) < ((next - hole) & mask))
			continue;
		touches->places[hole] = touches->places[next];
		hole = next;
	}
	touches->places[hole] = (struct touch){ 0 };
	touches->count--;
}

size_t touches_bytes(const struct touches *touches, bool one_more)
{
	size_t capacity = touches->capacity;
	if (one_more && is_full(touches))
		capacity = capacity ? capacity * 2 : CAPACITY_LEAST;
	return capacity * sizeof(struct touch);
}
