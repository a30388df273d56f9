/*
 * request: the pool. A request keeps its arena's first chunk and a small reply buffer from one use
 * to the next, so a warm server allocates nothing for a small command.
 */
#include "request/request.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

#define ARENA_CHUNK_BYTES  (4 * 1024)
#define REPLY_KEEP_BYTES   (16 * 1024)
#define POOL_REQUESTS_KEPT 1024

/* Stages that may follow each other. A request that waits is thrown away by way of DONE when the
 * server ends. */
#define TO(stage) (1u << (stage))
static const uint8_t moves[REQUEST_STAGES] = {
	[REQUEST_FREE] = TO(REQUEST_NET),
	[REQUEST_NET] = TO(REQUEST_FREE) | TO(REQUEST_SHARD) | TO(REQUEST_DONE),
	[REQUEST_TRAVEL] = TO(REQUEST_SHARD) | TO(REQUEST_DONE),
	[REQUEST_SHARD] =
		TO(REQUEST_SHARD) | TO(REQUEST_TRAVEL) | TO(REQUEST_PARKED) | TO(REQUEST_DONE),
	[REQUEST_PARKED] = TO(REQUEST_SHARD) | TO(REQUEST_DONE),
	[REQUEST_DONE] = TO(REQUEST_DONE) | TO(REQUEST_FREE),
};

void request_move(struct request *request, enum request_stage stage)
{
	assert(moves[request->stage] & TO(stage));
	request->stage = stage;
}

struct request *request_take(struct request_pool *pool)
{
	struct request *request = pool->free;
	if (request) {
		pool->free = request->next;
		pool->count--;
	} else {
		request = memory_zeroed(sizeof(*request));
		arena_init(&request->arena, ARENA_CHUNK_BYTES);
		buffer_init(&request->reply);
	}
	request_move(request, REQUEST_NET);
	request->next = NULL;
	request->turn.request = request;
	request->turn.asked = &request->asked;
	request->turn.arena = &request->arena;
	request->turn.reply = &request->reply;
	return request;
}

static void request_free(struct request *request)
{
	arena_fini(&request->arena);
	buffer_fini(&request->reply);
	memory_free(request);
}

void request_put(struct request_pool *pool, struct request **taken)
{
	struct request *request = *taken;
	*taken = NULL;
	request_move(request, REQUEST_FREE);
	if (pool->count >= POOL_REQUESTS_KEPT) {
		request_free(request);
		return;
	}
	struct arena arena = request->arena;
	struct buffer reply = request->reply;
	arena_reset(&arena);
	buffer_clear(&reply, REPLY_KEEP_BYTES);
	*request = (struct request){
		.stage = REQUEST_FREE, .arena = arena, .reply = reply, .next = pool->free
	};
	pool->free = request;
	pool->count++;
}

struct slice request_error(const struct request *request)
{
	struct slice reply = buffer_slice(&request->reply);
	if (!request->turn.failed || reply.size == 0)
		return slice_of(NULL, 0);
	const char *end = memchr(reply.data, '\r', reply.size);
	assert(reply.data[0] == '-');
	assert(end);
	return slice_of(reply.data + 1, (size_t)(end - reply.data) - 1);
}

void request_list_put(struct request_list *list, struct request *request)
{
	request->next = NULL;
	if (list->last)
		list->last->next = request;
	else
		list->first = request;
	list->last = request;
}

void request_list_put_first(struct request_list *list, struct request *request)
{
	request->next = list->first;
	list->first = request;
	if (list->last == NULL)
		list->last = request;
}

struct request *request_list_take(struct request_list *list)
{
	struct request *request = list->first;
	if (request == NULL)
		return NULL;
	list->first = request->next;
	if (list->first == NULL)
		list->last = NULL;
	request->next = NULL;
	return request;
}

void request_pool_fini(struct request_pool *pool)
{
	while (pool->free) {
		struct request *request = pool->free;
		pool->free = request->next;
		request_free(request);
	}
	pool->count = 0;
}
