/*
 * object_sim: durable objects in the simulated world (world.h), with a simulated network: each
 * worker has its objects, clients send random commands, fetches end as they please.
 *
 * What is checked, and where:
 *   object_watch   who may be in an object; what a job begins with and when; what a fetch depends
 *                  on
 *   object_client  replies
 *   object_check   after each crash, now and then, and at the end: every object is as the model has
 *                  it, whole turns up to one record; the index of what is due agrees
 *   here           when all is let run nothing stays behind, and nothing that was due has not run
 */
#include "base/memory.h"
#include "engine/shard.h"
#include "lua/lua_runtime.h"
#include "object/objects_private.h"
#include "schedule/scheduler_private.h"
#include "sim/object_check.h"
#include "sim/object_client.h"
#include "sim/object_script.h"
#include "sim/world.h"
#include "support/count.h"

#include <stdio.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__ /* slower: fewer, and others than the release build runs */
#define SEED_FIRST  801
#define SEEDS_USUAL 400
#else
#define SEED_FIRST  1
#define SEEDS_USUAL 800
#endif
#define SEEDS_LONG 40000
/* Enough for the longest step, soon used up by an endless one. */
#define TURN_INSTRUCTIONS 300000
#define ALARMS_MANY       100
/* Takes what one turn may write: some times MODEL_BULK keys. */
#define SEGMENT_BYTES (512 << 10)
/* Calls may not last longer: then they are broken off, which the model does not know. */
#define CALL_MS_MAX    (LIMIT_CALL_LIFE_MS - 100000)
#define RUN_ROUNDS_MAX 200000
#define HELD_BACK_MS   2000 /* after which what was held back has begun */
#define LAST_REST_MS   200000

struct answer {
	struct answer *next;
	struct fetch *fetch;
	int64_t at_ms;
};

struct worker {
	struct object_sim *sim;
	uint16_t port;
	struct objects *objects;
	int64_t wake_ms; /* when it asked to be run */
	struct answer *answers;
};

struct object_sim {
	struct world world; /* stands first */
	struct class_registry *registry;
	struct worker workers[WORLD_WORKERS_MAX];
	struct model *model;
	struct watch *watch;
	struct client_host clients;
};

static struct object_sim *sim_of(struct world *world)
{
	return (struct object_sim *)world;
}

static uint64_t below(struct object_sim *sim, uint64_t bound)
{
	return world_below(&sim->world, bound);
}

static bool chance(struct object_sim *sim, uint64_t one_in)
{
	return world_chance(&sim->world, one_in);
}

/* --- what the objects ask of their host ------------------------------------------------------- */

static void on_wake_at(void *context, int64_t at_ms)
{
	struct worker *worker = context;
	worker->wake_ms = at_ms;
}

static void on_fetch(void *context, struct fetch *fetch)
{
	struct worker *worker = context;
	struct object_sim *sim = worker->sim;
	struct answer *answer = memory_zeroed(sizeof(*answer));
	watch_fetch(sim->watch, fetch);
	buffer_init(&fetch->headers_in);
	buffer_init(&fetch->body_in);
	answer->fetch = fetch;
	answer->at_ms = sim->world.rig.now_ms +
		(chance(sim, 2) ? 0 : (int64_t)below(sim, (uint64_t)fetch->timeout_ms));
	uint64_t choice = below(sim, 4);
	fetch->status = 0;
	if (choice < 2) {
		fetch->status = 200 + (int)below(sim, 300);
		buffer_append_text(&fetch->headers_in, "server: sim\n");
		buffer_append_text(&fetch->body_in, "answer");
	} else if (choice == 2) {
		snprintf(fetch->code, sizeof(fetch->code), "NETWORK");
		snprintf(fetch->error, sizeof(fetch->error), "no way");
	} else {
		answer->at_ms = sim->world.rig.now_ms + fetch->timeout_ms;
		snprintf(fetch->code, sizeof(fetch->code), "TIMEOUT");
		snprintf(fetch->error, sizeof(fetch->error), "no answer");
	}
	answer->next = worker->answers;
	worker->answers = answer;
}

static void on_cancel(void *context, struct fetch *fetch)
{
	struct worker *worker = context;
	struct answer **place = &worker->answers;
	while (*place && (*place)->fetch != fetch)
		place = &(*place)->next;
	if (*place == NULL)
		wrong("a fetch is cancelled that is not under way");
	struct answer *answer = *place;
	*place = answer->next;
	memory_free(answer);
}

/* --- clients ---------------------------------------------------------------------------------- */

static bool choose(struct world *world, struct request *request)
{
	struct object_sim *sim = sim_of(world);
	if (engine_admission(world->rig.engine) != GATE_OPEN)
		return false;
	uint32_t class = (uint32_t)below(sim, 2);
	if (watch_class_version(sim->watch, class) == 0)
		client_load_class(&sim->clients, request, class);
	else
		client_choose(&sim->clients, request, world->rig.now_ms);
	return true;
}

static void answered(struct world *world, const struct request *request)
{
	client_check(&sim_of(world)->clients, request);
}

static uint64_t depends(const struct request *request)
{
	return ((const struct client *)request->environment)->depends;
}

static void left(struct world *world, struct request *request)
{
	client_end(&sim_of(world)->clients, request);
}

/* A call that was under way may have been waiting for something: that is given up. */
static void abandoned(struct world *world, struct request *request)
{
	(void)world;
	if (call_of(request))
		wait_forget(call_of(request));
}

/* --- checks ----------------------------------------------------------------------------------- */

static void on_checked(struct request **request)
{
	struct object_sim *sim = (*request)->told_context;
	sim->world.in_flight--;
}

static void check_now(struct object_sim *sim)
{
	sim->world.in_flight++;
	sim->world.commands++;
	engine_tick(sim->world.rig.engine, 0);
	engine_ask(sim->world.rig.engine, 0,
		&(struct question){ .command = &check_command,
			.routed = true,
			.state = sim->model,
			.context = sim,
			.told = on_checked });
}

static void check_between_turns(struct world *world)
{
	watch_between_turns(sim_of(world)->watch);
}

static void check_due(
	const struct object_sim *sim, uint32_t object, const char *what, int64_t due_ms)
{
	if (due_ms < sim->world.rig.now_ms)
		wrong("o%u: its %s has been due since %lld", object, what, (long long)due_ms);
}

/* What had its time has run, unless calls kept it waiting at the gate. */
static void check_nothing_is_overdue(struct object_sim *sim)
{
	for (uint32_t object = 0; object < MODEL_OBJECTS; object++) {
		struct model_state state = model_now(sim->model, object, 0, sim->world.rig.now_ms);
		if (watch_is_busy(sim->watch, object))
			continue;
		if (state.alarm.set)
			check_due(sim, object, "alarm", state.alarm.due_to_ms);
		for (uint32_t i = 0; i < MODEL_SCHEDULES; i++)
			if (state.schedules[i].set)
				check_due(sim, object, "schedule", state.schedules[i].due_to_ms);
		for (uint32_t i = 0; i < state.wake_count; i++)
			if (!state.wakes[i].may_go)
				check_due(sim, object, "wake", state.wakes[i].at_ms);
		model_drop_wakes(sim->model, object, gate_appended(sim->world.rig.engine->gate),
			sim->world.rig.now_ms);
	}
}

static void check_queues(const struct object_sim *sim)
{
	for (uint16_t i = 0; i < sim->world.workers; i++) {
		struct objects *objects = sim->workers[i].objects;
		const struct hash_table *table = &objects->by_name;
		if (objects_are_busy(objects) || objects->deadlines.count ||
			objects->port->waits.first || objects->actions.first ||
			objects->scheduler->running.count)
			wrong("worker %u keeps something though all calls have ended", i);
		for (const struct hash_node *node = hash_table_any(table); node;
			node = hash_table_after(table, node)) {
			const struct object *object = container_of(node, struct object, by_name);
			if (object->state == NULL || !object->is_idle || object->calls_in ||
				object->queued || object->admitted || object->closed_by)
				wrong("an object is kept, or busy, though all calls have ended");
		}
	}
}

/* --- steps ------------------------------------------------------------------------------------ */

static bool run_objects(struct worker *worker)
{
	struct object_sim *sim = worker->sim;
	if (worker->wake_ms > sim->world.rig.now_ms)
		return false;
	worker->wake_ms = INT64_MAX;
	engine_tick(sim->world.rig.engine, worker->port);
	objects_run(worker->objects);
	return true;
}

static bool tell_released(struct worker *worker)
{
	return gate_waits_run(&worker->sim->world.rig.engine->ports[worker->port].waits);
}

/* The first of those whose time has come. */
static bool answer_fetch(struct worker *worker)
{
	struct object_sim *sim = worker->sim;
	struct answer **first = NULL;
	for (struct answer **place = &worker->answers; *place; place = &(*place)->next)
		if (first == NULL || (*place)->at_ms <= (*first)->at_ms)
			first = place;
	if (first == NULL || (*first)->at_ms > sim->world.rig.now_ms)
		return false;
	struct answer *answer = *first;
	struct fetch *fetch = answer->fetch;
	char outcome[16];
	*first = answer->next;
	memory_free(answer);
	if (fetch->status)
		snprintf(outcome, sizeof(outcome), "%d", fetch->status);
	else
		snprintf(outcome, sizeof(outcome), "%s", fetch->code);
	watch_fetched(sim->watch, fetch, outcome);
	fetch->done(fetch);
	return true;
}

static int64_t next_event_ms(const struct object_sim *sim)
{
	int64_t next_ms = INT64_MAX;
	for (uint16_t i = 0; i < sim->world.workers; i++) {
		const struct worker *worker = &sim->workers[i];
		if (worker->wake_ms < next_ms)
			next_ms = worker->wake_ms;
		for (const struct answer *answer = worker->answers; answer; answer = answer->next)
			if (answer->at_ms < next_ms)
				next_ms = answer->at_ms;
	}
	return next_ms;
}

/* To a moment at which something is to happen, or just near it, or anywhere. */
static void pass_time(struct world *world)
{
	struct object_sim *sim = sim_of(world);
	static const uint64_t spans_ms[] = { 2, 30, 500, 5000, 60000 };
	int64_t next_ms = next_event_ms(sim), then_ms;
	if (chance(sim, 2) && next_ms < INT64_MAX && next_ms > sim->world.rig.now_ms)
		then_ms = next_ms;
	else
		then_ms = sim->world.rig.now_ms + (int64_t)below(sim, spans_ms[below(sim, 5)]);
	int64_t oldest_ms = watch_oldest_ms(sim->watch);
	if (oldest_ms == INT64_MAX || then_ms - oldest_ms < CALL_MS_MAX)
		sim->world.rig.now_ms = then_ms;
}

static struct worker *any_worker(struct object_sim *sim)
{
	return &sim->workers[world_any_worker(&sim->world)];
}

static void run_any(struct world *world)
{
	run_objects(any_worker(sim_of(world)));
}

static void tell_any(struct world *world)
{
	tell_released(any_worker(sim_of(world)));
}

static void answer_any(struct world *world)
{
	answer_fetch(any_worker(sim_of(world)));
}

static void check_now_and_then(struct world *world)
{
	if (world_chance(world, 20))
		check_now(sim_of(world));
}

/* --- letting everything run ------------------------------------------------------------------- */

static bool run_all(struct world *world)
{
	bool moved = false;
	for (uint16_t i = 0; i < world->workers; i++) {
		struct worker *worker = &sim_of(world)->workers[i];
		moved |= tell_released(worker);
		moved |= answer_fetch(worker);
		moved |= run_objects(worker);
	}
	return moved;
}

static bool is_settled(const struct world *world)
{
	const struct object_sim *sim = (const struct object_sim *)world;
	return !world->moved && world_is_home(world) && watch_calls(sim->watch) == 0;
}

/* On to what happens next, unless the last round has shown that nothing has to. */
static void wait_for_next(struct world *world)
{
	struct object_sim *sim = sim_of(world);
	if (is_settled(world))
		return;
	int64_t next_ms = next_event_ms(sim);
	if (next_ms == INT64_MAX)
		wrong("nothing will happen any more, but %u requests and %u calls have not ended",
			world->in_flight, watch_calls(sim->watch));
	if (next_ms > world->rig.now_ms)
		world->rig.now_ms = next_ms;
}

/* Step by step through all that happens until then. */
static void run_until(struct object_sim *sim, int64_t until_ms)
{
	struct world *world = &sim->world;
	for (int i = 0;; i++) {
		if (i > RUN_ROUNDS_MAX)
			wrong("something happens again and again");
		if (world_round(world))
			continue;
		int64_t next_ms = next_event_ms(sim);
		if (next_ms > until_ms)
			break;
		if (next_ms > world->rig.now_ms)
			world->rig.now_ms = next_ms;
	}
	world->rig.now_ms = until_ms;
}

/* No jobs begin any more, and all that is under way comes to its end. */
static void quiesce(struct object_sim *sim)
{
	for (uint16_t i = 0; i < sim->world.workers; i++)
		objects_quiesce(sim->workers[i].objects);
	sim->world.moved = true; /* what has been told may move */
	world_settle(&sim->world);
}

static void choose_concurrency(struct object_sim *sim)
{
	sim->world.rig.config.alarm_concurrency = chance(sim, 2) ? 1 : ALARMS_MANY;
}

static void rest(struct world *world, int64_t ms)
{
	struct object_sim *sim = sim_of(world);
	world->rig.config.alarm_concurrency = ALARMS_MANY;
	run_until(sim, world->rig.now_ms + ms + HELD_BACK_MS);
	check_nothing_is_overdue(sim);
	quiesce(sim);
	check_queues(sim);
	check_now(sim);
	quiesce(sim);
	choose_concurrency(sim);
}

static void finish(struct world *world)
{
	world_rest(world, LAST_REST_MS);
}

/* --- life and death --------------------------------------------------------------------------- */

static void open_objects(struct object_sim *sim)
{
	sim->registry = class_registry_new();
	class_load_stored(sim->registry, sim->world.rig.engine->stores[0]);
	watch_begin(sim->watch, sim->world.rig.engine);
	for (uint16_t i = 0; i < sim->world.workers; i++) {
		struct worker *worker = &sim->workers[i];
		*worker = (struct worker){ .sim = sim, .port = i, .wake_ms = INT64_MAX };
		struct objects_options options = {
			.engine = sim->world.rig.engine,
			.config = &sim->world.rig.config,
			.port = i,
			.registry = sim->registry,
			.runtime = &lua_runtime,
			.schedule = &scheduler_of_objects,
			.host = { worker, on_wake_at, on_fetch, on_cancel },
			.say = watch_say,
			.say_context = watch_say_context(sim->watch, i),
		};
		worker->objects = objects_new(&options);
		random_seed(&worker->objects->scheduler->random, random_next(&sim->world.random));
		watch_set_objects(sim->watch, i, worker->objects);
	}
}

static void check_version(const struct object_sim *sim, uint32_t class)
{
	struct class *found = class_find(sim->registry, slice_text(script_classes[class]));
	uint64_t version = found ? found->version : 0;
	class_release(&found);
	if (version != watch_class_version(sim->watch, class))
		wrong("version %llu of class %s was recovered, not %llu",
			(unsigned long long)version, script_classes[class],
			(unsigned long long)watch_class_version(sim->watch, class));
}

static void recovered(struct world *world, uint64_t last)
{
	struct object_sim *sim = sim_of(world);
	model_rewind(sim->model, last);
	watch_rewind(sim->watch, last);
	open_objects(sim);
	for (uint32_t class = 0; class < 2; class ++)
		check_version(sim, class);
	/* The tick's time is that of the check. */
	for (uint16_t port = 0; port < world->loops; port++)
		engine_tick(world->rig.engine, port);
	check_now(sim);
	for (uint16_t port = 0; world->in_flight; port = (port + 1) % world->loops)
		engine_deliver(world->rig.engine, port);
}

static void close_objects(struct world *world)
{
	struct object_sim *sim = sim_of(world);
	sim->clients.wakes = 0;
	for (uint16_t i = 0; i < world->workers; i++)
		if (sim->workers[i].objects)
			objects_free(&sim->workers[i].objects);
	if (sim->registry)
		class_registry_free(&sim->registry);
}

static void begin(struct world *world)
{
	struct object_sim *sim = sim_of(world);
	struct config *config = &world->rig.config;
	config->turn_instructions = TURN_INSTRUCTIONS;
	config->turn_time_ms = 60000;
	config->object_idle_s = chance(sim, 2) ? 1 : 300;
	config->object_queue_max = chance(sim, 2) ? 2 : 100;
	choose_concurrency(sim);
	sim->model = model_new();
	sim->watch = watch_new(sim->model);
	sim->clients = (struct client_host){
		.random = &world->random, .model = sim->model, .watch = sim->watch
	};
	buffer_init(&sim->clients.script);
}

static void end(struct world *world)
{
	struct object_sim *sim = sim_of(world);
	watch_free(sim->watch);
	model_free(sim->model);
	buffer_fini(&sim->clients.script);
}

/* --- the simulator ---------------------------------------------------------------------------- */

static const struct world_step steps[] = {
	{ 2, world_run_gate },
	{ 1, world_run_keeper },
	{ 1, world_run_checkpoint },
	{ 1, world_run_expiry },
	{ 2, pass_time },
	{ 3, run_any },
	{ 2, tell_any },
	{ 2, answer_any },
	{ 1, check_now_and_then },
	{ 5, world_deliver },
	{ 4, world_send },
};

static const struct simulator simulator = {
	.size = sizeof(struct object_sim),
	.first_seed = SEED_FIRST,
	.seeds_usual = SEEDS_USUAL,
	.seeds_long = SEEDS_LONG,
	.steps = steps,
	.step_count = COUNT(steps),
	.life_steps = 1200,
	.in_flight_max = 20,
	.log_segment_bytes = SEGMENT_BYTES,
	.overlay_bits = { 18, 6 },
	.fault_operations = 150,
	.room = { 2, 8 },
	.room_piece_bytes = SEGMENT_BYTES + (16 << 10),
	.down_ms = 3600000,
	.rest_ms = 200000,
	.settle_ms_max = LIMIT_CALL_LIFE_MS,
	.begin = begin,
	.end = end,
	.recovered = recovered,
	.close = close_objects,
	.choose = choose,
	.answered = answered,
	.depends = depends,
	.left = left,
	.abandoned = abandoned,
	.run = run_all,
	.wait = wait_for_next,
	.is_settled = is_settled,
	.check = check_between_turns,
	.rest = rest,
	.finish = finish,
};

int main(int argc, char **argv)
{
	return world_main(&simulator, argc, argv);
}
