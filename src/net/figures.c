/*
 * figures: what loops count of commands and of errors, for INFO and LATENCY: per command its calls,
 * their time and failures and, with latency-tracking, how often each duration came; of errors how
 * often each code came, as in Redis up to LIMIT_ERROR_CODES of them.
 *
 * A histogram is made when its command is first called on a loop, so commands that nobody uses cost
 * nothing, and stays until the loop is closed.
 *
 * Threads: counts of commands are their loop's to write and anybody's to read, relaxed. Error codes
 * stand under their lock, a leaf: errors are few.
 */
#include "net/figures.h"

#include "base/memory.h"
#include "holdfast/limits.h"
#include "net/net_private.h"

#include <ctype.h>
#include <string.h>

#define SLOW_ALWAYS_NS 1000000

/* As Redis names what has no room. */
#define OVERFLOW_CODE "ERRORSTATS_OVERFLOW"

struct error_code {
	char code[ERROR_CODE_BYTES + 1];
	uint64_t count;
};

struct error_figures {
	pthread_mutex_t lock;
	struct error_code codes[LIMIT_ERROR_CODES + 1];
	uint32_t used;
	uint64_t total;
};

void figures_open(struct net *net)
{
	net->errors = memory_zeroed(sizeof(*net->errors));
	pthread_mutex_init(&net->errors->lock, NULL);
}

void figures_close(struct net *net)
{
	pthread_mutex_destroy(&net->errors->lock);
	memory_free(net->errors);
}

void figures_open_loop(struct net_loop *loop)
{
	loop->stats =
		memory_zeroed(loop->net->options.commands->count * sizeof(struct command_stats));
}

void figures_close_loop(struct net_loop *loop)
{
	for (uint32_t i = 0; i < loop->net->options.commands->count; i++)
		memory_free(loop->stats[i].durations);
	memory_free(loop->stats);
}

/* --- counting --------------------------------------------------------------------------------- */

static void note_duration(struct command_stats *stats, uint64_t ns)
{
	struct histogram *durations = atomic_load_explicit(&stats->durations, memory_order_relaxed);
	if (durations == NULL) {
		durations = memory_zeroed(sizeof(*durations));
		atomic_store_explicit(&stats->durations, durations, memory_order_release);
	}
	histogram_add(durations, ns);
}

void figures_count_command(struct net_loop *loop, const struct request *request)
{
	const struct net_options *options = &loop->net->options;
	const struct config *config = loop->net->config;
	struct command_stats *stats =
		&loop->stats[request->asked.command - options->commands->commands];
	/* One writer each: no need for read-modify-write instructions. */
	atomic_store_explicit(&loop->commands, loop->commands + 1, memory_order_relaxed);
	atomic_store_explicit(&stats->calls, stats->calls + 1, memory_order_relaxed);
	atomic_store_explicit(&stats->ns, stats->ns + request->elapsed_ns, memory_order_relaxed);
	if (request->turn.failed)
		stats->failed++;
	if (atomic_load_explicit(&config->latency_tracking, memory_order_relaxed))
		note_duration(stats, request->elapsed_ns);
	int64_t threshold_us = atomic_load_explicit(&config->slowlog_us, memory_order_relaxed);
	if ((threshold_us >= 0 && request->elapsed_ns >= (uint64_t)threshold_us * 1000) ||
		request->elapsed_ns >= SLOW_ALWAYS_NS)
		options->slow(options->environment, request);
}

void figures_count_rejected(struct net_loop *loop, const struct command *command)
{
	loop->stats[command - loop->net->options.commands->commands].rejected++;
}

/* The first word of an error, with nothing that INFO's form would take for something else. */
static void read_code(struct slice error, char code[ERROR_CODE_BYTES + 1])
{
	size_t size = 0;
	while (size < ERROR_CODE_BYTES && size < error.size &&
		!isspace((unsigned char)error.data[size])) {
		char c = error.data[size];
		code[size++] =
			c == ':' || c == '=' || c == ',' || !isprint((unsigned char)c) ? '_' : c;
	}
	code[size] = '\0';
}

void figures_count_error(struct net *net, struct slice reply)
{
	struct error_figures *errors = net->errors;
	char code[ERROR_CODE_BYTES + 1];
	read_code(slice_of(reply.data + 1, reply.size - 1), code);
	pthread_mutex_lock(&errors->lock);
	errors->total++;
	uint32_t at = 0;
	while (at < errors->used && strcmp(errors->codes[at].code, code) != 0)
		at++;
	if (at == errors->used && at < LIMIT_ERROR_CODES)
		memcpy(errors->codes[errors->used++].code, code, sizeof(code));
	errors->codes[at].count++;
	pthread_mutex_unlock(&errors->lock);
}

/* --- reading ---------------------------------------------------------------------------------- */

void net_stats(const struct net *net, struct net_stats *out)
{
	*out = (struct net_stats){
		.connections_received = net->connections_received,
		.connections_rejected = net->connections_rejected,
		.held_bytes =
			net->input_bytes + net->engine->output_bytes + net->engine->gathered_bytes,
	};
	for (uint16_t i = 0; i < net->loop_count; i++) {
		const struct net_loop *loop = &net->loops[i];
		out->clients += loop->client_count;
		out->input_bytes += loop->input_bytes;
		out->output_bytes += loop->output_bytes;
		out->reads += loop->reads;
		out->writes += loop->writes;
		out->commands += loop->commands;
		out->output_limit_drops += loop->output_limit_drops;
		out->evictions += loop->evictions;
		if (net->first_serving > 0) {
			out->io_reads += loop->reads;
			out->io_writes += loop->writes;
		}
		out->protocol_errors += loop->protocol_errors;
	}
	pthread_mutex_lock(&net->errors->lock);
	out->errors = net->errors->total;
	pthread_mutex_unlock(&net->errors->lock);
}

void net_command_stats(const struct net *net, uint32_t command, uint64_t *calls, uint64_t *ns,
	uint64_t *failed, uint64_t *rejected)
{
	*calls = *ns = *failed = *rejected = 0;
	for (uint16_t i = 0; i < net->loop_count; i++) {
		const struct command_stats *stats = &net->loops[i].stats[command];
		*calls += stats->calls;
		*ns += stats->ns;
		*failed += stats->failed;
		*rejected += stats->rejected;
	}
}

bool net_command_durations(const struct net *net, uint32_t command, struct histogram *out)
{
	histogram_clear(out);
	bool any = false;
	for (uint16_t i = 0; i < net->loop_count; i++) {
		const struct histogram *durations = atomic_load_explicit(
			&net->loops[i].stats[command].durations, memory_order_acquire);
		if (durations == NULL)
			continue;
		histogram_sum(out, durations);
		any = true;
	}
	return any && histogram_count(out) > 0;
}

void net_each_error(const struct net *net, net_error_fn each, void *context)
{
	struct error_figures *errors = net->errors;
	pthread_mutex_lock(&errors->lock);
	for (uint32_t i = 0; i < errors->used; i++)
		each(context, errors->codes[i].code, errors->codes[i].count);
	if (errors->codes[LIMIT_ERROR_CODES].count)
		each(context, OVERFLOW_CODE, errors->codes[LIMIT_ERROR_CODES].count);
	pthread_mutex_unlock(&errors->lock);
}

static void reset_loop(struct net_loop *loop)
{
	loop->input_bytes = 0;
	loop->output_bytes = 0;
	loop->reads = 0;
	loop->writes = 0;
	loop->commands = 0;
	loop->output_limit_drops = 0;
	loop->evictions = 0;
	loop->protocol_errors = 0;
	for (uint32_t c = 0; c < loop->net->options.commands->count; c++) {
		struct command_stats *stats = &loop->stats[c];
		stats->calls = 0;
		stats->ns = 0;
		stats->failed = 0;
		stats->rejected = 0;
		struct histogram *durations =
			atomic_load_explicit(&stats->durations, memory_order_acquire);
		if (durations)
			histogram_clear(durations);
	}
}

void net_reset_stats(struct net *net)
{
	net->connections_received = 0;
	net->connections_rejected = 0;
	for (uint16_t i = 0; i < net->loop_count; i++)
		reset_loop(&net->loops[i]);
	pthread_mutex_lock(&net->errors->lock);
	memset(net->errors->codes, 0, sizeof(net->errors->codes));
	net->errors->used = 0;
	net->errors->total = 0;
	pthread_mutex_unlock(&net->errors->lock);
}
