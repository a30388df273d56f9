/*
 * object_loop: a worker's objects on its libuv loop: the timer and the HTTP that struct
 * objects_host asks for.
 *
 * Threads: made and freed by the main thread while the loops do not run; the rest on the loop's.
 */
#ifndef OBJECT_OBJECT_LOOP_H
#define OBJECT_OBJECT_LOOP_H

#include "object/objects.h"

struct object_loop;

/* The host in `options` is filled in here. */
struct object_loop *object_loop_new(struct uv_loop_s *loop, const struct objects_options *options);
struct objects *object_loop_objects(struct object_loop *object_loop);
/* After the loop has ended. */
void object_loop_free(struct object_loop **object_loop);

#endif
