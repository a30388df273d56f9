/*
 * order: the replies of one connection, in the order of its requests and behind the gate.
 *
 *   order_append --> answered --(order_emit: nothing unanswered stands in front)--> `out`
 *                                                   `out` --(order_release: its LSN)--> may be sent
 *
 * Threads: the loop's of its connection.
 */
#ifndef NET_ORDER_H
#define NET_ORDER_H

#include "base/buffer.h"
#include "request/request.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes of `out` up to `end` wait until `lsn` is released. */
struct gate_mark {
	size_t end;
	uint64_t lsn;
};

struct order {
	struct request *first; /* whose replies have not gone to `out`, the oldest first */
	struct request *last;
	size_t waiting_bytes;    /* of replies that wait for one in front of them */
	struct buffer out;       /* replies in order that have not been sent */
	size_t released;         /* so many bytes of `out` may be sent */
	struct gate_mark *marks; /* where in the rest of `out` the gate holds what back */
	uint32_t mark_count;
	uint32_t mark_capacity;
	uint64_t gate_lsn; /* the highest that its replies have waited for */
};

/* Requests that still stand in it go to the pool. */
void order_fini(struct order *order, struct request_pool *pool);
/* The request takes its place. */
void order_append(struct order *order, struct request *request);
/* Its reply is there. */
void order_answered(struct order *order, struct request *request);
/* Replies that stand in front go to `out`, or nowhere when nobody is there to read them; their
 * requests to the pool. Returns the highest LSN that one of them waits for. */
uint64_t order_emit(
	struct order *order, struct request_pool *pool, uint64_t released, bool is_dropped);
/* A message that comes in between, behind all that is in `out`; it waits for `lsn`. */
void order_push(struct order *order, struct slice message, uint64_t lsn, uint64_t released);
/* The gate has released all LSNs up to this one. */
void order_release(struct order *order, uint64_t released);
/* So many bytes that were released have been sent, and leave `out`. */
void order_taken(struct order *order, size_t bytes);
static inline bool order_is_gated(const struct order *order)
{
	return order->mark_count > 0;
}
static inline bool order_is_empty(const struct order *order)
{
	return order->first == NULL && order->out.size == 0;
}

#endif
