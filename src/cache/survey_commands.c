/*
 * survey_commands: CACHE.STATS and CACHE.SCAN: from shard to shard, as far as one turn goes.
 *
 * SCAN's cursor is request/scan.c's.
 *
 * Threads: the turn's; the state travels with the request.
 */
#include "cache/commands.h"

#include "base/number.h"
#include "cache/cache.h"
#include "cache/cache_key.h"
#include "cache/options.h"
#include "request/options.h"
#include "request/scan.h"
#include "store/damage.h"

#include <stdlib.h>

/* A large value counts as several entries: a page is read whole. */
#define SCAN_BYTES_PER_ENTRY 16384

struct names {
	struct slice *all;
	size_t count;
	size_t capacity;
};

static void names_add(struct names *names, struct arena *arena, struct slice name)
{
	if (names->count == names->capacity) {
		size_t capacity = names->capacity ? 2 * names->capacity : 32;
		struct slice *more = arena_alloc(arena, capacity * sizeof(*more));
		if (names->count)
			memcpy(more, names->all, names->count * sizeof(*more));
		names->all = more;
		names->capacity = capacity;
	}
	names->all[names->count++] = arena_copy(arena, name);
}

/* --- STATS ------------------------------------------------------------------------------------ */

struct survey {
	struct slice prefix;
	bool lists; /* STATS PREFIXES */
	uint64_t counts[STAT_COUNT];
	struct cache_sums sums;
	uint64_t memory_bytes;
	struct names groups;
};

static void note_group(void *context, struct slice group)
{
	struct turn *turn = context;
	struct survey *survey = turn->state;
	names_add(&survey->groups, turn_arena(turn), group);
}

/* Groups that have entries, whether or not anything was counted of them in this run. */
static void look_at_sums(struct turn *turn, struct survey *survey)
{
	struct key start, end;
	struct cursor cursor;
	struct slice store_key, group;
	struct value value;
	struct names found = { 0 };
	key_of_cache_sums(&start, survey->prefix);
	key_of_table_end(&end, TABLE_CACHE_SUMS);
	cursor_open(&cursor, turn->stores[turn->shard], &turn->changes, turn_arena(turn),
		key_slice(&start), key_slice(&end), false);
	while (cursor_next(&cursor, &store_key, &value)) {
		if (!key_parse_cache_sums(store_key, &group))
			damaged("the key of a sum of the cache", turn->shard, store_key);
		if (group.size > 0 && slice_starts_with(group, survey->prefix))
			names_add(&found, turn_arena(turn), group);
	}
	cursor_close(&cursor);
	for (size_t i = 0; i < found.count; i++) {
		struct cache_sums sums;
		cache_sums(turn, turn->shard, found.all[i], &sums);
		if (sums.entries > 0 && survey->lists)
			note_group(turn, found.all[i]);
		if (survey->prefix.size == 0)
			continue;
		survey->sums.entries += sums.entries;
		survey->sums.bytes += sums.bytes;
		survey->sums.lasting += sums.lasting;
	}
}

static void write_count(struct writer *writer, const char *name, uint64_t number)
{
	writer_bulk_text(writer, name);
	writer_integer(writer, (int64_t)number);
}

static void write_survey(struct turn *turn, const struct survey *survey)
{
	struct writer *writer = &turn->writer;
	const uint64_t *counts = survey->counts;
	uint64_t asked = counts[STAT_GETS] + counts[STAT_SWRS];
	uint64_t served = counts[STAT_FRESH] + counts[STAT_STALE] + counts[STAT_REFRESH] +
		counts[STAT_FAILED] + counts[STAT_ABSENT];
	writer_map(writer, STAT_COUNT + 5);
	for (int i = 0; i < STAT_COUNT; i++)
		write_count(writer, stat_names[i], counts[i]);
	write_count(writer, "entries", survey->sums.entries);
	write_count(writer, "bytes", survey->sums.bytes);
	write_count(writer, "without-ttl", survey->sums.lasting);
	write_count(writer, "memory-bytes", survey->memory_bytes);
	writer_bulk_text(writer, "hit-rate");
	writer_bulk_format(writer, "%.2f", asked ? 100 * (double)served / (double)asked : 0.0);
}

static int compare_names(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Each once: several shards have it. */
static void write_groups(struct turn *turn, struct names *groups)
{
	size_t count = 0;
	if (groups->count > 1)
		qsort(groups->all, groups->count, sizeof(struct slice), compare_names);
	for (size_t i = 0; i < groups->count; i++)
		if (i == 0 || !slice_equal(groups->all[i], groups->all[i - 1]))
			groups->all[count++] = groups->all[i];
	writer_array(&turn->writer, count);
	for (size_t i = 0; i < count; i++)
		writer_bulk(&turn->writer, groups->all[i]);
}

void cache_stats_command(struct turn *turn)
{
	struct survey *survey = turn->state;
	uint32_t arguments = turn->asked->argument_count;
	if (arguments > 2) {
		turn_syntax_error(turn, 2);
		return;
	}
	if (survey == NULL) {
		survey = arena_alloc(turn_arena(turn), sizeof(*survey));
		memset(survey, 0, sizeof(*survey));
		survey->lists = arguments == 2 && slice_is(turn_argument(turn, 1), "prefixes");
		if (arguments == 2 && !survey->lists)
			survey->prefix = turn_argument(turn, 1);
		turn->state = survey;
		if (survey->prefix.size > LIMIT_CACHE_GROUP_BYTES) {
			turn_error(turn, ERROR_CACHE_PREFIX, LIMIT_CACHE_GROUP_BYTES);
			return;
		}
	}
	if (turn_makes_order(turn, turn->shard, TABLE_CACHE_SUMS))
		return;
	struct cache_sums sums;
	stats_sum(cache_stats(turn), survey->prefix, survey->counts);
	if (survey->lists)
		stats_each_group(cache_stats(turn), note_group, turn);
	look_at_sums(turn, survey);
	if (survey->prefix.size == 0) {
		cache_sums(turn, turn->shard, survey->prefix, &sums);
		survey->sums.entries += sums.entries;
		survey->sums.bytes += sums.bytes;
		survey->sums.lasting += sums.lasting;
	}
	survey->memory_bytes += cache_memory_bytes(turn, turn->shard);
	if (turn_walks(turn, false))
		return;
	if (survey->lists)
		write_groups(turn, &survey->groups);
	else
		write_survey(turn, survey);
}

/* --- SCAN ------------------------------------------------------------------------------------- */

struct entry_scan {
	struct scan scan;
	struct slice prefix;
	struct names found;
};

enum scan_option {
	SCAN_OPTION_COUNT = 1 << 0,
	SCAN_OPTION_PREFIX = 1 << 1,
};

static bool read_count(struct options *options)
{
	struct entry_scan *scan = options->out;
	if (number_parse_i64(options_value(options), &scan->scan.left) && scan->scan.left >= 1 &&
		scan->scan.left <= LIMIT_CACHE_SCAN)
		return true;
	turn_error(options->turn, ERROR_CACHE_COUNT, LIMIT_CACHE_SCAN);
	return false;
}

static bool read_prefix(struct options *options)
{
	struct entry_scan *scan = options->out;
	scan->prefix = options_value(options);
	return true;
}

static const struct option scan_rows[] = {
	{ "count", SCAN_OPTION_COUNT, 0, 1, read_count },
	{ "prefix", SCAN_OPTION_PREFIX, 0, 1, read_prefix },
};

static const struct option_table scan_table = {
	.rows = scan_rows,
	.count = sizeof(scan_rows) / sizeof(scan_rows[0]),
	.misfit = options_say_where,
};

static bool scan_parse(struct turn *turn, struct entry_scan *scan)
{
	uint64_t cursor;
	struct options options = options_from(turn, 2, scan);
	*scan = (struct entry_scan){ .prefix = slice_of(NULL, 0) };
	if (!number_parse_u64(turn_argument(turn, 1), &cursor) || cursor >> 53) {
		turn_error(turn, ERROR_INVALID_CURSOR);
		return false;
	}
	scan_init(&scan->scan, turn, cursor);
	if (!options_read(&options, &scan_table, SCAN_OPTION_COUNT | SCAN_OPTION_PREFIX))
		return false;
	stats_add(cache_stats(turn), scan->prefix, STAT_SCANS, 1);
	return true;
}

/* Whether it may be served at all; its use is not counted as one. */
static bool is_there(
	struct turn *turn, struct slice store_key, struct slice key, const struct value *value)
{
	struct cache_record record;
	if (!cache_record_decode(value->data, &record))
		damaged("an entry of the cache", turn->shard, store_key);
	if (value->expire_ms <= turn->now_ms)
		return false;
	struct mark mark = marks_of(cache_marks(turn), key, record.tags);
	return mark.hard <= record.sequence && !(record.flags & CACHE_FORMAT_FLAG_ABSENT);
}

static int64_t scan_each(void *context, struct turn *turn, struct slice store_key, struct slice key,
	const struct value *value)
{
	struct entry_scan *scan = context;
	if (slice_starts_with(key, scan->prefix) && is_there(turn, store_key, key, value))
		names_add(&scan->found, turn_arena(turn), key);
	return 1 + (int64_t)(value->data.size / SCAN_BYTES_PER_ENTRY);
}

void cache_scan_command(struct turn *turn)
{
	static const char prefix[] = { TABLE_CACHE };
	struct entry_scan *scan = turn->state;
	if (scan == NULL) {
		scan = arena_alloc(turn_arena(turn), sizeof(*scan));
		if (!scan_parse(turn, scan))
			return;
		scan->scan.each = scan_each;
		scan->scan.context = scan;
		turn->state = scan;
	}
	if (scan_step(&scan->scan, turn, slice_of(prefix, sizeof(prefix))))
		return;
	writer_array(&turn->writer, 2);
	writer_bulk_format(
		&turn->writer, "%llu", (unsigned long long)scan_cursor(&scan->scan, turn));
	writer_array(&turn->writer, scan->found.count);
	for (size_t i = 0; i < scan->found.count; i++)
		writer_bulk(&turn->writer, scan->found.all[i]);
}
