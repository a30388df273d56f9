/*
 * section: a named part of an object's work that only one of its calls does at a time, such as the
 * refresh of a token. self:exclusive(name, function) enters it. Other calls of the object, and
 * those in sections of other names, go on meanwhile; that is what tells it from the gate.
 *
 *   section_enter -> in -> section_leave -> the next one in line is in
 *              '---> in line: the call waits, until it is let in or ends
 *
 * A section exists while a call is in it. A call is in one at the most, and enters none while it
 * holds the gate closed, so calls never wait for each other in a circle. However a call ends, it
 * leaves its section: the line goes on.
 *
 * Threads: the worker's of the object's shard.
 */
#include "object/runtime.h"

#include "base/memory.h"

#include <assert.h>

struct section {
	struct section *next; /* of the object */
	struct call *holder;
	struct call *first; /* in line */
	struct call *last;
	size_t name_size;
	char name[];
};

static struct section *find(struct object *object, struct slice name);
static struct section *add(struct object *object, struct slice name);
static void drop(struct object *object, struct section *section);
static void leave_line(struct section *section, struct call *call);

bool section_enter(struct call *call, struct slice name)
{
	struct object *object = call->object;
	struct section *section = find(object, name);
	assert(call->section == NULL);
	if (section == NULL) {
		section = add(object, name);
		section->holder = call;
	} else {
		call->section_next = NULL;
		*(section->last ? &section->last->section_next : &section->first) = call;
		section->last = call;
	}
	call->section = section;
	return section->holder == call;
}

void section_leave(struct call *call)
{
	struct section *section = call->section;
	call->section = NULL;
	if (section == NULL)
		return;
	if (section->holder != call) {
		leave_line(section, call);
		return;
	}
	struct call *next = section->holder = section->first;
	if (next == NULL) {
		drop(call->object, section);
		return;
	}
	leave_line(section, next);
	wait_finish(next, WAIT_ENDED);
	objects_ask(call->objects);
}

void section_free_all(struct object *object)
{
	while (object->sections)
		drop(object, object->sections);
}

static struct section *find(struct object *object, struct slice name)
{
	struct section *section = object->sections;
	while (section && !slice_equal(slice_of(section->name, section->name_size), name))
		section = section->next;
	return section;
}

static struct section *add(struct object *object, struct slice name)
{
	struct section *section = memory_zeroed(sizeof(*section) + name.size);
	memcpy(section->name, name.data, name.size);
	section->name_size = name.size;
	section->next = object->sections;
	object->sections = section;
	return section;
}

static void drop(struct object *object, struct section *section)
{
	struct section **place = &object->sections;
	while (*place != section)
		place = &(*place)->next;
	*place = section->next;
	memory_free(section);
}

static void leave_line(struct section *section, struct call *call)
{
	struct call *before = NULL;
	struct call **place = &section->first;
	while (*place != call) {
		before = *place;
		place = &before->section_next;
	}
	*place = call->section_next;
	if (section->last == call)
		section->last = before;
	call->section_next = NULL;
}
