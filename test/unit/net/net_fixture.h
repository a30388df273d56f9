/*
 * net_fixture: loops, connections and an engine on one thread. Clients are the other ends of socket
 * pairs; loops run when the test says so and never wait; the log is stepped by the test, so what
 * the gate holds back can be looked at for as long as one likes.
 */
#ifndef NET_FIXTURE_H
#define NET_FIXTURE_H

#include "admin/environment.h"
#include "base/memory.h"
#include "command/command.h"
#include "holdfast/errors.h"
#include "net/net_private.h"
#include "support/engine_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARDS       4
#define ROUNDS_QUIET 6 /* of the loops: more than any way needs */
#define REPLY_BYTES  (256 * 1024)

struct fixture {
	struct engine_rig rig;
	struct environment environment;
	struct net *net;
	const struct command_set *commands;      /* NULL: the server's */
	char keys[SHARDS][ENGINE_RIG_KEY_BYTES]; /* one a shard */
	char received[REPLY_BYTES];
	uint32_t slow; /* commands that were over the slow log's limit */
};

static inline void configure(struct fixture *f, const char *name, const char *value)
{
	char option[64], text[256], program[] = "holdfast-server";
	snprintf(option, sizeof(option), "--%s", name);
	snprintf(text, sizeof(text), "%s", value);
	char *arguments[] = { program, option, text, NULL };
	enum config_action action;
	assert_int_equal(config_parse_arguments(&f->rig.config, 3, arguments, &action, f->rig.error,
				 sizeof(f->rig.error)),
		0);
}

static void count_slow(void *environment, const struct request *request)
{
	struct fixture *f =
		(struct fixture *)((char *)environment - offsetof(struct fixture, environment));
	assert_non_null(request->asked.arguments);
	f->slow++;
}

static inline void socket_path(const struct fixture *f, char *out, size_t size)
{
	snprintf(out, size, "%s/socket", f->rig.directory);
}

static inline int open_net(struct fixture *f)
{
	f->environment.engine = f->rig.engine;
	f->environment.commands = f->commands ? f->commands : command_table();
	struct net_options options = {
		.engine = f->rig.engine,
		.config = &f->rig.config,
		.commands = f->environment.commands,
		.environment = &f->environment,
		.slow = count_slow,
	};
	f->rig.error[0] = '\0';
	int result = net_open(&f->net, &options, f->rig.error, sizeof(f->rig.error));
	f->environment.net = f->net;
	return result;
}

static inline struct fixture *fixture_with_commands(
	const struct command_set *commands, uint16_t workers, uint16_t loops)
{
	struct fixture *f = memory_zeroed(sizeof(*f));
	f->commands = commands;
	char path[128];
	engine_rig_init(&f->rig, SHARDS);
	environment_init(&f->environment, &f->rig.config, &f->rig.clock);
	socket_path(f, path, sizeof(path));
	configure(f, "port", "0");
	configure(f, "unixsocket", path);
	engine_rig_start(&f->rig, workers, loops);
	for (uint16_t i = 0; i < SHARDS; i++)
		engine_rig_key(&f->rig, i, 0, f->keys[i]);
	assert_int_equal(open_net(f), 0);
	return f;
}

static inline struct fixture *fixture_new(uint16_t workers, uint16_t loops)
{
	return fixture_with_commands(NULL, workers, loops);
}

/* Every loop in turn, until nothing can be under way any more. */
static inline void run_loops(struct fixture *f)
{
	for (int round = 0; round < ROUNDS_QUIET; round++) {
		for (uint16_t i = 0; i < f->net->loop_count; i++)
			uv_run(&f->net->loops[i].uv, UV_RUN_NOWAIT);
	}
}

static inline void make_durable(struct fixture *f)
{
	gate_keeper_step(f->rig.engine->gate);
	while (gate_step(f->rig.engine->gate) > 0)
		;
	run_loops(f);
}

/* The timer of every loop that has one, whatever the time. */
static inline void tick_timers(struct fixture *f)
{
	for (uint16_t i = 0; i < f->net->loop_count; i++)
		f->net->loops[i].timer.timer_cb(&f->net->loops[i].timer);
	run_loops(f);
}

/* Stops as the server does, with the log still at work. */
static inline void stop_net(struct fixture *f)
{
	bool alive = true;
	net_stop(f->net);
	for (int round = 0; alive; round++) {
		alive = false;
		for (uint16_t i = 0; i < f->net->loop_count; i++)
			alive |= uv_run(&f->net->loops[i].uv, UV_RUN_NOWAIT) != 0;
		gate_keeper_step(f->rig.engine->gate);
		gate_step(f->rig.engine->gate);
		assert_true(round < 100000);
	}
	net_close(&f->net);
}

static inline void fixture_free(struct fixture *f)
{
	if (f->net)
		stop_net(f);
	environment_fini(&f->environment);
	engine_rig_fini(&f->rig);
	memory_free(f);
}

/* A client of that loop; its end of the socket, which the test closes. */
static inline int connect_client(struct fixture *f, uint16_t loop)
{
	int ends[2];
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	struct arrival *arrival = memory_zeroed(sizeof(*arrival));
	arrival->fd = ends[1];
	arrival->kind = STREAM_UNIX;
	snprintf(arrival->address, sizeof(arrival->address), "pair:%d", ends[0]);
	f->net->loops[loop].client_count++;
	loop_give_arrival(&f->net->loops[loop], arrival);
	run_loops(f);
	return ends[0];
}

/* Inline commands, as typed. */
static inline void say(struct fixture *f, int client, const char *text)
{
	assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	run_loops(f);
}

/* What has come for the client: "" for nothing, NULL when the server has closed. */
static inline const char *hear(struct fixture *f, int client)
{
	size_t size = 0;
	ssize_t got;
	run_loops(f);
	while ((got = recv(client, f->received + size, REPLY_BYTES - 1 - size, 0)) > 0) {
		size += (size_t)got;
		run_loops(f);
	}
	f->received[size] = '\0';
	return size == 0 && (got == 0 || errno == ECONNRESET) ? NULL : f->received;
}

#endif
