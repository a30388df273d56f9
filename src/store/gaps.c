/*
 * gaps: see gaps.h.
 */
#include "store/gaps.h"

#include "base/memory.h"

#include <stdint.h>
#include <string.h>

static void set(struct gap *gap, struct slice start, struct slice end)
{
	char *memory = memory_alloc(start.size + end.size);
	memcpy(memory, start.data, start.size);
	memcpy(memory + start.size, end.data, end.size);
	memory_free((char *)(uintptr_t)gap->start.data);
	gap->start = slice_of(memory, start.size);
	gap->end = slice_of(memory + start.size, end.size);
}

static void forget(struct gaps *gaps, unsigned i)
{
	memory_free((char *)(uintptr_t)gaps->gaps[i].start.data);
	gaps->gaps[i] = gaps->gaps[--gaps->count];
	gaps->gaps[gaps->count] = (struct gap){ 0 };
}

void gaps_fini(struct gaps *gaps)
{
	while (gaps->count > 0)
		forget(gaps, 0);
}

static bool touch(const struct gap *gap, struct slice start, struct slice end)
{
	return slice_compare(gap->start, end) <= 0 && slice_compare(start, gap->end) <= 0;
}

void gaps_learn(struct gaps *gaps, struct slice start, struct slice end)
{
	for (unsigned i = 0; i < gaps->count; i++) {
		struct gap *gap = &gaps->gaps[i];
		if (!touch(gap, start, end))
			continue;
		if (slice_compare(gap->start, start) <= 0 && slice_compare(gap->end, end) >= 0)
			return;
		if (slice_compare(gap->start, start) < 0)
			start = gap->start;
		if (slice_compare(gap->end, end) > 0)
			end = gap->end;
		set(gap, start, end);
		return;
	}
	if (gaps->count < GAPS_MAX) {
		set(&gaps->gaps[gaps->count++], start, end);
		return;
	}
	set(&gaps->gaps[gaps->next], start, end);
	gaps->next = (gaps->next + 1) % GAPS_MAX;
}

const struct gap *gaps_around(const struct gaps *gaps, struct slice key)
{
	for (unsigned i = 0; i < gaps->count; i++) {
		const struct gap *gap = &gaps->gaps[i];
		if (slice_compare(gap->start, key) <= 0 && slice_compare(key, gap->end) < 0)
			return gap;
	}
	return NULL;
}

/* What lies in front of the key stays: walks come to it first. */
void gaps_put(struct gaps *gaps, struct slice key)
{
	for (unsigned i = gaps->count; i-- > 0;) {
		struct gap *gap = &gaps->gaps[i];
		if (slice_compare(gap->start, key) > 0 || slice_compare(key, gap->end) >= 0)
			continue;
		if (slice_equal(gap->start, key))
			forget(gaps, i);
		else
			set(gap, gap->start, key);
	}
}
