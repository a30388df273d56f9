/*
 * admission: whether a command that has been read may start now.
 *
 * Threads: the loop's of the connection.
 */
#ifndef NET_ADMISSION_H
#define NET_ADMISSION_H

#include "holdfast/errors.h"

#include <stdbool.h>

struct connection;
struct request;

#define ADMISSION_ERROR_BYTES 256

/* Whether the command is one that this client may not give, whatever else goes on: too many
 * arguments, no password yet, or subscriptions in RESP2. Then `error` says which. */
bool admission_refuses(struct connection *connection, const struct request *request,
	char error[ADMISSION_ERROR_BYTES]);

enum admission {
	ADMISSION_START,
	ADMISSION_WAIT,   /* for what goes before it, or for the log: ask again later */
	ADMISSION_REFUSE, /* with the error */
};
enum admission admission_ask(
	const struct connection *connection, const struct request *request, const char **error);
/* The command takes several shards, or may. */
bool admission_is_for_several(const struct request *request);

#endif
