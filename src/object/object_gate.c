/*
 * object_gate: the input gate in front of each object. Who comes first goes first: while anybody
 * queues, new ones queue behind. At a turn's end, when the gate is open, the first of the queue is
 * let in; its request then stands in the shard's queue like any other, and nobody else enters
 * before it has.
 *
 * At a doomed object nobody enters any more until its last call has left. A call of another object
 * that waits for that is refused when calls in the doomed one wait for it (object/circle.h).
 *
 * Storage commands pass the same gate (objects_enter): one that writes past the class dooms the
 * instance, whose fields may be stale now.
 *
 * Threads: the worker's of the object's shard.
 */
#include "object/objects_private.h"

#include <assert.h>

#define OVERLOAD_RETRY_MS 100

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
	(void)request; /* object_look_again finds it in its queue */
}

bool object_closes_circle(struct object *object, struct call *call)
{
	bool waits = call->caller && !call->begun && object->doomed && object->calls_in > 0;
	return waits && !circle_begin(&call->circle, call->objects, &call->name, call->caller);
}

/* Those who queue wait for the calls in the object from now on. */
void object_begin_circle_waits(struct objects *objects, struct object *object)
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

void object_end_circle_waits(struct object *object)
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
	object_look_again(objects_on(turn), object);
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

void object_look_again(struct objects *objects, struct object *object)
{
	bool outdated = object->state && object->state->replaced;
	if ((object->doomed || outdated) && object->calls_in == 0)
		object_drop_instance(objects, object);
	let_next_in(objects, object);
	if (object->calls_in > 0 || object->queued > 0 || object->admitted)
		return;
	if (object->state == NULL)
		object_forget(objects, object);
	else if (!object->is_idle)
		object_rest(object);
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
		object_look_again(objects_on(turn), object);
}
