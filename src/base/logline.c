/*
 * logline: each line is formatted on the caller's stack and written by one write(2), so lines of
 * several threads never mix and a crash loses none. Redis's layout: `pid:M time mark text`.
 *
 * A file that was moved or removed (logrotate) is noticed by the next line, which looks whether the
 * path still names what is open: Redis opens the file for each line to the same end. The new file
 * takes over the number of the old descriptor, so whoever is about to write to it needs no lock.
 * While no new file can be made, lines go on to where they went.
 */
#include "base/logline.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 4096

static atomic_int level_least = LOGLINE_NOTICE;
static atomic_int output = STDOUT_FILENO;
static char *output_path; /* NULL: standard output; set before there are threads */
static pthread_mutex_t reopen_lock = PTHREAD_MUTEX_INITIALIZER;

static int open_output(void)
{
	return open(output_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

int logline_open(const char *path)
{
	free(output_path);
	output_path = NULL;
	if (path[0] == '\0')
		return 0;
	output_path = strdup(path);
	int fd = output_path ? open_output() : -1;
	if (fd < 0) {
		int error = errno;
		free(output_path);
		output_path = NULL;
		return -error;
	}
	atomic_store(&output, fd);
	return 0;
}

int logline_reopen(void)
{
	if (output_path == NULL)
		return 0;
	int result = 0;
	pthread_mutex_lock(&reopen_lock);
	int fd = open_output();
	if (fd < 0 || dup3(fd, atomic_load(&output), O_CLOEXEC) < 0)
		result = -errno;
	if (fd >= 0)
		close(fd);
	pthread_mutex_unlock(&reopen_lock);
	return result;
}

static bool was_moved(void)
{
	struct stat named, opened;
	if (output_path == NULL || fstat(atomic_load(&output), &opened) != 0)
		return false;
	return stat(output_path, &named) != 0 || named.st_ino != opened.st_ino ||
		named.st_dev != opened.st_dev;
}

void logline_set_level(enum logline_level level)
{
	atomic_store(&level_least, (int)level);
}

void logline(enum logline_level level, const char *format, ...)
{
	if ((int)level < atomic_load_explicit(&level_least, memory_order_relaxed))
		return;
	char line[LINE_BYTES_MAX];
	struct timeval now;
	struct tm parts;
	gettimeofday(&now, NULL);
	localtime_r(&now.tv_sec, &parts);
	size_t size = (size_t)snprintf(line, sizeof(line), "%d:M ", (int)getpid());
	size += strftime(line + size, sizeof(line) - size, "%d %b %Y %H:%M:%S.", &parts);
	size += (size_t)snprintf(line + size, sizeof(line) - size, "%03d %c ",
		(int)(now.tv_usec / 1000), ".-*#"[level]);
	va_list list;
	va_start(list, format);
	int text = vsnprintf(line + size, sizeof(line) - size - 1, format, list);
	va_end(list);
	if (text > 0)
		size += (size_t)text;
	if (size > sizeof(line) - 2)
		size = sizeof(line) - 2;
	line[size++] = '\n';
	if (was_moved())
		logline_reopen();
	ssize_t written = write(atomic_load(&output), line, size);
	(void)written; /* nowhere left to say it */
}

bool logline_may(struct logline_rate *rate, int64_t now_ms, int64_t every_ms, uint64_t *withheld)
{
	int64_t next_ms = atomic_load(&rate->next_ms);
	/* A clock that was set back must not silence for as long. */
	bool due = now_ms >= next_ms || now_ms < next_ms - every_ms;
	if (!due || !atomic_compare_exchange_strong(&rate->next_ms, &next_ms, now_ms + every_ms)) {
		atomic_fetch_add(&rate->withheld, 1);
		return false;
	}
	*withheld = atomic_exchange(&rate->withheld, 0);
	return true;
}
