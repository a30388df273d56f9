/*
 * test_disk: the kernel's file system behind the seam, in a fresh directory for each test: what was
 * written is read back, and errors come as negative errnos.
 */
#include "base/disk.h"
#include "base/memory.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODEL_BYTES 300000

struct directory {
	char path[64];
	char a[80], b[80]; /* paths of two files in it */
};

static int make_directory(void **state)
{
	struct directory *directory = calloc(1, sizeof(*directory));
	strcpy(directory->path, "/tmp/test_disk.XXXXXX");
	if (mkdtemp(directory->path) == NULL)
		return -1;
	snprintf(directory->a, sizeof(directory->a), "%s/a", directory->path);
	snprintf(directory->b, sizeof(directory->b), "%s/b", directory->path);
	*state = directory;
	return 0;
}

static int remove_directory(void **state)
{
	struct directory *directory = *state;
	unlink(directory->a);
	unlink(directory->b);
	int result = rmdir(directory->path);
	free(directory);
	return result;
}

static struct disk_file *create(const char *path)
{
	struct disk_file *file;
	assert_int_equal(disk_open(disk_system(), path, DISK_OPEN_CREATE, &file), 0);
	return file;
}

static void opens_only_what_is_there_and_creates_only_what_is_not(void **state)
{
	struct directory *directory = *state;
	struct disk_file *file;
	assert_int_equal(
		disk_open(disk_system(), directory->a, DISK_OPEN_EXISTING, &file), -ENOENT);
	file = create(directory->a);
	disk_close(&file);
	assert_null(file);
	disk_close(&file);
	assert_int_equal(disk_open(disk_system(), directory->a, DISK_OPEN_CREATE, &file), -EEXIST);
	assert_int_equal(disk_open(disk_system(), directory->a, DISK_OPEN_EXISTING, &file), 0);
	disk_close(&file);
}

static void files_are_for_their_owner_only(void **state)
{
	struct directory *directory = *state;
	struct disk_file *file = create(directory->a);
	struct stat status;
	assert_int_equal(stat(directory->a, &status), 0);
	assert_int_equal(status.st_mode & 0077, 0);
	disk_close(&file);
}

static void equals_an_array_under_random_writes_and_reads(void **state)
{
	struct directory *directory = *state;
	static char model[MODEL_BYTES], bytes[MODEL_BYTES];
	struct random random;
	size_t size = 0;
	random_seed(&random, 8);
	struct disk_file *file = create(directory->a);
	memset(model, 0, sizeof(model));
	for (int i = 0; i < 2000; i++) {
		size_t offset = random_below(&random, MODEL_BYTES);
		size_t amount = random_below(&random, i % 20 ? 200 : MODEL_BYTES);
		if (random_below(&random, 2)) {
			if (amount > MODEL_BYTES - offset)
				amount = MODEL_BYTES - offset;
			memset(bytes, (int)random_below(&random, 256), amount);
			assert_int_equal(disk_write(file, bytes, amount, offset), 0);
			memcpy(model + offset, bytes, amount);
			if (amount && offset + amount > size)
				size = offset + amount;
		} else {
			size_t there = offset < size ? size - offset : 0;
			size_t expected = amount < there ? amount : there;
			assert_int_equal(disk_read(file, bytes, amount, offset), expected);
			assert_memory_equal(bytes, model + offset, expected);
		}
		uint64_t now;
		assert_int_equal(disk_size(file, &now), 0);
		assert_int_equal(now, size);
	}
	assert_int_equal(disk_sync(file), 0);
	disk_close(&file);
	assert_int_equal(disk_open(disk_system(), directory->a, DISK_OPEN_EXISTING, &file), 0);
	assert_int_equal(disk_read(file, bytes, MODEL_BYTES, 0), size);
	assert_memory_equal(bytes, model, size);
	disk_close(&file);
}

static void what_is_written_directly_is_read_by_who_opens_the_file(void **state)
{
	struct directory *directory = *state;
	struct disk_file *file = create(directory->a);
	char *bytes = memory_aligned(DISK_BLOCK_BYTES, 8 * DISK_BLOCK_BYTES);
	char *read = memory_alloc(8 * DISK_BLOCK_BYTES);
	memset(bytes, 'a', 8 * DISK_BLOCK_BYTES);
	disk_set_direct(file, true);
	assert_int_equal(disk_allocate(file, 8 * DISK_BLOCK_BYTES), 0);
	assert_int_equal(disk_write(file, bytes, 3 * DISK_BLOCK_BYTES, DISK_BLOCK_BYTES), 0);
	assert_int_equal(disk_sync(file), 0);
	disk_close(&file);
	assert_int_equal(disk_open(disk_system(), directory->a, DISK_OPEN_EXISTING, &file), 0);
	assert_int_equal(disk_read(file, read, 8 * DISK_BLOCK_BYTES, 0), 8 * DISK_BLOCK_BYTES);
	for (size_t i = 0; i < 8 * DISK_BLOCK_BYTES; i++)
		assert_int_equal(read[i], i / DISK_BLOCK_BYTES - 1 < 3 ? 'a' : 0);
	/* What has been read may be written directly afterwards. */
	disk_set_direct(file, true);
	assert_int_equal(disk_write(file, bytes, DISK_BLOCK_BYTES, 0), 0);
	disk_close(&file);
	assert_int_equal(disk_open(disk_system(), directory->a, DISK_OPEN_EXISTING, &file), 0);
	assert_int_equal(disk_read(file, read, DISK_BLOCK_BYTES, 0), DISK_BLOCK_BYTES);
	assert_memory_equal(read, bytes, DISK_BLOCK_BYTES);
	disk_close(&file);
	memory_free(bytes);
	memory_free(read);
}

static void allocated_bytes_are_written_zeros(void **state)
{
	struct directory *directory = *state;
	struct disk_file *file = create(directory->a);
	uint64_t wanted = (3 << 20) + 4096, size;
	struct stat status;
	assert_int_equal(disk_allocate(file, wanted), 0);
	assert_int_equal(disk_sync(file), 0);
	assert_int_equal(disk_size(file, &size), 0);
	assert_int_equal(size, wanted);
	char last = 'x';
	assert_int_equal(disk_read(file, &last, 1, wanted - 1), 1);
	assert_int_equal(last, 0);
	/* No hole: each byte has its block. */
	assert_int_equal(stat(directory->a, &status), 0);
	assert_true((uint64_t)status.st_blocks * 512 >= wanted);
	disk_close(&file);
}

static void count_name(void *context, const char *name)
{
	char *counts = context;
	assert_int_equal(strlen(name), 1);
	counts[(unsigned char)name[0]]++;
}

static void lists_plain_files_only(void **state)
{
	struct directory *directory = *state;
	char folder[80];
	snprintf(folder, sizeof(folder), "%s/folder", directory->path);
	assert_int_equal(mkdir(folder, 0700), 0);
	struct disk_file *a = create(directory->a), *b = create(directory->b);
	disk_close(&a);
	disk_close(&b);

	char seen[UCHAR_MAX + 1] = { 0 };
	assert_int_equal(disk_list(disk_system(), directory->path, count_name, seen), 0);
	assert_int_equal(seen['a'], 1);
	assert_int_equal(seen['b'], 1);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(disk_list(disk_system(), folder, count_name, seen), -ENOENT);
}

static void renames_over_and_removes(void **state)
{
	struct directory *directory = *state;
	struct disk_file *a = create(directory->a), *b = create(directory->b);
	uint64_t size;
	assert_int_equal(disk_write(a, "new", 3, 0), 0);
	disk_close(&a);
	disk_close(&b);
	assert_int_equal(disk_rename(disk_system(), directory->a, directory->b), 0);
	assert_int_equal(disk_sync_directory(disk_system(), directory->path), 0);
	assert_int_equal(disk_open(disk_system(), directory->b, DISK_OPEN_EXISTING, &b), 0);
	assert_int_equal(disk_size(b, &size), 0);
	assert_int_equal(size, 3);
	disk_close(&b);
	assert_int_equal(disk_rename(disk_system(), directory->a, directory->b), -ENOENT);
	assert_int_equal(disk_remove(disk_system(), directory->b), 0);
	assert_int_equal(disk_remove(disk_system(), directory->b), -ENOENT);
	assert_int_equal(disk_sync_directory(disk_system(), directory->b), -ENOENT);
}

static void knows_how_much_is_free(void **state)
{
	struct directory *directory = *state;
	uint64_t room = disk_room(disk_system(), directory->path);
	assert_true(room > 0 && room < UINT64_MAX);
	assert_true(disk_room(disk_system(), directory->b) == UINT64_MAX);
}

static void a_full_disk_is_an_error_and_not_a_crash(void **state)
{
	struct disk_file *file;
	char byte = 'x';
	if (disk_open(disk_system(), "/dev/full", DISK_OPEN_EXISTING, &file) != 0) {
		print_message("skipped: this machine has no /dev/full\n");
		skip();
	}
	assert_int_equal(disk_write(file, &byte, 1, 0), -ENOSPC);
	assert_int_equal(disk_allocate(file, 10), -ENOSPC);
	disk_close(&file);
}

/* As a used up quota is, which takes a file system of its own to show. */
static void a_file_as_large_as_it_may_be_is_a_full_disk(void **state)
{
	struct directory *directory = *state;
	struct disk_file *file = create(directory->a);
	struct rlimit before, limit;
	char bytes[3000] = { 0 };
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){ 5000, before.rlim_max };
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	int first = disk_write(file, bytes, sizeof(bytes), 0);
	int second = disk_write(file, bytes, sizeof(bytes), sizeof(bytes));
	int third = disk_allocate(file, 100000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, handler);
	assert_int_equal(first, 0);
	assert_int_equal(second, -ENOSPC);
	assert_int_equal(third, -ENOSPC);
	disk_close(&file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_as_large_as_it_may_be_is_a_full_disk),
		TEST(opens_only_what_is_there_and_creates_only_what_is_not),
		TEST(files_are_for_their_owner_only),
		TEST(equals_an_array_under_random_writes_and_reads),
		TEST(what_is_written_directly_is_read_by_who_opens_the_file),
		TEST(allocated_bytes_are_written_zeros),
		TEST(lists_plain_files_only),
		TEST(renames_over_and_removes),
		TEST(knows_how_much_is_free),
		TEST(a_full_disk_is_an_error_and_not_a_crash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
