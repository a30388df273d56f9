/*
 * string_sim: strings in the simulated world (world.h): random commands from several ports, whose
 * every reply is compared with a model. After every crash the recovered state must be the model's
 * as of one LSN, and that LSN must not be below anything that a released reply depended on. So:
 * nothing acknowledged is lost, nothing is half applied, nobody was shown what the crash took back,
 * no value appears that was never written, expiry times are kept.
 */
#include "sim/string_model.h"
#include "sim/world.h"

#include "base/memory.h"
#include "base/number.h"
#include "command/command.h"
#include "request/turn.h"
#include "support/count.h"

#ifdef __SANITIZE_ADDRESS__ /* slower: fewer, and others than the release build runs */
#define SEED_FIRST  2001
#define SEEDS_USUAL 1000
#else
#define SEED_FIRST  1
#define SEEDS_USUAL 2000
#endif
#define SEEDS_LONG    100000
#define ARGUMENTS_MAX 16

struct string_sim {
	struct world world; /* stands first */
	struct model *model;
};

/* Of one request; its environment. */
struct client {
	struct string_sim *sim;
	const struct command *real;
	uint64_t depends; /* the highest record that the reply tells of; 0: it tells of none */
};

static struct string_sim *sim_of(struct world *world)
{
	return (struct string_sim *)world;
}

static uint64_t below(struct string_sim *sim, uint64_t bound)
{
	return world_below(&sim->world, bound);
}

static bool chance(struct string_sim *sim, uint64_t one_in)
{
	return world_chance(&sim->world, one_in);
}

/* --- commands --------------------------------------------------------------------------------- */

static void check_dbsize(struct string_sim *sim, struct turn *turn)
{
	int64_t live, standing, got = 0;
	if (turn->continue_at >= 0 || sim->world.workers > 1)
		return;
	model_count(sim->model, turn->asked->db, turn->now_ms, &live, &standing);
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
	struct client *client = request->environment;
	struct string_sim *sim = client->sim;
	client->real->run(turn);
	if (slice_is(request->asked.arguments[0], "DBSIZE")) {
		check_dbsize(sim, turn);
		return;
	}
	struct buffer expected;
	buffer_init(&expected);
	uint64_t lsn = gate_appended(sim->world.rig.engine->gate) + 1;
	model_run(sim->model, request->asked.db, request->asked.arguments,
		request->asked.argument_count, turn->now_ms, lsn, &expected, &client->depends);
	if (!slice_equal(buffer_slice(&expected), buffer_slice(&request->reply)))
		wrong("%.*s %.40s: answered %.*s, the model %.*s",
			(int)request->asked.arguments[0].size, request->asked.arguments[0].data,
			request->asked.argument_count > 1 ? request->asked.arguments[1].data : "",
			(int)(request->reply.size > 80 ? 80 : request->reply.size),
			request->reply.data, (int)(expected.size > 80 ? 80 : expected.size),
			expected.data);
	if ((client->depends == lsn) != (request->turn.changes.count > 0))
		wrong("%.*s wrote %u changes, the model says otherwise",
			(int)request->asked.arguments[0].size, request->asked.arguments[0].data,
			request->turn.changes.count);
	buffer_fini(&expected);
}

static struct slice random_value(struct string_sim *sim, struct arena *arena)
{
	size_t size = below(sim, 200);
	if (chance(sim, 40))
		size = below(sim, WORLD_VALUE_BYTES_MAX / 2);
	char *data = arena_alloc(arena, size);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)('a' + below(sim, 26));
	return slice_of(data, size);
}

static struct slice random_key(struct string_sim *sim)
{
	return model_key(sim->model, (uint32_t)below(sim, MODEL_KEYS));
}

static void add(struct request *request, struct slice argument)
{
	request->asked.arguments[request->asked.argument_count++] = argument;
}

static void add_ms(struct string_sim *sim, struct request *request)
{
	add(request,
		arena_format(
			&request->arena, "%d", (int)below(sim, chance(sim, 2) ? 50 : 100000) + 1));
}

static void choose_set(struct string_sim *sim, struct request *request)
{
	add(request, slice_text("SET"));
	add(request, random_key(sim));
	add(request, random_value(sim, &request->arena));
	if (chance(sim, 4)) {
		add(request, slice_text("PX"));
		add_ms(sim, request);
	} else if (chance(sim, 6)) {
		add(request, slice_text("KEEPTTL"));
	}
	if (chance(sim, 6))
		add(request, slice_text(chance(sim, 2) ? "NX" : "XX"));
}

static void choose_many(
	struct string_sim *sim, struct request *request, const char *name, bool values)
{
	uint32_t keys = 1 + (uint32_t)below(sim, 5);
	add(request, slice_text(name));
	for (uint32_t i = 0; i < keys; i++) {
		add(request, random_key(sim));
		if (values)
			add(request, random_value(sim, &request->arena));
	}
}

static void choose_one(struct string_sim *sim, struct request *request, const char *name)
{
	add(request, slice_text(name));
	add(request, random_key(sim));
}

static void choose_command(struct string_sim *sim, struct request *request)
{
	request->asked.db = (uint8_t)below(sim, MODEL_DATABASES);
	uint64_t choice = below(sim, 100);
	if (choice < 30) {
		choose_set(sim, request);
	} else if (choice < 45) {
		choose_one(sim, request, "GET");
	} else if (choice < 55) {
		choose_many(sim, request, "MSET", true);
	} else if (choice < 63) {
		choose_many(sim, request, "MGET", false);
	} else if (choice < 72) {
		choose_many(sim, request, "DEL", false);
	} else if (choice < 78) {
		choose_one(sim, request, "APPEND");
		add(request, random_value(sim, &request->arena));
	} else if (choice < 84) {
		choose_one(sim, request, "PEXPIRE");
		add_ms(sim, request);
	} else if (choice < 87) {
		choose_one(sim, request, "PERSIST");
	} else if (choice < 90) {
		choose_one(sim, request, "PEXPIRETIME");
	} else if (choice < 97) {
		choose_one(sim, request, "RENAME");
		add(request, random_key(sim));
	} else if (choice < 99) {
		add(request, slice_text("DBSIZE"));
	} else {
		add(request, slice_text("FLUSHDB"));
	}
}

/* A client's request, which has no arguments yet. */
static struct client *begin_request(struct string_sim *sim, struct request *request)
{
	struct client *client = arena_alloc(&request->arena, sizeof(*client));
	*client = (struct client){ .sim = sim };
	request->environment = client;
	request->asked.arguments =
		arena_alloc(&request->arena, ARGUMENTS_MAX * sizeof(struct slice));
	request->asked.protocol = 2;
	return client;
}

/* The command that its arguments name; it will be compared. */
static void wrap_command(struct client *client, struct request *request)
{
	struct command *wrapped = arena_alloc(&request->arena, sizeof(*wrapped));
	client->real = command_find(request->asked.arguments, request->asked.argument_count);
	*wrapped = *client->real;
	wrapped->run = run_and_compare;
	request->asked.command = wrapped;
}

static bool choose(struct world *world, struct request *request)
{
	struct client *client = begin_request(sim_of(world), request);
	choose_command(sim_of(world), request);
	wrap_command(client, request);
	return true;
}

/* By the model's account, not by the server's own. */
static uint64_t depends(const struct request *request)
{
	return ((const struct client *)request->environment)->depends;
}

/* --- time, and what a crash leaves ------------------------------------------------------------ */

static void pass_time(struct world *world)
{
	world->rig.now_ms += (int64_t)world_below(world, 40);
}

static bool pass_moment(struct world *world)
{
	world->rig.now_ms++;
	return false;
}

static void ask(struct string_sim *sim, const char *name, uint8_t db, uint32_t key)
{
	struct request *request = request_take(&sim->world.rig.engine->ports[0].pool);
	struct client *client = begin_request(sim, request);
	request->asked.db = db;
	add(request, slice_text(name));
	add(request, model_key(sim->model, key));
	wrap_command(client, request);
	world_submit(&sim->world, &request, 0);
}

static void compare_everything(struct string_sim *sim)
{
	for (uint8_t db = 0; db < MODEL_DATABASES; db++) {
		for (uint32_t key = 0; key < MODEL_KEYS; key++) {
			ask(sim, "GET", db, key);
			ask(sim, "PEXPIRETIME", db, key);
			world_settle(&sim->world);
		}
	}
}

static void recovered(struct world *world, uint64_t last)
{
	model_rewind(sim_of(world)->model, last);
	compare_everything(sim_of(world));
}

/* --- the simulator ---------------------------------------------------------------------------- */

static void begin(struct world *world)
{
	sim_of(world)->model = model_new();
}

static void end(struct world *world)
{
	model_free(sim_of(world)->model);
}

static const struct world_step steps[] = {
	{ 2, world_run_gate },
	{ 1, world_run_keeper },
	{ 1, world_run_checkpoint },
	{ 1, world_run_expiry },
	{ 1, pass_time },
	{ 3, world_deliver },
	{ 7, world_send },
};

static const struct simulator simulator = {
	.size = sizeof(struct string_sim),
	.first_seed = SEED_FIRST,
	.seeds_usual = SEEDS_USUAL,
	.seeds_long = SEEDS_LONG,
	.steps = steps,
	.step_count = COUNT(steps),
	.life_steps = 600,
	.in_flight_max = 24,
	.log_segment_bytes = 64 << 10,
	.overlay_bits = { 16, 8 },
	.fault_operations = 80,
	.room = { 1, 12 },
	.room_piece_bytes = 160 << 10,
	.settle_ms_max = 10000,
	.begin = begin,
	.end = end,
	.recovered = recovered,
	.choose = choose,
	.depends = depends,
	.run = pass_moment,
};

int main(int argc, char **argv)
{
	return world_main(&simulator, argc, argv);
}
