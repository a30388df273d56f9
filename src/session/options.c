/*
 * options: see options.h, and request/options.h for the rows.
 *
 * Threads: any.
 */
#include "session/options.h"

#include "base/number.h"
#include "config/config.h"
#include "request/options.h"
#include "json/json.h"

static bool read_life(struct options *options, const char *what, int64_t least_s, int64_t *out_ms)
{
	int64_t life_s;
	if (!number_parse_i64(options_value(options), &life_s) || life_s < least_s ||
		life_s > LIMIT_LIFE_S) {
		turn_error(options->turn, ERROR_SESSION_LIFE, what, (long long)least_s,
			(long long)LIMIT_LIFE_S);
		return false;
	}
	*out_ms = life_s * 1000;
	return true;
}

static bool read_ttl(struct options *options)
{
	struct session_options *out = options->out;
	return read_life(options, "TTL", 1, &out->ttl_ms);
}

static bool read_absolute(struct options *options)
{
	struct session_options *out = options->out;
	return read_life(options, "ABSOLUTE", 1, &out->absolute_ms);
}

static bool read_grace(struct options *options)
{
	struct session_options *out = options->out;
	return read_life(options, "GRACE", 0, &out->grace_ms);
}

/* Empty: of nobody. */
static bool read_user(struct options *options)
{
	struct session_options *out = options->out;
	out->user = options_value(options);
	return out->user.size == 0 || session_user_check(options->turn, out->user);
}

static bool read_data(struct options *options)
{
	struct session_options *out = options->out;
	out->data = options_value(options);
	return session_json_check(options->turn, out->data);
}

static bool read_id(struct options *options)
{
	struct session_options *out = options->out;
	out->id = options_value(options);
	return session_id_check(options->turn, out->id) &&
		session_new_id_check(options->turn, out->id);
}

static bool read_version(struct options *options)
{
	struct session_options *out = options->out;
	int64_t version;
	if (!number_parse_i64(options_value(options), &version) || version < 0) {
		turn_error(options->turn, ERROR_SESSION_NUMBER);
		return false;
	}
	out->version = (uint64_t)version;
	return true;
}

static bool read_maxper(struct options *options)
{
	struct session_options *out = options->out;
	int64_t most;
	if (!number_parse_i64(options_value(options), &most) || most < 1 ||
		most > LIMIT_SESSIONS_PER_USER) {
		turn_error(options->turn, ERROR_SESSION_MAXPER, LIMIT_SESSIONS_PER_USER);
		return false;
	}
	out->per_user_max = (uint32_t)most;
	return true;
}

static bool read_ms(struct options *options)
{
	struct session_options *out = options->out;
	if (number_parse_i64(options_value(options), &out->lease_ms) && out->lease_ms >= 1 &&
		out->lease_ms <= LIMIT_LEASE_MS)
		return true;
	turn_error(options->turn, ERROR_LEASE_MS, LIMIT_LEASE_MS);
	return false;
}

static bool read_wait(struct options *options)
{
	struct session_options *out = options->out;
	if (number_parse_i64(options_value(options), &out->wait_ms) && out->wait_ms >= 0 &&
		out->wait_ms <= LIMIT_LEASE_WAIT_MS)
		return true;
	turn_error(options->turn, ERROR_LEASE_WAIT, LIMIT_LEASE_WAIT_MS);
	return false;
}

static const struct option rows[] = {
	{ "ttl", SESSION_OPTION_TTL, 0, 1, read_ttl },
	{ "absolute", SESSION_OPTION_ABSOLUTE, 0, 1, read_absolute },
	{ "user", SESSION_OPTION_USER, 0, 1, read_user },
	{ "nx", SESSION_OPTION_NX, SESSION_OPTION_XX, 0, NULL },
	{ "xx", SESSION_OPTION_XX, SESSION_OPTION_NX, 0, NULL },
	{ "ifversion", SESSION_OPTION_IFVERSION, 0, 1, read_version },
	{ "deep", SESSION_OPTION_DEEP, 0, 0, NULL },
	{ "data", SESSION_OPTION_DATA, 0, 1, read_data },
	{ "id", SESSION_OPTION_ID, 0, 1, read_id },
	{ "maxper", SESSION_OPTION_MAXPER, 0, 1, read_maxper },
	{ "reject", SESSION_OPTION_REJECT, 0, 0, NULL },
	{ "notouch", SESSION_OPTION_NOTOUCH, 0, 0, NULL },
	{ "data", SESSION_OPTION_ONLY_DATA, 0, 0, NULL },
	{ "grace", SESSION_OPTION_GRACE, 0, 1, read_grace },
	{ "ms", SESSION_OPTION_MS, 0, 1, read_ms },
	{ "wait", SESSION_OPTION_WAIT, 0, 1, read_wait },
};

static const struct option_table table = {
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
	.misfit = options_say_where,
};

bool session_options_parse(
	struct turn *turn, uint32_t first, uint32_t allowed, struct session_options *out)
{
	struct options options = options_from(turn, first, out);
	*out = (struct session_options){ 0 };
	bool good = options_read(&options, &table, allowed);
	out->given = options.given;
	return good;
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
