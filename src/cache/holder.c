/*
 * holder: see holder.h.
 *
 * Threads: see holder.h.
 */
#include "cache/holder.h"

#include "leases/leases.h"

static const struct slice no_purpose;

static struct lease_table *table_of(const struct turn *turn)
{
	return leases_of(turn, turn->shard);
}

/* Of a note. */
enum word { WORD_SEQUENCE, WORD_BEGUN_MS, WORD_TTL_MS, WORD_STALE_MS };

void holder_begin(
	struct turn *turn, struct slice key, struct slice token, int64_t ttl_ms, int64_t stale_ms)
{
	struct lease_note note = { .words = {
					   [WORD_SEQUENCE] = marks_latest(cache_marks(turn)),
					   [WORD_BEGUN_MS] = (uint64_t)leases_now_ms(turn),
					   [WORD_TTL_MS] = (uint64_t)ttl_ms,
					   [WORD_STALE_MS] = (uint64_t)stale_ms,
				   } };
	lease_note_set(table_of(turn), cache_subject(turn, key), no_purpose, token, &note);
}

bool holder_lives(
	struct turn *turn, struct slice key, struct slice token, int64_t *ttl_ms, int64_t *stale_ms)
{
	struct lease_note note;
	if (!lease_note_get(table_of(turn), cache_subject(turn, key), no_purpose, token, &note) ||
		(int64_t)note.words[WORD_TTL_MS] < 0)
		return false;
	*ttl_ms = (int64_t)note.words[WORD_TTL_MS];
	*stale_ms = (int64_t)note.words[WORD_STALE_MS];
	return true;
}

static bool holds(struct turn *turn, struct slice key, struct slice token, struct lease_note *note)
{
	struct slice subject = cache_subject(turn, key);
	if (lease_holds(table_of(turn), subject, no_purpose, token, leases_now_ms(turn)) &&
		lease_note_get(table_of(turn), subject, no_purpose, token, note))
		return true;
	stats_add(cache_stats(turn), key, STAT_LEASES_LOST, 1);
	return false;
}

bool holder_release(struct turn *turn, struct slice key, struct slice token)
{
	bool held = lease_release(
		table_of(turn), cache_subject(turn, key), no_purpose, token, leases_now_ms(turn));
	leases_used(turn);
	return held;
}

static bool is_outdated(struct turn *turn, struct slice key, const struct cache_record *record,
	const struct lease_note *note)
{
	struct mark mark = marks_of(cache_marks(turn), key, record->tags);
	/* One that does not name its tags again is under those that it had. */
	struct mark old = marks_of(cache_marks(turn), key, cache_tags(turn, key));
	uint64_t sequence = note->words[WORD_SEQUENCE];
	return mark.hard > sequence || mark.soft > sequence || old.hard > sequence ||
		old.soft > sequence;
}

bool holder_put(
	struct turn *turn, struct slice key, struct slice token, struct cache_record *record)
{
	struct lease_note note;
	int64_t now_ms = leases_now_ms(turn);
	if (!holds(turn, key, token, &note))
		return false;
	if (is_outdated(turn, key, record, &note)) {
		stats_add(cache_stats(turn), key, STAT_LEASES_LOST, 1);
		holder_release(turn, key, token);
		return false;
	}
	record->filled_ms = turn->now_ms;
	record->sequence = note.words[WORD_SEQUENCE];
	record->delta_ms = now_ms - (int64_t)note.words[WORD_BEGUN_MS];
	cache_put(turn, key, record);
	leases_commit(turn, cache_subject(turn, key), no_purpose, token);
	stats_add(cache_stats(turn), key, STAT_REFRESHES, 1);
	return true;
}

bool holder_fail(struct turn *turn, struct slice key, struct slice token, int64_t retry_ms)
{
	struct lease_note note;
	struct cache_entry entry;
	if (!holds(turn, key, token, &note))
		return false;
	/* Found, it is in memory, which alone knows of failures. */
	if (cache_find(turn, key, &entry))
		cache_note_failure(turn, key, turn->now_ms + retry_ms);
	stats_add(cache_stats(turn), key, STAT_FAILURES, 1);
	return holder_release(turn, key, token);
}

bool holder_renew(struct turn *turn, struct slice key, struct slice token, int64_t ms)
{
	struct lease_note note;
	if (!holds(turn, key, token, &note))
		return false;
	lease_renew(table_of(turn), cache_subject(turn, key), no_purpose, token, ms,
		leases_now_ms(turn));
	leases_used(turn);
	return true;
}
