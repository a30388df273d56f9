/*
 * loop: a thread's tick. Between two waits of the loop everything that can be done is done, and
 * only then are the log kicked and the replies written, once for the whole tick:
 *
 *   poll: read sockets, run turns,   --->   prepare: kick the gate, flush the replies whose LSN is
 *     ^   take the mailbox                    |      released, note what to be woken for
 *     '---------------------------------------'
 *
 * A connection with unsent replies is in one of two lists: dirty ones are flushed at the end of the
 * tick; gated ones have nothing but replies that wait for the log, and become dirty when the
 * released LSN moves. One that has input to go on with is in a third: its slice of the tick was
 * over, or its command could not start.
 *
 * Threads: a loop's own, but for loop_wake and loop_give_arrival.
 */
#include "net/loop.h"

#include "base/logline.h"
#include "base/memory.h"
#include "engine/room.h"
#include "net/figures.h"
#include "net/input.h"
#include "net/net_private.h"
#include "net/output.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define LOOP_MAGIC       0x6c6f6f70u /* where a pointer has come through libuv or a port */
#define TIMER_MS         100
#define BLOCKED_RETRY_MS 1
#define BURST_NS_MAX     10000000u    /* of turns and commands between two looks at the sockets */
#define KILLED_AT_ONCE   128          /* connections that are closed between two polls */
#define DRAIN_NS         10000000000u /* for what runs to end when the server stops */
#define DRAIN_LAST_NS    1000000000u  /* and then for its replies to leave */

static struct net_loop *loop_of(void *data)
{
	struct net_loop *loop = data;
	assert(loop->magic == LOOP_MAGIC);
	return loop;
}

/* --- lists of connections --------------------------------------------------------------------- */

static struct connection *first_of(const struct list *list)
{
	return list->first ? container_of(list->first, struct connection, in_output) : NULL;
}

static void place_at(
	struct net_loop *loop, struct connection *connection, enum connection_place place)
{
	if (connection->place != CONNECTION_QUIET)
		list_remove(&loop->output[connection->place], &connection->in_output);
	connection->place = place;
	if (place != CONNECTION_QUIET)
		list_append(&loop->output[place], &connection->in_output);
}

void loop_mark_dirty(struct net_loop *loop, struct connection *connection)
{
	/* A gated one stays where it is: new replies stand behind the ones that wait. */
	if (connection->place == CONNECTION_QUIET && !connection->closing)
		place_at(loop, connection, CONNECTION_DIRTY);
}

void loop_mark_writable(struct net_loop *loop, struct connection *connection)
{
	if (!connection->closing)
		place_at(loop, connection, CONNECTION_DIRTY);
}

bool loop_is_waiting(const struct net_loop *loop, const struct connection *connection)
{
	return list_has(&loop->waiting, &connection->in_waiting);
}

void loop_mark_waiting(struct net_loop *loop, struct connection *connection)
{
	if (loop_is_waiting(loop, connection) || connection->closing)
		return;
	list_append(&loop->waiting, &connection->in_waiting);
	loop->waiting_count++;
	if (connection->blocked == NULL)
		loop->has_more = true;
}

static void stop_waiting(struct net_loop *loop, struct connection *connection)
{
	if (!loop_is_waiting(loop, connection))
		return;
	list_remove(&loop->waiting, &connection->in_waiting);
	loop->waiting_count--;
}

void loop_forget(struct net_loop *loop, struct connection *connection)
{
	place_at(loop, connection, CONNECTION_QUIET);
	stop_waiting(loop, connection);
}

/* Each that waits goes on once: a slice of a long pipeline, or a command that was not admitted. Who
 * waits again stands behind the others. When this tick has taken long, the others go on later: see
 * end_burst. */
static void go_on(struct net_loop *loop)
{
	const struct port *port = loop->port;
	bool bounded = port->burst_ns_max > 0;
	loop->has_more = false;
	for (uint32_t left = loop->waiting_count; left > 0 && loop->waiting.first; left--) {
		if (bounded && port->burst_ns >= port->burst_ns_max) {
			loop->has_more = true;
			return;
		}
		struct connection *connection =
			container_of(loop->waiting.first, struct connection, in_waiting);
		stop_waiting(loop, connection);
		input_go_on(connection);
	}
}

/* --- the end of a tick ------------------------------------------------------------------------ */

static void flush_dirty(struct net_loop *loop, uint64_t released)
{
	struct connection *connection;
	while ((connection = first_of(&loop->output[CONNECTION_DIRTY])) != NULL) {
		place_at(loop, connection, CONNECTION_QUIET);
		if (output_flush(connection, released))
			place_at(loop, connection, CONNECTION_GATED);
	}
}

/* What was gated is looked at again when the released LSN has moved. */
static void release_gated(struct net_loop *loop, uint64_t released)
{
	if (released == loop->released_seen)
		return;
	loop->released_seen = released;
	struct connection *connection;
	while ((connection = first_of(&loop->output[CONNECTION_GATED])) != NULL)
		place_at(loop, connection, CONNECTION_DIRTY);
}

/* Whatever else waited at the gate. The clocks are read for the turns that this begins. */
static void tell_waits(struct net_loop *loop)
{
	struct engine *engine = loop->net->engine;
	struct gate_waits *waits = &loop->port->waits;
	if (gate_waits_are_due(waits)) {
		engine_tick(engine, loop->number);
		gate_waits_run(waits);
	}
}

static void flush(struct net_loop *loop)
{
	struct engine *engine = loop->net->engine;
	struct gate_waits *waits = &loop->port->waits;
	uint64_t released;
	const struct list *gated = &loop->output[CONNECTION_GATED];
	do {
		released = gate_released(engine->gate);
		release_gated(loop, released);
		tell_waits(loop);
		flush_dirty(loop, released);
	} while (!gate_waits_sleep(waits, gated->first ? released + 1 : 0));
}

static void on_idle(uv_idle_t *idle)
{
	(void)idle; /* that it is active makes the poll not wait */
}

/* Only ends the poll: the end of the tick tries the blocked ones again. */
static void on_blocked_timer(uv_timer_t *timer)
{
	(void)timer;
}

/*
 * Others come in between: when this tick's turns and commands have taken long, which a class or
 * many patterns can make them, the next poll only reads what is there, its answers leave, and then
 * the turns and pipelines go on. So nobody whose commands need no turn waits for more than one that
 * is long.
 *
 * True: the next poll must not wait.
 */
static bool end_burst(struct net_loop *loop)
{
	struct port *port = loop->port;
	if (port->burst_ns < port->burst_ns_max) {
		port->burst_ns = 0;
		return false;
	}
	loop->rests = !loop->rests;
	if (!loop->rests) {
		port->burst_ns = 0;
		engine_deliver(loop->net->engine, loop->number);
	}
	return true;
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct net_loop *loop = loop_of(prepare->data);
	struct engine *engine = loop->net->engine;
	if (loop->waiting.first)
		engine_tick(engine, loop->number);
	go_on(loop);
	bool delivers = subscriptions_deliver(loop);
	tell_waits(loop);
	bool gathers = gate_end_tick(engine->gate, &loop->port->pace, loop->waiting.first != NULL);
	flush(loop);
	/* What turns have appended since is for the next tick's end to see to. */
	gathers |= pace_is_due(&loop->port->pace);
	bool has_turns = end_burst(loop);
	bool leaves = connection_leave(loop);
	if (gathers || has_turns || leaves || delivers || loop->has_more)
		uv_idle_start(&loop->idle, on_idle);
	else
		uv_idle_stop(&loop->idle);
	if (loop->waiting.first && !uv_is_active((uv_handle_t *)&loop->blocked_timer))
		uv_timer_start(&loop->blocked_timer, on_blocked_timer, BLOCKED_RETRY_MS, 0);
}

/* --- waking, arriving, draining --------------------------------------------------------------- */

static void close_handle(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void take_arrivals(struct net_loop *loop)
{
	pthread_mutex_lock(&loop->arrivals_lock);
	struct arrival *list = loop->arrivals;
	loop->arrivals = NULL;
	pthread_mutex_unlock(&loop->arrivals_lock);
	while (list) {
		struct arrival *arrival = list;
		list = arrival->next;
		if (loop->net->stopping) {
			close(arrival->fd);
			atomic_fetch_sub(&loop->client_count, 1);
		} else {
			connection_open(loop, arrival);
		}
		memory_free(arrival);
	}
}

/* Some of them: closing one ends its leases and waits on every shard. */
static void close_killed(struct net_loop *loop)
{
	int closed = 0;
	for (struct connection *connection = loop->clients, *next; connection; connection = next) {
		next = connection->next;
		if (!connection->client.kill)
			continue;
		if (closed++ == KILLED_AT_ONCE) {
			atomic_store(&loop->look_for_kills, true);
			loop_wake(loop);
			return;
		}
		output_log_unread(connection, connection->client.kill);
		connection_close(connection);
	}
}

/* Stopping: reads no more, lets requests end and replies leave, then has no connections. */
static void drain(struct net_loop *loop)
{
	struct net *net = loop->net;
	uint64_t now = clock_monotonic_ns(net->engine->clock);
	if (loop->drain_until_ns == 0) {
		loop->drain_until_ns = now + DRAIN_NS;
		if (loop->number == net->first_serving)
			listener_stop_all(net);
	}
	bool late = now > loop->drain_until_ns;
	bool runs = engine_drain(net->engine, loop->number, late);
	bool over = now > loop->drain_until_ns + DRAIN_LAST_NS;
	for (struct connection *connection = loop->clients, *next; connection; connection = next) {
		next = connection->next;
		if (connection_is_idle(connection) || over)
			connection_close(connection);
		else if (!connection->close_after_reply)
			input_stop(connection);
	}
	if (!loop->drained && loop->clients == NULL && (!runs || over)) {
		loop->drained = true;
		if (atomic_fetch_sub(&net->loops_serving, 1) == 1) {
			for (uint16_t i = 0; i < net->loop_count; i++)
				loop_wake(&net->loops[i]);
		}
	}
	if (net->loops_serving == 0 && !loop->closed) {
		loop->closed = true;
		/* What was accepted last may have come since: nothing comes any more. */
		take_arrivals(loop);
		connection_leave(loop);
		engine_loop_ends(net->engine, loop->number);
		close_handle((uv_handle_t *)&loop->async);
		close_handle((uv_handle_t *)&loop->prepare);
		close_handle((uv_handle_t *)&loop->idle);
		close_handle((uv_handle_t *)&loop->timer);
		close_handle((uv_handle_t *)&loop->blocked_timer);
	}
}

static void reload(struct net_loop *loop)
{
	struct net *net = loop->net;
	if (loop->number == 0 && net->options.reload && atomic_exchange(&net->reloading, false) &&
		!net->stopping)
		net->options.reload(net->options.environment);
}

static void on_async(uv_async_t *async)
{
	struct net_loop *loop = loop_of(async->data);
	if (engine_deliver(loop->net->engine, loop->number) > 0)
		pace_met_others(&loop->port->pace);
	take_arrivals(loop);
	if (atomic_exchange(&loop->look_for_kills, false))
		close_killed(loop);
	reload(loop);
	if (loop->net->stopping)
		drain(loop);
}

static void close_idle(struct net_loop *loop)
{
	int64_t timeout_ms = loop->net->config->idle_timeout_s * 1000;
	int64_t now_ms = loop->port->now_ms;
	if (timeout_ms == 0)
		return;
	for (struct connection *connection = loop->clients, *next; connection; connection = next) {
		next = connection->next;
		if (subscriptions_count(connection))
			continue; /* to say nothing is what it is for */
		if (now_ms - connection->client.active_ms > timeout_ms &&
			connection_is_idle(connection)) {
			logline(LOGLINE_VERBOSE, "Closing idle client id=%llu addr=%s",
				(unsigned long long)connection->client.asker.id,
				connection->client.address);
			connection_close(connection);
		}
	}
}

static void look_at_output(struct net_loop *loop)
{
	int64_t now_ms = loop->port->now_ms;
	for (struct connection *connection = loop->clients, *next; connection; connection = next) {
		next = connection->next;
		output_look(connection, now_ms);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct net_loop *loop = loop_of(timer->data);
	engine_expire(loop->net->engine, loop->number);
	connection_look(loop);
	if (loop->ticks++ % (1000 / TIMER_MS) == 0) {
		close_idle(loop);
		look_at_output(loop);
		if (loop->number == loop->net->first_serving && !loop->net->stopping)
			listener_resume_all(loop->net);
	}
	if (loop->net->stopping)
		drain(loop);
}

static void on_done(void *context, struct request *request)
{
	(void)context;
	connection_done(request->connection, request);
}

void loop_wake(struct net_loop *loop)
{
	uv_async_send(&loop->async);
}

static void wake_port(void *context)
{
	loop_wake(loop_of(context));
}

void loop_give_arrival(struct net_loop *loop, struct arrival *arrival)
{
	pthread_mutex_lock(&loop->arrivals_lock);
	arrival->next = loop->arrivals;
	loop->arrivals = arrival;
	pthread_mutex_unlock(&loop->arrivals_lock);
	loop_wake(loop);
}

/* --- opening and running ---------------------------------------------------------------------- */

/* Only the first can fail, for want of descriptors. */
static int open_handles(struct net_loop *loop)
{
	int result = uv_async_init(&loop->uv, &loop->async, on_async);
	if (result == 0)
		result = uv_prepare_init(&loop->uv, &loop->prepare);
	if (result == 0)
		result = uv_idle_init(&loop->uv, &loop->idle);
	if (result == 0)
		result = uv_timer_init(&loop->uv, &loop->timer);
	if (result == 0)
		result = uv_timer_init(&loop->uv, &loop->blocked_timer);
	loop->async.data = loop->prepare.data = loop->timer.data = loop;
	if (result == 0)
		result = uv_prepare_start(&loop->prepare, on_prepare);
	if (result == 0)
		result = uv_timer_start(&loop->timer, on_timer, TIMER_MS, TIMER_MS);
	return result;
}

int loop_open(struct net_loop *loop, struct net *net, uint16_t number)
{
	struct port *port = &net->engine->ports[number];
	loop->magic = LOOP_MAGIC;
	loop->net = net;
	loop->number = number;
	loop->port = port;
	figures_open_loop(loop);
	pthread_mutex_init(&loop->arrivals_lock, NULL);
	subscriptions_open_loop(loop);
	int result = uv_loop_init(&loop->uv);
	if (result < 0)
		return result;
	result = open_handles(loop);
	if (result < 0)
		return result;
	mailbox_init(&port->mailbox, wake_port, loop);
	port->burst_ns_max = BURST_NS_MAX;
	port->done = on_done;
	port->context = loop;
	gate_waits_set_wake(&port->waits, wake_port, loop);
	return 0;
}

void loop_run(struct net_loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	/* Whoever steps the engine from here on has no sockets to look at in between. */
	loop->port->burst_ns_max = 0;
}

void loop_close(struct net_loop *loop)
{
	assert(loop->clients == NULL);
	uv_loop_close(&loop->uv);
	pthread_mutex_destroy(&loop->arrivals_lock);
	subscriptions_close_loop(loop);
	figures_close_loop(loop);
}
