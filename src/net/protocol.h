/*
 * protocol: from the bytes of a client to requests. A listener says which protocol its clients
 * speak; RESP is all there is.
 *
 * Threads: the loop's of its connection.
 */
#ifndef NET_PROTOCOL_H
#define NET_PROTOCOL_H

#include "request/request.h"
#include "resp/reader.h"

#include <stdbool.h>
#include <stddef.h>

enum protocol_kind { PROTOCOL_RESP };

enum protocol_result {
	PROTOCOL_MORE,    /* the rest has not come yet */
	PROTOCOL_REQUEST, /* one that is whole */
	PROTOCOL_BROKEN,  /* one whose reply is to be protocol_error; nothing is read behind it */
	PROTOCOL_FOREIGN, /* another protocol, as protocol_error says: no answer helps */
};

struct protocol {
	enum protocol_kind kind;
	struct reader *reader;
	struct request *reading; /* whose command is being read */
};

void protocol_init(struct protocol *protocol, enum protocol_kind kind);
void protocol_fini(struct protocol *protocol, struct request_pool *pool);
/* Bytes have come; they are borrowed until protocol_next says PROTOCOL_MORE, or protocol_rest. */
void protocol_feed(struct protocol *protocol, struct slice bytes);
/* The next request, from the pool, when it is whole or broken. */
enum protocol_result protocol_next(struct protocol *protocol, const struct reader_limits *limits,
	struct request_pool *pool, struct request **out);
/* Nothing more is read now. With `more` bytes are left that were not looked at: they are copied. */
void protocol_rest(struct protocol *protocol, struct request_pool *pool, bool more);
/* That it holds of what has come. */
size_t protocol_bytes(const struct protocol *protocol);
const char *protocol_error(const struct protocol *protocol);

#endif
