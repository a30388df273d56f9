/*
 * config: the parameters of a server. One table (parameters.c) says each parameter's name, unit,
 * range, default and text; from it come the parser, CONFIG GET/SET/REWRITE, the sample file and
 * --help.
 *
 * Threads: parsed by the main thread before others exist. Afterwards numbers that may change at run
 * time are read from any thread (relaxed atomics); texts that may change are read through
 * config_text_copy. Writers are serialised by a lock inside.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/buffer.h"
#include "base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum durability { DURABILITY_ALWAYS, DURABILITY_EVERYSEC };

/* Numbers and switches; the table in parameters.c points at these fields. */
struct config {
	/* net */
	_Atomic int64_t port; /* 0: no TCP */
	_Atomic int64_t tcp_backlog;
	_Atomic int64_t tcp_keepalive_s;
	_Atomic int64_t idle_timeout_s; /* `timeout`; 0: none */
	_Atomic int64_t clients_max;    /* `maxclients` */
	_Atomic int64_t protected_mode;
	_Atomic int64_t unixsocketperm;
	_Atomic int64_t client_output_bytes_max; /* `client-output-limit` */
	_Atomic int64_t client_output_timeout_s; /* `client-output-timeout` */
	_Atomic int64_t output_bytes_max;        /* `output-memory`: replies of all clients */
	_Atomic int64_t
		client_requests_max;     /* `client-requests-limit`: in flight, per connection */
	_Atomic int64_t input_bytes_max; /* `input-memory`: unfinished requests of all clients */
	_Atomic int64_t value_bytes_max; /* `max-value-size` */
	/* threads and shards */
	_Atomic int64_t workers; /* 0: chosen from the cores */
	_Atomic int64_t io_threads;
	_Atomic int64_t shards; /* of a new data directory */
	/* engine */
	_Atomic int64_t durability;        /* enum durability */
	_Atomic int64_t overlay_bytes_max; /* `overlay-memory`, both generations of all shards */
	_Atomic int64_t checkpoint_interval_s;
	_Atomic int64_t checkpoint_log_bytes; /* `checkpoint-log-size` */
	_Atomic int64_t log_segment_bytes;    /* `log-segment-size` */
	_Atomic int64_t map_bytes;            /* `map-size` */
	_Atomic int64_t queue_requests_max;   /* `shard-queue-limit` */
	/* objects */
	_Atomic int64_t class_memory_bytes; /* `class-memory`: of one worker's state of a class */
	_Atomic int64_t turn_instructions;  /* `turn-instructions`: of one turn of a class */
	_Atomic int64_t turn_time_ms;       /* `turn-time-limit` */
	_Atomic int64_t object_idle_s;      /* `object-idle-timeout`: then its memory is dropped */
	_Atomic int64_t object_queue_max;   /* `object-queue-limit`: calls waiting for one object */
	_Atomic int64_t alarm_concurrency;  /* `alarm-concurrency`: running at a time, a worker */
	_Atomic int64_t fetch_bytes_max;    /* `fetch-size-limit`: of one answer's body */
	_Atomic int64_t fetch_concurrency;  /* `fetch-concurrency`: at a time, a worker */
	/* sessions */
	_Atomic int64_t session_ttl_s;       /* `session-ttl`: unless a command says another */
	_Atomic int64_t session_absolute_s;  /* `session-absolute`; 0: none */
	_Atomic int64_t session_tombstone_s; /* `session-tombstone`; 0: none */
	_Atomic int64_t session_hashing;     /* `session-id-hashing` */
	_Atomic int64_t touch_percent;       /* `touch-granularity` */
	_Atomic int64_t touch_bytes_max;     /* `touch-memory`, of all shards */
	/* the cache */
	_Atomic int64_t cache_memory_bytes;       /* `cache-memory`: of the hot tier, all shards */
	_Atomic int64_t cache_disk_bytes;         /* `cache-disk`: of all entries, all shards */
	_Atomic int64_t cache_invalidation_bytes; /* `cache-invalidation-memory` */
	_Atomic int64_t cache_origin_stale_s;     /* `cache-origin-stale` */
	_Atomic int64_t cache_origin_error_s;     /* `cache-origin-stale-if-error` */
	/* watching */
	_Atomic int64_t loglevel; /* enum logline_level */
	_Atomic int64_t slowlog_us;
	_Atomic int64_t slowlog_max;
	_Atomic int64_t latency_tracking;     /* a switch */
	_Atomic int64_t latency_threshold_ms; /* `latency-monitor-threshold`; 0: off */

	struct config_texts *texts; /* the parameters that are texts, by config_text_* */
	char *file;                 /* absolute path of the configuration file; NULL: none */
};

/* What is "auto" is worked out for plenty of memory. */
void config_init(struct config *config);
void config_fini(struct config *config);

/* What the command line asked for besides parameters. */
enum config_action {
	CONFIG_RUN,
	CONFIG_HELP,
	CONFIG_VERSION,
	CONFIG_CHECK,
	CONFIG_SAMPLE,
	CONFIG_COMMANDS,
	CONFIG_TEST, /* the files behind --test */
};

/* `holdfast-server [file] [--name value ...]`. 0; or -EINVAL and one clear line in `error`, naming
 * the file and line or the option. */
int config_parse_arguments(struct config *config, int argc, char **argv, enum config_action *action,
	char *error, size_t error_size);
/* The words behind --test. */
char **config_test_files(int argc, char **argv, int *count);
/* One file in redis.conf syntax: `name value ...`, `#` comments, quotes as in Redis. */
int config_parse_file(struct config *config, const char *path, char *error, size_t error_size);

/* Works out anew what is "auto", now and when it is set later, for a process that may use so much
 * memory. */
void config_derive(struct config *config, uint64_t memory_bytes);
/* Appends `overlay-memory 128mb, ...`: what is "auto", with its value in force. Returns the sum of
 * all that could be, whoever chose it. */
uint64_t config_show_derived(struct config *config, struct buffer *out);

/* Texts: bind, unixsocket, dir, logfile, ... Copies at most size-1 bytes, terminated; returns the
 * full length. The password, which may hold zero bytes, is only compared. An unknown name is a
 * programmer's error. */
size_t config_text_copy(struct config *config, const char *name, char *out, size_t size);
bool config_text_is_empty(struct config *config, const char *name);
/* Compares in time that does not depend on where the texts differ (for requirepass). */
bool config_text_matches(struct config *config, const char *name, struct slice candidate);

/* The lines of a parameter that may be given several times (`env`, `schedule`), in order, each as
 * its words; they do not change after the start. Stops when `each` returns false. */
typedef bool (*config_line_fn)(void *context, const struct slice *words, size_t count);
void config_each_line(struct config *config, const char *name, config_line_fn each, void *context);

/* One run-time change; names are case-insensitive. 0, or -EINVAL / -EPERM (not changeable at run
 * time) / -ENOENT (unknown name) and in `error` the words behind Redis's `CONFIG SET failed` text.
 */
int config_set(struct config *config, struct slice name, struct slice value, char *error,
	size_t error_size);
/* What config_set would answer, changing nothing: for CONFIG SET of several, all or none. */
int config_check(struct config *config, struct slice name, struct slice value, char *error,
	size_t error_size);
/* Calls `found` for each parameter whose name matches the glob, in table order, those that are
 * Redis's only behind the others. */
typedef void (*config_found_fn)(void *context, const char *name, struct slice value);
void config_get(struct config *config, struct slice pattern, config_found_fn found, void *context);
/* What the files and the command line ask for that this server does not do, being Redis's, and what
 * holds in its place. */
typedef void (*config_note_fn)(void *context, const char *names, const char *holds);
void config_each_note(struct config *config, config_note_fn each, void *context);
/* Rewrites config->file keeping comments and order, changing or adding what differs from the
 * defaults; replaces the file atomically. 0 or negative errno (-ENOENT: started without a file). */
int config_rewrite(struct config *config);

/* The sample file (conf/holdfast.conf) and --help, both from the table. */
void config_write_sample(struct buffer *out);
void config_write_help(struct buffer *out);

#endif
