/*
 * client: who is at the other end of a connection: what it has told us of itself, and what others
 * may be told of it (CLIENT LIST).
 *
 * Threads: its loop's, but for what is marked shared.
 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include "base/slice.h"
#include "net/subscriptions.h"
#include "request/invocation.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CLIENT_NAME_BYTES_MAX    255
#define CLIENT_ADDRESS_BYTES_MAX 79

struct command;

enum client_reply { CLIENT_REPLY_ON, CLIENT_REPLY_OFF, CLIENT_REPLY_SKIP_NEXT };

/* Why the server ends a client's connection, apart from errors of its socket. */
enum client_kill {
	CLIENT_STAYS,
	CLIENT_KILLED,     /* somebody wished it */
	CLIENT_OVER_LIMIT, /* messages unread, over client-output-limit */
	CLIENT_SHED,       /* it holds most, and all together more than output-memory */
	CLIENT_STUCK,      /* it has taken nothing for client-output-timeout */
};

struct client {
	/* its loop's */
	bool authenticated;
	uint8_t db;
	uint8_t protocol; /* version of RESP */
	enum client_reply reply_mode;
	bool no_evict;
	bool no_touch;

	/* shared: read by any thread under the net's clients lock; texts are written under it */
	pthread_mutex_t *lock; /* that one */
	struct asker asker;
	int fd; /* as CLIENT LIST shows it */
	char address[CLIENT_ADDRESS_BYTES_MAX + 1];
	char local_address[CLIENT_ADDRESS_BYTES_MAX + 1];
	int64_t created_ms;
	char name[CLIENT_NAME_BYTES_MAX + 1];
	char library_name[CLIENT_NAME_BYTES_MAX + 1];
	char library_version[CLIENT_NAME_BYTES_MAX + 1];
	_Atomic int64_t active_ms; /* wall clock of the last command */
	_Atomic(const struct command *) last_command;
	_Atomic uint64_t shared_output_bytes;
	_Atomic uint64_t shared_input_bytes;
	_Atomic uint8_t shared_db;
	_Atomic uint8_t shared_protocol;
	_Atomic uint32_t shared_subscriptions[SUBSCRIPTION_KINDS]; /* how many it has */
	_Atomic uint8_t kill; /* enum client_kill: its loop will end the connection */
};

/* One that has told nothing yet; the addresses are copied. */
void client_init(struct client *client, uint64_t id, pthread_mutex_t *lock, int64_t now_ms);
void client_set_addresses(struct client *client, const char *address, const char *local_address);
void client_set_db(struct client *client, uint8_t db);
void client_set_protocol(struct client *client, uint8_t protocol);
/* Sets one of its texts under the clients lock; longer texts are cut. */
void client_set_text(struct client *client, char *field, struct slice text);

#endif
