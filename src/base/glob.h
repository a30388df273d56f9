/*
 * glob: Redis's key patterns: `*`, `?`, `[a-z]`, `[^a]` and `\` to quote.
 */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include "base/slice.h"

/* Linear space, and time bounded by pattern size x text size whatever the pattern. */
bool glob_match(struct slice pattern, struct slice text, bool ignore_case);

#endif
