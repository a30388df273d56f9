/*
 * tree: opening the data file, views of it, and single keys.
 *
 * A tree is created whole in the file's first transaction: a file without any is a creation that a
 * crash cut off, and is created again (the log then notices when records that a lost tree held are
 * no longer in it). Opening an existing one writes nothing: a format that this
 * program does not know is left as it is.
 *
 * A view is an LMDB read transaction kept open from one checkpoint to the next. MDB_NOTLS ties it
 * to no thread, so shards may move between workers. The map's address space is set once, so that
 * pointers into it hold for as long as the view.
 *
 * LMDB has no checksums. What it and this module can tell from the bytes themselves is reported as
 * damage: an error where there is a way to return one, else a line and an end of the process. Its
 * own assertions end the same way.
 *
 * LMDB's codes become negative errno here and nowhere else.
 *
 * The kernel is told not to read ahead of page faults: keys are spread by their hash, so what lies
 * around a page is wanted no sooner than anything else. On a file larger than memory each miss
 * would read megabytes and drive out what is in use; right after a start it makes the first answers
 * wait.
 *
 * Threads: tree.h says who may call what. LMDB serves concurrent readers and the one writer without
 * locks of ours; tree_lsn and tree_bytes read through a transaction of their own, from any thread.
 */
#include "store/tree.h"

#include "store/tree_check.h"
#include "store/tree_private.h"
#include "store/tree_value.h"

#include "base/disk.h"
#include "base/fault.h"
#include "base/logline.h"
#include "base/memory.h"
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Read transactions besides one view per shard: tree_lsn, backups, tools. */
#define SPARE_READERS 16

/* Of address space for the pages that checkpoints change. */
#define RESERVE_BYTES_LEAST ((uint64_t)64 << 20)
#define RESERVE_BYTES_MAX   ((uint64_t)64 << 30)
/* What the bound is not halved below. */
#define MAP_BYTES_LEAST ((uint64_t)64 << 20)

static int open_environment(
	struct tree *tree, const struct tree_options *options, char *problem, size_t problem_size);
static int create(struct tree *tree, const struct tree_options *options);
static int load(struct tree *tree, char *problem, size_t problem_size);
static int begin_read(struct tree *tree, MDB_txn **out);

int tree_open(struct tree **out, const struct tree_options *options, char *error, size_t error_size)
{
	assert(options->map_bytes > 0);
	assert(options->shards_if_new >= 1);
	assert(options->shards_if_new <= LIMIT_SHARDS);
	*out = NULL;
	char problem[200] = "";
	bool fresh = false;
	struct tree *tree = NULL;
	int rc = tree_check_head(options->path, problem, sizeof problem);
	if (rc < 0)
		goto failed;
	problem[0] = '\0'; /* that there is no file yet */
	tree = memory_zeroed(sizeof *tree);
	tree->sync = options->sync;
	rc = open_environment(tree, options, problem, sizeof problem);
	if (rc == 0)
		rc = tree_check_length(tree->env, problem, sizeof problem);
	if (rc == 0) {
		MDB_envinfo info;
		rc = tree_error(mdb_env_info(tree->env, &info));
		fresh = rc == 0 && info.me_last_txnid == 0;
	}
	if (rc == 0 && fresh)
		rc = create(tree, options);
	if (rc == 0)
		rc = load(tree, problem, sizeof problem);
	if (rc == 0) {
		*out = tree;
		return 0;
	}
failed:
	if (problem[0] == '\0')
		snprintf(problem, sizeof problem, "%s",
			rc == -EBADMSG ? "damaged, or not a Holdfast data file" : strerror(-rc));
	snprintf(error, error_size, "data file %s: %s", options->path, problem);
	tree_close(&tree);
	return rc;
}

void tree_close(struct tree **tree)
{
	if (*tree && (*tree)->env)
		mdb_env_close((*tree)->env);
	memory_free(*tree);
	*tree = NULL;
}

uint16_t tree_shards(const struct tree *tree)
{
	return tree->shards;
}

const struct hash_secret *tree_secret(const struct tree *tree)
{
	return &tree->secret;
}

uint64_t tree_lsn(struct tree *tree, uint16_t shard)
{
	assert(shard < tree->shards);
	MDB_txn *txn;
	struct tree_record record;
	int rc = begin_read(tree, &txn);
	if (rc == 0) {
		rc = tree_record_load(tree, txn, shard, &record);
		mdb_txn_abort(txn);
	}
	if (rc < 0)
		tree_fail(tree, shard, rc);
	return record.lsn;
}

uint64_t tree_bytes(struct tree *tree)
{
	MDB_envinfo info;
	MDB_stat stat;
	if (mdb_env_info(tree->env, &info) || mdb_env_stat(tree->env, &stat))
		return 0;
	return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

uint64_t tree_bytes_max(const struct tree *tree)
{
	return tree->bytes_max;
}

uint64_t tree_used_bytes(struct tree *tree)
{
	uint64_t bytes = tree_bytes(tree), free_pages;
	MDB_stat stat;
	if (bytes <= tree->bytes_max / 2 || mdb_env_stat(tree->env, &stat) ||
		tree_check_free(tree->env, 0, &free_pages) < 0 ||
		free_pages * stat.ms_psize > bytes)
		return bytes;
	return bytes - free_pages * stat.ms_psize;
}

bool tree_has_dead(const struct tree *tree)
{
	return tree->dead_shards > 0;
}

void tree_note_dead(struct tree *tree, uint16_t shard, const struct tree_record *record)
{
	bool has_dead = false;
	for (int i = 0; i < STORE_FORMAT_DATABASES; i++)
		has_dead |= record->databases[i].oldest < record->databases[i].generation;
	if (has_dead && !tree->has_dead[shard])
		tree->dead_shards++;
	else if (!has_dead && tree->has_dead[shard])
		tree->dead_shards--;
	tree->has_dead[shard] = has_dead;
}

void tree_set_commit_fault(struct tree *tree, int (*run)(void *context), void *context)
{
	tree->commit_fault = run;
	tree->commit_fault_context = context;
}

int tree_view_open(struct tree *tree, uint16_t shard, struct tree_view **out)
{
	assert(shard < tree->shards);
	struct tree_view *view = memory_zeroed(sizeof *view);
	view->tree = tree;
	view->shard = shard;
	view->dbi = tree->shard_dbi[shard];
	MDB_cursor *cursor = NULL;
	int rc = begin_read(tree, &view->txn);
	if (rc == 0)
		rc = tree_error(mdb_cursor_open(view->txn, view->dbi, &cursor));
	tree_layers_init(&view->layers, cursor);
	if (rc == 0)
		rc = tree_record_load(tree, view->txn, shard, &view->record);
	if (rc < 0)
		tree_view_close(&view);
	*out = view;
	return rc;
}

void tree_view_close(struct tree_view **view)
{
	if (!*view)
		return;
	if ((*view)->layers.cursor)
		mdb_cursor_close((*view)->layers.cursor);
	if ((*view)->txn)
		mdb_txn_abort((*view)->txn);
	memory_free(*view);
	*view = NULL;
}

void tree_view_renew(struct tree_view *view)
{
	mdb_txn_reset(view->txn);
	int rc = tree_error(mdb_txn_renew(view->txn));
	if (rc == 0)
		rc = tree_error(mdb_cursor_renew(view->txn, view->layers.cursor));
	if (rc == 0)
		rc = tree_record_load(view->tree, view->txn, view->shard, &view->record);
	if (rc < 0)
		tree_fail(view->tree, view->shard, rc);
}

bool tree_get(struct tree_view *view, struct slice key, struct arena *arena, struct value *out)
{
	return tree_get_extent(view, key, arena, EXTENT_WHOLE, out);
}

bool tree_get_extent(struct tree_view *view, struct slice key, struct arena *arena,
	struct extent extent, struct value *out)
{
	assert(key.size > 0);
	assert((unsigned char)key.data[0] < TABLE_TREE_FIRST);
	MDB_val entry;
	int rc;
	if (key.size < STORE_FORMAT_ROOT_SLICE_BYTES) {
		MDB_val name = { key.size, (void *)(uintptr_t)key.data };
		rc = tree_error(mdb_get(view->txn, view->dbi, &name, &entry));
	} else {
		rc = tree_layers_find(&view->layers, key, &entry);
	}
	if (rc == -ENOENT)
		return false;
	struct tree_value value;
	if (rc == 0)
		rc = tree_value_parse(&entry, &value);
	if (rc == 0)
		rc = tree_value_load(&value, view->layers.cursor, arena, extent, out);
	if (rc < 0)
		tree_fail(view->tree, view->shard, rc);
	return true;
}

void tree_count(struct tree_view *view, uint8_t db, uint64_t *keys, uint64_t *expiring)
{
	assert(db < STORE_FORMAT_DATABASES);
	*keys = view->record.databases[db].keys;
	*expiring = view->record.databases[db].expiring;
}

int tree_error(int code)
{
	if (code == 0)
		return 0;
	if (code == EDQUOT || code == EFBIG)
		return -ENOSPC;
	if (code > 0)
		return -code;
	switch (code) {
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
		return -EDQUOT;
	case MDB_TXN_FULL:
		return -E2BIG;
	case MDB_READERS_FULL:
		return -EMFILE;
	case MDB_PAGE_NOTFOUND:
	case MDB_CORRUPTED:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
		return -EBADMSG;
	default:
		logline(LOGLINE_WARNING, "LMDB: %s", mdb_strerror(code));
		return -EIO;
	}
}

int tree_damaged(const char *format, ...)
{
	char what[200];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	logline(LOGLINE_WARNING, "the data file is damaged: %s", what);
	return -EBADMSG;
}

_Noreturn void tree_fail(const struct tree *tree, uint16_t shard, int error)
{
	const char *path = "?";
	mdb_env_get_path(tree->env, &path);
	if (error == -EBADMSG)
		fault_of_data("shard %u of the data file %s is damaged", shard, path);
	fault("reading shard %u of the data file %s failed: %s", shard, path, strerror(-error));
}

int tree_record_load(struct tree *tree, MDB_txn *txn, uint16_t shard, struct tree_record *out)
{
	char name[32];
	int size = snprintf(name, sizeof name, STORE_FORMAT_SHARD_NAME, (unsigned)shard);
	MDB_val key = { (size_t)size, name }, entry;
	int rc = tree_error(mdb_get(txn, tree->meta, &key, &entry));
	if (rc == -ENOENT)
		return tree_damaged("the record of shard %u is missing", shard);
	if (rc < 0)
		return rc;
	if (entry.mv_size != STORE_FORMAT_RECORD_BYTES)
		return tree_damaged("the record of shard %u has %zu bytes", shard, entry.mv_size);
	const char *bytes = entry.mv_data;
	out->lsn = tree_read_u64(bytes);
	out->next_value = tree_read_u64(bytes + 8);
	out->next_layer = tree_read_u64(bytes + 16);
	bool sound = out->next_value > 0 && out->next_layer > 0;
	for (int i = 0; i < STORE_FORMAT_DATABASES; i++) {
		struct tree_database *database = &out->databases[i];
		bytes = (const char *)entry.mv_data + 24 + 24 * i;
		database->generation = tree_read_u32(bytes);
		database->oldest = tree_read_u32(bytes + 4);
		database->keys = tree_read_u64(bytes + 8);
		database->expiring = tree_read_u64(bytes + 16);
		sound &= database->oldest <= database->generation &&
			database->expiring <= database->keys;
	}
	return sound ? 0 : tree_damaged("the record of shard %u contradicts itself", shard);
}

int tree_record_store(
	struct tree *tree, MDB_txn *txn, uint16_t shard, const struct tree_record *record)
{
	char name[32], bytes[STORE_FORMAT_RECORD_BYTES];
	tree_write_u64(bytes, record->lsn);
	tree_write_u64(bytes + 8, record->next_value);
	tree_write_u64(bytes + 16, record->next_layer);
	for (int i = 0; i < STORE_FORMAT_DATABASES; i++) {
		const struct tree_database *database = &record->databases[i];
		tree_write_u32(bytes + 24 + 24 * i, database->generation);
		tree_write_u32(bytes + 24 + 24 * i + 4, database->oldest);
		tree_write_u64(bytes + 24 + 24 * i + 8, database->keys);
		tree_write_u64(bytes + 24 + 24 * i + 16, database->expiring);
	}
	int size = snprintf(name, sizeof name, STORE_FORMAT_SHARD_NAME, (unsigned)shard);
	MDB_val key = { (size_t)size, name }, value = { sizeof bytes, bytes };
	return tree_error(mdb_put(txn, tree->meta, &key, &value, 0));
}

static void on_lmdb_assertion(MDB_env *env, const char *message)
{
	(void)env;
	fault_of_data("the data file is damaged, or LMDB failed: %s", message);
}

/* One attempt; without an environment when it fails. */
static int map_file(struct tree *tree, const struct tree_options *options, uint64_t bytes)
{
	int rc = mdb_env_create(&tree->env);
	if (rc)
		return tree_error(rc);
	/* How many shards the file has is known only once it is open. */
	if (!rc)
		rc = mdb_env_set_maxdbs(tree->env, LIMIT_SHARDS + 1);
	if (!rc)
		rc = mdb_env_set_maxreaders(tree->env, LIMIT_SHARDS + SPARE_READERS);
	if (!rc)
		rc = mdb_env_set_mapsize(tree->env, (size_t)bytes);
	if (!rc)
		rc = mdb_env_set_assert(tree->env, on_lmdb_assertion);
	unsigned flags =
		MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | (options->sync ? 0 : MDB_NOSYNC);
	if (!rc)
		rc = mdb_env_open(tree->env, options->path, flags, 0600);
	if (rc) {
		mdb_env_close(tree->env);
		tree->env = NULL;
	}
	return tree_error(rc);
}

/* What checkpoints need beside the data: LMDB copies each page that it changes, and uses the old
 * one again only when no view sees it. In the worst case a checkpoint changes each page, of data
 * that is somewhat larger than the bound by then. */
static uint64_t with_reserve(uint64_t bytes)
{
	uint64_t reserve = 2 * bytes < RESERVE_BYTES_MAX ? 2 * bytes : RESERVE_BYTES_MAX;
	return bytes + (reserve > RESERVE_BYTES_LEAST ? reserve : RESERVE_BYTES_LEAST);
}

static uint64_t file_bytes(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* Of a limited address space half is for everything else. Never less than the file has. */
static uint64_t fitting(uint64_t bytes, uint64_t least)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return bytes;
	while (bytes / 2 >= least && with_reserve(bytes) > (uint64_t)limit.rlim_cur / 2)
		bytes /= 2;
	return bytes;
}

static int open_environment(
	struct tree *tree, const struct tree_options *options, char *problem, size_t problem_size)
{
	uint64_t file = file_bytes(options->path);
	uint64_t wanted = options->map_bytes > file ? options->map_bytes : file;
	uint64_t least = file > MAP_BYTES_LEAST ? file : MAP_BYTES_LEAST;
	uint64_t bytes = fitting(wanted, least);
	int rc = map_file(tree, options, with_reserve(bytes));
	while (rc == -ENOMEM && bytes / 2 >= least) {
		bytes /= 2;
		rc = map_file(tree, options, with_reserve(bytes));
	}
	if (rc == -ENOMEM)
		snprintf(problem, problem_size,
			"%llu MB of address space are not to be had: see map-size and ulimit -v",
			(unsigned long long)with_reserve(bytes) >> 20);
	else if (rc == 0 && bytes < wanted)
		logline(LOGLINE_WARNING,
			"map-size is taken as %llu MB: more does not fit into the address space "
			"that the process may use (ulimit -v)",
			(unsigned long long)bytes >> 20);
	/* A file that is larger than map-size has grown under another one. */
	tree->bytes_max = bytes < options->map_bytes ? bytes : options->map_bytes;
	int dead;
	return rc < 0 ? rc : tree_error(mdb_reader_check(tree->env, &dead));
}

static int begin_read(struct tree *tree, MDB_txn **out)
{
	return tree_error(mdb_txn_begin(tree->env, NULL, MDB_RDONLY, out));
}

/* The new file itself must survive a crash, not only what is in it. */
static int sync_directory_of(const char *path)
{
	char *copy = memory_copy_text(path);
	int rc = disk_sync_directory(disk_system(), dirname(copy));
	memory_free(copy);
	return rc;
}

static int create_meta(struct tree *tree, MDB_txn *txn, const struct tree_options *options)
{
	int rc = tree_error(mdb_dbi_open(txn, STORE_FORMAT_META_NAME, MDB_CREATE, &tree->meta));
	if (rc < 0)
		return rc;
	char bytes[STORE_FORMAT_META_BYTES] = { 0 };
	memcpy(bytes, STORE_FORMAT_MAGIC, 8);
	tree_write_u32(bytes + 8, STORE_FORMAT_VERSION);
	uint16_t shards = htole16(options->shards_if_new);
	memcpy(bytes + 12, &shards, sizeof shards);
	tree_write_u64(bytes + 16, (uint64_t)options->now_ms);
	struct hash_secret secret;
	if (options->secret_if_new)
		secret = *options->secret_if_new;
	else
		random_entropy(&secret, sizeof secret);
	tree_write_u64(bytes + 24, secret.a);
	tree_write_u64(bytes + 32, secret.b);
	MDB_val key = { strlen(STORE_FORMAT_META_KEY), (char[]){ STORE_FORMAT_META_KEY } };
	MDB_val value = { sizeof bytes, bytes };
	return tree_error(mdb_put(txn, tree->meta, &key, &value, 0));
}

static int create(struct tree *tree, const struct tree_options *options)
{
	MDB_txn *txn;
	int rc = tree_error(mdb_txn_begin(tree->env, NULL, 0, &txn));
	if (rc < 0)
		return rc;
	rc = create_meta(tree, txn, options);
	const struct tree_record empty = { .next_value = 1, .next_layer = 1 };
	for (unsigned i = 0; rc == 0 && i < options->shards_if_new; i++) {
		char name[32];
		MDB_dbi dbi;
		snprintf(name, sizeof name, STORE_FORMAT_SHARD_NAME, i);
		rc = tree_error(mdb_dbi_open(txn, name, MDB_CREATE, &dbi));
		if (rc == 0)
			rc = tree_record_store(tree, txn, (uint16_t)i, &empty);
	}
	if (rc < 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	rc = tree_error(mdb_txn_commit(txn));
	if (rc == 0 && options->sync)
		rc = sync_directory_of(options->path);
	return rc;
}

static int load_format(struct tree *tree, MDB_txn *txn, char *problem, size_t problem_size)
{
	int rc = tree_error(mdb_dbi_open(txn, STORE_FORMAT_META_NAME, 0, &tree->meta));
	MDB_val key = { strlen(STORE_FORMAT_META_KEY), (char[]){ STORE_FORMAT_META_KEY } }, entry;
	if (rc == 0)
		rc = tree_error(mdb_get(txn, tree->meta, &key, &entry));
	if (rc < 0)
		return rc == -ENOENT ? -EBADMSG : rc;
	const char *bytes = entry.mv_data;
	if (entry.mv_size < 12 || memcmp(bytes, STORE_FORMAT_MAGIC, 8) != 0)
		return -EBADMSG;
	uint32_t version = tree_read_u32(bytes + 8);
	if (version != STORE_FORMAT_VERSION) {
		snprintf(problem, problem_size,
			"its format is version %u, this program knows version %u only", version,
			STORE_FORMAT_VERSION);
		return -ENOTSUP;
	}
	if (entry.mv_size != STORE_FORMAT_META_BYTES)
		return -EBADMSG;
	uint16_t shards;
	memcpy(&shards, bytes + 12, sizeof shards);
	tree->shards = le16toh(shards);
	tree->secret = (struct hash_secret){ tree_read_u64(bytes + 24), tree_read_u64(bytes + 32) };
	return tree->shards >= 1 && tree->shards <= LIMIT_SHARDS ? 0 : -EBADMSG;
}

/* The highest number in use by a table of numbered entries ([table][number 8]...), 0 for none. */
static int highest_number(MDB_cursor *cursor, unsigned char table, uint64_t *out)
{
	*out = 0;
	char behind = (char)(table + 1);
	MDB_val key = { 1, &behind };
	int rc = mdb_cursor_get(cursor, &key, NULL, MDB_SET_RANGE);
	if (rc == 0)
		rc = mdb_cursor_get(cursor, &key, NULL, MDB_PREV);
	else if (rc == MDB_NOTFOUND)
		rc = mdb_cursor_get(cursor, &key, NULL, MDB_LAST);
	const unsigned char *bytes = key.mv_data;
	if (rc == 0 && bytes[0] == table && key.mv_size >= 9)
		*out = tree_read_ordered(bytes + 1);
	return rc == MDB_NOTFOUND ? 0 : tree_error(rc);
}

/* A number given out twice would mix two values or two layers: never wrong data silently. */
static int check_numbers(struct tree *tree, MDB_txn *txn, uint16_t shard)
{
	struct tree_record record;
	uint64_t value = 0, layer = 0;
	MDB_cursor *cursor;
	int rc = tree_record_load(tree, txn, shard, &record);
	if (rc == 0)
		rc = tree_error(mdb_cursor_open(txn, tree->shard_dbi[shard], &cursor));
	if (rc < 0)
		return rc;
	tree_note_dead(tree, shard, &record);
	rc = highest_number(cursor, STORE_FORMAT_TABLE_CHUNKS, &value);
	if (rc == 0)
		rc = highest_number(cursor, STORE_FORMAT_TABLE_LAYERS, &layer);
	mdb_cursor_close(cursor);
	if (rc == 0 && (value >= record.next_value || layer >= record.next_layer))
		rc = tree_damaged("the numbers of shard %u are behind its entries", shard);
	return rc;
}

static int load(struct tree *tree, char *problem, size_t problem_size)
{
	MDB_txn *txn;
	int rc = begin_read(tree, &txn);
	if (rc < 0)
		return rc;
	rc = load_format(tree, txn, problem, problem_size);
	for (unsigned i = 0; rc == 0 && i < tree->shards; i++) {
		char name[32];
		unsigned flags;
		snprintf(name, sizeof name, STORE_FORMAT_SHARD_NAME, i);
		rc = tree_error(mdb_dbi_open(txn, name, 0, &tree->shard_dbi[i]));
		if (rc == 0)
			rc = tree_error(mdb_dbi_flags(txn, tree->shard_dbi[i], &flags));
		if (rc == -ENOENT || (rc == 0 && flags != 0))
			rc = tree_damaged("the entries of shard %u are not there", i);
		if (rc == 0)
			rc = check_numbers(tree, txn, (uint16_t)i);
	}
	if (rc < 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return tree_error(mdb_txn_commit(txn));
}
