/*
 * collection: many members under one head, such as an object's values. The head is the owner's: it
 * stands in a record that the owner reads and writes with everything else it has to say; it counts
 * the members and names the incarnation under which they stand.
 *
 *   the owner's record                  place | 00000000 | member -> value   left from before
 *     head: count, bytes,               place | 00000001 | member -> value   left from before
 *     incarnation 2, oldest 0           place | 00000002 | member -> value   the members
 *
 * `place` is the beginning of the owner's store keys for members, the incarnation is four bytes,
 * big endian, and members list in byte order. All of a collection lies in one shard.
 *
 * A large collection is dropped by one number: the next incarnation begins, and nothing of the
 * earlier ones can be reached any more. What is left of them is swept in bounded steps, which the
 * owner calls; the record must stand until then, or its numbers could be given again. A small one
 * (COLLECTION_CLEAR_EACH) is deleted member by member.
 *
 * All writes are the turn's changes, whole or not at all. Whoever changes a collection writes its
 * head in the same turn.
 *
 * Threads: the shard's worker, or whoever holds the shard.
 */
#ifndef COLLECTION_COLLECTION_H
#define COLLECTION_COLLECTION_H

#include "request/turn.h"

/* Members that one step of a sweep deletes at the most: about a millisecond. */
#define COLLECTION_SWEEP_STEP 512
/* Up to so many members a clear deletes one by one: each is an effect of the turn's record. */
#define COLLECTION_CLEAR_EACH 1000
/* Of a collection's place: a member, or a bound of a walk, has room behind it. */
#define COLLECTION_PLACE_BYTES_MAX (LIMIT_STORE_KEY_BYTES - 4 - LIMIT_KEY_BYTES - 1)

/* Zeroed: empty. */
struct collection_head {
	uint64_t count;       /* members */
	uint64_t bytes;       /* of them and their values */
	uint32_t incarnation; /* of the members */
	uint32_t oldest;      /* incarnation that is not swept yet; the same when there is none */
};

/* Made by its owner for as long as it uses it; everything in it is borrowed. */
struct collection {
	struct turn *turn;
	uint16_t shard;
	struct collection_head *head;
	/* Where the members of this owner stand: at most COLLECTION_PLACE_BYTES_MAX. */
	void (*place)(struct key *out, const void *owner);
	const void *owner;
};

/* Turns a place into the store key of a member. The member may be empty: the key is then where the
 * incarnation begins. */
void collection_key(struct key *place, uint32_t incarnation, struct slice member);

/* Members are 1 to LIMIT_KEY_BYTES of any bytes. A value's expire_ms is not used: a member lives as
 * long as its collection. */
bool collection_get(const struct collection *collection, struct slice member, struct value *out);
/* True when that changed something: not when the member has this value already. The value's data is
 * borrowed until the turn has been committed. */
bool collection_put(
	const struct collection *collection, struct slice member, const struct value *value);
/* False when there was no such member. */
bool collection_delete(const struct collection *collection, struct slice member);
/* Empties it. True when a sweep has to come, because there were many members. */
bool collection_clear(const struct collection *collection);
/* One step of the sweep of earlier incarnations, behind the store key at which the last step ended;
 * empty: from their beginning. True when nothing is left of them; or else `*last` is where it
 * ended. */
bool collection_sweep(const struct collection *collection, struct slice from, struct slice *last);

/* What to walk over; a slice with data NULL is no bound. All bounds that are given apply. */
struct collection_range {
	struct slice start;       /* inclusive */
	struct slice start_after; /* exclusive */
	struct slice end;         /* exclusive */
	struct slice prefix;
	bool reverse; /* the same set, backwards */
	bool without_data;
	bool pauses; /* see collection_walk_pause */
};

/* Members and values in byte order. Nothing may be written while a walk is open. */
struct collection_walk {
	struct cursor cursor;
	struct key start, end;
	size_t member_offset;
	bool is_open;
	bool pauses;
	struct turn *turn;
	uint16_t shard;
	struct key last; /* the member handed out, when it pauses */
};
void collection_walk_open(struct collection_walk *walk, const struct collection *collection,
	const struct collection_range *range);
/* The member is valid until the next call, the value until the turn ends. */
bool collection_walk_next(struct collection_walk *walk, struct slice *member, struct value *value);
/* For a walk that goes on over several turns, and behind its loop: true when there may be more,
 * `more` being what collection_walk_next has said, or true when it was not asked. Then `*last`
 * becomes the member behind which to open it anew, and if it only rests, having met many deleted
 * members, the turn pauses. */
bool collection_walk_pause(struct collection_walk *walk, bool more, struct slice *last);
void collection_walk_close(struct collection_walk *walk);

#endif
