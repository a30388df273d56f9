/*
 * slowlog_commands: SLOWLOG, see slowlog.c.
 *
 * Threads: the connection's loop.
 */
#include "admin/admin.h"
#include "admin/reply.h"

#define ENTRIES_DEFAULT 10

void admin_slowlog_get(struct connection *connection, struct request *request)
{
	int64_t count = ENTRIES_DEFAULT;
	if (request->asked.argument_count > 3) {
		reply_error(request, ERROR_ARITY, request->asked.command->name);
		return;
	}
	if (request->asked.argument_count == 3) {
		if (!reply_read_integer(request, 2, &count, ERROR_SLOWLOG_COUNT))
			return;
		if (count < -1) {
			reply_error(request, ERROR_SLOWLOG_COUNT);
			return;
		}
	}
	struct writer writer = reply_writer(request);
	slowlog_write(
		reply_environment(request)->slowlog, &writer, count < 0 ? SIZE_MAX : (size_t)count);
}

void admin_slowlog_len(struct connection *connection, struct request *request)
{
	reply_integer(request, (int64_t)slowlog_length(reply_environment(request)->slowlog));
}

void admin_slowlog_reset(struct connection *connection, struct request *request)
{
	slowlog_reset(reply_environment(request)->slowlog);
	reply_ok(request);
}
