/*
 * record: one atomic change as bytes: the effects (keys and values) of one turn, on one shard or
 * several. Records are what the log holds, what recovery applies and what a replica would be sent.
 * The layout is documented in include/holdfast/log_format.h.
 */
#ifndef LOG_RECORD_H
#define LOG_RECORD_H

#include "base/slice.h"

#include <stdint.h>

enum effect_kind { EFFECT_PUT = 1, EFFECT_DELETE = 2 };

/* One key's new state. */
struct effect {
	enum effect_kind kind;
	uint8_t type; /* of the value: enum value_type; 0 for a delete */
	uint16_t shard;
	int64_t expire_ms; /* wall clock; 0: lives for ever */
	struct slice key;  /* a store key, at most LIMIT_STORE_KEY_BYTES */
	struct slice value;
};

/* Bytes that record_write will fill. */
size_t record_size(const struct effect *effects, size_t count);
void record_write(char *out, const struct effect *effects, size_t count);

/* Walks the effects of one record; slices point into the record. */
struct record_reader {
	struct slice left;
	uint32_t effects_left;
};

/* Takes the record at the front of `*bytes` (moving `*bytes` behind it). False when what is there
 * is not a whole well-formed record header. */
bool record_next(struct slice *bytes, struct record_reader *reader);
/* 1: `*effect` is the next; 0: no more; -EBADMSG: malformed. Never reads outside the record. */
int record_next_effect(struct record_reader *reader, struct effect *effect);

#endif
