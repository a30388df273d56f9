/*
 * sim_disk: see sim_disk.h.
 *
 * A file's `content` is what reads see. What a crash would take back is kept as a list of changes,
 * one for each sector of each write, with the sector's bytes before it. A crash goes through the
 * list from the newest to the oldest and undoes some: whatever it chooses, each sector ends up as
 * some write left it, or as it was at the last sync. A sync forgets the list. The directory is kept
 * the same way, as one table of names and a list of changes to it.
 *
 * Life: a node (a file's content) lives while a name, an open handle or a change refers to it.
 */
#include "support/sim_disk.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES      512
#define SECTORS_PER_BLOCK 8

struct sector_change {
	uint64_t write; /* which write made it */
	uint64_t sector;
	bool clean; /* a sync failed since: later syncs skip it */
	char before[SECTOR_BYTES];
};

struct node {
	int references;
	char *content; /* capacity bytes, zero beyond size */
	uint64_t size;
	uint64_t capacity;
	uint64_t durable_size;
	struct sector_change *changes;
	size_t changes_count;
	size_t changes_capacity;
};

struct name {
	char *path;
	struct node *node;
};

enum name_change_kind { NAME_CREATED, NAME_REMOVED, NAME_RENAMED };

struct name_change {
	enum name_change_kind kind;
	char *path;
	char *to;              /* of a rename */
	struct node *node;     /* that was created, removed or renamed */
	struct node *replaced; /* by a rename; NULL: nothing was */
};

struct sim_disk {
	struct disk disk;
	struct random random;
	struct name *names;
	size_t names_count;
	struct name_change *changes;
	size_t changes_count;
	uint64_t operations;
	uint64_t fail_at;
	int fail_error;
	uint64_t crash_at; /* 0: never */
	bool crashed;
	uint64_t lives; /* handles of an earlier one are dead */
	uint64_t capacity;
	uint64_t writes;
	uint64_t direct_writes;
};

struct sim_file {
	struct disk_file file;
	struct node *node;
	uint64_t life;
	bool is_direct;
};

static const struct disk_operations sim_operations;

static struct sim_disk *sim_of(const struct disk *disk)
{
	assert(disk->operations == &sim_operations);
	return (struct sim_disk *)(uintptr_t)disk;
}

static void node_release(struct node *node)
{
	if (node == NULL || --node->references > 0)
		return;
	memory_free(node->content);
	memory_free(node->changes);
	memory_free(node);
}

static struct node *node_keep(struct node *node)
{
	if (node)
		node->references++;
	return node;
}

static struct name *name_find(struct sim_disk *sim, const char *path)
{
	for (size_t i = 0; i < sim->names_count; i++) {
		if (strcmp(sim->names[i].path, path) == 0)
			return &sim->names[i];
	}
	return NULL;
}

/* Binds `path` to the node; NULL unbinds. */
static void name_set(struct sim_disk *sim, const char *path, struct node *node)
{
	struct name *name = name_find(sim, path);
	node_keep(node);
	if (name) {
		node_release(name->node);
		name->node = node;
		if (node == NULL) {
			memory_free(name->path);
			*name = sim->names[--sim->names_count];
		}
		return;
	}
	if (node == NULL)
		return;
	size_t count = ++sim->names_count;
	sim->names = memory_resize(sim->names, count * sizeof(*sim->names));
	sim->names[count - 1] = (struct name){ memory_copy_text(path), node };
}

static void name_change_add(struct sim_disk *sim, enum name_change_kind kind, const char *path,
	const char *to, struct node *node, struct node *replaced)
{
	size_t count = ++sim->changes_count;
	sim->changes = memory_resize(sim->changes, count * sizeof(*sim->changes));
	sim->changes[count - 1] = (struct name_change){
		.kind = kind,
		.path = memory_copy_text(path),
		.to = to ? memory_copy_text(to) : NULL,
		.node = node_keep(node),
		.replaced = node_keep(replaced),
	};
}

static void name_change_drop(struct name_change *change)
{
	memory_free(change->path);
	memory_free(change->to);
	node_release(change->node);
	node_release(change->replaced);
}

struct disk *sim_disk_new(uint64_t seed)
{
	struct sim_disk *sim = memory_zeroed(sizeof(*sim));
	sim->disk.operations = &sim_operations;
	sim->capacity = UINT64_MAX;
	random_seed(&sim->random, seed);
	return &sim->disk;
}

void sim_disk_free(struct disk **disk)
{
	struct sim_disk *sim = sim_of(*disk);
	for (size_t i = 0; i < sim->changes_count; i++)
		name_change_drop(&sim->changes[i]);
	while (sim->names_count)
		name_set(sim, sim->names[0].path, NULL);
	memory_free(sim->names);
	memory_free(sim->changes);
	memory_free(sim);
	*disk = NULL;
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Whether a later change that survives the crash has to do with a name of this one. */
static bool name_change_is_pinned(const struct sim_disk *sim, const bool *undone, size_t index,
	const struct name_change *change)
{
	for (size_t i = index + 1; i < sim->changes_count; i++) {
		const struct name_change *later = &sim->changes[i];
		if (!undone[i] &&
			(same(later->path, change->path) || same(later->to, change->path) ||
				same(later->path, change->to) || same(later->to, change->to)))
			return true;
	}
	return false;
}

static void name_change_undo(struct sim_disk *sim, const struct name_change *change)
{
	switch (change->kind) {
	case NAME_CREATED:
		name_set(sim, change->path, NULL);
		break;
	case NAME_REMOVED:
		name_set(sim, change->path, change->node);
		break;
	case NAME_RENAMED:
		name_set(sim, change->to, change->replaced);
		name_set(sim, change->path, change->node);
		break;
	}
}

static void crash_names(struct sim_disk *sim, uint64_t lost_of_4)
{
	bool *undone = memory_zeroed(sim->changes_count);
	for (size_t i = sim->changes_count; i-- > 0;) {
		struct name_change *change = &sim->changes[i];
		if (random_below(&sim->random, 4) < lost_of_4 &&
			!name_change_is_pinned(sim, undone, i, change)) {
			name_change_undo(sim, change);
			undone[i] = true;
		}
	}
	for (size_t i = 0; i < sim->changes_count; i++)
		name_change_drop(&sim->changes[i]);
	sim->changes_count = 0;
	memory_free(undone);
}

static void node_resize(struct node *node, uint64_t size)
{
	if (size > node->capacity) {
		uint64_t capacity = node->capacity * 2 > size ? node->capacity * 2 : size;
		capacity = (capacity + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
		node->content = memory_resize(node->content, capacity);
		memset(node->content + node->capacity, 0, capacity - node->capacity);
		node->capacity = capacity;
	}
	if (size < node->size)
		memset(node->content + size, 0, node->size - size);
	node->size = size;
}

static void crash_node(struct sim_disk *sim, struct node *node, uint64_t lost_of_4, bool by_block)
{
	uint64_t salt = random_next(&sim->random);
	for (size_t i = node->changes_count; i-- > 0;) {
		struct sector_change *change = &node->changes[i];
		uint64_t unit = by_block ? change->sector / SECTORS_PER_BLOCK : change->sector;
		uint64_t which[2] = { change->write, unit };
		uint64_t coin = hash_checksum(slice_of(which, sizeof(which)), salt);
		if (coin % 4 < lost_of_4)
			memcpy(node->content + change->sector * SECTOR_BYTES, change->before,
				SECTOR_BYTES);
	}
	node->changes_count = 0;
	if (node->size > node->durable_size) {
		uint64_t grown = node->size - node->durable_size;
		uint64_t kept = grown;
		if (lost_of_4)
			kept = random_below(&sim->random, grown + 1);
		node_resize(node, node->durable_size + kept);
	}
	node->durable_size = node->size;
}

void sim_disk_crash(struct disk *disk)
{
	struct sim_disk *sim = sim_of(disk);
	uint64_t lost_of_4 = random_below(&sim->random, 5);
	bool by_block = random_below(&sim->random, 2);
	crash_names(sim, lost_of_4);
	for (size_t i = 0; i < sim->names_count; i++)
		crash_node(sim, sim->names[i].node, lost_of_4, by_block);
	sim_disk_restart(disk);
}

void sim_disk_restart(struct disk *disk)
{
	struct sim_disk *sim = sim_of(disk);
	sim->lives++;
	sim->crashed = false;
	sim->crash_at = 0;
	sim->fail_at = 0;
}

void sim_disk_fail_at(struct disk *disk, uint64_t n, int error)
{
	struct sim_disk *sim = sim_of(disk);
	assert(n > 0 && error > 0);
	sim->fail_at = sim->operations + n;
	sim->fail_error = error;
}

void sim_disk_crash_at(struct disk *disk, uint64_t n)
{
	struct sim_disk *sim = sim_of(disk);
	assert(n > 0);
	sim->crash_at = sim->operations + n;
}

bool sim_disk_crashed(const struct disk *disk)
{
	return sim_of(disk)->crashed;
}

void sim_disk_set_capacity(struct disk *disk, uint64_t bytes)
{
	sim_of(disk)->capacity = bytes;
}

uint64_t sim_disk_direct_writes(const struct disk *disk)
{
	return sim_of(disk)->direct_writes;
}

uint64_t sim_disk_operations(const struct disk *disk)
{
	return sim_of(disk)->operations;
}

/* Counts an operation; its fate: 0, or the error that it ends with. `*partial` says that it may be
 * done in part nevertheless. */
static int operation_begin(struct sim_disk *sim, bool *partial)
{
	*partial = false;
	sim->operations++;
	if (sim->crashed)
		return -EIO;
	if (sim->crash_at && sim->operations >= sim->crash_at) {
		sim->crashed = true;
		*partial = true;
		return -EIO;
	}
	if (sim->operations == sim->fail_at) {
		*partial = true;
		return -sim->fail_error;
	}
	return 0;
}

static int file_begin(struct disk_file *file, struct node **node, bool *partial)
{
	struct sim_disk *sim = sim_of(file->disk);
	const struct sim_file *handle = (const struct sim_file *)file;
	*node = handle->node;
	int result = operation_begin(sim, partial);
	if (handle->life != sim->lives) {
		*partial = false;
		return -EIO;
	}
	return result;
}

static int sim_open(
	struct disk *disk, const char *path, enum disk_open_mode mode, struct disk_file **out)
{
	struct sim_disk *sim = sim_of(disk);
	bool partial;
	int result = operation_begin(sim, &partial);
	if (result && !sim->crashed)
		return result;
	if (result && !(partial && mode == DISK_OPEN_CREATE))
		return result;
	struct name *name = name_find(sim, path);
	if (mode == DISK_OPEN_EXISTING && name == NULL)
		return -ENOENT;
	if (mode == DISK_OPEN_CREATE && name)
		return -EEXIST;
	struct node *node = name ? name->node : memory_zeroed(sizeof(*node));
	if (name == NULL) {
		name_set(sim, path, node);
		name_change_add(sim, NAME_CREATED, path, NULL, node, NULL);
	}
	if (result)
		return result;
	struct sim_file *file = memory_zeroed(sizeof(*file));
	file->file.disk = disk;
	file->node = node_keep(node);
	file->life = sim->lives;
	*out = &file->file;
	return 0;
}

static int sim_remove(struct disk *disk, const char *path)
{
	struct sim_disk *sim = sim_of(disk);
	bool partial;
	int result = operation_begin(sim, &partial);
	if (result && !(partial && sim->crashed))
		return result;
	struct name *name = name_find(sim, path);
	if (name == NULL)
		return -ENOENT;
	name_change_add(sim, NAME_REMOVED, path, NULL, name->node, NULL);
	name_set(sim, path, NULL);
	return result;
}

static int sim_rename(struct disk *disk, const char *from, const char *to)
{
	struct sim_disk *sim = sim_of(disk);
	bool partial;
	int result = operation_begin(sim, &partial);
	if (result && !(partial && sim->crashed))
		return result;
	struct name *source = name_find(sim, from);
	struct name *target = name_find(sim, to);
	if (source == NULL)
		return -ENOENT;
	if (source == target)
		return result;
	struct node *node = source->node;
	name_change_add(sim, NAME_RENAMED, from, to, node, target ? target->node : NULL);
	name_set(sim, to, node);
	name_set(sim, from, NULL);
	return result;
}

/* Whether `path` is a file right in `directory`; its name then. */
static const char *name_within(const char *path, const char *directory)
{
	size_t size = strlen(directory);
	while (size && directory[size - 1] == '/')
		size--;
	if (strncmp(path, directory, size) != 0 || path[size] != '/')
		return NULL;
	return strchr(path + size + 1, '/') ? NULL : path + size + 1;
}

static int sim_sync_directory(struct disk *disk, const char *path)
{
	struct sim_disk *sim = sim_of(disk);
	bool partial;
	int result = operation_begin(sim, &partial);
	if (result)
		return result;
	size_t kept = 0;
	for (size_t i = 0; i < sim->changes_count; i++) {
		struct name_change *change = &sim->changes[i];
		if (name_within(change->path, path))
			name_change_drop(change);
		else
			sim->changes[kept++] = *change;
	}
	sim->changes_count = kept;
	return 0;
}

static int sim_list(struct disk *disk, const char *directory, disk_list_fn found, void *context)
{
	struct sim_disk *sim = sim_of(disk);
	bool partial;
	int result = operation_begin(sim, &partial);
	for (size_t i = 0; i < sim->names_count && result == 0; i++) {
		const char *name = name_within(sim->names[i].path, directory);
		if (name)
			found(context, name);
	}
	return result;
}

static void sim_close(struct disk_file *file)
{
	struct sim_file *handle = (struct sim_file *)file;
	node_release(handle->node);
	memory_free(handle);
}

static void note_change(struct node *node, uint64_t write, uint64_t sector)
{
	if (node->changes_count == node->changes_capacity) {
		node->changes_capacity = node->changes_capacity ? node->changes_capacity * 2 : 16;
		node->changes = memory_resize(
			node->changes, node->changes_capacity * sizeof(*node->changes));
	}
	struct sector_change *change = &node->changes[node->changes_count++];
	change->write = write;
	change->sector = sector;
	change->clean = false;
	memcpy(change->before, node->content + sector * SECTOR_BYTES, SECTOR_BYTES);
}

static uint64_t room_of(const struct sim_disk *sim)
{
	uint64_t used = 0;
	for (size_t i = 0; i < sim->names_count; i++)
		used += sim->names[i].node->size;
	return sim->capacity > used ? sim->capacity - used : 0;
}

/* Grows the file to `size`, as far as there is room. */
static int grow(struct sim_disk *sim, struct node *node, uint64_t size)
{
	if (size <= node->size)
		return 0;
	uint64_t room = room_of(sim);
	bool fits = size - node->size <= room;
	node_resize(node, fits ? size : node->size + room);
	return fits ? 0 : -ENOSPC;
}

/* What of a write of `size` bytes ends with a sector. */
static size_t whole_sectors(uint64_t offset, size_t size)
{
	uint64_t end = (offset + size) / SECTOR_BYTES * SECTOR_BYTES;
	return end > offset ? (size_t)(end - offset) : 0;
}

static int sim_write(struct disk_file *file, const void *bytes, size_t size, uint64_t offset)
{
	struct sim_disk *sim = sim_of(file->disk);
	struct node *node;
	bool partial;
	if (((struct sim_file *)file)->is_direct) {
		assert(((uintptr_t)bytes | size | offset) % DISK_BLOCK_BYTES == 0);
		sim->direct_writes++;
	}
	int result = file_begin(file, &node, &partial);
	if (result && !partial)
		return result;
	if (result && !sim->crashed)
		size = whole_sectors(offset, (size_t)random_below(&sim->random, size + 1));
	if (size == 0)
		return result;
	int grown = grow(sim, node, offset + size);
	if (grown) {
		result = result ? result : grown;
		size = node->size > offset ? (size_t)(node->size - offset) : 0;
		if (size == 0)
			return result;
	}
	uint64_t write = ++sim->writes;
	for (uint64_t sector = offset / SECTOR_BYTES; sector * SECTOR_BYTES < offset + size;
		sector++)
		note_change(node, write, sector);
	memcpy(node->content + offset, bytes, size);
	return result;
}

static ssize_t sim_read(struct disk_file *file, void *out, size_t size, uint64_t offset)
{
	struct node *node;
	bool partial;
	assert(!((struct sim_file *)file)->is_direct);
	int result = file_begin(file, &node, &partial);
	if (result)
		return result;
	if (offset >= node->size)
		return 0;
	if (size > node->size - offset)
		size = (size_t)(node->size - offset);
	memcpy(out, node->content + offset, size);
	return (ssize_t)size;
}

static int by_sector(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;
	return (*a > *b) - (*a < *b);
}

/* Forgets what has become durable: every dirty sector, with all that came before in it. */
static void node_sync(struct node *node)
{
	uint64_t *dirty = memory_alloc(node->changes_count * sizeof(*dirty));
	size_t dirty_count = 0;
	for (size_t i = 0; i < node->changes_count; i++) {
		if (!node->changes[i].clean)
			dirty[dirty_count++] = node->changes[i].sector;
	}
	size_t kept = 0;
	if (dirty_count < node->changes_count) {
		qsort(dirty, dirty_count, sizeof(*dirty), by_sector);
		for (size_t i = 0; i < node->changes_count; i++) {
			struct sector_change *change = &node->changes[i];
			if (change->clean &&
				bsearch(&change->sector, dirty, dirty_count, sizeof(*dirty),
					by_sector) == NULL)
				node->changes[kept++] = *change;
		}
	}
	node->changes_count = kept;
	node->durable_size = node->size;
	memory_free(dirty);
}

static int sim_sync(struct disk_file *file)
{
	struct sim_disk *sim = sim_of(file->disk);
	struct node *node;
	bool partial;
	int result = file_begin(file, &node, &partial);
	if (result && partial && !sim->crashed) {
		for (size_t i = 0; i < node->changes_count; i++)
			node->changes[i].clean = true;
	}
	if (result == 0)
		node_sync(node);
	return result;
}

/* Zeros over what is new: there is nothing a crash could mix up but the size. */
static int sim_allocate(struct disk_file *file, uint64_t size)
{
	struct sim_disk *sim = sim_of(file->disk);
	struct node *node;
	bool partial;
	int result = file_begin(file, &node, &partial);
	if (result && !partial)
		return result;
	assert(node->size == 0);
	if (result && !sim->crashed)
		size = random_below(&sim->random, size + 1);
	int grown = grow(sim, node, size);
	return result ? result : grown;
}

static void sim_set_direct(struct disk_file *file, bool is_direct)
{
	((struct sim_file *)file)->is_direct = is_direct;
}

static int sim_size(struct disk_file *file, uint64_t *out)
{
	struct node *node;
	bool partial;
	int result = file_begin(file, &node, &partial);
	if (result == 0)
		*out = node->size;
	return result;
}

static uint64_t sim_largest(struct disk *disk)
{
	return UINT64_MAX;
}

static uint64_t sim_room(struct disk *disk, const char *directory)
{
	(void)directory;
	return room_of(sim_of(disk));
}

static const struct disk_operations sim_operations = {
	.largest = sim_largest,
	.room = sim_room,
	.open = sim_open,
	.remove = sim_remove,
	.rename = sim_rename,
	.sync_directory = sim_sync_directory,
	.list = sim_list,
	.close = sim_close,
	.write = sim_write,
	.read = sim_read,
	.sync = sim_sync,
	.allocate = sim_allocate,
	.set_direct = sim_set_direct,
	.size = sim_size,
};
