/*
 * class_bench: see class_bench.h. The engine is the server's own, on the kernel's disk but without
 * syncs, with the same rooms in it (rooms.h). What the
 * threads do elsewhere is done here by class_bench's pump, until nothing moves any more:
 *
 *   mailbox -> turns -> log -> fetches that waited for it -> answers and timers that are due
 *
 * All commands come from one client, which holds what leases they are given until the engine ends.
 *
 * Threads: one.
 */
#include "server/class_bench.h"

#include "base/memory.h"
#include "cache/origin.h"
#include "command/command.h"
#include "engine/checkpoint.h"
#include "engine/engine.h"
#include "holdfast/errors.h"
#include "leases/leases.h"
#include "net/connection.h"
#include "object/class.h"
#include "object/commands.h"
#include "object/objects.h"
#include "request/request.h"
#include "server/rooms.h"

#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Without time passing: an alarm that sets itself for now would go on for ever. */
#define STEPS_MAX 20000

#define START_MS      1700000000000 /* 2023-11-14T22:13:20Z */
#define SEGMENT_BYTES ((int64_t)1 << 20)
#define MAP_BYTES     ((int64_t)1 << 30)

/* Who asks to be called at a time. */
enum { TIMER_OBJECTS, TIMER_LEASES, TIMER_ORIGINS, TIMERS };

struct bench_timer {
	int64_t at_ms; /* INT64_MAX: nobody asks */
	void (*run)(struct class_bench *bench);
};

struct bench_class {
	struct bench_class *next;
	struct slice name;
	struct slice source;
};

struct bench_answer {
	struct bench_answer *next;
	struct fetch *fetch;
	int64_t at_ms;
};

struct class_bench {
	struct clock clock; /* stands first */
	int64_t now_ms;
	struct config *config;
	bench_fetch_fn fetch;
	bench_say_fn say;
	void *context;
	char directory[64];

	struct bench_class *classes;
	struct arena arena; /* of the classes */
	struct class_registry *registry;
	struct engine *engine;
	struct rooms rooms;
	struct leases *leases;
	struct origins *origins;
	struct objects *objects;
	struct connection connection; /* whose commands they are: asks, and nothing else */
	struct bench_timer timers[TIMERS];
	struct bench_answer *answers;
	struct bench_call *calls;
	bool pumping;
};

/* --- the world -------------------------------------------------------------------------------- */

static int64_t wall_ms(struct clock *clock)
{
	return ((struct class_bench *)clock)->now_ms;
}

static uint64_t monotonic_ns(struct clock *clock)
{
	return (uint64_t)wall_ms(clock) * 1000000;
}

static void wake_objects(void *context, int64_t at_ms)
{
	struct class_bench *bench = context;
	bench->timers[TIMER_OBJECTS].at_ms = at_ms;
}

static void wake_leases(void *context, uint16_t port, int64_t ms)
{
	struct class_bench *bench = context;
	bench->timers[TIMER_LEASES].at_ms = bench->now_ms + ms;
}

static void wake_origins(void *context, int64_t ms)
{
	struct class_bench *bench = context;
	bench->timers[TIMER_ORIGINS].at_ms = bench->now_ms + ms;
}

static void on_say(void *context, const struct call *call, int level, const char *text)
{
	struct class_bench *bench = context;
	(void)call;
	bench->say(bench->context, level, text);
}

static void run_objects(struct class_bench *bench)
{
	objects_run(bench->objects);
}

static void run_leases(struct class_bench *bench)
{
	leases_run(bench->leases, 0);
}

static void run_origins(struct class_bench *bench)
{
	origins_run(bench->origins);
}

static void begin_fetch(void *context, struct fetch *fetch)
{
	struct class_bench *bench = context;
	struct bench_answer *answer = memory_zeroed(sizeof(*answer));
	buffer_init(&fetch->headers_in);
	buffer_init(&fetch->body_in);
	answer->fetch = fetch;
	answer->next = bench->answers;
	bench->answers = answer;
	answer->at_ms = bench->now_ms + bench->fetch(bench->context, fetch);
	int64_t end_ms = bench->now_ms + fetch->timeout_ms;
	if (answer->at_ms > end_ms) {
		fetch_clear(fetch);
		answer->at_ms = end_ms;
		fetch->status = 0;
		snprintf(fetch->code, sizeof(fetch->code), "TIMEOUT");
		snprintf(fetch->error, sizeof(fetch->error), "no answer within %lld ms",
			(long long)fetch->timeout_ms);
	}
}

static void cancel_fetch(void *context, struct fetch *fetch)
{
	struct class_bench *bench = context;
	struct bench_answer **place = &bench->answers;
	while (*place && (*place)->fetch != fetch)
		place = &(*place)->next;
	struct bench_answer *answer = *place;
	if (answer == NULL)
		return;
	*place = answer->next;
	fetch_clear(fetch);
	memory_free(answer);
}

/* The one that is due first, taken out; NULL when none is. */
static struct bench_answer *take_answer(struct class_bench *bench)
{
	struct bench_answer **first = NULL;
	for (struct bench_answer **place = &bench->answers; *place; place = &(*place)->next)
		if (first == NULL || (*place)->at_ms <= (*first)->at_ms)
			first = place;
	if (first == NULL || (*first)->at_ms > bench->now_ms)
		return NULL;
	struct bench_answer *answer = *first;
	*first = answer->next;
	return answer;
}

static int64_t next_event_ms(const struct class_bench *bench)
{
	int64_t next_ms = INT64_MAX;
	for (int i = 0; i < TIMERS; i++)
		if (bench->timers[i].at_ms < next_ms)
			next_ms = bench->timers[i].at_ms;
	for (const struct bench_answer *answer = bench->answers; answer; answer = answer->next)
		if (answer->at_ms < next_ms)
			next_ms = answer->at_ms;
	return next_ms;
}

/* --- the engine ------------------------------------------------------------------------------- */

static void on_done(void *context, struct request *request)
{
	struct class_bench *bench = context;
	struct bench_call *call = request->environment;
	call->done = true;
	buffer_append(&call->reply, request->reply.data, request->reply.size);
	request_put(&bench->engine->ports[0].pool, &request);
}

static void on_wake(void *context)
{
	(void)context; /* the pump looks by itself */
}

static bool pump_once(struct class_bench *bench)
{
	struct engine *engine = bench->engine;
	bool moved = engine_deliver(engine, 0) > 0;
	gate_keeper_step(engine->gate);
	moved |= gate_step(engine->gate) > 0;
	moved |= gate_waits_run(&engine->ports[0].waits);
	struct bench_answer *answer = take_answer(bench);
	if (answer) {
		struct fetch *fetch = answer->fetch;
		memory_free(answer);
		fetch->done(fetch);
		moved = true;
	}
	for (int i = 0; i < TIMERS; i++) {
		struct bench_timer *timer = &bench->timers[i];
		if (timer->at_ms > bench->now_ms)
			continue;
		timer->at_ms = INT64_MAX;
		engine_tick(engine, 0);
		timer->run(bench);
		moved = true;
	}
	return moved;
}

static void pump(struct class_bench *bench)
{
	if (bench->pumping)
		return;
	bench->pumping = true;
	for (int left = STEPS_MAX; left > 0 && pump_once(bench);)
		left--;
	engine_expire(bench->engine, 0);
	for (int left = STEPS_MAX; left > 0 && pump_once(bench);)
		left--;
	bench->pumping = false;
}

static void open_leases(void *context)
{
	struct class_bench *bench = context;
	struct leases_options options = { bench->engine, wake_leases, bench };
	bench->timers[TIMER_OBJECTS] = (struct bench_timer){ INT64_MAX, run_objects };
	bench->timers[TIMER_LEASES] = (struct bench_timer){ INT64_MAX, run_leases };
	bench->timers[TIMER_ORIGINS] = (struct bench_timer){ INT64_MAX, run_origins };
	bench->leases = leases_new(&options);
}

static void open_origins(void *context, uint16_t worker)
{
	struct class_bench *bench = context;
	struct origins_host host = { bench, wake_origins, begin_fetch };
	bench->origins = origins_new(bench->engine, worker, &host);
}

static void open_objects(void *context, const struct objects_options *options)
{
	struct class_bench *bench = context;
	struct objects_options own = *options;
	own.host = (struct objects_host){ bench, wake_objects, begin_fetch, cancel_fetch };
	own.say = on_say;
	own.say_context = bench;
	bench->objects = objects_new(&own);
}

static void close_objects(void *context, uint16_t worker)
{
	struct class_bench *bench = context;
	(void)worker;
	origins_closing(bench->origins);
	objects_free(&bench->objects);
}

static void close_origins(void *context, uint16_t worker)
{
	struct class_bench *bench = context;
	(void)worker;
	while (bench->answers)
		cancel_fetch(bench, bench->answers->fetch);
	origins_free(&bench->origins);
}

static void close_leases(void *context)
{
	struct class_bench *bench = context;
	leases_free(&bench->leases);
}

static const struct rooms_world world = { open_leases, open_origins, open_objects, close_objects,
	close_origins, close_leases };

static void open_engine(struct class_bench *bench)
{
	char error[512];
	struct engine_recovery recovery;
	struct engine_options options = {
		.config = bench->config,
		.clock = &bench->clock,
		.disk = disk_system(),
		.directory = bench->directory,
		.workers = 1,
		.loops = 1,
		.sync = false,
	};
	int result = engine_open(&bench->engine, &options, &recovery, error, sizeof(error));
	if (result < 0) {
		fprintf(stderr, "holdfast-server: %s\n", error);
		exit(1);
	}
	struct port *port = &bench->engine->ports[0];
	mailbox_init(&port->mailbox, on_wake, NULL);
	port->done = on_done;
	port->context = bench;
	rooms_open(&bench->rooms, &world, bench, bench->engine, bench->config, bench->registry);
	pump(bench);
}

static void close_engine(struct class_bench *bench)
{
	if (bench->engine == NULL)
		return;
	rooms_close(&bench->rooms);
	engine_close(&bench->engine);
}

/* --- directories ------------------------------------------------------------------------------ */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

static int make_directory(struct class_bench *bench)
{
	const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(bench->directory, sizeof(bench->directory), "%s/holdfast-test-XXXXXX", parent);
	if (mkdtemp(bench->directory) == NULL)
		return -errno;
	return 0;
}

static void make_log_directory(struct class_bench *bench)
{
	char path[sizeof(bench->directory) + 8];
	snprintf(path, sizeof(path), "%s/log", bench->directory);
	if (mkdir(path, 0700) < 0) {
		fprintf(stderr, "holdfast-server: cannot make %s\n", path);
		exit(1);
	}
}

static void empty_directory(struct class_bench *bench)
{
	nftw(bench->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- outside ---------------------------------------------------------------------------------- */

struct class_bench *class_bench_new(struct config *config, bench_fetch_fn fetch, bench_say_fn say,
	void *context, char *error, size_t error_size)
{
	struct class_bench *bench = memory_zeroed(sizeof(*bench));
	bench->clock = (struct clock){ wall_ms, monotonic_ns };
	bench->now_ms = START_MS;
	bench->config = config;
	bench->fetch = fetch;
	bench->say = say;
	bench->context = context;
	bench->connection.client.asker.id = 1;
	bench->registry = class_registry_new();
	config->shards = 4;
	config->log_segment_bytes = SEGMENT_BYTES;
	config->map_bytes = MAP_BYTES;
	arena_init(&bench->arena, 64 * 1024);
	(void)command_table(); /* builds the look-up */
	int result = make_directory(bench);
	if (result < 0) {
		snprintf(error, error_size, "cannot make a directory in /tmp: %s",
			strerror(-result));
		class_bench_free(&bench);
		return NULL;
	}
	make_log_directory(bench);
	open_engine(bench);
	return bench;
}

static void free_calls(struct class_bench *bench)
{
	while (bench->calls) {
		struct bench_call *call = bench->calls;
		bench->calls = call->next;
		buffer_fini(&call->reply);
		memory_free(call);
	}
}

void class_bench_free(struct class_bench **taken)
{
	struct class_bench *bench = *taken;
	*taken = NULL;
	close_engine(bench);
	empty_directory(bench);
	free_calls(bench);
	class_registry_free(&bench->registry);
	arena_fini(&bench->arena);
	memory_free(bench);
}

static void publish(struct class_bench *bench, const struct bench_class *class)
{
	struct class_given given = {
		.name = class->name,
		.source = class->source,
		.version = 1,
		.loaded_ms = bench->now_ms,
		.from_file = true,
	};
	class_publish(bench->registry, &given);
}

bool class_bench_load(struct class_bench *bench, struct slice name, struct slice source,
	char *error, size_t error_size)
{
	if (!objects_check_class(bench->objects, name, source, error, error_size))
		return false;
	struct bench_class *class = arena_alloc(&bench->arena, sizeof(*class));
	class->name = arena_copy(&bench->arena, name);
	class->source = arena_copy(&bench->arena, source);
	class->next = bench->classes;
	bench->classes = class;
	publish(bench, class);
	return true;
}

void class_bench_reset(struct class_bench *bench)
{
	close_engine(bench);
	free_calls(bench);
	empty_directory(bench);
	mkdir(bench->directory, 0700);
	make_log_directory(bench);
	bench->now_ms = START_MS;
	class_registry_free(&bench->registry);
	bench->registry = class_registry_new();
	for (const struct bench_class *class = bench->classes; class; class = class->next)
		publish(bench, class);
	open_engine(bench);
}

void class_bench_restart(struct class_bench *bench)
{
	close_engine(bench);
	open_engine(bench);
}

/* What tells of a server or of a connection is not served: there are none. INFO is the one that
 * does so from turns. */
static bool is_served(const struct command *command)
{
	return command->local == do_newid || (command->run && strcmp(command->name, "info") != 0);
}

/* Answers what runs in no turn; false: it does. */
static bool answer_at_once(
	struct class_bench *bench, struct request *request, const struct slice *words)
{
	struct bench_call *call = request->environment;
	const struct command *command = request->asked.command;
	uint32_t count = request->asked.argument_count;
	struct writer writer = { .out = &call->reply, .protocol = request->asked.protocol };
	if (command == NULL)
		command_write_unknown(&writer, words, count);
	else if (!command_arity_ok(command, count))
		command_write_arity(&writer, command);
	else if (!is_served(command))
		writer_error(&writer, ERROR_NOT_IN_TESTS, command->name);
	else if (command->run)
		return false;
	else
		command->local(&bench->connection, request);
	buffer_append(&call->reply, request->reply.data, request->reply.size);
	call->done = true;
	return true;
}

struct bench_call *class_bench_send(
	struct class_bench *bench, const struct slice *words, uint32_t count)
{
	struct bench_call *call = memory_zeroed(sizeof(*call));
	call->next = bench->calls;
	bench->calls = call;
	struct request *request = request_take(&bench->engine->ports[0].pool);
	request->asked.arguments = arena_alloc(&request->arena, count * sizeof(struct slice));
	request->asked.argument_count = count;
	for (uint32_t i = 0; i < count; i++)
		request->asked.arguments[i] = arena_copy(&request->arena, words[i]);
	request->asked.command = command_find(request->asked.arguments, count);
	request->asked.protocol = 3;
	request->environment = call;
	if (answer_at_once(bench, request, words)) {
		request_put(&bench->engine->ports[0].pool, &request);
		return call;
	}
	request->asked.asker = &bench->connection.client.asker;
	engine_tick(bench->engine, 0);
	engine_submit(bench->engine, 0, &request);
	pump(bench);
	return call;
}

void class_bench_advance(struct class_bench *bench, int64_t ms)
{
	int64_t end_ms = bench->now_ms + ms;
	for (int64_t next_ms; (next_ms = next_event_ms(bench)) <= end_ms;) {
		/* What is due already was left over by the last pump. */
		bench->now_ms = next_ms > bench->now_ms ? next_ms : bench->now_ms + 1;
		pump(bench);
	}
	if (bench->now_ms < end_ms)
		bench->now_ms = end_ms;
	pump(bench);
}

bool class_bench_wait(struct class_bench *bench, const struct bench_call *call, int64_t ms)
{
	int64_t end_ms = bench->now_ms + ms;
	while (!call->done) {
		int64_t next_ms = next_event_ms(bench);
		if (next_ms > end_ms)
			return false;
		/* What is due already was left over by the last pump. */
		bench->now_ms = next_ms > bench->now_ms ? next_ms : bench->now_ms + 1;
		pump(bench);
	}
	return true;
}

int64_t class_bench_now(const struct class_bench *bench)
{
	return bench->now_ms;
}
