/*
 * changes: see changes.h. The effects stand in the order in which their keys were first written. A
 * few are searched one by one; beyond that an index of positions (open addressing, linear probing,
 * 0 is free, otherwise position + 1) finds them. What growth leaves behind stays in the request's
 * arena until the request ends.
 *
 * A later write of a key takes the place of the earlier one, so a record never holds a key twice.
 */
#include "store/changes.h"

#include "base/hash.h"
#include "holdfast/limits.h"

#include <assert.h>

#define EFFECTS_FIRST     4
#define EFFECTS_UNINDEXED 8
#define INDEX_SIZE_FIRST  32
#define POSITION_NONE     UINT32_MAX

static uint32_t find(const struct changes *changes, uint16_t shard, struct slice key);
static void set(struct changes *changes, const struct effect *effect);
static void make_room_for(struct changes *changes, uint32_t count);
static void index_all(struct changes *changes);

void changes_init(struct changes *changes, struct arena *arena)
{
	*changes = (struct changes){ .arena = arena };
}

void changes_put(
	struct changes *changes, uint16_t shard, struct slice key, const struct value *value)
{
	struct effect effect = {
		.kind = EFFECT_PUT,
		.type = value->type,
		.shard = shard,
		.expire_ms = value->expire_ms,
		.key = key,
		.value = value->data,
	};
	set(changes, &effect);
}

void changes_delete(struct changes *changes, uint16_t shard, struct slice key)
{
	struct effect effect = { .kind = EFFECT_DELETE, .shard = shard, .key = key };
	set(changes, &effect);
}

const struct effect *changes_find(const struct changes *changes, uint16_t shard, struct slice key)
{
	uint32_t position = find(changes, shard, key);
	return position == POSITION_NONE ? NULL : &changes->effects[position];
}

void changes_tell(struct changes *changes, struct slice channel, struct slice message)
{
	struct event *event = arena_alloc(changes->arena, sizeof(*event));
	*event = (struct event){
		.channel = arena_copy(changes->arena, channel),
		.message = arena_copy(changes->arena, message),
	};
	if (changes->events_last)
		changes->events_last->next = event;
	else
		changes->events = event;
	changes->events_last = event;
	changes->event_bytes += channel.size + message.size;
	changes->writes++;
}

struct changes changes_save(const struct changes *changes)
{
	struct changes saved = *changes;
	saved.capacity = saved.count;
	saved.index = NULL;
	saved.index_size = 0;
	saved.effects = arena_alloc(saved.arena, saved.count * sizeof(*saved.effects));
	if (saved.count > 0)
		memcpy(saved.effects, changes->effects, saved.count * sizeof(*saved.effects));
	return saved;
}

void changes_restore(struct changes *changes, const struct changes *saved)
{
	uint64_t writes = changes->writes + 1;
	*changes = *saved;
	changes->writes = writes;
	/* The mark may be restored again: it keeps its own effects. */
	changes->capacity = 0;
	make_room_for(changes, saved->count);
	index_all(changes);
	if (changes->events_last)
		changes->events_last->next = NULL;
}

static bool is_of(const struct effect *effect, uint16_t shard, struct slice key)
{
	return effect->shard == shard && slice_equal(effect->key, key);
}

static uint32_t index_start(const struct changes *changes, uint16_t shard, struct slice key)
{
	return (uint32_t)hash_bytes_seeded(key, shard) & (changes->index_size - 1);
}

static uint32_t find(const struct changes *changes, uint16_t shard, struct slice key)
{
	if (changes->index_size == 0) {
		for (uint32_t i = 0; i < changes->count; i++)
			if (is_of(&changes->effects[i], shard, key))
				return i;
		return POSITION_NONE;
	}
	uint32_t mask = changes->index_size - 1;
	for (uint32_t at = index_start(changes, shard, key);; at = (at + 1) & mask) {
		uint32_t position = changes->index[at];
		if (position == 0)
			return POSITION_NONE;
		if (is_of(&changes->effects[position - 1], shard, key))
			return position - 1;
	}
}

static void index_add(struct changes *changes, uint32_t position)
{
	uint32_t mask = changes->index_size - 1;
	const struct effect *effect = &changes->effects[position];
	uint32_t at = index_start(changes, effect->shard, effect->key);
	while (changes->index[at] != 0)
		at = (at + 1) & mask;
	changes->index[at] = position + 1;
}

static void index_all(struct changes *changes)
{
	if (changes->count <= EFFECTS_UNINDEXED)
		return;
	while (changes->index_size < changes->count * 2)
		changes->index_size =
			changes->index_size ? changes->index_size * 2 : INDEX_SIZE_FIRST;
	size_t bytes = changes->index_size * sizeof(*changes->index);
	changes->index = arena_alloc(changes->arena, bytes);
	memset(changes->index, 0, bytes);
	for (uint32_t i = 0; i < changes->count; i++)
		index_add(changes, i);
}

/* Takes the newest effect into the index, building or doubling it at half load. */
static void index_newest(struct changes *changes)
{
	if (changes->index_size && changes->count * 2 <= changes->index_size)
		index_add(changes, changes->count - 1);
	else
		index_all(changes);
}

static void make_room_for(struct changes *changes, uint32_t count)
{
	if (count < changes->capacity)
		return;
	while (changes->capacity <= count)
		changes->capacity = changes->capacity ? changes->capacity * 2 : EFFECTS_FIRST;
	struct effect *grown =
		arena_alloc(changes->arena, changes->capacity * sizeof(*changes->effects));
	if (changes->count > 0)
		memcpy(grown, changes->effects, changes->count * sizeof(*grown));
	changes->effects = grown;
}

static void set(struct changes *changes, const struct effect *effect)
{
	assert(effect->key.size > 0);
	assert(effect->key.size <= LIMIT_STORE_KEY_BYTES);
	changes->writes++;
	uint32_t position = find(changes, effect->shard, effect->key);
	if (position != POSITION_NONE) {
		struct effect *earlier = &changes->effects[position];
		changes->bytes -= earlier->value.size;
		changes->bytes += effect->value.size;
		struct slice key = earlier->key;
		*earlier = *effect;
		earlier->key = key;
		return;
	}
	make_room_for(changes, changes->count);
	struct effect *added = &changes->effects[changes->count++];
	*added = *effect;
	added->key = arena_copy(changes->arena, effect->key);
	changes->bytes += effect->key.size + effect->value.size;
	index_newest(changes);
}
