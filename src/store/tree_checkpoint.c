/*
 * tree_checkpoint: frozen overlays into LMDB, in one write transaction.
 *
 * For each shard, in this order: the overlay's entries, sorted, so that neighbours in the tree are
 * touched together and a database's generation (its key sorts first) is known before its strings;
 * index entries that are due though their key lives on; some keys of dead generations; the shard's
 * record. The last two steps are bounded per call, so that a checkpoint takes time in proportion to
 * what was written. Where clearing has got to is the first key that still stands, found by a seek:
 * each call goes on there.
 *
 * Each put first reads what it replaces: its chunks go, and whether the key is new and where the
 * expiry index has it decides what else is written. An entry of the index stays where it is when a
 * life is extended (the common case: a session touched); it is moved only when the new life is
 * shorter, or when it has fallen due.
 *
 *   replaced value      new expiry E       the index
 *   filed at F          E >= F             stays at F, which the value remembers
 *   filed at F          E < F              F goes, E comes
 *   filed at F          none, or deleted   F goes
 *   none, or unfiled    E                  E comes
 *
 * Large transactions: LMDB keeps dirty pages in memory and, when they are very many, writes some
 * early; chunks of large values count as one page each.
 *
 * Threads: one checkpoint at a time; begin, shards, commit or abort on one thread, as LMDB's writer
 * lock belongs to it.
 */
#include "store/tree.h"

#include "store/tree_index.h"
#include "store/tree_private.h"
#include "store/tree_value.h"

#include "base/buffer.h"
#include "base/logline.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* Less than this left on the disk: a failed write was for want of room. */
#define ROOM_LEAST_BYTES (8u << 20)

/* Index entries looked at, and dead keys cleared, per shard and checkpoint: a few hundred
 * milliseconds of work at most. */
#define DUE_PER_CALL_MAX  100000
#define DEAD_PER_CALL_MAX 50000

struct tree_checkpoint {
	struct tree *tree;
	MDB_txn *txn;
};

/* One shard being written. */
struct writer {
	MDB_cursor *cursor;
	struct tree_layers layers;
	struct tree_record record;
	struct buffer payload; /* of a value being rewritten */
	struct key key;        /* a key taken from the tree, which writes would move */
};

static int write_shard(struct writer *writer, const struct overlay *frozen, int64_t now_ms);
static int apply(struct writer *writer, const struct overlay_entry *entry);
static int put(struct writer *writer, const struct overlay_entry *entry);
static int erase(struct writer *writer, struct slice key);
static int refile_due(struct writer *writer, int64_t now_ms);
static int clear_dead(struct writer *writer, struct tree_database *database, uint8_t db, int *left);

static bool has_no_room(int fd)
{
	struct statvfs disk;
	struct stat file;
	struct rlimit limit;
	if (fstatvfs(fd, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < ROOM_LEAST_BYTES)
		return true;
	if (fstat(fd, &file) != 0)
		return false;
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
		(uint64_t)limit.rlim_cur < (uint64_t)file.st_size + ROOM_LEAST_BYTES)
		return true;
	/* Quotas show only to who asks for room. */
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, file.st_size, ROOM_LEAST_BYTES) != 0 &&
		(errno == ENOSPC || errno == EDQUOT || errno == EFBIG);
}

/* LMDB takes a write that a full disk cut short for an I/O error; it is one of room. */
static int tell_full(const struct tree *tree, int rc)
{
	mdb_filehandle_t fd;
	if (rc != -EIO || mdb_env_get_fd(tree->env, &fd) != 0)
		return rc;
	return has_no_room(fd) ? -ENOSPC : rc;
}

int tree_checkpoint_begin(struct tree *tree, struct tree_checkpoint **out)
{
	struct tree_checkpoint *checkpoint = memory_zeroed(sizeof *checkpoint);
	checkpoint->tree = tree;
	int rc = tree_error(mdb_txn_begin(tree->env, NULL, 0, &checkpoint->txn));
	if (rc < 0) {
		memory_free(checkpoint);
		checkpoint = NULL;
	}
	*out = checkpoint;
	return rc;
}

int tree_checkpoint_shard(struct tree_checkpoint *checkpoint, uint16_t shard,
	const struct overlay *frozen, uint64_t lsn, int64_t now_ms)
{
	struct tree *tree = checkpoint->tree;
	assert(shard < tree->shards);
	struct writer *writer = memory_zeroed(sizeof *writer);
	int rc = tree_record_load(tree, checkpoint->txn, shard, &writer->record);
	if (rc == 0 && lsn < writer->record.lsn)
		rc = tree_damaged("shard %u has record %llu, of %llu that there are", shard,
			(unsigned long long)writer->record.lsn, (unsigned long long)lsn);
	if (rc == 0)
		rc = tree_error(
			mdb_cursor_open(checkpoint->txn, tree->shard_dbi[shard], &writer->cursor));
	if (rc == 0) {
		tree_layers_init(&writer->layers, writer->cursor);
		buffer_init(&writer->payload);
		rc = write_shard(writer, frozen, now_ms);
		buffer_fini(&writer->payload);
		mdb_cursor_close(writer->cursor);
	}
	if (rc == 0) {
		writer->record.lsn = lsn;
		rc = tree_record_store(tree, checkpoint->txn, shard, &writer->record);
		tree_note_dead(tree, shard, &writer->record);
	}
	memory_free(writer);
	return tell_full(tree, rc);
}

int tree_checkpoint_commit(struct tree_checkpoint **checkpoint)
{
	struct tree *tree = (*checkpoint)->tree;
	int rc = tree->commit_fault ? tree->commit_fault(tree->commit_fault_context) : 0;
	if (rc == 0) {
		rc = tree_error(mdb_txn_commit((*checkpoint)->txn));
		(*checkpoint)->txn = NULL;
	}
	tree_checkpoint_abort(checkpoint);
	return tell_full(tree, rc);
}

void tree_checkpoint_abort(struct tree_checkpoint **checkpoint)
{
	if (*checkpoint && (*checkpoint)->txn)
		mdb_txn_abort((*checkpoint)->txn);
	memory_free(*checkpoint);
	*checkpoint = NULL;
}

static int write_shard(struct writer *writer, const struct overlay *frozen, int64_t now_ms)
{
	size_t count;
	struct overlay_entry **entries = overlay_sorted(frozen, &count);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = apply(writer, entries[i]);
	memory_free(entries);
	if (rc == 0)
		rc = refile_due(writer, now_ms);
	int left = DEAD_PER_CALL_MAX;
	for (int db = 0; rc == 0 && db < STORE_FORMAT_DATABASES; db++)
		rc = clear_dead(writer, &writer->record.databases[db], (uint8_t)db, &left);
	return rc;
}

/* `*counts`: of the database that the key belongs to; NULL when it is not a string of a current
 * generation. `*dead`: it is a string of a generation gone by. */
static int counted_in(
	struct writer *writer, struct slice key, struct tree_database **counts, bool *dead)
{
	struct key_string string;
	*counts = NULL;
	*dead = false;
	if (!key_parse_string(key, &string))
		return 0;
	if (string.db >= STORE_FORMAT_DATABASES)
		return tree_damaged("a key is of database %u", string.db);
	struct tree_database *database = &writer->record.databases[string.db];
	/* A new generation is written before its first key. */
	if (string.generation > database->generation)
		return tree_damaged("a key is of a generation that has not begun");
	*dead = string.generation < database->generation;
	*counts = *dead ? NULL : database;
	return 0;
}

static int count(struct writer *writer, struct slice key, int keys, int expiring)
{
	bool dead;
	struct tree_database *database;
	int rc = counted_in(writer, key, &database, &dead);
	if (rc < 0 || !database)
		return rc;
	if ((keys < 0 && database->keys == 0) || (expiring < 0 && database->expiring == 0))
		return tree_damaged("more keys stand in a database than were counted");
	database->keys += (uint64_t)(int64_t)keys;
	database->expiring += (uint64_t)(int64_t)expiring;
	return 0;
}

static int start_generation(struct writer *writer, const struct overlay_entry *entry)
{
	if (entry->deleted || entry->key.size != 2 || entry->data.size != sizeof(uint64_t))
		return tree_damaged("the generation of a database has a key of %zu and %zu bytes",
			entry->key.size, entry->data.size);
	uint8_t db = (uint8_t)entry->key.data[1];
	uint64_t generation = tree_read_u64(entry->data.data);
	if (db >= STORE_FORMAT_DATABASES || generation > UINT32_MAX)
		return tree_damaged(
			"database %u is of generation %llu", db, (unsigned long long)generation);
	struct tree_database *database = &writer->record.databases[db];
	if (generation < database->generation)
		return tree_damaged("a database goes back to a generation gone by");
	if (generation == database->generation)
		return 0;
	database->generation = (uint32_t)generation;
	database->keys = 0;
	database->expiring = 0;
	return 0;
}

static int apply(struct writer *writer, const struct overlay_entry *entry)
{
	assert(entry->key.size > 0);
	assert(entry->key.size <= LIMIT_STORE_KEY_BYTES);
	assert((unsigned char)entry->key.data[0] < TABLE_TREE_FIRST);
	int rc = entry->key.data[0] == TABLE_NAMESPACE ? start_generation(writer, entry) : 0;
	if (rc < 0)
		return rc;
	if (entry->deleted)
		return erase(writer, entry->key);
	bool dead;
	struct tree_database *database;
	rc = counted_in(writer, entry->key, &database, &dead);
	return rc < 0 || dead ? rc : put(writer, entry);
}

/* What stands under the key: zeroed when nothing does. Its payload lies in the tree, where the next
 * write may move it. */
static int find(struct writer *writer, struct slice key, struct tree_value *out)
{
	MDB_val entry;
	int rc = tree_layers_find(&writer->layers, key, &entry);
	if (rc == 0)
		rc = tree_value_parse(&entry, out);
	if (rc == -ENOENT) {
		*out = (struct tree_value){ .type = VALUE_NONE };
		rc = 0;
	}
	return rc;
}

static int file_in_index(struct writer *writer, struct slice key, int64_t filed_ms)
{
	struct tree_index_key index;
	tree_index_key_make(&index, filed_ms, key);
	char *room;
	return tree_layers_put(&writer->layers, slice_of(index.bytes, index.size), 0,
		&writer->record.next_layer, &room);
}

static int remove_from_index(struct writer *writer, struct slice key, int64_t filed_ms)
{
	struct tree_index_key index;
	tree_index_key_make(&index, filed_ms, key);
	int rc = tree_layers_delete(&writer->layers, slice_of(index.bytes, index.size));
	return rc == -ENOENT ? tree_damaged("a key is missing in the expiry index") : rc;
}

/* Writes the key's entry: header and payload. */
static int write_entry(struct writer *writer, struct slice key, const struct tree_value *value)
{
	size_t header = tree_value_header_size(value->expire_ms, value->filed_ms);
	char *room;
	int rc = tree_layers_put(&writer->layers, key, header + value->payload.size,
		&writer->record.next_layer, &room);
	if (rc < 0)
		return rc;
	tree_value_write_header(
		room, value->type, value->chunked, value->expire_ms, value->filed_ms);
	if (value->payload.size > 0)
		memcpy(room + header, value->payload.data, value->payload.size);
	return 0;
}

static int write_value(struct writer *writer, struct slice key, const struct overlay_entry *entry,
	int64_t filed_ms)
{
	struct tree_value value = { .type = entry->type,
		.expire_ms = entry->expire_ms,
		.filed_ms = filed_ms,
		.payload = entry->data };
	if (!tree_value_is_large(entry->expire_ms, filed_ms, entry->data.size))
		return write_entry(writer, key, &value);
	char descriptor[STORE_FORMAT_DESCRIPTOR_BYTES];
	uint64_t number = writer->record.next_value++;
	tree_value_write_descriptor(descriptor, entry->data.size, number);
	value.chunked = true;
	value.payload = slice_of(descriptor, sizeof descriptor);
	int rc = write_entry(writer, key, &value);
	return rc < 0 ? rc : tree_value_write_chunks(writer->cursor, number, entry->data);
}

static int put(struct writer *writer, const struct overlay_entry *entry)
{
	struct tree_value old;
	int rc = find(writer, entry->key, &old);
	if (rc < 0)
		return rc;
	bool stays = entry->expire_ms && old.filed_ms && entry->expire_ms >= old.filed_ms;
	int64_t filed_ms = stays ? old.filed_ms : entry->expire_ms;
	rc = write_value(writer, entry->key, entry, filed_ms);
	if (rc == 0 && old.chunked)
		rc = tree_value_delete_chunks(writer->cursor, &old);
	if (rc == 0 && old.filed_ms && !stays)
		rc = remove_from_index(writer, entry->key, old.filed_ms);
	if (rc == 0 && filed_ms && !stays)
		rc = file_in_index(writer, entry->key, filed_ms);
	return rc < 0 ? rc
		      : count(writer, entry->key, old.type == VALUE_NONE,
				(entry->expire_ms != 0) - (old.expire_ms != 0));
}

/* Removes the key and all that belongs to it; it need not be there. */
static int erase(struct writer *writer, struct slice key)
{
	struct tree_value old;
	int rc = find(writer, key, &old);
	if (rc < 0 || old.type == VALUE_NONE)
		return rc;
	rc = tree_layers_delete(&writer->layers, key);
	if (rc == 0 && old.chunked)
		rc = tree_value_delete_chunks(writer->cursor, &old);
	if (rc == 0 && old.filed_ms)
		rc = remove_from_index(writer, key, old.filed_ms);
	return rc < 0 ? rc : count(writer, key, -1, -(old.expire_ms != 0));
}

/* Files a value that lives longer than it was filed for under its own time. */
static int refile(struct writer *writer, struct slice key, struct tree_value *value)
{
	int64_t filed_ms = value->filed_ms;
	buffer_clear(&writer->payload, SIZE_MAX);
	buffer_append(&writer->payload, value->payload.data, value->payload.size);
	value->payload = buffer_slice(&writer->payload);
	value->filed_ms = value->expire_ms;
	int rc = write_entry(writer, key, value);
	if (rc == 0)
		rc = remove_from_index(writer, key, filed_ms);
	return rc < 0 ? rc : file_in_index(writer, key, value->filed_ms);
}

static int keep_key(struct writer *writer, struct slice key)
{
	if (key.size > sizeof writer->key.bytes)
		return tree_damaged("a key has %zu bytes", key.size);
	memcpy(writer->key.bytes, key.data, key.size);
	writer->key.size = key.size;
	return 0;
}

/* Entries of the index that are due at `now_ms`: those whose key lives on move to where it ends;
 * those of expired keys stay until the key is deleted. */
static int refile_due(struct writer *writer, int64_t now_ms)
{
	struct tree_index_key position = { .size = 1, .bytes = { (char)STORE_FORMAT_TABLE_INDEX } };
	for (int i = 0; i < DUE_PER_CALL_MAX; i++) {
		int64_t filed_ms;
		struct slice key;
		int rc = tree_layers_seek(&writer->layers, TREE_LAYERS_INDEX,
			slice_of(position.bytes, position.size), true);
		if (rc == 0)
			rc = tree_index_key_parse(&writer->layers, &filed_ms, &key);
		if (rc < 0)
			return rc == -ENOENT ? 0 : rc;
		if (filed_ms > now_ms)
			return 0;
		rc = keep_key(writer, key);
		if (rc < 0)
			return rc;
		key = key_slice(&writer->key);
		tree_index_key_make(&position, filed_ms, key);
		struct tree_value value;
		rc = find(writer, key, &value);
		if (rc == 0 && value.filed_ms != filed_ms) {
			logline(LOGLINE_WARNING,
				"an entry of the expiry index has no key; it is removed");
			rc = remove_from_index(writer, key, filed_ms);
		} else if (rc == 0 && value.expire_ms > now_ms) {
			rc = refile(writer, key, &value);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Clears up to `*left` keys of the database's generations gone by, the oldest first. */
static int clear_dead(struct writer *writer, struct tree_database *database, uint8_t db, int *left)
{
	while (database->oldest<database->generation && * left> 0) {
		struct key start;
		key_of_string_hash(&start, db, database->oldest, 0);
		int rc = tree_layers_seek(
			&writer->layers, TREE_LAYERS_STORE, key_slice(&start), false);
		if (rc < 0 && rc != -ENOENT)
			return rc;
		struct key_string string;
		bool dead = rc == 0 && key_parse_string(writer->layers.key, &string) &&
			string.db == db && string.generation < database->generation;
		database->oldest = dead ? string.generation : database->generation;
		if (!dead)
			return 0;
		rc = keep_key(writer, writer->layers.key);
		if (rc == 0)
			rc = erase(writer, key_slice(&writer->key));
		if (rc < 0)
			return rc;
		(*left)--;
	}
	return 0;
}
