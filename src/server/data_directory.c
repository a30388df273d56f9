/*
 * data_directory: see data_directory.h. The lock is flock(2) on a file of its own: the kernel gives
 * it back when the process ends, however it ends. The file holds the process id, for the message to
 * whoever comes second.
 */
#include "server/data_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_directory(const char *path, char *error, size_t error_size)
{
	struct stat status;
	if (mkdir(path, 0700) == 0)
		return 0;
	int result = -errno;
	if (result == -EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return 0;
	snprintf(error, error_size, "cannot make the data directory %s: %s", path,
		result == -EEXIST ? "a file of that name is in the way" : strerror(-result));
	return result;
}

static int take_lock(const char *path, const char *directory, char *error, size_t error_size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		int result = -errno;
		snprintf(error, error_size, "cannot open %s: %s", path, strerror(-result));
		return result;
	}
	char owner[32] = "";
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		ssize_t size = read(fd, owner, sizeof(owner) - 1);
		owner[size > 0 ? strcspn(owner, "\n") : 0] = '\0';
		snprintf(error, error_size, "the data directory %s is in use by process %s",
			directory, owner[0] ? owner : "of another server");
		close(fd);
		return -EBUSY;
	}
	int size = snprintf(owner, sizeof(owner), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) != 0 || pwrite(fd, owner, (size_t)size, 0) != size) {
		/* The lock counts, not what the file says. */
	}
	return fd;
}

int data_directory_open(const char *path, char *error, size_t error_size)
{
	char inner[4096];
	int result = make_directory(path, error, error_size);
	if (result < 0)
		return result;
	snprintf(inner, sizeof(inner), "%s/log", path);
	result = make_directory(inner, error, error_size);
	if (result < 0)
		return result;
	snprintf(inner, sizeof(inner), "%s/lock", path);
	return take_lock(inner, path, error, error_size);
}
