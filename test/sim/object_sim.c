/*
 * object_sim: durable objects on one thread, with a simulated disk, clock and network: an engine
 * with one to three workers and the objects of each; random commands of clients, random order of
 * steps, crashes at any disk operation and between any two steps, full disks, failing commits.
 *
 * What is checked, and where:
 *   object_watch   who may be in an object; what a job begins with and when; what a fetch depends
 * on object_client  replies object_check   after each crash, now and then, and at the end: every
 * object is as the model has it, whole turns up to one record; the index of what is due agrees here
 * a reply leaves only when what it tells of is released, and that is there after any crash; when
 * all is let run nothing stays behind, and nothing that was due has not run
 *
 *   test_object_sim [--seeds N] [--first N] [--seed N] [--leaks] [--verbose]
 *
 * Every choice follows from the seed: `--seed N` repeats a run exactly.
 */
#include "base/fault.h"
#include "base/hash.h"
#include "base/logline.h"
#include "base/memory.h"
#include "command/command.h"
#include "object/runtime.h"
#include "object/scheduler_private.h"
#include "shard/checkpoint.h"
#include "shard/shard.h"
#include "sim/object_check.h"
#include "sim/object_client.h"
#include "sim/object_script.h"
#include "support/sim_disk.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__ /* slower: fewer, and others than the release build runs */
#define SEED_FIRST  801
#define SEEDS_USUAL 400
#else
#define SEED_FIRST  1
#define SEEDS_USUAL 800
#endif
#define SEEDS_LONG    40000
#define IN_FLIGHT_MAX 20
#define STEPS         1200
/* Enough for the longest step, soon used up by an endless one. */
#define TURN_INSTRUCTIONS 300000
#define ALARMS_MANY       100
#define NEVER             ((uint64_t)1 << 62)
#define VALUE_BYTES_MAX   (80 * 1024)
/* Takes what one turn may write: some times MODEL_BULK keys. */
#define SEGMENT_BYTES (512 << 10)
#define MAP_BYTES     ((int64_t)1 << 30)
/* Calls may not last longer: then they are broken off, which the model does not know. */
#define CALL_MS_MAX   (LIMIT_CALL_LIFE_MS - 100000)
#define SETTLE_ROUNDS 200000
#define SETTLE_MS     2000 /* after which what was held back has begun */

struct answer {
	struct answer *next;
	struct fetch *fetch;
	int64_t at_ms;
};

struct worker {
	struct objects *objects;
	int64_t wake_ms; /* when it asked to be run */
	struct answer *answers;
};

struct sim {
	uint64_t seed;
	struct random random;
	struct clock clock;
	int64_t now_ms;
	struct config config;
	struct disk *disk;
	char directory[256];
	struct engine *engine;
	struct class_registry *registry;
	struct worker workers[WATCH_WORKERS_MAX];
	uint16_t worker_count;
	uint16_t loops;
	struct model *model;
	struct watch *watch;
	struct client_host clients;
	uint64_t acknowledged;      /* highest record that a released reply told of */
	struct request *unreleased; /* done, behind the gate */
	uint32_t in_flight;
	bool commit_fails;
	bool commit_dies;
	uint64_t commands;
	uint64_t crashes;
};

static struct sim *sim; /* of the callbacks that get no context */
static jmp_buf crash_point;
/* Of the tables and of the store: a seed must give the same run each time. */
static const struct hash_secret secret = { 1, 2 };
static bool verbose;
static bool leaks; /* no faults, so that nothing may be left behind */

/* LeakSanitizer asks: a fault leaves what was in flight behind, as a crash does. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return !leaks;
}

void wrong(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	fprintf(stderr, "seed %llu: ", (unsigned long long)sim->seed);
	vfprintf(stderr, format, list);
	fprintf(stderr, "\n");
	va_end(list);
	abort();
}

static bool chance(uint64_t one_in)
{
	return random_below(&sim->random, one_in) == 0;
}

/* --- seams ------------------------------------------------------------------------------------ */

static int64_t sim_wall_ms(struct clock *clock)
{
	(void)clock;
	return sim->now_ms;
}

static uint64_t sim_monotonic_ns(struct clock *clock)
{
	(void)clock;
	return (uint64_t)sim->now_ms * 1000000;
}

static void on_fault(void)
{
	for (uint16_t i = 0; sim->engine && i < sim->engine->port_count; i++)
		if (sim->engine->ports[i].in_turn)
			wrong("a fault within a turn");
	longjmp(crash_point, 1);
}

static int on_commit(void *context)
{
	(void)context;
	if (sim->commit_dies) {
		sim->commit_dies = false;
		return -EIO;
	}
	if (sim->commit_fails)
		return chance(3) ? (sim->commit_fails = false, 0) : -ENOSPC;
	return 0;
}

static void no_wake(void *context)
{
	(void)context;
}

static void on_wake_at(void *context, int64_t at_ms)
{
	struct worker *worker = context;
	worker->wake_ms = at_ms;
}

static void on_fetch(void *context, struct fetch *fetch)
{
	struct worker *worker = context;
	struct answer *answer = memory_zeroed(sizeof(*answer));
	watch_fetch(sim->watch, fetch);
	buffer_init(&fetch->headers_in);
	buffer_init(&fetch->body_in);
	answer->fetch = fetch;
	answer->at_ms = sim->now_ms +
		(chance(2) ? 0 : (int64_t)random_below(&sim->random, (uint64_t)fetch->timeout_ms));
	uint64_t choice = random_below(&sim->random, 4);
	fetch->status = 0;
	if (choice < 2) {
		fetch->status = 200 + (int)random_below(&sim->random, 300);
		buffer_append_text(&fetch->headers_in, "server: sim\n");
		buffer_append_text(&fetch->body_in, "answer");
	} else if (choice == 2) {
		snprintf(fetch->code, sizeof(fetch->code), "NETWORK");
		snprintf(fetch->error, sizeof(fetch->error), "no way");
	} else {
		answer->at_ms = sim->now_ms + fetch->timeout_ms;
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

static void submit(struct request *request, uint16_t home)
{
	request->home = home;
	sim->in_flight++;
	sim->commands++;
	engine_tick(sim->engine, home);
	engine_submit(sim->engine, home, &request);
}

static void send_command(void)
{
	uint16_t home = (uint16_t)random_below(&sim->random, sim->loops);
	if (sim->in_flight >= IN_FLIGHT_MAX || engine_admission(sim->engine) != GATE_OPEN)
		return;
	struct request *request = request_take(&sim->engine->ports[home].pool);
	uint32_t class = (uint32_t)random_below(&sim->random, 2);
	if (watch_class_version(sim->watch, class) == 0)
		client_load_class(&sim->clients, request, class);
	else
		client_choose(&sim->clients, request, sim->now_ms);
	submit(request, home);
}

static void check_now(void)
{
	struct request *request = request_take(&sim->engine->ports[0].pool);
	request->command = &check_command;
	request->state = sim->model;
	submit(request, 0);
}

static void on_done(void *context, struct request *request)
{
	(void)context;
	if (request->environment == NULL) { /* a check, or expiry's own */
		sim->in_flight -= request->command == &check_command;
		request_put(&sim->engine->ports[request->home].pool, &request);
		return;
	}
	client_check(&sim->clients, request);
	sim->in_flight--;
	request->order_next = sim->unreleased;
	sim->unreleased = request;
}

static void release(void)
{
	uint64_t released = gate_released(sim->engine->gate);
	struct request **at = &sim->unreleased;
	while (*at) {
		struct request *request = *at;
		const struct client *client = request->environment;
		if (request->gate_lsn > released) {
			at = &request->order_next;
			continue;
		}
		if (client->depends > released)
			wrong("%s: the reply leaves before record %llu is released",
				request->command->name, (unsigned long long)client->depends);
		if (client->depends > sim->acknowledged)
			sim->acknowledged = client->depends;
		*at = request->order_next;
		client_end(&sim->clients, request);
		request_put(&sim->engine->ports[request->home].pool, &request);
	}
}

/* --- steps ------------------------------------------------------------------------------------ */

static bool run_objects(struct worker *worker)
{
	uint16_t port = (uint16_t)(worker - sim->workers);
	if (worker->wake_ms > sim->now_ms)
		return false;
	worker->wake_ms = INT64_MAX;
	engine_tick(sim->engine, port);
	objects_run(worker->objects);
	return true;
}

static bool tell_released(struct worker *worker)
{
	struct port *port = &sim->engine->ports[worker - sim->workers];
	if (!port->awaits_gate)
		return false;
	objects_released(worker->objects);
	return !port->awaits_gate;
}

/* The first of those whose time has come. */
static bool answer_fetch(struct worker *worker)
{
	struct answer **first = NULL;
	for (struct answer **place = &worker->answers; *place; place = &(*place)->next)
		if (first == NULL || (*place)->at_ms <= (*first)->at_ms)
			first = place;
	if (first == NULL || (*first)->at_ms > sim->now_ms)
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

static int64_t next_event_ms(void)
{
	int64_t next_ms = INT64_MAX;
	for (uint16_t i = 0; i < sim->worker_count; i++) {
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
static void pass_time(void)
{
	static const uint64_t spans_ms[] = { 2, 30, 500, 5000, 60000 };
	int64_t next_ms = next_event_ms(), then_ms;
	if (chance(2) && next_ms < INT64_MAX && next_ms > sim->now_ms)
		then_ms = next_ms;
	else
		then_ms = sim->now_ms +
			(int64_t)random_below(
				&sim->random, spans_ms[random_below(&sim->random, 5)]);
	int64_t oldest_ms = watch_oldest_ms(sim->watch);
	if (oldest_ms == INT64_MAX || then_ms - oldest_ms < CALL_MS_MAX)
		sim->now_ms = then_ms;
}

static struct worker *any_worker(void)
{
	return &sim->workers[random_below(&sim->random, sim->worker_count)];
}

static void step(void)
{
	switch (random_below(&sim->random, 24)) {
	case 0:
	case 1:
		gate_step(sim->engine->gate);
		break;
	case 2:
		gate_keeper_step(sim->engine->gate);
		break;
	case 3:
		checkpoint_step(sim->engine->checkpoint);
		break;
	case 4:
		engine_expire(sim->engine, (uint16_t)random_below(&sim->random, sim->worker_count));
		break;
	case 5:
	case 6:
		pass_time();
		break;
	case 7:
	case 8:
	case 9:
		run_objects(any_worker());
		break;
	case 10:
	case 11:
		tell_released(any_worker());
		break;
	case 12:
	case 13:
		answer_fetch(any_worker());
		break;
	case 14:
		if (chance(20))
			check_now();
		break;
	case 15:
	case 16:
	case 17:
	case 18:
	case 19:
		engine_deliver(sim->engine, (uint16_t)random_below(&sim->random, sim->loops));
		break;
	default:
		send_command();
	}
	watch_between_turns(sim->watch);
	release();
}

/* --- letting everything run ------------------------------------------------------------------- */

static bool settle_round(void)
{
	bool moved = false;
	for (uint16_t port = 0; port < sim->loops; port++)
		moved |= engine_deliver(sim->engine, port) > 0;
	moved |= checkpoint_step(sim->engine->checkpoint);
	gate_keeper_step(sim->engine->gate);
	moved |= gate_step(sim->engine->gate) > 0;
	for (uint16_t i = 0; i < sim->worker_count; i++) {
		struct worker *worker = &sim->workers[i];
		moved |= tell_released(worker);
		moved |= answer_fetch(worker);
		moved |= run_objects(worker);
	}
	watch_between_turns(sim->watch);
	release();
	return moved;
}

static bool is_settled(void)
{
	return sim->in_flight == 0 && sim->unreleased == NULL && watch_calls(sim->watch) == 0;
}

static void say_stuck(void)
{
	wrong("%u requests and %u calls never came to their end", sim->in_flight,
		watch_calls(sim->watch));
}

/* Step by step through all that happens until then. */
static void run_until(int64_t until_ms)
{
	for (int i = 0;; i++) {
		if (i > SETTLE_ROUNDS)
			say_stuck();
		if (settle_round())
			continue;
		int64_t next_ms = next_event_ms();
		if (next_ms > until_ms)
			break;
		if (next_ms > sim->now_ms)
			sim->now_ms = next_ms;
	}
	sim->now_ms = until_ms;
}

/* No jobs begin any more, and all that is under way comes to its end. */
static void settle(void)
{
	int64_t last_ms = sim->now_ms + LIMIT_CALL_LIFE_MS;
	for (uint16_t i = 0; i < sim->worker_count; i++)
		objects_quiesce(sim->workers[i].objects);
	int rounds = 0;
	for (bool moved; (moved = settle_round()) || !is_settled();) {
		int64_t next_ms = next_event_ms();
		if (rounds++ > SETTLE_ROUNDS)
			say_stuck();
		if (moved)
			continue;
		if (next_ms > last_ms)
			say_stuck();
		if (next_ms > sim->now_ms)
			sim->now_ms = next_ms;
	}
}

static void check_due(uint32_t object, const char *what, int64_t due_ms)
{
	if (due_ms < sim->now_ms)
		wrong("o%u: its %s has been due since %lld", object, what, (long long)due_ms);
}

/* What had its time has run, unless calls kept it waiting at the gate. */
static void check_nothing_is_overdue(void)
{
	for (uint32_t object = 0; object < MODEL_OBJECTS; object++) {
		struct model_state state = model_now(sim->model, object, 0, sim->now_ms);
		if (watch_is_busy(sim->watch, object))
			continue;
		if (state.alarm.set)
			check_due(object, "alarm", state.alarm.due_to_ms);
		for (uint32_t i = 0; i < MODEL_SCHEDULES; i++)
			if (state.schedules[i].set)
				check_due(object, "schedule", state.schedules[i].due_to_ms);
		for (uint32_t i = 0; i < state.wake_count; i++)
			if (!state.wakes[i].may_go)
				check_due(object, "wake", state.wakes[i].at_ms);
		model_drop_wakes(sim->model, object, gate_appended(sim->engine->gate), sim->now_ms);
	}
}

static void check_queues(void)
{
	for (uint16_t i = 0; i < sim->worker_count; i++) {
		struct objects *objects = sim->workers[i].objects;
		if (objects_are_busy(objects) || objects->timer_count || objects->fetches_held ||
			objects->actions_first || objects->scheduler->running)
			wrong("worker %u keeps something though all calls have ended", i);
		for (uint32_t bucket = 0; bucket < objects->bucket_count; bucket++) {
			for (const struct object *object = objects->buckets[bucket]; object;
				object = object->bucket_next)
				if (object->state == NULL || !object->idle || object->calls_in ||
					object->queued || object->admitted || object->closed_by)
					wrong("an object is kept, or busy, though all calls have "
					      "ended");
		}
	}
}

static void choose_concurrency(void)
{
	sim->config.alarm_concurrency = chance(2) ? 1 : ALARMS_MANY;
}

/* The end of a life: all is let run for a while, without faults, and then comes to rest. */
static void rest(int64_t ms)
{
	sim_disk_crash_at(sim->disk, NEVER);
	sim_disk_fail_at(sim->disk, NEVER, EIO);
	sim_disk_set_capacity(sim->disk, UINT64_MAX);
	sim->commit_fails = sim->commit_dies = false;
	sim->config.alarm_concurrency = ALARMS_MANY;
	run_until(sim->now_ms + ms + SETTLE_MS);
	check_nothing_is_overdue();
	settle();
	check_queues();
	check_now();
	settle();
	choose_concurrency();
}

/* --- life and death --------------------------------------------------------------------------- */

static void open_objects(void)
{
	sim->registry = class_registry_new();
	class_load_stored(sim->registry, sim->engine->stores[0]);
	watch_begin(sim->watch, sim->engine);
	for (uint16_t i = 0; i < sim->worker_count; i++) {
		struct worker *worker = &sim->workers[i];
		*worker = (struct worker){ .wake_ms = INT64_MAX };
		struct objects_options options = {
			.engine = sim->engine,
			.config = &sim->config,
			.port = i,
			.registry = sim->registry,
			.host = { worker, on_wake_at, on_fetch, on_cancel },
			.say = watch_say,
			.say_context = watch_say_context(sim->watch, i),
		};
		worker->objects = objects_new(&options);
		random_seed(&worker->objects->scheduler->random, random_next(&sim->random));
		watch_set_objects(sim->watch, i, worker->objects);
	}
}

static bool open_engine(void)
{
	char error[512] = "";
	struct engine_recovery recovery;
	sim->worker_count = 1 + (uint16_t)random_below(&sim->random, 3);
	sim->loops = sim->worker_count + (uint16_t)random_below(&sim->random, 2);
	struct engine_options options = {
		.config = &sim->config,
		.clock = &sim->clock,
		.disk = sim->disk,
		.directory = sim->directory,
		.workers = sim->worker_count,
		.loops = sim->loops,
		.sync = false,
		.secret_if_new = &secret,
	};
	int result = engine_open(&sim->engine, &options, &recovery, error, sizeof(error));
	if (result < 0) {
		if (!sim_disk_crashed(sim->disk))
			wrong("recovery refused: %s", error);
		return false;
	}
	for (uint16_t i = 0; i < sim->loops; i++) {
		mailbox_init(&sim->engine->ports[i].mailbox, no_wake, NULL);
		sim->engine->ports[i].done = on_done;
	}
	tree_set_commit_fault(sim->engine->tree, on_commit, NULL);
	return true;
}

/* What was under way when the machine stopped, with what its call had been given. */
static void abandon(struct request *list)
{
	while (list) {
		struct request *request = list;
		list = request->next;
		if (call_of(request))
			wait_forget(call_of(request));
		request->stage = REQUEST_DONE;
		request_put(&sim->engine->ports[0].pool, &request);
	}
}

static void abandon_requests(void)
{
	for (uint16_t port = 0; port < sim->engine->port_count; port++)
		abandon(mailbox_take_all(&sim->engine->ports[port].mailbox));
	for (uint16_t i = 0; i < sim->engine->shard_count; i++)
		abandon(sim->engine->shards[i].waiting.first);
	while (sim->unreleased) {
		struct request *request = sim->unreleased;
		sim->unreleased = request->order_next;
		request_put(&sim->engine->ports[0].pool, &request);
	}
	sim->in_flight = 0;
	sim->clients.wakes = 0;
}

static void close_engine(void)
{
	if (sim->engine == NULL)
		return;
	abandon_requests();
	for (uint16_t i = 0; i < sim->worker_count; i++)
		if (sim->workers[i].objects)
			objects_free(&sim->workers[i].objects);
	if (sim->registry)
		class_registry_free(&sim->registry);
	engine_close(&sim->engine);
}

static void crash(void)
{
	sim->crashes++;
	sim->commit_fails = sim->commit_dies = false;
	close_engine();
	sim_disk_crash(sim->disk);
	sim_disk_set_capacity(sim->disk, UINT64_MAX);
}

/* Opens, with a crash in the middle of recovery now and then. */
static void recover(void)
{
	while (sim->engine == NULL) {
		if (chance(5) && !leaks)
			sim_disk_crash_at(sim->disk, 1 + random_below(&sim->random, 30));
		if (!open_engine() || sim_disk_crashed(sim->disk))
			crash();
	}
	sim_disk_crash_at(sim->disk, NEVER);
}

static void check_version(uint32_t class)
{
	struct class *found = class_find(sim->registry, slice_text(script_classes[class]));
	uint64_t version = found ? found->version : 0;
	class_release(&found);
	if (version != watch_class_version(sim->watch, class))
		wrong("version %llu of class %s was recovered, not %llu",
			(unsigned long long)version, script_classes[class],
			(unsigned long long)watch_class_version(sim->watch, class));
}

static void after_crash(void)
{
	uint64_t last = gate_appended(sim->engine->gate);
	if (last < sim->acknowledged)
		wrong("recovered up to %llu, but %llu was acknowledged", (unsigned long long)last,
			(unsigned long long)sim->acknowledged);
	model_rewind(sim->model, last);
	watch_rewind(sim->watch, last);
	/* What is recovered is durable and may be read. */
	sim->acknowledged = last;
	open_objects();
	for (uint32_t class = 0; class < 2; class ++)
		check_version(class);
	/* The tick's time is that of the check. */
	for (uint16_t port = 0; port < sim->loops; port++)
		engine_tick(sim->engine, port);
	check_now();
	for (uint16_t port = 0; sim->in_flight; port = (port + 1) % sim->loops)
		engine_deliver(sim->engine, port);
}

static void arm_faults(void)
{
	sim_disk_set_capacity(sim->disk, UINT64_MAX);
	if (leaks)
		return;
	sim->commit_fails = chance(8);
	sim->commit_dies = chance(8);
	if (chance(2))
		sim_disk_crash_at(sim->disk, 1 + random_below(&sim->random, 150));
	else if (chance(3))
		sim_disk_fail_at(sim->disk, 1 + random_below(&sim->random, 150), EIO);
	if (chance(6))
		sim_disk_set_capacity(sim->disk,
			(2 + random_below(&sim->random, 8)) * (SEGMENT_BYTES + (16 << 10)));
}

static void live(void)
{
	recover();
	after_crash();
	arm_faults();
	uint64_t steps = random_below(&sim->random, STEPS);
	for (uint64_t i = 0; i < steps; i++)
		step();
	if (chance(3))
		rest(chance(2) ? 0 : (int64_t)random_below(&sim->random, 200000));
}

static void choose_config(void)
{
	config_init(&sim->config);
	sim->config.shards = 1 + (int64_t)random_below(&sim->random, 5);
	sim->config.value_bytes_max = VALUE_BYTES_MAX;
	sim->config.log_segment_bytes = SEGMENT_BYTES;
	sim->config.map_bytes = MAP_BYTES;
	sim->config.overlay_bytes_max = 1 << (18 + random_below(&sim->random, 6));
	sim->config.checkpoint_log_bytes = 1 << (12 + random_below(&sim->random, 10));
	sim->config.checkpoint_interval_s = 1 + (int64_t)random_below(&sim->random, 5);
	sim->config.durability = DURABILITY_ALWAYS;
	sim->config.turn_instructions = TURN_INSTRUCTIONS;
	sim->config.turn_time_ms = 60000;
	sim->config.object_idle_s = chance(2) ? 1 : 300;
	sim->config.object_queue_max = chance(2) ? 2 : 100;
	choose_concurrency();
}

static void remove_tree(void)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/data.mdb", sim->directory);
	unlink(path);
	snprintf(path, sizeof(path), "%s/data.mdb-lock", sim->directory);
	unlink(path);
}

static void begin_seed(uint64_t seed, const char *directory)
{
	sim->seed = seed;
	random_seed(&sim->random, seed);
	sim->now_ms = 1700000000000;
	sim->clock = (struct clock){ sim_wall_ms, sim_monotonic_ns };
	snprintf(sim->directory, sizeof(sim->directory), "%s", directory);
	choose_config();
	sim->disk = sim_disk_new(random_next(&sim->random));
	sim->model = model_new();
	sim->watch = watch_new(sim->model);
	sim->clients = (struct client_host){
		.random = &sim->random, .model = sim->model, .watch = sim->watch
	};
	buffer_init(&sim->clients.script);
	remove_tree();
}

static void end_seed(void)
{
	close_engine();
	if (verbose)
		printf("seed %llu: %llu commands, %llu crashes\n", (unsigned long long)sim->seed,
			(unsigned long long)sim->commands, (unsigned long long)sim->crashes);
	watch_free(sim->watch);
	model_free(sim->model);
	buffer_fini(&sim->clients.script);
	sim_disk_free(&sim->disk);
	config_fini(&sim->config);
	memory_free(sim);
	sim = NULL;
}

static void run_seed(uint64_t seed, const char *directory)
{
	sim = memory_zeroed(sizeof(*sim));
	begin_seed(seed, directory);
	volatile int lives = 1 + (int)random_below(&sim->random, 5);
	while (lives-- > 0) {
		if (setjmp(crash_point) == 0)
			live();
		crash();
		if (chance(4)) /* it stays down for a while */
			sim->now_ms += (int64_t)random_below(&sim->random, 3600000);
	}
	if (setjmp(crash_point) != 0)
		wrong("a fault without a cause");
	recover();
	after_crash();
	rest(200000);
	end_seed();
}

/* An assertion of the server's has failed. */
static void on_abort(int number)
{
	(void)number;
	signal(SIGABRT, SIG_DFL);
	if (sim)
		fprintf(stderr, "repeat with --seed %llu\n", (unsigned long long)sim->seed);
}

static const char *make_directory(char *template)
{
	struct stat status;
	const char *memory = stat("/dev/shm", &status) == 0 ? "/dev/shm" : "/tmp";
	snprintf(template, 64, "%s/holdfast-sim-XXXXXX", memory);
	return mkdtemp(template);
}

static int usage(const char *program)
{
	fprintf(stderr, "usage: %s [--seeds N] [--first N] [--seed N] [--leaks] [--verbose]\n",
		program);
	return 2;
}

int main(int argc, char **argv)
{
	char template[64];
	uint64_t first = SEED_FIRST, seeds = getenv("HOLDFAST_LONG") ? SEEDS_LONG : SEEDS_USUAL;
	for (int i = 1; i < argc; i++) {
		bool has_value = i + 1 < argc;
		if (strcmp(argv[i], "--verbose") == 0) {
			verbose = true;
		} else if (strcmp(argv[i], "--leaks") == 0) {
			leaks = true;
		} else if (strcmp(argv[i], "--seeds") == 0 && has_value) {
			seeds = strtoull(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--first") == 0 && has_value) {
			first = strtoull(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--seed") == 0 && has_value) {
			first = strtoull(argv[++i], NULL, 10);
			seeds = 1;
			verbose = true;
		} else {
			return usage(argv[0]);
		}
	}
	hash_set_process_secret(secret);
	const char *directory = make_directory(template);
	if (directory == NULL) {
		perror("mkdtemp");
		return 1;
	}
	logline_set_level(LOGLINE_WARNING + 1);
	fault_set_hook(on_fault);
	signal(SIGABRT, on_abort);
	command_table(); /* builds the look-up */
	for (uint64_t seed = first; seed < first + seeds; seed++)
		run_seed(seed, directory);
	struct sim gone = { 0 };
	snprintf(gone.directory, sizeof(gone.directory), "%s", directory);
	sim = &gone;
	remove_tree();
	rmdir(directory);
	printf("%llu seeds from %llu\n", (unsigned long long)seeds, (unsigned long long)first);
	return 0;
}
