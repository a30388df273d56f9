/*
 * json_fields: what a merge's patch holds, in an array that is searched by name.
 */
#ifndef JSON_JSON_FIELDS_H
#define JSON_JSON_FIELDS_H

#include "base/buffer.h"
#include "base/slice.h"
#include "json/json_private.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_FEW 16 /* items of an array that need no memory; fields that are not sorted */

/* Offsets are into the patch. The first field is the root: the whole patch. */
struct json_field {
	uint32_t name, name_size;    /* within the quotes; in `names` when escaped */
	uint32_t start, value, stop; /* its name's quote, its value, behind its value */
	uint32_t parent, end;        /* the field it lies in; behind the last that lies in it */
	uint32_t edit;               /* the last that met it; 0 is none */
	bool escaped;
	bool is_object;
	bool removes; /* a null */
	bool dead;    /* another of its name follows */
	bool changed; /* something within it is left out, so that it is not copied as it is */
};

struct json_fields {
	struct slice patch;
	bool deep;
	struct json_field *at;
	uint32_t count, capacity;
	struct json_sorted *sorted; /* all but the root; NULL when they are few */
	struct buffer names;        /* unescaped, where they differ from what is written */
	struct json_work work;      /* the whole merge's */
	struct json_field few[JSON_FEW];
};

/* Reads a patch, which stays lent. `deep`: the fields of its fields too, and nulls remove. */
void json_fields_init(struct json_fields *fields, struct slice patch, bool deep);
void json_fields_fini(struct json_fields *fields);
/* The field that a member of its parent's object meets, the last of the name; 0 when there is
 * none. `name` is unescaped. */
uint32_t json_fields_find(struct json_fields *fields, uint32_t parent, struct slice name);

/* Steps that are counted. */
const char *json_name_pass(
	struct json_work *work, const char *at, const char *end, struct slice *name, bool *escaped);
const char *json_value_pass(struct json_work *work, const char *at, const char *end);

/* Appends what the inside of a string stands for. */
void json_unescape_all(struct slice string, struct buffer *out);

/* Doubles an array, which is `few` at first and in memory of its own then. */
void *json_array_grow(void *array, const void *few, uint32_t *capacity, size_t item_bytes);

#endif
