/*
 * rooms: see rooms.h. Sessions and the cache give leases, and origins ask objects; so leases are
 * the first that are there and the last that go.
 *
 * Threads: the main thread, while no loop runs.
 */
#include "server/rooms.h"

#include "cache/cache.h"
#include "lua/lua_runtime.h"
#include "schedule/scheduler.h"
#include "session/sessions.h"

#include <assert.h>

void rooms_open(struct rooms *rooms, const struct rooms_world *world, void *context,
	struct engine *engine, struct config *config, struct class_registry *registry)
{
	assert(rooms->engine == NULL);
	*rooms = (struct rooms){ .world = world, .context = context, .engine = engine };
	world->open_leases(context);
	rooms->sessions = sessions_new(engine);
	rooms->cache = cache_new(engine);
	for (uint16_t i = 0; i < engine->worker_count; i++)
		world->open_origins(context, i);
	for (uint16_t i = 0; i < engine->worker_count; i++) {
		struct objects_options options = {
			.engine = engine,
			.config = config,
			.port = i,
			.registry = registry,
			.runtime = &lua_runtime,
			.schedule = &scheduler_of_objects,
		};
		world->open_objects(context, &options);
	}
}

void rooms_close(struct rooms *rooms)
{
	struct engine *engine = rooms->engine;
	if (engine == NULL)
		return;
	for (uint16_t i = 0; i < engine->worker_count; i++)
		rooms->world->close_objects(rooms->context, i);
	for (uint16_t i = 0; i < engine->worker_count; i++)
		rooms->world->close_origins(rooms->context, i);
	cache_free(&rooms->cache);
	sessions_free(&rooms->sessions);
	rooms->world->close_leases(rooms->context);
	rooms->engine = NULL;
}
