/*
 * command: what a command is. The table of all of them is src/command/table.c: one line each, from
 * which look-up, arity, routing, COMMAND, COMMAND DOCS and the README's list come.
 */
#ifndef REQUEST_COMMAND_H
#define REQUEST_COMMAND_H

#include "base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct connection;
struct request;
struct turn;
struct writer;

/* Where a command runs. */
enum command_route {
	ROUTE_LOCAL, /* on the connection's loop, at once, in order */
	ROUTE_KEYS,  /* one turn that has the shards of all its keys */
	ROUTE_ANY,   /* a turn on whatever shard is near, and from there as the handler says */
	ROUTE_WALK,  /* turns on shard after shard, from 0 on, as far as the handler goes on */
	ROUTE_ALL,   /* one turn that has all shards */
	ROUTE_GROUP, /* no handler of its own: a container of subcommands */
};

enum command_flag {
	COMMAND_WRITE = 1 << 0, /* may change data: refused when the disk is full */
	COMMAND_READONLY = 1 << 1,
	COMMAND_FAST = 1 << 2,
	COMMAND_ADMIN = 1 << 3,
	COMMAND_NO_AUTH = 1 << 4, /* allowed before AUTH */
	COMMAND_LOADING = 1 << 5,
	COMMAND_STALE = 1 << 6,
	COMMAND_DENYOOM = 1 << 7,
	COMMAND_NOSCRIPT = 1 << 8,
	COMMAND_PUBSUB = 1 << 9,
	/* Not told to clients, from here on: */
	COMMAND_SUBSCRIBED = 1 << 10, /* allowed to a RESP2 connection that has subscriptions */
	COMMAND_IN_ORDER = 1 << 11,   /* ROUTE_LOCAL: waits for the replies before its own */
	COMMAND_SECRET = 1 << 12,     /* its arguments are nobody's to read in logs */
	COMMAND_HANDLES = 1 << 13,    /* its keys may be handles of sessions */
	COMMAND_RELAXED = 1 << 14,    /* its reply waits for no disk */
	COMMAND_LEASES = 1 << 15,     /* it may be given a lease, or wait for one */
	COMMAND_SHRINKS = 1 << 16,    /* a write that makes data fewer, now or later */
	COMMAND_CALLS = 1 << 17,      /* its turns' state is a call of an object: object/call.h */
};

typedef void (*command_turn_fn)(struct turn *turn);
typedef void (*command_local_fn)(struct connection *connection, struct request *request);

struct command {
	const char *name; /* lower case; a subcommand is "container|name" */
	int8_t arity;     /* arguments, name (and subcommand) included; negative: at least */
	uint8_t route;    /* enum command_route */
	uint32_t flags;   /* enum command_flag */
	int8_t key_first; /* index of the first key; 0: none */
	int8_t key_last;  /* of the last; negative counts from the end */
	int8_t key_step;
	command_turn_fn run;    /* all but ROUTE_LOCAL */
	command_local_fn local; /* ROUTE_LOCAL */
	const char *group;      /* string, generic, connection, server, ... as in COMMAND DOCS */
	const char *since;      /* the Redis version that had it first, or Holdfast's */
	const char *syntax;     /* arguments, as in the documentation */
	const char *summary;
};

#define COMMAND_USAGE_BYTES 512

/* The name in upper case, with a blank before a subcommand, and the arguments: "GET key". */
void command_usage(const struct command *command, char *out, size_t out_size);

/* Looks a command up by its name, and by name and first argument for containers. NULL when unknown.
 * Installed once at the start by the table's owner, so that net need not know the table. */
struct command_set {
	const struct command *commands;
	uint32_t count;
	const struct command *(*find)(const struct slice *arguments, uint32_t count);
	/* The error for arguments that `find` knows no command for. */
	void (*write_unknown)(struct writer *writer, const struct slice *arguments, uint32_t count);
	/* The error for a command with too few or too many arguments. */
	void (*write_arity)(struct writer *writer, const struct command *command);
};

/* `count` is the number of arguments, the command's name included. */
static inline bool command_arity_ok(const struct command *command, uint32_t count)
{
	int32_t arity = command->arity;
	return arity >= 0 ? count == (uint32_t)arity : count >= (uint32_t)-arity;
}

#endif
