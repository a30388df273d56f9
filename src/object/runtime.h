/*
 * runtime: the interface between objects and the language that their classes are written in. lua/
 * implements it for Lua (lua/lua_runtime.h); nothing here or in the files beside it knows of Lua,
 * but for how the files of classes are called.
 *
 *   a class:      load, once for a worker and version ... unload
 *   a call:       begin, run, and run again behind each wait (object/wait.h) ... end
 *   an instance:  is made within run, and removed by drop
 *
 * A runtime runs a method between two waits within one turn of the object's shard. What it may do
 * with the call meanwhile stands in object/call.h, object/wait.h and object/section.h; what it
 * reads and writes of the object's storage in object/storage.h.
 *
 * Threads: the worker's. A class_state belongs to one worker.
 */
#ifndef OBJECT_RUNTIME_H
#define OBJECT_RUNTIME_H

#include "base/list.h"
#include "holdfast/errors.h"
#include "object/class.h"

struct call;
struct object;
struct objects;
struct runtime;
struct storage;

/* A version of a class, ready to run on one worker. The runtime makes it, as the first member of
 * what it keeps itself. */
struct class_state {
	const struct runtime *runtime;
	struct class *class; /* a reference */
	bool has_alarm;
	/* kept by object/ */
	uint64_t serial;    /* no other state of the worker ever has it */
	uint32_t instances; /* in memory */
	struct list idle;   /* objects without a call in them, the longest idle first */
	bool replaced;      /* freed with its last instance */
	bool lost;          /* by a turn that was cut off: its calls are ended */
};

/* How a stretch of a call has ended. */
enum runtime_end {
	RUNTIME_DONE,      /* the method has returned: its result is in the turn's reply */
	RUNTIME_WAITS,     /* call->wait says for what */
	RUNTIME_NO_METHOD, /* the class has none of that name */
	RUNTIME_FAILED,
};

#define RUNTIME_ERROR_BYTES     (LIMIT_ERROR_BYTES + 2 * LIMIT_CLASS_NAME_BYTES + 128)
#define RUNTIME_TRACEBACK_BYTES 2048

/* Of RUNTIME_FAILED. */
struct runtime_failure {
	bool is_soft;                            /* raised on purpose: the instance stays */
	char error[RUNTIME_ERROR_BYTES];         /* one line, its code word first */
	char traceback[RUNTIME_TRACEBACK_BYTES]; /* may be empty */
};

/* Of what a class may take on a worker, in bytes. */
struct runtime_memory {
	size_t used;
	size_t most;
	size_t room; /* that may still be lent */
};

struct runtime {
	/* Makes the class ready. NULL and one line in `error` when its source is not sound. Keeps a
	 * reference of its own. */
	struct class_state *(*load)(
		struct objects *objects, struct class *class, char *error, size_t error_size);
	/* No instance and no call is left of it. */
	void (*unload)(struct class_state **state);
	/* True when the class has that method, and when that cannot be found out for want of
	 * memory. */
	bool (*has_method)(struct class_state *state, struct slice name);

	/* Gives the call what it needs to run. False: its class has no memory left for that. */
	bool (*begin)(struct call *call);
	/* Runs the call's method, or goes on with it behind its wait, until it ends or waits.
	 * `failure` is filled in for RUNTIME_FAILED. */
	enum runtime_end (*run)(
		struct call *call, struct storage *storage, struct runtime_failure *failure);
	/* Takes back what `begin` gave, wherever the call stands. */
	void (*end)(struct call *call);
	/* Forgets the object's instance, which no call is in. */
	void (*drop)(struct object *object);

	/* A turn had to be cut off in it: all that the class had in memory is gone. */
	bool (*is_lost)(const struct class_state *state);
	void (*weigh)(const struct class_state *state, struct runtime_memory *out);
	/* Counts memory outside of the runtime as the class's. False: there is not so much. */
	bool (*lend)(struct class_state *state, size_t bytes);
	void (*give_back)(struct class_state *state, size_t bytes);
};

#endif
