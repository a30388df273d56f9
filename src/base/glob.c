/*
 * glob: matching in one pass over the text, whatever the pattern.
 *
 * A pattern is a row of elements, each of which takes one byte, with stars in between. The pass
 * keeps a set of numbers: how many elements may have been matched by now. A byte moves each number
 * on by one where the element takes it; where a star stands, the number stays as well. The set is a
 * bit for each number, so that 64 of them move at once.
 *
 *     a*b?   elements a b ?     stars  0 1 0 0      text  axbc
 *                                            begin  1 0 0 0
 *                                              a    0 1 0 0
 *                                              x    0 1 0 0
 *                                              b    0 1 1 0
 *                                              c    0 1 0 1   matched: the last is in the set
 *
 * The table has a row of such bits for each value of a byte (the elements that take it) and one
 * more for the stars. A pattern of plain bytes and stars alone, as most are, needs no table: each
 * part is looked for behind the one before it.
 */
#include "base/glob.h"

#include "base/memory.h"

#include <ctype.h>

#define ROW_STARS 256
#define ROWS      257

static unsigned char folded(char c, bool ignore_case)
{
	return (unsigned char)(ignore_case ? tolower((unsigned char)c) : c);
}

static uint64_t *row(const struct glob *glob, uint32_t number)
{
	return glob->table + (size_t)number * glob->words;
}

static void take(const struct glob *glob, uint32_t byte)
{
	row(glob, byte)[glob->elements / 64] |= UINT64_C(1) << glob->elements % 64;
}

/* The newest element takes what is this byte when folded. */
static void take_folded(const struct glob *glob, unsigned char byte)
{
	if (glob->ignore_case && isupper(byte))
		return;
	take(glob, byte);
	if (glob->ignore_case)
		take(glob, (unsigned char)toupper(byte));
}

static void take_range(const struct glob *glob, unsigned char low, unsigned char high)
{
	for (uint32_t byte = low < high ? low : high; byte <= (low < high ? high : low); byte++)
		take_folded(glob, (unsigned char)byte);
}

/* From behind the opening bracket. Returns where the pattern goes on. */
static size_t add_class(struct glob *glob, size_t at)
{
	struct slice pattern = glob->pattern;
	bool negated = at < pattern.size && pattern.data[at] == '^';
	at += negated;
	while (at < pattern.size && pattern.data[at] != ']') {
		if (pattern.data[at] == '\\' && at + 1 < pattern.size)
			at++;
		unsigned char low = folded(pattern.data[at++], glob->ignore_case), high = low;
		if (at + 1 < pattern.size && pattern.data[at] == '-' &&
			pattern.data[at + 1] != ']') {
			high = folded(pattern.data[at + 1], glob->ignore_case);
			at += 2;
		}
		take_range(glob, low, high);
	}
	uint64_t bit = UINT64_C(1) << glob->elements % 64;
	for (uint32_t byte = 0; negated && byte < 256; byte++)
		row(glob, byte)[glob->elements / 64] ^= bit;
	return at + (at < pattern.size); /* the closing bracket */
}

static uint32_t words_for(struct slice pattern)
{
	return (uint32_t)(pattern.size / 64 + 1);
}

static bool needs_table(struct slice pattern, bool ignore_case)
{
	bool plain = !ignore_case;
	for (size_t i = 0; i < pattern.size && plain; i++)
		plain = pattern.data[i] != '?' && pattern.data[i] != '[' && pattern.data[i] != '\\';
	return !plain;
}

static void build(struct glob *glob)
{
	struct slice pattern = glob->pattern;
	glob->words = words_for(pattern);
	glob->table = memory_zeroed(ROWS * (size_t)glob->words * sizeof(*glob->table));
	for (size_t at = 0; at < pattern.size;) {
		char c = pattern.data[at++];
		if (c == '*') {
			take(glob, ROW_STARS);
			continue;
		}
		if (c == '?') {
			take_range(glob, 0, 255);
		} else if (c == '[') {
			at = add_class(glob, at);
		} else {
			if (c == '\\' && at < pattern.size)
				c = pattern.data[at++];
			take_folded(glob, folded(c, glob->ignore_case));
		}
		glob->elements++;
	}
}

void glob_init(struct glob *glob, struct slice pattern, bool ignore_case)
{
	*glob = (struct glob){ .pattern = pattern, .ignore_case = ignore_case };
	if (needs_table(pattern, ignore_case))
		build(glob);
}

void glob_fini(struct glob *glob)
{
	memory_free(glob->table);
	glob->table = NULL;
}

size_t glob_bytes(struct slice pattern, bool ignore_case)
{
	size_t words = needs_table(pattern, ignore_case) ? words_for(pattern) : 0;
	return ROWS * words * sizeof(uint64_t);
}

/* The part of the pattern up to the next star, or to its end. */
static struct slice part_from(struct slice pattern, size_t at)
{
	const char *start = pattern.data + at;
	const char *star = at < pattern.size ? memchr(start, '*', pattern.size - at) : NULL;
	return slice_of(start, star ? (size_t)(star - start) : pattern.size - at);
}

static bool ends_with(struct slice text, struct slice part)
{
	return part.size <= text.size &&
		slice_equal(slice_of(text.data + text.size - part.size, part.size), part);
}

static bool match_parts(struct slice pattern, struct slice text)
{
	struct slice part = part_from(pattern, 0);
	if (part.size == pattern.size)
		return slice_equal(pattern, text);
	if (part.size > text.size || !slice_equal(slice_of(text.data, part.size), part))
		return false;
	const char *from = text.data + part.size, *end = text.data + text.size;
	size_t at = part.size + 1;
	for (;;) {
		part = part_from(pattern, at);
		at += part.size + 1;
		if (at > pattern.size)
			return ends_with(slice_of(from, (size_t)(end - from)), part);
		if (part.size == 0)
			continue;
		from = memmem(from, (size_t)(end - from), part.data, part.size);
		if (from == NULL)
			return false;
		from += part.size;
	}
}

static bool match_word(const struct glob *glob, struct slice text)
{
	uint64_t set = 1, stars = *row(glob, ROW_STARS);
	for (size_t i = 0; i < text.size && set; i++)
		set = (set & *row(glob, (unsigned char)text.data[i])) << 1 | (set & stars);
	return set >> glob->elements & 1;
}

static bool match_words(const struct glob *glob, struct slice text)
{
	uint64_t few[16] = { 0 };
	uint64_t *set = few;
	if (glob->words > sizeof(few) / sizeof(few[0]))
		set = memory_zeroed(glob->words * sizeof(*set));
	const uint64_t *stars = row(glob, ROW_STARS);
	uint64_t any = set[0] = 1;
	for (size_t i = 0; i < text.size && any; i++) {
		const uint64_t *takes = row(glob, (unsigned char)text.data[i]);
		uint64_t carry = any = 0;
		for (uint32_t word = 0; word < glob->words; word++) {
			uint64_t moved = set[word] & takes[word];
			set[word] = moved << 1 | carry | (set[word] & stars[word]);
			carry = moved >> 63;
			any |= set[word];
		}
	}
	bool matched = set[glob->elements / 64] >> glob->elements % 64 & 1;
	if (set != few)
		memory_free(set);
	return matched;
}

bool glob_matches(const struct glob *glob, struct slice text)
{
	if (glob->table == NULL)
		return match_parts(glob->pattern, text);
	return glob->words == 1 ? match_word(glob, text) : match_words(glob, text);
}
