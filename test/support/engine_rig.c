/*
 * engine_rig: see engine_rig.h. The tree is a real one, in memory where the machine has /dev/shm,
 * and is not synced: after a simulated crash it stands as last committed, which is one of the
 * states a real crash may leave.
 *
 * A ticket travels as its request's environment, and, unless the test has set another, as its
 * connection, which the engine only compares with NULL. When an engine is thrown away with requests
 * under way, each of them is in a mailbox or in a shard's queue: from there they go back to a pool.
 *
 * Threads: the test's. Tests with threads of their own send and deliver on one thread a port.
 */
#include "support/engine_rig.h"

#include "base/hash.h"
#include "base/logline.h"
#include "base/memory.h"
#include "command/command.h"
#include "engine/shard.h"
#include "support/sim_disk.h"

#include <assert.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX  512
#define ROUNDS_MAX 100000
#define MAP_BYTES  ((int64_t)1 << 30)

static struct asker clients[ENGINE_RIG_CLIENTS]; /* by id; the same for all rigs */

static int64_t rig_wall_ms(struct clock *clock);
static uint64_t rig_monotonic_ns(struct clock *clock);
static void make_directory(struct engine_rig *rig);
static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk);
static int on_commit(void *context);
static void on_wake(void *context);
static void on_done(void *context, struct request *request);
static void abandon(struct engine_rig *rig, struct request *list);
static struct engine_ticket *send_words(
	struct engine_rig *rig, uint16_t port, const struct command *command, va_list list);

void engine_rig_init(struct engine_rig *rig, uint16_t shards)
{
	memset(rig, 0, sizeof(*rig));
	logline_set_level(LOGLINE_WARNING + 1);
	(void)command_table(); /* builds the look-up */
	for (uint32_t i = 0; i < ENGINE_RIG_CLIENTS; i++)
		clients[i] = (struct asker){ .id = i };
	rig->clock = (struct clock){ rig_wall_ms, rig_monotonic_ns };
	rig->now_ms = 1700000000000;
	config_init(&rig->config);
	rig->config.shards = shards;
	rig->config.map_bytes = MAP_BYTES;
	rig->config.value_bytes_max = 64 << 10;
	rig->config.log_segment_bytes = 64 << 10;
	rig->disk = sim_disk_new(1);
	make_directory(rig);
}

void engine_rig_fini(struct engine_rig *rig)
{
	engine_rig_close(rig);
	for (size_t port = 0; port < ENGINE_RIG_PORTS_MAX; port++) {
		while (rig->tickets[port]) {
			struct engine_ticket *ticket = rig->tickets[port];
			rig->tickets[port] = ticket->next;
			memory_free(ticket->reply);
			memory_free(ticket);
		}
	}
	sim_disk_free(&rig->disk);
	config_fini(&rig->config);
	int failed = nftw(rig->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	assert(!failed);
}

void engine_rig_new_disk(struct engine_rig *rig, uint64_t seed)
{
	assert(rig->engine == NULL);
	sim_disk_free(&rig->disk);
	rig->disk = sim_disk_new(seed);
}

int engine_rig_open(struct engine_rig *rig, uint16_t workers, uint16_t loops)
{
	int result = engine_rig_recover(rig, workers, loops);
	if (result == 0)
		gate_keeper_step(rig->engine->gate); /* as the keeper does first of all */
	return result;
}

void engine_rig_start(struct engine_rig *rig, uint16_t workers, uint16_t loops)
{
	int result = engine_rig_open(rig, workers, loops);
	if (result == 0)
		return;
	fprintf(stderr, "cannot open: %s: %s\n", strerror(-result), rig->error);
	abort();
}

int engine_rig_recover(struct engine_rig *rig, uint16_t workers, uint16_t loops)
{
	assert(rig->engine == NULL && loops <= ENGINE_RIG_PORTS_MAX);
	struct engine_options options = {
		.config = &rig->config,
		.clock = &rig->clock,
		.disk = rig->system_disk ? disk_system() : rig->disk,
		.directory = rig->directory,
		.workers = workers,
		.loops = loops,
		.sync = false,
		.secret_if_new = &(struct hash_secret){ 1, 2 },
	};
	rig->error[0] = '\0';
	rig->port_count = loops;
	int result =
		engine_open(&rig->engine, &options, &rig->recovery, rig->error, sizeof(rig->error));
	if (result < 0) {
		assert(rig->engine == NULL);
		return result;
	}
	for (uint16_t i = 0; i < loops; i++) {
		mailbox_init(&rig->engine->ports[i].mailbox, on_wake, &rig->wakes[i]);
		rig->engine->ports[i].done = on_done;
		rig->engine->ports[i].context = &rig->engine->ports[i];
	}
	tree_set_commit_fault(rig->engine->tree, on_commit, rig);
	return 0;
}

void engine_rig_abandon(struct engine_rig *rig)
{
	struct engine *engine = rig->engine;
	for (uint16_t port = 0; port < engine->port_count; port++)
		abandon(rig, mailbox_take_all(&engine->ports[port].mailbox));
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		abandon(rig, engine->shards[i].waiting.first);
		engine->shards[i].waiting = (struct request_list){ 0 };
	}
	rig->outstanding = 0;
}

void engine_rig_close(struct engine_rig *rig)
{
	if (rig->engine == NULL)
		return;
	engine_rig_abandon(rig);
	engine_close(&rig->engine);
}

void engine_rig_crash(struct engine_rig *rig)
{
	assert(!rig->system_disk);
	engine_rig_close(rig);
	sim_disk_crash(rig->disk);
}

struct engine_ticket *engine_rig_send(struct engine_rig *rig, uint16_t port, ...)
{
	va_list list;
	va_start(list, port);
	struct engine_ticket *ticket = send_words(rig, port, NULL, list);
	va_end(list);
	return ticket;
}

struct engine_ticket *engine_rig_send_command(
	struct engine_rig *rig, uint16_t port, const struct command *command, ...)
{
	va_list list;
	va_start(list, command);
	struct engine_ticket *ticket = send_words(rig, port, command, list);
	va_end(list);
	return ticket;
}

const char *engine_rig_run(struct engine_rig *rig, uint16_t port, ...)
{
	va_list list;
	va_start(list, port);
	struct engine_ticket *ticket = send_words(rig, port, NULL, list);
	va_end(list);
	engine_rig_deliver(rig);
	assert(ticket->done);
	return ticket->reply;
}

bool engine_rig_is_released(const struct engine_ticket *ticket)
{
	return ticket->done && ticket->gate_lsn <= gate_released(ticket->rig->engine->gate);
}

struct asker *engine_rig_asker(uint64_t id)
{
	return &clients[id];
}

void engine_rig_deliver(struct engine_rig *rig)
{
	size_t moved;
	do {
		moved = 0;
		for (uint16_t port = 0; port < rig->port_count; port++)
			moved += engine_deliver(rig->engine, port) +
				gate_waits_run(&rig->engine->ports[port].waits);
	} while (moved);
}

void engine_rig_settle(struct engine_rig *rig)
{
	struct gate *gate = rig->engine->gate;
	for (int round = 0; rig->outstanding || gate_durable(gate) < gate_appended(gate); round++) {
		assert(round < ROUNDS_MAX);
		engine_rig_deliver(rig);
		gate_keeper_step(gate);
		gate_step(gate);
	}
}

void engine_rig_checkpoint(struct engine_rig *rig)
{
	if (checkpoint_is_idle(rig->engine->checkpoint))
		checkpoint_request(rig->engine->checkpoint);
	for (int round = 0; !checkpoint_is_idle(rig->engine->checkpoint); round++) {
		assert(round < ROUNDS_MAX);
		checkpoint_step(rig->engine->checkpoint);
		engine_rig_settle(rig);
		engine_rig_deliver(rig);
	}
}

const char *engine_rig_key(
	const struct engine_rig *rig, uint16_t shard, uint32_t n, char out[ENGINE_RIG_KEY_BYTES])
{
	uint16_t shards = rig->engine->shard_count;
	assert(shard < shards);
	for (uint32_t i = 0;; i++) {
		snprintf(out, ENGINE_RIG_KEY_BYTES, "key%u.%u", n, i);
		if (hash_shard_of(hash_slot(slice_text(out)), shards) == shard)
			return out;
	}
}

static int64_t rig_wall_ms(struct clock *clock)
{
	return ((struct engine_rig *)clock)->now_ms;
}

static uint64_t rig_monotonic_ns(struct clock *clock)
{
	struct engine_rig *rig = (struct engine_rig *)clock;
	rig->looked_ns += rig->look_ns;
	return (uint64_t)(rig->now_ms - rig->set_ms) * 1000000 + rig->looked_ns;
}

static void make_directory(struct engine_rig *rig)
{
	static const char pattern[] = "holdfast-engine-XXXXXX";
	const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(rig->directory, sizeof(rig->directory), "%s/%s", parent, pattern);
	char *made = mkdtemp(rig->directory);
	assert(made);
	char log[sizeof(rig->directory) + 8];
	snprintf(log, sizeof(log), "%s/log", rig->directory);
	int failed = mkdir(log, 0700);
	assert(!failed);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

static int on_commit(void *context)
{
	struct engine_rig *rig = context;
	rig->commits++;
	return rig->commit_error;
}

static void on_wake(void *context)
{
	_Atomic uint32_t *wakes = context;
	atomic_fetch_add(wakes, 1);
}

static void on_done(void *context, struct request *request)
{
	struct port *port = context;
	struct engine_ticket *ticket = request->environment;
	struct engine_rig *rig = ticket->rig;
	assert(!ticket->done && port == &rig->engine->ports[request->home]);
	ticket->done = true;
	ticket->failed = request->turn.failed;
	ticket->order = ++rig->order;
	ticket->gate_lsn = request->gate_lsn;
	ticket->reply_size = request->reply.size;
	ticket->reply = memory_alloc(request->reply.size + 1);
	if (request->reply.size)
		memcpy(ticket->reply, request->reply.data, request->reply.size);
	ticket->reply[request->reply.size] = '\0';
	request_put(&port->pool, &request);
	rig->outstanding--;
	if (rig->on_done)
		rig->on_done(ticket);
}

static void abandon(struct engine_rig *rig, struct request *list)
{
	while (list) {
		struct request *request = list;
		list = request->next;
		if (rig->on_abandon)
			rig->on_abandon(rig, request);
		request_move(request, REQUEST_DONE);
		request_put(&rig->engine->ports[0].pool, &request);
	}
}

static struct engine_ticket *send_words(
	struct engine_rig *rig, uint16_t port, const struct command *command, va_list list)
{
	assert(port < rig->port_count);
	struct engine_ticket *ticket = memory_zeroed(sizeof(*ticket));
	ticket->rig = rig;
	ticket->next = rig->tickets[port];
	rig->tickets[port] = ticket;
	struct request *request = request_take(&rig->engine->ports[port].pool);
	request->asked.arguments = arena_alloc(&request->arena, WORDS_MAX * sizeof(struct slice));
	const char *word;
	while ((word = va_arg(list, const char *)) != NULL) {
		assert(request->asked.argument_count < WORDS_MAX);
		request->asked.arguments[request->asked.argument_count++] =
			arena_copy(&request->arena, slice_text(word));
	}
	request->asked.command = command
		? command
		: command_find(request->asked.arguments, request->asked.argument_count);
	assert(request->asked.command &&
		command_arity_ok(request->asked.command, request->asked.argument_count));
	request->asked.protocol = 2;
	request->home = port;
	request->environment = ticket;
	request->asked.asker = &clients[rig->client];
	rig->outstanding++;
	engine_tick(rig->engine, port);
	engine_submit(rig->engine, port, &request);
	return ticket;
}
