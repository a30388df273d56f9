/*
 * environment: what server commands look at: the parts of the running server, put together by
 * server/. Handlers get it as request->environment.
 */
#ifndef ADMIN_ENVIRONMENT_H
#define ADMIN_ENVIRONMENT_H

#include "admin/latency.h"
#include "admin/meter.h"
#include "admin/slowlog.h"
#include "base/allowance.h"
#include "base/clock.h"
#include "config/config.h"
#include "engine/checkpoint.h"
#include "engine/engine.h"
#include "net/net.h"
#include "object/object_loop.h"

struct environment {
	/* set by environment_init */
	struct config *config;
	struct clock *clock;
	struct slowlog *slowlog;
	struct latency *latency;
	struct meter *meter;
	int64_t started_ms;    /* wall clock */
	size_t startup_memory; /* in use when it was made */
	struct allowance allowance;
	char run_id[41]; /* 40 hex digits, new at each start */
	char executable[1024];

	/* set by server/ before the first request */
	struct engine *engine;
	struct net *net;
	struct class_registry *classes;
	struct origin_loop **origins;      /* by worker; NULL before they are made */
	struct lease_loop *lease_loop;     /* NULL before it is made */
	struct object_loop **object_loops; /* by worker; NULL before they are made */
	struct rooms *rooms;               /* of server/rooms.h: what the families keep */
	const struct command_set *commands;
	struct engine_recovery recovery;
	void (*shutdown)(struct environment *environment); /* any thread: as SIGTERM */
};

/* Clears it and makes what server commands keep for themselves. `config` and `clock` are borrowed
 * for its life. */
void environment_init(struct environment *environment, struct config *config, struct clock *clock);
void environment_fini(struct environment *environment);

#endif
