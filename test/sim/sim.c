/*
 * sim: the whole engine on one thread, with a simulated disk and clock: random commands from
 * several ports, random order of steps, crashes at any disk operation, between any two steps and in
 * the middle of recovery, failing syncs and commits, full disks. Every reply is compared with a
 * model; after every crash the recovered state must be the model's as of one LSN, and that LSN must
 * not be below anything that a released reply depended on. So: nothing acknowledged is lost,
 * nothing is half applied, nobody was shown what the crash took back, no value appears that was
 * never written, expiry times are kept.
 *
 *   test_sim [--seeds N] [--first N] [--seed N] [--verbose]
 *
 * Every choice follows from the seed: `--seed N` repeats a run exactly.
 */
#include "sim/model.h"

#include "base/fault.h"
#include "base/hash.h"
#include "base/logline.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/random.h"
#include "command/command.h"
#include "request/turn.h"
#include "shard/checkpoint.h"
#include "shard/engine.h"
#include "support/sim_disk.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__ /* slower: fewer, and others than the release build runs */
#define SEED_FIRST  2001
#define SEEDS_USUAL 1000
#else
#define SEED_FIRST  1
#define SEEDS_USUAL 2000
#endif
#define SEEDS_LONG      100000
#define PORTS_MAX       4
#define IN_FLIGHT_MAX   24
#define STEPS           600
#define NEVER           ((uint64_t)1 << 62)
#define VALUE_BYTES_MAX (80 * 1024)
#define MAP_BYTES       ((int64_t)1 << 30)

struct sim {
	uint64_t seed;
	struct random random;
	struct clock clock;
	int64_t now_ms;
	struct config config;
	struct disk *disk;
	char directory[256];
	struct engine *engine;
	struct model *model;
	uint16_t workers;
	uint16_t loops;
	uint64_t acknowledged;      /* highest LSN that a released reply depended on */
	struct request *unreleased; /* done, behind the gate */
	uint32_t in_flight;
	bool commit_fails;
	bool commit_dies;
	bool check_only; /* comparing after a crash: no faults */
	uint64_t commands;
	uint64_t crashes;
	uint64_t checkpoints;
};

static struct sim *sim; /* of the callbacks that get no context */
static jmp_buf crash_point;
/* Of the tables and of the store: a seed must give the same run each time. */
static const struct hash_secret secret = { 1, 2 };
static bool verbose;

/* LeakSanitizer asks: a crash leaves what was in flight behind, as a crash does. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

__attribute__((noreturn, format(printf, 1, 2))) static void wrong(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	fprintf(stderr, "seed %llu: ", (unsigned long long)sim->seed);
	vfprintf(stderr, format, list);
	fprintf(stderr, "\nrepeat with --seed %llu\n", (unsigned long long)sim->seed);
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

/* --- commands --------------------------------------------------------------------------------- */

static const struct command *real_command(const struct request *request)
{
	return command_find(request->arguments, request->argument_count);
}

static void check_dbsize(struct turn *turn)
{
	int64_t live, standing, got = 0;
	if (turn->continue_at >= 0 || sim->workers > 1)
		return;
	model_count(sim->model, turn->request->db, turn->now_ms, &live, &standing);
	struct buffer *reply = &turn->request->reply;
	if (!number_parse_i64(slice_of(reply->data + 1, reply->size - 3), &got) || got < live ||
		got > standing)
		wrong("DBSIZE says %.*s, the model %lld to %lld", (int)reply->size, reply->data,
			(long long)live, (long long)standing);
}

/* Runs the real handler, then lets the model say what it should have answered. */
static void run_and_compare(struct turn *turn)
{
	struct request *request = turn->request;
	real_command(request)->run(turn);
	if (slice_is(request->arguments[0], "DBSIZE")) {
		check_dbsize(turn);
		return;
	}
	struct buffer expected;
	buffer_init(&expected);
	uint64_t lsn = gate_appended(sim->engine->gate) + 1;
	model_run(sim->model, request->db, request->arguments, request->argument_count,
		turn->now_ms, lsn, &expected, request->environment);
	if (!slice_equal(buffer_slice(&expected), buffer_slice(&request->reply)))
		wrong("%.*s %.40s: answered %.*s, the model %.*s", (int)request->arguments[0].size,
			request->arguments[0].data,
			request->argument_count > 1 ? request->arguments[1].data : "",
			(int)(request->reply.size > 80 ? 80 : request->reply.size),
			request->reply.data, (int)(expected.size > 80 ? 80 : expected.size),
			expected.data);
	if ((*(uint64_t *)request->environment == lsn) != (request->changes.count > 0))
		wrong("%.*s wrote %u changes, the model says otherwise",
			(int)request->arguments[0].size, request->arguments[0].data,
			request->changes.count);
	buffer_fini(&expected);
}

static struct slice random_value(struct arena *arena)
{
	size_t size = random_below(&sim->random, 200);
	if (chance(40))
		size = random_below(&sim->random, VALUE_BYTES_MAX / 2);
	char *data = arena_alloc(arena, size);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)('a' + random_below(&sim->random, 26));
	return slice_of(data, size);
}

static struct slice random_key(void)
{
	return model_key(sim->model, (uint32_t)random_below(&sim->random, MODEL_KEYS));
}

static void add(struct request *request, struct slice argument)
{
	request->arguments[request->argument_count++] = argument;
}

static void add_ms(struct request *request)
{
	add(request,
		arena_format(&request->arena, "%d",
			(int)random_below(&sim->random, chance(2) ? 50 : 100000) + 1));
}

static void choose_set(struct request *request)
{
	add(request, slice_text("SET"));
	add(request, random_key());
	add(request, random_value(&request->arena));
	if (chance(4)) {
		add(request, slice_text("PX"));
		add_ms(request);
	} else if (chance(6)) {
		add(request, slice_text("KEEPTTL"));
	}
	if (chance(6))
		add(request, slice_text(chance(2) ? "NX" : "XX"));
}

static void choose_many(struct request *request, const char *name, bool values)
{
	uint32_t keys = 1 + (uint32_t)random_below(&sim->random, 5);
	add(request, slice_text(name));
	for (uint32_t i = 0; i < keys; i++) {
		add(request, random_key());
		if (values)
			add(request, random_value(&request->arena));
	}
}

static void choose_one(struct request *request, const char *name)
{
	add(request, slice_text(name));
	add(request, random_key());
}

static void choose_command(struct request *request)
{
	request->arguments = arena_alloc(&request->arena, 16 * sizeof(struct slice));
	request->db = (uint8_t)random_below(&sim->random, MODEL_DATABASES);
	uint64_t choice = random_below(&sim->random, 100);
	if (choice < 30) {
		choose_set(request);
	} else if (choice < 45) {
		choose_one(request, "GET");
	} else if (choice < 55) {
		choose_many(request, "MSET", true);
	} else if (choice < 63) {
		choose_many(request, "MGET", false);
	} else if (choice < 72) {
		choose_many(request, "DEL", false);
	} else if (choice < 78) {
		choose_one(request, "APPEND");
		add(request, random_value(&request->arena));
	} else if (choice < 84) {
		choose_one(request, "PEXPIRE");
		add_ms(request);
	} else if (choice < 87) {
		choose_one(request, "PERSIST");
	} else if (choice < 90) {
		choose_one(request, "PEXPIRETIME");
	} else if (choice < 97) {
		choose_one(request, "RENAME");
		add(request, random_key());
	} else if (choice < 99) {
		add(request, slice_text("DBSIZE"));
	} else {
		add(request, slice_text("FLUSHDB"));
	}
}

static void submit(struct request *request, uint16_t home)
{
	const struct command *real = real_command(request);
	struct command *wrapped = arena_alloc(&request->arena, sizeof(*wrapped));
	*wrapped = *real;
	wrapped->run = run_and_compare;
	if (real->route != ROUTE_WALK) {
		request->environment = arena_alloc(&request->arena, sizeof(uint64_t));
		*(uint64_t *)request->environment = 0;
	}
	request->command = wrapped;
	request->protocol = 2;
	request->home = home;
	sim->in_flight++;
	sim->commands++;
	engine_tick(sim->engine, home);
	engine_submit(sim->engine, home, &request);
}

static void send_command(void)
{
	uint16_t home = (uint16_t)random_below(&sim->random, sim->loops);
	if (sim->in_flight >= IN_FLIGHT_MAX)
		return;
	struct request *request = request_take(&sim->engine->ports[home].pool);
	choose_command(request);
	enum gate_admission admission = engine_admission(sim->engine);
	bool writes = real_command(request)->flags & COMMAND_WRITE;
	if (writes && admission != GATE_OPEN)
		request_put(&sim->engine->ports[home].pool, &request);
	else
		submit(request, home);
}

static void on_done(void *context, struct request *request)
{
	(void)context;
	if (request->arguments == NULL) { /* expiry's own */
		request_put(&sim->engine->ports[request->home].pool, &request);
		return;
	}
	sim->in_flight--;
	request->order_next = sim->unreleased;
	sim->unreleased = request;
}

/* What the gate lets go is acknowledged from now on. */
static void release(void)
{
	uint64_t released = gate_released(sim->engine->gate);
	struct request **at = &sim->unreleased;
	while (*at) {
		struct request *request = *at;
		if (request->gate_lsn > released) {
			at = &request->order_next;
			continue;
		}
		/* By the model's account, not by the server's own. */
		uint64_t *depends = request->environment;
		if (request->command->route != ROUTE_WALK && *depends > sim->acknowledged)
			sim->acknowledged = *depends;
		*at = request->order_next;
		request_put(&sim->engine->ports[request->home].pool, &request);
	}
}

/* --- life and death --------------------------------------------------------------------------- */

static bool open_engine(void)
{
	char error[512] = "";
	struct engine_recovery recovery;
	sim->workers = 1 + (uint16_t)random_below(&sim->random, 3);
	sim->loops = sim->workers + (uint16_t)random_below(&sim->random, 2);
	struct engine_options options = {
		.config = &sim->config,
		.clock = &sim->clock,
		.disk = sim->disk,
		.directory = sim->directory,
		.workers = sim->workers,
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

static void step(void)
{
	switch (random_below(&sim->random, 16)) {
	case 0:
	case 1:
		gate_step(sim->engine->gate);
		break;
	case 2:
		gate_keeper_step(sim->engine->gate);
		break;
	case 3:
		sim->checkpoints += checkpoint_step(sim->engine->checkpoint);
		break;
	case 4:
		engine_expire(sim->engine, (uint16_t)random_below(&sim->random, sim->workers));
		break;
	case 5:
		sim->now_ms += (int64_t)random_below(&sim->random, 40);
		break;
	case 6:
	case 7:
	case 8:
		engine_deliver(sim->engine, (uint16_t)random_below(&sim->random, sim->loops));
		break;
	default:
		send_command();
	}
	release();
}

/* Lets everything under way come to its end. */
static void settle(void)
{
	for (int i = 0; sim->in_flight || sim->unreleased; i++) {
		for (uint16_t port = 0; port < sim->loops; port++)
			engine_deliver(sim->engine, port);
		checkpoint_step(sim->engine->checkpoint);
		gate_keeper_step(sim->engine->gate);
		gate_step(sim->engine->gate);
		sim->now_ms++;
		release();
		if (i > 10000)
			wrong("%u requests never came home", sim->in_flight);
	}
}

static void ask(const char *name, uint8_t db, uint32_t key)
{
	struct request *request = request_take(&sim->engine->ports[0].pool);
	request->arguments = arena_alloc(&request->arena, 2 * sizeof(struct slice));
	request->db = db;
	add(request, slice_text(name));
	add(request, model_key(sim->model, key));
	submit(request, 0);
}

static void compare_everything(void)
{
	for (uint8_t db = 0; db < MODEL_DATABASES; db++) {
		for (uint32_t key = 0; key < MODEL_KEYS; key++) {
			ask("GET", db, key);
			ask("PEXPIRETIME", db, key);
			settle();
		}
	}
}

static void after_crash(void)
{
	uint64_t last = gate_appended(sim->engine->gate);
	if (last < sim->acknowledged)
		wrong("recovered up to %llu, but %llu was acknowledged", (unsigned long long)last,
			(unsigned long long)sim->acknowledged);
	model_rewind(sim->model, last);
	/* What is recovered is durable and may be read. */
	sim->acknowledged = last;
	sim->in_flight = 0;
	sim->unreleased = NULL;
	compare_everything();
}

static void arm_faults(void)
{
	sim_disk_set_capacity(sim->disk, UINT64_MAX);
	sim->commit_fails = chance(8);
	sim->commit_dies = chance(8);
	if (chance(2))
		sim_disk_crash_at(sim->disk, 1 + random_below(&sim->random, 80));
	else if (chance(3))
		sim_disk_fail_at(sim->disk, 1 + random_below(&sim->random, 80), EIO);
	if (chance(6))
		sim_disk_set_capacity(
			sim->disk, (1 + random_below(&sim->random, 12)) * (160 << 10));
}

static void crash(void)
{
	sim->crashes++;
	sim->commit_fails = sim->commit_dies = false;
	engine_close(&sim->engine);
	sim_disk_crash(sim->disk);
	sim_disk_set_capacity(sim->disk, UINT64_MAX);
}

/* Opens, with a crash in the middle of recovery now and then. */
static void recover(void)
{
	while (sim->engine == NULL) {
		if (chance(5))
			sim_disk_crash_at(sim->disk, 1 + random_below(&sim->random, 30));
		if (!open_engine() || sim_disk_crashed(sim->disk))
			crash();
	}
	sim_disk_crash_at(sim->disk, NEVER);
}

static void live(void)
{
	recover();
	after_crash();
	arm_faults();
	uint64_t steps = random_below(&sim->random, STEPS);
	for (uint64_t i = 0; i < steps; i++)
		step();
}

static void choose_config(void)
{
	config_init(&sim->config);
	sim->config.shards = 1 + (int64_t)random_below(&sim->random, 5);
	sim->config.value_bytes_max = VALUE_BYTES_MAX;
	sim->config.log_segment_bytes = 64 << 10;
	sim->config.map_bytes = MAP_BYTES;
	sim->config.overlay_bytes_max = 1 << (16 + random_below(&sim->random, 8));
	sim->config.checkpoint_log_bytes = 1 << (12 + random_below(&sim->random, 10));
	sim->config.checkpoint_interval_s = 1 + (int64_t)random_below(&sim->random, 5);
	sim->config.durability = DURABILITY_ALWAYS;
}

static void remove_tree(void)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/data.mdb", sim->directory);
	unlink(path);
	snprintf(path, sizeof(path), "%s/data.mdb-lock", sim->directory);
	unlink(path);
}

static void run_seed(uint64_t seed, const char *directory)
{
	struct sim *fresh = memory_zeroed(sizeof(*fresh));
	sim = fresh;
	sim->seed = seed;
	random_seed(&sim->random, seed);
	sim->now_ms = 1700000000000;
	sim->clock = (struct clock){ sim_wall_ms, sim_monotonic_ns };
	snprintf(sim->directory, sizeof(sim->directory), "%s", directory);
	choose_config();
	sim->disk = sim_disk_new(random_next(&sim->random));
	sim->model = model_new();
	remove_tree();
	volatile int lives = 1 + (int)random_below(&sim->random, 5);
	while (lives-- > 0) {
		if (setjmp(crash_point) == 0)
			live();
		crash();
	}
	if (setjmp(crash_point) != 0)
		wrong("a fault without a cause");
	recover();
	after_crash();
	engine_close(&sim->engine);
	if (verbose)
		printf("seed %llu: %llu commands, %llu crashes, %llu checkpoint steps\n",
			(unsigned long long)seed, (unsigned long long)sim->commands,
			(unsigned long long)sim->crashes, (unsigned long long)sim->checkpoints);
	model_free(sim->model);
	sim_disk_free(&sim->disk);
	config_fini(&sim->config);
	memory_free(fresh);
}

static const char *make_directory(char *template)
{
	struct stat status;
	const char *memory = stat("/dev/shm", &status) == 0 ? "/dev/shm" : "/tmp";
	snprintf(template, 64, "%s/holdfast-sim-XXXXXX", memory);
	return mkdtemp(template);
}

int main(int argc, char **argv)
{
	char template[64];
	uint64_t first = SEED_FIRST, seeds = getenv("HOLDFAST_LONG") ? SEEDS_LONG : SEEDS_USUAL;
	for (int i = 1; i < argc; i++) {
		bool has_value = i + 1 < argc;
		if (strcmp(argv[i], "--verbose") == 0)
			verbose = true;
		else if (strcmp(argv[i], "--seeds") == 0 && has_value)
			seeds = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--first") == 0 && has_value)
			first = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0 && has_value) {
			first = strtoull(argv[++i], NULL, 10);
			seeds = 1;
			verbose = true;
		} else {
			fprintf(stderr,
				"usage: %s [--seeds N] [--first N] [--seed N] [--verbose]\n",
				argv[0]);
			return 2;
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
