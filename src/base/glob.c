/*
 * glob: matching with one remembered star. On a mismatch the last `*` takes one byte more; earlier
 * stars need never be revisited, because what they matched can only be moved into the later one. So
 * no pattern takes exponential time.
 */
#include "base/glob.h"

#include <ctype.h>

static unsigned char folded(char c, bool ignore_case)
{
	return (unsigned char)(ignore_case ? tolower((unsigned char)c) : c);
}

/* Matches one byte against the element at `*at` and moves `*at` behind the element. */
static bool match_element(struct slice pattern, size_t *at, char byte, bool ignore_case)
{
	unsigned char c = folded(byte, ignore_case);
	char p = pattern.data[(*at)++];
	if (p == '?')
		return true;
	if (p == '\\' && *at < pattern.size)
		return folded(pattern.data[(*at)++], ignore_case) == c;
	if (p != '[')
		return folded(p, ignore_case) == c;

	bool negated = *at < pattern.size && pattern.data[*at] == '^';
	bool matched = false;
	if (negated)
		(*at)++;
	while (*at < pattern.size && pattern.data[*at] != ']') {
		if (pattern.data[*at] == '\\' && *at + 1 < pattern.size)
			(*at)++;
		unsigned char low = folded(pattern.data[(*at)++], ignore_case), high = low;
		if (*at + 1 < pattern.size && pattern.data[*at] == '-' &&
			pattern.data[*at + 1] != ']') {
			high = folded(pattern.data[*at + 1], ignore_case);
			*at += 2;
		}
		if ((c >= low && c <= high) || (c >= high && c <= low))
			matched = true;
	}
	if (*at < pattern.size)
		(*at)++; /* the closing bracket */
	return matched != negated;
}

bool glob_match(struct slice pattern, struct slice text, bool ignore_case)
{
	size_t p = 0, t = 0, star_p = 0, star_t = 0;
	bool star = false;
	while (t < text.size) {
		if (p < pattern.size && pattern.data[p] == '*') {
			star = true;
			star_p = ++p;
			star_t = t;
			continue;
		}
		if (p < pattern.size && match_element(pattern, &p, text.data[t], ignore_case)) {
			t++;
			continue;
		}
		if (!star)
			return false;
		p = star_p;
		t = ++star_t;
	}
	while (p < pattern.size && pattern.data[p] == '*')
		p++;
	return p == pattern.size;
}
