/*
 * Log-out against slow writers: random commands from several ports whose mailboxes are delivered in
 * random order, so that each step of each request meets all others. Once the reply to a DEL or
 * ROTATE of an id is there (and the grace over), no command that is sent after it may bring that id
 * back or see it.
 */
#include "session_fixture.h"

#include "base/random.h"

#define STEPS_USUAL   1000000
#define STEPS_LONG    10000000
#define STEPS_ROUND   10000
#define IN_FLIGHT_MAX 32
#define IDS_MAX       (2 * STEPS_ROUND)
#define SLOTS         12
#define GRACE_MS      1000

enum race_kind { RACE_SET, RACE_CREATE, RACE_UPDATE, RACE_GET, RACE_DEL, RACE_ROTATE, RACE_KINDS };

struct race_id {
	char text[SESSION_ID_BYTES + 1];
	bool graced; /* it was asked to work on for a while */
	bool gone;
	int64_t gone_ms; /* from then on, with certainty */
};

struct flight {
	struct engine_ticket *ticket;
	enum race_kind kind;
	uint32_t id;
	bool graced;
	bool was_gone; /* when it was sent */
};

struct race {
	struct world world;
	struct random random;
	struct race_id ids[IDS_MAX];
	uint32_t id_count;
	uint32_t slots[SLOTS]; /* ids that are in use */
	struct flight flights[IN_FLIGHT_MAX];
	uint32_t flight_count;
	uint64_t refused;
	uint64_t ended;
};

static uint64_t below(struct race *race, uint64_t bound)
{
	return random_below(&race->random, bound);
}

static uint32_t add_id(struct race *race, const char *text)
{
	assert_true(race->id_count < IDS_MAX);
	struct race_id *id = &race->ids[race->id_count];
	*id = (struct race_id){ 0 };
	snprintf(id->text, sizeof(id->text), "%s", text);
	return race->id_count++;
}

static void renew_slot(struct race *race, uint32_t slot)
{
	char text[16];
	snprintf(text, sizeof(text), "id%u", race->id_count);
	race->slots[slot] = add_id(race, text);
}

/* Every write of an id that is gone is refused, every read finds nothing. */
static void check_gone(struct race *race, const struct flight *flight)
{
	static const char *const expected[RACE_KINDS] = {
		[RACE_SET] = "-SESSIONGONE ",
		[RACE_CREATE] = "-SESSIONGONE ",
		[RACE_UPDATE] = "-SESSIONGONE ",
		[RACE_GET] = "$-1\r\n",
		[RACE_DEL] = ":0\r\n",
		[RACE_ROTATE] = "$-1\r\n",
	};
	const char *start = expected[flight->kind];
	if (strncmp(flight->ticket->reply, start, strlen(start)) != 0)
		fail_msg("kind %d of %s, which is gone, answers %s", flight->kind,
			race->ids[flight->id].text, flight->ticket->reply);
	race->refused++;
}

static void take_answer(struct race *race, const struct flight *flight)
{
	struct race_id *id = &race->ids[flight->id];
	const char *reply = flight->ticket->reply;
	if (flight->was_gone) {
		check_gone(race, flight);
		return;
	}
	bool deleted = flight->kind == RACE_DEL && strcmp(reply, ":1\r\n") == 0;
	bool rotated = flight->kind == RACE_ROTATE && reply[0] == '$' && reply[1] != '-';
	if (!deleted && !rotated)
		return;
	/* Of two that change it the first's grace counts, and who was first is not known. */
	int64_t grace_ms = rotated && id->graced ? GRACE_MS : 0;
	if (rotated) {
		char text[SESSION_ID_BYTES + 1];
		snprintf(text, sizeof(text), "%s", strchr(reply, '\n') + 1);
		if (!id->gone) /* else another has changed it before, and this is the same */
			race->slots[below(race, SLOTS)] = add_id(race, text);
	}
	if (!id->gone || deleted)
		id->gone_ms = race->world.rig.now_ms + grace_ms;
	id->gone = true;
	race->ended++;
}

static void take_answers(struct race *race)
{
	for (uint32_t i = 0; i < race->flight_count;) {
		if (!race->flights[i].ticket->done) {
			i++;
			continue;
		}
		struct flight flight = race->flights[i];
		race->flights[i] = race->flights[--race->flight_count];
		take_answer(race, &flight);
	}
}

static struct engine_ticket *send_kind(
	struct race *race, uint16_t port, const struct flight *flight)
{
	struct engine_rig *rig = &race->world.rig;
	const char *id = race->ids[flight->id].text;
	switch (flight->kind) {
	case RACE_SET:
		return rig_send(rig, port, "session.set", id, "{\"n\":1}", "user",
			below(race, 2) ? "ann" : "bob");
	case RACE_CREATE:
		return rig_send(rig, port, "session.create", "id", id);
	case RACE_UPDATE:
		return rig_send(rig, port, "session.update", id, "{\"n\":2}");
	case RACE_GET:
		return rig_send(rig, port, "session.get", id);
	case RACE_DEL:
		return rig_send(rig, port, "session.del", id);
	default:
		return flight->graced ? rig_send(rig, port, "session.rotate", id, "grace", "1")
				      : rig_send(rig, port, "session.rotate", id);
	}
}

static void send(struct race *race)
{
	static const uint8_t kinds[] = { RACE_SET, RACE_SET, RACE_SET, RACE_CREATE, RACE_UPDATE,
		RACE_UPDATE, RACE_GET, RACE_GET, RACE_DEL, RACE_ROTATE };
	if (race->flight_count == IN_FLIGHT_MAX)
		return;
	uint32_t slot = (uint32_t)below(race, SLOTS);
	struct flight flight = { .kind = kinds[below(race, sizeof(kinds))] };
	if (race->ids[race->slots[slot]].gone && below(race, 4) == 0)
		renew_slot(race, slot);
	flight.id = race->slots[slot];
	if (below(race, 3) == 0) { /* one of lately */
		uint64_t back = below(race, 30);
		flight.id = back < race->id_count ? race->id_count - 1 - (uint32_t)back : 0;
	}
	struct race_id *id = &race->ids[flight.id];
	flight.graced = flight.kind == RACE_ROTATE && below(race, 2);
	id->graced |= flight.graced;
	flight.was_gone = id->gone && race->world.rig.now_ms >= id->gone_ms;
	uint16_t port = (uint16_t)below(race, race->world.workers);
	flight.ticket = send_kind(race, port, &flight);
	race->flights[race->flight_count++] = flight;
}

static void one_step(struct race *race)
{
	struct engine_rig *rig = &race->world.rig;
	uint64_t choice = below(race, 100);
	if (choice < 50)
		send(race);
	else if (choice < 92)
		engine_deliver(rig->engine, (uint16_t)below(race, race->world.workers));
	else if (choice < 94)
		engine_expire(rig->engine, (uint16_t)below(race, race->world.workers));
	else if (choice < 96)
		gate_step(rig->engine->gate);
	else if (choice < 97)
		gate_keeper_step(rig->engine->gate);
	else if (choice < 98)
		checkpoint_step(rig->engine->checkpoint);
	else
		pass(&race->world, (int64_t)below(race, 400));
	take_answers(race);
}

static void run_round(uint64_t seed, uint64_t *refused, uint64_t *ended)
{
	static struct race race;
	memset(&race, 0, sizeof(race));
	random_seed(&race.random, seed);
	uint16_t workers = (uint16_t)(2 + seed % 3);
	make_world(&race.world, workers * (uint16_t)(1 + seed % 2), workers);
	race.world.rig.config.session_hashing = seed % 5 == 0;
	race.world.rig.config.checkpoint_interval_s = 1;
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		renew_slot(&race, slot);
	for (uint32_t i = 0; i < STEPS_ROUND; i++)
		one_step(&race);
	settle(&race.world);
	take_answers(&race);
	assert_int_equal(race.flight_count, 0);
	struct tally found = tally(&race.world);
	assert_int_equal(found.sessions, found.counted);
	*refused += race.refused;
	*ended += race.ended;
	end_world(&race.world);
}

static void no_id_that_is_gone_comes_back(void **state)
{
	uint64_t refused = 0, ended = 0;
	uint64_t steps = getenv("HOLDFAST_LONG") ? STEPS_LONG : STEPS_USUAL;
	for (uint64_t seed = 1; seed <= steps / STEPS_ROUND; seed++)
		run_round(seed, &refused, &ended);
	/* It has been tried. */
	assert_true(ended > steps / 100);
	assert_true(refused > steps / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_id_that_is_gone_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
