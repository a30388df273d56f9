/*
 * input: from the bytes of a client to requests under way. See input.c.
 *
 * Threads: the loop's of the connection.
 */
#ifndef NET_INPUT_H
#define NET_INPUT_H

#include "base/slice.h"

struct connection;
struct request;

/* Its socket is read. 0 or negative errno. */
int input_start(struct connection *connection);
/* Bytes have come. */
void input_feed(struct connection *connection, struct slice bytes);
/* Reads no more; closes when all that was read has been answered. */
void input_stop(struct connection *connection);
/* One of its requests has come home. */
void input_done(struct connection *connection, const struct request *request);
/* Something that may have stopped it is over: the loop lets it go on at the end of the tick. */
void input_go_on_later(struct connection *connection);
/* The loop does: the command that was not admitted, and what stands behind it. */
void input_go_on(struct connection *connection);
/* What it had sent and was not run is no longer counted. */
void input_uncount(struct connection *connection);

#endif
