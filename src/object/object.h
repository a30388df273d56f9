/*
 * object: an object that something is going on with on this worker: its instance in memory, the
 * gate in front of it, the calls in it. objects.c has the table of them, object_gate.c the gate.
 *
 * Threads: the worker's of the object's shard.
 */
#ifndef OBJECT_OBJECT_H
#define OBJECT_OBJECT_H

#include "base/hash_table.h"
#include "base/list.h"
#include "object/object_key.h"
#include "request/request.h"

struct call;
struct class_slot;
struct class_state;
struct objects;
struct section;

#define OBJECT_OVERHEAD_BYTES 24 /* the table's, and the allocator's */

/* An object that something is going on with: an instance in memory, calls in it or before its gate.
 */
struct object {
	struct hash_node by_name;
	struct class_slot *slot;
	struct slice id;

	/* the instance */
	struct class_state *state; /* NULL: none */
	int self;                  /* the runtime's names of it */
	uint64_t serial; /* of them one that no other instance of the state has; 0 never */
	bool initialised;
	bool doomed;           /* is dropped when the last call has left it; nobody enters before */
	uint64_t gate_lsn;     /* of what its memory was made from */
	struct list_node idle; /* in the state's list while it has an instance and no calls */
	bool is_idle;

	/* the gate */
	uint32_t calls_in;      /* begun and not ended */
	struct call *closed_by; /* is in init or exclusive: nobody else enters */
	uint32_t closed_depth;
	/* parked requests; of calls that are in already, back from a wait: they go first */
	struct request_list returning;
	struct request_list entering;
	uint32_t queued;            /* in both */
	struct request *admitted;   /* taken from the queue, on its way in */
	struct call *alarm;         /* the alarm handler under way */
	struct request_list alarms; /* jobs that begin when it has ended */
	struct list sections;       /* that a call is in */

	/* since it came into memory */
	uint64_t calls;
	uint64_t errors;
	char *last_error; /* NULL: none */
	int64_t last_error_ms;
	int64_t last_active_ms;
};

/* What it takes outside of its runtime. */
static inline size_t object_bytes(const struct object *object)
{
	return sizeof(*object) + object->id.size + OBJECT_OVERHEAD_BYTES;
}
struct object *object_find(struct objects *objects, const struct object_name *name);
/* Finds or makes one; object_look_again forgets it when nothing goes on with it. */
struct object *object_take(
	struct objects *objects, struct class_slot *slot, const struct object_name *name);
/* The request may enter now; otherwise it has to queue. `call` is NULL for a storage command. */
bool object_is_open(
	const struct object *object, const struct request *request, const struct call *call);
/* A call begins: the object is not idle. */
void object_enter(struct object *object);
/* Parks the turn's request at the gate. */
void object_queue(struct object *object, struct turn *turn);
/* A request that was let in has entered, or goes elsewhere; false when it was not let in. Whoever
 * was let in and does neither in that turn is let go by the gate itself. */
bool object_end_admission(struct object *object, struct request *request);
/* The call would wait at the gate of a doomed object for calls that wait for it, by way of others.
 */
bool object_closes_circle(struct object *object, struct call *call);
/* Parks an alarm's job until the handler under way has ended. */
void object_queue_alarm(struct object *object, struct turn *turn);
void object_resume_alarms(struct objects *objects, struct object *object);
/* Something at the gate may have changed at a turn's end: lets the next one in, drops the instance
 * when it is doomed and empty, forgets the object when nothing is left of it. */
void object_look_again(struct objects *objects, struct object *object);
/* The instance goes: now, or when the last call has left it. */
void object_doom(struct objects *objects, struct object *object);
void object_drop_instance(struct objects *objects, struct object *object);
/* A doomed instance is gone, or its last call has: no call waits for it at the gate any more. */
void object_end_circle_waits(struct object *object);
/* It is doomed from now on: calls at the gate that calls in it wait for are refused. */
void object_begin_circle_waits(struct objects *objects, struct object *object);
/* Nothing is left of it. */
void object_forget(struct objects *objects, struct object *object);
/* It stands in its state's list of idle ones from now on. */
void object_rest(struct object *object);

#endif
