/*
 * options: see options.h, and request/options.h for the rows.
 *
 * Threads: any.
 */
#include "cache/options.h"

#include "base/number.h"
#include "cache/cache_record.h"
#include "engine/engine.h"
#include "object/object_key.h"
#include "request/options.h"

#define VALUES_OF_CALL 3
#define BETA_MAX       1000
/* Of a record besides the value: keys, tags, sums, and what is evicted with it. */
#define ROOM_BYTES_MAX (256 * 1024)
#define ROOM_PART      4

bool cache_age_parse(struct turn *turn, const char *what, struct slice text, int64_t *out_ms)
{
	const int64_t most_s = LIMIT_CACHE_AGE_MS / 1000;
	int64_t age_s;
	if (number_parse_i64(text, &age_s) && age_s >= 0 && age_s <= most_s) {
		*out_ms = age_s * 1000;
		return true;
	}
	turn_error(turn, ERROR_CACHE_AGE, what, 0, (long long)most_s);
	return false;
}

static bool read_age(struct options *options, const char *what, int64_t *out_ms)
{
	return cache_age_parse(options->turn, what, options_value(options), out_ms);
}

static bool read_ttl(struct options *options)
{
	struct cache_options *out = options->out;
	return read_age(options, "TTL", &out->ttl_ms);
}

static bool read_absent_ttl(struct options *options)
{
	struct cache_options *out = options->out;
	if (!read_ttl(options))
		return false;
	if (out->ttl_ms > 0)
		return true;
	turn_error(
		options->turn, ERROR_CACHE_AGE, "TTL", 1, (long long)(LIMIT_CACHE_AGE_MS / 1000));
	return false;
}

static bool read_stale(struct options *options)
{
	struct cache_options *out = options->out;
	return read_age(options, "STALE", &out->stale_ms);
}

static bool read_jitter(struct options *options)
{
	struct cache_options *out = options->out;
	return read_age(options, "JITTER", &out->jitter_ms);
}

static bool read_tags(struct options *options)
{
	struct cache_options *out = options->out;
	struct slice *tags = &options->asked->arguments[options->at + 1];
	int64_t count;
	bool good = number_parse_i64(options_value(options), &count) && count >= 1 &&
		count <= LIMIT_CACHE_TAGS && (uint64_t)count <= options_left(options);
	for (int64_t i = 0; good && i < count; i++) {
		size_t size = options_value(options).size;
		good = size > 0 && size <= LIMIT_CACHE_TAG_BYTES;
	}
	if (!good) {
		turn_error(
			options->turn, ERROR_CACHE_TAGS, LIMIT_CACHE_TAGS, LIMIT_CACHE_TAG_BYTES);
		return false;
	}
	out->tag_count = (uint32_t)count;
	out->tags = cache_tags_pack(tags, out->tag_count, turn_arena(options->turn));
	return true;
}

static bool read_wait(struct options *options)
{
	struct cache_options *out = options->out;
	if (number_parse_i64(options_value(options), &out->wait_ms) && out->wait_ms >= 0 &&
		out->wait_ms <= LIMIT_LEASE_WAIT_MS)
		return true;
	turn_error(options->turn, ERROR_LEASE_WAIT, LIMIT_LEASE_WAIT_MS);
	return false;
}

static bool read_lease(struct options *options)
{
	struct cache_options *out = options->out;
	if (number_parse_i64(options_value(options), &out->lease_ms) && out->lease_ms >= 1 &&
		out->lease_ms <= LIMIT_LEASE_MS)
		return true;
	turn_error(options->turn, ERROR_CACHE_LEASE, LIMIT_LEASE_MS);
	return false;
}

static bool read_retry(struct options *options)
{
	struct cache_options *out = options->out;
	if (number_parse_i64(options_value(options), &out->retry_ms) && out->retry_ms >= 0 &&
		out->retry_ms <= LIMIT_LEASE_MS)
		return true;
	turn_error(options->turn, ERROR_CACHE_RETRY, LIMIT_LEASE_MS);
	return false;
}

static bool read_beta(struct options *options)
{
	struct cache_options *out = options->out;
	long double beta;
	if (number_parse_float(options_value(options), &beta) && beta > 0 && beta <= BETA_MAX) {
		out->beta = (double)beta;
		return true;
	}
	turn_error(options->turn, ERROR_CACHE_BETA);
	return false;
}

static bool read_call(struct options *options)
{
	struct cache_options *out = options->out;
	for (uint32_t i = 0; i < VALUES_OF_CALL; i++)
		out->call[i] = options_value(options);
	if (!object_class_name_ok(out->call[0]))
		turn_error(options->turn, ERROR_CLASS_NAME);
	else if (out->call[1].size == 0 || out->call[1].size > LIMIT_KEY_BYTES)
		turn_error(options->turn, ERROR_ID);
	else if (out->call[2].size == 0 || out->call[2].size > LIMIT_CLASS_NAME_BYTES)
		turn_error(options->turn, ERROR_CACHE_METHOD, LIMIT_CLASS_NAME_BYTES);
	else
		return true;
	return false;
}

static bool read_message(struct options *options)
{
	struct cache_options *out = options->out;
	out->message = options_value(options);
	if (out->message.size <= LIMIT_CACHE_MESSAGE_BYTES)
		return true;
	turn_error(options->turn, ERROR_CACHE_MESSAGE, LIMIT_CACHE_MESSAGE_BYTES);
	return false;
}

static const struct option rows[] = {
	{ "ttl", CACHE_OPTION_TTL, 0, 1, read_ttl },
	{ "ttl", CACHE_OPTION_ABSENT_TTL, 0, 1, read_absent_ttl },
	{ "stale", CACHE_OPTION_STALE, 0, 1, read_stale },
	{ "jitter", CACHE_OPTION_JITTER, 0, 1, read_jitter },
	{ "tags", CACHE_OPTION_TAGS, 0, 2, read_tags },
	{ "nx", CACHE_OPTION_NX, 0, 0, NULL },
	{ "wait", CACHE_OPTION_WAIT, 0, 1, read_wait },
	{ "lease", CACHE_OPTION_LEASE, 0, 1, read_lease },
	{ "early", CACHE_OPTION_EARLY, 0, 1, read_beta },
	{ "call", CACHE_OPTION_CALL, 0, VALUES_OF_CALL, read_call },
	{ "retry", CACHE_OPTION_RETRY, 0, 1, read_retry },
	{ "message", CACHE_OPTION_MESSAGE, 0, 1, read_message },
};

static const struct option_table table = {
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
	.misfit = options_say_where,
};

bool cache_stale_check(struct turn *turn, int64_t ttl_ms, int64_t stale_ms)
{
	if (stale_ms >= ttl_ms)
		return true;
	turn_error(turn, ERROR_CACHE_STALE);
	return false;
}

bool cache_options_parse(
	struct turn *turn, uint32_t first, uint32_t allowed, struct cache_options *out)
{
	struct options options = options_from(turn, first, out);
	*out = (struct cache_options){ 0 };
	if (!options_read(&options, &table, allowed))
		return false;
	out->given = options.given;
	bool both = (out->given & CACHE_OPTION_TTL) && (out->given & CACHE_OPTION_STALE);
	return !both || cache_stale_check(turn, out->ttl_ms, out->stale_ms);
}

bool cache_value_fits(const struct turn *turn, struct slice value)
{
	size_t most = gate_record_bytes_max(turn->engine->gate), room = most / ROOM_PART;
	return value.size + (room < ROOM_BYTES_MAX ? room : ROOM_BYTES_MAX) <= most;
}

bool cache_value_check(struct turn *turn, struct slice value)
{
	if (cache_value_fits(turn, value))
		return true;
	turn_error(turn, ERROR_CHANGE_SIZE);
	return false;
}

bool cache_key_check(struct turn *turn, struct slice key)
{
	if (key.size > 0 && key.size <= LIMIT_KEY_BYTES)
		return true;
	turn_error(turn, ERROR_CACHE_KEY, LIMIT_KEY_BYTES);
	return false;
}
