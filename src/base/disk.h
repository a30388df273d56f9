/*
 * disk: the seam through which the log and its files reach storage. Production is the kernel's file
 * system (disk_system); a simulation loses, tears, reorders and fails.
 *
 * Every function returns 0 (or a count) on success and a negative errno otherwise, which the caller
 * must use. A file is used by one thread at a time; different files by different threads.
 */
#ifndef BASE_DISK_H
#define BASE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Of what is written directly: a multiple of the units of all disks and file systems. */
#define DISK_BLOCK_BYTES 4096

struct disk;
struct disk_file;

enum disk_open_mode {
	DISK_OPEN_EXISTING, /* -ENOENT when absent */
	DISK_OPEN_CREATE,   /* -EEXIST when present */
};

typedef void (*disk_list_fn)(void *context, const char *name);

struct disk_operations {
	int (*open)(struct disk *, const char *path, enum disk_open_mode, struct disk_file **);
	int (*remove)(struct disk *, const char *path);
	int (*rename)(struct disk *, const char *from, const char *to);
	int (*sync_directory)(struct disk *, const char *path);
	int (*list)(struct disk *, const char *directory, disk_list_fn, void *context);
	void (*close)(struct disk_file *);
	int (*write)(struct disk_file *, const void *bytes, size_t size, uint64_t offset);
	ssize_t (*read)(struct disk_file *, void *out, size_t size, uint64_t offset);
	int (*sync)(struct disk_file *);
	int (*allocate)(struct disk_file *, uint64_t size);
	void (*set_direct)(struct disk_file *, bool);
	int (*size)(struct disk_file *, uint64_t *out);
	uint64_t (*largest)(struct disk *);
	uint64_t (*room)(struct disk *, const char *directory);
};

struct disk {
	const struct disk_operations *operations;
};

struct disk_file {
	struct disk *disk;
};

static inline int disk_open(
	struct disk *disk, const char *path, enum disk_open_mode mode, struct disk_file **out)
{
	return disk->operations->open(disk, path, mode, out);
}

/* Closes and nulls. Does not sync. */
static inline void disk_close(struct disk_file **file)
{
	if (*file)
		(*file)->disk->operations->close(*file);
	*file = NULL;
}

static inline int disk_remove(struct disk *disk, const char *path)
{
	return disk->operations->remove(disk, path);
}

static inline int disk_rename(struct disk *disk, const char *from, const char *to)
{
	return disk->operations->rename(disk, from, to);
}

/* Makes creations, renames and removals in `path` survive a crash. */
static inline int disk_sync_directory(struct disk *disk, const char *path)
{
	return disk->operations->sync_directory(disk, path);
}

/* Names of the plain files in `directory`, in no order. */
static inline int disk_list(
	struct disk *disk, const char *directory, disk_list_fn found, void *context)
{
	return disk->operations->list(disk, directory, found, context);
}

/* All bytes or an error; after an error any part may have been written. */
static inline int disk_write(
	struct disk_file *file, const void *bytes, size_t size, uint64_t offset)
{
	return file->disk->operations->write(file, bytes, size, offset);
}

/* The count read: less than `size` only at the end of the file. */
static inline ssize_t disk_read(struct disk_file *file, void *out, size_t size, uint64_t offset)
{
	return file->disk->operations->read(file, out, size, offset);
}

/* fdatasync: what was written before survives a crash. After a failure nothing is known of it. */
static inline int disk_sync(struct disk_file *file)
{
	return file->disk->operations->sync(file);
}

/* Makes the file `size` bytes of written zeros, so that later writes change no metadata. Durable
 * after disk_sync. -ENOSPC when there is no room. */
static inline int disk_allocate(struct disk_file *file, uint64_t size)
{
	return file->disk->operations->allocate(file, size);
}

/* Whether writes go to the disk past the kernel's memory from now on, which makes a sync cheaper,
 * but has each write wait for the disk. While they do, each is of whole blocks, at a whole block,
 * from memory that is aligned as one, and the file is not read. Where the file system knows no such
 * way, nothing changes. */
static inline void disk_set_direct(struct disk_file *file, bool is_direct)
{
	file->disk->operations->set_direct(file, is_direct);
}

static inline int disk_size(struct disk_file *file, uint64_t *out)
{
	return file->disk->operations->size(file, out);
}

/* Bytes of a file up to which this process may write. */
static inline uint64_t disk_largest(struct disk *disk)
{
	return disk->operations->largest(disk);
}

/* Bytes that are free where `directory` stands; quotas are not in it, so a write may still fail.
 * UINT64_MAX when nobody knows. */
static inline uint64_t disk_room(struct disk *disk, const char *directory)
{
	return disk->operations->room(disk, directory);
}

/* The kernel's file system; lives for ever, safe from every thread. */
struct disk *disk_system(void);

#endif
