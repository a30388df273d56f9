/*
 * What the files of session/ share of a shard's memory.
 */
#ifndef SESSION_SESSIONS_PRIVATE_H
#define SESSION_SESSIONS_PRIVATE_H

#include "base/deadlines.h"
#include "base/random.h"
#include "session/sessions.h"
#include "session/touches.h"

/* A session that has to be looked at again: its end was later than the store's index says. */
struct later {
	struct deadline deadline;
	size_t size;
	char key[];
};

struct shard_sessions {
	struct touches touches;
	struct deadlines later;
	struct random serials; /* of new sessions: seeded by the kernel, and none comes twice */
	struct sessions_figures figures;
};

struct sessions {
	struct engine *engine;
	uint32_t boot;
	struct shard_sessions *shards;
};

static inline struct shard_sessions *shard_sessions_of(const struct turn *turn, uint16_t shard)
{
	return &sessions_in(turn->engine)->shards[shard];
}

/* session_life.c */
/* The end of a stored session. */
int64_t session_end_of(const struct sessions *sessions, uint16_t shard, uint64_t hash,
	const struct value *value, const struct session_record *record);
/* For the room. */
bool sessions_expire(struct turn *turn, struct slice key);
void sessions_look(struct turn *turn);
void later_free_all(struct shard_sessions *shard);

/* sessions.c */
/* Its time has come. For as long as a deleted one its id stands for nothing else. */
void session_end(struct session *session);
/* Enough of an entry for everything but a session's JSON. */
#define SESSION_HEAD_BYTES 4096

/* Of what stands under this key; no more than the first `most` bytes of it. */
bool session_read(
	struct session *session, const struct session_name *name, size_t most, struct value *value);

#endif
