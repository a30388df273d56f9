/*
 * session_check: see session_check.h. The stores are read directly, layer over layer, as a turn
 * would read them, and every key of sessions is looked at: what is there must be the model's, what
 * the model has must be there, the index of users must agree with the records both ways, and each
 * shard's count with their number.
 */
#include "sim/session_check.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

struct check {
	struct client_host *host;
	int64_t now_ms;
	bool settled;
	uint16_t shard;
	uint64_t records;
	uint64_t counted;
	uint8_t *seen;    /* by id: a record stands */
	uint8_t *indexed; /* by id: an entry of its user's index stands */
};

static const char *text_of(const struct check *check, uint32_t id)
{
	static char text[64];
	struct slice name = check->host->model->ids[id].text;
	snprintf(text, sizeof(text), "%.*s", (int)name.size, name.data);
	return text;
}

static uint32_t find(const struct check *check, const struct session_name *name)
{
	uint32_t id = model_find_name(check->host->model, name);
	if (id == MODEL_NO_ID)
		wrong("a key of an id that nobody knows");
	struct slice text = check->host->model->ids[id].text;
	if (hash_shard_of(hash_slot(text), check->host->engine->shard_count) != check->shard)
		wrong("%s lies on shard %u", text_of(check, id), check->shard);
	return id;
}

static void check_session(const struct check *check, uint32_t id, const struct model_cell *cell,
	const struct session_record *record, const struct value *value)
{
	struct buffer data;
	buffer_init(&data);
	model_data_text(&cell->data, &data);
	bool same = record->version == cell->version && record->created_ms == cell->created_ms &&
		record->updated_ms == cell->updated_ms && record->ttl_ms == cell->ttl_ms &&
		record->absolute_ms == cell->absolute_ms && record->bound_ms == cell->bound_ms &&
		value->expire_ms == cell->written_ms &&
		slice_equal(record->user, model_user(cell->user)) &&
		slice_equal(record->data, buffer_slice(&data)) &&
		record->serial == client_lease_of(check->host, cell->number, 0)->serial;
	buffer_fini(&data);
	if (!same)
		wrong("%s is stored as version %llu to %lld bound %lld, not %llu to %lld bound %lld",
			text_of(check, id), (unsigned long long)record->version,
			(long long)value->expire_ms, (long long)record->bound_ms,
			(unsigned long long)cell->version, (long long)cell->written_ms,
			(long long)cell->bound_ms);
	if (check->settled && cell->end_ms <= check->now_ms)
		wrong("%s has been over for %lld ms and stands", text_of(check, id),
			(long long)(check->now_ms - cell->end_ms));
}

static void check_trace(const struct check *check, uint32_t id, const struct model_cell *cell,
	const struct session_record *record, const struct value *value)
{
	struct model *model = check->host->model;
	if (value->expire_ms != cell->stands_ms)
		wrong("what is left of %s stands to %lld, not %lld", text_of(check, id),
			(long long)value->expire_ms, (long long)cell->stands_ms);
	if (check->settled && cell->stands_ms <= check->now_ms)
		wrong("what is left of %s stays for ever", text_of(check, id));
	if (cell->kind == MODEL_ENDED && record->by_absolute != cell->by_absolute)
		wrong("%s is noted as ended by another life", text_of(check, id));
	if (cell->kind == MODEL_ROTATED &&
		(record->grace_end_ms != cell->grace_ms ||
			model_find_name(model, &record->successor) != cell->successor))
		wrong("%s has another successor, or grace", text_of(check, id));
}

static void check_record(struct check *check, struct slice key, const struct value *value)
{
	static const uint8_t kinds[] = { [MODEL_NONE] = 0,
		[MODEL_SESSION] = SESSION_FORMAT_KIND_SESSION,
		[MODEL_ROTATED] = SESSION_FORMAT_KIND_ROTATED,
		[MODEL_DELETED] = SESSION_FORMAT_KIND_DELETED,
		[MODEL_ENDED] = SESSION_FORMAT_KIND_ENDED };
	struct session_name name;
	struct session_record record;
	uint64_t hash;
	if (!key_parse_session(key, &hash, &name) || !session_record_decode(value->data, &record))
		wrong("a record is damaged");
	uint32_t id = find(check, &name);
	const struct model_cell *cell = model_now(check->host->model, id);
	if (kinds[cell->kind] != record.kind || cell->form != name.form || check->seen[id])
		wrong("%s is stored as kind %u in form %u, not %u in %u", text_of(check, id),
			record.kind, name.form, kinds[cell->kind], cell->form);
	check->seen[id] = 1;
	if (cell->kind == MODEL_SESSION) {
		check->records++;
		check_session(check, id, cell, &record, value);
	} else {
		check_trace(check, id, cell, &record, value);
	}
}

static void check_entry(struct check *check, struct slice key)
{
	size_t user_size = (size_t)(uint8_t)key.data[1] << 8 | (uint8_t)key.data[2];
	struct slice user = slice_of(key.data + 3, user_size);
	struct session_name name;
	if (!key_parse_user_session(key, 3 + user_size, &name))
		wrong("a key of the index is damaged");
	uint32_t id = find(check, &name);
	const struct model_cell *cell = model_now(check->host->model, id);
	if (!check->seen[id] || cell->kind != MODEL_SESSION || cell->form != name.form ||
		check->indexed[id] || cell->user == 0 || !slice_equal(user, model_user(cell->user)))
		wrong("the index has %s as %.*s's", text_of(check, id), (int)user.size, user.data);
	check->indexed[id] = 1;
}

static void check_shard(struct check *check, struct arena *arena)
{
	static const char first[] = { TABLE_SESSION }, last[] = { TABLE_SESSION_COUNT + 1 };
	struct cursor cursor;
	struct slice key;
	struct value value;
	check->records = check->counted = 0;
	cursor_open(&cursor, check->host->engine->stores[check->shard], NULL, arena,
		slice_of(first, 1), slice_of(last, 1), false);
	while (cursor_next(&cursor, &key, &value)) {
		if (key.data[0] == TABLE_SESSION) {
			check_record(check, key, &value);
		} else if (key.data[0] == TABLE_SESSION_USER) {
			check_entry(check, key);
		} else {
			memcpy(&check->counted, value.data.data, sizeof(check->counted));
			check->counted = le64toh(check->counted);
		}
	}
	cursor_close(&cursor);
	if (check->counted != check->records)
		wrong("shard %u counts %llu sessions and has %llu", check->shard,
			(unsigned long long)check->counted, (unsigned long long)check->records);
}

void session_check(struct client_host *host, int64_t now_ms, bool settled)
{
	struct check check = { .host = host, .now_ms = now_ms, .settled = settled };
	struct model *model = host->model;
	struct arena arena;
	arena_init(&arena, 1 << 14);
	check.seen = arena_alloc(&arena, model->count + 1);
	check.indexed = arena_alloc(&arena, model->count + 1);
	memset(check.seen, 0, model->count + 1);
	memset(check.indexed, 0, model->count + 1);
	for (check.shard = 0; check.shard < host->engine->shard_count; check.shard++)
		check_shard(&check, &arena);
	for (uint32_t i = 0; i < model->count; i++) {
		const struct model_cell *cell = model_now(model, i);
		bool stands = cell->kind != MODEL_NONE && cell->kind != MODEL_SESSION &&
			cell->stands_ms > now_ms;
		if ((stands || model_is_live(model, i, now_ms)) && !check.seen[i])
			wrong("%s is lost", text_of(&check, i));
		if (check.seen[i] && cell->kind == MODEL_SESSION && cell->user && !check.indexed[i])
			wrong("the index of %.*s lacks %s", (int)model_user(cell->user).size,
				model_user(cell->user).data, text_of(&check, i));
	}
	arena_fini(&arena);
}
