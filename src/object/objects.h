/*
 * objects: what a worker keeps of objects: compiled classes, instances in memory, calls under way
 * and what they wait for. The input gate is here: at any time one call is within an object's turn,
 * and while an object is in its `init`, in self:exclusive, or waits to be made anew, no other
 * enters.
 *
 *   request --> objects_enter: the gate --(closed)--> the object's queue --> engine_resume
 *                  | open
 *               a turn: the class's code or a storage command --(wait)--> parked --> engine_resume
 *
 * Threads: its worker's, all of it.
 */
#ifndef OBJECT_OBJECTS_H
#define OBJECT_OBJECTS_H

#include "engine/engine.h"
#include "fetch/fetch.h"
#include "object/class.h"
#include "object/storage.h"

struct call;
struct objects;
struct objects_schedule;
struct report_limit;
struct runtime;

/* What the world gives a worker's objects. */
struct objects_host {
	void *context;
	/* Calls objects_run at this wall-clock time or soon after, on the worker's thread; a time
	 * in the past: as soon as the running event has ended. Replaces the time asked for before.
	 */
	void (*wake_at)(void *context, int64_t at_ms);
	/* As fetcher_start and fetcher_cancel. */
	void (*fetch)(void *context, struct fetch *fetch);
	void (*cancel)(void *context, struct fetch *fetch);
};

struct objects_options {
	struct engine *engine;
	struct config *config;
	uint16_t port; /* of the worker */
	struct class_registry *registry;
	struct objects_host host;
	const struct runtime *runtime;           /* what runs classes: see object/runtime.h */
	const struct objects_schedule *schedule; /* what begins jobs: see object/job.h */
	/* Is told of every log line of a class, with the call whose line it is, and of errors, with
	 * NULL. NULL: logline. */
	void (*say)(void *context, const struct call *call, int level, const char *text);
	void *say_context;
};

/* Opens the room on its port. */
struct objects *objects_new(const struct objects_options *options);
/* What the turn's thread keeps of objects; NULL in an engine without. */
struct objects *objects_on(const struct turn *turn);
/* Drops calls under way: what they had committed stays. Before the engine is closed. */
void objects_free(struct objects **objects);
/* No more alarms and schedules are begun: the server is about to stop. */
void objects_quiesce(struct objects *objects);
/* Calls are waiting for something. */
bool objects_are_busy(const struct objects *objects);
/* Every wait ends and nothing begins any more: calls are answered with an error. */
void objects_stop(struct objects *objects);
/* Runs what is due: sleeps, time-outs, alarms, eviction. The clock of the tick has been read. */
void objects_run(struct objects *objects);

/* --- for the handlers of storage commands ----------------------------------------------------- */

enum objects_intent {
	OBJECTS_READ,  /* a sliding life is touched */
	OBJECTS_WRITE, /* and an instance in memory is dropped: its fields may be stale now */
	OBJECTS_LOOK,  /* leaves no trace */
};
/* Opens the storage of the object that arguments `first` (class) and `first + 1` (id) name. False
 * when the turn is over for now: it was answered with an error, or waits at the object's gate and
 * will run again from its start. In an engine without objects the gate is open. */
bool objects_enter(
	struct turn *turn, uint32_t first, enum objects_intent intent, struct storage *storage);
/* The same for handlers whose turns pause: these hold the shard, so what the first has entered
 * nobody has changed since. `entered` is in the turn's state. */
bool objects_enter_or_go_on(
	struct turn *turn, bool *entered, enum objects_intent intent, struct storage *storage);
/* The turn's end: closes the storage unless the turn has failed. */
void objects_leave(struct turn *turn, struct storage *storage);
/* Drops the instance as soon as no call is in it. False when there is none. */
bool objects_evict(struct turn *turn, const struct object_name *name);

/* Whether the class is loaded and has an alarm method; false: the turn has been answered with an
 * error. In an engine without objects: true. */
bool objects_has_alarm(struct turn *turn, struct slice class_name);
/* The same of any method. */
bool objects_has_method(struct turn *turn, struct slice class_name, struct slice method);

/* What is known in memory of one object, or of a class on this worker. */
struct objects_figures {
	uint64_t calls;
	uint64_t errors;
	uint64_t overloaded;
	uint64_t instances;    /* in memory */
	uint64_t queued;       /* calls waiting at gates */
	uint64_t waiting;      /* calls parked in a wait */
	uint64_t memory_bytes; /* of the class's state */
	char last_error[LIMIT_ERROR_BYTES];
	int64_t last_error_ms;  /* 0: none */
	int64_t last_active_ms; /* 0: not since it came into memory */
};
/* `id` empty: the class on this worker. */
void objects_figures(
	struct objects *objects, const struct object_name *name, struct objects_figures *out);
/* Adds the worker's figures of all classes; not the last error and the times. */
void objects_add_totals(struct objects *objects, struct objects_figures *out);
/* So many versions of the class are in memory that no other may come: answered with an error. */
bool objects_class_is_busy(struct turn *turn, const struct class *class);
/* For what submits requests of its own. */
struct engine *objects_engine(struct objects *objects);
uint16_t objects_port(struct objects *objects);
struct config *objects_config(struct objects *objects);
/* For packing within a turn: whoever begins empties it. Given back when it has grown large. */
struct buffer *objects_scratch(struct objects *objects);
/* The registry, for the handlers of DO.CLASS. */
struct class_registry *objects_registry(struct objects *objects);
/* Takes the files of class-dir that are later than the classes that hold, all or none, and says in
 * the log what came of it. On the worker's thread, not from within a turn. */
void objects_reload_classes(struct objects *objects);
/* Whether the source is sound: its class could be loaded here. */
bool objects_check_class(struct objects *objects, struct slice name, struct slice source,
	char *error, size_t error_size);

/* --- for storage and the room schedule/ ------------------------------------------------------- */

/* An entry was filed in the index of what is due in this shard. `objects` may be NULL. */
void objects_note_due(struct objects *objects, uint16_t shard, int64_t at_ms);
/* Tells the host when objects_run has something to do next. */
void objects_ask(struct objects *objects);
/* What bounds the lines about a class. */
struct report_limit *objects_report_limit(struct objects *objects, struct slice class_name);

#endif
