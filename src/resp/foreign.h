/*
 * foreign: does a client speak another protocol? Whoever gets a web browser, a mail server or a
 * scanner to connect here must not have the lines it sends run as commands.
 */
#ifndef RESP_FOREIGN_H
#define RESP_FOREIGN_H

#include "base/slice.h"

/* Bytes of a line from which foreign_of_start can tell. */
#define FOREIGN_START_BYTES 3

/* What a whole inline line, without its end, looks like: "an HTTP request" and the like. NULL: it
 * may be a command. */
const char *foreign_of_line(struct slice line);
/* The same by the first bytes of a line that has no end, or none yet. */
const char *foreign_of_start(struct slice start);

#endif
