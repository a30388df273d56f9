/*
 * batch: records collected in memory until one write takes them to disk.
 *
 *      memory                                                        capacity
 *      |<- LOG_BATCH_HEADROOM ->|<- size ->|                            |<- a block ->|
 *      +------------------------+----------+----------------------------+-------------+
 *      | block    | header      | records  |                            |             |
 *      +------------------------+----------+----------------------------+-------------+
 *
 * log_write puts the batch's header right in front of the records and, in front of that, what the
 * first block already holds on disk; behind the records it fills their last block with zeros. So
 * the records go to the kernel from where they were collected, as whole blocks, uncopied.
 *
 * log_batch_add runs under the lock that numbers records: a size, a check, a copy. A batch belongs
 * to one thread at a time; whoever shares it brings the lock.
 */
#include "base/memory.h"
#include "log/log.h"
#include "log/segment.h"

#include <assert.h>

/* Holds a burst of small records, and is a single reused allocation of the C library. */
#define CAPACITY_FIRST ((size_t)64 << 10)

static void batch_resize(struct log_batch *batch, size_t capacity)
{
	batch->memory =
		memory_resize(batch->memory, LOG_BATCH_HEADROOM + capacity + LOG_BLOCK_BYTES);
	batch->capacity = capacity;
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
	record_write(batch->memory + LOG_BATCH_HEADROOM + batch->size, effects, count);
	batch->size += size;
	batch->count++;
	assert(batch->count != 0);
}
