/*
 * tree_index: the keys under which the expiry index files a store key.
 *
 * A time is signed, and LMDB compares bytes: with its sign bit flipped and its most significant
 * byte first, byte order is time order. Entries hold nothing but their key; what the key's value
 * says of its life is looked up there, so that extending a life need not move the entry.
 *
 * Threads: none of its own.
 */
#include "store/tree_index.h"

#include "store/tree_private.h"

#include <assert.h>

#define SIGN_BIT ((uint64_t)1 << 63)

void tree_index_key_make(struct tree_index_key *out, int64_t filed_ms, struct slice key)
{
	assert(key.size <= STORE_FORMAT_KEY_BYTES_MAX);
	out->bytes[0] = (char)STORE_FORMAT_TABLE_INDEX;
	tree_write_ordered(out->bytes + 1, (uint64_t)filed_ms ^ SIGN_BIT);
	if (key.size > 0)
		memcpy(out->bytes + STORE_FORMAT_INDEX_PREFIX_BYTES, key.data, key.size);
	out->size = STORE_FORMAT_INDEX_PREFIX_BYTES + key.size;
}

int tree_index_key_parse(const struct tree_layers *position, int64_t *filed_ms, struct slice *key)
{
	struct slice bytes = position->key;
	if (bytes.size <= STORE_FORMAT_INDEX_PREFIX_BYTES || position->value.mv_size != 0)
		return tree_damaged("an entry of the expiry index has %zu and %zu bytes",
			bytes.size, position->value.mv_size);
	*filed_ms = (int64_t)(tree_read_ordered(bytes.data + 1) ^ SIGN_BIT);
	*key = slice_of(bytes.data + STORE_FORMAT_INDEX_PREFIX_BYTES,
		bytes.size - STORE_FORMAT_INDEX_PREFIX_BYTES);
	if ((unsigned char)key->data[0] >= TABLE_TREE_FIRST)
		return tree_damaged("the expiry index names a key that is not the store's");
	return 0;
}
