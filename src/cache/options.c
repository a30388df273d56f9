/*
 * options: see options.h. One row an option: its word and how its values are read. A reader gets
 * the index of the word and returns that of its last value; 0: answered with an error.
 *
 * Threads: any.
 */
#include "cache/options.h"

#include "base/number.h"
#include "cache/cache_record.h"
#include "engine/engine.h"
#include "object/object_key.h"

#define VALUES_OF_CALL 3
#define BETA_MAX       1000
/* Of a record besides the value: keys, tags, sums, and what is evicted with it. */
#define ROOM_BYTES_MAX (256 * 1024)
#define ROOM_PART      4

struct option {
	const char *word;
	enum cache_option bit;
	uint32_t values; /* that follow, at least */
	uint32_t (*read)(struct turn *turn, uint32_t at, struct cache_options *out);
};

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

static uint32_t read_ttl(struct turn *turn, uint32_t at, struct cache_options *out)
{
	return cache_age_parse(turn, "TTL", turn_argument(turn, at + 1), &out->ttl_ms) ? at + 1 : 0;
}

static uint32_t read_absent_ttl(struct turn *turn, uint32_t at, struct cache_options *out)
{
	if (!read_ttl(turn, at, out))
		return 0;
	if (out->ttl_ms > 0)
		return at + 1;
	turn_error(turn, ERROR_CACHE_AGE, "TTL", 1, (long long)(LIMIT_CACHE_AGE_MS / 1000));
	return 0;
}

static uint32_t read_stale(struct turn *turn, uint32_t at, struct cache_options *out)
{
	return cache_age_parse(turn, "STALE", turn_argument(turn, at + 1), &out->stale_ms) ? at + 1
											   : 0;
}

static uint32_t read_jitter(struct turn *turn, uint32_t at, struct cache_options *out)
{
	return cache_age_parse(turn, "JITTER", turn_argument(turn, at + 1), &out->jitter_ms)
		? at + 1
		: 0;
}

static uint32_t read_tags(struct turn *turn, uint32_t at, struct cache_options *out)
{
	int64_t count;
	uint32_t left = turn->asked->argument_count - at - 2;
	bool good = number_parse_i64(turn_argument(turn, at + 1), &count) && count >= 1 &&
		count <= LIMIT_CACHE_TAGS && (uint64_t)count <= left;
	for (int64_t i = 0; good && i < count; i++) {
		size_t size = turn_argument(turn, at + 2 + (uint32_t)i).size;
		good = size > 0 && size <= LIMIT_CACHE_TAG_BYTES;
	}
	if (!good) {
		turn_error(turn, ERROR_CACHE_TAGS, LIMIT_CACHE_TAGS, LIMIT_CACHE_TAG_BYTES);
		return 0;
	}
	out->tag_count = (uint32_t)count;
	out->tags =
		cache_tags_pack(&turn->asked->arguments[at + 2], out->tag_count, turn_arena(turn));
	return at + 1 + out->tag_count;
}

static uint32_t read_flag(struct turn *turn, uint32_t at, struct cache_options *out)
{
	return at;
}

static uint32_t read_wait(struct turn *turn, uint32_t at, struct cache_options *out)
{
	if (number_parse_i64(turn_argument(turn, at + 1), &out->wait_ms) && out->wait_ms >= 0 &&
		out->wait_ms <= LIMIT_LEASE_WAIT_MS)
		return at + 1;
	turn_error(turn, ERROR_LEASE_WAIT, LIMIT_LEASE_WAIT_MS);
	return 0;
}

static uint32_t read_lease(struct turn *turn, uint32_t at, struct cache_options *out)
{
	if (number_parse_i64(turn_argument(turn, at + 1), &out->lease_ms) && out->lease_ms >= 1 &&
		out->lease_ms <= LIMIT_LEASE_MS)
		return at + 1;
	turn_error(turn, ERROR_CACHE_LEASE, LIMIT_LEASE_MS);
	return 0;
}

static uint32_t read_retry(struct turn *turn, uint32_t at, struct cache_options *out)
{
	if (number_parse_i64(turn_argument(turn, at + 1), &out->retry_ms) && out->retry_ms >= 0 &&
		out->retry_ms <= LIMIT_LEASE_MS)
		return at + 1;
	turn_error(turn, ERROR_CACHE_RETRY, LIMIT_LEASE_MS);
	return 0;
}

static uint32_t read_beta(struct turn *turn, uint32_t at, struct cache_options *out)
{
	long double beta;
	if (number_parse_float(turn_argument(turn, at + 1), &beta) && beta > 0 &&
		beta <= BETA_MAX) {
		out->beta = (double)beta;
		return at + 1;
	}
	turn_error(turn, ERROR_CACHE_BETA);
	return 0;
}

static uint32_t read_call(struct turn *turn, uint32_t at, struct cache_options *out)
{
	for (uint32_t i = 0; i < VALUES_OF_CALL; i++)
		out->call[i] = turn_argument(turn, at + 1 + i);
	if (!object_class_name_ok(out->call[0]))
		turn_error(turn, ERROR_CLASS_NAME);
	else if (out->call[1].size == 0 || out->call[1].size > LIMIT_KEY_BYTES)
		turn_error(turn, ERROR_ID);
	else if (out->call[2].size == 0 || out->call[2].size > LIMIT_CLASS_NAME_BYTES)
		turn_error(turn, ERROR_CACHE_METHOD, LIMIT_CLASS_NAME_BYTES);
	else
		return at + VALUES_OF_CALL;
	return 0;
}

static uint32_t read_message(struct turn *turn, uint32_t at, struct cache_options *out)
{
	out->message = turn_argument(turn, at + 1);
	if (out->message.size <= LIMIT_CACHE_MESSAGE_BYTES)
		return at + 1;
	turn_error(turn, ERROR_CACHE_MESSAGE, LIMIT_CACHE_MESSAGE_BYTES);
	return 0;
}

static const struct option options[] = {
	{ "ttl", CACHE_OPTION_TTL, 1, read_ttl },
	{ "ttl", CACHE_OPTION_ABSENT_TTL, 1, read_absent_ttl },
	{ "stale", CACHE_OPTION_STALE, 1, read_stale },
	{ "jitter", CACHE_OPTION_JITTER, 1, read_jitter },
	{ "tags", CACHE_OPTION_TAGS, 2, read_tags },
	{ "nx", CACHE_OPTION_NX, 0, read_flag },
	{ "wait", CACHE_OPTION_WAIT, 1, read_wait },
	{ "lease", CACHE_OPTION_LEASE, 1, read_lease },
	{ "early", CACHE_OPTION_EARLY, 1, read_beta },
	{ "call", CACHE_OPTION_CALL, VALUES_OF_CALL, read_call },
	{ "retry", CACHE_OPTION_RETRY, 1, read_retry },
	{ "message", CACHE_OPTION_MESSAGE, 1, read_message },
};

static const struct option *find_option(struct slice word, uint32_t allowed)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if ((options[i].bit & allowed) && slice_is(word, options[i].word))
			return &options[i];
	return NULL;
}

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
	uint32_t count = turn->asked->argument_count;
	*out = (struct cache_options){ 0 };
	for (uint32_t i = first; i < count; i++) {
		const struct option *option = find_option(turn_argument(turn, i), allowed);
		bool short_of_values = option && count - i <= option->values;
		if (!option || (out->given & option->bit) || short_of_values) {
			turn_syntax_error(turn, short_of_values ? count : i);
			return false;
		}
		out->given |= option->bit;
		i = option->read(turn, i, out);
		if (i == 0)
			return false;
	}
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
