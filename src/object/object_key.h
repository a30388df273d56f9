/*
 * object_key: the store keys of objects; all of one object's lie in the shard of its id. The bytes
 * are on disk: include/holdfast/object_format.h.
 *
 *   TABLE_OBJECT [03][class][00][id]                                  -> the object's record
 *   TABLE_PART   [04][class][00][id size 2][id][01][name]             -> a schedule
 *                [04][class][00][id size 2][id][02][incarnation 4][key] -> a storage value
 *   TABLE_DUE    [05][time 8][kind 1][class][00][id size 2][id][name] -> what is due then
 *   TABLE_FAILED [06][class][00][time 8][kind 1][id size 2][id][name] -> a run given up
 *   TABLE_CLASS  [07][class]                                          -> a class; on shard 0
 *   TABLE_CRON   [08][number of the line's hash 8]      -> when it ran last; on shard 0
 *                [08]                                   -> what time it was; on each shard
 *
 * Numbers are big endian. Ids stand last or behind their size, so ids and keys are any bytes and
 * list in byte order.
 */
#ifndef OBJECT_OBJECT_KEY_H
#define OBJECT_OBJECT_KEY_H

#include "base/slice.h"
#include "store/key.h"

#include <stdint.h>

struct object_name {
	struct slice class_name; /* 1 to LIMIT_CLASS_NAME_BYTES, see object_class_name_ok */
	struct slice id;         /* 1 to LIMIT_KEY_BYTES */
};

/* Letters, digits, underscores, a letter first. */
bool object_class_name_ok(struct slice class_name);
/* Whether somebody outside of the class may call a method of this name. */
bool object_method_is_public(struct slice method);

void key_of_object(struct key *out, const struct object_name *name);
/* The first key of the class's objects; with `id` in byte order from there. */
void key_of_class_objects(struct key *out, struct slice class_name, struct slice id);
void key_of_schedule(struct key *out, const struct object_name *object, struct slice name);
/* Where the object's storage values stand, as members of a collection (collection/collection.h). */
void key_of_values(struct key *out, const struct object_name *object);
void key_of_class(struct key *out, struct slice class_name);

enum due_kind {
	DUE_ALARM = 1,
	DUE_SCHEDULE = 2, /* `name` is the schedule's */
	DUE_WAKE = 3,     /* one call sent by DO.WAKE or the configuration; `name` is the method */
	DUE_EXPIRE = 4,   /* the object's life may have ended */
	DUE_SWEEP = 5,    /* values of earlier incarnations are to be cleared away */
};

/* One entry of the index of what is due. */
struct due {
	enum due_kind kind;
	int64_t at_ms;
	struct object_name object;
	struct slice name;
};

void key_of_due(struct key *out, const struct due *due);
/* The first key of what is due at `at_ms` or later. */
void key_of_due_time(struct key *out, int64_t at_ms);
/* False for a key of another table. The slices point into the key. */
bool key_parse_due(struct slice key, struct due *out);
/* As the due key, ordered by class, then time. */
void key_of_failed(struct key *out, const struct due *due);
void key_of_class_failed(struct key *out, struct slice class_name);
bool key_parse_failed(struct slice key, struct due *out);
/* The id of a TABLE_OBJECT key of this class; false for another key. */
bool key_parse_object(struct slice key, struct slice class_name, struct slice *id);

#endif
