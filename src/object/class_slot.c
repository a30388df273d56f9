/*
 * class_slot: what a worker keeps of each class: its version in force, which the runtime makes
 * ready when it is first needed and again when the registry has another; figures, and what bounds
 * the lines about it.
 *
 *   registry's revision --(another version)--> the idle instances go, the version before is retired
 *                                              --(its last call has left)--> unloaded
 *
 * Threads: the worker's.
 */
#include "object/objects_private.h"

#include "base/memory.h"

#include <assert.h>

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
		state->runtime->unload(&state);
}

static void drop_idle(struct objects *objects, struct class_state *state, uint32_t most)
{
	while (most-- > 0 && state->idle.first) {
		struct object *object = container_of(state->idle.first, struct object, idle);
		object_drop_instance(objects, object);
		object_look_again(objects, object);
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
	slot->state = objects->options.runtime->load(objects, class, error, error_size);
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
	bool has_it = state && state->runtime->has_method(state, method);
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
	struct class class = { .references = 1, .source = source };
	if (name.size >= sizeof(class.name))
		return false;
	memcpy(class.name, name.data, name.size);
	struct class_state *state =
		objects->options.runtime->load(objects, &class, error, error_size);
	if (state == NULL)
		return false;
	state->runtime->unload(&state);
	return true;
}

/* An eighth of the idle ones when the class's memory is nearly used up. */
void state_relieve(struct objects *objects, struct class_state *state)
{
	struct runtime_memory memory;
	if (state->idle.first == NULL)
		return;
	state->runtime->weigh(state, &memory);
	if (memory.used < memory.most / 4 * 3)
		return;
	drop_idle(objects, state, state->instances / 8 + 1);
}
