/*
 * info: the sections of INFO.
 */
#ifndef ADMIN_INFO_H
#define ADMIN_INFO_H

#include "admin/environment.h"
#include "base/buffer.h"
#include "cache/cache.h"
#include "session/sessions.h"

/* What one INFO is about; gathered before any section is written. */
struct info {
	struct environment *environment;
	int64_t now_ms; /* wall clock */
	/* by database, summed over the shards */
	uint64_t keys[LIMIT_DATABASES];
	uint64_t expiring[LIMIT_DATABASES];
	/* of those, what some by chance have left */
	double lives_ms[LIMIT_DATABASES]; /* a sum: lives may be as long as numbers go */
	uint32_t lives[LIMIT_DATABASES];
	uint64_t sessions;
	struct sessions_figures session_figures;
	struct lease_stats leases;
	struct cache_sums cache_sums;
	uint64_t cache_counts[STAT_COUNT];
	uint64_t cache_memory;
	uint64_t cache_marks;
	/* summed over the workers */
	struct objects_figures objects;
};

struct info_section {
	const char *name; /* the headline; in any case, what INFO is asked for */
	bool by_default;  /* also without being named */
	bool walks;       /* needs what is summed over the shards and workers */
	void (*write)(const struct info *info, struct buffer *out);
};

/* In the order in which they are written. */
extern const struct info_section info_sections[];
extern const size_t info_sections_count;

#endif
