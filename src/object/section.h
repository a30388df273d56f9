/*
 * section: what only one call of an object does at a time, while other calls of it go on. Entered
 * by self:exclusive with a name.
 *
 * Threads: the worker's of the object's shard.
 */
#ifndef OBJECT_SECTION_H
#define OBJECT_SECTION_H

#include "base/slice.h"

#include <stdbool.h>

struct call;
struct object;

/* True: the call is in the section of that name; it must be in none. False: it stands in line for
 * it, and waits (WAIT_SECTION) until it is in. */
bool section_enter(struct call *call, struct slice name);
/* Out of the section, or of the line, that the call is in, if any; lets the next one in. */
void section_leave(struct call *call);
/* Frees an object's sections, whoever is in them. */
void section_free_all(struct object *object);

#endif
