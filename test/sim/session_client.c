/*
 * session_client: see session_client.h. What is chosen, and what happens around a handler's run;
 * session_expect.c has what each command must do.
 */
#include "sim/session_client.h"

#include "base/memory.h"
#include "command/command.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

static uint64_t below(struct client_host *host, uint64_t bound)
{
	return random_below(host->random, bound);
}

static bool chance(struct client_host *host, uint64_t one_in)
{
	return below(host, one_in) == 0;
}

/* --- choosing --------------------------------------------------------------------------------- */

static void add(struct request *request, struct slice word)
{
	request->asked.arguments[request->asked.argument_count++] = word;
}

static void add_text(struct request *request, const char *word)
{
	add(request, slice_text(word));
}

static void add_number(struct request *request, const char *option, int64_t number)
{
	if (option)
		add_text(request, option);
	add(request, arena_format(&request->arena, "%lld", (long long)number));
}

/* Rather one of a few that much happens to, or one that stands for something; but any. */
static uint32_t choose_id(struct client_host *host)
{
	struct model *model = host->model;
	char text[32];
	for (int i = 0; i < 12 && model->count && !chance(host, 6); i++) {
		uint32_t id = (uint32_t)below(host, model->count);
		if (i < 6 && model->count > 8) {
			host->favourite += chance(host, 6);
			id = host->favourite % model->count;
		}
		enum model_kind kind = model_now(model, id)->kind;
		if (kind == MODEL_SESSION || (kind == MODEL_ROTATED && chance(host, 3)))
			return id;
	}
	if (model->count > CLIENT_FIXED_IDS && chance(host, 3)) {
		/* rather one of the latest */
		uint64_t back = below(host, chance(host, 2) ? 6 : model->count);
		return back < model->count ? model->count - 1 - (uint32_t)back : 0;
	}
	uint64_t n = below(host, CLIENT_FIXED_IDS);
	snprintf(text, sizeof(text), n < 4 ? "{tag}%u" : "id%u", (unsigned)n);
	return model_id(model, slice_text(text));
}

static void add_id(struct client *client, struct request *request, uint32_t id)
{
	struct client_host *host = client->host;
	struct slice text = host->model->ids[id].text;
	if (client->shown) {
		struct session_name name = model_name(host->model, id, SESSION_FORMAT_HASHED);
		text = session_name_shown(&name, hash_slot(text), &request->arena);
	}
	add(request, text);
}

static void choose_data(struct client *client, bool patch)
{
	struct client_host *host = client->host;
	struct model_data *data = &client->data;
	for (uint8_t name = 0; name < MODEL_FIELDS; name++) {
		if (chance(host, 2))
			continue;
		bool text = name == MODEL_FIELDS - 1;
		data->names[data->count] = name;
		data->values[data->count++] =
			(int32_t)below(host, text && chance(host, 8) ? 6000 : 100);
		if (patch && client->given_deep && chance(host, 4))
			data->values[data->count - 1] = -1;
	}
}

static void add_data(struct client *client, struct request *request)
{
	struct buffer text;
	buffer_init(&text);
	model_data_text(&client->data, &text);
	add(request, arena_copy(&request->arena, buffer_slice(&text)));
	buffer_fini(&text);
}

static void choose_life(struct client *client, struct request *request, bool absolute)
{
	struct client_host *host = client->host;
	client->given_ttl = chance(host, 2);
	client->given_absolute = absolute && chance(host, 5);
	client->ttl_ms = 1000 * (int64_t)(1 + below(host, chance(host, 2) ? 5 : 60));
	client->absolute_ms = 1000 * (int64_t)(1 + below(host, 90));
	if (client->given_ttl)
		add_number(request, "TTL", client->ttl_ms / 1000);
	if (client->given_absolute)
		add_number(request, "ABSOLUTE", client->absolute_ms / 1000);
}

static void choose_user(struct client *client, struct request *request)
{
	client->given_user = true;
	client->user = (uint32_t)below(client->host, MODEL_USERS + 1);
	add_text(request, "USER");
	add(request, model_user(client->user));
}

static void choose_version(struct client *client, struct request *request, uint64_t one_in)
{
	client->given_version = chance(client->host, one_in);
	client->version = model_now(client->host->model, client->id)->version;
	if (chance(client->host, 3))
		client->version = below(client->host, 4);
	if (client->given_version)
		add_number(request, "IFVERSION", (int64_t)client->version);
}

static void choose_create(struct client *client, struct request *request)
{
	struct client_host *host = client->host;
	client->expect = expect_create;
	add_text(request, "SESSION.CREATE");
	client->given_id = host->model->count >= host->ids_max || chance(host, 2);
	if (client->given_id) {
		add_text(request, "ID");
		client->id = choose_id(host);
		add_id(client, request, client->id);
	}
	if (!chance(host, 4))
		choose_user(client, request);
	if (chance(host, 2)) {
		client->given_data = true;
		choose_data(client, false);
		add_text(request, "DATA");
		add_data(client, request);
	}
	choose_life(client, request, true);
	client->given_maxper = client->user && chance(host, 3);
	client->given_reject = client->given_maxper && chance(host, 3);
	client->per_user = (uint32_t)(1 + below(host, 4));
	if (client->given_maxper)
		add_number(request, "MAXPER", client->per_user);
	if (client->given_reject)
		add_text(request, "REJECT");
}

static void choose_set(struct client *client, struct request *request)
{
	struct client_host *host = client->host;
	client->expect = expect_set;
	add_text(request, "SESSION.SET");
	client->id = choose_id(host);
	add_id(client, request, client->id);
	choose_data(client, false);
	add_data(client, request);
	choose_life(client, request, true);
	if (chance(host, 3))
		choose_user(client, request);
	client->given_nx = chance(host, 6);
	client->given_xx = !client->given_nx && chance(host, 6);
	if (client->given_nx || client->given_xx)
		add_text(request, client->given_nx ? "NX" : "XX");
	choose_version(client, request, 6);
}

static void choose_update(struct client *client, struct request *request)
{
	client->expect = expect_update;
	add_text(request, "SESSION.UPDATE");
	client->id = choose_id(client->host);
	add_id(client, request, client->id);
	client->given_deep = chance(client->host, 3);
	choose_data(client, true);
	add_data(client, request);
	if (client->given_deep)
		add_text(request, "DEEP");
	choose_life(client, request, false);
	choose_version(client, request, 6);
}

static void choose_get(struct client *client, struct request *request)
{
	client->expect = expect_get;
	add_text(request, "SESSION.GET");
	client->id = choose_id(client->host);
	add_id(client, request, client->id);
	client->given_notouch = chance(client->host, 4);
	client->given_only_data = chance(client->host, 4);
	if (client->given_notouch)
		add_text(request, "NOTOUCH");
	if (client->given_only_data)
		add_text(request, "DATA");
}

static void choose_small(struct client *client, struct request *request)
{
	client->id = choose_id(client->host);
	switch (below(client->host, 3)) {
	case 0:
		client->expect = expect_field;
		add_text(request, "SESSION.FIELD");
		add_id(client, request, client->id);
		add_text(request, "a");
		break;
	case 1:
		client->expect = expect_touch;
		add_text(request, "SESSION.TOUCH");
		add_id(client, request, client->id);
		if (chance(client->host, 4))
			choose_life(client, request, false);
		break;
	default:
		client->expect = expect_ttl;
		add_text(request, "SESSION.TTL");
		add_id(client, request, client->id);
	}
}

static void choose_ids(struct client *client, struct request *request, const char *name)
{
	add_text(request, name);
	client->id_count = (uint32_t)(1 + (chance(client->host, 3) ? below(client->host, 3) : 0));
	for (uint32_t i = 0; i < client->id_count; i++) {
		client->ids[i] = choose_id(client->host);
		add_id(client, request, client->ids[i]);
	}
}

static void choose_rotate(struct client *client, struct request *request)
{
	client->expect = expect_rotate;
	client->shown = chance(client->host, 4);
	client->id = choose_id(client->host);
	add_text(request, "SESSION.ROTATE");
	add_id(client, request, client->id);
	if (chance(client->host, 2)) {
		client->grace_ms = 1000 * (int64_t)below(client->host, 20);
		add_number(request, "GRACE", client->grace_ms / 1000);
	}
}

static void choose_user_command(struct client *client, struct request *request, bool ends)
{
	client->expect = ends ? expect_deluser : expect_list;
	client->user = (uint32_t)(1 + below(client->host, MODEL_USERS));
	add_text(request, ends ? "SESSION.DELUSER" : "SESSION.LIST");
	if (!ends)
		add_text(request, "USER");
	add(request, model_user(client->user));
	client->given_except = ends && chance(client->host, 2);
	if (client->given_except) {
		client->shown = chance(client->host, 4);
		client->id = choose_id(client->host);
		add_text(request, "EXCEPT");
		add_id(client, request, client->id);
	}
}

const char *client_purpose(uint32_t purpose)
{
	return purpose ? "other" : "token";
}

static void choose_lease(struct client *client, struct request *request)
{
	struct client_host *host = client->host;
	client->expect = expect_lease;
	if (host->leased >= host->model->count || chance(host, 6) ||
		model_now(host->model, host->leased)->kind != MODEL_SESSION)
		host->leased = choose_id(host);
	client->id = host->leased;
	client->purpose = chance(host, 6);
	add_text(request, "SESSION.LEASE");
	add_id(client, request, client->id);
	add_text(request, client_purpose(client->purpose));
	add_number(request, "MS", (int64_t)(1 + below(host, chance(host, 3) ? 500 : 20000)));
	client->given_wait = !chance(host, 3);
	if (client->given_wait)
		add_number(request, "WAIT", (int64_t)below(host, chance(host, 3) ? 500 : 20000));
	if (chance(host, 2))
		choose_version(client, request, 1);
	request->asked.asker = &host->connections[below(host, CLIENT_CONNECTIONS)];
}

/* With a token that was given for it once, if any. */
static void choose_lease_end(struct client *client, struct request *request, bool commits)
{
	struct client_host *host = client->host;
	client->expect = commits ? expect_commit : expect_release;
	client->purpose = chance(host, 4);
	bool any = host->leased >= host->model->count || chance(host, 4);
	client->id = any ? choose_id(host) : host->leased;
	for (uint32_t i = 0; i < host->model->count && client->token[0] == '\0'; i++) {
		client->id = (client->id + (i > 0)) % host->model->count;
		const struct model_cell *cell = model_now(host->model, client->id);
		if (cell->kind != MODEL_SESSION)
			continue;
		const struct client_lease *lease =
			client_lease_of(host, cell->number, client->purpose);
		if (!lease->ended || chance(host, 20))
			memcpy(client->token, chance(host, 5) ? lease->before : lease->token,
				sizeof(client->token));
	}
	add_text(request, commits ? "SESSION.COMMIT" : "SESSION.RELEASE");
	add_id(client, request, client->id);
	add_text(request, client_purpose(client->purpose));
	add(request, arena_copy(&request->arena, slice_text(client->token)));
	if (!commits)
		return;
	choose_data(client, true);
	add_data(client, request);
}

static void choose(struct client *client, struct request *request)
{
	uint64_t choice = below(client->host, 100);
	bool has_room = client->host->model->count < client->host->ids_max;
	if (choice < 14) {
		choose_create(client, request);
	} else if (choice < 26) {
		choose_set(client, request);
	} else if (choice < 35) {
		choose_update(client, request);
	} else if (choice < 50) {
		choose_get(client, request);
	} else if (choice < 60) {
		choose_small(client, request);
	} else if (choice < 63) {
		client->expect = expect_exists;
		choose_ids(client, request, "SESSION.EXISTS");
	} else if (choice < 70) {
		client->expect = expect_del;
		client->shown = chance(client->host, 4);
		choose_ids(client, request, "SESSION.DEL");
	} else if (choice < 77 && has_room) {
		choose_rotate(client, request);
	} else if (choice < 81) {
		choose_user_command(client, request, false);
	} else if (choice < 84) {
		choose_user_command(client, request, true);
	} else if (choice < 94) {
		choose_lease(client, request);
	} else if (choice < 99) {
		choose_lease_end(client, request, choice < 98);
	} else {
		client->expect = expect_count;
		add_text(request, "SESSION.COUNT");
	}
}

/* --- running ---------------------------------------------------------------------------------- */

static void compare(struct client *client, struct turn *turn)
{
	const struct buffer *got = &turn->request->reply;
	const struct request *request = turn->request;
	client->host->answers++;
	if (client->expected.size == got->size &&
		memcmp(client->expected.data, got->data, got->size) == 0)
		return;
	wrong("%s %.*s: answered %.*s, the model %.*s", request->asked.command->name,
		request->asked.argument_count > 1 ? (int)request->asked.arguments[1].size : 0,
		request->asked.argument_count > 1 ? request->asked.arguments[1].data : "",
		(int)(got->size > 400 ? 400 : got->size), got->data,
		(int)(client->expected.size > 400 ? 400 : client->expected.size),
		client->expected.data);
}

static void note_holder(struct client *client, struct turn *turn);

static void run_and_compare(struct turn *turn)
{
	struct request *request = turn->request;
	struct client *client = request->environment;
	note_holder(client, turn);
	client->wrote = false;
	client->lsn = gate_appended(client->host->engine->gate) + 1;
	client->real->run(turn);
	client->expected.size = 0;
	if (turn->continue_at != TURN_NOWHERE) {
		if (request->turn.changes.count > 0)
			wrong("%s goes on elsewhere and has written", request->asked.command->name);
		if (client->real->route != ROUTE_WALK)
			return;
	}
	client->expect(client, turn);
	if (turn->continue_at == TURN_NOWHERE && !request->turn.parked &&
		client->real->route != ROUTE_WALK)
		compare(client, turn);
	if (client->wrote != (request->turn.changes.count > 0 && !request->turn.failed))
		wrong("%s wrote %u changes, the model says %s", request->asked.command->name,
			request->turn.changes.count, client->wrote ? "some" : "none");
	if (client->wrote && client->lsn > client->depends)
		client->depends = client->lsn;
	if (client->wrote && !turn->may_write && !(client->real->flags & COMMAND_WRITE))
		wrong("%s writes though nothing may be written", request->asked.command->name);
}

/* Whether the token that is about to be used is the holder's, before it is. */
static void note_holder(struct client *client, struct turn *turn)
{
	client->held_before = false;
	if (client->expect != expect_commit && client->expect != expect_release)
		return;
	struct model_found found = model_open(client->host->model, client->id, turn->now_ms);
	if (found.state != FOUND_LIVE)
		return;
	uint32_t number = model_now(client->host->model, found.id)->number;
	const struct client_lease *lease = client_lease_of(client->host, number, client->purpose);
	struct lease_table *table = leases_table(leases_in(client->host->engine), turn->shard);
	client->held_before = lease->serial &&
		lease_holds(table, slice_of(&lease->serial, sizeof(lease->serial)),
			slice_text(client_purpose(client->purpose)), slice_text(client->token),
			leases_clock_ms(leases_in(client->host->engine)));
	if (client->held_before &&
		(strcmp(client->token, lease->token) != 0 || lease->ended ||
			lease->until_ms <= turn->now_ms))
		wrong("a token is the holder's that was followed by another, or has ended");
}

void client_choose(struct client_host *host, struct request *request)
{
	struct client *client = arena_alloc(&request->arena, sizeof(*client));
	struct command *wrapped = arena_alloc(&request->arena, sizeof(*wrapped));
	memset(client, 0, sizeof(*client));
	client->host = host;
	buffer_init(&client->expected);
	request->asked.arguments = arena_alloc(&request->arena, 24 * sizeof(struct slice));
	choose(client, request);
	client->real = command_find(request->asked.arguments, request->asked.argument_count);
	*wrapped = *client->real;
	wrapped->run = run_and_compare;
	request->asked.command = wrapped;
	request->environment = client;
	request->asked.protocol = 2;
}

void client_end(struct request *request)
{
	struct client *client = request->environment;
	if (client == NULL)
		return;
	buffer_fini(&client->expected);
	request->environment = NULL;
}

/* --- the rest --------------------------------------------------------------------------------- */

void client_host_restart(struct client_host *host)
{
	for (uint32_t i = 0; i < CLIENT_CONNECTIONS; i++)
		host->connections[i].id = i + 1;
	for (uint32_t i = 0; i < host->lease_count; i++)
		for (uint32_t purpose = 0; purpose < MODEL_PURPOSES; purpose++)
			host->leases[i][purpose].ended = true;
}

void client_host_fini(struct client_host *host)
{
	memory_free(host->leases);
	host->leases = NULL;
	host->lease_count = 0;
}

void client_gone(struct client_host *host, uint64_t connection)
{
	for (uint32_t i = 0; i < host->lease_count; i++)
		for (uint32_t purpose = 0; purpose < MODEL_PURPOSES; purpose++)
			if (host->leases[i][purpose].holder == connection)
				host->leases[i][purpose].forgotten = true;
}

void client_check_gone(struct client_host *host)
{
	int64_t now_ms = leases_clock_ms(leases_in(host->engine));
	for (uint32_t i = 0; i < host->lease_count; i++) {
		for (uint32_t purpose = 0; purpose < MODEL_PURPOSES; purpose++) {
			const struct client_lease *lease = &host->leases[i][purpose];
			if (lease->forgotten && !lease->ended &&
				lease_holds(leases_table(leases_in(host->engine), lease->shard),
					slice_of(&lease->serial, sizeof(lease->serial)),
					slice_text(client_purpose(purpose)),
					slice_text(lease->token), now_ms))
				wrong("a lease is held by a connection that has gone");
		}
	}
}

/* An ended session leaves a trace as long as a deleted one. */
static void note_end(struct client_host *host, struct turn *turn, const struct effect *effect,
	uint32_t id, uint64_t lsn)
{
	struct model_cell next = *model_now(host->model, id);
	struct session_record record;
	int64_t known_ms = next.end_ms + host->model->tombstone_ms;
	bool stays = next.kind == MODEL_SESSION && known_ms > turn->now_ms;
	if (stays != (effect->kind == EFFECT_PUT))
		wrong("an end leaves %s", stays ? "nothing" : "something");
	if (stays &&
		(!session_record_decode(effect->value, &record) ||
			record.kind != SESSION_FORMAT_KIND_ENDED || effect->expire_ms != known_ms))
		wrong("the engine's own turn writes a session");
	next.by_absolute = model_ends_by_absolute(&next);
	next.kind = stays ? MODEL_ENDED : MODEL_NONE;
	next.stands_ms = known_ms;
	next.version = 0;
	next.user = 0;
	next.lsn = lsn;
	*model_push(host->model, id, lsn) = next;
}

void client_note_expired(struct client_host *host, struct turn *turn)
{
	uint64_t lsn = gate_appended(host->engine->gate) + 1;
	const struct changes *changes = &turn->changes;
	for (uint32_t i = 0; i < changes->count; i++) {
		const struct effect *effect = &changes->effects[i];
		struct session_name name;
		uint64_t hash;
		if (!key_parse_session(effect->key, &hash, &name))
			continue;
		uint32_t id = model_find_name(host->model, &name);
		if (id == MODEL_NO_ID)
			wrong("the engine's own turn writes an id that nobody knows");
		const struct model_cell *cell = model_now(host->model, id);
		if (cell->kind == MODEL_NONE || cell->form != name.form)
			wrong("the engine ends something that is not there");
		int64_t over_ms = cell->kind == MODEL_SESSION ? cell->end_ms : cell->stands_ms;
		if (over_ms > turn->now_ms)
			wrong("%.*s ends %lld ms before its time",
				(int)host->model->ids[id].text.size, host->model->ids[id].text.data,
				(long long)(over_ms - turn->now_ms));
		note_end(host, turn, effect, id, lsn);
	}
}
