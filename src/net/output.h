/*
 * output: from replies to the bytes that a client gets. See output.c.
 *
 * Threads: the loop's of the connection.
 */
#ifndef NET_OUTPUT_H
#define NET_OUTPUT_H

#include "base/slice.h"
#include "net/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct request;

void output_init(struct connection *connection);
/* A request's reply may leave when those in front of it have. */
void output_answered(struct connection *connection, struct request *request);
/* The same of one that does not run: it takes its place in the order as well. */
void output_answer(struct connection *connection, struct request *request);
/* Appends a message that nobody may see before `lsn` is released. A connection that would have too
 * much unread is noted as killed: it is closed later, not within the call. */
void output_push(struct connection *connection, struct slice message, uint64_t lsn);
/* Sends what the gate has released. True when the gate still holds some back. */
bool output_flush(struct connection *connection, uint64_t released);
/* What the stream was given has gone, or never will. */
void output_sent(struct connection *connection, int error);
/* Bytes that the client has not taken yet, and what its requests under way are likely to add. */
size_t output_expected(const struct connection *connection);
/* Once a second: drops a client that takes nothing. */
void output_look(struct connection *connection, int64_t now_ms);
void output_log_unread(const struct connection *connection, enum client_kill why);
void output_uncount(struct connection *connection);

#endif
