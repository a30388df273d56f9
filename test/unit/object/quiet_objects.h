/*
 * quiet_objects: objects on every worker of a rig's engine, for tests of commands: they do what
 * they are called for, nobody wakes them, and nobody hears what they say.
 */
#ifndef TEST_UNIT_OBJECT_QUIET_OBJECTS_H
#define TEST_UNIT_OBJECT_QUIET_OBJECTS_H

#include "lua/lua_runtime.h"
#include "object/class.h"
#include "object/objects.h"
#include "schedule/scheduler.h"
#include "support/engine_rig.h"

struct quiet_objects {
	struct class_registry *registry;
	struct objects *objects[ENGINE_RIG_PORTS_MAX];
	uint16_t count;
};

static void quiet_wake_at(void *context, int64_t at_ms)
{
}

static void quiet_say(void *context, const struct call *call, int level, const char *text)
{
}

/* The classes are those that the engine has stored. */
static inline void quiet_objects_open(struct quiet_objects *quiet, struct engine_rig *rig)
{
	quiet->registry = class_registry_new();
	quiet->count = rig->engine->worker_count;
	class_load_stored(quiet->registry, rig->engine->stores[0]);
	for (uint16_t port = 0; port < quiet->count; port++) {
		struct objects_options options = {
			.engine = rig->engine,
			.config = &rig->config,
			.port = port,
			.registry = quiet->registry,
			.runtime = &lua_runtime,
			.schedule = &scheduler_of_objects,
			.host = { .wake_at = quiet_wake_at },
			.say = quiet_say,
		};
		quiet->objects[port] = objects_new(&options);
	}
}

static inline void quiet_objects_close(struct quiet_objects *quiet)
{
	for (uint16_t port = 0; port < quiet->count; port++)
		objects_free(&quiet->objects[port]);
	class_registry_free(&quiet->registry);
}

#endif
