/*
 * object_watch_private: what object_watch.c, object_effects.c and object_jobs.c share: the calls of
 * a life, and a line that one of them has said.
 */
#ifndef TEST_SIM_OBJECT_WATCH_PRIVATE_H
#define TEST_SIM_OBJECT_WATCH_PRIVATE_H

#include "object/objects_private.h"
#include "sim/object_watch.h"

#define WORDS_MAX     10
#define VERSIONS_MAX  256
#define CLASSES       2
#define SECTIONS      2
#define ID_BYTES      64
#define INSTANCE_SIZE 24

struct record {
	struct record *next;
	const struct call *call; /* NULL: it has ended */
	struct client *client;   /* NULL: the server's own, or another object's */
	char id[ID_BYTES];
	uint32_t object;
	char instance[INSTANCE_SIZE];
	int64_t begun_ms;
	uint64_t depends;
	uint64_t pending; /* the record of this turn, if it is committed */
	uint32_t closed_depth;
	bool failed;
	int64_t result;
	char asks[ID_BYTES]; /* the call it waits for */
	uint64_t depends_asking;
	char fetched[16];
	/* a job's */
	const struct objects_job *job;
	uint64_t serial;
	uint32_t schedule;
};

struct presence {
	uint32_t calls_in;
	char instance[INSTANCE_SIZE]; /* that they are in */
	uint64_t heard;               /* what it was told by others: it may be in its memory */
	const struct record *closed_by;
	const struct record *alarm;
	const struct record *sections[SECTIONS]; /* who is in them */
};

struct watch_worker {
	struct watch *watch;
	struct objects *objects;
};

struct watch {
	struct model *model;
	struct engine *engine;
	struct watch_worker workers[WORLD_WORKERS_MAX];
	struct record *records; /* of this life */
	uint32_t calls;
	struct record *segment;
	struct presence presence[MODEL_OBJECTS];
	uint64_t version_lsns[CLASSES][VERSIONS_MAX];
	uint64_t versions[CLASSES];
};

/* What one line says. */
struct line {
	struct watch *watch;
	const char *words[WORDS_MAX]; /* verb, object, instance, ... */
	uint32_t count;
	uint32_t object;
	uint64_t lsn;
	int64_t now_ms;
	struct record *record;
};

/* The number, or truth, that word `index` is. */
int64_t line_number(const struct line *line, uint32_t index);
bool line_truth(const struct line *line, uint32_t index);
/* The line's object as it is in this turn; and to be changed by it. */
struct model_state line_state(const struct line *line);
struct model_state *line_change(const struct line *line);
/* Whoever is in the object has seen all of it. */
void line_see(struct line *line);
void line_check_version(const struct line *line, int64_t version);

/* object_effects: what a call does. */
void effect_wrote(struct line *line);
void effect_read(struct line *line);
void effect_alarm(struct line *line);
void effect_noalarm(struct line *line);
void effect_hasalarm(struct line *line);
void effect_schedule(struct line *line);
void effect_unschedule(struct line *line);
void effect_bulk(struct line *line);
void effect_clear(struct line *line);
void effect_expire(struct line *line);
void effect_persist(struct line *line);

/* object_jobs: is it due, as the server says? What becomes of it when its call has ended? */
void job_begin(struct line *line, struct record *record, const struct call *call);
void job_settle(struct line *line);

#endif
