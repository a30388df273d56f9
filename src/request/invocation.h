/*
 * invocation: what is asked, and by whom: all that a handler knows of where a request comes from.
 * Set before the request goes on its way, and read by everybody from then on.
 */
#ifndef REQUEST_INVOCATION_H
#define REQUEST_INVOCATION_H

#include "request/command.h"

/* Who asks, as far as the data's side is concerned. */
struct asker {
	uint64_t id;         /* never 0, and never given twice */
	_Atomic bool gone;   /* it can use no lease any more: it waits for none */
	_Atomic bool closed; /* nor read a reply */
};

struct invocation {
	const struct command *command;
	struct slice *arguments; /* the command's name is the first */
	uint32_t argument_count;
	uint8_t db;
	uint8_t protocol;    /* of the reply: 2 or 3 */
	struct asker *asker; /* NULL: the server itself */
	uint64_t started_ns; /* monotonic, when it had been read */
};

#endif
