/*
 * class: the registry: an array of classes in the order of their names, behind a lock. There are
 * few classes and they change rarely; a worker asks for one only when the revision tells it that
 * something has changed since it asked last.
 *
 * A class and its source are one block of memory. It is freed when the registry and the last worker
 * that runs it have let go of it: turns under way end on the version they began with.
 *
 *   DO.CLASS LOAD -> TABLE_CLASS on shard 0 -> committed -> class_publish -> workers see it
 *   start         -> class_load_stored, then class_load_directory for the names that are left
 *
 * What TABLE_CLASS holds is described in include/holdfast/object_format.h.
 *
 * Threads: any. The lock is a leaf.
 */
#include "object/class.h"

#include "base/logline.h"
#include "base/memory.h"
#include "holdfast/object_format.h"
#include "object/object_key.h"
#include "object/packed.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SUFFIX ".lua"

struct class_registry {
	pthread_mutex_t lock;
	_Atomic uint64_t revision;
	struct class **classes; /* by name */
	size_t count;
	size_t capacity;
};

/* A directory's class files on their way into the registry. */
struct directory_load {
	struct class_registry *registry;
	const char *directory;
	int64_t now_ms;
	class_check_fn check;
	void *context;
	char *error;
	size_t error_size;
};

static struct slice name_of(const struct class *class);
static struct class *class_new(struct slice name, struct slice source);
static size_t position_of(const struct class_registry *registry, struct slice name, bool *found);
static bool read_stored(
	struct slice packed, uint64_t *version, int64_t *loaded_ms, struct slice *source);
static int is_class_file(const struct dirent *entry);
static int compare_names(const struct dirent **a, const struct dirent **b);
static int load_file(struct directory_load *load, const char *file_name);

struct class_registry *class_registry_new(void)
{
	struct class_registry *registry = memory_zeroed(sizeof(*registry));
	pthread_mutex_init(&registry->lock, NULL);
	return registry;
}

void class_registry_free(struct class_registry **taken)
{
	struct class_registry *registry = *taken;
	*taken = NULL;
	if (registry == NULL)
		return;
	for (size_t i = 0; i < registry->count; i++)
		class_release(&registry->classes[i]);
	pthread_mutex_destroy(&registry->lock);
	memory_free(registry->classes);
	memory_free(registry);
}

uint64_t class_registry_revision(const struct class_registry *registry)
{
	return atomic_load_explicit(&registry->revision, memory_order_acquire);
}

struct class *class_find(struct class_registry *registry, struct slice name)
{
	struct class *class = NULL;
	bool found;
	pthread_mutex_lock(&registry->lock);
	size_t at = position_of(registry, name, &found);
	if (found) {
		class = registry->classes[at];
		atomic_fetch_add_explicit(&class->references, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&registry->lock);
	return class;
}

void class_release(struct class **taken)
{
	struct class *class = *taken;
	*taken = NULL;
	if (class && atomic_fetch_sub_explicit(&class->references, 1, memory_order_acq_rel) == 1)
		memory_free(class);
}

void class_publish(struct class_registry *registry, struct slice name, struct slice source,
	uint64_t version, uint64_t lsn, int64_t loaded_ms, bool from_file)
{
	struct class *class = class_new(name, source);
	class->version = version;
	class->lsn = lsn;
	class->loaded_ms = loaded_ms;
	class->from_file = from_file;

	struct class *before = NULL;
	bool found;
	pthread_mutex_lock(&registry->lock);
	size_t at = position_of(registry, name, &found);
	if (found) {
		before = registry->classes[at];
	} else {
		if (registry->count == registry->capacity) {
			registry->capacity = registry->capacity ? registry->capacity * 2 : 16;
			registry->classes = memory_resize(
				registry->classes, registry->capacity * sizeof(*registry->classes));
		}
		memmove(&registry->classes[at + 1], &registry->classes[at],
			(registry->count - at) * sizeof(*registry->classes));
		registry->count++;
	}
	registry->classes[at] = class;
	atomic_fetch_add_explicit(&registry->revision, 1, memory_order_release);
	pthread_mutex_unlock(&registry->lock);
	class_release(&before);
}

void class_withdraw(struct class_registry *registry, struct slice name)
{
	struct class *before = NULL;
	bool found;
	pthread_mutex_lock(&registry->lock);
	size_t at = position_of(registry, name, &found);
	if (found) {
		before = registry->classes[at];
		registry->count--;
		memmove(&registry->classes[at], &registry->classes[at + 1],
			(registry->count - at) * sizeof(*registry->classes));
		atomic_fetch_add_explicit(&registry->revision, 1, memory_order_release);
	}
	pthread_mutex_unlock(&registry->lock);
	class_release(&before);
}

void class_each(struct class_registry *registry, class_each_fn each, void *context)
{
	pthread_mutex_lock(&registry->lock);
	for (size_t i = 0; i < registry->count; i++)
		each(context, registry->classes[i]);
	pthread_mutex_unlock(&registry->lock);
}

void class_load_stored(struct class_registry *registry, struct store *store)
{
	struct key start = { .size = 1, .bytes = { TABLE_CLASS } }, end = start;
	struct arena arena;
	struct cursor cursor;
	struct slice key, source;
	struct value value;
	key_prefix_end(&end);
	arena_init(&arena, 4096);
	cursor_open(&cursor, store, NULL, &arena, key_slice(&start), key_slice(&end), false);
	while (cursor_next(&cursor, &key, &value)) {
		struct slice name = slice_of(key.data + 1, key.size - 1);
		uint64_t version;
		int64_t loaded_ms;
		if (object_class_name_ok(name) &&
			read_stored(value.data, &version, &loaded_ms, &source))
			class_publish(registry, name, source, version, 0, loaded_ms, false);
		else
			logline(LOGLINE_WARNING, "a stored class is damaged and was left out: %.*s",
				(int)name.size, name.data);
	}
	cursor_close(&cursor);
	arena_fini(&arena);
}

int class_load_directory(struct class_registry *registry, const char *directory, int64_t now_ms,
	class_check_fn check, void *context, char *error, size_t error_size)
{
	struct directory_load load = {
		.registry = registry,
		.directory = directory,
		.now_ms = now_ms,
		.check = check,
		.context = context,
		.error = error,
		.error_size = error_size,
	};
	struct dirent **entries;
	int count = scandir(directory, &entries, is_class_file, compare_names);
	if (count < 0) {
		int failed = -errno;
		snprintf(error, error_size, "%s: %s", directory, strerror(-failed));
		return failed;
	}
	int result = 0;
	for (int i = 0; i < count; i++) {
		if (result == 0)
			result = load_file(&load, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return result;
}

static struct slice name_of(const struct class *class)
{
	return slice_text(class->name);
}

static struct class *class_new(struct slice name, struct slice source)
{
	assert(object_class_name_ok(name));
	struct class *class = memory_alloc(sizeof(*class) + source.size);
	char *copy = (char *)(class + 1);
	memset(class, 0, sizeof(*class));
	atomic_init(&class->references, 1);
	memcpy(class->name, name.data, name.size);
	if (source.size > 0)
		memcpy(copy, source.data, source.size);
	class->source = slice_of(copy, source.size);
	return class;
}

/* Where the class stands or would have to stand. */
static size_t position_of(const struct class_registry *registry, struct slice name, bool *found)
{
	size_t low = 0, high = registry->count;
	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = slice_compare(name_of(registry->classes[middle]), name);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
		*found = *found || order == 0;
	}
	return low;
}

static bool read_stored(
	struct slice packed, uint64_t *version, int64_t *loaded_ms, struct slice *source)
{
	struct packed_item table, items[OBJECT_FORMAT_CLASS_ITEMS];
	if (!packed_take(&packed, &table) || table.kind != PACKED_TABLE ||
		table.items != OBJECT_FORMAT_CLASS_ITEMS)
		return false;
	for (int i = 0; i < OBJECT_FORMAT_CLASS_ITEMS; i++)
		if (!packed_take(&packed, &items[i]))
			return false;
	*version = (uint64_t)items[0].integer;
	*loaded_ms = items[1].integer;
	*source = items[2].bytes;
	return items[0].kind == PACKED_INTEGER && items[1].kind == PACKED_INTEGER &&
		items[2].kind == PACKED_STRING;
}

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

static int complain(struct directory_load *load, const char *file_name, int failed, const char *why)
{
	snprintf(load->error, load->error_size, "%s/%s: %s", load->directory, file_name, why);
	return failed;
}

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

static int publish_file(
	struct directory_load *load, const char *file_name, struct slice name, struct slice source)
{
	char why[LIMIT_ERROR_BYTES];
	if (source.size > LIMIT_CLASS_SOURCE_BYTES)
		return complain(load, file_name, -EFBIG, "a class is at most 1 MiB long");
	if (!load->check(load->context, name, source, why, sizeof(why)))
		return complain(load, file_name, -EINVAL, why);
	class_publish(load->registry, name, source, 0, 0, load->now_ms, true);
	return 0;
}

static int load_file(struct directory_load *load, const char *file_name)
{
	struct slice name = slice_of(file_name, strlen(file_name) - strlen(FILE_SUFFIX));
	if (!object_class_name_ok(name))
		return complain(load, file_name, -EINVAL,
			"a class name is 1 to 64 letters, digits and underscores, and starts with "
			"a letter");
	struct class *stored = class_find(load->registry, name);
	bool hidden = stored && !stored->from_file;
	class_release(&stored);
	if (hidden) {
		logline(LOGLINE_NOTICE,
			"class %.*s: the one loaded by command is used, not that of %s/%s",
			(int)name.size, name.data, load->directory, file_name);
		return 0;
	}
	struct buffer source, path;
	buffer_init(&source);
	buffer_init(&path);
	buffer_format(&path, "%s/%s", load->directory, file_name);
	buffer_append(&path, "", 1);
	int failed = read_file(path.data, &source);
	failed = failed ? complain(load, file_name, failed, strerror(-failed))
			: publish_file(load, file_name, name, buffer_slice(&source));
	buffer_fini(&source);
	buffer_fini(&path);
	return failed;
}
