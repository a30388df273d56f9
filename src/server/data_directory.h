/*
 * data_directory: makes it when absent and holds its lock, so that no two processes use it at once.
 */
#ifndef SERVER_DATA_DIRECTORY_H
#define SERVER_DATA_DIRECTORY_H

#include <stddef.h>

/* Makes `path` and `path`/log, takes `path`/lock. The lock's descriptor, to be kept open, or
 * negative errno and one line in `error` (-EBUSY: another process uses it). */
int data_directory_open(const char *path, char *error, size_t error_size);

#endif
