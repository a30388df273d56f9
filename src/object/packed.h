/*
 * packed: a typed value as bytes: what a class's values become when they are stored, handed to
 * another object or shown. A storage value that is a string stands as it is (VALUE_BYTES); any
 * other is packed (VALUE_PACKED). The bytes are on disk: they are described in
 * include/holdfast/object_format.h.
 *
 * A table is its sequence (1 .. n) followed by its other pairs. One that was a JSON object, or that
 * a class has called one (json.object), is an object also when it is empty. json.null is a value of
 * its own: nil is no value at all.
 */
#ifndef OBJECT_PACKED_H
#define OBJECT_PACKED_H

#include "base/buffer.h"
#include "base/slice.h"
#include "resp/writer.h"
#include "store/value.h"

#include <stdint.h>

enum packed_kind {
	PACKED_NIL,
	PACKED_FALSE,
	PACKED_TRUE,
	PACKED_INTEGER,
	PACKED_FLOAT,
	PACKED_STRING,
	PACKED_TABLE,
	PACKED_OBJECT, /* a table too */
	PACKED_NULL,
};

void packed_add_nil(struct buffer *out);
void packed_add_null(struct buffer *out);
void packed_add_boolean(struct buffer *out, bool value);
void packed_add_integer(struct buffer *out, int64_t value);
void packed_add_float(struct buffer *out, double value);
void packed_add_string(struct buffer *out, struct slice bytes);
/* `items` values follow, then `pairs` times a key and its value. */
void packed_add_table(struct buffer *out, uint64_t items, uint64_t pairs);
void packed_add_object(struct buffer *out, uint64_t items, uint64_t pairs);

struct packed_item {
	enum packed_kind kind;
	int64_t integer;
	double number;
	struct slice bytes; /* points into what is read */
	uint64_t items;
	uint64_t pairs;
};

/* Takes the next item off the front of `*rest`: a table's parts come after it. False when the bytes
 * are damaged or at an end. */
bool packed_take(struct slice *rest, struct packed_item *out);
/* Exactly one whole value, not nested deeper than LIMIT_PACKED_DEPTH. */
bool packed_is_whole(struct slice packed);

/* The functions below that read packed bytes want them packed_is_whole. */

/* As JSON. An object, and a table with pairs, is an object (keys as text, in byte order; the
 * sequence under "1", "2", ...), any other table an array, an empty one []. nil and NaN are null,
 * an infinity is 1e999, as which JSON reads one; half a surrogate pair is its escape again, any
 * other byte that is not part of UTF-8 U+FFFD. A float always shows that it is one (1.0). */
void packed_to_json(struct slice packed, struct buffer *out);

/* One string of it; it ends where it is soon after `out` has become longer than `most`. */
void packed_string_to_json(struct slice bytes, struct buffer *out, size_t most);
/* By RFC 3629. */
bool packed_is_utf8(struct slice bytes);

/* For who writes within a bound. */
struct packed_pace {
	/* Told every so often how much has been done since, in units of about what an instruction
	 * of Lua costs. False: the writing ends where it is. May not leave by a jump. */
	bool (*go_on)(void *context, uint64_t units);
	void *context;
	size_t bytes_max; /* of JSON: it also ends soon after `out` has become longer */
};

/* The same; false when it has not been written to its end. */
bool packed_to_json_paced(struct slice packed, struct buffer *out, const struct packed_pace *pace);

struct packed_json_options {
	/* Integers beyond 64 bits, numbers beyond floats and those of whose digits a float would
	 * lose some become strings, as they are written. Otherwise they become floats. */
	bool big_numbers_as_text;
	/* null becomes nil: absent in an object, a hole in an array. */
	bool null_as_nil;
};

/* What json_check_bytes takes. Objects stay objects (of two equal keys the last holds), integers
 * within 64 bits integers. `options` may be NULL. 0; or -EINVAL, `out` as it was and in `error`
 * what is wrong at which byte: also text of more than LIMIT_JSON_BYTES and nesting beyond
 * LIMIT_PACKED_DEPTH. */
int packed_from_json(struct slice text, const struct packed_json_options *options,
	struct buffer *out, char *error, size_t error_size);

/* As a reply: nil and null are null; booleans, integers, strings as such; floats RESP3 doubles; a
 * table that is an array in packed_to_json an array, any other a map (keys as bulk strings). */
void packed_write(struct slice packed, struct writer *writer);
/* The same; false when it has not been written to its end, also because the writer's limit does not
 * let it, which is `full` then. */
bool packed_write_paced(struct slice packed, struct writer *writer, const struct packed_pace *pace);
/* A storage value as text: a string as it is, integers and floats in decimal (as in JSON, and inf,
 * -inf, nan), booleans `true` and `false`, nil and null `null`, tables as JSON. Appended to `out`.
 */
void packed_show_value(const struct value *value, struct buffer *out);

#endif
