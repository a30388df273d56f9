/*
 * cursor: merges the layers in key order: a turn's changes, the active overlay, the frozen one, the
 * tree. Each layer stands at its next key; the cursor hands out the first of these in its
 * direction, as the topmost layer that stands there tells it, and moves on every layer that stands
 * there. A tombstone is stepped over in the same way; what was stepped over becomes one of the
 * store's gaps, over which the next cursor leaps (gaps.h).
 *
 * The layers move only at the next call, so that the key handed out, which may be the tree's own
 * memory, lives until then. The overlays are re-sought by key, the changes are sorted once into the
 * arena, and the tree has a cursor of its own: nothing may be applied meanwhile.
 *
 * Life: open and close within one turn, on its thread.
 */
#include "store/store.h"

#include "store/store_layers.h"

#include <assert.h>
#include <stdlib.h>

/* Deleted keys in a row that are worth being remembered. */
#define GAP_LEAST 8

enum layer { LAYER_CHANGES, LAYER_ACTIVE, LAYER_FROZEN, LAYER_TREE, LAYERS };

_Static_assert(sizeof(((struct cursor *)0)->heads) == LAYERS * sizeof(struct slice),
	"one head for each layer");

static void gather_effects(struct cursor *cursor, const struct changes *changes);
static struct slice first_key(struct cursor *cursor, enum layer layer);
static struct slice next_key(struct cursor *cursor, enum layer layer);
static void stand_at(struct cursor *cursor, enum layer layer, struct slice key);
static void step_over(struct cursor *cursor, struct slice key);
static void end_gap(struct cursor *cursor, struct slice key);
static bool fill(struct cursor *cursor, enum layer layer, struct value *value);

void cursor_open(struct cursor *cursor, struct store *store, const struct changes *changes,
	struct arena *arena, struct slice start, struct slice end, bool reverse)
{
	*cursor = (struct cursor){
		.store = store,
		.arena = arena,
		.start = start,
		.end = end,
		.reverse = reverse,
		.tree = tree_cursor_open(store_layers(store)->view),
	};
	if (changes)
		gather_effects(cursor, changes);
	for (unsigned layer = 0; layer < LAYERS; layer++)
		stand_at(cursor, layer, first_key(cursor, layer));
}

bool cursor_next(struct cursor *cursor, struct slice *key, struct value *value)
{
	cursor->rests = false;
	for (;;) {
		for (unsigned layer = 0; layer < LAYERS; layer++)
			if (cursor->given & 1u << layer)
				stand_at(cursor, layer, next_key(cursor, layer));
		cursor->given = 0;

		unsigned top = LAYERS;
		for (unsigned layer = 0; layer < LAYERS; layer++) {
			if (cursor->heads[layer].data == NULL)
				continue;
			int order = -1;
			if (top != LAYERS)
				order = slice_compare(cursor->heads[layer], cursor->heads[top]);
			if (top != LAYERS && cursor->reverse)
				order = -order;
			if (order < 0) {
				top = layer;
				cursor->given = 0;
			}
			if (order <= 0)
				cursor->given |= 1u << layer;
		}
		struct slice at = top == LAYERS ? slice_of(NULL, 0) : cursor->heads[top];
		bool found = at.data && fill(cursor, top, value);
		/* What the changes hide may stay. */
		if (at.data && !found && top != LAYER_CHANGES) {
			step_over(cursor, at);
			if (cursor->rests)
				return false;
			continue;
		}
		end_gap(cursor, at);
		if (found || at.data == NULL) {
			*key = at;
			return found;
		}
	}
}

void cursor_close(struct cursor *cursor)
{
	tree_cursor_close(&cursor->tree);
}

static int compare_effects(const void *a, const void *b)
{
	const struct effect *const *first = a, *const *second = b;
	return slice_compare((*first)->key, (*second)->key);
}

/* Those of this shard within the bounds, in the order of the walk. */
static void gather_effects(struct cursor *cursor, const struct changes *changes)
{
	uint16_t shard = store_layers(cursor->store)->shard;
	cursor->effects = arena_alloc(cursor->arena, changes->count * sizeof(*cursor->effects));
	for (uint32_t i = 0; i < changes->count; i++) {
		const struct effect *effect = &changes->effects[i];
		if (effect->shard == shard && slice_compare(effect->key, cursor->start) >= 0 &&
			(cursor->end.data == NULL || slice_compare(effect->key, cursor->end) < 0))
			cursor->effects[cursor->effect_count++] = effect;
	}
	qsort(cursor->effects, cursor->effect_count, sizeof(*cursor->effects), compare_effects);
}

static struct slice next_effect(struct cursor *cursor)
{
	if (cursor->effect_next == cursor->effect_count)
		return slice_of(NULL, 0);
	size_t at = cursor->effect_next++;
	if (cursor->reverse)
		at = cursor->effect_count - 1 - at;
	cursor->effect = cursor->effects[at];
	return cursor->effect->key;
}

/* From `from` on (behind it when `after`), or backwards before it. */
static struct slice seek_entry(
	struct cursor *cursor, enum layer layer, struct slice from, bool after)
{
	const struct store_layers *layers = store_layers(cursor->store);
	struct overlay *overlay = layer == LAYER_ACTIVE ? layers->active : layers->frozen;
	if (overlay == NULL)
		return slice_of(NULL, 0);
	const struct overlay_entry *entry = cursor->reverse
		? overlay_seek_before(overlay, from, cursor->start)
		: overlay_seek(overlay, from, after, cursor->end);
	cursor->entries[layer - LAYER_ACTIVE] = entry;
	return entry ? entry->key : slice_of(NULL, 0);
}

/* A layer of the store at `from` or behind it; backwards before it. */
static struct slice seek_key(struct cursor *cursor, enum layer layer, struct slice from)
{
	if (layer != LAYER_TREE)
		return seek_entry(cursor, layer, from, false);
	struct slice key;
	bool found = cursor->reverse ? tree_cursor_seek_before(cursor->tree, from, &key)
				     : tree_cursor_seek(cursor->tree, from, false, &key);
	return found ? key : slice_of(NULL, 0);
}

static struct slice first_key(struct cursor *cursor, enum layer layer)
{
	/* No store key starts with this byte or a higher one. */
	static const char behind_all[] = { (char)TABLE_TREE_FIRST };
	if (layer == LAYER_CHANGES)
		return next_effect(cursor);
	struct slice from = cursor->start;
	if (cursor->reverse)
		from = cursor->end.data ? cursor->end : slice_of(behind_all, 1);
	return seek_key(cursor, layer, from);
}

static struct slice next_key(struct cursor *cursor, enum layer layer)
{
	if (layer == LAYER_CHANGES)
		return next_effect(cursor);
	if (layer != LAYER_TREE)
		return seek_entry(cursor, layer, cursor->heads[layer], true);
	struct slice key;
	bool found = cursor->reverse ? tree_cursor_previous(cursor->tree, &key)
				     : tree_cursor_next(cursor->tree, &key);
	return found ? key : slice_of(NULL, 0);
}

/* A key out of bounds is the layer's end. */
static void stand_at(struct cursor *cursor, enum layer layer, struct slice key)
{
	if (key.data && cursor->reverse && slice_compare(key, cursor->start) < 0)
		key.data = NULL;
	if (key.data && !cursor->reverse && cursor->end.data &&
		slice_compare(key, cursor->end) >= 0)
		key.data = NULL;
	cursor->heads[layer] = key;
}

/* --- gaps ------------------------------------------------------------------------------------- */

/* The first key behind it. */
static struct slice successor(struct cursor *cursor, struct slice key)
{
	char *memory = arena_alloc(cursor->arena, key.size + 1);
	memcpy(memory, key.data, key.size);
	memory[key.size] = '\0';
	return slice_of(memory, key.size + 1);
}

/* From `dead` to the key, which is in the gap when `within`. */
static void learn_gap(struct cursor *cursor, struct slice key, bool within)
{
	bool reverse = cursor->reverse;
	struct slice to = reverse ? cursor->start : cursor->end;
	if (key.data)
		to = within == reverse ? key : successor(cursor, key);
	struct slice start = reverse ? to : cursor->dead;
	struct slice end = reverse ? successor(cursor, cursor->dead) : to;
	if (end.data)
		gaps_learn(store_gaps(cursor->store), start, end);
}

/* The key, at which the walk has come, has a value or is the changes'; NULL: the walk's end. */
static void end_gap(struct cursor *cursor, struct slice key)
{
	if (cursor->dead_count >= GAP_LEAST)
		learn_gap(cursor, key, false);
	cursor->dead_count = 0;
}

/* To the gap's other end, every layer of the store that stands within it. */
static void leap(struct cursor *cursor, const struct gap *gap)
{
	struct slice to = cursor->reverse ? gap->start : gap->end;
	for (unsigned layer = LAYER_ACTIVE; layer < LAYERS; layer++) {
		struct slice head = cursor->heads[layer];
		if (head.data == NULL)
			continue;
		int order = slice_compare(head, to);
		if (cursor->reverse ? order < 0 : order >= 0)
			continue;
		stand_at(cursor, layer, seek_key(cursor, layer, to));
		cursor->given &= ~(1u << layer);
	}
}

/* The key is deleted. */
static void step_over(struct cursor *cursor, struct slice key)
{
	if (cursor->dead_count++ == 0)
		cursor->dead = arena_copy(cursor->arena, key);
	const struct gap *gap = gaps_around(store_gaps(cursor->store), key);
	if (gap) {
		leap(cursor, gap);
		cursor->dead_count += GAP_LEAST;
	} else if (cursor->may_rest && cursor->dead_count >= CURSOR_REST) {
		learn_gap(cursor, key, true);
		cursor->dead_count = 0;
		cursor->rests = true;
	}
}

/* What the layer says of the key at which it stands; false: it is deleted. */
static bool fill(struct cursor *cursor, enum layer layer, struct value *value)
{
	if (layer == LAYER_TREE) {
		tree_cursor_value(cursor->tree, cursor->without_data ? NULL : cursor->arena, value);
		return true;
	}
	if (layer == LAYER_CHANGES) {
		const struct effect *effect = cursor->effect;
		*value = (struct value){
			.type = effect->type, .expire_ms = effect->expire_ms, .data = effect->value
		};
		return effect->kind == EFFECT_PUT;
	}
	const struct overlay_entry *entry = cursor->entries[layer - LAYER_ACTIVE];
	*value = (struct value){
		.type = entry->type, .expire_ms = entry->expire_ms, .data = entry->data
	};
	return !entry->deleted;
}
