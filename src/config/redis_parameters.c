/*
 * redis_parameters: see redis_parameters.h. One row a parameter, with what Redis takes for it and
 * what holds here.
 *
 *   ACCEPTED   kept and shown as it was set, and changes nothing
 *   FIXED      a file may ask for what it likes; what holds is `initial`, and CONFIG SET takes that
 *              only
 *   ONLY       asks for something that is not there and would be missed: taken with `initial` only
 *   UP_TO      the same, but less is taken
 *   NEVER      a line that is no parameter, and asks for the like
 *
 * Values are judged as Redis judges them, roughly: a slip is a slip though the value means nothing.
 *
 * Threads: a lock covers the values.
 */
#include "config/redis_parameters.h"

#include "base/buffer.h"
#include "base/glob.h"
#include "base/memory.h"
#include "base/number.h"
#include "config/parameters.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#define CLIENT_CLASSES  3
#define CLASS_LIMITS    3
#define NOTES_BYTES_MAX 1000

enum form { TEXT, SWITCH, NUMBER, SIZE, SNAPSHOTS, OUTPUT_LIMITS };
enum rule { ACCEPTED, FIXED, ONLY, UP_TO, NEVER };

struct redis_parameter {
	const char *name;
	const char *alias; /* the name before Redis 7, or since */
	enum form form;
	enum rule rule;
	const char *initial; /* as CONFIG GET shows it */
	const char *holds;   /* what holds here, when it is worth a word */
};

static const char on_disk[] =
	"`durability` says when a write is on disk (always: before its reply); there are no snapshots";
static const char not_evicted[] =
	"keys, sessions and objects are never evicted; overlay-memory, cache-memory, cache-disk and "
	"their like bound what is used";
static const char foreground[] =
	"the server stays in the foreground, tells nobody when it is ready "
	"(systemd: Type=simple) and writes no file with its process's id";
static const char log_lines[] = "log lines go to `logfile`, or to standard output";
static const char slow_readers[] =
	"client-output-limit, client-output-timeout and output-memory bound what clients leave unread";
static const char one_node[] = "this server is one node, without replicas";
static const char no_tls[] = "there is no TLS here: put a proxy in front that ends it";
static const char no_cluster[] =
	"this server is one node, and clients connect to it without their cluster mode";
static const char no_events[] =
	"changes of keys are told to nobody; those of sessions are, on channels "
	"like session:expired";
static const char no_users[] = "there is one user, whose password is `requirepass`";

static const struct redis_parameter parameters_of_redis[] = {
	{ "save", NULL, SNAPSHOTS, FIXED, "", on_disk },
	{ "appendonly", NULL, SWITCH, FIXED, "yes", on_disk },
	{ "appendfilename", NULL, TEXT, ACCEPTED, "appendonly.aof", NULL },
	{ "appenddirname", NULL, TEXT, ACCEPTED, "appendonlydir", NULL },
	{ "dbfilename", NULL, TEXT, ACCEPTED, "dump.rdb", NULL },
	{ "rdbcompression", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "rdbchecksum", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "rdb-del-sync-files", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "rdb-save-incremental-fsync", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "sanitize-dump-payload", NULL, TEXT, ACCEPTED, "no", NULL },
	{ "stop-writes-on-bgsave-error", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "aof-load-truncated", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "aof-use-rdb-preamble", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "aof-timestamp-enabled", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "aof-disable-auto-gc", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "aof-rewrite-incremental-fsync", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "auto-aof-rewrite-percentage", NULL, NUMBER, ACCEPTED, "100", NULL },
	{ "auto-aof-rewrite-min-size", NULL, SIZE, ACCEPTED, "67108864", NULL },
	{ "no-appendfsync-on-rewrite", NULL, SWITCH, ACCEPTED, "no", NULL },

	{ "maxmemory", NULL, SIZE, FIXED, "0", not_evicted },
	{ "maxmemory-policy", NULL, TEXT, FIXED, "noeviction", not_evicted },
	{ "maxmemory-samples", NULL, NUMBER, ACCEPTED, "5", NULL },
	{ "maxmemory-clients", NULL, TEXT, ACCEPTED, "0", slow_readers },
	{ "maxmemory-eviction-tenacity", NULL, NUMBER, ACCEPTED, "10", NULL },
	{ "lfu-log-factor", NULL, NUMBER, ACCEPTED, "10", NULL },
	{ "lfu-decay-time", NULL, NUMBER, ACCEPTED, "1", NULL },
	{ "lazyfree-lazy-eviction", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "lazyfree-lazy-expire", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "lazyfree-lazy-server-del", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "lazyfree-lazy-user-del", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "lazyfree-lazy-user-flush", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "activerehashing", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "activedefrag", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "active-defrag-cycle-max", NULL, NUMBER, ACCEPTED, "25", NULL },
	{ "active-defrag-cycle-min", NULL, NUMBER, ACCEPTED, "1", NULL },
	{ "active-defrag-ignore-bytes", NULL, SIZE, ACCEPTED, "104857600", NULL },
	{ "active-defrag-max-scan-fields", NULL, NUMBER, ACCEPTED, "1000", NULL },
	{ "active-defrag-threshold-lower", NULL, NUMBER, ACCEPTED, "10", NULL },
	{ "active-defrag-threshold-upper", NULL, NUMBER, ACCEPTED, "100", NULL },
	{ "active-expire-effort", NULL, NUMBER, ACCEPTED, "1", NULL },

	{ "hz", NULL, NUMBER, ACCEPTED, "10", NULL },
	{ "dynamic-hz", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "client-output-buffer-limit", NULL, OUTPUT_LIMITS, ACCEPTED,
		"normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
		slow_readers },
	{ "client-query-buffer-limit", NULL, SIZE, ACCEPTED, "1073741824", NULL },
	{ "hash-max-listpack-entries", "hash-max-ziplist-entries", NUMBER, ACCEPTED, "512", NULL },
	{ "hash-max-listpack-value", "hash-max-ziplist-value", SIZE, ACCEPTED, "64", NULL },
	{ "list-max-listpack-size", "list-max-ziplist-size", NUMBER, ACCEPTED, "-2", NULL },
	{ "list-compress-depth", NULL, NUMBER, ACCEPTED, "0", NULL },
	{ "set-max-intset-entries", NULL, NUMBER, ACCEPTED, "512", NULL },
	{ "set-max-listpack-entries", NULL, NUMBER, ACCEPTED, "128", NULL },
	{ "set-max-listpack-value", NULL, SIZE, ACCEPTED, "64", NULL },
	{ "zset-max-listpack-entries", "zset-max-ziplist-entries", NUMBER, ACCEPTED, "128", NULL },
	{ "zset-max-listpack-value", "zset-max-ziplist-value", SIZE, ACCEPTED, "64", NULL },
	{ "hll-sparse-max-bytes", NULL, SIZE, ACCEPTED, "3000", NULL },
	{ "stream-node-max-bytes", NULL, SIZE, ACCEPTED, "4096", NULL },
	{ "stream-node-max-entries", NULL, NUMBER, ACCEPTED, "100", NULL },
	{ "busy-reply-threshold", "lua-time-limit", NUMBER, ACCEPTED, "5000", NULL },
	{ "tracking-table-max-keys", NULL, NUMBER, ACCEPTED, "1000000", NULL },
	{ "io-threads-do-reads", NULL, SWITCH, ACCEPTED, "no", NULL },

	{ "daemonize", NULL, SWITCH, FIXED, "no", foreground },
	{ "supervised", NULL, TEXT, FIXED, "no", foreground },
	{ "pidfile", NULL, TEXT, FIXED, "", foreground },
	{ "syslog-enabled", NULL, SWITCH, FIXED, "no", log_lines },
	{ "syslog-ident", NULL, TEXT, ACCEPTED, "redis", NULL },
	{ "syslog-facility", NULL, TEXT, ACCEPTED, "local0", NULL },
	{ "always-show-logo", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "set-proc-title", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "proc-title-template", NULL, TEXT, ACCEPTED, "{title} {listen-addr} {server-mode}",
		NULL },
	{ "locale-collate", NULL, TEXT, ACCEPTED, "", NULL },
	{ "oom-score-adj", NULL, TEXT, ACCEPTED, "no", NULL },
	{ "oom-score-adj-values", NULL, TEXT, ACCEPTED, "0 200 800", NULL },
	{ "disable-thp", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "jemalloc-bg-thread", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "server_cpulist", "server-cpulist", TEXT, ACCEPTED, "", NULL },
	{ "bio_cpulist", "bio-cpulist", TEXT, ACCEPTED, "", NULL },
	{ "aof_rewrite_cpulist", "aof-rewrite-cpulist", TEXT, ACCEPTED, "", NULL },
	{ "bgsave_cpulist", "bgsave-cpulist", TEXT, ACCEPTED, "", NULL },
	{ "crash-log-enabled", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "crash-memcheck-enabled", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "ignore-warnings", NULL, TEXT, ACCEPTED, "", NULL },
	{ "shutdown-timeout", NULL, NUMBER, ACCEPTED, "10", NULL },
	{ "shutdown-on-sigint", NULL, TEXT, ACCEPTED, "default", NULL },
	{ "shutdown-on-sigterm", NULL, TEXT, ACCEPTED, "default", NULL },
	{ "socket-mark-id", NULL, NUMBER, ACCEPTED, "0", NULL },
	{ "bind-source-addr", NULL, TEXT, ACCEPTED, "", NULL },
	{ "enable-protected-configs", NULL, TEXT, ACCEPTED, "no", NULL },
	{ "enable-debug-command", NULL, TEXT, ACCEPTED, "no", NULL },
	{ "enable-module-command", NULL, TEXT, ACCEPTED, "no", NULL },
	{ "propagation-error-behavior", NULL, TEXT, ACCEPTED, "ignore", NULL },
	{ "acllog-max-len", NULL, NUMBER, ACCEPTED, "128", NULL },
	{ "acl-pubsub-default", NULL, TEXT, ACCEPTED, "resetchannels", NULL },

	{ "databases", NULL, NUMBER, UP_TO, "16", "there are 16, from 0 to 15" },
	{ "notify-keyspace-events", NULL, TEXT, ONLY, "", no_events },

	{ "replicaof", "slaveof", TEXT, ONLY, "", one_node },
	{ "replica-read-only", "slave-read-only", SWITCH, FIXED, "yes", one_node },
	{ "min-replicas-to-write", "min-slaves-to-write", NUMBER, ONLY, "0", one_node },
	{ "min-replicas-max-lag", "min-slaves-max-lag", NUMBER, ACCEPTED, "10", NULL },
	{ "masterauth", NULL, TEXT, ACCEPTED, "", NULL },
	{ "masteruser", NULL, TEXT, ACCEPTED, "", NULL },
	{ "repl-backlog-size", NULL, SIZE, ACCEPTED, "1048576", NULL },
	{ "repl-backlog-ttl", NULL, NUMBER, ACCEPTED, "3600", NULL },
	{ "repl-disable-tcp-nodelay", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "repl-diskless-load", NULL, TEXT, ACCEPTED, "disabled", NULL },
	{ "repl-diskless-sync", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "repl-diskless-sync-delay", NULL, NUMBER, ACCEPTED, "5", NULL },
	{ "repl-diskless-sync-max-replicas", NULL, NUMBER, ACCEPTED, "0", NULL },
	{ "repl-ping-replica-period", "repl-ping-slave-period", NUMBER, ACCEPTED, "10", NULL },
	{ "repl-timeout", NULL, NUMBER, ACCEPTED, "60", NULL },
	{ "replica-announce-ip", "slave-announce-ip", TEXT, ACCEPTED, "", NULL },
	{ "replica-announce-port", "slave-announce-port", NUMBER, ACCEPTED, "0", NULL },
	{ "replica-announced", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "replica-ignore-disk-write-errors", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "replica-ignore-maxmemory", "slave-ignore-maxmemory", SWITCH, ACCEPTED, "yes", NULL },
	{ "replica-lazy-flush", "slave-lazy-flush", SWITCH, ACCEPTED, "no", NULL },
	{ "replica-priority", "slave-priority", NUMBER, ACCEPTED, "100", NULL },
	{ "replica-serve-stale-data", "slave-serve-stale-data", SWITCH, ACCEPTED, "yes", NULL },

	{ "cluster-enabled", NULL, SWITCH, ONLY, "no", no_cluster },
	{ "cluster-config-file", NULL, TEXT, ACCEPTED, "nodes.conf", NULL },
	{ "cluster-node-timeout", NULL, NUMBER, ACCEPTED, "15000", NULL },
	{ "cluster-port", NULL, NUMBER, ACCEPTED, "0", NULL },
	{ "cluster-replica-validity-factor", "cluster-slave-validity-factor", NUMBER, ACCEPTED,
		"10", NULL },
	{ "cluster-replica-no-failover", "cluster-slave-no-failover", SWITCH, ACCEPTED, "no",
		NULL },
	{ "cluster-migration-barrier", NULL, NUMBER, ACCEPTED, "1", NULL },
	{ "cluster-allow-replica-migration", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "cluster-require-full-coverage", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "cluster-allow-reads-when-down", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "cluster-allow-pubsubshard-when-down", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "cluster-link-sendbuf-limit", NULL, SIZE, ACCEPTED, "0", NULL },
	{ "cluster-preferred-endpoint-type", NULL, TEXT, ACCEPTED, "ip", NULL },
	{ "cluster-announce-ip", NULL, TEXT, ACCEPTED, "", NULL },
	{ "cluster-announce-hostname", NULL, TEXT, ACCEPTED, "", NULL },
	{ "cluster-announce-port", NULL, NUMBER, ACCEPTED, "0", NULL },
	{ "cluster-announce-tls-port", NULL, NUMBER, ACCEPTED, "0", NULL },
	{ "cluster-announce-bus-port", NULL, NUMBER, ACCEPTED, "0", NULL },

	{ "tls-port", NULL, NUMBER, ONLY, "0", no_tls },
	{ "tls-replication", NULL, SWITCH, ONLY, "no", no_tls },
	{ "tls-cluster", NULL, SWITCH, ONLY, "no", no_tls },
	{ "tls-cert-file", NULL, TEXT, ACCEPTED, "", NULL },
	{ "tls-key-file", NULL, TEXT, ACCEPTED, "", NULL },
	{ "tls-client-cert-file", NULL, TEXT, ACCEPTED, "", NULL },
	{ "tls-client-key-file", NULL, TEXT, ACCEPTED, "", NULL },
	{ "tls-ca-cert-file", NULL, TEXT, ACCEPTED, "", NULL },
	{ "tls-ca-cert-dir", NULL, TEXT, ACCEPTED, "", NULL },
	{ "tls-dh-params-file", NULL, TEXT, ACCEPTED, "", NULL },
	{ "tls-auth-clients", NULL, TEXT, ACCEPTED, "yes", NULL },
	{ "tls-protocols", NULL, TEXT, ACCEPTED, "", NULL },
	{ "tls-ciphers", NULL, TEXT, ACCEPTED, "", NULL },
	{ "tls-ciphersuites", NULL, TEXT, ACCEPTED, "", NULL },
	{ "tls-prefer-server-ciphers", NULL, SWITCH, ACCEPTED, "no", NULL },
	{ "tls-session-caching", NULL, SWITCH, ACCEPTED, "yes", NULL },
	{ "tls-session-cache-size", NULL, NUMBER, ACCEPTED, "20480", NULL },
	{ "tls-session-cache-timeout", NULL, NUMBER, ACCEPTED, "300", NULL },
	{ "aclfile", NULL, TEXT, ONLY, "", no_users },
	{ "user", NULL, TEXT, NEVER, "", no_users },
	{ "rename-command", NULL, TEXT, NEVER, "",
		"commands keep their names: keep strangers out by `bind` and `requirepass`" },
	{ "loadmodule", NULL, TEXT, NEVER, "", "there are no modules" },
};

#define ROWS (sizeof(parameters_of_redis) / sizeof(parameters_of_redis[0]))

struct redis_settings {
	pthread_mutex_t lock;
	char *values[ROWS]; /* NULL: the initial one */
	bool asked[ROWS];   /* a file or the command line wanted something else than what holds */
};

static const struct redis_parameter *find(struct slice name);
static int judge(const struct redis_parameter *row, struct slice value, const char *now,
	struct buffer *out, char *error, size_t error_size);
static bool would_be_missed(const struct redis_parameter *row, struct slice value);
static bool read_snapshots(struct slice value);
static bool read_output_limits(struct slice value, const char *now, struct buffer *out);
static size_t split(struct slice text, struct slice *words, size_t most);
static void keep(struct redis_settings *settings, size_t row, const struct buffer *value);
static int say_fixed(
	const struct redis_parameter *row, const char *also, char *error, size_t error_size);

struct redis_settings *redis_settings_new(void)
{
	struct redis_settings *settings = memory_zeroed(sizeof(*settings));
	pthread_mutex_init(&settings->lock, NULL);
	return settings;
}

void redis_settings_free(struct redis_settings **taken)
{
	struct redis_settings *settings = *taken;
	*taken = NULL;
	for (size_t i = 0; i < ROWS; i++)
		memory_free(settings->values[i]);
	pthread_mutex_destroy(&settings->lock);
	memory_free(settings);
}

bool redis_settings_take_text(struct slice name)
{
	const struct redis_parameter *row = find(name);
	return row && row->form == TEXT;
}

int redis_settings_put(struct redis_settings *settings, struct slice name,
	const struct slice *words, size_t count, char *error, size_t error_size)
{
	const struct redis_parameter *row = find(name);
	if (row == NULL)
		return -ENOENT;
	size_t index = (size_t)(row - parameters_of_redis);
	struct buffer value, read;
	buffer_init(&value);
	buffer_init(&read);
	for (size_t i = 0; i < count; i++) {
		if (i)
			buffer_append(&value, " ", 1);
		buffer_append(&value, words[i].data, words[i].size);
	}
	char reason[256];
	pthread_mutex_lock(&settings->lock);
	const char *now = settings->values[index] ? settings->values[index] : row->initial;
	int result = -EINVAL;
	if (row->rule == NEVER)
		snprintf(reason, sizeof(reason), "is not supported: %s", row->holds);
	else if (count == 0)
		snprintf(reason, sizeof(reason), "a value is missing");
	else
		result = judge(row, buffer_slice(&value), now, &read, reason, sizeof(reason));
	bool other = !slice_is(buffer_slice(&read), row->initial);
	if (result == 0 && would_be_missed(row, buffer_slice(&read)))
		result = say_fixed(
			row, row->rule == UP_TO ? " or less" : "", reason, sizeof(reason));
	if (result == 0 && row->rule == ACCEPTED)
		keep(settings, index, &read);
	settings->asked[index] = result == 0 && other;
	pthread_mutex_unlock(&settings->lock);
	if (result < 0)
		snprintf(error, error_size, "%s: %s", row->name, reason);
	buffer_fini(&value);
	buffer_fini(&read);
	return result;
}

int redis_settings_set(struct redis_settings *settings, struct slice name, struct slice value,
	bool check, char *error, size_t error_size)
{
	const struct redis_parameter *row = find(name);
	if (row == NULL || row->rule == NEVER)
		return -ENOENT;
	size_t index = (size_t)(row - parameters_of_redis);
	struct buffer read;
	buffer_init(&read);
	pthread_mutex_lock(&settings->lock);
	const char *now = settings->values[index] ? settings->values[index] : row->initial;
	int result = judge(row, value, now, &read, error, error_size);
	if (result == 0 && row->rule != ACCEPTED && !slice_is(buffer_slice(&read), row->initial))
		result = say_fixed(row, "", error, error_size);
	if (result == 0 && row->rule == ACCEPTED && !check)
		keep(settings, index, &read);
	pthread_mutex_unlock(&settings->lock);
	buffer_fini(&read);
	return result;
}

void redis_settings_get(struct redis_settings *settings, const struct glob *pattern,
	config_found_fn found, void *context)
{
	for (size_t i = 0; i < ROWS; i++) {
		const struct redis_parameter *row = &parameters_of_redis[i];
		const char *names[] = { row->name, row->alias };
		for (size_t n = 0; n < 2 && names[n] && row->rule != NEVER; n++) {
			if (!glob_matches(pattern, slice_text(names[n])))
				continue;
			pthread_mutex_lock(&settings->lock);
			char *value = memory_copy_text(
				settings->values[i] ? settings->values[i] : row->initial);
			pthread_mutex_unlock(&settings->lock);
			found(context, names[n], slice_text(value));
			memory_free(value);
		}
	}
}

/* One note for all that are answered by the same words. */
void redis_settings_each_note(
	const struct redis_settings *settings, config_note_fn each, void *context)
{
	bool told[ROWS] = { false };
	for (size_t i = 0; i < ROWS; i++) {
		const char *holds = parameters_of_redis[i].holds;
		struct buffer names;
		if (!settings->asked[i] || told[i])
			continue;
		buffer_init(&names);
		for (size_t j = i; j < ROWS; j++) {
			if (!settings->asked[j] || parameters_of_redis[j].holds != holds)
				continue;
			told[j] = true;
			if (names.size < NOTES_BYTES_MAX)
				buffer_format(&names, "%s%s", names.size ? ", " : "",
					parameters_of_redis[j].name);
		}
		buffer_append(&names, "", 1);
		each(context, names.data, holds ? holds : "Redis's, without effect here");
		buffer_fini(&names);
	}
}

static const struct redis_parameter *find(struct slice name)
{
	for (size_t i = 0; i < ROWS; i++) {
		const struct redis_parameter *row = &parameters_of_redis[i];
		if (slice_is(name, row->name) || (row->alias && slice_is(name, row->alias)))
			return row;
	}
	return NULL;
}

/* The value as CONFIG GET shows it; `now` is what stands. */
static int judge(const struct redis_parameter *row, struct slice value, const char *now,
	struct buffer *out, char *error, size_t error_size)
{
	int64_t number;
	const char *complaint = NULL;
	if (value.size && memchr(value.data, '\0', value.size))
		complaint = "argument contains a zero byte";
	else if (row->form == SWITCH && !slice_is(value, "yes") && !slice_is(value, "no"))
		complaint = "argument must be 'yes' or 'no'";
	else if (row->form == NUMBER && !number_parse_i64(value, &number))
		complaint = "argument couldn't be parsed into an integer";
	else if (row->form == SIZE && !number_parse_size(value, &number))
		complaint = "argument must be a memory value";
	else if (row->form == SNAPSHOTS && !read_snapshots(value))
		complaint = "Invalid save parameters";
	else if (row->form == OUTPUT_LIMITS && !read_output_limits(value, now, out))
		complaint =
			"argument must be CLASS HARD SOFT SECONDS, once or several times, CLASS "
			"being normal, replica or pubsub";
	if (complaint) {
		snprintf(error, error_size, "%s", complaint);
		return -EINVAL;
	}
	if (row->form == NUMBER || row->form == SIZE)
		buffer_format(out, "%lld", (long long)number);
	else if (row->form != OUTPUT_LIMITS)
		buffer_append(out, value.data, value.size);
	/* In Redis the words of one who follows nobody. */
	if (slice_is(value, "no one") && row->rule == ONLY)
		out->size = 0;
	return 0;
}

static bool would_be_missed(const struct redis_parameter *row, struct slice value)
{
	int64_t asked, there;
	if (row->rule == UP_TO)
		return !number_parse_i64(value, &asked) ||
			!number_parse_i64(slice_text(row->initial), &there) || asked < 1 ||
			asked > there;
	return row->rule == ONLY && !slice_is(value, row->initial);
}

/* Nothing, or pairs of seconds and changes. */
static bool read_snapshots(struct slice value)
{
	struct slice words[PARAMETER_WORDS_MAX];
	int64_t number;
	size_t count = split(value, words, PARAMETER_WORDS_MAX);
	bool fine = count <= PARAMETER_WORDS_MAX && count % 2 == 0;
	for (size_t i = 0; i < count && fine; i++)
		fine = number_parse_i64(words[i], &number) && number >= !(i % 2);
	return fine;
}

/* CLASS HARD SOFT SECONDS for some classes; the others keep theirs. */
static bool read_output_limits(struct slice value, const char *now, struct buffer *out)
{
	static const char *const classes[CLIENT_CLASSES] = { "normal", "slave", "pubsub" };
	int64_t limits[CLIENT_CLASSES][CLASS_LIMITS] = { { 0 } };
	struct slice words[PARAMETER_WORDS_MAX];
	struct slice texts[] = { slice_text(now), value };
	for (size_t t = 0; t < 2; t++) {
		size_t count = split(texts[t], words, PARAMETER_WORDS_MAX);
		if (count == 0 || count > PARAMETER_WORDS_MAX || count % (1 + CLASS_LIMITS))
			return false;
		for (size_t i = 0; i < count; i += 1 + CLASS_LIMITS) {
			size_t class = 0;
			while (class < CLIENT_CLASSES && !slice_is(words[i], classes[class]))
				class ++;
			if (slice_is(words[i], "replica"))
				class = 1;
			if (class == CLIENT_CLASSES)
				return false;
			for (size_t n = 0; n < CLASS_LIMITS; n++) {
				int64_t *limit = &limits[class][n];
				if (!number_parse_size(words[i + 1 + n], limit) || *limit < 0)
					return false;
			}
		}
	}
	for (size_t class = 0; class < CLIENT_CLASSES; class ++)
		buffer_format(out, "%s%s %lld %lld %lld", class ? " " : "", classes[class],
			(long long)limits[class][0], (long long)limits[class][1],
			(long long)limits[class][2]);
	return true;
}

/* Words between blanks; one more than `most` when there are more. */
static size_t split(struct slice text, struct slice *words, size_t most)
{
	size_t count = 0;
	for (size_t at = 0; at < text.size;) {
		size_t start = at;
		while (at < text.size && !isspace((unsigned char)text.data[at]))
			at++;
		if (at == start) {
			at++;
			continue;
		}
		if (count == most)
			return most + 1;
		words[count++] = slice_of(text.data + start, at - start);
	}
	return count;
}

/* The lock is held. */
static void keep(struct redis_settings *settings, size_t row, const struct buffer *value)
{
	memory_free(settings->values[row]);
	settings->values[row] = memory_zeroed(value->size + 1);
	if (value->size)
		memcpy(settings->values[row], value->data, value->size);
}

static int say_fixed(
	const struct redis_parameter *row, const char *also, char *error, size_t error_size)
{
	snprintf(error, error_size, "argument must be '%s'%s, which is fixed: %s", row->initial,
		also, row->holds);
	return -EINVAL;
}
