/*
 * class_files: classes as files of `class-dir`: NAME.lua is class NAME.
 *
 * A class may come from its file or from DO.CLASS LOAD; the later of the two holds. A class that
 * was loaded by command knows its file by the digest that the file had then: when that has changed,
 * the file is the later one.
 *
 * Threads: the caller's; the disk is read at once.
 */
#ifndef OBJECT_CLASS_FILES_H
#define OBJECT_CLASS_FILES_H

#include "base/arena.h"
#include "object/class.h"

/* objects_check_class in production. */
typedef bool (*class_check_fn)(
	void *context, struct slice name, struct slice source, char *error, size_t error_size);

struct class_files_options {
	const char *directory;
	struct slice only; /* the class whose file is wanted; empty: all */
	class_check_fn check;
	void *context;
	struct arena *arena; /* what is read stays in it */
};

struct class_file {
	struct slice name;
	struct slice source;
	struct slice path;
	struct class_digest digest;
};

struct class_files {
	struct class_file *files; /* in the order of their names */
	size_t count;
};

struct config;

/* The configuration's class-dir, in the arena, with a zero byte behind it; empty: there is none. */
struct slice class_files_directory(struct config *config, struct arena *arena);
/* Reads and checks: all are sound, or it is an error. 0, or negative errno and one line in `error`
 * that names the file. */
int class_files_read(struct class_files *files, const struct class_files_options *options,
	char *error, size_t error_size);
/* What is known of the file of a name: its path and digest, the one empty and the other zeros when
 * there is none. In the arena. */
void class_file_look(const char *directory, struct slice name, struct arena *arena,
	struct slice *path, struct class_digest *digest);
/* Whether the file came after the class that holds; `class` NULL: there is none. */
bool class_file_is_later(const struct class_file *file, const struct class *class);
/* Makes the file the class of its name. `lsn` as in class_publish. */
void class_file_publish(const struct class_file *file, struct class_registry *registry,
	uint64_t lsn, int64_t now_ms);

/* At the start, behind class_load_stored: takes the files that are later than what is stored. A
 * file that is not sound is an error as above, unless there is a stored class to go on with.
 * `options->only` is not looked at. */
int class_load_directory(struct class_registry *registry, int64_t now_ms,
	const struct class_files_options *options, char *error, size_t error_size);

#endif
