/*
 * turn: one run of a request's handler on the shards it holds. A request may take several turns; a
 * struct turn is one for all of them. Handlers see data only through it: reads note what the reply
 * must wait for, writes are collected and become one log record when the handler has returned
 * without pausing. An error reply leaves no change. A handler knows of the request only what
 * it is asked (turn->asked) and what it has kept from its turns before (turn->state).
 */
#ifndef REQUEST_TURN_H
#define REQUEST_TURN_H

#include "holdfast/errors.h"

#include "request/invocation.h"
#include "resp/writer.h"
#include "store/changes.h"
#include "store/store.h"

struct config;
struct engine;
struct request;

/* Values of continue_at, in place of a shard. */
#define TURN_NOWHERE    (-1)
#define TURN_EVERYWHERE (-2)
#define TURN_HERE       (-3) /* the shards that it holds, without giving them back */

struct turn {
	/* the same in all turns of a request */
	struct request *request; /* for whoever parks it, and the engine */
	const struct invocation *asked;
	struct arena *arena; /* lives until the reply has left */
	struct buffer *reply;
	void *state; /* the handler's own, from turn to turn */
	struct changes changes;
	uint64_t gate_lsn; /* the highest among what was read, and what earlier turns wrote */
	bool failed;       /* the reply is an error: the changes will be dropped */
	bool gave_lease;   /* to the client: its leases end when it is gone */
	bool walk_stays;   /* see turn_arrives */
	uint16_t walked;   /* shards that turn_walks has left behind */

	/* of this one */
	struct writer writer;
	int64_t now_ms;        /* wall clock, the same for the whole turn */
	struct store **stores; /* by shard; those that are not held must not be touched */
	uint16_t shard_total;  /* of the server */
	uint16_t shard_count;  /* that are held */
	uint16_t shard;        /* the one this turn runs on (the lowest it holds) */
	uint16_t port;         /* of the thread that runs it */
	uint32_t hits;         /* live values found by turn_get and turn_look */
	uint32_t misses;
	size_t reply_before; /* bytes of the reply, when the turn began */
	uint32_t steps;      /* see turn_pauses */
	size_t bytes_read;   /* of values, likewise */
	bool heard;          /* somebody subscribes to something: events are kept */
	bool may_write; /* the disk is not full: for writes that a reading command can do without */
	const struct config *config;
	struct engine *engine; /* for what rooms keep there; NULL: nothing is */

	/* what comes after it */
	int32_t continue_at;                     /* see turn_continue: a shard, or TURN_... */
	void (*parked)(struct request *request); /* see turn_park */
	void (*turned)(struct turn *turn);       /* is told, once, that the handler has returned */
	void *turned_context;
};

/* The secret that seeds the hashes in store keys. */
static inline const struct hash_secret *turn_secret(const struct turn *turn)
{
	return store_secret(turn->stores[turn->shard]);
}

/* The shard of a key or id. */
uint16_t turn_shard_of(const struct turn *turn, struct slice id);

/* True when the key has a live value: this turn's changes first, then the store. Data is valid
 * until the turn ends, in the request's arena when it had to be assembled; NULL when that has not
 * the room (arena_has_room). */
bool turn_get(struct turn *turn, uint16_t shard, struct slice key, struct value *out);
/* As turn_get without the data (data.size is right): cheap for large values. */
bool turn_look(struct turn *turn, uint16_t shard, struct slice key, struct value *out);
/* As turn_get, also of expired values: for families that manage their ends by themselves. */
bool turn_peek(struct turn *turn, uint16_t shard, struct slice key, struct value *out);
/* As turn_peek, of the data only the extent. */
bool turn_peek_extent(struct turn *turn, uint16_t shard, struct slice key, struct extent extent,
	struct value *out);
/* The value's data is borrowed until the turn has been committed. */
void turn_put(struct turn *turn, uint16_t shard, struct slice key, const struct value *value);
void turn_delete(struct turn *turn, uint16_t shard, struct slice key);

/* After this turn, and the commit of its changes, run the handler again on `shard` (ROUTE_WALK and
 * ROUTE_ANY), or with all shards, with the reply and turn->state as they are. */
void turn_continue(struct turn *turn, uint16_t shard);
void turn_continue_everywhere(struct turn *turn);
/* For what happens on one shard: true when the turn runs on another, and the handler again on that
 * one. */
bool turn_goes_to(struct turn *turn, uint16_t shard);
/* A walk over all shards, in one or more turns on each, round from the one where it begins: the end
 * of every turn of it. True when another follows: on the same shard if there is `more_here`, else
 * on the next. False when that was the last one: the reply is due. */
bool turn_walks(struct turn *turn, bool more_here);
/* Of a walk: nothing has been done on this shard yet; until turn_walks is told of more here. */
static inline bool turn_arrives(const struct turn *turn)
{
	return !turn->walk_stays;
}
/* The handler's own memory from turn to turn of one request: zeroed in the first. */
void *turn_state(struct turn *turn, size_t size);
/* Any route: the turn pauses, because it would keep its thread for long, and the handler runs again
 * when that has done something else. Nobody gets the shards in between, and nothing is committed
 * before the end: it finds everything as it left it, its changes included. */
void turn_continue_here(struct turn *turn);
/* Asked before each step of what may have many: true when the turn has taken so many steps, or read
 * or written so much, that it pauses here, and the handler returns. The first step of a turn is
 * always taken. */
bool turn_pauses(struct turn *turn);

/* Asked before a handler opens a cursor on a table, if it may return: true when so much has been
 * written to it on the shard since somebody did that making the order would take long; the turn has
 * made some of it and pauses. */
bool turn_makes_order(struct turn *turn, uint16_t shard, enum table table);
/* The same for who may not open one: what would not take long is left. */
bool turn_makes_long_order(struct turn *turn, uint16_t shard, enum table table);

/* Where a handler stands that goes through its arguments from turn to turn. */
struct progress {
	uint32_t next; /* argument; 0: it has not begun */
	int64_t count; /* of what it counts */
};
static inline struct progress *progress_from(struct progress *progress, uint32_t first)
{
	if (progress->next == 0)
		progress->next = first;
	return progress;
}
/* For a handler that goes through them once: its turn_state. */
static inline struct progress *turn_progress(struct turn *turn, uint32_t first)
{
	return progress_from(turn_state(turn, sizeof(struct progress)), first);
}

/* A place in the turn's memory to go back to: turn_rewind frees what was read since, unless
 * something was written since: what was written may lie there, so the mark moves up to here. */
struct turn_mark {
	struct arena_mark arena;
	uint64_t writes;
};
struct turn_mark turn_mark(struct turn *turn);
void turn_rewind(struct turn *turn, struct turn_mark *mark);
/* The bound of a reply; the writer's limit is less when others' replies leave no such room. */
size_t turn_reply_bytes_max(const struct turn *turn);
/* Says so of a reply that would become longer by so many bytes. */
static inline bool turn_reply_fits(struct turn *turn, size_t more)
{
	turn->writer.full |= turn->writer.limit && turn->reply->size + more > turn->writer.limit;
	return !turn->writer.full;
}
/* The reply would be longer than it may be: nothing more is written to it, and when the turn ends
 * it becomes an error, so a handler that finds this may return at once. */
static inline bool turn_reply_is_full(const struct turn *turn)
{
	return turn->writer.full;
}

/* After this turn has been committed and its shard given back, `parked` gets the request, with its
 * reply and state as they are, and keeps it until it calls engine_resume: then the handler runs
 * again. For requests of one shard; both happen on the shard's worker. */
void turn_park(struct turn *turn, void (*parked)(struct request *request));
/* The reply waits for everything that this shard has written: for listings. */
void turn_wait_for_shard(struct turn *turn, uint16_t shard);

/* An event of this turn: `message` goes to the subscribers of `channel` after the commit, and none
 * of them gets it before what this turn wrote and read is durable. Dropped with the turn's changes
 * when the turn fails. Both are copied. False, and nothing is kept, when the turn's events together
 * would take more than LIMIT_EVENT_BYTES: the handler answers that with an error of its own. */
bool turn_publish(struct turn *turn, struct slice channel, struct slice message);

/* What a turn changes in memory it changes when it has been committed, never before: `run` is
 * called then, with the turn's shards still held, in the order of these calls; not when the turn
 * fails. `context` lives in the turn's arena, or as long. */
void turn_on_commit(
	struct turn *turn, void (*run)(struct turn *turn, void *context), void *context);

/* Drops the reply so far and answers with an error; the changes will be dropped. */
void turn_error(struct turn *turn, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Of the server's own families of commands: says which argument does not fit, or that the end does
 * not when `index` is behind them all, and how the command is written. Redis's commands answer with
 * ERROR_SYNTAX as it is. */
void turn_syntax_error(struct turn *turn, uint32_t index);
/* The same of how many they are. */
void turn_arity_error(struct turn *turn);

static inline struct arena *turn_arena(struct turn *turn)
{
	return turn->arena;
}

static inline struct slice turn_argument(const struct turn *turn, uint32_t index)
{
	return turn->asked->arguments[index];
}

#endif
