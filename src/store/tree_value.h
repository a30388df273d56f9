/*
 * tree_value: values as bytes in LMDB: a header, and data in place or in chunks (store_format.h,
 * VALUES).
 */
#ifndef STORE_TREE_VALUE_H
#define STORE_TREE_VALUE_H

#include "base/arena.h"
#include "base/slice.h"
#include "store/value.h"

#include <lmdb.h>

struct tree_value {
	uint8_t type;
	bool chunked;
	int64_t expire_ms;    /* 0: none */
	int64_t filed_ms;     /* where the expiry index has it; 0 exactly when expire_ms is */
	uint64_t size;        /* of the data */
	uint64_t number;      /* of a chunked value */
	struct slice payload; /* what follows the header: data, or the descriptor */
};

/* 0, or -EBADMSG after a line that says why. `payload` points into the entry. */
int tree_value_parse(const MDB_val *entry, struct tree_value *out);

/* Whether data of this size is kept in chunks, given the times that its header holds. */
bool tree_value_is_large(int64_t expire_ms, int64_t filed_ms, size_t data_size);
/* Bytes of the header; tree_value_write_header fills as many. */
size_t tree_value_header_size(int64_t expire_ms, int64_t filed_ms);
void tree_value_write_header(
	char *out, uint8_t type, bool chunked, int64_t expire_ms, int64_t filed_ms);
void tree_value_write_descriptor(char *out, uint64_t data_size, uint64_t number);

/* As tree_get_extent's contract has it; `cursor` is moved for a chunked value whose data is wanted.
 * 0, or negative errno. */
int tree_value_load(const struct tree_value *value, MDB_cursor *cursor, struct arena *arena,
	struct extent extent, struct value *out);
/* The chunks of one large value. 0, or negative errno; -EBADMSG when one to delete is not there. */
int tree_value_write_chunks(MDB_cursor *cursor, uint64_t number, struct slice data);
int tree_value_delete_chunks(MDB_cursor *cursor, const struct tree_value *value);

#endif
