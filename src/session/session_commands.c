/*
 * session_commands: the SESSION.* commands that work on one session, or on some by their ids. Each
 * is one turn on the shard of its ids, but for SESSION.CREATE, which runs where its new id is to
 * lie, or everywhere when it has to count a user's sessions (MAXPER).
 *
 *   arguments are read and judged -> session_open -> the record -> session_put -> reply
 *
 * To who reads, a session that has ended is as good as none. To whoever would write it, it is
 * refused (SESSIONGONE), as a deleted one is: a slow request that still carries its data must not
 * bring it back, and who saves at each request must not begin its absolute life anew. A sliding
 * life that is over leaves the id to who says that a new session is meant: NX, or SESSION.CREATE.
 *
 * Threads: the turn's.
 */
#include "session/commands.h"

#include "base/random.h"
#include "config/config.h"
#include "session/options.h"
#include "json/json.h"

#include <assert.h>
#include <stdlib.h>

#define VERSION_FIRST 1

/* What MAXPER has to know of a user's sessions, and how far it has come. */
struct user_sessions {
	struct turn *turn;
	struct user_walk walk;
	bool is_sorted;
	uint32_t deleted;
	uint32_t count;
	struct user_session *all;
	uint32_t capacity;
};

struct user_session {
	uint16_t shard;
	struct session_name name;
	int64_t created_ms;
};

static bool open_argument(struct session *session, struct turn *turn, uint32_t index)
{
	struct slice id = turn_argument(turn, index);
	return session_id_check(turn, id) && session_open(session, turn, id);
}

/* --- making ----------------------------------------------------------------------------------- */

/* The lives that a command gives, or the session has, or the configuration says. */
static bool set_life(struct session *session, const struct session_options *options)
{
	struct turn *turn = session->turn;
	const struct config *config = turn->config;
	struct session_record *record = &session->record;
	int64_t absolute_ms = options->absolute_ms;
	bool is_new = record->ttl_ms == 0;
	if (options->given & SESSION_OPTION_TTL)
		record->ttl_ms = options->ttl_ms;
	else if (is_new)
		record->ttl_ms = config->session_ttl_s * 1000;
	if (is_new && !(options->given & SESSION_OPTION_ABSOLUTE))
		absolute_ms = config->session_absolute_s * 1000;
	/* Once there it may come nearer, and never goes away. */
	int64_t end_ms = record->created_ms + absolute_ms;
	if (absolute_ms != 0 && (record->absolute_ms == 0 || end_ms < record->absolute_ms))
		record->absolute_ms = end_ms;
	if (record->absolute_ms == 0 || record->absolute_ms > turn->now_ms)
		return true;
	turn_error(turn, ERROR_SESSION_ENDED);
	return false;
}

/* Fills in a new session and writes it; false: answered with an error. */
static bool make(struct session *session, const struct session_options *options)
{
	session_begin(session);
	session->record.version = VERSION_FIRST;
	session->record.user = options->user;
	if (options->data.size > 0)
		session->record.data = options->data;
	if (!set_life(session, options))
		return false;
	session_put(session);
	return true;
}

/* Only an id that stands for nothing may be given to a new session, be it that of one whose sliding
 * life is over. */
static bool is_free(const struct session *session)
{
	if (session->state == SESSION_LIVE)
		turn_error(session->turn, ERROR_SESSION_EXISTS);
	else if (session->state == SESSION_GONE)
		session_refuse(session);
	else
		return true;
	return false;
}

static bool note_session(void *context, struct session *session)
{
	struct user_sessions *user = context;
	struct arena *arena = turn_arena(user->turn);
	if (user->count == user->capacity) {
		uint32_t capacity = user->capacity ? 2 * user->capacity : 16;
		struct user_session *more = arena_alloc(arena, capacity * sizeof(*more));
		if (user->count)
			memcpy(more, user->all, user->count * sizeof(*more));
		user->all = more;
		user->capacity = capacity;
	}
	user->all[user->count++] = (struct user_session){
		.shard = session->shard,
		.name = session->name,
		.created_ms = session->record.created_ms,
	};
	return true;
}

static int compare_created(const void *a, const void *b)
{
	const struct user_session *first = a, *second = b;
	if (first->created_ms != second->created_ms)
		return first->created_ms < second->created_ms ? -1 : 1;
	return slice_compare(first->name.bytes, second->name.bytes);
}

static void delete_listed(struct turn *turn, const struct user_session *listed)
{
	struct session session;
	if (session_open_named(&session, turn, listed->shard, &listed->name))
		session_delete(&session);
}

/* Makes room for one more; false: answered with an error, or the turn pauses. It has all shards. */
static bool bound_user(
	struct turn *turn, const struct session_options *options, struct user_sessions *user)
{
	assert(turn->shard_count == turn->shard_total);
	user->turn = turn;
	if (!session_walk_user(turn, &user->walk, options->user, note_session, user))
		return false;
	if (user->count < options->per_user_max)
		return true;
	if (options->given & SESSION_OPTION_REJECT) {
		turn_error(turn, ERROR_SESSIONS_MAX, user->count);
		return false;
	}
	if (!user->is_sorted)
		qsort(user->all, user->count, sizeof(*user->all), compare_created);
	user->is_sorted = true;
	for (; user->deleted + options->per_user_max <= user->count; user->deleted++) {
		if (turn_pauses(turn))
			return false;
		delete_listed(turn, &user->all[user->deleted]);
	}
	return true;
}

/* Whether the turn runs where the session is to lie; otherwise it goes on there. */
static bool is_in_place(struct turn *turn, const struct session_options *options)
{
	bool everywhere = turn->shard_count == turn->shard_total;
	if ((options->given & SESSION_OPTION_MAXPER) && !everywhere) {
		turn_continue_everywhere(turn);
		return false;
	}
	uint16_t shard = options->id.size > 0 ? turn_shard_of(turn, options->id) : turn->shard;
	return everywhere || !turn_goes_to(turn, shard);
}

/* Where a session without an id of its own is to lie. */
static uint16_t place_of(const struct turn *turn)
{
	uint16_t any;
	if (turn->shard_count == 1)
		return turn->shard;
	random_entropy(&any, sizeof(any));
	return any % turn->shard_total;
}

struct creation {
	struct slice id;
	struct user_sessions user;
};

void session_create(struct turn *turn)
{
	struct session_options options;
	struct session session;
	if (!session_options_parse(turn, 1,
		    SESSION_OPTION_USER | SESSION_OPTION_DATA | SESSION_OPTION_TTL |
			    SESSION_OPTION_ABSOLUTE | SESSION_OPTION_ID | SESSION_OPTION_MAXPER |
			    SESSION_OPTION_REJECT,
		    &options))
		return;
	bool bounded = options.given & SESSION_OPTION_MAXPER;
	if ((bounded && options.user.size == 0) ||
		(!bounded && (options.given & SESSION_OPTION_REJECT))) {
		turn_error(turn, ERROR_SESSION_MAXPER, LIMIT_SESSIONS_PER_USER);
		return;
	}
	if (!is_in_place(turn, &options))
		return;
	struct creation *creation = turn_state(turn, sizeof(*creation));
	if (creation->id.size == 0 && options.id.size > 0)
		creation->id = options.id;
	else if (creation->id.size == 0)
		creation->id = session_id_new(place_of(turn), turn->shard_total, turn_arena(turn));
	session_open(&session, turn, creation->id);
	if (!is_free(&session) || (bounded && !bound_user(turn, &options, &creation->user)))
		return;
	if (make(&session, &options))
		writer_bulk(&turn->writer, creation->id);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* The condition of IFVERSION; an absent session has version 0. */
static bool version_is(const struct session *session, const struct session_options *options)
{
	uint64_t version = session->state == SESSION_LIVE ? session->record.version : 0;
	if (!(options->given & SESSION_OPTION_IFVERSION) || options->version == version)
		return true;
	turn_error(session->turn, ERROR_SESSION_VERSION, (unsigned long long)version);
	return false;
}

static void write_change(struct session *session)
{
	session->record.version++;
	session->record.updated_ms = session->turn->now_ms;
	session_put(session);
	writer_integer(&session->turn->writer, (int64_t)session->record.version);
}

void session_set(struct turn *turn)
{
	struct session_options options;
	struct session session = { 0 };
	if (!session_json_check(turn, turn_argument(turn, 2)) ||
		!session_options_parse(turn, 3,
			SESSION_OPTION_TTL | SESSION_OPTION_ABSOLUTE | SESSION_OPTION_USER |
				SESSION_OPTION_NX | SESSION_OPTION_XX | SESSION_OPTION_IFVERSION,
			&options))
		return;
	options.data = turn_argument(turn, 2);
	bool live = open_argument(&session, turn, 1);
	if (turn->failed)
		return;
	if (session.state == SESSION_GONE ||
		(session.state == SESSION_ENDED && !(options.given & SESSION_OPTION_NX))) {
		session_refuse(&session);
		return;
	}
	if (options.given & (live ? SESSION_OPTION_NX : SESSION_OPTION_XX)) {
		writer_null(&turn->writer);
		return;
	}
	if (!version_is(&session, &options))
		return;
	if (!live) {
		if (session_new_id_check(turn, turn_argument(turn, 1)) && make(&session, &options))
			writer_integer(&turn->writer, (int64_t)session.record.version);
		return;
	}
	session.record.data = options.data;
	if (options.given & SESSION_OPTION_USER)
		session.record.user = options.user;
	if (set_life(&session, &options))
		write_change(&session);
}

bool session_merge(struct session *session, struct slice json, bool deep)
{
	struct turn *turn = session->turn;
	struct slice data = session->record.data;
	struct buffer merged;
	if (!session_object_check(turn, json, "the change") ||
		!session_object_check(turn, data, "the session's data"))
		return false;
	buffer_init(&merged);
	if (deep)
		json_merge_patch(data, json, &merged);
	else
		json_merge_fields(data, json, &merged);
	/* What is too short for too many values need not be looked through. */
	bool fits = merged.size > 2 * LIMIT_JSON_VALUES
		? session_json_check(turn, buffer_slice(&merged))
		: session_size_check(turn, merged.size);
	if (fits)
		session->record.data = arena_copy(turn_arena(turn), buffer_slice(&merged));
	buffer_fini(&merged);
	return fits;
}

void session_update(struct turn *turn)
{
	struct session_options options;
	struct session session = { 0 };
	struct slice json = turn_argument(turn, 2);
	if (!session_json_check(turn, json) || !session_object_check(turn, json, "the change") ||
		!session_options_parse(turn, 3,
			SESSION_OPTION_DEEP | SESSION_OPTION_TTL | SESSION_OPTION_IFVERSION,
			&options))
		return;
	bool live = open_argument(&session, turn, 1);
	if (turn->failed)
		return;
	if (session.state == SESSION_GONE || session.state == SESSION_ENDED) {
		session_refuse(&session);
		return;
	}
	if (!version_is(&session, &options))
		return;
	if (!live) {
		writer_null(&turn->writer);
		return;
	}
	if (session_merge(&session, json, options.given & SESSION_OPTION_DEEP) &&
		set_life(&session, &options))
		write_change(&session);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void write_moment(struct writer *writer, const char *name, int64_t moment_ms)
{
	writer_bulk_text(writer, name);
	writer_integer(writer, moment_ms);
}

void session_get(struct turn *turn)
{
	struct session_options options;
	struct session session;
	struct writer *writer = &turn->writer;
	if (!session_options_parse(
		    turn, 2, SESSION_OPTION_NOTOUCH | SESSION_OPTION_ONLY_DATA, &options))
		return;
	if (!open_argument(&session, turn, 1)) {
		if (!turn->failed)
			writer_null(writer);
		return;
	}
	const struct session_record *record = &session.record;
	if (!(options.given & SESSION_OPTION_NOTOUCH))
		session_touch(&session);
	if (options.given & SESSION_OPTION_ONLY_DATA) {
		writer_bulk(writer, record->data);
		return;
	}
	struct slice id = turn_argument(turn, 1);
	if (session.by_old_id && session.new_id.size > 0)
		id = session.new_id;
	writer_map(writer, 7);
	writer_bulk_text(writer, "id");
	writer_bulk(writer, id);
	writer_bulk_text(writer, "user");
	if (record->user.size > 0)
		writer_bulk(writer, record->user);
	else
		writer_null(writer);
	writer_bulk_text(writer, "version");
	writer_integer(writer, (int64_t)record->version);
	write_moment(writer, "created", record->created_ms);
	write_moment(writer, "updated", record->updated_ms);
	write_moment(writer, "expires", session.end_ms);
	writer_bulk_text(writer, "data");
	writer_bulk(writer, record->data);
}

void session_field(struct turn *turn)
{
	struct session session;
	struct slice found;
	bool live = open_argument(&session, turn, 1);
	if (turn->failed)
		return;
	if (live)
		session_touch(&session);
	if (live && json_find(session.record.data, turn_argument(turn, 2), &found))
		writer_bulk(&turn->writer, found);
	else
		writer_null(&turn->writer);
}

void session_touch_command(struct turn *turn)
{
	struct session_options options;
	struct session session;
	if (!session_options_parse(turn, 2, SESSION_OPTION_TTL, &options))
		return;
	bool live = open_argument(&session, turn, 1);
	if (turn->failed)
		return;
	if (live && (options.given & SESSION_OPTION_TTL) &&
		options.ttl_ms != session.record.ttl_ms) {
		session.record.ttl_ms = options.ttl_ms;
		session_put(&session);
	} else if (live) {
		session_touch(&session);
	}
	writer_integer(&turn->writer, live);
}

void session_ttl(struct turn *turn)
{
	struct session session;
	bool live = open_argument(&session, turn, 1);
	if (turn->failed)
		return;
	writer_integer(&turn->writer, live ? (session.end_ms - turn->now_ms + 999) / 1000 : -2);
}

/* Each id of the arguments; false: answered with an error. */
static bool check_ids(struct turn *turn)
{
	for (uint32_t i = 1; i < turn->asked->argument_count; i++)
		if (!session_id_check(turn, turn_argument(turn, i)))
			return false;
	return true;
}

void session_exists(struct turn *turn)
{
	struct session session;
	struct progress *found = turn_state(turn, sizeof(*found));
	if (found->next == 0 && !check_ids(turn))
		return;
	progress_from(found, 1);
	struct turn_mark mark = turn_mark(turn);
	for (; found->next < turn->asked->argument_count; found->next++) {
		if (turn_pauses(turn))
			return;
		found->count += session_look(&session, turn, turn_argument(turn, found->next));
		turn_rewind(turn, &mark);
	}
	writer_integer(&turn->writer, found->count);
}

/* --- ending and changing the id --------------------------------------------------------------- */

void session_del(struct turn *turn)
{
	struct session session;
	struct progress *deleted = turn_state(turn, sizeof(*deleted));
	if (deleted->next == 0 && !check_ids(turn))
		return;
	progress_from(deleted, 1);
	for (; deleted->next < turn->asked->argument_count; deleted->next++) {
		if (turn_pauses(turn))
			return;
		if (!session_look_shown(&session, turn, turn_argument(turn, deleted->next)))
			continue;
		session_delete(&session);
		deleted->count++;
	}
	writer_integer(&turn->writer, deleted->count);
}

void session_rotate_command(struct turn *turn)
{
	struct session_options options;
	struct session session;
	struct slice id = turn_argument(turn, 1);
	if (!session_options_parse(turn, 2, SESSION_OPTION_GRACE, &options) ||
		!session_id_check(turn, id))
		return;
	if (!session_open_shown(&session, turn, id)) {
		writer_null(&turn->writer);
		return;
	}
	/* Two requests with the old id: both learn the one new id. */
	if (session.by_old_id) {
		if (session.new_id.size > 0)
			writer_bulk(&turn->writer, session.new_id);
		else
			turn_error(turn, ERROR_SESSION_GONE);
		return;
	}
	struct slice new_id = session_id_new(turn->shard, turn->shard_total, turn_arena(turn));
	struct session_name name;
	if (session_name_of_handle(id, turn_arena(turn), &name))
		id.size = 0;
	session_rotate(&session, id, new_id, options.grace_ms);
	writer_bulk(&turn->writer, new_id);
}
