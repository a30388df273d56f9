/*
 * object_watch: follows what the simulated objects do, by the lines that their code says in its
 * turns, and holds it against the model and against what the server promises: who may be in an
 * object at what time, what a job may begin with, what a reply or a fetch depends on.
 *
 * One thread. What has no record yet has the number of the next one: turns do not overlap.
 */
#ifndef TEST_SIM_OBJECT_WATCH_H
#define TEST_SIM_OBJECT_WATCH_H

#include "engine/engine.h"
#include "object/objects.h"
#include "sim/object_model.h"
#include "sim/world.h"

/* A client's command under way; the request's environment and connection. */
struct client {
	uint32_t object;
	uint64_t depends; /* its reply tells of this record */
	bool begun;       /* its call has entered the object */
	bool ended;
	bool failed;
	int64_t result;
	char expected[80]; /* the reply; empty: not known */
};

struct watch;

struct watch *watch_new(struct model *model);
void watch_free(struct watch *watch);

/* A life begins: nothing is under way. */
void watch_begin(struct watch *watch, struct engine *engine);
void watch_set_objects(struct watch *watch, uint16_t worker, struct objects *objects);
/* objects_options.say; the context is of this worker. */
void *watch_say_context(struct watch *watch, uint16_t worker);
void watch_say(void *context, const struct call *call, int level, const char *text);
/* objects_host.fetch: may it leave? */
void watch_fetch(struct watch *watch, const struct fetch *fetch);
/* It ends with this status or code. */
void watch_fetched(struct watch *watch, const struct fetch *fetch, const char *outcome);
/* No turn is running. */
void watch_between_turns(const struct watch *watch);

/* The number of the record that the running turn will have. */
uint64_t watch_lsn(const struct watch *watch);
/* Nobody may be in this object: its gate has let a storage command in. */
void watch_open(const struct watch *watch, uint32_t object);
/* Calls that have begun and not ended. */
uint32_t watch_calls(const struct watch *watch);
/* Some of them are of this object. */
bool watch_is_busy(const struct watch *watch, uint32_t object);
/* When the oldest of them began; INT64_MAX. */
int64_t watch_oldest_ms(const struct watch *watch);
/* The alarm of this object is the one whose handler runs. */
bool watch_alarm_runs(const struct watch *watch, uint32_t object, const struct model_alarm *alarm);

/* DO.CLASS LOAD has been committed. */
void watch_class_loaded(struct watch *watch, uint32_t class, uint64_t version, uint64_t lsn);
uint64_t watch_class_version(const struct watch *watch, uint32_t class);
uint64_t watch_class_lsn(const struct watch *watch, uint32_t class);
/* What a crash left of them. */
void watch_rewind(struct watch *watch, uint64_t lsn);

/* "o<number>"; fails on anything else. */
uint32_t watch_object(struct slice id);
/* A sliding life begins anew. */
void watch_touch(struct watch *watch, uint32_t object, int64_t now_ms);

#endif
