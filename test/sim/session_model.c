/*
 * session_model: see session_model.h.
 */
#include "sim/session_model.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

static const struct model_cell nothing = { .kind = MODEL_NONE };

struct model *model_new(void)
{
	struct model *model = memory_zeroed(sizeof(*model));
	arena_init(&model->arena, 1 << 14);
	return model;
}

void model_free(struct model **taken)
{
	struct model *model = *taken;
	*taken = NULL;
	for (uint32_t i = 0; i < model->count; i++)
		memory_free(model->ids[i].cells);
	memory_free(model->ids);
	arena_fini(&model->arena);
	memory_free(model);
}

uint32_t model_id(struct model *model, struct slice text)
{
	for (uint32_t i = 0; i < model->count; i++)
		if (slice_equal(model->ids[i].text, text))
			return i;
	if (model->count == model->capacity) {
		model->capacity = model->capacity ? 2 * model->capacity : 64;
		model->ids = memory_resize(model->ids, model->capacity * sizeof(struct model_id));
	}
	struct model_id *id = &model->ids[model->count];
	*id = (struct model_id){ .text = arena_copy(&model->arena, text) };
	id->digest = session_name_of(id->text, SESSION_FORMAT_HASHED, &model->arena).bytes;
	return model->count++;
}

struct slice model_user(uint32_t user)
{
	/* One is the beginning of another. */
	static const char *const names[] = { "", "ann", "anna", "bob" };
	assert(user <= MODEL_USERS);
	return slice_text(names[user]);
}

uint32_t model_find_name(const struct model *model, const struct session_name *name)
{
	for (uint32_t i = 0; i < model->count; i++) {
		const struct model_id *id = &model->ids[i];
		bool plain = name->form == SESSION_FORMAT_PLAIN;
		if (slice_equal(name->bytes, plain ? id->text : id->digest))
			return i;
	}
	return MODEL_NO_ID;
}

struct session_name model_name(const struct model *model, uint32_t id, uint8_t form)
{
	const struct model_id *named = &model->ids[id];
	return (struct session_name){ form,
		form == SESSION_FORMAT_PLAIN ? named->text : named->digest };
}

const struct model_cell *model_now(const struct model *model, uint32_t id)
{
	const struct model_id *named = &model->ids[id];
	return named->count ? &named->cells[named->count - 1] : &nothing;
}

struct model_cell *model_top(struct model *model, uint32_t id)
{
	struct model_id *named = &model->ids[id];
	return named->count ? &named->cells[named->count - 1] : NULL;
}

struct model_cell *model_push(struct model *model, uint32_t id, uint64_t lsn)
{
	struct model_id *named = &model->ids[id];
	struct model_cell now = *model_now(model, id);
	assert(now.lsn <= lsn);
	if (named->count && now.lsn == lsn)
		return &named->cells[named->count - 1];
	if (named->count == named->capacity) {
		named->capacity = named->capacity ? 2 * named->capacity : 4;
		named->cells =
			memory_resize(named->cells, named->capacity * sizeof(struct model_cell));
	}
	now.lsn = lsn;
	named->cells[named->count] = now;
	return &named->cells[named->count++];
}

bool model_is_live(const struct model *model, uint32_t id, int64_t now_ms)
{
	const struct model_cell *cell = model_now(model, id);
	return cell->kind == MODEL_SESSION && cell->end_ms > now_ms;
}

bool model_ends_by_absolute(const struct model_cell *cell)
{
	return cell->absolute_ms != 0 && cell->end_ms == cell->absolute_ms;
}

/* Nobody need have seen to its end yet. */
static void find_ended(const struct model *model, const struct model_cell *cell, int64_t now_ms,
	struct model_found *found)
{
	bool noted = cell->kind == MODEL_ENDED;
	int64_t known_ms = noted ? cell->stands_ms : cell->end_ms + model->tombstone_ms;
	if (known_ms <= now_ms)
		return;
	found->by_itself = true;
	found->lsn = cell->lsn;
	found->state = (noted ? cell->by_absolute : model_ends_by_absolute(cell)) ? FOUND_GONE
										  : FOUND_ENDED;
}

struct model_found model_open(const struct model *model, uint32_t id, int64_t now_ms)
{
	const struct model_cell *cell = model_now(model, id);
	struct model_found found = { .id = id, .state = FOUND_ABSENT };
	if (model_is_live(model, id, now_ms)) {
		found.state = FOUND_LIVE;
		found.lsn = cell->lsn;
		return found;
	}
	if (cell->kind == MODEL_SESSION || cell->kind == MODEL_ENDED)
		find_ended(model, cell, now_ms, &found);
	if (cell->kind == MODEL_NONE || cell->kind == MODEL_SESSION || cell->kind == MODEL_ENDED ||
		cell->stands_ms <= now_ms)
		return found;
	found.state = FOUND_GONE;
	found.lsn = cell->lsn;
	if (cell->kind == MODEL_DELETED || cell->grace_ms <= now_ms ||
		!model_is_live(model, cell->successor, now_ms) ||
		model_now(model, cell->successor)->form != cell->successor_form ||
		model_now(model, cell->successor)->number != cell->number)
		return found;
	found.state = FOUND_LIVE;
	found.by_old_id = true;
	found.can_tell = cell->can_tell;
	found.id = cell->successor;
	if (model_now(model, found.id)->lsn > found.lsn)
		found.lsn = model_now(model, found.id)->lsn;
	return found;
}

void model_rewind(struct model *model, uint64_t lsn)
{
	for (uint32_t i = 0; i < model->count; i++) {
		struct model_id *id = &model->ids[i];
		while (id->count > 0 && id->cells[id->count - 1].lsn > lsn)
			id->count--;
	}
}

void model_restart(struct model *model)
{
	for (uint32_t i = 0; i < model->count; i++) {
		struct model_cell *cell = model_top(model, i);
		if (cell == NULL || cell->kind != MODEL_SESSION)
			continue;
		assert(cell->risked || cell->end_ms <= cell->bound_ms);
		cell->end_ms = cell->bound_ms;
		cell->guessed = true;
		cell->risked = false;
	}
}

static void field_text(uint8_t name, int32_t value, struct buffer *out)
{
	buffer_format(out, "\"%c\":", 'a' + name);
	if (value < 0) {
		buffer_append_text(out, "null");
	} else if (name < MODEL_FIELDS - 1) {
		buffer_format(out, "%d", value);
	} else {
		buffer_append_text(out, "\"");
		memset(buffer_reserve(out, (size_t)value), 'x', (size_t)value);
		out->size += (size_t)value;
		buffer_append_text(out, "\"");
	}
}

void model_data_text(const struct model_data *data, struct buffer *out)
{
	buffer_append_text(out, "{");
	for (uint8_t i = 0; i < data->count; i++) {
		if (i > 0)
			buffer_append_text(out, ",");
		field_text(data->names[i], data->values[i], out);
	}
	buffer_append_text(out, "}");
}

static void drop_field(struct model_data *data, uint8_t at)
{
	for (uint8_t i = at; i + 1 < data->count; i++) {
		data->names[i] = data->names[i + 1];
		data->values[i] = data->values[i + 1];
	}
	data->count--;
}

void model_data_merge(struct model_data *data, const struct model_data *patch, bool deep)
{
	for (uint8_t i = 0; i < patch->count; i++) {
		uint8_t at = 0;
		while (at < data->count && data->names[at] != patch->names[i])
			at++;
		if (deep && patch->values[i] < 0) {
			if (at < data->count)
				drop_field(data, at);
			continue;
		}
		if (at == data->count)
			data->names[data->count++] = patch->names[i];
		data->values[at] = patch->values[i];
	}
}
