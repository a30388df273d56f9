/*
 * cache: see cache.h.
 *
 * An entry, its place in the line and the sums are always changed together, in one turn. The line
 * names an entry by its key and the place at which it first stood; the record has that place too,
 * so what the line names is known to be the same entry wherever it has been moved since. A place
 * whose entry has gone is dropped when its turn comes.
 *
 * In memory `facts.checked` is the number of the latest invalidation that the entry was checked
 * against, `facts.queued` the shard's next place when it was last used.
 *
 * Threads: see cache.h.
 */
#include "cache/cache.h"

#include "base/hash.h"
#include "base/logline.h"
#include "base/memory.h"
#include "base/random.h"
#include "cache/cache_key.h"
#include "cache/hot.h"
#include "cache/origin.h"
#include "cache/origin_board.h"
#include "config/config.h"
#include "engine/room.h"
#include "leases/leases.h"
#include "store/damage.h"

#include <assert.h>
#include <endian.h>

#define CACHE_SOFT      0x80  /* of facts.flags, beside those of the record */
#define LINE_STEPS      16    /* places that one write looks at when the disk's part is full */
#define LINE_ORDER      4096  /* places that one write puts in order */
#define FOLDS           32    /* old invalidations that a new one folds, at the most */
#define HEAD_BYTES      16384 /* of a stored entry: 32 tags and what else precedes the value */
#define SUBJECT_FIRST   'c'
#define FAILURE_LINES   256 /* that may be written each FAILURE_LINE_MS */
#define FAILURE_LINE_MS 60000
/* Of what one read may drop: a read is not to be too large for the log. */
#define DROPPED_BYTES_MAX 65536
static const struct slice latest_name = { "latest", 6 };

struct shard_cache {
	struct hot *hot;
	struct stats *stats;
	struct random random;
	uint64_t line_first; /* no place below it is taken */
	uint64_t place_seen; /* the shard's next place, for `facts.queued` */
	uint64_t evictions;  /* of hot, as counted in stats */
	uint32_t groups;     /* that have sums */
};

struct cache {
	struct engine *engine;
	struct origins *origins[LIMIT_WORKERS]; /* by port */
	struct origin_board *board;
	struct logline_rate failure_lines[FAILURE_LINES]; /* by the group of the key */
	struct marks *marks;
	struct shard_cache *shards;
};

static struct shard_cache *shard_of(const struct turn *turn)
{
	return &cache_in(turn->engine)->shards[turn->shard];
}

/* The key's shard: the turn's but for commands of several keys. */
static struct shard_cache *shard_of_key(const struct turn *turn, struct slice key, uint16_t *shard)
{
	*shard = turn->shard_count == 1 ? turn->shard : turn_shard_of(turn, key);
	return &cache_in(turn->engine)->shards[*shard];
}

struct origins *cache_origins(const struct turn *turn)
{
	return cache_in(turn->engine)->origins[turn->port];
}

bool cache_failure_may_be_logged(struct turn *turn, struct slice key, uint64_t *withheld)
{
	uint64_t group = hash_bytes(cache_group_of(key)) % FAILURE_LINES;
	return logline_may(&cache_in(turn->engine)->failure_lines[group], leases_now_ms(turn),
		FAILURE_LINE_MS, withheld);
}

struct origin_board *cache_board(const struct engine *engine)
{
	return cache_in(engine)->board;
}

void cache_set_origins(struct engine *engine, uint16_t port, struct origins *origins)
{
	cache_in(engine)->origins[port] = origins;
}

struct marks *cache_marks(const struct turn *turn)
{
	return cache_in(turn->engine)->marks;
}

struct stats *cache_stats(const struct turn *turn)
{
	return shard_of(turn)->stats;
}

double cache_random(const struct turn *turn)
{
	uint64_t number = random_next(&shard_of(turn)->random) >> 11;
	return ((double)number + 1) / (double)((uint64_t)1 << 53);
}

struct slice cache_subject(struct turn *turn, struct slice key)
{
	char *bytes = arena_alloc(turn_arena(turn), key.size + 1);
	bytes[0] = SUBJECT_FIRST;
	memcpy(bytes + 1, key.data, key.size);
	return slice_of(bytes, key.size + 1);
}

/* --- sums ------------------------------------------------------------------------------------- */

_Noreturn static void damaged_sums(uint16_t shard, struct slice key)
{
	damaged("a sum of the cache", shard, key);
}

static void decode_sums(
	uint16_t shard, struct slice key, struct slice bytes, struct cache_sums *out)
{
	uint64_t numbers[CACHE_FORMAT_SUMS_BYTES / sizeof(uint64_t)];
	if (bytes.size != sizeof(numbers))
		damaged_sums(shard, key);
	memcpy(numbers, bytes.data, sizeof(numbers));
	*out = (struct cache_sums){ le64toh(numbers[0]), le64toh(numbers[1]), le64toh(numbers[2]),
		le64toh(numbers[3]), le64toh(numbers[4]) };
}

static bool read_sums(struct turn *turn, uint16_t shard, struct slice group, struct cache_sums *out)
{
	struct key key;
	struct value value;
	key_of_cache_sums(&key, group);
	*out = (struct cache_sums){ .next_place = 1 };
	if (!turn_peek(turn, shard, key_slice(&key), &value))
		return false;
	decode_sums(shard, key_slice(&key), value.data, out);
	return true;
}

void cache_sums(struct turn *turn, uint16_t shard, struct slice group, struct cache_sums *out)
{
	read_sums(turn, shard, group, out);
}

static void write_sums(
	struct turn *turn, uint16_t shard, struct slice group, const struct cache_sums *sums)
{
	struct key key;
	uint64_t numbers[] = { htole64(sums->entries), htole64(sums->bytes), htole64(sums->lasting),
		htole64(sums->next_place), htole64(sums->sequence) };
	struct value value = {
		.type = VALUE_BYTES,
		.data = arena_copy(turn_arena(turn), slice_of(numbers, sizeof(numbers))),
	};
	key_of_cache_sums(&key, group);
	turn_put(turn, shard, key_slice(&key), &value);
}

static size_t size_of(struct slice key, const struct cache_record *record)
{
	return key.size + CACHE_FORMAT_HEADER_BYTES + record->tags.size + record->etag.size +
		record->last_modified.size + record->value.size;
}

/* One more group has sums on a shard, or one less. */
struct group_step {
	uint16_t shard;
	bool is_new;
};

static void on_group_step(struct turn *turn, void *context)
{
	const struct group_step *step = context;
	uint32_t *groups = &cache_in(turn->engine)->shards[step->shard].groups;
	*groups += step->is_new ? 1 : UINT32_MAX;
}

static void count_group(struct turn *turn, uint16_t shard, bool is_new)
{
	struct group_step *step = arena_alloc(turn_arena(turn), sizeof(*step));
	*step = (struct group_step){ shard, is_new };
	turn_on_commit(turn, on_group_step, step);
}

/* A group without entries has no sums: others get its room. */
static void forget_group(struct turn *turn, uint16_t shard, struct slice group)
{
	struct key key;
	key_of_cache_sums(&key, group);
	turn_delete(turn, shard, key_slice(&key));
	count_group(turn, shard, false);
}

static void add_to_sums(struct turn *turn, uint16_t shard, struct slice group, struct slice key,
	const struct cache_record *record, int sign)
{
	struct cache_sums sums;
	bool is_new = !read_sums(turn, shard, group, &sums);
	uint64_t size = size_of(key, record);
	bool lasts = record->flags & CACHE_FORMAT_FLAG_LASTING;
	if (sign < 0 && (sums.entries == 0 || sums.bytes < size || sums.lasting < lasts)) {
		struct key sums_key;
		key_of_cache_sums(&sums_key, group);
		damaged_sums(shard, key_slice(&sums_key));
	}
	sums.entries += (uint64_t)(int64_t)sign;
	sums.bytes += (uint64_t)((int64_t)size * sign);
	if (lasts)
		sums.lasting += (uint64_t)(int64_t)sign;
	if (group.size == 0 && sign > 0 && record->sequence > sums.sequence)
		sums.sequence = record->sequence;
	if (group.size > 0 && sums.entries == 0) {
		forget_group(turn, shard, group);
		return;
	}
	if (group.size > 0 && is_new)
		count_group(turn, shard, true);
	write_sums(turn, shard, group, &sums);
}

static void count_entry(struct turn *turn, uint16_t shard, struct slice key,
	const struct cache_record *record, int sign)
{
	add_to_sums(turn, shard, slice_of(NULL, 0), key, record, sign);
	if (record->flags & CACHE_FORMAT_FLAG_GROUPED)
		add_to_sums(turn, shard, cache_group_of(key), key, record, sign);
}

/* Whether the key's group has sums, or may get some. */
static bool is_grouped(struct turn *turn, uint16_t shard, struct slice key)
{
	struct slice group = cache_group_of(key);
	struct cache_sums sums;
	return group.size > 0 &&
		(read_sums(turn, shard, group, &sums) ||
			cache_in(turn->engine)->shards[shard].groups < LIMIT_CACHE_GROUPS);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Of the stored bytes `most` are wanted. What is left out is the value's: its data is NULL then,
 * and its size right all the same. */
static bool read_extent(struct turn *turn, uint16_t shard, struct slice key, size_t most,
	struct cache_record *out, int64_t *expire_ms)
{
	struct key store_key;
	struct value value;
	struct extent extent = { .most = most };
	key_of_cache(&store_key, turn_secret(turn), key);
	if (!turn_peek_extent(turn, shard, key_slice(&store_key), extent, &value))
		return false;
	size_t left_out = value.whole - value.data.size;
	*expire_ms = value.expire_ms;
	if (cache_record_decode(value.data, out)) {
		if (left_out)
			out->value = slice_of(NULL, out->value.size + left_out);
		return true;
	}
	if (left_out)
		return read_extent(turn, shard, key, SIZE_MAX, out, expire_ms);
	damaged("an entry of the cache", shard, key_slice(&store_key));
}

/* All but the data of a large value. */
static bool read_head(struct turn *turn, uint16_t shard, struct slice key, struct cache_record *out,
	int64_t *expire_ms)
{
	return read_extent(turn, shard, key, HEAD_BYTES, out, expire_ms);
}

static bool read_living(struct turn *turn, struct slice key, size_t most, struct cache_record *out)
{
	uint16_t shard;
	int64_t expire_ms;
	shard_of_key(turn, key, &shard);
	return read_extent(turn, shard, key, most, out, &expire_ms) && expire_ms > turn->now_ms;
}

bool cache_read(struct turn *turn, struct slice key, struct cache_record *out)
{
	return read_living(turn, key, SIZE_MAX, out) &&
		marks_of(cache_marks(turn), key, out->tags).hard <= out->sequence;
}

struct slice cache_tags(struct turn *turn, struct slice key)
{
	struct cache_record record;
	return read_living(turn, key, HEAD_BYTES, &record) ? record.tags : slice_of(NULL, 0);
}

static struct hot_facts facts_of(const struct cache_record *record)
{
	struct hot_facts facts = {
		.filled_ms = record->filled_ms,
		.ttl_ms = record->ttl_ms,
		.stale_ms = record->stale_ms,
		.error_ms = record->error_ms,
		.delta_ms = record->delta_ms,
		.sequence = record->sequence,
		.checked = record->sequence,
		.flags = record->flags & (CACHE_FORMAT_FLAG_ABSENT | CACHE_FORMAT_FLAG_LASTING),
	};
	if (record->flags & CACHE_FORMAT_FLAG_SOFT)
		facts.flags |= CACHE_SOFT;
	return facts;
}

static struct hot_entry *keep_in_memory(struct turn *turn, struct shard_cache *state,
	struct slice key, uint64_t hash, const struct cache_record *record)
{
	hot_limit(state->hot, (size_t)(turn->config->cache_memory_bytes / turn->shard_total));
	struct hot_entry *entry = hot_put(state->hot, key, hash, record->value, record->tags);
	uint64_t evictions = hot_figures(state->hot).evictions;
	stats_add(state->stats, slice_of(NULL, 0), STAT_EVICTIONS_MEMORY,
		evictions - state->evictions);
	state->evictions = evictions;
	if (entry)
		entry->facts = facts_of(record);
	return entry;
}

static void fill_in(struct cache_entry *out, const struct hot_facts *facts, int64_t now_ms)
{
	out->absent = facts->flags & CACHE_FORMAT_FLAG_ABSENT;
	out->soft = facts->flags & CACHE_SOFT;
	out->age_ms = now_ms > facts->filled_ms ? now_ms - facts->filled_ms : 0;
	out->ttl_ms = facts->ttl_ms;
	out->stale_ms = facts->stale_ms;
	out->error_ms = facts->error_ms;
	out->delta_ms = facts->delta_ms;
	out->filled_ms = facts->filled_ms;
	out->failed_until_ms = facts->failed_until_ms;
	out->flags = facts->flags;
}

/* False: invalidated for good. */
static bool check_marks(
	struct turn *turn, struct hot_facts *facts, struct slice key, struct slice tags)
{
	struct marks *marks = cache_marks(turn);
	uint64_t latest = marks_latest(marks);
	if (facts->checked >= latest)
		return true;
	struct mark mark = marks_of(marks, key, tags);
	if (mark.hard > facts->sequence)
		return false;
	if (mark.soft > facts->sequence)
		facts->flags |= CACHE_SOFT;
	facts->checked = latest;
	return true;
}

static int64_t keep_ms(int64_t ttl_ms, int64_t stale_ms, int64_t error_ms)
{
	int64_t keep = ttl_ms > stale_ms ? ttl_ms : stale_ms;
	return keep > error_ms ? keep : error_ms;
}

static bool find_in_memory(struct turn *turn, struct shard_cache *state, struct slice key,
	uint64_t hash, struct cache_entry *out, bool whatever_age)
{
	struct hot_entry *entry = hot_find(state->hot, key, hash);
	if (entry == NULL)
		return false;
	struct hot_facts *facts = &entry->facts;
	fill_in(out, facts, turn->now_ms);
	if (!check_marks(turn, facts, key, entry->tags) ||
		(!whatever_age &&
			out->age_ms >= keep_ms(facts->ttl_ms, facts->stale_ms, facts->error_ms)))
		return false;
	out->soft = facts->flags & CACHE_SOFT;
	facts->queued = state->place_seen;
	out->tags = entry->tags;
	out->value = entry->value;
	out->from_memory = out->found = true;
	return true;
}

static void drop(
	struct turn *turn, uint16_t shard, struct slice key, const struct cache_record *record);

/* Whether the store has what may be used; read without the data of a large value. */
static bool look_in_store(struct turn *turn, uint16_t shard, struct slice key,
	struct cache_record *record, struct hot_facts *facts)
{
	int64_t expire_ms;
	if (!read_head(turn, shard, key, record, &expire_ms) || expire_ms <= turn->now_ms)
		return false;
	*facts = facts_of(record);
	if (check_marks(turn, facts, key, record->tags))
		return true;
	/* By its tags a FILL under way is judged. */
	bool held = lease_is_held(leases_of(turn, shard), cache_subject(turn, key),
		slice_of(NULL, 0), leases_now_ms(turn));
	bool has_room = turn->changes.bytes < DROPPED_BYTES_MAX;
	if (turn->may_write && !held && has_room)
		drop(turn, shard, key, record);
	return false;
}

static bool find_in_store(struct turn *turn, struct shard_cache *state, uint16_t shard,
	struct slice key, uint64_t hash, struct cache_entry *out)
{
	struct cache_record record;
	struct hot_facts facts;
	int64_t expire_ms;
	if (!look_in_store(turn, shard, key, &record, &facts))
		return false;
	if (record.value.data == NULL)
		read_extent(turn, shard, key, SIZE_MAX, &record, &expire_ms);
	fill_in(out, &facts, turn->now_ms);
	/* What is put into memory is a copy: the record lives as long as the turn. */
	struct hot_entry *entry = keep_in_memory(turn, state, key, hash, &record);
	if (entry) {
		facts.queued = state->place_seen;
		entry->facts = facts;
	}
	out->tags = record.tags;
	out->value = record.value;
	out->found = true;
	return true;
}

bool cache_find(struct turn *turn, struct slice key, struct cache_entry *out)
{
	uint16_t shard;
	struct shard_cache *state = shard_of_key(turn, key, &shard);
	uint64_t hash = hash_bytes(key);
	*out = (struct cache_entry){ 0 };
	if (find_in_memory(turn, state, key, hash, out, false))
		return true;
	*out = (struct cache_entry){ 0 };
	return find_in_store(turn, state, shard, key, hash, out);
}

void cache_count_read(
	struct turn *turn, struct slice key, const struct cache_entry *entry, bool served)
{
	turn->hits += served;
	turn->misses += !served;
	if (served)
		stats_add(cache_stats(turn), key,
			entry->from_memory ? STAT_HITS_MEMORY : STAT_HITS_DISK, 1);
}

bool cache_find_filled(struct turn *turn, struct slice key, struct cache_entry *out)
{
	uint16_t shard;
	struct shard_cache *state = shard_of_key(turn, key, &shard);
	*out = (struct cache_entry){ 0 };
	if (find_in_memory(turn, state, key, hash_bytes(key), out, true))
		return true;
	return cache_find(turn, key, out);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* What the memory will have of an entry that the turn writes or drops. */
struct memory_step {
	uint16_t shard;
	bool replaces;
	struct slice key;
	struct cache_record record;
};

static struct memory_step *memory_step(struct turn *turn, uint16_t shard, struct slice key)
{
	struct memory_step *step = arena_alloc(turn_arena(turn), sizeof(*step));
	*step = (struct memory_step){ .shard = shard, .key = key };
	return step;
}

static void on_put(struct turn *turn, void *context)
{
	const struct memory_step *step = context;
	struct shard_cache *state = &cache_in(turn->engine)->shards[step->shard];
	struct hot_entry *entry =
		keep_in_memory(turn, state, step->key, hash_bytes(step->key), &step->record);
	/* Coming is no use: the first who came goes first. */
	if (entry && step->replaces)
		entry->facts.queued = state->place_seen;
}

static void put_in_memory(struct turn *turn, uint16_t shard, struct slice key,
	const struct cache_record *record, bool replaces)
{
	struct memory_step *step = memory_step(turn, shard, key);
	step->record = *record;
	step->replaces = replaces;
	turn_on_commit(turn, on_put, step);
}

static void on_drop(struct turn *turn, void *context)
{
	const struct memory_step *step = context;
	hot_remove(
		cache_in(turn->engine)->shards[step->shard].hot, step->key, hash_bytes(step->key));
}

static void drop(
	struct turn *turn, uint16_t shard, struct slice key, const struct cache_record *record)
{
	struct key store_key;
	count_entry(turn, shard, key, record, -1);
	key_of_cache(&store_key, turn_secret(turn), key);
	turn_delete(turn, shard, key_slice(&store_key));
	key_of_cache_place(&store_key, record->place);
	turn_delete(turn, shard, key_slice(&store_key));
	/* Now, so that the turn itself does not find it, and behind what the turn has put. */
	hot_remove(cache_in(turn->engine)->shards[shard].hot, key, hash_bytes(key));
	turn_on_commit(turn, on_drop, memory_step(turn, shard, key));
}

/* The line's entry: the place at which its entry first stood, and the key. */
static void stand_in_line(
	struct turn *turn, uint16_t shard, uint64_t place, uint64_t first_place, struct slice key)
{
	struct key store_key;
	char *bytes = arena_alloc(turn_arena(turn), sizeof(first_place) + key.size);
	uint64_t number = htole64(first_place);
	memcpy(bytes, &number, sizeof(number));
	memcpy(bytes + sizeof(number), key.data, key.size);
	struct value value = {
		.type = VALUE_BYTES,
		.data = slice_of(bytes, sizeof(number) + key.size),
	};
	key_of_cache_place(&store_key, place);
	turn_put(turn, shard, key_slice(&store_key), &value);
}

static uint64_t take_place(struct turn *turn, uint16_t shard)
{
	struct cache_sums sums;
	read_sums(turn, shard, slice_of(NULL, 0), &sums);
	uint64_t place = sums.next_place++;
	write_sums(turn, shard, slice_of(NULL, 0), &sums);
	cache_in(turn->engine)->shards[shard].place_seen = sums.next_place;
	return place;
}

/* The first in the line at or behind `from`; its key lies in the arena. */
static bool first_in_line(struct turn *turn, uint16_t shard, uint64_t from, uint64_t *place,
	uint64_t *first_place, struct slice *key)
{
	struct key start, end;
	struct cursor cursor;
	struct slice store_key;
	struct value value;
	key_of_cache_place(&start, from);
	key_of_table_end(&end, TABLE_CACHE_LINE);
	cursor_open(&cursor, turn->stores[shard], &turn->changes, turn_arena(turn),
		key_slice(&start), key_slice(&end), false);
	bool found = cursor_next(&cursor, &store_key, &value);
	if (found) {
		if (!key_parse_cache_place(store_key, place) ||
			value.data.size <= sizeof(*first_place) ||
			value.data.size > sizeof(*first_place) + LIMIT_KEY_BYTES)
			damaged("a place in the line of the cache", shard, store_key);
		memcpy(first_place, value.data.data, sizeof(*first_place));
		*first_place = le64toh(*first_place);
		*key = arena_copy(turn_arena(turn),
			slice_of(value.data.data + sizeof(*first_place),
				value.data.size - sizeof(*first_place)));
	}
	cursor_close(&cursor);
	return found;
}

static void on_looked_at(struct turn *turn, void *context)
{
	const struct memory_step *step = context;
	cache_in(turn->engine)->shards[step->shard].line_first = step->record.place + 1;
}

/* One place of the line is looked at; false when there is none. */
static bool evict_step(struct turn *turn, uint16_t shard, bool last_chance)
{
	struct shard_cache *state = &cache_in(turn->engine)->shards[shard];
	uint64_t place, first_place;
	struct slice key;
	struct cache_record record;
	struct key store_key;
	int64_t expire_ms;
	if (!first_in_line(turn, shard, state->line_first, &place, &first_place, &key))
		return false;
	struct memory_step *step = memory_step(turn, shard, key);
	step->record.place = place;
	turn_on_commit(turn, on_looked_at, step);
	key_of_cache_place(&store_key, place);
	turn_delete(turn, shard, key_slice(&store_key));
	if (!read_head(turn, shard, key, &record, &expire_ms) || record.place != first_place)
		return true;
	const struct hot_entry *hot = hot_peek(state->hot, key, hash_bytes(key));
	if (hot && hot->facts.queued > place && !last_chance) {
		stand_in_line(turn, shard, take_place(turn, shard), first_place, key);
		return true;
	}
	drop(turn, shard, key, &record);
	stats_add(state->stats, key, STAT_EVICTIONS_DISK, 1);
	return true;
}

static uint64_t disk_part(const struct turn *turn)
{
	return (uint64_t)turn->config->cache_disk_bytes / turn->shard_total;
}

/* Makes room, some steps at a time. */
static void bound_disk(struct turn *turn, uint16_t shard)
{
	uint64_t most = disk_part(turn);
	struct cache_sums sums;
	read_sums(turn, shard, slice_of(NULL, 0), &sums);
	/* When very many have come since somebody went along the line, others write on. */
	if (sums.bytes <= most || !store_order(turn->stores[shard], TABLE_CACHE_LINE, LINE_ORDER))
		return;
	for (int i = 0; i < LINE_STEPS; i++) {
		read_sums(turn, shard, slice_of(NULL, 0), &sums);
		if (sums.bytes <= most || !evict_step(turn, shard, i >= LINE_STEPS / 2))
			return;
	}
}

static void bound_age(int64_t *age_ms)
{
	if (*age_ms > LIMIT_CACHE_AGE_MS)
		*age_ms = LIMIT_CACHE_AGE_MS;
}

void cache_put(struct turn *turn, struct slice key, struct cache_record *record)
{
	/* Invalidations are forgotten when no entry can be old enough; jitter and windows behind a
	 * ttl add up to more. */
	bound_age(&record->ttl_ms);
	bound_age(&record->stale_ms);
	bound_age(&record->error_ms);
	/* It alone would be more than there may be. */
	if (size_of(key, record) > disk_part(turn))
		record->ttl_ms = record->stale_ms = record->error_ms = 0;

	uint16_t shard;
	shard_of_key(turn, key, &shard);
	struct cache_record before;
	int64_t expire_ms, keep = keep_ms(record->ttl_ms, record->stale_ms, record->error_ms);
	bool replaces = read_head(turn, shard, key, &before, &expire_ms);
	if (keep <= 0) {
		if (replaces)
			drop(turn, shard, key, &before);
		put_in_memory(turn, shard, key, record, false);
		return;
	}
	record->flags &= (uint8_t)~CACHE_FORMAT_FLAG_GROUPED;
	if (is_grouped(turn, shard, key))
		record->flags |= CACHE_FORMAT_FLAG_GROUPED;
	if (replaces) {
		count_entry(turn, shard, key, &before, -1);
		record->place = before.place;
	} else {
		record->place = take_place(turn, shard);
		stand_in_line(turn, shard, record->place, record->place, key);
	}
	count_entry(turn, shard, key, record, 1);
	struct key store_key;
	struct value value = {
		.type = VALUE_CACHE,
		.expire_ms = record->filled_ms + keep,
		.data = cache_record_encode(record, turn_arena(turn)),
	};
	key_of_cache(&store_key, turn_secret(turn), key);
	turn_put(turn, shard, key_slice(&store_key), &value);
	put_in_memory(turn, shard, key, record, replaces);
	bound_disk(turn, shard);
}

bool cache_remove(struct turn *turn, struct slice key)
{
	uint16_t shard;
	struct shard_cache *state = shard_of_key(turn, key, &shard);
	struct cache_entry entry;
	struct cache_record record;
	struct hot_facts facts;
	int64_t expire_ms;
	uint64_t hash = hash_bytes(key);
	bool served = find_in_memory(turn, state, key, hash, &entry, false) ||
		look_in_store(turn, shard, key, &record, &facts);
	if (read_head(turn, shard, key, &record, &expire_ms))
		drop(turn, shard, key, &record);
	else
		hot_remove(state->hot, key, hash);
	return served;
}

void cache_note_failure(struct turn *turn, struct slice key, int64_t until_ms)
{
	struct hot_entry *entry = hot_peek(shard_of(turn)->hot, key, hash_bytes(key));
	if (entry)
		entry->facts.failed_until_ms = until_ms;
}

uint64_t cache_memory_bytes(const struct turn *turn, uint16_t shard)
{
	return hot_bytes(cache_in(turn->engine)->shards[shard].hot);
}

/* --- what falls due --------------------------------------------------------------------------- */

/* For engine->expiries. */
static bool expire(struct turn *turn, struct slice store_key)
{
	uint64_t hash;
	uint8_t kind;
	struct slice key;
	struct cache_record record;
	int64_t expire_ms;
	if (store_key.data[0] == TABLE_CACHE_MARK) {
		if (!key_parse_cache_mark(store_key, &kind, &key))
			damaged("the key of an invalidation of the cache", turn->shard, store_key);
		marks_forget(cache_marks(turn), kind, key);
		return false;
	}
	if (store_key.data[0] != TABLE_CACHE)
		return false;
	if (!key_parse_cache(store_key, &hash, &key))
		damaged("the key of an entry of the cache", turn->shard, store_key);
	if (read_head(turn, turn->shard, key, &record, &expire_ms) && expire_ms <= turn->now_ms)
		drop(turn, turn->shard, key, &record);
	return true;
}

/* --- invalidations ---------------------------------------------------------------------------- */

static void put_mark(struct turn *turn, uint8_t kind, struct slice name, const struct mark *mark,
	int64_t expire_ms)
{
	struct key key;
	uint64_t numbers[2] = { htole64(mark->hard), htole64(mark->soft) };
	struct value value = {
		.type = VALUE_BYTES,
		.expire_ms = expire_ms,
		.data = arena_copy(turn_arena(turn), slice_of(numbers, sizeof(numbers))),
	};
	key_of_cache_mark(&key, kind, name);
	turn_put(turn, turn->shard, key_slice(&key), &value);
}

/* Keeps what is remembered within its bound, on disk as in memory. A bound that was lowered is
 * reached bit by bit. */
static void fold_marks(struct turn *turn, int64_t expire_ms)
{
	uint64_t bytes_max = (uint64_t)turn->config->cache_invalidation_bytes;
	struct marks_folded folded;
	struct key key;
	for (int i = 0; i < FOLDS && marks_fold(cache_marks(turn), bytes_max, &folded); i++) {
		key_of_cache_mark(&key, folded.kind, slice_of(folded.name, folded.size));
		turn_delete(turn, turn->shard, key_slice(&key));
		put_mark(turn, folded.kind, MARKS_COVER, &folded.cover, expire_ms);
	}
}

void cache_invalidate(struct turn *turn, uint8_t kind, struct slice name, bool soft)
{
	struct marks *marks = cache_marks(turn);
	int64_t expire_ms = turn->now_ms + LIMIT_CACHE_AGE_MS;
	assert(turn->shard == 0);
	if (kind == CACHE_FORMAT_MARK_PREFIX)
		name = marks_prefix(marks, name);
	struct mark mark = marks_add(marks, kind, name, soft);
	struct mark latest = { .hard = marks_latest(marks) };
	put_mark(turn, kind, name, &mark, expire_ms);
	put_mark(turn, CACHE_FORMAT_MARK_LATEST, latest_name, &latest, 0);
	fold_marks(turn, expire_ms);
}

static void load_marks(struct cache *cache, struct store *store)
{
	struct arena arena;
	struct key start, end;
	struct cursor cursor;
	struct slice store_key, name;
	struct value value;
	uint8_t kind;
	arena_init(&arena, 4096);
	start = (struct key){ .size = 1, .bytes = { TABLE_CACHE_MARK } };
	key_of_table_end(&end, TABLE_CACHE_MARK);
	cursor_open(&cursor, store, NULL, &arena, key_slice(&start), key_slice(&end), false);
	while (cursor_next(&cursor, &store_key, &value)) {
		uint64_t numbers[2];
		if (!key_parse_cache_mark(store_key, &kind, &name) ||
			value.data.size != sizeof(numbers))
			damaged("an invalidation of the cache", 0, store_key);
		memcpy(numbers, value.data.data, sizeof(numbers));
		struct mark mark = { le64toh(numbers[0]), le64toh(numbers[1]) };
		marks_restore(cache->marks, kind, name, &mark);
	}
	marks_restored(cache->marks);
	cursor_close(&cursor);
	arena_fini(&arena);
}

/* An entry may be durable that has seen an invalidation which a crash has lost: its number must not
 * be given again. */
static void load_sums(struct cache *cache, uint16_t number)
{
	struct arena arena;
	struct key start, end;
	struct cursor cursor;
	struct slice store_key;
	struct value value;
	struct cache_sums sums;
	struct shard_cache *shard = &cache->shards[number];
	arena_init(&arena, 4096);
	start = (struct key){ .size = 1, .bytes = { TABLE_CACHE_SUMS } };
	key_of_table_end(&end, TABLE_CACHE_SUMS);
	cursor_open(&cursor, cache->engine->stores[number], NULL, &arena, key_slice(&start),
		key_slice(&end), false);
	while (cursor_next(&cursor, &store_key, &value)) {
		decode_sums(number, store_key, value.data, &sums);
		if (store_key.size == 1)
			shard->place_seen = sums.next_place;
		struct mark seen = { .hard = sums.sequence };
		marks_restore(cache->marks, CACHE_FORMAT_MARK_LATEST, latest_name, &seen);
		shard->groups += store_key.size > 1;
	}
	cursor_close(&cursor);
	arena_fini(&arena);
}

/* --- the whole -------------------------------------------------------------------------------- */

static const struct room cache_room = { .name = "cache", .expire = expire };

struct cache *cache_in(const struct engine *engine)
{
	return engine_room(engine, &cache_room);
}

struct cache *cache_new(struct engine *engine)
{
	struct cache *cache = memory_zeroed(sizeof(*cache));
	assert(leases_in(engine));
	cache->engine = engine;
	cache->marks = marks_new();
	cache->board = origin_board_new((struct config *)(uintptr_t)engine->config);
	cache->shards = memory_zeroed(engine->shard_count * sizeof(*cache->shards));
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		struct shard_cache *shard = &cache->shards[i];
		uint64_t seed;
		random_entropy(&seed, sizeof(seed));
		random_seed(&shard->random, seed);
		shard->hot =
			hot_new((size_t)(engine->config->cache_memory_bytes / engine->shard_count));
		shard->stats = stats_new();
		load_sums(cache, i);
	}
	load_marks(cache, engine->stores[0]);
	engine_open_room(engine, &cache_room, cache);
	return cache;
}

void cache_free(struct cache **taken)
{
	struct cache *cache = *taken;
	*taken = NULL;
	if (cache == NULL)
		return;
	for (uint16_t i = 0; i < cache->engine->shard_count; i++) {
		hot_free(&cache->shards[i].hot);
		stats_free(&cache->shards[i].stats);
	}
	marks_free(&cache->marks);
	origin_board_free(&cache->board);
	engine_close_room(cache->engine, &cache_room);
	memory_free(cache->shards);
	memory_free(cache);
}
