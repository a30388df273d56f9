/*
 * tree_index: keys of the expiry index (store_format.h, THE EXPIRY INDEX).
 */
#ifndef STORE_TREE_INDEX_H
#define STORE_TREE_INDEX_H

#include "base/slice.h"
#include "store/tree_layers.h"

#include <stdint.h>

struct tree_index_key {
	size_t size;
	char bytes[TREE_LAYERS_KEY_BYTES_MAX];
};

/* `key` must not lie in `out`. */
void tree_index_key_make(struct tree_index_key *out, int64_t filed_ms, struct slice key);
/* Takes apart the entry at a position in the index. 0, or -EBADMSG after a line that says why. */
int tree_index_key_parse(const struct tree_layers *position, int64_t *filed_ms, struct slice *key);

#endif
