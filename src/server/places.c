/*
 * places: see places.h. The kernel is asked, nothing is opened: what is true now may no longer be
 * so at the start, which judges for itself.
 *
 * Runs once, on the main thread.
 */
#include "server/places.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTED  (R_OK | X_OK)
#define CHANGED (R_OK | W_OK | X_OK)

enum place {
	PLACE_DIRECTORY,         /* that must be there */
	PLACE_DIRECTORY_OR_MADE, /* by the start, when its parent is there */
	PLACE_FILE_OR_MADE,      /* the same */
};

/* Empty ones are not used. */
static const struct {
	const char *parameter;
	enum place place;
} places[] = {
	{ "dir", PLACE_DIRECTORY_OR_MADE },
	{ "class-dir", PLACE_DIRECTORY },
	{ "logfile", PLACE_FILE_OR_MADE },
	{ "unixsocket", PLACE_FILE_OR_MADE },
};

static int check_place(const char *path, enum place place);
static int check_directory(const char *path, int access);

int places_check(struct config *config, char *error, size_t error_size)
{
	char path[PATH_MAX];
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		config_text_copy(config, places[i].parameter, path, sizeof(path));
		int result = *path ? check_place(path, places[i].place) : 0;
		if (result < 0) {
			snprintf(error, error_size, "%s: '%s' cannot be used: %s",
				places[i].parameter, path, strerror(-result));
			return result;
		}
	}
	return 0;
}

static int check_place(const char *path, enum place place)
{
	char copy[PATH_MAX];
	struct stat status;
	if (place == PLACE_DIRECTORY)
		return check_directory(path, LISTED);
	if (stat(path, &status) != 0) {
		snprintf(copy, sizeof(copy), "%s", path);
		return errno == ENOENT ? check_directory(dirname(copy), W_OK | X_OK) : -errno;
	}
	if (place == PLACE_DIRECTORY_OR_MADE)
		return check_directory(path, CHANGED);
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 ? 0 : -errno;
}

static int check_directory(const char *path, int access)
{
	struct stat status;
	if (stat(path, &status) != 0)
		return -errno;
	if (!S_ISDIR(status.st_mode))
		return -ENOTDIR;
	return faccessat(AT_FDCWD, path, access, AT_EACCESS) == 0 ? 0 : -errno;
}
