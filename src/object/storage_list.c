/*
 * storage_list: an object's values in byte order. All bounds become one range of store keys: the
 * highest lower bound and the lowest upper bound. Behind START comes what START names, behind
 * STARTAFTER the first key that is longer by a zero byte; a prefix ends where its last byte is one
 * higher, and one of nothing but 0xff ends with the object's values, which the same rule finds in
 * the incarnation in front of it.
 *
 * A bound may be longer than any key: cut one byte beyond the longest key it parts the keys as
 * before.
 *
 * Threads: the shard's worker, or whoever holds the shard.
 */
#include "object/storage.h"

#define BOUND_BYTES_MAX (LIMIT_KEY_BYTES + 1)

_Static_assert(
	LIMIT_CLASS_NAME_BYTES + LIMIT_KEY_BYTES + BOUND_BYTES_MAX + 16 <= LIMIT_STORE_KEY_BYTES,
	"a bound fits");

static bool make_bounds(struct storage_list *list, const struct storage *storage,
	const struct storage_range *range);

static void append(struct key *key, struct slice bytes)
{
	memcpy(key->bytes + key->size, bytes.data, bytes.size);
	key->size += bytes.size;
}

void storage_list_open(
	struct storage_list *list, struct storage *storage, const struct storage_range *range)
{
	struct turn *turn = storage->turn;
	list->turn = turn;
	list->last.size = 0;
	list->is_open = storage->record.keys > 0 && make_bounds(list, storage, range);
	if (!list->is_open)
		return;
	cursor_open(&list->cursor, turn->stores[storage->shard], &turn->changes, turn_arena(turn),
		key_slice(&list->start), key_slice(&list->end), range->reverse);
	list->cursor.without_data = range->without_data;
	list->cursor.may_rest = list->pauses = range->pauses;
}

bool storage_list_next(struct storage_list *list, struct slice *key, struct value *value)
{
	struct slice store_key;
	if (!list->is_open || !cursor_next(&list->cursor, &store_key, value))
		return false;
	*key = slice_of(store_key.data + list->key_offset, store_key.size - list->key_offset);
	if (list->pauses) {
		list->last.size = 0;
		append(&list->last, *key);
	}
	return true;
}

bool storage_list_pause(struct storage_list *list, bool more, struct slice *last)
{
	bool rests = !more && list->is_open && list->cursor.rests;
	if (rests)
		turn_continue_here(list->turn);
	if ((more || rests) && list->last.size > 0)
		*last = arena_copy(turn_arena(list->turn), key_slice(&list->last));
	return more || rests;
}

void storage_list_close(struct storage_list *list)
{
	if (list->is_open)
		cursor_close(&list->cursor);
	list->is_open = false;
}

/* The object's range up to `offset`, and the bound. */
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
static bool make_bounds(
	struct storage_list *list, const struct storage *storage, const struct storage_range *range)
{
	struct key base, bound;
	key_of_storage(&base, &storage->name, storage->record.incarnation, slice_of("", 0));
	list->key_offset = base.size;
	list->start = list->end = base;
	key_prefix_end(&list->end);
	if (range->start.data) {
		bound_of(&bound, &base, range->start);
		raise(&list->start, &bound);
	}
	if (range->start_after.data) {
		bound_of(&bound, &base, range->start_after);
		append(&bound, slice_of("", 1));
		raise(&list->start, &bound);
	}
	if (range->prefix.data) {
		bound_of(&bound, &base, range->prefix);
		raise(&list->start, &bound);
		key_prefix_end(&bound);
		lower(&list->end, &bound);
	}
	if (range->end.data) {
		bound_of(&bound, &base, range->end);
		lower(&list->end, &bound);
	}
	return slice_compare(key_slice(&list->start), key_slice(&list->end)) < 0;
}
