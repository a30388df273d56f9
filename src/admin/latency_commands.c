/*
 * latency_commands: LATENCY, see latency.c. LATENCY HISTOGRAM shows what net counts of each command
 * (net/figures.c) as Redis does: how many calls took less than 1, 2, 4, ... microseconds, roughly:
 * the bounds are powers of two of nanoseconds.
 *
 * Threads: the connection's loop.
 */
#include "admin/admin.h"
#include "admin/reply.h"

#define FIRST_BOUND_NS 1024

void admin_latency_latest(struct connection *connection, struct request *request)
{
	struct writer writer = reply_writer(request);
	latency_write_latest(reply_environment(request)->latency, &writer);
}

void admin_latency_history(struct connection *connection, struct request *request)
{
	struct writer writer = reply_writer(request);
	latency_write_history(
		reply_environment(request)->latency, &writer, request->asked.arguments[2]);
}

void admin_latency_reset(struct connection *connection, struct request *request)
{
	struct latency *latency = reply_environment(request)->latency;
	int64_t count = 0;
	if (request->asked.argument_count == 2)
		count = (int64_t)latency_forget_all(latency);
	for (uint32_t i = 2; i < request->asked.argument_count; i++)
		count += latency_forget(latency, request->asked.arguments[i]);
	reply_integer(request, count);
}

void admin_latency_doctor(struct connection *connection, struct request *request)
{
	struct environment *environment = reply_environment(request);
	struct buffer text;
	buffer_init(&text);
	latency_describe(environment->latency, &text);
	if (text.size == 0 &&
		atomic_load_explicit(
			&environment->config->latency_threshold_ms, memory_order_relaxed) == 0)
		buffer_append_text(&text,
			"Latency monitoring is off. CONFIG SET latency-monitor-threshold "
			"<milliseconds> turns it on.\n");
	else if (text.size == 0)
		buffer_append_text(&text, "Nothing has taken longer than the threshold.\n");
	struct writer writer = reply_writer(request);
	writer_verbatim(&writer, "txt", buffer_slice(&text));
	buffer_fini(&text);
}

/* The first bound that is shown, and each that has more below it than the one before. */
static void write_histogram(struct writer *writer, const struct histogram *durations)
{
	uint64_t bounds_us[HISTOGRAM_TOP_BIT], counts[HISTOGRAM_TOP_BIT];
	uint64_t bound_ns = FIRST_BOUND_NS, below = 0, shown = 0;
	size_t count = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		below += durations->counts[i];
		bool last = i + 1 == HISTOGRAM_BUCKETS;
		if (histogram_end_ns(i) < bound_ns && !last)
			continue;
		if (below > shown) {
			bounds_us[count] = bound_ns / 1000;
			counts[count++] = below;
			shown = below;
		}
		bound_ns *= 2;
	}
	writer_map(writer, 2);
	writer_bulk_text(writer, "calls");
	writer_integer(writer, (int64_t)below);
	writer_bulk_text(writer, "histogram_usec");
	writer_map(writer, count);
	for (size_t i = 0; i < count; i++) {
		writer_integer(writer, (int64_t)bounds_us[i]);
		writer_integer(writer, (int64_t)counts[i]);
	}
}

/* Named itself, or its container was; without names all are. */
static bool is_asked_for(const struct request *request, const struct command *command)
{
	const char *bar = strchr(command->name, '|');
	struct slice container = slice_of(command->name, bar ? (size_t)(bar - command->name) : 0);
	bool asked = request->asked.argument_count == 2;
	for (uint32_t i = 2; i < request->asked.argument_count && !asked; i++) {
		struct slice named = request->asked.arguments[i];
		asked = slice_is(named, command->name) ||
			(bar && named.size == container.size &&
				strncasecmp(named.data, container.data, named.size) == 0);
	}
	return asked;
}

void admin_latency_histogram(struct connection *connection, struct request *request)
{
	struct environment *environment = reply_environment(request);
	const struct command_set *set = environment->commands;
	struct histogram durations;
	struct buffer shown;
	struct writer inner = { .out = &shown, .protocol = request->asked.protocol };
	size_t count = 0;
	buffer_init(&shown);
	for (uint32_t i = 0; i < set->count; i++) {
		if (!is_asked_for(request, &set->commands[i]) ||
			!net_command_durations(environment->net, i, &durations))
			continue;
		writer_bulk_text(&inner, set->commands[i].name);
		write_histogram(&inner, &durations);
		count++;
	}
	struct writer writer = reply_writer(request);
	writer_map(&writer, count);
	buffer_append(&request->reply, shown.data, shown.size);
	buffer_fini(&shown);
}
