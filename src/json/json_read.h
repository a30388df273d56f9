/*
 * json_read: the values of a text one after the other, in the order in which they begin. Of each
 * array and object it is known beforehand how much is in it, so that what is made from it can be
 * written straight on.
 *
 *   {"a": [1, null], "b": 2, "b": 3}  ->  object of 2; name a; array of 2; number 1; null;
 *                                         name b; number 3
 *
 * Of members of one name in an object only the last is there.
 */
#ifndef JSON_JSON_READ_H
#define JSON_JSON_READ_H

#include "base/buffer.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum json_kind {
	JSON_ITEM_NULL,
	JSON_ITEM_FALSE,
	JSON_ITEM_TRUE,
	JSON_ITEM_NUMBER,
	JSON_ITEM_STRING,
	JSON_ITEM_NAME,
	JSON_ITEM_ARRAY,
	JSON_ITEM_OBJECT,
};

struct json_item {
	enum json_kind kind;
	struct slice text; /* a number as it is written; of a string or name what the quotes hold */
	bool escaped;      /* there are escapes in it */
	uint32_t count;    /* an array's elements, an object's members */
};

struct json_reader {
	const char *at, *end;
	struct buffer counts;   /* uint32_t for each array and object, in the order they begin */
	uint32_t counts_passed; /* of those */
	struct buffer dead;     /* uint32_t: the numbers of names that are overridden, rising */
	uint32_t dead_passed;
	uint32_t names_passed;
};

/* `text` is what json_check has accepted, of up to UINT32_MAX bytes, and stays lent. */
void json_reader_init(struct json_reader *reader, struct slice text);
void json_reader_fini(struct json_reader *reader);
/* The next item: false at the end. */
bool json_read(struct json_reader *reader, struct json_item *out);
/* What a string or name stands for: its text, or where it has escapes `scratch`, which is emptied
 * before. */
struct slice json_item_text(const struct json_item *item, struct buffer *scratch);

#endif
