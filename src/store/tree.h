/*
 * tree: the settled state in LMDB: one environment, one sub-database per shard, one for metadata.
 * The layout is documented in include/holdfast/store_format.h: keys above LMDB's 511 bytes in byte
 * order, values above 64 KiB in chunks, an index of expiry times, key counts per database.
 *
 * Threads: tree_open, tree_close: the main thread. A view belongs to its shard: one user at a time,
 * on any thread. Exactly one checkpoint at a time, on one thread; views are read meanwhile.
 */
#ifndef STORE_TREE_H
#define STORE_TREE_H

#include "base/arena.h"
#include "store/key.h"
#include "store/overlay.h"
#include "store/value.h"

struct tree;
struct tree_view;
struct tree_checkpoint;

struct tree_options {
	const char *path;       /* of the data file; created when absent */
	uint64_t map_bytes;     /* the largest size; address space, set once: the file is sparse */
	uint16_t shards_if_new; /* 1 to LIMIT_SHARDS; an existing tree keeps its own count */
	bool sync;              /* false only in tests: commits are not synced */
	int64_t now_ms;         /* stored when the tree is created */
	/* likewise, for simulations, which must repeat; NULL: random */
	const struct hash_secret *secret_if_new;
};

/* 0, or negative errno and one line in `error`: -ENOTSUP for a newer or unknown format, -EBADMSG
 * for data that cannot be read. */
int tree_open(
	struct tree **out, const struct tree_options *options, char *error, size_t error_size);
void tree_close(struct tree **tree);

uint16_t tree_shards(const struct tree *tree);
/* Of the hashes in store keys; the same for the life of the data. */
const struct hash_secret *tree_secret(const struct tree *tree);
/* The shard's records up to this LSN are in the tree. */
uint64_t tree_lsn(struct tree *tree, uint16_t shard);
/* Bytes of the data file in use, for INFO. */
uint64_t tree_bytes(struct tree *tree);
/* The bound: map_bytes, or less where these do not fit into the process's address space. */
uint64_t tree_bytes_max(const struct tree *tree);
/* Of tree_bytes what holds something; looked up only where it comes near the bound. */
uint64_t tree_used_bytes(struct tree *tree);
/* Whether keys of generations gone by are still to be cleared, by checkpoints. */
bool tree_has_dead(const struct tree *tree);

/* A snapshot of one shard as of the last checkpoint committed when it was opened or renewed. */
int tree_view_open(struct tree *tree, uint16_t shard, struct tree_view **out);
void tree_view_close(struct tree_view **view);
void tree_view_renew(struct tree_view *view);

/* True when the key has a value (expired or not). `data` points into the map, valid until the view
 * is renewed, or into `arena` for a chunked value. `arena` NULL, or without the room for that: only
 * type, expiry and data.size are filled. */
bool tree_get(struct tree_view *view, struct slice key, struct arena *arena, struct value *out);
/* Of the data only the extent; with `arena` NULL data.size is still that of the whole. */
bool tree_get_extent(struct tree_view *view, struct slice key, struct arena *arena,
	struct extent extent, struct value *out);
/* Keys of `db` in its current generation: all, and those with an expiry. */
void tree_count(struct tree_view *view, uint8_t db, uint64_t *keys, uint64_t *expiring);

/* Walks store keys in byte order. Open for the length of one turn. */
struct tree_cursor;
struct tree_cursor *tree_cursor_open(struct tree_view *view);
void tree_cursor_close(struct tree_cursor **cursor);
/* Moves to the smallest key >= `key` (> when `after`), or to the largest key < `key`. False when
 * there is none. `*key_out` is valid until the next move; value data as in tree_get. */
bool tree_cursor_seek(
	struct tree_cursor *cursor, struct slice key, bool after, struct slice *key_out);
bool tree_cursor_seek_before(struct tree_cursor *cursor, struct slice key, struct slice *key_out);
bool tree_cursor_next(struct tree_cursor *cursor, struct slice *key_out);
bool tree_cursor_previous(struct tree_cursor *cursor, struct slice *key_out);
void tree_cursor_value(struct tree_cursor *cursor, struct arena *arena, struct value *out);

/* The expiry index: keys filed as falling due at or before `now_ms`, in order of time, behind the
 * position in `*walk` (zeroed before the first call and after each view renewal). The key lies in
 * `arena`. What is filed may have been given a longer life since: look at the value. */
struct tree_due_walk {
	int64_t filed_ms;
	size_t key_size;
	char key[LIMIT_STORE_KEY_BYTES];
};
bool tree_next_due(struct tree_view *view, int64_t now_ms, struct tree_due_walk *walk,
	struct arena *arena, struct slice *key_out);

/* The checkpoint: everything in one write transaction. Each returns 0 or negative errno (-ENOSPC:
 * the disk is full, -EDQUOT: the map is); after an error only abort may follow. */
int tree_checkpoint_begin(struct tree *tree, struct tree_checkpoint **out);
/* Writes all entries of a frozen overlay in key order and sets the shard's LSN. Also re-files due
 * index entries whose key lives longer (those due at `now_ms`), and clears a bounded number of keys
 * of dead generations. */
int tree_checkpoint_shard(struct tree_checkpoint *checkpoint, uint16_t shard,
	const struct overlay *frozen, uint64_t lsn, int64_t now_ms);
/* Commits with full sync; frees the checkpoint either way. */
int tree_checkpoint_commit(struct tree_checkpoint **checkpoint);
void tree_checkpoint_abort(struct tree_checkpoint **checkpoint);

/* Called, when set, in place of the disk's answer just before a commit: a simulation fails it. */
void tree_set_commit_fault(struct tree *tree, int (*run)(void *context), void *context);

#endif
