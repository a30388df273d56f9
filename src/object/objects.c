/*
 * objects: a worker's objects. One is in the table while something goes on with it: an instance in
 * memory, a call in it, or requests before its gate (object_gate.c).
 *
 *   instance:  made by a first call -> init -> calls ... idle -> dropped: idle for too long, memory
 * is short, DO.EVICT, a write past it, a newer class, an error in its code
 *
 * An instance is never dropped under a call that waits: it is doomed, nobody enters any more, and
 * when its last call has left it goes. So no two instances of an object are ever about.
 *
 * Threads: its worker's.
 */
#include "object/objects_private.h"
#include "object/section.h"

#include "base/hash.h"
#include "base/memory.h"
#include "engine/room.h"

#include <assert.h>
#include <stdio.h>

#define EVICT_EVERY_MS    1000
#define ADMISSION_WAIT_MS 2

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

void object_forget(struct objects *objects, struct object *object)
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

void object_rest(struct object *object)
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

void object_drop_instance(struct objects *objects, struct object *object)
{
	struct class_state *state = object->state;
	if (object->doomed)
		object_end_circle_waits(object);
	object->doomed = false;
	if (state == NULL)
		return;
	assert(object->calls_in == 0);
	leave_idle_list(object);
	state->runtime->drop(object);
	object->state = NULL;
	object->initialised = false;
	object->serial = 0;
	object->slot->figures.instances--;
	if (--state->instances == 0 && state->replaced)
		state->runtime->unload(&state);
}

void object_doom(struct objects *objects, struct object *object)
{
	if (object->calls_in == 0) {
		object_drop_instance(objects, object);
	} else if (!object->doomed) {
		object->doomed = true;
		object_begin_circle_waits(objects, object);
	}
}

bool objects_evict(struct turn *turn, const struct object_name *name)
{
	struct object *object = objects_on(turn) ? object_find(objects_on(turn), name) : NULL;
	bool had = object && object->state;
	if (object) {
		object_doom(objects_on(turn), object);
		object_look_again(objects_on(turn), object);
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
			object_look_again(objects, object);
		}
	}
}

/* --- figures ---------------------------------------------------------------------------------- */

static size_t memory_of(const struct class_state *state)
{
	struct runtime_memory memory;
	state->runtime->weigh(state, &memory);
	return memory.used;
}

void objects_figures(
	struct objects *objects, const struct object_name *name, struct objects_figures *out)
{
	struct class_slot *slot = slot_of(objects, name->class_name);
	*out = (struct objects_figures){ 0 };
	if (slot == NULL)
		return;
	if (name->id.size == 0) {
		*out = slot->figures;
		out->memory_bytes = slot->state ? memory_of(slot->state) : 0;
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
		out->memory_bytes += slot->state ? memory_of(slot->state) : 0;
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

struct buffer *objects_scratch(struct objects *objects)
{
	return &objects->scratch;
}

struct class_registry *objects_registry(struct objects *objects)
{
	return objects->options.registry;
}

/* --- life ------------------------------------------------------------------------------------- */

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
	object_forget(objects, object);
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
			slot->state->runtime->unload(&slot->state);
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
