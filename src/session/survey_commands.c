/*
 * survey_commands: the SESSION.* commands about many sessions.
 *
 * LIST and DELUSER have all shards at once: what they tell of or end are the user's sessions of one
 * moment, whatever the shards they lie on; but of very many DELUSER ends some ten thousand at a
 * time. SCAN and COUNT go from shard to shard, a bounded part in a turn; SCAN's cursor is
 * request/scan.c's.
 *
 * Threads: the turn's.
 */
#include "session/commands.h"

#include "base/number.h"
#include "gate/gate.h"
#include "request/options.h"
#include "request/scan.h"
#include "session/options.h"
#include "store/damage.h"

#include <assert.h>
#include <stdlib.h>

/* Of the changes of one round of DELUSER, and what a record has around each of them. */
#define ROUND_BYTES  ((size_t)4 << 20)
#define EFFECT_BYTES 32

/* --- LIST and DELUSER ------------------------------------------------------------------------- */

struct listed {
	struct slice shown;
	int64_t created_ms;
	int64_t updated_ms;
	int64_t expires_ms;
	uint64_t version;
};

struct listing {
	struct turn *turn;
	struct user_walk walk;
	struct listed *all;
	size_t count;
	size_t capacity;
	bool is_sorted;
	size_t written;
};

static bool add_to_list(void *context, struct session *session)
{
	struct listing *list = context;
	struct arena *arena = turn_arena(list->turn);
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 16;
		struct listed *more = arena_alloc(arena, capacity * sizeof(*more));
		if (list->count)
			memcpy(more, list->all, list->count * sizeof(*more));
		list->all = more;
		list->capacity = capacity;
	}
	list->all[list->count++] = (struct listed){
		.shown = session_shown(session),
		.created_ms = session->record.created_ms,
		.updated_ms = session->record.updated_ms,
		.expires_ms = session->end_ms,
		.version = session->record.version,
	};
	return true;
}

/* The oldest first. */
static int compare_listed(const void *a, const void *b)
{
	const struct listed *first = a, *second = b;
	if (first->created_ms != second->created_ms)
		return first->created_ms < second->created_ms ? -1 : 1;
	return slice_compare(first->shown, second->shown);
}

static void write_listed(struct writer *writer, const struct listed *listed)
{
	writer_map(writer, 5);
	writer_bulk_text(writer, "id");
	writer_bulk(writer, listed->shown);
	writer_bulk_text(writer, "version");
	writer_integer(writer, (int64_t)listed->version);
	writer_bulk_text(writer, "created");
	writer_integer(writer, listed->created_ms);
	writer_bulk_text(writer, "updated");
	writer_integer(writer, listed->updated_ms);
	writer_bulk_text(writer, "expires");
	writer_integer(writer, listed->expires_ms);
}

void session_list(struct turn *turn)
{
	struct listing *list = turn_state(turn, sizeof(*list));
	struct slice user = turn_argument(turn, 2);
	list->turn = turn;
	if (!slice_is(turn_argument(turn, 1), "user")) {
		turn_syntax_error(turn, 1);
		return;
	}
	if (!list->is_sorted) {
		if (!session_user_check(turn, user) ||
			!session_walk_user(turn, &list->walk, user, add_to_list, list))
			return;
		if (list->count > 1)
			qsort(list->all, list->count, sizeof(*list->all), compare_listed);
		list->is_sorted = true;
		writer_array(&turn->writer, list->count);
	}
	for (; list->written < list->count && !turn_reply_is_full(turn) && !turn_pauses(turn);
		list->written++)
		write_listed(&turn->writer, &list->all[list->written]);
}

struct ending {
	struct arena_mark mark; /* of its memory: what is behind it belongs to one round */
	bool begun;
	bool full; /* the round: its changes are as many as one record should have */
	struct user_walk walk;
	uint64_t kept_serial;
	bool keeps;
	size_t count;
};

/* Whether the turn's changes, or its events, are so many that they are committed now. */
static bool is_round_full(const struct turn *turn)
{
	const struct changes *changes = &turn->changes;
	size_t bytes = changes->bytes + (size_t)changes->count * EFFECT_BYTES;
	size_t most = gate_record_bytes_max(turn->engine->gate) / 2;
	return bytes > (most < ROUND_BYTES ? most : ROUND_BYTES) ||
		changes->event_bytes > LIMIT_EVENT_BYTES / 2;
}

static bool end_one(void *context, struct session *session)
{
	struct ending *ending = context;
	if (ending->keeps && ending->kept_serial == session->record.serial)
		return true;
	ending->full = is_round_full(session->turn);
	if (ending->full)
		return false;
	session_delete(session);
	ending->count++;
	return true;
}

/* The session that is to stay, if there is one. */
static bool find_kept(struct turn *turn, struct ending *ending)
{
	struct session kept;
	uint32_t count = turn->asked->argument_count;
	if (count == 2)
		return true;
	bool excepts = slice_is(turn_argument(turn, 2), "except");
	if (count != 4 || !excepts) {
		turn_syntax_error(turn, excepts ? (count == 3 ? 3 : 4) : 2);
		return false;
	}
	if (!session_id_check(turn, turn_argument(turn, 3)))
		return false;
	ending->keeps = session_open_shown(&kept, turn, turn_argument(turn, 3));
	ending->kept_serial = kept.record.serial;
	return true;
}

/* One change, unless the user has very many: then rounds of some ten thousand, each a change of its
 * own, until one finds none. Between them others have their turn. */
void session_deluser(struct turn *turn)
{
	struct ending *ending = turn_state(turn, sizeof(*ending));
	struct slice user = turn_argument(turn, 1);
	if (!ending->begun && (!find_kept(turn, ending) || !session_user_check(turn, user)))
		return;
	if (!ending->begun)
		ending->mark = arena_mark(turn_arena(turn));
	else if (ending->full)
		arena_rewind(turn_arena(turn), ending->mark);
	ending->begun = true;
	ending->full = false;
	if (session_walk_user(turn, &ending->walk, user, end_one, ending)) {
		writer_integer(&turn->writer, (int64_t)ending->count);
	} else if (ending->full) {
		ending->walk = (struct user_walk){ 0 };
		turn_continue_everywhere(turn);
	}
}

/* --- SCAN and COUNT --------------------------------------------------------------------------- */

struct session_scan {
	struct scan scan;
	struct slice user; /* prefix */
	bool any_user;     /* sessions without a user too */
	struct listing found;
};

static bool read_count(struct options *options)
{
	struct session_scan *scan = options->out;
	if (number_parse_i64(options_value(options), &scan->scan.left) && scan->scan.left >= 1 &&
		scan->scan.left <= LIMIT_SESSION_SCAN)
		return true;
	turn_error(options->turn, ERROR_SESSION_COUNT, LIMIT_SESSION_SCAN);
	return false;
}

static bool read_user(struct options *options)
{
	struct session_scan *scan = options->out;
	scan->user = options_value(options);
	scan->any_user = false;
	return true;
}

static const struct option scan_rows[] = {
	{ "count", OPTION_ANY, 0, 1, read_count },
	{ "user", OPTION_ANY, 0, 1, read_user },
};

static const struct option_table scan_table = {
	.rows = scan_rows,
	.count = sizeof(scan_rows) / sizeof(scan_rows[0]),
	.repeats = true,
	.misfit = options_say_where,
};

static bool scan_parse(struct turn *turn, struct session_scan *scan)
{
	uint64_t cursor;
	*scan = (struct session_scan){ .any_user = true };
	if (!number_parse_u64(turn_argument(turn, 1), &cursor) || cursor >> 53) {
		turn_error(turn, ERROR_INVALID_CURSOR);
		return false;
	}
	scan_init(&scan->scan, turn, cursor);
	struct options options = options_from(turn, 2, scan);
	return options_read(&options, &scan_table, OPTION_ANY);
}

static bool is_wanted(const struct session_scan *scan, const struct session *session)
{
	return scan->any_user ||
		(session->record.user.size > 0 &&
			slice_starts_with(session->record.user, scan->user));
}

static int64_t scan_each(void *context, struct turn *turn, struct slice key, struct slice rest,
	const struct value *value)
{
	(void)rest;
	struct session_scan *scan = context;
	struct session session;
	struct session_name name;
	uint64_t hash;
	if (!key_parse_session(key, &hash, &name))
		damaged("the key of a session", turn->shard, key);
	name.bytes = arena_copy(turn_arena(turn), name.bytes);
	if (session_open_named(&session, turn, turn->shard, &name) && is_wanted(scan, &session))
		add_to_list(&scan->found, &session);
	return 1;
}

void session_scan(struct turn *turn)
{
	static const char prefix[] = { TABLE_SESSION };
	struct session_scan *scan = turn->state;
	if (scan == NULL) {
		scan = arena_alloc(turn_arena(turn), sizeof(*scan));
		if (!scan_parse(turn, scan))
			return;
		scan->scan.each = scan_each;
		scan->scan.without_data = true;
		scan->scan.context = scan;
		scan->scan.without_data = true; /* they are read by name */
		turn->state = scan;
	}
	scan->found.turn = turn;
	turn_wait_for_shard(turn, turn->shard);
	if (scan_step(&scan->scan, turn, slice_of(prefix, sizeof(prefix))))
		return;
	writer_array(&turn->writer, 2);
	writer_bulk_format(
		&turn->writer, "%llu", (unsigned long long)scan_cursor(&scan->scan, turn));
	writer_array(&turn->writer, scan->found.count);
	for (size_t i = 0; i < scan->found.count; i++)
		writer_bulk(&turn->writer, scan->found.all[i].shown);
}

void session_count_command(struct turn *turn)
{
	uint64_t *total = turn_state(turn, sizeof(*total));
	*total += session_count(turn, turn->shard);
	turn_wait_for_shard(turn, turn->shard);
	if (!turn_walks(turn, false))
		writer_integer(&turn->writer, (int64_t)*total);
}
