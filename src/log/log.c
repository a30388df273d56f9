/*
 * log: the append side. See log.h for the promises, include/holdfast/log_format.h for the bytes and
 * recovery.c for how they are read.
 *
 * A segment's way:
 *
 *      log_prepare --> spare --> log_write: current --> (full) used --> log_recycle --> spare
 *                                                                                  '--> removed
 *
 * - Appending starts in a fresh segment after every opening. What a crash tore stays where it is,
 *   void, and the fresh segment takes over its LSN; nothing is ever written behind it.
 * - Every write is of whole blocks. The current segment's last, partly filled block is kept in
 *   `tail` and is written again, with the same bytes, in front of the next batch; a crash in the
 *   middle cannot change them. A fresh segment's tail is its header block: header and first batch
 *   go to disk in one write.
 * - A segment is synced before the next is activated, so unsynced writes are in one file only.
 * - Segments come and go by whole files: in the steady state, when all have the largest size, a
 *   write changes no metadata, and a sync is one flush.
 * - The first are small, and a new one is twice as large as the last that was begun. A batch that
 *   is too large for those has some made that hold it, and the smaller spares go.
 * - Where the disk has no room for that size, smaller ones are made, down to the first size or to
 *   what a batch waits for. Free must stay what a checkpoint may write to the tree: no segment
 *   comes back without it.
 *
 * Threads: the gate's thread owns the fields in the second block of struct log. `lock` guards the
 * lists, `fill` and `last_lsn` of the segments in them, and changes of `current`; no disk call is
 * made under it. A spare belongs to whoever has taken it out of the list.
 */
#include "log/log.h"

#include "base/memory.h"
#include "base/random.h"
#include "log/batch.h"
#include "log/recovery.h"
#include "log/segment.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

struct log {
	/* set once */
	struct log_options options;
	char *directory;

	/* the gate's thread */
	struct segment *current; /* the last of `used`; NULL before the first write */
	uint64_t sequence_last;
	uint64_t synced_lsn;
	bool unsynced;     /* `current` was written to since its last sync */
	int failure;       /* of a write or a sync: nothing is known of the disk any more */
	bool is_direct;    /* writes go past the page cache */
	size_t tail_bytes; /* of `tail`, which end at the current segment's fill */
	char tail[LOG_BLOCK_BYTES];
	_Atomic uint64_t next_lsn; /* read by any */
	_Atomic size_t room;       /* see log_room; written under `lock` */

	/* the keeper's thread */
	uint64_t number_last;

	pthread_mutex_t lock;
	struct segment_list used; /* by sequence */
	struct segment_list spares;
	size_t spares_kept;   /* beyond spares_wanted: what one checkpoint frees, the next needs */
	uint64_t new_bytes;   /* of the next spare that is made */
	uint64_t least_bytes; /* smaller spares are of no use any more */
	size_t awaited;       /* bytes of a batch that was asked for and is not yet written, or 0 */
};

static int adopt(struct log *log, struct recovered *found, uint64_t after_lsn);

static uint64_t larger(const struct log *log, uint64_t bytes)
{
	return segment_larger(bytes, log->options.segment_bytes);
}

static uint64_t first_size(const struct log *log)
{
	return log->options.first_bytes ? log->options.first_bytes : log->options.segment_bytes;
}

int log_open(struct log **out, const struct log_options *options, uint64_t after_lsn,
	log_replay_fn replay, void *context, struct log_recovery *recovery, char *error,
	size_t error_size)
{
	assert(options->segment_bytes % LOG_BLOCK_BYTES == 0);
	assert(options->segment_bytes >= 2 * LOG_BLOCK_BYTES);
	assert(options->spares_wanted >= 2);
	struct recovered found;
	*out = NULL;
	int result = recovery_run(
		options, after_lsn, replay, context, recovery, &found, error, error_size);
	if (result) {
		recovery_fini(&found);
		return result;
	}
	struct log *log = memory_zeroed(sizeof(*log));
	log->options = *options;
	log->directory = memory_copy_text(options->directory);
	log->options.directory = log->directory;
	log->sequence_last = found.sequence_last;
	log->number_last = found.number_last;
	log->synced_lsn = recovery->last_lsn > after_lsn ? recovery->last_lsn : after_lsn;
	log->next_lsn = log->synced_lsn + 1;
	log->new_bytes = first_size(log);
	pthread_mutex_init(&log->lock, NULL);
	result = adopt(log, &found, after_lsn);
	recovery_fini(&found);
	if (result == 0 && !options->spares_later) {
		result = log_prepare(log);
		/* A full disk stops writes, not reads: the log opens, and writes wait for room. */
		if (result == -ENOSPC)
			result = 0;
	}
	if (result) {
		snprintf(error, error_size, "log %s: cannot make it ready: %s", options->directory,
			strerror(-result));
		log_close(&log);
	}
	*out = log;
	return result;
}

void log_close(struct log **log_pointer)
{
	struct log *log = *log_pointer;
	if (log == NULL)
		return;
	segment_list_fini(&log->used);
	segment_list_fini(&log->spares);
	pthread_mutex_destroy(&log->lock);
	memory_free(log->directory);
	memory_free(log);
	*log_pointer = NULL;
}

uint64_t log_next_lsn(const struct log *log)
{
	return log->next_lsn;
}

static size_t room_of(uint64_t segment_bytes)
{
	return segment_bytes - LOG_BLOCK_BYTES - LOG_BATCH_HEADER_BYTES;
}

size_t log_batch_bytes_max(const struct log *log)
{
	return room_of(log->options.segment_bytes);
}

size_t log_room(const struct log *log)
{
	return atomic_load_explicit(&log->room, memory_order_relaxed);
}

/* Under `lock`, whenever spares have come or gone, or smaller ones will be made. Without any it
 * does not grow. */
static void see_room(struct log *log)
{
	uint64_t least = UINT64_MAX;
	for (size_t i = 0; i < log->spares.count; i++)
		if (log->spares.items[i]->bytes < least)
			least = log->spares.items[i]->bytes;
	size_t room = room_of(log->spares.count ? least : log->new_bytes);
	if (log->spares.count || room < log_room(log))
		atomic_store_explicit(&log->room, room, memory_order_relaxed);
}

void log_need(struct log *log, size_t bytes)
{
	assert(bytes <= log_batch_bytes_max(log));
	pthread_mutex_lock(&log->lock);
	while (room_of(log->new_bytes) < bytes)
		log->new_bytes = larger(log, log->new_bytes);
	if (log_room(log) < bytes)
		log->least_bytes = log->new_bytes;
	if (bytes > log->awaited)
		log->awaited = bytes;
	pthread_mutex_unlock(&log->lock);
}

/* Under `lock`. */
static bool has_spare_for(const struct log *log, size_t bytes)
{
	for (size_t i = 0; i < log->spares.count; i++)
		if (room_of(log->spares.items[i]->bytes) >= bytes)
			return true;
	return false;
}

/* The smallest that holds a batch of so many bytes. */
static uint64_t size_for(const struct log *log, size_t bytes)
{
	uint64_t size = first_size(log);
	while (room_of(size) < bytes)
		size = larger(log, size);
	return size;
}

/* Under `lock`. */
static int count_useful(const struct log *log)
{
	int count = 0;
	for (size_t i = 0; i < log->spares.count; i++)
		count += log->spares.items[i]->bytes >= log->least_bytes;
	return count;
}

/* Under `lock`. */
static uint64_t live_bytes(const struct log *log)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < log->used.count; i++)
		bytes += log->used.items[i]->fill;
	return bytes;
}

/* Under `lock`: what is to stay free beside a new segment of so many bytes, for the tree to take
 * what the log then holds. Pages that are half full take twice that; less will do while spares are
 * few, and none when a batch waits, which no checkpoint gets past. */
static uint64_t reserve(const struct log *log, uint64_t bytes)
{
	if (log->awaited && !has_spare_for(log, log->awaited) &&
		bytes == size_for(log, log->awaited))
		return 0;
	return bytes + live_bytes(log) * (count_useful(log) < 2 ? 1 : 2);
}

/* Whether a segment of so many bytes can be made. */
static bool disk_has_room(struct log *log, uint64_t bytes)
{
	pthread_mutex_lock(&log->lock);
	uint64_t taken = bytes + reserve(log, bytes);
	pthread_mutex_unlock(&log->lock);
	return bytes <= disk_largest(log->options.disk) &&
		taken <= disk_room(log->options.disk, log->directory);
}

bool log_can_hold(struct log *log, size_t bytes)
{
	if (bytes <= log_room(log))
		return true;
	if (bytes > log_batch_bytes_max(log))
		bytes = log_batch_bytes_max(log);
	pthread_mutex_lock(&log->lock);
	bool ready = has_spare_for(log, bytes);
	pthread_mutex_unlock(&log->lock);
	return ready || disk_has_room(log, size_for(log, bytes));
}

static int remove_segments(struct log *log, struct segment_list *list);
static int activate_spare(struct log *log, size_t bytes);
static int write_batch(struct log *log, struct log_batch *batch);

int log_write(struct log *log, struct log_batch *batch)
{
	assert(batch->count > 0);
	assert(batch->first_lsn == log->next_lsn);
	assert(batch->size <= log_batch_bytes_max(log));
	if (log->failure)
		return log->failure;
	struct segment *current = log->current;
	size_t size = LOG_BATCH_HEADER_BYTES + batch->size;
	if (current == NULL || size > current->bytes - current->fill) {
		int result = activate_spare(log, batch->size);
		if (result)
			return result;
	}
	return write_batch(log, batch);
}

void log_set_direct(struct log *log, bool is_direct)
{
	if (log->is_direct != is_direct && log->current)
		disk_set_direct(log->current->file, is_direct);
	log->is_direct = is_direct;
}

int log_sync(struct log *log)
{
	if (log->failure == 0 && log->unsynced) {
		log->failure = disk_sync(log->current->file);
		if (log->failure == 0) {
			log->unsynced = false;
			log->synced_lsn = log->next_lsn - 1;
		}
	}
	return log->failure;
}

static int make_spare(struct log *log, uint64_t bytes, struct segment **out);

/* When there are enough that are useful. */
static int drop_small(struct log *log)
{
	struct segment_list small = { 0 };
	pthread_mutex_lock(&log->lock);
	for (size_t i = 0; i < log->spares.count;) {
		if (log->spares.items[i]->bytes < log->least_bytes)
			segment_list_add(&small, segment_list_take(&log->spares, i));
		else
			i++;
	}
	see_room(log);
	pthread_mutex_unlock(&log->lock);
	return remove_segments(log, &small);
}

/* Under `lock`: the least that a new spare may have. */
static uint64_t smallest_of_use(const struct log *log)
{
	return has_spare_for(log, log->awaited) ? first_size(log) : size_for(log, log->awaited);
}

/* After the disk had no room for a spare of `bytes`. False when no smaller one would do. */
static bool accept_less(struct log *log, uint64_t bytes)
{
	pthread_mutex_lock(&log->lock);
	uint64_t size = smallest_of_use(log);
	bool less = size < bytes;
	if (less) {
		while (larger(log, size) < bytes)
			size = larger(log, size);
		log->new_bytes = size;
		if (log->least_bytes > size)
			log->least_bytes = size;
		see_room(log);
	}
	pthread_mutex_unlock(&log->lock);
	return less;
}

int log_prepare(struct log *log)
{
	for (;;) {
		pthread_mutex_lock(&log->lock);
		bool enough = count_useful(log) >= log->options.spares_wanted;
		uint64_t bytes = log->new_bytes;
		pthread_mutex_unlock(&log->lock);
		if (enough)
			return drop_small(log);
		struct segment *spare = NULL;
		int result = disk_has_room(log, bytes) ? make_spare(log, bytes, &spare) : -ENOSPC;
		if (result == -ENOSPC && accept_less(log, bytes))
			continue;
		if (result)
			return result;
		pthread_mutex_lock(&log->lock);
		segment_list_add(&log->spares, spare);
		see_room(log);
		pthread_mutex_unlock(&log->lock);
	}
}

int log_recycle(struct log *log, uint64_t lsn)
{
	struct segment_list discard = { 0 };
	size_t freed = 0;
	pthread_mutex_lock(&log->lock);
	uint64_t wanted = log->new_bytes;
	pthread_mutex_unlock(&log->lock);
	bool roomy = disk_has_room(log, wanted);
	pthread_mutex_lock(&log->lock);
	uint64_t least = roomy ? log->new_bytes : log->least_bytes;
	for (size_t i = 0; i < log->used.count;) {
		struct segment *segment = log->used.items[i];
		if (segment == log->current || segment->last_lsn > lsn) {
			i++;
			continue;
		}
		segment_list_take(&log->used, i);
		bool fits = segment->bytes >= least &&
			segment->bytes <= log->options.segment_bytes &&
			segment->bytes <= disk_largest(log->options.disk);
		segment_list_add(fits ? &log->spares : &discard, segment);
		freed++;
	}
	if (freed) {
		size_t fading = log->spares_kept - log->spares_kept / 4;
		log->spares_kept = freed > fading ? freed : fading;
		size_t kept = (size_t)log->options.spares_wanted + log->spares_kept;
		while (log->spares.count > kept)
			segment_list_add(&discard, segment_list_take(&log->spares, 0));
	}
	see_room(log);
	pthread_mutex_unlock(&log->lock);
	return remove_segments(log, &discard);
}

void log_usage(struct log *log, struct log_usage *out)
{
	pthread_mutex_lock(&log->lock);
	*out = (struct log_usage){
		.spares = count_useful(log),
		.segments = (int)log->used.count,
		.bytes_live = live_bytes(log),
	};
	pthread_mutex_unlock(&log->lock);
}

/* What is made is no smaller than what was there. */
static void grow_to(struct log *log, const struct segment_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		while (log->new_bytes < list->items[i]->bytes &&
			log->new_bytes < log->options.segment_bytes)
			log->new_bytes = larger(log, log->new_bytes);
}

/* Takes over what recovery found. */
static int adopt(struct log *log, struct recovered *found, uint64_t after_lsn)
{
	/* The former process may have died between making a file and making that durable. */
	int result = disk_sync_directory(log->options.disk, log->directory);
	for (size_t i = 0; i < found->empty.count && result == 0; i++)
		result = disk_sync(found->empty.items[i]->file);
	if (result)
		return result;
	log->used = found->used;
	log->spares = found->empty;
	found->used = (struct segment_list){ 0 };
	found->empty = (struct segment_list){ 0 };
	grow_to(log, &log->used);
	grow_to(log, &log->spares);
	log->room = room_of(log->new_bytes);
	result = log_recycle(log, after_lsn);
	return result ? result : remove_segments(log, &found->discard);
}

/* Empties the list. A file that comes back in a crash does no harm: its records are old. */
static int remove_segments(struct log *log, struct segment_list *list)
{
	int result = 0;
	for (size_t i = 0; i < list->count; i++) {
		char *path = segment_path(log->directory, list->items[i]->number);
		int removed = disk_remove(log->options.disk, path);
		if (removed && result == 0)
			result = removed;
		memory_free(path);
	}
	segment_list_fini(list);
	return result;
}

static int make_spare(struct log *log, uint64_t bytes, struct segment **out)
{
	struct disk *disk = log->options.disk;
	struct disk_file *file;
	uint64_t number = ++log->number_last;
	char *path = segment_path(log->directory, number);
	int result = disk_open(disk, path, DISK_OPEN_CREATE, &file);
	if (result == 0) {
		disk_set_direct(file, true);
		result = disk_allocate(file, bytes);
		if (result == 0)
			result = disk_sync(file);
		if (result == 0)
			result = disk_sync_directory(disk, log->directory);
		if (result == 0) {
			*out = segment_new(&file, number, bytes);
		} else {
			disk_close(&file);
			(void)disk_remove(disk, path);
		}
	}
	memory_free(path);
	return result;
}

/* Under `lock`: of the spares that hold so much, so that the small ones get used up. */
static struct segment *take_smallest(struct log *log, size_t bytes)
{
	size_t best = SIZE_MAX;
	for (size_t i = 0; i < log->spares.count; i++) {
		uint64_t size = log->spares.items[i]->bytes;
		if (room_of(size) >= bytes &&
			(best == SIZE_MAX || size <= log->spares.items[best]->bytes))
			best = i;
	}
	return best == SIZE_MAX ? NULL : segment_list_take(&log->spares, best);
}

/* Makes a spare the current segment, in memory: its header goes to disk with its first batch. */
static int activate_spare(struct log *log, size_t bytes)
{
	pthread_mutex_lock(&log->lock);
	struct segment *spare = take_smallest(log, bytes);
	if (spare && spare->bytes >= log->new_bytes)
		log->new_bytes = larger(log, log->new_bytes);
	if (spare && room_of(spare->bytes) >= log->awaited)
		log->awaited = 0;
	see_room(log);
	pthread_mutex_unlock(&log->lock);
	if (spare == NULL) {
		log_need(log, bytes);
		return -EAGAIN;
	}
	int result = log_sync(log);
	disk_set_direct(spare->file, log->is_direct);
	spare->sequence = ++log->sequence_last;
	spare->first_lsn = log->next_lsn;
	spare->last_lsn = log->next_lsn - 1;
	spare->fill = LOG_BLOCK_BYTES;
	random_entropy(&spare->salt, sizeof(spare->salt));
	segment_header_write(spare, log->tail);
	log->tail_bytes = LOG_BLOCK_BYTES;
	pthread_mutex_lock(&log->lock);
	log->current = spare;
	segment_list_add(&log->used, spare);
	pthread_mutex_unlock(&log->lock);
	return result;
}

/* Writes the batch at the current segment's fill, where it fits. */
static int write_batch(struct log *log, struct log_batch *batch)
{
	struct segment *segment = log->current;
	struct log_batch_header header = {
		.first_lsn = batch->first_lsn,
		.synced_lsn = log->synced_lsn,
		.records_bytes = batch->size,
		.records = batch->count,
	};
	char *records = batch_move(batch, log->tail_bytes % LOG_BLOCK_BYTES);
	segment_batch_seal(segment, &header, records);
	char *start = records - LOG_BATCH_HEADER_BYTES - log->tail_bytes;
	memcpy(start, log->tail, log->tail_bytes);
	uint64_t offset = segment->fill - log->tail_bytes;
	assert(offset % LOG_BLOCK_BYTES == 0);

	size_t used = log->tail_bytes + LOG_BATCH_HEADER_BYTES + batch->size;
	size_t tail_bytes = used % LOG_BLOCK_BYTES;
	size_t padding = tail_bytes ? LOG_BLOCK_BYTES - tail_bytes : 0;
	memset(start + used, 0, padding);
	assert(offset + used + padding <= segment->bytes);
	log->unsynced = true;
	log->failure = disk_write(segment->file, start, used + padding, offset);
	if (log->failure)
		return log->failure;
	memcpy(log->tail, start + used - tail_bytes, tail_bytes);
	log->tail_bytes = tail_bytes;
	log->next_lsn += batch->count;
	pthread_mutex_lock(&log->lock);
	segment->fill = offset + used;
	segment->last_lsn = log->next_lsn - 1;
	pthread_mutex_unlock(&log->lock);
	return 0;
}
