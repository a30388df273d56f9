/*
 * order: see order.h. Every request stands in the order from its dispatch on; replies go to `out`
 * from the front only; messages of subscriptions come in between. What waits for the log stands in
 * `out` behind a mark: replies leave in order, so a later one waits at least as long as those in
 * front of it, and marks have rising LSNs.
 *
 * Threads: see order.h.
 */
#include "net/order.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

#define OUT_KEEP_BYTES   (16 * 1024)
#define SWAP_REPLY_BYTES (64 * 1024) /* from here on a reply becomes `out`, and is not copied */

void order_fini(struct order *order, struct request_pool *pool)
{
	while (order->first) {
		struct request *request = order->first;
		order->first = request->order_next;
		request_put(pool, &request);
	}
	buffer_fini(&order->out);
	memory_free(order->marks);
}

void order_append(struct order *order, struct request *request)
{
	request->order_next = NULL;
	if (order->last)
		order->last->order_next = request;
	else
		order->first = request;
	order->last = request;
}

void order_answered(struct order *order, struct request *request)
{
	assert(!request->answered);
	request->answered = true;
	order->waiting_bytes += request->reply.size;
}

/* --- the gate --------------------------------------------------------------------------------- */

static void add_mark(struct order *order, uint64_t lsn)
{
	struct gate_mark *last = order->mark_count ? &order->marks[order->mark_count - 1] : NULL;
	if (last && last->lsn >= lsn) {
		last->end = order->out.size;
		return;
	}
	if (order->mark_count == order->mark_capacity) {
		order->mark_capacity = order->mark_capacity * 2 + 4;
		order->marks = memory_resize(
			order->marks, order->mark_capacity * sizeof(struct gate_mark));
	}
	order->marks[order->mark_count++] =
		(struct gate_mark){ .end = order->out.size, .lsn = lsn };
}

/* What was appended to `out` last leaves when `lsn` is released. */
static void hold_back(struct order *order, uint64_t lsn, uint64_t released)
{
	if (order->mark_count == 0 && lsn <= released)
		order->released = order->out.size;
	else
		add_mark(order, lsn);
}

void order_release(struct order *order, uint64_t released)
{
	uint32_t passed = 0;
	while (passed < order->mark_count && order->marks[passed].lsn <= released)
		order->released = order->marks[passed++].end;
	if (passed) {
		order->mark_count -= passed;
		memmove(order->marks, order->marks + passed,
			order->mark_count * sizeof(struct gate_mark));
	}
}

/* --- out -------------------------------------------------------------------------------------- */

static void emit(struct order *order, struct request *request, uint64_t released)
{
	if (request->silent || request->reply.size == 0)
		return;
	if (order->out.size == 0 && request->reply.size >= SWAP_REPLY_BYTES) {
		struct buffer emptied = order->out;
		order->out = request->reply;
		request->reply = emptied;
	} else {
		buffer_append(&order->out, request->reply.data, request->reply.size);
	}
	hold_back(order, request->gate_lsn, released);
}

uint64_t order_emit(
	struct order *order, struct request_pool *pool, uint64_t released, bool is_dropped)
{
	uint64_t highest = 0;
	while (order->first && order->first->answered) {
		struct request *request = order->first;
		order->first = request->order_next;
		if (order->first == NULL)
			order->last = NULL;
		order->waiting_bytes -= request->reply.size;
		if (!is_dropped)
			emit(order, request, released);
		if (request->gate_lsn > highest)
			highest = request->gate_lsn;
		request_put(pool, &request);
	}
	if (highest > order->gate_lsn)
		order->gate_lsn = highest;
	return highest;
}

void order_push(struct order *order, struct slice message, uint64_t lsn, uint64_t released)
{
	buffer_append(&order->out, message.data, message.size);
	hold_back(order, lsn, released);
}

void order_taken(struct order *order, size_t bytes)
{
	assert(bytes == order->released);
	order->released = 0;
	for (uint32_t i = 0; i < order->mark_count; i++)
		order->marks[i].end -= bytes;
	if (order->out.size == 0)
		buffer_clear(&order->out, OUT_KEEP_BYTES);
}
