/*
 * engine: the shards, the log behind the gate, the tree, and the ways between them: everything that
 * has state, without threads or sockets. The server runs it on its workers; a simulation steps it
 * on one thread.
 *
 * A port is a thread's door to the engine: its mailbox and what to do with finished requests. Ports
 * 0 to workers-1 are the workers (and loops without shards); the last one is the checkpoint's.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/clock.h"
#include "base/disk.h"
#include "config/config.h"
#include "gate/gate_wait.h"
#include "request/mailbox.h"
#include "store/store.h"

struct checkpoint;
struct room;
struct shard;
struct turn;

#define ENGINE_ROOMS_MAX 12

struct port {
	struct mailbox mailbox;
	void (*done)(void *context, struct request *request); /* owns the request from then on */
	void *context;
	/* own thread's */
	struct request_list moving; /* to be moved on here, in the order they were given */
	struct request_list home;   /* back here, and not yet handed to `done` */
	struct request_list
		held_back;         /* walks that write, while the log or the overlays are behind */
	struct shard *ready_first; /* shards with requests waiting that may run */
	struct shard *ready_last;
	bool running; /* within shard_run: whatever it calls may give it more to do */
	struct request_pool pool;
	int64_t now_ms;          /* wall clock of this tick: what its turns go by */
	uint64_t stamp_ns;       /* monotonic, when the last turn ended or the tick began */
	uint64_t burst_ns;       /* of turns and commands since its owner set it to 0 */
	uint64_t burst_ns_max;   /* then no turn begins until that happens again; 0: no bound */
	bool in_turn;            /* a handler is running */
	struct pace pace;        /* of its turns' records on their way to the disk */
	struct gate_waits waits; /* whatever waits at the gate here, but for clients' replies */
	uint16_t any_next;       /* the shard that ROUTE_ANY gets next */
	void *kept[ENGINE_ROOMS_MAX]; /* by room, what it keeps on this thread; NULL: nothing */
};

/* Where the events of turns go. Set before the first turn by whoever has subscribers (net/); an
 * engine without any leaves it empty. */
struct engine_events {
	/* On the thread of `port`, after the commit. Nobody may be shown the message before `lsn`
	 * is released. The slices are valid during the call. */
	void (*publish)(void *context, uint16_t port, struct slice channel, struct slice message,
		uint64_t lsn);
	void *context;
	_Atomic uint64_t subscriptions; /* 0: nobody listens, and turns keep no events */
};

/* A request that has gathered fewer bytes is never refused for what all have. */
#define ENGINE_GATHERED_LEAST_BYTES ((size_t)1 << 20)
/* A reply, or replies of one client together, of fewer bytes are not counted in output_bytes. */
#define ENGINE_REPLY_COUNTED_BYTES (64 * 1024)

struct engine {
	const struct config *config;
	struct clock *clock;
	struct tree *tree;
	struct log *log;
	struct gate *gate;
	struct checkpoint *checkpoint;
	struct shard *shards;
	struct store **stores;                      /* by shard */
	const struct room *rooms[ENGINE_ROOMS_MAX]; /* see room.h */
	void *kept[ENGINE_ROOMS_MAX];               /* by room, for all threads; NULL: nothing */
	uint16_t room_count;
	uint16_t (*handle_slot)(struct slice key); /* for COMMAND_HANDLES; NULL: as any key */
	uint16_t shard_count;
	struct port *ports;
	uint16_t port_count;   /* the checkpoint's included */
	uint16_t worker_count; /* ports that own shards: shard s belongs to port s % worker_count */
	struct engine_events events;
	_Atomic uint64_t overlay_bytes; /* of all shards and generations */
	_Atomic uint64_t tree_room;     /* bytes by which the tree may grow; by the checkpoint */
	_Atomic bool tree_full;
	_Atomic uint64_t output_bytes;   /* of clients' replies, large ones, from their turns until
					    they are sent */
	_Atomic uint64_t gathered_bytes; /* that clients' requests hold from turn to turn, beside
					    what came with them */
	_Atomic uint64_t expired_keys;   /* deleted because their time had come */
};

struct engine_options {
	struct config *config;
	struct clock *clock;
	struct disk *disk;
	const char *directory; /* exists; holds data.mdb and the folder log */
	uint16_t workers;      /* own shards */
	uint16_t loops;        /* ports for connections: >= workers */
	bool sync;             /* false only in tests */
	/* of new data, for simulations; NULL: random */
	const struct hash_secret *secret_if_new;
};

struct engine_recovery {
	struct log_recovery log;
	uint64_t elapsed_ms;
	bool created; /* the data directory was new */
};

/* Opens or creates the data, replays the log. 0, or negative errno and one line in `error`. */
int engine_open(struct engine **out, const struct engine_options *options,
	struct engine_recovery *recovery, char *error, size_t error_size);
/* Threads have ended. Does not checkpoint: what the log has will be replayed. */
void engine_close(struct engine **engine);

/* The port's thread begins something new (a read, a mailbox, a timer): reads the clocks, so that
 * the turns of one tick need not. engine_deliver and engine_expire do it themselves. */
void engine_tick(struct engine *engine, uint16_t self);
/* Gives a request (REQUEST_NET, command, arguments, db, protocol, home set) to the engine. It comes
 * back through ports[home].done: possibly before this returns, unless the caller was itself called
 * by the engine. `self` is the calling port.
 *
 * Nothing re-enters: what is submitted or resumed from within a turn, `parked`, `told` or `done` is
 * noted, and moves on when that has returned. */
void engine_submit(struct engine *engine, uint16_t self, struct request **request);
/* A parked request runs again. On the port that parked it. */
void engine_resume(struct engine *engine, uint16_t self, struct request **request);
/* Handles everything in the port's mailbox. Returns how many requests it handled. */
size_t engine_deliver(struct engine *engine, uint16_t self);
/* What the server itself asks of its shards: how all of its own requests are made. */
struct question {
	const struct command *command;
	const struct slice *words; /* its arguments, the name first; copied. NULL: it has none */
	uint32_t word_count;
	bool routed;       /* it goes where the command's route and keys say */
	uint16_t shard;    /* otherwise: the one on which it runs */
	void *state;       /* the handler's, turn->state */
	void *environment; /* the asker's: request->environment */
	void *context;     /* the asker's: request->told_context */
	/* It is home, with its reply, on the port that asked; not within a turn. Afterwards it goes
	 * back to the port's pool, unless it was taken. NULL: nobody is told. */
	void (*told)(struct request **request);
};
/* On the thread of the port `self`: a request to be given to engine_submit. */
struct request *engine_question(
	struct engine *engine, uint16_t self, const struct question *question);
/* The same and engine_submit. */
void engine_ask(struct engine *engine, uint16_t self, const struct question *question);
/* Deletes what has fallen due in the port's shards, in bounded steps. */
void engine_expire(struct engine *engine, uint16_t self);

/* Whether a write may enter now: the log's admission and the limits of overlays and tree in one. */
enum gate_admission engine_admission(const struct engine *engine);
/* The same, of a request that may write so many bytes at once. */
enum gate_admission engine_admission_of(const struct engine *engine, size_t bytes);
/* Looks at the tree's size: at the start, and after each checkpoint. */
void engine_see_tree(struct engine *engine);
/* Whether what the overlays hold may take all the room that the tree has. */
bool engine_tree_is_near(const struct engine *engine);

struct shard_stats {
	uint32_t queue; /* requests waiting */
	uint64_t turns;
	uint64_t hits; /* of reading commands */
	uint64_t misses;
};
void engine_shard_stats(const struct engine *engine, uint16_t shard, struct shard_stats *out);

#endif
