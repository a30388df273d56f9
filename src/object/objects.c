/*
 * objects: a worker's objects and the input gate in front of each.
 *
 * An object is in the table while something goes on with it: an instance in memory, a call in it,
 * or requests before its gate. Who comes first goes first: while anybody queues, new ones queue
 * behind. At a turn's end, when the gate is open, the first of the queue is let in; its request
 * then stands in the shard's queue like any other, and nobody else enters before it has.
 *
 *   instance:  made by a first call -> init -> calls ... idle -> dropped: idle for too long, memory
 * is short, DO.EVICT, a write past it, a newer class, an error in its code
 *
 * An instance is never dropped under a call that waits: it is doomed, nobody enters any more, and
 * when its last call has left it goes. So no two instances of an object are ever about. A call of
 * another object that waits for that is refused when calls in the doomed one wait for it
 * (object/circle.h).
 *
 * Threads: its worker's.
 */
#include "object/runtime.h"

#include "base/hash.h"
#include "base/logline.h"
#include "base/memory.h"
#include "engine/room.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>

#define EVICT_EVERY_MS    1000
#define OVERLOAD_RETRY_MS 100
#define ADMISSION_WAIT_MS 2

/* --- classes ---------------------------------------------------------------------------------- */

struct class_slot *slot_of(struct objects *objects, struct slice class_name)
{
	for (struct class_slot *slot = objects->slots; slot; slot = slot->next)
		if (slice_equal(slice_of(slot->name, slot->name_size), class_name))
			return slot;
	struct class *class = class_find(objects->options.registry, class_name);
	if (class == NULL)
		return NULL;
	class_release(&class);
	struct class_slot *slot = memory_zeroed(sizeof(*slot));
	memcpy(slot->name, class_name.data, class_name.size);
	slot->name_size = class_name.size;
	slot->next = objects->slots;
	objects->slots = slot;
	return slot;
}

struct report_limit *objects_report_limit(struct objects *objects, struct slice class_name)
{
	struct class_slot *slot = slot_of(objects, class_name);
	return slot ? &slot->reports : &objects->reports;
}

static void retire_state(struct class_state **taken)
{
	struct class_state *state = *taken;
	*taken = NULL;
	state->replaced = true;
	if (state->instances == 0)
		class_state_free(&state);
}

static void drop_idle(struct objects *objects, struct class_state *state, uint32_t most)
{
	while (most-- > 0 && state->idle.first) {
		struct object *object = container_of(state->idle.first, struct object, idle);
		object_drop_instance(objects, object);
		object_settle(objects, object);
	}
}

/* Its idle instances go; the last of these may be what keeps it. */
static void replace_state(struct objects *objects, struct class_state *state)
{
	state->instances++;
	drop_idle(objects, state, UINT32_MAX);
	state->instances--;
	retire_state(&state);
}

void state_lost(struct objects *objects, struct class_slot *slot, struct class_state *state)
{
	state->lost = true;
	if (slot->state == state)
		slot->state = NULL;
	wait_cancel_in(objects, state);
	replace_state(objects, state);
	objects_ask(objects);
}

struct class_state *slot_state(
	struct objects *objects, struct class_slot *slot, char *error, size_t error_size)
{
	struct class_registry *registry = objects->options.registry;
	uint64_t revision = class_registry_revision(registry);
	error[0] = '\0';
	if (slot->state && slot->revision == revision)
		return slot->state;
	struct class *class = class_find(registry, slice_of(slot->name, slot->name_size));
	slot->revision = revision;
	if (slot->state && slot->state->class == class) {
		class_release(&class);
		return slot->state;
	}
	struct class_state *before = slot->state;
	slot->state = NULL;
	if (before)
		replace_state(objects, before);
	if (class == NULL)
		return NULL;
	slot->state = class_state_new(&objects->environment, class, error, error_size);
	if (slot->state)
		slot->state->serial = ++objects->next_state_serial;
	class_release(&class);
	return slot->state;
}

/* NULL: answered with an error. */
static struct class_state *state_of(struct turn *turn, struct slice class_name)
{
	char error[LIMIT_ERROR_BYTES];
	struct class_slot *slot = slot_of(objects_on(turn), class_name);
	error[0] = '\0';
	struct class_state *state =
		slot ? slot_state(objects_on(turn), slot, error, sizeof(error)) : NULL;
	if (state == NULL && error[0])
		turn_error(turn, ERROR_CLASS_SOURCE, error);
	else if (state == NULL)
		turn_error(turn, ERROR_NO_CLASS, (int)class_name.size, class_name.data);
	return state;
}

bool objects_has_alarm(struct turn *turn, struct slice class_name)
{
	if (objects_on(turn) == NULL)
		return true;
	struct class_state *state = state_of(turn, class_name);
	if (state && !state->has_alarm)
		turn_error(turn, ERROR_NO_ALARM, (int)class_name.size, class_name.data);
	return state && state->has_alarm;
}

bool objects_has_method(struct turn *turn, struct slice class_name, struct slice method)
{
	if (objects_on(turn) == NULL)
		return true;
	struct class_state *state = state_of(turn, class_name);
	bool has_it = state && class_state_has_method(state, method);
	if (state && !has_it)
		turn_error(turn, ERROR_NO_METHOD, (int)class_name.size, class_name.data,
			(int)method.size, method.data);
	return has_it;
}

bool objects_class_is_busy(struct turn *turn, const struct class *class)
{
	uint32_t versions = class_versions(class);
	if (versions < turn->engine->worker_count + LIMIT_CLASS_VERSIONS)
		return false;
	turn_error(turn, ERROR_CLASS_BUSY, versions, (int)strlen(class->name), class->name);
	return true;
}

bool objects_check_class(struct objects *objects, struct slice name, struct slice source,
	char *error, size_t error_size)
{
	return class_state_check(&objects->environment, name, source, error, error_size);
}

/* --- the table -------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct object_name *name)
{
	return hash_bytes_seeded(name->id, hash_bytes(name->class_name));
}

static struct object *find_hashed(
	struct objects *objects, uint64_t hash, const struct object_name *name)
{
	struct hash_node *node = hash_table_first(&objects->by_name, hash);
	for (; node; node = hash_table_next(node)) {
		struct object *object = container_of(node, struct object, by_name);
		const struct class_slot *slot = object->slot;
		if (slice_equal(object->id, name->id) &&
			slice_equal(slice_of(slot->name, slot->name_size), name->class_name))
			return object;
	}
	return NULL;
}

struct object *object_find(struct objects *objects, const struct object_name *name)
{
	return objects->by_name.count ? find_hashed(objects, hash_of(name), name) : NULL;
}

struct object *object_take(
	struct objects *objects, struct class_slot *slot, const struct object_name *name)
{
	uint64_t hash = hash_of(name);
	struct object *object = find_hashed(objects, hash, name);
	if (object)
		return object;
	object = memory_zeroed(sizeof(*object) + name->id.size);
	memcpy(object + 1, name->id.data, name->id.size);
	object->id = slice_of(object + 1, name->id.size);
	object->slot = slot;
	hash_table_add(&objects->by_name, &object->by_name, hash);
	/* Nothing looks for idle ones while there are none. */
	if (objects->by_name.count == 1)
		objects_ask(objects);
	return object;
}

static void forget(struct objects *objects, struct object *object)
{
	hash_table_remove(&objects->by_name, &object->by_name);
	memory_free(object->last_error);
	memory_free(object);
}

/* --- instances -------------------------------------------------------------------------------- */

static void leave_idle_list(struct object *object)
{
	if (object->is_idle)
		list_remove(&object->state->idle, &object->idle);
	object->is_idle = false;
}

static void enter_idle_list(struct object *object)
{
	assert(!object->is_idle);
	assert(object->state);
	list_append(&object->state->idle, &object->idle);
	object->is_idle = true;
}

void object_enter(struct object *object)
{
	leave_idle_list(object);
	object->calls_in++;
}

static void end_circle_waits(struct object *object);
static void begin_circle_waits(struct objects *objects, struct object *object);

void object_drop_instance(struct objects *objects, struct object *object)
{
	struct class_state *state = object->state;
	if (object->doomed)
		end_circle_waits(object);
	object->doomed = false;
	if (state == NULL)
		return;
	assert(object->calls_in == 0);
	leave_idle_list(object);
	/* The reference is there, so this takes no memory and raises nothing. */
	sandbox_give_back(state->sandbox, object_bytes(object));
	if (!sandbox_is_lost(state->sandbox))
		luaL_unref(sandbox_lua(state->sandbox), LUA_REGISTRYINDEX, object->self);
	object->state = NULL;
	object->initialised = false;
	object->serial = 0;
	object->slot->figures.instances--;
	if (--state->instances == 0 && state->replaced)
		class_state_free(&state);
}

void object_doom(struct objects *objects, struct object *object)
{
	if (object->calls_in == 0) {
		object_drop_instance(objects, object);
	} else if (!object->doomed) {
		object->doomed = true;
		begin_circle_waits(objects, object);
	}
}

bool objects_evict(struct turn *turn, const struct object_name *name)
{
	struct object *object = objects_on(turn) ? object_find(objects_on(turn), name) : NULL;
	bool had = object && object->state;
	if (object) {
		object_doom(objects_on(turn), object);
		object_settle(objects_on(turn), object);
	}
	return had;
}

/* Instances that nobody has called for a while, a bounded number at a time. */
static void evict_idle(struct objects *objects, int64_t now_ms)
{
	int64_t idle_ms = objects->engine->config->object_idle_s * 1000;
	objects->evicted_ms = now_ms;
	for (struct class_slot *slot = objects->slots; slot; slot = slot->next) {
		struct class_state *state = slot->state;
		for (int left = 10000; left > 0 && state && state->idle.first; left--) {
			struct object *object =
				container_of(state->idle.first, struct object, idle);
			if (object->last_active_ms > now_ms)
				object->last_active_ms = now_ms;
			if (object->last_active_ms + idle_ms > now_ms)
				break;
			object_drop_instance(objects, object);
			object_settle(objects, object);
		}
	}
}

/* An eighth of the idle ones when the class's memory is nearly used up. */
void state_relieve(struct objects *objects, struct class_state *state)
{
	size_t most = sandbox_memory_max(state->sandbox);
	if (state->idle.first == NULL || sandbox_memory(state->sandbox) < most / 4 * 3)
		return;
	drop_idle(objects, state, state->instances / 8 + 1);
}

/* --- the gate --------------------------------------------------------------------------------- */

bool object_is_open(
	const struct object *object, const struct request *request, const struct call *call)
{
	if (object->closed_by)
		return object->closed_by == call;
	if (object->admitted == request)
		return !object->doomed || object->calls_in == 0 || (call && call->begun);
	if (call && call->begun)
		return object->returning.first == NULL;
	return object->admitted == NULL && object->queued == 0 &&
		!(object->doomed && object->calls_in > 0);
}

static void on_queued(struct request *request)
{
	(void)request; /* object_settle finds it in its queue */
}

bool object_closes_circle(struct object *object, struct call *call)
{
	bool waits = call->caller && !call->begun && object->doomed && object->calls_in > 0;
	return waits && !circle_begin(&call->circle, call->objects, &call->name, call->caller);
}

/* Those who queue wait for the calls in the object from now on. */
static void begin_circle_waits(struct objects *objects, struct object *object)
{
	struct request_list queue = object->entering;
	struct request *request;
	object->entering = (struct request_list){ 0 };
	while ((request = request_list_take(&queue)) != NULL) {
		struct call *call = call_of(request);
		if (call == NULL || !object_closes_circle(object, call)) {
			request_list_put(&object->entering, request);
			continue;
		}
		object->queued--;
		object->slot->figures.queued--;
		call->in_circle = true;
		engine_resume(objects->engine, objects->options.port, &request);
	}
}

static void end_circle_waits(struct object *object)
{
	for (struct request *request = object->entering.first; request; request = request->next) {
		struct call *call = call_of(request);
		if (call)
			circle_end(&call->circle);
	}
}

bool object_end_admission(struct object *object, struct request *request)
{
	if (object->admitted != request)
		return false;
	object->admitted = NULL;
	request->turn.turned = NULL;
	return true;
}

/* The turn of a request that was let in has ended before the gate: it failed on the way. */
static void on_turned(struct turn *turn)
{
	struct object *object = turn->turned_context;
	object_end_admission(object, turn->request);
	object_settle(objects_on(turn), object);
}

void object_queue(struct object *object, struct turn *turn)
{
	struct request *request = turn->request;
	const struct call *call = call_of(request);
	struct request_list *queue = call && call->begun ? &object->returning : &object->entering;
	/* Who was the first comes first again. */
	if (object_end_admission(object, request))
		request_list_put_first(queue, request);
	else
		request_list_put(queue, request);
	object->queued++;
	object->slot->figures.queued++;
	turn_park(turn, on_queued);
}

void object_queue_alarm(struct object *object, struct turn *turn)
{
	object_end_admission(object, turn->request);
	request_list_put(&object->alarms, turn->request);
	turn_park(turn, on_queued);
}

void object_resume_alarms(struct objects *objects, struct object *object)
{
	struct request *request;
	while ((request = request_list_take(&object->alarms)) != NULL)
		engine_resume(objects->engine, objects->options.port, &request);
}

static void let_next_in(struct objects *objects, struct object *object)
{
	if (object->closed_by || object->admitted)
		return;
	struct request *request = request_list_take(&object->returning);
	if (request == NULL && !(object->doomed && object->calls_in > 0))
		request = request_list_take(&object->entering);
	if (request == NULL)
		return;
	assert(call_of(request) == NULL || !call_of(request)->circle.listed);
	object->queued--;
	object->slot->figures.queued--;
	object->admitted = request;
	request->turn.turned = on_turned;
	request->turn.turned_context = object;
	engine_resume(objects->engine, objects->options.port, &request);
}

void object_settle(struct objects *objects, struct object *object)
{
	bool outdated = object->state && object->state->replaced;
	if ((object->doomed || outdated) && object->calls_in == 0)
		object_drop_instance(objects, object);
	let_next_in(objects, object);
	if (object->calls_in > 0 || object->queued > 0 || object->admitted)
		return;
	if (object->state == NULL)
		forget(objects, object);
	else if (!object->is_idle)
		enter_idle_list(object);
}

/* --- storage commands ------------------------------------------------------------------------- */

static bool name_of(struct turn *turn, uint32_t first, struct object_name *out)
{
	out->class_name = turn_argument(turn, first);
	out->id = turn_argument(turn, first + 1);
	if (!object_class_name_ok(out->class_name))
		turn_error(turn, ERROR_CLASS_NAME);
	else if (out->id.size == 0 || out->id.size > LIMIT_KEY_BYTES)
		turn_error(turn, ERROR_ID);
	else
		return true;
	return false;
}

/* False when the turn has been parked or refused. */
static bool pass_gate(struct turn *turn, const struct object_name *name, enum objects_intent intent)
{
	struct objects *objects = objects_on(turn);
	struct object *object = objects ? object_find(objects, name) : NULL;
	if (object == NULL)
		return true;
	if (!object_is_open(object, turn->request, NULL)) {
		if (object->admitted != turn->request &&
			object->queued >= (uint64_t)objects->engine->config->object_queue_max) {
			object->slot->figures.overloaded++;
			turn_error(turn, ERROR_OBJECT_QUEUE, (long long)OVERLOAD_RETRY_MS);
		} else {
			object_queue(object, turn);
		}
		return false;
	}
	object_end_admission(object, turn->request);
	if (intent == OBJECTS_WRITE)
		object_doom(objects, object);
	if (object->gate_lsn > turn->gate_lsn)
		turn->gate_lsn = object->gate_lsn;
	return true;
}

bool objects_enter(
	struct turn *turn, uint32_t first, enum objects_intent intent, struct storage *storage)
{
	struct object_name name;
	if (!name_of(turn, first, &name) || !pass_gate(turn, &name, intent))
		return false;
	storage_open(storage, turn, &name);
	if (intent != OBJECTS_LOOK)
		storage_touch(storage);
	return true;
}

bool objects_enter_or_go_on(
	struct turn *turn, bool *entered, enum objects_intent intent, struct storage *storage)
{
	struct object_name name = { turn_argument(turn, 1), turn_argument(turn, 2) };
	if (*entered)
		storage_open(storage, turn, &name);
	else if (!objects_enter(turn, 1, intent, storage))
		return false;
	*entered = true;
	return true;
}

void objects_leave(struct turn *turn, struct storage *storage)
{
	if (!turn->failed)
		storage_close(storage);
	struct object *object =
		objects_on(turn) ? object_find(objects_on(turn), &storage->name) : NULL;
	if (object)
		object_settle(objects_on(turn), object);
}

/* --- figures ---------------------------------------------------------------------------------- */

void objects_figures(
	struct objects *objects, const struct object_name *name, struct objects_figures *out)
{
	struct class_slot *slot = slot_of(objects, name->class_name);
	*out = (struct objects_figures){ 0 };
	if (slot == NULL)
		return;
	if (name->id.size == 0) {
		*out = slot->figures;
		out->memory_bytes = slot->state ? sandbox_memory(slot->state->sandbox) : 0;
		return;
	}
	const struct object *object = object_find(objects, name);
	if (object == NULL)
		return;
	out->calls = object->calls;
	out->errors = object->errors;
	out->last_error_ms = object->last_error_ms;
	out->last_active_ms = object->last_active_ms;
	if (object->last_error)
		snprintf(out->last_error, sizeof(out->last_error), "%s", object->last_error);
	out->instances = object->state != NULL;
	out->queued = object->queued;
	out->waiting = object->calls_in;
}

void objects_add_totals(struct objects *objects, struct objects_figures *out)
{
	for (const struct class_slot *slot = objects->slots; slot; slot = slot->next) {
		out->calls += slot->figures.calls;
		out->errors += slot->figures.errors;
		out->overloaded += slot->figures.overloaded;
		out->instances += slot->figures.instances;
		out->queued += slot->figures.queued;
		out->waiting += slot->figures.waiting;
		out->memory_bytes += slot->state ? sandbox_memory(slot->state->sandbox) : 0;
	}
}

struct engine *objects_engine(struct objects *objects)
{
	return objects->engine;
}

uint16_t objects_port(struct objects *objects)
{
	return objects->options.port;
}

struct config *objects_config(struct objects *objects)
{
	return objects->options.config;
}

struct class_registry *objects_registry(struct objects *objects)
{
	return objects->options.registry;
}

/* --- life ------------------------------------------------------------------------------------- */

static int64_t now_of_turn(void *context)
{
	const struct objects *objects = context;
	return objects->turn ? objects->turn->now_ms : objects->port->now_ms;
}

static void say(void *context, int level, struct slice text)
{
	struct objects *objects = context;
	const struct call *call = objects->running;
	char name[REPORT_NAME_BYTES] = "";
	if (call)
		report_name(&call->name, name);
	report_say(objects, level, "%s%s%.*s", name, call ? ": " : "", (int)text.size, text.data);
}

static const struct room objects_room = { .name = "objects" };

struct objects *objects_on(const struct turn *turn)
{
	return turn->engine ? engine_room_at(turn->engine, &objects_room, turn->port) : NULL;
}

struct objects *objects_new(const struct objects_options *options)
{
	struct objects *objects = memory_zeroed(sizeof(*objects));
	objects->options = *options;
	objects->engine = options->engine;
	objects->port = &options->engine->ports[options->port];
	objects->libraries = (struct libraries_host){ objects, now_of_turn, say };
	objects->environment = (struct class_environment){
		.config = options->config,
		.clock = options->engine->clock,
		.host = &objects->libraries,
		.context = objects,
		.open_api = api_open,
	};
	objects->asked_ms = INT64_MAX;
	buffer_init(&objects->scratch);
	objects->scheduler = options->schedule->open(objects);
	engine_open_room_at(objects->engine, &objects_room, options->port, objects);
	objects_ask(objects);
	return objects;
}

/* Requests that will not run on go back to the pool. */
static void abandon_queue(struct objects *objects, struct request_list *queue)
{
	struct request *request;
	while ((request = request_list_take(queue)) != NULL) {
		if (call_of(request))
			wait_forget(call_of(request));
		request_move(request, REQUEST_DONE);
		request_put(&objects->port->pool, &request);
	}
}

static void free_object(struct objects *objects, struct object *object)
{
	abandon_queue(objects, &object->returning);
	abandon_queue(objects, &object->entering);
	abandon_queue(objects, &object->alarms);
	object->calls_in = 0;
	object->closed_by = NULL;
	object->admitted = NULL;
	section_free_all(object);
	object_drop_instance(objects, object);
	forget(objects, object);
}

void objects_free(struct objects **taken)
{
	struct objects *objects = *taken;
	*taken = NULL;
	circle_end_all(objects);
	while (objects->parked.first) {
		struct call *call = container_of(objects->parked.first, struct call, in_parked);
		struct request *request = call->request;
		wait_forget(call);
		request_move(request, REQUEST_DONE);
		request_put(&objects->port->pool, &request);
	}
	struct hash_node *node;
	while ((node = hash_table_any(&objects->by_name)) != NULL)
		free_object(objects, container_of(node, struct object, by_name));
	while (objects->slots) {
		struct class_slot *slot = objects->slots;
		objects->slots = slot->next;
		if (slot->state)
			class_state_free(&slot->state);
		memory_free(slot);
	}
	objects->options.schedule->free(&objects->scheduler);
	engine_close_room_at(objects->engine, &objects_room, objects->options.port);
	hash_table_fini(&objects->by_name);
	deadlines_fini(&objects->deadlines);
	buffer_fini(&objects->scratch);
	memory_free(objects);
}

void objects_quiesce(struct objects *objects)
{
	objects->quiesced = true;
	objects->options.schedule->quiesce(objects->scheduler);
}

bool objects_are_busy(const struct objects *objects)
{
	return objects->parked.first != NULL;
}

void objects_stop(struct objects *objects)
{
	objects->stopped = true;
	wait_cancel_all(objects);
}

/* --- time ------------------------------------------------------------------------------------- */

void objects_ask(struct objects *objects)
{
	int64_t next_ms = wait_next_ms(objects);
	int64_t due_ms = objects->quiesced ? INT64_MAX
					   : objects->options.schedule->next_ms(objects->scheduler);
	if (due_ms < next_ms)
		next_ms = due_ms;
	if (objects->actions.first)
		next_ms = engine_admission(objects->engine) == GATE_BUSY
			? objects->port->now_ms + ADMISSION_WAIT_MS
			: 0;
	int64_t evict_ms = objects->evicted_ms + EVICT_EVERY_MS;
	if (objects->by_name.count && evict_ms < next_ms)
		next_ms = evict_ms;
	if (next_ms != objects->asked_ms) {
		objects->asked_ms = next_ms;
		objects->options.host.wake_at(objects->options.host.context, next_ms);
	}
}

void objects_run(struct objects *objects)
{
	int64_t now_ms = objects->port->now_ms;
	objects->asked_ms = INT64_MAX;
	wait_run_timers(objects);
	if (!objects->quiesced)
		objects->options.schedule->run(objects->scheduler, now_ms);
	/* The clock may have gone back. */
	if (now_ms >= objects->evicted_ms + EVICT_EVERY_MS || now_ms < objects->evicted_ms) {
		evict_idle(objects, now_ms);
		for (struct class_slot *slot = objects->slots; slot; slot = slot->next)
			if (slot->state)
				state_relieve(objects, slot->state);
	}
	objects_act(objects);
	objects_ask(objects);
}

void objects_note_due(struct objects *objects, uint16_t shard, int64_t at_ms)
{
	if (objects == NULL)
		return;
	objects->options.schedule->note(objects->scheduler, shard, at_ms);
	if (at_ms < objects->asked_ms)
		objects_ask(objects);
}
