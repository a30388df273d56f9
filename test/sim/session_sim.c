/*
 * session_sim: sessions in the simulated world (world.h): random commands of SESSION.*, leases and
 * those who wait for them, connections that go.
 *
 * What is checked, and where:
 *   session_expect  every reply, what each turn writes, which uses are written, who holds a lease
 *   session_check   after each step and each crash: records, the index of users and the counts
 *                   agree with each other and with the model; when all has come to rest nothing is
 *                   left of what is over
 *   here            nobody waits for ever; SESSION.SCAN finds every session
 */
#include "sim/session_check.h"
#include "sim/session_client.h"
#include "sim/world.h"

#include "base/hash.h"
#include "command/command.h"
#include "engine/room.h"
#include "engine/shard.h"
#include "support/count.h"

#include <stdio.h>
#include <string.h>

#define IDS_MAX         160
#define SEGMENT_BYTES   (128 << 10)
#define REST_ROUNDS_MAX 20000
#define SCAN_ROUNDS_MAX 1000
#define LAST_REST_MS    700000 /* after which all that was is over */

struct session_sim {
	struct world world; /* stands first */
	struct leases *leases;
	struct sessions *sessions;
	struct model *model;
	struct client_host clients;
	int64_t wake_ms[WORLD_WORKERS_MAX]; /* when the port asked for leases_run */
};

static struct {
	uint64_t granted, promoted, filled;
} total;

static struct session_sim *sim_of(struct world *world)
{
	return (struct session_sim *)world;
}

static uint64_t below(struct session_sim *sim, uint64_t bound)
{
	return world_below(&sim->world, bound);
}

static bool chance(struct session_sim *sim, uint64_t one_in)
{
	return world_chance(&sim->world, one_in);
}

/* --- what sessions ask for -------------------------------------------------------------------- */

static void on_wake_in(void *context, uint16_t port, int64_t ms)
{
	struct session_sim *sim = context;
	if (port >= sim->world.workers || ms < 0)
		wrong("port %u asks to be woken in %lld ms", port, (long long)ms);
	sim->wake_ms[port] = sim->world.rig.now_ms + ms;
}

static void look(struct turn *turn);

/* Opened behind the sessions' own, so that it sees what went. */
static const struct room watch_room = { .name = "watch", .look = look };

static void look(struct turn *turn)
{
	struct session_sim *sim = engine_room(turn->engine, &watch_room);
	client_note_expired(&sim->clients, turn);
}

/* --- clients ---------------------------------------------------------------------------------- */

static bool choose(struct world *world, struct request *request)
{
	client_choose(&sim_of(world)->clients, request);
	return true;
}

static uint64_t depends(const struct request *request)
{
	return ((const struct client *)request->environment)->depends;
}

static void end_client(struct world *world, struct request *request)
{
	(void)world;
	client_end(request);
}

/* --- steps ------------------------------------------------------------------------------------ */

/* To a moment just before, at or behind the end of something, or anywhere. */
static void pass_time(struct world *world)
{
	struct session_sim *sim = sim_of(world);
	static const uint64_t spans_ms[] = { 2, 10, 50, 300, 2000, 10000 };
	int64_t then_ms = 0;
	if (chance(sim, 4)) {
		uint32_t id = (uint32_t)below(sim, sim->model->count + 1);
		if (id < sim->model->count) {
			const struct model_cell *cell = model_now(sim->model, id);
			const int64_t moments[] = { cell->end_ms, cell->bound_ms, cell->written_ms,
				cell->stands_ms, cell->grace_ms };
			then_ms = moments[below(sim, 5)] - 1 + (int64_t)below(sim, 3);
		}
	} else if (chance(sim, 2)) {
		then_ms = sim->wake_ms[below(sim, sim->world.workers)];
	}
	if (then_ms <= sim->world.rig.now_ms || then_ms > sim->world.rig.now_ms + 20000)
		then_ms = sim->world.rig.now_ms + (int64_t)below(sim, spans_ms[below(sim, 6)]);
	sim->world.rig.now_ms = then_ms;
}

static bool run_sessions(struct session_sim *sim, uint16_t port)
{
	if (sim->wake_ms[port] > sim->world.rig.now_ms)
		return false;
	sim->wake_ms[port] = INT64_MAX;
	engine_tick(sim->world.rig.engine, port);
	leases_run(leases_in(sim->world.rig.engine), port);
	return true;
}

static void run_any(struct world *world)
{
	run_sessions(sim_of(world), world_any_worker(world));
}

static void lose_connection(struct world *world)
{
	struct session_sim *sim = sim_of(world);
	if (!chance(sim, 8))
		return;
	uint64_t id = 1 + below(sim, CLIENT_CONNECTIONS);
	uint16_t port = (uint16_t)below(sim, sim->world.loops);
	client_gone(&sim->clients, id);
	engine_tick(sim->world.rig.engine, port);
	leases_forget_client(leases_in(sim->world.rig.engine), port, id);
}

static void check(struct world *world)
{
	session_check(&sim_of(world)->clients, world->rig.now_ms, false);
}

/* --- letting everything run ------------------------------------------------------------------- */

static bool run_all(struct world *world)
{
	bool moved = false;
	for (uint16_t port = 0; port < world->workers; port++)
		moved |= run_sessions(sim_of(world), port);
	return moved;
}

static void expire_all(struct world *world)
{
	for (uint16_t port = 0; port < world->workers; port++)
		engine_expire(world->rig.engine, port);
}

/* The expiry of the shards runs every 100 ms; everybody is answered by what happens of itself. */
static void wait_for_expiry(struct world *world)
{
	world->rig.now_ms += 100;
	expire_all(world);
}

/* --- SESSION.SCAN ----------------------------------------------------------------------------- */

static struct request *ask(struct session_sim *sim, const char *first, const char *second)
{
	struct request *request = request_take(&sim->world.rig.engine->ports[0].pool);
	request->asked.arguments = arena_alloc(&request->arena, 4 * sizeof(struct slice));
	request->asked.arguments[0] = slice_text(first);
	request->asked.arguments[1] = arena_copy(&request->arena, slice_text(second));
	request->asked.arguments[2] = slice_text("COUNT");
	request->asked.arguments[3] = slice_text("3");
	request->asked.argument_count = 4;
	request->asked.command =
		command_find(request->asked.arguments, request->asked.argument_count);
	request->asked.protocol = 2;
	return request;
}

struct scanned {
	struct session_sim *sim;
	uint8_t found[2 * IDS_MAX];
	char cursor[32];
	bool answered;
};

static void take_scanned(struct request **taken)
{
	struct request *request = *taken;
	struct scanned *scanned = request->told_context;
	struct session_sim *sim = scanned->sim;
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
		uint16_t shards = sim->world.rig.engine->shard_count;
		uint16_t shard = hash_shard_of(hash_slot(sim->model->ids[i].text), shards);
		struct slice text =
			session_name_shown(&name, hash_first_slot(shard, shards), &request->arena);
		char line[128];
		snprintf(line, sizeof(line), "\r\n$%zu\r\n%.*s\r\n", text.size, (int)text.size,
			text.data);
		if (strstr(reply->data, line) == NULL)
			continue;
		if (scanned->found[i]++ || !model_is_live(sim->model, i, sim->world.rig.now_ms))
			wrong("SESSION.SCAN shows %.*s twice, or though it is over", (int)text.size,
				text.data);
	}
	scanned->answered = true;
}

static void scan(struct session_sim *sim)
{
	struct scanned scanned = { .sim = sim, .cursor = "0" };
	for (int round = 0; round == 0 || strcmp(scanned.cursor, "0") != 0; round++) {
		struct request *request = ask(sim, "SESSION.SCAN", scanned.cursor);
		request->own = true;
		request->told = take_scanned;
		request->told_context = &scanned;
		scanned.answered = false;
		engine_tick(sim->world.rig.engine, 0);
		engine_submit(sim->world.rig.engine, 0, &request);
		for (uint16_t port = 0; !scanned.answered; port = (port + 1) % sim->world.loops)
			engine_deliver(sim->world.rig.engine, port);
		if (round > SCAN_ROUNDS_MAX)
			wrong("SESSION.SCAN does not end");
	}
	for (uint32_t i = 0; i < sim->model->count; i++)
		if (model_is_live(sim->model, i, sim->world.rig.now_ms) && !scanned.found[i])
			wrong("SESSION.SCAN misses %.*s", (int)sim->model->ids[i].text.size,
				sim->model->ids[i].text.data);
}

/* --- rest ------------------------------------------------------------------------------------- */

/* All comes to rest, and what is over goes. */
static void rest(struct world *world, int64_t ms)
{
	struct session_sim *sim = sim_of(world);
	world_settle(world);
	client_check_gone(&sim->clients);
	world->rig.now_ms += ms;
	int rounds = 0;
	while (world_round(world) || engine_admission(world->rig.engine) != GATE_OPEN) {
		world->rig.now_ms += 10; /* a checkpoint is tried again after a while */
		if (rounds++ > REST_ROUNDS_MAX)
			wrong("it does not come to rest");
	}
	expire_all(world);
	session_check(&sim->clients, world->rig.now_ms, true);
	scan(sim);
	world_settle(world);
}

static void finish(struct world *world)
{
	world_rest(world, 0);
	world_rest(world, LAST_REST_MS);
}

/* --- life and death --------------------------------------------------------------------------- */

static void open_sessions(struct session_sim *sim)
{
	struct leases_options options = {
		.engine = sim->world.rig.engine, .wake_in = on_wake_in, .context = sim
	};
	for (uint16_t port = 0; port < WORLD_WORKERS_MAX; port++)
		sim->wake_ms[port] = INT64_MAX;
	sim->leases = leases_new(&options);
	sim->sessions = sessions_new(sim->world.rig.engine);
	sim->model->tombstone_ms = sim->world.rig.config.session_tombstone_s * 1000;
	engine_open_room(sim->world.rig.engine, &watch_room, sim);
	sim->clients.engine = sim->world.rig.engine;
	sim->clients.sessions = sim->sessions;
	client_host_restart(&sim->clients);
}

static void choose_settings(struct session_sim *sim)
{
	static const int64_t tombstones_s[] = { 0, 1, 20, 20, 600 };
	static const int64_t percents[] = { 1, 5, 5, 20, 50 };
	struct config *config = &sim->world.rig.config;
	config->session_ttl_s = 1 + (int64_t)below(sim, 30);
	config->session_absolute_s = chance(sim, 4) ? 60 : 0;
	config->session_tombstone_s = tombstones_s[below(sim, 5)];
	config->session_hashing = chance(sim, 2);
	config->touch_percent = percents[below(sim, 5)];
	config->touch_bytes_max = chance(sim, 3) ? 0 : 64 << 20;
}

static void change_settings(struct world *world)
{
	if (world_chance(world, 2))
		choose_settings(sim_of(world));
}

static void recovered(struct world *world, uint64_t last)
{
	struct session_sim *sim = sim_of(world);
	model_rewind(sim->model, last);
	model_restart(sim->model);
	open_sessions(sim);
	check(world);
}

static void close_sessions(struct world *world)
{
	engine_close_room(world->rig.engine, &watch_room);
	sessions_free(&sim_of(world)->sessions);
	leases_free(&sim_of(world)->leases);
}

static void begin(struct world *world)
{
	struct session_sim *sim = sim_of(world);
	choose_settings(sim);
	sim->model = model_new();
	sim->clients = (struct client_host){
		.random = &world->random, .model = sim->model, .ids_max = IDS_MAX
	};
}

static void end(struct world *world)
{
	struct session_sim *sim = sim_of(world);
	total.granted += sim->clients.granted;
	total.promoted += sim->clients.promoted;
	total.filled += sim->clients.filled;
	client_host_fini(&sim->clients);
	model_free(&sim->model);
}

static void say_seed(const struct world *world)
{
	const struct session_sim *sim = (const struct session_sim *)world;
	printf(", %u ids, %llu leases", sim->model->count,
		(unsigned long long)sim->clients.granted);
}

static void say_total(void)
{
	printf(", %llu leases (%llu to who waited), %llu waits filled",
		(unsigned long long)total.granted, (unsigned long long)total.promoted,
		(unsigned long long)total.filled);
}

/* --- the simulator ---------------------------------------------------------------------------- */

static const struct world_step steps[] = {
	{ 2, world_run_gate },
	{ 1, world_run_keeper },
	{ 1, world_run_checkpoint },
	{ 2, world_run_expiry },
	{ 2, pass_time },
	{ 2, run_any },
	{ 1, lose_connection },
	{ 4, world_deliver },
	{ 9, world_send },
};

static const struct simulator simulator = {
	.size = sizeof(struct session_sim),
	.first_seed = 1,
	.seeds_usual = 500,
	.seeds_long = 20000,
	.steps = steps,
	.step_count = COUNT(steps),
	.life_steps = 1400,
	.in_flight_max = 24,
	.log_segment_bytes = SEGMENT_BYTES,
	.overlay_bits = { 17, 6 },
	.fault_operations = 150,
	.room = { 2, 8 },
	.room_piece_bytes = SEGMENT_BYTES + (16 << 10),
	.down_ms = 100000,
	.rest_ms = 100000,
	.settle_ms_max = 60000,
	.begin = begin,
	.end = end,
	.change_settings = change_settings,
	.recovered = recovered,
	.close = close_sessions,
	.choose = choose,
	.depends = depends,
	.left = end_client,
	.abandoned = end_client,
	.run = run_all,
	.wait = wait_for_expiry,
	.check = check,
	.rest = rest,
	.finish = finish,
	.say_seed = say_seed,
	.say_total = say_total,
};

int main(int argc, char **argv)
{
	return world_main(&simulator, argc, argv);
}
