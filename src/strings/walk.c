/*
 * walk: the commands that go over whole databases: SCAN, KEYS, RANDOMKEY, DBSIZE, FLUSHDB,
 * FLUSHALL.
 *
 * All but the flushes go from shard to shard, in one or more turns on each, with what they have
 * gathered so far in turn->state; the reply is written in the last turn. A listing tells of keys
 * whose writes may not be on disk yet, so its reply waits for everything its shards had written.
 *
 * SCAN's cursor and its guarantee are request/scan.c's.
 *
 * A database is emptied by raising its generation on each shard (see place.c).
 *
 * Threads: the turn's; the state travels with the request.
 */
#include "strings/strings.h"

#include "base/glob.h"
#include "base/number.h"
#include "base/random.h"
#include "holdfast/limits.h"
#include "request/options.h"
#include "request/scan.h"
#include "store/damage.h"
#include "strings/place.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* Keys looked at by one call, whatever COUNT says: what keeps a SCAN a short interruption for
 * everybody else. */
#define SCAN_COUNT_MAX 65536
/* By one turn of KEYS. */
#define KEYS_COUNT_TURN 4096

#define HASH_END ((uint64_t)1 << KEY_HASH_BITS)

/* Names gathered on the way, in the request's arena. */
struct name_block {
	struct name_block *next;
	uint32_t count;
	struct slice names[62];
};

struct name_list {
	struct name_block *first;
	struct name_block *last;
	size_t count;
	size_t bytes;
};

struct key_scan {
	struct scan scan;
	struct name_list found;
	struct slice pattern;
	struct glob glob; /* the pattern's, during a turn */
	bool any_name;    /* no pattern to match */
	bool any_type;    /* no type asked for, or the only one there is */
};

/* A stretch of one database on one shard, as store keys. */
struct stretch {
	struct key start;
	struct key end;
	struct cursor cursor;
};

static void stretch_open(
	struct stretch *stretch, struct turn *turn, uint64_t hash_from, uint64_t hash_to);
static bool stretch_next(
	struct stretch *stretch, struct turn *turn, struct key_string *out, bool *live);
static void stretch_close(struct stretch *stretch);
static void name_list_add(struct name_list *list, struct arena *arena, struct slice name);
static void name_list_write(const struct name_list *list, struct writer *writer);
static struct key_scan *scan_new(struct turn *turn);
static void scan_begin(struct turn *turn, struct key_scan *scan, uint64_t cursor);
static bool scan_on(struct turn *turn, struct key_scan *scan);
static bool scan_parse_cursor(struct turn *turn, struct key_scan *scan);
static bool scan_parse_options(struct turn *turn, struct key_scan *scan);
static bool scan_set_pattern(struct turn *turn, struct key_scan *scan, struct slice pattern);
static int64_t scan_each(void *context, struct turn *turn, struct slice key, struct slice name,
	const struct value *value);
static void scan_write(struct turn *turn, const struct key_scan *scan);
static bool random_in(struct turn *turn, uint64_t hash_from, uint64_t hash_to);
static bool flush_options_valid(struct turn *turn);
static void empty_database(struct turn *turn, uint8_t db);

void keys_scan(struct turn *turn)
{
	struct key_scan *scan = turn->state;
	if (!scan) {
		scan = scan_new(turn);
		if (!scan)
			return;
		turn->state = scan;
	}
	if (!scan_on(turn, scan))
		scan_write(turn, scan);
}

/* A SCAN that does not stop before the end; each turn is one of its steps. */
void keys_keys(struct turn *turn)
{
	struct key_scan *scan = turn->state;
	if (!scan) {
		scan = turn_state(turn, sizeof(*scan));
		scan_begin(turn, scan, 0);
		if (!scan_set_pattern(turn, scan, turn_argument(turn, 1)))
			return;
	}
	scan->scan.left = KEYS_COUNT_TURN;
	if (scan_on(turn, scan))
		return;
	if (!turn_reply_fits(turn, scan->found.bytes))
		return;
	if (!scan_is_over(&scan->scan, turn)) {
		scan_go_on(&scan->scan, turn);
		return;
	}
	writer_array(&turn->writer, scan->found.count);
	name_list_write(&scan->found, &turn->writer);
}

/* A random place on a random shard; from there round the shard, then round the shards. */
void keys_randomkey(struct turn *turn)
{
	static _Thread_local uint64_t calls;
	uint64_t *hash = turn->state;
	if (!hash) {
		struct random random;
		random_seed(&random, turn->asked->started_ns + (++calls << 32));
		hash = turn_state(turn, sizeof(*hash));
		*hash = random_below(&random, HASH_END);
		if (turn_goes_to(turn, (uint16_t)random_below(&random, turn->shard_total)))
			return;
	}
	if (turn_makes_order(turn, turn->shard, TABLE_STRING))
		return;
	if (random_in(turn, *hash, HASH_END) || random_in(turn, 0, *hash))
		return;
	if (!turn_walks(turn, false))
		writer_null(&turn->writer);
}

void keys_dbsize(struct turn *turn)
{
	uint64_t *total = turn_state(turn, sizeof(*total));
	uint64_t keys, expiring;
	struct store *store = turn->stores[turn->shard];
	if (!store_resolve(store, LIMIT_TURN_STEPS)) {
		turn_walks(turn, true);
		return;
	}
	store_count(store, turn->asked->db, &keys, &expiring);
	turn_wait_for_shard(turn, turn->shard);
	*total += keys;
	if (!turn_walks(turn, false))
		writer_integer(&turn->writer, (int64_t)*total);
}

void keys_flushdb(struct turn *turn)
{
	if (!flush_options_valid(turn))
		return;
	empty_database(turn, turn->asked->db);
	writer_ok(&turn->writer);
}

void keys_flushall(struct turn *turn)
{
	if (!flush_options_valid(turn))
		return;
	for (uint8_t db = 0; db < LIMIT_DATABASES; db++)
		empty_database(turn, db);
	writer_ok(&turn->writer);
}

/* Keys of the request's database on the turn's shard, hash_from <= hash < hash_to. */
static void stretch_open(
	struct stretch *stretch, struct turn *turn, uint64_t hash_from, uint64_t hash_to)
{
	uint8_t db = turn->asked->db;
	uint32_t generation = place_generation(turn, turn->shard, db);
	turn_wait_for_shard(turn, turn->shard);
	key_of_string_hash(&stretch->start, db, generation, hash_from);
	if (hash_to < HASH_END)
		key_of_string_hash(&stretch->end, db, generation, hash_to);
	else if (generation < UINT32_MAX)
		key_of_string_hash(&stretch->end, db, generation + 1, 0);
	else
		key_of_string_hash(&stretch->end, db + 1, 0, 0);
	cursor_open(&stretch->cursor, turn->stores[turn->shard], &turn->changes, turn_arena(turn),
		key_slice(&stretch->start), key_slice(&stretch->end), false);
	stretch->cursor.without_data = true;
	stretch->cursor.may_rest = true;
}

static bool stretch_next(
	struct stretch *stretch, struct turn *turn, struct key_string *out, bool *live)
{
	struct slice key;
	struct value value;
	if (!cursor_next(&stretch->cursor, &key, &value))
		return false;
	if (!key_parse_string(key, out) || out->name.size > LIMIT_KEY_BYTES)
		damaged("the key of a string", turn->shard, key);
	*live = value_is_live(&value, turn->now_ms);
	return true;
}

static void stretch_close(struct stretch *stretch)
{
	cursor_close(&stretch->cursor);
}

static void name_list_add(struct name_list *list, struct arena *arena, struct slice name)
{
	const uint32_t capacity = sizeof(list->last->names) / sizeof(list->last->names[0]);
	if (!list->last || list->last->count == capacity) {
		struct name_block *block = arena_alloc(arena, sizeof(*block));
		block->next = NULL;
		block->count = 0;
		if (list->last)
			list->last->next = block;
		else
			list->first = block;
		list->last = block;
	}
	list->last->names[list->last->count++] = arena_copy(arena, name);
	list->count++;
	list->bytes += name.size;
}

static void name_list_write(const struct name_list *list, struct writer *writer)
{
	for (const struct name_block *block = list->first; block; block = block->next)
		for (uint32_t i = 0; i < block->count; i++)
			writer_bulk(writer, block->names[i]);
}

/* NULL when the arguments are wrong: the reply then is the error. */
static struct key_scan *scan_new(struct turn *turn)
{
	struct key_scan *scan = arena_alloc(turn_arena(turn), sizeof(*scan));
	if (!scan_parse_cursor(turn, scan) || !scan_parse_options(turn, scan))
		return NULL;
	/* Nothing is of another type: the iteration is over at once. */
	if (!scan->any_type)
		scan_end(&scan->scan, turn);
	return scan;
}

/* As strtoul takes it: an optional sign, digits, nothing in front or behind. What names no position
 * of this server is a position behind its last key. */
static bool scan_parse_cursor(struct turn *turn, struct key_scan *scan)
{
	struct slice text = turn_argument(turn, 1);
	const char *copy = arena_format(turn_arena(turn), "%.*s", (int)text.size, text.data).data;
	char *end;
	errno = 0;
	unsigned long cursor = strtoul(copy, &end, 10);
	if (isspace((unsigned char)copy[0]) || *end != '\0' || errno == ERANGE) {
		turn_error(turn, ERROR_INVALID_CURSOR);
		return false;
	}
	scan_begin(turn, scan, cursor);
	return true;
}

static void scan_begin(struct turn *turn, struct key_scan *scan, uint64_t cursor)
{
	*scan = (struct key_scan){ .any_name = true, .any_type = true };
	scan_init(&scan->scan, turn, cursor);
	scan->scan.each = scan_each;
	scan->scan.context = scan;
	scan->scan.without_data = true;
}

/* One turn; true when another follows. */
static bool scan_on(struct turn *turn, struct key_scan *scan)
{
	struct key prefix;
	uint8_t db = turn->asked->db;
	key_of_string_hash(&prefix, db, place_generation(turn, turn->shard, db), 0);
	turn_wait_for_shard(turn, turn->shard);
	glob_init(&scan->glob, scan->pattern, false);
	bool more = scan_step(
		&scan->scan, turn, slice_of(prefix.bytes, prefix.size - KEY_HASH_BITS / 8));
	glob_fini(&scan->glob);
	return more;
}

static bool scan_set_pattern(struct turn *turn, struct key_scan *scan, struct slice pattern)
{
	scan->pattern = pattern;
	scan->any_name = slice_equal(pattern, slice_text("*"));
	if (pattern.size <= LIMIT_PATTERN_BYTES)
		return true;
	turn_error(turn, ERROR_PATTERN_SIZE, LIMIT_PATTERN_BYTES);
	return false;
}

static bool read_count(struct options *options)
{
	struct key_scan *scan = options->out;
	int64_t keys;
	if (!options_integer(options->turn, options->at++, &keys))
		return false;
	if (keys < 1) {
		turn_error(options->turn, ERROR_SYNTAX);
		return false;
	}
	scan->scan.left = keys < SCAN_COUNT_MAX ? keys : SCAN_COUNT_MAX;
	return true;
}

static bool read_match(struct options *options)
{
	return scan_set_pattern(options->turn, options->out, options_value(options));
}

static bool read_type(struct options *options)
{
	struct key_scan *scan = options->out;
	scan->any_type = slice_is(options_value(options), "string");
	return true;
}

static const struct option scan_rows[] = {
	{ "count", OPTION_ANY, 0, 1, read_count },
	{ "match", OPTION_ANY, 0, 1, read_match },
	{ "type", OPTION_ANY, 0, 1, read_type },
};

static const struct option_table scan_table = {
	.rows = scan_rows,
	.count = sizeof(scan_rows) / sizeof(scan_rows[0]),
	.repeats = true,
	.misfit = options_say_syntax,
};

static bool scan_parse_options(struct turn *turn, struct key_scan *scan)
{
	struct options options = options_from(turn, 2, scan);
	return options_read(&options, &scan_table, OPTION_ANY);
}

static int64_t scan_each(void *context, struct turn *turn, struct slice key, struct slice name,
	const struct value *value)
{
	(void)key;
	struct key_scan *scan = context;
	if (value_is_live(value, turn->now_ms) &&
		(scan->any_name || glob_matches(&scan->glob, name)))
		name_list_add(&scan->found, turn_arena(turn), name);
	return 1;
}

static void scan_write(struct turn *turn, const struct key_scan *scan)
{
	writer_array(&turn->writer, 2);
	writer_bulk_format(
		&turn->writer, "%llu", (unsigned long long)scan_cursor(&scan->scan, turn));
	writer_array(&turn->writer, scan->found.count);
	name_list_write(&scan->found, &turn->writer);
}

/* Answers with the first live key of the stretch, or pauses where many have been deleted: to begin
 * anew then, which is cheap. False when there is none. */
static bool random_in(struct turn *turn, uint64_t hash_from, uint64_t hash_to)
{
	struct stretch stretch;
	struct key_string key;
	bool live = false;
	stretch_open(&stretch, turn, hash_from, hash_to);
	while (!live && stretch_next(&stretch, turn, &key, &live))
		;
	bool pauses = stretch.cursor.rests;
	if (live)
		writer_bulk(&turn->writer, key.name);
	else if (pauses)
		turn_continue_here(turn);
	stretch_close(&stretch);
	return live || pauses;
}

static bool flush_options_valid(struct turn *turn)
{
	uint32_t count = turn->asked->argument_count;
	if (count == 1 ||
		(count == 2 &&
			(slice_is(turn_argument(turn, 1), "sync") ||
				slice_is(turn_argument(turn, 1), "async"))))
		return true;
	turn_error(turn, ERROR_SYNTAX);
	return false;
}

static void empty_database(struct turn *turn, uint8_t db)
{
	struct key namespace;
	key_of_namespace(&namespace, db);
	for (uint16_t shard = 0; shard < turn->shard_total; shard++) {
		uint32_t generation = place_generation(turn, shard, db) + 1;
		char *bytes = arena_alloc(turn_arena(turn), 8);
		for (int i = 0; i < 8; i++)
			bytes[i] = i < 4 ? (char)(generation >> 8 * i) : 0;
		struct value value = { .type = VALUE_NUMBER, .data = slice_of(bytes, 8) };
		turn_put(turn, shard, key_slice(&namespace), &value);
	}
}
