/*
 * collection_walk: members in byte order. All bounds become one range of store keys: the highest
 * lower bound and the lowest upper bound. Behind `start` comes what it names, behind `start_after`
 * the first member that is longer by a zero byte; a prefix ends where its last byte is one higher,
 * and one of nothing but 0xff ends with the incarnation, which the same rule finds in the number in
 * front of it.
 *
 * A bound may be longer than any member: cut one byte beyond the longest member it parts them as
 * before.
 *
 * Threads: see collection.h.
 */
#include "collection/collection.h"

#include "holdfast/limits.h"
#include "store/damage.h"

#define BOUND_BYTES_MAX (LIMIT_KEY_BYTES + 1)

static bool make_bounds(struct collection_walk *walk, const struct collection *collection,
	const struct collection_range *range);

static void append(struct key *key, struct slice bytes)
{
	memcpy(key->bytes + key->size, bytes.data, bytes.size);
	key->size += bytes.size;
}

void collection_walk_open(struct collection_walk *walk, const struct collection *collection,
	const struct collection_range *range)
{
	struct turn *turn = collection->turn;
	walk->turn = turn;
	walk->shard = collection->shard;
	walk->last.size = 0;
	walk->is_open = collection->head->count > 0 && make_bounds(walk, collection, range);
	if (!walk->is_open)
		return;
	cursor_open(&walk->cursor, turn->stores[collection->shard], &turn->changes,
		turn_arena(turn), key_slice(&walk->start), key_slice(&walk->end), range->reverse);
	walk->cursor.without_data = range->without_data;
	walk->cursor.may_rest = walk->pauses = range->pauses;
}

bool collection_walk_next(struct collection_walk *walk, struct slice *member, struct value *value)
{
	struct slice store_key;
	if (!walk->is_open || !cursor_next(&walk->cursor, &store_key, value))
		return false;
	*member = slice_of(
		store_key.data + walk->member_offset, store_key.size - walk->member_offset);
	if (member->size == 0 || member->size > LIMIT_KEY_BYTES)
		damaged("the key of a collection's member", walk->shard, store_key);
	if (walk->pauses) {
		walk->last.size = 0;
		append(&walk->last, *member);
	}
	return true;
}

bool collection_walk_pause(struct collection_walk *walk, bool more, struct slice *last)
{
	bool rests = !more && walk->is_open && walk->cursor.rests;
	if (rests)
		turn_continue_here(walk->turn);
	if ((more || rests) && walk->last.size > 0)
		*last = arena_copy(turn_arena(walk->turn), key_slice(&walk->last));
	return more || rests;
}

void collection_walk_close(struct collection_walk *walk)
{
	if (walk->is_open)
		cursor_close(&walk->cursor);
	walk->is_open = false;
}

/* Where the members begin, and the bound behind it. */
static void bound_of(struct key *out, const struct key *base, struct slice bound)
{
	out->size = 0;
	append(out, key_slice(base));
	append(out,
		slice_of(bound.data, bound.size < BOUND_BYTES_MAX ? bound.size : BOUND_BYTES_MAX));
}

static void raise(struct key *start, const struct key *bound)
{
	if (slice_compare(key_slice(bound), key_slice(start)) > 0)
		*start = *bound;
}

static void lower(struct key *end, const struct key *bound)
{
	if (slice_compare(key_slice(bound), key_slice(end)) < 0)
		*end = *bound;
}

/* False when no key can lie within them. */
static bool make_bounds(struct collection_walk *walk, const struct collection *collection,
	const struct collection_range *range)
{
	struct key base, bound;
	collection->place(&base, collection->owner);
	collection_key(&base, collection->head->incarnation, slice_of("", 0));
	walk->member_offset = base.size;
	walk->start = walk->end = base;
	key_prefix_end(&walk->end);
	if (range->start.data) {
		bound_of(&bound, &base, range->start);
		raise(&walk->start, &bound);
	}
	if (range->start_after.data) {
		bound_of(&bound, &base, range->start_after);
		append(&bound, slice_of("", 1));
		raise(&walk->start, &bound);
	}
	if (range->prefix.data) {
		bound_of(&bound, &base, range->prefix);
		raise(&walk->start, &bound);
		key_prefix_end(&bound);
		lower(&walk->end, &bound);
	}
	if (range->end.data) {
		bound_of(&bound, &base, range->end);
		lower(&walk->end, &bound);
	}
	return slice_compare(key_slice(&walk->start), key_slice(&walk->end)) < 0;
}
