/*
 * segment: one file of the log, and the checks of what stands in it. Shared by the append side
 * (log.c) and recovery (recovery.c); nobody else includes this.
 */
#ifndef LOG_SEGMENT_H
#define LOG_SEGMENT_H

#include "base/disk.h"
#include "holdfast/log_format.h"

#include <stdbool.h>

/* Free bytes in front of a batch's records: the block that the batch starts in, then its header. */
#define LOG_BATCH_HEADROOM (LOG_BLOCK_BYTES + LOG_BATCH_HEADER_BYTES)

struct segment {
	struct disk_file *file;
	uint64_t number; /* its name */
	uint64_t bytes;  /* size of the file */
	/* from its header; 0 while it has none */
	uint64_t sequence;
	uint64_t first_lsn;
	uint64_t salt;
	/* what it holds */
	uint64_t last_lsn; /* 0: no record */
	uint64_t fill;     /* where the last whole batch ends */
};

/* The size after this one: twice as much, or the largest. */
static inline uint64_t segment_larger(uint64_t bytes, uint64_t most)
{
	return bytes < most / 2 ? 2 * bytes : most;
}

/* Takes the open file from `*file`. */
struct segment *segment_new(struct disk_file **file, uint64_t number, uint64_t bytes);
/* Closes the file. */
void segment_free(struct segment **segment);

/* The path of segment `number`, to be given to memory_free. */
char *segment_path(const char *directory, uint64_t number);
/* The number in a file's name; false when it is no segment's name. */
bool segment_number(const char *name, uint64_t *number);

struct segment_list {
	struct segment **items;
	size_t count;
	size_t capacity;
};

/* Owns what is in it. */
void segment_list_fini(struct segment_list *list);
void segment_list_add(struct segment_list *list, struct segment *segment);
/* Takes the item at `index` out, keeping the order of the others. */
struct segment *segment_list_take(struct segment_list *list, size_t index);

enum segment_state {
	SEGMENT_EMPTY,   /* never activated */
	SEGMENT_USED,    /* a good header, now copied into the segment */
	SEGMENT_DAMAGED, /* neither */
	SEGMENT_NEWER,   /* a good header of a format that this build does not know */
};

/* Fills a block with the header for the segment's sequence, first_lsn, salt and size. */
void segment_header_write(const struct segment *segment, char *block);
enum segment_state segment_header_read(struct segment *segment, const char *block);

/* Puts the header in front of `records`, with both checksums; the caller has filled the rest. */
void segment_batch_seal(
	const struct segment *segment, struct log_batch_header *header, char *records);
/* Whether `bytes` starts with a whole header of a batch of this segment's present life. */
bool segment_batch_read(
	const struct segment *segment, const char *bytes, struct log_batch_header *header);
bool segment_records_whole(
	const struct segment *segment, const struct log_batch_header *header, const char *records);

#endif
