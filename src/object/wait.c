/*
 * wait: what a call waits for between two of its turns.
 *
 * - sleep: a timer
 * - http.fetch: begins when all that the call had written and read is durable, since what leaves
 *   the server waits at the gate like a reply
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
#include "object/runtime.h"

#include "base/memory.h"
#include "gate/gate.h"

#include <assert.h>

#define ACTIONS_AT_ONCE    256
#define AHEAD_TOLERANCE_MS 5
#define NS_PER_MS          1000000

/* --- timers: a heap by time ------------------------------------------------------------------- */

static void timer_set(struct objects *objects, uint32_t at, struct call *call)
{
	objects->timers[at] = call;
	call->wait.timer = at + 1;
}

static void timer_up(struct objects *objects, uint32_t at)
{
	struct call *call = objects->timers[at];
	while (at > 0) {
		uint32_t parent = (at - 1) / 2;
		if (objects->timers[parent]->wait.until_ms <= call->wait.until_ms)
			break;
		timer_set(objects, at, objects->timers[parent]);
		at = parent;
	}
	timer_set(objects, at, call);
}

static void timer_down(struct objects *objects, uint32_t at)
{
	struct call *call = objects->timers[at];
	for (;;) {
		uint32_t child = at * 2 + 1;
		if (child >= objects->timer_count)
			break;
		if (child + 1 < objects->timer_count &&
			objects->timers[child + 1]->wait.until_ms <
				objects->timers[child]->wait.until_ms)
			child++;
		if (objects->timers[child]->wait.until_ms >= call->wait.until_ms)
			break;
		timer_set(objects, at, objects->timers[child]);
		at = child;
	}
	timer_set(objects, at, call);
}

static void timer_add(struct objects *objects, struct call *call)
{
	if (objects->timer_count == objects->timer_capacity) {
		objects->timer_capacity = objects->timer_capacity * 2 + 16;
		objects->timers = memory_resize(
			objects->timers, objects->timer_capacity * sizeof(struct call *));
	}
	timer_set(objects, objects->timer_count++, call);
	timer_up(objects, objects->timer_count - 1);
}

static void timer_remove(struct objects *objects, struct call *call)
{
	if (call->wait.timer == 0)
		return;
	uint32_t at = call->wait.timer - 1;
	call->wait.timer = 0;
	struct call *last = objects->timers[--objects->timer_count];
	if (last == call)
		return;
	timer_set(objects, at, last);
	timer_up(objects, at);
	timer_down(objects, last->wait.timer - 1);
}

int64_t objects_steady_ms(const struct objects *objects)
{
	return (int64_t)(clock_monotonic_ns(objects->engine->clock) / NS_PER_MS);
}

/* The difference of the clocks is kept while it stays about the same, so that the host is not asked
 * for another millisecond each time. */
int64_t wait_next_ms(struct objects *objects)
{
	if (objects->timer_count == 0)
		return INT64_MAX;
	int64_t ahead_ms = objects->port->now_ms - objects_steady_ms(objects);
	int64_t moved_ms = ahead_ms - objects->ahead_ms;
	if (moved_ms < -AHEAD_TOLERANCE_MS || moved_ms > AHEAD_TOLERANCE_MS)
		objects->ahead_ms = ahead_ms;
	return objects->timers[0]->wait.until_ms + objects->ahead_ms;
}

void wait_run_timers(struct objects *objects)
{
	int64_t now_ms = objects_steady_ms(objects);
	while (objects->timer_count && objects->timers[0]->wait.until_ms <= now_ms) {
		struct call *call = objects->timers[0];
		wait_finish(call, call->wait.kind == WAIT_SLEEP ? WAIT_ENDED : WAIT_TIMED_OUT);
	}
}

/* --- what goes on after a turn ---------------------------------------------------------------- */

static void act_later(struct objects *objects, struct call *call, enum call_action action)
{
	bool listed = call->action != ACTION_NONE;
	call->action = action;
	if (listed)
		return;
	call->action_next = NULL;
	if (objects->actions_last)
		objects->actions_last->action_next = call;
	else
		objects->actions_first = call;
	objects->actions_last = call;
}

static struct call *take_action(struct objects *objects, enum call_action *action)
{
	struct call *call = objects->actions_first;
	objects->actions_first = call->action_next;
	if (objects->actions_first == NULL)
		objects->actions_last = NULL;
	*action = call->action;
	call->action = ACTION_NONE;
	return call;
}

static void unlink_parked(struct objects *objects, struct call *call)
{
	if (call->parked_previous)
		call->parked_previous->parked_next = call->parked_next;
	else
		objects->parked = call->parked_next;
	if (call->parked_next)
		call->parked_next->parked_previous = call->parked_previous;
	call->parked_next = call->parked_previous = NULL;
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
	for (int left = ACTIONS_AT_ONCE; left > 0 && objects->actions_first && !is_held(objects);
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
	timer_remove(objects, call);
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
	if (bytes > *lent && sandbox_try_lend(call->state->sandbox, bytes - *lent))
		*lent = bytes;
	size_t room = sandbox_room(call->state->sandbox);
	return bytes > *lent ? 0 : *lent / 5 * 4 + room / 5 * 4;
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

static void hold_fetch(struct objects *objects, struct call *call)
{
	call->held_next = objects->fetches_held;
	objects->fetches_held = call;
	objects->port->awaits_gate = true;
}

void objects_released(struct objects *objects)
{
	struct call *held = objects->fetches_held;
	objects->fetches_held = NULL;
	objects->port->awaits_gate = false;
	while (held) {
		struct call *call = held;
		held = call->held_next;
		if (may_leave(objects, call))
			begin_fetch(objects, call);
		else
			hold_fetch(objects, call);
	}
}

static void drop_fetch(struct objects *objects, struct call *call)
{
	struct call **place = &objects->fetches_held;
	while (*place && *place != call)
		place = &(*place)->held_next;
	if (*place)
		*place = call->held_next;
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
		sandbox_give_back(slot->state->sandbox, call->packed.size);
}

/* Beyond the memory of the caller's class an answer is an error. */
static void hold_answer(struct call *caller, struct request *request)
{
	struct buffer *reply = &request->reply;
	if (sandbox_try_lend(caller->state->sandbox, reply->capacity)) {
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

static const struct command object_call_command = {
	.name = "objects.call",
	.arity = -1,
	.route = ROUTE_KEYS,
	.flags = COMMAND_WRITE,
	.key_first = 1,
	.key_last = 1,
	.run = call_run,
};

struct request *wait_new_request(struct objects *objects, struct call *caller,
	const struct object_name *name, struct slice method, struct slice packed)
{
	const struct slice words[] = { slice_text(object_call_command.name), name->id };
	struct request *request = engine_question(objects->engine, objects->options.port,
		&(struct question){ .command = &object_call_command,
			.words = words,
			.word_count = 2,
			.routed = true,
			.environment = objects,
			.context = caller,
			.told = on_answered });
	struct arena *arena = &request->arena;
	struct call *call = call_new(request, CALL_OBJECT, name, method);
	call->packed = arena_copy(arena, packed);
	call->lender = caller->state->serial;
	struct call_link link = {
		.caller = caller->caller,
		.name = caller->name,
		.depth = caller->caller ? caller->caller->depth + 1 : 1,
	};
	call->caller = copy_links(arena, &link);
	return request;
}

/* --- going and ending ------------------------------------------------------------------------- */

static void begin_wait(struct objects *objects, struct call *call)
{
	switch (call->wait.kind) {
	case WAIT_SLEEP:
		timer_add(objects, call);
		break;
	case WAIT_FETCH:
		if (may_leave(objects, call))
			begin_fetch(objects, call);
		else
			hold_fetch(objects, call);
		break;
	case WAIT_OBJECT:
		/* It depends on what this call has done. */
		call->wait.request->turn.gate_lsn = call->request->gate_lsn;
		timer_add(objects, call);
		act_later(objects, call, ACTION_SUBMIT);
		break;
	case WAIT_SECTION:
		timer_add(objects, call);
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
	timer_remove(objects, call);
	if (call->wait.fetch)
		drop_fetch(objects, call);
	drop_request(objects, call);
	sandbox_give_back(call->state->sandbox, call->wait.lent);
	call->wait.lent = 0;
}

void wait_parked(struct request *request)
{
	struct call *call = request->turn.state;
	struct objects *objects = call->objects;
	call->parked_previous = NULL;
	call->parked_next = objects->parked;
	if (objects->parked)
		objects->parked->parked_previous = call;
	objects->parked = call;
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
	struct call *before = NULL;
	struct call **place = &objects->actions_first;
	if (call->action == ACTION_NONE)
		return;
	while (*place != call) {
		before = *place;
		place = &before->action_next;
	}
	*place = call->action_next;
	if (objects->actions_last == call)
		objects->actions_last = before;
	call->action = ACTION_NONE;
}

void wait_forget(struct call *call)
{
	struct objects *objects = call->objects;
	if (call->wait.kind == WAIT_NONE)
		return;
	drop_wait(call);
	unlist_action(objects, call);
	if (call->parked_previous || objects->parked == call)
		unlink_parked(objects, call);
	call->wait = (struct wait){ 0 };
}

static void cancel(struct objects *objects, const struct class_state *state)
{
	for (struct call *call = objects->parked; call; call = call->parked_next) {
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
