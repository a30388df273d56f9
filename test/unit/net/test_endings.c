/*
 * Ends of connections: what a client held, waited for or had under way when it went, and that
 * nobody trips over it. The last test lets clients die at every point of random conversations.
 */
#include "net_fixture.h"

#include "base/random.h"
#include "cache/cache.h"
#include "leases/lease_loop.h"
#include "leases/leases.h"
#include "session/sessions.h"

#include <signal.h>
#include <stdlib.h>

#define LOOPS         3
#define CLIENTS       12
#define TOKENS        8 /* remembered of a client */
#define CROWD         40
#define SEEDS         40
#define STEPS         600
#define SETTLE_ROUNDS 50

struct world {
	struct fixture *f; /* stands first: tests of one connection need no more */
	struct lease_loop *leases;
	struct sessions *sessions;
	struct cache *cache;
};

static struct world *world_new(uint16_t workers, uint16_t loops)
{
	struct world *world = memory_zeroed(sizeof(*world));
	struct fixture *f = world->f = fixture_new(workers, loops);
	struct engine *engine = f->rig.engine;
	world->leases = f->environment.lease_loop = lease_loop_new(engine);
	for (uint16_t i = 0; i < engine->worker_count; i++)
		lease_loop_open(world->leases, i, net_uv_loop(f->net, i));
	world->sessions = sessions_new(engine);
	world->cache = cache_new(engine);
	return world;
}

static void world_free(struct world *world)
{
	struct fixture *f = world->f;
	struct net *net = f->net;
	bool alive = true;
	net_stop(net);
	for (int round = 0; alive; round++) {
		alive = false;
		for (uint16_t i = 0; i < net->loop_count; i++)
			alive |= uv_run(&net->loops[i].uv, UV_RUN_NOWAIT) != 0;
		gate_keeper_step(f->rig.engine->gate);
		gate_step(f->rig.engine->gate);
		assert_true(round < 100000);
	}
	cache_free(&world->cache);
	sessions_free(&world->sessions);
	lease_loop_free(&world->leases);
	net_close(&f->net);
	fixture_free(f);
	memory_free(world);
}

static int three_workers(void **state)
{
	*state = world_new(LOOPS, LOOPS);
	return 0;
}

static int one_worker(void **state)
{
	*state = world_new(1, 1);
	return 0;
}

static int a_loop_apart(void **state)
{
	*state = world_new(1, 2);
	return 0;
}

static int tear_down(void **state)
{
	world_free(*state);
	return 0;
}

static struct lease_stats leases_of_all(const struct world *world)
{
	struct lease_stats sum = { 0 };
	for (uint16_t i = 0; i < SHARDS; i++) {
		const struct lease_stats *stats =
			lease_table_stats(leases_table(leases_in(world->f->rig.engine), i));
		sum.held += stats->held;
		sum.waiting += stats->waiting;
	}
	return sum;
}

static void say_about(
	struct world *world, int client, const char *format, int shard, const char *more)
{
	char text[512];
	snprintf(text, sizeof(text), format, world->f->keys[shard], more);
	say(world->f, client, text);
}

/* The token in the reply to one CACHE.SWR that leads. */
static const char *token_of(const char *reply)
{
	static char token[LEASE_TOKEN_BYTES + 1];
	const char *lead = strstr(reply, "lead\r\n");
	assert_non_null(lead);
	const char *at = strstr(lead, "$44\r\n");
	if (at == NULL)
		at = strchr(lead + 6, '$');
	while (at && strtol(at + 1, NULL, 10) != LEASE_TOKEN_BYTES)
		at = strchr(at + 1, '$');
	assert_non_null(at);
	memcpy(token, strchr(at, '\n') + 1, LEASE_TOKEN_BYTES);
	return token;
}

static const char *lead(struct world *world, int client, int shard)
{
	say_about(world, client, "CACHE.SWR %s%s\r\n", shard, "");
	return token_of(hear(world->f, client));
}

/* --- what a client held ----------------------------------------------------------------------- */

static void who_waits_for_two_leases_may_go_before_either_is_given(void **state)
{
	struct world *world = *state;
	struct fixture *f = world->f;
	char tokens[SHARDS][LEASE_TOKEN_BYTES + 1];
	int holder = connect_client(f, 0), waiter = connect_client(f, 0);
	for (int i = 0; i < SHARDS; i++)
		snprintf(tokens[i], sizeof(tokens[i]), "%s", lead(world, holder, i));
	for (int i = 0; i < SHARDS; i++)
		say_about(world, waiter, "CACHE.SWR %s WAIT 10000%s\r\n", i, "");
	assert_int_equal(leases_of_all(world).waiting, SHARDS);
	close(waiter);
	for (int i = 0; i < SHARDS; i++)
		say_about(world, holder, "CACHE.FAIL %s %s\r\n", i, tokens[i]);
	run_loops(f);
	assert_int_equal(leases_of_all(world).waiting, 0);
	assert_int_equal(leases_of_all(world).held, 0);
	close(holder);
}

static void a_lease_goes_on_to_the_next_when_its_holder_goes(void **state)
{
	struct world *world = *state;
	struct fixture *f = world->f;
	int holder = connect_client(f, 0), waiter = connect_client(f, 0);
	lead(world, holder, 1);
	say_about(world, waiter, "CACHE.SWR %s WAIT 10000%s\r\n", 1, "");
	close(holder);
	token_of(hear(f, waiter));
	close(waiter);
	run_loops(f);
	assert_int_equal(leases_of_all(world).held, 0);
}

static void reset_gives_up_leases_and_waits(void **state)
{
	struct world *world = *state;
	struct fixture *f = world->f;
	int holder = connect_client(f, 0), waiter = connect_client(f, 0);
	lead(world, holder, 0);
	say_about(world, waiter, "CACHE.SWR %s WAIT 10000%s\r\n", 0, "");
	say(f, waiter, "RESET\r\n");
	assert_non_null(strstr(hear(f, waiter), "busy"));
	assert_int_equal(leases_of_all(world).waiting, 0);
	say(f, holder, "RESET\r\n");
	assert_string_equal(hear(f, holder), "+RESET\r\n");
	assert_int_equal(leases_of_all(world).held, 0);
	lead(world, waiter, 0);
	close(holder);
	close(waiter);
}

/* --- what it waited for ----------------------------------------------------------------------- */

static void who_has_gone_waits_no_more_though_nobody_reads_its_socket(void **state)
{
	struct world *world = *state;
	struct fixture *f = world->f;
	f->rig.config.client_requests_max = CROWD;
	int holder = connect_client(f, 0), waiter = connect_client(f, 0);
	lead(world, holder, 2);
	for (int i = 0; i < 2 * CROWD; i++)
		say_about(world, waiter, "CACHE.SWR %s WAIT 10000%s\r\n", 2, "");
	assert_int_equal(leases_of_all(world).waiting, CROWD);
	close(waiter);
	tick_timers(f);
	assert_int_equal(leases_of_all(world).waiting, 0);
	assert_int_equal(leases_of_all(world).held, 1);
	assert_int_equal(f->net->loops[0].client_count, 1);
	close(holder);
}

static void who_sends_no_more_waits_no_more_and_gets_its_replies(void **state)
{
	struct world *world = *state;
	struct fixture *f = world->f;
	f->rig.config.client_requests_max = CROWD;
	int holder = connect_client(f, 0), waiter = connect_client(f, 0);
	lead(world, holder, 2);
	for (int i = 0; i < 2 * CROWD; i++)
		say_about(world, waiter, "CACHE.SWR %s WAIT 10000%s\r\n", 2, "");
	say(f, waiter, "PING\r\n");
	shutdown(waiter, SHUT_WR);
	for (int i = 0; i < 5; i++)
		tick_timers(f);
	assert_int_equal(leases_of_all(world).waiting, 0);
	const char *heard = hear(f, waiter);
	int busy = 0;
	for (const char *at = heard; (at = strstr(at, "busy")) != NULL; at++)
		busy++;
	assert_int_equal(busy, 2 * CROWD);
	assert_non_null(strstr(heard, "+PONG\r\n"));
	assert_null(hear(f, waiter));
	close(waiter);
	close(holder);
}

static void a_wait_that_is_on_its_way_when_its_client_goes_is_not_begun(void **state)
{
	struct world *world = *state;
	struct fixture *f = world->f;
	int holder = connect_client(f, 0), waiter = connect_client(f, 0);
	char text[256];
	for (int i = 0; i < SHARDS; i++)
		lead(world, holder, i);
	for (int i = 0; i < SHARDS; i++) {
		snprintf(text, sizeof(text), "CACHE.SWR %s WAIT 10000\r\n", f->keys[i]);
		assert_true(send(waiter, text, strlen(text), MSG_NOSIGNAL) > 0);
	}
	uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	close(waiter);
	uv_run(&f->net->loops[0].uv, UV_RUN_NOWAIT);
	run_loops(f);
	assert_int_equal(leases_of_all(world).waiting, 0);
	close(holder);
}

/* --- all of it, at random --------------------------------------------------------------------- */

struct player {
	int fd; /* 0: not connected */
	bool half_closed;
	char tokens[TOKENS][LEASE_TOKEN_BYTES + 1]; /* of whatever key */
	uint32_t token_count;
};

struct game {
	struct world *world;
	struct random random;
	struct player players[CLIENTS];
};

static uint32_t below(struct game *game, uint32_t bound)
{
	return (uint32_t)random_below(&game->random, bound);
}

/* A random word of what clients send. */
static void compose(struct game *game, struct player *player, char *out, size_t size)
{
	const struct fixture *f = game->world->f;
	int shard = (int)below(game, SHARDS), other = (int)below(game, SHARDS);
	const char *key = f->keys[shard];
	const char *token =
		player->token_count ? player->tokens[below(game, player->token_count)] : NULL;
	switch (below(game, 14)) {
	case 0:
	case 1:
	case 2:
		snprintf(out, size, "CACHE.SWR %s WAIT %u LEASE %u\r\n", key, below(game, 3000),
			1 + below(game, 5000));
		return;
	case 3:
		snprintf(out, size, "SESSION.LEASE %s p WAIT %u\r\n", key, below(game, 3000));
		return;
	case 4:
		snprintf(out, size, "SESSION.SET %s {}\r\n", key);
		return;
	case 5:
	case 6:
		if (token) {
			snprintf(out, size, "CACHE.%s %s %s %s\r\n",
				below(game, 2) ? "FILL" : "FAIL", key, token,
				below(game, 2) ? "v TTL 0" : "v");
			return;
		}
		/* fallthrough */
	case 7:
		snprintf(out, size, "CACHE.DEL %s %s\r\n", key, f->keys[other]);
		return;
	case 8:
		snprintf(out, size, "MSET %s 1 %s 2\r\n", key, f->keys[other]);
		return;
	case 9:
		snprintf(out, size, "MGET %s %s\r\n", key, f->keys[other]);
		return;
	case 10:
		snprintf(out, size, "%s c\r\n", below(game, 2) ? "SUBSCRIBE" : "UNSUBSCRIBE");
		return;
	case 11:
		snprintf(out, size, "PUBLISH c %s\r\n", key);
		return;
	case 12:
		snprintf(out, size, below(game, 2) ? "RESET\r\n" : "HELLO 3\r\n");
		return;
	default:
		snprintf(out, size, "SESSION.DELUSER u\r\nKEYS *\r\nSET %s 1\r\n", key);
		return;
	}
}

/* Remembers the tokens in what has come. */
static void listen_to(struct game *game, struct player *player)
{
	struct fixture *f = game->world->f;
	ssize_t got = recv(player->fd, f->received, REPLY_BYTES - 1, 0);
	if (got <= 0)
		return;
	f->received[got] = '\0';
	const char *at = f->received;
	while ((at = strchr(at, '$')) != NULL) {
		at++;
		if (strtol(at, NULL, 10) != LEASE_TOKEN_BYTES || strchr(at, '\n') == NULL ||
			strlen(strchr(at, '\n')) < LEASE_TOKEN_BYTES + 1)
			continue;
		memcpy(player->tokens[player->token_count % TOKENS], strchr(at, '\n') + 1,
			LEASE_TOKEN_BYTES);
		if (player->token_count < TOKENS)
			player->token_count++;
	}
}

static void hang_up(struct player *player)
{
	close(player->fd);
	memset(player, 0, sizeof(*player));
}

static void play(struct game *game, struct player *player)
{
	struct fixture *f = game->world->f;
	char text[512];
	if (player->fd == 0) {
		player->fd = connect_client(f, (uint16_t)below(game, f->net->loop_count));
		return;
	}
	for (uint32_t left = 1 + below(game, 8); left > 0 && !player->half_closed; left--) {
		compose(game, player, text, sizeof(text));
		size_t size = strlen(text);
		/* It may die within a word. */
		bool whole = below(game, 20) != 0;
		send(player->fd, text, whole ? size : below(game, (uint32_t)size), MSG_NOSIGNAL);
		if (!whole) {
			hang_up(player);
			return;
		}
	}
	uint32_t fate = below(game, 30);
	if (fate == 0) {
		hang_up(player);
	} else if (fate == 1) {
		shutdown(player->fd, SHUT_WR);
		player->half_closed = true;
	} else if (fate < 20) {
		listen_to(game, player);
	}
}

static void move(struct game *game)
{
	struct fixture *f = game->world->f;
	uint16_t loop = (uint16_t)below(game, f->net->loop_count);
	switch (below(game, 8)) {
	case 0:
		gate_keeper_step(f->rig.engine->gate);
		gate_step(f->rig.engine->gate);
		return;
	case 1:
		f->rig.now_ms += below(game, 500);
		f->net->loops[loop].timer.timer_cb(&f->net->loops[loop].timer);
		return;
	case 2: {
		struct connection *victim = f->net->loops[loop].clients;
		if (victim && below(game, 10) == 0)
			net_kill(victim, CLIENT_KILLED);
		return;
	}
	case 3:
		leases_run(leases_in(f->rig.engine),
			(uint16_t)below(game, f->rig.engine->worker_count));
		return;
	default:
		uv_run(&f->net->loops[loop].uv, UV_RUN_NOWAIT);
		return;
	}
}

/* Nothing is left of anybody. */
static void check_end(struct game *game)
{
	struct world *world = game->world;
	struct fixture *f = world->f;
	for (int i = 0; i < CLIENTS; i++)
		if (game->players[i].fd)
			hang_up(&game->players[i]);
	for (int i = 0; i < SETTLE_ROUNDS; i++) {
		make_durable(f);
		tick_timers(f);
	}
	assert_int_equal(leases_of_all(world).waiting, 0);
	assert_int_equal(leases_of_all(world).held, 0);
	assert_int_equal(f->net->input_bytes, 0);
	assert_int_equal(f->rig.engine->output_bytes, 0);
	for (uint16_t i = 0; i < f->net->loop_count; i++) {
		assert_int_equal(f->net->loops[i].client_count, 0);
		assert_null(f->net->loops[i].clients);
	}
}

static void run_game(uint64_t seed, uint16_t workers, uint16_t loops)
{
	struct game game = { .world = world_new(workers, loops) };
	random_seed(&game.random, seed);
	game.world->f->rig.config.client_requests_max = 1 + below(&game, 20);
	for (int step = 0; step < STEPS; step++) {
		if (below(&game, 3) == 0)
			play(&game, &game.players[below(&game, CLIENTS)]);
		else
			move(&game);
	}
	check_end(&game);
	world_free(game.world);
}

static void clients_may_die_at_every_point(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint16_t workers = 1 + (uint16_t)(seed % LOOPS);
		uint16_t loops = workers + (uint16_t)(seed % 2);
		print_message("# seed %llu: %u workers, %u loops\n", (unsigned long long)seed,
			workers, loops);
		run_game(seed, workers, loops);
	}
}

int main(void)
{
#define TEST(set_up, name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define EVERYWHERE(name)   TEST(one_worker, name), TEST(three_workers, name), TEST(a_loop_apart, name)
	const struct CMUnitTest tests[] = {
		EVERYWHERE(who_waits_for_two_leases_may_go_before_either_is_given),
		EVERYWHERE(a_lease_goes_on_to_the_next_when_its_holder_goes),
		EVERYWHERE(reset_gives_up_leases_and_waits),
		EVERYWHERE(who_has_gone_waits_no_more_though_nobody_reads_its_socket),
		EVERYWHERE(who_sends_no_more_waits_no_more_and_gets_its_replies),
		EVERYWHERE(a_wait_that_is_on_its_way_when_its_client_goes_is_not_begun),
		cmocka_unit_test(clients_may_die_at_every_point),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
