/*
 * batch: where a batch's records lie in its memory. For log.c; what others do with a batch stands
 * in log.h.
 */
#ifndef LOG_BATCH_H
#define LOG_BATCH_H

#include "log/log.h"
#include "log/segment.h"

static inline char *batch_records(const struct log_batch *batch)
{
	return batch->memory + LOG_BATCH_HEADROOM + batch->place;
}

/* The same when the batch has been moved to another place in its first block, if it is another. */
char *batch_move(struct log_batch *batch, size_t place);

#endif
