/*
 * session_model: what the simulated server should know of sessions: for each id that was ever named
 * the history of what stood under it, by LSN, so that the state as of any record can be made again.
 * What is known in memory only, the exact end, is a field of the newest state.
 *
 * Of a session after a restart the model says what include/holdfast/session_format.h promises: it
 * ends at its bound, unless it is used.
 */
#ifndef TEST_SIM_SESSION_MODEL_H
#define TEST_SIM_SESSION_MODEL_H

#include "base/buffer.h"
#include "session/session_key.h"

#include <stdbool.h>
#include <stdint.h>

#define MODEL_FIELDS   4 /* the last is text, the others are numbers */
#define MODEL_USERS    3
#define MODEL_PURPOSES 2
#define MODEL_NO_ID    UINT32_MAX

/* A session's JSON: fields in the order in which they came, numbers and the length of the text. */
struct model_data {
	uint8_t count;
	uint8_t names[MODEL_FIELDS];
	int32_t values[MODEL_FIELDS]; /* -1: null, in a patch */
};

enum model_kind { MODEL_NONE, MODEL_SESSION, MODEL_ROTATED, MODEL_DELETED, MODEL_ENDED };

struct model_cell {
	uint64_t lsn;
	enum model_kind kind;
	uint8_t form;
	uint32_t user; /* 0: none; of a deleted one whose it was */

	/* a session */
	uint32_t number; /* stays when the id is changed */
	uint64_t version;
	int64_t created_ms;
	int64_t updated_ms;
	int64_t ttl_ms;
	int64_t absolute_ms;
	int64_t written_ms; /* the end that was written with it */
	int64_t bound_ms;
	struct model_data data;
	/* known in memory */
	int64_t end_ms;
	bool guessed; /* from an earlier run, and not used since */
	bool risked;  /* used when nothing could be written */

	/* one that was changed, deleted or has ended */
	int64_t stands_ms;
	bool by_absolute;
	int64_t grace_ms;
	uint32_t successor; /* id; `number` says which session of that id */
	uint8_t successor_form;
	bool can_tell; /* the new id */
};

struct model_id {
	struct slice text;
	struct slice digest;
	struct model_cell *cells;
	uint32_t count;
	uint32_t capacity;
};

struct model {
	struct model_id *ids;
	uint32_t count;
	uint32_t capacity;
	uint32_t sessions; /* numbers given */
	int64_t tombstone_ms;
	struct arena arena;
};

/* What an id stands for. */
struct model_found {
	enum { FOUND_ABSENT, FOUND_LIVE, FOUND_ENDED, FOUND_GONE } state;
	bool by_itself; /* has ended so, and was not deleted */
	uint32_t id;    /* under which the session is */
	bool by_old_id;
	bool can_tell;
	uint64_t lsn; /* the highest of what was looked at */
};

struct model *model_new(void);
void model_free(struct model **model);
/* The number of an id; it is added when it is new. */
uint32_t model_id(struct model *model, struct slice text);
struct slice model_user(uint32_t user);
/* MODEL_NO_ID: nobody's. */
uint32_t model_find_name(const struct model *model, const struct session_name *name);
struct session_name model_name(const struct model *model, uint32_t id, uint8_t form);

const struct model_cell *model_now(const struct model *model, uint32_t id);
struct model_cell *model_top(struct model *model, uint32_t id);
/* The state from this record on, to be changed: a copy of the one before. */
struct model_cell *model_push(struct model *model, uint32_t id, uint64_t lsn);
/* Whether the session's end is that of its absolute life. */
bool model_ends_by_absolute(const struct model_cell *cell);
bool model_is_live(const struct model *model, uint32_t id, int64_t now_ms);
struct model_found model_open(const struct model *model, uint32_t id, int64_t now_ms);
/* Forgets everything above `lsn`. */
void model_rewind(struct model *model, uint64_t lsn);
/* Memory is gone. */
void model_restart(struct model *model);

void model_data_text(const struct model_data *data, struct buffer *out);
void model_data_merge(struct model_data *data, const struct model_data *patch, bool deep);

#endif
