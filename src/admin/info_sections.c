/*
 * info_sections: one function a section. Fields that Redis has carry its names and units, because
 * dashboards and clients read them by name. Counts of what there is nothing of (replicas, forks,
 * evictions) are 0, as they are in a Redis without; a field that would say something untrue is left
 * out. RDB and AOF fields speak of checkpoints and of the log, which are the same things to whoever
 * watches them. What has no counterpart in Redis stands in the section holdfast.
 *
 * Threads: any.
 */
#include "admin/info.h"
#include "admin/reply.h"
#include "base/memory.h"
#include "cache/origin.h"
#include "cache/origin_board.h"
#include "net/connection.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define MS_A_DAY        (24 * 3600 * 1000)
#define PERCENTILES_MAX 16

static int64_t setting(const _Atomic int64_t *field);
static void number(struct buffer *out, const char *name, uint64_t value);
static void text(struct buffer *out, const char *name, const char *value);
static void size(struct buffer *out, const char *name, uint64_t bytes);
static double ratio(uint64_t part, uint64_t whole);

static void write_server(const struct info *info, struct buffer *out)
{
	struct environment *environment = info->environment;
	struct utsname name;
	uname(&name);
	int64_t up_ms = info->now_ms - environment->started_ms;
	text(out, "redis_version", REPLY_REDIS_VERSION);
	text(out, "holdfast_version", HOLDFAST_VERSION);
	text(out, "redis_git_sha1", "00000000");
	number(out, "redis_git_dirty", 0);
	text(out, "redis_build_id", "0");
	text(out, "redis_mode", "standalone");
	buffer_format(out, "os:%s %s %s\r\n", name.sysname, name.release, name.machine);
	number(out, "arch_bits", sizeof(void *) * 8);
	text(out, "monotonic_clock", "POSIX clock_gettime");
	text(out, "multiplexing_api", "epoll");
	text(out, "atomicvar_api", "c11-builtin");
	text(out, "gcc_version", __VERSION__);
	number(out, "process_id", (uint64_t)getpid());
	text(out, "process_supervised", "no");
	text(out, "run_id", environment->run_id);
	number(out, "tcp_port", (uint64_t)net_port(environment->net));
	buffer_format(out, "server_time_usec:%" PRId64 "\r\n", info->now_ms * 1000);
	buffer_format(out, "uptime_in_seconds:%" PRId64 "\r\n", up_ms / 1000);
	buffer_format(out, "uptime_in_days:%" PRId64 "\r\n", up_ms / MS_A_DAY);
	number(out, "hz", 10);
	number(out, "configured_hz", 10);
	text(out, "executable", environment->executable);
	text(out, "config_file", environment->config->file ? environment->config->file : "");
	number(out, "io_threads_active", setting(&environment->config->io_threads) > 0);
}

struct largest {
	uint64_t input_bytes;
	uint64_t output_bytes;
};

static bool note_largest(void *context, struct connection *connection)
{
	struct largest *largest = context;
	uint64_t input_bytes = connection->client.shared_input_bytes;
	uint64_t output_bytes = connection->client.shared_output_bytes;
	if (input_bytes > largest->input_bytes)
		largest->input_bytes = input_bytes;
	if (output_bytes > largest->output_bytes)
		largest->output_bytes = output_bytes;
	return true;
}

static void write_clients(const struct info *info, struct buffer *out)
{
	const struct leases *leases = leases_in(info->environment->engine);
	struct largest largest = { 0 };
	struct net_stats net;
	net_stats(info->environment->net, &net);
	net_each_client(info->environment->net, note_largest, &largest);
	number(out, "connected_clients", net.clients);
	number(out, "cluster_connections", 0);
	number(out, "maxclients", (uint64_t)setting(&info->environment->config->clients_max));
	number(out, "client_recent_max_input_buffer", largest.input_bytes);
	number(out, "client_recent_max_output_buffer", largest.output_bytes);
	number(out, "blocked_clients", leases ? leases_waiting(leases) : 0);
	number(out, "tracking_clients", 0);
	number(out, "clients_in_timeout_table", 0);
	number(out, "total_blocking_keys", 0);
	number(out, "total_blocking_keys_on_nokey", 0);
}

/* There are neither scripts nor functions of Redis's. */
static void write_script_memory(struct buffer *out)
{
	size(out, "used_memory_lua", 0);
	number(out, "used_memory_vm_eval", 0);
	number(out, "used_memory_scripts_eval", 0);
	number(out, "number_of_cached_scripts", 0);
	number(out, "number_of_functions", 0);
	number(out, "number_of_libraries", 0);
	number(out, "used_memory_vm_functions", 0);
	size(out, "used_memory_vm_total", 0);
	number(out, "used_memory_functions", 0);
	size(out, "used_memory_scripts", 0);
}

/* What holds requests and replies on their way. */
static void write_buffer_memory(const struct info *info, struct buffer *out)
{
	struct net_stats net;
	struct gate_stats gate;
	net_stats(info->environment->net, &net);
	gate_stats(info->environment->engine->gate, &gate);
	number(out, "mem_not_counted_for_evict", 0);
	number(out, "mem_replication_backlog", 0);
	number(out, "mem_total_replication_buffers", 0);
	number(out, "mem_clients_slaves", 0);
	number(out, "mem_clients_normal", net.held_bytes);
	number(out, "mem_cluster_links", 0);
	number(out, "mem_aof_buffer", gate.pending_bytes);
}

static void write_memory(const struct info *info, struct buffer *out)
{
	uint64_t used = memory_used(), resident = memory_resident(), active = memory_active();
	uint64_t startup = info->environment->startup_memory;
	uint64_t peak = meter_peak(info->environment->meter, used);
	uint64_t dataset = atomic_load_explicit(
		&info->environment->engine->overlay_bytes, memory_order_relaxed);
	size(out, "used_memory", used);
	size(out, "used_memory_rss", resident);
	size(out, "used_memory_peak", peak);
	buffer_format(out, "used_memory_peak_perc:%.2f%%\r\n", 100 * ratio(used, peak));
	number(out, "used_memory_overhead", used > dataset ? used - dataset : 0);
	number(out, "used_memory_startup", startup);
	number(out, "used_memory_dataset", dataset);
	buffer_format(out, "used_memory_dataset_perc:%.2f%%\r\n",
		used > startup ? 100 * ratio(dataset, used - startup) : 0);
	number(out, "allocator_allocated", used);
	number(out, "allocator_active", active);
	size(out, "total_system_memory", memory_total());
	size(out, "allowed_memory", info->environment->allowance.memory_bytes);
	write_script_memory(out);
	size(out, "maxmemory", 0);
	text(out, "maxmemory_policy", "noeviction");
	buffer_format(out, "allocator_frag_ratio:%.2f\r\n", ratio(active, used));
	number(out, "allocator_frag_bytes", active > used ? active - used : 0);
	buffer_format(out, "mem_fragmentation_ratio:%.2f\r\n", ratio(resident, used));
	number(out, "mem_fragmentation_bytes", resident > used ? resident - used : 0);
	write_buffer_memory(info, out);
	text(out, "mem_allocator", "libc");
	number(out, "active_defrag_running", 0);
	number(out, "lazyfree_pending_objects", 0);
	number(out, "lazyfreed_objects", 0);
}

static void write_persistence(const struct info *info, struct buffer *out)
{
	struct environment *environment = info->environment;
	struct checkpoint_stats checkpoint;
	struct gate_stats gate;
	checkpoint_stats(environment->engine->checkpoint, &checkpoint);
	gate_stats(environment->engine->gate, &gate);
	int64_t saved_ms =
		checkpoint.last_finished_ms ? checkpoint.last_finished_ms : environment->started_ms;
	number(out, "loading", 0);
	number(out, "async_loading", 0);
	/* It never forks, so nothing is copied on a write. */
	number(out, "current_cow_peak", 0);
	number(out, "current_cow_size", 0);
	number(out, "current_cow_size_age", 0);
	text(out, "current_fork_perc", "0.00");
	number(out, "rdb_changes_since_last_save", gate.appended_lsn - checkpoint.tree_lsn);
	number(out, "rdb_bgsave_in_progress", checkpoint.running);
	number(out, "rdb_last_save_time", (uint64_t)saved_ms / 1000);
	text(out, "rdb_last_bgsave_status", gate.full ? "err" : "ok");
	buffer_format(out, "rdb_last_bgsave_time_sec:%" PRId64 "\r\n",
		checkpoint.completed ? (int64_t)checkpoint.last_duration_ms / 1000 : -1);
	text(out, "rdb_current_bgsave_time_sec", "-1");
	number(out, "rdb_saves", checkpoint.completed);
	number(out, "rdb_last_cow_size", 0);
	number(out, "aof_enabled", 1);
	number(out, "aof_rewrite_in_progress", 0);
	number(out, "aof_rewrite_scheduled", 0);
	text(out, "aof_last_rewrite_time_sec", "-1");
	text(out, "aof_current_rewrite_time_sec", "-1");
	text(out, "aof_last_bgrewrite_status", "ok");
	number(out, "aof_rewrites", 0);
	number(out, "aof_rewrites_consecutive_failures", 0);
	text(out, "aof_last_write_status", gate.full ? "err" : "ok");
	number(out, "aof_last_cow_size", 0);
	number(out, "module_fork_in_progress", 0);
	number(out, "module_fork_last_cow_size", 0);
	number(out, "aof_current_size", gate.log.bytes_live);
	number(out, "aof_base_size", 0);
	number(out, "aof_pending_rewrite", 0);
	number(out, "aof_buffer_length", gate.pending_bytes);
	number(out, "aof_pending_bio_fsync", gate.appended_lsn > gate.durable_lsn);
	number(out, "aof_delayed_fsync", 0);
}

static void write_keyspace_hits(struct buffer *out, const struct engine *engine)
{
	uint64_t hits = 0, misses = 0;
	for (uint16_t i = 0; i < engine->shard_count; i++) {
		struct shard_stats stats;
		engine_shard_stats(engine, i, &stats);
		hits += stats.hits;
		misses += stats.misses;
	}
	number(out, "keyspace_hits", hits);
	number(out, "keyspace_misses", misses);
}

/* What there is no such thing of: forks, replicas, evictions, modules, tracking, defragmentation.
 */
static void write_nothing_of(struct buffer *out)
{
	static const char *const names[] = { "sync_full", "sync_partial_ok", "sync_partial_err",
		"evicted_keys", "total_eviction_exceeded_time", "current_eviction_exceeded_time",
		"total_net_repl_input_bytes", "total_net_repl_output_bytes", "pubsubshard_channels",
		"latest_fork_usec", "total_forks", "migrate_cached_sockets",
		"slave_expires_tracked_keys", "active_defrag_hits", "active_defrag_misses",
		"active_defrag_key_hits", "active_defrag_key_misses", "total_active_defrag_time",
		"current_active_defrag_time", "tracking_total_keys", "tracking_total_items",
		"tracking_total_prefixes", "unexpected_error_replies", "dump_payload_sanitizations",
		"acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		number(out, names[i], 0);
	text(out, "instantaneous_input_repl_kbps", "0.00");
	text(out, "instantaneous_output_repl_kbps", "0.00");
}

static void note_denials(void *context, const char *code, uint64_t count)
{
	uint64_t *denials = context;
	if (strcmp(code, "WRONGPASS") == 0)
		*denials = count;
}

/* Since Redis has them: rates over the last seconds. */
static void write_rates(const struct info *info, const struct net_stats *net, struct buffer *out)
{
	struct environment *environment = info->environment;
	uint64_t counters[METER_COUNTERS] = {
		[METER_COMMANDS] = net->commands,
		[METER_INPUT_BYTES] = net->input_bytes,
		[METER_OUTPUT_BYTES] = net->output_bytes,
	};
	double per_second[METER_COUNTERS];
	meter_read(
		environment->meter, clock_monotonic_ns(environment->clock), counters, per_second);
	number(out, "instantaneous_ops_per_sec", (uint64_t)per_second[METER_COMMANDS]);
	buffer_format(
		out, "instantaneous_input_kbps:%.2f\r\n", per_second[METER_INPUT_BYTES] / 1024);
	buffer_format(
		out, "instantaneous_output_kbps:%.2f\r\n", per_second[METER_OUTPUT_BYTES] / 1024);
}

static void write_stats(const struct info *info, struct buffer *out)
{
	struct environment *environment = info->environment;
	struct net_stats net;
	uint64_t denials = 0;
	net_stats(environment->net, &net);
	net_each_error(environment->net, note_denials, &denials);
	number(out, "total_connections_received", net.connections_received);
	number(out, "total_commands_processed", net.commands);
	write_rates(info, &net, out);
	number(out, "total_net_input_bytes", net.input_bytes);
	number(out, "total_net_output_bytes", net.output_bytes);
	number(out, "rejected_connections", net.connections_rejected);
	number(out, "expired_keys",
		atomic_load_explicit(&environment->engine->expired_keys, memory_order_relaxed));
	number(out, "evicted_clients", net.evictions);
	write_keyspace_hits(out, environment->engine);
	number(out, "pubsub_channels", subscriptions_names(environment->net, SUBSCRIPTION_CHANNEL));
	number(out, "pubsub_patterns", subscriptions_names(environment->net, SUBSCRIPTION_PATTERN));
	number(out, "total_error_replies", net.errors);
	number(out, "total_reads_processed", net.reads);
	number(out, "total_writes_processed", net.writes);
	number(out, "io_threaded_reads_processed", net.io_reads);
	number(out, "io_threaded_writes_processed", net.io_writes);
	number(out, "client_output_buffer_limit_disconnections", net.output_limit_drops);
	number(out, "acl_access_denied_auth", denials);
	write_nothing_of(out);
}

static void write_replication(const struct info *info, struct buffer *out)
{
	text(out, "role", "master");
	number(out, "connected_slaves", 0);
	text(out, "master_failover_state", "no-failover");
	text(out, "master_replid", info->environment->run_id);
	text(out, "master_replid2", "0000000000000000000000000000000000000000");
	number(out, "master_repl_offset", gate_durable(info->environment->engine->gate));
	text(out, "second_repl_offset", "-1");
	number(out, "repl_backlog_active", 0);
	number(out, "repl_backlog_size", 0);
	number(out, "repl_backlog_first_byte_offset", 0);
	number(out, "repl_backlog_histlen", 0);
}

static void write_time(struct buffer *out, const char *name, struct timeval time)
{
	buffer_format(
		out, "%s:%lld.%06lld\r\n", name, (long long)time.tv_sec, (long long)time.tv_usec);
}

/* Of the thread that runs the first loop, in hundredths of a second; false: it cannot be told. */
static bool read_main_thread(struct timeval *user, struct timeval *sys)
{
	char path[64];
	unsigned long long user_ticks, sys_ticks;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	/* Behind the name, which may hold blanks, stand eleven fields that are not wanted. */
	int got = fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
		&user_ticks, &sys_ticks);
	fclose(file);
	unsigned long long ticks = (unsigned long long)sysconf(_SC_CLK_TCK);
	*user = (struct timeval){ (time_t)(user_ticks / ticks),
		(suseconds_t)(user_ticks % ticks * 1000000 / ticks) };
	*sys = (struct timeval){ (time_t)(sys_ticks / ticks),
		(suseconds_t)(sys_ticks % ticks * 1000000 / ticks) };
	return got == 2;
}

static void write_cpu(const struct info *info, struct buffer *out)
{
	struct rusage own, children;
	struct timeval user, sys;
	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &children);
	write_time(out, "used_cpu_sys", own.ru_stime);
	write_time(out, "used_cpu_user", own.ru_utime);
	write_time(out, "used_cpu_sys_children", children.ru_stime);
	write_time(out, "used_cpu_user_children", children.ru_utime);
	if (!read_main_thread(&user, &sys))
		return;
	write_time(out, "used_cpu_sys_main_thread", sys);
	write_time(out, "used_cpu_user_main_thread", user);
}

/* There are none: the headline alone says that. */
static void write_modules(const struct info *info, struct buffer *out)
{
	(void)info;
	(void)out;
}

static void write_commandstats(const struct info *info, struct buffer *out)
{
	const struct command_set *set = info->environment->commands;
	for (uint32_t i = 0; i < set->count; i++) {
		uint64_t calls, ns, failed, rejected;
		net_command_stats(info->environment->net, i, &calls, &ns, &failed, &rejected);
		if (calls == 0 && rejected == 0)
			continue;
		buffer_format(out,
			"cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64
			",usec_per_call=%.2f,rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64
			"\r\n",
			set->commands[i].name, calls, ns / 1000, ratio(ns, calls) / 1000, rejected,
			failed);
	}
}

static void write_error(void *context, const char *code, uint64_t count)
{
	buffer_format(context, "errorstat_%s:count=%" PRIu64 "\r\n", code, count);
}

static void write_errorstats(const struct info *info, struct buffer *out)
{
	net_each_error(info->environment->net, write_error, out);
}

static size_t read_percentiles(const struct info *info, double *out)
{
	char words[256];
	size_t count = 0;
	config_text_copy(info->environment->config, "latency-tracking-info-percentiles", words,
		sizeof(words));
	char *rest = words;
	for (const char *word; (word = strsep(&rest, " ")) && count < PERCENTILES_MAX;)
		if (*word)
			out[count++] = strtod(word, NULL);
	return count;
}

static void write_latencystats(const struct info *info, struct buffer *out)
{
	const struct command_set *set = info->environment->commands;
	double percents[PERCENTILES_MAX];
	size_t count = read_percentiles(info, percents);
	struct histogram durations;
	for (uint32_t i = 0; i < set->count; i++) {
		if (!net_command_durations(info->environment->net, i, &durations))
			continue;
		buffer_format(out, "latency_percentiles_usec_%s:", set->commands[i].name);
		for (size_t p = 0; p < count; p++)
			buffer_format(out, "%sp%g=%.3f", p ? "," : "", percents[p],
				(double)histogram_percentile_ns(&durations, percents[p]) / 1000);
		buffer_append_text(out, "\r\n");
	}
}

static void write_cluster(const struct info *info, struct buffer *out)
{
	number(out, "cluster_enabled", 0);
}

static void write_keyspace(const struct info *info, struct buffer *out)
{
	for (int db = 0; db < LIMIT_DATABASES; db++) {
		if (info->keys[db])
			buffer_format(out,
				"db%d:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=%" PRId64 "\r\n",
				db, info->keys[db], info->expiring[db],
				info->lives[db] ? (int64_t)(info->lives_ms[db] / info->lives[db])
						: 0);
	}
}

static void count_class(void *context, const struct class *class)
{
	uint64_t *count = context;
	++*count;
}

static void write_objects(const struct info *info, struct buffer *out)
{
	const struct objects_figures *objects = &info->objects;
	uint64_t classes = 0;
	if (info->environment->classes)
		class_each(info->environment->classes, count_class, &classes);
	number(out, "object_classes", classes);
	number(out, "object_instances", objects->instances);
	number(out, "object_calls", objects->calls);
	number(out, "object_errors", objects->errors);
	number(out, "object_calls_queued", objects->queued);
	number(out, "object_calls_waiting", objects->waiting);
	number(out, "object_calls_overloaded", objects->overloaded);
	number(out, "object_class_memory", objects->memory_bytes);
}

static void write_sessions(const struct info *info, struct buffer *out)
{
	const struct sessions_figures *figures = &info->session_figures;
	number(out, "sessions", info->sessions);
	number(out, "sessions_created", figures->created);
	number(out, "sessions_expired", figures->expired);
	number(out, "sessions_deleted", figures->deleted);
	number(out, "sessions_rotated", figures->rotated);
	number(out, "session_touches_written", figures->touches_written);
	number(out, "session_touches_kept", figures->touches_kept);
	number(out, "session_touch_memory", figures->touch_bytes);
}

static void write_leases(const struct info *info, struct buffer *out)
{
	number(out, "leases_held", info->leases.held);
	number(out, "leases_waiting", info->leases.waiting);
	number(out, "leases_granted", info->leases.granted);
	number(out, "leases_promoted", info->leases.promoted);
	number(out, "leases_committed", info->leases.committed);
	number(out, "leases_timed_out", info->leases.timed_out);
	number(out, "leases_lost_holders", info->leases.lost_holders);
	number(out, "lease_waits_timed_out", info->leases.waits_timed_out);
}

struct origin_lines {
	uint32_t count;
	uint32_t paused;
	struct buffer lines;
};

/* Up to the end of a line of INFO. */
static void append_printable(struct buffer *out, struct slice bytes)
{
	for (size_t i = 0; i < bytes.size; i++)
		buffer_append(out, isprint((unsigned char)bytes.data[i]) ? &bytes.data[i] : ".", 1);
}

/* Those that are left alone stand there one by one. */
static void note_origin(void *context, const struct origin_notice *notice)
{
	struct origin_lines *origins = context;
	uint32_t index = origins->count++;
	if (notice->workers == 0)
		return;
	origins->paused++;
	buffer_format(&origins->lines, "cache_origin%u:state=paused,workers=%u,prefix=", index,
		notice->workers);
	append_printable(&origins->lines, notice->prefix);
	buffer_append_text(&origins->lines, ",url=");
	append_printable(&origins->lines, notice->url);
	buffer_append_text(&origins->lines, ",error=");
	append_printable(&origins->lines, slice_text(notice->error));
	buffer_append_text(&origins->lines, "\r\n");
}

static void write_origins(const struct info *info, struct buffer *out)
{
	const struct engine *engine = info->environment->engine;
	struct origin_lines origins = { 0 };
	buffer_init(&origins.lines);
	if (cache_in(engine))
		origin_board_each(cache_board(engine), note_origin, &origins);
	number(out, "cache_origins", origins.count);
	number(out, "cache_origins_paused", origins.paused);
	buffer_append(out, origins.lines.data, origins.lines.size);
	buffer_fini(&origins.lines);
}

static void write_cache(const struct info *info, struct buffer *out)
{
	static const enum cache_stat shown[] = { STAT_GETS, STAT_SWRS, STAT_FRESH, STAT_STALE,
		STAT_REFRESH, STAT_LEAD, STAT_MISS, STAT_COALESCED, STAT_BUSY, STAT_FAILURES,
		STAT_EVICTIONS_MEMORY, STAT_EVICTIONS_DISK, STAT_HITS_MEMORY, STAT_HITS_DISK };
	number(out, "cache_entries", info->cache_sums.entries);
	number(out, "cache_bytes", info->cache_sums.bytes);
	number(out, "cache_memory", info->cache_memory);
	number(out, "cache_invalidations_remembered", info->cache_marks);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		buffer_append_text(out, "cache_");
		/* INFO's names have underscores. */
		for (const char *at = stat_names[shown[i]]; *at; at++)
			buffer_append(out, *at == '-' ? "_" : at, 1);
		buffer_format(out, ":%" PRIu64 "\r\n", info->cache_counts[shown[i]]);
	}
	write_origins(info, out);
}

static void write_checkpoint(const struct info *info, struct buffer *out)
{
	struct checkpoint_stats stats;
	checkpoint_stats(info->environment->engine->checkpoint, &stats);
	int64_t since_ms =
		stats.last_finished_ms ? stats.last_finished_ms : info->environment->started_ms;
	number(out, "checkpoint_running", stats.running);
	number(out, "checkpoints_completed", stats.completed);
	number(out, "checkpoints_failed", stats.failed);
	buffer_format(
		out, "checkpoint_age_seconds:%" PRId64 "\r\n", (info->now_ms - since_ms) / 1000);
	number(out, "checkpoint_last_duration_ms", stats.last_duration_ms);
	number(out, "checkpoint_last_keys", stats.last_keys);
	number(out, "checkpoint_lsn", stats.tree_lsn);
	number(out, "checkpoint_lag_records",
		gate_appended(info->environment->engine->gate) - stats.tree_lsn);
}

static void write_log(const struct info *info, struct buffer *out)
{
	struct gate_stats gate;
	gate_stats(info->environment->engine->gate, &gate);
	number(out, "durable_lsn", gate.durable_lsn);
	number(out, "appended_lsn", gate.appended_lsn);
	number(out, "log_pending_bytes", gate.pending_bytes);
	number(out, "log_records", gate.records);
	number(out, "log_bytes", gate.bytes);
	number(out, "log_batches", gate.batches);
	buffer_format(out, "log_batch_records_average:%.2f\r\n", ratio(gate.records, gate.batches));
	buffer_format(out, "log_batch_bytes_average:%.0f\r\n", ratio(gate.bytes, gate.batches));
	number(out, "fsyncs", gate.syncs);
	buffer_format(
		out, "fsync_usec_average:%.1f\r\n", ratio(gate.sync_ns_total, gate.syncs) / 1000);
	buffer_format(out, "fsync_usec_last:%.1f\r\n", (double)gate.sync_ns_last / 1000);
	buffer_format(out, "fsync_usec_max:%.1f\r\n", (double)gate.sync_ns_max / 1000);
	number(out, "log_segments", (uint64_t)gate.log.segments);
	number(out, "log_segments_spare", (uint64_t)gate.log.spares);
	number(out, "log_bytes_live", gate.log.bytes_live);
	number(out, "disk_full", gate.full);
}

static void write_holdfast(const struct info *info, struct buffer *out)
{
	struct environment *environment = info->environment;
	struct net_stats net;
	net_stats(environment->net, &net);
	write_log(info, out);
	number(out, "overlay_bytes",
		atomic_load_explicit(&environment->engine->overlay_bytes, memory_order_relaxed));
	number(out, "overlay_bytes_max",
		(uint64_t)setting(&environment->config->overlay_bytes_max));
	write_checkpoint(info, out);
	number(out, "recovery_records", environment->recovery.log.records);
	number(out, "recovery_ms", environment->recovery.elapsed_ms);
	number(out, "protocol_errors", net.protocol_errors);
	number(out, "workers", environment->engine->worker_count);
	number(out, "shards", environment->engine->shard_count);
	for (uint16_t i = 0; i < environment->engine->shard_count; i++) {
		struct shard_stats stats;
		engine_shard_stats(environment->engine, i, &stats);
		buffer_format(out, "shard%d:queue=%" PRIu32 ",turns=%" PRIu64 "\r\n", i,
			stats.queue, stats.turns);
	}
}

const struct info_section info_sections[] = {
	{ "Server", true, false, write_server },
	{ "Clients", true, false, write_clients },
	{ "Memory", true, false, write_memory },
	{ "Persistence", true, false, write_persistence },
	{ "Stats", true, false, write_stats },
	{ "Replication", true, false, write_replication },
	{ "CPU", true, false, write_cpu },
	{ "Modules", true, false, write_modules },
	{ "Commandstats", false, false, write_commandstats },
	{ "Errorstats", true, false, write_errorstats },
	{ "Latencystats", false, false, write_latencystats },
	{ "Cluster", true, false, write_cluster },
	{ "Holdfast", true, false, write_holdfast },
	{ "Objects", true, true, write_objects },
	{ "Sessions", true, true, write_sessions },
	{ "Leases", true, true, write_leases },
	{ "Cache", true, true, write_cache },
	{ "Keyspace", true, true, write_keyspace },
};
const size_t info_sections_count = sizeof(info_sections) / sizeof(info_sections[0]);

static int64_t setting(const _Atomic int64_t *field)
{
	return atomic_load_explicit(field, memory_order_relaxed);
}

static void number(struct buffer *out, const char *name, uint64_t value)
{
	buffer_format(out, "%s:%" PRIu64 "\r\n", name, value);
}

static void text(struct buffer *out, const char *name, const char *value)
{
	buffer_format(out, "%s:%s\r\n", name, value);
}

/* In bytes, and again for people. */
static void size(struct buffer *out, const char *name, uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	double shown = (double)bytes;
	size_t unit = 0;
	while (shown >= 1024 && unit + 1 < sizeof(units) - 1) {
		shown /= 1024;
		unit++;
	}
	number(out, name, bytes);
	buffer_format(out, unit ? "%s_human:%.2f%c\r\n" : "%s_human:%.0f%c\r\n", name, shown,
		units[unit]);
}

static double ratio(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}
