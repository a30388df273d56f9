/*
 * object_script: the class that the simulated objects are of, and the scripts that its methods
 * play. A script is a list of steps, each a letter, a number and what stands in brackets:
 *
 *   w            writes: version, its copy, a token; all three or none
 *   r            reads both versions
 *   s MS         sleeps                     f MS         fetches, with this time-out
 *   c N [script] calls object N             C N [script] ... and fails if that fails
 *   x 0 [script] plays it exclusively       z            raises an error that the next x catches
 *   n N [script] ... by name, one of two
 *   t N          N writes in a transaction  T N          ... rolled back   X N  ... by an error
 *   e            fails                      E            fails by fail()
 *   l            fails by using up the turn's budget
 *   y N          fails while fewer than N tries have failed
 *   a MS [script] sets the alarm            d            deletes it        m  asks for it
 *   k MS [script] sets a schedule           u N          deletes it
 *   b            writes many keys           D, K         delete_all, K with keep_alarm
 *   p MS, P MS   ends in, P sliding         q            never
 *
 * Every step says in a log line what it did, in the turn in which it did it: the simulation follows
 * that. What is in memory only is said when a method begins.
 */
#ifndef TEST_SIM_OBJECT_SCRIPT_H
#define TEST_SIM_OBJECT_SCRIPT_H

#include "base/buffer.h"
#include "base/random.h"

#include <stdint.h>

/* The classes of objects with even and odd numbers; an object's id is "o<number>". */
extern const char *const script_classes[2];

/* The source of a class. The version is part of what its code says. */
void script_class(struct buffer *out, uint32_t class, uint64_t version);
/* A script for a method. `job`: of an alarm and the like. Terminated. */
void script_write(struct buffer *out, struct random *random, bool job);

#endif
