/*
 * call: one call of an object's method, from its first turn to its last, and what its runtime may
 * do with it while it runs.
 *
 * Threads: the worker's of the object's shard.
 */
#ifndef OBJECT_CALL_H
#define OBJECT_CALL_H

#include "base/list.h"
#include "gate/gate_wait.h"
#include "object/circle.h"
#include "object/object_key.h"
#include "object/wait.h"
#include "request/request.h"

struct class_state;
struct object;
struct objects;
struct objects_job;
struct section;

enum call_kind {
	CALL_CLIENT, /* DO.CALL: the result becomes a reply */
	CALL_SERVER, /* of the server's own (object_call.h): the results are packed */
	CALL_JOB,    /* an alarm, a schedule, a wake */
	CALL_NOW,    /* DO.RUNALARM: a job whose outcome becomes a reply */
};

/* What is done with a call as soon as no turn runs. */
enum call_action { ACTION_NONE, ACTION_SUBMIT, ACTION_RESUME };

/* Where the method's arguments begin in DO.CALL class id method ... */
#define CALL_FIRST_ARGUMENT 4

/* One object in the chain of those that wait for this call. */
struct call_link {
	const struct call_link *caller;
	struct object_name name;
	uint32_t depth;
};

struct call {
	/* what is called */
	enum call_kind kind;
	struct objects *objects; /* of the worker it runs on */
	struct request *request;
	struct object_name name;
	struct slice method;
	struct slice packed;            /* CALL_SERVER: a table whose items are the arguments */
	const struct call_link *caller; /* objects.call */
	uint64_t lender;                /* the caller's state: it has lent `packed` */
	struct objects_job *job;        /* CALL_JOB, CALL_NOW */
	bool as_json;                   /* CALL_CLIENT: the reply is the result as JSON */

	/* where it runs */
	bool begun; /* has been let in */
	struct object *object;
	struct class_state *state;
	struct circle_wait circle; /* objects.call: at the gate of a doomed object */
	bool in_circle;            /* of calls that wait for each other: this one is refused */
	struct arena_mark mark;    /* of the request's arena before the first turn */
	int64_t begun_ms;          /* objects_steady_ms */
	bool failed_softly;        /* the instance stays */

	/* the runtime's */
	void *thread;          /* where it stands in its code; NULL: nowhere */
	uint32_t transactions; /* open ones: no waits within */
	size_t arena_bytes;    /* of the arena, as counted */
	size_t lent;           /* of these by the class's memory: given back behind each wait */

	/* what it waits for */
	struct section *section;     /* it is in, or waits for */
	struct list_node in_section; /* while it waits for that */
	struct wait wait;
	enum call_action action;
	struct list_node in_actions;
	struct list_node in_parked;
	struct gate_wait held; /* a fetch that waits at the gate before it begins */
};

/* Runs one turn of a call, which is the turn's state. It is the handler of calls that the server
 * makes; do_call, do_calljson and do_runalarm come to it in every turn. */
void call_run(struct turn *turn);
/* A new call of a request whose command is of COMMAND_CALLS, in the request's arena. */
struct call *call_new(struct request *request, enum call_kind kind, const struct object_name *name,
	struct slice method);
/* The request's call; NULL: it carries none, or none yet. */
static inline struct call *call_of(const struct request *request)
{
	bool calls = request->asked.command->flags & COMMAND_CALLS;
	return calls ? request->turn.state : NULL;
}

/* What was lent to the call's turns is given back. */
void call_give_back(struct call *call);

/* --- for the runtime, within the call's turn -------------------------------------------------- */

/* An instance has been made: from now on it is the object's. Until call_initialised nobody else
 * enters, if the class has something to do before. */
void call_made_instance(struct call *call);
void call_begins_init(struct call *call);
void call_initialised(struct call *call);
/* Nobody else enters the object until the last of these has been undone (object->closed_depth). */
void call_close_gate(struct call *call);
void call_open_gate(struct call *call);
/* Whether that object is this call's, or one of those that wait for it. */
bool call_has_in_chain(const struct call *call, const struct object_name *name);
/* How many objects wait for the calls that this one makes. */
uint32_t call_depth(const struct call *call);
/* Whether the alarm that has this number now is the one whose handler is under way. */
bool call_alarm_runs(const struct call *call, uint32_t serial);

#endif
