/*
 * touches: uses of sessions that are known in memory only: when each of these sessions ends by its
 * latest use. One table a shard; 24 bytes and some air a session.
 *
 * A session is named by a 64-bit hash of its store key: should two share one, the later end would
 * count for both.
 *
 * Threads: whoever holds the shard.
 */
#ifndef SESSION_TOUCHES_H
#define SESSION_TOUCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct touch {
	uint64_t hash;
	int64_t end_ms; /* 0: the place is free */
	bool waits;     /* somebody looks at the session again when its end has come */
};

struct touches {
	struct touch *places;
	size_t capacity; /* a power of two, or 0 */
	size_t count;
};

void touches_fini(struct touches *touches);
/* NULL: nothing is known. Valid until the next call that changes the table. */
struct touch *touches_find(const struct touches *touches, uint64_t hash);
/* Makes or finds an entry; a new one's end is 1. */
struct touch *touches_take(struct touches *touches, uint64_t hash);
void touches_remove(struct touches *touches, uint64_t hash);
/* Of the table as it is, or as it would be with one entry more. */
size_t touches_bytes(const struct touches *touches, bool one_more);

#endif
