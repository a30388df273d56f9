/*
 * protocol: see protocol.h. The request into which a command is being read is taken from the pool
 * when the first bytes come, and given back when the connection rests without having begun one: so
 * idle clients hold none.
 *
 * Threads: see protocol.h.
 */
#include "net/protocol.h"

#include <assert.h>

void protocol_init(struct protocol *protocol, enum protocol_kind kind)
{
	assert(kind == PROTOCOL_RESP);
	*protocol = (struct protocol){ .kind = kind, .reader = reader_new() };
}

void protocol_fini(struct protocol *protocol, struct request_pool *pool)
{
	if (protocol->reading)
		request_put(pool, &protocol->reading);
	reader_free(&protocol->reader);
}

void protocol_feed(struct protocol *protocol, struct slice bytes)
{
	reader_feed(protocol->reader, bytes);
}

enum protocol_result protocol_next(struct protocol *protocol, const struct reader_limits *limits,
	struct request_pool *pool, struct request **out)
{
	if (protocol->reading == NULL)
		protocol->reading = request_take(pool);
	struct request *request = protocol->reading;
	enum reader_result result = reader_next(protocol->reader, limits, &request->arena,
		&request->asked.arguments, &request->asked.argument_count);
	if (result == READER_MORE)
		return PROTOCOL_MORE;
	if (result == READER_FOREIGN)
		return PROTOCOL_FOREIGN;
	*out = request;
	protocol->reading = NULL;
	return result == READER_COMMAND ? PROTOCOL_REQUEST : PROTOCOL_BROKEN;
}

void protocol_rest(struct protocol *protocol, struct request_pool *pool, bool more)
{
	if (more)
		reader_hold(protocol->reader);
	if (protocol->reading && reader_bytes(protocol->reader) == 0)
		request_put(pool, &protocol->reading);
}

size_t protocol_bytes(const struct protocol *protocol)
{
	return reader_bytes(protocol->reader);
}

const char *protocol_error(const struct protocol *protocol)
{
	return reader_error(protocol->reader);
}
