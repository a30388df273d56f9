/*
 * arguments: the arguments of one command while they arrive, in the arena of that command.
 */
#ifndef RESP_ARGUMENTS_H
#define RESP_ARGUMENTS_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdint.h>

struct arguments {
	struct arena *arena;
	struct slice *items; /* NULL until the first was added */
	uint32_t count;
	uint32_t capacity;
};

/* Forgets the arguments of the last command. */
void arguments_clear(struct arguments *arguments);
/* Adds an argument of `size` bytes, which the caller fills. The list grows as arguments come, so
 * memory follows what was received, not what was announced. */
char *arguments_add(struct arguments *arguments, size_t size);
/* Adds the words of an inline command, quoted and escaped as in Redis's sdssplitargs: blanks part
 * words; "..." knows \n \r \t \b \a \xHH and takes any other escaped byte as itself; '...' knows
 * only \'; a closing quote ends its word. `line` holds no NUL. False: unbalanced quotes. */
bool arguments_add_line(struct arguments *arguments, struct slice line);

#endif
