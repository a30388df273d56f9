/*
 * marks: which tags and prefixes of the cache were invalidated, and when, counted in invalidations.
 * An entry knows how many there had been when what it holds was fetched; an invalidation of one of
 * its tags, or of a prefix of its key, with a higher number makes it gone (hard) or stale (soft).
 * So invalidating a million entries is one write.
 *
 * What they take is bounded: the oldest tag or prefix can be folded into the cover of its kind,
 * which is one mark for everything that has a tag, or for every key. An entry that was filled
 * before an invalidation that has been folded counts as invalidated too, which costs a refresh;
 * never is one served that was invalidated.
 *
 * Threads: any. One lock for reading and writing; marks_latest needs none, so who has checked an
 * entry against the latest invalidation need not check it again.
 */
#ifndef CACHE_MARKS_H
#define CACHE_MARKS_H

#include "base/slice.h"
#include "holdfast/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct marks;

struct mark {
	uint64_t hard; /* number of the last invalidation of each kind; 0: none */
	uint64_t soft;
};

/* What the cover of a kind is stored under: names of tags and prefixes are never empty. */
#define MARKS_COVER slice_of("", 0)

struct marks_folded {
	uint8_t kind;
	size_t size;
	char name[LIMIT_KEY_BYTES]; /* that is no longer remembered */
	struct mark cover;          /* of its kind, as it is now */
};

struct marks *marks_new(void);
void marks_free(struct marks **marks);
/* How many invalidations there have been. */
uint64_t marks_latest(const struct marks *marks);
/* Tags and prefixes that are remembered, and the bytes that they take. */
uint64_t marks_count(struct marks *marks);
uint64_t marks_bytes(struct marks *marks);
/* The part of a prefix that is invalidated for it: all of it, but for long ones when there are many
 * lengths of those already (LIMIT_CACHE_PREFIX_LENGTHS). */
struct slice marks_prefix(struct marks *marks, struct slice name);
/* One more of this tag or prefix (CACHE_FORMAT_MARK_...): what is to be stored of it. */
struct mark marks_add(struct marks *marks, uint8_t kind, struct slice name, bool soft);
/* Folds what was invalidated longest ago, when all take more bytes than `bytes_max`. */
bool marks_fold(struct marks *marks, uint64_t bytes_max, struct marks_folded *out);
/* As it was stored, at the start; in any order, and then once that it was all. */
void marks_restore(struct marks *marks, uint8_t kind, struct slice name, const struct mark *mark);
void marks_restored(struct marks *marks);
/* No entry is old enough any more. */
void marks_forget(struct marks *marks, uint8_t kind, struct slice name);
/* The highest numbers of all marks that a key with these packed tags falls under. */
struct mark marks_of(struct marks *marks, struct slice key, struct slice tags);

#endif
