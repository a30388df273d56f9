/*
 * object_check: see object_check.h. The objects are read through storage, the index and the records
 * as they stand in the store.
 */
#include "sim/object_check.h"

#include "holdfast/object_format.h"
#include "object/packed.h"
#include "object/storage.h"
#include "sim/object_model.h"
#include "sim/object_script.h"
#include "sim/object_watch.h"

#include <stdio.h>
#include <stdlib.h>

static void run_check(struct turn *turn);

const struct command check_command = {
	.name = "check everything", .route = ROUTE_ALL, .run = run_check
};

struct check {
	struct turn *turn;
	struct model *model;
	struct storage storages[MODEL_OBJECTS];
	uint32_t entries; /* of the index, wakes not counted */
	uint32_t wakes[MODEL_OBJECTS];
};

/* A value as DO.GET shows it; empty when there is none. */
static void show(struct storage *storage, const char *key, struct buffer *out)
{
	struct value value;
	out->size = 0;
	if (storage_get(storage, slice_text(key), &value)) {
		if (value.type == VALUE_BYTES)
			buffer_append(out, value.data.data, value.data.size);
		else
			packed_show_value(&value, out);
	}
	buffer_append(out, "", 1);
	out->size--;
}

static void check_number(
	uint32_t object, struct storage *storage, const char *key, int64_t expected)
{
	struct buffer shown;
	buffer_init(&shown);
	show(storage, key, &shown);
	int64_t number = strtoll(shown.data, NULL, 10);
	if (number != expected)
		wrong("o%u: %s is %lld, the model has %lld", object, key, (long long)number,
			(long long)expected);
	buffer_fini(&shown);
}

static void check_tokens(uint32_t object, struct storage *storage, const struct model_state *state)
{
	struct buffer shown;
	uint64_t chain = 0;
	buffer_init(&shown);
	for (int64_t i = 1; i <= state->version; i++) {
		char key[24];
		snprintf(key, sizeof(key), "t%lld", (long long)i);
		show(storage, key, &shown);
		chain = model_chain(chain, buffer_slice(&shown));
	}
	if (chain != state->chain)
		wrong("o%u: its %lld tokens are not those that were written", object,
			(long long)state->version);
	buffer_fini(&shown);
}

static void check_alarm(
	uint32_t object, const struct object_record *record, const struct model_alarm *alarm)
{
	if (record->alarm_ms != alarm->at_ms || (alarm->set && record->alarm_tries != alarm->tries))
		wrong("o%u: the alarm is for %lld, tried %u times; the model has %lld and %u",
			object, (long long)record->alarm_ms, record->alarm_tries,
			(long long)alarm->at_ms, alarm->tries);
	if (alarm->set &&
		(record->alarm_due_ms < alarm->due_from_ms ||
			record->alarm_due_ms > alarm->due_to_ms))
		wrong("o%u: the alarm is due at %lld, the model has %lld to %lld", object,
			(long long)record->alarm_due_ms, (long long)alarm->due_from_ms,
			(long long)alarm->due_to_ms);
}

static void check_schedules(
	uint32_t object, struct storage *storage, const struct model_state *state)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < MODEL_SCHEDULES; i++) {
		const struct model_schedule *expected = &state->schedules[i];
		struct schedule schedule;
		char name[4];
		snprintf(name, sizeof(name), "k%u", i);
		bool set = storage_get_schedule(storage, slice_text(name), &schedule);
		if (set != expected->set)
			wrong("o%u: schedule %s is there, or not: %d", object, name, set);
		count += set;
		if (!set)
			continue;
		bool is_next = expected->or_next_ms && schedule.next_ms == expected->or_next_ms &&
			schedule.tries == 0 && schedule.due_ms == schedule.next_ms;
		bool is_this = schedule.next_ms == expected->next_ms &&
			schedule.tries == expected->tries &&
			schedule.due_ms >= expected->due_from_ms &&
			schedule.due_ms <= expected->due_to_ms;
		if (!is_next && !is_this)
			wrong("o%u: schedule %s is for %lld, due at %lld, tried %u times; the "
			      "model has %lld, %lld to %lld, %u",
				object, name, (long long)schedule.next_ms,
				(long long)schedule.due_ms, schedule.tries,
				(long long)expected->next_ms, (long long)expected->due_from_ms,
				(long long)expected->due_to_ms, expected->tries);
	}
	if (storage->record.schedules != count)
		wrong("o%u: its record counts %u schedules, not %u", object,
			storage->record.schedules, count);
}

static void check_object(struct check *check, uint32_t object)
{
	struct storage *storage = &check->storages[object];
	char id[8];
	snprintf(id, sizeof(id), "o%u", object);
	struct object_name name = {
		slice_text(script_classes[object % 2]),
		arena_copy(turn_arena(check->turn), slice_text(id)),
	};
	storage_open(storage, check->turn, &name);
	struct model_state state = model_now(check->model, object, 0, check->turn->now_ms);
	const struct object_record *record = &storage->record;
	check_number(object, storage, "v", state.version);
	check_number(object, storage, "w", state.version);
	check_number(object, storage, "o", state.beside);
	check_number(object, storage, "b1", state.bulk ? 1 : 0);
	check_tokens(object, storage, &state);
	if (record->values.count != model_keys(&state))
		wrong("o%u: its record counts %llu keys, not %llu", object,
			(unsigned long long)record->values.count,
			(unsigned long long)model_keys(&state));
	check_alarm(object, record, &state.alarm);
	check_schedules(object, storage, &state);
	if (record->expire_ms != state.expire_ms || record->life_ms != state.life_ms)
		wrong("o%u: its life ends at %lld, the model has %lld", object,
			(long long)record->expire_ms, (long long)state.expire_ms);
}

/* --- the index -------------------------------------------------------------------------------- */

/* As it stands in the store, ended or not. */
static const struct object_record *stored_record(const struct storage *storage)
{
	static const struct object_record none;
	return storage->is_stored ? &storage->stored : &none;
}

static bool is_claimed(struct check *check, uint32_t object, const struct due *due)
{
	struct storage *storage = &check->storages[object];
	const struct object_record *record = stored_record(storage);
	struct model_state state = model_now(check->model, object, 0, check->turn->now_ms);
	struct schedule schedule;
	switch (due->kind) {
	case DUE_ALARM:
		return record->alarm_ms != 0 && record->alarm_due_ms == due->at_ms;
	case DUE_SCHEDULE:
		return storage->ended ||
			(storage_get_schedule(storage, due->name, &schedule) &&
				schedule.due_ms == due->at_ms);
	case DUE_EXPIRE:
		return record->expire_ms != 0 && record->expire_filed_ms == due->at_ms &&
			due->at_ms <= record->expire_ms;
	case DUE_SWEEP:
		return record->sweep_filed_ms == due->at_ms;
	case DUE_WAKE:
		for (uint32_t i = 0; i < state.wake_count; i++)
			if (state.wakes[i].at_ms == due->at_ms)
				return true;
	}
	return false;
}

static void check_entry(struct check *check, struct slice key)
{
	struct due due;
	if (!key_parse_due(key, &due))
		wrong("the index has an entry that cannot be read");
	uint32_t object = watch_object(due.object.id);
	if (!is_claimed(check, object, &due))
		wrong("o%u: the index has an entry of kind %d for %lld that nothing claims", object,
			due.kind, (long long)due.at_ms);
	if (due.kind == DUE_WAKE)
		check->wakes[object]++;
	else if (due.kind == DUE_EXPIRE || due.kind == DUE_SWEEP || !check->storages[object].ended)
		check->entries++;
}

static void check_index(struct check *check, uint16_t shard)
{
	static const char start[] = { TABLE_DUE }, end[] = { TABLE_DUE + 1 };
	struct cursor cursor;
	struct slice key;
	struct value value;
	cursor_open(&cursor, check->turn->stores[shard], NULL, turn_arena(check->turn),
		slice_of(start, 1), slice_of(end, 1), false);
	while (cursor_next(&cursor, &key, &value))
		check_entry(check, key);
	cursor_close(&cursor);
}

/* What else was due of an object that has ended may have been taken out already. */
static uint32_t entries_wanted(const struct check *check)
{
	uint32_t wanted = 0;
	for (uint32_t i = 0; i < MODEL_OBJECTS; i++) {
		const struct object_record *record = stored_record(&check->storages[i]);
		wanted += (record->expire_ms != 0) + (record->sweep_filed_ms != 0);
		if (!check->storages[i].ended)
			wanted += record->schedules + (record->alarm_ms != 0);
	}
	return wanted;
}

/* A call sent to an object that was away when it was due is dropped. */
static void check_wakes(struct check *check, uint32_t object)
{
	struct model_state state = model_now(check->model, object, 0, check->turn->now_ms);
	uint32_t least = 0;
	for (uint32_t i = 0; i < state.wake_count; i++)
		least += !state.wakes[i].may_go;
	if (check->wakes[object] < least)
		wrong("o%u: %u wakes are in the index, of %u", object, check->wakes[object], least);
}

static void run_check(struct turn *turn)
{
	struct check check = { .turn = turn, .model = turn->state };
	for (uint32_t object = 0; object < MODEL_OBJECTS; object++)
		check_object(&check, object);
	for (uint16_t shard = 0; shard < turn->shard_total; shard++)
		check_index(&check, shard);
	if (check.entries != entries_wanted(&check))
		wrong("the index has %u entries, the records tell of %u", check.entries,
			entries_wanted(&check));
	for (uint32_t object = 0; object < MODEL_OBJECTS; object++)
		check_wakes(&check, object);
}
