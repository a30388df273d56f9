/*
 * transfer_text: typed values as the JSON of DO.EXPORT, and back without loss; see
 * transfer_commands.c for the format.
 *
 * Threads: any.
 */
#ifndef OBJECT_TRANSFER_TEXT_H
#define OBJECT_TRANSFER_TEXT_H

#include "base/arena.h"
#include "base/buffer.h"
#include "store/value.h"

#include <jansson.h>

/* Append to `out`; false: it has become longer than `most`, or would have, and ends anywhere. */
bool transfer_write_string(struct buffer *out, struct slice bytes, size_t most);
/* One whole packed value. */
bool transfer_write_packed(struct buffer *out, struct slice packed, size_t most);
/* A storage value. */
bool transfer_write_value(struct buffer *out, const struct value *value, size_t most);

/* A whole text as jansson's tree: also what src/json takes and jansson does not. NULL: `error` says
 * why. A name may not repeat within an object. */
json_t *transfer_parse(struct slice text, json_error_t *error);

/* What is read is in `arena`. False: `*why` says what is wrong. */
bool transfer_read_string(
	const json_t *json, struct arena *arena, struct slice *out, const char **why);
bool transfer_read_packed(
	const json_t *json, struct arena *arena, struct slice *out, const char **why);
/* null is no storage value. */
bool transfer_read_value(
	const json_t *json, struct arena *arena, struct value *out, const char **why);

#endif
