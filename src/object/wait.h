/*
 * wait: what a call waits for between two of its turns, and what is put off until no turn runs. The
 * runtime notes the wait in call->wait, by one of the functions wait_for_..., and leaves; wait.c
 * sets it going when the turn has been committed.
 *
 * Threads: the worker's.
 */
#ifndef OBJECT_WAIT_H
#define OBJECT_WAIT_H

#include "base/deadlines.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct class_state;
struct fetch;
struct object_name;
struct objects;
struct request;

enum wait_kind { WAIT_NONE, WAIT_SLEEP, WAIT_FETCH, WAIT_OBJECT, WAIT_SECTION };

/* Why a wait ended. */
enum wait_end { WAIT_ENDED, WAIT_TIMED_OUT, WAIT_STOPPED };

struct wait {
	enum wait_kind kind;
	enum wait_end end;
	int64_t until_ms;         /* objects_steady_ms */
	struct deadline deadline; /* set while the wait has one */
	struct fetch *fetch;
	bool fetch_begun;
	struct request *request; /* of the other object's call; once it is told, ours */
	bool sent;
	bool answered;
	bool over;   /* the call is on its way to its next turn */
	size_t lent; /* by the class's memory, for what the answer takes */
};

/* --- for the runtime, within the call's turn -------------------------------------------------- */

void wait_for_time(struct call *call, int64_t ms);
/* `fetch` is in the turn's arena; wait.c says who is told of its end. */
void wait_for_fetch(struct call *call, struct fetch *fetch);
/* Calls another object's method. `packed` is a table whose items are the arguments; its bytes have
 * been lent by the caller's class, and are given back when the call has ended. */
void wait_for_object(struct call *call, const struct object_name *name, struct slice method,
	struct slice packed);
/* Forgets the wait of a call, and what it was given. */
void wait_forget(struct call *call);

/* --- for the files of objects ----------------------------------------------------------------- */

/* After the turn that began the wait: sets it going. */
void wait_parked(struct request *request);
/* It is over: the call runs again as soon as the event under way has ended. The first end counts.
 */
void wait_finish(struct call *call, enum wait_end end);
/* Runs what was put off until no turn runs. */
void objects_act(struct objects *objects);
/* What waits are measured by: a clock that nobody sets. */
int64_t objects_steady_ms(const struct objects *objects);
/* Sleeps and time-outs that are over. */
void wait_run_timers(struct objects *objects);
/* The wall-clock time of the next one; INT64_MAX. */
int64_t wait_next_ms(struct objects *objects);
/* Ends every wait: the server stops; or those of calls in this state. */
void wait_cancel_all(struct objects *objects);
void wait_cancel_in(struct objects *objects, const struct class_state *state);

#endif
