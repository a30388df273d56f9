/*
 * objects_private: what a worker keeps of objects, shared by the files of this room:
 *
 *   objects.c      the table of objects, their instances, what is due
 *   object_gate.c  the input gate and its queues, storage commands at it
 *   class_slot.c   classes and their versions
 *   call.c         a call from its first turn to its last
 *   wait.c         what a call waits for between two turns: time, HTTP, another object
 *   section.c      what only one call of an object does at a time, while other calls go on
 */
#ifndef OBJECT_OBJECTS_PRIVATE_H
#define OBJECT_OBJECTS_PRIVATE_H

#include "base/deadlines.h"
#include "base/hash_table.h"
#include "base/list.h"
#include "object/call.h"
#include "object/job.h"
#include "object/object.h"
#include "object/objects.h"
#include "object/report.h"
#include "object/runtime.h"

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

struct objects {
	struct objects_options options;
	struct engine *engine;
	struct port *port;
	struct scheduler *scheduler;

	struct class_slot *slots;
	struct hash_table by_name; /* all objects */
	uint64_t next_state_serial;
	struct report_limit reports; /* of classes that have no slot */
	struct report_hosts refused;

	struct buffer scratch; /* objects_scratch */

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

#endif
