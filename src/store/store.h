/*
 * store: one shard's data: the active overlay over the frozen one over the tree.
 *
 * Threads: the shard's turn (or whoever holds the shard), one at a time; except store_frozen's
 * overlay, which the checkpoint thread reads between freeze and thaw.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/random.h"
#include "holdfast/limits.h"
#include "store/changes.h"
#include "store/key.h"
#include "store/overlay.h"
#include "store/tree.h"
#include "store/value.h"

struct store;

/* Opens a view of the tree. 0 or negative errno. */
int store_open(struct store **out, struct tree *tree, uint16_t shard);
void store_close(struct store **store);

/* Of the hashes in store keys: the same for all shards. Any thread. */
const struct hash_secret *store_secret(const struct store *store);

/* True when the key has a value, expired or not. `*lsn` is raised to the LSN of what was seen, a
 * tombstone included; settled data raises nothing. `arena` as in tree_get. */
bool store_get(struct store *store, struct slice key, struct arena *arena, struct value *out,
	uint64_t *lsn);
/* Of the data only the extent. */
bool store_get_extent(struct store *store, struct slice key, struct arena *arena,
	struct extent extent, struct value *out, uint64_t *lsn);
/* Whether an effect that the log has is one that a turn can have written. */
bool store_may_apply(const struct effect *effect);
/* Applies one effect of a record with this LSN to the active overlay. */
void store_apply(struct store *store, const struct effect *effect, uint64_t lsn);

/* The highest LSN applied, in any generation or in the tree: what a listing's reply waits for. */
uint64_t store_last_lsn(const struct store *store);

/* The generation of a string database; `*lsn` is raised to the LSN of its last change. */
uint32_t store_generation(struct store *store, uint8_t db, uint64_t *lsn);
/* Finds out of entries written since the last call whether they are new, which store_count needs to
 * know: of `most` at a time. True when all are resolved. */
bool store_resolve(struct store *store, size_t most);
/* Makes the order that cursors walk of so many of a table's entries written since the last call or
 * cursor. True when all have one: a cursor that is opened on it now does not sort. */
bool store_order(struct store *store, enum table table, size_t most);
/* How many have none. */
size_t store_unordered(const struct store *store, enum table table);
/* Keys (expired ones that still stand included) and those with an expiry. Settles what is not. */
void store_count(struct store *store, uint8_t db, uint64_t *keys, uint64_t *expiring);

/* Looks at so many keys of the database by chance. Of those that live and have an expiry: how many,
 * and what they have left is added to `*sum_ms`. */
uint32_t store_sample_lives(struct store *store, uint8_t db, int64_t now_ms, struct random *random,
	uint32_t tries, double *sum_ms);

/* Bytes of the active overlay; of the frozen one, 0 when there is none. */
size_t store_active_bytes(const struct store *store);
size_t store_frozen_bytes(const struct store *store);

/* For who has the store alone: a checkpoint of it may be made without a frozen one. */
const struct overlay *store_active(const struct store *store);
/* Active becomes frozen, an empty overlay active; `lsn`: everything of this shard up to it is in
 * the frozen one or below. There must be no frozen one. */
void store_freeze(struct store *store, uint64_t lsn);
const struct overlay *store_frozen(const struct store *store, uint64_t *lsn);
/* After the checkpoint's commit: renews the view and hands back the frozen overlay, to be freed
 * where it does not hurt. */
struct overlay *store_thaw(struct store *store);
/* Looks at the newest tree, in which this shard's data is as before: the pages that other shards'
 * part of a checkpoint has freed can be used again when nobody looks at the former one. */
void store_renew(struct store *store);

/* Keys that have fallen due: up to `max` store keys whose value has expired at `now_ms`, into
 * `keys` (allocated in `arena`). Returns how many; 0 when nothing more is due. A key is not handed
 * out again until the next thaw unless it is written again. */
size_t store_due(
	struct store *store, int64_t now_ms, struct arena *arena, struct slice *keys, size_t max);

/* Walks live layers merged with a turn's changes: each key once, its newest state, no tombstones; a
 * value may be expired. Nothing may be applied to the store while a cursor is open; `changes` may
 * be NULL and must not change either. */
#define CURSOR_REST 16384

struct cursor {
	/* May be set after cursor_open: large values are then not assembled (tree_get without an
	 * arena). */
	bool without_data;
	/* May be set too: cursor_next then takes a rest, false, whenever it has stepped over
	 * CURSOR_REST deleted keys; the next call goes on, and so does a cursor that is opened
	 * anew at the same place, without stepping over them again. */
	bool may_rest;
	bool rests; /* it was that, not the end */

	/* The rest is cursor.c's. */
	struct store *store;
	struct arena *arena;
	struct slice start, end;
	bool reverse;
	struct slice heads[4]; /* the key at which each layer stands; data NULL: at its end */
	unsigned given;        /* bits of the layers that stand at the key handed out last */
	const struct effect **effects; /* of the changes, sorted by key */
	size_t effect_count;
	size_t effect_next;
	const struct effect *effect;
	const struct overlay_entry *entries[2];
	struct tree_cursor *tree;
	struct slice dead; /* the first of the deleted keys since one with a value */
	size_t dead_count;
};

/* Keys k with start <= k < end in byte order, or the same set backwards; `end` with data NULL is no
 * bound. `start`/`end` are borrowed for the cursor's life; `arena` as in tree_get. */
void cursor_open(struct cursor *cursor, struct store *store, const struct changes *changes,
	struct arena *arena, struct slice start, struct slice end, bool reverse);
/* False at the end. The key is valid until the next call, the value's data until the turn ends. */
bool cursor_next(struct cursor *cursor, struct slice *key, struct value *value);
void cursor_close(struct cursor *cursor);

#endif
