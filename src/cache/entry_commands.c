/*
 * entry_commands: CACHE.SET, GET, MGET, DEL, INFO, INVALIDATE: entries as such. Who refreshes what
 * is swr_commands.c's.
 *
 * SET, DEL and an invalidation void the lease of a key: whoever fetched meanwhile fetched something
 * older, and its FILL is refused. For tags and prefixes the FILL itself finds that out, by the
 * number of the invalidation (marks.h).
 *
 * Threads: the turn's.
 */
#include "cache/commands.h"

#include "cache/cache.h"
#include "cache/options.h"
#include "cache/origin.h"
#include "leases/leases.h"
#include "request/options.h"

/* Of CACHE.INFO. */
#define ENTRY_FIELDS  8
#define ORIGIN_FIELDS 4

/* The lives that a command gives; without TTL the entry is kept as long as any may be. */
static bool set_lives(
	struct turn *turn, const struct cache_options *options, struct cache_record *record)
{
	bool has_ttl = options->given & CACHE_OPTION_TTL;
	record->ttl_ms = has_ttl ? options->ttl_ms : LIMIT_CACHE_AGE_MS;
	record->stale_ms = record->ttl_ms;
	if (!has_ttl)
		record->flags |= CACHE_FORMAT_FLAG_LASTING;
	if (options->given & CACHE_OPTION_STALE)
		record->stale_ms = options->stale_ms;
	if (!cache_stale_check(turn, record->ttl_ms, record->stale_ms))
		return false;
	cache_jitter(turn, options->jitter_ms, record);
	return true;
}

void cache_jitter(const struct turn *turn, int64_t jitter_ms, struct cache_record *record)
{
	int64_t more = (int64_t)((double)jitter_ms * (1 - cache_random(turn)));
	bool lasting = record->flags & CACHE_FORMAT_FLAG_LASTING;
	if (jitter_ms == 0 || lasting)
		return;
	record->ttl_ms += more;
	record->stale_ms += more;
	if (record->error_ms)
		record->error_ms += more;
}

static void void_lease(struct turn *turn, struct slice key)
{
	leases_void(turn, turn_shard_of(turn, key), cache_subject(turn, key));
}

void cache_set_command(struct turn *turn)
{
	struct cache_options options;
	struct cache_entry entry;
	struct slice key = turn_argument(turn, 1);
	if (!cache_key_check(turn, key) || !cache_value_check(turn, turn_argument(turn, 2)) ||
		!cache_options_parse(turn, 3,
			CACHE_OPTION_TTL | CACHE_OPTION_STALE | CACHE_OPTION_JITTER |
				CACHE_OPTION_TAGS | CACHE_OPTION_NX,
			&options))
		return;
	struct cache_record record = {
		.filled_ms = turn->now_ms,
		.sequence = marks_latest(cache_marks(turn)),
		.tag_count = (uint8_t)options.tag_count,
		.tags = options.tags,
		.value = turn_argument(turn, 2),
	};
	if (!set_lives(turn, &options, &record))
		return;
	stats_add(cache_stats(turn), key, STAT_SETS, 1);
	if ((options.given & CACHE_OPTION_NX) && cache_find(turn, key, &entry)) {
		writer_null(&turn->writer);
		return;
	}
	cache_put(turn, key, &record);
	void_lease(turn, key);
	writer_ok(&turn->writer);
}

/* What a plain read gets: a fresh value. */
static bool is_fresh(const struct cache_entry *entry)
{
	return entry->found && !entry->absent && !entry->soft && entry->age_ms < entry->ttl_ms;
}

static void write_value(struct turn *turn, struct slice key)
{
	struct cache_entry entry;
	bool fresh = cache_find(turn, key, &entry) && is_fresh(&entry);
	struct stats *stats = cache_stats(turn);
	stats_add(stats, key, STAT_GETS, 1);
	stats_add(stats, key, fresh ? STAT_FRESH : STAT_MISS, 1);
	cache_count_read(turn, key, &entry, fresh);
	if (fresh)
		writer_bulk(&turn->writer, entry.value);
	else
		writer_null(&turn->writer);
}

void cache_get_command(struct turn *turn)
{
	if (cache_key_check(turn, turn_argument(turn, 1)))
		write_value(turn, turn_argument(turn, 1));
}

static bool check_keys(struct turn *turn)
{
	for (uint32_t i = 1; i < turn->asked->argument_count; i++)
		if (!cache_key_check(turn, turn_argument(turn, i)))
			return false;
	return true;
}

void cache_mget_command(struct turn *turn)
{
	uint32_t count = turn->asked->argument_count - 1;
	if (count > LIMIT_CACHE_MGET) {
		turn_error(turn, ERROR_CACHE_MGET, LIMIT_CACHE_MGET);
		return;
	}
	uint32_t *next = turn_state(turn, sizeof(*next));
	if (*next == 0) {
		if (!check_keys(turn))
			return;
		writer_array(&turn->writer, count);
		*next = 1;
	}
	/* Reading an entry may drop it. */
	struct turn_mark mark = turn_mark(turn);
	for (; *next <= count && !turn_reply_is_full(turn) && !turn_pauses(turn); ++*next) {
		write_value(turn, turn_argument(turn, *next));
		turn_rewind(turn, &mark);
	}
}

void cache_del_command(struct turn *turn)
{
	struct progress *deleted = turn_state(turn, sizeof(*deleted));
	if (deleted->next == 0 && !check_keys(turn))
		return;
	progress_from(deleted, 1);
	for (; deleted->next < turn->asked->argument_count; deleted->next++) {
		struct slice key = turn_argument(turn, deleted->next);
		if (turn_pauses(turn))
			return;
		deleted->count += cache_remove(turn, key);
		void_lease(turn, key);
		stats_add(cache_stats(turn), key, STAT_DELETES, 1);
	}
	writer_integer(&turn->writer, deleted->count);
}

/* --- INFO ------------------------------------------------------------------------------------- */

static const char *state_of(const struct cache_entry *entry, int64_t now_ms)
{
	if (entry->absent)
		return "absent";
	if (!entry->soft && entry->age_ms < entry->ttl_ms)
		return "fresh";
	return entry->failed_until_ms > now_ms ? "failed" : "stale";
}

static void write_number(struct writer *writer, const char *name, int64_t number)
{
	writer_bulk_text(writer, name);
	writer_integer(writer, number);
}

static void write_tags(struct writer *writer, struct slice tags)
{
	struct slice rest = tags, tag;
	uint32_t count = 0;
	while (cache_tag_next(&rest, &tag))
		count++;
	writer_bulk_text(writer, "tags");
	writer_array(writer, count);
	while (cache_tag_next(&tags, &tag))
		writer_bulk(writer, tag);
}

/* Who wonders why a key is never there asks for it by its name. */
static void write_origin(struct writer *writer, const struct origin_look *look)
{
	writer_bulk_text(writer, "origin");
	writer_bulk(writer, look->prefix);
	writer_bulk_text(writer, "origin-state");
	writer_bulk_text(writer,
		look->is_paused            ? "paused"
			: look->has_failed ? "failed"
					   : "answers");
	write_number(writer, "origin-retry-ms", look->retry_ms);
	writer_bulk_text(writer, "origin-error");
	writer_bulk_text(writer, look->error);
}

static void write_no_entry(struct turn *turn, const struct origin_look *look, bool has_origin)
{
	struct writer *writer = &turn->writer;
	if (!has_origin || (!look->is_paused && !look->has_failed)) {
		writer_null(writer);
		return;
	}
	writer_map(writer, 1 + ORIGIN_FIELDS);
	writer_bulk_text(writer, "state");
	writer_bulk_text(writer, "none");
	write_origin(writer, look);
}

void cache_info_command(struct turn *turn)
{
	struct cache_entry entry;
	struct origin_look look;
	struct writer *writer = &turn->writer;
	struct slice key = turn_argument(turn, 1);
	if (!cache_key_check(turn, key))
		return;
	bool has_origin = origin_look(turn, key, &look);
	if (!cache_find(turn, key, &entry)) {
		write_no_entry(turn, &look, has_origin);
		return;
	}
	writer_map(writer, ENTRY_FIELDS + (has_origin ? ORIGIN_FIELDS : 0));
	writer_bulk_text(writer, "state");
	writer_bulk_text(writer, state_of(&entry, turn->now_ms));
	write_number(writer, "age-ms", entry.age_ms);
	write_number(writer, "ttl-ms", entry.flags & CACHE_FORMAT_FLAG_LASTING ? -1 : entry.ttl_ms);
	write_number(writer, "stale-ms", entry.stale_ms);
	write_number(writer, "fetch-ms", entry.delta_ms);
	write_number(writer, "bytes", (int64_t)(key.size + entry.value.size));
	writer_bulk_text(writer, "tier");
	writer_bulk_text(writer, entry.from_memory ? "memory" : "disk");
	write_tags(writer, entry.tags);
	if (has_origin)
		write_origin(writer, &look);
}

/* --- INVALIDATE ------------------------------------------------------------------------------- */

static void invalidate_key(struct turn *turn, struct slice key, bool soft)
{
	struct cache_record record;
	if (!cache_key_check(turn, key) || turn_goes_to(turn, turn_shard_of(turn, key)))
		return;
	if (!soft) {
		cache_remove(turn, key);
	} else if (cache_read(turn, key, &record)) {
		/* Stale from now on, for as long as it would have been served. Its lives stay: a
		 * FILL that gives none takes them over. */
		record.flags |= CACHE_FORMAT_FLAG_SOFT;
		cache_put(turn, key, &record);
	}
	void_lease(turn, key);
	stats_add(cache_stats(turn), key, STAT_INVALIDATIONS, 1);
	writer_ok(&turn->writer);
}

static void invalidate_many(struct turn *turn, uint8_t kind, struct slice name, bool soft)
{
	size_t most = kind == CACHE_FORMAT_MARK_TAG ? LIMIT_CACHE_TAG_BYTES : LIMIT_KEY_BYTES;
	if (name.size == 0 || name.size > most) {
		turn_error(turn,
			kind == CACHE_FORMAT_MARK_TAG ? ERROR_CACHE_TAG : ERROR_CACHE_PREFIX,
			(int)most);
		return;
	}
	if (turn_goes_to(turn, 0))
		return;
	cache_invalidate(turn, kind, name, soft);
	stats_add(cache_stats(turn), slice_of(NULL, 0), STAT_INVALIDATIONS, 1);
	writer_ok(&turn->writer);
}

void cache_invalidate_command(struct turn *turn)
{
	struct slice what = turn_argument(turn, 1), name = turn_argument(turn, 2);
	bool soft;
	if (!options_flag(turn, 3, "soft", &soft))
		return;
	if (slice_is(what, "tag"))
		invalidate_many(turn, CACHE_FORMAT_MARK_TAG, name, soft);
	else if (slice_is(what, "prefix"))
		invalidate_many(turn, CACHE_FORMAT_MARK_PREFIX, name, soft);
	else if (slice_is(what, "key"))
		invalidate_key(turn, name, soft);
	else
		turn_syntax_error(turn, 1);
}
