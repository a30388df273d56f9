/*
 * fuzz_store: damaged data files. Usage: fuzz_store [count [first seed]].
 *
 * A few small trees are built once. Each round takes one of them, damages it and lets a child
 * process open it, read every key by look-up and by walks in both directions, delete everything in
 * a checkpoint and read again. The child may
 *
 *   - find everything as it was written,
 *   - be refused by tree_open or by the checkpoint with an error, or
 *   - end in abort() behind a line that speaks of damage.
 *
 * It may not get wrong data, end by another signal, hang, or make a sanitizer speak.
 *
 * Damage is done in two ways. To the file: cut short at any length, garbage in place of everything,
 * fields of the meta pages, pages of trees zeroed (a lost write). To single entries, through LMDB
 * itself: value headers, descriptors, chunks, ways into layers, slices, the index, the records of
 * the shards, sub-databases that are missing.
 *
 * What LMDB cannot detect, having no checksums, and the tree's format cannot either, is left out:
 *
 *   - changed bytes within a key or a value's data, a time, a type or a count that is still valid
 *   - a whole entry that is missing, and ways that lead to another existing layer
 *   - a meta page whose transaction number or root names another, older state of the file: its
 *     pages may have been used again since
 *   - a list of free pages that names pages in use: later writes destroy them
 *   - pages of trees with plausible heads and arbitrary offsets, which LMDB follows where they lead
 *     (at worst to SIGSEGV), and any damage to pages that hold large values
 */
#include "store/tree.h"

#include "holdfast/store_format.h"

#include "base/logline.h"
#include "base/memory.h"
#include "base/random.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lmdb.h>

#define TREES      4
#define SHARDS     2
#define KEYS       120 /* of a tree, at most */
#define CHUNK      STORE_FORMAT_CHUNK_BYTES
#define PAGE_BYTES 4096
#define SECONDS    60 /* for one child */
#define START_MS   1700000000000

enum outcome { OUTCOME_INTACT = 0, OUTCOME_REFUSED = 10, OUTCOME_FAILED = 11, OUTCOME_WRONG = 20 };

struct entry {
	uint16_t shard;
	struct slice key;
	struct slice data;
	int64_t expire_ms;
};

struct sample {
	struct entry entries[KEYS]; /* sorted by shard, then key */
	int count;
	char *file;
	size_t file_size;
};

static struct sample samples[TREES];
static char directory[64], path[96], log_path[96];
static struct random dice;
static const struct hash_secret secret = { 1, 2 };

static unsigned below(unsigned bound)
{
	return (unsigned)random_below(&dice, bound);
}

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_store: %s (errno %d)\n", what, errno);
	exit(1);
}

static int open_tree(struct tree **tree, char *error, size_t error_size)
{
	struct tree_options options = {
		.path = path, .map_bytes = 64 << 20, .shards_if_new = SHARDS, .now_ms = START_MS
	};
	return tree_open(tree, &options, error, error_size);
}

/* --- building samples ------------------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
	const struct entry *first = a, *second = b;
	return first->shard != second->shard ? first->shard - second->shard
					     : slice_compare(first->key, second->key);
}

static struct slice some_bytes(size_t size, bool same)
{
	char *bytes = memory_alloc(size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = same ? 'a' : (char)random_next(&dice);
	return slice_of(bytes, size);
}

static void make_entry(struct entry *entry)
{
	static const size_t sizes[] = { 5, 40, 480, 499, 500, 501, 700, 989, 990, 991, 1600, 4600 };
	entry->shard = (uint16_t)below(SHARDS);
	if (below(3) == 0) {
		struct key key;
		struct slice name = some_bytes(1 + below(100), false);
		key_of_string(&key, &secret, (uint8_t)below(2), 0, name);
		memory_free((void *)(uintptr_t)name.data);
		char *copy = memory_alloc(key.size);
		memcpy(copy, key.bytes, key.size);
		entry->key = slice_of(copy, key.size);
	} else {
		size_t size = sizes[below(sizeof sizes / sizeof *sizes)];
		entry->key = some_bytes(size, true);
		char *bytes = (char *)(uintptr_t)entry->key.data;
		bytes[0] = 0x10;
		bytes[size - 1 - below(size < 3 ? 1 : 3)] = (char)below(256);
	}
	entry->data = some_bytes(below(12) == 0 ? CHUNK + below(3 * CHUNK) : below(400), false);
	entry->expire_ms = below(2) ? START_MS + below(1000000) : 0;
}

static void write_all(struct tree *tree, const struct sample *sample, bool extended)
{
	struct tree_checkpoint *checkpoint;
	check(tree_checkpoint_begin(tree, &checkpoint) == 0, "begin");
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		struct overlay *overlay = overlay_new();
		for (int i = 0; i < sample->count; i++) {
			const struct entry *entry = &sample->entries[i];
			int64_t early_ms = !extended && entry->expire_ms && i % 2 ? 500 : 0;
			struct effect effect = { .kind = EFFECT_PUT,
				.type = VALUE_STRING,
				.shard = shard,
				.expire_ms = entry->expire_ms - early_ms,
				.key = entry->key,
				.value = entry->data };
			if (entry->shard == shard)
				overlay_apply(overlay, &effect, 1);
		}
		check(tree_checkpoint_shard(checkpoint, shard, overlay, 1, 0) == 0, "write");
		overlay_free(&overlay);
	}
	check(tree_checkpoint_commit(&checkpoint) == 0, "commit");
}

static void make_sample(struct sample *sample, int keys)
{
	for (int i = 0; i < keys; i++) {
		struct entry entry;
		make_entry(&entry);
		bool known = false;
		for (int j = 0; j < sample->count; j++)
			known |= slice_equal(sample->entries[j].key, entry.key);
		if (!known) {
			sample->entries[sample->count++] = entry;
			continue;
		}
		memory_free((void *)(uintptr_t)entry.key.data);
		memory_free((void *)(uintptr_t)entry.data.data);
	}
	qsort(sample->entries, (size_t)sample->count, sizeof *sample->entries, compare_entries);
	struct tree *tree;
	char error[256];
	unlink(path);
	check(open_tree(&tree, error, sizeof error) == 0, "open");
	/* Twice, so that some values are filed earlier than they expire. */
	write_all(tree, sample, false);
	write_all(tree, sample, true);
	tree_close(&tree);
	int fd = open(path, O_RDONLY);
	struct stat status;
	check(fd >= 0 && fstat(fd, &status) == 0, "stat");
	sample->file_size = (size_t)status.st_size;
	sample->file = memory_alloc(sample->file_size);
	check(read(fd, sample->file, sample->file_size) == (ssize_t)sample->file_size, "read");
	close(fd);
}

static void write_file(const char *bytes, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	check(fd >= 0 && write(fd, bytes, size) == (ssize_t)size, "write");
	close(fd);
}

/* --- damage to the file ----------------------------------------------------------------------- */

static uint64_t odd_number(void)
{
	static const uint64_t odd[] = { 0, 1, 2, 3, 31, 32, 33, 255, 65535, 65536, 1u << 31,
		UINT32_MAX, 1ull << 40, 1ull << 47, 1ull << 63, UINT64_MAX - 1, UINT64_MAX };
	return below(3) ? odd[below(sizeof odd / sizeof *odd)] : random_next(&dice);
}

/* Fields of the newer meta page whose damage must show: offset and width. */
static void damage_meta(char *file)
{
	static const struct {
		size_t at, width;
	} fields[] = {
		{ 10, 2 },  /* flags */
		{ 16, 4 },  /* magic */
		{ 20, 4 },  /* version */
		{ 40, 4 },  /* page size */
		{ 46, 2 },  /* depth of the list of free pages */
		{ 80, 8 },  /* its root */
		{ 94, 2 },  /* depth of the main database */
		{ 128, 8 }, /* its root */
		{ 136, 8 }, /* last page */
	};
	uint64_t first, second, pages;
	memcpy(&first, file + 144, 8);
	memcpy(&second, file + PAGE_BYTES + 144, 8);
	char *meta = second > first ? file + PAGE_BYTES : file;
	memcpy(&pages, meta + 136, 8);
	unsigned i = below(sizeof fields / sizeof *fields);
	uint64_t number = odd_number();
	/* Another page that exists may be the root of an older state. */
	bool is_root = fields[i].at == 80 || fields[i].at == 128;
	if (is_root && number >= 2 && number <= pages)
		number = pages + 1 + below(1000);
	number = htole64(number);
	memcpy(meta + fields[i].at, &number, fields[i].width);
}

static void zero_a_page(char *file, size_t size)
{
	for (int tries = 0; tries < 1000; tries++) {
		char *page = file + PAGE_BYTES * (2 + below((unsigned)(size / PAGE_BYTES) - 2));
		uint64_t number;
		memcpy(&number, page, sizeof number);
		/* A page of a tree says so, and has its own number. */
		bool own = number == (uint64_t)(page - file) / PAGE_BYTES;
		if (own && (page[10] == 1 || page[10] == 2) && page[11] == 0) {
			memset(page, 0, PAGE_BYTES);
			return;
		}
	}
}

static void damage_file(const struct sample *sample)
{
	char *copy = memory_alloc(sample->file_size);
	memcpy(copy, sample->file, sample->file_size);
	size_t size = sample->file_size;
	switch (below(4)) {
	case 0:
		size = 1 + random_below(&dice, size);
		break;
	case 1:
		size = 1 + random_below(&dice, below(2) ? size : 400);
		for (size_t i = 0; i < size; i++)
			copy[i] = (char)random_next(&dice);
		break;
	case 2:
		damage_meta(copy);
		break;
	default:
		zero_a_page(copy, size);
	}
	write_file(copy, size);
	memory_free(copy);
}

/* --- damage to entries ------------------------------------------------------------------------ */

struct raw {
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi meta, dbi;
	MDB_cursor *cursor;
	char name[32]; /* of the shard */
};

static void raw_open(struct raw *raw)
{
	int rc = mdb_env_create(&raw->env);
	rc = rc ? rc : mdb_env_set_maxdbs(raw->env, 8);
	rc = rc ? rc : mdb_env_set_mapsize(raw->env, 64 << 20);
	rc = rc ? rc : mdb_env_open(raw->env, path, MDB_NOSUBDIR | MDB_NOSYNC, 0600);
	rc = rc ? rc : mdb_txn_begin(raw->env, NULL, 0, &raw->txn);
	rc = rc ? rc : mdb_dbi_open(raw->txn, STORE_FORMAT_META_NAME, 0, &raw->meta);
	snprintf(raw->name, sizeof raw->name, STORE_FORMAT_SHARD_NAME, below(SHARDS));
	rc = rc ? rc : mdb_dbi_open(raw->txn, raw->name, 0, &raw->dbi);
	rc = rc ? rc : mdb_cursor_open(raw->txn, raw->dbi, &raw->cursor);
	check(rc == 0, "raw open");
}

static void raw_close(struct raw *raw)
{
	mdb_cursor_close(raw->cursor);
	check(mdb_txn_commit(raw->txn) == 0, "raw commit");
	mdb_env_close(raw->env);
}

static bool is_way(const MDB_val *key)
{
	const unsigned char *bytes = key->mv_data;
	size_t full = bytes[0] == STORE_FORMAT_TABLE_LAYERS ? 500 : 501;
	return key->mv_size == full && bytes[full - 1] == STORE_FORMAT_KIND_CONTINUES;
}

enum kind { KIND_VALUE, KIND_DESCRIPTOR, KIND_CHUNK, KIND_WAY, KIND_INDEX };

static bool is_kind(enum kind kind, const MDB_val *key, const MDB_val *value)
{
	const unsigned char *bytes = key->mv_data, *data = value->mv_data;
	bool store = bytes[0] < STORE_FORMAT_TABLE_INDEX && !is_way(key);
	switch (kind) {
	case KIND_VALUE:
		return store;
	case KIND_DESCRIPTOR:
		return store && (data[1] & STORE_FORMAT_FLAG_CHUNKED);
	case KIND_CHUNK:
		return bytes[0] == STORE_FORMAT_TABLE_CHUNKS;
	case KIND_WAY:
		return is_way(key);
	default:
		return bytes[0] == STORE_FORMAT_TABLE_INDEX && !is_way(key);
	}
}

/* The cursor to a random entry of the kind; copies of its key and value. False when there is
 * none. */
static bool raw_pick(
	struct raw *raw, enum kind kind, char *key_copy, MDB_val *key, char *copy, MDB_val *value)
{
	int seen = 0, chosen = -1;
	for (int pass = 0; pass < 2; pass++) {
		int rc = mdb_cursor_get(raw->cursor, key, value, MDB_FIRST);
		for (int i = 0; rc == 0; rc = mdb_cursor_get(raw->cursor, key, value, MDB_NEXT)) {
			if (!is_kind(kind, key, value))
				continue;
			if (pass == 1 && i == chosen)
				goto found;
			i++;
			seen += pass == 0;
		}
		if (seen == 0)
			return false;
		if (pass == 0)
			chosen = (int)below((unsigned)seen);
	}
	return false;
found:
	memcpy(key_copy, key->mv_data, key->mv_size);
	memcpy(copy, value->mv_data, value->mv_size);
	key->mv_data = key_copy;
	value->mv_data = copy;
	return true;
}

/* Malforms a value's header in one of the ways that the format excludes. */
static void damage_header(char *bytes, size_t *size)
{
	uint64_t number;
	size_t times = (size_t)((bytes[1] & 1) + (bytes[1] >> 1 & 1));
	switch (below(7)) {
	case 0:
		*size = below(2);
		break;
	case 1:
		*size = times ? 2 + below((unsigned)(8 * times)) : 1;
		break;
	case 2:
		bytes[0] = 0;
		break;
	case 3:
		bytes[1] = (char)(bytes[1] | (8 << below(5)));
		break;
	case 4: /* filed, and does not expire */
		bytes[1] = (char)((bytes[1] & ~STORE_FORMAT_FLAG_EXPIRE) | STORE_FORMAT_FLAG_FILED);
		break;
	case 5: /* expires at no time, or before it was filed */
		number = times == 2 ? 1 : 0;
		bytes[1] = (char)(bytes[1] | STORE_FORMAT_FLAG_EXPIRE);
		*size = *size < 10 ? 10 : *size;
		memcpy(bytes + 2, &number, sizeof number);
		break;
	default: /* longer than any value in place */
		*size = STORE_FORMAT_INLINE_BYTES_MAX + 1 + below(1000);
	}
}

static void damage_descriptor(char *bytes, size_t *size)
{
	size_t header = 2 + 8 * (size_t)((bytes[1] & 1) + (bytes[1] >> 1 & 1));
	uint64_t number = htole64(odd_number());
	switch (below(3)) {
	case 0:
		*size = header + below(STORE_FORMAT_DESCRIPTOR_BYTES);
		break;
	case 1:
		memcpy(bytes + header, &number, sizeof number);
		break;
	default: /* a number that no value has */
		number = htole64(1000000 + (odd_number() >> 1));
		memcpy(bytes + header + 8, &number, sizeof number);
	}
}

/* One entry of the kind gets another value. */
static void damage_value(struct raw *raw, enum kind kind)
{
	static char bytes[STORE_FORMAT_INLINE_BYTES_MAX + 4096];
	char key_copy[512];
	MDB_val key, value;
	if (!raw_pick(raw, kind, key_copy, &key, bytes, &value))
		return;
	size_t size = value.mv_size;
	uint64_t number = htole64(below(2) ? 0 : 1000000 + below(1000));
	switch (kind) {
	case KIND_VALUE:
		damage_header(bytes, &size);
		break;
	case KIND_DESCRIPTOR:
		damage_descriptor(bytes, &size);
		break;
	case KIND_CHUNK:
		size = below(2) ? below((unsigned)size) : size + 1 + below(100);
		break;
	case KIND_WAY:
		if (below(2))
			size = below(2) ? below(8) : 9 + below(20);
		memcpy(bytes, &number, sizeof number);
		break;
	default:
		size = 1 + below(20);
	}
	value = (MDB_val){ size, bytes };
	check(mdb_put(raw->txn, raw->dbi, &key, &value, 0) == 0, "raw put");
}

static void remove_entry(struct raw *raw, enum kind kind)
{
	static char bytes[STORE_FORMAT_INLINE_BYTES_MAX];
	char key_copy[512];
	MDB_val key, value;
	if (raw_pick(raw, kind, key_copy, &key, bytes, &value))
		check(mdb_del(raw->txn, raw->dbi, &key, NULL) == 0, "raw delete");
}

/* All entries of one layer go; the way into it stays. */
static void empty_a_layer(struct raw *raw)
{
	char key_copy[512], copy[STORE_FORMAT_INLINE_BYTES_MAX], prefix[9];
	MDB_val key, value;
	if (!raw_pick(raw, KIND_WAY, key_copy, &key, copy, &value))
		return;
	uint64_t number;
	memcpy(&number, copy, sizeof number);
	number = htobe64(le64toh(number));
	prefix[0] = (char)STORE_FORMAT_TABLE_LAYERS;
	memcpy(prefix + 1, &number, sizeof number);
	key = (MDB_val){ sizeof prefix, prefix };
	while (mdb_cursor_get(raw->cursor, &key, &value, MDB_SET_RANGE) == 0 &&
		memcmp(key.mv_data, prefix, sizeof prefix) == 0) {
		check(mdb_cursor_del(raw->cursor, 0) == 0, "raw delete");
		key = (MDB_val){ sizeof prefix, prefix };
	}
}

/* A slice that the format does not know, in the root or in a layer, or a nonsense index key. */
static void add_malformed_key(struct raw *raw)
{
	char bytes[511];
	memset(bytes, 'a', sizeof bytes);
	bytes[0] = 0x10;
	size_t size;
	switch (below(3)) {
	case 0:
		size = 501;
		bytes[500] = (char)(2 + below(200));
		break;
	case 1:
		size = below(2) ? 500 : 502 + below(9);
		break;
	default:
		size = 1 + below(9);
		bytes[0] = (char)STORE_FORMAT_TABLE_INDEX;
		memset(bytes + 1, 0, size - 1);
	}
	MDB_val key = { size, bytes }, value = { 3, (char[]){ 2, 0, 'x' } };
	if (bytes[0] != 0x10)
		value.mv_size = 0;
	check(mdb_put(raw->txn, raw->dbi, &key, &value, 0) == 0, "raw put");
}

static void damage_record(struct raw *raw)
{
	char bytes[1024] = { 0 };
	const char *name = below(3) ? raw->name : STORE_FORMAT_META_KEY;
	MDB_val key = { strlen(name), (void *)(uintptr_t)name }, value;
	check(mdb_get(raw->txn, raw->meta, &key, &value) == 0, "raw get");
	memcpy(bytes, value.mv_data, value.mv_size);
	size_t size = value.mv_size;
	uint64_t number = UINT64_MAX;
	bool format = name != raw->name;
	switch (below(4)) {
	case 0:
		size = below((unsigned)size);
		break;
	case 1:
		size += 1 + below(100);
		break;
	case 2:
		check(mdb_del(raw->txn, raw->meta, &key, NULL) == 0, "raw delete");
		return;
	default:
		if (format)
			bytes[below(14)] ^= (char)(1 << below(8));
		else if (below(2))
			memset(bytes + 8 + 8 * below(2), 0, 8);
		else /* more keys expire than there are */
			memcpy(bytes + 24 + 24 * below(16) + 16, &number, sizeof number);
	}
	value = (MDB_val){ size, bytes };
	check(mdb_put(raw->txn, raw->meta, &key, &value, 0) == 0, "raw put");
}

static void damage_entry(void)
{
	struct raw raw;
	raw_open(&raw);
	switch (below(11)) {
	case 0:
	case 1:
		damage_value(&raw, KIND_VALUE);
		break;
	case 2:
		damage_value(&raw, KIND_DESCRIPTOR);
		break;
	case 3:
		damage_value(&raw, KIND_CHUNK);
		break;
	case 4:
		damage_value(&raw, KIND_WAY);
		break;
	case 5:
		damage_value(&raw, KIND_INDEX);
		break;
	case 6:
		remove_entry(&raw, below(2) ? KIND_CHUNK : KIND_INDEX);
		break;
	case 7:
		empty_a_layer(&raw);
		break;
	case 8:
		add_malformed_key(&raw);
		break;
	case 9:
		damage_record(&raw);
		break;
	default: /* a sub-database is gone */
		check(mdb_drop(raw.txn, below(2) ? raw.dbi : raw.meta, 1) == 0, "raw drop");
	}
	raw_close(&raw);
}

/* --- the child -------------------------------------------------------------------------------- */

static bool same(const struct entry *entry, struct slice key, const struct value *value)
{
	return slice_equal(entry->key, key) && slice_equal(entry->data, value->data) &&
		entry->expire_ms == value->expire_ms && value->type == VALUE_STRING;
}

/* Reads entries first to last-1 of the sample, which are the shard's; true when all is right. */
static bool read_shard(struct tree_view *view, const struct entry *first, const struct entry *last)
{
	struct arena arena;
	arena_init(&arena, 1 << 16);
	struct slice key;
	struct value value;
	bool good = true;
	for (const struct entry *entry = first; entry < last; entry++)
		good &= tree_get(view, entry->key, &arena, &value) &&
			same(entry, entry->key, &value);
	struct tree_cursor *cursor = tree_cursor_open(view);
	bool found = tree_cursor_seek(cursor, slice_of("", 0), false, &key);
	for (const struct entry *entry = first; good && entry < last; entry++) {
		if (found)
			tree_cursor_value(cursor, &arena, &value);
		good = found && same(entry, key, &value);
		found = tree_cursor_next(cursor, &key);
	}
	good &= !found;
	found = tree_cursor_seek_before(cursor, slice_of("\xff", 1), &key);
	for (const struct entry *entry = last; good && entry > first; entry--) {
		good = found && slice_equal(entry[-1].key, key);
		found = tree_cursor_previous(cursor, &key);
	}
	good &= !found;
	tree_cursor_close(&cursor);
	struct tree_due_walk *walk = memory_zeroed(sizeof *walk);
	while (tree_next_due(view, INT64_MAX, walk, &arena, &key))
		continue;
	memory_free(walk);
	arena_fini(&arena);
	return good;
}

static bool read_all(struct tree *tree, const struct sample *sample, bool emptied)
{
	bool good = true;
	const struct entry *at = sample->entries, *end = at + sample->count;
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		struct tree_view *view;
		const struct entry *first = at;
		while (at < end && at->shard == shard)
			at++;
		if (tree_view_open(tree, shard, &view) < 0)
			exit(OUTCOME_FAILED);
		good &= read_shard(view, emptied ? at : first, at);
		tree_view_close(&view);
	}
	return good;
}

static int delete_all(struct tree *tree, const struct sample *sample)
{
	struct tree_checkpoint *checkpoint;
	int rc = tree_checkpoint_begin(tree, &checkpoint);
	for (uint16_t shard = 0; rc == 0 && shard < SHARDS; shard++) {
		struct overlay *overlay = overlay_new();
		for (int i = 0; i < sample->count; i++) {
			struct effect effect = {
				.kind = EFFECT_DELETE, .shard = shard, .key = sample->entries[i].key
			};
			if (sample->entries[i].shard == shard)
				overlay_apply(overlay, &effect, 2);
		}
		rc = tree_checkpoint_shard(checkpoint, shard, overlay, 2, START_MS * 2);
		overlay_free(&overlay);
	}
	if (rc == 0)
		return tree_checkpoint_commit(&checkpoint);
	tree_checkpoint_abort(&checkpoint);
	return rc;
}

static int use_damaged(const struct sample *sample)
{
	struct tree *tree;
	char error[256] = "";
	int rc = open_tree(&tree, error, sizeof error);
	if (rc < 0)
		return error[0] != '\0' && !tree ? OUTCOME_REFUSED : OUTCOME_WRONG;
	if (tree_shards(tree) != SHARDS || !read_all(tree, sample, false))
		return OUTCOME_WRONG;
	rc = delete_all(tree, sample);
	if (rc == 0 && !read_all(tree, sample, true))
		return OUTCOME_WRONG;
	tree_close(&tree);
	return rc < 0 ? OUTCOME_FAILED : OUTCOME_INTACT;
}

static bool log_speaks_of_damage(void)
{
	char text[8192];
	int fd = open(log_path, O_RDONLY);
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[size < 0 ? 0 : size] = '\0';
	return strstr(text, "damaged") != NULL;
}

/* One round; true when it ended in a way that is allowed. */
static bool round_of(uint64_t seed, int tally[4])
{
	random_seed(&dice, seed);
	const struct sample *sample = &samples[below(TREES)];
	unlink(log_path);
	pid_t child = fork();
	check(child >= 0, "fork");
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		alarm(SECONDS);
		logline_open(log_path);
		if (below(2)) {
			damage_file(sample);
		} else {
			write_file(sample->file, sample->file_size);
			damage_entry();
		}
		_exit(use_damaged(sample));
	}
	int status;
	check(waitpid(child, &status, 0) == child, "wait");
	bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && log_speaks_of_damage();
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	tally[0] += code == OUTCOME_INTACT;
	tally[1] += code == OUTCOME_REFUSED;
	tally[2] += code == OUTCOME_FAILED;
	tally[3] += aborted;
	if (aborted || code == OUTCOME_INTACT || code == OUTCOME_REFUSED || code == OUTCOME_FAILED)
		return true;
	fprintf(stderr, "fuzz_store: seed %llu: %s %d\n", (unsigned long long)seed,
		WIFSIGNALED(status) ? "signal" : "exit",
		WIFSIGNALED(status) ? WTERMSIG(status) : code);
	return false;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 500;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	const char *root = getenv("TMPDIR");
	snprintf(directory, sizeof directory, "%.40s/holdfast-XXXXXX", root ? root : "/tmp");
	check(mkdtemp(directory) != NULL, "mkdtemp");
	snprintf(path, sizeof path, "%s/data", directory);
	snprintf(log_path, sizeof log_path, "%s/log", directory);
	random_seed(&dice, 42);
	for (int i = 0; i < TREES; i++)
		make_sample(&samples[i], 10 + i * (KEYS - 10) / (TREES - 1));
	int bad = 0, tally[4] = { 0 };
	for (long i = 0; i < count; i++)
		bad += !round_of(seed + (uint64_t)i, tally);
	printf("%ld damaged trees: %d intact, %d refused, %d failed in a checkpoint, %d ended with "
	       "a line, %d wrong\n",
		count, tally[0], tally[1], tally[2], tally[3], bad);
	char lock[112];
	snprintf(lock, sizeof lock, "%s-lock", path);
	unlink(lock);
	unlink(path);
	unlink(log_path);
	rmdir(directory);
	return bad ? 1 : 0;
}
