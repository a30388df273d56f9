/*
 * marks: which tags and prefixes of the cache were invalidated, and when, counted in invalidations.
 * An entry knows how many there had been when what it holds was fetched; an invalidation of one of
 * its tags, or of a prefix of its key, with a higher number makes it gone (hard) or stale (soft).
 * So invalidating a million entries is one write.
 *
 * Threads: any. One lock for reading and writing; marks_latest needs none, so who has checked an
 * entry against the latest invalidation need not check it again.
 */
#ifndef CACHE_MARKS_H
#define CACHE_MARKS_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct marks;

struct mark {
	uint64_t hard; /* number of the last invalidation of each kind; 0: none */
	uint64_t soft;
};

struct marks *marks_new(void);
void marks_free(struct marks **marks);
/* How many invalidations there have been. */
uint64_t marks_latest(const struct marks *marks);
/* Tags and prefixes that are remembered. */
uint64_t marks_count(struct marks *marks);
/* One more of this tag or prefix (CACHE_FORMAT_MARK_...): what is to be stored of it. */
struct mark marks_add(struct marks *marks, uint8_t kind, struct slice name, bool soft);
/* As it was stored, at the start. */
void marks_restore(struct marks *marks, uint8_t kind, struct slice name, const struct mark *mark);
/* No entry is old enough any more. */
void marks_forget(struct marks *marks, uint8_t kind, struct slice name);
/* The highest numbers of all marks that a key with these packed tags falls under. */
struct mark marks_of(struct marks *marks, struct slice key, struct slice tags);

#endif
