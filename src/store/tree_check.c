/*
 * tree_check: LMDB maps its file and follows what it finds there. A file cut short ends the process
 * with SIGBUS, a wrong page size in its head with a division by zero. Checked here instead, at the
 * price of four small reads:
 *
 *   - both meta pages (at 0 and at one page size): mark, magic, data format, page size
 *   - the newer of the two: its roots lie within the pages in use, and what lies there calls itself
 *     a tree page of that number
 *   - the file has all pages that the meta page speaks of
 *
 * The last needs care. LMDB does not write pages that a transaction took from the end of the file
 * and gave back before its commit: such a file is shorter than its meta page says and sound, the
 * pages missing being listed as free. So a short file is lengthened (with zeros, which LMDB takes
 * for damaged pages and never for data), the list of free pages is read, and unless that names each
 * missing page the file gets its old length back and is refused.
 *
 * The layout of meta pages is that of LMDB's data format 1 on a 64-bit machine:
 *
 *   0           10      12   16       20        24           32         40        88        136
 *   +-----------+-------+----+--------+---------+------------+----------+---------+---------+
 *   | number .. | flags | .. | magic  | version | .. address | map size | free db | main db |
 *   +-----------+-------+----+--------+---------+------------+----------+---------+---------+
 *   136         144             152
 *   +-----------+----------------+     a db: page size (free db) or 0, 4 | flags 2 | depth 2 |
 *   | last page | transaction    |           branch pages, leaf pages, overflow pages, entries,
 *   +-----------+----------------+           root, 8 each
 *
 * Threads: the one that opens the tree.
 */
#include "store/tree_check.h"

#include "store/tree_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_BYTES       152
#define META_FLAGS_AT    10
#define META_MAGIC_AT    16
#define META_VERSION_AT  20
#define META_FREE_DB_AT  40
#define META_MAIN_DB_AT  88
#define META_LAST_AT     136
#define META_TXN_AT      144
#define DB_DEPTH_AT      6
#define DB_ROOT_AT       40
#define PAGE_HEAD_BYTES  16
#define PAGE_FLAG_BRANCH 0x01
#define PAGE_FLAG_LEAF   0x02
#define PAGE_FLAG_META   0x08
#define LMDB_MAGIC       0xbeefc0deu
#define LMDB_FORMAT      1
#define LMDB_DEPTH_MAX   32 /* of its cursors' stacks */

struct head {
	int fd;
	uint64_t file_bytes;
	uint32_t page_bytes;
	char meta[META_BYTES]; /* the newer one */
};

static int check_metas(struct head *head, char *problem, size_t problem_size);
static int check_root(const struct head *head, size_t db_at, char *problem, size_t problem_size);

static int bad(char *problem, size_t problem_size, const char *what)
{
	snprintf(problem, problem_size, "%s", what);
	return -EBADMSG;
}

static uint16_t read_u16(const char *bytes)
{
	uint16_t number;
	memcpy(&number, bytes, sizeof number);
	return number;
}

int tree_check_head(const char *path, char *problem, size_t problem_size)
{
	struct head head = { .fd = open(path, O_RDONLY | O_CLOEXEC) };
	if (head.fd < 0) {
		int error = errno;
		snprintf(problem, problem_size, "%s", strerror(error));
		return error == ENOENT ? 1 : -error;
	}
	struct stat status;
	int rc;
	if (fstat(head.fd, &status) < 0)
		rc = -errno;
	else if (!S_ISREG(status.st_mode))
		rc = bad(problem, problem_size, "not a file");
	else if (status.st_size == 0)
		rc = 1;
	else
		rc = 0;
	head.file_bytes = (uint64_t)status.st_size;
	if (rc == 0)
		rc = check_metas(&head, problem, problem_size);
	if (rc == 0)
		rc = check_root(&head, META_FREE_DB_AT, problem, problem_size);
	if (rc == 0)
		rc = check_root(&head, META_MAIN_DB_AT, problem, problem_size);
	close(head.fd);
	return rc;
}

int tree_check_length(MDB_env *env, char *problem, size_t problem_size)
{
	MDB_envinfo info;
	MDB_stat stat;
	int fd;
	if (mdb_env_info(env, &info) || mdb_env_stat(env, &stat) || mdb_env_get_fd(env, &fd))
		return -EIO;
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	uint64_t have = (uint64_t)status.st_size / stat.ms_psize;
	uint64_t want = (uint64_t)info.me_last_pgno + 1;
	if (have >= want)
		return 0;
	if (ftruncate(fd, (off_t)(want * stat.ms_psize)) < 0)
		return -errno;
	uint64_t free_pages;
	int rc = tree_check_free(env, have, &free_pages);
	if (rc == 0 && free_pages == want - have)
		return 0;
	if (ftruncate(fd, status.st_size) < 0)
		return -errno;
	snprintf(problem, problem_size, "cut short: %llu of %llu pages", (unsigned long long)have,
		(unsigned long long)want);
	return -EBADMSG;
}

static int check_meta(const char *meta, int index, char *problem, size_t problem_size)
{
	if (!(read_u16(meta + META_FLAGS_AT) & PAGE_FLAG_META) ||
		tree_read_u32(meta + META_MAGIC_AT) != LMDB_MAGIC)
		return bad(problem, problem_size, "not an LMDB file, or its head is damaged");
	if (tree_read_u32(meta + META_VERSION_AT) != LMDB_FORMAT)
		return bad(problem, problem_size, "of another data format of LMDB");
	/* Transactions alternate between the two; a new file has 0 in both. */
	uint64_t transaction = tree_read_u64(meta + META_TXN_AT);
	if (transaction != 0 && (int)(transaction & 1) != index)
		return bad(problem, problem_size, "a meta page is damaged");
	return 0;
}

static int check_metas(struct head *head, char *problem, size_t problem_size)
{
	char other[META_BYTES];
	if (pread(head->fd, head->meta, META_BYTES, 0) != META_BYTES)
		return bad(problem, problem_size, "cut short within its head");
	int rc = check_meta(head->meta, 0, problem, problem_size);
	if (rc < 0)
		return rc;
	head->page_bytes = tree_read_u32(head->meta + META_FREE_DB_AT);
	uint32_t size = head->page_bytes;
	if (size < 512 || size > 32768 || (size & (size - 1)) != 0)
		return bad(problem, problem_size, "its page size is damaged");
	if (head->file_bytes < 2ull * size ||
		pread(head->fd, other, META_BYTES, size) != META_BYTES)
		return bad(problem, problem_size, "cut short within its head");
	rc = check_meta(other, 1, problem, problem_size);
	if (rc < 0)
		return rc;
	if (tree_read_u32(other + META_FREE_DB_AT) != size)
		return bad(problem, problem_size, "its meta pages differ in page size");
	if (tree_read_u64(other + META_TXN_AT) > tree_read_u64(head->meta + META_TXN_AT))
		memcpy(head->meta, other, META_BYTES);
	if (tree_read_u64(head->meta + META_LAST_AT) >= (uint64_t)1 << 47)
		return bad(problem, problem_size, "its page count is damaged");
	return 0;
}

static int check_root(const struct head *head, size_t db_at, char *problem, size_t problem_size)
{
	const char *db = head->meta + db_at;
	uint64_t root = tree_read_u64(db + DB_ROOT_AT);
	uint16_t depth = read_u16(db + DB_DEPTH_AT);
	if (root == UINT64_MAX && depth == 0)
		return 0;
	if (root < 2 || root > tree_read_u64(head->meta + META_LAST_AT) || depth == 0 ||
		depth > LMDB_DEPTH_MAX)
		return bad(problem, problem_size, "the root of a tree is damaged");
	char page[PAGE_HEAD_BYTES];
	if (pread(head->fd, page, sizeof page, (off_t)(root * head->page_bytes)) != sizeof page)
		return bad(problem, problem_size, "cut short");
	uint16_t flags = read_u16(page + META_FLAGS_AT);
	bool leaf = depth == 1;
	if (tree_read_u64(page) != root || !(flags & (leaf ? PAGE_FLAG_LEAF : PAGE_FLAG_BRANCH)))
		return bad(problem, problem_size, "the root page of a tree is damaged");
	return 0;
}

/* Pages of number `first` and above in LMDB's list of free pages (its database 0: a transaction to
 * an array of numbers, their count first). */
int tree_check_free(MDB_env *env, uint64_t first, uint64_t *count)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	*count = 0;
	int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (rc)
		return tree_error(rc);
	rc = mdb_cursor_open(txn, 0, &cursor);
	if (rc == 0) {
		MDB_val key, list;
		while ((rc = mdb_cursor_get(cursor, &key, &list, MDB_NEXT)) == 0) {
			const char *numbers = list.mv_data;
			uint64_t entries = list.mv_size / 8 ? tree_read_u64(numbers) : 0;
			if (list.mv_size % 8 != 0 || entries >= list.mv_size / 8) {
				rc = MDB_CORRUPTED;
				break;
			}
			for (uint64_t i = 1; i <= entries; i++)
				*count += tree_read_u64(numbers + 8 * i) >= first;
		}
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? 0 : tree_error(rc);
}
