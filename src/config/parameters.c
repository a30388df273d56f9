/*
 * parameters: every parameter is one row here. The parser, CONFIG GET and SET, CONFIG REWRITE, the
 * sample file and --help all follow from it; the server reads the values through struct config.
 *
 * Names are Redis's where Redis has the same thing, and Redis's name is an alias where it would
 * mislead. Parameters of Redis that mean nothing here, or are fixed, are in redis_parameters.c.
 *
 * Sizes of what is held in memory are "auto" unless somebody says otherwise: a share of what the
 * process may use. The shares leave some 30 % to what is not counted: code, threads, connections,
 * what the allocator cannot give back, and pages of the data file, which are fast only while they
 * stay in memory.
 *
 * Bounds come from what uses the value: 107 bytes fit into a unix socket's address, and a password
 * longer than a stranger's argument could never be sent.
 */
#include "config/parameters.h"

#include "base/number.h"
#include "config/config.h"
#include "holdfast/limits.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#define FIELD(member) offsetof(struct config, member)
#define KB            ((int64_t)1 << 10)
#define MB            ((int64_t)1 << 20)
#define GB            ((int64_t)1 << 30)
#define TB            ((int64_t)1 << 40)

#define NAME_BYTES_MAX   64
#define TYPING_SLIPS_MAX 3

static const char *const no_yes[] = { "no", "yes", NULL };
static const char *const durabilities[] = { "always", "everysec", NULL };
static const char *const loglevels[] = { "debug", "verbose", "notice", "warning", NULL };

const struct parameter parameters[] = {
	{ .name = "bind",
		.section = "Connections",
		.kind = PARAMETER_WORDS,
		.least = 1,
		.most = 1023,
		.words_max = 16,
		.initial = "127.0.0.1 -::1",
		.text = "Addresses to listen on. One with a leading '-' may be missing on this machine; "
			"'*' is every IPv4 and '::*' every IPv6 address." },
	{ .name = "port",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(port),
		.most = 65535,
		.initial = "6379",
		.text = "TCP port; 0: no TCP." },
	{ .name = "unixsocket",
		.kind = PARAMETER_TEXT,
		.most = 107,
		.initial = "",
		.text = "Path of a unix socket to listen on; empty: none." },
	{ .name = "unixsocketperm",
		.kind = PARAMETER_OCTAL,
		.field = FIELD(unixsocketperm),
		.most = 0777,
		.initial = "0",
		.text = "Permissions of the unix socket; 0: as the umask leaves them." },
	{ .name = "tcp-backlog",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(tcp_backlog),
		.least = 1,
		.most = 65535,
		.unit = "connections",
		.initial = "511",
		.text = "Connections that the kernel may queue before the server accepts them." },
	{ .name = "tcp-keepalive",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(tcp_keepalive_s),
		.most = INT_MAX,
		.unit = "seconds",
		.initial = "300",
		.at_run_time = true,
		.text = "Silence after which TCP asks whether a client is still there; 0: never." },
	{ .name = "timeout",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(idle_timeout_s),
		.most = INT_MAX,
		.unit = "seconds",
		.initial = "0",
		.at_run_time = true,
		.text = "A client that sends nothing for so long is disconnected; 0: never." },
	{ .name = "maxclients",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(clients_max),
		.least = 1,
		.most = INT_MAX,
		.unit = "clients",
		.initial = "10000",
		.at_run_time = true,
		.text = "Clients connected at a time; one more is told so and disconnected." },
	{ .name = "protected-mode",
		.kind = PARAMETER_CHOICE,
		.field = FIELD(protected_mode),
		.choices = no_yes,
		.initial = "yes",
		.at_run_time = true,
		.text = "Without a password, serve only clients of this machine." },
	{ .name = "requirepass",
		.kind = PARAMETER_TEXT,
		.most = LIMIT_ARGUMENT_UNAUTHENTICATED,
		.binary = true,
		.initial = "",
		.at_run_time = true,
		.text = "Password that clients must give with AUTH or HELLO; empty: none." },

	{ .name = "client-output-limit",
		.section = "Limits",
		.kind = PARAMETER_SIZE,
		.field = FIELD(client_output_bytes_max),
		.least = 1 * MB,
		.most = 1 * TB,
		.unit = "bytes",
		.initial = "512mb",
		.at_run_time = true,
		.text = "The largest reply: a command whose reply would be longer, or longer than "
			"output-memory, is an error. A subscriber with more messages unread is "
			"disconnected." },
	{ .name = "client-output-timeout",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(client_output_timeout_s),
		.most = INT_MAX,
		.unit = "seconds",
		.initial = "60",
		.at_run_time = true,
		.text = "A client that takes nothing of its waiting replies for so long is "
			"disconnected; 0: never. Its further requests wait meanwhile." },
	{ .name = "output-memory",
		.kind = PARAMETER_SIZE,
		.field = FIELD(output_bytes_max),
		.least = 1 * MB,
		.most = 1 * TB,
		.unit = "bytes",
		.share = 8,
		.auto_most = 1 * GB,
		.initial = "auto",
		.at_run_time = true,
		.text = "Replies waiting for all clients; beyond it the client that holds most is "
			"disconnected." },
	{ .name = "client-requests-limit",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(client_requests_max),
		.least = 1,
		.most = 1000000,
		.unit = "requests",
		.initial = "256",
		.at_run_time = true,
		.text = "Requests of one client in flight; at the limit its socket is not read." },
	{ .name = "input-memory",
		.kind = PARAMETER_SIZE,
		.field = FIELD(input_bytes_max),
		.least = 1 * MB,
		.most = 1 * TB,
		.unit = "bytes",
		.share = 8,
		.auto_most = 1 * GB,
		.initial = "auto",
		.at_run_time = true,
		.text = "Requests of all clients that are unfinished or under way; beyond it clients "
			"that begin big ones are dropped, and others are not read while they have "
			"one under way." },
	{ .name = "max-value-size",
		.alias = "proto-max-bulk-len",
		.kind = PARAMETER_SIZE,
		.field = FIELD(value_bytes_max),
		.least = 1 * MB,
		.most = (int64_t)LIMIT_VALUE_BYTES,
		.unit = "bytes",
		.initial = "64mb",
		.at_run_time = true,
		.text = "The largest value, and the largest argument of a command." },
	{ .name = "shard-queue-limit",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(queue_requests_max),
		.least = 1,
		.most = 100000000,
		.unit = "requests",
		.initial = "100000",
		.at_run_time = true,
		.text = "Requests waiting at one shard; beyond it the answer is OVERLOADED." },

	{ .name = "workers",
		.section = "Threads",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(workers),
		.most = LIMIT_WORKERS,
		.unit = "threads",
		.initial = "0",
		.text = "Threads that own shards; 0: chosen from the machine's cores." },
	{ .name = "io-threads",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(io_threads),
		.most = LIMIT_WORKERS,
		.unit = "threads",
		.initial = "0",
		.text = "Threads that only serve connections; 0: the workers serve them." },

	{ .name = "dir",
		.section = "Data",
		.kind = PARAMETER_TEXT,
		.least = 1,
		.most = PATH_MAX - 1,
		.initial = "./data",
		.text = "Data directory; created when it is missing." },
	{ .name = "shards",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(shards),
		.least = 1,
		.most = LIMIT_SHARDS,
		.unit = "shards",
		.initial = "16",
		.text = "Parts of a new data directory; an existing one keeps its number." },
	{ .name = "durability",
		.alias = "appendfsync",
		.kind = PARAMETER_CHOICE,
		.field = FIELD(durability),
		.choices = durabilities,
		.initial = "always",
		.at_run_time = true,
		.text = "always: no reply before everything that it tells of is on disk. everysec: replies "
			"do not wait, and a crash may lose the last second." },
	{ .name = "overlay-memory",
		.kind = PARAMETER_SIZE,
		.field = FIELD(overlay_bytes_max),
		.least = 16 * MB,
		.most = 1 * TB,
		.unit = "bytes",
		.share = 4,
		.auto_most = 512 * MB,
		.initial = "auto",
		.at_run_time = true,
		.text = "Memory for writes that wait for a checkpoint; at the limit writers are slowed." },
	{ .name = "checkpoint-interval",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(checkpoint_interval_s),
		.least = 1,
		.most = 86400,
		.unit = "seconds",
		.initial = "600",
		.at_run_time = true,
		.text = "A checkpoint starts at the latest so long after the one before; after a "
			"minute when nothing has been written for ten seconds." },
	{ .name = "checkpoint-log-size",
		.kind = PARAMETER_SIZE,
		.field = FIELD(checkpoint_log_bytes),
		.least = 1 * MB,
		.most = 1 * TB,
		.unit = "bytes",
		.initial = "256mb",
		.at_run_time = true,
		.text = "A checkpoint starts when the log has grown by so much." },
	{ .name = "log-segment-size",
		.kind = PARAMETER_SIZE,
		.field = FIELD(log_segment_bytes),
		.least = 1 * MB,
		.most = 1 * GB,
		.unit = "bytes",
		.initial = "64mb",
		.text = "Size of the largest log file, or what max-value-size needs when that is more; the changes of one "
			"command must fit into it. The first ones have a sixteenth of it, and 1mb at the least; on a disk "
			"without room for larger ones they stay small." },
	{ .name = "map-size",
		.kind = PARAMETER_SIZE,
		.field = FIELD(map_bytes),
		.least = 64 * MB,
		.most = 64 * TB,
		.unit = "bytes",
		.initial = "1tb",
		.text = "The largest size of the data; address space, which costs no memory. Near it only commands that "
			"delete are run. The file may be larger by the pages that are being changed." },

	{ .name = "class-dir",
		.section = "Objects",
		.kind = PARAMETER_TEXT,
		.most = PATH_MAX - 1,
		.initial = "",
		.text = "Directory of Lua classes, one NAME.lua each, loaded at the start, by "
			"DO.CLASS RELOAD and SIGHUP; empty: none. Of a file and a DO.CLASS LOAD of "
			"its name the later one holds." },
	{ .name = "class-memory",
		.kind = PARAMETER_SIZE,
		.field = FIELD(class_memory_bytes),
		.least = 1 * MB,
		.most = 64 * GB,
		.unit = "bytes",
		.share = 32,
		.auto_most = 64 * MB,
		.initial = "auto",
		.at_run_time = true,
		.text = "Memory of one class on one worker, its objects in memory included; a change "
			"holds for what is made afterwards." },
	{ .name = "turn-instructions",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(turn_instructions),
		.least = 10000,
		.most = 1000000000000,
		.unit = "instructions",
		.initial = "2000000",
		.at_run_time = true,
		.text = "Lua instructions of one turn, up to its end or its next wait; beyond it the "
			"answer is TIMEOUT and nothing of the turn stays." },
	{ .name = "turn-time-limit",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(turn_time_ms),
		.least = 1,
		.most = 60000,
		.unit = "milliseconds",
		.initial = "100",
		.at_run_time = true,
		.text = "How long one turn of a class may keep its worker; beyond it the answer is "
			"TIMEOUT and nothing of the turn stays. It gets 20 ms of the processor more, in "
			"case that it was kept from it. A turn that is then within one long "
			"instruction is cut off after another 40 ms, and what the class has in memory "
			"on that worker is lost with it." },
	{ .name = "object-idle-timeout",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(object_idle_s),
		.least = 1,
		.most = 86400,
		.unit = "seconds",
		.initial = "60",
		.at_run_time = true,
		.text = "An object that nobody calls for so long leaves memory; its storage stays." },
	{ .name = "object-queue-limit",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(object_queue_max),
		.least = 1,
		.most = 1000000,
		.unit = "calls",
		.initial = "10000",
		.at_run_time = true,
		.text = "Calls waiting for one object; beyond it the answer is OVERLOADED." },
	{ .name = "alarm-concurrency",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(alarm_concurrency),
		.least = 1,
		.most = 100000,
		.unit = "calls",
		.initial = "64",
		.at_run_time = true,
		.text = "Alarms, schedules and wakes that run at a time on one worker; others that are "
			"due wait." },
	{ .name = "fetch-allow",
		.kind = PARAMETER_WORDS,
		.most = 16384,
		.words_max = PARAMETER_WORDS_MAX,
		.rule = rule_fetch_allow,
		.initial = "",
		.example = "api.example.com *.example.org localhost:8080 [::1]:8080",
		.at_run_time = true,
		.text = "Hosts that http.fetch may reach: host, host:port, *.domain, *.domain:port, "
			"[address]:port; without a port 80 and 443. Private addresses only when the host "
			"is named without a '*'. Empty: none." },
	{ .name = "fetch-size-limit",
		.kind = PARAMETER_SIZE,
		.field = FIELD(fetch_bytes_max),
		.least = 1 * KB,
		.most = 1 * GB,
		.unit = "bytes",
		.initial = "8mb",
		.at_run_time = true,
		.text = "The largest body that http.fetch takes; a larger one is an error." },
	{ .name = "fetch-concurrency",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(fetch_concurrency),
		.least = 1,
		.most = 10000,
		.unit = "requests",
		.initial = "64",
		.at_run_time = true,
		.text = "Requests of http.fetch under way at a time on one worker; others wait." },
	{ .name = "env",
		.kind = PARAMETER_LINES,
		.most = 65536,
		.words_max = 16,
		.rule = rule_env,
		.hidden = true,
		.initial = "",
		.example = "UserSubscriptionManager CLIENT_SECRET \"s3cret\"",
		.text = "A setting that classes read as env.NAME: CLASS NAME VALUE, where '*' for CLASS is "
			"every class. May be given several times. Values are never shown or logged." },
	{ .name = "schedule",
		.kind = PARAMETER_LINES,
		.most = 8192,
		.words_max = 16,
		.rule = rule_schedule,
		.initial = "",
		.example = "\"*/30 * * * *\" UserSubscriptionManager poll",
		.text = "Calls a method of all objects of a class by the clock: \"CRON\" CLASS METHOD "
			"[PREFIX p]. CRON is minute, hour, day of month, month and day of week in UTC, or "
			"@hourly, @daily, @weekly, @monthly, @yearly; PREFIX chooses ids. May be given "
			"several times." },

	{ .name = "session-ttl",
		.section = "Sessions",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(session_ttl_s),
		.least = 1,
		.most = LIMIT_LIFE_S,
		.unit = "seconds",
		.initial = "86400",
		.at_run_time = true,
		.text = "The sliding life of a session made without TTL." },
	{ .name = "session-absolute",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(session_absolute_s),
		.most = LIMIT_LIFE_S,
		.unit = "seconds",
		.initial = "0",
		.at_run_time = true,
		.text = "The absolute life of a session made without ABSOLUTE, which no use extends; 0: none." },
	{ .name = "session-tombstone",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(session_tombstone_s),
		.most = 30 * 86400,
		.unit = "seconds",
		.initial = "86400",
		.at_run_time = true,
		.text = "How long the id of a session that was deleted, or has ended, is refused to writers, which "
			"would revive it." },
	{ .name = "session-id-hashing",
		.kind = PARAMETER_CHOICE,
		.field = FIELD(session_hashing),
		.choices = no_yes,
		.initial = "no",
		.text = "Stores only SHA-256 of session ids; lists then show handles, which SESSION.DEL and "
			"SESSION.ROTATE take. Sessions stored before a change keep working." },
	{ .name = "touch-granularity",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(touch_percent),
		.least = 1,
		.most = 50,
		.unit = "percent",
		.initial = "5",
		.at_run_time = true,
		.text = "A use of a session is written when its end has moved by so much of its life. After a "
			"crash a session may live longer by as much, never shorter." },
	{ .name = "touch-memory",
		.kind = PARAMETER_SIZE,
		.field = FIELD(touch_bytes_max),
		.least = 1 * MB,
		.most = 1 * TB,
		.unit = "bytes",
		.share = 32,
		.auto_most = 128 * MB,
		.initial = "auto",
		.at_run_time = true,
		.text = "Memory for uses of sessions that are not written; beyond it each is." },

	{ .name = "cache-memory",
		.section = "The cache",
		.kind = PARAMETER_SIZE,
		.field = FIELD(cache_memory_bytes),
		.least = 1 * MB,
		.most = 1 * TB,
		.unit = "bytes",
		.share = 8,
		.auto_most = 256 * MB,
		.initial = "auto",
		.at_run_time = true,
		.text = "Memory for the cache's entries that are used most; all of them are on disk." },
	{ .name = "cache-disk",
		.kind = PARAMETER_SIZE,
		.field = FIELD(cache_disk_bytes),
		.least = 1 * MB,
		.most = 64 * TB,
		.unit = "bytes",
		.initial = "8gb",
		.at_run_time = true,
		.text = "What the cache's entries may take on disk; beyond it those not used for long go." },
	{ .name = "cache-invalidation-memory",
		.kind = PARAMETER_SIZE,
		.field = FIELD(cache_invalidation_bytes),
		.least = 1 * MB,
		.most = 1 * TB,
		.unit = "bytes",
		.share = 128,
		.auto_most = 32 * MB,
		.initial = "auto",
		.at_run_time = true,
		.text = "Memory for tags and prefixes that were invalidated; beyond it the oldest are folded into "
			"one that covers all entries with tags, or all keys, that were filled before it." },

	{ .name = "cache-origin",
		.kind = PARAMETER_LINES,
		.most = 65536,
		.words_max = 18,
		.rule = rule_cache_origin,
		.hidden = true,
		.initial = "",
		.example = "api: https://api.example.com/ \"Authorization: Bearer s3cret\"",
		.text = "Keys under a prefix that CACHE.SWR has the server fetch by itself: PREFIX URL [\"Name: "
			"value\" ...]. What follows the prefix in a key is added to the URL. fetch-allow must name "
			"the host. May be given several times." },
	{ .name = "cache-origin-stale",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(cache_origin_stale_s),
		.most = LIMIT_CACHE_AGE_MS / 1000,
		.unit = "seconds",
		.initial = "0",
		.at_run_time = true,
		.text = "How long an entry of cache-origin is served stale while it is refreshed, when neither the "
			"answer (stale-while-revalidate) nor the caller of CACHE.SWR says; RFC 9111 leaves that to "
			"a setting." },
	{ .name = "cache-origin-stale-if-error",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(cache_origin_error_s),
		.most = LIMIT_CACHE_AGE_MS / 1000,
		.unit = "seconds",
		.initial = "600",
		.at_run_time = true,
		.text = "How long an entry of cache-origin is served stale while refreshing it fails, when the answer "
			"neither says so (stale-if-error) nor forbids it." },

	{ .name = "logfile",
		.section = "Watching",
		.kind = PARAMETER_TEXT,
		.most = PATH_MAX - 1,
		.initial = "",
		.text = "File for the server's log lines; empty: standard output." },
	{ .name = "loglevel",
		.kind = PARAMETER_CHOICE,
		.field = FIELD(loglevel),
		.choices = loglevels,
		.initial = "notice",
		.at_run_time = true,
		.text = "The least important lines that are written." },
	{ .name = "slowlog-log-slower-than",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(slowlog_us),
		.least = -1,
		.most = INT64_MAX,
		.unit = "microseconds",
		.initial = "10000",
		.at_run_time = true,
		.text = "Commands that take longer are kept for SLOWLOG; 0: all, -1: none." },
	{ .name = "slowlog-max-len",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(slowlog_max),
		.most = 1000000,
		.unit = "commands",
		.initial = "128",
		.at_run_time = true,
		.text = "Commands that SLOWLOG keeps." },
	{ .name = "latency-monitor-threshold",
		.kind = PARAMETER_NUMBER,
		.field = FIELD(latency_threshold_ms),
		.most = INT_MAX,
		.unit = "milliseconds",
		.initial = "0",
		.at_run_time = true,
		.text = "Events that take as long are kept for LATENCY; 0: none." },

	{ .name = "latency-tracking",
		.kind = PARAMETER_CHOICE,
		.field = FIELD(latency_tracking),
		.choices = no_yes,
		.initial = "yes",
		.at_run_time = true,
		.text = "How long each command takes is counted, for LATENCY HISTOGRAM and INFO latencystats." },
	{ .name = "latency-tracking-info-percentiles",
		.kind = PARAMETER_WORDS,
		.most = 255,
		.words_max = 16,
		.rule = rule_percentiles,
		.initial = "50 99 99.9",
		.at_run_time = true,
		.text = "What INFO latencystats tells of each command." },
};
const size_t parameters_count = sizeof(parameters) / sizeof(parameters[0]);

static const char *read_value(
	const struct parameter *parameter, struct slice value, int64_t *number);
static int read_words(
	const struct parameter *parameter, struct slice value, char *error, size_t error_size);
static size_t typing_slips(struct slice typed, const char *name);
static bool read_choice(const struct parameter *parameter, struct slice value, int64_t *number);
static bool read_octal(struct slice value, int64_t *number);

const struct parameter *parameter_find(struct slice name)
{
	for (size_t i = 0; i < parameters_count; i++) {
		const struct parameter *parameter = &parameters[i];
		if (slice_is(name, parameter->name) ||
			(parameter->alias && slice_is(name, parameter->alias)))
			return parameter;
	}
	return NULL;
}

const char *parameter_nearest(struct slice name)
{
	const char *nearest = NULL;
	/* Short names resemble each other: allow one slip in two letters. */
	size_t fewest = name.size / 2 < TYPING_SLIPS_MAX ? name.size / 2 : TYPING_SLIPS_MAX;
	fewest++;
	for (size_t i = 0; i < 2 * parameters_count; i++) {
		const struct parameter *parameter = &parameters[i / 2];
		const char *candidate = i % 2 ? parameter->alias : parameter->name;
		size_t slips = candidate ? typing_slips(name, candidate) : SIZE_MAX;
		if (slips < fewest) {
			fewest = slips;
			nearest = candidate;
		}
	}
	return nearest;
}

bool parameter_is_number(const struct parameter *parameter)
{
	switch (parameter->kind) {
	case PARAMETER_NUMBER:
	case PARAMETER_SIZE:
	case PARAMETER_OCTAL:
	case PARAMETER_CHOICE:
		return true;
	case PARAMETER_TEXT:
	case PARAMETER_WORDS:
	case PARAMETER_LINES:
		break;
	}
	return false;
}

size_t parameter_words_max(const struct parameter *parameter)
{
	switch (parameter->kind) {
	case PARAMETER_WORDS:
	case PARAMETER_LINES:
		return parameter->words_max;
	default:
		return 1;
	}
}

int parameter_read(const struct parameter *parameter, struct slice value, int64_t *number,
	char *error, size_t error_size)
{
	if (value.size && !parameter->binary && memchr(value.data, '\0', value.size)) {
		snprintf(error, error_size, "argument contains a zero byte");
		return -EINVAL;
	}
	if (parameter->share && slice_is(value, "auto")) {
		*number = PARAMETER_AUTO;
		return 0;
	}
	const char *complaint = read_value(parameter, value, number);
	if (complaint == NULL && parameter->kind == PARAMETER_WORDS)
		return read_words(parameter, value, error, error_size);
	if (complaint == NULL)
		return 0;
	struct buffer range;
	buffer_init(&range);
	parameter_show_range(parameter, &range);
	snprintf(error, error_size, "%s must be %.*s", complaint, (int)range.size, range.data);
	buffer_fini(&range);
	return -EINVAL;
}

void parameter_show(const struct parameter *parameter, int64_t number, enum parameter_style style,
	struct buffer *out)
{
	static const char *const units[] = { "", "kb", "mb", "gb", "tb" };
	size_t unit = 0;
	switch (parameter->kind) {
	case PARAMETER_CHOICE:
		buffer_append_text(out, parameter->choices[number]);
		return;
	case PARAMETER_OCTAL:
		buffer_format(out, "%llo", (unsigned long long)number);
		return;
	case PARAMETER_SIZE:
		while (style == PARAMETER_SHORT && number && number % 1024 == 0 && unit < 4) {
			number /= 1024;
			unit++;
		}
		break;
	default:
		break;
	}
	buffer_format(out, "%lld%s", (long long)number, units[unit]);
}

void parameter_show_range(const struct parameter *parameter, struct buffer *out)
{
	switch (parameter->kind) {
	case PARAMETER_CHOICE:
		for (size_t i = 0; parameter->choices[i]; i++)
			buffer_format(out, "%s'%s'", i ? " or " : "", parameter->choices[i]);
		return;
	case PARAMETER_TEXT:
	case PARAMETER_WORDS:
	case PARAMETER_LINES:
		buffer_format(out, "between %lld and %lld bytes long", (long long)parameter->least,
			(long long)parameter->most);
		return;
	default:
		break;
	}
	buffer_append_text(out, parameter->share ? "auto or between " : "between ");
	parameter_show(parameter, parameter->least, PARAMETER_SHORT, out);
	buffer_append_text(out, " and ");
	parameter_show(parameter, parameter->most, PARAMETER_SHORT, out);
	buffer_append_text(out, " inclusive");
	if (parameter->kind == PARAMETER_NUMBER && parameter->unit)
		buffer_format(out, " (%s)", parameter->unit);
}

void parameter_show_auto(const struct parameter *parameter, struct buffer *out)
{
	buffer_format(out, "auto is 1/%lld of the memory that the process may use, at most ",
		(long long)parameter->share);
	parameter_show(parameter, parameter->auto_most, PARAMETER_SHORT, out);
}

/* In whole megabytes, so that it can be read. */
int64_t parameter_derive(const struct parameter *parameter, uint64_t memory_bytes)
{
	uint64_t share = memory_bytes / (uint64_t)parameter->share;
	if (share > (uint64_t)parameter->auto_most)
		share = (uint64_t)parameter->auto_most;
	int64_t bytes = (int64_t)share / MB * MB;
	return bytes > parameter->least ? bytes : parameter->least;
}

/* NULL; or what an error says in front of the allowed values. Texts give their size. */
static const char *read_value(
	const struct parameter *parameter, struct slice value, int64_t *number)
{
	switch (parameter->kind) {
	case PARAMETER_NUMBER:
		if (!number_parse_i64(value, number))
			return "argument couldn't be parsed into an integer; it";
		break;
	case PARAMETER_SIZE:
		if (!number_parse_size(value, number))
			return "argument must be a memory value; it";
		break;
	case PARAMETER_OCTAL:
		if (!read_octal(value, number))
			return "argument couldn't be parsed into an octal number; it";
		break;
	case PARAMETER_CHOICE:
		return read_choice(parameter, value, number) ? NULL : "argument";
	case PARAMETER_TEXT:
	case PARAMETER_WORDS:
	case PARAMETER_LINES:
		*number = (int64_t)value.size;
		break;
	}
	return *number >= parameter->least && *number <= parameter->most ? NULL : "argument";
}

/* Whoever uses the text splits it at blanks, so the rule sees it that way however it was quoted. */
static int read_words(
	const struct parameter *parameter, struct slice value, char *error, size_t error_size)
{
	struct slice words[PARAMETER_WORDS_MAX];
	size_t count = 0;
	for (size_t at = 0, end; at < value.size; at = end + 1) {
		for (end = at; end < value.size && value.data[end] != ' ';)
			end++;
		if (end == at)
			continue;
		if (count == parameter->words_max) {
			snprintf(error, error_size, "too many values");
			return -EINVAL;
		}
		words[count++] = slice_of(value.data + at, end - at);
	}
	if (count == 0 && value.size) {
		snprintf(error, error_size, "argument is nothing but blanks");
		return -EINVAL;
	}
	if (parameter->rule == NULL || count == 0)
		return 0;
	return parameter->rule(words, count, error, error_size);
}

/* Letters to insert, drop or exchange to get from one to the other (Levenshtein's distance). */
static size_t typing_slips(struct slice typed, const char *name)
{
	size_t name_size = strlen(name);
	size_t row[NAME_BYTES_MAX + 1];
	if (typed.size > NAME_BYTES_MAX || name_size > NAME_BYTES_MAX)
		return SIZE_MAX;
	for (size_t n = 0; n <= name_size; n++)
		row[n] = n;
	for (size_t t = 1; t <= typed.size; t++) {
		size_t diagonal = row[0];
		row[0] = t;
		for (size_t n = 1; n <= name_size; n++) {
			bool same = tolower((unsigned char)typed.data[t - 1]) == name[n - 1];
			size_t best = diagonal + !same;
			diagonal = row[n];
			if (row[n] + 1 < best)
				best = row[n] + 1;
			if (row[n - 1] + 1 < best)
				best = row[n - 1] + 1;
			row[n] = best;
		}
	}
	return row[name_size];
}

static bool read_choice(const struct parameter *parameter, struct slice value, int64_t *number)
{
	for (size_t i = 0; parameter->choices[i]; i++) {
		if (slice_is(value, parameter->choices[i])) {
			*number = (int64_t)i;
			return true;
		}
	}
	return false;
}

static bool read_octal(struct slice value, int64_t *number)
{
	if (value.size == 0 || value.size > 20)
		return false;
	*number = 0;
	for (size_t i = 0; i < value.size; i++) {
		if (value.data[i] < '0' || value.data[i] > '7')
			return false;
		*number = *number * 8 + (value.data[i] - '0');
	}
	return true;
}
