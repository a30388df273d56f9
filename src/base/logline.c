/*
 * logline: each line is formatted on the caller's stack and written by one write(2), so lines of
 * several threads never mix and a crash loses none. Redis's layout: `pid:M time mark text`.
 */
#include "base/logline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 1024

static atomic_int level_least = LOGLINE_NOTICE;
static atomic_int output = STDOUT_FILENO;

int logline_open(const char *path)
{
	if (path[0] == '\0')
		return 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	atomic_store(&output, fd);
	return 0;
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
	ssize_t written = write(atomic_load(&output), line, size);
	(void)written; /* nowhere left to say it */
}
