/*
 * storage_due: what of an object falls due: its alarm, its schedules, the end of its life, the
 * sweep of earlier incarnations; and the entry each of these has in the index (TABLE_DUE).
 *
 * Where an entry stands follows from the object: alarm_due_ms, a schedule's due_ms,
 * expire_filed_ms, sweep_filed_ms. Whatever moves one of these moves the entry in the same turn, so
 * there is always exactly one. A life is the exception that makes touching cheap: its entry may
 * stand earlier than its end, and is filed anew when it falls due.
 *
 * Nothing is filed in the past: what is overdue stands at the turn's time, behind what was due
 * before.
 *
 * Threads: the shard's worker, or whoever holds the shard.
 */
#include "holdfast/object_format.h"
#include "object/objects.h"
#include "object/packed.h"
#include "object/storage_private.h"
#include "store/damage.h"

#include <assert.h>

/* A touch that is written lasts one part in so many longer. */
#define TOUCH_PARTS 16
/* Spreads LSNs over the serials of alarms; odd, so none repeats within 2^32. */
#define SERIAL_STEP 2654435761u

static void file_life(struct storage *storage, int64_t at_ms);
static struct slice schedule_encode(struct arena *arena, const struct schedule *schedule);
static void schedule_decode(
	struct storage *storage, struct slice key, struct slice bytes, struct schedule *out);
static uint32_t gather_schedules(struct storage *storage, struct schedule **out);

static int64_t not_past(const struct storage *storage, int64_t at_ms)
{
	return at_ms > storage->turn->now_ms ? at_ms : storage->turn->now_ms;
}

static void key_of_entry(struct key *out, const struct storage *storage, enum due_kind kind,
	int64_t at_ms, struct slice name)
{
	struct due due = { .kind = kind, .at_ms = at_ms, .object = storage->name, .name = name };
	key_of_due(out, &due);
}

void storage_file(struct storage *storage, enum due_kind kind, int64_t at_ms, struct slice name,
	struct slice data)
{
	struct key key;
	struct value value = { .type = VALUE_BYTES, .data = data };
	key_of_entry(&key, storage, kind, at_ms, name);
	turn_put(storage->turn, storage->shard, key_slice(&key), &value);
	objects_note_due(objects_on(storage->turn), storage->shard, at_ms);
}

void storage_unfile(struct storage *storage, enum due_kind kind, int64_t at_ms, struct slice name)
{
	struct key key;
	key_of_entry(&key, storage, kind, at_ms, name);
	turn_delete(storage->turn, storage->shard, key_slice(&key));
}

void storage_set_alarm(struct storage *storage, int64_t at_ms)
{
	storage_delete_alarm(storage);
	storage_begin(storage);
	struct object_record *record = &storage->record;
	record->alarm_ms = not_past(storage, at_ms);
	record->alarm_due_ms = record->alarm_ms;
	/* An object that ended and began again while its handler waited counts on from elsewhere.
	 */
	if (record->alarm_serial == 0)
		record->alarm_serial = SERIAL_STEP *
			(uint32_t)store_last_lsn(storage->turn->stores[storage->shard]);
	record->alarm_serial++;
	storage_file(
		storage, DUE_ALARM, record->alarm_due_ms, storage_nothing(), storage_nothing());
}

bool storage_delete_alarm(struct storage *storage)
{
	struct object_record *record = &storage->record;
	if (record->alarm_ms == 0)
		return false;
	storage_begin(storage);
	storage_unfile(storage, DUE_ALARM, record->alarm_due_ms, storage_nothing());
	record->alarm_ms = 0;
	record->alarm_due_ms = 0;
	record->alarm_tries = 0;
	return true;
}

static struct slice cut(struct slice error)
{
	return slice_of(
		error.data, error.size < LIMIT_ERROR_BYTES ? error.size : LIMIT_ERROR_BYTES);
}

struct slice storage_due_error(
	struct storage *storage, enum due_kind kind, int64_t at_ms, struct slice name)
{
	struct key key;
	struct value value;
	key_of_entry(&key, storage, kind, at_ms, name);
	if (!turn_get(storage->turn, storage->shard, key_slice(&key), &value))
		return storage_nothing();
	return arena_copy(turn_arena(storage->turn), value.data);
}

void storage_retry_alarm(
	struct storage *storage, int64_t due_ms, uint32_t tries, struct slice error)
{
	struct object_record *record = &storage->record;
	assert(record->alarm_ms != 0);
	storage_begin(storage);
	storage_unfile(storage, DUE_ALARM, record->alarm_due_ms, storage_nothing());
	record->alarm_due_ms = not_past(storage, due_ms);
	record->alarm_tries = tries;
	storage_file(storage, DUE_ALARM, record->alarm_due_ms, storage_nothing(), cut(error));
}

void storage_expire(struct storage *storage, int64_t life_ms, bool sliding)
{
	assert(life_ms > 0);
	assert(life_ms <= LIMIT_LIFE_S * 1000);
	storage_begin(storage);
	struct object_record *record = &storage->record;
	record->expire_ms = storage->turn->now_ms + life_ms;
	record->life_ms = sliding ? life_ms : 0;
	if (record->expire_filed_ms == 0 || record->expire_filed_ms > record->expire_ms)
		file_life(storage, record->expire_ms);
}

bool storage_persist(struct storage *storage)
{
	struct object_record *record = &storage->record;
	if (record->expire_ms == 0)
		return false;
	storage_begin(storage);
	storage_unfile(storage, DUE_EXPIRE, record->expire_filed_ms, storage_nothing());
	record->expire_ms = 0;
	record->expire_filed_ms = 0;
	record->life_ms = 0;
	return true;
}

void storage_touch(struct storage *storage)
{
	struct object_record *record = &storage->record;
	if (record->life_ms == 0)
		return;
	int64_t end_ms = storage->turn->now_ms + record->life_ms;
	if (record->expire_ms >= end_ms)
		return;
	/* A part more than asked for: what comes within that time need not be written. */
	storage_begin(storage);
	record->expire_ms = end_ms + record->life_ms / TOUCH_PARTS;
}

bool storage_set_schedule(struct storage *storage, const struct schedule *schedule)
{
	assert(schedule->name.size > 0);
	assert(schedule->name.size <= LIMIT_SCHEDULE_NAME_BYTES);
	if (!storage_delete_schedule(storage, schedule->name) &&
		storage->record.schedules >= LIMIT_SCHEDULES)
		return false;
	storage_begin(storage);
	struct schedule filed = *schedule;
	filed.due_ms = not_past(storage, schedule->due_ms);
	struct key key;
	struct value value = {
		.type = VALUE_PACKED,
		.data = schedule_encode(turn_arena(storage->turn), &filed),
	};
	key_of_schedule(&key, &storage->name, schedule->name);
	turn_put(storage->turn, storage->shard, key_slice(&key), &value);
	storage_file(storage, DUE_SCHEDULE, filed.due_ms, schedule->name, cut(schedule->error));
	storage->record.schedules++;
	return true;
}

bool storage_get_schedule(struct storage *storage, struct slice name, struct schedule *out)
{
	*out = (struct schedule){ 0 };
	if (storage->record.schedules == 0 || name.size == 0 ||
		name.size > LIMIT_SCHEDULE_NAME_BYTES)
		return false;
	struct key key;
	struct value value;
	key_of_schedule(&key, &storage->name, name);
	if (!turn_get(storage->turn, storage->shard, key_slice(&key), &value))
		return false;
	schedule_decode(storage, key_slice(&key), value.data, out);
	out->name = name;
	return true;
}

static void drop_schedule(struct storage *storage, const struct schedule *schedule)
{
	struct key key;
	key_of_schedule(&key, &storage->name, schedule->name);
	turn_delete(storage->turn, storage->shard, key_slice(&key));
	storage_unfile(storage, DUE_SCHEDULE, schedule->due_ms, schedule->name);
	storage->record.schedules--;
}

bool storage_delete_schedule(struct storage *storage, struct slice name)
{
	struct schedule schedule;
	if (!storage_get_schedule(storage, name, &schedule))
		return false;
	storage_begin(storage);
	drop_schedule(storage, &schedule);
	return true;
}

void storage_each_schedule(struct storage *storage, storage_schedule_fn each, void *context)
{
	struct schedule *schedules;
	uint32_t count = gather_schedules(storage, &schedules);
	for (uint32_t i = 0; i < count; i++)
		if (!each(context, &schedules[i]))
			return;
}

void storage_clear_due(struct storage *storage)
{
	struct schedule *schedules;
	uint32_t count = gather_schedules(storage, &schedules);
	for (uint32_t i = 0; i < count; i++)
		drop_schedule(storage, &schedules[i]);
	storage_delete_alarm(storage);
	storage_persist(storage);
}

bool storage_end_life(struct storage *storage, int64_t filed_ms)
{
	const struct object_record *record = storage->ended ? &storage->stored : &storage->record;
	if (record->expire_ms == 0 || record->expire_filed_ms != filed_ms) {
		storage_unfile(storage, DUE_EXPIRE, filed_ms, storage_nothing());
		return true;
	}
	bool goes_on = !storage->ended;
	storage_begin(storage);
	if (goes_on)
		file_life(storage, storage->record.expire_ms);
	return true;
}

void storage_file_sweep(struct storage *storage)
{
	struct object_record *record = &storage->record;
	if (record->sweep_filed_ms != 0)
		return;
	record->sweep_filed_ms = storage->turn->now_ms;
	storage_file(
		storage, DUE_SWEEP, record->sweep_filed_ms, storage_nothing(), storage_nothing());
}

bool storage_sweep(struct storage *storage)
{
	if (storage->ended)
		storage_begin(storage);
	struct object_record *record = &storage->record;
	if (record->sweep_filed_ms == 0)
		return true;
	struct collection values = storage_values(storage);
	struct key entry;
	struct value value;
	struct slice from = storage_nothing(), last;
	key_of_entry(&entry, storage, DUE_SWEEP, record->sweep_filed_ms, storage_nothing());
	if (turn_get(storage->turn, storage->shard, key_slice(&entry), &value))
		from = value.data;
	if (!collection_sweep(&values, from, &last)) {
		storage_file(storage, DUE_SWEEP, record->sweep_filed_ms, storage_nothing(), last);
		return false;
	}
	storage_begin(storage);
	storage_unfile(storage, DUE_SWEEP, record->sweep_filed_ms, storage_nothing());
	record->sweep_filed_ms = 0;
	return true;
}

void storage_sweep_now(struct storage *storage, int64_t filed_ms)
{
	struct key key;
	struct value value;
	struct turn *turn = storage->turn;
	key_of_entry(&key, storage, DUE_SWEEP, filed_ms, storage_nothing());
	if (!turn_get(turn, storage->shard, key_slice(&key), &value))
		return;
	if (storage->ended)
		storage_begin(storage);
	if (storage->record.sweep_filed_ms != filed_ms)
		return;
	struct slice from = arena_copy(turn_arena(turn), value.data);
	storage_begin(storage);
	storage_unfile(storage, DUE_SWEEP, filed_ms, storage_nothing());
	storage->record.sweep_filed_ms = turn->now_ms;
	storage_file(storage, DUE_SWEEP, turn->now_ms, storage_nothing(), from);
}

static void file_life(struct storage *storage, int64_t at_ms)
{
	struct object_record *record = &storage->record;
	if (record->expire_filed_ms != 0)
		storage_unfile(storage, DUE_EXPIRE, record->expire_filed_ms, storage_nothing());
	record->expire_filed_ms = at_ms;
	storage_file(storage, DUE_EXPIRE, at_ms, storage_nothing(), storage_nothing());
}

static struct slice schedule_encode(struct arena *arena, const struct schedule *schedule)
{
	struct buffer packed;
	buffer_init(&packed);
	packed_add_table(&packed, OBJECT_FORMAT_SCHEDULE_ITEMS, 0);
	packed_add_string(&packed, schedule->cron);
	packed_add_integer(&packed, schedule->every_ms);
	packed_add_string(&packed, schedule->method);
	packed_add_string(&packed, schedule->argument);
	packed_add_integer(&packed, schedule->next_ms);
	packed_add_integer(&packed, schedule->due_ms);
	packed_add_integer(&packed, schedule->tries);
	struct slice bytes = arena_copy(arena, buffer_slice(&packed));
	buffer_fini(&packed);
	return bytes;
}

static bool take_bytes(struct slice *rest, struct slice *out)
{
	struct packed_item item;
	if (!packed_take(rest, &item) || item.kind != PACKED_STRING)
		return false;
	*out = item.bytes;
	return true;
}

static bool take_integer(struct slice *rest, int64_t *out)
{
	struct packed_item item;
	if (!packed_take(rest, &item) || item.kind != PACKED_INTEGER || item.integer < 0)
		return false;
	*out = item.integer;
	return true;
}

/* Its key is for the word about damage alone. */
static void schedule_decode(
	struct storage *storage, struct slice key, struct slice bytes, struct schedule *out)
{
	struct packed_item table;
	int64_t tries = 0;
	bool whole = packed_take(&bytes, &table) && table.kind == PACKED_TABLE &&
		table.items == OBJECT_FORMAT_SCHEDULE_ITEMS && table.pairs == 0 &&
		take_bytes(&bytes, &out->cron) && take_integer(&bytes, &out->every_ms) &&
		take_bytes(&bytes, &out->method) && take_bytes(&bytes, &out->argument) &&
		take_integer(&bytes, &out->next_ms) && take_integer(&bytes, &out->due_ms) &&
		take_integer(&bytes, &tries) && bytes.size == 0 && tries <= UINT32_MAX &&
		(out->cron.size > 0 || out->every_ms > 0) &&
		(out->argument.size == 0 || packed_is_whole(out->argument));
	if (!whole)
		damaged("a schedule of an object", storage->shard, key);
	out->tries = (uint32_t)tries;
}

/* In the arena, in byte order of the names. */
static uint32_t gather_schedules(struct storage *storage, struct schedule **out)
{
	struct turn *turn = storage->turn;
	struct arena *arena = turn_arena(turn);
	uint32_t most = storage->record.schedules, count = 0;
	*out = NULL;
	if (most == 0)
		return 0;
	struct schedule *schedules = arena_alloc(arena, most * sizeof(*schedules));
	struct key start, end;
	key_of_schedule(&start, &storage->name, storage_nothing());
	end = start;
	key_prefix_end(&end);
	struct cursor cursor;
	struct slice key;
	struct value value;
	cursor_open(&cursor, turn->stores[storage->shard], &turn->changes, arena, key_slice(&start),
		key_slice(&end), false);
	bool is_over = true;
	while (cursor_next(&cursor, &key, &value)) {
		is_over = count < most;
		if (!is_over)
			break;
		struct slice name = slice_of(key.data + start.size, key.size - start.size);
		if (name.size == 0 || name.size > LIMIT_SCHEDULE_NAME_BYTES)
			damaged("the key of a schedule", storage->shard, key);
		struct schedule *schedule = &schedules[count++];
		schedule_decode(storage, key, value.data, schedule);
		schedule->name = arena_copy(arena, name);
	}
	cursor_close(&cursor);
	/* The record says how many there are. */
	if (!is_over || count < most) {
		struct key record;
		key_of_object(&record, &storage->name);
		damaged("the record of an object", storage->shard, key_slice(&record));
	}
	*out = schedules;
	return count;
}
