/*
 * batch: records collected in memory until one write takes them to disk.
 *
 *      memory   a block                                               capacity
 *      |        |<- place ->|<- header ->|<- size ->|                   |<- two blocks ->|
 *      +--------+-----------+------------+----------+-------------------+----------------+
 *      |        |           |            | records  |                   |                |
 *      +--------+-----------+------------+----------+-------------------+----------------+
 *
 * log_write puts the batch's header right in front of the records and, in front of that, what the
 * first block already holds on disk; behind the records it fills their last block with zeros. So
 * the records go to the disk from where they were collected, as whole aligned blocks, uncopied, if
 * `place` is right: where the batch in front of it ends on disk. Where it is not, since another
 * segment has begun, the records are moved within the memory, which has room for any place. In
 * front of the first batch of a segment stands its whole header block.
 *
 * log_batch_add runs under the lock that numbers records: a size, a check, a copy. A batch belongs
 * to one thread at a time; whoever shares it brings the lock.
 */
#include "log/batch.h"
#include "base/memory.h"
#include "log/segment.h"

#include <assert.h>

/* Holds a burst of small records, and is a single reused allocation of the C library. */
#define CAPACITY_FIRST ((size_t)64 << 10)

static void batch_resize(struct log_batch *batch, size_t capacity)
{
	struct log_batch old = *batch;
	batch->memory = memory_aligned(
		LOG_BLOCK_BYTES, LOG_BATCH_HEADROOM + capacity + 2 * LOG_BLOCK_BYTES);
	batch->capacity = capacity;
	if (old.size)
		memcpy(batch_records(batch), batch_records(&old), old.size);
	memory_free(old.memory);
}

void log_batch_init(struct log_batch *batch)
{
	*batch = (struct log_batch){ 0 };
}

void log_batch_fini(struct log_batch *batch)
{
	memory_free(batch->memory);
	*batch = (struct log_batch){ 0 };
}

void log_batch_clear(struct log_batch *batch, size_t keep_bytes)
{
	if (batch->capacity > keep_bytes)
		log_batch_fini(batch);
	batch->size = 0;
	batch->first_lsn = 0;
	batch->count = 0;
}

void log_batch_place(struct log_batch *batch, size_t place)
{
	assert(batch->size == 0);
	assert(place < LOG_BLOCK_BYTES);
	batch->place = place;
}

size_t log_batch_end(const struct log_batch *batch)
{
	return (batch->place + LOG_BATCH_HEADER_BYTES + batch->size) % LOG_BLOCK_BYTES;
}

char *batch_move(struct log_batch *batch, size_t place)
{
	const char *from = batch_records(batch);
	assert(place < LOG_BLOCK_BYTES);
	if (place != batch->place) {
		batch->place = place;
		memmove(batch_records(batch), from, batch->size);
	}
	return batch_records(batch);
}

static void batch_grow(struct log_batch *batch, size_t more)
{
	size_t capacity = batch->capacity ? batch->capacity * 2 : CAPACITY_FIRST;
	while (capacity - batch->size < more)
		capacity *= 2;
	batch_resize(batch, capacity);
}

void log_batch_add(struct log_batch *batch, const struct effect *effects, size_t count)
{
	size_t size = record_size(effects, count);
	if (size > batch->capacity - batch->size)
		batch_grow(batch, size);
	record_write(batch_records(batch) + batch->size, effects, count);
	batch->size += size;
	batch->count++;
	assert(batch->count != 0);
}
