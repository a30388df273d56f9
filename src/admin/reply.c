/*
 * reply: short forms for the handlers of this folder, so that each of them reads as what it does.
 * An error replaces whatever has been written and marks the request, which is how the counts of
 * failed calls come about.
 *
 * Threads: whoever owns the request.
 */
#include "admin/reply.h"

#include "base/number.h"

#include <stdarg.h>
#include <stdio.h>

void reply_ok(struct request *request)
{
	struct writer writer = reply_writer(request);
	writer_ok(&writer);
}

void reply_integer(struct request *request, int64_t value)
{
	struct writer writer = reply_writer(request);
	writer_integer(&writer, value);
}

void reply_error(struct request *request, const char *format, ...)
{
	char text[1024];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	request->reply.size = 0;
	request->turn.failed = true;
	struct writer writer = reply_writer(request);
	writer_error(&writer, "%s", text);
}

bool reply_read_integer(
	struct request *request, uint32_t index, int64_t *out, const char *complaint)
{
	if (number_parse_i64(request->asked.arguments[index], out))
		return true;
	reply_error(request, "%s", complaint ? complaint : ERROR_NOT_INTEGER);
	return false;
}
