/*
 * disk: the kernel's file system behind the seam of disk.h.
 *
 * Direct writes are O_DIRECT, which some file systems refuse when it is asked for and others when
 * something is written: then the file goes on through the page cache.
 */
#include "base/disk.h"

#include "base/memory.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ZERO_BYTES (2 << 20)

struct system_file {
	struct disk_file file;
	int fd;
	bool is_direct; /* it is only written, by blocks */
};

static struct system_file *system_of(struct disk_file *file)
{
	return (struct system_file *)file;
}

static int fd_of(struct disk_file *file)
{
	return system_of(file)->fd;
}

/* A quota that is used up and a file as large as it may be are a full disk too. */
static int failed(void)
{
	return errno == EDQUOT || errno == EFBIG ? -ENOSPC : -errno;
}

static int system_open(
	struct disk *disk, const char *path, enum disk_open_mode mode, struct disk_file **out)
{
	int flags = O_RDWR | O_CLOEXEC | (mode == DISK_OPEN_CREATE ? O_CREAT | O_EXCL : 0);
	int fd = open(path, flags, 0600);
	if (fd < 0)
		return failed();
	struct system_file *file = memory_zeroed(sizeof(*file));
	file->file.disk = disk;
	file->fd = fd;
	*out = &file->file;
	return 0;
}

static int system_remove(struct disk *disk, const char *path)
{
	(void)disk;
	return unlink(path) == 0 ? 0 : failed();
}

static int system_rename(struct disk *disk, const char *from, const char *to)
{
	(void)disk;
	return rename(from, to) == 0 ? 0 : failed();
}

static int system_sync_directory(struct disk *disk, const char *path)
{
	(void)disk;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed();
	int result = fsync(fd) == 0 ? 0 : failed();
	close(fd);
	return result;
}

static int system_list(struct disk *disk, const char *directory, disk_list_fn found, void *context)
{
	(void)disk;
	DIR *stream = opendir(directory);
	if (stream == NULL)
		return failed();
	for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
		struct stat status;
		if (fstatat(dirfd(stream), entry->d_name, &status, 0) == 0 &&
			S_ISREG(status.st_mode))
			found(context, entry->d_name);
	}
	closedir(stream);
	return 0;
}

static void system_close(struct disk_file *file)
{
	close(fd_of(file));
	memory_free(file);
}

static void ask_for_direct(struct disk_file *file, bool is_direct)
{
	int flags = fcntl(fd_of(file), F_GETFL);
	(void)fcntl(fd_of(file), F_SETFL, is_direct ? flags | O_DIRECT : flags & ~O_DIRECT);
}

static void system_set_direct(struct disk_file *file, bool is_direct)
{
	if (system_of(file)->is_direct != is_direct)
		ask_for_direct(file, is_direct);
	system_of(file)->is_direct = is_direct;
}

static bool is_whole_blocks(const void *bytes, size_t size, uint64_t offset)
{
	return ((uintptr_t)bytes | size | offset) % DISK_BLOCK_BYTES == 0;
}

static int system_write(struct disk_file *file, const void *bytes, size_t size, uint64_t offset)
{
	const char *next = bytes;
	bool may_be_refused = system_of(file)->is_direct;
	assert(!may_be_refused || is_whole_blocks(bytes, size, offset));
	while (size) {
		ssize_t written = pwrite(fd_of(file), next, size, (off_t)offset);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno == EINVAL && may_be_refused) {
			may_be_refused = false;
			ask_for_direct(file, false);
			continue;
		}
		if (written < 0)
			return failed();
		next += written;
		offset += (uint64_t)written;
		size -= (size_t)written;
	}
	return 0;
}

static ssize_t system_read(struct disk_file *file, void *out, size_t size, uint64_t offset)
{
	size_t total = 0;
	assert(!system_of(file)->is_direct);
	while (total < size) {
		ssize_t got = pread(
			fd_of(file), (char *)out + total, size - total, (off_t)(offset + total));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return failed();
		if (got == 0)
			break;
		total += (size_t)got;
	}
	return (ssize_t)total;
}

static int system_sync(struct disk_file *file)
{
	return fdatasync(fd_of(file)) == 0 ? 0 : failed();
}

static int system_allocate(struct disk_file *file, uint64_t size)
{
	/* Written zeros, not fallocate's unwritten extents: those would make every later sync
	 * change metadata, at several times its cost. Synced as it grows: a flush of anything else
	 * would have to wait for all of it at the end. */
	char *zeros = memory_aligned(DISK_BLOCK_BYTES, ZERO_BYTES);
	int result = 0;
	memset(zeros, 0, ZERO_BYTES);
	for (uint64_t at = 0; at < size && result == 0; at += ZERO_BYTES) {
		uint64_t left = size - at;
		result = system_write(file, zeros, left < ZERO_BYTES ? left : ZERO_BYTES, at);
		if (result == 0)
			result = system_sync(file);
	}
	memory_free(zeros);
	return result;
}

static int system_size(struct disk_file *file, uint64_t *out)
{
	struct stat status;
	if (fstat(fd_of(file), &status) != 0)
		return failed();
	*out = (uint64_t)status.st_size;
	return 0;
}

static uint64_t system_largest(struct disk *disk)
{
	struct rlimit limit;
	(void)disk;
	if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return (uint64_t)limit.rlim_cur;
}

static uint64_t system_room(struct disk *disk, const char *directory)
{
	struct statvfs status;
	(void)disk;
	if (statvfs(directory, &status) != 0)
		return UINT64_MAX;
	return (uint64_t)status.f_bavail * status.f_frsize;
}

struct disk *disk_system(void)
{
	static const struct disk_operations operations = {
		.open = system_open,
		.remove = system_remove,
		.rename = system_rename,
		.sync_directory = system_sync_directory,
		.list = system_list,
		.close = system_close,
		.write = system_write,
		.read = system_read,
		.sync = system_sync,
		.allocate = system_allocate,
		.set_direct = system_set_direct,
		.size = system_size,
		.largest = system_largest,
		.room = system_room,
	};
	static struct disk system = { &operations };
	return &system;
}
