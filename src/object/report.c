/*
 * report: see report.h.
 *
 * What a line names comes from clients and classes: control bytes are escaped, so that a line stays
 * one line, and it is cut.
 *
 * Threads: the worker's.
 */
#include "object/report.h"

#include "base/hash.h"
#include "base/logline.h"
#include "object/objects_private.h"

#include <stdarg.h>
#include <stdio.h>

#define WHILE_MS      10000
#define WRITTEN_MAX   20 /* lines a while */
#define ID_BYTES_MAX  64 /* shown of an id */
#define LINE_BYTES    4096
#define UNWRITTEN_MAX 96 /* bytes of how many were not written */

void report_name(const struct object_name *name, char out[REPORT_NAME_BYTES])
{
	size_t used = (size_t)snprintf(out, REPORT_NAME_BYTES, "%.*s '", (int)name->class_name.size,
		name->class_name.data);
	for (size_t i = 0; i < name->id.size && i < ID_BYTES_MAX; i++) {
		unsigned char byte = (unsigned char)name->id.data[i];
		bool plain = byte >= 0x20 && byte != 0x7f && byte != '\'' && byte != '\\';
		used += (size_t)snprintf(
			out + used, REPORT_NAME_BYTES - used, plain ? "%c" : "\\x%02x", byte);
	}
	snprintf(out + used, REPORT_NAME_BYTES - used, "%s'",
		name->id.size > ID_BYTES_MAX ? "..." : "");
}

void report_say(
	struct objects *objects, const struct call *call, int level, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list list;
	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	for (char *at = line; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
	if (objects->options.say)
		objects->options.say(objects->options.say_context, call, level, line);
	else
		logline((enum logline_level)level, "%s", line);
}

/* False: not now. Else how many were left out before goes into `unwritten`. */
static bool may_write(
	struct objects *objects, struct report_limit *limit, char unwritten[UNWRITTEN_MAX])
{
	int64_t now_ms = objects_steady_ms(objects);
	unwritten[0] = '\0';
	if (now_ms >= limit->until_ms) {
		if (limit->unwritten)
			snprintf(unwritten, UNWRITTEN_MAX,
				" (and %llu errors of the class before it)",
				(unsigned long long)limit->unwritten);
		*limit = (struct report_limit){ .until_ms = now_ms + WHILE_MS };
	}
	if (limit->written == WRITTEN_MAX) {
		limit->unwritten++;
		return false;
	}
	limit->written++;
	return true;
}

void report_error(struct objects *objects, struct report_limit *limit,
	const struct object_name *name, const char *error, const char *traceback)
{
	char shown[REPORT_NAME_BYTES], unwritten[UNWRITTEN_MAX];
	if (!may_write(objects, limit, unwritten))
		return;
	report_name(name, shown);
	report_say(objects, NULL, LOGLINE_WARNING, "%s: %s%s%s%s", shown, error,
		traceback[0] ? "; traceback: " : "", traceback, unwritten);
}

static const char *kind_of(const struct due *due)
{
	switch (due->kind) {
	case DUE_ALARM:
		return "alarm";
	case DUE_SCHEDULE:
		return "schedule";
	default:
		return "wake";
	}
}

void report_job(struct objects *objects, struct report_limit *limit, const struct due *due,
	const char *error, uint32_t tries, int64_t again_ms)
{
	char shown[REPORT_NAME_BYTES], unwritten[UNWRITTEN_MAX], again[64] = "it is given up";
	if (!may_write(objects, limit, unwritten))
		return;
	report_name(&due->object, shown);
	if (again_ms >= 0)
		snprintf(again, sizeof(again), "it runs again in %lld s",
			(long long)(again_ms + 999) / 1000);
	report_say(objects, NULL, LOGLINE_WARNING, "%s %.*s%sof %s failed, try %u: %s; %s%s",
		kind_of(due), (int)due->name.size, due->name.data, due->name.size ? " " : "", shown,
		tries, error, again, unwritten);
}

/* The text of the refusal names the host and the parameter, so it is what is remembered. */
void report_refused(
	struct objects *objects, const struct object_name *name, const struct fetch *fetch)
{
	struct report_hosts *hosts = &objects->refused;
	uint64_t hash = hash_bytes(slice_text(fetch->error));
	char shown[REPORT_NAME_BYTES];
	for (uint32_t i = 0; i < hosts->count; i++)
		if (hosts->seen[i] == hash)
			return;
	if (hosts->count == REPORT_HOSTS_MAX)
		return;
	hosts->seen[hosts->count++] = hash;
	report_name(name, shown);
	report_say(objects, NULL, LOGLINE_WARNING, "http.fetch of %s is refused: %s%s", shown,
		fetch->error,
		hosts->count == REPORT_HOSTS_MAX ? " (further hosts are not told of)" : "");
}
