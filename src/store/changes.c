/*
 * changes: see changes.h. The effects stand in the order in which their keys were first written. A
 * few are searched one by one; beyond that an index of positions (open addressing, linear probing,
 * 0 is free, otherwise position + 1) finds them. What growth leaves behind stays in the request's
 * arena until the request ends.
 *
 * A later write of a key takes the place of the earlier one, so a record never holds a key twice.
 *
 * To go back to a mark, what was replaced since is put back, the latest first, and what came since
 * is cut off. The index keeps the places of what was cut off: they lead to nothing, or to whatever
 * has come to stand there, and a look-up compares keys.
 */
#include "store/changes.h"

#include "base/hash.h"
#include "holdfast/limits.h"

#include <assert.h>

#define EFFECTS_FIRST     4
#define EFFECTS_UNINDEXED 8
#define INDEX_SIZE_FIRST  32
#define POSITION_NONE     UINT32_MAX

/* An effect as it was before a write replaced it. */
struct undo {
	uint32_t position;
	struct effect effect;
};

static uint32_t find(const struct changes *changes, uint16_t shard, struct slice key);
static void set(struct changes *changes, const struct effect *effect);

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

void changes_follow(
	struct changes *changes, void (*run)(struct turn *turn, void *context), void *context)
{
	struct consequence *consequence = arena_alloc(changes->arena, sizeof(*consequence));
	*consequence = (struct consequence){ .run = run, .context = context };
	if (changes->consequences_last)
		changes->consequences_last->next = consequence;
	else
		changes->consequences = consequence;
	changes->consequences_last = consequence;
	changes->writes++;
}

struct changes_mark changes_save(struct changes *changes)
{
	changes->marked = changes->count;
	changes->mark++;
	return (struct changes_mark){
		.count = changes->count,
		.undo_count = changes->undo_count,
		.bytes = changes->bytes,
		.events_last = changes->events_last,
		.event_bytes = changes->event_bytes,
		.consequences_last = changes->consequences_last,
	};
}

void changes_restore(struct changes *changes, const struct changes_mark *mark)
{
	assert(mark->undo_count <= changes->undo_count);
	assert(mark->count <= changes->count);
	while (changes->undo_count > mark->undo_count) {
		const struct undo *undo = &changes->undos[--changes->undo_count];
		changes->effects[undo->position] = undo->effect;
	}
	changes->count = mark->count;
	changes->bytes = mark->bytes;
	changes->events_last = mark->events_last;
	changes->event_bytes = mark->event_bytes;
	if (changes->events_last)
		changes->events_last->next = NULL;
	else
		changes->events = NULL;
	changes->consequences_last = mark->consequences_last;
	if (changes->consequences_last)
		changes->consequences_last->next = NULL;
	else
		changes->consequences = NULL;
	changes->marked = mark->count;
	changes->mark++;
	changes->writes++;
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
		/* A forgotten effect's place may stand for a later one: whichever has the key. */
		if (position <= changes->count &&
			is_of(&changes->effects[position - 1], shard, key))
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
	changes->index_used++;
}

static void index_all(struct changes *changes)
{
	if (changes->index_size == 0 && changes->count <= EFFECTS_UNINDEXED)
		return;
	while (changes->index_size < changes->count * 2)
		changes->index_size =
			changes->index_size ? changes->index_size * 2 : INDEX_SIZE_FIRST;
	size_t bytes = changes->index_size * sizeof(*changes->index);
	changes->index = arena_alloc(changes->arena, bytes);
	memset(changes->index, 0, bytes);
	changes->index_used = 0;
	for (uint32_t i = 0; i < changes->count; i++)
		index_add(changes, i);
}

/* Takes the newest effect into the index, building or doubling it at half load. */
static void index_newest(struct changes *changes)
{
	if (changes->index_size && (changes->index_used + 1) * 2 <= changes->index_size)
		index_add(changes, changes->count - 1);
	else
		index_all(changes);
}

/* Memory for `count` items and more, with the `used` ones that are there. */
static void *grow(struct changes *changes, const void *items, uint32_t used, uint32_t *capacity,
	size_t item_bytes)
{
	*capacity = *capacity ? *capacity * 2 : EFFECTS_FIRST;
	char *grown = arena_alloc(changes->arena, *capacity * item_bytes);
	if (used > 0)
		memcpy(grown, items, used * item_bytes);
	return grown;
}

/* Whether an undo of it stands behind the latest mark. */
static bool is_noted(const struct changes *changes, uint32_t position)
{
	return position < changes->noted_capacity && changes->noted[position] == changes->mark;
}

/* A write is about to replace an effect that the latest mark has. */
static void note(struct changes *changes, uint32_t position)
{
	if (is_noted(changes, position))
		return;
	if (position >= changes->noted_capacity) {
		uint32_t before = changes->noted_capacity;
		uint32_t *noted = arena_alloc(changes->arena, changes->capacity * sizeof(*noted));
		memset(noted, 0, changes->capacity * sizeof(*noted));
		if (before > 0)
			memcpy(noted, changes->noted, before * sizeof(*noted));
		changes->noted = noted;
		changes->noted_capacity = changes->capacity;
	}
	if (changes->undo_count == changes->undo_capacity)
		changes->undos = grow(changes, changes->undos, changes->undo_count,
			&changes->undo_capacity, sizeof(*changes->undos));
	changes->undos[changes->undo_count++] =
		(struct undo){ position, changes->effects[position] };
	changes->noted[position] = changes->mark;
}

static void set(struct changes *changes, const struct effect *effect)
{
	assert(effect->key.size > 0);
	assert(effect->key.size <= LIMIT_STORE_KEY_BYTES);
	changes->writes++;
	uint32_t position = find(changes, effect->shard, effect->key);
	if (position != POSITION_NONE) {
		struct effect *earlier = &changes->effects[position];
		if (position < changes->marked)
			note(changes, position);
		changes->bytes -= earlier->value.size;
		changes->bytes += effect->value.size;
		struct slice key = earlier->key;
		*earlier = *effect;
		earlier->key = key;
		return;
	}
	if (changes->count == changes->capacity)
		changes->effects = grow(changes, changes->effects, changes->count,
			&changes->capacity, sizeof(*changes->effects));
	struct effect *added = &changes->effects[changes->count++];
	*added = *effect;
	added->key = arena_copy(changes->arena, effect->key);
	changes->bytes += effect->key.size + effect->value.size;
	index_newest(changes);
}
