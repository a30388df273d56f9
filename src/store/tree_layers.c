/*
 * tree_layers: a trie of B-trees inside one LMDB sub-database.
 *
 * LMDB sorts keys of at most 511 bytes. A longer key is cut into slices; each slice but the last
 * leads to a layer, in which the rest of all keys with that beginning stands:
 *
 *   root     aaaa...a 01 -> layer 7        (500 bytes and the kind)
 *            aaab                          (short keys stand as themselves)
 *   layer 7  [F2][7] bb                    the key aaaa...abb
 *            [F2][7] bc...c 01 -> layer 9
 *
 * Order is exact: within one layer a slice that is a proper prefix of another stands before it, and
 * of two entries with the same full slice the key that ends there (kind 00) stands before those
 * that go on (kind 01). Slices shorter than the full width need no kind byte, as no full slice plus
 * kind can equal them.
 *
 * A position is the LMDB cursor on the last slice's entry, plus `path`, the slices above it, from
 * which the entries that led here are found again on the way up. What is read from disk is checked
 * before use: a malformed slice, a layer that is empty or a way down deeper than the longest key is
 * damage, not an endless walk.
 *
 * Threads: belongs to whoever owns the cursor.
 */
#include "store/tree_layers.h"

#include "store/tree_private.h"

#include <assert.h>
#include <errno.h>

/* One LMDB key. */
struct slot {
	size_t size;
	bool continues; /* more of the key stands in a layer below */
	char bytes[STORE_FORMAT_ROOT_SLICE_BYTES + 11];
};

static int read_entry(
	struct tree_layers *layers, const struct slot *slot, MDB_cursor_op op, MDB_val *entry);
static void slot_make(struct slot *slot, const struct tree_layers *layers, struct slice key);
static int descend(struct tree_layers *layers, struct slice key, struct slot *slot);
static int come_to_key(struct tree_layers *layers, int rc, MDB_val *entry, bool forward);
static int layer_number(const MDB_val *value, uint64_t *out);
static bool in_layer(const struct tree_layers *layers, const MDB_val *entry);
static void layer_start(struct slot *slot, uint64_t number);
static int first_of_layer(struct tree_layers *layers, MDB_val *entry);

void tree_layers_init(struct tree_layers *layers, MDB_cursor *cursor)
{
	layers->cursor = cursor;
	layers->table = TREE_LAYERS_STORE;
	layers->level = 0;
	layers->numbers[0] = 0;
	layers->key = slice_of(layers->path, 0);
}

int tree_layers_find(struct tree_layers *layers, struct slice key, MDB_val *value)
{
	assert(key.size > 0);
	assert(key.size <= TREE_LAYERS_KEY_BYTES_MAX);
	struct slot slot;
	int rc = descend(layers, key, &slot);
	MDB_val entry;
	if (rc == 0)
		rc = slot.continues ? -ENOENT : read_entry(layers, &slot, MDB_SET, &entry);
	*value = layers->value;
	if (rc != -ENOENT || layers->level == 0)
		return rc;
	/* Not there, or the way down is wrong and leads to where nothing is? */
	rc = first_of_layer(layers, &entry);
	return rc < 0 ? rc : -ENOENT;
}

int tree_layers_seek(
	struct tree_layers *layers, enum tree_layers_table table, struct slice key, bool after)
{
	assert(key.size <= TREE_LAYERS_KEY_BYTES_MAX);
	layers->table = table;
	struct slot slot;
	int rc = descend(layers, key, &slot);
	if (rc < 0)
		return rc;
	MDB_val entry;
	rc = read_entry(layers, &slot, slot.size ? MDB_SET_RANGE : MDB_FIRST, &entry);
	if (rc == 0 && after && !slot.continues &&
		slice_equal(
			slice_of(entry.mv_data, entry.mv_size), slice_of(slot.bytes, slot.size)))
		rc = read_entry(layers, NULL, MDB_NEXT, &entry);
	return come_to_key(layers, rc, &entry, true);
}

int tree_layers_seek_before(
	struct tree_layers *layers, enum tree_layers_table table, struct slice key)
{
	assert(key.size <= TREE_LAYERS_KEY_BYTES_MAX);
	layers->table = table;
	if (key.size == 0)
		return -ENOENT;
	/* Tables of the tree's own stand behind the store's keys: start no further than there. */
	static const char behind[] = { (char)STORE_FORMAT_TABLE_INDEX,
		(char)STORE_FORMAT_TABLE_CHUNKS };
	struct slice bound = slice_of(&behind[table == TREE_LAYERS_INDEX], 1);
	struct slot slot;
	int rc = descend(layers, slice_compare(key, bound) < 0 ? key : bound, &slot);
	if (rc < 0)
		return rc;
	MDB_val entry;
	rc = read_entry(layers, &slot, MDB_SET_RANGE, &entry);
	if (rc == 0)
		rc = read_entry(layers, NULL, MDB_PREV, &entry);
	else if (rc == -ENOENT)
		rc = read_entry(layers, NULL, MDB_LAST, &entry);
	return come_to_key(layers, rc, &entry, false);
}

int tree_layers_next(struct tree_layers *layers)
{
	MDB_val entry;
	int rc = read_entry(layers, NULL, MDB_NEXT, &entry);
	return come_to_key(layers, rc, &entry, true);
}

int tree_layers_previous(struct tree_layers *layers)
{
	MDB_val entry;
	int rc = read_entry(layers, NULL, MDB_PREV, &entry);
	return come_to_key(layers, rc, &entry, false);
}

int tree_layers_put(struct tree_layers *layers, struct slice key, size_t size, uint64_t *next_layer,
	char **room)
{
	assert(key.size > 0);
	assert(key.size <= TREE_LAYERS_KEY_BYTES_MAX);
	struct slot slot;
	int rc = descend(layers, key, &slot);
	while (rc == 0 && slot.continues) {
		char number[STORE_FORMAT_LAYER_NUMBER_BYTES];
		tree_write_u64(number, *next_layer);
		MDB_val name = { slot.size, slot.bytes };
		MDB_val value = { sizeof number, number };
		rc = tree_error(mdb_cursor_put(layers->cursor, &name, &value, 0));
		layers->numbers[++layers->level] = (*next_layer)++;
		slot_make(&slot, layers, key);
	}
	if (rc < 0)
		return rc;
	MDB_val name = { slot.size, slot.bytes };
	MDB_val value = { size, NULL };
	rc = tree_error(mdb_cursor_put(layers->cursor, &name, &value, MDB_RESERVE));
	*room = value.mv_data;
	return rc;
}

int tree_layers_delete(struct tree_layers *layers, struct slice key)
{
	MDB_val value;
	int rc = tree_layers_find(layers, key, &value);
	if (rc == 0)
		rc = tree_error(mdb_cursor_del(layers->cursor, 0));
	while (rc == 0 && layers->level > 0) {
		struct slot slot;
		MDB_val entry;
		layer_start(&slot, layers->numbers[layers->level]);
		rc = read_entry(layers, &slot, MDB_SET_RANGE, &entry);
		if (rc == 0 && in_layer(layers, &entry))
			return 0;
		if (rc < 0 && rc != -ENOENT)
			return rc;
		layers->level--;
		slot_make(&slot, layers, key);
		rc = read_entry(layers, &slot, MDB_SET, &entry);
		if (rc == 0)
			rc = tree_error(mdb_cursor_del(layers->cursor, 0));
	}
	return rc;
}

/* Where the slice of `level` starts in a key. */
static size_t level_offset(int level)
{
	return level == 0 ? 0
			  : STORE_FORMAT_ROOT_SLICE_BYTES +
			(size_t)(level - 1) * STORE_FORMAT_LAYER_SLICE_BYTES;
}

static size_t level_width(int level)
{
	return level == 0 ? STORE_FORMAT_ROOT_SLICE_BYTES : STORE_FORMAT_LAYER_SLICE_BYTES;
}

static size_t level_prefix(int level)
{
	return level == 0 ? 0 : STORE_FORMAT_LAYER_PREFIX_BYTES;
}

/* The LMDB key under which the key's slice stands at the present level. */
static void slot_make(struct slot *slot, const struct tree_layers *layers, struct slice key)
{
	int level = layers->level;
	size_t offset = level_offset(level), width = level_width(level);
	assert(key.size >= offset);
	char *end = slot->bytes;
	if (level > 0) {
		*end++ = (char)STORE_FORMAT_TABLE_LAYERS;
		tree_write_ordered(end, layers->numbers[level]);
		end += sizeof(uint64_t);
	}
	size_t rest = key.size - offset;
	slot->continues = rest > width;
	size_t taken = slot->continues ? width : rest;
	if (taken > 0)
		memcpy(end, key.data + offset, taken);
	end += taken;
	if (taken == width)
		*end++ = slot->continues ? STORE_FORMAT_KIND_CONTINUES : STORE_FORMAT_KIND_ENDS;
	slot->size = (size_t)(end - slot->bytes);
}

/* Follows the key down as far as there are layers. Afterwards `slot` is where the key's last slice
 * stands or would, or the way on that is missing (`continues`). */
static int descend(struct tree_layers *layers, struct slice key, struct slot *slot)
{
	layers->level = 0;
	slot_make(slot, layers, key);
	if (!slot->continues)
		return 0;
	memmove(layers->path, key.data, key.size);
	while (slot->continues) {
		MDB_val entry;
		int rc = read_entry(layers, slot, MDB_SET, &entry);
		if (rc == -ENOENT)
			return 0;
		uint64_t number;
		if (rc == 0)
			rc = layer_number(&layers->value, &number);
		if (rc < 0)
			return rc;
		layers->numbers[++layers->level] = number;
		slot_make(slot, layers, key);
	}
	return 0;
}

/* Moves the cursor; `entry` is the LMDB key there. `slot` NULL for moves that take none. */
static int read_entry(
	struct tree_layers *layers, const struct slot *slot, MDB_cursor_op op, MDB_val *entry)
{
	if (slot)
		*entry = (MDB_val){ slot->size, (void *)(uintptr_t)slot->bytes };
	return tree_error(mdb_cursor_get(layers->cursor, entry, &layers->value, op));
}

static bool in_layer(const struct tree_layers *layers, const MDB_val *entry)
{
	const unsigned char *bytes = entry->mv_data;
	if (layers->level == 0 && layers->table == TREE_LAYERS_INDEX)
		return bytes[0] == STORE_FORMAT_TABLE_INDEX;
	if (layers->level == 0)
		return bytes[0] < STORE_FORMAT_TABLE_INDEX;
	return entry->mv_size >= STORE_FORMAT_LAYER_PREFIX_BYTES &&
		bytes[0] == STORE_FORMAT_TABLE_LAYERS &&
		tree_read_ordered(bytes + 1) == layers->numbers[layers->level];
}

static int layer_number(const MDB_val *value, uint64_t *out)
{
	if (value->mv_size != STORE_FORMAT_LAYER_NUMBER_BYTES)
		return tree_damaged("a way into a layer has %zu bytes", value->mv_size);
	*out = tree_read_u64(value->mv_data);
	return *out ? 0 : tree_damaged("a way into layer 0");
}

/* The smallest LMDB key that an entry of the layer could have. */
static void layer_start(struct slot *slot, uint64_t number)
{
	slot->size = STORE_FORMAT_LAYER_PREFIX_BYTES;
	slot->bytes[0] = (char)STORE_FORMAT_TABLE_LAYERS;
	tree_write_ordered(slot->bytes + 1, number);
}

/* To the first entry of the present layer, which must have one. */
static int first_of_layer(struct tree_layers *layers, MDB_val *entry)
{
	struct slot slot;
	uint64_t number = layers->numbers[layers->level];
	layer_start(&slot, number);
	int rc = read_entry(layers, &slot, MDB_SET_RANGE, entry);
	if (rc == -ENOENT || (rc == 0 && !in_layer(layers, entry)))
		return tree_damaged("layer %llu is empty", (unsigned long long)number);
	return rc;
}

/* Takes the entry's slice as the key's slice at this level. `*continues`: it leads to a layer. */
static int take_slice(struct tree_layers *layers, const MDB_val *entry, bool *continues)
{
	size_t width = level_width(layers->level), prefix = level_prefix(layers->level);
	const char *bytes = (const char *)entry->mv_data + prefix;
	size_t size = entry->mv_size - prefix;
	size_t offset = level_offset(layers->level);
	*continues = false;
	if (size == 0)
		return tree_damaged("an entry of a layer has no key");
	if (size == width + 1) {
		size--;
		*continues = bytes[size] == STORE_FORMAT_KIND_CONTINUES;
		if (!*continues && bytes[size] != STORE_FORMAT_KIND_ENDS)
			return tree_damaged("a key's slice is of kind %d", bytes[size]);
	} else if (size >= width) {
		return tree_damaged("a key's slice has %zu bytes", size);
	}
	if (offset + size > TREE_LAYERS_KEY_BYTES_MAX)
		return tree_damaged("a key has more than %d bytes", TREE_LAYERS_KEY_BYTES_MAX);
	if (layers->level == 0 && !*continues) {
		layers->key = slice_of(bytes, size);
		return 0;
	}
	memcpy(layers->path + offset, bytes, size);
	layers->key = slice_of(layers->path, offset + size);
	return 0;
}

/* Into the layer that the present entry leads to: to its first or last entry. */
static int enter_layer(struct tree_layers *layers, MDB_val *entry, bool forward)
{
	uint64_t number;
	int rc = layer_number(&layers->value, &number);
	if (rc < 0)
		return rc;
	if (layers->level + 1 == TREE_LAYERS_LEVELS)
		return tree_damaged("layer %llu is too deep", (unsigned long long)number);
	layers->numbers[++layers->level] = number;
	if (forward)
		return first_of_layer(layers, entry);
	struct slot slot;
	layer_start(&slot, number + 1);
	rc = read_entry(layers, &slot, MDB_SET_RANGE, entry);
	if (rc == 0)
		rc = read_entry(layers, NULL, MDB_PREV, entry);
	else if (rc == -ENOENT)
		rc = read_entry(layers, NULL, MDB_LAST, entry);
	if (rc == -ENOENT || (rc == 0 && !in_layer(layers, entry)))
		return tree_damaged("layer %llu is empty", (unsigned long long)number);
	return rc;
}

/* Out of a layer at its end: to the neighbour of the entry that led into it. */
static int leave_layer(struct tree_layers *layers, MDB_val *entry, bool forward)
{
	layers->level--;
	struct slot slot;
	size_t end = level_offset(layers->level + 1);
	/* One byte more than the path makes the slot say that the key goes on. */
	slot_make(&slot, layers, slice_of(layers->path, end + 1));
	int rc = read_entry(layers, &slot, MDB_SET, entry);
	if (rc == -ENOENT)
		return tree_damaged("the way into a layer is gone");
	return rc < 0 ? rc : read_entry(layers, NULL, forward ? MDB_NEXT : MDB_PREV, entry);
}

/* From wherever a move has led (`rc`, `entry`) to the nearest whole key in the direction. */
static int come_to_key(struct tree_layers *layers, int rc, MDB_val *entry, bool forward)
{
	for (;;) {
		if (rc < 0 && rc != -ENOENT)
			return rc;
		if (rc == -ENOENT || !in_layer(layers, entry)) {
			if (layers->level == 0)
				return -ENOENT;
			rc = leave_layer(layers, entry, forward);
			if (rc == -EBADMSG)
				return rc;
			continue;
		}
		bool continues;
		rc = take_slice(layers, entry, &continues);
		if (rc < 0 || !continues)
			return rc;
		rc = enter_layer(layers, entry, forward);
		if (rc < 0)
			return rc;
	}
}
