/*
 * session_expect: what each command of SESSION.* must do, by the model, in the words of README: the
 * reply is built here and compared, and what was written is known by the model from then on. Two
 * things are taken from the server and only judged: ids that it makes, and whether a use was
 * written.
 */
#include "sim/session_client.h"

#include "base/memory.h"
#include "base/number.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOUCH_BYTES_AMPLE (1 << 20) /* there is room for every use in memory */

/* --- words of a reply ------------------------------------------------------------------------- */

static void say(struct client *client, const char *text)
{
	buffer_append_text(&client->expected, text);
	buffer_append_text(&client->expected, "\r\n");
}

static void say_integer(struct client *client, int64_t number)
{
	buffer_format(&client->expected, ":%lld\r\n", (long long)number);
}

static void say_bulk(struct client *client, struct slice bytes)
{
	buffer_format(&client->expected, "$%zu\r\n", bytes.size);
	buffer_append(&client->expected, bytes.data, bytes.size);
	buffer_append_text(&client->expected, "\r\n");
}

static void say_named(struct client *client, const char *name, int64_t number)
{
	say_bulk(client, slice_text(name));
	say_integer(client, number);
}

static void say_data(struct client *client, const struct model_data *data)
{
	struct buffer text;
	buffer_init(&text);
	model_data_text(data, &text);
	say_bulk(client, buffer_slice(&text));
	buffer_fini(&text);
}

/* What the server has chosen is taken as it is. */
static void say_what_it_said(struct client *client, const struct turn *turn)
{
	client->expected.size = 0;
	buffer_append(&client->expected, turn->reply->data, turn->reply->size);
}

/* What a writer is told of an id whose session is no more. */
static void say_gone(struct client *client, const struct model_found *found)
{
	say(client,
		found->by_itself ? "-SESSIONGONE the session of this id has ended"
				 : "-SESSIONGONE the session of this id was deleted");
}

/* --- what is there ---------------------------------------------------------------------------- */

static void depend(struct client *client, uint64_t lsn)
{
	if (lsn > client->depends)
		client->depends = lsn;
}

static uint8_t form_of(const struct turn *turn)
{
	return turn->config->session_hashing ? SESSION_FORMAT_HASHED : SESSION_FORMAT_PLAIN;
}

static uint16_t shard_of(const struct client *client, uint32_t id)
{
	const struct client_host *host = client->host;
	return hash_shard_of(hash_slot(host->model->ids[id].text), host->engine->shard_count);
}

static struct model_found open_id(struct client *client, struct turn *turn, uint32_t id)
{
	struct model_found found = model_open(client->host->model, id, turn->now_ms);
	depend(client, found.lsn);
	if (found.by_old_id &&
		model_now(client->host->model, found.id)->form == SESSION_FORMAT_PLAIN)
		found.can_tell = true;
	return found;
}

/* By its handle, which only a hashed one has. */
static struct model_found open_shown(struct client *client, struct turn *turn, uint32_t id)
{
	const struct model_cell *cell = model_now(client->host->model, id);
	if (client->shown && (cell->kind == MODEL_NONE || cell->form != SESSION_FORMAT_HASHED))
		return (struct model_found){ .state = FOUND_ABSENT };
	struct model_found found = open_id(client, turn, id);
	if (client->shown && found.by_old_id)
		found.can_tell =
			model_now(client->host->model, found.id)->form == SESSION_FORMAT_PLAIN;
	return found;
}

static const struct effect *effect_of(
	const struct client *client, const struct turn *turn, uint32_t id, uint8_t form)
{
	struct session_name name = model_name(client->host->model, id, form);
	struct key key;
	key_of_session(&key, turn_secret(turn), &name);
	if (turn->changes.count == 0)
		return NULL;
	return changes_find(&turn->changes, shard_of(client, id), key_slice(&key));
}

static struct slice shown_of(struct client *client, struct turn *turn, uint32_t id)
{
	struct session_name name =
		model_name(client->host->model, id, model_now(client->host->model, id)->form);
	return session_name_shown(
		&name, hash_first_slot(shard_of(client, id), turn->shard_total), turn_arena(turn));
}

/* --- what is written -------------------------------------------------------------------------- */

static struct model_cell *write_cell(
	struct client *client, uint32_t id, const struct model_cell *next)
{
	struct model_cell *cell = model_push(client->host->model, id, client->lsn);
	*cell = *next;
	cell->lsn = client->lsn;
	client->wrote = true;
	return cell;
}

static void live_on(struct model_cell *cell, const struct turn *turn)
{
	int64_t slack_ms = cell->ttl_ms * turn->config->touch_percent / 100;
	cell->end_ms = turn->now_ms + cell->ttl_ms;
	cell->bound_ms = cell->end_ms + slack_ms;
	if (cell->absolute_ms && cell->bound_ms > cell->absolute_ms)
		cell->bound_ms = cell->absolute_ms;
	if (cell->absolute_ms && cell->end_ms > cell->absolute_ms)
		cell->end_ms = cell->absolute_ms;
	cell->written_ms = cell->end_ms;
	cell->guessed = cell->risked = false;
}

static void put(
	struct client *client, struct turn *turn, uint32_t id, const struct model_cell *next)
{
	live_on(write_cell(client, id, next), turn);
}

static void use(struct client *client, struct turn *turn, uint32_t id)
{
	struct model_cell *cell = model_top(client->host->model, id);
	bool written = effect_of(client, turn, id, cell->form) != NULL;
	int64_t end_ms = turn->now_ms + cell->ttl_ms;
	if (cell->absolute_ms && end_ms > cell->absolute_ms)
		end_ms = cell->absolute_ms;
	bool moves = cell->guessed ? end_ms != cell->end_ms : end_ms > cell->end_ms;
	bool must = end_ms > cell->bound_ms && turn->may_write;
	bool ample = turn->config->touch_bytes_max >= TOUCH_BYTES_AMPLE;
	if (written && (!moves || !turn->may_write || (!must && ample)))
		wrong("a use is written that moves the end from %lld to %lld with a bound of %lld",
			(long long)cell->end_ms, (long long)end_ms, (long long)cell->bound_ms);
	if (!written && moves && must)
		wrong("a use is not written that moves the end beyond its bound");
	if (written) {
		struct model_cell next = *cell;
		put(client, turn, id, &next);
	} else if (moves) {
		cell->end_ms = end_ms;
		cell->guessed = false;
		cell->risked = end_ms > cell->bound_ms;
	}
}

/* False: answered with an error. */
static bool choose_life(
	const struct client *client, const struct turn *turn, struct model_cell *cell, bool is_new)
{
	int64_t absolute_ms = client->given_absolute ? client->absolute_ms : 0;
	if (is_new && !client->given_absolute)
		absolute_ms = turn->config->session_absolute_s * 1000;
	if (client->given_ttl)
		cell->ttl_ms = client->ttl_ms;
	else if (is_new)
		cell->ttl_ms = turn->config->session_ttl_s * 1000;
	int64_t end_ms = cell->created_ms + absolute_ms;
	if (absolute_ms && (cell->absolute_ms == 0 || end_ms < cell->absolute_ms))
		cell->absolute_ms = end_ms;
	return cell->absolute_ms == 0 || cell->absolute_ms > turn->now_ms;
}

struct client_lease *client_lease_of(struct client_host *host, uint32_t number, uint32_t purpose)
{
	if (number >= host->lease_count) {
		uint32_t count = 2 * number + 64;
		host->leases = memory_resize(host->leases, count * sizeof(*host->leases));
		memset(host->leases + host->lease_count, 0,
			(count - host->lease_count) * sizeof(*host->leases));
		host->lease_count = count;
	}
	return &host->leases[number][purpose];
}

/* A lease that the turn ends. */
struct ending {
	uint16_t shard;
	uint32_t purpose;
	struct client_lease lease;
	const char *wrong;
};

static void check_over(struct turn *turn, void *context)
{
	const struct ending *ending = context;
	const struct client_lease *lease = &ending->lease;
	if (lease_holds(leases_table(leases_in(turn->engine), ending->shard),
		    slice_of(&lease->serial, sizeof(lease->serial)),
		    slice_text(client_purpose(ending->purpose)), slice_text(lease->token),
		    leases_clock_ms(leases_in(turn->engine))))
		wrong("%s", ending->wrong);
}

/* With the turn's commit it is over. */
static void expect_over(struct turn *turn, uint16_t shard, const struct client_lease *lease,
	uint32_t purpose, const char *text)
{
	struct ending *ending = arena_alloc(turn->arena, sizeof(*ending));
	*ending = (struct ending){ shard, purpose, *lease, text };
	turn_on_commit(turn, check_over, ending);
}

/* Of a session that is no more. */
static void end_leases(struct client *client, struct turn *turn, uint32_t id)
{
	struct client_host *host = client->host;
	uint32_t number = model_now(host->model, id)->number;
	uint16_t shard = shard_of(client, id);
	for (uint32_t purpose = 0; purpose < MODEL_PURPOSES; purpose++) {
		struct client_lease *lease = client_lease_of(host, number, purpose);
		lease->ended = true;
		expect_over(turn, shard, lease, purpose, "a lease outlives its session");
	}
}

static void make(struct client *client, struct turn *turn, uint32_t id)
{
	struct model *model = client->host->model;
	struct session_record record;
	struct model_cell next = {
		.kind = MODEL_SESSION,
		.form = form_of(turn),
		.user = client->given_user ? client->user : 0,
		.number = model->sessions++,
		.version = 1,
		.created_ms = turn->now_ms,
		.updated_ms = turn->now_ms,
		.data = client->data,
	};
	if (!choose_life(client, turn, &next, true))
		wrong("a new session may always live");
	put(client, turn, id, &next);
	const struct effect *effect = effect_of(client, turn, id, next.form);
	if (effect == NULL || effect->kind != EFFECT_PUT ||
		!session_record_decode(effect->value, &record) ||
		record.kind != SESSION_FORMAT_KIND_SESSION)
		wrong("%s: no new record of %.*s is written", turn->asked->command->name,
			(int)model->ids[id].text.size, model->ids[id].text.data);
	for (uint32_t purpose = 0; purpose < MODEL_PURPOSES; purpose++)
		*client_lease_of(client->host, next.number, purpose) =
			(struct client_lease){ .serial = record.serial, .ended = true };
}

static void delete_session(struct client *client, struct turn *turn, uint32_t id)
{
	struct model_cell next = *model_now(client->host->model, id);
	int64_t tombstone_ms = turn->config->session_tombstone_s * 1000;
	end_leases(client, turn, id);
	next.kind = tombstone_ms ? MODEL_DELETED : MODEL_NONE;
	next.stands_ms = turn->now_ms + tombstone_ms;
	next.version = 0;
	write_cell(client, id, &next);
}

/* --- commands --------------------------------------------------------------------------------- */

/* The id in a reply, which the server has made. */
static uint32_t adopt(struct client *client, struct turn *turn)
{
	struct slice reply = buffer_slice(&turn->request->reply);
	struct model *model = client->host->model;
	if (reply.size != 5 + SESSION_ID_BYTES + 2 || memcmp(reply.data, "$32\r\n", 5) != 0)
		wrong("%s: %.*s is no new id", turn->asked->command->name, (int)reply.size,
			reply.data);
	struct slice text = slice_of(reply.data + 5, SESSION_ID_BYTES);
	uint32_t before = model->count, id = model_id(model, text);
	if (id != before)
		wrong("an id is made twice");
	return id;
}

static uint32_t count_of_user(struct client *client, struct turn *turn)
{
	struct model *model = client->host->model;
	uint32_t count = 0;
	for (uint32_t i = 0; i < model->count; i++) {
		const struct model_cell *cell = model_now(model, i);
		if (cell->user != client->user || cell->kind == MODEL_NONE)
			continue;
		depend(client,
			cell->kind == MODEL_SESSION && cell->end_ms <= turn->now_ms ? 0
										    : cell->lsn);
		count += model_is_live(model, i, turn->now_ms);
	}
	return count;
}

/* Those that go to make room must be the oldest. */
static void end_oldest(struct client *client, struct turn *turn, uint32_t count)
{
	struct model *model = client->host->model;
	uint32_t gone = 0;
	int64_t youngest_gone_ms = 0, oldest_kept_ms = INT64_MAX;
	for (uint32_t i = 0; i < model->count; i++) {
		const struct model_cell *cell = model_now(model, i);
		if (cell->user != client->user || !model_is_live(model, i, turn->now_ms))
			continue;
		int64_t created_ms = cell->created_ms;
		if (effect_of(client, turn, i, cell->form)) {
			youngest_gone_ms =
				created_ms > youngest_gone_ms ? created_ms : youngest_gone_ms;
			gone++;
			delete_session(client, turn, i);
		} else if (created_ms < oldest_kept_ms) {
			oldest_kept_ms = created_ms;
		}
	}
	if (gone != count - client->per_user + 1 || youngest_gone_ms > oldest_kept_ms)
		wrong("MAXPER %u of %u: %u have gone, or not the oldest", client->per_user, count,
			gone);
}

void expect_create(struct client *client, struct turn *turn)
{
	if (client->given_id) {
		struct model_found found = open_id(client, turn, client->id);
		if (found.state == FOUND_LIVE)
			say(client, "-SESSIONEXISTS there is a session of this id");
		if (found.state == FOUND_GONE)
			say_gone(client, &found);
		if (found.state == FOUND_LIVE || found.state == FOUND_GONE)
			return;
	}
	uint32_t count = client->given_maxper ? count_of_user(client, turn) : 0;
	if (client->given_maxper && count >= client->per_user) {
		if (client->given_reject) {
			buffer_format(&client->expected,
				"-MAXSESSIONS the user has %u sessions\r\n", count);
			return;
		}
		end_oldest(client, turn, count);
	}
	uint32_t id = client->given_id ? client->id : adopt(client, turn);
	make(client, turn, id);
	say_bulk(client, client->host->model->ids[id].text);
}

/* False: answered with an error. */
static bool version_is(struct client *client, const struct model_cell *cell)
{
	uint64_t version = cell ? cell->version : 0;
	if (!client->given_version || client->version == version)
		return true;
	buffer_format(&client->expected, "-VERSION %llu is the session's version\r\n",
		(unsigned long long)version);
	return false;
}

static void change(struct client *client, struct turn *turn, uint32_t id, struct model_cell *next)
{
	if (!choose_life(client, turn, next, false)) {
		say(client, "-ERR ABSOLUTE counts from the session's creation and is over already");
		return;
	}
	next->version++;
	next->updated_ms = turn->now_ms;
	put(client, turn, id, next);
	say_integer(client, (int64_t)next->version);
}

void expect_set(struct client *client, struct turn *turn)
{
	struct model_found found = open_id(client, turn, client->id);
	bool live = found.state == FOUND_LIVE;
	struct model_cell next = *model_now(client->host->model, found.id);
	if (found.state == FOUND_GONE || (found.state == FOUND_ENDED && !client->given_nx)) {
		say_gone(client, &found);
	} else if (live ? client->given_nx : client->given_xx) {
		say(client, "$-1");
	} else if (!version_is(client, live ? &next : NULL)) {
		return;
	} else if (!live) {
		make(client, turn, client->id);
		say_integer(client, 1);
	} else {
		next.data = client->data;
		if (client->given_user)
			next.user = client->user;
		change(client, turn, found.id, &next);
	}
}

void expect_update(struct client *client, struct turn *turn)
{
	struct model_found found = open_id(client, turn, client->id);
	bool live = found.state == FOUND_LIVE;
	struct model_cell next = *model_now(client->host->model, found.id);
	if (found.state == FOUND_GONE || found.state == FOUND_ENDED) {
		say_gone(client, &found);
	} else if (!version_is(client, live ? &next : NULL)) {
		return;
	} else if (!live) {
		say(client, "$-1");
	} else {
		model_data_merge(&next.data, &client->data, client->given_deep);
		change(client, turn, found.id, &next);
	}
}

void expect_get(struct client *client, struct turn *turn)
{
	struct model *model = client->host->model;
	struct model_found found = open_id(client, turn, client->id);
	if (found.state != FOUND_LIVE) {
		say(client, "$-1");
		return;
	}
	if (!client->given_notouch)
		use(client, turn, found.id);
	const struct model_cell *cell = model_now(model, found.id);
	if (client->given_only_data) {
		say_data(client, &cell->data);
		return;
	}
	say(client, "*14");
	say_bulk(client, slice_text("id"));
	if (found.by_old_id && !found.can_tell)
		say_bulk(client, model->ids[client->id].text);
	else
		say_bulk(client, model->ids[found.id].text);
	say_bulk(client, slice_text("user"));
	if (cell->user)
		say_bulk(client, model_user(cell->user));
	else
		say(client, "$-1");
	say_named(client, "version", (int64_t)cell->version);
	say_named(client, "created", cell->created_ms);
	say_named(client, "updated", cell->updated_ms);
	say_named(client, "expires", cell->end_ms);
	say_bulk(client, slice_text("data"));
	say_data(client, &cell->data);
}

void expect_field(struct client *client, struct turn *turn)
{
	struct model_found found = open_id(client, turn, client->id);
	if (found.state == FOUND_LIVE) {
		use(client, turn, found.id);
		const struct model_data *data = &model_now(client->host->model, found.id)->data;
		for (uint8_t i = 0; i < data->count; i++) {
			if (data->names[i] != 0)
				continue;
			char text[16];
			snprintf(text, sizeof(text), "%d", data->values[i]);
			say_bulk(client, slice_text(text));
			return;
		}
	}
	say(client, "$-1");
}

void expect_touch(struct client *client, struct turn *turn)
{
	struct model_found found = open_id(client, turn, client->id);
	if (found.state == FOUND_LIVE) {
		struct model_cell next = *model_now(client->host->model, found.id);
		if (client->given_ttl && client->ttl_ms != next.ttl_ms) {
			next.ttl_ms = client->ttl_ms;
			put(client, turn, found.id, &next);
		} else {
			use(client, turn, found.id);
		}
	}
	say_integer(client, found.state == FOUND_LIVE);
}

void expect_ttl(struct client *client, struct turn *turn)
{
	struct model_found found = open_id(client, turn, client->id);
	int64_t left_ms = model_now(client->host->model, found.id)->end_ms - turn->now_ms;
	say_integer(client, found.state == FOUND_LIVE ? (left_ms + 999) / 1000 : -2);
}

void expect_exists(struct client *client, struct turn *turn)
{
	int64_t count = 0;
	for (uint32_t i = 0; i < client->id_count; i++)
		count += open_id(client, turn, client->ids[i]).state == FOUND_LIVE;
	say_integer(client, count);
}

void expect_del(struct client *client, struct turn *turn)
{
	int64_t count = 0;
	for (uint32_t i = 0; i < client->id_count; i++) {
		struct model_found found = open_shown(client, turn, client->ids[i]);
		if (found.state != FOUND_LIVE)
			continue;
		delete_session(client, turn, found.id);
		count++;
	}
	say_integer(client, count);
}

void expect_rotate(struct client *client, struct turn *turn)
{
	struct model *model = client->host->model;
	struct model_found found = open_shown(client, turn, client->id);
	if (found.state != FOUND_LIVE) {
		say(client, "$-1");
		return;
	}
	if (found.by_old_id) {
		if (found.can_tell)
			say_bulk(client, model->ids[found.id].text);
		else
			say(client, "-SESSIONGONE the session of this id was deleted");
		return;
	}
	uint32_t id = adopt(client, turn);
	struct model_cell next = *model_now(model, client->id);
	struct model_cell old = next;
	int64_t tombstone_ms = turn->config->session_tombstone_s * 1000;
	int64_t stands_ms = client->grace_ms > tombstone_ms ? client->grace_ms : tombstone_ms;
	next.form = form_of(turn);
	put(client, turn, id, &next);
	old.kind = stands_ms ? MODEL_ROTATED : MODEL_NONE;
	old.version = 0;
	old.user = 0;
	old.stands_ms = turn->now_ms + stands_ms;
	old.grace_ms = turn->now_ms + client->grace_ms;
	old.successor = id;
	old.successor_form = next.form;
	old.can_tell = next.form == SESSION_FORMAT_PLAIN || !client->shown;
	write_cell(client, client->id, &old);
	say_bulk(client, model->ids[id].text);
}

/* --- a user's --------------------------------------------------------------------------------- */

struct listed {
	struct slice shown;
	const struct model_cell *cell;
};

static int compare_listed(const void *a, const void *b)
{
	const struct listed *first = a, *second = b;
	if (first->cell->created_ms != second->cell->created_ms)
		return first->cell->created_ms < second->cell->created_ms ? -1 : 1;
	return slice_compare(first->shown, second->shown);
}

void expect_list(struct client *client, struct turn *turn)
{
	struct model *model = client->host->model;
	uint32_t count = 0;
	struct listed *listed = arena_alloc(turn_arena(turn), (model->count + 1) * sizeof(*listed));
	count_of_user(client, turn);
	for (uint32_t i = 0; i < model->count; i++)
		if (model_is_live(model, i, turn->now_ms) &&
			model_now(model, i)->user == client->user)
			listed[count++] =
				(struct listed){ shown_of(client, turn, i), model_now(model, i) };
	qsort(listed, count, sizeof(*listed), compare_listed);
	buffer_format(&client->expected, "*%u\r\n", count);
	for (uint32_t i = 0; i < count; i++) {
		say(client, "*10");
		say_bulk(client, slice_text("id"));
		say_bulk(client, listed[i].shown);
		say_named(client, "version", (int64_t)listed[i].cell->version);
		say_named(client, "created", listed[i].cell->created_ms);
		say_named(client, "updated", listed[i].cell->updated_ms);
		say_named(client, "expires", listed[i].cell->end_ms);
	}
}

void expect_deluser(struct client *client, struct turn *turn)
{
	struct model *model = client->host->model;
	struct model_found kept = { .state = FOUND_ABSENT };
	int64_t count = 0;
	if (client->given_except)
		kept = open_shown(client, turn, client->id);
	count_of_user(client, turn);
	for (uint32_t i = 0; i < model->count; i++) {
		if (model_now(model, i)->user != client->user ||
			!model_is_live(model, i, turn->now_ms))
			continue;
		if (kept.state == FOUND_LIVE && kept.id == i)
			continue;
		delete_session(client, turn, i);
		count++;
	}
	say_integer(client, count);
}

void expect_count(struct client *client, struct turn *turn)
{
	struct model *model = client->host->model;
	int64_t live = 0, standing = 0, got = 0;
	if (turn->continue_at != TURN_NOWHERE || client->host->engine->worker_count > 1)
		return;
	for (uint32_t i = 0; i < model->count; i++) {
		live += model_is_live(model, i, turn->now_ms);
		standing += model_now(model, i)->kind == MODEL_SESSION;
	}
	struct slice reply = buffer_slice(&turn->request->reply);
	if (!number_parse_i64(slice_of(reply.data + 1, reply.size - 3), &got) || got < live ||
		got > standing)
		wrong("SESSION.COUNT says %.*s, the model %lld to %lld", (int)reply.size,
			reply.data, (long long)live, (long long)standing);
}

/* --- leases ----------------------------------------------------------------------------------- */

static bool holds(const struct client *client, const struct turn *turn,
	const struct client_lease *lease, const char *token)
{
	return lease_holds(leases_table(leases_in(client->host->engine), turn->shard),
		slice_of(&lease->serial, sizeof(lease->serial)), turn->asked->arguments[2],
		slice_text(token), leases_clock_ms(leases_in(client->host->engine)));
}

static void grant(struct client *client, struct turn *turn, uint32_t number, const char *text)
{
	struct client_lease *lease = client_lease_of(client->host, number, client->purpose);
	char token[LEASE_TOKEN_BYTES + 1];
	long long size, ms;
	if (sscanf(text, "*2\r\n$%lld\r\n", &size) != 1 || size != LEASE_TOKEN_BYTES)
		wrong("SESSION.LEASE answers %s", text);
	const char *at = strchr(text, '$');
	at = strchr(at, '\n') + 1;
	memcpy(token, at, LEASE_TOKEN_BYTES);
	token[LEASE_TOKEN_BYTES] = '\0';
	if (sscanf(at + LEASE_TOKEN_BYTES, "\r\n:%lld\r\n", &ms) != 1 || ms < 1)
		wrong("SESSION.LEASE answers %s", text);
	if (lease->token[0] && strcmp(lease->token, token) == 0)
		wrong("a token is given twice");
	/* Who waited may be late: its lease may be over when it hears of it. */
	if (!holds(client, turn, lease, token)) {
		if (!client->waited)
			wrong("a token is given that holds nothing");
		return;
	}
	if (lease->token[0] && holds(client, turn, lease, lease->token))
		wrong("a lease has two holders");
	memcpy(lease->before, lease->token, sizeof(lease->before));
	memcpy(lease->token, token, sizeof(lease->token));
	lease->until_ms = turn->now_ms + ms;
	lease->shard = turn->shard;
	lease->ended = lease->forgotten = false;
	lease->holder = turn->asked->asker->id;
	client->host->granted++;
	client->host->promoted += client->waited;
}

/* Whoever waits is answered when the lease was committed, with what it brought; who has read
 * another version whenever it would be granted a lease, or told of one. */
static void fill(struct client *client, const struct model_cell *cell, bool outdated)
{
	const struct client_lease *lease =
		client_lease_of(client->host, cell->number, client->purpose);
	if (!outdated &&
		(!client->waited || client->number != cell->number ||
			lease->commits <= client->commits))
		wrong("SESSION.LEASE is filled though nothing was committed");
	say(client, "*3");
	say(client, "$-1");
	say_integer(client, 0);
	say_data(client, &cell->data);
	client->host->filled++;
}

void expect_lease(struct client *client, struct turn *turn)
{
	struct model_found found = open_id(client, turn, client->id);
	bool live = found.state == FOUND_LIVE;
	long long ms;
	if (live)
		use(client, turn, found.id);
	const struct model_cell *cell = model_now(client->host->model, found.id);
	bool outdated = client->given_version && client->version != cell->version;
	if (turn->parked) {
		if (!live || client->waited || !client->given_wait || outdated)
			wrong("SESSION.LEASE waits for nothing");
		client->waited = true;
		client->number = cell->number;
		client->commits =
			client_lease_of(client->host, cell->number, client->purpose)->commits;
		return;
	}
	if (!live || (client->waited && client->number != cell->number)) {
		say(client, "*-1");
		return;
	}
	char text[160];
	snprintf(text, sizeof(text), "%.*s", (int)turn->reply->size, turn->reply->data);
	if (strncmp(text, "*3", 2) == 0 || outdated) {
		fill(client, cell, outdated);
		return;
	}
	if (sscanf(text, "*2\r\n$-1\r\n:%lld\r\n", &ms) == 1) {
		if (ms < 1 || ms > 20000)
			wrong("a lease is held for %lld ms more", ms);
	} else {
		grant(client, turn, cell->number, text);
	}
	say_what_it_said(client, turn);
}

/* The id under which the leased session is; MODEL_NO_ID: answered. */
static uint32_t open_leased(struct client *client, struct turn *turn)
{
	struct model_found found = open_id(client, turn, client->id);
	if (found.state == FOUND_LIVE && client->held_before)
		return found.id;
	if (found.state == FOUND_GONE || found.state == FOUND_ENDED)
		say_gone(client, &found);
	else
		say(client,
			"-LEASELOST the token holds no lease: it has ended, or is of another "
			"session or purpose");
	return MODEL_NO_ID;
}

void expect_commit(struct client *client, struct turn *turn)
{
	uint32_t id = open_leased(client, turn);
	if (id == MODEL_NO_ID)
		return;
	struct model_cell next = *model_now(client->host->model, id);
	struct client_lease *lease = client_lease_of(client->host, next.number, client->purpose);
	model_data_merge(&next.data, &client->data, false);
	next.version++;
	next.updated_ms = turn->now_ms;
	put(client, turn, id, &next);
	say_integer(client, (int64_t)next.version);
	lease->ended = true;
	lease->commits++;
	expect_over(turn, turn->shard, lease, client->purpose, "a token holds after its commit");
}

void expect_release(struct client *client, struct turn *turn)
{
	uint32_t id = open_leased(client, turn);
	if (id == MODEL_NO_ID)
		return;
	uint32_t number = model_now(client->host->model, id)->number;
	struct client_lease *lease = client_lease_of(client->host, number, client->purpose);
	lease->ended = true;
	if (holds(client, turn, lease, client->token))
		wrong("a token holds after its release");
	say(client, "+OK");
}
