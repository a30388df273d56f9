/*
 * log: the write-ahead log on disk: segment files, appended to in batches, read once at the start.
 *
 * An LSN numbers records: the first record ever is 1. A batch is what one sync makes durable.
 *
 * Threads: log_write and log_sync are called by one thread at a time (whoever steps the gate);
 * log_prepare and log_recycle by another (the gate's keeper); log_usage, log_room, log_can_hold and
 * log_need by any. What they share is behind the log's own lock, which no disk call is made under.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "base/disk.h"
#include "base/slice.h"
#include "log/record.h"

struct log;

/* All records up to `lsn` have been replayed, and are known to be on disk. As log_replay_fn. */
typedef int (*log_replayed_fn)(void *context, uint64_t lsn);

struct log_options {
	struct disk *disk;
	const char *directory;  /* exists already */
	uint64_t segment_bytes; /* of the largest segment file; a multiple of LOG_BLOCK_BYTES */
	uint64_t first_bytes;   /* of the first ones, likewise; 0: segment_bytes */
	int spares_wanted;      /* empty segments that log_prepare keeps ready, at least 2 */
	bool spares_later;      /* opening makes none: log_prepare will, before the first write */
	log_replayed_fn
		replayed; /* called between batches, with the context of `replay`; or NULL */
};

/* A batch being collected. Its memory is laid out so that log_write can write it from where it is,
 * see batch.c. */
struct log_batch {
	char *memory;
	size_t place;       /* in its first block on disk, if it comes to stand where it should */
	size_t size;        /* bytes of records */
	size_t capacity;    /* bytes of records that fit */
	uint64_t first_lsn; /* of its first record; set by whoever numbers the records */
	uint32_t count;     /* records */
};

/* What recovery met. */
struct log_recovery {
	uint64_t last_lsn; /* of the last whole record; 0 when there was none */
	uint64_t records;  /* handed to `replay` */
	uint64_t bytes;    /* read */
	bool torn_tail;    /* the last batch had not been written whole: never acknowledged */
};

/* `record` holds one record; it dies when the call returns. 0, or a negative errno that ends it. */
typedef int (*log_replay_fn)(void *context, uint64_t lsn, struct record_reader *record);

/*
 * Opens the log in `directory` and replays, in order, each record with an LSN above `after_lsn`.
 * Afterwards the log is ready to be appended to: its next LSN is the larger of last_lsn and
 * `after_lsn`, plus 1, all that was replayed is durable, and, unless `spares_later`,
 * `spares_wanted` segments are ready (fewer when the disk is full: see log_prepare). On failure
 * changes nothing in the log, returns a negative errno and one line in `error`: -EBADMSG for damage
 * that is not a torn tail (valid batches follow it, or records are missing), -ENOTSUP for a newer
 * format.
 */
int log_open(struct log **out, const struct log_options *options, uint64_t after_lsn,
	log_replay_fn replay, void *context, struct log_recovery *recovery, char *error,
	size_t error_size);
void log_close(struct log **log);

/* LSN that the next record to be written must have. */
uint64_t log_next_lsn(const struct log *log);

void log_batch_init(struct log_batch *batch);
void log_batch_fini(struct log_batch *batch);
/* Empties it; keeps the memory unless it is more than `keep_bytes`. */
void log_batch_clear(struct log_batch *batch, size_t keep_bytes);
/* An empty batch that will probably be written behind one whose log_batch_end was `place`; 0: first
 * in a segment. Not needed, but where it is wrong the batch is copied when it is written. */
void log_batch_place(struct log_batch *batch, size_t place);
/* Where the batch will end in its last block, should it be written as it is. */
size_t log_batch_end(const struct log_batch *batch);
/* Appends one record. */
void log_batch_add(struct log_batch *batch, const struct effect *effects, size_t count);
/* Bytes of records that one batch may hold: what fits in an empty segment of the largest size. */
size_t log_batch_bytes_max(const struct log *log);
/* Bytes of records that a batch may hold to fit in every empty segment that is ready. */
size_t log_room(const struct log *log);
/* Whether a batch of so many bytes of records, or of the most it may have, finds a segment, or the
 * disk has room for one. */
bool log_can_hold(struct log *log, size_t bytes);
/* log_prepare is to have segments ready that hold a batch of so many bytes of records. */
void log_need(struct log *log, size_t bytes);

/*
 * Writes the batch (at least one record) behind what was written before; batch->first_lsn must be
 * log_next_lsn(). Takes a ready segment when the current one cannot hold it, after a sync of that.
 * Not durable before log_sync; several batches may be written before one sync.
 * -EAGAIN when no segment that holds it is ready (call again after log_prepare: nothing was
 * written); any other error is a durability fault, and every later log_write and log_sync fails
 * with it too.
 */
int log_write(struct log *log, struct log_batch *batch);
int log_sync(struct log *log);
/* Whether writes go past the page cache from now on: right where a sync follows each. At first they
 * do not. As log_write. */
void log_set_direct(struct log *log, bool is_direct);

/* Makes empty segments until `spares_wanted` are ready that hold what is needed, smaller ones where
 * the disk has no room for the size that is due. -ENOSPC when there are fewer and no more fit. */
int log_prepare(struct log *log);
/* Segments whose records all have LSNs up to `lsn` are no longer needed: they become spares, or are
 * removed when there are plenty. */
int log_recycle(struct log *log, uint64_t lsn);

struct log_usage {
	int spares;          /* empty segments ready that hold what is needed */
	int segments;        /* in use, the current one included */
	uint64_t bytes_live; /* of segments in use, up to their fill */
};
void log_usage(struct log *log, struct log_usage *out);

#endif
