/*
 * object_call: calls of objects that the server itself makes: for a class that calls another object
 * (object/wait.h), and for the cache, which has an object refresh an entry. Arguments and results
 * are packed values (object/packed.h), no client's reply.
 *
 * Threads: the one of the port that asks.
 */
#ifndef OBJECT_OBJECT_CALL_H
#define OBJECT_OBJECT_CALL_H

#include "engine/engine.h"
#include "object/object_key.h"
#include "object/packed.h"

struct object_call {
	struct object_name name;
	struct slice method;
	struct slice arguments; /* packed: a table whose items they are */
	void *environment;      /* the asker's: request->environment */
	void *context;          /* the asker's: request->told_context */
	/* As in struct question. What the method returned is told by object_call_result, and by
	 * request_error when that returns false. It may be shown when request->gate_lsn has been
	 * released. */
	void (*told)(struct request **request);
};

/* Whether somebody outside of the class may call this; false: `error` says why not, as a client is
 * told it. The class need not be there. */
bool object_call_check(
	const struct object_name *name, struct slice method, char *error, size_t error_size);
/* A request that makes the call, to be given to engine_submit; the words are copied. They have been
 * checked. */
struct request *object_call_new(
	struct engine *engine, uint16_t port, const struct object_call *object_call);
/* What the method returned, of a request that is home: its one value; nil when it returned nothing;
 * of several, which are a table, the table's head. False when the call failed, or never ran. */
bool object_call_result(const struct request *request, struct packed_item *out);

#endif
