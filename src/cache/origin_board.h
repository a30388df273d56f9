/*
 * origin_board: which origins of `cache-origin` lines are left alone, by how many workers, and why:
 * for INFO, and so that the log says it once when several workers find it out.
 *
 * Threads: any; one lock, a leaf.
 */
#ifndef CACHE_ORIGIN_BOARD_H
#define CACHE_ORIGIN_BOARD_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define ORIGIN_ERROR_BYTES 288 /* of why it failed, with the NUL */

struct config;
struct origin_board;

struct origin_board *origin_board_new(struct config *config);
void origin_board_free(struct origin_board **board);
/* A worker leaves the line's origin alone from now on, or does no longer; lines count from 0. */
void origin_board_paused(struct origin_board *board, uint32_t line, const char *error);
void origin_board_resumed(struct origin_board *board, uint32_t line);

struct origin_notice {
	struct slice prefix;
	struct slice url;
	uint32_t workers; /* that leave it alone */
	const char *error;
};
/* In the order of the lines; the lock is held meanwhile. */
typedef void (*origin_notice_fn)(void *context, const struct origin_notice *notice);
void origin_board_each(struct origin_board *board, origin_notice_fn each, void *context);

#endif
