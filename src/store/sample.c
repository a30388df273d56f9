/*
 * sample: some of a database's keys by chance, for figures that are estimated. No order is made of
 * an overlay for this, and nothing is walked: each try is one entry of an overlay by its number, or
 * one seek in the tree, and a look-up.
 *
 * Whether a try looks in an overlay or in the tree is decided by how many there are in each, so
 * keys have about the same chance wherever they are. A key that an upper layer has deleted or
 * written anew is judged by what it is now.
 */
#include "store/store.h"

#include "store/store_layers.h"

#define HASH_RANGE ((uint64_t)1 << KEY_HASH_BITS)

struct sample {
	struct store *store;
	struct random *random;
	uint8_t db;
	uint32_t generation;
};

static bool is_wanted(const struct sample *sample, struct slice key)
{
	struct key_string parsed;
	return key_parse_string(key, &parsed) && parsed.db == sample->db &&
		parsed.generation == sample->generation;
}

static bool pick_in_overlay(const struct sample *sample, struct overlay *overlay, struct key *out)
{
	size_t number = random_below(sample->random, overlay_count(overlay));
	struct slice key = overlay_at(overlay, number)->key;
	if (!is_wanted(sample, key))
		return false;
	out->size = key.size;
	memcpy(out->bytes, key.data, key.size);
	return true;
}

/* The first behind a place by chance; the first of all behind the last. */
static bool pick_in_tree(const struct sample *sample, struct tree_view *view, struct key *out)
{
	uint64_t hash = random_below(sample->random, HASH_RANGE);
	struct tree_cursor *cursor = tree_cursor_open(view);
	struct slice key;
	struct key start;
	key_of_string_hash(&start, sample->db, sample->generation, hash);
	bool found =
		tree_cursor_seek(cursor, key_slice(&start), false, &key) && is_wanted(sample, key);
	if (!found) {
		key_of_string_hash(&start, sample->db, sample->generation, 0);
		found = tree_cursor_seek(cursor, key_slice(&start), false, &key) &&
			is_wanted(sample, key);
	}
	if (found) {
		out->size = key.size;
		memcpy(out->bytes, key.data, key.size);
	}
	tree_cursor_close(&cursor);
	return found;
}

static bool pick(const struct sample *sample, struct key *out)
{
	const struct store_layers *layers = store_layers(sample->store);
	uint64_t in_tree, expiring;
	tree_count(layers->view, sample->db, &in_tree, &expiring);
	uint64_t in_active = overlay_count(layers->active);
	uint64_t in_frozen = layers->frozen ? overlay_count(layers->frozen) : 0;
	if (in_tree + in_active + in_frozen == 0)
		return false;
	uint64_t number = random_below(sample->random, in_tree + in_active + in_frozen);
	if (number < in_active)
		return pick_in_overlay(sample, layers->active, out);
	if (number < in_active + in_frozen)
		return pick_in_overlay(sample, layers->frozen, out);
	return pick_in_tree(sample, layers->view, out);
}

uint32_t store_sample_lives(struct store *store, uint8_t db, int64_t now_ms, struct random *random,
	uint32_t tries, double *sum_ms)
{
	uint64_t lsn = 0;
	struct sample sample = { store, random, db, store_generation(store, db, &lsn) };
	uint32_t count = 0;
	for (uint32_t i = 0; i < tries; i++) {
		struct key key;
		struct value value;
		if (!pick(&sample, &key) ||
			!store_get(store, key_slice(&key), NULL, &value, &lsn) ||
			value.expire_ms <= now_ms)
			continue;
		*sum_ms += (double)(value.expire_ms - now_ms);
		count++;
	}
	return count;
}
