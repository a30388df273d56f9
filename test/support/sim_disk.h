/*
 * sim_disk: a disk in memory that crashes, tears, reorders, fills up and fails, all by its seed.
 *
 * What a crash may do: every write since the file's last successful sync is kept or lost sector by
 * sector (of 512 bytes, or in blocks of 4 KiB; the seed chooses at each crash); a file grown since
 * then may be any size in between; creations, renames and removals since the directory's last
 * sync_directory may be undone. Directories need not be made: any path stands in one.
 *
 * A failed sync leaves its writes unsynced, and later syncs take them for clean, as kernels do:
 * they become durable only by being written again.
 *
 * For one thread.
 */
#ifndef TEST_SUPPORT_SIM_DISK_H
#define TEST_SUPPORT_SIM_DISK_H

#include "base/disk.h"

#include <stdbool.h>

struct disk *sim_disk_new(uint64_t seed);
/* Every file must have been closed. */
void sim_disk_free(struct disk **disk);

/* The machine loses power and comes back. Open files are dead: every call on them but close fails
 * with -EIO. Takes back sim_disk_fail_at and sim_disk_crash_at. */
void sim_disk_crash(struct disk *disk);
/* As sim_disk_crash, but only the process dies: nothing is lost, and nothing more is durable. */
void sim_disk_restart(struct disk *disk);

/* The nth next operation (from 1; close is none) fails with `error` (positive); a write that fails
 * may have been done up to some sector. */
void sim_disk_fail_at(struct disk *disk, uint64_t n, int error);
/* From the nth next operation on everything fails with -EIO, and sim_disk_crashed() is true: then
 * throw the user away and call sim_disk_crash or sim_disk_restart. The nth operation itself may
 * have been done in part. */
void sim_disk_crash_at(struct disk *disk, uint64_t n);
bool sim_disk_crashed(const struct disk *disk);

/* Of all files together; beyond it growth fails with -ENOSPC. */
void sim_disk_set_capacity(struct disk *disk, uint64_t bytes);
/* Operations so far. */
uint64_t sim_disk_operations(const struct disk *disk);
/* Of all writes, those of files for which that was asked (disk_set_direct). */
uint64_t sim_disk_direct_writes(const struct disk *disk);

#endif
