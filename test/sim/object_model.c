/*
 * object_model: see object_model.h. Deliberately plain: states are copied whole.
 */
#include "sim/object_model.h"

#include "base/hash.h"
#include "base/memory.h"

#include <assert.h>

struct history {
	struct model_state *states;
	uint32_t count;
	uint32_t capacity;
};

struct model {
	struct history objects[MODEL_OBJECTS];
	uint64_t serial;
};

static void end_turn(struct model_state *state);
static void end_life(struct model_state *state);

struct model *model_new(void)
{
	return memory_zeroed(sizeof(struct model));
}

void model_free(struct model *model)
{
	for (uint32_t i = 0; i < MODEL_OBJECTS; i++)
		memory_free(model->objects[i].states);
	memory_free(model);
}

uint64_t model_keys(const struct model_state *state)
{
	uint64_t keys = state->version ? 2 + (uint64_t)state->version : 0;
	return keys + (state->beside != 0) + state->bulk + state->script;
}

bool model_exists(const struct model_state *state)
{
	bool exists = model_keys(state) > 0 || state->alarm.set;
	for (uint32_t i = 0; i < MODEL_SCHEDULES; i++)
		exists |= state->schedules[i].set;
	return exists;
}

bool model_clear(struct model_state *state, bool keep_alarm)
{
	bool holds_more = model_exists(state) || state->expire_ms != 0;
	if (keep_alarm ? model_keys(state) == 0 : !holds_more)
		return false;
	state->version = 0;
	state->chain = 0;
	state->beside = 0;
	state->bulk = 0;
	state->script = false;
	if (keep_alarm)
		return true;
	state->alarm = (struct model_alarm){ 0 };
	for (uint32_t i = 0; i < MODEL_SCHEDULES; i++)
		state->schedules[i] = (struct model_schedule){ 0 };
	state->expire_ms = 0;
	state->life_ms = 0;
	return true;
}

uint64_t model_chain(uint64_t chain, struct slice token)
{
	return hash_checksum(token, chain);
}

struct model_state model_now(struct model *model, uint32_t object, uint64_t lsn, int64_t now_ms)
{
	const struct history *history = &model->objects[object];
	struct model_state state = { 0 };
	if (history->count > 0)
		state = history->states[history->count - 1];
	if (state.lsn == lsn)
		return state;
	end_turn(&state);
	if (state.expire_ms != 0 && state.expire_ms <= now_ms)
		end_life(&state);
	return state;
}

uint64_t model_lsn(const struct model *model, uint32_t object)
{
	const struct history *history = &model->objects[object];
	if (history->count == 0)
		return 0;
	const struct model_state *last = &history->states[history->count - 1];
	return last->was_there || model_exists(last) ? last->seen_lsn : last->before_lsn;
}

struct model_state *model_change_wakes(
	struct model *model, uint32_t object, uint64_t lsn, int64_t now_ms)
{
	struct history *history = &model->objects[object];
	struct model_state *last = history->count ? &history->states[history->count - 1] : NULL;
	if (last && last->lsn == lsn)
		return last;
	assert(last == NULL || last->lsn < lsn);
	struct model_state state = model_now(model, object, lsn, now_ms);
	state.before_lsn = model_lsn(model, object);
	state.was_there = model_exists(&state);
	state.lsn = lsn;
	state.seen_lsn = state.before_lsn;
	if (history->count == history->capacity) {
		history->capacity = history->capacity * 2 + 16;
		history->states = memory_resize(
			history->states, history->capacity * sizeof(*history->states));
	}
	history->states[history->count] = state;
	return &history->states[history->count++];
}

struct model_state *model_change(struct model *model, uint32_t object, uint64_t lsn, int64_t now_ms)
{
	struct model_state *state = model_change_wakes(model, object, lsn, now_ms);
	state->seen_lsn = lsn;
	return state;
}

void model_drop_wakes(struct model *model, uint32_t object, uint64_t lsn, int64_t now_ms)
{
	struct model_state now = model_now(model, object, lsn + 1, now_ms);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < now.wake_count; i++)
		if (!now.wakes[i].may_go)
			now.wakes[kept++] = now.wakes[i];
	if (kept == now.wake_count)
		return;
	now.wake_count = kept;
	struct model_state *state = model_change_wakes(model, object, lsn, now_ms);
	now.lsn = lsn;
	*state = now;
}

uint64_t model_next_serial(struct model *model)
{
	return ++model->serial;
}

void model_void(struct model *model, uint64_t lsn)
{
	model_rewind(model, lsn - 1);
}

void model_rewind(struct model *model, uint64_t lsn)
{
	for (uint32_t i = 0; i < MODEL_OBJECTS; i++) {
		struct history *history = &model->objects[i];
		while (history->count && history->states[history->count - 1].lsn > lsn)
			history->count--;
	}
}

uint64_t model_highest(const struct model *model)
{
	uint64_t highest = 0;
	for (uint32_t i = 0; i < MODEL_OBJECTS; i++) {
		const struct history *history = &model->objects[i];
		if (history->count && history->states[history->count - 1].lsn > highest)
			highest = history->states[history->count - 1].lsn;
	}
	return highest;
}

/* An object that holds nothing has no life, and calls sent to it are dropped. */
static void end_turn(struct model_state *state)
{
	if (!model_exists(state))
		end_life(state);
}

static void end_life(struct model_state *state)
{
	struct model_state empty = {
		.lsn = state->lsn,
		.seen_lsn = state->seen_lsn,
		.before_lsn = state->before_lsn,
		.was_there = state->was_there,
		.wake_count = state->wake_count,
	};
	for (uint32_t i = 0; i < state->wake_count; i++)
		empty.wakes[i] = (struct model_wake){ state->wakes[i].at_ms, true };
	*state = empty;
}
