/*
 * class: the registry: an array of classes in the order of their names, behind a lock. There are
 * few classes and they change rarely; a worker asks for one only when the revision tells it that
 * something has changed since it asked last.
 *
 * A class and its source are one block of memory. It is freed when the registry and the last worker
 * that runs it have let go of it: turns under way end on the version they began with.
 *
 *   DO.CLASS LOAD -> TABLE_CLASS on shard 0 -> committed -> class_publish -> workers see it
 *   start         -> class_load_stored, then class_load_directory (object/class_files.h)
 *
 * What TABLE_CLASS holds is described in include/holdfast/object_format.h.
 *
 * Threads: any. The lock is a leaf.
 */
#include "object/class.h"

#include "base/logline.h"
#include "base/memory.h"
#include "holdfast/object_format.h"
#include "object/commands.h"
#include "object/object_key.h"
#include "object/packed.h"
#include "store/damage.h"

#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>

struct class_registry {
	pthread_mutex_t lock;
	_Atomic uint64_t revision;
	struct class **classes; /* by name */
	size_t count;
	size_t capacity;
};

static struct slice name_of(const struct class *class);
static struct class *class_new(const struct class_given *given);
static size_t position_of(const struct class_registry *registry, struct slice name, bool *found);
static bool read_stored(struct slice packed, struct class_given *out);

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
	if (class == NULL ||
		atomic_fetch_sub_explicit(&class->references, 1, memory_order_acq_rel) > 1)
		return;
	if (atomic_fetch_sub_explicit(class->versions, 1, memory_order_acq_rel) == 1)
		memory_free(class->versions);
	memory_free(class);
}

uint32_t class_versions(const struct class *class)
{
	return atomic_load_explicit(class->versions, memory_order_relaxed);
}

/* Counted in before that of `before` goes; NULL: it is the first of its name. */
static void count_version(struct class *class, const struct class *before)
{
	class->versions = before ? before->versions : memory_zeroed(sizeof(*class->versions));
	atomic_fetch_add_explicit(class->versions, 1, memory_order_relaxed);
}

void class_publish(struct class_registry *registry, const struct class_given *given)
{
	struct class *class = class_new(given);
	struct class *before = NULL;
	bool found;
	pthread_mutex_lock(&registry->lock);
	size_t at = position_of(registry, given->name, &found);
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
	count_version(class, before);
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
	struct slice key;
	struct value value;
	key_prefix_end(&end);
	arena_init(&arena, 4096);
	cursor_open(&cursor, store, NULL, &arena, key_slice(&start), key_slice(&end), false);
	while (cursor_next(&cursor, &key, &value)) {
		struct slice name = slice_of(key.data + 1, key.size - 1);
		struct class_given given;
		if (!object_class_name_ok(name) || !read_stored(value.data, &given))
			damaged("a stored class", CLASS_SHARD, key);
		given.name = name;
		class_publish(registry, &given);
	}
	cursor_close(&cursor);
	arena_fini(&arena);
}

void class_digest(struct slice source, struct class_digest *out)
{
	unsigned size = 0;
	int done = EVP_Digest(source.data, source.size, out->bytes, &size, EVP_sha256(), NULL);
	assert(done == 1);
	assert(size == sizeof(out->bytes));
}

static struct slice name_of(const struct class *class)
{
	return slice_text(class->name);
}

static struct slice copy_behind(char **at, struct slice bytes)
{
	struct slice copy = slice_of(*at, bytes.size);
	if (bytes.size > 0)
		memcpy(*at, bytes.data, bytes.size);
	*at += bytes.size;
	return copy;
}

static struct class *class_new(const struct class_given *given)
{
	assert(object_class_name_ok(given->name));
	struct class *class = memory_alloc(sizeof(*class) + given->source.size + given->file.size);
	char *at = (char *)(class + 1);
	memset(class, 0, sizeof(*class));
	atomic_init(&class->references, 1);
	memcpy(class->name, given->name.data, given->name.size);
	class->version = given->version;
	class->lsn = given->lsn;
	class->loaded_ms = given->loaded_ms;
	class->from_file = given->from_file;
	class->file_known = given->file_known;
	class->file_digest = given->file_digest;
	class->source = copy_behind(&at, given->source);
	class->file = copy_behind(&at, given->file);
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

/* Of the first version of the format the digest is missing. */
static bool read_stored(struct slice packed, struct class_given *out)
{
	struct packed_item table, items[OBJECT_FORMAT_CLASS_ITEMS];
	*out = (struct class_given){ 0 };
	if (!packed_take(&packed, &table) || table.kind != PACKED_TABLE ||
		table.items < OBJECT_FORMAT_CLASS_ITEMS - 1 ||
		table.items > OBJECT_FORMAT_CLASS_ITEMS)
		return false;
	for (uint64_t i = 0; i < table.items; i++)
		if (!packed_take(&packed, &items[i]))
			return false;
	out->version = (uint64_t)items[0].integer;
	out->loaded_ms = items[1].integer;
	out->source = items[2].bytes;
	if (table.items == OBJECT_FORMAT_CLASS_ITEMS &&
		items[3].bytes.size == sizeof(out->file_digest)) {
		out->file_known = true;
		memcpy(&out->file_digest, items[3].bytes.data, sizeof(out->file_digest));
	}
	return items[0].kind == PACKED_INTEGER && items[1].kind == PACKED_INTEGER &&
		items[2].kind == PACKED_STRING;
}
