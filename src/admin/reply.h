/*
 * reply: what the handlers of this folder share for reading arguments and answering.
 */
#ifndef ADMIN_REPLY_H
#define ADMIN_REPLY_H

#include "admin/environment.h"
#include "holdfast/errors.h"
#include "request/request.h"
#include "resp/writer.h"

/* What clients are told: they choose the features they use by Redis's version. */
#define REPLY_REDIS_VERSION "7.2.4"

static inline struct environment *reply_environment(const struct request *request)
{
	return request->environment;
}

/* Types by what the request's connection speaks. */
static inline struct writer reply_writer(struct request *request)
{
	return (struct writer){ .out = &request->reply, .protocol = request->asked.protocol };
}

void reply_ok(struct request *request);
void reply_integer(struct request *request, int64_t value);
/* Drops the reply so far; the request counts as failed. */
void reply_error(struct request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Argument `index` as an integer; false: answered with `complaint`, or with Redis's usual error
 * when that is NULL. */
bool reply_read_integer(
	struct request *request, uint32_t index, int64_t *out, const char *complaint);

/* For "%.*s" in errors: the argument, cut. */
#define REPLY_SHOWN_BYTES_MAX 128
static inline int reply_shown(struct slice text)
{
	return text.size < REPLY_SHOWN_BYTES_MAX ? (int)text.size : REPLY_SHOWN_BYTES_MAX;
}

#endif
