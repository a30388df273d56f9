/*
 * The write-ahead log's bytes on disk, offset by offset. All numbers are little endian.
 *
 * The log is a directory of segment files named NNNNNNNNNNNNNNNN.log, sixteen lower-case
 * hexadecimal digits that only tell files apart: the order is that of the sequence numbers inside.
 *
 *      0         4096                                                        segment_bytes
 *      +---------+--------+---------+--------+---------+------------------------+
 *      | segment | batch  | records | batch  | records | zeros to the block's   |
 *      | header  | header |         | header |         | end, then whatever     |
 *      +---------+--------+---------+--------+---------+------------------------+
 *
 * - A file is made of zeros and keeps its size for ever. Its first block is zeros until the segment
 *   is activated; it is then written together with the first batch. Sequence numbers grow by at
 *   least 1 with each activation. A segment no longer needed keeps its bytes until it is activated
 *   again, with a new sequence and a new salt.
 * - Batches follow each other without a gap; each is a multiple of 8 bytes; none spans segments.
 *   Every write is of whole blocks, so the bytes between a batch and its block's end are zeros
 *   until the next batch replaces them.
 * - Checksums are XXH3-64. Those of a batch are seeded with its segment's salt, which no client can
 *   know: neither a stored value that looks like a batch nor what is left of the segment's former
 *   life passes for one.
 * - LSNs number records without gaps. The first record of a segment has the LSN that follows the
 *   last whole record of the segment before it. A batch that is not whole (a write that a crash
 *   tore) and everything behind it in that segment is void; the next segment takes over its LSN.
 * - Damage and a torn write are told apart by synced_lsn: a whole batch header behind the last
 *   whole batch, whose synced_lsn reaches what is missing, proves that it had been on disk.
 */
#ifndef HOLDFAST_LOG_FORMAT_H
#define HOLDFAST_LOG_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_FORMAT_VERSION 1

/* Unit of writing, and size of a segment's header with its padding. */
#define LOG_BLOCK_BYTES 4096

#define LOG_SEGMENT_MAGIC UINT64_C(0x474553474f4c4648) /* "HFLOGSEG" */
#define LOG_BATCH_MAGIC   UINT64_C(0x544142474f4c4648) /* "HFLOGBAT" */

/* At offset 0 of a segment. Its size and the places of magic, checksum and version are the same in
 * every version of the format. */
struct log_segment_header {
	uint64_t magic;
	uint64_t checksum; /* of the bytes behind it in this header, seed 0 */
	uint32_t version;
	uint32_t reserved;      /* 0 */
	uint64_t sequence;      /* order of activation, from 1 */
	uint64_t first_lsn;     /* of the first record */
	uint64_t segment_bytes; /* size of the file */
	uint64_t salt;          /* seeds the checksums of its batches */
	uint64_t reserved_2;    /* 0 */
};

#define LOG_SEGMENT_HEADER_BYTES 64

static_assert(sizeof(struct log_segment_header) == LOG_SEGMENT_HEADER_BYTES, "layout");
static_assert(offsetof(struct log_segment_header, magic) == 0, "layout");
static_assert(offsetof(struct log_segment_header, checksum) == 8, "layout");
static_assert(offsetof(struct log_segment_header, version) == 16, "layout");
static_assert(offsetof(struct log_segment_header, reserved) == 20, "layout");
static_assert(offsetof(struct log_segment_header, sequence) == 24, "layout");
static_assert(offsetof(struct log_segment_header, first_lsn) == 32, "layout");
static_assert(offsetof(struct log_segment_header, segment_bytes) == 40, "layout");
static_assert(offsetof(struct log_segment_header, salt) == 48, "layout");
static_assert(offsetof(struct log_segment_header, reserved_2) == 56, "layout");

/* In front of each batch. */
struct log_batch_header {
	uint64_t magic;
	uint64_t checksum;         /* of the bytes behind it in this header, seed: the salt */
	uint64_t sequence;         /* the segment's */
	uint64_t first_lsn;        /* of its first record */
	uint64_t synced_lsn;       /* last LSN known to be durable when the batch was written */
	uint64_t records_bytes;    /* a multiple of 8 */
	uint64_t records_checksum; /* of the records, seed: the salt */
	uint32_t records;          /* how many */
	uint32_t reserved;         /* 0 */
};

#define LOG_BATCH_HEADER_BYTES 64

static_assert(sizeof(struct log_batch_header) == LOG_BATCH_HEADER_BYTES, "layout");
static_assert(offsetof(struct log_batch_header, magic) == 0, "layout");
static_assert(offsetof(struct log_batch_header, checksum) == 8, "layout");
static_assert(offsetof(struct log_batch_header, sequence) == 16, "layout");
static_assert(offsetof(struct log_batch_header, first_lsn) == 24, "layout");
static_assert(offsetof(struct log_batch_header, synced_lsn) == 32, "layout");
static_assert(offsetof(struct log_batch_header, records_bytes) == 40, "layout");
static_assert(offsetof(struct log_batch_header, records_checksum) == 48, "layout");
static_assert(offsetof(struct log_batch_header, records) == 56, "layout");
static_assert(offsetof(struct log_batch_header, reserved) == 60, "layout");

/* In front of each record: one atomic change. Its effects follow, then zeros up to `size`. */
struct log_record_header {
	uint32_t size;    /* of the whole record, this header included; a multiple of 8 */
	uint32_t effects; /* how many */
};

#define LOG_RECORD_HEADER_BYTES 8

static_assert(sizeof(struct log_record_header) == LOG_RECORD_HEADER_BYTES, "layout");
static_assert(offsetof(struct log_record_header, size) == 0, "layout");
static_assert(offsetof(struct log_record_header, effects) == 4, "layout");

/* In front of each effect, unaligned; the key and the value follow. */
struct __attribute__((packed)) log_effect_header {
	uint8_t kind; /* 1: put, 2: delete */
	uint8_t type; /* of the value; 0 for a delete */
	uint16_t shard;
	uint32_t key_bytes;
	uint32_t value_bytes;
	int64_t expire_ms; /* since 1970; 0: lives for ever */
};

#define LOG_EFFECT_HEADER_BYTES 20

static_assert(sizeof(struct log_effect_header) == LOG_EFFECT_HEADER_BYTES, "layout");
static_assert(offsetof(struct log_effect_header, kind) == 0, "layout");
static_assert(offsetof(struct log_effect_header, type) == 1, "layout");
static_assert(offsetof(struct log_effect_header, shard) == 2, "layout");
static_assert(offsetof(struct log_effect_header, key_bytes) == 4, "layout");
static_assert(offsetof(struct log_effect_header, value_bytes) == 8, "layout");
static_assert(offsetof(struct log_effect_header, expire_ms) == 12, "layout");

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the structs are the bytes on disk");

#endif
