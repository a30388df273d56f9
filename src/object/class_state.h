/*
 * class_state: a class compiled in a sandbox of one worker: its table, its methods, what `self` of
 * an object is made from.
 *
 * Threads: its worker's.
 */
#ifndef OBJECT_CLASS_STATE_H
#define OBJECT_CLASS_STATE_H

#include "base/list.h"
#include "object/class.h"
#include "object/libraries.h"
#include "object/sandbox.h"

struct object;

struct class_state {
	struct class *class; /* a reference */
	struct sandbox *sandbox;
	bool has_init;
	bool has_alarm;
	/* the owner's */
	uint64_t serial;    /* no other state of the worker ever has it */
	uint32_t instances; /* in memory */
	struct list idle;   /* objects without a call in them, the longest idle first */
	bool replaced;      /* freed with its last instance */
	bool lost;          /* by a turn that was cut off: its calls are ended */
};

/* What the functions of a class reach outside: set once by object/api.c's owner. */
struct class_environment {
	struct config *config;
	struct clock *clock;
	const struct libraries_host *host;
	void *context; /* becomes the sandbox's: struct objects */
	/* Adds self's methods and storage, objects, http, sleep to a new state; within a protected
	 * call. May be NULL: in a check nothing of it runs. */
	void (*open_api)(lua_State *L);
};

/* Compiles and runs the source with the usual budget. NULL and one line in `error` (with the line
 * number) when it does not parse, raises, or does not return the class it is named after. Keeps a
 * reference of its own. */
struct class_state *class_state_new(const struct class_environment *environment,
	struct class *class, char *error, size_t error_size);
void class_state_free(struct class_state **state);
/* Whether class_state_new would succeed. */
bool class_state_check(const struct class_environment *environment, struct slice name,
	struct slice source, char *error, size_t error_size);

/* Pushes the method's function. False, with nothing pushed, when the class has none of that name.
 * No metamethod runs. Within a protected call. */
bool class_state_push_method(struct class_state *state, lua_State *L, struct slice name);
/* Whether it has one; also true when that cannot be found out for want of memory. Not within a
 * protected call. */
bool class_state_has_method(struct class_state *state, struct slice name);

#endif
