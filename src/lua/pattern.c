/*
 * pattern: a backtracking matcher over the pattern's own text, as the manual describes it: an item
 * (one character, a class, a set) with a suffix, groups, back references, %b and %f.
 *
 * Nothing is compiled beforehand: a malformed part raises its error only when matching reaches it,
 * which is what Lua's own does and what a class that runs elsewhere relies on. For the same reason
 * the matcher calls itself exactly where a choice is left open (a group's edge, an optional or
 * repeated item that fits): how deep that may go is Lua's limit, and bounds the C stack.
 *
 * Budget. Backtracking takes polynomial and, with several repeats, practically endless time. Each
 * item tried is a step, bytes of sets, comparisons and results count by their length, and steps are
 * handed to sandbox_charge a thousand at a time, before a callback, before an error and at the end
 * of a call. So it costs little, and no loop of small calls gets around it.
 *
 * Errors leave by longjmp: nothing here owns memory that Lua does not know.
 */
#include "lua/pattern.h"

#include "lua/sandbox.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DEPTH_MAX    200 /* of the matcher's calls of itself, as in Lua */
#define CAPTURES_MAX 32  /* as in Lua */
#define STEPS_MAX    1000
#define STEP_BYTES   16 /* bytes copied or compared for what a step costs */

#define SIZE_OPEN     ((ptrdiff_t)-1) /* of a capture whose group is not closed */
#define SIZE_POSITION ((ptrdiff_t)-2) /* of one that is a position */

struct capture {
	const char *start;
	ptrdiff_t size;
};

struct matcher {
	lua_State *L;
	const char *subject;
	const char *subject_end;
	const char *pattern;
	const char *pattern_end;
	bool is_anchored;
	int depth;
	uint64_t steps; /* not charged yet */
	int capture_count;
	struct capture captures[CAPTURES_MAX];
};

static int pattern_find(lua_State *L);
static int pattern_match(lua_State *L);
static int pattern_gmatch(lua_State *L);
static int pattern_gsub(lua_State *L);

void pattern_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "find", pattern_find },
		{ "match", pattern_match },
		{ "gmatch", pattern_gmatch },
		{ "gsub", pattern_gsub },
		{ NULL, NULL },
	};
	luaL_setfuncs(L, functions, 0);
}

/* The budget */

static void charge(struct matcher *matcher)
{
	uint64_t steps = matcher->steps;
	matcher->steps = 0;
	sandbox_charge(matcher->L, steps);
}

static inline void spend(struct matcher *matcher, size_t steps)
{
	matcher->steps += steps;
	if (matcher->steps >= STEPS_MAX)
		charge(matcher);
}

/* Raises an error; `number` is for those formats that name one. Never returns. */
static void refuse(struct matcher *matcher, const char *format, int number)
{
	charge(matcher);
	luaL_error(matcher->L, format, number);
}

/* Items: one character, or a set of them */

static bool class_has(char class, unsigned char byte)
{
	bool found;
	switch (tolower((unsigned char)class)) {
	case 'a':
		found = isalpha(byte);
		break;
	case 'c':
		found = iscntrl(byte);
		break;
	case 'd':
		found = isdigit(byte);
		break;
	case 'g':
		found = isgraph(byte);
		break;
	case 'l':
		found = islower(byte);
		break;
	case 'p':
		found = ispunct(byte);
		break;
	case 's':
		found = isspace(byte);
		break;
	case 'u':
		found = isupper(byte);
		break;
	case 'w':
		found = isalnum(byte);
		break;
	case 'x':
		found = isxdigit(byte);
		break;
	case 'z': /* in Lua's own, though not in the manual */
		found = byte == '\0';
		break;
	default:
		return (unsigned char)class == byte;
	}
	return found != (isupper((unsigned char)class) != 0);
}

/* Behind the closing bracket of the set that starts at `set`. */
static const char *set_end(struct matcher *matcher, const char *set)
{
	const char *at = set + 1;
	if (at < matcher->pattern_end && *at == '^')
		at++;
	/* A bracket in the first place stands for itself. */
	for (bool is_first = true;; is_first = false) {
		if (at >= matcher->pattern_end)
			refuse(matcher, "malformed pattern (missing ']')", 0);
		if (*at == ']' && !is_first)
			break;
		at += *at == '%' ? 2 : 1;
	}
	spend(matcher, (size_t)(at - set));
	return at + 1;
}

static bool set_has(struct matcher *matcher, const char *set, const char *end, unsigned char byte)
{
	const char *at = set + 1, *last = end - 1;
	bool is_negated = *at == '^';
	bool found = false;
	if (is_negated)
		at++;
	while (at < last && !found) {
		if (*at == '%') {
			found = class_has(at[1], byte);
			at += 2;
		} else if (at[1] == '-' && at + 2 < last) {
			found = (unsigned char)at[0] <= byte && byte <= (unsigned char)at[2];
			at += 3;
		} else {
			found = (unsigned char)*at == byte;
			at++;
		}
	}
	spend(matcher, (size_t)(at - set));
	return found != is_negated;
}

static const char *item_end(struct matcher *matcher, const char *item)
{
	if (*item == '[')
		return set_end(matcher, item);
	if (*item != '%')
		return item + 1;
	if (item + 1 == matcher->pattern_end)
		refuse(matcher, "malformed pattern (ends with '%%')", 0);
	return item + 2;
}

static bool item_fits(struct matcher *matcher, const char *at, const char *item, const char *end)
{
	if (at >= matcher->subject_end)
		return false;
	spend(matcher, 1);
	switch (*item) {
	case '.':
		return true;
	case '%':
		return class_has(item[1], (unsigned char)*at);
	case '[':
		return set_has(matcher, item, end, (unsigned char)*at);
	default:
		return *item == *at;
	}
}

/* Matching. Each function gets a place in the subject and answers where the match ends, or NULL. */

static const char *match_rest(struct matcher *matcher, const char *at, const char *p);

/* As many as there are, then fewer and fewer, until the rest matches too. */
static const char *match_most(
	struct matcher *matcher, const char *at, const char *item, const char *end)
{
	const char *most = at;
	while (item_fits(matcher, most, item, end))
		most++;
	for (; most >= at; most--) {
		const char *matched = match_rest(matcher, most, end + 1);
		if (matched)
			return matched;
	}
	return NULL;
}

static const char *match_fewest(
	struct matcher *matcher, const char *at, const char *item, const char *end)
{
	for (;;) {
		const char *matched = match_rest(matcher, at, end + 1);
		if (matched)
			return matched;
		if (!item_fits(matcher, at, item, end))
			return NULL;
		at++;
	}
}

/* An item with its suffix. `*p` moves behind both; or to the pattern's end when there was a choice
 * and the rest has been matched with it. */
static const char *match_item(struct matcher *matcher, const char *at, const char **p)
{
	const char *item = *p, *end = item_end(matcher, item);
	char suffix = end < matcher->pattern_end ? *end : '\0';
	bool fits = item_fits(matcher, at, item, end);
	if (suffix != '*' && suffix != '+' && suffix != '-' && suffix != '?') {
		*p = end;
		return fits ? at + 1 : NULL;
	}
	if (!fits) {
		*p = end + 1;
		return suffix == '+' ? NULL : at;
	}
	*p = matcher->pattern_end;
	if (suffix == '-')
		return match_fewest(matcher, at, item, end);
	if (suffix != '?')
		return match_most(matcher, suffix == '+' ? at + 1 : at, item, end);
	const char *matched = match_rest(matcher, at + 1, end + 1);
	if (matched)
		return matched;
	*p = end + 1;
	return at;
}

/* %bxy; `pair` is at x. */
static const char *match_balanced(struct matcher *matcher, const char *at, const char *pair)
{
	if (pair + 1 >= matcher->pattern_end)
		refuse(matcher, "malformed pattern (missing arguments to '%%b')", 0);
	if (at >= matcher->subject_end || *at != pair[0])
		return NULL;
	size_t open = 1;
	for (at++; at < matcher->subject_end; at++) {
		spend(matcher, 1);
		if (*at == pair[1]) {
			if (--open == 0)
				return at + 1;
		} else if (*at == pair[0]) {
			open++;
		}
	}
	return NULL;
}

/* %f[set]: between a character outside of the set and one in it; both ends of the subject count as
 * '\0'. `*p` is at the set and moves behind it. */
static const char *match_frontier(struct matcher *matcher, const char *at, const char **p)
{
	const char *set = *p;
	if (set >= matcher->pattern_end || *set != '[')
		refuse(matcher, "missing '[' after '%%f' in pattern", 0);
	const char *end = set_end(matcher, set);
	char before = at == matcher->subject ? '\0' : at[-1];
	char after = at == matcher->subject_end ? '\0' : *at;
	*p = end;
	bool is_frontier = !set_has(matcher, set, end, (unsigned char)before) &&
		set_has(matcher, set, end, (unsigned char)after);
	return is_frontier ? at : NULL;
}

static const char *match_reference(struct matcher *matcher, const char *at, char digit)
{
	int index = digit - '1';
	if (index < 0 || index >= matcher->capture_count ||
		matcher->captures[index].size == SIZE_OPEN)
		refuse(matcher, "invalid capture index %%%d", index + 1);
	const struct capture *capture = &matcher->captures[index];
	if (capture->size == SIZE_POSITION || capture->size > matcher->subject_end - at)
		return NULL;
	spend(matcher, (size_t)capture->size / STEP_BYTES);
	return memcmp(at, capture->start, (size_t)capture->size) == 0 ? at + capture->size : NULL;
}

/* `p` is behind the opening parenthesis. */
static const char *open_group(struct matcher *matcher, const char *at, const char *p)
{
	bool is_position = p < matcher->pattern_end && *p == ')';
	if (matcher->capture_count == CAPTURES_MAX)
		refuse(matcher, "too many captures", 0);
	matcher->captures[matcher->capture_count++] =
		(struct capture){ at, is_position ? SIZE_POSITION : SIZE_OPEN };
	const char *matched = match_rest(matcher, at, is_position ? p + 1 : p);
	if (!matched)
		matcher->capture_count--;
	return matched;
}

static const char *close_group(struct matcher *matcher, const char *at, const char *p)
{
	int index = matcher->capture_count - 1;
	while (index >= 0 && matcher->captures[index].size != SIZE_OPEN)
		index--;
	if (index < 0)
		refuse(matcher, "invalid pattern capture", 0);
	matcher->captures[index].size = at - matcher->captures[index].start;
	const char *matched = match_rest(matcher, at, p);
	if (!matched)
		matcher->captures[index].size = SIZE_OPEN;
	return matched;
}

/* The pattern from `p` to its end. */
static const char *match_rest(struct matcher *matcher, const char *at, const char *p)
{
	if (++matcher->depth > DEPTH_MAX)
		refuse(matcher, "pattern too complex", 0);
	while (at && p != matcher->pattern_end) {
		bool is_last = p + 1 == matcher->pattern_end;
		char escaped = *p == '%' && !is_last ? p[1] : '\0';
		spend(matcher, 1);
		if (*p == '(') {
			at = open_group(matcher, at, p + 1);
			break;
		} else if (*p == ')') {
			at = close_group(matcher, at, p + 1);
			break;
		} else if (*p == '$' && is_last) {
			at = at == matcher->subject_end ? at : NULL;
			break;
		} else if (escaped == 'b') {
			at = match_balanced(matcher, at, p + 2);
			p += 4;
		} else if (escaped == 'f') {
			p += 2;
			at = match_frontier(matcher, at, &p);
		} else if (isdigit((unsigned char)escaped)) {
			at = match_reference(matcher, at, escaped);
			p += 2;
		} else {
			at = match_item(matcher, at, &p);
		}
	}
	matcher->depth--;
	return at;
}

/* Searching */

static void matcher_init(struct matcher *matcher, lua_State *L, const char *subject,
	size_t subject_size, const char *pattern, size_t pattern_size)
{
	matcher->L = L;
	matcher->subject = subject;
	matcher->subject_end = subject + subject_size;
	matcher->pattern = pattern;
	matcher->pattern_end = pattern + pattern_size;
	matcher->is_anchored = false;
	matcher->steps = 1;
}

/* A leading ^ is no part of what is matched. */
static void matcher_take_anchor(struct matcher *matcher)
{
	matcher->is_anchored = matcher->pattern != matcher->pattern_end && *matcher->pattern == '^';
	if (matcher->is_anchored)
		matcher->pattern++;
}

/* The first match from `*start` on that does not end at `end_not` (NULL: any will do): its end, and
 * `*start` is its start. */
static const char *search(struct matcher *matcher, const char **start, const char *end_not)
{
	for (const char *at = *start; at <= matcher->subject_end; at++) {
		matcher->depth = 0;
		matcher->capture_count = 0;
		spend(matcher, 1);
		const char *end = match_rest(matcher, at, matcher->pattern);
		if (end && end != end_not) {
			*start = at;
			return end;
		}
		if (matcher->is_anchored)
			break;
	}
	return NULL;
}

/* Capture `index` of the match from `start` to `end`; the whole match is the first of a pattern
 * that has no groups. */
static struct capture take_capture(
	struct matcher *matcher, int index, const char *start, const char *end)
{
	if (index >= matcher->capture_count) {
		if (index > 0)
			refuse(matcher, "invalid capture index %%%d", index + 1);
		return (struct capture){ start, end - start };
	}
	if (matcher->captures[index].size == SIZE_OPEN)
		refuse(matcher, "unfinished capture", 0);
	return matcher->captures[index];
}

static void push_capture(struct matcher *matcher, int index, const char *start, const char *end)
{
	struct capture capture = take_capture(matcher, index, start, end);
	if (capture.size == SIZE_POSITION) {
		lua_pushinteger(matcher->L, capture.start - matcher->subject + 1);
		return;
	}
	spend(matcher, (size_t)capture.size / STEP_BYTES);
	lua_pushlstring(matcher->L, capture.start, (size_t)capture.size);
}

static int push_groups(struct matcher *matcher)
{
	luaL_checkstack(matcher->L, matcher->capture_count, "too many captures");
	for (int i = 0; i < matcher->capture_count; i++)
		push_capture(matcher, i, NULL, NULL);
	return matcher->capture_count;
}

/* The groups, or the whole match when there are none. */
static int push_match(struct matcher *matcher, const char *start, const char *end)
{
	if (matcher->capture_count)
		return push_groups(matcher);
	push_capture(matcher, 0, start, end);
	return 1;
}

/* The argument that says where to begin, as bytes to skip; may be above `size`. */
static size_t take_init(lua_State *L, int argument, size_t size)
{
	lua_Integer init = luaL_optinteger(L, argument, 1);
	if (init > 0)
		return (size_t)init - 1;
	if (init == 0 || init < -(lua_Integer)size)
		return 0;
	return size + (size_t)init;
}

static bool has_special(struct matcher *matcher)
{
	static const char special[] = "^$*+?.([%-";
	for (const char *p = matcher->pattern; p < matcher->pattern_end; p++) {
		spend(matcher, 1);
		if (memchr(special, *p, sizeof(special) - 1))
			return true;
	}
	return false;
}

static int find_plain(struct matcher *matcher, const char *start)
{
	size_t size = (size_t)(matcher->pattern_end - matcher->pattern);
	size_t left = (size_t)(matcher->subject_end - start);
	/* glibc's search takes linear time. */
	const char *found = memmem(start, left, matcher->pattern, size);
	size_t passed = found ? (size_t)(found - start) : left;
	spend(matcher, (passed + size) / STEP_BYTES);
	charge(matcher);
	if (!found) {
		luaL_pushfail(matcher->L);
		return 1;
	}
	lua_pushinteger(matcher->L, found - matcher->subject + 1);
	lua_pushinteger(matcher->L, found - matcher->subject + (lua_Integer)size);
	return 2;
}

static int find_or_match(lua_State *L, bool is_find)
{
	struct matcher matcher;
	size_t subject_size, pattern_size;
	sandbox_charge(L, 1);
	const char *subject = luaL_checklstring(L, 1, &subject_size);
	const char *pattern = luaL_checklstring(L, 2, &pattern_size);
	size_t skipped = take_init(L, 3, subject_size);
	if (skipped > subject_size) {
		luaL_pushfail(L);
		return 1;
	}
	matcher_init(&matcher, L, subject, subject_size, pattern, pattern_size);
	const char *start = subject + skipped;
	if (is_find && (lua_toboolean(L, 4) || !has_special(&matcher)))
		return find_plain(&matcher, start);

	matcher_take_anchor(&matcher);
	const char *end = search(&matcher, &start, NULL);
	int count = 1;
	if (!end) {
		luaL_pushfail(L);
	} else if (is_find) {
		lua_pushinteger(L, start - subject + 1);
		lua_pushinteger(L, end - subject);
		count = 2 + push_groups(&matcher);
	} else {
		count = push_match(&matcher, start, end);
	}
	charge(&matcher);
	return count;
}

static int pattern_find(lua_State *L)
{
	return find_or_match(L, true);
}

static int pattern_match(lua_State *L)
{
	return find_or_match(L, false);
}

/* gmatch's iterator. Upvalues: subject, pattern, bytes to skip, where the last match ended (-1:
 * there was none). */
static int gmatch_next(lua_State *L)
{
	struct matcher matcher;
	size_t subject_size, pattern_size;
	sandbox_charge(L, 1);
	const char *subject = lua_tolstring(L, lua_upvalueindex(1), &subject_size);
	const char *pattern = lua_tolstring(L, lua_upvalueindex(2), &pattern_size);
	size_t skipped = (size_t)lua_tointeger(L, lua_upvalueindex(3));
	lua_Integer last_end = lua_tointeger(L, lua_upvalueindex(4));
	if (skipped > subject_size)
		return 0;
	matcher_init(&matcher, L, subject, subject_size, pattern, pattern_size);
	const char *start = subject + skipped;
	const char *end = search(&matcher, &start, last_end < 0 ? NULL : subject + last_end);
	int count = 0;
	if (end) {
		lua_pushinteger(L, end - subject);
		lua_copy(L, -1, lua_upvalueindex(3));
		lua_replace(L, lua_upvalueindex(4));
		count = push_match(&matcher, start, end);
	}
	charge(&matcher);
	return count;
}

static int pattern_gmatch(lua_State *L)
{
	size_t subject_size;
	sandbox_charge(L, 1);
	luaL_checklstring(L, 1, &subject_size);
	luaL_checkstring(L, 2);
	size_t skipped = take_init(L, 3, subject_size);
	lua_settop(L, 2);
	lua_pushinteger(L, (lua_Integer)(skipped > subject_size ? subject_size + 1 : skipped));
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, gmatch_next, 4);
	return 1;
}

/* Replacing */

static void add_bytes(struct matcher *matcher, luaL_Buffer *out, const char *bytes, ptrdiff_t size)
{
	spend(matcher, (size_t)size / STEP_BYTES);
	luaL_addlstring(out, bytes, (size_t)size);
}

/* The replacement string at index 3, with its %0 to %9. */
static void add_text(struct matcher *matcher, luaL_Buffer *out, const char *start, const char *end)
{
	size_t size;
	const char *at = lua_tolstring(matcher->L, 3, &size), *last = at + size;
	const char *escape;
	while ((escape = memchr(at, '%', (size_t)(last - at))) != NULL) {
		char code = escape[1]; /* '\0' behind the last */
		spend(matcher, 1);
		add_bytes(matcher, out, at, escape - at);
		at = escape + 2;
		if (code == '%') {
			luaL_addchar(out, '%');
			continue;
		}
		if (code == '0') {
			add_bytes(matcher, out, start, end - start);
			continue;
		}
		if (!isdigit((unsigned char)code))
			refuse(matcher, "invalid use of '%c' in replacement string", '%');
		struct capture capture = take_capture(matcher, code - '1', start, end);
		if (capture.size == SIZE_POSITION) {
			lua_pushinteger(matcher->L, capture.start - matcher->subject + 1);
			luaL_addvalue(out);
		} else {
			add_bytes(matcher, out, capture.start, capture.size);
		}
	}
	add_bytes(matcher, out, at, last - at);
}

/* Adds what stands for the match. False when that is the match itself, unchanged. */
static bool add_replacement(
	struct matcher *matcher, luaL_Buffer *out, const char *start, const char *end)
{
	lua_State *L = matcher->L;
	int kind = lua_type(L, 3);
	if (kind == LUA_TFUNCTION) {
		lua_pushvalue(L, 3);
		int count = push_match(matcher, start, end);
		charge(matcher);
		lua_call(L, count, 1);
	} else if (kind == LUA_TTABLE) {
		push_capture(matcher, 0, start, end);
		charge(matcher);
		lua_gettable(L, 3);
	} else {
		add_text(matcher, out, start, end);
		return true;
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		add_bytes(matcher, out, start, end - start);
		return false;
	}
	if (!lua_isstring(L, -1)) {
		charge(matcher);
		luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	}
	spend(matcher, lua_rawlen(L, -1) / STEP_BYTES);
	luaL_addvalue(out);
	return true;
}

static int pattern_gsub(lua_State *L)
{
	struct matcher matcher;
	size_t subject_size, pattern_size;
	sandbox_charge(L, 1);
	const char *at = luaL_checklstring(L, 1, &subject_size), *last_end = NULL;
	const char *pattern = luaL_checklstring(L, 2, &pattern_size);
	int kind = lua_type(L, 3);
	lua_Integer count_max = luaL_optinteger(L, 4, (lua_Integer)subject_size + 1), count = 0;
	luaL_argexpected(L,
		kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION ||
			kind == LUA_TTABLE,
		3, "string/function/table");
	matcher_init(&matcher, L, at, subject_size, pattern, pattern_size);
	matcher_take_anchor(&matcher);

	luaL_Buffer out;
	bool is_changed = false;
	luaL_buffinit(L, &out);
	while (count < count_max) {
		const char *start = at;
		const char *end = search(&matcher, &start, last_end);
		if (!end)
			break;
		count++;
		add_bytes(&matcher, &out, at, start - at);
		if (add_replacement(&matcher, &out, start, end))
			is_changed = true;
		at = last_end = end;
		if (matcher.is_anchored)
			break;
	}
	if (is_changed) {
		add_bytes(&matcher, &out, at, matcher.subject_end - at);
		luaL_pushresult(&out);
	} else {
		lua_pushvalue(L, 1);
	}
	lua_pushinteger(L, count);
	charge(&matcher);
	return 2;
}
