/*
 * object_client: see object_client.h. Storage commands run wrapped: the real handler, then the
 * model, then their replies are compared. DO.CALL and DO.RUNALARM must run as they are; what they
 * do is said by the class's code.
 */
#include "sim/object_client.h"

#include "command/command.h"
#include "object/object_key.h"
#include "request/turn.h"
#include "sim/object_script.h"
#include "support/count.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 8
#define WAKES_SENT    10 /* at most: others may be on their way */

typedef void (*apply_fn)(struct turn *turn, struct client_host *host, struct client *client);

struct client_state {
	struct client client; /* stands first */
	struct client_host *host;
	const struct command *real;
	apply_fn apply;
	bool touches;
	uint32_t class; /* DO.CLASS LOAD */
	bool is_wake;
};

static void apply_get(struct turn *turn, struct client_host *host, struct client *client);
static void apply_put(struct turn *turn, struct client_host *host, struct client *client);
static void apply_del(struct turn *turn, struct client_host *host, struct client *client);
static void apply_deleteall(struct turn *turn, struct client_host *host, struct client *client);
static void apply_setalarm(struct turn *turn, struct client_host *host, struct client *client);
static void apply_getalarm(struct turn *turn, struct client_host *host, struct client *client);
static void apply_delalarm(struct turn *turn, struct client_host *host, struct client *client);
static void apply_expire(struct turn *turn, struct client_host *host, struct client *client);
static void apply_persist(struct turn *turn, struct client_host *host, struct client *client);
static void apply_nothing(struct turn *turn, struct client_host *host, struct client *client);
static void run_wrapped(struct turn *turn);
static void run_wake(struct turn *turn);
static void run_load(struct turn *turn);

static bool chance(struct client_host *host, uint64_t one_in)
{
	return random_below(host->random, one_in) == 0;
}

static void add(struct request *request, const char *text)
{
	request->asked.arguments[request->asked.argument_count++] =
		arena_copy(&request->arena, slice_text(text));
}

static void add_number(struct request *request, int64_t number)
{
	request->asked.arguments[request->asked.argument_count++] =
		arena_format(&request->arena, "%lld", (long long)number);
}

static struct client_state *state_of(const struct request *request)
{
	return request->environment;
}

/* Words up to NULL, the object's name among them when `name` says so. */
static struct client_state *start(struct client_host *host, struct request *request,
	command_turn_fn run, apply_fn apply, ...) __attribute__((sentinel));

static struct client_state *start(
	struct client_host *host, struct request *request, command_turn_fn run, apply_fn apply, ...)
{
	struct client_state *state = arena_alloc(&request->arena, sizeof(*state));
	*state = (struct client_state){ .host = host, .apply = apply };
	state->client.object = (uint32_t)random_below(host->random, MODEL_OBJECTS);
	request->environment = state;
	/* The engine only asks whether there is one. */
	request->connection = (struct connection *)state;
	request->asked.protocol = 2;
	request->asked.arguments =
		arena_alloc(&request->arena, ARGUMENTS_MAX * sizeof(struct slice));
	va_list list;
	va_start(list, apply);
	for (const char *word; (word = va_arg(list, const char *)) != NULL;)
		add(request, word);
	va_end(list);
	state->real = command_find(request->asked.arguments, request->asked.argument_count);
	struct command *command = arena_alloc(&request->arena, sizeof(*command));
	*command = *state->real;
	if (run)
		command->run = run;
	request->asked.command = command;
	return state;
}

static void add_object(struct request *request)
{
	uint32_t object = state_of(request)->client.object;
	add(request, script_classes[object % 2]);
	request->asked.arguments[request->asked.argument_count++] =
		arena_format(&request->arena, "o%u", object);
}

static void start_storage(
	struct client_host *host, struct request *request, const char *name, apply_fn apply)
{
	start(host, request, run_wrapped, apply, name, NULL)->touches = true;
	add_object(request);
}

static const char *script(struct client_host *host, bool job)
{
	script_write(&host->script, host->random, job);
	return host->script.data;
}

/* --- choosing --------------------------------------------------------------------------------- */

static void choose_call(struct client_host *host, struct request *request)
{
	start(host, request, NULL, NULL, "DO.CALL", NULL);
	add_object(request);
	add(request, chance(host, 100) ? "nothing" : "run");
	add_number(request, (int64_t)++host->next_id);
	add(request, script(host, false));
}

static void choose_values(struct client_host *host, struct request *request)
{
	uint64_t choice = random_below(host->random, 10);
	if (choice < 4) {
		start_storage(host, request, "DO.GET", apply_get);
		add(request, "v");
		add(request, "w");
	} else if (choice < 8) {
		start_storage(host, request, "DO.PUT", apply_put);
		add(request, "o");
		add_number(request, (int64_t)++host->next_id);
	} else if (choice < 9) {
		start_storage(host, request, "DO.DEL", apply_del);
		add(request, "o");
	} else {
		start_storage(host, request, "DO.DELETEALL", apply_deleteall);
		if (chance(host, 2))
			add(request, "KEEPALARM");
	}
}

static void choose_due(struct client_host *host, struct request *request, int64_t now_ms)
{
	static const int alarms[] = { -1000, 0, 5, 300, 20000 };
	static const int lives_s[] = { 1, 10, 100 };
	uint64_t choice = random_below(host->random, 10);
	if (choice < 4) {
		start_storage(host, request, "DO.SETALARM", apply_setalarm);
		add_number(request, now_ms + alarms[random_below(host->random, 5)]);
	} else if (choice < 5) {
		start_storage(host, request, "DO.DELALARM", apply_delalarm);
	} else if (choice < 6) {
		start_storage(host, request, "DO.GETALARM", apply_getalarm);
	} else if (choice < 8) {
		start_storage(host, request, "DO.EXPIRE", apply_expire);
		add_number(request, lives_s[random_below(host->random, 3)]);
		if (chance(host, 2))
			add(request, "TOUCH");
	} else if (choice < 9) {
		start_storage(host, request, "DO.PERSIST", apply_persist);
	} else {
		start(host, request, NULL, NULL, "DO.RUNALARM", NULL);
		add_object(request);
	}
}

static bool may_wake(struct client_host *host, int64_t now_ms)
{
	uint32_t most = 0;
	for (uint32_t object = 0; object < MODEL_OBJECTS; object++) {
		uint32_t count = model_now(host->model, object, 0, now_ms).wake_count;
		most = count > most ? count : most;
	}
	return host->wakes == 0 && most < WAKES_SENT;
}

static void choose_wake(struct client_host *host, struct request *request)
{
	struct client_state *state = start(host, request, run_wake, NULL, "DO.WAKE", NULL);
	state->is_wake = true;
	host->wakes++;
	add(request, script_classes[random_below(host->random, 2)]);
	add(request, "woken");
	add(request, "ARGS");
	add(request, script(host, true));
}

void client_choose(struct client_host *host, struct request *request, int64_t now_ms)
{
	uint64_t choice = random_below(host->random, 100);
	if (choice < 60) {
		choose_call(host, request);
	} else if (choice < 76) {
		choose_values(host, request);
	} else if (choice < 92) {
		choose_due(host, request, now_ms);
	} else if (choice < 94 && may_wake(host, now_ms)) {
		choose_wake(host, request);
	} else if (choice < 95) {
		client_load_class(host, request, (uint32_t)random_below(host->random, 2));
	} else {
		start(host, request, run_wrapped, apply_nothing, "DO.EVICT", NULL);
		add_object(request);
	}
}

/* The version that its code tells is that of the registry: loads are made one after the other. */
void client_load_class(struct client_host *host, struct request *request, uint32_t class)
{
	struct client_state *state = start(host, request, run_load, NULL, "DO.CLASS", "LOAD", NULL);
	struct buffer source;
	buffer_init(&source);
	state->class = class;
	/* What it is to be is only known in its turn. */
	script_class(&source, class, 0);
	add(request, script_classes[class]);
	request->asked.arguments[request->asked.argument_count++] =
		arena_copy(&request->arena, buffer_slice(&source));
	add(request, "REPLACE");
	buffer_fini(&source);
}

void client_end(struct client_host *host, const struct request *request)
{
	host->wakes -= state_of(request)->is_wake;
}

/* --- replies ---------------------------------------------------------------------------------- */

static bool is_known_error(const struct client_state *state, struct slice reply)
{
	/* The disk may have become full since it was let in. */
	if (state->is_wake && slice_starts_with(reply, slice_text("-DISKFULL ")))
		return true;
	static const char *const known[] = { "-OVERLOADED ", "-CLASSBUSY ", "-NOCLASS ",
		"-NOMETHOD ", "-NOALARM " };
	for (size_t i = 0; i < COUNT(known); i++)
		if (slice_starts_with(reply, slice_text(known[i])))
			return true;
	return false;
}

static void check_call(struct client *client, struct slice reply)
{
	if (!client->ended)
		wrong("a call was answered before it ended: %.*s", (int)reply.size, reply.data);
	if (client->failed) {
		bool known = slice_starts_with(reply, slice_text("-CLASSERR ")) ||
			slice_starts_with(reply, slice_text("-SOFT ")) ||
			slice_starts_with(reply, slice_text("-TIMEOUT "));
		if (!known)
			wrong("a call that failed was answered with %.*s", (int)reply.size,
				reply.data);
		return;
	}
	snprintf(
		client->expected, sizeof(client->expected), ":%lld\r\n", (long long)client->result);
}

void client_check(struct client_host *host, const struct request *request)
{
	struct client_state *state = state_of(request);
	struct client *client = &state->client;
	struct slice reply = buffer_slice(&request->reply);
	if (reply.size == 0)
		wrong("%s: no reply", state->real->name);
	if (client->begun && strcmp(state->real->name, "do.runalarm") != 0)
		check_call(client, reply);
	else if (!client->begun && reply.data[0] == '-' && !is_known_error(state, reply))
		wrong("%s: %.*s", state->real->name, (int)reply.size, reply.data);
	if (client->expected[0] && !slice_equal(reply, slice_text(client->expected)))
		wrong("%s: answered %.*s, the model %s", state->real->name, (int)reply.size,
			reply.data, client->expected);
}

/* --- what they do ----------------------------------------------------------------------------- */

static void expect(struct client *client, int64_t number)
{
	snprintf(client->expected, sizeof(client->expected), ":%lld\r\n", (long long)number);
}

static struct model_state now_of(struct turn *turn, struct client_host *host, uint32_t object)
{
	return model_now(host->model, object, watch_lsn(host->watch), turn->now_ms);
}

static struct model_state *change(struct turn *turn, struct client_host *host, uint32_t object)
{
	return model_change(host->model, object, watch_lsn(host->watch), turn->now_ms);
}

/* Again from its start when it had to wait at the gate. */
static void run_wrapped(struct turn *turn)
{
	struct client_state *state = state_of(turn->request);
	struct client *client = &state->client;
	state->real->run(turn);
	if (turn->parked || turn->failed)
		return;
	if (state->touches) {
		watch_open(state->host->watch, client->object);
		watch_touch(state->host->watch, client->object, turn->now_ms);
	}
	state->apply(turn, state->host, client);
	if (state->touches)
		client->depends = model_lsn(state->host->model, client->object);
}

static void apply_nothing(struct turn *turn, struct client_host *host, struct client *client)
{
	(void)turn;
	(void)host;
	(void)client;
}

static void apply_get(struct turn *turn, struct client_host *host, struct client *client)
{
	long long version = (long long)now_of(turn, host, client->object).version;
	char digits[24];
	int size = snprintf(digits, sizeof(digits), "%lld", version);
	if (version)
		snprintf(client->expected, sizeof(client->expected),
			"*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", size, digits, size, digits);
	else
		snprintf(client->expected, sizeof(client->expected), "*2\r\n$-1\r\n$-1\r\n");
}

static void apply_put(struct turn *turn, struct client_host *host, struct client *client)
{
	change(turn, host, client->object)->beside =
		(int64_t)strtoll(turn_argument(turn, 4).data, NULL, 10);
	snprintf(client->expected, sizeof(client->expected), "+OK\r\n");
}

static void apply_del(struct turn *turn, struct client_host *host, struct client *client)
{
	bool had = now_of(turn, host, client->object).beside != 0;
	if (had)
		change(turn, host, client->object)->beside = 0;
	expect(client, had);
}

static void apply_deleteall(struct turn *turn, struct client_host *host, struct client *client)
{
	struct model_state state = now_of(turn, host, client->object);
	bool keep_alarm = turn->asked->argument_count > 3;
	expect(client, (int64_t)model_keys(&state));
	if (model_clear(&state, keep_alarm))
		model_clear(change(turn, host, client->object), keep_alarm);
}

static void apply_setalarm(struct turn *turn, struct client_host *host, struct client *client)
{
	int64_t at_ms = (int64_t)strtoll(turn_argument(turn, 3).data, NULL, 10);
	if (at_ms < turn->now_ms)
		at_ms = turn->now_ms;
	change(turn, host, client->object)->alarm = (struct model_alarm){
		.set = true,
		.serial = model_next_serial(host->model),
		.at_ms = at_ms,
		.due_from_ms = at_ms,
		.due_to_ms = at_ms,
	};
	snprintf(client->expected, sizeof(client->expected), "+OK\r\n");
}

static void apply_getalarm(struct turn *turn, struct client_host *host, struct client *client)
{
	struct model_alarm alarm = now_of(turn, host, client->object).alarm;
	if (alarm.set)
		expect(client, alarm.at_ms);
	else
		snprintf(client->expected, sizeof(client->expected), "$-1\r\n");
}

static void apply_delalarm(struct turn *turn, struct client_host *host, struct client *client)
{
	bool had = now_of(turn, host, client->object).alarm.set;
	if (had)
		change(turn, host, client->object)->alarm = (struct model_alarm){ 0 };
	expect(client, had);
}

static void apply_expire(struct turn *turn, struct client_host *host, struct client *client)
{
	struct model_state state = now_of(turn, host, client->object);
	bool exists = model_exists(&state);
	int64_t life_ms = (int64_t)strtoll(turn_argument(turn, 3).data, NULL, 10) * 1000;
	expect(client, exists);
	if (!exists)
		return;
	struct model_state *changed = change(turn, host, client->object);
	changed->expire_ms = turn->now_ms + life_ms;
	changed->life_ms = turn->asked->argument_count > 4 ? life_ms : 0;
}

static void apply_persist(struct turn *turn, struct client_host *host, struct client *client)
{
	bool had = now_of(turn, host, client->object).expire_ms != 0;
	if (had) {
		struct model_state *changed = change(turn, host, client->object);
		changed->expire_ms = changed->life_ms = 0;
	}
	expect(client, had);
}

/* One turn a shard; what it files is seen in its changes. */
static void run_wake(struct turn *turn)
{
	struct client_state *state = state_of(turn->request);
	struct client_host *host = state->host;
	const struct changes *changes = &turn->changes;
	state->real->run(turn);
	for (uint32_t i = 0; i < changes->count; i++) {
		struct due due;
		if (!key_parse_due(changes->effects[i].key, &due) || due.kind != DUE_WAKE)
			wrong("do.wake wrote something else than wakes");
		struct model_state *changed = model_change_wakes(host->model,
			watch_object(due.object.id), watch_lsn(host->watch), turn->now_ms);
		if (!model_exists(changed) || changed->wake_count == MODEL_WAKES)
			wrong("a wake was sent to an object that is away, or too many");
		changed->wakes[changed->wake_count++] = (struct model_wake){ due.at_ms, false };
		state->client.depends = changed->lsn;
	}
}

/* The source that is stored tells its own version. */
static void run_load(struct turn *turn)
{
	struct client_state *state = state_of(turn->request);
	struct request *request = turn->request;
	struct watch *watch = state->host->watch;
	uint64_t version = watch_class_version(watch, state->class) + 1;
	struct buffer source;
	buffer_init(&source);
	script_class(&source, state->class, version);
	request->asked.arguments[3] = arena_copy(&request->arena, buffer_slice(&source));
	buffer_fini(&source);
	state->real->run(turn);
	if (turn->failed)
		return;
	watch_class_loaded(watch, state->class, version, watch_lsn(watch));
	state->client.depends = watch_lsn(watch);
	expect(&state->client, (int64_t)version);
}
