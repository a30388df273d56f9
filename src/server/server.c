/*
 * server: builds the parts in the order they need each other, and takes them down in reverse:
 *
 *   data directory, engine (recovery) -> gate threads -> net (listens) -> checkpoint thread
 *     -> loops run ... loops end
 *     -> checkpoint thread ends -> a last checkpoint, stepped here -> gate ends -> engine closes
 *
 * Threads: the main thread runs the first loop. Signals only wake the loops (net_stop, net_reload).
 */
#include "server/server.h"

#include "admin/environment.h"
#include "base/disk.h"
#include "base/logline.h"
#include "base/memory.h"
#include "cache/origin_loop.h"
#include "command/command.h"
#include "engine/checkpoint.h"
#include "engine/engine.h"
#include "leases/lease_loop.h"
#include "net/net.h"
#include "object/class_files.h"
#include "server/data_directory.h"
#include "server/rooms.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ERROR_BYTES        512
#define CLASS_ARENA_BYTES  65536
#define CLIENTS_LEAST      16
#define DESCRIPTORS_OWN    256 /* log segments, other files, event loops, listeners */
#define CORES_PER_WORKER   2
#define WORKERS_CHOSEN_MAX 8

/* The one server of the process, for its signal handlers. */
static struct net *signalled_net;

static void on_signal(int number)
{
	if (signalled_net && number == SIGHUP)
		net_reload(signalled_net);
	else if (signalled_net)
		net_stop(signalled_net);
}

/* Unless somebody, a profiler perhaps, waits for it. */
static void ignore_signal(int number)
{
	struct sigaction action;
	if (sigaction(number, NULL, &action) != 0 || action.sa_handler != SIG_DFL)
		return;
	action = (struct sigaction){ .sa_handler = SIG_IGN };
	sigaction(number, &action, NULL);
}

/* What others send to ask for something that this server does not know must not end it, nor may a
 * file as large as it may be (SIGXFSZ): the write says so too. */
static void ignore_signals(void)
{
	static const int numbers[] = { SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM,
		SIGPROF, SIGIO, SIGPWR, SIGXFSZ };
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		ignore_signal(numbers[i]);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		ignore_signal(number);
}

/* Whoever started the server may have had these ignored or blocked, as a shell does for what it
 * runs in the background. */
static void set_signals(void)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	sigset_t handled;
	sigemptyset(&handled);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaction(numbers[i], &action, NULL);
		sigaddset(&handled, numbers[i]);
	}
	pthread_sigmask(SIG_UNBLOCK, &handled, NULL);
}

static void reopen_log(struct config *config)
{
	if (config_text_is_empty(config, "logfile"))
		return;
	int result = logline_reopen();
	if (result < 0)
		logline(LOGLINE_WARNING, "SIGHUP: the log file cannot be opened again: %s",
			strerror(-result));
	else
		logline(LOGLINE_NOTICE, "SIGHUP: the log file is opened again");
}

/* SIGHUP: what comes from files is taken from them again. On the first loop's thread. */
static void on_reload(void *context)
{
	struct environment *environment = context;
	reopen_log(environment->config);
	if (!config_text_is_empty(environment->config, "class-dir"))
		objects_reload_classes(object_loop_objects(environment->object_loops[0]));
}

static void shut_down(struct environment *environment)
{
	net_stop(environment->net);
}

static int64_t choose_workers(const struct config *config, const struct allowance *allowance)
{
	if (config->workers)
		return config->workers;
	/* Half the cores turn, the other half log, checkpoint and carry the kernel's part. */
	int64_t chosen = allowance->cores / CORES_PER_WORKER;
	if (chosen > WORKERS_CHOSEN_MAX)
		chosen = WORKERS_CHOSEN_MAX;
	return chosen < 1 ? 1 : chosen;
}

/* One descriptor a client; a limit below that lowers maxclients, as in Redis. */
static void raise_descriptor_limit(struct config *config)
{
	struct rlimit limit;
	rlim_t wanted = (rlim_t)config->clients_max + DESCRIPTORS_OWN;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	if (limit.rlim_max < wanted) {
		struct rlimit raised = { wanted, wanted };
		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			return;
	}
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_cur < wanted) {
		int64_t left = (int64_t)limit.rlim_cur - DESCRIPTORS_OWN;
		config->clients_max = left > CLIENTS_LEAST ? left : CLIENTS_LEAST;
		logline(LOGLINE_WARNING, "maxclients is lowered to %lld by the limit on open files",
			(long long)config->clients_max);
	}
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* What may be used, what follows from it, and whether more than that was asked for. */
static void say_memory(const struct environment *environment)
{
	const struct allowance *allowance = &environment->allowance;
	struct buffer derived;
	buffer_init(&derived);
	uint64_t sum = config_show_derived(environment->config, &derived);
	unsigned long long most_mb = allowance->memory_bytes >> 20;
	logline(LOGLINE_NOTICE, "Memory: %llu MB may be used (%s); chosen from that: %.*s", most_mb,
		allowance->memory_from, derived.size ? (int)derived.size : 7,
		derived.size ? derived.data : "nothing");
	if (sum > allowance->memory_bytes)
		logline(LOGLINE_WARNING,
			"The bounds of memory in the configuration add up to %llu MB, more than the "
			"%llu MB that may be used",
			(unsigned long long)sum >> 20, most_mb);
	buffer_fini(&derived);
}

static void say_banner(const struct environment *environment, const char *directory)
{
	const struct engine *engine = environment->engine;
	const struct engine_recovery *recovery = &environment->recovery;
	logline(LOGLINE_NOTICE, "Holdfast %s, process %d", HOLDFAST_VERSION, (int)getpid());
	logline(LOGLINE_NOTICE, "Data in %s (%s): %u shard%s, %u worker%s, durability %s",
		directory, recovery->created ? "new" : "existing", engine->shard_count,
		plural(engine->shard_count), engine->worker_count, plural(engine->worker_count),
		engine->config->durability == DURABILITY_ALWAYS ? "always" : "everysec");
	if (engine->shard_count != engine->config->shards)
		logline(LOGLINE_NOTICE, "The shard count of existing data stays: %u, not %lld",
			engine->shard_count, (long long)engine->config->shards);
	say_memory(environment);
	logline(LOGLINE_NOTICE, "%llu records replayed from the log in %llu ms%s",
		(unsigned long long)recovery->log.records, (unsigned long long)recovery->elapsed_ms,
		recovery->log.torn_tail ? "; an unfinished, never confirmed batch was dropped"
					: "");
	if (net_port(environment->net))
		logline(LOGLINE_NOTICE, "Ready to accept connections on port %d",
			net_port(environment->net));
	else
		logline(LOGLINE_NOTICE, "Ready to accept connections on the unix socket");
}

static void say_note(void *context, const char *names, const char *holds)
{
	(void)context;
	logline(LOGLINE_NOTICE, "Of the configuration: %s: %s", names, holds);
}

/* Whoever points `dir` at Redis's must not take an empty database for his data. */
static void say_what_is_not_read(const char *directory)
{
	static const char *const names[] = { "dump.rdb", "appendonlydir", "appendonly.aof" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[4200];
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		if (access(path, F_OK) == 0)
			logline(LOGLINE_WARNING, "%s is Redis's, and is not read", path);
	}
}

static void note_slow(void *context, const struct request *request)
{
	struct environment *environment = context;
	int64_t threshold_us = environment->config->slowlog_us;
	uint64_t elapsed_us = request->elapsed_ns / 1000;
	latency_add(environment->latency, "command", request->elapsed_ns);
	if (threshold_us >= 0 && elapsed_us >= (uint64_t)threshold_us)
		slowlog_add(environment->slowlog, request, elapsed_us,
			clock_wall_ms(environment->clock) / 1000, environment->config->slowlog_max);
}

static int open_engine(struct environment *environment, const char *directory, char *error)
{
	struct config *config = environment->config;
	int64_t workers = choose_workers(config, &environment->allowance);
	struct engine_options options = {
		.config = config,
		.clock = environment->clock,
		.disk = disk_system(),
		.directory = directory,
		.workers = (uint16_t)workers,
		.loops = (uint16_t)(workers + config->io_threads),
		.sync = true,
	};
	return engine_open(
		&environment->engine, &options, &environment->recovery, error, ERROR_BYTES);
}

static int open_net(struct environment *environment, char *error)
{
	struct net_options options = {
		.engine = environment->engine,
		.config = environment->config,
		.commands = environment->commands,
		.environment = environment,
		.slow = note_slow,
		.reload = on_reload,
	};
	return net_open(&environment->net, &options, error, ERROR_BYTES);
}

static bool check_class(
	void *context, struct slice name, struct slice source, char *error, size_t error_size)
{
	return objects_check_class(context, name, source, error, error_size);
}

static int load_class_files(struct environment *environment, char *error)
{
	struct arena arena;
	arena_init(&arena, CLASS_ARENA_BYTES);
	struct slice directory = class_files_directory(environment->config, &arena);
	struct class_files_options options = {
		.directory = directory.data,
		.check = check_class,
		.context = object_loop_objects(environment->object_loops[0]),
		.arena = &arena,
	};
	int result = 0;
	if (directory.size > 0)
		result = class_load_directory(environment->classes,
			clock_wall_ms(environment->clock), &options, error, ERROR_BYTES);
	arena_fini(&arena);
	return result;
}

static void open_leases(void *context)
{
	struct environment *environment = context;
	uint16_t workers = environment->engine->worker_count;
	environment->lease_loop = lease_loop_new(environment->engine);
	for (uint16_t i = 0; i < workers; i++)
		lease_loop_open(environment->lease_loop, i, net_uv_loop(environment->net, i));
	environment->origins = memory_zeroed(workers * sizeof(*environment->origins));
	environment->object_loops = memory_zeroed(workers * sizeof(*environment->object_loops));
}

static void open_origins(void *context, uint16_t worker)
{
	struct environment *environment = context;
	environment->origins[worker] =
		origin_loop_new(environment->engine, worker, net_uv_loop(environment->net, worker));
}

static void open_objects(void *context, const struct objects_options *options)
{
	struct environment *environment = context;
	environment->object_loops[options->port] =
		object_loop_new(net_uv_loop(environment->net, options->port), options);
}

static void close_objects(void *context, uint16_t worker)
{
	struct environment *environment = context;
	object_loop_free(&environment->object_loops[worker]);
}

static void close_origins(void *context, uint16_t worker)
{
	struct environment *environment = context;
	origin_loop_free(&environment->origins[worker]);
}

static void close_leases(void *context)
{
	struct environment *environment = context;
	memory_free(environment->object_loops);
	environment->object_loops = NULL;
	memory_free(environment->origins);
	environment->origins = NULL;
	lease_loop_free(&environment->lease_loop);
}

static const struct rooms_world world = { open_leases, open_origins, open_objects, close_objects,
	close_origins, close_leases };

/* What the families keep, and the classes that were stored or lie in class-dir. */
static int open_families(struct environment *environment, char *error)
{
	struct engine *engine = environment->engine;
	environment->classes = class_registry_new();
	class_load_stored(environment->classes, engine->stores[0]);
	rooms_open(environment->rooms, &world, environment, engine, environment->config,
		environment->classes);
	return load_class_files(environment, error);
}

static void close_families(struct environment *environment)
{
	rooms_close(environment->rooms);
	class_registry_free(&environment->classes);
}

/* What cannot start is taken down the usual way: the loops run once, to close their handles. */
static void abandon_net(struct environment *environment)
{
	net_stop(environment->net);
	net_run(environment->net);
	close_families(environment);
	net_close(&environment->net);
}

/* Everything runs; returns when the loops have ended and all is on disk. */
static void serve(struct environment *environment, const char *directory)
{
	struct engine *engine = environment->engine;
	gate_start(engine->gate);
	checkpoint_start(engine->checkpoint);
	signalled_net = environment->net;
	set_signals();
	say_banner(environment, directory);
	config_each_note(environment->config, say_note, NULL);
	say_what_is_not_read(directory);
	net_run(environment->net);

	logline(LOGLINE_NOTICE, "Stopping: clients are gone, checkpointing");
	checkpoint_stop(engine->checkpoint);
	checkpoint_finish(engine->checkpoint);
	gate_stop(engine->gate);
	signalled_net = NULL;
	close_families(environment);
	net_close(&environment->net);
	logline(LOGLINE_NOTICE, "Stopped; everything is on disk");
}

int server_run(struct config *config)
{
	char error[ERROR_BYTES] = "", directory[4096], logfile[4096];
	struct environment environment;
	struct rooms rooms = { 0 };
	ignore_signals();
	logline_set_level((enum logline_level)config->loglevel);
	config_text_copy(config, "logfile", logfile, sizeof(logfile));
	int opened = logline_open(logfile);
	if (opened < 0) {
		fprintf(stderr, "holdfast-server: cannot write to logfile %s: %s\n", logfile,
			strerror(-opened));
		return 1;
	}
	environment_init(&environment, config, clock_system());
	config_derive(config, environment.allowance.memory_bytes);
	environment.commands = command_table();
	environment.shutdown = shut_down;
	environment.rooms = &rooms;
	raise_descriptor_limit(config);

	config_text_copy(config, "dir", directory, sizeof(directory));
	int lock = data_directory_open(directory, error, sizeof(error));
	int result = lock;
	if (result >= 0)
		result = open_engine(&environment, directory, error);
	if (result >= 0)
		result = open_net(&environment, error);
	if (result >= 0)
		result = open_families(&environment, error);
	if (result < 0 && environment.object_loops)
		abandon_net(&environment);
	if (result >= 0)
		serve(&environment, directory);
	else
		fprintf(stderr, "holdfast-server: %s\n", error);
	engine_close(&environment.engine);
	environment_fini(&environment);
	if (lock >= 0)
		close(lock);
	return result >= 0 ? 0 : 1;
}
