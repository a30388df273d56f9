/*
 * swr_commands: CACHE.SWR and what the holder of a key's lease answers: FILL, FAIL, ABSENT, RENEW.
 *
 *   SWR --> what is there -----------------------> fresh, absent, stale, failed
 *       --> the lease was free ------------------> refresh (with the stale value), lead (without)
 *       --> nothing usable, somebody is on it: parked --(FILL, ABSENT)--> fresh, absent
 *                                                     --(FAIL, time-out, gone)--> the first: lead
 *                                                     --(WAIT is over)--> busy
 *
 * At any time one caller at the most holds a key's lease. With it goes a note: how many
 * invalidations there had been when it was granted, and when that was. A FILL of something that was
 * invalidated since is refused.
 *
 * Where the server refreshes by itself (origin.h) it takes the lease in the caller's place, and the
 * caller waits for it like others, or has the stale value.
 *
 * Threads: the turn's.
 */
#include "cache/commands.h"

#include "base/logline.h"
#include "base/number.h"
#include "cache/holder.h"
#include "cache/options.h"
#include "cache/origin.h"
#include "leases/leases.h"

#include <ctype.h>
#include <math.h>

#define WAIT_MS_DEFAULT       5000
#define CALL_LEASE_MS         (LIMIT_CALL_LIFE_MS + 60000)
#define SERVER_RETRY_MS       1000
#define LEASE_MS_DEFAULT      10000
#define ABSENT_TTL_MS_DEFAULT 60000

/* What an SWR keeps from turn to turn. */
struct swr_call {
	struct lease_wait wait;
	struct cache_options options;
	struct slice subject;
	int64_t ttl_ms; /* -1: the entry's own */
	int64_t stale_ms;
	int64_t until_ms; /* it waits no longer, as leases count */
	bool has_waited;
	bool by_server; /* the server refreshes this key by itself */
};

static const struct slice no_purpose;

/* What there is, and what it is worth to this caller. */
struct view {
	struct cache_entry entry;
	bool fresh;
	bool usable;
	bool serves_error; /* a value may be served when refreshing fails */
	bool has_failed;   /* it has, and so it is */
	int64_t ttl_ms;
	int64_t retry_ms;
};

static struct slice key_of(const struct turn *turn)
{
	return turn_argument(turn, 1);
}

static void count(struct turn *turn, enum cache_stat stat)
{
	stats_add(cache_stats(turn), key_of(turn), stat, 1);
}

/* --- replies ---------------------------------------------------------------------------------- */

static void write_state(struct turn *turn, const char *state, enum cache_stat stat)
{
	count(turn, stat);
	writer_array(&turn->writer, 5);
	writer_bulk_text(&turn->writer, state);
}

static void write_valued(struct turn *turn, const char *state, enum cache_stat stat,
	const struct cache_entry *entry, const char *token, int64_t retry_ms)
{
	struct writer *writer = &turn->writer;
	write_state(turn, state, stat);
	if (entry && !entry->absent)
		writer_bulk(writer, entry->value);
	else
		writer_null(writer);
	if (entry)
		writer_integer(writer, entry->age_ms);
	else
		writer_null(writer);
	if (token)
		writer_bulk_text(writer, token);
	else
		writer_null(writer);
	if (retry_ms >= 0)
		writer_integer(writer, retry_ms);
	else
		writer_null(writer);
}

static void write_granted(struct turn *turn, const struct cache_entry *entry, const char *token)
{
	turn->gave_lease = true;
	if (entry)
		write_valued(turn, "refresh", STAT_REFRESH, entry, token, -1);
	else
		write_valued(turn, "lead", STAT_LEAD, NULL, token, -1);
}

/* --- leases ----------------------------------------------------------------------------------- */

static struct lease_table *table_of(const struct turn *turn)
{
	return leases_of(turn, turn->shard);
}

/* A call of an object ends when it ends, and then the lease with it. */
static int64_t lease_of(const struct swr_call *call)
{
	bool calls = call->by_server && (call->options.given & CACHE_OPTION_CALL);
	return calls ? CALL_LEASE_MS : call->options.lease_ms;
}

static enum lease_answer ask(
	struct turn *turn, struct swr_call *call, bool waits, struct lease_grant *grant)
{
	int64_t now_ms = leases_now_ms(turn);
	int64_t wait_ms = waits && call->until_ms > now_ms ? call->until_ms - now_ms : 0;
	struct lease_terms terms = leases_terms(turn, lease_of(call), wait_ms);
	/* The server's own lease does not end with who happened to ask. */
	terms.lasting = call->by_server;
	enum lease_answer answer = lease_ask(table_of(turn), call->subject, no_purpose, &terms,
		waits ? &call->wait.waiter : NULL, now_ms, grant);
	if (answer == LEASE_NOW)
		holder_begin(
			turn, key_of(turn), slice_text(grant->token), call->ttl_ms, call->stale_ms);
	return answer;
}

static struct origin_order order_of(const struct turn *turn, const struct swr_call *call)
{
	struct origin_order order = {
		.key = key_of(turn),
		.ttl_ms = call->ttl_ms,
		.stale_ms = call->stale_ms,
		.lease_ms = call->options.lease_ms,
	};
	if (call->options.given & CACHE_OPTION_CALL) {
		order.class_name = call->options.call[0];
		order.id = call->options.call[1];
		order.method = call->options.call[2];
	}
	return order;
}

/* Whether the server refreshes this key by itself; the lease is then its own. ORIGIN_PAUSED: it
 * would, but not now: the lease has been handed on. */
static enum origin_answer hand_to_server(
	struct turn *turn, struct swr_call *call, const char *token, int64_t *retry_ms)
{
	struct origin_order order = order_of(turn, call);
	order.token = slice_text(token);
	enum origin_answer answer = origin_refresh(turn, &order, retry_ms);
	if (answer == ORIGIN_PAUSED)
		holder_release(turn, key_of(turn), order.token);
	return answer;
}

/* --- SWR -------------------------------------------------------------------------------------- */

static int64_t limit_of(int64_t given_ms, int64_t own_ms)
{
	return given_ms >= 0 ? given_ms : own_ms;
}

/* XFetch (Vattani, Chierichetti, Lowenstein 2015): earlier the longer a fetch takes, at random. */
static bool is_early(struct turn *turn, const struct swr_call *call,
	const struct cache_entry *entry, int64_t ttl_ms)
{
	if (!(call->options.given & CACHE_OPTION_EARLY) || entry->delta_ms == 0)
		return false;
	double ahead_ms = -(double)entry->delta_ms * call->options.beta * log(cache_random(turn));
	return (double)entry->age_ms + ahead_ms >= (double)ttl_ms;
}

/* A value is there, and its time is over or nearly so: whoever gets the lease refreshes it. */
static void refresh(
	struct turn *turn, struct swr_call *call, const struct cache_entry *entry, bool early)
{
	struct lease_grant grant;
	int64_t retry_ms;
	enum origin_answer server = ORIGIN_NONE;
	bool granted = ask(turn, call, false, &grant) == LEASE_NOW;
	if (granted)
		server = hand_to_server(turn, call, grant.token, &retry_ms);
	if (granted && early)
		count(turn, STAT_EARLY);
	if (granted && server == ORIGIN_NONE)
		write_granted(turn, entry, grant.token);
	else if (early)
		write_valued(turn, "fresh", STAT_FRESH, entry, NULL, -1);
	else if (server == ORIGIN_PAUSED)
		write_valued(turn, "failed", STAT_FAILED, entry, NULL, retry_ms);
	else
		write_valued(turn, "stale", STAT_STALE, entry, NULL, -1);
}

static void wait_or_leave(struct turn *turn, struct swr_call *call, enum lease_answer answer,
	const struct lease_grant *grant)
{
	if (answer != LEASE_WAITS) {
		/* The server's own lease says little of when it will be done. */
		bool is_server = call->by_server && grant->ms > SERVER_RETRY_MS;
		write_valued(turn, "busy", STAT_BUSY, NULL, NULL,
			is_server ? SERVER_RETRY_MS : grant->ms);
		return;
	}
	if (!call->has_waited)
		count(turn, STAT_COALESCED);
	call->has_waited = true;
	lease_wait_begin(turn, &call->wait);
}

/* It has the lease, and nothing to serve but what an origin that is left alone leaves to serve. */
static void lead_with(struct turn *turn, struct swr_call *call, const struct view *view,
	const char *token, bool waits)
{
	struct lease_grant grant;
	int64_t retry_ms;
	enum origin_answer server = hand_to_server(turn, call, token, &retry_ms);
	if (server == ORIGIN_NONE)
		write_granted(turn, NULL, token);
	else if (server == ORIGIN_PAUSED && view->serves_error)
		write_valued(turn, "failed", STAT_FAILED, &view->entry, NULL, retry_ms);
	else if (server == ORIGIN_PAUSED)
		write_valued(turn, "busy", STAT_BUSY, NULL, NULL, retry_ms);
	else
		wait_or_leave(turn, call, ask(turn, call, waits, &grant), &grant);
}

/* Nothing may be served. */
static void lead(struct turn *turn, struct swr_call *call, const struct view *view, bool waits)
{
	struct lease_grant grant;
	if (!call->has_waited)
		count(turn, STAT_MISS);
	enum lease_answer answer = ask(turn, call, waits, &grant);
	if (answer == LEASE_NOW)
		lead_with(turn, call, view, grant.token, waits);
	else
		wait_or_leave(turn, call, answer, &grant);
}

static void view_init(struct view *view, struct turn *turn, const struct swr_call *call)
{
	struct cache_entry *entry = &view->entry;
	bool found = cache_find(turn, key_of(turn), entry);
	view->ttl_ms = limit_of(call->ttl_ms, entry->ttl_ms);
	int64_t stale_ms = limit_of(call->stale_ms, entry->stale_ms);
	int64_t usable_ms = stale_ms > view->ttl_ms ? stale_ms : view->ttl_ms;
	view->fresh = found && !entry->soft && entry->age_ms < view->ttl_ms;
	view->usable = found && !entry->absent && entry->age_ms < usable_ms;
	view->retry_ms = found ? entry->failed_until_ms - turn->now_ms : 0;
	view->serves_error =
		found && !entry->absent && (view->usable || entry->age_ms < entry->error_ms);
	view->has_failed = view->serves_error && view->retry_ms > 0;
}

static void write_fresh(struct turn *turn, const struct cache_entry *entry)
{
	if (entry->absent)
		write_valued(turn, "absent", STAT_ABSENT, entry, NULL, -1);
	else
		write_valued(turn, "fresh", STAT_FRESH, entry, NULL, -1);
}

static void step(struct turn *turn, struct swr_call *call, bool waits)
{
	struct view view;
	view_init(&view, turn, call);
	if (!call->has_waited)
		cache_count_read(turn, key_of(turn), &view.entry,
			view.fresh || view.usable || view.has_failed);
	bool may_refresh = !view.entry.absent && view.retry_ms <= 0;
	if (view.fresh && may_refresh && is_early(turn, call, &view.entry, view.ttl_ms))
		refresh(turn, call, &view.entry, true);
	else if (view.fresh)
		write_fresh(turn, &view.entry);
	else if (view.has_failed)
		write_valued(turn, "failed", STAT_FAILED, &view.entry, NULL, view.retry_ms);
	else if (view.usable)
		refresh(turn, call, &view.entry, false);
	else
		lead(turn, call, &view, waits);
}

/* It holds the lease that it has waited for; the entry may have come another way meanwhile, or be
 * one that is served now that refreshing it has failed. What ran between the grant and this turn
 * may have ended the lease again. */
static void take_over(struct turn *turn, struct swr_call *call)
{
	struct view view;
	const char *token = call->wait.waiter.grant.token;
	if (!lease_holds(table_of(turn), call->subject, no_purpose, slice_text(token),
		    leases_now_ms(turn))) {
		step(turn, call, true);
		return;
	}
	holder_begin(turn, key_of(turn), slice_text(token), call->ttl_ms, call->stale_ms);
	view_init(&view, turn, call);
	if (view.fresh) {
		holder_release(turn, key_of(turn), slice_text(token));
		write_fresh(turn, &view.entry);
	} else if (view.has_failed) {
		holder_release(turn, key_of(turn), slice_text(token));
		write_valued(turn, "failed", STAT_FAILED, &view.entry, NULL, view.retry_ms);
	} else {
		/* The token's memory is the waiter's, which may wait again. */
		struct slice copy = arena_format(turn_arena(turn), "%s%c", token, 0);
		lead_with(turn, call, &view, copy.data, true);
	}
}

static void take_filled(struct turn *turn, struct swr_call *call)
{
	struct cache_entry entry;
	if (cache_find_filled(turn, key_of(turn), &entry))
		write_fresh(turn, &entry);
	else
		step(turn, call, true); /* it is gone again */
}

static void answer_wait(struct turn *turn, struct swr_call *call)
{
	if (call->wait.stopped)
		turn_error(turn, ERROR_SHUTTING_DOWN);
	else if (call->wait.outcome == LEASE_GRANTED)
		take_over(turn, call);
	else if (call->wait.outcome == LEASE_FILLED)
		take_filled(turn, call);
	else
		step(turn, call, call->wait.outcome == LEASE_GONE);
}

/* `[ttl stale]` stand in front of the options. */
static bool parse_windows(struct turn *turn, struct swr_call *call, uint32_t *first)
{
	int64_t number;
	uint32_t arguments = turn->asked->argument_count;
	call->ttl_ms = call->stale_ms = -1;
	*first = 2;
	if (arguments == 2 || !number_parse_i64(turn_argument(turn, 2), &number))
		return true;
	if (arguments < 4) {
		turn_syntax_error(turn, arguments);
		return false;
	}
	*first = 4;
	return cache_age_parse(turn, "ttl", turn_argument(turn, 2), &call->ttl_ms) &&
		cache_age_parse(turn, "stale", turn_argument(turn, 3), &call->stale_ms) &&
		cache_stale_check(turn, call->ttl_ms, call->stale_ms);
}

static struct swr_call *swr_call_new(struct turn *turn)
{
	struct swr_call *call = arena_alloc(turn_arena(turn), sizeof(*call));
	uint32_t first;
	memset(call, 0, sizeof(*call));
	if (!cache_key_check(turn, key_of(turn)) || !parse_windows(turn, call, &first) ||
		!cache_options_parse(turn, first,
			CACHE_OPTION_WAIT | CACHE_OPTION_LEASE | CACHE_OPTION_EARLY |
				CACHE_OPTION_CALL,
			&call->options))
		return NULL;
	if (!(call->options.given & CACHE_OPTION_WAIT))
		call->options.wait_ms = WAIT_MS_DEFAULT;
	if (!(call->options.given & CACHE_OPTION_LEASE))
		call->options.lease_ms = LEASE_MS_DEFAULT;
	call->subject = cache_subject(turn, key_of(turn));
	call->until_ms = leases_now_ms(turn) + call->options.wait_ms;
	struct origin_order order = order_of(turn, call);
	call->by_server = origin_knows(turn, &order);
	lease_wait_init(&call->wait, turn);
	turn->state = call;
	count(turn, STAT_SWRS);
	return call;
}

void cache_swr_command(struct turn *turn)
{
	struct swr_call *call = turn->state;
	bool begins = call == NULL;
	if (begins && !(call = swr_call_new(turn)))
		return;
	if (begins)
		step(turn, call, call->options.wait_ms > 0);
	else
		answer_wait(turn, call);
	leases_used(turn);
}

/* --- what the holder answers ------------------------------------------------------------------ */

static void answer_holder(struct turn *turn, bool held)
{
	if (held)
		writer_ok(&turn->writer);
	else
		turn_error(turn, ERROR_CACHE_LEASE_LOST);
}

/* The lives that the command gives, or the CACHE.SWR that was granted the lease did, or the entry
 * had: those have their jitter already. */
static bool fill_lives(
	struct turn *turn, const struct cache_options *options, struct cache_record *record)
{
	struct cache_record before;
	bool had = cache_read(turn, key_of(turn), &before) &&
		!(before.flags & CACHE_FORMAT_FLAG_ABSENT);
	bool is_new = true;
	record->ttl_ms = record->stale_ms = LIMIT_CACHE_AGE_MS;
	if (options->given & CACHE_OPTION_TTL) {
		record->ttl_ms = record->stale_ms = options->ttl_ms;
	} else if (holder_lives(turn, key_of(turn), turn_argument(turn, 2), &record->ttl_ms,
			   &record->stale_ms)) {
		/* Both are set. */
	} else if (had) {
		is_new = false;
		record->ttl_ms = before.ttl_ms;
		record->stale_ms = before.stale_ms;
		record->flags |= before.flags & CACHE_FORMAT_FLAG_LASTING;
	} else {
		record->flags |= CACHE_FORMAT_FLAG_LASTING;
	}
	if (options->given & CACHE_OPTION_STALE)
		record->stale_ms = options->stale_ms;
	if (!cache_stale_check(turn, record->ttl_ms, record->stale_ms))
		return false;
	if (is_new)
		cache_jitter(turn, options->jitter_ms, record);
	return true;
}

void cache_fill_command(struct turn *turn)
{
	struct cache_options options;
	if (!cache_key_check(turn, key_of(turn)) ||
		!cache_value_check(turn, turn_argument(turn, 3)) ||
		!cache_options_parse(turn, 4,
			CACHE_OPTION_TTL | CACHE_OPTION_STALE | CACHE_OPTION_JITTER |
				CACHE_OPTION_TAGS,
			&options))
		return;
	struct cache_record record = {
		.tag_count = (uint8_t)options.tag_count,
		.tags = options.tags,
		.value = turn_argument(turn, 3),
	};
	if (!fill_lives(turn, &options, &record))
		return;
	bool held = holder_put(turn, key_of(turn), turn_argument(turn, 2), &record);
	if (held)
		count(turn, STAT_FILLS);
	answer_holder(turn, held);
}

void cache_absent_command(struct turn *turn)
{
	struct cache_options options;
	if (!cache_key_check(turn, key_of(turn)) ||
		!cache_options_parse(turn, 3, CACHE_OPTION_ABSENT_TTL, &options))
		return;
	bool given = options.given & CACHE_OPTION_ABSENT_TTL;
	struct cache_record record = {
		.flags = CACHE_FORMAT_FLAG_ABSENT,
		.ttl_ms = given ? options.ttl_ms : ABSENT_TTL_MS_DEFAULT,
	};
	record.stale_ms = record.ttl_ms;
	answer_holder(turn, holder_put(turn, key_of(turn), turn_argument(turn, 2), &record));
}

/* For a log line: what is not printable is a dot, and what is long is cut. */
static struct slice printable(struct turn *turn, struct slice text)
{
	size_t size = text.size < LIMIT_CACHE_MESSAGE_BYTES ? text.size : LIMIT_CACHE_MESSAGE_BYTES;
	char *copy = arena_alloc(turn_arena(turn), size + 1);
	for (size_t i = 0; i < size; i++)
		copy[i] = isprint((unsigned char)text.data[i]) ? text.data[i] : '.';
	return slice_of(copy, size);
}

static void log_failure(struct turn *turn, struct slice message)
{
	uint64_t withheld;
	if (!cache_failure_may_be_logged(turn, key_of(turn), &withheld))
		return;
	struct slice key = printable(turn, key_of(turn));
	message = printable(turn, message.size ? message : slice_text("no MESSAGE"));
	logline(LOGLINE_WARNING,
		"Who refreshed %.*s in the cache says that it failed: %.*s (%llu more of such keys "
		"since the last such line)",
		(int)key.size, key.data, (int)message.size, message.data,
		(unsigned long long)withheld);
}

void cache_fail_command(struct turn *turn)
{
	struct cache_options options;
	if (!cache_key_check(turn, key_of(turn)) ||
		!cache_options_parse(turn, 3, CACHE_OPTION_RETRY | CACHE_OPTION_MESSAGE, &options))
		return;
	bool given = options.given & CACHE_OPTION_RETRY;
	bool held = holder_fail(turn, key_of(turn), turn_argument(turn, 2),
		given ? options.retry_ms : HOLDER_RETRY_MS_DEFAULT);
	if (held)
		log_failure(turn, options.message);
	answer_holder(turn, held);
}

void cache_renew_command(struct turn *turn)
{
	int64_t ms;
	if (!number_parse_i64(turn_argument(turn, 3), &ms) || ms < 1 || ms > LIMIT_LEASE_MS)
		turn_error(turn, ERROR_CACHE_LEASE, LIMIT_LEASE_MS);
	else if (cache_key_check(turn, key_of(turn)))
		answer_holder(turn, holder_renew(turn, key_of(turn), turn_argument(turn, 2), ms));
}
