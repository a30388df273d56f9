/*
 * origin_board: see origin_board.h.
 *
 * Threads: see origin_board.h.
 */
#include "cache/origin_board.h"

#include "base/logline.h"
#include "base/memory.h"
#include "config/config.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

struct board_line {
	struct slice prefix; /* the configuration's */
	struct slice url;
	uint32_t workers;
	char error[ORIGIN_ERROR_BYTES];
};

struct origin_board {
	pthread_mutex_t lock;
	struct board_line *lines;
	uint32_t count;
	uint32_t capacity;
};

static bool line_add(void *context, const struct slice *words, size_t count)
{
	struct origin_board *board = context;
	(void)count;
	if (board->count == board->capacity) {
		board->capacity = board->capacity ? 2 * board->capacity : 4;
		board->lines = memory_resize(board->lines, board->capacity * sizeof(*board->lines));
	}
	board->lines[board->count++] = (struct board_line){ .prefix = words[0], .url = words[1] };
	return true;
}

struct origin_board *origin_board_new(struct config *config)
{
	struct origin_board *board = memory_zeroed(sizeof(*board));
	pthread_mutex_init(&board->lock, NULL);
	config_each_line(config, "cache-origin", line_add, board);
	return board;
}

void origin_board_free(struct origin_board **taken)
{
	struct origin_board *board = *taken;
	*taken = NULL;
	pthread_mutex_destroy(&board->lock);
	memory_free(board->lines);
	memory_free(board);
}

void origin_board_paused(struct origin_board *board, uint32_t number, const char *error)
{
	assert(number < board->count);
	struct board_line *line = &board->lines[number];
	pthread_mutex_lock(&board->lock);
	bool is_first = line->workers++ == 0;
	snprintf(line->error, sizeof(line->error), "%s", error);
	pthread_mutex_unlock(&board->lock);
	if (is_first)
		logline(LOGLINE_WARNING,
			"The cache's origin %.*s (of keys %.*s) is left alone, and tried now and then: %s",
			(int)line->url.size, line->url.data, (int)line->prefix.size,
			line->prefix.data, error);
}

void origin_board_resumed(struct origin_board *board, uint32_t number)
{
	assert(number < board->count);
	struct board_line *line = &board->lines[number];
	pthread_mutex_lock(&board->lock);
	assert(line->workers > 0);
	bool is_last = --line->workers == 0;
	pthread_mutex_unlock(&board->lock);
	if (is_last)
		logline(LOGLINE_NOTICE, "The cache's origin %.*s (of keys %.*s) answers again",
			(int)line->url.size, line->url.data, (int)line->prefix.size,
			line->prefix.data);
}

void origin_board_each(struct origin_board *board, origin_notice_fn each, void *context)
{
	pthread_mutex_lock(&board->lock);
	for (uint32_t i = 0; i < board->count; i++) {
		const struct board_line *line = &board->lines[i];
		struct origin_notice notice = { line->prefix, line->url, line->workers,
			line->workers ? line->error : "" };
		each(context, &notice);
	}
	pthread_mutex_unlock(&board->lock);
}
