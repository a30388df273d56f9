/*
 * tree_private: what the files of the tree share. LMDB's types and codes stay behind it.
 */
#ifndef STORE_TREE_PRIVATE_H
#define STORE_TREE_PRIVATE_H

#include "holdfast/store_format.h"

#include "store/tree.h"
#include "store/tree_layers.h"

#include <endian.h>
#include <lmdb.h>

struct tree {
	MDB_env *env;
	MDB_dbi meta;
	MDB_dbi shard_dbi[LIMIT_SHARDS];
	uint16_t shards;
	struct hash_secret secret;
	bool sync;
	uint64_t bytes_max;
	_Atomic uint16_t dead_shards; /* with keys of generations gone by */
	bool has_dead[LIMIT_SHARDS];  /* the checkpoint's, as are they */
	int (*commit_fault)(void *context);
	void *commit_fault_context;
};

/* A shard's record in "meta". */
struct tree_record {
	uint64_t lsn;
	uint64_t next_value;
	uint64_t next_layer;
	struct tree_database {
		uint32_t generation;
		uint32_t oldest; /* generations below hold no key any more */
		uint64_t keys;
		uint64_t expiring;
	} databases[STORE_FORMAT_DATABASES];
};

struct tree_view {
	struct tree *tree;
	MDB_dbi dbi;
	uint16_t shard;
	MDB_txn *txn;
	struct tree_layers layers; /* look-ups, chunks and the index; a tree_cursor has its own */
	struct tree_record record;
};

/* An LMDB code as 0 or negative errno: -ENOENT for MDB_NOTFOUND, -ENOSPC for a full disk (a
 * quota and the largest size of a file included), -EDQUOT for a full map, -EBADMSG for damage. */
int tree_error(int code);
/* Says what is damaged and returns -EBADMSG. */
int tree_damaged(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Where a caller cannot be told of an error: a fault. */
_Noreturn void tree_fail(const struct tree *tree, uint16_t shard, int error);

/* Notes whether the shard has keys of generations gone by. */
void tree_note_dead(struct tree *tree, uint16_t shard, const struct tree_record *record);

/* 0, or negative errno. */
int tree_record_load(struct tree *tree, MDB_txn *txn, uint16_t shard, struct tree_record *out);
int tree_record_store(
	struct tree *tree, MDB_txn *txn, uint16_t shard, const struct tree_record *record);

static inline uint64_t tree_read_u64(const void *bytes)
{
	uint64_t number;
	memcpy(&number, bytes, sizeof number);
	return le64toh(number);
}

static inline void tree_write_u64(void *out, uint64_t number)
{
	number = htole64(number);
	memcpy(out, &number, sizeof number);
}

static inline uint32_t tree_read_u32(const void *bytes)
{
	uint32_t number;
	memcpy(&number, bytes, sizeof number);
	return le32toh(number);
}

static inline void tree_write_u32(void *out, uint32_t number)
{
	number = htole32(number);
	memcpy(out, &number, sizeof number);
}

static inline uint64_t tree_read_ordered(const void *bytes)
{
	uint64_t number;
	memcpy(&number, bytes, sizeof number);
	return be64toh(number);
}

static inline void tree_write_ordered(void *out, uint64_t number)
{
	number = htobe64(number);
	memcpy(out, &number, sizeof number);
}

#endif
