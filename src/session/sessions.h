/*
 * sessions: login sessions within turns, and what is kept of them in memory.
 *
 *   session_open(id) -> look at it, change its record -> session_put or session_delete
 *
 * All of a session lies in one shard (session/session_key.h), so what one command changes of it,
 * its user's index included, is one turn's change. What a user has on other shards is found by a
 * turn that has all of them.
 *
 * Life. A use moves a session's end in memory; it is written only when it has moved further than
 * the end that was written with it (`touch-granularity`), so a crash may lengthen a session, never
 * shorten it. The exact end is checked at each read. When it has come the session goes by
 * itself (sessions_expire, sessions_look), within a tick of the loop.
 *
 * Threads: what is in memory belongs to the shard, like its store: whoever holds the shard.
 */
#ifndef SESSION_SESSIONS_H
#define SESSION_SESSIONS_H

#include "leases/leases.h"
#include "request/turn.h"
#include "session/session_record.h"

struct sessions;

/* Opens the room; that of the leases is open. */
struct sessions *sessions_new(struct engine *engine);
/* Before the engine is closed. */
void sessions_free(struct sessions **sessions);
/* NULL in an engine without. */
struct sessions *sessions_in(const struct engine *engine);

/* What INFO shows. */
struct sessions_figures {
	uint64_t created;
	uint64_t expired;
	uint64_t deleted;
	uint64_t rotated;
	uint64_t touches_written;
	uint64_t touches_kept;
	uint64_t touch_bytes;
};
/* Adds those of a held shard. */
void sessions_add_figures(const struct turn *turn, uint16_t shard, struct sessions_figures *out);

/* --- within a turn ---------------------------------------------------------------------------- */

enum session_state {
	SESSION_ABSENT, /* never there, or so long ago that nothing is known of it any more */
	SESSION_LIVE,
	SESSION_ENDED, /* its sliding life is over: who says that it means a new one gets the id */
	SESSION_GONE,  /* deleted, ended by its absolute life, or its id was changed and the grace
			* is over */
};

struct session {
	struct turn *turn;
	uint16_t shard;
	enum session_state state;
	struct session_name name; /* as it is stored, or would be */
	struct session_record record;
	int64_t end_ms; /* of a live one, exactly */
	/* the id was changed: the session was found by its old one, and this is the new one if that
	 * can be told */
	bool by_old_id;
	struct slice new_id;
	/* sessions.c's */
	struct session_name fresh; /* under which it would be stored now */
	struct slice user_before;  /* as the index has it */
	bool is_stored;
	bool is_whole; /* its data was read too */
	uint64_t hash; /* of its store key */
};

/* Finds what an id (1 to LIMIT_KEY_BYTES, checked by the caller) stands for. False when it is not
 * live. */
bool session_open(struct session *session, struct turn *turn, struct slice id);
/* The same without its data: it can be deleted, but not put. */
bool session_look(struct session *session, struct turn *turn, struct slice id);
/* Both for an id or a handle. */
bool session_open_shown(struct session *session, struct turn *turn, struct slice text);
bool session_look_shown(struct session *session, struct turn *turn, struct slice text);
/* By name, of a live one on a held shard; all but its data. It may not be written again. */
bool session_open_named(struct session *session, struct turn *turn, uint16_t shard,
	const struct session_name *name);
/* Answers a writer with the error for an id that is ENDED or GONE. */
void session_refuse(const struct session *session);
/* An empty session under the name of an absent or ended one: its record is to be filled in. */
void session_begin(struct session *session);
/* Writes the record with a new life from now on. Raises no version. */
void session_put(struct session *session);
/* Somebody used it. */
void session_touch(struct session *session);
/* It is no more; its id is refused to writers for `session-tombstone`. */
void session_delete(struct session *session);
/* The session goes on under `id`, which lies in its shard; `old_id`, by which it was found (empty:
 * by its handle), works for so long. */
void session_rotate(
	struct session *session, struct slice old_id, struct slice id, int64_t grace_ms);
/* What lists and events show of it. */
struct slice session_shown(const struct session *session);
/* The bytes that name it to the lease machine; they live as long as the session structure. */
struct slice session_subject(const struct session *session);

/* The sessions of a user, in no particular order; the turn has all shards. A user may have many:
 * false when the turn pauses before the last, and goes on from there, or when it was enough. */
struct user_walk {
	uint16_t shard;     /* all zeros at the beginning */
	struct slice after; /* the key of the index up to which those of the shard have been met */
};
/* False: it is enough, and the walk ends there. */
typedef bool (*session_fn)(void *context, struct session *session);
bool session_walk_user(struct turn *turn, struct user_walk *walk, struct slice user,
	session_fn each, void *context);
/* How many there are on a shard, those included that have ended within the last tick. */
uint64_t session_count(struct turn *turn, uint16_t shard);

#endif
