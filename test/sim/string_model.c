/*
 * string_model: see string_model.h. Deliberately plain: keys are numbers, look-ups are linear,
 * nothing is shared with the server but slices and buffers.
 */
#include "sim/string_model.h"

#include "base/arena.h"
#include "base/memory.h"
#include "base/number.h"
#include "support/count.h"

#include <assert.h>
#include <stdio.h>

struct change {
	uint64_t lsn;
	uint8_t db;
	uint32_t key;
	struct model_cell cell;
};

struct model {
	struct arena arena;
	struct slice keys[MODEL_KEYS];
	struct model_cell cells[MODEL_DATABASES][MODEL_KEYS];
	struct change *history;
	size_t history_count;
	size_t history_capacity;
};

struct model *model_new(void)
{
	struct model *model = memory_zeroed(sizeof(*model));
	arena_init(&model->arena, 64 * 1024);
	char padding[1400];
	memset(padding, 'p', sizeof(padding));
	for (uint32_t i = 0; i < MODEL_KEYS; i++) {
		int length = i % 4 == 3 ? (int)(450 + i * 19) : 0;
		model->keys[i] = arena_format(&model->arena, "%.*skey-%u", length, padding, i);
	}
	return model;
}

void model_free(struct model *model)
{
	arena_fini(&model->arena);
	memory_free(model->history);
	memory_free(model);
}

struct slice model_key(const struct model *model, uint32_t number)
{
	return model->keys[number];
}

static uint32_t key_number(const struct model *model, struct slice key)
{
	for (uint32_t i = 0; i < MODEL_KEYS; i++) {
		if (slice_equal(model->keys[i], key))
			return i;
	}
	assert(!"a key of the simulation");
	return 0;
}

/* --- changing --------------------------------------------------------------------------------- */

struct run {
	struct model *model;
	uint8_t db;
	const struct slice *arguments;
	uint32_t count;
	int64_t now_ms;
	uint64_t lsn;
	struct buffer *reply;
	uint64_t depends;
};

static void set_cell(struct run *run, uint32_t key, struct model_cell cell)
{
	struct model *model = run->model;
	if (model->history_count == model->history_capacity) {
		model->history_capacity = model->history_capacity * 2 + 64;
		model->history = memory_resize(
			model->history, model->history_capacity * sizeof(struct change));
	}
	cell.data = arena_copy(&model->arena, cell.data);
	cell.lsn = run->depends = run->lsn;
	model->history[model->history_count++] =
		(struct change){ .lsn = run->lsn, .db = run->db, .key = key, .cell = cell };
	model->cells[run->db][key] = cell;
}

void model_rewind(struct model *model, uint64_t lsn)
{
	memset(model->cells, 0, sizeof(model->cells));
	size_t kept = 0;
	while (kept < model->history_count && model->history[kept].lsn <= lsn) {
		const struct change *change = &model->history[kept++];
		model->cells[change->db][change->key] = change->cell;
	}
	model->history_count = kept;
}

static struct model_cell *live_cell(struct run *run, uint32_t key)
{
	struct model_cell *cell = &run->model->cells[run->db][key];
	bool live = cell->present && (cell->expire_ms == 0 || cell->expire_ms > run->now_ms);
	return live ? cell : NULL;
}

static uint32_t key_argument(struct run *run, uint32_t index)
{
	uint32_t key = key_number(run->model, run->arguments[index]);
	uint64_t lsn = run->model->cells[run->db][key].lsn;
	if (lsn > run->depends)
		run->depends = lsn;
	return key;
}

/* --- replies ---------------------------------------------------------------------------------- */

static void reply_integer(struct run *run, int64_t value)
{
	buffer_format(run->reply, ":%lld\r\n", (long long)value);
}

static void reply_cell(struct run *run, const struct model_cell *cell)
{
	if (cell == NULL) {
		buffer_append_text(run->reply, "$-1\r\n");
		return;
	}
	buffer_format(run->reply, "$%zu\r\n", cell->data.size);
	buffer_append(run->reply, cell->data.data, cell->data.size);
	buffer_append_text(run->reply, "\r\n");
}

/* --- commands --------------------------------------------------------------------------------- */

static void run_get(struct run *run)
{
	reply_cell(run, live_cell(run, key_argument(run, 1)));
}

/* SET key value [PX ms | KEEPTTL] [NX | XX]: what the simulation sends. */
static void run_set(struct run *run)
{
	uint32_t key = key_argument(run, 1);
	struct model_cell *old = live_cell(run, key);
	struct model_cell cell = { .present = true, .data = run->arguments[2] };
	for (uint32_t i = 3; i < run->count; i++) {
		if (slice_is(run->arguments[i], "PX")) {
			number_parse_i64(run->arguments[++i], &cell.expire_ms);
			cell.expire_ms += run->now_ms;
		} else if (slice_is(run->arguments[i], "KEEPTTL")) {
			cell.expire_ms = old ? old->expire_ms : 0;
		} else if (slice_is(run->arguments[i], "NX") ? old != NULL : old == NULL) {
			buffer_append_text(run->reply, "$-1\r\n");
			return;
		}
	}
	set_cell(run, key, cell);
	buffer_append_text(run->reply, "+OK\r\n");
}

static void run_mset(struct run *run)
{
	for (uint32_t i = 1; i < run->count; i += 2)
		set_cell(run, key_argument(run, i),
			(struct model_cell){ .present = true, .data = run->arguments[i + 1] });
	buffer_append_text(run->reply, "+OK\r\n");
}

static void run_mget(struct run *run)
{
	buffer_format(run->reply, "*%u\r\n", run->count - 1);
	for (uint32_t i = 1; i < run->count; i++)
		reply_cell(run, live_cell(run, key_argument(run, i)));
}

static void run_del(struct run *run)
{
	int64_t deleted = 0;
	for (uint32_t i = 1; i < run->count; i++) {
		uint32_t key = key_argument(run, i);
		if (live_cell(run, key) == NULL)
			continue;
		set_cell(run, key, (struct model_cell){ 0 });
		deleted++;
	}
	reply_integer(run, deleted);
}

static void run_append(struct run *run)
{
	uint32_t key = key_argument(run, 1);
	struct model_cell *old = live_cell(run, key), cell = { .present = true };
	struct buffer joined;
	buffer_init(&joined);
	if (old) {
		cell.expire_ms = old->expire_ms;
		buffer_append(&joined, old->data.data, old->data.size);
	}
	buffer_append(&joined, run->arguments[2].data, run->arguments[2].size);
	cell.data = buffer_slice(&joined);
	reply_integer(run, (int64_t)joined.size);
	if (old == NULL || run->arguments[2].size) /* else nothing is written */
		set_cell(run, key, cell);
	buffer_fini(&joined);
}

static void run_pexpire(struct run *run)
{
	uint32_t key = key_argument(run, 1);
	struct model_cell *old = live_cell(run, key);
	if (old) {
		struct model_cell cell = *old;
		number_parse_i64(run->arguments[2], &cell.expire_ms);
		cell.expire_ms += run->now_ms;
		set_cell(run, key, cell);
	}
	reply_integer(run, old != NULL);
}

static void run_persist(struct run *run)
{
	uint32_t key = key_argument(run, 1);
	struct model_cell *old = live_cell(run, key);
	bool had = old && old->expire_ms;
	if (had) {
		struct model_cell cell = *old;
		cell.expire_ms = 0;
		set_cell(run, key, cell);
	}
	reply_integer(run, had);
}

static void run_pexpiretime(struct run *run)
{
	struct model_cell *cell = live_cell(run, key_argument(run, 1));
	reply_integer(run, cell == NULL ? -2 : cell->expire_ms ? cell->expire_ms : -1);
}

static void run_rename(struct run *run)
{
	uint32_t from = key_argument(run, 1);
	struct model_cell *old = live_cell(run, from);
	if (old == NULL) {
		buffer_append_text(run->reply, "-ERR no such key\r\n");
		return;
	}
	struct model_cell cell = *old;
	uint32_t to = key_argument(run, 2);
	buffer_append_text(run->reply, "+OK\r\n");
	if (from == to)
		return;
	set_cell(run, from, (struct model_cell){ 0 });
	set_cell(run, to, cell);
}

static void run_flushdb(struct run *run)
{
	for (uint32_t key = 0; key < MODEL_KEYS; key++)
		set_cell(run, key, (struct model_cell){ 0 });
	buffer_append_text(run->reply, "+OK\r\n");
}

bool model_run(struct model *model, uint8_t db, const struct slice *arguments, uint32_t count,
	int64_t now_ms, uint64_t lsn, struct buffer *reply, uint64_t *depends)
{
	static const struct {
		const char *name;
		void (*run)(struct run *run);
	} commands[] = {
		{ "GET", run_get },
		{ "SET", run_set },
		{ "MSET", run_mset },
		{ "MGET", run_mget },
		{ "DEL", run_del },
		{ "APPEND", run_append },
		{ "PEXPIRE", run_pexpire },
		{ "PERSIST", run_persist },
		{ "PEXPIRETIME", run_pexpiretime },
		{ "RENAME", run_rename },
		{ "FLUSHDB", run_flushdb },
	};
	struct run run = { model, db, arguments, count, now_ms, lsn, reply, 0 };
	for (size_t i = 0; i < COUNT(commands); i++) {
		if (!slice_is(arguments[0], commands[i].name))
			continue;
		commands[i].run(&run);
		*depends = run.depends;
		return true;
	}
	return false;
}

void model_count(
	const struct model *model, uint8_t db, int64_t now_ms, int64_t *live, int64_t *standing)
{
	*live = *standing = 0;
	for (uint32_t key = 0; key < MODEL_KEYS; key++) {
		const struct model_cell *cell = &model->cells[db][key];
		*standing += cell->present;
		*live += cell->present && (cell->expire_ms == 0 || cell->expire_ms > now_ms);
	}
}
