/*
 * fuzz_json: JSON texts, sound and damaged, against jansson.
 *
 *      fuzz_json [seeds] [first seed]
 *
 * Checking: both must accept the same texts. jansson differs in this: it refuses numbers that do
 * not fit its own, zero bytes in names and halves of surrogate pairs; it overlooks a zero byte
 * behind a number, and nests deeper. It is not shown a byte order mark, nor the white space behind
 * the value that only JavaScript has. The position of an error must be exact: cut there, the text
 * just ends too early. What may have any bytes in strings must accept what is accepted, and be no
 * more when what is not UTF-8 is replaced. (test/clients/json.test.js has a judge that is a
 * browser's parser.)
 *
 * Merging: the result must be accepted, and be what a merge of jansson's trees gives; a field that
 * the patch has not must still have its bytes. Finding: a path through jansson's tree must lead to
 * text of the value there, and a step that is not in the tree to nothing.
 *
 * Each try is in memory of its own, so that the address sanitizer sees a step beyond. Aborts at the
 * first failure, naming the seed.
 */
#include "base/buffer.h"
#include "base/memory.h"
#include "base/random.h"
#include "holdfast/limits.h"
#include "support/count.h"
#include "json/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* jansson's macro; the function of the name is meant. */
#undef json_is_object

#define REQUIRE(fuzz, condition, what)                                                             \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "fuzz_json: seed %llu: %s\n", (fuzz)->seed, what);         \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct fuzz {
	unsigned long long seed;
	struct random random;
};

/* A text and what jansson made of it; NULL when it refuses it or refuses to hold it. */
struct text {
	struct buffer made;
	char *copy;
	struct slice bytes;
	bool accepted;
	json_t *tree;
};

static struct {
	unsigned long long accepted, refused, differed, merged, found;
} seen;

static void text_make(struct fuzz *fuzz, struct text *text);
static void text_fini(struct text *text);
static void value_make(struct fuzz *fuzz, unsigned depth, struct buffer *out);
static void object_make(struct fuzz *fuzz, unsigned depth, struct buffer *out);
static void name_make(struct fuzz *fuzz, struct buffer *out);
static void scalar_make(struct fuzz *fuzz, struct buffer *out);
static void space_make(struct fuzz *fuzz, struct buffer *out);
static void noise_make(struct fuzz *fuzz, struct buffer *out);
static void damage(struct fuzz *fuzz, struct buffer *out);
static void frame(struct fuzz *fuzz, struct buffer *out);
static struct slice unframed(struct slice bytes);
static json_t *parse(struct slice bytes, json_error_t *error);
static void check_same(struct fuzz *fuzz, struct text *text);
static void check_position(struct fuzz *fuzz, struct slice bytes, struct json_error error);
static void check_bytes(struct fuzz *fuzz, struct text *text);
static void merge_both(struct fuzz *fuzz, struct text *base, struct text *patch);
static void check_result(struct fuzz *fuzz, struct slice result, json_t *expected);
static json_t *reference_patch(json_t *base, json_t *patch);
static void check_fields(
	struct fuzz *fuzz, struct text *base, struct text *patch, struct slice result);
static void find_some(struct fuzz *fuzz, struct text *text);
static void path_add(struct buffer *path, struct slice name);

int main(int count, char **values)
{
	unsigned long long seeds = count > 1 ? strtoull(values[1], NULL, 10) : 50000;
	unsigned long long first = count > 2 ? strtoull(values[2], NULL, 10) : 0;
	struct fuzz fuzz = { 0 };
	for (fuzz.seed = first; fuzz.seed < first + seeds; fuzz.seed++) {
		struct text base, patch;
		random_seed(&fuzz.random, fuzz.seed);
		text_make(&fuzz, &base);
		text_make(&fuzz, &patch);
		if (base.tree)
			find_some(&fuzz, &base);
		if (base.tree && patch.tree)
			merge_both(&fuzz, &base, &patch);
		text_fini(&base);
		text_fini(&patch);
	}
	printf("fuzz_json: %llu seeds: accepted %llu, refused %llu, differed %llu; merged %llu, "
	       "found %llu\n",
		seeds, seen.accepted, seen.refused, seen.differed, seen.merged, seen.found);
	return 0;
}

static uint64_t below(struct fuzz *fuzz, uint64_t bound)
{
	return random_below(&fuzz->random, bound);
}

static void text_make(struct fuzz *fuzz, struct text *text)
{
	*text = (struct text){ 0 };
	buffer_init(&text->made);
	uint64_t kind = below(fuzz, 16);
	if (kind < 2)
		noise_make(fuzz, &text->made);
	else if (kind < 5)
		value_make(fuzz, 0, &text->made);
	else
		object_make(fuzz, 0, &text->made);
	if (kind >= 11)
		damage(fuzz, &text->made);
	if (below(fuzz, 16) == 0)
		frame(fuzz, &text->made);
	text->bytes = buffer_slice(&text->made);
	text->copy = memory_alloc(text->bytes.size);
	if (text->bytes.size > 0)
		memcpy(text->copy, text->bytes.data, text->bytes.size);
	text->bytes.data = text->copy;
	check_same(fuzz, text);
}

static void text_fini(struct text *text)
{
	buffer_fini(&text->made);
	memory_free(text->copy);
	json_decref(text->tree);
}

static void value_make(struct fuzz *fuzz, unsigned depth, struct buffer *out)
{
	uint64_t kind = below(fuzz, depth < 5 ? 10 : 6);
	/* Seldom a chain to about the limit. */
	if (depth == 1 && below(fuzz, 40) == 0) {
		uint64_t levels = LIMIT_JSON_DEPTH - 3 + below(fuzz, 6);
		for (uint64_t i = 0; i < levels; i++)
			buffer_append_text(out, i % 2 ? "{\"a\":" : "[");
		buffer_append_text(out, "0");
		for (uint64_t i = levels; i > 0; i--)
			buffer_append_text(out, i % 2 ? "]" : "}");
		return;
	}
	space_make(fuzz, out);
	if (kind < 6) {
		scalar_make(fuzz, out);
	} else if (kind < 9) {
		object_make(fuzz, depth, out);
	} else {
		buffer_append_text(out, "[");
		for (uint64_t i = 0, count = below(fuzz, 4); i < count; i++) {
			buffer_append_text(out, i ? "," : "");
			value_make(fuzz, depth + 1, out);
		}
		space_make(fuzz, out);
		buffer_append_text(out, "]");
	}
	space_make(fuzz, out);
}

static void object_make(struct fuzz *fuzz, unsigned depth, struct buffer *out)
{
	/* Now and then more than a merge looks through one by one. */
	uint64_t count = below(fuzz, depth == 0 && below(fuzz, 8) == 0 ? 60 : 5);
	buffer_append_text(out, "{");
	for (uint64_t i = 0; i < count; i++) {
		buffer_append_text(out, i ? "," : "");
		space_make(fuzz, out);
		name_make(fuzz, out);
		space_make(fuzz, out);
		buffer_append_text(out, ":");
		value_make(fuzz, depth + 1, out);
	}
	space_make(fuzz, out);
	buffer_append_text(out, "}");
}

static void name_make(struct fuzz *fuzz, struct buffer *out)
{
	static const char *const names[] = { "a", "\\u0061", "b", "c", "", "ab", "\\u0061b", "a.b",
		"\\\\", "\\u005C", "a\\\\.b", "0", "1", "\xc3\xa4", "\\u00e4", "\\u00E4", "\\\"",
		"\\ud83d\\ude00", "\xf0\x9f\x98\x80", "\\n", "longer than a word" };
	if (below(fuzz, 3) == 0)
		buffer_format(out, "\"%llu\"", (unsigned long long)below(fuzz, 100));
	else
		buffer_format(out, "\"%s\"", names[below(fuzz, COUNT(names))]);
}

static void scalar_make(struct fuzz *fuzz, struct buffer *out)
{
	static const char *const scalars[] = { "null", "null", "null", "true", "false", "0", "-0",
		"1", "2.50", "-1e3", "1E-2", "9223372036854775807", "\"\"", "\"x\"", "\"]},:[{\"",
		"\"\\\"\"", "\"\\\\\"", "\"\xe2\x82\xac \\u20ac\"", "\"\\u0000\"", "{}", "[]",
		"\"a string of some length without marks\"" };
	static const char *const unknown[] = { "1e999", "12345678901234567890123", "\"\\ud83d\"",
		"\"\\ude00\\ud83d\\u0061\"" };
	/* Seldom what jansson does not hold. */
	if (below(fuzz, 300) == 0)
		buffer_append_text(out, unknown[below(fuzz, COUNT(unknown))]);
	else
		buffer_append_text(out, scalars[below(fuzz, COUNT(scalars))]);
}

static void space_make(struct fuzz *fuzz, struct buffer *out)
{
	static const char spaces[] = " \n\t\r";
	if (below(fuzz, 4) == 0)
		buffer_append(out, &spaces[below(fuzz, 4)], 1);
}

static char likely(struct fuzz *fuzz)
{
	static const char marks[] =
		"[]{}\",:\\u0123456789abcdefD-+.eE nultrfas\n\xc3\xa4\xed\x80\xff";
	/* The zero byte too. */
	return below(fuzz, 16) ? marks[below(fuzz, sizeof(marks))] : (char)below(fuzz, 256);
}

static void noise_make(struct fuzz *fuzz, struct buffer *out)
{
	/* A string's inside gets far; so does what opens many things. */
	bool string = below(fuzz, 2);
	if (string)
		buffer_append_text(out, "\"");
	for (uint64_t i = below(fuzz, 30); i > 0; i--) {
		char c = likely(fuzz);
		if (string && below(fuzz, 4) == 0)
			buffer_append_text(out, below(fuzz, 2) ? "\\u" : "\\ud8");
		buffer_append(out, &c, 1);
	}
	if (string)
		buffer_append_text(out, "\"");
}

static void damage(struct fuzz *fuzz, struct buffer *out)
{
	for (uint64_t i = 1 + below(fuzz, 3); i > 0 && out->size > 0; i--) {
		size_t at = (size_t)below(fuzz, out->size), rest = out->size - at - 1;
		size_t other = (size_t)below(fuzz, out->size);
		switch (below(fuzz, 6)) {
		case 0:
		case 1:
			out->data[at] = likely(fuzz);
			break;
		case 2:
			memmove(out->data + at, out->data + at + 1, rest);
			out->size--;
			break;
		case 3:
			out->data[at] = out->data[other];
			break;
		case 4:
			buffer_append(out, "", 1);
			memmove(out->data + at + 1, out->data + at, rest + 1);
			out->data[at] = likely(fuzz);
			break;
		default:
			if (below(fuzz, 4) == 0)
				out->size = at;
		}
	}
}

static const char *const far_spaces[] = { "\v", "\f", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\x80",
	"\xe2\x80\x85", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf",
	"\xe2\x81\x9f", "\xe3\x80\x80", "\xef\xbb\xbf" };

/* A mark before, white space behind; now and then not whole. */
static void frame(struct fuzz *fuzz, struct buffer *out)
{
	size_t size = below(fuzz, 8) ? 3 : (size_t)below(fuzz, 3);
	if (below(fuzz, 2)) {
		buffer_append(out, "\xef\xbb\xbf", size);
		memmove(out->data + size, out->data, out->size - size);
		memcpy(out->data, "\xef\xbb\xbf", size);
	}
	for (uint64_t i = below(fuzz, 3); i > 0; i--) {
		const char *space = far_spaces[below(fuzz, COUNT(far_spaces))];
		buffer_append(out, space, strlen(space) - (below(fuzz, 16) == 0));
		space_make(fuzz, out);
	}
}

static bool ends_with(struct slice bytes, const char *text)
{
	size_t size = strlen(text);
	return bytes.size >= size && memcmp(bytes.data + bytes.size - size, text, size) == 0;
}

static struct slice unframed(struct slice bytes)
{
	if (bytes.size >= 3 && memcmp(bytes.data, "\xef\xbb\xbf", 3) == 0)
		bytes = slice_of(bytes.data + 3, bytes.size - 3);
	for (size_t i = 0; i < COUNT(far_spaces) + 4;) {
		char near[2] = { " \n\t\r"[i < 4 ? i : 0] };
		const char *space = i < 4 ? near : far_spaces[i - 4];
		bool ends = ends_with(bytes, space);
		bytes.size -= ends ? strlen(space) : 0;
		i = ends ? 0 : i + 1;
	}
	return bytes;
}

static json_t *parse(struct slice bytes, json_error_t *error)
{
	bytes = unframed(bytes);
	const char *data = bytes.size > 0 ? bytes.data : "";
	return json_loadb(data, bytes.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, error);
}

static void check_same(struct fuzz *fuzz, struct text *text)
{
	struct json_error error = { SIZE_MAX, NULL };
	json_error_t other;
	text->accepted = json_check(text->bytes, &error);
	json_t *tree = parse(text->bytes, &other);
	check_bytes(fuzz, text);
	if (text->accepted) {
		seen.accepted++;
		text->tree = tree;
		if (tree)
			return;
		enum json_error_code code = json_error_code(&other);
		REQUIRE(fuzz,
			code == json_error_numeric_overflow ||
				code == json_error_null_byte_in_key ||
				strstr(other.text, "invalid Unicode '\\u"),
			other.text);
		seen.differed++;
		return;
	}
	seen.refused++;
	check_position(fuzz, text->bytes, error);
	if (tree) {
		bool zero = text->bytes.data[error.position] == '\0' &&
			error.position < text->bytes.size;
		REQUIRE(fuzz, zero || strcmp(error.why, "nested too deeply") == 0, error.why);
		seen.differed++;
		json_decref(tree);
	}
}

static void check_position(struct fuzz *fuzz, struct slice bytes, struct json_error error)
{
	struct json_error again = { SIZE_MAX, NULL };
	REQUIRE(fuzz, error.position <= bytes.size && error.why != NULL, "an error is not told");
	struct slice cut = slice_of(bytes.data, error.position);
	bool early = strcmp(error.why, "the text ends too early") == 0;
	REQUIRE(fuzz, early == (error.position == bytes.size), "an early end is elsewhere");
	if (!json_check(cut, &again))
		REQUIRE(fuzz, again.position == cut.size, "what stands before an error is wrong");
	if (early)
		return;
	cut.size++;
	REQUIRE(fuzz, !json_check(cut, &again), "an error is not where it is told");
	REQUIRE(fuzz, again.position == error.position, "an error has moved");
}

/* Replacing each byte from 0x80 by a letter makes any bytes valid UTF-8. */
static void check_bytes(struct fuzz *fuzz, struct text *text)
{
	struct buffer replaced;
	buffer_init(&replaced);
	buffer_append(&replaced, text->bytes.data, text->bytes.size);
	bool any = json_check_bytes(text->bytes, NULL);
	REQUIRE(fuzz, any || !text->accepted, "with any bytes it is refused");
	struct slice inner = unframed(text->bytes);
	size_t start = (size_t)(inner.data - text->bytes.data);
	for (size_t i = start; i < start + inner.size; i++) {
		if ((uint8_t)replaced.data[i] >= 0x80)
			replaced.data[i] = 'x';
	}
	REQUIRE(fuzz, any == json_check(buffer_slice(&replaced), NULL), "bytes mean something");
	buffer_fini(&replaced);
}

static void merge_both(struct fuzz *fuzz, struct text *base, struct text *patch)
{
	struct buffer out;
	buffer_init(&out);
	json_merge_patch(base->bytes, patch->bytes, &out);
	json_t *expected = reference_patch(base->tree, patch->tree);
	check_result(fuzz, buffer_slice(&out), expected);
	json_decref(expected);
	REQUIRE(fuzz, json_is_object(base->bytes) == (json_typeof(base->tree) == JSON_OBJECT),
		"objects are told wrongly");
	if (json_is_object(base->bytes) && json_is_object(patch->bytes)) {
		out.size = 0;
		json_merge_fields(base->bytes, patch->bytes, &out);
		expected = json_deep_copy(base->tree);
		json_object_update(expected, patch->tree);
		check_result(fuzz, buffer_slice(&out), expected);
		json_decref(expected);
		check_fields(fuzz, base, patch, buffer_slice(&out));
	}
	buffer_fini(&out);
	seen.merged++;
}

static void check_result(struct fuzz *fuzz, struct slice result, json_t *expected)
{
	struct json_error error = { 0, "" };
	json_error_t other;
	REQUIRE(fuzz, json_check(result, &error), error.why);
	json_t *tree = parse(result, &other);
	REQUIRE(fuzz, tree != NULL, other.text);
	REQUIRE(fuzz, json_equal(tree, expected), "a merge differs");
	json_decref(tree);
}

/* RFC 7396, section 2, word for word. */
static json_t *reference_patch(json_t *base, json_t *patch)
{
	if (json_typeof(patch) != JSON_OBJECT)
		return json_incref(patch);
	bool object = base && json_typeof(base) == JSON_OBJECT;
	json_t *result = object ? json_copy(base) : json_object();
	for (void *at = json_object_iter(patch); at; at = json_object_iter_next(patch, at)) {
		const char *name = json_object_iter_key(at);
		json_t *value = json_object_iter_value(at);
		if (json_is_null(value))
			json_object_del(result, name);
		else
			json_object_set_new(result, name,
				reference_patch(json_object_get(result, name), value));
	}
	return result;
}

static void check_fields(
	struct fuzz *fuzz, struct text *base, struct text *patch, struct slice result)
{
	struct buffer path;
	buffer_init(&path);
	json_t *tree = base->tree;
	for (void *at = json_object_iter(tree); at; at = json_object_iter_next(tree, at)) {
		struct slice expected, given;
		path.size = 0;
		path_add(&path, slice_text(json_object_iter_key(at)));
		bool patched = json_object_get(patch->tree, json_object_iter_key(at));
		struct slice from = patched ? patch->bytes : base->bytes;
		REQUIRE(fuzz, json_find(from, buffer_slice(&path), &expected),
			"a field is not found");
		REQUIRE(fuzz, json_find(result, buffer_slice(&path), &given), "a field is lost");
		REQUIRE(fuzz, slice_equal(expected, given), "a field has other bytes");
	}
	buffer_fini(&path);
}

/* Down to a leaf by random steps, then one step that does not exist. */
static void find_some(struct fuzz *fuzz, struct text *text)
{
	struct buffer path;
	buffer_init(&path);
	json_t *at = text->tree;
	for (bool first = true;; first = false) {
		struct slice found;
		if (!first) {
			json_error_t error;
			bool there = json_find(text->bytes, buffer_slice(&path), &found);
			REQUIRE(fuzz, there, "a value is not found");
			json_t *tree = parse(found, &error);
			REQUIRE(fuzz, tree && json_equal(tree, at), "another value is found");
			json_decref(tree);
			seen.found++;
			buffer_append_text(&path, ".");
		}
		size_t size = json_object_size(at) + json_array_size(at);
		if (size == 0)
			break;
		size_t chosen = (size_t)below(fuzz, size);
		if (json_typeof(at) == JSON_ARRAY) {
			buffer_format(&path, "%zu", chosen);
			at = json_array_get(at, chosen);
			continue;
		}
		void *member = json_object_iter(at);
		for (; chosen > 0; chosen--)
			member = json_object_iter_next(at, member);
		path_add(&path, slice_text(json_object_iter_key(member)));
		at = json_object_iter_value(member);
	}
	struct slice found;
	buffer_append_text(&path, "nowhere");
	REQUIRE(fuzz, !json_find(text->bytes, buffer_slice(&path), &found), "nothing is found");
	buffer_fini(&path);
}

static void path_add(struct buffer *path, struct slice name)
{
	for (size_t i = 0; i < name.size; i++) {
		if (name.data[i] == '.' || name.data[i] == '\\')
			buffer_append(path, "\\", 1);
		buffer_append(path, &name.data[i], 1);
	}
}
