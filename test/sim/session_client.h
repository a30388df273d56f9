/*
 * session_client: clients of the simulated server: random commands of SESSION.*, and what each must
 * have answered and written by the model. A command's real handler runs; within the same turn the
 * model is asked.
 */
#ifndef TEST_SIM_SESSION_CLIENT_H
#define TEST_SIM_SESSION_CLIENT_H

#include "base/hash.h"
#include "base/random.h"
#include "request/turn.h"
#include "session/sessions.h"
#include "sim/session_model.h"
#include "sim/world.h"

#define CLIENT_CONNECTIONS 4
#define CLIENT_FIXED_IDS   14

/* A lease by session and purpose, as told to clients. */
struct client_lease {
	char token[LEASE_TOKEN_BYTES + 1]; /* empty: none was given */
	char before[LEASE_TOKEN_BYTES + 1];
	uint64_t holder;
	uint64_t serial; /* of the session, as stored */
	int64_t until_ms;
	bool ended;
	bool forgotten; /* its connection has gone */
	uint16_t shard;
	uint32_t commits;
};

struct client_host {
	struct random *random;
	struct model *model;
	struct engine *engine;
	struct sessions *sessions;
	struct asker connections[CLIENT_CONNECTIONS];
	struct client_lease (*leases)[MODEL_PURPOSES]; /* by the session's number */
	uint32_t lease_count;
	uint32_t ids_max;   /* no new ones beyond */
	uint32_t leased;    /* the id whose lease many want */
	uint32_t favourite; /* the id that much happens to, as it goes on to others */
	uint64_t answers;
	uint64_t granted;
	uint64_t promoted;
	uint64_t filled;
};

/* Of one request; its environment. */
struct client {
	struct client_host *host;
	const struct command *real;
	void (*expect)(struct client *client, struct turn *turn);
	uint64_t depends; /* highest record that the reply tells of */
	struct buffer expected;
	bool wrote;
	uint64_t lsn; /* of what the turn writes */

	/* what was asked */
	uint32_t id;
	uint32_t ids[3];
	uint32_t id_count;
	bool shown; /* by handle where there is one */
	uint32_t user;
	struct model_data data;
	int64_t ttl_ms;
	int64_t absolute_ms;
	int64_t grace_ms;
	uint64_t version;
	uint32_t per_user;
	uint32_t purpose;
	uint32_t number; /* of the session whose lease it waits for */
	uint32_t commits;
	char token[LEASE_TOKEN_BYTES + 1];
	bool given_id, given_data, given_ttl, given_absolute, given_user, given_version, given_nx,
		given_xx, given_deep, given_notouch, given_only_data, given_reject, given_maxper,
		given_except, given_wait;
	bool waited;
	bool held_before; /* COMMIT, RELEASE: the token was the holder's */
};

void client_host_restart(struct client_host *host);
void client_host_fini(struct client_host *host);
void client_choose(struct client_host *host, struct request *request);
void client_end(struct request *request);
/* The connection has gone. */
void client_gone(struct client_host *host, uint64_t connection);
/* When that has reached all shards: none of its leases is held. */
void client_check_gone(struct client_host *host);
/* What the engine's own turns have removed is noted: only what was over may go. */
void client_note_expired(struct client_host *host, struct turn *turn);

const char *client_purpose(uint32_t purpose);

/* session_expect.c */
struct client_lease *client_lease_of(struct client_host *host, uint32_t number, uint32_t purpose);
void expect_create(struct client *client, struct turn *turn);
void expect_set(struct client *client, struct turn *turn);
void expect_update(struct client *client, struct turn *turn);
void expect_get(struct client *client, struct turn *turn);
void expect_field(struct client *client, struct turn *turn);
void expect_touch(struct client *client, struct turn *turn);
void expect_ttl(struct client *client, struct turn *turn);
void expect_exists(struct client *client, struct turn *turn);
void expect_del(struct client *client, struct turn *turn);
void expect_rotate(struct client *client, struct turn *turn);
void expect_list(struct client *client, struct turn *turn);
void expect_deluser(struct client *client, struct turn *turn);
void expect_lease(struct client *client, struct turn *turn);
void expect_commit(struct client *client, struct turn *turn);
void expect_release(struct client *client, struct turn *turn);
void expect_count(struct client *client, struct turn *turn);

#endif
