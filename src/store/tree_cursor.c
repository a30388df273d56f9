/*
 * tree_cursor: walks over a view: store keys in byte order, and the expiry index in order of time.
 *
 * A tree_cursor has an LMDB cursor of its own, so that several may be open and tree_get does not
 * move them; it must be closed before its view is renewed. The walk over the index instead starts
 * anew from its position at each call: it lies in the caller's memory, costs nothing between calls
 * and is bounded by whoever calls.
 *
 * Threads: the view's user.
 */
#include "store/tree.h"

#include "store/tree_index.h"
#include "store/tree_private.h"
#include "store/tree_value.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>

struct tree_cursor {
	struct tree_view *view;
	struct tree_layers layers;
};

static bool moved(struct tree_cursor *cursor, int rc, struct slice *key_out);

struct tree_cursor *tree_cursor_open(struct tree_view *view)
{
	struct tree_cursor *cursor = memory_alloc(sizeof *cursor);
	cursor->view = view;
	MDB_cursor *position;
	int rc = tree_error(mdb_cursor_open(view->txn, view->dbi, &position));
	if (rc < 0)
		tree_fail(view->tree, view->shard, rc);
	tree_layers_init(&cursor->layers, position);
	return cursor;
}

void tree_cursor_close(struct tree_cursor **cursor)
{
	if (*cursor)
		mdb_cursor_close((*cursor)->layers.cursor);
	memory_free(*cursor);
	*cursor = NULL;
}

bool tree_cursor_seek(
	struct tree_cursor *cursor, struct slice key, bool after, struct slice *key_out)
{
	int rc = tree_layers_seek(&cursor->layers, TREE_LAYERS_STORE, key, after);
	return moved(cursor, rc, key_out);
}

bool tree_cursor_seek_before(struct tree_cursor *cursor, struct slice key, struct slice *key_out)
{
	int rc = tree_layers_seek_before(&cursor->layers, TREE_LAYERS_STORE, key);
	return moved(cursor, rc, key_out);
}

bool tree_cursor_next(struct tree_cursor *cursor, struct slice *key_out)
{
	return moved(cursor, tree_layers_next(&cursor->layers), key_out);
}

bool tree_cursor_previous(struct tree_cursor *cursor, struct slice *key_out)
{
	return moved(cursor, tree_layers_previous(&cursor->layers), key_out);
}

void tree_cursor_value(struct tree_cursor *cursor, struct arena *arena, struct value *out)
{
	struct tree_view *view = cursor->view;
	struct tree_value value;
	int rc = tree_value_parse(&cursor->layers.value, &value);
	if (rc == 0)
		rc = tree_value_load(&value, view->layers.cursor, arena, EXTENT_WHOLE, out);
	if (rc < 0)
		tree_fail(view->tree, view->shard, rc);
}

bool tree_next_due(struct tree_view *view, int64_t now_ms, struct tree_due_walk *walk,
	struct arena *arena, struct slice *key_out)
{
	struct tree_index_key position;
	tree_index_key_make(&position, walk->filed_ms, slice_of(walk->key, walk->key_size));
	/* A walk that has not begun starts before all times, those below zero included. */
	if (walk->key_size == 0)
		position.size = 1;
	int rc = tree_layers_seek(&view->layers, TREE_LAYERS_INDEX,
		slice_of(position.bytes, position.size), walk->key_size != 0);
	if (rc == -ENOENT)
		return false;
	int64_t filed_ms;
	struct slice key;
	if (rc == 0)
		rc = tree_index_key_parse(&view->layers, &filed_ms, &key);
	if (rc < 0)
		tree_fail(view->tree, view->shard, rc);
	if (filed_ms > now_ms)
		return false;
	walk->filed_ms = filed_ms;
	walk->key_size = key.size;
	memcpy(walk->key, key.data, key.size);
	*key_out = arena_copy(arena, key);
	return true;
}

static bool moved(struct tree_cursor *cursor, int rc, struct slice *key_out)
{
	if (rc == -ENOENT)
		return false;
	if (rc == 0 && cursor->layers.key.size > LIMIT_STORE_KEY_BYTES)
		rc = tree_damaged("a key has %zu bytes", cursor->layers.key.size);
	if (rc < 0)
		tree_fail(cursor->view->tree, cursor->view->shard, rc);
	*key_out = cursor->layers.key;
	return true;
}
