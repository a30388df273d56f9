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
#include "object/section.h"

#include "object/objects_private.h"

#include "base/memory.h"

#include <assert.h>

struct section {
	struct list_node in_object;
	struct call *holder;
	struct list line; /* calls */
	size_t name_size;
	char name[];
};

static struct section *find(struct object *object, struct slice name);
static struct section *add(struct object *object, struct slice name);
static void drop(struct object *object, struct section *section);

bool section_enter(struct call *call, struct slice name)
{
	struct object *object = call->object;
	struct section *section = find(object, name);
	assert(call->section == NULL);
	if (section == NULL) {
		section = add(object, name);
		section->holder = call;
	} else {
		list_append(&section->line, &call->in_section);
	}
	call->section = section;
	if (section->holder == call)
		return true;
	call->wait = (struct wait){
		.kind = WAIT_SECTION,
		.until_ms = call->begun_ms + LIMIT_CALL_LIFE_MS + 1,
	};
	return false;
}

void section_leave(struct call *call)
{
	struct section *section = call->section;
	call->section = NULL;
	if (section == NULL)
		return;
	if (section->holder != call) {
		list_remove(&section->line, &call->in_section);
		return;
	}
	struct list_node *next = list_take(&section->line);
	if (next == NULL) {
		drop(call->object, section);
		return;
	}
	section->holder = container_of(next, struct call, in_section);
	wait_finish(section->holder, WAIT_ENDED);
	objects_ask(call->objects);
}

void section_free_all(struct object *object)
{
	while (object->sections.first)
		drop(object, container_of(object->sections.first, struct section, in_object));
}

static struct section *find(struct object *object, struct slice name)
{
	for (struct list_node *node = object->sections.first; node; node = node->next) {
		struct section *section = container_of(node, struct section, in_object);
		if (slice_equal(slice_of(section->name, section->name_size), name))
			return section;
	}
	return NULL;
}

static struct section *add(struct object *object, struct slice name)
{
	struct section *section = memory_zeroed(sizeof(*section) + name.size);
	memcpy(section->name, name.data, name.size);
	section->name_size = name.size;
	list_prepend(&object->sections, &section->in_object);
	return section;
}

static void drop(struct object *object, struct section *section)
{
	list_remove(&object->sections, &section->in_object);
	memory_free(section);
}
