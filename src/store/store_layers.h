/*
 * layers: what of a store its cursor walks. Private to this folder's store.c and cursor.c.
 */
#ifndef STORE_STORE_LAYERS_H
#define STORE_STORE_LAYERS_H

#include "store/gaps.h"
#include "store/overlay.h"
#include "store/tree.h"

struct store;

struct store_layers {
	struct overlay *active;
	struct overlay *frozen; /* NULL when there is none */
	struct tree_view *view;
	uint16_t shard;
};

const struct store_layers *store_layers(const struct store *store);
struct gaps *store_gaps(struct store *store);

#endif
