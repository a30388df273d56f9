/*
 * wait: what a call waits for between two of its turns.
 *
 * - sleep: a timer
 * - http.fetch: begins when all that the call has written and read is released (gate_released),
 *   since what leaves the server waits at the gate like a reply
 * - objects.call: a request of the server's own, which comes back by `told`; or the time-out
 * - exclusive by name: its turn in the line (section.c); a timer ends it with the call's life
 *
 * Waits go by the steady clock: a wall clock that is set neither ends them nor draws them out.
 *
 * A turn that begins a wait parks its request; wait_parked sets the wait going when the turn has
 * been committed. Whatever ends the wait only puts the call into a list; objects_act, which never
 * runs within a turn and never within itself, takes it from there. So calls that answer each other
 * at once use no stack.
 *
 * Threads: the worker's. A request that waits for another worker's object comes home by its
 * mailbox.
 */
#include "object/object_call.h"
#include "object/objects_private.h"

#include "base/memory.h"
#include "fetch/fetch.h"
#include "gate/gate.h"

#include <assert.h>

#define ACTIONS_AT_ONCE    256
#define AHEAD_TOLERANCE_MS 5
#define NS_PER_MS          1000000

/* --- time ------------------------------------------------------------------------------------- */

int64_t objects_steady_ms(const struct objects *objects)
{
	return (int64_t)(clock_monotonic_ns(objects->engine->clock) / NS_PER_MS);
}

/* The difference of the clocks is kept while it stays about the same, so that the host is not asked
 * for another millisecond each time. */
int64_t wait_next_ms(struct objects *objects)
{
	const struct deadline *first = deadlines_first(&objects->deadlines);
	if (first == NULL)
		return INT64_MAX;
	int64_t ahead_ms = objects->port->now_ms - objects_steady_ms(objects);
	int64_t moved_ms = ahead_ms - objects->ahead_ms;
	if (moved_ms < -AHEAD_TOLERANCE_MS || moved_ms > AHEAD_TOLERANCE_MS)
		objects->ahead_ms = ahead_ms;
	return first->at_ms + objects->ahead_ms;
}

static void set_deadline(struct objects *objects, struct call *call)
{
	deadlines_set(&objects->deadlines, &call->wait.deadline, call->wait.until_ms, 0);
}

void wait_run_timers(struct objects *objects)
{
	int64_t now_ms = objects_steady_ms(objects);
	struct deadline *first;
	while ((first = deadlines_first(&objects->deadlines)) != NULL && first->at_ms <= now_ms) {
		struct call *call = container_of(first, struct call, wait.deadline);
		wait_finish(call, call->wait.kind == WAIT_SLEEP ? WAIT_ENDED : WAIT_TIMED_OUT);
	}
}

/* --- what goes on after a turn ---------------------------------------------------------------- */

static void act_later(struct objects *objects, struct call *call, enum call_action action)
{
	if (call->action == ACTION_NONE)
		list_append(&objects->actions, &call->in_actions);
	call->action = action;
}

static struct call *take_action(struct objects *objects, enum call_action *action)
{
	struct call *call = container_of(list_take(&objects->actions), struct call, in_actions);
	*action = call->action;
	call->action = ACTION_NONE;
	return call;
}

static void unlink_parked(struct objects *objects, struct call *call)
{
	list_remove(&objects->parked, &call->in_parked);
	call->object->slot->figures.waiting--;
}

/* Calls write: while the log or the overlay is behind they stay in their waits. */
static bool is_held(const struct objects *objects)
{
	return !objects->stopped && engine_admission(objects->engine) == GATE_BUSY;
}

void objects_act(struct objects *objects)
{
	if (objects->acting || objects->port->in_turn || is_held(objects))
		return;
	objects->acting = true;
	for (int left = ACTIONS_AT_ONCE; left > 0 && objects->actions.first && !is_held(objects);
		left--) {
		enum call_action action;
		struct call *call = take_action(objects, &action);
		struct request *request = call->request;
		if (action == ACTION_SUBMIT) {
			request = call->wait.request;
			call->wait.sent = true;
			engine_submit(objects->engine, objects->options.port, &request);
		} else {
			unlink_parked(objects, call);
			call->wait.over = true;
			engine_resume(objects->engine, objects->options.port, &request);
		}
	}
	objects->acting = false;
}

void wait_finish(struct call *call, enum wait_end end)
{
	struct objects *objects = call->objects;
	if (call->wait.over || call->action == ACTION_RESUME)
		return;
	deadlines_remove(&objects->deadlines, &call->wait.deadline);
	call->wait.end = end;
	act_later(objects, call, ACTION_RESUME);
}

/* --- HTTP ------------------------------------------------------------------------------------- */

static bool may_leave(const struct objects *objects, const struct call *call)
{
	return call->request->gate_lsn <= gate_released(objects->engine->gate);
}

/* What an answer takes counts as the class's while it comes. Its buffers grow by a quarter. */
static size_t hold_body(struct fetch *fetch, size_t bytes)
{
	struct call *call = fetch->context;
	size_t *lent = &call->wait.lent;
	struct class_state *state = call->state;
	struct runtime_memory memory;
	if (bytes > *lent && state->runtime->lend(state, bytes - *lent))
		*lent = bytes;
	state->runtime->weigh(state, &memory);
	return bytes > *lent ? 0 : *lent / 5 * 4 + memory.room / 5 * 4;
}

static void on_fetched(struct fetch *fetch)
{
	struct call *call = fetch->context;
	struct objects *objects = call->objects;
	call->wait.fetch_begun = false;
	hold_body(fetch, fetch->body_in.capacity + fetch->headers_in.capacity);
	engine_tick(objects->engine, objects->options.port);
	if (fetch->status == 0 && strcmp(fetch->code, FETCH_FORBIDDEN) == 0)
		report_refused(objects, &call->name, fetch);
	wait_finish(call, WAIT_ENDED);
	objects_act(objects);
	objects_ask(objects);
}

static void begin_fetch(struct objects *objects, struct call *call)
{
	call->wait.fetch_begun = true;
	call->wait.fetch->done = on_fetched;
	call->wait.fetch->hold = hold_body;
	call->wait.fetch->context = call;
	objects->options.host.fetch(objects->options.host.context, call->wait.fetch);
}

static void on_released(struct gate_wait *held)
{
	struct call *call = container_of(held, struct call, held);
	begin_fetch(call->objects, call);
}

static void hold_fetch(struct objects *objects, struct call *call)
{
	call->held.told = on_released;
	gate_wait_begin(&objects->port->waits, &call->held, call->request->gate_lsn);
}

static void drop_fetch(struct objects *objects, struct call *call)
{
	gate_wait_end(&call->held);
	if (call->wait.fetch_begun)
		objects->options.host.cancel(objects->options.host.context, call->wait.fetch);
	fetch_clear(call->wait.fetch);
	call->wait.fetch = NULL;
	call->wait.fetch_begun = false;
}

/* --- other objects ---------------------------------------------------------------------------- */

/* The arguments of a call were lent by its caller's class, which may have another state by now. */
static void return_loan(struct objects *objects, const struct request *request)
{
	const struct call *call = request->turn.state;
	const struct class_slot *slot = slot_of(objects, call->caller->name.class_name);
	if (slot && slot->state && slot->state->serial == call->lender)
		slot->state->runtime->give_back(slot->state, call->packed.size);
}

/* Beyond the memory of the caller's class an answer is an error. */
static void hold_answer(struct call *caller, struct request *request)
{
	struct buffer *reply = &request->reply;
	if (caller->state->runtime->lend(caller->state, reply->capacity)) {
		caller->wait.lent = reply->capacity;
		return;
	}
	struct writer writer = { .out = reply };
	buffer_fini(reply);
	request->turn.failed = true;
	writer_error(&writer, ERROR_ANSWER_MEMORY);
}

static void on_answered(struct request **taken)
{
	struct request *request = *taken;
	struct objects *objects = request->environment;
	struct call *caller = request->told_context;
	return_loan(objects, request);
	if (caller == NULL) /* it did not wait so long */
		return;
	/* The caller reads the answer in its next turn. */
	*taken = NULL;
	caller->wait.answered = true;
	if (caller->wait.over) /* the time-out came first; the gate is closed, or the shard held */
		return;
	if (request->gate_lsn > caller->request->turn.gate_lsn)
		caller->request->turn.gate_lsn = request->gate_lsn;
	hold_answer(caller, request);
	wait_finish(caller, WAIT_ENDED);
	objects_act(objects);
	objects_ask(objects);
}

/* The names of those who wait, copied: a caller that gives up takes its own memory with it. */
static const struct call_link *copy_links(struct arena *arena, const struct call_link *link)
{
	if (link == NULL)
		return NULL;
	struct call_link *copy = arena_alloc(arena, sizeof(*copy));
	copy->name.class_name = arena_copy(arena, link->name.class_name);
	copy->name.id = arena_copy(arena, link->name.id);
	copy->depth = link->depth;
	copy->caller = copy_links(arena, link->caller);
	return copy;
}

static struct request *new_request(struct objects *objects, struct call *caller,
	const struct object_name *name, struct slice method, struct slice packed)
{
	struct request *request = object_call_new(objects->engine, objects->options.port,
		&(struct object_call){ .name = *name,
			.method = method,
			.arguments = packed,
			.environment = objects,
			.context = caller,
			.told = on_answered });
	struct call *call = call_of(request);
	call->lender = caller->state->serial;
	struct call_link link = {
		.caller = caller->caller,
		.name = caller->name,
		.depth = call_depth(caller),
	};
	call->caller = copy_links(&request->arena, &link);
	return request;
}

void wait_for_object(
	struct call *call, const struct object_name *name, struct slice method, struct slice packed)
{
	struct objects *objects = call->objects;
	call->wait = (struct wait){
		.kind = WAIT_OBJECT,
		.until_ms = objects_steady_ms(objects) + LIMIT_CALL_TIMEOUT_MS,
		.request = new_request(objects, call, name, method, packed),
	};
}

void wait_for_fetch(struct call *call, struct fetch *fetch)
{
	call->wait = (struct wait){ .kind = WAIT_FETCH, .fetch = fetch };
}

void wait_for_time(struct call *call, int64_t ms)
{
	call->wait = (struct wait){
		.kind = WAIT_SLEEP,
		.until_ms = objects_steady_ms(call->objects) + ms,
	};
}

/* --- going and ending ------------------------------------------------------------------------- */

static void begin_wait(struct objects *objects, struct call *call)
{
	switch (call->wait.kind) {
	case WAIT_SLEEP:
		set_deadline(objects, call);
		break;
	case WAIT_FETCH:
		if (may_leave(objects, call))
			begin_fetch(objects, call);
		else
			hold_fetch(objects, call);
		break;
	case WAIT_OBJECT:
		/* Its reply waits for what this call has read and written. */
		call->wait.request->turn.gate_lsn = call->request->gate_lsn;
		set_deadline(objects, call);
		act_later(objects, call, ACTION_SUBMIT);
		break;
	case WAIT_SECTION:
		set_deadline(objects, call);
		break;
	case WAIT_NONE:
		assert(!"a call parked without a wait");
	}
}

static void drop_request(struct objects *objects, struct call *call)
{
	struct request *request = call->wait.request;
	if (request == NULL)
		return;
	call->wait.request = NULL;
	request->told_context = NULL;
	if (!call->wait.sent)
		return_loan(objects, request);
	if (call->wait.answered || !call->wait.sent)
		request_put(&objects->port->pool, &request);
}

static void drop_wait(struct call *call)
{
	struct objects *objects = call->objects;
	deadlines_remove(&objects->deadlines, &call->wait.deadline);
	if (call->wait.fetch)
		drop_fetch(objects, call);
	drop_request(objects, call);
	call->state->runtime->give_back(call->state, call->wait.lent);
	call->wait.lent = 0;
}

void wait_parked(struct request *request)
{
	struct call *call = request->turn.state;
	struct objects *objects = call->objects;
	list_prepend(&objects->parked, &call->in_parked);
	call->object->slot->figures.waiting++;
	if (objects->stopped) {
		drop_wait(call);
		wait_finish(call, WAIT_STOPPED);
	} else {
		begin_wait(objects, call);
	}
	objects_act(objects);
	objects_ask(objects);
}

static void unlist_action(struct objects *objects, struct call *call)
{
	if (call->action != ACTION_NONE)
		list_remove(&objects->actions, &call->in_actions);
	call->action = ACTION_NONE;
}

void wait_forget(struct call *call)
{
	struct objects *objects = call->objects;
	if (call->wait.kind == WAIT_NONE)
		return;
	drop_wait(call);
	unlist_action(objects, call);
	if (list_has(&objects->parked, &call->in_parked))
		unlink_parked(objects, call);
	call->wait = (struct wait){ 0 };
}

static void cancel(struct objects *objects, const struct class_state *state)
{
	for (struct list_node *node = objects->parked.first; node; node = node->next) {
		struct call *call = container_of(node, struct call, in_parked);
		if (call->action == ACTION_RESUME || (state && call->state != state))
			continue;
		drop_wait(call);
		wait_finish(call, WAIT_STOPPED);
	}
}

void wait_cancel_in(struct objects *objects, const struct class_state *state)
{
	cancel(objects, state);
}

void wait_cancel_all(struct objects *objects)
{
	cancel(objects, NULL);
	objects_act(objects);
	objects_ask(objects);
}
