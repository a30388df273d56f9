/*
 * json: JSON as text. Sessions keep it byte for byte as it came, so what works on it scans the text
 * and copies pieces of it; there is no tree, and no number is read.
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/buffer.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct json_error {
	size_t position; /* of the first byte that nothing valid has behind the bytes before it; the
			  * text's size when it ends too early */
	const char *why; /* for a client to read; lives for ever */
};

/* One whole text of RFC 8259 in valid UTF-8 with at most LIMIT_JSON_DEPTH arrays and objects within
 * each other and LIMIT_JSON_VALUES values. As with JSON.parse names of an object may repeat, and an
 * escape may be a surrogate without its other half. Before the value may stand a byte order mark
 * and white space, behind it any white space of JavaScript. `error` is set when it is false, and
 * may be NULL. */
bool json_check(struct slice text, struct json_error *error);
/* The same, but strings may have any bytes from 0x80: what a browser's response.json() reads. */
bool json_check_bytes(struct slice text, struct json_error *error);

struct json_bounds {
	unsigned depth; /* up to LIMIT_IMPORT_DEPTH */
	size_t values;
	bool any_bytes;
};

/* The same within other bounds. */
bool json_check_within(
	struct slice text, const struct json_bounds *bounds, struct json_error *error);

/* The rest take text that one of these has accepted (within the bounds of json_check, where it is
 * not said otherwise), of up to UINT32_MAX bytes in merges. Names are
 * compared after unescaping, half a surrogate pair being the three bytes that UTF-8 would give it;
 * of members of one name in an object the last counts. */

bool json_is_object(struct slice text);

/* Objects both. Appends `base` to `out` with the values of `patch` in place of those of the same
 * name, and behind its last member those members of `patch` that it had not, in their order.
 * Everything else of `base` stays byte for byte, white space too, but that of members whose name
 * `patch` has only the last remains. `out` holds neither of them. */
void json_merge_fields(struct slice base, struct slice patch, struct buffer *out);

/* The same by RFC 7396: null removes, objects are merged within objects, anything else replaces.
 * Either may be any value. What comes new from `patch` comes as it is written there unless a null
 * or an earlier member of a name had to go. */
void json_merge_patch(struct slice base, struct slice patch, struct buffer *out);

/* `path` is names of members and indices of arrays with dots between: "user.roles.0". A backslash
 * before a dot or a backslash takes it literally. The empty path is the member whose name is empty.
 * `out` becomes the value's text, within `text`. False when there is none. */
bool json_find(struct slice text, struct slice path, struct slice *out);

/* Takes the first element off `rest`: an array's text, then what earlier calls have left of it.
 * False at the end. Any bounds. */
bool json_element(struct slice *rest, struct slice *out);

#endif
