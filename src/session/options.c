/*
 * options: see options.h. One row an option: its word, whether a value follows, how it is read.
 *
 * Threads: any.
 */
#include "session/options.h"

#include "base/number.h"
#include "config/config.h"
#include "json/json.h"

struct option {
	const char *word;
	enum session_option bit;
	/* Reads the value behind the word; NULL: none follows. False: answered with an error. */
	bool (*read)(struct turn *turn, struct slice value, struct session_options *out);
};

static bool read_life(
	struct turn *turn, struct slice value, const char *what, int64_t least_s, int64_t *out_ms)
{
	int64_t life_s;
	if (!number_parse_i64(value, &life_s) || life_s < least_s || life_s > LIMIT_LIFE_S) {
		turn_error(turn, ERROR_SESSION_LIFE, what, (long long)least_s,
			(long long)LIMIT_LIFE_S);
		return false;
	}
	*out_ms = life_s * 1000;
	return true;
}

static bool read_ttl(struct turn *turn, struct slice value, struct session_options *out)
{
	return read_life(turn, value, "TTL", 1, &out->ttl_ms);
}

static bool read_absolute(struct turn *turn, struct slice value, struct session_options *out)
{
	return read_life(turn, value, "ABSOLUTE", 1, &out->absolute_ms);
}

static bool read_grace(struct turn *turn, struct slice value, struct session_options *out)
{
	return read_life(turn, value, "GRACE", 0, &out->grace_ms);
}

/* Empty: of nobody. */
static bool read_user(struct turn *turn, struct slice value, struct session_options *out)
{
	out->user = value;
	return value.size == 0 || session_user_check(turn, value);
}

static bool read_data(struct turn *turn, struct slice value, struct session_options *out)
{
	out->data = value;
	return session_json_check(turn, value);
}

static bool read_id(struct turn *turn, struct slice value, struct session_options *out)
{
	out->id = value;
	return session_id_check(turn, value) && session_new_id_check(turn, value);
}

static bool read_version(struct turn *turn, struct slice value, struct session_options *out)
{
	int64_t version;
	if (!number_parse_i64(value, &version) || version < 0) {
		turn_error(turn, ERROR_SESSION_NUMBER);
		return false;
	}
	out->version = (uint64_t)version;
	return true;
}

static bool read_maxper(struct turn *turn, struct slice value, struct session_options *out)
{
	int64_t most;
	if (!number_parse_i64(value, &most) || most < 1 || most > LIMIT_SESSIONS_PER_USER) {
		turn_error(turn, ERROR_SESSION_MAXPER, LIMIT_SESSIONS_PER_USER);
		return false;
	}
	out->per_user_max = (uint32_t)most;
	return true;
}

static bool read_ms(struct turn *turn, struct slice value, struct session_options *out)
{
	if (number_parse_i64(value, &out->lease_ms) && out->lease_ms >= 1 &&
		out->lease_ms <= LIMIT_LEASE_MS)
		return true;
	turn_error(turn, ERROR_LEASE_MS, LIMIT_LEASE_MS);
	return false;
}

static bool read_wait(struct turn *turn, struct slice value, struct session_options *out)
{
	if (number_parse_i64(value, &out->wait_ms) && out->wait_ms >= 0 &&
		out->wait_ms <= LIMIT_LEASE_WAIT_MS)
		return true;
	turn_error(turn, ERROR_LEASE_WAIT, LIMIT_LEASE_WAIT_MS);
	return false;
}

static const struct option options[] = {
	{ "ttl", OPTION_TTL, read_ttl },
	{ "absolute", OPTION_ABSOLUTE, read_absolute },
	{ "user", OPTION_USER, read_user },
	{ "nx", OPTION_NX, NULL },
	{ "xx", OPTION_XX, NULL },
	{ "ifversion", OPTION_IFVERSION, read_version },
	{ "deep", OPTION_DEEP, NULL },
	{ "data", OPTION_DATA, read_data },
	{ "id", OPTION_ID, read_id },
	{ "maxper", OPTION_MAXPER, read_maxper },
	{ "reject", OPTION_REJECT, NULL },
	{ "notouch", OPTION_NOTOUCH, NULL },
	{ "data", OPTION_ONLY_DATA, NULL },
	{ "grace", OPTION_GRACE, read_grace },
	{ "ms", OPTION_MS, read_ms },
	{ "wait", OPTION_WAIT, read_wait },
};

static const struct option *find_option(struct slice word, uint32_t allowed)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if ((options[i].bit & allowed) && slice_is(word, options[i].word))
			return &options[i];
	return NULL;
}

/* By this one: itself, and of NX and XX the other. */
static uint32_t excluded(const struct option *option)
{
	const uint32_t conditions = OPTION_NX | OPTION_XX;
	return option->bit & conditions ? conditions : option->bit;
}

bool session_options_parse(
	struct turn *turn, uint32_t first, uint32_t allowed, struct session_options *out)
{
	uint32_t count = turn->asked->argument_count;
	*out = (struct session_options){ 0 };
	for (uint32_t i = first; i < count; i++) {
		const struct option *option = find_option(turn_argument(turn, i), allowed);
		bool valued = option && option->read;
		if (!option || (out->given & excluded(option)) || (valued && i + 1 == count)) {
			turn_syntax_error(turn, valued && i + 1 == count ? count : i);
			return false;
		}
		out->given |= option->bit;
		if (valued && !option->read(turn, turn_argument(turn, ++i), out))
			return false;
	}
	return true;
}

bool session_id_check(struct turn *turn, struct slice id)
{
	if (id.size > 0 && id.size <= LIMIT_KEY_BYTES)
		return true;
	turn_error(turn, ERROR_SESSION_ID, LIMIT_KEY_BYTES);
	return false;
}

bool session_new_id_check(struct turn *turn, struct slice id)
{
	if (!session_is_handle(id))
		return true;
	turn_error(turn, ERROR_SESSION_HANDLE);
	return false;
}

bool session_user_check(struct turn *turn, struct slice user)
{
	if (user.size > 0 && user.size <= LIMIT_USER_BYTES)
		return true;
	turn_error(turn, ERROR_SESSION_USER, LIMIT_USER_BYTES);
	return false;
}

bool session_size_check(struct turn *turn, size_t size)
{
	size_t most = (size_t)turn->config->value_bytes_max;
	if (most > LIMIT_SESSION_BYTES)
		most = LIMIT_SESSION_BYTES;
	if (size <= most)
		return true;
	turn_error(turn, ERROR_SESSION_SIZE, size, most);
	return false;
}

bool session_json_check(struct turn *turn, struct slice json)
{
	struct json_error error;
	if (!session_size_check(turn, json.size))
		return false;
	if (json_check(json, &error))
		return true;
	turn_error(turn, ERROR_SESSION_JSON, error.position, error.why);
	return false;
}

bool session_object_check(struct turn *turn, struct slice json, const char *what)
{
	if (json_is_object(json))
		return true;
	turn_error(turn, ERROR_SESSION_OBJECT, what);
	return false;
}

bool session_purpose_check(struct turn *turn, struct slice purpose)
{
	if (purpose.size > 0 && purpose.size <= LIMIT_LEASE_PURPOSE_BYTES)
		return true;
	turn_error(turn, ERROR_PURPOSE, LIMIT_LEASE_PURPOSE_BYTES);
	return false;
}
