/*
 * redis_parameters: what a redis.conf sets and this server has no use for. It is accepted, so that
 * a file and the habits of Redis's users work here, and what holds in its place is told. What would
 * be dangerous to pass over, such as a password for TLS or a list of users, is refused with the
 * reason. Private to this folder.
 */
#ifndef CONFIG_REDIS_PARAMETERS_H
#define CONFIG_REDIS_PARAMETERS_H

#include "base/glob.h"
#include "base/slice.h"
#include "config/config.h"

#include <stdbool.h>

struct redis_settings;

struct redis_settings *redis_settings_new(void);
void redis_settings_free(struct redis_settings **settings);

/* Whether Redis has such a parameter, and this server not, whose value may be any text. */
bool redis_settings_take_text(struct slice name);
/* One setting of a file or of the command line. 0; -ENOENT: Redis has no such parameter, or it is
 * one of this server; -EINVAL and in `error` what is wrong. */
int redis_settings_put(struct redis_settings *settings, struct slice name,
	const struct slice *words, size_t count, char *error, size_t error_size);
/* The same for CONFIG SET. With `check` nothing changes. */
int redis_settings_set(struct redis_settings *settings, struct slice name, struct slice value,
	bool check, char *error, size_t error_size);
/* As config_get. */
void redis_settings_get(struct redis_settings *settings, const struct glob *pattern,
	config_found_fn found, void *context);
/* As config_each_note. */
void redis_settings_each_note(
	const struct redis_settings *settings, config_note_fn each, void *context);

#endif
