/*
 * glob: Redis's key patterns: `*`, `?`, `[a-z]`, `[^a]` and `\` to quote.
 */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include "base/slice.h"

#include <stdint.h>

/* A pattern made ready for many texts. */
struct glob {
	struct slice pattern; /* borrowed */
	uint64_t *table;      /* see glob.c; NULL: literal parts and stars alone */
	uint32_t words;
	uint32_t elements;
	bool ignore_case;
};

/* Time and memory in the size of the pattern: 2 KB for each 64 bytes of it. */
void glob_init(struct glob *glob, struct slice pattern, bool ignore_case);
void glob_fini(struct glob *glob);
/* Memory that glob_init takes. */
size_t glob_bytes(struct slice pattern, bool ignore_case);

/* Time in the size of the text, times the pattern's for each 64 bytes of that, whatever the two. */
bool glob_matches(const struct glob *glob, struct slice text);

#endif
