/*
 * session_sim: sessions on one thread, with a simulated disk and clock: an engine with one to three
 * workers, random commands of SESSION.*, random order of steps, crashes at any disk operation and
 * between any two steps, full disks, failing commits, connections that go.
 *
 * What is checked, and where:
 *   session_expect  every reply, what each turn writes, which uses are written, who holds a lease
 *   session_check   after each step and each crash: records, the index of users and the counts
 * agree with each other and with the model; when all has come to rest nothing is left of what is
 * over here            a reply leaves only when what it tells of is released, and that is there
 * after any crash; nobody waits for ever; SESSION.SCAN finds every session
 *
 *   test_session_sim [--seeds N] [--first N] [--seed N] [--verbose]
 *
 * Every choice follows from the seed, ids and tokens included: `--seed N` repeats a run exactly.
 */
#include "sim/session_check.h"
#include "sim/session_client.h"

#include "base/fault.h"
#include "base/hash.h"
#include "base/logline.h"
#include "base/memory.h"
#include "command/command.h"
#include "config/config.h"
#include "shard/checkpoint.h"
#include "shard/shard.h"
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

#define SEEDS_USUAL     500
#define SEEDS_LONG      20000
#define WORKERS_MAX     3
#define IN_FLIGHT_MAX   24
#define STEPS           1400
#define IDS_MAX         160
#define NEVER           ((uint64_t)1 << 62)
#define VALUE_BYTES_MAX (80 * 1024)
#define SEGMENT_BYTES   (128 << 10)
#define MAP_BYTES       ((int64_t)1 << 30)
#define REST_ROUNDS     20000

struct sim {
	uint64_t seed;
	struct random random;
	struct random entropy;
	struct clock clock;
	int64_t now_ms;
	struct config config;
	struct disk *disk;
	char directory[256];
	struct engine *engine;
	struct sessions *sessions;
	struct model *model;
	struct client_host clients;
	uint16_t workers;
	uint16_t loops;
	int64_t wake_ms[WORKERS_MAX]; /* when the port asked for leases_run */
	uint64_t acknowledged;        /* highest record that a released reply told of */
	struct request *unreleased;   /* done, behind the gate */
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
static struct {
	uint64_t commands, crashes, granted, promoted, filled;
} total;

/* LeakSanitizer asks: a crash leaves what was in flight behind, as a crash does. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

/* Takes the place of random_entropy (see meson.build). Before main runs there is no simulation yet:
 * what is asked for then, main replaces. */
void __wrap_random_entropy(void *out, size_t size);
void __wrap_random_entropy(void *out, size_t size)
{
	unsigned char *bytes = out;
	for (size_t i = 0; i < size; i++)
		bytes[i] = sim ? (unsigned char)random_next(&sim->entropy) : 0;
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

static void on_wake_in(void *context, uint16_t port, int64_t ms)
{
	(void)context;
	if (port >= sim->workers || ms < 0)
		wrong("port %u asks to be woken in %lld ms", port, (long long)ms);
	sim->wake_ms[port] = sim->now_ms + ms;
}

/* The sessions' own, behind which what went is noted. */
static void (*real_look)(struct turn *turn);

static void on_look(struct turn *turn)
{
	real_look(turn);
	client_note_expired(&sim->clients, turn);
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
	if (sim->in_flight >= IN_FLIGHT_MAX)
		return;
	struct request *request = request_take(&sim->engine->ports[home].pool);
	client_choose(&sim->clients, request);
	if ((request->command->flags & COMMAND_WRITE) &&
		engine_admission(sim->engine) != GATE_OPEN) {
		client_end(request);
		request_put(&sim->engine->ports[home].pool, &request);
		return;
	}
	submit(request, home);
}

static void on_done(void *context, struct request *request)
{
	(void)context;
	if (request->environment == NULL) { /* the engine's own */
		request_put(&sim->engine->ports[request->home].pool, &request);
		return;
	}
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
		client_end(request);
		request_put(&sim->engine->ports[request->home].pool, &request);
	}
}

/* --- steps ------------------------------------------------------------------------------------ */

/* To a moment just before, at or behind the end of something, or anywhere. */
static void pass_time(void)
{
	static const uint64_t spans_ms[] = { 2, 10, 50, 300, 2000, 10000 };
	int64_t then_ms = 0;
	if (chance(4)) {
		uint32_t id = (uint32_t)random_below(&sim->random, sim->model->count + 1);
		if (id < sim->model->count) {
			const struct model_cell *cell = model_now(sim->model, id);
			const int64_t moments[] = { cell->end_ms, cell->bound_ms, cell->written_ms,
				cell->stands_ms, cell->grace_ms };
			then_ms = moments[random_below(&sim->random, 5)] - 1 +
				(int64_t)random_below(&sim->random, 3);
		}
	} else if (chance(2)) {
		then_ms = sim->wake_ms[random_below(&sim->random, sim->workers)];
	}
	if (then_ms <= sim->now_ms || then_ms > sim->now_ms + 20000)
		then_ms = sim->now_ms +
			(int64_t)random_below(
				&sim->random, spans_ms[random_below(&sim->random, 6)]);
	sim->now_ms = then_ms;
}

static bool run_sessions(uint16_t port)
{
	if (sim->wake_ms[port] > sim->now_ms)
		return false;
	sim->wake_ms[port] = INT64_MAX;
	engine_tick(sim->engine, port);
	leases_run(sim->engine->leases, port);
	return true;
}

static void lose_connection(void)
{
	uint64_t id = 1 + random_below(&sim->random, CLIENT_CONNECTIONS);
	uint16_t port = (uint16_t)random_below(&sim->random, sim->loops);
	client_gone(&sim->clients, id);
	engine_tick(sim->engine, port);
	leases_forget_client(sim->engine->leases, port, id);
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
	case 5:
		engine_expire(sim->engine, (uint16_t)random_below(&sim->random, sim->workers));
		break;
	case 6:
	case 7:
		pass_time();
		break;
	case 8:
	case 9:
		run_sessions((uint16_t)random_below(&sim->random, sim->workers));
		break;
	case 10:
		if (chance(8))
			lose_connection();
		break;
	case 11:
	case 12:
	case 13:
	case 14:
		engine_deliver(sim->engine, (uint16_t)random_below(&sim->random, sim->loops));
		break;
	default:
		send_command();
	}
	release();
	session_check(&sim->clients, sim->now_ms, false);
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
	for (uint16_t port = 0; port < sim->workers; port++)
		moved |= run_sessions(port);
	release();
	return moved;
}

/* Everybody is answered, by what happens of itself. The expiry of the shards runs every 100 ms. */
static void settle(void)
{
	int64_t last_ms = sim->now_ms + 60000;
	for (int round = 0; sim->in_flight || sim->unreleased; round++) {
		if (settle_round())
			continue;
		if (round > REST_ROUNDS || sim->now_ms > last_ms)
			wrong("%u requests never come home", sim->in_flight);
		sim->now_ms += 100;
		for (uint16_t port = 0; port < sim->workers; port++)
			engine_expire(sim->engine, port);
	}
}

static struct request *ask(const char *first, const char *second)
{
	struct request *request = request_take(&sim->engine->ports[0].pool);
	request->arguments = arena_alloc(&request->arena, 4 * sizeof(struct slice));
	request->arguments[0] = slice_text(first);
	request->arguments[1] = arena_copy(&request->arena, slice_text(second));
	request->arguments[2] = slice_text("COUNT");
	request->arguments[3] = slice_text("3");
	request->argument_count = 4;
	request->command = command_find(request->arguments, request->argument_count);
	request->protocol = 2;
	return request;
}

struct scanned {
	uint8_t found[2 * IDS_MAX];
	char cursor[32];
	bool answered;
};

static void take_scanned(struct request *request)
{
	struct scanned *scanned = request->told_context;
	struct buffer *reply = &request->reply;
	unsigned long long cursor;
	int size;
	buffer_append(reply, "", 1);
	if (sscanf(reply->data, "*2\r\n$%d\r\n%llu", &size, &cursor) != 2)
		wrong("SESSION.SCAN answers %s", reply->data);
	snprintf(scanned->cursor, sizeof(scanned->cursor), "%llu", cursor);
	for (uint32_t i = 0; i < sim->model->count; i++) {
		const struct model_cell *cell = model_now(sim->model, i);
		struct session_name name = model_name(sim->model, i, cell->form);
		struct slice text = session_name_shown(&name,
			hash_slot(sim->model->ids[i].text) % sim->engine->shard_count,
			&request->arena);
		char line[128];
		snprintf(line, sizeof(line), "\r\n$%zu\r\n%.*s\r\n", text.size, (int)text.size,
			text.data);
		if (strstr(reply->data, line) == NULL)
			continue;
		if (scanned->found[i]++ || !model_is_live(sim->model, i, sim->now_ms))
			wrong("SESSION.SCAN shows %.*s twice, or though it is over", (int)text.size,
				text.data);
	}
	scanned->answered = true;
	request_put(&sim->engine->ports[0].pool, &request);
}

static void scan(void)
{
	struct scanned scanned = { .cursor = "0" };
	for (int round = 0; round == 0 || strcmp(scanned.cursor, "0") != 0; round++) {
		struct request *request = ask("SESSION.SCAN", scanned.cursor);
		request->told = take_scanned;
		request->told_context = &scanned;
		scanned.answered = false;
		engine_tick(sim->engine, 0);
		engine_submit(sim->engine, 0, &request);
		for (uint16_t port = 0; !scanned.answered; port = (port + 1) % sim->loops)
			engine_deliver(sim->engine, port);
		if (round > 1000)
			wrong("SESSION.SCAN does not end");
	}
	for (uint32_t i = 0; i < sim->model->count; i++)
		if (model_is_live(sim->model, i, sim->now_ms) && !scanned.found[i])
			wrong("SESSION.SCAN misses %.*s", (int)sim->model->ids[i].text.size,
				sim->model->ids[i].text.data);
}

/* The end of a life: all comes to rest, and what is over goes. */
static void rest(int64_t ms)
{
	sim_disk_crash_at(sim->disk, NEVER);
	sim_disk_fail_at(sim->disk, NEVER, EIO);
	sim_disk_set_capacity(sim->disk, UINT64_MAX);
	sim->commit_fails = sim->commit_dies = false;
	settle();
	client_check_gone(&sim->clients);
	sim->now_ms += ms;
	int rounds = 0;
	while (settle_round() || engine_admission(sim->engine) != GATE_OPEN) {
		sim->now_ms += 10; /* a checkpoint is tried again after a while */
		if (rounds++ > REST_ROUNDS)
			wrong("it does not come to rest");
	}
	for (uint16_t port = 0; port < sim->workers; port++)
		engine_expire(sim->engine, port);
	session_check(&sim->clients, sim->now_ms, true);
	scan();
	settle();
}

/* --- life and death --------------------------------------------------------------------------- */

static void open_sessions(void)
{
	struct leases_options options = { .engine = sim->engine, .wake_in = on_wake_in };
	for (uint16_t port = 0; port < WORKERS_MAX; port++)
		sim->wake_ms[port] = INT64_MAX;
	leases_new(&options);
	sim->sessions = sessions_new(sim->engine);
	sim->model->tombstone_ms = sim->config.session_tombstone_s * 1000;
	struct engine_expiry *expiry = &sim->engine->expiries[sim->engine->expiry_count - 1];
	real_look = expiry->look;
	expiry->look = on_look;
	sim->clients.engine = sim->engine;
	sim->clients.sessions = sim->sessions;
	client_host_restart(&sim->clients);
}

static void choose_settings(void)
{
	static const int64_t tombstones_s[] = { 0, 1, 20, 20, 600 };
	static const int64_t percents[] = { 1, 5, 5, 20, 50 };
	sim->config.session_ttl_s = 1 + (int64_t)random_below(&sim->random, 30);
	sim->config.session_absolute_s = chance(4) ? 60 : 0;
	sim->config.session_tombstone_s = tombstones_s[random_below(&sim->random, 5)];
	sim->config.session_hashing = chance(2);
	sim->config.touch_percent = percents[random_below(&sim->random, 5)];
	sim->config.touch_bytes_max = chance(3) ? 0 : 64 << 20;
}

static bool open_engine(void)
{
	char error[512] = "";
	struct engine_recovery recovery;
	sim->workers = 1 + (uint16_t)random_below(&sim->random, WORKERS_MAX);
	sim->loops = sim->workers + (uint16_t)random_below(&sim->random, 2);
	if (chance(2))
		choose_settings();
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

static void abandon(struct request *list)
{
	while (list) {
		struct request *request = list;
		list = request->next;
		client_end(request);
		request->stage = REQUEST_DONE;
		request_put(&sim->engine->ports[0].pool, &request);
	}
}

/* What was under way when the machine stopped. */
static void close_engine(void)
{
	if (sim->engine == NULL)
		return;
	for (uint16_t port = 0; port < sim->engine->port_count; port++)
		abandon(mailbox_take_all(&sim->engine->ports[port].mailbox));
	for (uint16_t i = 0; i < sim->engine->shard_count; i++)
		abandon(sim->engine->shards[i].waiting.first);
	while (sim->unreleased) {
		struct request *request = sim->unreleased;
		sim->unreleased = request->order_next;
		client_end(request);
		request_put(&sim->engine->ports[0].pool, &request);
	}
	sim->in_flight = 0;
	sessions_free(&sim->sessions);
	leases_free(&sim->engine->leases);
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
		if (chance(5))
			sim_disk_crash_at(sim->disk, 1 + random_below(&sim->random, 30));
		if (!open_engine() || sim_disk_crashed(sim->disk))
			crash();
	}
	sim_disk_crash_at(sim->disk, NEVER);
}

static void after_crash(void)
{
	uint64_t last = gate_appended(sim->engine->gate);
	if (last < sim->acknowledged)
		wrong("recovered up to %llu, but %llu was acknowledged", (unsigned long long)last,
			(unsigned long long)sim->acknowledged);
	model_rewind(sim->model, last);
	model_restart(sim->model);
	/* What is recovered is durable and may be read. */
	sim->acknowledged = last;
	open_sessions();
	session_check(&sim->clients, sim->now_ms, false);
}

static void arm_faults(void)
{
	sim_disk_set_capacity(sim->disk, UINT64_MAX);
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
		rest(chance(2) ? 0 : (int64_t)random_below(&sim->random, 100000));
}

static void choose_config(void)
{
	config_init(&sim->config);
	sim->config.shards = 1 + (int64_t)random_below(&sim->random, 5);
	sim->config.value_bytes_max = VALUE_BYTES_MAX;
	sim->config.log_segment_bytes = SEGMENT_BYTES;
	sim->config.map_bytes = MAP_BYTES;
	sim->config.overlay_bytes_max = 1 << (17 + random_below(&sim->random, 6));
	sim->config.checkpoint_log_bytes = 1 << (12 + random_below(&sim->random, 10));
	sim->config.checkpoint_interval_s = 1 + (int64_t)random_below(&sim->random, 5);
	sim->config.durability = DURABILITY_ALWAYS;
	choose_settings();
}

static void remove_tree(const char *directory)
{
	static const char *const files[] = { "data.mdb", "data.mdb-lock" };
	for (int i = 0; i < 2; i++) {
		char path[300];
		snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
		unlink(path);
	}
}

static void begin_seed(uint64_t seed, const char *directory)
{
	sim->seed = seed;
	random_seed(&sim->random, seed);
	random_seed(&sim->entropy, ~seed);
	sim->now_ms = 1700000000000;
	sim->clock = (struct clock){ sim_wall_ms, sim_monotonic_ns };
	snprintf(sim->directory, sizeof(sim->directory), "%s", directory);
	choose_config();
	sim->disk = sim_disk_new(random_next(&sim->random));
	sim->model = model_new();
	sim->clients = (struct client_host){
		.random = &sim->random, .model = sim->model, .ids_max = IDS_MAX
	};
	remove_tree(directory);
}

static void end_seed(void)
{
	close_engine();
	if (verbose)
		printf("seed %llu: %llu commands, %llu crashes, %u ids, %llu leases\n",
			(unsigned long long)sim->seed, (unsigned long long)sim->commands,
			(unsigned long long)sim->crashes, sim->model->count,
			(unsigned long long)sim->clients.granted);
	total.commands += sim->commands;
	total.crashes += sim->crashes;
	total.granted += sim->clients.granted;
	total.promoted += sim->clients.promoted;
	total.filled += sim->clients.filled;
	client_host_fini(&sim->clients);
	model_free(&sim->model);
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
			sim->now_ms += (int64_t)random_below(&sim->random, 100000);
	}
	if (setjmp(crash_point) != 0)
		wrong("a fault without a cause");
	recover();
	after_crash();
	rest(0);
	rest(700000);
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
	fprintf(stderr, "usage: %s [--seeds N] [--first N] [--seed N] [--verbose]\n", program);
	return 2;
}

int main(int argc, char **argv)
{
	char template[64];
	uint64_t first = 1, seeds = getenv("HOLDFAST_LONG") ? SEEDS_LONG : SEEDS_USUAL;
	for (int i = 1; i < argc; i++) {
		bool has_value = i + 1 < argc;
		if (strcmp(argv[i], "--verbose") == 0) {
			verbose = true;
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
	remove_tree(directory);
	rmdir(directory);
	printf("%llu seeds from %llu: %llu commands, %llu crashes, %llu leases (%llu to who "
	       "waited), %llu waits filled\n",
		(unsigned long long)seeds, (unsigned long long)first,
		(unsigned long long)total.commands, (unsigned long long)total.crashes,
		(unsigned long long)total.granted, (unsigned long long)total.promoted,
		(unsigned long long)total.filled);
	return 0;
}
