/*
 * store: see store.h. A key's state is what the topmost layer that knows it says, a tombstone
 * included: active overlay, frozen overlay, tree. Only overlay entries carry LSNs: what the tree
 * holds is durable, and nobody waits for it.
 *
 *   freeze   active becomes frozen: one pointer moves; entries keep their LSNs
 *   thaw     the checkpoint is committed: the view is renewed, so that it shows what the frozen
 *            overlay said, and the overlay is let go. Until then the old view and the frozen
 *            overlay together say the same, so when exactly the commit happens does not matter
 *
 * Counting keys. The tree counts its own. Each overlay keeps a sum of what its entries add to the
 * layers below them: an entry whose `below` memo is known has been counted, and whoever changes it
 * takes its share out and puts the new one in. Only keys of the current generation have a share;
 * when the generation changes the sums are made anew from the memos. A frozen overlay's sum goes
 * with it: the tree then counts those keys.
 *
 * Expiry. For each key only the topmost layer that holds it may find it due: an overlay by its
 * heap, the tree by its index. The index may file a key earlier than it falls due, and is only put
 * right at a checkpoint; what a walk meets too early waits in `later`, an overlay used for its heap
 * alone.
 *
 * Life and threads: store.h.
 */
#include "store/store.h"

#include "base/hash.h"
#include "base/memory.h"
#include "holdfast/store_format.h"
#include "store/damage.h"
#include "store/store_layers.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>

struct generation {
	uint32_t current;
	uint32_t in_tree;
	uint64_t lsn; /* of the last change since the store was opened; 0: none */
};

/* What an overlay's counted entries add to the layers below, by database. */
struct sums {
	int64_t keys[LIMIT_DATABASES];
	int64_t expiring[LIMIT_DATABASES];
	size_t resolved; /* the first so many entries have been looked up below */
};

struct store {
	struct store_layers layers;
	struct tree *tree;
	uint64_t frozen_lsn;
	uint64_t last_lsn;
	struct generation generations[LIMIT_DATABASES];
	struct sums active_sums;
	struct sums frozen_sums;
	struct gaps gaps;
	bool must_recount;     /* both, because a generation has changed */
	struct overlay *later; /* keys of the tree that its index files too early; NULL: none */
	struct tree_due_walk walk;
};

static bool read_generation(struct slice data, uint32_t *out);
static bool read_generations(struct store *store, struct key *wrong);
static void note_generation(struct store *store, const struct effect *effect, uint64_t lsn);
static size_t resolve(struct store *store, struct overlay *overlay, struct overlay *beneath,
	struct sums *sums, size_t most);
static void recount_if_needed(struct store *store);
static void add_share(const struct store *store, struct sums *sums,
	const struct overlay_entry *entry, int64_t sign);
static bool next_due(struct store *store, int64_t now_ms, struct arena *arena, struct slice *key);

int store_open(struct store **out, struct tree *tree, uint16_t shard)
{
	struct tree_view *view;
	int error = tree_view_open(tree, shard, &view);
	if (error)
		return error;
	struct store *store = memory_zeroed(sizeof(*store));
	store->tree = tree;
	store->layers.view = view;
	store->layers.shard = shard;
	store->layers.active = overlay_new();
	store->last_lsn = tree_lsn(tree, shard);
	struct key wrong;
	if (!read_generations(store, &wrong)) {
		store_close(&store);
		return -EBADMSG;
	}
	for (unsigned db = 0; db < LIMIT_DATABASES; db++)
		store->generations[db].current = store->generations[db].in_tree;
	*out = store;
	return 0;
}

void store_close(struct store **store_pointer)
{
	struct store *store = *store_pointer;
	*store_pointer = NULL;
	if (store == NULL)
		return;
	overlay_free(&store->layers.active);
	overlay_free(&store->layers.frozen);
	overlay_free(&store->later);
	tree_view_close(&store->layers.view);
	gaps_fini(&store->gaps);
	memory_free(store);
}

const struct hash_secret *store_secret(const struct store *store)
{
	return tree_secret(store->tree);
}

const struct store_layers *store_layers(const struct store *store)
{
	return &store->layers;
}

struct gaps *store_gaps(struct store *store)
{
	return &store->gaps;
}

static struct value entry_value(const struct overlay_entry *entry)
{
	return (struct value){
		.type = entry->type, .expire_ms = entry->expire_ms, .data = entry->data
	};
}

/* The topmost overlay's entry, NULL when no overlay knows the key. */
static struct overlay_entry *find_entry(struct store *store, struct slice key)
{
	struct overlay *active = store->layers.active, *frozen = store->layers.frozen;
	bool active_empty = overlay_count(active) == 0;
	if (active_empty && frozen == NULL)
		return NULL;
	uint64_t hash = hash_bytes(key);
	struct overlay_entry *entry = overlay_find_hashed(active, key, hash);
	if (entry == NULL && frozen)
		entry = overlay_find_hashed(frozen, key, hash);
	return entry;
}

bool store_get(struct store *store, struct slice key, struct arena *arena, struct value *out,
	uint64_t *lsn)
{
	return store_get_extent(store, key, arena, EXTENT_WHOLE, out, lsn);
}

bool store_get_extent(struct store *store, struct slice key, struct arena *arena,
	struct extent extent, struct value *out, uint64_t *lsn)
{
	const struct overlay_entry *entry = find_entry(store, key);
	if (entry == NULL)
		return tree_get_extent(store->layers.view, key, arena, extent, out);
	if (entry->lsn > *lsn)
		*lsn = entry->lsn;
	if (entry->deleted)
		return false;
	*out = entry_value(entry);
	out->whole = out->data.size;
	if (arena)
		out->data = slice_extent(out->data, extent);
	return true;
}

bool store_may_apply(const struct effect *effect)
{
	struct slice key = effect->key;
	bool is_put = effect->kind == EFFECT_PUT;
	if (key.size == 0 || key.size > LIMIT_STORE_KEY_BYTES)
		return false;
	if (is_put && (effect->type == VALUE_NONE || effect->expire_ms < 0))
		return false;
	if (key.data[0] == TABLE_NAMESPACE) {
		uint32_t generation;
		return key.size == 2 && (unsigned char)key.data[1] < STORE_FORMAT_DATABASES &&
			is_put && effect->type == VALUE_NUMBER &&
			read_generation(effect->value, &generation);
	}
	struct key_string string;
	if (key_parse_string(key, &string))
		return string.db < STORE_FORMAT_DATABASES;
	return (unsigned char)key.data[0] < TABLE_TREE_FIRST;
}

void store_apply(struct store *store, const struct effect *effect, uint64_t lsn)
{
	assert(effect->shard == store->layers.shard);
	struct overlay *active = store->layers.active;
	struct sums *sums = &store->active_sums;
	if (lsn > store->last_lsn)
		store->last_lsn = lsn;
	if (effect->kind == EFFECT_PUT)
		gaps_put(&store->gaps, effect->key);
	if (sums->resolved == 0) {
		overlay_apply(active, effect, lsn);
	} else {
		recount_if_needed(store);
		uint64_t hash = hash_bytes(effect->key);
		const struct overlay_entry *entry = overlay_find_hashed(active, effect->key, hash);
		if (entry)
			add_share(store, sums, entry, -1);
		entry = overlay_apply_hashed(active, effect, hash, lsn);
		add_share(store, sums, entry, 1);
	}
	if (effect->key.data[0] == TABLE_NAMESPACE)
		note_generation(store, effect, lsn);
}

uint64_t store_last_lsn(const struct store *store)
{
	return store->last_lsn;
}

uint32_t store_generation(struct store *store, uint8_t db, uint64_t *lsn)
{
	assert(db < LIMIT_DATABASES);
	const struct generation *generation = &store->generations[db];
	if (generation->lsn > *lsn)
		*lsn = generation->lsn;
	return generation->current;
}

bool store_resolve(struct store *store, size_t most)
{
	struct store_layers *layers = &store->layers;
	recount_if_needed(store);
	if (layers->frozen)
		most -= resolve(store, layers->frozen, NULL, &store->frozen_sums, most);
	if (most > 0)
		resolve(store, layers->active, layers->frozen, &store->active_sums, most);
	return (!layers->frozen || store->frozen_sums.resolved == overlay_count(layers->frozen)) &&
		store->active_sums.resolved == overlay_count(layers->active);
}

bool store_order(struct store *store, enum table table, size_t most)
{
	struct store_layers *layers = &store->layers;
	return (layers->frozen == NULL || overlay_order(layers->frozen, (uint8_t)table, most)) &&
		overlay_order(layers->active, (uint8_t)table, most);
}

size_t store_unordered(const struct store *store, enum table table)
{
	const struct store_layers *layers = &store->layers;
	return overlay_unordered(layers->active, (uint8_t)table) +
		(layers->frozen ? overlay_unordered(layers->frozen, (uint8_t)table) : 0);
}

void store_count(struct store *store, uint8_t db, uint64_t *keys, uint64_t *expiring)
{
	assert(db < LIMIT_DATABASES);
	struct store_layers *layers = &store->layers;
	store_resolve(store, SIZE_MAX);
	*keys = *expiring = 0;
	if (store->generations[db].current == store->generations[db].in_tree)
		tree_count(layers->view, db, keys, expiring);
	int64_t more_keys = store->frozen_sums.keys[db] + store->active_sums.keys[db];
	int64_t more_expiring = store->frozen_sums.expiring[db] + store->active_sums.expiring[db];
	/* What the tree has counted comes from the disk. */
	if ((int64_t)*keys < -more_keys || (int64_t)*expiring < -more_expiring) {
		struct key key;
		key_of_namespace(&key, db);
		damaged("the count of a database's keys", layers->shard, key_slice(&key));
	}
	*keys += (uint64_t)more_keys;
	*expiring += (uint64_t)more_expiring;
}

size_t store_active_bytes(const struct store *store)
{
	return overlay_bytes(store->layers.active);
}

size_t store_frozen_bytes(const struct store *store)
{
	return store->layers.frozen ? overlay_bytes(store->layers.frozen) : 0;
}

const struct overlay *store_active(const struct store *store)
{
	assert(store->layers.frozen == NULL);
	return store->layers.active;
}

void store_freeze(struct store *store, uint64_t lsn)
{
	assert(store->layers.frozen == NULL);
	store->layers.frozen = store->layers.active;
	store->layers.active = overlay_new();
	store->frozen_sums = store->active_sums;
	store->active_sums = (struct sums){ 0 };
	store->frozen_lsn = lsn;
	store_renew(store);
}

void store_renew(struct store *store)
{
	tree_view_renew(store->layers.view);
}

const struct overlay *store_frozen(const struct store *store, uint64_t *lsn)
{
	if (store->layers.frozen)
		*lsn = store->frozen_lsn;
	return store->layers.frozen;
}

struct overlay *store_thaw(struct store *store)
{
	struct overlay *frozen = store->layers.frozen;
	assert(frozen);
	store->layers.frozen = NULL;
	store->frozen_sums = (struct sums){ 0 };
	tree_view_renew(store->layers.view);
	struct key wrong;
	if (!read_generations(store, &wrong))
		damaged("the generation of a database", store->layers.shard, key_slice(&wrong));
	overlay_free(&store->later);
	store->walk.filed_ms = 0;
	store->walk.key_size = 0;
	return frozen;
}

size_t store_due(
	struct store *store, int64_t now_ms, struct arena *arena, struct slice *keys, size_t max)
{
	size_t count = 0;
	struct key_string parsed;
	while (count < max && next_due(store, now_ms, arena, &keys[count])) {
		/* Dead generations are the checkpoint's to clear. */
		if (key_parse_string(keys[count], &parsed) && parsed.db < LIMIT_DATABASES &&
			parsed.generation != store->generations[parsed.db].current)
			continue;
		count++;
	}
	return count;
}

static bool read_generation(struct slice data, uint32_t *out)
{
	uint64_t number;
	if (data.size != sizeof(number))
		return false;
	memcpy(&number, data.data, sizeof(number));
	number = le64toh(number);
	*out = (uint32_t)number;
	return number <= UINT32_MAX;
}

/* False when one of them is damaged: that of the key `*wrong`. */
static bool read_generations(struct store *store, struct key *wrong)
{
	struct arena arena;
	arena_init(&arena, 256);
	bool is_read = true;
	for (unsigned db = 0; db < LIMIT_DATABASES && is_read; db++) {
		struct value value;
		key_of_namespace(wrong, (uint8_t)db);
		bool found = tree_get(store->layers.view, key_slice(wrong), &arena, &value);
		is_read = !found || read_generation(value.data, &store->generations[db].in_tree);
	}
	arena_fini(&arena);
	return is_read;
}

/* Entries of the new generation may already stand there, and those of the old one have no share any
 * more. */
static void recount(const struct store *store, struct overlay *overlay, struct sums *sums)
{
	size_t resolved = sums->resolved;
	*sums = (struct sums){ .resolved = resolved };
	for (size_t i = 0; i < resolved; i++)
		add_share(store, sums, overlay_at(overlay, i), 1);
}

static void note_generation(struct store *store, const struct effect *effect, uint64_t lsn)
{
	assert(effect->key.size == 2);
	uint8_t db = (uint8_t)effect->key.data[1];
	if (db >= LIMIT_DATABASES)
		return;
	uint32_t generation = 0;
	bool is_read = effect->kind == EFFECT_DELETE || read_generation(effect->value, &generation);
	assert(is_read);
	store->generations[db].current = generation;
	store->generations[db].lsn = lsn;
	store->must_recount = true;
}

/* A database has been emptied: what had been resolved counts anew, once for all that were. */
static void recount_if_needed(struct store *store)
{
	if (!store->must_recount)
		return;
	store->must_recount = false;
	recount(store, store->layers.active, &store->active_sums);
	if (store->layers.frozen)
		recount(store, store->layers.frozen, &store->frozen_sums);
}

static uint8_t below_of(bool present, int64_t expire_ms)
{
	if (!present)
		return OVERLAY_BELOW_ABSENT;
	return expire_ms ? OVERLAY_BELOW_EXPIRING : OVERLAY_BELOW_PRESENT;
}

/* Looks up what lies below the entries written since the last call: in `beneath`, when there is
 * one, or in the tree. Of `most` at the most; returns of how many. */
static size_t resolve(struct store *store, struct overlay *overlay, struct overlay *beneath,
	struct sums *sums, size_t most)
{
	size_t count = overlay_count(overlay), first = sums->resolved;
	for (; sums->resolved < count && sums->resolved - first < most; sums->resolved++) {
		struct overlay_entry *entry = overlay_at(overlay, sums->resolved);
		if (entry->key.data[0] != TABLE_STRING)
			continue;
		const struct overlay_entry *covered =
			beneath ? overlay_find(beneath, entry->key) : NULL;
		struct value value = { 0 };
		if (covered)
			entry->below = below_of(!covered->deleted, covered->expire_ms);
		else if (tree_get(store->layers.view, entry->key, NULL, &value))
			entry->below = below_of(true, value.expire_ms);
		else
			entry->below = OVERLAY_BELOW_ABSENT;
		add_share(store, sums, entry, 1);
	}
	return sums->resolved - first;
}

/* Adds (or with sign -1 takes out) what a resolved entry adds to the layers below it. */
static void add_share(const struct store *store, struct sums *sums,
	const struct overlay_entry *entry, int64_t sign)
{
	struct key_string key;
	if (entry->below == OVERLAY_BELOW_UNKNOWN || !key_parse_string(entry->key, &key))
		return;
	if (key.db >= LIMIT_DATABASES || key.generation != store->generations[key.db].current)
		return;
	bool was_present = entry->below != OVERLAY_BELOW_ABSENT;
	bool was_expiring = entry->below == OVERLAY_BELOW_EXPIRING;
	sums->keys[key.db] += sign * (!entry->deleted - was_present);
	sums->expiring[key.db] += sign * ((entry->expire_ms != 0) - was_expiring);
}

/* A due key of an overlay that no overlay above it knows; NULL when there is none. */
static const struct overlay_entry *next_due_entry(struct store *store, int64_t now_ms)
{
	struct overlay *active = store->layers.active, *frozen = store->layers.frozen;
	const struct overlay_entry *entry = overlay_next_due(active, now_ms);
	if (entry || frozen == NULL)
		return entry;
	do
		entry = overlay_next_due(frozen, now_ms);
	while (entry && overlay_find(active, entry->key));
	return entry;
}

/* Remembers a key that the tree's index names before its time. */
static void wait_for(struct store *store, struct slice key, int64_t expire_ms)
{
	struct effect waits = { .kind = EFFECT_PUT, .expire_ms = expire_ms, .key = key };
	if (store->later == NULL)
		store->later = overlay_new();
	overlay_apply(store->later, &waits, 0);
}

/* The next key whose newest value has expired; its bytes lie in the arena. */
static bool next_due(struct store *store, int64_t now_ms, struct arena *arena, struct slice *key)
{
	struct tree_view *view = store->layers.view;
	const struct overlay_entry *entry = next_due_entry(store, now_ms);
	while (entry == NULL && store->later) {
		entry = overlay_next_due(store->later, now_ms);
		if (entry == NULL)
			break;
		if (find_entry(store, entry->key))
			entry = NULL;
	}
	if (entry) {
		*key = arena_copy(arena, entry->key);
		return true;
	}
	while (tree_next_due(view, now_ms, &store->walk, arena, key)) {
		struct value value;
		if (find_entry(store, *key) || !tree_get(view, *key, NULL, &value))
			continue;
		if (value.expire_ms != 0 && value.expire_ms <= now_ms)
			return true;
		if (value.expire_ms != 0)
			wait_for(store, *key, value.expire_ms);
	}
	return false;
}
