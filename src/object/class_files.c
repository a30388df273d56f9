/*
 * class_files: see class_files.h.
 *
 * Reading a directory is all or nothing, so that a reload changes either every class that has a new
 * file or none: a file that is half written, or does not compile, leaves what runs as it is.
 *
 *   names, sorted -> read -> check -> class_file ... and only then the caller publishes
 *
 * Threads: the caller's. What is read lies in the caller's arena.
 */
#include "object/class_files.h"

#include "base/buffer.h"
#include "base/logline.h"
#include "config/config.h"
#include "object/object_key.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_SUFFIX ".lua"
#define PATH_BYTES  4096

/* What is being read, and where to complain. */
struct reading {
	const struct class_files_options *options;
	char *error;
	size_t error_size;
};

static int read_file(const char *path, struct buffer *out);
static int read_class(const struct reading *reading, const char *file_name, struct class_file *out);
static int check_class(const struct reading *reading, const struct class_file *file);

/* Hidden files are editors' business. */
static int is_class_file(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name), suffix = strlen(FILE_SUFFIX);
	return entry->d_name[0] != '.' && size >= suffix &&
		strcmp(entry->d_name + size - suffix, FILE_SUFFIX) == 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int complain(const struct reading *reading, struct slice path, int failed, const char *why)
{
	snprintf(reading->error, reading->error_size, "%.*s: %s", (int)path.size, path.data, why);
	return failed;
}

/* Calls `each` for the name of every class file until one fails. */
static int walk_directory(const struct reading *reading,
	int (*each)(const struct reading *reading, const char *file_name, void *context),
	void *context)
{
	const char *directory = reading->options->directory;
	struct dirent **entries;
	int count = scandir(directory, &entries, is_class_file, compare_names);
	if (count < 0) {
		int failed = -errno;
		snprintf(reading->error, reading->error_size, "class-dir %s: %s", directory,
			strerror(-failed));
		return failed;
	}
	int result = 0;
	for (int i = 0; i < count; i++) {
		if (result == 0)
			result = each(reading, entries[i]->d_name, context);
		free(entries[i]);
	}
	free(entries);
	return result;
}

static int add_file(const struct reading *reading, const char *file_name, void *context)
{
	struct class_files *files = context;
	struct arena *arena = reading->options->arena;
	struct class_file file;
	int failed = read_class(reading, file_name, &file);
	if (failed == 0)
		failed = check_class(reading, &file);
	if (failed)
		return failed;
	/* Grown by the powers of two. */
	if ((files->count & (files->count - 1)) == 0) {
		struct class_file *grown =
			arena_alloc(arena, (2 * files->count + 1) * sizeof(*grown));
		if (files->count > 0)
			memcpy(grown, files->files, files->count * sizeof(*grown));
		files->files = grown;
	}
	files->files[files->count++] = file;
	return 0;
}

struct slice class_files_directory(struct config *config, struct arena *arena)
{
	char directory[PATH_BYTES];
	config_text_copy(config, "class-dir", directory, sizeof(directory));
	return arena_format(arena, "%s", directory);
}

int class_files_read(struct class_files *files, const struct class_files_options *options,
	char *error, size_t error_size)
{
	struct reading reading = { options, error, error_size };
	*files = (struct class_files){ NULL, 0 };
	if (options->only.size == 0)
		return walk_directory(&reading, add_file, files);
	char file_name[LIMIT_CLASS_NAME_BYTES + sizeof(FILE_SUFFIX)];
	assert(object_class_name_ok(options->only));
	snprintf(file_name, sizeof(file_name), "%.*s" FILE_SUFFIX, (int)options->only.size,
		options->only.data);
	return add_file(&reading, file_name, files);
}

void class_file_look(const char *directory, struct slice name, struct arena *arena,
	struct slice *path, struct class_digest *digest)
{
	struct buffer source;
	buffer_init(&source);
	*digest = (struct class_digest){ 0 };
	*path = arena_format(arena, "%s/%.*s" FILE_SUFFIX, directory, (int)name.size, name.data);
	if (read_file(path->data, &source) == 0)
		class_digest(buffer_slice(&source), digest);
	else
		*path = slice_of(NULL, 0);
	buffer_fini(&source);
}

bool class_file_is_later(const struct class_file *file, const struct class *class)
{
	if (class == NULL)
		return true;
	bool changed = memcmp(&class->file_digest, &file->digest, sizeof(file->digest)) != 0;
	if (class->from_file)
		return changed;
	return class->file_known && changed && !slice_equal(class->source, file->source);
}

void class_file_publish(const struct class_file *file, struct class_registry *registry,
	uint64_t lsn, int64_t now_ms)
{
	struct class *before = class_find(registry, file->name);
	struct class_given given = {
		.name = file->name,
		.source = file->source,
		.version = before ? before->version + 1 : 0,
		.lsn = lsn,
		.loaded_ms = now_ms,
		.from_file = true,
		.file = file->path,
		.file_known = true,
		.file_digest = file->digest,
	};
	class_publish(registry, &given);
	class_release(&before);
}

/* --- the start -------------------------------------------------------------------------------- */

struct start {
	struct class_registry *registry;
	int64_t now_ms;
};

/* The stored class goes on holding; it knows now which file it hides. */
static void hide_file(
	struct class_registry *registry, const struct class *stored, const struct class_file *file)
{
	struct class_given given = {
		.name = file->name,
		.source = stored->source,
		.version = stored->version,
		.lsn = stored->lsn,
		.loaded_ms = stored->loaded_ms,
		.file = file->path,
		.file_known = true,
		.file_digest = stored->file_known ? stored->file_digest : file->digest,
	};
	class_publish(registry, &given);
	logline(LOGLINE_NOTICE,
		"class %s: the one loaded by command is used, not that of %.*s; DO.CLASS RELOAD "
		"%s takes the file",
		stored->name, (int)file->path.size, file->path.data, stored->name);
}

static int start_with_file(const struct reading *reading, const char *file_name, void *context)
{
	const struct start *start = context;
	struct class_file file;
	int failed = read_class(reading, file_name, &file);
	struct class *stored = class_find(start->registry, file.name);
	bool later = failed == 0 && class_file_is_later(&file, stored);
	if (later)
		failed = check_class(reading, &file);
	if (failed && stored)
		logline(LOGLINE_WARNING, "%s: the class that was loaded by command before goes on",
			reading->error);
	else if (later && failed == 0)
		class_file_publish(&file, start->registry, 0, start->now_ms);
	else if (failed == 0)
		hide_file(start->registry, stored, &file);
	failed = stored ? 0 : failed;
	class_release(&stored);
	return failed;
}

int class_load_directory(struct class_registry *registry, int64_t now_ms,
	const struct class_files_options *options, char *error, size_t error_size)
{
	struct reading reading = { options, error, error_size };
	struct start start = { registry, now_ms };
	return walk_directory(&reading, start_with_file, &start);
}

/* --- a file ----------------------------------------------------------------------------------- */

/* The whole file into `out`, one byte more than is allowed at the most. 0 or negative errno. */
static int read_file(const char *path, struct buffer *out)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	int failed = 0;
	while (failed == 0 && out->size <= LIMIT_CLASS_SOURCE_BYTES) {
		size_t room = LIMIT_CLASS_SOURCE_BYTES + 1 - out->size;
		ssize_t got = read(file, buffer_reserve(out, room), room);
		if (got == 0)
			break;
		if (got > 0)
			out->size += (size_t)got;
		else if (errno != EINTR)
			failed = -errno;
	}
	close(file);
	return failed;
}

static int read_class(const struct reading *reading, const char *file_name, struct class_file *out)
{
	struct arena *arena = reading->options->arena;
	struct buffer source, path;
	buffer_init(&source);
	buffer_init(&path);
	buffer_format(&path, "%s/%s", reading->options->directory, file_name);
	buffer_append(&path, "", 1);
	out->path = arena_copy(arena, slice_of(path.data, path.size - 1));
	out->name = arena_copy(arena, slice_of(file_name, strlen(file_name) - strlen(FILE_SUFFIX)));
	int failed = 0;
	if (!object_class_name_ok(out->name))
		failed = complain(reading, out->path, -EINVAL,
			"a class name is 1 to 64 letters, digits and underscores, and starts with "
			"a letter");
	if (failed == 0 && (failed = read_file(path.data, &source)))
		complain(reading, out->path, failed, strerror(-failed));
	if (failed == 0 && source.size > LIMIT_CLASS_SOURCE_BYTES)
		failed = complain(reading, out->path, -EFBIG, "a class is at most 1 MiB long");
	if (failed == 0) {
		out->source = arena_copy(arena, buffer_slice(&source));
		class_digest(out->source, &out->digest);
	}
	buffer_fini(&source);
	buffer_fini(&path);
	return failed;
}

static int check_class(const struct reading *reading, const struct class_file *file)
{
	const struct class_files_options *options = reading->options;
	char why[LIMIT_ERROR_BYTES];
	if (options->check(options->context, file->name, file->source, why, sizeof(why)))
		return 0;
	return complain(reading, file->path, -EINVAL, why);
}
