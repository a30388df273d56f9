/*
 * config_commands: CONFIG. Parameters, their ranges and the words of refusals are config's; here
 * they get Redis's reply shapes.
 *
 * CONFIG SET of several parameters is all or none: every pair is checked before the first is
 * stored. Two calls at the same time may mix, as two calls one after the other may.
 *
 * Threads: the connection's loop; config has its own lock.
 */
#include "admin/admin.h"
#include "admin/reply.h"
#include "base/logline.h"
#include "holdfast/limits.h"

#include <errno.h>

/* What config_get has found so far, each name once. */
struct found {
	struct arena *arena;
	struct found_pair {
		struct slice name;
		struct slice value;
	} * pairs;
	size_t count;
	size_t capacity;
};

static void keep(void *context, const char *name, struct slice value);
static bool check_pair(struct request *request, uint32_t index);

/* Each is compared with all parameters. False: answered with an error. */
static bool patterns_ok(struct request *request)
{
	size_t bytes = 0;
	for (uint32_t i = 2; i < request->asked.argument_count; i++) {
		if (request->asked.arguments[i].size > LIMIT_PATTERN_BYTES) {
			reply_error(request, ERROR_PATTERN_SIZE, LIMIT_PATTERN_BYTES);
			return false;
		}
		bytes += request->asked.arguments[i].size;
	}
	if (bytes > LIMIT_PATTERN_BYTES)
		reply_error(request, ERROR_CONFIG_GET, LIMIT_PATTERN_BYTES);
	return bytes <= LIMIT_PATTERN_BYTES;
}

void admin_config_get(struct connection *connection, struct request *request)
{
	struct found found = { .arena = &request->arena };
	if (!patterns_ok(request))
		return;
	for (uint32_t i = 2; i < request->asked.argument_count; i++)
		config_get(reply_environment(request)->config, request->asked.arguments[i], keep,
			&found);
	struct writer writer = reply_writer(request);
	writer_map(&writer, found.count);
	for (size_t i = 0; i < found.count; i++) {
		writer_bulk(&writer, found.pairs[i].name);
		writer_bulk(&writer, found.pairs[i].value);
	}
}

void admin_config_set(struct connection *connection, struct request *request)
{
	struct environment *environment = reply_environment(request);
	const struct slice *arguments = request->asked.arguments;
	if (request->asked.argument_count % 2) {
		reply_error(request, ERROR_SYNTAX);
		return;
	}
	for (uint32_t i = 2; i < request->asked.argument_count; i += 2) {
		if (!check_pair(request, i))
			return;
	}
	for (uint32_t i = 2; i < request->asked.argument_count; i += 2) {
		char error[256];
		int result = config_set(
			environment->config, arguments[i], arguments[i + 1], error, sizeof(error));
		if (result) {
			reply_error(request, ERROR_CONFIG_SET, reply_shown(arguments[i]),
				arguments[i].data, error);
			return;
		}
	}
	logline_set_level((enum logline_level)atomic_load_explicit(
		&environment->config->loglevel, memory_order_relaxed));
	reply_ok(request);
}

void admin_config_resetstat(struct connection *connection, struct request *request)
{
	net_reset_stats(reply_environment(request)->net);
	reply_ok(request);
}

void admin_config_rewrite(struct connection *connection, struct request *request)
{
	int result = config_rewrite(reply_environment(request)->config);
	if (result == 0)
		reply_ok(request);
	else if (result == -ENOENT)
		reply_error(request, ERROR_CONFIG_NO_FILE);
	else
		reply_error(request, ERROR_CONFIG_REWRITE, strerror(-result));
}

static void keep(void *context, const char *name, struct slice value)
{
	struct found *found = context;
	struct slice text = slice_text(name);
	for (size_t i = 0; i < found->count; i++) {
		if (slice_equal(found->pairs[i].name, text))
			return;
	}
	if (found->count == found->capacity) {
		size_t capacity = found->capacity ? 2 * found->capacity : 16;
		struct found_pair *pairs = arena_alloc(found->arena, capacity * sizeof(*pairs));
		if (found->count)
			memcpy(pairs, found->pairs, found->count * sizeof(*pairs));
		found->pairs = pairs;
		found->capacity = capacity;
	}
	found->pairs[found->count++] = (struct found_pair){
		.name = arena_copy(found->arena, text),
		.value = arena_copy(found->arena, value),
	};
}

/* The parameter at `index` and its value behind it. False: answered with an error. */
static bool check_pair(struct request *request, uint32_t index)
{
	const struct slice *arguments = request->asked.arguments;
	struct slice name = arguments[index];
	char error[256];
	int result = config_check(reply_environment(request)->config, name, arguments[index + 1],
		error, sizeof(error));
	if (result == -ENOENT) {
		reply_error(request, ERROR_CONFIG_UNKNOWN, reply_shown(name), name.data);
		return false;
	}
	if (result) {
		reply_error(request, ERROR_CONFIG_SET, reply_shown(name), name.data, error);
		return false;
	}
	for (uint32_t i = 2; i < index; i += 2) {
		if (arguments[i].size == name.size &&
			strncasecmp(arguments[i].data, name.data, name.size) == 0) {
			reply_error(request, ERROR_CONFIG_SET, reply_shown(name), name.data,
				"duplicate parameter");
			return false;
		}
	}
	return true;
}
