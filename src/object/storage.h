/*
 * storage: one object's durable state within one turn: values by key, the alarm, schedules, its
 * life. Opened at the turn's start, closed at its end, when the object's record is written if
 * anything changed. All writes are the turn's changes: whole or not at all.
 *
 *   storage_open -> get, put, list, set_alarm, ... -> storage_close
 *
 * An object whose life has ended is as good as absent for reads; the first write clears it away.
 * The index of what is due is kept in step here: each alarm, schedule and life has exactly one
 * entry.
 *
 * Threads: the shard's worker, or whoever holds the shard.
 */
#ifndef OBJECT_STORAGE_H
#define OBJECT_STORAGE_H

#include "collection/collection.h"
#include "object/object_key.h"
#include "object/record.h"
#include "request/turn.h"

struct storage {
	struct turn *turn;
	struct object_name name;
	uint16_t shard;
	struct object_record record; /* as of now; zero when the object does not exist */
	/* storage.c's */
	struct object_record stored; /* as the store has it, ended or not */
	bool is_stored;
	bool ended; /* its life is over, and nothing has been written since */
	bool changed;
};

/* The name is borrowed until storage_close. */
void storage_open(struct storage *storage, struct turn *turn, const struct object_name *name);
/* Writes or deletes the record when something changed. Not after a failed turn. */
void storage_close(struct storage *storage);

/* Values. Keys are 1 to LIMIT_KEY_BYTES long (the caller has checked). Types are VALUE_BYTES and
 * VALUE_PACKED; expire_ms is not used. */
bool storage_get(struct storage *storage, struct slice key, struct value *out);
/* The value's data is borrowed until the turn has been committed. Putting what is there already
 * writes nothing. */
void storage_put(struct storage *storage, struct slice key, const struct value *value);
/* False when there was none. */
bool storage_delete(struct storage *storage, struct slice key);
/* Alarm, schedules and life go too unless `keep_alarm`. Returns how many values. Many are not
 * deleted one by one: a new incarnation begins and the old is swept bit by bit. */
uint64_t storage_delete_all(struct storage *storage, bool keep_alarm);

/* Opens a walk over keys and values; but for storage_walk_next the rest is collection_walk's. */
void storage_walk(struct collection_walk *walk, struct storage *storage,
	const struct collection_range *range);
bool storage_walk_next(struct storage *storage, struct collection_walk *walk, struct slice *key,
	struct value *value);

/* The alarm. A time of the past is now. */
void storage_set_alarm(struct storage *storage, int64_t at_ms);
/* False when there was none. */
bool storage_delete_alarm(struct storage *storage);
/* The same alarm runs again at `due_ms`; its scheduled time stays, `tries` have failed, the last
 * with this error; empty: with none that is known. */
void storage_retry_alarm(
	struct storage *storage, int64_t due_ms, uint32_t tries, struct slice error);
/* The error that the entry of an alarm or schedule waits with; empty: none. */
struct slice storage_due_error(
	struct storage *storage, enum due_kind kind, int64_t at_ms, struct slice name);

/* The life: the object ends as a whole `life_ms` from now, later with each touch when `sliding`. */
void storage_expire(struct storage *storage, int64_t life_ms, bool sliding);
/* False when it had no end. */
bool storage_persist(struct storage *storage);
/* Somebody used it: a sliding life begins anew. It lasts up to a sixteenth longer, so that not
 * every touch is written; never shorter. */
void storage_touch(struct storage *storage);

/* Recurring calls. Slices are borrowed until the turn has been committed when setting, and valid
 * until it ends when getting. */
struct schedule {
	struct slice name; /* 1 to LIMIT_SCHEDULE_NAME_BYTES */
	struct slice cron; /* a cron line; empty: every_ms */
	int64_t every_ms;
	struct slice method;
	struct slice argument; /* packed; empty: none */
	int64_t next_ms;       /* the time it is for */
	int64_t due_ms;     /* when it runs: next_ms, or a retry's time; its entry in the index */
	uint32_t tries;     /* failed so far for next_ms */
	struct slice error; /* of the last run, when it failed; of its entry, so not there when
			       getting */
};
/* Creates or replaces; the caller has checked names and bounds. False when the object has
 * LIMIT_SCHEDULES already. */
bool storage_set_schedule(struct storage *storage, const struct schedule *schedule);
bool storage_get_schedule(struct storage *storage, struct slice name, struct schedule *out);
bool storage_delete_schedule(struct storage *storage, struct slice name);
/* In byte order of the names, as of the call; stops when `each` returns false. */
typedef bool (*storage_schedule_fn)(void *context, const struct schedule *schedule);
void storage_each_schedule(struct storage *storage, storage_schedule_fn each, void *context);

/* For the entries DUE_EXPIRE and DUE_SWEEP: ends the object or files the entry anew; clears away
 * some values of earlier incarnations. Both are done with when they return true. They see to their
 * entries themselves: the caller takes none out. */
bool storage_end_life(struct storage *storage, int64_t filed_ms);
bool storage_sweep(struct storage *storage);
/* Files the sweep of this entry for now. */
void storage_sweep_now(struct storage *storage, int64_t filed_ms);

/* What a transaction returns to: everything since is forgotten. */
struct storage_mark {
	struct changes_mark changes;
	struct object_record record;
	bool ended, changed;
};
void storage_save(struct storage *storage, struct storage_mark *out);
void storage_restore(struct storage *storage, const struct storage_mark *mark);

#endif
