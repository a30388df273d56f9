/*
 * latency_commands: LATENCY, see latency.c. Histograms by command are not kept: LATENCY HISTOGRAM
 * answers as a Redis that has counted nothing yet.
 *
 * Threads: the connection's loop.
 */
#include "admin/admin.h"
#include "admin/reply.h"

void admin_latency_latest(struct connection *connection, struct request *request)
{
	struct writer writer = reply_writer(request);
	latency_write_latest(reply_environment(request)->latency, &writer);
}

void admin_latency_history(struct connection *connection, struct request *request)
{
	struct writer writer = reply_writer(request);
	latency_write_history(reply_environment(request)->latency, &writer, request->arguments[2]);
}

void admin_latency_reset(struct connection *connection, struct request *request)
{
	struct latency *latency = reply_environment(request)->latency;
	int64_t count = 0;
	if (request->argument_count == 2)
		count = (int64_t)latency_forget_all(latency);
	for (uint32_t i = 2; i < request->argument_count; i++)
		count += latency_forget(latency, request->arguments[i]);
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

void admin_latency_histogram(struct connection *connection, struct request *request)
{
	struct writer writer = reply_writer(request);
	writer_map(&writer, 0);
}
