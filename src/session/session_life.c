/*
 * session_life: uses of sessions, and their ends.
 *
 * The store's index of what falls due has each session at the end that was written with it. A use
 * moves the end in memory (touches.h) as far as the record's bound; only beyond it is the session
 * written again. So when the index says that a session is due, its end may be later: it is then
 * kept aside until that has come, and looked at again, until it has either ended or been
 * written anew (then the index knows it again).
 *
 * After a restart memory knows of no use: sessions of earlier runs end at their bound, which is
 * where the last unwritten use could have moved them at the most.
 *
 * Threads: whoever holds the shard.
 */
#include "session/sessions_private.h"

#include "base/container.h"
#include "base/hash.h"
#include "base/memory.h"
#include "config/config.h"
#include "store/damage.h"

#include <assert.h>
#include <string.h>

/* Ends that one turn sees to; more are for the next. */
#define ENDS_PER_TURN 256

/* --- later ------------------------------------------------------------------------------------ */

static void look_later(struct shard_sessions *shard, struct slice key, int64_t at_ms)
{
	struct later *later = memory_zeroed(sizeof(*later) + key.size);
	later->size = key.size;
	memcpy(later->key, key.data, key.size);
	deadlines_set(&shard->later, &later->deadline, at_ms, 0);
}

/* The first, when its time has come, for the caller to free; NULL. */
static struct later *take_later(struct shard_sessions *shard, int64_t now_ms)
{
	struct deadline *first = deadlines_first(&shard->later);
	if (first == NULL || first->at_ms > now_ms)
		return NULL;
	deadlines_remove(&shard->later, first);
	return container_of(first, struct later, deadline);
}

void later_free_all(struct shard_sessions *shard)
{
	struct later *later;
	while ((later = take_later(shard, INT64_MAX)) != NULL)
		memory_free(later);
	deadlines_fini(&shard->later);
}

/* --- uses ------------------------------------------------------------------------------------- */

int64_t session_end_of(const struct sessions *sessions, uint16_t shard, uint64_t hash,
	const struct value *value, const struct session_record *record)
{
	const struct touch *touch = touches_find(&sessions->shards[shard].touches, hash);
	if (touch)
		return touch->end_ms;
	return record->boot == sessions->boot ? value->expire_ms : record->bound_ms;
}

static bool has_room(const struct session *session, const struct shard_sessions *shard)
{
	uint64_t most =
		(uint64_t)session->turn->config->touch_bytes_max / session->turn->shard_total;
	return touches_find(&shard->touches, session->hash) ||
		touches_bytes(&shard->touches, true) <= most;
}

void session_touch(struct session *session)
{
	struct turn *turn = session->turn;
	const struct session_record *record = &session->record;
	struct shard_sessions *shard = shard_sessions_of(turn, session->shard);
	int64_t end_ms = turn->now_ms + record->ttl_ms;
	if (record->absolute_ms != 0 && end_ms > record->absolute_ms)
		end_ms = record->absolute_ms;
	/* One of an earlier run ended at its bound, for want of knowledge that this use brings. */
	bool was_guessed = record->boot != sessions_in(turn->engine)->boot &&
		touches_find(&shard->touches, session->hash) == NULL;
	if (end_ms == session->end_ms || (end_ms < session->end_ms && !was_guessed))
		return;
	bool fits = end_ms <= record->bound_ms && has_room(session, shard);
	if (!fits && turn->may_write) {
		shard->figures.touches_written++;
		session_put(session);
		return;
	}
	/* With a full disk memory alone has to know. */
	shard->figures.touches_kept++;
	touches_take(&shard->touches, session->hash)->end_ms = end_ms;
	session->end_ms = end_ms;
}

/* --- ends ------------------------------------------------------------------------------------- */

/* What the index has named, or was to be looked at later. */
static void look_at(struct turn *turn, struct slice key)
{
	struct session session = { .turn = turn, .shard = turn->shard };
	struct shard_sessions *shard = shard_sessions_of(turn, turn->shard);
	struct session_name name;
	struct value value;
	uint64_t key_hash_of;
	if (!key_parse_session(key, &key_hash_of, &name))
		damaged("the key of a session", turn->shard, key);
	if (!session_read(&session, &name, SESSION_HEAD_BYTES, &value) ||
		value.expire_ms > turn->now_ms)
		return;
	if (session.record.kind != SESSION_FORMAT_KIND_SESSION) {
		turn_delete(turn, turn->shard, key);
		touches_remove(&shard->touches, session.hash);
		return;
	}
	session.user_before = session.record.user;
	session.end_ms = session_end_of(
		sessions_in(turn->engine), turn->shard, session.hash, &value, &session.record);
	if (session.end_ms <= turn->now_ms) {
		session.state = SESSION_ABSENT;
		session_end(&session);
		return;
	}
	struct touch *touch = touches_take(&shard->touches, session.hash);
	touch->end_ms = session.end_ms;
	if (!touch->waits)
		look_later(shard, key, session.end_ms);
	touch->waits = true;
}

bool sessions_expire(struct turn *turn, struct slice key)
{
	if (key.data[0] != TABLE_SESSION)
		return false;
	look_at(turn, key);
	return true;
}

void sessions_look(struct turn *turn)
{
	struct shard_sessions *shard = shard_sessions_of(turn, turn->shard);
	for (int i = 0; i < ENDS_PER_TURN; i++) {
		struct later *later = take_later(shard, turn->now_ms);
		if (later == NULL)
			break;
		struct slice key = slice_of(later->key, later->size);
		struct touch *touch = touches_find(&shard->touches, hash_bytes(key));
		if (touch)
			touch->waits = false;
		look_at(turn, key);
		memory_free(later);
	}
}
