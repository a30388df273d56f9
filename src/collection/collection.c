/*
 * collection: see collection.h. Every operation makes its store key from the owner's place, so a
 * collection keeps nothing in memory, and a restart has nothing to restore.
 *
 *   put, delete   look at what the member was, and count the difference in the head
 *   clear         few members: each is deleted; many: the next incarnation
 *   sweep         deletes what stands from the oldest incarnation up to the present one
 *
 * Threads: see collection.h.
 */
#include "collection/collection.h"

#include "holdfast/limits.h"
#include "store/damage.h"

#include <assert.h>

static void key_of(const struct collection *collection, uint32_t incarnation, struct slice member,
	struct key *out);
static bool look(const struct collection *collection, struct slice store_key, struct value *out);
static bool is_same(const struct collection *collection, struct slice store_key,
	const struct value *old, const struct value *value);
static void delete_each(const struct collection *collection);
_Noreturn static void damaged_head(const struct collection *collection);
static void take_bytes(const struct collection *collection, size_t size);
static void delete_all(const struct collection *collection, const struct slice *keys, size_t count);

void collection_key(struct key *place, uint32_t incarnation, struct slice member)
{
	assert(place->size <= COLLECTION_PLACE_BYTES_MAX);
	assert(member.size <= LIMIT_KEY_BYTES);
	for (int shift = 24; shift >= 0; shift -= 8)
		place->bytes[place->size++] = (char)(uint8_t)(incarnation >> shift);
	if (member.size > 0)
		memcpy(place->bytes + place->size, member.data, member.size);
	place->size += member.size;
}

bool collection_get(const struct collection *collection, struct slice member, struct value *out)
{
	struct key key;
	*out = (struct value){ 0 };
	if (collection->head->count == 0)
		return false;
	key_of(collection, collection->head->incarnation, member, &key);
	return turn_get(collection->turn, collection->shard, key_slice(&key), out);
}

bool collection_put(
	const struct collection *collection, struct slice member, const struct value *value)
{
	struct collection_head *head = collection->head;
	struct key key;
	struct value old;
	assert(member.size > 0);
	key_of(collection, head->incarnation, member, &key);
	bool replaces = look(collection, key_slice(&key), &old);
	if (replaces && is_same(collection, key_slice(&key), &old, value))
		return false;
	if (replaces) {
		take_bytes(collection, old.data.size);
	} else {
		head->count++;
		head->bytes += member.size;
	}
	head->bytes += value->data.size;
	struct value put = { .type = value->type, .data = value->data };
	turn_put(collection->turn, collection->shard, key_slice(&key), &put);
	return true;
}

bool collection_delete(const struct collection *collection, struct slice member)
{
	struct collection_head *head = collection->head;
	struct key key;
	struct value old;
	assert(member.size > 0);
	key_of(collection, head->incarnation, member, &key);
	if (!look(collection, key_slice(&key), &old))
		return false;
	head->count--;
	take_bytes(collection, member.size + old.data.size);
	turn_delete(collection->turn, collection->shard, key_slice(&key));
	return true;
}

bool collection_clear(const struct collection *collection)
{
	struct collection_head *head = collection->head;
	bool is_large = head->count > COLLECTION_CLEAR_EACH;
	if (is_large) {
		if (head->incarnation == UINT32_MAX)
			damaged_head(collection);
		head->incarnation++;
	} else {
		delete_each(collection);
	}
	head->count = 0;
	head->bytes = 0;
	return is_large;
}

/* Going on behind the last one spares the walk over what has been deleted since the last
 * checkpoint. */
bool collection_sweep(const struct collection *collection, struct slice from, struct slice *last)
{
	struct collection_head *head = collection->head;
	struct arena *arena = turn_arena(collection->turn);
	struct slice keys[COLLECTION_SWEEP_STEP], key;
	struct key start, end;
	struct value value;
	size_t count = 0;
	key_of(collection, head->oldest, slice_of("", 0), &start);
	key_of(collection, head->incarnation, slice_of("", 0), &end);
	/* It comes from the disk: other collections' members are none of its own. */
	if (slice_compare(from, key_slice(&start)) < 0 || slice_compare(from, key_slice(&end)) >= 0)
		from = key_slice(&start);
	struct cursor cursor;
	cursor_open(&cursor, collection->turn->stores[collection->shard],
		&collection->turn->changes, arena, from, key_slice(&end), false);
	cursor.without_data = true;
	while (count < COLLECTION_SWEEP_STEP && cursor_next(&cursor, &key, &value))
		keys[count++] = arena_copy(arena, key);
	cursor_close(&cursor);
	delete_all(collection, keys, count);
	if (count == COLLECTION_SWEEP_STEP) {
		*last = keys[count - 1];
		return false;
	}
	head->oldest = head->incarnation;
	return true;
}

static void key_of(const struct collection *collection, uint32_t incarnation, struct slice member,
	struct key *out)
{
	collection->place(out, collection->owner);
	collection_key(out, incarnation, member);
}

/* The value without its data, for what counts it. */
static bool look(const struct collection *collection, struct slice store_key, struct value *out)
{
	*out = (struct value){ 0 };
	return collection->head->count > 0 &&
		turn_look(collection->turn, collection->shard, store_key, out);
}

/* Whether `value` is what the member has. A large value is only assembled when its size could be
 * the same. */
static bool is_same(const struct collection *collection, struct slice store_key,
	const struct value *old, const struct value *value)
{
	if (old->type != value->type || old->data.size != value->data.size)
		return false;
	if (old->data.data)
		return slice_equal(old->data, value->data);
	struct value found;
	turn_get(collection->turn, collection->shard, store_key, &found);
	return found.data.data && slice_equal(found.data, value->data);
}

/* The head is counted on by everything: it has to say what stands there. */
_Noreturn static void damaged_head(const struct collection *collection)
{
	struct key key;
	key_of(collection, collection->head->incarnation, slice_of("", 0), &key);
	damaged("the head of a collection", collection->shard, key_slice(&key));
}

static void take_bytes(const struct collection *collection, size_t size)
{
	if (collection->head->bytes < size)
		damaged_head(collection);
	collection->head->bytes -= size;
}

static void delete_each(const struct collection *collection)
{
	struct slice keys[COLLECTION_CLEAR_EACH], member;
	struct collection_walk walk;
	struct value value;
	size_t count = 0;
	collection_walk_open(&walk, collection, &(struct collection_range){ .without_data = true });
	while (count < COLLECTION_CLEAR_EACH && collection_walk_next(&walk, &member, &value))
		keys[count++] = arena_copy(turn_arena(collection->turn),
			slice_of(member.data - walk.member_offset,
				member.size + walk.member_offset));
	bool is_over = count == COLLECTION_CLEAR_EACH || !walk.is_open ||
		!collection_walk_next(&walk, &member, &value);
	collection_walk_close(&walk);
	if (!is_over || count != collection->head->count)
		damaged_head(collection);
	delete_all(collection, keys, count);
}

static void delete_all(const struct collection *collection, const struct slice *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		turn_delete(collection->turn, collection->shard, keys[i]);
}
