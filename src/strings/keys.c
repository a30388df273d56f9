/*
 * keys: the commands that work on keys whatever they hold: DEL, EXISTS, TYPE, RENAME, COPY, MOVE,
 * OBJECT, MEMORY USAGE.
 *
 * A value that is put under another key is copied into the request's arena first. Where it lies may
 * be the old key's own entry in the overlay, and applying the turn's effects one after the other
 * writes to such entries: two keys that change places must not read each other's new values.
 *
 * Threads: the turn's.
 */
#include "strings/strings.h"

#include "base/number.h"
#include "strings/options.h"
#include "strings/place.h"

/* Redis's encodings: texts of numbers up to 20 bytes; strings that fit one allocation with their
 * header. */
#define ENCODING_INT_BYTES_MAX    20
#define ENCODING_EMBSTR_BYTES_MAX 44

static void rename_key(struct turn *turn, bool only_new);
static void put_copy(struct turn *turn, const struct place *to, const struct value *value);
static bool find_object(struct turn *turn, struct value *out);

void keys_del(struct turn *turn)
{
	struct progress *deleted = turn_progress(turn, 1);
	for (; deleted->next < turn->asked->argument_count; deleted->next++) {
		struct place place;
		struct value value;
		if (turn_pauses(turn) || !place_of_argument(turn, deleted->next, &place))
			return;
		if (place_look(turn, &place, &value)) {
			place_delete(turn, &place);
			deleted->count++;
		}
	}
	writer_integer(&turn->writer, deleted->count);
}

void keys_exists(struct turn *turn)
{
	struct progress *found = turn_progress(turn, 1);
	for (; found->next < turn->asked->argument_count; found->next++) {
		struct place place;
		struct value value;
		if (turn_pauses(turn) || !place_of_argument(turn, found->next, &place))
			return;
		found->count += place_look(turn, &place, &value);
	}
	writer_integer(&turn->writer, found->count);
}

void keys_type(struct turn *turn)
{
	struct place place;
	struct value value;
	if (place_of_argument(turn, 1, &place))
		writer_simple(&turn->writer, place_look(turn, &place, &value) ? "string" : "none");
}

void keys_rename(struct turn *turn)
{
	rename_key(turn, false);
}

void keys_renamenx(struct turn *turn)
{
	rename_key(turn, true);
}

enum copy_option {
	COPY_OPTION_REPLACE = 1 << 0,
	COPY_OPTION_DB = 1 << 1,
};

static bool read_database(struct options *options)
{
	return string_options_database(options->turn, options->at++, options->out);
}

static const struct option copy_rows[] = {
	{ "replace", COPY_OPTION_REPLACE, 0, 0, NULL },
	{ "db", COPY_OPTION_DB, 0, 1, read_database },
};

static const struct option_table copy_table = {
	.rows = copy_rows,
	.count = sizeof(copy_rows) / sizeof(copy_rows[0]),
	.repeats = true,
	.misfit = options_say_syntax,
};

void keys_copy(struct turn *turn)
{
	struct place from, to;
	struct value value, old;
	uint8_t db = turn->asked->db;
	struct options options = options_from(turn, 3, &db);
	if (!options_read(&options, &copy_table, COPY_OPTION_REPLACE | COPY_OPTION_DB))
		return;
	bool replace = options.given & COPY_OPTION_REPLACE;
	if (db == turn->asked->db && slice_equal(turn_argument(turn, 1), turn_argument(turn, 2))) {
		turn_error(turn, ERROR_SAME_OBJECT);
		return;
	}
	if (!place_of_argument(turn, 1, &from) || !place_of(turn, db, turn_argument(turn, 2), &to))
		return;
	bool copied = place_get(turn, &from, &value) && (replace || !place_look(turn, &to, &old));
	if (copied)
		put_copy(turn, &to, &value);
	writer_integer(&turn->writer, copied);
}

void keys_move(struct turn *turn)
{
	struct place from, to;
	struct value value, old;
	uint8_t db;
	if (!string_options_database(turn, 2, &db))
		return;
	if (db == turn->asked->db) {
		turn_error(turn, ERROR_SAME_OBJECT);
		return;
	}
	if (!place_of_argument(turn, 1, &from) || !place_of(turn, db, turn_argument(turn, 1), &to))
		return;
	bool moved = place_get(turn, &from, &value) && !place_look(turn, &to, &old);
	if (moved) {
		put_copy(turn, &to, &value);
		place_delete(turn, &from);
	}
	writer_integer(&turn->writer, moved);
}

void keys_object_encoding(struct turn *turn)
{
	struct place place;
	struct value value;
	if (!place_of_argument(turn, 2, &place))
		return;
	if (!place_get(turn, &place, &value)) {
		writer_null(&turn->writer);
		return;
	}
	int64_t number;
	bool is_raw = value.type == VALUE_EDITED;
	bool is_int = !is_raw && value.data.size <= ENCODING_INT_BYTES_MAX &&
		number_parse_i64(value.data, &number);
	bool is_embstr = !is_raw && value.data.size <= ENCODING_EMBSTR_BYTES_MAX;
	writer_bulk_text(&turn->writer, is_int ? "int" : is_embstr ? "embstr" : "raw");
}

/* Frequencies are kept by no policy of this server: Redis's answer without an LFU policy. */
void keys_object_freq(struct turn *turn)
{
	struct value value;
	if (find_object(turn, &value))
		turn_error(turn, ERROR_NOT_LFU);
}

/* Times of access are not kept, for a read never writes. */
void keys_object_idletime(struct turn *turn)
{
	struct value value;
	if (find_object(turn, &value))
		writer_integer(&turn->writer, 0);
}

void keys_object_refcount(struct turn *turn)
{
	struct value value;
	if (find_object(turn, &value))
		writer_integer(&turn->writer, 1);
}

/* A string has no parts to sample. */
static bool read_samples(struct options *options)
{
	int64_t samples;
	if (!options_integer(options->turn, options->at++, &samples))
		return false;
	if (samples < 0)
		turn_error(options->turn, ERROR_SYNTAX);
	return samples >= 0;
}

static const struct option usage_row = { "samples", OPTION_ANY, 0, 1, read_samples };

static const struct option_table usage_table = {
	.rows = &usage_row,
	.count = 1,
	.repeats = true,
	.misfit = options_say_syntax,
};

/* What the key would occupy in the overlay. */
void keys_memory_usage(struct turn *turn)
{
	struct value value;
	struct options options = options_from(turn, 3, NULL);
	if (!options_read(&options, &usage_table, OPTION_ANY))
		return;
	if (find_object(turn, &value))
		writer_integer(&turn->writer,
			(int64_t)(sizeof(struct overlay_entry) + KEY_STRING_PREFIX_BYTES +
				turn_argument(turn, 2).size + value.data.size));
}

static void rename_key(struct turn *turn, bool only_new)
{
	struct place from, to;
	struct value value, old;
	if (!place_of_argument(turn, 1, &from) || !place_of_argument(turn, 2, &to))
		return;
	if (!place_get(turn, &from, &value)) {
		turn_error(turn, ERROR_NO_SUCH_KEY);
		return;
	}
	bool same = slice_equal(turn_argument(turn, 1), turn_argument(turn, 2));
	bool renamed = !same && !(only_new && place_look(turn, &to, &old));
	if (renamed) {
		put_copy(turn, &to, &value);
		place_delete(turn, &from);
	}
	if (only_new)
		writer_integer(&turn->writer, renamed);
	else
		writer_ok(&turn->writer);
}

static void put_copy(struct turn *turn, const struct place *to, const struct value *value)
{
	place_put_as(
		turn, to, value->type, arena_copy(turn_arena(turn), value->data), value->expire_ms);
}

/* OBJECT's and MEMORY's key at index 2. False when it is not there: the reply is written then. */
static bool find_object(struct turn *turn, struct value *out)
{
	struct place place;
	if (!place_of_argument(turn, 2, &place))
		return false;
	if (place_look(turn, &place, out))
		return true;
	writer_null(&turn->writer);
	return false;
}
