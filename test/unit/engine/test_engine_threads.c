/*
 * The engine with all its threads, as the server runs it but without sockets: two workers and a
 * loop that owns no shard, the log's thread, the keeper and the checkpoint, on the kernel's disk.
 * Each port's thread sends commands and checks their answers as they come home; afterwards the
 * data must be the same when it is opened again. Worth most under the thread sanitizer.
 */
#include "base/memory.h"
#include "base/random.h"
#include "support/engine_rig.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS    6
#define WORKERS   2
#define PORTS     3
#define COMMANDS  2500 /* of each port */
#define IN_FLIGHT 30

struct party {
	struct engine_rig rig; /* stands first */
	char keys[SHARDS][ENGINE_RIG_KEY_BYTES];
	_Atomic uint32_t counted;  /* INCRs sent */
	_Atomic uint32_t wrong;    /* answers */
	_Atomic uint32_t finished; /* ports whose commands have all come home */
};

struct guest {
	struct party *party;
	uint16_t port;
	pthread_t thread;
};

/* Pairs of keys are always written with one value. */
static void check_answer(struct engine_ticket *ticket)
{
	struct party *party = (struct party *)ticket->rig;
	size_t half = (ticket->reply_size - 4) / 2;
	if (ticket->failed)
		party->wrong++;
	else if (strncmp(ticket->reply, "*2\r\n", 4) == 0 &&
		memcmp(ticket->reply + 4, ticket->reply + 4 + half, half) != 0)
		party->wrong++;
}

static struct engine_ticket *send_random(struct party *party, uint16_t port, struct random *random)
{
	struct engine_rig *rig = &party->rig;
	uint64_t pair = random_below(random, SHARDS / 2);
	const char *one = party->keys[pair], *two = party->keys[SHARDS - 1 - pair];
	char value[24];
	snprintf(value, sizeof(value), "%llu", (unsigned long long)random_next(random));
	switch (random_below(random, 6)) {
	case 0:
	case 1:
		return rig_send(rig, port, "MSET", one, value, two, value);
	case 2:
	case 3:
		return rig_send(rig, port, "MGET", two, one);
	case 4:
		party->counted++;
		return rig_send(rig, port, "INCR", "counter");
	default:
		if (random_below(random, 20) == 0)
			checkpoint_request(rig->engine->checkpoint);
		return rig_send(rig, port, "DBSIZE");
	}
}

static void *serve(void *context)
{
	struct guest *guest = context;
	struct party *party = guest->party;
	struct engine *engine = party->rig.engine;
	struct engine_ticket *flying[IN_FLIGHT] = { NULL };
	struct random random;
	uint32_t sent = 0, home = 0;
	random_seed(&random, guest->port + 1u);
	while (home < COMMANDS) {
		for (size_t i = 0; i < IN_FLIGHT; i++) {
			if (flying[i] && flying[i]->done) {
				flying[i] = NULL;
				home++;
			}
			if (flying[i] == NULL && sent < COMMANDS) {
				flying[i] = send_random(party, guest->port, &random);
				sent++;
			}
		}
		gate_kick(engine->gate);
		if (engine_deliver(engine, guest->port) == 0)
			sched_yield();
		if (sent % 64 == 0)
			engine_expire(engine, guest->port);
	}
	/* Others may still have business with this port's shards. */
	party->finished++;
	while (party->finished < PORTS) {
		if (engine_deliver(engine, guest->port) == 0)
			sched_yield();
	}
	return NULL;
}

static struct party *open_party(void)
{
	struct party *party = memory_zeroed(sizeof(*party));
	engine_rig_init(&party->rig, SHARDS);
	party->rig.system_disk = true;
	party->rig.on_done = check_answer;
	engine_rig_start(&party->rig, WORKERS, PORTS);
	for (uint16_t i = 0; i < SHARDS; i++)
		engine_rig_key(&party->rig, i, 0, party->keys[i]);
	return party;
}

static void all_threads_together_lose_nothing_and_tear_nothing(void **state)
{
	struct party *party = open_party();
	struct engine_rig *rig = &party->rig;
	struct guest guests[PORTS];
	gate_start(rig->engine->gate);
	checkpoint_start(rig->engine->checkpoint);
	for (uint16_t i = 0; i < PORTS; i++) {
		guests[i] = (struct guest){ .party = party, .port = i };
		assert_int_equal(pthread_create(&guests[i].thread, NULL, serve, &guests[i]), 0);
	}
	for (uint16_t i = 0; i < PORTS; i++)
		pthread_join(guests[i].thread, NULL);
	checkpoint_stop(rig->engine->checkpoint);
	checkpoint_finish(rig->engine->checkpoint);
	gate_stop(rig->engine->gate);
	assert_int_equal(party->wrong, 0);
	assert_int_equal(gate_durable(rig->engine->gate), gate_appended(rig->engine->gate));
	struct checkpoint_stats stats;
	checkpoint_stats(rig->engine->checkpoint, &stats);
	assert_true(stats.completed > 0);

	engine_rig_close(rig);
	engine_rig_start(rig, 1, 1);
	assert_int_equal(rig->recovery.log.records, 0);
	assert_int_equal(atoi(strchr(rig_run(rig, 0, "GET", "counter"), '\n') + 1), party->counted);
	for (uint16_t i = 0; i < SHARDS / 2; i++)
		rig_run(rig, 0, "MGET", party->keys[i], party->keys[SHARDS - 1 - i]);
	assert_int_equal(party->wrong, 0);
	engine_rig_fini(rig);
	memory_free(party);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_threads_together_lose_nothing_and_tear_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
