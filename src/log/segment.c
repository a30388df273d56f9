/*
 * segment: see segment.h. Names, headers and checksums of the log's files; the format itself is
 * documented in include/holdfast/log_format.h.
 *
 * Life of a file: created as zeros (empty), activated by a header written together with its first
 * batch (used), and, once the tree holds its records, activated again with a new sequence and salt.
 * A header lies within one disk sector, so a crash leaves the old one or the new one, never a
 * mixture: a header that is neither zeros nor whole is damage.
 *
 * No threads here: whoever holds a segment may call.
 */
#include "log/segment.h"

#include "base/hash.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_DIGITS 16
#define NAME_SUFFIX ".log"

struct segment *segment_new(struct disk_file **file, uint64_t number, uint64_t bytes)
{
	struct segment *segment = memory_zeroed(sizeof(*segment));
	segment->file = *file;
	segment->number = number;
	segment->bytes = bytes;
	*file = NULL;
	return segment;
}

void segment_free(struct segment **segment)
{
	disk_close(&(*segment)->file);
	memory_free(*segment);
	*segment = NULL;
}

char *segment_path(const char *directory, uint64_t number)
{
	size_t size = strlen(directory) + 1 + NAME_DIGITS + sizeof(NAME_SUFFIX);
	char *path = memory_alloc(size);
	snprintf(path, size, "%s/%016" PRIx64 NAME_SUFFIX, directory, number);
	return path;
}

bool segment_number(const char *name, uint64_t *number)
{
	uint64_t value = 0;
	for (int i = 0; i < NAME_DIGITS; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = name[i] ? strchr(digits, name[i]) : NULL;
		if (digit == NULL)
			return false;
		value = value << 4 | (uint64_t)(digit - digits);
	}
	*number = value;
	return strcmp(name + NAME_DIGITS, NAME_SUFFIX) == 0;
}

void segment_list_fini(struct segment_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		segment_free(&list->items[i]);
	memory_free(list->items);
	*list = (struct segment_list){ 0 };
}

void segment_list_add(struct segment_list *list, struct segment *segment)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 8;
		list->items = memory_resize(list->items, list->capacity * sizeof(segment));
	}
	list->items[list->count++] = segment;
}

struct segment *segment_list_take(struct segment_list *list, size_t index)
{
	assert(index < list->count);
	struct segment *segment = list->items[index];
	list->count--;
	memmove(&list->items[index], &list->items[index + 1],
		(list->count - index) * sizeof(segment));
	return segment;
}

static uint64_t segment_header_checksum(const struct log_segment_header *header)
{
	size_t skipped = offsetof(struct log_segment_header, version);
	return hash_checksum(
		slice_of((const char *)header + skipped, sizeof(*header) - skipped), 0);
}

void segment_header_write(const struct segment *segment, char *block)
{
	struct log_segment_header header = {
		.magic = LOG_SEGMENT_MAGIC,
		.version = LOG_FORMAT_VERSION,
		.sequence = segment->sequence,
		.first_lsn = segment->first_lsn,
		.segment_bytes = segment->bytes,
		.salt = segment->salt,
	};
	header.checksum = segment_header_checksum(&header);
	memset(block, 0, LOG_BLOCK_BYTES);
	memcpy(block, &header, sizeof(header));
}

enum segment_state segment_header_read(struct segment *segment, const char *block)
{
	static const struct log_segment_header zeros;
	struct log_segment_header header;
	memcpy(&header, block, sizeof(header));
	if (memcmp(&header, &zeros, sizeof(header)) == 0)
		return SEGMENT_EMPTY;
	if (header.magic != LOG_SEGMENT_MAGIC ||
		header.checksum != segment_header_checksum(&header))
		return SEGMENT_DAMAGED;
	if (header.version > LOG_FORMAT_VERSION)
		return SEGMENT_NEWER;
	/* A file is written whole and synced before it is used: a crash cannot shorten it. */
	if (header.segment_bytes != segment->bytes || header.version == 0 || header.sequence == 0 ||
		header.first_lsn == 0)
		return SEGMENT_DAMAGED;
	segment->sequence = header.sequence;
	segment->first_lsn = header.first_lsn;
	segment->salt = header.salt;
	return SEGMENT_USED;
}

static uint64_t batch_header_checksum(
	const struct segment *segment, const struct log_batch_header *header)
{
	size_t skipped = offsetof(struct log_batch_header, sequence);
	struct slice checked = slice_of((const char *)header + skipped, sizeof(*header) - skipped);
	return hash_checksum(checked, segment->salt);
}

void segment_batch_seal(
	const struct segment *segment, struct log_batch_header *header, char *records)
{
	header->magic = LOG_BATCH_MAGIC;
	header->sequence = segment->sequence;
	header->records_checksum =
		hash_checksum(slice_of(records, header->records_bytes), segment->salt);
	header->checksum = batch_header_checksum(segment, header);
	memcpy(records - sizeof(*header), header, sizeof(*header));
}

bool segment_batch_read(
	const struct segment *segment, const char *bytes, struct log_batch_header *header)
{
	memcpy(header, bytes, sizeof(*header));
	return header->magic == LOG_BATCH_MAGIC && header->sequence == segment->sequence &&
		header->checksum == batch_header_checksum(segment, header);
}

bool segment_records_whole(
	const struct segment *segment, const struct log_batch_header *header, const char *records)
{
	struct slice bytes = slice_of(records, header->records_bytes);
	return header->records_checksum == hash_checksum(bytes, segment->salt);
}
