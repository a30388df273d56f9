/*
 * storage: see storage.h. What an object is besides its values stands in one record, read when the
 * storage is opened and written when it is closed: so a change costs one write more than itself,
 * and whoever reads the record has read the object's last change.
 *
 *   storage.c       opening and closing, values, transactions
 *   storage_list.c  values in order
 *   storage_due.c   the alarm, schedules, the life, the sweep, and their entries in the index
 *
 * The values of an object stand under its incarnation. A delete_all of many only begins the next
 * incarnation; the values of earlier ones can no longer be reached and are swept by and by, by the
 * entry DUE_SWEEP. The record is kept until that is done, because it knows which incarnations are
 * taken, but it does not make the object exist.
 *
 * An object whose life has ended shows an empty record: all reads follow from that. The first write
 * brings the stored record back and clears what it tells of (storage_begin).
 *
 * Threads: the shard's worker, or whoever holds the shard.
 */
#include "object/storage.h"

#include "base/fault.h"
#include "object/storage_private.h"

#include <assert.h>

/* Values that a delete_all deletes one by one; each is an effect of the turn's record in the log.
 */
#define DELETE_EACH_MAX 1000

static bool is_same(struct storage *storage, struct slice store_key, const struct value *old,
	const struct value *value);
static void delete_each(struct storage *storage);
static void clear(struct storage *storage, bool keep_alarm);

void storage_open(struct storage *storage, struct turn *turn, const struct object_name *name)
{
	*storage = (struct storage){
		.turn = turn,
		.name = *name,
		.shard = turn_shard_of(turn, name->id),
	};
	struct key key;
	struct value value;
	key_of_object(&key, name);
	storage->is_stored = turn_get(turn, storage->shard, key_slice(&key), &value);
	if (!storage->is_stored)
		return;
	if (!record_decode(value.data, &storage->stored))
		fault("the record of an object of class %.*s is damaged",
			(int)name->class_name.size, name->class_name.data);
	int64_t expire_ms = storage->stored.expire_ms;
	storage->ended = expire_ms != 0 && expire_ms <= turn->now_ms;
	if (!storage->ended)
		storage->record = storage->stored;
}

void storage_close(struct storage *storage)
{
	if (!storage->changed)
		return;
	struct object_record *record = &storage->record;
	record->changed_ms = storage->turn->now_ms;
	if (!record_exists(record)) {
		storage_persist(storage);
		record->created_ms = 0;
	} else if (record->created_ms == 0) {
		record->created_ms = storage->turn->now_ms;
	}
	storage->changed = false;
	struct key key;
	key_of_object(&key, &storage->name);
	if (!record_exists(record) && record->sweep_filed_ms == 0) {
		if (storage->is_stored)
			turn_delete(storage->turn, storage->shard, key_slice(&key));
		storage->is_stored = false;
		return;
	}
	char bytes[RECORD_BYTES_MAX];
	struct slice encoded = slice_of(bytes, record_encode(record, bytes));
	struct value value = {
		.type = VALUE_OBJECT,
		.data = arena_copy(turn_arena(storage->turn), encoded),
	};
	turn_put(storage->turn, storage->shard, key_slice(&key), &value);
	storage->is_stored = true;
}

bool storage_get(struct storage *storage, struct slice key, struct value *out)
{
	*out = (struct value){ 0 };
	if (storage->record.keys == 0)
		return false;
	struct key store_key;
	key_of_storage(&store_key, &storage->name, storage->record.incarnation, key);
	return turn_get(storage->turn, storage->shard, key_slice(&store_key), out);
}

/* The value without its data, for what counts it. */
static bool look(struct storage *storage, struct slice store_key, struct value *out)
{
	*out = (struct value){ 0 };
	return storage->record.keys > 0 && turn_look(storage->turn, storage->shard, store_key, out);
}

void storage_put(struct storage *storage, struct slice key, const struct value *value)
{
	assert(key.size > 0 && key.size <= LIMIT_KEY_BYTES);
	assert(value->type == VALUE_BYTES || value->type == VALUE_PACKED);
	if (storage->ended)
		storage_begin(storage);
	struct key store_key;
	struct value old;
	struct object_record *record = &storage->record;
	key_of_storage(&store_key, &storage->name, record->incarnation, key);
	bool replaces = look(storage, key_slice(&store_key), &old);
	if (replaces && is_same(storage, key_slice(&store_key), &old, value))
		return;
	storage_begin(storage);
	if (replaces) {
		record->bytes -= old.data.size;
	} else {
		record->keys++;
		record->bytes += key.size;
	}
	record->bytes += value->data.size;
	struct value put = { .type = value->type, .data = value->data };
	turn_put(storage->turn, storage->shard, key_slice(&store_key), &put);
}

bool storage_delete(struct storage *storage, struct slice key)
{
	assert(key.size > 0 && key.size <= LIMIT_KEY_BYTES);
	struct key store_key;
	struct value old;
	key_of_storage(&store_key, &storage->name, storage->record.incarnation, key);
	if (!look(storage, key_slice(&store_key), &old))
		return false;
	storage_begin(storage);
	storage->record.keys--;
	storage->record.bytes -= key.size + old.data.size;
	turn_delete(storage->turn, storage->shard, key_slice(&store_key));
	return true;
}

uint64_t storage_delete_all(struct storage *storage, bool keep_alarm)
{
	const struct object_record *record = &storage->record;
	uint64_t count = record->keys;
	bool holds_more = record_exists(record) || record->expire_ms != 0;
	if (storage->ended) {
		storage_begin(storage);
	} else if (keep_alarm ? count > 0 : holds_more) {
		storage_begin(storage);
		clear(storage, keep_alarm);
	}
	return count;
}

void storage_begin(struct storage *storage)
{
	storage->changed = true;
	if (!storage->ended)
		return;
	storage->ended = false;
	storage->record = storage->stored;
	clear(storage, false);
}

void storage_save(struct storage *storage, struct storage_mark *out)
{
	*out = (struct storage_mark){
		.changes = changes_save(&storage->turn->changes),
		.record = storage->record,
		.ended = storage->ended,
		.changed = storage->changed,
	};
}

void storage_restore(struct storage *storage, const struct storage_mark *mark)
{
	changes_restore(&storage->turn->changes, &mark->changes);
	storage->record = mark->record;
	storage->ended = mark->ended;
	storage->changed = mark->changed;
}

/* Whether `value` is what the key holds. A large value is only assembled when its size could be the
 * same. */
static bool is_same(struct storage *storage, struct slice store_key, const struct value *old,
	const struct value *value)
{
	if (old->type != value->type || old->data.size != value->data.size)
		return false;
	if (old->data.data)
		return slice_equal(old->data, value->data);
	struct value found;
	turn_get(storage->turn, storage->shard, store_key, &found);
	return found.data.data && slice_equal(found.data, value->data);
}

static void clear(struct storage *storage, bool keep_alarm)
{
	struct object_record *record = &storage->record;
	if (record->keys > DELETE_EACH_MAX)
		storage_next_incarnation(storage);
	else
		delete_each(storage);
	record->keys = 0;
	record->bytes = 0;
	if (keep_alarm)
		return;
	storage_clear_due(storage);
	record->created_ms = 0;
}

static void delete_each(struct storage *storage)
{
	struct slice keys[DELETE_EACH_MAX];
	size_t count = 0;
	struct storage_list list;
	struct slice key;
	struct value value;
	storage_list_open(&list, storage, &(struct storage_range){ .without_data = true });
	while (count < DELETE_EACH_MAX && storage_list_next(&list, &key, &value))
		keys[count++] = arena_copy(turn_arena(storage->turn), key);
	storage_list_close(&list);
	for (size_t i = 0; i < count; i++) {
		struct key store_key;
		key_of_storage(&store_key, &storage->name, storage->record.incarnation, keys[i]);
		turn_delete(storage->turn, storage->shard, key_slice(&store_key));
	}
}
