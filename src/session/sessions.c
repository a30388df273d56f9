/*
 * sessions: see sessions.h. Finding, writing and ending one session within a turn.
 *
 *   sessions.c       one session: its record, its user's index, the shard's count
 *   session_life.c   uses, and what happens when its time has come
 *   session_key.c, session_record.c   the bytes
 *
 * A session's record, its entry in the index of its user and the shard's count are always changed
 * together, in one turn: they agree after any crash.
 *
 * Uses are noted in memory at once, while the turn may still fail. That is on the safe side: a use
 * that was not answered lengthens the life.
 *
 * Threads: see sessions.h.
 */
#include "session/sessions_private.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "config/config.h"
#include "engine/room.h"
#include "store/damage.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define USER_STRETCH 1000 /* sessions of a user that a turn looks at */

/* --- one that is stored ----------------------------------------------------------------------- */

bool session_read(
	struct session *session, const struct session_name *name, size_t most, struct value *value)
{
	struct key key;
	session->name = *name;
	key_of_session(&key, turn_secret(session->turn), name);
	session->hash = hash_bytes(key_slice(&key));
	session->is_stored = turn_peek_extent(session->turn, session->shard, key_slice(&key),
		(struct extent){ .most = most }, value);
	session->is_whole = most == SIZE_MAX;
	if (!session->is_stored)
		return false;
	if (!session_record_decode(value->data, &session->record))
		damaged("the record of a session", session->shard, key_slice(&key));
	return true;
}

static int64_t tombstone_ms(const struct turn *turn)
{
	return turn->config->session_tombstone_s * 1000;
}

static bool ends_by_absolute(const struct session *session)
{
	const struct session_record *record = &session->record;
	return record->absolute_ms != 0 && session->end_ms >= record->absolute_ms;
}

/* What stands under the name, without following a changed id. Whether a session that is over has
 * been seen to already makes no difference. */
static void judge(struct session *session, const struct value *value)
{
	const struct session_record *record = &session->record;
	int64_t now_ms = session->turn->now_ms;
	bool by_absolute = record->by_absolute;
	session->state = SESSION_ABSENT;
	if (record->kind == SESSION_FORMAT_KIND_ROTATED ||
		record->kind == SESSION_FORMAT_KIND_DELETED) {
		if (value->expire_ms > now_ms)
			session->state = SESSION_GONE;
		return;
	}
	int64_t known_ms = value->expire_ms;
	if (record->kind == SESSION_FORMAT_KIND_SESSION) {
		session->user_before = record->user;
		session->end_ms = session_end_of(sessions_in(session->turn->engine), session->shard,
			session->hash, value, record);
		if (session->end_ms > now_ms) {
			session->state = SESSION_LIVE;
			return;
		}
		by_absolute = ends_by_absolute(session);
		known_ms = session->end_ms + tombstone_ms(session->turn);
	}
	if (known_ms > now_ms)
		session->state = by_absolute ? SESSION_GONE : SESSION_ENDED;
}

/* What an id that was changed knows the session by, besides its name. */
static uint64_t serial_part(const struct session *session)
{
	return session->record.serial & (((uint64_t)1 << SESSION_FORMAT_SERIAL_BITS) - 1);
}

/* One step only: the id before the one before means nothing any more. */
static void follow(struct session *session, struct slice id)
{
	struct session_record rotated = session->record;
	struct session old = *session;
	struct value value;
	size_t most = old.is_whole ? SIZE_MAX : SESSION_HEAD_BYTES;
	if (rotated.grace_end_ms <= session->turn->now_ms)
		return;
	if (session_read(session, &rotated.successor, most, &value))
		judge(session, &value);
	if (!session->is_stored || session->state != SESSION_LIVE ||
		serial_part(session) != rotated.successor_serial) {
		*session = old;
		return;
	}
	session->by_old_id = true;
	if (rotated.successor.form == SESSION_FORMAT_PLAIN) {
		session->new_id = rotated.successor.bytes;
	} else if (id.size > 0) {
		char *text = arena_alloc(turn_arena(session->turn), SESSION_DIGEST_BYTES);
		session_mask(id, rotated.masked_id, text);
		struct slice new_id = slice_of(text, SESSION_DIGEST_BYTES);
		/* Changed by its handle: what stands there is random. */
		if (session_id_is_made(new_id))
			session->new_id = new_id;
	}
}

static bool take_found(struct session *session, const struct value *value, struct slice id)
{
	judge(session, value);
	if (session->state == SESSION_GONE && session->record.kind == SESSION_FORMAT_KIND_ROTATED)
		follow(session, id);
	bool live = session->state == SESSION_LIVE;
	*(live ? &session->turn->hits : &session->turn->misses) += 1;
	return live;
}

static void prepare(struct session *session, struct turn *turn, uint16_t shard)
{
	assert(turn->engine);
	assert(sessions_in(turn->engine));
	*session = (struct session){ .turn = turn, .shard = shard };
}

static bool find(struct session *session, struct turn *turn, struct slice id, size_t most)
{
	struct value value = { 0 };
	uint8_t form = turn->config->session_hashing ? SESSION_FORMAT_HASHED : SESSION_FORMAT_PLAIN;
	uint8_t other = form == SESSION_FORMAT_PLAIN ? SESSION_FORMAT_HASHED : SESSION_FORMAT_PLAIN;
	struct session_name name = session_name_of(id, form, turn_arena(turn));
	assert(id.size > 0);
	assert(id.size <= LIMIT_KEY_BYTES);
	prepare(session, turn, turn_shard_of(turn, id));
	session->fresh = name;
	if (session_read(session, &name, most, &value))
		return take_found(session, &value, id);
	/* It may be from before `session-id-hashing` was changed. */
	struct session absent = *session;
	struct session_name before = session_name_of(id, other, turn_arena(turn));
	if (session_read(session, &before, most, &value))
		return take_found(session, &value, id);
	*session = absent;
	turn->misses++;
	return false;
}

bool session_open(struct session *session, struct turn *turn, struct slice id)
{
	return find(session, turn, id, SIZE_MAX);
}

bool session_look(struct session *session, struct turn *turn, struct slice id)
{
	return find(session, turn, id, SESSION_HEAD_BYTES);
}

static bool find_shown(struct session *session, struct turn *turn, struct slice text, size_t most)
{
	struct session_name name;
	struct value value;
	if (!session_name_of_handle(text, turn_arena(turn), &name))
		return find(session, turn, text, most);
	prepare(session, turn, hash_shard_of(session_slot(text), turn->shard_total));
	return session_read(session, &name, most, &value) &&
		take_found(session, &value, slice_of(NULL, 0));
}

bool session_open_shown(struct session *session, struct turn *turn, struct slice text)
{
	return find_shown(session, turn, text, SIZE_MAX);
}

bool session_look_shown(struct session *session, struct turn *turn, struct slice text)
{
	return find_shown(session, turn, text, SESSION_HEAD_BYTES);
}

bool session_open_named(
	struct session *session, struct turn *turn, uint16_t shard, const struct session_name *name)
{
	struct value value;
	prepare(session, turn, shard);
	if (session_read(session, name, SESSION_HEAD_BYTES, &value))
		judge(session, &value);
	return session->state == SESSION_LIVE;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_entry(struct session *session, const struct session_record *record,
	const struct session_name *name, int64_t expire_ms)
{
	struct key key;
	struct value value = {
		.type = VALUE_SESSION,
		.expire_ms = expire_ms,
		.data = session_record_encode(record, turn_arena(session->turn)),
	};
	key_of_session(&key, turn_secret(session->turn), name);
	turn_put(session->turn, session->shard, key_slice(&key), &value);
}

static void drop_entry(struct session *session)
{
	struct key key;
	key_of_session(&key, turn_secret(session->turn), &session->name);
	turn_delete(session->turn, session->shard, key_slice(&key));
	touches_remove(&shard_sessions_of(session->turn, session->shard)->touches, session->hash);
}

static void index_remove(struct session *session)
{
	struct key key;
	if (session->user_before.size == 0)
		return;
	key_of_user_session(&key, session->user_before, &session->name);
	turn_delete(session->turn, session->shard, key_slice(&key));
	session->user_before = slice_of(NULL, 0);
}

static void index_add(struct session *session)
{
	struct key key;
	struct value value = { .type = VALUE_BYTES, .data = slice_of("", 0) };
	struct slice user = session->record.user;
	if (user.size == 0 || slice_equal(user, session->user_before))
		return;
	key_of_user_session(&key, user, &session->name);
	turn_put(session->turn, session->shard, key_slice(&key), &value);
	session->user_before = user;
}

uint64_t session_count(struct turn *turn, uint16_t shard)
{
	struct key key;
	struct value value;
	uint64_t count = 0;
	key_of_session_count(&key);
	if (!turn_peek(turn, shard, key_slice(&key), &value))
		return 0;
	if (value.data.size == sizeof(count))
		memcpy(&count, value.data.data, sizeof(count));
	count = le64toh(count);
	if (value.data.size != sizeof(count) || (int64_t)count < 0)
		damaged("the count of sessions", shard, key_slice(&key));
	return count;
}

static void count_add(struct session *session, int64_t more)
{
	struct turn *turn = session->turn;
	struct key key;
	uint64_t count = session_count(turn, session->shard) + (uint64_t)more;
	key_of_session_count(&key);
	if ((int64_t)count < 0)
		damaged("the count of sessions", session->shard, key_slice(&key));
	count = htole64(count);
	struct value value = {
		.type = VALUE_NUMBER,
		.data = arena_copy(turn_arena(turn), slice_of(&count, sizeof(count))),
	};
	turn_put(turn, session->shard, key_slice(&key), &value);
}

static void publish(struct session *session, const char *event)
{
	turn_publish(session->turn, slice_text(event), session_shown(session));
}

struct slice session_shown(const struct session *session)
{
	return session_name_shown(&session->name,
		hash_first_slot(session->shard, session->turn->shard_total),
		turn_arena(session->turn));
}

struct slice session_subject(const struct session *session)
{
	return slice_of(&session->record.serial, sizeof(session->record.serial));
}

static void void_leases(struct session *session)
{
	leases_void(session->turn, session->shard, session_subject(session));
}

/* From here on it is stored under this name. */
static void take_name(struct session *session, const struct session_name *name)
{
	struct key key;
	session->name = *name;
	key_of_session(&key, turn_secret(session->turn), name);
	session->hash = hash_bytes(key_slice(&key));
}

void session_refuse(const struct session *session)
{
	bool over = session->record.kind == SESSION_FORMAT_KIND_SESSION ||
		session->record.kind == SESSION_FORMAT_KIND_ENDED;
	assert(session->state == SESSION_ENDED || session->state == SESSION_GONE);
	turn_error(session->turn, "%s", over ? ERROR_SESSION_OVER : ERROR_SESSION_GONE);
}

void session_begin(struct session *session)
{
	assert(session->state == SESSION_ABSENT || session->state == SESSION_ENDED);
	if (session->is_stored && session->record.kind == SESSION_FORMAT_KIND_SESSION)
		session_end(session);
	if (session->name.form != session->fresh.form) {
		/* What was left of it is from before `session-id-hashing` was changed. */
		drop_entry(session);
		take_name(session, &session->fresh);
	}
	session->is_stored = false;
	session->is_whole = true;
	session->state = SESSION_LIVE;
	session->record = (struct session_record){
		.kind = SESSION_FORMAT_KIND_SESSION,
		.created_ms = session->turn->now_ms,
		.updated_ms = session->turn->now_ms,
		.data = slice_text("{}"),
	};
	session->record.serial =
		random_next(&shard_sessions_of(session->turn, session->shard)->serials);
}

void session_put(struct session *session)
{
	struct turn *turn = session->turn;
	struct session_record *record = &session->record;
	struct shard_sessions *shard = shard_sessions_of(turn, session->shard);
	bool is_new = !session->is_stored;
	assert(session->state == SESSION_LIVE);
	assert(record->ttl_ms > 0);
	assert(session->is_whole || is_new);
	if (!slice_equal(record->user, session->user_before))
		index_remove(session);
	index_add(session);
	int64_t slack_ms = record->ttl_ms * turn->config->touch_percent / 100;
	session->end_ms = turn->now_ms + record->ttl_ms;
	record->bound_ms = session->end_ms + slack_ms;
	if (record->absolute_ms != 0 && record->bound_ms > record->absolute_ms)
		record->bound_ms = record->absolute_ms;
	if (session->end_ms > record->bound_ms)
		session->end_ms = record->bound_ms;
	record->boot = sessions_in(turn->engine)->boot;
	put_entry(session, record, &session->name, session->end_ms);
	session->is_stored = true;
	struct touch *touch = touches_find(&shard->touches, session->hash);
	if (touch)
		touch->end_ms = session->end_ms;
	if (!is_new)
		return;
	count_add(session, 1);
	shard->figures.created++;
	publish(session, "session:created");
}

/* The record's own part is done by the caller. */
static void leave_books(struct session *session)
{
	index_remove(session);
	count_add(session, -1);
	void_leases(session);
	session->state = SESSION_ABSENT;
}

void session_end(struct session *session)
{
	struct turn *turn = session->turn;
	int64_t known_ms = session->end_ms + tombstone_ms(turn);
	struct session_record ended = {
		.kind = SESSION_FORMAT_KIND_ENDED,
		.by_absolute = ends_by_absolute(session),
	};
	publish(session, "session:expired");
	leave_books(session);
	drop_entry(session);
	if (known_ms > turn->now_ms)
		put_entry(session, &ended, &session->name, known_ms);
	session->is_stored = false;
	session->is_whole = true;
	shard_sessions_of(turn, session->shard)->figures.expired++;
}

void session_delete(struct session *session)
{
	struct turn *turn = session->turn;
	int64_t known_ms = tombstone_ms(turn);
	struct session_record deleted = { .kind = SESSION_FORMAT_KIND_DELETED };
	assert(session->state == SESSION_LIVE);
	publish(session, "session:deleted");
	leave_books(session);
	if (known_ms > 0)
		put_entry(session, &deleted, &session->name, turn->now_ms + known_ms);
	else
		drop_entry(session);
	session->state = SESSION_GONE;
	shard_sessions_of(turn, session->shard)->figures.deleted++;
}

/* What is left under the old id. */
static void leave_forward(struct session *session, struct slice old_id, struct slice id,
	const struct session_name *successor, int64_t grace_ms)
{
	struct turn *turn = session->turn;
	int64_t known_ms = tombstone_ms(turn);
	int64_t stands_ms = grace_ms > known_ms ? grace_ms : known_ms;
	struct session_record rotated = {
		.kind = SESSION_FORMAT_KIND_ROTATED,
		.grace_end_ms = turn->now_ms + grace_ms,
		.successor_serial = serial_part(session),
		.successor = *successor,
	};
	if (stands_ms == 0) {
		drop_entry(session);
		return;
	}
	if (successor->form == SESSION_FORMAT_HASHED) {
		char *masked = arena_alloc(turn_arena(turn), SESSION_DIGEST_BYTES);
		if (old_id.size > 0)
			session_mask(old_id, id, masked);
		else /* by its handle: nobody here knows the id */
			random_entropy(masked, SESSION_DIGEST_BYTES);
		rotated.masked_id = slice_of(masked, SESSION_DIGEST_BYTES);
	}
	put_entry(session, &rotated, &session->name, turn->now_ms + stands_ms);
}

void session_rotate(struct session *session, struct slice old_id, struct slice id, int64_t grace_ms)
{
	struct turn *turn = session->turn;
	uint8_t form = turn->config->session_hashing ? SESSION_FORMAT_HASHED : SESSION_FORMAT_PLAIN;
	struct session_name name = session_name_of(id, form, turn_arena(turn));
	struct slice shown = session_shown(session);
	assert(session->state == SESSION_LIVE);
	assert(turn_shard_of(turn, id) == session->shard);
	index_remove(session);
	leave_forward(session, old_id, id, &name, grace_ms);
	take_name(session, &name);
	session_put(session);
	struct slice new_shown = session_shown(session);
	struct slice both = arena_format(turn_arena(turn), "%.*s %.*s", (int)shown.size, shown.data,
		(int)new_shown.size, new_shown.data);
	turn_publish(turn, slice_text("session:rotated"), both);
	shard_sessions_of(turn, session->shard)->figures.rotated++;
}

/* --- the index -------------------------------------------------------------------------------- */

/* One session of a user, and where the store has it. */
struct gathered {
	uint64_t place; /* the first bytes of its store key, which order it */
	struct session_name name;
};

static int compare_places(const void *a, const void *b)
{
	const struct gathered *first = a, *second = b;
	if (first->place != second->place)
		return first->place < second->place ? -1 : 1;
	return 0;
}

static uint64_t place_of(const struct turn *turn, const struct session_name *name)
{
	struct key key;
	uint64_t first;
	key_of_session(&key, turn_secret(turn), name);
	assert(key.size >= sizeof(first));
	memcpy(&first, key.bytes, sizeof(first));
	return be64toh(first);
}

/* Names of a user's next sessions on the walk's shard, `most` of them, gathered first: nothing may
 * be written while a cursor is open. In the order of the store, so that reading many goes through
 * the tree once, not up and down it. Returns how many. */
static size_t gather(struct turn *turn, struct user_walk *walk, struct slice user,
	struct gathered *names, size_t most)
{
	struct arena *arena = turn_arena(turn);
	struct key start, end;
	struct cursor cursor;
	struct slice key, from = walk->after;
	struct value value;
	size_t count = 0;
	key_of_user(&start, user);
	end = start;
	/* The form follows, which is never above 1. */
	end.bytes[end.size++] = (char)0xff;
	if (from.size == 0)
		from = key_slice(&start);
	cursor_open(&cursor, turn->stores[walk->shard], &turn->changes, arena, from,
		key_slice(&end), false);
	while (count < most && cursor_next(&cursor, &key, &value)) {
		/* The walk may stand at one that has been met. */
		if (slice_equal(key, walk->after))
			continue;
		struct session_name name;
		if (!key_parse_user_session(key, start.size, &name))
			damaged("the key of a user's session", walk->shard, key);
		name.bytes = arena_copy(arena, name.bytes);
		names[count++] = (struct gathered){ place_of(turn, &name), name };
		if (count == most)
			walk->after = arena_copy(arena, key);
	}
	cursor_close(&cursor);
	turn_wait_for_shard(turn, walk->shard);
	qsort(names, count, sizeof(*names), compare_places);
	return count;
}

bool session_walk_user(struct turn *turn, struct user_walk *walk, struct slice user,
	session_fn each, void *context)
{
	struct gathered names[USER_STRETCH];
	size_t left = USER_STRETCH;
	while (walk->shard < turn->shard_total) {
		if (turn_makes_order(turn, walk->shard, TABLE_SESSION_USER))
			return false;
		size_t count = gather(turn, walk, user, names, left);
		for (size_t i = 0; i < count; i++) {
			struct session session;
			if (session_open_named(&session, turn, walk->shard, &names[i].name) &&
				!each(context, &session))
				return false;
		}
		left -= count;
		if (left == 0) {
			turn_continue_here(turn);
			return false;
		}
		walk->shard++;
		walk->after = slice_of(NULL, 0);
	}
	return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

static const struct room sessions_room = {
	.name = "sessions",
	.expire = sessions_expire,
	.look = sessions_look,
	.handle_slot = session_slot,
};

struct sessions *sessions_in(const struct engine *engine)
{
	return engine_room(engine, &sessions_room);
}

struct sessions *sessions_new(struct engine *engine)
{
	struct sessions *sessions = memory_zeroed(sizeof(*sessions));
	assert(leases_in(engine));
	sessions->engine = engine;
	sessions->shards = memory_zeroed(engine->shard_count * sizeof(*sessions->shards));
	random_entropy(&sessions->boot, sizeof(sessions->boot));
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		uint64_t seed;
		random_entropy(&seed, sizeof(seed));
		random_seed(&sessions->shards[i].serials, seed);
	}
	engine_open_room(engine, &sessions_room, sessions);
	return sessions;
}

void sessions_free(struct sessions **taken)
{
	struct sessions *sessions = *taken;
	*taken = NULL;
	if (sessions == NULL)
		return;
	for (uint16_t i = 0; i < sessions->engine->shard_count; i++) {
		struct shard_sessions *shard = &sessions->shards[i];
		touches_fini(&shard->touches);
		later_free_all(shard);
	}
	engine_close_room(sessions->engine, &sessions_room);
	memory_free(sessions->shards);
	memory_free(sessions);
}

void sessions_add_figures(const struct turn *turn, uint16_t number, struct sessions_figures *out)
{
	const struct shard_sessions *shard = shard_sessions_of(turn, number);
	out->created += shard->figures.created;
	out->expired += shard->figures.expired;
	out->deleted += shard->figures.deleted;
	out->rotated += shard->figures.rotated;
	out->touches_written += shard->figures.touches_written;
	out->touches_kept += shard->figures.touches_kept;
	out->touch_bytes += touches_bytes(&shard->touches, false);
}
