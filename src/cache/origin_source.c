/*
 * origin_source: see origin_source.h.
 *
 * Threads: see origin_source.h.
 */
#include "cache/origin_source.h"

#include "base/logline.h"
#include "base/memory.h"
#include "config/config.h"

#include <assert.h>
#include <stdio.h>

struct origin_sources {
	struct origin_board *board;
	struct origin_source *lines;
	struct origin_source **lines_end;
	uint32_t line_count;
	struct origin_source *classes;
	uint32_t class_count;
	struct origin_source other_classes;
};

static struct slice copy_of(struct slice bytes)
{
	char *copy = memory_zeroed(bytes.size + 1);
	memcpy(copy, bytes.data, bytes.size);
	return slice_of(copy, bytes.size);
}

static void slice_free(struct slice bytes)
{
	memory_free((char *)(uintptr_t)bytes.data);
}

/* `PREFIX URL [header ...]`, a header being `Name: value`. */
static bool line_add(void *context, const struct slice *words, size_t count)
{
	struct origin_sources *sources = context;
	struct origin_source *source = memory_zeroed(sizeof(*source));
	source->prefix = copy_of(words[0]);
	source->url = copy_of(words[1]);
	source->line = sources->line_count++;
	for (size_t i = 2; i < count && source->header_count < ORIGIN_HEADERS_MAX; i++) {
		struct slice line = copy_of(words[i]);
		const char *colon = memchr(line.data, ':', line.size);
		assert(colon);
		size_t name = (size_t)(colon - line.data), value = name + 1;
		while (value < line.size && line.data[value] == ' ')
			value++;
		source->headers[source->header_count++] = (struct fetch_header){
			slice_of(line.data, name),
			slice_of(line.data + value, line.size - value),
		};
	}
	*sources->lines_end = source;
	sources->lines_end = &source->next;
	return true;
}

struct origin_sources *origin_sources_new(struct config *config, struct origin_board *board)
{
	struct origin_sources *sources = memory_zeroed(sizeof(*sources));
	sources->board = board;
	sources->lines_end = &sources->lines;
	sources->other_classes.is_class = true;
	sources->other_classes.prefix = slice_text("others");
	config_each_line(config, "cache-origin", line_add, sources);
	return sources;
}

static void source_free(struct origin_source *source)
{
	assert(source->jobs == 0);
	slice_free(source->prefix);
	slice_free(source->url);
	for (uint32_t i = 0; i < source->header_count; i++)
		slice_free(source->headers[i].name); /* with its value */
	memory_free(source);
}

static void list_free(struct origin_source *list)
{
	while (list) {
		struct origin_source *next = list->next;
		source_free(list);
		list = next;
	}
}

void origin_sources_free(struct origin_sources **taken)
{
	struct origin_sources *sources = *taken;
	*taken = NULL;
	list_free(sources->lines);
	list_free(sources->classes);
	memory_free(sources);
}

struct origin_source *origin_source_of_key(struct origin_sources *sources, struct slice key)
{
	struct origin_source *best = NULL;
	for (struct origin_source *source = sources->lines; source; source = source->next) {
		if (slice_starts_with(key, source->prefix) &&
			(best == NULL || source->prefix.size > best->prefix.size))
			best = source;
	}
	return best;
}

static void push_class(struct origin_sources *sources, struct origin_source *source)
{
	source->next = sources->classes;
	sources->classes = source;
}

/* Forgets the class asked longest ago of those with nothing under way; false: there is none. */
static bool make_room(struct origin_sources *sources)
{
	struct origin_source **oldest = NULL;
	for (struct origin_source **at = &sources->classes; *at; at = &(*at)->next) {
		if ((*at)->jobs == 0)
			oldest = at;
	}
	if (oldest == NULL)
		return false;
	struct origin_source *source = *oldest;
	*oldest = source->next;
	source_free(source);
	sources->class_count--;
	return true;
}

struct origin_source *origin_source_of_class(struct origin_sources *sources, struct slice name)
{
	struct origin_source **at = &sources->classes;
	while (*at && !slice_equal((*at)->prefix, name))
		at = &(*at)->next;
	struct origin_source *source = *at;
	if (source) {
		*at = source->next;
		push_class(sources, source);
		return source;
	}
	if (sources->class_count == ORIGIN_CLASSES_MAX && !make_room(sources))
		return &sources->other_classes;
	source = memory_zeroed(sizeof(*source));
	source->is_class = true;
	source->prefix = copy_of(name);
	push_class(sources, source);
	sources->class_count++;
	return source;
}

static void class_say(const struct origin_source *source)
{
	struct slice name = source->prefix;
	if (source->breaker.is_open)
		logline(LOGLINE_WARNING,
			"The class %.*s is left alone by the cache, and tried now and then: %s",
			(int)name.size, name.data, source->error);
	else
		logline(LOGLINE_NOTICE, "The class %.*s gives the cache values again",
			(int)name.size, name.data);
}

/* A name that is mistyped looks like load: what waits for it is told that it is busy. Said once,
 * until the class answers. */
static void say_missing(struct origin_source *source, const char *error)
{
	bool missing = strncmp(error, "NOCLASS", 7) == 0 || strncmp(error, "NOMETHOD", 8) == 0;
	if (missing && !source->missing_said)
		logline(LOGLINE_WARNING, "The cache asks the class %.*s in vain: %s",
			(int)source->prefix.size, source->prefix.data, error);
	if (missing || *error == '\0')
		source->missing_said = missing;
}

void origin_source_note(struct origin_sources *sources, struct origin_source *source,
	bool was_probe, enum breaker_result result, int64_t retry_ms, const char *error,
	int64_t now_ms)
{
	if (result != BREAKER_ANSWERED)
		snprintf(source->error, sizeof(source->error), "%s", error);
	if (source->is_class)
		say_missing(source, result == BREAKER_ANSWERED ? "" : error);
	if (!breaker_note(&source->breaker, was_probe, result, retry_ms, now_ms))
		return;
	if (source->is_class)
		class_say(source);
	else if (source->breaker.is_open)
		origin_board_paused(sources->board, source->line, source->error);
	else
		origin_board_resumed(sources->board, source->line);
}
