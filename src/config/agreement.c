/*
 * agreement: what values must be beside those of other parameters, which a row of the table cannot
 * say. A configuration whose lines do not agree would start, and fail silently where it is used.
 *
 *   cache-origin   `fetch-allow` lets its URL through: else nothing is ever fetched
 *
 * Threads: any; lines do not change after the start.
 */
#include "config/config.h"

#include "config/fetch_allow.h"
#include "config/internal.h"

#include <errno.h>
#include <stdio.h>

/* Of a prefix or a URL, in an error. */
#define SHOWN_BYTES_MAX 64

struct origins_check {
	struct slice allow_list;
	char *error;
	size_t error_size;
	int result;
};

static int shown(struct slice word)
{
	return (int)(word.size < SHOWN_BYTES_MAX ? word.size : SHOWN_BYTES_MAX);
}

static bool origin_check(void *context, const struct slice *words, size_t count)
{
	struct origins_check *check = context;
	char reason[256];
	(void)count;
	if (fetch_is_allowed(check->allow_list, words[1], reason, sizeof(reason)))
		return true;
	const char *blank = strchr(reason, ' '); /* behind the code word */
	snprintf(check->error, check->error_size, "cache-origin %.*s %.*s: %s", shown(words[0]),
		words[0].data, shown(words[1]), words[1].data, blank ? blank + 1 : reason);
	check->result = -EINVAL;
	return false;
}

int config_agree(struct config *config, const struct parameter *parameter, struct slice value,
	char *error, size_t error_size)
{
	struct origins_check check = {
		.allow_list = value, .error = error, .error_size = error_size
	};
	if (slice_is(slice_text(parameter->name), "fetch-allow"))
		config_each_line(config, "cache-origin", origin_check, &check);
	return check.result;
}

int config_agree_all(struct config *config, char *error, size_t error_size)
{
	const struct parameter *parameter = parameter_find(slice_text("fetch-allow"));
	struct buffer value;
	buffer_init(&value);
	config_show(config, parameter, PARAMETER_PLAIN, &value);
	int result = config_agree(config, parameter, buffer_slice(&value), error, error_size);
	buffer_fini(&value);
	return result;
}
