/*
 * rules: what the words of a parameter must be beyond their number and size. Private to this
 * folder.
 */
#ifndef CONFIG_RULES_H
#define CONFIG_RULES_H

#include "base/slice.h"

/* 0; or -EINVAL and in `error` what is wrong. `count` is at least 1; an error never shows a word
 * that may be a secret. */
typedef int (*rule_fn)(const struct slice *words, size_t count, char *error, size_t error_size);

/* `host`, `host:port`, `*.domain`, `*.domain:port`, `[address]`, `[address]:port`. */
int rule_fetch_allow(const struct slice *words, size_t count, char *error, size_t error_size);
/* CLASS NAME VALUE. */
int rule_env(const struct slice *words, size_t count, char *error, size_t error_size);
/* "CRON" CLASS METHOD [PREFIX p]. */
int rule_schedule(const struct slice *words, size_t count, char *error, size_t error_size);
/* PREFIX URL [header ...], a header being `Name: value`. */
int rule_cache_origin(const struct slice *words, size_t count, char *error, size_t error_size);

/* Numbers from 0 to 100. */
int rule_percentiles(const struct slice *words, size_t count, char *error, size_t error_size);

#endif
