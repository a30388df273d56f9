/*
 * record: what is known of an object besides its values. It is written with every change of the
 * object, so reading it makes a reply wait for all of them: what an object holds in memory is never
 * shown before it is on disk.
 */
#ifndef OBJECT_RECORD_H
#define OBJECT_RECORD_H

#include "base/buffer.h"
#include "base/slice.h"
#include "collection/collection.h"

#include <stdbool.h>
#include <stdint.h>

struct object_record {
	struct collection_head values;
	int64_t created_ms;
	int64_t changed_ms;
	int64_t sweep_filed_ms; /* the entry by which earlier values are swept; 0: none lie about */
	uint32_t schedules;
	/* the alarm; alarm_ms 0: none */
	int64_t alarm_ms;     /* what it was set to */
	int64_t alarm_due_ms; /* when it runs next: alarm_ms, or a retry's time; its entry in the
				 index */
	uint32_t alarm_tries; /* failed so far */
	uint32_t
		alarm_serial; /* counts set_alarm: a handler knows whether its alarm was replaced */
	/* the life; expire_ms 0: for ever */
	int64_t expire_ms;
	int64_t expire_filed_ms; /* its entry in the index; at most expire_ms */
	int64_t life_ms;         /* each touch makes it this long again; 0: no */
};

#define RECORD_BYTES_MAX 128

/* Bytes written to `out` (include/holdfast/object_format.h). */
size_t record_encode(const struct object_record *record, char out[RECORD_BYTES_MAX]);
/* False when the bytes are damaged. */
bool record_decode(struct slice bytes, struct object_record *out);
/* It holds something: values, an alarm or schedules. */
static inline bool record_exists(const struct object_record *record)
{
	return record->values.count > 0 || record->alarm_ms != 0 || record->schedules > 0;
}

#endif
