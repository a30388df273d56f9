/*
 * object_model: what the simulated objects should durably be: for each object every state that a
 * turn left behind, with the number of its record, so that the state as of any LSN can be had
 * again. A turn that fails takes back what it had announced.
 */
#ifndef TEST_SIM_OBJECT_MODEL_H
#define TEST_SIM_OBJECT_MODEL_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define MODEL_OBJECTS   8
#define MODEL_SCHEDULES 2
#define MODEL_WAKES     16
/* Keys that one `b` of a script writes: more than a delete_all deletes one by one. */
#define MODEL_BULK 1100

/* When something runs next lies between two times: retries have jitter. */
struct model_alarm {
	bool set;
	uint64_t serial; /* tells one set_alarm from another */
	int64_t at_ms;
	uint32_t tries;
	int64_t due_from_ms;
	int64_t due_to_ms;
};

struct model_schedule {
	bool set;
	uint64_t serial;
	int64_t every_ms;
	int64_t next_ms;
	uint32_t tries;
	int64_t due_from_ms;
	int64_t due_to_ms;
	/* Jitter decides whether the failed run is tried again or the next regular time comes
	 * first; then this, with no tries, may be what is meant. 0: no. */
	int64_t or_next_ms;
};

struct model_wake {
	int64_t at_ms;
	bool may_go; /* the object was away meanwhile */
};

struct model_state {
	uint64_t lsn; /* of the record that made it */
	uint64_t
		seen_lsn; /* of the last one that can be seen in the object: filing a wake is not */
	uint64_t before_lsn; /* that was the last one when this turn began */
	bool was_there;      /* the object existed then */
	/* values */
	int64_t version; /* turns that wrote; as many tokens */
	uint64_t chain;  /* hash over the tokens */
	int64_t beside;  /* what DO.PUT wrote; 0: nothing */
	uint32_t bulk;
	bool script; /* of the alarm */
	/* what is due */
	struct model_alarm alarm;
	struct model_schedule schedules[MODEL_SCHEDULES];
	struct model_wake wakes[MODEL_WAKES];
	uint32_t wake_count;
	int64_t expire_ms; /* 0: for ever */
	int64_t life_ms;   /* each touch makes it this long again; 0: no */
};

struct model;

struct model *model_new(void);
void model_free(struct model *model);

uint64_t model_keys(const struct model_state *state);
bool model_exists(const struct model_state *state);
/* delete_all; false when there is nothing to delete. */
bool model_clear(struct model_state *state, bool keep_alarm);
/* The chain with one token more. */
uint64_t model_chain(uint64_t chain, struct slice token);

/* As it is for whoever looks at `now_ms`, in the turn that will have the record `lsn`: an object
 * whose life is over is empty. */
struct model_state model_now(struct model *model, uint32_t object, uint64_t lsn, int64_t now_ms);
/* The record that whoever looks at this object depends on. A turn that finds no object and leaves
 * none is not seen. */
uint64_t model_lsn(const struct model *model, uint32_t object);
/* The state that the turn with this record leaves behind, to be changed by the caller. */
struct model_state *model_change(
	struct model *model, uint32_t object, uint64_t lsn, int64_t now_ms);
/* As model_change, for its wakes only. */
struct model_state *model_change_wakes(
	struct model *model, uint32_t object, uint64_t lsn, int64_t now_ms);
/* Calls sent to it while it was away are gone by now. */
void model_drop_wakes(struct model *model, uint32_t object, uint64_t lsn, int64_t now_ms);
uint64_t model_next_serial(struct model *model);

/* The turn that would have had this record has failed: nothing of it was. */
void model_void(struct model *model, uint64_t lsn);
/* Forgets everything above `lsn`. */
void model_rewind(struct model *model, uint64_t lsn);
/* The highest number that any state has. */
uint64_t model_highest(const struct model *model);

#endif
