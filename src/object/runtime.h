/*
 * runtime: the inside of objects, shared by its files:
 *
 *   objects.c   a worker's objects: look-up, the input gate and its queues, instances, classes
 *   call.c      a call from its first turn to its last
 *   wait.c      what a call waits for between two turns: time, HTTP, another object
 *   section.c   what only one call of an object does at a time, while other calls go on
 *   api.c       what the code of a class can call; api_storage.c: self.storage
 */
#ifndef OBJECT_RUNTIME_H
#define OBJECT_RUNTIME_H

#include "base/deadlines.h"
#include "base/hash_table.h"
#include "base/list.h"
#include "object/circle.h"
#include "object/class_state.h"
#include "object/commands.h"
#include "object/job.h"
#include "object/objects.h"
#include "object/report.h"

#define OBJECT_OVERHEAD_BYTES 24 /* the table's, and the allocator's */

/* --- objects ---------------------------------------------------------------------------------- */

/* What a worker keeps of a class, by name: also of one that is not loaded. */
struct class_slot {
	struct class_slot *next;
	char name[LIMIT_CLASS_NAME_BYTES + 1];
	size_t name_size;
	struct class_state *state; /* of the version in force; NULL: not compiled, or not loaded */
	uint64_t revision;         /* of the registry when that was looked at */
	struct report_limit reports;
	struct objects_figures figures;
};

/* An object that something is going on with: an instance in memory, calls in it or before its gate.
 */
struct object {
	struct hash_node by_name;
	struct class_slot *slot;
	struct slice id;

	/* the instance */
	struct class_state *state; /* NULL: none */
	int self;                  /* reference in the state's registry */
	uint64_t serial;           /* of the instance: 0 never */
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

struct objects {
	struct objects_options options;
	struct engine *engine;
	struct port *port;
	struct class_environment environment;
	struct libraries_host libraries;
	struct scheduler *scheduler;

	struct class_slot *slots;
	struct hash_table by_name; /* all objects */
	uint64_t next_serial;
	uint64_t next_state_serial;
	struct report_limit reports; /* of classes that have no slot */
	struct report_hosts refused;

	/* the turn that runs */
	struct call *running;
	struct turn *turn;
	struct storage *storage;
	struct buffer scratch; /* for packing */

	/* what goes on after the turn */
	struct list actions; /* calls */
	bool acting;

	/* waits */
	struct deadlines deadlines; /* of waits */
	int64_t ahead_ms;           /* wall clock less steady clock, as far as deadlines go by it */
	struct list parked;         /* every call between two turns in a wait */

	int64_t evicted_ms; /* when idle instances were looked at */
	int64_t asked_ms;   /* what the host was asked for last */
	bool quiesced;
	bool stopped; /* nothing waits or begins any more */
};

/* That it takes outside of its class's Lua state. */
static inline size_t object_bytes(const struct object *object)
{
	return sizeof(*object) + object->id.size + OBJECT_OVERHEAD_BYTES;
}
struct object *object_find(struct objects *objects, const struct object_name *name);
/* Finds or makes one; object_settle forgets it when nothing goes on with it. */
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
void object_settle(struct objects *objects, struct object *object);
/* The instance goes: now, or when the last call has left it. */
void object_doom(struct objects *objects, struct object *object);
void object_drop_instance(struct objects *objects, struct object *object);

/* The class's slot; NULL for a class that is not loaded and never was, so that clients' words do
 * not pile up. */
struct class_slot *slot_of(struct objects *objects, struct slice class_name);
/* Its compiled state, brought up to the registry's version. */
/* NULL and `error` when the class is not loaded (error empty) or does not compile. */
struct class_state *slot_state(
	struct objects *objects, struct class_slot *slot, char *error, size_t error_size);

/* A turn has been cut off in this state: no class has it any more. Instances in it go, and calls
 * that wait in it end. It is freed when the last of them has. */
void state_lost(struct objects *objects, struct class_slot *slot, struct class_state *state);

/* Drops some idle instances when the class's memory is nearly used up. */
void state_relieve(struct objects *objects, struct class_state *state);

/* --- calls ------------------------------------------------------------------------------------ */

enum call_kind {
	CALL_CLIENT, /* DO.CALL: the result becomes a reply */
	CALL_OBJECT, /* objects.call: the result is packed */
	CALL_JOB,    /* an alarm, a schedule, a wake */
	CALL_NOW,    /* DO.RUNALARM: a job whose outcome becomes a reply */
};

enum wait_kind { WAIT_NONE, WAIT_SLEEP, WAIT_FETCH, WAIT_OBJECT, WAIT_SECTION };

/* Why a wait ended. */
enum wait_end { WAIT_ENDED, WAIT_TIMED_OUT, WAIT_STOPPED };

struct wait {
	enum wait_kind kind;
	enum wait_end end;
	int64_t until_ms;         /* objects_steady_ms */
	struct deadline deadline; /* set while the wait has one */
	struct fetch *fetch;
	bool fetch_begun;
	struct request *request; /* of the other object's call; once it is told, ours */
	bool sent;
	bool answered;
	bool over;   /* the call is on its way to its next turn */
	size_t lent; /* by the class's sandbox, for what the answer takes */
};

/* What is done with a call as soon as no turn runs. */
enum call_action { ACTION_NONE, ACTION_SUBMIT, ACTION_RESUME };

/* Another object that waits for this call, first to last. */
struct call_link {
	const struct call_link *caller;
	struct object_name name;
	uint32_t depth;
};

struct call {
	enum call_kind kind;
	struct objects *objects; /* of the worker it runs on */
	struct request *request;
	struct object_name name;
	struct slice method;
	struct slice packed;            /* CALL_OBJECT: a table whose items are the arguments */
	const struct call_link *caller; /* CALL_OBJECT */
	uint64_t lender;                /* the caller's state: `packed` is lent by its sandbox */
	struct objects_job *job;        /* CALL_JOB, CALL_NOW */

	bool as_json; /* CALL_CLIENT: the reply is the result as JSON */
	bool begun;   /* has been let in */
	struct object *object;
	struct class_state *state;
	struct circle_wait circle; /* CALL_OBJECT: at the gate of a doomed object */
	bool in_circle;            /* of calls that wait for each other: this one is refused */
	lua_State *thread;
	struct arena_mark mark; /* of the request's arena before the first turn */
	size_t arena_bytes;     /* of the arena, as counted */
	size_t lent;            /* of these by the class's sandbox */
	int64_t begun_ms;       /* objects_steady_ms */
	uint32_t transactions;  /* open ones: no waits within */
	bool no_method;
	bool failed_softly;          /* by fail(): the instance stays */
	struct section *section;     /* it is in, or waits for */
	struct list_node in_section; /* while it waits for that */
	struct wait wait;
	enum call_action action;
	struct list_node in_actions;
	struct list_node in_parked;
	struct gate_wait held; /* a fetch that waits at the gate before it begins */
};

/* The handler of all calls, for every turn of theirs. request->turn.state is the call. */
void call_run(struct turn *turn);
/* The request's call; NULL for a storage command's. */
static inline struct call *call_of(const struct request *request)
{
	command_turn_fn run = request->asked.command->run;
	bool calls = run == call_run || run == do_call || run == do_calljson || run == do_runalarm;
	return calls ? request->turn.state : NULL;
}

/* What was lent to the call's turns is given back. */
void call_give_back(struct call *call);
/* A new call of a request of the server's own, in the request's arena. */
struct call *call_new(struct request *request, enum call_kind kind, const struct object_name *name,
	struct slice method);
/* The call whose turn runs on this state; raises an error outside of one. */
struct call *call_running(lua_State *L);

/* --- waits ------------------------------------------------------------------------------------ */

/* After the turn that began the wait: sets it going. */
void wait_parked(struct request *request);
/* It is over: the call runs again as soon as the event under way has ended. The first end counts.
 */
void wait_finish(struct call *call, enum wait_end end);
/* Runs what was put off until no turn runs. */
void objects_act(struct objects *objects);
/* What waits are measured by: a clock that nobody sets. */
int64_t objects_steady_ms(const struct objects *objects);
/* Sleeps and time-outs that are over. */
void wait_run_timers(struct objects *objects);
/* The wall-clock time of the next one; INT64_MAX. */
int64_t wait_next_ms(struct objects *objects);
/* Ends every wait: the server stops; or those of calls in this state. */
void wait_cancel_all(struct objects *objects);
void wait_cancel_in(struct objects *objects, const struct class_state *state);
/* Forgets the wait of a call, and what it was given. */
void wait_forget(struct call *call);
/* A request for another object's call; in the arena of the new request. */
struct request *wait_new_request(struct objects *objects, struct call *caller,
	const struct object_name *name, struct slice method, struct slice packed);

/* --- sections --------------------------------------------------------------------------------- */

/* True: the call is in the section of that name; it must be in none. False: it stands in line for
 * it, and waits (WAIT_SECTION) until it is in. */
bool section_enter(struct call *call, struct slice name);
/* Out of the section, or of the line, that the call is in, if any; lets the next one in. */
void section_leave(struct call *call);
/* Frees an object's sections, whoever is in them. */
void section_free_all(struct object *object);

/* --- what a class can call -------------------------------------------------------------------- */

void api_open(lua_State *L);
/* Pushes a new self of the running call's object. */
void api_push_self(lua_State *L, struct call *call);
/* Pushes the items of a packed table, arguments or results; returns how many. */
int api_push_items(lua_State *L, struct slice packed);

#endif
