/*
 * json_find: a value by its path, in one pass over the text.
 *
 * An object is read to its end even when the name has been met, because the last member of a name
 * counts: what was found is forgotten when the name comes again. So nothing is read twice, however
 * deep the path goes or often a name repeats.
 *
 * The path is split ahead. Text nests no deeper than LIMIT_JSON_DEPTH, so a path of more steps
 * leads nowhere and recursion is bounded by both.
 *
 * No state, no allocation; any thread.
 */
#include "json/json.h"

#include "base/number.h"
#include "holdfast/limits.h"
#include "json/json_private.h"

struct step {
	struct slice text; /* as written in the path */
	bool escaped;
};

struct search {
	const char *end; /* of the text */
	struct slice found;
	size_t steps_count;
	struct step steps[LIMIT_JSON_DEPTH];
};

static bool path_split(struct search *search, struct slice path);
static bool is_path_escape(struct slice path);
static const char *value_search(struct search *search, const char *at, size_t steps);
static const char *object_search(struct search *search, const char *at, size_t steps);
static const char *array_search(struct search *search, const char *at, size_t steps);
static bool name_is(struct slice name, bool escaped, const struct step *step);

bool json_find(struct slice text, struct slice path, struct slice *out)
{
	struct search search; /* large, and set by path_split as far as it is read */
	search.end = text.data + text.size;
	search.found = slice_of(NULL, 0);
	if (!path_split(&search, path))
		return false;
	value_search(&search, json_text_begin(text), 0);
	if (search.found.data == NULL)
		return false;
	*out = search.found;
	return true;
}

/* False when it has more steps than text can have levels. */
static bool path_split(struct search *search, struct slice path)
{
	struct step step = { .text = slice_of(path.data, 0) };
	search->steps_count = 0;
	for (;;) {
		if (path.size > 0 && path.data[0] != '.') {
			size_t size = is_path_escape(path) ? 2 : 1;
			step.escaped |= size == 2;
			step.text.size += size;
			path = slice_of(path.data + size, path.size - size);
			continue;
		}
		if (search->steps_count == LIMIT_JSON_DEPTH)
			return false;
		search->steps[search->steps_count++] = step;
		if (path.size == 0)
			return true;
		path = slice_of(path.data + 1, path.size - 1);
		step = (struct step){ .text = slice_of(path.data, 0) };
	}
}

static bool is_path_escape(struct slice path)
{
	return path.size >= 2 && path.data[0] == '\\' &&
		(path.data[1] == '.' || path.data[1] == '\\');
}

/* To behind the value, of which the path's first `steps` are behind. */
static const char *value_search(struct search *search, const char *at, size_t steps)
{
	assert(at < search->end);
	if (steps == search->steps_count) {
		const char *behind = json_value_skip(at, search->end);
		search->found = slice_of(at, (size_t)(behind - at));
		return behind;
	}
	if (*at == '{')
		return object_search(search, at + 1, steps);
	if (*at == '[')
		return array_search(search, at + 1, steps);
	return json_value_skip(at, search->end);
}

static const char *object_search(struct search *search, const char *at, size_t steps)
{
	if (!json_entry_begin(&at, search->end))
		return at + 1;
	do {
		struct slice name;
		bool escaped;
		at = json_space_skip(at, search->end);
		at = json_name_skip(at, search->end, &name, &escaped);
		if (name_is(name, escaped, &search->steps[steps])) {
			search->found = slice_of(NULL, 0);
			at = value_search(search, at, steps + 1);
		} else {
			at = json_value_skip(at, search->end);
		}
	} while (json_entry_end(&at, search->end));
	return at;
}

static const char *array_search(struct search *search, const char *at, size_t steps)
{
	uint64_t index;
	bool numbered = number_parse_u64(search->steps[steps].text, &index);
	if (!json_entry_begin(&at, search->end))
		return at + 1;
	uint64_t passed = 0;
	do {
		at = json_space_skip(at, search->end);
		if (numbered && passed++ == index)
			at = value_search(search, at, steps + 1);
		else
			at = json_value_skip(at, search->end);
	} while (json_entry_end(&at, search->end));
	return at;
}

bool json_element(struct slice *rest, struct slice *out)
{
	const char *at = rest->data, *end = rest->data + rest->size;
	if (*at++ == ']' || !json_entry_begin(&at, end))
		return false;
	const char *behind = json_value_skip(at, end);
	*out = slice_of(at, (size_t)(behind - at));
	behind = json_space_skip(behind, end);
	*rest = slice_of(behind, (size_t)(end - behind));
	return true;
}

static bool name_is(struct slice name, bool escaped, const struct step *step)
{
	if (!escaped && !step->escaped)
		return slice_equal(name, step->text);
	struct slice left = step->text;
	while (name.size > 0) {
		char out[4];
		size_t size = json_unescape(&name, out);
		for (size_t i = 0; i < size; i++) {
			size_t skipped = is_path_escape(left);
			if (left.size == 0 || left.data[skipped] != out[i])
				return false;
			left = slice_of(left.data + skipped + 1, left.size - skipped - 1);
		}
	}
	return left.size == 0;
}
