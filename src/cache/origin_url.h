/*
 * origin_url: the URL of a key under a `cache-origin` line: the line's own and what follows its
 * prefix in the key.
 *
 * One rule: what follows is a part of the URL as it is. An escape (`%` and two hexadecimal digits)
 * stays; every other byte that cannot stand in a URL is written as its escape, `#` and a `%` that
 * begins none too. So every URL below the line's has a key: `q?x=R%26D` asks for `q?x=R%26D`.
 *
 * Threads: any.
 */
#ifndef CACHE_ORIGIN_URL_H
#define CACHE_ORIGIN_URL_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdbool.h>

struct slice origin_url(struct slice base, struct slice rest, struct arena *arena);
/* Whether a segment of the path goes up, which no key may: `..`, escaped or not, also in front of
 * `;`. Names with two dots in them do not, nor does anything behind `?`. Escaped slashes and
 * backslashes end a segment, because there are servers that take them for slashes. */
bool origin_url_climbs(struct slice base, struct slice rest);

#endif
