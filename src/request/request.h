/*
 * request: one command on its way round the server, with its reply: the only thing that travels.
 * One stage owns it at a time; giving it on takes it from the giver.
 *
 *   net --(route)--> shard ... shard --(done)--> net: the reply, in the connection's order and
 *                                                behind the gate
 *
 * Arguments and the reply live in its own arena and buffer, which are reused with it.
 */
#ifndef REQUEST_REQUEST_H
#define REQUEST_REQUEST_H

#include "base/arena.h"
#include "base/buffer.h"
#include "request/invocation.h"
#include "request/turn.h"
#include "resp/writer.h"

#include <stdatomic.h>
#include <stdint.h>

/* Where it goes: set by the router, moved by the shards. */
struct journey {
	uint16_t *shards; /* in ascending order */
	uint16_t shard_count;
	uint16_t shards_held;
	bool releasing;      /* on the way back through the shards it held */
	bool resumed;        /* it has been parked: it is let in */
	uint64_t walk_ns;    /* what its walk had taken when it last let others have their turn */
	uint64_t record_lsn; /* of what its turn has committed and not yet applied; 0: nothing */
	uint32_t applied;    /* effects of it that have been */
	bool wrote;          /* its last turn has committed something */
	bool publishes;      /* that has been applied, and its events are on their way */
};

enum request_stage {
	REQUEST_FREE,   /* in the pool */
	REQUEST_NET,    /* being read or run locally by its connection's loop */
	REQUEST_TRAVEL, /* in a mailbox */
	REQUEST_SHARD,  /* waiting for a shard, or in its turn */
	REQUEST_PARKED, /* between two turns, kept by whoever parked it (turn_park) */
	REQUEST_DONE,   /* back at its connection, waiting for its place or the gate */
	REQUEST_STAGES
};

struct request {
	/* whoever owns it */
	struct request *next; /* in the mailbox, queue or pool it is in */
	enum request_stage stage;

	struct invocation asked; /* set by home, read by all */
	uint16_t home;           /* port whose connection it came from */
	struct connection
		*connection; /* touched by home only; NULL for the server's own requests */
	void *environment;   /* struct environment: what server commands look at */

	struct journey journey;
	struct turn turn; /* the one it is in, or has had last */

	/* the server's own requests: see struct question (engine/engine.h) */
	bool own;
	void (*told)(struct request **request);
	void *told_context;

	/* what came of it */
	struct arena arena;
	struct buffer reply;
	uint64_t gate_lsn;   /* the reply leaves when this is durable */
	uint64_t elapsed_ns; /* of its turns */
	bool silent;         /* CLIENT REPLY OFF or SKIP: no reply is sent */

	/* net: the connection's order of replies */
	struct request *order_next;
	size_t counted_bytes;    /* what the connection counted of it as in flight */
	size_t reply_counted;    /* what the engine's output_bytes has of it */
	size_t gathered_counted; /* what the engine's gathered_bytes has of it */
	bool answered;           /* home's alone: it is back, or never left */
};

/* From one stage to the next, which must be one that may follow. */
void request_move(struct request *request, enum request_stage stage);

/* For its reply; without a bound. */
static inline struct writer request_writer(struct request *request)
{
	return (struct writer){ .out = &request->reply, .protocol = request->asked.protocol };
}

/* What a request that has failed was answered with: its code word and message. Empty when it has
 * not failed. */
struct slice request_error(const struct request *request);

/* First in, first out, by `next`. */
struct request_list {
	struct request *first;
	struct request *last;
};
void request_list_put(struct request_list *list, struct request *request);
void request_list_put_first(struct request_list *list, struct request *request);
/* NULL when it is empty. */
struct request *request_list_take(struct request_list *list);

/* Requests are drawn from and returned to the pool of one loop; not thread-safe. */
struct request_pool {
	struct request *free;
	uint32_t count;
};

struct request *request_take(struct request_pool *pool);
/* Takes and nulls. Memory beyond the usual is given back. */
void request_put(struct request_pool *pool, struct request **request);
void request_pool_fini(struct request_pool *pool);

#endif
