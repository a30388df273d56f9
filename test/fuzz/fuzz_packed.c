/*
 * fuzz_packed: random bytes as packed values, and random text as JSON.
 *
 *      fuzz_packed [seeds] [first seed]
 *
 * Packed: a sound value is made and damaged, or noise of likely bytes is. Each try is in memory of
 * its own, so that the address sanitizer sees a step beyond. Taking items one by one must end and
 * stay within the bytes; what is whole must have a JSON text that is read again (unless a key holds
 * a zero byte), a reply, and Lua values that pack again to something whole.
 *
 * JSON: texts that this program wrote, damaged, and noise of JSON's own marks. Reading must end in
 * an error that says something and leaves the buffer as it was, or in a whole value whose JSON,
 * read and written again, is the same.
 *
 * Aborts at the first failure, naming the seed.
 */
#include "base/memory.h"
#include "base/random.h"
#include "holdfast/limits.h"
#include "lua/lua_value.h"
#include "lua/sandbox.h"
#include "object/packed.h"
#include "json/json.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(fuzz, condition, what)                                                             \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "fuzz_packed: seed %llu: %s\n", (fuzz)->seed, what);       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct fuzz {
	unsigned long long seed;
	struct random random;
	lua_State *L;
};

static struct {
	unsigned long long whole, read, refused;
} seen;

static void fuzz_bytes(struct fuzz *fuzz);
static void fuzz_text(struct fuzz *fuzz);
static void take_all(struct fuzz *fuzz, struct slice bytes);
static void use_whole(struct fuzz *fuzz, struct slice bytes);
static int push_and_pack(lua_State *L);
static void value_make(struct random *random, unsigned depth, struct buffer *out);
static void scalar_make(struct random *random, uint64_t kind, struct buffer *out);
static void noise_make(struct random *random, struct slice likely, struct buffer *out);
static void damage(struct random *random, struct slice likely, struct buffer *out);
static bool read_json(struct fuzz *fuzz, struct slice text, struct buffer *out);
static char *own_copy(struct slice *bytes);

/* Stands in for the sandbox: a plain Lua state has no budget. */
void sandbox_need(lua_State *L, size_t bytes)
{
	(void)L;
	(void)bytes;
}

void sandbox_charge(lua_State *L, uint64_t instructions)
{
}

int main(int count, char **values)
{
	unsigned long long seeds = count > 1 ? strtoull(values[1], NULL, 10) : 50000;
	unsigned long long first = count > 2 ? strtoull(values[2], NULL, 10) : 0;
	struct fuzz fuzz = { .L = luaL_newstate() };
	for (fuzz.seed = first; fuzz.seed < first + seeds; fuzz.seed++) {
		random_seed(&fuzz.random, fuzz.seed);
		fuzz_bytes(&fuzz);
		fuzz_text(&fuzz);
	}
	lua_close(fuzz.L);
	printf("fuzz_packed: %llu seeds: whole %llu; JSON read %llu, refused %llu\n", seeds,
		seen.whole, seen.read, seen.refused);
	return 0;
}

static void fuzz_bytes(struct fuzz *fuzz)
{
	static const char marks[] = "\0\1\2\3\4\5\6\6\6\7\7\x8\x9\x7f\x80\xff";
	struct slice likely = slice_of(marks, sizeof(marks) - 1);
	struct buffer packed;
	buffer_init(&packed);
	if (random_below(&fuzz->random, 4)) {
		value_make(&fuzz->random, 0, &packed);
		REQUIRE(fuzz, packed_is_whole(buffer_slice(&packed)),
			"what was packed is not whole");
		if (random_below(&fuzz->random, 8))
			damage(&fuzz->random, likely, &packed);
	} else {
		noise_make(&fuzz->random, likely, &packed);
	}
	struct slice bytes = buffer_slice(&packed);
	char *copy = own_copy(&bytes);
	buffer_fini(&packed);
	take_all(fuzz, bytes);
	if (packed_is_whole(bytes))
		use_whole(fuzz, bytes);
	memory_free(copy);
}

static void fuzz_text(struct fuzz *fuzz)
{
	static const char marks[] = "[]{}\",:\\u0123456789-+.eE nultrfas\n\xc3\xa4\xff";
	struct slice likely = slice_of(marks, sizeof(marks)); /* the zero byte too */
	struct buffer text, packed, again;
	buffer_init(&text);
	buffer_init(&packed);
	buffer_init(&again);
	if (random_below(&fuzz->random, 4)) {
		value_make(&fuzz->random, 0, &packed);
		packed_to_json(buffer_slice(&packed), &text);
		packed.size = 0;
		damage(&fuzz->random, likely, &text);
	} else {
		noise_make(&fuzz->random, likely, &text);
	}
	struct slice given = buffer_slice(&text);
	char *copy = own_copy(&given);
	text.size = 0;
	if (read_json(fuzz, given, &packed)) {
		packed_to_json(buffer_slice(&packed), &text);
		/* Names that differ in bytes that are not UTF-8 become one, in another order. */
		if (!json_check(given, NULL)) {
			packed.size = 0;
			REQUIRE(fuzz, read_json(fuzz, buffer_slice(&text), &packed),
				"it is not read");
			text.size = 0;
			packed_to_json(buffer_slice(&packed), &text);
		}
		REQUIRE(fuzz, read_json(fuzz, buffer_slice(&text), &again), "own JSON is not read");
		struct buffer last;
		buffer_init(&last);
		packed_to_json(buffer_slice(&again), &last);
		REQUIRE(fuzz, slice_equal(buffer_slice(&text), buffer_slice(&last)),
			"JSON has changed");
		buffer_fini(&last);
	}
	memory_free(copy);
	buffer_fini(&text);
	buffer_fini(&packed);
	buffer_fini(&again);
}

static void take_all(struct fuzz *fuzz, struct slice bytes)
{
	struct packed_item item;
	const char *end = bytes.data + bytes.size;
	struct slice rest = bytes;
	while (packed_take(&rest, &item)) {
		REQUIRE(fuzz, rest.data + rest.size == end, "the end has moved");
		REQUIRE(fuzz, rest.size < bytes.size, "nothing was taken");
		REQUIRE(fuzz, item.items <= rest.size, "more items than bytes");
		REQUIRE(fuzz, item.pairs <= rest.size / 2, "more pairs than bytes");
		bytes = rest;
	}
	REQUIRE(fuzz, slice_equal(rest, bytes), "a failed take has taken");
}

static void use_whole(struct fuzz *fuzz, struct slice bytes)
{
	struct buffer out, again;
	char error[LIMIT_ERROR_BYTES] = "";
	buffer_init(&out);
	buffer_init(&again);
	seen.whole++;
	for (int protocol = 2; protocol <= 3; protocol++) {
		struct writer writer = { .out = &out, .protocol = protocol };
		packed_write(bytes, &writer);
	}
	out.size = 0;
	packed_to_json(bytes, &out);
	REQUIRE(fuzz, packed_from_json(buffer_slice(&out), NULL, &again, error, sizeof(error)) == 0,
		error);
	out.size = 0;
	lua_settop(fuzz->L, 0);
	lua_pushcfunction(fuzz->L, push_and_pack);
	lua_pushlightuserdata(fuzz->L, &bytes);
	lua_pushlightuserdata(fuzz->L, &out);
	REQUIRE(fuzz, lua_pcall(fuzz->L, 2, 0, 0) == LUA_OK, lua_tostring(fuzz->L, -1));
	REQUIRE(fuzz, packed_is_whole(buffer_slice(&out)), "Lua's value is not packed whole");
	buffer_fini(&out);
	buffer_fini(&again);
}

static int push_and_pack(lua_State *L)
{
	const struct slice *bytes = lua_touserdata(L, 1);
	lua_value_push(L, *bytes);
	lua_value_pack(L, -1, lua_touserdata(L, 2), SIZE_MAX);
	return 0;
}

static void value_make(struct random *random, unsigned depth, struct buffer *out)
{
	uint64_t kind = random_below(random, depth < 5 ? 8 : 5);
	/* Seldom a chain to about the limit. */
	if (depth == 0 && random_below(random, 50) == 0) {
		for (uint64_t i = random_below(random, LIMIT_PACKED_DEPTH); i > 0; i--)
			packed_add_table(out, 1, 0);
		kind = 0;
	}
	if (kind < 5) {
		scalar_make(random, kind, out);
		return;
	}
	uint64_t items = random_below(random, 5), pairs = random_below(random, 4);
	if (random_below(random, 2))
		packed_add_object(out, items, pairs);
	else
		packed_add_table(out, items, pairs);
	for (uint64_t i = 0; i < items; i++)
		value_make(random, depth + 1, out);
	for (uint64_t i = 0; i < pairs; i++) {
		scalar_make(random, 1 + random_below(random, 4), out);
		value_make(random, depth + 1, out);
	}
}

/* Kind 0 is nil, the others may be keys. */
static void scalar_make(struct random *random, uint64_t kind, struct buffer *out)
{
	uint64_t bits = random_next(random);
	char text[300];
	size_t size = (size_t)random_below(random, random_below(random, 10) ? 5 : sizeof(text));
	switch (kind) {
	case 0:
		if (bits & 1)
			packed_add_nil(out);
		else
			packed_add_null(out);
		break;
	case 1:
		packed_add_boolean(out, bits & 1);
		break;
	case 2:
		packed_add_integer(out, (int64_t)bits >> random_below(random, 64));
		break;
	case 3:
		packed_add_float(
			out, (double)(int64_t)bits / (double)(1 + random_below(random, 9)));
		break;
	default:
		for (size_t i = 0; i < size; i++)
			text[i] = bits & 1 ? (char)random_next(random)
					   : "az\"\\\n\xc3\xa4\xf0\x9f\x98\x80"[(bits + i) % 11];
		packed_add_string(out, slice_of(text, size));
	}
}

static void noise_make(struct random *random, struct slice likely, struct buffer *out)
{
	size_t size = (size_t)random_below(random, 60);
	char *at = buffer_reserve(out, size);
	for (size_t i = 0; i < size; i++)
		at[i] = random_below(random, 12) ? likely.data[random_below(random, likely.size)]
						 : (char)random_next(random);
	out->size += size;
}

static void damage(struct random *random, struct slice likely, struct buffer *out)
{
	for (uint64_t i = 1 + random_below(random, 3); i > 0 && out->size > 0; i--) {
		size_t at = (size_t)random_below(random, out->size), rest = out->size - at - 1;
		switch (random_below(random, 5)) {
		case 0:
			out->data[at] = (char)random_next(random);
			break;
		case 1:
		case 2:
			out->data[at] = likely.data[random_below(random, likely.size)];
			break;
		case 3:
			memmove(out->data + at, out->data + at + 1, rest);
			out->size--;
			break;
		default:
			out->size = at;
		}
	}
}

static bool read_json(struct fuzz *fuzz, struct slice text, struct buffer *out)
{
	char error[LIMIT_ERROR_BYTES] = "";
	size_t size = out->size;
	if (packed_from_json(text, NULL, out, error, sizeof(error)) == 0) {
		REQUIRE(fuzz, packed_is_whole(buffer_slice(out)),
			"JSON was read into something broken");
		seen.read++;
		return true;
	}
	REQUIRE(fuzz, error[0] != '\0', "an error says nothing");
	REQUIRE(fuzz, out->size == size, "an error has left bytes");
	seen.refused++;
	return false;
}

/* Moves the slice into a block of exactly its size, which the caller frees. */
static char *own_copy(struct slice *bytes)
{
	char *copy = memory_alloc(bytes->size);
	if (bytes->size)
		memcpy(copy, bytes->data, bytes->size);
	*bytes = slice_of(copy, bytes->size);
	return copy;
}
