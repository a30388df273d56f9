/*
 * syntax: the argument texts of the command table ("key value [NX | XX] [EX seconds]") as a tree,
 * for COMMAND DOCS.
 */
#ifndef ADMIN_SYNTAX_H
#define ADMIN_SYNTAX_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum syntax_type {
	SYNTAX_VALUE,  /* anything: `name`, behind `token` when that is not empty */
	SYNTAX_TOKEN,  /* a word by itself */
	SYNTAX_BLOCK,  /* all children, in order */
	SYNTAX_ONE_OF, /* one of the children */
};

struct syntax {
	enum syntax_type type;
	struct slice name;  /* of a value or token, lower case as Redis names arguments */
	struct slice token; /* upper case; empty: none */
	bool optional;
	bool multiple;
	uint32_t child_count;
	struct syntax *children; /* linked by next */
	struct syntax *next;
};

/*
 * Words in upper case are tokens, others values; a token takes the values behind it. `[a]` may be
 * left out, `<a>` only groups, `a | b` is a choice, and a list that ends in `...` repeats, as does
 * what stands in front of a bracket that says it again. Returns how many arguments there are,
 * linked from *first; texts are borrowed, the rest is in the arena. -1: not understood.
 */
int32_t syntax_parse(struct arena *arena, const char *text, struct syntax **first);

#endif
