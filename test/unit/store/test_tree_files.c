/*
 * Opening the data file: what is kept over a restart, and what is refused without being changed.
 */
#include "store/store.h"
#include "support/fault_text.h"
#include "tree_fixture.h"

static void keeps_its_data_and_shard_count_over_a_restart(void **state)
{
	struct fixture *f = *state;
	put(f, slice_text("\020key"), 0, 10, 1);
	settle(f);
	close_tree(f);
	struct tree_options options = {
		.path = f->path, .map_bytes = (uint64_t)1 << 30, .shards_if_new = 7, .now_ms = 5
	};
	char error[256];
	assert_int_equal(tree_open(&f->tree, &options, error, sizeof error), 0);
	assert_int_equal(tree_shards(f->tree), 3);
	assert_int_equal(tree_view_open(f->tree, f->shard, &f->view), 0);
	check_stands(f, slice_text("\020key"), 0, 10, 1);
	assert_int_equal(tree_lsn(f->tree, f->shard), f->lsn);
	assert_int_equal(tree_lsn(f->tree, 0), 0);
	struct stat status;
	assert_int_equal(stat(f->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

/* --- what is refused -------------------------------------------------------------------------- */

/* Replaces bytes of an entry of "meta" behind the tree's back. */
static void change_meta(
	struct fixture *f, const char *name, size_t at, const void *bytes, size_t size)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 8);
	assert_int_equal(mdb_env_open(env, f->path, MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, STORE_FORMAT_META_NAME, 0, &dbi), 0);
	MDB_val key = { strlen(name), (void *)(uintptr_t)name }, value;
	assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
	char copy[1024];
	assert_true(value.mv_size <= sizeof copy && at + size <= value.mv_size);
	memcpy(copy, value.mv_data, value.mv_size);
	memcpy(copy + at, bytes, size);
	value.mv_data = copy;
	assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void check_version(struct fixture *f, uint32_t version, const char *said)
{
	char error[256];
	version = htole32(version);
	change_meta(f, STORE_FORMAT_META_KEY, 8, &version, sizeof version);
	assert_int_equal(try_open(f, error, sizeof error), -ENOTSUP);
	assert_non_null(strstr(error, f->path));
	assert_non_null(strstr(error, said));
}

static void other_formats_are_refused_and_named(void **state)
{
	struct fixture *f = *state;
	close_tree(f);
	check_version(f, 2, "its format is version 2, this program knows version 3 only");
	check_version(f, 4, "its format is version 4, this program knows version 3 only");
}

static void the_secret_is_kept_with_the_data(void **state)
{
	struct fixture *f = *state;
	struct hash_secret first = *tree_secret(f->tree);
	assert_true(first.a != 0 && first.b != 0);
	close_tree(f);
	open_tree(f);
	assert_memory_equal(tree_secret(f->tree), &first, sizeof first);
	close_tree(f);
	assert_int_equal(unlink(f->path), 0);
	open_tree(f);
	assert_memory_not_equal(tree_secret(f->tree), &first, sizeof first);
}

static void a_record_that_contradicts_itself_is_refused(void **state)
{
	struct fixture *f = *state;
	put(f, slice_text("\020key"), 0, 100000, 1);
	settle(f);
	close_tree(f);
	/* The next value number goes back to one that is in use. */
	const uint64_t one = htole64(1);
	change_meta(f, "shard-0001", 8, &one, sizeof one);
	char error[256];
	assert_int_equal(try_open(f, error, sizeof error), -EBADMSG);
	change_meta(f, "shard-0001", 8, &(uint64_t){ 0 }, sizeof(uint64_t));
	assert_int_equal(try_open(f, error, sizeof error), -EBADMSG);
}

static int shard_checkpoint(struct fixture *f, uint64_t lsn)
{
	struct tree_checkpoint *checkpoint;
	assert_int_equal(tree_checkpoint_begin(f->tree, &checkpoint), 0);
	int rc = tree_checkpoint_shard(checkpoint, f->shard, f->overlay, lsn, f->now_ms);
	tree_checkpoint_abort(&checkpoint);
	return rc;
}

static void a_record_of_what_is_yet_to_come_takes_no_checkpoint(void **state)
{
	struct fixture *f = *state;
	put(f, slice_text("\020key"), 0, 10, 1);
	settle(f);
	assert_int_equal(shard_checkpoint(f, f->lsn), 0);
	assert_int_equal(shard_checkpoint(f, f->lsn - 1), -EBADMSG);
}

static void what_can_be_no_generation_takes_no_checkpoint(void **state)
{
	static const struct slice keys[] = { { "\1\0", 2 }, { "\1\0", 2 }, { "\1", 1 },
		{ "\1\377", 2 } };
	static const struct slice values[] = { { "\0\0\0\0\1\0\0\0", 8 }, { "\1", 1 },
		{ "\1\0\0\0\0\0\0\0", 8 }, { "\1\0\0\0\0\0\0\0", 8 } };
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct effect effect = { .kind = EFFECT_PUT,
			.type = VALUE_NUMBER,
			.shard = f->shard,
			.key = keys[i],
			.value = values[i] };
		overlay_apply(f->overlay, &effect, ++f->lsn);
		assert_int_equal(shard_checkpoint(f, f->lsn), -EBADMSG);
		overlay_free(&f->overlay);
		f->overlay = overlay_new();
	}
}

static void count_keys(void *context)
{
	uint64_t keys, expiring;
	store_count(context, 0, &keys, &expiring);
}

static void fewer_keys_than_there_are_is_a_fault(void **state)
{
	struct fixture *f = *state;
	struct key key;
	struct store *store;
	string_key(&key, f, 0, 1);
	put(f, key_slice(&key), 0, 10, 1);
	settle(f);
	close_tree(f);
	/* How many keys database 0 has. */
	change_meta(f, "shard-0001", 32, &(uint64_t){ 0 }, sizeof(uint64_t));
	open_tree(f);
	assert_int_equal(store_open(&store, f->tree, f->shard), 0);
	struct effect effect = { .kind = EFFECT_DELETE, .shard = f->shard, .key = key_slice(&key) };
	store_apply(store, &effect, f->lsn + 1);
	assert_fault(count_keys, store,
		"the count of a database's keys is damaged: shard 1, table 1, key of 2 bytes");
	store_close(&store);
}

static void a_file_that_is_not_a_tree_is_refused(void **state)
{
	struct fixture *f = *state;
	close_tree(f);
	char error[256], garbage[65536];
	fill(garbage, sizeof garbage, 1);
	for (size_t size = 1; size <= sizeof garbage; size = size * 3 + 7) {
		int fd = open(f->path, O_RDWR | O_TRUNC);
		assert_int_equal(write(fd, garbage, size), (ssize_t)size);
		close(fd);
		assert_int_equal(try_open(f, error, sizeof error), -EBADMSG);
		struct stat status;
		assert_int_equal(stat(f->path, &status), 0);
		assert_int_equal(status.st_size, size);
	}
	/* Somebody else's LMDB file. */
	unlink(f->path);
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val value = { 5, (char[]){ "value" } };
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, f->path, MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &value, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	assert_int_equal(try_open(f, error, sizeof error), -EBADMSG);
}

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t file_size(struct fixture *f)
{
	struct stat status;
	assert_int_equal(stat(f->path, &status), 0);
	return (size_t)status.st_size;
}

static void a_file_cut_short_is_refused_and_left_as_it_is(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 1000; i++) {
		struct key key;
		string_key(&key, f, 0, i);
		put(f, key_slice(&key), 0, 500, (uint64_t)i);
	}
	settle(f);
	uint64_t used = tree_bytes(f->tree);
	close_tree(f);
	char error[256];
	for (uint64_t size = used - 1; size > page_bytes(); size = size * 4 / 5) {
		assert_int_equal(truncate(f->path, (off_t)size), 0);
		assert_int_equal(try_open(f, error, sizeof error), -EBADMSG);
		assert_int_equal(file_size(f), size);
	}
}

/* The number of free pages at the very end of the file. */
static size_t free_pages_at_end(struct fixture *f, size_t page_count)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val key, value;
	bool *is_free = memory_zeroed(page_count);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, f->path, MDB_NOSUBDIR | MDB_RDONLY, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_cursor_open(txn, 0, &cursor), 0);
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		const size_t *list = value.mv_data;
		for (size_t i = 1; i <= list[0]; i++)
			is_free[list[i]] = true;
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	size_t count = 0;
	while (is_free[page_count - 1 - count])
		count++;
	memory_free(is_free);
	return count;
}

/* Leaves a file that ends in free pages; returns how many pages are in front of them. */
static size_t make_free_end(struct fixture *f)
{
	put(f, slice_text("\020stays"), 0, 100, 1);
	put(f, slice_text("\020goes"), 0, 5 << 20, 2);
	settle(f);
	delete (f, slice_text("\020goes"));
	/* Pages that were written behind the large value move to where it was. */
	for (int i = 0; i < 10; i++) {
		put(f, slice_text("\020stays"), 0, 100, 1);
		settle(f);
	}
	size_t pages = tree_bytes(f->tree) / page_bytes();
	close_tree(f);
	size_t free_pages = free_pages_at_end(f, pages);
	assert_true(free_pages > 100);
	return pages - free_pages;
}

static void a_file_that_lacks_a_page_in_use_is_refused(void **state)
{
	struct fixture *f = *state;
	size_t size = (make_free_end(f) - 1) * page_bytes();
	assert_int_equal(truncate(f->path, (off_t)size), 0);
	char error[256];
	assert_int_equal(try_open(f, error, sizeof error), -EBADMSG);
	assert_non_null(strstr(error, "cut short"));
	assert_int_equal(file_size(f), size);
}

static void a_file_that_lacks_only_free_pages_is_sound(void **state)
{
	struct fixture *f = *state;
	size_t size = make_free_end(f) * page_bytes();
	assert_int_equal(truncate(f->path, (off_t)size), 0);
	open_tree(f);
	check_stands(f, slice_text("\020stays"), 0, 100, 1);
	put(f, slice_text("\020again"), 0, 5 << 20, 3);
	settle(f);
	check_stands(f, slice_text("\020again"), 0, 5 << 20, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keeps_its_data_and_shard_count_over_a_restart),
		TEST(other_formats_are_refused_and_named),
		TEST(the_secret_is_kept_with_the_data),
		TEST(a_record_that_contradicts_itself_is_refused),
		TEST(a_record_of_what_is_yet_to_come_takes_no_checkpoint),
		TEST(what_can_be_no_generation_takes_no_checkpoint),
		TEST(fewer_keys_than_there_are_is_a_fault),
		TEST(a_file_that_is_not_a_tree_is_refused),
		TEST(a_file_cut_short_is_refused_and_left_as_it_is),
		TEST(a_file_that_lacks_a_page_in_use_is_refused),
		TEST(a_file_that_lacks_only_free_pages_is_sound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
