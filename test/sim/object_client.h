/*
 * object_client: the commands that clients send to the simulated objects: which, and what each does
 * to the model in the turn in which it runs.
 */
#ifndef TEST_SIM_OBJECT_CLIENT_H
#define TEST_SIM_OBJECT_CLIENT_H

#include "base/random.h"
#include "sim/object_watch.h"

struct client_host {
	struct random *random;
	struct model *model;
	struct watch *watch;
	uint64_t next_id; /* of calls */
	uint32_t wakes;   /* DO.WAKEs under way: one at a time */
	struct buffer script;
};

/* Fills in a request of port 0 or above: arguments, command, environment. `now_ms` is for times
 * that are arguments. What it keeps of the client lies in its arena. */
void client_choose(struct client_host *host, struct request *request, int64_t now_ms);
/* DO.CLASS LOAD of the next version. */
void client_load_class(struct client_host *host, struct request *request, uint32_t class);
/* It is home: is the reply one that there may be? */
void client_check(struct client_host *host, const struct request *request);
/* Its reply has left. */
void client_end(struct client_host *host, const struct request *request);

#endif
