/*
 * session_record: what is stored of a session's id. The bytes are on disk:
 * include/holdfast/session_format.h.
 */
#ifndef SESSION_SESSION_RECORD_H
#define SESSION_SESSION_RECORD_H

#include "base/arena.h"
#include "session/session_key.h"

#include <stdbool.h>
#include <stdint.h>

struct session_record {
	uint8_t kind; /* SESSION_FORMAT_KIND_... */

	/* a session */
	uint32_t boot;
	uint64_t serial;
	uint64_t version;
	int64_t created_ms;
	int64_t updated_ms;
	int64_t ttl_ms;
	int64_t absolute_ms; /* 0: none */
	int64_t bound_ms;
	struct slice user; /* empty: none */
	struct slice data; /* JSON */

	/* an id that was changed */
	int64_t grace_end_ms;
	uint64_t successor_serial; /* SESSION_FORMAT_SERIAL_BITS of it */
	struct session_name successor;
	struct slice masked_id; /* of a hashed successor */

	/* an id whose session has ended */
	bool by_absolute;
};

/* The bytes lie in the arena. */
struct slice session_record_encode(const struct session_record *record, struct arena *arena);
/* False when the bytes are no record. Slices point into them. */
bool session_record_decode(struct slice bytes, struct session_record *out);

#endif
