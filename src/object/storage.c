/*
 * storage: see storage.h. What an object is besides its values stands in one record, read when the
 * storage is opened and written when it is closed: so a change costs one write more than itself,
 * and whoever reads the record has read the object's last change.
 *
 *   storage.c       opening and closing, values, transactions
 *   storage_due.c   the alarm, schedules, the life, the sweep, and their entries in the index
 *
 * The values of an object are a collection (collection/collection.h) whose head is a part of the
 * record. What a large delete_all leaves behind is swept by and by, by the entry DUE_SWEEP. The
 * record is kept until that is done, because it knows which incarnations are taken, but it does not
 * make the object exist.
 *
 * An object whose life has ended shows an empty record: all reads follow from that. The first write
 * brings the stored record back and clears what it tells of (storage_begin).
 *
 * Threads: the shard's worker, or whoever holds the shard.
 */
#include "object/storage.h"

#include "object/packed.h"
#include "object/storage_private.h"
#include "store/damage.h"

#include <assert.h>

static void clear(struct storage *storage, bool keep_alarm);
static void check_value(struct storage *storage, struct slice key, const struct value *value);

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
		damaged("the record of an object", storage->shard, key_slice(&key));
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
	struct collection values = storage_values(storage);
	bool found = collection_get(&values, key, out);
	if (found)
		check_value(storage, key, out);
	return found;
}

void storage_put(struct storage *storage, struct slice key, const struct value *value)
{
	struct collection values = storage_values(storage);
	assert(value->type == VALUE_BYTES || value->type == VALUE_PACKED);
	if (storage->ended)
		storage_begin(storage);
	if (collection_put(&values, key, value))
		storage_begin(storage);
}

bool storage_delete(struct storage *storage, struct slice key)
{
	struct collection values = storage_values(storage);
	bool was = collection_delete(&values, key);
	if (was)
		storage_begin(storage);
	return was;
}

void storage_walk(
	struct collection_walk *walk, struct storage *storage, const struct collection_range *range)
{
	struct collection values = storage_values(storage);
	collection_walk_open(walk, &values, range);
}

bool storage_walk_next(struct storage *storage, struct collection_walk *walk, struct slice *key,
	struct value *value)
{
	bool found = collection_walk_next(walk, key, value);
	if (found)
		check_value(storage, *key, value);
	return found;
}

uint64_t storage_delete_all(struct storage *storage, bool keep_alarm)
{
	const struct object_record *record = &storage->record;
	uint64_t count = record->values.count;
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

static void clear(struct storage *storage, bool keep_alarm)
{
	struct collection values = storage_values(storage);
	if (collection_clear(&values))
		storage_file_sweep(storage);
	if (keep_alarm)
		return;
	storage_clear_due(storage);
	storage->record.created_ms = 0;
}

/* Whoever reads a packed value trusts that it is whole. Data that was not asked for is not there to
 * be looked at. */
static void check_value(struct storage *storage, struct slice key, const struct value *value)
{
	bool is_whole = value->type == VALUE_BYTES ||
		(value->type == VALUE_PACKED &&
			(value->data.data == NULL || packed_is_whole(value->data)));
	if (is_whole)
		return;
	struct key store_key;
	key_of_values(&store_key, &storage->name);
	collection_key(&store_key, storage->record.values.incarnation, key);
	damaged("a value of an object", storage->shard, key_slice(&store_key));
}

static void place_of_values(struct key *out, const void *owner)
{
	key_of_values(out, owner);
}

struct collection storage_values(struct storage *storage)
{
	return (struct collection){
		.turn = storage->turn,
		.shard = storage->shard,
		.head = &storage->record.values,
		.place = place_of_values,
		.owner = &storage->name,
	};
}
