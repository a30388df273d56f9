/*
 * string_model: what the simulated server should be doing: a plain table of strings with expiry
 * times, and every change it has seen by LSN, so that the state as of any LSN can be made again.
 */
#ifndef TEST_SIM_STRING_MODEL_H
#define TEST_SIM_STRING_MODEL_H

#include "base/buffer.h"
#include "base/slice.h"

#include <stdint.h>

#define MODEL_KEYS      48
#define MODEL_DATABASES 2

struct model_cell {
	bool present;
	int64_t expire_ms;
	struct slice data; /* in the model's arena: never changed, only replaced */
	uint64_t lsn;      /* of its last change */
};

struct model;

struct model *model_new(void);
void model_free(struct model *model);

/* Name of key `number`; some are longer than LMDB's keys may be, with a long common prefix. */
struct slice model_key(const struct model *model, uint32_t number);

/* Runs a command of the simulation's set (RESP2), appends the expected reply to `reply`, and notes
 * the changes, if any, as those of the record `lsn`. False for a command it cannot foretell. */
bool model_run(struct model *model, uint8_t db, const struct slice *arguments, uint32_t count,
	int64_t now_ms, uint64_t lsn, struct buffer *reply, uint64_t *depends);
/* Forgets everything above `lsn`: the state is as of then. */
void model_rewind(struct model *model, uint64_t lsn);
/* Keys that live at `now_ms`, and those that stand (expired ones included). */
void model_count(
	const struct model *model, uint8_t db, int64_t now_ms, int64_t *live, int64_t *standing);

#endif
