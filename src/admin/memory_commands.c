/*
 * memory_commands: MEMORY, but for MEMORY USAGE, which is about a key.
 *
 * Threads: the connection's loop.
 */
#include "admin/admin.h"
#include "admin/reply.h"
#include "base/memory.h"

static void write_number(struct writer *writer, const char *name, uint64_t value);
static void write_ratio(struct writer *writer, const char *name, uint64_t part, uint64_t whole);

/* What Redis's doctor looks for (fragmentation, big client buffers) is bounded here by limits; what
 * can grow is the overlay. */
void admin_memory_doctor(struct connection *connection, struct request *request)
{
	struct environment *environment = reply_environment(request);
	uint64_t overlay =
		atomic_load_explicit(&environment->engine->overlay_bytes, memory_order_relaxed);
	uint64_t limit = (uint64_t)atomic_load_explicit(
		&environment->config->overlay_bytes_max, memory_order_relaxed);
	bool tight = overlay > limit / 4 * 3;
	struct writer writer = reply_writer(request);
	writer_verbatim(&writer, "txt",
		slice_text(tight ? "The overlay is nearly at its limit: writers are about to be "
				   "slowed until a checkpoint has finished. See overlay-memory.\n"
				 : "No memory problem was found.\n"));
}

void admin_memory_stats(struct connection *connection, struct request *request)
{
	struct environment *environment = reply_environment(request);
	uint64_t used = memory_used(), resident = memory_resident();
	uint64_t peak = meter_peak(environment->meter, used);
	struct writer writer = reply_writer(request);
	writer_map(&writer, 7);
	write_number(&writer, "peak.allocated", peak);
	write_number(&writer, "total.allocated", used);
	write_number(&writer, "overlay.bytes",
		atomic_load_explicit(&environment->engine->overlay_bytes, memory_order_relaxed));
	write_ratio(&writer, "peak.percentage", 100 * used, peak);
	write_number(&writer, "allocator.resident", resident);
	write_ratio(&writer, "fragmentation", resident, used);
	write_number(&writer, "fragmentation.bytes", resident > used ? resident - used : 0);
}

void admin_memory_purge(struct connection *connection, struct request *request)
{
	memory_give_back(0);
	reply_ok(request);
}

static void write_number(struct writer *writer, const char *name, uint64_t value)
{
	writer_bulk_text(writer, name);
	writer_integer(writer, (int64_t)value);
}

static void write_ratio(struct writer *writer, const char *name, uint64_t part, uint64_t whole)
{
	writer_bulk_text(writer, name);
	writer_double(writer, whole ? (double)part / (double)whole : 0);
}
