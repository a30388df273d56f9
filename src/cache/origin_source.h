/*
 * origin_source: what the server can ask for keys of the cache: the origins of `cache-origin`
 * lines, and classes. Each has a breaker (breaker.h); what opens one is logged, once.
 *
 * Lines are there from the start. Classes are named by callers, so of those ORIGIN_CLASSES_MAX are
 * kept apart, those asked last; when more have something under way they share one.
 *
 * Threads: each worker has its own, on its thread; the board is everybody's.
 */
#ifndef CACHE_ORIGIN_SOURCE_H
#define CACHE_ORIGIN_SOURCE_H

#include "base/slice.h"
#include "cache/breaker.h"
#include "cache/origin_board.h"
#include "fetch/fetch.h"

#include <stdbool.h>
#include <stdint.h>

#define ORIGIN_CLASSES_MAX 1000
#define ORIGIN_HEADERS_MAX 16

struct origin_source {
	struct origin_source *next; /* the lines in their order; classes, that asked last first */
	bool is_class;
	struct slice prefix; /* of keys, or the class's name */
	struct slice url;
	struct fetch_header headers[ORIGIN_HEADERS_MAX];
	uint32_t header_count;
	uint32_t line;
	uint32_t jobs;    /* under way: it must stay */
	uint32_t running; /* of these, begun */
	struct breaker breaker;
	bool missing_said;              /* that there is no such class or method */
	char error[ORIGIN_ERROR_BYTES]; /* of what failed last, whichever key */
};

struct origin_sources;

struct origin_sources *origin_sources_new(struct config *config, struct origin_board *board);
void origin_sources_free(struct origin_sources **sources);
/* The line with the longest prefix of the key; NULL: none. */
struct origin_source *origin_source_of_key(struct origin_sources *sources, struct slice key);
/* Never NULL. */
struct origin_source *origin_source_of_class(struct origin_sources *sources, struct slice name);
/* As breaker_note; `error`, of a failure: why. */
void origin_source_note(struct origin_sources *sources, struct origin_source *source,
	bool was_probe, enum breaker_result result, int64_t retry_ms, const char *error,
	int64_t now_ms);

#endif
