/*
 * tree_layers: keys longer than LMDB's limit, in exact byte order (store_format.h, LONG KEYS).
 * Everything that reads or writes store keys or the expiry index in LMDB goes through here.
 */
#ifndef STORE_TREE_LAYERS_H
#define STORE_TREE_LAYERS_H

#include "holdfast/store_format.h"

#include "base/slice.h"

#include <lmdb.h>
#include <stdint.h>

#define TREE_LAYERS_KEY_BYTES_MAX (STORE_FORMAT_KEY_BYTES_MAX + STORE_FORMAT_INDEX_PREFIX_BYTES)
/* The root, and as many layers as the longest key fills. */
#define TREE_LAYERS_LEVELS                                                                         \
	(1 +                                                                                       \
		(TREE_LAYERS_KEY_BYTES_MAX - STORE_FORMAT_ROOT_SLICE_BYTES +                       \
			STORE_FORMAT_LAYER_SLICE_BYTES - 1) /                                      \
			STORE_FORMAT_LAYER_SLICE_BYTES)

enum tree_layers_table { TREE_LAYERS_STORE, TREE_LAYERS_INDEX };

/* One LMDB cursor with the way down to where it stands. After a call that returned an error
 * (-ENOENT included) there is no position, and only a call that takes a key may follow. */
struct tree_layers {
	MDB_cursor *cursor;
	enum tree_layers_table table;
	int level;                            /* 0: the root */
	uint64_t numbers[TREE_LAYERS_LEVELS]; /* layer at each level up to `level` */
	struct slice key;                     /* at the position; dies with the next call */
	MDB_val value;                        /* at the position; dies with the next write */
	char path[STORE_FORMAT_ROOT_SLICE_BYTES +
		(TREE_LAYERS_LEVELS - 1) * STORE_FORMAT_LAYER_SLICE_BYTES];
};

/* The cursor stays the caller's. */
void tree_layers_init(struct tree_layers *layers, MDB_cursor *cursor);

/* All return 0, -ENOENT when there is no such key, or another negative errno; -EBADMSG, after a
 * line that says where, for entries that contradict the format. Keys have 1 to
 * TREE_LAYERS_KEY_BYTES_MAX bytes, except where a seek takes an empty one as a bound. */

/* Fills only `value`; makes no position. */
int tree_layers_find(struct tree_layers *layers, struct slice key, MDB_val *value);

/* To the smallest key >= `key` (> when `after`), or the largest < `key`, of one table. `key` may be
 * the one at the position. */
int tree_layers_seek(
	struct tree_layers *layers, enum tree_layers_table table, struct slice key, bool after);
int tree_layers_seek_before(
	struct tree_layers *layers, enum tree_layers_table table, struct slice key);
int tree_layers_next(struct tree_layers *layers);
int tree_layers_previous(struct tree_layers *layers);

/* Makes or replaces the key's entry with room for `size` bytes, to be filled before the next call.
 * `*next_layer` is raised for each layer made. */
int tree_layers_put(struct tree_layers *layers, struct slice key, size_t size, uint64_t *next_layer,
	char **room);
/* Removes the key's entry, and layers that it leaves empty. */
int tree_layers_delete(struct tree_layers *layers, struct slice key);

#endif
