/*
 * http_date: the three forms of a date in HTTP (RFC 9110, 5.6.7), as a cache has to read them (RFC
 * 9111, 4.2): whatever the case of the letters, and in GMT only.
 */
#ifndef CACHE_HTTP_DATE_H
#define CACHE_HTTP_DATE_H

#include "base/slice.h"

#include <stdint.h>

/* The whole slice as milliseconds since 1970; false leaves `out` alone. `now_ms` decides which
 * century a year of two digits is in: the latest that is not more than 50 years ahead. */
bool http_date_parse(struct slice text, int64_t now_ms, int64_t *out);

#endif
