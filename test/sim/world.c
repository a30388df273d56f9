/*
 * world: see world.h.
 *
 * Faults: a failed write or sync of the log ends the process (base/fault.h); here the hook jumps
 * out of the life that is led. It may do so out of any step, but not out of a turn, so that
 * requests under way are in mailboxes and queues, from where engine_rig takes them back. What else
 * is lost on the way, memory included, is lost as in a crash; `--leaks` has no faults, and nothing
 * may be lost.
 *
 * One thread, and one world at a time: the server's hooks have no context.
 */
#include "sim/world.h"

#include "base/fault.h"
#include "base/hash.h"
#include "base/memory.h"
#include "support/sim_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER             ((uint64_t)1 << 62)
#define ROUNDS_MAX        200000
#define LIVES             5  /* at most, before the last one */
#define RECOVERY_FAULT_IN 30 /* a crash comes within so many operations of recovery */

static struct world *world_now; /* of the callbacks that get no context */
static jmp_buf crash_point;
static bool verbose;
static bool leaks; /* no faults, so that nothing may be left behind */
static struct {
	uint64_t commands, crashes;
} total;

/* LeakSanitizer asks: a fault leaves what was in flight behind, as a crash does. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return !leaks;
}

/* Takes the place of random_entropy (see meson.build). Before main runs there is no world yet: what
 * is asked for then, world_main replaces. */
void __wrap_random_entropy(void *out, size_t size);
void __wrap_random_entropy(void *out, size_t size)
{
	unsigned char *bytes = out;
	for (size_t i = 0; i < size; i++)
		bytes[i] = world_now ? (unsigned char)random_next(&world_now->entropy) : 0;
}

void wrong(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	fprintf(stderr, "seed %llu: ", (unsigned long long)world_now->seed);
	vfprintf(stderr, format, list);
	fprintf(stderr, "\n");
	va_end(list);
	abort(); /* on_abort says how to see it again */
}

uint64_t world_below(struct world *world, uint64_t bound)
{
	return random_below(&world->random, bound);
}

bool world_chance(struct world *world, uint64_t one_in)
{
	return world_below(world, one_in) == 0;
}

uint16_t world_any_worker(struct world *world)
{
	return (uint16_t)world_below(world, world->workers);
}

static uint16_t any_port(struct world *world)
{
	return (uint16_t)world_below(world, world->loops);
}

static uint64_t in_range(struct world *world, struct world_range range)
{
	return range.first + world_below(world, range.count);
}

/* --- faults ----------------------------------------------------------------------------------- */

static void on_fault(void)
{
	const struct engine *engine = world_now->rig.engine;
	for (uint16_t i = 0; engine && i < engine->port_count; i++)
		if (engine->ports[i].in_turn)
			wrong("a fault within a turn");
	longjmp(crash_point, 1);
}

static int on_commit(void *context)
{
	struct world *world = context;
	if (world->commit_dies) {
		world->commit_dies = false;
		return -EIO;
	}
	if (!world->commit_fails)
		return 0;
	world->commit_fails = !world_chance(world, 3);
	return world->commit_fails ? -ENOSPC : 0;
}

/* --- requests --------------------------------------------------------------------------------- */

void world_submit(struct world *world, struct request **taken, uint16_t port)
{
	struct engine *engine = world->rig.engine;
	(*taken)->home = port;
	world->in_flight++;
	world->commands++;
	engine_tick(engine, port);
	engine_submit(engine, port, taken);
}

void world_send(struct world *world)
{
	const struct simulator *simulator = world->simulator;
	struct engine *engine = world->rig.engine;
	uint16_t port = any_port(world);
	if (world->in_flight >= simulator->in_flight_max)
		return;
	struct request *request = request_take(&engine->ports[port].pool);
	if (!simulator->choose(world, request)) {
		request_put(&engine->ports[port].pool, &request);
		return;
	}
	bool writes = request->asked.command->flags & COMMAND_WRITE;
	if (!writes || engine_admission(engine) == GATE_OPEN) {
		world_submit(world, &request, port);
		return;
	}
	if (simulator->left)
		simulator->left(world, request);
	request_put(&engine->ports[port].pool, &request);
}

static void on_done(void *context, struct request *request)
{
	struct world *world = context;
	if (world->simulator->answered)
		world->simulator->answered(world, request);
	world->in_flight--;
	request->order_next = world->unreleased;
	world->unreleased = request;
}

/* What the gate lets go is acknowledged from now on. */
static void release(struct world *world)
{
	const struct simulator *simulator = world->simulator;
	uint64_t released = gate_released(world->rig.engine->gate);
	struct request **place = &world->unreleased;
	while (*place) {
		struct request *request = *place;
		if (request->gate_lsn > released) {
			place = &request->order_next;
			continue;
		}
		uint64_t depends = simulator->depends(request);
		if (depends > released)
			wrong("%s: the reply leaves before record %llu is released",
				request->asked.command->name, (unsigned long long)depends);
		if (depends > world->acknowledged)
			world->acknowledged = depends;
		*place = request->order_next;
		if (simulator->left)
			simulator->left(world, request);
		request_put(&world->rig.engine->ports[request->home].pool, &request);
	}
}

static void on_abandon(struct engine_rig *rig, struct request *request)
{
	struct world *world = (struct world *)rig;
	if (world->simulator->abandoned)
		world->simulator->abandoned(world, request);
}

/* --- steps ------------------------------------------------------------------------------------ */

void world_deliver(struct world *world)
{
	engine_deliver(world->rig.engine, any_port(world));
}

void world_run_gate(struct world *world)
{
	gate_step(world->rig.engine->gate);
}

void world_run_keeper(struct world *world)
{
	gate_keeper_step(world->rig.engine->gate);
}

void world_run_checkpoint(struct world *world)
{
	world->checkpoints += checkpoint_step(world->rig.engine->checkpoint);
}

void world_run_expiry(struct world *world)
{
	engine_expire(world->rig.engine, world_any_worker(world));
}

static void between_turns(struct world *world)
{
	release(world);
	if (world->simulator->check)
		world->simulator->check(world);
}

static void take_step(struct world *world)
{
	const struct simulator *simulator = world->simulator;
	const struct world_step *step = simulator->steps;
	uint64_t weights = 0;
	for (size_t i = 0; i < simulator->step_count; i++)
		weights += simulator->steps[i].weight;
	uint64_t chosen = world_below(world, weights);
	for (; chosen >= step->weight; step++)
		chosen -= step->weight;
	step->run(world);
	between_turns(world);
}

/* --- letting everything run ------------------------------------------------------------------- */

bool world_round(struct world *world)
{
	struct engine *engine = world->rig.engine;
	bool moved = false;
	for (uint16_t port = 0; port < world->loops; port++)
		moved |= engine_deliver(engine, port) > 0;
	moved |= checkpoint_step(engine->checkpoint);
	gate_keeper_step(engine->gate);
	moved |= gate_step(engine->gate) > 0;
	if (world->simulator->run)
		moved |= world->simulator->run(world);
	between_turns(world);
	world->moved = moved;
	return moved;
}

bool world_is_home(const struct world *world)
{
	return world->in_flight == 0 && world->unreleased == NULL;
}

static bool is_settled(const struct world *world)
{
	return world->simulator->is_settled ? world->simulator->is_settled(world)
					    : world_is_home(world);
}

void world_settle(struct world *world)
{
	int64_t last_ms = world->rig.now_ms + world->simulator->settle_ms_max;
	for (int round = 0; !is_settled(world); round++) {
		if (round > ROUNDS_MAX || world->rig.now_ms > last_ms)
			wrong("it does not come to rest: %u requests have no answer",
				world->in_flight);
		if (!world_round(world) && world->simulator->wait)
			world->simulator->wait(world);
	}
}

void world_rest(struct world *world, int64_t ms)
{
	sim_disk_crash_at(world->rig.disk, NEVER);
	sim_disk_fail_at(world->rig.disk, NEVER, EIO);
	sim_disk_set_capacity(world->rig.disk, UINT64_MAX);
	world->commit_fails = world->commit_dies = false;
	world->simulator->rest(world, ms);
}

/* --- life and death --------------------------------------------------------------------------- */

static bool open_engine(struct world *world)
{
	struct engine_rig *rig = &world->rig;
	world->workers = 1 + (uint16_t)world_below(world, WORLD_WORKERS_MAX);
	world->loops = world->workers + (uint16_t)world_below(world, 2);
	if (world->simulator->change_settings)
		world->simulator->change_settings(world);
	if (engine_rig_recover(rig, world->workers, world->loops) < 0) {
		if (!sim_disk_crashed(rig->disk))
			wrong("recovery refused: %s", rig->error);
		return false;
	}
	for (uint16_t i = 0; i < world->loops; i++) {
		rig->engine->ports[i].done = on_done;
		rig->engine->ports[i].context = world;
	}
	tree_set_commit_fault(rig->engine->tree, on_commit, world);
	return true;
}

/* What was under way when the machine stopped goes first: it may have something of what stands on
 * the engine. */
static void close_engine(struct world *world)
{
	if (world->rig.engine == NULL)
		return;
	engine_rig_abandon(&world->rig);
	while (world->unreleased) {
		struct request *request = world->unreleased;
		world->unreleased = request->order_next;
		on_abandon(&world->rig, request);
		request_put(&world->rig.engine->ports[0].pool, &request);
	}
	world->in_flight = 0;
	if (world->simulator->close)
		world->simulator->close(world);
	engine_rig_close(&world->rig);
}

static void crash(struct world *world)
{
	world->crashes++;
	world->commit_fails = world->commit_dies = false;
	close_engine(world);
	engine_rig_crash(&world->rig);
	sim_disk_set_capacity(world->rig.disk, UINT64_MAX);
}

/* Opens, with a crash in the middle of recovery now and then. */
static void recover(struct world *world)
{
	struct disk *disk = world->rig.disk;
	while (world->rig.engine == NULL) {
		if (world_chance(world, 5) && !leaks)
			sim_disk_crash_at(disk, 1 + world_below(world, RECOVERY_FAULT_IN));
		if (!open_engine(world) || sim_disk_crashed(disk))
			crash(world);
	}
	sim_disk_crash_at(disk, NEVER);
}

static void compare_recovered(struct world *world)
{
	uint64_t last = gate_appended(world->rig.engine->gate);
	if (last < world->acknowledged)
		wrong("recovered up to %llu, but %llu was acknowledged", (unsigned long long)last,
			(unsigned long long)world->acknowledged);
	/* What is recovered is durable and may be read. */
	world->acknowledged = last;
	world->simulator->recovered(world, last);
}

static void arm_faults(struct world *world)
{
	const struct simulator *simulator = world->simulator;
	struct disk *disk = world->rig.disk;
	sim_disk_set_capacity(disk, UINT64_MAX);
	if (leaks)
		return;
	world->commit_fails = world_chance(world, 8);
	world->commit_dies = world_chance(world, 8);
	if (world_chance(world, 2))
		sim_disk_crash_at(disk, 1 + world_below(world, simulator->fault_operations));
	else if (world_chance(world, 3))
		sim_disk_fail_at(disk, 1 + world_below(world, simulator->fault_operations), EIO);
	if (world_chance(world, 6))
		sim_disk_set_capacity(
			disk, in_range(world, simulator->room) * simulator->room_piece_bytes);
}

static void live(struct world *world)
{
	uint64_t rest_ms = world->simulator->rest_ms;
	recover(world);
	compare_recovered(world);
	arm_faults(world);
	uint64_t steps = world_below(world, world->simulator->life_steps);
	for (uint64_t i = 0; i < steps; i++)
		take_step(world);
	if (rest_ms && world_chance(world, 3))
		world_rest(
			world, world_chance(world, 2) ? 0 : (int64_t)world_below(world, rest_ms));
}

/* --- seeds ------------------------------------------------------------------------------------ */

static void choose_config(struct world *world)
{
	const struct simulator *simulator = world->simulator;
	struct config *config = &world->rig.config;
	config->value_bytes_max = WORLD_VALUE_BYTES_MAX;
	config->log_segment_bytes = simulator->log_segment_bytes;
	config->overlay_bytes_max = (int64_t)1 << in_range(world, simulator->overlay_bits);
	config->checkpoint_log_bytes = 1 << (12 + world_below(world, 10));
	config->checkpoint_interval_s = 1 + (int64_t)world_below(world, 5);
	config->durability = DURABILITY_ALWAYS;
}

static struct world *begin_seed(const struct simulator *simulator, uint64_t seed)
{
	struct world *world = memory_zeroed(simulator->size);
	world_now = world;
	world->simulator = simulator;
	world->seed = seed;
	random_seed(&world->random, seed);
	random_seed(&world->entropy, ~seed);
	engine_rig_init(&world->rig, 1 + (uint16_t)world_below(world, 5));
	world->rig.on_abandon = on_abandon;
	choose_config(world);
	simulator->begin(world);
	engine_rig_new_disk(&world->rig, random_next(&world->random));
	return world;
}

static void end_seed(struct world *world)
{
	close_engine(world);
	total.commands += world->commands;
	total.crashes += world->crashes;
	if (verbose) {
		printf("seed %llu: %llu commands, %llu crashes, %llu checkpoint steps",
			(unsigned long long)world->seed, (unsigned long long)world->commands,
			(unsigned long long)world->crashes, (unsigned long long)world->checkpoints);
		if (world->simulator->say_seed)
			world->simulator->say_seed(world);
		printf("\n");
	}
	world->simulator->end(world);
	engine_rig_fini(&world->rig);
	memory_free(world);
	world_now = NULL;
}

static void run_seed(const struct simulator *simulator, uint64_t seed)
{
	struct world *world = begin_seed(simulator, seed);
	volatile int lives = 1 + (int)world_below(world, LIVES);
	while (lives-- > 0) {
		if (setjmp(crash_point) == 0)
			live(world_now);
		crash(world_now);
		if (simulator->down_ms && world_chance(world_now, 4))
			world_now->rig.now_ms +=
				(int64_t)world_below(world_now, simulator->down_ms);
	}
	if (setjmp(crash_point) != 0)
		wrong("a fault without a cause");
	recover(world_now);
	compare_recovered(world_now);
	if (simulator->finish)
		simulator->finish(world_now);
	end_seed(world_now);
}

/* Something is wrong, or an assertion of the server's has failed. */
static void on_abort(int number)
{
	(void)number;
	signal(SIGABRT, SIG_DFL);
	if (world_now)
		fprintf(stderr, "repeat with --seed %llu\n", (unsigned long long)world_now->seed);
}

/* Of arguments and environment: which seeds. False when the arguments are none of these. */
static bool read_arguments(int argc, char **argv, struct world_range *seeds)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--verbose") == 0) {
			verbose = true;
			continue;
		}
		if (strcmp(argv[i], "--leaks") == 0) {
			leaks = true;
			continue;
		}
		if (value && strcmp(argv[i], "--seeds") == 0)
			seeds->count = strtoull(value, NULL, 10);
		else if (value && strcmp(argv[i], "--first") == 0)
			seeds->first = strtoull(value, NULL, 10);
		else if (value && strcmp(argv[i], "--seed") == 0)
			*seeds = (struct world_range){ strtoull(value, NULL, 10), 1 };
		else
			return false;
		verbose |= strcmp(argv[i], "--seed") == 0;
		i++;
	}
	return true;
}

int world_main(const struct simulator *simulator, int argc, char **argv)
{
	struct world_range seeds = { simulator->first_seed, simulator->seeds_usual };
	if (getenv("HOLDFAST_LONG"))
		seeds.count = simulator->seeds_long;
	if (!read_arguments(argc, argv, &seeds)) {
		fprintf(stderr,
			"usage: %s [--seeds N] [--first N] [--seed N] [--leaks] [--verbose]\n",
			argv[0]);
		return 2;
	}
	/* Of the tables: a seed must give the same run each time. */
	hash_set_process_secret((struct hash_secret){ 1, 2 });
	fault_set_hook(on_fault);
	signal(SIGABRT, on_abort);
	for (uint64_t i = 0; i < seeds.count; i++)
		run_seed(simulator, seeds.first + i);
	printf("%llu seeds from %llu: %llu commands, %llu crashes", (unsigned long long)seeds.count,
		(unsigned long long)seeds.first, (unsigned long long)total.commands,
		(unsigned long long)total.crashes);
	if (simulator->say_total)
		simulator->say_total();
	printf("\n");
	return 0;
}
